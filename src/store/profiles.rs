//! Profiles and sso-sessions by name, out of the user's AWS config files.

use super::aws_config::{self, AwsConfig, File, Kind, Section};
use super::files;
use super::profile_records::{self, Fingerprint};
use crate::context::Context;
use crate::core::near::nearest;
use crate::core::profile::{self, Keys, Misfit, PermissionSet, Profile, Sections, SsoProfile, SsoSession, Title};
use crate::error::{Error, Result};
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// The user's AWS config and credentials files.
pub(crate) struct Profiles {
    config: AwsConfig,
    config_path: PathBuf,
    credentials_path: PathBuf,
}

/// Where the services are and how they are reached, by the environment and the profile's section.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Endpoints {
    /// Full URLs, where they are not where AWS has them.
    pub(crate) sso: Option<String>,
    pub(crate) sso_oidc: Option<String>,
    pub(crate) sts: Option<String>,
    pub(crate) use_fips: bool,
    pub(crate) use_dual_stack: bool,
    /// `sts_regional_endpoints = legacy`
    pub(crate) sts_is_global: bool,
    /// Certificates of those who are trusted to vouch for a server, as PEM.
    pub(crate) ca_bundle: Option<PathBuf>,
}

/// The profile of that name: from its record if the config files are the ones it was made of, else from them. A permission
/// set goes by `account/permission-set` where no profile is called that.
pub(crate) fn profile(context: &Context, name: &str) -> Result<Profile> {
    recorded(context, name, |profiles| match (profiles.profile(name), profile::account_and_role(name)) {
        (Err(Error::UnknownProfile { .. }), Some((account_id, role_name))) => {
            profiles.account_and_role(account_id, role_name)
        }
        (profile, _) => profile,
    })
}

/// The profile that has this permission set, else the permission set by itself.
pub(crate) fn permission_set(context: &Context, wanted: &PermissionSet) -> Result<Profile> {
    let PermissionSet { start_url, sso_region, account_id, role_name } = wanted;
    // No name of a profile has blanks in it.
    let key = [start_url, sso_region, account_id, role_name].map(String::as_str).join(" ");
    recorded(context, &key, |profiles| Ok(Profile::Sso(profiles.permission_set(wanted))))
}

fn recorded(context: &Context, key: &str, read: impl FnOnce(&Profiles) -> Result<Profile>) -> Result<Profile> {
    let files = [context.aws_config_file()?, context.aws_credentials_file()?];
    let fingerprint = Fingerprint::of(files);
    if let Some(profile) = profile_records::read(context, files, &fingerprint, key) {
        return Ok(profile.with_token(web_identity_token));
    }
    let profile = read(&Profiles::load(context)?)?;
    profile_records::write(context, files, &fingerprint, key, &profile);
    Ok(profile)
}

/// The token in a file, as it stands there: nobody expands a `~` in its path, and nobody takes away a newline.
pub(crate) fn web_identity_token(path: &str) -> Option<Zeroizing<String>> {
    std::fs::read_to_string(path).ok().map(Zeroizing::new)
}

impl Sections for AwsConfig {
    fn profile(&self, name: &str) -> Option<impl Keys> {
        self.profile(name)
    }

    fn sso_session(&self, name: &str) -> Option<impl Keys> {
        self.sso_session(name)
    }
}

impl Keys for Section<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.get(key)
    }

    fn is_in_credentials_file(&self, key: &str) -> bool {
        self.line(key).is_some_and(|(file, _)| file == File::Credentials)
    }
}

impl Profiles {
    pub(crate) fn load(context: &Context) -> Result<Self> {
        let paths = [context.aws_config_file()?, context.aws_credentials_file()?];
        Self::parse(paths, [text(paths[0])?, text(paths[1])?])
    }

    /// The profiles in the `texts` of the files at `paths`: config, credentials.
    pub(crate) fn parse(paths: [&Path; 2], texts: [String; 2]) -> Result<Self> {
        let [config_path, credentials_path] = paths.map(Path::to_owned);
        let [config, credentials] = texts;
        match AwsConfig::parse(config, credentials) {
            Ok(config) => Ok(Self { config, config_path, credentials_path }),
            Err(error) => Err(Error::Config {
                path: match error.file {
                    File::Config => config_path,
                    File::Credentials => credentials_path,
                },
                line: error.line,
                problem: error.problem.to_string(),
            }),
        }
    }

    pub(crate) fn profile(&self, name: &str) -> Result<Profile> {
        let profile = profile::profile(name, &self.config).map_err(|misfit| self.misfit(misfit))?;
        profile.map(|profile| profile.with_token(web_identity_token)).ok_or_else(|| self.unknown(name))
    }

    fn unknown(&self, name: &str) -> Error {
        let is_account = name.starts_with(|c: char| c.is_ascii_digit());
        let labels = if is_account { self.permission_sets() } else { Vec::new() };
        let near = owned(nearest(name, self.names().chain(labels.iter().map(String::as_str))));
        Error::UnknownProfile { name: name.to_owned(), path: self.config_path.clone(), near }
    }

    /// Where to mend it: the line of the key that is wrong, else that of the section which lacks one.
    fn misfit(&self, misfit: Misfit) -> Error {
        let section = match &misfit.title {
            Title::Profile(name) => self.config.profile(name),
            Title::SsoSession(name) => self.config.sso_session(name),
        };
        let place = section.map(|section| section.line(misfit.key).unwrap_or_else(|| section.header()));
        let (path, line) = match place {
            Some((File::Credentials, line)) => (&self.credentials_path, line),
            Some((File::Config, line)) => (&self.config_path, line),
            None => (&self.config_path, 1),
        };
        Error::Profile { path: path.clone(), line, misfit }
    }

    /// The person's own profile for this permission set, else the permission set by itself, in the sso-session of that start
    /// URL if there is one.
    fn permission_set(&self, wanted: &PermissionSet) -> SsoProfile {
        if let Some(own) = self.sso_profiles().into_iter().find(|profile| profile.is(wanted)) {
            return own;
        }
        let known =
            self.sessions().into_iter().find(|session| session.is_same_portal(&wanted.start_url, &wanted.sso_region));
        let session = known.unwrap_or_else(|| SsoSession {
            name: None,
            start_url: wanted.start_url.clone(),
            region: wanted.sso_region.clone(),
            scopes: Vec::new(),
        });
        SsoProfile::by_itself(session, &wanted.account_id, &wanted.role_name)
    }

    /// The profile that has this permission set in this account, else the permission set by itself in the only sso-session
    /// there is.
    fn account_and_role(&self, account_id: &str, role_name: &str) -> Result<Profile> {
        let is_it = |profile: &SsoProfile| profile.account_id == account_id && profile.role_name == role_name;
        if let Some(own) = self.sso_profiles().into_iter().find(is_it) {
            return Ok(Profile::Sso(own));
        }
        let name = format!("{account_id}/{role_name}");
        // Sessions of one start URL lead to the same role; the first of them is the one that a dotfile would take.
        let mut sessions: Vec<SsoSession> = Vec::new();
        for session in self.sessions() {
            if !sessions.iter().any(|known| known.is_same_portal(&session.start_url, &session.region)) {
                sessions.push(session);
            }
        }
        match sessions.len() {
            0 => Err(self.unknown(&name)),
            1 => Ok(Profile::Sso(SsoProfile::by_itself(sessions.remove(0), account_id, role_name))),
            _ => {
                let sessions = sessions.iter().map(|session| session.label().to_owned()).collect();
                Err(Error::WhichSession { name, sessions })
            }
        }
    }

    /// The names of all profiles, each once, in the order of the files.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.config.profile_names()
    }

    pub(crate) fn sso_session(&self, name: &str) -> Result<SsoSession> {
        let section = self.config.sso_session(name).ok_or_else(|| Error::UnknownSession {
            name: name.to_owned(),
            path: self.config_path.clone(),
            near: owned(nearest(name, self.config.sso_session_names())),
        })?;
        profile::sso_session(name, &section).map_err(|misfit| self.misfit(misfit))
    }

    /// Every usable profile.
    pub(crate) fn all(&self) -> impl Iterator<Item = Profile> {
        self.names().filter_map(|name| self.profile(name).ok())
    }

    /// Every usable profile whose role credentials come from Identity Center.
    fn sso_profiles(&self) -> Vec<SsoProfile> {
        let sso = |profile| if let Profile::Sso(profile) = profile { Some(profile) } else { None };
        self.all().filter_map(sso).collect()
    }

    /// `account/permission-set` of every profile that has one, each once.
    pub(crate) fn permission_sets(&self) -> Vec<String> {
        let mut seen = HashSet::new();
        let labels =
            self.sso_profiles().into_iter().map(|profile| format!("{}/{}", profile.account_id, profile.role_name));
        labels.filter(|label| seen.insert(label.clone())).collect()
    }

    /// The keys of a profile's section, in both files.
    pub(crate) fn section(&self, name: &str) -> Option<Section<'_>> {
        self.config.profile(name)
    }

    /// Every session that a profile or an `[sso-session]` section defines, each once.
    pub(crate) fn sessions(&self) -> Vec<SsoSession> {
        let named = self.config.sso_session_names().filter_map(|name| self.sso_session(name).ok());
        let mut sessions: Vec<SsoSession> = Vec::new();
        for session in named.chain(self.sso_profiles().into_iter().map(|profile| profile.session)) {
            if sessions.iter().all(|known| known.cache_key() != session.cache_key()) {
                sessions.push(session);
            }
        }
        sessions
    }

    /// Where the services are for `profile`, which is the one in force also where it takes another's credentials.
    pub(crate) fn endpoints(&self, context: &Context, profile: Option<&str>) -> Endpoints {
        let section = profile.and_then(|name| self.config.profile(name));
        let value = |variable: &str, key: &str| {
            let set = || section.as_ref()?.get(key).map(str::to_owned);
            context.var(variable).or_else(set).filter(|value| !value.is_empty())
        };
        let is_true =
            |variable: &str, key: &str| value(variable, key).is_some_and(|it| it.eq_ignore_ascii_case("true"));
        let [sso, sso_oidc, sts] = match section {
            _ if is_true("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "ignore_configured_endpoint_urls") => {
                [None, None, None]
            }
            ref section => self.overrides(context, section.as_ref()),
        };
        Endpoints {
            sso,
            sso_oidc,
            sts,
            use_fips: is_true("AWS_USE_FIPS_ENDPOINT", "use_fips_endpoint"),
            use_dual_stack: is_true("AWS_USE_DUALSTACK_ENDPOINT", "use_dualstack_endpoint"),
            sts_is_global: value("AWS_STS_REGIONAL_ENDPOINTS", "sts_regional_endpoints")
                .is_some_and(|it| it == "legacy"),
            ca_bundle: value("AWS_CA_BUNDLE", "ca_bundle").map(PathBuf::from),
        }
    }

    /// The URLs of the portal, OIDC and STS in the SDKs' order (`protocol.md` 1.5): the service's variable, the common
    /// variable, the `[services]` block of the profile, its `endpoint_url`. Empty values count as absent. Both spellings of
    /// the OIDC block are read: the AWS CLI has `sso_oidc`, the Rust SDK `sso-oidc`.
    fn overrides(&self, context: &Context, section: Option<&Section<'_>>) -> [Option<String>; 3] {
        let services = section.and_then(|section| self.config.services(section.get("services")?));
        let find = |variable: &str, keys: &[&str]| {
            let block = |services: &Section<'_>| {
                keys.iter().find_map(|key| services.sub(key, "endpoint_url")).map(str::to_owned)
            };
            [
                context.var(variable),
                context.var("AWS_ENDPOINT_URL"),
                services.as_ref().and_then(block),
                section.and_then(|section| section.get("endpoint_url")).map(str::to_owned),
            ]
            .into_iter()
            .flatten()
            .find(|url| !url.is_empty())
        };
        [
            find("AWS_ENDPOINT_URL_SSO", &["sso"]),
            find("AWS_ENDPOINT_URL_SSO_OIDC", &["sso_oidc", "sso-oidc"]),
            find("AWS_ENDPOINT_URL_STS", &["sts"]),
        ]
    }
}

/// What sections are called, without a look at what is in them: a broken line hides nothing, and ten thousand profiles are
/// no wait.
pub(crate) struct Names {
    config: String,
    credentials: Zeroizing<String>,
}

impl Names {
    pub(crate) fn load(context: &Context) -> Result<Self> {
        let config = text(context.aws_config_file()?)?;
        Ok(Self { config, credentials: Zeroizing::new(text(context.aws_credentials_file()?)?) })
    }

    /// Each once, in the order of the files.
    pub(crate) fn profiles(&self) -> Vec<&str> {
        let config = aws_config::names(File::Config, Kind::Profile, &self.config);
        let mut seen = HashSet::new();
        let all = config.chain(aws_config::names(File::Credentials, Kind::Profile, &self.credentials));
        all.filter(|name| seen.insert(*name)).collect()
    }

    /// Each once, in the order of the file.
    pub(crate) fn sessions(&self) -> Vec<&str> {
        let mut seen = HashSet::new();
        aws_config::names(File::Config, Kind::SsoSession, &self.config).filter(|name| seen.insert(*name)).collect()
    }
}

/// A config file's text. Not UTF-8 reads as empty, as in the SDKs (`protocol.md` 1.2).
fn text(path: &Path) -> Result<String> {
    Ok(String::from_utf8(files::read_or_empty(path)?).unwrap_or_default())
}

fn owned(names: Vec<&str>) -> Vec<String> {
    names.into_iter().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Without the CA bundle, which the environment of the tests may name.
    fn endpoints(lines: &str) -> Endpoints {
        let paths = [Path::new("/config"), Path::new("/credentials")];
        let text = format!("[profile p]\n{lines}\n[services s]\nsts =\n  endpoint_url = http://sts\n");
        let profiles = Profiles::parse(paths, [text, String::new()]).unwrap();
        Endpoints { ca_bundle: None, ..profiles.endpoints(&Context::new(), Some("p")) }
    }

    #[test]
    fn what_a_profile_says_of_services() {
        assert_eq!(endpoints(""), Endpoints::default());
        let all = endpoints("use_fips_endpoint = TRUE\nuse_dualstack_endpoint = true\nsts_regional_endpoints = legacy");
        let expected = Endpoints { use_fips: true, use_dual_stack: true, sts_is_global: true, ..Endpoints::default() };
        assert_eq!(all, expected);
        let urls = |lines| {
            let Endpoints { sso, sso_oidc, sts, .. } = endpoints(lines);
            [sso, sso_oidc, sts].map(Option::unwrap_or_default)
        };
        assert_eq!(urls("endpoint_url = http://all\nservices = s"), ["http://all", "http://all", "http://sts"]);
        assert_eq!(urls("endpoint_url = http://all\nignore_configured_endpoint_urls = true"), ["", "", ""]);
        assert_eq!(urls("use_fips_endpoint = no\nsts_regional_endpoints = regional\nservices = gone"), ["", "", ""]);
    }
}
