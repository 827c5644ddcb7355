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
const END: &str = ": awsdir-end\n";

/// Statements for one shell, each on a line of its own.
pub(crate) struct Script {
    shell: Shell,
    text: Vec<u8>,
}

impl Script {
    pub(crate) fn new(shell: Shell) -> Self {
        // As much as role credentials need.
        Self { shell, text: Vec::with_capacity(3072) }
    }

    /// Sets a global variable of the shell's own that children do not see. `name` is ours, never data.
    pub(crate) fn variable(&mut self, name: &str, value: impl AsRef<OsStr>) {
        self.push(match self.shell {
            Shell::Bash => "",
            Shell::Zsh => "\\typeset -g ",
            Shell::Fish => "set -g ",
        });
        self.set(name, value.as_ref());
        self.push("\n");
    }

    /// Changes the environment. Two statements in bash, because `set -k` would take `export A=b` for a command with
    /// an environment of its own. A backslash keeps aliases of the person's out.
    pub(crate) fn assign(&mut self, assignment: &Assignment) {
        let name = assignment.name;
        match (&assignment.value, self.shell) {
            (Some(value), Shell::Bash) => {
                self.set(name, value);
                self.push("; \\export ");
                self.push(name);
            }
            (Some(value), Shell::Zsh) => {
                self.push("\\typeset -gx ");
                self.set(name, value);
            }
            (Some(value), Shell::Fish) => {
                self.push("set -gx ");
                self.set(name, value);
            }
            (None, shell) => {
                self.push(if shell == Shell::Fish { "set -e -g " } else { "\\unset " });
                self.push(name);
            }
        }
        self.push("\n");
    }

    /// The text with its end mark.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.push(END);
        self.text
    }

    /// The text as it is, for what is not evaluated by a hook.
    pub(crate) fn into_text(self) -> Vec<u8> {
        self.text
    }

    fn set(&mut self, name: &str, value: &OsStr) {
        self.push(name);
        if self.shell == Shell::Fish {
            self.push(" ");
            quote::fish(&mut self.text, value.as_bytes());
        } else {
            self.push("=");
            quote::posix(&mut self.text, value.as_bytes());
        }
    }

    fn push(&mut self, ours: &str) {
        self.text.extend_from_slice(ours.as_bytes());
    }
}
