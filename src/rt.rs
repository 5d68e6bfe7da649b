//! The private seam to the runtime: everything that spawns or waits for time goes through here.

mod on_tokio;
#[cfg(test)]
pub(crate) mod stand_in;

use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    task::Poll,
    time::Duration,
};

#[cfg(not(test))]
pub(crate) use on_tokio::{Sleep, Task, sleep, spawn};
#[cfg(test)]
pub(crate) use stand_in::{Sleep, Task, interleave, sleep, spawn};

/// Why a future was given up.
#[derive(Debug)]
pub(crate) enum NotInTime {
    /// It took longer than it may.
    Elapsed,
    /// The runtime was built without its timer.
    NoTimer,
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

/// Marks a place where another thread may run in between, for the explorers of schedules. Nothing outside of tests.
#[cfg(not(test))]
#[inline(always)]
pub(crate) fn interleave() {}
