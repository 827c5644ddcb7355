//! What the hook promises, line by line and in each shell: the real shells on pseudo-terminals, with startup files that
//! load the hook as the README says.

mod by_hand;
mod directories;
mod dotfiles;
mod hostile;
mod lint;
mod manners;
mod nested;
mod permission_sets;
mod processes;
mod secrets;
mod signing_in;
mod surroundings;
mod time;
mod troubles;
mod values;

use crate::sandbox::{ROLE_FILE, Sandbox, available, from_now};
use crate::terminal::Terminal;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::os::unix::ffi::OsStringExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shell {
    Bash,
    Zsh,
    Fish,
}
use Shell::{Bash, Fish, Zsh};

impl Shell {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Bash => "bash",
            Zsh => "zsh",
            Fish => "fish",
        }
    }

    fn startup_file(self) -> &'static str {
        match self {
            Bash => ".bashrc",
            Zsh => ".zshrc",
            Fish => ".config/fish/config.fish",
        }
    }

    /// The line of the README.
    fn init(self) -> &'static str {
        match self {
            Bash => "eval \"$(awsdir init bash)\"\n",
            Zsh => "eval \"$(awsdir init zsh)\"\n",
            Fish => "awsdir init fish | source\n",
        }
    }

    /// Marks the beginning of what a line shows with `⟨`; the prompt marks its end: `⟩STATUS|SEGMENT⟩`.
    fn marks(self) -> &'static str {
        match self {
            Bash => "PS0='⟨' PS1='⟩$?|${AWSDIR_SEGMENT}⟩ '\n",
            Zsh => {
                "setopt prompt_subst no_prompt_cr no_prompt_sp\n\
                 preexec() { \\print -n ⟨ >/dev/tty; }\n\
                 PROMPT='⟩%?|${AWSDIR_SEGMENT}⟩ '\n"
            }
            Fish => {
                "set -g fish_greeting\n\
                 function fish_title; end\n\
                 function marks --on-event fish_preexec; printf ⟨; end\n\
                 function fish_prompt; printf '⟩%s|%s⟩ ' $status $AWSDIR_SEGMENT; end\n"
            }
        }
    }

    fn unset(self, name: &str) -> String {
        if self == Fish { format!("set -e {name}") } else { format!("unset {name}") }
    }

    /// A variable of the shell that is not exported.
    fn own(self, name: &str, value: &str) -> String {
        if self == Fish { format!("set -gu {name} {value}") } else { format!("{name}={value}") }
    }
}

/// Makes `fn promise(shell: Shell)` one test for each shell.
macro_rules! in_each_shell {
    ($($promise:ident,)+) => {$(
        mod $promise {
            use crate::hook_contract::Shell;

            #[test]
            fn in_bash() {
                crate::hook_contract::keep(Shell::Bash, super::$promise);
            }

            #[test]
            fn in_zsh() {
                crate::hook_contract::keep(Shell::Zsh, super::$promise);
            }

            #[test]
            fn in_fish() {
                crate::hook_contract::keep(Shell::Fish, super::$promise);
            }
        }
    )+};
}
use in_each_shell;

fn keep(shell: Shell, promise: impl FnOnce(Shell)) {
    if available(shell.name()) {
        insta::allow_duplicates! { promise(shell) }
    }
}

/// What the hook may set, as `design.md` section 5 lists it.
const MANAGED: [&str; 16] = [
    "AWS_PROFILE",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_CREDENTIAL_EXPIRATION",
    "AWS_SSO_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_SECURITY_TOKEN",
    "AWS_VAULT",
    "AWSUME_PROFILE",
    "AWSU_PROFILE",
    "AWSUME_EXPIRATION",
    "AWS_SESSION_EXPIRATION",
    "AWSDIR",
];

/// What `app` sets.
const APP: &str = "AWS_PROFILE=read-only
AWS_REGION=eu-west-1
AWS_DEFAULT_REGION=eu-west-1
AWS_ACCESS_KEY_ID=ASIAPLANTED
AWS_SECRET_ACCESS_KEY=planted+secret
AWS_SESSION_TOKEN=planted/token==
AWS_CREDENTIAL_EXPIRATION
AWSDIR";

/// What `prod` sets.
const PROD: &str = "AWS_PROFILE=prod-admin
AWS_REGION=us-west-2
AWS_DEFAULT_REGION=us-west-2
AWS_ACCESS_KEY_ID=ASIAPROD
AWS_SECRET_ACCESS_KEY=planted+secret
AWS_SESSION_TOKEN=planted/token==
AWS_CREDENTIAL_EXPIRATION
AWSDIR";

/// A sandbox with fresh role credentials for two projects, `app` (read-only) and `prod` (prod-admin), both allowed.
fn world() -> Sandbox {
    let sandbox = Sandbox::new();
    plant(&sandbox, 3600 + 59);
    sandbox.write(".config/awsdir/config", "[prompt]\ndanger = *prod*\n");
    sandbox.allowed_project("app", "read-only\n");
    sandbox.allowed_project("prod", "profile = prod-admin\nregion = us-west-2\n");
    std::fs::create_dir_all(sandbox.path("app/sub/deep")).unwrap();
    std::fs::create_dir_all(sandbox.path("none/sub")).unwrap();
    sandbox
}

/// Role credentials of both profiles in the cache, with `seconds` left.
fn plant(sandbox: &Sandbox, seconds: i64) {
    sandbox.plant_role_credentials(&from_now(seconds));
    let prod = sandbox.read(ROLE_FILE).replace("ASIAPLANTED", "ASIAPROD").replace("111111111111", "222222222222");
    sandbox.write(prod_role_file(), prod);
}

fn prod_role_file() -> String {
    use sha1::{Digest as _, Sha1};
    let key = r#"{"accountId":"222222222222","roleName":"Admin","sessionName":"corp"}"#;
    let hex = Sha1::digest(key).iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
    format!(".aws/cli/cache/{hex}.json")
}

/// A person at a shell.
pub(crate) struct Session<'a> {
    shell: Shell,
    sandbox: &'a Sandbox,
    pub(crate) terminal: Terminal,
    /// What the last prompt said: `$?` and the segment.
    status: String,
    segment: String,
    /// How much of the trace has been read.
    traced: usize,
}

/// Where [`Start::traced`] writes.
const TRACE: &str = "trace";

/// How a shell is started.
pub(crate) struct Start<'a> {
    shell: Shell,
    sandbox: &'a Sandbox,
    /// What the startup file does before and after the hook is loaded.
    before: String,
    after: String,
    command: Command,
    own_stdout: bool,
}

impl<'a> Start<'a> {
    pub(crate) fn new(shell: Shell, sandbox: &'a Sandbox) -> Self {
        let mut command = sandbox.command(shell.name());
        command.env("PATH", path_with_binaries()).env("fish_features", "no-query-term");
        Self { shell, sandbox, before: String::new(), after: String::new(), command, own_stdout: false }
    }

    /// With the starts of all its processes, and the sockets they open, written to [`TRACE`].
    pub(crate) fn traced(shell: Shell, sandbox: &'a Sandbox) -> Self {
        let trace = "trace=fork,vfork,clone,clone3,execve,socket,connect";
        Self::under_strace(shell, sandbox, &["-s", "256", "-e", trace])
    }

    /// With what these options of strace ask for, of it and all its processes, written to [`TRACE`].
    pub(crate) fn under_strace(shell: Shell, sandbox: &'a Sandbox, options: &[&str]) -> Self {
        let untraced = Self::new(shell, sandbox);
        let mut command = sandbox.command("strace");
        command.args(["-f", "-qq", "-e", "signal=none"]).args(options);
        command.arg("-o").arg(sandbox.path(TRACE)).arg(shell.name());
        command.envs(untraced.command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        Self { command, ..untraced }
    }

    /// With stdout caught; what the shell itself has to show goes to the terminal all the same.
    fn with_stdout_caught(mut self) -> Self {
        self.command.arg("-i").stdout(Stdio::piped());
        self.own_stdout = true;
        self
    }

    fn before(mut self, lines: &str) -> Self {
        writeln!(self.before, "{lines}").unwrap();
        self
    }

    fn after(mut self, lines: &str) -> Self {
        writeln!(self.after, "{lines}").unwrap();
        self
    }

    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    fn directory(mut self, inside_home: &str) -> Self {
        let directory = self.sandbox.path(inside_home);
        self.command.env("PWD", &directory).current_dir(directory);
        self
    }

    /// Writes the startup file.
    fn install(&self) {
        let Self { shell, sandbox, before, after, .. } = self;
        let rc = format!("{before}{}{after}{}", shell.init(), shell.marks());
        sandbox.write(shell.startup_file(), rc);
        // Without the folder, fish starts to make completions of all manual pages.
        std::fs::create_dir_all(sandbox.path(".local/share/fish/generated_completions")).unwrap();
    }

    /// Starts the shell and waits for its first prompt.
    pub(crate) fn open(self) -> Session<'a> {
        self.open_and_see().0
    }

    /// The same; also what was shown before the first prompt.
    fn open_and_see(mut self) -> (Session<'a>, String) {
        self.install();
        let start = if self.own_stdout { Terminal::spawn_with_own_stdout } else { Terminal::spawn };
        let terminal = start(&mut self.command);
        let Self { shell, sandbox, .. } = self;
        let mut session =
            Session { shell, sandbox, terminal, status: String::new(), segment: String::new(), traced: 0 };
        let shown = session.until_prompt();
        (session, shown)
    }
}

impl<'a> Session<'a> {
    pub(crate) fn open(shell: Shell, sandbox: &'a Sandbox) -> Self {
        Start::new(shell, sandbox).open()
    }

    /// Types a line and returns what was shown until the next prompt: output, and what the hook says.
    pub(crate) fn run(&mut self, line: impl AsRef<[u8]>) -> String {
        self.begin(line);
        self.until_prompt()
    }

    /// Types a line and sees it begin.
    pub(crate) fn begin(&mut self, line: impl AsRef<[u8]>) {
        self.terminal.send([line.as_ref(), b"\r"].concat());
        self.terminal.wait_for("⟨");
    }

    pub(crate) fn until_prompt(&mut self) -> String {
        let shown = self.terminal.wait_for("⟩");
        let prompt = self.terminal.wait_for("⟩");
        let (status, segment) = prompt.trim_end_matches('⟩').split_once('|').unwrap_or_else(|| panic!("{prompt}"));
        status.clone_into(&mut self.status);
        segment.clone_into(&mut self.segment);
        self.sandbox.plain(text(shown.trim_end_matches('⟩')).trim_end_matches('\n'))
    }

    /// The processes started since the last call, each by the program and arguments it was given, or as it was forked; and
    /// the sockets opened.
    fn processes(&mut self) -> Vec<String> {
        let trace = self.sandbox.read(TRACE);
        let new =
            trace[self.traced..].lines().filter(|line| !line.contains("CLONE_THREAD") && !line.contains(" <... "));
        let new = new.map(str::to_owned).collect();
        self.traced = trace.len();
        new
    }

    /// Runs lines that must show nothing.
    pub(crate) fn quietly<const N: usize>(&mut self, lines: [&str; N]) {
        for line in lines {
            assert_eq!(self.run(line), "", "shown by `{line}`");
        }
    }

    /// Everything exported.
    pub(crate) fn environment(&mut self) -> BTreeMap<OsString, OsString> {
        let dump = self.sandbox.path("environment");
        let _ = std::fs::remove_file(&dump);
        let said = self.run("command env -0 > ~/environment");
        assert_eq!(said, "");
        let dump = std::fs::read(dump).unwrap();
        let entries = dump.split(|byte| *byte == 0).filter(|entry| !entry.is_empty());
        let pairs = entries.filter_map(|entry| {
            let at = entry.iter().position(|byte| *byte == b'=')?;
            Some((OsString::from_vec(entry[..at].to_vec()), OsString::from_vec(entry[at + 1..].to_vec())))
        });
        pairs.collect()
    }

    /// What is exported of the variables that the hook may set, one a line; of `AWSDIR` only that it is.
    pub(crate) fn aws(&mut self) -> String {
        let environment = self.environment();
        let shown = MANAGED.iter().filter_map(|name| {
            let value = environment.get(OsStr::new(name))?;
            Some(match *name {
                "AWSDIR" => "AWSDIR".to_owned(),
                "AWS_CREDENTIAL_EXPIRATION" => (*name).to_owned(),
                name => format!("{name}={}", value.to_string_lossy()),
            })
        });
        shown.collect::<Vec<_>>().join("\n")
    }

    /// The profile in force in the environment; empty if none is.
    fn profile(&mut self) -> String {
        self.environment()
            .get(OsStr::new("AWS_PROFILE"))
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default()
    }
}

fn path_with_binaries() -> OsString {
    let mut path = Path::new(env!("CARGO_BIN_EXE_awsdir")).parent().unwrap().as_os_str().to_owned();
    path.push(":");
    path.push(std::env::var_os("PATH").unwrap());
    path
}

/// What was written to a terminal, without colours, modes and what was overwritten.
fn text(written: &str) -> String {
    let written = written.replace("\r\n", "\n");
    let mut shown = String::new();
    let mut rest = written.chars().peekable();
    while let Some(char) = rest.next() {
        match char {
            '\r' => shown.truncate(shown.rfind('\n').map_or(0, |at| at + 1)),
            '\x1b' => match rest.next() {
                Some('[') => drop(rest.by_ref().find(|char| ('\x40'..='\x7e').contains(char))),
                Some(']') => drop(rest.by_ref().find(|char| matches!(char, '\x07' | '\\'))),
                Some('(' | ')') => drop(rest.next()),
                _ => {}
            },
            '\n' => shown.push(char),
            char if char.is_control() => {}
            char => shown.push(char),
        }
    }
    shown
}
