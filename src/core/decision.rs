//! The heart: from what is in hand to what must happen next (design sections 6 and 7).

use super::timestamp::Timestamp;

/// Role credentials with less than this many seconds left are renewed ahead, as the AWS CLI does.
pub(crate) const ROLE_MARGIN: i64 = 15 * 60;
/// An access token with less than this many seconds left is renewed ahead, as the Rust and JS SDKs do.
pub(crate) const TOKEN_MARGIN: i64 = 5 * 60;

/// What a directory or command needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Goal {
    /// Role credentials with at least this many seconds left, if that can be had.
    RoleCredentials { min_ttl: i64 },
    /// Only an access token: the SDKs get role credentials with it themselves (`credentials = none`).
    AccessToken,
}

/// What is known of the cached access token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TokenInHand {
    pub(crate) expires_at: Timestamp,
    /// A refresh token and an unexpired client registration are there too.
    pub(crate) renewable: bool,
}

/// An earlier attempt that makes another one pointless for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Setback {
    /// A sign-in was refused, cancelled or timed out.
    SignInRefused,
    /// A renewal without a person failed.
    RenewalFailed,
}

/// Everything a decision depends on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Situation {
    pub(crate) now: Timestamp,
    pub(crate) goal: Goal,
    /// When the cached role credentials expire.
    pub(crate) role_credentials: Option<Timestamp>,
    pub(crate) token: Option<TokenInHand>,
    /// Somebody is at a terminal, and neither a setting nor the surroundings forbid a sign-in.
    pub(crate) person: bool,
    /// Still in force at `now`.
    pub(crate) setback: Option<Setback>,
}

impl Situation {
    /// When that expires which the goal needs, if it is in hand.
    pub(crate) fn in_hand(&self) -> Option<Timestamp> {
        match self.goal {
            Goal::RoleCredentials { .. } => self.role_credentials,
            Goal::AccessToken => self.token.map(|token| token.expires_at),
        }
    }

    /// Whether a renewal at `then` would need no person.
    pub(crate) fn renewable_at(&self, then: Timestamp) -> bool {
        self.token.is_some_and(|token| match self.goal {
            Goal::RoleCredentials { .. } => token.renewable || token.expires_at > then,
            Goal::AccessToken => token.renewable,
        })
    }
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// What is in hand will do.
    Use,
    /// What is in hand will do, and it is time to renew it without making anybody wait.
    UseAndRenew,
    /// Renew without a person: GetRoleCredentials, with CreateToken before it if the access token is stale.
    Renew,
    /// A person has to sign in, and one is there.
    SignIn,
    /// Nothing can be done now.
    Blocked(Blocked),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Blocked {
    /// A person has to sign in, and none is there.
    SignInNeeded,
    /// A sign-in was turned down a short while ago.
    SignInRefused,
    /// A renewal failed a short while ago.
    RenewalFailed,
}

/// Whether role credentials that expire then settle the matter: [`decide`] says [`Decision::Use`] whatever the token, the
/// person and the setbacks are, and nobody needs to look at those.
pub(crate) fn is_settled(now: Timestamp, goal: Goal, role_credentials: Option<Timestamp>) -> bool {
    match (goal, role_credentials) {
        (Goal::RoleCredentials { min_ttl }, Some(end)) => end.since(now) >= ROLE_MARGIN.max(min_ttl),
        _ => false,
    }
}

/// The ladder of design section 7: in hand → renew by token → renew by refresh token → sign in.
pub(crate) fn decide(situation: &Situation) -> Decision {
    let Situation { now, goal, person, setback, .. } = *situation;
    let left = situation.in_hand().map_or(0, |end| end.since(now));
    let can_renew = situation.renewable_at(now);
    let (margin, needed) = match goal {
        Goal::RoleCredentials { min_ttl } => (ROLE_MARGIN.max(min_ttl), min_ttl.max(1)),
        Goal::AccessToken => (TOKEN_MARGIN, 1),
    };
    if left >= margin {
        return Decision::Use;
    }
    let enough = left >= needed;
    match (can_renew, setback) {
        (true, None | Some(Setback::SignInRefused)) if enough => Decision::UseAndRenew,
        (true, None | Some(Setback::SignInRefused)) => Decision::Renew,
        _ if enough => Decision::Use,
        (true, Some(Setback::RenewalFailed)) if left > 0 => Decision::Use,
        (true, Some(Setback::RenewalFailed)) => Decision::Blocked(Blocked::RenewalFailed),
        (false, None) if person => Decision::SignIn,
        // Margins are advisory: what is short but unexpired beats nothing.
        _ if left > 0 => Decision::Use,
        (false, Some(Setback::SignInRefused)) => Decision::Blocked(Blocked::SignInRefused),
        // The service could not be reached for a sign-in, either.
        (false, Some(Setback::RenewalFailed)) if person => Decision::Blocked(Blocked::RenewalFailed),
        (false, _) => Decision::Blocked(Blocked::SignInNeeded),
    }
}

/// When role credentials are renewed for a command that outlives them: `ahead` seconds before their end; half-way where
/// less than twice that is left, so that what is short-lived is not renewed all the time.
pub(crate) fn renew_at(now: Timestamp, end: Timestamp, ahead: i64) -> Timestamp {
    end.plus(-ahead.min(end.since(now) / 2))
}

/// When a shell must ask again although nothing it can see has changed; `None` if only an event can change anything.
///
/// `setback_until` is when the setback in force ends.
pub(crate) fn next_question(
    situation: &Situation,
    decision: Decision,
    setback_until: Option<Timestamp>,
) -> Option<Timestamp> {
    /// Seconds between two looks at credentials that are being renewed in the background.
    const RETRY: i64 = 60;
    let margin = match situation.goal {
        Goal::RoleCredentials { .. } => ROLE_MARGIN,
        Goal::AccessToken => TOKEN_MARGIN,
    };
    match decision {
        Decision::Use | Decision::UseAndRenew => situation.in_hand().map(|end| {
            let renewal = end.plus(-margin);
            let left = end.since(situation.now);
            if renewal > situation.now { renewal } else { situation.now.plus(RETRY.min(left / 2).max(1)) }
        }),
        Decision::Blocked(_) => setback_until,
        // Should the renewal end without a word, it is tried again.
        Decision::Renew => Some(situation.now.plus(RETRY)),
        Decision::SignIn => None,
    }
}

#[cfg(test)]
mod tests {
    use super::Blocked::*;
    use super::Decision::{Blocked, Renew, SignIn, Use, UseAndRenew};
    use super::{
        Decision, Goal, Setback, Situation, Timestamp, TokenInHand, decide, is_settled, next_question, renew_at,
    };
    use proptest::prelude::*;

    const NOW: Timestamp = Timestamp::from_epoch(1_800_000_000);

    fn situation(role: Option<i64>, token: Option<(i64, bool)>, person: bool, setback: Option<Setback>) -> Situation {
        Situation {
            now: NOW,
            goal: Goal::RoleCredentials { min_ttl: 0 },
            role_credentials: role.map(|left| NOW.plus(left)),
            token: token.map(|(left, renewable)| TokenInHand { expires_at: NOW.plus(left), renewable }),
            person,
            setback,
        }
    }

    #[test]
    fn a_command_gets_newer_ones_in_good_time() {
        for (left, expected) in [(3600, 2400), (2400, 1200), (1800, 900), (10, 5), (1, 1), (0, 0), (-60, -30)] {
            assert_eq!(renew_at(NOW, NOW.plus(left), 1200), NOW.plus(expected), "{left} s left");
        }
    }

    #[test]
    fn role_credentials() {
        let refused = Some(Setback::SignInRefused);
        let failed = Some(Setback::RenewalFailed);
        #[rustfmt::skip]
        #[expect(clippy::type_complexity, reason = "a table")]
        let table: &[(Option<i64>, Option<(i64, bool)>, bool, Option<Setback>, Decision)] = &[
            // role left      token (left, renewable)  person  setback  decision
            (Some(3600),      None,                    true,   None,    Use),
            (Some(900),       None,                    false,  None,    Use),
            (Some(899),       Some((3600, true)),      true,   None,    UseAndRenew),
            (Some(899),       Some((3600, false)),     false,  None,    UseAndRenew),
            (Some(899),       Some((0, true)),         false,  None,    UseAndRenew),
            (Some(899),       Some((3600, true)),      true,   failed,  Use),
            (Some(899),       Some((3600, true)),      true,   refused, UseAndRenew),
            (Some(899),       Some((-1, false)),       true,   None,    Use),
            (Some(1),         None,                    true,   None,    Use),
            (Some(0),         Some((3600, false)),     false,  None,    Renew),
            (Some(-5),        Some((-5, true)),        true,   None,    Renew),
            (None,            Some((1, false)),        false,  None,    Renew),
            (None,            Some((-1, true)),        false,  None,    Renew),
            (None,            Some((-1, true)),        false,  refused, Renew),
            (None,            Some((-1, true)),        true,   failed,  Blocked(RenewalFailed)),
            (None,            Some((0, false)),        true,   None,    SignIn),
            (None,            None,                    true,   None,    SignIn),
            (None,            None,                    true,   failed,  Blocked(RenewalFailed)),
            (None,            None,                    true,   refused, Blocked(SignInRefused)),
            (None,            None,                    false,  None,    Blocked(SignInNeeded)),
            (None,            None,                    false,  refused, Blocked(SignInRefused)),
            (Some(-1),        Some((-1, false)),       false,  failed,  Blocked(SignInNeeded)),
        ];
        for (row, (role, token, person, setback, expected)) in table.iter().enumerate() {
            let decision = decide(&situation(*role, *token, *person, *setback));
            assert_eq!(decision, *expected, "row {row}");
        }
    }

    #[test]
    fn a_minimum_time_to_live_renews_or_signs_in_and_else_makes_do() {
        let with = |situation: Situation| Situation { goal: Goal::RoleCredentials { min_ttl: 1800 }, ..situation };
        let renewable = Some((-1, true));
        assert_eq!(decide(&with(situation(Some(1800), None, false, None))), Use);
        assert_eq!(decide(&with(situation(Some(1799), renewable, false, None))), Renew);
        assert_eq!(decide(&with(situation(Some(1799), None, true, None))), SignIn);
        assert_eq!(decide(&with(situation(Some(1799), None, false, None))), Use);
        assert_eq!(decide(&with(situation(Some(60), renewable, false, Some(Setback::RenewalFailed)))), Use);
    }

    #[test]
    fn an_access_token_alone() {
        let with = |situation: Situation| Situation { goal: Goal::AccessToken, ..situation };
        assert_eq!(decide(&with(situation(None, Some((300, false)), false, None))), Use);
        assert_eq!(decide(&with(situation(None, Some((299, true)), false, None))), UseAndRenew);
        assert_eq!(decide(&with(situation(None, Some((299, false)), true, None))), Use);
        assert_eq!(decide(&with(situation(None, Some((0, true)), true, None))), Renew);
        assert_eq!(decide(&with(situation(Some(3600), None, true, None))), SignIn);
        assert_eq!(decide(&with(situation(Some(3600), None, false, None))), Blocked(SignInNeeded));
    }

    #[test]
    fn the_next_question_comes_at_the_margin_and_then_each_minute() {
        let ask = |role| {
            let situation = situation(Some(role), Some((3600, true)), true, None);
            next_question(&situation, decide(&situation), None).map(|at| at.since(NOW))
        };
        assert_eq!(ask(3600), Some(2700));
        assert_eq!(ask(901), Some(1));
        assert_eq!(ask(900), Some(60));
        assert_eq!(ask(600), Some(60));
        assert_eq!(ask(30), Some(15));
        assert_eq!(ask(1), Some(1));
        let blocked = situation(None, None, true, Some(Setback::SignInRefused));
        let until = Some(NOW.plus(500));
        assert_eq!(next_question(&blocked, decide(&blocked), until), until);
    }

    fn any_setback() -> impl Strategy<Value = Option<Setback>> {
        prop_oneof![Just(None), Just(Some(Setback::SignInRefused)), Just(Some(Setback::RenewalFailed))]
    }

    proptest! {
        #[test]
        fn laws(
            role in proptest::option::of(-4000i64..4000),
            token in proptest::option::of((-4000i64..4000, any::<bool>())),
            person: bool, setback in any_setback(), min_ttl in 0i64..4000,
        ) {
            let situation = Situation {
                goal: Goal::RoleCredentials { min_ttl }, ..situation(role, token, person, setback)
            };
            let decision = decide(&situation);
            // Expired credentials are never used, unexpired ones never given up.
            if role.is_none_or(|left| left <= 0) {
                prop_assert!(!matches!(decision, Use | UseAndRenew));
            } else {
                prop_assert!(!matches!(decision, Blocked(_)));
            }
            // Nobody is asked who is not there, or who has just said no.
            if decision == SignIn {
                prop_assert!(person && setback != Some(Setback::SignInRefused));
                // Silent renewal comes first.
                prop_assert!(token.is_none_or(|(left, renewable)| left <= 0 && !renewable));
            }
            // What is settled needs no further look.
            if is_settled(NOW, situation.goal, situation.role_credentials) {
                prop_assert_eq!(decision, Use);
            }
            // The next question is never in the past.
            if let Some(at) = next_question(&situation, decision, None) {
                prop_assert!(at > NOW);
            }
        }
    }
}
