//! A clock that somebody moves by hand, so that days pass in seconds.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use tower_auth_refresh::clock::{Clock, Now, SystemClock};

/// New Year 2026, a whole second: HTTP dates have no smaller unit.
const START: Duration = Duration::from_secs(1_767_225_600);

/// Stands still until [`advance`](Self::advance) moves its two hands together. Clones are the same clock: sessions and
/// servers share it.
#[derive(Clone, Debug)]
pub(crate) struct DemoClock {
    started: Instant,
    elapsed_ms: Arc<AtomicU64>,
}

impl DemoClock {
    pub(crate) fn new() -> Self {
        Self { started: SystemClock::new().now().monotonic, elapsed_ms: Arc::default() }
    }

    /// Lets `time` pass, in whole milliseconds.
    pub(crate) fn advance(&self, time: Duration) {
        let millis = u64::try_from(time.as_millis()).expect("a demonstration is shorter than the universe is old");
        self.elapsed_ms.fetch_add(millis, Ordering::SeqCst);
    }

    /// The time of day.
    pub(crate) fn wall(&self) -> SystemTime {
        self.now().wall
    }
}

impl Clock for DemoClock {
    fn now(&self) -> Now {
        let elapsed = Duration::from_millis(self.elapsed_ms.load(Ordering::SeqCst));
        Now { wall: UNIX_EPOCH + START + elapsed, monotonic: self.started + elapsed }
    }
}
