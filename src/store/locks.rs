//! One sign-in, one renewal: kernel-released file locks, one per sso-session and one per role.
//!
//! Whoever may renew or sign in takes the lock, reads the cache again, and only then decides. A holder that is killed
//! frees everybody. Locks are taken in the order role, then session.

use super::files;
use crate::context::{self, Context};
use crate::core::timestamp::Timestamp;
use crate::error::{Error, Result};
use sha1::{Digest, Sha1};
use std::fs::{self, File, OpenOptions};
use std::io::{Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

/// After this long a waiter says whom it is waiting for.
const PATIENCE: Duration = Duration::from_secs(2);

/// A lock that is held until this is dropped.
#[derive(Debug)]
pub(crate) struct Lock(#[expect(dead_code, reason = "the open file is the lock")] File);

/// What is locked.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Subject<'a> {
    /// The token of an sso-session, by its cache key.
    Session(&'a str),
    /// The role credentials in a cache file of this name.
    Role { cache_file: &'a str, profile: &'a str },
}

impl Subject<'_> {
    fn file_name(self) -> String {
        match self {
            Self::Session(key) => format!("session-{}.lock", files::hex(&Sha1::digest(key))),
            Self::Role { cache_file, .. } => format!("role-{}.lock", cache_file.trim_end_matches(".json")),
        }
    }

    fn in_words(self) -> String {
        match self {
            Self::Session(key) => format!("the session `{key}`"),
            Self::Role { profile, .. } => format!("the role of `{profile}`"),
        }
    }
}

/// Takes the lock, waiting for at most `limit`. After two seconds `tell` is given one line that names the holder.
pub(crate) fn acquire(
    context: &Context,
    subject: Subject<'_>,
    limit: Duration,
    tell: &mut dyn FnMut(&str),
) -> Result<Lock> {
    let directory = context.state_directory()?.join("locks");
    files::create_private_directory(&directory)?;
    let path = directory.join(subject.file_name());
    let failed = |source| Error::File { verb: "lock", path: path.clone(), source };
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(failed)?;
    match file.try_lock() {
        Ok(()) => return Ok(held(file)),
        Err(fs::TryLockError::WouldBlock) => {}
        Err(fs::TryLockError::Error(source)) => return Err(failed(source)),
    }
    // The kernel wakes the thread; if the wait is given up the thread ends with the process.
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let taken = file.lock().map(|()| file);
        let _ = sender.send(taken);
    });
    let mut outcome = receiver.recv_timeout(PATIENCE.min(limit));
    if outcome.is_err() && limit > PATIENCE {
        let (pid, since) = holder(&path);
        tell(&format!("awsdir: waiting for {}, held by process {pid} since {since}", subject.in_words()));
        outcome = receiver.recv_timeout(limit.saturating_sub(PATIENCE));
    }
    if let Ok(taken) = outcome {
        return taken.map(held).map_err(failed);
    }
    let (pid, since) = holder(&path);
    Err(Error::Busy { what: subject.in_words(), pid, since })
}

/// Notes in the lock file who holds it, for those who wait.
fn held(mut file: File) -> Lock {
    let note = format!("{} {}\n", std::process::id(), context::clock().epoch());
    let _ = file.set_len(0).and_then(|()| file.rewind()).and_then(|()| file.write_all(note.as_bytes()));
    Lock(file)
}

fn holder(path: &Path) -> (u32, Timestamp) {
    let note = fs::read_to_string(path).unwrap_or_default();
    let mut words = note.split_whitespace();
    let pid = words.next().and_then(|word| word.parse().ok()).unwrap_or_default();
    let since = words.next().and_then(|word| word.parse().ok()).unwrap_or_default();
    (pid, Timestamp::from_epoch(since))
}
