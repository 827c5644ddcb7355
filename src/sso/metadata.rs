//! Credentials that a machine or a container has: the EC2 instance metadata service, version 2, and the
//! container-credentials endpoint of ECS and EKS (`protocol.md` 8).

use super::aws::printable;
use super::http::{Answer, Http, host};
use super::portal::Failure;
use crate::context::Context;
use crate::core::credentials::{Credentials, Secret};
use crate::core::environment::Mark;
use crate::core::timestamp::Timestamp;
use aws_smithy_types::body::SdkBody;
use hyper::{Method, Request, Uri};
use serde::Deserialize;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

/// Why there are no credentials.
pub(super) enum Absent {
    /// What is set, or not, in words.
    Setting(String),
    /// What the service did.
    Service(Failure),
}

/// They are next door, or not there at all.
const LIMIT: Duration = Duration::from_secs(2);
const INSTANCE: &str = "http://169.254.169.254";
const INSTANCE_IPV6: &str = "http://[fd00:ec2::254]";
const CONTAINER: &str = "http://169.254.170.2";

/// The credentials of the EC2 instance that this is.
pub(super) async fn instance(context: &Context, http: &Http) -> Result<Credentials, Absent> {
    if context.var("AWS_EC2_METADATA_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
        return Err(Absent::Setting("`AWS_EC2_METADATA_DISABLED` is set".to_owned()));
    }
    let is_ipv6 =
        context.var("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE").is_some_and(|mode| mode.eq_ignore_ascii_case("ipv6"));
    let usual = if is_ipv6 { INSTANCE_IPV6 } else { INSTANCE };
    let base = context.var("AWS_EC2_METADATA_SERVICE_ENDPOINT").unwrap_or_else(|| usual.to_owned());
    let base = base.trim_end_matches('/');
    let put = (Method::PUT, "x-aws-ec2-metadata-token-ttl-seconds", "21600");
    let token = Secret::new(text(&ask(http, &format!("{base}/latest/api/token"), put).await?)?);
    let get = (Method::GET, "x-aws-ec2-metadata-token", token.expose());
    let roles = format!("{base}/latest/meta-data/iam/security-credentials/");
    let role = text(&ask(http, &roles, get.clone()).await?)?;
    let role = role.lines().next().unwrap_or_default().trim();
    if role.is_empty() {
        return Err(Absent::Setting("the instance has no role".to_owned()));
    }
    read(&ask(http, &format!("{roles}{role}"), get).await?)
}

/// The credentials of the container that this runs in.
pub(super) async fn container(context: &Context, http: &Http) -> Result<Credentials, Absent> {
    let setting = |problem: String| Absent::Setting(problem);
    // In a command of `with-aws --renew` the endpoint is ours.
    if Mark::in_force(context.uid, |name| context.var_os(name)).is_some_and(|mark| mark.dotfile.is_none()) {
        return Err(setting("what is there is awsdir's own".to_owned()));
    }
    let url = match (
        context.var("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"),
        context.var("AWS_CONTAINER_CREDENTIALS_FULL_URI"),
    ) {
        (Some(path), _) => format!("{CONTAINER}{path}"),
        (None, Some(url)) => url,
        (None, None) => return Err(setting("`AWS_CONTAINER_CREDENTIALS_FULL_URI` is not set".to_owned())),
    };
    if !may_be_asked(&url) {
        let problem = "is neither https nor an address of this machine, of ECS or of EKS";
        return Err(setting(format!("`{}` {problem}", printable(&url))));
    }
    let token = match context.var("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE") {
        Some(path) => std::fs::read_to_string(&path).map_err(|error| setting(format!("`{path}`: {error}")))?,
        None => context.var("AWS_CONTAINER_AUTHORIZATION_TOKEN").unwrap_or_default(),
    };
    let token = Secret::new(token);
    read(&ask(http, &url, (Method::GET, "authorization", token.expose().trim_end())).await?)
}

/// As the SDKs have it: without TLS only where nobody listens in.
fn may_be_asked(url: &str) -> bool {
    const ALLOWED: [&str; 3] = ["169.254.170.2", "169.254.170.23", "localhost"];
    const EKS: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23);
    let Ok(uri) = url.parse::<Uri>() else { return false };
    let name = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    let is_near = match name.parse() {
        Ok(IpAddr::V6(address)) => address.is_loopback() || address == EKS,
        Ok(IpAddr::V4(address)) => address.is_loopback() || ALLOWED.contains(&name),
        Err(_) => ALLOWED.contains(&name),
    };
    uri.scheme_str() == Some("https") || (uri.scheme_str() == Some("http") && is_near)
}

async fn ask(http: &Http, url: &str, (method, header, value): (Method, &str, &str)) -> Result<Answer, Absent> {
    let mut request = Request::builder().method(method).uri(url);
    if !value.is_empty() {
        request = request.header(header, value);
    }
    let request = request.body(SdkBody::empty()).map_err(|error| Absent::Setting(error.to_string()))?;
    let at = host(request.uri()).to_owned();
    let answer = http.ask(request, LIMIT).await.map_err(Absent::Service)?;
    match answer.status {
        200 => Ok(answer),
        status => Err(other(Some(status), format!("`{at}` answers with HTTP {status}"))),
    }
}

fn other(status: Option<u16>, message: String) -> Absent {
    Absent::Service(Failure::Other { status, message, request_id: None })
}

fn text(answer: &Answer) -> Result<String, Absent> {
    String::from_utf8(answer.body.to_vec()).map_err(|_| other(None, "the answer is no text".to_owned()))
}

fn read(answer: &Answer) -> Result<Credentials, Absent> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Document {
        code: Option<String>,
        access_key_id: String,
        secret_access_key: String,
        token: Option<String>,
        expiration: Option<String>,
    }
    let unreadable = |_| other(None, "the answer has no credentials".to_owned());
    let document: Document = serde_json::from_slice(&answer.body).map_err(unreadable)?;
    if let Some(code) = document.code.filter(|code| code != "Success") {
        return Err(other(None, format!("the answer is `{}`", printable(&code))));
    }
    Ok(Credentials {
        access_key_id: document.access_key_id,
        secret_access_key: Secret::new(document.secret_access_key),
        session_token: document.token.filter(|token| !token.is_empty()).map(Secret::new),
        expires_at: document.expiration.and_then(|text| Timestamp::parse(&text)),
    })
}

#[cfg(test)]
mod tests {
    use super::may_be_asked;

    #[test]
    fn tokens_go_to_neighbours_or_over_tls() {
        for url in [
            "http://127.0.0.1:4000/x",
            "http://127.8.0.1/x",
            "http://[::1]/x",
            "http://localhost/x",
            "http://169.254.170.2/v2/x",
            "http://169.254.170.23/v1/x",
            "http://[fd00:ec2::23]/v1/x",
            "https://example.com/x",
        ] {
            assert!(may_be_asked(url), "{url}");
        }
        for url in
            ["http://example.com/x", "http://169.254.170.3/x", "http://localhost.example.com/", "ftp://localhost/", "x"]
        {
            assert!(!may_be_asked(url), "{url}");
        }
    }
}
