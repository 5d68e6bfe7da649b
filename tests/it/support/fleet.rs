//! Several sessions over one store, as several processes would have them, and a store that can be in trouble.

use std::{
    collections::VecDeque,
    future::{Future, pending},
    pin::Pin,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::sync::watch;
use tower_auth_refresh::{
    Session,
    session::{RefreshPolicy, SessionBuilder},
    store::{Lease, MemoryStore, StoreError, StoreErrorKind, StoreFuture, Swap, TokenStore},
    token::{FencingToken, Generation, Stored, Version},
};

use super::{Client, TestProvider, World, client};

/// A call of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    Load,
    Lease,
    Renew,
    Save,
    Release,
}

/// What is wrong with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// An error, and nothing was done.
    Fails,
    /// An error, and it was done all the same.
    AnswerLost,
    Hangs,
    Panics,
    /// Of a save: it says that something else is stored.
    Conflicts,
}

/// One process's handle to a store that may be in trouble.
#[derive(Clone)]
pub struct Handle {
    inner: MemoryStore,
    shared: Arc<Mutex<Shared>>,
    /// Saves wait while this is `true`.
    held: watch::Sender<bool>,
    /// So do leases that are asked for.
    leases_held: watch::Sender<bool>,
    /// The answer to a load waits while this is `true`.
    late: watch::Sender<bool>,
}

#[derive(Default)]
struct Shared {
    calls: Vec<Call>,
    /// What holds for each call of the kind, or for the next ones only.
    always: Vec<(Call, Trouble)>,
    next: VecDeque<(Call, Trouble)>,
    lasts: Option<Duration>,
    is_over: bool,
    wakes_nobody: bool,
}

impl Handle {
    pub fn new(inner: &MemoryStore) -> Self {
        Self {
            inner: inner.clone(),
            shared: Arc::default(),
            held: watch::Sender::new(false),
            leases_held: watch::Sender::new(false),
            late: watch::Sender::new(false),
        }
    }

    pub fn always(&self, call: Call, trouble: Trouble) {
        self.shared.lock().unwrap().always.push((call, trouble));
    }

    /// The next call of that kind only. Several follow one another.
    pub fn next(&self, call: Call, trouble: Trouble) {
        self.shared.lock().unwrap().next.push_back((call, trouble));
    }

    pub fn recover(&self) {
        let mut shared = self.shared.lock().unwrap();
        shared.always.clear();
        shared.next.clear();
    }

    pub fn is_unreachable(&self) {
        for call in [Call::Load, Call::Lease, Call::Renew, Call::Save, Call::Release] {
            self.always(call, Trouble::Fails);
        }
    }

    /// Leases last so long from now on.
    pub fn lasts(&self, time: Duration) {
        self.shared.lock().unwrap().lasts = Some(time);
    }

    /// The store gives this handle's leases to the next who asks.
    pub fn takes_leases_away(&self) {
        self.shared.lock().unwrap().is_over = true;
    }

    pub fn wakes_nobody(&self) {
        self.shared.lock().unwrap().wakes_nobody = true;
    }

    pub fn hold_saves(&self) {
        self.held.send_replace(true);
    }

    /// Loads see what is stored now, and are answered later.
    pub fn hold_answers_of_loads(&self) {
        self.late.send_replace(true);
    }

    pub fn release_answers_of_loads(&self) {
        self.late.send_replace(false);
    }

    pub fn release_saves(&self) {
        self.held.send_replace(false);
    }

    pub fn hold_leases(&self) {
        self.leases_held.send_replace(true);
    }

    pub fn release_leases(&self) {
        self.leases_held.send_replace(false);
    }

    /// All calls since the last time, but for the looks of whoever waits.
    pub fn calls(&self) -> Vec<Call> {
        std::mem::take(&mut self.shared.lock().unwrap().calls)
    }

    fn has_trouble(&self, call: Call, trouble: Trouble) -> bool {
        self.shared.lock().unwrap().always.contains(&(call, trouble))
    }

    fn begin(&self, call: Call) -> Option<Trouble> {
        let mut shared = self.shared.lock().unwrap();
        shared.calls.push(call);
        let next = shared.next.iter().position(|(kind, _)| *kind == call);
        let next = next.and_then(|next| shared.next.remove(next));
        next.or_else(|| shared.always.iter().rfind(|(kind, _)| *kind == call).copied()).map(|(_, trouble)| trouble)
    }

    async fn call<T>(&self, call: Call, work: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        let error = || StoreError::new(StoreErrorKind::Unavailable, "the test's store is in trouble");
        match self.begin(call) {
            None => work.await,
            Some(Trouble::Fails) => Err(error()),
            Some(Trouble::AnswerLost) => work.await.and_then(|_| Err(error())),
            Some(Trouble::Hangs | Trouble::Conflicts) => pending().await,
            Some(Trouble::Panics) => panic!("the test's store panics"),
        }
    }
}

impl TokenStore for Handle {
    fn load(&self) -> StoreFuture<'_, Option<Stored>> {
        Box::pin(self.call(Call::Load, async {
            let stored = self.inner.load().await;
            let _ = self.late.subscribe().wait_for(|late| !late).await;
            stored
        }))
    }

    fn try_lease(&self, above: Option<FencingToken>) -> StoreFuture<'_, Option<Box<dyn Lease>>> {
        Box::pin(self.call(Call::Lease, async move {
            let mut held = self.leases_held.subscribe();
            let _ = held.wait_for(|held| !held).await;
            let lease = self.inner.try_lease(above).await?;
            Ok(lease.map(|lease| Box::new(Held { lease, handle: self.clone() }) as Box<dyn Lease>))
        }))
    }

    fn changed(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        if self.shared.lock().unwrap().wakes_nobody { Box::pin(pending()) } else { self.inner.changed() }
    }
}

struct Held {
    lease: Box<dyn Lease>,
    handle: Handle,
}

impl Lease for Held {
    fn fence(&self) -> FencingToken {
        self.lease.fence()
    }

    fn lasts(&self) -> Option<Duration> {
        self.handle.shared.lock().unwrap().lasts
    }

    fn renew(&self) -> StoreFuture<'_, ()> {
        Box::pin(self.handle.call(Call::Renew, async {
            if std::mem::take(&mut self.handle.shared.lock().unwrap().is_over) {
                self.lease.release().await?;
            }
            self.lease.renew().await
        }))
    }

    fn save<'a>(&'a self, expected: Option<Version>, stored: &'a Stored) -> StoreFuture<'a, Swap> {
        if self.handle.has_trouble(Call::Save, Trouble::Conflicts) {
            self.handle.begin(Call::Save);
            return Box::pin(async { Ok(Swap::Conflict) });
        }
        Box::pin(self.handle.call(Call::Save, async move {
            let mut held = self.handle.held.subscribe();
            let _ = held.wait_for(|held| !held).await;
            self.lease.save(expected, stored).await
        }))
    }

    fn release(&self) -> StoreFuture<'_, ()> {
        Box::pin(self.handle.call(Call::Release, self.lease.release()))
    }
}

/// A process: its session, its handle to the store, and its client of the world's API.
pub struct Process {
    pub session: Session<TestProvider>,
    pub store: Handle,
    pub client: Client,
}

pub fn builder(world: &World, provider: TestProvider) -> SessionBuilder<TestProvider> {
    let policy = RefreshPolicy::new().jitter(|| 1.0);
    Session::builder(provider).transport(world.idp()).clock(world.clock.clone()).policy(policy)
}

impl Process {
    pub fn new(world: &World, store: &MemoryStore) -> Self {
        Self::with(world, store, builder(world, TestProvider::new()))
    }

    pub fn with(world: &World, store: &MemoryStore, builder: SessionBuilder<TestProvider>) -> Self {
        let store = Handle::new(store);
        let session = builder.store(store.clone()).build().unwrap();
        Self { client: client(world, &session), session, store }
    }

    pub fn generation(&self) -> u64 {
        self.session.status().generation.get()
    }
}

/// Paused time.
#[allow(clippy::disallowed_methods, reason = "under paused time")]
pub fn now() -> tokio::time::Instant {
    tokio::time::Instant::now()
}

/// Lets so much of paused time pass.
#[allow(clippy::disallowed_methods, reason = "under paused time")]
pub async fn pass(time: Duration) {
    tokio::time::sleep(time).await;
}

/// Lets paused time pass until `reached`.
pub async fn eventually(reached: impl Fn() -> bool) {
    for _ in 0..10_000 {
        if reached() {
            return;
        }
        pass(Duration::from_millis(1)).await;
    }
    panic!("never reached");
}

/// What is stored.
pub async fn stored(store: &MemoryStore) -> Option<Stored> {
    store.load().await.unwrap()
}

/// Writes as another process would, under a lease of its own and whatever is stored.
pub async fn write(store: &MemoryStore, mut stored: Stored) -> Stored {
    let over = self::stored(store).await.map(|stored| stored.version());
    let lease = store.try_lease(None).await.unwrap().expect("nobody holds the lease");
    stored.fence = Some(lease.fence());
    assert_eq!(lease.save(over, &stored).await.unwrap(), Swap::Done);
    stored
}

/// Token set `number` as generation `number`.
pub fn set(world: &World, number: u64, lifetime: Duration) -> Stored {
    Stored::new(TestProvider::token(number, lifetime, world.clock.wall()), Generation::from(number))
}
