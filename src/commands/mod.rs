//! One file per verb: gather → decide → act.
//!
//! `hook`, `prompt`, `status`, `list`, `init`, `allow` and `pin` never touch the network.

mod allow;
pub(crate) mod completions;
mod credential_process;
pub(crate) mod exec;
mod export;
mod gather;
mod hook;
mod init;
mod list;
mod login;
mod logout;
mod obtain;
mod pin;
mod prompt;
mod refresh;
mod renewal;
mod status;
mod supervise;

use crate::cli::Command;
use crate::context::Context;
use crate::core::environment::{Mark, ROLE_SECRETS};
use crate::error::{Error, Result};
use std::io::{self, Write as _};
use std::process::{self, ExitCode, Stdio};
use std::time::Duration;

pub(crate) fn run(context: &Context, command: Command) -> Result<ExitCode> {
    match command {
        Command::Init(arguments) => init::run(context, &arguments),
        // Whatever happens to its output, a hook never fails.
        Command::Hook(arguments) => hook::run(context, &arguments).or(Ok(())),
        Command::Refresh(arguments) => return Ok(refresh::run(context, &arguments)),
        Command::Pin(arguments) => pin::run(context, &arguments),
        Command::Allow(arguments) => allow::allow(context, &arguments),
        Command::Deny(arguments) => allow::deny(context, &arguments),
        Command::Login(arguments) => login::run(context, &arguments),
        Command::Logout(arguments) => logout::run(context, &arguments),
        Command::List(arguments) => list::run(context, &arguments),
        Command::Status(arguments) => return status::run(context, &arguments),
        Command::Exec(arguments) => return exec::run(context, &arguments),
        Command::Export(arguments) => export::run(context, &arguments),
        Command::CredentialProcess(arguments) => credential_process::run(context, &arguments),
        Command::Prompt(arguments) => prompt::run(context, &arguments),
        Command::Completions(arguments) => completions::run(&arguments),
    }
    .map(|()| ExitCode::SUCCESS)
}

/// `awsdir refresh` for nobody to wait for on a terminal, which renews by what is in the caches.
fn detached_refresh(context: &Context) -> io::Result<process::Command> {
    let mut command = process::Command::new(std::env::current_exe()?);
    command.args(["refresh", "--detached"]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    without_role(context, &mut command);
    Ok(command)
}

/// Keeps from a process of our own the role credentials that we have put into the environment. What the person has there, a
/// chain may begin with.
fn without_role(context: &Context, command: &mut process::Command) {
    if Mark::in_force(context.uid, |name| context.var_os(name)).is_some() {
        for name in ROLE_SECRETS {
            command.env_remove(name);
        }
    }
}

/// A `--min-ttl` in seconds.
fn seconds(ttl: Option<Duration>) -> i64 {
    ttl.map_or(0, |ttl| i64::try_from(ttl.as_secs()).unwrap_or(i64::MAX))
}

/// Data for stdout. A pipe closed early is not a failure; the caller's caller sees to that.
fn print(text: impl AsRef<[u8]>) -> Result<()> {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(text.as_ref()).and_then(|()| stdout.flush()).map_err(Error::Stdout)
}
