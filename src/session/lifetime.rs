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
    settled: Option<Moment>,
}

/// A point in time, reached as soon as either clock says so: the wall clock covers a suspended machine, the monotonic
/// one a wall clock that was set back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moment {
    wall: Option<SystemTime>,
    monotonic: Option<Instant>,
}

impl Lifetime {
    /// Computes the points for a token that is taken over at `now`; `roll` from 0 to 1 is its jitter.
    pub(crate) fn new(token: &TokenSet, policy: &RefreshPolicy, roll: f64, now: Now) -> Self {
        let at = |time| Moment::at(time, now);
        let Some(end) = token.expiry().time() else {
            return Self { soft: token.refresh_at().map(at), hard: None, end: None, settled: None };
        };
        let issued = token.issued_at().map_or(now.wall, |issued| issued.min(now.wall));
        let whole = end.duration_since(issued).unwrap_or_default();
        let hard_margin = policy.hard_margin.of(whole).min(whole / 2);
        let jitter = policy.soft_jitter.of(whole).mul_f64(roll);
        let soft_margin = policy.soft_margin.of(whole).saturating_add(jitter).min(whole / 20 * 19);
        let (exempt, at_least) = policy.guard_exempt;
        let before = |margin| end.checked_sub(margin).unwrap_or(SystemTime::UNIX_EPOCH);
        Self {
            soft: Some(at(token.refresh_at().unwrap_or_else(|| before(soft_margin)))),
            hard: Some(at(before(hard_margin))),
            end: Some(at(end)),
            // From when the session has it: whoever grants the same token again and again grants no new life.
            settled: Some(Moment::after(
                now,
                exempt.of(end.duration_since(now.wall).unwrap_or_default()).max(at_least),
            )),
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

    /// Whether the token has lived for long enough that the guard does not count its replacement.
    pub(crate) fn is_settled(&self, now: Now) -> bool {
        self.settled.is_some_and(|settled| settled.is_reached(now))
    }

    /// Whether the token has ended, and that by `limit` or longer.
    pub(crate) fn is_over_by(&self, limit: Duration, now: Now) -> bool {
        self.end.is_some_and(|end| end.later(limit).is_reached(now))
    }

    /// How long it is until the token ends.
    pub(crate) fn until_end(&self, now: Now) -> Duration {
        self.end.map_or(Duration::MAX, |end| end.until(now))
    }

    /// How long it is until the soft point; zero where it is reached.
    pub(crate) fn until_soft(&self, now: Now) -> Option<Duration> {
        self.soft.map(|soft| soft.until(now))
    }
}

impl Moment {
    fn at(wall: SystemTime, now: Now) -> Self {
        let ahead = wall.duration_since(now.wall).unwrap_or_default();
        Self { wall: Some(wall), monotonic: now.monotonic.checked_add(ahead) }
    }

    /// So long from now. A time that no clock can show is never reached by that clock.
    pub(crate) fn after(now: Now, wait: Duration) -> Self {
        Self { wall: Some(now.wall), monotonic: Some(now.monotonic) }.later(wait)
    }

    fn later(self, by: Duration) -> Self {
        let monotonic = self.monotonic.and_then(|monotonic| monotonic.checked_add(by));
        Self { wall: self.wall.and_then(|wall| wall.checked_add(by)), monotonic }
    }

    /// By the clock that says sooner.
    pub(crate) fn until(&self, now: Now) -> Duration {
        let wall = self.wall.map(|wall| wall.duration_since(now.wall).unwrap_or_default());
        let monotonic = self.monotonic.map(|monotonic| monotonic.saturating_duration_since(now.monotonic));
        wall.into_iter().chain(monotonic).min().unwrap_or(Duration::MAX)
    }

    pub(crate) fn is_reached(&self, now: Now) -> bool {
        self.wall.is_some_and(|wall| now.wall >= wall)
            || self.monotonic.is_some_and(|monotonic| now.monotonic >= monotonic)
    }
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
