//! The main job without a person: a real shell on a terminal, keys sent to it, what it shows checked step by step.

use crate::Result;
use crate::programs::Programs;
use crate::screen;
use crate::terminal::Terminal;
use crate::world::{Shell, World};

/// A line typed into the shell, and what must come of it.
struct Step {
    promise: &'static str,
    line: &'static str,
    /// What the screen shows before the next prompt; nothing at all if empty.
    shows: &'static [&'static str],
    /// The next prompt, whole.
    prompt: &'static str,
}

/// Names, never values, of what awsdir may set; the endpoints of the sandbox (`AWS_E…`) are not its business.
const NAMES: &str = "env | grep '^AWS[D_][^E]' | cut -d= -f1 | sort";

const STEPS: [Step; 11] = [
    Step {
        promise: "a dotfile does nothing before it is allowed",
        line: "cd ~/work/app",
        shows: &["not allowed", "read-only", "awsdir allow"],
        prompt: "~/work/app read-only not allowed> ",
    },
    Step {
        promise: "allowed, it signs in by itself",
        line: "awsdir allow",
        shows: &["awsdir: signing in to `corp` for profile `read-only`", "approve it in your browser"],
        prompt: "~/work/app read-only 42m> ",
    },
    Step {
        promise: "any program has the role",
        line: "whoami-aws",
        shows: &["arn:aws:sts::111111111111:assumed-role/AWSReservedSSO_ReadOnly_"],
        prompt: "~/work/app read-only 42m> ",
    },
    Step {
        promise: "the standard variables are set",
        line: NAMES,
        shows: &["AWSDIR\nAWS_ACCESS_KEY_ID\nAWS_CREDENTIAL_EXPIRATION\nAWS_DEFAULT_REGION\nAWS_PROFILE\nAWS_REGION\n\
             AWS_SECRET_ACCESS_KEY\nAWS_SESSION_TOKEN"],
        prompt: "~/work/app read-only 42m> ",
    },
    Step {
        promise: "a dotfile can be allowed from elsewhere",
        line: "awsdir allow ../prod && echo still $AWS_PROFILE in $AWS_REGION",
        shows: &["still read-only in eu-west-1"],
        prompt: "~/work/app read-only 42m> ",
    },
    Step {
        promise: "the new role is there for the rest of the line, without another sign-in",
        line: "cd ../prod && whoami-aws && echo $AWS_PROFILE in $AWS_REGION",
        shows: &["arn:aws:sts::222222222222:assumed-role/AWSReservedSSO_Admin_", "prod-admin in us-west-2"],
        prompt: "~/work/prod prod-admin! 42m> ",
    },
    Step {
        promise: "with-aws runs one command as another role",
        line: "with-aws read-only -- whoami-aws",
        shows: &["arn:aws:sts::111111111111:assumed-role/AWSReservedSSO_ReadOnly_"],
        prompt: "~/work/prod prod-admin! 42m> ",
    },
    Step {
        promise: "with-aws --renew gives a command its role for as long as it runs",
        line: "with-aws --renew read-only -- whoami-aws",
        shows: &["arn:aws:sts::111111111111:assumed-role/AWSReservedSSO_ReadOnly_"],
        prompt: "~/work/prod prod-admin! 42m> ",
    },
    Step {
        promise: "status says what is in force and why",
        line: "awsdir status",
        shows: &["prod-admin, from ", "/work/prod/.awsprofile", "Admin in account 222222222222", "fresh, 42m left"],
        prompt: "~/work/prod prod-admin! 42m> ",
    },
    Step { promise: "leaving is silent", line: "cd", shows: &[], prompt: "~ > " },
    Step { promise: "leaving takes every variable away", line: NAMES, shows: &[], prompt: "~ > " },
];

pub(crate) fn run(programs: &Programs) -> Result<()> {
    let (installed, missing): (Vec<_>, Vec<_>) = Shell::ALL.into_iter().partition(|shell| shell.is_installed());
    for shell in &installed {
        visit(*shell, programs).map_err(|error| format!("in {}: {error}", shell.name()))?;
    }
    for shell in &missing {
        println!("SKIPPED: {} is not installed", shell.name());
    }
    if installed.is_empty() || !missing.is_empty() && std::env::var_os("AWSDIR_REQUIRE_SHELLS").is_some() {
        return Err("not every shell is installed".into());
    }
    Ok(())
}

/// Goes all the way in one shell and prints what it showed, also if it went wrong.
fn visit(shell: Shell, programs: &Programs) -> Result<()> {
    let world = World::new(programs)?;
    let mut command = world.command(shell);
    // Newer fish asks the terminal who it is, and there is no terminal to answer.
    command.env("fish_features", "no-query-term");
    let mut terminal = Terminal::spawn(&mut command);
    let outcome = walk(&mut terminal);
    let transcript = if outcome.is_ok() {
        terminal.send("exit\r");
        String::from_utf8_lossy(&terminal.wait().screen).into_owned()
    } else {
        terminal.screen()
    };
    println!("──── {} ────\n{}\n", shell.name(), screen::text(&transcript));
    outcome?;
    conclude(&world, &transcript)
}

fn walk(terminal: &mut Terminal) -> Result<(), String> {
    await_text("~ > ", terminal)?;
    for step in &STEPS {
        take(step, terminal).map_err(|why| format!("not so: {} (`{}`): {why}", step.promise, step.line))?;
    }
    Ok(())
}

fn take(step: &Step, terminal: &mut Terminal) -> Result<(), String> {
    terminal.send(format!("{}\r", step.line));
    await_text("\n", terminal)?; // the end of what was typed
    let shown = await_text(step.prompt, terminal)?;
    let shown = shown.strip_suffix(step.prompt.trim_end()).unwrap_or(&shown).trim();
    match step.shows.iter().find(|text| !shown.contains(**text)) {
        Some(missing) => Err(format!("`{missing}` is missing in:\n{shown}")),
        None if step.shows.is_empty() && !shown.is_empty() => Err(format!("nothing should be shown, but:\n{shown}")),
        None => Ok(()),
    }
}

/// What was shown until `text` appeared.
fn await_text(text: &str, terminal: &mut Terminal) -> Result<String, String> {
    let shown = terminal.try_wait_for(text);
    shown.map(|written| screen::text(&written)).map_err(|missed| screen::text(&missed.replacen('\n', "\r\n", 1)))
}

/// What can be said only at the end.
fn conclude(world: &World, transcript: &str) -> Result<()> {
    let opened = world.identity_center.browser_opens().len();
    if opened != 1 {
        return Err(format!("one sign-in should have done, but the browser opened {opened} pages").into());
    }
    let issued = world.identity_center.issued_credentials();
    let secrets = issued.iter().flat_map(|issued| [&issued.secret_access_key, &issued.session_token]);
    if secrets.into_iter().any(|secret| !secret.is_empty() && transcript.contains(secret)) {
        return Err("a secret was shown".into());
    }
    Ok(())
}
