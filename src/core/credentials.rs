//! What Identity Center hands out: client registrations, access tokens with their refresh tokens, role credentials.

use super::timestamp::Timestamp;
use serde::Deserialize;
use std::fmt;
use zeroize::Zeroizing;

/// Text that must not be seen: overwritten in memory when dropped, never shown by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(Zeroizing<String>);

impl Secret {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// The text itself. Every use of this name is a place to look at in a review.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// The temporary credentials of one permission set in one account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RoleCredentials {
    pub(crate) access_key_id: String,
    pub(crate) secret_access_key: Secret,
    pub(crate) session_token: Secret,
    pub(crate) expires_at: Timestamp,
}

impl RoleCredentials {
    /// Out of what a `credential_process` prints (`protocol.md` 6.1), if it is that and says when they end.
    pub(crate) fn from_process(output: &[u8]) -> Option<Self> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Document {
            version: u8,
            access_key_id: String,
            secret_access_key: String,
            session_token: String,
            expiration: String,
        }
        let document: Document = serde_json::from_slice(output).ok()?;
        (document.version == 1).then_some(Self {
            access_key_id: document.access_key_id,
            secret_access_key: Secret::new(document.secret_access_key),
            session_token: Secret::new(document.session_token),
            expires_at: Timestamp::parse(&document.expiration)?,
        })
    }
}

/// A public OIDC client as RegisterClient made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Registration {
    pub(crate) client_id: String,
    pub(crate) client_secret: Secret,
    pub(crate) expires_at: Timestamp,
}

impl Registration {
    /// Seconds that must be left for a registration to be used for a new sign-in, as the AWS CLI has it.
    const MARGIN: i64 = 15 * 60;

    pub(crate) fn usable(&self, now: Timestamp) -> bool {
        self.expires_at.since(now) >= Self::MARGIN
    }
}

/// An access token of Identity Center with what renews it.
#[expect(clippy::struct_field_names, reason = "access token and refresh token are the protocol's names")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) access_token: Secret,
    pub(crate) expires_at: Timestamp,
    pub(crate) refresh_token: Option<Secret>,
    pub(crate) registration: Option<Registration>,
}

impl Token {
    /// The client registration and refresh token that CreateToken needs for a renewal without a person, if all of
    /// that is at hand and the registration has not run out.
    pub(crate) fn renewal(&self, now: Timestamp) -> Option<(&Registration, &Secret)> {
        let registration = self.registration.as_ref()?;
        let refresh_token = self.refresh_token.as_ref()?;
        (registration.expires_at > now).then_some((registration, refresh_token))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_secret() {
        let credentials = RoleCredentials {
            access_key_id: "ASIAEXAMPLE".into(),
            secret_access_key: Secret::new("hide-me"),
            session_token: Secret::new("me-too"),
            expires_at: Timestamp::from_epoch(0),
        };
        let shown = format!("{credentials:?}");
        assert!(!shown.contains("hide-me") && !shown.contains("me-too"), "{shown}");
    }
}
