//! A world of its own for every test: a temporary HOME, a cleared environment, a loopback Identity Center.

use crate::identity_center::IdentityCenter;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The config that most tests start from: an sso-session with three profiles, a legacy profile, a foreign one.
pub(crate) const CONFIG: &str = "\
[sso-session corp]
sso_start_url = https://awsdir-sandbox.awsapps.com/start
sso_region = us-east-1
sso_registration_scopes = sso:account:access

[profile read-only]
sso_session = corp
sso_account_id = 111111111111
sso_role_name = ReadOnly
region = eu-west-1

[profile prod-admin]
sso_session = corp
sso_account_id = 222222222222
sso_role_name = Admin
region = us-east-1

[profile no-region]
sso_session = corp
sso_account_id = 012345678901
sso_role_name = ReadOnly

[profile legacy]
sso_start_url = https://awsdir-sandbox.awsapps.com/start
sso_region = us-east-1
sso_account_id = 222222222222
sso_role_name = ReadOnly
region = eu-west-1

[profile static]
aws_access_key_id = AKIAEXAMPLE
aws_secret_access_key = example
region = ap-south-1
";

/// SHA-1 of `corp`: the token's cache file.
pub(crate) const TOKEN_FILE: &str = ".aws/sso/cache/ee0bfd2552fbd840c02cc48b6e823320543c450f.json";

/// SHA-1 of `{"accountId":"111111111111","roleName":"ReadOnly","sessionName":"corp"}`: the role credentials' cache
/// file of `read-only`.
pub(crate) const ROLE_FILE: &str = ".aws/cli/cache/e83cab308910340ce11a566ebf0b9e96b40f6c39.json";

pub(crate) struct Sandbox {
    root: tempfile::TempDir,
    pub(crate) idc: IdentityCenter,
    browser: PathBuf,
    environment: Vec<(OsString, OsString)>,
}

impl Sandbox {
    pub(crate) fn new() -> Self {
        let root = tempfile::Builder::new().prefix("awsdir-test-").tempdir().unwrap();
        let idc = IdentityCenter::start();
        let browser = idc.browser_script(root.path());
        let sandbox = Self { root, idc, browser, environment: Vec::new() };
        std::fs::create_dir(sandbox.home()).unwrap();
        sandbox.write(".aws/config", CONFIG);
        sandbox
    }

    /// The temporary HOME, its symlinks resolved.
    pub(crate) fn home(&self) -> PathBuf {
        self.root.path().canonicalize().unwrap().join("home")
    }

    pub(crate) fn path(&self, inside_home: impl AsRef<Path>) -> PathBuf {
        self.home().join(inside_home)
    }

    /// Writes a file in the HOME, making its folders.
    pub(crate) fn write(&self, inside_home: impl AsRef<Path>, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(inside_home);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        path
    }

    pub(crate) fn read(&self, inside_home: impl AsRef<Path>) -> String {
        std::fs::read_to_string(self.path(inside_home)).unwrap()
    }

    pub(crate) fn read_json(&self, inside_home: impl AsRef<Path>) -> Value {
        serde_json::from_str(&self.read(inside_home)).unwrap()
    }

    /// A project directory with a dotfile, not yet allowed.
    pub(crate) fn project(&self, name: &str, dotfile: impl AsRef<[u8]>) -> PathBuf {
        self.write(Path::new(name).join(".awsprofile"), dotfile);
        self.path(name)
    }

    /// A project directory whose dotfile is allowed.
    pub(crate) fn allowed_project(&self, name: &str, dotfile: impl AsRef<[u8]>) -> PathBuf {
        let path = self.project(name, dotfile);
        let output = self.awsdir(["allow".as_ref(), path.as_os_str()]).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        path
    }

    /// Sets a variable for everything that runs in this sandbox from now on.
    pub(crate) fn set(&mut self, name: &str, value: impl AsRef<OsStr>) {
        self.environment.push((name.into(), value.as_ref().to_owned()));
    }

    /// The environment of the sandbox, whole.
    pub(crate) fn environment(&self) -> Vec<(OsString, OsString)> {
        let endpoint = self.idc.endpoint();
        let mut all: Vec<(OsString, OsString)> = [
            ("LANG", "C.UTF-8"),
            ("TERM", "xterm-256color"),
            ("AWS_ENDPOINT_URL_SSO", &endpoint),
            ("AWS_ENDPOINT_URL_SSO_OIDC", &endpoint),
            ("AWS_ENDPOINT_URL_STS", &endpoint),
            ("AWS_EC2_METADATA_DISABLED", "true"),
        ]
        .into_iter()
        .map(|(name, value)| (name.into(), value.into()))
        .collect();
        all.push(("HOME".into(), self.home().into()));
        all.push(("BROWSER".into(), self.browser.clone().into()));
        all.push(("PATH".into(), std::env::var_os("PATH").unwrap()));
        all.extend(self.environment.iter().cloned());
        all
    }

    /// A program in the sandbox: nothing inherited but the PATH, the HOME as directory, no terminal.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command.env_clear().envs(self.environment()).current_dir(self.home()).stdin(Stdio::null());
        command
    }

    /// `awsdir` with these arguments.
    pub(crate) fn awsdir<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Command {
        let mut command = self.command(env!("CARGO_BIN_EXE_awsdir"));
        command.args(arguments);
        command
    }

    /// `with-aws` with these arguments.
    pub(crate) fn with_aws<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Command {
        let mut command = self.command(env!("CARGO_BIN_EXE_with-aws"));
        command.args(arguments);
        command
    }

    /// Runs a command and writes down all of it, for whole-output snapshots: stdout, stderr, exit status.
    #[must_use]
    pub(crate) fn transcript(&self, command: &mut Command) -> String {
        self.shown(&command.output().unwrap())
    }

    pub(crate) fn shown(&self, output: &Output) -> String {
        let mut text = self.plain(&String::from_utf8_lossy(&output.stdout));
        if !output.stderr.is_empty() {
            let _ = write!(text, "-- stderr --\n{}", self.plain(&String::from_utf8_lossy(&output.stderr)));
        }
        if output.status.code() != Some(0) {
            let _ = writeln!(text, "-- {} --", output.status);
        }
        text
    }

    /// A text with this run's paths and endpoint replaced by words.
    pub(crate) fn plain(&self, text: &str) -> String {
        text.replace(self.home().to_str().unwrap(), "[HOME]").replace(&self.idc.endpoint(), "[ENDPOINT]")
    }

    /// [`Sandbox::plain`], and what differs from run to run replaced too: times, ids, what was issued.
    pub(crate) fn steady(&self, text: &str) -> String {
        let mut text = self.plain(text).replace(env!("CARGO_BIN_EXE_awsdir"), "[AWSDIR]");
        for issued in self.idc.issued_credentials() {
            text = text.replace(&issued.access_key_id, "[KEY ID]").replace(&issued.secret_access_key, "[SECRET]");
            if !issued.session_token.is_empty() {
                text = text.replace(&issued.session_token, "[TOKEN]");
            }
        }
        let uid = rustix::process::getuid().as_raw();
        without_times(&text).replace(&format!("1 {uid} [ID] "), "1 [UID] [ID] ")
    }

    /// Role credentials of `read-only` in the cache, and none of them known to the Identity Center.
    pub(crate) fn plant_role_credentials(&self, expires_at: &str) {
        let credentials = json!({
            "AccessKeyId": "ASIAPLANTED", "SecretAccessKey": "planted+secret", "SessionToken": "planted/token==",
            "Expiration": expires_at, "AccountId": "111111111111",
        });
        self.write(ROLE_FILE, json!({ "ProviderType": "sso", "Credentials": credentials }).to_string());
    }

    /// A token of the session `corp` in the cache that the Identity Center does not know.
    pub(crate) fn plant_token(&self, expires_at: &str, renewable: bool) {
        let mut token = json!({
            "startUrl": IdentityCenter::START_URL, "region": "us-east-1", "accessToken": "planted-access-token",
            "expiresAt": expires_at, "clientId": "planted", "clientSecret": "planted-client-secret",
            "registrationExpiresAt": "2090-01-01T00:00:00Z",
        });
        if renewable {
            token["refreshToken"] = "planted-refresh-token".into();
        }
        self.write(TOKEN_FILE, token.to_string());
    }

    /// Puts a token of the session `corp` into the cache as the AWS CLI writes it, valid at the Identity Center, by
    /// signing in. `edit` may then age it or take fields away.
    pub(crate) fn sign_in(&self, edit: impl FnOnce(&mut Value)) {
        let output = crate::terminal::run(&mut self.awsdir(["login", "--session", "corp"]));
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.screen));
        self.edit_token(edit);
        self.idc.clear_requests();
    }

    pub(crate) fn edit_token(&self, edit: impl FnOnce(&mut Value)) {
        let mut token = self.read_json(TOKEN_FILE);
        edit(&mut token);
        self.write(TOKEN_FILE, token.to_string());
    }
}

/// The moment `seconds` from now (or ago, negative) as the caches write it.
pub(crate) fn from_now(seconds: i64) -> String {
    let now = SystemTime::now();
    let at = if seconds < 0 {
        now - Duration::from_secs(seconds.unsigned_abs())
    } else {
        now + Duration::from_secs(seconds.unsigned_abs())
    };
    let at = i64::try_from(at.duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap();
    let format = time::macros::format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z");
    time::OffsetDateTime::from_unix_timestamp(at).unwrap().format(&format).unwrap()
}

/// Waits until `done`, and says what for if that never comes.
pub(crate) fn eventually(what: &str, done: impl Fn() -> bool) {
    let deadline = Instant::now() + crate::terminal::LIMIT;
    while !done() {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        // A file and another program's state send no event that could be awaited.
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A text with its moments, spans of time and random ids replaced by words.
fn without_times(text: &str) -> String {
    let in_word = |c: char| c.is_ascii_alphanumeric() || "-:+<".contains(c);
    let mut steady = String::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        let (word, after) = rest.split_at(rest.find(|c| !in_word(c)).unwrap_or(rest.len()));
        let seconds = steady.trim_end().ends_with("\"seconds_left\":") && !matches!(word, "0" | "null");
        steady.push_str(if seconds { "[SECONDS]" } else { kind_of(word) });
        let (between, next) = after.split_at(after.find(in_word).unwrap_or(after.len()));
        steady.push_str(between);
        rest = next;
    }
    steady
}

fn kind_of(word: &str) -> &str {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    let left = |minutes: &str| minutes.split_once('h').map_or(digits(minutes), |(h, m)| digits(h) && digits(m));
    match word {
        "<1m" => "[LEFT]",
        _ if word.len() >= 20 && word[4..].starts_with('-') && word[10..].starts_with('T') => "[TIME]",
        _ if matches!(word.len(), 16 | 32 | 64) && word.bytes().all(hex) => "[ID]",
        _ if word.len() == 10 && digits(word) => "[EPOCH]",
        _ if word.strip_suffix('m').is_some_and(left) => "[LEFT]",
        _ => word,
    }
}

/// Whether `program` can be run here. Where it is missing the test is skipped, visibly; in CI that is a failure.
pub(crate) fn available(program: &str) -> bool {
    let found = Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
    if !found {
        assert!(std::env::var_os("AWSDIR_REQUIRE_SHELLS").is_none(), "{program} is not installed");
        skipped(&format!("{program} is not installed"));
    }
    found
}

fn is_temporary(path: &Path) -> bool {
    path.file_name().unwrap().as_encoded_bytes().starts_with(b".")
}

/// Whether strace may trace; containers may forbid it.
pub(crate) fn may_trace() -> bool {
    let traced = Command::new("strace").args(["-o", "/dev/null", "true"]).output().unwrap().status.success();
    if !traced {
        assert!(std::env::var_os("AWSDIR_REQUIRE_SHELLS").is_none(), "strace may not trace here");
        skipped("strace may not trace here");
    }
    traced
}

/// Whether strace may look into awsdir, which keeps debuggers out: only root's come in.
pub(crate) fn may_trace_awsdir() -> bool {
    let is_root = rustix::process::geteuid().is_root();
    if !is_root {
        skipped("only root can trace a process that keeps debuggers out");
    }
    is_root && available("strace") && may_trace()
}

/// What was said and asked, with words for what differs from run to run.
impl Sandbox {
    /// [`Sandbox::steady`], and the queries of URLs, user codes, process, request and error numbers replaced too.
    pub(crate) fn scrubbed(&self, text: &str) -> String {
        let mut before = String::new();
        let mut word = |word: &str| {
            let shown = match (before.as_str(), word.split_once('?')) {
                (_, Some((url, _))) if url.ends_with("/authorize") => format!("{url}?[QUERY]"),
                (_, Some((url, _))) if url.ends_with("/device") => format!("{url}?[CODE]"),
                ("code", _) if word.len() == 9 => "[CODE]".to_owned(),
                ("process", _) => "[PID]".to_owned(),
                ("id", _) if word.len() == 33 => "[ID])".to_owned(),
                ("error", _) if word.ends_with(')') => "[ERRNO])".to_owned(),
                _ => word.to_owned(),
            };
            word.clone_into(&mut before);
            shown
        };
        let text = self.steady(&text.replace("\r\n", "\n"));
        let lines = text.lines().map(|line| line.split(' ').map(&mut word).collect::<Vec<_>>().join(" ") + "\n");
        lines.collect()
    }

    /// Runs a command at a terminal and writes down what the person sees, and the exit status unless it is 0.
    pub(crate) fn at_terminal(&self, command: &mut Command) -> String {
        let ran = crate::terminal::run(command);
        let status = if ran.status.success() { String::new() } else { format!("-- {} --\n", ran.status) };
        self.scrubbed(&ran.text()) + &status
    }

    /// The requests since the last [`IdentityCenter::clear_requests`], in one line: operation, grant, status if not 2xx or 3xx.
    pub(crate) fn asked(&self) -> String {
        let shown = |request: &crate::identity_center::Request| {
            let grant = request.field("grantType").rsplit(':').next().unwrap_or_default();
            let grant = if grant.is_empty() { String::new() } else { format!("({grant})") };
            let status = match request.status {
                Some(200..400) => String::new(),
                Some(status) => format!(" {status}"),
                // The page is open before its opener has its answer.
                None if request.operation == crate::identity_center::Operation::Browser => String::new(),
                None => " unanswered".to_owned(),
            };
            format!("{:?}{grant}{status}", request.operation)
        };
        self.idc.requests().iter().map(shown).collect::<Vec<_>>().join(", ")
    }

    /// Everything secret that was issued here or sent, each by what it is.
    pub(crate) fn secrets(&self) -> BTreeSet<(&'static str, String)> {
        let mut secrets = BTreeSet::new();
        for issued in self.idc.issued_credentials() {
            secrets.insert(("secret access key", issued.secret_access_key));
            secrets.insert(("session token", issued.session_token));
        }
        for request in self.idc.requests() {
            for field in ["clientSecret", "code", "codeVerifier", "deviceCode", "refreshToken"] {
                secrets.insert((field, request.field(field).to_owned()));
            }
            secrets.insert(("access token", request.header("x-amz-sso_bearer_token").to_owned()));
        }
        secrets.retain(|(_, secret)| !secret.is_empty());
        secrets
    }

    /// Every file in a folder of the HOME and below it; none if there is no such folder.
    pub(crate) fn files(&self, folder: impl AsRef<Path>) -> Vec<PathBuf> {
        fn below(folder: &Path) -> Vec<PathBuf> {
            let entries = std::fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path());
            let is_folder = |path: &Path| path.is_dir() && !path.is_symlink();
            entries.flat_map(|path| if is_folder(&path) { below(&path) } else { vec![path] }).collect()
        }
        below(&self.path(folder))
    }

    /// Our files, and the caches that are the AWS CLI's too.
    pub(crate) fn kept(&self) -> Vec<PathBuf> {
        [".aws/sso", ".aws/cli", ".local/state/awsdir"].map(|folder| self.files(folder)).concat()
    }

    /// Those that a writer has left who did not come to an end.
    pub(crate) fn temporary_files(&self) -> Vec<PathBuf> {
        self.kept().into_iter().filter(|path| is_temporary(path)).collect()
    }

    /// What is kept is whole, and for nobody else's eyes.
    pub(crate) fn expect_sound_files(&self, when: &str) {
        for path in self.kept() {
            let shown = path.display();
            assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{when}: {shown}");
            if path.extension().is_some_and(|extension| extension == "json") && !is_temporary(&path) {
                let content = std::fs::read(&path).unwrap();
                let parsed = serde_json::from_slice::<Value>(&content);
                assert!(parsed.is_ok(), "{when}: {shown}: {}", String::from_utf8_lossy(&content));
            }
        }
    }

    /// The names in a folder of the HOME, sorted; none if there is no such folder.
    pub(crate) fn names(&self, folder: impl AsRef<Path>) -> Vec<String> {
        let entries = std::fs::read_dir(self.path(folder)).into_iter().flatten().flatten();
        let mut names: Vec<String> = entries.map(|entry| entry.file_name().into_string().unwrap()).collect();
        names.sort_unstable();
        names
    }

    /// Has fresh role credentials of `read-only` in the cache, signing in if need be. `edit` may then age them.
    pub(crate) fn get_role(&self, edit: impl FnOnce(&mut Value)) {
        let ran = crate::terminal::run_with_piped_stdout(&mut self.awsdir(["export", "read-only"]));
        assert!(ran.status.success(), "{}", ran.text());
        let mut role = self.read_json(ROLE_FILE);
        edit(&mut role);
        self.write(ROLE_FILE, role.to_string());
        self.idc.clear_requests();
    }

    /// Points every endpoint at a port where nobody listens.
    pub(crate) fn cut_off(&mut self) {
        for name in ["AWS_ENDPOINT_URL_SSO", "AWS_ENDPOINT_URL_SSO_OIDC"] {
            self.set(name, "http://127.0.0.1:1");
        }
    }
}

/// Says, once, what is not tested here. Past the test harness, which shows nothing of tests that pass.
pub(crate) fn skipped(what: &str) {
    static SAID: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    if SAID.lock().unwrap().insert(what.to_owned()) {
        let _ = writeln!(std::io::stderr(), "\nSKIPPED: {what}");
    }
}

/// A page of the documentation has, between its marks, what the tests called `tests` have found.
pub(crate) fn expect_in_docs(page: &str, tests: &str, found: &str) {
    const END: &str = "<!-- to here -->\n";
    let begin = format!("<!-- Written by `AWSDIR_WRITE_DOCS=1 cargo test {tests}` from here -->\n");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(page).with_extension("md");
    let text = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once(&begin).expect("the first mark");
    let (known, after) = rest.split_once(END).expect("the last mark");
    if std::env::var_os("AWSDIR_WRITE_DOCS").is_some() {
        return std::fs::write(path, [before, &begin, found, "\n", END, after].concat()).unwrap();
    }
    // A whole table is too long to be shown twice.
    let only = |mark: char, here: &str, there: &str| {
        let lines = here.lines().filter(|line| !there.lines().any(|other| other == *line));
        lines.map(|line| format!("{mark} {line}\n")).collect::<Vec<_>>().concat()
    };
    let difference = only('-', known, found) + &only('+', found, known);
    assert!(known.trim() == found.trim(), "docs/{page}.md is not what happens:\n{difference}");
}
