//! Turns at a store that overlap, and answers of a store that are lost in a row: C42, C49, C50 and C51.

use std::{
    future::{Future, pending},
    pin::Pin,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use http::StatusCode;
use tokio::sync::watch;
use tower_auth_refresh::{
    error::ErrorKind,
    provider::GrantKind,
    session::RefreshPolicy,
    store::{Lease, MemoryStore, StoreFuture, Swap, TokenStore},
    token::{FencingToken, Generation, Stored, Version},
};

use super::{LIFE, calls, odd::Odd, over, signed_in};
use crate::support::{
    TestProvider, World,
    by_hand::{ByHand, until},
    fleet::{Call, Process, Trouble, builder, eventually, now, pass, set, stored, write},
    get, send,
};

#[tokio::test(start_paused = true)]
async fn a_mark_under_a_lost_lease_is_not_overwritten_by_whoever_has_not_seen_it() {
    let (world, store) = (World::new().lifetime(LIFE), MemoryStore::new());
    world.grant(7);
    let forgetful = Forgetful { inner: store.clone(), holds_marks: watch::Sender::new(true) };
    let one = builder(&world, TestProvider::new()).token(TestProvider::token(7, LIFE, world.clock.wall()));
    let one = crate::support::client(&world, &one.store(forgetful.clone()).build().unwrap());
    let other = Process::new(&world, &store);
    other.store.hold_saves();
    world.clock.advance(LIFE);
    world.hold_idp();
    let first = ByHand::started(send(&one, get("/")));
    eventually(|| forgetful.holds_marks.receiver_count() > 0).await;
    // It has stored the set that it began with, and its mark is on its way while the other takes the next turn.
    let second = ByHand::started(send(&other.client, get("/")));
    until(|| other.store.calls().contains(&Call::Save)).await;
    forgetful.holds_marks.send_replace(false);
    eventually(|| world.counts().refreshes == 1).await;
    other.store.release_saves();
    eventually(|| world.counts().logins == 1).await;
    world.release_idp();
    for request in [first, second] {
        assert_eq!(request.rest().await.unwrap().status(), StatusCode::OK);
    }
    assert_eq!(calls(world.counts()), (1, 1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_look_that_a_write_overtakes_brings_no_older_set_back_that_a_person_has_written() {
    let (world, store) = (World::new().lifetime(LIFE), MemoryStore::new());
    world.grant(7);
    world.grant(9);
    let by_hand = Stored::new(TestProvider::token(7, LIFE * 10, world.clock.wall()), Generation::from(7));
    let lease = store.try_lease(None).await.unwrap().unwrap();
    assert_eq!(lease.save(None, &by_hand).await.unwrap(), Swap::Done);
    drop(lease);
    let process = Process::with(&world, &store, builder(&world, TestProvider::without_login()));
    process.store.wakes_nobody();
    process.store.hold_saves();
    process.session.set(TestProvider::token(9, LIFE, world.clock.wall())).unwrap();
    until(|| process.store.calls().contains(&Call::Save)).await;
    world.clock.advance(LIFE);
    process.store.hold_answers_of_loads();
    let request = ByHand::started(send(&process.client, get("/")));
    until(|| process.store.calls().contains(&Call::Load)).await;
    process.store.release_saves();
    eventually(|| !process.session.status().unsaved).await;
    process.store.release_answers_of_loads();
    assert_eq!(request.rest().await.unwrap().status(), StatusCode::OK);
    assert!(!world.tokens().contains(&"Bearer access-7".to_owned()));
    assert_eq!(calls(world.counts()), (0, 1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_mark_that_was_stored_without_a_word_is_known_although_the_next_one_fails() {
    let (world, store) = (World::new().lifetime(LIFE), MemoryStore::new());
    let process = signed_in(&world, &store, TestProvider::new(), RefreshPolicy::new()).await;
    process.store.next(Call::Save, Trouble::AnswerLost);
    process.store.next(Call::Save, Trouble::Fails);
    world.clock.advance(LIFE);
    for _ in 0..2 {
        assert_eq!(send(&process.client, get("/")).await.unwrap_err().kind(), ErrorKind::Store);
        world.clock.advance(Duration::from_secs(30));
    }
    assert_eq!(send(&process.client, get("/")).await.unwrap().status(), StatusCode::OK);
    assert_eq!(calls(world.counts()), (0, 1, 0), "nothing was ever in doubt");
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_told_at_once_although_the_lease_cannot_be_given_back() {
    let (world, store) = (World::new().lifetime(LIFE), MemoryStore::new());
    let process = signed_in(&world, &store, TestProvider::without_login(), RefreshPolicy::new()).await;
    world.idp().refuse(GrantKind::Refresh);
    process.store.always(Call::Release, Trouble::Hangs);
    world.clock.advance(LIFE);
    let before = now();
    assert_eq!(send(&process.client, get("/")).await.unwrap_err().kind(), ErrorKind::Refused);
    assert_eq!(before.elapsed(), Duration::ZERO);
    process.session.settled().await;
    assert!(before.elapsed() >= Duration::from_secs(3), "it has tried to");
}

#[tokio::test(start_paused = true)]
async fn what_another_has_brought_is_told_at_once_although_the_lease_cannot_be_given_back() {
    let (world, store) = (World::new().lifetime(LIFE), MemoryStore::new());
    let process = signed_in(&world, &store, TestProvider::new(), RefreshPolicy::new()).await;
    process.store.wakes_nobody();
    process.store.hold_leases();
    world.clock.advance(LIFE);
    process.store.calls();
    let request = ByHand::started(send(&process.client, get("/")));
    until(|| process.store.calls().contains(&Call::Lease)).await;
    world.grant(8);
    write(&store, set(&world, 8, LIFE)).await;
    process.store.always(Call::Release, Trouble::Hangs);
    process.store.release_leases();
    let before = now();
    assert_eq!(request.rest().await.unwrap().status(), StatusCode::OK);
    assert_eq!((before.elapsed(), world.counts().token_calls()), (Duration::ZERO, 0));
}

#[tokio::test(start_paused = true)]
async fn a_sign_out_whose_write_was_not_confirmed_does_not_end_a_later_sign_in() {
    let (world, store) = (World::new().lifetime(LIFE), MemoryStore::new());
    let [one, other] = [(); 2].map(|()| Process::new(&world, &store));
    for process in [&one, &other] {
        send(&process.client, get("/")).await.unwrap();
        process.session.settled().await;
    }
    one.store.next(Call::Save, Trouble::AnswerLost);
    one.session.sign_out();
    eventually(|| other.generation() == 2).await;
    other.session.sign_in().await.unwrap();
    one.session.settled().await;
    pass(Duration::from_secs(60)).await;
    for process in [&one, &other] {
        assert_eq!(send(&process.client, get("/")).await.unwrap().status(), StatusCode::OK);
        assert_eq!(process.generation(), 3);
    }
    assert_eq!(stored(&store).await.unwrap().changed_under.map(FencingToken::get), Some(2));
}

#[tokio::test(start_paused = true)]
async fn a_set_that_was_never_stored_goes_over_what_others_have_stored_since() {
    let (world, store) = (World::new().lifetime(LIFE), MemoryStore::new());
    let one = signed_in(&world, &store, TestProvider::new(), RefreshPolicy::new()).await;
    one.store.next(Call::Save, Trouble::Fails);
    one.store.calls();
    one.session.set(TestProvider::token(9, LIFE, world.clock.wall())).unwrap();
    until(|| one.store.calls().contains(&Call::Save)).await;
    let other = Process::new(&world, &store);
    world.revoke_access();
    send(&other.client, get("/")).await.unwrap();
    assert_eq!(stored(&store).await.unwrap().generation.get(), 8);
    one.session.settled().await;
    let last = stored(&store).await.unwrap();
    assert_eq!((last.generation.get(), last.changed_under), (9, last.fence), "the application has the last word");
}

#[tokio::test(start_paused = true)]
async fn without_a_lease_too_a_refusal_does_not_count_where_another_has_rotated_the_token() {
    let (world, store) = (World::new().lifetime(LIFE), MemoryStore::new());
    let policy = RefreshPolicy::new().jitter(|| 1.0).refresh_without_store(true);
    let process = Process::with(&world, &store, builder(&world, TestProvider::without_login()).policy(policy));
    world.grant(7);
    write(&store, set(&world, 7, LIFE)).await;
    send(&process.client, get("/")).await.unwrap();
    process.store.wakes_nobody();
    process.store.always(Call::Lease, Trouble::Fails);
    world.clock.advance(LIFE);
    world.hold_idp();
    world.idp().refuse(GrantKind::Refresh);
    let request = ByHand::started(send(&process.client, get("/")));
    until(|| world.counts().refreshes == 1).await;
    world.grant(8);
    write(&store, set(&world, 8, LIFE)).await;
    world.release_idp();
    assert_eq!(request.rest().await.unwrap().status(), StatusCode::OK);
    assert_eq!(world.tokens().last().unwrap(), "Bearer access-8");
    assert_eq!(calls(world.counts()), (0, 1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_number_that_a_flushed_store_gives_again_is_another_generation() {
    let (world, store) = (World::new().lifetime(LIFE), MemoryStore::new());
    let (odd, flushed) = (Odd::new(&store), MemoryStore::new());
    let (session, client) = over(&world, &odd, TestProvider::new(), RefreshPolicy::new());
    send(&client, get("/")).await.unwrap();
    world.revoke_access();
    send(&client, get("/")).await.unwrap();
    let second = session.status().generation;
    assert_eq!(second.get(), 2);
    // Others begin with 1 again, and come to 2.
    drop(flushed.try_lease(stored(&store).await.unwrap().fence).await.unwrap());
    for number in [1, 2] {
        let mut other = set(&world, 10 + number, LIFE);
        other.generation = Generation::from(number);
        write(&flushed, other).await;
        odd.is_now(&flushed);
        eventually(|| session.status().generation.get() == number).await;
    }
    assert_ne!(session.status().generation, second);
}

#[tokio::test(start_paused = true)]
async fn the_set_that_all_begin_with_is_the_same_whoever_has_stored_it() {
    let (world, store) = (World::new().lifetime(LIFE), MemoryStore::new());
    world.grant(7);
    let token = TestProvider::token(7, LIFE, world.clock.wall());
    let [one, other] = [(); 2]
        .map(|()| Process::with(&world, &store, builder(&world, TestProvider::without_login()).token(token.clone())));
    one.store.wakes_nobody();
    one.store.always(Call::Load, Trouble::Fails);
    for process in [&one, &other] {
        assert_eq!(send(&process.client, get("/")).await.unwrap().status(), StatusCode::OK);
    }
    other.session.settled().await;
    world.revoke_access();
    one.store.recover();
    assert_eq!(
        send(&one.client, get("/")).await.unwrap().status(),
        StatusCode::OK,
        "it is refreshed and not taken over"
    );
    assert_eq!(calls(world.counts()), (0, 1, 0));
}

/// A store that gives each lease to the next who asks, and holds back what is written under it after the first time.
#[derive(Clone)]
struct Forgetful {
    inner: MemoryStore,
    holds_marks: watch::Sender<bool>,
}

struct Forgotten {
    lease: Box<dyn Lease>,
    store: Forgetful,
    writes: AtomicUsize,
}

impl TokenStore for Forgetful {
    fn load(&self) -> StoreFuture<'_, Option<Stored>> {
        self.inner.load()
    }

    fn try_lease(&self, above: Option<FencingToken>) -> StoreFuture<'_, Option<Box<dyn Lease>>> {
        Box::pin(async move {
            let Some(lease) = self.inner.try_lease(above).await? else { return Ok(None) };
            lease.release().await?;
            let lease = Forgotten { lease, store: self.clone(), writes: AtomicUsize::new(0) };
            Ok(Some(Box::new(lease) as Box<dyn Lease>))
        })
    }

    fn changed(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(pending())
    }
}

impl Lease for Forgotten {
    fn fence(&self) -> FencingToken {
        self.lease.fence()
    }

    fn lasts(&self) -> Option<Duration> {
        Some(Duration::from_secs(10))
    }

    fn renew(&self) -> StoreFuture<'_, ()> {
        self.lease.renew()
    }

    fn save<'a>(&'a self, expected: Option<Version>, stored: &'a Stored) -> StoreFuture<'a, Swap> {
        Box::pin(async move {
            if self.writes.fetch_add(1, Ordering::Relaxed) > 0 {
                let _ = self.store.holds_marks.subscribe().wait_for(|holds| !holds).await;
            }
            self.lease.save(expected, stored).await
        })
    }

    fn release(&self) -> StoreFuture<'_, ()> {
        self.lease.release()
    }
}
