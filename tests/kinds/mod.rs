//! Profiles of every kind: role credentials, access keys, processes, tokens and machines, and chains of them, in one config
//! in both files.

mod errors;
mod expiry;
mod mfa;
mod secrets;
mod shared;
mod tools;

use crate::identity_center::{IdentityCenter, RoleSettings};
use crate::sandbox::{Sandbox, TOKEN_FILE};
use crate::terminal::{self, Ran, Terminal};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

/// One kind of profile: its name in the config, what it is, and whom it makes its user.
struct Kind {
    profile: &'static str,
    what: &'static str,
    identity: &'static str,
}

#[rustfmt::skip]
const KINDS: [Kind; 18] = [
    kind("sso", "an sso-session's permission set", "ReadOnly in 111111111111"),
    kind("sso-legacy", "a permission set, without a session of its own (legacy)", "ReadOnly in 222222222222"),
    kind("keys", "access keys in the credentials file", "in-credentials-file in 999999999999"),
    kind("keys-in-config", "access keys in the config file", "in-config-file in 999999999999"),
    kind("process", "`credential_process`", "of-process in 999999999999"),
    kind("role", "role by access keys", "deploy in 333333333333"),
    kind("role-of-role", "role by a role by access keys", "second in 444444444444"),
    kind("role-of-sso", "role by a permission set", "by-sso in 333333333333"),
    kind("role-of-role-of-sso", "role by a role by a permission set", "second-by-sso in 444444444444"),
    kind("role-of-itself", "role by access keys of its own", "by-itself in 333333333333"),
    kind("role-of-environment", "role, `credential_source = Environment`", "by-environment in 333333333333"),
    kind("role-of-container", "role, `credential_source = EcsContainer`", "by-container in 333333333333"),
    kind("role-of-instance", "role, `credential_source = Ec2InstanceMetadata`", "by-instance in 333333333333"),
    kind("web-identity", "role by a web identity token", "by-token in 333333333333"),
    kind("role-of-web-identity", "role by a role by a web identity token", "second-by-token in 444444444444"),
    kind("role-of-process", "role by a `credential_process`", "by-process in 333333333333"),
    kind("role-with-more", "role with `external_id`, `role_session_name`, `duration_seconds`", "with-more in 333333333333"),
    kind("role-with-mfa", "role with `mfa_serial`", "with-mfa in 333333333333"),
];

const fn kind(profile: &'static str, what: &'static str, identity: &'static str) -> Kind {
    Kind { profile, what, identity }
}

impl Kind {
    /// Whether a person has to give a code for it.
    fn needs_code(&self) -> bool {
        self.profile.contains("mfa")
    }

    /// Whether the SDKs take its credentials where they are.
    fn is_left_to_the_sdks(&self) -> bool {
        ["keys", "keys-in-config", "process"].contains(&self.profile)
    }
}

/// What makes a profile of each kind, but for what is secret: that stands in for `[…]`.
const CONFIG: &str = "\
[sso-session corp]
sso_start_url = https://awsdir-sandbox.awsapps.com/start
sso_region = us-east-1
sso_registration_scopes = sso:account:access

[profile sso]
sso_session = corp
sso_account_id = 111111111111
sso_role_name = ReadOnly
region = eu-west-1

[profile sso-legacy]
sso_start_url = https://awsdir-sandbox.awsapps.com/start
sso_region = us-east-1
sso_account_id = 222222222222
sso_role_name = ReadOnly
region = eu-west-1

[profile keys]
region = eu-west-1

[profile keys-in-config]
[keys of in-config-file]
region = eu-west-1

[profile process]
credential_process = [HOME]/hand-out of-process
region = eu-west-1

[profile role]
role_arn = arn:aws:iam::333333333333:role/deploy
source_profile = keys
region = eu-west-1

[profile role-of-role]
role_arn = arn:aws:iam::444444444444:role/second
source_profile = role
region = eu-west-1

[profile role-of-sso]
role_arn = arn:aws:iam::333333333333:role/by-sso
source_profile = sso
region = eu-west-1

[profile role-of-role-of-sso]
role_arn = arn:aws:iam::444444444444:role/second-by-sso
source_profile = role-of-sso
region = eu-west-1

[profile role-of-itself]
role_arn = arn:aws:iam::333333333333:role/by-itself
source_profile = role-of-itself
[keys of by-itself]
region = eu-west-1

[profile role-of-environment]
role_arn = arn:aws:iam::333333333333:role/by-environment
credential_source = Environment
region = eu-west-1

[profile role-of-container]
role_arn = arn:aws:iam::333333333333:role/by-container
credential_source = EcsContainer
region = eu-west-1

[profile role-of-instance]
role_arn = arn:aws:iam::333333333333:role/by-instance
credential_source = Ec2InstanceMetadata
region = eu-west-1

[profile web-identity]
role_arn = arn:aws:iam::333333333333:role/by-token
web_identity_token_file = [HOME]/web-identity-token
region = eu-west-1

[profile role-of-web-identity]
role_arn = arn:aws:iam::444444444444:role/second-by-token
source_profile = web-identity
region = eu-west-1

[profile role-of-process]
role_arn = arn:aws:iam::333333333333:role/by-process
source_profile = process
region = eu-west-1

[profile role-with-more]
role_arn = arn:aws:iam::333333333333:role/with-more
source_profile = keys
external_id = the-other-side
role_session_name = somebody@example.com
duration_seconds = 7200
region = eu-west-1

[profile role-with-mfa]
role_arn = arn:aws:iam::333333333333:role/with-mfa
source_profile = keys
mfa_serial = arn:aws:iam::999999999999:mfa/in-credentials-file
region = eu-west-1

[profile role-with-mfa-too]
role_arn = arn:aws:iam::444444444444:role/with-mfa-too
source_profile = keys
mfa_serial = arn:aws:iam::999999999999:mfa/in-credentials-file
region = eu-west-1
";

/// Each role with how the ARNs of those begin whom it trusts.
const ROLES: [(&str, &str); 13] = [
    ("333333333333:role/deploy", "arn:aws:iam::999999999999:user/in-credentials-file"),
    ("444444444444:role/second", "arn:aws:sts::333333333333:assumed-role/deploy/"),
    ("333333333333:role/by-sso", "arn:aws:sts::111111111111:assumed-role/AWSReservedSSO_ReadOnly_"),
    ("444444444444:role/second-by-sso", "arn:aws:sts::333333333333:assumed-role/by-sso/"),
    ("333333333333:role/by-itself", "arn:aws:iam::999999999999:user/by-itself"),
    ("333333333333:role/by-environment", "arn:aws:iam::999999999999:user/of-environment"),
    ("333333333333:role/by-container", "arn:aws:sts::888888888888:assumed-role/task/"),
    ("333333333333:role/by-instance", "arn:aws:sts::888888888888:assumed-role/instance/"),
    ("444444444444:role/second-by-token", "arn:aws:sts::333333333333:assumed-role/by-token/"),
    ("333333333333:role/by-process", "arn:aws:iam::999999999999:user/of-process"),
    ("333333333333:role/with-more", "arn:aws:iam::999999999999:user/in-credentials-file"),
    ("333333333333:role/with-mfa", "arn:aws:iam::999999999999:user/in-credentials-file"),
    ("444444444444:role/with-mfa-too", "arn:aws:iam::999999999999:user/in-credentials-file"),
];

/// The MFA device of the user whose access keys are in the credentials file.
const DEVICE: &str = "arn:aws:iam::999999999999:mfa/in-credentials-file";
const WEB_IDENTITY_TOKEN: &str = "eyJhbGciOiJSUzI1NiJ9.sandbox-web-identity.c2lnbmF0dXJl";
const CONTAINER_AUTHORIZATION: &str = "sandbox-container-authorization";

/// A sandbox with all of them, signed in to nothing.
fn world() -> Sandbox {
    let mut sandbox = Sandbox::new();
    let idc = &sandbox.idc;
    let keys = |user: &str| {
        let keys = idc.create_user(user);
        let secret = &keys.secret_access_key;
        format!("aws_access_key_id = {}\naws_secret_access_key = {secret}", keys.access_key_id)
    };
    let config = ["in-config-file", "by-itself"]
        .into_iter()
        .fold(CONFIG.to_owned(), |config, user| config.replace(&format!("[keys of {user}]"), &keys(user)));
    let credentials = format!("[keys]\n{}\n", keys("in-credentials-file"));
    let (environment, process) = (idc.create_user("of-environment"), idc.create_user("of-process"));
    for (role, trusts) in ROLES {
        let settings = RoleSettings { trusts: trusts.to_owned(), ..RoleSettings::default() };
        let settings = match role.rsplit('/').next().unwrap() {
            "with-more" => RoleSettings {
                external_id: Some("the-other-side".to_owned()),
                max_duration: Duration::from_hours(2),
                ..settings
            },
            name => RoleSettings { requires_mfa: name.starts_with("with-mfa"), ..settings },
        };
        idc.create_role(&format!("arn:aws:iam::{role}"), settings);
    }
    idc.create_mfa_device("in-credentials-file", DEVICE);
    idc.trust_web_identity("arn:aws:iam::333333333333:role/by-token", WEB_IDENTITY_TOKEN);
    idc.settings(|settings| settings.container_authorization = Some(CONTAINER_AUTHORIZATION.to_owned()));
    for (name, value) in [
        ("NO_COLOR", "1"),
        ("AWS_PAGER", ""),
        ("AWS_ACCESS_KEY_ID", &environment.access_key_id),
        ("AWS_SECRET_ACCESS_KEY", &environment.secret_access_key),
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", &idc.container_credentials_uri()),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN", CONTAINER_AUTHORIZATION),
        ("AWS_EC2_METADATA_SERVICE_ENDPOINT", &idc.endpoint()),
        ("AWS_EC2_METADATA_DISABLED", "false"),
    ] {
        sandbox.set(name, value);
    }
    let home = sandbox.home();
    sandbox.write(".aws/config", config.replace("[HOME]", home.to_str().unwrap()));
    private(&sandbox, ".aws/credentials", &credentials);
    private(&sandbox, ".aws/config", &sandbox.read(".aws/config"));
    private(&sandbox, "web-identity-token", WEB_IDENTITY_TOKEN);
    let document = serde_json::json!({
        "Version": 1, "AccessKeyId": process.access_key_id, "SecretAccessKey": process.secret_access_key,
    });
    private(&sandbox, "handed-out", &document.to_string());
    script(&sandbox, "hand-out", "[ \"$1\" = of-process ] && cat ~/handed-out");
    sandbox
}

/// A file for its owner's eyes, as its owner has it.
fn private(sandbox: &Sandbox, name: &str, content: &str) {
    let path = sandbox.write(name, content);
    std::fs::set_permissions(path, PermissionsExt::from_mode(0o600)).unwrap();
}

/// A program in the HOME.
fn script(sandbox: &Sandbox, name: &str, lines: &str) -> PathBuf {
    let path = sandbox.write(name, format!("#!/bin/sh\n{lines}\n"));
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
    path
}

/// [`world`], signed in wherever one can sign in.
fn signed_in() -> Sandbox {
    let sandbox = world();
    for profile in ["sso", "sso-legacy"] {
        let ran = terminal::run(&mut sandbox.awsdir(["login", profile]));
        assert!(ran.status.success(), "{}", ran.text());
    }
    assert!(sandbox.path(TOKEN_FILE).exists());
    sandbox.idc.clear_requests();
    sandbox
}

/// The role credentials in the cache are forgotten, whoever has put them there.
fn forget(sandbox: &Sandbox) {
    let _ = std::fs::remove_dir_all(sandbox.path(".aws/cli/cache"));
}

/// Runs a program at a terminal, its stdout caught, and gives it a code whenever it asks for one.
fn with_codes(sandbox: &Sandbox, command: &mut Command, codes: usize) -> Ran {
    let mut terminal = Terminal::spawn_with_own_stdout(command.stdout(Stdio::piped()));
    for _ in 0..codes {
        give_code(sandbox, &mut terminal);
    }
    terminal.wait()
}

/// Waits for the question of awsdir, the AWS CLI or an SDK, and answers it.
fn give_code(sandbox: &Sandbox, terminal: &mut Terminal) {
    terminal.wait_for("MFA code ");
    terminal.wait_for(DEVICE);
    terminal.send(sandbox.idc.mfa_code(DEVICE) + "\r");
}

/// Who an ARN is: the role or the user, and the account.
fn named(arn: &str) -> String {
    let parts: Vec<&str> = arn.trim().split([':', '/']).collect();
    let [_, _, _, _, account, _, name, ..] = parts[..] else { panic!("{arn}") };
    let name = name.strip_prefix("AWSReservedSSO_").and_then(|name| name.split('_').next()).unwrap_or(name);
    format!("{name} in {account}")
}

/// Whose credentials these are, whole.
fn holder(idc: &IdentityCenter, key: &str, secret: &str, token: &str) -> String {
    let issued = idc.issued_credentials().into_iter().find(|issued| issued.access_key_id == key);
    match issued {
        Some(issued) if (issued.secret_access_key.as_str(), issued.session_token.as_str()) == (secret, token) => {
            named(&issued.identity.arn())
        }
        Some(_) => format!("a mixture with {key}"),
        None => format!("nobody ({key})"),
    }
}
