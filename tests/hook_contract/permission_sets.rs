//! Directories that name a role by its account and permission set: a profile of one's own where there is one, else the role
//! by itself.

use super::{APP, Session, Shell, Start, in_each_shell, text, world};
use crate::identity_center::{IdentityCenter, Operation};
use crate::permission_sets::{ADMIN_FILE, dotfile};
use crate::sandbox::{CONFIG, Sandbox, TOKEN_FILE, from_now};

in_each_shell! {
    a_profile_of_ones_own_is_used_and_named,
    without_one_the_session_of_that_start_url_is_used,
    a_nested_shell_takes_it_as_ours,
    what_has_expired_is_renewed,
    at_a_terminal_it_is_signed_in_to,
    without_any_config_a_device_code_does,
    modes_that_need_a_profile_do_without,
    an_edit_takes_the_permission_back,
}

fn a_profile_of_ones_own_is_used_and_named(shell: Shell) {
    for (own, theirs) in [("", ""), ("", "/"), ("", "#/"), ("", "/#/"), ("/", ""), ("#/", "/")] {
        let world = world();
        let own = format!("{}{own}\n", IdentityCenter::START_URL);
        world.write(".aws/config", CONFIG.replace(&format!("{}\n", IdentityCenter::START_URL), &own));
        let theirs = format!("{}{theirs}\n", IdentityCenter::START_URL);
        let dotfile = dotfile("111111111111", "ReadOnly");
        world.allowed_project("app", dotfile.replace(&format!("{}\n", IdentityCenter::START_URL), &theirs));
        let mut session = Session::open(shell, &world);
        session.quietly(["cd app", ":"]);
        assert_eq!(session.aws(), APP, "{own}{theirs}");
        assert_eq!(session.segment, "read-only 1h00m");
        session.quietly(["cd .."]);
        assert_eq!(session.aws(), "");
        assert_eq!(world.asked(), "");
    }
}

/// A sandbox that is signed in, and the project `app` with a role that no profile has.
fn signed_in() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.sign_in(|_| {});
    sandbox.allowed_project("app", dotfile("111111111111", "Admin") + "region = eu-central-1\n");
    sandbox
}

/// What `app` sets.
const ADMIN: &str = "AWS_REGION=eu-central-1
AWS_DEFAULT_REGION=eu-central-1
AWS_ACCESS_KEY_ID=[KEY ID]
AWS_SECRET_ACCESS_KEY=[SECRET]
AWS_SESSION_TOKEN=[TOKEN]
AWS_CREDENTIAL_EXPIRATION
AWS_SSO_PROFILE=111111111111/Admin
AWSDIR";

fn aws(session: &mut Session<'_>) -> String {
    let text = session.aws();
    session.sandbox.steady(&text)
}

fn without_one_the_session_of_that_start_url_is_used(shell: Shell) {
    let world = signed_in();
    let mut session = Start::new(shell, &world).env("AWS_PROFILE", "static").env("AWS_VAULT", "theirs").open();
    session.quietly(["cd app", ":"]);
    assert_eq!(aws(&mut session), ADMIN);
    assert_eq!(world.steady(&session.segment), "111111111111/Admin [LEFT]");
    let issued = world.idc.issued_credentials().pop().unwrap();
    assert_eq!((&*issued.identity.account, &*issued.identity.role_name), ("111111111111", "Admin"));
    assert_eq!(world.read_json(ADMIN_FILE)["Credentials"]["AccessKeyId"], issued.access_key_id);
    session.quietly(["cd .."]);
    assert_eq!(session.aws(), "AWS_PROFILE=static\nAWS_VAULT=theirs");
    assert_eq!(session.segment, "");
    session.quietly(["cd app"]);
    assert_eq!(aws(&mut session), ADMIN);
    assert_eq!(world.asked(), "GetRoleCredentials");
}

fn a_nested_shell_takes_it_as_ours(shell: Shell) {
    let world = signed_in();
    let mut session = Session::open(shell, &world);
    session.quietly(["cd app", shell.name()]);
    assert_eq!(aws(&mut session), ADMIN);
    assert_eq!(world.steady(&session.segment), "111111111111/Admin [LEFT]");
    session.quietly(["cd .."]);
    assert_eq!(session.aws(), "");
    session.run("exit");
    assert_eq!(aws(&mut session), ADMIN);
    // In a child of `with-aws` it stays, too.
    session.quietly([&format!("with-aws 111111111111/Admin -- {}", shell.name()), "cd ~"]);
    assert_eq!(aws(&mut session), ADMIN.replace("AWS_REGION=eu-central-1\nAWS_DEFAULT_REGION=eu-central-1\n", ""));
    assert_eq!(world.steady(&session.segment), "111111111111/Admin [LEFT]");
    assert_eq!(world.asked(), "GetRoleCredentials");
}

fn what_has_expired_is_renewed(shell: Shell) {
    let world = signed_in();
    let mut session = Session::open(shell, &world);
    session.quietly(["cd app", "cd .."]);
    let mut role = world.read_json(ADMIN_FILE);
    role["Credentials"]["Expiration"] = from_now(-60).into();
    world.write(ADMIN_FILE, role.to_string());
    world.edit_token(|token| token["expiresAt"] = from_now(-60).into());
    session.quietly(["cd app", ":"]);
    assert_eq!(aws(&mut session), ADMIN);
    let renewed = world.idc.issued_credentials().pop().unwrap();
    assert!(session.aws().contains(&renewed.access_key_id));
    assert_eq!(world.asked(), "GetRoleCredentials, CreateToken(refresh_token), GetRoleCredentials");
}

fn at_a_terminal_it_is_signed_in_to(shell: Shell) {
    let world = signed_in();
    std::fs::remove_file(world.path(TOKEN_FILE)).unwrap();
    let mut session = Session::open(shell, &world);
    let said = session.run("cd app");
    insta::assert_snapshot!(world.scrubbed(&said), @"
    awsdir: signing in to `corp` for `111111111111/Admin`, as `[HOME]/app/.awsprofile` asks (Ctrl-C to cancel)
    awsdir: approve it in your browser; if no page opens, open this one:
      [ENDPOINT]/authorize?[QUERY]
    ");
    session.quietly([":"]);
    assert_eq!(aws(&mut session), ADMIN);
    assert_eq!(world.idc.browser_opens().len(), 2, "the one before, and this");

    // Where the dotfile says never.
    std::fs::remove_file(world.path(TOKEN_FILE)).unwrap();
    world.allowed_project("other", dotfile("222222222222", "Nobody") + "login = never\n");
    let said = session.run("cd ../other");
    insta::assert_snapshot!(said, @"awsdir: sign-in to `corp` needed; run: awsdir login --session corp");
    session.quietly([":"]);
    assert_eq!(session.segment, "222222222222/Nobody expired");
    // A name that no SDK finds keeps them from the default profile.
    assert_eq!(session.aws(), "AWS_PROFILE=222222222222/Nobody\nAWS_SSO_PROFILE=222222222222/Nobody\nAWSDIR");
}

fn without_any_config_a_device_code_does(shell: Shell) {
    let world = Sandbox::new();
    std::fs::remove_dir_all(world.path(".aws")).unwrap();
    std::fs::create_dir(world.path(".aws")).unwrap();
    world.allowed_project("app", dotfile("111111111111", "Admin") + "region = eu-central-1\n");
    let mut session = Session::open(shell, &world);
    session.begin("cd app");
    let shown = session.terminal.wait_for("?user_code=");
    let code = session.terminal.wait_for("\r\n");
    assert!(world.idc.approve_device(code.trim()), "{shown}{code}");
    session.until_prompt();
    insta::assert_snapshot!(world.scrubbed(&text(&format!("{shown}{code}"))), @"
    awsdir: signing in to `https://awsdir-sandbox.awsapps.com/start` for `111111111111/Admin`, as `[HOME]/app/.awsprofile` asks (Ctrl-C to cancel)
    awsdir: open [ENDPOINT]/device on any device and confirm the code [CODE]
      or straight: [ENDPOINT]/device?[CODE]
    ");
    session.quietly([":"]);
    assert_eq!(aws(&mut session), ADMIN);
    assert_eq!(world.idc.count(Operation::GetRoleCredentials), 1);
    session.quietly(["cd .."]);
    assert_eq!(session.aws(), "");
}

fn modes_that_need_a_profile_do_without(shell: Shell) {
    let world = signed_in();
    world.allowed_project("only", dotfile("111111111111", "Admin") + "region = eu-central-1\ncredentials = only\n");
    world.allowed_project("none", dotfile("111111111111", "Admin") + "region = eu-central-1\ncredentials = none\n");
    let mut session = Session::open(shell, &world);
    session.quietly(["cd only"]);
    assert_eq!(aws(&mut session), ADMIN);
    // The region, and a name for prompts: no SDK knows the role.
    session.quietly(["cd ../none"]);
    insta::assert_snapshot!(aws(&mut session), @"
    AWS_PROFILE=111111111111/Admin
    AWS_REGION=eu-central-1
    AWS_DEFAULT_REGION=eu-central-1
    AWS_SSO_PROFILE=111111111111/Admin
    AWSDIR
    ");
    assert_eq!(session.segment, "111111111111/Admin");
    // With a profile of one's own it is as ever.
    world.allowed_project("none", dotfile("111111111111", "ReadOnly") + "credentials = none\n");
    session.quietly(["cd ../none", ":"]);
    insta::assert_snapshot!(aws(&mut session), @"
    AWS_PROFILE=read-only
    AWS_REGION=eu-west-1
    AWS_DEFAULT_REGION=eu-west-1
    AWSDIR
    ");
}

fn an_edit_takes_the_permission_back(shell: Shell) {
    let world = signed_in();
    let mut session = Session::open(shell, &world);
    session.quietly(["cd app"]);
    assert_eq!(aws(&mut session), ADMIN);
    let said = session.run("sed -i s/Admin/ReadOnly/ .awsprofile");
    insta::assert_snapshot!(said, @"awsdir: `[HOME]/app/.awsprofile` is not allowed; it selects ReadOnly in account 111111111111 of `https://awsdir-sandbox.awsapps.com/start` in eu-central-1, which is your profile `read-only`; run: awsdir allow [HOME]/app/.awsprofile");
    assert_eq!(session.aws(), "");
    assert_eq!(session.segment, "111111111111/ReadOnly not allowed");
    let said = session.run("awsdir allow");
    insta::assert_snapshot!(said, @"awsdir: allowed `[HOME]/app/.awsprofile`: ReadOnly in account 111111111111 of `https://awsdir-sandbox.awsapps.com/start` in eu-central-1, which is your profile `read-only`");
    session.quietly([":"]);
    assert_eq!(session.profile(), "read-only");
    session.quietly(["sed -i s/ReadOnly/Admin/ .awsprofile", ":"]);
    assert_eq!(aws(&mut session), ADMIN, "as it was allowed before");
}
