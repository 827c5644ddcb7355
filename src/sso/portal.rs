//! What Identity Center's services do, as the flow sees them: OIDC (`protocol.md` 3) and the portal (4).

use crate::core::credentials::{Registration, RoleCredentials, Secret};
use crate::error::Error;
use std::time::Duration;

/// The services, real or played. Every method is one request; retrying is the flow's business.
pub(crate) trait Portal {
    async fn register_client(&self, client: &Client) -> Result<Registration, Failure>;

    async fn start_device_authorization(
        &self,
        registration: &Registration,
        start_url: &str,
    ) -> Result<DeviceAuthorization, Failure>;

    async fn create_token(&self, registration: &Registration, grant: Grant<'_>) -> Result<IssuedToken, Failure>;

    async fn get_role_credentials(
        &self,
        access_token: &Secret,
        account_id: &str,
        role_name: &str,
    ) -> Result<RoleCredentials, Failure>;

    /// Ends the session at AWS.
    async fn logout(&self, access_token: &Secret) -> Result<(), Failure>;

    /// The OIDC endpoint, under which a browser finds `/authorize`; without a slash at its end.
    fn oidc_endpoint(&self) -> &str;
}

/// What RegisterClient is asked for.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    pub(crate) name: String,
    pub(crate) scopes: Vec<String>,
    /// For authorization code: the start URL. Absent for device code.
    pub(crate) issuer_url: Option<String>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Grant<'a> {
    AuthorizationCode { code: &'a Secret, code_verifier: &'a Secret, redirect_uri: &'a str },
    DeviceCode(&'a Secret),
    RefreshToken(&'a Secret),
}

/// A started device authorization.
#[derive(Clone, Debug)]
pub(crate) struct DeviceAuthorization {
    pub(crate) device_code: Secret,
    pub(crate) user_code: String,
    pub(crate) verification_uri: String,
    /// With the user code filled in.
    pub(crate) verification_uri_complete: String,
    pub(crate) expires_in: Duration,
    /// Between two polls.
    pub(crate) interval: Duration,
}

/// What CreateToken answers.
#[derive(Clone, Debug)]
pub(crate) struct IssuedToken {
    pub(crate) access_token: Secret,
    /// Seconds from its receipt.
    pub(crate) expires_in: i64,
    pub(crate) refresh_token: Option<Secret>,
}

/// Why a request had no success.
#[derive(Clone, Debug)]
pub(crate) enum Failure {
    /// The device code has not been confirmed yet.
    AuthorizationPending,
    /// Poll more slowly from now on.
    SlowDown,
    /// The person said no.
    AccessDenied,
    /// The device code ran out.
    ExpiredToken,
    /// The session is over, or the code or refresh token has been used.
    InvalidGrant,
    /// The client registration is not known any more.
    InvalidClient,
    /// The access token is dead, whatever its expiry says.
    Unauthorized,
    /// The permission set is not assigned, or the role is not for this caller.
    Forbidden(String),
    /// STS does not accept who asks: an access key, a session or a web identity that is over, or was never good.
    Rejected(String),
    Throttled {
        retry_after: Option<Duration>,
    },
    /// Nothing was sent.
    Unreachable {
        endpoint: String,
        cause: String,
    },
    /// What was sent had no answer; it may have been acted upon.
    NoAnswer {
        endpoint: String,
        cause: String,
    },
    /// Another answer.
    Other {
        status: Option<u16>,
        message: String,
        request_id: Option<String>,
    },
}

impl Failure {
    /// Whether the same request may be sent again: the service was not reached, did not do what was asked, or its answer
    /// was lost or garbled on the way. Not to be asked for requests that spend a code or a refresh token.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            Self::Throttled { .. } | Self::Unreachable { .. } | Self::NoAnswer { .. } => true,
            Self::Other { status, .. } => status.is_none_or(|status| !(300..500).contains(&status)),
            _ => false,
        }
    }

    /// Whether the service says that it did nothing, so that what was sent is not spent.
    pub(crate) fn is_throttling(&self) -> bool {
        matches!(self, Self::Throttled { .. })
    }

    /// The failure for people, where no rule of the flow has a better word for it.
    pub(crate) fn into_error(self, operation: &'static str) -> Error {
        let service = |message: &str, request_id| Error::Service { operation, message: message.to_owned(), request_id };
        match self {
            Self::Unreachable { endpoint, cause } => Error::Unreachable { endpoint, cause },
            Self::NoAnswer { endpoint, cause } => Error::NoAnswer { endpoint, operation, cause },
            Self::Throttled { .. } => Error::Throttled { operation },
            Self::Other { message, request_id, .. } => service(&message, request_id),
            Self::Forbidden(message) | Self::Rejected(message) => service(&message, None),
            Self::AuthorizationPending => service("the authorization is pending", None),
            Self::SlowDown => service("the service asks to slow down", None),
            Self::AccessDenied => service("access denied", None),
            Self::ExpiredToken => service("the code has expired", None),
            Self::InvalidGrant => service("the session is over", None),
            Self::InvalidClient => service("the client registration is not known", None),
            Self::Unauthorized => service("the access token is not accepted", None),
        }
    }
}
