//! A binary that is missing, broken, slow, or interrupted; variables that cannot be changed; directories that are gone.

use super::{APP, Bash, Fish, PROD, Session, Shell, Start, in_each_shell, world};
use crate::sandbox::{Sandbox, eventually};
use rustix::fs::{Mode, OFlags};
use std::cell::RefCell;
use std::path::Path;
use std::process::Command;

in_each_shell! {
    a_missing_binary_is_silent,
    an_answer_that_is_not_whole_is_not_evaluated,
    ctrl_c_during_the_question_leaves_no_mix,
    ctrl_c_in_the_middle_of_an_answer_leaves_no_mix,
    a_binary_and_a_state_at_odd_paths,
    readonly_variables_are_left_and_named_once,
    a_directory_that_is_gone,
}

/// Replaces the binary that the hook asks.
fn stand_in(session: &mut Session<'_>, script: &str) {
    let source = session.sandbox.write("bin/stand-in.sh", format!("#!/bin/sh\n{script}\n"));
    install(&source, &session.sandbox.path("bin/stand-in"));
    let set = if session.shell == Fish { "set -g __awsdir_bin ~/bin/stand-in" } else { "__awsdir_bin=~/bin/stand-in" };
    session.quietly([set]);
}

/// Puts a program into place. Not written by this process: a child forked by another test at that moment would keep
/// it open for writing, and such a file cannot be run.
fn install(source: &Path, target: &Path) {
    let status = Command::new("install").args(["-m", "755"]).args([source, target]).status().unwrap();
    assert!(status.success());
}

fn a_missing_binary_is_silent(shell: Shell) {
    let world = world();
    let real = Path::new(env!("CARGO_BIN_EXE_awsdir"));
    std::fs::create_dir(world.path("bin")).unwrap();
    let copy = world.path("bin/awsdir");
    install(real, &copy);
    let mut path = world.path("bin").into_os_string();
    path.push(":");
    path.push(super::path_with_binaries());
    let mut session = Start::new(shell, &world).env("PATH", path).env("AWS_REGION", "theirs").open();
    session.quietly(["cd app"]);
    assert_eq!(session.aws(), APP);
    std::fs::remove_file(&copy).unwrap();
    session.quietly([":", "cd ../prod", ":", ":"]);
    assert_eq!(session.aws(), "AWS_REGION=theirs");
    session.quietly(["cd /", "cd ~/app"]);
    assert_eq!(session.aws(), "AWS_REGION=theirs");
    // Back again, it is asked from the next change on.
    install(real, &copy);
    session.quietly(["cd ../prod"]);
    assert_eq!(session.aws(), PROD);
}

fn an_answer_that_is_not_whole_is_not_evaluated(shell: Shell) {
    let world = world();
    let mut session = Session::open(shell, &world);
    let whole = r#"env -u AWSDIR "$REAL" "$@""#.replace("$REAL", env!("CARGO_BIN_EXE_awsdir"));
    let table = [
        "exit 1".to_owned(),
        "echo 'touch ~/evaluated'; echo garbage; exit 0".to_owned(),
        format!("{whole} | head -n 15; echo 'touch ~/evaluated'"),
        format!("{whole} | head -c 400"),
        format!("{whole}; echo 'touch ~/evaluated'"),
        format!("{whole}; exit 3"),
        "kill -9 $$".to_owned(),
        "echo 'touch ~/evaluated'; echo ': awsdir-en'".to_owned(),
        "echo 'touch ~/evaluated : awsdir-end'".to_owned(),
    ];
    for script in &table {
        stand_in(&mut session, script);
        session.run("cd app");
        session.quietly([":", ":"]);
        assert_eq!(session.aws(), "", "{script}");
        assert!(!world.path("evaluated").exists(), "{script}");
        session.quietly(["cd .."]);
    }
    stand_in(&mut session, &format!("exec {whole}"));
    session.quietly(["cd app"]);
    assert_eq!(session.aws(), APP);
}

/// A binary that never answers.
fn hang(session: &mut Session<'_>, world: &Sandbox) {
    session.quietly(["mkfifo ~/fifo"]);
    world.write("asked", "");
    stand_in(session, "echo asked >> ~/asked; exec cat ~/fifo");
}

fn ctrl_c_during_the_question_leaves_no_mix(shell: Shell) {
    let world = world();
    let mut session = Session::open(shell, &world);
    session.quietly(["cd app"]);
    hang(&mut session, &world);
    let mut writers = Vec::new();
    let mut interrupted = |session: &mut Session<'_>, times: usize| {
        eventually("the question", || world.read("asked").lines().count() == times);
        // A fifo can be opened for writing at once when somebody reads it: from here on Ctrl-C meets only that program.
        let open = || rustix::fs::open(world.path("fifo"), OFlags::WRONLY | OFlags::NONBLOCK, Mode::empty());
        let writer = RefCell::new(None);
        eventually("a reader", || {
            *writer.borrow_mut() = open().ok();
            writer.borrow().is_some()
        });
        writers.push(writer);
        session.terminal.send("\x03");
    };
    session.begin("cd ../prod");
    interrupted(&mut session, 1);
    // It is asked once more, for the prompt.
    interrupted(&mut session, 2);
    session.until_prompt();
    assert_eq!(session.run("env | grep '^AWS_[PASC]'; true"), "");
    session.quietly([":", ":"]);
    assert_eq!(world.read("asked").lines().count(), 2, "not for ever");
    stand_in(&mut session, &format!("exec {} \"$@\"", env!("CARGO_BIN_EXE_awsdir")));
    session.quietly(["cd ../app"]);
    assert_eq!(session.aws(), APP);
}

fn ctrl_c_in_the_middle_of_an_answer_leaves_no_mix(shell: Shell) {
    let world = world();
    let pid = if shell == Fish { "$fish_pid" } else { "$$" };
    // After each of the statements once: as if the key were pressed right then.
    for statement in ["__awsdir_status", "__awsdir_said", "AWS_VAULT", "AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWSDIR"] {
        let mut session = Start::new(shell, &world).env("AWS_VAULT", "theirs").env("AWS_PROFILE", "theirs").open();
        let before = session.aws();
        let real = env!("CARGO_BIN_EXE_awsdir");
        let kill = format!("awk '{{ print }} /(^| ){statement}($|[= ;])/ {{ print \"kill -INT {pid}\" }}'");
        let script = format!(
            "echo asked >> ~/asked; if rm ~/interrupt 2>/dev/null; then {real} \"$@\" | {kill}; else exec {real} \"$@\"; fi"
        );
        stand_in(&mut session, &script);
        world.write("asked", "");
        world.write("interrupt", "");
        session.run("cd app");
        let now = session.aws();
        assert!(now == before || now == APP, "after `{statement}`:\n{now}");
        session.run(":");
        assert_eq!(session.aws(), APP, "{statement}");
        assert_eq!(world.read("asked").lines().count(), 2, "the first answer to `{statement}` was cut short");
        session.quietly(["cd .."]);
        assert_eq!(session.aws(), before, "{statement}");
    }
}

fn a_binary_and_a_state_at_odd_paths(shell: Shell) {
    let world = world();
    let odd = world.path("it's $(cd;touch ran) `id` \"\\ ");
    std::fs::create_dir(&odd).unwrap();
    install(Path::new(env!("CARGO_BIN_EXE_awsdir")), &odd.join("awsdir"));
    let mut path = odd.clone().into_os_string();
    path.push(":");
    path.push(super::path_with_binaries());
    std::fs::rename(world.path(".local/state"), odd.join("state")).unwrap();
    let mut session = Start::new(shell, &world).env("PATH", path).env("XDG_STATE_HOME", odd.join("state")).open();
    session.quietly(["cd app"]);
    assert_eq!(session.aws(), APP);
    // The generation in there is seen.
    session.run("awsdir deny");
    assert_eq!(session.aws(), "");
    assert!(!world.path("ran").exists());
}

fn readonly_variables_are_left_and_named_once(shell: Shell) {
    if shell == Fish {
        return; // has none
    }
    let world = world();
    let mut session = Session::open(shell, &world);
    session.quietly(["readonly AWS_REGION=mine"]);
    assert_eq!(session.run("cd app"), "awsdir: `AWS_REGION` is read-only in this shell; nothing is set");
    session.quietly([":", "cd sub", "cd ../../prod", ":", "cd .."]);
    assert_eq!(session.aws(), "");
    assert_eq!(session.run("echo $AWS_REGION"), "mine");
    // Made so inside: what can be put back is.
    let mut session = Session::open(shell, &world);
    session.quietly(["cd app", "readonly AWS_REGION", "cd .."]);
    assert_eq!(session.aws(), "AWS_REGION=eu-west-1");
    if shell == Bash {
        let (mut session, shown) = Start::new(shell, &world).before("readonly PROMPT_COMMAND=:").open_and_see();
        assert_eq!(shown, "awsdir: `PROMPT_COMMAND` is read-only; following `cd`, `pushd` and `popd` only");
        session.quietly(["cd app"]);
        assert_eq!(session.aws(), APP);
    }
}

fn a_directory_that_is_gone(shell: Shell) {
    let world = world();
    let mut session = Session::open(shell, &world);
    world.allowed_project("app/gone", "static\n");
    session.quietly(["cd app/gone"]);
    assert_eq!(session.profile(), "static");
    std::fs::remove_dir_all(world.path("app/gone")).unwrap();
    session.quietly([":", ":"]);
    assert_eq!(session.aws(), "");
    session.quietly(["cd ~"]);
    assert_eq!(session.aws(), "");
}
