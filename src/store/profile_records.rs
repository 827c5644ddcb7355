//! What profiles came to when they were last read: nobody reads ten thousand profiles to learn of one.
//!
//! A record stands for the two AWS config files as long as they are the ones that were read: the same device, inode, size
//! and times of change, to the nanosecond. It holds no secret and can be removed at any time.

use super::files;
use crate::context::Context;
use crate::core::profile::Profile;
use crate::error::Result;
use serde::{Deserialize, Serialize};
use sha1::{Digest as _, Sha1};
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// Seconds that a file must have been left alone before its times can tell it from its next version: as long as the
/// coarsest file systems count.
const SETTLED: i64 = 2;

/// Which version of the two files it is; `None` for a file that is not there.
#[derive(PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Fingerprint([Option<(u64, u64, u64, i64, i64, i64, i64)>; 2]);

impl Fingerprint {
    /// Take it before the files are read: what changes in between is noticed by the next to look.
    pub(super) fn of(files: [&Path; 2]) -> Self {
        Self(files.map(|path| {
            let file = fs::metadata(path).ok()?;
            let (modified, changed) = ((file.mtime(), file.mtime_nsec()), (file.ctime(), file.ctime_nsec()));
            Some((file.dev(), file.ino(), file.size(), modified.0, modified.1, changed.0, changed.1))
        }))
    }

    /// Whether a later change is sure to show.
    fn is_settled(&self, context: &Context) -> bool {
        let newest = self.0.iter().flatten().map(|file| file.3.max(file.5)).max();
        newest.is_none_or(|newest| context.now.epoch() - newest >= SETTLED)
    }
}

#[derive(Serialize, Deserialize)]
struct Record {
    files: Fingerprint,
    profile: Profile,
}

/// The profile `name` as the files of this `fingerprint` have it, if it is on record.
pub(super) fn read(context: &Context, files: [&Path; 2], fingerprint: &Fingerprint, name: &str) -> Option<Profile> {
    let bytes = fs::read(path(context, files, name).ok()?).ok()?;
    let record: Record = serde_json::from_slice(&bytes).ok()?;
    (record.files == *fingerprint).then_some(record.profile)
}

/// Puts a profile on record. Failing to is no failure: the files are read again.
pub(super) fn write(context: &Context, files: [&Path; 2], fingerprint: Fingerprint, profile: &Profile) {
    if !fingerprint.is_settled(context) {
        return;
    }
    let record = Record { files: fingerprint, profile: profile.clone() };
    if let (Ok(path), Ok(text)) = (path(context, files, profile.name()), serde_json::to_vec(&record)) {
        let _ = files::replace_unsynced(&path, &text);
    }
}

fn path(context: &Context, files: [&Path; 2], name: &str) -> Result<PathBuf> {
    let mut hash = Sha1::new();
    for part in [files[0].as_os_str().as_bytes(), files[1].as_os_str().as_bytes(), name.as_bytes()] {
        hash.update(part);
        hash.update(b"\0");
    }
    Ok(context.state_directory()?.join("profiles").join(files::hex(&hash.finalize())))
}
