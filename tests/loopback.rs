//! The listener that the browser is sent back to: who reaches it, who does not, and for how long.

use crate::identity_center::{BrowserBehaviour, Fault, Operation};
use crate::races::visit;
use crate::sandbox::{Sandbox, TOKEN_FILE};
use crate::sign_in::{get, location, parameter, sandbox};
use crate::terminal::{LIMIT, Terminal};
use std::io::Write as _;
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// A login that waits for the browser, the page it would have opened, and the port it listens on.
fn waiting(sandbox: &Sandbox, limits: &str) -> (Terminal, String, u16) {
    sandbox.idc.settings(|settings| settings.browser = BrowserBehaviour::Nothing);
    let mut shell = sandbox.command("sh");
    let line = concat!(env!("CARGO_BIN_EXE_awsdir"), " login --session corp");
    let terminal = Terminal::spawn(shell.args(["-c", &format!("{limits}exec {line}")]));
    assert!(sandbox.idc.wait_for_browser(1, LIMIT));
    let page = sandbox.idc.browser_opens().pop().unwrap();
    let (_, port) = parameter(&page, "redirect_uri").rsplit_once("%3A").unwrap();
    let port = port.split_once("%2F").unwrap().0.parse().unwrap();
    (terminal, page, port)
}

fn expect_signed_in(terminal: Terminal) {
    let ran = terminal.wait();
    assert!(ran.status.success(), "{}", ran.text());
}

#[test]
fn scanners_do_not_keep_the_browser_out() {
    let sandbox = sandbox();
    let (terminal, page, port) = waiting(&sandbox, "ulimit -n 128 && ");
    let began = Instant::now();
    let mut scanners = Vec::new();
    for nth in 0..600 {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        // Many may be closed already.
        let _ = match nth % 4 {
            0 => Ok(()),
            1 => stream.write_all(b"GET /oauth/callback?code=x&state="),
            2 => stream.write_all(&[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3]),
            _ => stream.write_all(b"POST /oauth/callback HTTP/1.1\r\nContent-Length: 100000\r\n\r\n"),
        };
        scanners.push(stream);
    }
    visit(&page);
    expect_signed_in(terminal);
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
}

#[test]
fn it_is_closed_as_soon_as_it_has_the_code() {
    let sandbox = sandbox();
    let (terminal, page, port) = waiting(&sandbox, "");
    sandbox.idc.inject(Operation::CreateToken, Fault::Delay(Duration::from_secs(1)), 1);
    visit(&page);
    assert!(sandbox.idc.wait_for(Operation::CreateToken, 1, LIMIT));
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
    expect_signed_in(terminal);
}

#[cfg(target_os = "linux")]
#[test]
fn only_this_machine_reaches_it() {
    let sandbox = sandbox();
    let (terminal, page, port) = waiting(&sandbox, "");
    let listening = |table: &str| {
        let sockets = std::fs::read_to_string(table).unwrap_or_default();
        let local = sockets.lines().filter_map(|line| line.split_whitespace().nth(1).map(str::to_owned));
        let of_port = local.filter(|address| address.ends_with(&format!(":{port:04X}")));
        of_port.collect::<Vec<_>>()
    };
    assert_eq!(listening("/proc/net/tcp"), [format!("0100007F:{port:04X}")]);
    assert_eq!(listening("/proc/net/tcp6"), [""; 0]);
    visit(&page);
    expect_signed_in(terminal);
}

/// An attacker who can reach the listener has signed in somewhere, and would have the person act with that session.
#[test]
fn nobody_can_slip_in_a_code_of_their_own() {
    let sandbox = sandbox();
    let (terminal, page, port) = waiting(&sandbox, "");
    let theirs = page.replace(parameter(&page, "state"), "theirs");
    let theirs = theirs.replace(parameter(&page, "code_challenge"), &"A".repeat(43));
    let redirect = location(&get(&theirs));
    let callback = format!("http://127.0.0.1:{port}/oauth/callback");
    let code = parameter(&redirect, "code").to_owned();
    for forged in [
        redirect,
        format!("{callback}?code={code}"),
        format!("{callback}?code={code}&state="),
        format!("{callback}?error=access_denied"),
        format!("{callback}?error=access_denied&state=theirs"),
    ] {
        let answer = get(&forged);
        assert!(answer.starts_with("HTTP/1.1 404 "), "{forged}: {answer}");
    }
    visit(&page);
    expect_signed_in(terminal);
    assert_eq!(sandbox.idc.count(Operation::CreateToken), 1);
}

/// Not even one who has seen the `state`: the code was not asked for with our challenge.
#[test]
fn a_code_that_was_asked_for_by_others_is_worth_nothing() {
    let sandbox = sandbox();
    let (terminal, page, _) = waiting(&sandbox, "");
    visit(&page.replace(parameter(&page, "code_challenge"), &"A".repeat(43)));
    let ran = terminal.wait();
    assert_eq!(ran.status.code(), Some(4), "{}", ran.text());
    let said = sandbox.scrubbed(&ran.text());
    insta::assert_snapshot!(said.lines().skip(3).collect::<Vec<_>>().join("\n"), @"
    awsdir: the sign-in to `corp` was not completed, AWS does not accept its code
    hint: awsdir login --session corp
    ");
    assert!(!sandbox.path(TOKEN_FILE).exists());
}
