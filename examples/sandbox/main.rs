//! A place to try awsdir without an AWS account: a loopback Identity Center, a HOME with two projects, your shell.
//!
//! `cargo run --example sandbox` opens the shell; everything is removed when you leave it.
//! `cargo run --example sandbox -- --tour` does the main job by itself in bash, zsh and fish, and prints what a person
//! would have seen.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a terminal program of one page")]
#![allow(clippy::disallowed_methods, reason = "there is no Context here")]

mod caller;
#[path = "../../tests/identity_center/mod.rs"]
#[allow(clippy::expect_used, reason = "shared with the tests")]
mod identity_center;
mod programs;
mod screen;
#[path = "../../tests/terminal.rs"]
#[allow(dead_code, clippy::unwrap_used, reason = "shared with the tests")]
mod terminal;
mod tour;
mod world;

use programs::Programs;
use std::error::Error;
use std::io::IsTerminal as _;
use std::path::Path;
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};
use world::{Shell, World};

type Result<T, E = Box<dyn Error>> = std::result::Result<T, E>;

const USAGE: &str = "\
Usage: cargo run --example sandbox               opens your shell in a sandbox
       cargo run --example sandbox -- --tour     does the main job by itself, in bash, zsh and fish";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let done = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => open_shell(),
        ["--tour"] => Programs::build().and_then(|programs| tour::run(&programs)),
        ["--whoami"] => caller::print_identity(),
        ["--help" | "-h"] => {
            println!("{USAGE}");
            Ok(())
        }
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    done.map_or_else(
        |error| {
            eprintln!("sandbox: {error}");
            ExitCode::FAILURE
        },
        |()| ExitCode::SUCCESS,
    )
}

fn open_shell() -> Result<()> {
    if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        return Err("a shell needs a terminal; without one, try `cargo run --example sandbox -- --tour`".into());
    }
    let shell = shell_of_person().ok_or("none of bash, zsh and fish is installed, and awsdir hooks into no other")?;
    let world = World::new(&Programs::build()?)?;
    let mut command = world.command(shell);
    command.envs(std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(world::is_of_terminal)));
    let browser = match world::browser_of_person() {
        Some(browser) => {
            command.env("BROWSER", browser);
            world.ask_for_consent();
            "in your browser"
        }
        None => "with a stand-in browser, which approves at once",
    };
    eprintln!(
        "
A sandbox: an Identity Center of its own on this machine, and a HOME that is removed when you leave. Try:

  cd ~/work/app                       its .awsprofile asks for read-only; nothing is set before you allow it
  awsdir allow                        signs in by itself ({browser})
  whoami-aws                          asks STS who you are; a program that knows nothing of awsdir
  awsdir allow ../prod
  cd ../prod && whoami-aws            another role, and no other sign-in
  with-aws read-only -- whoami-aws    one command as another role
  with-aws --renew read-only -- sh    the same for as long as the command runs
  awsdir status                       what is in force and why, and what will happen next
  cd                                  leaving takes it all away
  exit                                removes the sandbox
"
    );
    leave_signals_to_the_shell()?;
    command.spawn()?.wait()?;
    Ok(())
}

/// `$SHELL` if awsdir has a hook for it, else the first that has one.
fn shell_of_person() -> Option<Shell> {
    let named = std::env::var_os("SHELL");
    let named = named.as_deref().and_then(|path| Path::new(path).file_name()).and_then(|name| name.to_str());
    let preferred = Shell::ALL.into_iter().filter(|shell| named == Some(shell.name()));
    preferred.chain(Shell::ALL).find(|shell| shell.is_installed())
}

/// Signals are for the shell to heed: we stay until it has ended, and leave nothing behind.
fn leave_signals_to_the_shell() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let _inside = runtime.enter();
    for kind in [SignalKind::hangup(), SignalKind::interrupt(), SignalKind::quit(), SignalKind::terminate()] {
        drop(signal(kind)?); // its handler stays for good
    }
    Ok(())
}
