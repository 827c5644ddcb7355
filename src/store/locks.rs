//! One sign-in, one renewal: kernel-released file locks, one per sso-session and one per role.
//!
//! Whoever may renew or sign in takes the lock, reads the cache again, and only then decides. A holder that is killed
//! frees everybody. Locks are taken in the order role, then session.

use super::files;
use crate::context::{self, Context};
use crate::core::hex::hex;
use crate::core::timestamp::Timestamp;
use crate::error::{Error, Result};
use sha1::{Digest, Sha1};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

/// A lock that is held until this is dropped.
#[derive(Debug)]
pub(crate) struct Lock(File);

/// The word in a lock file after the holder's process number and time.
const SIGN_IN: &str = "sign-in";

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
            Self::Session(key) => format!("session-{}.lock", hex(&Sha1::digest(key))),
            Self::Role { cache_file, .. } => format!("role-{}.lock", cache_file.trim_end_matches(".json")),
        }
    }

    pub(crate) fn in_words(self) -> String {
        match self {
            Self::Session(key) => format!("the session `{key}`"),
            Self::Role { profile, .. } => format!("the role of `{profile}`"),
        }
    }
}

/// Takes the lock if it is free. Otherwise a thread waits for it, which the kernel wakes, and hands it to `taken`; if
/// nobody waits any more, it is given back.
pub(crate) fn acquire(
    context: &Context,
    subject: Subject<'_>,
    taken: impl FnOnce(Result<Lock>) + Send + 'static,
) -> Result<Option<Lock>> {
    let path = path(context, subject)?;
    if let Some(directory) = path.parent() {
        files::create_private_directory(directory)?;
    }
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path);
    let file = file.and_then(|file| files::give_to_owner(&path, path.parent()).map(|()| file));
    let failed = move |source| Error::File { verb: "lock", path, source };
    let file = match file {
        Ok(file) => file,
        Err(source) => return Err(failed(source)),
    };
    match file.try_lock() {
        Ok(()) => Ok(Some(held(file))),
        Err(TryLockError::WouldBlock) => {
            std::thread::spawn(move || taken(file.lock().map(|()| held(file)).map_err(failed)));
            Ok(None)
        }
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}

/// Who holds a lock, or held it last.
pub(crate) struct Holder {
    pub(crate) pid: u32,
    pub(crate) since: Timestamp,
    /// A person is signing in there.
    pub(crate) signing_in: bool,
}

pub(crate) fn holder(context: &Context, subject: Subject<'_>) -> Holder {
    let note = path(context, subject).ok().and_then(|path| fs::read_to_string(path).ok()).unwrap_or_default();
    let mut words = note.split_whitespace();
    Holder {
        pid: words.next().and_then(|word| word.parse().ok()).unwrap_or_default(),
        since: Timestamp::from_epoch(words.next().and_then(|word| word.parse().ok()).unwrap_or_default()),
        signing_in: words.next() == Some(SIGN_IN),
    }
}

fn path(context: &Context, subject: Subject<'_>) -> Result<PathBuf> {
    Ok(context.state_directory()?.join("locks").join(subject.file_name()))
}

/// Notes in the lock file who holds it, for those who wait.
fn held(mut file: File) -> Lock {
    let note = format!("{} {}\n", std::process::id(), context::clock().epoch());
    let _ = file.set_len(0).and_then(|()| file.rewind()).and_then(|()| file.write_all(note.as_bytes()));
    Lock(file)
}

impl Drop for Lock {
    /// Nobody holds it: while it is still ours, the note goes.
    fn drop(&mut self) {
        let _ = self.0.set_len(0);
    }
}

impl Lock {
    /// Notes that a person is signing in.
    pub(crate) fn note_sign_in(&mut self) {
        let _ = self.0.write_all(SIGN_IN.as_bytes());
    }
}
