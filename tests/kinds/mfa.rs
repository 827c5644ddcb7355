//! Codes of MFA devices: asked for at a terminal, once; by a program; or not to be had.

use super::{DEVICE, give_code, script, world};
use crate::hook_contract::{Session, Shell};
use crate::identity_center::Operation;
use crate::sandbox::{Sandbox, available, eventually};
use crate::terminal::{Ran, Terminal};
use std::ffi::OsStr;
use std::process::Command;

/// What the person sees, without codes.
fn seen(sandbox: &Sandbox, ran: &Ran, codes: &[String]) -> String {
    let screen = codes.iter().fold(ran.text(), |text, code| text.replace(code.as_str(), "[CODE]"));
    let status = if ran.status.success() { String::new() } else { format!("-- {} --\n", ran.status) };
    sandbox.scrubbed(&screen) + &status
}

/// Runs a command at a terminal, and types these lines when it asks.
fn typing(command: &mut Command, lines: &[&str]) -> Ran {
    let mut terminal = Terminal::spawn(command);
    for line in lines {
        terminal.wait_for(":\r\n");
        terminal.send(format!("{line}\r"));
    }
    terminal.wait()
}

/// A code that the device does not show.
fn wrong(sandbox: &Sandbox) -> String {
    let code = sandbox.idc.mfa_code(DEVICE);
    if code.starts_with('0') { code.replacen('0', "1", 1) } else { format!("0{}", &code[1..]) }
}

/// `profile` for each of the roles that need a code.
fn projects(sandbox: &Sandbox) {
    sandbox.allowed_project("app", "role-with-mfa");
    sandbox.allowed_project("too", "role-with-mfa-too");
}

#[test]
fn a_code_is_asked_for_and_serves_every_role_of_the_device() {
    let sandbox = world();
    let code = sandbox.idc.mfa_code(DEVICE);
    let ran = typing(&mut sandbox.awsdir(["login", "role-with-mfa"]), &[&code]);
    insta::assert_snapshot!(seen(&sandbox, &ran, &[code]), @"
    awsdir: MFA code of `arn:aws:iam::999999999999:mfa/in-credentials-file` for profile `role-with-mfa`:
    [CODE]
    awsdir: role credentials of `role-with-mfa` until [TIME] ([LEFT] left)
    ");
    // Nobody is asked any more.
    for profile in ["role-with-mfa", "role-with-mfa-too"] {
        let output = sandbox.awsdir(["export", profile]).output().unwrap();
        assert!(output.status.success(), "{}", sandbox.shown(&output));
    }
    let again = sandbox.at_terminal(&mut sandbox.awsdir(["login", "role-with-mfa-too"]));
    insta::assert_snapshot!(again, @"awsdir: role credentials of `role-with-mfa-too` until [TIME] ([LEFT] left)");
    assert_eq!(sandbox.asked(), "GetSessionToken, AssumeRole, AssumeRole");
    sandbox.expect_sound_files("after two roles");
}

#[test]
fn a_wrong_code_is_not_asked_for_again_but_by_the_person() {
    if !available("bash") {
        return;
    }
    let sandbox = world();
    projects(&sandbox);
    let code = wrong(&sandbox);
    let ran = typing(&mut sandbox.awsdir(["export", "role-with-mfa"]), &[&code]);
    insta::assert_snapshot!(seen(&sandbox, &ran, &[code]), @"
    awsdir: MFA code of `arn:aws:iam::999999999999:mfa/in-credentials-file` for profile `role-with-mfa`:
    [CODE]
    awsdir: the MFA code of `arn:aws:iam::999999999999:mfa/in-credentials-file` was not accepted
    hint: awsdir login role-with-mfa
    -- exit status: 4 --
    ");
    let mut session = Session::open(Shell::Bash, &sandbox);
    let shown = session.run("cd app");
    insta::assert_snapshot!(shown, @"awsdir: the MFA code of `arn:aws:iam::999999999999:mfa/in-credentials-file` was not accepted; run: awsdir login role-with-mfa");
    session.quietly([":", "cd ..", "cd app"]);
    insta::assert_snapshot!(session.aws(), @"
    AWS_PROFILE=role-with-mfa
    AWS_REGION=eu-west-1
    AWS_DEFAULT_REGION=eu-west-1
    AWSDIR
    ");
    assert_eq!(sandbox.asked(), "GetSessionToken 403");

    session.begin("awsdir login role-with-mfa");
    give_code(&sandbox, &mut session.terminal);
    session.until_prompt();
    session.quietly([":"]);
    let environment = session.environment();
    let key = environment[OsStr::new("AWS_ACCESS_KEY_ID")].to_str().unwrap();
    assert_eq!(sandbox.idc.caller_of(key).unwrap().role_name, "with-mfa");
    session.quietly(["cd ../too"]);
    assert_eq!(sandbox.idc.count(Operation::GetSessionToken), 2);
}

#[test]
fn without_a_terminal_there_is_no_code() {
    let sandbox = world();
    let mut shown = sandbox.transcript(&mut sandbox.awsdir(["export", "role-with-mfa"]));
    shown += &sandbox.transcript(&mut sandbox.awsdir(["credential-process", "role-with-mfa"]));
    shown += &sandbox.transcript(&mut sandbox.with_aws(["role-with-mfa", "--", "true"]));
    shown += &sandbox.transcript(&mut sandbox.awsdir(["login", "role-with-mfa"]));
    shown += &sandbox.transcript(&mut sandbox.awsdir(["status", "role-with-mfa"]));
    shown += &sandbox.at_terminal(&mut sandbox.with_aws(["--login", "never", "role-with-mfa", "--", "true"]));
    insta::assert_snapshot!(shown, @"
    -- stderr --
    awsdir: an MFA code of `arn:aws:iam::999999999999:mfa/in-credentials-file` is needed for profile `role-with-mfa` (no terminal)
    hint: awsdir login role-with-mfa
    -- exit status: 4 --
    -- stderr --
    awsdir: an MFA code of `arn:aws:iam::999999999999:mfa/in-credentials-file` is needed for profile `role-with-mfa` (credential-process asks nobody)
    hint: awsdir login role-with-mfa
    -- exit status: 4 --
    -- stderr --
    awsdir: an MFA code of `arn:aws:iam::999999999999:mfa/in-credentials-file` is needed for profile `role-with-mfa` (no terminal)
    hint: awsdir login role-with-mfa
    -- exit status: 125 --
    -- stderr --
    awsdir: an MFA code of `arn:aws:iam::999999999999:mfa/in-credentials-file` is needed for profile `role-with-mfa` (no terminal)
    hint: awsdir login role-with-mfa
    -- exit status: 4 --
    profile           role-with-mfa, as asked
    role              arn:aws:iam::333333333333:role/with-mfa, with a code of arn:aws:iam::999999999999:mfa/in-credentials-file
    by way of         keys, access keys
    role credentials  none
    region            eu-west-1
    this shell        does not have it
    state             sign-in needed
    next              you give an MFA code: awsdir login role-with-mfa
    -- exit status: 4 --
    awsdir: an MFA code of `arn:aws:iam::999999999999:mfa/in-credentials-file` is needed for profile `role-with-mfa` (`--login never`)
    hint: awsdir login role-with-mfa
    -- exit status: 125 --
    ");
    assert_eq!(sandbox.asked(), "");
}

#[test]
fn a_program_answers_in_the_persons_place() {
    let sandbox = world();
    script(&sandbox, "show-code", "[ \"$AWSDIR_MFA_SERIAL\" = \"$1\" ] && cat ~/code");
    let program = sandbox.path("show-code");
    sandbox.write(".config/awsdir/config", format!("[awsdir]\nmfa_process = '{}' {DEVICE}\n", program.display()));
    sandbox.write("code", sandbox.idc.mfa_code(DEVICE) + "\n");
    let output = sandbox.awsdir(["credential-process", "role-with-mfa"]).output().unwrap();
    assert!(output.status.success(), "{}", sandbox.shown(&output));
    let output = sandbox.awsdir(["export", "role-with-mfa-too"]).output().unwrap();
    assert!(output.status.success(), "{}", sandbox.shown(&output));
    assert_eq!(sandbox.asked(), "GetSessionToken, AssumeRole, AssumeRole");
}

#[test]
fn a_program_that_has_no_code_is_named() {
    let sandbox = world();
    let mut shown = String::new();
    for program in ["echo soon", "sh -c 'echo >&2 no device; exit 3'", "false", "no-such-program", "'"] {
        sandbox.write(".config/awsdir/config", format!("[awsdir]\nmfa_process = {program}\n"));
        shown += &sandbox.transcript(&mut sandbox.awsdir(["export", "role-with-mfa"]));
    }
    insta::assert_snapshot!(shown, @"
    -- stderr --
    awsdir: an MFA code of `arn:aws:iam::999999999999:mfa/in-credentials-file` is needed for profile `role-with-mfa` (`mfa_process` printed no code of six digits)
    hint: awsdir login role-with-mfa
    -- exit status: 4 --
    -- stderr --
    awsdir: an MFA code of `arn:aws:iam::999999999999:mfa/in-credentials-file` is needed for profile `role-with-mfa` (`mfa_process` failed (exit status: 3): no device)
    hint: awsdir login role-with-mfa
    -- exit status: 4 --
    -- stderr --
    awsdir: an MFA code of `arn:aws:iam::999999999999:mfa/in-credentials-file` is needed for profile `role-with-mfa` (`mfa_process` failed (exit status: 1))
    hint: awsdir login role-with-mfa
    -- exit status: 4 --
    -- stderr --
    awsdir: an MFA code of `arn:aws:iam::999999999999:mfa/in-credentials-file` is needed for profile `role-with-mfa` (`mfa_process` could not be started: No such file or directory (os error 2))
    hint: awsdir login role-with-mfa
    -- exit status: 4 --
    -- stderr --
    awsdir: an MFA code of `arn:aws:iam::999999999999:mfa/in-credentials-file` is needed for profile `role-with-mfa` (`mfa_process` is no command: a quote is not closed, or there is nothing)
    hint: awsdir login role-with-mfa
    -- exit status: 4 --
    ");
    assert_eq!(sandbox.asked(), "");
    // Where there is one the person is asked.
    sandbox.write(".config/awsdir/config", "[awsdir]\nmfa_process = false\n");
    let code = sandbox.idc.mfa_code(DEVICE);
    let ran = typing(&mut sandbox.awsdir(["login", "role-with-mfa"]), &[&code]);
    insta::assert_snapshot!(seen(&sandbox, &ran, std::slice::from_ref(&code)), @"
    awsdir: `mfa_process` failed (exit status: 1)
    awsdir: MFA code of `arn:aws:iam::999999999999:mfa/in-credentials-file` for profile `role-with-mfa`:
    [CODE]
    awsdir: role credentials of `role-with-mfa` until [TIME] ([LEFT] left)
    ");
}

#[test]
fn nothing_gives_it_up_and_letters_are_asked_again() {
    let sandbox = world();
    let ran = typing(&mut sandbox.awsdir(["login", "role-with-mfa"]), &[""]);
    insta::assert_snapshot!(seen(&sandbox, &ran, &[]), @"
    awsdir: MFA code of `arn:aws:iam::999999999999:mfa/in-credentials-file` for profile `role-with-mfa`:

    awsdir: the MFA code of `arn:aws:iam::999999999999:mfa/in-credentials-file` was not given
    hint: awsdir login role-with-mfa
    -- exit status: 4 --
    ");
    let code = sandbox.idc.mfa_code(DEVICE);
    let ran = typing(&mut sandbox.awsdir(["login", "role-with-mfa"]), &["12345", "abcdef", &code]);
    insta::assert_snapshot!(seen(&sandbox, &ran, &[code]), @"
    awsdir: MFA code of `arn:aws:iam::999999999999:mfa/in-credentials-file` for profile `role-with-mfa`:
    12345
    awsdir: a code has six digits; nothing gives it up:
    abcdef
    awsdir: a code has six digits; nothing gives it up:
    [CODE]
    awsdir: role credentials of `role-with-mfa` until [TIME] ([LEFT] left)
    ");
    assert_eq!(sandbox.asked(), "GetSessionToken, AssumeRole");
}

#[test]
fn ctrl_c_ends_the_question() {
    if !available("bash") {
        return;
    }
    let sandbox = world();
    projects(&sandbox);
    let mut terminal = Terminal::spawn(&mut sandbox.awsdir(["export", "role-with-mfa"]));
    terminal.wait_for(":\r\n");
    terminal.send("\x03");
    let ran = terminal.wait();
    assert_eq!(ran.status.code(), Some(130));
    insta::assert_snapshot!(seen(&sandbox, &ran, &[]), @"
    awsdir: MFA code of `arn:aws:iam::999999999999:mfa/in-credentials-file` for profile `role-with-mfa`:
    ^Cawsdir: interrupted
    -- exit status: 130 --
    ");
    // A hook does not ask the same at the next prompt, in any shell.
    let mut session = Session::open(Shell::Bash, &sandbox);
    insta::assert_snapshot!(session.run("cd app"), @"awsdir: the MFA code for `role-with-mfa` was not given; run: awsdir login role-with-mfa");
    session.quietly([":", "cd ..", "cd app"]);
    assert_eq!(sandbox.asked(), "");
}

#[test]
fn twenty_shells_at_once_ask_once() {
    if !available("bash") {
        return;
    }
    let sandbox = world();
    projects(&sandbox);
    let mut shells: Vec<_> = (0..20).map(|_| Session::open(Shell::Bash, &sandbox)).collect();
    for shell in &mut shells {
        shell.begin("cd app");
    }
    let asking = |shell: &Session<'_>| shell.terminal.screen().contains("MFA code of");
    eventually("a question", || shells.iter().any(asking));
    give_code(&sandbox, &mut shells.iter_mut().find(|shell| asking(shell)).unwrap().terminal);
    for shell in &mut shells {
        shell.until_prompt();
        let environment = shell.environment();
        let key = environment.get(OsStr::new("AWS_ACCESS_KEY_ID")).and_then(|key| key.to_str()).unwrap_or_default();
        let caller = sandbox.idc.caller_of(key).unwrap_or_else(|| panic!("{}", shell.terminal.screen()));
        assert_eq!(caller.role_name, "with-mfa");
    }
    assert_eq!(shells.iter().filter(|shell| asking(shell)).count(), 1);
    assert_eq!(sandbox.asked(), "GetSessionToken, AssumeRole");
}
