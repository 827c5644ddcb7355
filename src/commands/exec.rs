//! `awsdir exec` and `with-aws`: one command as another role. The process becomes the command.

use super::obtain::{self, Wanted};
use crate::cli::{Exec, ExecLogin};
use crate::context::{Context, clock};
use crate::core::environment::{self, Mark, Role};
use crate::error::{Error, Result};
use rustix::fs::Access;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// Returns only if the command could not be started.
pub(crate) fn run(context: &Context, arguments: &Exec) -> Result<ExitCode> {
    let (name, command_arguments) =
        arguments.command.split_first().ok_or(Error::NotFound { command: OsString::new() })?;
    let program = find(name, context.var_os("PATH").as_deref())?;
    let min_ttl = arguments.min_ttl.map_or(0, |ttl| i64::try_from(ttl.as_secs()).unwrap_or(i64::MAX));
    let no_sign_in = (arguments.login == ExecLogin::Never).then_some("`--login never`");
    let wanted = Wanted { profile: &arguments.profile, dotfile: None, min_ttl, no_sign_in, login: None };
    let (profile, credentials) = obtain::role_credentials(context, wanted)?;
    let left = credentials.expires_at.since(clock());
    if left < min_ttl {
        context.say(&format!("awsdir: the role credentials of `{}` last for {left} s only", profile.name));
    }
    let role = Role {
        profile: &profile.name,
        region: arguments.region.as_deref().or(profile.region.as_deref()),
        credentials: Some(&credentials),
        uid: context.uid,
    };
    let mut command = Command::new(&program);
    command.arg0(name).args(command_arguments);
    // A region that the hook set for another role goes with it; the person's own stays where the profile has none.
    if let Some(mark) = Mark::in_force(context.uid, |name| context.var_os(name)) {
        for name in mark.inherited(|name| context.var_os(name)) {
            command.env_remove(name);
        }
    }
    for assignment in environment::for_child(role) {
        match &assignment.value {
            Some(value) => command.env(assignment.name, value),
            None => command.env_remove(assignment.name),
        };
    }
    Err(Error::NotExecutable { command: name.clone(), source: Some(command.exec()) })
}

/// The program that a shell would run: as named if there is a slash in it, else the first executable on the path.
fn find(name: &OsStr, path: Option<&OsStr>) -> Result<PathBuf> {
    let executable = |path: &Path| path.is_file() && rustix::fs::access(path, Access::EXEC_OK).is_ok();
    let candidates: Vec<PathBuf> = if name.as_bytes().contains(&b'/') {
        vec![PathBuf::from(name)]
    } else {
        std::env::split_paths(path.unwrap_or(OsStr::new("/usr/local/bin:/usr/bin:/bin")))
            .map(|folder| match folder.as_os_str().is_empty() {
                // An empty element is the current directory.
                true => Path::new(".").join(name),
                false => folder.join(name),
            })
            .collect()
    };
    if let Some(program) = candidates.iter().find(|candidate| executable(candidate)) {
        return Ok(program.clone());
    }
    Err(match candidates.iter().any(|candidate| candidate.exists()) && !name.is_empty() {
        true => Error::NotExecutable { command: name.to_owned(), source: None },
        false => Error::NotFound { command: name.to_owned() },
    })
}
