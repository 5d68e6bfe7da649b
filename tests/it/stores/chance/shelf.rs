//! A store on the other side of such lines, whose leases end.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};
use tower_auth_refresh::{
    store::{Lease, StoreError, StoreErrorKind, StoreFuture, Swap, TokenStore},
    token::{FencingToken, Stored, Version},
};

use super::line::Line;
use crate::support::fleet::now;

const LASTS: Duration = Duration::from_secs(10);

/// What is stored, and who may change it.
#[derive(Clone, Default)]
pub struct Shelf {
    state: Arc<Mutex<State>>,
    /// Wakes in the order in which they came, so that a run can be repeated.
    changes: Arc<Notify>,
}

#[derive(Default)]
struct State {
    stored: Option<Stored>,
    held: Option<(FencingToken, Instant)>,
    drawn: u64,
}

/// The shelf as one process reaches it.
#[derive(Clone)]
pub struct Far {
    pub shelf: Shelf,
    pub line: Line,
}

struct Held {
    far: Far,
    fence: FencingToken,
}

impl Shelf {
    pub fn stored(&self) -> Option<Stored> {
        self.state.lock().unwrap().stored.clone()
    }

    /// Whether nobody holds the lease.
    pub fn is_free(&self) -> bool {
        self.state.lock().unwrap().held.is_none_or(|(_, end)| end <= now())
    }

    fn lease(&self, above: Option<FencingToken>) -> Option<FencingToken> {
        if !self.is_free() {
            return None;
        }
        let mut state = self.state.lock().unwrap();
        state.drawn = state.drawn.max(above.map_or(0, FencingToken::get)) + 1;
        let fence = FencingToken::from(state.drawn);
        state.held = Some((fence, now() + LASTS));
        Some(fence)
    }

    fn renew(&self, fence: FencingToken) -> bool {
        let is_ours = !self.is_free();
        let mut state = self.state.lock().unwrap();
        let held = state.held.as_mut().filter(|(held, _)| is_ours && *held == fence);
        held.map(|(_, end)| *end = now() + LASTS).is_some()
    }

    fn save(&self, fence: FencingToken, expected: Option<Version>, stored: Stored) -> Swap {
        let mut state = self.state.lock().unwrap();
        let current = state.stored.as_ref().map(Stored::version);
        if current != expected || current.and_then(|current| current.fence) > Some(fence) {
            return Swap::Conflict;
        }
        state.stored = Some(stored);
        self.changes.notify_waiters();
        Swap::Done
    }

    fn release(&self, fence: FencingToken) {
        self.state.lock().unwrap().held.take_if(|(held, _)| *held == fence);
        self.changes.notify_waiters();
    }
}

impl Far {
    fn call<T: Send + 'static>(&self, work: impl FnOnce(&Shelf) -> T + Send + 'static) -> StoreFuture<'_, T> {
        let shelf = self.shelf.clone();
        Box::pin(async move {
            let lost = |_| StoreError::new(StoreErrorKind::Unavailable, "the call was lost");
            self.line.call(move || work(&shelf)).await.map_err(lost)
        })
    }
}

impl TokenStore for Far {
    fn load(&self) -> StoreFuture<'_, Option<Stored>> {
        self.call(Shelf::stored)
    }

    fn try_lease(&self, above: Option<FencingToken>) -> StoreFuture<'_, Option<Box<dyn Lease>>> {
        Box::pin(async move {
            let fence = self.call(move |shelf| shelf.lease(above)).await?;
            Ok(fence.map(|fence| Box::new(Held { far: self.clone(), fence }) as Box<dyn Lease>))
        })
    }

    fn changed(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        let changed = Arc::clone(&self.shelf.changes).notified_owned();
        Box::pin(async move {
            changed.await;
            self.line.travel(50).await;
        })
    }
}

impl Lease for Held {
    fn fence(&self) -> FencingToken {
        self.fence
    }

    fn lasts(&self) -> Option<Duration> {
        Some(LASTS)
    }

    fn renew(&self) -> StoreFuture<'_, ()> {
        Box::pin(async {
            let fence = self.fence;
            let lost = || StoreError::new(StoreErrorKind::Lost, "another holds the lease");
            self.far.call(move |shelf| shelf.renew(fence)).await?.then_some(()).ok_or_else(lost)
        })
    }

    fn save<'a>(&'a self, expected: Option<Version>, stored: &'a Stored) -> StoreFuture<'a, Swap> {
        let (fence, stored) = (self.fence, stored.clone());
        self.far.call(move |shelf| shelf.save(fence, expected, stored))
    }

    fn release(&self) -> StoreFuture<'_, ()> {
        let fence = self.fence;
        self.far.call(move |shelf| shelf.release(fence))
    }
}
