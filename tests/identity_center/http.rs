//! HTTP/1.1 messages: requests as recorded, replies as sent.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, Read as _};
use std::net::TcpStream;
use std::time::SystemTime;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde_json::Value;

use super::connection::Operation;
use super::random;

/// One request, as received.
#[derive(Clone, Debug)]
pub struct Request {
    pub operation: Operation,
    pub method: String,
    /// Without the query.
    pub path: String,
    /// Decoded; of a repeated name the last.
    pub query: BTreeMap<String, String>,
    pub raw_query: String,
    /// Names in lower case; values of a repeated name joined by commas.
    pub headers: BTreeMap<String, String>,
    /// JSON as sent, a form as an object of strings, anything else as a string, null when empty.
    pub body: Value,
    pub raw_body: Vec<u8>,
    /// The `x-amzn-RequestId` of the reply.
    pub request_id: String,
    /// The status answered; none when nothing was, or not yet.
    pub status: Option<u16>,
    /// When it was received.
    pub at: SystemTime,
}

impl Request {
    /// A header's value; empty when there is none.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// A query parameter, decoded; empty when there is none.
    pub fn parameter(&self, name: &str) -> &str {
        self.query.get(name).map_or("", String::as_str)
    }

    /// A string field of the body; empty when there is none.
    pub fn field(&self, name: &str) -> &str {
        self.body[name].as_str().unwrap_or_default()
    }

    /// A list-of-strings field of the body; empty when there is none.
    pub fn list(&self, name: &str) -> Vec<String> {
        let items = self.body[name].as_array().into_iter().flatten();
        items.filter_map(Value::as_str).map(str::to_owned).collect()
    }

    /// Reads the next request, but leaves its last byte in the socket: closing then makes the
    /// kernel send a reset. None at the end of the connection.
    pub(super) fn read(mut stream: &TcpStream) -> io::Result<Option<Self>> {
        let mut seen = Vec::new();
        let mut chunk = [0; 8192];
        loop {
            let ready = stream.peek(&mut chunk)?;
            if ready == 0 {
                return Ok(None);
            }
            let taken = seen.len();
            seen.extend_from_slice(&chunk[..ready]);
            if let Some((request, length)) = Self::parse(&seen)? {
                stream.read_exact(&mut chunk[..length - 1 - taken])?;
                return Ok(Some(request));
            }
            stream.read_exact(&mut chunk[..ready])?;
        }
    }

    /// The first request in `bytes` and its length; none while it is incomplete.
    fn parse(bytes: &[u8]) -> io::Result<Option<(Self, usize)>> {
        let mut headers = [httparse::EMPTY_HEADER; 64];
        let mut head = httparse::Request::new(&mut headers);
        let httparse::Status::Complete(body_start) = head.parse(bytes).map_err(io::Error::other)? else {
            return Ok(None);
        };
        let mut headers = BTreeMap::<String, String>::new();
        for header in head.headers.iter() {
            let value = String::from_utf8_lossy(header.value).trim().to_owned();
            let joined = headers.entry(header.name.to_ascii_lowercase());
            joined.and_modify(|all| write!(all, ",{value}").expect("a string")).or_insert(value);
        }
        let length = headers.get("content-length").map_or(Ok(0), |length| length.parse::<usize>());
        let end = body_start + length.map_err(io::Error::other)?;
        let Some(raw_body) = bytes.get(body_start..end) else {
            return Ok(None);
        };
        let text = String::from_utf8_lossy(raw_body);
        let content_type = headers.get("content-type").map_or("", String::as_str);
        let body = if text.is_empty() {
            Value::Null
        } else if content_type.starts_with("application/x-www-form-urlencoded") {
            pairs(&text).map(|(name, value)| (name, Value::String(value))).collect()
        } else {
            serde_json::from_str(&text).unwrap_or_else(|_| Value::String(text.to_string()))
        };
        let (path, raw_query) = {
            let target = head.path.unwrap_or_default();
            target.split_once('?').unwrap_or((target, ""))
        };
        let method = head.method.unwrap_or_default();
        let request = Self {
            operation: Operation::of(method, path, &body),
            method: method.to_owned(),
            path: path.to_owned(),
            query: pairs(raw_query).collect(),
            raw_query: raw_query.to_owned(),
            body,
            raw_body: raw_body.to_owned(),
            headers,
            request_id: format!("{:032x}", u128::from_be_bytes(random())),
            status: None,
            at: SystemTime::now(),
        };
        Ok(Some((request, end)))
    }
}

/// What a handler answers: done, or refused.
pub(super) type Answer = Result<Reply, Reply>;

/// One reply.
pub(super) struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Reply {
    pub fn new(status: u16, content_type: &str, body: impl Into<String>) -> Self {
        let (headers, body) = (Vec::new(), body.into());
        Self { status, headers, body }.with("Content-Type", content_type)
    }

    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    pub fn json(status: u16, body: &Value) -> Self {
        Self::new(status, "application/json", body.to_string())
    }

    pub fn redirect(location: String) -> Self {
        Self::new(302, "text/html; charset=utf-8", "").with("Location", location)
    }

    /// A page for people. `content` is HTML already.
    pub fn page(status: u16, title: &str, content: &str) -> Self {
        let html = format!(
            "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>{title}</title><style>\n\
             body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 32rem; margin: 4rem auto }}\n\
             dt {{ color: #666 }} dd {{ margin: 0 0 .7rem }}\n\
             a {{ display: inline-block; padding: .4rem 1rem; margin-right: .7rem; color: #2456a6; \
             border: 1px solid; border-radius: .3rem; text-decoration: none }}\n\
             </style>\n<h1>{title}</h1>\n{content}\n</html>\n"
        );
        Self::new(status, "text/html; charset=utf-8", html)
    }

    /// The reply on the wire.
    pub fn bytes(&self, request_id: &str) -> Vec<u8> {
        let mut head = format!("HTTP/1.1 {} \r\n", self.status); // the reason may be empty
        for (name, value) in &self.headers {
            write!(head, "{name}: {value}\r\n").expect("a string");
        }
        let (body, length) = (&self.body, self.body.len());
        format!("{head}x-amzn-RequestId: {request_id}\r\nContent-Length: {length}\r\n\r\n{body}").into()
    }
}

/// The decoded name-value pairs of a query or a form.
pub(super) fn pairs(text: &str) -> impl Iterator<Item = (String, String)> {
    let decode = |part: &str| percent_decode_str(&part.replace('+', " ")).decode_utf8_lossy().into_owned();
    text.split('&').filter(|pair| !pair.is_empty()).map(move |pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decode(name), decode(value))
    })
}

/// Percent-encodes everything but the unreserved characters of RFC 3986, as `SigV4` does.
pub(super) fn encode(text: &str) -> String {
    const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
    utf8_percent_encode(text, RESERVED).to_string()
}

/// Text made safe for HTML and XML.
pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
