//! Credentials of any profile, link by link: each role by the credentials of the one before it, down to an sso-session,
//! access keys, a process, a token or a machine (`protocol.md` 10).
//!
//! Each link is cached under its own lock, where and as the AWS CLI caches it, so that whoever shares a part of a chain
//! shares the work.

use super::flow::{self, Known, Ladder, Limits, wait};
use super::http::Http;
use super::interrupts::Interrupts;
use super::metadata::{self, Absent};
use super::mfa::MfaQuestion;
use super::portal::Failure;
use super::process;
use super::retry::patiently;
use super::sts::{Issued, MfaCode, Request, Role, Sts};
use crate::context::{self, Context};
use crate::core::credentials::{Credentials, RoleCredentials, Secret};
use crate::core::decision::{ROLE_MARGIN, Setback};
use crate::core::environment::Mark;
use crate::core::profile::{OtherKind, Profile, RoleProfile, Source};
use crate::error::{Error, Result, login_command};
use crate::store::aws_cache::{self, Origin};
use crate::store::locks::{Lock, Subject};
use crate::store::profiles::{Endpoints, Profiles};
use crate::store::settings::Settings;
use crate::store::{generation, setbacks, sources};
use std::cell::Cell;
use tokio::time::Instant;

/// What a chain is climbed with.
pub(crate) struct Chain<'a> {
    context: &'a Context,
    profiles: &'a Profiles,
    asked: &'a Profile,
    /// Those of the profile that is asked for, also where it takes another's credentials.
    endpoints: Endpoints,
    region: Option<String>,
    mfa_process: Option<&'a str>,
}

/// The credentials of `profile`, from the caches or by climbing.
#[inline(never)]
pub(crate) fn credentials(
    context: &Context,
    profiles: &Profiles,
    settings: &Settings,
    profile: &Profile,
    ladder: &Ladder,
) -> Result<Credentials> {
    process::is_no_round(context, profile)?;
    let chain = Chain {
        context,
        asked: profile,
        profiles,
        endpoints: profiles.endpoints(context, Some(profile.name())),
        region: profile.region().map(str::to_owned).or_else(|| own_region(context)),
        mfa_process: settings.mfa_process.as_deref(),
    };
    chain.link(profile, ladder)
}

/// The region that the person has set, not one that a hook has set for some directory.
fn own_region(context: &Context) -> Option<String> {
    let value = |name: &str| context.var_os(name);
    let ours = Mark::in_force(context.uid, value).map(|mark| mark.inherited(value)).unwrap_or_default();
    ["AWS_REGION", "AWS_DEFAULT_REGION"]
        .into_iter()
        .filter(|name| !ours.contains(name))
        .find_map(|name| context.var(name))
}

impl Chain<'_> {
    fn link(&self, profile: &Profile, ladder: &Ladder) -> Result<Credentials> {
        match profile {
            Profile::Sso(sso) => {
                flow::role_credentials(self.context, sso, &self.endpoints, ladder).map(Credentials::from)
            }
            Profile::Role(role) => self.role(profile, role, ladder).map(Credentials::from),
            Profile::Other(other) => match other.kind {
                OtherKind::Keys => sources::access_keys(self.profiles, &other.name),
                OtherKind::Process => {
                    let line = sources::credential_process(self.profiles, &other.name)?;
                    let above = self.asked.chain().map(Profile::name).take_while(|name| *name != other.name).collect();
                    Interrupts::default().run(process::credentials(self.context, above, &other.name, &line))
                }
                OtherKind::Nothing => Err(Error::NoCredentials { profile: other.name.clone() }),
            },
        }
    }

    /// Role credentials with time enough left, from the cache; else, under the role's lock, from STS.
    fn role(&self, profile: &Profile, role: &RoleProfile, ladder: &Ladder) -> Result<RoleCredentials> {
        let context = self.context;
        let cached = || self.cached(&role.cache_file);
        let left = |credentials: &RoleCredentials| credentials.expires_at.since(context::clock());
        let margin = ROLE_MARGIN.max(ladder.min_ttl);
        let in_hand = cached()?;
        if let Some(credentials) = in_hand.as_ref().filter(|credentials| left(credentials) >= margin) {
            context.detail(&format!("using cached role credentials of `{}`", role.name));
            return Ok(credentials.clone());
        }
        let would_do = in_hand.as_ref().is_some_and(|credentials| left(credentials) >= ladder.min_ttl.max(1));
        let failed = setbacks::in_force(context, &role.cache_file, context::clock());
        if let Some(credentials) = in_hand.as_ref().filter(|_| would_do && failed.is_some()) {
            return Ok(credentials.clone());
        }
        let ladder = &if would_do { ladder.hurried() } else { ladder.clone() };
        let setback = Known::of(context, [&role.cache_file]);
        let renewed = self.locked(&role.cache_file, profile, ladder).and_then(|mut lock| {
            setback.heed(&login_command("", Some(&role.name)))?;
            match cached()? {
                // Renewed while we waited: as fresh as they get, however short their life.
                Some(now) if in_hand.as_ref() != Some(&now) => {
                    context.detail("another process has renewed the role credentials");
                    Ok(now)
                }
                _ => {
                    let renewed = self.assume(role, ladder, &mut lock);
                    let kept = renewed.and_then(|issued| self.keep(profile, role, issued, ladder));
                    kept.map_err(|error| self.remembered(role, error))
                }
            }
        });
        match (renewed, in_hand) {
            // Margins are advisory: what is unexpired is used if renewing fails.
            (Err(error), Some(credentials)) if !matches!(error, Error::Interrupted) && left(&credentials) > 0 => {
                context.detail(&format!("renewing failed ({error}); using what is in hand"));
                Ok(credentials)
            }
            (renewed, _) => renewed,
        }
    }

    fn cached(&self, cache_file: &str) -> Result<Option<RoleCredentials>> {
        let cached = aws_cache::read_role_credentials(self.context, cache_file)?;
        Ok(cached.filter(|credentials| credentials.expires_at > context::clock()))
    }

    fn locked(&self, cache_file: &str, profile: &Profile, ladder: &Ladder) -> Result<Lock> {
        let deadline = Cell::new(Instant::now() + ladder.limits.silent);
        let subject = Subject::Role { cache_file, profile: profile.name() };
        Interrupts::default().run(wait(self.context, subject, profile.session(), ladder.limits, &deadline))
    }

    /// Keeps hooks, and whoever waits for the lock that is held here, from trying at once what has just failed, and from
    /// asking at once who has just said no.
    fn remembered(&self, role: &RoleProfile, error: Error) -> Error {
        let kind = match &error {
            Error::MfaRefused { .. } => Setback::SignInRefused,
            Error::Interrupted if role.mfa_serial.is_some() => Setback::SignInRefused,
            Error::RoleDenied { .. }
            | Error::NotGranted { .. }
            | Error::Refused { .. }
            | Error::Source { .. }
            | Error::CredentialProcess { .. } => Setback::RenewalFailed,
            error if error.code() == 5 => Setback::RenewalFailed,
            _ => return error,
        };
        let why = match &error {
            Error::Interrupted => format!("the MFA code for `{}` was not given", role.name),
            error => error.to_string(),
        };
        setbacks::record(self.context, &role.cache_file, kind, &why, context::clock());
        let _ = generation::advance(self.context);
        error
    }

    /// Becomes the role.
    fn assume(&self, role: &RoleProfile, ladder: &Ladder, lock: &mut Lock) -> Result<Issued> {
        let context = self.context;
        let sts = self.sts(&role.role_arn)?;
        let own_name = format!("awsdir-{}", context::clock().epoch());
        let session_name = role.session_name.as_ref().unwrap_or(&own_name);
        let wanted = Role {
            arn: &role.role_arn,
            session_name,
            external_id: role.external_id.as_deref(),
            duration_seconds: role.duration_seconds,
        };
        context.detail(&format!("assuming role `{}`", role.role_arn));
        if let Source::WebIdentity { token_file } = &role.source {
            let token = Self::web_identity(role, token_file)?;
            self.send(role, &sts, &Request::assume_role_with_web_identity(wanted, &token), ladder)
        } else {
            // Of the caller's rungs none needs to last for longer than the request.
            let caller = self.caller(role, &Ladder { min_ttl: 0, ..ladder.clone() })?;
            self.by_caller(role, &sts, wanted, &caller, ladder, lock)
        }
    }

    /// Writes down what came of it, unless the person has signed out of the session at the root meanwhile: they shall not
    /// find role credentials here again.
    fn keep(&self, profile: &Profile, role: &RoleProfile, issued: Issued, ladder: &Ladder) -> Result<RoleCredentials> {
        let context = self.context;
        let _lock = match profile.session() {
            Some(session) => {
                // What is in hand is worth a wait, for those too who would leave the fetching to others.
                let limits = Limits { sign_in: ladder.limits.sign_in.max(Limits::HOOK.sign_in), ..ladder.limits };
                let deadline = Cell::new(Instant::now() + limits.silent);
                let subject = Subject::Session(session.cache_key());
                let lock = Interrupts::default().run(wait(context, subject, Some(session), limits, &deadline))?;
                let root = profile.chain().last().and_then(Profile::cache_file);
                let root = root.map_or(Ok(None), |cache_file| self.cached(cache_file))?;
                if root.is_none() && aws_cache::read_token(context, session)?.is_none() {
                    let profile = Some(profile.name().to_owned());
                    let (session, why) = (session.label().to_owned(), "signed out meanwhile".to_owned());
                    return Err(Error::SignInNeeded { session, profile, why });
                }
                Some(lock)
            }
            None => None,
        };
        let Issued { credentials, assumed_role } = issued;
        let assumed_role = assumed_role.as_ref().map(|(arn, id)| (arn.as_str(), id.as_str()));
        let origin = Origin::Sts { account_id: role.account_id(), assumed_role };
        if let Err(error) = aws_cache::write_role_credentials(context, &role.cache_file, origin, &credentials) {
            // Good for this once.
            context.say(&error.in_one_line());
            return Ok(credentials);
        }
        setbacks::clear(context, &role.cache_file);
        if credentials.expires_at.since(context::clock()) >= ROLE_MARGIN {
            setbacks::renewed(context, &role.cache_file);
        }
        // Telling other shells is a courtesy; what was fetched is good without it.
        let _ = generation::advance(context);
        Ok(credentials)
    }

    fn sts(&self, role_arn: &str) -> Result<Sts> {
        let http = Http::new(self.context, self.endpoints.ca_bundle.as_deref())?;
        Ok(Sts::new(http, &self.endpoints, self.region.as_deref(), role_arn))
    }

    fn source_problem(role: &RoleProfile, problem: impl Into<String>) -> Error {
        Error::Source { profile: role.name.clone(), of: role.source.in_words(), problem: problem.into() }
    }

    /// The token, as it stands in the file: what it is good for is STS's to say.
    fn web_identity(role: &RoleProfile, token_file: &str) -> Result<Secret> {
        let token = std::fs::read_to_string(token_file);
        token.map(Secret::new).map_err(|error| Self::source_problem(role, error.to_string()))
    }

    fn caller(&self, role: &RoleProfile, ladder: &Ladder) -> Result<Credentials> {
        let failed = |problem: String| Self::source_problem(role, problem);
        match &role.source {
            Source::Profile(source) => self.link(source, ladder),
            Source::Environment => sources::environment(self.context).map_err(failed),
            Source::EcsContainer | Source::Ec2InstanceMetadata => {
                let http = Http::new(self.context, self.endpoints.ca_bundle.as_deref())?.direct();
                Interrupts::default().run(async {
                    let credentials = match role.source {
                        Source::EcsContainer => metadata::container(self.context, &http).await,
                        _ => metadata::instance(self.context, &http).await,
                    };
                    credentials.map_err(|absent| match absent {
                        Absent::Setting(problem) => failed(problem),
                        Absent::Service(failure) => failure.into_error("the request for credentials"),
                    })
                })
            }
            Source::WebIdentity { .. } => Err(failed("nobody signs for it".to_owned())),
        }
    }

    /// By the caller's credentials, with an MFA code if the profile says so: of a person with access keys one code is good
    /// for all roles, by a session of its own; for others each role takes one.
    fn by_caller(
        &self,
        role: &RoleProfile,
        sts: &Sts,
        wanted: Role<'_>,
        caller: &Credentials,
        ladder: &Ladder,
        lock: &mut Lock,
    ) -> Result<Issued> {
        let Some(serial) = &role.mfa_serial else {
            let issued = self.send(role, sts, &Request::assume_role(wanted, caller.into(), None), ladder);
            return match issued {
                Err(refused @ Error::Refused { .. }) => self.once_more(role, sts, wanted, refused, ladder),
                issued => issued,
            };
        };
        if caller.session_token.is_none() {
            let session = self.mfa_session(role, serial, sts, caller, ladder, lock)?;
            return self.send(role, sts, &Request::assume_role(wanted, (&session).into(), None), ladder);
        }
        let code = self.mfa_code(role, serial, ladder, lock)?;
        let mfa = MfaCode { serial, code: &code };
        self.send(role, sts, &Request::assume_role(wanted, caller.into(), Some(mfa)), ladder)
    }

    /// Where the caller came out of a cache AWS may have taken it back; then a new one has a try.
    fn once_more(
        &self,
        role: &RoleProfile,
        sts: &Sts,
        wanted: Role<'_>,
        refused: Error,
        ladder: &Ladder,
    ) -> Result<Issued> {
        let Source::Profile(source) = &role.source else { return Err(refused) };
        let Some(cache_file) = source.cache_file() else { return Err(refused) };
        self.context.detail(&format!("the credentials of `{}` are not accepted any more", source.name()));
        aws_cache::remove_role_credentials(self.context, cache_file)?;
        let caller = self.link(source, &Ladder { min_ttl: 0, ..ladder.clone() })?;
        self.send(role, sts, &Request::assume_role(wanted, (&caller).into(), None), ladder)
    }

    /// The session of a person with access keys who has shown an MFA code, from the cache or with a new code.
    fn mfa_session(
        &self,
        role: &RoleProfile,
        serial: &str,
        sts: &Sts,
        caller: &Credentials,
        ladder: &Ladder,
        lock: &mut Lock,
    ) -> Result<RoleCredentials> {
        let cache_file = aws_cache::mfa_file(&caller.access_key_id, serial);
        if let Some(session) = self.cached(&cache_file)? {
            return Ok(session);
        }
        // Whoever waits for the role waits for a person, too.
        lock.note_sign_in();
        let deadline = Cell::new(Instant::now() + ladder.limits.silent);
        let subject = Subject::Role { cache_file: &cache_file, profile: &role.name };
        let waiting = wait(self.context, subject, None, ladder.limits, &deadline);
        let mut lock = Interrupts::default().run(waiting)?;
        if let Some(session) = self.cached(&cache_file)? {
            return Ok(session);
        }
        let code = self.mfa_code(role, serial, ladder, &mut lock)?;
        let mfa = MfaCode { serial, code: &code };
        let issued = self.send(role, sts, &Request::get_session_token(caller.into(), mfa), ladder)?;
        let origin = Origin::Sts { account_id: "", assumed_role: None };
        if let Err(error) = aws_cache::write_role_credentials(self.context, &cache_file, origin, &issued.credentials) {
            self.context.say(&error.in_one_line());
        }
        Ok(issued.credentials)
    }

    fn mfa_code(&self, role: &RoleProfile, serial: &str, ladder: &Ladder, lock: &mut Lock) -> Result<Secret> {
        let question = MfaQuestion { serial, profile: &role.name, process: self.mfa_process, person: &ladder.sign_in };
        lock.note_sign_in();
        Interrupts::default().run(question.answer(self.context))
    }

    /// Asks STS, again while that may help, and puts its refusals into words. A code is spent by being sent: again only where
    /// STS says that it did nothing.
    fn send(&self, role: &RoleProfile, sts: &Sts, request: &Request<'_>, ladder: &Ladder) -> Result<Issued> {
        let (operation, silent) = (request.operation, ladder.limits.silent);
        let may_pass = if request.is_spent { Failure::is_throttling } else { Failure::is_transient };
        let answered = Interrupts::default().run(async {
            let deadline = Instant::now() + silent;
            let answer = patiently(self.context, operation, deadline, may_pass, async || sts.send(request).await);
            let seconds = silent.as_secs();
            tokio::time::timeout_at(deadline, answer).await.map_err(|_| Error::TooSlow { operation, seconds })
        })?;
        answered.map_err(|failure| match failure {
            Failure::Forbidden(said) if said.starts_with("MultiFactorAuthentication failed") => {
                let serial = role.mfa_serial.clone().unwrap_or_default();
                Error::MfaRefused { serial, profile: role.name.clone(), how: "not accepted".to_owned() }
            }
            Failure::Forbidden(message) => {
                Error::RoleDenied { role_arn: role.role_arn.clone(), whom: role.source.in_words(), message }
            }
            Failure::Rejected(message) => {
                Error::Refused { profile: role.name.clone(), of: role.source.in_words(), message }
            }
            failure => failure.into_error(operation),
        })
    }
}
