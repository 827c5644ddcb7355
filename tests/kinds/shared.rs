//! The cache of assumed roles is the AWS CLI's, both ways: what either has obtained serves the other.

use super::world;
use crate::clients::client;
use crate::identity_center::Operation;
use crate::sandbox::{Sandbox, from_now};
use serde_json::Value;
use std::path::Path;
use std::process::Command;

/// Each with how many roles are assumed on the way to it.
const SHARED: [(&str, usize); 3] = [("role", 1), ("role-with-more", 1), ("role-of-role", 2)];

fn printed(sandbox: &Sandbox, mut command: Command) -> Value {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", sandbox.shown(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn by_awsdir(sandbox: &Sandbox, profile: &str) -> Value {
    printed(sandbox, sandbox.awsdir(["export", profile]))
}

fn by_the_aws_cli(sandbox: &Sandbox, aws: &Path, profile: &str) -> Value {
    let mut command = sandbox.command(aws);
    command.args(["configure", "export-credentials", "--profile", profile]);
    printed(sandbox, command)
}

/// The names in the cache, without the AWS CLI's database.
fn cached(sandbox: &Sandbox) -> Vec<String> {
    let mut names = sandbox.names(".aws/cli/cache");
    names.retain(|name| Path::new(name).extension().is_some_and(|extension| extension == "json"));
    names
}

#[test]
fn a_role_that_either_has_obtained_serves_the_other() {
    let Some(aws) = client("aws") else { return };
    let check = |&(profile, roles): &(&str, usize)| {
        let (ours_first, theirs_first) = (world(), world());
        let ours = by_awsdir(&ours_first, profile);
        ours_first.expect_sound_files(profile);
        let names = cached(&ours_first);
        assert_eq!(names.len(), roles, "{profile}: each link");
        assert_eq!(by_the_aws_cli(&ours_first, &aws, profile), ours, "{profile}");
        let theirs = by_the_aws_cli(&theirs_first, &aws, profile);
        assert_eq!(cached(&theirs_first), names, "{profile}");
        assert_eq!(by_awsdir(&theirs_first, profile), theirs, "{profile}");
        for sandbox in [ours_first, theirs_first] {
            assert_eq!(sandbox.idc.count(Operation::AssumeRole), roles, "{profile}: {}", sandbox.asked());
        }
    };
    std::thread::scope(|scope| {
        for shared in &SHARED {
            scope.spawn(move || check(shared));
        }
    });
}

#[test]
fn a_link_of_a_chain_serves_whoever_has_it_in_a_chain() {
    let sandbox = world();
    by_awsdir(&sandbox, "role");
    by_awsdir(&sandbox, "role-of-role");
    assert_eq!(sandbox.asked(), "AssumeRole, AssumeRole");
    assert_eq!(cached(&sandbox).len(), 2);
}

#[test]
fn what_another_has_written_beside_the_credentials_is_kept() {
    let sandbox = world();
    by_awsdir(&sandbox, "role");
    let [name] = &cached(&sandbox)[..] else { panic!() };
    let path = format!(".aws/cli/cache/{name}");
    let mut document = sandbox.read_json(&path);
    let old = document["Credentials"]["AccessKeyId"].clone();
    document["ResponseMetadata"] = serde_json::json!({ "RetryAttempts": 0 });
    document["Credentials"]["Unknown"] = "kept".into();
    document["Credentials"]["Expiration"] = from_now(-60).into();
    sandbox.write(&path, document.to_string());
    by_awsdir(&sandbox, "role");
    let document = sandbox.read_json(&path);
    assert_ne!(document["Credentials"]["AccessKeyId"], old);
    let session_name = document["AssumedRoleUser"]["Arn"].as_str().unwrap().rsplit('/').next().unwrap();
    assert!(session_name.starts_with("awsdir-"), "{session_name}");
    let shown = format!("{document:#}").replace(session_name, "[SESSION NAME]");
    insta::assert_snapshot!(sandbox.steady(&shown), @r#"
    {
      "AssumedRoleUser": {
        "AssumedRoleId": "AROA75A95A5E8736291C:[SESSION NAME]",
        "Arn": "arn:aws:sts::333333333333:assumed-role/deploy/[SESSION NAME]"
      },
      "Credentials": {
        "AccessKeyId": "[KEY ID]",
        "SecretAccessKey": "[SECRET]",
        "SessionToken": "[TOKEN]",
        "Expiration": "[TIME]",
        "AccountId": "333333333333",
        "Unknown": "kept"
      },
      "ResponseMetadata": {
        "RetryAttempts": 0
      }
    }
    "#);
}

/// The name of the file has the token in it: with another one there is another.
#[test]
fn a_role_by_a_web_identity_is_shared_as_long_as_its_token_is_the_same() {
    let Some(aws) = client("aws") else { return };
    let sandbox = world();
    by_awsdir(&sandbox, "web-identity");
    by_the_aws_cli(&sandbox, &aws, "web-identity");
    by_awsdir(&sandbox, "role-of-web-identity");
    assert_eq!(sandbox.asked(), "AssumeRoleWithWebIdentity, AssumeRole");
    std::fs::remove_dir_all(sandbox.path(".aws/cli/cache")).unwrap();
    by_the_aws_cli(&sandbox, &aws, "web-identity");
    by_awsdir(&sandbox, "web-identity");
    assert_eq!(sandbox.asked(), "AssumeRoleWithWebIdentity, AssumeRole, AssumeRoleWithWebIdentity");

    let token = sandbox.read("web-identity-token") + "-2";
    sandbox.idc.trust_web_identity("arn:aws:iam::333333333333:role/by-token", &token);
    sandbox.write("web-identity-token", token);
    by_awsdir(&sandbox, "web-identity");
    assert_eq!(cached(&sandbox).len(), 2);
}
