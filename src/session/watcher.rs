//! Notices what others do to the store, without a request that would have to be rejected first.

use std::{
    future::{Future, pending, poll_fn},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::{Pin, pin},
    sync::{Arc, Weak, atomic::Ordering},
    task::{Context, Poll},
    time::Duration,
};

use crate::{
    error::ErrorKind,
    provider::Provider,
    rt::{self, Sleep},
    session::{
        Event, Events, Session, Shared,
        driver::{call, caught},
    },
    store::TokenStore,
};

/// The shortest time between two looks: a store that never rests must not make the watcher spin.
const REST: Duration = Duration::from_millis(10);

/// How long after a look that has failed the next one is.
const RETRY: Duration = Duration::from_secs(5);

/// The longest time between two looks, should the store wake nobody.
const POLL: Duration = Duration::from_secs(60);

/// Holds no handle to the session while it waits, so that it ends with the last of the others.
struct Watcher<P>(Weak<Shared<P>>);

impl<P: Provider> Session<P> {
    /// Has a task watch the store, where there is one, and no such task yet. There must be a runtime.
    pub(super) fn watch(&self) {
        let Some(store) = &self.0.store else { return };
        if !self.0.is_watched.swap(true, Ordering::AcqRel) {
            let (watcher, store, events) = (Watcher(Arc::downgrade(&self.0)), Arc::clone(store), self.subscribe());
            // Where it cannot be spawned it is dropped, and the next flight tries again.
            let _ = rt::spawn(async move { watcher.watch(&*store, events).await });
        }
    }

    /// Ends the backoff after a failure of the store, which answers again.
    fn store_is_back(&self) {
        self.transition(|state| {
            if state.failure.take_if(|remembered| remembered.failure.kind() == ErrorKind::Store).is_some() {
                state.strikes = 0;
            }
            ((), None)
        });
    }
}

impl<P: Provider> Watcher<P> {
    async fn watch(self, store: &dyn TokenStore, mut events: Events) {
        let mut is_away = false;
        loop {
            // Before the look, so that no change behind it is missed.
            let changed = catch_unwind(AssertUnwindSafe(|| store.changed())).unwrap_or_else(|_| Box::pin(pending()));
            let before = self.0.upgrade().map(|shared| (shared.policy.store_call(), shared.current.load_full()));
            let Some((timeout, seen)) = before else { return };
            let stored = caught(async { call(store.load(), timeout).await }).await;
            let Some(session) = self.0.upgrade().map(Session) else { return };
            let looked = match stored {
                Ok(stored) => session.take_over(&seen, stored.as_ref(), None).map_err(|failed| failed.to_string()),
                Err(error) => Err(error.to_string()),
            };
            let is_failed = looked.is_err();
            if let Err(error) = looked {
                tracing::debug!(error, "the store could not be looked at");
            }
            if std::mem::replace(&mut is_away, is_failed) && !is_failed {
                session.store_is_back();
            }
            session.save_soon();
            let is_outdated = session.current().sync.version != seen.sync.version;
            drop((session, seen));
            let again = rt::sleep(if is_failed { RETRY } else { POLL });
            if !is_outdated && !is_changed(changed, again, &mut events).await {
                return;
            }
            let Some(rest) = rt::sleep(REST) else { return };
            rest.await;
        }
    }
}

impl<P> Drop for Watcher<P> {
    fn drop(&mut self) {
        if let Some(shared) = self.0.upgrade() {
            shared.is_watched.store(false, Ordering::Release);
        }
    }
}

/// Waits for a change, for the time to look `again`, or for a flight that has failed: while it was under way, nothing was
/// taken over. `false` when the session is gone.
async fn is_changed(
    mut changed: Pin<Box<dyn Future<Output = ()> + Send + '_>>,
    mut again: Option<Sleep>,
    events: &mut Events,
) -> bool {
    loop {
        let mut event = pin!(events.recv());
        // A store that panics tells of no change; the next look is due all the same.
        let told = |cx: &mut Context<'_>, changed: &mut Pin<Box<dyn Future<Output = ()> + Send + '_>>| {
            catch_unwind(AssertUnwindSafe(|| changed.as_mut().poll(cx))).unwrap_or(Poll::Pending)
        };
        let woken = poll_fn(|cx| match (told(cx, &mut changed), event.as_mut().poll(cx)) {
            (Poll::Ready(()), _) => Poll::Ready(Some(true)),
            (_, Poll::Ready(None)) => Poll::Ready(Some(false)),
            (_, Poll::Ready(Some(Event::RefreshFailed { .. }))) => Poll::Ready(Some(true)),
            (_, Poll::Ready(Some(_))) => Poll::Ready(None),
            _ => match again.as_mut().map(|again| Pin::new(again).poll(cx)) {
                Some(Poll::Ready(())) => Poll::Ready(Some(true)),
                _ => Poll::Pending,
            },
        });
        if let Some(is_changed) = woken.await {
            return is_changed;
        }
    }
}
