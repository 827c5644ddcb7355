//! Profiles and sso-sessions by name, out of the user's AWS config files.

use super::aws_config::{self, AwsConfig, File, Kind, Section};
use super::files;
use super::profile_records::{self, Fingerprint};
use crate::context::Context;
use crate::core::near::nearest;
use crate::core::profile::{self, Profile, ProfileProblem, SsoProfile, SsoSession};
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

/// Where the services are, if not where AWS has them: full URLs from the environment or the config.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Endpoints {
    pub(crate) sso: Option<String>,
    pub(crate) sso_oidc: Option<String>,
}

/// The profile of that name: from its record if the config files are the ones it was made of, else from them.
pub(crate) fn profile(context: &Context, name: &str) -> Result<Profile> {
    let files = [context.aws_config_file()?, context.aws_credentials_file()?];
    let fingerprint = Fingerprint::of(files);
    if let Some(profile) = profile_records::read(context, files, &fingerprint, name) {
        return Ok(profile);
    }
    let profile = Profiles::load(context)?.profile(name)?;
    profile_records::write(context, files, &fingerprint, &profile);
    Ok(profile)
}

/// [`profile`] of one that signs in through Identity Center.
pub(crate) fn sso_profile(context: &Context, name: &str) -> Result<SsoProfile> {
    sso(profile(context, name)?)
}

fn sso(profile: Profile) -> Result<SsoProfile> {
    match profile {
        Profile::Sso(profile) => Ok(profile),
        Profile::Other { name, .. } => Err(Error::NotSso { profile: name }),
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
        let section = self.config.profile(name).ok_or_else(|| Error::UnknownProfile {
            name: name.to_owned(),
            path: self.config_path.clone(),
            near: owned(nearest(name, self.names())),
        })?;
        let keys = |key: &str| section.get(key).map(str::to_owned);
        let session = keys("sso_session").and_then(|name| self.config.sso_session(&name));
        let session_keys = |key: &str| session.as_ref()?.get(key).map(str::to_owned);
        profile::profile(name, &keys, session.is_some().then_some(&session_keys)).map_err(|problem| {
            let culprit = match &problem {
                ProfileProblem::MissingKey { section: title, .. } if title.starts_with("sso-session ") => {
                    session.as_ref()
                }
                _ => None,
            };
            self.problem(culprit.unwrap_or(&section), problem)
        })
    }

    /// Where to mend it: the line of the key that is wrong, else that of the section which lacks one.
    fn problem(&self, section: &Section<'_>, problem: ProfileProblem) -> Error {
        let key = match &problem {
            ProfileProblem::MissingKey { key, .. } | ProfileProblem::Inconsistent { key, .. } => key,
            ProfileProblem::MissingSession { .. } => "sso_session",
        };
        let (file, line) = section.line(key).unwrap_or_else(|| section.header());
        let path = match file {
            File::Config => self.config_path.clone(),
            File::Credentials => self.credentials_path.clone(),
        };
        Error::Profile { path, line, problem }
    }

    /// The names of all profiles, each once, in the order of the files.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.config.profile_names()
    }

    pub(crate) fn sso_profile(&self, name: &str) -> Result<SsoProfile> {
        sso(self.profile(name)?)
    }

    pub(crate) fn sso_session(&self, name: &str) -> Result<SsoSession> {
        let section = self.config.sso_session(name).ok_or_else(|| Error::UnknownSession {
            name: name.to_owned(),
            path: self.config_path.clone(),
            near: owned(nearest(name, self.config.sso_session_names())),
        })?;
        profile::sso_session(name, &|key| section.get(key).map(str::to_owned))
            .map_err(|problem| self.problem(&section, problem))
    }

    /// Every usable profile that signs in through Identity Center.
    pub(crate) fn sso_profiles(&self) -> Vec<SsoProfile> {
        self.names().filter_map(|name| self.sso_profile(name).ok()).collect()
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

    /// Endpoint overrides in the SDKs' order (`protocol.md` 1.5): the service's variable, the common variable, the
    /// `[services]` block of `profile`, its `endpoint_url`. Empty values count as absent. Both spellings of the OIDC
    /// block are read: the AWS CLI has `sso_oidc`, the Rust SDK `sso-oidc`.
    pub(crate) fn endpoints(&self, context: &Context, profile: Option<&str>) -> Endpoints {
        let truth = |value: Option<&str>| value.is_some_and(|value| value.eq_ignore_ascii_case("true"));
        let section = profile.and_then(|name| self.config.profile(name));
        let ignored = truth(context.var("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS").as_deref())
            || truth(section.as_ref().and_then(|section| section.get("ignore_configured_endpoint_urls")));
        if ignored {
            return Endpoints::default();
        }
        let services = section.as_ref().and_then(|section| self.config.services(section.get("services")?));
        let find = |variable: &str, keys: &[&str]| {
            let block = |services: &Section<'_>| {
                keys.iter().find_map(|key| services.sub(key, "endpoint_url")).map(str::to_owned)
            };
            [
                context.var(variable),
                context.var("AWS_ENDPOINT_URL"),
                services.as_ref().and_then(block),
                section.as_ref().and_then(|section| section.get("endpoint_url")).map(str::to_owned),
            ]
            .into_iter()
            .flatten()
            .find(|url| !url.is_empty())
        };
        Endpoints {
            sso: find("AWS_ENDPOINT_URL_SSO", &["sso"]),
            sso_oidc: find("AWS_ENDPOINT_URL_SSO_OIDC", &["sso_oidc", "sso-oidc"]),
        }
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
