//! `awsdir logout`: ends sessions at AWS and removes what came from them. Other sessions stay.

use super::{gather, login};
use crate::cli::Logout;
use crate::context::Context;
use crate::core::decision::Setback;
use crate::core::profile::{Profile, SsoSession};
use crate::error::{Error, Result};
use crate::sso;
use crate::store::profiles::Profiles;
use crate::store::{aws_cache, generation, setbacks};

pub(super) fn run(context: &Context, arguments: &Logout) -> Result<()> {
    let profiles = Profiles::load(context)?;
    let sessions = match &arguments.session {
        _ if arguments.all => profiles.sessions(),
        Some(name) => vec![login::find_session(context, &profiles, name)?],
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
    let of_session: Vec<_> = profiles.all().filter(|profile| profile.session() == Some(session)).collect();
    let endpoints = profiles.endpoints(context, of_session.first().map(Profile::name));
    let mut removed = None;
    let told = sso::logout(context, session, &endpoints, |token| {
        // Roles that were assumed with them, too: nobody who has signed out goes on in another account.
        for cache_file in of_session.iter().filter_map(Profile::cache_file) {
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
