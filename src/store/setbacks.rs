//! Failures that a hook must not repeat at every prompt: a renewal that failed, a sign-in that was turned down.
//!
//! Kept per subject, so that every shell knows: an sso-session by its cache key, or one role by the name of its cache
//! file. A success removes it.

use super::files;
use crate::context::Context;
use crate::core::decision::Setback;
use crate::core::hex::hex;
use crate::core::timestamp::Timestamp;
use crate::error::Result;
use serde::{Deserialize, Serialize};
use sha1::{Digest, Sha1};
use std::fs;
use std::path::PathBuf;

/// Seconds for which a hook does not offer a sign-in again that was refused, cancelled or timed out.
const REFUSED: i64 = 600;
/// Seconds after the first failed renewal; each further one doubles it, up to [`REFUSED`].
const FIRST_RETRY: i64 = 30;

/// A remembered setback.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    refused: bool,
    /// Epoch seconds until which no hook tries again.
    until: i64,
    /// How many renewals have failed in a row.
    failures: u32,
    /// What went wrong, for people.
    pub(crate) why: String,
}

impl Record {
    pub(crate) fn kind(&self) -> Setback {
        if self.refused { Setback::SignInRefused } else { Setback::RenewalFailed }
    }

    pub(crate) fn until(&self) -> Timestamp {
        Timestamp::from_epoch(self.until)
    }

    /// A clock that was set back must not turn minutes into years.
    pub(crate) fn is_in_force(&self, now: Timestamp) -> bool {
        self.until() > now && self.until().since(now) <= REFUSED
    }

    /// The record of a setback at `now`, `earlier` being that of the one before.
    pub(crate) fn after(earlier: Option<&Self>, kind: Setback, why: &str, now: Timestamp) -> Self {
        let earlier = earlier.filter(|record| !record.refused).map_or(0, |record| record.failures);
        let (refused, failures, wait) = match kind {
            Setback::SignInRefused => (true, 0, REFUSED),
            Setback::RenewalFailed => (false, earlier.saturating_add(1), (FIRST_RETRY << earlier.min(5)).min(REFUSED)),
        };
        Self { refused, until: now.plus(wait).epoch(), failures, why: why.to_owned() }
    }
}

fn path(context: &Context, subject: &str) -> Result<PathBuf> {
    let name = format!("{}.json", hex(&Sha1::digest(subject)));
    Ok(context.state_directory()?.join("setbacks").join(name))
}

/// The setback of `subject` in force at `now`.
pub(crate) fn in_force(context: &Context, subject: &str, now: Timestamp) -> Option<Record> {
    stored(context, subject).filter(|record| record.is_in_force(now))
}

fn stored(context: &Context, subject: &str) -> Option<Record> {
    serde_json::from_slice(&fs::read(path(context, subject).ok()?).ok()?).ok()
}

/// Remembers that `kind` happened at `now`. Failing to remember is no failure: the worst is one more try.
pub(crate) fn record(context: &Context, subject: &str, kind: Setback, why: &str, now: Timestamp) {
    let record = Record::after(stored(context, subject).as_ref(), kind, why, now);
    if let (Ok(path), Ok(text)) = (path(context, subject), serde_json::to_vec(&record)) {
        let _ = files::replace(&path, &text);
    }
}

/// Forgets the setback: something has worked, or a person wants it tried. Returns whether there was one.
pub(crate) fn clear(context: &Context, subject: &str) -> bool {
    path(context, subject).is_ok_and(|path| path.exists() && files::remove(&path).is_ok())
}

/// Whether it is time to renew this role in the background, and if so notes that it is being done: at most once a minute,
/// should the service grant no longer life than the margin. [`renewed`] forgets it.
pub(crate) fn may_renew_ahead(context: &Context, role: &str, now: Timestamp) -> bool {
    const SPACING: i64 = 60;
    let Ok(path) = path(context, &format!("ahead {role}")) else { return false };
    let last = fs::read_to_string(&path).ok().and_then(|noted| Timestamp::parse(&noted));
    let due = last.is_none_or(|last| !(0..SPACING).contains(&now.since(last)));
    due && files::replace(&path, now.to_string().as_bytes()).is_ok()
}

/// Role credentials were renewed for longer than the margin.
pub(crate) fn renewed(context: &Context, role: &str) {
    clear(context, &format!("ahead {role}"));
}
