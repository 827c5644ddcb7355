//! Signing in, renewing, signing out: what the person sees, what goes over the wire, what is left behind.

use crate::identity_center::{BrowserBehaviour, Consent, Fault, IdentityCenter, Operation};
use crate::sandbox::{ROLE_FILE, Sandbox, TOKEN_FILE, from_now};
use crate::terminal::{LIMIT, Ran, Terminal, run, run_with_piped_stdout};
use insta::assert_snapshot;
use serde_json::{Value, json};
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// The client registration of `corp`: SHA-1 of the key text of `protocol.md` 2.1.
pub(crate) const REGISTRATION: &str = "c64ea584e9e82e727ba79efc0c6a5258db7d7897.json";

pub(crate) fn sandbox() -> Sandbox {
    let mut sandbox = Sandbox::new();
    sandbox.set("NO_COLOR", "1");
    sandbox
}

/// A sandbox with a session whose access token has expired, and can be renewed.
fn with_stale_token() -> Sandbox {
    let sandbox = sandbox();
    sandbox.sign_in(|token| token["expiresAt"] = from_now(-60).into());
    sandbox
}

fn export(sandbox: &Sandbox, profile: &str) -> Command {
    sandbox.awsdir(["export", profile, "--format", "process"])
}

fn in_directory(mut command: Command, directory: &Path) -> Command {
    command.current_dir(directory);
    command
}

/// Whose credentials `awsdir export` printed: account and permission set.
fn caller(sandbox: &Sandbox, stdout: &[u8]) -> String {
    let document: Value = serde_json::from_slice(stdout).unwrap();
    let identity = sandbox.idc.caller_of(document["AccessKeyId"].as_str().unwrap()).unwrap();
    format!("{} {}", identity.account, identity.role_name)
}

fn expect_export(sandbox: &Sandbox) {
    let ran = run_with_piped_stdout(&mut export(sandbox, "read-only"));
    assert!(ran.status.success(), "{}", ran.text());
    assert_eq!(caller(sandbox, &ran.stdout), "111111111111 ReadOnly");
}

fn code(ran: &Ran) -> Option<i32> {
    ran.status.code()
}

/// The authorize URL on a screen.
fn authorize_url(screen: &str) -> String {
    let url = screen.split_whitespace().find(|word| word.contains("/authorize?"));
    url.unwrap_or_else(|| panic!("no URL in:\n{screen}")).to_owned()
}

/// One parameter of a URL, still percent-encoded.
pub(crate) fn parameter<'a>(url: &'a str, name: &str) -> &'a str {
    let (_, query) = url.split_once('?').unwrap();
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.find(|(key, _)| *key == name).unwrap().1
}

/// A page as a browser gets it, redirects not followed.
pub(crate) fn get(url: &str) -> String {
    let (address, target) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET /{target} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// Where an answer sends the browser.
pub(crate) fn location(answer: &str) -> String {
    answer.lines().find_map(|line| line.strip_prefix("Location: ")).unwrap().to_owned()
}

/// A port of 127.0.0.1 that is free and that the kernel gives to nobody who asks for any.
fn quiet_port() -> (u16, TcpListener) {
    let ports = (20_000..30_000).cycle().skip(std::process::id() as usize % 10_000);
    ports.take(10_000).find_map(|port| Some((port, TcpListener::bind(("127.0.0.1", port)).ok()?))).unwrap()
}

mod signing_in {
    use super::*;

    #[test]
    fn says_what_it_is_for_and_a_second_time_there_is_nothing_to_do() {
        let sandbox = sandbox();
        assert_snapshot!(sandbox.at_terminal(&mut sandbox.awsdir(["login", "read-only"])), @"
        awsdir: signing in to `corp` for profile `read-only` (Ctrl-C to cancel)
        awsdir: approve it in your browser; if no page opens, open this one:
          [ENDPOINT]/authorize?[QUERY]
        awsdir: signed in to `corp` until [TIME] ([LEFT] left, renewed by itself after that)
        ");
        assert_eq!(sandbox.asked(), "RegisterClient, Browser, Authorize, CreateToken(authorization_code)");
        sandbox.idc.clear_requests();
        assert_snapshot!(sandbox.at_terminal(&mut sandbox.awsdir(["login", "read-only"])), @"awsdir: already signed in to `corp` until [TIME] ([LEFT] left, renewed by itself after that)");
        assert_eq!(sandbox.asked(), "");
        assert_eq!(sandbox.idc.browser_opens().len(), 1);
    }

    #[test]
    fn on_behalf_of_a_directory_names_the_dotfile() {
        for arguments in [&["login"][..], &["export"], &["refresh"]] {
            let sandbox = sandbox();
            let work = sandbox.allowed_project("work", "read-only");
            let said = sandbox.at_terminal(&mut in_directory(sandbox.awsdir(arguments), &work));
            let first = said.lines().next().unwrap();
            let expected = "awsdir: signing in to `corp` for profile `read-only`, \
                            as `[HOME]/work/.awsprofile` asks (Ctrl-C to cancel)";
            assert_eq!(first, expected, "{arguments:?}");
        }
    }

    #[test]
    fn uses_its_client_registration_again_and_force_signs_in_anew() {
        let sandbox = sandbox();
        sandbox.sign_in(|_| {});
        let before = sandbox.read_json(TOKEN_FILE);
        assert_snapshot!(sandbox.at_terminal(&mut sandbox.awsdir(["login", "--session", "corp", "--force"])), @"
        awsdir: signing in to `corp` (Ctrl-C to cancel)
        awsdir: approve it in your browser; if no page opens, open this one:
          [ENDPOINT]/authorize?[QUERY]
        awsdir: signed in to `corp` until [TIME] ([LEFT] left, renewed by itself after that)
        ");
        assert_eq!(sandbox.asked(), "Browser, Authorize, CreateToken(authorization_code)");
        let after = sandbox.read_json(TOKEN_FILE);
        assert_ne!(after["accessToken"], before["accessToken"]);
        assert_eq!(after["clientId"], before["clientId"]);
    }

    #[test]
    fn stray_requests_and_second_clicks_do_no_harm_and_the_browser_shows_success() {
        for (behaviour, pages) in [(BrowserBehaviour::StrayRequestsFirst, 1), (BrowserBehaviour::ClickTwice, 2)] {
            let sandbox = sandbox();
            sandbox.idc.settings(|settings| {
                settings.browser = behaviour;
                settings.consent = Consent::Page;
            });
            let ran = run(&mut sandbox.awsdir(["login", "read-only"]));
            assert_eq!(code(&ran), Some(0), "{behaviour:?}: {}", ran.text());
            assert!(sandbox.idc.wait_for_pages(pages, LIMIT));
            let page = sandbox.idc.pages().swap_remove(0);
            assert_eq!(page.status, Some(200), "{behaviour:?}");
            assert!(page.body.contains("<h1>Signed in</h1>"), "{behaviour:?}: {}", page.body);
            assert_eq!(sandbox.idc.count(Operation::CreateToken), 1, "{behaviour:?}");
        }
    }

    #[test]
    fn without_a_browser_of_ours_the_page_is_printed_and_nothing_is_opened() {
        let sandbox = sandbox();
        let mut terminal = Terminal::spawn(&mut sandbox.awsdir(["login", "read-only", "--no-browser"]));
        let screen = terminal.wait_for("\r\n") + &terminal.wait_for(":\r\n") + &terminal.wait_for("\r\n");
        assert_snapshot!(sandbox.scrubbed(&screen), @"
        awsdir: signing in to `corp` for profile `read-only` (Ctrl-C to cancel)
        awsdir: open this page in a browser on this machine and approve it:
          [ENDPOINT]/authorize?[QUERY]
        ");
        assert!(get(&location(&get(&authorize_url(&screen)))).contains("<h1>Signed in</h1>"));
        let ran = terminal.wait();
        assert_eq!(code(&ran), Some(0), "{}", ran.text());
        assert_eq!(sandbox.idc.browser_opens(), [""; 0]);
    }

    #[test]
    fn without_the_service_opens_nothing_and_names_the_endpoint() {
        let mut sandbox = sandbox();
        sandbox.cut_off();
        assert_snapshot!(sandbox.at_terminal(&mut sandbox.awsdir(["login", "read-only"])), @"
        awsdir: signing in to `corp` for profile `read-only` (Ctrl-C to cancel)
        awsdir: could not reach `http://127.0.0.1:1`
        caused by: Connection refused (os error [ERRNO])
        -- exit status: 5 --
        ");
        assert_eq!(sandbox.idc.browser_opens(), [""; 0]);
    }

    #[test]
    fn tells_no_secret_however_much_is_said() {
        let sandbox = sandbox();
        let mut said = String::new();
        let mut verbose = |arguments: &[&str]| said += &run(sandbox.awsdir(["--verbose"]).args(arguments)).text();
        verbose(&["login", "read-only"]);
        sandbox.idc.revoke_access_tokens();
        verbose(&["exec", "read-only", "--", "true"]);
        sandbox.idc.revoke_access_tokens();
        sandbox.idc.revoke_sessions();
        verbose(&["exec", "prod-admin", "--", "true"]);
        verbose(&["login", "legacy"]);
        verbose(&["logout", "--all"]);

        let requests = sandbox.idc.requests();
        let names = ["clientSecret", "code", "codeVerifier", "deviceCode", "refreshToken"];
        let sent = requests.iter().flat_map(|request| names.map(|name| request.field(name).to_owned()));
        let tokens = requests.iter().map(|request| request.header("x-amz-sso_bearer_token").to_owned());
        let issued = sandbox.idc.issued_credentials().into_iter();
        let issued = issued.flat_map(|issued| [issued.secret_access_key, issued.session_token]);
        let secrets: Vec<_> = sent.chain(tokens).chain(issued).filter(|secret| !secret.is_empty()).collect();
        assert!(secrets.len() > 20, "{secrets:?}");
        for secret in secrets {
            assert!(!said.contains(&secret), "{secret} in:\n{said}");
        }
    }

    #[test]
    fn a_browser_that_cannot_be_started_leaves_the_page_to_the_person() {
        let mut sandbox = sandbox();
        sandbox.set("BROWSER", "no-such-browser");
        let said = sandbox.at_terminal(&mut sandbox.awsdir(["login", "read-only", "--timeout", "5"]));
        assert!(said.contains("open this page in a browser on this machine"), "{said}");
    }

    #[test]
    fn a_port_of_ones_own_is_the_one_that_is_listened_on() {
        let sandbox = sandbox();
        let (port, taken) = quiet_port();
        let port = port.to_string();
        let login = ["login", "read-only", "--port", &port];
        let said = sandbox.at_terminal(&mut sandbox.awsdir(login));
        assert_snapshot!(said.replace(&port, "[PORT]"), @"
        awsdir: signing in to `corp` for profile `read-only` (Ctrl-C to cancel)
        awsdir: could not listen on `127.0.0.1:[PORT]` for the browser
        caused by: Address already in use (os error [ERRNO])
        -- exit status: 1 --
        ");
        assert_eq!(sandbox.idc.browser_opens(), [""; 0]);

        drop(taken);
        let ran = run(&mut sandbox.awsdir(login));
        assert_eq!(code(&ran), Some(0), "{}", ran.text());
        let redirect_uri = format!("http%3A%2F%2F127.0.0.1%3A{port}%2Foauth%2Fcallback");
        assert_eq!(parameter(&sandbox.idc.browser_opens()[0], "redirect_uri"), redirect_uri);
    }
}

mod device_code {
    use super::*;

    /// Waits for the code on the screen.
    fn code_shown(terminal: &mut Terminal) -> String {
        terminal.wait_for("?user_code=");
        terminal.wait_for("\r\n").trim_end().to_owned()
    }

    #[test]
    fn is_used_where_no_redirect_can_reach_us() {
        type Case = (&'static str, &'static [&'static str], &'static [(&'static str, &'static str)], usize);
        let table: [Case; 5] = [
            ("asked for", &["login", "read-only", "--device-code"], &[], 1),
            ("asked for, no browser", &["login", "read-only", "--device-code", "--no-browser"], &[], 0),
            ("over SSH", &["login", "read-only"], &[("SSH_CONNECTION", "192.0.2.1 1 192.0.2.2 22")], 1),
            ("no browser, no display", &["login", "read-only"], &[("BROWSER", "")], 0),
            ("legacy profile", &["login", "legacy"], &[], 1),
        ];
        for (case, arguments, variables, opens) in table {
            let mut sandbox = sandbox();
            for (name, value) in variables {
                sandbox.set(name, value);
            }
            let mut terminal = Terminal::spawn(&mut sandbox.awsdir(arguments));
            let user_code = code_shown(&mut terminal);
            if opens == 0 {
                assert!(sandbox.idc.approve_device(&user_code), "{case}");
            }
            let ran = terminal.wait();
            assert_eq!(code(&ran), Some(0), "{case}: {}", ran.text());
            let opened = sandbox.idc.browser_opens();
            assert_eq!(opened.len(), opens, "{case}");
            assert!(
                opened.iter().all(|url| url.ends_with(&format!("/device?user_code={user_code}"))),
                "{case}: {opened:?}"
            );
            assert_eq!(sandbox.idc.count(Operation::Authorize), 0, "{case}");
        }
    }

    #[test]
    fn says_where_to_go_and_which_code_to_confirm() {
        let sandbox = sandbox();
        assert_snapshot!(sandbox.at_terminal(&mut sandbox.awsdir(["login", "read-only", "--device-code"])), @"
        awsdir: signing in to `corp` for profile `read-only` (Ctrl-C to cancel)
        awsdir: open [ENDPOINT]/device on any device and confirm the code [CODE]
          or straight: [ENDPOINT]/device?[CODE]
        awsdir: signed in to `corp` until [TIME] ([LEFT] left, renewed by itself after that)
        ");
    }

    #[test]
    fn is_used_where_the_settings_say_so() {
        let sandbox = sandbox();
        sandbox.write(".config/awsdir/config", "[session corp]\nflow = device\n");
        let ran = run(&mut sandbox.awsdir(["login", "read-only"]));
        assert_eq!(code(&ran), Some(0), "{}", ran.text());
        assert!(sandbox.asked().starts_with("RegisterClient, StartDeviceAuthorization, "), "{}", sandbox.asked());
    }

    #[test]
    fn polls_at_the_interval_while_pending_and_slower_when_told() {
        let sandbox = sandbox();
        let slow_down = Fault::Status {
            code: 400,
            headers: vec![("x-amzn-ErrorType".into(), "SlowDownException".into())],
            body: json!({ "error": "slow_down", "error_description": null }).to_string(),
        };
        sandbox.idc.inject(Operation::CreateToken, Fault::Delay(Duration::ZERO), 1);
        sandbox.idc.inject(Operation::CreateToken, slow_down, 1);
        let mut terminal =
            Terminal::spawn(&mut sandbox.awsdir(["login", "read-only", "--device-code", "--no-browser"]));
        let user_code = code_shown(&mut terminal);
        assert!(sandbox.idc.wait_for(Operation::CreateToken, 2, LIMIT));
        sandbox.idc.approve_device(&user_code);
        let ran = terminal.wait();
        assert_eq!(code(&ran), Some(0), "{}", ran.text());
        let polls: Vec<_> =
            sandbox.idc.requests().into_iter().filter(|r| r.operation == Operation::CreateToken).collect();
        let statuses: Vec<_> = polls.iter().map(|poll| poll.status.unwrap()).collect();
        assert_eq!(statuses, [400, 400, 200]);
        let gap = |i: usize| polls[i + 1].at.duration_since(polls[i].at).unwrap();
        // The interval is 1 s; being told to slow down adds 5 s (RFC 8628 section 3.5).
        assert!(gap(0) >= Duration::from_secs(1), "{:?}", gap(0));
        assert!(gap(1) >= Duration::from_secs(6), "{:?}", gap(1));
    }

    #[test]
    fn that_runs_out_is_exit_4() {
        let sandbox = sandbox();
        sandbox.idc.settings(|settings| settings.device_lifetime = Duration::from_secs(1));
        let said = sandbox.at_terminal(&mut sandbox.awsdir(["login", "read-only", "--device-code", "--no-browser"]));
        assert_snapshot!(said, @"
        awsdir: signing in to `corp` for profile `read-only` (Ctrl-C to cancel)
        awsdir: open [ENDPOINT]/device on any device and confirm the code [CODE]
          or straight: [ENDPOINT]/device?[CODE]
        awsdir: the sign-in to `corp` was not confirmed before its code ran out
        hint: awsdir login --session corp
        -- exit status: 4 --
        ");
    }
}

mod refusing {
    use super::*;

    #[test]
    fn in_the_browser_is_exit_4_with_either_flow() {
        for flag in [None, Some("--device-code")] {
            let sandbox = sandbox();
            sandbox.idc.settings(|settings| settings.consent = Consent::Deny);
            let said = sandbox.at_terminal(sandbox.awsdir(["login", "read-only"]).args(flag));
            let end = "]\nawsdir: the sign-in to `corp` was denied in the browser\n\
                       hint: awsdir login --session corp\n-- exit status: 4 --\n";
            assert!(said.ends_with(end), "{said}");
            assert!(!sandbox.path(TOKEN_FILE).exists());
            assert!(sandbox.idc.wait_for_pages(1, LIMIT));
            let page = &sandbox.idc.pages()[0];
            assert!(page.body.contains("Not signed in") || page.body.contains("Request denied"), "{}", page.body);
        }
    }

    #[test]
    fn for_another_reason_shows_that_reason() {
        let sandbox = sandbox();
        let mut terminal = Terminal::spawn(&mut sandbox.awsdir(["login", "read-only", "--no-browser"]));
        let url = authorize_url(&(terminal.wait_for("/authorize?") + &terminal.wait_for("\r\n")));
        let (callback, state) = (parameter(&url, "redirect_uri"), parameter(&url, "state"));
        let callback = callback.replace("%3A", ":").replace("%2F", "/");
        get(&format!("{callback}?error=invalid_scope&error_description=not%20registered&state={state}"));
        let ran = terminal.wait();
        assert_eq!(code(&ran), Some(4), "{}", ran.text());
        assert!(ran.text().contains("invalid_scope: not registered"), "{}", ran.text());
    }

    #[test]
    fn by_not_coming_back_is_exit_4_when_the_time_is_up() {
        let sandbox = sandbox();
        sandbox.idc.settings(|settings| settings.consent = Consent::Ignore);
        assert_snapshot!(sandbox.at_terminal(&mut sandbox.awsdir(["login", "read-only", "--timeout", "5"])), @"
        awsdir: signing in to `corp` for profile `read-only` (Ctrl-C to cancel)
        awsdir: approve it in your browser; if no page opens, open this one:
          [ENDPOINT]/authorize?[QUERY]
        awsdir: nobody finished the sign-in to `corp` within 5 s
        hint: awsdir login --session corp
        -- exit status: 4 --
        ");
    }

    #[test]
    fn by_ctrl_c_is_exit_130_and_leaves_nothing_half_written() {
        let sandbox = sandbox();
        sandbox.idc.settings(|settings| settings.browser = BrowserBehaviour::Nothing);
        let mut terminal = Terminal::spawn(&mut sandbox.awsdir(["login", "read-only"]));
        terminal.wait_for("/authorize?");
        terminal.send("\x03");
        let ran = terminal.wait();
        assert_eq!(code(&ran), Some(130), "{}", ran.text());
        assert!(ran.text().ends_with("awsdir: interrupted\n"), "{}", ran.text());
        assert_eq!(sandbox.names(".aws/sso/cache"), [REGISTRATION]);
        assert_eq!(sandbox.names(".aws/cli/cache"), [""; 0]);
    }

    #[test]
    fn leaves_the_token_that_was_to_be_replaced() {
        let sandbox = sandbox();
        sandbox.sign_in(|_| {});
        let before = sandbox.read(TOKEN_FILE);
        sandbox.idc.settings(|settings| settings.consent = Consent::Deny);
        let ran = run(&mut sandbox.awsdir(["login", "read-only", "--force"]));
        assert_eq!(code(&ran), Some(4), "{}", ran.text());
        assert_eq!(sandbox.read(TOKEN_FILE), before);
    }

    #[test]
    fn ctrl_c_still_works_after_the_sign_in() {
        let sandbox = sandbox();
        sandbox.idc.inject(Operation::GetRoleCredentials, Fault::Hang, 1);
        let mut terminal = Terminal::spawn(&mut sandbox.awsdir(["export", "read-only"]));
        assert!(sandbox.idc.wait_for(Operation::GetRoleCredentials, 1, LIMIT));
        let before = Instant::now();
        terminal.send("\x03");
        let ran = terminal.wait();
        assert_eq!(code(&ran), Some(130), "{}", ran.text());
        assert!(before.elapsed() < Duration::from_secs(10), "{:?}", before.elapsed());
    }
}

mod without_a_person {
    use super::*;

    fn sign_in_needed(why: &str) -> String {
        format!(
            "awsdir: sign-in needed: the session `corp` of profile `read-only` is stale ({why})\n\
             hint: awsdir login read-only\n-- exit status: 4 --\n"
        )
    }

    #[test]
    fn nothing_is_opened_nothing_is_asked_and_exit_4_names_the_command() {
        let sandbox = sandbox();
        let asks_nobody = "credential-process asks nobody";
        for (verb, why) in [("login", "no terminal"), ("export", "no terminal"), ("credential-process", asks_nobody)] {
            let said = sandbox.transcript(&mut sandbox.awsdir([verb, "read-only"]));
            assert_eq!(said, format!("-- stderr --\n{}", sign_in_needed(why)), "{verb}");
        }
        assert_eq!(sandbox.asked(), "");
        assert_eq!(sandbox.idc.browser_opens(), [""; 0]);
    }

    #[test]
    fn a_terminal_that_a_machine_uses_is_no_person() {
        let variables = [("CI", "true"), ("CLAUDECODE", "1"), ("VSCODE_RESOLVING_ENVIRONMENT", "1")];
        for (name, value) in variables {
            let mut sandbox = sandbox();
            sandbox.set(name, value);
            let said = sandbox.at_terminal(&mut sandbox.awsdir(["export", "read-only"]));
            assert_eq!(said, sign_in_needed(&format!("`{name}` is set")), "{name}={value}");
            assert_eq!(sandbox.asked(), "", "{name}={value}");
        }
    }

    #[test]
    fn a_person_may_have_a_dumb_terminal() {
        let mut sandbox = sandbox();
        sandbox.set("TERM", "dumb");
        let ran = run_with_piped_stdout(&mut export(&sandbox, "read-only"));
        assert_eq!((code(&ran), sandbox.idc.browser_opens().len()), (Some(0), 1), "{}", ran.text());
    }

    #[test]
    fn a_setting_can_forbid_sign_ins() {
        let sandbox = sandbox();
        sandbox.write(".config/awsdir/config", "[awsdir]\nlogin = never\n");
        assert_eq!(
            sandbox.at_terminal(&mut sandbox.awsdir(["export", "read-only"])),
            sign_in_needed("`login = never`")
        );
        assert_eq!(sandbox.asked(), "");
    }

    #[test]
    fn credential_process_asks_nobody_even_at_a_terminal() {
        let sandbox = sandbox();
        let ran = run_with_piped_stdout(&mut sandbox.awsdir(["credential-process", "read-only"]));
        assert_eq!((code(&ran), sandbox.asked().as_str()), (Some(4), ""), "{}", ran.text());
    }

    #[test]
    fn a_refresh_token_will_do() {
        let sandbox = with_stale_token();
        let output = export(&sandbox, "read-only").output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        assert_eq!(caller(&sandbox, &output.stdout), "111111111111 ReadOnly");
        assert_eq!(sandbox.asked(), "CreateToken(refresh_token), GetRoleCredentials");
    }
}

mod renewing {
    use super::*;

    #[test]
    fn gives_up_where_the_service_wants_to_be_left_alone_for_ever() {
        let sandbox = with_stale_token();
        let retry_after = Some(u64::MAX);
        sandbox.idc.inject(Operation::GetRoleCredentials, Fault::Throttle { retry_after }, 1);
        let output = export(&sandbox, "read-only").output().unwrap();
        assert_eq!(output.status.code(), Some(5), "{output:?}");
        assert!(String::from_utf8_lossy(&output.stderr).starts_with("awsdir: AWS is throttling GetRoleCredentials\n"));
    }

    #[test]
    fn is_silent_by_refresh_token_before_any_browser() {
        let sandbox = with_stale_token();
        let ran = run_with_piped_stdout(&mut export(&sandbox, "read-only"));
        assert_eq!((code(&ran), ran.text().as_str()), (Some(0), ""));
        assert_eq!(caller(&sandbox, &ran.stdout), "111111111111 ReadOnly");
        assert_eq!(sandbox.asked(), "CreateToken(refresh_token), GetRoleCredentials");
        // And then what is in the caches will do.
        sandbox.idc.clear_requests();
        expect_export(&sandbox);
        assert_eq!(sandbox.asked(), "");
    }

    #[test]
    fn of_an_ended_session_is_one_sign_in() {
        let sandbox = with_stale_token();
        sandbox.idc.revoke_sessions();
        expect_export(&sandbox);
        assert_eq!(
            sandbox.asked(),
            "CreateToken(refresh_token) 400, Browser, Authorize, CreateToken(authorization_code), GetRoleCredentials"
        );
    }

    #[test]
    fn a_token_that_the_portal_refuses_is_renewed_once_whatever_its_expiry_says() {
        let sandbox = sandbox();
        sandbox.sign_in(|_| {});
        sandbox.idc.revoke_access_tokens();
        expect_export(&sandbox);
        assert_eq!(sandbox.asked(), "GetRoleCredentials 401, CreateToken(refresh_token), GetRoleCredentials");
    }

    #[test]
    fn what_is_refused_altogether_is_signed_in_for_once() {
        let sandbox = sandbox();
        sandbox.sign_in(|_| {});
        sandbox.idc.revoke_access_tokens();
        sandbox.idc.revoke_sessions();
        expect_export(&sandbox);
        assert_eq!(
            sandbox.asked(),
            "GetRoleCredentials 401, CreateToken(refresh_token) 400, Browser, Authorize, \
             CreateToken(authorization_code), GetRoleCredentials"
        );
    }

    #[test]
    fn a_portal_that_refuses_every_token_gets_one_renewal_and_one_sign_in_and_no_more() {
        let sandbox = sandbox();
        sandbox.sign_in(|_| {});
        let refusal = Fault::Status {
            code: 401,
            headers: vec![("x-amzn-ErrorType".into(), "UnauthorizedException".into())],
            body: json!({ "message": "Session token not found or invalid" }).to_string(),
        };
        sandbox.idc.inject(Operation::GetRoleCredentials, refusal, 99);
        let said = sandbox.at_terminal(&mut export(&sandbox, "read-only"));
        assert_eq!(
            sandbox.asked(),
            "GetRoleCredentials 401, CreateToken(refresh_token), GetRoleCredentials 401, Browser, Authorize, \
             CreateToken(authorization_code), GetRoleCredentials 401"
        );
        let (_, end) = said.split_once("[QUERY]\n").unwrap();
        assert_snapshot!(end, @"
        awsdir: sign-in needed: the session `corp` of profile `read-only` is stale (AWS does not accept the new access token)
        hint: awsdir login read-only
        -- exit status: 4 --
        ");
    }

    #[test]
    fn with_a_forgotten_client_registration_makes_a_new_one_and_signs_in() {
        let sandbox = with_stale_token();
        sandbox.idc.drop_registrations();
        let ran = run(&mut sandbox.awsdir(["login", "read-only", "--timeout", "20"]));
        assert_eq!(code(&ran), Some(0), "{}", ran.text());
        assert_eq!(
            sandbox.asked(),
            "CreateToken(refresh_token) 401, RegisterClient, Browser, Authorize, CreateToken(authorization_code)"
        );
    }

    #[test]
    fn a_permission_set_that_is_not_assigned_is_exit_4_and_no_sign_in() {
        let sandbox = sandbox();
        sandbox.sign_in(|_| {});
        sandbox.idc.unassign("222222222222", "Admin");
        assert_snapshot!(sandbox.at_terminal(&mut export(&sandbox, "prod-admin")), @"
        awsdir: permission set `Admin` in account 222222222222 is not granted to you (No access)
        -- exit status: 4 --
        ");
        assert_eq!(sandbox.asked(), "GetRoleCredentials 403");
    }

    #[test]
    fn keeps_to_retry_after_when_throttled() {
        let sandbox = sandbox();
        sandbox.sign_in(|_| {});
        sandbox.idc.inject(Operation::GetRoleCredentials, Fault::Throttle { retry_after: Some(1) }, 1);
        expect_export(&sandbox);
        assert_eq!(sandbox.asked(), "GetRoleCredentials 429, GetRoleCredentials");
        let at: Vec<_> = sandbox.idc.requests().iter().map(|request| request.at).collect();
        let gap = at[1].duration_since(at[0]).unwrap();
        assert!(gap >= Duration::from_secs(1), "{gap:?}");
    }

    #[test]
    fn a_throttled_refresh_token_is_not_spent_and_is_sent_again() {
        let sandbox = with_stale_token();
        sandbox.idc.inject(Operation::CreateToken, Fault::Throttle { retry_after: Some(1) }, 1);
        expect_export(&sandbox);
        assert_eq!(sandbox.asked(), "CreateToken(refresh_token) 429, CreateToken(refresh_token), GetRoleCredentials");
    }

    #[test]
    fn throttled_for_good_is_exit_5_in_time_and_never_a_sign_in() {
        // Without a hint from the service: a few tries. With one beyond our limit: none.
        for (retry_after, asked) in [(None, 2..10), (Some(3600), 1..2)] {
            let sandbox = sandbox();
            sandbox.sign_in(|_| {});
            sandbox.idc.inject(Operation::GetRoleCredentials, Fault::Throttle { retry_after }, 99);
            let before = Instant::now();
            let said = sandbox.at_terminal(&mut export(&sandbox, "read-only"));
            assert_eq!(said, "awsdir: AWS is throttling GetRoleCredentials\n-- exit status: 5 --\n");
            assert!(before.elapsed() < Duration::from_secs(30), "{:?}", before.elapsed());
            assert!(asked.contains(&sandbox.idc.count(Operation::GetRoleCredentials)), "{}", sandbox.asked());
            assert_eq!(sandbox.idc.browser_opens().len(), 1, "the one before");
        }
    }

    #[test]
    fn without_the_service_makes_do_with_unexpired_role_credentials() {
        let mut sandbox = sandbox();
        sandbox.get_role(|role| role["Credentials"]["Expiration"] = from_now(5 * 60).into());
        let in_hand = sandbox.read_json(ROLE_FILE);
        sandbox.cut_off();
        let ran = run_with_piped_stdout(&mut export(&sandbox, "read-only"));
        assert_eq!((code(&ran), ran.text().as_str()), (Some(0), ""));
        let printed: Value = serde_json::from_slice(&ran.stdout).unwrap();
        assert_eq!(printed["AccessKeyId"], in_hand["Credentials"]["AccessKeyId"]);
    }

    #[test]
    fn is_left_alone_while_role_credentials_last_if_it_would_need_a_sign_in() {
        let sandbox = sandbox();
        sandbox.get_role(|role| role["Credentials"]["Expiration"] = from_now(5 * 60).into());
        sandbox.edit_token(|token| {
            token["expiresAt"] = from_now(-1).into();
            token.as_object_mut().unwrap().remove("refreshToken");
        });
        expect_export(&sandbox);
        assert_eq!(sandbox.asked(), "");
    }

    #[test]
    fn without_the_service_and_with_nothing_in_hand_is_exit_5_and_names_the_endpoint() {
        let mut sandbox = sandbox();
        sandbox.get_role(|role| role["Credentials"]["Expiration"] = from_now(-1).into());
        sandbox.cut_off();
        assert_snapshot!(sandbox.at_terminal(&mut export(&sandbox, "read-only")), @"
        awsdir: could not reach `http://127.0.0.1:1`
        caused by: Connection refused (os error [ERRNO])
        -- exit status: 5 --
        ");
    }

    #[test]
    fn failures_of_the_service_are_exit_5_and_name_operation_and_request() {
        let failed = "awsdir: GetRoleCredentials failed:";
        let id = "(request id [ID])";
        let no_answer = "awsdir: `[ENDPOINT]` did not answer GetRoleCredentials\ncaused by:";
        let table = [
            (Fault::ServerError, format!("{failed} InternalServer: something broke {id}")),
            (Fault::HtmlBadGateway, format!("{failed} HTTP 502 {id}")),
            (Fault::InvalidJson, format!("{failed} the answer could not be read {id}")),
            (Fault::Truncated, format!("{failed} the answer could not be read {id}")),
            (Fault::Empty200, format!("{failed} the answer has no `roleCredentials` {id}")),
            (Fault::UnknownError("OddException".into()), format!("{failed} Odd: nobody has heard of this {id}")),
            (
                Fault::ServeExpired,
                format!("{failed} the role credentials had expired on arrival ([TIME]); is the clock right?"),
            ),
            (Fault::Reset, format!("{no_answer} Connection reset by peer (os error [ERRNO])")),
            (Fault::CloseAfterActing, format!("{no_answer} connection closed before message completed")),
        ];
        for (fault, expected) in table {
            let sandbox = sandbox();
            sandbox.sign_in(|_| {});
            sandbox.idc.inject(Operation::GetRoleCredentials, fault.clone(), 99);
            let said = sandbox.at_terminal(&mut export(&sandbox, "read-only"));
            assert_eq!(said, format!("{expected}\n-- exit status: 5 --\n"), "{fault:?}");
            assert_eq!(sandbox.idc.browser_opens().len(), 1, "{fault:?}: the one before");
        }
    }
}

mod signing_out {
    use super::*;

    /// Another session with its token and role credentials, and files of other programs, beside those of `corp`.
    fn crowded() -> Sandbox {
        let sandbox = sandbox();
        sandbox.get_role(|_| {});
        let other = run(&mut sandbox.awsdir(["export", "legacy"]));
        assert!(other.status.success(), "{}", other.text());
        sandbox.write(".aws/cli/cache/session.db", "SQLite format 3\0");
        sandbox.write(".aws/cli/cache/0000.json", r#"{"Credentials": {"AccessKeyId": "ASIAOTHER"}}"#);
        sandbox.write(".aws/sso/cache/foreign.json", r#"{"accessToken": "not ours"}"#);
        sandbox.idc.clear_requests();
        sandbox
    }

    fn files(sandbox: &Sandbox) -> Vec<String> {
        [".aws/sso/cache", ".aws/cli/cache"].iter().flat_map(|folder| sandbox.names(folder)).collect()
    }

    #[test]
    fn ends_that_session_at_aws_and_removes_what_came_from_it_and_nothing_else() {
        let sandbox = crowded();
        let before = files(&sandbox);
        assert_snapshot!(sandbox.at_terminal(&mut sandbox.awsdir(["logout", "--session", "corp"])), @"awsdir: signed out of `corp`");
        assert_eq!(sandbox.asked(), "Logout");
        let gone: Vec<_> = [TOKEN_FILE, ROLE_FILE].map(|path| path.rsplit_once('/').unwrap().1.to_owned()).into();
        let kept: Vec<_> = before.into_iter().filter(|name| !gone.contains(name)).collect();
        assert_eq!(files(&sandbox), kept);

        sandbox.idc.clear_requests();
        assert_snapshot!(sandbox.at_terminal(&mut sandbox.awsdir(["logout", "--session", "corp"])), @"awsdir: was not signed in to `corp`");
        assert_eq!(sandbox.asked(), "");
    }

    #[test]
    fn of_all_sessions_leaves_the_files_of_others() {
        let sandbox = crowded();
        assert_snapshot!(sandbox.at_terminal(&mut sandbox.awsdir(["logout", "--all"])), @"
        awsdir: signed out of `corp`
        awsdir: signed out of `https://awsdir-sandbox.awsapps.com/start`
        ");
        assert_eq!(sandbox.asked(), "Logout, Logout");
        assert_eq!(sandbox.names(".aws/cli/cache"), ["0000.json", "session.db"]);
        assert!(sandbox.path(".aws/sso/cache/foreign.json").exists());
        assert!(!sandbox.path(TOKEN_FILE).exists());
    }

    #[test]
    fn without_the_service_still_removes_what_is_here_and_says_so() {
        let mut sandbox = crowded();
        sandbox.cut_off();
        assert_snapshot!(sandbox.at_terminal(&mut sandbox.awsdir(["logout", "--session", "corp"])), @"
        awsdir: removed the session `corp` here; AWS could not be told
        awsdir: could not reach `http://127.0.0.1:1`
        caused by: Connection refused (os error [ERRNO])
        -- exit status: 5 --
        ");
        assert!(!sandbox.path(TOKEN_FILE).exists() && !sandbox.path(ROLE_FILE).exists());
    }

    #[test]
    fn with_a_dead_token_is_no_failure() {
        let sandbox = crowded();
        sandbox.idc.revoke_access_tokens();
        assert_snapshot!(sandbox.at_terminal(&mut sandbox.awsdir(["logout", "--session", "corp"])), @"awsdir: signed out of `corp`");
        assert_eq!(sandbox.asked(), "Logout 401");
    }
}

/// `awsdir refresh` and `awsdir hook`, as a shell's hook runs them.
mod under_a_hook {
    use super::*;

    fn refresh(sandbox: &Sandbox, directory: &Path) -> Command {
        in_directory(sandbox.awsdir(["refresh"]), directory)
    }

    /// What a hook tells the person and its shell: the news, and the variables.
    fn hook(sandbox: &Sandbox, directory: &Path, said: &str) -> (String, impl Fn(&str) -> String) {
        let mut hook = in_directory(sandbox.awsdir(["hook", "bash", "--said", said]), directory);
        let ran = run_with_piped_stdout(&mut hook);
        assert_eq!(code(&ran), Some(0), "{}", ran.text());
        let (news, script) = (ran.text(), String::from_utf8(ran.stdout).unwrap());
        let variable = move |name: &str| {
            let value = script.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
            value.unwrap_or_else(|| panic!("no {name} in {script}")).trim_matches('\'').to_owned()
        };
        (news, variable)
    }

    /// A hook with these news, which it tells once, and which starts no refresh.
    fn expect_news(sandbox: &Sandbox, directory: &Path, expected: &str) {
        let (news, variable) = hook(sandbox, directory, "");
        assert_eq!(sandbox.scrubbed(&news), expected.to_owned() + "\n");
        assert_eq!(variable("__awsdir_next"), "");
        let (again, _) = hook(sandbox, directory, &variable("__awsdir_said"));
        assert_eq!(again, "");
    }

    fn expect_refresh(sandbox: &Sandbox, directory: &Path) {
        let (news, variable) = hook(sandbox, directory, "");
        assert_eq!((news.as_str(), variable("__awsdir_next").as_str()), ("", "refresh"));
    }

    #[test]
    fn a_stale_session_is_signed_in_to() {
        let sandbox = sandbox();
        let work = sandbox.allowed_project("work", "read-only");
        expect_refresh(&sandbox, &work);
        assert_snapshot!(sandbox.at_terminal(&mut refresh(&sandbox, &work)), @"
        awsdir: signing in to `corp` for profile `read-only`, as `[HOME]/work/.awsprofile` asks (Ctrl-C to cancel)
        awsdir: approve it in your browser; if no page opens, open this one:
          [ENDPOINT]/authorize?[QUERY]
        ");
        let (news, variable) = hook(&sandbox, &work, "");
        assert_eq!((news.as_str(), variable("__awsdir_status").as_str()), ("", "active"));
        let key_id = variable("AWS_ACCESS_KEY_ID");
        let key_id = key_id.split('\'').next().unwrap();
        assert!(sandbox.idc.caller_of(key_id).is_some(), "{key_id}");
    }

    #[test]
    fn a_sign_in_that_was_turned_down_is_not_offered_for_ten_minutes_and_login_clears_that() {
        for by_ctrl_c in [false, true] {
            let sandbox = sandbox();
            let work = sandbox.allowed_project("work", "read-only");
            sandbox.idc.settings(|settings| {
                settings.consent = if by_ctrl_c { Consent::Ignore } else { Consent::Deny };
            });
            let mut terminal = Terminal::spawn(&mut refresh(&sandbox, &work));
            if by_ctrl_c {
                assert!(sandbox.idc.wait_for(Operation::Authorize, 1, LIMIT));
                terminal.send("\x03");
            }
            let ran = terminal.wait();
            // Ending as by the signal itself, it ends what the shell was about to do too.
            let (exit, news) = match by_ctrl_c {
                true => {
                    ("signal: 2 (SIGINT)", "awsdir: the sign-in to `corp` was cancelled; run: awsdir login read-only")
                }
                false => (
                    "exit status: 4",
                    "awsdir: the sign-in to `corp` was denied in the browser; run: awsdir login read-only",
                ),
            };
            assert_eq!(ran.status.to_string(), exit, "{}", ran.text());
            sandbox.idc.clear_requests();

            expect_news(&sandbox, &work, news);
            assert_eq!(sandbox.at_terminal(&mut refresh(&sandbox, &work)), "");
            assert_eq!(sandbox.asked(), "");
            let (_, variable) = hook(&sandbox, &work, "");
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
            let left = variable("__awsdir_deadline").parse::<u64>().unwrap() - now;
            assert!((540..=600).contains(&left), "asked again in {left} s");

            sandbox.idc.settings(|settings| settings.consent = Consent::Immediate);
            let login = run(&mut sandbox.awsdir(["login", "read-only"]));
            assert_eq!(code(&login), Some(0), "{}", login.text());
            expect_refresh(&sandbox, &work);
        }
    }

    #[test]
    fn asks_first_where_the_dotfile_wants_that() {
        for (answer, exit, opens) in [("n\n", 4, 0), ("\x04", 4, 0), ("y\n", 0, 1), ("\n", 0, 1)] {
            let sandbox = sandbox();
            let work = sandbox.allowed_project("work", "profile = read-only\nlogin = ask\n");
            let mut terminal = Terminal::spawn(&mut refresh(&sandbox, &work));
            terminal.wait_for("sign in now? [Y/n]");
            assert_eq!(sandbox.asked(), "", "{answer:?}");
            terminal.send(answer);
            let ran = terminal.wait();
            assert_eq!(
                (code(&ran), sandbox.idc.browser_opens().len()),
                (Some(exit), opens),
                "{answer:?}: {}",
                ran.text()
            );
            if exit != 0 {
                let news = "awsdir: the sign-in to `corp` was declined; run: awsdir login read-only";
                expect_news(&sandbox, &work, news);
            }
        }
    }

    #[test]
    fn never_signs_in_where_the_dotfile_forbids_it_or_nobody_is_there() {
        let table = [("profile = read-only\nlogin = never\n", None), ("read-only", Some(("CI", "true")))];
        for (dotfile, variable) in table {
            let mut sandbox = sandbox();
            if let Some((name, value)) = variable {
                sandbox.set(name, value);
            }
            let work = sandbox.allowed_project("work", dotfile);
            expect_news(&sandbox, &work, "awsdir: sign-in to `corp` needed; run: awsdir login read-only");
            assert_eq!(sandbox.at_terminal(&mut refresh(&sandbox, &work)), "", "{dotfile}");
            assert_eq!(sandbox.asked(), "", "{dotfile}");
        }
    }

    #[test]
    fn a_renewal_that_failed_is_not_tried_at_the_next_prompt() {
        let sandbox = with_stale_token();
        let work = sandbox.allowed_project("work", "read-only");
        sandbox.idc.inject(Operation::CreateToken, Fault::ServerError, 99);
        expect_refresh(&sandbox, &work);
        assert_snapshot!(sandbox.at_terminal(&mut refresh(&sandbox, &work)), @"
        awsdir: CreateToken failed: InternalServer: something broke (request id [ID])
        -- exit status: 5 --
        ");
        assert_eq!(sandbox.asked(), "CreateToken(refresh_token) 500");
        sandbox.idc.clear_requests();
        let why = "CreateToken failed: InternalServer: something broke (request id [ID])";
        expect_news(&sandbox, &work, &format!("awsdir: no role credentials for `read-only`: {why}"));
        assert_eq!(sandbox.at_terminal(&mut refresh(&sandbox, &work)), "");
        assert_eq!(sandbox.asked(), "");
    }

    #[test]
    fn a_permission_set_that_is_not_assigned_is_not_asked_for_again_and_others_of_the_session_are() {
        let sandbox = sandbox();
        sandbox.sign_in(|_| {});
        sandbox.idc.unassign("222222222222", "Admin");
        let prod = sandbox.allowed_project("prod", "prod-admin");
        assert_snapshot!(sandbox.at_terminal(&mut refresh(&sandbox, &prod)), @"
        awsdir: permission set `Admin` in account 222222222222 is not granted to you (No access)
        -- exit status: 5 --
        ");
        sandbox.idc.clear_requests();
        assert_eq!(sandbox.at_terminal(&mut refresh(&sandbox, &prod)), "");
        assert_eq!(sandbox.asked(), "");
        let work = sandbox.allowed_project("work", "read-only");
        assert_eq!(sandbox.at_terminal(&mut refresh(&sandbox, &work)), "");
        assert_eq!(sandbox.asked(), "GetRoleCredentials");
    }

    #[test]
    fn a_renewal_has_five_seconds() {
        let sandbox = sandbox();
        sandbox.sign_in(|_| {});
        let work = sandbox.allowed_project("work", "read-only");
        sandbox.idc.inject(Operation::GetRoleCredentials, Fault::Hang, 9);
        let before = Instant::now();
        assert_snapshot!(sandbox.at_terminal(&mut refresh(&sandbox, &work)), @"
        awsdir: the renewal took longer than 5 s
        -- exit status: 5 --
        ");
        let took = before.elapsed();
        assert!((Duration::from_secs(5)..Duration::from_secs(12)).contains(&took), "{took:?}");
    }
}

/// Requests as AWS CLI 2.38.5 was recorded to send them (`protocol.md` 3 and 4).
mod on_the_wire {
    use super::*;

    /// The JSON requests since the start, with method, path and body, after a look at what all have in common.
    fn posts(sandbox: &Sandbox) -> Vec<(String, Value)> {
        let requests = sandbox.idc.requests().into_iter();
        let posts = requests
            .filter(|request| ["/client/register", "/device_authorization", "/token"].contains(&request.path.as_str()));
        posts
            .map(|request| {
                assert_eq!((request.header("content-type"), request.header("authorization")), ("application/json", ""));
                (format!("{} {}", request.method, request.path), request.body)
            })
            .collect()
    }

    #[test]
    fn authorization_code_with_pkce() {
        let sandbox = sandbox();
        let config = sandbox.read(".aws/config");
        let config = config.replace("= sso:account:access", "= sso:account:access , codewhisperer:completions");
        sandbox.write(".aws/config", config);
        let ran = run(&mut sandbox.awsdir(["login", "read-only"]));
        assert_eq!(code(&ran), Some(0), "{}", ran.text());
        let token = sandbox.read_json(TOKEN_FILE);

        let requests = sandbox.idc.requests();
        let authorize = requests.iter().find(|request| request.operation == Operation::Authorize).unwrap();
        let names: Vec<_> = authorize.raw_query.split('&').map(|pair| pair.split('=').next().unwrap()).collect();
        assert_eq!(
            names,
            [
                "response_type",
                "client_id",
                "redirect_uri",
                "state",
                "code_challenge_method",
                "scopes",
                "code_challenge"
            ]
        );
        assert!(authorize.raw_query.contains("&scopes=sso%3Aaccount%3Aaccess%20codewhisperer%3Acompletions&"));
        let redirect_uri = authorize.parameter("redirect_uri");
        assert!(redirect_uri.starts_with("http://127.0.0.1:") && redirect_uri.ends_with("/oauth/callback"));

        let posts = posts(&sandbox);
        let (verifier, code) = (&posts[1].1["codeVerifier"], &posts[1].1["code"]);
        assert!((43..=128).contains(&verifier.as_str().unwrap().len()), "{verifier}");
        let expected = [
            (
                "POST /client/register".to_owned(),
                json!({
                    "clientName": "awsdir-corp", "clientType": "public",
                    "grantTypes": ["authorization_code", "refresh_token"],
                    "redirectUris": ["http://127.0.0.1/oauth/callback"],
                    "issuerUrl": IdentityCenter::START_URL,
                    "scopes": ["sso:account:access", "codewhisperer:completions"],
                }),
            ),
            (
                "POST /token".to_owned(),
                json!({
                    "grantType": "authorization_code",
                    "clientId": token["clientId"], "clientSecret": token["clientSecret"],
                    "redirectUri": redirect_uri, "codeVerifier": verifier, "code": code,
                }),
            ),
        ];
        assert_eq!(posts, expected);
    }

    #[test]
    fn device_code() {
        let sandbox = sandbox();
        let ran = run(&mut sandbox.awsdir(["login", "legacy"]));
        assert_eq!(code(&ran), Some(0), "{}", ran.text());
        let posts = posts(&sandbox);
        let (client_id, client_secret) = (&posts[1].1["clientId"], &posts[1].1["clientSecret"]);
        let expected = [
            ("POST /client/register".to_owned(), json!({ "clientName": "awsdir-legacy", "clientType": "public" })),
            (
                "POST /device_authorization".to_owned(),
                json!({
                    "clientId": client_id, "clientSecret": client_secret, "startUrl": IdentityCenter::START_URL,
                }),
            ),
            (
                "POST /token".to_owned(),
                json!({
                    "grantType": "urn:ietf:params:oauth:grant-type:device_code",
                    "clientId": client_id, "clientSecret": client_secret, "deviceCode": posts[2].1["deviceCode"],
                }),
            ),
        ];
        assert_eq!(posts, expected);
    }

    #[test]
    fn renewal_role_credentials_and_logout() {
        let sandbox = with_stale_token();
        let before = sandbox.read_json(TOKEN_FILE);
        expect_export(&sandbox);
        let after = sandbox.read_json(TOKEN_FILE);
        let ran = run(&mut sandbox.awsdir(["logout", "--session", "corp"]));
        assert_eq!(code(&ran), Some(0), "{}", ran.text());

        let expected = json!({
            "grantType": "refresh_token", "clientId": before["clientId"], "clientSecret": before["clientSecret"],
            "refreshToken": before["refreshToken"],
        });
        assert_eq!(posts(&sandbox), [("POST /token".to_owned(), expected)]);
        let requests = sandbox.idc.requests();
        let [_, role, logout] = &requests[..] else { panic!("{}", sandbox.asked()) };
        assert_eq!((role.method.as_str(), role.path.as_str()), ("GET", "/federation/credentials"));
        let parameters: Vec<_> = role.query.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(parameters, ["account_id=111111111111", "role_name=ReadOnly"]);
        assert_eq!((logout.method.as_str(), logout.path.as_str(), logout.raw_body.len()), ("POST", "/logout", 0));
        for request in [role, logout] {
            assert_eq!(request.header("x-amz-sso_bearer_token"), after["accessToken"].as_str().unwrap());
            assert_eq!(request.header("authorization"), "");
        }
    }
}
