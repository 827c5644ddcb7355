//! `awsdir refresh`: what the hook runs to renew, or to sign in, for the directory's role. In the foreground it owns
//! the terminal; detached it renews only.

use super::gather::{Directory, Standing};
use crate::cli::Refresh;
use crate::context::Context;
use crate::core::decision::{Decision, Goal, Setback};
use crate::core::dotfile::LoginMode;
use crate::core::profile::{Profile, SsoProfile};
use crate::error::{Error, Result};
use crate::sso::{self, How, Ladder, Limits, Purpose};
use std::process::ExitCode;

pub(super) fn run(context: &Context, arguments: &Refresh) -> ExitCode {
    if arguments.detached {
        // A session of its own: closing the terminal does not end a renewal half-way. Fails only if it is one already.
        let _ = rustix::process::setsid();
    }
    match renew(context, arguments.detached) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            context.say(&error.in_one_line());
            if matches!(error, Error::Interrupted) {
                // Of the signal itself, so that the shell ends the whole line: `cd ../prod && terraform apply` must
                // not go on to terraform.
                let _ = signal_hook::low_level::emulate_default_handler(signal_hook::consts::SIGINT);
            }
            ExitCode::from(&error)
        }
    }
}

fn renew(context: &Context, detached: bool) -> Result<()> {
    let Some(directory) = Directory::here(context)? else { return Ok(()) };
    let Profile::Sso(profile) = &directory.profile else { return Ok(()) };
    let person =
        !detached && context.stdin_is_terminal && context.person_present() && directory.login() != LoginMode::Never;
    let standing = Standing::of(context, profile, directory.goal(), person)?;
    let may_sign_in = match standing.decision {
        Decision::UseAndRenew => false,
        Decision::Renew | Decision::SignIn => person && standing.situation.setback != Some(Setback::SignInRefused),
        Decision::Use | Decision::Blocked(_) => return Ok(()),
    };
    let ladder = Ladder {
        limits: if detached { Limits::DETACHED } else { Limits::HOOK },
        min_ttl: 0,
        sign_in: may_sign_in.then(|| How {
            ask: directory.login() == LoginMode::Ask,
            ..How::from_settings(directory.settings.session(profile.session.label()))
        }),
        purpose: Purpose { profile: Some(profile.name.clone()), dotfile: Some(directory.path.clone()) },
        force: false,
    };
    climb(context, &directory, profile, &ladder)
}

fn climb(context: &Context, directory: &Directory, profile: &SsoProfile, ladder: &Ladder) -> Result<()> {
    let endpoints = directory.profiles.endpoints(context, Some(&profile.name));
    match directory.goal() {
        Goal::RoleCredentials { .. } => sso::role_credentials(context, profile, &endpoints, ladder).map(drop),
        Goal::AccessToken => sso::token(context, &profile.session, &endpoints, ladder).map(drop),
    }
}
