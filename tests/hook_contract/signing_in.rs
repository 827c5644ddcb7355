//! A stale session at a terminal: one sign-in, in the foreground, where Ctrl-C works as usual.

use super::{Fish, Session, Shell, Start, in_each_shell};
use crate::identity_center::{BrowserBehaviour, Consent};
use crate::races::visit;
use crate::sandbox::{Sandbox, eventually};
use crate::terminal::LIMIT;

in_each_shell! {
    a_stale_session_is_signed_in_to_once,
    ctrl_c_ends_it_and_it_is_not_offered_again_until_login,
    ctrl_z_is_not_for_hooks,
    where_the_dotfile_says_ask_it_asks,
    where_the_dotfile_says_never_it_says_what_to_run,
    of_two_shells_one_signs_in,
    what_is_typed_ahead_is_kept,
    subshells_and_scripts_never_sign_in,
    nor_does_a_shell_that_a_machine_runs,
}

fn world() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.allowed_project("app", "read-only\n");
    sandbox.allowed_project("prod", "prod-admin\n");
    sandbox
}

const SIGNING_IN: &str = "\
awsdir: signing in to `corp` for profile `read-only`, as `[HOME]/app/.awsprofile` asks (Ctrl-C to cancel)
awsdir: approve it in your browser; if no page opens, open this one:
  [ENDPOINT]/authorize?[QUERY]
";

/// `AWS_PROFILE` and regions, always; never old role credentials.
const WITHOUT_CREDENTIALS: &str = "AWS_PROFILE=read-only\nAWS_REGION=eu-west-1\nAWS_DEFAULT_REGION=eu-west-1\nAWSDIR";

fn a_stale_session_is_signed_in_to_once(shell: Shell) {
    let world = world();
    let mut session = Session::open(shell, &world);
    let shown = session.run("cd app");
    assert_eq!(world.scrubbed(&shown), SIGNING_IN);
    assert!(session.aws().contains("AWS_ACCESS_KEY_ID="), "{}", session.aws());
    // The other role comes by the same session, silently.
    session.quietly(["cd ../prod", ":"]);
    assert!(session.aws().starts_with("AWS_PROFILE=prod-admin"));
    assert!(session.aws().contains("AWS_ACCESS_KEY_ID="));
    session.quietly(["cd ../app"]);
    assert_eq!(world.idc.browser_opens().len(), 1);
}

fn ctrl_c_ends_it_and_it_is_not_offered_again_until_login(shell: Shell) {
    let world = world();
    world.idc.settings(|settings| settings.consent = Consent::Ignore);
    let mut session = Session::open(shell, &world);
    session.begin("cd app && echo not reached");
    session.terminal.wait_for("/authorize?");
    session.terminal.send("\x03");
    let shown = session.until_prompt();
    if shell != Fish {
        assert!(!shown.contains("not reached"), "{shown}");
    }
    let told = session.run(":");
    assert!(
        told.is_empty() || told == "awsdir: the sign-in to `corp` was cancelled; run: awsdir login read-only",
        "{told}"
    );
    session.quietly([":", "cd ..", "cd app", ":"]);
    assert_eq!(session.aws(), WITHOUT_CREDENTIALS);
    assert_eq!(session.segment, "read-only expired");
    assert_eq!(world.idc.browser_opens().len(), 1);

    world.idc.settings(|settings| settings.consent = Consent::Immediate);
    session.run("awsdir login");
    session.quietly([":"]);
    assert!(session.aws().contains("AWS_ACCESS_KEY_ID="));
    assert_eq!(world.idc.browser_opens().len(), 2);
}

fn ctrl_z_is_not_for_hooks(shell: Shell) {
    let world = world();
    world.idc.settings(|settings| settings.browser = BrowserBehaviour::Nothing);
    let mut session = Session::open(shell, &world);
    session.begin("cd app");
    session.terminal.wait_for("/authorize?");
    assert!(world.idc.wait_for_browser(1, LIMIT));
    session.terminal.send("\x1a");
    session.terminal.wait_for("^Z");
    visit(&world.idc.browser_opens()[0]);
    session.until_prompt();
    session.quietly([":"]);
    assert!(session.aws().contains("AWS_ACCESS_KEY_ID="), "{}", session.aws());
    assert_eq!(world.idc.browser_opens().len(), 1);
}

fn where_the_dotfile_says_ask_it_asks(shell: Shell) {
    for (answer, opens) in [("n", 0), ("y", 1)] {
        let world = world();
        world.allowed_project("app", "profile = read-only\nlogin = ask\n");
        let mut session = Session::open(shell, &world);
        session.begin("cd app");
        session.terminal.wait_for("sign in now? [Y/n]");
        session.terminal.send(format!("{answer}\r"));
        session.until_prompt();
        session.run(":");
        session.quietly([":"]);
        assert_eq!(world.idc.browser_opens().len(), opens);
        assert_eq!(session.aws() == WITHOUT_CREDENTIALS, answer == "n");
    }
}

fn where_the_dotfile_says_never_it_says_what_to_run(shell: Shell) {
    let world = world();
    world.allowed_project("app", "profile = read-only\nlogin = never\n");
    let mut session = Session::open(shell, &world);
    assert_eq!(session.run("cd app"), "awsdir: sign-in to `corp` needed; run: awsdir login read-only");
    session.quietly([":", "cd .", ":"]);
    assert_eq!(session.aws(), WITHOUT_CREDENTIALS);
    assert_eq!(world.idc.requests().len(), 0);
}

fn of_two_shells_one_signs_in(shell: Shell) {
    let world = world();
    // A person who takes a while: nobody clicks before both shells want it.
    world.idc.settings(|settings| settings.browser = BrowserBehaviour::Nothing);
    let mut first = Session::open(shell, &world);
    let mut second = Session::open(shell, &world);
    first.begin("cd app");
    eventually("a browser", || !world.idc.browser_opens().is_empty());
    second.begin("cd app");
    second.terminal.wait_for("awsdir: ");
    let url = world.idc.browser_opens()[0].clone();
    world.idc.settings(|settings| settings.browser = BrowserBehaviour::Visit);
    let opened = world.command(world.path("../browser")).arg(&url).status().unwrap();
    assert!(opened.success());
    first.until_prompt();
    second.until_prompt();
    for session in [&mut first, &mut second] {
        session.quietly([":"]);
        assert!(session.aws().contains("AWS_ACCESS_KEY_ID="));
    }
    // One by the shell, and the same page by the person.
    assert_eq!(world.idc.browser_opens(), [url.clone(), url]);
}

fn subshells_and_scripts_never_sign_in(shell: Shell) {
    let world = world();
    let mut session = Session::open(shell, &world);
    if shell != Fish {
        assert_eq!(session.run("(cd app && echo ${AWS_PROFILE} ${AWS_ACCESS_KEY_ID-none})"), "read-only none");
        assert_eq!(session.run("echo $(cd app && pwd)"), "[HOME]/app");
    }
    session.quietly([&format!("{} -c 'cd ~/app'", shell.name())]);
    assert_eq!(world.idc.requests().len(), 0);
}

fn nor_does_a_shell_that_a_machine_runs(shell: Shell) {
    for (name, value) in [("CI", "true"), ("CLAUDECODE", "1"), ("VSCODE_RESOLVING_ENVIRONMENT", "1")] {
        let world = world();
        let mut session = Start::new(shell, &world).env(name, value).open();
        let said = session.run("cd app");
        assert_eq!(said, "awsdir: sign-in to `corp` needed; run: awsdir login read-only", "{name}");
        assert_eq!(session.aws(), WITHOUT_CREDENTIALS);
        assert_eq!(world.idc.requests().len(), 0, "{name}");
    }
}

fn what_is_typed_ahead_is_kept(shell: Shell) {
    let world = world();
    let mut session = Session::open(shell, &world);
    session.terminal.send("cd app\recho ahead\r");
    session.terminal.wait_for("⟨");
    assert!(session.until_prompt().contains("/authorize?"));
    session.terminal.wait_for("⟨");
    assert_eq!(session.until_prompt(), "ahead");
}
