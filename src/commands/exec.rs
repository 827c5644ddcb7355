//! `awsdir exec` and `with-aws`: one command as another role. The process becomes the command, or stays beside it to renew
//! its role credentials.

use super::obtain::{self, Wanted};
use super::supervise::{put_off_stopping, supervise};
use super::{renewal, seconds};
use crate::cli::{Delivery, Exec, ExecLogin};
use crate::context::{Context, clock};
use crate::core::environment::{self, Assignment, Mark, Role};
use crate::error::{Error, Result};
use crate::sso;
use crate::sso::endpoint::{self, Endpoint};
use crate::store::{profiles, stand_ins};
use rustix::fs::Access;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// Seconds before their end at which role credentials are renewed for a command that runs on: before any SDK asks for newer
/// ones, which botocore does first, at 15 minutes.
const AHEAD: i64 = 20 * 60;

pub(crate) fn run(context: &Context, arguments: &Exec) -> Result<ExitCode> {
    let (name, command_arguments) =
        arguments.command.split_first().ok_or(Error::NotFound { command: OsString::new() })?;
    let program = find(name, context.var_os("PATH").as_deref())?;
    let min_ttl = seconds(arguments.min_ttl);
    let delivery = match arguments.credentials {
        Some(delivery) => delivery,
        None if arguments.renew => Delivery::Endpoint,
        None => Delivery::Env,
    };
    let wanted_ttl = match delivery {
        Delivery::Env if arguments.renew => i64::MAX,
        Delivery::Env => min_ttl,
        Delivery::Endpoint | Delivery::Process => min_ttl.max(AHEAD),
    };
    let no_sign_in = (arguments.login == ExecLogin::Never).then_some("`--login never`");
    let profile = profiles::profile(context, &arguments.profile)?;
    let wanted = Wanted { profile: &profile, dotfile: None, min_ttl: wanted_ttl, no_sign_in, login: None };
    let credentials = obtain::credentials(context, wanted)?;
    // What has no end, such as a person's access keys, needs no renewal.
    let renewed = if delivery == Delivery::Env { None } else { credentials.clone().into_role() };
    let left = credentials.expires_at.map_or(i64::MAX, |end| end.since(clock()));
    if left < min_ttl {
        context.say(&format!("awsdir: the role credentials of `{}` last for {left} s only", profile.name()));
    }
    let role = Role {
        profile: profile.name(),
        is_in_config: profile.is_in_config(),
        region: arguments.region.as_deref().or(profile.region()),
        credentials: renewed.is_none().then_some((&credentials).into()),
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
    assign(&mut command, &environment::for_child(role));
    let Some(credentials) = renewed else {
        return Err(Error::NotExecutable { command: name.clone(), source: Some(command.exec()) });
    };
    put_off_stopping();
    let awsdir = renewal::awsdir()?;
    let by_process = delivery == Delivery::Process;
    let stand_ins = match by_process {
        true => stand_ins::for_process(context, &awsdir, profile.name())?,
        false => stand_ins::for_endpoint(context)?,
    };
    assign(&mut command, &stand_ins.assignments);
    let renewal = renewal::renewal(context, &profile, awsdir, wanted_ttl)?;
    if by_process {
        sso::keep(renewal, credentials)?;
    } else {
        let account_id = profile.account_id().map(str::to_owned);
        let Endpoint { uri, token } = endpoint::open(renewal, account_id, credentials)?;
        assign(&mut command, &environment::for_endpoint(&uri, token.expose(), |name| context.var_os(name)));
    }
    let ended = supervise(&mut command)?;
    drop(stand_ins);
    Ok(ended.exit_code())
}

fn assign(command: &mut Command, assignments: &[Assignment]) {
    for Assignment { name, value } in assignments {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
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
