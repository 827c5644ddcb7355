//! Finding the dotfile in force and reading it without being led astray.

use crate::context::join;
use crate::core::dotfile::{self, Dotfile, FILE_NAME, MAX_BYTES};
use crate::error::{Error, Result};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use std::ffi::OsStr;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A dotfile as it was read: path, content (at most one byte more than allowed), and whose it is.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) path: PathBuf,
    pub(crate) content: Vec<u8>,
    owner: u32,
    mode: u32,
    /// The file is elsewhere. Then it may be a secret of the person's, and unless it is a dotfile that names one of their
    /// profiles, no word of it is shown.
    pub(crate) is_link: bool,
}

/// The nearest dotfile from `directory` upwards. The walk ends at the first regular file of the name, at the root, or
/// at a directory named in `ceiling` (colon separated), which is itself still looked into.
pub(crate) fn find(directory: &Path, ceiling: Option<&OsStr>) -> Option<PathBuf> {
    let ceilings: Vec<&OsStr> =
        ceiling.map_or_else(Vec::new, |list| list.as_bytes().split(|b| *b == b':').map(OsStr::from_bytes).collect());
    for directory in directory.ancestors() {
        let candidate = join(directory, [FILE_NAME]);
        if candidate.is_file() {
            return Some(candidate);
        }
        if ceilings.iter().any(|ceiling| !ceiling.is_empty() && Path::new(ceiling) == directory) {
            return None;
        }
    }
    None
}

/// Reads a dotfile. Opened once and judged by what was opened, so that nothing can be swapped in between; never blocks,
/// whatever the path has become.
pub(crate) fn read(path: &Path) -> Result<Found> {
    let failed = |source: std::io::Error| Error::File { verb: "read", path: path.to_owned(), source };
    let open = |more| {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | more;
        rustix::fs::open(path, flags, Mode::empty()).map(File::from)
    };
    let (file, is_link) = match open(OFlags::NOFOLLOW) {
        Err(Errno::LOOP) => (open(OFlags::empty()), true),
        opened => (opened, false),
    };
    let file = file.map_err(|errno| failed(errno.into()))?;
    let metadata = file.metadata().map_err(failed)?;
    if !metadata.is_file() {
        return Err(Error::DotfileRefused { path: path.to_owned(), why: "it is not a regular file", mend: None });
    }
    let mut content = Vec::new();
    file.take(MAX_BYTES as u64 + 1).read_to_end(&mut content).map_err(failed)?;
    Ok(Found { path: path.to_owned(), content, owner: metadata.uid(), mode: metadata.mode(), is_link })
}

impl Found {
    /// Refuses a file that somebody else could have written: owned by another than `uid` or root, or writable by
    /// everybody.
    pub(crate) fn check_owner(&self, uid: u32) -> Result<()> {
        let (why, mend) = if self.owner != uid && self.owner != 0 {
            ("another user owns it", "sudo chown \"$USER\"")
        } else if self.mode & 0o002 != 0 {
            ("others can write to it", "chmod o-w")
        } else {
            return Ok(());
        };
        Err(Error::DotfileRefused { path: self.path.clone(), why, mend: Some(mend) })
    }

    pub(crate) fn parse(&self) -> Result<Dotfile> {
        dotfile::parse(&self.content).map_err(|error| match self.is_link {
            true => self.leads_astray(),
            false => Error::Dotfile { path: self.path.clone(), error },
        })
    }

    pub(crate) fn leads_astray(&self) -> Error {
        let why = "it is a link, and to nothing that names a profile of yours";
        Error::DotfileRefused { path: self.path.clone(), why, mend: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn the_nearest_file_wins_and_the_ceiling_ends_the_walk() {
        let root = tempfile::tempdir().unwrap();
        let (outer, inner) = (root.path().join("a"), root.path().join("a/b/c"));
        fs::create_dir_all(&inner).unwrap();
        fs::write(outer.join(FILE_NAME), "outer").unwrap();
        assert_eq!(find(&inner, None), Some(outer.join(FILE_NAME)));
        let at = |ceiling: &Path| find(&inner, Some(format!("/nowhere::{}", ceiling.display()).as_ref()));
        assert_eq!(at(&outer), Some(outer.join(FILE_NAME)), "the ceiling itself is looked into");
        assert_eq!(at(&outer.join("b")), None);
        // What is not a regular file is passed by.
        fs::create_dir(inner.join(FILE_NAME)).unwrap();
        assert_eq!(find(&inner, None), Some(outer.join(FILE_NAME)));
        fs::write(outer.join("b").join(FILE_NAME), "nearer").unwrap();
        assert_eq!(find(&inner, None), Some(outer.join("b").join(FILE_NAME)));
    }

    #[test]
    fn what_is_read_through_a_link_is_known_for_it_whatever_stands_there_by_then() {
        use std::os::unix::fs::symlink;
        use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
        let folder = tempfile::tempdir().unwrap();
        let [path, new, secret] = ["dotfile", "new", "secret"].map(|name| folder.path().join(name));
        fs::write(&secret, "secret").unwrap();
        symlink(&secret, &path).unwrap();
        let (mut through_a_link, mut straight, done) = (0, 0, AtomicBool::new(false));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(Relaxed) {
                    fs::write(&new, "plain").unwrap();
                    fs::rename(&new, &path).unwrap();
                    symlink(&secret, &new).unwrap();
                    fs::rename(&new, &path).unwrap();
                }
            });
            let mut wrong = 0;
            while wrong == 0 && through_a_link.min(straight) < 2000 {
                let found = read(&path).unwrap();
                let is_secret = found.content == b"secret";
                through_a_link += u32::from(is_secret);
                straight += u32::from(!is_secret);
                wrong += u32::from(is_secret && !found.is_link);
            }
            done.store(true, Relaxed);
            assert_eq!(wrong, 0, "after {through_a_link} and {straight}");
        });
    }

    #[test]
    fn a_huge_file_is_not_read_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE_NAME);
        fs::write(&path, vec![b'x'; 1 << 20]).unwrap();
        assert_eq!(read(&path).unwrap().content.len(), MAX_BYTES + 1);
    }
}
