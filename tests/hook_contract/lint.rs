//! The scripts in `shell/` are whole, lintable files.

use crate::sandbox::available;
use std::process::Command;

fn check(program: &str, arguments: &[&str]) {
    if available(program) {
        let output = Command::new(program).args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        assert!(output.status.success() && said.is_empty(), "{}", String::from_utf8_lossy(&said));
    }
}

#[test]
fn bash_is_clean() {
    check("bash", &["-n", "shell/awsdir.bash"]);
    check("shellcheck", &["--shell=bash", "--enable=all", "--norc", "shell/awsdir.bash"]);
    check("shfmt", &["-d", "-i", "2", "-ci", "shell/awsdir.bash"]);
}

#[test]
fn zsh_is_clean() {
    check("zsh", &["-f", "-n", "shell/awsdir.zsh"]);
}

#[test]
fn fish_is_clean() {
    check("fish", &["--no-execute", "shell/awsdir.fish"]);
    check("fish_indent", &["--check", "shell/awsdir.fish"]);
}

/// Sourced as they stand, without what `awsdir init` puts before them, they do nothing and say nothing.
#[test]
fn alone_they_do_nothing() {
    for (shell, arguments) in [
        ("bash", &["--norc", "-i", "-euc", ". shell/awsdir.bash; echo ${PROMPT_COMMAND-none}"][..]),
        ("zsh", &["-f", "-i", "-euc", ". shell/awsdir.zsh; echo ${precmd_functions-none}"]),
        (
            "fish",
            &["--no-config", "-i", "-c", "source shell/awsdir.fish; functions --handlers | grep awsdir; echo none"],
        ),
    ] {
        if available(shell) {
            let ran = crate::terminal::run(Command::new(shell).args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")));
            assert_eq!(super::text(&ran.text()).trim(), "none", "{shell}");
        }
    }
}
