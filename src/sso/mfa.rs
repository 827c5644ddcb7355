//! The codes of MFA devices: from the person's own command, else asked for at the terminal.

use super::process;
use super::sign_in::{How, line_from_terminal};
use crate::context::{Context, eprint_line};
use crate::core::credentials::Secret;
use crate::error::{Error, Result};

/// Who wants a code, and how it may be had.
#[derive(Clone, Copy)]
pub(super) struct MfaQuestion<'a> {
    pub(super) serial: &'a str,
    /// The profile whose role needs it.
    pub(super) profile: &'a str,
    /// The command of the setting `mfa_process`.
    pub(super) process: Option<&'a str>,
    /// How long a person has, or why nobody can be asked.
    pub(super) person: &'a Result<How, String>,
}

impl MfaQuestion<'_> {
    /// The code.
    pub(super) async fn answer(&self, context: &Context) -> Result<Secret> {
        let failed = match self.process {
            Some(line) => match process::mfa_code(context, line, self.serial).await {
                Ok(code) if is_code(&code) => return Ok(Secret::new(code.as_str())),
                Ok(_) => Some("`mfa_process` printed no code of six digits".to_owned()),
                Err(problem) => Some(format!("`mfa_process` {problem}")),
            },
            None => None,
        };
        let how = match self.person {
            Ok(how) if context.stdin_is_terminal => how,
            Ok(_) => return Err(self.needed(failed.as_deref().unwrap_or("nobody to ask"))),
            Err(why) => return Err(self.needed(failed.as_deref().unwrap_or(why))),
        };
        if let Some(failed) = failed {
            context.say(&format!("awsdir: {failed}"));
        }
        let seconds = how.timeout.as_secs();
        let answered = tokio::time::timeout(how.timeout, self.ask()).await;
        answered.unwrap_or_else(|_| Err(self.refused(&format!("not given within {seconds} s"))))
    }

    async fn ask(&self) -> Result<Secret> {
        eprint_line(&format!("awsdir: MFA code of `{}` for profile `{}`:", self.serial, self.profile));
        loop {
            match line_from_terminal().await {
                Some(line) if is_code(line.trim()) => return Ok(Secret::new(line.trim())),
                Some(line) if line.trim().is_empty() => return Err(self.refused("not given")),
                Some(_) => eprint_line("awsdir: a code has six digits; nothing gives it up:"),
                None => return Err(self.refused("not given")),
            }
        }
    }

    fn needed(&self, why: &str) -> Error {
        let (serial, profile) = (self.serial.to_owned(), self.profile.to_owned());
        Error::MfaNeeded { serial, profile, why: why.to_owned() }
    }

    fn refused(&self, how: &str) -> Error {
        let (serial, profile) = (self.serial.to_owned(), self.profile.to_owned());
        Error::MfaRefused { serial, profile, how: how.to_owned() }
    }
}

fn is_code(text: &str) -> bool {
    text.len() == 6 && text.bytes().all(|byte| byte.is_ascii_digit())
}
