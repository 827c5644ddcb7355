//! The access portal: who has which permission set where, and role credentials.

use std::time::SystemTime;

use serde_json::{Value, json};

use super::http::{Answer, Reply, Request};
use super::{Identity, IdentityCenter, IssuedCredentials, State, since_epoch, told};

pub(super) struct AccessToken {
    pub session: u64,
    pub expires: SystemTime,
}

pub(super) fn error(status: u16, name: &str, message: &str) -> Reply {
    let body = json!({ "message": message, "__type": format!("com.amazonaws.switchboard.portal#{name}") });
    Reply::json(status, &body).with("x-amzn-ErrorType", name)
}

pub(super) fn get_role_credentials(state: &mut State, request: &Request) -> Answer {
    signed_in(state, request)?;
    let (account, role_name) = (required(request, "account_id")?, required(request, "role_name")?);
    if !state.assignments.iter().any(|(a, r)| (a.as_str(), r.as_str()) == (account, role_name)) {
        return Err(error(403, "ForbiddenException", "No access"));
    }
    let identity = Identity::permission_set(account, role_name);
    let lifetime = state.settings.role_lifetime;
    let issued = IssuedCredentials::temporary(state, identity, lifetime);
    let reply = json!({ "roleCredentials": {
        "accessKeyId": issued.access_key_id, "secretAccessKey": issued.secret_access_key,
        "sessionToken": issued.session_token,
        "expiration": told(state, issued.expires) * 1000,
    }});
    state.issued.push(issued);
    Ok(Reply::json(200, &reply))
}

/// The credentials with the access key id `key`, for a server that checks signatures.
pub(super) fn issued(state: &State, request: &Request) -> Reply {
    let Some(issued) = state.issued(request.parameter("key")) else {
        return error(404, "ResourceNotFoundException", "not issued here");
    };
    Reply::json(
        200,
        &json!({
            "secret": issued.secret_access_key, "token": issued.session_token,
            "expires": since_epoch(issued.expires).as_secs_f64(),
        }),
    )
}

pub(super) fn list_accounts(state: &mut State, request: &Request) -> Answer {
    signed_in(state, request)?;
    let mine = |id: &str| state.assignments.iter().any(|(account, _)| account == id);
    let accounts = IdentityCenter::ACCOUNTS.iter().filter(|(id, _)| mine(id)).map(|(id, name)| {
        let email = format!("{name}@example.test");
        json!({ "accountId": id, "accountName": name, "emailAddress": email })
    });
    list_page(state, request, "accountList", accounts.collect())
}

pub(super) fn list_account_roles(state: &mut State, request: &Request) -> Answer {
    signed_in(state, request)?;
    let account = required(request, "account_id")?;
    if !IdentityCenter::ACCOUNTS.iter().any(|(id, _)| *id == account) {
        return Err(error(404, "ResourceNotFoundException", "Account not found"));
    }
    let mine = state.assignments.iter().filter(|(a, _)| a == account);
    let roles = mine.map(|(account, role)| json!({ "roleName": role, "accountId": account }));
    list_page(state, request, "roleList", roles.collect())
}

/// Ends the session: its tokens stop working, its role credentials do not.
pub(super) fn logout(state: &mut State, request: &Request) -> Answer {
    let session = signed_in(state, request)?;
    state.sessions.remove(&session);
    state.access_tokens.retain(|_, token| token.session != session);
    Ok(Reply::new(200, "application/json", ""))
}

/// The session of the request's access token.
fn signed_in(state: &State, request: &Request) -> Result<u64, Reply> {
    let token = state.access_tokens.get(request.header("x-amz-sso_bearer_token"));
    let alive = token.filter(|token| token.expires > SystemTime::now());
    let why = "Session token not found or invalid";
    alive.map(|token| token.session).ok_or_else(|| error(401, "UnauthorizedException", why))
}

fn required<'a>(request: &'a Request, name: &str) -> Result<&'a str, Reply> {
    let value = Some(request.parameter(name)).filter(|value| !value.is_empty());
    value.ok_or_else(|| error(400, "InvalidRequestException", &format!("{name} is missing")))
}

/// One page of a list. The token for the next one needs percent-encoding.
fn list_page(state: &State, request: &Request, name: &str, items: Vec<Value>) -> Answer {
    let invalid = |why| error(400, "InvalidRequestException", why);
    let number = |text: &str| text.parse::<usize>().ok();
    let most = match request.parameter("max_result") {
        "" => Some(100),
        most => number(most).filter(|most| (1..=100).contains(most)),
    };
    let start = match request.parameter("next_token") {
        "" => Some(0),
        token => token.strip_prefix("PAGE+/").and_then(|rest| number(rest.strip_suffix('=')?)),
    };
    let most = most.ok_or_else(|| invalid("max_result must be 1 to 100"))?;
    let start = start.ok_or_else(|| invalid("next_token is invalid"))?;
    let end = start.saturating_add(most.min(state.settings.page_size));
    let next = (end < items.len()).then(|| format!("PAGE+/{end}="));
    let page: Vec<_> = items.into_iter().take(end).skip(start).collect();
    Ok(Reply::json(200, &json!({ name: page, "nextToken": next })))
}
