//! Shells in shells: what a child inherits is ours, not its user's.

use super::{APP, Bash, Fish, PROD, Session, Shell, Start, Zsh, in_each_shell, world};
use crate::sandbox::Sandbox;
use std::ffi::OsStr;

in_each_shell! {
    a_nested_shell_takes_what_it_inherits_as_ours,
    a_shell_of_another_kind_too,
    in_place_of_the_shell_too,
    a_shell_started_elsewhere_drops_what_it_inherits,
    what_does_not_match_its_mark_is_the_users,
    a_child_of_with_aws_stands_down,
    scripts_do_not_run_it,
    nothing_of_ours_is_exported,
}

const fn other(shell: Shell) -> Shell {
    match shell {
        Bash => Zsh,
        Zsh => Fish,
        Fish => Bash,
    }
}

/// Runs through a nested shell started by `line`.
fn visit(shell: Shell, line: &str, world: &Sandbox) {
    let mut session = Start::new(shell, world).env("AWS_VAULT", "theirs").open();
    session.quietly(["cd app", line]);
    assert_eq!(session.aws(), APP);
    assert!(session.segment.starts_with("read-only "), "{}", session.segment);
    session.quietly(["cd ../prod"]);
    assert_eq!(session.aws(), PROD);
    // What the outer shell would restore is known only there.
    session.quietly(["cd .."]);
    assert_eq!(session.aws(), "");
    if !line.starts_with("exec ") {
        session.run("exit");
        assert_eq!(session.aws(), APP);
        session.quietly(["cd .."]);
        assert_eq!(session.aws(), "AWS_VAULT=theirs");
    }
}

fn a_nested_shell_takes_what_it_inherits_as_ours(shell: Shell) {
    visit(shell, shell.name(), &world());
}

fn a_shell_of_another_kind_too(shell: Shell) {
    let world = world();
    super::keep(other(shell), |inner| {
        Start::new(inner, &world).install();
        visit(shell, inner.name(), &world);
    });
}

fn in_place_of_the_shell_too(shell: Shell) {
    visit(shell, &format!("exec {}", shell.name()), &world());
}

fn a_shell_started_elsewhere_drops_what_it_inherits(shell: Shell) {
    let world = world();
    let mut session = Session::open(shell, &world);
    session.quietly(["cd app", &format!("env --chdir=/ {}", shell.name())]);
    assert_eq!(session.aws(), "");
    session.quietly(["cd ~/app"]);
    assert_eq!(session.aws(), APP);
    session.quietly(["cd /"]);
    assert_eq!(session.aws(), "");
    session.run("exit");
    session.quietly([&format!("env --chdir=../prod {}", shell.name())]);
    assert_eq!(session.aws(), PROD);
}

fn what_does_not_match_its_mark_is_the_users(shell: Shell) {
    let world = world();
    let mut session = Session::open(shell, &world);
    session.quietly(["cd app"]);
    let mark = session.environment()[OsStr::new("AWSDIR")].clone().into_string().unwrap();
    let (version, rest) = mark.split_once(' ').unwrap();
    let of_another_user = format!("AWSDIR='{version} 4242 {}'", rest.split_once(' ').unwrap().1);
    let of_another_version = format!("AWSDIR='99 {rest}'");
    for (change, theirs) in [
        ("AWS_PROFILE=theirs", APP.replace("read-only", "theirs")),
        ("AWS_SESSION_TOKEN=theirs", APP.replace("planted/token==", "theirs")),
        (&of_another_user, APP.to_owned()),
        (&of_another_version, APP.to_owned()),
    ] {
        let theirs = theirs.replace("\nAWSDIR", "");
        session.quietly([&format!("env --chdir=/ {change} {}", shell.name())]);
        assert_eq!(session.aws(), theirs, "{change}");
        session.quietly(["cd ~/prod"]);
        assert_eq!(session.aws(), PROD, "{change}");
        session.quietly(["cd /"]);
        assert_eq!(session.aws(), theirs, "{change}");
        session.run("exit");
    }
}

fn a_child_of_with_aws_stands_down(shell: Shell) {
    let world = world();
    let mut session = Session::open(shell, &world);
    session.quietly([&format!("with-aws prod-admin -- {}", shell.name())]);
    let given = PROD.replace("AWS_PROFILE=prod-admin\n", "").replace("us-west-2", "us-east-1");
    let given = given.replace("EXPIRATION\n", "EXPIRATION\nAWS_SSO_PROFILE=prod-admin\n");
    assert_eq!(session.aws(), given);
    session.quietly(["cd app", ":"]);
    assert_eq!(session.aws(), given);
    assert_eq!(session.segment, "prod-admin! 1h00m");
    session.run("exit");
    session.quietly(["cd app"]);
    assert_eq!(session.aws(), APP);
}

fn scripts_do_not_run_it(shell: Shell) {
    let world = world();
    Start::new(shell, &world).install();
    // Also with the startup file, which bash reads of itself only where somebody types.
    let script = format!("{}cd ~/app; env | grep ^AWSDIR; echo $AWS_PROFILE; cd ~/prod", shell.init());
    let mut command = world.command(shell.name());
    command.args(["-c", &script]).env("PATH", super::path_with_binaries());
    assert_eq!(world.transcript(&mut command), "\n");
    let mut child = world.command(shell.name());
    child.args(["-c", "cd ~/app; env | grep ^AWS_PROFILE"]).env("PATH", super::path_with_binaries());
    assert_eq!(world.transcript(&mut child), "-- exit status: 1 --\n");
}

fn nothing_of_ours_is_exported(shell: Shell) {
    let world = world();
    // Also where everything that is assigned is exported.
    let all = if shell == Fish { "" } else { "set -a" };
    let mut session = Start::new(shell, &world).before(all).open();
    let before: Vec<_> = session.environment().into_keys().collect();
    session.quietly(["cd app"]);
    let added: Vec<_> = session.environment().into_keys().filter(|name| !before.contains(name)).collect();
    let ours: Vec<&str> = APP.lines().map(|line| line.split('=').next().unwrap()).collect();
    let of_shell = ["OLDPWD", "PS0", "PS1", "PROMPT"];
    let added = added.iter().map(|name| name.to_str().unwrap()).filter(|name| !of_shell.contains(name));
    let mut added: Vec<_> = added.collect();
    added.sort_by_key(|name| ours.iter().position(|ours| ours == name));
    assert_eq!(added, ours);
    assert_eq!(session.run("env | grep -ai '^__awsdir\\|^awsdir_segment'"), "");
    if shell == Bash {
        assert_eq!(session.run("declare -Fx; export -f"), "");
    }
}
