//! `awsdir credential-process`: the `credential_process` contract (`protocol.md` 6.1). Renews by itself; never asks,
//! never opens a browser.

use super::obtain::{self, Wanted};
use super::{print, seconds};
use crate::cli::CredentialProcess;
use crate::context::Context;
use crate::error::Result;
use serde_json::json;

pub(super) fn run(context: &Context, arguments: &CredentialProcess) -> Result<()> {
    let wanted = Wanted {
        profile: &arguments.profile,
        dotfile: None,
        min_ttl: seconds(arguments.min_ttl),
        no_sign_in: Some("credential-process asks nobody"),
        login: None,
    };
    let (profile, credentials) = obtain::role_credentials(context, wanted)?;
    let document = json!({
        "Version": 1,
        "AccessKeyId": credentials.access_key_id,
        "SecretAccessKey": credentials.secret_access_key.expose(),
        "SessionToken": credentials.session_token.expose(),
        "Expiration": credentials.expires_at.to_string(),
        "AccountId": profile.account_id,
    });
    print(format!("{document}\n"))
}
