//! A process that is killed, or that the file system says no to, at any call that touches a file: what it leaves can be
//! read, and the next one succeeds.
//!
//! strace does both, at each such call of each verb in turn.

use crate::identity_center::{Operation, RoleSettings};
use crate::sandbox::{CONFIG, ROLE_FILE, Sandbox, TOKEN_FILE, from_now, may_trace_awsdir};
use crate::sign_in::sandbox;
use crate::terminal::run;
use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::ExitStatus;
use std::sync::Mutex;

/// The calls that touch files, and the error that each may meet.
const CALLS: [(&str, &str); 13] = [
    ("openat", "ENOSPC"),
    ("read", "EIO"),
    ("statx", "EACCES"),
    ("newfstatat", "EACCES"),
    ("getdents64", "EIO"),
    ("mkdir", "EROFS"),
    ("write", "ENOSPC"),
    ("ftruncate", "EIO"),
    ("fsync", "EIO"),
    ("rename", "EACCES"),
    ("unlink", "EACCES"),
    ("flock", "ENOLCK"),
    ("utimensat", "EPERM"),
];

const ROLE: &str = "arn:aws:iam::333333333333:role/deploy";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verb {
    /// With nothing in the caches.
    Login,
    /// As a hook has it done behind the prompt: the access token has run out.
    Refresh,
    Allow,
    /// With a token and role credentials in the caches.
    Logout,
    /// With a token in the caches.
    Export,
    /// With role credentials in the caches that another role takes.
    Assume,
}

/// What happens at a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Injected {
    Kill,
    Error,
}

/// The `nth` call of its name (counted as strace does, all of them), one that touches a file of the HOME.
#[derive(Clone, Debug)]
struct Point {
    call: &'static str,
    error: &'static str,
    nth: usize,
    /// The call as strace shows it.
    line: String,
}

/// How a run with something injected ended.
struct Ended {
    status: ExitStatus,
    said: String,
}

impl Verb {
    fn prepare(self) -> Sandbox {
        let sandbox = sandbox();
        sandbox.project("work", "read-only\n");
        match self {
            Self::Login | Self::Allow => {}
            Self::Refresh => {
                sandbox.allowed_project("work", "read-only\n");
                sandbox.sign_in(|token| token["expiresAt"] = from_now(-60).into());
            }
            Self::Logout => sandbox.get_role(|_| {}),
            Self::Export => sandbox.sign_in(|_| {}),
            Self::Assume => {
                sandbox.get_role(|_| {});
                sandbox.idc.create_role(ROLE, RoleSettings::default());
                let deploy = format!("[profile deploy]\nrole_arn = {ROLE}\nsource_profile = read-only\n");
                sandbox.write(".aws/config", format!("{CONFIG}\n{deploy}"));
            }
        }
        sandbox
    }

    fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::Login => &["login", "--session", "corp", "--timeout", "20"],
            Self::Refresh => &["refresh", "--detached"],
            Self::Allow => &["allow"],
            Self::Logout => &["logout", "--session", "corp"],
            Self::Export => &["export", "read-only"],
            Self::Assume => &["export", "deploy"],
        }
    }

    /// Runs it under strace with these options.
    fn run(self, sandbox: &Sandbox, log: &Path, options: &[&str]) -> Ended {
        let mut command = sandbox.command("strace");
        command.args(["-qq", "-y", "-o"]).arg(log).args(options);
        command.arg(env!("CARGO_BIN_EXE_awsdir")).args(self.arguments()).current_dir(sandbox.path("work"));
        if self == Self::Login {
            let ran = run(&mut command);
            return Ended { said: ran.text(), status: ran.status };
        }
        let output = command.output().unwrap();
        Ended { said: String::from_utf8_lossy(&output.stderr).into_owned(), status: output.status }
    }

    /// Every call of a run that touches a file of the HOME.
    fn points(self) -> Vec<Point> {
        let sandbox = self.prepare();
        let log = sandbox.path("../trace");
        let names = CALLS.map(|(call, _)| call).join(",");
        let ended = self.run(&sandbox, &log, &["-e", &format!("trace={names}")]);
        assert!(ended.status.success(), "{self:?}: {}", ended.said);
        let home = sandbox.home().into_os_string().into_string().unwrap();
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        let trace = fs::read_to_string(log).unwrap();
        let points = trace.lines().filter_map(|line| {
            let (call, error) = CALLS.into_iter().find(|(call, _)| line.starts_with(&format!("{call}(")))?;
            let nth = counts.entry(call).and_modify(|count| *count += 1).or_insert(1);
            let file =
                line.split_once("AT_FDCWD<").and_then(|(_, rest)| rest.split_once('>')).map_or(line, |(_, rest)| rest);
            file.contains(&home).then(|| Point { call, error, nth: *nth, line: sandbox.plain(line) })
        });
        points.collect()
    }

    /// What must hold after whatever happened, and the next run.
    fn expect_recovery(self, sandbox: &Sandbox, at: &str) {
        let opened = sandbox.idc.browser_opens().len();
        // A refresh token that was sent is lost only while its answer is being written down.
        let token = Path::new(TOKEN_FILE).file_name().unwrap().to_str().unwrap();
        let spent = sandbox.idc.count(Operation::CreateToken) > 0 && at.contains(token);
        match self {
            Self::Login | Self::Refresh | Self::Export => {
                let ran = run(&mut sandbox.awsdir(["export", "read-only"]));
                assert!(ran.status.success(), "{at}: {}", ran.text());
                let signed_in = sandbox.idc.browser_opens().len() > opened;
                assert!(!signed_in || spent || self == Self::Login, "{at}: a sign-in that nobody needed");
            }
            Self::Assume => {
                let output = sandbox.awsdir(self.arguments()).output().unwrap();
                assert!(output.status.success(), "{at}: {output:?}");
                assert_eq!(sandbox.idc.browser_opens().len(), opened, "{at}");
                assert_eq!(sandbox.idc.count(Operation::GetRoleCredentials), 0, "{at}: what was there is used");
                assert!(sandbox.idc.count(Operation::AssumeRole) <= 2, "{at}");
            }
            Self::Allow => {
                let work = sandbox.path("work");
                let output = sandbox.awsdir(["allow"]).current_dir(&work).output().unwrap();
                assert!(output.status.success(), "{at}: {output:?}");
                let output = sandbox.awsdir(["hook", "bash"]).current_dir(work).output().unwrap();
                assert!(String::from_utf8_lossy(&output.stdout).contains("AWS_PROFILE"), "{at}: {output:?}");
            }
            Self::Logout => {
                let output = sandbox.awsdir(self.arguments()).output().unwrap();
                assert!(output.status.success(), "{at}: {output:?}");
                for gone in [TOKEN_FILE, ROLE_FILE] {
                    assert!(!sandbox.path(gone).exists(), "{at}: {gone}");
                }
                let left = sandbox.temporary_files();
                assert!(!left.iter().any(|path| path.starts_with(sandbox.path(".aws"))), "{at}: {left:?}");
            }
        }
        sandbox.expect_sound_files(at);
    }
}

fn try_at(verb: Verb, point: &Point, injected: Injected) {
    let sandbox = verb.prepare();
    let log = sandbox.path("../trace");
    let Point { call, error, nth, line } = point;
    let what = match injected {
        Injected::Kill => "signal=SIGKILL".to_owned(),
        Injected::Error => format!("error={error}"),
    };
    let at = format!("{verb:?}, {what} at {line}");
    let ended =
        verb.run(&sandbox, &log, &["-e", &format!("trace={call}"), "-e", &format!("inject={call}:{what}:when={nth}")]);
    match injected {
        Injected::Kill => assert_eq!(ended.status.signal(), Some(9), "{at}: {}", ended.said),
        Injected::Error => {
            let code = ended.status.code();
            let last = ended.said.lines().rfind(|line| line.starts_with("awsdir: ")).unwrap_or_default();
            let named = match code {
                Some(0) => true,
                Some(1) => last.starts_with("awsdir: could not "),
                // What cannot be looked at is as good as not there: no dotfile, no permission.
                Some(3) => *call == "statx",
                _ => false,
            };
            assert!(named, "{at}: {code:?} {}", ended.said);
            let left = sandbox.temporary_files();
            assert!(*call == "unlink" || left.is_empty(), "{at}: {left:?}");
        }
    }
    sandbox.expect_sound_files(&at);
    verb.expect_recovery(&sandbox, &at);
}

/// Tries a verb at its points, several at a time.
fn try_everywhere(verb: Verb) {
    if !may_trace_awsdir() {
        return;
    }
    let points = verb.points();
    assert!(points.len() > 5, "{points:#?}");
    let cases = points.iter().flat_map(|point| [(point, Injected::Kill), (point, Injected::Error)]);
    let queue = Mutex::new(cases.collect::<VecDeque<_>>());
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                loop {
                    let next = queue.lock().unwrap().pop_front();
                    let Some((point, injected)) = next else { break };
                    try_at(verb, point, injected);
                }
            });
        }
    });
    eprintln!("{verb:?}: {} calls", points.len());
}

#[test]
fn in_login() {
    try_everywhere(Verb::Login);
}

#[test]
fn in_refresh() {
    try_everywhere(Verb::Refresh);
}

#[test]
fn in_allow() {
    try_everywhere(Verb::Allow);
}

#[test]
fn in_logout() {
    try_everywhere(Verb::Logout);
}

#[test]
fn in_export() {
    try_everywhere(Verb::Export);
}

#[test]
fn in_assuming_a_role() {
    try_everywhere(Verb::Assume);
}
