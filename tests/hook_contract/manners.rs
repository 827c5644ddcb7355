//! The shell stays the user's: statuses, streams, options, traps.

use super::{APP, Bash, Fish, Session, Shell, Start, Zsh, in_each_shell, world};

in_each_shell! {
    the_status_survives,
    the_statuses_of_a_pipe_survive,
    nothing_is_ever_on_stdout,
    news_are_told_once_per_cause,
}

fn the_status_survives(shell: Shell) {
    let world = world();
    let mut session = Session::open(shell, &world);
    let failing =
        |line: &str| if shell == Fish { format!("{line}; sh -c 'exit 7'") } else { format!("{line}; (exit 7)") };
    // Where nothing changes, on entering, where something is told, on leaving.
    world.project("blocked", "static\n");
    for line in [":", "cd app", ":", "export AWS_PROFILE=mine", ":", "cd ../blocked", ":", "cd .."] {
        session.run(failing(line));
        assert_eq!(session.status, "7", "after `{line}`");
    }
    // In the next line too, and `cd` has its own.
    assert_eq!(session.run(if shell == Fish { "echo $status" } else { "echo $?" }), "7");
    session.run("cd /does/not/exist");
    assert_eq!(session.status, "1");
}

fn the_statuses_of_a_pipe_survive(shell: Shell) {
    let world = world();
    let mut session = Session::open(shell, &world);
    let (pipe, show) = match shell {
        Bash => ("(exit 3) | true | (exit 5)", "echo ${PIPESTATUS[@]}"),
        Zsh => ("(exit 3) | true | (exit 5)", "echo $pipestatus"),
        Fish => ("sh -c 'exit 3' | true | sh -c 'exit 5'", "echo $pipestatus"),
    };
    session.quietly([pipe]);
    assert_eq!(session.run(show), "3 0 5");
    // Also where the prompt has work to do.
    world.write("app/.awsprofile", "prod-admin\n");
    session.run("cd app");
    session.quietly([&format!("printf 'read-only\\n' > .awsprofile; {pipe}")]);
    assert_eq!(session.run(show), "3 0 5");
    assert_eq!(session.aws(), APP);
}

fn nothing_is_ever_on_stdout(shell: Shell) {
    let world = world();
    world.project("blocked", "static\n");
    let mut session = Session::open(shell, &world);
    // Everything that is told goes around the file; what the commands write themselves would not.
    let places = ["app", "blocked", "none", "prod", "app/sub"];
    for place in places {
        session.run(format!("cd ~/{place} > ~/stdout"));
        assert_eq!(world.read("stdout"), "", "{place}");
    }
    if shell != Fish {
        // The whole life of a shell, with news, an error and a sign-in; fish writes its prompts there.
        let mut session = Start::new(shell, &world).with_stdout_caught().open();
        session.run("rm -r ~/.aws/cli");
        for line in
            ["cd app", ":", "cd ../blocked", "cd ../prod", "export AWS_PROFILE=mine", "cd ~", "pushd app", "exit"]
        {
            session.terminal.send(format!("{line}\r"));
        }
        let ran = session.terminal.wait();
        assert!(ran.text().contains("/authorize?"), "{}", ran.text());
        // Debian's zsh switches the keypad there.
        assert_eq!(super::text(&String::from_utf8_lossy(&ran.stdout)), "~/app ~\n", "what `pushd` shows");

        let mut session = Session::open(shell, &world);
        let shown =
            session.run("echo $(cd ~/app && pwd) $(cd ~/blocked && pwd) $(cd ~/none; pushd ~/prod >/dev/null; pwd)");
        assert_eq!(shown, "[HOME]/app [HOME]/blocked [HOME]/prod");
    }
}

fn news_are_told_once_per_cause(shell: Shell) {
    let world = world();
    world.project("blocked", "static\n");
    let mut session = Session::open(shell, &world);
    let first = session.run("cd blocked");
    assert_eq!(
        first,
        "awsdir: `[HOME]/blocked/.awsprofile` is not allowed; it selects profile `static`; \
         run: awsdir allow [HOME]/blocked/.awsprofile"
    );
    session.quietly([":", ":", "cd .", "true", ":", ":", ":", ":", ":", ":"]);
    assert_eq!(session.segment, "static not allowed");
    let second = session.run("echo read-only > .awsprofile");
    assert_eq!(second, first.replace("`static`", "`read-only` (ReadOnly in account 111111111111)"));
    session.quietly([":", ":", "cd ..", "cd blocked"]);
    assert_eq!(session.aws(), "");
}
