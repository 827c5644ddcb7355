//! `awsdir completions SHELL`: registers a completer with the shell, and the completer's answers.
//!
//! The script only says which program to ask. Names of profiles come from the config at the moment of asking, by a scan
//! for section headers: among ten thousand they are there before the finger has left the key.

use super::print;
use crate::cli::{Cli, Completions, WithAws};
use crate::context::Context;
use crate::error::{Error, Result};
use crate::shell::Shell;
use crate::store::profiles;
use clap::{Arg, Command, CommandFactory as _};
use clap_complete::CompleteEnv;
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate};
use clap_complete::env::Shells;
use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::ExitCode;

/// The variable by which a completer is told that it is asked, and by which shell.
const ASKED: &str = "AWSDIR_COMPLETE";

pub(super) fn run(arguments: &Completions) -> Result<()> {
    let failed = |doing| move |source| Error::System { doing, source };
    let program = std::env::current_exe().map_err(failed("find the path of this program"))?;
    let name = match arguments.shell {
        Shell::Bash => "bash",
        Shell::Zsh => "zsh",
        Shell::Fish => "fish",
    };
    let mut script = Vec::new();
    let shells = Shells::builtins();
    for command in ["awsdir", "with-aws"] {
        let Some(shell) = shells.completer(name) else { continue };
        shell
            .write_registration(ASKED, command, command, &program.to_string_lossy(), &mut script)
            .map_err(failed("write the completion script"))?;
    }
    print(script)
}

/// Answers the shell if it is one that asks, after `--`, about the words of a command line of either program.
pub(crate) fn answer(words: &[OsString]) -> Option<ExitCode> {
    let program = words.iter().skip_while(|word| *word != "--").nth(1);
    let of_with_aws = program.is_some_and(|program| Path::new(program).file_name() == Some(OsStr::new("with-aws")));
    let grammar = move || with_completers(if of_with_aws { WithAws::command() } else { Cli::command() });
    match CompleteEnv::with_factory(grammar).var(ASKED).try_complete(words, None) {
        Ok(false) => None,
        Ok(true) => Some(ExitCode::SUCCESS),
        Err(error) => {
            // A shell that has gone away needs no answer.
            let _ = error.print();
            Some(ExitCode::FAILURE)
        }
    }
}

/// The grammar, in which arguments that name a profile or a session know where to find one.
fn with_completers(command: Command) -> Command {
    let completer = |arg: &Arg| match arg.get_id().as_str() {
        "profile" => Some(ArgValueCompleter::new(|typed: &OsStr| {
            let mut found = starting_with(typed, profiles::Names::profiles);
            found.extend(permission_sets(typed));
            found
        })),
        "session" => Some(ArgValueCompleter::new(|typed: &OsStr| starting_with(typed, profiles::Names::sessions))),
        _ => None,
    };
    let command = command.mut_args(|arg| match completer(&arg) {
        Some(completer) => arg.add(completer),
        None => arg,
    });
    command.mut_subcommands(with_completers)
}

/// Those of the accounts that begin with the digits that were typed. Only then are profiles read.
fn permission_sets(typed: &OsStr) -> Vec<CompletionCandidate> {
    let Some(typed) = typed.to_str().filter(|typed| typed.starts_with(|c: char| c.is_ascii_digit())) else {
        return Vec::new();
    };
    let known =
        profiles::Profiles::load(&Context::new()).map(|profiles| profiles.permission_sets()).unwrap_or_default();
    known.into_iter().filter(|name| name.starts_with(typed)).map(CompletionCandidate::new).collect()
}

fn starting_with(typed: &OsStr, names: fn(&profiles::Names) -> Vec<&str>) -> Vec<CompletionCandidate> {
    let (Some(typed), Ok(known)) = (typed.to_str(), profiles::Names::load(&Context::new())) else { return Vec::new() };
    names(&known).into_iter().filter(|name| name.starts_with(typed)).map(CompletionCandidate::new).collect()
}
