//! The generation: a short text that changes whenever a shell's hook might decide otherwise than before.
//!
//! Shells compare it at each prompt by builtins alone, so that a sign-in, a trust decision or a renewal made in one
//! shell reaches all of them without a process being started to ask.

use super::files;
use crate::context::{Context, join};
use crate::error::Result;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

pub(crate) fn path(context: &Context) -> Result<PathBuf> {
    Ok(join(context.state_directory()?, ["generation"]))
}

/// A file whose modification time is the epoch: fish has no clock, and can tell the age of a file.
pub(crate) fn clock_path(context: &Context) -> Result<PathBuf> {
    Ok(context.state_directory()?.join("epoch"))
}

pub(crate) fn ensure_clock(context: &Context) -> Result<()> {
    let path = clock_path(context)?;
    let right =
        |path: &Path| path.metadata().and_then(|found| found.modified()).is_ok_and(|at| at == SystemTime::UNIX_EPOCH);
    if !right(&path) {
        files::replace(&path, b"")?;
        let _ = File::options().write(true).open(&path).and_then(|file| file.set_modified(SystemTime::UNIX_EPOCH));
    }
    Ok(())
}

/// Tells every shell to ask again. Should the machine go down, there is no shell left to tell: nobody waits for the disk.
pub(crate) fn advance(context: &Context) -> Result<()> {
    files::replace_unsynced(&path(context)?, files::random_hex().as_bytes())
}

/// The generation now; the first one is made here. Empty if the state directory cannot be written: shells then see no
/// change, and nothing else is lost.
///
/// Read it before the files that a decision depends on: what changes after that is noticed.
pub(crate) fn current(context: &Context) -> String {
    let read = || path(context).ok().and_then(|path| fs::read_to_string(path).ok());
    read().unwrap_or_else(|| match advance(context) {
        Ok(()) => read().unwrap_or_default(),
        Err(_) => String::new(),
    })
}

/// Whether one of `watched` is newer than the generation; that starts a new one. Another program wrote it: the AWS CLI
/// a token, an editor the config.
pub(crate) fn is_overtaken(context: &Context, watched: &[&Path]) -> bool {
    let Ok(path) = path(context) else { return false };
    let modified = |path: &Path| path.metadata().and_then(|found| found.modified()).ok();
    let newest = watched.iter().filter_map(|path| modified(path)).max();
    let newer = |newest: &SystemTime| modified(&path).is_some_and(|born| *newest > born);
    if newest.as_ref().is_none_or(|newest| !newer(newest)) || advance(context).is_err() {
        return false;
    }
    // A file from the future would be newer at every prompt.
    if let Some(newest) = newest.filter(newer) {
        let _ = File::options().write(true).open(&path).and_then(|file| file.set_modified(newest));
    }
    true
}
