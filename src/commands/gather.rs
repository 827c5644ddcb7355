//! What is in force here: the facts that several verbs decide upon.

use crate::context::Context;
use crate::core::credentials::RoleCredentials;
use crate::core::decision::{self, Decision, Goal, Situation, TokenInHand};
use crate::core::dotfile::{CredentialsMode, Dotfile, LoginMode};
use crate::core::environment::Mark;
use crate::core::profile::{Profile, SsoProfile};
use crate::core::timestamp::Timestamp;
use crate::error::{Error, Result};
use crate::store::dotfiles::Found;
use crate::store::setbacks::{self, Record};
use crate::store::settings::Settings;
use crate::store::{aws_cache, dotfiles, profiles, trust};
use std::path::PathBuf;

/// The path of the dotfile in force, whatever it holds.
pub(super) fn dotfile_path(context: &Context) -> Option<PathBuf> {
    dotfiles::find(&context.directory, context.var_os("AWSDIR_CEILING").as_deref())
}

/// A dotfile that may act, with what it selects.
pub(super) struct Directory {
    pub(super) path: PathBuf,
    pub(super) dotfile: Dotfile,
    pub(super) profile: Profile,
    pub(super) settings: Settings,
}

impl Directory {
    /// Reads the dotfile at `path`: owner, grammar, trust, profile, in that order.
    pub(super) fn read(context: &Context, path: PathBuf) -> Result<Self> {
        let found = dotfiles::read(&path)?;
        found.check_owner(context.uid)?;
        let dotfile = found.parse()?;
        let settings = Settings::load(context)?;
        let allowed = trust::is_allowed(context, &found, &settings.trust)?;
        let profile = profiles::profile(context, &dotfile.profile);
        check_link(&found, &profile, allowed)?;
        if !allowed {
            let selects = selection(&dotfile, profile.as_ref().ok());
            return Err(Error::NotAllowed { path, profile: dotfile.profile, selects });
        }
        Ok(Self { path, dotfile, profile: profile?, settings })
    }

    /// The directory's role, if a dotfile is in force and may act.
    pub(super) fn here(context: &Context) -> Result<Option<Self>> {
        dotfile_path(context).map(|path| Self::read(context, path)).transpose()
    }

    pub(super) fn region(&self) -> Option<&str> {
        self.dotfile.region.as_deref().or(self.profile.region())
    }

    pub(super) fn mode(&self) -> CredentialsMode {
        self.dotfile.credentials.or(self.settings.credentials).unwrap_or(CredentialsMode::Env)
    }

    pub(super) fn login(&self) -> LoginMode {
        self.dotfile.login.or(self.settings.login).unwrap_or(LoginMode::Auto)
    }

    pub(super) fn goal(&self) -> Goal {
        match self.mode() {
            CredentialsMode::None => Goal::AccessToken,
            CredentialsMode::Env | CredentialsMode::Only => Goal::RoleCredentials { min_ttl: 0 },
        }
    }
}

/// Refuses a link to what names no profile of the person's: it may be anything that is theirs.
pub(super) fn check_link(found: &Found, profile: &Result<Profile>, allowed: bool) -> Result<()> {
    let is_named = match profile {
        Ok(_) | Err(Error::Profile { .. }) => true,
        Err(Error::UnknownProfile { .. }) => false,
        // Nobody can tell: the config is out of order.
        Err(_) => allowed,
    };
    if is_named || !found.is_link { Ok(()) } else { Err(found.leads_astray()) }
}

/// What a dotfile selects, in words: the profile, and what it stands for if that can be told.
pub(super) fn selection(dotfile: &Dotfile, profile: Option<&Profile>) -> String {
    let role = match profile {
        Some(Profile::Sso(profile)) => format!(" ({} in account {})", profile.role_name, profile.account_id),
        _ => String::new(),
    };
    let region = dotfile.region.as_ref().map(|region| format!(" in {region}")).unwrap_or_default();
    format!("profile `{}`{role}{region}", dotfile.profile)
}

/// What is in hand for a profile, and what follows from it.
pub(super) struct Standing {
    pub(super) situation: Situation,
    pub(super) decision: Decision,
    pub(super) credentials: Option<RoleCredentials>,
    pub(super) setback: Option<Record>,
}

impl Standing {
    /// By the role credentials alone if they settle the matter; by all there is, and `person`, only if they do not.
    pub(super) fn at_a_glance(
        context: &Context,
        profile: &SsoProfile,
        goal: Goal,
        person: impl FnOnce() -> bool,
    ) -> Result<Self> {
        let credentials = aws_cache::read_role_credentials(context, profile)?;
        let role_credentials = credentials.as_ref().map(|credentials| credentials.expires_at);
        if decision::is_settled(context.now, goal, role_credentials) {
            return Ok(Self::decided(context.now, goal, credentials, None, false, None));
        }
        Self::with(context, profile, goal, person(), credentials)
    }

    pub(super) fn of(context: &Context, profile: &SsoProfile, goal: Goal, person: bool) -> Result<Self> {
        Self::with(context, profile, goal, person, aws_cache::read_role_credentials(context, profile)?)
    }

    fn with(
        context: &Context,
        profile: &SsoProfile,
        goal: Goal,
        person: bool,
        credentials: Option<RoleCredentials>,
    ) -> Result<Self> {
        let now = context.now;
        let token = aws_cache::read_token(context, &profile.session)?;
        let setback = setbacks::in_force(context, profile.session.cache_key(), now)
            .or_else(|| setbacks::in_force(context, &profile.cache_file, now));
        let token =
            token.map(|token| TokenInHand { expires_at: token.expires_at, renewable: token.renewal(now).is_some() });
        Ok(Self::decided(now, goal, credentials, token, person, setback))
    }

    fn decided(
        now: Timestamp,
        goal: Goal,
        credentials: Option<RoleCredentials>,
        token: Option<TokenInHand>,
        person: bool,
        setback: Option<Record>,
    ) -> Self {
        let role_credentials = credentials.as_ref().map(|credentials| credentials.expires_at);
        let situation =
            Situation { now, goal, role_credentials, token, person, setback: setback.as_ref().map(Record::kind) };
        Self { decision: decision::decide(&situation), situation, credentials, setback }
    }

    pub(super) fn next_question(&self) -> Option<Timestamp> {
        decision::next_question(&self.situation, self.decision, self.setback.as_ref().map(Record::until))
    }
}

/// Which profile a command is about, and by what rule.
pub(super) struct Selected {
    pub(super) name: String,
    pub(super) by: Rule,
}

pub(super) enum Rule {
    Argument,
    Dotfile(Box<Directory>),
    /// `AWS_PROFILE`
    Environment,
    /// We run in a child of `with-aws`.
    Exec,
}

impl Selected {
    pub(super) fn dotfile(&self) -> Option<&PathBuf> {
        match &self.by {
            Rule::Dotfile(directory) => Some(&directory.path),
            Rule::Argument | Rule::Environment | Rule::Exec => None,
        }
    }

    /// What the dotfile says of signing in.
    pub(super) fn login(&self) -> Option<LoginMode> {
        match &self.by {
            Rule::Dotfile(directory) => directory.dotfile.login,
            Rule::Argument | Rule::Environment | Rule::Exec => None,
        }
    }
}

/// The profile that `argument` names, else that of the `with-aws` we run under, else the one of the dotfile in force,
/// else `AWS_PROFILE`.
pub(super) fn selected(context: &Context, argument: Option<&str>) -> Result<Selected> {
    if let Some(name) = argument {
        return Ok(Selected { name: name.to_owned(), by: Rule::Argument });
    }
    let mark = Mark::in_force(context.uid, |name| context.var_os(name));
    if let Some(mark) = mark.filter(|mark| mark.dotfile.is_none()) {
        return Ok(Selected { name: mark.profile, by: Rule::Exec });
    }
    if let Some(directory) = Directory::here(context)? {
        let name = directory.dotfile.profile.clone();
        return Ok(Selected { name, by: Rule::Dotfile(Box::new(directory)) });
    }
    match context.var("AWS_PROFILE") {
        Some(name) => Ok(Selected { name, by: Rule::Environment }),
        None => Err(Error::NoProfile),
    }
}
