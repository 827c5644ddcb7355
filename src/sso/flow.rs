//! The ladder of design section 7: role credentials in hand, by access token, by refresh token, by a person.
//!
//! What climbs is one large future; it is kept out of line, off the stack of those who need no network.
//!
//! Each rung is climbed under a lock and after reading the cache again, so that of any number of processes one does
//! the work and the others find it done.

use super::aws::Aws;
use super::interrupts::Interrupts;
use super::portal::{Failure, Grant, Portal};
use super::retry::{PATIENCE, patiently};
use super::sign_in::{How, Purpose, sign_in};
use crate::context::{self, Context};
use crate::core::credentials::{RoleCredentials, Secret, Token};
use crate::core::decision::{Decision, Goal, ROLE_MARGIN, Setback, Situation, TOKEN_MARGIN, TokenInHand, decide};
use crate::core::profile::{SsoProfile, SsoSession};
use crate::error::{Error, Result, login_command};
use crate::store::aws_cache::Origin;
use crate::store::locks::{self, Holder, Lock, Subject};
use crate::store::profiles::Endpoints;
use crate::store::setbacks::{self, Record};
use crate::store::{aws_cache, generation};
use std::cell::Cell;
use std::time::Duration;
use tokio::time::Instant;

/// How long things may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// All requests of a renewal together, and waiting for another process that renews.
    pub(crate) silent: Duration,
    /// The same where what is in hand would do.
    pub(crate) hurried: Duration,
    /// Waiting for another process in which a person is signing in.
    pub(crate) sign_in: Duration,
}

impl Limits {
    /// A prompt is waiting.
    pub(crate) const HOOK: Self =
        Self { silent: Duration::from_secs(5), hurried: Duration::from_secs(5), sign_in: Duration::from_secs(30) };
    /// Somebody runs a command.
    pub(crate) const COMMAND: Self =
        Self { silent: Duration::from_secs(30), hurried: Duration::from_secs(5), sign_in: Duration::from_secs(330) };
    /// Nobody is waiting; who else is at it does the work.
    pub(crate) const DETACHED: Self =
        Self { silent: Duration::from_secs(30), hurried: Duration::from_secs(30), sign_in: Duration::ZERO };
}

/// What a caller wants and allows.
#[derive(Clone, Debug)]
pub(crate) struct Ladder {
    pub(crate) limits: Limits,
    /// Seconds of life that role credentials should have left, if that can be had.
    pub(crate) min_ttl: i64,
    /// How to sign in if a person is needed, or why nobody can be asked.
    pub(crate) sign_in: Result<How, String>,
    pub(crate) purpose: Purpose,
    /// Sign in even if the token in hand is good.
    pub(crate) force: bool,
}

impl Ladder {
    /// Where what is in hand would do, nobody waits long for better, and nobody is asked to sign in for it.
    pub(super) fn hurried(&self) -> Self {
        let hurried = self.limits.hurried;
        let limits = Limits { silent: hurried, sign_in: self.limits.sign_in.min(hurried), ..self.limits };
        Self { limits, sign_in: Err(String::new()), ..self.clone() }
    }
}

/// Role credentials of `profile`, from the cache or by climbing.
#[inline(never)]
pub(super) fn role_credentials(
    context: &Context,
    profile: &SsoProfile,
    endpoints: &Endpoints,
    ladder: &Ladder,
) -> Result<RoleCredentials> {
    let (in_hand, decision) = look(context, profile, ladder)?;
    if let (Some(credentials), Decision::Use) = (&in_hand, decision) {
        context.detail("using cached role credentials");
        return Ok(credentials.clone());
    }
    let ladder = &patient_as_needed(ladder, decision);
    let deadline = Cell::new(Instant::now() + ladder.limits.silent);
    let cache_file = profile.cache_file.clone();
    let setback = Known::of(context, [profile.session.cache_key(), &cache_file]);
    let interrupts = Interrupts::default();
    let climbed = interrupts.run(async {
        let subject = Subject::Role { cache_file: &cache_file, profile: &profile.name };
        let _lock = wait(context, subject, Some(&profile.session), ladder.limits, &deadline).await?;
        setback.heed(&login_command(profile.session.label(), None))?;
        let (now, decision) = look(context, profile, ladder)?;
        match now {
            // Renewed while we waited: as fresh as they get, however short their life.
            Some(now) if decision == Decision::Use || in_hand.as_ref() != Some(&now) => {
                context.detail("another process has renewed the role credentials");
                return Ok(now);
            }
            _ => {}
        }
        let portal = Aws::new(context, &profile.session, endpoints)?;
        let climb = Climb::new(context, &profile.session, &portal, ladder, &deadline, &interrupts);
        let credentials = climb.role_credentials(profile).await?;
        // Telling other shells is a courtesy; what was fetched is good without it.
        let _ = generation::advance(context);
        Ok(credentials)
    });
    match (climbed, in_hand) {
        // Margins are advisory: what is unexpired is used if renewing fails.
        (Err(error), Some(credentials))
            if !matches!(error, Error::Interrupted) && credentials.expires_at > context::clock() =>
        {
            context.detail(&format!("renewing failed ({error}); using what is in hand"));
            Ok(credentials)
        }
        (climbed, _) => climbed,
    }
}

/// The cached role credentials if they are unexpired, and what to do.
fn look(context: &Context, profile: &SsoProfile, ladder: &Ladder) -> Result<(Option<RoleCredentials>, Decision)> {
    let now = context::clock();
    let in_hand = aws_cache::read_role_credentials(context, &profile.cache_file)?
        .filter(|credentials| credentials.expires_at > now);
    let token = aws_cache::read_token(context, &profile.session)?;
    // A command tries again what has failed, unless there is something to make do with.
    let failed = setbacks::in_force(context, profile.session.cache_key(), now)
        .map(|record| record.kind())
        .filter(|kind| in_hand.is_some() && *kind == Setback::RenewalFailed);
    let decision = decide(&Situation {
        now,
        goal: Goal::RoleCredentials { min_ttl: ladder.min_ttl },
        role_credentials: in_hand.as_ref().map(|credentials| credentials.expires_at),
        token: token.map(|token| TokenInHand { expires_at: token.expires_at, renewable: token.renewal(now).is_some() }),
        person: ladder.sign_in.is_ok(),
        setback: failed,
    });
    Ok((in_hand, decision))
}

fn patient_as_needed(ladder: &Ladder, decision: Decision) -> Ladder {
    if decision == Decision::UseAndRenew { ladder.hurried() } else { ladder.clone() }
}

/// A fresh access token of `session`, from the cache or by climbing.
#[inline(never)]
pub(crate) fn token(context: &Context, session: &SsoSession, endpoints: &Endpoints, ladder: &Ladder) -> Result<Token> {
    let before = aws_cache::read_token(context, session)?;
    let fresh = |token: &&Token| token.expires_at.since(context::clock()) >= TOKEN_MARGIN;
    if let Some(token) = before.as_ref().filter(fresh).filter(|_| !ladder.force) {
        return Ok(token.clone());
    }
    let deadline = Cell::new(Instant::now() + ladder.limits.silent);
    let interrupts = Interrupts::default();
    let token = interrupts.run(async {
        let portal = Aws::new(context, session, endpoints)?;
        Climb::new(context, session, &portal, ladder, &deadline, &interrupts).token(None).await
    })?;
    if before.as_ref() != Some(&token) {
        let _ = generation::advance(context);
    }
    Ok(token)
}

/// Has `remove` take away what is here, and then ends the session at AWS, both under the session's lock. In this order,
/// so that whatever stops us on the way nobody can use what was here. `remove` is told the token that was there.
#[inline(never)]
pub(crate) fn logout(
    context: &Context,
    session: &SsoSession,
    endpoints: &Endpoints,
    remove: impl FnOnce(Option<&Token>) -> Result<()>,
) -> Result<()> {
    let limits = Limits::COMMAND;
    Interrupts::default().run(async {
        let deadline = Cell::new(Instant::now() + limits.silent);
        let _lock = wait(context, Subject::Session(session.cache_key()), Some(session), limits, &deadline).await?;
        let token = aws_cache::read_token(context, session)?;
        remove(token.as_ref())?;
        let Some(token) = token else { return Ok(()) };
        tokio::time::timeout(limits.silent, end(context, session, endpoints, &token))
            .await
            .unwrap_or(Err(Error::TooSlow { operation: "Logout", seconds: limits.silent.as_secs() }))
    })
}

async fn end(context: &Context, session: &SsoSession, endpoints: &Endpoints, token: &Token) -> Result<()> {
    let portal = Aws::new(context, session, endpoints)?;
    let deadline = Instant::now() + PATIENCE;
    let request = async || portal.logout(&token.access_token).await;
    match patiently(context, "Logout", deadline, Failure::is_transient, request).await {
        // A dead token has no session left to end.
        Ok(()) | Err(Failure::Unauthorized) => Ok(()),
        Err(failure) => Err(failure.into_error("Logout")),
    }
}

/// The setbacks that were known before a wait.
pub(super) struct Known<'a, const N: usize> {
    context: &'a Context,
    subjects: [&'a str; N],
    records: [Option<Record>; N],
}

impl<'a, const N: usize> Known<'a, N> {
    pub(super) fn of(context: &'a Context, subjects: [&'a str; N]) -> Self {
        let records = subjects.map(|subject| setbacks::in_force(context, subject, context::clock()));
        Self { context, subjects, records }
    }

    /// Gives up if what we waited for has failed meanwhile: of any number of waiters none tries in vain again, and
    /// nobody is asked twice who has just said no.
    /// `mend` is for the person who wants it tried all the same.
    pub(super) fn heed(&self, mend: &str) -> Result<()> {
        for (subject, before) in self.subjects.iter().zip(&self.records) {
            match setbacks::in_force(self.context, subject, context::clock()) {
                Some(record) if before.as_ref() != Some(&record) => {
                    return Err(Error::Setback {
                        mend: mend.to_owned(),
                        refused: record.kind() == Setback::SignInRefused,
                        why: record.why,
                    });
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// Takes a lock by the deadline; after two seconds says for whom it waits. A person who is signing in takes longer than
/// a request and is worth waiting for: as long as `limits` has it, and the deadline moves.
pub(super) async fn wait(
    context: &Context,
    subject: Subject<'_>,
    session: Option<&SsoSession>,
    limits: Limits,
    deadline: &Cell<Instant>,
) -> Result<Lock> {
    /// How long a wait is nobody's concern.
    const PATIENCE: Duration = Duration::from_secs(2);
    let (sender, mut receiver) = tokio::sync::oneshot::channel();
    let taken = locks::acquire(context, subject, move |lock| drop(sender.send(lock)))?;
    if let Some(lock) = taken {
        return Ok(lock);
    }
    let busy = || {
        let Holder { pid, since, .. } = locks::holder(context, subject);
        Error::Busy { what: subject.in_words(), pid, since }
    };
    if limits.sign_in.is_zero() {
        return Err(busy());
    }
    let patience = Instant::now() + PATIENCE;
    if let Ok(Ok(lock)) = tokio::time::timeout_at(patience.min(deadline.get()), &mut receiver).await {
        return lock;
    }
    let signing_in = |subject| locks::holder(context, subject).signing_in;
    let person =
        signing_in(subject) || session.is_some_and(|session| signing_in(Subject::Session(session.cache_key())));
    let end = if person { Instant::now() + limits.sign_in } else { deadline.get() };
    let Holder { pid, since, .. } = locks::holder(context, subject);
    context.say(&format!("awsdir: waiting for {}, held by process {pid} since {since}", subject.in_words()));
    let outcome = tokio::time::timeout_at(end, receiver).await;
    if person {
        deadline.set(Instant::now() + limits.silent);
    }
    match outcome {
        Ok(Ok(lock)) => lock,
        _ => Err(busy()),
    }
}

/// One climb: each rung is tried once.
struct Climb<'a, P> {
    context: &'a Context,
    session: &'a SsoSession,
    portal: &'a P,
    ladder: &'a Ladder,
    deadline: &'a Cell<Instant>,
    interrupts: &'a Interrupts,
    refreshed: Cell<bool>,
    signed_in: Cell<bool>,
}

impl<'a, P: Portal> Climb<'a, P> {
    fn new(
        context: &'a Context,
        session: &'a SsoSession,
        portal: &'a P,
        ladder: &'a Ladder,
        deadline: &'a Cell<Instant>,
        interrupts: &'a Interrupts,
    ) -> Self {
        let (refreshed, signed_in) = (Cell::new(false), Cell::new(false));
        Self { context, session, portal, ladder, deadline, interrupts, refreshed, signed_in }
    }

    /// GetRoleCredentials; a 401 takes the next rung for another token.
    async fn role_credentials(&self, profile: &SsoProfile) -> Result<RoleCredentials> {
        let mut token = self.token(None).await?;
        let (session, role) = (self.session.cache_key(), profile.cache_file.clone());
        loop {
            let answer = self.get_role_credentials(profile, &token.access_token).await;
            match answer.map_err(|error| self.remembered(session, error))? {
                Ok(credentials) => {
                    let subject = Subject::Session(session);
                    // What is in hand is worth a wait, for those too who would leave the fetching to others.
                    let limits = self.ladder.limits;
                    let limits = Limits { sign_in: limits.sign_in.max(Limits::HOOK.sign_in), ..limits };
                    let _lock = wait(self.context, subject, Some(self.session), limits, self.deadline).await?;
                    // Who has signed out meanwhile shall not find role credentials here again.
                    if self.cached().await?.is_none() {
                        return Err(self.sign_in_needed("signed out meanwhile"));
                    }
                    let origin = Origin::Sso { account_id: &profile.account_id };
                    let written = aws_cache::write_role_credentials(self.context, &role, origin, &credentials);
                    if let Err(error) = written {
                        // Good for this once.
                        self.context.say(&error.in_one_line());
                        return Ok(credentials);
                    }
                    setbacks::clear(self.context, session);
                    setbacks::clear(self.context, &role);
                    if credentials.expires_at.since(context::clock()) >= ROLE_MARGIN {
                        setbacks::renewed(self.context, &role);
                    }
                    return Ok(credentials);
                }
                Err(Failure::Unauthorized) => {
                    self.context.detail("the portal does not accept the access token");
                    token = self.token(Some(&token.access_token)).await?;
                }
                Err(Failure::Forbidden(message)) => {
                    let (account_id, role_name) = (profile.account_id.clone(), profile.role_name.clone());
                    return Err(
                        self.remembered(&role, Error::NotGranted { account_id, role_name, message, near: Vec::new() })
                    );
                }
                Err(failure) => return Err(self.remembered(session, failure.into_error("GetRoleCredentials"))),
            }
        }
    }

    /// Keeps hooks, and whoever waits for the lock that is held here, from trying at once what has just failed. Sign-ins
    /// that were turned down are remembered where they happen.
    fn remembered(&self, subject: &str, error: Error) -> Error {
        if error.code() == 5 || matches!(error, Error::NotGranted { .. }) {
            setbacks::record(self.context, subject, Setback::RenewalFailed, &error.to_string(), context::clock());
        }
        error
    }

    async fn get_role_credentials(
        &self,
        profile: &SsoProfile,
        access_token: &Secret,
    ) -> Result<Result<RoleCredentials, Failure>> {
        let operation = "GetRoleCredentials";
        let deadline = self.deadline.get();
        let request =
            async || self.portal.get_role_credentials(access_token, &profile.account_id, &profile.role_name).await;
        let answer = patiently(self.context, operation, deadline, Failure::is_transient, request);
        let seconds = self.ladder.limits.silent.as_secs();
        tokio::time::timeout_at(deadline, answer).await.map_err(|_| Error::TooSlow { operation, seconds })
    }

    /// An access token other than `rejected`: in the cache, by refresh token, by signing in.
    async fn token(&self, rejected: Option<&Secret>) -> Result<Token> {
        let acceptable = |token: &Token| Some(&token.access_token) != rejected;
        let fresh = |token: &Token| {
            acceptable(token) && !self.ladder.force && token.expires_at.since(context::clock()) >= TOKEN_MARGIN
        };
        if let Some(token) = self.cached().await?.filter(fresh) {
            return Ok(token);
        }
        let before = self.cached().await?;
        let key = self.session.cache_key();
        let setback = Known::of(self.context, [key]);
        let mut lock =
            wait(self.context, Subject::Session(key), Some(self.session), self.ladder.limits, self.deadline).await?;
        setback.heed(&login_command(self.session.label(), None))?;
        let mut cached = self.cached().await?;
        // Signed in while we waited: that is as good as having done it ourselves, forced or not.
        let replaced = |now: &Token| before.as_ref().is_none_or(|before| before.access_token != now.access_token);
        if let Some(token) = cached.take_if(|token| fresh(token) || (self.ladder.force && replaced(token))) {
            self.context.detail("another process has renewed the token");
            return Ok(token);
        }
        let now = context::clock();
        let usable = cached.clone().filter(|token| acceptable(token) && token.expires_at > now);
        if let Some(token) = cached.filter(|_| !self.ladder.force && !self.refreshed.get()) {
            let refreshed = self.refresh(token).await;
            // An interruption that had to wait comes here.
            tokio::task::yield_now().await;
            match refreshed {
                Ok(Some(token)) => return Ok(token),
                Ok(None) => {}
                Err(error) => {
                    let error = self.remembered(key, error);
                    return usable.filter(|token| token.expires_at > context::clock()).ok_or(error);
                }
            }
        }
        if let Some(token) = usable.filter(|_| !self.ladder.force) {
            return Ok(token);
        }
        self.sign_in(rejected.is_some(), &mut lock).await.map_err(|error| self.remembered(key, error))
    }

    /// The token in the cache. Other tools write the file in place, so it may be caught half-written; a second look
    /// costs less than a sign-in that nobody needed.
    async fn cached(&self) -> Result<Option<Token>> {
        let exists = aws_cache::token_path(self.context, self.session)?.exists();
        for _ in 0..if exists { 3 } else { 0 } {
            if let Some(token) = aws_cache::read_token(self.context, self.session)? {
                return Ok(Some(token));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        aws_cache::read_token(self.context, self.session)
    }

    /// CreateToken with the refresh token; `None` if only a person can help. It spends the refresh token, so it is sent
    /// again only where the service says that it did nothing.
    async fn refresh(&self, token: Token) -> Result<Option<Token>> {
        let Some((registration, refresh_token)) = token.renewal(context::clock()) else { return Ok(None) };
        self.context.detail("renewing the access token");
        self.refreshed.set(true);
        let room = aws_cache::room_for_token(self.context, self.session)?;
        // No deadline cuts this one off: an answer that is not read is a session lost. The client has its own.
        let spending = Cell::new(None);
        let request = async || {
            spending.set(Some(self.interrupts.spend()));
            let answer = self.portal.create_token(registration, Grant::RefreshToken(refresh_token)).await;
            if answer.as_ref().is_err_and(Failure::is_throttling) {
                drop(spending.take());
            }
            answer
        };
        let answer = patiently(self.context, "CreateToken", self.deadline.get(), Failure::is_throttling, request).await;
        match answer {
            Ok(issued) => {
                let renewed = Token {
                    access_token: issued.access_token,
                    expires_at: context::clock().plus(issued.expires_in),
                    refresh_token: issued.refresh_token.or_else(|| token.refresh_token.clone()),
                    registration: token.registration.clone(),
                };
                aws_cache::write_token_there(room, self.context, self.session, &renewed)?;
                drop(spending);
                setbacks::clear(self.context, self.session.cache_key());
                Ok(Some(renewed))
            }
            Err(
                failure @ (Failure::InvalidGrant
                | Failure::InvalidClient
                | Failure::ExpiredToken
                | Failure::AccessDenied),
            ) => {
                if let Some(renewed) = self.renewed_elsewhere(&token).await? {
                    return Ok(Some(renewed));
                }
                self.context.detail("the refresh token is not accepted any more");
                if matches!(failure, Failure::InvalidClient) {
                    aws_cache::remove_registration(self.context, self.session)?;
                }
                let spent = Token { refresh_token: None, ..token };
                aws_cache::write_token(self.context, self.session, &spent)?;
                Ok(None)
            }
            Err(failure) => Err(failure.into_error("CreateToken")),
        }
    }

    /// The token that another tool has in place of `spent`, which it has spent. It knows nothing of our lock, and may be
    /// about to write down what it was answered: a file sends no event, and is looked at for half a second.
    async fn renewed_elsewhere(&self, spent: &Token) -> Result<Option<Token>> {
        for _ in 0..10 {
            let now = self.cached().await?.filter(|now| now.access_token != spent.access_token);
            if let Some(renewed) = now.filter(|now| now.expires_at > context::clock()) {
                return Ok(Some(renewed));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(None)
    }

    fn sign_in_needed(&self, why: &str) -> Error {
        Error::SignInNeeded {
            session: self.session.label().to_owned(),
            profile: self.ladder.purpose.profile.clone(),
            why: why.to_owned(),
        }
    }

    /// Has the person sign in, once, under the session's lock.
    async fn sign_in(&self, rejected: bool, lock: &mut Lock) -> Result<Token> {
        let key = self.session.cache_key();
        if rejected {
            self.drop_token().await?;
        }
        let how = match &self.ladder.sign_in {
            Ok(how) if !self.signed_in.get() => Ok(how),
            Ok(_) => Err("AWS does not accept the new access token"),
            Err(why) => Err(why.as_str()),
        }
        .map_err(|why| self.sign_in_needed(why))?;
        self.signed_in.set(true);
        // A disk that is full is named before anybody approves anything.
        drop(aws_cache::room_for_token(self.context, self.session)?);
        lock.note_sign_in();
        let outcome = sign_in(self.context, self.portal, self.session, how, &self.ladder.purpose).await;
        self.deadline.set(Instant::now() + self.ladder.limits.silent);
        match outcome {
            Ok(token) => {
                aws_cache::write_token(self.context, self.session, &token)?;
                setbacks::clear(self.context, key);
                Ok(token)
            }
            Err(error) => {
                if matches!(error, Error::SignInRefused { .. } | Error::SignInTimedOut { .. } | Error::Interrupted) {
                    let why = match &error {
                        Error::Interrupted => format!("the sign-in to `{}` was cancelled", self.session.label()),
                        error => error.to_string(),
                    };
                    setbacks::record(self.context, key, Setback::SignInRefused, &why, context::clock());
                    let _ = generation::advance(self.context);
                }
                Err(error)
            }
        }
    }

    /// Marks a token as expired that AWS does not accept, so that nobody tries it again. Everything else in the file
    /// stays until a new token replaces it.
    async fn drop_token(&self) -> Result<()> {
        let now = context::clock();
        match self.cached().await?.filter(|token| token.expires_at > now) {
            Some(token) => aws_cache::write_token(self.context, self.session, &Token { expires_at: now, ..token }),
            None => Ok(()),
        }
    }
}
