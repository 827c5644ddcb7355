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
use std::process::{Command, ExitCode};

/// What is passed on if it was sent to us alone.
const PASSED_ON: [i32; 7] = [SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGWINCH, SIGUSR1, SIGUSR2];

/// What we put off until the command has stopped: we stop if it does, and may say something from the background.
const HELD: [Signal; 2] = [Signal::SIGTSTP, Signal::SIGTTOU];

/// What waits while the command is being started, so that none of it ends us and leaves the command alone. Taken by this
/// thread or none: to be called before there are others.
pub(super) struct Signals {
    mask_before: SigSet,
}

impl Signals {
    pub(super) fn hold() -> Self {
        let mask_before = SigSet::thread_get_mask().unwrap_or_else(|_| SigSet::empty());
        let mut held: SigSet = PASSED_ON.into_iter().filter_map(|signal| Signal::try_from(signal).ok()).collect();
        held.extend(HELD);
        let _ = held.thread_block();
        Self { mask_before }
    }

    /// Starts the command and waits for its end.
    pub(super) fn supervise(self, command: &mut Command) -> Result<Ended> {
        let failed = |source| Error::System { doing: "watch for signals", source };
        let mut signals = SignalsInfo::<WithOrigin>::new([SIGCHLD, SIGCONT]).map_err(failed)?;
        let child = command.spawn();
        let name = || command.get_program().to_owned();
        let child = child.map_err(|source| Error::NotExecutable { command: name(), source: Some(source) })?;
        // Not before: what is ignored here is to be ignored there, too.
        for signal in PASSED_ON {
            signals.add_signal(signal).map_err(failed)?;
        }
        let mut mask = self.mask_before;
        mask.extend(HELD);
        let _ = mask.thread_set_mask();
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
        let held: SigSet = HELD.into_iter().collect();
        let _ = held.thread_unblock();
        let _ = held.thread_block();
    }
    Ok(None)
}
