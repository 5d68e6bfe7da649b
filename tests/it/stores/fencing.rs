//! Leases that are lost, and holders that stall: C48 and C49.

use std::time::Duration;

use http::StatusCode;
use tower_auth_refresh::store::{MemoryStore, TokenStore};

use crate::support::{
    Counts, TestProvider, World,
    by_hand::{ByHand, until},
    fleet::{Call, Process, Trouble, builder, eventually, set, stored, write},
    get, send,
};

const LIFE: Duration = Duration::from_secs(1000);
const LEASE: Duration = Duration::from_secs(6);

fn calls(counts: Counts) -> (usize, usize, usize) {
    (counts.logins, counts.refreshes, counts.double_spent)
}

/// Two processes with token set 7, which has ended.
async fn two(world: &World, store: &MemoryStore, provider: fn() -> TestProvider) -> [Process; 2] {
    world.grant(7);
    write(store, set(world, 7, LIFE)).await;
    let processes = [(); 2].map(|()| Process::with(world, store, builder(world, provider())));
    for process in &processes {
        process.store.lasts(LEASE);
        send(&process.client, get("/")).await.unwrap();
    }
    world.clock.advance(LIFE);
    processes
}

#[tokio::test(start_paused = true)]
async fn a_holder_that_stalls_past_its_lease_takes_what_another_has_brought_meanwhile() {
    let (world, store) = (World::new().lifetime(LIFE), MemoryStore::new());
    let [one, other] = two(&world, &store, TestProvider::new).await;
    world.hold_idp();
    one.store.takes_leases_away();
    let stalled = ByHand::started(send(&one.client, get("/")));
    until(|| world.counts().refreshes == 1).await;
    // The server has rotated the token; the answer is on its way, and the lease is another's.
    eventually(|| one.store.calls().contains(&Call::Renew)).await;
    let request = ByHand::started(send(&other.client, get("/")));
    eventually(|| world.counts().logins == 1).await;
    world.release_idp();
    assert_eq!(request.rest().await.unwrap().status(), StatusCode::OK);
    assert_eq!(stalled.rest().await.unwrap().status(), StatusCode::OK);
    for process in [&one, &other] {
        process.session.settled().await;
    }
    assert_eq!(calls(world.counts()), (1, 1, 0));
    // Both grants were stored, one after the other, and all have the later one.
    assert_eq!((one.generation(), other.generation(), stored(&store).await.unwrap().generation.get()), (9, 9, 9));
    for process in [&one, &other] {
        send(&process.client, get("/")).await.unwrap();
        assert_eq!(world.tokens().last().unwrap(), "Bearer access-9", "what the login has brought");
    }
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_is_over_by_the_clock_before_anything_is_sent_is_taken_anew() {
    let (world, store) = (World::new().lifetime(LIFE), MemoryStore::new());
    let [one, _other] = two(&world, &store, TestProvider::new).await;
    one.store.hold_saves();
    let request = ByHand::started(send(&one.client, get("/")));
    until(|| one.store.calls().contains(&Call::Save)).await;
    // The machine slept with the mark on its way.
    world.clock.suspend(LEASE);
    one.store.release_saves();
    assert_eq!(request.rest().await.unwrap().status(), StatusCode::OK);
    let leases = one.store.calls().into_iter().filter(|call| *call == Call::Lease).count();
    assert_eq!((leases, calls(world.counts())), (1, (0, 1, 0)), "the second lease, and one refresh");
}

#[tokio::test(start_paused = true)]
async fn a_wall_clock_that_steps_back_does_not_lengthen_a_lease() {
    let (world, store) = (World::new().lifetime(LIFE), MemoryStore::new());
    let [one, _other] = two(&world, &store, TestProvider::new).await;
    one.store.hold_saves();
    let request = ByHand::started(send(&one.client, get("/")));
    until(|| one.store.calls().contains(&Call::Save)).await;
    world.clock.step_monotonic(LEASE);
    one.store.release_saves();
    request.rest().await.unwrap();
    let leases = one.store.calls().into_iter().filter(|call| *call == Call::Lease).count();
    assert_eq!((leases, calls(world.counts())), (1, (0, 1, 0)));
}

#[tokio::test(start_paused = true)]
async fn a_mark_over_which_another_has_written_is_not_followed_by_a_request() {
    let (world, store) = (World::new().lifetime(LIFE), MemoryStore::new());
    let [one, other] = two(&world, &store, TestProvider::new).await;
    one.store.takes_leases_away();
    one.store.hold_saves();
    let stalled = ByHand::started(send(&one.client, get("/")));
    eventually(|| one.store.calls().contains(&Call::Renew)).await;
    assert_eq!(send(&other.client, get("/")).await.unwrap().status(), StatusCode::OK);
    one.store.release_saves();
    assert_eq!(stalled.rest().await.unwrap().status(), StatusCode::OK);
    assert_eq!(calls(world.counts()), (0, 1, 0), "the stalled one has sent nothing");
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_cannot_be_renewed_is_over_when_its_time_is() {
    let (world, store) = (World::new().lifetime(LIFE), MemoryStore::new());
    let [one, _other] = two(&world, &store, TestProvider::new).await;
    one.store.always(Call::Renew, Trouble::Fails);
    one.store.hold_saves();
    let request = ByHand::started(send(&one.client, get("/")));
    until(|| one.store.calls().contains(&Call::Save)).await;
    world.clock.advance(LEASE);
    one.store.recover();
    one.store.release_saves();
    request.rest().await.unwrap();
    let leases = one.store.calls().into_iter().filter(|call| *call == Call::Lease).count();
    assert_eq!((leases, calls(world.counts())), (1, (0, 1, 0)));
}

#[tokio::test(start_paused = true)]
async fn a_grant_that_comes_after_the_lease_is_kept_where_nobody_has_replaced_it() {
    let (world, store) = (World::new().lifetime(LIFE), MemoryStore::new());
    let [one, other] = two(&world, &store, TestProvider::without_login).await;
    world.hold_idp();
    one.store.takes_leases_away();
    let stalled = ByHand::started(send(&one.client, get("/")));
    until(|| world.counts().refreshes == 1).await;
    eventually(|| one.store.calls().contains(&Call::Renew)).await;
    assert!(store.try_lease(None).await.unwrap().is_some(), "the lease is anybody's");
    world.release_idp();
    assert_eq!(stalled.rest().await.unwrap().status(), StatusCode::OK);
    send(&other.client, get("/")).await.unwrap();
    assert_eq!(calls(world.counts()), (0, 1, 0));
    assert_eq!((stored(&store).await.unwrap().generation.get(), other.generation()), (8, 8));
}

#[tokio::test(start_paused = true)]
async fn a_session_that_is_dropped_during_its_turn_gives_the_lease_back() {
    let (world, store) = (World::new().lifetime(LIFE), MemoryStore::new());
    let [one, _other] = two(&world, &store, TestProvider::new).await;
    one.store.hold_saves();
    let request = ByHand::started(send(&one.client, get("/")));
    until(|| one.store.calls().contains(&Call::Save)).await;
    one.session.sign_out();
    drop(request);
    one.store.release_saves();
    one.session.settled().await;
    assert!(stored(&store).await.unwrap().signed_out_since.is_some());
    assert_eq!(calls(world.counts()), (0, 0, 0));
    assert!(store.try_lease(None).await.unwrap().is_some());
}
