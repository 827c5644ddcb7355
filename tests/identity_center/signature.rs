//! Signatures of requests (`SigV4`), by any credentials issued here.

use std::time::{Duration, SystemTime};

use sha2::{Digest as _, Sha256};

use super::http::{Reply, Request, encode, pairs};
use super::sts::error;
use super::{IssuedCredentials, State, told};

/// How far a signature's date may be from now.
const SKEW: Duration = Duration::from_mins(15);

/// Checks the signature (`SigV4`, in the `Authorization` header); the credentials behind it.
pub(super) fn verify<'a>(state: &'a State, request: &Request) -> Result<&'a IssuedCredentials, Reply> {
    let deny = |name: &str, why: &str| error(request, 403, name, why);
    let mismatch = |why: &str| deny("SignatureDoesNotMatch", why);
    let parts = request.header("authorization").strip_prefix("AWS4-HMAC-SHA256 ");
    let parts = parts.ok_or_else(|| deny("MissingAuthenticationToken", "it is not signed"))?;
    let part = |name: &str| {
        let mut parts = parts.split(',');
        let value = parts.find_map(|part| part.trim().strip_prefix(name)?.strip_prefix('='));
        value.ok_or_else(|| error(request, 400, "IncompleteSignature", name))
    };
    let (credential, names, signature) = (part("Credential")?, part("SignedHeaders")?, part("Signature")?);
    let (access_key_id, scope) = credential.split_once('/').unwrap_or((credential, ""));

    let token = request.header("x-amz-security-token");
    let issued = state.issued(access_key_id).filter(|issued| issued.session_token == token);
    let issued = issued.ok_or_else(|| {
        let why = "The security token included in the request is invalid.";
        deny("InvalidClientTokenId", why)
    })?;

    let date = request.header("x-amz-date");
    let at = parse_date(date).ok_or_else(|| mismatch("x-amz-date is missing or malformed"))?;
    let now = Duration::from_secs(told(state, SystemTime::now()).unsigned_abs());
    if at.abs_diff(now) > SKEW {
        return Err(mismatch("Signature expired, or not yet current"));
    }
    let [day, _, "sts", "aws4_request"] = scope.split('/').collect::<Vec<_>>()[..] else {
        return Err(mismatch("Credential should be scoped to service: 'sts'"));
    };
    if !date.starts_with(day) {
        return Err(mismatch("the date of the scope is not that of x-amz-date"));
    }
    let signed = |name| names.split(';').any(|signed| signed == name);
    if !signed("host") || !signed("x-amz-date") || !(issued.is_long_lived() || signed("x-amz-security-token")) {
        return Err(mismatch("a header that must be signed is not"));
    }
    let digest = hex(&Sha256::digest(canonical(request, names)));
    let to_sign = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{digest}");
    let secret = format!("AWS4{}", issued.secret_access_key).into_bytes();
    let key = scope.split('/').fold(secret, |key, part| hmac(&key, part).to_vec());
    if hex(&hmac(&key, &to_sign)) != signature {
        return Err(mismatch("The request signature we calculated does not match yours."));
    }
    if issued.expires <= SystemTime::now() {
        let why = "The security token included in the request is expired";
        return Err(deny("ExpiredToken", why));
    }
    Ok(issued)
}

/// The canonical request of `SigV4`.
fn canonical(request: &Request, signed_headers: &str) -> String {
    let header = |name: &str| {
        let words: Vec<_> = request.header(name).split_whitespace().collect();
        format!("{name}:{}\n", words.join(" "))
    };
    let headers: String = signed_headers.split(';').map(header).collect();
    let mut query: Vec<_> =
        pairs(&request.raw_query).map(|(name, value)| format!("{}={}", encode(&name), encode(&value))).collect();
    query.sort_unstable();
    let (query, body) = (query.join("&"), hex(&Sha256::digest(&request.raw_body)));
    let Request { method, path, .. } = request;
    format!("{method}\n{path}\n{query}\n{headers}\n{signed_headers}\n{body}")
}

/// HMAC-SHA256 (RFC 2104).
pub(super) fn hmac(key: &[u8], message: &str) -> [u8; 32] {
    let mut block = [0; 64];
    if key.len() > block.len() {
        block[..32].copy_from_slice(&Sha256::digest(key));
    } else {
        block[..key.len()].copy_from_slice(key);
    }
    let keyed = |pad: u8| Sha256::new().chain_update(block.map(|byte| byte ^ pad));
    let inner = keyed(0x36).chain_update(message).finalize();
    keyed(0x5c).chain_update(inner).finalize().into()
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// `20261122T173013Z` as time since the epoch.
pub(super) fn parse_date(date: &str) -> Option<Duration> {
    let number = |range: std::ops::Range<usize>| date.get(range)?.parse::<u64>().ok();
    let (year, month, day) = (number(0..4)?, number(4..6)?, number(6..8)?);
    let (hour, minute, second) = (number(9..11)?, number(11..13)?, number(13..15)?);
    let well_formed = date.len() == 16 && date.as_bytes()[8] == b'T' && date.ends_with('Z');
    if !well_formed || year < 1970 || !(1..=12).contains(&month) {
        return None;
    }
    // Years begin in March here, so that the leap day comes last.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = year / 4 - year / 100 + year / 400;
    let days = year * 365 + leap_days + (month * 153 + 2) / 5 + day - 719_469;
    Some(Duration::from_secs(((days * 24 + hour) * 60 + minute) * 60 + second))
}
