//! `awsdir pin`: writes `.awsprofile` and allows it.

use super::gather;
use crate::cli::Pin;
use crate::context::Context;
use crate::core::dotfile::{self, FILE_NAME};
use crate::core::profile::Profile;
use crate::error::{Error, Result};
use crate::store::{dotfiles, files, generation, profiles, trust};
use std::path::Path;

/// A dotfile is no secret and is meant to be committed.
const MODE: u32 = 0o644;

pub(super) fn run(context: &Context, arguments: &Pin) -> Result<()> {
    let directory = match &arguments.dir {
        Some(dir) => context.directory.join(dir),
        None => context.directory.clone(),
    };
    let path = directory.join(FILE_NAME);
    let profile = profiles::profile(context, &arguments.profile)?;
    let text = text(&path, &selection(&arguments.profile, &profile), arguments.region.as_deref())?;
    // What we write must be what we would read.
    dotfile::parse(text.as_bytes()).map_err(|error| Error::Dotfile { path: path.clone(), error })?;
    directory.metadata().map_err(|source| Error::File { verb: "write", path: path.clone(), source })?;
    files::replace_with_mode(&path, text.as_bytes(), MODE)?;
    let found = dotfiles::read(&path)?;
    trust::allow(context, &found)?;
    generation::advance(context)?;
    let selection = gather::selection(&found.parse()?, Some(&profile));
    context.say(&format!("awsdir: pinned `{}` to {selection}", directory.display()));
    Ok(())
}

/// What is written for the `name` that was given: the profile; or, where that is `account/permission-set`, the role itself.
fn selection(name: &str, profile: &Profile) -> Vec<(&'static str, String)> {
    match profile {
        Profile::Sso(sso) if sso.name != name || !sso.is_in_config => vec![
            ("sso_start_url", sso.session.start_url.clone()),
            ("sso_region", sso.session.region.clone()),
            ("sso_account_id", sso.account_id.clone()),
            ("sso_role_name", sso.role_name.clone()),
        ],
        _ => vec![("profile", name.to_owned())],
    }
}

/// The new content: the bare form if a profile is all there is to say, else the key form. Comments and other keys of an
/// existing dotfile stay as they are; a file that is not one is not overwritten.
fn text(path: &Path, selection: &[(&str, String)], region: Option<&str>) -> Result<String> {
    let fresh = if let ([("profile", name)], None) = (selection, region) {
        vec![name.clone()]
    } else {
        let pairs = selection.iter().map(|(key, value)| (*key, value.as_str()));
        let pairs = pairs.chain(region.map(|region| ("region", region)));
        pairs.map(|(key, value)| format!("{key} = {value}")).collect()
    };
    if !path.exists() {
        return Ok(fresh.join("\n") + "\n");
    }
    let found = dotfiles::read(path)?;
    found.parse().map_err(|error| match error {
        Error::Dotfile { path, error } => Error::WouldOverwrite { path, error },
        other => other,
    })?;
    let old = String::from_utf8_lossy(&found.content);
    let mut lines: Vec<String> = old.lines().map(str::to_owned).collect();
    let statement = lines.iter().position(|line| dotfile::is_statement(line)).unwrap_or_default();
    if lines[statement].contains('=') {
        // In the place of what was selected, so that what is said above it stays above it.
        let selects = |line: &str| dotfile::SELECTION.iter().any(|key| is_key(line, key));
        let place = lines.iter().position(|line| selects(line)).unwrap_or(statement);
        lines.retain(|line| !selects(line));
        lines.splice(place..place, selection.iter().map(|(key, value)| format!("{key} = {value}")));
        if let Some(region) = region {
            set(&mut lines, "region", region);
        }
    } else {
        lines.splice(statement..=statement, fresh);
    }
    Ok(lines.join("\n") + "\n")
}

fn set(lines: &mut Vec<String>, key: &str, value: &str) {
    let new = format!("{key} = {value}");
    match lines.iter_mut().find(|line| is_key(line, key)) {
        Some(line) => *line = new,
        None => lines.push(new),
    }
}

fn is_key(line: &str, key: &str) -> bool {
    line.split_once('=').is_some_and(|(name, _)| name.trim() == key)
}
