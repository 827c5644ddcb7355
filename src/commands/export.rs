//! `awsdir export`: credentials as text, in the formats of `aws configure export-credentials`.

use super::obtain::{self, Wanted};
use super::{gather, print};
use crate::cli::Export;
use crate::context::Context;
use crate::error::Result;
use crate::shell;

pub(super) fn run(context: &Context, arguments: &Export) -> Result<()> {
    let selected = gather::selected(context, arguments.profile.as_deref())?;
    let dotfile = selected.dotfile().cloned();
    let login = selected.login();
    let profile = selected.profile(context)?;
    let wanted = Wanted { profile: &profile, dotfile, min_ttl: 0, no_sign_in: None, login };
    let credentials = obtain::credentials(context, wanted)?;
    print(shell::export((&credentials).into(), arguments.format))
}
