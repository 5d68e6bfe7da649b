//! A store that ends with its process.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::watch;

use super::{Lease, StoreError, StoreErrorKind, StoreFuture, Swap, TokenStore};
use crate::token::{FencingToken, Stored, Version};

/// Keeps a session in memory: for sessions of one process that share a token set, and for tests.
///
/// A clone is another handle to the same store. A lease holds until it is released or dropped. Nothing outlives the last
/// handle.
///
/// ```
/// use tower_auth_refresh::{
///     store::{MemoryStore, Swap, TokenStore},
///     token::{Generation, Stored, TokenSet},
/// };
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), tower_auth_refresh::store::StoreError> {
/// let (one, other) = (MemoryStore::new(), MemoryStore::new());
/// let same = one.clone();
///
/// let lease = one.try_lease(None).await?.expect("nobody else holds it");
/// let mut stored = Stored::new(TokenSet::new("access"), Generation::from(1));
/// stored.fence = Some(lease.fence());
/// assert_eq!(lease.save(None, &stored).await?, Swap::Done);
///
/// assert_eq!(same.load().await?.map(|stored| stored.generation), Some(Generation::from(1)));
/// assert!(other.load().await?.is_none());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
pub struct MemoryStore(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changes: watch::Sender<()>,
}

#[derive(Default)]
struct State {
    stored: Option<Stored>,
    /// The lease that is held.
    held: Option<FencingToken>,
    /// The largest fencing token that was ever drawn.
    drawn: Option<FencingToken>,
}

struct MemoryLease {
    shared: Arc<Shared>,
    fence: FencingToken,
}

// ===== impl MemoryStore =====

impl MemoryStore {
    /// A store in which nothing is.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl TokenStore for MemoryStore {
    fn load(&self) -> StoreFuture<'_, Option<Stored>> {
        Box::pin(async { Ok(self.0.lock().stored.clone()) })
    }

    fn try_lease(&self, above: Option<FencingToken>) -> StoreFuture<'_, Option<Box<dyn Lease>>> {
        Box::pin(async move {
            let mut state = self.0.lock();
            if state.held.is_some() {
                return Ok(None);
            }
            let fence = state.draw(above)?;
            state.held = Some(fence);
            let lease = MemoryLease { shared: Arc::clone(&self.0), fence };
            Ok(Some(Box::new(lease) as Box<dyn Lease>))
        })
    }

    fn changed(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        // Subscribed now and not at the first poll, so that nothing is missed in between.
        let mut changes = self.0.changes.subscribe();
        Box::pin(async move {
            // It cannot fail: this handle has the other end.
            let _ = changes.changed().await;
        })
    }
}

/// Shows which state it is in, and nothing that is stored.
impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.0.lock();
        f.debug_struct("MemoryStore")
            .field("version", &state.stored.as_ref().map(Stored::version))
            .field("held", &state.held)
            .finish()
    }
}

// ===== impl MemoryLease =====

impl MemoryLease {
    fn end(&self) {
        let mut state = self.shared.lock();
        // Another may hold it by now, where this one was released before.
        if state.held == Some(self.fence) {
            state.held = None;
            drop(state);
            self.shared.changes.send_replace(());
        }
    }
}

impl Lease for MemoryLease {
    fn fence(&self) -> FencingToken {
        self.fence
    }

    fn lasts(&self) -> Option<Duration> {
        None
    }

    fn renew(&self) -> StoreFuture<'_, ()> {
        Box::pin(async {
            let is_held = self.shared.lock().held == Some(self.fence);
            is_held.then_some(()).ok_or_else(|| StoreError::new(StoreErrorKind::Lost, "the lease has been released"))
        })
    }

    fn save<'a>(&'a self, expected: Option<Version>, stored: &'a Stored) -> StoreFuture<'a, Swap> {
        Box::pin(async move {
            let mut state = self.shared.lock();
            let current = state.stored.as_ref().map(Stored::version);
            let by_newer = current.and_then(|version| version.fence).is_some_and(|fence| fence > self.fence);
            if current != expected || by_newer {
                return Ok(Swap::Conflict);
            }
            state.stored = Some(stored.clone());
            drop(state);
            self.shared.changes.send_replace(());
            Ok(Swap::Done)
        })
    }

    fn release(&self) -> StoreFuture<'_, ()> {
        Box::pin(async {
            self.end();
            Ok(())
        })
    }
}

impl Drop for MemoryLease {
    fn drop(&mut self) {
        self.end();
    }
}

// ===== impl Shared, State =====

impl Shared {
    /// A panic elsewhere leaves it whole: each change is one assignment.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn draw(&mut self, above: Option<FencingToken>) -> Result<FencingToken, StoreError> {
        let stored = self.stored.as_ref().and_then(|stored| stored.fence);
        let largest =
            [self.drawn, stored, above].into_iter().flatten().map(FencingToken::get).max().unwrap_or_default();
        let Some(next) = largest.checked_add(1) else {
            return Err(StoreError::new(StoreErrorKind::Damaged, "the memory store has no larger fencing token"));
        };
        let next = FencingToken::from(next);
        self.drawn = Some(next);
        Ok(next)
    }
}
