//! Roles that no profile has: by the four `sso_` keys of a dotfile, or by `account/permission-set`; and what `list` shows.

use crate::commands::{FAR, PAST, project, said, session, status};
use crate::identity_center::{IdentityCenter, Operation};
use crate::sandbox::{CONFIG, ROLE_FILE, Sandbox, TOKEN_FILE, available, from_now};
use crate::terminal::Terminal;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Stdio;

/// The role credentials' cache file of `111111111111/Admin` in the session `corp`: SHA-1 of
/// `{"accountId":"111111111111","roleName":"Admin","sessionName":"corp"}`.
pub(crate) const ADMIN_FILE: &str = ".aws/cli/cache/d7467b2ce0aaa46d5fc3753e3bbaaf372cba5c68.json";

/// The same without a session's name: of `{"accountId":"111111111111","roleName":"Admin","startUrl":"https://…/start"}`.
const LEGACY_ADMIN_FILE: &str = "a65e9d4c766759c4a2fbb8fb832b6c63d94224ed.json";

/// SHA-1 of the start URL: the token's cache file where no session has a name.
const LEGACY_TOKEN_FILE: &str = "884cf33535b50e6b5744d3e817022d35e4198357.json";

/// The four keys.
pub(crate) fn dotfile(account: &str, role: &str) -> String {
    let start_url = IdentityCenter::START_URL;
    format!("sso_start_url = {start_url}\nsso_region = us-east-1\nsso_account_id = {account}\nsso_role_name = {role}\n")
}

/// One sso-session, without the legacy profile.
fn one_session() -> String {
    CONFIG.replace(CONFIG[CONFIG.find("[profile legacy]").unwrap()..].split("\n\n").next().unwrap(), "")
}

/// Two sso-sessions of two start URLs.
fn two_sessions() -> String {
    one_session() + "\n[sso-session other]\nsso_start_url = https://other.awsapps.com/start\nsso_region = eu-west-1\n"
}

/// A sandbox with one sso-session that is signed in.
fn signed_in() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write(".aws/config", one_session());
    sandbox.sign_in(|_| {});
    sandbox
}

/// What the hook says in a directory.
fn hook(sandbox: &Sandbox, directory: &str) -> String {
    let output = sandbox.awsdir(["hook", "bash"]).current_dir(sandbox.path(directory)).output().unwrap();
    assert!(output.status.success() && output.stdout.ends_with(b": awsdir-end\n"), "{output:?}");
    sandbox.plain(&String::from_utf8_lossy(&output.stderr))
}

/// Whether the dotfile in a directory may act.
fn acts(sandbox: &Sandbox, directory: &str) -> bool {
    !hook(sandbox, directory).contains("is not allowed")
}

// --- dotfiles -----------------------------------------------------------------------------------------------

#[test]
fn allow_and_the_hook_say_what_is_granted() {
    let sandbox = Sandbox::new();
    let mut shown = String::new();
    for (account, role, more) in [
        ("111111111111", "ReadOnly", ""),
        ("111111111111", "ReadOnly", "region = us-west-2\n"),
        ("111111111111", "Admin", ""),
        ("111111111111", "Admin", "region = us-west-2\n"),
        // The start URL of a legacy profile.
        ("222222222222", "ReadOnly", ""),
        ("333333333333", "Nobody+=,.@-_", ""),
    ] {
        sandbox.project("app", dotfile(account, role) + more);
        let _ = write!(shown, "{}\n{}", hook(&sandbox, "app").trim_end(), said(&sandbox, "", &["allow", "app"]));
        assert!(acts(&sandbox, "app"));
    }
    insta::assert_snapshot!(shown, @"
    awsdir: `[HOME]/app/.awsprofile` is not allowed; it selects ReadOnly in account 111111111111 of `https://awsdir-sandbox.awsapps.com/start`, which is your profile `read-only`; run: awsdir allow [HOME]/app/.awsprofile
    -- stderr --
    awsdir: allowed `[HOME]/app/.awsprofile`: ReadOnly in account 111111111111 of `https://awsdir-sandbox.awsapps.com/start`, which is your profile `read-only`
    awsdir: `[HOME]/app/.awsprofile` is not allowed; it selects ReadOnly in account 111111111111 of `https://awsdir-sandbox.awsapps.com/start` in us-west-2, which is your profile `read-only`; run: awsdir allow [HOME]/app/.awsprofile
    -- stderr --
    awsdir: allowed `[HOME]/app/.awsprofile`: ReadOnly in account 111111111111 of `https://awsdir-sandbox.awsapps.com/start` in us-west-2, which is your profile `read-only`
    awsdir: `[HOME]/app/.awsprofile` is not allowed; it selects Admin in account 111111111111 of `https://awsdir-sandbox.awsapps.com/start`; run: awsdir allow [HOME]/app/.awsprofile
    -- stderr --
    awsdir: allowed `[HOME]/app/.awsprofile`: Admin in account 111111111111 of `https://awsdir-sandbox.awsapps.com/start`
    awsdir: `[HOME]/app/.awsprofile` is not allowed; it selects Admin in account 111111111111 of `https://awsdir-sandbox.awsapps.com/start` in us-west-2; run: awsdir allow [HOME]/app/.awsprofile
    -- stderr --
    awsdir: allowed `[HOME]/app/.awsprofile`: Admin in account 111111111111 of `https://awsdir-sandbox.awsapps.com/start` in us-west-2
    awsdir: `[HOME]/app/.awsprofile` is not allowed; it selects ReadOnly in account 222222222222 of `https://awsdir-sandbox.awsapps.com/start`, which is your profile `legacy`; run: awsdir allow [HOME]/app/.awsprofile
    -- stderr --
    awsdir: allowed `[HOME]/app/.awsprofile`: ReadOnly in account 222222222222 of `https://awsdir-sandbox.awsapps.com/start`, which is your profile `legacy`
    awsdir: `[HOME]/app/.awsprofile` is not allowed; it selects Nobody+=,.@-_ in account 333333333333 of `https://awsdir-sandbox.awsapps.com/start`; run: awsdir allow [HOME]/app/.awsprofile
    -- stderr --
    awsdir: allowed `[HOME]/app/.awsprofile`: Nobody+=,.@-_ in account 333333333333 of `https://awsdir-sandbox.awsapps.com/start`
    ");
    assert_eq!(sandbox.asked(), "");
}

#[test]
fn without_any_config_too() {
    let sandbox = Sandbox::new();
    fs::remove_dir_all(sandbox.path(".aws")).unwrap();
    sandbox.project("app", dotfile("111111111111", "ReadOnly"));
    let said = format!("{}{}", hook(&sandbox, "app"), said(&sandbox, "", &["allow", "app"]));
    insta::assert_snapshot!(said, @"
    awsdir: `[HOME]/app/.awsprofile` is not allowed; it selects ReadOnly in account 111111111111 of `https://awsdir-sandbox.awsapps.com/start`; run: awsdir allow [HOME]/app/.awsprofile
    -- stderr --
    awsdir: allowed `[HOME]/app/.awsprofile`: ReadOnly in account 111111111111 of `https://awsdir-sandbox.awsapps.com/start`
    ");
}

#[test]
fn any_change_takes_the_permission_back() {
    let whole = dotfile("111111111111", "Admin");
    let sandbox = project(&whole);
    assert!(acts(&sandbox, "app"));
    for (from, to) in [
        ("Admin", "ReadOnly"),
        ("111111111111", "222222222222"),
        ("us-east-1", "us-east-2"),
        ("awsdir-sandbox", "evil"),
        ("sso_role_name = Admin", "sso_role_name=Admin"),
    ] {
        sandbox.project("app", whole.replace(from, to));
        assert!(hook(&sandbox, "app").contains(" is not allowed; it selects "), "{from} → {to}");
    }
    sandbox.project("app", &whole);
    assert!(acts(&sandbox, "app"));
    sandbox.project("copy", &whole);
    assert!(hook(&sandbox, "copy").contains(" is not allowed; "));
}

#[test]
fn a_link_to_such_a_file_is_judged_by_what_it_points_to() {
    let sandbox = Sandbox::new();
    sandbox.write("shared", dotfile("111111111111", "Admin"));
    fs::create_dir(sandbox.path("app")).unwrap();
    symlink(sandbox.path("shared"), sandbox.path("app/.awsprofile")).unwrap();
    let mut shown = hook(&sandbox, "app") + &said(&sandbox, "", &["allow", "app"]);
    assert!(acts(&sandbox, "app"));
    sandbox.write("shared", dotfile("111111111111", "ReadOnly"));
    shown += &hook(&sandbox, "app");
    insta::assert_snapshot!(shown, @"
    awsdir: `[HOME]/app/.awsprofile` is not allowed; it selects Admin in account 111111111111 of `https://awsdir-sandbox.awsapps.com/start`; run: awsdir allow [HOME]/app/.awsprofile
    -- stderr --
    awsdir: allowed `[HOME]/app/.awsprofile`: Admin in account 111111111111 of `https://awsdir-sandbox.awsapps.com/start`
    awsdir: `[HOME]/app/.awsprofile` is not allowed; it selects ReadOnly in account 111111111111 of `https://awsdir-sandbox.awsapps.com/start`, which is your profile `read-only`; run: awsdir allow [HOME]/app/.awsprofile
    ");
}

#[test]
fn status_where_a_profile_of_ones_own_has_it() {
    let sandbox = project(&(dotfile("111111111111", "ReadOnly") + "region = us-west-2\n"));
    sandbox.plant_role_credentials(FAR);
    insta::assert_snapshot!(status(&sandbox), @r#"
    profile           read-only, from [HOME]/app/.awsprofile
    role              ReadOnly in account 111111111111
    session           corp (https://awsdir-sandbox.awsapps.com/start)
    role credentials  fresh, [LEFT] left (until [TIME])
    access token      none
    region            us-west-2
    this shell        does not have it
    state             fresh
    next              used until [TIME] (in [LEFT]), then you sign in: awsdir login read-only
    -- json --
    profile: "read-only"
    kind: "sso"
    rule: "dotfile"
    dotfile: "[HOME]/app/.awsprofile"
    state: "fresh"
    loaded: false
    region: "us-west-2"
    account_id: "111111111111"
    permission_set: "ReadOnly"
    session: {"name": "corp","start_url": "https://awsdir-sandbox.awsapps.com/start","region": "us-east-1"}
    role_credentials: {"state": "fresh","expires_at": "[TIME]","seconds_left": [SECONDS]}
    access_token: {"state": "none","expires_at": null,"seconds_left": null,"renewable": false}
    next: "used until [TIME] (in [LEFT]), then you sign in: awsdir login read-only"
    "#);
}

#[test]
fn status_of_a_role_by_itself() {
    let sandbox = project(&dotfile("111111111111", "Admin"));
    insta::assert_snapshot!(status(&sandbox), @r#"
    profile           111111111111/Admin, from [HOME]/app/.awsprofile
    role              Admin in account 111111111111
    session           corp (https://awsdir-sandbox.awsapps.com/start)
    role credentials  none
    access token      none
    region            none
    this shell        does not have it
    state             sign-in needed
    next              you sign in: awsdir login --session corp
    -- exit status: 4 --
    -- json --
    profile: "111111111111/Admin"
    kind: "sso"
    rule: "dotfile"
    dotfile: "[HOME]/app/.awsprofile"
    state: "sign-in needed"
    loaded: false
    region: null
    account_id: "111111111111"
    permission_set: "Admin"
    session: {"name": "corp","start_url": "https://awsdir-sandbox.awsapps.com/start","region": "us-east-1"}
    role_credentials: {"state": "none","expires_at": null,"seconds_left": null}
    access_token: {"state": "none","expires_at": null,"seconds_left": null,"renewable": false}
    next: "you sign in: awsdir login --session corp"
    "#);
    sandbox.plant_token(PAST, true);
    let states = ["status --json", "status"].map(|line| {
        let said = said(&sandbox, "app", &line.split(' ').collect::<Vec<_>>());
        said.lines().filter(|line| line.contains("state") || line.contains("next")).collect::<Vec<_>>().join("\n")
    });
    insta::assert_snapshot!(states.join("\n"), @r#"
      "state": "renewable",
        "state": "none",
        "state": "stale",
      "next": "renewed without you at the next use"
    state             renewable
    next              renewed without you at the next use
    "#);
    // In a session that no config has.
    sandbox.write(".aws/config", "");
    insta::assert_snapshot!(said(&sandbox, "app", &["status"]), @"
    profile           111111111111/Admin, from [HOME]/app/.awsprofile
    role              Admin in account 111111111111
    session           https://awsdir-sandbox.awsapps.com/start
    role credentials  none
    access token      none
    region            none
    this shell        does not have it
    state             sign-in needed
    next              you sign in: awsdir login --session https://awsdir-sandbox.awsapps.com/start
    -- exit status: 4 --
    ");
}

#[test]
fn what_is_wrong_in_a_dotfile_is_said_by_line_and_column() {
    let sandbox = Sandbox::new();
    let whole = dotfile("111111111111", "ReadOnly");
    let mut contents: Vec<String> = whole.lines().map(|line| whole.replace(&format!("{line}\n"), "")).collect();
    let set = |key: &str, value: &str| {
        let old = whole.lines().find(|line| line.starts_with(key)).unwrap();
        whole.replace(old, &format!("{key} = {value}"))
    };
    contents.extend([
        format!("profile = read-only\n{whole}"),
        format!("{whole}profile = read-only\n"),
        format!("read-only\n{whole}"),
        format!("{whole}sso_region = us-east-1\n"),
        format!("{whole}sso_session = corp\n"),
        format!("{whole}role_arn = arn:aws:iam::111111111111:role/x\n"),
        set("sso_account_id", "11111111111"),
        set("sso_account_id", "111111111111 # dev"),
        set("sso_account_id", ""),
        set("sso_role_name", "Read Only"),
        set("sso_role_name", "$(id)"),
        set("sso_role_name", &"r".repeat(33)),
        set("sso_region", "US East"),
        set("sso_start_url", "http://awsdir-sandbox.awsapps.com/start"),
        set("sso_start_url", "https://user@evil.example/start"),
        set("sso_start_url", "https://"),
        set("sso_start_url", "https://evil.example/`id`"),
        set("sso_start_url", "awsdir-sandbox"),
    ]);
    let mut shown = String::new();
    for content in &contents {
        sandbox.project("app", content);
        let news = hook(&sandbox, "app");
        shown += &news;
        let mut exits = ["status", "allow", "export"].map(|verb| {
            let output = sandbox.awsdir([verb]).current_dir(sandbox.path("app")).output().unwrap();
            let said = sandbox.plain(&String::from_utf8(output.stderr).unwrap());
            assert_eq!(said, news, "{verb}");
            output.status.code()
        });
        exits.sort_unstable();
        assert_eq!(exits, [Some(3); 3], "{content}");
    }
    insta::assert_snapshot!(shown, @"
    awsdir: `[HOME]/app/.awsprofile`, line 3, column 1: it has no `sso_start_url`
    awsdir: `[HOME]/app/.awsprofile`, line 3, column 1: it has no `sso_region`
    awsdir: `[HOME]/app/.awsprofile`, line 3, column 1: it has no `sso_account_id`
    awsdir: `[HOME]/app/.awsprofile`, line 3, column 1: it has no `sso_role_name`
    awsdir: `[HOME]/app/.awsprofile`, line 2, column 1: `sso_start_url` beside `profile`: it is one or the other
    awsdir: `[HOME]/app/.awsprofile`, line 1, column 1: `sso_start_url` beside `profile`: it is one or the other
    awsdir: `[HOME]/app/.awsprofile`, line 2, column 1: a second line after the bare name of a profile; use `key = value`
    awsdir: `[HOME]/app/.awsprofile`, line 5, column 1: `sso_region` is given twice
    awsdir: `[HOME]/app/.awsprofile`, line 5, column 1: unknown key `sso_session`; the keys are `profile` or the four `sso_` keys, `region`, `credentials` and `login`
    awsdir: `[HOME]/app/.awsprofile`, line 5, column 1: unknown key `role_arn`; the keys are `profile` or the four `sso_` keys, `region`, `credentials` and `login`
    awsdir: `[HOME]/app/.awsprofile`, line 3, column 18: `sso_account_id` is an account id of twelve digits, not `11111111111`
    awsdir: `[HOME]/app/.awsprofile`, line 3, column 18: `sso_account_id` is an account id of twelve digits, not `111111111111 # dev`
    awsdir: `[HOME]/app/.awsprofile`, line 3, column 18: `sso_account_id` is an account id of twelve digits, not ``
    awsdir: `[HOME]/app/.awsprofile`, line 4, column 17: `sso_role_name` is the name of a permission set, not `Read Only`
    awsdir: `[HOME]/app/.awsprofile`, line 4, column 17: `sso_role_name` is the name of a permission set, not `$(id)`
    awsdir: `[HOME]/app/.awsprofile`, line 4, column 17: `sso_role_name` is the name of a permission set, not `rrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrr`
    awsdir: `[HOME]/app/.awsprofile`, line 2, column 14: `US East` is not the name of a region
    awsdir: `[HOME]/app/.awsprofile`, line 1, column 17: `sso_start_url` is a start URL, such as `https://acme.awsapps.com/start`, not `http://awsdir-sandbox.awsapps.com/start`
    awsdir: `[HOME]/app/.awsprofile`, line 1, column 17: `sso_start_url` is a start URL, such as `https://acme.awsapps.com/start`, not `https://user@evil.example/start`
    awsdir: `[HOME]/app/.awsprofile`, line 1, column 17: `sso_start_url` is a start URL, such as `https://acme.awsapps.com/start`, not `https://`
    awsdir: `[HOME]/app/.awsprofile`, line 1, column 17: `sso_start_url` is a start URL, such as `https://acme.awsapps.com/start`, not `https://evil.example/`id``
    awsdir: `[HOME]/app/.awsprofile`, line 1, column 17: `sso_start_url` is a start URL, such as `https://acme.awsapps.com/start`, not `awsdir-sandbox`
    ");
    assert!(!sandbox.path(".local/state/awsdir/allow").exists());
}

#[test]
fn without_any_config_login_is_by_device_code_and_files_have_the_clis_names() {
    let sandbox = project(&dotfile("111111111111", "Admin"));
    fs::remove_dir_all(sandbox.path(".aws")).unwrap();
    let mut login = Terminal::spawn(sandbox.awsdir(["login", "--no-browser"]).current_dir(sandbox.path("app")));
    login.wait_for("?user_code=");
    let code = login.wait_for("\r\n");
    assert!(sandbox.idc.approve_device(code.trim()));
    let ran = login.wait();
    insta::assert_snapshot!(sandbox.scrubbed(&ran.text()), @"
    awsdir: signing in to `https://awsdir-sandbox.awsapps.com/start` for `111111111111/Admin`, as `[HOME]/app/.awsprofile` asks (Ctrl-C to cancel)
    awsdir: open [ENDPOINT]/device on any device and confirm the code [CODE]
      or straight: [ENDPOINT]/device?[CODE]
    awsdir: signed in to `https://awsdir-sandbox.awsapps.com/start` until [TIME] ([LEFT] left)
    ");
    assert!(ran.status.success());
    let token = sandbox.read_json(format!(".aws/sso/cache/{LEGACY_TOKEN_FILE}"));
    assert_eq!(token["startUrl"], IdentityCenter::START_URL);
    insta::assert_snapshot!(said(&sandbox, "app", &["export", "--format", "env"]), @"
    export AWS_ACCESS_KEY_ID=[KEY ID]
    export AWS_SECRET_ACCESS_KEY=[SECRET]
    export AWS_SESSION_TOKEN=[TOKEN]
    export AWS_CREDENTIAL_EXPIRATION=[TIME]
    ");
    assert_eq!(sandbox.names(".aws/cli/cache"), [LEGACY_ADMIN_FILE]);
    assert_eq!(
        sandbox.asked(),
        "RegisterClient, StartDeviceAuthorization, CreateToken(device_code), GetRoleCredentials"
    );
    insta::assert_snapshot!(said(&sandbox, "app", &["status"]), @"
    profile           111111111111/Admin, from [HOME]/app/.awsprofile
    role              Admin in account 111111111111
    session           https://awsdir-sandbox.awsapps.com/start
    role credentials  fresh, [LEFT] left (until [TIME])
    access token      fresh, [LEFT] left (until [TIME])
    region            none
    this shell        does not have it
    state             fresh
    next              renewed in the background from [TIME] (in [LEFT]) on
    ");
}

#[test]
fn what_a_dotfile_needs_a_sign_in_for_is_said() {
    let sandbox = project(&dotfile("111111111111", "Admin"));
    let mut shown = session_in(&sandbox, "app", &["export", "login"]);
    shown += &sandbox.at_terminal(sandbox.awsdir(["export"]).current_dir(sandbox.path("app")).stdout(Stdio::null()));
    sandbox.write(".aws/config", "");
    shown += &session_in(&sandbox, "app", &["export", "login"]);
    insta::assert_snapshot!(shown, @r#"
    $ awsdir export
    -- stderr --
    awsdir: sign-in needed: the session `corp` is stale (no terminal)
    hint: awsdir login --session corp
    -- exit status: 4 --
    $ awsdir login
    -- stderr --
    awsdir: sign-in needed: the session `corp` is stale (no terminal)
    hint: awsdir login --session corp
    -- exit status: 4 --
    awsdir: signing in to `corp` for `111111111111/Admin`, as `[HOME]/app/.awsprofile` asks (Ctrl-C to cancel)
    awsdir: approve it in your browser; if no page opens, open this one:
      [ENDPOINT]/authorize?[QUERY]
    {
      "Version": 1,
      "AccessKeyId": "[KEY ID]",
      "SecretAccessKey": "[SECRET]",
      "SessionToken": "[TOKEN]",
      "Expiration": "[TIME]"
    }
    $ awsdir export
    -- stderr --
    awsdir: sign-in needed: the session `https://awsdir-sandbox.awsapps.com/start` is stale (no terminal)
    hint: awsdir login --session https://awsdir-sandbox.awsapps.com/start
    -- exit status: 4 --
    $ awsdir login
    -- stderr --
    awsdir: sign-in needed: the session `https://awsdir-sandbox.awsapps.com/start` is stale (no terminal)
    hint: awsdir login --session https://awsdir-sandbox.awsapps.com/start
    -- exit status: 4 --
    "#);
}

fn session_in(sandbox: &Sandbox, directory: &str, lines: &[&str]) -> String {
    lines.iter().fold(String::new(), |mut text, line| {
        let arguments: Vec<&str> = line.split(' ').collect();
        let _ = writeln!(text, "$ awsdir {line}\n{}", said(sandbox, directory, &arguments).trim_end());
        text
    })
}

// --- logout -------------------------------------------------------------------------------------------------

#[test]
fn logout_takes_what_such_a_dotfile_got() {
    let sandbox = signed_in();
    sandbox.allowed_project("app", dotfile("111111111111", "Admin"));
    for (directory, line) in
        [("app", "logout"), ("app", "logout --session corp"), ("", "logout --session corp"), ("", "logout --all")]
    {
        sandbox.sign_in(|_| {});
        said(&sandbox, "app", &["export"]);
        said(&sandbox, "", &["export", "read-only"]);
        assert!(sandbox.path(ADMIN_FILE).exists() && sandbox.path(ROLE_FILE).exists());
        let shown = said(&sandbox, directory, &line.split(' ').collect::<Vec<_>>());
        assert_eq!(shown, "-- stderr --\nawsdir: signed out of `corp`\n", "{line}");
        assert!(!sandbox.path(TOKEN_FILE).exists());
        assert_eq!(sandbox.names(".aws/cli/cache"), [""; 0], "{directory} {line}");
    }
}

#[test]
fn logout_of_a_session_that_no_config_has() {
    let sandbox = project(&dotfile("111111111111", "Admin"));
    sandbox.write(".aws/config", "");
    for line in ["logout", &format!("logout --session {}", IdentityCenter::START_URL), "logout --all"] {
        let mut login = Terminal::spawn(sandbox.awsdir(["login"]).current_dir(sandbox.path("app")));
        login.wait_for("?user_code=");
        let code = login.wait_for("\r\n");
        sandbox.idc.approve_device(code.trim());
        assert!(login.wait().status.success());
        assert!(said(&sandbox, "app", &["export"]).contains("[SECRET]"));
        let shown = said(&sandbox, "app", &line.split(' ').collect::<Vec<_>>());
        assert_eq!(shown, format!("-- stderr --\nawsdir: signed out of `{}`\n", IdentityCenter::START_URL), "{line}");
        assert_eq!(sandbox.names(".aws/cli/cache"), [""; 0], "{line}");
        assert!(!sandbox.path(".aws/sso/cache").join(LEGACY_TOKEN_FILE).exists(), "{line}");
    }
}

// --- by name ------------------------------------------------------------------------------------------------

/// Who a command that was run with a role is, by its key id.
fn caller(sandbox: &Sandbox, key_id: &str) -> String {
    let identity = sandbox.idc.caller_of(key_id.trim()).unwrap_or_else(|| panic!("`{key_id}`"));
    format!("{}/{}", identity.account, identity.role_name)
}

#[test]
fn a_profile_that_has_it_is_used_and_named() {
    let sandbox = signed_in();
    let script = "echo $AWS_SSO_PROFILE ${AWS_PROFILE-unset} $AWS_REGION";
    let mut shown = sandbox.transcript(&mut sandbox.with_aws(["111111111111/ReadOnly", "--", "sh", "-c", script]));
    shown += &said(&sandbox, "", &["exec", "111111111111/ReadOnly", "--", "sh", "-c", script]);
    shown += &session(&sandbox, ["status 111111111111/ReadOnly", "login 111111111111/ReadOnly"]);
    insta::assert_snapshot!(shown, @"
    read-only unset eu-west-1
    read-only unset eu-west-1
    $ awsdir status 111111111111/ReadOnly
    profile           read-only, as asked
    role              ReadOnly in account 111111111111
    session           corp (https://awsdir-sandbox.awsapps.com/start)
    role credentials  fresh, [LEFT] left (until [TIME])
    access token      fresh, [LEFT] left (until [TIME]); renewable
    region            eu-west-1
    this shell        does not have it
    state             fresh
    next              renewed in the background from [TIME] (in [LEFT]) on
    $ awsdir login 111111111111/ReadOnly
    -- stderr --
    awsdir: already signed in to `corp` until [TIME] ([LEFT] left, renewed by itself after that)
    ");
    assert_eq!(said(&sandbox, "", &["export", "111111111111/ReadOnly"]), said(&sandbox, "", &["export", "read-only"]));
    assert_eq!(sandbox.asked(), "GetRoleCredentials");
    // A profile that is called so is that one.
    sandbox.write(".aws/config", one_session() + "[profile 111111111111/ReadOnly]\nregion = eu-north-1\n");
    insta::assert_snapshot!(said(&sandbox, "", &["status", "111111111111/ReadOnly"]), @"
    profile           111111111111/ReadOnly, as asked
    credentials       no credentials
    region            eu-north-1
    this shell        does not have it
    state             not from Identity Center
    next              the AWS SDKs resolve this profile themselves
    ");
}

#[test]
fn with_one_session_a_role_by_itself_works() {
    let sandbox = signed_in();
    let mut command = sandbox.with_aws(["111111111111/Admin", "--", "printenv", "AWS_ACCESS_KEY_ID"]);
    let output = command.output().unwrap();
    assert_eq!(caller(&sandbox, &String::from_utf8_lossy(&output.stdout)), "111111111111/Admin");
    let script = "echo $AWS_SSO_PROFILE ${AWS_PROFILE-unset} ${AWS_REGION-unset}";
    let mut shown = said(&sandbox, "", &["exec", "111111111111/Admin", "--", "sh", "-c", script]);
    shown += &said(&sandbox, "", &["exec", "--region", "eu-west-3", "111111111111/Admin", "--", "sh", "-c", script]);
    shown += &session(
        &sandbox,
        ["export 111111111111/Admin --format env", "status 111111111111/Admin", "login 111111111111/Admin"],
    );
    insta::assert_snapshot!(shown, @"
    111111111111/Admin unset unset
    111111111111/Admin unset eu-west-3
    $ awsdir export 111111111111/Admin --format env
    export AWS_ACCESS_KEY_ID=[KEY ID]
    export AWS_SECRET_ACCESS_KEY=[SECRET]
    export AWS_SESSION_TOKEN=[TOKEN]
    export AWS_CREDENTIAL_EXPIRATION=[TIME]
    $ awsdir status 111111111111/Admin
    profile           111111111111/Admin, as asked
    role              Admin in account 111111111111
    session           corp (https://awsdir-sandbox.awsapps.com/start)
    role credentials  fresh, [LEFT] left (until [TIME])
    access token      fresh, [LEFT] left (until [TIME]); renewable
    region            none
    this shell        does not have it
    state             fresh
    next              renewed in the background from [TIME] (in [LEFT]) on
    $ awsdir login 111111111111/Admin
    -- stderr --
    awsdir: already signed in to `corp` until [TIME] ([LEFT] left, renewed by itself after that)
    ");
    assert_eq!(sandbox.asked(), "GetRoleCredentials");
    assert_eq!(sandbox.names(".aws/cli/cache"), [ADMIN_FILE.rsplit('/').next().unwrap()]);
}

#[test]
fn a_command_that_runs_on_is_served_by_that_name_too() {
    let sandbox = signed_in();
    for more in [&["--renew"][..], &["--credentials", "process"]] {
        let mut command = sandbox.with_aws(more);
        command.args([
            "111111111111/Admin",
            "--",
            "sh",
            "-c",
            "echo $AWS_SSO_PROFILE; env | grep -c ^AWS_ACCESS_KEY_ID",
        ]);
        insta::allow_duplicates! {
            insta::assert_snapshot!(sandbox.transcript(&mut command), @"
            111111111111/Admin
            0
            -- exit status: 1 --
            ");
        }
    }
    let process = said(&sandbox, "", &["credential-process", "111111111111/Admin"]);
    insta::assert_snapshot!(process, @r#"{"Version":1,"AccessKeyId":"[KEY ID]","SecretAccessKey":"[SECRET]","SessionToken":"[TOKEN]","Expiration":"[TIME]","AccountId":"111111111111"}"#);
}

#[test]
fn with_one_session_a_person_signs_in_for_it() {
    let sandbox = Sandbox::new();
    sandbox.write(".aws/config", one_session());
    let mut shown = session(&sandbox, ["export 111111111111/Admin", "login 111111111111/Admin"]);
    shown += &sandbox.transcript(&mut sandbox.with_aws(["111111111111/Admin", "--", "true"]));
    shown += &sandbox.at_terminal(&mut sandbox.awsdir(["login", "111111111111/Admin"]));
    shown += &session(&sandbox, ["login 111111111111/Admin"]);
    insta::assert_snapshot!(shown, @"
    $ awsdir export 111111111111/Admin
    -- stderr --
    awsdir: sign-in needed: the session `corp` is stale (no terminal)
    hint: awsdir login --session corp
    -- exit status: 4 --
    $ awsdir login 111111111111/Admin
    -- stderr --
    awsdir: sign-in needed: the session `corp` is stale (no terminal)
    hint: awsdir login --session corp
    -- exit status: 4 --
    -- stderr --
    awsdir: sign-in needed: the session `corp` is stale (no terminal)
    hint: awsdir login --session corp
    -- exit status: 125 --
    awsdir: signing in to `corp` for `111111111111/Admin` (Ctrl-C to cancel)
    awsdir: approve it in your browser; if no page opens, open this one:
      [ENDPOINT]/authorize?[QUERY]
    awsdir: signed in to `corp` until [TIME] ([LEFT] left, renewed by itself after that)
    $ awsdir login 111111111111/Admin
    -- stderr --
    awsdir: already signed in to `corp` until [TIME] ([LEFT] left, renewed by itself after that)
    ");
}

#[test]
fn with_several_sessions_it_is_said_which() {
    let sandbox = Sandbox::new();
    sandbox.write(".aws/config", two_sessions());
    sandbox.sign_in(|_| {});
    let mut shown = session(
        &sandbox,
        [
            "export 111111111111/Admin",
            "status 111111111111/Admin",
            "login 111111111111/Admin",
            "pin 111111111111/Admin",
            "credential-process 111111111111/Admin",
            "exec 111111111111/Admin -- true",
        ],
    );
    shown += &sandbox.transcript(&mut sandbox.with_aws(["111111111111/Admin", "--", "true"]));
    // A legacy profile makes a session, too.
    sandbox.write(".aws/config", CONFIG.replacen("awsdir-sandbox", "other", 1));
    shown += &session(&sandbox, ["export 333333333333/Admin"]);
    insta::assert_snapshot!(shown, @"
    $ awsdir export 111111111111/Admin
    -- stderr --
    awsdir: no profile has `111111111111/Admin`, and it may be of any sso-session: `corp` or `other`
    hint: awsdir list
    -- exit status: 3 --
    $ awsdir status 111111111111/Admin
    -- stderr --
    awsdir: no profile has `111111111111/Admin`, and it may be of any sso-session: `corp` or `other`
    hint: awsdir list
    -- exit status: 3 --
    $ awsdir login 111111111111/Admin
    -- stderr --
    awsdir: no profile has `111111111111/Admin`, and it may be of any sso-session: `corp` or `other`
    hint: awsdir list
    -- exit status: 3 --
    $ awsdir pin 111111111111/Admin
    -- stderr --
    awsdir: no profile has `111111111111/Admin`, and it may be of any sso-session: `corp` or `other`
    hint: awsdir list
    -- exit status: 3 --
    $ awsdir credential-process 111111111111/Admin
    -- stderr --
    awsdir: no profile has `111111111111/Admin`, and it may be of any sso-session: `corp` or `other`
    hint: awsdir list
    -- exit status: 3 --
    $ awsdir exec 111111111111/Admin -- true
    -- stderr --
    awsdir: no profile has `111111111111/Admin`, and it may be of any sso-session: `corp` or `other`
    hint: awsdir list
    -- exit status: 125 --
    -- stderr --
    awsdir: no profile has `111111111111/Admin`, and it may be of any sso-session: `corp` or `other`
    hint: awsdir list
    -- exit status: 125 --
    $ awsdir export 333333333333/Admin
    -- stderr --
    awsdir: no profile has `333333333333/Admin`, and it may be of any sso-session: `corp` or `https://awsdir-sandbox.awsapps.com/start`
    hint: awsdir list
    -- exit status: 3 --
    ");
    assert!(!sandbox.path(".awsprofile").exists());
    assert_eq!(sandbox.asked(), "");
    // Two of one start URL are as good as one, and what a profile has is in its session.
    sandbox.write(".aws/config", CONFIG);
    assert!(said(&sandbox, "", &["export", "111111111111/Admin"]).contains("[SECRET]"));
    sandbox.write(".aws/config", two_sessions());
    assert!(said(&sandbox, "", &["export", "111111111111/ReadOnly"]).contains("[SECRET]"));
}

#[test]
fn what_is_not_granted_is_said_with_what_is_near() {
    let sandbox = signed_in();
    let mut shown = session(
        &sandbox,
        ["export 111111111111/ReadOnlyy", "export 111111111112/ReadOnly", "export 999999999999/Nobody"],
    );
    shown += &sandbox.transcript(&mut sandbox.with_aws(["111111111111/Readonly", "--", "true"]));
    insta::assert_snapshot!(shown, @"
    $ awsdir export 111111111111/ReadOnlyy
    -- stderr --
    awsdir: permission set `ReadOnlyy` in account 111111111111 is not granted to you (No access); did you mean `111111111111/ReadOnly`?
    -- exit status: 4 --
    $ awsdir export 111111111112/ReadOnly
    -- stderr --
    awsdir: permission set `ReadOnly` in account 111111111112 is not granted to you (No access); did you mean `111111111111/ReadOnly`?
    -- exit status: 4 --
    $ awsdir export 999999999999/Nobody
    -- stderr --
    awsdir: permission set `Nobody` in account 999999999999 is not granted to you (No access)
    -- exit status: 4 --
    -- stderr --
    awsdir: permission set `Readonly` in account 111111111111 is not granted to you (No access); did you mean `111111111111/ReadOnly`?
    -- exit status: 125 --
    ");
    assert_eq!(sandbox.idc.count(Operation::GetRoleCredentials), 4, "{}", sandbox.asked());
    // A dotfile's too.
    sandbox.allowed_project("app", dotfile("111111111111", "ReadOnlyy"));
    insta::assert_snapshot!(said(&sandbox, "app", &["export"]), @"
    -- stderr --
    awsdir: permission set `ReadOnlyy` in account 111111111111 is not granted to you (No access); did you mean `111111111111/ReadOnly`?
    -- exit status: 4 --
    ");
}

#[test]
fn without_a_session_names_are_offered() {
    let sandbox = Sandbox::new();
    sandbox.write(".aws/config", "[profile 111111111111/Admin]\nregion = eu-west-1\n[profile keys]\n");
    let mut shown = session(&sandbox, ["export 111111111111/Admim", "export 1111/Admin", "export 222222222222/Other"]);
    sandbox.write(".aws/config", "");
    shown += &session(&sandbox, ["export 111111111111/Admin", "pin 111111111111/Admin"]);
    shown += &sandbox.transcript(&mut sandbox.with_aws(["111111111111/Admin", "--", "true"]));
    // What only looks like it is the name of a profile.
    sandbox.write(".aws/config", one_session());
    shown += &session(&sandbox, ["export 11111111111/ReadOnly", "export 111111111111/", "export 111111111111"]);
    insta::assert_snapshot!(shown, @"
    $ awsdir export 111111111111/Admim
    -- stderr --
    awsdir: there is no profile `111111111111/Admim` in `[HOME]/.aws/config`; did you mean `111111111111/Admin`?
    -- exit status: 3 --
    $ awsdir export 1111/Admin
    -- stderr --
    awsdir: there is no profile `1111/Admin` in `[HOME]/.aws/config`; did you mean `111111111111/Admin`?
    -- exit status: 3 --
    $ awsdir export 222222222222/Other
    -- stderr --
    awsdir: there is no profile `222222222222/Other` in `[HOME]/.aws/config`
    hint: awsdir list
    -- exit status: 3 --
    $ awsdir export 111111111111/Admin
    -- stderr --
    awsdir: there is no profile `111111111111/Admin` in `[HOME]/.aws/config`
    hint: awsdir list
    -- exit status: 3 --
    $ awsdir pin 111111111111/Admin
    -- stderr --
    awsdir: there is no profile `111111111111/Admin` in `[HOME]/.aws/config`
    hint: awsdir list
    -- exit status: 3 --
    -- stderr --
    awsdir: there is no profile `111111111111/Admin` in `[HOME]/.aws/config`
    hint: awsdir list
    -- exit status: 125 --
    $ awsdir export 11111111111/ReadOnly
    -- stderr --
    awsdir: there is no profile `11111111111/ReadOnly` in `[HOME]/.aws/config`; did you mean `111111111111/ReadOnly`?
    -- exit status: 3 --
    $ awsdir export 111111111111/
    -- stderr --
    awsdir: there is no profile `111111111111/` in `[HOME]/.aws/config`; did you mean `111111111111/ReadOnly`?
    -- exit status: 3 --
    $ awsdir export 111111111111
    -- stderr --
    awsdir: there is no profile `111111111111` in `[HOME]/.aws/config`; did you mean `111111111111/ReadOnly`?
    -- exit status: 3 --
    ");
}

// --- pin ----------------------------------------------------------------------------------------------------

/// What `pin` says, and the file.
fn pin(sandbox: &Sandbox, line: &str) -> String {
    let arguments: Vec<&str> = line.split(' ').collect();
    said(sandbox, "app", &arguments) + "-- file --\n" + &sandbox.read("app/.awsprofile")
}

#[test]
fn pin_writes_the_four_keys_and_allows_them() {
    let sandbox = signed_in();
    fs::create_dir(sandbox.path("app")).unwrap();
    let mut shown = String::new();
    for line in [
        "pin 111111111111/ReadOnly",
        "pin 111111111111/Admin",
        "pin 222222222222/Admin --region eu-west-1",
        "pin 111111111111/Admin",
        "pin read-only",
        "pin 111111111111/Admin",
    ] {
        let _ = write!(shown, "$ awsdir {line}\n{}", pin(&sandbox, line));
        assert!(acts(&sandbox, "app"), "{line}");
    }
    insta::assert_snapshot!(shown, @"
    $ awsdir pin 111111111111/ReadOnly
    -- stderr --
    awsdir: pinned `[HOME]/app` to ReadOnly in account 111111111111 of `https://awsdir-sandbox.awsapps.com/start`, which is your profile `read-only`
    -- file --
    sso_start_url = https://awsdir-sandbox.awsapps.com/start
    sso_region = us-east-1
    sso_account_id = 111111111111
    sso_role_name = ReadOnly
    $ awsdir pin 111111111111/Admin
    -- stderr --
    awsdir: pinned `[HOME]/app` to Admin in account 111111111111 of `https://awsdir-sandbox.awsapps.com/start`
    -- file --
    sso_start_url = https://awsdir-sandbox.awsapps.com/start
    sso_region = us-east-1
    sso_account_id = 111111111111
    sso_role_name = Admin
    $ awsdir pin 222222222222/Admin --region eu-west-1
    -- stderr --
    awsdir: pinned `[HOME]/app` to Admin in account 222222222222 of `https://awsdir-sandbox.awsapps.com/start` in eu-west-1, which is your profile `prod-admin`
    -- file --
    sso_start_url = https://awsdir-sandbox.awsapps.com/start
    sso_region = us-east-1
    sso_account_id = 222222222222
    sso_role_name = Admin
    region = eu-west-1
    $ awsdir pin 111111111111/Admin
    -- stderr --
    awsdir: pinned `[HOME]/app` to Admin in account 111111111111 of `https://awsdir-sandbox.awsapps.com/start` in eu-west-1
    -- file --
    sso_start_url = https://awsdir-sandbox.awsapps.com/start
    sso_region = us-east-1
    sso_account_id = 111111111111
    sso_role_name = Admin
    region = eu-west-1
    $ awsdir pin read-only
    -- stderr --
    awsdir: pinned `[HOME]/app` to profile `read-only` (ReadOnly in account 111111111111) in eu-west-1
    -- file --
    profile = read-only
    region = eu-west-1
    $ awsdir pin 111111111111/Admin
    -- stderr --
    awsdir: pinned `[HOME]/app` to Admin in account 111111111111 of `https://awsdir-sandbox.awsapps.com/start` in eu-west-1
    -- file --
    sso_start_url = https://awsdir-sandbox.awsapps.com/start
    sso_region = us-east-1
    sso_account_id = 111111111111
    sso_role_name = Admin
    region = eu-west-1
    ");
}

#[test]
fn pin_keeps_comments_and_other_keys() {
    let sandbox = signed_in();
    let mut shown = String::new();
    for old in
        ["# ours\nread-only\n# end\n", "# ours\nprofile=read-only\n\n; quiet\ncredentials = only\n  login = ask\n"]
    {
        for line in ["pin 111111111111/Admin", "pin 222222222222/Admin --region us-west-2", "pin read-only"] {
            if line == "pin 111111111111/Admin" {
                sandbox.project("app", old);
            }
            let _ = write!(shown, "$ awsdir {line}\n{}", pin(&sandbox, line));
            assert!(acts(&sandbox, "app"), "{line}");
        }
    }
    insta::assert_snapshot!(shown, @"
    $ awsdir pin 111111111111/Admin
    -- stderr --
    awsdir: pinned `[HOME]/app` to Admin in account 111111111111 of `https://awsdir-sandbox.awsapps.com/start`
    -- file --
    # ours
    sso_start_url = https://awsdir-sandbox.awsapps.com/start
    sso_region = us-east-1
    sso_account_id = 111111111111
    sso_role_name = Admin
    # end
    $ awsdir pin 222222222222/Admin --region us-west-2
    -- stderr --
    awsdir: pinned `[HOME]/app` to Admin in account 222222222222 of `https://awsdir-sandbox.awsapps.com/start` in us-west-2, which is your profile `prod-admin`
    -- file --
    # ours
    sso_start_url = https://awsdir-sandbox.awsapps.com/start
    sso_region = us-east-1
    sso_account_id = 222222222222
    sso_role_name = Admin
    # end
    region = us-west-2
    $ awsdir pin read-only
    -- stderr --
    awsdir: pinned `[HOME]/app` to profile `read-only` (ReadOnly in account 111111111111) in us-west-2
    -- file --
    # ours
    profile = read-only
    # end
    region = us-west-2
    $ awsdir pin 111111111111/Admin
    -- stderr --
    awsdir: pinned `[HOME]/app` to Admin in account 111111111111 of `https://awsdir-sandbox.awsapps.com/start`
    -- file --
    # ours
    sso_start_url = https://awsdir-sandbox.awsapps.com/start
    sso_region = us-east-1
    sso_account_id = 111111111111
    sso_role_name = Admin

    ; quiet
    credentials = only
      login = ask
    $ awsdir pin 222222222222/Admin --region us-west-2
    -- stderr --
    awsdir: pinned `[HOME]/app` to Admin in account 222222222222 of `https://awsdir-sandbox.awsapps.com/start` in us-west-2, which is your profile `prod-admin`
    -- file --
    # ours
    sso_start_url = https://awsdir-sandbox.awsapps.com/start
    sso_region = us-east-1
    sso_account_id = 222222222222
    sso_role_name = Admin

    ; quiet
    credentials = only
      login = ask
    region = us-west-2
    $ awsdir pin read-only
    -- stderr --
    awsdir: pinned `[HOME]/app` to profile `read-only` (ReadOnly in account 111111111111) in us-west-2
    -- file --
    # ours
    profile = read-only

    ; quiet
    credentials = only
      login = ask
    region = us-west-2
    ");
}

#[test]
fn pin_of_a_start_url_that_no_dotfile_may_have_says_so() {
    let sandbox = Sandbox::new();
    fs::create_dir(sandbox.path("app")).unwrap();
    sandbox.write(".aws/config", one_session().replace("https://awsdir", "http://awsdir"));
    insta::assert_snapshot!(said(&sandbox, "app", &["pin", "111111111111/Admin"]), @"
    -- stderr --
    awsdir: `[HOME]/app/.awsprofile`, line 1, column 17: `sso_start_url` is a start URL, such as `https://acme.awsapps.com/start`, not `http://awsdir-sandbox.awsapps.com/start`
    -- exit status: 3 --
    ");
    assert!(!sandbox.path("app/.awsprofile").exists());
}

// --- completion ---------------------------------------------------------------------------------------------

/// A config in which accounts have several permission sets.
fn accounts() -> String {
    CONFIG.to_owned()
        + "[profile a]\nsso_session = corp\nsso_account_id = 111111111111\nsso_role_name = Admin\n\
           [profile b]\nsso_session = corp\nsso_account_id = 111111111111\nsso_role_name = ReadOnly\n\
           [profile 111-odd]\nregion = eu-west-1\n"
}

const COMPLETED: &str = "\
with-aws 11: 111-odd 111111111111/ReadOnly 111111111111/Admin
with-aws 111111111111/A: 111111111111/Admin
awsdir exec 2: 222222222222/Admin 222222222222/ReadOnly
awsdir pin 0123: 012345678901/ReadOnly
awsdir export 0123: 012345678901/ReadOnly
awsdir login 0123: 012345678901/ReadOnly
awsdir pin 9:
";

/// What a shell's own completion offers for each of these lines, by a script that prints it for the words of `$LINE`.
fn expect_completed(shell: &[&str], script: &str) {
    if !available(shell[0]) {
        return;
    }
    let sandbox = Sandbox::new();
    sandbox.write(".aws/config", accounts());
    let binaries = Path::new(env!("CARGO_BIN_EXE_awsdir")).parent().unwrap();
    let path = format!("{}:{}", binaries.display(), std::env::var("PATH").unwrap());
    let mut shown = String::new();
    for line in COMPLETED.lines().filter_map(|line| line.split(':').next()) {
        let mut command = sandbox.command(shell[0]);
        command.args(&shell[1..]).arg(script).env("PATH", &path).env("LINE", line);
        let offered = sandbox.transcript(&mut command);
        let words = offered.split_whitespace().map(|word| format!(" {word}"));
        let _ = writeln!(shown, "{line}:{}", words.collect::<String>());
    }
    assert_eq!(shown, COMPLETED);
}

#[test]
fn bash_completes_accounts() {
    let script = r#"
source <(awsdir completions bash)
COMP_WORDS=($LINE) COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
_clap_complete_${COMP_WORDS[0]//-/_} "${COMP_WORDS[0]}" "${COMP_WORDS[COMP_CWORD]}" x
echo "${COMPREPLY[@]}"
"#;
    expect_completed(&["bash", "--norc", "-c"], script);
}

#[test]
fn zsh_completes_accounts() {
    let script = r"
autoload -Uz compinit && compinit -D -u
source <(awsdir completions zsh)
_describe() { print -r -- ${(P)3} }
words=(${=LINE}) CURRENT=$#words
$_comps[$words[1]]
true
";
    expect_completed(&["zsh", "-f", "-c"], script);
}

#[test]
fn fish_completes_accounts() {
    let script = "awsdir completions fish | source; complete -C \"$LINE\"";
    expect_completed(&["fish", "--no-config", "-c"], script);
}

// --- list ---------------------------------------------------------------------------------------------------

/// The default config and one of each other kind.
fn kinds() -> String {
    CONFIG.to_owned()
        + "
[profile deploy]
role_arn = arn:aws:iam::333333333333:role/path/deploy
source_profile = read-only
region = eu-west-2

[profile from-keys]
role_arn = arn:aws:iam::333333333333:role/deploy
source_profile = static

[profile with-mfa]
role_arn = arn:aws:iam::333333333333:role/deploy
source_profile = static
mfa_serial = arn:aws:iam::999999999999:mfa/me

[profile pod]
role_arn = arn:aws:iam::333333333333:role/pod
web_identity_token_file = /var/run/token

[profile tool]
credential_process = /bin/true

[profile nothing]
output = json

[profile broken]
sso_session = corp
sso_account_id = 111111111111

[profile lost]
role_arn = arn:aws:iam::333333333333:role/deploy
source_profile = gone
"
}

#[test]
fn list_shows_every_profile() {
    let sandbox = Sandbox::new();
    sandbox.write(".aws/config", kinds());
    sandbox.write(".aws/credentials", "[in-credentials]\naws_access_key_id = AKIAX\naws_secret_access_key = x\n");
    insta::assert_snapshot!(said(&sandbox, "", &["list"]), @"
    PROFILE         KIND          ACCOUNT       ROLE      REGION      SESSION                                   STATE
    read-only       sso           111111111111  ReadOnly  eu-west-1   corp                                      sign-in needed
    prod-admin      sso           222222222222  Admin     us-east-1   corp                                      sign-in needed
    no-region       sso           012345678901  ReadOnly  -           corp                                      sign-in needed
    legacy          sso           222222222222  ReadOnly  eu-west-1   https://awsdir-sandbox.awsapps.com/start  sign-in needed
    static          keys          -             -         ap-south-1  -                                         not from Identity Center
    deploy          role          333333333333  deploy    eu-west-2   corp                                      sign-in needed
    from-keys       role          333333333333  deploy    -           -                                         renewable
    with-mfa        role          333333333333  deploy    -           -                                         sign-in needed
    pod             web identity  333333333333  pod       -           -                                         renewable
    tool            process       -             -         -           -                                         not from Identity Center
    nothing         none          -             -         -           -                                         not from Identity Center
    broken          -             -             -         -           -                                         broken: `[HOME]/.aws/config`, line 59: `[profile broken]` has no `sso_role_name`
    lost            -             -             -         -           -                                         broken: `[HOME]/.aws/config`, line 65: `[profile lost]` takes the credentials of profile `gone`, and there is no such profile
    in-credentials  keys          -             -         -           -                                         not from Identity Center
    ");
    assert_eq!(sandbox.asked(), "");
}

#[test]
fn list_for_programs() {
    let sandbox = Sandbox::new();
    let shown = ["sso-session corp", "profile read-only", "profile deploy", "profile tool", "profile broken"];
    let whole = kinds();
    let sections =
        whole.split("\n\n").filter(|section| shown.iter().any(|title| section.starts_with(&format!("[{title}]"))));
    sandbox.write(".aws/config", sections.map(|section| section.to_owned() + "\n").collect::<String>());
    sandbox.plant_role_credentials(FAR);
    insta::assert_snapshot!(said(&sandbox, "", &["list", "--json"]), @r#"
    [
      {
        "profile": "read-only",
        "kind": "sso",
        "account_id": "111111111111",
        "role": "ReadOnly",
        "region": "eu-west-1",
        "session": "corp",
        "state": "fresh",
        "expires_at": "[TIME]"
      },
      {
        "profile": "deploy",
        "kind": "role",
        "account_id": "333333333333",
        "role": "deploy",
        "region": "eu-west-2",
        "session": "corp",
        "state": "renewable",
        "expires_at": null
      },
      {
        "profile": "tool",
        "kind": "process",
        "account_id": null,
        "role": null,
        "region": null,
        "session": null,
        "state": "not from Identity Center",
        "expires_at": null
      },
      {
        "profile": "broken",
        "state": "broken",
        "error": "`[HOME]/.aws/config`, line 16: `[profile broken]` has no `sso_role_name`"
      }
    ]
    "#);
    assert_eq!(sandbox.asked(), "");
}

/// The state column of each profile of the default config, and of a chain.
fn states(sandbox: &Sandbox) -> String {
    let listed = said(sandbox, "", &["list"]);
    let column =
        |line: &str| (line.split("  ").next().unwrap().to_owned(), line.rsplit("  ").next().unwrap().trim().to_owned());
    let rows = listed.lines().skip(1).map(column).map(|(name, state)| format!("{name}: {state}\n"));
    rows.filter(|row| !row.contains("not from")).collect()
}

#[test]
fn list_says_how_each_stands() {
    let sandbox = Sandbox::new();
    let chain = "\n[profile deploy]\nrole_arn = arn:aws:iam::333333333333:role/deploy\nsource_profile = read-only\n";
    sandbox.write(".aws/config", one_session() + chain);
    let mut shown = String::new();
    let mut look = |what: &str| {
        let _ = write!(shown, "-- {what} --\n{}", states(&sandbox));
    };
    look("nothing");
    sandbox.plant_token(PAST, false);
    look("an expired token");
    sandbox.plant_token(PAST, true);
    look("an expired token that can be renewed");
    sandbox.plant_token(FAR, false);
    look("a token");
    sandbox.plant_role_credentials(FAR);
    look("role credentials");
    sandbox.plant_role_credentials(&from_now(5 * 60 + 30));
    look("role credentials that expire");
    fs::remove_file(sandbox.path(TOKEN_FILE)).unwrap();
    look("the same without a token");
    sandbox.plant_role_credentials(PAST);
    look("expired role credentials");
    insta::assert_snapshot!(shown, @"
    -- nothing --
    read-only: sign-in needed
    prod-admin: sign-in needed
    no-region: sign-in needed
    deploy: sign-in needed
    -- an expired token --
    read-only: sign-in needed
    prod-admin: sign-in needed
    no-region: sign-in needed
    deploy: sign-in needed
    -- an expired token that can be renewed --
    read-only: renewable
    prod-admin: renewable
    no-region: renewable
    deploy: renewable
    -- a token --
    read-only: renewable
    prod-admin: renewable
    no-region: renewable
    deploy: renewable
    -- role credentials --
    read-only: fresh, [LEFT] left
    prod-admin: renewable
    no-region: renewable
    deploy: renewable
    -- role credentials that expire --
    read-only: expiring, [LEFT] left
    prod-admin: renewable
    no-region: renewable
    deploy: renewable
    -- the same without a token --
    read-only: fresh, [LEFT] left
    prod-admin: sign-in needed
    no-region: sign-in needed
    deploy: renewable
    -- expired role credentials --
    read-only: sign-in needed
    prod-admin: sign-in needed
    no-region: sign-in needed
    deploy: sign-in needed
    ");
    assert_eq!(sandbox.asked(), "");
}

#[test]
fn list_of_nothing_and_into_a_closed_pipe() {
    let sandbox = Sandbox::new();
    let script = "set -o pipefail; \"$AWSDIR_UNDER_TEST\" list | head -1";
    let mut command = sandbox.command("bash");
    command.args(["--norc", "-c", script]).env("AWSDIR_UNDER_TEST", env!("CARGO_BIN_EXE_awsdir"));
    // More than a pipe holds.
    let many = (0..3000).fold(CONFIG.to_owned(), |config, n| config + &format!("[profile p{n}]\nregion = eu-west-1\n"));
    sandbox.write(".aws/config", many);
    let mut shown = sandbox.transcript(&mut command);
    sandbox.write(".aws/config", "");
    shown += &session(&sandbox, ["list", "list --json", "-q list"]);
    fs::remove_dir_all(sandbox.path(".aws")).unwrap();
    shown += &session(&sandbox, ["list", "list --json"]);
    sandbox.write(".aws/config", "[broken");
    shown += &session(&sandbox, ["list", "list --json"]);
    insta::assert_snapshot!(shown, @"
    PROFILE     KIND  ACCOUNT       ROLE      REGION      SESSION                                   STATE
    $ awsdir list
    -- stderr --
    awsdir: there is no profile in `[HOME]/.aws/config`
    $ awsdir list --json
    []
    $ awsdir -q list

    $ awsdir list
    -- stderr --
    awsdir: there is no profile in `[HOME]/.aws/config`
    $ awsdir list --json
    []
    $ awsdir list
    -- stderr --
    awsdir: `[HOME]/.aws/config`, line 1: the section header does not end with `]`
    -- exit status: 3 --
    $ awsdir list --json
    -- stderr --
    awsdir: `[HOME]/.aws/config`, line 1: the section header does not end with `]`
    -- exit status: 3 --
    ");
}
