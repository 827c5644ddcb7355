//! Renewing for a command that runs beside us.

use super::gather::Standing;
use super::without_role;
use crate::context::Context;
use crate::core::credentials::Credentials;
use crate::core::decision::Goal;
use crate::core::profile::Profile;
use crate::error::{Error, Result, login_to};
use crate::sso::{NotRenewed, Renewal};
use crate::store::aws_cache;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use zeroize::Zeroizing;

/// Renews by a process of its own for each time: who sends a refresh token must live to read the answer, whatever becomes
/// of us and the command.
pub(super) fn renewal(context: &Context, profile: &Profile, awsdir: PathBuf, ahead: i64) -> Result<Renewal> {
    let renew = {
        let (context, profile) = (context.clone(), profile.clone());
        move |end| {
            let Output { stdout, stderr, .. } = apart(&context, &awsdir, profile.name(), ahead)
                .output()
                .map_err(|error| NotRenewed::of(&error.to_string()))?;
            let renewed = Credentials::from_process(&Zeroizing::new(stdout)).ok().and_then(Credentials::into_role);
            // Where it fails it makes do with what is in hand.
            renewed.filter(|renewed| renewed.expires_at > end).ok_or_else(|| not_renewed(&context, &profile, &stderr))
        }
    };
    Ok(Renewal {
        context: context.clone(),
        profile: profile.name().to_owned(),
        login: login_to(profile),
        token_file: signed_in_by(context, profile)?,
        ahead,
        renew: Arc::new(renew),
    })
}

/// The file that changes when a person has done their part.
fn signed_in_by(context: &Context, profile: &Profile) -> Result<PathBuf> {
    match (profile.session(), profile.cache_file()) {
        (Some(session), _) => aws_cache::token_path(context, session),
        (None, Some(cache_file)) => aws_cache::role_path(context, cache_file),
        (None, None) => context.aws_config_file().map(Path::to_owned),
    }
}

/// `awsdir credential-process`, out of reach of what the terminal sends to the command.
fn apart(context: &Context, awsdir: &Path, profile: &str, min_ttl: i64) -> Command {
    let mut command = Command::new(awsdir);
    command.args(["credential-process", "--min-ttl", &format!("{min_ttl}s"), "--", profile]);
    command.stdin(Stdio::null()).process_group(0);
    without_role(context, &mut command);
    command
}

/// Why a renewal has come to nothing, by what it has left; by what it said, if that says nothing.
fn not_renewed(context: &Context, profile: &Profile, said: &[u8]) -> NotRenewed {
    let context = context.at_present();
    let standing = match Standing::of(&context, profile, Goal::RoleCredentials { min_ttl: 0 }, false) {
        Ok(standing) => standing,
        Err(error) => return NotRenewed::of(&error.to_string()),
    };
    if !standing.situation.renewable_at(context.now) {
        let why = match profile.session() {
            Some(session) => format!("the session `{}` is stale", session.label()),
            None => "an MFA code is needed".to_owned(),
        };
        return NotRenewed { why, needs_person: true };
    }
    let said = String::from_utf8_lossy(said);
    let said = said.lines().next().map(|line| line.trim_start_matches("awsdir: ")).filter(|line| !line.is_empty());
    let why = standing.setback.as_ref().map(|setback| setback.why.as_str()).or(said);
    NotRenewed::of(why.unwrap_or("there are no newer ones yet"))
}

/// The `awsdir` that belongs to this `with-aws`, if that is what we are.
pub(super) fn awsdir() -> Result<PathBuf> {
    const NAME: &str = "awsdir";
    let own = std::env::current_exe().map(|program| program.with_file_name(NAME));
    let failed = |source| Error::System { doing: "find `awsdir`, which belongs beside `with-aws`", source };
    match own {
        Ok(own) if own.exists() => Ok(own),
        _ => which::which(NAME).map_err(|error| failed(io::Error::other(error.to_string()))),
    }
}
