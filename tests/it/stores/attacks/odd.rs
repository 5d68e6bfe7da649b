//! A store that answers what no test of a single promise would think of.

use std::{
    future::{Future, pending, ready},
    pin::Pin,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::sync::watch;
use tower_auth_refresh::{
    store::{Lease, MemoryStore, StoreError, StoreErrorKind, StoreFuture, Swap, TokenStore},
    token::{FencingToken, Stored, Version},
};

/// So many calls for a lease mean that somebody spins: the next one never returns, so that the test ends.
const RUNAWAY: usize = 1000;

/// Clones share everything.
#[derive(Clone)]
pub(super) struct Odd {
    ways: Arc<Mutex<Ways>>,
    /// What was loaded is held back while this is `true`.
    is_late: watch::Sender<bool>,
}

struct Ways {
    inner: MemoryStore,
    saves: Saves,
    is_restless: bool,
    is_away: bool,
    leases: usize,
}

/// What becomes of a save.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Saves {
    Well,
    /// Something else is always stored than was expected.
    Conflict,
    /// Confirmed, and not done.
    Nowhere,
}

impl Odd {
    pub(super) fn new(inner: &MemoryStore) -> Self {
        let ways = Ways { inner: inner.clone(), saves: Saves::Well, is_restless: false, is_away: false, leases: 0 };
        Self { ways: Arc::new(Mutex::new(ways)), is_late: watch::Sender::new(false) }
    }

    /// From now on it is another store, as one that was flushed.
    pub(super) fn is_now(&self, inner: &MemoryStore) {
        self.ways.lock().unwrap().inner = inner.clone();
    }

    pub(super) fn saves(&self, saves: Saves) {
        self.ways.lock().unwrap().saves = saves;
    }

    /// `changed` returns at once from now on.
    pub(super) fn is_restless(&self) {
        self.ways.lock().unwrap().is_restless = true;
    }

    /// Nobody answers from now on, or somebody does again.
    pub(super) fn is_away(&self, is_away: bool) {
        self.ways.lock().unwrap().is_away = is_away;
    }

    fn check(&self) -> Result<(), StoreError> {
        match self.ways.lock().unwrap().is_away {
            true => Err(StoreError::new(StoreErrorKind::Unavailable, "the odd store is away")),
            false => Ok(()),
        }
    }

    /// How often a lease was asked for.
    pub(super) fn leases(&self) -> usize {
        self.ways.lock().unwrap().leases
    }

    pub(super) fn answers_late(&self, is_late: bool) {
        self.is_late.send_replace(is_late);
    }

    fn inner(&self) -> MemoryStore {
        self.ways.lock().unwrap().inner.clone()
    }
}

impl TokenStore for Odd {
    fn load(&self) -> StoreFuture<'_, Option<Stored>> {
        let (inner, mut is_late) = (self.inner(), self.is_late.subscribe());
        Box::pin(async move {
            self.check()?;
            let stored = inner.load().await?;
            let _ = is_late.wait_for(|is_late| !is_late).await;
            Ok(stored)
        })
    }

    fn try_lease(&self, above: Option<FencingToken>) -> StoreFuture<'_, Option<Box<dyn Lease>>> {
        let inner = self.inner();
        Box::pin(async move {
            let leases = {
                let mut ways = self.ways.lock().unwrap();
                ways.leases += 1;
                ways.leases
            };
            if leases > RUNAWAY {
                return pending().await;
            }
            self.check()?;
            let lease = inner.try_lease(above).await?;
            Ok(lease.map(|lease| Box::new(Held { lease, store: self.clone() }) as Box<dyn Lease>))
        })
    }

    fn changed(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        if self.ways.lock().unwrap().is_restless {
            return Box::pin(ready(()));
        }
        let inner = self.inner();
        Box::pin(async move { inner.changed().await })
    }
}

struct Held {
    lease: Box<dyn Lease>,
    store: Odd,
}

impl Lease for Held {
    fn fence(&self) -> FencingToken {
        self.lease.fence()
    }

    fn lasts(&self) -> Option<Duration> {
        None
    }

    fn renew(&self) -> StoreFuture<'_, ()> {
        self.lease.renew()
    }

    fn save<'a>(&'a self, expected: Option<Version>, stored: &'a Stored) -> StoreFuture<'a, Swap> {
        let saves = self.store.ways.lock().unwrap().saves;
        match saves {
            Saves::Well => self.lease.save(expected, stored),
            Saves::Conflict => Box::pin(ready(Ok(Swap::Conflict))),
            Saves::Nowhere => Box::pin(ready(Ok(Swap::Done))),
        }
    }

    fn release(&self) -> StoreFuture<'_, ()> {
        self.lease.release()
    }
}
