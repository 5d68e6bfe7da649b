//! The numbers by which a session decides, each with its default and its range.

use std::{fmt, time::Duration};

/// When a session refreshes, how long it waits, and how often it tries.
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
    pub(crate) soft_margin: Option<Duration>,
    pub(crate) hard_margin: Option<Duration>,
    pub(crate) flight_deadline: Duration,
    pub(crate) backoff_min: Duration,
    pub(crate) backoff_max: Duration,
    pub(crate) backoff_max_without_token: Duration,
    pub(crate) retry_after_max: Duration,
    pub(crate) guard_flights: usize,
    pub(crate) guard_window: Duration,
    pub(crate) roll: fn() -> f64,
}

/// A setting that makes no sense, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidPolicy {
    setting: &'static str,
    reason: &'static str,
}

/// No setting is longer than this: beyond it, it is a mistake of units.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 60 * 60);

impl RefreshPolicy {
    /// The documented defaults.
    #[must_use]
    pub fn new() -> Self {
        Self {
            soft_margin: None,
            hard_margin: None,
            flight_deadline: Duration::from_secs(30),
            backoff_min: Duration::from_secs(1),
            backoff_max: Duration::from_secs(5 * 60),
            backoff_max_without_token: Duration::from_secs(30),
            retry_after_max: Duration::from_secs(60 * 60),
            guard_flights: 5,
            guard_window: Duration::from_secs(30),
            roll: fastrand::f64,
        }
    }

    /// How long before its expiry a token is refreshed while it is still used. A jitter of up to 10 % of the lifetime
    /// makes it earlier, and never does it exceed 95 % of the lifetime. Default: 60 min or 20 % of the lifetime,
    /// whichever is less.
    ///
    /// # Errors
    /// When it is longer than a year.
    pub fn soft_margin(mut self, margin: Duration) -> Result<Self, InvalidPolicy> {
        self.soft_margin = Some(at_most_a_year("soft_margin", margin)?);
        Ok(self)
    }

    /// How long before its expiry requests wait for the next token; never more than half of the lifetime. Default:
    /// 30 s or 5 % of the lifetime, whichever is less.
    ///
    /// # Errors
    /// When it is longer than a year.
    pub fn hard_margin(mut self, margin: Duration) -> Result<Self, InvalidPolicy> {
        self.hard_margin = Some(at_most_a_year("hard_margin", margin)?);
        Ok(self)
    }

    /// How long a login or refresh may take, all in all. It is the flight's own: no request's timeout shortens it.
    /// Default: 30 s.
    ///
    /// # Errors
    /// When it is zero or longer than a year.
    pub fn flight_deadline(mut self, deadline: Duration) -> Result<Self, InvalidPolicy> {
        self.flight_deadline = at_most_a_year("flight_deadline", not_zero("flight_deadline", deadline)?)?;
        Ok(self)
    }

    /// The first and the longest backoff after transient failures, with full jitter and doubling between them.
    /// Without a usable token the longest is 30 s, or this if that is less. Default: 1 s and 5 min.
    ///
    /// # Errors
    /// When the first is zero or longer than the longest, or the longest is longer than a year.
    pub fn backoff(mut self, first: Duration, longest: Duration) -> Result<Self, InvalidPolicy> {
        not_zero("backoff", first)?;
        at_most_a_year("backoff", longest)?;
        if first > longest {
            return Err(InvalidPolicy { setting: "backoff", reason: "the first must not be longer than the longest" });
        }
        self.backoff_min = first;
        self.backoff_max = longest;
        self.backoff_max_without_token = longest.min(Duration::from_secs(30)).max(first);
        Ok(self)
    }

    /// How many flights may start within `window`. A flight that starts after half of the lifetime of the token that
    /// it replaces (at least 1 s) is not counted. With 0 a token is never refreshed; a first login stays possible.
    /// Default: 5 in 30 s.
    ///
    /// # Errors
    /// When the window is zero or longer than a year.
    pub fn guard(mut self, flights: usize, window: Duration) -> Result<Self, InvalidPolicy> {
        self.guard_window = at_most_a_year("guard", not_zero("guard", window)?)?;
        self.guard_flights = flights;
        Ok(self)
    }

    /// Where jitter comes from: a number from 0 to 1, rolled once per token and once per backoff. Default: random.
    #[must_use]
    pub fn jitter(mut self, roll: fn() -> f64) -> Self {
        self.roll = roll;
        self
    }

    pub(crate) fn roll(&self) -> f64 {
        let roll = (self.roll)();
        if roll.is_nan() { 0.0 } else { roll.clamp(0.0, 1.0) }
    }
}

impl Default for RefreshPolicy {
    fn default() -> Self {
        Self::new()
    }
}

impl std::error::Error for InvalidPolicy {}

impl fmt::Display for InvalidPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.setting, self.reason)
    }
}

fn not_zero(setting: &'static str, value: Duration) -> Result<Duration, InvalidPolicy> {
    if value.is_zero() { Err(InvalidPolicy { setting, reason: "must not be zero" }) } else { Ok(value) }
}

fn at_most_a_year(setting: &'static str, value: Duration) -> Result<Duration, InvalidPolicy> {
    if value > LONGEST { Err(InvalidPolicy { setting, reason: "must not be longer than a year" }) } else { Ok(value) }
}
