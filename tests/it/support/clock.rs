//! A clock whose two hands are moved one by one.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use tower_auth_refresh::clock::{Clock, Now};

/// Starts on some day in 2025, and moves only when told.
#[derive(Clone)]
pub struct TestClock(Arc<Mutex<Now>>);

impl TestClock {
    #[allow(clippy::disallowed_methods, reason = "any instant serves as the origin of the monotonic clock")]
    pub fn new() -> Self {
        let wall = UNIX_EPOCH + Duration::from_secs(1_750_000_000);
        Self(Arc::new(Mutex::new(Now { wall, monotonic: Instant::now() })))
    }

    pub fn wall(&self) -> SystemTime {
        self.now().wall
    }

    /// Time passes: both hands move.
    pub fn advance(&self, passed: Duration) {
        let mut now = self.0.lock().unwrap();
        now.wall += passed;
        now.monotonic += passed;
    }

    /// The machine slept: only the wall clock moves.
    pub fn suspend(&self, passed: Duration) {
        self.0.lock().unwrap().wall += passed;
    }

    /// Somebody set the wall clock back.
    pub fn step_back(&self, by: Duration) {
        self.0.lock().unwrap().wall -= by;
    }
}

impl Clock for TestClock {
    fn now(&self) -> Now {
        *self.0.lock().unwrap()
    }
}
