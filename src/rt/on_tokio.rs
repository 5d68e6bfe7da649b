//! The seam's one real side: tokio.

use std::{
    future::Future,
    panic::catch_unwind,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::runtime::Handle;

use super::NoResult;

/// A spawned task that can be told to stop.
#[derive(Debug)]
pub(crate) struct Task(tokio::task::AbortHandle);

/// A timer, once it runs. Boxed: where one is needed, a network round trip follows.
#[derive(Debug)]
pub(crate) struct Sleep(Pin<Box<tokio::time::Sleep>>);

/// Runs `future` on the current runtime; `None` (and `future` dropped) where there is none.
pub(crate) fn spawn(future: impl Future<Output = ()> + Send + 'static) -> Option<Task> {
    Some(Task(Handle::try_current().ok()?.spawn(future).abort_handle()))
}

/// Runs `work` on a thread that may wait for the disk. Where the future is dropped, work that was handed over goes on. What
/// it logs goes where the caller's own events go, and belongs to the same span.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, NoResult> {
    let runtime = Handle::try_current().map_err(|_| NoResult::NoRuntime)?;
    let (logs, span) = (tracing::dispatcher::get_default(Clone::clone), tracing::Span::current());
    let result = runtime.spawn_blocking(move || tracing::dispatcher::with_default(&logs, || span.in_scope(work))).await;
    result.map_err(|error| if error.is_panic() { NoResult::Panicked } else { NoResult::ShutDown })
}

/// A timer that starts now, or `None` where there is no runtime, or one that was built without a timer.
#[allow(clippy::disallowed_methods, reason = "the private seam to the runtime")]
pub(crate) fn sleep(duration: Duration) -> Option<Sleep> {
    Handle::try_current().ok()?;
    // tokio has no way to ask for the timer but to panic.
    let sleep = catch_unwind(|| Box::pin(tokio::time::sleep(duration)));
    sleep.ok().map(Sleep)
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
