//! `awsdir login`: signs in, if that is needed.

use super::gather;
use crate::cli::Login;
use crate::context::{Context, clock};
use crate::core::profile::SsoSession;
use crate::core::segment::time_left;
use crate::error::{Error, Result};
use crate::sso::{self, How, Ladder, Limits, Purpose};
use crate::store::profiles::Profiles;
use crate::store::settings::{Flow, Settings};
use crate::store::{aws_cache, generation, setbacks};
use std::time::Duration;

pub(super) fn run(context: &Context, arguments: &Login) -> Result<()> {
    let settings = Settings::load(context)?;
    let profiles = Profiles::load(context)?;
    let (session, purpose) = session(context, &profiles, arguments)?;
    let before = aws_cache::read_token(context, &session)?;
    let mut cleared = setbacks::clear(context, session.cache_key());
    if let Some(Ok(profile)) = purpose.profile.as_ref().map(|name| profiles.sso_profile(name)) {
        cleared |= setbacks::clear(context, &profile.cache_file);
    }
    if cleared {
        generation::advance(context)?;
    }
    let ladder = Ladder {
        limits: Limits::COMMAND,
        min_ttl: 0,
        sign_in: how(context, &settings, &session, arguments),
        purpose,
        force: arguments.force,
    };
    let profile = ladder.purpose.profile.clone().or_else(|| context.var("AWS_PROFILE"));
    let endpoints = profiles.endpoints(context, profile.as_deref());
    let token = sso::token(context, &session, &endpoints, &ladder)?;
    let what = if before.is_some_and(|before| before.access_token == token.access_token) {
        "already signed in"
    } else {
        "signed in"
    };
    let renewal = if token.renewal(clock()).is_some() { ", renewed by itself after that" } else { "" };
    context.say(&format!(
        "awsdir: {what} to `{}` until {} ({} left{renewal})",
        session.label(),
        token.expires_at,
        time_left(token.expires_at.since(clock()))
    ));
    Ok(())
}

/// The session that is meant: named, of the named profile, of the profile in force, or the only one there is.
fn session(context: &Context, profiles: &Profiles, arguments: &Login) -> Result<(SsoSession, Purpose)> {
    if let Some(name) = &arguments.session {
        return Ok((find_session(profiles, name)?, Purpose::default()));
    }
    match gather::selected(context, arguments.profile.as_deref()) {
        Ok(selected) => {
            let profile = profiles.sso_profile(&selected.name)?;
            let dotfile = selected.dotfile().cloned();
            Ok((profile.session, Purpose { profile: Some(profile.name), dotfile }))
        }
        Err(Error::NoProfile) => only_session(profiles, "login").map(|session| (session, Purpose::default())),
        Err(error) => Err(error),
    }
}

/// A session by the name of its section, or by its start URL for one that legacy profiles define.
pub(super) fn find_session(profiles: &Profiles, name: &str) -> Result<SsoSession> {
    let legacy = profiles.sessions().into_iter().find(|session| session.name.is_none() && session.start_url == name);
    legacy.map_or_else(|| profiles.sso_session(name), Ok)
}

pub(super) fn only_session(profiles: &Profiles, verb: &'static str) -> Result<SsoSession> {
    let mut sessions = profiles.sessions();
    match sessions.len() {
        1 => Ok(sessions.remove(0)),
        count => Err(Error::NoSession { verb, count }),
    }
}

/// Without a terminal no browser is opened. A flag that says how the person will see the page is as good as one.
fn how(context: &Context, settings: &Settings, session: &SsoSession, arguments: &Login) -> Result<How, String> {
    let nobody = context.nobody_because();
    let mut how = How::from_settings(settings.session(session.label()));
    how.open_browser = nobody.is_none() && !arguments.no_browser;
    if let Some(why) = nobody.filter(|_| !arguments.device_code && !arguments.no_browser) {
        return Err(why);
    }
    if arguments.device_code {
        how.flow = Some(Flow::Device);
    }
    if arguments.port.is_some() {
        (how.port, how.flow) = (arguments.port, Some(Flow::Pkce));
    }
    if let Some(seconds) = arguments.timeout {
        how.timeout = Duration::from_secs(seconds);
    }
    Ok(how)
}
