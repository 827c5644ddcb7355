//! What the clients in `tests/clients` cannot see: faults, the stand-in browser, stopping; and STS with its users and
//! roles, by the SDK's own clients.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant, SystemTime};

use aws_config::imds::credentials::ImdsCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_sdk_sts::Client;
use aws_sdk_sts::config::retry::RetryConfig;
use aws_sdk_sts::config::{BehaviorVersion, Credentials, ProvideCredentials as _, Region, SharedCredentialsProvider};
use aws_sdk_sts::error::ProvideErrorMetadata;
use serde_json::{Value, json};

use super::signature::{hex, hmac, parse_date};
use super::{BrowserBehaviour, Consent, Fault, IdentityCenter, Operation, RoleSettings, UserKeys, since_epoch};

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

/// Role credentials of `Admin` in `prod`, as the SDK holds them.
fn portal_credentials(idc: &IdentityCenter) -> Credentials {
    let (user_code, token) = device_flow(idc);
    idc.approve_device(&user_code);
    role_credentials(idc, &token(DEVICE, json!({})).1);
    last_issued(idc)
}

/// The credentials issued last, as the SDK holds them.
fn last_issued(idc: &IdentityCenter) -> Credentials {
    let issued = idc.issued_credentials().pop().unwrap();
    let token = Some(issued.session_token).filter(|token| !token.is_empty());
    Credentials::new(issued.access_key_id, issued.secret_access_key, token, None, "test")
}

fn user_credentials(keys: UserKeys) -> Credentials {
    Credentials::new(keys.access_key_id, keys.secret_access_key, None, None, "test")
}

/// The SDK's own client, which signs with these credentials if there are any.
fn sts(idc: &IdentityCenter, credentials: Option<Credentials>) -> Client {
    let mut config = aws_sdk_sts::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .endpoint_url(idc.endpoint())
        .retry_config(RetryConfig::disabled())
        .http_client(aws_smithy_http_client::Builder::new().build_http());
    config.set_credentials_provider(credentials.map(SharedCredentialsProvider::new));
    Client::from_conf(config.build())
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

async fn arn_of(client: &Client) -> String {
    client.get_caller_identity().send().await.unwrap().arn.unwrap()
}

/// Name and words of an error.
fn refusal<T, E: ProvideErrorMetadata>(result: Result<T, E>) -> String {
    let error = result.err().unwrap();
    format!("{}: {}", error.code().unwrap_or_default(), error.message().unwrap_or_default())
}

/// Seconds from now until a time that was told.
fn seconds_left(expiration: &aws_sdk_sts::primitives::DateTime) -> i64 {
    expiration.secs() - i64::try_from(since_epoch(SystemTime::now()).as_secs()).unwrap()
}

const DEPLOY: &str = "arn:aws-us-gov:iam::444444444444:role/ci/deploy";
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
fn a_user_and_a_permission_set_assume_roles_that_trust_them() {
    let idc = IdentityCenter::start();
    let (ana, admin) = (user_credentials(idc.create_user("ana")), portal_credentials(&idc));
    let (ana, admin) = (sts(&idc, Some(ana)), sts(&idc, Some(admin)));
    let ask = |client: &Client, seconds: Option<i32>, external_id: Option<&str>| {
        let request = client.assume_role().role_arn(DEPLOY).role_session_name("build-7");
        request.set_duration_seconds(seconds).set_external_id(external_id.map(str::to_owned)).send()
    };
    block_on(async {
        assert_eq!(arn_of(&ana).await, "arn:aws:iam::999999999999:user/ana");
        let identity = ana.get_caller_identity().send().await.unwrap();
        assert_eq!(identity.account(), Some("999999999999"));
        assert!(identity.user_id().unwrap().starts_with("AIDA"));
        let admin_arn = arn_of(&admin).await;
        let denied = |arn: &str| {
            format!("AccessDenied: User: {arn} is not authorized to perform: sts:AssumeRole on resource: {DEPLOY}")
        };
        assert_eq!(refusal(ask(&admin, None, None).await), denied(&admin_arn), "there is no such role");

        idc.create_role(DEPLOY, RoleSettings::default());
        let answer = ask(&ana, None, None).await.unwrap();
        let arn = "arn:aws-us-gov:sts::444444444444:assumed-role/deploy/build-7";
        let role = answer.assumed_role_user().unwrap();
        assert_eq!(role.arn(), arn);
        assert!(role.assumed_role_id().starts_with("AROA") && role.assumed_role_id().ends_with(":build-7"));
        let credentials = answer.credentials().unwrap();
        assert!((3590..=3600).contains(&seconds_left(credentials.expiration())));
        let issued = idc.issued_credentials().pop().unwrap();
        assert_eq!(issued.secret_access_key, credentials.secret_access_key());
        let identity = idc.caller_of(credentials.access_key_id()).unwrap();
        assert_eq!((&*identity.account, &*identity.role_name, &*identity.arn()), ("444444444444", "deploy", arn));
        let deploy = sts(&idc, Some(last_issued(&idc)));
        assert_eq!(arn_of(&deploy).await, arn);

        let max_duration = Duration::from_hours(2);
        let mut settings = RoleSettings { max_duration, external_id: Some("gate".into()), ..RoleSettings::default() };
        idc.create_role(DEPLOY, settings.clone());
        assert!(refusal(ask(&ana, None, None).await).starts_with("AccessDenied: "));
        assert!(refusal(ask(&ana, None, Some("another")).await).starts_with("AccessDenied: "));
        let answer = ask(&ana, Some(7200), Some("gate")).await.unwrap();
        assert!((7190..=7200).contains(&seconds_left(answer.credentials().unwrap().expiration())));
        let refused = refusal(ask(&ana, Some(7201), Some("gate")).await);
        assert!(refused.starts_with("ValidationError: ") && refused.contains("MaxSessionDuration"), "{refused}");
        for (client, seconds) in [(&ana, 899), (&ana, 43_201), (&admin, 3601), (&deploy, 3601)] {
            let refused = refusal(ask(client, Some(seconds), Some("gate")).await);
            assert!(refused.starts_with("ValidationError: "), "{refused}");
        }
        assert!(ask(&admin, Some(3600), Some("gate")).await.is_ok());

        settings.trusts = admin_arn.clone();
        idc.create_role(DEPLOY, settings);
        assert!(ask(&admin, None, Some("gate")).await.is_ok());
        assert_eq!(refusal(ask(&ana, None, Some("gate")).await), denied("arn:aws:iam::999999999999:user/ana"));
    });
}

#[test]
fn sts_refuses_names_keys_and_arns_that_cannot_be() {
    let idc = IdentityCenter::start();
    idc.create_role(DEPLOY, RoleSettings::default());
    let keys = idc.create_user("ana");
    let ana = sts(&idc, Some(user_credentials(keys.clone())));
    let wrong = UserKeys { secret_access_key: "x".repeat(40), ..keys.clone() };
    let with_token = Credentials::new(keys.access_key_id, keys.secret_access_key, Some("x".into()), None, "test");
    block_on(async {
        for name in ["x", "a b", "a/b", &"x".repeat(65)] {
            let refused = refusal(ana.assume_role().role_arn(DEPLOY).role_session_name(name).send().await);
            assert!(refused.starts_with("ValidationError: ") && refused.contains("'roleSessionName'"), "{refused}");
        }
        for arn in ["deploy", "arn:aws:iam::444444444444:user/deploy", "arn:aws:iam::4:role/deploy"] {
            let refused = refusal(ana.assume_role().role_arn(arn).role_session_name("build").send().await);
            assert_eq!(refused, "ValidationError: Request ARN is invalid");
        }
        let refused = |credentials| {
            let client = sts(&idc, Some(credentials));
            async move { refusal(client.assume_role().role_arn(DEPLOY).role_session_name("build").send().await) }
        };
        assert!(refused(user_credentials(wrong)).await.starts_with("SignatureDoesNotMatch: "));
        assert!(refused(with_token).await.starts_with("InvalidClientTokenId: "));
        idc.settings(|settings| settings.assumed_role_lifetime = Some(Duration::ZERO));
        ana.assume_role().role_arn(DEPLOY).role_session_name("build").duration_seconds(900).send().await.unwrap();
        assert!(refused(last_issued(&idc)).await.starts_with("ExpiredToken: "));
    });
    let form = "Content-Type: application/x-www-form-urlencoded\r\n";
    let answer = send(&idc, "POST /", form, "Action=AssumeRole&RoleSessionName=build").unwrap();
    assert!(answer.contains("<Code>MissingAuthenticationToken</Code>"), "{answer}");
}

#[test]
fn a_code_of_an_mfa_device_works_once_and_for_its_user() {
    let idc = IdentityCenter::start();
    let serial = "arn:aws:iam::999999999999:mfa/ana";
    idc.create_mfa_device("ana", serial);
    idc.create_role(DEPLOY, RoleSettings { requires_mfa: true, ..RoleSettings::default() });
    let [ana, bob] = ["ana", "bob"].map(|name| sts(&idc, Some(user_credentials(idc.create_user(name)))));
    let ask = |client: &Client, serial: Option<&str>, code: Option<String>| {
        let request = client.assume_role().role_arn(DEPLOY).role_session_name("build");
        request.set_serial_number(serial.map(str::to_owned)).set_token_code(code).send()
    };
    let code = || Some(idc.mfa_code(serial));
    block_on(async {
        assert!(refusal(ask(&ana, None, None).await).starts_with("AccessDenied: User: "));
        let first = code();
        assert_eq!(code(), first, "nobody has used it");
        assert!(ask(&ana, Some(serial), first.clone()).await.is_ok());
        let used = "AccessDenied: MultiFactorAuthentication failed with invalid MFA one time pass code.";
        assert_eq!(refusal(ask(&ana, Some(serial), first).await), used);
        let refused = refusal(ask(&bob, Some(serial), code()).await);
        assert!(refused.contains("unable to validate MFA code"), "{refused}");
        let refused = refusal(ask(&ana, Some(serial), None).await);
        assert!(refused.contains("must provide both"), "{refused}");
        assert!(refusal(ask(&ana, Some(serial), Some("12".into())).await).starts_with("ValidationError: "));

        let answer = ana.get_session_token().send().await.unwrap();
        assert!((43_190..=43_200).contains(&seconds_left(answer.credentials().unwrap().expiration())));
        let session = sts(&idc, Some(last_issued(&idc)));
        assert_eq!(arn_of(&session).await, "arn:aws:iam::999999999999:user/ana");
        assert!(refusal(ask(&session, None, None).await).starts_with("AccessDenied: User: "), "without a code");
        let refused = refusal(session.get_session_token().send().await);
        assert_eq!(refused, "AccessDenied: Cannot call GetSessionToken with session credentials");
        let request = ana.get_session_token().serial_number(serial).set_token_code(code());
        request.duration_seconds(129_600).send().await.unwrap();
        let session = sts(&idc, Some(last_issued(&idc)));
        assert!(ask(&session, None, None).await.is_ok());
        let refused = refusal(ana.get_session_token().duration_seconds(129_601).send().await);
        assert!(refused.starts_with("ValidationError: "), "{refused}");
    });
    let asked = idc.requests().into_iter().find(|request| request.operation == Operation::GetSessionToken).unwrap();
    assert_eq!((asked.field("SerialNumber"), asked.field("Action")), ("", "GetSessionToken"));
}

#[test]
fn a_token_of_an_identity_provider_is_worth_its_role() {
    let (idc, stranger) = (IdentityCenter::start(), "arn:aws:iam::444444444444:role/other");
    idc.create_role(stranger, RoleSettings::default());
    idc.trust_web_identity(DEPLOY, "header.payload.signature\n");
    let nobody = sts(&idc, None);
    let ask = |arn: &str, token: &str| {
        let request = nobody.assume_role_with_web_identity().role_session_name("pod");
        request.role_arn(arn).web_identity_token(token).send()
    };
    block_on(async {
        for token in ["header.payload.signature", "header.payload.signature\n"] {
            let answer = ask(DEPLOY, token).await.unwrap();
            let role = answer.assumed_role_user().unwrap();
            assert_eq!(role.arn(), "arn:aws-us-gov:sts::444444444444:assumed-role/deploy/pod");
            assert!(answer.subject_from_web_identity_token().is_some() && answer.audience().is_some());
            assert_eq!(arn_of(&sts(&idc, Some(last_issued(&idc)))).await, role.arn());
        }
        let refused = refusal(ask(stranger, "header.payload.signature").await);
        assert_eq!(refused, "AccessDenied: Not authorized to perform sts:AssumeRoleWithWebIdentity");
        assert!(refusal(ask(DEPLOY, "forged").await).starts_with("InvalidIdentityToken: "));
        let unreachable =
            Fault::Refusal { status: 400, name: "IDPCommunicationError".into(), message: "silence".into() };
        idc.inject(Operation::AssumeRoleWithWebIdentity, unreachable, 1);
        assert_eq!(refusal(ask(DEPLOY, "header.payload.signature").await), "IDPCommunicationError: silence");
        idc.expire_web_identity("header.payload.signature");
        assert!(refusal(ask(DEPLOY, "header.payload.signature").await).starts_with("ExpiredTokenException: "));
    });
    let tokens = idc.requests().into_iter().map(|request| request.field("WebIdentityToken").to_owned());
    assert_eq!(tokens.filter(|token| token.ends_with('\n')).count(), 1);
}

#[test]
fn faults_of_sts_and_of_the_metadata_services_are_in_their_own_shape() {
    let idc = IdentityCenter::start();
    idc.create_role(DEPLOY, RoleSettings::default());
    let ana = sts(&idc, Some(user_credentials(idc.create_user("ana"))));
    block_on(async {
        let ask = || ana.assume_role().role_arn(DEPLOY).role_session_name("build").send();
        for fault in [Fault::ServerError, Fault::UnknownError("OddException".into())] {
            idc.inject(Operation::AssumeRole, fault, 1);
        }
        assert_eq!(refusal(ask().await), "InternalServerException: something broke");
        assert_eq!(refusal(ask().await), "OddException: nobody has heard of this");
        idc.inject(Operation::AssumeRole, Fault::ServeExpired, 1);
        idc.inject(Operation::GetSessionToken, Fault::ServeExpired, 1);
        assert!(seconds_left(ask().await.unwrap().credentials().unwrap().expiration()) <= 0);
        let answer = ana.get_session_token().send().await.unwrap();
        assert!(seconds_left(answer.credentials().unwrap().expiration()) <= 0);
    });
    assert_eq!((idc.count(Operation::AssumeRole), idc.count(Operation::GetSessionToken)), (3, 1));
    idc.inject(Operation::ContainerCredentials, Fault::ServerError, 1);
    let (status, body) = parts(&send(&idc, "GET /container-credentials", "", "").unwrap());
    assert_eq!((status, body), (500, json!({ "code": "InternalServerException", "message": "something broke" })));
}

#[test]
fn a_machine_has_a_role_by_the_metadata_service() {
    let idc = IdentityCenter::start();
    let roles = "GET /latest/meta-data/iam/security-credentials/";
    assert_eq!(parts(&send(&idc, roles, "", "").unwrap()).0, 401);
    assert_eq!(parts(&send(&idc, "PUT /latest/api/token", "", "").unwrap()).0, 400);
    let lifetime = "x-aws-ec2-metadata-token-ttl-seconds: 60\r\n";
    let answer = send(&idc, "PUT /latest/api/token", lifetime, "").unwrap();
    let (_, token) = answer.split_once("\r\n\r\n").unwrap();
    let header = format!("x-aws-ec2-metadata-token: {token}\r\n");
    assert!(send(&idc, roles, &header, "").unwrap().ends_with("\r\n\r\ninstance"));
    assert_eq!(parts(&send(&idc, &format!("{roles}other"), &header, "").unwrap()).0, 404);
    let (status, body) = parts(&send(&idc, &format!("{roles}instance"), &header, "").unwrap());
    assert_eq!((status, &body["Code"], &body["Type"]), (200, &json!("Success"), &json!("AWS-HMAC")));
    let expiration = body["Expiration"].as_str().unwrap();
    assert!(expiration.len() == 20 && expiration.ends_with('Z'), "{expiration}");

    block_on(async {
        let http = aws_smithy_http_client::Builder::new().build_http();
        let config = ProviderConfig::without_region().with_http_client(http);
        let client = aws_config::imds::Client::builder().configure(&config).endpoint(idc.endpoint()).unwrap().build();
        let provider = ImdsCredentialsProvider::builder().imds_client(client).build();
        let credentials = provider.provide_credentials().await.unwrap();
        let arn = arn_of(&sts(&idc, Some(credentials))).await;
        assert_eq!(arn, "arn:aws:sts::888888888888:assumed-role/instance/i-0123456789abcdef0");
    });
}

#[test]
fn a_container_has_a_role_by_its_endpoint() {
    let idc = IdentityCenter::start();
    assert_eq!(idc.container_credentials_uri(), format!("{}/container-credentials", idc.endpoint()));
    let ask = |headers: &str| parts(&send(&idc, "GET /container-credentials", headers, "").unwrap());
    let (status, body) = ask("");
    assert_eq!((status, &body["RoleArn"]), (200, &json!(IdentityCenter::TASK_ROLE)));
    let issued = idc.issued_credentials().pop().unwrap();
    assert_eq!(body["Token"], issued.session_token);
    assert_eq!(block_on(arn_of(&sts(&idc, Some(last_issued(&idc))))), issued.identity.arn());
    assert!(issued.identity.arn().starts_with("arn:aws:sts::888888888888:assumed-role/task/"));
    idc.settings(|settings| settings.container_authorization = Some("Basic secret".into()));
    assert_eq!(ask("").0, 401);
    assert_eq!(ask("Authorization: Basic secret\r\n").0, 200);
    idc.inject(Operation::ContainerCredentials, Fault::ServeExpired, 1);
    ask("Authorization: Basic secret\r\n");
    assert!(idc.issued_credentials().pop().unwrap().expires <= SystemTime::now());
    assert_eq!(idc.count(Operation::ContainerCredentials), 4);
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
