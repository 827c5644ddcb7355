//! `awsdir status`: what is in force here and why, two clocks, and what will happen next. Never the network.

use super::gather::{self, Rule, Selected, Standing};
use super::print;
use crate::cli::Status;
use crate::context::{Context, printable};
use crate::core::decision::{Blocked, Decision, Goal, ROLE_MARGIN, TOKEN_MARGIN, TokenInHand};
use crate::core::environment::Mark;
use crate::core::profile::{Profile, RoleProfile};
use crate::core::segment::time_left;
use crate::core::timestamp::Timestamp;
use crate::error::{Result, login_to};
use crate::store::aws_cache;
use serde_json::{Value, json};
use std::process::ExitCode;

pub(super) fn run(context: &Context, arguments: &Status) -> Result<ExitCode> {
    let report = gather::selected(context, arguments.profile.as_deref())
        .and_then(|selected| Report::new(context, selected))
        .inspect_err(|error| {
            if arguments.json {
                let dotfile = gather::dotfile_path(context).map(|path| path.to_string_lossy().into_owned());
                let document = json!({
                    "state": "configuration", "dotfile": dotfile, "error": error.to_string(), "hint": error.hint(),
                });
                // The error itself follows on stderr and decides the exit code.
                let _ = print(format!("{document:#}\n"));
            }
        })?;
    print(&if arguments.json { format!("{:#}\n", report.json()) } else { report.text() })?;
    Ok(report.exit_code())
}

struct Report {
    selected: Selected,
    profile: Profile,
    /// What it takes its credentials from, down to the root.
    links: Vec<Link>,
    region: Option<String>,
    /// The shell that asks has this role in its environment.
    loaded: bool,
    standing: Option<Standing>,
    /// That of the session at the root.
    token: Option<TokenInHand>,
    now: Timestamp,
}

impl Report {
    fn new(context: &Context, selected: Selected) -> Result<Self> {
        let (profile, region, goal) = if let Rule::Dotfile(directory) = &selected.by {
            (directory.profile.clone(), directory.region().map(str::to_owned), directory.goal())
        } else {
            let profile = selected.profile(context)?;
            let region = profile.region().map(str::to_owned);
            (profile, region, Goal::RoleCredentials { min_ttl: 0 })
        };
        let standing = match profile.cache_file() {
            Some(_) => Some(Standing::of(context, &profile, goal, context.person_present())?),
            None => None,
        };
        let links = profile.chain().skip(1).map(|link| Link::of(context, link)).collect::<Result<_>>()?;
        let token = match profile.session() {
            Some(session) => gather::token(context, session)?,
            None => None,
        };
        let mark = Mark::in_force(context.uid, |name| context.var_os(name));
        let loaded = mark.is_some_and(|mark| mark.profile == profile.name());
        Ok(Self { selected, profile, links, region, loaded, standing, token, now: context.now })
    }

    fn exit_code(&self) -> ExitCode {
        match self.standing.as_ref().map(|standing| standing.decision) {
            Some(Decision::SignIn | Decision::Blocked(Blocked::SignInNeeded | Blocked::SignInRefused)) => {
                ExitCode::from(4)
            }
            _ => ExitCode::SUCCESS,
        }
    }

    fn state(&self) -> &'static str {
        gather::in_a_word(self.standing.as_ref())
    }

    fn rule(&self) -> (&'static str, String) {
        match &self.selected.by {
            Rule::Argument => ("argument", "as asked".to_owned()),
            Rule::Dotfile(directory) => ("dotfile", format!("from {}", directory.path.display())),
            Rule::Environment => ("environment", "from AWS_PROFILE".to_owned()),
            Rule::Exec => ("with-aws", "from with-aws".to_owned()),
        }
    }

    fn next(&self) -> String {
        let Some(standing) = &self.standing else {
            return "the AWS SDKs resolve this profile themselves".to_owned();
        };
        let (login, you) = (login_to(&self.profile), self.part());
        let retry = || match &standing.setback {
            Some(setback) => format!(" ({}; the hook tries again {})", setback.why, self.moment(setback.until())),
            None => String::new(),
        };
        match standing.decision {
            Decision::Use => match standing.next_question() {
                Some(at) if standing.situation.renewable_at(at) => {
                    format!("renewed in the background from {} on", self.moment(at))
                }
                _ => match standing.situation.in_hand() {
                    Some(end) => format!("used until {}, then {you}: {login}", self.moment(end)),
                    None => "nothing".to_owned(),
                },
            },
            Decision::UseAndRenew => "renewed in the background at the next prompt".to_owned(),
            Decision::Renew => "renewed without you at the next use".to_owned(),
            Decision::SignIn => format!("{you} at the next use, or now: {login}"),
            Decision::Blocked(Blocked::RenewalFailed) => format!("the renewal is tried again{}", retry()),
            Decision::Blocked(Blocked::SignInRefused) => format!("{you}: {login}{}", retry()),
            Decision::Blocked(Blocked::SignInNeeded) => format!("{you}: {login}"),
        }
    }

    /// What a person has to do.
    fn part(&self) -> &'static str {
        if self.profile.session().is_some() { "you sign in" } else { "you give an MFA code" }
    }

    fn moment(&self, at: Timestamp) -> String {
        format!("{at} (in {})", time_left(at.since(self.now)))
    }

    fn clock(&self, expires_at: Option<Timestamp>, margin: i64) -> (&'static str, Option<i64>) {
        let left = expires_at.map(|at| at.since(self.now));
        let state = match left {
            None => "none",
            Some(left) if left >= margin => "fresh",
            Some(left) if left > 0 => "expiring",
            Some(_) => "stale",
        };
        (state, left)
    }

    fn json(&self) -> Value {
        let clock = |at: Option<Timestamp>, margin| {
            let (state, left) = self.clock(at, margin);
            json!({ "state": state, "expires_at": at.map(|at| at.to_string()), "seconds_left": left.map(|left| left.max(0)) })
        };
        let mut document = json!({
            "profile": self.profile.name(),
            "kind": self.profile.kind(),
            "rule": self.rule().0,
            "dotfile": self.selected.dotfile().map(|path| path.to_string_lossy().into_owned()),
            "state": self.state(),
            "loaded": self.loaded,
            "region": self.region,
        });
        if let Some(standing) = &self.standing {
            document["account_id"] = self.profile.account_id().into();
            match &self.profile {
                Profile::Role(role) => {
                    document["role_arn"] = role.role_arn.as_str().into();
                    document["mfa_serial"] = role.mfa_serial.as_deref().into();
                }
                profile => document["permission_set"] = profile.role_name().into(),
            }
            document["session"] = self.profile.session().map_or(
                Value::Null,
                |session| json!({ "name": session.name, "start_url": session.start_url, "region": session.region }),
            );
            document["role_credentials"] = clock(standing.situation.role_credentials, ROLE_MARGIN);
        }
        if self.profile.session().is_some() {
            let token = self.token;
            document["access_token"] = clock(token.map(|token| token.expires_at), TOKEN_MARGIN);
            document["access_token"]["renewable"] = token.is_some_and(|token| token.renewable).into();
        }
        if !self.links.is_empty() || self.profile.source().is_some() {
            let link = |link: &Link| {
                let expires_at = clock(link.expires_at, ROLE_MARGIN);
                json!({ "profile": link.name, "kind": link.kind, "credentials": link.words, "role_credentials": expires_at })
            };
            let source =
                self.profile.source().map(|source| json!({ "kind": "source", "credentials": source.in_words() }));
            document["chain"] = self.links.iter().map(link).chain(source).collect();
        }
        document["next"] = self.next().into();
        document
    }

    fn text(&self) -> String {
        let clock = |at: Option<Timestamp>, margin| match (self.clock(at, margin), at) {
            ((state, Some(left)), Some(at)) if left > 0 => {
                format!("{state}, {} left (until {at})", time_left(left))
            }
            ((state, _), Some(at)) => format!("{state} since {at}"),
            ((state, _), None) => state.to_owned(),
        };
        let mut rows = vec![("profile", format!("{}, {}", self.profile.name(), self.rule().1))];
        rows.push(match &self.profile {
            Profile::Role(RoleProfile { role_arn, mfa_serial: Some(serial), .. }) => {
                ("role", format!("{role_arn}, with a code of {serial}"))
            }
            Profile::Role(role) => ("role", role.role_arn.clone()),
            Profile::Sso(profile) => ("role", profile.role_name.clone() + " in account " + &profile.account_id),
            Profile::Other(_) => ("credentials", self.profile.in_words()),
        });
        for link in &self.links {
            let until = if link.is_role { format!(": {}", clock(link.expires_at, ROLE_MARGIN)) } else { String::new() };
            rows.push(("by way of", format!("{}, {}{until}", link.name, link.words)));
        }
        if let Some(source) = self.profile.source() {
            rows.push(("by way of", source.in_words()));
        }
        if let Some(session) = self.profile.session() {
            let start_url = &session.start_url;
            let named = |name: &String| format!("{name} ({start_url})");
            rows.push(("session", session.name.as_ref().map_or_else(|| start_url.clone(), named)));
        }
        if let Some(standing) = &self.standing {
            rows.push(("role credentials", clock(standing.situation.role_credentials, ROLE_MARGIN)));
        }
        if self.profile.session().is_some() {
            let token = self.token;
            let renewable = if token.is_some_and(|token| token.renewable) { "; renewable" } else { "" };
            rows.push(("access token", clock(token.map(|token| token.expires_at), TOKEN_MARGIN) + renewable));
        }
        rows.push(("region", self.region.clone().unwrap_or_else(|| "none".to_owned())));
        rows.push(("this shell", if self.loaded { "has it".to_owned() } else { "does not have it".to_owned() }));
        rows.push(("state", self.state().to_owned()));
        rows.push(("next", self.next()));
        rows.iter().fold(String::new(), |text, (name, value)| text + &format!("{name:<17} {}\n", printable(value)))
    }
}

/// One link of a chain, as it stands.
struct Link {
    name: String,
    kind: &'static str,
    words: String,
    is_role: bool,
    expires_at: Option<Timestamp>,
}

impl Link {
    fn of(context: &Context, profile: &Profile) -> Result<Self> {
        let cached = match profile.cache_file() {
            Some(cache_file) => aws_cache::read_role_credentials(context, cache_file)?,
            None => None,
        };
        Ok(Self {
            name: profile.name().to_owned(),
            kind: profile.kind(),
            words: profile.in_words(),
            is_role: profile.cache_file().is_some(),
            expires_at: cached.map(|cached| cached.expires_at),
        })
    }
}
