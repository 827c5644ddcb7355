//! What time does, and what happens elsewhere, is seen at the next prompt.

use super::{APP, Session, Shell, Start, in_each_shell, plant, world};
use crate::identity_center::{Fault, Operation};
use crate::sandbox::{ROLE_FILE, Sandbox, TOKEN_FILE, available, eventually};
use crate::terminal::{LIMIT, run};
use std::ffi::OsStr;
use std::process::Command;
use std::time::{Duration, Instant};

in_each_shell! {
    expiring_role_credentials_are_renewed_behind_the_prompt,
    nobody_waits_for_a_renewal_that_hangs,
    a_renewal_in_the_foreground_has_five_seconds,
    expired_role_credentials_are_gone_from_the_environment,
    a_sign_in_elsewhere_is_seen,
    a_token_from_another_tool_is_seen,
    a_logout_elsewhere_is_seen,
    after_a_night_it_is_renewed_or_gone,
    a_clock_that_is_set_back_does_no_harm,
}

/// Between two prompts of a person who waits: a prompt is the event at which a hook looks, and the clock is what changes.
const BETWEEN: Duration = Duration::from_millis(50);

fn key_id(session: &mut Session<'_>) -> String {
    let environment = session.environment();
    environment.get(OsStr::new("AWS_ACCESS_KEY_ID")).map(|id| id.to_string_lossy().into_owned()).unwrap_or_default()
}

/// Prompts until one has what is wanted.
fn prompts_until(session: &mut Session<'_>, what: &str, done: impl Fn(&mut Session<'_>) -> bool) {
    let deadline = Instant::now() + LIMIT;
    while !done(session) {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        std::thread::sleep(BETWEEN);
        session.quietly([":"]);
    }
}

/// Lets file times be told apart from those before, whatever the file system's resolution.
fn touch_later(world: &Sandbox, file: &str) {
    let later = std::time::SystemTime::now() + Duration::from_secs(2);
    std::fs::File::options().write(true).open(world.path(file)).unwrap().set_modified(later).unwrap();
}

fn expiring_role_credentials_are_renewed_behind_the_prompt(shell: Shell) {
    let world = world();
    world.sign_in(|_| {});
    plant(&world, 10 * 60);
    age(&world, ROLE_FILE);
    let mut session = Session::open(shell, &world);
    session.quietly(["cd app"]);
    // At once what is in hand, and soon the new.
    assert!(world.idc.wait_for(Operation::GetRoleCredentials, 1, LIMIT));
    prompts_until(&mut session, "the new role credentials", |session| world.idc.caller_of(&key_id(session)).is_some());
    assert_eq!(world.idc.count(Operation::GetRoleCredentials), 1);
}

fn nobody_waits_for_a_renewal_that_hangs(shell: Shell) {
    let world = world();
    world.sign_in(|_| {});
    plant(&world, 10 * 60);
    age(&world, ROLE_FILE);
    world.idc.inject(Operation::GetRoleCredentials, Fault::Hang, 9);
    let mut session = Session::open(shell, &world);
    session.quietly(["cd app"]);
    assert!(world.idc.wait_for(Operation::GetRoleCredentials, 1, LIMIT));
    session.quietly([":", ":"]);
    assert_eq!(session.aws(), APP);
    assert_eq!(world.idc.count(Operation::GetRoleCredentials), 1);
}

fn a_renewal_in_the_foreground_has_five_seconds(shell: Shell) {
    let world = world();
    world.sign_in(|_| {});
    let _ = std::fs::remove_file(world.path(ROLE_FILE));
    world.idc.inject(Operation::GetRoleCredentials, Fault::Hang, 9);
    let mut session = Session::open(shell, &world);
    let began = Instant::now();
    let said = session.run("cd app");
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    assert!(said.starts_with("awsdir: ") && said.lines().count() == 1, "{said}");
    // It is not tried again at once, nor told again.
    session.quietly([":", "cd sub", ":"]);
    assert_eq!(session.segment, "read-only renewable");
    assert_eq!(session.aws(), "AWS_PROFILE=read-only\nAWS_REGION=eu-west-1\nAWS_DEFAULT_REGION=eu-west-1\nAWSDIR");
    assert_eq!(world.idc.count(Operation::GetRoleCredentials), 1);
    assert_eq!(world.idc.browser_opens().len(), 1, "the sign-in before all this");
}

/// Makes a file older than a minute: it was not renewed just now.
fn age(world: &Sandbox, file: &str) {
    let before = std::time::SystemTime::now() - Duration::from_mins(10);
    std::fs::File::options().write(true).open(world.path(file)).unwrap().set_modified(before).unwrap();
}

fn expired_role_credentials_are_gone_from_the_environment(shell: Shell) {
    let world = world();
    world.allowed_project("app", "profile = read-only\nlogin = never\n");
    let mut session = Session::open(shell, &world);
    plant(&world, 5);
    session.quietly(["cd app"]);
    assert_ne!(key_id(&mut session), "");
    let deadline = Instant::now() + LIMIT;
    let said = loop {
        let said = session.run(":");
        if !said.is_empty() {
            break said;
        }
        assert!(Instant::now() < deadline, "still there");
        std::thread::sleep(BETWEEN);
    };
    assert_eq!(said, "awsdir: sign-in to `corp` needed; run: awsdir login read-only");
    assert_eq!(session.aws(), "AWS_PROFILE=read-only\nAWS_REGION=eu-west-1\nAWS_DEFAULT_REGION=eu-west-1\nAWSDIR");
    assert_eq!(session.segment, "read-only expired");
}

/// A shell that waits for a sign-in.
fn waiting(shell: Shell, world: &Sandbox) -> Session<'_> {
    world.allowed_project("wait", "profile = read-only\nlogin = never\n");
    let _ = std::fs::remove_file(world.path(ROLE_FILE));
    let mut session = Session::open(shell, world);
    assert_eq!(session.run("cd wait"), "awsdir: sign-in to `corp` needed; run: awsdir login read-only");
    session.quietly([":"]);
    session
}

fn a_sign_in_elsewhere_is_seen(shell: Shell) {
    let world = world();
    let mut session = waiting(shell, &world);
    let login = run(&mut world.awsdir(["login", "read-only"]));
    assert!(login.status.success(), "{}", login.text());
    session.quietly([":"]);
    assert!(world.idc.caller_of(&key_id(&mut session)).is_some());
}

fn a_token_from_another_tool_is_seen(shell: Shell) {
    let world = world();
    // A token as such, and then as it was written by another tool.
    world.sign_in(|_| {});
    let token = world.read(TOKEN_FILE);
    std::fs::remove_file(world.path(TOKEN_FILE)).unwrap();
    let mut session = waiting(shell, &world);
    world.write(TOKEN_FILE, token);
    touch_later(&world, TOKEN_FILE);
    session.quietly([":"]);
    assert!(world.idc.caller_of(&key_id(&mut session)).is_some());
}

fn a_logout_elsewhere_is_seen(shell: Shell) {
    let world = world();
    world.sign_in(|_| {});
    world.allowed_project("app", "profile = read-only\nlogin = never\n");
    let mut session = Session::open(shell, &world);
    session.quietly(["cd app"]);
    assert_eq!(session.aws(), APP);
    let logout = world.awsdir(["logout", "--all"]).output().unwrap();
    assert!(logout.status.success(), "{logout:?}");
    session.run(":");
    eventually("the removal", || !world.path(ROLE_FILE).exists());
    assert_eq!(key_id(&mut session), "");
}

/// A shell whose clock is wrong by what [`set_clock`] says; `None` where there is no C compiler to make it so.
fn with_own_clock(shell: Shell, world: &Sandbox) -> Option<Session<'_>> {
    if !available("cc") {
        return None;
    }
    set_clock(world, 0);
    let (library, file) = (world.path("clock.so"), world.path("clock"));
    let define = format!("-DCLOCK_FILE=\"{}\"", file.display());
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/hook_contract/clock.c");
    let mut compile = Command::new("cc");
    compile.args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", &define, "-o"]).arg(&library).arg(source);
    let compiled = compile.output().unwrap();
    assert!(compiled.status.success(), "{compiled:?}");
    Some(Start::new(shell, world).env("LD_PRELOAD", library).open())
}

/// As if the clock had been set, or the machine had slept: by so many seconds from the right time.
fn set_clock(world: &Sandbox, wrong_by: i64) {
    std::fs::write(world.path("clock"), wrong_by.to_string()).unwrap();
}

const NIGHT: i64 = 9 * 3600;

fn after_a_night_it_is_renewed_or_gone(shell: Shell) {
    let world = world();
    world.allowed_project("app", "profile = read-only\nlogin = never\n");
    let Some(mut session) = with_own_clock(shell, &world) else { return };
    session.quietly(["cd app"]);
    assert_eq!(session.aws(), APP);
    assert!(session.segment.starts_with("read-only 1h"), "{}", session.segment);
    set_clock(&world, NIGHT);
    assert_eq!(session.run(":"), "awsdir: sign-in to `corp` needed; run: awsdir login read-only");
    assert_eq!(session.aws(), "AWS_PROFILE=read-only\nAWS_REGION=eu-west-1\nAWS_DEFAULT_REGION=eu-west-1\nAWSDIR");
    assert_eq!(session.segment, "read-only expired");
    // The next one, with a session that outlives it.
    let day = Duration::from_hours(24);
    world.idc.settings(|settings| (settings.role_lifetime, settings.session_lifetime) = (day, day));
    world.sign_in(|_| {});
    touch_later(&world, TOKEN_FILE);
    session.quietly([":"]);
    assert_eq!(world.idc.count(Operation::CreateToken), 1, "{}", world.asked());
    let before = key_id(&mut session);
    assert!(world.idc.caller_of(&before).is_some(), "{before}");
    set_clock(&world, 3 * NIGHT);
    world.idc.settings(|settings| settings.role_lifetime = 3 * day);
    session.quietly([":"]);
    assert_ne!(key_id(&mut session), before);
    assert_eq!(world.idc.count(Operation::CreateToken), 2, "{}", world.asked());
    assert_eq!(world.idc.browser_opens().len(), 1, "the first sign-in");
}

fn a_clock_that_is_set_back_does_no_harm(shell: Shell) {
    let world = world();
    let Some(mut session) = with_own_clock(shell, &world) else { return };
    set_clock(&world, NIGHT);
    plant(&world, NIGHT + 3600 + 59);
    session.quietly(["cd app"]);
    assert_eq!(session.aws(), APP);
    assert!(session.segment.starts_with("read-only 1h"), "{}", session.segment);
    set_clock(&world, 0);
    session.quietly([":", ":", "cd sub", ":"]);
    assert_eq!(session.aws(), APP);
    assert!(session.segment.starts_with("read-only 10h"), "{}", session.segment);
    // What is decided by then is decided anew.
    plant(&world, 3600 + 59);
    session.quietly(["cd ../../prod"]);
    assert!(session.segment.starts_with("prod-admin"), "{}", session.segment);
    session.quietly(["cd /"]);
    assert_eq!(session.aws(), "");
}
