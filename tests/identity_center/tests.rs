//! What the clients in `tests/clients` cannot see: faults, the stand-in browser, stopping.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant, SystemTime};

use serde_json::{Value, json};

use super::signature::{hex, hmac, parse_date};
use super::{BrowserBehaviour, Consent, Fault, IdentityCenter, Operation, since_epoch};

const PATIENCE: Duration = Duration::from_secs(20);

fn connect(idc: &IdentityCenter) -> TcpStream {
    let stream = TcpStream::connect(idc.endpoint().trim_start_matches("http://")).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// One request on a connection of its own, which is read to its end.
fn send(idc: &IdentityCenter, line: &str, headers: &str, body: &str) -> std::io::Result<String> {
    let mut stream = connect(idc);
    let length = body.len();
    write!(stream, "{line} HTTP/1.1\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n{body}")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

fn register(idc: &IdentityCenter) -> std::io::Result<String> {
    let body = r#"{"clientName":"test","clientType":"public","scopes":["sso:account:access"]}"#;
    send(idc, "POST /client/register", "", body)
}

/// The status of an answer, and its body as JSON.
fn parts(answer: &str) -> (u16, Value) {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head[9..12].parse().unwrap(), serde_json::from_str(body).unwrap_or_default())
}

/// Registers and asks for a device authorization; a closure that asks for a token.
fn device_flow(idc: &IdentityCenter) -> (String, impl Fn(&str, Value) -> (u16, Value)) {
    let client = parts(&register(idc).unwrap()).1;
    let post = move |path: &str, mut body: Value| {
        body["clientId"] = client["clientId"].clone();
        body["clientSecret"] = client["clientSecret"].clone();
        parts(&send(idc, &format!("POST {path}"), "", &body.to_string()).unwrap())
    };
    let (_, device) = post("/device_authorization", json!({ "startUrl": IdentityCenter::START_URL }));
    let user_code = device["userCode"].as_str().unwrap().to_owned();
    let token = move |grant: &str, mut body: Value| {
        body["grantType"] = json!(grant);
        body["deviceCode"] = device["deviceCode"].clone();
        post("/token", body)
    };
    (user_code, token)
}

fn role_credentials(idc: &IdentityCenter, token: &Value) -> (u16, Value) {
    let header = format!("x-amz-sso_bearer_token: {}\r\n", token["accessToken"].as_str().unwrap());
    let line = "GET /federation/credentials?role_name=Admin&account_id=222222222222";
    let (status, body) = parts(&send(idc, line, &header, "").unwrap());
    (status, body["roleCredentials"].clone())
}

const DEVICE: &str = "urn:ietf:params:oauth:grant-type:device_code";

#[test]
fn what_tests_take_away_is_gone() {
    let idc = IdentityCenter::start();
    let (user_code, token) = device_flow(&idc);
    assert!(idc.approve_device(&user_code) && !idc.approve_device("NONE-SUCH"));
    let (status, first) = token(DEVICE, json!({}));
    assert_eq!(status, 200);
    let renew = |old: &Value| token("refresh_token", json!({ "refreshToken": old["refreshToken"] }));

    let (_, credentials) = role_credentials(&idc, &first);
    let identity = idc.caller_of(credentials["accessKeyId"].as_str().unwrap()).unwrap();
    assert_eq!((&*identity.account, &*identity.role_name), ("222222222222", "Admin"));
    assert_eq!(idc.issued_credentials().len(), 1);

    idc.inject(Operation::GetRoleCredentials, Fault::ServeExpired, 1);
    let (_, expired) = role_credentials(&idc, &first);
    let now = u64::try_from(since_epoch(SystemTime::now()).as_millis()).unwrap();
    assert!(expired["expiration"].as_u64().unwrap() <= now);

    idc.revoke_access_tokens();
    assert_eq!(role_credentials(&idc, &first).0, 401);
    let (_, second) = renew(&first);
    assert_eq!(role_credentials(&idc, &second).0, 200);
    idc.unassign("222222222222", "Admin");
    assert_eq!(role_credentials(&idc, &second).0, 403);
    idc.inject(Operation::CreateToken, Fault::ServeExpired, 1);
    let (_, third) = renew(&second);
    assert_eq!(third["expiresIn"], 0);
    assert_eq!(role_credentials(&idc, &third).0, 401);
    idc.revoke_sessions();
    assert_eq!(renew(&third).1["error"], "invalid_grant");
    idc.drop_registrations();
    assert_eq!(
        renew(&third),
        (
            401,
            json!({
                "error": "invalid_client", "error_description": "Invalid client credentials provided",
            })
        )
    );
}

#[test]
fn lifetimes_end_device_codes_sessions_and_registrations() {
    let idc = IdentityCenter::start();
    idc.settings(|settings| settings.device_lifetime = Duration::ZERO);
    let (_, token) = device_flow(&idc);
    assert_eq!(token(DEVICE, json!({})).1["error"], "expired_token");
    idc.settings(|settings| {
        settings.device_lifetime = PATIENCE;
        settings.session_lifetime = Duration::ZERO;
    });
    let (user_code, token) = device_flow(&idc);
    idc.approve_device(&user_code);
    let (_, first) = token(DEVICE, json!({}));
    let renewed = token("refresh_token", json!({ "refreshToken": first["refreshToken"] }));
    assert_eq!(renewed.1["error"], "invalid_grant");
    idc.settings(|settings| settings.registration_lifetime = Duration::ZERO);
    let client = parts(&register(&idc).unwrap()).1;
    let answer = send(&idc, "POST /token", "", &client.to_string()).unwrap();
    assert_eq!(parts(&answer).0, 401);
}

#[test]
fn the_browser_pesters_a_listener_and_then_approves_on_the_consent_page() {
    let idc = IdentityCenter::start();
    idc.settings(|settings| {
        settings.consent = Consent::Page;
        settings.browser = BrowserBehaviour::StrayRequestsFirst;
    });
    let body = json!({
        "clientName": "<test>", "clientType": "public", "grantTypes": ["authorization_code"],
        "redirectUris": ["http://127.0.0.1/oauth/callback"], "issuerUrl": IdentityCenter::START_URL,
    });
    let client = parts(&send(&idc, "POST /client/register", "", &body.to_string()).unwrap()).1;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!(
        "{}/authorize?response_type=code&client_id={}&redirect_uri=http%3A%2F%2F{}%2Foauth%2Fcallback\
         &state=s&code_challenge_method=S256&code_challenge={:43}",
        idc.endpoint(),
        client["clientId"].as_str().unwrap(),
        listener.local_addr().unwrap(),
        ""
    );
    let url = url.replace(' ', "x");
    assert!(send(&idc, "POST /browser", "", &url).unwrap().starts_with("HTTP/1.1 200 "));

    let _silent = listener.accept().unwrap();
    let mut lines = Vec::new();
    for (mut stream, _) in (0..6).map(|_| listener.accept().unwrap()) {
        let mut chunk = [0; 4096];
        let length = stream.read(&mut chunk).unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone").unwrap();
        let text = String::from_utf8_lossy(&chunk[..length]).into_owned();
        lines.push(text.lines().next().unwrap_or_default().to_owned());
    }
    assert_eq!(lines[0], "GET /favicon.ico HTTP/1.1");
    assert_eq!(lines[1], "GET /oauth/callback?code=x&state=wrong HTTP/1.1");
    assert_eq!(lines[2], "GET /oauth/callback HTTP/1.1");
    assert_eq!(lines[3], "POST /oauth/callback HTTP/1.1");
    assert!(lines[4].contains("not HTTP"));
    assert!(lines[5].starts_with("GET /oauth/callback?code=code-") && lines[5].contains("&state=s "));
    assert!(idc.wait_for_pages(1, PATIENCE));
    assert_eq!(idc.pages()[0].body, "done");
    assert_eq!(idc.count(Operation::Decide), 1);
}

#[test]
fn each_fault_looks_on_the_wire_as_it_says() {
    let idc = IdentityCenter::start();
    let meet = |fault| {
        idc.inject(Operation::RegisterClient, fault, 1);
        let answer = register(&idc);
        assert_eq!(idc.faults_left(), 0);
        answer
    };
    assert_eq!(meet(Fault::Reset).unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert_eq!(meet(Fault::CloseBeforeActing).unwrap(), "");
    assert_eq!(meet(Fault::CloseAfterActing).unwrap(), "");
    assert_eq!(idc.shared.lock().clients.len(), 1, "only CloseAfterActing acts");

    let throttled = meet(Fault::Throttle { retry_after: Some(7) }).unwrap();
    assert!(throttled.starts_with("HTTP/1.1 429 ") && throttled.contains("Retry-After: 7\r\n"), "{throttled}");
    assert!(meet(Fault::ServerError).unwrap().starts_with("HTTP/1.1 500 "));
    assert!(meet(Fault::HtmlBadGateway).unwrap().contains("text/html"));
    assert!(meet(Fault::UnknownError("OddException".into())).unwrap().contains("x-amzn-ErrorType: OddException"));
    assert!(meet(Fault::Empty200).unwrap().ends_with("Content-Length: 0\r\n\r\n"));
    let broken = meet(Fault::InvalidJson).unwrap();
    assert!(serde_json::from_str::<serde_json::Value>(broken.split_once("\r\n\r\n").unwrap().1).is_err());
    let status = Fault::Status { code: 503, headers: vec![("X-A".into(), "b".into())], body: "late".into() };
    let answer = meet(status).unwrap();
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("X-A: b") && answer.ends_with("late"));

    let cut = meet(Fault::Truncated).unwrap();
    let (head, body) = cut.split_once("\r\n\r\n").unwrap();
    let (_, length) = head.rsplit_once(' ').unwrap();
    assert_eq!(body.len(), length.parse::<usize>().unwrap() / 2);
    let whole = meet(Fault::SlowDrip(Duration::from_micros(50))).unwrap();
    assert!(whole.ends_with('}'), "{whole}");

    let before = Instant::now();
    assert!(meet(Fault::Delay(Duration::from_millis(200))).unwrap().starts_with("HTTP/1.1 200 "));
    assert!(before.elapsed() >= Duration::from_millis(200));
    let statuses: Vec<_> = idc.requests().iter().map(|request| request.status).collect();
    assert_eq!(statuses[..4], [None, None, None, Some(429)]);
}

#[test]
fn a_line_is_reset_before_anything_is_read_or_refused_until_it_is_back() {
    let idc = IdentityCenter::start();
    idc.reset_connections(1);
    let mut stream = connect(&idc);
    assert_eq!(stream.read(&mut [0]).unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert!(register(&idc).unwrap().starts_with("HTTP/1.1 200 "));
    assert_eq!((idc.connections(), idc.requests().len()), (2, 1));

    idc.hang_up();
    let address = idc.endpoint().replace("http://", "");
    assert_eq!(TcpStream::connect(&address).unwrap_err().kind(), ErrorKind::ConnectionRefused);
    idc.listen_again();
    assert!(register(&idc).unwrap().starts_with("HTTP/1.1 200 "));
    idc.hang_up();
}

#[test]
fn a_clock_that_is_wrong_shows_in_the_times_it_tells_alone() {
    let idc = IdentityCenter::start();
    let now = i64::try_from(since_epoch(SystemTime::now()).as_secs()).unwrap();
    idc.settings(|settings| settings.clock_ahead = -1200);
    let client = parts(&register(&idc).unwrap()).1;
    let behind = now - client["clientIdIssuedAt"].as_i64().unwrap();
    assert!((1140..=1200).contains(&behind), "{behind}");
    let (user_code, token) = device_flow(&idc);
    idc.approve_device(&user_code);
    let (status, issued) = token(DEVICE, json!({}));
    assert_eq!((status, &issued["expiresIn"]), (200, &json!(3600)));
    let (_, credentials) = role_credentials(&idc, &issued);
    let left = credentials["expiration"].as_i64().unwrap() / 1000 - now;
    assert!((2400..=2460).contains(&left), "{left}");
}

#[test]
fn a_hanging_request_is_seen_and_ends_with_the_server() {
    let idc = IdentityCenter::start();
    idc.inject(Operation::RegisterClient, Fault::Hang, 1);
    std::thread::scope(|scope| {
        let client = scope.spawn({
            let mut stream = connect(&idc);
            move || {
                stream.write_all(b"POST /client/register HTTP/1.1\r\n\r\n").unwrap();
                stream.read(&mut [0])
            }
        });
        assert!(idc.wait_for(Operation::RegisterClient, 1, PATIENCE));
        assert!(!idc.wait_for(Operation::RegisterClient, 2, Duration::from_millis(50)));
        drop(idc);
        assert_eq!(client.join().unwrap().unwrap(), 0);
    });
}

#[test]
fn the_stand_in_browser_reports_opens_and_keeps_to_loopback() {
    let (idc, dir) = (IdentityCenter::start(), tempfile::tempdir().unwrap());
    let script = idc.browser_script(dir.path());
    let open = |url: &str| assert!(Command::new(&script).arg(url).status().unwrap().success());
    let page = format!("{}/device?x=é&y=%20'\"", idc.endpoint());
    open(&page);
    assert!(idc.wait_for_pages(1, PATIENCE));
    idc.settings(|settings| settings.browser = BrowserBehaviour::ClickTwice);
    open(&page);
    assert!(idc.wait_for_pages(3, PATIENCE));
    idc.settings(|settings| settings.browser = BrowserBehaviour::Visit);
    open("http://192.0.2.1/");
    assert!(idc.wait_for_pages(4, PATIENCE));
    idc.settings(|settings| settings.browser = BrowserBehaviour::Nothing);
    open("http://nowhere/");

    assert_eq!(idc.browser_opens(), [page.as_str(), &page, "http://192.0.2.1/", "http://nowhere/"]);
    let statuses: Vec<_> = idc.pages().iter().map(|page| page.status).collect();
    assert_eq!(statuses, [Some(200), Some(200), Some(200), None]);
    assert_eq!(idc.count(Operation::VerifyDevice), 3);
}

#[test]
fn hmac_and_dates_match_published_values() {
    // RFC 4231, test cases 2 and 6.
    assert_eq!(
        hex(&hmac(b"Jefe", "what do ya want for nothing?")),
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    );
    assert_eq!(
        hex(&hmac(&[0xaa; 131], "Test Using Larger Than Block-Size Key - Hash Key First")),
        "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
    );
    let seconds = |date| parse_date(date).map(|since| since.as_secs());
    assert_eq!(seconds("19700101T000000Z"), Some(0));
    assert_eq!(seconds("20240229T235959Z"), Some(1_709_251_199));
    assert_eq!(seconds("20261122T173013Z"), Some(1_795_368_613));
    assert_eq!(seconds("20261122 173013Z"), None);
}
