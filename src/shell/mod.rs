//! Dialects: assignments in, text out that a shell evaluates. Quoting is a security boundary: whatever bytes a value
//! holds, they arrive in the variable and nowhere else.

mod export;
mod quote;

pub(crate) use export::{Format, export};

use crate::core::environment::Assignment;
use std::ffi::OsStr;
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
        Self { shell, text: String::with_capacity(4096) }
    }

    /// Sets a global variable of the shell's own that children do not see. `name` is ours, never data.
    pub(crate) fn variable(&mut self, name: &str, value: impl AsRef<OsStr>) {
        self.text.push_str(match self.shell {
            Shell::Bash => "",
            Shell::Zsh => "\\typeset -g ",
            Shell::Fish => "set -g ",
        });
        self.set(name, value.as_ref());
        self.text.push('\n');
    }

    /// Changes the environment. Two statements in bash, because `set -k` would take `export A=b` for a command with
    /// an environment of its own. A backslash keeps aliases of the person's out.
    pub(crate) fn assign(&mut self, assignment: &Assignment) {
        let name = assignment.name;
        match (&assignment.value, self.shell) {
            (Some(value), Shell::Bash) => {
                self.set(name, value);
                self.text.extend(["; \\export ", name]);
            }
            (Some(value), Shell::Zsh) => {
                self.text.push_str("\\typeset -gx ");
                self.set(name, value);
            }
            (Some(value), Shell::Fish) => {
                self.text.push_str("set -gx ");
                self.set(name, value);
            }
            (None, Shell::Bash | Shell::Zsh) => self.text.extend(["\\unset ", name]),
            (None, Shell::Fish) => self.text.extend(["set -e -g ", name]),
        }
        self.text.push('\n');
    }

    fn set(&mut self, name: &str, value: &OsStr) {
        self.text.push_str(name);
        match self.shell {
            Shell::Bash | Shell::Zsh => {
                self.text.push('=');
                quote::posix(&mut self.text, value.as_bytes());
            }
            Shell::Fish => {
                self.text.push(' ');
                quote::fish(&mut self.text, value.as_bytes());
            }
        }
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
}
