//! The commands: what they print, where, with which exit code.

use crate::identity_center::Operation;
use crate::sandbox::{CONFIG, ROLE_FILE, Sandbox, available};
use crate::terminal::{self};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};

/// Credentials and tokens that outlast every test.
pub(crate) const FAR: &str = "2090-01-01T00:00:00Z";
pub(crate) const PAST: &str = "2020-01-01T00:00:00Z";

/// `awsdir` in a directory of the sandbox, whole and without what differs from run to run.
pub(crate) fn said(sandbox: &Sandbox, directory: &str, arguments: &[&str]) -> String {
    sandbox.steady(&sandbox.transcript(sandbox.awsdir(arguments).current_dir(sandbox.path(directory))))
}

/// Several command lines and what each of them says.
pub(crate) fn session<'a>(sandbox: &Sandbox, lines: impl IntoIterator<Item = &'a str>) -> String {
    lines.into_iter().fold(String::new(), |mut text, line| {
        let arguments: Vec<&str> = line.split(' ').collect();
        let _ = writeln!(text, "$ awsdir {line}\n{}", said(sandbox, "", &arguments).trim_end());
        text
    })
}

/// What a config that ends with `lines` makes of `awsdir status PROFILE`.
pub(crate) fn with_config(lines: &str, profile: &str) -> String {
    let sandbox = Sandbox::new();
    sandbox.write(".aws/config", format!("{CONFIG}\n{lines}"));
    said(&sandbox, "", &["status", profile])
}

/// What `awsdir status` and `status --json` say in the project `app`; of the document each member in a line.
pub(crate) fn status(sandbox: &Sandbox) -> String {
    let output = sandbox.awsdir(["status", "--json"]).current_dir(sandbox.path("app")).output().unwrap();
    let mut text = said(sandbox, "app", &["status"]) + "-- json --\n";
    for (name, value) in serde_json::from_slice::<Value>(&output.stdout).unwrap().as_object().unwrap() {
        let _ = writeln!(text, "{name}: {}", sandbox.steady(&value.to_string().replace("\":", "\": ")));
    }
    assert!(text.contains(&format!("-- {} --", output.status)) || output.status.success(), "the same exit code");
    assert!(sandbox.idc.requests().is_empty(), "status never uses the network");
    text
}

/// A sandbox with the project `app`, whose dotfile is allowed.
pub(crate) fn project(dotfile: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.allowed_project("app", dotfile);
    sandbox
}

/// What `script` prints in a bash that has evaluated the hook's answer in this directory. `$AWSDIR` there is the binary.
pub(crate) fn in_bash(sandbox: &Sandbox, directory: &str, script: &str) -> String {
    let binary = env!("CARGO_BIN_EXE_awsdir");
    let script = format!("eval \"$({binary} hook bash)\"\n{}", script.replace("$AWSDIR", binary));
    let output = sandbox.command("bash").args(["-c", &script]).current_dir(sandbox.path(directory)).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

// --- export, credential-process ---------------------------------------------------------------------------

#[test]
fn export_prints_each_format_as_the_aws_cli_does() {
    let sandbox = Sandbox::new();
    sandbox.sign_in(|_| {});
    let formats = ["env", "env-no-export", "fish", "powershell", "windows-cmd", "process"];
    let lines: Vec<String> = formats.iter().map(|format| format!("export read-only --format {format}")).collect();
    insta::assert_snapshot!(session(&sandbox, lines.iter().map(String::as_str)), @r#"
    $ awsdir export read-only --format env
    export AWS_ACCESS_KEY_ID=[KEY ID]
    export AWS_SECRET_ACCESS_KEY=[SECRET]
    export AWS_SESSION_TOKEN=[TOKEN]
    export AWS_CREDENTIAL_EXPIRATION=[TIME]
    $ awsdir export read-only --format env-no-export
    AWS_ACCESS_KEY_ID=[KEY ID]
    AWS_SECRET_ACCESS_KEY=[SECRET]
    AWS_SESSION_TOKEN=[TOKEN]
    AWS_CREDENTIAL_EXPIRATION=[TIME]
    $ awsdir export read-only --format fish
    set -gx AWS_ACCESS_KEY_ID "[KEY ID]"
    set -gx AWS_SECRET_ACCESS_KEY "[SECRET]"
    set -gx AWS_SESSION_TOKEN "[TOKEN]"
    set -gx AWS_CREDENTIAL_EXPIRATION "[TIME]"
    $ awsdir export read-only --format powershell
    $Env:AWS_ACCESS_KEY_ID="[KEY ID]"
    $Env:AWS_SECRET_ACCESS_KEY="[SECRET]"
    $Env:AWS_SESSION_TOKEN="[TOKEN]"
    $Env:AWS_CREDENTIAL_EXPIRATION="[TIME]"
    $ awsdir export read-only --format windows-cmd
    set AWS_ACCESS_KEY_ID=[KEY ID]
    set AWS_SECRET_ACCESS_KEY=[SECRET]
    set AWS_SESSION_TOKEN=[TOKEN]
    set AWS_CREDENTIAL_EXPIRATION=[TIME]
    $ awsdir export read-only --format process
    {
      "Version": 1,
      "AccessKeyId": "[KEY ID]",
      "SecretAccessKey": "[SECRET]",
      "SessionToken": "[TOKEN]",
      "Expiration": "[TIME]"
    }
    "#);
    let (default, process) = (
        said(&sandbox, "", &["export", "read-only"]),
        said(&sandbox, "", &["export", "read-only", "--format", "process"]),
    );
    assert_eq!(default, process, "JSON is the default, as with the AWS CLI");
    assert_eq!(sandbox.idc.count(Operation::GetRoleCredentials), 1, "the rest came from the cache");
}

#[test]
fn exported_text_evaluated_by_a_shell_sets_what_was_issued() {
    let sandbox = Sandbox::new();
    sandbox.sign_in(|_| {});
    let scripts: [(&[&str], &str); 4] = [
        (&["bash", "--norc"], r#"eval "$("$AWSDIR_UNDER_TEST" export read-only --format env)"; env -0"#),
        (
            &["bash", "--norc"],
            r#"set -a; eval "$("$AWSDIR_UNDER_TEST" export read-only --format env-no-export)"; env -0"#,
        ),
        (&["zsh", "-f"], r#"eval "$("$AWSDIR_UNDER_TEST" export read-only --format env)"; env -0"#),
        (&["fish", "--no-config"], "$AWSDIR_UNDER_TEST export read-only --format fish | source; env -0"),
    ];
    for (shell, script) in scripts.into_iter().filter(|(shell, _)| available(shell[0])) {
        let mut command = sandbox.command(shell[0]);
        command.args(&shell[1..]).args(["-c", script]).env("AWSDIR_UNDER_TEST", env!("CARGO_BIN_EXE_awsdir"));
        let output = command.output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{shell:?}");
        let issued = &sandbox.idc.issued_credentials()[0];
        let environment = String::from_utf8(output.stdout).unwrap();
        let value = |name: &str| {
            let mut variables = environment.split('\0').filter_map(|variable| variable.split_once('='));
            variables.find(|(found, _)| *found == name).map(|(_, value)| value.to_owned())
        };
        assert_eq!(value("AWS_ACCESS_KEY_ID").as_ref(), Some(&issued.access_key_id), "{shell:?}");
        assert_eq!(value("AWS_SECRET_ACCESS_KEY").as_ref(), Some(&issued.secret_access_key), "{shell:?}");
        assert_eq!(value("AWS_SESSION_TOKEN").as_ref(), Some(&issued.session_token), "{shell:?}");
        assert!(value("AWS_CREDENTIAL_EXPIRATION").unwrap().ends_with("+00:00"), "{shell:?}");
    }
}

#[test]
fn credential_process_keeps_its_contract_and_never_asks() {
    let sandbox = Sandbox::new();
    let at_terminal = terminal::run(&mut sandbox.awsdir(["credential-process", "read-only", "--color", "never"]));
    assert_eq!(at_terminal.status.code(), Some(4));
    insta::assert_snapshot!(at_terminal.text(), @"
    awsdir: sign-in needed: the session `corp` of profile `read-only` is stale (credential-process asks nobody)
    hint: awsdir login read-only
    ");
    assert!(sandbox.idc.requests().is_empty() && sandbox.idc.browser_opens().is_empty());

    sandbox.sign_in(|_| {});
    let output = sandbox.awsdir(["credential-process", "read-only"]).output().unwrap();
    let mut document: Value = serde_json::from_slice(&output.stdout).unwrap();
    let issued = &sandbox.idc.issued_credentials()[0];
    let expiration = document["Expiration"].take();
    let expected = json!({
        "Version": 1, "AccessKeyId": issued.access_key_id, "SecretAccessKey": issued.secret_access_key,
        "SessionToken": issued.session_token, "Expiration": null, "AccountId": "111111111111",
    });
    assert_eq!(document, expected);
    assert_eq!(sandbox.steady(expiration.as_str().unwrap()), "[TIME]");
}

#[test]
fn export_signs_in_only_at_a_terminal_and_keeps_stdout_for_data() {
    let sandbox = Sandbox::new();
    insta::assert_snapshot!(session(&sandbox, ["export read-only", "-q export read-only", "login read-only"]), @"
    $ awsdir export read-only
    -- stderr --
    awsdir: sign-in needed: the session `corp` of profile `read-only` is stale (no terminal)
    hint: awsdir login read-only
    -- exit status: 4 --
    $ awsdir -q export read-only
    -- stderr --
    awsdir: sign-in needed: the session `corp` of profile `read-only` is stale (no terminal)
    hint: awsdir login read-only
    -- exit status: 4 --
    $ awsdir login read-only
    -- stderr --
    awsdir: sign-in needed: the session `corp` of profile `read-only` is stale (no terminal)
    hint: awsdir login read-only
    -- exit status: 4 --
    ");
    assert!(sandbox.idc.requests().is_empty() && sandbox.idc.browser_opens().is_empty());

    let ran = terminal::run_with_piped_stdout(&mut sandbox.awsdir(["export", "read-only"]));
    assert!(ran.status.success(), "{}", ran.text());
    let document: Value = serde_json::from_slice(&ran.stdout).unwrap();
    assert_eq!(document["AccessKeyId"], sandbox.idc.issued_credentials()[0].access_key_id.as_str());
    assert_eq!(sandbox.idc.browser_opens().len(), 1);
}

#[test]
fn what_a_dotfile_says_of_signing_in_holds_for_export_there() {
    for (login, keys, code, opens) in
        [("never", "", 4, 0), ("ask", "n\r", 4, 0), ("ask", "y\r", 0, 1), ("auto", "", 0, 1)]
    {
        let sandbox = project(&format!("profile = read-only\nlogin = {login}\n"));
        let mut terminal = terminal::Terminal::spawn(sandbox.awsdir(["export"]).current_dir(sandbox.path("app")));
        if !keys.is_empty() {
            terminal.wait_for("sign in now? [Y/n]");
            terminal.send(keys);
        }
        let ran = terminal.wait();
        assert_eq!(ran.status.code(), Some(code), "{login} {keys:?}: {}", ran.text());
        assert_eq!(sandbox.idc.browser_opens().len(), opens, "{login} {keys:?}");
    }
}

#[test]
fn without_a_profile_export_takes_the_one_in_force() {
    let mut sandbox = project("prod-admin");
    sandbox.sign_in(|_| {});
    let account = |sandbox: &Sandbox, directory: &str| {
        let output = sandbox.awsdir(["export"]).current_dir(sandbox.path(directory)).output().unwrap();
        let document: Value = serde_json::from_slice(&output.stdout).unwrap();
        sandbox.idc.caller_of(document["AccessKeyId"].as_str().unwrap()).unwrap().account
    };
    assert_eq!(account(&sandbox, "app"), "222222222222", "the dotfile's");
    sandbox.set("AWS_PROFILE", "read-only");
    assert_eq!(account(&sandbox, "app"), "222222222222", "the dotfile's, before AWS_PROFILE");
    assert_eq!(account(&sandbox, ""), "111111111111", "AWS_PROFILE's where no dotfile is");
}

// --- prompt -----------------------------------------------------------------------------------------------

#[test]
fn the_prompt_shows_what_the_environment_has_in_force() {
    let sandbox = Sandbox::new();
    sandbox.write(".config/awsdir/config", "[prompt]\ndanger = *prod* *Admin*\n");
    let prompt = |dotfile: &str| {
        sandbox.allowed_project("app", dotfile);
        sandbox.steady(&in_bash(&sandbox, "app", "$AWSDIR prompt"))
    };
    sandbox.plant_role_credentials(FAR);
    assert_eq!(prompt("read-only"), "read-only [LEFT]");
    assert_eq!(prompt("profile = read-only\ncredentials = only"), "read-only [LEFT]");
    assert_eq!(prompt("profile = read-only\ncredentials = none"), "read-only expired");
    sandbox.plant_token(PAST, true);
    assert_eq!(prompt("profile = read-only\ncredentials = none"), "read-only renewable");
    assert_eq!(prompt("prod-admin"), "prod-admin! renewable");
    sandbox.plant_token(FAR, false);
    assert_eq!(prompt("profile = read-only\ncredentials = none"), "read-only");
    assert_eq!(prompt("static"), "static");
    assert_eq!(prompt("no-such-profile"), "");
    assert!(sandbox.idc.requests().is_empty());
}

#[test]
fn the_prompt_without_anything_in_force() {
    let sandbox = Sandbox::new();
    assert_eq!(said(&sandbox, "", &["prompt"]), "");
    sandbox.project("app", "prod-admin");
    assert_eq!(said(&sandbox, "app", &["prompt"]), "prod-admin not allowed");
    assert_eq!(said(&sandbox, "app", &["prompt", "fish"]), "prod-admin not allowed");
    sandbox.allowed_project("app", "prod-admin");
    assert_eq!(said(&sandbox, "app", &["prompt"]), "", "allowed, and this shell does not have it yet");
    sandbox.project("app", "a b");
    assert_eq!(said(&sandbox, "app", &["prompt"]), "");
}

#[test]
fn the_prompt_in_a_child_of_with_aws() {
    let sandbox = project("static");
    sandbox.plant_role_credentials(FAR);
    let exec = ["exec", "read-only", "--", env!("CARGO_BIN_EXE_awsdir"), "prompt"];
    assert_eq!(said(&sandbox, "app", &exec), "read-only [LEFT]", "wherever the child goes");
    let renewed = [&["exec", "--renew"], &exec[1..]].concat();
    assert_eq!(said(&sandbox, "app", &renewed), "read-only", "what is renewed has no end");
}

#[test]
fn zsh_prompts_get_their_percent_signs_doubled() {
    let sandbox = Sandbox::new();
    sandbox.write(".aws/config", "[profile a%b]\nregion = eu-west-1\n");
    sandbox.allowed_project("app", "a%b");
    assert_eq!(in_bash(&sandbox, "app", "$AWSDIR prompt; echo; $AWSDIR prompt zsh"), "a%b\na%%b");
}

// --- login, logout, wrong command lines --------------------------------------------------------------------

#[test]
fn a_wrong_command_line_exits_2_and_says_what_is_wrong() {
    let sandbox = Sandbox::new();
    let lines = [
        "wrong",
        "status --wrong",
        "status a b",
        "init",
        "init tcsh",
        "hook",
        "export read-only --format toml",
        "login read-only --session corp",
        "login --timeout 0",
        "login --port 70000",
        "login --device-code --port 1234",
        "logout --all --session corp",
        "-q -v status",
        "credential-process",
    ];
    let mut shown = String::new();
    for line in lines {
        let output = sandbox.awsdir(line.split(' ')).output().unwrap();
        assert!(output.status.code() == Some(2) && output.stdout.is_empty(), "{line}");
        let _ = writeln!(shown, "{line}: {}", String::from_utf8(output.stderr).unwrap().lines().next().unwrap());
    }
    insta::assert_snapshot!(shown, @"
    wrong: error: unrecognized subcommand 'wrong'
    status --wrong: error: unexpected argument '--wrong' found
    status a b: error: unexpected argument 'b' found
    init: error: the following required arguments were not provided:
    init tcsh: error: invalid value 'tcsh' for '<SHELL>'
    hook: error: the following required arguments were not provided:
    export read-only --format toml: error: invalid value 'toml' for '--format <F>'
    login read-only --session corp: error: the argument '[PROFILE]' cannot be used with '--session <NAME>'
    login --timeout 0: error: invalid value '0' for '--timeout <S>': 0 is not in 1..18446744073709551615
    login --port 70000: error: invalid value '70000' for '--port <N>': 70000 is not in 0..=65535
    login --device-code --port 1234: error: the argument '--device-code' cannot be used with '--port <N>'
    logout --all --session corp: error: the argument '--all' cannot be used with '--session <NAME>'
    -q -v status: error: the argument '--quiet' cannot be used with '--verbose'
    credential-process: error: the following required arguments were not provided:
    ");
    let output = sandbox.awsdir::<&str>([]).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "no arguments: the help");
    assert!(output.stdout.is_empty() && String::from_utf8(output.stderr).unwrap().contains("Usage: awsdir"));
}

#[test]
fn login_and_logout_say_which_session_they_cannot_find() {
    let sandbox = Sandbox::new();
    let lines = ["login ghost", "login --session cropp", "login static", "logout --session ghost", "login", "logout"];
    insta::assert_snapshot!(session(&sandbox, lines), @"
    $ awsdir login ghost
    -- stderr --
    awsdir: there is no profile `ghost` in `[HOME]/.aws/config`
    hint: awsdir list
    -- exit status: 3 --
    $ awsdir login --session cropp
    -- stderr --
    awsdir: there is no sso-session `cropp` in `[HOME]/.aws/config`; did you mean `corp`?
    -- exit status: 3 --
    $ awsdir login static
    -- stderr --
    awsdir: profile `static` does not sign in through IAM Identity Center
    -- exit status: 3 --
    $ awsdir logout --session ghost
    -- stderr --
    awsdir: there is no sso-session `ghost` in `[HOME]/.aws/config`
    -- exit status: 3 --
    $ awsdir login
    -- stderr --
    awsdir: nothing says which sso-session: no profile is in force here, and there are 2 of them
    hint: awsdir login --session NAME
    -- exit status: 3 --
    $ awsdir logout
    -- stderr --
    awsdir: nothing says which sso-session: no profile is in force here, and there are 2 of them
    hint: awsdir logout --session NAME
    -- exit status: 3 --
    ");
    assert!(sandbox.idc.requests().is_empty());
}

#[test]
fn the_only_session_needs_no_name() {
    let sandbox = Sandbox::new();
    let one = CONFIG.split_once("[profile legacy]").unwrap().0;
    sandbox.write(".aws/config", one);
    let ran = terminal::run(&mut sandbox.awsdir(["login"]));
    assert!(ran.status.success(), "{}", ran.text());
    insta::assert_snapshot!(session(&sandbox, ["login", "-q login", "logout", "logout", "-q logout"]), @"
    $ awsdir login
    -- stderr --
    awsdir: already signed in to `corp` until [TIME] ([LEFT] left, renewed by itself after that)
    $ awsdir -q login

    $ awsdir logout
    -- stderr --
    awsdir: signed out of `corp`
    $ awsdir logout
    -- stderr --
    awsdir: was not signed in to `corp`
    $ awsdir -q logout
    ");
}

#[test]
fn help_and_version_come_on_stdout() {
    let sandbox = Sandbox::new();
    insta::assert_snapshot!(session(&sandbox, ["--help"]), @"
    $ awsdir --help
    cd into a project and have its AWS role; sign in once, for every shell

    Usage: awsdir [OPTIONS] <COMMAND>

    Commands:
      init                Print the hook for a shell's startup file
      pin                 Write a `.awsprofile` here and allow it
      allow               Allow a `.awsprofile` as it stands: this content at this path
      deny                Take back what `allow` gave
      login               Sign in, if that is needed
      logout              End a session at AWS and remove its token and role credentials
      status              Say what is in force here and why, and what will happen next
      list                List the profiles: account, role, region, session and state
      exec                Run one command as another role (the same as with-aws)
      export              Print role credentials, as `aws configure export-credentials` does
      credential-process  Serve role credentials to another tool's `credential_process`; never asks,
                          never opens a browser
      prompt              Print the prompt segment
      completions         Print the completion script of a shell, for both awsdir and with-aws
      help                Print this message or the help of the given subcommand(s)

    Options:
      -q, --quiet         Say nothing but errors
      -v, --verbose       Say each step on stderr
          --color <WHEN>  Colour messages [possible values: auto, always, never]
      -h, --help          Print help
      -V, --version       Print version

    Exit codes: 0 done, 1 not possible here, 2 wrong command line, 3 configuration, 4 sign-in needed or
    refused, 5 service, 130 interrupted; exec and with-aws: 125 our own failure, 126 not executable, 127
    not found, else the command's own.
    ");
    insta::assert_snapshot!(sandbox.transcript(&mut sandbox.with_aws(["--help"])), @"
    Run one command as another role, signing in first if need be

    The command gets role credentials and regions in its environment and no other AWS credential or
    profile variables. The process becomes the command: signals, job control and the exit status are its
    own. With `--renew` it stays beside the command, and hands it fresh role credentials for as long as
    it runs.

    Usage: with-aws [OPTIONS] <PROFILE> <CMD>...

    Arguments:
      <PROFILE>
              A profile of ~/.aws/config, or ACCOUNT/PERMISSION-SET

      <CMD>...
              The command and its arguments

    Options:
      -q, --quiet
              Say nothing but errors

      -v, --verbose
              Say each step on stderr

          --color <WHEN>
              Colour messages
              
              [possible values: auto, always, never]

          --region <REGION>
              A region that wins over the profile's own

          --min-ttl <TIME>
              Renew first if the role credentials have less time left than this (`30m`, `1h`)

          --login <WHEN>
              Whether to sign in if that is needed

              Possible values:
              - auto:  If somebody is at the terminal
              - never

          --renew
              Renew the role credentials for as long as the command runs

          --credentials <HOW>
              How the command gets them; without `--renew` in its environment, with it from an endpoint

              Possible values:
              - env:      Environment variables, for programs of every age; they cannot be renewed
              - endpoint: A container-credentials endpoint on 127.0.0.1, which SDKs ask again; implies
                --renew
              - process:  A credentials file with a `credential_process`, for programs that read only
                files; implies --renew

      -h, --help
              Print help (see a summary with '-h')

      -V, --version
              Print version

    Examples: with-aws read-only -- aws s3 ls
              with-aws --renew backup -- restic backup ~/work

    Exit codes: 125 awsdir's own failure, 126 not executable, 127 not found, else the command's own.
    ");
    let version = concat!(env!("CARGO_PKG_VERSION"), "\n");
    assert_eq!(said(&sandbox, "", &["--version"]), format!("awsdir {version}"));
    assert_eq!(sandbox.transcript(&mut sandbox.with_aws(["--version"])), format!("with-aws {version}"));
}

#[test]
fn hidden_commands_are_not_in_the_help() {
    let sandbox = Sandbox::new();
    let help = said(&sandbox, "", &["help"]);
    assert!(help.contains("  status") && !help.contains("  hook") && !help.contains("  refresh"), "{help}");
}

#[test]
fn quiet_says_errors_only() {
    let sandbox = Sandbox::new();
    sandbox.project("app", "read-only");
    let lines = ["-q allow app", "-q deny app", "-q pin read-only --dir app", "--quiet login ghost"];
    insta::assert_snapshot!(session(&sandbox, lines), @"
    $ awsdir -q allow app

    $ awsdir -q deny app

    $ awsdir -q pin read-only --dir app

    $ awsdir --quiet login ghost
    -- stderr --
    awsdir: there is no profile `ghost` in `[HOME]/.aws/config`
    hint: awsdir list
    -- exit status: 3 --
    ");
}

#[test]
fn colours_only_where_asked_for_or_seen() {
    let sandbox = Sandbox::new();
    let coloured = |command: &mut Command| terminal::run(command).text().contains('\x1b');
    assert!(coloured(&mut sandbox.awsdir(["status", "ghost"])));
    assert!(!coloured(&mut sandbox.awsdir(["status", "ghost", "--color", "never"])));
    assert!(!coloured(sandbox.awsdir(["status", "ghost"]).env("NO_COLOR", "1")));
    assert!(coloured(sandbox.awsdir(["status", "ghost"]).env("NO_COLOR", "")), "empty is unset");
    assert!(!coloured(sandbox.awsdir(["status", "ghost"]).env("TERM", "dumb")));
    assert!(!said(&sandbox, "", &["status", "ghost"]).contains('\x1b'));
    assert!(said(&sandbox, "", &["status", "ghost", "--color=always"]).contains('\x1b'));
}

// --- config and settings ------------------------------------------------------------------------------------

#[test]
fn an_unusable_profile_names_file_line_and_key() {
    let cases = [
        "[profile x]\nsso_session = corp\nsso_account_id = 111111111111",
        "[profile x]\nsso_session = corp\nsso_role_name = ReadOnly",
        "[profile x]\nsso_session = corp\nsso_account_id = 111111111111\nsso_role_name =",
        "[profile x]\nsso_account_id = 111111111111\nsso_role_name = ReadOnly\nsso_region = us-east-1",
        "[profile x]\nsso_session = gone\nsso_account_id = 111111111111\nsso_role_name = ReadOnly",
        "[profile x]\nsso_session = corp\nsso_account_id = 1\nsso_role_name = r\nsso_region = eu-west-1",
        "[profile x]\nsso_session = half\nsso_account_id = 1\nsso_role_name = r\n[sso-session half]\nsso_region = eu-west-1",
    ];
    let shown = cases.iter().fold(String::new(), |text, case| text + &with_config(case, "x"));
    insta::assert_snapshot!(shown, @"
    -- stderr --
    awsdir: `[HOME]/.aws/config`, line 35: `[profile x]` has no `sso_role_name`
    -- exit status: 3 --
    -- stderr --
    awsdir: `[HOME]/.aws/config`, line 35: `[profile x]` has no `sso_account_id`
    -- exit status: 3 --
    -- stderr --
    awsdir: `[HOME]/.aws/config`, line 38: `[profile x]` has no `sso_role_name`
    -- exit status: 3 --
    -- stderr --
    awsdir: `[HOME]/.aws/config`, line 35: `[profile x]` has no `sso_start_url`
    -- exit status: 3 --
    -- stderr --
    awsdir: `[HOME]/.aws/config`, line 36: `[profile x]` names the sso-session `gone`, and there is no `[sso-session gone]`
    -- exit status: 3 --
    -- stderr --
    awsdir: `[HOME]/.aws/config`, line 39: `[profile x]` and `[sso-session corp]` give different values of `sso_region`
    -- exit status: 3 --
    -- stderr --
    awsdir: `[HOME]/.aws/config`, line 39: `[sso-session half]` has no `sso_start_url`
    -- exit status: 3 --
    ");
}

#[test]
fn a_malformed_config_names_file_and_line() {
    let cases = ["[profile x", "[profile x]\n  indented = 1\n", "[profile x]\nno equals sign", "[profile x]\n = 1"];
    let shown = cases.iter().fold(String::new(), |text, case| text + &with_config(case, "read-only"));
    insta::assert_snapshot!(shown, @"
    -- stderr --
    awsdir: `[HOME]/.aws/config`, line 35: the section header does not end with `]`
    -- exit status: 3 --
    -- stderr --
    awsdir: `[HOME]/.aws/config`, line 36: an indented line continues a property, and there is none above it
    -- exit status: 3 --
    -- stderr --
    awsdir: `[HOME]/.aws/config`, line 36: expected `=` between a key and its value
    -- exit status: 3 --
    -- stderr --
    awsdir: `[HOME]/.aws/config`, line 36: an indented line continues a property, and there is none above it
    -- exit status: 3 --
    ");
    let sandbox = Sandbox::new();
    sandbox.write(".aws/credentials", "\nnonsense\n");
    insta::assert_snapshot!(session(&sandbox, ["status read-only", "login", "export read-only", "pin read-only"]), @"
    $ awsdir status read-only
    -- stderr --
    awsdir: `[HOME]/.aws/credentials`, line 2: expected a section header in brackets first
    -- exit status: 3 --
    $ awsdir login
    -- stderr --
    awsdir: `[HOME]/.aws/credentials`, line 2: expected a section header in brackets first
    -- exit status: 3 --
    $ awsdir export read-only
    -- stderr --
    awsdir: `[HOME]/.aws/credentials`, line 2: expected a section header in brackets first
    -- exit status: 3 --
    $ awsdir pin read-only
    -- stderr --
    awsdir: `[HOME]/.aws/credentials`, line 2: expected a section header in brackets first
    -- exit status: 3 --
    ");
}

#[test]
fn a_config_that_cannot_be_read_is_said_and_a_missing_one_is_empty() {
    let sandbox = Sandbox::new();
    fs::remove_file(sandbox.path(".aws/config")).unwrap();
    insta::assert_snapshot!(session(&sandbox, ["status read-only"]), @"
    $ awsdir status read-only
    -- stderr --
    awsdir: there is no profile `read-only` in `[HOME]/.aws/config`
    hint: awsdir list
    -- exit status: 3 --
    ");
    fs::create_dir(sandbox.path(".aws/config")).unwrap();
    insta::assert_snapshot!(session(&sandbox, ["status read-only"]), @"
    $ awsdir status read-only
    -- stderr --
    awsdir: could not read `[HOME]/.aws/config`
    caused by: Is a directory (os error 21)
    -- exit status: 1 --
    ");
}

#[test]
fn a_wrong_setting_names_file_and_line() {
    let sandbox = project("read-only");
    let cases = [
        "[awsdir]\nlogin = maybe",
        "[awsdir]\ncredentials = all",
        "[awsdir]\n\nlogn = auto",
        "[session corp]\nflow = magic",
        "[session corp]\nport = 70000",
        "[session corp]\nlogin = never",
        "[prompt]\ncolour = red",
        "[awsdr]\nlogin = auto",
        "[session]\nport = 1",
        "[profile x]",
        "login = auto",
        "[awsdir]\nlogin",
    ];
    let mut shown = String::new();
    for case in cases {
        sandbox.write(".config/awsdir/config", case);
        shown += &said(&sandbox, "app", &["status"]);
        let hook = sandbox.awsdir(["hook", "bash"]).current_dir(sandbox.path("app")).output().unwrap();
        assert!(hook.status.success() && !hook.stderr.is_empty(), "{case}: the hook says it too");
    }
    insta::assert_snapshot!(shown, @"
    -- stderr --
    awsdir: `[HOME]/.config/awsdir/config`, line 2: `login` is `auto`, `ask` or `never`, not `maybe`
    -- exit status: 3 --
    -- stderr --
    awsdir: `[HOME]/.config/awsdir/config`, line 2: `credentials` is `env`, `none` or `only`, not `all`
    -- exit status: 3 --
    -- stderr --
    awsdir: `[HOME]/.config/awsdir/config`, line 3: unknown key `logn` in `[awsdir]`
    -- exit status: 3 --
    -- stderr --
    awsdir: `[HOME]/.config/awsdir/config`, line 2: `flow` is `pkce` or `device`, not `magic`
    -- exit status: 3 --
    -- stderr --
    awsdir: `[HOME]/.config/awsdir/config`, line 2: `port` is a port number, not `70000`
    -- exit status: 3 --
    -- stderr --
    awsdir: `[HOME]/.config/awsdir/config`, line 2: unknown key `login` in `[session corp]`
    -- exit status: 3 --
    -- stderr --
    awsdir: `[HOME]/.config/awsdir/config`, line 2: unknown key `colour` in `[prompt]`
    -- exit status: 3 --
    -- stderr --
    awsdir: `[HOME]/.config/awsdir/config`, line 1: unknown section `[awsdr]`
    -- exit status: 3 --
    -- stderr --
    awsdir: `[HOME]/.config/awsdir/config`, line 1: unknown section `[session]`
    -- exit status: 3 --
    -- stderr --
    awsdir: `[HOME]/.config/awsdir/config`, line 1: unknown section `[profile x]`
    -- exit status: 3 --
    -- stderr --
    awsdir: `[HOME]/.config/awsdir/config`, line 1: expected a section header in brackets first
    -- exit status: 3 --
    -- stderr --
    awsdir: `[HOME]/.config/awsdir/config`, line 2: expected `=` between a key and its value
    -- exit status: 3 --
    ");
    sandbox.write(".config/awsdir/config", b"[awsdir]\nbrowser = \xff\n");
    insta::assert_snapshot!(said(&sandbox, "app", &["status"]), @"
    -- stderr --
    awsdir: `[HOME]/.config/awsdir/config`, line 2: a byte that is not UTF-8
    -- exit status: 3 --
    ");
}

#[test]
fn a_wrong_setting_in_the_environment_names_the_variable() {
    let sandbox = project("read-only");
    let with = |name: &str, value: &str| {
        let output = sandbox.awsdir(["status"]).env(name, value).current_dir(sandbox.path("app")).output();
        sandbox.shown(&output.unwrap())
    };
    insta::assert_snapshot!(with("AWSDIR_LOGIN", "always") + &with("AWSDIR_CREDENTIALS", "some"), @"
    -- stderr --
    awsdir: `AWSDIR_LOGIN` in the environment: it is `auto`, `ask` or `never`, not `always`
    -- exit status: 3 --
    -- stderr --
    awsdir: `AWSDIR_CREDENTIALS` in the environment: it is `env`, `none` or `only`, not `some`
    -- exit status: 3 --
    ");
}

#[test]
fn the_dotfile_beats_the_environment_and_that_beats_the_settings() {
    let sandbox = Sandbox::new();
    sandbox.plant_role_credentials(FAR);
    let has_credentials = |dotfile: &str, setting: &str, variable: &str| {
        sandbox.allowed_project("app", dotfile);
        sandbox.write(".config/awsdir/config", format!("[awsdir]\n{setting}\n"));
        let mut command = sandbox.awsdir(["hook", "bash"]);
        command.current_dir(sandbox.path("app")).env("AWSDIR_CREDENTIALS", variable);
        String::from_utf8(command.output().unwrap().stdout).unwrap().contains("AWS_ACCESS_KEY_ID='")
    };
    assert!(has_credentials("read-only", "", ""));
    assert!(!has_credentials("read-only", "credentials = none", ""));
    assert!(has_credentials("read-only", "credentials = none", "env"));
    assert!(!has_credentials("read-only", "", "none"));
    assert!(has_credentials("profile = read-only\ncredentials = env", "credentials = none", "none"));

    // With nothing in hand, a hook at a terminal has a refresh started only where it may sign in.
    let signs_in = |dotfile: &str, setting: &str, variable: &str| {
        fs::remove_file(sandbox.path(ROLE_FILE)).ok();
        sandbox.allowed_project("app", dotfile);
        sandbox.write(".config/awsdir/config", format!("[awsdir]\n{setting}\n"));
        let mut command = sandbox.awsdir(["hook", "bash"]);
        let ran =
            terminal::run_with_piped_stdout(command.current_dir(sandbox.path("app")).env("AWSDIR_LOGIN", variable));
        String::from_utf8(ran.stdout).unwrap().contains("__awsdir_next='refresh'")
    };
    assert!(signs_in("read-only", "", ""));
    assert!(!signs_in("read-only", "login = never", ""));
    assert!(signs_in("read-only", "login = never", "auto"));
    assert!(!signs_in("read-only", "login = auto", "never"));
    assert!(signs_in("profile = read-only\nlogin = ask", "login = never", "never"));
}

#[test]
fn the_settings_of_a_session_say_how_to_sign_in() {
    let sandbox = Sandbox::new();
    let browser = sandbox.home().parent().unwrap().join("browser");
    let login = |settings: &str| {
        sandbox.write(".config/awsdir/config", settings.replace("BROWSER", browser.to_str().unwrap()));
        let before = sandbox.idc.browser_opens().len();
        let mut command = sandbox.awsdir(["login", "--session", "corp", "--force", "--timeout", "20"]);
        let ran = terminal::run(command.env_remove("BROWSER"));
        assert!(ran.status.success(), "{}", ran.text());
        sandbox.idc.browser_opens()[before..].to_vec()
    };
    assert_eq!(login("[awsdir]\nbrowser = BROWSER\n").len(), 1);
    let opened =
        login("[awsdir]\nbrowser = /nonexistent\n[session other]\nport = 1\n[session corp]\nbrowser = BROWSER\n");
    assert!(opened[0].contains("/authorize?"), "{opened:?}");
    let opened = login("[awsdir]\nbrowser = BROWSER\n[session corp]\nflow = device\n");
    assert!(opened[0].contains("/device"), "{opened:?}");
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let opened = login(&format!("[awsdir]\nbrowser = BROWSER\n[session corp]\nport = {port}\nflow = pkce\n"));
    assert!(opened[0].contains(&format!("127.0.0.1%3A{port}")), "{opened:?}");
}

#[test]
fn the_prompt_settings_shape_the_segment() {
    let sandbox = Sandbox::new();
    sandbox.plant_role_credentials(FAR);
    sandbox.allowed_project("app", "read-only");
    sandbox.write(
        ".config/awsdir/config",
        "[prompt]\nformat = aws:{profile}{danger}@{region} ({left})\ndanger = read-?nly\n",
    );
    assert_eq!(sandbox.steady(&in_bash(&sandbox, "app", "$AWSDIR prompt")), "aws:read-only!@eu-west-1 ([LEFT])");
}

// --- where things are ---------------------------------------------------------------------------------------

#[test]
fn the_xdg_folders_and_aws_config_file_are_honoured() {
    let mut sandbox = Sandbox::new();
    sandbox.set("XDG_CONFIG_HOME", sandbox.path("my config"));
    sandbox.set("XDG_STATE_HOME", sandbox.path("my state"));
    sandbox.set("AWS_CONFIG_FILE", "~/elsewhere/config");
    sandbox.write("elsewhere/config", "[profile moved]\nregion = eu-north-1\n");
    sandbox.write("my config/awsdir/config", "[prompt]\nformat = <{profile}>\n");
    sandbox.allowed_project("app", "moved");
    assert_eq!(in_bash(&sandbox, "app", "$AWSDIR prompt; echo \" $AWS_REGION\""), "<moved> eu-north-1\n");
    let in_state = |name: &str| fs::read_dir(sandbox.path("my state/awsdir").join(name)).unwrap().count();
    assert_eq!(in_state("allow"), 1);
    assert!(!sandbox.path(".local").exists() && !sandbox.path(".config").exists());
    insta::assert_snapshot!(said(&sandbox, "", &["status", "moveed"]), @"
    -- stderr --
    awsdir: there is no profile `moveed` in `[HOME]/elsewhere/config`; did you mean `moved`?
    -- exit status: 3 --
    ");
    sandbox.set("AWS_SHARED_CREDENTIALS_FILE", sandbox.write("elsewhere/credentials", "[keys]\n"));
    assert!(said(&sandbox, "", &["status", "keys"]).starts_with("profile           keys, as asked\n"));
    sandbox.set("XDG_STATE_HOME", "relative");
    sandbox.allowed_project("app", "moved");
    assert!(sandbox.path(".local/state/awsdir/allow").exists(), "what is not absolute is ignored");
}

#[test]
fn a_home_that_is_not_absolute_is_said_and_never_breaks_a_prompt() {
    let mut sandbox = project("read-only");
    sandbox.set("HOME", "relative");
    insta::assert_snapshot!(session(&sandbox, ["status read-only", "allow app", "prompt"]), @"
    $ awsdir status read-only
    -- stderr --
    awsdir: the home directory is not known: `HOME` is not an absolute path
    -- exit status: 1 --
    $ awsdir allow app
    -- stderr --
    awsdir: the home directory is not known: `HOME` is not an absolute path
    -- exit status: 1 --
    $ awsdir prompt
    ");
    let hook = sandbox.awsdir(["hook", "bash"]).current_dir(sandbox.path("app")).output().unwrap();
    assert!(hook.status.success() && hook.stdout.ends_with(b": awsdir-end\n"));
}

#[test]
fn a_closed_stdout_is_nobodys_failure() {
    let sandbox = project("read-only");
    sandbox.plant_role_credentials(FAR);
    let lines = [
        "export",
        "export --format env",
        "credential-process read-only",
        "status",
        "status --json",
        "init bash",
        "init fish",
        "hook zsh",
        "prompt",
        "--help",
        "--version",
        "login --help",
    ];
    for line in lines {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = sandbox.awsdir(line.split(' '));
        let output = command.current_dir(sandbox.path("app")).stdout(writer).output().unwrap();
        assert_eq!(sandbox.shown(&output), "", "{line}");
    }
    let full = File::options().write(true).open("/dev/full").unwrap();
    let output = sandbox.awsdir(["init", "bash"]).stdout(full).output().unwrap();
    insta::assert_snapshot!(sandbox.shown(&output), @"
    -- stderr --
    awsdir: could not write to standard output
    caused by: No space left on device (os error 28)
    -- exit status: 1 --
    ");
}

#[test]
fn a_closed_stderr_is_nobodys_failure() {
    let sandbox = project("read-only");
    for (line, code) in [("allow app", 0), ("status ghost", 3), ("hook bash", 0), ("wrong", 2)] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let status = sandbox.awsdir(line.split(' ')).stdout(Stdio::null()).stderr(writer).status().unwrap();
        assert_eq!(status.code(), Some(code), "{line}");
    }
}

// --- init ---------------------------------------------------------------------------------------------------

#[test]
fn init_prints_where_things_are_and_then_the_hook_verbatim() {
    let sandbox = Sandbox::new();
    let shells = [
        ("bash", include_str!("../shell/awsdir.bash")),
        ("zsh", include_str!("../shell/awsdir.zsh")),
        ("fish", include_str!("../shell/awsdir.fish")),
    ];
    let mut shown = String::new();
    for (shell, script) in shells {
        let text = String::from_utf8(sandbox.awsdir(["init", shell]).output().unwrap().stdout).unwrap();
        shown += &sandbox.steady(text.strip_suffix(script).unwrap());
    }
    let text = String::from_utf8(sandbox.awsdir(["init", "bash", "--no-cd"]).output().unwrap().stdout).unwrap();
    shown += &sandbox.steady(text.strip_suffix(shells[0].1).unwrap());
    insta::assert_snapshot!(shown, @r"
    __awsdir_bin='[AWSDIR]'
    __awsdir_generation_file='[HOME]/.local/state/awsdir/generation'
    \typeset -g __awsdir_bin='[AWSDIR]'
    \typeset -g __awsdir_generation_file='[HOME]/.local/state/awsdir/generation'
    set -g __awsdir_bin '[AWSDIR]'
    set -g __awsdir_generation_file '[HOME]/.local/state/awsdir/generation'
    set -g __awsdir_clock_file '[HOME]/.local/state/awsdir/epoch'
    __awsdir_bin='[AWSDIR]'
    __awsdir_generation_file='[HOME]/.local/state/awsdir/generation'
    __awsdir_no_cd='1'
    ");
    assert!(Path::new(env!("CARGO_BIN_EXE_awsdir")).is_absolute());
    assert!(sandbox.idc.requests().is_empty());
}

#[test]
fn init_quotes_what_it_prints() {
    let mut sandbox = Sandbox::new();
    sandbox.set("XDG_STATE_HOME", "/x '$(touch y)'\\\n`z`");
    let second_line = |shell| {
        let text = String::from_utf8(sandbox.awsdir(["init", shell]).output().unwrap().stdout).unwrap();
        text.lines().nth(1).unwrap().to_owned()
    };
    assert_eq!(second_line("bash"), r"__awsdir_generation_file=$'/x \'$(touch y)\'\\\012`z`/awsdir/generation'");
    assert_eq!(
        second_line("zsh"),
        r"\typeset -g __awsdir_generation_file=$'/x \'$(touch y)\'\\\012`z`/awsdir/generation'"
    );
    assert_eq!(
        second_line("fish"),
        r"set -g __awsdir_generation_file '/x \'$(touch y)\'\\'\X0a'`z`/awsdir/generation'"
    );
}
