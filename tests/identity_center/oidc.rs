//! The OIDC service: client registrations, the two ways to sign in, tokens; and the pages that
//! a person sees.

use std::time::{Duration, Instant, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::http::{Answer, Reply, Request, encode, escape};
use super::portal::AccessToken;
use super::{State, random_base32, told};

/// The scope that reaches the portal; only with it comes a refresh token.
const ACCOUNT_ACCESS: &str = "sso:account:access";
const AUTHORIZATION_CODE: &str = "authorization_code";
/// How long an authorization code may be redeemed.
const CODE_LIFETIME: Duration = Duration::from_mins(10);

/// What the person at the browser does when asked for consent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consent {
    /// Has agreed before: the answer comes without a page.
    Immediate,
    /// Sees a page with two buttons. The stand-in browser clicks Approve.
    Page,
    /// Refuses.
    Deny,
    /// Sees a page and walks away.
    Ignore,
}

pub(super) struct Client {
    secret: String,
    name: String,
    scopes: Vec<String>,
    grant_types: Vec<String>,
    redirect_uris: Vec<String>,
    start_url: String,
    expires: SystemTime,
}

impl Client {
    fn may(&self, grant_type: &str) -> bool {
        self.grant_types.iter().any(|grant| grant == grant_type)
    }

    fn alive(&self) -> bool {
        self.expires > SystemTime::now()
    }
}

pub(super) struct Authorization {
    client_id: String,
    redirect_uri: String,
    state: String,
    challenge: String,
    scopes: Vec<String>,
}

pub(super) struct Device {
    client_id: String,
    user_code: String,
    start_url: String,
    approved: Option<bool>,
    expires: SystemTime,
    polls: usize,
    last_poll: Instant,
}

pub(super) struct RefreshToken {
    client_id: String,
    session: u64,
    scopes: Vec<String>,
}

/// An OAuth error: 400 (401 for `invalid_client`), with the exception's name in a header.
fn error<'a>(code: &str, description: impl Into<Option<&'a str>>) -> Reply {
    let status = if code == "invalid_client" { 401 } else { 400 };
    let words = code.split('_').map(|word| word[..1].to_uppercase() + &word[1..]);
    let body = json!({ "error": code, "error_description": description.into() });
    Reply::json(status, &body).with("x-amzn-ErrorType", words.collect::<String>() + "Exception")
}

pub(super) fn register_client(state: &mut State, request: &Request) -> Answer {
    let now = SystemTime::now();
    let client = Client {
        secret: state.unique("eyJ-secret-"),
        name: request.field("clientName").to_owned(),
        scopes: request.list("scopes"),
        grant_types: request.list("grantTypes"),
        redirect_uris: request.list("redirectUris"),
        start_url: request.field("issuerUrl").to_owned(),
        expires: now + state.settings.registration_lifetime,
    };
    if client.name.is_empty() || request.field("clientType") != "public" {
        return Err(error("invalid_client_metadata", "a client needs a name and the type public"));
    }
    if client.may(AUTHORIZATION_CODE) {
        known_start_url(state, &client.start_url)?;
        let loopback = client.redirect_uris.iter().all(|uri| without_port(uri).is_some());
        if client.redirect_uris.is_empty() || !loopback {
            return Err(error("invalid_redirect_uri", "only http on a loopback address"));
        }
    }
    let id = state.unique("client-");
    let reply = json!({
        "clientId": id, "clientSecret": client.secret,
        "clientIdIssuedAt": told(state, now),
        "clientSecretExpiresAt": told(state, client.expires),
        "authorizationEndpoint": null, "tokenEndpoint": null,
    });
    state.clients.insert(id, client);
    Ok(Reply::json(200, &reply))
}

pub(super) fn start_device_authorization(state: &mut State, request: &Request) -> Answer {
    client(state, request)?;
    known_start_url(state, request.field("startUrl"))?;
    let device_code = state.unique("device-");
    let user_code = format!("{}-{}", random_base32::<4>(), random_base32::<4>());
    let page = format!("{}/device", state.endpoint);
    let lifetime = state.settings.device_lifetime;
    let reply = json!({
        "deviceCode": device_code, "userCode": user_code,
        "verificationUri": page, "verificationUriComplete": format!("{page}?user_code={user_code}"),
        "expiresIn": lifetime.as_secs(), "interval": state.settings.device_interval.as_secs(),
    });
    let device = Device {
        client_id: request.field("clientId").to_owned(),
        user_code,
        start_url: request.field("startUrl").to_owned(),
        approved: None,
        expires: SystemTime::now() + lifetime,
        polls: 0,
        last_poll: Instant::now(),
    };
    state.devices.insert(device_code, device);
    Ok(Reply::json(200, &reply))
}

pub(super) fn create_token(state: &mut State, request: &Request) -> Answer {
    let client = client(state, request)?;
    let client_id = request.field("clientId");
    let now = SystemTime::now();
    let refused = |why| error("invalid_grant", why);
    let (session, scopes) = match request.field("grantType") {
        AUTHORIZATION_CODE => {
            if !client.may(AUTHORIZATION_CODE) {
                return Err(error("unauthorized_client", "not registered for this grant"));
            }
            // Taken out whatever follows: a code works once.
            let known = state.codes.remove(request.field("code"));
            let mine = known.filter(|(code, ends)| code.client_id == client_id && *ends > now);
            let (code, _) = mine.ok_or_else(|| refused("Invalid code provided"))?;
            if code.redirect_uri != request.field("redirectUri") {
                return Err(refused("Invalid redirect uri provided"));
            }
            let digest = Sha256::digest(request.field("codeVerifier"));
            if code.challenge != URL_SAFE_NO_PAD.encode(digest) {
                return Err(refused("Invalid PKCE code verifier provided"));
            }
            (begin_session(state), code.scopes)
        }
        "urn:ietf:params:oauth:grant-type:device_code" => {
            let scopes = client.scopes.clone();
            poll_device(state, request.field("deviceCode"), client_id)?;
            (begin_session(state), scopes)
        }
        "refresh_token" => {
            let State { refresh_tokens, sessions, .. } = state;
            // Taken out: a refresh token works once.
            let mine = refresh_tokens.extract_if(|value, token| {
                let alive = sessions.get(&token.session).is_some_and(|ends| *ends > now);
                value == request.field("refreshToken") && token.client_id == client_id && alive
            });
            let (_, token) = { mine }.next().ok_or_else(|| refused("Invalid refresh token provided"))?;
            (token.session, token.scopes)
        }
        _ => return Err(error("unsupported_grant_type", None)),
    };
    Ok(issue_tokens(state, client_id, session, scopes))
}

/// Takes an approved device authorization out, or says why the client has to wait or give up.
fn poll_device(state: &mut State, device_code: &str, client_id: &str) -> Result<(), Reply> {
    let known = state.devices.get_mut(device_code);
    let mine = known.filter(|device| device.client_id == client_id);
    let device = mine.ok_or_else(|| error("invalid_grant", "Invalid device code provided"))?;
    if device.expires <= SystemTime::now() {
        return Err(error("expired_token", None));
    }
    let since_last = device.last_poll.elapsed();
    device.polls += 1;
    device.last_poll = Instant::now();
    match device.approved {
        Some(true) => {
            state.devices.remove(device_code);
            Ok(())
        }
        Some(false) => Err(error("access_denied", None)),
        // Clients ask once before they show the code and once right after: these may be close.
        None if device.polls > 2 && since_last < state.settings.device_interval => Err(error("slow_down", None)),
        None => Err(error("authorization_pending", None)),
    }
}

fn begin_session(state: &mut State) -> u64 {
    let session = state.next();
    let ends = SystemTime::now() + state.settings.session_lifetime;
    state.sessions.insert(session, ends);
    session
}

fn issue_tokens(state: &mut State, client_id: &str, session: u64, scopes: Vec<String>) -> Reply {
    let access_token = state.unique("aoa-");
    let lifetime = state.settings.token_lifetime;
    let mut reply = json!({
        "accessToken": access_token, "expiresIn": lifetime.as_secs(),
        "idToken": null, "tokenType": "Bearer",
    });
    let expires = SystemTime::now() + lifetime;
    state.access_tokens.insert(access_token, AccessToken { session, expires });
    if scopes.iter().any(|scope| scope == ACCOUNT_ACCESS) {
        let value = state.unique("aor-");
        reply["refreshToken"] = json!(value);
        let client_id = client_id.to_owned();
        state.refresh_tokens.insert(value, RefreshToken { client_id, session, scopes });
    }
    Reply::json(200, &reply)
}

/// `GET /authorize`. A wrong client or redirect URI is told to the person, all else to the client.
pub(super) fn authorize(state: &mut State, request: &Request) -> Answer {
    let text = |name: &str| request.parameter(name).to_owned();
    let asked = Authorization {
        client_id: text("client_id"),
        redirect_uri: text("redirect_uri"),
        state: text("state"),
        challenge: text("code_challenge"),
        scopes: text("scopes").split_whitespace().map(str::to_owned).collect(),
    };
    let client = state.clients.get(&asked.client_id).filter(|client| client.alive());
    let client = client.ok_or_else(|| Reply::page(400, "Unknown application", ""))?;
    let wanted = without_port(&asked.redirect_uri);
    if wanted.is_none() || !client.redirect_uris.iter().any(|uri| without_port(uri) == wanted) {
        return Err(Reply::page(400, "Wrong redirect URI", ""));
    }
    if text("response_type") != "code" {
        return Err(refusal(&asked, "unsupported_response_type", "only code"));
    }
    if text("code_challenge_method") != "S256" || asked.challenge.len() != 43 {
        return Err(refusal(&asked, "invalid_request", "a PKCE challenge (S256) is required"));
    }
    if !asked.scopes.iter().all(|scope| client.scopes.contains(scope)) {
        return Err(refusal(&asked, "invalid_scope", "not registered for this scope"));
    }
    Ok(match state.settings.consent {
        Consent::Immediate => approve(state, asked),
        Consent::Deny => denial(&asked),
        consent => {
            let facts = [
                ("Start URL", client.start_url.clone()),
                ("Application", client.name.clone()),
                ("Scopes", asked.scopes.join(" ")),
            ];
            let id = state.unique("consent-");
            let decide = format!("/authorize/decide?id={id}");
            state.undecided.insert(id, asked);
            consent_page(&facts, consent, &decide)
        }
    })
}

/// `GET /device`, with the user code filled in.
pub(super) fn verify_device(state: &mut State, request: &Request) -> Answer {
    let user_code = request.parameter("user_code");
    let device = state.devices.values().find(|device| device.user_code == user_code);
    let device = device.ok_or_else(|| {
        let form = "<form><input name=\"user_code\"> <button>Continue</button></form>";
        Reply::page(200, "Enter the code that your device shows", form)
    })?;
    let client = state.clients.get(&device.client_id);
    let client = client.ok_or_else(|| Reply::page(400, "Unknown application", ""))?;
    Ok(match state.settings.consent {
        consent @ (Consent::Page | Consent::Ignore) => {
            let facts = [
                ("Start URL", device.start_url.clone()),
                ("Application", client.name.clone()),
                ("Scopes", client.scopes.join(" ")),
                ("Code", user_code.to_owned()),
            ];
            consent_page(&facts, consent, &format!("/device/decide?user_code={user_code}"))
        }
        consent => device_decision(state, user_code, consent == Consent::Immediate),
    })
}

/// A click on one of the two buttons.
pub(super) fn decide(state: &mut State, request: &Request) -> Answer {
    let yes = request.parameter("decision") == "approve";
    if request.path == "/device/decide" {
        return Ok(device_decision(state, request.parameter("user_code"), yes));
    }
    let asked = state.undecided.remove(request.parameter("id"));
    let asked = asked.ok_or_else(|| Reply::page(400, "Decided already", ""))?;
    Ok(if yes { approve(state, asked) } else { denial(&asked) })
}

/// Approves or refuses a device authorization; false when there is no such user code.
pub(super) fn decide_device(state: &mut State, user_code: &str, yes: bool) -> bool {
    let mut devices = state.devices.values_mut();
    let device = devices.find(|device| device.user_code == user_code);
    device.map(|device| device.approved = Some(yes)).is_some()
}

fn device_decision(state: &mut State, user_code: &str, yes: bool) -> Reply {
    match (decide_device(state, user_code, yes), yes) {
        (false, _) => Reply::page(400, "Unknown code", ""),
        (true, true) => Reply::page(200, "Request approved", "<p>You can close this page.</p>"),
        (true, false) => Reply::page(200, "Request denied", "<p>You can close this page.</p>"),
    }
}

fn consent_page(facts: &[(&str, String)], answer: Consent, decide: &str) -> Reply {
    let row = |name, value| format!("<dt>{name}</dt><dd>{}</dd>\n", escape(value));
    let rows: String = facts.iter().map(|(name, value)| row(name, value)).collect();
    let decide = escape(decide);
    let buttons = match answer {
        Consent::Ignore => "<p>Nobody is here to decide.</p>".to_owned(),
        _ => ["Approve", "Deny"]
            .map(|label| (label, label.to_lowercase()))
            .map(|(label, yes)| format!("<a href=\"{decide}&amp;decision={yes}\">{label}</a>\n"))
            .concat(),
    };
    let content = format!("<dl>\n{rows}</dl>\n{buttons}");
    Reply::page(200, "Allow access to your data?", &content)
}

fn approve(state: &mut State, asked: Authorization) -> Reply {
    let code = state.unique("code-");
    let reply = callback(&asked, &[("code", &code)]);
    state.codes.insert(code, (asked, SystemTime::now() + CODE_LIFETIME));
    reply
}

fn denial(asked: &Authorization) -> Reply {
    refusal(asked, "access_denied", "The person refused")
}

fn refusal(asked: &Authorization, code: &str, description: &str) -> Reply {
    callback(asked, &[("error", code), ("error_description", description)])
}

/// Sends the browser back to the client.
fn callback(asked: &Authorization, parameters: &[(&str, &str)]) -> Reply {
    let pair = |(name, value): &(&str, &str)| format!("{name}={}&", encode(value));
    let query: String = parameters.iter().map(pair).collect();
    Reply::redirect(format!("{}?{query}state={}", asked.redirect_uri, encode(&asked.state)))
}

/// The client that a request names, if id and secret fit and the registration is alive.
fn client<'a>(state: &'a State, request: &Request) -> Result<&'a Client, Reply> {
    let known = state.clients.get(request.field("clientId")).filter(|client| client.alive());
    known
        .filter(|client| client.secret == request.field("clientSecret"))
        .ok_or_else(|| error("invalid_client", "Invalid client credentials provided"))
}

fn known_start_url(state: &State, start_url: &str) -> Result<(), Reply> {
    let bare = |url: &str| url.trim_end_matches(['/', '#']).to_owned();
    let mut known = state.settings.start_urls.iter();
    let found = known.find(|known| bare(known) == bare(start_url));
    found.map(drop).ok_or_else(|| error("invalid_request", "Invalid start url provided"))
}

/// Host and path of a loopback redirect URI, whose port does not count (RFC 8252, 7.3); none for
/// any other URI.
fn without_port(uri: &str) -> Option<(&str, &str)> {
    let (authority, path) = uri.strip_prefix("http://")?.split_once('/')?;
    let port = authority.rsplit_once(':').filter(|(_, port)| port.parse::<u16>().is_ok());
    let host = port.map_or(authority, |(host, _)| host);
    ["127.0.0.1", "[::1]", "localhost"].contains(&host).then_some((host, path))
}
