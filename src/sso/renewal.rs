//! Role credentials that are renewed ahead of their end, for as long as a command runs.

use crate::context::{Context, clock};
use crate::core::credentials::RoleCredentials;
use crate::core::decision::renew_at;
use crate::core::timestamp::Timestamp;
use crate::error::{Error, Result};
use std::convert::Infallible;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, watch};

/// How a command's role credentials are renewed, and what is said of it.
pub(crate) struct Renewal {
    pub(crate) context: Context,
    pub(crate) profile: String,
    /// The command for the person whose sign-in is needed, and the file that it changes, whatever they do it with.
    pub(crate) login: String,
    pub(crate) token_file: PathBuf,
    /// Seconds before their end at which they are renewed, where their life is long enough.
    pub(crate) ahead: i64,
    /// Role credentials that outlast those in hand, which end then, without a person. It may take its time; it is never
    /// called twice at once.
    pub(crate) renew: Arc<dyn Fn(Timestamp) -> Result<RoleCredentials, NotRenewed> + Send + Sync>,
}

/// Why there are no newer role credentials.
pub(crate) struct NotRenewed {
    pub(crate) why: String,
    /// A person has to sign in.
    pub(crate) needs_person: bool,
}

impl NotRenewed {
    /// What passes by itself, or does not: nobody has to sign in for it.
    pub(crate) fn of(why: &str) -> Self {
        Self { why: why.to_owned(), needs_person: false }
    }
}

/// What there is for the command.
pub(super) struct Held {
    pub(super) credentials: RoleCredentials,
    /// Why there is nothing newer, since the last attempt failed.
    pub(super) trouble: Option<String>,
}

impl Held {
    pub(super) fn are_unexpired(&self) -> bool {
        self.credentials.expires_at > clock()
    }
}

/// Keeps what is `held` ahead of its end. A reader that finds it expired says so by `wanted`: the machine may have slept.
pub(super) async fn keep_ahead(renewal: &Renewal, held: &watch::Sender<Held>, wanted: &Notify) -> Infallible {
    let mut due = renew_at(clock(), held.borrow().credentials.expires_at, renewal.ahead);
    let mut failures = 0;
    let mut told = false;
    loop {
        until(due, wanted).await;
        let token = stamp(&renewal.token_file);
        let end = held.borrow().credentials.expires_at;
        let renew = Arc::clone(&renewal.renew);
        // A thread of its own: readers are answered meanwhile.
        let renewed = tokio::task::spawn_blocking(move || renew(end)).await;
        let not_renewed = match renewed {
            Ok(Ok(credentials)) => {
                renewal.context.detail(&format!("renewed the role credentials of `{}`", renewal.profile));
                due = renew_at(clock(), credentials.expires_at, renewal.ahead);
                (failures, told) = (0, false);
                held.send_replace(Held { credentials, trouble: None });
                continue;
            }
            Ok(Err(not_renewed)) => not_renewed,
            Err(panicked) => NotRenewed::of(&panicked.to_string()),
        };
        // What passes by itself is not worth a word while there is time.
        if !told && (not_renewed.needs_person || end.since(clock()) < renewal.ahead / 2) {
            renewal.context.say(&renewal.news(&not_renewed, end));
            told = true;
        }
        held.send_modify(|held| held.trouble = Some(renewal.trouble(&not_renewed)));
        failures += 1;
        due = clock().plus(pause(failures));
        if not_renewed.needs_person && changed(&renewal.token_file, token, due).await {
            due = clock();
        }
    }
}

impl Renewal {
    /// What to do, or that there is nothing to do.
    fn trouble(&self, NotRenewed { why, needs_person }: &NotRenewed) -> String {
        if *needs_person { format!("{why}; run in another terminal: {}", self.login) } else { why.clone() }
    }

    fn news(&self, not_renewed: &NotRenewed, end: Timestamp) -> String {
        let last = if end > clock() { "last until" } else { "ended at" };
        let again = if not_renewed.needs_person { "" } else { "; trying again" };
        let (profile, trouble) = (&self.profile, self.trouble(not_renewed));
        format!("awsdir: could not renew the role credentials of `{profile}`, which {last} {end} ({trouble}){again}")
    }
}

/// [`keep_ahead`] on a thread of its own, for a command that reads them from the cache.
pub(crate) fn keep(renewal: Renewal, credentials: RoleCredentials) -> Result<()> {
    let runtime = runtime()?;
    std::thread::spawn(move || {
        let (held, _) = watch::channel(Held { credentials, trouble: None });
        runtime.block_on(keep_ahead(&renewal, &held, &Notify::new()))
    });
    Ok(())
}

pub(super) fn runtime() -> Result<tokio::runtime::Runtime> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|source| Error::System { doing: "start the network runtime", source })
}

/// Seconds until the next attempt after so many that failed.
fn pause(failures: u32) -> i64 {
    (1 << failures.min(5)).min(30)
}

/// Waits for a moment by the clock on the wall, which goes on while the machine sleeps: timers don't.
async fn until(due: Timestamp, wanted: &Notify) {
    const LOOK: Duration = Duration::from_secs(30);
    loop {
        let Ok(left @ 1..) = u64::try_from(due.since(clock())) else { return };
        let _ = tokio::time::timeout(LOOK.min(Duration::from_secs(left)), wanted.notified()).await;
    }
}

/// Waits until a file is not as it was, but not after `due`; whether it has changed. Other tools write it too, and tell
/// nobody: it is looked at.
async fn changed(file: &Path, before: Option<Stamp>, due: Timestamp) -> bool {
    const LOOK: Duration = Duration::from_millis(500);
    while stamp(file) == before {
        if clock() >= due {
            return false;
        }
        tokio::time::sleep(LOOK).await;
    }
    true
}

type Stamp = (u64, i64, i64);

fn stamp(file: &Path) -> Option<Stamp> {
    let found = fs::metadata(file).ok()?;
    Some((found.ino(), found.mtime(), found.mtime_nsec()))
}
