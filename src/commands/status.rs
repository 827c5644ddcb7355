//! `awsdir status`: what is in force here and why, two clocks, and what will happen next. Never the network.

use super::gather::{self, Rule, Selected, Standing};
use super::print;
use crate::cli::Status;
use crate::context::{Context, printable};
use crate::core::decision::{Blocked, Decision, Goal, ROLE_MARGIN, TOKEN_MARGIN};
use crate::core::environment::Mark;
use crate::core::profile::{Profile, SsoProfile};
use crate::core::segment::time_left;
use crate::core::timestamp::Timestamp;
use crate::error::{Result, login_command};
use crate::store::profiles;
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
    region: Option<String>,
    /// The shell that asks has this role in its environment.
    loaded: bool,
    standing: Option<Standing>,
    now: Timestamp,
}

impl Report {
    fn new(context: &Context, selected: Selected) -> Result<Self> {
        let (profile, region, goal) = if let Rule::Dotfile(directory) = &selected.by {
            (directory.profile.clone(), directory.region().map(str::to_owned), directory.goal())
        } else {
            let profile = profiles::profile(context, &selected.name)?;
            let region = profile.region().map(str::to_owned);
            (profile, region, Goal::RoleCredentials { min_ttl: 0 })
        };
        let standing = match &profile {
            Profile::Sso(sso) => Some(Standing::of(context, sso, goal, context.person_present())?),
            Profile::Other { .. } => None,
        };
        let mark = Mark::in_force(context.uid, |name| context.var_os(name));
        let loaded = mark.is_some_and(|mark| mark.profile == profile.name());
        Ok(Self { selected, profile, region, loaded, standing, now: context.now })
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
        match self.standing.as_ref().map(|standing| standing.decision) {
            None => "not from Identity Center",
            Some(Decision::Use) => "fresh",
            Some(Decision::UseAndRenew) => "expiring",
            Some(Decision::Renew | Decision::Blocked(Blocked::RenewalFailed)) => "renewable",
            Some(Decision::SignIn | Decision::Blocked(_)) => "sign-in needed",
        }
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
        let (Some(standing), Profile::Sso(profile)) = (&self.standing, &self.profile) else {
            return "the AWS SDKs resolve this profile themselves".to_owned();
        };
        let login = login_command(profile.session.label(), Some(&profile.name));
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
                    Some(end) => format!("used until {}, then you sign in: {login}", self.moment(end)),
                    None => "nothing".to_owned(),
                },
            },
            Decision::UseAndRenew => "renewed in the background at the next prompt".to_owned(),
            Decision::Renew => "renewed without you at the next use".to_owned(),
            Decision::SignIn => format!("you sign in at the next use, or now: {login}"),
            Decision::Blocked(Blocked::RenewalFailed) => format!("the renewal is tried again{}", retry()),
            Decision::Blocked(Blocked::SignInRefused) => format!("you sign in: {login}{}", retry()),
            Decision::Blocked(Blocked::SignInNeeded) => format!("you sign in: {login}"),
        }
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

    fn sso(&self) -> Option<(&SsoProfile, &Standing)> {
        match (&self.profile, &self.standing) {
            (Profile::Sso(profile), Some(standing)) => Some((profile, standing)),
            _ => None,
        }
    }

    fn json(&self) -> Value {
        let clock = |at: Option<Timestamp>, margin| {
            let (state, left) = self.clock(at, margin);
            json!({ "state": state, "expires_at": at.map(|at| at.to_string()), "seconds_left": left.map(|left| left.max(0)) })
        };
        let mut document = json!({
            "profile": self.profile.name(),
            "rule": self.rule().0,
            "dotfile": self.selected.dotfile().map(|path| path.to_string_lossy().into_owned()),
            "state": self.state(),
            "loaded": self.loaded,
            "region": self.region,
        });
        if let Some((profile, standing)) = self.sso() {
            let token = standing.situation.token;
            document["account_id"] = profile.account_id.as_str().into();
            document["permission_set"] = profile.role_name.as_str().into();
            document["session"] = json!({
                "name": profile.session.name, "start_url": profile.session.start_url, "region": profile.session.region,
            });
            document["role_credentials"] = clock(standing.situation.role_credentials, ROLE_MARGIN);
            document["access_token"] = clock(token.map(|token| token.expires_at), TOKEN_MARGIN);
            document["access_token"]["renewable"] = token.is_some_and(|token| token.renewable).into();
        }
        document["next"] = self.next().into();
        document
    }

    fn text(&self) -> String {
        let mut rows = vec![("profile", format!("{}, {}", self.profile.name(), self.rule().1))];
        if let Some((profile, standing)) = self.sso() {
            let clock = |at: Option<Timestamp>, margin| match (self.clock(at, margin), at) {
                ((state, Some(left)), Some(at)) if left > 0 => {
                    format!("{state}, {} left (until {at})", time_left(left))
                }
                ((state, _), Some(at)) => format!("{state} since {at}"),
                ((state, _), None) => state.to_owned(),
            };
            let token = standing.situation.token;
            let renewable = if token.is_some_and(|token| token.renewable) { "; renewable" } else { "" };
            rows.push(("role", format!("{} in account {}", profile.role_name, profile.account_id)));
            let start_url = &profile.session.start_url;
            rows.push((
                "session",
                match &profile.session.name {
                    Some(name) => format!("{name} ({start_url})"),
                    None => start_url.clone(),
                },
            ));
            rows.push(("role credentials", clock(standing.situation.role_credentials, ROLE_MARGIN)));
            rows.push(("access token", clock(token.map(|token| token.expires_at), TOKEN_MARGIN) + renewable));
        }
        rows.push(("region", self.region.clone().unwrap_or_else(|| "none".to_owned())));
        rows.push(("this shell", if self.loaded { "has it".to_owned() } else { "does not have it".to_owned() }));
        rows.push(("state", self.state().to_owned()));
        rows.push(("next", self.next()));
        rows.iter().fold(String::new(), |text, (name, value)| text + &format!("{name:<17} {}\n", printable(value)))
    }
}
