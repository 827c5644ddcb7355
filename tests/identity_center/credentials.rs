//! Credentials as issued, and who they act as.

use std::time::{Duration, SystemTime};

use sha2::{Digest as _, Sha256};

use super::signature::hex;
use super::{IdentityCenter, State, random_base32, random_base64};

/// Who credentials act as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    pub account: String,
    /// The permission set or the role; of a user, its name.
    pub role_name: String,
    pub(super) arn: String,
    /// As STS tells it.
    pub(super) user_id: String,
}

impl Identity {
    /// The person, with a permission set in an account.
    pub(super) fn permission_set(account: &str, role_name: &str) -> Self {
        let digest = digest(&format!("{account} {role_name}"));
        Self {
            account: account.to_owned(),
            role_name: role_name.to_owned(),
            arn: format!("arn:aws:sts::{account}:assumed-role/AWSReservedSSO_{role_name}_{digest}/sandbox"),
            user_id: format!("AROA{}:sandbox", digest.to_uppercase()),
        }
    }

    /// A session of the role with this ARN; none if no role can have it.
    pub(super) fn role(role_arn: &str, session_name: &str) -> Option<Self> {
        let ["arn", partition, "iam", "", account, resource] = role_arn.splitn(6, ':').collect::<Vec<_>>()[..] else {
            return None;
        };
        // A role may have a path, which its sessions do not show.
        let role_name = resource.strip_prefix("role/")?.rsplit('/').next()?;
        let number = account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
        (number && !role_name.is_empty()).then(|| Self {
            account: account.to_owned(),
            role_name: role_name.to_owned(),
            arn: format!("arn:{partition}:sts::{account}:assumed-role/{role_name}/{session_name}"),
            user_id: format!("AROA{}:{session_name}", digest(role_arn).to_uppercase()),
        })
    }

    pub(super) fn user(name: &str) -> Self {
        let account = IdentityCenter::USERS_ACCOUNT;
        let arn = format!("arn:aws:iam::{account}:user/{name}");
        let user_id = format!("AIDA{}", digest(&arn).to_uppercase());
        Self { account: account.to_owned(), role_name: name.to_owned(), arn, user_id }
    }

    /// The caller's ARN, as STS tells it.
    pub fn arn(&self) -> String {
        self.arn.clone()
    }

    /// Whether it is a role, by a permission set or not, and no user.
    pub(super) fn is_role(&self) -> bool {
        self.arn.contains(":assumed-role/")
    }
}

/// 16 hex digits, fixed for a text.
fn digest(text: &str) -> String {
    hex(&Sha256::digest(text)[..8])
}

/// Credentials as issued, secrets included.
#[derive(Clone, Debug)]
pub struct IssuedCredentials {
    pub access_key_id: String,
    pub secret_access_key: String,
    /// Empty for the long-lived keys of a user.
    pub session_token: String,
    /// Of long-lived keys: after every test.
    pub expires: SystemTime,
    pub identity: Identity,
    /// Whether the caller had shown a code of its MFA device.
    pub(super) second_factor: bool,
}

impl IssuedCredentials {
    /// New ones. Like the real ones: 20, 40 and a few hundred characters, some of which need quoting.
    pub(super) fn temporary(state: &mut State, identity: Identity, lifetime: Duration) -> Self {
        let n = state.next();
        Self {
            access_key_id: format!("ASIASANDBOX{}", random_base32::<9>()),
            session_token: format!("IQoJb3JpZ2lu//+{n:06}{}+/==", random_base64::<240>()),
            ..Self::new(identity, lifetime)
        }
    }

    /// New keys of a user.
    pub(super) fn long_lived(identity: Identity) -> Self {
        Self::new(identity, Duration::from_hours(10 * 365 * 24))
    }

    fn new(identity: Identity, lifetime: Duration) -> Self {
        let noise = random_base64::<27>();
        Self {
            access_key_id: format!("AKIASANDBOX{}", random_base32::<9>()),
            secret_access_key: format!("{}+/{}/+", &noise[..18], &noise[18..]),
            session_token: String::new(),
            expires: SystemTime::now() + lifetime,
            identity,
            second_factor: false,
        }
    }

    pub(super) fn is_long_lived(&self) -> bool {
        self.session_token.is_empty()
    }
}
