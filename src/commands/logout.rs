//! `awsdir logout`: ends sessions at AWS and removes what came from them. Other sessions stay.

use super::{gather, login};
use crate::cli::Logout;
use crate::context::Context;
use crate::core::decision::Setback;
use crate::core::profile::SsoSession;
use crate::error::{Error, Result};
use crate::sso;
use crate::store::profiles::Profiles;
use crate::store::{aws_cache, generation, setbacks};

pub(super) fn run(context: &Context, arguments: &Logout) -> Result<()> {
    let profiles = Profiles::load(context)?;
    let sessions = match &arguments.session {
        _ if arguments.all => profiles.sessions(),
        Some(name) => vec![login::find_session(&profiles, name)?],
        None => vec![match gather::selected(context, None) {
            Ok(selected) => profiles.sso_profile(&selected.name)?.session,
            Err(Error::NoProfile) => login::only_session(&profiles, "logout")?,
            Err(error) => return Err(error),
        }],
    };
    let mut failed = None;
    for session in &sessions {
        match end(context, &profiles, session) {
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

/// What is here is removed even if AWS cannot be told; the error then says so.
fn end(context: &Context, profiles: &Profiles, session: &SsoSession) -> Result<()> {
    let of_session: Vec<_> =
        profiles.sso_profiles().into_iter().filter(|profile| profile.session == *session).collect();
    let endpoints = profiles.endpoints(context, of_session.first().map(|profile| profile.name.as_str()));
    let mut removed = None;
    let told = sso::logout(context, session, &endpoints, |token| {
        for profile in &of_session {
            aws_cache::remove_role_credentials(context, profile)?;
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
