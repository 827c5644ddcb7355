//! The hooks inside the shells: what an unchanged prompt and a `cd` cost, beside direnv's hook in the same shell, and how
//! long it is from Enter to the next prompt, beside the same shell without a hook.

use crate::paired::{Candidate, Runs, median, paired};
use crate::processes::World;
use crate::sandbox::Sandbox;
use crate::table::Row;
use crate::terminal::Terminal;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How often all candidates of a shell run in turn.
const ROUNDS: usize = 15;

/// How often Enter is pressed in each shell.
const ENTERS: usize = 300;

/// How often direnv's hook runs in one process.
const DIRENV_TURNS: usize = 40;

/// Ends the prompts.
const MARK: &str = "⟩";

struct Shell {
    name: &'static str,
    /// To run a script as if a person typed it, without startup files.
    arguments: &'static [&'static str],
    /// What it runs before each prompt, and the same with nothing to run.
    prompt: &'static str,
    nothing: &'static str,
    /// How often it does so in one process.
    turns: usize,
    /// How many times cheaper than direnv's our hook must be.
    cheaper: f64,
}

const SHELLS: [Shell; 3] = [
    Shell {
        name: "bash",
        arguments: &["--norc", "--noprofile", "-i", "-c"],
        prompt: "eval \"$PROMPT_COMMAND\"",
        nothing: "eval :",
        turns: 1000,
        cheaper: 40.0,
    },
    Shell {
        name: "zsh",
        arguments: &["-f", "-i", "-c"],
        prompt: "$precmd_functions",
        nothing: ":",
        turns: 1000,
        cheaper: 40.0,
    },
    Shell {
        name: "fish",
        arguments: &["--no-config", "-i", "-c"],
        prompt: "emit fish_prompt",
        nothing: "emit nothing",
        turns: 500,
        cheaper: 20.0,
    },
];

impl Shell {
    /// The line for the startup file that loads the hook which `program` prints.
    fn load(&self, program: &str) -> String {
        if self.name == "fish" { format!("{program} | source") } else { format!("eval \"$({program})\"") }
    }

    fn load_ours(&self) -> String {
        self.load(&format!("'{}' init {}", env!("CARGO_BIN_EXE_awsdir"), self.name))
    }

    fn repeat(&self, times: usize, body: &str) -> String {
        if self.name == "fish" {
            format!("for turn in (seq {times})\n{body}\nend")
        } else {
            format!("for ((turn = 0; turn < {times}; turn++)); do\n{body}\ndone")
        }
    }
}

/// A script that does something many times, and its twin that does nothing as often.
struct Measure {
    setup: String,
    body: String,
    turns: usize,
    /// True only if the shell was where it should be all the time: a fast failure is no result.
    check: &'static str,
}

/// Rows for each shell that is installed.
pub(crate) fn rows() -> Vec<Row> {
    let world = World::new(10);
    let sandbox = &world.sandbox;
    for directory in ["plain/one/deep", "plain/two/deep", "envrc/src/deep"] {
        std::fs::create_dir_all(sandbox.path(directory)).unwrap();
    }
    sandbox.write("envrc/.envrc", "export BENCHED=yes\n");
    let direnv = sandbox.command("direnv").arg("allow").arg(sandbox.path("envrc")).output();
    let direnv = direnv.is_ok_and(|output| output.status.success());
    let mut rows = Vec::new();
    for shell in &SHELLS {
        let installed = Command::new(shell.name).arg("--version").stdout(Stdio::null()).status();
        if installed.is_ok() {
            rows.extend(costs(shell, sandbox, direnv));
            rows.push(enter_to_prompt(shell, sandbox));
        } else {
            rows.push(missing(shell.name));
        }
    }
    rows
}

fn missing(program: &str) -> Row {
    Row { what: program.to_owned(), measured: "not installed".to_owned(), budget: String::new(), holds: true }
}

/// CPU time, kernel's and children's included.
fn costs(shell: &Shell, sandbox: &Sandbox, direnv: bool) -> Vec<Row> {
    let Shell { name, prompt, turns, cheaper, .. } = *shell;
    let at = |directory: &str, hook: &str| {
        format!("{hook}\ncd '{}'\n{prompt} 2>/dev/null\n{prompt}\n", sandbox.path(directory).display())
    };
    let (ours, theirs) = (shell.load_ours(), shell.load(&format!("direnv hook {name}")));
    let to = |directory: &str| format!("cd '{}'\n", sandbox.path(directory).display());
    let there_and_back = to("plain/one/deep") + &to("plain/two/deep");
    let measure = |setup: String, body: &str, turns: usize, check: &'static str| Measure {
        setup,
        body: body.to_owned(),
        turns,
        check,
    };
    let none = "test -z \"$AWS_PROFILE$BENCHED\"";
    let mut measures = vec![
        measure(at("work/app/src/deep", &ours), prompt, turns, "test \"$AWS_PROFILE\" = read-only"),
        measure(at("plain/one/deep", &ours), prompt, turns, none),
        measure(at("plain/one/deep", &ours), &there_and_back, turns / 2, none),
        measure(String::new(), &there_and_back, turns / 2, none),
    ];
    if direnv {
        measures.push(measure(at("envrc/src/deep", &theirs), prompt, DIRENV_TURNS, "test \"$BENCHED\" = yes"));
        measures.push(measure(at("plain/one/deep", &theirs), prompt, DIRENV_TURNS, none));
    }
    let costs = per_turn(shell, sandbox, &measures);

    let moves: Vec<f64> = costs[2].iter().zip(&costs[3]).map(|(with, without)| (with - without) / 2.0).collect();
    let ours = [
        ("an unchanged prompt in a project", &costs[0]),
        ("an unchanged prompt without a dotfile", &costs[1]),
        ("a `cd` without dotfiles, beyond the shell's own", &moves),
    ];
    let mut rows = Vec::new();
    for (what, cost) in ours {
        rows.push(Row::plain(format!("{name}: {what}"), median(cost.iter().copied()), " µs"));
        if direnv {
            let times = median(costs[4].iter().zip(cost).map(|(theirs, ours)| theirs / ours));
            rows.push(Row::at_least(
                format!("{name}: {what}, against direnv's loaded hook"),
                times,
                cheaper,
                " × cheaper",
            ));
        }
    }
    if direnv {
        let theirs = [("loaded and unchanged", &costs[4]), ("without an `.envrc`", &costs[5])];
        rows.extend(theirs.map(|(what, cost)| {
            Row::plain(format!("{name}: direnv's hook, {what}"), median(cost.iter().copied()), " µs")
        }));
    } else {
        rows.push(missing("direnv"));
    }
    rows
}

/// Microseconds of each measure in each round.
fn per_turn(shell: &Shell, sandbox: &Sandbox, measures: &[Measure]) -> Vec<Vec<f64>> {
    let mut candidates = Vec::new();
    for Measure { setup, body, turns, check } in measures {
        for body in [body.as_str(), shell.nothing] {
            let script = format!("{setup}{}\n{check}", shell.repeat(*turns, body));
            candidates.push(Candidate::new(shell.name, move || {
                let mut command = sandbox.command(shell.name);
                command.args(shell.arguments).arg(&script);
                without_terminal(&mut command);
                command
            }));
        }
    }
    let runs = paired(ROUNDS, candidates);
    let micros = |with: &Runs, without: &Runs, turns: f64| -> Vec<f64> {
        let pairs = with.runs.iter().zip(&without.runs);
        pairs.map(|(with, without)| (with.cpu.as_secs_f64() - without.cpu.as_secs_f64()) * 1e6 / turns).collect()
    };
    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
    measures.iter().zip(runs.chunks(2)).map(|(one, pair)| micros(&pair[0], &pair[1], one.turns as f64)).collect()
}

/// A shell that believes somebody types would take the terminal of whoever runs the bench.
#[expect(unsafe_code, reason = "`pre_exec` is; what runs in it is a system call")]
fn without_terminal(command: &mut Command) {
    unsafe {
        command.pre_exec(|| {
            rustix::process::setsid()?;
            Ok(())
        });
    }
}

/// From the key to the end of the next prompt, on two terminals in turn.
fn enter_to_prompt(shell: &Shell, sandbox: &Sandbox) -> Row {
    let mut with = open(shell, sandbox, &shell.load_ours());
    let mut without = open(shell, sandbox, "");
    let mut ratios = Vec::new();
    for round in 0..ENTERS + ENTERS / 10 {
        let (ours, bare) = if round % 2 == 0 {
            let ours = enter(&mut with);
            (ours, enter(&mut without))
        } else {
            let bare = enter(&mut without);
            (enter(&mut with), bare)
        };
        if round >= ENTERS / 10 {
            ratios.push(ours / bare);
        }
    }
    let what = format!("{}: from Enter to the prompt in a project, against no hook", shell.name);
    Row::at_most(what, median(ratios.into_iter()), 2.0, " ×")
}

/// A shell in the project at its first prompt.
fn open(shell: &Shell, sandbox: &Sandbox, hook: &str) -> Terminal {
    let prompt = match shell.name {
        "bash" => format!("PS1='{MARK}'"),
        "zsh" => format!("setopt no_prompt_cr no_prompt_sp\nPROMPT='{MARK}'"),
        _ => format!("set -g fish_greeting\nfunction fish_title; end\nfunction fish_prompt; printf '{MARK}'; end"),
    };
    let startup = format!("{hook}\n{prompt}\n");
    let directory = sandbox.path("work/app/src/deep");
    let mut command = sandbox.command(shell.name);
    command.env("PWD", &directory).env("fish_features", "no-query-term").current_dir(directory);
    match shell.name {
        "bash" => command.arg("--rcfile").arg(sandbox.write("startup/bashrc", startup)),
        "zsh" => command.env("ZDOTDIR", sandbox.write("startup/.zshrc", startup).parent().unwrap()),
        _ => command.args(["--no-config", "-C", &startup]),
    };
    let mut terminal = Terminal::spawn(&mut command);
    terminal.wait_for(MARK);
    if !hook.is_empty() {
        terminal.send("echo in $AWS_PROFILE\r");
        terminal.wait_for("in read-only");
        terminal.wait_for(MARK);
    }
    terminal
}

/// Seconds.
fn enter(terminal: &mut Terminal) -> f64 {
    // A person types at a shell that has come to rest.
    std::thread::sleep(Duration::from_millis(3));
    let begin = Instant::now();
    terminal.send("\r");
    terminal.wait_for(MARK);
    begin.elapsed().as_secs_f64()
}
