//! What sessions over one store share, and what others notice of a change.

use std::time::Duration;

use futures::{FutureExt, future::join_all};
use http::StatusCode;
use tower_auth_refresh::{
    error::ErrorKind,
    session::{Condition, Event},
    store::{MemoryStore, Swap},
};

use crate::support::{
    Counts, TestProvider, World,
    by_hand::{ByHand, until},
    fleet::{Call, Process, builder, eventually, now, set, stored, write},
    get, send, send_all,
};

const LIFE: Duration = Duration::from_secs(1000);

/// Eight sessions over one store.
fn fleet(world: &World, store: &MemoryStore) -> Vec<Process> {
    (0..8).map(|_| Process::new(world, store)).collect()
}

/// Many requests through each of them, all at once.
async fn send_many(fleet: &[Process]) {
    for answers in join_all(fleet.iter().map(|process| send_all(&process.client, 100))).await {
        assert!(answers.into_iter().all(|answer| answer.is_ok_and(|answer| answer.status() == StatusCode::OK)));
    }
}

fn counts(logins: usize, refreshes: usize, api: usize, rejected: usize) -> Counts {
    Counts { api, rejected, logins, refreshes, double_spent: 0 }
}

#[tokio::test(start_paused = true)]
async fn eight_sessions_over_one_store_log_in_once_and_carry_one_token() {
    let (world, store) = (World::new().lifetime(LIFE), MemoryStore::new());
    let fleet = fleet(&world, &store);
    send_many(&fleet).await;
    assert_eq!(world.counts(), counts(1, 0, 800, 0));
    assert!(world.tokens().iter().all(|token| token == "Bearer access-1"));
    assert!(fleet.iter().all(|process| process.generation() == 1));
}

#[tokio::test(start_paused = true)]
async fn eight_sessions_whose_token_is_rejected_refresh_it_once() {
    let (world, store) = (World::new().lifetime(LIFE), MemoryStore::new());
    let fleet = fleet(&world, &store);
    for refreshes in 1..=20 {
        send_many(&fleet).await;
        // The guard does not count the renewal of a token that has served for half of its life.
        world.clock.advance(LIFE / 5 * 3);
        world.revoke_access();
        send_many(&fleet).await;
        let counts = world.counts();
        assert_eq!((counts.logins, counts.refreshes, counts.double_spent), (1, refreshes, 0));
        assert!(fleet.iter().all(|process| process.generation() == 1 + refreshes as u64));
    }
}

#[tokio::test(start_paused = true)]
async fn at_the_end_of_a_token_one_of_eight_sessions_refreshes_it() {
    let (world, store) = (World::new().lifetime(LIFE), MemoryStore::new());
    let fleet = fleet(&world, &store);
    for refreshes in 0..20 {
        send_many(&fleet).await;
        assert_eq!(world.counts(), counts(1, refreshes, 800 * (refreshes + 1), 0));
        world.clock.advance(LIFE);
    }
}

#[tokio::test(start_paused = true)]
async fn the_guard_does_not_count_what_others_have_brought() {
    let (world, store) = (World::new().lifetime(LIFE), MemoryStore::new());
    let process = Process::new(&world, &store);
    // Whoever has no watcher finds out when a request is rejected.
    process.store.wakes_nobody();
    send(&process.client, get("/")).await.unwrap();
    for number in 10..30 {
        world.grant(number);
        write(&store, set(&world, number, LIFE)).await;
        assert_eq!(send(&process.client, get("/")).await.unwrap().status(), StatusCode::OK);
    }
    assert_eq!(world.counts(), counts(1, 0, 41, 20));
}

#[tokio::test(start_paused = true)]
async fn what_another_brings_between_the_look_and_the_lease_is_taken_over() {
    let (world, store) = (World::new().lifetime(LIFE), MemoryStore::new());
    let process = Process::new(&world, &store);
    process.store.wakes_nobody();
    send(&process.client, get("/")).await.unwrap();
    world.clock.advance(LIFE);
    process.store.hold_leases();
    let request = ByHand::started(send(&process.client, get("/")));
    eventually(|| process.store.calls().contains(&Call::Lease)).await;
    world.grant(7);
    write(&store, set(&world, 7, LIFE)).await;
    process.store.release_leases();
    assert_eq!(request.rest().await.unwrap().status(), StatusCode::OK);
    assert_eq!((world.counts(), process.generation()), (counts(1, 0, 2, 0), 7));
}

#[tokio::test(start_paused = true)]
async fn a_session_begins_with_what_is_stored_and_asks_nobody() {
    let (world, store) = (World::new(), MemoryStore::new());
    world.grant(7);
    write(&store, set(&world, 7, LIFE)).await;
    let process = Process::new(&world, &store);
    send(&process.client, get("/")).await.unwrap();
    assert_eq!(world.counts(), counts(0, 0, 1, 0));
    assert_eq!((world.tokens(), process.generation()), (vec![String::from("Bearer access-7")], 7));
}

#[tokio::test(start_paused = true)]
async fn a_stored_token_set_that_has_ended_is_renewed_and_stored_with_the_next_number() {
    let (world, store) = (World::new().lifetime(LIFE), MemoryStore::new());
    world.grant(7);
    write(&store, set(&world, 7, LIFE)).await;
    world.clock.advance(LIFE);
    let process = Process::new(&world, &store);
    send(&process.client, get("/")).await.unwrap();
    assert_eq!(world.counts(), counts(0, 1, 1, 0));
    assert_eq!(stored(&store).await.unwrap().generation.get(), 8);
}

#[tokio::test(start_paused = true)]
async fn a_change_by_another_is_noticed_without_a_rejection() {
    let (world, store) = (World::new().lifetime(LIFE), MemoryStore::new());
    let (one, other) = (Process::new(&world, &store), Process::new(&world, &store));
    for process in [&one, &other] {
        send(&process.client, get("/")).await.unwrap();
    }
    world.revoke_access();
    send(&one.client, get("/")).await.unwrap();
    eventually(|| other.generation() == 2).await;
    send(&other.client, get("/")).await.unwrap();
    assert_eq!(world.counts(), counts(1, 1, 5, 1), "only the first of them was rejected");
}

#[tokio::test(start_paused = true)]
async fn a_look_that_a_flight_overtakes_brings_nothing_old_back() {
    let (world, store) = (World::new().lifetime(LIFE), MemoryStore::new());
    let process = Process::new(&world, &store);
    send(&process.client, get("/")).await.unwrap();
    process.session.settled().await;
    world.clock.advance(LIFE);
    world.hold_idp();
    let request = ByHand::started(send(&process.client, get("/")));
    until(|| world.counts().refreshes == 1).await;
    // The watcher sees the token set that is marked as being spent, and learns of it when there is a newer one.
    process.store.calls();
    process.store.hold_answers_of_loads();
    eventually(|| process.store.calls().contains(&Call::Load)).await;
    world.release_idp();
    let mut events = process.session.subscribe();
    request.rest().await.unwrap();
    process.store.release_answers_of_loads();
    let started = now();
    eventually(|| started.elapsed() > Duration::from_millis(100)).await;
    let changes = std::iter::from_fn(|| events.recv().now_or_never().flatten());
    let changes: Vec<_> =
        changes.map(|event| matches!(event, Event::TokenChanged { generation } if generation.get() == 2)).collect();
    assert_eq!(changes, [true]);
}

#[tokio::test(start_paused = true)]
async fn subscribers_are_told_of_a_change_by_another() {
    let (world, store) = (World::new().lifetime(LIFE), MemoryStore::new());
    let process = Process::new(&world, &store);
    send(&process.client, get("/")).await.unwrap();
    let mut events = process.session.subscribe();
    write(&store, set(&world, 7, LIFE)).await;
    let Some(Event::TokenChanged { generation }) = events.recv().await else { panic!("the token set has changed") };
    assert_eq!(generation.get(), 7);
}

#[tokio::test(start_paused = true)]
async fn sessions_over_two_stores_share_nothing() {
    let world = World::new().lifetime(LIFE);
    let (one, other) = (Process::new(&world, &MemoryStore::new()), Process::new(&world, &MemoryStore::new()));
    for process in [&one, &other] {
        send(&process.client, get("/")).await.unwrap();
    }
    one.session.sign_out();
    one.session.settled().await;
    send(&other.client, get("/")).await.unwrap();
    assert_eq!(world.counts().logins, 2);
    assert_eq!((one.generation(), other.generation()), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn the_applications_token_set_is_taken_over_by_the_others() {
    let (world, store) = (World::new().lifetime(LIFE), MemoryStore::new());
    let (one, other) = (Process::new(&world, &store), Process::new(&world, &store));
    for process in [&one, &other] {
        send(&process.client, get("/")).await.unwrap();
    }
    world.grant(7);
    one.session.set(TestProvider::token(7, LIFE, world.clock.wall())).unwrap();
    one.session.settled().await;
    eventually(|| other.generation() == 2).await;
    send(&other.client, get("/")).await.unwrap();
    assert_eq!(world.tokens().last().unwrap(), "Bearer access-7");
    assert_eq!(world.counts(), counts(1, 0, 3, 0));
}

#[tokio::test(start_paused = true)]
async fn a_sign_out_signs_all_out_and_leaves_a_tombstone_with_the_next_number() {
    let (world, store) = (World::new().lifetime(LIFE), MemoryStore::new());
    let (one, other) = (Process::new(&world, &store), Process::new(&world, &store));
    for process in [&one, &other] {
        send(&process.client, get("/")).await.unwrap();
    }
    one.session.sign_out();
    one.session.settled().await;
    eventually(|| other.session.status().condition == Condition::SignedOut).await;
    for process in [&one, &other, &Process::new(&world, &store)] {
        assert_eq!(send(&process.client, get("/")).await.unwrap_err().kind(), ErrorKind::SignedOut);
    }
    let tombstone = stored(&store).await.unwrap();
    assert!(tombstone.token.is_none() && tombstone.signed_out_since.is_some());
    assert_eq!(tombstone.generation.get(), 2);
    assert_eq!(world.counts(), counts(1, 0, 2, 0));
}

#[tokio::test(start_paused = true)]
async fn a_sign_in_of_one_ends_the_sign_out_of_all() {
    let (world, store) = (World::new().lifetime(LIFE), MemoryStore::new());
    let (one, other) = (Process::new(&world, &store), Process::new(&world, &store));
    for process in [&one, &other] {
        send(&process.client, get("/")).await.unwrap();
    }
    one.session.sign_out();
    one.session.settled().await;
    eventually(|| other.session.status().condition == Condition::SignedOut).await;
    other.session.sign_in().await.unwrap();
    eventually(|| one.generation() == 3).await;
    send(&one.client, get("/")).await.unwrap();
    assert_eq!(world.counts(), counts(2, 0, 3, 0));
}

#[tokio::test(start_paused = true)]
async fn the_builders_token_set_counts_where_nothing_is_stored_and_is_stored_then() {
    let (world, store) = (World::new(), MemoryStore::new());
    world.grant(7);
    let initial = || builder(&world, TestProvider::new()).token(TestProvider::token(7, LIFE, world.clock.wall()));
    let process = Process::with(&world, &store, initial());
    send(&process.client, get("/")).await.unwrap();
    assert_eq!((world.tokens(), world.counts()), (vec![String::from("Bearer access-7")], counts(0, 0, 1, 0)));
    process.session.settled().await;
    assert_eq!(stored(&store).await.unwrap().generation.get(), process.generation());
    assert!(!process.session.status().unsaved);
}

#[tokio::test(start_paused = true)]
async fn the_builders_token_set_gives_way_to_what_is_stored() {
    let (world, store) = (World::new(), MemoryStore::new());
    world.grant(8);
    write(&store, set(&world, 8, LIFE)).await;
    let initial = builder(&world, TestProvider::new()).token(TestProvider::token(7, LIFE, world.clock.wall()));
    let process = Process::with(&world, &store, initial);
    send(&process.client, get("/")).await.unwrap();
    assert_eq!((world.tokens(), world.counts()), (vec![String::from("Bearer access-8")], counts(0, 0, 1, 0)));
}

#[tokio::test(start_paused = true)]
async fn a_token_set_written_by_hand_is_taken_over_under_any_other_number() {
    let (world, store) = (World::new().lifetime(LIFE), MemoryStore::new());
    let process = Process::new(&world, &store);
    send(&process.client, get("/")).await.unwrap();
    // People write no fencing token.
    let over = stored(&store).await.map(|stored| stored.version());
    let lease = tower_auth_refresh::store::TokenStore::try_lease(&store, None).await.unwrap().unwrap();
    world.grant(70);
    let by_hand = set(&world, 70, LIFE);
    assert_eq!(lease.save(over, &by_hand).await.unwrap(), Swap::Done);
    drop(lease);
    eventually(|| process.generation() == 70).await;
    send(&process.client, get("/")).await.unwrap();
    assert_eq!(world.counts(), counts(1, 0, 2, 0));
}

#[tokio::test(start_paused = true)]
async fn a_request_with_a_token_does_not_read_the_store() {
    let (world, store) = (World::new().lifetime(LIFE), MemoryStore::new());
    let process = Process::new(&world, &store);
    send(&process.client, get("/")).await.unwrap();
    tokio::task::yield_now().await;
    process.session.settled().await;
    process.store.calls();
    send_all(&process.client, 1000).await;
    assert_eq!(process.store.calls(), []);
}

#[tokio::test(start_paused = true)]
async fn the_watch_over_a_store_ends_with_the_session() {
    let (world, store) = (World::new().lifetime(LIFE), MemoryStore::new());
    let process = Process::new(&world, &store);
    send(&process.client, get("/")).await.unwrap();
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    eventually(|| tasks() == 1).await;
    drop(process);
    eventually(|| tasks() == 0).await;
}
