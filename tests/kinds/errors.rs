//! What is wrong with a profile, by file and line; what services and programs refuse, in their own words.

use super::{CONFIG, WEB_IDENTITY_TOKEN, private, script, signed_in, world};
use crate::hook_contract::{Session, Shell};
use crate::identity_center::{Fault, Operation};
use crate::sandbox::{Sandbox, available};
use std::fmt::Write as _;

/// What `awsdir export PROFILE` says for each of these.
fn exports<'a>(sandbox: &Sandbox, profiles: impl IntoIterator<Item = &'a str>) -> String {
    profiles.into_iter().fold(String::new(), |mut text, profile| {
        let shown = sandbox.scrubbed(&sandbox.transcript(&mut sandbox.awsdir(["export", profile])));
        let _ = writeln!(text, "$ awsdir export {profile}\n{}", shown.trim_end());
        text
    })
}

fn refusal(status: u16, name: &str, message: &str) -> Fault {
    Fault::Refusal { status, name: name.to_owned(), message: message.to_owned() }
}

// --- configuration ------------------------------------------------------------------------------------------

const MISFITS: &str = "\
[profile loop]
role_arn = arn:aws:iam::333333333333:role/a
source_profile = loop-2
[profile loop-2]
role_arn = arn:aws:iam::333333333333:role/b
source_profile = loop-3
[profile loop-3]
role_arn = arn:aws:iam::333333333333:role/c
source_profile = loop-2
[profile itself]
role_arn = arn:aws:iam::333333333333:role/a
source_profile = itself
[profile missing-source]
role_arn = arn:aws:iam::333333333333:role/a
source_profile = nobody
[profile both-sources]
role_arn = arn:aws:iam::333333333333:role/a
source_profile = loop
credential_source = Environment
[profile no-source]
role_arn = arn:aws:iam::333333333333:role/a
[profile unknown-source]
role_arn = arn:aws:iam::333333333333:role/a
credential_source = environment
[profile half-keys]
aws_access_key_id = AKIAEXAMPLE
[profile role-of-half-keys]
role_arn = arn:aws:iam::333333333333:role/a
source_profile = half-keys
[profile no-session]
sso_session = gone
sso_account_id = 111111111111
sso_role_name = ReadOnly
[profile role-of-no-session]
role_arn = arn:aws:iam::333333333333:role/a
source_profile = no-session
[profile empty]
region = eu-west-1
[profile role-of-empty]
role_arn = arn:aws:iam::333333333333:role/a
source_profile = empty
[profile token-without-role]
web_identity_token_file = /token
[profile role-and-process]
role_arn = arn:aws:iam::333333333333:role/a
credential_process = echo
";

#[test]
fn a_profile_that_cannot_be_used_is_named_with_file_and_line() {
    let sandbox = Sandbox::new();
    sandbox.write(".aws/config", MISFITS);
    sandbox.write(".aws/credentials", "[half-secret]\naws_secret_access_key = example\n");
    let profiles = [
        "loop",
        "itself",
        "missing-source",
        "both-sources",
        "no-source",
        "unknown-source",
        "half-keys",
        "role-of-half-keys",
        "half-secret",
        "no-session",
        "role-of-no-session",
        "empty",
        "role-of-empty",
        "token-without-role",
        "role-and-process",
    ];
    insta::assert_snapshot!(exports(&sandbox, profiles), @"
    $ awsdir export loop
    -- stderr --
    awsdir: `[HOME]/.aws/config`, line 9: `[profile loop-3]` takes its own credentials, by way of `source_profile`: loop-2 → loop-3 → loop-2
    -- exit status: 3 --
    $ awsdir export itself
    -- stderr --
    awsdir: `[HOME]/.aws/config`, line 12: `[profile itself]` takes its own credentials, by way of `source_profile`: itself → itself
    -- exit status: 3 --
    $ awsdir export missing-source
    -- stderr --
    awsdir: `[HOME]/.aws/config`, line 15: `[profile missing-source]` takes the credentials of profile `nobody`, and there is no such profile
    -- exit status: 3 --
    $ awsdir export both-sources
    -- stderr --
    awsdir: `[HOME]/.aws/config`, line 19: `[profile both-sources]` has both `source_profile` and `credential_source`
    -- exit status: 3 --
    $ awsdir export no-source
    -- stderr --
    awsdir: `[HOME]/.aws/config`, line 21: `[profile no-source]` has a `role_arn`, and neither `source_profile` nor `credential_source` for it
    -- exit status: 3 --
    $ awsdir export unknown-source
    -- stderr --
    awsdir: `[HOME]/.aws/config`, line 24: `credential_source` in `[profile unknown-source]` is `Environment`, `EcsContainer` or `Ec2InstanceMetadata`, not `environment`
    -- exit status: 3 --
    $ awsdir export half-keys
    -- stderr --
    awsdir: `[HOME]/.aws/config`, line 25: `[profile half-keys]` has no `aws_secret_access_key`
    -- exit status: 3 --
    $ awsdir export role-of-half-keys
    -- stderr --
    awsdir: `[HOME]/.aws/config`, line 25: `[profile half-keys]` has no `aws_secret_access_key`
    -- exit status: 3 --
    $ awsdir export half-secret
    -- stderr --
    awsdir: `[HOME]/.aws/credentials`, line 1: `[profile half-secret]` has no `aws_access_key_id`
    -- exit status: 3 --
    $ awsdir export no-session
    -- stderr --
    awsdir: `[HOME]/.aws/config`, line 31: `[profile no-session]` names the sso-session `gone`, and there is no `[sso-session gone]`
    -- exit status: 3 --
    $ awsdir export role-of-no-session
    -- stderr --
    awsdir: `[HOME]/.aws/config`, line 31: `[profile no-session]` names the sso-session `gone`, and there is no `[sso-session gone]`
    -- exit status: 3 --
    $ awsdir export empty
    -- stderr --
    awsdir: profile `empty` has no credentials: no `sso_account_id`, `role_arn`, `credential_process` or access keys
    -- exit status: 3 --
    $ awsdir export role-of-empty
    -- stderr --
    awsdir: `[HOME]/.aws/config`, line 41: `[profile role-of-empty]` takes the credentials of profile `empty`, which has none
    -- exit status: 3 --
    $ awsdir export token-without-role
    -- stderr --
    awsdir: `[HOME]/.aws/config`, line 42: `[profile token-without-role]` has no `role_arn`
    -- exit status: 3 --
    $ awsdir export role-and-process
    -- stderr --
    awsdir: `[HOME]/.aws/config`, line 45: `[profile role-and-process]` has a `role_arn`, and neither `source_profile` nor `credential_source` for it
    -- exit status: 3 --
    ");
    assert_eq!(sandbox.asked(), "");
}

#[test]
fn every_command_says_it_in_the_same_words() {
    if !available("bash") {
        return;
    }
    let mut sandbox = Sandbox::new();
    sandbox.set("NO_COLOR", "1");
    sandbox.allowed_project("app", "itself");
    sandbox.write(
        ".aws/config",
        "[profile itself]\nrole_arn = arn:aws:iam::333333333333:role/a\nsource_profile = itself\n",
    );
    let mut shown = sandbox.transcript(&mut sandbox.with_aws(["itself", "--", "true"]));
    for command in [&["login", "itself"][..], &["status", "itself"], &["list"], &["credential-process", "itself"]] {
        shown += &sandbox.transcript(&mut sandbox.awsdir(command));
    }
    let mut session = Session::open(Shell::Bash, &sandbox);
    shown += &session.run("cd app");
    assert_eq!(session.aws(), "");
    insta::assert_snapshot!(shown, @"
    -- stderr --
    awsdir: `[HOME]/.aws/config`, line 3: `[profile itself]` takes its own credentials, by way of `source_profile`: itself → itself
    -- exit status: 125 --
    -- stderr --
    awsdir: `[HOME]/.aws/config`, line 3: `[profile itself]` takes its own credentials, by way of `source_profile`: itself → itself
    -- exit status: 3 --
    -- stderr --
    awsdir: `[HOME]/.aws/config`, line 3: `[profile itself]` takes its own credentials, by way of `source_profile`: itself → itself
    -- exit status: 3 --
    PROFILE  KIND  ACCOUNT  ROLE  REGION  SESSION  STATE
    itself   -     -        -     -       -        broken: `[HOME]/.aws/config`, line 3: `[profile itself]` takes its own credentials, by way of `source_profile`: itself → itself
    -- stderr --
    awsdir: `[HOME]/.aws/config`, line 3: `[profile itself]` takes its own credentials, by way of `source_profile`: itself → itself
    -- exit status: 3 --
    awsdir: `[HOME]/.aws/config`, line 3: `[profile itself]` takes its own credentials, by way of `source_profile`: itself → itself
    ");
}

// --- STS ----------------------------------------------------------------------------------------------------

#[test]
fn a_role_that_trusts_somebody_else() {
    let sandbox = signed_in();
    let config = sandbox.read(".aws/config").replace("external_id = the-other-side", "external_id = anybody");
    let config = config.replace("role/by-sso", "role/by-process");
    sandbox.write(".aws/config", config);
    insta::assert_snapshot!(exports(&sandbox, ["role-with-more", "role-of-sso", "role-of-role-of-sso"]), @"
    $ awsdir export role-with-more
    -- stderr --
    awsdir: role `arn:aws:iam::333333333333:role/with-more` is denied to profile `keys` (User: arn:aws:iam::999999999999:user/in-credentials-file is not authorized to perform: sts:AssumeRole on resource: arn:aws:iam::333333333333:role/with-more)
    -- exit status: 4 --
    $ awsdir export role-of-sso
    -- stderr --
    awsdir: role `arn:aws:iam::333333333333:role/by-process` is denied to profile `sso` (User: arn:aws:sts::111111111111:assumed-role/AWSReservedSSO_ReadOnly_[ID]/sandbox is not authorized to perform: sts:AssumeRole on resource: arn:aws:iam::333333333333:role/by-process)
    -- exit status: 4 --
    $ awsdir export role-of-role-of-sso
    -- stderr --
    awsdir: role `arn:aws:iam::333333333333:role/by-process` is denied to profile `sso` (User: arn:aws:sts::111111111111:assumed-role/AWSReservedSSO_ReadOnly_[ID]/sandbox is not authorized to perform: sts:AssumeRole on resource: arn:aws:iam::333333333333:role/by-process)
    -- exit status: 4 --
    ");
    assert_eq!(sandbox.asked(), "AssumeRole 403, GetRoleCredentials, AssumeRole 403, AssumeRole 403");
}

#[test]
fn a_role_that_may_not_last_that_long() {
    let sandbox = world();
    let config = sandbox.read(".aws/config");
    sandbox.write(".aws/config", config.replace("duration_seconds = 7200", "duration_seconds = 43200"));
    insta::assert_snapshot!(exports(&sandbox, ["role-with-more"]), @"
    $ awsdir export role-with-more
    -- stderr --
    awsdir: AssumeRole failed: ValidationError: The requested DurationSeconds exceeds the MaxSessionDuration set for this role. (request id [ID])
    -- exit status: 5 --
    ");
    sandbox.write(".aws/config", config.replace("duration_seconds = 7200", "duration_seconds = 60"));
    insta::assert_snapshot!(exports(&sandbox, ["role-with-more"]), @"
    $ awsdir export role-with-more
    -- stderr --
    awsdir: AssumeRole failed: ValidationError: 1 validation error detected: Value '60' at 'durationSeconds' failed to satisfy constraint: Member must have value greater than or equal to 900 (request id [ID])
    -- exit status: 5 --
    ");
    // As the AWS CLI has it: what is no number is not sent.
    sandbox.write(".aws/config", config.replace("duration_seconds = 7200", "duration_seconds = soon"));
    let output = sandbox.awsdir(["export", "role-with-more"]).output().unwrap();
    assert!(output.status.success(), "{}", sandbox.shown(&output));
}

#[test]
fn a_web_identity_token_that_is_over_or_unknown_or_not_there() {
    let sandbox = world();
    sandbox.idc.expire_web_identity(WEB_IDENTITY_TOKEN);
    let mut shown = exports(&sandbox, ["web-identity", "role-of-web-identity"]);
    let _ = std::fs::remove_dir_all(sandbox.path(".local/state/awsdir/setbacks"));
    private(&sandbox, "web-identity-token", "not.a.token");
    shown += &exports(&sandbox, ["web-identity"]);
    std::fs::remove_file(sandbox.path("web-identity-token")).unwrap();
    shown += &exports(&sandbox, ["web-identity"]);
    insta::assert_snapshot!(shown, @"
    $ awsdir export web-identity
    -- stderr --
    awsdir: AWS does not accept the credentials that profile `web-identity` takes from the token in `[HOME]/web-identity-token` (ExpiredTokenException: Token expired: current date/time must be before the expiration date/time)
    -- exit status: 4 --
    $ awsdir export role-of-web-identity
    -- stderr --
    awsdir: AWS does not accept the credentials that profile `web-identity` takes from the token in `[HOME]/web-identity-token` (ExpiredTokenException: Token expired: current date/time must be before the expiration date/time)
    -- exit status: 4 --
    $ awsdir export web-identity
    -- stderr --
    awsdir: AWS does not accept the credentials that profile `web-identity` takes from the token in `[HOME]/web-identity-token` (InvalidIdentityToken: The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token))
    -- exit status: 4 --
    $ awsdir export web-identity
    -- stderr --
    awsdir: profile `web-identity` takes the credentials of the token in `[HOME]/web-identity-token`: No such file or directory (os error [ERRNO])
    -- exit status: 3 --
    ");
}

#[test]
fn access_keys_that_are_dead() {
    let sandbox = world();
    private(&sandbox, ".aws/credentials", "[keys]\naws_access_key_id = AKIADEAD\naws_secret_access_key = dead\n");
    insta::assert_snapshot!(exports(&sandbox, ["role", "role-of-role"]), @"
    $ awsdir export role
    -- stderr --
    awsdir: AWS does not accept the credentials that profile `role` takes from profile `keys` (InvalidClientTokenId: The security token included in the request is invalid.)
    -- exit status: 4 --
    $ awsdir export role-of-role
    -- stderr --
    awsdir: AWS does not accept the credentials that profile `role` takes from profile `keys` (InvalidClientTokenId: The security token included in the request is invalid.)
    -- exit status: 4 --
    ");
    // A secret key that is not its own.
    let sandbox = world();
    let credentials = sandbox.read(".aws/credentials");
    private(&sandbox, ".aws/credentials", &(credentials.trim_end().to_owned() + "x\n"));
    insta::assert_snapshot!(exports(&sandbox, ["role"]), @"
    $ awsdir export role
    -- stderr --
    awsdir: AWS does not accept the credentials that profile `role` takes from profile `keys` (SignatureDoesNotMatch: The request signature we calculated does not match yours.)
    -- exit status: 4 --
    ");
}

#[test]
fn sts_that_is_not_there() {
    let sandbox = world();
    sandbox.idc.hang_up();
    insta::assert_snapshot!(exports(&sandbox, ["role", "web-identity"]), @"
    $ awsdir export role
    -- stderr --
    awsdir: could not reach `[ENDPOINT]`
    caused by: Connection refused (os error [ERRNO])
    -- exit status: 5 --
    $ awsdir export web-identity
    -- stderr --
    awsdir: could not reach `[ENDPOINT]`
    caused by: Connection refused (os error [ERRNO])
    -- exit status: 5 --
    ");
}

#[test]
fn sts_that_fails_or_answers_something_else() {
    let sandbox = world();
    let mut shown = String::new();
    let malformed = Fault::Status { code: 200, headers: Vec::new(), body: "<AssumeRoleResponse>".to_owned() };
    let refusal = refusal(400, "PackedPolicyTooLarge", "too\nlarge");
    for fault in [refusal, Fault::HtmlBadGateway, Fault::InvalidJson, Fault::Empty200, malformed, Fault::ServeExpired] {
        sandbox.idc.clear_faults();
        sandbox.idc.inject(Operation::AssumeRole, fault, 9);
        shown += &exports(&sandbox, ["role"]);
        let _ = std::fs::remove_dir_all(sandbox.path(".local/state/awsdir/setbacks"));
        super::forget(&sandbox);
    }
    insta::assert_snapshot!(shown, @"
    $ awsdir export role
    -- stderr --
    awsdir: AssumeRole failed: PackedPolicyTooLarge: toolarge (request id [ID])
    -- exit status: 5 --
    $ awsdir export role
    -- stderr --
    awsdir: AssumeRole failed: HTTP 502
    -- exit status: 5 --
    $ awsdir export role
    -- stderr --
    awsdir: AssumeRole failed: the answer has no `Expiration`
    -- exit status: 5 --
    $ awsdir export role
    -- stderr --
    awsdir: AssumeRole failed: the answer has no `Expiration`
    -- exit status: 5 --
    $ awsdir export role
    -- stderr --
    awsdir: AssumeRole failed: the answer has no `Expiration`
    -- exit status: 5 --
    $ awsdir export role
    -- stderr --
    awsdir: AssumeRole failed: the role credentials had expired on arrival ([TIME]); is the clock right?
    -- exit status: 5 --
    ");
}

#[test]
fn sts_that_is_busy_for_a_while() {
    let sandbox = world();
    sandbox.idc.inject(Operation::AssumeRole, refusal(400, "Throttling", "Rate exceeded"), 1);
    sandbox.idc.inject(Operation::AssumeRole, Fault::Throttle { retry_after: Some(0) }, 1);
    sandbox.idc.inject(Operation::AssumeRole, Fault::ServerError, 1);
    let output = sandbox.awsdir(["export", "role"]).output().unwrap();
    assert!(output.status.success(), "{}", sandbox.shown(&output));
    assert_eq!(sandbox.asked(), "AssumeRole 400, AssumeRole 429, AssumeRole 500, AssumeRole");
    sandbox.idc.clear_requests();
    sandbox.idc.inject(Operation::AssumeRoleWithWebIdentity, refusal(400, "IDPCommunicationError", "try again"), 1);
    let output = sandbox.awsdir(["export", "web-identity"]).output().unwrap();
    assert!(output.status.success(), "{}", sandbox.shown(&output));
    assert_eq!(sandbox.asked(), "AssumeRoleWithWebIdentity 400, AssumeRoleWithWebIdentity");
}

// --- credential_process -------------------------------------------------------------------------------------

/// Programs by name, each with the lines of its script.
#[rustfmt::skip]
const PROGRAMS: [(&str, &str); 13] = [
    ("fails", "echo; echo '  the vault is locked' >&2; echo more >&2; exit 7"),
    ("fails-silently", "exit 1"),
    ("killed", "kill -9 $$"),
    ("no-json", "echo hello; echo 'and said so' >&2"),
    ("nothing", ":"),
    ("no-version", r#"echo '{"AccessKeyId":"AKIAEXAMPLE","SecretAccessKey":"secret-of-it"}'"#),
    ("version-2", r#"echo '{"Version":2,"AccessKeyId":"AKIAEXAMPLE","SecretAccessKey":"secret-of-it"}'"#),
    ("version-in-quotes", r#"echo '{"Version":"1","AccessKeyId":"AKIAEXAMPLE","SecretAccessKey":"secret-of-it"}'"#),
    ("no-secret", r#"echo '{"Version":1,"AccessKeyId":"AKIAEXAMPLE"}'"#),
    ("expired", r#"echo '{"Version":1,"AccessKeyId":"A","SecretAccessKey":"s","Expiration":"2020-01-01T00:00:00Z"}'"#),
    ("no-time", r#"echo '{"Version":1,"AccessKeyId":"A","SecretAccessKey":"s","Expiration":"soon"}'"#),
    ("too-much", "head -c 70000 /dev/zero"),
    ("control-characters", r"printf '\033]0;title\007 evil\n' >&2; exit 1"),
];

#[test]
fn a_credential_process_that_hands_out_nothing_good() {
    let sandbox = Sandbox::new();
    let mut config = "[profile not-found]\ncredential_process = /no/such/program --at all\n\
        [profile quote]\ncredential_process = echo 'a\n\
        [profile role-of-fails]\nrole_arn = arn:aws:iam::333333333333:role/a\nsource_profile = fails\n"
        .to_owned();
    for (name, lines) in PROGRAMS {
        let program = script(&sandbox, name, lines);
        let _ = writeln!(config, "[profile {name}]\ncredential_process = {}", program.display());
    }
    sandbox.write(".aws/config", config);
    let names = PROGRAMS.iter().map(|(name, _)| *name).chain(["not-found", "quote", "role-of-fails"]);
    insta::assert_snapshot!(exports(&sandbox, names), @"
    $ awsdir export fails
    -- stderr --
    awsdir: `credential_process` of profile `fails` failed (exit status: 7)
    caused by: the vault is locked; more
    -- exit status: 3 --
    $ awsdir export fails-silently
    -- stderr --
    awsdir: `credential_process` of profile `fails-silently` failed (exit status: 1)
    -- exit status: 3 --
    $ awsdir export killed
    -- stderr --
    awsdir: `credential_process` of profile `killed` failed (signal: 9 (SIGKILL))
    -- exit status: 3 --
    $ awsdir export no-json
    -- stderr --
    awsdir: `credential_process` of profile `no-json` is wrong: what it printed is not the JSON document
    caused by: and said so
    -- exit status: 3 --
    $ awsdir export nothing
    -- stderr --
    awsdir: `credential_process` of profile `nothing` is wrong: what it printed is not the JSON document
    -- exit status: 3 --
    $ awsdir export no-version
    -- stderr --
    awsdir: `credential_process` of profile `no-version` is wrong: `Version` is not the number 1
    -- exit status: 3 --
    $ awsdir export version-2
    -- stderr --
    awsdir: `credential_process` of profile `version-2` is wrong: `Version` is not the number 1
    -- exit status: 3 --
    $ awsdir export version-in-quotes
    -- stderr --
    awsdir: `credential_process` of profile `version-in-quotes` is wrong: `Version` is not the number 1
    -- exit status: 3 --
    $ awsdir export no-secret
    -- stderr --
    awsdir: `credential_process` of profile `no-secret` is wrong: it has no `SecretAccessKey`
    -- exit status: 3 --
    $ awsdir export expired
    -- stderr --
    awsdir: `credential_process` of profile `expired` has handed out credentials that ended at [TIME]
    -- exit status: 3 --
    $ awsdir export no-time
    -- stderr --
    awsdir: `credential_process` of profile `no-time` is wrong: `Expiration` is not a time
    -- exit status: 3 --
    $ awsdir export too-much
    -- stderr --
    awsdir: `credential_process` of profile `too-much` printed more than 64 KiB
    -- exit status: 3 --
    $ awsdir export control-characters
    -- stderr --
    awsdir: `credential_process` of profile `control-characters` failed (exit status: 1)
    caused by: ]0;title evil
    -- exit status: 3 --
    $ awsdir export not-found
    -- stderr --
    awsdir: `credential_process` of profile `not-found` could not be started: No such file or directory (os error [ERRNO])
    -- exit status: 3 --
    $ awsdir export quote
    -- stderr --
    awsdir: `credential_process` of profile `quote` is no command: a quote is not closed, or there is nothing
    -- exit status: 3 --
    $ awsdir export role-of-fails
    -- stderr --
    awsdir: `credential_process` of profile `fails` failed (exit status: 7)
    caused by: the vault is locked; more
    -- exit status: 3 --
    ");
}

#[test]
fn a_credential_process_that_comes_back_to_itself() {
    let sandbox = Sandbox::new();
    let awsdir = env!("CARGO_BIN_EXE_awsdir");
    let config = format!(
        "[profile same]\ncredential_process = {awsdir} credential-process same\n\
         [profile one]\ncredential_process = {awsdir} credential-process other\n\
         [profile other]\ncredential_process = {awsdir} credential-process one\n"
    );
    sandbox.write(".aws/config", config);
    insta::assert_snapshot!(exports(&sandbox, ["same", "one"]), @"
    $ awsdir export same
    -- stderr --
    awsdir: `credential_process` of profile `same` failed (exit status: 3)
    caused by: awsdir: `credential_process` of profile `same` comes back to itself: same → same
    -- exit status: 3 --
    $ awsdir export one
    -- stderr --
    awsdir: `credential_process` of profile `one` failed (exit status: 3)
    caused by: awsdir: `credential_process` of profile `other` failed (exit status: 3); caused by: awsdir: `credential_process` of profile `one` comes back to itself: one → other → one
    -- exit status: 3 --
    ");
}

/// Words are as a shell has them, but there is none.
#[test]
fn a_credential_process_is_started_without_a_shell() {
    let sandbox = Sandbox::new();
    script(&sandbox, "a b", "[ $# = 3 ] && [ \"$2\" = '$HOME' ] && [ \"$3\" = 'x | y' ] && cat ~/answer");
    let document = r#"{"Version": 1, "AccessKeyId": "AKIAEXAMPLE", "SecretAccessKey": "s", "Expiration": "2090-01-01T00:00:00+02:00"}"#;
    sandbox.write("answer", document);
    let line = format!("'{}' 1 $HOME \"x | y\"", sandbox.path("a b").display());
    sandbox.write(".aws/config", format!("[profile words]\ncredential_process = {line}\n"));
    insta::assert_snapshot!(exports(&sandbox, ["words"]), @r#"
    $ awsdir export words
    {
      "Version": 1,
      "AccessKeyId": "AKIAEXAMPLE",
      "SecretAccessKey": "s",
      "Expiration": "[TIME]"
    }
    "#);
}

// --- the environment, containers, instances -----------------------------------------------------------------

#[test]
fn an_environment_a_container_and_an_instance_that_are_not_there() {
    let sandbox = Sandbox::new();
    sandbox.write(".aws/config", CONFIG);
    let profiles = ["role-of-environment", "role-of-container", "role-of-instance"];
    insta::assert_snapshot!(exports(&sandbox, profiles), @"
    $ awsdir export role-of-environment
    -- stderr --
    awsdir: profile `role-of-environment` takes the credentials of the environment: `AWS_ACCESS_KEY_ID` is not set
    -- exit status: 3 --
    $ awsdir export role-of-container
    -- stderr --
    awsdir: profile `role-of-container` takes the credentials of the container: `AWS_CONTAINER_CREDENTIALS_FULL_URI` is not set
    -- exit status: 3 --
    $ awsdir export role-of-instance
    -- stderr --
    awsdir: profile `role-of-instance` takes the credentials of the EC2 instance: `AWS_EC2_METADATA_DISABLED` is set
    -- exit status: 3 --
    ");
    // There, and of no use.
    let mut sandbox = world();
    sandbox.set("AWS_SECRET_ACCESS_KEY", "");
    sandbox.set("AWS_CONTAINER_AUTHORIZATION_TOKEN", "another");
    sandbox.idc.inject(Operation::InstanceMetadata, Fault::ServerError, 1);
    let mut shown = exports(&sandbox, profiles);
    sandbox.set("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://example.com/credentials");
    sandbox.set("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:1");
    let _ = std::fs::remove_dir_all(sandbox.path(".local/state/awsdir/setbacks"));
    shown += &exports(&sandbox, profiles[1..].iter().copied());
    let shown = shown.replace(sandbox.idc.endpoint().trim_start_matches("http://"), "[HOST]");
    insta::assert_snapshot!(shown, @"
    $ awsdir export role-of-environment
    -- stderr --
    awsdir: profile `role-of-environment` takes the credentials of the environment: `AWS_SECRET_ACCESS_KEY` is not set
    -- exit status: 3 --
    $ awsdir export role-of-container
    -- stderr --
    awsdir: the request for credentials failed: `[HOST]` answers with HTTP 401
    -- exit status: 5 --
    $ awsdir export role-of-instance
    -- stderr --
    awsdir: the request for credentials failed: `[HOST]` answers with HTTP 500
    -- exit status: 5 --
    $ awsdir export role-of-container
    -- stderr --
    awsdir: profile `role-of-container` takes the credentials of the container: `http://example.com/credentials` is neither https nor an address of this machine, of ECS or of EKS
    -- exit status: 3 --
    $ awsdir export role-of-instance
    -- stderr --
    awsdir: could not reach `http://127.0.0.1:1`
    caused by: Connection refused (os error [ERRNO])
    -- exit status: 5 --
    ");
}

/// What a container and an instance hand out is between them and us.
#[test]
fn no_proxy_hears_the_neighbours() {
    let mut sandbox = world();
    let nearby = |uri: &str| uri.replace("127.0.0.1", "localhost");
    let uri = nearby(&sandbox.idc.container_credentials_uri());
    sandbox.set("AWS_CONTAINER_CREDENTIALS_FULL_URI", uri);
    let endpoint = nearby(&sandbox.idc.endpoint());
    sandbox.set("AWS_EC2_METADATA_SERVICE_ENDPOINT", endpoint);
    sandbox.set("HTTP_PROXY", "http://127.0.0.1:1");
    // STS is asked past it; the neighbours are not named here.
    sandbox.set("NO_PROXY", "127.0.0.1");
    for profile in ["role-of-container", "role-of-instance"] {
        let output = sandbox.awsdir(["export", profile]).output().unwrap();
        assert!(output.status.success(), "{}", sandbox.shown(&output));
    }
}
