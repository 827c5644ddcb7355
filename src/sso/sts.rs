//! STS, which turns one caller into another: three requests, signed by Signature Version 4 (`protocol.md` 10).
//!
//! Ours, where the SDK's client would be a third of a megabyte and a tenth of what a hook spends on being loaded. What it
//! signs and where it asks is held against the SDK's own in the tests.

use super::aws::{ATTEMPT, oidc_url, printable};
use super::http::{Answer, Http, host};
use super::portal::Failure;
use crate::context;
use crate::core::credentials::{Exported, RoleCredentials, Secret};
use crate::core::hex::hex;
use crate::core::timestamp::Timestamp;
use crate::store::profiles::Endpoints;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::date_time::{DateTime, Format};
use hmac::{Hmac, KeyInit as _, Mac as _};
use hyper::Uri;
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::{Digest as _, Sha256};
use std::time::Duration;
use zeroize::Zeroizing;

/// STS in one region.
pub(super) struct Sts {
    http: Http,
    url: String,
    region: String,
}

/// What `AssumeRole` is asked beside who asks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Role<'a> {
    pub(super) arn: &'a str,
    pub(super) session_name: &'a str,
    pub(super) external_id: Option<&'a str>,
    pub(super) duration_seconds: Option<u32>,
}

/// A code of an MFA device, good for one request.
#[derive(Clone, Copy, Debug)]
pub(super) struct MfaCode<'a> {
    pub(super) serial: &'a str,
    pub(super) code: &'a Secret,
}

/// One of the three requests.
pub(super) struct Request<'a> {
    pub(super) operation: &'static str,
    form: Form,
    /// Who signs it, if anybody.
    caller: Option<Exported<'a>>,
    /// It has an MFA code in it, which is good for once.
    pub(super) is_spent: bool,
}

impl<'a> Request<'a> {
    /// Becomes a role, with a code of the caller's MFA device if that is asked for.
    pub(super) fn assume_role(role: Role<'_>, caller: Exported<'a>, mfa: Option<MfaCode<'_>>) -> Self {
        let operation = "AssumeRole";
        let mut form = role.form(operation);
        form.extend(mfa);
        Self { operation, form, caller: Some(caller), is_spent: mfa.is_some() }
    }

    /// Becomes a role by a token that somebody else has made out. Nobody signs it.
    pub(super) fn assume_role_with_web_identity(role: Role<'_>, token: &Secret) -> Self {
        let operation = "AssumeRoleWithWebIdentity";
        let mut form = role.form(operation);
        form.add("WebIdentityToken", token.expose());
        Self { operation, form, caller: None, is_spent: false }
    }

    /// A session of a person with access keys, who has shown an MFA code.
    pub(super) fn get_session_token(caller: Exported<'a>, mfa: MfaCode<'_>) -> Self {
        let operation = "GetSessionToken";
        let mut form = Form::of(operation);
        form.extend(Some(mfa));
        Self { operation, form, caller: Some(caller), is_spent: true }
    }
}

/// What STS hands out.
#[derive(Debug)]
pub(super) struct Issued {
    pub(super) credentials: RoleCredentials,
    /// The ARN and the id of who the caller has become.
    pub(super) assumed_role: Option<(String, String)>,
}

impl Sts {
    /// STS in `region`; where none is known, in the first region of the partition of `arn`.
    pub(super) fn new(http: Http, endpoints: &Endpoints, region: Option<&str>, arn: &str) -> Self {
        let (url, region) = place(endpoints, region, arn);
        Self { http, url, region }
    }

    pub(super) async fn send(&self, request: &Request<'_>) -> Result<Issued, Failure> {
        let mut answer = self.ask(request, context::clock()).await?;
        // Whose clock is wrong by more than a quarter of an hour signs by the server's.
        if let Some(server) = skewed(&answer, context::clock()).filter(|_| request.caller.is_some()) {
            answer = self.ask(request, server).await?;
        }
        let issued = issued(&answer)?;
        let expires_at = issued.credentials.expires_at;
        if expires_at <= context::clock() {
            let message = format!("the role credentials had expired on arrival ({expires_at}); is the clock right?");
            return Err(Failure::Other { status: None, message, request_id: None });
        }
        Ok(issued)
    }

    async fn ask(&self, Request { form, caller, .. }: &Request<'_>, now: Timestamp) -> Result<Answer, Failure> {
        let unsent = |cause: String| Failure::Unreachable { endpoint: self.url.clone(), cause };
        let uri: Uri =
            format!("{}/", self.url.trim_end_matches('/')).parse().map_err(|error| unsent(format!("{error}")))?;
        let body = SdkBody::from(form.0.as_str());
        let mut request = hyper::Request::post(&uri).body(body).map_err(|error| unsent(error.to_string()))?;
        let headers = request.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(FORM));
        headers.insert(ACCEPT, HeaderValue::from_static("text/xml"));
        if let Some(caller) = caller {
            sign(&uri, form.0.as_bytes(), *caller, &self.region, now, headers).map_err(unsent)?;
        }
        self.http.ask(request, ATTEMPT).await
    }
}

const FORM: &str = "application/x-www-form-urlencoded; charset=utf-8";

/// The URL of STS, and the region that requests are signed for.
fn place(endpoints: &Endpoints, region: Option<&str>, arn: &str) -> (String, String) {
    /// Those of the time before STS had regions.
    const GLOBAL: [&str; 16] = [
        "ap-northeast-1",
        "ap-south-1",
        "ap-southeast-1",
        "ap-southeast-2",
        "aws-global",
        "ca-central-1",
        "eu-central-1",
        "eu-north-1",
        "eu-west-1",
        "eu-west-2",
        "eu-west-3",
        "sa-east-1",
        "us-east-1",
        "us-east-2",
        "us-west-1",
        "us-west-2",
    ];
    let partition = arn.split(':').nth(1).unwrap_or_default();
    let region = region.unwrap_or(match partition {
        "aws-cn" => "cn-north-1",
        "aws-us-gov" => "us-gov-west-1",
        "aws-eusc" => "eusc-de-east-1",
        "aws-iso" => "us-iso-east-1",
        "aws-iso-b" => "us-isob-east-1",
        _ => "aws-global",
    });
    let Endpoints { use_fips, use_dual_stack, .. } = *endpoints;
    let is_plain = !use_fips && !use_dual_stack;
    let is_global = is_plain && (region == "aws-global" || (endpoints.sts_is_global && GLOBAL.contains(&region)));
    let signed_for = if is_global || region == "aws-global" { "us-east-1" } else { region };
    let url = match &endpoints.sts {
        Some(url) => url.clone(),
        None if is_global => "https://sts.amazonaws.com".to_owned(),
        // The rules of both services name their hosts alike.
        None => oidc_url(signed_for, use_fips, use_dual_stack).replacen("://oidc", "://sts", 1),
    };
    (url, signed_for.to_owned())
}

/// A form as `application/x-www-form-urlencoded` has it, secrets included.
struct Form(Zeroizing<String>);

impl Form {
    fn of(action: &str) -> Self {
        Self(Zeroizing::new(format!("Action={action}&Version=2011-06-15")))
    }

    fn add(&mut self, key: &str, value: &str) {
        self.0.extend(["&", key, "="]);
        self.0.extend(utf8_percent_encode(value, UNRESERVED));
    }

    fn extend(&mut self, mfa: Option<MfaCode<'_>>) {
        if let Some(MfaCode { serial, code }) = mfa {
            self.add("SerialNumber", serial);
            self.add("TokenCode", code.expose());
        }
    }
}

/// All but RFC 3986's unreserved characters.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

impl Role<'_> {
    fn form(&self, action: &str) -> Form {
        let mut form = Form::of(action);
        form.add("RoleArn", self.arn);
        form.add("RoleSessionName", self.session_name);
        if let Some(external_id) = self.external_id {
            form.add("ExternalId", external_id);
        }
        if let Some(seconds) = self.duration_seconds {
            form.add("DurationSeconds", &seconds.to_string());
        }
        form
    }
}

/// Adds the headers of Signature Version 4 (AWS IAM user guide, "Create a signed AWS API request") to those of a form that
/// is posted to `uri`.
fn sign(
    uri: &Uri,
    body: &[u8],
    caller: Exported<'_>,
    region: &str,
    now: Timestamp,
    headers: &mut HeaderMap,
) -> Result<(), String> {
    let date: String = now.to_string().chars().filter(char::is_ascii_alphanumeric).collect();
    let scope = format!("{}/{region}/sts/aws4_request", &date[..8]);
    let token = caller.session_token.map(Secret::expose);
    let mut signed = vec![("content-type", FORM), ("host", host(uri)), ("x-amz-date", &date)];
    signed.extend(token.map(|token| ("x-amz-security-token", token)));
    let names = signed.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(";");
    let mut canonical = Zeroizing::new(format!("POST\n{}\n\n", uri.path()));
    for (name, value) in &signed {
        canonical.extend([name, ":", value.trim(), "\n"]);
    }
    canonical.extend(["\n", &names, "\n", &hex(&Sha256::digest(body))]);
    let to_sign = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{}", hex(&Sha256::digest(canonical.as_bytes())));
    let secret = Zeroizing::new(format!("AWS4{}", caller.secret_access_key.expose()));
    let key = scope.split('/').fold(Zeroizing::new(secret.as_bytes().to_vec()), |key, part| hmac(&key, part));
    let signature = hex(&hmac(&key, &to_sign));
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={names}, Signature={signature}",
        caller.access_key_id
    );
    let value =
        |text: &str| HeaderValue::from_str(text).map_err(|_| "the credentials are no text for a header".to_owned());
    headers.insert("x-amz-date", value(&date)?);
    headers.insert(AUTHORIZATION, value(&authorization)?);
    if let Some(token) = token {
        let mut token = value(token.trim())?;
        token.set_sensitive(true);
        headers.insert("x-amz-security-token", token);
    }
    Ok(())
}

fn hmac(key: &[u8], message: &str) -> Zeroizing<Vec<u8>> {
    // It takes keys of any length.
    let Ok(mut hmac) = Hmac::<Sha256>::new_from_slice(key) else { return Zeroizing::default() };
    hmac.update(message.as_bytes());
    Zeroizing::new(hmac.finalize().into_bytes().to_vec())
}

/// The server's time, if the answer is that ours is too far from it.
fn skewed(answer: &Answer, now: Timestamp) -> Option<Timestamp> {
    /// Seconds; AWS takes 15 minutes.
    const TOO_FAR: i64 = 4 * 60;
    if answer.status < 400 {
        return None;
    }
    let date = answer.headers.get("date")?.to_str().ok()?;
    let server = Timestamp::from_epoch(DateTime::from_str(date, Format::HttpDate).ok()?.secs());
    let is_about_the_time = ["SignatureDoesNotMatch", "RequestExpired", "InvalidSignatureException"]
        .contains(&Document::of(&answer.body).text("Code").unwrap_or_default().as_str());
    (is_about_the_time && server.since(now).abs() > TOO_FAR).then_some(server)
}

/// What an answer of STS hands out, or why it does not.
fn issued(answer: &Answer) -> Result<Issued, Failure> {
    let document = Document::of(&answer.body);
    if !(200..300).contains(&answer.status) {
        return Err(failure(answer, &document));
    }
    let other = |message: String| Failure::Other { status: None, message, request_id: document.text("RequestId") };
    let text = |name: &str| document.text(name).filter(|text| !text.is_empty());
    let required = |name: &str| text(name).ok_or_else(|| other(format!("the answer has no `{name}`")));
    let expiration = required("Expiration")?;
    Ok(Issued {
        credentials: RoleCredentials {
            access_key_id: required("AccessKeyId")?,
            secret_access_key: Secret::new(required("SecretAccessKey")?),
            session_token: Secret::new(required("SessionToken")?),
            expires_at: Timestamp::parse(&expiration)
                .ok_or_else(|| other("`Expiration` in the answer is not a time".to_owned()))?,
        },
        assumed_role: text("Arn").zip(text("AssumedRoleId")),
    })
}

/// What an answer of this status and body comes to.
#[cfg(any(test, fuzzing))]
pub(crate) fn read(status: u16, body: &[u8]) -> Result<RoleCredentials, Failure> {
    let body = Zeroizing::new(body.to_vec());
    issued(&Answer { status, headers: HeaderMap::new(), body }).map(|issued| issued.credentials)
}

fn failure(answer: &Answer, document: &Document<'_>) -> Failure {
    let code = printable(&document.text("Code").unwrap_or_default());
    let said = printable(&document.text("Message").unwrap_or_default());
    match (code.as_str(), answer.status) {
        ("Throttling" | "ThrottlingException" | "RequestLimitExceeded" | "SlowDown", _) | (_, 429) => {
            let retry_after = answer.headers.get("retry-after").and_then(|value| value.to_str().ok()?.parse().ok());
            Failure::Throttled { retry_after: retry_after.map(|seconds: u64| Duration::from_secs(seconds.min(3600))) }
        }
        (
            "ExpiredToken"
            | "ExpiredTokenException"
            | "InvalidClientTokenId"
            | "UnrecognizedClientException"
            | "InvalidIdentityToken"
            | "InvalidAccessKeyId"
            | "SignatureDoesNotMatch"
            | "IncompleteSignature",
            _,
        ) => Failure::Rejected(if said.is_empty() { code } else { format!("{code}: {said}") }),
        ("AccessDenied" | "AccessDeniedException", _) | (_, 403) => Failure::Forbidden(said),
        _ => {
            // An identity provider that STS could not reach is as good as STS not reached.
            let status = Some(answer.status).filter(|_| code != "IDPCommunicationError");
            let message = match (code.is_empty(), said.is_empty()) {
                (false, false) => format!("{code}: {said}"),
                (false, true) => code,
                (true, false) => said,
                (true, true) => format!("HTTP {}", answer.status),
            };
            let request_id = document.text("RequestId").map(|id| printable(&id));
            Failure::Other { status, message, request_id }
        }
    }
}

/// An answer: XML in which each name that we look for stands once, without attributes, around text alone. To read it as
/// that takes a page; a reader of all XML would cost every hook what it takes to be loaded.
struct Document<'a>(&'a str);

impl<'a> Document<'a> {
    /// What is no text has nothing in it.
    fn of(body: &'a [u8]) -> Self {
        Self(std::str::from_utf8(body).unwrap_or_default())
    }

    /// What stands in the first element of that name.
    fn text(&self, name: &str) -> Option<String> {
        let (_, rest) = self.0.split_once(&format!("<{name}>"))?;
        // It ends with its element, not with the answer.
        let (text, _) = rest.split_once("</")?;
        (!text.contains('<')).then(|| unescaped(text.trim()))
    }
}

/// A text with XML's five entities in it as they are meant.
fn unescaped(text: &str) -> String {
    const ENTITIES: [(&str, &str); 5] =
        [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&amp;", "&")];
    if !text.contains('&') {
        return text.to_owned();
    }
    ENTITIES.iter().fold(text.to_owned(), |text, (entity, meant)| text.replace(entity, meant))
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_credential_types::Credentials;
    use aws_sdk_sts::config::endpoint::{DefaultResolver, Params, ResolveEndpoint};
    use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign as sign_by_sdk};
    use aws_sigv4::sign::v4;
    use proptest::prelude::*;
    use std::time::{Duration, UNIX_EPOCH};

    /// The headers that the SDK adds to the same request.
    fn signed_by_the_sdk(
        url: &str,
        body: &str,
        caller: Exported<'_>,
        region: &str,
        now: Timestamp,
    ) -> Vec<(String, String)> {
        let token = caller.session_token.map(|token| token.expose().to_owned());
        let identity =
            Credentials::new(caller.access_key_id, caller.secret_access_key.expose(), token, None, "test").into();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(region)
            .name("sts")
            .time(UNIX_EPOCH + Duration::from_secs(u64::try_from(now.epoch()).unwrap()))
            .settings(SigningSettings::default())
            .build()
            .unwrap();
        let headers = [("content-type", FORM)];
        let request =
            SignableRequest::new("POST", url, headers.into_iter(), SignableBody::Bytes(body.as_bytes())).unwrap();
        let (instructions, _) = sign_by_sdk(request, &params.into()).unwrap().into_parts();
        let (headers, _) = instructions.into_parts();
        headers.into_iter().map(|header| (header.name().to_owned(), header.value().trim().to_owned())).collect()
    }

    proptest! {
        #[test]
        fn signatures_are_those_of_the_sdk(
            (key, secret) in ("[A-Z0-9]{20}", "[ -~]{1,60}"), token in proptest::option::of("[A-Za-z0-9+/=]{1,300}"),
            values in ("[ -~é]{0,40}", "[ -~]{0,20}"), place in (prop_oneof!["sts[.][a-z]{2}-[a-z]{4}-[0-9][.]amazonaws[.]com", Just("127.0.0.1:4566".to_owned())], "(/[a-z_-]{1,8}){0,2}"),
            region in "[a-z]{2}-[a-z]{4,9}-[0-9]", epoch in 0_i64..4_000_000_000,
        ) {
            let mut form = Form::of("AssumeRole");
            form.add("RoleArn", &values.0);
            form.add("ExternalId", &values.1);
            let (secret_access_key, token) = (Secret::new(secret), token.map(Secret::new));
            let caller = Exported {
                access_key_id: &key,
                secret_access_key: &secret_access_key,
                session_token: token.as_ref(),
                expires_at: None,
            };
            let url = format!("https://{}{}/", place.0, place.1);
            let mut headers = HeaderMap::new();
            let now = Timestamp::from_epoch(epoch);
            sign(&url.parse().unwrap(), form.0.as_bytes(), caller, &region, now, &mut headers).unwrap();
            for (name, value) in signed_by_the_sdk(&url, &form.0, caller, &region, now) {
                prop_assert_eq!(headers.get(&name).map(|ours| ours.to_str().unwrap()), Some(value.as_str()), "{}", name);
            }
        }
    }

    async fn of_the_sdk(params: Params) -> Option<(String, Option<String>)> {
        let endpoint = DefaultResolver::new().resolve_endpoint(&params).await.ok()?;
        let scheme = endpoint.auth_schemes().first().and_then(|scheme| scheme.get("signingRegion"));
        let region = scheme.and_then(|region| region.as_string().map(str::to_owned));
        Some((endpoint.url().to_owned(), region))
    }

    /// Every region that the SDK's rules name a partition for, and those that are yet to come.
    #[tokio::test]
    async fn places_are_those_of_the_sdks_rules() {
        let regions = [
            "us-east-1",
            "us-west-2",
            "eu-west-1",
            "eu-central-2",
            "ap-southeast-7",
            "af-south-1",
            "il-central-1",
            "mx-central-1",
            "cn-north-1",
            "cn-northwest-1",
            "us-gov-west-1",
            "us-gov-east-1",
            "eusc-de-east-1",
            "us-iso-east-1",
            "us-isob-east-1",
            "eu-west-9",
        ];
        let mut compared = 0;
        for region in regions {
            for (use_fips, use_dual_stack) in [(false, false), (true, false), (false, true), (true, true)] {
                for sts_is_global in [false, true] {
                    let params = Params::builder().region(region).use_fips(use_fips).use_dual_stack(use_dual_stack);
                    let params = params.use_global_endpoint(sts_is_global).build().unwrap();
                    let Some((url, signed_for)) = of_the_sdk(params).await else { continue };
                    let endpoints = Endpoints { use_fips, use_dual_stack, sts_is_global, ..Endpoints::default() };
                    let ours = place(&endpoints, Some(region), "arn:aws:iam::1:role/r");
                    let shown = format!("{region} fips {use_fips} dual {use_dual_stack} global {sts_is_global}");
                    assert_eq!(ours.0, url, "{shown}");
                    assert_eq!(ours.1, signed_for.unwrap_or_else(|| region.to_owned()), "{shown}");
                    compared += 1;
                }
            }
        }
        assert!(compared > 80, "{compared}");
    }

    #[test]
    fn where_no_region_is_known_the_partition_of_the_role_says() {
        let at = |arn| place(&Endpoints::default(), None, arn);
        let pair = |url: &str, region: &str| (url.to_owned(), region.to_owned());
        assert_eq!(at("arn:aws:iam::1:role/r"), pair("https://sts.amazonaws.com", "us-east-1"));
        assert_eq!(at("arn:aws-cn:iam::1:role/r"), pair("https://sts.cn-north-1.amazonaws.com.cn", "cn-north-1"));
        assert_eq!(
            at("arn:aws-us-gov:iam::1:role/r"),
            pair("https://sts.us-gov-west-1.amazonaws.com", "us-gov-west-1")
        );
        assert_eq!(at("arn:aws-eusc:iam::1:role/r"), pair("https://sts.eusc-de-east-1.amazonaws.eu", "eusc-de-east-1"));
        let own = Endpoints { sts: Some("http://127.0.0.1:1/x/".into()), ..Endpoints::default() };
        assert_eq!(place(&own, None, "arn:aws:iam::1:role/r"), pair("http://127.0.0.1:1/x/", "us-east-1"));
    }

    #[test]
    fn answers_of_every_sort() {
        let answer = |status, body: &str| read(status, body.as_bytes());
        let error = |code: &str, said: &str| {
            format!(
                "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender</Type><Code>{code}</Code><Message>{said}</Message></Error><RequestId>r-1</RequestId></ErrorResponse>"
            )
        };
        let whole = "<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>ASIA</AccessKeyId><SecretAccessKey>a&amp;b</SecretAccessKey><SessionToken>t</SessionToken><Expiration>2026-11-22T17:00:00Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>";
        assert_eq!(answer(200, whole).unwrap().secret_access_key.expose(), "a&b");
        for length in 0..whole.find("</Expiration").unwrap() + 2 {
            assert!(answer(200, &whole[..length]).unwrap_err().is_transient(), "{length}");
        }
        assert!(matches!(answer(403, &error("AccessDenied", "no")), Err(Failure::Forbidden(said)) if said == "no"));
        assert!(matches!(answer(400, &error("ExpiredToken", "old")), Err(Failure::Rejected(_))));
        assert!(answer(400, &error("Throttling", "slow")).unwrap_err().is_throttling());
        assert!(answer(503, "busy").unwrap_err().is_transient());
        let Err(Failure::Other { message, request_id, .. }) = answer(400, &error("ValidationError", "bad")) else {
            panic!()
        };
        assert_eq!((message.as_str(), request_id.as_deref()), ("ValidationError: bad", Some("r-1")));
    }
}
