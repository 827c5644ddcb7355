//! No process is started where nothing changed, and one where something did; and none of them opens a socket.

use super::{Session, Shell, Start, available, in_each_shell, plant, world};
use crate::sandbox::{Sandbox, may_trace};
use crate::terminal::LIMIT;
use std::fs::File;
use std::time::{Duration, Instant, SystemTime};

in_each_shell! {
    a_prompt_where_nothing_changed_starts_no_process,
    nor_does_leaving,
    entering_starts_one,
    also_where_no_state_can_be_kept,
    also_with_a_config_from_the_future,
    the_time_left_is_told_without_one,
    no_socket_is_opened,
}

/// A shell whose processes are counted, where they can be.
fn open(shell: Shell, world: &Sandbox) -> Option<Session<'_>> {
    (available("strace") && may_trace()).then(|| Start::traced(shell, world).open())
}

fn expect_none(session: &mut Session<'_>, place: &str) {
    let started = session.processes();
    assert!(started.is_empty(), "{place}:\n{}", started.join("\n"));
}

fn a_prompt_where_nothing_changed_starts_no_process(shell: Shell) {
    let world = world();
    world.project("blocked/sub", "prod-admin\n");
    world.allowed_project("gone", "gone\n");
    let Some(mut session) = open(shell, &world) else { return };
    // By segment: what every place shows also depends on time, which is told without a process.
    for (enter, within, segment) in [
        ("cd ~/none", "cd sub", ""),
        ("cd ~/app", "cd sub/deep", "read-only 1h00m"),
        ("cd ~/prod", "cd .", "prod-admin! 1h00m"),
        ("cd ~/blocked/sub", "cd .", "prod-admin! not allowed"),
        ("cd ~/gone", "cd .", ""),
        ("cd ~/app; export AWS_PROFILE=mine", "cd sub", ""),
    ] {
        session.run(enter);
        session.run(":");
        session.processes();
        session.terminal.send("\r\r\r");
        session.quietly([":", within, ":", "true", ":", "cd .", ":"]);
        expect_none(&mut session, enter);
        assert_eq!(session.segment, segment, "{enter}");
    }
}

fn nor_does_leaving(shell: Shell) {
    let world = world();
    let Some(mut session) = open(shell, &world) else { return };
    session.quietly(["cd app"]);
    assert_eq!(session.profile(), "read-only");
    session.processes();
    session.quietly(["cd /", ":"]);
    expect_none(&mut session, "leaving");
    assert_eq!(session.aws(), "");
}

fn entering_starts_one(shell: Shell) {
    let world = world();
    let Some(mut session) = open(shell, &world) else { return };
    for line in ["cd app", "cd ../prod"] {
        session.processes();
        session.quietly([line]);
        let started = session.processes();
        let run: Vec<_> = started.iter().filter(|line| line.contains("execve(")).collect();
        assert!(run.len() == 1 && run[0].contains(&format!("awsdir\", \"hook\", \"{}\"", shell.name())), "{started:?}");
        let forked = started.len() - run.len();
        assert_eq!(forked, 1, "{started:?}");
    }
}

fn also_where_no_state_can_be_kept(shell: Shell) {
    let mut world = world();
    world.set("AWSDIR_TRUST", world.home());
    world.set("XDG_STATE_HOME", "/dev/null/none");
    let Some(mut session) = open(shell, &world) else { return };
    session.quietly(["cd app", ":"]);
    assert_eq!(session.profile(), "read-only");
    session.processes();
    session.quietly([":", "cd sub", ":"]);
    expect_none(&mut session, "without state");
}

fn also_with_a_config_from_the_future(shell: Shell) {
    let world = world();
    let future = SystemTime::now() + Duration::from_hours(24 * 365);
    File::options().write(true).open(world.path(".aws/config")).unwrap().set_modified(future).unwrap();
    let Some(mut session) = open(shell, &world) else { return };
    session.quietly(["cd app", ":"]);
    assert_eq!(session.profile(), "read-only");
    session.processes();
    session.quietly([":", "cd sub", ":"]);
    expect_none(&mut session, "config from the future");
}

fn the_time_left_is_told_without_one(shell: Shell) {
    let world = world();
    plant(&world, 3600 + 3);
    let Some(mut session) = open(shell, &world) else { return };
    session.quietly(["cd app", ":"]);
    session.processes();
    let deadline = Instant::now() + LIMIT;
    while session.segment != "read-only 59m" {
        assert!(Instant::now() < deadline && session.segment == "read-only 1h00m", "{}", session.segment);
        // What is waited for is the clock, which sends no event.
        std::thread::sleep(Duration::from_millis(50));
        session.quietly([":"]);
    }
    expect_none(&mut session, "as time goes by");
}

fn no_socket_is_opened(shell: Shell) {
    let world = world();
    world.project("blocked", "prod-admin\n");
    let Some(mut session) = open(shell, &world) else { return };
    let mut opened = |line: &str| {
        session.run(line);
        let traced = session.processes();
        let sockets = traced.iter().filter(|line| line.contains("socket(") || line.contains("connect("));
        sockets.cloned().collect::<Vec<_>>().join("\n")
    };
    opened(":");
    // Nothing there, entering, within, another role, not allowed, leaving; and the prompt by a program.
    for line in ["cd none/sub", "cd ~/app", "cd sub", "cd ~/prod", "cd ~/blocked", "cd ~", "cd app", "awsdir prompt"] {
        assert_eq!(opened(line), "", "{line}");
        assert_eq!(opened(":"), "", "after `{line}`");
    }
    // One would have been seen.
    assert_ne!(opened("bash -c ': </dev/tcp/127.0.0.1/1' 2>/dev/null"), "");
}
