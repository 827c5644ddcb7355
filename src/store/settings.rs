//! awsdir's own settings: `$XDG_CONFIG_HOME/awsdir/config`, every key optional. The environment beats the file.

use super::aws_config::{self, RawSection};
use super::files;
use crate::context::Context;
use crate::core::dotfile::{CredentialsMode, LoginMode};
use crate::core::segment::Style;
use crate::error::{Error, Result};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// How a person signs in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flow {
    /// Authorization code with PKCE, back to a loopback listener.
    Pkce,
    /// Device code: a code to confirm in any browser anywhere.
    Device,
}

/// The settings of one sso-session.
#[derive(Clone, Debug, Default)]
pub(crate) struct SessionSettings {
    name: String,
    pub(crate) browser: Option<String>,
    pub(crate) flow: Option<Flow>,
    /// Port of the loopback listener, for `ssh -L`.
    pub(crate) port: Option<u16>,
}

#[derive(Debug, Default)]
pub(crate) struct Settings {
    pub(crate) login: Option<LoginMode>,
    pub(crate) credentials: Option<CredentialsMode>,
    /// Folders whose dotfiles need no `awsdir allow`.
    pub(crate) trust: Vec<PathBuf>,
    browser: Option<String>,
    /// The command that prints an MFA code, so that nobody is asked for it.
    pub(crate) mfa_process: Option<String>,
    sessions: Vec<SessionSettings>,
    pub(crate) style: Style,
}

impl Settings {
    pub(crate) fn load(context: &Context) -> Result<Self> {
        let path = context.settings_file()?;
        let mut settings = Self::parse(&files::read_or_empty(&path)?, &path, context)?;
        settings.take_environment(context)?;
        Ok(settings)
    }

    /// What the file at `path` sets.
    pub(crate) fn parse(bytes: &[u8], path: &Path, context: &Context) -> Result<Self> {
        let wrong = |line: usize, problem: String| Error::Config { path: path.to_owned(), line, problem };
        let text = std::str::from_utf8(bytes).map_err(|error| {
            let line = 1 + memchr::memchr_iter(b'\n', &bytes[..error.valid_up_to()]).count();
            wrong(line, "a byte that is not UTF-8".to_owned())
        })?;
        let mut settings = Self::default();
        for section in aws_config::sections(text).map_err(|error| wrong(error.line, error.problem.to_string()))? {
            settings.take(&section, context).map_err(|(line, problem)| wrong(line, problem))?;
        }
        Ok(settings)
    }

    /// What is set for this sso-session, with `[awsdir]`'s browser where it has none of its own.
    pub(crate) fn session(&self, name: &str) -> SessionSettings {
        let mut session = self.sessions.iter().find(|session| session.name == name).cloned().unwrap_or_default();
        session.browser = session.browser.or_else(|| self.browser.clone());
        session
    }

    fn take(&mut self, section: &RawSection<'_>, context: &Context) -> Result<(), (usize, String)> {
        let header = section.title.trim();
        let mut session = match section.name() {
            (Some("session"), name) => Some(SessionSettings { name: name.to_owned(), ..SessionSettings::default() }),
            _ => None,
        };
        for property in section.properties() {
            let (key, value, line) = (property.key, property.value.trim(), property.line);
            let bad = |words: &str| (line, format!("`{key}` is {words}, not `{value}`"));
            match (header, &mut session, key) {
                ("awsdir", _, "login") => {
                    self.login = Some(LoginMode::parse(value).ok_or_else(|| bad(LoginMode::WORDS))?);
                }
                ("awsdir", _, "credentials") => {
                    self.credentials = Some(CredentialsMode::parse(value).ok_or_else(|| bad(CredentialsMode::WORDS))?);
                }
                ("awsdir", _, "trust") => self.trust = roots(OsStr::new(value), context),
                ("awsdir", _, "browser") => self.browser = Some(value.to_owned()),
                ("awsdir", _, "mfa_process") => self.mfa_process = Some(value.to_owned()),
                (_, Some(session), "browser") => session.browser = Some(value.to_owned()),
                (_, Some(session), "flow") => {
                    session.flow = Some(match value {
                        "pkce" => Flow::Pkce,
                        "device" => Flow::Device,
                        _ => return Err(bad("`pkce` or `device`")),
                    });
                }
                (_, Some(session), "port") => session.port = Some(value.parse().map_err(|_| bad("a port number"))?),
                ("prompt", _, "format") => value.clone_into(&mut self.style.format),
                ("prompt", _, "danger") => self.style.danger = value.split_whitespace().map(str::to_owned).collect(),
                ("awsdir" | "prompt", _, _) | (_, Some(_), _) => {
                    return Err((line, format!("unknown key `{key}` in `[{header}]`")));
                }
                _ => {}
            }
        }
        match session {
            Some(session) => self.sessions.push(session),
            None if !matches!(header, "awsdir" | "prompt") => {
                return Err((section.line, format!("unknown section `[{header}]`")));
            }
            None => {}
        }
        Ok(())
    }

    fn take_environment(&mut self, context: &Context) -> Result<()> {
        let bad = |name: &str, value: &str, words: &str| Error::Variable {
            name: name.to_owned(),
            problem: format!("it is {words}, not `{value}`"),
        };
        if let Some(value) = context.var("AWSDIR_LOGIN") {
            let mode = LoginMode::parse(&value).ok_or_else(|| bad("AWSDIR_LOGIN", &value, LoginMode::WORDS))?;
            self.login = Some(mode);
        }
        if let Some(value) = context.var("AWSDIR_CREDENTIALS") {
            let mode = CredentialsMode::parse(&value)
                .ok_or_else(|| bad("AWSDIR_CREDENTIALS", &value, CredentialsMode::WORDS))?;
            self.credentials = Some(mode);
        }
        if let Some(value) = context.var_os("AWSDIR_TRUST") {
            self.trust = roots(&value, context);
        }
        Ok(())
    }
}

/// Colon separated folders, `~/` expanded; what is not absolute names no place and is dropped.
fn roots(list: &OsStr, context: &Context) -> Vec<PathBuf> {
    list.as_bytes()
        .split(|byte| *byte == b':')
        .filter_map(|root| context.expand(Path::new(OsStr::from_bytes(root))).ok())
        .filter(|root| root.is_absolute())
        .collect()
}
