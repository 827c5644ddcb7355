//! `awsdir refresh`: what the hook runs to renew, or to sign in, for the directory's role. In the foreground it owns
//! the terminal; detached it renews only.

use super::detached_refresh;
use super::gather::{Directory, Standing};
use crate::cli::Refresh;
use crate::context::Context;
use crate::core::decision::{Blocked, Decision, Goal, Setback};
use crate::core::dotfile::LoginMode;
use crate::core::profile::SsoSession;
use crate::error::{Error, Result, login_to};
use crate::sso::{self, How, Ladder, Limits, Purpose};
use crate::store::profiles::Profiles;
use nix::sys::signal::{SigSet, Signal};
use std::process::ExitCode;
use std::sync::mpsc;

pub(super) fn run(context: &Context, arguments: &Refresh) -> ExitCode {
    if arguments.detached {
        // A session of its own: closing the terminal does not end a renewal half-way. Fails only for the leader of a
        // process group, which the child of a hook is not.
        let _ = rustix::process::setsid();
    } else {
        // A hook is no job: stopped, it would hold its locks, and fish would wait for it without end.
        let _ = SigSet::from(Signal::SIGTSTP).thread_block();
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
    if !directory.is_ours() {
        return Ok(());
    }
    let profile = &directory.profile;
    let person =
        !detached && context.stdin_is_terminal && context.person_present() && directory.login() != LoginMode::Never;
    let mut standing = Standing::of(context, profile, directory.goal(), person)?;
    if standing.decision == Decision::Renew && !detached {
        renew_apart(context)?;
        standing = Standing::of(context, profile, directory.goal(), person)?;
        if let (Decision::Blocked(Blocked::RenewalFailed), Some(setback)) = (standing.decision, &standing.setback) {
            return Err(Error::Setback { mend: login_to(profile), refused: false, why: setback.why.clone() });
        }
    }
    let may_sign_in = match standing.decision {
        Decision::Use | Decision::Blocked(_) => return Ok(()),
        Decision::UseAndRenew if !detached => return Ok(()),
        Decision::UseAndRenew => false,
        Decision::Renew | Decision::SignIn => person && standing.situation.setback != Some(Setback::SignInRefused),
    };
    let session = profile.session().map(SsoSession::label).unwrap_or_default();
    let ladder = Ladder {
        limits: if detached { Limits::DETACHED } else { Limits::HOOK },
        min_ttl: 0,
        sign_in: may_sign_in
            .then(|| How {
                ask: directory.login() == LoginMode::Ask,
                ..How::from_settings(directory.settings.session(session))
            })
            .ok_or_else(String::new),
        purpose: Purpose::of(profile, Some(directory.path.clone())),
        force: false,
    };
    climb(context, &directory, &ladder)
}

/// Has a process of its own renew, and waits for its end, but not for longer than a prompt may. A refresh token is spent
/// by being sent: who sends it must live to read the answer, whatever the prompt's patience and Ctrl-C have to say.
fn renew_apart(context: &Context) -> Result<()> {
    let limit = Limits::HOOK.silent;
    let failed = |source| Error::System { doing: "start the renewal", source };
    let mut child = detached_refresh(context).and_then(|mut command| command.spawn()).map_err(failed)?;
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let ended = child.wait();
        let _ = sender.send(ended);
    });
    match receiver.recv_timeout(limit) {
        Ok(_) => Ok(()),
        Err(_) => Err(Error::TooSlow { operation: "the renewal", seconds: limit.as_secs() }),
    }
}

fn climb(context: &Context, directory: &Directory, ladder: &Ladder) -> Result<()> {
    let profiles = Profiles::load(context)?;
    let profile = &directory.profile;
    match (directory.goal(), profile.session()) {
        (Goal::AccessToken, Some(session)) => {
            let endpoints = profiles.endpoints(context, Some(profile.name()));
            sso::token(context, session, &endpoints, ladder).map(drop)
        }
        _ => sso::credentials(context, &profiles, &directory.settings, profile, ladder).map(drop),
    }
}
