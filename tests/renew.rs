//! `with-aws --renew`: role credentials for as long as a command runs, by a parent that is not noticed.

use crate::homes::may_mount;
use crate::identity_center::{Fault, Operation};
use crate::races::send;
use crate::sandbox::{CONFIG, ROLE_FILE, Sandbox, available, eventually, from_now, skipped};
use crate::sign_in::sandbox;
use crate::terminal::{self, LIMIT, Terminal};
use insta::assert_snapshot;
use rustix::process::Signal;
use serde_json::Value;
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

/// A sandbox that is signed in.
fn signed_in() -> Sandbox {
    let sandbox = sandbox();
    sandbox.sign_in(|_| {});
    sandbox
}

/// A command that waits until it is let go, and the endpoint that it was given.
pub(crate) struct Waiting {
    child: Child,
    stdin: Option<ChildStdin>,
    port: u16,
    path: String,
    token: String,
}

impl Waiting {
    pub(crate) fn start(sandbox: &Sandbox, options: &str) -> Self {
        const SCRIPT: &str = "echo $AWS_CONTAINER_CREDENTIALS_FULL_URI $AWS_CONTAINER_AUTHORIZATION_TOKEN; read line";
        let mut command = sandbox.with_aws(options.split(' '));
        command.args(["--", "sh", "-c", SCRIPT]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let (uri, token) = line.trim_end().split_once(' ').expect("an endpoint");
        let (port, path) = uri.strip_prefix("http://127.0.0.1:").unwrap().split_once('/').unwrap();
        let (port, path, token) = (port.parse().unwrap(), format!("/{path}"), token.to_owned());
        Self { stdin: child.stdin.take(), child, port, path, token }
    }

    /// Sends a request, and returns the status line, the headers and the body.
    fn ask(&self, request: &str) -> (String, String, String) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{answer:?}"));
        let (status, headers) = head.split_once("\r\n").unwrap();
        (status.to_owned(), headers.to_owned(), body.to_owned())
    }

    fn request(&self) -> String {
        let Self { port, path, token, .. } = self;
        format!(
            "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: {token}\r\nAccept: application/json\r\n\r\n"
        )
    }

    /// The answer that an SDK gets: the status code, and the document.
    pub(crate) fn get(&self) -> (u16, Value) {
        let (status, _, body) = self.ask(&self.request());
        (status.split(' ').nth(1).unwrap().parse().unwrap(), serde_json::from_str(&body).unwrap())
    }

    /// Lets the command go, and returns what was said on stderr.
    pub(crate) fn finish(mut self) -> String {
        drop(self.stdin.take());
        let mut said = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        self.child.wait().unwrap();
        said
    }
}

/// Forgets the role credentials in the cache, so that the next ones live as long as this.
fn with_role_lifetime(sandbox: &Sandbox, lifetime: Duration) {
    sandbox.idc.settings(|settings| settings.role_lifetime = lifetime);
    let _ = std::fs::remove_file(sandbox.path(ROLE_FILE));
}

// --- the endpoint -------------------------------------------------------------------------------------------

#[test]
fn it_answers_as_the_sdks_want_it() {
    let sandbox = signed_in();
    let waiting = Waiting::start(&sandbox, "--renew read-only");
    let (status, headers, body) = waiting.ask(&waiting.request());
    let length = format!("Content-Length: {}", body.len());
    let headers = headers.replace("\r\n", "\n").replace(&length, "Content-Length: [ALL OF IT]");
    assert_snapshot!(sandbox.steady(&format!("{status}\n{headers}\n\n{body}")), @r#"
    HTTP/1.1 200 OK
    Content-Type: application/json
    Content-Length: [ALL OF IT]
    Cache-Control: no-store
    Connection: close

    {"AccessKeyId":"[KEY ID]","SecretAccessKey":"[SECRET]","Token":"[TOKEN]","Expiration":"[TIME]","AccountId":"111111111111"}
    "#);
    assert!(waiting.token.len() >= 43, "256 bits");
    assert_eq!(waiting.finish(), "");
}

#[test]
fn others_get_nothing() {
    let sandbox = signed_in();
    let waiting = Waiting::start(&sandbox, "--renew read-only");
    let Waiting { port, path, token, .. } = &waiting;
    let request = waiting.request();
    let mut shown = String::new();
    for asked in [
        request.replace(&format!("Authorization: {token}\r\n"), ""),
        request.replace(token, &token.replace(|c: char| c.is_ascii_alphabetic(), "x")),
        request.replace(&format!("127.0.0.1:{port}"), "rebound.example"),
        request.replace(path, "/"),
        request.replace("GET", "POST"),
        request.replace("GET", "HEAD"),
    ] {
        let (status, _, body) = waiting.ask(&asked);
        let _ = writeln!(shown, "{status} {body}");
    }
    assert_snapshot!(shown, @r#"
    HTTP/1.1 401 Unauthorized {"Code":"Unauthorized","Message":"`Authorization` is not the token of this endpoint"}
    HTTP/1.1 401 Unauthorized {"Code":"Unauthorized","Message":"`Authorization` is not the token of this endpoint"}
    HTTP/1.1 403 Forbidden {"Code":"Forbidden","Message":"`Host` is not this endpoint"}
    HTTP/1.1 404 Not Found {"Code":"NotFound","Message":"there is nothing here"}
    HTTP/1.1 405 Method Not Allowed {"Code":"MethodNotAllowed","Message":"only GET"}
    HTTP/1.1 405 Method Not Allowed {"Code":"MethodNotAllowed","Message":"only GET"}
    "#);
    // Who says nothing keeps nobody from being answered.
    let silent: Vec<TcpStream> = (0..600).map(|_| TcpStream::connect(("127.0.0.1", *port)).unwrap()).collect();
    assert_eq!(waiting.get().0, 200);
    drop(silent);
    for elsewhere in ["127.0.0.2", "::1"] {
        assert!(TcpStream::connect((elsewhere, *port)).is_err(), "{elsewhere}");
    }
    waiting.finish();
}

#[test]
fn two_wrappers_know_nothing_of_each_other() {
    let sandbox = signed_in();
    let [one, other] = ["read-only", "prod-admin"].map(|name| Waiting::start(&sandbox, &format!("--renew {name}")));
    assert_ne!(one.token, other.token);
    let (status, _, _) = other.ask(&other.request().replace(&other.token, &one.token));
    assert_eq!(status, "HTTP/1.1 401 Unauthorized");
    assert_eq!(one.get().1["AccountId"], "111111111111");
    assert_eq!(other.get().1["AccountId"], "222222222222");
}

/// With `AWSDIR_SHOW_FIGURES` set the longest answer is said.
#[test]
fn fifty_readers_are_answered_at_once_during_a_renewal_and_it_is_one() {
    let sandbox = signed_in();
    with_role_lifetime(&sandbox, Duration::from_secs(10));
    let waiting = Waiting::start(&sandbox, "--renew read-only");
    let first = waiting.get().1;
    sandbox.idc.clear_requests();
    sandbox.idc.inject(Operation::GetRoleCredentials, Fault::Delay(Duration::from_secs(2)), 1);
    assert!(sandbox.idc.wait_for(Operation::GetRoleCredentials, 1, LIMIT), "half-way");
    let longest = std::thread::scope(|scope| {
        let reader = || {
            let mut longest = Duration::ZERO;
            while sandbox.idc.issued_credentials().len() < 2 {
                let began = Instant::now();
                let (status, document) = waiting.get();
                longest = longest.max(began.elapsed());
                // The newer ones may be here by now.
                let newer = sandbox.idc.issued_credentials().len() == 2;
                assert!(status == 200 && (document == first || newer), "{document}");
            }
            longest
        };
        let readers: Vec<_> = (0..50).map(|_| scope.spawn(reader)).collect();
        readers.into_iter().map(|reader| reader.join().unwrap()).max().unwrap()
    });
    eventually("the newer ones", || waiting.get().1["AccessKeyId"] != first["AccessKeyId"]);
    assert_eq!(sandbox.idc.count(Operation::GetRoleCredentials), 1, "one renewal");
    assert!(longest < Duration::from_secs(1), "{longest:?}");
    if std::env::var_os("AWSDIR_SHOW_FIGURES").is_some() {
        let status = std::fs::read_to_string(format!("/proc/{}/status", waiting.child.id())).unwrap();
        let memory = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
        eprintln!("\nlongest answer {longest:?}, parent {memory}");
    }
    waiting.finish();
}

#[test]
fn newer_ones_come_before_the_old_ones_end() {
    let sandbox = signed_in();
    with_role_lifetime(&sandbox, Duration::from_secs(8));
    let waiting = Waiting::start(&sandbox, "--renew read-only");
    eventually("four renewals", || {
        let (status, document) = waiting.get();
        let end = document["Expiration"].as_str().map(str::to_owned);
        assert!(status == 200 && end.is_some_and(|end| end > from_now(0)), "{document}");
        sandbox.idc.count(Operation::GetRoleCredentials) >= 5
    });
    assert_eq!(waiting.finish(), "", "and nothing is said");
}

#[test]
fn with_nothing_unexpired_the_reader_is_told_why_and_what_comes_back_is_handed_out() {
    let sandbox = signed_in();
    with_role_lifetime(&sandbox, Duration::from_secs(16));
    let waiting = Waiting::start(&sandbox, "--renew read-only");
    sandbox.idc.hang_up();
    eventually("the end", || waiting.get().0 == 503);
    let began = Instant::now();
    let (status, document) = waiting.get();
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    assert_eq!(status, 503);
    assert_snapshot!(sandbox.plain(&document.to_string()), @r#"{"Code":"RoleCredentialsExpired","Message":"could not reach `[ENDPOINT]`"}"#);
    sandbox.idc.listen_again();
    let retried = Instant::now();
    eventually("the network", || waiting.get().0 == 200);
    assert!(retried.elapsed() < Duration::from_secs(20), "{:?}", retried.elapsed());
    assert_snapshot!(sandbox.steady(&waiting.finish()), @"awsdir: could not renew the role credentials of `read-only`, which last until [TIME] (could not reach `[ENDPOINT]`); trying again");
}

#[test]
fn throttling_is_honoured() {
    let sandbox = signed_in();
    with_role_lifetime(&sandbox, Duration::from_secs(20));
    let waiting = Waiting::start(&sandbox, "--renew read-only");
    let first = waiting.get().1;
    sandbox.idc.clear_requests();
    let throttle = Fault::Throttle { retry_after: Some(3) };
    sandbox.idc.inject(Operation::GetRoleCredentials, throttle, 1);
    assert!(sandbox.idc.wait_for(Operation::GetRoleCredentials, 1, LIMIT));
    let throttled = Instant::now();
    assert!(sandbox.idc.wait_for(Operation::GetRoleCredentials, 2, LIMIT));
    assert!(throttled.elapsed() >= Duration::from_secs(3), "{:?}", throttled.elapsed());
    eventually("the newer ones", || waiting.get().1 != first);
    assert_eq!(waiting.finish(), "");
}

// --- a person is needed -------------------------------------------------------------------------------------

#[test]
fn a_sign_in_that_is_needed_is_asked_for_once_and_picked_up() {
    let sandbox = signed_in();
    with_role_lifetime(&sandbox, Duration::from_secs(16));
    let waiting = Waiting::start(&sandbox, "--renew read-only");
    // The session ends, as it does after hours.
    sandbox.idc.revoke_sessions();
    sandbox.idc.revoke_access_tokens();
    eventually("the refusal", || sandbox.asked().contains("CreateToken(refresh_token) 400"));
    assert_eq!(waiting.get().0, 200, "those in hand are good");
    eventually("the end", || waiting.get().0 == 503);
    let (_, document) = waiting.get();
    let opened = sandbox.idc.browser_opens().len();
    let login = terminal::run(&mut sandbox.awsdir(["login", "read-only"]));
    assert!(login.status.success(), "{}", login.text());
    eventually("the sign-in", || waiting.get().0 == 200);
    assert_eq!(sandbox.idc.browser_opens().len(), opened + 1, "by the person alone");
    assert_snapshot!(sandbox.steady(&format!("{document}\n{}", waiting.finish())), @r#"
    {"Code":"RoleCredentialsExpired","Message":"the session `corp` is stale; run in another terminal: awsdir login read-only"}
    awsdir: could not renew the role credentials of `read-only`, which last until [TIME] (the session `corp` is stale; run in another terminal: awsdir login read-only)
    "#);
}

#[test]
fn a_permission_set_that_was_taken_away_is_named() {
    let sandbox = signed_in();
    with_role_lifetime(&sandbox, Duration::from_secs(12));
    let waiting = Waiting::start(&sandbox, "--renew read-only");
    sandbox.idc.unassign("111111111111", "ReadOnly");
    eventually("the end", || waiting.get().0 == 503);
    assert_snapshot!(sandbox.steady(&waiting.finish()), @"awsdir: could not renew the role credentials of `read-only`, which last until [TIME] (permission set `ReadOnly` in account 111111111111 is not granted to you (No access)); trying again");
}

// --- what the command finds ---------------------------------------------------------------------------------

/// The variables of AWS and its kin that the command gets, sorted; ports and tokens by words.
fn variables(sandbox: &Sandbox, options: &str) -> String {
    let output = sandbox.with_aws(options.split(' ')).args(["--", "env", "-0"]).output().unwrap();
    assert!(output.status.success(), "{}", sandbox.shown(&output));
    let text = String::from_utf8(output.stdout).unwrap();
    let ours = |name: &str| ["AWS", "BOTO", "MINIO"].iter().any(|prefix| name.starts_with(prefix));
    let is_ours = |name: &str| ours(name) || name.eq_ignore_ascii_case("no_proxy");
    let mut shown: Vec<String> = Vec::new();
    for (name, value) in text.split('\0').filter_map(|variable| variable.split_once('=')) {
        if !is_ours(name) || name.starts_with("AWS_ENDPOINT_URL") {
            continue;
        }
        let value = match name {
            "AWS_CONTAINER_AUTHORIZATION_TOKEN" => "[TOKEN]".to_owned(),
            "AWS_CONTAINER_CREDENTIALS_FULL_URI" => {
                let path =
                    value.strip_prefix("http://127.0.0.1:").unwrap().trim_start_matches(|c: char| c.is_numeric());
                format!("http://127.0.0.1:[PORT]{path}")
            }
            _ => sandbox.steady(value),
        };
        shown.push(format!("{name}={value}"));
    }
    shown.sort_unstable();
    shown.join("\n")
}

const DEFAULTS: &str = "[default]\nregion = ap-south-1\nsso_session = corp\nsso_account_id = 222222222222\n\
                        sso_role_name = Admin\ns3 =\n  max_concurrent_requests = 3\n\n";
const KEYS: &str = "[default]\naws_access_key_id = AKIADEFAULT\naws_secret_access_key = default\n\n\
                    [other]\naws_access_key_id = AKIAOTHER\naws_secret_access_key = other\n";

#[test]
fn nothing_stands_in_for_what_shadows_nothing() {
    let sandbox = signed_in();
    assert_snapshot!(variables(&sandbox, "--renew read-only"), @"
    AWSDIR=1 [UID] [ID] eu-west-1 read-only
    AWS_CONTAINER_AUTHORIZATION_TOKEN=[TOKEN]
    AWS_CONTAINER_CREDENTIALS_FULL_URI=http://127.0.0.1:[PORT]/role-credentials
    AWS_DEFAULT_REGION=eu-west-1
    AWS_EC2_METADATA_DISABLED=true
    AWS_REGION=eu-west-1
    AWS_SSO_PROFILE=read-only
    ");
    assert_eq!(sandbox.names(".local/state/awsdir/commands").len(), 0);
}

#[test]
fn what_would_come_before_the_endpoint_is_put_aside() {
    let mut sandbox = signed_in();
    for name in crate::exec::HOSTILE {
        sandbox.set(name, "hostile");
    }
    for name in ["MINIO_ACCESS_KEY", "MINIO_SECRET_KEY", "MINIO_ROOT_USER", "MINIO_ROOT_PASSWORD"] {
        sandbox.set(name, "hostile");
    }
    sandbox.set("HTTPS_PROXY", "http://127.0.0.1:1");
    assert!(!variables(&sandbox, "--renew read-only").contains("proxy"), "not of https alone");
    sandbox.set("HTTP_PROXY", "http://127.0.0.1:1");
    sandbox.set("NO_PROXY", "intern");
    sandbox.write(".aws/config", format!("{DEFAULTS}{CONFIG}"));
    sandbox.write(".aws/credentials", KEYS);
    sandbox.write(".boto", "[Credentials]\naws_access_key_id = AKIABOTO\n");
    sandbox.write(".mc/config.json", "{}");
    assert_snapshot!(variables(&sandbox, "--renew read-only"), @"
    AWSDIR=1 [UID] [ID] eu-west-1 read-only
    AWS_CONFIG_FILE=[HOME]/.local/state/awsdir/commands/[ID]/config
    AWS_CONTAINER_AUTHORIZATION_TOKEN=[TOKEN]
    AWS_CONTAINER_CREDENTIALS_FULL_URI=http://127.0.0.1:[PORT]/role-credentials
    AWS_DEFAULT_REGION=eu-west-1
    AWS_EC2_METADATA_DISABLED=true
    AWS_REGION=eu-west-1
    AWS_SHARED_CREDENTIALS_FILE=[HOME]/.local/state/awsdir/commands/[ID]/credentials
    AWS_SSO_PROFILE=read-only
    BOTO_CONFIG=/dev/null
    MINIO_SHARED_CREDENTIALS_FILE=/dev/null
    NO_PROXY=intern,127.0.0.1
    no_proxy=intern,127.0.0.1
    ");

    let files = "cd ${AWS_CONFIG_FILE%/*}; stat -c '%a %n' . *; cat config | head -6; cat credentials; cd; pwd";
    let output = sandbox.with_aws(["--renew", "read-only", "--", "sh", "-c", files]).output().unwrap();
    assert_snapshot!(sandbox.shown(&output), @"
    700 .
    600 config
    777 config.awsdir-original
    600 credentials
    777 credentials.awsdir-original
    600 lock
    [default]
    region = ap-south-1
    s3 =
      max_concurrent_requests = 3

    [sso-session corp]
    [default]

    [other]
    aws_access_key_id = AKIAOTHER
    aws_secret_access_key = other
    [HOME]
    ");
    // The user's own are as they were, and where awsdir looks even there.
    assert_eq!(
        (sandbox.read(".aws/config"), sandbox.read(".aws/credentials")),
        (format!("{DEFAULTS}{CONFIG}"), KEYS.into())
    );
    let inside = [env!("CARGO_BIN_EXE_awsdir"), "credential-process", "default"];
    let output = sandbox.with_aws(["--renew", "read-only", "--"]).args(inside).output().unwrap();
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["AccountId"], "222222222222");
    assert_eq!(sandbox.names(".local/state/awsdir/commands"), [""; 0], "gone with the command");
}

#[test]
fn a_program_that_reads_only_files_gets_one_with_a_process() {
    let mut sandbox = signed_in();
    assert_snapshot!(variables(&sandbox, "--credentials process read-only"), @"
    AWSDIR=1 [UID] [ID] eu-west-1 read-only
    AWS_DEFAULT_REGION=eu-west-1
    AWS_EC2_METADATA_DISABLED=true
    AWS_REGION=eu-west-1
    AWS_SDK_LOAD_CONFIG=1
    AWS_SHARED_CREDENTIALS_FILE=[HOME]/.local/state/awsdir/commands/[ID]/credentials
    AWS_SSO_PROFILE=read-only
    ");
    let files = "stat -c '%a' $AWS_SHARED_CREDENTIALS_FILE; cat $AWS_SHARED_CREDENTIALS_FILE";
    let shown = |sandbox: &Sandbox, profile: &str| {
        let output = sandbox.with_aws(["--credentials", "process", profile, "--", "sh", "-c", files]).output().unwrap();
        sandbox.steady(&sandbox.shown(&output))
    };
    assert_snapshot!(shown(&sandbox, "read-only"), @"
    600
    [default]
    credential_process = [AWSDIR] credential-process read-only
    ");
    sandbox.write(".aws/config", format!("{DEFAULTS}{CONFIG}"));
    sandbox.write(".aws/credentials", KEYS);
    assert_snapshot!(shown(&sandbox, "default"), @"
    600
    [default]
    credential_process = [AWSDIR] credential-process default

    [other]
    aws_access_key_id = AKIAOTHER
    aws_secret_access_key = other
    ");
    // The process that stands there runs, and finds what the command must not.
    let run = "eval \"$(sed -n 's/^credential_process = //p' $AWS_SHARED_CREDENTIALS_FILE)\"";
    sandbox.set("AWS_ACCESS_KEY_ID", "AKIAHOSTILE");
    let output = sandbox.with_aws(["--credentials", "process", "default", "--", "sh", "-c", run]).output().unwrap();
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["AccountId"], "222222222222");
}

/// minio-go splits at blanks.
#[test]
fn a_path_with_blanks_does_not_keep_a_process_from_being_found() {
    let sandbox = signed_in();
    let tools = sandbox.path("my tools");
    std::fs::create_dir(&tools).unwrap();
    for program in [env!("CARGO_BIN_EXE_awsdir"), env!("CARGO_BIN_EXE_with-aws")] {
        let there = tools.join(Path::new(program).file_name().unwrap());
        // Where that is another file system they are copied.
        std::fs::hard_link(program, &there).or_else(|_| std::fs::copy(program, &there).map(drop)).unwrap();
    }
    let script =
        "sed -n 's/^credential_process = //p' $AWS_SHARED_CREDENTIALS_FILE | tee line | xargs env; echo; cat line";
    let mut command = sandbox.command(tools.join("with-aws"));
    let output = command.args(["--credentials", "process", "read-only", "--", "sh", "-c", script]).output().unwrap();
    let (document, line) = output.stdout.split_at(output.stdout.iter().position(|byte| *byte == b'\n').unwrap());
    assert_eq!(serde_json::from_slice::<Value>(document).unwrap()["AccountId"], "111111111111");
    let line = sandbox.steady(&String::from_utf8_lossy(line));
    assert_eq!(line.trim(), "[HOME]/.local/state/awsdir/commands/[ID]/awsdir credential-process read-only");
}

#[test]
fn what_a_killed_wrapper_has_left_goes_with_the_next_one() {
    let sandbox = signed_in();
    let folder = ".local/state/awsdir/commands";
    let start = || {
        let mut command =
            sandbox.with_aws(["--credentials", "process", "read-only", "--", "sh", "-c", "echo on; read x"]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        child.stdout.as_mut().unwrap().read_exact(&mut [0; 3]).unwrap();
        child
    };
    let mut killed = start();
    killed.kill().unwrap();
    killed.wait().unwrap();
    let [left] = sandbox.names(folder).try_into().unwrap();
    let mut alive = start();
    let old = std::time::SystemTime::now() - Duration::from_mins(2);
    for name in sandbox.names(folder) {
        std::fs::File::open(sandbox.path(folder).join(name)).unwrap().set_modified(old).unwrap();
    }
    let mut next = start();
    let names = sandbox.names(folder);
    assert!(names.len() == 2 && !names.contains(&left), "{names:?}, without {left}");
    for child in [&mut alive, &mut next] {
        drop(child.stdin.take());
        child.wait().unwrap();
    }
    assert_eq!(sandbox.names(folder), [""; 0]);
}

#[test]
fn what_cannot_be_renewed_is_at_least_new() {
    let sandbox = signed_in();
    sandbox.get_role(|_| {});
    let exported = variables(&sandbox, "--renew --credentials env read-only");
    assert!(exported.contains("AWS_ACCESS_KEY_ID=[KEY ID]") && !exported.contains("CONTAINER"), "{exported}");
    assert_eq!(sandbox.asked(), "GetRoleCredentials");
}

#[test]
fn min_ttl_and_region_hold_here_too() {
    let sandbox = signed_in();
    sandbox.get_role(|role| role["Credentials"]["Expiration"] = from_now(30 * 60).into());
    assert!(variables(&sandbox, "--renew --region us-west-2 read-only").contains("AWS_REGION=us-west-2"));
    assert_eq!(sandbox.asked(), "", "half an hour is enough");
    variables(&sandbox, "--renew --min-ttl 40m read-only");
    assert_eq!(sandbox.asked(), "GetRoleCredentials");
    sandbox.get_role(|role| role["Credentials"]["Expiration"] = from_now(15 * 60).into());
    variables(&sandbox, "--renew read-only");
    assert_eq!(sandbox.asked(), "GetRoleCredentials", "before botocore would ask for newer ones");
}

#[test]
fn a_nested_wrapper_replaces_the_outer_one() {
    let sandbox = signed_in();
    let with_aws = env!("CARGO_BIN_EXE_with-aws");
    let own = "[other]\naws_access_key_id = AKIAOTHER\naws_secret_access_key = other\n";
    for (keys, outer, inner) in [
        (KEYS, "--renew", "--renew"),
        (KEYS, "--credentials=process", "--renew"),
        (own, "--credentials=process", "--renew"),
        (own, "--credentials=process", "--credentials=process"),
        (KEYS, "--renew", "--login=auto"),
    ] {
        sandbox.write(".aws/credentials", keys);
        let script = "env; cat \"${AWS_SHARED_CREDENTIALS_FILE-/dev/null}\"";
        let line = [outer, "read-only", "--", with_aws, inner, "prod-admin", "--", "sh", "-c", script];
        let output = sandbox.with_aws(line).output().unwrap();
        let text = sandbox.shown(&output);
        let count = |start: &str| text.lines().filter(|line| line.starts_with(start)).count();
        assert_eq!(count("AWS_SSO_PROFILE=prod-admin"), 1, "{text}");
        let delivered =
            ["AWS_ACCESS_KEY_ID=", "AWS_CONTAINER_CREDENTIALS_FULL_URI=", "credential_process = "].map(count);
        let expected = match inner {
            "--renew" => [0, 1, 0],
            "--credentials=process" => [0, 0, 1],
            _ => [1, 0, 0],
        };
        assert_eq!(delivered, expected, "{outer} {inner}: {text}");
        assert!(!text.contains("credential-process read-only"), "{outer} {inner}: {text}");
    }
}

#[test]
fn in_an_active_directory_it_is_the_command_s_own_role() {
    let sandbox = signed_in();
    let project = sandbox.allowed_project("work", "prod-admin");
    let script = format!(
        "eval \"$('{}' init bash)\"; cd work; echo \"here $AWS_PROFILE\"; exec '{}' --renew read-only -- bash -ic 'cd; cd work; \
         env | grep -E \"^AWS_(PROFILE|SSO_PROFILE|REGION|ACCESS|CONT.*URI)\" | sort; awsdir_prompt'",
        env!("CARGO_BIN_EXE_awsdir"),
        env!("CARGO_BIN_EXE_with-aws")
    );
    sandbox.write(".bashrc", format!("eval \"$('{}' init bash)\"\n", env!("CARGO_BIN_EXE_awsdir")));
    assert!(project.exists());
    let shown = sandbox.at_terminal(sandbox.command("bash").args(["--norc", "-ic", &script]));
    let shown: String =
        shown.lines().map(|line| line.split(':').take(2).collect::<Vec<_>>().join(":") + "\n").collect();
    assert_snapshot!(shown, @"
    here prod-admin
    AWS_CONTAINER_CREDENTIALS_FULL_URI=http://127.0.0.1
    AWS_REGION=eu-west-1
    AWS_SSO_PROFILE=read-only
    read-only
    ");
}

// --- the parent ---------------------------------------------------------------------------------------------

/// A command under `--renew`, its streams caught.
fn start(sandbox: &Sandbox, script: &str) -> Child {
    let mut command = sandbox.with_aws(["--renew", "read-only", "--", "bash", "-c", script]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn line(child: &mut Child) -> String {
    let mut line = Vec::new();
    let stdout = child.stdout.as_mut().unwrap();
    while line.last() != Some(&b'\n') {
        let mut byte = [0];
        stdout.read_exact(&mut byte).unwrap();
        line.extend(byte);
    }
    String::from_utf8(line).unwrap().trim_end().to_owned()
}

#[test]
fn the_exit_status_is_the_commands() {
    let sandbox = signed_in();
    sandbox.get_role(|_| {});
    for code in [0, 1, 3, 125, 127, 255] {
        assert_eq!(start(&sandbox, &format!("exit {code}")).wait().unwrap().code(), Some(code));
    }
    for (signal, code) in [("TERM", 143), ("KILL", 137), ("INT", 130), ("SEGV", 139)] {
        assert_eq!(start(&sandbox, &format!("kill -{signal} $$")).wait().unwrap().code(), Some(code), "{signal}");
    }
    sandbox.write("broken", "#!/nowhere\n");
    let path = sandbox.path("broken");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&path, mode).unwrap();
    let output = sandbox.with_aws(["--renew", "read-only", "--"]).arg(&path).output().unwrap();
    assert_eq!(output.status.code(), Some(126), "{}", sandbox.shown(&output));
}

#[test]
fn each_signal_is_passed_on_once() {
    let sandbox = signed_in();
    sandbox.get_role(|_| {});
    let signals = [
        (Signal::INT, "INT"),
        (Signal::TERM, "TERM"),
        (Signal::HUP, "HUP"),
        (Signal::QUIT, "QUIT"),
        (Signal::WINCH, "WINCH"),
        (Signal::USR1, "USR1"),
        (Signal::USR2, "USR2"),
    ];
    let traps = signals.map(|(_, name)| format!("trap 'echo {name}' {name}; ")).concat();
    let mut child =
        start(&sandbox, &format!("{traps} trap 'echo end; exit 7' ALRM; echo $$; while :; do read -t 60; done"));
    let pid = line(&mut child);
    for (signal, name) in signals {
        send(signal, &child);
        assert_eq!(line(&mut child), name);
    }
    Command::new("kill").args(["-ALRM", &pid]).status().unwrap();
    assert_eq!(line(&mut child), "end", "none of them twice");
    assert_eq!(child.wait().unwrap().code(), Some(7));
}

#[test]
fn a_signal_to_the_whole_group_by_the_command_itself_is_not_passed_on() {
    let sandbox = signed_in();
    sandbox.get_role(|_| {});
    let script = "trap 'echo got' USR1; kill -USR1 0; kill -ALRM $$";
    let script = format!("trap 'echo end; exit' ALRM; {script}");
    let mut command = sandbox.command("setsid");
    command.args(["-w", env!("CARGO_BIN_EXE_with-aws"), "--renew", "read-only", "--", "bash", "-c", &script]);
    assert_eq!(sandbox.transcript(&mut command), "got\nend\n");
}

#[test]
fn the_streams_are_the_commands_own() {
    let sandbox = signed_in();
    sandbox.get_role(|_| {});
    let mut child = start(&sandbox, "cat; echo err >&2");
    let bytes: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    let mut stdin = child.stdin.take().unwrap();
    let sent = std::thread::spawn({
        let bytes = bytes.clone();
        move || stdin.write_all(&bytes).unwrap()
    });
    let output = child.wait_with_output().unwrap();
    sent.join().unwrap();
    assert_eq!((output.stdout, output.stderr), (bytes, b"err\n".to_vec()));
}

#[test]
fn the_end_of_the_command_ends_the_parent_even_in_the_middle_of_a_renewal() {
    let sandbox = signed_in();
    with_role_lifetime(&sandbox, Duration::from_secs(6));
    let mut child = start(&sandbox, "echo on; read line; exit 5");
    assert_eq!(line(&mut child), "on");
    sandbox.idc.clear_requests();
    sandbox.idc.inject(Operation::GetRoleCredentials, Fault::Delay(Duration::from_secs(5)), 1);
    assert!(sandbox.idc.wait_for(Operation::GetRoleCredentials, 1, LIMIT));
    drop(child.stdin.take());
    let began = Instant::now();
    assert_eq!(child.wait().unwrap().code(), Some(5));
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    // What was under way is written down all the same.
    let issued = || sandbox.idc.issued_credentials();
    eventually("the newer ones in the cache", || {
        issued().len() == 2 && sandbox.read(ROLE_FILE).contains(&issued()[1].access_key_id)
    });
}

#[test]
fn a_killed_parent_takes_the_endpoint_along_and_nothing_else() {
    let sandbox = signed_in();
    let mut waiting = Waiting::start(&sandbox, "--renew read-only");
    assert_eq!(waiting.get().0, 200);
    waiting.child.kill().unwrap();
    waiting.child.wait().unwrap();
    assert!(TcpStream::connect(("127.0.0.1", waiting.port)).is_err());
    // The command is there, and reads on until its input ends.
    waiting.stdin.as_mut().unwrap().write_all(b"still").unwrap();
}

#[test]
fn ctrl_c_reaches_the_command_once_and_ends_the_line() {
    let sandbox = signed_in();
    sandbox.get_role(|_| {});
    let with_aws = env!("CARGO_BIN_EXE_with-aws");
    let count = "n=0; trap 'n=$((n+1)); echo ${n}x' INT; trap 'exit 3' QUIT; echo ready; while :; do read -t 60; done";
    let mut terminal = Terminal::spawn(&mut sandbox.with_aws(["--renew", "read-only", "--", "bash", "-c", count]));
    terminal.wait_for("ready");
    for n in 1..4 {
        terminal.send("\x03");
        terminal.wait_for(&format!("{n}x"));
    }
    terminal.send("\x1c");
    let ran = terminal.wait();
    assert_eq!((ran.status.code(), ran.text().contains("4x")), (Some(3), false));

    // A shell that is just starting a program may lose a signal; one that reads does not.
    let line =
        format!("for i in 1 2; do {with_aws} --renew read-only -- sh -c 'echo round $0; read x' $i; done; echo after");
    let mut shell = Terminal::spawn(sandbox.command("bash").args(["--norc", "-i"]));
    shell.send(format!("PS1='> '; {line}\r"));
    shell.wait_for("round 1\r");
    shell.send("\x03");
    shell.wait_for("> ");
    shell.send("echo $?\r");
    shell.wait_for("130\r");
    let screen = shell.screen();
    assert!(!screen.contains("round 2\r") && !screen.contains("after\r\n>"), "{screen}");
}

/// Ctrl-Z, `fg`, `bg` and pipelines as in a shell without us.
#[test]
fn job_control_is_the_shells_own() {
    for shell in ["bash", "zsh", "fish"] {
        if !available(shell) {
            continue;
        }
        let sandbox = signed_in();
        with_role_lifetime(&sandbox, Duration::from_secs(6));
        let mut command = sandbox.command(shell);
        match shell {
            "bash" => command.args(["--norc", "--noprofile", "-i"]),
            "zsh" => command.args(["-f", "-i"]),
            _ => command.args(["--no-config", "-i"]),
        };
        let mut terminal = Terminal::spawn(&mut command);
        let with_aws = env!("CARGO_BIN_EXE_with-aws");
        let script = sandbox
            .write("job", "echo on; while read line; do echo \"got $line\"; [ \"$line\" = end ] && exit 0; done\n");
        terminal.send(format!("{with_aws} --renew read-only -- sh {} | cat\r", script.display()));
        terminal.wait_for("on\r");
        terminal.send("one\r");
        terminal.wait_for("got one");
        terminal.send("\x1a");
        terminal.wait_for(if shell == "zsh" { "suspended" } else { "topped" });
        terminal.send("echo at the prompt\r");
        terminal.wait_for("at the prompt\r");
        // Time passes, and those in hand with it.
        let asked = sandbox.idc.count(Operation::GetRoleCredentials);
        terminal.send("fg\r");
        // The shell says what it is.
        terminal.wait_for("with-aws --renew");
        terminal.send("two\r");
        terminal.wait_for("got two");
        assert!(sandbox.idc.wait_for(Operation::GetRoleCredentials, asked + 1, LIMIT), "{shell}: it goes on renewing");
        terminal.send("end\r");
        terminal.wait_for("got end");
        terminal.send("echo back\r");
        terminal.wait_for("back\r");
    }
}

#[test]
fn a_command_that_does_without_ctrl_z_is_renewed_on() {
    let sandbox = signed_in();
    with_role_lifetime(&sandbox, Duration::from_secs(4));
    let script = "trap '' TSTP; echo on; read line; echo got $line";
    let mut terminal = Terminal::spawn(&mut sandbox.with_aws(["--renew", "read-only", "--", "bash", "-c", script]));
    terminal.wait_for("on");
    terminal.send("\x1a");
    let asked = sandbox.idc.count(Operation::GetRoleCredentials);
    assert!(sandbox.idc.wait_for(Operation::GetRoleCredentials, asked + 2, LIMIT));
    terminal.send("x\r");
    terminal.wait_for("got x");
    assert!(terminal.wait().status.success());
}

#[test]
fn a_closed_terminal_hangs_up_the_command() {
    let sandbox = signed_in();
    sandbox.get_role(|_| {});
    let script = "trap 'echo hung up >hung; exit' HUP; echo on; while :; do read -t 60; done";
    let mut terminal = Terminal::spawn(&mut sandbox.with_aws(["--renew", "read-only", "--", "bash", "-c", script]));
    terminal.wait_for("on");
    terminal.hang_up();
    eventually("the command's own end", || sandbox.path("hung").exists());
}

// --- in ordinary use ----------------------------------------------------------------------------------------

#[test]
fn from_cron_it_asks_nobody() {
    let sandbox = sandbox();
    let run = || {
        sandbox.transcript(sandbox.command("setsid").args([
            "-w",
            env!("CARGO_BIN_EXE_with-aws"),
            "--renew",
            "read-only",
            "--",
            "echo",
            "ran",
        ]))
    };
    assert_snapshot!(run(), @"
    -- stderr --
    awsdir: sign-in needed: the session `corp` of profile `read-only` is stale (no terminal)
    hint: awsdir login read-only
    -- exit status: 125 --
    ");
    sandbox.sign_in(|_| {});
    assert_eq!(run(), "ran\n");
}

/// As from systemd, which sets no HOME.
#[test]
fn without_home_it_stands_in_the_user_database() {
    if !may_mount() {
        return;
    }
    let sandbox = signed_in();
    sandbox.write(".aws/credentials", KEYS);
    let script = r#"
mount --bind "$HOME" "$(getent passwd 0 | cut -d: -f6)" || exit 99
unset HOME
"$@""#;
    let mut command = sandbox.command("unshare");
    command.args(["-rm", "sh", "-c", script, "sh", env!("CARGO_BIN_EXE_with-aws"), "--renew", "read-only", "--"]);
    command.args(["sh", "-c", "echo ${HOME-none}; tail -n +3 $AWS_SHARED_CREDENTIALS_FILE"]);
    assert_snapshot!(sandbox.transcript(&mut command), @"
    none
    [other]
    aws_access_key_id = AKIAOTHER
    aws_secret_access_key = other
    ");
}

/// As under sudo that keeps HOME.
#[test]
fn what_root_writes_in_somebodys_home_is_theirs() {
    if !rustix::process::geteuid().is_root() {
        skipped("only root can be somebody else");
        return;
    }
    let sandbox = signed_in();
    std::fs::remove_dir_all(sandbox.path(".local")).unwrap();
    assert!(Command::new("chown").args(["-R", "65533:65533"]).arg(sandbox.home()).status().unwrap().success());
    sandbox.write(".aws/credentials", "");
    let output = sandbox.with_aws(["--credentials", "process", "read-only", "--", "true"]).output().unwrap();
    assert!(output.status.success(), "{}", sandbox.shown(&output));
    let everything = sandbox.path(".local");
    let find = Command::new("find").arg(everything).args(["!", "-user", "65533"]).output().unwrap();
    assert_eq!(String::from_utf8(find.stdout).unwrap(), "");
    let made = sandbox.path(ROLE_FILE).metadata().unwrap();
    assert_eq!(std::os::unix::fs::MetadataExt::uid(&made), 65_533);
}
