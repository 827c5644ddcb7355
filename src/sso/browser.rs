//! Opening a page where the person looks: the setting, `$BROWSER`, or the platform's opener.

use crate::context::Context;
use crate::core::environment::SECRETS;
use std::ffi::OsStr;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// A way to open pages.
pub(super) struct Browser {
    /// Command lines to try in turn, `%s` standing for the URL; empty for the platform's openers.
    templates: Vec<String>,
}

impl Browser {
    /// The browser to use on this machine; `None` if there is none: nothing is named, and there is no display or
    /// nothing that could open a page on it.
    pub(super) fn find(context: &Context, setting: Option<&str>) -> Option<Self> {
        if let Some(list) = context.var("BROWSER") {
            return Some(Self { templates: list.split(':').map(str::to_owned).collect() });
        }
        if let Some(template) = setting {
            return Some(Self { templates: vec![template.to_owned()] });
        }
        let wsl = context.var("WSL_DISTRO_NAME").is_some();
        let display = cfg!(target_os = "macos")
            || wsl
            || ["DISPLAY", "WAYLAND_DISPLAY"].iter().any(|name| context.var(name).is_some());
        let in_container = Path::new("/.dockerenv").exists() || Path::new("/run/.containerenv").exists();
        let platform = Self { templates: Vec::new() };
        (display && !in_container && platform.commands("").iter().any(|command| exists(command.get_program())))
            .then_some(platform)
    }

    /// Starts the first command that can be started, in a process group of its own so that Ctrl-C here does not close
    /// it, with nothing of our terminal and no credentials.
    pub(super) fn open(&self, url: &str) -> bool {
        self.commands(url).into_iter().any(|mut command| {
            for name in SECRETS {
                command.env_remove(name);
            }
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0).spawn().is_ok()
        })
    }

    fn commands(&self, url: &str) -> Vec<Command> {
        if self.templates.is_empty() {
            return open::commands(url);
        }
        self.templates.iter().filter_map(|template| command(template, url)).collect()
    }
}

/// A command line by a shell's quoting rules, without a shell; the URL at `%s` or at the end.
fn command(template: &str, url: &str) -> Option<Command> {
    let words = shlex::split(template)?;
    let (program, arguments) = words.split_first()?;
    let mut command = Command::new(program);
    command.args(arguments.iter().map(|word| word.replace("%s", url)));
    if !template.contains("%s") {
        command.arg(url);
    }
    Some(command)
}

fn exists(program: &OsStr) -> bool {
    which::which(program).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_become_arguments_without_a_shell() {
        let shown = |template| command(template, "https://x/?a=b&c=$(d)").map(|command| format!("{command:?}"));
        assert_eq!(shown("firefox").unwrap(), r#""firefox" "https://x/?a=b&c=$(d)""#);
        assert_eq!(
            shown("'/opt/my browser' --profile=work %s --new").unwrap(),
            r#""/opt/my browser" "--profile=work" "https://x/?a=b&c=$(d)" "--new""#
        );
        assert!(shown("").is_none());
        assert!(shown("un'closed").is_none());
    }
}
