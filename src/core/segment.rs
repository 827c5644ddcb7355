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
        let (before, after) = match style.format.split_once("{left}") {
            Some((before, after)) => (before, Some(after)),
            None => (style.format.as_str(), None),
        };
        let mut head = String::new();
        let fill = |text: &mut String, format: &str| {
            let mut rest = format;
            while let Some((literal, field)) = rest.split_once('{') {
                text.push_str(literal);
                let (value, name) = match field {
                    _ if field.starts_with("profile}") => (profile, "profile}"),
                    _ if field.starts_with("danger}") => (if danger { "!" } else { "" }, "danger}"),
                    _ if field.starts_with("region}") => (region.unwrap_or_default(), "region}"),
                    _ => ("{", ""),
                };
                text.push_str(value);
                rest = &field[name.len()..];
            }
            text.push_str(rest);
        };
        fill(&mut head, before);
        let word = match state {
            State::Until(expires_at) => {
                let mut tail = String::new();
                fill(&mut tail, after.unwrap_or_default());
                return Self { head, tail, expires_at: after.is_some().then_some(expires_at) };
            }
            State::InForce => "",
            State::Renewable => "renewable",
            State::SignInNeeded => "expired",
            State::NotAllowed => "not allowed",
        };
        if let Some(after) = after {
            head.push_str(word);
            fill(&mut head, after);
        }
        head.truncate(head.trim_end().len());
        Self { head, tail: String::new(), expires_at: None }
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
