//! `awsdir allow` and `awsdir deny`: trust in a dotfile, given and taken back.

use super::gather;
use crate::cli::Trust;
use crate::context::Context;
use crate::core::dotfile::FILE_NAME;
use crate::error::{Error, Result};
use crate::store::{dotfiles, generation, trust};
use std::path::PathBuf;

pub(super) fn allow(context: &Context, arguments: &Trust) -> Result<()> {
    let path = path(context, arguments)?;
    let found = dotfiles::read(&path)?;
    found.check_owner(context.uid)?;
    let dotfile = found.parse()?;
    let profile = gather::profile(context, &dotfile.selection);
    gather::check_link(&found, &dotfile.selection, &profile, false)?;
    trust::allow(context, &found)?;
    generation::advance(context)?;
    let selection = gather::selection(&dotfile, profile.as_ref().ok());
    context.say(&format!("awsdir: allowed `{}`: {selection}", path.display()));
    Ok(())
}

pub(super) fn deny(context: &Context, arguments: &Trust) -> Result<()> {
    let path = path(context, arguments)?;
    trust::deny(context, &path)?;
    generation::advance(context)?;
    context.say(&format!("awsdir: denied `{}`", path.display()));
    Ok(())
}

/// The file that is meant: named, in the named directory, or in force here.
fn path(context: &Context, arguments: &Trust) -> Result<PathBuf> {
    let Some(named) = &arguments.path else {
        return gather::dotfile_path(context).ok_or_else(|| Error::NoDotfile { directory: context.directory.clone() });
    };
    let path = context.directory.join(named);
    let path = if path.is_dir() { path.join(FILE_NAME) } else { path };
    Ok(trust::canonical(context, &path))
}
