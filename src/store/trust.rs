//! Which dotfiles may act: by exact content at a path, as in direnv, or under a root that the user listed.
//!
//! A record is a file of its own, named by a hash, so that no two processes ever edit the same one.

use super::dotfiles::Found;
use super::files;
use crate::context::{Context, join};
use crate::core::hex::hex;
use crate::error::Result;
use sha2::{Digest, Sha256};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Whether `found` may act: allowed by content, or under one of `roots` and not denied.
pub(crate) fn is_allowed(context: &Context, found: &Found, roots: &[PathBuf]) -> Result<bool> {
    if allow_record(context, found)?.exists() {
        return Ok(true);
    }
    let path = canonical(context, &found.path);
    let trusted = roots.iter().any(|root| path.starts_with(context.canonical(root)));
    Ok(trusted && !deny_record(context, &path)?.exists())
}

/// Allows this content at this path.
pub(crate) fn allow(context: &Context, found: &Found) -> Result<()> {
    let path = canonical(context, &found.path);
    files::replace(&allow_record(context, found)?, path.as_os_str().as_bytes())?;
    files::remove(&deny_record(context, &path)?)
}

/// Takes back every permission of this path, whatever the content, and outranks trusted roots.
pub(crate) fn deny(context: &Context, path: &Path) -> Result<()> {
    let path = canonical(context, path);
    files::replace(&deny_record(context, &path)?, path.as_os_str().as_bytes())?;
    let records = fs::read_dir(context.state_directory()?.join("allow"));
    for record in records.into_iter().flatten().flatten() {
        if fs::read(record.path()).is_ok_and(|of| of == path.as_os_str().as_bytes()) {
            files::remove(&record.path())?;
        }
    }
    Ok(())
}

fn allow_record(context: &Context, found: &Found) -> Result<PathBuf> {
    let mut hash = Sha256::new();
    hash.update(canonical(context, &found.path).as_os_str().as_bytes());
    hash.update(b"\n");
    hash.update(&found.content);
    Ok(join(context.state_directory()?, ["allow/", &hex(&hash.finalize())]))
}

fn deny_record(context: &Context, path: &Path) -> Result<PathBuf> {
    let name = hex(&Sha256::digest(path.as_os_str().as_bytes()));
    Ok(join(context.state_directory()?, ["deny/", &name]))
}

/// The directory with its symlinks resolved and the file's own name: one record per place, however one came there.
pub(crate) fn canonical(context: &Context, path: &Path) -> PathBuf {
    match (path.parent(), path.file_name()) {
        (Some(directory), Some(name)) => context.canonical(directory).join(name),
        _ => path.to_owned(),
    }
}
