//! Programs that nobody here wrote act as their role, and go on past its end: SDKs against our STS, and what stores
//! things in S3 against one that only our role credentials open.
//!
//! `docs/tools.md` shows the outcome; `AWSDIR_WRITE_DOCS=1 cargo test tools` writes it there.

use crate::clients::client;
use crate::exec::HOSTILE;
use crate::identity_center::{Identity, Operation};
use crate::sandbox::{CONFIG, Sandbox, available, expect_in_docs};
use crate::terminal::LIMIT;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
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
        let waited = self.met.1.wait_timeout_while(self.met.0.lock().unwrap(), LIMIT, |met| find(met).is_none());
        let met = waited.unwrap().0;
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
}

// --- past the end of role credentials -----------------------------------------------------------------------

/// How long role credentials live where a backup outlives them, and how many a backup has to.
const LIFETIME: Duration = Duration::from_secs(6);
const EXPIRIES: usize = 6;

/// More than restic may hold back in its packs of 4 MiB: it stores something for each.
const PIECE: usize = 13 << 20;

/// A backup of what is written into it.
struct Backup<'a> {
    world: &'a World,
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
        Self { world, restic, pipe, written: Vec::new() }
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
    }
    backup.go_on("the last part of the backup", Met::is_data);
    let Backup { restic, pipe, written, .. } = backup;
    drop(pipe);
    let output = restic.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", world.sandbox.shown(&output));
    let met = world.store.met();
    assert!(met.iter().all(Met::is_accepted), "{:#?}", met.iter().filter(|met| !met.is_accepted()).collect::<Vec<_>>());
    let keys: BTreeSet<_> = met.iter().filter(|met| met.is_data()).map(|met| &met.access_key_id).collect();
    assert!(keys.len() > EXPIRIES, "{keys:?}");

    world.output(world.run(mode, ["restic", "--no-cache", "check", "--read-data"]));
    let restored = world.output(world.run(mode, ["restic", "--no-cache", "dump", "latest", "/all"]));
    assert!(restored == written, "{} bytes of {}", restored.len(), written.len());
}

#[test]
fn restic_backs_up_past_the_end_of_its_role_credentials() {
    restic_goes_on_past_the_end(Mode::Endpoint);
}

#[test]
fn restic_backs_up_past_the_end_of_its_role_credentials_from_a_process() {
    restic_goes_on_past_the_end(Mode::Process);
}

/// What the two above would look like if nothing were renewed.
#[test]
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
    sdks.map(Answering::end);
}

#[test]
fn sdk_clients_that_live_long_go_on_past_the_end_of_their_role_credentials() {
    sdks_go_on_past_the_end(Mode::Endpoint);
}

#[test]
fn sdk_clients_that_live_long_go_on_past_the_end_of_their_role_credentials_from_a_process() {
    sdks_go_on_past_the_end(Mode::Process);
}
