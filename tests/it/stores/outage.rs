//! A store that cannot be used: C46 and C52.

use std::time::Duration;

use tower_auth_refresh::{
    error::{ErrorKind, FailureClass},
    session::{Event, RefreshPolicy},
    store::{MemoryStore, StoreError, StoreErrorKind},
};

use crate::support::{
    Counts, TestProvider, World,
    by_hand::{ByHand, until},
    fleet::{
        Call::{Lease, Load, Release, Save},
        Process, Trouble, builder, eventually, now, pass, set, stored, write,
    },
    get, send, send_all,
};

const LIFE: Duration = Duration::from_secs(1000);

async fn signed_in(world: &World, store: &MemoryStore, provider: TestProvider, policy: RefreshPolicy) -> Process {
    world.grant(7);
    write(store, set(world, 7, LIFE)).await;
    let process = Process::with(world, store, builder(world, provider).policy(policy.jitter(|| 1.0)));
    send(&process.client, get("/")).await.unwrap();
    process
}

fn calls(counts: Counts) -> (usize, usize, usize) {
    (counts.logins, counts.refreshes, counts.double_spent)
}

#[tokio::test(start_paused = true)]
async fn with_a_valid_token_nothing_is_noticed_of_a_store_that_is_away() {
    let (world, store) = (World::new().lifetime(LIFE), MemoryStore::new());
    let process = signed_in(&world, &store, TestProvider::new(), RefreshPolicy::new()).await;
    process.store.is_unreachable();
    // The soft point: a flight is due, and fails.
    world.clock.advance(LIFE / 4 * 3);
    for answer in send_all(&process.client, 100).await {
        assert!(answer.is_ok());
    }
    process.session.settled().await;
    assert_eq!(calls(world.counts()), (0, 0, 0));
    assert_eq!(process.session.status().last_error, Some(ErrorKind::Store));
}

#[tokio::test(start_paused = true)]
async fn without_a_valid_token_the_error_says_that_the_store_is_away_and_nothing_is_spent() {
    let (world, store) = (World::new().lifetime(LIFE), MemoryStore::new());
    let process = signed_in(&world, &store, TestProvider::new(), RefreshPolicy::new()).await;
    process.store.is_unreachable();
    world.clock.advance(LIFE);
    let error = send(&process.client, get("/")).await.unwrap_err();
    assert_eq!((error.kind(), error.class()), (ErrorKind::Store, Some(FailureClass::Transient)));
    assert!(error.retry_at().is_some() && !error.needs_sign_in());
    let source = std::error::Error::source(&error).and_then(|source| source.downcast_ref::<StoreError>()).unwrap();
    assert_eq!(source.kind(), StoreErrorKind::Unavailable);
    assert_eq!(calls(world.counts()), (0, 0, 0));
    process.store.recover();
    world.clock.advance(Duration::from_secs(30));
    send(&process.client, get("/")).await.unwrap();
    assert_eq!(calls(world.counts()), (0, 1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_store_that_does_not_answer_is_given_three_seconds() {
    let (world, store) = (World::new().lifetime(LIFE), MemoryStore::new());
    let process = Process::new(&world, &store);
    process.store.always(Load, Trouble::Hangs);
    let before = now();
    assert_eq!(send(&process.client, get("/")).await.unwrap_err().kind(), ErrorKind::Store);
    assert!((Duration::from_secs(3)..Duration::from_millis(3100)).contains(&before.elapsed()));
}

#[tokio::test(start_paused = true)]
async fn a_refresh_token_that_may_be_used_again_is_used_without_a_lease() {
    let (world, store) = (World::new().lifetime(LIFE), MemoryStore::new());
    let reusable = TestProvider::new().with_single_use(false);
    let process = signed_in(&world, &store, reusable, RefreshPolicy::new()).await;
    process.store.is_unreachable();
    world.clock.advance(LIFE);
    send(&process.client, get("/")).await.unwrap();
    assert_eq!(calls(world.counts()), (0, 1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_policy_lets_a_single_use_refresh_token_be_spent_without_a_lease_and_stores_the_set_later() {
    let (world, store) = (World::new().lifetime(LIFE), MemoryStore::new());
    let policy = RefreshPolicy::new().refresh_without_store(true);
    let process = signed_in(&world, &store, TestProvider::new(), policy).await;
    process.store.is_unreachable();
    world.clock.advance(LIFE);
    send(&process.client, get("/")).await.unwrap();
    assert_eq!(calls(world.counts()), (0, 1, 0));
    assert!(process.session.status().unsaved);
    process.store.recover();
    process.session.settled().await;
    assert!(!process.session.status().unsaved);
    assert_eq!(stored(&store).await.unwrap().generation.get(), 8);
}

#[tokio::test(start_paused = true)]
async fn a_policy_keeps_even_a_reusable_refresh_token_while_the_store_is_away() {
    let (world, store) = (World::new().lifetime(LIFE), MemoryStore::new());
    let (provider, policy) =
        (TestProvider::new().with_single_use(false), RefreshPolicy::new().refresh_without_store(false));
    let process = signed_in(&world, &store, provider, policy).await;
    process.store.is_unreachable();
    world.clock.advance(LIFE);
    assert_eq!(send(&process.client, get("/")).await.unwrap_err().kind(), ErrorKind::Store);
    assert_eq!(calls(world.counts()), (0, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_mark_that_cannot_be_written_keeps_the_token_from_being_sent() {
    let (world, store) = (World::new().lifetime(LIFE), MemoryStore::new());
    let process = signed_in(&world, &store, TestProvider::new(), RefreshPolicy::new()).await;
    process.store.always(Save, Trouble::Fails);
    world.clock.advance(LIFE);
    assert_eq!(send(&process.client, get("/")).await.unwrap_err().kind(), ErrorKind::Store);
    assert_eq!(calls(world.counts()), (0, 0, 0));
    process.store.recover();
    world.clock.advance(Duration::from_secs(30));
    send(&process.client, get("/")).await.unwrap();
    assert_eq!(calls(world.counts()), (0, 1, 0), "nothing was in doubt");
}

/// The mark is written, and the write of the grant after it is not.
async fn a_grant_is_not_stored(process: &Process, world: &World, trouble: Trouble) {
    world.hold_idp();
    world.clock.advance(LIFE);
    let mut request = ByHand::started(send(&process.client, get("/")));
    let before = world.counts().refreshes;
    until(|| world.counts().refreshes > before).await;
    process.store.always(Save, trouble);
    world.release_idp();
    eventually(|| request.is_woken()).await;
    assert!(request.poll().is_ready());
}

#[tokio::test(start_paused = true)]
async fn a_grant_that_cannot_be_stored_is_used_and_told_and_stored_later() {
    let (world, store) = (World::new().lifetime(LIFE), MemoryStore::new());
    let process = signed_in(&world, &store, TestProvider::new(), RefreshPolicy::new()).await;
    let mut events = process.session.subscribe();
    a_grant_is_not_stored(&process, &world, Trouble::Fails).await;
    assert_eq!(world.tokens().last().unwrap(), "Bearer access-8");
    assert!(process.session.status().unsaved);
    assert!(stored(&store).await.unwrap().spending_since.is_some(), "the mark stands");
    assert!(matches!(events.recv().await, Some(Event::TokenChanged { generation }) if generation.get() == 8));
    let Some(Event::StoreFailed { generation, error }) = events.recv().await else { panic!("the store has failed") };
    assert_eq!((generation.get(), error.kind()), (8, StoreErrorKind::Unavailable));

    process.store.recover();
    process.session.settled().await;
    while !matches!(events.recv().await, Some(Event::Saved { generation }) if generation.get() == 8) {}
    let after = stored(&store).await.unwrap();
    assert_eq!((after.generation.get(), after.spending_since), (8, None));
    assert!(!process.session.status().unsaved);
    assert_eq!(calls(world.counts()), (0, 1, 0));
}

#[tokio::test(start_paused = true)]
async fn the_next_single_use_token_is_not_spent_before_the_last_set_is_stored() {
    let (world, store) = (World::new().lifetime(LIFE), MemoryStore::new());
    let process = signed_in(&world, &store, TestProvider::new(), RefreshPolicy::new()).await;
    a_grant_is_not_stored(&process, &world, Trouble::Fails).await;
    world.clock.advance(LIFE);
    assert_eq!(send(&process.client, get("/")).await.unwrap_err().kind(), ErrorKind::Store);
    assert_eq!(calls(world.counts()), (0, 1, 0));
    process.store.recover();
    process.session.settled().await;
    world.clock.advance(Duration::from_secs(30));
    send(&process.client, get("/")).await.unwrap();
    assert_eq!(calls(world.counts()), (0, 2, 0));
    assert_eq!(stored(&store).await.unwrap().generation.get(), 9);
}

#[tokio::test(start_paused = true)]
async fn a_policy_spends_the_next_token_although_the_last_set_is_not_stored() {
    let (world, store) = (World::new().lifetime(LIFE), MemoryStore::new());
    let policy = RefreshPolicy::new().refresh_without_store(true);
    let process = signed_in(&world, &store, TestProvider::new(), policy).await;
    a_grant_is_not_stored(&process, &world, Trouble::Fails).await;
    world.clock.advance(LIFE);
    send(&process.client, get("/")).await.unwrap();
    assert_eq!(calls(world.counts()), (0, 2, 0));
    process.store.recover();
    process.session.settled().await;
    let after = stored(&store).await.unwrap();
    assert_eq!((after.generation.get(), after.spending_since), (9, None));
}

#[tokio::test(start_paused = true)]
async fn a_grant_whose_write_was_not_confirmed_is_found_in_its_place() {
    let (world, store) = (World::new().lifetime(LIFE), MemoryStore::new());
    let process = signed_in(&world, &store, TestProvider::new(), RefreshPolicy::new()).await;
    process.store.calls();
    let mut events = process.session.subscribe();
    a_grant_is_not_stored(&process, &world, Trouble::AnswerLost).await;
    process.session.settled().await;
    let saves = process.store.calls().into_iter().filter(|call| *call == Save).count();
    assert_eq!(saves, 2, "the mark and the grant, which is there and not written again");
    while !matches!(events.recv().await, Some(Event::StoreFailed { .. })) {}
    assert!(matches!(events.recv().await, Some(Event::Saved { .. })));
    assert_eq!((stored(&store).await.unwrap().generation.get(), process.generation()), (8, 8));
}

#[tokio::test(start_paused = true)]
async fn a_lost_grant_gives_way_to_what_another_has_stored_since() {
    let (world, store) = (World::new().lifetime(LIFE), MemoryStore::new());
    let process = signed_in(&world, &store, TestProvider::new(), RefreshPolicy::new()).await;
    a_grant_is_not_stored(&process, &world, Trouble::Fails).await;
    // Another finds the mark and logs in.
    let other = Process::new(&world, &store);
    send(&other.client, get("/")).await.unwrap();
    assert_eq!((other.generation(), calls(world.counts())), (8, (1, 1, 0)));
    process.store.recover();
    process.session.settled().await;
    send(&process.client, get("/")).await.unwrap();
    assert_eq!(world.tokens().last().unwrap(), "Bearer access-9", "both carry what the login has brought");
    assert_eq!(stored(&store).await.unwrap().generation.get(), 8);
    let status = process.session.status();
    assert_eq!((status.generation.get(), status.unsaved), (8, false));
    assert_ne!(status.generation, other.session.status().generation, "it is told from the set of that number before");
}

#[tokio::test(start_paused = true)]
async fn a_sign_out_that_could_not_be_stored_takes_nobodys_number() {
    let (world, store) = (World::new().lifetime(LIFE), MemoryStore::new());
    let process = Process::new(&world, &store);
    send(&process.client, get("/")).await.unwrap();
    process.session.settled().await;
    process.store.wakes_nobody();
    // The saver fails, and so does the flight of the sign-in that comes before its next try.
    process.store.next(Save, Trouble::Fails);
    process.store.next(Save, Trouble::Fails);
    process.store.calls();
    process.session.sign_out();
    until(|| process.store.calls().contains(&Release)).await;
    for number in [2, 3] {
        world.grant(number);
        write(&store, set(&world, number, LIFE)).await;
    }
    assert_eq!(process.session.sign_in().await.unwrap_err().kind(), ErrorKind::Store);
    assert_eq!(stored(&store).await.unwrap().generation.get(), 3, "nothing is written where that has failed");
    assert!(process.session.status().unsaved);
    process.session.settled().await;
    let tombstone = stored(&store).await.unwrap();
    assert!(tombstone.signed_out_since.is_some());
    assert_eq!(tombstone.generation.get(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_cannot_be_given_back_is_no_failure() {
    let (world, store) = (World::new().lifetime(LIFE), MemoryStore::new());
    let process = Process::new(&world, &store);
    process.store.always(Release, Trouble::Fails);
    send(&process.client, get("/")).await.unwrap();
    process.session.settled().await;
    assert_eq!(calls(world.counts()), (1, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_anothers_lease_until_the_deadline_is_told_so() {
    use tower_auth_refresh::store::TokenStore;
    let (world, store) = (World::new().lifetime(LIFE), MemoryStore::new());
    let process = Process::new(&world, &store);
    let lease = store.try_lease(None).await.unwrap();
    let before = now();
    let error = send(&process.client, get("/")).await.unwrap_err();
    assert!((Duration::from_secs(30)..Duration::from_secs(31)).contains(&before.elapsed()));
    assert_eq!(error.kind(), ErrorKind::Store);
    let source = std::error::Error::source(&error).and_then(|source| source.downcast_ref::<StoreError>()).unwrap();
    assert_eq!(source.kind(), StoreErrorKind::Busy);
    drop(lease);
    world.clock.advance(Duration::from_secs(30));
    send(&process.client, get("/")).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_builders_token_set_serves_while_the_store_is_away_and_is_stored_when_it_is_back() {
    let (world, store) = (World::new(), MemoryStore::new());
    world.grant(7);
    let token = TestProvider::token(7, LIFE, world.clock.wall());
    let process = Process::with(&world, &store, builder(&world, TestProvider::new()).token(token));
    for call in [Load, Lease] {
        process.store.always(call, Trouble::Fails);
    }
    send(&process.client, get("/")).await.unwrap();
    assert!(process.session.status().unsaved);
    process.store.recover();
    process.session.settled().await;
    assert!(stored(&store).await.unwrap().token.is_some() && !process.session.status().unsaved);
    assert_eq!(calls(world.counts()), (0, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn the_builders_token_set_that_has_served_in_an_outage_gives_way_to_what_is_stored() {
    let (world, store) = (World::new(), MemoryStore::new());
    world.grant(8);
    write(&store, set(&world, 8, LIFE)).await;
    let token = TestProvider::token(7, LIFE, world.clock.wall());
    let process = Process::with(&world, &store, builder(&world, TestProvider::new()).token(token));
    process.store.next(Load, Trouble::Fails);
    process.session.token().await.unwrap();
    eventually(|| process.generation() == 8).await;
    assert_eq!(stored(&store).await.unwrap().generation.get(), 8);
    send(&process.client, get("/")).await.unwrap();
    assert_eq!((world.tokens(), calls(world.counts())), (vec![String::from("Bearer access-8")], (0, 0, 0)));
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_back_ends_the_backoff_after_its_failure() {
    let (world, store) = (World::new().lifetime(LIFE), MemoryStore::new());
    let process = Process::new(&world, &store);
    process.store.is_unreachable();
    // The backoff doubles from one second; no flight counts for the guard that never came to ask.
    for seconds in [1, 2, 4, 8, 16, 30] {
        assert_eq!(send(&process.client, get("/")).await.unwrap_err().kind(), ErrorKind::Store);
        world.clock.advance(Duration::from_secs(seconds));
    }
    assert_eq!(send(&process.client, get("/")).await.unwrap_err().kind(), ErrorKind::Store);
    process.store.recover();
    assert_eq!(send(&process.client, get("/")).await.unwrap_err().kind(), ErrorKind::Store, "nobody knows yet");
    // By its clocks the session is in the backoff of half a minute still.
    pass(Duration::from_secs(6)).await;
    send(&process.client, get("/")).await.unwrap();
    assert_eq!(world.counts().logins, 1);
}
