//! Everything ambient: the environment, the directory, the home, the time, the terminals. Nobody else asks for it.

use crate::core::timestamp::Timestamp;
use crate::error::{Error, Result};
use crate::name_service;
use std::borrow::Cow;
use std::ffi::OsString;
use std::io::IsTerminal;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// How much is said on stderr.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Verbosity {
    /// Errors only.
    Quiet,
    #[default]
    Normal,
    /// Each step, in a sentence.
    Verbose,
}

/// The world a command runs in.
#[derive(Clone, Debug)]
pub(crate) struct Context {
    /// The directory as the shell sees it: `$PWD` with its symlinks where that is true, so that we walk up the
    /// same way as the shell does.
    pub(crate) directory: PathBuf,
    /// There is no symlink in [`Self::directory`].
    is_physical: bool,
    home: Option<PathBuf>,
    state_directory: Option<PathBuf>,
    aws_config_file: Option<PathBuf>,
    aws_credentials_file: Option<PathBuf>,
    pub(crate) now: Timestamp,
    pub(crate) uid: u32,
    pub(crate) stdin_is_terminal: bool,
    pub(crate) stderr_is_terminal: bool,
    pub(crate) verbosity: Verbosity,
    /// Whether stderr gets colours.
    pub(crate) color: bool,
}

impl Context {
    pub(crate) fn new() -> Self {
        let physical = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/"));
        let (directory, is_physical) = match variable("PWD").map(PathBuf::from) {
            Some(pwd) if pwd != physical && pwd.is_absolute() && same_file(&pwd, Path::new(".")) => (pwd, false),
            _ => (physical, true),
        };
        if variable("HOME").is_none() {
            // Then it stands in the user database.
            name_service::use_built_in_sources();
        }
        let home = std::env::home_dir().filter(|home| home.is_absolute());
        Self {
            directory,
            is_physical,
            state_directory: xdg(home.as_deref(), "XDG_STATE_HOME", ".local/state/", "awsdir"),
            aws_config_file: aws_file(home.as_deref(), "AWS_CONFIG_FILE", ".aws/config"),
            aws_credentials_file: aws_file(home.as_deref(), "AWS_SHARED_CREDENTIALS_FILE", ".aws/credentials"),
            home,
            now: clock(),
            uid: rustix::process::getuid().as_raw(),
            // Rust's own handle would come with a buffer.
            stdin_is_terminal: rustix::termios::isatty(rustix::stdio::stdin()),
            stderr_is_terminal: std::io::stderr().is_terminal(),
            verbosity: Verbosity::default(),
            color: false,
        }
    }

    /// The same world at the present moment, for those who have waited.
    pub(crate) fn at_present(&self) -> Self {
        Self { now: clock(), ..self.clone() }
    }

    /// A variable's value as it stands.
    ///
    /// Asked of the system each time: a hook needs a dozen of the hundred variables that a shell exports.
    #[expect(clippy::unused_self, reason = "the environment belongs to the context, wherever it is kept")]
    pub(crate) fn var_os(&self, name: &str) -> Option<OsString> {
        variable(name)
    }

    /// A variable's value if it is set, not empty and text.
    pub(crate) fn var(&self, name: &str) -> Option<String> {
        self.var_os(name)?.into_string().ok().filter(|value| !value.is_empty())
    }

    pub(crate) fn home(&self) -> Result<&Path> {
        self.home.as_deref().ok_or(Error::NoHome)
    }

    /// `$XDG_CONFIG_HOME/awsdir/config`.
    pub(crate) fn settings_file(&self) -> Result<PathBuf> {
        xdg(self.home.as_deref(), "XDG_CONFIG_HOME", ".config/", "awsdir/config").ok_or(Error::NoHome)
    }

    /// `$XDG_STATE_HOME/awsdir`: trust, locks and what shells watch.
    pub(crate) fn state_directory(&self) -> Result<&Path> {
        self.state_directory.as_deref().ok_or(Error::NoHome)
    }

    /// `AWS_CONFIG_FILE`, else `~/.aws/config`.
    pub(crate) fn aws_config_file(&self) -> Result<&Path> {
        self.aws_config_file.as_deref().ok_or(Error::NoHome)
    }

    /// `AWS_SHARED_CREDENTIALS_FILE`, else `~/.aws/credentials`.
    pub(crate) fn aws_credentials_file(&self) -> Result<&Path> {
        self.aws_credentials_file.as_deref().ok_or(Error::NoHome)
    }

    /// `~/x` as a path in the home directory; anything else as it is.
    pub(crate) fn expand(&self, path: &Path) -> Result<PathBuf> {
        expand(self.home.as_deref(), path).ok_or(Error::NoHome)
    }

    /// A directory with its symlinks resolved; as it is where that fails. Above a physical directory there are none, and
    /// nobody looks.
    pub(crate) fn canonical<'a>(&'a self, directory: &'a Path) -> Cow<'a, Path> {
        let mut above = self.directory.ancestors();
        match above.find(|above| self.is_physical && *above == directory) {
            Some(above) => Cow::Borrowed(above),
            None => directory.canonicalize().map_or(Cow::Borrowed(directory), Cow::Owned),
        }
    }

    /// Why nobody can be asked to sign in, if so: no terminal to read our words on, or a mark of a shell that a machine
    /// runs for itself.
    pub(crate) fn nobody_because(&self) -> Option<String> {
        /// Set by CI systems, by editors that start a shell to read its environment, and by coding agents.
        const MACHINES: [&str; 9] = [
            "CI",
            "VSCODE_RESOLVING_ENVIRONMENT",
            "INTELLIJ_ENVIRONMENT_READER",
            "ZED_ENVIRONMENT_READER",
            "CLAUDECODE",
            "CURSOR_AGENT",
            "GEMINI_CLI",
            "CODEX_SANDBOX",
            "AI_AGENT",
        ];
        if !self.stderr_is_terminal {
            return Some("no terminal".to_owned());
        }
        let says_so = |name: &&&str| self.var(name).is_some_and(|value| value != "false" && value != "0");
        MACHINES.iter().find(says_so).map(|name| format!("`{name}` is set"))
    }

    pub(crate) fn person_present(&self) -> bool {
        self.nobody_because().is_none()
    }

    /// Says something on stderr, unless `--quiet`.
    pub(crate) fn say(&self, text: &str) {
        if self.verbosity > Verbosity::Quiet {
            eprint_line(text);
        }
    }

    /// Says a step on stderr if `--verbose`.
    pub(crate) fn detail(&self, text: &str) {
        if self.verbosity == Verbosity::Verbose {
            eprint_line(&format!("awsdir: {text}"));
        }
    }
}

/// The time now. Commands use [`Context::now`]; only code that waits in between asks again.
pub(crate) fn clock() -> Timestamp {
    let seconds = match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_secs()).unwrap_or(i64::MAX),
        Err(before) => -i64::try_from(before.duration().as_secs()).unwrap_or(i64::MAX),
    };
    Timestamp::from_epoch(seconds)
}

/// Writes a line to stderr; a closed stderr is nobody's failure. Whatever names and messages of strangers are in it,
/// nothing reaches the terminal but text.
pub(crate) fn eprint_line(text: &str) {
    eprint_styled(&[("", text)]);
}

/// [`eprint_line`] of several parts, each in a style: an escape sequence of ours, or nothing.
pub(crate) fn eprint_styled(parts: &[(&str, &str)]) {
    use std::io::Write as _;
    let styled = parts.iter().map(|(style, text)| match *style {
        "" => printable(text),
        style => format!("{style}{}\x1b[0m", printable(text)),
    });
    let _ = writeln!(std::io::stderr().lock(), "{}", styled.collect::<String>());
}

/// A text for a line on a terminal: control characters, which it would obey, are shown as `\u{1b}`. Newlines too: a
/// directory's name must not speak for us.
pub(crate) fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() {
            shown.extend(c.escape_unicode());
        } else {
            shown.push(c);
        }
    }
    shown
}

#[expect(clippy::disallowed_methods, reason = "this is the one place")]
fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name)
}

/// A path of the XDG base directory specification: `rest` under the directory that the variable names, or under `default`
/// in the home directory. A relative one counts as none.
fn xdg(home: Option<&Path>, name: &str, default: &str, rest: &str) -> Option<PathBuf> {
    match variable(name).map(PathBuf::from).filter(|path| path.is_absolute()) {
        Some(base) => Some(join(&base, [rest])),
        None => Some(join(home?, [default, rest])),
    }
}

/// What stands after the name of one of the user's AWS files in the name of a symlink to it, beside a copy of ours that
/// takes its place in a command of `with-aws --renew`. We read the user's own there too.
pub(crate) const ORIGINAL: &str = ".awsdir-original";

/// The path that the variable names, `~/` expanded, or `default` in the home directory.
fn aws_file(home: Option<&Path>, name: &str, default: &str) -> Option<PathBuf> {
    match variable(name).filter(|value| !value.is_empty()) {
        Some(value) => {
            let path = expand(home, Path::new(&value))?;
            let mut original = path.clone().into_os_string();
            original.push(ORIGINAL);
            Some(std::fs::read_link(original).unwrap_or(path))
        }
        None => Some(join(home?, [default])),
    }
}

fn expand(home: Option<&Path>, path: &Path) -> Option<PathBuf> {
    match path.strip_prefix("~") {
        Ok(rest) => Some(home?.join(rest)),
        Err(_) => Some(path.to_owned()),
    }
}

/// [`Path::join`] of the pieces of one relative path, with one allocation; a hook joins a dozen.
pub(crate) fn join<const N: usize>(base: &Path, pieces: [&str; N]) -> PathBuf {
    let mut path =
        OsString::with_capacity(base.as_os_str().len() + 1 + pieces.iter().map(|piece| piece.len()).sum::<usize>());
    path.push(base);
    if !base.as_os_str().as_encoded_bytes().ends_with(b"/") {
        path.push("/");
    }
    for piece in pieces {
        path.push(piece);
    }
    path.into()
}

fn same_file(a: &Path, b: &Path) -> bool {
    match (a.metadata(), b.metadata()) {
        (Ok(a), Ok(b)) => (a.dev(), a.ino()) == (b.dev(), b.ino()),
        _ => false,
    }
}
