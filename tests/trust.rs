//! Which dotfiles may act, and `allow`, `deny` and `pin`.

use crate::sandbox::{Sandbox, skipped};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::path::Path;

/// Whether the hook puts a directory's role in force, and what it says.
fn hook(sandbox: &Sandbox, directory: impl AsRef<Path>) -> (bool, String) {
    let output = sandbox.awsdir(["hook", "bash"]).current_dir(sandbox.path(directory)).output().unwrap();
    assert!(output.status.success() && output.stdout.ends_with(b": awsdir-end\n"), "{output:?}");
    let said = sandbox.plain(&String::from_utf8_lossy(&output.stderr));
    (String::from_utf8(output.stdout).unwrap().contains("AWS_PROFILE='"), said)
}

fn acts(sandbox: &Sandbox, directory: impl AsRef<Path>) -> bool {
    hook(sandbox, directory).0
}

fn run(sandbox: &Sandbox, line: &str) -> String {
    sandbox.transcript(&mut sandbox.awsdir(line.split(' ')))
}

// --- allow, deny --------------------------------------------------------------------------------------------

#[test]
fn a_file_acts_only_as_it_was_allowed_and_where() {
    let sandbox = Sandbox::new();
    sandbox.project("app", "static");
    assert!(!acts(&sandbox, "app"));
    insta::assert_snapshot!(run(&sandbox, "allow app"), @"
    -- stderr --
    awsdir: allowed `[HOME]/app/.awsprofile`: profile `static`
    ");
    assert!(acts(&sandbox, "app"));

    sandbox.project("app", "static\n");
    assert!(!acts(&sandbox, "app"), "an edit, however small, revokes");
    sandbox.project("copy", "static");
    assert!(!acts(&sandbox, "copy"), "a copy elsewhere is another file");
    sandbox.project("app", "static");
    assert!(acts(&sandbox, "app"), "back to what was allowed");

    fs::rename(sandbox.path("app"), sandbox.path("moved")).unwrap();
    assert!(!acts(&sandbox, "moved"));
    assert_eq!(sandbox.idc.requests().len(), 0);
}

#[test]
fn not_allowed_says_what_it_selects_and_the_command_that_allows_it() {
    let sandbox = Sandbox::new();
    sandbox.project("my app", "profile = prod-admin\nregion = us-west-2");
    let (acts, said) = hook(&sandbox, "my app");
    assert!(!acts);
    insta::assert_snapshot!(said, @"awsdir: `[HOME]/my app/.awsprofile` is not allowed; it selects profile `prod-admin` (Admin in account 222222222222) in us-west-2; run: awsdir allow '[HOME]/my app/.awsprofile'");
}

#[test]
fn the_argument_is_a_file_a_directory_or_nothing() {
    let sandbox = Sandbox::new();
    sandbox.project("app", "static");
    fs::create_dir(sandbox.path("app/deep")).unwrap();
    for argument in [Some("app"), Some("app/.awsprofile"), Some("./app/"), None] {
        let here = if argument.is_some() { "" } else { "app/deep" };
        for (verb, expected) in [("allow", true), ("deny", false)] {
            let mut command = sandbox.awsdir([verb].into_iter().chain(argument));
            assert!(command.current_dir(sandbox.path(here)).status().unwrap().success());
            assert_eq!(acts(&sandbox, "app"), expected, "{verb} {argument:?}");
        }
    }
    insta::assert_snapshot!(run(&sandbox, "allow") + &run(&sandbox, "deny") + &run(&sandbox, "allow nowhere"), @"
    -- stderr --
    awsdir: there is no `.awsprofile` in or above `[HOME]`
    hint: awsdir pin PROFILE
    -- exit status: 3 --
    -- stderr --
    awsdir: there is no `.awsprofile` in or above `[HOME]`
    hint: awsdir pin PROFILE
    -- exit status: 3 --
    -- stderr --
    awsdir: could not read `[HOME]/nowhere`
    caused by: No such file or directory (os error 2)
    -- exit status: 1 --
    ");
}

#[test]
fn what_could_not_act_anyway_is_not_allowed() {
    let sandbox = Sandbox::new();
    sandbox.project("malformed", "profile = a\nprofile = b");
    sandbox.project("shared", "static");
    fs::set_permissions(sandbox.path("shared/.awsprofile"), fs::Permissions::from_mode(0o606)).unwrap();
    insta::assert_snapshot!(run(&sandbox, "allow malformed") + &run(&sandbox, "allow shared"), @"
    -- stderr --
    awsdir: `[HOME]/malformed/.awsprofile`, line 2, column 1: `profile` is given twice
    -- exit status: 3 --
    -- stderr --
    awsdir: `[HOME]/shared/.awsprofile` is refused: others can write to it
    hint: chmod o-w [HOME]/shared/.awsprofile && awsdir allow [HOME]/shared/.awsprofile
    -- exit status: 3 --
    ");
    assert!(!sandbox.path(".local/state/awsdir/allow").exists());
}

#[test]
fn deny_takes_back_every_content_of_the_path() {
    let sandbox = Sandbox::new();
    for content in ["static", "read-only"] {
        sandbox.allowed_project("app", content);
    }
    sandbox.allowed_project("other", "static");
    insta::assert_snapshot!(run(&sandbox, "deny app"), @"
    -- stderr --
    awsdir: denied `[HOME]/app/.awsprofile`
    ");
    for content in ["static", "read-only"] {
        sandbox.project("app", content);
        assert!(!acts(&sandbox, "app"), "{content}");
    }
    assert!(acts(&sandbox, "other"));
    fs::remove_file(sandbox.path("other/.awsprofile")).unwrap();
    assert!(run(&sandbox, "deny other").starts_with("-- stderr --\nawsdir: denied"), "the file may be gone");
}

#[test]
fn a_symlinked_directory_reaches_the_same_record() {
    let sandbox = Sandbox::new();
    sandbox.allowed_project("real/app", "static");
    symlink(sandbox.path("real"), sandbox.path("link")).unwrap();
    let through_the_link = |verb: &str| {
        let mut command = sandbox.awsdir([verb]);
        let here = sandbox.path("link/app");
        assert!(command.current_dir(&here).env("PWD", &here).status().unwrap().success());
    };
    assert!(acts(&sandbox, "link/app"));
    through_the_link("deny");
    assert!(!acts(&sandbox, "real/app"));
    through_the_link("allow");
    assert!(acts(&sandbox, "real/app"));
}

#[test]
fn a_symlinked_file_is_judged_by_what_it_points_to() {
    let sandbox = Sandbox::new();
    sandbox.write("shared.awsprofile", "static");
    fs::create_dir(sandbox.path("app")).unwrap();
    symlink(sandbox.path("shared.awsprofile"), sandbox.path("app/.awsprofile")).unwrap();
    run(&sandbox, "allow app");
    assert!(acts(&sandbox, "app"));
    sandbox.write("shared.awsprofile", "read-only");
    assert!(!acts(&sandbox, "app"));
}

#[test]
fn path_names_are_bytes() {
    let sandbox = Sandbox::new();
    let name = Path::new(OsStr::from_bytes(b"caf\xe9 $(touch x)'\n"));
    sandbox.write(name.join(".awsprofile"), "static");
    let mut allow = sandbox.awsdir(["allow".as_ref(), name.as_os_str()]);
    assert!(allow.status().unwrap().success());
    let script = format!(
        "eval \"$({} hook bash)\"; printf '%s|%s' \"$AWS_PROFILE\" \"${{AWSDIR##*/}}\"",
        env!("CARGO_BIN_EXE_awsdir")
    );
    let output = sandbox.command("bash").args(["-c", &script]).current_dir(sandbox.path(name)).output().unwrap();
    assert_eq!(sandbox.shown(&output), "static|.awsprofile");
    let status = sandbox.awsdir(["status", "--json"]).current_dir(sandbox.path(name)).output().unwrap();
    assert!(serde_json::from_slice::<serde_json::Value>(&status.stdout).is_ok());
    assert!(!sandbox.path(name).join("x").exists());
}

// --- trusted roots ------------------------------------------------------------------------------------------

#[test]
fn files_under_a_trusted_root_need_no_allow() {
    let mut sandbox = Sandbox::new();
    for name in ["work/app", "work/app/deep/er", "work/app-evil", "work"] {
        sandbox.project(name, "static");
    }
    let acting =
        |sandbox: &Sandbox| ["work/app", "work/app/deep/er", "work/app-evil", "work"].map(|name| acts(sandbox, name));
    let none = [false; 4];
    let app_only = [true, true, false, false];
    assert_eq!(acting(&sandbox), none);

    sandbox.write(".config/awsdir/config", "[awsdir]\ntrust = /nowhere:~/work/app\n");
    assert_eq!(acting(&sandbox), app_only, "by component: `app` is not `app-evil`");
    sandbox.write(".config/awsdir/config", format!("[awsdir]\ntrust = {}/\n", sandbox.path("work/app").display()));
    assert_eq!(acting(&sandbox), app_only);
    sandbox.write(".config/awsdir/config", "[awsdir]\ntrust = work/app:.:\n");
    assert_eq!(acting(&sandbox), none, "what is not absolute names no place");

    sandbox.write(".config/awsdir/config", "[awsdir]\ntrust = ~/work\n");
    assert_eq!(acting(&sandbox), [true; 4]);
    sandbox.set("AWSDIR_TRUST", sandbox.path("work/app"));
    assert_eq!(acting(&sandbox), app_only, "the environment beats the file");
    sandbox.set("AWSDIR_TRUST", "");
    assert_eq!(acting(&sandbox), none);
    symlink(sandbox.path("work/app"), sandbox.path("link")).unwrap();
    sandbox.set("AWSDIR_TRUST", sandbox.path("link"));
    assert_eq!(acting(&sandbox), app_only, "a root may be a symlink");
    sandbox.set("AWSDIR_TRUST", sandbox.path("work/app/../app-evil"));
    assert_eq!(acting(&sandbox), [false, false, true, false]);
}

#[test]
fn a_symlink_does_not_carry_a_directory_under_a_trusted_root() {
    let mut sandbox = Sandbox::new();
    sandbox.project("elsewhere", "static");
    fs::create_dir(sandbox.path("work")).unwrap();
    symlink(sandbox.path("elsewhere"), sandbox.path("work/app")).unwrap();
    sandbox.set("AWSDIR_TRUST", sandbox.path("work"));
    let mut command = sandbox.awsdir(["hook", "bash"]);
    let here = sandbox.path("work/app");
    let output = command.current_dir(&here).env("PWD", &here).output().unwrap();
    assert!(String::from_utf8(output.stderr).unwrap().contains("is not allowed"));
}

#[test]
fn deny_outranks_a_trusted_root_and_allow_takes_that_back() {
    let mut sandbox = Sandbox::new();
    sandbox.project("work/app", "static");
    sandbox.set("AWSDIR_TRUST", sandbox.path("work"));
    run(&sandbox, "deny work/app");
    assert!(!acts(&sandbox, "work/app"));
    run(&sandbox, "allow work/app");
    assert!(acts(&sandbox, "work/app"));
    sandbox.project("work/app", "read-only");
    assert!(acts(&sandbox, "work/app"), "trusted again, whatever it says");
}

// --- files that are refused ---------------------------------------------------------------------------------

#[test]
fn a_file_that_others_can_write_is_refused_even_when_allowed() {
    let sandbox = Sandbox::new();
    sandbox.allowed_project("app", "static");
    fs::set_permissions(sandbox.path("app/.awsprofile"), fs::Permissions::from_mode(0o646)).unwrap();
    let (acts, said) = hook(&sandbox, "app");
    assert!(!acts);
    insta::assert_snapshot!(said, @"awsdir: `[HOME]/app/.awsprofile` is refused: others can write to it; run: chmod o-w [HOME]/app/.awsprofile && awsdir allow [HOME]/app/.awsprofile");
}

#[test]
fn a_file_of_another_user_is_refused_even_under_a_trusted_root() {
    let mut sandbox = Sandbox::new();
    sandbox.allowed_project("app", "static");
    sandbox.set("AWSDIR_TRUST", sandbox.home());
    if chown(sandbox.path("app/.awsprofile"), Some(12345), None).is_err() {
        skipped("only root can give files away");
        return;
    }
    let (acts, said) = hook(&sandbox, "app");
    assert!(!acts);
    insta::assert_snapshot!(said + &run(&sandbox, "allow app"), @r#"
    awsdir: `[HOME]/app/.awsprofile` is refused: another user owns it; run: sudo chown "$USER" [HOME]/app/.awsprofile && awsdir allow [HOME]/app/.awsprofile
    -- stderr --
    awsdir: `[HOME]/app/.awsprofile` is refused: another user owns it
    hint: sudo chown "$USER" [HOME]/app/.awsprofile && awsdir allow [HOME]/app/.awsprofile
    -- exit status: 3 --
    "#);
}

#[cfg(target_os = "linux")]
#[test]
fn a_file_that_cannot_be_read_is_said() {
    let sandbox = Sandbox::new();
    fs::create_dir(sandbox.path("app")).unwrap();
    // A regular file that nobody can read from its beginning, root included.
    symlink("/proc/self/mem", sandbox.path("app/.awsprofile")).unwrap();
    let (acts, said) = hook(&sandbox, "app");
    assert!(!acts);
    // Who is not root is not even let in.
    let said = (said + &run(&sandbox, "allow app"))
        .replace("Permission denied (os error 13)", "Input/output error (os error 5)");
    insta::assert_snapshot!(said, @"
    awsdir: could not read `[HOME]/app/.awsprofile` (Input/output error (os error 5))
    -- stderr --
    awsdir: could not read `[HOME]/app/.awsprofile`
    caused by: Input/output error (os error 5)
    -- exit status: 1 --
    ");
}

#[test]
fn what_is_not_a_regular_file_is_passed_by_and_never_waited_for() {
    let sandbox = Sandbox::new();
    sandbox.allowed_project("app", "static");
    for name in ["fifo", "folder", "device", "dangling"] {
        fs::create_dir(sandbox.path("app").join(name)).unwrap();
    }
    mknodat(CWD, sandbox.path("app/fifo/.awsprofile"), FileType::Fifo, Mode::RWXU, 0).unwrap();
    fs::create_dir(sandbox.path("app/folder/.awsprofile")).unwrap();
    symlink("/dev/zero", sandbox.path("app/device/.awsprofile")).unwrap();
    symlink("/nowhere", sandbox.path("app/dangling/.awsprofile")).unwrap();
    let mut shown = String::new();
    for name in ["fifo", "folder", "device", "dangling"] {
        assert!(acts(&sandbox, Path::new("app").join(name)), "{name}: the file above is in force");
        shown += &run(&sandbox, &format!("allow app/{name}"));
        shown += &run(&sandbox, &format!("pin static --dir app/{name}"));
    }
    insta::assert_snapshot!(shown, @"
    -- stderr --
    awsdir: `[HOME]/app/fifo/.awsprofile` is refused: it is not a regular file
    -- exit status: 3 --
    -- stderr --
    awsdir: `[HOME]/app/fifo/.awsprofile` is refused: it is not a regular file
    -- exit status: 3 --
    -- stderr --
    awsdir: `[HOME]/app/folder/.awsprofile` is refused: it is not a regular file
    -- exit status: 3 --
    -- stderr --
    awsdir: `[HOME]/app/folder/.awsprofile` is refused: it is not a regular file
    -- exit status: 3 --
    -- stderr --
    awsdir: `[HOME]/app/device/.awsprofile` is refused: it is not a regular file
    -- exit status: 3 --
    -- stderr --
    awsdir: `[HOME]/app/device/.awsprofile` is refused: it is not a regular file
    -- exit status: 3 --
    -- stderr --
    awsdir: could not read `[HOME]/app/dangling/.awsprofile`
    caused by: No such file or directory (os error 2)
    -- exit status: 1 --
    -- stderr --
    awsdir: pinned `[HOME]/app/dangling` to profile `static`
    ");
}

#[test]
fn content_that_is_no_dotfile_is_said_by_line_and_column() {
    let sandbox = Sandbox::new();
    let mut shown = String::new();
    for content in [&b"read\0only"[..], b"read-only\n\xff", b"a\x1b[31mb", b"", b"a\r\n\r\nb", b"$(id)"] {
        sandbox.project("app", content);
        let (acts, said) = hook(&sandbox, "app");
        assert!(!acts);
        shown += &said;
    }
    File::create(sandbox.path("app/.awsprofile")).unwrap().set_len(50 << 20).unwrap();
    let (acts, said) = hook(&sandbox, "app");
    assert!(!acts);
    insta::assert_snapshot!(shown + &said, @"
    awsdir: `[HOME]/app/.awsprofile`, line 1, column 5: a control character
    awsdir: `[HOME]/app/.awsprofile`, line 2, column 1: a byte that is not UTF-8
    awsdir: `[HOME]/app/.awsprofile`, line 1, column 2: a control character
    awsdir: `[HOME]/app/.awsprofile`, line 1, column 1: it names no profile
    awsdir: `[HOME]/app/.awsprofile`, line 3, column 1: a second line after the bare name of a profile; use `key = value`
    awsdir: `[HOME]/app/.awsprofile`, line 1, column 1: `$` cannot be in the name of a profile
    awsdir: `[HOME]/app/.awsprofile`, line 1, column 1: it is larger than 4096 bytes
    ");
}

// --- where the search ends ----------------------------------------------------------------------------------

#[test]
fn the_nearest_file_is_in_force_up_to_the_ceiling() {
    let mut sandbox = Sandbox::new();
    sandbox.allowed_project("a", "static");
    sandbox.allowed_project("a/b/c", "read-only");
    fs::create_dir(sandbox.path("a/b/d")).unwrap();
    let profile = |sandbox: &Sandbox, directory: &str| {
        let output = sandbox.awsdir(["status", "--json"]).current_dir(sandbox.path(directory)).output().unwrap();
        serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap()["profile"].as_str().map(str::to_owned)
    };
    assert_eq!(profile(&sandbox, "a/b/c").as_deref(), Some("read-only"));
    assert_eq!(profile(&sandbox, "a/b/d").as_deref(), Some("static"));
    sandbox.set("AWSDIR_CEILING", format!("/nowhere::{}", sandbox.path("a/b").display()));
    assert_eq!(profile(&sandbox, "a/b/d"), None);
    assert_eq!(profile(&sandbox, "a/b/c").as_deref(), Some("read-only"), "below the ceiling");
    assert_eq!(profile(&sandbox, "a").as_deref(), Some("static"), "above it");
    sandbox.set("AWSDIR_CEILING", sandbox.path("a"));
    assert_eq!(profile(&sandbox, "a/b/d").as_deref(), Some("static"), "the ceiling is itself looked into");
}

#[test]
fn a_file_that_may_not_act_hides_the_one_above() {
    let sandbox = Sandbox::new();
    sandbox.allowed_project("a", "static");
    sandbox.project("a/b", "read-only");
    assert!(!acts(&sandbox, "a/b"), "the search ends at the first file found");
}

// --- pin ----------------------------------------------------------------------------------------------------

#[test]
fn pin_writes_a_dotfile_and_allows_it() {
    let sandbox = Sandbox::new();
    fs::create_dir(sandbox.path("app")).unwrap();
    let pin = |line: &str| run(&sandbox, line) + "-- file --\n" + &sandbox.read("app/.awsprofile");
    insta::assert_snapshot!(pin("pin static --dir app"), @"
    -- stderr --
    awsdir: pinned `[HOME]/app` to profile `static`
    -- file --
    static
    ");
    assert!(acts(&sandbox, "app"));
    insta::assert_snapshot!(pin("pin read-only --region us-west-2 --dir app"), @"
    -- stderr --
    awsdir: pinned `[HOME]/app` to profile `read-only` (ReadOnly in account 111111111111) in us-west-2
    -- file --
    profile = read-only
    region = us-west-2
    ");
    assert!(acts(&sandbox, "app"));
    let mode = fs::metadata(sandbox.path("app/.awsprofile")).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode & 0o733, 0o600, "to be committed, and no more than that");
    let mut here = sandbox.awsdir(["pin", "prod-admin"]);
    assert!(here.current_dir(sandbox.path("app")).status().unwrap().success());
    assert_eq!(sandbox.read("app/.awsprofile"), "profile = prod-admin\nregion = us-west-2\n");
}

#[test]
fn pin_over_a_key_form_keeps_everything_else() {
    let sandbox = Sandbox::new();
    let old = "# ours\nprofile=static\n\n; quiet\ncredentials = none\n  login = ask\n";
    sandbox.project("app", old);
    run(&sandbox, "pin read-only --dir app");
    assert_eq!(sandbox.read("app/.awsprofile"), old.replace("profile=static", "profile = read-only"));
    run(&sandbox, "pin read-only --region us-west-2 --dir app");
    assert_eq!(
        sandbox.read("app/.awsprofile"),
        old.replace("profile=static", "profile = read-only") + "region = us-west-2\n"
    );
}

#[test]
fn pin_over_a_bare_form_keeps_comments() {
    let sandbox = Sandbox::new();
    sandbox.project("app", "# why = because\n# ours\nstatic\n");
    run(&sandbox, "pin read-only --dir app");
    assert_eq!(sandbox.read("app/.awsprofile"), "# why = because\n# ours\nread-only\n");
}

#[test]
fn pin_refuses_what_it_should_not_write() {
    let sandbox = Sandbox::new();
    sandbox.project("notes", "this is my diary\nof last year\n");
    sandbox.project("app", "static\n");
    let lines = [
        "pin static --dir notes",
        "pin ghost --dir app",
        "pin read-onyl --dir app",
        "pin static --dir nowhere",
        "pin static --region US --dir app",
    ];
    insta::assert_snapshot!(lines.map(|line| run(&sandbox, line)).concat(), @"
    -- stderr --
    awsdir: `[HOME]/notes/.awsprofile` already exists and is not a dotfile: line 1, column 5: ` ` cannot be in the name of a profile
    -- exit status: 1 --
    -- stderr --
    awsdir: there is no profile `ghost` in `[HOME]/.aws/config`
    hint: awsdir list
    -- exit status: 3 --
    -- stderr --
    awsdir: there is no profile `read-onyl` in `[HOME]/.aws/config`; did you mean `read-only`?
    -- exit status: 3 --
    -- stderr --
    awsdir: could not write `[HOME]/nowhere/.awsprofile`
    caused by: No such file or directory (os error 2)
    -- exit status: 1 --
    -- stderr --
    awsdir: `[HOME]/app/.awsprofile`, line 2, column 10: `US` is not the name of a region
    -- exit status: 3 --
    ");
    assert_eq!(sandbox.read("notes/.awsprofile"), "this is my diary\nof last year\n");
    assert_eq!(sandbox.read("app/.awsprofile"), "static\n");
    assert!(!sandbox.path("nowhere").exists());
    assert!(!sandbox.path(".local/state/awsdir/allow").exists());
}

#[test]
fn pin_over_a_symlink_leaves_a_dotfile_and_nothing_else() {
    let sandbox = Sandbox::new();
    sandbox.write("shared", "static\n");
    fs::create_dir(sandbox.path("app")).unwrap();
    symlink(sandbox.path("shared"), sandbox.path("app/.awsprofile")).unwrap();
    run(&sandbox, "pin read-only --dir app");
    assert!(acts(&sandbox, "app"));
    assert_eq!(sandbox.read("app/.awsprofile"), "read-only\n");
    assert_eq!(fs::read_dir(sandbox.path("app")).unwrap().count(), 1, "no temporary file is left");
}

#[test]
fn allow_in_a_state_directory_that_cannot_be_written_says_so() {
    let mut sandbox = Sandbox::new();
    sandbox.project("app", "static");
    sandbox.set("XDG_STATE_HOME", sandbox.write("a-file", ""));
    insta::assert_snapshot!(run(&sandbox, "allow app"), @"
    -- stderr --
    awsdir: could not create `[HOME]/a-file/awsdir/allow`
    caused by: Not a directory (os error 20)
    -- exit status: 1 --
    ");
    assert!(!acts(&sandbox, "app"));
}

// --- what is somebody else's to lay there ---------------------------------------------------------------------

/// Under any of these names lies something that is the person's own and nobody else's to see.
#[test]
fn a_link_to_a_secret_shows_none_of_it() {
    const SECRET: &str = "sEcReT0123456789";
    let mut sandbox = Sandbox::new();
    let contents = [
        format!("{SECRET}\n"),
        format!("{SECRET}abcdefghijklmnopqrstuvwxyz==\n"),
        format!("[default]\naws_secret_access_key = {SECRET}\n"),
        format!("DB_{SECRET} = x\n"),
        format!("machine x login y password {SECRET}\n"),
        format!("profile = {SECRET}\nregion = us-east-1\n"),
        format!("profile = static\nregion = {SECRET}\n"),
        format!("profile = static\nlogin = {SECRET}\n"),
        format!("profile = static\n{SECRET}\n"),
        format!("{{\"accessToken\": \"{SECRET}\"}}"),
    ];
    fs::create_dir(sandbox.path("app")).unwrap();
    symlink(sandbox.path("secret"), sandbox.path("app/.awsprofile")).unwrap();
    for trusted in [false, true] {
        if trusted {
            sandbox.set("AWSDIR_TRUST", sandbox.home());
        }
        for content in &contents {
            sandbox.write("secret", content);
            for line in ["hook bash", "status", "status --json", "prompt", "allow", "export", "refresh", "hook fish"] {
                let mut command = sandbox.awsdir(line.split(' '));
                let shown = sandbox.transcript(command.current_dir(sandbox.path("app")));
                assert!(!shown.contains(SECRET), "{line}, {content:?}: {shown}");
            }
        }
    }
    insta::assert_snapshot!(hook(&sandbox, "app").1 + &run(&sandbox, "allow app"), @"
    awsdir: `[HOME]/app/.awsprofile` is refused: it is a link, and to nothing that names a profile of yours
    -- stderr --
    awsdir: `[HOME]/app/.awsprofile` is refused: it is a link, and to nothing that names a profile of yours
    -- exit status: 3 --
    ");
}

/// What a config that is out of order keeps us from telling is not shown either.
#[test]
fn a_link_is_not_quoted_where_nobody_can_tell() {
    let sandbox = Sandbox::new();
    sandbox.write("secret", "sEcReT0123456789");
    sandbox.allowed_project("before", "static");
    fs::create_dir(sandbox.path("app")).unwrap();
    symlink(sandbox.path("secret"), sandbox.path("app/.awsprofile")).unwrap();
    sandbox.write(".aws/config", "[profile static\n");
    insta::assert_snapshot!(hook(&sandbox, "app").1 + &hook(&sandbox, "before").1, @"
    awsdir: `[HOME]/app/.awsprofile` is refused: it is a link, and to nothing that names a profile of yours
    awsdir: `[HOME]/.aws/config`, line 1: the section header does not end with `]`
    ");
}

/// A dotfile is judged by the bytes that are acted upon.
#[test]
fn a_file_swapped_meanwhile_never_acts_as_another() {
    use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
    let sandbox = Sandbox::new();
    sandbox.plant_role_credentials(&crate::sandbox::from_now(3600));
    sandbox.allowed_project("app", "read-only\n");
    let dotfile = sandbox.path("app/.awsprofile");
    let stop = AtomicBool::new(false);
    let swap = || {
        let new = sandbox.path("app/new");
        for round in 0.. {
            if stop.load(Relaxed) {
                return;
            }
            let content = if round % 2 == 0 { "static\n" } else { "read-only\n" };
            // Over it whole, and into it in two steps.
            if round % 8 < 4 {
                fs::write(&new, content).unwrap();
                fs::rename(&new, &dotfile).unwrap();
            } else {
                fs::write(&dotfile, content).unwrap();
            }
        }
    };
    let (mut as_allowed, mut not_at_all) = (0, 0);
    std::thread::scope(|scope| {
        scope.spawn(swap);
        for _ in 0..3000 {
            let output = sandbox.awsdir(["hook", "bash"]).current_dir(sandbox.path("app")).output();
            let text = output.map(|output| String::from_utf8(output.stdout).unwrap());
            let text = text.inspect_err(|_| stop.store(true, Relaxed)).unwrap();
            match text.lines().find_map(|line| line.strip_prefix("AWS_PROFILE=")) {
                Some("'read-only'; \\export AWS_PROFILE") => as_allowed += 1,
                None => not_at_all += 1,
                Some(other) => {
                    stop.store(true, Relaxed);
                    panic!("{other}");
                }
            }
            if as_allowed + not_at_all >= 300 && as_allowed > 0 && not_at_all > 0 {
                break;
            }
        }
        stop.store(true, Relaxed);
    });
    assert!(as_allowed > 0 && not_at_all > 0, "{as_allowed} and {not_at_all}");
}
