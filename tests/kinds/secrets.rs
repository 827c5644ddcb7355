//! Where the secrets of every kind are seen: in what is asked for and in files for their owner's eyes, nowhere else.

use super::{CONTAINER_AUTHORIZATION, DEVICE, KINDS, WEB_IDENTITY_TOKEN, script, signed_in, with_codes};
use crate::hook_contract::{Shell, Start};
use crate::sandbox::{Sandbox, available, may_trace, may_trace_awsdir};
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

type Secrets = BTreeSet<(&'static str, String)>;

/// What was issued and sent, and what the sources have.
fn secrets(sandbox: &Sandbox, codes: &[String]) -> Secrets {
    let mut secrets = sandbox.secrets();
    secrets.insert(("web identity token", WEB_IDENTITY_TOKEN.to_owned()));
    secrets.insert(("container authorization", CONTAINER_AUTHORIZATION.to_owned()));
    secrets.extend(codes.iter().map(|code| ("MFA code", code.clone())));
    secrets
}

/// The secrets that a text holds, by what they are. Six digits are in many a number: a code is one by itself.
fn seen(secrets: &Secrets, text: &[u8]) -> BTreeSet<&'static str> {
    let digit = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let holds = |secret: &str| {
        let mut windows = text.windows(secret.len()).enumerate();
        windows.any(|(at, window)| {
            let apart = || !digit(at.checked_sub(1).and_then(|at| text.get(at))) && !digit(text.get(at + secret.len()));
            window == secret.as_bytes() && (secret.len() > 6 || apart())
        })
    };
    secrets.iter().filter(|(_, secret)| holds(secret)).map(|(kind, _)| *kind).collect()
}

const TRACE: &str = "trace";

/// A command as it is, or with the arguments of all its processes written to a trace of its own.
fn traced(sandbox: &Sandbox, traces: bool, name: &str, arguments: &[&str]) -> Command {
    let program = env!("CARGO_BIN_EXE_awsdir");
    if !traces {
        return sandbox.awsdir(arguments);
    }
    let mut command = sandbox.command("strace");
    command.args(["-f", "-qq", "-e", "signal=none", "-s", "100000", "-e", "trace=execve", "-o"]);
    command.arg(sandbox.path(format!("{TRACE}-{name}"))).arg(program).args(arguments);
    command
}

/// Nothing is in an argument; how many programs were started.
fn expect_clean_arguments(sandbox: &Sandbox, secrets: &Secrets) -> usize {
    let mut children = 0;
    for trace in sandbox.files("").into_iter().filter(|path| is_trace(path)) {
        for line in fs::read_to_string(trace).unwrap().lines().filter(|line| line.contains("execve(")) {
            let (arguments, _) = line.split_once("], [").unwrap_or((line, ""));
            assert_eq!(seen(secrets, arguments.as_bytes()), BTreeSet::new(), "{arguments}");
            children += 1;
        }
    }
    children
}

fn is_trace(path: &Path) -> bool {
    path.file_name().unwrap().as_encoded_bytes().starts_with(TRACE.as_bytes())
}

#[test]
fn secrets_of_every_kind_are_where_they_belong() {
    let traces = available("strace") && may_trace() && may_trace_awsdir();
    let sandbox = signed_in();
    let mut codes = Vec::new();
    let mut said = Vec::new();
    for kind in &KINDS {
        let once = usize::from(kind.needs_code());
        codes.extend((0..once).map(|_| sandbox.idc.mfa_code(DEVICE)));
        let mut command = traced(&sandbox, traces, kind.profile, &["--verbose", "export", kind.profile]);
        let ran = with_codes(&sandbox, &mut command, once);
        assert!(ran.status.success(), "{}", ran.text());
        // The terminal shows what is typed.
        said.push(codes.iter().fold(ran.text(), |text, code| text.replace(&format!("{code}\n"), "\n")));
        let own = sandbox.secrets();
        assert_eq!(seen(&secrets(&sandbox, &codes), &ran.stdout).len(), 1 + usize::from(has_token(&ran.stdout)));
        assert!(
            own.iter().filter(|(_, secret)| contains(&ran.stdout, secret)).count() <= 2,
            "those of {}",
            kind.profile
        );
        for arguments in [&["--verbose", "status", kind.profile][..], &["--verbose", "list"]] {
            let output = sandbox.awsdir(arguments).output().unwrap();
            said.extend([&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text).into_owned()));
        }
        let mut silent = sandbox.with_aws(["--verbose", kind.profile, "--", "true"]);
        let output = silent.stdin(Stdio::null()).output().unwrap();
        assert!(output.status.success(), "{}", sandbox.shown(&output));
        said.extend([&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text).into_owned()));
    }
    let secrets = secrets(&sandbox, &codes);
    let kinds: BTreeSet<_> = secrets.iter().map(|(kind, _)| *kind).collect();
    insta::assert_snapshot!(kinds.into_iter().collect::<Vec<_>>().join(", "), @"MFA code, access token, container authorization, secret access key, session token, web identity token");
    for text in &said {
        assert_eq!(seen(&secrets, text.as_bytes()), BTreeSet::new(), "{text}");
    }
    if traces {
        assert!(expect_clean_arguments(&sandbox, &secrets) > KINDS.len());
    }
    sandbox.expect_sound_files("after all kinds");
    insta::assert_snapshot!(kept(&sandbox, &secrets), @"
    .aws/cli/cache: secret access key, session token
    .aws/config: secret access key
    .aws/credentials: secret access key
    .aws/sso/cache: access token
    handed-out: secret access key
    web-identity-token: web identity token
    ");
}

fn has_token(stdout: &[u8]) -> bool {
    contains(stdout, "SessionToken")
}

fn contains(text: &[u8], part: &str) -> bool {
    text.windows(part.len()).any(|window| window == part.as_bytes())
}

/// Which secrets are in the files of the HOME, each file only for its owner; one line for each folder and what it has.
fn kept(sandbox: &Sandbox, secrets: &Secrets) -> String {
    let mut lines = BTreeSet::new();
    for path in sandbox.files("").into_iter().filter(|path| !is_trace(path)) {
        let seen = seen(secrets, &fs::read(&path).unwrap_or_default());
        if seen.is_empty() {
            continue;
        }
        let mode = path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{}", path.display());
        let inside = path.strip_prefix(sandbox.home()).unwrap();
        let in_cache = inside.extension().is_some();
        let place = if in_cache { inside.parent().unwrap() } else { inside };
        lines.insert(format!("{}: {}", place.display(), seen.into_iter().collect::<Vec<_>>().join(", ")));
    }
    lines.into_iter().collect::<Vec<_>>().join("\n")
}

/// A credential process, and a program that has MFA codes, have nothing of the role that a shell is in.
#[test]
fn programs_that_hand_something_out_are_not_given_the_role_in_force() {
    if !available("bash") {
        return;
    }
    let sandbox = signed_in();
    script(&sandbox, "hand-out", "env -0 >~/process.env; cat ~/handed-out");
    script(&sandbox, "show-code", "env -0 >~/mfa.env; cat ~/code");
    let program = sandbox.path("show-code");
    sandbox.write(".config/awsdir/config", format!("[awsdir]\nmfa_process = {}\n", program.display()));
    sandbox.write("code", sandbox.idc.mfa_code(DEVICE));
    sandbox.allowed_project("app", "sso");
    let mut session = Start::new(Shell::Bash, &sandbox).open();
    session.quietly(["cd app", "awsdir export role-of-process >/dev/null", "awsdir export role-with-mfa >/dev/null"]);
    let key = session.environment()[OsStr::new("AWS_ACCESS_KEY_ID")].to_str().unwrap().to_owned();
    assert!(sandbox.idc.caller_of(&key).is_some());
    for file in ["process.env", "mfa.env"] {
        let given = sandbox.read(file);
        let names = given.split('\0').filter_map(|variable| variable.split_once('=')).map(|(name, _)| name);
        let mut names: Vec<_> = names.filter(|name| name.starts_with("AWS")).collect();
        names.sort_unstable();
        assert_eq!(seen(&sandbox.secrets(), given.as_bytes()), BTreeSet::new(), "{names:?}");
        assert!(!names.contains(&"AWS_ACCESS_KEY_ID"), "{names:?}");
    }
}
