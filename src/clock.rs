//! The only place that reads the time.

use std::time::{Instant, SystemTime};

/// Where a session gets the time from. [`SystemClock`] unless told otherwise.
///
/// Two clocks are read together: the wall clock can be stepped by hand or by NTP, and the monotonic clock stands still
/// while a laptop is suspended. A token is expired when either of them says so.
pub trait Clock: Send + Sync + 'static {
    /// The time on both clocks.
    fn now(&self) -> Now;
}

/// One reading of both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "complete by definition: there are two clocks")]
pub struct Now {
    /// The time of day.
    pub wall: SystemTime,
    /// A time that never goes back.
    pub monotonic: Instant,
}

impl Now {
    /// This moment as the clocks of the moment `later` tell it: a wall clock that was set back in between would have
    /// shown an earlier time already then. (One that went ahead may have been set, or the machine slept: that is taken
    /// for time that passed.)
    pub(crate) fn seen_from(self, later: Self) -> Self {
        let passed = later.monotonic.saturating_duration_since(self.monotonic);
        let wall = later.wall.checked_sub(passed).map_or(self.wall, |wall| wall.min(self.wall));
        Self { wall, ..self }
    }
}

/// The clocks of the operating system. Under a paused tokio runtime the monotonic clock is the paused one.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct SystemClock;

impl SystemClock {
    /// The clocks of the operating system.
    #[must_use]
    pub fn new() -> Self {
        Self
    }
}

#[allow(clippy::disallowed_methods, reason = "the only place that reads the time")]
impl Clock for SystemClock {
    fn now(&self) -> Now {
        Now { wall: SystemTime::now(), monotonic: tokio::time::Instant::now().into_std() }
    }
}

impl<C: Clock + ?Sized> Clock for std::sync::Arc<C> {
    fn now(&self) -> Now {
        (**self).now()
    }
}
