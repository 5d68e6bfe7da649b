//! Notices what others do to the store, without a request that would have to be rejected first.

use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::{Arc, Weak, atomic::Ordering},
    task::Poll,
    time::Duration,
};

use crate::{
    provider::Provider,
    rt,
    session::{Events, Session, Shared, adoption::Looked, driver::call},
    store::TokenStore,
};

/// The shortest time between two looks: a store that never rests must not make the watcher spin.
const REST: Duration = Duration::from_millis(10);

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
}

impl<P: Provider> Watcher<P> {
    async fn watch(self, store: &dyn TokenStore, mut events: Events) {
        loop {
            // Before the look, so that no change behind it is missed.
            let changed = store.changed();
            let before = self.0.upgrade();
            let before = before.map(|shared| (shared.policy.store_timeout, shared.current.load().sync.version));
            let Some((timeout, known)) = before else { return };
            let stored = call(store.load(), timeout).await;
            let Some(session) = self.0.upgrade().map(Session) else { return };
            let looked = match stored {
                Ok(stored) => {
                    session.take_over_unless_outdated(stored.as_ref(), None, known).map_err(|failed| failed.to_string())
                }
                Err(error) => Err(error.to_string()),
            };
            if let Err(error) = &looked {
                tracing::debug!(error, "the store could not be looked at");
            }
            session.save_soon();
            drop(session);
            // An outdated look is taken again.
            if looked != Ok(Looked::Outdated) && !is_changed(changed, &mut events).await {
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

/// Waits for a change; `false` when the session is gone.
async fn is_changed(changed: Pin<Box<dyn Future<Output = ()> + Send + '_>>, events: &mut Events) -> bool {
    let mut changed = changed;
    loop {
        let mut event = pin!(events.recv());
        let woken = poll_fn(|cx| match (changed.as_mut().poll(cx), event.as_mut().poll(cx)) {
            (Poll::Ready(()), _) => Poll::Ready(Some(true)),
            (_, Poll::Ready(None)) => Poll::Ready(Some(false)),
            (_, Poll::Ready(Some(_))) => Poll::Ready(None),
            _ => Poll::Pending,
        });
        if let Some(is_changed) = woken.await {
            return is_changed;
        }
    }
}
