//! `awsdir credential-process`: the `credential_process` contract (`protocol.md` 6.1). Renews by itself; never asks,
//! never opens a browser.

use super::{gather, print};
use crate::cli::CredentialProcess;
use crate::context::Context;
use crate::error::Result;
use crate::sso;
use crate::store::profiles::Profiles;
use crate::store::settings::Settings;
use serde_json::json;

pub(super) fn run(context: &Context, arguments: &CredentialProcess) -> Result<()> {
    let settings = Settings::load(context)?;
    let profiles = Profiles::load(context)?;
    let profile = profiles.sso_profile(&arguments.profile)?;
    let ladder = gather::ladder(context, &settings, &profile, false);
    let endpoints = profiles.endpoints(context, Some(&profile.name));
    let credentials = sso::role_credentials(context, &profile, &endpoints, &ladder)?;
    let document = json!({
        "Version": 1,
        "AccessKeyId": credentials.access_key_id,
        "SecretAccessKey": credentials.secret_access_key.expose(),
        "SessionToken": credentials.session_token.expose(),
        "Expiration": credentials.expires_at.to_string(),
        "AccountId": profile.account_id,
    });
    print(&format!("{document}\n"))
}
