//! `awsdir login`: signs in, if that is needed.

use super::gather;
use crate::cli::Login;
use crate::context::{Context, clock};
use crate::core::profile::{Profile, SsoSession};
use crate::core::segment::time_left;
use crate::error::{Error, Result};
use crate::sso::{self, How, Ladder, Limits, Purpose};
use crate::store::profiles::{Endpoints, Profiles};
use crate::store::settings::{Flow, Settings};
use crate::store::{aws_cache, generation, setbacks};
use std::path::PathBuf;
use std::time::Duration;

pub(super) fn run(context: &Context, arguments: &Login) -> Result<()> {
    let settings = Settings::load(context)?;
    let profiles = Profiles::load(context)?;
    let Target { profile, session, dotfile } = target(context, &profiles, arguments)?;
    let label = session.as_ref().map(SsoSession::label).unwrap_or_default();
    let purpose = profile.as_ref().map(|profile| Purpose::of(profile, dotfile)).unwrap_or_default();
    let sign_in = how(context, &settings, label, arguments);
    let ladder = Ladder { limits: Limits::COMMAND, min_ttl: 0, sign_in, purpose, force: arguments.force };
    clear_setbacks(context, profile.as_ref(), session.as_ref())?;
    if let Some(session) = &session {
        let active = profile.as_ref().map(|profile| profile.name().to_owned()).or_else(|| context.var("AWS_PROFILE"));
        let endpoints = profiles.endpoints(context, active.as_deref());
        sign_in_to(context, session, &endpoints, &ladder)?;
    }
    match profile.filter(Profile::needs_code) {
        Some(profile) => show_code(context, &profiles, &settings, &profile, &ladder),
        None => Ok(()),
    }
}

/// What a person does their part for.
struct Target {
    /// `None` for a session by itself.
    profile: Option<Profile>,
    /// `None` where only an MFA code is asked for.
    session: Option<SsoSession>,
    dotfile: Option<PathBuf>,
}

/// The session that is meant: named, of the named profile, of the profile in force, or the only one there is.
fn target(context: &Context, profiles: &Profiles, arguments: &Login) -> Result<Target> {
    let of_session = |session| Target { profile: None, session: Some(session), dotfile: None };
    if let Some(name) = &arguments.session {
        return find_session(context, profiles, name).map(of_session);
    }
    let selected = match gather::selected(context, arguments.profile.as_deref()) {
        Ok(selected) => selected,
        Err(Error::NoProfile) => return only_session(profiles, "login").map(of_session),
        Err(error) => return Err(error),
    };
    let profile = selected.profile(context)?;
    let session = profile.session().cloned();
    if session.is_none() && !profile.needs_code() {
        return Err(Error::NotSso { profile: selected.name });
    }
    Ok(Target { profile: Some(profile), session, dotfile: selected.dotfile().cloned() })
}

/// A person wants it tried, whatever has failed.
fn clear_setbacks(context: &Context, profile: Option<&Profile>, session: Option<&SsoSession>) -> Result<()> {
    let links = profile.into_iter().flat_map(Profile::chain).filter_map(Profile::cache_file);
    let subjects: Vec<&str> = session.map(SsoSession::cache_key).into_iter().chain(links).collect();
    // All of them, not only as far as the first.
    match subjects.into_iter().filter(|subject| setbacks::clear(context, subject)).count() {
        0 => Ok(()),
        _ => generation::advance(context),
    }
}

fn sign_in_to(context: &Context, session: &SsoSession, endpoints: &Endpoints, ladder: &Ladder) -> Result<()> {
    let before = aws_cache::read_token(context, session)?;
    let token = sso::token(context, session, endpoints, ladder)?;
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

/// Has the person show an MFA code, by getting what it is for.
fn show_code(
    context: &Context,
    profiles: &Profiles,
    settings: &Settings,
    profile: &Profile,
    ladder: &Ladder,
) -> Result<()> {
    let ladder = Ladder { force: false, ..ladder.clone() };
    let credentials = sso::credentials(context, profiles, settings, profile, &ladder)?;
    if let Some(end) = credentials.expires_at {
        let left = time_left(end.since(clock()));
        context.say(&format!("awsdir: role credentials of `{}` until {end} ({left} left)", profile.name()));
    }
    Ok(())
}

/// A session by the name of its section; by its start URL, one that legacy profiles define or that of the dotfile in force.
pub(super) fn find_session(context: &Context, profiles: &Profiles, name: &str) -> Result<SsoSession> {
    let is_it = |session: &SsoSession| session.name.is_none() && session.start_url == name;
    let here = || Some(gather::Directory::here(context).ok()??.profile.session()?.clone());
    let legacy = profiles.sessions().into_iter().find(is_it);
    legacy.or_else(|| here().filter(is_it)).map_or_else(|| profiles.sso_session(name), Ok)
}

pub(super) fn only_session(profiles: &Profiles, verb: &'static str) -> Result<SsoSession> {
    let mut sessions = profiles.sessions();
    match sessions.len() {
        1 => Ok(sessions.remove(0)),
        count => Err(Error::NoSession { verb, count }),
    }
}

/// Without a terminal no browser is opened. A flag that says how the person will see the page is as good as one.
fn how(context: &Context, settings: &Settings, session: &str, arguments: &Login) -> Result<How, String> {
    let nobody = context.nobody_because();
    let mut how = How::from_settings(settings.session(session));
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
