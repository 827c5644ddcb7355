//! One thread a connection: read a request, meet a fault or act, answer.

use std::io::{self, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustix::io::Errno;
use rustix::net::sockopt::{set_socket_linger, set_socket_reuseaddr};
use rustix::net::{AddressFamily, SocketType};
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::http::{Reply, Request};
use super::{FOR_EVER, Shared, State, browser, metadata, oidc, portal, sts, told};

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    RegisterClient,
    StartDeviceAuthorization,
    /// All three grants; tell them apart by `grantType` in the body.
    CreateToken,
    /// `GET /authorize`, by the browser.
    Authorize,
    /// `GET /device`, by the browser.
    VerifyDevice,
    /// A click on a consent page.
    Decide,
    GetRoleCredentials,
    ListAccounts,
    ListAccountRoles,
    Logout,
    GetCallerIdentity,
    AssumeRole,
    AssumeRoleWithWebIdentity,
    GetSessionToken,
    /// All of `/latest/…`: the token, the name of the role, its credentials; tell them apart by the path.
    InstanceMetadata,
    ContainerCredentials,
    /// The stand-in browser reports the URL it was started with.
    Browser,
    /// Anything else.
    Unknown,
}

impl Operation {
    pub(super) fn of(method: &str, path: &str, body: &Value) -> Self {
        match (method, path) {
            ("POST", "/client/register") => Self::RegisterClient,
            ("POST", "/device_authorization") => Self::StartDeviceAuthorization,
            ("POST", "/token") => Self::CreateToken,
            ("GET", "/authorize") => Self::Authorize,
            ("GET", "/device") => Self::VerifyDevice,
            ("GET", "/authorize/decide" | "/device/decide") => Self::Decide,
            ("GET", "/federation/credentials") => Self::GetRoleCredentials,
            ("GET", "/assignment/accounts") => Self::ListAccounts,
            ("GET", "/assignment/roles") => Self::ListAccountRoles,
            ("POST", "/logout") => Self::Logout,
            ("POST", "/browser") => Self::Browser,
            ("GET", "/container-credentials") => Self::ContainerCredentials,
            (_, path) if path.starts_with("/latest/") => Self::InstanceMetadata,
            ("POST", "/") => match body["Action"].as_str() {
                Some("GetCallerIdentity") => Self::GetCallerIdentity,
                Some("AssumeRole") => Self::AssumeRole,
                Some("AssumeRoleWithWebIdentity") => Self::AssumeRoleWithWebIdentity,
                Some("GetSessionToken") => Self::GetSessionToken,
                _ => Self::Unknown,
            },
            _ => Self::Unknown,
        }
    }

    const fn is_of_sts(self) -> bool {
        matches!(
            self,
            Self::GetCallerIdentity | Self::AssumeRole | Self::AssumeRoleWithWebIdentity | Self::GetSessionToken
        )
    }

    /// An error in the shape of the service that the operation belongs to.
    fn error(request: &Request, status: u16, name: &str, message: &str) -> Reply {
        match request.operation {
            Self::RegisterClient | Self::StartDeviceAuthorization | Self::CreateToken => {
                let server = status >= 500;
                let code = if server { "server_error" } else { "invalid_request" };
                let body = json!({ "error": code, "error_description": message });
                Reply::json(status, &body).with("x-amzn-ErrorType", name)
            }
            operation if operation.is_of_sts() => sts::error(request, status, name, message),
            Self::InstanceMetadata | Self::ContainerCredentials => metadata::error(request, status, name, message),
            _ => portal::error(status, name, message),
        }
    }
}

/// A way to misbehave.
#[derive(Clone, Debug)]
pub enum Fault {
    /// Wait, then act and answer as usual.
    Delay(Duration),
    /// Answer this instead of acting.
    Status { code: u16, headers: Vec<(String, String)>, body: String },
    /// 429, with `Retry-After` in seconds if given; instead of acting.
    Throttle { retry_after: Option<u64> },
    /// 500 in the service's own shape; instead of acting.
    ServerError,
    /// 502 with an HTML page, as a proxy sends it; instead of acting.
    HtmlBadGateway,
    /// 400 with an error name that no service model has; instead of acting.
    UnknownError(String),
    /// An error of the service, in its own shape; instead of acting.
    Refusal { status: u16, name: String, message: String },
    /// Reset the connection instead of acting.
    Reset,
    /// Close the connection instead of acting.
    CloseBeforeActing,
    /// Act, then close the connection without an answer.
    CloseAfterActing,
    /// Never answer, until the client goes away.
    Hang,
    /// Act, then answer one byte at a time, waiting this long before each.
    SlowDrip(Duration),
    /// Act, then close after half of the body.
    Truncated,
    /// 200 with a body that is not JSON; instead of acting.
    InvalidJson,
    /// 200 without a body; instead of acting.
    Empty200,
    /// Act, but what is issued has expired already.
    ServeExpired,
}

/// Serves until the server stops.
pub(super) fn accept(mut listener: TcpListener, shared: &Arc<Shared>) {
    loop {
        let Ok((stream, _)) = listener.accept() else { continue };
        let mut state = shared.lock();
        if state.stopped {
            return;
        }
        if state.hung_up {
            drop(state);
            drop(listener);
            listener = closed(shared).expect("the port just left");
            if shared.lock().stopped {
                return;
            }
            continue;
        }
        state.accepted += 1;
        if state.resets > 0 {
            state.resets -= 1;
            // What is closed without lingering is reset.
            set_socket_linger(&stream, Some(Duration::ZERO)).ok();
            continue;
        }
        let id = state.next();
        if let Ok(handle) = stream.try_clone() {
            state.connections.insert(id, handle);
        }
        drop(state);
        let shared = Arc::clone(shared);
        std::thread::spawn(move || {
            serve(&shared, &stream).ok(); // the other side went away, or talks nonsense
            shared.lock().connections.remove(&id);
        });
    }
}

/// Holds the port, so that nobody is given it who asks for any, and listens only when that is wanted again.
fn closed(shared: &Shared) -> io::Result<TcpListener> {
    let socket = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None)?;
    set_socket_reuseaddr(&socket, true)?;
    while rustix::net::bind(&socket, &shared.address) == Err(Errno::ADDRINUSE) {
        // A process that is being started has the listener too until it becomes another program, and says nothing of that.
        std::thread::sleep(Duration::from_millis(1));
    }
    shared.update(|state| state.closed = true);
    shared.wait(FOR_EVER, |state| !state.hung_up || state.stopped);
    rustix::net::listen(&socket, 128)?;
    shared.update(|state| state.closed = false);
    Ok(socket.into())
}

fn serve(shared: &Arc<Shared>, mut stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    loop {
        let request = match Request::read(stream) {
            Ok(Some(request)) => request,
            Ok(None) => return Ok(()),
            // TLS, perhaps.
            Err(nonsense) => {
                let _ = stream.read(&mut [0; 8192])?;
                stream.write_all(&Reply::new(400, "text/plain", "").bytes(""))?;
                return Err(nonsense);
            }
        };
        // Asked by the other servers of a test, not by what is tested: it is not recorded, and meets no fault.
        if request.path == "/issued" {
            stream.read_exact(&mut [0])?;
            let reply = portal::issued(&shared.lock(), &request);
            stream.write_all(&reply.bytes(&request.request_id))?;
            continue;
        }
        let operation = request.operation;
        let fault = shared.update(|state| {
            state.requests.push(request.clone());
            let met = state.faults.iter().position(|(of, _)| *of == operation);
            met.map(|index| state.faults.remove(index).1)
        });
        if matches!(fault, Some(Fault::Reset)) {
            return Ok(());
        }
        stream.read_exact(&mut [0])?; // the byte that `Request::read` left
        let error = |status, name: &str, why| Operation::error(&request, status, name, why);
        let reply = match &fault {
            Some(Fault::Status { code, headers, body }) => {
                let (headers, body) = (headers.clone(), body.clone());
                Reply { status: *code, headers, body }
            }
            Some(Fault::Throttle { retry_after }) => {
                let reply = error(429, "TooManyRequestsException", "HTTP 429 Unknown Code");
                let seconds = retry_after.iter().map(u64::to_string);
                seconds.fold(reply, |reply, seconds| reply.with("Retry-After", seconds))
            }
            Some(Fault::ServerError) => error(500, "InternalServerException", "something broke"),
            Some(Fault::HtmlBadGateway) => Reply::page(502, "502 Bad Gateway", ""),
            Some(Fault::UnknownError(name)) => error(400, name, "nobody has heard of this"),
            Some(Fault::Refusal { status, name, message }) => error(*status, name, message),
            Some(Fault::CloseBeforeActing) => return Ok(()),
            Some(Fault::Hang) => return io::copy(&mut stream, &mut io::sink()).map(drop),
            Some(Fault::InvalidJson) => Reply::new(200, "application/json", "{\"accessToken\": "),
            Some(Fault::Empty200) => Reply::new(200, "application/json", ""),
            Some(Fault::ServeExpired) => shared.update(|state| {
                let usual = state.settings.clone();
                state.settings.role_lifetime = Duration::ZERO;
                state.settings.token_lifetime = Duration::ZERO;
                state.settings.assumed_role_lifetime = Some(Duration::ZERO);
                state.settings.session_token_lifetime = Some(Duration::ZERO);
                state.settings.metadata_lifetime = Duration::ZERO;
                let reply = act(state, &request);
                state.settings = usual;
                reply
            }),
            Some(Fault::Delay(duration)) => {
                shared.pause(*duration);
                shared.update(|state| act(state, &request))
            }
            _ if operation == Operation::Browser => {
                browser::open(shared, &String::from_utf8_lossy(&request.raw_body));
                Reply::new(200, "text/plain", "")
            }
            _ => shared.update(|state| act(state, &request)),
        };
        // By which clients learn that their clock is wrong.
        let reply = if operation.is_of_sts() { reply.with("Date", http_date(&shared.lock())) } else { reply };
        if matches!(fault, Some(Fault::CloseAfterActing)) {
            return Ok(());
        }
        shared.update(|state| {
            let mut recorded = state.requests.iter_mut();
            let mine = recorded.find(|mine| mine.request_id == request.request_id);
            mine.map(|mine| mine.status = Some(reply.status))
        });
        let bytes = reply.bytes(&request.request_id);
        match fault {
            Some(Fault::Truncated) => {
                return stream.write_all(&bytes[..bytes.len() - reply.body.len().div_ceil(2)]);
            }
            Some(Fault::SlowDrip(pace)) => {
                for byte in bytes {
                    shared.pause(pace);
                    stream.write_all(&[byte])?;
                }
            }
            _ => stream.write_all(&bytes)?,
        }
        if request.header("connection").eq_ignore_ascii_case("close") {
            return Ok(());
        }
    }
}

/// Now by the server's own clock, as `Sun, 22 Nov 2026 17:30:13 GMT`.
fn http_date(state: &State) -> String {
    let format = time::macros::format_description!(
        "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"
    );
    let now = OffsetDateTime::from_unix_timestamp(told(state, SystemTime::now())).expect("a time in this age");
    now.format(&format).expect("a date")
}

fn act(state: &mut State, request: &Request) -> Reply {
    let result = match request.operation {
        Operation::RegisterClient => oidc::register_client(state, request),
        Operation::StartDeviceAuthorization => oidc::start_device_authorization(state, request),
        Operation::CreateToken => oidc::create_token(state, request),
        Operation::Authorize => oidc::authorize(state, request),
        Operation::VerifyDevice => oidc::verify_device(state, request),
        Operation::Decide => oidc::decide(state, request),
        Operation::GetRoleCredentials => portal::get_role_credentials(state, request),
        Operation::ListAccounts => portal::list_accounts(state, request),
        Operation::ListAccountRoles => portal::list_account_roles(state, request),
        Operation::Logout => portal::logout(state, request),
        Operation::GetCallerIdentity => sts::get_caller_identity(state, request),
        Operation::AssumeRole => sts::assume_role(state, request),
        Operation::AssumeRoleWithWebIdentity => sts::assume_role_with_web_identity(state, request),
        Operation::GetSessionToken => sts::get_session_token(state, request),
        Operation::InstanceMetadata => metadata::instance_metadata(state, request),
        Operation::ContainerCredentials => metadata::container_credentials(state, request),
        _ => Err(portal::error(404, "UnknownOperationException", "no such operation")),
    };
    result.unwrap_or_else(|refusal| refusal)
}
