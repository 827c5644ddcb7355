//! Signing a person in: authorization code with PKCE in the browser, or a device code where no redirect can reach us.

use super::browser::Browser;
use super::portal::{Client, Failure, Grant, IssuedToken, Portal};
use super::random_text;
use super::redirect::{Callback, Redirect};
use super::retry::{PATIENCE, patiently};
use crate::context::{self, Context, eprint_line};
use crate::core::credentials::{Registration, Secret, Token};
use crate::core::profile::{Profile, SsoSession};
use crate::error::{Error, Result};
use crate::store::aws_cache;
use crate::store::settings::{Flow, SessionSettings};
use base64_simd::URL_SAFE_NO_PAD;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::{Digest as _, Sha256};
use std::cell::RefCell;
use std::time::Duration;
use tokio::time::Instant;
use zeroize::Zeroizing;

/// How to sign in, as flags and settings say.
#[derive(Clone, Debug)]
pub(crate) struct How {
    /// `None`: PKCE if a redirect can reach us, else device code.
    pub(crate) flow: Option<Flow>,
    /// Ask before anything else.
    pub(crate) ask: bool,
    /// `false`: the person opens the page.
    pub(crate) open_browser: bool,
    pub(crate) browser: Option<String>,
    pub(crate) port: Option<u16>,
    /// How long the person has.
    pub(crate) timeout: Duration,
}

impl How {
    /// What the settings of a session say.
    pub(crate) fn from_settings(settings: SessionSettings) -> Self {
        Self {
            flow: settings.flow,
            ask: false,
            open_browser: true,
            browser: settings.browser,
            port: settings.port,
            timeout: Duration::from_mins(5),
        }
    }
}

/// What the sign-in is for, in words for the person who is about to approve it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Purpose {
    /// By the name that `awsdir login` takes.
    pub(crate) profile: Option<String>,
    /// A role that is in no config, by what it goes by.
    role: Option<String>,
    /// The dotfile that asks for it.
    pub(crate) dotfile: Option<std::path::PathBuf>,
}

impl Purpose {
    /// For the credentials of `profile`.
    pub(crate) fn of(profile: &Profile, dotfile: Option<std::path::PathBuf>) -> Self {
        let name = Some(profile.name().to_owned());
        let (profile, role) = if profile.is_in_config() { (name, None) } else { (None, name) };
        Self { profile, role, dotfile }
    }
}

/// Signs in and returns the token, which is not stored yet. Ctrl-C and the time limit end it.
pub(super) async fn sign_in(
    context: &Context,
    portal: &impl Portal,
    session: &SsoSession,
    how: &How,
    purpose: &Purpose,
) -> Result<Token> {
    let attempt = Attempt { context, portal, session, how, unanswered: RefCell::default() };
    announce(context, session, purpose);
    let signed_in = async {
        if how.ask && !confirmed().await {
            return Err(Error::SignInRefused { session: session.label().to_owned(), how: "declined".to_owned() });
        }
        attempt.run().await
    };
    tokio::select! {
        token = signed_in => token,
        interrupted = tokio::signal::ctrl_c() => Err(match interrupted {
            Ok(()) => Error::Interrupted,
            Err(source) => Error::System { doing: "watch for Ctrl-C", source },
        }),
        () = tokio::time::sleep(how.timeout) => Err(match attempt.unanswered.take() {
            // The person may well have finished.
            Some(failure) => failure.into_error("CreateToken"),
            None => Error::SignInTimedOut { session: session.label().to_owned(), seconds: how.timeout.as_secs() },
        }),
    }
}

fn announce(context: &Context, session: &SsoSession, purpose: &Purpose) {
    let profile = match (&purpose.profile, &purpose.role) {
        (Some(name), _) => format!(" for profile `{name}`"),
        (None, Some(role)) => format!(" for `{role}`"),
        (None, None) => String::new(),
    };
    let dotfile = purpose.dotfile.as_ref().map(|path| format!(", as `{}` asks", path.display())).unwrap_or_default();
    context.say(&format!("awsdir: signing in to `{}`{profile}{dotfile} (Ctrl-C to cancel)", session.label()));
}

async fn confirmed() -> bool {
    eprint_line("awsdir: sign in now? [Y/n]");
    let line = line_from_terminal().await;
    line.is_some_and(|line| matches!(line.trim().to_ascii_lowercase().as_str(), "" | "y" | "yes"))
}

/// What a person types; `None` at the end of the input. The line is read by a thread, so that Ctrl-C and a time limit are
/// heard meanwhile.
pub(super) async fn line_from_terminal() -> Option<Zeroizing<String>> {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let mut line = Zeroizing::new(String::new());
        let read = std::io::stdin().read_line(&mut line);
        let _ = sender.send(read.is_ok_and(|bytes| bytes > 0).then_some(line));
    });
    receiver.await.ok().flatten()
}

struct Attempt<'a, P> {
    context: &'a Context,
    portal: &'a P,
    session: &'a SsoSession,
    how: &'a How,
    /// Why the last poll for a token had no answer, if so.
    unanswered: RefCell<Option<Failure>>,
}

impl<P: Portal> Attempt<'_, P> {
    async fn run(&self) -> Result<Token> {
        let browser = Browser::find(self.context, self.how.browser.as_deref());
        let flow = choose_flow(self.context, self.session, self.how, browser.is_some());
        let browser = browser.filter(|_| self.how.open_browser);
        match self.run_once(flow, browser.as_ref()).await {
            // A registration that the service has forgotten is made anew, once.
            Err(Stop::Failed(Failure::InvalidClient, _)) => {
                aws_cache::remove_registration(self.context, self.session)?;
                self.run_once(flow, browser.as_ref()).await
            }
            other => other,
        }
        .map_err(|stop| self.explain(stop))
    }

    async fn run_once(&self, flow: Flow, browser: Option<&Browser>) -> Result<Token, Stop> {
        match flow {
            Flow::Pkce => self.pkce(browser).await,
            Flow::Device => self.device(browser).await,
        }
    }

    async fn registration(&self, flow: Flow) -> Result<Registration, Stop> {
        let cached = aws_cache::read_registration(self.context, self.session, flow, context::clock())?;
        if let Some(registration) = cached {
            return Ok(registration);
        }
        let client = Client {
            name: format!("awsdir-{}", self.session.name.as_deref().unwrap_or("legacy")),
            scopes: aws_cache::registration_scopes(self.session).unwrap_or_default(),
            issuer_url: (flow == Flow::Pkce).then(|| self.session.start_url.clone()),
        };
        let request = async || self.portal.register_client(&client).await;
        let registration = self.patiently("RegisterClient", Failure::is_transient, request).await?;
        aws_cache::write_registration(self.context, self.session, flow, &registration)?;
        Ok(registration)
    }

    async fn pkce(&self, browser: Option<&Browser>) -> Result<Token, Stop> {
        let registration = self.registration(Flow::Pkce).await?;
        let redirect = Redirect::bind(self.how.port).await?;
        let redirect_uri = redirect.uri();
        let (state, code_verifier) = (random_text()?, random_text()?);
        let url = self.authorize_url(&registration, &redirect_uri, &state, &code_verifier);
        let opened = browser.is_some_and(|browser| browser.open(&url));
        // What a person must act upon is said even with --quiet.
        eprint_line(if opened {
            "awsdir: approve it in your browser; if no page opens, open this one:"
        } else {
            "awsdir: open this page in a browser on this machine and approve it:"
        });
        eprint_line(&format!("  {url}"));
        let code = match redirect.callback(&state).await {
            Callback::Code(code) => code,
            Callback::Denied(why) if why.starts_with("access_denied") => {
                return Err(Stop::Failed(Failure::AccessDenied, "CreateToken"));
            }
            Callback::Denied(why) => return Err(self.refused(&format!("refused ({why})")).into()),
        };
        drop(redirect);
        let grant =
            Grant::AuthorizationCode { code: &code, code_verifier: &code_verifier, redirect_uri: &redirect_uri };
        // A code is spent by being sent.
        let request = async || self.portal.create_token(&registration, grant).await;
        let issued = self.patiently("CreateToken", Failure::is_throttling, request).await?;
        Ok(token(issued, registration))
    }

    async fn patiently<T>(
        &self,
        operation: &'static str,
        may_pass: fn(&Failure) -> bool,
        request: impl AsyncFn() -> Result<T, Failure>,
    ) -> Result<T, Stop> {
        let deadline = Instant::now() + PATIENCE;
        let answer = patiently(self.context, operation, deadline, may_pass, request).await;
        answer.map_err(|failure| Stop::Failed(failure, operation))
    }

    fn authorize_url(
        &self,
        registration: &Registration,
        redirect_uri: &str,
        state: &Secret,
        code_verifier: &Secret,
    ) -> String {
        /// What a query value keeps as it is (RFC 3986, unreserved).
        const KEEP: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
        let challenge = URL_SAFE_NO_PAD.encode_to_string(Sha256::digest(code_verifier.expose()));
        let scopes = aws_cache::registration_scopes(self.session).unwrap_or_default().join(" ");
        let query: Vec<String> = [
            ("response_type", "code"),
            ("client_id", &registration.client_id),
            ("redirect_uri", redirect_uri),
            ("state", state.expose()),
            ("code_challenge_method", "S256"),
            ("scopes", &scopes),
            ("code_challenge", &challenge),
        ]
        .iter()
        .map(|(key, value)| format!("{key}={}", utf8_percent_encode(value, KEEP)))
        .collect();
        format!("{}/authorize?{}", self.portal.oidc_endpoint(), query.join("&"))
    }

    async fn device(&self, browser: Option<&Browser>) -> Result<Token, Stop> {
        /// What being told to slow down adds to the interval (RFC 8628 section 3.5).
        const SLOWER: Duration = Duration::from_secs(5);
        let registration = self.registration(Flow::Device).await?;
        let request = async || self.portal.start_device_authorization(&registration, &self.session.start_url).await;
        let started = self.patiently("StartDeviceAuthorization", Failure::is_transient, request).await?;
        for address in [&started.verification_uri, &started.verification_uri_complete] {
            if !is_page(address) {
                let message = "the page it names for the sign-in is none".to_owned();
                let failure = Failure::Other { status: None, message, request_id: None };
                return Err(Stop::Failed(failure, "StartDeviceAuthorization"));
            }
        }
        if let Some(browser) = browser {
            browser.open(&started.verification_uri_complete);
        }
        eprint_line(&format!(
            "awsdir: open {} on any device and confirm the code {}",
            started.verification_uri, started.user_code
        ));
        eprint_line(&format!("  or straight: {}", started.verification_uri_complete));
        let run_out = Instant::now() + started.expires_in;
        let mut interval = started.interval;
        loop {
            tokio::time::sleep(interval).await;
            let answer = self.portal.create_token(&registration, Grant::DeviceCode(&started.device_code)).await;
            let unanswered = self.unanswered.take();
            match answer {
                Ok(issued) => return Ok(token(issued, registration)),
                Err(Failure::SlowDown) => interval += SLOWER,
                Err(Failure::AuthorizationPending) => {}
                // The code stays good while the network is away.
                Err(failure) if failure.is_transient() => {
                    self.context.detail("polling failed, trying again");
                    if let Failure::Throttled { retry_after } = failure {
                        interval += retry_after.unwrap_or_default().max(SLOWER);
                    }
                    self.unanswered.replace(Some(failure));
                }
                Err(failure) => {
                    // A code that is not accepted was spent for an answer that was lost.
                    let lost = unanswered.filter(|_| matches!(failure, Failure::InvalidGrant));
                    return Err(Stop::Failed(lost.unwrap_or(failure), "CreateToken"));
                }
            }
            if Instant::now() >= run_out {
                let why = self.unanswered.take().unwrap_or(Failure::ExpiredToken);
                return Err(Stop::Failed(why, "CreateToken"));
            }
        }
    }

    fn refused(&self, how: &str) -> Error {
        Error::SignInRefused { session: self.session.label().to_owned(), how: how.to_owned() }
    }

    fn explain(&self, stop: Stop) -> Error {
        match stop {
            Stop::Error(error) => error,
            Stop::Failed(Failure::AccessDenied, _) => self.refused("denied in the browser"),
            Stop::Failed(Failure::InvalidGrant, _) => self.refused("not completed, AWS does not accept its code"),
            Stop::Failed(Failure::ExpiredToken, _) => self.refused("not confirmed before its code ran out"),
            Stop::Failed(failure, operation) => failure.into_error(operation),
        }
    }
}

/// What ends an attempt.
enum Stop {
    Failed(Failure, &'static str),
    Error(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

fn token(issued: IssuedToken, registration: Registration) -> Token {
    Token {
        access_token: issued.access_token,
        expires_at: context::clock().plus(issued.expires_in),
        refresh_token: issued.refresh_token,
        registration: Some(registration),
    }
}

/// Whether an address that a service gave us may be handed to a browser: a page of the web, or of this machine.
fn is_page(address: &str) -> bool {
    let plain = |c: char| c.is_ascii_graphic();
    let local = ["http://127.0.0.1", "http://localhost", "http://[::1]"];
    let local = || {
        let rest = local.iter().find_map(|host| address.strip_prefix(host));
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with([':', '/', '?']))
    };
    address.chars().all(plain) && (address.starts_with("https://") || local())
}

/// PKCE unless a redirect cannot reach us: over SSH, where no browser is at hand, or for a legacy profile, whose
/// client can have no redirect.
fn choose_flow(context: &Context, session: &SsoSession, how: &How, browser: bool) -> Flow {
    if session.name.is_none() {
        return Flow::Device;
    }
    how.flow.unwrap_or_else(|| {
        let remote = ["SSH_CONNECTION", "SSH_TTY", "SSH_CLIENT"].iter().any(|name| context.var(name).is_some());
        if remote || !browser { Flow::Device } else { Flow::Pkce }
    })
}

#[cfg(test)]
mod tests {
    use super::is_page;

    #[test]
    fn only_pages_are_opened() {
        for page in [
            "https://device.sso.us-east-1.amazonaws.com/?user_code=AB",
            "http://127.0.0.1:8/device",
            "http://localhost",
        ] {
            assert!(is_page(page), "{page}");
        }
        for other in [
            "",
            "file:///etc/passwd",
            "http://example.com/",
            "http://127.0.0.1.example.com/",
            "javascript:alert(1)",
            "https://x/ y",
            "https://x/\u{1b}[31m",
            "--help",
        ] {
            assert!(!is_page(other), "{other}");
        }
    }
}
