//! A store that panics, and tasks that end in the middle of a turn: C38, C40 and C44.

use std::time::Duration;

use tower_auth_refresh::{error::ErrorKind, store::MemoryStore};

use crate::support::{
    TestProvider, World,
    by_hand::{ByHand, until},
    fleet::{
        Call::{self, Lease, Load, Release, Renew, Save},
        Process, Trouble, eventually, pass, stored,
    },
    get, send, send_all,
};

const LIFE: Duration = Duration::from_secs(1000);

/// A store that panics once wakes everybody with an error, and the session goes on.
async fn it_survives_a_panic_in(call: Call) {
    let (world, store) = (World::new().lifetime(LIFE), MemoryStore::new());
    let process = Process::new(&world, &store);
    process.store.next(call, Trouble::Panics);
    for answer in send_all(&process.client, 10).await {
        assert_eq!(answer.unwrap_err().kind(), ErrorKind::Aborted);
    }
    send(&process.client, get("/")).await.unwrap();
    process.session.settled().await;
    assert_eq!(stored(&store).await.unwrap().generation.get(), process.generation());
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_a_load_wakes_everybody_and_passes() {
    it_survives_a_panic_in(Load).await;
}

#[tokio::test(start_paused = true)]
async fn a_panic_where_the_lease_is_taken_wakes_everybody_and_passes() {
    it_survives_a_panic_in(Lease).await;
}

#[tokio::test(start_paused = true)]
async fn a_panic_where_a_lease_is_renewed_takes_no_grant_along() {
    let (world, store) = (World::new().lifetime(LIFE), MemoryStore::new());
    let process = Process::new(&world, &store);
    send(&process.client, get("/")).await.unwrap();
    world.clock.advance(LIFE);
    process.store.lasts(Duration::from_secs(9));
    process.store.next(Renew, Trouble::Panics);
    world.hold_idp();
    let request = ByHand::started(send(&process.client, get("/")));
    until(|| world.counts().refreshes == 1).await;
    process.store.calls();
    eventually(|| process.store.calls().contains(&Renew)).await;
    world.release_idp();
    assert!(request.rest().await.is_ok());
    assert_eq!((world.counts().logins, world.counts().refreshes), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_panic_where_a_grant_is_stored_does_not_lose_it() {
    let (world, store) = (World::new().lifetime(LIFE), MemoryStore::new());
    let process = Process::new(&world, &store);
    process.store.next(Save, Trouble::Panics);
    for answer in send_all(&process.client, 10).await {
        assert!(answer.is_ok());
    }
    process.session.settled().await;
    assert_eq!(stored(&store).await.unwrap().generation.get(), 1);
    assert_eq!(world.counts().logins, 1);
}

#[tokio::test(start_paused = true)]
async fn a_panic_where_the_lease_is_given_back_harms_nobody() {
    let (world, store) = (World::new().lifetime(LIFE), MemoryStore::new());
    let process = Process::new(&world, &store);
    process.store.next(Release, Trouble::Panics);
    send(&process.client, get("/")).await.unwrap();
    world.clock.advance(LIFE);
    send(&process.client, get("/")).await.unwrap();
    assert_eq!((world.counts().logins, world.counts().refreshes), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_panic_of_the_saver_leaves_the_write_to_the_next_flight() {
    let (world, store) = (World::new().lifetime(LIFE), MemoryStore::new());
    let process = Process::new(&world, &store);
    process.store.next(Save, Trouble::Fails);
    process.store.next(Save, Trouble::Panics);
    send(&process.client, get("/")).await.unwrap();
    eventually(|| process.store.calls().iter().filter(|call| **call == Save).count() > 0).await;
    world.clock.advance(LIFE);
    send(&process.client, get("/")).await.unwrap();
    process.session.settled().await;
    assert_eq!(stored(&store).await.unwrap().generation.get(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_watcher_that_panics_is_replaced_at_the_next_flight() {
    let (world, store) = (World::new().lifetime(LIFE), MemoryStore::new());
    let (one, other) = (Process::new(&world, &store), Process::new(&world, &store));
    for process in [&one, &other] {
        send(&process.client, get("/")).await.unwrap();
        process.session.settled().await;
    }
    // Both watchers have had their first look.
    pass(Duration::from_millis(100)).await;
    other.store.calls();
    other.store.next(Load, Trouble::Panics);
    one.session.set(TestProvider::token(7, LIFE, world.clock.wall())).unwrap();
    one.session.settled().await;
    eventually(|| other.store.calls().contains(&Load)).await;
    assert_eq!(other.generation(), 1, "its watcher has panicked");
    world.grant(7);
    for refreshes in 1..=3 {
        world.clock.advance(LIFE);
        let (first, second) = if refreshes == 2 { (&other, &one) } else { (&one, &other) };
        send(&first.client, get("/")).await.unwrap();
        send(&second.client, get("/")).await.unwrap();
        assert_eq!(world.counts().refreshes, refreshes);
    }
    world.revoke_access();
    send(&one.client, get("/")).await.unwrap();
    eventually(|| other.generation() == one.generation()).await;
}

#[tokio::test(start_paused = true)]
async fn a_store_that_never_takes_a_mark_costs_the_flight_its_time_and_no_more() {
    let (world, store) = (World::new().lifetime(LIFE), MemoryStore::new());
    let process = Process::new(&world, &store);
    send(&process.client, get("/")).await.unwrap();
    process.session.settled().await;
    process.store.always(Save, Trouble::Conflicts);
    process.store.calls();
    world.clock.advance(LIFE);
    assert_eq!(send(&process.client, get("/")).await.unwrap_err().kind(), ErrorKind::TimedOut);
    let saves = process.store.calls().into_iter().filter(|call| *call == Save).count();
    assert!((100..10_000).contains(&saves), "{saves} in 30 s");
    assert_eq!(world.counts().refreshes, 0, "nothing was sent");
}

#[test]
fn a_runtime_that_shuts_down_while_a_grant_is_stored_does_not_lose_it() {
    let (world, store) = (World::new().lifetime(LIFE), MemoryStore::new());
    let process = Process::new(&world, &store);
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    let first = runtime();
    process.store.hold_saves();
    let mut request = ByHand::new(Box::pin(process.session.token()));
    first.block_on(async {
        assert!(request.is_pending());
        until(|| process.store.calls().contains(&Save)).await;
    });
    drop(first);
    assert!(request.is_woken());
    process.store.release_saves();
    let second = runtime();
    second.block_on(async {
        assert!(request.rest().await.is_ok());
        process.session.settled().await;
        assert_eq!(stored(&store).await.unwrap().generation.get(), 1);
    });
    assert_eq!(world.counts().logins, 1);
}

#[tokio::test(start_paused = true)]
async fn all_waiters_may_go_and_the_grant_is_stored_all_the_same() {
    let (world, store) = (World::new().lifetime(LIFE), MemoryStore::new());
    let process = Process::new(&world, &store);
    world.hold_idp();
    let request = ByHand::started(send(&process.client, get("/")));
    until(|| world.counts().logins == 1).await;
    drop(request);
    world.release_idp();
    process.session.settled().await;
    assert_eq!(stored(&store).await.unwrap().generation.get(), 1);
}

#[tokio::test(start_paused = true)]
async fn settled_waits_for_the_write_of_a_token_set_that_the_application_has_set() {
    let (world, store) = (World::new(), MemoryStore::new());
    let process = Process::new(&world, &store);
    process.store.hold_saves();
    process.session.set(TestProvider::token(7, LIFE, world.clock.wall())).unwrap();
    let mut settled = ByHand::started(Box::pin(process.session.settled()));
    until(|| process.store.calls().contains(&Save)).await;
    assert!(settled.is_pending());
    process.store.release_saves();
    until(|| settled.is_woken()).await;
    settled.result();
    assert!(stored(&store).await.unwrap().token.is_some());
}

#[test]
fn what_is_set_outside_of_a_runtime_is_stored_by_whoever_waits_for_it_on_one() {
    let (world, store) = (World::new(), MemoryStore::new());
    let process = Process::new(&world, &store);
    process.session.set(TestProvider::token(7, LIFE, world.clock.wall())).unwrap();
    process.session.sign_out();
    assert!(process.session.status().unsaved);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        process.session.settled().await;
        assert!(stored(&store).await.unwrap().signed_out_since.is_some());
    });
}

#[tokio::test(start_paused = true)]
async fn the_applications_change_during_a_flight_wins_in_the_store_as_well() {
    let (world, store) = (World::new().lifetime(LIFE), MemoryStore::new());
    let process = Process::new(&world, &store);
    process.store.hold_saves();
    let request = ByHand::started(send(&process.client, get("/")));
    until(|| process.store.calls().contains(&Save)).await;
    process.session.sign_out();
    process.store.release_saves();
    process.session.settled().await;
    assert!(stored(&store).await.unwrap().signed_out_since.is_some());
    assert_eq!(request.rest().await.unwrap_err().kind(), ErrorKind::SignedOut);
}
