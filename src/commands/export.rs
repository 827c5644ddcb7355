//! `awsdir export`: role credentials as text, in the formats of `aws configure export-credentials`.

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
    let wanted = Wanted { profile: &selected.name, dotfile, min_ttl: 0, no_sign_in: None, login };
    let (_, credentials) = obtain::role_credentials(context, wanted)?;
    print(shell::export(&credentials, arguments.format))
}
