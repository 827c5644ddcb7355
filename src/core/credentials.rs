//! What AWS hands out: client registrations, access tokens with their refresh tokens, role credentials; and access keys of
//! other origins.

use super::timestamp::Timestamp;
use serde::Deserialize;
use serde_json::Value;
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

/// The temporary credentials of one role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RoleCredentials {
    pub(crate) access_key_id: String,
    pub(crate) secret_access_key: Secret,
    pub(crate) session_token: Secret,
    pub(crate) expires_at: Timestamp,
}

/// Credentials of any origin: access keys of a person have no session token, and some have no end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Credentials {
    pub(crate) access_key_id: String,
    pub(crate) secret_access_key: Secret,
    pub(crate) session_token: Option<Secret>,
    pub(crate) expires_at: Option<Timestamp>,
}

/// Credentials of either type, to be handed on.
#[derive(Clone, Copy)]
pub(crate) struct Exported<'a> {
    pub(crate) access_key_id: &'a str,
    pub(crate) secret_access_key: &'a Secret,
    pub(crate) session_token: Option<&'a Secret>,
    pub(crate) expires_at: Option<Timestamp>,
}

impl<'a> From<&'a RoleCredentials> for Exported<'a> {
    fn from(credentials: &'a RoleCredentials) -> Self {
        Self {
            access_key_id: &credentials.access_key_id,
            secret_access_key: &credentials.secret_access_key,
            session_token: Some(&credentials.session_token),
            expires_at: Some(credentials.expires_at),
        }
    }
}

impl<'a> From<&'a Credentials> for Exported<'a> {
    fn from(credentials: &'a Credentials) -> Self {
        Self {
            access_key_id: &credentials.access_key_id,
            secret_access_key: &credentials.secret_access_key,
            session_token: credentials.session_token.as_ref(),
            expires_at: credentials.expires_at,
        }
    }
}

impl From<RoleCredentials> for Credentials {
    fn from(credentials: RoleCredentials) -> Self {
        Self {
            access_key_id: credentials.access_key_id,
            secret_access_key: credentials.secret_access_key,
            session_token: Some(credentials.session_token),
            expires_at: Some(credentials.expires_at),
        }
    }
}

impl Credentials {
    /// Role credentials, if they have all that those have.
    pub(crate) fn into_role(self) -> Option<RoleCredentials> {
        Some(RoleCredentials {
            access_key_id: self.access_key_id,
            secret_access_key: self.secret_access_key,
            session_token: self.session_token?,
            expires_at: self.expires_at?,
        })
    }

    /// Out of what a `credential_process` prints (`protocol.md` 6.1).
    ///
    /// # Errors
    /// What is wrong with it, without a word of it: there are secrets in it.
    pub(crate) fn from_process(output: &[u8]) -> Result<Self, &'static str> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Document {
            #[serde(default)]
            version: Value,
            access_key_id: Option<String>,
            secret_access_key: Option<String>,
            session_token: Option<String>,
            expiration: Option<String>,
        }
        let document: Document =
            serde_json::from_slice(output).map_err(|_| "what it printed is not the JSON document")?;
        if document.version != 1 {
            return Err("`Version` is not the number 1");
        }
        let some = |text: Option<String>| text.filter(|text| !text.is_empty());
        let secret_access_key = some(document.secret_access_key).map(Secret::new);
        let expires_at = match some(document.expiration) {
            Some(text) => Some(Timestamp::parse(&text).ok_or("`Expiration` is not a time")?),
            None => None,
        };
        Ok(Self {
            access_key_id: some(document.access_key_id).ok_or("it has no `AccessKeyId`")?,
            secret_access_key: secret_access_key.ok_or("it has no `SecretAccessKey`")?,
            session_token: some(document.session_token).map(Secret::new),
            expires_at,
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
        for shown in [format!("{credentials:?}"), format!("{:?}", Credentials::from(credentials))] {
            assert!(!shown.contains("hide-me") && !shown.contains("me-too"), "{shown}");
        }
    }

    #[test]
    fn what_a_process_prints() {
        let read = |text: &str| Credentials::from_process(text.as_bytes());
        let whole = r#"{"Version": 1, "AccessKeyId": "a", "SecretAccessKey": "s", "SessionToken": "t",
            "Expiration": "2026-11-22T17:00:00+00:00", "AccountId": "1", "Other": {}}"#;
        let credentials = read(whole).unwrap();
        assert_eq!(credentials.expires_at, Timestamp::parse("2026-11-22T17:00:00Z"));
        assert!(credentials.into_role().is_some());
        let keys = read(r#"{"Version": 1, "AccessKeyId": "a", "SecretAccessKey": "s", "SessionToken": ""}"#).unwrap();
        assert_eq!((keys.session_token.as_ref(), keys.expires_at), (None, None));
        for (text, problem) in [
            ("", "what it printed is not the JSON document"),
            (r#"{"AccessKeyId": "a", "SecretAccessKey": "s"}"#, "`Version` is not the number 1"),
            (r#"{"Version": "1", "AccessKeyId": "a", "SecretAccessKey": "s"}"#, "`Version` is not the number 1"),
            (r#"{"Version": 1, "SecretAccessKey": "s"}"#, "it has no `AccessKeyId`"),
            (r#"{"Version": 1, "AccessKeyId": "a", "SecretAccessKey": null}"#, "it has no `SecretAccessKey`"),
            (
                r#"{"Version": 1, "AccessKeyId": "a", "SecretAccessKey": "s", "Expiration": "soon"}"#,
                "`Expiration` is not a time",
            ),
        ] {
            assert_eq!(read(text), Err(problem), "{text}");
        }
    }
}
