//! Dialects: assignments in, text out that a shell evaluates. Quoting is a security boundary: whatever bytes a value
//! holds, they arrive in the variable and nowhere else.

mod export;
mod quote;

pub(crate) use export::{Format, export};

use crate::core::environment::Assignment;
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt;

/// A shell with a hook.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Shell {
    Bash,
    Zsh,
    Fish,
}

impl Shell {
    /// The hook, verbatim from `shell/`.
    pub(crate) fn script(self) -> &'static str {
        match self {
            Self::Bash => include_str!("../../shell/awsdir.bash"),
            Self::Zsh => include_str!("../../shell/awsdir.zsh"),
            Self::Fish => include_str!("../../shell/awsdir.fish"),
        }
    }
}

/// The last line of what a hook evaluates; without it the text is not whole.
const END: &str = ": awsdir-end";

/// Statements for one shell, each on a line of its own.
pub(crate) struct Script {
    shell: Shell,
    text: String,
}

impl Script {
    pub(crate) fn new(shell: Shell) -> Self {
        Self { shell, text: String::new() }
    }

    /// Sets a global variable of the shell's own that children do not see. `name` is ours, never data.
    pub(crate) fn variable(&mut self, name: &str, value: impl AsRef<OsStr>) {
        let value = self.quoted(value.as_ref());
        let _ = match self.shell {
            Shell::Bash => writeln!(self.text, "{name}={value}"),
            Shell::Zsh => writeln!(self.text, "\\typeset -g {name}={value}"),
            Shell::Fish => writeln!(self.text, "set -g {name} {value}"),
        };
    }

    /// Changes the environment. Two statements in bash, because `set -k` would take `export A=b` for a command with
    /// an environment of its own. A backslash keeps aliases of the person's out.
    pub(crate) fn assign(&mut self, assignment: &Assignment) {
        let name = assignment.name;
        let _ = match &assignment.value {
            Some(value) => {
                let value = self.quoted(value);
                match self.shell {
                    Shell::Bash => writeln!(self.text, "{name}={value}; \\export {name}"),
                    Shell::Zsh => writeln!(self.text, "\\typeset -gx {name}={value}"),
                    Shell::Fish => writeln!(self.text, "set -gx {name} {value}"),
                }
            }
            None => match self.shell {
                Shell::Bash | Shell::Zsh => writeln!(self.text, "\\unset {name}"),
                Shell::Fish => writeln!(self.text, "set -e -g {name}"),
            },
        };
    }

    /// The text with its end mark.
    pub(crate) fn finish(mut self) -> String {
        self.text.push_str(END);
        self.text.push('\n');
        self.text
    }

    /// The text as it is, for what is not evaluated by a hook.
    pub(crate) fn into_text(self) -> String {
        self.text
    }

    fn quoted(&self, value: &OsStr) -> String {
        match self.shell {
            Shell::Bash | Shell::Zsh => quote::posix(value.as_bytes()),
            Shell::Fish => quote::fish(value.as_bytes()),
        }
    }
}
