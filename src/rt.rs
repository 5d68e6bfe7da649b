//! The private seam to the runtime: everything that spawns or waits for time goes through here.

mod on_tokio;
#[cfg(test)]
pub(crate) mod stand_in;

use std::{
    fmt,
    future::{Future, poll_fn},
    pin::{Pin, pin},
    task::Poll,
    time::Duration,
};

#[cfg(not(test))]
pub(crate) use on_tokio::{Sleep, Task, blocking, sleep, spawn};
#[cfg(test)]
pub(crate) use stand_in::{Sleep, Task, blocking, interleave, sleep, spawn};

/// Why a future was given up.
#[derive(Debug)]
pub(crate) enum NotInTime {
    /// It took longer than it may.
    Elapsed,
    /// The runtime was built without its timer.
    NoTimer,
}

/// Why blocking work has no result. Where it was begun it may have been done all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoResult {
    /// There is no runtime here.
    NoRuntime,
    /// The runtime is shutting down.
    ShutDown,
    /// The work panicked.
    Panicked,
}

/// Whether the caller is on a runtime that has a timer.
pub(crate) fn is_there() -> bool {
    sleep(Duration::ZERO).is_some()
}

/// Drops `future` when it takes longer than `limit`. Called from spawned tasks only, so that there is a runtime.
pub(crate) async fn timeout<T>(limit: Duration, future: impl Future<Output = T>) -> Result<T, NotInTime> {
    let mut limit = sleep(limit).ok_or(NotInTime::NoTimer)?;
    let mut future = pin!(future);
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(output) => Poll::Ready(Ok(output)),
        Poll::Pending => Pin::new(&mut limit).poll(cx).map(|()| Err(NotInTime::Elapsed)),
    })
    .await
}

impl fmt::Display for NoResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoRuntime => "there is no tokio runtime",
            Self::ShutDown => "the runtime is shutting down",
            Self::Panicked => "the work panicked",
        })
    }
}

/// Marks a place where another thread may run in between, for the explorers of schedules. Nothing outside of tests.
#[cfg(not(test))]
#[inline(always)]
pub(crate) fn interleave() {}

#[cfg(test)]
mod tests;
