//! The prompt segment: a short text, and the moment until which its time counts down.

use super::timestamp::Timestamp;
use wildmatch::WildMatch;

/// How the role in force stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Valid until then; shells count down by themselves.
    Until(Timestamp),
    /// In force with nothing that expires (`credentials = none`, a profile of another kind).
    InForce,
    /// Can be renewed without a person, and has not been.
    Renewable,
    /// A person must sign in.
    SignInNeeded,
    /// The dotfile has not been allowed.
    NotAllowed,
}

/// How segments are written: `[prompt]` in the settings.
#[derive(Clone, Debug)]
pub(crate) struct Style {
    /// With `{profile}`, `{danger}`, `{region}` and `{left}`; the last is the time left or a word of state.
    pub(crate) format: String,
    /// Patterns (`*`, `?`) of the names that get a `!`.
    pub(crate) danger: Vec<String>,
}

impl Default for Style {
    fn default() -> Self {
        Self { format: "{profile}{danger} {left}".to_owned(), danger: Vec::new() }
    }
}

/// What a shell shows: `head`, the time left until `expires_at` if there is one, `tail`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) head: String,
    pub(crate) tail: String,
    pub(crate) expires_at: Option<Timestamp>,
}

impl Segment {
    pub(crate) fn new(style: &Style, profile: &str, region: Option<&str>, state: State) -> Self {
        let danger = style.danger.iter().any(|pattern| WildMatch::new(pattern).matches(profile));
        let filled = style
            .format
            .replace("{profile}", profile)
            .replace("{danger}", if danger { "!" } else { "" })
            .replace("{region}", region.unwrap_or_default());
        let (head, tail) = filled.split_once("{left}").unwrap_or((&filled, ""));
        let word = match state {
            State::Until(expires_at) => {
                let expires_at = filled.contains("{left}").then_some(expires_at);
                return Self { head: head.to_owned(), tail: tail.to_owned(), expires_at };
            }
            State::InForce => "",
            State::Renewable => "renewable",
            State::SignInNeeded => "expired",
            State::NotAllowed => "not allowed",
        };
        let text = if filled.contains("{left}") { format!("{head}{word}{tail}") } else { filled };
        Self { head: text.trim_end().to_owned(), tail: String::new(), expires_at: None }
    }

    /// The text at `now`.
    pub(crate) fn text(&self, now: Timestamp) -> String {
        match self.expires_at {
            Some(expires_at) => format!("{}{}{}", self.head, time_left(expires_at.since(now)), self.tail),
            None => format!("{}{}", self.head, self.tail),
        }
    }
}

/// `2h05m`, `42m`, `<1m` or `expired`, the same as the scripts in `shell/` compute.
pub(crate) fn time_left(seconds: i64) -> String {
    match seconds {
        3_600.. => format!("{}h{:02}m", seconds / 3_600, seconds / 60 % 60),
        60.. => format!("{}m", seconds / 60),
        1.. => "<1m".to_owned(),
        _ => "expired".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_epoch(1_800_000_000);

    #[test]
    fn every_state_in_the_usual_format() {
        let style = Style { danger: vec!["*prod*".into(), "*Admin*".into()], ..Style::default() };
        let show = |profile, state| Segment::new(&style, profile, Some("eu-west-1"), state).text(NOW);
        assert_eq!(show("read-only", State::Until(NOW.plus(42 * 60 + 5))), "read-only 42m");
        assert_eq!(show("read-only", State::Until(NOW.plus(7_500))), "read-only 2h05m");
        assert_eq!(show("read-only", State::Until(NOW.plus(59))), "read-only <1m");
        assert_eq!(show("read-only", State::Until(NOW)), "read-only expired");
        assert_eq!(show("read-only", State::SignInNeeded), "read-only expired");
        assert_eq!(show("read-only", State::Renewable), "read-only renewable");
        assert_eq!(show("read-only", State::NotAllowed), "read-only not allowed");
        assert_eq!(show("read-only", State::InForce), "read-only");
        assert_eq!(show("prod-admin", State::InForce), "prod-admin!");
        assert_eq!(show("prod-admin", State::Until(NOW.plus(600))), "prod-admin! 10m");
    }

    #[test]
    fn a_format_of_ones_own() {
        let show = |format: &str, state| {
            let style = Style { format: format.into(), danger: vec![] };
            Segment::new(&style, "ro", Some("eu-west-1"), state).text(NOW)
        };
        assert_eq!(show("[{left}] {profile}@{region}", State::Until(NOW.plus(60))), "[1m] ro@eu-west-1");
        assert_eq!(show("[{left}] {profile}", State::SignInNeeded), "[expired] ro");
        assert_eq!(show("{profile}", State::Until(NOW.plus(60))), "ro");
        assert_eq!(show("{profile}", State::SignInNeeded), "ro");
        assert_eq!(show("aws {profil}", State::InForce), "aws {profil}");
    }
}
