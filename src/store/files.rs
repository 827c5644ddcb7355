//! Reading and replacing whole files.

use crate::core::hex::hex;
use crate::error::{Error, Result};
use rustix::io::Errno;
use std::ffi::OsString;
use std::fs::{self, DirBuilder, DirEntry, File, OpenOptions};
use std::io::{self, Seek as _, Write as _};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, lchown};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A file's text; a file that is not there is an empty one.
pub(crate) fn read_or_empty(path: &Path) -> Result<Vec<u8>> {
    match fs::read(path) {
        Ok(bytes) => Ok(bytes),
        // The number: to sort it among kinds costs a hook a page of code.
        Err(source) if source.raw_os_error() == Some(Errno::NOENT.raw_os_error()) => Ok(Vec::new()),
        Err(source) => Err(Error::File { verb: "read", path: path.to_owned(), source }),
    }
}

/// Makes a folder and those above it, readable by nobody else (0700). Folders that exist keep their mode.
pub(crate) fn create_private_directory(path: &Path) -> Result<()> {
    let made = path.ancestors().take_while(|folder| !folder.as_os_str().is_empty() && !folder.exists());
    let made: Vec<&Path> = if rustix::process::geteuid().is_root() { made.collect() } else { Vec::new() };
    let created = DirBuilder::new().recursive(true).mode(0o700).create(path);
    let created =
        created.and_then(|()| made.iter().rev().try_for_each(|folder| give_to_owner(folder, folder.parent())));
    created.map_err(|source| Error::File { verb: "create", path: path.to_owned(), source })
}

/// Under sudo with the person's HOME what is made there stays theirs: whoever has the folder it is in owns it, too.
pub(crate) fn give_to_owner(made: &Path, folder: Option<&Path>) -> io::Result<()> {
    let Some(folder) = folder.filter(|_| rustix::process::geteuid().is_root()) else { return Ok(()) };
    let (owner, ours) = (fs::metadata(folder)?, fs::symlink_metadata(made)?);
    if owner.uid() == ours.uid() {
        return Ok(());
    }
    lchown(made, Some(owner.uid()), Some(owner.gid()))
}

/// Replaces a file at once and for good: a temporary file beside it, created readable by nobody else (0600), written,
/// fsynced and renamed. A process killed on the way leaves the old file whole.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    replace_with_mode(path, bytes, 0o600)
}

/// [`replace`] for a file that is not a secret and keeps company with the user's own.
pub(crate) fn replace_with_mode(path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    Replacement::begin(path, mode)?.finish(bytes, File::sync_all)
}

/// [`replace`] for what can be made again from other files: nobody waits for the disk.
pub(crate) fn replace_unsynced(path: &Path, bytes: &[u8]) -> Result<()> {
    Replacement::begin(path, 0o600)?.finish(bytes, |_| Ok(()))
}

fn not_written(path: &Path, source: io::Error) -> Error {
    Error::File { verb: "write", path: path.to_owned(), source }
}

/// A file's next content on its way: a temporary file beside it, which goes with this unless it has taken the file's place.
#[derive(Debug)]
pub(crate) struct Replacement {
    path: PathBuf,
    temporary: PathBuf,
    file: File,
    /// Bytes that the temporary file holds already.
    room: usize,
    in_place: bool,
}

impl Replacement {
    /// For a secret, with room on the disk for `room` bytes: to be had before something is spent for what comes there.
    pub(crate) fn with_room(path: &Path, room: usize) -> Result<Self> {
        if path.is_dir() {
            return Err(not_written(path, Errno::ISDIR.into()));
        }
        let mut begun = Self::begin(path, 0o600)?;
        begun.room = room;
        let reserved = begun.file.write_all(&vec![b' '; room]).and_then(|()| begun.file.sync_all());
        reserved.and_then(|()| begun.file.rewind()).map_err(|source| not_written(path, source))?;
        Ok(begun)
    }

    fn begin(path: &Path, mode: u32) -> Result<Self> {
        let directory = path.parent().unwrap_or(Path::new("/"));
        if !directory.exists() {
            create_private_directory(directory)?;
        }
        let temporary = temporary_name(path);
        let file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&temporary);
        let file = file.map_err(|source| not_written(path, source))?;
        let begun = Self { path: path.to_owned(), temporary, file, room: 0, in_place: false };
        give_to_owner(&begun.temporary, Some(directory)).map_err(|source| not_written(path, source))?;
        Ok(begun)
    }

    /// [`replace`], where there is room.
    pub(crate) fn write(self, bytes: &[u8]) -> Result<()> {
        self.finish(bytes, File::sync_all)
    }

    fn finish(mut self, bytes: &[u8], sync: fn(&File) -> io::Result<()>) -> Result<()> {
        let written = self.file.write_all(bytes).and_then(|()| {
            if self.room > bytes.len() {
                self.file.set_len(bytes.len() as u64)?;
            }
            sync(&self.file)?;
            fs::rename(&self.temporary, &self.path)
        });
        self.in_place = written.is_ok();
        written.map_err(|source| not_written(&self.path, source))
    }
}

impl Drop for Replacement {
    fn drop(&mut self) {
        if !self.in_place {
            let _ = fs::remove_file(&self.temporary);
        }
    }
}

fn temporary_prefix(path: &Path) -> OsString {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".");
    name
}

fn temporary_name(path: &Path) -> PathBuf {
    let mut name = temporary_prefix(path);
    name.push(random_hex());
    path.with_file_name(name)
}

/// Sixteen random hexadecimal digits.
pub(crate) fn random_hex() -> String {
    let mut bytes = [0; 8];
    // Without randomness the process number still tells two writers apart.
    if getrandom::fill(&mut bytes).is_err() {
        bytes = u64::from(std::process::id()).to_be_bytes();
    }
    hex(&bytes)
}

/// Removes a file, and what a writer that was killed may have left of a replacement. One that is not there is removed
/// already.
pub(crate) fn remove(path: &Path) -> Result<()> {
    sweep(path, |_| true);
    match fs::remove_file(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(Error::File { verb: "remove", path: path.to_owned(), source })
        }
        _ => Ok(()),
    }
}

/// Removes what writers that were killed have left of replacements: temporary files older than any write takes.
pub(crate) fn sweep_abandoned(path: &Path) {
    const ABANDONED: Duration = Duration::from_mins(10);
    sweep(path, |entry| {
        let modified = entry.metadata().and_then(|found| found.modified()).ok();
        modified.and_then(|at| at.elapsed().ok()).is_some_and(|age| age > ABANDONED)
    });
}

/// Removes those temporary files of `path` that are `stale`.
fn sweep(path: &Path, stale: impl Fn(&DirEntry) -> bool) {
    let prefix = temporary_prefix(path);
    let beside = path.parent().map(fs::read_dir);
    for entry in beside.into_iter().flatten().flatten().flatten() {
        if entry.file_name().as_encoded_bytes().starts_with(prefix.as_encoded_bytes()) && stale(&entry) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_replaced_file_is_private_and_leaves_nothing_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sub/cache.json");
        replace(&path, b"one").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        replace(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o600);
        assert_eq!(path.parent().unwrap().metadata().unwrap().mode() & 0o777, 0o700);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn room_that_is_not_used_is_given_back_and_what_a_killed_writer_left_goes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cache.json");
        let names = || fs::read_dir(folder.path()).unwrap().count();
        drop(Replacement::with_room(&path, 64).unwrap());
        assert_eq!(names(), 0);
        let abandoned = Replacement::with_room(&path, 64).unwrap();
        abandoned.file.set_modified(std::time::SystemTime::now() - Duration::from_mins(11)).unwrap();
        std::mem::forget(abandoned);
        let at_work = Replacement::with_room(&path, 64).unwrap();
        Replacement::with_room(&path, 64).unwrap().write(b"short").unwrap();
        sweep_abandoned(&path);
        assert_eq!(names(), 2, "the new file, and the one at work");
        assert_eq!(fs::read(&path).unwrap(), b"short");
        at_work.write(&[b'x'; 100]).unwrap();
        assert_eq!(fs::read(&path).unwrap(), [b'x'; 100]);
        assert_eq!(names(), 1);
    }

    #[test]
    fn a_failed_write_names_the_file_and_keeps_what_was_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("taken");
        fs::create_dir(&path).unwrap();
        let error = replace(&path, b"x").unwrap_err();
        assert!(error.to_string().starts_with("could not write `"), "{error}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
