//! The one login or refresh in progress, as its waiters see it.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use pin_project_lite::pin_project;
use tokio::sync::{Notify, futures::OwnedNotified};

use crate::{
    error::{ErrorKind, RefreshFailure},
    rt::{self, Sleep, Task},
    token::Generation,
};

/// What the flight's own timer is given to be late.
pub(crate) const SLACK: Duration = Duration::from_secs(1);

/// How a flight ended: with the generation that it brought, or with none when the application replaced the token set
/// meanwhile. Then there is something newer to look at.
pub(crate) type Outcome = Result<Option<Generation>, RefreshFailure>;

/// A handle to the one login or refresh in progress. Compared by identity.
#[derive(Clone)]
pub(crate) struct Flight(Arc<Shared>);

struct Shared {
    /// How long one waits at most, by a timer of one's own.
    patience: Duration,
    /// Somebody has waited for longer than that.
    lost: AtomicBool,
    sign_in: bool,
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
        // Set at the first poll; nothing in it where there is no timer.
        patience: Option<Option<Sleep>>,
    }
}

impl Flight {
    /// A flight that has until `deadline`, which its own timer keeps. Should that timer stop, because its runtime is
    /// not driven any more, nobody waits for much longer than that.
    pub(crate) fn new(deadline: Duration, sign_in: bool) -> Self {
        Self(Arc::new(Shared {
            patience: deadline.saturating_add(SLACK),
            lost: AtomicBool::new(false),
            sign_in,
            outcome: OnceLock::new(),
            landed: Arc::default(),
            task: OnceLock::new(),
        }))
    }

    /// Whether the application asked for it.
    pub(crate) fn is_sign_in(&self) -> bool {
        self.0.sign_in
    }

    /// Whether it should have landed, and has not.
    pub(crate) fn is_lost(&self) -> bool {
        self.0.lost.load(Ordering::Acquire)
    }

    pub(crate) fn ticket(&self) -> Ticket {
        // `notify_waiters` wakes whatever was created before it, polled or not; what is created after it finds the
        // outcome in place. So no wake-up is lost.
        Ticket { flight: self.clone(), landed: Arc::clone(&self.0.landed).notified_owned(), patience: None }
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

impl Ticket {
    /// Whether the application asked for the flight.
    pub(crate) fn is_sign_in(&self) -> bool {
        self.flight.is_sign_in()
    }
}

impl Future for Ticket {
    type Output = Outcome;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome> {
        let this = self.project();
        if let Some(outcome) = this.flight.0.outcome.get() {
            return Poll::Ready(outcome.clone());
        }
        rt::interleave();
        if this.landed.poll(cx).is_pending() {
            match this.patience.get_or_insert_with(|| rt::sleep(this.flight.0.patience)) {
                Some(patience) => ready!(Pin::new(patience).poll(cx)),
                None => return Poll::Pending,
            }
        }
        // The outcome is set before anybody is notified. Without one this waiter's patience has run out.
        Poll::Ready(this.flight.0.outcome.get().cloned().unwrap_or_else(|| {
            this.flight.0.lost.store(true, Ordering::Release);
            Err(RefreshFailure::of_kind(ErrorKind::TimedOut, None))
        }))
    }
}
