//! What ends work that waits for the network, and what it must wait for.
//!
//! A refresh token is spent by being sent: an answer that nobody reads is a session lost. While one is under way Ctrl-C has to
//! be pressed twice, and a hang-up, a termination and Ctrl-Z come when the answer is written down. Nothing but SIGKILL and
//! Ctrl-\ ends it sooner.

use crate::context::eprint_line;
use crate::error::{Error, Result};
use nix::sys::signal::{SigSet, SigmaskHow, Signal};
use std::cell::Cell;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::Poll;
use tokio::signal::unix::{SignalKind, signal};

/// Whether an interruption has to wait.
#[derive(Default)]
pub(super) struct Interrupts {
    spending: Cell<bool>,
}

/// While this lives, interruptions wait.
pub(super) struct Spending<'a> {
    interrupts: &'a Interrupts,
    mask_before: Option<SigSet>,
}

impl Interrupts {
    /// Runs `work` on a runtime of this thread until it is done or Ctrl-C comes.
    pub(super) fn run<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        let mut outcome = None;
        self.drive(pin!(async { outcome = Some(work.await) }))?;
        outcome.unwrap_or(Err(Error::Interrupted))
    }

    /// The same for any work: a runtime is a good part of a program, and one of them is enough.
    fn drive(&self, mut work: Pin<&mut dyn Future<Output = ()>>) -> Result<()> {
        let failed = |source| Error::System { doing: "start the network runtime", source };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            // So that what this thread puts off does not reach another one.
            .on_thread_start(|| {
                let _ = put_off().thread_block();
            })
            .build()
            .map_err(failed)?;
        let outcome = runtime.block_on(async {
            // There from the start: once it is installed, a signal that nobody awaits would be lost.
            let mut ctrl_c = signal(SignalKind::interrupt()).map_err(failed)?;
            tokio::select! {
                // What is being signed in notes the interruption itself.
                biased;
                () = work.as_mut() => return Ok(()),
                _ = ctrl_c.recv() => {}
            }
            if self.spending.get() {
                eprint_line("awsdir: finishing the renewal first; Ctrl-C again gives it up, which may cost a sign-in");
                let finished = poll_fn(|task| match work.as_mut().poll(task) {
                    Poll::Ready(()) => Poll::Ready(true),
                    Poll::Pending if self.spending.get() => Poll::Pending,
                    Poll::Pending => Poll::Ready(false),
                });
                tokio::select! {
                    biased;
                    finished = finished => if finished { return Ok(()) },
                    _ = ctrl_c.recv() => {}
                }
            }
            Err(Error::Interrupted)
        });
        // The lookup of a host name may go on for longer than anybody waits.
        runtime.shutdown_background();
        outcome
    }

    /// Something is about to be spent.
    pub(super) fn spend(&self) -> Spending<'_> {
        self.spending.set(true);
        Spending { interrupts: self, mask_before: put_off().thread_swap_mask(SigmaskHow::SIG_BLOCK).ok() }
    }
}

impl Drop for Spending<'_> {
    fn drop(&mut self) {
        self.interrupts.spending.set(false);
        if let Some(mask) = &self.mask_before {
            let _ = mask.thread_set_mask();
        }
    }
}

/// Signals that come late rather than never: unlike a handler this leaves them ignored where they were (`nohup`).
fn put_off() -> SigSet {
    [Signal::SIGHUP, Signal::SIGTERM, Signal::SIGTSTP].into_iter().collect()
}
