//! The AWS CLI's caches, both ways: what we write is what it writes, what it writes we read.

use crate::identity_center::{Fault, IdentityCenter, Operation};
use crate::sandbox::{ROLE_FILE, Sandbox, TOKEN_FILE, from_now, may_trace_awsdir};
use crate::sign_in::{REGISTRATION, sandbox};
use crate::terminal::{run, run_with_piped_stdout};
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

const SSO_CACHE: &str = ".aws/sso/cache";
const ROLE_CACHE: &str = ".aws/cli/cache";

fn name_of(path: &str) -> &str {
    path.rsplit_once('/').unwrap().1
}

fn log_in(sandbox: &Sandbox, arguments: &[&str]) {
    let ran = run(sandbox.awsdir(["login", "read-only"]).args(arguments));
    assert!(ran.status.success(), "{}", ran.text());
}

/// `awsdir export read-only` where nobody can be asked.
fn expect_exported(sandbox: &Sandbox, access_key_id: &str, case: &str) {
    let output = sandbox.awsdir(["export", "read-only"]).output().unwrap();
    assert!(output.status.success(), "{case}: {output:?}");
    let printed: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(printed["AccessKeyId"], access_key_id, "{case}");
}

/// The token of `corp` as the AWS CLI 2.38.5 has written it.
fn cli_token(expires_at: &str) -> Value {
    json!({
        "startUrl": IdentityCenter::START_URL, "region": "us-east-1", "accessToken": "FAKEACCESSTOKEN-aoa0001",
        "expiresAt": expires_at, "clientId": "FAKECLIENT0002", "clientSecret": "FAKESECRET-eyJ-0002",
        "registrationExpiresAt": "2090-02-20T17:30:13Z", "refreshToken": "FAKEREFRESH-aor0001",
    })
}

/// Role credentials as the AWS CLI 2.38.5 has written them.
fn cli_role(expiration: &str) -> Value {
    json!({ "ProviderType": "sso", "Credentials": {
        "AccessKeyId": "ASIAFAKEROLE00000001", "SecretAccessKey": "FAKEsecret/with+slash=0001",
        "SessionToken": "FAKEsession//token++==0001", "Expiration": expiration, "AccountId": "111111111111",
    }})
}

/// One moment, far ahead, in every form that is found in these caches (`protocol.md` 2.4).
const TIME_FORMS: [&str; 6] = [
    "2090-11-22T18:30:13Z",
    "2090-11-22T18:30:13.123456Z",
    "2090-11-22T18:30:13.123456789Z",
    "2090-11-22T18:30:13+00:00",
    "2090-11-22T18:30:13UTC",
    "2090-11-22 18:30:13Z",
];

/// What may stand in a cache file and is none of ours.
fn unreadable() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("empty", Vec::new()),
        ("torn", br#"{"startUrl": "https://awsdir-sandbox.awsapps.com/start", "reg"#.to_vec()),
        ("zeros", vec![0; 64]),
        ("not UTF-8", b"{\"accessToken\": \"\xff\xfe\"}".to_vec()),
        ("a list", b"[]".to_vec()),
        ("null", b"null".to_vec()),
        ("another's", br#"{"type": "lock", "pid": 1}"#.to_vec()),
    ]
}

/// A JSON document spoilt: behind a byte order mark, and with each of its texts of another type.
fn spoilt(document: &Value, names: &[&str]) -> Vec<(String, Vec<u8>)> {
    let mut all = vec![("BOM".to_owned(), format!("\u{feff}{document}").into_bytes())];
    for (name, value) in names.iter().flat_map(|name| [(name, json!(1)), (name, json!(["x"])), (name, Value::Null)]) {
        let mut other = document.clone();
        let pointed = other.pointer_mut(name).unwrap();
        *pointed = value.clone();
        all.push((format!("{name} is {value}"), other.to_string().into_bytes()));
    }
    all
}

fn all_misses(document: &Value, names: &[&str]) -> Vec<(String, Vec<u8>)> {
    let unreadable = unreadable().into_iter().map(|(case, bytes)| (case.to_owned(), bytes));
    unreadable.chain(spoilt(document, names)).collect()
}

mod written {
    use super::*;

    #[test]
    fn with_the_names_the_fields_and_the_spelling_of_the_aws_cli() {
        let sandbox = sandbox();
        sandbox.get_role(|_| {});
        assert_eq!(sandbox.names(SSO_CACHE), [REGISTRATION, name_of(TOKEN_FILE)]);
        assert_eq!(sandbox.names(ROLE_CACHE), [name_of(ROLE_FILE)]);

        // Texts, not documents: the CLI's own spelling, blanks included.
        sandbox.sign_in(|_| {});
        let fields = |path: &str, names: &[&str]| {
            let document = sandbox.read_json(path);
            names.iter().map(|name| document.pointer(name).unwrap().as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        let ran = run(&mut sandbox.awsdir(["login", "read-only", "--force"]));
        assert!(ran.status.success(), "{}", ran.text());
        let names =
            ["/accessToken", "/expiresAt", "/clientId", "/clientSecret", "/registrationExpiresAt", "/refreshToken"];
        let [token, expires, id, secret, registration, refresh] = &fields(TOKEN_FILE, &names)[..] else { panic!() };
        assert_eq!(
            sandbox.read(TOKEN_FILE),
            format!(
                r#"{{"startUrl": "{}", "region": "us-east-1", "accessToken": "{token}", "expiresAt": "{expires}", "clientId": "{id}", "clientSecret": "{secret}", "registrationExpiresAt": "{registration}", "refreshToken": "{refresh}"}}"#,
                IdentityCenter::START_URL
            )
        );
        assert_eq!(
            sandbox.read(format!("{SSO_CACHE}/{REGISTRATION}")),
            format!(
                r#"{{"clientId": "{id}", "clientSecret": "{secret}", "expiresAt": "{registration}", "scopes": ["sso:account:access"], "grantTypes": ["authorization_code", "refresh_token"]}}"#
            )
        );
    }

    #[test]
    fn with_role_credentials_and_legacy_sessions_as_the_aws_cli_has_them() {
        let sandbox = sandbox();
        let ran = run(&mut sandbox.awsdir(["export", "legacy"]));
        assert!(ran.status.success(), "{}", ran.text());
        let (registration, token, role) = (
            "049fef8e0d60d42223f2c1fcd53a8c688f02ded4.json",
            "884cf33535b50e6b5744d3e817022d35e4198357.json",
            "45f87d7a0c28772989af6259acde6c06bec72282.json",
        );
        assert_eq!(sandbox.names(SSO_CACHE), [registration, token]);
        assert_eq!(sandbox.names(ROLE_CACHE), [role]);
        // Without scopes there is no refresh token.
        let token = sandbox.read_json(format!("{SSO_CACHE}/{token}"));
        let names: Vec<_> = token.as_object().unwrap().keys().collect();
        let expected =
            ["startUrl", "region", "accessToken", "expiresAt", "clientId", "clientSecret", "registrationExpiresAt"];
        assert_eq!(names, expected);
        let registration = sandbox.read_json(format!("{SSO_CACHE}/{registration}"));
        let names: Vec<_> = registration.as_object().unwrap().keys().collect();
        assert_eq!(names, ["clientId", "clientSecret", "expiresAt"]);

        let issued = sandbox.idc.issued_credentials().swap_remove(0);
        let text = sandbox.read(format!("{ROLE_CACHE}/{role}"));
        let expiration = sandbox.read_json(format!("{ROLE_CACHE}/{role}"))["Credentials"]["Expiration"].clone();
        assert_eq!(
            text,
            format!(
                r#"{{"ProviderType": "sso", "Credentials": {{"AccessKeyId": "{}", "SecretAccessKey": "{}", "SessionToken": "{}", "Expiration": {expiration}, "AccountId": "222222222222"}}}}"#,
                issued.access_key_id, issued.secret_access_key, issued.session_token
            )
        );
    }

    /// Everything in a folder, and the folder.
    fn tree(folder: &Path) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let below = entries.flat_map(|path| if path.is_dir() { tree(&path) } else { vec![path] });
        std::iter::once(folder.to_owned()).chain(below).collect()
    }

    #[test]
    fn for_nobody_elses_eyes_whatever_the_umask_and_whatever_was_there() {
        let sandbox = sandbox();
        std::fs::DirBuilder::new().recursive(true).create(sandbox.path(SSO_CACHE)).unwrap();
        for folder in [".aws/sso", SSO_CACHE] {
            std::fs::set_permissions(sandbox.path(folder), PermissionsExt::from_mode(0o700)).unwrap();
        }
        let old = [TOKEN_FILE.to_owned(), format!("{SSO_CACHE}/{REGISTRATION}")].map(|path| sandbox.write(path, "{}"));
        for path in old {
            std::fs::set_permissions(path, PermissionsExt::from_mode(0o644)).unwrap();
        }
        let work = sandbox.project("work", "read-only");
        let line = r#"umask 0; "$0" allow && exec "$0" export"#;
        let mut command = sandbox.command("sh");
        command.args(["-c", line, env!("CARGO_BIN_EXE_awsdir")]).current_dir(work);
        let ran = run_with_piped_stdout(&mut command);
        assert!(ran.status.success(), "{}", ran.text());

        let ours = [".aws/sso", ".aws/cli", ".local/state/awsdir"].map(|folder| tree(&sandbox.path(folder))).concat();
        assert!(ours.iter().filter(|path| path.is_file()).count() > 5, "{ours:?}");
        for path in ours {
            let mode = path.metadata().unwrap().permissions().mode() & 0o777;
            assert_eq!(mode, if path.is_dir() { 0o700 } else { 0o600 }, "{}", path.display());
        }
    }

    #[test]
    fn with_everything_that_others_have_put_there() {
        let sandbox = sandbox();
        sandbox.get_role(|role| {
            role["Credentials"]["Expiration"] = from_now(-1).into();
            role["Credentials"]["x"] = json!("y");
            role["RetryAttempts"] = json!(0);
        });
        sandbox.edit_token(|token| {
            token["expiresAt"] = from_now(-1).into();
            token["x"] = json!({ "y": [1, null, "é"] });
        });
        let (token, role) = (sandbox.read_json(TOKEN_FILE), sandbox.read_json(ROLE_FILE));
        let output = sandbox.awsdir(["export", "read-only"]).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let (new_token, new_role) = (sandbox.read_json(TOKEN_FILE), sandbox.read_json(ROLE_FILE));
        assert_ne!(new_token["accessToken"], token["accessToken"]);
        assert_eq!(new_token["x"], token["x"]);
        assert_ne!(new_role["Credentials"]["AccessKeyId"], role["Credentials"]["AccessKeyId"]);
        assert_eq!(new_role["Credentials"]["x"], "y");
        assert_eq!(new_role["RetryAttempts"], 0);
    }

    #[test]
    fn with_the_old_refresh_token_where_no_new_one_came() {
        let sandbox = sandbox();
        sandbox.sign_in(|token| token["expiresAt"] = from_now(-1).into());
        let before = sandbox.read_json(TOKEN_FILE);
        let body = json!({ "accessToken": "renewed", "expiresIn": 3600, "tokenType": "Bearer" }).to_string();
        sandbox.idc.inject(Operation::CreateToken, Fault::Status { code: 200, headers: vec![], body }, 1);
        log_in(&sandbox, &[]);
        let after = sandbox.read_json(TOKEN_FILE);
        assert_eq!((&after["accessToken"], &after["refreshToken"]), (&json!("renewed"), &before["refreshToken"]));
    }

    #[test]
    fn for_the_flow_that_a_client_registration_is_good_for_and_while_it_lasts() {
        let sandbox = sandbox();
        let registration =
            |sandbox: &Sandbox| sandbox.read_json(format!("{SSO_CACHE}/{REGISTRATION}"))["clientId"].clone();
        log_in(&sandbox, &["--device-code"]);
        let device = registration(&sandbox);
        log_in(&sandbox, &["--force"]);
        let pkce = registration(&sandbox);
        assert_ne!(device, pkce, "one kind is no good for the other");

        let path = format!("{SSO_CACHE}/{REGISTRATION}");
        let mut short = sandbox.read_json(&path);
        short["expiresAt"] = from_now(14 * 60).into();
        sandbox.write(&path, short.to_string());
        log_in(&sandbox, &["--force"]);
        assert_ne!(registration(&sandbox), pkce, "less than a quarter of an hour left");
    }
}

mod read {
    use super::*;

    #[test]
    fn role_credentials_of_the_aws_cli_are_used_without_any_request() {
        for form in TIME_FORMS {
            let sandbox = sandbox();
            sandbox.write(ROLE_FILE, cli_role(form).to_string());
            expect_exported(&sandbox, "ASIAFAKEROLE00000001", form);
            assert_eq!(sandbox.asked(), "", "{form}");
        }
    }

    #[test]
    fn a_token_of_the_aws_cli_is_a_sign_in() {
        let mut tokens: Vec<_> = TIME_FORMS.iter().map(|form| cli_token(form).to_string()).collect();
        tokens.push(format!("{:#}", cli_token(TIME_FORMS[0])));
        tokens.push(json!({ "accessToken": "A", "expiresAt": TIME_FORMS[0] }).to_string());
        for (name, value) in
            [("refreshToken", Value::Null), ("refreshToken", json!("")), ("extra", json!({ "a": [1] }))]
        {
            let mut token = cli_token(TIME_FORMS[0]);
            token[name] = value;
            tokens.push(token.to_string());
        }
        for token in tokens {
            let sandbox = sandbox();
            sandbox.write(TOKEN_FILE, &token);
            let said = sandbox.transcript(&mut sandbox.awsdir(["login", "--session", "corp"]));
            assert!(said.contains("awsdir: already signed in to `corp` until 2090-11-22T18:30:13Z"), "{token}: {said}");
            assert_eq!(sandbox.asked(), "", "{token}");
            assert_eq!(sandbox.read(TOKEN_FILE), token);
        }
    }

    #[test]
    fn an_unreadable_token_is_a_miss_and_is_replaced_by_signing_in() {
        for (case, bytes) in all_misses(&cli_token(TIME_FORMS[0]), &["/accessToken", "/expiresAt"]) {
            let sandbox = sandbox();
            sandbox.write(TOKEN_FILE, &bytes);
            let output = sandbox.awsdir(["export", "read-only"]).output().unwrap();
            assert_eq!(output.status.code(), Some(4), "{case}: {output:?}");
            assert_eq!(sandbox.asked(), "", "{case}");
            assert_eq!(std::fs::read(sandbox.path(TOKEN_FILE)).unwrap(), bytes, "{case}: touched without need");
            log_in(&sandbox, &[]);
            assert!(sandbox.read_json(TOKEN_FILE)["accessToken"].as_str().unwrap().starts_with("aoa-"), "{case}");
        }
    }

    #[test]
    fn unreadable_role_credentials_are_a_miss_and_are_replaced() {
        let names = [
            "/Credentials",
            "/Credentials/AccessKeyId",
            "/Credentials/SecretAccessKey",
            "/Credentials/SessionToken",
            "/Credentials/Expiration",
        ];
        let sandbox = sandbox();
        sandbox.sign_in(|_| {});
        for (case, bytes) in all_misses(&cli_role(TIME_FORMS[0]), &names) {
            sandbox.write(ROLE_FILE, bytes);
            let output = sandbox.awsdir(["export", "read-only"]).output().unwrap();
            assert!(output.status.success(), "{case}: {output:?}");
            assert_eq!(sandbox.asked(), "GetRoleCredentials", "{case}");
            sandbox.idc.clear_requests();
            let issued = sandbox.idc.issued_credentials().pop().unwrap();
            assert_eq!(sandbox.read_json(ROLE_FILE)["Credentials"]["AccessKeyId"], issued.access_key_id, "{case}");
        }
    }

    #[test]
    fn an_unreadable_client_registration_is_a_miss_and_is_replaced() {
        let sandbox = sandbox();
        sandbox.sign_in(|_| {});
        let path = format!("{SSO_CACHE}/{REGISTRATION}");
        let good = sandbox.read_json(&path);
        for (case, bytes) in all_misses(&good, &["/clientId", "/clientSecret", "/expiresAt", "/grantTypes"]) {
            sandbox.write(&path, bytes);
            log_in(&sandbox, &["--force"]);
            assert_eq!(sandbox.idc.count(Operation::RegisterClient), 1, "{case}");
            sandbox.idc.clear_requests();
            assert_eq!(sandbox.read_json(&path)["scopes"], good["scopes"], "{case}");
        }
    }

    #[test]
    fn a_token_of_another_start_url_or_region_under_the_same_name_is_a_miss() {
        for (name, other) in [("startUrl", "https://other.awsapps.com/start"), ("region", "eu-west-1")] {
            let sandbox = sandbox();
            let mut token = cli_token(TIME_FORMS[0]);
            token[name] = other.into();
            token["x"] = "theirs".into();
            sandbox.write(TOKEN_FILE, token.to_string());
            let output = sandbox.awsdir(["export", "read-only"]).output().unwrap();
            assert_eq!((output.status.code(), sandbox.asked().as_str()), (Some(4), ""), "{name}: {output:?}");
            log_in(&sandbox, &[]);
            let ours = sandbox.read_json(TOKEN_FILE);
            assert_eq!((&ours["startUrl"], &ours["region"]), (&json!(IdentityCenter::START_URL), &json!("us-east-1")));
            assert_eq!(ours.get("x"), None, "{name}: another session's field");
        }
    }

    #[test]
    fn a_refresh_token_without_a_living_client_registration_is_of_no_use() {
        for (name, value) in [("registrationExpiresAt", json!(from_now(-1))), ("clientSecret", Value::Null)] {
            let sandbox = sandbox();
            sandbox.sign_in(|token| {
                token["expiresAt"] = from_now(-1).into();
                token[name] = value;
            });
            let output = sandbox.awsdir(["export", "read-only"]).output().unwrap();
            assert_eq!((output.status.code(), sandbox.asked().as_str()), (Some(4), ""), "{name}: {output:?}");
        }
    }
}

/// Runs the hook in `app` until the profile is on record: the config has to be left alone for two seconds.
fn until_on_record(sandbox: &Sandbox) {
    crate::sandbox::eventually("the profile's record", || {
        hook_in_app(sandbox, sandbox.awsdir(["hook", "bash"]));
        sandbox.path(".local/state/awsdir/profiles").exists()
    });
}

/// The region that the hook gives in `app`.
fn hook_in_app(sandbox: &Sandbox, mut command: std::process::Command) -> String {
    let directory = sandbox.path("app");
    let output = command.env("PWD", &directory).current_dir(directory).output().unwrap();
    let script = String::from_utf8(output.stdout).unwrap();
    let region =
        script.lines().find_map(|line| line.strip_prefix("AWS_REGION='")?.strip_suffix("'; \\export AWS_REGION"));
    region.unwrap_or_else(|| panic!("{script}")).to_owned()
}

#[test]
fn an_unchanged_config_is_not_read_again() {
    if !may_trace_awsdir() {
        return;
    }
    let sandbox = Sandbox::new();
    sandbox.plant_role_credentials(&from_now(3600));
    sandbox.allowed_project("app", "read-only\n");
    until_on_record(&sandbox);
    let mut traced = sandbox.command("strace");
    let trace = sandbox.path("trace");
    traced.args(["-qq", "-e", "trace=open,openat,socket,connect,fork,vfork,clone,clone3", "-o"]).arg(&trace);
    traced.arg(env!("CARGO_BIN_EXE_awsdir")).args(["hook", "bash"]);
    assert_eq!(hook_in_app(&sandbox, traced), "eu-west-1");
    let trace = std::fs::read_to_string(trace).unwrap();
    assert!(trace.contains(".aws/cli/cache/"), "{trace}");
    for never in [".aws/config", ".aws/credentials", ".aws/sso/cache", "socket(", "connect(", "fork(", "clone"] {
        assert!(!trace.contains(never), "{never}:\n{trace}");
    }
}

#[test]
fn a_changed_config_is_read_again_whatever_its_times_say() {
    let sandbox = Sandbox::new();
    sandbox.plant_role_credentials(&from_now(3600));
    sandbox.allowed_project("app", "read-only\n");
    until_on_record(&sandbox);
    let path = sandbox.path(".aws/config");
    let modified = path.metadata().unwrap().modified().unwrap();
    // As many bytes as before, and as old.
    sandbox.write(".aws/config", sandbox.read(".aws/config").replace("eu-west-1", "eu-west-2"));
    std::fs::File::options().write(true).open(&path).unwrap().set_modified(modified).unwrap();
    assert_eq!(hook_in_app(&sandbox, sandbox.awsdir(["hook", "bash"])), "eu-west-2");

    // Removed and made anew, the profile in the other file.
    std::fs::remove_file(&path).unwrap();
    let shown = sandbox
        .transcript(sandbox.awsdir(["hook", "bash"]).env("PWD", sandbox.path("app")).current_dir(sandbox.path("app")));
    assert!(shown.contains("awsdir: there is no profile `read-only` in `[HOME]/.aws/config`"), "{shown}");
}

#[test]
fn a_torn_record_reads_as_none() {
    let sandbox = Sandbox::new();
    sandbox.plant_role_credentials(&from_now(3600));
    sandbox.allowed_project("app", "read-only\n");
    until_on_record(&sandbox);
    let records = std::fs::read_dir(sandbox.path(".local/state/awsdir/profiles")).unwrap();
    let record = records.map(|entry| entry.unwrap().path()).next().unwrap();
    let whole = std::fs::read(&record).unwrap();
    for torn in [&b""[..], &whole[..whole.len() / 2], b"\xff\xfe\n", &whole[..whole.len() - 1]] {
        std::fs::write(&record, torn).unwrap();
        assert_eq!(hook_in_app(&sandbox, sandbox.awsdir(["hook", "bash"])), "eu-west-1");
        assert_eq!(std::fs::read(&record).unwrap(), whole, "and is mended");
    }
}
