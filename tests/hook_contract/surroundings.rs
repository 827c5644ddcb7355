//! Options, variables, aliases, traps and other tools' hooks: it works among them, and leaves them as they are.

use super::{APP, Bash, Fish, PROD, Session, Shell, Start, Zsh, in_each_shell, world};
use crate::sandbox::Sandbox;

in_each_shell! {
    it_works_under_any_options,
    options_traps_and_separators_stay,
    tracing_shows_no_secret,
    sourcing_again_installs_once_and_keeps_the_state,
    other_hooks_see_the_status_and_run,
    functions_and_aliases_of_cd_are_left_alone,
    a_failing_line_under_errexit_ends_no_shell_that_it_would_not,
    universal_variables_are_only_hidden,
    a_change_of_directory_by_a_key_counts,
}

/// In, over and out again, silently, with the hook loaded twice.
fn tour(world: &Sandbox, shell: Shell, before: &str, after: &str) -> String {
    let start = Start::new(shell, world).before(before).after(shell.init()).after(after);
    let (mut session, shown) = start.open_and_see();
    assert_eq!(shown, "", "at the first prompt after `{before}`, `{after}`");
    let mut step = |line: &str, expected: &str| {
        assert_eq!(
            (session.run(line).as_str(), session.aws().as_str()),
            ("", expected),
            "`{line}` after `{before}`, `{after}`"
        );
    };
    step("cd app", APP);
    step("cd ../prod; :", PROD);
    step("cd ../app/sub", APP);
    step("cd ~", "");
    session.segment
}

fn it_works_under_any_options(shell: Shell) {
    let table: &[&str] = match shell {
        Bash => &[
            "set -eu -o pipefail",
            "set -k",
            "set -f",
            "set -a -o noclobber",
            "set -o posix",
            "set -ET; trap 'false' ERR; trap : DEBUG",
            "shopt -s nocasematch extglob nullglob dotglob failglob",
            "shopt -u sourcepath extquote promptvars; shopt -s promptvars",
            "IFS=/:a0; export IFS",
            "unset IFS",
            "unset EPOCHSECONDS",
            "LC_ALL=C; unset LANG",
            "alias local=false export=false printf=false read=false unset=false set=false builtin=false return=false",
            "now=x file=x content=x generation=x identity=x name=x i=x answer=x state=x reply=x dir=x up=x",
            "CDPATH=:/tmp",
        ],
        Zsh => &[
            "setopt ksh_arrays",
            "setopt sh_word_split glob_subst",
            "setopt warn_create_global warn_nested_var",
            "setopt err_exit nounset pipe_fail",
            "setopt err_return",
            "setopt all_export no_clobber",
            "setopt ksh_glob sh_glob no_glob",
            "setopt extended_glob null_glob csh_null_glob glob_assign magic_equal_subst",
            "setopt rc_quotes",
            "setopt auto_name_dirs cdable_vars",
            "setopt posix_builtins posix_identifiers posix_strings posix_traps",
            "setopt typeset_silent global_export c_bases octal_zeroes",
            "setopt no_equals no_multi_func_def no_function_argzero",
            "setopt no_multios no_short_loops no_bang_hist no_unset",
            "setopt chase_links auto_pushd pushd_silent",
            "setopt local_options local_traps local_patterns",
            "setopt ignore_braces",
            "IFS=/:a0; export IFS",
            "alias local=false export=false print=false read=false unset=false typeset=false zle=false",
            "now=x file=x content=x generation=x identity=x name=x i=x answer=x state=x reply=x dir=x up=x",
        ],
        Fish => &[
            "set -g IFS /:a0",
            "set -e IFS",
            "function cd_theirs --on-variable PWD; true; end",
            "set -g name x; set -g dir x; set -g place x; set -g now x; set -g left x; set -g answer x; set -g file x",
            "set -gx LC_ALL C",
            "set -U AWS_VAULT universal; set -e AWS_VAULT",
        ],
    };
    let world = world();
    for options in table {
        let segment = tour(&world, shell, options, "");
        assert_eq!(segment, "");
    }
}

fn options_traps_and_separators_stay(shell: Shell) {
    let world = world();
    let (setup, show) = match shell {
        Bash => (
            "trap 'touch ~/ran' ERR EXIT TERM; trap 'echo int' INT; trap : DEBUG; set -ET; IFS=x; shopt -s nullglob; alias ll=ls",
            "set +o; shopt; trap -p; alias; printf %q \"$IFS\"; declare -F | grep -v awsdir; echo $-",
        ),
        Zsh => (
            "trap 'echo int' INT; trap 'touch ~/ran' TERM ZERR; IFS=x; setopt ksh_arrays; alias ll=ls",
            "setopt; trap; alias; print -r ${(q)IFS}; typeset +fm '^*awsdir*'",
        ),
        Fish => (
            "trap 'echo int' INT; trap 'touch ~/ran' TERM; alias ll=ls",
            "trap -p; functions; set -U; set -x | grep -v AWS",
        ),
    };
    let mut session = Start::new(shell, &world).open();
    session.quietly([setup]);
    let group = if shell == Fish { format!("begin; {show}; end") } else { format!("{{ {show}; }}") };
    let mut dump = |line: &str| {
        session.run(line);
        let _ = std::fs::remove_file(world.path("dump"));
        session.quietly([&format!("{group} > ~/dump")]);
        let lines = world.read("dump");
        lines.lines().filter(|line| !line.contains("PWD")).collect::<Vec<_>>().join("\n")
    };
    let before = dump(":");
    assert!(before.contains("int"), "{before}");
    for line in ["cd app", "cd ../prod", ":", "cd .."] {
        assert_eq!(dump(line), before, "after `{line}`");
    }
    // Nor did ours run theirs.
    assert!(!world.path("ran").exists());
}

fn tracing_shows_no_secret(shell: Shell) {
    let lines: &[&str] = match shell {
        Bash => &["set -x", "set -v", "set -xv -o functrace"],
        Zsh => &["setopt xtrace", "setopt verbose", "set -xv"],
        Fish => &["set -g fish_trace 1"],
    };
    let world = world();
    for line in lines {
        let mut session = Session::open(shell, &world);
        session.run(line);
        for line in ["cd app", ":", "cd ../prod", "cd .."] {
            session.run(line);
        }
        let screen = session.terminal.screen();
        for secret in ["planted+secret", "planted/token"] {
            assert!(!screen.contains(secret), "{secret} after `{line}` in:\n{}", super::text(&screen));
        }
        // What is the user's is still traced.
        assert!(
            session.run("echo traced").len() > "traced".len() || line.contains("verb") || line.contains("-v"),
            "{line}"
        );
    }
}

fn sourcing_again_installs_once_and_keeps_the_state(shell: Shell) {
    let world = world();
    let mut session = Start::new(shell, &world).after(shell.init()).env("AWS_REGION", "theirs").open();
    session.quietly(["cd app", shell.init().trim_end(), ":", shell.init().trim_end()]);
    assert_eq!(session.aws(), APP);
    let installed = match shell {
        Bash => "echo ${PROMPT_COMMAND[@]}",
        Zsh => "echo $precmd_functions $chpwd_functions",
        Fish => "functions --handlers | grep -c awsdir",
    };
    let expected = match shell {
        Bash => "__awsdir_prompt",
        Zsh => "__awsdir_precmd __awsdir_chpwd",
        Fish => "3",
    };
    assert_eq!(session.run(installed), expected);
    session.quietly(["cd .."]);
    assert_eq!(session.aws(), "AWS_REGION=theirs");
}

/// bash-preexec as it behaves once installed: hooks run from an array, each with the statuses of the command line.
const PREEXEC: &str = r#"
bash_preexec_imported=defined
precmd_functions=()
__bp_status() { return $1; }
__bp_precmd() {
  local status=$? function; BP_PIPESTATUS=("${PIPESTATUS[@]}")
  for function in "${precmd_functions[@]}"; do __bp_status $status; "$function"; done
  __bp_status $status
}
PROMPT_COMMAND=$'__bp_precmd\n:'"#;

/// starship: becomes the prompt command, and evaluates the one before it.
const STARSHIP: &str = r#"
starship_precmd() {
  STARSHIP_CMD_STATUS=$? STARSHIP_PIPE_STATUS=(${PIPESTATUS[@]})
  [[ ${BP_PIPESTATUS-} ]] && STARSHIP_PIPE_STATUS=(${BP_PIPESTATUS[@]})
  starship_set() { return $1; }
  starship_set $STARSHIP_CMD_STATUS; eval "$STARSHIP_PROMPT_COMMAND"
  starship_set $STARSHIP_CMD_STATUS
}
STARSHIP_PROMPT_COMMAND=${PROMPT_COMMAND-} PROMPT_COMMAND=starship_precmd"#;

/// direnv's own words.
const DIRENV: &str = r#"
_direnv_hook() { local previous_exit_status=$?; trap -- '' SIGINT; eval :; trap - SIGINT; return $previous_exit_status; }
if [[ ";${PROMPT_COMMAND[*]:-};" != *";_direnv_hook;"* ]]; then
  if [[ "$(declare -p PROMPT_COMMAND 2>&1)" == "declare -a"* ]]; then
    PROMPT_COMMAND=(_direnv_hook "${PROMPT_COMMAND[@]}")
  else
    PROMPT_COMMAND="_direnv_hook${PROMPT_COMMAND:+;$PROMPT_COMMAND}"
  fi
fi"#;

/// Another tool's hook at the prompt keeps what it saw.
fn other_hooks_see_the_status_and_run(shell: Shell) {
    let (watch, fail, show) = match shell {
        Bash => ("theirs() { seen=\"$? ${PIPESTATUS[*]}\"; }", "true | (exit 5)", "echo $seen"),
        Zsh => ("theirs() { seen=\"$? $pipestatus\"; }", "true | (exit 5)", "echo $seen"),
        Fish => (
            "function theirs --on-event fish_prompt; set -g seen $status $pipestatus; end",
            "true | sh -c 'exit 5'",
            "echo $seen",
        ),
    };
    // Before and after our line of the startup file, and what theirs sees.
    let table: &[(&str, &str, &str)] = match shell {
        Bash => &[
            ("", "PROMPT_COMMAND+=(theirs)", "5 0 5"),
            ("PROMPT_COMMAND=(true theirs)", "", "5 0 5"),
            ("PROMPT_COMMAND=(theirs)", DIRENV, "5 0 5"),
            ("PROMPT_COMMAND=theirs", "", "5 5"),
            ("PROMPT_COMMAND='theirs; '", "", "5 5"),
            ("PROMPT_COMMAND=", "PROMPT_COMMAND=\"theirs;$PROMPT_COMMAND\"", "5 0 5"),
            ("", "PROMPT_COMMAND=\"theirs;$PROMPT_COMMAND\"", "5 0 5"),
            (DIRENV, "PROMPT_COMMAND+=$'\\ntheirs'", "5 5"),
            ("PROMPT_COMMAND=theirs", DIRENV, "5 5"),
            (PREEXEC, "precmd_functions+=(theirs)", "5 5"),
            ("", STARSHIP, "5 0 5"),
            ("PROMPT_COMMAND=:", STARSHIP, "5 0 5"),
            (STARSHIP, "", "5 0 5"),
        ],
        Zsh => &[
            ("precmd_functions=(theirs)", "", "5 0 5"),
            ("", "precmd_functions+=(theirs)", "5 0 5"),
            ("", "precmd_functions=(theirs $precmd_functions)", "5 0 5"),
            ("autoload -Uz add-zsh-hook; add-zsh-hook precmd theirs", "", "5 0 5"),
            ("precmd() { theirs }", "", "5 0 5"),
        ],
        Fish => &[("", "", "5 0 5")],
    };
    let world = world();
    for (before, after, expected) in table {
        let place = format!("`{before}`, `{after}`");
        let mut session = Start::new(shell, &world).before(&format!("{watch}\n{before}")).after(after).open();
        let show = if format!("{before}{after}").contains("STARSHIP") {
            "echo $STARSHIP_CMD_STATUS ${STARSHIP_PIPE_STATUS[*]}"
        } else {
            show
        };
        session.quietly([fail]);
        assert_eq!(session.status, "5", "{place}");
        assert_eq!(session.run(show), *expected, "{place}");
        session.quietly(["cd app", fail]);
        assert_eq!(session.status, "5", "{place}");
        assert_eq!(session.run(show), *expected, "{place}");
        assert_eq!(session.aws(), APP, "{place}");
        // At the prompt too, not only by `cd`.
        session.quietly(["builtin cd ../prod"]);
        assert_eq!(session.aws(), PROD, "{place}");
        session.quietly(["cd .."]);
        assert_eq!(session.aws(), "", "{place}");
    }
}

fn functions_and_aliases_of_cd_are_left_alone(shell: Shell) {
    let world = world();
    let lines: &[&str] = match shell {
        Bash => &["cd() { builtin cd \"$@\" && echo went; }", "alias cd='echo went; builtin cd'"],
        Zsh => &["cd() { builtin cd \"$@\" && echo went }", "alias cd='echo went; builtin cd'"],
        Fish => &["function cd; builtin cd $argv; and echo went; end"],
    };
    for line in lines {
        let mut session = Start::new(shell, &world).before(line).open();
        assert_eq!(session.run("cd app"), "went");
        assert_eq!(session.aws(), APP);
        assert_eq!(session.run("cd .."), "went");
        assert_eq!(session.aws(), "");
    }
    if shell == Bash {
        let mut session = Start::new(shell, &world).open();
        session.quietly(["eval \"$(awsdir init bash --no-cd)\""]);
        // Wrapped before stays wrapped; a shell that begins without has the builtin.
        session.quietly(["cd app && echo $AWS_PROFILE >/dev/null", "cd .."]);
        world.write(".bashrc", format!("eval \"$(awsdir init bash --no-cd)\"\n{}", shell.marks()));
        session.run("exec bash");
        assert_eq!(session.run("type -t cd pushd popd"), "builtin\nbuiltin\nbuiltin");
        session.quietly(["cd app"]);
        assert_eq!(session.aws(), APP);
    }
    if shell == Zsh {
        let mut session = Session::open(shell, &world);
        assert_eq!(session.run("whence -w cd"), "cd: builtin");
    }
}

fn a_failing_line_under_errexit_ends_no_shell_that_it_would_not(shell: Shell) {
    if shell == Fish {
        return; // has no such option
    }
    let world = world();
    for prompt_command in ["", "PROMPT_COMMAND=:"] {
        let mut session = Start::new(shell, &world).before(prompt_command).open();
        session.quietly(["set -e", "! true", "cd app", "! true", "cd /", "if false; then :; fi", "! true"]);
        assert_eq!(session.aws(), "");
    }
}

fn universal_variables_are_only_hidden(shell: Shell) {
    if shell != Fish {
        return; // only fish has them
    }
    let world = world();
    let mut session = Session::open(shell, &world);
    session.quietly(["set -Ux AWS_PROFILE universal", "cd app"]);
    assert_eq!(session.aws(), APP);
    let mut other = Session::open(shell, &world);
    assert_eq!(other.aws(), "AWS_PROFILE=universal");
    session.quietly(["cd .."]);
    assert_eq!(session.aws(), "AWS_PROFILE=universal");
    assert_eq!(session.run("set -qg AWS_PROFILE; or echo none"), "none");
}

fn a_change_of_directory_by_a_key_counts(shell: Shell) {
    let world = world();
    world.project("blocked", "static\n");
    let mut session = Session::open(shell, &world);
    session.quietly([match shell {
        Bash => "bind -x '\"\\C-t\": cd ~/app'",
        Zsh => "go() { cd ~/app }; zle -N go; bindkey '^T' go",
        Fish => "bind \\ct 'cd ~/app'",
    }]);
    session.terminal.send("\x14");
    assert_eq!(session.aws(), APP);
    if shell == Zsh {
        // News would spoil the line that is being edited; they come with the next prompt.
        session.quietly(["go() { cd ~/blocked }"]);
        session.terminal.send("\x14");
        session.terminal.send(":\r");
        let edited = session.terminal.wait_for("⟨");
        assert!(!edited.contains("not allowed"), "{edited}");
        assert!(session.until_prompt().contains("is not allowed"));
        assert_eq!(session.aws(), "");
    }
}
