//! A clock whose two hands are moved one by one.

use std::{
    fmt,
    sync::{Arc, Mutex},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use super::lock;
use crate::clock::{Clock, Now};

/// A [`Clock`] that moves only when it is told, both hands together or one alone. Clones share the time.
///
/// It is not the clock of tokio's timers: pause those, and move this one.
///
/// # Panics
/// Where a hand would leave what the platform's times can hold, many thousand years from here.
///
/// ```
/// use std::time::Duration;
/// use tower_auth_refresh::{clock::Clock, test_util::TestClock};
///
/// let (clock, start) = (TestClock::new(), TestClock::new().wall());
/// clock.advance(Duration::from_secs(60));
/// clock.step_back(Duration::from_secs(60));
/// assert_eq!(clock.now().wall, start);
/// ```
#[derive(Clone)]
pub struct TestClock(Arc<Mutex<Now>>);

impl TestClock {
    /// A clock that stands at some moment in 2025.
    #[must_use]
    pub fn new() -> Self {
        Self::at(UNIX_EPOCH + Duration::from_secs(1_750_000_000))
    }

    /// A clock that stands at `wall`.
    #[must_use]
    #[allow(clippy::disallowed_methods, reason = "any instant serves as the origin of the monotonic clock")]
    pub fn at(wall: SystemTime) -> Self {
        Self(Arc::new(Mutex::new(Now { wall, monotonic: Instant::now() })))
    }

    /// The time of day.
    #[must_use]
    pub fn wall(&self) -> SystemTime {
        self.now().wall
    }

    /// Time passes: both hands move.
    pub fn advance(&self, passed: Duration) {
        let mut now = lock(&self.0);
        now.wall += passed;
        now.monotonic += passed;
    }

    /// The machine slept, or somebody set the wall clock forward: only the wall clock moves.
    pub fn suspend(&self, by: Duration) {
        lock(&self.0).wall += by;
    }

    /// Somebody set the wall clock back.
    pub fn step_back(&self, by: Duration) {
        lock(&self.0).wall -= by;
    }

    /// Time passes while the wall clock stands still: only the monotonic clock moves.
    pub fn step_monotonic(&self, by: Duration) {
        lock(&self.0).monotonic += by;
    }
}

impl Default for TestClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for TestClock {
    fn now(&self) -> Now {
        *lock(&self.0)
    }
}

impl fmt::Debug for TestClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TestClock").field(&self.now()).finish()
    }
}
