//! `awsdir logout`: ends sessions at AWS and removes what came from them. Other sessions stay.

use super::{gather, login};
use crate::cli::Logout;
use crate::context::Context;
use crate::core::decision::Setback;
use crate::core::profile::{Profile, SsoProfile, SsoSession};
use crate::error::{Error, Result};
use crate::sso;
use crate::store::profiles::Profiles;
use crate::store::{aws_cache, generation, profile_records, setbacks};

pub(super) fn run(context: &Context, arguments: &Logout) -> Result<()> {
    let profiles = Profiles::load(context)?;
    let by_themselves = profile_records::permission_sets(context);
    let sessions = match &arguments.session {
        _ if arguments.all => every_session(context, &profiles, &by_themselves)?,
        Some(name) => vec![login::find_session(context, &profiles, name).or_else(|error| {
            let mut sessions = by_themselves.iter().map(|profile| &profile.session);
            sessions.find(|session| session.cache_key() == name).cloned().ok_or(error)
        })?],
        None => vec![match gather::selected(context, None) {
            Ok(selected) => {
                let profile = selected.profile(context)?;
                profile.session().cloned().ok_or(Error::NotSso { profile: selected.name })?
            }
            Err(Error::NoProfile) => login::only_session(&profiles, "logout")?,
            Err(error) => return Err(error),
        }],
    };
    let mut failed = None;
    for session in &sessions {
        match end(context, &profiles, &by_themselves, session) {
            Err(Error::Interrupted) => {
                failed = Some(Error::Interrupted);
                break;
            }
            Err(error) => drop(failed.get_or_insert(error)),
            Ok(()) => {}
        }
    }
    let told = generation::advance(context);
    failed.map_or(told, Err)
}

/// Those of the config, and those without that somebody is signed in to.
fn every_session(context: &Context, profiles: &Profiles, by_themselves: &[SsoProfile]) -> Result<Vec<SsoSession>> {
    let mut sessions = profiles.sessions();
    for SsoProfile { session, .. } in by_themselves {
        let is_known = sessions.iter().any(|known| known.cache_key() == session.cache_key());
        if !is_known && aws_cache::read_token(context, session)?.is_some() {
            sessions.push(session.clone());
        }
    }
    Ok(sessions)
}

/// What is here is removed even if AWS cannot be told; the error then says so.
fn end(context: &Context, profiles: &Profiles, by_themselves: &[SsoProfile], session: &SsoSession) -> Result<()> {
    let of_session: Vec<_> = profiles.all().filter(|profile| profile.session() == Some(session)).collect();
    let endpoints = profiles.endpoints(context, of_session.first().map(Profile::name));
    let mut removed = None;
    let told = sso::logout(context, session, &endpoints, |token| {
        // Roles that were assumed with them, too: nobody who has signed out goes on in another account.
        let without_profile = by_themselves.iter().filter(|one| one.session.cache_key() == session.cache_key());
        let cache_files = of_session.iter().filter_map(Profile::cache_file);
        for cache_file in cache_files.chain(without_profile.map(|one| one.cache_file.as_str())) {
            aws_cache::remove_role_credentials(context, cache_file)?;
        }
        aws_cache::remove_token(context, session)?;
        // No hook is to sign in again at once who has just signed out.
        let why = format!("you signed out of `{}`", session.label());
        setbacks::record(context, session.cache_key(), Setback::SignInRefused, &why, context.now);
        removed = Some(token.is_some());
        Ok(())
    });
    let label = session.label();
    match (&told, removed) {
        (Ok(()), Some(true)) => context.say(&format!("awsdir: signed out of `{label}`")),
        (Ok(()), _) => context.say(&format!("awsdir: was not signed in to `{label}`")),
        (Err(_), Some(_)) => context.say(&format!("awsdir: removed the session `{label}` here; AWS could not be told")),
        (Err(_), None) => {}
    }
    told
}
