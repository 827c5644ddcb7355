//! Reading and replacing whole files.

use crate::core::hex::hex;
use crate::error::{Error, Result};
use rustix::io::Errno;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

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
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|source| Error::File {
        verb: "create",
        path: path.to_owned(),
        source,
    })
}

/// Replaces a file at once and for good: a temporary file beside it, created readable by nobody else (0600), written,
/// fsynced and renamed. A process killed on the way leaves the old file whole.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    replace_with_mode(path, bytes, 0o600)
}

/// [`replace`] for a file that is not a secret and keeps company with the user's own.
pub(crate) fn replace_with_mode(path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    write_and_rename(path, bytes, mode, File::sync_all)
}

/// [`replace`] for what can be made again from other files: nobody waits for the disk.
pub(crate) fn replace_unsynced(path: &Path, bytes: &[u8]) -> Result<()> {
    write_and_rename(path, bytes, 0o600, |_| Ok(()))
}

fn write_and_rename(path: &Path, bytes: &[u8], mode: u32, sync: fn(&File) -> io::Result<()>) -> Result<()> {
    let failed = |source| Error::File { verb: "write", path: path.to_owned(), source };
    let directory = path.parent().unwrap_or(Path::new("/"));
    if !directory.exists() {
        create_private_directory(directory)?;
    }
    let temporary = temporary_name(path);
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(&temporary)
        .and_then(|mut file| {
            file.write_all(bytes)?;
            sync(&file)
        })
        .and_then(|()| fs::rename(&temporary, path));
    written.map_err(|source| {
        let _ = fs::remove_file(&temporary);
        failed(source)
    })
}

fn temporary_name(path: &Path) -> PathBuf {
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".{}", random_hex()));
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
    let mut prefix = std::ffi::OsString::from(".");
    prefix.push(path.file_name().unwrap_or_default());
    prefix.push(".");
    let beside = path.parent().map(fs::read_dir);
    for entry in beside.into_iter().flatten().flatten().flatten() {
        if entry.file_name().as_encoded_bytes().starts_with(prefix.as_encoded_bytes()) {
            let _ = fs::remove_file(entry.path());
        }
    }
    match fs::remove_file(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(Error::File { verb: "remove", path: path.to_owned(), source })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

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
    fn a_failed_write_names_the_file_and_keeps_what_was_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("taken");
        fs::create_dir(&path).unwrap();
        let error = replace(&path, b"x").unwrap_err();
        assert!(error.to_string().starts_with("could not write `"), "{error}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
