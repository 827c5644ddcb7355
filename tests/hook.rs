//! `awsdir hook`: what it prints for each shell in each state, and what it says.

use crate::commands::{FAR, PAST, in_bash, project, said};
use crate::identity_center::{Consent, Fault, Operation};
use crate::sandbox::{ROLE_FILE, Sandbox, eventually, from_now};
use crate::terminal::{self, LIMIT};
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

/// What the hook answers in a directory, in words that are the same for every shell (and it must be), then what it
/// says on stderr. Lines that carry nothing are left out.
fn hook(sandbox: &Sandbox, directory: &str, arguments: &[&str]) -> String {
    let answers: Vec<String> = ["bash", "zsh", "fish"]
        .map(|shell| {
            let mut command = sandbox.awsdir(["hook", shell]);
            let output = command.args(arguments).current_dir(sandbox.path(directory)).output().unwrap();
            assert!(output.status.success(), "{output:?}");
            neutral(sandbox, &output.stdout) + &sandbox.steady(&String::from_utf8_lossy(&output.stderr))
        })
        .into();
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{}", answers.join("\n"));
    assert!(sandbox.idc.requests().is_empty(), "a hook never uses the network");
    answers[0].clone()
}

/// A hook's answer as `name='value'`, `export NAME='value'` and one `unset NAME…`, whatever the shell.
fn neutral(sandbox: &Sandbox, stdout: &[u8]) -> String {
    let text = String::from_utf8(stdout.to_vec()).unwrap();
    let statements = text.strip_suffix(": awsdir-end\n").expect("the end mark comes last");
    let (mut variables, mut unset, mut exported) = (String::new(), String::new(), String::new());
    for line in sandbox.steady(statements).lines() {
        let strip = |words: [&str; 2]| words.into_iter().find_map(|word| line.strip_prefix(word));
        let fish = usize::from(line.starts_with("set "));
        let assignment = |rest: &str| rest.replacen("__awsdir_", "", 1).replacen(' ', "=", fish);
        if let Some(name) = strip(["\\unset ", "set -e -g "]) {
            let _ = write!(unset, " {name}");
        } else if let Some(rest) = strip(["\\typeset -gx ", "set -gx "]) {
            let _ = writeln!(exported, "export {}", assignment(rest));
        } else if let Some((rest, _)) = line.split_once("; \\export ") {
            let _ = writeln!(exported, "export {rest}");
        } else {
            match assignment(strip(["\\typeset -g ", "set -g "]).unwrap_or(line)) {
                empty if empty.ends_with("=''") => {}
                said if said.starts_with("said=") => variables += "said='[ID]'\n",
                variable => variables.extend([variable.as_str(), "\n"]),
            }
        }
    }
    if !unset.is_empty() {
        unset = format!("unset{unset}\n");
    }
    variables + &unset + &exported
}

#[test]
fn the_hook_speaks_each_shells_language() {
    let sandbox = project("read-only");
    sandbox.plant_role_credentials(FAR);
    insta::assert_snapshot!(said(&sandbox, "app", &["hook", "bash"]), @r"
    __awsdir_status='active'
    __awsdir_next=''
    __awsdir_deadline='[EPOCH]'
    __awsdir_generation='[ID]'
    __awsdir_watch_config='[HOME]/.aws/config'
    __awsdir_watch_token=''
    __awsdir_segment_head='read-only '
    __awsdir_segment_tail=''
    __awsdir_expires='[EPOCH]'
    __awsdir_said=''
    __awsdir_inherited=''
    \unset AWS_SSO_PROFILE
    \unset AWS_DEFAULT_PROFILE
    \unset AWS_SECURITY_TOKEN
    \unset AWS_VAULT
    \unset AWSUME_PROFILE
    \unset AWSU_PROFILE
    \unset AWSUME_EXPIRATION
    \unset AWS_SESSION_EXPIRATION
    AWS_PROFILE='read-only'; \export AWS_PROFILE
    AWS_REGION='eu-west-1'; \export AWS_REGION
    AWS_DEFAULT_REGION='eu-west-1'; \export AWS_DEFAULT_REGION
    AWS_ACCESS_KEY_ID='ASIAPLANTED'; \export AWS_ACCESS_KEY_ID
    AWS_SECRET_ACCESS_KEY='planted+secret'; \export AWS_SECRET_ACCESS_KEY
    AWS_SESSION_TOKEN='planted/token=='; \export AWS_SESSION_TOKEN
    AWS_CREDENTIAL_EXPIRATION='[TIME]'; \export AWS_CREDENTIAL_EXPIRATION
    AWSDIR='1 [UID] [ID] eu-west-1 read-only [HOME]/app/.awsprofile'; \export AWSDIR
    : awsdir-end
    ");
    insta::assert_snapshot!(said(&sandbox, "app", &["hook", "zsh"]), @r"
    \typeset -g __awsdir_status='active'
    \typeset -g __awsdir_next=''
    \typeset -g __awsdir_deadline='[EPOCH]'
    \typeset -g __awsdir_generation='[ID]'
    \typeset -g __awsdir_watch_config='[HOME]/.aws/config'
    \typeset -g __awsdir_watch_token=''
    \typeset -g __awsdir_segment_head='read-only '
    \typeset -g __awsdir_segment_tail=''
    \typeset -g __awsdir_expires='[EPOCH]'
    \typeset -g __awsdir_said=''
    \typeset -g __awsdir_inherited=''
    \unset AWS_SSO_PROFILE
    \unset AWS_DEFAULT_PROFILE
    \unset AWS_SECURITY_TOKEN
    \unset AWS_VAULT
    \unset AWSUME_PROFILE
    \unset AWSU_PROFILE
    \unset AWSUME_EXPIRATION
    \unset AWS_SESSION_EXPIRATION
    \typeset -gx AWS_PROFILE='read-only'
    \typeset -gx AWS_REGION='eu-west-1'
    \typeset -gx AWS_DEFAULT_REGION='eu-west-1'
    \typeset -gx AWS_ACCESS_KEY_ID='ASIAPLANTED'
    \typeset -gx AWS_SECRET_ACCESS_KEY='planted+secret'
    \typeset -gx AWS_SESSION_TOKEN='planted/token=='
    \typeset -gx AWS_CREDENTIAL_EXPIRATION='[TIME]'
    \typeset -gx AWSDIR='1 [UID] [ID] eu-west-1 read-only [HOME]/app/.awsprofile'
    : awsdir-end
    ");
    insta::assert_snapshot!(said(&sandbox, "app", &["hook", "fish"]), @"
    set -g __awsdir_status 'active'
    set -g __awsdir_next ''
    set -g __awsdir_deadline '[EPOCH]'
    set -g __awsdir_generation '[ID]'
    set -g __awsdir_watch_config '[HOME]/.aws/config'
    set -g __awsdir_watch_token ''
    set -g __awsdir_segment_head 'read-only '
    set -g __awsdir_segment_tail ''
    set -g __awsdir_expires '[EPOCH]'
    set -g __awsdir_said ''
    set -g __awsdir_inherited ''
    set -e -g AWS_SSO_PROFILE
    set -e -g AWS_DEFAULT_PROFILE
    set -e -g AWS_SECURITY_TOKEN
    set -e -g AWS_VAULT
    set -e -g AWSUME_PROFILE
    set -e -g AWSU_PROFILE
    set -e -g AWSUME_EXPIRATION
    set -e -g AWS_SESSION_EXPIRATION
    set -gx AWS_PROFILE 'read-only'
    set -gx AWS_REGION 'eu-west-1'
    set -gx AWS_DEFAULT_REGION 'eu-west-1'
    set -gx AWS_ACCESS_KEY_ID 'ASIAPLANTED'
    set -gx AWS_SECRET_ACCESS_KEY 'planted+secret'
    set -gx AWS_SESSION_TOKEN 'planted/token=='
    set -gx AWS_CREDENTIAL_EXPIRATION '[TIME]'
    set -gx AWSDIR '1 [UID] [ID] eu-west-1 read-only [HOME]/app/.awsprofile'
    : awsdir-end
    ");
}

#[test]
fn the_hook_where_no_dotfile_is() {
    assert_eq!(hook(&Sandbox::new(), "", &[]), "status='idle'\ngeneration='[ID]'\n");
}

#[test]
fn the_hook_with_credentials_only_and_a_region() {
    let sandbox = project("profile = read-only\nregion = us-west-2\ncredentials = only");
    sandbox.plant_role_credentials(FAR);
    insta::assert_snapshot!(hook(&sandbox, "app", &[]), @"
    status='active'
    deadline='[EPOCH]'
    generation='[ID]'
    watch_config='[HOME]/.aws/config'
    segment_head='read-only '
    expires='[EPOCH]'
    unset AWS_PROFILE AWS_DEFAULT_PROFILE AWS_SECURITY_TOKEN AWS_VAULT AWSUME_PROFILE AWSU_PROFILE AWSUME_EXPIRATION AWS_SESSION_EXPIRATION
    export AWS_REGION='us-west-2'
    export AWS_DEFAULT_REGION='us-west-2'
    export AWS_ACCESS_KEY_ID='ASIAPLANTED'
    export AWS_SECRET_ACCESS_KEY='planted+secret'
    export AWS_SESSION_TOKEN='planted/token=='
    export AWS_CREDENTIAL_EXPIRATION='[TIME]'
    export AWS_SSO_PROFILE='read-only'
    export AWSDIR='1 [UID] [ID] us-west-2 read-only [HOME]/app/.awsprofile'
    ");
}

#[test]
fn the_hook_with_credentials_none() {
    let sandbox = project("profile = read-only\ncredentials = none");
    sandbox.plant_token(FAR, true);
    insta::assert_snapshot!(hook(&sandbox, "app", &[]), @"
    status='active'
    deadline='[EPOCH]'
    generation='[ID]'
    watch_config='[HOME]/.aws/config'
    segment_head='read-only'
    unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN AWS_CREDENTIAL_EXPIRATION AWS_SSO_PROFILE AWS_DEFAULT_PROFILE AWS_SECURITY_TOKEN AWS_VAULT AWSUME_PROFILE AWSU_PROFILE AWSUME_EXPIRATION AWS_SESSION_EXPIRATION
    export AWS_PROFILE='read-only'
    export AWS_REGION='eu-west-1'
    export AWS_DEFAULT_REGION='eu-west-1'
    export AWSDIR='1 [UID] [ID] eu-west-1 read-only [HOME]/app/.awsprofile'
    ");
}

#[test]
fn the_hook_when_credentials_run_out_and_cannot_be_renewed() {
    let sandbox = project("read-only");
    sandbox.plant_role_credentials(&from_now(300));
    insta::assert_snapshot!(hook(&sandbox, "app", &[]), @"
    status='active'
    deadline='[EPOCH]'
    generation='[ID]'
    watch_config='[HOME]/.aws/config'
    segment_head='read-only '
    expires='[EPOCH]'
    unset AWS_SSO_PROFILE AWS_DEFAULT_PROFILE AWS_SECURITY_TOKEN AWS_VAULT AWSUME_PROFILE AWSU_PROFILE AWSUME_EXPIRATION AWS_SESSION_EXPIRATION
    export AWS_PROFILE='read-only'
    export AWS_REGION='eu-west-1'
    export AWS_DEFAULT_REGION='eu-west-1'
    export AWS_ACCESS_KEY_ID='ASIAPLANTED'
    export AWS_SECRET_ACCESS_KEY='planted+secret'
    export AWS_SESSION_TOKEN='planted/token=='
    export AWS_CREDENTIAL_EXPIRATION='[TIME]'
    export AWSDIR='1 [UID] [ID] eu-west-1 read-only [HOME]/app/.awsprofile'
    ");
}

#[test]
fn the_hook_when_renewable_has_a_refresh_run() {
    let sandbox = project("read-only");
    sandbox.plant_token(PAST, true);
    insta::assert_snapshot!(hook(&sandbox, "app", &[]), @"
    status='active'
    next='refresh'
    deadline='[EPOCH]'
    generation='[ID]'
    watch_config='[HOME]/.aws/config'
    watch_token='[HOME]/.aws/sso/cache/ee0bfd2552fbd840c02cc48b6e823320543c450f.json'
    segment_head='read-only renewable'
    unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN AWS_CREDENTIAL_EXPIRATION AWS_SSO_PROFILE AWS_DEFAULT_PROFILE AWS_SECURITY_TOKEN AWS_VAULT AWSUME_PROFILE AWSU_PROFILE AWSUME_EXPIRATION AWS_SESSION_EXPIRATION
    export AWS_PROFILE='read-only'
    export AWS_REGION='eu-west-1'
    export AWS_DEFAULT_REGION='eu-west-1'
    export AWSDIR='1 [UID] [ID] eu-west-1 read-only [HOME]/app/.awsprofile'
    ");
    let after_the_refresh = hook(&sandbox, "app", &["--refreshed"]);
    assert!(!after_the_refresh.contains("next="), "only one refresh: {after_the_refresh}");
}

#[test]
fn the_hook_when_a_sign_in_is_needed_and_nobody_is_there() {
    insta::assert_snapshot!(hook(&project("read-only"), "app", &[]), @"
    status='active'
    generation='[ID]'
    watch_config='[HOME]/.aws/config'
    watch_token='[HOME]/.aws/sso/cache/ee0bfd2552fbd840c02cc48b6e823320543c450f.json'
    segment_head='read-only expired'
    said='[ID]'
    unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN AWS_CREDENTIAL_EXPIRATION AWS_SSO_PROFILE AWS_DEFAULT_PROFILE AWS_SECURITY_TOKEN AWS_VAULT AWSUME_PROFILE AWSU_PROFILE AWSUME_EXPIRATION AWS_SESSION_EXPIRATION
    export AWS_PROFILE='read-only'
    export AWS_REGION='eu-west-1'
    export AWS_DEFAULT_REGION='eu-west-1'
    export AWSDIR='1 [UID] [ID] eu-west-1 read-only [HOME]/app/.awsprofile'
    awsdir: sign-in to `corp` needed; run: awsdir login read-only
    ");
}

#[test]
fn the_hook_when_a_sign_in_is_needed_and_somebody_is_there() {
    let sandbox = project("read-only");
    let mut command = sandbox.awsdir(["hook", "bash"]);
    let ran = terminal::run_with_piped_stdout(command.current_dir(sandbox.path("app")));
    assert_eq!(ran.text(), "", "the refresh will say it");
    insta::assert_snapshot!(neutral(&sandbox, &ran.stdout), @"
    status='active'
    next='refresh'
    generation='[ID]'
    watch_config='[HOME]/.aws/config'
    watch_token='[HOME]/.aws/sso/cache/ee0bfd2552fbd840c02cc48b6e823320543c450f.json'
    segment_head='read-only expired'
    unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN AWS_CREDENTIAL_EXPIRATION AWS_SSO_PROFILE AWS_DEFAULT_PROFILE AWS_SECURITY_TOKEN AWS_VAULT AWSUME_PROFILE AWSU_PROFILE AWSUME_EXPIRATION AWS_SESSION_EXPIRATION
    export AWS_PROFILE='read-only'
    export AWS_REGION='eu-west-1'
    export AWS_DEFAULT_REGION='eu-west-1'
    export AWSDIR='1 [UID] [ID] eu-west-1 read-only [HOME]/app/.awsprofile'
    ");
    for (name, value) in [("CI", "true"), ("CLAUDECODE", "1"), ("VSCODE_RESOLVING_ENVIRONMENT", "1")] {
        let mut command = sandbox.awsdir(["hook", "bash"]);
        let ran = terminal::run_with_piped_stdout(command.current_dir(sandbox.path("app")).env(name, value));
        assert!(!neutral(&sandbox, &ran.stdout).contains("next="), "{name}={value}");
    }
}

#[test]
fn a_refused_sign_in_is_remembered() {
    let sandbox = project("read-only");
    sandbox.idc.settings(|settings| settings.consent = Consent::Deny);
    assert_eq!(terminal::run(&mut sandbox.awsdir(["login", "--session", "corp"])).status.code(), Some(4));
    sandbox.idc.clear_requests();
    insta::assert_snapshot!(without_assignments(&hook(&sandbox, "app", &[])), @"
    status='active'
    deadline='[EPOCH]'
    generation='[ID]'
    watch_config='[HOME]/.aws/config'
    watch_token='[HOME]/.aws/sso/cache/ee0bfd2552fbd840c02cc48b6e823320543c450f.json'
    segment_head='read-only expired'
    said='[ID]'
    awsdir: the sign-in to `corp` was denied in the browser; run: awsdir login read-only
    ");
    insta::assert_snapshot!(said(&sandbox, "app", &["status"]), @"
    profile           read-only, from [HOME]/app/.awsprofile
    role              ReadOnly in account 111111111111
    session           corp (https://awsdir-sandbox.awsapps.com/start)
    role credentials  none
    access token      none
    region            eu-west-1
    this shell        does not have it
    state             sign-in needed
    next              you sign in: awsdir login read-only (the sign-in to `corp` was denied in the browser; the hook tries again [TIME] (in [LEFT]))
    -- exit status: 4 --
    ");
}

#[test]
fn a_failed_renewal_is_remembered() {
    let sandbox = project("read-only");
    sandbox.sign_in(|_| {});
    sandbox.idc.inject(Operation::GetRoleCredentials, Fault::UnknownError("Strange".into()), 1);
    let refresh = sandbox.awsdir(["refresh", "--detached"]).current_dir(sandbox.path("app")).status().unwrap();
    assert_eq!(refresh.code(), Some(5));
    sandbox.idc.clear_requests();
    insta::assert_snapshot!(without_assignments(&hook(&sandbox, "app", &[])), @"
    status='active'
    deadline='[EPOCH]'
    generation='[ID]'
    watch_config='[HOME]/.aws/config'
    watch_token='[HOME]/.aws/sso/cache/ee0bfd2552fbd840c02cc48b6e823320543c450f.json'
    segment_head='read-only renewable'
    said='[ID]'
    awsdir: no role credentials for `read-only`: GetRoleCredentials failed: Strange: nobody has heard of this (request id [ID])
    ");
    insta::assert_snapshot!(said(&sandbox, "app", &["status"]), @"
    profile           read-only, from [HOME]/app/.awsprofile
    role              ReadOnly in account 111111111111
    session           corp (https://awsdir-sandbox.awsapps.com/start)
    role credentials  none
    access token      fresh, [LEFT] left (until [TIME]); renewable
    region            eu-west-1
    this shell        does not have it
    state             renewable
    next              the renewal is tried again (GetRoleCredentials failed: Strange: nobody has heard of this (request id [ID]); the hook tries again [TIME] (in [LEFT]))
    ");
}

/// The lines of a hook's answer that are not about the environment.
fn without_assignments(answer: &str) -> String {
    let kept = |line: &&str| !line.starts_with("unset ") && !line.starts_with("export ");
    answer.lines().filter(kept).fold(String::new(), |text, line| text + line + "\n")
}

#[test]
fn the_hook_when_not_allowed() {
    let sandbox = Sandbox::new();
    sandbox.project("app", "profile = prod-admin\nregion = us-west-2");
    insta::assert_snapshot!(hook(&sandbox, "app", &[]), @"
    status='idle'
    generation='[ID]'
    watch_config='[HOME]/.aws/config'
    segment_head='prod-admin not allowed'
    said='[ID]'
    awsdir: `[HOME]/app/.awsprofile` is not allowed; it selects profile `prod-admin` (Admin in account 222222222222) in us-west-2; run: awsdir allow [HOME]/app/.awsprofile
    ");
}

#[test]
fn the_hook_of_an_unknown_profile_offers_the_nearest() {
    insta::assert_snapshot!(hook(&project("read-onyl"), "app", &[]), @"
    status='idle'
    generation='[ID]'
    watch_config='[HOME]/.aws/config'
    said='[ID]'
    awsdir: there is no profile `read-onyl` in `[HOME]/.aws/config`; did you mean `read-only`?
    ");
    insta::assert_snapshot!(hook(&project("zzz"), "app", &[]), @"
    status='idle'
    generation='[ID]'
    watch_config='[HOME]/.aws/config'
    said='[ID]'
    awsdir: there is no profile `zzz` in `[HOME]/.aws/config`; run: awsdir list
    ");
}

#[test]
fn the_hook_of_a_malformed_dotfile_says_line_and_column() {
    let sandbox = Sandbox::new();
    sandbox.project("app", "profile = read-only\nregion = us east");
    insta::assert_snapshot!(hook(&sandbox, "app", &[]), @"
    status='idle'
    generation='[ID]'
    watch_config='[HOME]/.aws/config'
    said='[ID]'
    awsdir: `[HOME]/app/.awsprofile`, line 2, column 10: `us east` is not the name of a region
    ");
}

#[test]
fn the_hook_of_a_refused_dotfile() {
    let sandbox = project("read-only");
    fs::set_permissions(sandbox.path("app/.awsprofile"), fs::Permissions::from_mode(0o666)).unwrap();
    insta::assert_snapshot!(hook(&sandbox, "app", &[]), @"
    status='idle'
    generation='[ID]'
    watch_config='[HOME]/.aws/config'
    said='[ID]'
    awsdir: `[HOME]/app/.awsprofile` is refused: others can write to it; run: chmod o-w [HOME]/app/.awsprofile && awsdir allow [HOME]/app/.awsprofile
    ");
}

#[test]
fn the_hook_of_a_malformed_config() {
    let sandbox = project("read-only");
    sandbox.write(".aws/config", "[profile read-only\n");
    insta::assert_snapshot!(hook(&sandbox, "app", &[]), @"
    status='idle'
    generation='[ID]'
    watch_config='[HOME]/.aws/config'
    said='[ID]'
    awsdir: `[HOME]/.aws/config`, line 1: the section header does not end with `]`
    ");
}

#[test]
fn the_hook_of_a_profile_of_another_kind_sets_its_name_and_region() {
    let sandbox = project("static");
    sandbox.plant_role_credentials(FAR);
    insta::assert_snapshot!(hook(&sandbox, "app", &[]), @"
    status='active'
    generation='[ID]'
    watch_config='[HOME]/.aws/config'
    segment_head='static'
    unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN AWS_CREDENTIAL_EXPIRATION AWS_SSO_PROFILE AWS_DEFAULT_PROFILE AWS_SECURITY_TOKEN AWS_VAULT AWSUME_PROFILE AWSU_PROFILE AWSUME_EXPIRATION AWS_SESSION_EXPIRATION
    export AWS_PROFILE='static'
    export AWS_REGION='ap-south-1'
    export AWS_DEFAULT_REGION='ap-south-1'
    export AWSDIR='1 [UID] [ID] ap-south-1 static [HOME]/app/.awsprofile'
    ");
}

#[test]
fn the_hook_of_a_profile_without_region_leaves_the_regions_alone() {
    let answer = hook(&project("no-region"), "app", &[]);
    assert!(answer.contains("export AWS_PROFILE='no-region'") && !answer.contains("REGION"), "{answer}");
}

#[test]
fn the_hook_drops_what_an_outer_shell_had_in_force() {
    let mut sandbox = project("read-only");
    sandbox.plant_role_credentials(FAR);
    let environment = in_bash(&sandbox, "app", "env -0");
    for variable in environment.split('\0').filter(|variable| variable.starts_with("AWS")) {
        let (name, value) = variable.split_once('=').unwrap();
        sandbox.set(name, value);
    }
    insta::assert_snapshot!(hook(&sandbox, "", &[]), @"
    status='idle'
    generation='[ID]'
    inherited='AWS_PROFILE AWS_REGION AWS_DEFAULT_REGION AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN AWS_CREDENTIAL_EXPIRATION AWSDIR'
    unset AWS_PROFILE AWS_REGION AWS_DEFAULT_REGION AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN AWS_CREDENTIAL_EXPIRATION AWSDIR
    ");
    let again = hook(&sandbox, "app", &[]);
    assert!(again.contains("export AWS_PROFILE='read-only'") && again.contains("inherited='AWS_PROFILE "), "{again}");
    sandbox.set("AWS_PROFILE", "by-hand");
    insta::assert_snapshot!(hook(&sandbox, "", &[]), @"
    status='idle'
    generation='[ID]'
    inherited='AWSDIR'
    unset AWSDIR
    ");
}

#[test]
fn the_same_news_is_told_once() {
    let sandbox = Sandbox::new();
    sandbox.project("app", "prod-admin");
    let run = |said: &str| {
        let mut command = sandbox.awsdir(["hook", "bash", "--said", said]);
        let output = command.current_dir(sandbox.path("app")).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let id =
            text.lines().find_map(|line| line.strip_prefix("__awsdir_said=")).unwrap().trim_matches('\'').to_owned();
        (id, String::from_utf8(output.stderr).unwrap())
    };
    let (id, told) = run("");
    assert!(told.contains("is not allowed"));
    assert_eq!(run(&id), (id.clone(), String::new()), "the same cause");
    sandbox.project("app", "read-only");
    let (other, told) = run(&id);
    assert!(other != id && told.contains("is not allowed"), "another cause");
    assert!(hook(&sandbox, "app", &["--refreshed"]).lines().all(|line| !line.starts_with("awsdir:")));
    assert!(hook(&sandbox, "app", &["--quiet"]).lines().all(|line| !line.starts_with("awsdir:")));
}

#[test]
fn expiring_role_credentials_are_renewed_in_the_background() {
    let sandbox = project("read-only");
    sandbox.sign_in(|_| {});
    assert!(sandbox.awsdir(["export", "read-only"]).output().unwrap().status.success());
    let in_cache = || sandbox.read_json(ROLE_FILE)["Credentials"]["AccessKeyId"].clone();
    let expiring = || {
        let mut older = sandbox.read_json(ROLE_FILE);
        older["Credentials"]["Expiration"] = from_now(240).into();
        sandbox.write(ROLE_FILE, older.to_string());
    };
    let renewed = || {
        let (before, generation) = (in_cache(), sandbox.read(".local/state/awsdir/generation"));
        sandbox.idc.clear_requests();
        let answer = said(&sandbox, "app", &["hook", "bash"]);
        assert!(answer.contains("AWS_ACCESS_KEY_ID='[KEY ID]'"), "what is in hand is used, and nobody waits");
        assert!(sandbox.idc.wait_for(Operation::GetRoleCredentials, 1, LIMIT));
        eventually("a new generation", || sandbox.read(".local/state/awsdir/generation") != generation);
        assert_ne!(in_cache(), before);
    };
    expiring();
    renewed();
    // However soon they expire again, and however short they are renewed for.
    expiring();
    sandbox.idc.settings(|settings| settings.role_lifetime = Duration::from_mins(10));
    renewed();
    // Only what is granted for so short is not asked for at every prompt.
    sandbox.idc.clear_requests();
    assert!(said(&sandbox, "app", &["hook", "bash"]).contains("AWS_ACCESS_KEY_ID='[KEY ID]'"));
    assert_eq!(sandbox.idc.count(Operation::GetRoleCredentials), 0);
    assert_eq!(sandbox.idc.browser_opens().len(), 1, "that of the sign-in");
}

#[test]
fn who_has_signed_out_is_not_signed_in_again_by_a_hook() {
    let sandbox = project("read-only");
    sandbox.sign_in(|_| {});
    assert!(sandbox.awsdir(["logout", "--session", "corp"]).output().unwrap().status.success());
    let hook = || {
        let mut command = sandbox.awsdir(["hook", "bash"]);
        terminal::run_with_piped_stdout(command.current_dir(sandbox.path("app")))
    };
    let ran = hook();
    assert!(!neutral(&sandbox, &ran.stdout).contains("next="));
    assert_eq!(ran.text(), "awsdir: you signed out of `corp`; run: awsdir login read-only\n");
    // Who signs in again, has changed their mind.
    sandbox.sign_in(|_| {});
    assert!(neutral(&sandbox, &hook().stdout).contains("next='refresh'"));
}

#[test]
fn names_command_no_terminal() {
    let sandbox = Sandbox::new();
    let directory = "x\u{1b}]0;owned\u{7}";
    sandbox.project(directory, "read-only");
    let said = said(&sandbox, directory, &["hook", "bash"]);
    assert!(said.contains(r"x\u{1b}]0;owned\u{7}/.awsprofile` is not allowed"), "{said}");
    assert!(said.contains(r"awsdir allow $'[HOME]/x\033]0;owned\007/.awsprofile'"), "{said}");
    assert!(!said.contains('\u{1b}') && !said.contains('\u{7}'), "{said:?}");
}

#[test]
fn these_commands_never_use_the_network() {
    let sandbox = project("read-only");
    for state in ["nothing", "renewable", "fresh"] {
        match state {
            "renewable" => sandbox.plant_token(PAST, true),
            "fresh" => sandbox.plant_role_credentials(FAR),
            _ => {}
        }
        let lines = [
            "hook bash",
            "hook zsh",
            "hook fish",
            "prompt",
            "prompt zsh",
            "status",
            "status --json",
            "init bash",
            "init fish",
            "deny",
            "allow",
            "pin read-only",
        ];
        for line in lines {
            let mut command = sandbox.awsdir(line.split(' '));
            let ran = terminal::run(command.current_dir(sandbox.path("app")));
            assert!(matches!(ran.status.code(), Some(0 | 4)), "{state}, {line}: {}", ran.text());
            assert!(sandbox.idc.requests().is_empty(), "{state}, {line}");
        }
    }
}

#[test]
fn fresh_role_credentials_need_no_network() {
    let mut sandbox = Sandbox::new();
    sandbox.plant_role_credentials(FAR);
    sandbox.set("AWS_ENDPOINT_URL_SSO", "http://127.0.0.1:1");
    assert!(said(&sandbox, "", &["export", "read-only"]).contains("ASIAPLANTED"));
    assert_eq!(said(&sandbox, "", &["exec", "read-only", "printenv", "AWS_ACCESS_KEY_ID"]), "ASIAPLANTED\n");
}
