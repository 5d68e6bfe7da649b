//! The one login or refresh in progress, as its waiters see it.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll, ready},
};

use pin_project_lite::pin_project;
use tokio::sync::{Notify, futures::OwnedNotified};

use crate::{error::RefreshFailure, rt::Task};

/// How a flight ended. `Ok` also when the application replaced the token set meanwhile: there is something newer to
/// look at.
pub(crate) type Outcome = Result<(), RefreshFailure>;

/// A handle to the one login or refresh in progress. Compared by identity.
#[derive(Clone)]
pub(crate) struct Flight(Arc<Shared>);

#[derive(Default)]
struct Shared {
    outcome: OnceLock<Outcome>,
    landed: Arc<Notify>,
    task: OnceLock<Task>,
}

pin_project! {
    /// Waits for a flight. Dropping it harms nobody.
    pub(crate) struct Ticket {
        flight: Flight,
        #[pin]
        landed: OwnedNotified,
    }
}

impl Flight {
    pub(crate) fn new() -> Self {
        Self(Arc::default())
    }

    pub(crate) fn ticket(&self) -> Ticket {
        // `notify_waiters` wakes whatever was created before it, polled or not; what is created after it finds the
        // outcome in place. So no wake-up is lost.
        Ticket { flight: self.clone(), landed: Arc::clone(&self.0.landed).notified_owned() }
    }

    /// Publishes the outcome and wakes everybody. The first outcome counts.
    pub(crate) fn land(&self, outcome: Outcome) {
        let _ = self.0.outcome.set(outcome);
        self.0.landed.notify_waiters();
    }

    /// Remembers the task that flies it, so that it can be called off.
    pub(crate) fn flown_by(&self, task: Task) {
        let _ = self.0.task.set(task);
        if self.0.outcome.get().is_some() {
            self.call_off();
        }
    }

    /// Stops the task. Whoever waits must be told by [`land`](Self::land).
    pub(crate) fn call_off(&self) {
        if let Some(task) = self.0.task.get() {
            task.abort();
        }
    }

    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Future for Ticket {
    type Output = Outcome;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome> {
        let this = self.project();
        if let Some(outcome) = this.flight.0.outcome.get() {
            return Poll::Ready(outcome.clone());
        }
        ready!(this.landed.poll(cx));
        // The outcome is set before anybody is notified.
        Poll::Ready(this.flight.0.outcome.get().cloned().unwrap_or(Ok(())))
    }
}
