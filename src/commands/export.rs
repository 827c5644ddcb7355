//! `awsdir export`: role credentials as text, in the formats of `aws configure export-credentials`.

use super::{gather, print};
use crate::cli::Export;
use crate::context::Context;
use crate::error::Result;
use crate::shell;
use crate::sso;
use crate::store::profiles::Profiles;
use crate::store::settings::Settings;

pub(super) fn run(context: &Context, arguments: &Export) -> Result<()> {
    let selected = gather::selected(context, arguments.profile.as_deref())?;
    let settings = Settings::load(context)?;
    let profiles = Profiles::load(context)?;
    let profile = profiles.sso_profile(&selected.name)?;
    let mut ladder = gather::ladder(context, &settings, &profile, true);
    ladder.purpose.dotfile = selected.dotfile().cloned();
    let endpoints = profiles.endpoints(context, Some(&profile.name));
    let credentials = sso::role_credentials(context, &profile, &endpoints, &ladder)?;
    print(&shell::export(&credentials, arguments.format))
}
