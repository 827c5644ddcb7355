//! Role credentials for a command that a person or a script has run: from the cache, or over the network.

use crate::context::Context;
use crate::core::credentials::RoleCredentials;
use crate::core::decision::{Goal, is_settled};
use crate::core::dotfile::LoginMode;
use crate::core::profile::SsoProfile;
use crate::error::Result;
use crate::sso::{self, How, Ladder, Limits, Purpose};
use crate::store::aws_cache;
use crate::store::profiles::{self, Profiles};
use crate::store::settings::Settings;
use std::path::PathBuf;

/// What a command wants.
pub(super) struct Wanted<'a> {
    pub(super) profile: &'a str,
    /// The dotfile that named the profile, for the person who signs in.
    pub(super) dotfile: Option<PathBuf>,
    /// Seconds that should be left, if that can be had.
    pub(super) min_ttl: i64,
    /// Why this command does not sign in, if so.
    pub(super) no_sign_in: Option<&'static str>,
    /// What the dotfile says of signing in; the settings have their say where it has none.
    pub(super) login: Option<LoginMode>,
}

pub(super) fn role_credentials(context: &Context, wanted: Wanted<'_>) -> Result<(SsoProfile, RoleCredentials)> {
    let profile = profiles::sso_profile(context, wanted.profile)?;
    let goal = Goal::RoleCredentials { min_ttl: wanted.min_ttl };
    let credentials = aws_cache::read_role_credentials(context, &profile)?;
    if let Some(credentials) = credentials.filter(|one| is_settled(context.now, goal, Some(one.expires_at))) {
        context.detail("using cached role credentials");
        return Ok((profile, credentials));
    }
    let settings = Settings::load(context)?;
    let login = wanted.login.or(settings.login).unwrap_or(LoginMode::Auto);
    let ask = login == LoginMode::Ask;
    let why_not = match login {
        LoginMode::Never => Some("`login = never`".to_owned()),
        LoginMode::Ask if !context.stdin_is_terminal => Some("nobody to ask".to_owned()),
        LoginMode::Ask | LoginMode::Auto => context.nobody_because(),
    };
    let sign_in = match wanted.no_sign_in.map(str::to_owned).or(why_not) {
        Some(why) => Err(why),
        None => Ok(How { ask, ..How::from_settings(settings.session(profile.session.label())) }),
    };
    let ladder = Ladder {
        limits: Limits::COMMAND,
        min_ttl: wanted.min_ttl,
        sign_in,
        purpose: Purpose { profile: Some(profile.name.clone()), dotfile: wanted.dotfile },
        force: false,
    };
    let endpoints = Profiles::load(context)?.endpoints(context, Some(&profile.name));
    let credentials = sso::role_credentials(context, &profile, &endpoints, &ladder)?;
    Ok((profile, credentials))
}
