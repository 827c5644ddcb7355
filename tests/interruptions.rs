//! What a person, a terminal and a system do to a program that is at work: signals, job control, hanging up, narrow and
//! changing terminals.

use crate::identity_center::{BrowserBehaviour, Fault, Operation};
use crate::races::{send, visit};
use crate::sandbox::{ROLE_FILE, Sandbox, TOKEN_FILE, eventually, from_now, skipped};
use crate::sign_in::sandbox;
use crate::terminal::{LIMIT, Terminal};
use rustix::process::Signal;
use std::os::unix::process::ExitStatusExt as _;
use std::time::{Duration, Instant};

/// A sandbox whose session needs a renewal, and whose service takes a second for it or never answers.
fn renewal(fault: Fault) -> Sandbox {
    let sandbox = sandbox();
    sandbox.sign_in(|token| token["expiresAt"] = from_now(-60).into());
    sandbox.idc.inject(Operation::CreateToken, fault, 1);
    sandbox
}

/// An export at a terminal that has just sent its refresh token.
fn renewing(sandbox: &Sandbox, wrapper: &[&str]) -> Terminal {
    let awsdir = env!("CARGO_BIN_EXE_awsdir");
    let words: Vec<&str> = wrapper.iter().copied().chain([awsdir, "export", "read-only"]).collect();
    let terminal = Terminal::spawn(sandbox.command(words[0]).args(&words[1..]));
    assert!(sandbox.idc.wait_for(Operation::CreateToken, 1, LIMIT));
    terminal
}

fn expect_renewed(sandbox: &Sandbox, how: &str) {
    let token = sandbox.read_json(TOKEN_FILE);
    assert!(token["expiresAt"].as_str() > Some(&from_now(0)), "{how}: {token}");
    // The refresh token there is the one that is good.
    sandbox.edit_token(|token| token["expiresAt"] = from_now(-60).into());
    let output = sandbox.awsdir(["export", "read-only"]).output().unwrap();
    assert!(output.status.success(), "{how}: {output:?}");
}

#[test]
fn a_renewal_under_way_is_written_down_before_a_signal_ends_it() {
    for signal in [Signal::TERM, Signal::HUP] {
        let sandbox = renewal(Fault::Delay(Duration::from_secs(1)));
        let terminal = renewing(&sandbox, &[]);
        send(signal, &terminal.child);
        let ran = terminal.wait();
        assert_eq!(ran.status.signal(), Some(signal.as_raw()), "{}", ran.text());
        assert!(!sandbox.path(ROLE_FILE).exists(), "nothing else was begun");
        expect_renewed(&sandbox, &format!("{signal:?}"));
    }
}

#[test]
fn ctrl_c_waits_for_a_renewal_under_way() {
    let sandbox = renewal(Fault::Delay(Duration::from_secs(1)));
    let mut terminal = renewing(&sandbox, &[]);
    terminal.send("\x03");
    let ran = terminal.wait();
    assert_eq!(ran.status.code(), Some(130), "{}", ran.text());
    insta::assert_snapshot!(ran.text(), @"
    ^Cawsdir: finishing the renewal first; Ctrl-C again gives it up, which may cost a sign-in
    awsdir: interrupted
    ");
    assert_eq!(sandbox.asked(), "CreateToken(refresh_token)");
    expect_renewed(&sandbox, "Ctrl-C");
}

#[test]
fn ctrl_c_twice_waits_for_nothing() {
    let sandbox = renewal(Fault::Hang);
    let mut terminal = renewing(&sandbox, &[]);
    let began = Instant::now();
    terminal.send("\x03");
    terminal.wait_for("Ctrl-C again");
    terminal.send("\x03");
    let ran = terminal.wait();
    assert_eq!(ran.status.code(), Some(130), "{}", ran.text());
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
}

/// A bash with job control, in which awsdir was given this line.
fn job(sandbox: &Sandbox, line: &str) -> Terminal {
    let mut bash = sandbox.command("bash");
    bash.args(["--norc", "-i"]).env("PS1", "$ ").env("AWSDIR_PROGRAM", env!("CARGO_BIN_EXE_awsdir"));
    let mut terminal = Terminal::spawn(&mut bash);
    terminal.wait_for("$ ");
    terminal.send(format!("\"$AWSDIR_PROGRAM\" {line}\r"));
    terminal
}

#[test]
fn ctrl_z_comes_when_the_renewal_is_written_down() {
    let sandbox = renewal(Fault::Delay(Duration::from_secs(1)));
    let mut terminal = job(&sandbox, "export read-only");
    assert!(sandbox.idc.wait_for(Operation::CreateToken, 1, LIMIT));
    terminal.send("\x1a");
    terminal.wait_for("Stopped");
    let token = sandbox.read_json(TOKEN_FILE);
    assert!(token["expiresAt"].as_str() > Some(&from_now(0)), "{token}");
    terminal.send("fg\r");
    terminal.wait_for("\"AccessKeyId\"");
}

#[test]
fn who_ignores_a_hang_up_goes_on() {
    let sandbox = renewal(Fault::Delay(Duration::from_secs(1)));
    let terminal = renewing(&sandbox, &["nohup"]);
    send(Signal::HUP, &terminal.child);
    let ran = terminal.wait();
    assert!(ran.status.success(), "{}", ran.text());
    assert!(sandbox.path(ROLE_FILE).exists());
}

/// A login that waits for the browser.
fn signing_in(sandbox: &Sandbox) -> Terminal {
    sandbox.idc.settings(|settings| settings.browser = BrowserBehaviour::Nothing);
    let mut terminal = Terminal::spawn(&mut sandbox.awsdir(["login", "--session", "corp"]));
    terminal.wait_for("/authorize?");
    assert!(sandbox.idc.wait_for_browser(1, LIMIT));
    terminal
}

#[test]
fn a_terminal_that_is_closed_ends_the_sign_in_and_frees_everybody() {
    let sandbox = sandbox();
    let terminal = signing_in(&sandbox);
    let status = terminal.hang_up();
    assert_eq!(status.signal(), Some(Signal::HUP.as_raw()), "{status}");
    sandbox.idc.settings(|settings| settings.browser = BrowserBehaviour::Visit);
    sandbox.sign_in(|_| {});
    assert_eq!(sandbox.idc.browser_opens().len(), 2);
}

#[test]
fn a_sign_in_that_was_stopped_goes_on_where_it_was() {
    let sandbox = sandbox();
    sandbox.idc.settings(|settings| settings.browser = BrowserBehaviour::Nothing);
    let mut terminal = job(&sandbox, "login --session corp");
    terminal.wait_for("/authorize?");
    assert!(sandbox.idc.wait_for_browser(1, LIMIT));
    terminal.send("\x1a");
    terminal.wait_for("Stopped");
    let page = sandbox.idc.browser_opens().pop().unwrap();
    let visitor = std::thread::spawn(move || visit(&page));
    terminal.send("fg\r");
    terminal.wait_for("signed in to `corp`");
    visitor.join().unwrap();
}

#[test]
fn a_terminal_that_changes_its_size_changes_nothing() {
    let sandbox = sandbox();
    let terminal = signing_in(&sandbox);
    for columns in [20, 1, 300] {
        terminal.resize(columns);
    }
    visit(&sandbox.idc.browser_opens()[0]);
    let ran = terminal.wait();
    assert!(ran.status.success(), "{}", ran.text());
}

/// Programs run, whatever room there is; addresses and commands stay in one piece, to be copied.
#[test]
fn a_narrow_terminal_is_room_enough() {
    let sandbox = sandbox();
    let shown = |line: &str| {
        let terminal = Terminal::spawn_narrow(&mut sandbox.awsdir(line.split(' ')), 20);
        let ran = terminal.wait();
        assert!(ran.status.code().is_some_and(|code| code < 5), "{line}: {} {}", ran.status, ran.text());
        ran.text()
    };
    for line in ["--help", "login --help", "exec --help", "login --session corp", "status read-only", "status nobody"] {
        let text = shown(line);
        assert!(!text.is_empty(), "{line}");
        if line.ends_with("--help") {
            let long = text.lines().find(|line| line.chars().count() > 60);
            assert_eq!(long, None, "{line}");
        }
    }
    assert!(shown("login --session corp --force").contains(&sandbox.idc.browser_opens()[1]));
}

/// A shell that allows core files of any size runs a command, which is then ended by Ctrl-\; whether the kernel wrote a core.
fn leaves_a_core(command: &mut std::process::Command, is_at_work: impl FnOnce(&Terminal)) -> bool {
    let terminal = Terminal::spawn(command);
    is_at_work(&terminal);
    send(Signal::QUIT, &terminal.child);
    let ran = terminal.wait();
    assert_eq!(ran.status.signal(), Some(Signal::QUIT.as_raw()), "{}", ran.text());
    ran.status.core_dumped()
}

#[test]
fn a_crash_writes_no_core_file() {
    let sandbox = sandbox();
    sandbox.idc.settings(|settings| settings.browser = BrowserBehaviour::Nothing);
    let unlimited = |line: &str| {
        let mut shell = sandbox.command("sh");
        shell.args(["-c", &format!("ulimit -c unlimited && exec {line}")]);
        shell
    };
    if !leaves_a_core(&mut unlimited("cat"), |terminal| eventually("cat", || program(terminal) == "cat")) {
        skipped("core files are not written here");
        return;
    }
    let login = unlimited(concat!(env!("CARGO_BIN_EXE_awsdir"), " login --session corp"));
    assert!(!leaves_a_core(&mut { login }, |_| assert!(sandbox.idc.wait_for_browser(1, LIMIT))));
    // What `with-aws` becomes is not bound by it.
    sandbox.plant_role_credentials(&from_now(3600));
    let cat = unlimited(concat!(env!("CARGO_BIN_EXE_with-aws"), " read-only -- cat"));
    assert!(leaves_a_core(&mut { cat }, |terminal| eventually("cat", || program(terminal) == "cat")));
}

/// The name of the program that a process runs.
fn program(terminal: &Terminal) -> String {
    let name = std::fs::read_to_string(format!("/proc/{}/comm", terminal.child.id()));
    name.unwrap_or_default().trim_end().to_owned()
}
