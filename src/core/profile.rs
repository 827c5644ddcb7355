//! What a profile of `~/.aws/config` means to us: where its credentials come from, link by link.
//!
//! The rules are the AWS CLI's (`protocol.md` 1.4 and 10), which the SDKs share but for details.

use super::hex::hex;
use serde_json::Value;
use sha1::{Digest as _, Sha1};
use std::fmt;
use zeroize::Zeroizing;

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

    pub(crate) fn is_same_portal(&self, start_url: &str, region: &str) -> bool {
        is_same_start_url(&self.start_url, start_url) && self.region == region
    }

    /// What `--session` selects it by, and what people call it.
    pub(crate) fn label(&self) -> &str {
        self.cache_key()
    }
}

/// One permission set in one account of one start URL: a role that needs no profile (a dotfile's `sso_*` keys).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PermissionSet {
    pub(crate) start_url: String,
    /// The region of Identity Center.
    pub(crate) sso_region: String,
    /// Twelve digits.
    pub(crate) account_id: String,
    pub(crate) role_name: String,
}

impl PermissionSet {
    /// `account/permission-set`, what people call it where no profile has it.
    pub(crate) fn label(&self) -> String {
        format!("{}/{}", self.account_id, self.role_name)
    }
}

/// The account and the permission set of a name such as `123456789012/ReadOnly`.
pub(crate) fn account_and_role(name: &str) -> Option<(&str, &str)> {
    let (account, role) = name.split_once('/')?;
    (is_account_id(account) && is_role_name(role)).then_some((account, role))
}

pub(crate) fn is_account_id(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// 1 to 32 characters of `\w+=,.@-`, as Identity Center has it for the names of permission sets.
pub(crate) fn is_role_name(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || "_+=,.@-".contains(c);
    (1..=32).contains(&text.len()) && text.chars().all(fits)
}

/// A profile whose role credentials come from Identity Center.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SsoProfile {
    pub(crate) name: String,
    /// `false` for a permission set by itself, which goes by `account/permission-set`: no SDK knows it by that name.
    pub(crate) is_in_config: bool,
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
        let cache_file = sso_cache_file(&session, &account_id, &role_name);
        Self { name: name.to_owned(), is_in_config: true, session, account_id, role_name, region, cache_file }
    }

    /// A permission set that no profile has.
    pub(crate) fn by_itself(session: SsoSession, account_id: &str, role_name: &str) -> Self {
        let name = format!("{account_id}/{role_name}");
        let profile = Self::new(&name, session, account_id.to_owned(), role_name.to_owned(), None);
        Self { is_in_config: false, ..profile }
    }

    /// Whether it is this permission set, whatever the profile is called. A slash at the end of a start URL is none.
    pub(crate) fn is(&self, wanted: &PermissionSet) -> bool {
        is_same_start_url(&self.session.start_url, &wanted.start_url)
            && (&self.account_id, &self.role_name) == (&wanted.account_id, &wanted.role_name)
    }
}

/// Whether two start URLs lead to one portal: people paste them with and without what the browser adds.
fn is_same_start_url(one: &str, other: &str) -> bool {
    let bare = |url: &str| url.trim_end_matches(['/', '#']).to_owned();
    bare(one) == bare(other)
}

/// SHA-1 of compact JSON with sorted keys, all but ASCII escaped as Python's `json.dumps` does (`protocol.md` 5).
fn sso_cache_file(session: &SsoSession, account_id: &str, role_name: &str) -> String {
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

/// A profile whose role credentials come from STS, for the credentials of its source (`protocol.md` 10).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RoleProfile {
    pub(crate) name: String,
    /// The profile's own `region`.
    pub(crate) region: Option<String>,
    pub(crate) role_arn: String,
    pub(crate) source: Source,
    pub(crate) session_name: Option<String>,
    pub(crate) external_id: Option<String>,
    pub(crate) mfa_serial: Option<String>,
    /// Seconds; absent where it is no number, as the AWS CLI has it.
    pub(crate) duration_seconds: Option<u32>,
    /// The name of the file in the AWS CLI's cache that holds its role credentials.
    pub(crate) cache_file: String,
}

/// Whose credentials assume a role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// `source_profile`
    Profile(Box<Profile>),
    /// `credential_source`
    Environment,
    EcsContainer,
    Ec2InstanceMetadata,
    /// Nobody's: the token in this file stands for the caller (`web_identity_token_file`).
    WebIdentity {
        token_file: String,
    },
}

impl Source {
    /// `credential_source` is case-sensitive.
    fn named(word: &str) -> Option<Self> {
        match word {
            "Environment" => Some(Self::Environment),
            "EcsContainer" => Some(Self::EcsContainer),
            "Ec2InstanceMetadata" => Some(Self::Ec2InstanceMetadata),
            _ => None,
        }
    }

    pub(crate) fn in_words(&self) -> String {
        match self {
            Self::Profile(profile) => format!("profile `{}`", profile.name()),
            Self::Environment => "the environment".to_owned(),
            Self::EcsContainer => "the container".to_owned(),
            Self::Ec2InstanceMetadata => "the EC2 instance".to_owned(),
            Self::WebIdentity { token_file } => format!("the token in `{token_file}`"),
        }
    }
}

impl RoleProfile {
    /// The account in the role's ARN; empty if it is no ARN.
    pub(crate) fn account_id(&self) -> &str {
        self.role_arn.split(':').nth(4).unwrap_or_default()
    }

    /// The last part of the role's ARN.
    pub(crate) fn role_name(&self) -> &str {
        self.role_arn.rsplit(['/', ':']).next().unwrap_or_default()
    }

    /// SHA-1 of what `AssumeRole` is asked, as Python's `json.dumps` writes it, sorted. Whose credentials ask is not part of
    /// it (`protocol.md` 5); a web identity's token is, which nobody knows before it is read.
    fn cache_file(&self, token: Option<&str>) -> String {
        let duration = self.duration_seconds.map(Value::from);
        let text = |value: &Option<String>| value.as_deref().map(Value::from);
        let pairs = [
            ("DurationSeconds", duration),
            ("ExternalId", text(&self.external_id)),
            ("RoleArn", Some(Value::from(self.role_arn.as_str()))),
            ("RoleSessionName", text(&self.session_name)),
            ("SerialNumber", text(&self.mfa_serial)),
            ("WebIdentityToken", token.map(Value::from)),
        ];
        let pairs = pairs.into_iter().filter_map(|(key, value)| Some(format!("\"{key}\": {}", value?)));
        let key = pairs.collect::<Vec<_>>().join(", ");
        hex(&Sha1::digest(ascii(format!("{{{key}}}")))) + ".json"
    }
}

/// A profile that needs no role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OtherProfile {
    pub(crate) name: String,
    pub(crate) region: Option<String>,
    pub(crate) kind: OtherKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OtherKind {
    /// Access keys in either file.
    Keys,
    /// `credential_process`
    Process,
    /// None that we know of.
    Nothing,
}

/// A profile of any kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Profile {
    Sso(SsoProfile),
    Role(RoleProfile),
    /// The SDKs take the credentials where they are; we fetch them only for those who cannot.
    Other(OtherProfile),
}

impl Profile {
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Sso(profile) => &profile.name,
            Self::Role(profile) => &profile.name,
            Self::Other(profile) => &profile.name,
        }
    }

    pub(crate) fn region(&self) -> Option<&str> {
        match self {
            Self::Sso(profile) => profile.region.as_deref(),
            Self::Role(profile) => profile.region.as_deref(),
            Self::Other(profile) => profile.region.as_deref(),
        }
    }

    /// Whether SDKs find it by its name.
    pub(crate) fn is_in_config(&self) -> bool {
        !matches!(self, Self::Sso(SsoProfile { is_in_config: false, .. }))
    }

    /// The sso-session at the root of its chain.
    pub(crate) fn session(&self) -> Option<&SsoSession> {
        match self {
            Self::Sso(profile) => Some(&profile.session),
            Self::Role(RoleProfile { source: Source::Profile(source), .. }) => source.session(),
            Self::Role(_) | Self::Other(_) => None,
        }
    }

    /// The name of the file in the AWS CLI's cache that holds its role credentials, if it is a role.
    pub(crate) fn cache_file(&self) -> Option<&str> {
        match self {
            Self::Sso(profile) => Some(&profile.cache_file),
            Self::Role(profile) => Some(&profile.cache_file),
            Self::Other(_) => None,
        }
    }

    /// The account that it works in, where the config tells.
    pub(crate) fn account_id(&self) -> Option<&str> {
        match self {
            Self::Sso(profile) => Some(&profile.account_id),
            Self::Role(profile) => Some(profile.account_id()).filter(|account| is_account_id(account)),
            Self::Other(_) => None,
        }
    }

    /// The permission set, or the role.
    pub(crate) fn role_name(&self) -> Option<&str> {
        match self {
            Self::Sso(profile) => Some(&profile.role_name),
            Self::Role(profile) => Some(profile.role_name()),
            Self::Other(_) => None,
        }
    }

    /// One word or two, for lists and `--json`.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Sso(_) => "sso",
            Self::Role(RoleProfile { source: Source::WebIdentity { .. }, .. }) => "web identity",
            Self::Role(_) => "role",
            Self::Other(OtherProfile { kind: OtherKind::Keys, .. }) => "keys",
            Self::Other(OtherProfile { kind: OtherKind::Process, .. }) => "process",
            Self::Other(OtherProfile { kind: OtherKind::Nothing, .. }) => "none",
        }
    }

    /// What its credentials are, in words.
    pub(crate) fn in_words(&self) -> String {
        match self {
            Self::Sso(profile) => format!("{} in account {}", profile.role_name, profile.account_id),
            Self::Role(profile) => format!("role `{}`", profile.role_arn),
            Self::Other(OtherProfile { kind: OtherKind::Keys, .. }) => "access keys".to_owned(),
            Self::Other(OtherProfile { kind: OtherKind::Process, .. }) => "a credential process".to_owned(),
            Self::Other(OtherProfile { kind: OtherKind::Nothing, .. }) => "no credentials".to_owned(),
        }
    }

    /// What the root of its chain takes credentials from, if that is no profile.
    pub(crate) fn source(&self) -> Option<&Source> {
        match self.chain().last() {
            Some(Self::Role(RoleProfile { source, .. })) => Some(source),
            _ => None,
        }
    }

    /// Whether a person has to show an MFA code on the way to its credentials.
    pub(crate) fn needs_code(&self) -> bool {
        self.chain().any(|link| matches!(link, Self::Role(RoleProfile { mfa_serial: Some(_), .. })))
    }

    /// The same, once the token of the web identity at its root, if there is one, was read by `token`: it is part of the name
    /// of the file in the cache.
    pub(crate) fn with_token(mut self, token: impl FnOnce(&str) -> Option<Zeroizing<String>>) -> Self {
        let mut link = &mut self;
        while let Self::Role(role) = link {
            if let Source::WebIdentity { token_file } = &role.source {
                let token = token(token_file);
                role.cache_file = role.cache_file(token.as_ref().map(|token| token.as_str()));
                break;
            }
            let Source::Profile(source) = &mut role.source else { break };
            link = source;
        }
        self
    }

    /// Itself, and then whose credentials it takes, down to the root.
    pub(crate) fn chain(&self) -> impl Iterator<Item = &Self> {
        std::iter::successors(Some(self), |link| match link {
            Self::Role(RoleProfile { source: Source::Profile(source), .. }) => Some(&**source),
            _ => None,
        })
    }
}

/// A section of the AWS config files by its title.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Title {
    Profile(String),
    SsoSession(String),
}

impl fmt::Display for Title {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Profile(name) if name == "default" => f.write_str("[default]"),
            Self::Profile(name) => write!(f, "[profile {name}]"),
            Self::SsoSession(name) => write!(f, "[sso-session {name}]"),
        }
    }
}

/// What keeps a profile from being used, and where: the section, and the key that is wrong or missing in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Misfit {
    pub(crate) title: Title,
    pub(crate) key: &'static str,
    pub(crate) problem: ProfileProblem,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ProfileProblem {
    /// The key is absent, or empty.
    Missing,
    /// The sso-session has no section.
    NoSession(String),
    /// The profile and its sso-session give different values of the key.
    Inconsistent(String),
    /// The source profile has no section.
    NoSource(String),
    /// The source profile has no credentials.
    EmptySource(String),
    /// Profiles that are each other's source, the first one again at the end.
    Loop(Vec<String>),
    /// So many roles take each other's credentials that nobody can mean it.
    TooDeep,
    /// It has no source.
    Sourceless,
    /// It has two.
    TwoSources,
    /// No `credential_source` goes by that.
    UnknownSource(String),
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { title, key, problem } = self;
        match problem {
            ProfileProblem::Missing => write!(f, "`{title}` has no `{key}`"),
            ProfileProblem::NoSession(session) => {
                write!(f, "`{title}` names the sso-session `{session}`, and there is no `[sso-session {session}]`")
            }
            ProfileProblem::Inconsistent(session) => {
                write!(f, "`{title}` and `[sso-session {session}]` give different values of `{key}`")
            }
            ProfileProblem::NoSource(source) => {
                write!(f, "`{title}` takes the credentials of profile `{source}`, and there is no such profile")
            }
            ProfileProblem::EmptySource(source) => {
                write!(f, "`{title}` takes the credentials of profile `{source}`, which has none")
            }
            ProfileProblem::Loop(names) => {
                write!(f, "`{title}` takes its own credentials, by way of `source_profile`: {}", names.join(" → "))
            }
            ProfileProblem::TooDeep => {
                write!(f, "`{title}` is the {DEEPEST}th profile that takes another's credentials")
            }
            ProfileProblem::Sourceless => {
                write!(f, "`{title}` has a `role_arn`, and neither `source_profile` nor `credential_source` for it")
            }
            ProfileProblem::TwoSources => write!(f, "`{title}` has both `source_profile` and `credential_source`"),
            ProfileProblem::UnknownSource(word) => write!(
                f,
                "`{key}` in `{title}` is `Environment`, `EcsContainer` or `Ec2InstanceMetadata`, not `{word}`"
            ),
        }
    }
}

/// The sections of the AWS config files.
pub(crate) trait Sections {
    fn profile(&self, name: &str) -> Option<impl Keys>;
    fn sso_session(&self, name: &str) -> Option<impl Keys>;
}

/// The keys of one section.
pub(crate) trait Keys {
    fn get(&self, key: &str) -> Option<&str>;
    /// Whether the value stands in the credentials file.
    fn is_in_credentials_file(&self, key: &str) -> bool;

    fn present(&self, key: &str) -> Option<&str> {
        self.get(key).filter(|value| !value.is_empty())
    }
}

fn missing(title: &Title, key: &'static str) -> Misfit {
    Misfit { title: title.clone(), key, problem: ProfileProblem::Missing }
}

fn required(title: &Title, keys: &impl Keys, key: &'static str) -> Result<String, Misfit> {
    keys.present(key).map(str::to_owned).ok_or_else(|| missing(title, key))
}

/// Reads an sso-session's section.
pub(crate) fn sso_session(name: &str, keys: &impl Keys) -> Result<SsoSession, Misfit> {
    let title = Title::SsoSession(name.to_owned());
    Ok(SsoSession {
        name: Some(name.to_owned()),
        start_url: required(&title, keys, "sso_start_url")?,
        region: required(&title, keys, "sso_region")?,
        scopes: scopes(keys),
    })
}

/// The profile of that name with all that it takes credentials from; `None` if there is none.
pub(crate) fn profile(name: &str, sections: &impl Sections) -> Result<Option<Profile>, Misfit> {
    let Some(keys) = sections.profile(name) else { return Ok(None) };
    link(name, &keys, sections, &mut Vec::new()).map(Some)
}

/// How many links a chain may have. No role needs more, and stacks have an end.
pub(crate) const DEEPEST: usize = 100;

/// One link of a chain, and those beyond it. `above` are the profiles that lead here.
fn link(name: &str, keys: &impl Keys, sections: &impl Sections, above: &mut Vec<String>) -> Result<Profile, Misfit> {
    let title = Title::Profile(name.to_owned());
    let region = keys.present("region").map(str::to_owned);
    let other = |kind| Profile::Other(OtherProfile { name: name.to_owned(), region: region.clone(), kind });
    let has_keys = ["aws_access_key_id", "aws_secret_access_key"].iter().any(|key| keys.present(key).is_some());
    // For whom it is the source, keys of its own end the chain, whatever role it has too.
    if has_keys && !above.is_empty() {
        return access_keys(&title, keys).map(|()| other(OtherKind::Keys));
    }
    match (keys.present("role_arn"), keys.present("web_identity_token_file")) {
        (Some(role_arn), token_file) => {
            let source = match token_file {
                Some(token_file) => Source::WebIdentity { token_file: token_file.to_owned() },
                None => source(name, keys, sections, above)?,
            };
            let text = |key| keys.present(key).map(str::to_owned);
            let mut role = RoleProfile {
                name: name.to_owned(),
                role_arn: role_arn.to_owned(),
                session_name: text("role_session_name"),
                external_id: text("external_id").filter(|_| token_file.is_none()),
                mfa_serial: text("mfa_serial").filter(|_| token_file.is_none()),
                duration_seconds: text("duration_seconds").and_then(|seconds| seconds.trim().parse().ok()),
                region,
                source,
                cache_file: String::new(),
            };
            role.cache_file = role.cache_file(None);
            return Ok(Profile::Role(role));
        }
        (None, Some(_)) => return Err(missing(&title, "role_arn")),
        (None, None) => {}
    }
    // Either of them makes it one (the AWS CLI's rule).
    if keys.get("sso_account_id").is_some() || keys.get("sso_role_name").is_some() {
        let session = session_of(&title, keys, sections)?;
        let (account_id, role_name) =
            (required(&title, keys, "sso_account_id")?, required(&title, keys, "sso_role_name")?);
        return Ok(Profile::Sso(SsoProfile::new(name, session, account_id, role_name, region)));
    }
    let has_process = keys.present("credential_process").is_some();
    if has_keys && (!has_process || keys.is_in_credentials_file("aws_access_key_id")) {
        return access_keys(&title, keys).map(|()| other(OtherKind::Keys));
    }
    Ok(other(if has_process { OtherKind::Process } else { OtherKind::Nothing }))
}

/// Both halves are there.
fn access_keys(title: &Title, keys: &impl Keys) -> Result<(), Misfit> {
    ["aws_access_key_id", "aws_secret_access_key"]
        .into_iter()
        .try_for_each(|key| keys.present(key).map(|_| ()).ok_or_else(|| missing(title, key)))
}

fn source(name: &str, keys: &impl Keys, sections: &impl Sections, above: &mut Vec<String>) -> Result<Source, Misfit> {
    let misfit = |key, problem| Misfit { title: Title::Profile(name.to_owned()), key, problem };
    let source_name = match (keys.present("source_profile"), keys.present("credential_source")) {
        (Some(_), Some(_)) => return Err(misfit("credential_source", ProfileProblem::TwoSources)),
        (None, None) => return Err(misfit("role_arn", ProfileProblem::Sourceless)),
        (None, Some(word)) => {
            let unknown = || misfit("credential_source", ProfileProblem::UnknownSource(word.to_owned()));
            return Source::named(word).ok_or_else(unknown);
        }
        (Some(source_name), None) => source_name,
    };
    let misfit = |problem| misfit("source_profile", problem);
    above.push(name.to_owned());
    if above.len() >= DEEPEST {
        return Err(misfit(ProfileProblem::TooDeep));
    }
    let own_keys = source_name == name && keys.present("aws_access_key_id").is_some();
    if let Some(at) = above.iter().position(|known| known == source_name && !own_keys) {
        let mut names = above.split_off(at);
        names.push(source_name.to_owned());
        return Err(misfit(ProfileProblem::Loop(names)));
    }
    let Some(source_keys) = sections.profile(source_name) else {
        return Err(misfit(ProfileProblem::NoSource(source_name.to_owned())));
    };
    match link(source_name, &source_keys, sections, above)? {
        Profile::Other(OtherProfile { kind: OtherKind::Nothing, .. }) => {
            Err(misfit(ProfileProblem::EmptySource(source_name.to_owned())))
        }
        profile => Ok(Source::Profile(Box::new(profile))),
    }
}

/// The sso-session that a profile names, else the one that it is itself.
fn session_of(title: &Title, keys: &impl Keys, sections: &impl Sections) -> Result<SsoSession, Misfit> {
    let Some(name) = keys.present("sso_session") else {
        return Ok(SsoSession {
            name: None,
            start_url: required(title, keys, "sso_start_url")?,
            region: required(title, keys, "sso_region")?,
            scopes: Vec::new(),
        });
    };
    let misfit = |key, problem| Misfit { title: title.clone(), key, problem };
    let Some(session_keys) = sections.sso_session(name) else {
        return Err(misfit("sso_session", ProfileProblem::NoSession(name.to_owned())));
    };
    let session = sso_session(name, &session_keys)?;
    for (key, theirs) in [("sso_start_url", &session.start_url), ("sso_region", &session.region)] {
        if keys.present(key).is_some_and(|own| own != theirs) {
            return Err(misfit(key, ProfileProblem::Inconsistent(name.to_owned())));
        }
    }
    Ok(session)
}

/// Comma separated, blanks trimmed, empty items dropped (`protocol.md` 1.4).
fn scopes(keys: &impl Keys) -> Vec<String> {
    let scopes = keys.get("sso_registration_scopes").unwrap_or_default().split(',').map(str::trim);
    scopes.filter(|scope| !scope.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    /// Sections by title, keys by name.
    struct Config(BTreeMap<String, BTreeMap<String, String>>);

    /// `[title] key=value key=value`, one section a line.
    fn config(lines: &str) -> Config {
        let sections = lines.lines().filter_map(|line| line.trim().strip_prefix('[')?.split_once(']'));
        let section = |(title, pairs): (&str, &str)| {
            let pairs = pairs.split_whitespace().filter_map(|pair| pair.split_once('='));
            (title.to_owned(), pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect())
        };
        Config(sections.map(section).collect())
    }

    impl Sections for Config {
        fn profile(&self, name: &str) -> Option<impl Keys> {
            self.0.get(name)
        }

        fn sso_session(&self, name: &str) -> Option<impl Keys> {
            self.0.get(&format!("sso-session {name}"))
        }
    }

    impl Keys for &BTreeMap<String, String> {
        fn get(&self, key: &str) -> Option<&str> {
            BTreeMap::get(self, key).map(String::as_str)
        }

        fn is_in_credentials_file(&self, key: &str) -> bool {
            self.contains_key("in_credentials_file") && self.contains_key(key)
        }
    }

    const CORP: &str = "[sso-session corp] sso_start_url=https://corp.awsapps.com/start sso_region=eu-west-1 \
        sso_registration_scopes=sso:account:access,,x";
    const READ_ONLY: &str = "sso_session=corp sso_account_id=012345678901 sso_role_name=ReadOnly";

    /// The chain from the root on, or why there is none.
    fn chain(text: &str) -> String {
        let profile = match profile("a", &config(text)) {
            Ok(profile) => profile.unwrap(),
            Err(misfit) => return misfit.to_string(),
        };
        let mut links: Vec<String> = profile.chain().map(|link| format!("{} {}", link.name(), link.kind())).collect();
        if let Some(Profile::Role(RoleProfile { source, .. })) = profile.chain().last() {
            links.push(source.in_words());
        }
        links.reverse();
        links.join(" → ")
    }

    #[test]
    fn a_profile_takes_its_session_from_the_section_it_names() {
        let lines = format!("{CORP}\n[ro] {READ_ONLY} region=us-east-1");
        let Ok(Some(Profile::Sso(profile))) = profile("ro", &config(&lines)) else { panic!() };
        assert_eq!(profile.account_id, "012345678901");
        assert_eq!(profile.session.cache_key(), "corp");
        assert_eq!(profile.session.region, "eu-west-1");
        assert_eq!(profile.session.scopes, ["sso:account:access", "x"]);
        assert_eq!(profile.region.as_deref(), Some("us-east-1"));
    }

    #[test]
    fn a_legacy_profile_is_its_own_session() {
        let lines = "[old] sso_start_url=https://corp.awsapps.com/start#/ sso_region=eu-west-1 \
            sso_account_id=111111111111 sso_role_name=Admin";
        let Ok(Some(Profile::Sso(profile))) = profile("old", &config(lines)) else { panic!() };
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
        let file = |session| sso_cache_file(&session, "111111111111", "ReadOnly");
        assert_eq!(file(session(Some("corp"))), "e83cab308910340ce11a566ebf0b9e96b40f6c39.json");
        assert_eq!(file(session(None)), "921eaf8993e6b7ac8e7b5bc22350819af0ec0d59.json");
        assert_eq!(file(session(Some("é\u{1f600}\"\\"))), "f3c67d1cd13f5e4a99f6b9f40a3e7e81a8a5e71a.json");
    }

    #[test]
    fn each_kind_by_its_keys() {
        let keys = "aws_access_key_id=AKIA aws_secret_access_key=s";
        #[rustfmt::skip]
        let table = [
            ("[a] aws_access_key_id=AKIA aws_secret_access_key=s", "a keys"),
            ("[a] credential_process=/bin/p", "a process"),
            ("[a] region=us-east-1", "a none"),
            ("[a] sso_session=gone", "a none"),
            (&format!("{CORP}\n[a] {READ_ONLY} {keys} credential_process=p"), "a sso"),
            (&format!("[a] {keys} credential_process=p"), "a process"),
            (&format!("[a] {keys} credential_process=p in_credentials_file=1"), "a keys"),
            ("[a] aws_access_key_id=AKIA", "`[profile a]` has no `aws_secret_access_key`"),
            (&format!("[a] role_arn=r source_profile=b\n[b] {READ_ONLY}\n{CORP}"), "b sso → a role"),
            (&format!("[a] role_arn=r source_profile=b\n[b] {READ_ONLY} {keys}\n{CORP}"), "b keys → a role"),
            ("[a] role_arn=r source_profile=b\n[b] credential_process=p", "b process → a role"),
            ("[a] role_arn=r source_profile=a", "`[profile a]` takes its own credentials, by way of `source_profile`: a → a"),
            ("[a] role_arn=r source_profile=a credential_process=p",
             "`[profile a]` takes its own credentials, by way of `source_profile`: a → a"),
            ("[a] role_arn=r source_profile=b\n[b] role_arn=s source_profile=c\n[c] role_arn=t source_profile=b",
             "`[profile c]` takes its own credentials, by way of `source_profile`: b → c → b"),
            ("[a] role_arn=r credential_source=environment",
             "`credential_source` in `[profile a]` is `Environment`, `EcsContainer` or `Ec2InstanceMetadata`, not `environment`"),
            ("[a] role_arn=r credential_source=EcsContainer", "the container → a role"),
            ("[a] role_arn=r source_profile=b\n[b] role_arn=s credential_source=Environment",
             "the environment → b role → a role"),
        ];
        for (lines, expected) in table {
            assert_eq!(chain(lines), expected, "{lines}");
        }
    }

    /// The cases that the AWS SDKs share for chains of profiles: input and outcome are those of `assume-role-tests.json` in
    /// <https://github.com/smithy-lang/smithy-rs> (aws/rust-runtime/aws-config/test-data, Apache-2.0), the words are ours.
    #[test]
    fn the_sdks_own_cases() {
        let keys = "aws_access_key_id=k aws_secret_access_key=s";
        let empty = "`[profile a]` takes the credentials of profile `b`, which has none";
        let around = |names| format!("takes its own credentials, by way of `source_profile`: {names}");
        let b_around = format!("`[profile b]` {}", around("a → b → a"));
        #[rustfmt::skip]
        let cases: [(&str, String, &str); 24] = [
            ("a role backed by keys", format!("[a] role_arn=A source_profile=b\n[b] {keys}"), "b keys → a role"),
            ("own keys are ignored beside a source", format!("[a] {keys} role_arn=A source_profile=b\n[b] {keys}"), "b keys → a role"),
            ("role_session_name", format!("[a] role_arn=A role_session_name=my source_profile=b\n[b] {keys}"), "b keys → a role"),
            ("external_id", format!("[a] role_arn=A external_id=my source_profile=b\n[b] {keys}"), "b keys → a role"),
            ("a profile that is its own source", format!("[a] {keys} role_arn=A source_profile=a"), "a keys → a role"),
            ("credential_source", "[a] role_arn=A credential_source=Ec2InstanceMetadata".into(), "the EC2 instance → a role"),
            ("no source", "[a] role_arn=A".into(),
             "`[profile a]` has a `role_arn`, and neither `source_profile` nor `credential_source` for it"),
            ("two sources", format!("[a] role_arn=A credential_source=Environment source_profile=b\n[b] {keys}"),
             "`[profile a]` has both `source_profile` and `credential_source`"),
            ("no secret key", "[a] role_arn=A source_profile=b\n[b] aws_access_key_id=k".into(),
             "`[profile b]` has no `aws_secret_access_key`"),
            ("no access key", "[a] role_arn=A source_profile=b\n[b] aws_secret_access_key=s".into(),
             "`[profile b]` has no `aws_access_key_id`"),
            ("an empty source", "[a] role_arn=A source_profile=b\n[b]".into(), empty),
            ("a source that is missing", "[a] role_arn=A source_profile=b".into(),
             "`[profile a]` takes the credentials of profile `b`, and there is no such profile"),
            ("no profile at all", String::new(), "none"),
            ("two roles", format!("[a] role_arn=A source_profile=b\n[b] role_arn=B source_profile=c\n[c] {keys}"),
             "c keys → b role → a role"),
            ("keys end a chain", format!("[a] role_arn=A {keys} source_profile=b\n[b] role_arn=B source_profile=c {keys}\n[c] {keys}"),
             "b keys → a role"),
            ("a loop", "[a] role_arn=A source_profile=b\n[b] role_arn=B source_profile=a".into(), &b_around),
            ("a loop with keys", format!("[a] role_arn=A {keys} source_profile=b\n[b] role_arn=B source_profile=a"), &b_around),
            ("web identity", "[a] role_arn=A web_identity_token_file=/t".into(), "the token in `/t` → a web identity"),
            ("web identity, session name", "[a] role_arn=A web_identity_token_file=/t role_session_name=s".into(),
             "the token in `/t` → a web identity"),
            ("web identity without a role", "[a] web_identity_token_file=/t".into(), "`[profile a]` has no `role_arn`"),
            ("web identity as source", "[a] role_arn=A source_profile=b\n[b] role_arn=B web_identity_token_file=/t".into(),
             "the token in `/t` → b web identity → a role"),
            ("sso", "[a] sso_account_id=0123 sso_region=r sso_role_name=t sso_start_url=https://foo.bar".into(), "a sso"),
            ("sso without an account", "[a] sso_region=r sso_role_name=t sso_start_url=https://foo.bar".into(),
             "`[profile a]` has no `sso_account_id`"),
            ("sso without anything but a region", "[a] sso_region=r".into(), "a none"),
        ];
        for (case, lines, expected) in cases {
            if lines.is_empty() {
                assert_eq!(profile("a", &config(&lines)), Ok(None), "{case}");
                continue;
            }
            assert_eq!(chain(&lines), expected, "{case}");
        }
    }

    /// Recomputed with Python's `json.dumps`; the first one was also seen in the cache of AWS CLI 2.38.5.
    #[test]
    fn assumed_roles_have_the_clis_file_names() {
        let file = |more: &str| {
            let arn = "arn:aws:iam::022222222222:role/deploy";
            let lines = format!("[a] role_arn={arn} credential_source=Environment {more}");
            profile("a", &config(&lines)).unwrap().unwrap().cache_file().unwrap().to_owned()
        };
        assert_eq!(file(""), python_sha1(r#"{"RoleArn": "arn:aws:iam::022222222222:role/deploy"}"#));
        assert_eq!(
            file("duration_seconds=900 external_id=é role_session_name=me mfa_serial=arn:x"),
            python_sha1(
                r#"{"DurationSeconds": 900, "ExternalId": "\u00e9", "RoleArn": "arn:aws:iam::022222222222:role/deploy", "RoleSessionName": "me", "SerialNumber": "arn:x"}"#
            )
        );
        assert_eq!(file("duration_seconds=soon"), file(""));
    }

    fn python_sha1(text: &str) -> String {
        hex(&Sha1::digest(text)) + ".json"
    }

    #[test]
    fn a_permission_set_by_itself_and_its_name() {
        assert_eq!(account_and_role("123456789012/ReadOnly"), Some(("123456789012", "ReadOnly")));
        for name in ["12345678901/ReadOnly", "123456789012/", "123456789012", "1234567890123/x", "123456789012/a/b"] {
            assert_eq!(account_and_role(name), None, "{name}");
        }
        assert!(is_same_start_url("https://a.awsapps.com/start", "https://a.awsapps.com/start/#/"));
        assert!(!is_same_start_url("https://a.awsapps.com/start", "https://b.awsapps.com/start"));
    }

    #[test]
    fn problems_name_the_section_and_the_key() {
        #[rustfmt::skip]
        let cases = [
            (format!("{CORP}\n[a] sso_session=corp sso_account_id=1"), "`[profile a]` has no `sso_role_name`"),
            ("[a] sso_session=gone sso_account_id=1 sso_role_name=r".into(),
             "`[profile a]` names the sso-session `gone`, and there is no `[sso-session gone]`"),
            ("[a] sso_account_id=1 sso_role_name=r".into(), "`[profile a]` has no `sso_start_url`"),
            ("[sso-session s] sso_start_url=https://x\n[a] sso_session=s sso_account_id=1 sso_role_name=r".into(),
             "`[sso-session s]` has no `sso_region`"),
            (format!("{CORP}\n[a] sso_session=corp sso_region=us-east-1 sso_account_id=1 sso_role_name=r"),
             "`[profile a]` and `[sso-session corp]` give different values of `sso_region`"),
        ];
        for (lines, expected) in cases {
            assert_eq!(chain(&lines), expected);
        }
    }
}
