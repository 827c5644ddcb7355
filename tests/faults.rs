//! Every operation of the services meets every fault of a network: what is said, how often is asked, what is left.
//!
//! `docs/reliability.md` shows the outcome; `AWSDIR_WRITE_DOCS=1 cargo test faults` writes it there.

use crate::homes::may_mount;
use crate::identity_center::{Fault, IssuedCredentials, Operation, RoleSettings, UserKeys};
use crate::sandbox::{CONFIG, ROLE_FILE, Sandbox, TOKEN_FILE, expect_in_docs, from_now, skipped};
use crate::sign_in::{REGISTRATION, get, location, sandbox};
use crate::terminal::{Ran, Terminal, run};
use serde_json::Value;
use std::any::Any;
use std::fmt::Write as _;
use std::net::UdpSocket;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Many more than processors: most of them wait for what hangs.
const WORKERS: usize = 12;

/// What a busy machine may take beyond the bounds that users are told.
const SLACK: Duration = Duration::from_secs(15);

/// More often than anything is asked.
const FOR_EVER: usize = 99;

/// How often a request is sent at most, but for polls.
const TIMES: usize = 4;

/// An operation, by the command that runs it.
struct Subject {
    name: &'static str,
    operation: Operation,
    command: &'static [&'static str],
    /// The sign-in before, whose registration is left, and the person's part in this one.
    flow: Flow,
    /// Prepares a sandbox that is signed in and has role credentials of `prod-admin`.
    prepare: fn(&Sandbox),
    /// Whether the fault begins after the person's part.
    late: bool,
    sent_again: SentAgain,
    /// How many seconds it takes at most if nothing answers.
    patience: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Flow {
    Browser,
    DeviceCode,
}

/// When the same request is sent again.
#[derive(Clone, Copy)]
enum SentAgain {
    /// Whenever that may help: it spends nothing.
    Freely,
    /// If the service says that it did nothing.
    IfThrottled,
    EachInterval,
}

const EXPORT: &[&str] = &["export", "read-only", "--format", "process"];
const DEPLOY: &[&str] = &["export", "deploy", "--format", "process"];
const LOGIN: &[&str] = &["login", "--session", "corp", "--force", "--no-browser"];
const LOGIN_BY_CODE: &[&str] =
    &["login", "--session", "corp", "--force", "--no-browser", "--device-code", "--timeout", "25"];

const SUBJECTS: [Subject; 15] = [
    Subject {
        name: "RegisterClient",
        operation: Operation::RegisterClient,
        command: LOGIN,
        flow: Flow::Browser,
        prepare: |sandbox| std::fs::remove_file(sandbox.path(".aws/sso/cache").join(REGISTRATION)).unwrap(),
        late: false,
        sent_again: SentAgain::Freely,
        patience: 15,
    },
    Subject {
        name: "StartDeviceAuthorization",
        operation: Operation::StartDeviceAuthorization,
        command: LOGIN_BY_CODE,
        flow: Flow::DeviceCode,
        prepare: |_| {},
        late: false,
        sent_again: SentAgain::Freely,
        patience: 15,
    },
    Subject {
        name: "CreateToken by authorization code",
        operation: Operation::CreateToken,
        command: LOGIN,
        flow: Flow::Browser,
        prepare: |_| {},
        late: true,
        sent_again: SentAgain::IfThrottled,
        patience: 15,
    },
    Subject {
        name: "CreateToken by device code",
        operation: Operation::CreateToken,
        command: LOGIN_BY_CODE,
        flow: Flow::DeviceCode,
        prepare: |_| {},
        late: true,
        sent_again: SentAgain::EachInterval,
        patience: 25,
    },
    Subject {
        name: "CreateToken by refresh token",
        operation: Operation::CreateToken,
        command: EXPORT,
        flow: Flow::Browser,
        prepare: let_token_expire,
        late: false,
        sent_again: SentAgain::IfThrottled,
        patience: 15,
    },
    Subject {
        name: "CreateToken by refresh token, with unexpired role credentials in hand",
        operation: Operation::CreateToken,
        command: EXPORT,
        flow: Flow::Browser,
        prepare: |sandbox| {
            get_role_for_five_minutes(sandbox);
            let_token_expire(sandbox);
        },
        late: false,
        sent_again: SentAgain::IfThrottled,
        patience: 15,
    },
    Subject {
        name: "GetRoleCredentials",
        operation: Operation::GetRoleCredentials,
        command: EXPORT,
        flow: Flow::Browser,
        prepare: |_| {},
        late: false,
        sent_again: SentAgain::Freely,
        patience: 30,
    },
    Subject {
        name: "GetRoleCredentials, with unexpired role credentials in hand",
        operation: Operation::GetRoleCredentials,
        command: EXPORT,
        flow: Flow::Browser,
        prepare: get_role_for_five_minutes,
        late: false,
        sent_again: SentAgain::Freely,
        patience: 5,
    },
    Subject {
        name: "Logout",
        operation: Operation::Logout,
        command: &["logout", "--session", "corp"],
        flow: Flow::Browser,
        prepare: |_| {},
        late: false,
        sent_again: SentAgain::Freely,
        patience: 15,
    },
    Subject {
        name: "AssumeRole",
        operation: Operation::AssumeRole,
        command: DEPLOY,
        flow: Flow::Browser,
        prepare: let_deploy,
        late: false,
        sent_again: SentAgain::Freely,
        patience: 30,
    },
    Subject {
        name: "AssumeRole, with unexpired role credentials in hand",
        operation: Operation::AssumeRole,
        command: DEPLOY,
        flow: Flow::Browser,
        prepare: |sandbox| {
            let_deploy(sandbox);
            deploy(sandbox);
            let file = assumed_role(sandbox).unwrap();
            let mut role = sandbox.read_json(&file);
            role["Credentials"]["Expiration"] = from_now(5 * 60).into();
            sandbox.write(file, role.to_string());
        },
        late: false,
        sent_again: SentAgain::Freely,
        patience: 5,
    },
    Subject {
        name: "AssumeRole with an MFA code",
        operation: Operation::AssumeRole,
        command: DEPLOY,
        flow: Flow::Browser,
        prepare: let_session_deploy,
        late: false,
        sent_again: SentAgain::IfThrottled,
        patience: 15,
    },
    Subject {
        name: "AssumeRoleWithWebIdentity",
        operation: Operation::AssumeRoleWithWebIdentity,
        command: DEPLOY,
        flow: Flow::Browser,
        prepare: |sandbox| {
            let token = sandbox.write("token", "a.web.identity\n");
            sandbox.idc.trust_web_identity(ROLE, "a.web.identity");
            configure(sandbox, &format!("web_identity_token_file = {}\n", token.display()));
        },
        late: false,
        sent_again: SentAgain::Freely,
        patience: 30,
    },
    Subject {
        name: "GetSessionToken",
        operation: Operation::GetSessionToken,
        command: DEPLOY,
        flow: Flow::Browser,
        prepare: let_person_deploy,
        late: false,
        sent_again: SentAgain::IfThrottled,
        patience: 15,
    },
    Subject {
        name: "AssumeRole by the session of GetSessionToken",
        operation: Operation::AssumeRole,
        command: DEPLOY,
        flow: Flow::Browser,
        prepare: |sandbox| {
            let_person_deploy(sandbox);
            deploy(sandbox);
            std::fs::remove_file(assumed_role(sandbox).unwrap()).unwrap();
        },
        late: false,
        sent_again: SentAgain::Freely,
        patience: 30,
    },
];

const ROLE: &str = "arn:aws:iam::333333333333:role/deploy";
const SERIAL: &str = "arn:aws:iam::999999999999:mfa/me";
/// The file that stands for the display of the MFA device.
const CODE: &str = "code";

fn let_token_expire(sandbox: &Sandbox) {
    sandbox.edit_token(|token| token["expiresAt"] = from_now(-60).into());
}

fn get_role_for_five_minutes(sandbox: &Sandbox) {
    sandbox.get_role(|role| role["Credentials"]["Expiration"] = from_now(5 * 60).into());
}

/// Gives the profile `deploy` these keys beside its role, and the sections that follow.
fn configure(sandbox: &Sandbox, keys: &str) {
    sandbox.write(".aws/config", format!("{CONFIG}\n[profile deploy]\nrole_arn = {ROLE}\n{keys}"));
}

/// By the role credentials of `read-only`, which are in the cache.
fn let_deploy(sandbox: &Sandbox) {
    sandbox.idc.create_role(ROLE, RoleSettings::default());
    sandbox.get_role(|_| {});
    configure(sandbox, "source_profile = read-only\n");
}

/// By the keys of a person who shows an MFA code.
fn let_person_deploy(sandbox: &Sandbox) {
    let UserKeys { access_key_id, secret_access_key } = sandbox.idc.create_user("me");
    sandbox.idc.create_mfa_device("me", SERIAL);
    sandbox.idc.create_role(ROLE, RoleSettings { requires_mfa: true, ..RoleSettings::default() });
    let keys = format!("aws_access_key_id = {access_key_id}\naws_secret_access_key = {secret_access_key}\n");
    configure(sandbox, &format!("source_profile = person\nmfa_serial = {SERIAL}\n\n[profile person]\n{keys}"));
    let device = sandbox.write(CODE, "").into_os_string().into_string().unwrap();
    sandbox.write(".config/awsdir/config", format!("[awsdir]\nmfa_process = cat {device}\n"));
}

/// By temporary keys of a person, who shows a code for each role.
fn let_session_deploy(sandbox: &Sandbox) {
    let_person_deploy(sandbox);
    deploy(sandbox);
    let role = sandbox.read_json(assumed_role(sandbox).unwrap());
    let session = sandbox.idc.issued_credentials().into_iter().rev().nth(1).unwrap();
    assert_ne!(role["Credentials"]["AccessKeyId"], session.access_key_id.as_str());
    let IssuedCredentials { access_key_id, secret_access_key, session_token, .. } = session;
    let keys = format!(
        "aws_access_key_id = {access_key_id}\naws_secret_access_key = {secret_access_key}\n\
         aws_session_token = {session_token}\n"
    );
    configure(sandbox, &format!("source_profile = person\nmfa_serial = {SERIAL}\n\n[profile person]\n{keys}"));
    std::fs::remove_file(assumed_role(sandbox).unwrap()).unwrap();
}

/// Has the device show its code, if there is one.
fn show_code(sandbox: &Sandbox) {
    if sandbox.path(CODE).exists() {
        sandbox.write(CODE, sandbox.idc.mfa_code(SERIAL));
    }
}

fn deploy(sandbox: &Sandbox) {
    show_code(sandbox);
    let output = sandbox.awsdir(DEPLOY).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    sandbox.idc.clear_requests();
}

/// The file with the role credentials of `deploy`.
fn assumed_role(sandbox: &Sandbox) -> Option<PathBuf> {
    let is_it = |path: &PathBuf| std::fs::read_to_string(path).unwrap().contains("AssumedRoleUser");
    sandbox.files(".aws/cli/cache").into_iter().find(is_it)
}

/// What is wrong.
#[derive(Clone, Copy)]
enum Trouble {
    /// The service misbehaves.
    Service(fn() -> Fault),
    /// Nobody listens.
    Refused,
    /// A connection is reset before anything is read from it.
    Reset,
    /// The endpoint has another URL, made of the service's own.
    Endpoint(fn(&str) -> String),
    /// The service's clock is so many seconds ahead.
    Clock(i64),
}

const NAME_NOT_FOUND: &str = "name not found";

const FAULTS: [(&str, Trouble); 19] = [
    ("connection refused", Trouble::Refused),
    (NAME_NOT_FOUND, Trouble::Endpoint(|_| "http://sso.awsdir-test.invalid".to_owned())),
    ("TLS fails", Trouble::Endpoint(|url| url.replace("http://", "https://"))),
    ("reset before the request", Trouble::Reset),
    ("reset after the request", Trouble::Service(|| Fault::Reset)),
    ("closed after the request", Trouble::Service(|| Fault::CloseBeforeActing)),
    ("answer lost after AWS acted", Trouble::Service(|| Fault::CloseAfterActing)),
    ("no answer", Trouble::Service(|| Fault::Hang)),
    ("answer by single bytes", Trouble::Service(|| Fault::SlowDrip(Duration::from_millis(250)))),
    ("answer cut off", Trouble::Service(|| Fault::Truncated)),
    ("answer not JSON", Trouble::Service(|| Fault::InvalidJson)),
    ("answer empty", Trouble::Service(|| Fault::Empty200)),
    ("500", Trouble::Service(|| Fault::ServerError)),
    ("502 with HTML", Trouble::Service(|| Fault::HtmlBadGateway)),
    ("429", Trouble::Service(|| Fault::Throttle { retry_after: None })),
    ("429 with `Retry-After: 1`", Trouble::Service(|| Fault::Throttle { retry_after: Some(1) })),
    ("unknown error", Trouble::Service(|| Fault::UnknownError("OddException".to_owned()))),
    ("clock here 20 min slow", Trouble::Clock(1200)),
    ("clock here 20 min fast", Trouble::Clock(-1200)),
];

impl Trouble {
    /// Begins, for so many requests where it can be counted.
    fn begin(self, sandbox: &Sandbox, operation: Operation, times: usize) {
        match self {
            Self::Service(fault) => sandbox.idc.inject(operation, fault(), times),
            Self::Refused => sandbox.idc.hang_up(),
            Self::Reset => sandbox.idc.reset_connections(times),
            Self::Clock(ahead) => sandbox.idc.settings(|settings| settings.clock_ahead = ahead),
            // The command has it from the start.
            Self::Endpoint(_) => {}
        }
    }

    fn end(self, sandbox: &Sandbox) {
        sandbox.idc.clear_faults();
        sandbox.idc.reset_connections(0);
        if matches!(self, Self::Refused) {
            sandbox.idc.listen_again();
        }
    }
}

/// What the table tells of one case.
#[derive(Clone, PartialEq, Eq)]
struct Row {
    exit: i32,
    asked: String,
    /// Seconds within which it ends.
    within: u64,
    said: String,
    /// What has come of it.
    then: &'static str,
}

struct Case {
    subject: &'static Subject,
    fault: &'static str,
    trouble: Trouble,
    times: usize,
}

/// What a command did.
struct Met {
    exit: i32,
    said: String,
    took: Duration,
    /// How many requests for the operation were met, or how many connections where no request arrives; unknown where
    /// not even those do.
    asked: Option<usize>,
}

impl Case {
    fn within(&self) -> u64 {
        let seconds = match self.trouble {
            Trouble::Service(fault) => match fault() {
                Fault::Hang | Fault::SlowDrip(_) => self.subject.patience,
                Fault::Throttle { retry_after: Some(_) } => 10,
                _ => 5,
            },
            // Resolvers may take their time.
            Trouble::Endpoint(_) if self.fault == NAME_NOT_FOUND => self.subject.patience,
            _ => 5,
        };
        if self.polls() { self.subject.patience } else { seconds.min(self.subject.patience) }
    }

    fn polls(&self) -> bool {
        matches!(self.subject.sent_again, SentAgain::EachInterval)
    }

    /// Whether it can be: between two polls an endpoint changes neither its name nor its certificate.
    fn is_possible(&self) -> bool {
        !(self.polls() && matches!(self.trouble, Trouble::Endpoint(_)))
    }

    /// How often the service may be asked.
    fn most(&self) -> usize {
        let throttled = matches!(self.trouble, Trouble::Service(fault) if matches!(fault(), Fault::Throttle { .. }));
        match self.subject.sent_again {
            // A signature of another time is refused, and nothing done.
            SentAgain::IfThrottled if matches!(self.trouble, Trouble::Clock(_)) => 2,
            SentAgain::IfThrottled if !throttled => 1,
            SentAgain::IfThrottled | SentAgain::Freely => TIMES,
            // An interval is a second.
            SentAgain::EachInterval => usize::try_from(self.subject.patience).unwrap(),
        }
    }

    /// Runs it in a sandbox of its own and looks at everything; what the table tells, and how often was asked.
    fn run(&self) -> (Row, usize) {
        let Subject { operation, .. } = *self.subject;
        let sandbox = self.sandbox();
        let (token, role) = (sandbox.read(TOKEN_FILE), self.role_credentials(&sandbox));
        let met = self.meet(&sandbox);
        self.trouble.end(&sandbox);

        let failed = met.exit != 0;
        assert!(met.took < Duration::from_secs(self.within()) + SLACK, "{:?}", met.took);
        assert!(met.asked.unwrap_or(0) <= self.most(), "{:?} requests", met.asked);
        assert!(!met.said.contains("</"), "no page reaches a terminal: {}", met.said);
        if failed {
            assert_eq!(met.exit, 5, "{}", met.said);
            let named = ["[ENDPOINT]".to_owned(), format!("{operation:?}")];
            assert!(named.iter().any(|name| met.said.contains(name)), "{}", met.said);
            assert!(role.is_none(), "what is in hand is used: {}", met.said);
            assert!(!matches!(self.trouble, Trouble::Clock(_)), "a clock may be wrong: {}", met.said);
        }
        expect_whole_files(&sandbox);
        if operation == Operation::Logout {
            assert!(!sandbox.path(TOKEN_FILE).exists(), "the token is gone");
            assert_eq!(sandbox.names(".aws/cli/cache"), [""; 0]);
        } else {
            expect_other_profile(&sandbox);
        }
        if failed && operation != Operation::Logout {
            assert_eq!(sandbox.read(TOKEN_FILE), token, "what was in hand is as it was");
            let requests = sandbox.idc.requests();
            let other = requests.iter().find(|request| ![operation, Operation::Unknown].contains(&request.operation));
            assert!(other.is_none(), "nothing else is asked: {}", sandbox.asked());
        }
        let then = match (failed, &role) {
            (true, _) => self.recover(&sandbox),
            (false, Some(_)) if self.role_credentials(&sandbox) == role => "what was in hand is used",
            (false, _) => "done",
        };
        let lasts = self.times == FOR_EVER && !matches!(self.trouble, Trouble::Clock(_));
        let asked = match (met.asked, self.subject.sent_again) {
            (None, _) => "–".to_owned(),
            (Some(2..), SentAgain::Freely | SentAgain::IfThrottled) if lasts => format!("up to {TIMES}"),
            (Some(2..), SentAgain::EachInterval) if lasts => "each interval".to_owned(),
            (Some(asked), _) => asked.to_string(),
        };
        let row = Row { exit: met.exit, asked, within: self.within(), said: met.said, then };
        (row, met.asked.unwrap_or(0))
    }

    /// What is cached of the profile that is asked for.
    fn role_credentials(&self, sandbox: &Sandbox) -> Option<String> {
        let is_deploy = self.subject.command == DEPLOY;
        let file = if is_deploy { assumed_role(sandbox) } else { Some(sandbox.path(ROLE_FILE)) };
        std::fs::read_to_string(file?).ok()
    }

    fn sandbox(&self) -> Sandbox {
        let sandbox = sandbox();
        let flag = (self.subject.flow == Flow::DeviceCode).then_some("--device-code");
        let login = run(sandbox.awsdir(["login", "--session", "corp"]).args(flag));
        assert!(login.status.success(), "{}", login.text());
        let other = sandbox.awsdir(["export", "prod-admin"]).output().unwrap();
        assert!(other.status.success(), "{other:?}");
        (self.subject.prepare)(&sandbox);
        sandbox
    }

    /// Runs the command into the fault.
    fn meet(&self, sandbox: &Sandbox) -> Met {
        let Subject { operation, flow, late, .. } = *self.subject;
        let connections = AtomicUsize::new(0);
        let begin = || {
            sandbox.idc.clear_requests();
            self.trouble.begin(sandbox, operation, self.times);
            connections.store(sandbox.idc.connections(), Ordering::Relaxed);
        };
        let mut command = sandbox.awsdir(self.subject.command);
        if let Trouble::Endpoint(url) = self.trouble {
            for name in ["AWS_ENDPOINT_URL_SSO", "AWS_ENDPOINT_URL_SSO_OIDC", "AWS_ENDPOINT_URL_STS"] {
                command.env(name, url(&sandbox.idc.endpoint()));
            }
        }
        show_code(sandbox);
        if !late {
            begin();
        }
        let before = Instant::now();
        let (status, text) = if self.subject.command[0] == "login" {
            let mut terminal = Terminal::spawn(&mut command);
            let mut shown = |text: &str| {
                terminal.try_wait_for(text)?;
                terminal.try_wait_for("\r\n").map(|rest| rest.trim_end().to_owned())
            };
            // Where the fault comes first, nothing is shown that a person could act upon.
            match flow {
                Flow::Browser => {
                    if let Ok(query) = shown("/authorize?") {
                        let callback = location(&get(&format!("{}/authorize?{query}", sandbox.idc.endpoint())));
                        if late {
                            begin();
                        }
                        get(&callback);
                    }
                }
                Flow::DeviceCode => {
                    if let Ok(code) = shown("?user_code=") {
                        assert!(sandbox.idc.approve_device(&code));
                        if late {
                            begin();
                        }
                    }
                }
            }
            let ran: Ran = terminal.wait();
            (ran.status, ran.text())
        } else {
            let output = command.output().unwrap();
            (output.status, String::from_utf8(output.stderr).unwrap())
        };
        let took = before.elapsed();
        let arrived = sandbox.idc.requests().iter().filter(|request| request.operation == operation).count();
        let asked = match self.trouble {
            Trouble::Service(_) | Trouble::Clock(_) => Some(arrived),
            Trouble::Endpoint(_) if self.fault == NAME_NOT_FOUND => None,
            Trouble::Reset if self.times != FOR_EVER => Some(self.times + sandbox.idc.count(operation)),
            Trouble::Reset | Trouble::Endpoint(_) => Some(sandbox.idc.connections() - connections.into_inner()),
            Trouble::Refused => None,
        };
        let exit = status.code().expect("an exit code");
        Met { exit, said: self.news(sandbox, &text, exit), took, asked }
    }

    /// What is said beyond what every sign-in says, without what differs from run to run and from machine to machine.
    fn news(&self, sandbox: &Sandbox, text: &str, exit: i32) -> String {
        let mut text = text.to_owned();
        if let Trouble::Endpoint(url) = self.trouble {
            text = text.replace(&url(&sandbox.idc.endpoint()), &sandbox.idc.endpoint());
        }
        let mut text = sandbox.scrubbed(&text);
        if matches!(self.trouble, Trouble::Reset) {
            // What of the request is sent before the reset is here, nobody knows.
            let unanswered = format!("`[ENDPOINT]` did not answer {:?}", self.subject.operation);
            text = text.replace(&unanswered, "could not reach `[ENDPOINT]`");
        }
        if self.fault == NAME_NOT_FOUND {
            let line = |line: &str| match line.strip_prefix("caused by: ") {
                Some(_) => "caused by: (what the resolver says)\n".to_owned(),
                None => line.to_owned() + "\n",
            };
            text = text.lines().map(line).collect();
        }
        if self.subject.command[0] != "login" {
            return text;
        }
        let first = "awsdir: signing in to `corp` (Ctrl-C to cancel)\n";
        let second = match self.subject.flow {
            Flow::Browser => {
                "awsdir: open this page in a browser on this machine and approve it:\n  [ENDPOINT]/authorize?[QUERY]\n"
            }
            Flow::DeviceCode => {
                "awsdir: open [ENDPOINT]/device on any device and confirm the code [CODE]\n  \
                 or straight: [ENDPOINT]/device?[CODE]\n"
            }
        };
        let rest = text.strip_prefix(first).unwrap_or_else(|| panic!("{text}"));
        match rest.strip_prefix(second) {
            Some(rest) => rest.to_owned(),
            None if exit != 0 && !self.subject.late => rest.to_owned(),
            None => panic!("{text}"),
        }
    }

    /// Has the command run again now that the fault is gone, and a person sign in if need be. Says what it took.
    fn recover(&self, sandbox: &Sandbox) -> &'static str {
        let again = || {
            show_code(sandbox);
            // Now there is a browser.
            let words = self.subject.command.iter().filter(|word| **word != "--no-browser");
            let mut command = sandbox.awsdir(words);
            if self.subject.command[0] == "login" {
                let ran = run(&mut command);
                return (ran.status.code(), ran.text());
            }
            let output = command.output().unwrap();
            (output.status.code(), String::from_utf8(output.stderr).unwrap())
        };
        let (code, said) = again();
        if code == Some(0) {
            return "works the next time";
        }
        assert_eq!(code, Some(4), "{said}");
        let login = run(&mut sandbox.awsdir(["login", "--session", "corp"]));
        assert!(login.status.success(), "{}", login.text());
        let (code, said) = again();
        assert_eq!(code, Some(0), "{said}");
        "needs a sign-in"
    }
}

/// No file is torn, left over, or readable by others.
fn expect_whole_files(sandbox: &Sandbox) {
    assert!(!sandbox.kept().is_empty());
    sandbox.expect_sound_files("afterwards");
    let left = sandbox.temporary_files();
    assert!(left.is_empty(), "{left:?}");
}

/// Unexpired role credentials of another profile are used, and nobody is asked for them.
fn expect_other_profile(sandbox: &Sandbox) {
    let before = sandbox.idc.connections();
    let output = sandbox.awsdir(["credential-process", "prod-admin"]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let printed: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(sandbox.idc.caller_of(printed["AccessKeyId"].as_str().unwrap()).unwrap().role_name, "Admin");
    assert_eq!(sandbox.idc.connections(), before);
}

/// Runs all cases, the longest first; of those that were asked about more than once another time with a fault that
/// passes.
fn run_all(cases: &[Case]) -> Vec<Result<Vec<(String, Row)>, String>> {
    let mut order: Vec<usize> = (0..cases.len()).collect();
    order.sort_by_key(|index| std::cmp::Reverse(cases[*index].within()));
    let (next, rows) = (AtomicUsize::new(0), Mutex::new(vec![Ok(Vec::new()); cases.len()]));
    let attempt = |case: &Case| {
        let ran = std::thread::scope(|scope| scope.spawn(|| case.run()).join());
        ran.map_err(|panic| format!("{} × {} (× {}): {}", case.subject.name, case.fault, case.times, words(&*panic)))
    };
    let outcome = |case: &Case| {
        let (row, asked) = attempt(case)?;
        let mut rows = vec![(case.fault.to_owned(), row)];
        if asked > 1 && matches!(case.trouble, Trouble::Service(_) | Trouble::Reset) {
            let (row, _) = attempt(&Case { times: 1, ..*case })?;
            rows.push((format!("{}, once", case.fault), row));
        }
        Ok(rows)
    };
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                while let Some(index) = order.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let outcome = outcome(&cases[*index]);
                    rows.lock().unwrap()[*index] = outcome;
                }
            });
        }
    });
    rows.into_inner().unwrap()
}

/// What a panic said.
fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
}

/// One operation's table; faults with the same outcome share a line.
fn table(rows: Vec<(String, Row)>) -> String {
    let mut lines: Vec<(Vec<String>, Row)> = Vec::new();
    for (fault, row) in rows {
        match lines.iter_mut().find(|(_, known)| *known == row) {
            Some((faults, _)) => faults.push(fault),
            None => lines.push((vec![fault], row)),
        }
    }
    let mut text =
        "| fault | exit | asked | within | what is said | then |\n| --- | --- | --- | --- | --- | --- |\n".to_owned();
    for (faults, Row { exit, asked, within, said, then }) in lines {
        let said = said.trim_end().replace('|', "\\|").replace('\n', "<br>");
        writeln!(text, "| {} | {exit} | {asked} | {within} s | {said} | {then} |", faults.join("; ")).unwrap();
    }
    text
}

#[test]
fn every_fault_of_every_operation_is_in_the_documentation() {
    let cases: Vec<Case> = SUBJECTS
        .iter()
        .flat_map(|subject| FAULTS.map(|(fault, trouble)| Case { subject, fault, trouble, times: FOR_EVER }))
        .filter(Case::is_possible)
        .collect();
    let (mut tables, mut failures) = (String::new(), Vec::new());
    let mut outcomes = cases.iter().zip(run_all(&cases)).peekable();
    for subject in &SUBJECTS {
        let mut rows = Vec::new();
        while let Some((_, outcome)) = outcomes.next_if(|(case, _)| case.subject.name == subject.name) {
            match outcome {
                Ok(of_case) => rows.extend(of_case),
                Err(failure) => failures.push(failure),
            }
        }
        write!(tables, "\n### {}\n\n{}", subject.name, table(rows)).unwrap();
    }
    assert!(failures.is_empty(), "{} cases failed:\n{}", failures.len(), failures.join("\n"));

    expect_in_docs("reliability", "faults", &tables);
}

/// The system's resolver cannot be interrupted; its thread is left behind.
#[test]
fn a_resolver_that_never_answers_keeps_nobody() {
    const RESOLVER: &str = "127.0.0.77:53";
    let Ok(_silent) = UdpSocket::bind(RESOLVER) else {
        return skipped(&format!("a resolver cannot listen on {RESOLVER}"));
    };
    if !may_mount() {
        return;
    }
    let sandbox = sandbox();
    sandbox.sign_in(|_| {});
    let resolv = sandbox.write("resolv.conf", "nameserver 127.0.0.77\noptions timeout:30 attempts:5\n");
    let mut command = sandbox.command("unshare");
    command.args(["-rm", "sh", "-c", "mount --bind \"$0\" /etc/resolv.conf && exec \"$@\""]).arg(resolv);
    command.arg(env!("CARGO_BIN_EXE_awsdir")).args(["logout", "--session", "corp"]);
    command.env("AWS_ENDPOINT_URL_SSO", "http://portal.awsdir-test.example");
    let before = Instant::now();
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(5), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("could not reach `http://portal.awsdir-test.example`"), "{said}");
    assert!(before.elapsed() < Duration::from_secs(15) + SLACK, "{:?}", before.elapsed());
}
