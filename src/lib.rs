//! awsdir: cd into a project and have its AWS role; sign in once, for every shell.
//!
//! Parse → [`Context`] → command → exit code. This is the only place that prints an error. Both binaries start
//! here; everything else is private.

mod arena;
mod cli;
mod commands;
mod context;
mod core;
mod error;
#[cfg(fuzzing)]
pub mod hostile;
#[cfg(all(test, not(fuzzing)))]
mod hostile;
mod name_service;
mod shell;
mod sso;
mod store;

use cli::{Cli, WithAws, frequent};
use context::{Context, Verbosity, eprint_line, eprint_styled};
use error::Error;
use std::ffi::OsString;
use std::io::IsTerminal as _;
use std::process::ExitCode;

/// Our own failure, where any other code could be the command's.
const OWN_FAILURE: u8 = 125;

/// Keeps debuggers of the same user out, and the kernel from writing a core file: there will be secrets in our memory. What
/// `exec` starts is not bound by it.
fn seal_memory() {
    #[cfg(target_os = "linux")]
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
}

/// The `awsdir` command.
#[must_use]
pub fn awsdir() -> ExitCode {
    seal_memory();
    let words: Vec<OsString> = std::env::args_os().collect();
    let wrong = if verb_is_exec(&words) { OWN_FAILURE } else { 2 };
    let short = frequent::awsdir(words.get(1..).unwrap_or_default());
    let cli = match short.map_or_else(|| by_grammar::<Cli>(&words, wrong), Ok) {
        Ok(cli) => cli,
        Err(code) => return code,
    };
    let context = context(cli.global);
    let of_exec = matches!(cli.command, cli::Command::Exec(_));
    finish(&context, commands::run(&context, cli.command), of_exec)
}

/// The command line by its whole grammar. One that is wrong (with that code), or that asks for help or completions, is
/// answered here. Kept out of line: it needs much of the stack, which those who do without it need not touch.
#[inline(never)]
fn by_grammar<P: clap::Parser>(words: &[OsString], wrong: u8) -> Result<P, ExitCode> {
    match commands::completions::answer(words) {
        Some(code) => Err(code),
        None => P::try_parse_from(words).map_err(|error| wrong_command_line(&error, wrong)),
    }
}

/// Whether a command line that clap could not read is one of `exec`: the first word that is no global flag.
fn verb_is_exec(words: &[OsString]) -> bool {
    let mut words = words.iter().skip(1);
    loop {
        match words.next() {
            Some(word) if word == "--color" => drop(words.next()),
            Some(word) if word.as_encoded_bytes().starts_with(b"-") => {}
            verb => return verb.is_some_and(|verb| verb == "exec"),
        }
    }
}

/// The `with-aws` command.
#[must_use]
pub fn with_aws() -> ExitCode {
    seal_memory();
    let words: Vec<OsString> = std::env::args_os().collect();
    let short = frequent::with_aws(words.get(1..).unwrap_or_default());
    let cli = match short.map_or_else(|| by_grammar::<WithAws>(&words, OWN_FAILURE), Ok) {
        Ok(cli) => cli,
        Err(code) => return code,
    };
    let context = context(cli.global);
    finish(&context, commands::exec::run(&context, &cli.exec), true)
}

fn context(global: cli::Global) -> Context {
    let mut context = Context::new();
    context.verbosity = match (global.quiet, global.verbose) {
        (true, _) => Verbosity::Quiet,
        (_, true) => Verbosity::Verbose,
        _ => Verbosity::Normal,
    };
    context.color = match global.color {
        cli::Color::Always => true,
        cli::Color::Never => false,
        cli::Color::Auto => {
            std::io::stderr().is_terminal()
                && context.var("NO_COLOR").is_none()
                && context.var("TERM").as_deref() != Some("dumb")
        }
    };
    context
}

/// Help and version are asked for and come on stdout with 0; anything else is a wrong command line.
fn wrong_command_line(error: &clap::Error, code: u8) -> ExitCode {
    // A closed pipe is nobody's failure.
    let _ = error.print();
    if error.use_stderr() { ExitCode::from(code) } else { ExitCode::SUCCESS }
}

fn finish(context: &Context, outcome: error::Result<ExitCode>, of_exec: bool) -> ExitCode {
    match outcome {
        Ok(code) => code,
        Err(Error::Stdout(source)) if source.kind() == std::io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            report(context, &error);
            if of_exec && matches!(error, Error::Interrupted) {
                // Of the signal itself, as the command would have: a shell then ends the whole line.
                let _ = signal_hook::low_level::emulate_default_handler(signal_hook::consts::SIGINT);
            }
            match error.code() {
                own @ 1..=5 if of_exec => {
                    debug_assert!(own != 2, "clap reports wrong command lines");
                    ExitCode::from(OWN_FAILURE)
                }
                code => ExitCode::from(code),
            }
        }
    }
}

fn report(context: &Context, error: &Error) {
    let (red, bold) = if context.color { ("\x1b[31m", "\x1b[1m") } else { ("", "") };
    eprint_styled(&[(red, "awsdir:"), ("", &format!(" {error}"))]);
    if let Some(cause) = error.cause() {
        eprint_line(&format!("caused by: {cause}"));
    }
    if let Some(hint) = error.hint() {
        eprint_styled(&[("", "hint: "), (bold, &hint)]);
    }
}
