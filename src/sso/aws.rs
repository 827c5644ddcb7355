//! The services at AWS, through the AWS SDKs. Retries are off: which request may be sent twice is a matter of the flow.

use super::http::{self, Http, innermost};
use super::portal::{Client, DeviceAuthorization, Failure, Grant, IssuedToken, Portal};
use crate::context::{self, Context};
use crate::core::credentials::{Registration, RoleCredentials, Secret};
use crate::core::profile::SsoSession;
use crate::core::timestamp::Timestamp;
use crate::error::Result;
use crate::store::profiles::Endpoints;
use aws_sdk_ssooidc::config::endpoint::{DefaultResolver, Params, ResolveEndpoint};
use aws_sdk_ssooidc::config::retry::RetryConfig;
use aws_sdk_ssooidc::config::timeout::TimeoutConfig;
use aws_sdk_ssooidc::config::{BehaviorVersion, Region, SharedHttpClient};
use aws_sdk_ssooidc::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_ssooidc::operation::RequestId;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use std::cell::OnceCell;
use std::future::Future as _;
use std::pin::pin;
use std::task::{self, Poll, Waker};
use std::time::Duration;

/// The clients of one sso-session, each made when it is first used: a renewal needs one, and making one is a good part of
/// its cost.
pub(crate) struct Aws {
    region: String,
    endpoints: Endpoints,
    http: SharedHttpClient,
    oidc: OnceCell<aws_sdk_ssooidc::Client>,
    oidc_endpoint: OnceCell<String>,
    sso: OnceCell<aws_sdk_sso::Client>,
    sso_endpoint: String,
}

impl Aws {
    /// Clients for `session`, at AWS's endpoints for its region unless `endpoints` says otherwise.
    pub(crate) fn new(context: &Context, session: &SsoSession, endpoints: &Endpoints) -> Result<Self> {
        let http = Http::new(context, endpoints.ca_bundle.as_deref())?;
        Ok(Self::over(http.for_sdk(), session, endpoints))
    }

    /// The same over any HTTP client.
    pub(crate) fn over(http: SharedHttpClient, session: &SsoSession, endpoints: &Endpoints) -> Self {
        Self {
            region: session.region.clone(),
            endpoints: endpoints.clone(),
            http,
            oidc: OnceCell::new(),
            oidc_endpoint: OnceCell::new(),
            sso: OnceCell::new(),
            sso_endpoint: endpoints.sso.clone().unwrap_or_else(|| format!("the portal in {}", session.region)),
        }
    }

    fn oidc(&self) -> &aws_sdk_ssooidc::Client {
        self.oidc.get_or_init(|| {
            let mut config = aws_sdk_ssooidc::Config::builder()
                .behavior_version(BehaviorVersion::v2026_01_12())
                .region(Region::new(self.region.clone()))
                .http_client(self.http.clone())
                .retry_config(RetryConfig::disabled())
                .timeout_config(timeouts());
            match &self.endpoints.sso_oidc {
                Some(url) => config = config.endpoint_url(url),
                None => {
                    config = config.use_fips(self.endpoints.use_fips).use_dual_stack(self.endpoints.use_dual_stack);
                }
            }
            aws_sdk_ssooidc::Client::from_conf(config.build())
        })
    }

    fn sso(&self) -> &aws_sdk_sso::Client {
        self.sso.get_or_init(|| {
            let mut config = aws_sdk_sso::Config::builder()
                .behavior_version(BehaviorVersion::v2026_01_12())
                .region(Region::new(self.region.clone()))
                .http_client(self.http.clone())
                .retry_config(RetryConfig::disabled())
                .timeout_config(timeouts())
                .allow_no_auth();
            match &self.endpoints.sso {
                Some(url) => config = config.endpoint_url(url),
                None => {
                    config = config.use_fips(self.endpoints.use_fips).use_dual_stack(self.endpoints.use_dual_stack);
                }
            }
            aws_sdk_sso::Client::from_conf(config.build())
        })
    }
}

/// How long one request may take. Connecting ends long before.
pub(super) const ATTEMPT: Duration = Duration::from_secs(15);

fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder().connect_timeout(http::CONNECT).operation_attempt_timeout(ATTEMPT).build()
}

/// The OIDC endpoint of a region by the SDK's own rules, which know every partition. They answer at once, and have an
/// answer for whatever is called a region; what we would say stands in for one that could not be had.
pub(super) fn oidc_url(region: &str, use_fips: bool, use_dual_stack: bool) -> String {
    let params = Params::builder().region(region).use_fips(use_fips).use_dual_stack(use_dual_stack).build();
    let endpoint = params.ok().and_then(|params| {
        let rules = DefaultResolver::new();
        let mut resolving = pin!(rules.resolve_endpoint(&params));
        match resolving.as_mut().poll(&mut task::Context::from_waker(Waker::noop())) {
            Poll::Ready(Ok(endpoint)) => Some(endpoint.url().to_owned()),
            _ => None,
        }
    });
    endpoint.unwrap_or_else(|| format!("https://oidc.{region}.amazonaws.com"))
}

const REDIRECT_URI: &str = "http://127.0.0.1/oauth/callback";

impl Portal for Aws {
    async fn register_client(&self, client: &Client) -> Result<Registration, Failure> {
        let mut request = self.oidc().register_client().client_name(&client.name).client_type("public");
        for scope in &client.scopes {
            request = request.scopes(scope);
        }
        if let Some(issuer_url) = &client.issuer_url {
            request = request
                .grant_types("authorization_code")
                .grant_types("refresh_token")
                .redirect_uris(REDIRECT_URI)
                .issuer_url(issuer_url);
        }
        let answer = request.send().await.map_err(|error| failure(&error, self.oidc_endpoint()))?;
        Ok(Registration {
            client_id: text(answer.client_id(), "clientId", &answer)?.to_owned(),
            client_secret: Secret::new(text(answer.client_secret(), "clientSecret", &answer)?),
            expires_at: Timestamp::from_epoch(answer.client_secret_expires_at()),
        })
    }

    async fn start_device_authorization(
        &self,
        registration: &Registration,
        start_url: &str,
    ) -> Result<DeviceAuthorization, Failure> {
        let answer = self
            .oidc()
            .start_device_authorization()
            .client_id(&registration.client_id)
            .client_secret(registration.client_secret.expose())
            .start_url(start_url)
            .send()
            .await
            .map_err(|error| failure(&error, self.oidc_endpoint()))?;
        let uri = text(answer.verification_uri(), "verificationUri", &answer)?;
        let seconds = |seconds: i32| Duration::from_secs(u64::try_from(seconds).unwrap_or_default());
        Ok(DeviceAuthorization {
            device_code: Secret::new(text(answer.device_code(), "deviceCode", &answer)?),
            user_code: text(answer.user_code(), "userCode", &answer)?.to_owned(),
            verification_uri: uri.to_owned(),
            verification_uri_complete: answer.verification_uri_complete().unwrap_or(uri).to_owned(),
            expires_in: seconds(answer.expires_in()),
            interval: seconds(if answer.interval() > 0 { answer.interval() } else { 5 }),
        })
    }

    async fn create_token(&self, registration: &Registration, grant: Grant<'_>) -> Result<IssuedToken, Failure> {
        let request = self
            .oidc()
            .create_token()
            .client_id(&registration.client_id)
            .client_secret(registration.client_secret.expose());
        let request = match grant {
            Grant::AuthorizationCode { code, code_verifier, redirect_uri } => request
                .grant_type("authorization_code")
                .code(code.expose())
                .code_verifier(code_verifier.expose())
                .redirect_uri(redirect_uri),
            Grant::DeviceCode(device_code) => {
                request.grant_type("urn:ietf:params:oauth:grant-type:device_code").device_code(device_code.expose())
            }
            Grant::RefreshToken(refresh_token) => {
                request.grant_type("refresh_token").refresh_token(refresh_token.expose())
            }
        };
        let answer = request.send().await.map_err(|error| failure(&error, self.oidc_endpoint()))?;
        Ok(IssuedToken {
            access_token: Secret::new(text(answer.access_token(), "accessToken", &answer)?),
            expires_in: i64::from(answer.expires_in()),
            refresh_token: answer.refresh_token().filter(|token| !token.is_empty()).map(Secret::new),
        })
    }

    async fn get_role_credentials(
        &self,
        access_token: &Secret,
        account_id: &str,
        role_name: &str,
    ) -> Result<RoleCredentials, Failure> {
        let answer = self
            .sso()
            .get_role_credentials()
            .access_token(access_token.expose())
            .account_id(account_id)
            .role_name(role_name)
            .send()
            .await
            .map_err(|error| failure(&error, &self.sso_endpoint))?;
        let credentials = field(answer.role_credentials(), "roleCredentials", &answer)?;
        let expires_at = Timestamp::from_epoch(credentials.expiration().div_euclid(1000));
        if expires_at <= context::clock() {
            return Err(Failure::Other {
                status: None,
                message: format!("the role credentials had expired on arrival ({expires_at}); is the clock right?"),
                request_id: None,
            });
        }
        Ok(RoleCredentials {
            access_key_id: text(credentials.access_key_id(), "accessKeyId", &answer)?.to_owned(),
            secret_access_key: Secret::new(text(credentials.secret_access_key(), "secretAccessKey", &answer)?),
            session_token: Secret::new(text(credentials.session_token(), "sessionToken", &answer)?),
            expires_at,
        })
    }

    async fn logout(&self, access_token: &Secret) -> Result<(), Failure> {
        let request = self.sso().logout().access_token(access_token.expose());
        request.send().await.map(drop).map_err(|error| failure(&error, &self.sso_endpoint))
    }

    fn oidc_endpoint(&self) -> &str {
        self.oidc_endpoint.get_or_init(|| {
            let Endpoints { use_fips, use_dual_stack, .. } = self.endpoints;
            let own = self.endpoints.sso_oidc.clone();
            let url = own.unwrap_or_else(|| oidc_url(&self.region, use_fips, use_dual_stack));
            url.trim_end_matches('/').to_owned()
        })
    }
}

fn field<T>(value: Option<T>, name: &str, answer: &impl RequestId) -> Result<T, Failure> {
    value.ok_or_else(|| Failure::Other {
        status: None,
        message: format!("the answer has no `{name}`"),
        request_id: answer.request_id().map(printable),
    })
}

fn text<'a>(value: Option<&'a str>, name: &str, answer: &impl RequestId) -> Result<&'a str, Failure> {
    field(value.filter(|text| !text.is_empty()), name, answer)
}

/// What an SDK error means. The error's name comes in a header or in the body; OIDC bodies carry OAuth's own word too
/// (`protocol.md` 3.6).
fn failure<E>(error: &SdkError<E, HttpResponse>, endpoint: &str) -> Failure
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let (metadata, response) = match error {
        SdkError::ServiceError(inner) => (Some(inner.err().meta()), inner.raw()),
        SdkError::ResponseError(inner) => (None, inner.raw()),
        SdkError::TimeoutError(_) => {
            let cause = format!("no answer within {} s", ATTEMPT.as_secs());
            return Failure::NoAnswer { endpoint: endpoint.to_owned(), cause };
        }
        SdkError::DispatchFailure(failed) if failed.is_other() => {
            return Failure::NoAnswer { endpoint: endpoint.to_owned(), cause: innermost(error) };
        }
        _ => return Failure::Unreachable { endpoint: endpoint.to_owned(), cause: innermost(error) },
    };
    let status = response.status().as_u16();
    let body: serde_json::Value =
        response.body().bytes().and_then(|bytes| serde_json::from_slice(bytes).ok()).unwrap_or_default();
    let word = |key: &str| body.get(key).and_then(serde_json::Value::as_str);
    let code = metadata.and_then(|metadata| metadata.code()).or_else(|| word("error")).unwrap_or_default();
    let header = |name: &str| response.headers().get(name);
    match (code, status) {
        ("AuthorizationPendingException" | "authorization_pending", _) => return Failure::AuthorizationPending,
        ("SlowDownException" | "slow_down", _) => return Failure::SlowDown,
        ("AccessDeniedException" | "access_denied", _) => return Failure::AccessDenied,
        ("ExpiredTokenException" | "expired_token", _) => return Failure::ExpiredToken,
        ("InvalidGrantException" | "invalid_grant", _) => return Failure::InvalidGrant,
        ("InvalidClientException" | "invalid_client", _) => return Failure::InvalidClient,
        ("TooManyRequestsException", _) | (_, 429) => {
            // Seconds; the form with a date is not known of these services. More than we would wait is as good as for ever.
            let retry_after: Option<u64> = header("retry-after").and_then(|text| text.parse().ok());
            let retry_after = retry_after.map(|seconds| Duration::from_secs(seconds.min(3600)));
            return Failure::Throttled { retry_after };
        }
        ("UnauthorizedException", _) | (_, 401) => return Failure::Unauthorized,
        _ => {}
    }
    let said = metadata
        .and_then(|metadata| metadata.message())
        .or_else(|| word("error_description"))
        .or_else(|| word("message"))
        .unwrap_or_default();
    let said = printable(said);
    if status == 403 {
        return Failure::Forbidden(said);
    }
    let name = printable(code.strip_suffix("Exception").unwrap_or(code));
    let message = match (name.is_empty(), said.is_empty()) {
        (false, false) => format!("{name}: {said}"),
        (false, true) => name,
        (true, false) => said,
        (true, true) if (200..300).contains(&status) => "the answer could not be read".to_owned(),
        (true, true) => format!("HTTP {status}"),
    };
    let request_id =
        header("x-amzn-requestid").or_else(|| header("x-amz-request-id")).map(printable).filter(|id| !id.is_empty());
    Failure::Other { status: Some(status), message, request_id }
}

/// A stranger's text for a terminal: no control characters, and not endless.
pub(super) fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(300).collect()
}
