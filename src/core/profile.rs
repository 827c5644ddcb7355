//! What a profile of `~/.aws/config` means to us: its kind, its sso-session, its account and permission set.

use super::hex::hex;
use serde_json::Value;
use sha1::{Digest as _, Sha1};
use std::fmt;

/// Characters that the SDKs' config grammar allows in the name of a profile (`protocol.md` 1.2); a section with
/// any other in its name is invisible to most of them.
pub(crate) fn is_name_character(c: char) -> bool {
    c.is_ascii_alphanumeric() || "_-/.%@:+".contains(c)
}

/// An sso-session: one start URL that a person signs in to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SsoSession {
    /// The name in `[sso-session NAME]`; `None` for a legacy profile that carries the start URL itself.
    pub(crate) name: Option<String>,
    /// Exactly as written: it is the key of a legacy session's cache file.
    pub(crate) start_url: String,
    /// The region of Identity Center (`sso_region`), not the one where work is done.
    pub(crate) region: String,
    /// `sso_registration_scopes` as written, in order; empty if the key is absent or the profile is a legacy one.
    pub(crate) scopes: Vec<String>,
}

impl SsoSession {
    /// The text whose SHA-1 names the token's cache file (`protocol.md` 2.1).
    pub(crate) fn cache_key(&self) -> &str {
        self.name.as_deref().unwrap_or(&self.start_url)
    }

    /// What `--session` selects it by, and what people call it.
    pub(crate) fn label(&self) -> &str {
        self.cache_key()
    }
}

/// A profile whose role credentials come from Identity Center.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SsoProfile {
    pub(crate) name: String,
    pub(crate) session: SsoSession,
    /// Twelve digits; a string, because leading zeros matter.
    pub(crate) account_id: String,
    /// The permission set (config key `sso_role_name`).
    pub(crate) role_name: String,
    /// The profile's own `region`.
    pub(crate) region: Option<String>,
    /// The name of the file in the AWS CLI's cache that holds its role credentials. A hook reads it from the profile's
    /// record rather than compute it.
    pub(crate) cache_file: String,
}

impl SsoProfile {
    fn new(name: &str, session: SsoSession, account_id: String, role_name: String, region: Option<String>) -> Self {
        let cache_file = cache_file(&session, &account_id, &role_name);
        Self { name: name.to_owned(), session, account_id, role_name, region, cache_file }
    }
}

/// SHA-1 of compact JSON with sorted keys, all but ASCII escaped as Python's `json.dumps` does (`protocol.md` 5).
fn cache_file(session: &SsoSession, account_id: &str, role_name: &str) -> String {
    let session = match &session.name {
        Some(name) => ("sessionName", name),
        None => ("startUrl", &session.start_url),
    };
    let key = Value::from_iter([("accountId", account_id), ("roleName", role_name), (session.0, session.1)]);
    hex(&Sha1::digest(ascii(key.to_string()))) + ".json"
}

/// JSON with a `\u` escape, four hexadecimal digits, for all that is not ASCII.
pub(crate) fn ascii(json: String) -> String {
    if json.is_ascii() {
        return json;
    }
    let mut text = String::with_capacity(json.len() + 16);
    for c in json.chars() {
        if c.is_ascii() {
            text.push(c);
        } else {
            text.extend(c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")));
        }
    }
    text
}

/// A profile of any kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Profile {
    Sso(SsoProfile),
    /// Credentials come from elsewhere (static keys, a role chain, a process, …): the SDKs resolve it themselves.
    Other {
        name: String,
        region: Option<String>,
    },
}

impl Profile {
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Sso(profile) => &profile.name,
            Self::Other { name, .. } => name,
        }
    }

    pub(crate) fn region(&self) -> Option<&str> {
        match self {
            Self::Sso(profile) => profile.region.as_deref(),
            Self::Other { region, .. } => region.as_deref(),
        }
    }
}

/// What keeps a profile's section from being used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ProfileProblem {
    /// `section` lacks `key`, or it is empty.
    MissingKey { section: String, key: &'static str },
    /// The profile names an sso-session that has no section.
    MissingSession { profile: String, session: String },
    /// The profile and its sso-session give different values of the same key.
    Inconsistent { profile: String, session: String, key: &'static str },
}

impl fmt::Display for ProfileProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MissingKey { section, key } => write!(f, "`[{section}]` has no `{key}`"),
            Self::MissingSession { profile, session } => write!(
                f,
                "`[profile {profile}]` names the sso-session `{session}`, and there is no `[sso-session {session}]`"
            ),
            Self::Inconsistent { profile, session, key } => {
                write!(f, "`[profile {profile}]` and `[sso-session {session}]` give different values of `{key}`")
            }
        }
    }
}

/// Looks up one key of one section.
pub(crate) type Keys<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Reads an sso-session's own section.
pub(crate) fn sso_session(name: &str, keys: Keys<'_>) -> Result<SsoSession, ProfileProblem> {
    let section = format!("sso-session {name}");
    Ok(SsoSession {
        name: Some(name.to_owned()),
        start_url: required(&section, keys, "sso_start_url")?,
        region: required(&section, keys, "sso_region")?,
        scopes: scopes(keys),
    })
}

/// Reads a profile's section, with that of its sso-session if it names one and it exists.
///
/// Identity Center makes a profile when `sso_account_id` or `sso_role_name` is present (the AWS CLI's rule).
pub(crate) fn profile(name: &str, keys: Keys<'_>, session_keys: Option<Keys<'_>>) -> Result<Profile, ProfileProblem> {
    let region = present(keys, "region");
    if keys("sso_account_id").is_none() && keys("sso_role_name").is_none() {
        return Ok(Profile::Other { name: name.to_owned(), region });
    }
    let section = if name == "default" { name.to_owned() } else { format!("profile {name}") };
    let session = match present(keys, "sso_session") {
        Some(session_name) => {
            let session_keys = session_keys.ok_or_else(|| ProfileProblem::MissingSession {
                profile: name.to_owned(),
                session: session_name.clone(),
            })?;
            let session = sso_session(&session_name, session_keys)?;
            for (key, theirs) in [("sso_start_url", &session.start_url), ("sso_region", &session.region)] {
                if present(keys, key).is_some_and(|own| own != *theirs) {
                    return Err(ProfileProblem::Inconsistent { profile: name.to_owned(), session: session_name, key });
                }
            }
            session
        }
        None => SsoSession {
            name: None,
            start_url: required(&section, keys, "sso_start_url")?,
            region: required(&section, keys, "sso_region")?,
            scopes: Vec::new(),
        },
    };
    let (account_id, role_name) =
        (required(&section, keys, "sso_account_id")?, required(&section, keys, "sso_role_name")?);
    Ok(Profile::Sso(SsoProfile::new(name, session, account_id, role_name, region)))
}

fn present(keys: Keys<'_>, key: &str) -> Option<String> {
    keys(key).filter(|value| !value.is_empty())
}

fn required(section: &str, keys: Keys<'_>, key: &'static str) -> Result<String, ProfileProblem> {
    present(keys, key).ok_or_else(|| ProfileProblem::MissingKey { section: section.to_owned(), key })
}

/// Comma separated, blanks trimmed, empty items dropped (`protocol.md` 1.4).
fn scopes(keys: Keys<'_>) -> Vec<String> {
    keys("sso_registration_scopes")
        .unwrap_or_default()
        .split(',')
        .map(str::trim)
        .filter(|scope| !scope.is_empty())
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(pairs: &'static [(&str, &str)]) -> impl Fn(&str) -> Option<String> {
        move |key| pairs.iter().find(|(k, _)| *k == key).map(|(_, v)| (*v).to_owned())
    }

    const CORP: &[(&str, &str)] = &[
        ("sso_start_url", "https://corp.awsapps.com/start"),
        ("sso_region", "eu-west-1"),
        ("sso_registration_scopes", " sso:account:access , ,x"),
    ];

    #[test]
    fn a_profile_takes_its_session_from_the_section_it_names() {
        let own = keys(&[
            ("sso_session", "corp"),
            ("sso_account_id", "012345678901"),
            ("sso_role_name", "ReadOnly"),
            ("region", "us-east-1"),
        ]);
        let Ok(Profile::Sso(profile)) = profile("ro", &own, Some(&keys(CORP))) else { panic!() };
        assert_eq!(profile.account_id, "012345678901");
        assert_eq!(profile.session.cache_key(), "corp");
        assert_eq!(profile.session.region, "eu-west-1");
        assert_eq!(profile.session.scopes, ["sso:account:access", "x"]);
        assert_eq!(profile.region.as_deref(), Some("us-east-1"));
    }

    #[test]
    fn a_legacy_profile_is_its_own_session() {
        let own = keys(&[
            ("sso_start_url", "https://corp.awsapps.com/start#/"),
            ("sso_region", "eu-west-1"),
            ("sso_account_id", "111111111111"),
            ("sso_role_name", "Admin"),
        ]);
        let Ok(Profile::Sso(profile)) = profile("old", &own, None) else { panic!() };
        assert_eq!(profile.session.name, None);
        assert_eq!(profile.session.cache_key(), "https://corp.awsapps.com/start#/");
    }

    /// A name recorded from AWS CLI 2.38.5 (`protocol.md` 5), and one with text that is not ASCII, from Python.
    #[test]
    fn role_credentials_have_the_clis_file_name() {
        let session = |name: Option<&str>| SsoSession {
            name: name.map(str::to_owned),
            start_url: "https://fakecorp.awsapps.com/start".into(),
            region: "us-east-1".into(),
            scopes: vec![],
        };
        let file = |session| cache_file(&session, "111111111111", "ReadOnly");
        assert_eq!(file(session(Some("corp"))), "e83cab308910340ce11a566ebf0b9e96b40f6c39.json");
        assert_eq!(file(session(None)), "921eaf8993e6b7ac8e7b5bc22350819af0ec0d59.json");
        assert_eq!(file(session(Some("é\u{1f600}\"\\"))), "f3c67d1cd13f5e4a99f6b9f40a3e7e81a8a5e71a.json");
    }

    #[test]
    fn other_kinds_are_left_to_the_sdks() {
        let own = keys(&[("role_arn", "arn:aws:iam::1:role/x"), ("region", "us-east-1")]);
        assert_eq!(
            profile("chain", &own, None),
            Ok(Profile::Other { name: "chain".into(), region: Some("us-east-1".into()) })
        );
    }

    #[test]
    fn problems_name_the_section_and_the_key() {
        #[expect(clippy::type_complexity, reason = "a table")]
        let cases: [(&'static [(&str, &str)], Option<&'static [(&str, &str)]>, &str); 5] = [
            (&[("sso_session", "corp"), ("sso_account_id", "1")], Some(CORP), "`[profile p]` has no `sso_role_name`"),
            (
                &[("sso_session", "gone"), ("sso_account_id", "1"), ("sso_role_name", "r")],
                None,
                "`[profile p]` names the sso-session `gone`, and there is no `[sso-session gone]`",
            ),
            (&[("sso_account_id", "1"), ("sso_role_name", "r")], None, "`[profile p]` has no `sso_start_url`"),
            (
                &[("sso_session", "s"), ("sso_account_id", "1"), ("sso_role_name", "r")],
                Some(&[("sso_start_url", "https://x")]),
                "`[sso-session s]` has no `sso_region`",
            ),
            (
                &[
                    ("sso_session", "corp"),
                    ("sso_region", "us-east-1"),
                    ("sso_account_id", "1"),
                    ("sso_role_name", "r"),
                ],
                Some(CORP),
                "`[profile p]` and `[sso-session corp]` give different values of `sso_region`",
            ),
        ];
        for (own, session, expected) in cases {
            let own = keys(own);
            let problem = match session {
                Some(session) => profile("p", &own, Some(&keys(session))),
                None => profile("p", &own, None),
            };
            assert_eq!(problem.unwrap_err().to_string(), expected);
        }
    }
}
