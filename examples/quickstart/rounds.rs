//! The rounds of requests, and what each must cost: exact figures, not "about".

use std::{ops::RangeInclusive, time::Duration};

use tower::BoxError;

use crate::loopback::Counts;

/// How many requests each round sends at once.
pub(crate) const AT_ONCE: usize = 500;

/// In this order.
pub(crate) const ROUNDS: [Round; 10] = [
    Round::First,
    Round::Fresh,
    Round::Soft,
    Round::Hard,
    Round::Expired,
    Round::Expired,
    Round::Fresh,
    Round::Revoked,
    Round::Soft,
    Round::Expired,
];

/// When a round takes place in the life of the token at hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Round {
    /// There is no token yet.
    First,
    /// The token is in the middle of its life.
    Fresh,
    /// Its successor is due; it is still used meanwhile.
    Soft,
    /// It is about to end: requests wait for its successor.
    Hard,
    /// It ended an hour ago.
    Expired,
    /// The server ended it in the middle of its life, and nobody was told.
    Revoked,
}

/// What happened in one round.
pub(crate) struct Seen {
    /// Callers who got the right answer: 2xx, a good envelope, and their own request in it.
    pub(crate) answered: u64,
    /// What the server counted.
    pub(crate) counts: Counts,
    /// The first error of a caller.
    pub(crate) error: Option<BoxError>,
    /// How long it took on this machine.
    pub(crate) took: Duration,
    /// How long the server had run by its own clock.
    pub(crate) age: Duration,
}

/// What must happen in one round.
#[derive(Clone, Debug)]
pub(crate) struct Expected {
    logins: u64,
    refreshes: u64,
    replays: RangeInclusive<u64>,
}

impl Round {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::First => "no token yet",
            Self::Fresh => "fresh token",
            Self::Soft => "past the soft point",
            Self::Hard => "past the hard point",
            Self::Expired => "past expiry",
            Self::Revoked => "revoked by the server",
        }
    }

    /// How old the token is then. A session refreshes from min(60 min, 20 %) before the expiry on, made earlier by up
    /// to 10 % at random, and waits from min(30 s, 5 %) on.
    pub(crate) fn age(self, lifetime: Duration) -> Duration {
        match self {
            Self::First => Duration::ZERO,
            Self::Fresh | Self::Revoked => lifetime / 2,
            Self::Soft => lifetime - Duration::from_secs(3_600).min(lifetime / 5) / 2,
            Self::Hard => lifetime - Duration::from_secs(30).min(lifetime / 20) / 2,
            Self::Expired => lifetime + Duration::from_secs(3_600),
        }
    }

    pub(crate) fn expected(self, renews_expired: bool, renewal_ends_old: bool, at_once: usize) -> Expected {
        let (logins, refreshes) = match self {
            Self::First => (1, 0),
            Self::Fresh => (0, 0),
            Self::Soft | Self::Hard => (0, 1),
            Self::Expired | Self::Revoked if renews_expired => (0, 1),
            Self::Expired | Self::Revoked => (1, 0),
        };
        let (all, at_once) = (AT_ONCE as u64, at_once as u64);
        let replays = match self {
            // The server answers nobody before this many are under way, all with the dead token. Whoever is not yet
            // under way waits for the next one.
            Self::Revoked => at_once..=all,
            // Whoever is under way while the old token is replaced is refused, and nobody else.
            Self::Soft if renewal_ends_old => 0..=all,
            _ => 0..=0,
        };
        Expected { logins, refreshes, replays }
    }
}

impl Seen {
    /// Requests that were sent again: those that the server got beyond those that callers made.
    pub(crate) fn replays(&self) -> u64 {
        self.counts.api_requests.saturating_sub(AT_ONCE as u64)
    }

    /// The figures that are not as expected.
    pub(crate) fn wrong(&self, expected: &Expected) -> Vec<String> {
        let all = AT_ONCE as u64;
        let counts = self.counts;
        let exact = [
            ("requests answered", self.answered, all),
            ("requests accepted by the server", counts.accepted, all),
            ("logins", counts.logins, expected.logins),
            ("refreshes", counts.refreshes, expected.refreshes),
            ("requests that reached the server", counts.api_requests, all + counts.rejected),
            ("refused logins and refreshes", counts.refused_token_calls, 0),
            ("double-spent refresh tokens", counts.double_spent, 0),
        ];
        let mut wrong: Vec<_> = exact
            .into_iter()
            .filter(|(_, seen, expected)| seen != expected)
            .map(|(what, seen, expected)| format!("{what}: {seen} instead of {expected}"))
            .collect();
        if !expected.replays.contains(&self.replays()) {
            wrong.push(format!("replays: {} instead of {:?}", self.replays(), expected.replays));
        }
        wrong
    }
}
