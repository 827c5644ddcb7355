//! The redirect that ends a sign-in (RFC 8252 section 7.3): one path, one `state`.
//!
//! Scanners, favicons and forged redirects are answered and ignored; only a redirect that carries our `state` ends the
//! wait.

use super::loopback::{Loopback, Request, respond};
use crate::core::credentials::Secret;
use crate::error::{Error, Result};
use percent_encoding::percent_decode_str;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio::sync::mpsc;

const PATH: &str = "/oauth/callback";
/// At once. A browser says at once what it wants.
const MAX_CONNECTIONS: usize = 64;

/// Where the browser is sent back to; dropping it closes the port.
pub(super) struct Redirect(Loopback);

/// What came back.
pub(crate) enum Callback {
    Code(Secret),
    /// OAuth's `error`, with its description if there is one.
    Denied(String),
}

impl Redirect {
    /// Binds `port`, or a free one.
    pub(super) async fn bind(port: Option<u16>) -> Result<Self> {
        Loopback::bind(port).await.map(Self).map_err(|source| Error::Listen { port, whom: "the browser", source })
    }

    pub(super) fn uri(&self) -> String {
        format!("http://127.0.0.1:{}{PATH}", self.0.port())
    }

    /// Waits for the redirect that carries `state`.
    pub(super) async fn callback(&self, state: &Secret) -> Callback {
        let state = Arc::new(state.clone());
        let (sender, mut receiver) = mpsc::channel(1);
        let answer = move |request, stream| answer(request, stream, Arc::clone(&state), sender.clone());
        tokio::select! {
            Some(callback) = receiver.recv() => callback,
            never = self.0.serve(MAX_CONNECTIONS, answer) => match never {},
        }
    }
}

async fn answer(request: Request, mut stream: TcpStream, state: Arc<Secret>, sender: mpsc::Sender<Callback>) {
    // Another method is on no path.
    let callback = callback(if request.method == "GET" { &request.target } else { "" }, &state);
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
    let head = "Content-Type: text/html; charset=utf-8\r\nReferrer-Policy: no-referrer\r\n\
                Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'\r\n";
    // The page goes out before the wait ends: afterwards the process may be gone.
    respond(&mut stream, status, head, body.as_bytes()).await;
    if let Some(callback) = callback {
        let _ = sender.send(callback).await;
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
