//! The world of IAM: users with long-lived keys and MFA devices, roles and whom they trust.

use std::time::Duration;

use super::http::{Reply, Request};
use super::sts::{denied, error, unsatisfied};
use super::{Identity, IdentityCenter, IssuedCredentials, State, random};

/// Whom a role trusts, and for how long.
#[derive(Clone, Debug)]
pub struct RoleSettings {
    /// How the ARNs of those begin whom it trusts; empty for everybody.
    pub trusts: String,
    /// What a caller has to say in `ExternalId`, if anything.
    pub external_id: Option<String>,
    /// Whether a caller has to show a code of its MFA device, now or for the session token that it comes with.
    pub requires_mfa: bool,
    /// The longest that a caller may ask for.
    pub max_duration: Duration,
}

impl Default for RoleSettings {
    fn default() -> Self {
        let (trusts, external_id) = (String::new(), None);
        Self { trusts, external_id, requires_mfa: false, max_duration: Duration::from_hours(1) }
    }
}

impl RoleSettings {
    pub(super) fn admits(&self, caller: &Identity, external_id: &str, second_factor: bool) -> bool {
        let named = self.external_id.as_ref().is_none_or(|wanted| wanted == external_id);
        caller.arn.starts_with(&self.trusts) && named && (second_factor || !self.requires_mfa)
    }
}

/// The long-lived keys of a user.
#[derive(Clone, Debug)]
pub struct UserKeys {
    pub access_key_id: String,
    pub secret_access_key: String,
}

/// What shows six digits to its user.
pub(super) struct MfaDevice {
    user: String,
    /// The code that it shows.
    code: u32,
}

impl MfaDevice {
    fn code(&self) -> String {
        format!("{:06}", self.code)
    }

    /// Shows another code, which none was in the last million.
    fn turn(&mut self) {
        self.code = (self.code + 271_829) % 1_000_000;
    }
}

/// A token of an identity provider, and the role that it is for.
pub(super) struct WebIdentity {
    role_arn: String,
    token: String,
    expired: bool,
}

impl IdentityCenter {
    /// Where the users are.
    pub const USERS_ACCOUNT: &str = "999999999999";

    /// Makes a user, or another pair of keys of one that there is.
    pub fn create_user(&self, name: &str) -> UserKeys {
        let issued = IssuedCredentials::long_lived(Identity::user(name));
        let (access_key_id, secret_access_key) = (issued.access_key_id.clone(), issued.secret_access_key.clone());
        self.shared.lock().issued.push(issued);
        UserKeys { access_key_id, secret_access_key }
    }

    /// Gives a user an MFA device; `serial` is its ARN, `arn:aws:iam::999999999999:mfa/NAME`.
    pub fn create_mfa_device(&self, user: &str, serial: &str) {
        let device = MfaDevice { user: user.to_owned(), code: u32::from_be_bytes(random()) % 1_000_000 };
        self.shared.lock().mfa_devices.insert(serial.to_owned(), device);
    }

    /// The code that an MFA device shows: the same until it is used, then another.
    pub fn mfa_code(&self, serial: &str) -> String {
        self.shared.lock().mfa_devices.get(serial).expect("a device created before").code()
    }

    /// Makes a role, or changes one that there is.
    pub fn create_role(&self, arn: &str, settings: RoleSettings) {
        self.shared.lock().roles.insert(arn.to_owned(), settings);
    }

    /// Accepts this token, with a line feed at its end or without, for this role, which is made if it is not there.
    pub fn trust_web_identity(&self, role_arn: &str, token: &str) {
        let (role_arn, token) = (role_arn.to_owned(), token.trim_end().to_owned());
        let mut state = self.shared.lock();
        state.roles.entry(role_arn.clone()).or_default();
        state.web_identities.push(WebIdentity { role_arn, token, expired: false });
    }

    /// Answers `ExpiredTokenException` to this token from now on.
    pub fn expire_web_identity(&self, token: &str) {
        let mut state = self.shared.lock();
        let known = state.web_identities.iter_mut();
        known.filter(|known| known.token == token.trim_end()).for_each(|known| known.expired = true);
    }
}

/// Whether the request comes with a code of the caller's MFA device. A code works once.
pub(super) fn second_factor(state: &mut State, request: &Request, caller: &Identity) -> Result<bool, Reply> {
    let failed = |why: &str| denied(request, &format!("MultiFactorAuthentication failed{why}"));
    let (serial, code) = (request.field("SerialNumber"), request.field("TokenCode"));
    match (serial, code) {
        ("", "") => return Ok(false),
        ("", _) | (_, "") => return Err(failed(", must provide both MFA serial number and one time pass code.")),
        _ => {}
    }
    if code.len() != 6 {
        return Err(unsatisfied(request, "TokenCode", "have length equal to 6"));
    }
    let device = state.mfa_devices.get_mut(serial);
    let device = device.filter(|device| Identity::user(&device.user) == *caller);
    let device = device.ok_or_else(|| {
        let advice = "Please verify your MFA serial number is valid and associated with this user.";
        failed(&format!(", unable to validate MFA code.  {advice}"))
    })?;
    if device.code() != code {
        return Err(failed(" with invalid MFA one time pass code."));
    }
    device.turn();
    Ok(true)
}

/// The role that is asked for, if the token of an identity provider that comes along is for it.
pub(super) fn role_of_web_identity<'a>(state: &'a State, request: &Request) -> Result<&'a RoleSettings, Reply> {
    let (role_arn, token) = (request.field("RoleArn"), request.field("WebIdentityToken").trim_end());
    let known: Vec<_> = state.web_identities.iter().filter(|known| known.token == token).collect();
    if known.is_empty() {
        let why = "The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)";
        return Err(error(request, 400, "InvalidIdentityToken", why));
    }
    if known.iter().any(|known| known.expired) {
        let why = "Token expired: current date/time must be before the expiration date/time";
        return Err(error(request, 400, "ExpiredTokenException", why));
    }
    let role = known.iter().find(|known| known.role_arn == role_arn).and_then(|_| state.roles.get(role_arn));
    role.ok_or_else(|| denied(request, "Not authorized to perform sts:AssumeRoleWithWebIdentity"))
}
