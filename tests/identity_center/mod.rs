//! A loopback Identity Center: OIDC and the portal, and what else hands out credentials or answers "who am I" (STS with
//! its users and roles, the metadata services of instances and containers), over HTTP on 127.0.0.1.
//!
//! Shapes, names and status codes follow recordings of the AWS CLI and the SDKs. It checks what the
//! service checks (PKCE, redirect URI, client secrets, single use, `SigV4`), issues only unique
//! values, records every request, and misbehaves on demand ([`Fault`]). The integration tests and
//! `examples/sandbox` share it.

#![allow(dead_code, unreachable_pub)] // two users, each of a different part
#![allow(clippy::format_collect, clippy::struct_field_names)] // short beats fast here

mod browser;
mod connection;
mod credentials;
mod http;
mod iam;
mod metadata;
mod oidc;
mod portal;
mod signature;
mod sts;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

pub use browser::{BrowserBehaviour, Page};
pub use connection::{Fault, Operation};
pub use credentials::{Identity, IssuedCredentials};
pub use http::Request;
pub use iam::RoleSettings;
#[allow(unused_imports)] // `examples/sandbox` makes no users
pub use iam::UserKeys;
pub use oidc::Consent;

/// A running server. It stops, and every connection to it ends, when this is dropped.
pub struct IdentityCenter {
    shared: Arc<Shared>,
    accept: Option<JoinHandle<()>>,
}

/// What the server does next; every field may be changed while it runs.
#[derive(Clone)]
pub struct Settings {
    /// How long role credentials live (a permission set's session length).
    pub role_lifetime: Duration,
    /// How long what `AssumeRole` and `AssumeRoleWithWebIdentity` hand out lives, whatever is asked for; none for as
    /// long as is asked, or an hour.
    pub assumed_role_lifetime: Option<Duration>,
    /// How long what `GetSessionToken` hands out lives, whatever is asked for; none for as long as is asked, or 12 hours.
    pub session_token_lifetime: Option<Duration>,
    /// How long the credentials of an instance or a container live.
    pub metadata_lifetime: Duration,
    /// What has to come in the `Authorization` header for the credentials of a container, if anything.
    pub container_authorization: Option<String>,
    /// How long an access token lives (`expiresIn`).
    pub token_lifetime: Duration,
    /// How long after the sign-in refresh tokens work.
    pub session_lifetime: Duration,
    /// How long a client registration lives.
    pub registration_lifetime: Duration,
    /// How long a device code lives.
    pub device_lifetime: Duration,
    /// Least time between two polls for a device code; sent in whole seconds.
    pub device_interval: Duration,
    /// What the person at the browser does.
    pub consent: Consent,
    /// How the stand-in browser behaves.
    pub browser: BrowserBehaviour,
    /// Most entries on one page of a list, whatever `max_result` asks for.
    pub page_size: usize,
    /// The start URLs that exist here.
    pub start_urls: Vec<String>,
    /// Seconds by which its clock is ahead of this machine's, in the times that it tells.
    pub clock_ahead: i64,
}

impl Default for Settings {
    fn default() -> Self {
        let hours = Duration::from_hours;
        Self {
            role_lifetime: hours(1),
            assumed_role_lifetime: None,
            session_token_lifetime: None,
            metadata_lifetime: hours(6),
            container_authorization: None,
            token_lifetime: hours(1),
            session_lifetime: hours(8),
            registration_lifetime: hours(90 * 24),
            device_lifetime: Duration::from_mins(10),
            device_interval: Duration::from_secs(1),
            consent: Consent::Immediate,
            browser: BrowserBehaviour::Visit,
            page_size: 50,
            start_urls: vec![IdentityCenter::START_URL.into()],
            clock_ahead: 0,
        }
    }
}

impl IdentityCenter {
    /// The start URL of the default world: https and AWS-owned, as the AWS CLI demands, and never
    /// contacted.
    pub const START_URL: &str = "https://awsdir-sandbox.awsapps.com/start";
    /// Account ids and names of the default world.
    pub const ACCOUNTS: [(&str, &str); 3] =
        [("111111111111", "dev"), ("222222222222", "prod"), ("012345678901", "tools")];
    /// The permission sets, assigned in every account of the default world.
    pub const ROLES: [&str; 2] = ["ReadOnly", "Admin"];

    /// Starts a server with the default world on a free port of 127.0.0.1.
    pub fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free loopback port");
        let address = listener.local_addr().expect("the port just bound");
        let assignments = Self::ACCOUNTS
            .iter()
            .flat_map(|&(account, _)| Self::ROLES.map(|role| (account.to_owned(), role.to_owned())))
            .collect();
        let state = State { endpoint: format!("http://{address}"), assignments, ..State::default() };
        let shared = Arc::new(Shared { address, state: Mutex::new(state), changed: Condvar::new() });
        let accept = std::thread::spawn({
            let shared = Arc::clone(&shared);
            move || connection::accept(listener, &shared)
        });
        Self { shared, accept: Some(accept) }
    }

    /// `http://127.0.0.1:PORT`, for `AWS_ENDPOINT_URL_SSO`, `AWS_ENDPOINT_URL_SSO_OIDC`,
    /// `AWS_ENDPOINT_URL_STS` and `AWS_EC2_METADATA_SERVICE_ENDPOINT`.
    pub fn endpoint(&self) -> String {
        self.shared.lock().endpoint.clone()
    }

    /// Changes settings, for requests from now on.
    pub fn settings(&self, change: impl FnOnce(&mut Settings)) {
        change(&mut self.shared.lock().settings);
    }

    /// Makes the next `times` requests for `operation` fail that way; several faults act in the
    /// order injected.
    pub fn inject(&self, operation: Operation, fault: Fault, times: usize) {
        self.shared.lock().faults.extend(std::iter::repeat_n((operation, fault), times));
    }

    /// Takes back what no request has met yet.
    pub fn clear_faults(&self) {
        self.shared.lock().faults.clear();
    }

    /// How many injected faults no request has met yet.
    pub fn faults_left(&self) -> usize {
        self.shared.lock().faults.len()
    }

    /// Resets the next `times` connections as they come, before anything is read.
    pub fn reset_connections(&self, times: usize) {
        self.shared.lock().resets = times;
    }

    /// How many connections have come so far, whatever became of them.
    pub fn connections(&self) -> usize {
        self.shared.lock().accepted
    }

    /// Closes the port: who connects is refused from now on.
    pub fn hang_up(&self) {
        self.shared.lock().hung_up = true;
        drop(TcpStream::connect(self.shared.address)); // wakes the accept loop
        self.shared.wait(FOR_EVER, |state| state.closed);
    }

    /// Opens the port again.
    pub fn listen_again(&self) {
        self.shared.update(|state| state.hung_up = false);
        self.shared.wait(FOR_EVER, |state| !state.closed);
    }

    /// Every request received so far, in order of arrival.
    pub fn requests(&self) -> Vec<Request> {
        self.shared.lock().requests.clone()
    }

    /// How many requests for `operation` have been received.
    pub fn count(&self, operation: Operation) -> usize {
        self.shared.lock().count(operation)
    }

    /// Forgets the requests recorded so far.
    pub fn clear_requests(&self) {
        self.shared.lock().requests.clear();
    }

    /// Waits until `n` requests for `operation` have been received (not yet answered, perhaps);
    /// false on timeout.
    pub fn wait_for(&self, operation: Operation, n: usize, timeout: Duration) -> bool {
        self.shared.wait(timeout, |state| state.count(operation) >= n)
    }

    /// The portal answers 401 to every access token issued so far, whatever its `expiresAt` says;
    /// refresh tokens still work. An expired token looks the same on the wire.
    pub fn revoke_access_tokens(&self) {
        self.shared.lock().access_tokens.clear();
    }

    /// Ends every session: its refresh tokens give `invalid_grant`. Access tokens work until they
    /// expire.
    pub fn revoke_sessions(&self) {
        self.shared.lock().sessions.clear();
    }

    /// Takes a permission set away in one account: the portal answers 403 from now on.
    pub fn unassign(&self, account: &str, role_name: &str) {
        self.shared.lock().assignments.retain(|(a, r)| (a.as_str(), r.as_str()) != (account, role_name));
    }

    /// Forgets every client registration: its id gives `invalid_client`.
    pub fn drop_registrations(&self) {
        self.shared.lock().clients.clear();
    }

    /// The person approves a device authorization; false when there is no such user code.
    pub fn approve_device(&self, user_code: &str) -> bool {
        oidc::decide_device(&mut self.shared.lock(), user_code, true)
    }

    /// The person refuses a device authorization; false when there is no such user code.
    pub fn deny_device(&self, user_code: &str) -> bool {
        oidc::decide_device(&mut self.shared.lock(), user_code, false)
    }

    /// Whose an access key id is, if this server issued it.
    pub fn caller_of(&self, access_key_id: &str) -> Option<Identity> {
        self.shared.lock().issued(access_key_id).map(|issued| issued.identity.clone())
    }

    /// All credentials issued so far, in order: of roles, by whichever service, and of users.
    pub fn issued_credentials(&self) -> Vec<IssuedCredentials> {
        self.shared.lock().issued.clone()
    }

    /// Writes the stand-in browser (an executable bash script, for `BROWSER`) into `dir` and
    /// returns its path.
    pub fn browser_script(&self, dir: &Path) -> PathBuf {
        browser::write_script(self.shared.address, dir)
    }

    /// The URLs that the stand-in browser was asked to open, in order.
    pub fn browser_opens(&self) -> Vec<String> {
        self.shared.lock().browser_opens.clone()
    }

    /// The pages at which the stand-in browser ended up, in order.
    pub fn pages(&self) -> Vec<Page> {
        self.shared.lock().pages.clone()
    }

    /// Waits until the stand-in browser has been asked to open `n` URLs; false on timeout.
    pub fn wait_for_browser(&self, n: usize, timeout: Duration) -> bool {
        self.shared.wait(timeout, |state| state.browser_opens.len() >= n)
    }

    /// Waits until the stand-in browser has ended up at `n` pages; false on timeout.
    pub fn wait_for_pages(&self, n: usize, timeout: Duration) -> bool {
        self.shared.wait(timeout, |state| state.pages.len() >= n)
    }
}

impl Drop for IdentityCenter {
    fn drop(&mut self) {
        self.shared.lock().stopped = true;
        self.shared.changed.notify_all();
        drop(TcpStream::connect(self.shared.address)); // wakes the accept loop
        if let Some(accept) = self.accept.take() {
            accept.join().ok();
        }
        for (_, stream) in self.shared.lock().connections.drain() {
            stream.shutdown(Shutdown::Both).ok();
        }
    }
}

/// Longer than any test.
const FOR_EVER: Duration = Duration::from_hours(1);

/// What the connection threads share.
struct Shared {
    address: SocketAddr,
    state: Mutex<State>,
    /// Signalled whenever a request, a browser visit or a page is recorded, and at the end.
    changed: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn update<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let result = change(&mut self.lock());
        self.changed.notify_all();
        result
    }

    fn wait(&self, timeout: Duration, done: impl Fn(&State) -> bool) -> bool {
        let waited = self.changed.wait_timeout_while(self.lock(), timeout, |state| !done(state));
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }

    /// Lets time pass, but no longer than the server lives.
    fn pause(&self, duration: Duration) {
        self.wait(duration, |state| state.stopped);
    }
}

/// Everything the server knows. Handlers get it locked and do no I/O.
#[derive(Default)]
struct State {
    endpoint: String,
    settings: Settings,
    /// (account, permission set) pairs that the person has.
    assignments: Vec<(String, String)>,
    clients: HashMap<String, oidc::Client>,
    /// Authorizations that wait for a decision on the consent page, by id.
    undecided: HashMap<String, oidc::Authorization>,
    /// Approved authorizations, by code, and when the code stops working.
    codes: HashMap<String, (oidc::Authorization, SystemTime)>,
    devices: HashMap<String, oidc::Device>,
    /// When each session ends.
    sessions: HashMap<u64, SystemTime>,
    access_tokens: HashMap<String, portal::AccessToken>,
    refresh_tokens: HashMap<String, oidc::RefreshToken>,
    issued: Vec<IssuedCredentials>,
    /// The roles of IAM, by ARN.
    roles: HashMap<String, RoleSettings>,
    /// By serial number.
    mfa_devices: HashMap<String, iam::MfaDevice>,
    web_identities: Vec<iam::WebIdentity>,
    /// When each token of the instance metadata service stops working.
    metadata_tokens: HashMap<String, SystemTime>,
    faults: Vec<(Operation, Fault)>,
    requests: Vec<Request>,
    browser_opens: Vec<String>,
    pages: Vec<Page>,
    /// Open connections, so that stopping can end them.
    connections: HashMap<u64, TcpStream>,
    accepted: usize,
    /// How many more connections are reset as they come.
    resets: usize,
    /// Whether the port is to be closed, and whether it is.
    hung_up: bool,
    closed: bool,
    counter: u64,
    stopped: bool,
}

impl State {
    fn next(&mut self) -> u64 {
        self.counter += 1;
        self.counter
    }

    /// An opaque URL-safe value that was never issued before.
    fn unique(&mut self, prefix: &str) -> String {
        format!("{prefix}{:04}-{}", self.next(), URL_SAFE_NO_PAD.encode(random::<24>()))
    }

    fn count(&self, operation: Operation) -> usize {
        self.requests.iter().filter(|request| request.operation == operation).count()
    }

    fn issued(&self, access_key_id: &str) -> Option<&IssuedCredentials> {
        self.issued.iter().find(|issued| issued.access_key_id == access_key_id)
    }
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the system's random numbers");
    bytes
}

/// `n` characters of the RFC 4648 base32 alphabet, the one of access key ids and user codes.
fn random_base32<const N: usize>() -> String {
    random::<N>().map(|byte| char::from(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"[usize::from(byte & 31)])).iter().collect()
}

/// Standard base64 of `N` random bytes.
fn random_base64<const N: usize>() -> String {
    STANDARD_NO_PAD.encode(random::<N>())
}

/// Seconds since the epoch by the server's own clock.
fn told(state: &State, time: SystemTime) -> i64 {
    i64::try_from(since_epoch(time).as_secs()).unwrap_or(i64::MAX) + state.settings.clock_ahead
}

/// A time by the server's own clock, as `2026-11-22T17:30:13Z`.
fn told_text(state: &State, time: SystemTime) -> String {
    let time = OffsetDateTime::from_unix_timestamp(told(state, time)).expect("a time in this age");
    time.format(&Rfc3339).expect("a year of four digits")
}

/// Time since the epoch.
fn since_epoch(time: SystemTime) -> Duration {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}
