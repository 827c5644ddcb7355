//! Credentials that lie ready: access keys in the user's AWS files and in the environment.

use super::profiles::Profiles;
use crate::context::Context;
use crate::core::credentials::{Credentials, Secret};
use crate::core::environment::Mark;
use crate::core::timestamp::Timestamp;
use crate::error::{Error, Result};

/// The access keys of the profile `name`, from both files.
pub(crate) fn access_keys(profiles: &Profiles, name: &str) -> Result<Credentials> {
    let section = profiles.section(name);
    let value = |key: &str| section.as_ref()?.get(key).filter(|value| !value.is_empty());
    match (value("aws_access_key_id"), value("aws_secret_access_key")) {
        (Some(access_key_id), Some(secret_access_key)) => Ok(Credentials {
            access_key_id: access_key_id.to_owned(),
            secret_access_key: Secret::new(secret_access_key),
            session_token: value("aws_session_token").map(Secret::new),
            expires_at: None,
        }),
        _ => Err(Error::NoCredentials { profile: name.to_owned() }),
    }
}

/// The command in `credential_process` of the profile `name`.
pub(crate) fn credential_process(profiles: &Profiles, name: &str) -> Result<String> {
    let section = profiles.section(name);
    let command = section.as_ref().and_then(|section| section.get("credential_process"));
    command.map(str::to_owned).ok_or_else(|| Error::NoCredentials { profile: name.to_owned() })
}

/// The person's own credentials in the environment.
///
/// # Errors
/// Why there are none, in words. Those that awsdir has put there are nobody's source: they are what is asked for.
pub(crate) fn environment(context: &Context) -> Result<Credentials, String> {
    if Mark::in_force(context.uid, |name| context.var_os(name)).is_some() {
        return Err("what is there is awsdir's own".to_owned());
    }
    let required = |name: &str| context.var(name).ok_or_else(|| format!("`{name}` is not set"));
    Ok(Credentials {
        access_key_id: required("AWS_ACCESS_KEY_ID")?,
        secret_access_key: Secret::new(required("AWS_SECRET_ACCESS_KEY")?),
        // The older name wins in the AWS CLI and boto3 (`protocol.md` 6.2).
        session_token: context.var("AWS_SECURITY_TOKEN").or_else(|| context.var("AWS_SESSION_TOKEN")).map(Secret::new),
        expires_at: context.var("AWS_CREDENTIAL_EXPIRATION").and_then(|text| Timestamp::parse(&text)),
    })
}
