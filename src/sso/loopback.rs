//! The listener that the browser is sent back to: 127.0.0.1 only, one path, one `state` (RFC 8252 section 7.3).
//!
//! Scanners, favicons, silent connections and forged redirects are answered and ignored; only a redirect that carries
//! our `state` ends the wait.

use crate::core::credentials::Secret;
use crate::error::{Error, Result};
use httparse::Status;
use percent_encoding::percent_decode_str;
use std::collections::VecDeque;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

const PATH: &str = "/oauth/callback";
/// A browser sends its request at once; who does not is not a browser.
const READ_LIMIT: Duration = Duration::from_secs(20);
const MAX_REQUEST: usize = 16 * 1024;
/// At once. A browser says at once what it wants, so that of more than these the oldest is none.
const MAX_CONNECTIONS: usize = 64;

/// A bound listener; dropping it closes the port.
pub(super) struct Loopback {
    listener: TcpListener,
    port: u16,
}

/// What came back.
pub(crate) enum Callback {
    Code(Secret),
    /// OAuth's `error`, with its description if there is one.
    Denied(String),
}

impl Loopback {
    /// Binds `port`, or a free one.
    pub(super) async fn bind(port: Option<u16>) -> Result<Self> {
        let failed = |source| Error::Listen { port, source };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port.unwrap_or(0))).await.map_err(failed)?;
        let port = listener.local_addr().map_err(failed)?.port();
        Ok(Self { listener, port })
    }

    pub(super) fn redirect_uri(&self) -> String {
        format!("http://127.0.0.1:{}{PATH}", self.port)
    }

    /// Waits for the redirect that carries `state`. Every connection is served by itself, so that none can block
    /// another.
    pub(super) async fn callback(&self, state: &Secret) -> Callback {
        let state = Arc::new(state.clone());
        let (sender, mut receiver) = mpsc::channel(1);
        let mut serving = VecDeque::new();
        loop {
            tokio::select! {
                Some(callback) = receiver.recv() => return callback,
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, _)) => {
                        serving.retain(|served: &AbortHandle| !served.is_finished());
                        if serving.len() == MAX_CONNECTIONS && let Some(oldest) = serving.pop_front() {
                            oldest.abort();
                        }
                        serving.push_back(tokio::spawn(serve(stream, Arc::clone(&state), sender.clone())).abort_handle());
                    }
                    // Out of descriptors, perhaps: let those in use finish first.
                    Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
                },
            }
        }
    }
}

async fn serve(mut stream: TcpStream, state: Arc<Secret>, sender: mpsc::Sender<Callback>) {
    let Ok(Some(target)) = tokio::time::timeout(READ_LIMIT, read_target(&mut stream)).await else {
        return;
    };
    let callback = callback(&target, &state);
    let (status, title, text) = match &callback {
        Some(Callback::Code(_)) => ("200 OK", "Signed in", "You can close this tab and go back to your terminal."),
        Some(Callback::Denied(_)) => {
            ("200 OK", "Not signed in", "The sign-in was refused. You can close this tab; your terminal says more.")
        }
        None => ("404 Not Found", "Not here", "This page waits for one sign-in of awsdir, and this was not it."),
    };
    let body = format!(
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content=\"width=device-width\">\
         <title>{title} – awsdir</title><style>body{{font:18px/1.5 system-ui,sans-serif;max-width:32em;\
         margin:20vh auto;padding:0 1em;color:#222}}@media(prefers-color-scheme:dark){{body{{background:#1b1b1b;\
         color:#ddd}}}}</style><h1>{title}</h1><p>{text}</p></html>\n"
    );
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {}\r\nCache-Control: no-store\r\n\
         Referrer-Policy: no-referrer\r\nContent-Security-Policy: default-src 'none'; style-src 'unsafe-inline'\r\n\
         Connection: close\r\n\r\n",
        body.len()
    );
    // The page goes out before the wait ends: afterwards the process may be gone.
    let answer = async {
        stream.write_all(head.as_bytes()).await?;
        stream.write_all(body.as_bytes()).await?;
        stream.shutdown().await
    };
    let _ = tokio::time::timeout(READ_LIMIT, answer).await;
    if let Some(callback) = callback {
        let _ = sender.send(callback).await;
    }
}

/// The target of the request that comes; `None` if none does.
async fn read_target(stream: &mut TcpStream) -> Option<String> {
    let mut buffer = Vec::new();
    loop {
        match target(&buffer)? {
            Status::Complete(target) => return Some(target),
            Status::Partial => {}
        }
        if stream.read_buf(&mut buffer).await.ok()? == 0 {
            return None;
        }
    }
}

/// The request target of a GET, once all of the request is there; `None` for what is no request. Another method's counts
/// as empty: it is on no path and is answered as such.
pub(crate) fn target(request: &[u8]) -> Option<Status<String>> {
    let mut headers = [httparse::EMPTY_HEADER; 100];
    let mut parsed = httparse::Request::new(&mut headers);
    match parsed.parse(request).ok()? {
        Status::Complete(_) => {
            let target = parsed.path.filter(|_| parsed.method == Some("GET"));
            Some(Status::Complete(target.unwrap_or_default().to_owned()))
        }
        Status::Partial => (request.len() < MAX_REQUEST).then_some(Status::Partial),
    }
}

/// What a request for `target` brings; `None` if it is not the redirect that carries `state`.
pub(crate) fn callback(target: &str, state: &Secret) -> Option<Callback> {
    let (path, query) = target.split_once('?')?;
    if path != PATH {
        return None;
    }
    let value = |name: &str| {
        let mut values = query.split('&').filter_map(|pair| pair.split_once('=')).filter(|(key, _)| *key == name);
        let (_, value) = values.next()?;
        let value = percent_decode_str(&value.replace('+', " ")).decode_utf8().ok()?.into_owned();
        values.next().is_none().then_some(value).filter(|value| !value.is_empty())
    };
    if value("state")? != state.expose() {
        return None;
    }
    if let Some(error) = value("error") {
        let description = value("error_description").map(|text| format!(": {text}")).unwrap_or_default();
        let shown = format!("{error}{description}");
        return Some(Callback::Denied(shown.chars().filter(|c| !c.is_control()).take(200).collect()));
    }
    value("code").map(|code| Callback::Code(Secret::new(code)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_our_path_with_our_state_counts() {
        let state = Secret::new("s/1");
        let outcome = |target: &str| match callback(target, &state) {
            Some(Callback::Code(code)) => format!("code {}", code.expose()),
            Some(Callback::Denied(why)) => format!("denied {why}"),
            None => "ignored".to_owned(),
        };
        let table = [
            ("/oauth/callback?code=a%2Bb+c&state=s%2F1", "code a+b c"),
            ("/oauth/callback?state=s/1&code=x&other", "code x"),
            (
                "/oauth/callback?error=access_denied&error_description=no%0Athanks&state=s/1",
                "denied access_denied: nothanks",
            ),
            ("/oauth/callback?code=x&state=wrong", "ignored"),
            ("/oauth/callback?code=x", "ignored"),
            ("/oauth/callback?error=access_denied", "ignored"),
            ("/oauth/callback?code=&state=s/1", "ignored"),
            ("/oauth/callback?code=x&code=y&state=s/1", "ignored"),
            ("/oauth/callback?code=x&state=s/1&state=s/1", "ignored"),
            ("/oauth/callback/?code=x&state=s/1", "ignored"),
            ("/OAuth/callback?code=x&state=s/1", "ignored"),
            ("http://127.0.0.1/oauth/callback?code=x&state=s/1", "ignored"),
            ("/favicon.ico", "ignored"),
            ("", "ignored"),
        ];
        for (target, expected) in table {
            assert_eq!(outcome(target), expected, "{target}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(target in "\\PC{0,80}") {
            let _ = callback(&target, &Secret::new("s"));
            let _ = callback(&format!("{PATH}?{target}"), &Secret::new("s"));
        }
    }
}
