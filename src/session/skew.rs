//! How far a server's clock is from this machine's, learned from the `Date` of its answers.

use std::time::{Duration, SystemTime};

use http::{
    HeaderMap,
    header::{AGE, DATE},
};

use crate::clock::Now;

/// What must be added to this machine's wall clock, or taken from it, to get the server's.
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
    /// It says when the server wrote it, which was some time in between. So it leaves a range of possible skews, and the
    /// smallest of them is taken: none at all, unless the clocks must differ.
    pub(crate) fn of(headers: &HeaderMap, sent: SystemTime, answered: SystemTime) -> Option<Self> {
        let date = date(headers)?;
        let ahead = date.duration_since(answered).unwrap_or_default();
        let behind = sent.duration_since(date.checked_add(Duration::from_secs(1))?).unwrap_or_default();
        Some(Self { date, skew: Skew { ahead, behind } })
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
    /// The server's time, as far as it is known, when this machine's clocks show `now`.
    pub(crate) fn correct(self, now: Now) -> Now {
        Now { wall: shift(now.wall, self.ahead, self.behind), ..now }
    }

    /// What this machine's clock shows at the server's time `now`.
    pub(crate) fn undo(self, now: Now) -> Now {
        Now { wall: shift(now.wall, self.behind, self.ahead), ..now }
    }
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
        let at = |seconds: f64| SystemTime::UNIX_EPOCH + Duration::from_secs_f64(DATE_SECONDS as f64 + seconds);
        Dated::of(headers, at(sent), at(answered)).map(|dated| dated.skew)
    }

    #[test]
    fn clocks_that_may_agree_need_no_correction() {
        for (sent, answered) in [(0.0, 0.5), (0.9, 0.99), (-20.0, 3.0), (-1.0, 0.0), (1.0, 2.0)] {
            assert_eq!(learn(&dated(), sent, answered), Some(Skew::default()), "{sent} {answered}");
        }
    }

    #[test]
    fn a_clock_that_must_be_wrong_is_corrected_by_the_least() {
        let minute = Duration::from_secs(60);
        assert_eq!(learn(&dated(), -62.0, -60.0), Some(Skew { ahead: minute, ..Skew::default() }));
        assert_eq!(learn(&dated(), 61.0, 65.0), Some(Skew { behind: minute, ..Skew::default() }));
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
        let skew = Skew { ahead: Duration::from_secs(60), behind: Duration::ZERO };
        assert_eq!(skew.correct(now).wall, now.wall + Duration::from_secs(60));
        assert_eq!(skew.undo(skew.correct(now)), now);
    }
}
