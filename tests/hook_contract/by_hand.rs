//! An identity that the user sets by hand inside an active directory is the user's.

use super::{APP, Fish, PROD, Session, Shell, in_each_shell, world};

in_each_shell! {
    set_by_hand_it_is_said_once_and_ours_goes,
    unset_by_hand_too,
    a_region_set_by_hand_stays,
    by_hand_and_away_in_one_line,
}

fn set_by_hand_it_is_said_once_and_ours_goes(shell: Shell) {
    let world = world();
    let mut session = Session::open(shell, &world);
    for name in ["AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_SESSION_TOKEN"] {
        session.quietly(["cd ~/app"]);
        assert_eq!(session.aws(), APP);
        let said = session.run(format!("export {name}=theirs"));
        assert_eq!(said, format!("awsdir: `{name}` was set by hand; standing down until the next directory"));
        assert_eq!(session.aws(), format!("{name}=theirs"));
        session.quietly([":", "cd sub", "cd ..", ":"]);
        assert_eq!(session.aws(), format!("{name}=theirs"));
        assert_eq!(session.segment, "");

        session.quietly(["cd ../prod"]);
        assert_eq!(session.aws(), PROD);
        session.quietly(["cd ../app"]);
        assert_eq!(session.aws(), APP);
        session.quietly(["cd /"]);
        assert_eq!(session.aws(), format!("{name}=theirs"));
        session.quietly([&shell.unset(name)]);
    }
}

fn unset_by_hand_too(shell: Shell) {
    let world = world();
    let mut session = Session::open(shell, &world);
    session.quietly(["cd app"]);
    let said = session.run(shell.unset("AWS_SESSION_TOKEN"));
    assert_eq!(said, "awsdir: `AWS_SESSION_TOKEN` was set by hand; standing down until the next directory");
    assert_eq!(session.aws(), "");
    session.quietly(["cd ..", "cd app"]);
    assert_eq!(session.aws(), APP);
}

fn a_region_set_by_hand_stays(shell: Shell) {
    let world = world();
    let mut session = Session::open(shell, &world);
    session.quietly(["cd app", "export AWS_REGION=mine", ":"]);
    let with_mine = APP.replacen("=eu-west-1", "=mine", 1);
    assert_eq!(session.aws(), with_mine);
    // It survives an answer that is asked anew, and leaving.
    session.run("awsdir allow");
    assert_eq!(session.aws(), with_mine);
    session.quietly(["cd .."]);
    assert_eq!(session.aws(), "AWS_REGION=mine");
}

fn by_hand_and_away_in_one_line(shell: Shell) {
    let world = world();
    let mut session = Session::open(shell, &world);
    let and = if shell == Fish { "; and" } else { " &&" };
    session.quietly(["cd app", &format!("export AWS_PROFILE=mine{and} cd ../prod")]);
    assert_eq!(session.aws(), PROD);
    session.quietly(["cd .."]);
    assert_eq!(session.aws(), "AWS_PROFILE=mine");
}
