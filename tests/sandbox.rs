//! A world of its own for every test: a temporary HOME, a cleared environment, a loopback Identity Center.

use crate::identity_center::IdentityCenter;
use serde_json::Value;
use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

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

/// Whether `program` can be run here. Where it is missing the test is skipped, visibly; in CI that is a failure.
pub(crate) fn available(program: &str) -> bool {
    let found = Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
    if !found {
        assert!(std::env::var_os("AWSDIR_REQUIRE_SHELLS").is_none(), "{program} is not installed");
        eprintln!("SKIPPED: {program} is not installed");
    }
    found
}
