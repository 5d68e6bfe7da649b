//! What no setting may be.

use std::{fmt, time::Duration};

/// A setting that makes no sense, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidPolicy {
    setting: &'static str,
    reason: &'static str,
}

const LONGEST: Duration = Duration::from_secs(366 * 24 * 60 * 60);

impl InvalidPolicy {
    pub(super) fn new(setting: &'static str, reason: &'static str) -> Self {
        Self { setting, reason }
    }

    /// The setting: the name of the method that was given it, without a `_share`.
    #[must_use]
    pub fn setting(&self) -> &'static str {
        self.setting
    }
}

impl std::error::Error for InvalidPolicy {}

impl fmt::Display for InvalidPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.setting, self.reason)
    }
}

pub(super) fn not_zero(setting: &'static str, value: Duration) -> Result<Duration, InvalidPolicy> {
    if value.is_zero() { Err(InvalidPolicy::new(setting, "must not be zero")) } else { Ok(value) }
}

pub(super) fn at_most_a_year(setting: &'static str, value: Duration) -> Result<Duration, InvalidPolicy> {
    if value > LONGEST { Err(InvalidPolicy::new(setting, "must not be longer than a year")) } else { Ok(value) }
}

pub(super) fn percentage(setting: &'static str, value: u8) -> Result<u8, InvalidPolicy> {
    if value > 100 { Err(InvalidPolicy::new(setting, "must not be more than 100 percent")) } else { Ok(value) }
}
