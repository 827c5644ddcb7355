//! Where a machine and a container find credentials of their own: the instance metadata service, version 2, and the
//! endpoint that `AWS_CONTAINER_CREDENTIALS_FULL_URI` names.

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use super::connection::Operation;
use super::http::{Answer, Reply, Request};
use super::{Identity, IdentityCenter, IssuedCredentials, State, told_text};

/// The credentials of an instance are under this path, by the name of its role.
const ROLES: &str = "/latest/meta-data/iam/security-credentials";
const TOKEN_LIFETIME: &str = "x-aws-ec2-metadata-token-ttl-seconds";

impl IdentityCenter {
    /// The role of the machine.
    pub const INSTANCE_ROLE: &str = "arn:aws:iam::888888888888:role/instance";
    /// The role of the container.
    pub const TASK_ROLE: &str = "arn:aws:iam::888888888888:role/task";

    /// For `AWS_CONTAINER_CREDENTIALS_FULL_URI`.
    pub fn container_credentials_uri(&self) -> String {
        format!("{}/container-credentials", self.endpoint())
    }
}

pub(super) fn error(request: &Request, status: u16, name: &str, message: &str) -> Reply {
    match request.operation {
        Operation::ContainerCredentials => Reply::json(status, &json!({ "code": name, "message": message })),
        _ => Reply::page(status, name, message),
    }
}

/// `/latest/…`: tokens, the name of the role, its credentials.
pub(super) fn instance_metadata(state: &mut State, request: &Request) -> Answer {
    if (request.method.as_str(), request.path.as_str()) == ("PUT", "/latest/api/token") {
        return token(state, request);
    }
    let ends = state.metadata_tokens.get(request.header("x-aws-ec2-metadata-token"));
    if ends.is_none_or(|ends| *ends <= SystemTime::now()) {
        return Err(error(request, 401, "Unauthorized", "no token, or none that works"));
    }
    let identity = role(IdentityCenter::INSTANCE_ROLE, "i-0123456789abcdef0");
    match request.path.strip_prefix(ROLES) {
        Some("" | "/") => Ok(Reply::new(200, "text/plain", identity.role_name)),
        Some(name) if name.strip_prefix('/') == Some(&identity.role_name) => {
            let now = told_text(state, SystemTime::now());
            let mut body = json!({ "Code": "Success", "LastUpdated": now, "Type": "AWS-HMAC" });
            issue(state, identity, &mut body);
            Ok(Reply::json(200, &body))
        }
        _ => Err(error(request, 404, "Not Found", "nothing is known of that")),
    }
}

fn token(state: &mut State, request: &Request) -> Answer {
    let lifetime = request.header(TOKEN_LIFETIME).parse().ok().filter(|seconds| (1..=21_600).contains(seconds));
    let lifetime = lifetime.ok_or_else(|| error(request, 400, "Bad Request", "a token needs a time to live"))?;
    let token = state.unique("AQAEA");
    state.metadata_tokens.insert(token.clone(), SystemTime::now() + Duration::from_secs(lifetime));
    Ok(Reply::new(200, "text/plain", token).with(TOKEN_LIFETIME, lifetime.to_string()))
}

pub(super) fn container_credentials(state: &mut State, request: &Request) -> Answer {
    let wanted = state.settings.container_authorization.as_deref();
    if wanted.is_some_and(|wanted| wanted != request.header("authorization")) {
        return Err(error(request, 401, "Unauthorized", "the Authorization header is not what it has to be"));
    }
    let mut body = json!({ "RoleArn": IdentityCenter::TASK_ROLE });
    issue(state, role(IdentityCenter::TASK_ROLE, "0123456789abcdef"), &mut body);
    Ok(Reply::json(200, &body))
}

fn role(arn: &str, session_name: &str) -> Identity {
    Identity::role(arn, session_name).expect("the ARN of a role")
}

/// Issues credentials and writes them into an answer.
fn issue(state: &mut State, identity: Identity, body: &mut Value) {
    let lifetime = state.settings.metadata_lifetime;
    let issued = IssuedCredentials::temporary(state, identity, lifetime);
    body["AccessKeyId"] = json!(issued.access_key_id);
    body["SecretAccessKey"] = json!(issued.secret_access_key);
    body["Token"] = json!(issued.session_token);
    body["Expiration"] = json!(told_text(state, issued.expires));
    state.issued.push(issued);
}
