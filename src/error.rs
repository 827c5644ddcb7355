//! Every failure: what it says, the exit code it gives, the command that mends it (design section 9).

use crate::core::dotfile::DotfileError;
use crate::core::profile::{Misfit, Profile, SsoSession};
use crate::core::{near, timestamp::Timestamp};
use rustix::io::Errno;
use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

/// Paths and names are shown in backticks; what a person can paste stands in [`Error::hint`].
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    // 1: could not do it here
    #[error("could not {verb} `{}`", path.display())]
    File { verb: &'static str, path: PathBuf, source: io::Error },
    #[error("could not write to standard output")]
    Stdout(#[source] io::Error),
    #[error("the home directory is not known: `HOME` is not an absolute path")]
    NoHome,
    #[error("could not listen on `127.0.0.1{}` for {whom}", port.map(|port| format!(":{port}")).unwrap_or_default())]
    Listen { port: Option<u16>, whom: &'static str, source: io::Error },
    #[error("could not {doing}")]
    System { doing: &'static str, source: io::Error },
    #[error("`{}` already exists and is not a dotfile: {error}", path.display())]
    WouldOverwrite { path: PathBuf, error: DotfileError },

    // 3: configuration
    #[error("`{}`, line {line}: {problem}", path.display())]
    Config { path: PathBuf, line: usize, problem: String },
    #[error("`{name}` in the environment: {problem}")]
    Variable { name: String, problem: String },
    #[error("there is no profile `{name}` in `{}`{}", path.display(), did_you_mean(near))]
    UnknownProfile { name: String, path: PathBuf, near: Vec<String> },
    #[error("there is no sso-session `{name}` in `{}`{}", path.display(), did_you_mean(near))]
    UnknownSession { name: String, path: PathBuf, near: Vec<String> },
    #[error("`{}`, line {line}: {misfit}", path.display())]
    Profile { path: PathBuf, line: usize, misfit: Misfit },
    #[error("profile `{profile}` does not sign in through IAM Identity Center")]
    NotSso { profile: String },
    #[error(
        "profile `{profile}` has no credentials: no `sso_account_id`, `role_arn`, `credential_process` or access keys"
    )]
    NoCredentials { profile: String },
    #[error("no profile has `{name}`, and it may be of any sso-session: {}", alternatives(sessions))]
    WhichSession { name: String, sessions: Vec<String> },
    /// What a profile takes its credentials from has none.
    #[error("profile `{profile}` takes the credentials of {of}: {problem}")]
    Source { profile: String, of: String, problem: String },
    #[error("`credential_process` of profile `{profile}` {problem}")]
    CredentialProcess { profile: String, problem: String, said: String },
    #[error("nothing says which profile: no `.awsprofile` here or above, and `AWS_PROFILE` is not set")]
    NoProfile,
    #[error("nothing says which sso-session: no profile is in force here, and there are {count} of them")]
    NoSession { verb: &'static str, count: usize },
    #[error("`{}`, {error}", path.display())]
    Dotfile { path: PathBuf, error: DotfileError },
    #[error("there is no `.awsprofile` in or above `{}`", directory.display())]
    NoDotfile { directory: PathBuf },
    #[error("`{}` is refused: {why}", path.display())]
    DotfileRefused { path: PathBuf, why: &'static str, mend: Option<&'static str> },
    #[error("`{}` is not allowed; it selects {selects}", path.display())]
    NotAllowed { path: PathBuf, profile: String, selects: String },

    // 4: a person is needed, or has said no
    #[error("sign-in needed: {}{}", session_of(session, profile.as_deref()), because(why))]
    SignInNeeded { session: String, profile: Option<String>, why: String },
    #[error("the sign-in to `{session}` was {how}")]
    SignInRefused { session: String, how: String },
    #[error("nobody finished the sign-in to `{session}` within {} s", seconds)]
    SignInTimedOut { session: String, seconds: u64 },
    #[error(
        "permission set `{role_name}` in account {account_id} is not granted to you{}{}",
        because(message),
        did_you_mean(near)
    )]
    NotGranted { account_id: String, role_name: String, message: String, near: Vec<String> },

    #[error("role `{role_arn}` is denied to {whom}{}", because(message))]
    RoleDenied { role_arn: String, whom: String, message: String },
    /// AWS does not accept what the profile takes its credentials from.
    #[error("AWS does not accept the credentials that profile `{profile}` takes from {of}{}", because(message))]
    Refused { profile: String, of: String, message: String },
    #[error("an MFA code of `{serial}` is needed for profile `{profile}`{}", because(why))]
    MfaNeeded { serial: String, profile: String, why: String },
    #[error("the MFA code of `{serial}` was {how}")]
    MfaRefused { serial: String, profile: String, how: String },

    /// Found in the records of another process that tried at the same time.
    #[error("{why}")]
    Setback { mend: String, refused: bool, why: String },

    // 5: service
    #[error("could not reach `{endpoint}`")]
    Unreachable { endpoint: String, cause: String },
    /// Unlike what could not be reached it may have done what it was asked.
    #[error("`{endpoint}` did not answer {operation}")]
    NoAnswer { endpoint: String, operation: &'static str, cause: String },
    #[error("AWS is throttling {operation}")]
    Throttled { operation: &'static str },
    #[error("{operation} failed: {message}{}", request(request_id.as_deref()))]
    Service { operation: &'static str, message: String, request_id: Option<String> },
    #[error("{operation} took longer than {seconds} s")]
    TooSlow { operation: &'static str, seconds: u64 },
    #[error("gave up waiting for {what}, held by process {pid} since {since}")]
    Busy { what: String, pid: u32, since: Timestamp },

    // 126, 127: the command of `exec`
    #[error("`{}` is not executable", command.display())]
    NotExecutable { command: OsString, source: Option<io::Error> },
    #[error("{}", not_found(command))]
    NotFound { command: OsString },

    // 130
    #[error("interrupted")]
    Interrupted,
}

impl Error {
    /// The process's exit code.
    pub(crate) fn code(&self) -> u8 {
        match self {
            Self::File { .. }
            | Self::Stdout(_)
            | Self::NoHome
            | Self::Listen { .. }
            | Self::System { .. }
            | Self::WouldOverwrite { .. } => 1,
            Self::Config { .. }
            | Self::Variable { .. }
            | Self::UnknownProfile { .. }
            | Self::UnknownSession { .. }
            | Self::Profile { .. }
            | Self::NotSso { .. }
            | Self::NoCredentials { .. }
            | Self::WhichSession { .. }
            | Self::Source { .. }
            | Self::CredentialProcess { .. }
            | Self::NoProfile
            | Self::NoSession { .. }
            | Self::Dotfile { .. }
            | Self::NoDotfile { .. }
            | Self::DotfileRefused { .. }
            | Self::NotAllowed { .. } => 3,
            Self::Setback { refused, .. } if !refused => 5,
            Self::Setback { .. }
            | Self::SignInNeeded { .. }
            | Self::SignInRefused { .. }
            | Self::SignInTimedOut { .. }
            | Self::NotGranted { .. }
            | Self::RoleDenied { .. }
            | Self::Refused { .. }
            | Self::MfaNeeded { .. }
            | Self::MfaRefused { .. } => 4,
            Self::Unreachable { .. }
            | Self::NoAnswer { .. }
            | Self::Throttled { .. }
            | Self::Service { .. }
            | Self::TooSlow { .. }
            | Self::Busy { .. } => 5,
            Self::NotExecutable { .. } => 126,
            Self::NotFound { .. } => 127,
            Self::Interrupted => 130,
        }
    }

    /// What lies beneath, where it adds anything.
    pub(crate) fn cause(&self) -> Option<String> {
        match self {
            Self::File { source, .. }
            | Self::Stdout(source)
            | Self::Listen { source, .. }
            | Self::System { source, .. } => Some(source.to_string()),
            Self::NotExecutable { source, .. } => source.as_ref().map(ToString::to_string),
            Self::Unreachable { cause, .. } | Self::NoAnswer { cause, .. } => Some(cause.clone()),
            Self::CredentialProcess { said, .. } if !said.is_empty() => Some(said.clone()),
            _ => None,
        }
    }

    /// One command or edit that mends it, to be pasted or typed.
    pub(crate) fn hint(&self) -> Option<String> {
        Some(match self {
            Self::UnknownProfile { near, .. } if near.is_empty() => "awsdir list".to_owned(),
            Self::NotAllowed { path, .. } => format!("awsdir allow {}", pasteable(path)),
            Self::DotfileRefused { path, mend: Some(mend), .. } => {
                let path = pasteable(path);
                format!("{mend} {path} && awsdir allow {path}")
            }
            Self::File { verb: "lock", source, .. } if knows_no_locks(source) => NO_LOCKS_HINT.to_owned(),
            Self::NoProfile | Self::NoDotfile { .. } => "awsdir pin PROFILE".to_owned(),
            Self::NoSession { verb, .. } => format!("awsdir {verb} --session NAME"),
            Self::SignInNeeded { session, profile, .. } => login_command(session, profile.as_deref()),
            Self::SignInRefused { session, .. } | Self::SignInTimedOut { session, .. } => login_command(session, None),
            Self::Setback { mend, refused: true, .. } => mend.clone(),
            Self::MfaNeeded { profile, .. } | Self::MfaRefused { profile, .. } => format!("awsdir login {profile}"),
            Self::WhichSession { .. } => "awsdir list".to_owned(),
            _ => return None,
        })
    }
}

/// The command that signs in: by profile where one is known, else by sso-session.
pub(crate) fn login_command(session: &str, profile: Option<&str>) -> String {
    match profile {
        Some(profile) => format!("awsdir login {profile}"),
        None => format!("awsdir login --session {}", pasteable(std::path::Path::new(session))),
    }
}

/// The command by which a person does their part for a profile.
pub(crate) fn login_to(profile: &Profile) -> String {
    let session = profile.session().map(SsoSession::label).unwrap_or_default();
    login_command(session, Some(profile.name()).filter(|_| profile.is_in_config()))
}

/// A path as one word of a shell's command line, without control characters.
pub(crate) fn pasteable(path: &std::path::Path) -> String {
    use std::fmt::Write as _;
    let text = path.to_string_lossy();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:@%,=".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.into_owned();
    }
    if !text.chars().any(char::is_control) {
        return format!("'{}'", text.replace('\'', r"'\''"));
    }
    let mut word = "$'".to_owned();
    for c in text.chars() {
        match c {
            '\'' | '\\' => word.extend(['\\', c]),
            c if c.is_control() => {
                for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                    let _ = write!(word, "\\{byte:03o}");
                }
            }
            c => word.push(c),
        }
    }
    word + "'"
}

impl Error {
    /// All of it in one line, for the hook and what runs under it.
    pub(crate) fn in_one_line(&self) -> String {
        let cause = self.cause().map(|cause| format!(" ({cause})")).unwrap_or_default();
        let hint = self.hint().map(|hint| format!("; run: {hint}")).unwrap_or_default();
        format!("awsdir: {self}{cause}{hint}")
    }
}

impl From<&Error> for ExitCode {
    fn from(error: &Error) -> Self {
        Self::from(error.code())
    }
}

/// To be put where the shell starts: all shells must agree on it.
const NO_LOCKS_HINT: &str = "export XDG_STATE_HOME=\"$XDG_RUNTIME_DIR\"";

/// Whether a file system, of a network mostly, has no locks to offer.
fn knows_no_locks(source: &io::Error) -> bool {
    let errno = Errno::from_io_error(source);
    matches!(errno, Some(Errno::NOLCK | Errno::NOTSUP | Errno::NOSYS))
}

fn not_found(command: &OsString) -> String {
    let shown = command.display();
    if command.as_encoded_bytes().contains(&b'/') {
        format!("there is no `{shown}`")
    } else {
        format!("`{shown}` is not on the PATH")
    }
}

fn did_you_mean(near: &[String]) -> String {
    if near.is_empty() { String::new() } else { format!("; did you mean {}?", alternatives(near)) }
}

fn alternatives(names: &[String]) -> String {
    near::alternatives(&names.iter().map(String::as_str).collect::<Vec<_>>())
}

fn session_of(session: &str, profile: Option<&str>) -> String {
    match profile {
        Some(profile) => format!("the session `{session}` of profile `{profile}` is stale"),
        None => format!("the session `{session}` is stale"),
    }
}

fn because(why: &str) -> String {
    if why.is_empty() { String::new() } else { format!(" ({why})") }
}

fn request(id: Option<&str>) -> String {
    id.map(|id| format!(" (request id {id})")).unwrap_or_default()
}

pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;

#[cfg(test)]
mod tests {
    use super::pasteable;
    use std::path::Path;

    #[test]
    fn a_path_can_be_pasted_and_commands_no_terminal() {
        let shown = |path| pasteable(Path::new(path));
        assert_eq!(shown("/a/b-c.d"), "/a/b-c.d");
        assert_eq!(shown("/it's $x"), r"'/it'\''s $x'");
        assert_eq!(shown("/\x1b]0;it's\\\u{9b}\n"), r"$'/\033]0;it\'s\\\302\233\012'");
        assert_eq!(shown(""), "''");
    }
}
