//! Entering, switching, leaving: what is set, and that what stood there before comes back.

use super::{APP, Bash, Fish, PROD, Session, Shell, Start, Zsh, in_each_shell, world};
use insta::assert_snapshot;
use std::ffi::OsStr;

in_each_shell! {
    entering_sets_and_leaving_restores_unset,
    switching_switches_also_from_below,
    leaving_restores_what_stood_there_before,
    what_was_not_exported_is_not_exported_again,
    the_rest_of_the_line_has_the_new_role,
    the_mark_names_the_dotfile_in_force,
    pushd_and_popd_count,
    a_shell_started_in_a_project_has_its_role,
}

fn entering_sets_and_leaving_restores_unset(shell: Shell) {
    let world = world();
    let mut session = Session::open(shell, &world);
    assert_eq!(session.aws(), "");
    session.quietly(["cd app"]);
    assert_eq!(session.aws(), APP);
    session.quietly(["cd ~/none"]);
    assert_eq!(session.aws(), "");
}

fn switching_switches_also_from_below(shell: Shell) {
    let world = world();
    let mut session = Session::open(shell, &world);
    session.quietly(["cd app/sub/deep"]);
    assert_eq!(session.profile(), "read-only");
    session.quietly(["cd ../../../prod"]);
    assert_eq!(session.aws(), PROD);
    // A project in a project, and back to the outer one.
    world.allowed_project("app/sub/deep", "static\n");
    session.quietly(["cd ../app/sub/deep"]);
    assert_snapshot!(session.aws(), @r"
    AWS_PROFILE=static
    AWS_REGION=ap-south-1
    AWS_DEFAULT_REGION=ap-south-1
    AWSDIR
    ");
    session.quietly(["cd .."]);
    assert_eq!(session.profile(), "read-only");
    session.quietly(["cd /"]);
    assert_eq!(session.aws(), "");
}

fn leaving_restores_what_stood_there_before(shell: Shell) {
    let world = world();
    let mut session = Start::new(shell, &world)
        .env("AWS_REGION", "sa-east-1")
        .env("AWS_VAULT", "theirs")
        .env("AWS_DEFAULT_PROFILE", "")
        .open();
    session.quietly(["export AWS_ACCESS_KEY_ID=AKIATHEIRS"]);
    let before = session.aws();
    assert_snapshot!(before, @r"
    AWS_REGION=sa-east-1
    AWS_ACCESS_KEY_ID=AKIATHEIRS
    AWS_DEFAULT_PROFILE=
    AWS_VAULT=theirs
    ");
    session.quietly(["cd app"]);
    assert_eq!(session.aws(), APP);
    session.quietly(["cd ../prod", "cd ../none"]);
    assert_eq!(session.aws(), before);
}

fn what_was_not_exported_is_not_exported_again(shell: Shell) {
    let world = world();
    let mut session = Session::open(shell, &world);
    session.quietly([&shell.own("AWS_PROFILE", "mine"), "cd app"]);
    assert_eq!(session.profile(), "read-only");
    session.quietly(["cd .."]);
    assert_eq!(session.aws(), "");
    assert_eq!(session.run("echo $AWS_PROFILE"), "mine");
}

fn the_rest_of_the_line_has_the_new_role(shell: Shell) {
    let world = world();
    let mut session = Session::open(shell, &world);
    session.quietly(["cd app"]);
    assert_eq!(
        session.run("cd ../prod && env | grep ^AWS_PROFILE; cd .. && env | grep ^AWS_PROFILE"),
        "AWS_PROFILE=prod-admin"
    );
    assert_eq!(session.status, "1");
    session.quietly(["cd app"]);
    if shell != Fish {
        // A subshell is another place; the shell around it stays where it is.
        assert_eq!(
            session.run("(cd ../prod && env | grep ^AWS_PROFILE); env | grep ^AWS_PROFILE"),
            "AWS_PROFILE=prod-admin\nAWS_PROFILE=read-only"
        );
    }
    assert_eq!(session.run("echo \"$(cd ../prod && pwd)\""), "[HOME]/prod");
    world.project("unknown", "prod-admin\n");
    assert_eq!(
        session.run("echo \"$(cd ../unknown && pwd)\" >/dev/null; true").lines().count(),
        usize::from(shell == Fish)
    );
}

fn the_mark_names_the_dotfile_in_force(shell: Shell) {
    let world = world();
    // Of the same content, and one in the other.
    world.allowed_project("app/twin", "read-only\n");
    let mut session = Session::open(shell, &world);
    for place in ["app", "app/twin", "app"] {
        session.quietly([&format!("cd ~/{place}")]);
        let mark = session.environment()[OsStr::new("AWSDIR")].clone().into_string().unwrap();
        assert!(mark.ends_with(world.path(place).join(".awsprofile").to_str().unwrap()), "{mark}");
        assert_eq!(session.aws(), APP);
    }
}

fn pushd_and_popd_count(shell: Shell) {
    let world = world();
    let mut session = Session::open(shell, &world);
    session.quietly(["cd app"]);
    let show = "env | grep ^AWS_PROFILE";
    assert_eq!(session.run(format!("pushd ../prod >/dev/null && {show}")), "AWS_PROFILE=prod-admin");
    assert_eq!(session.run(format!("popd >/dev/null && {show}")), "AWS_PROFILE=read-only");
    if shell == Zsh {
        session.quietly(["setopt auto_cd auto_pushd pushd_silent", "../prod"]);
        assert_eq!(session.profile(), "prod-admin");
    } else if shell == Bash {
        session.quietly(["shopt -s autocd"]);
        session.run("../prod");
        assert_eq!(session.profile(), "prod-admin");
    }
}

fn a_shell_started_in_a_project_has_its_role(shell: Shell) {
    let world = world();
    let (mut session, shown) = Start::new(shell, &world).directory("app/sub").open_and_see();
    assert_eq!(shown, "");
    assert_eq!(session.profile(), "read-only");
    session.quietly(["cd /"]);
    assert_eq!(session.aws(), "");
}
