//! `awsdir credential-process`: the `credential_process` contract (`protocol.md` 6.1). Renews by itself; never asks,
//! never opens a browser.

use super::obtain::{self, Wanted};
use super::{print, seconds};
use crate::cli::CredentialProcess;
use crate::context::Context;
use crate::core::credentials::Secret;
use crate::error::Result;
use crate::store::profiles;
use serde_json::json;

pub(super) fn run(context: &Context, arguments: &CredentialProcess) -> Result<()> {
    let profile = profiles::profile(context, &arguments.profile)?;
    let wanted = Wanted {
        profile: &profile,
        dotfile: None,
        min_ttl: seconds(arguments.min_ttl),
        no_sign_in: Some("credential-process asks nobody"),
        login: None,
    };
    let credentials = obtain::credentials(context, wanted)?;
    let mut document = json!({
        "Version": 1,
        "AccessKeyId": credentials.access_key_id,
        "SecretAccessKey": credentials.secret_access_key.expose(),
    });
    let mut set = |key: &str, value: Option<&str>| {
        if let Some(value) = value {
            document[key] = value.into();
        }
    };
    set("SessionToken", credentials.session_token.as_ref().map(Secret::expose));
    set("Expiration", credentials.expires_at.map(|at| at.to_string()).as_deref());
    set("AccountId", profile.account_id());
    print(format!("{document}\n"))
}
