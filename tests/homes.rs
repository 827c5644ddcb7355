//! A HOME that is full, read-only, not there, somewhere else, or without locks: clear words, the right code, nothing lost,
//! and the prompt goes on.

use crate::sandbox::{ROLE_FILE, Sandbox, TOKEN_FILE, available, from_now, may_trace, skipped};
use crate::sign_in::sandbox;
use crate::terminal::{run, run_with_piped_stdout};
use std::os::unix::fs::symlink;
use std::process::Command;

/// Mounts what `$1` says over the HOME with everything that is in it, and runs the rest of the arguments.
const MOUNTED: &str = r#"
mounting=$1 copy=${TMPDIR:-/tmp}/awsdir-home.$$
shift
cp -a "$HOME" "$copy" || exit 99
mount -t tmpfs -o size=512k,mode=755 none "$HOME" && cp -a "$copy/." "$HOME" || exit 99
rm -r "$copy"
case $mounting in
  full) cat /dev/zero >"$HOME/everything" 2>/dev/null ;;
  read-only) mount -o remount,bind,ro "$HOME" || exit 99 ;;
esac
cd "$PWD" || exit 99
"$@"
"#;

/// Whether file systems can be mounted here, by whoever we are.
pub(crate) fn may_mount() -> bool {
    let mount = "mount -t tmpfs none /tmp";
    let may = available("unshare")
        && Command::new("unshare").args(["-rm", "sh", "-c", mount]).output().is_ok_and(|ran| ran.status.success());
    if !may {
        skipped("file systems cannot be mounted here: no full and no read-only HOME");
    }
    may
}

/// awsdir with its HOME `full` or `read-only`.
fn with_home(sandbox: &Sandbox, mounting: &str, line: &str) -> Command {
    let mut command = sandbox.command("unshare");
    command.args(["-rm", "sh", "-c", MOUNTED, "sh", mounting, env!("CARGO_BIN_EXE_awsdir")]).args(line.split(' '));
    command
}

fn in_work(sandbox: &Sandbox, mut command: Command) -> Command {
    let work = sandbox.path("work");
    command.env("PWD", &work).current_dir(work);
    command
}

#[test]
fn on_a_full_disk_no_refresh_token_is_spent() {
    if !may_mount() {
        return;
    }
    let sandbox = sandbox();
    sandbox.sign_in(|token| token["expiresAt"] = from_now(-60).into());
    insta::assert_snapshot!(sandbox.transcript(&mut with_home(&sandbox, "full", "export read-only")), @"
    -- stderr --
    awsdir: could not write `[HOME]/.aws/sso/cache/ee0bfd2552fbd840c02cc48b6e823320543c450f.json`
    caused by: No space left on device (os error 28)
    -- exit status: 1 --
    ");
    assert_eq!(sandbox.asked(), "");
}

#[test]
fn on_a_full_disk_nobody_is_asked_to_approve_anything() {
    if !may_mount() {
        return;
    }
    let sandbox = sandbox();
    insta::assert_snapshot!(sandbox.at_terminal(&mut with_home(&sandbox, "full", "login --session corp")), @"
    awsdir: could not write `[HOME]/.aws/sso/cache/ee0bfd2552fbd840c02cc48b6e823320543c450f.json`
    caused by: No space left on device (os error [ERRNO])
    -- exit status: 1 --
    ");
    assert_eq!(sandbox.idc.browser_opens().len(), 0);
}

#[test]
fn what_was_fetched_is_used_where_it_cannot_be_kept() {
    if !may_mount() {
        return;
    }
    let sandbox = sandbox();
    sandbox.sign_in(|_| {});
    for mounting in ["full", "read-only"] {
        let mut export = with_home(&sandbox, mounting, "export read-only");
        let output = export.env("XDG_STATE_HOME", sandbox.path("../state")).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let issued = sandbox.idc.issued_credentials().pop().unwrap();
        assert!(String::from_utf8_lossy(&output.stdout).contains(&issued.secret_access_key), "{output:?}");
        let said = sandbox.plain(&String::from_utf8_lossy(&output.stderr));
        assert!(said.starts_with("awsdir: could not ") && said.contains("`[HOME]/.aws/cli/cache"), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
}

#[test]
fn a_read_only_home_is_said_and_the_prompt_goes_on() {
    if !may_mount() {
        return;
    }
    let sandbox = sandbox();
    sandbox.allowed_project("work", "read-only\n");
    sandbox.get_role(|_| {});
    let hook = in_work(&sandbox, with_home(&sandbox, "read-only", "hook bash")).output().unwrap();
    let script = String::from_utf8_lossy(&hook.stdout);
    assert!(script.contains("AWS_ACCESS_KEY_ID=") && script.ends_with(": awsdir-end\n"), "{hook:?}");
    assert!(hook.stderr.is_empty(), "{hook:?}");
    std::fs::remove_file(sandbox.path(ROLE_FILE)).unwrap();
    let hook = in_work(&sandbox, with_home(&sandbox, "read-only", "hook bash")).output().unwrap();
    assert!(hook.status.success() && hook.stdout.ends_with(b": awsdir-end\n") && hook.stderr.is_empty(), "{hook:?}");
    let said =
        ["export read-only", "login --session corp --force", "logout --session corp", "allow work", "pin read-only"]
            .map(|line| sandbox.at_terminal(&mut with_home(&sandbox, "read-only", line)));
    insta::assert_snapshot!(said.join("\n"), @"
    awsdir: could not lock `[HOME]/.local/state/awsdir/locks/role-e83cab308910340ce11a566ebf0b9e96b40f6c39.lock`
    caused by: Read-only file system (os error [ERRNO])
    -- exit status: 1 --

    awsdir: could not lock `[HOME]/.local/state/awsdir/locks/session-ee0bfd2552fbd840c02cc48b6e823320543c450f.lock`
    caused by: Read-only file system (os error [ERRNO])
    -- exit status: 1 --

    awsdir: could not lock `[HOME]/.local/state/awsdir/locks/session-ee0bfd2552fbd840c02cc48b6e823320543c450f.lock`
    caused by: Read-only file system (os error [ERRNO])
    -- exit status: 1 --

    awsdir: could not write `[HOME]/.local/state/awsdir/allow/[ID]`
    caused by: Read-only file system (os error [ERRNO])
    -- exit status: 1 --

    awsdir: could not write `[HOME]/.awsprofile`
    caused by: Read-only file system (os error [ERRNO])
    -- exit status: 1 --
    ");
}

#[test]
fn a_home_that_is_not_there_is_made_or_said() {
    let mut sandbox = sandbox();
    let config = sandbox.path(".aws/config");
    sandbox.set("AWS_CONFIG_FILE", config);
    let mut command = sandbox.awsdir(["export", "read-only"]);
    let ran = run_with_piped_stdout(command.env("HOME", sandbox.path("new")));
    assert!(ran.status.success(), "{}", ran.text());
    assert!(sandbox.path("new").join(TOKEN_FILE).exists());
    let said = ["export read-only", "login --session corp", "status"].map(|line| {
        let mut command = sandbox.awsdir(line.split(' '));
        sandbox.transcript(command.env("HOME", "/proc/nobody"))
    });
    insta::assert_snapshot!(said.join("\n"), @"
    -- stderr --
    awsdir: could not create `/proc/nobody/.local/state/awsdir/locks`
    caused by: No such file or directory (os error 2)
    -- exit status: 1 --

    -- stderr --
    awsdir: could not create `/proc/nobody/.local/state/awsdir/locks`
    caused by: No such file or directory (os error 2)
    -- exit status: 1 --

    -- stderr --
    awsdir: nothing says which profile: no `.awsprofile` here or above, and `AWS_PROFILE` is not set
    hint: awsdir pin PROFILE
    -- exit status: 3 --
    ");
    let hook = sandbox.awsdir(["hook", "bash"]).env("HOME", "/proc/nobody").output().unwrap();
    assert!(hook.status.success() && hook.stdout.ends_with(b": awsdir-end\n") && hook.stderr.is_empty(), "{hook:?}");
}

#[test]
fn folders_may_be_symlinks_and_stay_so() {
    let sandbox = sandbox();
    std::fs::rename(sandbox.path(".aws"), sandbox.path("elsewhere")).unwrap();
    symlink("elsewhere", sandbox.path(".aws")).unwrap();
    std::fs::create_dir_all(sandbox.path("caches/sso")).unwrap();
    symlink("../caches/sso", sandbox.path("elsewhere/sso")).unwrap();
    sandbox.get_role(|_| {});
    let token = TOKEN_FILE.strip_prefix(".aws/sso/").unwrap();
    assert!(sandbox.path("caches/sso").join(token).is_file());
    let output = sandbox.awsdir(["logout", "--session", "corp"]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(!sandbox.path("caches/sso").join(token).exists());
    assert!(sandbox.path(".aws").is_symlink() && sandbox.path(".aws/sso").is_symlink());
}

#[test]
fn what_is_in_the_place_of_a_file_or_folder_is_named() {
    let said = [(".aws/sso/cache", false), (".aws/sso", false), (TOKEN_FILE, true), (".local/state/awsdir", false)]
        .map(|(place, folder)| {
            let sandbox = sandbox();
            if folder {
                std::fs::create_dir_all(sandbox.path(place)).unwrap();
            } else {
                sandbox.write(place, "in the way");
            }
            let said = sandbox.at_terminal(&mut sandbox.awsdir(["login", "--session", "corp"]));
            assert_eq!(sandbox.idc.browser_opens().len(), 0, "{said}");
            said
        });
    insta::assert_snapshot!(said.join("\n"), @"
    awsdir: could not write `[HOME]/.aws/sso/cache/ee0bfd2552fbd840c02cc48b6e823320543c450f.json`
    caused by: Not a directory (os error [ERRNO])
    -- exit status: 1 --

    awsdir: could not create `[HOME]/.aws/sso/cache`
    caused by: Not a directory (os error [ERRNO])
    -- exit status: 1 --

    awsdir: could not write `[HOME]/.aws/sso/cache/ee0bfd2552fbd840c02cc48b6e823320543c450f.json`
    caused by: Is a directory (os error [ERRNO])
    -- exit status: 1 --

    awsdir: could not create `[HOME]/.local/state/awsdir/locks`
    caused by: Not a directory (os error [ERRNO])
    -- exit status: 1 --
    ");
}

#[test]
fn a_file_system_without_locks_is_named_and_what_to_do() {
    if !available("strace") || !may_trace() {
        return;
    }
    let sandbox = sandbox();
    sandbox.sign_in(|_| {});
    let without_locks = |line: &str| {
        let mut command = sandbox.command("strace");
        command.args(["-qq", "-o", "/dev/null", "-e", "inject=flock:error=ENOLCK", env!("CARGO_BIN_EXE_awsdir")]);
        command.args(line.split(' '));
        command
    };
    insta::assert_snapshot!(sandbox.transcript(&mut without_locks("export read-only")), @r#"
    -- stderr --
    awsdir: could not lock `[HOME]/.local/state/awsdir/locks/role-e83cab308910340ce11a566ebf0b9e96b40f6c39.lock`
    caused by: No locks available (os error 37)
    hint: export XDG_STATE_HOME="$XDG_RUNTIME_DIR"
    -- exit status: 1 --
    "#);
    assert_eq!(sandbox.asked(), "");
    // What is in the caches needs none.
    sandbox.get_role(|_| {});
    assert!(run(&mut without_locks("export read-only")).status.success());
}
