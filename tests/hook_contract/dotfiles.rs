//! The dotfile appears, changes, vanishes, or is none, while the shell stands in the directory.

use super::{APP, Fish, PROD, Session, Shell, Start, in_each_shell, world};
use std::fs;
use std::time::SystemTime;

in_each_shell! {
    it_appears_changes_and_vanishes,
    the_same_age_and_length_hide_no_change,
    what_is_no_regular_file_is_passed_by,
    a_broken_one_sets_nothing_and_is_said_once,
    the_limit_of_its_length_holds,
    the_ceiling_ends_the_walk,
    an_unknown_profile_and_an_edit_of_the_config,
    allowing_and_pinning_in_another_shell,
    use_of_symlinks_is_logical,
}

fn it_appears_changes_and_vanishes(shell: Shell) {
    let mut world = world();
    world.set("AWSDIR_TRUST", world.home());
    let mut session = Session::open(shell, &world);
    session.quietly(["cd none/sub"]);
    for (line, expected) in [
        ("echo read-only > ../.awsprofile", APP),
        (":", APP),
        ("printf 'profile = prod-admin\\nregion = us-west-2\\n' > .awsprofile", PROD),
        ("mv .awsprofile away", APP),
        ("echo prod-admin > ../.awsprofile; mv away .awsprofile", PROD),
        ("rm .awsprofile ../.awsprofile", ""),
        (":", ""),
    ] {
        session.quietly([line]);
        assert_eq!(session.aws(), expected, "after `{line}`");
    }
}

fn the_same_age_and_length_hide_no_change(shell: Shell) {
    let mut world = world();
    world.set("AWSDIR_TRUST", world.home());
    world.write(".aws/config", crate::sandbox::CONFIG.to_owned() + "[profile statiq]\nregion = eu-north-1\n");
    let path = world.project("same", "static\n");
    let path = path.join(".awsprofile");
    let age = fs::metadata(&path).unwrap().modified().unwrap();
    let mut session = Session::open(shell, &world);
    session.quietly(["cd same"]);
    assert_eq!(session.profile(), "static");
    let new = world.write("same/new", "statiq\n");
    fs::File::options().write(true).open(&new).unwrap().set_modified(age).unwrap();
    fs::rename(&new, &path).unwrap();
    assert_eq!(session.run(":"), "");
    assert_eq!(session.profile(), "statiq");
}

fn what_is_no_regular_file_is_passed_by(shell: Shell) {
    let world = world();
    let mut session = Session::open(shell, &world);
    session.quietly(["cd app/sub"]);
    for line in [
        "mkfifo .awsprofile",
        "mkdir .awsprofile",
        "ln -s nowhere .awsprofile",
        "ln -s /dev/zero .awsprofile",
        "ln -s . .awsprofile",
    ] {
        session.quietly([line, ":"]);
        assert_eq!(session.aws(), APP, "{line}");
        session.quietly(["rm -r .awsprofile"]);
    }
    // A link to a regular file is one, and is allowed by its own path.
    session.quietly(["ln -s ../../prod/.awsprofile .awsprofile; awsdir allow 2>/dev/null"]);
    assert_eq!(session.aws(), PROD);
}

fn a_broken_one_sets_nothing_and_is_said_once(shell: Shell) {
    let mut world = world();
    world.set("AWSDIR_TRUST", world.home());
    let mut session = Start::new(shell, &world).env("AWS_REGION", "theirs").open();
    session.quietly(["cd app"]);
    assert_eq!(session.aws(), APP);
    world.write("app/.awsprofile", "profile = read-only\ncolour = blue\n");
    let said = session.run(":");
    assert!(said.starts_with("awsdir: `[HOME]/app/.awsprofile`, line 2") && said.lines().count() == 1, "{said}");
    session.quietly([":", "cd sub", ":"]);
    assert_eq!(session.aws(), "AWS_REGION=theirs");
    session.quietly(["echo read-only > ../.awsprofile"]);
    assert_eq!(session.aws(), APP);
    // Not readable, not ours, writable by others.
    session.quietly(["chmod 666 ../.awsprofile", "cd ~"]);
    assert_eq!(
        session.run("cd app"),
        "awsdir: `[HOME]/app/.awsprofile` is refused: others can write to it; run: chmod o-w [HOME]/app/.awsprofile && awsdir allow [HOME]/app/.awsprofile"
    );
    assert_eq!(session.aws(), "AWS_REGION=theirs");
}

fn the_limit_of_its_length_holds(shell: Shell) {
    let mut world = world();
    world.set("AWSDIR_TRUST", world.home());
    let padded = |length: usize| format!("static\n{}\n", "#".repeat(length - 8));
    let mut session = Session::open(shell, &world);
    world.project("long", padded(4096));
    session.quietly(["cd long", ":"]);
    assert_eq!(session.profile(), "static");
    // Only its length tells it from the one before.
    world.project("longer", padded(4097));
    let said = session.run("cd ../longer");
    assert!(said.starts_with("awsdir: ") && said.lines().count() == 1, "{said}");
    session.quietly([":"]);
    assert_eq!(session.aws(), "");
}

fn the_ceiling_ends_the_walk(shell: Shell) {
    let world = world();
    let mut session = Session::open(shell, &world);
    session.quietly(["cd app/sub/deep"]);
    let ceiling = |inside: &str| format!("export AWSDIR_CEILING=/nowhere:{}:/other", world.path(inside).display());
    for (line, expected) in [
        (ceiling("app/sub"), ""),
        (ceiling("app"), APP),
        (ceiling("app/su"), APP),
        (ceiling("app/sub/deep"), ""),
        (shell.unset("AWSDIR_CEILING"), APP),
    ] {
        session.quietly([line.as_str()]);
        assert_eq!(session.aws(), expected, "{line}");
    }
}

fn an_unknown_profile_and_an_edit_of_the_config(shell: Shell) {
    let mut world = world();
    world.set("AWSDIR_TRUST", world.home());
    world.project("new", "nightly\n");
    let mut session = Session::open(shell, &world);
    let said = session.run("cd new");
    assert!(said.starts_with("awsdir: ") && said.contains("`nightly`") && said.lines().count() == 1, "{said}");
    session.quietly([":", ":"]);
    assert_eq!(session.aws(), "");
    let config =
        world.write(".aws/config", crate::sandbox::CONFIG.to_owned() + "[profile nightly]\nregion = eu-north-1\n");
    // However coarse the clock of the file system.
    let later = SystemTime::now() + std::time::Duration::from_secs(2);
    fs::File::options().write(true).open(config).unwrap().set_modified(later).unwrap();
    session.quietly([":"]);
    assert_eq!(session.aws(), "AWS_PROFILE=nightly\nAWS_REGION=eu-north-1\nAWS_DEFAULT_REGION=eu-north-1\nAWSDIR");
    session.quietly([":", ":"]);
}

fn allowing_and_pinning_in_another_shell(shell: Shell) {
    let world = world();
    let blocked = world.project("blocked", "static\n");
    let mut session = Session::open(shell, &world);
    session.run("cd blocked");
    assert_eq!(session.aws(), "");
    let elsewhere = |verb: &str, more: &[&str]| {
        let output = world.awsdir([verb]).args(more).current_dir(&blocked).output().unwrap();
        assert!(output.status.success(), "{output:?}");
    };
    elsewhere("allow", &[]);
    session.quietly([":"]);
    assert_eq!(session.profile(), "static");
    elsewhere("deny", &[]);
    assert_ne!(session.run(":"), "");
    assert_eq!(session.aws(), "");
    elsewhere("pin", &["read-only"]);
    session.quietly([":"]);
    assert_eq!(session.aws(), APP);
    // And by its own commands.
    session.run("awsdir pin prod-admin --region us-west-2");
    assert_eq!(session.aws(), PROD);
    session.run("awsdir deny");
    assert_eq!(session.aws(), "");
}

fn use_of_symlinks_is_logical(shell: Shell) {
    let world = world();
    std::os::unix::fs::symlink("../../app/sub", world.path("none/sub/link")).unwrap();
    world.allowed_project("none", "profile = prod-admin\nregion = us-west-2\n");
    let mut session = Session::open(shell, &world);
    // As `..` leads: up the way it came.
    session.quietly(["cd none/sub/link"]);
    assert_eq!(session.aws(), PROD);
    session.quietly([if shell == Fish { "cd (pwd -P)" } else { "cd $(pwd -P)" }]);
    assert_eq!(session.aws(), APP);
}
