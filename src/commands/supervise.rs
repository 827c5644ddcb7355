//! A command that we stay beside, as its parent, without being noticed: it is in our process group, so that the terminal's
//! Ctrl-C, Ctrl-Z and hang-up reach both, and what is sent to us alone is passed on.

use crate::error::{Error, Result};
use nix::sys::signal::{SigSet, Signal, raise};
use rustix::process::{Pid, WaitOptions, WaitStatus, kill_process, waitpid};
use signal_hook::consts::{SIGCHLD, SIGCONT, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGWINCH};
use signal_hook::iterator::SignalsInfo;
use signal_hook::iterator::exfiltrator::WithOrigin;
use signal_hook::low_level::emulate_default_handler;
use signal_hook::low_level::siginfo::Origin;
use std::io;
use std::mem::MaybeUninit;
use std::process::{Command, ExitCode};

/// What is passed on if it was sent to us alone.
const PASSED_ON: [i32; 7] = [SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGWINCH, SIGUSR1, SIGUSR2];

/// What we put off until the command has stopped: we stop if it does, and may say something from the background.
const PUT_OFF: [Signal; 2] = [Signal::SIGTSTP, Signal::SIGTTOU];

/// Puts off what stops a process, for this thread and those that it starts from now on.
pub(super) fn put_off_stopping() {
    let _ = put_off().thread_block();
}

fn put_off() -> SigSet {
    PUT_OFF.into_iter().collect()
}

/// Starts the command and waits for its end, after [`put_off_stopping`].
pub(super) fn supervise(command: &mut Command) -> Result<Ended> {
    let failed = |source| Error::System { doing: "watch for signals", source };
    // From now on none of them ends us and leaves the command alone. What is ignored here is to be ignored there, too.
    let passed_on = PASSED_ON.into_iter().filter(|signal| !is_ignored(*signal));
    let mut signals = SignalsInfo::<WithOrigin>::new(passed_on.chain([SIGCHLD, SIGCONT])).map_err(failed)?;
    // The command inherits what this thread puts off.
    let _ = put_off().thread_unblock();
    let child = command.spawn();
    put_off_stopping();
    let name = || command.get_program().to_owned();
    let child = child.map_err(|source| Error::NotExecutable { command: name(), source: Some(source) })?;
    let child = Pid::from_child(&child);
    let mut interrupted = false;
    loop {
        for Origin { signal, process, .. } in signals.wait() {
            let sender = process.map(|process| process.pid).filter(|pid| *pid != 0);
            // The terminal has sent it to the command as well; the command itself, to all of its group.
            if sender.is_none_or(|pid| pid == child.as_raw_nonzero().get()) {
                interrupted |= signal == SIGINT;
            } else if signal != SIGCHLD
                && let Some(signal) = rustix::process::Signal::from_named_raw(signal)
            {
                let _ = kill_process(child, signal);
            }
        }
        if let Some(status) = ended(child).map_err(failed)? {
            return Ok(Ended { status, interrupted });
        }
    }
}

/// Whether our caller has had this signal ignored, as `nohup` does.
#[expect(unsafe_code, reason = "the only way to ask; it changes nothing")]
fn is_ignored(signal: i32) -> bool {
    let mut found = MaybeUninit::<libc::sigaction>::uninit();
    // SAFETY: without a new action it only writes the one in force to `found`, which is read if it has.
    unsafe {
        libc::sigaction(signal, std::ptr::null(), found.as_mut_ptr()) == 0
            && found.assume_init().sa_sigaction == libc::SIG_IGN
    }
}

/// How a command has ended.
pub(super) struct Ended {
    status: WaitStatus,
    /// Ctrl-C was pressed at the terminal.
    interrupted: bool,
}

impl Ended {
    /// Its exit code, or 128 and the signal that ended it. Where that was the terminal's Ctrl-C we end by it too, so that the
    /// shell ends the whole line.
    pub(super) fn exit_code(&self) -> ExitCode {
        let signal = self.status.terminating_signal();
        if self.interrupted && signal == Some(SIGINT) {
            let _ = emulate_default_handler(SIGINT);
        }
        let code = self.status.exit_status().or_else(|| signal.map(|signal| 128 + signal));
        ExitCode::from(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX))
    }
}

/// How the command has ended, if so. If it was stopped at the terminal, so are we, by the same signal.
fn ended(child: Pid) -> io::Result<Option<WaitStatus>> {
    while let Some((_, status)) = waitpid(Some(child), WaitOptions::NOHANG | WaitOptions::UNTRACED)? {
        match status.stopping_signal().map(Signal::try_from) {
            None => return Ok(Some(status)),
            // Ours from the terminal may be pending; if not, somebody has stopped the command alone.
            Some(Ok(Signal::SIGSTOP)) => {}
            Some(signal) => drop(signal.and_then(raise)),
        }
        let _ = put_off().thread_unblock();
        put_off_stopping();
    }
    Ok(None)
}
