//! The AWS CLI's own caches, both ways: `~/.aws/sso/cache` and `~/.aws/cli/cache` (`protocol.md` 2 and 5).
//!
//! Names and fields are the CLI's, unknown fields are kept, and a torn or foreign file reads as a miss.

use super::files::{self, Replacement};
use super::settings::Flow;
use crate::context::{Context, join};
use crate::core::credentials::{Registration, RoleCredentials, Secret, Token};
use crate::core::hex::hex;
use crate::core::profile::{SsoSession, ascii};
use crate::core::timestamp::Timestamp;
use crate::error::Result;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sha1::{Digest, Sha1};
use std::borrow::Cow;
use std::fs;
use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};
use zeroize::{Zeroize as _, Zeroizing};

type Object = Map<String, Value>;

fn sso_cache(context: &Context, key: &str) -> Result<PathBuf> {
    let name = format!("{}.json", hex(&Sha1::digest(key)));
    Ok(context.home()?.join(".aws/sso/cache").join(name))
}

/// The token's file: SHA-1 of the sso-session's name, or of the start URL exactly as written.
pub(crate) fn token_path(context: &Context, session: &SsoSession) -> Result<PathBuf> {
    sso_cache(context, session.cache_key())
}

/// The cached token, if there is one of this session. A file of the same name for another start URL or region is
/// another session's.
pub(crate) fn read_token(context: &Context, session: &SsoSession) -> Result<Option<Token>> {
    Ok(read(&token_path(context, session)?).and_then(|bytes| token_in(&bytes, session)))
}

/// The token of `session` that a file holds.
pub(crate) fn token_in(bytes: &[u8], session: &SsoSession) -> Option<Token> {
    document(bytes).filter(|object| belongs(object, session)).and_then(|object| token(&object))
}

fn belongs(object: &Object, session: &SsoSession) -> bool {
    let same = |key, ours: &str| object.get(key).is_none_or(|theirs| theirs == ours);
    same("startUrl", &session.start_url) && same("region", &session.region)
}

fn token(object: &Object) -> Option<Token> {
    let secret = |key| text(object, key).filter(|text| !text.is_empty()).map(Secret::new);
    let registration = || {
        Some(Registration {
            client_id: text(object, "clientId")?.to_owned(),
            client_secret: secret("clientSecret")?,
            expires_at: Timestamp::parse(text(object, "registrationExpiresAt")?)?,
        })
    };
    Some(Token {
        access_token: secret("accessToken")?,
        expires_at: Timestamp::parse(text(object, "expiresAt")?)?,
        refresh_token: secret("refreshToken"),
        registration: registration(),
    })
}

/// Writes a token, keeping the unknown fields of the file that is there.
pub(crate) fn write_token(context: &Context, session: &SsoSession, token: &Token) -> Result<()> {
    let path = token_path(context, session)?;
    keep(&path, &token_document(&path, session, token))
}

/// Room on the disk for a token that is about to be paid for.
pub(crate) fn room_for_token(context: &Context, session: &SsoSession) -> Result<Replacement> {
    /// Bytes; recorded ones have 3,000.
    const ROOM: usize = 16 * 1024;
    Replacement::with_room(&token_path(context, session)?, ROOM)
}

/// [`write_token`] where there is room for it.
pub(crate) fn write_token_there(
    room: Replacement,
    context: &Context,
    session: &SsoSession,
    token: &Token,
) -> Result<()> {
    let path = token_path(context, session)?;
    room.write(&token_document(&path, session, token))?;
    files::sweep_abandoned(&path);
    Ok(())
}

fn token_document(path: &Path, session: &SsoSession, token: &Token) -> Zeroizing<Vec<u8>> {
    let mut object = read_document(path).filter(|object| belongs(object, session)).unwrap_or_default();
    let mut set = |key: &str, value: &str| object.insert(key.to_owned(), value.into());
    set("startUrl", &session.start_url);
    set("region", &session.region);
    set("accessToken", token.access_token.expose());
    set("expiresAt", &token.expires_at.to_string());
    if let Some(registration) = &token.registration {
        set("clientId", &registration.client_id);
        set("clientSecret", registration.client_secret.expose());
        set("registrationExpiresAt", &registration.expires_at.to_string());
    }
    match &token.refresh_token {
        Some(refresh_token) => {
            set("refreshToken", refresh_token.expose());
        }
        None => {
            object.remove("refreshToken").as_mut().map(wipe);
        }
    }
    python_json(&*object)
}

pub(crate) fn remove_token(context: &Context, session: &SsoSession) -> Result<()> {
    files::remove(&token_path(context, session)?)
}

/// The registration's file. The key is the text that Python's `json.dumps` makes of these fields, sorted; device and
/// PKCE registrations of one session share it.
fn registration_path(context: &Context, session: &SsoSession) -> Result<PathBuf> {
    let key = json!({
        "region": session.region, "scopes": registration_scopes(session), "session_name": session.name,
        "startUrl": session.start_url, "tool": "botocore",
    });
    sso_cache(context, std::str::from_utf8(&python_json(&key)).unwrap_or_default())
}

/// The scopes that a client of this session registers with: its own, else `sso:account:access`, without which no
/// refresh token is issued. A legacy session has none, as with the AWS CLI: nobody else would refresh its token, and
/// without scopes it lasts 8 hours instead of one.
pub(crate) fn registration_scopes(session: &SsoSession) -> Option<Vec<String>> {
    session.name.as_ref()?;
    let own = session.scopes.clone();
    Some(if own.is_empty() { vec!["sso:account:access".to_owned()] } else { own })
}

/// A registration that fits `flow` and has time enough left at `now`.
pub(crate) fn read_registration(
    context: &Context,
    session: &SsoSession,
    flow: Flow,
    now: Timestamp,
) -> Result<Option<Registration>> {
    let Some(object) = read_document(&registration_path(context, session)?) else { return Ok(None) };
    let has_code_grant = object
        .get("grantTypes")
        .and_then(Value::as_array)
        .is_some_and(|grants| grants.iter().any(|grant| grant == "authorization_code"));
    let found = || {
        Some(Registration {
            client_id: text(&object, "clientId")?.to_owned(),
            client_secret: Secret::new(text(&object, "clientSecret")?),
            expires_at: Timestamp::parse(text(&object, "expiresAt")?)?,
        })
    };
    Ok(found().filter(|registration| registration.usable(now) && has_code_grant == (flow == Flow::Pkce)))
}

pub(crate) fn write_registration(
    context: &Context,
    session: &SsoSession,
    flow: Flow,
    registration: &Registration,
) -> Result<()> {
    let mut object = Document::default();
    object.insert("clientId".into(), registration.client_id.as_str().into());
    object.insert("clientSecret".into(), registration.client_secret.expose().into());
    object.insert("expiresAt".into(), registration.expires_at.to_string().into());
    if let Some(scopes) = registration_scopes(session) {
        object.insert("scopes".into(), json!(scopes));
    }
    if flow == Flow::Pkce {
        object.insert("grantTypes".into(), json!(["authorization_code", "refresh_token"]));
    }
    keep(&registration_path(context, session)?, &python_json(&*object))
}

/// Forgets a registration that the service no longer knows.
pub(crate) fn remove_registration(context: &Context, session: &SsoSession) -> Result<()> {
    files::remove(&registration_path(context, session)?)
}

/// The file of this name in the AWS CLI's cache of role credentials.
pub(crate) fn role_path(context: &Context, cache_file: &str) -> Result<PathBuf> {
    Ok(join(context.home()?, [".aws/cli/cache/", cache_file]))
}

pub(crate) fn read_role_credentials(context: &Context, cache_file: &str) -> Result<Option<RoleCredentials>> {
    Ok(read(&role_path(context, cache_file)?).and_then(|bytes| role_credentials_in(&bytes)))
}

/// The role credentials that a file holds. Empty ones are none: they would hide what else there is.
pub(crate) fn role_credentials_in(bytes: &[u8]) -> Option<RoleCredentials> {
    /// Read without an object of all fields being made: this happens at every `cd`.
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct File<'a> {
        #[serde(borrow)]
        credentials: Fields<'a>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Fields<'a> {
        #[serde(borrow)]
        access_key_id: Cow<'a, str>,
        #[serde(borrow)]
        secret_access_key: Cow<'a, str>,
        #[serde(borrow)]
        session_token: Cow<'a, str>,
        #[serde(borrow)]
        expiration: Cow<'a, str>,
    }
    let File { credentials } = serde_json::from_slice(bytes).ok()?;
    let expires_at = Timestamp::parse(&credentials.expiration)?;
    let values = [&credentials.access_key_id, &credentials.secret_access_key, &credentials.session_token];
    values.iter().all(|value| !value.is_empty()).then(|| RoleCredentials {
        access_key_id: credentials.access_key_id.into_owned(),
        secret_access_key: Secret::new(credentials.secret_access_key),
        session_token: Secret::new(credentials.session_token),
        expires_at,
    })
}

/// The file with the session of a person with access keys who has shown a code of an MFA device. A name of our own: the AWS
/// CLI keeps no such sessions.
pub(crate) fn mfa_file(access_key_id: &str, serial: &str) -> String {
    hex(&Sha1::digest(format!("awsdir mfa {access_key_id} {serial}"))) + ".json"
}

/// What a cache file says of role credentials beside themselves.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Origin<'a> {
    Sso {
        account_id: &'a str,
    },
    /// STS, with the ARN and the id of who the caller has become; a session of one who is still the same has neither.
    Sts {
        account_id: &'a str,
        assumed_role: Option<(&'a str, &'a str)>,
    },
}

/// Writes role credentials, keeping the unknown fields of the file that is there.
pub(crate) fn write_role_credentials(
    context: &Context,
    cache_file: &str,
    origin: Origin<'_>,
    credentials: &RoleCredentials,
) -> Result<()> {
    let path = role_path(context, cache_file)?;
    let mut object = read_document(&path).unwrap_or_default();
    let account_id = match origin {
        Origin::Sso { account_id } => {
            object.insert("ProviderType".into(), "sso".into());
            account_id
        }
        Origin::Sts { account_id, assumed_role } => {
            if let Some((arn, id)) = assumed_role {
                object.insert("AssumedRoleUser".into(), json!({ "AssumedRoleId": id, "Arn": arn }));
            }
            account_id
        }
    };
    let inner = object.entry("Credentials").or_insert_with(|| Value::Object(Object::new()));
    if !inner.is_object() {
        *inner = Value::Object(Object::new());
    }
    if let Some(inner) = inner.as_object_mut() {
        let mut set = |key: &str, value: &str| inner.insert(key.to_owned(), value.into());
        set("AccessKeyId", &credentials.access_key_id);
        set("SecretAccessKey", credentials.secret_access_key.expose());
        set("SessionToken", credentials.session_token.expose());
        set("Expiration", &credentials.expires_at.to_string());
        if !account_id.is_empty() {
            set("AccountId", account_id);
        }
    }
    keep(&path, &python_json(&*object))
}

pub(crate) fn remove_role_credentials(context: &Context, cache_file: &str) -> Result<()> {
    files::remove(&role_path(context, cache_file)?)
}

/// Writes a document of secrets, and leaves none of earlier ones lying about.
fn keep(path: &Path, document: &[u8]) -> Result<()> {
    files::replace(path, document)?;
    files::sweep_abandoned(path);
    Ok(())
}

/// A cache file's JSON object, overwritten in memory when dropped.
#[derive(Default)]
struct Document(Object);

impl Deref for Document {
    type Target = Object;

    fn deref(&self) -> &Object {
        &self.0
    }
}

impl DerefMut for Document {
    fn deref_mut(&mut self) -> &mut Object {
        &mut self.0
    }
}

impl Drop for Document {
    fn drop(&mut self) {
        self.0.values_mut().for_each(wipe);
    }
}

fn wipe(value: &mut Value) {
    match value {
        Value::String(text) => text.zeroize(),
        Value::Array(values) => values.iter_mut().for_each(wipe),
        Value::Object(object) => object.values_mut().for_each(wipe),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// A file's JSON object; anything else is a miss.
fn read_document(path: &Path) -> Option<Document> {
    document(&read(path)?)
}

fn read(path: &Path) -> Option<Zeroizing<Vec<u8>>> {
    fs::read(path).ok().map(Zeroizing::new)
}

fn document(bytes: &[u8]) -> Option<Document> {
    match serde_json::from_slice(bytes) {
        Ok(Value::Object(object)) => Some(Document(object)),
        _ => None,
    }
}

fn text<'a>(object: &'a Object, key: &str) -> Option<&'a str> {
    object.get(key)?.as_str()
}

/// JSON with `", "` and `": "` and with a `\u` escape for all that is not ASCII, as Python's `json.dumps` writes it.
fn python_json(value: &impl Serialize) -> Zeroizing<Vec<u8>> {
    struct Spaced;
    impl serde_json::ser::Formatter for Spaced {
        fn begin_array_value<W: ?Sized + std::io::Write>(
            &mut self,
            writer: &mut W,
            first: bool,
        ) -> std::io::Result<()> {
            if first { Ok(()) } else { writer.write_all(b", ") }
        }
        fn begin_object_key<W: ?Sized + std::io::Write>(&mut self, writer: &mut W, first: bool) -> std::io::Result<()> {
            if first { Ok(()) } else { writer.write_all(b", ") }
        }
        fn begin_object_value<W: ?Sized + std::io::Write>(&mut self, writer: &mut W) -> std::io::Result<()> {
            writer.write_all(b": ")
        }
    }
    let mut bytes = Vec::new();
    let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, Spaced);
    // Writing to memory does not fail.
    let _ = value.serialize(&mut serializer);
    Zeroizing::new(ascii(String::from_utf8(bytes).unwrap_or_default()).into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn corp() -> SsoSession {
        SsoSession {
            name: Some("corp".into()),
            start_url: "https://fakecorp.awsapps.com/start".into(),
            region: "us-east-1".into(),
            scopes: vec!["sso:account:access".into()],
        }
    }

    fn legacy() -> SsoSession {
        SsoSession { name: None, scopes: vec![], ..corp() }
    }

    fn name(path: &Path) -> String {
        path.file_name().unwrap().to_str().unwrap().to_owned()
    }

    /// Names recorded from AWS CLI 2.38.5 (`protocol.md` 2.1 and 5).
    #[test]
    fn file_names_are_the_clis() {
        let context = Context::new();
        let token = |session| name(&token_path(&context, &session).unwrap());
        let registration = |session| name(&registration_path(&context, &session).unwrap());
        assert_eq!(token(corp()), "ee0bfd2552fbd840c02cc48b6e823320543c450f.json");
        assert_eq!(token(legacy()), "fd38b7587310b352143572b2aeed0f1d09e0106d.json");
        assert_eq!(registration(corp()), "853c0f67fd70ea528417264a15654e98c641e3d0.json");
        assert_eq!(registration(legacy()), "a9827a8c4c6701c77f76cbeb6e2bcaa0c3277bf3.json");
    }

    #[test]
    fn no_text_of_a_document_outlives_it() {
        let mut value = json!({"accessToken": "A", "n": 1, "x": ["y", {"z": "deep"}]});
        wipe(&mut value);
        assert_eq!(value, json!({"accessToken": "", "n": 1, "x": ["", {"z": ""}]}));
    }

    #[test]
    fn json_is_written_as_python_writes_it() {
        let value = json!({"a": null, "é\u{1f600}": ["x", 1, {"b": true}], "c": {}});
        let expected = r#"{"a": null, "\u00e9\ud83d\ude00": ["x", 1, {"b": true}], "c": {}}"#;
        assert_eq!(std::str::from_utf8(&python_json(&value)).unwrap(), expected);
    }

    #[test]
    fn tokens_are_read_as_every_tool_writes_them_and_anything_else_is_a_miss() {
        let object = |text: &str| serde_json::from_str::<Object>(text).unwrap();
        let full = object(
            r#"{"startUrl":"https://fakecorp.awsapps.com/start","region":"us-east-1","accessToken":"A",
            "expiresAt":"2026-11-22T18:30:13UTC","clientId":"C","clientSecret":"S",
            "registrationExpiresAt":"2027-02-20T17:30:13.5Z","refreshToken":"R","x":[1]}"#,
        );
        let read = token(&full).unwrap();
        assert!(read.renewal(Timestamp::parse("2027-02-20T17:30:12Z").unwrap()).is_some());
        assert!(read.renewal(Timestamp::parse("2027-02-20T17:30:13Z").unwrap()).is_none());
        assert!(belongs(&full, &corp()));
        assert!(!belongs(&full, &SsoSession { region: "eu-west-1".into(), ..corp() }));
        assert!(
            token(&object(r#"{"accessToken":"A","expiresAt":"2026-11-22T18:30:13Z","refreshToken":null}"#)).is_some()
        );
        for miss in [
            r#"{"accessToken":"A"}"#,
            r#"{"accessToken":"","expiresAt":"2026-11-22T18:30:13Z"}"#,
            r#"{"accessToken":1,"expiresAt":"2026-11-22T18:30:13Z"}"#,
            r#"{"accessToken":"A","expiresAt":"2026-11-22T18:30:13"}"#,
            r#"{"accessToken":"A","expiresAt":1795368613}"#,
        ] {
            assert!(token(&object(miss)).is_none(), "{miss}");
        }
    }
}
