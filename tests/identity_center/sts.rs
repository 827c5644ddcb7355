//! The security token service: who is asking, and other credentials for who may have them.

use std::time::Duration;

use super::http::{Answer, Reply, Request, escape};
use super::{Identity, IssuedCredentials, State, iam, signature, told_text};

const NAMESPACE: &str = "https://sts.amazonaws.com/doc/2011-06-15/";
/// How long the credentials of a role live if nobody asks for more or less.
const ASSUMED_ROLE_LIFETIME: Duration = Duration::from_hours(1);
/// The longest that anybody may ask for a role: for nothing longer can a role be set up.
const LONGEST_ASSUMED_ROLE: Duration = Duration::from_hours(12);
/// The longest that a role may be had by who is a role already.
const LONGEST_CHAINED_ROLE: Duration = Duration::from_hours(1);
const SESSION_TOKEN_LIFETIME: Duration = Duration::from_hours(12);
const LONGEST_SESSION_TOKEN: Duration = Duration::from_hours(36);

pub(super) fn error(request: &Request, status: u16, name: &str, message: &str) -> Reply {
    let kind = if status >= 500 { "Receiver" } else { "Sender" };
    let (name, message) = (escape(name), escape(message));
    let xml = format!(
        "<ErrorResponse xmlns=\"{NAMESPACE}\"><Error><Type>{kind}</Type><Code>{name}</Code>\
         <Message>{message}</Message></Error><RequestId>{}</RequestId></ErrorResponse>",
        request.request_id
    );
    Reply::new(status, "text/xml", xml)
}

pub(super) fn get_caller_identity(state: &mut State, request: &Request) -> Answer {
    let Identity { account, user_id, arn, .. } = &signature::verify(state, request)?.identity;
    let result = format!("<Arn>{arn}</Arn><UserId>{user_id}</UserId><Account>{account}</Account>");
    Ok(answer(request, &result))
}

pub(super) fn assume_role(state: &mut State, request: &Request) -> Answer {
    let caller = signature::verify(state, request)?.clone();
    let (identity, asked) = asked_role(request)?;
    let second_factor = iam::second_factor(state, request, &caller.identity)? || caller.second_factor;
    let arn = request.field("RoleArn");
    let role = state.roles.get(arn);
    let role = role.filter(|role| role.admits(&caller.identity, request.field("ExternalId"), second_factor));
    let role = role.ok_or_else(|| {
        let caller = caller.identity.arn();
        denied(request, &format!("User: {caller} is not authorized to perform: sts:AssumeRole on resource: {arn}"))
    })?;
    if asked > Some(LONGEST_CHAINED_ROLE) && caller.identity.is_role() {
        return Err(invalid(
            request,
            "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining",
        ));
    }
    role_may_live(request, asked, role.max_duration)?;
    let result = role_result(state, identity, asked);
    Ok(answer(request, &result))
}

pub(super) fn assume_role_with_web_identity(state: &mut State, request: &Request) -> Answer {
    let (identity, asked) = asked_role(request)?;
    let role = iam::role_of_web_identity(state, request)?;
    role_may_live(request, asked, role.max_duration)?;
    let partition = identity.arn.split(':').nth(1).unwrap_or_default();
    let provider = format!("arn:{partition}:iam::{}:oidc-provider/oidc.example.test", identity.account);
    let result = role_result(state, identity, asked);
    let result = format!(
        "<SubjectFromWebIdentityToken>system:serviceaccount:sandbox:sandbox</SubjectFromWebIdentityToken>\
         <Audience>sts.amazonaws.com</Audience><Provider>{provider}</Provider>{result}"
    );
    Ok(answer(request, &result))
}

/// For the long-lived keys of a user alone.
pub(super) fn get_session_token(state: &mut State, request: &Request) -> Answer {
    let caller = signature::verify(state, request)?.clone();
    let asked = duration(request, LONGEST_SESSION_TOKEN)?;
    if !caller.is_long_lived() {
        return Err(denied(request, "Cannot call GetSessionToken with session credentials"));
    }
    let second_factor = iam::second_factor(state, request, &caller.identity)?;
    let lifetime = state.settings.session_token_lifetime.or(asked).unwrap_or(SESSION_TOKEN_LIFETIME);
    let issued = IssuedCredentials::temporary(state, caller.identity, lifetime);
    let issued = IssuedCredentials { second_factor, ..issued };
    let result = credentials(state, &issued);
    state.issued.push(issued);
    Ok(answer(request, &result))
}

/// Something about the request that nobody may ask for.
fn invalid(request: &Request, message: &str) -> Reply {
    error(request, 400, "ValidationError", message)
}

pub(super) fn denied(request: &Request, message: &str) -> Reply {
    error(request, 403, "AccessDenied", message)
}

/// A parameter that is not what it has to be, in the service's words.
pub(super) fn unsatisfied(request: &Request, parameter: &str, constraint: &str) -> Reply {
    let (value, name) = (request.field(parameter), parameter[..1].to_lowercase() + &parameter[1..]);
    let message = format!("Value '{value}' at '{name}' failed to satisfy constraint: Member must {constraint}");
    invalid(request, &format!("1 validation error detected: {message}"))
}

/// Who the caller wants to be, and for how long if it says so.
fn asked_role(request: &Request) -> Result<(Identity, Option<Duration>), Reply> {
    let session_name = request.field("RoleSessionName");
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_+=,.@-".contains(&byte);
    if !(2..=64).contains(&session_name.len()) {
        let constraint = "have length greater than or equal to 2 and less than or equal to 64";
        return Err(unsatisfied(request, "RoleSessionName", constraint));
    }
    if !session_name.bytes().all(allowed) {
        let constraint = "satisfy regular expression pattern: [\\w+=,.@-]*";
        return Err(unsatisfied(request, "RoleSessionName", constraint));
    }
    let asked = duration(request, LONGEST_ASSUMED_ROLE)?;
    let identity = Identity::role(request.field("RoleArn"), session_name);
    let identity = identity.ok_or_else(|| invalid(request, "Request ARN is invalid"))?;
    Ok((identity, asked))
}

/// How long the caller wants the credentials to live, if it says so.
fn duration(request: &Request, longest: Duration) -> Result<Option<Duration>, Reply> {
    let parameter = "DurationSeconds";
    let text = request.field(parameter);
    if text.is_empty() {
        return Ok(None);
    }
    let malformed = |_| error(request, 400, "MalformedInput", "DurationSeconds must be a whole number");
    let asked = Duration::from_secs(text.parse().map_err(malformed)?);
    if asked < Duration::from_mins(15) {
        return Err(unsatisfied(request, parameter, "have value greater than or equal to 900"));
    }
    if asked > longest {
        let constraint = format!("have value less than or equal to {}", longest.as_secs());
        return Err(unsatisfied(request, parameter, &constraint));
    }
    Ok(Some(asked))
}

fn role_may_live(request: &Request, asked: Option<Duration>, longest: Duration) -> Result<(), Reply> {
    let why = "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.";
    if asked > Some(longest) { Err(invalid(request, why)) } else { Ok(()) }
}

/// Issues credentials of a role; they and their role in XML.
fn role_result(state: &mut State, identity: Identity, asked: Option<Duration>) -> String {
    let lifetime = state.settings.assumed_role_lifetime.or(asked).unwrap_or(ASSUMED_ROLE_LIFETIME);
    let issued = IssuedCredentials::temporary(state, identity, lifetime);
    let Identity { user_id, arn, .. } = &issued.identity;
    let user = format!("<AssumedRoleId>{user_id}</AssumedRoleId><Arn>{arn}</Arn>");
    let result = format!("<AssumedRoleUser>{user}</AssumedRoleUser>{}", credentials(state, &issued));
    state.issued.push(issued);
    result
}

/// Credentials in XML.
fn credentials(state: &State, issued: &IssuedCredentials) -> String {
    let IssuedCredentials { access_key_id, secret_access_key, session_token, expires, .. } = issued;
    let expiration = told_text(state, *expires);
    format!(
        "<Credentials><AccessKeyId>{access_key_id}</AccessKeyId>\
         <SecretAccessKey>{secret_access_key}</SecretAccessKey><SessionToken>{session_token}</SessionToken>\
         <Expiration>{expiration}</Expiration></Credentials>"
    )
}

/// What an action that is done answers. `result` is XML already.
fn answer(request: &Request, result: &str) -> Reply {
    let (action, id) = (request.field("Action"), &request.request_id);
    let xml = format!(
        "<{action}Response xmlns=\"{NAMESPACE}\"><{action}Result>{result}</{action}Result>\
         <ResponseMetadata><RequestId>{id}</RequestId></ResponseMetadata></{action}Response>"
    );
    Reply::new(200, "text/xml", xml)
}
