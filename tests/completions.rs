//! Completion: what the program answers, and that each shell comes to ask.

use crate::sandbox::{Sandbox, available};
use std::path::Path;
use std::process::Command;

/// What is offered for the last of these words, one a line.
fn offered(sandbox: &Sandbox, words: &[&str]) -> String {
    let mut command = sandbox.awsdir(["--"].iter().chain(words));
    command.env("AWSDIR_COMPLETE", "bash").env("_CLAP_IFS", "\n");
    command.env("_CLAP_COMPLETE_INDEX", (words.len() - 1).to_string());
    sandbox.transcript(&mut command)
}

/// A shell that finds both programs on its path and runs `script`.
fn shell(sandbox: &Sandbox, arguments: &[&str], script: &str) -> Command {
    let binaries = Path::new(env!("CARGO_BIN_EXE_awsdir")).parent().unwrap();
    let path = format!("{}:{}", binaries.display(), std::env::var("PATH").unwrap());
    let mut command = sandbox.command(arguments[0]);
    command.args(&arguments[1..]).arg(script).env("PATH", path);
    command
}

#[test]
fn profiles_and_sessions_come_from_the_config() {
    let sandbox = Sandbox::new();
    sandbox.write(".aws/credentials", "[of-credentials]\naws_access_key_id = AKIAEXAMPLE\n");
    let profiles = "read-only\nprod-admin\nno-region\nlegacy\nstatic\nof-credentials";
    for words in [&["awsdir", "pin", ""][..], &["awsdir", "exec", ""], &["with-aws", ""], &["/usr/bin/with-aws", ""]] {
        let all = offered(&sandbox, words);
        let names: Vec<&str> = all.lines().filter(|word| !word.starts_with('-')).collect();
        assert_eq!(names.join("\n"), profiles, "{words:?}");
    }
    assert_eq!(offered(&sandbox, &["awsdir", "export", "re"]), "read-only");
    assert_eq!(offered(&sandbox, &["awsdir", "login", "--session", "c"]), "corp");
    assert_eq!(offered(&sandbox, &["awsdir", "stat"]), "status");
    assert_eq!(offered(&sandbox, &["awsdir", "export", "read-only", "--format", "env"]), "env\nenv-no-export");
}

#[test]
fn a_config_that_cannot_be_read_offers_what_can() {
    let sandbox = Sandbox::new();
    sandbox.write(".aws/config", "[profile broken\n[profile whole]\nno equals sign\n[profile also]\n");
    assert_eq!(offered(&sandbox, &["with-aws", "a"]), "also");
    std::fs::remove_dir_all(sandbox.path(".aws")).unwrap();
    assert_eq!(offered(&sandbox, &["with-aws", "a"]), "");
}

#[test]
fn bash_asks() {
    let sandbox = Sandbox::new();
    if !available("bash") {
        return;
    }
    let script = r#"
source <(awsdir completions bash)
COMP_WORDS=(awsdir export re) COMP_CWORD=2
_clap_complete_awsdir awsdir re export
echo "${COMPREPLY[@]}"
COMP_WORDS=(with-aws pro) COMP_CWORD=1
_clap_complete_with_aws with-aws pro with-aws
echo "${COMPREPLY[@]}"
complete -p awsdir with-aws | grep -o 'F [^ ]* .*'
"#;
    let shown = sandbox.transcript(&mut shell(&sandbox, &["bash", "--norc", "-c"], script));
    insta::assert_snapshot!(shown, @r"
    read-only
    prod-admin
    F _clap_complete_awsdir awsdir
    F _clap_complete_with_aws with-aws
    ");
}

#[test]
fn zsh_asks() {
    let sandbox = Sandbox::new();
    if !available("zsh") {
        return;
    }
    let script = "autoload -Uz compinit && compinit -D -u\nsource <(awsdir completions zsh)\n\
                  print -l $_comps[awsdir] $_comps[with-aws]";
    let shown = sandbox.transcript(&mut shell(&sandbox, &["zsh", "-f", "-c"], script));
    insta::assert_snapshot!(shown, @r"
    _clap_dynamic_completer_awsdir
    _clap_dynamic_completer_with_aws
    ");
}

#[test]
fn fish_asks() {
    let sandbox = Sandbox::new();
    if !available("fish") {
        return;
    }
    let script = "awsdir completions fish | source; complete -C 'awsdir export re'; complete -C 'with-aws pro'";
    let shown = sandbox.transcript(&mut shell(&sandbox, &["fish", "--no-config", "-c"], script));
    insta::assert_snapshot!(shown, @r"
    read-only
    prod-admin
    ");
}
