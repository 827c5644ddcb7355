//! Role credentials of chains that come to their end: each link is renewed by what is still good below it.

use super::{KINDS, Kind, signed_in, world};
use crate::hook_contract::{Session, Shell};
use crate::identity_center::{Fault, Operation};
use crate::renew::Waiting;
use crate::sandbox::{Sandbox, TOKEN_FILE, available, eventually, from_now};
use crate::terminal::{self, LIMIT};
use serde_json::Value;
use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, SystemTime};

/// What is exported; it must not fail.
fn exported(sandbox: &Sandbox, profile: &str) -> Value {
    let output = sandbox.awsdir(["export", profile]).output().unwrap();
    assert!(output.status.success(), "{}", sandbox.shown(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The file in the cache with the credentials of this role or permission set.
fn file_of(sandbox: &Sandbox, role_name: &str) -> PathBuf {
    let holds = |path: &PathBuf| {
        let document: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        let key = document["Credentials"]["AccessKeyId"].as_str().unwrap();
        sandbox.idc.caller_of(key).is_some_and(|caller| caller.role_name == role_name)
    };
    sandbox.files(".aws/cli/cache").into_iter().find(holds).expect("a file in the cache")
}

/// Has the cached credentials of a role end then; written a while ago.
fn let_end(sandbox: &Sandbox, role_name: &str, end: i64) {
    let path = file_of(sandbox, role_name);
    let mut document: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    document["Credentials"]["Expiration"] = from_now(end).into();
    std::fs::write(&path, document.to_string()).unwrap();
    let before = SystemTime::now() - Duration::from_mins(10);
    std::fs::File::options().write(true).open(path).unwrap().set_modified(before).unwrap();
}

/// [`signed_in`], with fresh credentials of `role-of-sso` in the cache.
fn fresh() -> Sandbox {
    let sandbox = signed_in();
    exported(&sandbox, "role-of-sso");
    sandbox.idc.clear_requests();
    sandbox
}

#[test]
fn a_stale_role_is_assumed_by_its_fresh_source() {
    let sandbox = fresh();
    exported(&sandbox, "role-of-sso");
    assert_eq!(sandbox.asked(), "");
    let_end(&sandbox, "by-sso", -60);
    exported(&sandbox, "role-of-sso");
    assert_eq!(sandbox.asked(), "AssumeRole");
}

#[test]
fn where_the_source_is_stale_too_it_comes_first() {
    let sandbox = fresh();
    let_end(&sandbox, "by-sso", -60);
    let_end(&sandbox, "ReadOnly", -60);
    exported(&sandbox, "role-of-sso");
    assert_eq!(sandbox.asked(), "GetRoleCredentials, AssumeRole");
    // And before that the token.
    sandbox.idc.clear_requests();
    let_end(&sandbox, "by-sso", -60);
    let_end(&sandbox, "ReadOnly", -60);
    sandbox.edit_token(|token| token["expiresAt"] = from_now(-60).into());
    exported(&sandbox, "role-of-sso");
    assert_eq!(sandbox.asked(), "CreateToken(refresh_token), GetRoleCredentials, AssumeRole");
}

#[test]
fn a_fresh_role_needs_nothing_below_it() {
    let sandbox = fresh();
    let_end(&sandbox, "ReadOnly", -60);
    std::fs::remove_file(sandbox.path(TOKEN_FILE)).unwrap();
    exported(&sandbox, "role-of-sso");
    assert_eq!(sandbox.asked(), "");
}

#[test]
fn a_stale_session_at_the_root_is_signed_in_to_once_for_the_role() {
    let sandbox = world();
    let ran = terminal::run_with_piped_stdout(&mut sandbox.awsdir(["export", "role-of-role-of-sso"]));
    assert!(ran.status.success(), "{}", ran.text());
    insta::assert_snapshot!(sandbox.scrubbed(&ran.text()), @"
    awsdir: signing in to `corp` for profile `role-of-role-of-sso` (Ctrl-C to cancel)
    awsdir: approve it in your browser; if no page opens, open this one:
      [ENDPOINT]/authorize?[QUERY]
    ");
    assert_eq!(sandbox.idc.browser_opens().len(), 1);
    exported(&sandbox, "role-of-sso");
    exported(&sandbox, "sso");
    let asked = sandbox.asked();
    assert!(asked.ends_with("CreateToken(authorization_code), GetRoleCredentials, AssumeRole, AssumeRole"), "{asked}");
}

#[test]
fn a_stale_session_at_the_root_and_nobody_there() {
    if !available("bash") {
        return;
    }
    let sandbox = world();
    let mut shown = sandbox.transcript(&mut sandbox.awsdir(["export", "role-of-role-of-sso"]));
    shown += &sandbox.transcript(&mut sandbox.awsdir(["credential-process", "role-of-sso"]));
    shown += &sandbox.transcript(&mut sandbox.with_aws(["role-of-sso", "--", "true"]));
    sandbox.allowed_project("app", "profile = role-of-sso\nlogin = never");
    let mut session = Session::open(Shell::Bash, &sandbox);
    shown += &session.run("cd app");
    insta::assert_snapshot!(shown, @"
    -- stderr --
    awsdir: sign-in needed: the session `corp` of profile `role-of-role-of-sso` is stale (no terminal)
    hint: awsdir login role-of-role-of-sso
    -- exit status: 4 --
    -- stderr --
    awsdir: sign-in needed: the session `corp` of profile `role-of-sso` is stale (credential-process asks nobody)
    hint: awsdir login role-of-sso
    -- exit status: 4 --
    -- stderr --
    awsdir: sign-in needed: the session `corp` of profile `role-of-sso` is stale (no terminal)
    hint: awsdir login role-of-sso
    -- exit status: 125 --
    awsdir: sign-in to `corp` needed; run: awsdir login role-of-sso
    ");
    insta::assert_snapshot!(session.aws(), @"
    AWS_PROFILE=role-of-sso
    AWS_REGION=eu-west-1
    AWS_DEFAULT_REGION=eu-west-1
    AWSDIR
    ");
    assert_eq!(sandbox.asked(), "");
}

#[test]
fn a_login_signs_in_to_the_session_at_the_root() {
    let sandbox = world();
    let shown = sandbox.at_terminal(&mut sandbox.awsdir(["login", "role-of-role-of-sso"]));
    insta::assert_snapshot!(shown, @"
    awsdir: signing in to `corp` for profile `role-of-role-of-sso` (Ctrl-C to cancel)
    awsdir: approve it in your browser; if no page opens, open this one:
      [ENDPOINT]/authorize?[QUERY]
    awsdir: signed in to `corp` until [TIME] ([LEFT] left, renewed by itself after that)
    ");
    assert!(sandbox.path(TOKEN_FILE).exists());
}

/// Neither a sign-in nor a logout waits for a chain that is being climbed; what comes of it then is not kept.
#[test]
fn who_signs_out_meanwhile_finds_no_role_here_again() {
    let sandbox = fresh();
    let_end(&sandbox, "by-sso", -60);
    sandbox.idc.inject(Operation::AssumeRole, Fault::Delay(Duration::from_secs(2)), 1);
    let export =
        sandbox.awsdir(["export", "role-of-sso"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    assert!(sandbox.idc.wait_for(Operation::AssumeRole, 1, LIMIT));
    let logout = sandbox.awsdir(["logout", "--session", "corp"]).output().unwrap();
    assert!(logout.status.success(), "{}", sandbox.shown(&logout));
    insta::assert_snapshot!(sandbox.shown(&export.wait_with_output().unwrap()), @"
    -- stderr --
    awsdir: sign-in needed: the session `corp` of profile `role-of-sso` is stale (signed out meanwhile)
    hint: awsdir login role-of-sso
    -- exit status: 4 --
    ");
    assert!(sandbox.files(".aws/cli/cache").is_empty());
}

/// By which shells are told.
const GENERATION: &str = ".local/state/awsdir/generation";

#[test]
fn an_expiring_role_is_renewed_behind_the_prompt() {
    if !available("bash") {
        return;
    }
    for (profile, role_name) in
        [("role-of-sso", "by-sso"), ("role-of-container", "by-container"), ("role-of-environment", "by-environment")]
    {
        let sandbox = signed_in();
        exported(&sandbox, profile);
        sandbox.idc.clear_requests();
        let_end(&sandbox, role_name, 10 * 60);
        sandbox.allowed_project("app", profile);
        let mut session = Session::open(Shell::Bash, &sandbox);
        let before = exported_key(&sandbox, role_name);
        let generation = sandbox.read(GENERATION);
        session.quietly(["cd app"]);
        assert_eq!(key_id(&mut session), before, "at once what is in hand");
        assert!(sandbox.idc.wait_for(Operation::AssumeRole, 1, LIMIT), "{profile}");
        eventually("the new role credentials", || exported_key(&sandbox, role_name) != before);
        eventually("word of them", || sandbox.read(GENERATION) != generation);
        session.quietly([":"]);
        assert_ne!(key_id(&mut session), before);
        assert_eq!(sandbox.idc.count(Operation::AssumeRole), 1);
    }
}

/// The access key id of a role in the cache.
fn exported_key(sandbox: &Sandbox, role_name: &str) -> String {
    let document: Value = serde_json::from_slice(&std::fs::read(file_of(sandbox, role_name)).unwrap()).unwrap();
    document["Credentials"]["AccessKeyId"].as_str().unwrap().to_owned()
}

fn key_id(session: &mut Session<'_>) -> String {
    session.environment()[OsStr::new("AWS_ACCESS_KEY_ID")].to_str().unwrap().to_owned()
}

#[test]
fn what_is_unexpired_is_used_if_sts_fails() {
    let sandbox = world();
    exported(&sandbox, "role");
    let before = exported_key(&sandbox, "deploy");
    let_end(&sandbox, "deploy", 10 * 60);
    let fault = Fault::Refusal { status: 403, name: "AccessDenied".to_owned(), message: "not today".to_owned() };
    for fault in [fault, Fault::ServerError] {
        sandbox.idc.clear_requests();
        sandbox.idc.clear_faults();
        sandbox.idc.inject(Operation::AssumeRole, fault, 99);
        let _ = std::fs::remove_dir_all(sandbox.path(".local/state/awsdir/setbacks"));
        assert_eq!(exported(&sandbox, "role")["AccessKeyId"], before.as_str());
        assert!(sandbox.idc.count(Operation::AssumeRole) >= 1);
    }
    sandbox.idc.hang_up();
    let _ = std::fs::remove_dir_all(sandbox.path(".local/state/awsdir/setbacks"));
    assert_eq!(exported(&sandbox, "role")["AccessKeyId"], before.as_str());
}

/// AWS may take back what is in the cache: of a source there is another one to be had.
#[test]
fn a_source_that_aws_does_not_accept_any_more_is_had_anew() {
    let sandbox = fresh();
    let_end(&sandbox, "by-sso", -60);
    let fault = Fault::Refusal {
        status: 403,
        name: "InvalidClientTokenId".to_owned(),
        message: "The security token included in the request is invalid.".to_owned(),
    };
    sandbox.idc.inject(Operation::AssumeRole, fault, 1);
    exported(&sandbox, "role-of-sso");
    assert_eq!(sandbox.asked(), "AssumeRole 403, GetRoleCredentials, AssumeRole");
}

fn goes_on_past_its_end(kind: &Kind) {
    let sandbox = signed_in();
    sandbox.idc.settings(|settings| settings.assumed_role_lifetime = Some(Duration::from_secs(6)));
    let waiting = Waiting::start(&sandbox, &format!("--renew {}", kind.profile));
    let key = |document: &Value| document["AccessKeyId"].as_str().unwrap_or_default().to_owned();
    let first = key(&waiting.get().1);
    let end = sandbox.idc.issued_credentials().into_iter().find(|issued| issued.access_key_id == first);
    let end = end.expect("issued here").expires;
    eventually("the end", || {
        let (status, document) = waiting.get();
        assert_eq!(status, 200, "{}: {document}", kind.profile);
        SystemTime::now() > end
    });
    let (status, document) = waiting.get();
    assert_eq!(status, 200, "{}: {document}", kind.profile);
    let second = key(&document);
    assert_ne!(first, second, "{}", kind.profile);
    assert_eq!(super::named(&sandbox.idc.caller_of(&second).unwrap().arn()), kind.identity);
    assert_eq!(waiting.finish(), "", "{}", kind.profile);
}

#[test]
fn with_aws_renews_a_role_past_its_end_whatever_its_source() {
    let profiles = [
        "role-of-role",
        "role-of-role-of-sso",
        "role-of-environment",
        "role-of-container",
        "role-of-instance",
        "web-identity",
        "role-of-process",
    ];
    std::thread::scope(|scope| {
        for kind in KINDS.iter().filter(|kind| profiles.contains(&kind.profile)) {
            scope.spawn(move || goes_on_past_its_end(kind));
        }
    });
}
