//! A day with awsdir: sign-ins, renewals, other roles, a logout. Where its secrets can be seen, by whom, and what is left.

use super::{Session, Shell, Start, TRACE, available, in_each_shell};
use crate::sandbox::{ROLE_FILE, Sandbox, TOKEN_FILE, from_now, may_trace, may_trace_awsdir};
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

in_each_shell! {
    secrets_are_where_they_belong_and_go_with_the_logout,
}

type Secrets = BTreeSet<(&'static str, String)>;

/// The secrets that a text holds, by what they are.
fn seen(secrets: &Secrets, text: &[u8]) -> BTreeSet<&'static str> {
    let holds = |secret: &str| text.windows(secret.len()).any(|window| window == secret.as_bytes());
    secrets.iter().filter(|(_, secret)| holds(secret)).map(|(kind, _)| *kind).collect()
}

/// What is seen in the files of the HOME but the trace, a line for each file.
fn left(sandbox: &Sandbox, secrets: &Secrets) -> Vec<String> {
    let mut lines = Vec::new();
    for path in sandbox.files("") {
        let seen = seen(secrets, &fs::read(&path).unwrap_or_default());
        if seen.is_empty() || path == sandbox.path(TRACE) {
            continue;
        }
        let mode = path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{}", path.display());
        let folder = path.parent().unwrap().strip_prefix(sandbox.home()).unwrap();
        lines.push(format!("{}: {}", folder.display(), seen.into_iter().collect::<Vec<_>>().join(", ")));
    }
    lines.sort();
    lines
}

fn day(session: &mut Session<'_>) -> String {
    let sandbox = session.sandbox;
    let mut shown = String::new();
    let mut run = |session: &mut Session<'_>, line: &str| shown += &session.run(line);
    run(session, "cd app");
    assert!(session.aws().contains("AWS_ACCESS_KEY_ID="));
    run(session, "with-aws -v prod-admin -- true");
    run(session, "awsdir -v status");
    run(session, "awsdir -v login --force");
    run(session, "awsdir -v login --force --device-code");
    sandbox.edit_token(|token| token["expiresAt"] = from_now(-60).into());
    fs::remove_file(sandbox.path(ROLE_FILE)).unwrap();
    run(session, "cd ../prod");
    run(session, "cd ../app");
    assert!(session.aws().contains("AWS_ACCESS_KEY_ID="));
    run(session, "awsdir prompt");
    run(session, "cd ..");
    // The test's own.
    fs::remove_file(sandbox.path("environment")).unwrap();
    shown
}

fn secrets_are_where_they_belong_and_go_with_the_logout(shell: Shell) {
    if !available("strace") || !may_trace() {
        return;
    }
    let sandbox = Sandbox::new();
    sandbox.allowed_project("app", "read-only\n");
    sandbox.allowed_project("prod", "prod-admin\n");
    let options = ["-v", "-s", "100000", "-e", "trace=execve"];
    let mut session = Start::under_strace(shell, &sandbox, &options).open();
    let shown = day(&mut session);
    let screen = session.terminal.screen();
    let secrets = sandbox.secrets();
    let kinds: BTreeSet<_> = secrets.iter().map(|(kind, _)| *kind).collect();
    assert_eq!(kinds.len(), 8, "{kinds:?}");
    assert_eq!(seen(&secrets, shown.as_bytes()), BTreeSet::new());
    // Titles, too.
    assert_eq!(seen(&secrets, screen.as_bytes()), BTreeSet::new());
    let mut expected = vec![
        ".aws/cli/cache: secret access key, session token",
        ".aws/cli/cache: secret access key, session token",
        ".aws/sso/cache: clientSecret",
        ".aws/sso/cache: access token, clientSecret",
    ];
    expected.sort_unstable();
    assert_eq!(left(&sandbox, &secrets), expected);
    if may_trace_awsdir() {
        expect_arguments_and_environments(&sandbox.read(TRACE), &secrets);
    }

    session.run("awsdir logout --all");
    // A shell that ends writes its history.
    session.terminal.send("exit\r");
    session.terminal.wait();
    assert_eq!(left(&sandbox, &secrets), [".aws/sso/cache: clientSecret"]);
    assert!(!sandbox.path(TOKEN_FILE).exists());
}

/// Nothing is in an argument; role credentials are in the environment of what the person starts, and of nothing else.
fn expect_arguments_and_environments(trace: &str, secrets: &Secrets) {
    let (mut browsers, mut renewals, mut commands) = (0, 0, 0);
    for line in trace.lines().filter(|line| line.contains("execve(")) {
        let (arguments, environment) = line.split_once("], [").unwrap_or((line, ""));
        assert_eq!(seen(secrets, arguments.as_bytes()), BTreeSet::new(), "{arguments}");
        let seen = seen(secrets, environment.as_bytes());
        let roles_only = BTreeSet::from(["secret access key", "session token"]);
        assert!(seen.is_subset(&roles_only), "{arguments}: {seen:?}");
        let (browser, renewal) = (arguments.contains("/authorize?"), arguments.contains("\"--detached\""));
        assert!(seen.is_empty() || !browser && !renewal, "{arguments}: {seen:?}");
        browsers += usize::from(browser);
        renewals += usize::from(renewal);
        commands += usize::from(!seen.is_empty());
    }
    assert!(browsers > 0 && renewals > 0 && commands > 0, "{browsers} {renewals} {commands}");
}
