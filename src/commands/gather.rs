//! What is in force here: the facts that several verbs decide upon.

use crate::context::Context;
use crate::core::credentials::{RoleCredentials, Token};
use crate::core::decision::{self, Blocked, Decision, Goal, Situation, TokenInHand};
use crate::core::dotfile::{CredentialsMode, Dotfile, LoginMode, Selection};
use crate::core::environment::Mark;
use crate::core::profile::{Profile, RoleProfile, Source, SsoSession};
use crate::core::timestamp::Timestamp;
use crate::error::{Error, Result};
use crate::store::dotfiles::Found;
use crate::store::profiles::Profiles;
use crate::store::setbacks::{self, Record};
use crate::store::settings::Settings;
use crate::store::{aws_cache, dotfiles, profiles, sources, trust};
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
        let profile = profile(context, &dotfile.selection);
        check_link(&found, &dotfile.selection, &profile, allowed)?;
        if !allowed {
            let selects = selection(&dotfile, profile.as_ref().ok());
            return Err(Error::NotAllowed { path, profile: dotfile.selection.label(), selects });
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

    /// Which variables carry it. The SDKs fetch other than role credentials for themselves, by the profile's name.
    pub(super) fn mode(&self) -> CredentialsMode {
        let wanted = self.dotfile.credentials.or(self.settings.credentials).unwrap_or(CredentialsMode::Env);
        if self.profile.cache_file().is_some() { wanted } else { CredentialsMode::None }
    }

    /// Whether what it needs is renewed by us, not by the SDKs alone.
    pub(super) fn is_ours(&self) -> bool {
        match self.goal() {
            Goal::RoleCredentials { .. } => true,
            Goal::AccessToken => self.profile.session().is_some(),
        }
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

/// What a dotfile selects, by the person's config.
pub(super) fn profile(context: &Context, selection: &Selection) -> Result<Profile> {
    match selection {
        Selection::Profile(name) => profiles::profile(context, name),
        Selection::PermissionSet(permission_set) => profiles::permission_set(context, permission_set),
    }
}

/// Refuses a link to what names no profile of the person's: it may be anything that is theirs.
pub(super) fn check_link(found: &Found, selection: &Selection, profile: &Result<Profile>, allowed: bool) -> Result<()> {
    let is_named = match (profile, selection) {
        // Nothing but a dotfile has its four keys.
        (_, Selection::PermissionSet(_)) | (Ok(_) | Err(Error::Profile { .. }), _) => true,
        (Err(Error::UnknownProfile { .. }), _) => false,
        // Nobody can tell: the config is out of order.
        (Err(_), _) => allowed,
    };
    if is_named || !found.is_link { Ok(()) } else { Err(found.leads_astray()) }
}

/// What a dotfile selects, in words: the profile, and what it stands for if that can be told.
pub(super) fn selection(dotfile: &Dotfile, profile: Option<&Profile>) -> String {
    let region = dotfile.region.as_ref().map(|region| format!(" in {region}")).unwrap_or_default();
    match (&dotfile.selection, profile) {
        (Selection::Profile(name), Some(profile)) if profile.cache_file().is_some() => {
            format!("profile `{name}` ({}){region}", profile.in_words())
        }
        (Selection::Profile(name), _) => format!("profile `{name}`{region}"),
        (Selection::PermissionSet(wanted), found) => {
            let own = found.filter(|found| found.is_in_config());
            let own = own.map(|own| format!(", which is your profile `{}`", own.name())).unwrap_or_default();
            let (role, account, start_url) = (&wanted.role_name, &wanted.account_id, &wanted.start_url);
            format!("{role} in account {account} of `{start_url}`{region}{own}")
        }
    }
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
        profile: &Profile,
        goal: Goal,
        person: impl FnOnce() -> bool,
    ) -> Result<Self> {
        let credentials = cached(context, profile)?;
        let role_credentials = credentials.as_ref().map(|credentials| credentials.expires_at);
        if decision::is_settled(context.now, goal, role_credentials) {
            return Ok(Self::decided(context.now, goal, credentials, None, false, None));
        }
        Self::with(context, profile, goal, person(), credentials)
    }

    pub(super) fn of(context: &Context, profile: &Profile, goal: Goal, person: bool) -> Result<Self> {
        Self::with(context, profile, goal, person, cached(context, profile)?)
    }

    #[inline(never)]
    fn with(
        context: &Context,
        profile: &Profile,
        goal: Goal,
        person: bool,
        credentials: Option<RoleCredentials>,
    ) -> Result<Self> {
        let now = context.now;
        let subjects = [profile.session().map(SsoSession::cache_key), profile.cache_file()];
        let setback = subjects.into_iter().flatten().find_map(|subject| setbacks::in_force(context, subject, now));
        let token = match (profile, goal) {
            (Profile::Role(role), Goal::RoleCredentials { .. }) => source(context, role)?,
            _ => match profile.session() {
                Some(session) => token(context, session)?,
                None => Some(FOR_EVER),
            },
        };
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

/// How a profile stands, for people and for `--json`; `None` for one that is left to the SDKs.
pub(super) fn in_a_word(standing: Option<&Standing>) -> &'static str {
    match standing.map(|standing| standing.decision) {
        None => "not from Identity Center",
        Some(Decision::Use) => "fresh",
        Some(Decision::UseAndRenew) => "expiring",
        Some(Decision::Renew | Decision::Blocked(Blocked::RenewalFailed)) => "renewable",
        Some(Decision::SignIn | Decision::Blocked(_)) => "sign-in needed",
    }
}

/// What needs nobody, and does not end that we know of.
const FOR_EVER: TokenInHand = TokenInHand { expires_at: Timestamp::from_epoch(i64::MAX / 2), renewable: true };

fn cached(context: &Context, profile: &Profile) -> Result<Option<RoleCredentials>> {
    profile.cache_file().map_or(Ok(None), |cache_file| aws_cache::read_role_credentials(context, cache_file))
}

pub(super) fn token(context: &Context, session: &SsoSession) -> Result<Option<TokenInHand>> {
    let token = aws_cache::read_token(context, session)?;
    let renewable = |token: &Token| token.renewal(context.now).is_some();
    Ok(token.map(|token| TokenInHand { expires_at: token.expires_at, renewable: renewable(&token) }))
}

/// Until when a link of a chain can be asked for its credentials without a person, and whether that can be made longer
/// without one.
fn link(context: &Context, profile: &Profile) -> Result<Option<TokenInHand>> {
    let below = match profile {
        Profile::Sso(profile) => token(context, &profile.session)?,
        Profile::Role(role) => source(context, role)?,
        Profile::Other(_) => return Ok(Some(FOR_EVER)),
    };
    let own = cached(context, profile)?.map(|own| TokenInHand { expires_at: own.expires_at, renewable: false });
    Ok(match (below, own) {
        (Some(below), Some(own)) => Some(TokenInHand { expires_at: below.expires_at.max(own.expires_at), ..below }),
        (below, own) => below.or(own),
    })
}

/// The same of what a role takes its credentials from, with the MFA code that it may need.
fn source(context: &Context, role: &RoleProfile) -> Result<Option<TokenInHand>> {
    let below = match &role.source {
        Source::Profile(source) => link(context, source)?,
        // What a hook has set hides what was there; it is there again when the hook has undone that.
        Source::Environment if Mark::in_force(context.uid, |name| context.var_os(name)).is_some() => None,
        _ => Some(FOR_EVER),
    };
    let (Some(serial), Some(below)) = (&role.mfa_serial, below) else { return Ok(below) };
    if Settings::load(context)?.mfa_process.is_some() {
        return Ok(Some(below));
    }
    let keys = match &role.source {
        Source::Profile(source) if source.cache_file().is_none() => {
            sources::access_keys(&Profiles::load(context)?, source.name()).ok()
        }
        Source::Environment => sources::environment(context).ok(),
        _ => None,
    };
    let session = match keys.filter(|keys| keys.session_token.is_none()) {
        Some(keys) => aws_cache::read_role_credentials(context, &aws_cache::mfa_file(&keys.access_key_id, serial))?,
        None => None,
    };
    Ok(session.map(|session| TokenInHand { expires_at: session.expires_at.min(below.expires_at), renewable: false }))
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
    pub(super) fn profile(&self, context: &Context) -> Result<Profile> {
        match &self.by {
            Rule::Dotfile(directory) => Ok(directory.profile.clone()),
            Rule::Argument | Rule::Environment | Rule::Exec => profiles::profile(context, &self.name),
        }
    }

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
        let name = directory.profile.name().to_owned();
        return Ok(Selected { name, by: Rule::Dotfile(Box::new(directory)) });
    }
    match context.var("AWS_PROFILE") {
        Some(name) => Ok(Selected { name, by: Rule::Environment }),
        None => Err(Error::NoProfile),
    }
}
