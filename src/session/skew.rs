//! How far a server's clock is from this machine's, learned from the `Date` of its answers.

use std::time::{Duration, SystemTime};

use http::{
    HeaderMap,
    header::{AGE, DATE},
};

use crate::clock::Now;

/// What must be added to this machine's wall clock, or taken from it, to get the server's. One of the two is zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Skew {
    ahead: Duration,
    behind: Duration,
}

/// What the `Date` of an answer tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Dated {
    /// When the server wrote it, cut to whole seconds.
    pub(crate) date: SystemTime,
    pub(crate) skew: Skew,
}

impl Dated {
    /// The `Date` of an answer to a request that was sent and answered at these times, both by this machine's clock and
    /// the first no later than the second.
    ///
    /// It says when the server wrote it, which was some time in between. So it leaves a range of possible skews, and
    /// what is `known` is moved no further than into it: not at all, unless it must be wrong.
    pub(crate) fn of(headers: &HeaderMap, sent: SystemTime, answered: SystemTime, known: Skew) -> Option<Self> {
        let date = date(headers)?;
        let (least, most) = (between(answered, date), between(sent, date.checked_add(Duration::from_secs(1))?));
        Some(Self { date, skew: Skew::from_nanos(known.nanos().clamp(least, most.max(least))) })
    }
}

/// The `Date` of an answer. Not where there is an `Age`: a cache's copy is dated by when it was made
/// ([RFC 9111, section 5.1](https://www.rfc-editor.org/rfc/rfc9111#section-5.1)).
pub(crate) fn date(headers: &HeaderMap) -> Option<SystemTime> {
    if headers.contains_key(AGE) {
        return None;
    }
    httpdate::parse_http_date(headers.get(DATE)?.to_str().ok()?).ok()
}

impl Skew {
    /// The server's time, as far as it is known, when this machine's clocks show `now`. Each request asks.
    pub(crate) fn correct(self, now: Now) -> Now {
        Now { wall: shift(now.wall, self.ahead, self.behind), ..now }
    }

    /// What this machine's clock shows at the server's time `now`.
    pub(crate) fn undo(self, now: Now) -> Now {
        Now { wall: shift(now.wall, self.behind, self.ahead), ..now }
    }

    fn from_nanos(nanos: i128) -> Self {
        let by = nanos.unsigned_abs();
        let seconds = u64::try_from(by / NANOS).unwrap_or(u64::MAX);
        let by = Duration::new(seconds, u32::try_from(by % NANOS).unwrap_or_default());
        if nanos < 0 { Self { behind: by, ..Self::default() } } else { Self { ahead: by, ..Self::default() } }
    }

    fn nanos(self) -> i128 {
        nanos(self.ahead) - nanos(self.behind)
    }
}

/// In a second.
const NANOS: u128 = 1_000_000_000;

/// Every duration fits: it has fewer than 2^94 nanoseconds.
fn nanos(time: Duration) -> i128 {
    i128::try_from(time.as_nanos()).unwrap_or(i128::MAX)
}

/// From `earlier` to `later`, in nanoseconds.
fn between(earlier: SystemTime, later: SystemTime) -> i128 {
    later.duration_since(earlier).map_or_else(|before| -nanos(before.duration()), nanos)
}

fn shift(wall: SystemTime, forward: Duration, back: Duration) -> SystemTime {
    wall.checked_add(forward).and_then(|wall| wall.checked_sub(back)).unwrap_or(wall)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    const DATE_SECONDS: u64 = 1_750_000_000;

    fn dated() -> HeaderMap {
        let date = httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + Duration::from_secs(DATE_SECONDS));
        HeaderMap::from_iter([(DATE, HeaderValue::try_from(date).unwrap())])
    }

    /// `sent` and `answered` are seconds from the date.
    fn learn(headers: &HeaderMap, sent: f64, answered: f64) -> Option<Skew> {
        learn_from(Skew::default(), headers, sent, answered)
    }

    fn learn_from(known: Skew, headers: &HeaderMap, sent: f64, answered: f64) -> Option<Skew> {
        let at = |seconds: f64| SystemTime::UNIX_EPOCH + Duration::from_secs_f64(DATE_SECONDS as f64 + seconds);
        Dated::of(headers, at(sent), at(answered), known).map(|dated| dated.skew)
    }

    const MINUTE: Skew = Skew { ahead: Duration::from_secs(60), behind: Duration::ZERO };
    const MINUTE_BEHIND: Skew = Skew { ahead: Duration::ZERO, behind: Duration::from_secs(60) };

    #[test]
    fn clocks_that_may_agree_need_no_correction() {
        for (sent, answered) in [(0.0, 0.5), (0.9, 0.99), (-20.0, 3.0), (-1.0, 0.0), (1.0, 2.0)] {
            assert_eq!(learn(&dated(), sent, answered), Some(Skew::default()), "{sent} {answered}");
        }
    }

    #[test]
    fn a_clock_that_must_be_wrong_is_corrected_by_the_least() {
        assert_eq!(learn(&dated(), -62.0, -60.0), Some(MINUTE));
        assert_eq!(learn(&dated(), 61.0, 65.0), Some(MINUTE_BEHIND));
    }

    #[test]
    fn a_correction_that_may_be_right_stays_however_long_the_answer_was_on_its_way() {
        for (sent, answered) in [(-60.0, -60.0), (-62.0, -58.0), (-61.0, 7200.0)] {
            assert_eq!(learn_from(MINUTE, &dated(), sent, answered), Some(MINUTE), "{sent} {answered}");
        }
        for (sent, answered) in [(60.0, 60.0), (58.0, 62.0), (-10.0, 7200.0)] {
            assert_eq!(learn_from(MINUTE_BEHIND, &dated(), sent, answered), Some(MINUTE_BEHIND), "{sent} {answered}");
        }
        assert_eq!(
            learn_from(MINUTE, &dated(), 0.0, 0.0),
            Some(Skew { ahead: Duration::from_secs(1), ..Skew::default() }),
            "a second is left open"
        );
    }

    #[test]
    fn a_cached_an_undated_and_an_unreadable_answer_tell_nothing() {
        let mut headers = dated();
        headers.insert(AGE, HeaderValue::from_static("0"));
        assert_eq!(learn(&headers, -62.0, -60.0), None);
        assert_eq!(learn(&HeaderMap::new(), -62.0, -60.0), None);
        let mut headers = dated();
        headers.insert(DATE, HeaderValue::from_static("yesterday"));
        assert_eq!(learn(&headers, -62.0, -60.0), None);
    }

    #[test]
    fn a_correction_can_be_undone() {
        #[allow(clippy::disallowed_methods, reason = "any instant serves as the origin of the test's monotonic clock")]
        let now = Now { wall: SystemTime::UNIX_EPOCH, monotonic: std::time::Instant::now() };
        for (skew, wall) in
            [(MINUTE, now.wall + Duration::from_secs(60)), (MINUTE_BEHIND, now.wall - Duration::from_secs(60))]
        {
            assert_eq!(skew.correct(now).wall, wall);
            assert_eq!(skew.undo(skew.correct(now)), now);
        }
    }
}
