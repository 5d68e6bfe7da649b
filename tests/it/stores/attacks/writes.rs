//! What was granted and is not stored yet, and stores that keep a flight busy: C38, C44, C46 and C49.

use std::time::Duration;

use tower_auth_refresh::{
    error::ErrorKind,
    session::RefreshPolicy,
    store::{MemoryStore, TokenStore},
};

use super::{
    LIFE, calls,
    odd::{Odd, Saves},
    over, signed_in, told,
};
use crate::support::{
    TestProvider, World,
    by_hand::{ByHand, until},
    fleet::{Call, Process, Trouble, now, pass, set, stored, write},
    get, send,
};

#[tokio::test(start_paused = true)]
async fn a_grant_is_not_lost_where_the_store_takes_longer_than_its_waiters_wait() {
    let (world, store) = (World::new().lifetime(LIFE), MemoryStore::new());
    let policy = RefreshPolicy::new().flight_deadline(Duration::from_secs(5)).unwrap();
    let process = signed_in(&world, &store, TestProvider::new(), policy).await;
    world.hold_idp();
    world.clock.advance(LIFE);
    let request = ByHand::started(send(&process.client, get("/")));
    until(|| world.counts().refreshes == 1).await;
    // The server has rotated the token, and answers just in time.
    pass(Duration::from_millis(4900)).await;
    process.store.always(Call::Save, Trouble::Hangs);
    world.release_idp();
    let answer = request.rest().await;
    process.store.recover();
    send(&process.client, get("/")).await.unwrap();
    process.session.settled().await;
    assert_eq!((world.tokens().last().unwrap().as_str(), calls(world.counts())), ("Bearer access-8", (0, 1, 0)));
    assert!(answer.is_ok(), "what has been granted serves the first request too");
}

#[tokio::test(start_paused = true)]
async fn a_later_write_that_was_not_confirmed_is_told_as_saved_and_as_nobody_elses() {
    let (world, store) = (World::new().lifetime(LIFE), MemoryStore::new());
    let process = Process::new(&world, &store);
    let mut events = process.session.subscribe();
    process.store.next(Call::Save, Trouble::Fails);
    process.store.next(Call::Save, Trouble::AnswerLost);
    send(&process.client, get("/")).await.unwrap();
    let generation = process.session.status().generation;
    process.session.settled().await;
    assert_eq!(told(&mut events).await, (1, 1), "one token set, which is stored");
    assert_eq!(process.session.status().generation, generation);
}

#[tokio::test(start_paused = true)]
async fn a_refresh_token_that_came_with_a_dead_set_is_told_as_unsaved_until_it_is_stored() {
    let (world, store) = (World::new().lifetime(LIFE), MemoryStore::new());
    let process = signed_in(&world, &store, TestProvider::without_login(), RefreshPolicy::new()).await;
    let world = world.lifetime(Duration::ZERO);
    world.hold_idp();
    world.clock.advance(LIFE);
    let request = ByHand::started(send(&process.client, get("/")));
    until(|| world.counts().refreshes == 1).await;
    process.store.always(Call::Save, Trouble::Fails);
    world.release_idp();
    request.rest().await.unwrap_err();
    assert!(process.session.status().unsaved);
    process.store.recover();
    process.session.settled().await;
    let stored = stored(&store).await.unwrap();
    assert_eq!((stored.generation.get(), stored.spending_since), (8, None));
}

#[tokio::test(start_paused = true)]
async fn a_store_that_conflicts_for_ever_does_not_make_a_flight_spin() {
    let (world, store) = (World::new().lifetime(LIFE), MemoryStore::new());
    world.grant(7);
    write(&store, set(&world, 7, LIFE)).await;
    let odd = Odd::new(&store);
    let policy = RefreshPolicy::new().flight_deadline(Duration::from_secs(1)).unwrap();
    let (_session, client) = over(&world, &odd, TestProvider::new(), policy);
    send(&client, get("/")).await.unwrap();
    odd.saves(Saves::Conflict);
    world.clock.advance(LIFE);
    send(&client, get("/")).await.unwrap_err();
    assert_eq!(calls(world.counts()), (0, 0, 0));
    assert!(odd.leases() < 200, "{} leases", odd.leases());
}

#[tokio::test(start_paused = true)]
async fn a_store_that_says_all_the_time_that_it_has_changed_does_not_make_a_flight_spin() {
    let (world, store) = (World::new().lifetime(LIFE), MemoryStore::new());
    let odd = Odd::new(&store);
    odd.is_restless();
    let policy = RefreshPolicy::new().flight_deadline(Duration::from_secs(1)).unwrap();
    let (_session, client) = over(&world, &odd, TestProvider::new(), policy);
    let _lease = store.try_lease(None).await.unwrap();
    assert_eq!(send(&client, get("/")).await.unwrap_err().kind(), ErrorKind::Store);
    assert!(odd.leases() < 200, "{} tries", odd.leases());
}

#[test]
fn settled_does_not_wait_for_a_runtime_that_nobody_drives() {
    let (world, store) = (World::new(), MemoryStore::new());
    let process = Process::new(&world, &store);
    let (idle, driven) = (runtime(), runtime());
    idle.block_on(async { process.session.set(TestProvider::token(7, LIFE, world.clock.wall())).unwrap() });
    driven.block_on(async {
        let before = now();
        process.session.settled().await;
        assert!(before.elapsed() < Duration::from_secs(100));
        assert!(!process.session.status().unsaved);
    });
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap()
}
