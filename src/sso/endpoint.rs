//! The container-credentials endpoint of `with-aws --renew` (`protocol.md` 8): role credentials for whoever has the token,
//! on 127.0.0.1, as the SDKs ask Amazon ECS and EKS for them.
//!
//! Answers come from memory, well within the second that the SDKs wait; renewing goes on ahead and beside them.

use super::loopback::{Loopback, Request, respond};
use super::random_text;
use super::renewal::{Held, Renewal, keep_ahead, runtime};
use crate::core::credentials::{RoleCredentials, Secret};
use crate::error::{Error, Result};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use subtle::ConstantTimeEq as _;
use tokio::net::TcpStream;
use tokio::sync::{Notify, watch};
use zeroize::Zeroizing;

const PATH: &str = "/role-credentials";
/// At once: a command may have hundreds of processes.
const MAX_CONNECTIONS: usize = 512;
/// How long a reader waits for a renewal where nothing unexpired is in hand: the SDK for JavaScript gives up after 1 s.
const PATIENCE: Duration = Duration::from_millis(800);

/// Where a command gets its role credentials: the values of `AWS_CONTAINER_CREDENTIALS_FULL_URI` and
/// `AWS_CONTAINER_AUTHORIZATION_TOKEN`. It is there until this process ends.
pub(crate) struct Endpoint {
    pub(crate) uri: String,
    pub(crate) token: Secret,
}

/// What every connection needs.
struct Desk {
    port: u16,
    token: Secret,
    account_id: Option<String>,
    held: watch::Receiver<Held>,
    wanted: Arc<Notify>,
}

/// Opens the endpoint, and keeps what it hands out ahead of its end.
pub(crate) fn open(renewal: Renewal, account_id: Option<String>, credentials: RoleCredentials) -> Result<Endpoint> {
    let runtime = runtime()?;
    let failed = |source| Error::Listen { port: None, whom: "the command", source };
    let loopback = runtime.block_on(Loopback::bind(None)).map_err(failed)?;
    let (port, token) = (loopback.port(), random_text()?);
    let (holder, held) = watch::channel(Held { credentials, trouble: None });
    let wanted = Arc::new(Notify::new());
    let desk = Arc::new(Desk { port, token: token.clone(), account_id, held, wanted: Arc::clone(&wanted) });
    std::thread::spawn(move || {
        runtime.block_on(async {
            let answer = move |request, stream| answer(request, stream, Arc::clone(&desk));
            tokio::join!(loopback.serve(MAX_CONNECTIONS, answer), keep_ahead(&renewal, &holder, &wanted))
        })
    });
    Ok(Endpoint { uri: format!("http://127.0.0.1:{port}{PATH}"), token })
}

async fn answer(request: Request, mut stream: TcpStream, desk: Arc<Desk>) {
    let answer = match refusal(&request, &desk.token, desk.port) {
        Some(refusal) => Err(refusal),
        None => desk.role_credentials().await,
    };
    let (status, body) = match answer {
        Ok(document) => ("200 OK", document),
        Err(Refusal { status, code, message }) => {
            (status, Zeroizing::new(json!({ "Code": code, "Message": message }).to_string()))
        }
    };
    respond(&mut stream, status, "Content-Type: application/json\r\n", body.as_bytes()).await;
}

impl Desk {
    async fn role_credentials(&self) -> Result<Zeroizing<String>, Refusal> {
        let mut held = self.held.clone();
        let hopeless = |held: &Held| held.are_unexpired() || held.trouble.is_some();
        if !hopeless(&held.borrow()) {
            self.wanted.notify_one();
            let _ = tokio::time::timeout(PATIENCE, held.wait_for(hopeless)).await;
        }
        let held = held.borrow();
        if held.are_unexpired() {
            return Ok(document(&held.credentials, self.account_id.as_deref()));
        }
        Err(Refusal {
            status: "503 Service Unavailable",
            code: "RoleCredentialsExpired",
            message: held.trouble.clone().unwrap_or_else(|| "being renewed".to_owned()),
        })
    }
}

/// What the SDKs read: every field a string, and none missing.
fn document(credentials: &RoleCredentials, account_id: Option<&str>) -> Zeroizing<String> {
    let mut document = json!({
        "AccessKeyId": credentials.access_key_id,
        "SecretAccessKey": credentials.secret_access_key.expose(),
        "Token": credentials.session_token.expose(),
        "Expiration": credentials.expires_at.to_string(),
    });
    if let Some(account_id) = account_id {
        document["AccountId"] = account_id.into();
    }
    Zeroizing::new(document.to_string())
}

/// An answer without role credentials.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    status: &'static str,
    code: &'static str,
    message: String,
}

/// Why a request gets nothing, if so. Who has no token learns no more than that.
pub(crate) fn refusal(request: &Request, token: &Secret, port: u16) -> Option<Refusal> {
    let given = request.authorization.as_ref().map(Secret::expose).unwrap_or_default();
    let ours = given.as_bytes().ct_eq(token.expose().as_bytes());
    let (status, code, message) = if !bool::from(ours) {
        ("401 Unauthorized", "Unauthorized", "`Authorization` is not the token of this endpoint")
    } else if !is_ours(request.host.as_deref(), port) {
        // A name that a web page has had resolved to this machine.
        ("403 Forbidden", "Forbidden", "`Host` is not this endpoint")
    } else if request.target != PATH {
        ("404 Not Found", "NotFound", "there is nothing here")
    } else if request.method != "GET" {
        ("405 Method Not Allowed", "MethodNotAllowed", "only GET")
    } else {
        return None;
    };
    Some(Refusal { status, code, message: message.to_owned() })
}

fn is_ours(host: Option<&str>, port: u16) -> bool {
    let name = host.and_then(|host| host.strip_suffix(&format!(":{port}")));
    matches!(name, Some("127.0.0.1" | "localhost"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::timestamp::Timestamp;

    #[test]
    fn only_a_get_of_the_one_path_with_the_token_is_answered() {
        let token = Secret::new("t0ken");
        let ours = ("GET", PATH, Some("127.0.0.1:80"), Some("t0ken"));
        #[rustfmt::skip]
        let table = [
            (ours, None),
            (("GET", PATH, Some("localhost:80"), Some("t0ken")), None),
            (("GET", PATH, Some("127.0.0.1:80"), None), Some("401 Unauthorized")),
            (("GET", PATH, Some("127.0.0.1:80"), Some("")), Some("401 Unauthorized")),
            (("GET", PATH, Some("127.0.0.1:80"), Some("t0ke")), Some("401 Unauthorized")),
            (("GET", PATH, Some("127.0.0.1:80"), Some("t0kenn")), Some("401 Unauthorized")),
            (("GET", PATH, Some("127.0.0.1:80"), Some("Bearer t0ken")), Some("401 Unauthorized")),
            (("DELETE", "/", Some("evil.example"), Some("")), Some("401 Unauthorized")),
            (("GET", PATH, Some("evil.example:80"), Some("t0ken")), Some("403 Forbidden")),
            (("GET", PATH, Some("127.0.0.1"), Some("t0ken")), Some("403 Forbidden")),
            (("GET", PATH, Some("127.0.0.1:8080"), Some("t0ken")), Some("403 Forbidden")),
            (("GET", PATH, None, Some("t0ken")), Some("403 Forbidden")),
            (("GET", "/", Some("127.0.0.1:80"), Some("t0ken")), Some("404 Not Found")),
            (("GET", "/role-credentials?x", Some("127.0.0.1:80"), Some("t0ken")), Some("404 Not Found")),
            (("GET", "/role-credentials/", Some("127.0.0.1:80"), Some("t0ken")), Some("404 Not Found")),
            (("POST", PATH, Some("127.0.0.1:80"), Some("t0ken")), Some("405 Method Not Allowed")),
            (("HEAD", PATH, Some("127.0.0.1:80"), Some("t0ken")), Some("405 Method Not Allowed")),
        ];
        for ((method, target, host, authorization), expected) in table {
            let request = Request {
                method: method.to_owned(),
                target: target.to_owned(),
                host: host.map(str::to_owned),
                authorization: authorization.map(Secret::new),
            };
            let refusal = refusal(&request, &token, 80);
            assert_eq!(refusal.map(|refusal| refusal.status), expected, "{request:?}");
        }
    }

    #[test]
    fn the_document_is_whole() {
        let credentials = RoleCredentials {
            access_key_id: "ASIA".into(),
            secret_access_key: Secret::new("s"),
            session_token: Secret::new("t"),
            expires_at: Timestamp::from_epoch(1_795_366_800),
        };
        assert_eq!(
            document(&credentials, Some("012345678901")).as_str(),
            r#"{"AccessKeyId":"ASIA","SecretAccessKey":"s","Token":"t","Expiration":"2026-11-22T17:00:00Z","AccountId":"012345678901"}"#
        );
    }
}
