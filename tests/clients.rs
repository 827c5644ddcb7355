//! The truth of it: programs that nobody here wrote (boto3, the AWS CLI v2) against our Identity Center, our caches and
//! our exports. `tests/clients/install` puts them into target/clients.

use crate::identity_center::Operation;
use crate::sandbox::{Sandbox, TOKEN_FILE, from_now, skipped};
use crate::terminal;
use serde_json::Value;
use std::path::PathBuf;
use std::process::Command;

pub(crate) fn client(name: &str) -> Option<PathBuf> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/clients").join(name);
    if path.exists() {
        return Some(path);
    }
    assert!(std::env::var_os("AWSDIR_REQUIRE_CLIENTS").is_none(), "{name}: run tests/clients/install first");
    skipped(&format!("no {name}; tests/clients/install installs it"));
    None
}

/// A sandbox with an AWS CLI in it.
struct WithCli {
    sandbox: Sandbox,
    program: PathBuf,
}

impl WithCli {
    fn new() -> Option<Self> {
        let program = client("aws")?;
        let mut sandbox = Sandbox::new();
        sandbox.set("AWS_PAGER", "");
        Some(Self { sandbox, program })
    }

    fn aws(&self, arguments: &[&str]) -> Command {
        let mut command = self.sandbox.command(&self.program);
        command.args(arguments);
        command
    }

    fn stdout(&self, mut command: Command) -> String {
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", self.sandbox.shown(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    /// The account and permission set that STS sees behind a command's credentials.
    fn caller(&self, command: Command) -> String {
        let answer: Value = serde_json::from_str(&self.stdout(command)).unwrap();
        let arn = answer["Arn"].as_str().unwrap();
        let role = arn.split("AWSReservedSSO_").nth(1).unwrap().split('_').next().unwrap();
        format!("{} {role}", answer["Account"].as_str().unwrap())
    }
}

const WHO: [&str; 2] = ["sts", "get-caller-identity"];

#[test]
fn our_identity_center_is_true_to_botocores_models() {
    let Some(python) = client("venv/bin/python") else { return };
    let sandbox = Sandbox::new();
    let check = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/identity_center_check.py");
    let output = sandbox.command(python).args([check, &sandbox.idc.endpoint()]).output().unwrap();
    assert!(output.status.success(), "{}", sandbox.shown(&output));
    assert!(String::from_utf8_lossy(&output.stdout).lines().filter(|line| line.starts_with("ok ")).count() >= 15);
}

#[test]
fn a_sign_in_by_awsdir_serves_the_aws_cli() {
    let Some(world) = WithCli::new() else { return };
    world.sandbox.sign_in(|_| {});
    let who = |profile| world.caller(world.aws(&[&WHO[..], &["--profile", profile]].concat()));
    assert_eq!(who("read-only"), "111111111111 ReadOnly");
    assert_eq!(who("prod-admin"), "222222222222 Admin");
    // And the role credentials that the CLI fetched serve awsdir.
    world.sandbox.idc.clear_requests();
    let exported = world.stdout(world.sandbox.awsdir(["export", "prod-admin"]));
    assert!(exported.contains("ASIA"));
    assert_eq!(world.sandbox.idc.requests().len(), 0);
}

#[test]
fn a_sign_in_by_the_aws_cli_serves_awsdir() {
    let Some(world) = WithCli::new() else { return };
    let idc = &world.sandbox.idc;
    world.stdout(world.aws(&["sso", "login", "--sso-session", "corp"]));
    let exported = world.stdout(world.sandbox.awsdir(["export", "read-only"]));
    assert!(exported.contains("ASIA"));
    assert_eq!(idc.count(Operation::GetRoleCredentials), 1);
    assert_eq!(idc.browser_opens().len(), 1);
    // The CLI uses the role credentials that awsdir fetched.
    idc.clear_requests();
    let theirs = world.stdout(world.aws(&["configure", "export-credentials", "--profile", "read-only"]));
    assert_eq!(theirs, exported);
    assert_eq!(idc.requests().len(), 0);
    // The client registration of either is the other's.
    world.sandbox.edit_token(|token| token["expiresAt"] = from_now(-60).into());
    let ran = terminal::run(&mut world.sandbox.awsdir(["login", "--force", "--session", "corp"]));
    assert!(ran.status.success(), "{}", ran.text());
    assert_eq!(idc.count(Operation::RegisterClient), 0);
}

#[test]
fn either_renews_what_the_other_signed_in() {
    let Some(world) = WithCli::new() else { return };
    let idc = &world.sandbox.idc;
    world.sandbox.sign_in(|token| token["expiresAt"] = from_now(-60).into());
    world.stdout(world.aws(&["sts", "get-caller-identity", "--profile", "read-only"]));
    world.sandbox.edit_token(|token| token["expiresAt"] = from_now(-60).into());
    world.stdout(world.sandbox.awsdir(["export", "prod-admin"]));
    let grants: Vec<_> = idc
        .requests()
        .iter()
        .filter(|request| request.operation == Operation::CreateToken)
        .map(|request| (request.field("grantType").to_owned(), request.status))
        .collect();
    assert_eq!(grants, [("refresh_token".to_owned(), Some(200)), ("refresh_token".to_owned(), Some(200))]);
}

#[test]
fn exports_are_the_aws_clis_byte_for_byte() {
    let Some(world) = WithCli::new() else { return };
    world.sandbox.sign_in(|_| {});
    for format in ["process", "env", "env-no-export", "fish", "powershell", "windows-cmd"] {
        let arguments = ["configure", "export-credentials", "--profile", "read-only", "--format", format];
        let theirs = world.stdout(world.aws(&arguments));
        let ours = world.stdout(world.sandbox.awsdir(["export", "read-only", "--format", format]));
        assert_eq!(ours, theirs, "{format}");
    }
}

#[test]
fn with_aws_gives_the_aws_cli_its_role() {
    let Some(world) = WithCli::new() else { return };
    world.sandbox.sign_in(|_| {});
    let mut command = world.sandbox.with_aws(["prod-admin", "--"]);
    command.arg(&world.program).args(WHO).env("AWS_PROFILE", "read-only").env("AWS_ACCESS_KEY_ID", "AKIAFOREIGN");
    assert_eq!(world.caller(command), "222222222222 Admin");
}

#[test]
fn a_credential_process_profile_works_in_the_aws_cli() {
    let Some(world) = WithCli::new() else { return };
    world.sandbox.sign_in(|_| {});
    let process = format!(
        "{}\n[profile through-us]\ncredential_process = {} credential-process read-only\nregion = eu-west-1\n",
        crate::sandbox::CONFIG,
        env!("CARGO_BIN_EXE_awsdir")
    );
    world.sandbox.write(".aws/config", process);
    assert_eq!(world.caller(world.aws(&[&WHO[..], &["--profile", "through-us"]].concat())), "111111111111 ReadOnly");
}

#[test]
fn a_logout_by_either_is_a_logout_for_both() {
    let Some(world) = WithCli::new() else { return };
    let refused = |mut command: Command| {
        let output = command.output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    world.sandbox.sign_in(|_| {});
    world.stdout(world.sandbox.awsdir(["export", "read-only"]));
    world.stdout(world.aws(&["sso", "logout"]));
    assert!(!world.sandbox.path(TOKEN_FILE).exists());
    assert_eq!(refused(world.sandbox.awsdir(["export", "read-only"])).0, Some(4));

    world.sandbox.sign_in(|_| {});
    world.stdout(world.aws(&["sts", "get-caller-identity", "--profile", "read-only"]));
    world.stdout(world.sandbox.awsdir(["logout", "--session", "corp"]));
    let (code, words) = refused(world.aws(&["sts", "get-caller-identity", "--profile", "read-only"]));
    assert_eq!(code, Some(255));
    assert!(words.contains("Token for corp does not exist"), "{words}");
}
