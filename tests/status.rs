//! `awsdir status`: what is in force and why, in each state, for people and as JSON.

use crate::commands::{FAR, PAST, in_bash, project, said, status};
use crate::sandbox::{Sandbox, from_now};
use crate::terminal;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

#[test]
fn status_when_fresh() {
    let sandbox = project("read-only");
    sandbox.plant_role_credentials(FAR);
    sandbox.plant_token(FAR, true);
    insta::assert_snapshot!(status(&sandbox), @r#"
    profile           read-only, from [HOME]/app/.awsprofile
    role              ReadOnly in account 111111111111
    session           corp (https://awsdir-sandbox.awsapps.com/start)
    role credentials  fresh, [LEFT] left (until [TIME])
    access token      fresh, [LEFT] left (until [TIME]); renewable
    region            eu-west-1
    this shell        does not have it
    state             fresh
    next              renewed in the background from [TIME] (in [LEFT]) on
    -- json --
    profile: "read-only"
    kind: "sso"
    rule: "dotfile"
    dotfile: "[HOME]/app/.awsprofile"
    state: "fresh"
    loaded: false
    region: "eu-west-1"
    account_id: "111111111111"
    permission_set: "ReadOnly"
    session: {"name": "corp","start_url": "https://awsdir-sandbox.awsapps.com/start","region": "us-east-1"}
    role_credentials: {"state": "fresh","expires_at": "[TIME]","seconds_left": [SECONDS]}
    access_token: {"state": "fresh","expires_at": "[TIME]","seconds_left": [SECONDS],"renewable": true}
    next: "renewed in the background from [TIME] (in [LEFT]) on"
    "#);
    insta::assert_snapshot!(said(&sandbox, "app", &["status", "--json"]), @r#"
    {
      "profile": "read-only",
      "kind": "sso",
      "rule": "dotfile",
      "dotfile": "[HOME]/app/.awsprofile",
      "state": "fresh",
      "loaded": false,
      "region": "eu-west-1",
      "account_id": "111111111111",
      "permission_set": "ReadOnly",
      "session": {
        "name": "corp",
        "start_url": "https://awsdir-sandbox.awsapps.com/start",
        "region": "us-east-1"
      },
      "role_credentials": {
        "state": "fresh",
        "expires_at": "[TIME]",
        "seconds_left": [SECONDS]
      },
      "access_token": {
        "state": "fresh",
        "expires_at": "[TIME]",
        "seconds_left": [SECONDS],
        "renewable": true
      },
      "next": "renewed in the background from [TIME] (in [LEFT]) on"
    }
    "#);
}

#[test]
fn status_when_expiring() {
    let sandbox = project("read-only");
    sandbox.plant_role_credentials(&from_now(600));
    sandbox.plant_token(&from_now(200), true);
    insta::assert_snapshot!(status(&sandbox), @r#"
    profile           read-only, from [HOME]/app/.awsprofile
    role              ReadOnly in account 111111111111
    session           corp (https://awsdir-sandbox.awsapps.com/start)
    role credentials  expiring, [LEFT] left (until [TIME])
    access token      expiring, [LEFT] left (until [TIME]); renewable
    region            eu-west-1
    this shell        does not have it
    state             expiring
    next              renewed in the background at the next prompt
    -- json --
    profile: "read-only"
    kind: "sso"
    rule: "dotfile"
    dotfile: "[HOME]/app/.awsprofile"
    state: "expiring"
    loaded: false
    region: "eu-west-1"
    account_id: "111111111111"
    permission_set: "ReadOnly"
    session: {"name": "corp","start_url": "https://awsdir-sandbox.awsapps.com/start","region": "us-east-1"}
    role_credentials: {"state": "expiring","expires_at": "[TIME]","seconds_left": [SECONDS]}
    access_token: {"state": "expiring","expires_at": "[TIME]","seconds_left": [SECONDS],"renewable": true}
    next: "renewed in the background at the next prompt"
    "#);
}

#[test]
fn status_when_renewable() {
    let sandbox = project("profile = read-only\nregion = us-west-2");
    sandbox.plant_role_credentials(PAST);
    sandbox.plant_token(PAST, true);
    insta::assert_snapshot!(status(&sandbox), @r#"
    profile           read-only, from [HOME]/app/.awsprofile
    role              ReadOnly in account 111111111111
    session           corp (https://awsdir-sandbox.awsapps.com/start)
    role credentials  stale since [TIME]
    access token      stale since [TIME]; renewable
    region            us-west-2
    this shell        does not have it
    state             renewable
    next              renewed without you at the next use
    -- json --
    profile: "read-only"
    kind: "sso"
    rule: "dotfile"
    dotfile: "[HOME]/app/.awsprofile"
    state: "renewable"
    loaded: false
    region: "us-west-2"
    account_id: "111111111111"
    permission_set: "ReadOnly"
    session: {"name": "corp","start_url": "https://awsdir-sandbox.awsapps.com/start","region": "us-east-1"}
    role_credentials: {"state": "stale","expires_at": "[TIME]","seconds_left": 0}
    access_token: {"state": "stale","expires_at": "[TIME]","seconds_left": 0,"renewable": true}
    next: "renewed without you at the next use"
    "#);
}

#[test]
fn status_when_a_sign_in_is_needed() {
    let sandbox = project("read-only");
    sandbox.plant_token(PAST, false);
    insta::assert_snapshot!(status(&sandbox), @r#"
    profile           read-only, from [HOME]/app/.awsprofile
    role              ReadOnly in account 111111111111
    session           corp (https://awsdir-sandbox.awsapps.com/start)
    role credentials  none
    access token      stale since [TIME]
    region            eu-west-1
    this shell        does not have it
    state             sign-in needed
    next              you sign in: awsdir login read-only
    -- exit status: 4 --
    -- json --
    profile: "read-only"
    kind: "sso"
    rule: "dotfile"
    dotfile: "[HOME]/app/.awsprofile"
    state: "sign-in needed"
    loaded: false
    region: "eu-west-1"
    account_id: "111111111111"
    permission_set: "ReadOnly"
    session: {"name": "corp","start_url": "https://awsdir-sandbox.awsapps.com/start","region": "us-east-1"}
    role_credentials: {"state": "none","expires_at": null,"seconds_left": null}
    access_token: {"state": "stale","expires_at": "[TIME]","seconds_left": 0,"renewable": false}
    next: "you sign in: awsdir login read-only"
    "#);
}

#[test]
fn status_of_a_sign_in_that_a_person_could_do() {
    let sandbox = project("read-only");
    let ran = terminal::run(sandbox.awsdir(["status"]).current_dir(sandbox.path("app")));
    assert_eq!(ran.status.code(), Some(4));
    insta::assert_snapshot!(sandbox.steady(&ran.text()), @"
    profile           read-only, from [HOME]/app/.awsprofile
    role              ReadOnly in account 111111111111
    session           corp (https://awsdir-sandbox.awsapps.com/start)
    role credentials  none
    access token      none
    region            eu-west-1
    this shell        does not have it
    state             sign-in needed
    next              you sign in at the next use, or now: awsdir login read-only
    ");
}

#[test]
fn status_when_not_allowed() {
    let sandbox = Sandbox::new();
    sandbox.project("app", "prod-admin");
    insta::assert_snapshot!(status(&sandbox), @r#"
    -- stderr --
    awsdir: `[HOME]/app/.awsprofile` is not allowed; it selects profile `prod-admin` (Admin in account 222222222222)
    hint: awsdir allow [HOME]/app/.awsprofile
    -- exit status: 3 --
    -- json --
    state: "configuration"
    dotfile: "[HOME]/app/.awsprofile"
    error: "`[HOME]/app/.awsprofile` is not allowed; it selects profile `prod-admin` (Admin in account 222222222222)"
    hint: "awsdir allow [HOME]/app/.awsprofile"
    "#);
}

#[test]
fn status_when_malformed() {
    let sandbox = Sandbox::new();
    sandbox.project("app", "profile = read-only\nendpoint_url = http://x");
    insta::assert_snapshot!(status(&sandbox), @r#"
    -- stderr --
    awsdir: `[HOME]/app/.awsprofile`, line 2, column 1: unknown key `endpoint_url`; the keys are `profile` or the four `sso_` keys, `region`, `credentials` and `login`
    -- exit status: 3 --
    -- json --
    state: "configuration"
    dotfile: "[HOME]/app/.awsprofile"
    error: "`[HOME]/app/.awsprofile`, line 2, column 1: unknown key `endpoint_url`; the keys are `profile` or the four `sso_` keys, `region`, `credentials` and `login`"
    hint: null
    "#);
}

#[test]
fn status_of_an_unknown_profile_offers_the_nearest() {
    let sandbox = project("read-onyl");
    insta::assert_snapshot!(status(&sandbox), @r#"
    -- stderr --
    awsdir: there is no profile `read-onyl` in `[HOME]/.aws/config`; did you mean `read-only`?
    -- exit status: 3 --
    -- json --
    state: "configuration"
    dotfile: "[HOME]/app/.awsprofile"
    error: "there is no profile `read-onyl` in `[HOME]/.aws/config`; did you mean `read-only`?"
    hint: null
    "#);
}

#[test]
fn status_of_a_legacy_profile() {
    let sandbox = project("legacy");
    insta::assert_snapshot!(status(&sandbox), @r#"
    profile           legacy, from [HOME]/app/.awsprofile
    role              ReadOnly in account 222222222222
    session           https://awsdir-sandbox.awsapps.com/start
    role credentials  none
    access token      none
    region            eu-west-1
    this shell        does not have it
    state             sign-in needed
    next              you sign in: awsdir login legacy
    -- exit status: 4 --
    -- json --
    profile: "legacy"
    kind: "sso"
    rule: "dotfile"
    dotfile: "[HOME]/app/.awsprofile"
    state: "sign-in needed"
    loaded: false
    region: "eu-west-1"
    account_id: "222222222222"
    permission_set: "ReadOnly"
    session: {"name": null,"start_url": "https://awsdir-sandbox.awsapps.com/start","region": "us-east-1"}
    role_credentials: {"state": "none","expires_at": null,"seconds_left": null}
    access_token: {"state": "none","expires_at": null,"seconds_left": null,"renewable": false}
    next: "you sign in: awsdir login legacy"
    "#);
}

#[test]
fn status_of_a_profile_of_another_kind() {
    let sandbox = project("static");
    insta::assert_snapshot!(status(&sandbox), @r#"
    profile           static, from [HOME]/app/.awsprofile
    credentials       access keys
    region            ap-south-1
    this shell        does not have it
    state             not from Identity Center
    next              the AWS SDKs resolve this profile themselves
    -- json --
    profile: "static"
    kind: "keys"
    rule: "dotfile"
    dotfile: "[HOME]/app/.awsprofile"
    state: "not from Identity Center"
    loaded: false
    region: "ap-south-1"
    next: "the AWS SDKs resolve this profile themselves"
    "#);
}

#[test]
fn status_where_only_an_access_token_is_wanted() {
    let sandbox = project("profile = read-only\ncredentials = none");
    sandbox.plant_token(FAR, false);
    insta::assert_snapshot!(status(&sandbox), @r#"
    profile           read-only, from [HOME]/app/.awsprofile
    role              ReadOnly in account 111111111111
    session           corp (https://awsdir-sandbox.awsapps.com/start)
    role credentials  none
    access token      fresh, [LEFT] left (until [TIME])
    region            eu-west-1
    this shell        does not have it
    state             fresh
    next              used until [TIME] (in [LEFT]), then you sign in: awsdir login read-only
    -- json --
    profile: "read-only"
    kind: "sso"
    rule: "dotfile"
    dotfile: "[HOME]/app/.awsprofile"
    state: "fresh"
    loaded: false
    region: "eu-west-1"
    account_id: "111111111111"
    permission_set: "ReadOnly"
    session: {"name": "corp","start_url": "https://awsdir-sandbox.awsapps.com/start","region": "us-east-1"}
    role_credentials: {"state": "none","expires_at": null,"seconds_left": null}
    access_token: {"state": "fresh","expires_at": "[TIME]","seconds_left": [SECONDS],"renewable": false}
    next: "used until [TIME] (in [LEFT]), then you sign in: awsdir login read-only"
    "#);
}

#[test]
fn status_of_a_refused_file() {
    let sandbox = project("read-only");
    fs::set_permissions(sandbox.path("app/.awsprofile"), fs::Permissions::from_mode(0o666)).unwrap();
    insta::assert_snapshot!(status(&sandbox), @r#"
    -- stderr --
    awsdir: `[HOME]/app/.awsprofile` is refused: others can write to it
    hint: chmod o-w [HOME]/app/.awsprofile && awsdir allow [HOME]/app/.awsprofile
    -- exit status: 3 --
    -- json --
    state: "configuration"
    dotfile: "[HOME]/app/.awsprofile"
    error: "`[HOME]/app/.awsprofile` is refused: others can write to it"
    hint: "chmod o-w [HOME]/app/.awsprofile && awsdir allow [HOME]/app/.awsprofile"
    "#);
}

#[test]
fn status_says_by_which_rule_a_profile_is_in_force() {
    let mut sandbox = project("read-only");
    sandbox.plant_role_credentials(FAR);
    let first_line = |text: String| text.lines().next().unwrap_or_default().to_owned();
    assert_eq!(
        first_line(said(&sandbox, "app", &["status"])),
        "profile           read-only, from [HOME]/app/.awsprofile"
    );
    assert_eq!(first_line(said(&sandbox, "app", &["status", "static"])), "profile           static, as asked");
    let exec = ["exec", "read-only", "--", env!("CARGO_BIN_EXE_awsdir"), "status", "--json"];
    let document: Value = serde_json::from_slice(&sandbox.awsdir(exec).output().unwrap().stdout).unwrap();
    assert_eq!((&document["rule"], &document["loaded"]), (&json!("with-aws"), &json!(true)));
    insta::assert_snapshot!(said(&sandbox, "", &["status"]), @"
    -- stderr --
    awsdir: nothing says which profile: no `.awsprofile` here or above, and `AWS_PROFILE` is not set
    hint: awsdir pin PROFILE
    -- exit status: 3 --
    ");
    sandbox.set("AWS_PROFILE", "static");
    assert_eq!(first_line(said(&sandbox, "", &["status"])), "profile           static, from AWS_PROFILE");
}

#[test]
fn status_knows_whether_this_shell_has_it() {
    let sandbox = project("read-only");
    sandbox.plant_role_credentials(FAR);
    let output = in_bash(&sandbox, "app", "$AWSDIR status --json");
    let document: Value = serde_json::from_str(&output).unwrap();
    assert_eq!(document["loaded"], true);
    let output = in_bash(&sandbox, "app", "AWS_PROFILE=other $AWSDIR status --json");
    let document: Value = serde_json::from_str(&output).unwrap();
    assert_eq!(document["loaded"], false, "the mark is not true any more");
}
