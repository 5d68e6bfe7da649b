//! The numbers by which a session decides, each with its default and its range.

mod check;

pub use check::InvalidPolicy;

use std::time::Duration;

use crate::inspect::ReadLimit;
use check::{at_most_a_year, not_zero, percentage};

/// When a session refreshes, how long it waits, how often it tries, and how much it reads.
///
/// Whatever is set is checked where it is given. No time may be longer than a year: beyond it, it is a mistake of
/// units.
///
/// ```
/// use std::time::Duration;
/// use tower_auth_refresh::session::RefreshPolicy;
///
/// # fn main() -> Result<(), tower_auth_refresh::session::InvalidPolicy> {
/// let policy = RefreshPolicy::new()
///     .soft_margin(Duration::from_secs(600))?
///     .flight_deadline(Duration::from_secs(10))?;
/// # let _ = policy;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct RefreshPolicy {
    pub(crate) soft_margin: Margin,
    pub(crate) soft_jitter: Share,
    pub(crate) hard_margin: Margin,
    pub(crate) flight_deadline: Duration,
    pub(crate) backoff_min: Duration,
    pub(crate) backoff_max: Duration,
    backoff_max_without_token: Duration,
    pub(crate) retry_after_max: Duration,
    pub(crate) guard_flights: usize,
    pub(crate) guard_window: Duration,
    pub(crate) guard_exempt: (Share, Duration),
    pub(crate) serve_expired: Duration,
    pub(crate) replays: u8,
    pub(crate) token_answer_limit: usize,
    pub(crate) judged_body: ReadLimit,
    pub(crate) rejected_answer: ReadLimit,
    pub(crate) store_timeout: Duration,
    refresh_without_store: Option<bool>,
    roll: fn() -> f64,
}

/// A time before a token's end: so long, but no more than a share of the lifetime.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Margin {
    longest: Duration,
    share: Share,
}

/// A share of a lifetime, in percent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Share(u8);

/// What the guard may have to remember.
const MOST_FLIGHTS: usize = 10_000;

impl RefreshPolicy {
    /// The documented defaults.
    #[must_use]
    pub fn new() -> Self {
        Self {
            soft_margin: Margin::SOFT,
            soft_jitter: Share(10),
            hard_margin: Margin::HARD,
            flight_deadline: Duration::from_secs(30),
            backoff_min: Duration::from_secs(1),
            backoff_max: Duration::from_secs(5 * 60),
            backoff_max_without_token: Duration::from_secs(30),
            retry_after_max: Duration::from_secs(60 * 60),
            guard_flights: 5,
            guard_window: Duration::from_secs(30),
            guard_exempt: (Share(50), Duration::from_secs(1)),
            serve_expired: Duration::ZERO,
            store_timeout: Duration::from_secs(3),
            refresh_without_store: None,
            replays: 1,
            token_answer_limit: 1024 * 1024,
            judged_body: ReadLimit::default(),
            rejected_answer: ReadLimit::default(),
            roll: fastrand::f64,
        }
    }

    // ===== when a token is renewed =====

    /// How long before its expiry a token is refreshed while it is still used. The
    /// [jitter](Self::soft_jitter) makes it earlier, and never does it exceed 95 % of the lifetime. Default: 60 min or
    /// 20 % of the lifetime, whichever is less.
    ///
    /// # Errors
    /// When it is longer than a year, or shorter than a hard margin that was set before.
    pub fn soft_margin(self, margin: Duration) -> Result<Self, InvalidPolicy> {
        self.soft_margin_share(margin, 100)
    }

    /// The same as a share of the lifetime: so many percent of it, and no longer than `longest`.
    ///
    /// # Errors
    /// When `longest` is longer than a year, `percent` is more than 100, or no token can have a soft window with the hard
    /// margin that was set before.
    pub fn soft_margin_share(mut self, longest: Duration, percent: u8) -> Result<Self, InvalidPolicy> {
        self.soft_margin = Margin::new("soft_margin", longest, percent)?;
        self.margins_in_order("soft_margin")
    }

    /// How much earlier the soft point may be, in percent of the lifetime: rolled once per token, so that many
    /// sessions do not refresh at once. Default: 10.
    ///
    /// # Errors
    /// When it is more than 100.
    pub fn soft_jitter(mut self, percent: u8) -> Result<Self, InvalidPolicy> {
        self.soft_jitter = Share(percentage("soft_jitter", percent)?);
        Ok(self)
    }

    /// How long before its expiry requests wait for the next token; never more than half of the lifetime. Default:
    /// 30 s or 5 % of the lifetime, whichever is less. A token whose hard point comes before its soft one has no soft window:
    /// its requests wait.
    ///
    /// # Errors
    /// When it is longer than a year, or longer than a soft margin that was set before.
    pub fn hard_margin(self, margin: Duration) -> Result<Self, InvalidPolicy> {
        self.hard_margin_share(margin, 100)
    }

    /// The same as a share of the lifetime: so many percent of it, and no longer than `longest`.
    ///
    /// # Errors
    /// When `longest` is longer than a year, `percent` is more than 100, or no token can have a soft window with the soft
    /// margin that was set before.
    pub fn hard_margin_share(mut self, longest: Duration, percent: u8) -> Result<Self, InvalidPolicy> {
        self.hard_margin = Margin::new("hard_margin", longest, percent)?;
        self.margins_in_order("hard_margin")
    }

    /// For how long after its expiry a token is still sent while the token endpoint cannot be reached, fails, or sends
    /// what cannot be read, as `stale-if-error` does it for caches
    /// ([RFC 5861, section 4](https://www.rfc-editor.org/rfc/rfc5861#section-4)): for an API that takes tokens a little
    /// longer than it says. The limit counts from the expiry; a few minutes are plenty. Each request waits for the flight
    /// first, where one may start, and [`token`](crate::Session::token) gives the expired set out as well. Nothing but
    /// [`status`](crate::Session::status) shows it: `Failing`, with an `expires_at` that has passed. A token that the API
    /// has rejected is not sent, and a refused refresh is no outage. Default: zero, which means never.
    ///
    /// # Errors
    /// When it is longer than a year.
    pub fn serve_expired(mut self, limit: Duration) -> Result<Self, InvalidPolicy> {
        self.serve_expired = at_most_a_year("serve_expired", limit)?;
        Ok(self)
    }

    // ===== how often it is tried =====

    /// How long a login or refresh may take, all in all. It is the flight's own: no request's timeout shortens it.
    /// Default: 30 s.
    ///
    /// # Errors
    /// When it is zero or longer than a year.
    pub fn flight_deadline(mut self, deadline: Duration) -> Result<Self, InvalidPolicy> {
        self.flight_deadline = at_most_a_year("flight_deadline", not_zero("flight_deadline", deadline)?)?;
        Ok(self)
    }

    /// The first and the longest backoff after transient failures, with full jitter and doubling between them. One that
    /// is shorter than the [guard](Self::guard)'s window divided by its flights meets the guard first: requests then
    /// fail with [`TooManyRefreshes`](crate::error::ErrorKind::TooManyRefreshes) until the window has passed.
    /// Default: 1 s and 5 min.
    ///
    /// # Errors
    /// When the first is zero or longer than the longest, or the longest is longer than a year.
    pub fn backoff(mut self, first: Duration, longest: Duration) -> Result<Self, InvalidPolicy> {
        not_zero("backoff", first)?;
        at_most_a_year("backoff", longest)?;
        if first > longest {
            return Err(InvalidPolicy::new("backoff", "must not begin with more than its longest"));
        }
        self.backoff_min = first;
        self.backoff_max = longest;
        Ok(self)
    }

    /// The longest backoff while there is no usable token and every request fails: no less than the first, and no more
    /// than the longest [backoff](Self::backoff). Default: 30 s.
    ///
    /// # Errors
    /// When it is zero or longer than a year.
    pub fn backoff_without_token(mut self, longest: Duration) -> Result<Self, InvalidPolicy> {
        self.backoff_max_without_token =
            at_most_a_year("backoff_without_token", not_zero("backoff_without_token", longest)?)?;
        Ok(self)
    }

    /// The longest `Retry-After` of the token endpoint that is obeyed; a longer one counts as this. Default: 1 h.
    ///
    /// # Errors
    /// When it is zero or longer than a year.
    pub fn retry_after_max(mut self, longest: Duration) -> Result<Self, InvalidPolicy> {
        self.retry_after_max = at_most_a_year("retry_after_max", not_zero("retry_after_max", longest)?)?;
        Ok(self)
    }

    /// How many flights may start within `window`. With 0 a token is never refreshed; a first login stays possible.
    /// Default: 5 in 30 s.
    ///
    /// # Errors
    /// When the window is zero or longer than a year, or there are more than 10 000 flights: each is remembered.
    pub fn guard(mut self, flights: usize, window: Duration) -> Result<Self, InvalidPolicy> {
        if flights > MOST_FLIGHTS {
            return Err(InvalidPolicy::new("guard", "must not be more than 10000 flights"));
        }
        self.guard_window = at_most_a_year("guard", not_zero("guard", window)?)?;
        self.guard_flights = flights;
        Ok(self)
    }

    /// From when on the guard does not count a flight, unless the last one has failed: when the session has had the token
    /// that it replaces for so many percent of the lifetime that was left then, and for `at_least` this long. Default: 50
    /// and 1 s.
    ///
    /// # Errors
    /// When `percent` is more than 100, or `at_least` is zero, which would let tokens that are born dead be renewed
    /// without end, or longer than a year.
    pub fn guard_exempt_after(mut self, percent: u8, at_least: Duration) -> Result<Self, InvalidPolicy> {
        let at_least = at_most_a_year("guard_exempt_after", not_zero("guard_exempt_after", at_least)?)?;
        self.guard_exempt = (Share(percentage("guard_exempt_after", percent)?), at_least);
        Ok(self)
    }

    /// How often a rejected request is sent again, where a
    /// [layer](crate::AuthRefreshLayer::replays) does not say otherwise. With 0 a rejection causes a refresh and no
    /// replay. Default: 1.
    #[must_use]
    pub fn replays(mut self, replays: u8) -> Self {
        self.replays = replays;
        self
    }

    /// Where jitter comes from: a number from 0 to 1, rolled once per token and once per backoff. Default: random.
    #[must_use]
    pub fn jitter(mut self, roll: fn() -> f64) -> Self {
        self.roll = roll;
        self
    }

    // ===== with a store =====

    /// How long one call of the [store](crate::store::TokenStore) may take, and the storing of a grant all in all. Default: 3 s,
    /// which leaves a lease of 10 s alive while one call is lost: a lease should last for three times as long. It is never more
    /// than half of the [flight's deadline](Self::flight_deadline).
    ///
    /// # Errors
    /// When it is zero or longer than a year.
    pub fn store_timeout(mut self, limit: Duration) -> Result<Self, InvalidPolicy> {
        self.store_timeout = at_most_a_year("store_timeout", not_zero("store_timeout", limit)?)?;
        Ok(self)
    }

    /// Whether a login or refresh may go on while the store cannot be used: without a lease, and although the last token
    /// set has not been stored yet. Whoever says `true` for single-use refresh tokens accepts that two processes spend the
    /// same one, which signs the account out with most servers. Default: only where refresh tokens may be used
    /// [more than once](crate::Provider::single_use).
    #[must_use]
    pub fn refresh_without_store(mut self, allow: bool) -> Self {
        self.refresh_without_store = Some(allow);
        self
    }

    // ===== how much is read =====

    /// How long a token answer may be, in bytes; a longer one is malformed. Default: 1 MiB, and the providers of this crate
    /// read no more.
    ///
    /// # Errors
    /// When it is zero.
    pub fn token_answer_limit(mut self, bytes: usize) -> Result<Self, InvalidPolicy> {
        if bytes == 0 {
            return Err(InvalidPolicy::new("token_answer_limit", "must not be zero"));
        }
        self.token_answer_limit = bytes;
        Ok(self)
    }

    /// How far a body is read ahead, where the provider asks for it, to find a rejection: in bytes, and from the moment
    /// on which it makes the reader wait. What is longer passes as accepted. Default: 64 KiB and 1 s.
    ///
    /// # Errors
    /// When one of them is zero: then no rejection would be found. When the time is longer than a year.
    pub fn judged_body(mut self, bytes: u64, time: Duration) -> Result<Self, InvalidPolicy> {
        self.judged_body = bounds("judged_body", bytes, time)?;
        Ok(self)
    }

    /// How far a rejected answer is read while the token is renewed, so that its HTTP/1 connection or HTTP/2 stream is
    /// free for the replay: in bytes, and from the moment on which it makes the reader wait. Default: 64 KiB and 1 s.
    ///
    /// # Errors
    /// When one of them is zero, or the time is longer than a year.
    pub fn rejected_answer(mut self, bytes: u64, time: Duration) -> Result<Self, InvalidPolicy> {
        self.rejected_answer = bounds("rejected_answer", bytes, time)?;
        Ok(self)
    }

    /// How long one call of a store may take: a flight must have time left for what it does then.
    pub(crate) fn store_call(&self) -> Duration {
        self.store_timeout.min(self.flight_deadline / 2)
    }

    pub(crate) fn may_go_on_without_store(&self, single_use: bool) -> bool {
        self.refresh_without_store.unwrap_or(!single_use)
    }

    pub(crate) fn roll(&self) -> f64 {
        let roll = (self.roll)();
        if roll.is_nan() { 0.0 } else { roll.clamp(0.0, 1.0) }
    }

    /// The longest backoff, with a usable token at hand or without one.
    pub(crate) fn longest_backoff(&self, usable: bool) -> Duration {
        if usable { self.backoff_max } else { self.backoff_max_without_token.clamp(self.backoff_min, self.backoff_max) }
    }

    /// Where both margins were set, the soft one must be able to be the longer: else no token has a soft window. (The hard
    /// one ends at half of the lifetime, which is no reason to take plain times in the wrong order.)
    fn margins_in_order(self, setting: &'static str) -> Result<Self, InvalidPolicy> {
        let (soft, hard) = (self.soft_margin, self.hard_margin);
        let are_set = soft != Margin::SOFT && hard != Margin::HARD;
        let are_fixed = soft.share == Share(100) && hard.share == Share(100);
        let is_never_longer = soft.longest <= hard.longest && soft.share <= hard.share.min(Share(50));
        if are_set && (is_never_longer || (are_fixed && soft.longest < hard.longest)) {
            return Err(InvalidPolicy::new(
                setting,
                "leaves no soft window: the soft margin is never longer than the hard one",
            ));
        }
        Ok(self)
    }
}

impl Default for RefreshPolicy {
    fn default() -> Self {
        Self::new()
    }
}

impl Margin {
    const SOFT: Self = Self { longest: Duration::from_secs(60 * 60), share: Share(20) };
    const HARD: Self = Self { longest: Duration::from_secs(30), share: Share(5) };

    fn new(setting: &'static str, longest: Duration, percent: u8) -> Result<Self, InvalidPolicy> {
        Ok(Self { longest: at_most_a_year(setting, longest)?, share: Share(percentage(setting, percent)?) })
    }

    pub(crate) fn of(self, lifetime: Duration) -> Duration {
        self.longest.min(self.share.of(lifetime))
    }
}

impl Share {
    pub(crate) fn of(self, lifetime: Duration) -> Duration {
        lifetime / 100 * u32::from(self.0)
    }
}

fn bounds(setting: &'static str, bytes: u64, time: Duration) -> Result<ReadLimit, InvalidPolicy> {
    if bytes == 0 {
        return Err(InvalidPolicy::new(setting, "must not be zero"));
    }
    Ok(ReadLimit { bytes, time: at_most_a_year(setting, not_zero(setting, time)?)? })
}
