//! `with-aws`: one command as another role. The process becomes the command.

use crate::identity_center::Operation;
use crate::sandbox::{CONFIG, Sandbox, eventually};
use crate::terminal::{self, Terminal};
use rustix::process::{Pid, Signal, kill_process};
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

const FAR: &str = "2090-01-01T00:00:00Z";

/// A sandbox in which `read-only` is fresh, without the Identity Center having been asked.
fn fresh() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.plant_role_credentials(FAR);
    sandbox
}

fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split(' ')
}

/// The AWS part of what `env -0` printed, sorted.
fn aws_variables(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stdout);
    let mut variables: Vec<&str> = text.split('\0').filter(|variable| variable.starts_with("AWS")).collect();
    variables.sort_unstable();
    variables.join("\n")
}

// --- environment --------------------------------------------------------------------------------------------

/// Every variable by which an inherited environment could name a profile or carry credentials.
pub(crate) const HOSTILE: [&str; 28] = [
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_EB_PROFILE",
    "AWS_SSO_PROFILE",
    "AWS_VAULT",
    "AWSUME_PROFILE",
    "AWSU_PROFILE",
    "AWSUME_EXPIRATION",
    "AWS_SESSION_EXPIRATION",
    "AWS_SSO_SESSION_EXPIRATION",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_SECURITY_TOKEN",
    "AWS_CREDENTIAL_EXPIRATION",
    "AWS_ACCESS_KEY",
    "AWS_SECRET_KEY",
    "AWS_ACCOUNT_ID",
    "AWS_ROLE_ARN",
    "AWS_ROLE_SESSION_NAME",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    "AWS_CREDENTIAL_FILE",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
];

#[test]
fn the_childs_environment_is_the_role_and_nothing_that_could_shadow_it() {
    let mut sandbox = fresh();
    for name in HOSTILE {
        sandbox.set(name, "hostile");
    }
    sandbox.set("AWSDIR", "1 0 0123456789abcdef - hostile");
    sandbox.set("AWS_PAGER", "less");
    let output = sandbox.with_aws(["read-only", "--", "env", "-0"]).output().unwrap();
    insta::assert_snapshot!(sandbox.steady(&aws_variables(&output)), @"
    AWSDIR=1 [UID] [ID] eu-west-1 read-only
    AWS_ACCESS_KEY_ID=ASIAPLANTED
    AWS_CREDENTIAL_EXPIRATION=[TIME]
    AWS_DEFAULT_REGION=eu-west-1
    AWS_EC2_METADATA_DISABLED=true
    AWS_ENDPOINT_URL_SSO=[ENDPOINT]
    AWS_ENDPOINT_URL_SSO_OIDC=[ENDPOINT]
    AWS_ENDPOINT_URL_STS=[ENDPOINT]
    AWS_PAGER=less
    AWS_REGION=eu-west-1
    AWS_SECRET_ACCESS_KEY=planted+secret
    AWS_SESSION_TOKEN=planted/token==
    AWS_SSO_PROFILE=read-only
    ");

    let by_awsdir = sandbox.awsdir(["exec", "read-only", "--", "env", "-0"]).output().unwrap();
    assert_eq!(by_awsdir.stdout, output.stdout, "`awsdir exec` is the same");
}

#[test]
fn everything_else_of_the_environment_stays_as_it_is() {
    let mut sandbox = fresh();
    sandbox.set("EMPTY", "");
    sandbox.set("BYTES", OsStr::from_bytes(b"\xff = 'x'\n"));
    let environment = |mut command: Command| {
        let output = command.output().unwrap().stdout;
        let ours = |variable: &&[u8]| !variable.starts_with(b"AWS") && !variable.starts_with(b"_=");
        let mut variables: Vec<Vec<u8>> = output.split(|byte| *byte == 0).filter(ours).map(<[u8]>::to_vec).collect();
        variables.sort();
        variables
    };
    let mut plain = sandbox.command("env");
    plain.arg("-0");
    assert_eq!(environment(sandbox.with_aws(["read-only", "--", "env", "-0"])), environment(plain));
}

#[test]
fn the_region_is_the_one_asked_for_else_the_profiles_else_the_inherited() {
    let mut sandbox = fresh();
    sandbox.sign_in(|_| {});
    let regions = |line: &str| {
        let line = format!("{line} -- sh -c");
        let script = "echo ${AWS_REGION-unset} ${AWS_DEFAULT_REGION-unset}";
        String::from_utf8(sandbox.with_aws(words(&line)).arg(script).output().unwrap().stdout).unwrap()
    };
    assert_eq!(regions("read-only"), "eu-west-1 eu-west-1\n");
    assert_eq!(regions("--region us-west-2 read-only"), "us-west-2 us-west-2\n");
    assert_eq!(regions("no-region"), "unset unset\n");
    assert_eq!(regions("--region us-west-2 no-region"), "us-west-2 us-west-2\n");
    sandbox.set("AWS_REGION", "sa-east-1");
    let inherited = sandbox.with_aws(["no-region", "printenv", "AWS_REGION"]).output().unwrap();
    assert_eq!(inherited.stdout, b"sa-east-1\n");
}

#[test]
fn the_hook_stands_down_in_a_child() {
    let sandbox = fresh();
    sandbox.allowed_project("app", "static");
    let mut command = sandbox.with_aws(["read-only", "--", env!("CARGO_BIN_EXE_awsdir"), "hook", "bash"]);
    let output = command.current_dir(sandbox.path("app")).output().unwrap();
    insta::assert_snapshot!(sandbox.steady(&sandbox.shown(&output)), @"
    __awsdir_status='standdown'
    __awsdir_next=''
    __awsdir_deadline=''
    __awsdir_generation='[ID]'
    __awsdir_watch_config=''
    __awsdir_watch_token=''
    __awsdir_segment_head='read-only '
    __awsdir_segment_tail=''
    __awsdir_expires='[EPOCH]'
    __awsdir_said=''
    __awsdir_inherited='AWS_REGION AWS_DEFAULT_REGION AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN AWS_CREDENTIAL_EXPIRATION AWS_SSO_PROFILE AWSDIR'
    : awsdir-end
    ");
}

#[test]
fn in_a_child_another_with_aws_replaces_the_role() {
    let sandbox = fresh();
    sandbox.sign_in(|_| {});
    let inner = [env!("CARGO_BIN_EXE_with-aws"), "prod-admin", "--", "sh", "-c", "echo $AWS_SSO_PROFILE $AWS_REGION"];
    let output = sandbox.with_aws([&["read-only", "--"][..], &inner].concat()).output().unwrap();
    assert_eq!(sandbox.shown(&output), "prod-admin us-east-1\n");
}

// --- finding the command, and our own failures --------------------------------------------------------------

#[test]
fn the_command_is_found_before_any_sign_in() {
    let sandbox = Sandbox::new();
    sandbox.write("plain", "#!/bin/sh\n");
    sandbox.write("folder/x", "");
    let mut shown = String::new();
    for command in ["no-such-command", "./no-such-file", "./plain", "./folder", "/", ""] {
        let ran = terminal::run(&mut sandbox.with_aws(["--color", "never", "read-only", "--", command]));
        let _ = writeln!(shown, "{}-- {} --", ran.text(), ran.status.code().unwrap());
    }
    insta::assert_snapshot!(shown, @"
    awsdir: `no-such-command` is not on the PATH
    -- 127 --
    awsdir: there is no `./no-such-file`
    -- 127 --
    awsdir: `./plain` is not executable
    -- 126 --
    awsdir: `./folder` is not executable
    -- 126 --
    awsdir: `/` is not executable
    -- 126 --
    awsdir: `` is not on the PATH
    -- 127 --
    ");
    assert!(sandbox.idc.requests().is_empty() && sandbox.idc.browser_opens().is_empty());
    let mut lost = sandbox.with_aws(["read-only", "--", "x"]);
    assert_eq!(lost.env("PATH", sandbox.path("folder")).output().unwrap().status.code(), Some(126), "not executable");
}

#[test]
fn our_own_failure_is_125() {
    let mut sandbox = Sandbox::new();
    sandbox.write(
        ".aws/config",
        format!("{CONFIG}\n[profile half]\nsso_session = corp\nsso_account_id = 1\n[profile bare]\n"),
    );
    let mut shown = String::new();
    let mut run = |sandbox: &Sandbox, line: &str| shown += &sandbox.transcript(&mut sandbox.with_aws(words(line)));
    for line in ["ghost -- true", "half -- true", "bare -- true", "read-only -- true", "--login never read-only true"] {
        run(&sandbox, line);
    }
    sandbox.write(".config/awsdir/config", "[awsdir]\nlogin = maybe\n");
    run(&sandbox, "read-only -- true");
    sandbox.write(".config/awsdir/config", "");
    sandbox.write(".aws/config", "[broken");
    run(&sandbox, "read-only -- true");
    sandbox.write(".aws/config", CONFIG);
    sandbox.sign_in(|_| {});
    sandbox.idc.unassign("111111111111", "ReadOnly");
    run(&sandbox, "read-only -- true");
    sandbox.set("AWS_ENDPOINT_URL_SSO", "http://127.0.0.1:1");
    insta::assert_snapshot!(shown, @"
    -- stderr --
    awsdir: there is no profile `ghost` in `[HOME]/.aws/config`
    hint: awsdir list
    -- exit status: 125 --
    -- stderr --
    awsdir: `[HOME]/.aws/config`, line 35: `[profile half]` has no `sso_role_name`
    -- exit status: 125 --
    -- stderr --
    awsdir: profile `bare` has no credentials: no `sso_account_id`, `role_arn`, `credential_process` or access keys
    -- exit status: 125 --
    -- stderr --
    awsdir: sign-in needed: the session `corp` of profile `read-only` is stale (no terminal)
    hint: awsdir login read-only
    -- exit status: 125 --
    -- stderr --
    awsdir: sign-in needed: the session `corp` of profile `read-only` is stale (`--login never`)
    hint: awsdir login read-only
    -- exit status: 125 --
    -- stderr --
    awsdir: `[HOME]/.config/awsdir/config`, line 2: `login` is `auto`, `ask` or `never`, not `maybe`
    -- exit status: 125 --
    -- stderr --
    awsdir: `[HOME]/.aws/config`, line 1: the section header does not end with `]`
    -- exit status: 125 --
    -- stderr --
    awsdir: permission set `ReadOnly` in account 111111111111 is not granted to you (No access)
    -- exit status: 125 --
    ");
    let unreachable = sandbox.with_aws(["prod-admin", "--", "true"]).output().unwrap();
    assert_eq!(unreachable.status.code(), Some(125));
    assert!(String::from_utf8(unreachable.stderr).unwrap().starts_with("awsdir: could not reach `http://127.0.0.1:1"));
}

#[test]
fn a_wrong_command_line_is_our_own_failure() {
    let sandbox = fresh();
    for line in ["", "read-only", "read-only --", "--wrong read-only -- true", "--min-ttl soon read-only -- true"] {
        let output = sandbox.with_aws(words(line)).output().unwrap();
        assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(125), &b""[..]), "with-aws {line}");
    }
    for before in ["", "-q ", "--quiet ", "--verbose ", "--color never ", "--color=never "] {
        let line = format!("{before}exec --wrong read-only -- true");
        assert_eq!(sandbox.awsdir(words(&line)).output().unwrap().status.code(), Some(125), "awsdir {line}");
    }
    assert_eq!(sandbox.awsdir(["--color", "exec", "status"]).output().unwrap().status.code(), Some(2));
}

#[test]
fn login_never_opens_no_browser() {
    let sandbox = Sandbox::new();
    let ran = terminal::run(&mut sandbox.with_aws(["--color", "never", "--login", "never", "read-only", "--", "true"]));
    assert_eq!(ran.status.code(), Some(125));
    insta::assert_snapshot!(ran.text(), @"
    awsdir: sign-in needed: the session `corp` of profile `read-only` is stale (`--login never`)
    hint: awsdir login read-only
    ");
    let ran = terminal::run(sandbox.with_aws(["read-only", "--", "true"]).env("AWSDIR_LOGIN", "never"));
    assert_eq!(ran.status.code(), Some(125), "by setting");
    assert!(sandbox.idc.requests().is_empty() && sandbox.idc.browser_opens().is_empty());
}

// --- becoming the command -----------------------------------------------------------------------------------

#[test]
fn the_process_becomes_the_command() {
    let sandbox = fresh();
    let mut command = sandbox.with_aws(["read-only", "--", "sh", "-c", "echo $$"]);
    let child = command.stdout(Stdio::piped()).spawn().unwrap();
    let pid = child.id();
    assert_eq!(String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap(), format!("{pid}\n"));
}

#[test]
fn the_exit_status_is_the_commands_own() {
    let sandbox = fresh();
    for code in [0, 1, 2, 3, 4, 125, 126, 127, 130, 255] {
        let script = format!("exit {code}");
        let output = sandbox.with_aws(["read-only", "--", "sh", "-c", &script]).output().unwrap();
        assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(code), &b""[..]));
    }
    let killed = sandbox.with_aws(["read-only", "--", "sh", "-c", "kill -KILL $$"]).status().unwrap();
    assert_eq!(killed.signal(), Some(9));
}

#[test]
fn signals_reach_the_command() {
    let sandbox = fresh();
    let script = "trap 'echo got TERM; exit 7' TERM; echo ready; while :; do read line; done";
    let mut command = sandbox.with_aws(["read-only", "--", "sh", "-c", script]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let mut ready = [0; 6];
    stdout.read_exact(&mut ready).unwrap();
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    // The shell runs the trap once the read returns.
    child.stdin.as_mut().unwrap().write_all(b"\n").ok();
    let mut said = String::new();
    stdout.read_to_string(&mut said).unwrap();
    assert_eq!((said.as_str(), child.wait().unwrap().code()), ("got TERM\n", Some(7)));
}

#[test]
fn ctrl_c_and_job_control_are_the_commands_own() {
    let sandbox = fresh();
    let script = "trap 'echo interrupted' INT; echo ready; read line; echo got $line";
    let mut terminal = Terminal::spawn(&mut sandbox.with_aws(["read-only", "--", "bash", "-c", script]));
    terminal.wait_for("ready");
    terminal.send("\x03");
    terminal.wait_for("interrupted");
    terminal.send("x\r");
    terminal.wait_for("got x");
    assert_eq!(terminal.wait().status.code(), Some(0));
}

#[test]
fn stdin_and_stdout_pass_untouched() {
    let sandbox = fresh();
    let mut command = sandbox.with_aws(["-v", "read-only", "--", "cat"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let bytes: Vec<u8> = (0..=255).cycle().take(10_000).collect();
    child.stdin.take().unwrap().write_all(&bytes).unwrap();
    assert_eq!(child.wait_with_output().unwrap().stdout, bytes);
}

#[cfg(target_os = "linux")]
#[test]
fn the_command_starts_with_the_usual_signal_dispositions() {
    let sandbox = fresh();
    let ignored = |mut command: Command| {
        let text = String::from_utf8(command.output().unwrap().stdout).unwrap();
        ["SigIgn:", "SigBlk:"].map(|name| {
            let mask = text.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim();
            // Signals 32 and 33 are the C library's own, and vary with how a process was started.
            u64::from_str_radix(mask, 16).unwrap() & !(0b11 << 31)
        })
    };
    let mut without_us = sandbox.command("cat");
    without_us.arg("/proc/self/status");
    let [usual, blocked] = ignored(without_us);
    for how in ["read-only", "--renew read-only"] {
        let with_us = sandbox.with_aws(words(&format!("{how} -- cat /proc/self/status")));
        assert_eq!(ignored(with_us), [usual, blocked], "{how}");
        // A signal that the caller ignores stays ignored, as `nohup` wants it.
        let with_aws = env!("CARGO_BIN_EXE_with-aws");
        let script = format!("trap '' HUP INT; exec {with_aws} {how} -- cat /proc/self/status");
        let mut nohup = sandbox.command("sh");
        nohup.args(["-c", &script]);
        assert_eq!(ignored(nohup), [usual | 0b11, blocked], "{how}");
    }
}

#[test]
fn a_closed_pipe_ends_the_command() {
    let output = fresh().with_aws(["read-only", "--", "bash", "-c", "yes | head -1; echo ${PIPESTATUS[0]}"]).output();
    assert_eq!(String::from_utf8(output.unwrap().stdout).unwrap(), "y\n141\n", "`yes` died of SIGPIPE");
}

#[cfg(target_os = "linux")]
#[test]
fn no_descriptor_of_ours_is_left_to_the_command() {
    let sandbox = Sandbox::new();
    sandbox.sign_in(|_| {});
    // What the tests themselves have been given, or lose between a fork and an exec (terminals), is not ours.
    let open_files = |mut command: Command| -> Vec<String> {
        let text = String::from_utf8(command.args(["-c", "ls -l /proc/$$/fd; :"]).output().unwrap().stdout).unwrap();
        let files = text.lines().filter_map(|line| line.split_once(" -> "));
        let beyond_stderr = files.filter(|(line, _)| ![" 0", " 1", " 2"].iter().any(|end| line.ends_with(end)));
        beyond_stderr.map(|(_, file)| file.to_owned()).filter(|file| !file.starts_with("/dev/pt")).collect()
    };
    for how in ["read-only", "--renew read-only"] {
        let line = format!("{how} -- sh");
        assert_eq!(open_files(sandbox.with_aws(words(&line))), open_files(sandbox.command("sh")), "{how}");
    }
}

// --- arguments ----------------------------------------------------------------------------------------------

#[test]
fn the_command_keeps_its_own_flags_with_and_without_dashes() {
    let sandbox = fresh();
    let arguments = ["--region", "x", "-q", "--", "-v", "--help", "", "a b", "*", "$HOME"];
    for before in [&["read-only", "--"][..], &["read-only"]] {
        let line = [before, &["printf", "[%s]"], &arguments].concat();
        let output = sandbox.with_aws(line).output().unwrap();
        assert_eq!(sandbox.shown(&output), "[--region][x][-q][--][-v][--help][][a b][*][$HOME]", "{before:?}");
    }
}

#[test]
fn arguments_are_bytes() {
    let sandbox = fresh();
    let bytes = OsStr::from_bytes(b"\xff\x01\n\xc3");
    let output = sandbox.with_aws(["read-only", "--", "printf", "%s"]).arg(bytes).output().unwrap();
    assert_eq!(output.stdout, bytes.as_bytes());
    let name = OsStr::from_bytes(b"script-\xff");
    let path = sandbox.write(name, "#!/bin/sh\necho ran\n");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    let output = sandbox.with_aws(["read-only", "--"]).arg(&path).output().unwrap();
    assert_eq!(output.stdout, b"ran\n");
}

#[test]
fn the_command_sees_the_name_it_was_called_by() {
    let sandbox = fresh();
    let name = |command: &str| {
        let output = sandbox.with_aws(["read-only", "--", command, "-c", "echo $0"]).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
    };
    assert_eq!(name("bash"), "bash");
    assert_eq!(name("/bin/bash"), "/bin/bash");
}

#[test]
fn a_command_with_a_slash_is_a_path_from_here() {
    let sandbox = fresh();
    let path = sandbox.write("bin/greet", "#!/bin/sh\necho hello $1\n");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    let output = sandbox.with_aws(["read-only", "--", "bin/greet", "you"]).output().unwrap();
    assert_eq!(sandbox.shown(&output), "hello you\n");
    let output = sandbox.with_aws(["read-only", "--", "greet"]).output().unwrap();
    assert_eq!(output.status.code(), Some(127), "not on the PATH");
}

/// `execve` refuses it with ENOEXEC, and every shell then runs it as a script of `sh`.
#[test]
fn a_script_without_an_interpreter_line_runs_as_in_a_shell() {
    let sandbox = fresh();
    let path = sandbox.write("script", "echo \"$AWS_SSO_PROFILE $1\"\n");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    let output = sandbox.with_aws(["read-only", "--", "./script", "x"]).output().unwrap();
    assert_eq!(sandbox.shown(&output), "read-only x\n");
}

#[test]
fn a_script_with_a_missing_interpreter_is_126() {
    let sandbox = fresh();
    let path = sandbox.write("script", "#!/no/such/interpreter\n");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    insta::assert_snapshot!(sandbox.transcript(&mut sandbox.with_aws(["read-only", "--", "./script"])), @"
    -- stderr --
    awsdir: `./script` is not executable
    caused by: No such file or directory (os error 2)
    -- exit status: 126 --
    ");
}

// --- renewing and signing in --------------------------------------------------------------------------------

#[test]
fn a_minimum_time_to_live_renews_first() {
    let sandbox = Sandbox::new();
    sandbox.idc.settings(|settings| settings.role_lifetime = Duration::from_mins(20));
    sandbox.sign_in(|_| {});
    let run = |options: &str| {
        let line = format!("{options}read-only -- printenv AWS_ACCESS_KEY_ID");
        let output = sandbox.with_aws(words(&line)).output().unwrap();
        sandbox.steady(&String::from_utf8_lossy(&output.stderr))
    };
    let requests = || sandbox.idc.count(Operation::GetRoleCredentials);
    run("");
    run("");
    run("--min-ttl 10m ");
    assert_eq!(requests(), 1, "20 minutes are left");
    let said = run("--min-ttl 30m ");
    assert!(said.starts_with("awsdir: the role credentials of `read-only` last for "), "{said}");
    assert_eq!(requests(), 2, "and still no more than that to be had");
    sandbox.idc.settings(|settings| settings.role_lifetime = Duration::from_hours(1));
    assert_eq!(run("--min-ttl 30m "), "");
    assert_eq!(requests(), 3);
    assert_eq!(run("--min-ttl 30m "), "");
    assert_eq!(requests(), 3);
}

#[test]
fn at_a_terminal_a_sign_in_comes_first_and_then_the_command_has_the_terminal() {
    let sandbox = Sandbox::new();
    let script = "test -t 0 && test -t 1 && test -t 2 && read -p 'name? ' name && echo $AWS_SSO_PROFILE for $name";
    let mut terminal = Terminal::spawn(&mut sandbox.with_aws(["read-only", "--", "bash", "-c", script]));
    terminal.wait_for("name? ");
    assert_eq!(sandbox.idc.browser_opens().len(), 1);
    terminal.send("you\r");
    terminal.wait_for("read-only for you");
    assert_eq!(terminal.wait().status.code(), Some(0));
}

#[test]
fn a_sign_in_interrupted_ends_the_line_and_the_command_does_not_run() {
    let sandbox = Sandbox::new();
    sandbox.idc.settings(|settings| settings.browser = crate::identity_center::BrowserBehaviour::Nothing);
    let marker = sandbox.path("ran");
    let mut command = sandbox.with_aws(["read-only", "--", "touch", marker.to_str().unwrap()]);
    let mut terminal = Terminal::spawn(&mut command);
    eventually("the browser", || sandbox.idc.browser_opens().len() == 1);
    terminal.send("\x03");
    // Of the signal, which a shell shows as 130: `with-aws prod -- plan; apply` must not go on to apply.
    assert_eq!(terminal.wait().status.signal(), Some(2));
    assert!(!marker.exists());
}
