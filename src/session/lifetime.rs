//! The points in a token's life, on both clocks.

use std::time::{Duration, Instant, SystemTime};

use crate::{clock::Now, session::policy::RefreshPolicy, token::TokenSet};

/// How far a token is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Freshness {
    /// Used as it is.
    Fresh,
    /// Used, while its successor is fetched.
    Soft,
    /// Still valid, but requests wait for its successor.
    Hard,
    /// Of no use.
    Expired,
}

/// When one token changes from one [`Freshness`] to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lifetime {
    soft: Option<Moment>,
    hard: Option<Moment>,
    end: Option<Moment>,
    half: Option<Moment>,
}

/// A point in time, reached as soon as either clock says so: the wall clock covers a suspended machine, the monotonic
/// one a wall clock that was set back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Moment {
    wall: SystemTime,
    monotonic: Option<Instant>,
}

/// The longest default margins.
const HARD: Duration = Duration::from_secs(30);
const SOFT: Duration = Duration::from_secs(60 * 60);

impl Lifetime {
    /// Computes the points for a token that is taken over at `now`; `roll` from 0 to 1 is its jitter.
    pub(crate) fn new(token: &TokenSet, policy: &RefreshPolicy, roll: f64, now: Now) -> Self {
        let at = |time| Moment::at(time, now);
        let Some(end) = token.expiry().time() else {
            return Self { soft: token.refresh_at().map(at), hard: None, end: None, half: None };
        };
        let issued = token.issued_at().map_or(now.wall, |issued| issued.min(now.wall));
        let whole = end.duration_since(issued).unwrap_or_default();
        let hard_margin = policy.hard_margin.unwrap_or_else(|| HARD.min(whole / 20)).min(whole / 2);
        let soft_margin = policy.soft_margin.unwrap_or_else(|| SOFT.min(whole / 5)) + whole.mul_f64(roll / 10.0);
        let soft_margin = soft_margin.min(whole / 20 * 19);
        let before = |margin| end.checked_sub(margin).unwrap_or(SystemTime::UNIX_EPOCH);
        Self {
            soft: Some(at(token.refresh_at().unwrap_or_else(|| before(soft_margin)))),
            hard: Some(at(before(hard_margin))),
            end: Some(at(end)),
            half: issued.checked_add((whole / 2).max(Duration::from_secs(1))).map(at),
        }
    }

    pub(crate) fn at(&self, now: Now) -> Freshness {
        let reached = |moment: Option<Moment>| moment.is_some_and(|moment| moment.is_reached(now));
        if reached(self.end) {
            Freshness::Expired
        } else if reached(self.hard) {
            Freshness::Hard
        } else if reached(self.soft) {
            Freshness::Soft
        } else {
            Freshness::Fresh
        }
    }

    /// Whether the token has lived for half of its lifetime, and for a second at least.
    pub(crate) fn is_half_over(&self, now: Now) -> bool {
        self.half.is_some_and(|half| half.is_reached(now))
    }
}

impl Moment {
    fn at(wall: SystemTime, now: Now) -> Self {
        let ahead = wall.duration_since(now.wall).unwrap_or_default();
        Self { wall, monotonic: now.monotonic.checked_add(ahead) }
    }

    fn is_reached(&self, now: Now) -> bool {
        now.wall >= self.wall || self.monotonic.is_some_and(|monotonic| now.monotonic >= monotonic)
    }
}

/// `now`, its wall clock at least as far ahead of `asked` as the monotonic one: a lifetime that counts from `asked` does
/// not grow when the wall clock is set back before the answer comes.
pub(crate) fn later(asked: Now, now: Now) -> Now {
    let passed = now.monotonic.saturating_duration_since(asked.monotonic);
    Now { wall: asked.wall.checked_add(passed).map_or(now.wall, |wall| wall.max(now.wall)), ..now }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::Expiry;

    const START: Duration = Duration::from_secs(1_700_000_000);

    fn start() -> Now {
        #[allow(clippy::disallowed_methods, reason = "any instant serves as the origin of the test's monotonic clock")]
        Now { wall: SystemTime::UNIX_EPOCH + START, monotonic: Instant::now() }
    }

    fn after(now: Now, passed: Duration) -> Now {
        Now { wall: now.wall + passed, monotonic: now.monotonic + passed }
    }

    fn token(now: Now, whole: Duration) -> TokenSet {
        TokenSet::new("t").with_issued_at(now.wall).with_expiry(Expiry::At(now.wall + whole))
    }

    #[test]
    fn each_point_is_reached_at_its_millisecond_and_not_one_before() {
        let (now, ms) = (start(), Duration::from_millis(1));
        let whole = Duration::from_secs(7200);
        // min(60 min, 20 %) = 1440 s, jitter 5 % = 360 s; min(30 s, 5 %) = 30 s.
        let life = Lifetime::new(&token(now, whole), &RefreshPolicy::new(), 0.5, now);
        for (point, before, from) in [
            (whole - Duration::from_secs(1800), Freshness::Fresh, Freshness::Soft),
            (whole - Duration::from_secs(30), Freshness::Soft, Freshness::Hard),
            (whole, Freshness::Hard, Freshness::Expired),
        ] {
            assert_eq!(life.at(after(now, point - ms)), before);
            assert_eq!(life.at(after(now, point)), from);
            assert_eq!(life.at(after(now, point + ms)), from);
        }
    }

    #[test]
    fn the_jitter_stays_between_nothing_and_a_tenth_of_the_lifetime() {
        let now = start();
        let whole = Duration::from_secs(1000);
        for (roll, soft) in [(0.0, 800), (1.0, 700)] {
            let life = Lifetime::new(&token(now, whole), &RefreshPolicy::new(), roll, now);
            assert_eq!(life.at(after(now, Duration::from_millis(soft * 1000 - 1))), Freshness::Fresh);
            assert_eq!(life.at(after(now, Duration::from_secs(soft))), Freshness::Soft);
        }
    }

    #[test]
    fn a_refresh_time_of_the_provider_overrides_the_computed_soft_point() {
        let now = start();
        let asked = token(now, Duration::from_secs(1000)).with_refresh_at(now.wall + Duration::from_secs(100));
        let life = Lifetime::new(&asked, &RefreshPolicy::new(), 1.0, now);
        assert_eq!(life.at(after(now, Duration::from_millis(99_999))), Freshness::Fresh);
        assert_eq!(life.at(after(now, Duration::from_secs(100))), Freshness::Soft);
    }

    #[test]
    fn a_token_of_unknown_expiry_stays_fresh() {
        let now = start();
        for expiry in [Expiry::Unknown, Expiry::Never] {
            let life = Lifetime::new(&TokenSet::new("t").with_expiry(expiry), &RefreshPolicy::new(), 1.0, now);
            assert_eq!(life.at(after(now, Duration::from_secs(1_000_000_000))), Freshness::Fresh);
        }
    }

    #[test]
    fn either_clock_alone_ends_a_token() {
        let now = start();
        let life = Lifetime::new(&token(now, Duration::from_secs(10)), &RefreshPolicy::new(), 0.0, now);
        let passed = Duration::from_secs(10);
        let suspended = Now { wall: now.wall + passed, ..now };
        let stepped_back = Now { wall: now.wall - passed, monotonic: now.monotonic + passed };
        assert_eq!(life.at(suspended), Freshness::Expired);
        assert_eq!(life.at(stepped_back), Freshness::Expired);
    }

    #[test]
    fn margins_never_eat_a_short_life() {
        let now = start();
        let hour = Duration::from_secs(3600);
        let policy = RefreshPolicy::new().hard_margin(hour).and_then(|policy| policy.soft_margin(hour)).unwrap();
        let life = Lifetime::new(&token(now, Duration::from_millis(100)), &policy, 1.0, now);
        for (millis, expected) in [
            (4, Freshness::Fresh),
            (5, Freshness::Soft),
            (49, Freshness::Soft),
            (50, Freshness::Hard),
            (99, Freshness::Hard),
            (100, Freshness::Expired),
        ] {
            assert_eq!(life.at(after(now, Duration::from_millis(millis))), expected, "at {millis} ms");
        }
    }
}
