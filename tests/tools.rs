//! Programs that nobody here wrote act as their role, and go on past its end: SDKs against our STS, and what stores
//! things in S3 against one that only our role credentials open.
//!
//! `docs/tools.md` shows the outcome; `AWSDIR_WRITE_DOCS=1 cargo test tools` writes it there.

use crate::clients::client;
use crate::exec::HOSTILE;
use crate::identity_center::{Fault, Identity, Operation};
use crate::sandbox::{CONFIG, Sandbox, available, eventually, expect_in_docs, from_now, skipped};
use crate::terminal::LIMIT;
use crate::tls::Https;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Output, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, SystemTime};

/// How a command is given its role credentials.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Env,
    Endpoint,
    Process,
}

const MODES: [Mode; 3] = [Mode::Env, Mode::Endpoint, Mode::Process];

impl Mode {
    fn options(self) -> &'static [&'static str] {
        match self {
            Self::Env => &[],
            Self::Endpoint => &["--renew"],
            Self::Process => &["--renew", "--credentials", "process"],
        }
    }
}

// --- the store ----------------------------------------------------------------------------------------------

/// What became of a request to the store.
#[derive(Clone, Debug)]
struct Met {
    /// `accepted`, or the code with which it was refused.
    outcome: String,
    access_key_id: String,
    /// Method and path.
    what: String,
}

impl Met {
    fn is_accepted(&self) -> bool {
        self.outcome == "accepted"
    }

    /// Whether it has stored a part of what restic backs up.
    fn is_data(&self) -> bool {
        self.is_accepted() && self.what.starts_with("PUT /repo/data/")
    }
}

/// `tests/clients/s3_server.py`, running.
struct Store {
    url: String,
    met: Arc<(Mutex<Vec<Met>>, Condvar)>,
    server: Child,
}

impl Store {
    fn start(sandbox: &Sandbox, python: PathBuf) -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/s3_server.py");
        let mut command = sandbox.command(python);
        command.args([script, &sandbox.idc.endpoint()]).stdout(Stdio::piped());
        let mut server = command.spawn().unwrap();
        let mut lines = BufReader::new(server.stdout.take().unwrap()).lines().map_while(Result::ok);
        let url = lines.next().expect("the store's URL");
        let met = Arc::<(Mutex<Vec<Met>>, Condvar)>::default();
        let shared = Arc::clone(&met);
        std::thread::spawn(move || {
            for line in lines {
                let mut words = line.splitn(3, ' ').map(str::to_owned);
                let mut word = || words.next().expect("outcome, key, request");
                shared.0.lock().unwrap().push(Met { outcome: word(), access_key_id: word(), what: word() });
                shared.1.notify_all();
            }
        });
        Self { url, met, server }
    }

    /// What it has met so far.
    fn met(&self) -> Vec<Met> {
        self.met.0.lock().unwrap().clone()
    }

    /// Waits for a request, past the first `after`, of which `wanted` holds.
    fn wait_for(&self, what: &str, after: usize, wanted: impl Fn(&Met) -> bool) -> Met {
        let find = |met: &[Met]| met[after..].iter().find(|met| wanted(met)).cloned();
        let found = self.met.1.wait_timeout_while(self.met.0.lock().unwrap(), LIMIT, |met| find(met).is_none());
        let met = found.unwrap().0;
        find(&met).unwrap_or_else(|| panic!("waited in vain for {what}; since then: {:#?}", &met[after..]))
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.server.kill().ok();
        self.server.wait().ok();
    }
}

/// A sandbox with a store, signed in.
struct World {
    sandbox: Sandbox,
    store: Store,
}

impl World {
    fn new() -> Option<Self> {
        let python = client("venv/bin/python")?;
        let mut sandbox = Sandbox::new();
        let store = Store::start(&sandbox, python);
        for (name, value) in [
            ("AWS_PAGER", ""),
            ("NODE_NO_WARNINGS", "1"),
            ("AWS_ENDPOINT_URL_S3", &store.url),
            ("RESTIC_REPOSITORY", &format!("s3:{}/repo", store.url)),
            ("RESTIC_PASSWORD", "secret"),
        ] {
            sandbox.set(name, value);
        }
        sandbox.sign_in(|_| {});
        Some(Self { sandbox, store })
    }

    fn with_role_lifetime(lifetime: Duration) -> Option<Self> {
        let world = Self::new()?;
        world.sandbox.idc.settings(|settings| settings.role_lifetime = lifetime);
        Some(world)
    }

    fn run<W: Into<OsString>>(&self, mode: Mode, words: impl IntoIterator<Item = W>) -> Command {
        let mut command = self.sandbox.with_aws(mode.options());
        command.args(["read-only", "--"]).args(words.into_iter().map(Into::into));
        command
    }

    /// What a command prints that does not fail.
    fn output(&self, mut command: Command) -> Vec<u8> {
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", self.sandbox.shown(&output));
        output.stdout
    }

    fn wait_for_end_of(&self, access_key_id: &str) {
        let issued = self.sandbox.idc.issued_credentials();
        let issued = issued.iter().find(|issued| issued.access_key_id == access_key_id).expect("issued here");
        // Nothing but the clock says that it has come.
        std::thread::sleep(issued.expires.duration_since(SystemTime::now()).unwrap_or_default());
    }
}

/// The code with which boto3 is refused by the store, for each set of credentials that comes as JSON in the argument.
const ASK_STORE: &str = "
import sys, json, boto3
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError
for keys in json.loads(sys.argv[1]):
    config = Config(signature_version=UNSIGNED) if keys is None else None
    store = boto3.client('s3', config=config, **keys or {})
    try:
        store.put_object(Bucket='bucket', Key='a b/+~', Body=b'content')
        print('accepted', len(store.list_objects_v2(Bucket='bucket', Prefix='a b/')['Contents']))
    except ClientError as error:
        print(error.response['Error']['Code'])
";

#[test]
fn the_store_opens_for_role_credentials_in_force_alone() {
    let Some(world) = World::with_role_lifetime(Duration::from_secs(3)) else { return };
    let python = client("venv/bin/python").unwrap();
    let who = ["-c".into(), ASK_STORE.to_owned()];
    let ask = |keys: &str| {
        let mut command = world.run(Mode::Env, [python.to_str().unwrap()]);
        command.args(&who).arg(keys);
        String::from_utf8(world.output(command)).unwrap()
    };
    assert_eq!(ask("[{}]"), "accepted 1\n");
    let old = world.sandbox.idc.issued_credentials().pop().unwrap();
    world.wait_for_end_of(&old.access_key_id);
    world.sandbox.idc.settings(|settings| settings.role_lifetime = Duration::from_mins(10));
    ask("[{}]");
    let new = world.sandbox.idc.issued_credentials().pop().unwrap();
    let keys = |id: &str, secret: &str, token: &str| serde_json::json!({ "aws_access_key_id": id, "aws_secret_access_key": secret, "aws_session_token": token });
    let answers = ask(&serde_json::json!([
        keys(&new.access_key_id, &new.secret_access_key, &new.session_token),
        keys(&old.access_key_id, &old.secret_access_key, &old.session_token),
        keys(&old.access_key_id, &new.secret_access_key, &old.session_token),
        keys(&new.access_key_id, "another", &new.session_token),
        keys(&new.access_key_id, &new.secret_access_key, &old.session_token),
        keys("ASIAFOREIGN", &new.secret_access_key, &new.session_token),
        null,
    ])
    .to_string());
    insta::assert_snapshot!(answers, @"
    accepted 1
    ExpiredToken
    SignatureDoesNotMatch
    SignatureDoesNotMatch
    InvalidToken
    InvalidAccessKeyId
    AccessDenied
    ");
    let asked = world.sandbox.idc.requests();
    assert!(asked.iter().all(|request| request.operation == Operation::GetRoleCredentials), "{asked:?}");
}

// --- past the end of role credentials -----------------------------------------------------------------------

/// How long role credentials live where a backup outlives them, and how many a backup has to.
const LIFETIME: Duration = Duration::from_secs(5);
const EXPIRIES: usize = 5;

/// More than restic may hold back in its packs of 4 MiB: it stores something for each.
const PIECE: usize = 13 << 20;

/// A backup of what is written into it.
struct Backup<'a> {
    world: &'a World,
    mode: Mode,
    restic: Child,
    pipe: ChildStdin,
    written: Vec<u8>,
}

impl<'a> Backup<'a> {
    fn start(world: &'a World, mode: Mode) -> Self {
        world.output(world.run(Mode::Env, ["restic", "--quiet", "init"]));
        let words = ["restic", "--no-cache", "backup", "--stdin", "--stdin-filename", "all", "--pack-size", "4"];
        let mut command = world.run(mode, words);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut restic = command.spawn().unwrap();
        let pipe = restic.stdin.take().unwrap();
        Self { world, mode, restic, pipe, written: Vec::new() }
    }

    /// Writes one more piece, and waits until `wanted` has come of it.
    fn go_on(&mut self, what: &str, wanted: impl Fn(&Met) -> bool) -> Met {
        let before = self.world.store.met().len();
        let mut piece = vec![0; PIECE];
        getrandom::fill(&mut piece).unwrap();
        self.pipe.write_all(&piece).unwrap();
        self.written.extend(piece);
        self.world.store.wait_for(what, before, wanted)
    }

    /// Ends it, and restores all of it; what was said.
    fn end(self) -> String {
        let Self { world, mode, restic, pipe, written } = self;
        drop(pipe);
        let output = restic.wait_with_output().unwrap();
        let said = world.sandbox.shown(&output);
        assert!(output.status.success(), "{said}");
        world.output(world.run(mode, ["restic", "--no-cache", "check", "--read-data"]));
        let restored = world.output(world.run(mode, ["restic", "--no-cache", "dump", "latest", "/all"]));
        assert!(restored == written, "{} bytes of {}", restored.len(), written.len());
        said
    }
}

fn restic_goes_on_past_the_end(mode: Mode) {
    let Some(world) = World::with_role_lifetime(LIFETIME) else { return };
    if !available("restic") {
        return;
    }
    let mut backup = Backup::start(&world, mode);
    for _ in 0..EXPIRIES {
        let met = backup.go_on("a part of the backup", Met::is_data);
        world.wait_for_end_of(&met.access_key_id);
        // A busy machine may take its time to store what comes next.
        let left = || world.sandbox.idc.issued_credentials().pop()?.expires.duration_since(SystemTime::now()).ok();
        eventually("new role credentials", || left().is_some_and(|left| left > LIFETIME * 3 / 4));
    }
    backup.go_on("the last part of the backup", Met::is_data);
    backup.end();
    let met = world.store.met();
    assert!(met.iter().all(Met::is_accepted), "{:#?}", met.iter().filter(|met| !met.is_accepted()).collect::<Vec<_>>());
    let keys: BTreeSet<_> = met.iter().filter(|met| met.is_data()).map(|met| &met.access_key_id).collect();
    assert!(keys.len() > EXPIRIES, "{keys:?}");
}

/// What it would look like if nothing were renewed.
fn restic_without_renewal_comes_to_its_end() {
    let Some(world) = World::with_role_lifetime(LIFETIME) else { return };
    if !available("restic") {
        return;
    }
    let mut backup = Backup::start(&world, Mode::Env);
    let met = backup.go_on("a part of the backup", Met::is_data);
    world.wait_for_end_of(&met.access_key_id);
    let before = world.store.met().len();
    let refused = backup.go_on("a refusal", |met| !met.is_accepted());
    assert_eq!(refused.outcome, "ExpiredToken");
    assert!(!world.store.met()[before..].iter().any(Met::is_data));
    // It would try again for a quarter of an hour.
    backup.restic.kill().unwrap();
    backup.restic.wait().unwrap();
}

/// It asks on without credentials, and for credentials each time.
fn restic_goes_on_when_a_person_has_signed_in() {
    let Some(world) = World::with_role_lifetime(LIFETIME) else { return };
    if !available("restic") {
        return;
    }
    let mut backup = Backup::start(&world, Mode::Endpoint);
    let met = backup.go_on("a part of the backup", Met::is_data);
    world.sandbox.idc.revoke_sessions();
    world.sandbox.edit_token(|token| token["expiresAt"] = from_now(-60).into());
    // The next ones may be here already.
    world.wait_for_end_of(&met.access_key_id);
    world.wait_for_end_of(&world.sandbox.idc.issued_credentials().pop().unwrap().access_key_id);
    let refused = backup.go_on("a refusal", |met| !met.is_accepted());
    assert_eq!(refused.outcome, "AccessDenied");
    let before = world.store.met().len();
    world.sandbox.sign_in(|_| {});
    world.store.wait_for("the rest of the backup", before, Met::is_data);
    let said = backup.end();
    assert!(said.contains("awsdir login"), "{said}");
}

/// Most of it is waiting, so they do it together.
#[test]
fn restic_backs_up_past_the_end_of_its_role_credentials_where_they_are_renewed() {
    std::thread::scope(|scope| {
        scope.spawn(|| restic_goes_on_past_the_end(Mode::Endpoint));
        scope.spawn(|| restic_goes_on_past_the_end(Mode::Process));
        scope.spawn(restic_goes_on_when_a_person_has_signed_in);
        scope.spawn(restic_without_renewal_comes_to_its_end);
    });
}

/// Asks STS, by one client for all questions, for each line that comes: the access key id, and whose it is.
const BOTO3: &str = "
import sys, boto3
session = boto3.Session()
sts = session.client('sts')
for line in sys.stdin:
    arn = sts.get_caller_identity()['Arn']
    print(session.get_credentials().access_key, arn, flush=True)
";

fn javascript() -> Option<String> {
    let packages = client("js/node_modules/@aws-sdk")?;
    let packages = packages.to_str().unwrap();
    Some(format!(
        "
const {{ STSClient, GetCallerIdentityCommand }} = require('{packages}/client-sts');
const {{ fromNodeProviderChain }} = require('{packages}/credential-providers');
const sts = new STSClient({{ credentials: fromNodeProviderChain() }});
(async () => {{
  for await (const line of require('readline').createInterface({{ input: process.stdin }})) {{
    const {{ Arn }} = await sts.send(new GetCallerIdentityCommand({{}}));
    console.log((await sts.config.credentials()).accessKeyId, Arn);
  }}
}})();
"
    ))
}

/// A program that answers a line with a line.
struct Answering {
    process: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl Answering {
    fn start(mut command: Command) -> Self {
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (stdin, stdout) = (process.stdin.take().unwrap(), BufReader::new(process.stdout.take().unwrap()));
        Self { process, stdin, stdout }
    }

    /// The access key id with which it works, and as whom.
    fn ask(&mut self) -> (String, String) {
        self.stdin.write_all(b"\n").unwrap();
        let mut answer = String::new();
        self.stdout.read_line(&mut answer).unwrap();
        let (key, arn) = answer.trim_end().split_once(' ').unwrap_or_else(|| panic!("it has ended: {answer}"));
        (key.to_owned(), arn.to_owned())
    }

    fn end(mut self) {
        drop(self.stdin);
        assert!(self.process.wait().unwrap().success());
        self.stdout.read_to_end(&mut Vec::new()).unwrap();
    }
}

fn sdks_go_on_past_the_end(mode: Mode) {
    let Some(world) = World::with_role_lifetime(Duration::from_secs(4)) else { return };
    let (Some(python), Some(javascript)) = (client("venv/bin/python"), javascript()) else { return };
    let mut sdks = [[python.to_str().unwrap(), "-c", BOTO3], ["node", "-e", &javascript]]
        .map(|words| Answering::start(world.run(mode, words)));
    let mut keys = BTreeSet::new();
    for _ in 0..3 {
        let answers = sdks.each_mut().map(Answering::ask);
        for (key, arn) in answers {
            assert!(arn.starts_with("arn:aws:sts::111111111111:assumed-role/AWSReservedSSO_ReadOnly_"), "{arn}");
            world.wait_for_end_of(&key);
            keys.insert(key);
        }
    }
    assert!(keys.len() >= 3, "{keys:?}");
    for sdk in sdks {
        sdk.end();
    }
}

#[test]
fn sdk_clients_that_live_long_go_on_past_the_end_of_their_role_credentials() {
    std::thread::scope(|scope| {
        for mode in [Mode::Endpoint, Mode::Process] {
            scope.spawn(move || sdks_go_on_past_the_end(mode));
        }
    });
}

// --- who acts as its role, and by what -----------------------------------------------------------------------

const RUST_SDK: &str = "tools::the_sdk_for_rust_as_a_program_of_its_own";

/// Not a test: this program, run again, as one that knows nothing but the SDK's own chain of providers.
#[test]
fn the_sdk_for_rust_as_a_program_of_its_own() {
    if std::env::var_os("AWSDIR_RUST_SDK").is_none() {
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let config = aws_config::defaults(aws_config::BehaviorVersion::latest())
            .http_client(aws_smithy_http_client::Builder::new().build_http());
        aws_sdk_sts::Client::new(&config.load().await).get_caller_identity().send().await.unwrap();
    });
}

const TERRAFORM: &str = r#"
terraform {
  backend "s3" {
    bucket = "bucket"
    key    = "state"

    use_path_style              = true
    skip_credentials_validation = true
    skip_metadata_api_check     = true
    skip_region_validation      = true
    skip_requesting_account_id  = true
    skip_s3_checksum            = true
  }
}
resource "terraform_data" "example" {
  input = "hello"
}
"#;

/// A program, and what it is to do: ask who it is, or use the store.
struct Tool {
    name: &'static str,
    words: Vec<String>,
}

/// Those that are here.
fn tools() -> Option<Vec<Tool>> {
    let path = |name: &str| client(name).map(|path| path.to_str().unwrap().to_owned());
    let tool = |name, words: &[&str]| Tool { name, words: words.iter().map(|&word| word.to_owned()).collect() };
    let itself = std::env::current_exe().unwrap();
    if !available("restic") || !available("rclone") {
        return None;
    }
    Some(vec![
        tool("AWS CLI v2", &[&path("aws")?, "sts", "get-caller-identity"]),
        tool("boto3 (Python)", &["sh", "-c", "echo | \"$@\"", "sh", &path("venv/bin/python")?, "-c", BOTO3]),
        tool("AWS SDK for Rust", &["env", "AWSDIR_RUST_SDK=1", itself.to_str()?, "--exact", RUST_SDK]),
        tool("AWS SDK for JavaScript v3", &["sh", "-c", "echo | node -e \"$1\"", "sh", &javascript()?]),
        tool(
            "terraform, S3 backend (SDK for Go v2)",
            &["sh", "-ec", "cd terraform; \"$1\" init; \"$1\" apply -auto-approve", "sh", &path("terraform")?],
        ),
        tool("rclone (SDK for Go v1)", &["rclone", "copy", "terraform/main.tf", "store:bucket"]),
        tool("restic (minio-go)", &["restic", "--no-cache", "init"]),
    ])
}

/// Everything that could come before the role credentials, wherever one of the tools looks.
fn full_of_shadows(mode: Mode) -> Option<World> {
    let mut world = World::new()?;
    let sandbox = &mut world.sandbox;
    for name in HOSTILE {
        sandbox.set(name, "hostile");
    }
    for name in ["MINIO_ACCESS_KEY", "MINIO_SECRET_KEY", "MINIO_ROOT_USER", "MINIO_ROOT_PASSWORD"] {
        sandbox.set(name, "hostile");
    }
    let keys = "[default]\naws_access_key_id = AKIAHOSTILE\naws_secret_access_key = hostile\n";
    sandbox.write(".aws/credentials", keys);
    sandbox.write(".aws/config", format!("{keys}{CONFIG}"));
    sandbox.write(".boto", keys.replace("default", "Credentials"));
    let alias =
        serde_json::json!({ "url": world.store.url, "accessKey": "hostile", "secretKey": "hostile", "api": "S3v4" });
    let minio = serde_json::json!({ "version": "10", "aliases": { "s3": alias }, "hosts": { "s3": alias } });
    sandbox.write(".mc/config.json", minio.to_string());
    // Without an endpoint of ours there is nothing to be kept from it.
    if mode == Mode::Endpoint {
        // awsdir itself goes through the proxy.
        sandbox.get_role(|_| {});
        for name in ["HTTP_PROXY", "http_proxy"] {
            sandbox.set(name, "http://127.0.0.1:1");
        }
    }
    for (name, value) in [
        ("RCLONE_CONFIG_STORE_TYPE", "s3"),
        ("RCLONE_CONFIG_STORE_PROVIDER", "Other"),
        ("RCLONE_CONFIG_STORE_ENV_AUTH", "true"),
        ("RCLONE_CONFIG_STORE_REGION", "eu-west-1"),
        ("RCLONE_CONFIG_STORE_ENDPOINT", &world.store.url),
        ("CHECKPOINT_DISABLE", "1"),
    ] {
        sandbox.set(name, value);
    }
    sandbox.write("terraform/main.tf", TERRAFORM);
    Some(world)
}

impl World {
    /// Whether a tool does its work as the role; if not, as whom, or how it is refused; and what it says.
    fn outcome(&self, mode: Mode, tool: &Tool, before: &[&str]) -> (String, Output) {
        let idc = &self.sandbox.idc;
        idc.clear_requests();
        let stored_before = self.store.met().len();
        let output =
            self.run(mode, before.iter().copied().chain(tool.words.iter().map(String::as_str))).output().unwrap();
        let role = |key: &str| match idc.caller_of(key) {
            Some(Identity { account, role_name, .. }) => format!("{role_name} in {account}"),
            None => key.to_owned(),
        };
        let stored = self.store.met().split_off(stored_before).into_iter();
        let stored = stored.map(|met| if met.is_accepted() { role(&met.access_key_id) } else { met.outcome });
        let asked = idc.requests().into_iter().filter(|request| request.operation == Operation::GetCallerIdentity);
        let asked = asked.map(|request| {
            let credential = request.header("authorization").split("Credential=").nth(1).unwrap_or_default();
            role(credential.split('/').next().unwrap_or_default())
        });
        let actors: BTreeSet<String> = stored.chain(asked).collect();
        if output.status.success() && actors.iter().eq(["ReadOnly in 111111111111"]) {
            return ("yes".to_owned(), output);
        }
        let actors: Vec<_> = actors.into_iter().collect();
        (format!("no ({})", if actors.is_empty() { "no request".to_owned() } else { actors.join(", ") }), output)
    }
}

#[test]
fn which_tool_acts_as_its_role_by_what_is_in_the_documentation() {
    let Some(tools) = tools() else { return };
    let outcomes = std::thread::scope(|scope| {
        let tools = &tools;
        let of = |mode| {
            scope.spawn(move || {
                let world = full_of_shadows(mode)?;
                let of_tool = |tool| {
                    let (outcome, output) = world.outcome(mode, tool, &[]);
                    if outcome != "yes" {
                        eprintln!("{} {:?}: {outcome}: {}", tool.name, mode.options(), world.sandbox.shown(&output));
                    }
                    outcome
                };
                Some(tools.iter().map(of_tool).collect::<Vec<_>>())
            })
        };
        MODES.map(of).map(|outcomes| outcomes.join().unwrap())
    });
    let [Some(env), Some(endpoint), Some(process)] = outcomes else { return };
    let mut table = "| | `env` | `endpoint` | `process` |\n| --- | --- | --- | --- |\n".to_owned();
    for (index, Tool { name, .. }) in tools.iter().enumerate() {
        writeln!(table, "| {name} | {} | {} | {} |", env[index], endpoint[index], process[index]).unwrap();
    }
    expect_in_docs("tools", "tools", &table);
}

/// The shadows are there: without what `with-aws` puts in their place they come first.
#[test]
fn what_is_put_aside_would_come_before_the_role() {
    let (Some(tools), Some(world)) = (tools(), full_of_shadows(Mode::Endpoint)) else { return };
    let undo =
        ["env", "-u", "AWS_CONFIG_FILE", "-u", "AWS_SHARED_CREDENTIALS_FILE", "-u", "MINIO_SHARED_CREDENTIALS_FILE"];
    for (name, outcome) in [
        ("boto3 (Python)", "no (AKIAHOSTILE)"),
        ("AWS SDK for Rust", "no (AKIAHOSTILE)"),
        ("restic (minio-go)", "no (InvalidAccessKeyId)"),
    ] {
        let tool = tools.iter().find(|tool| tool.name == name).unwrap();
        assert_eq!(world.outcome(Mode::Endpoint, tool, &undo).0, outcome, "{name}");
    }
}

const KUBECONFIG: &str = r#"
apiVersion: v1
kind: Config
current-context: example
clusters: [{name: example, cluster: {server: "[URL]", insecure-skip-tls-verify: true}}]
contexts: [{name: example, context: {cluster: example, user: example}}]
users:
- name: example
  user:
    exec:
      apiVersion: client.authentication.k8s.io/v1beta1
      command: "[AWS]"
      args: [eks, get-token, --cluster-name, example]
      interactiveMode: Never
"#;

/// As EKS has it: a signed request for who the caller is, in base64.
#[test]
fn kubectl_comes_with_a_token_of_the_role() {
    let Some(aws) = client("aws") else { return };
    if Command::new("kubectl").arg("help").output().is_err() {
        return skipped("kubectl is not installed");
    }
    std::thread::scope(|scope| {
        let come = |mode| {
            let world = full_of_shadows(mode)?;
            let idc = &world.sandbox.idc;
            let cluster = Https::untrusted(&idc.endpoint());
            world
                .sandbox
                .write(".kube/config", KUBECONFIG.replace("[URL]", &cluster.url).replace("[AWS]", aws.to_str()?));
            let done = Fault::Status { code: 200, headers: Vec::new(), body: "{}".to_owned() };
            idc.inject(Operation::Unknown, done, 9);
            world.output(world.run(mode, ["kubectl", "get", "--raw", "/api"]));
            let request = idc.requests().into_iter().find(|request| request.path == "/api")?;
            let token = request.header("authorization").strip_prefix("Bearer k8s-aws-v1.")?;
            let url = String::from_utf8(URL_SAFE_NO_PAD.decode(token).ok()?).ok()?;
            let key = url.split("X-Amz-Credential=").nth(1)?.split('%').next()?;
            Some(idc.caller_of(key)?.arn())
        };
        for arn in MODES.map(|mode| scope.spawn(move || come(mode))) {
            let arn = arn.join().unwrap().expect("a token");
            assert!(arn.starts_with("arn:aws:sts::111111111111:assumed-role/AWSReservedSSO_ReadOnly_"), "{arn}");
        }
    });
}

// --- env files ----------------------------------------------------------------------------------------------

/// Whoever gets them from a file reads them as docker does, or as compose does.
#[test]
fn an_env_file_is_read_as_it_was_written() {
    let sandbox = Sandbox::new();
    sandbox.sign_in(|_| {});
    let exported = sandbox.awsdir(["export", "read-only", "--format", "env-no-export"]).output().unwrap().stdout;
    sandbox.write("aws.env", &exported);
    let issued = sandbox.idc.issued_credentials().pop().unwrap();
    let secrets = [
        format!("AWS_SECRET_ACCESS_KEY={}", issued.secret_access_key),
        format!("AWS_SESSION_TOKEN={}", issued.session_token),
    ];
    // It takes no daemon for docker to read the file, and to send what it has read.
    if Command::new("docker").arg("--version").output().is_ok() {
        let mut docker = sandbox.command("docker");
        docker.args(["create", "--pull", "never", "--env-file", "aws.env", "image"]);
        docker.env("DOCKER_HOST", sandbox.idc.endpoint().replace("http:", "tcp:")).env("DOCKER_API_VERSION", "1.41");
        docker.output().unwrap();
        let request = sandbox.idc.requests().into_iter().find(|request| request.path.ends_with("/containers/create"));
        let environment = request.expect("a container to be created").list("Env");
        assert_eq!(environment.join("\n") + "\n", String::from_utf8_lossy(&exported));
        assert!(secrets.iter().all(|secret| environment.contains(secret)), "{environment:?}");
    } else {
        // Debian has it with all of its daemon alone.
        skipped("docker is not installed");
    }
    if available("docker-compose") {
        sandbox.write("docker-compose.yml", "services: {job: {image: image, env_file: aws.env}}\n");
        let shown = sandbox.transcript(sandbox.command("docker-compose").arg("config"));
        let read: Vec<_> = shown.lines().map(|line| line.trim().replacen(": ", "=", 1).replace('\'', "")).collect();
        assert!(secrets.iter().all(|secret| read.contains(secret)), "{shown}");
    }
}
