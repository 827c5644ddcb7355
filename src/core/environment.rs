//! Which variables carry a role, which must not stand beside them, and the mark that says they are ours
//! (design section 5).

use super::credentials::{Exported, Secret};
use super::dotfile::CredentialsMode;
use super::hex::hex;
use siphasher::sip::SipHasher13;
use std::ffi::{OsStr, OsString};
use std::hash::Hasher as _;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// Every variable that the hook sets or unsets, in the order of the lists in `shell/`.
pub(crate) const MANAGED: [&str; 16] = [
    "AWS_PROFILE",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_CREDENTIAL_EXPIRATION",
    "AWS_SSO_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_SECURITY_TOKEN",
    "AWS_VAULT",
    "AWSUME_PROFILE",
    "AWSU_PROFILE",
    "AWSUME_EXPIRATION",
    "AWS_SESSION_EXPIRATION",
    "AWSDIR",
];

/// The variables that decide who we are to AWS, of which the mark holds a digest.
const IDENTITY: [&str; 6] = [
    "AWS_PROFILE",
    "AWS_SSO_PROFILE",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_CREDENTIAL_EXPIRATION",
];

/// Variables with secrets in them, which a program that we start for something else has no business with.
pub(crate) const SECRETS: [&str; 7] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_SECURITY_TOKEN",
    "AWS_SECRET_KEY",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
    "AWS_BEARER_TOKEN_BEDROCK",
];

/// Those of them that carry a role which we have put there.
pub(crate) const ROLE_SECRETS: [&str; 4] =
    ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN"];

/// The exported [`Mark`].
const MARK: &str = "AWSDIR";

const REGIONS: [&str; 2] = ["AWS_REGION", "AWS_DEFAULT_REGION"];

/// Credential and profile variables that a child of `with-aws` must not inherit beside its role, more than
/// [`MANAGED`]: other providers that some SDK tries before or after the environment (`protocol.md` 6 to 8).
const FOREIGN: [&str; 18] = [
    "AWS_EB_PROFILE",
    "AWS_ACCESS_KEY",
    "AWS_SECRET_KEY",
    "AWS_ACCOUNT_ID",
    "AWS_SSO_SESSION_EXPIRATION",
    "AWS_ROLE_ARN",
    "AWS_ROLE_SESSION_NAME",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    "AWS_CREDENTIAL_FILE",
    "AWS_BEARER_TOKEN_BEDROCK",
    "AWS_DELEGATION_TOKEN",
    "AWS_SSO_ACCOUNT_ID",
    "AWS_SSO_ROLE_NAME",
    "AWS_SSO_SESSION",
];

/// One change of the environment.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Assignment {
    pub(crate) name: &'static str,
    /// `None` unsets: an empty `AWS_PROFILE` breaks the AWS CLI and boto3.
    pub(crate) value: Option<OsString>,
}

impl Assignment {
    pub(crate) fn set(name: &'static str, value: impl Into<OsString>) -> Self {
        Self { name, value: Some(value.into()) }
    }

    pub(crate) fn unset(name: &'static str) -> Self {
        Self { name, value: None }
    }
}

/// What a directory or a child process is given.
#[derive(Clone, Copy)]
pub(crate) struct Role<'a> {
    pub(crate) profile: &'a str,
    /// Whether SDKs find a profile of that name.
    pub(crate) is_in_config: bool,
    pub(crate) region: Option<&'a str>,
    /// `None` where there are none (sign-in needed) or none are wanted.
    pub(crate) credentials: Option<Exported<'a>>,
    /// For the mark.
    pub(crate) uid: u32,
}

/// The changes that put `role` in force in a shell: the table of design section 5.
pub(crate) fn activate(role: Role<'_>, mode: CredentialsMode, dotfile: &OsStr) -> Vec<Assignment> {
    let credentials = role.credentials.filter(|_| mode != CredentialsMode::None);
    let is_exported = credentials.is_some();
    // Without credentials it is the name that keeps the SDKs from the default profile, also one that they do not find.
    let names: &[&str] = match (mode, role.is_in_config) {
        (CredentialsMode::Env | CredentialsMode::None, true) => &["AWS_PROFILE"],
        _ if is_exported => &["AWS_SSO_PROFILE"],
        _ => &["AWS_PROFILE", "AWS_SSO_PROFILE"],
    };
    assignments(Role { credentials, ..role }, names, &MANAGED, Some(dotfile))
}

/// The changes that make an inherited environment that of a child of `with-aws` (design section 8).
pub(crate) fn for_child(role: Role<'_>) -> Vec<Assignment> {
    let names: Vec<&'static str> = MANAGED.into_iter().chain(FOREIGN).collect();
    assignments(role, &["AWS_SSO_PROFILE"], &names, None)
}

/// What points a command at a container-credentials endpoint on 127.0.0.1, past the proxy that its environment names.
pub(crate) fn for_endpoint(uri: &str, token: &str, value: impl Fn(&str) -> Option<OsString>) -> Vec<Assignment> {
    const PROXIES: [&str; 4] = ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"];
    const PAST: [&str; 2] = ["no_proxy", "NO_PROXY"];
    let mut all = vec![
        Assignment::set("AWS_CONTAINER_CREDENTIALS_FULL_URI", uri),
        Assignment::set("AWS_CONTAINER_AUTHORIZATION_TOKEN", token),
    ];
    if PROXIES.iter().any(|name| value(name).is_some()) {
        // Programs look at either: both are given what one of them says.
        let mut hosts = PAST.iter().find_map(|name| value(name)).unwrap_or_default();
        if hosts.as_bytes().split(|byte| *byte == b',').all(|host| host.trim_ascii() != b"127.0.0.1") {
            hosts.push(if hosts.is_empty() { "127.0.0.1" } else { ",127.0.0.1" });
        }
        all.extend(PAST.map(|name| Assignment::set(name, hosts.clone())));
    }
    all
}

fn assignments(
    role: Role<'_>,
    profile_in: &[&str],
    names: &[&'static str],
    dotfile: Option<&OsStr>,
) -> Vec<Assignment> {
    let expires_at = role.credentials.and_then(|credentials| credentials.expires_at).map(|at| at.to_string());
    let value = |name: &str| match (name, role.credentials) {
        ("AWS_REGION" | "AWS_DEFAULT_REGION", _) => role.region,
        ("AWS_ACCESS_KEY_ID", Some(credentials)) => Some(credentials.access_key_id),
        ("AWS_SECRET_ACCESS_KEY", Some(credentials)) => Some(credentials.secret_access_key.expose()),
        ("AWS_SESSION_TOKEN", Some(credentials)) => credentials.session_token.map(Secret::expose),
        ("AWS_CREDENTIAL_EXPIRATION", _) => expires_at.as_deref(),
        _ => Some(role.profile).filter(|_| profile_in.contains(&name)),
    };
    let mark = Mark {
        uid: role.uid,
        digest: digest(value),
        region: role.region.map(str::to_owned),
        profile: role.profile.to_owned(),
        dotfile: dotfile.map(OsStr::to_os_string),
    };
    let mut all = Vec::with_capacity(names.len());
    let mut set = Vec::with_capacity(names.len());
    for name in names.iter().copied() {
        match value(name) {
            Some(value) => set.push(Assignment::set(name, value)),
            // A region that is not known leaves the person's own; the mark comes last.
            None if REGIONS.contains(&name) || name == MARK => {}
            None => all.push(Assignment::unset(name)),
        }
    }
    all.append(&mut set);
    all.push(Assignment::set(MARK, mark.format()));
    all
}

/// SipHash-1-3 over the identity variables, so that values changed since are told from ours. Nobody's consent hangs on
/// it: who can write the mark can write the variables.
fn digest<V: AsRef<OsStr>>(value: impl Fn(&str) -> Option<V>) -> u64 {
    let mut hash = SipHasher13::new();
    for (number, name) in (1_u8..).zip(IDENTITY) {
        if let Some(value) = value(name) {
            // No value has a NUL in it.
            hash.write(&[0, number]);
            hash.write(value.as_ref().as_bytes());
        }
    }
    hash.finish()
}

/// The exported variable `AWSDIR`: what is in force, for children and nested shells; never a secret.
///
/// `1 UID DIGEST REGION PROFILE[ DOTFILE]`, blank separated, the digest in 16 hexadecimal digits, `-` for no region. Without a dotfile it marks a
/// child of `with-aws`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    uid: u32,
    digest: u64,
    region: Option<String>,
    pub(crate) profile: String,
    /// The path last: it may hold any byte, blanks included.
    pub(crate) dotfile: Option<OsString>,
}

impl Mark {
    const VERSION: &str = "1";

    fn format(&self) -> OsString {
        let region = self.region.as_deref().unwrap_or("-");
        let mut text = OsString::with_capacity(256);
        for part in [
            Self::VERSION,
            " ",
            &self.uid.to_string(),
            " ",
            &hex(&self.digest.to_be_bytes()),
            " ",
            region,
            " ",
            &self.profile,
        ] {
            text.push(part);
        }
        if let Some(dotfile) = &self.dotfile {
            text.push(" ");
            text.push(dotfile);
        }
        text
    }

    /// Reads the mark in an environment if it is true there: ours by version, of user `uid`, and the identity
    /// variables are as we set them. Otherwise nothing of ours is loaded.
    pub(crate) fn in_force(uid: u32, value: impl Fn(&str) -> Option<OsString>) -> Option<Self> {
        let text = value(MARK)?;
        let mut fields = text.as_bytes().splitn(6, |byte| *byte == b' ');
        let mut word = || fields.next().and_then(|field| std::str::from_utf8(field).ok());
        if word()? != Self::VERSION || word()?.parse() != Ok(uid) {
            return None;
        }
        let digest = digest(&value);
        if u64::from_str_radix(word()?, 16) != Ok(digest) {
            return None;
        }
        let region = word().filter(|region| *region != "-").map(str::to_owned);
        let profile = word()?.to_owned();
        let dotfile = fields.next().map(|path| OsString::from_vec(path.to_vec()));
        Some(Self { uid, digest, region, profile, dotfile })
    }

    /// The variables in an environment that this mark says are ours, so that what stood there before us is
    /// "unset". A region that was changed by hand since is not ours any more.
    pub(crate) fn inherited(&self, value: impl Fn(&str) -> Option<OsString>) -> Vec<&'static str> {
        let ours = |name: &&str| match value(name) {
            Some(now) if REGIONS.contains(name) => self.region.as_deref().is_some_and(|region| now == region),
            Some(_) => IDENTITY.contains(name) || *name == MARK,
            None => false,
        };
        MANAGED.into_iter().filter(ours).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::credentials::RoleCredentials;
    use crate::core::timestamp::Timestamp;
    use std::collections::BTreeMap;

    fn credentials() -> RoleCredentials {
        RoleCredentials {
            access_key_id: "ASIAEXAMPLE".into(),
            secret_access_key: Secret::new("secret"),
            session_token: Secret::new("token"),
            expires_at: Timestamp::from_epoch(1_795_366_800),
        }
    }

    fn role(credentials: Option<&RoleCredentials>) -> Role<'_> {
        Role {
            profile: "ro",
            is_in_config: true,
            region: Some("eu-west-1"),
            credentials: credentials.map(Exported::from),
            uid: 7,
        }
    }

    type Environment = BTreeMap<&'static str, OsString>;

    fn apply(changes: &[Assignment], environment: &mut Environment) {
        for change in changes {
            match &change.value {
                Some(value) => environment.insert(change.name, value.clone()),
                None => environment.remove(change.name),
            };
        }
    }

    fn shown(environment: &Environment) -> Vec<String> {
        environment
            .iter()
            .filter(|(name, _)| **name != "AWSDIR")
            .map(|(name, value)| format!("{name}={}", value.display()))
            .collect()
    }

    #[test]
    fn each_mode_sets_and_unsets_its_row_of_the_table() {
        let credentials = credentials();
        let keys = [
            "AWS_ACCESS_KEY_ID=ASIAEXAMPLE",
            "AWS_CREDENTIAL_EXPIRATION=2026-11-22T17:00:00Z",
            "AWS_DEFAULT_REGION=eu-west-1",
        ];
        let secrets = ["AWS_SECRET_ACCESS_KEY=secret", "AWS_SESSION_TOKEN=token"];
        let fresh = [&keys[..], &["AWS_PROFILE=ro", "AWS_REGION=eu-west-1"], &secrets].concat();
        let only = [&keys[..], &["AWS_REGION=eu-west-1", secrets[0], secrets[1], "AWS_SSO_PROFILE=ro"]].concat();
        let bare = vec!["AWS_DEFAULT_REGION=eu-west-1", "AWS_PROFILE=ro", "AWS_REGION=eu-west-1"];
        let both = [&bare[..], &["AWS_SSO_PROFILE=ro"]].concat();
        let table = [
            (CredentialsMode::Env, true, &fresh),
            (CredentialsMode::Env, false, &bare),
            (CredentialsMode::None, true, &bare),
            (CredentialsMode::Only, true, &only),
            (CredentialsMode::Only, false, &both),
        ];
        for (mode, with_credentials, expected) in table {
            let mut environment: Environment = MANAGED.into_iter().map(|name| (name, "theirs".into())).collect();
            let credentials = with_credentials.then_some(&credentials);
            apply(&activate(role(credentials), mode, OsStr::new("/p/.awsprofile")), &mut environment);
            assert_eq!(shown(&environment), *expected, "{mode:?}");
        }
    }

    #[test]
    fn an_unknown_region_leaves_theirs() {
        let mut environment = Environment::from([("AWS_REGION", "us-east-1".into())]);
        let role = Role { region: None, ..role(None) };
        apply(&activate(role, CredentialsMode::Env, OsStr::new("/p")), &mut environment);
        assert_eq!(shown(&environment), ["AWS_PROFILE=ro", "AWS_REGION=us-east-1"]);
    }

    #[test]
    fn a_child_gets_the_role_and_no_other_way_to_one() {
        let credentials = credentials();
        let mut environment: Environment =
            MANAGED.into_iter().chain(FOREIGN).map(|name| (name, "theirs".into())).collect();
        apply(&for_child(role(Some(&credentials))), &mut environment);
        assert_eq!(
            shown(&environment),
            [
                "AWS_ACCESS_KEY_ID=ASIAEXAMPLE",
                "AWS_CREDENTIAL_EXPIRATION=2026-11-22T17:00:00Z",
                "AWS_DEFAULT_REGION=eu-west-1",
                "AWS_REGION=eu-west-1",
                "AWS_SECRET_ACCESS_KEY=secret",
                "AWS_SESSION_TOKEN=token",
                "AWS_SSO_PROFILE=ro",
            ]
        );
        let mark = Mark::in_force(7, |name| environment.get(name).cloned()).unwrap();
        assert_eq!((mark.profile.as_str(), mark.dotfile), ("ro", None));
    }

    #[test]
    fn the_endpoint_is_not_behind_a_proxy() {
        let hosts = |environment: &[(&str, &str)]| {
            let value =
                |name: &str| environment.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into());
            let mut changed = Environment::new();
            apply(&for_endpoint("http://127.0.0.1:1/x", "t", value), &mut changed);
            assert_eq!(changed.len(), if changed.contains_key("no_proxy") { 4 } else { 2 });
            assert_eq!(changed.get("no_proxy"), changed.get("NO_PROXY"));
            changed.get("no_proxy").map(|hosts| hosts.to_str().unwrap().to_owned())
        };
        assert_eq!(hosts(&[]), None);
        assert_eq!(hosts(&[("HTTPS_PROXY", "p"), ("NO_PROXY", "a")]), None);
        assert_eq!(hosts(&[("HTTP_PROXY", "p")]).as_deref(), Some("127.0.0.1"));
        assert_eq!(hosts(&[("http_proxy", "p"), ("NO_PROXY", "a,.b")]).as_deref(), Some("a,.b,127.0.0.1"));
        assert_eq!(hosts(&[("ALL_PROXY", "p"), ("no_proxy", "a, 127.0.0.1")]).as_deref(), Some("a, 127.0.0.1"));
    }

    #[test]
    fn the_mark_holds_only_where_nothing_was_changed() {
        let credentials = credentials();
        let mut environment = Environment::new();
        let path = OsString::from_vec(b"/a b/\xff/.awsprofile".to_vec());
        apply(&activate(role(Some(&credentials)), CredentialsMode::Env, &path), &mut environment);
        let read = |uid, environment: &Environment| Mark::in_force(uid, |name| environment.get(name).cloned());

        let mark = read(7, &environment).unwrap();
        assert_eq!(mark.dotfile.as_deref(), Some(path.as_os_str()));
        assert_eq!(
            mark.inherited(|name| environment.get(name).cloned()),
            [
                "AWS_PROFILE",
                "AWS_REGION",
                "AWS_DEFAULT_REGION",
                "AWS_ACCESS_KEY_ID",
                "AWS_SECRET_ACCESS_KEY",
                "AWS_SESSION_TOKEN",
                "AWS_CREDENTIAL_EXPIRATION",
                "AWSDIR"
            ]
        );
        assert_eq!(read(8, &environment), None, "another user's");

        let mut moved = environment.clone();
        moved.insert("AWS_REGION", "us-east-1".into());
        let inherited = read(7, &moved).unwrap().inherited(|name| moved.get(name).cloned());
        assert!(!inherited.contains(&"AWS_REGION") && inherited.contains(&"AWS_DEFAULT_REGION"));

        for name in IDENTITY {
            let mut changed = environment.clone();
            changed.insert(name, "changed".into());
            assert_eq!(read(7, &changed), None, "{name} changed");
        }
        environment.remove("AWS_SESSION_TOKEN");
        assert_eq!(read(7, &environment), None, "one removed");
        environment.insert("AWSDIR", "garbage".into());
        assert_eq!(read(7, &environment), None);
    }

    #[test]
    fn the_mark_holds_no_secret() {
        let credentials = credentials();
        let changes = activate(role(Some(&credentials)), CredentialsMode::Env, OsStr::new("/p"));
        let mark = changes.iter().find(|change| change.name == "AWSDIR").unwrap().value.clone().unwrap();
        let mark = mark.to_str().unwrap();
        assert!(!mark.contains("secret") && !mark.contains("token") && !mark.contains("ASIA"), "{mark}");
    }
}
