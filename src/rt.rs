//! The seam to the runtime: the only place that spawns and sets timers, so that schedules can be explored.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

/// A timer that can be held in a struct without pinning it.
#[derive(Debug)]
pub(crate) struct Sleep(Pin<Box<tokio::time::Sleep>>);

/// A timer that goes off once, `duration` from now, or `None` off the runtime, where no timer can run.
#[allow(clippy::disallowed_methods, reason = "the only place that touches the runtime")]
pub(crate) fn sleep(duration: Duration) -> Option<Sleep> {
    tokio::runtime::Handle::try_current().ok()?;
    Some(Sleep(Box::pin(tokio::time::sleep(duration))))
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.0.as_mut().poll(cx)
    }
}
