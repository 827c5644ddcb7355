//! Every kind by every tool: awsdir, the shells' hooks, the AWS CLI and boto3 are the same user or role.
//!
//! `docs/profiles.md` shows the outcome; `AWSDIR_WRITE_DOCS=1 cargo test kinds` writes it there.

use super::{KINDS, Kind, give_code, holder, named, signed_in, with_codes};
use crate::clients::client;
use crate::hook_contract::{Session, Shell};
use crate::sandbox::{Sandbox, available, expect_in_docs};
use serde_json::Value;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

/// Who each kind is by one tool, in the order of [`KINDS`].
type Column = Vec<String>;

/// What a command prints that ends well; else how it fails.
fn printed(sandbox: &Sandbox, kind: &Kind, mut command: Command) -> Result<String, String> {
    let ran = with_codes(sandbox, &mut command, usize::from(kind.needs_code()));
    let text = String::from_utf8(ran.stdout.clone()).unwrap();
    if ran.status.success() { Ok(text) } else { Err(format!("{}: {}", ran.status, ran.text())) }
}

fn by_export() -> Column {
    let sandbox = signed_in();
    let of = |kind: &Kind| {
        let text = printed(&sandbox, kind, sandbox.awsdir(["export", kind.profile]))?;
        let document: Value = serde_json::from_str(&text).unwrap();
        let value = |key: &str| document[key].as_str().unwrap_or_default();
        Ok(holder(&sandbox.idc, value("AccessKeyId"), value("SecretAccessKey"), value("SessionToken")))
    };
    column(of)
}

fn column(of: impl FnMut(&Kind) -> Result<String, String>) -> Column {
    KINDS.iter().map(of).map(|outcome| outcome.unwrap_or_else(|failure| failure)).collect()
}

fn by_with_aws() -> Column {
    const SHOW: &str =
        "printf '%s\\n' \"$AWS_ACCESS_KEY_ID\" \"$AWS_SECRET_ACCESS_KEY\" \"$AWS_SESSION_TOKEN\" $AWS_PROFILE";
    let sandbox = signed_in();
    let of = |kind: &Kind| {
        let text = printed(&sandbox, kind, sandbox.with_aws([kind.profile, "--", "sh", "-c", SHOW]))?;
        let [key, secret, token] = text.lines().collect::<Vec<_>>()[..] else { return Err(text) };
        Ok(holder(&sandbox.idc, key, secret, token))
    };
    column(of)
}

fn by_aws_cli(aws: &Path) -> Column {
    let sandbox = signed_in();
    let of = |kind: &Kind| {
        let mut command = sandbox.command(aws);
        command.args(["sts", "get-caller-identity", "--query", "Arn", "--output", "text", "--profile", kind.profile]);
        printed(&sandbox, kind, command).map(|arn| named(&arn))
    };
    column(of)
}

/// Who is asked for by each argument, or by what says so in the environment.
const BOTO3: &str = "
import sys, boto3
for profile in sys.argv[1:] or [None]:
    print(boto3.Session(profile_name=profile).client('sts').get_caller_identity()['Arn'], flush=True)
";

fn by_boto3(python: &Path) -> Column {
    let sandbox = signed_in();
    let mut command = sandbox.command(python);
    command.args(["-c", BOTO3]).args(KINDS.map(|kind| kind.profile));
    let codes = KINDS.iter().filter(|kind| kind.needs_code()).count();
    let ran = with_codes(&sandbox, &mut command, codes);
    assert!(ran.status.success(), "{}", ran.text());
    String::from_utf8(ran.stdout).unwrap().lines().map(named).collect()
}

/// Who a program is that is started in the shell, in each kind's directory.
fn by_hook(shell: Shell, python: &Path) -> Column {
    let sandbox = signed_in();
    for kind in &KINDS {
        sandbox.allowed_project(&format!("projects/{}", kind.profile), kind.profile);
    }
    let mut session = Session::open(shell, &sandbox);
    let before = session.environment();
    let of = |kind: &Kind| {
        session.begin(format!("cd ~/projects/{}", kind.profile));
        if kind.needs_code() {
            give_code(&sandbox, &mut session.terminal);
        }
        let shown = session.until_prompt();
        if !shown.is_empty() && !kind.needs_code() {
            return Err(shown);
        }
        Ok(in_environment(&sandbox, kind, &session.environment(), python))
    };
    let column = column(of);
    session.quietly(["cd"]);
    let differs = |(name, value): &(&OsString, &OsString)| before.get(*name) != Some(*value);
    let after = session.environment();
    let left: Vec<_> = after.iter().filter(differs).map(|(name, _)| name).collect();
    assert!(left.iter().all(|name| *name == "OLDPWD" || *name == "_"), "{left:?}");
    column
}

/// Role credentials stand in the environment; what needs no role is left to the SDKs, by its profile's name.
fn in_environment(sandbox: &Sandbox, kind: &Kind, environment: &BTreeMap<OsString, OsString>, python: &Path) -> String {
    let value = |name: &str| environment.get(OsStr::new(name)).map_or("", |value| value.to_str().unwrap());
    assert_eq!((value("AWS_PROFILE"), value("AWS_REGION")), (kind.profile, "eu-west-1"));
    if !kind.is_left_to_the_sdks() {
        let [key, secret, token] = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"].map(value);
        return holder(&sandbox.idc, key, secret, token);
    }
    let credentials = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_CREDENTIAL_EXPIRATION"];
    assert_eq!(credentials.map(value), [""; 4], "{}", kind.profile);
    let output = Command::new(python).args(["-c", BOTO3]).env_clear().envs(environment).output().unwrap();
    assert!(output.status.success(), "{}", sandbox.shown(&output));
    named(&String::from_utf8(output.stdout).unwrap())
}

#[test]
fn every_kind_is_the_same_by_every_tool_as_the_documentation_says() {
    let (Some(aws), Some(python)) = (client("aws"), client("venv/bin/python")) else { return };
    if ![Shell::Bash, Shell::Zsh, Shell::Fish].map(Shell::name).into_iter().all(available) {
        return;
    }
    let (aws, python) = (aws.as_path(), python.as_path());
    let columns = std::thread::scope(|scope| {
        let columns = [
            ("`awsdir export`", scope.spawn(by_export)),
            ("`with-aws`", scope.spawn(by_with_aws)),
            ("`cd` in bash", scope.spawn(move || by_hook(Shell::Bash, python))),
            ("`cd` in zsh", scope.spawn(move || by_hook(Shell::Zsh, python))),
            ("`cd` in fish", scope.spawn(move || by_hook(Shell::Fish, python))),
            ("AWS CLI v2", scope.spawn(move || by_aws_cli(aws))),
            ("boto3", scope.spawn(move || by_boto3(python))),
        ];
        columns.map(|(tool, column)| (tool, column.join().unwrap()))
    });
    let mut table = "| profile | who it is |".to_owned();
    for (tool, _) in &columns {
        write!(table, " {tool} |").unwrap();
    }
    writeln!(table, "\n|{}", " --- |".repeat(2 + columns.len())).unwrap();
    for (row, kind) in KINDS.iter().enumerate() {
        write!(table, "| {} | {} |", kind.what, kind.identity).unwrap();
        for (tool, column) in &columns {
            let by_name = tool.starts_with("`cd`") && kind.is_left_to_the_sdks();
            let cell = match column[row].as_str() {
                who if who != kind.identity => format!("no ({})", who.trim().replace('\n', " ")),
                _ if by_name => "by its name".to_owned(),
                _ => "yes".to_owned(),
            };
            write!(table, " {cell} |").unwrap();
        }
        table.push('\n');
    }
    expect_in_docs("profiles", "kinds", &table);
}
