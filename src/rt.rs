//! The private seam to the runtime: everything that spawns or waits for time goes through here.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::runtime::Handle;

/// A spawned task that can be told to stop.
#[derive(Debug)]
pub(crate) struct Task(tokio::task::AbortHandle);

/// A timer, once it runs. Boxed: where one is needed, a network round trip follows.
#[derive(Debug)]
pub(crate) struct Sleep(Pin<Box<tokio::time::Sleep>>);

/// The flight ran into its deadline.
#[derive(Debug)]
pub(crate) struct Elapsed;

/// Whether the caller is on a runtime.
pub(crate) fn is_there() -> bool {
    Handle::try_current().is_ok()
}

/// Runs `future` on the current runtime; `None` (and `future` dropped) where there is none.
pub(crate) fn spawn(future: impl Future<Output = ()> + Send + 'static) -> Option<Task> {
    Some(Task(Handle::try_current().ok()?.spawn(future).abort_handle()))
}

/// A timer that starts now, or `None` outside a runtime.
#[allow(clippy::disallowed_methods, reason = "the private seam to the runtime")]
pub(crate) fn sleep(duration: Duration) -> Option<Sleep> {
    Handle::try_current().ok()?;
    Some(Sleep(Box::pin(tokio::time::sleep(duration))))
}

/// Drops `future` when it takes longer than `limit`. Called from spawned tasks only, so that there is a runtime.
#[allow(clippy::disallowed_methods, reason = "the private seam to the runtime")]
pub(crate) async fn timeout<T>(limit: Duration, future: impl Future<Output = T>) -> Result<T, Elapsed> {
    tokio::time::timeout(limit, future).await.map_err(|_| Elapsed)
}

impl Task {
    pub(crate) fn abort(&self) {
        self.0.abort();
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.0.as_mut().poll(cx)
    }
}
