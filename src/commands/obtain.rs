//! Credentials for a command that a person or a script has run: from the cache, or over the network.

use crate::context::Context;
use crate::core::credentials::Credentials;
use crate::core::decision::{Goal, is_settled};
use crate::core::dotfile::LoginMode;
use crate::core::near::nearest;
use crate::core::profile::{Profile, SsoSession};
use crate::error::{Error, Result};
use crate::sso::{self, How, Ladder, Limits, Purpose};
use crate::store::aws_cache;
use crate::store::profiles::Profiles;
use crate::store::settings::Settings;
use std::path::PathBuf;

/// What a command wants.
pub(super) struct Wanted<'a> {
    pub(super) profile: &'a Profile,
    /// The dotfile that named the profile, for the person who signs in.
    pub(super) dotfile: Option<PathBuf>,
    /// Seconds that should be left, if that can be had.
    pub(super) min_ttl: i64,
    /// Why this command does not sign in, if so.
    pub(super) no_sign_in: Option<&'static str>,
    /// What the dotfile says of signing in; the settings have their say where it has none.
    pub(super) login: Option<LoginMode>,
}

pub(super) fn credentials(context: &Context, wanted: Wanted<'_>) -> Result<Credentials> {
    let Wanted { profile, min_ttl, .. } = wanted;
    if let Some(cache_file) = profile.cache_file() {
        let cached = aws_cache::read_role_credentials(context, cache_file)?;
        let goal = Goal::RoleCredentials { min_ttl };
        if let Some(cached) = cached.filter(|one| is_settled(context.now, goal, Some(one.expires_at))) {
            context.detail("using cached role credentials");
            return Ok(cached.into());
        }
    }
    fetch(context, wanted)
}

#[inline(never)]
fn fetch(context: &Context, wanted: Wanted<'_>) -> Result<Credentials> {
    let Wanted { profile, dotfile, min_ttl, no_sign_in, login } = wanted;
    let settings = Settings::load(context)?;
    let login = login.or(settings.login).unwrap_or(LoginMode::Auto);
    let ask = login == LoginMode::Ask;
    let why_not = match login {
        LoginMode::Never => Some("`login = never`".to_owned()),
        LoginMode::Ask if !context.stdin_is_terminal => Some("nobody to ask".to_owned()),
        LoginMode::Ask | LoginMode::Auto => context.nobody_because(),
    };
    let session = profile.session().map(SsoSession::label).unwrap_or_default();
    let sign_in = match no_sign_in.map(str::to_owned).or(why_not) {
        Some(why) => Err(why),
        None => Ok(How { ask, ..How::from_settings(settings.session(session)) }),
    };
    let purpose = Purpose::of(profile, dotfile);
    let ladder = Ladder { limits: Limits::COMMAND, min_ttl, sign_in, purpose, force: false };
    let profiles = Profiles::load(context)?;
    sso::credentials(context, &profiles, &settings, profile, &ladder)
        .map_err(|error| near_misses(&profiles, profile, error))
}

/// Adds what a permission set that was typed by itself may have been meant to be.
fn near_misses(profiles: &Profiles, profile: &Profile, error: Error) -> Error {
    match error {
        Error::NotGranted { account_id, role_name, message, .. } if !profile.is_in_config() => {
            let known = profiles.permission_sets();
            let near = nearest(profile.name(), known.iter().map(String::as_str)).into_iter().map(str::to_owned);
            Error::NotGranted { account_id, role_name, message, near: near.collect() }
        }
        error => error,
    }
}
