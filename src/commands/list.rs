//! `awsdir list`: every profile, with what it is and how it stands. Never the network.

use super::gather::{Standing, in_a_word};
use super::print;
use crate::cli::List;
use crate::context::{Context, printable};
use crate::core::decision::Goal;
use crate::core::profile::{Profile, SsoSession};
use crate::core::segment::time_left;
use crate::core::timestamp::Timestamp;
use crate::error::{Error, Result};
use crate::store::profiles::Profiles;
use serde_json::{Value, json};

pub(super) fn run(context: &Context, arguments: &List) -> Result<()> {
    let profiles = Profiles::load(context)?;
    let rows =
        profiles.names().map(|name| Row::of(context, name, profiles.profile(name))).collect::<Result<Vec<_>>>()?;
    if arguments.json {
        let document = rows.iter().map(Row::json).collect::<Value>();
        return print(format!("{document:#}\n"));
    }
    if rows.is_empty() {
        context.say(&format!("awsdir: there is no profile in `{}`", context.aws_config_file()?.display()));
    }
    print(table(&rows, context.now))
}

/// One profile.
struct Row {
    name: String,
    /// What is wrong with its section, if it cannot be used.
    profile: Result<Profile, Error>,
    state: &'static str,
    /// When its role credentials end, if there are any.
    expires_at: Option<Timestamp>,
}

impl Row {
    fn of(context: &Context, name: &str, profile: Result<Profile>) -> Result<Self> {
        let standing = match &profile {
            Ok(profile) if profile.cache_file().is_some() => {
                let goal = Goal::RoleCredentials { min_ttl: 0 };
                Some(Standing::of(context, profile, goal, context.person_present())?)
            }
            _ => None,
        };
        let state = if profile.is_ok() { in_a_word(standing.as_ref()) } else { "broken" };
        let credentials = standing.as_ref().and_then(|standing| standing.credentials.as_ref());
        let expires_at = credentials.map(|credentials| credentials.expires_at).filter(|at| *at > context.now);
        Ok(Self { name: name.to_owned(), profile, state, expires_at })
    }

    fn json(&self) -> Value {
        let profile = match &self.profile {
            Ok(profile) => profile,
            Err(error) => return json!({ "profile": self.name, "state": self.state, "error": error.to_string() }),
        };
        json!({
            "profile": self.name,
            "kind": profile.kind(),
            "account_id": profile.account_id(),
            "role": profile.role_name(),
            "region": profile.region(),
            "session": profile.session().map(SsoSession::label),
            "state": self.state,
            "expires_at": self.expires_at.map(|at| at.to_string()),
        })
    }

    fn cells(&self, now: Timestamp) -> [String; 7] {
        let or_dash = |text: Option<&str>| text.unwrap_or("-").to_owned();
        let profile = match &self.profile {
            Ok(profile) => profile,
            Err(error) => {
                let dash = || "-".to_owned();
                return [self.name.clone(), dash(), dash(), dash(), dash(), dash(), format!("{}: {error}", self.state)];
            }
        };
        let left = self.expires_at.map(|at| format!(", {} left", time_left(at.since(now)))).unwrap_or_default();
        [
            self.name.clone(),
            profile.kind().to_owned(),
            or_dash(profile.account_id()),
            or_dash(profile.role_name()),
            or_dash(profile.region()),
            or_dash(profile.session().map(SsoSession::label)),
            format!("{}{left}", self.state),
        ]
    }
}

/// Columns as wide as what is in them; the last one has no end.
fn table(rows: &[Row], now: Timestamp) -> String {
    let titles = ["PROFILE", "KIND", "ACCOUNT", "ROLE", "REGION", "SESSION", "STATE"].map(str::to_owned);
    let mut lines: Vec<[String; 7]> = rows.iter().map(|row| row.cells(now).map(|cell| printable(&cell))).collect();
    if lines.is_empty() {
        return String::new();
    }
    lines.insert(0, titles);
    let widths: [usize; 7] =
        std::array::from_fn(|at| lines.iter().map(|line| line[at].chars().count()).max().unwrap_or(0));
    let mut text = String::new();
    for line in &lines {
        let cells = line.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
        text += cells.collect::<Vec<_>>().join("  ").trim_end();
        text.push('\n');
    }
    text
}
