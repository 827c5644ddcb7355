//! The short way to the command lines that run all the time: what hooks, prompts and wrappers type. To build the whole
//! grammar costs three times as much as all that such a command does.
//!
//! The grammar stays the truth: what is not recognised here goes to it, and a test holds both to the same answer.

use super::{Cli, Color, Command, CredentialProcess, Exec, ExecLogin, Export, Global, Hook, Prompt, Status, WithAws};
use crate::shell::{Format, Shell};
use std::ffi::OsString;

const GLOBAL: Global = Global { quiet: false, verbose: false, color: Color::Auto };

/// The command line of `awsdir` that these words are, the program's name left out, if it is a frequent one.
pub(crate) fn awsdir(words: &[OsString]) -> Option<Cli> {
    let (verb, rest) = words.split_first()?;
    if verb == "exec" {
        return Some(Cli { global: GLOBAL, command: Command::Exec(exec(rest)?) });
    }
    let rest: Vec<&str> = rest.iter().map(|word| word.to_str()).collect::<Option<_>>()?;
    let command = match (verb.to_str()?, rest.as_slice()) {
        ("hook", [name, flags @ ..]) => Command::Hook(hook(shell(name)?, flags)?),
        ("prompt", []) => Command::Prompt(Prompt { shell: None }),
        ("prompt", [name]) => Command::Prompt(Prompt { shell: Some(shell(name)?) }),
        ("status", []) => Command::Status(Status { profile: None, json: false }),
        ("status", ["--json"]) => Command::Status(Status { profile: None, json: true }),
        ("export", [name]) => Command::Export(Export { profile: Some(value(name)?), format: Format::Process }),
        ("export", ["--format", word]) => Command::Export(Export { profile: None, format: format(word)? }),
        ("export", [name, "--format", word] | ["--format", word, name]) => {
            Command::Export(Export { profile: Some(value(name)?), format: format(word)? })
        }
        ("credential-process", [name]) => {
            Command::CredentialProcess(CredentialProcess { profile: value(name)?, min_ttl: None })
        }
        _ => return None,
    };
    Some(Cli { global: GLOBAL, command })
}

/// The same of `with-aws`.
pub(crate) fn with_aws(words: &[OsString]) -> Option<WithAws> {
    Some(WithAws { global: GLOBAL, exec: exec(words)? })
}

fn exec(words: &[OsString]) -> Option<Exec> {
    match words {
        [name, dashes, command @ ..] if dashes == "--" && !command.is_empty() => Some(Exec {
            region: None,
            min_ttl: None,
            login: ExecLogin::Auto,
            renew: false,
            credentials: None,
            profile: value(name.to_str()?)?,
            command: command.to_vec(),
        }),
        _ => None,
    }
}

fn hook(shell: Shell, flags: &[&str]) -> Option<Hook> {
    let said = |flag: &str| flag.strip_prefix("--said=").map(str::to_owned);
    match flags {
        [] => Some(Hook { shell, said: String::new(), refreshed: false }),
        [flag] => Some(Hook { shell, said: said(flag)?, refreshed: false }),
        [flag, "--refreshed"] => Some(Hook { shell, said: said(flag)?, refreshed: true }),
        _ => None,
    }
}

/// A word that cannot be a flag.
fn value(word: &str) -> Option<String> {
    (!word.starts_with('-')).then(|| word.to_owned())
}

fn shell(word: &str) -> Option<Shell> {
    match word {
        "bash" => Some(Shell::Bash),
        "zsh" => Some(Shell::Zsh),
        "fish" => Some(Shell::Fish),
        _ => None,
    }
}

fn format(word: &str) -> Option<Format> {
    match word {
        "process" => Some(Format::Process),
        "env" => Some(Format::Env),
        "env-no-export" => Some(Format::EnvNoExport),
        "fish" => Some(Format::Fish),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use proptest::sample::select;

    /// What the hooks and the README type.
    const FREQUENT: [&str; 13] = [
        "hook bash --said=",
        "hook zsh --said=0123456789ab --refreshed",
        "hook fish",
        "prompt",
        "prompt zsh",
        "status",
        "status --json",
        "export read-only",
        "export read-only --format env",
        "export --format fish",
        "credential-process read-only",
        "exec read-only -- restic backup --verbose",
        "exec read-only -- --version",
    ];

    fn split(line: &str) -> Vec<OsString> {
        line.split(' ').map(OsString::from).collect()
    }

    fn by_grammar<P: clap::Parser>(words: &[OsString]) -> Option<P> {
        P::try_parse_from([OsString::from("awsdir")].iter().chain(words)).ok()
    }

    #[test]
    fn frequent_lines_take_the_short_way() {
        for line in FREQUENT {
            let words = split(line);
            let short = awsdir(&words);
            assert!(short.is_some(), "{line}");
            assert_eq!(short, by_grammar::<Cli>(&words), "{line}");
        }
        let words = split("read-only -- ls -l");
        assert!(with_aws(&words).is_some());
        assert_eq!(with_aws(&words), by_grammar::<WithAws>(&words));
    }

    #[test]
    fn the_rest_is_left_to_the_grammar() {
        for line in
            ["", "--version", "login", "hook", "hook tcsh", "export --format tcsh", "exec -q p -- ls", "exec p ls"]
        {
            assert_eq!(awsdir(&split(line)), None, "{line}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn both_ways_agree(words in proptest::collection::vec(select(vec![
            "hook", "prompt", "status", "export", "credential-process", "exec", "help", "bash", "zsh", "fish", "process",
            "env", "env-no-export", "read-only", "", "-", "--", "-q", "-h", "--help", "--json", "--format", "--format=env",
            "--said", "--said=", "--said=x", "--refreshed", "--quiet", "--color", "always", "ls", "-l", "é",
        ]), 0..6)) {
            let words: Vec<OsString> = words.into_iter().map(OsString::from).collect();
            if let Some(short) = awsdir(&words) {
                prop_assert_eq!(Some(short), by_grammar::<Cli>(&words));
            }
            if let Some(short) = with_aws(&words) {
                prop_assert_eq!(Some(short), by_grammar::<WithAws>(&words));
            }
        }
    }
}
