//! `awsdir hook SHELL`: what a shell's hook runs when something has changed. Prints statements for it to evaluate; never
//! the network, never waits, always succeeds. The protocol is described at the head of the scripts in `shell/`.

use super::gather::{self, Directory, Standing};
use super::{detached_refresh, print};
use crate::cli::Hook;
use crate::context::{Context, eprint_line};
use crate::core::credentials::{Exported, RoleCredentials};
use crate::core::decision::{Blocked, Decision};
use crate::core::dotfile::{CredentialsMode, LoginMode};
use crate::core::environment::{self, Assignment, Mark, Role};
use crate::core::hex::hex;
use crate::core::profile::{Profile, Source};
use crate::core::segment::{Segment, State};
use crate::core::timestamp::Timestamp;
use crate::error::{Error, Result, login_to};
use crate::shell::Script;
use crate::store::settings::Settings;
use crate::store::{aws_cache, generation, setbacks};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};

/// The status words of the protocol.
const ACTIVE: &str = "active";
const IDLE: &str = "idle";
const STAND_DOWN: &str = "standdown";

/// What the shell is told.
struct Answer {
    status: &'static str,
    refresh: bool,
    deadline: Option<Timestamp>,
    watched_config: Option<PathBuf>,
    watched_token: Option<PathBuf>,
    segment: Segment,
    assignments: Vec<Assignment>,
    /// One line for the person.
    news: Option<String>,
}

impl Answer {
    fn idle() -> Self {
        Self {
            status: IDLE,
            refresh: false,
            deadline: None,
            watched_config: None,
            watched_token: None,
            segment: Segment::default(),
            assignments: Vec::new(),
            news: None,
        }
    }
}

pub(super) fn run(context: &Context, arguments: &Hook) -> Result<()> {
    let (mark, inherited) = mark_and_inherited(context);
    let mut looks = 0;
    let (mut answer, generation) = loop {
        looks += 1;
        let generation = generation::current(context);
        let answer = match mark.as_ref().filter(|mark| mark.dotfile.is_none()) {
            Some(mark) => child_of_exec(context, mark),
            None => match gather::dotfile_path(context) {
                None => Answer::idle(),
                Some(path) => of_directory(context, path, arguments.refreshed)
                    .unwrap_or_else(|error| Answer { news: Some(error.in_one_line()), ..Answer::idle() }),
            },
        };
        let watched = [answer.watched_config.as_deref(), answer.watched_token.as_deref()];
        let watched: Vec<&Path> = watched.into_iter().flatten().collect();
        // What was written while we read is read again; not for ever, should a file system lose fractions of seconds.
        if !generation::is_overtaken(context, &watched) || looks == 3 {
            break (answer, generation);
        }
    };
    if answer.status != STAND_DOWN {
        drop_inherited(&inherited, &mut answer);
    }
    let said = tell(context, arguments, answer.news.as_deref());
    print(script(arguments, &answer, &generation, &said, &inherited))
}

/// The mark if it is true here, and the variables that are ours by it.
fn mark_and_inherited(context: &Context) -> (Option<Mark>, Vec<&'static str>) {
    let variable = |name: &str| context.var_os(name);
    if variable("AWSDIR").is_none() {
        return (None, Vec::new());
    }
    match Mark::in_force(context.uid, variable) {
        Some(mark) => {
            let inherited = mark.inherited(variable);
            (Some(mark), inherited)
        }
        // True or not, a mark is never the person's own value.
        None => (None, vec!["AWSDIR"]),
    }
}

/// In a child of `with-aws` the role stays what it is, wherever the person goes.
fn child_of_exec(context: &Context, mark: &Mark) -> Answer {
    let expires_at = context.var("AWS_CREDENTIAL_EXPIRATION").and_then(|text| Timestamp::parse(&text));
    let style = Settings::load(context).unwrap_or_default().style;
    let segment = Segment::new(
        &style,
        &mark.profile,
        context.var("AWS_REGION").as_deref(),
        expires_at.map_or(State::InForce, State::Until),
    );
    Answer { status: STAND_DOWN, segment, ..Answer::idle() }
}

fn of_directory(context: &Context, path: PathBuf, refreshed: bool) -> Result<Answer> {
    let watched_config = context.aws_config_file().ok().map(Path::to_owned);
    let directory = match Directory::read(context, path) {
        Ok(directory) => directory,
        Err(error) => return Ok(out_of_order(context, &error, watched_config)),
    };
    let answer = Answer { status: ACTIVE, watched_config, ..Answer::idle() };
    if directory.is_ours() {
        return of_role(context, &directory, answer, refreshed);
    }
    let name = directory.profile.name();
    Ok(Answer {
        segment: Segment::new(&directory.settings.style, name, directory.region(), State::InForce),
        assignments: assignments(context, &directory, None),
        ..answer
    })
}

/// A dotfile that may not act, or cannot: nothing is set, and one line says why.
fn out_of_order(context: &Context, error: &Error, watched_config: Option<PathBuf>) -> Answer {
    let segment = match error {
        Error::NotAllowed { profile, .. } => {
            let style = Settings::load(context).unwrap_or_default().style;
            Segment::new(&style, profile, None, State::NotAllowed)
        }
        _ => Segment::default(),
    };
    // The file to mend is the one to watch.
    let watched_config = match error {
        Error::Config { path, .. } => Some(path.clone()),
        _ => watched_config,
    };
    Answer { segment, watched_config, news: Some(error.in_one_line()), ..Answer::idle() }
}

/// A role whose credentials are renewed by us.
fn of_role(context: &Context, directory: &Directory, answer: Answer, refreshed: bool) -> Result<Answer> {
    let profile = &directory.profile;
    let person = || context.person_present() && directory.login() != LoginMode::Never;
    let standing = Standing::at_a_glance(context, profile, directory.goal(), person)?;
    let in_hand = matches!(standing.decision, Decision::Use | Decision::UseAndRenew);
    let credentials = standing.credentials.as_ref().filter(|_| in_hand);
    if standing.decision == Decision::UseAndRenew
        && profile.cache_file().is_some_and(|role| setbacks::may_renew_ahead(context, role, context.now))
    {
        renew_in_background(context);
    }
    let news = match standing.decision {
        Decision::Blocked(blocked) => Some(news(profile, blocked, standing.setback.as_ref())),
        _ => None,
    };
    let state = match (standing.decision, directory.mode(), credentials) {
        (Decision::Use | Decision::UseAndRenew, CredentialsMode::Env | CredentialsMode::Only, Some(credentials)) => {
            State::Until(credentials.expires_at)
        }
        (Decision::Use | Decision::UseAndRenew, _, _) => State::InForce,
        (Decision::Renew | Decision::Blocked(Blocked::RenewalFailed), _, _) => State::Renewable,
        (Decision::SignIn | Decision::Blocked(_), _, _) => State::SignInNeeded,
    };
    let refresh = !refreshed && matches!(standing.decision, Decision::Renew | Decision::SignIn);
    // Then the person's own credentials are the source, and stay until the refresh that begins now is over.
    let from_environment = profile.source() == Some(&Source::Environment);
    let is_begun = refresh && from_environment && context.person_present();
    Ok(Answer {
        refresh,
        deadline: standing.next_question(),
        watched_token: match profile.session().filter(|_| !in_hand) {
            Some(session) => Some(aws_cache::token_path(context, session)?),
            None => None,
        },
        segment: Segment::new(&directory.settings.style, profile.name(), directory.region(), state),
        assignments: if is_begun { Vec::new() } else { assignments(context, directory, credentials) },
        news,
        ..answer
    })
}

/// Why there are no role credentials, and what to run if that is for the person to mend.
fn news(profile: &Profile, blocked: Blocked, setback: Option<&setbacks::Record>) -> String {
    let sign_in = format!("run: {}", login_to(profile));
    let why = setback.map(|record| record.why.as_str()).unwrap_or_default();
    match blocked {
        Blocked::SignInNeeded => match profile.session() {
            Some(session) => format!("awsdir: sign-in to `{}` needed; {sign_in}", session.label()),
            None if profile.needs_code() => {
                format!("awsdir: an MFA code is needed for `{}`; {sign_in}", profile.name())
            }
            None => format!("awsdir: no credentials in the environment for `{}` to take", profile.name()),
        },
        Blocked::SignInRefused => format!("awsdir: {why}; {sign_in}"),
        Blocked::RenewalFailed => format!("awsdir: no role credentials for `{}`: {why}", profile.name()),
    }
}

fn assignments(context: &Context, directory: &Directory, credentials: Option<&RoleCredentials>) -> Vec<Assignment> {
    let credentials = credentials.map(Exported::from);
    let role = Role {
        profile: directory.profile.name(),
        is_in_config: directory.profile.is_in_config(),
        region: directory.region(),
        credentials,
        uid: context.uid,
    };
    environment::activate(role, directory.mode(), directory.path.as_os_str())
}

/// What an awsdir shell above us has set has no business here unless the answer sets it anew.
fn drop_inherited(inherited: &[&'static str], answer: &mut Answer) {
    for name in inherited.iter().copied() {
        if answer.assignments.iter().all(|assignment| assignment.name != name) {
            answer.assignments.push(Assignment { name, value: None });
        }
    }
}

/// Starts `awsdir refresh` for nobody to wait for. If it cannot be started the next question comes soon enough.
fn renew_in_background(context: &Context) {
    let _ = detached_refresh(context).and_then(|mut command| command.spawn());
}

/// Says the news unless it was said already, and returns its id for the next time.
fn tell(context: &Context, arguments: &Hook, news: Option<&str>) -> String {
    let Some(news) = news else { return String::new() };
    let id = hex(&Sha256::digest(news)[..6]);
    let known = id == arguments.said || arguments.refreshed;
    if !known && context.verbosity > crate::context::Verbosity::Quiet {
        eprint_line(news);
    }
    id
}

fn script(arguments: &Hook, answer: &Answer, generation: &str, said: &str, inherited: &[&str]) -> Vec<u8> {
    let epoch = |moment: Option<Timestamp>| moment.map(|moment| moment.epoch().to_string()).unwrap_or_default();
    let path = |path: &Option<PathBuf>| path.clone().unwrap_or_default().into_os_string();
    let mut script = Script::new(arguments.shell);
    script.variable("__awsdir_status", answer.status);
    script.variable("__awsdir_next", if answer.refresh { "refresh" } else { "" });
    script.variable("__awsdir_deadline", epoch(answer.deadline));
    script.variable("__awsdir_generation", generation);
    script.variable("__awsdir_watch_config", path(&answer.watched_config));
    script.variable("__awsdir_watch_token", path(&answer.watched_token));
    script.variable("__awsdir_segment_head", &answer.segment.head);
    script.variable("__awsdir_segment_tail", &answer.segment.tail);
    script.variable("__awsdir_expires", epoch(answer.segment.expires_at));
    script.variable("__awsdir_said", said);
    script.variable("__awsdir_inherited", inherited.join(" "));
    for assignment in &answer.assignments {
        script.assign(assignment);
    }
    script.finish()
}
