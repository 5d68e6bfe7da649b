//! Marks of others, and stores that have lost their memory: C49 and C51.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use tower_auth_refresh::{
    error::ErrorKind,
    provider::GrantKind,
    store::{Lease, MemoryStore, Swap, TokenStore},
    token::Stored,
};

use crate::support::{
    Counts, TestProvider, World,
    by_hand::{ByHand, until},
    fleet::{Call, Handle, Process, Trouble, builder, now, set, stored, write},
    get, send,
};

const LIFE: Duration = Duration::from_secs(1000);

fn marked(stored: Stored, since: SystemTime) -> Stored {
    let mut stored = stored;
    stored.spending_since = Some(since);
    stored
}

/// Another process has sent token set 7, which has ended, and has died since.
async fn another_has_died(world: &World, store: &MemoryStore) {
    world.grant(7);
    write(store, marked(set(world, 7, LIFE), world.clock.wall())).await;
    world.clock.advance(LIFE);
}

fn calls(counts: Counts) -> (usize, usize, usize) {
    (counts.logins, counts.refreshes, counts.double_spent)
}

#[tokio::test(start_paused = true)]
async fn who_finds_the_mark_of_another_logs_in() {
    let (world, store) = (World::new().lifetime(LIFE), MemoryStore::new());
    another_has_died(&world, &store).await;
    let process = Process::new(&world, &store);
    send(&process.client, get("/")).await.unwrap();
    assert_eq!(calls(world.counts()), (1, 0, 0));
    let stored = stored(&store).await.unwrap();
    assert_eq!((stored.generation.get(), stored.spending_since), (8, None));
}

#[tokio::test(start_paused = true)]
async fn who_finds_the_mark_of_another_and_cannot_log_in_sends_the_token_once_more_after_a_pause() {
    let (world, store) = (World::new().lifetime(LIFE), MemoryStore::new());
    another_has_died(&world, &store).await;
    let process = Process::with(&world, &store, builder(&world, TestProvider::without_login()));
    let before = now();
    send(&process.client, get("/")).await.unwrap();
    assert!(before.elapsed() >= Duration::from_secs(1));
    assert_eq!(calls(world.counts()), (0, 1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_mark_that_was_tried_in_vain_means_that_somebody_must_sign_in() {
    let (world, store) = (World::new().lifetime(LIFE), MemoryStore::new());
    another_has_died(&world, &store).await;
    world.idp().refuse(GrantKind::Refresh);
    let without_login = || builder(&world, TestProvider::without_login());
    let process = Process::with(&world, &store, without_login());
    assert_eq!(send(&process.client, get("/")).await.unwrap_err().kind(), ErrorKind::Refused);
    let other = Process::with(&world, &store, without_login());
    assert_eq!(send(&other.client, get("/")).await.unwrap_err().kind(), ErrorKind::SignInRequired);
    assert_eq!(world.counts().token_calls(), 1, "nobody sends it a second time");
    let stored = stored(&store).await.unwrap();
    assert!(stored.refresh_refused_since.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_mark_while_another_is_at_work_troubles_nobody() {
    let (world, store) = (World::new().lifetime(LIFE), MemoryStore::new());
    world.grant(7);
    let first = write(&store, set(&world, 7, LIFE)).await;
    let process = Process::new(&world, &store);
    send(&process.client, get("/")).await.unwrap();
    // Another takes its turn, and gives it up for a 503.
    write(&store, marked(first.clone(), world.clock.wall())).await;
    send(&process.client, get("/")).await.unwrap();
    write(&store, first).await;
    world.clock.advance(LIFE);
    send(&process.client, get("/")).await.unwrap();
    assert_eq!(calls(world.counts()), (0, 1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_store_that_was_flushed_leaves_the_refresh_token_in_doubt() {
    let world = World::new().lifetime(LIFE);
    let (kept, flushed) = (MemoryStore::new(), MemoryStore::new());
    let switch = Switch::new(kept.clone());
    let session = builder(&world, TestProvider::new()).store(switch.clone()).build().unwrap();
    let client = crate::support::client(&world, &session);
    send(&client, get("/")).await.unwrap();
    switch.to(flushed.clone());
    send(&client, get("/")).await.unwrap();
    world.clock.advance(LIFE);
    send(&client, get("/")).await.unwrap();
    assert_eq!(calls(world.counts()), (2, 0, 0));
    let (before, after) = (stored(&kept).await.unwrap(), stored(&flushed).await.unwrap());
    assert_eq!(after.generation.get(), 2);
    assert!(after.fence > before.fence, "the fencing token does not start anew");
}

#[tokio::test(start_paused = true)]
async fn a_store_that_was_restored_does_not_make_an_old_token_set_look_new() {
    let world = World::new().lifetime(LIFE);
    let (store, copy) = (MemoryStore::new(), MemoryStore::new());
    world.grant(7);
    let old = write(&store, set(&world, 7, LIFE)).await;
    let switch = Switch::new(store.clone());
    let session = builder(&world, TestProvider::new()).store(switch.clone()).build().unwrap();
    let client = crate::support::client(&world, &session);
    world.clock.advance(LIFE);
    send(&client, get("/")).await.unwrap();
    assert_eq!(calls(world.counts()), (0, 1, 0));
    let lease = copy.try_lease(None).await.unwrap().unwrap();
    assert_eq!(lease.save(None, &old).await.unwrap(), Swap::Done);
    drop(lease);
    switch.to(copy.clone());
    for _ in 0..2 {
        send(&client, get("/")).await.unwrap();
    }
    assert_eq!(world.tokens().last().unwrap(), "Bearer access-8", "the old one is not taken over");
    world.clock.advance(LIFE);
    send(&client, get("/")).await.unwrap();
    assert_eq!(calls(world.counts()), (1, 1, 0));
    assert_eq!(stored(&copy).await.unwrap().generation.get(), 9);
}

#[tokio::test(start_paused = true)]
async fn a_late_note_brings_nothing_into_a_store_that_was_flushed_since() {
    let world = World::new().lifetime(LIFE);
    let (kept, flushed) = (MemoryStore::new(), MemoryStore::new());
    world.grant(7);
    write(&kept, set(&world, 7, LIFE)).await;
    world.clock.advance(LIFE);
    world.idp().refuse(GrantKind::Refresh);
    let handle = Handle::new(&kept);
    let switch = Switch::new(handle.clone());
    let session = builder(&world, TestProvider::without_login()).store(switch.clone()).build().unwrap();
    let client = crate::support::client(&world, &session);
    world.hold_idp();
    let request = ByHand::started(send(&client, get("/")));
    until(|| world.counts().refreshes == 1).await;
    handle.always(Call::Save, Trouble::Fails);
    world.release_idp();
    assert_eq!(request.rest().await.unwrap_err().kind(), ErrorKind::Refused);
    assert!(session.status().unsaved);
    switch.to(flushed.clone());
    session.settled().await;
    assert!(!session.status().unsaved);
    assert!(stored(&flushed).await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_late_note_of_a_refused_sign_in_leaves_the_mark_of_another() {
    let (world, store) = (World::new().lifetime(LIFE), MemoryStore::new());
    another_has_died(&world, &store).await;
    world.idp().refuse(GrantKind::Login);
    let process = Process::new(&world, &store);
    process.store.next(Call::Save, Trouble::Fails);
    assert_eq!(process.session.sign_in().await.unwrap_err().kind(), ErrorKind::Refused);
    process.session.settled().await;
    let stored = stored(&store).await.unwrap();
    assert!(stored.login_refused.is_some() && stored.spending_since.is_some());
    assert_eq!(stored.generation.get(), 7);
}

/// A store in whose place another can be put.
#[derive(Clone)]
struct Switch(tokio::sync::watch::Sender<Arc<dyn TokenStore>>);

impl Switch {
    fn new(store: impl TokenStore) -> Self {
        Self(tokio::sync::watch::Sender::new(Arc::new(store)))
    }

    fn to(&self, store: impl TokenStore) {
        self.0.send_replace(Arc::new(store));
    }
}

impl TokenStore for Switch {
    fn load(&self) -> tower_auth_refresh::store::StoreFuture<'_, Option<Stored>> {
        let store = self.0.borrow().clone();
        Box::pin(async move { store.load().await })
    }

    fn try_lease(
        &self,
        above: Option<tower_auth_refresh::token::FencingToken>,
    ) -> tower_auth_refresh::store::StoreFuture<'_, Option<Box<dyn Lease>>> {
        let store = self.0.borrow().clone();
        Box::pin(async move { store.try_lease(above).await })
    }

    fn changed(&self) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        let mut switched = self.0.subscribe();
        let store = self.0.borrow().clone();
        Box::pin(async move {
            tokio::select! {
                () = store.changed() => {}
                _ = switched.changed() => {}
            }
        })
    }
}
