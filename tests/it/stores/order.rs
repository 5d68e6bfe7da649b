//! The order of a turn at the store, and that a grant is stored before anybody is told.

use std::time::Duration;

use tower_auth_refresh::{
    session::Event,
    store::{MemoryStore, TokenStore},
};

use crate::support::{
    World,
    by_hand::{ByHand, until},
    fleet::{
        Call::{Lease, Load, Release, Save},
        Process, eventually, now, set, stored, write,
    },
    get, send,
};

const LIFE: Duration = Duration::from_secs(1000);

/// A session whose watcher has nothing to tell, so that all calls are the flights'.
async fn signed_in(world: &World, store: &MemoryStore) -> Process {
    world.grant(7);
    write(store, set(world, 7, LIFE)).await;
    let process = Process::new(world, store);
    process.store.wakes_nobody();
    send(&process.client, get("/")).await.unwrap();
    tokio::task::yield_now().await;
    process.store.calls();
    process
}

#[tokio::test(start_paused = true)]
async fn a_refresh_takes_the_lease_looks_marks_asks_saves_and_releases() {
    let (world, store) = (World::new().lifetime(LIFE), MemoryStore::new());
    let process = signed_in(&world, &store).await;
    world.hold_idp();
    world.clock.advance(LIFE);
    let request = ByHand::started(send(&process.client, get("/")));
    until(|| world.counts().refreshes == 1).await;
    assert_eq!(process.store.calls(), [Load, Lease, Load, Save], "a look, the lease, another look, the mark");
    let marked = stored(&store).await.unwrap();
    assert!(marked.spending_since.is_some());
    assert_eq!((marked.generation.get(), marked.token.is_some()), (7, true));
    assert!(store.try_lease(None).await.unwrap().is_none(), "the lease is held");

    world.release_idp();
    until(|| request.is_woken()).await;
    request.result().unwrap();
    process.session.settled().await;
    until(|| process.store.calls().contains(&Release)).await;
    let granted = stored(&store).await.unwrap();
    assert!(granted.spending_since.is_none());
    assert_eq!((granted.generation.get(), granted.fence), (8, marked.fence));
    assert!(store.try_lease(None).await.unwrap().is_some(), "the lease is free");
}

#[tokio::test(start_paused = true)]
async fn a_login_marks_nothing() {
    let (world, store) = (World::new().lifetime(LIFE), MemoryStore::new());
    let process = Process::new(&world, &store);
    world.hold_idp();
    let request = ByHand::started(send(&process.client, get("/")));
    until(|| world.counts().logins == 1).await;
    assert!(stored(&store).await.is_none());
    world.release_idp();
    until(|| request.is_woken()).await;
    request.result().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_grant_is_stored_before_anybody_is_told() {
    let (world, store) = (World::new().lifetime(LIFE), MemoryStore::new());
    let process = Process::new(&world, &store);
    let mut events = process.session.subscribe();
    process.store.hold_saves();
    let mut request = ByHand::started(send(&process.client, get("/")));
    until(|| process.store.calls().contains(&Save)).await;
    assert!(request.is_pending() && ByHand::started(events.recv()).is_pending());
    assert_eq!((process.generation(), world.counts().logins, world.counts().api), (0, 1, 0));
    process.store.release_saves();
    until(|| request.is_woken()).await;
    request.result().unwrap();
    assert!(matches!(events.recv().await, Some(Event::TokenChanged { .. })));
    assert_eq!(stored(&store).await.unwrap().generation.get(), process.generation());
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_proves_nothing_was_spent_clears_the_mark() {
    let (world, store) = (World::new().lifetime(LIFE), MemoryStore::new());
    let process = signed_in(&world, &store).await;
    crate::scene::idp_answers(&world, http::StatusCode::SERVICE_UNAVAILABLE);
    world.clock.advance(LIFE);
    send(&process.client, get("/")).await.unwrap_err();
    let after = stored(&store).await.unwrap();
    assert!(after.spending_since.is_none() && after.token.is_some());
    assert_eq!(after.generation.get(), 7);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_leaves_it_open_leaves_the_mark() {
    let (world, store) = (World::new().lifetime(LIFE), MemoryStore::new());
    let process = signed_in(&world, &store).await;
    crate::scene::idp_answers(&world, http::StatusCode::BAD_GATEWAY);
    world.clock.advance(LIFE);
    send(&process.client, get("/")).await.unwrap_err();
    assert!(stored(&store).await.unwrap().spending_since.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_lease_is_renewed_every_third_of_its_time() {
    let (world, store) = (World::new().lifetime(LIFE), MemoryStore::new());
    let process = Process::new(&world, &store);
    process.store.lasts(Duration::from_secs(9));
    world.hold_idp();
    let request = ByHand::started(send(&process.client, get("/")));
    until(|| world.counts().logins == 1).await;
    let started = now();
    let renewals = std::cell::Cell::new(0);
    eventually(|| {
        let calls = process.store.calls();
        renewals.set(renewals.get() + calls.iter().filter(|call| **call == crate::support::fleet::Call::Renew).count());
        started.elapsed() >= Duration::from_millis(9_500)
    })
    .await;
    assert_eq!(renewals.get(), 3);
    world.release_idp();
    until(|| request.is_woken()).await;
    request.result().unwrap();
}
