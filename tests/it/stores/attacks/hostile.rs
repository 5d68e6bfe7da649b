//! Stores that panic, hang or forget at the worst moment: C17, C40, C44, C46, C49 and C52.

use std::time::Duration;

use http::StatusCode;
use tower_auth_refresh::{
    error::ErrorKind,
    provider::GrantKind,
    session::{Event, RefreshPolicy},
    store::{MemoryStore, TokenStore},
    token::{Expiry, Generation, TokenSet},
};

use super::{LIFE, calls, odd::Odd, over, signed_in};
use crate::support::{
    TestProvider, World,
    by_hand::{ByHand, until},
    fleet::{Call, Process, Trouble, builder, eventually, pass, set, stored, write},
    get, send,
};

#[tokio::test(start_paused = true)]
async fn settled_waits_for_a_write_that_a_panic_has_interrupted() {
    let (world, store) = (World::new().lifetime(LIFE), MemoryStore::new());
    let process = Process::new(&world, &store);
    process.store.next(Call::Save, Trouble::Fails);
    process.store.next(Call::Save, Trouble::Panics);
    send(&process.client, get("/")).await.unwrap();
    process.session.settled().await;
    assert!(!process.session.status().unsaved);
    assert!(stored(&store).await.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_write_that_has_panicked_is_tried_again_without_anybody_who_asks() {
    let (world, store) = (World::new().lifetime(LIFE), MemoryStore::new());
    let process = Process::new(&world, &store);
    process.store.wakes_nobody();
    process.store.next(Call::Save, Trouble::Fails);
    process.store.next(Call::Save, Trouble::Panics);
    send(&process.client, get("/")).await.unwrap();
    pass(Duration::from_secs(60)).await;
    assert!(!process.session.status().unsaved);
}

#[tokio::test(start_paused = true)]
async fn a_renewal_that_panics_does_not_lose_what_is_being_granted() {
    let (world, store) = (World::new().lifetime(LIFE), MemoryStore::new());
    let process = signed_in(&world, &store, TestProvider::without_login(), RefreshPolicy::new()).await;
    process.store.lasts(Duration::from_secs(9));
    process.store.next(Call::Renew, Trouble::Panics);
    world.hold_idp();
    world.clock.advance(LIFE);
    let request = ByHand::started(send(&process.client, get("/")));
    until(|| world.counts().refreshes == 1).await;
    pass(Duration::from_secs(4)).await;
    world.release_idp();
    let _ = request.rest().await;
    pass(Duration::from_secs(5)).await;
    world.clock.advance(Duration::from_secs(5));
    assert_eq!(send(&process.client, get("/")).await.unwrap().status(), StatusCode::OK);
    assert_eq!(calls(world.counts()), (0, 1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_panic_where_a_grant_is_stored_is_told_as_any_failure_of_the_store() {
    let (world, store) = (World::new().lifetime(LIFE), MemoryStore::new());
    let process = Process::new(&world, &store);
    let mut events = process.session.subscribe();
    process.store.next(Call::Save, Trouble::Panics);
    send(&process.client, get("/")).await.unwrap();
    process.session.settled().await;
    let mut is_told = false;
    while let std::task::Poll::Ready(Some(event)) = ByHand::new(events.recv()).poll() {
        is_told |= matches!(event, Event::StoreFailed { .. });
    }
    assert!(is_told);
}

#[tokio::test(start_paused = true)]
async fn what_was_granted_without_a_lease_goes_over_an_old_copy_that_was_restored() {
    let (world, store) = (World::new().lifetime(LIFE), MemoryStore::new());
    let policy = RefreshPolicy::new().refresh_without_store(true);
    let restored = MemoryStore::new();
    let old = write(&restored, set(&world, 6, LIFE)).await;
    drop(store.try_lease(old.fence).await.unwrap());
    world.grant(7);
    write(&store, set(&world, 7, LIFE)).await;
    let odd = Odd::new(&store);
    let (session, client) = over(&world, &odd, TestProvider::without_login(), policy);
    send(&client, get("/")).await.unwrap();
    // Nobody answers: it is refreshed without.
    odd.is_away(true);
    world.clock.advance(LIFE);
    send(&client, get("/")).await.unwrap();
    assert_eq!(calls(world.counts()), (0, 1, 0));
    assert!(session.status().unsaved);
    odd.is_now(&restored);
    odd.is_away(false);
    session.settled().await;
    assert!(!session.status().unsaved);
    assert_eq!(stored(&restored).await.unwrap().generation.get(), 8, "what is not unsaved is stored");
}

#[tokio::test(start_paused = true)]
async fn a_store_that_hangs_for_longer_than_a_flight_may_take_is_a_store_that_is_away() {
    let (world, store) = (World::new().lifetime(LIFE), MemoryStore::new());
    let policy = RefreshPolicy::new().flight_deadline(Duration::from_secs(2)).unwrap();
    let process = signed_in(&world, &store, TestProvider::new(), policy).await;
    process.store.always(Call::Load, Trouble::Hangs);
    world.clock.advance(LIFE);
    assert_eq!(send(&process.client, get("/")).await.unwrap_err().kind(), ErrorKind::Store);
}

#[tokio::test(start_paused = true)]
async fn a_reusable_refresh_token_is_used_although_the_store_hangs_for_longer_than_a_flight_may_take() {
    let (world, store) = (World::new().lifetime(LIFE), MemoryStore::new());
    let policy = RefreshPolicy::new().flight_deadline(Duration::from_secs(2)).unwrap();
    let process = signed_in(&world, &store, TestProvider::new().with_single_use(false), policy).await;
    process.store.always(Call::Load, Trouble::Hangs);
    world.clock.advance(LIFE);
    assert!(send(&process.client, get("/")).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_login_that_was_refused_is_not_repeated_although_the_flight_ends_before_that_is_noted() {
    let (world, store) = (World::new().lifetime(LIFE), MemoryStore::new());
    let process = Process::new(&world, &store);
    world.idp().refuse(GrantKind::Login);
    world.hold_idp();
    let request = ByHand::started(send(&process.client, get("/")));
    until(|| world.counts().logins == 1).await;
    pass(Duration::from_secs(28)).await;
    process.store.next(Call::Save, Trouble::Hangs);
    world.release_idp();
    request.rest().await.unwrap_err();
    world.clock.advance(Duration::from_secs(60));
    send(&process.client, get("/")).await.unwrap_err();
    assert_eq!(world.counts().logins, 1, "wrong passwords freeze accounts");
}

#[tokio::test(start_paused = true)]
async fn a_refresh_that_was_refused_is_not_repeated_although_the_flight_ends_before_that_is_noted() {
    let (world, store) = (World::new().lifetime(LIFE), MemoryStore::new());
    let process = signed_in(&world, &store, TestProvider::without_login(), RefreshPolicy::new()).await;
    world.idp().refuse(GrantKind::Refresh);
    world.hold_idp();
    world.clock.advance(LIFE);
    let request = ByHand::started(send(&process.client, get("/")));
    until(|| world.counts().refreshes == 1).await;
    pass(Duration::from_secs(28)).await;
    process.store.next(Call::Load, Trouble::Hangs);
    world.release_idp();
    request.rest().await.unwrap_err();
    world.clock.advance(Duration::from_secs(60));
    send(&process.client, get("/")).await.unwrap_err();
    assert_eq!(world.counts().refreshes, 1);
}

#[tokio::test(start_paused = true)]
async fn a_set_whose_write_was_not_confirmed_is_not_put_over_what_was_made_of_it() {
    let (world, store) = (World::new().lifetime(LIFE), MemoryStore::new());
    let one = signed_in(&world, &store, TestProvider::without_login(), RefreshPolicy::new()).await;
    let other = Process::with(&world, &store, builder(&world, TestProvider::without_login()));
    world.grant(8);
    one.store.next(Call::Save, Trouble::AnswerLost);
    one.session.set(TestProvider::token(8, LIFE, world.clock.wall())).unwrap();
    until(|| one.store.calls().contains(&Call::Save)).await;
    // It is stored, and the other has it. Its access token ends early.
    world.revoke_access();
    assert_eq!(send(&other.client, get("/")).await.unwrap().status(), StatusCode::OK);
    assert_eq!(world.tokens().last().unwrap(), "Bearer access-9");
    one.session.settled().await;
    pass(Duration::from_secs(1)).await;
    for process in [&one, &other] {
        assert_eq!(send(&process.client, get("/")).await.unwrap().status(), StatusCode::OK);
    }
    assert_eq!(calls(world.counts()), (0, 1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_sign_out_whose_write_was_not_confirmed_is_written_once() {
    let (world, store) = (World::new().lifetime(LIFE), MemoryStore::new());
    let one = signed_in(&world, &store, TestProvider::new(), RefreshPolicy::new()).await;
    let other = Process::new(&world, &store);
    send(&other.client, get("/")).await.unwrap();
    let mut events = other.session.subscribe();
    one.store.next(Call::Save, Trouble::AnswerLost);
    one.session.sign_out();
    one.session.settled().await;
    pass(Duration::from_secs(1)).await;
    let mut signed_out = 0;
    while let std::task::Poll::Ready(Some(event)) = ByHand::new(events.recv()).poll() {
        signed_out += usize::from(matches!(event, Event::SignedOut { .. }));
    }
    assert_eq!((signed_out, one.generation(), other.generation()), (1, 8, 8));
}

#[test]
fn settled_does_not_wait_for_a_lease_that_is_held_on_a_runtime_that_nobody_drives() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    let (world, store) = (World::new().lifetime(LIFE), MemoryStore::new());
    let process = Process::new(&world, &store);
    let (idle, driven) = (runtime(), runtime());
    world.hold_idp();
    idle.block_on(async {
        let _request = ByHand::started(send(&process.client, get("/")));
        until(|| world.counts().logins == 1).await;
    });
    driven.block_on(async {
        let settled = async {
            #[allow(clippy::disallowed_methods, reason = "under paused time")]
            tokio::time::timeout(Duration::from_secs(1000), process.session.settled()).await
        };
        assert!(settled.await.is_ok());
    });
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_lasts_no_time_does_not_make_a_flight_spin() {
    for lasts in [Duration::ZERO, Duration::from_nanos(1)] {
        let (world, store) = (World::new().lifetime(LIFE), MemoryStore::new());
        let policy = RefreshPolicy::new().flight_deadline(Duration::from_secs(1)).unwrap();
        let process = signed_in(&world, &store, TestProvider::new(), policy).await;
        process.store.lasts(lasts);
        process.store.hold_saves();
        process.store.calls();
        world.clock.advance(LIFE);
        let mut request = ByHand::started(send(&process.client, get("/")));
        for _ in 0..1000 {
            tokio::task::yield_now().await;
        }
        let renewals = process.store.calls().into_iter().filter(|call| *call == Call::Renew).count();
        assert!(renewals < 200, "{renewals} renewals");
        drop(request.poll());
        process.store.release_saves();
        let _ = request.rest().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_lasts_for_ever_is_a_lease() {
    let (world, store) = (World::new().lifetime(LIFE), MemoryStore::new());
    let process = signed_in(&world, &store, TestProvider::new(), RefreshPolicy::new()).await;
    process.store.lasts(Duration::MAX);
    world.clock.advance(LIFE);
    send(&process.client, get("/")).await.unwrap();
    assert_eq!(calls(world.counts()), (0, 1, 0));
}

#[tokio::test(start_paused = true)]
async fn what_no_file_could_hold_is_refused_where_it_is_set_or_does_not_end_the_session() {
    let folder = crate::support::folder::Folder::new();
    let world = World::new().lifetime(LIFE);
    let store = tower_auth_refresh::store::FileStore::new(folder.path("token.json"));
    let session = builder(&world, TestProvider::new()).store(store).build().unwrap();
    let client = crate::support::client(&world, &session);
    let end = Expiry::At(world.clock.wall() + LIFE);
    let empty = TokenSet::new("access-7").with_refresh_token("").with_expiry(end);
    session.set(empty).unwrap();
    world.clock.advance(LIFE);
    assert_eq!(
        send(&client, get("/")).await.map(|answer| answer.status()).map_err(|error| error.kind()),
        Ok(StatusCode::OK)
    );
}

#[tokio::test(start_paused = true)]
async fn a_store_that_hands_out_generations_at_their_end_goes_on() {
    let (world, store) = (World::new().lifetime(LIFE), MemoryStore::new());
    let (one, other) = (Process::new(&world, &store), Process::new(&world, &store));
    world.grant(7);
    let mut last = set(&world, 7, LIFE);
    last.generation = Generation::from(u64::MAX);
    write(&store, last).await;
    for refreshes in 1..4 {
        for process in [&one, &other] {
            assert_eq!(send(&process.client, get("/")).await.unwrap().status(), StatusCode::OK);
        }
        world.clock.advance(LIFE);
        for process in [&one, &other] {
            assert_eq!(send(&process.client, get("/")).await.unwrap().status(), StatusCode::OK);
        }
        assert_eq!(calls(world.counts()), (0, refreshes, 0));
    }
    one.session.set(TestProvider::token(10, LIFE, world.clock.wall())).unwrap();
    one.session.settled().await;
    eventually(|| other.generation() == one.generation()).await;
}

#[tokio::test(start_paused = true)]
async fn a_sign_out_beside_the_largest_generation_is_stored_and_heard() {
    let (world, store) = (World::new().lifetime(LIFE), MemoryStore::new());
    let (one, other) = (Process::new(&world, &store), Process::new(&world, &store));
    world.grant(7);
    let mut last = set(&world, 7, LIFE);
    last.generation = Generation::from(u64::MAX);
    write(&store, last).await;
    for process in [&one, &other] {
        send(&process.client, get("/")).await.unwrap();
    }
    one.session.sign_out();
    one.session.settled().await;
    pass(Duration::from_secs(1)).await;
    assert_eq!(send(&other.client, get("/")).await.unwrap_err().kind(), ErrorKind::SignedOut);
}

#[tokio::test(start_paused = true)]
async fn a_session_that_is_signed_out_learns_of_a_sign_in_although_its_watcher_has_panicked() {
    let (world, store) = (World::new().lifetime(LIFE), MemoryStore::new());
    let process = signed_in(&world, &store, TestProvider::new(), RefreshPolicy::new()).await;
    process.session.sign_out();
    process.session.settled().await;
    pass(Duration::from_secs(1)).await;
    process.store.next(Call::Load, Trouble::Panics);
    let other = Process::new(&world, &store);
    other.session.sign_in().await.unwrap();
    pass(Duration::from_secs(60)).await;
    assert_eq!(send(&process.client, get("/")).await.unwrap().status(), StatusCode::OK);
}
