//! Many processes at once: one of them acts, all of them have what came of it.

use crate::identity_center::{BrowserBehaviour, Consent, Fault, Operation, RoleSettings};
use crate::sandbox::{CONFIG, ROLE_FILE, Sandbox, TOKEN_FILE, eventually, from_now};
use crate::sign_in::{get, location, sandbox};
use crate::terminal::{LIMIT, Terminal, run};
use rustix::process::{Pid, Signal, kill_process};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Child, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

const MANY: usize = 50;

/// `awsdir export PROFILE` at a terminal of its own, its stdout caught.
fn start_export(sandbox: &Sandbox, profile: &str) -> Terminal {
    let mut command = sandbox.awsdir(["export", profile]);
    Terminal::spawn_with_own_stdout(command.stdout(Stdio::piped()))
}

/// What an export has printed, once it has ended well.
fn exported(terminal: Terminal) -> String {
    let ran = terminal.wait();
    assert!(ran.status.success(), "{}", ran.text());
    String::from_utf8(ran.stdout).unwrap()
}

/// 50 exports at once, of these profiles in turn; the different outputs.
fn export_by_many(sandbox: &Sandbox, profiles: &[&str]) -> BTreeSet<String> {
    let terminals: Vec<_> = profiles.iter().cycle().take(MANY).map(|profile| start_export(sandbox, profile)).collect();
    terminals.into_iter().map(exported).collect()
}

pub(crate) fn send(signal: Signal, child: &Child) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

/// A sandbox in which one process holds the locks of `read-only` and `corp`, waiting for a browser that shows nothing.
fn with_a_holder() -> (Sandbox, Terminal) {
    let sandbox = sandbox();
    sandbox.idc.settings(|settings| settings.browser = BrowserBehaviour::Nothing);
    let holder = start_export(&sandbox, "read-only");
    assert!(sandbox.idc.wait_for_browser(1, LIMIT));
    sandbox.idc.settings(|settings| settings.browser = BrowserBehaviour::Visit);
    (sandbox, holder)
}

/// What a waiter says of `what` after its two seconds.
fn expect_waiting(waiter: &mut Terminal, what: &str, holder: &Terminal) {
    let said = waiter.wait_for("\r\n");
    let expected = format!("awsdir: waiting for {what}, held by process {} since 20", holder.child.id());
    assert!(said.starts_with(&expected), "{said}");
}

#[test]
fn fifty_processes_that_meet_a_stale_session_open_one_browser() {
    let sandbox = sandbox();
    sandbox.sign_in(|token| {
        token["expiresAt"] = from_now(-60).into();
        token.as_object_mut().unwrap().remove("refreshToken");
    });
    // Long enough that all of them have started.
    sandbox.idc.inject(Operation::CreateToken, Fault::Delay(Duration::from_secs(1)), 1);
    let outputs = export_by_many(&sandbox, &["read-only", "prod-admin", "no-region"]);
    assert_eq!(outputs.len(), 3, "one set of role credentials for each role");
    assert_eq!(sandbox.idc.browser_opens().len(), 2, "one before, one now");
    assert_eq!(sandbox.idc.count(Operation::CreateToken), 1);
    assert_eq!(sandbox.idc.count(Operation::GetRoleCredentials), 3);
}

#[test]
fn fifty_processes_with_a_refresh_token_renew_once_and_open_none() {
    let sandbox = sandbox();
    sandbox.sign_in(|token| token["expiresAt"] = from_now(-60).into());
    sandbox.idc.inject(Operation::CreateToken, Fault::Delay(Duration::from_secs(1)), 1);
    let outputs = export_by_many(&sandbox, &["read-only"]);
    assert_eq!(outputs.len(), 1);
    assert_eq!(sandbox.asked(), "CreateToken(refresh_token), GetRoleCredentials");
}

#[test]
fn fifty_processes_with_a_stale_role_fetch_it_once() {
    let sandbox = sandbox();
    sandbox.get_role(|role| role["Credentials"]["Expiration"] = from_now(-60).into());
    sandbox.idc.inject(Operation::GetRoleCredentials, Fault::Delay(Duration::from_secs(1)), 1);
    assert_eq!(export_by_many(&sandbox, &["read-only"]).len(), 1);
    assert_eq!(sandbox.asked(), "GetRoleCredentials");
}

/// 50 exports at once, nobody at a terminal.
fn start_many(sandbox: &Sandbox, profiles: &[&str]) -> Vec<Child> {
    let start = |profile: &&str| {
        let mut export = sandbox.awsdir(["export", profile]);
        export.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    profiles.iter().cycle().take(MANY).map(start).collect()
}

fn codes(children: Vec<Child>) -> BTreeSet<i32> {
    let code = |child: Child| {
        let output = child.wait_with_output().unwrap();
        output.status.code().unwrap_or_else(|| panic!("{output:?}"))
    };
    children.into_iter().map(code).collect()
}

#[test]
fn a_logout_among_fifty_processes_leaves_nothing_behind() {
    let sandbox = sandbox();
    sandbox.sign_in(|token| token["expiresAt"] = from_now(-60).into());
    sandbox.idc.inject(Operation::CreateToken, Fault::Delay(Duration::from_secs(1)), 1);
    let children = start_many(&sandbox, &["read-only", "prod-admin", "no-region"]);
    assert!(sandbox.idc.wait_for(Operation::CreateToken, 1, LIMIT));
    let logout = sandbox.awsdir(["logout", "--session", "corp"]).output().unwrap();
    assert!(logout.status.success(), "{logout:?}");
    // Served before the logout, or told to sign in.
    assert!(codes(children).is_subset(&BTreeSet::from([0, 4])));
    assert_eq!(sandbox.idc.count(Operation::CreateToken), 1, "{}", sandbox.asked());
    assert!(!sandbox.path(TOKEN_FILE).exists());
    assert_eq!(sandbox.names(".aws/cli/cache"), [""; 0]);
}

/// Does something over and over, until this is dropped.
struct Meanwhile(Arc<AtomicBool>, Option<JoinHandle<()>>);

impl Meanwhile {
    fn keep(mut doing: impl FnMut() + Send + 'static) -> Self {
        let done = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&done);
        let thread = std::thread::spawn(move || {
            while !seen.load(Ordering::Relaxed) {
                doing();
                // A program that writes files does not only that.
                std::thread::sleep(Duration::from_millis(2));
            }
        });
        Self(done, Some(thread))
    }
}

impl Drop for Meanwhile {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
        self.1.take().unwrap().join().unwrap();
    }
}

/// As the AWS CLI does: the file is emptied, and filled again.
fn write_in_place(path: &Path, content: &str) {
    let mut file = std::fs::File::create(path).unwrap();
    for half in content.as_bytes().chunks(content.len() / 2 + 1) {
        std::io::Write::write_all(&mut file, half).unwrap();
    }
}

#[test]
fn another_tool_that_writes_the_files_in_place_takes_nobodys_session() {
    let sandbox = sandbox();
    sandbox.get_role(|role| role["Credentials"]["Expiration"] = from_now(-60).into());
    let files = [TOKEN_FILE, ROLE_FILE].map(|file| (sandbox.path(file), sandbox.read(file)));
    let token = files[0].clone();
    let meanwhile = Meanwhile::keep(move || files.iter().for_each(|(path, content)| write_in_place(path, content)));
    assert_eq!(codes(start_many(&sandbox, &["read-only", "prod-admin", "no-region"])), BTreeSet::from([0]));
    drop(meanwhile);
    assert_eq!(sandbox.read(TOKEN_FILE), token.1);
    assert_eq!(sandbox.idc.count(Operation::CreateToken), 0, "{}", sandbox.asked());
}

#[test]
fn a_refresh_token_that_another_tool_has_just_spent_costs_no_sign_in() {
    let sandbox = sandbox();
    sandbox.sign_in(|_| {});
    // What the other tool is answered, and writes down a moment after we are told that we are late.
    let renewed = sandbox.read(TOKEN_FILE);
    sandbox.edit_token(|token| {
        token["accessToken"] = "stale".into();
        token["expiresAt"] = from_now(-60).into();
    });
    let late = Fault::Status {
        code: 400,
        headers: vec![("Content-Type".into(), "application/json".into())],
        body: r#"{"error":"invalid_grant","error_description":"Invalid refresh token provided"}"#.into(),
    };
    sandbox.idc.inject(Operation::CreateToken, late, 1);
    let children = start_many(&sandbox, &["read-only", "prod-admin"]);
    assert!(sandbox.idc.wait_for(Operation::CreateToken, 1, LIMIT));
    // It takes the other tool that long from its answer to its file.
    std::thread::sleep(Duration::from_millis(100));
    write_in_place(&sandbox.path(TOKEN_FILE), &renewed);
    assert_eq!(codes(children), BTreeSet::from([0]));
    assert_eq!(sandbox.read(TOKEN_FILE), renewed);
    assert_eq!(sandbox.idc.count(Operation::CreateToken), 1, "{}", sandbox.asked());
}

#[test]
fn a_config_that_is_edited_meanwhile_is_read_whole_or_named() {
    let sandbox = sandbox();
    sandbox.get_role(|_| {});
    let (config, beside) = (sandbox.path(".aws/config"), sandbox.path(".aws/config.new"));
    let before = sandbox.read(".aws/config");
    let after = format!("# edited\n{}", before.replace("Admin", "ReadOnly"));
    let versions = [before, after.clone()];
    // As careful editors do.
    let (replaced, texts) = (config.clone(), versions.clone());
    let meanwhile = Meanwhile::keep(move || {
        for text in &texts {
            std::fs::write(&beside, text).unwrap();
            std::fs::rename(&beside, &replaced).unwrap();
        }
    });
    assert_eq!(codes(start_many(&sandbox, &["read-only", "prod-admin"])), BTreeSet::from([0]));
    drop(meanwhile);
    // As others do: whoever looks at the wrong moment sees half of it.
    let meanwhile = Meanwhile::keep(move || versions.iter().for_each(|text| write_in_place(&config, text)));
    assert!(codes(start_many(&sandbox, &["read-only", "prod-admin"])).is_subset(&BTreeSet::from([0, 3])));
    drop(meanwhile);
    // What was half is not remembered.
    let output = sandbox.awsdir(["status", "prod-admin", "--json"]).output().unwrap();
    let status: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(sandbox.read(".aws/config"), after);
    assert_eq!(status["permission_set"], "ReadOnly", "{status}");
}

#[test]
fn fifty_processes_refused_by_the_portal_renew_once() {
    let sandbox = sandbox();
    sandbox.sign_in(|_| {});
    sandbox.idc.revoke_access_tokens();
    let outputs = export_by_many(&sandbox, &["read-only", "prod-admin", "no-region"]);
    assert_eq!(outputs.len(), 3);
    assert_eq!(sandbox.idc.count(Operation::CreateToken), 1, "{}", sandbox.asked());
    assert_eq!(sandbox.idc.browser_opens().len(), 1, "the one before");
}

#[test]
fn a_killed_holder_frees_the_waiters() {
    let (sandbox, mut holder) = with_a_holder();
    let mut waiters: Vec<_> = (0..3).map(|_| start_export(&sandbox, "read-only")).collect();
    for waiter in &mut waiters {
        expect_waiting(waiter, "the role of `read-only`", &holder);
    }
    send(Signal::KILL, &holder.child);
    holder.child.wait().unwrap();
    let outputs: BTreeSet<_> = waiters.into_iter().map(exported).collect();
    assert_eq!(outputs.len(), 1);
    assert_eq!(sandbox.idc.browser_opens().len(), 2, "the killed one's, and one for all who waited");
}

#[test]
fn a_stopped_holder_is_named_and_everybody_goes_on_with_it() {
    let (sandbox, holder) = with_a_holder();
    send(Signal::STOP, &holder.child);
    let mut same_role = start_export(&sandbox, "read-only");
    let mut same_session = start_export(&sandbox, "prod-admin");
    expect_waiting(&mut same_role, "the role of `read-only`", &holder);
    expect_waiting(&mut same_session, "the session `corp`", &holder);
    send(Signal::CONT, &holder.child);
    visit(&sandbox.idc.browser_opens()[0]);
    assert_eq!(exported(holder), exported(same_role));
    exported(same_session);
    assert_eq!(sandbox.idc.browser_opens().len(), 1);
    assert_eq!(sandbox.idc.count(Operation::CreateToken), 1);
}

#[test]
fn a_stopped_holder_is_given_up_by_the_deadline() {
    let sandbox = sandbox();
    sandbox.sign_in(|_| {});
    let work = sandbox.allowed_project("work", "read-only");
    sandbox.idc.inject(Operation::GetRoleCredentials, Fault::Hang, 1);
    let mut holder = sandbox.awsdir(["export", "read-only"]).stderr(Stdio::null()).spawn().unwrap();
    assert!(sandbox.idc.wait_for(Operation::GetRoleCredentials, 1, LIMIT));
    send(Signal::STOP, &holder);
    let mut command = sandbox.awsdir(["export", "read-only"]);
    let began = Instant::now();
    let export = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut prompt = sandbox.awsdir(["refresh"]);
    let prompt = run(prompt.current_dir(&work).env("PWD", &work));
    assert_eq!(prompt.status.code(), Some(5), "{}", prompt.text());
    assert!(began.elapsed() < Duration::from_secs(15), "a prompt waits for 5 s: {:?}", began.elapsed());
    let export = export.wait_with_output().unwrap();
    assert!(began.elapsed() < Duration::from_secs(45), "a command waits for 30 s: {:?}", began.elapsed());
    assert_eq!(export.status.code(), Some(5));
    let said = sandbox.scrubbed(&String::from_utf8_lossy(&export.stderr));
    insta::assert_snapshot!(said, @"
    awsdir: waiting for the role of `read-only`, held by process [PID] since [TIME]
    awsdir: gave up waiting for the role of `read-only`, held by process [PID] since [TIME]
    ");
    assert_eq!(sandbox.asked(), "GetRoleCredentials unanswered");
    holder.kill().unwrap();
    holder.wait().unwrap();
    assert!(sandbox.awsdir(["export", "read-only"]).stdout(Stdio::null()).status().unwrap().success());
}

/// Opens a page as the person would.
pub(crate) fn visit(url: &str) {
    get(&location(&get(url)));
}

#[test]
fn a_sign_in_that_is_refused_is_refused_for_all_who_waited_for_it() {
    let (sandbox, holder) = with_a_holder();
    sandbox.idc.settings(|settings| settings.consent = Consent::Deny);
    let mut waiters: Vec<_> =
        ["read-only", "read-only", "prod-admin"].map(|profile| start_export(&sandbox, profile)).into();
    for waiter in &mut waiters {
        waiter.wait_for("awsdir: waiting for the ");
    }
    visit(&sandbox.idc.browser_opens()[0]);
    waiters.push(holder);
    for terminal in waiters {
        let ran = terminal.wait();
        assert_eq!(ran.status.code(), Some(4), "{}", ran.text());
        assert!(ran.text().contains("the sign-in to `corp` was denied in the browser"), "{}", ran.text());
    }
    assert_eq!(sandbox.idc.browser_opens().len(), 1);
}

#[test]
fn ctrl_c_ends_a_waiter_and_not_the_holder() {
    let (sandbox, holder) = with_a_holder();
    let mut waiter = start_export(&sandbox, "read-only");
    expect_waiting(&mut waiter, "the role of `read-only`", &holder);
    waiter.send("\x03");
    let ran = waiter.wait();
    assert_eq!(ran.status.code(), Some(130), "{}", ran.text());
    visit(&sandbox.idc.browser_opens()[0]);
    exported(holder);
}

#[test]
fn a_renewal_in_the_background_waits_for_nobody() {
    let (sandbox, holder) = with_a_holder();
    let work = sandbox.allowed_project("work", "read-only");
    sandbox.plant_token(&from_now(-60), true);
    let output = sandbox.awsdir(["refresh", "--detached"]).current_dir(&work).output().unwrap();
    let said = sandbox.scrubbed(&String::from_utf8_lossy(&output.stderr));
    let expected = "awsdir: gave up waiting for the role of `read-only`, held by process [PID] since [TIME]\n";
    assert_eq!((output.status.code(), said.as_str()), (Some(5), expected));
    drop(holder);
}

/// 50 hooks at once in a directory, with what they printed.
fn hooks(sandbox: &Sandbox, directory: &Path) -> Vec<Output> {
    let start = |_| {
        let mut hook = sandbox.awsdir(["hook", "bash"]);
        hook.current_dir(directory).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let children: Vec<Child> = (0..MANY).map(start).collect();
    children.into_iter().map(|child| child.wait_with_output().unwrap()).collect()
}

/// The different scripts that hooks have printed, apart from the generation.
fn scripts(outputs: &[Output]) -> BTreeSet<String> {
    let script = |output: &Output| {
        assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
        let text = String::from_utf8(output.stdout.clone()).unwrap();
        assert!(text.ends_with(": awsdir-end\n"), "{text}");
        let lines = text.lines().filter(|line| !line.starts_with("__awsdir_generation="));
        lines.map(|line| line.to_owned() + "\n").collect()
    };
    outputs.iter().map(script).collect()
}

#[test]
fn fifty_hooks_say_the_same_and_ask_nobody() {
    let sandbox = sandbox();
    let work = sandbox.allowed_project("work", "read-only");
    sandbox.get_role(|_| {});
    std::fs::remove_dir_all(sandbox.path(".local/state/awsdir/locks")).unwrap();
    assert_eq!(scripts(&hooks(&sandbox, &work)).len(), 1);
    assert_eq!(sandbox.asked(), "");
}

/// A sandbox whose role credentials of `read-only` have five minutes left, and a directory that selects them.
fn expiring() -> (Sandbox, PathBuf) {
    let sandbox = sandbox();
    let work = sandbox.allowed_project("work", "read-only");
    sandbox.get_role(|role| role["Credentials"]["Expiration"] = from_now(5 * 60).into());
    age(&sandbox, ROLE_FILE);
    (sandbox, work)
}

#[test]
fn a_hook_with_expiring_role_credentials_uses_them_and_waits_for_nothing() {
    let (sandbox, work) = expiring();
    sandbox.idc.inject(Operation::GetRoleCredentials, Fault::Hang, 1);
    let output = sandbox.awsdir(["hook", "bash"]).current_dir(&work).output().unwrap();
    assert!(sandbox.idc.wait_for(Operation::GetRoleCredentials, 1, LIMIT));
    assert_eq!(sandbox.asked(), "GetRoleCredentials unanswered");
    let in_hand = sandbox.idc.issued_credentials().pop().unwrap();
    assert!(String::from_utf8_lossy(&output.stdout).contains(&in_hand.access_key_id), "{output:?}");
    eventually("the end of the background process", || processes_in(&work) == 0);
}

#[test]
fn fifty_hooks_with_expiring_role_credentials_renew_them_once() {
    let (sandbox, work) = expiring();
    for output in hooks(&sandbox, &work) {
        let script = String::from_utf8_lossy(&output.stdout);
        let mut issued = sandbox.idc.issued_credentials().into_iter();
        assert!(issued.any(|issued| script.contains(&issued.access_key_id)), "{script}");
    }
    assert!(sandbox.idc.wait_for(Operation::GetRoleCredentials, 1, LIMIT));
    eventually("the end of the background processes", || processes_in(&work) == 0);
    assert_eq!(sandbox.asked(), "GetRoleCredentials");
    let renewed = sandbox.idc.issued_credentials().pop().unwrap();
    eventually("the renewal", || sandbox.read_json(ROLE_FILE)["Credentials"]["AccessKeyId"] == renewed.access_key_id);
}

/// Makes a file an hour old.
fn age(sandbox: &Sandbox, path: &str) {
    let file = std::fs::File::options().write(true).open(sandbox.path(path)).unwrap();
    file.set_modified(std::time::SystemTime::now() - Duration::from_hours(1)).unwrap();
}

/// How many processes work in a directory, where that can be told.
fn processes_in(directory: &Path) -> usize {
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    processes.filter(|process| std::fs::read_link(process.path().join("cwd")).is_ok_and(|cwd| cwd == directory)).count()
}

#[test]
fn fifty_directories_allowed_at_once_are_all_allowed() {
    let sandbox = sandbox();
    let projects: Vec<_> = (0..MANY).map(|n| sandbox.project(&format!("project-{n}"), "static")).collect();
    let start = |project| sandbox.awsdir(["allow"]).current_dir(project).stderr(Stdio::null()).spawn().unwrap();
    let children: Vec<Child> = projects.iter().map(start).collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    for project in &projects {
        let output = sandbox.awsdir(["hook", "bash"]).current_dir(project).output().unwrap();
        assert!(output.stderr.is_empty(), "{output:?}");
    }
}

/// What a hook does when it finds that a renewal is due: it asks, has it renewed, and asks once more.
const WAKING: &str = r#"
"$AWSDIR_PROGRAM" hook bash --said= >/dev/null
"$AWSDIR_PROGRAM" refresh
exec "$AWSDIR_PROGRAM" hook bash --said= --refreshed
"#;

/// A shell that wakes up in a directory.
fn wake(sandbox: &Sandbox, directory: &str) -> Child {
    let mut shell = sandbox.command("sh");
    shell.args(["-c", WAKING]).env("AWSDIR_PROGRAM", env!("CARGO_BIN_EXE_awsdir"));
    let directory = sandbox.path(directory);
    shell.env("PWD", &directory).current_dir(directory).stdout(Stdio::piped()).stderr(Stdio::piped());
    shell.spawn().unwrap()
}

/// The key id that a woken shell is told.
fn key_of(output: &Output) -> String {
    let script = String::from_utf8_lossy(&output.stdout).into_owned();
    let key = script.lines().find_map(|line| line.strip_prefix("AWS_ACCESS_KEY_ID=")).map(str::to_owned);
    key.unwrap_or_else(|| panic!("{}{script}", String::from_utf8_lossy(&output.stderr)))
}

#[test]
fn two_hundred_shells_that_wake_up_renew_once() {
    const SHELLS: usize = 200;
    let sandbox = sandbox();
    sandbox.allowed_project("app", "read-only\n");
    sandbox.allowed_project("prod", "prod-admin\n");
    sandbox.sign_in(|token| token["expiresAt"] = from_now(-3600).into());
    sandbox.plant_role_credentials(&from_now(-3600));
    let directories = ["app", "prod"].iter().cycle().take(SHELLS);
    let shells: Vec<Child> = directories.map(|directory| wake(&sandbox, directory)).collect();
    let keys: Vec<String> = shells.into_iter().map(|shell| key_of(&shell.wait_with_output().unwrap())).collect();
    let (app, prod): (Vec<_>, Vec<_>) = keys.iter().enumerate().partition(|(index, _)| index % 2 == 0);
    for of_role in [app, prod] {
        assert_eq!(of_role.iter().map(|(_, key)| key).collect::<BTreeSet<_>>().len(), 1, "one role, one key");
    }
    assert_eq!(sandbox.idc.count(Operation::CreateToken), 1, "{}", sandbox.asked());
    assert_eq!(sandbox.idc.count(Operation::GetRoleCredentials), 2, "{}", sandbox.asked());
    assert_eq!(sandbox.idc.browser_opens().len(), 1, "the one before");
}

/// The role `deploy` by the credentials of `read-only`, which come from the session `corp`.
#[test]
fn fifty_shells_that_wake_up_on_a_chain_climb_it_once() {
    const ROLE: &str = "arn:aws:iam::333333333333:role/deploy";
    let sandbox = sandbox();
    sandbox.idc.create_role(ROLE, RoleSettings::default());
    sandbox
        .write(".aws/config", format!("{CONFIG}\n[profile deploy]\nrole_arn = {ROLE}\nsource_profile = read-only\n"));
    sandbox.allowed_project("app", "deploy\n");
    sandbox.get_role(|_| {});
    let before = sandbox.awsdir(["export", "deploy"]).output().unwrap();
    assert!(before.status.success(), "{before:?}");
    // All but the refresh token.
    for file in sandbox.files(".aws/cli/cache") {
        let mut role = sandbox.read_json(&file);
        role["Credentials"]["Expiration"] = from_now(-3600).into();
        sandbox.write(file, role.to_string());
    }
    sandbox.edit_token(|token| token["expiresAt"] = from_now(-3600).into());
    sandbox.idc.clear_requests();
    let shells: Vec<Child> = (0..MANY).map(|_| wake(&sandbox, "app")).collect();
    let keys: BTreeSet<String> = shells.into_iter().map(|shell| key_of(&shell.wait_with_output().unwrap())).collect();
    let issued = sandbox.idc.issued_credentials().pop().unwrap();
    assert_eq!(keys, BTreeSet::from([format!("'{}'; \\export AWS_ACCESS_KEY_ID", issued.access_key_id)]));
    assert_eq!(issued.identity.role_name, "deploy");
    assert_eq!(sandbox.asked(), "CreateToken(refresh_token), GetRoleCredentials, AssumeRole");
}
