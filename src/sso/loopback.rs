//! A port on 127.0.0.1 for one purpose: who comes is read, answered and sent away, one request a connection.

use crate::core::credentials::Secret;
use httparse::Status;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::net::Ipv4Addr;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;
use zeroize::Zeroizing;

/// Browsers and SDKs send their request at once; who does not is neither.
const TIME_LIMIT: Duration = Duration::from_secs(20);
const MAX_REQUEST: usize = 16 * 1024;

/// A bound listener; dropping it closes the port.
pub(super) struct Loopback {
    listener: TcpListener,
    port: u16,
}

/// The head of an HTTP request, as far as anybody here looks at it. What the other side sent: no more than that.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// As it stands in the request line.
    pub(crate) target: String,
    /// Of `Host`; `None` also where there are several.
    pub(crate) host: Option<String>,
    /// Of `Authorization`; `None` also where there are several.
    pub(crate) authorization: Option<Secret>,
}

impl Loopback {
    /// Binds `port`, or a free one.
    pub(super) async fn bind(port: Option<u16>) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port.unwrap_or(0))).await?;
        let port = listener.local_addr()?.port();
        Ok(Self { listener, port })
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// Has every request answered by `answer`, each connection by itself, so that none can block another. Of more than
    /// `at_most` at once the oldest is dropped: it has said nothing for the longest time.
    pub(super) async fn serve<Answer>(
        &self,
        at_most: usize,
        answer: impl Fn(Request, TcpStream) -> Answer + Clone + Send + 'static,
    ) -> Infallible
    where
        Answer: Future<Output = ()> + Send,
    {
        let mut served = VecDeque::new();
        loop {
            match self.listener.accept().await {
                Ok((mut stream, _)) => {
                    served.retain(|one: &AbortHandle| !one.is_finished());
                    if served.len() == at_most
                        && let Some(oldest) = served.pop_front()
                    {
                        oldest.abort();
                    }
                    let answer = answer.clone();
                    let serving = tokio::spawn(async move {
                        if let Ok(Some(request)) = tokio::time::timeout(TIME_LIMIT, read(&mut stream)).await {
                            answer(request, stream).await;
                        }
                    });
                    served.push_back(serving.abort_handle());
                }
                // Out of descriptors, perhaps: let those in use finish first.
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    }
}

/// The request that comes; `None` if none does.
async fn read(stream: &mut TcpStream) -> Option<Request> {
    let mut buffer = Zeroizing::new(Vec::new());
    loop {
        match parse(&buffer)? {
            Status::Complete(request) => return Some(request),
            Status::Partial => {}
        }
        if stream.read_buf(&mut *buffer).await.ok()? == 0 {
            return None;
        }
    }
}

/// The request, once all of its head is there; `None` for what is no request.
pub(crate) fn parse(bytes: &[u8]) -> Option<Status<Request>> {
    let mut headers = [httparse::EMPTY_HEADER; 100];
    let mut parsed = httparse::Request::new(&mut headers);
    match parsed.parse(bytes).ok()? {
        Status::Complete(_) => {
            let header = |name: &str| {
                let mut values = parsed.headers.iter().filter(|header| header.name.eq_ignore_ascii_case(name));
                let value = values.next().and_then(|header| std::str::from_utf8(header.value).ok());
                value.filter(|_| values.next().is_none()).map(str::to_owned)
            };
            Some(Status::Complete(Request {
                method: parsed.method.unwrap_or_default().to_owned(),
                target: parsed.path.unwrap_or_default().to_owned(),
                host: header("host"),
                authorization: header("authorization").map(Secret::new),
            }))
        }
        Status::Partial => (bytes.len() < MAX_REQUEST).then_some(Status::Partial),
    }
}

/// Answers, and closes the connection. `head` are further header lines, each with its end; nothing of it is kept by
/// anybody.
pub(super) async fn respond(stream: &mut TcpStream, status: &str, head: &str, body: &[u8]) {
    let head = format!(
        "HTTP/1.1 {status}\r\n{head}Content-Length: {}\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n",
        body.len()
    );
    let answer = async {
        stream.write_all(head.as_bytes()).await?;
        stream.write_all(body).await?;
        stream.shutdown().await
    };
    let _ = tokio::time::timeout(TIME_LIMIT, answer).await;
}
