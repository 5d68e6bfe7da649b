//! What was found out or granted while the store was in trouble, and what becomes of it then: C17, C42, C46, C50 and C51.

use std::time::Duration;

use http::StatusCode;
use tower_auth_refresh::{
    error::ErrorKind,
    provider::GrantKind,
    session::RefreshPolicy,
    store::{MemoryStore, Swap, TokenStore},
    test_util::Fault,
    token::{Generation, Stored},
};

use super::{LIFE, calls, signed_in};
use crate::support::{
    TestProvider, World,
    by_hand::{ByHand, until},
    fleet::{Call, Process, Trouble, builder, eventually, pass, set, stored, write},
    get, send,
};

fn without_store() -> RefreshPolicy {
    RefreshPolicy::new().jitter(|| 1.0).refresh_without_store(true)
}

/// What is in place is refreshed twice: while the store is away, and when it is back.
async fn is_refreshed_without_the_store_and_with_it_again(process: &Process, world: &World) {
    world.clock.advance(LIFE);
    send(&process.client, get("/")).await.unwrap();
    process.store.recover();
    process.session.settled().await;
    world.clock.advance(LIFE);
    assert_eq!(send(&process.client, get("/")).await.unwrap().status(), StatusCode::OK);
}

/// A refresh whose grant is stored without a word: the write of it is done, and no answer comes.
async fn refreshes_without_a_word(process: &Process, world: &World) {
    world.hold_idp();
    world.clock.advance(LIFE);
    let request = ByHand::started(send(&process.client, get("/")));
    let before = world.counts().refreshes;
    until(|| world.counts().refreshes > before).await;
    process.store.next(Call::Save, Trouble::AnswerLost);
    process.store.always(Call::Lease, Trouble::Fails);
    world.release_idp();
    request.rest().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_was_granted_without_the_store_goes_over_the_set_before_it_that_was_stored_without_a_word() {
    let (world, store) = (World::new().lifetime(LIFE), MemoryStore::new());
    let process = signed_in(&world, &store, TestProvider::without_login(), without_store()).await;
    refreshes_without_a_word(&process, &world).await;
    assert_eq!(stored(&store).await.unwrap().generation.get(), 8);
    process.store.is_unreachable();
    world.clock.advance(LIFE);
    send(&process.client, get("/")).await.unwrap();
    assert_eq!(calls(world.counts()), (0, 2, 0));
    process.store.recover();
    process.session.settled().await;
    send(&process.client, get("/")).await.unwrap();
    assert_eq!(world.tokens().last().unwrap(), "Bearer access-9");
    world.clock.advance(LIFE);
    assert_eq!(send(&process.client, get("/")).await.unwrap().status(), StatusCode::OK);
    assert_eq!(calls(world.counts()), (0, 3, 0), "no refresh token is sent twice");
}

#[tokio::test(start_paused = true)]
async fn what_was_granted_for_a_change_that_was_stored_without_a_word_goes_over_it() {
    let (world, store) = (World::new().lifetime(LIFE), MemoryStore::new());
    let process = signed_in(&world, &store, TestProvider::without_login(), without_store()).await;
    world.grant(20);
    process.store.next(Call::Save, Trouble::AnswerLost);
    process.store.calls();
    process.session.set(TestProvider::token(20, LIFE, world.clock.wall())).unwrap();
    until(|| process.store.calls().contains(&Call::Save)).await;
    process.store.is_unreachable();
    is_refreshed_without_the_store_and_with_it_again(&process, &world).await;
    assert_eq!(calls(world.counts()), (0, 2, 0), "no refresh token is sent twice");
}

#[tokio::test(start_paused = true)]
async fn what_was_granted_for_a_change_that_was_never_stored_goes_over_what_others_have_stored_since() {
    let (world, store) = (World::new().lifetime(LIFE), MemoryStore::new());
    let reusable = TestProvider::without_login().with_single_use(false);
    let process = signed_in(&world, &store, reusable, RefreshPolicy::new()).await;
    process.store.is_unreachable();
    world.grant(20);
    process.session.set(TestProvider::token(20, LIFE, world.clock.wall())).unwrap();
    world.clock.advance(LIFE);
    send(&process.client, get("/")).await.unwrap();
    assert_eq!(world.tokens().last().unwrap(), "Bearer access-21");
    write(&store, set(&world, 8, LIFE)).await;
    process.store.recover();
    process.session.settled().await;
    send(&process.client, get("/")).await.unwrap();
    assert_eq!(world.tokens().last().unwrap(), "Bearer access-21", "the application has the last word");
}

#[tokio::test(start_paused = true)]
async fn what_was_granted_for_the_builders_set_goes_over_it_where_that_was_stored_without_a_word() {
    let (world, store) = (World::new().lifetime(LIFE), MemoryStore::new());
    world.grant(7);
    let token = TestProvider::token(7, LIFE, world.clock.wall());
    let process = Process::with(
        &world,
        &store,
        builder(&world, TestProvider::without_login()).policy(without_store()).token(token),
    );
    process.store.next(Call::Save, Trouble::AnswerLost);
    let load = process.store.clone();
    load.next(Call::Load, Trouble::Fails);
    send(&process.client, get("/")).await.unwrap();
    until(|| process.store.calls().contains(&Call::Save)).await;
    process.store.is_unreachable();
    assert!(stored(&store).await.is_some());
    is_refreshed_without_the_store_and_with_it_again(&process, &world).await;
    assert_eq!(calls(world.counts()), (0, 2, 0), "no refresh token is sent twice");
}

#[tokio::test(start_paused = true)]
async fn a_refusal_of_what_the_store_does_not_hold_yet_counts_although_the_store_can_be_read() {
    let (world, store) = (World::new().lifetime(LIFE), MemoryStore::new());
    let reusable = TestProvider::without_login().with_single_use(false);
    let process = signed_in(&world, &store, reusable, RefreshPolicy::new()).await;
    // As a full server, or a folder that is read-only by now.
    process.store.always(Call::Lease, Trouble::Fails);
    world.clock.advance(LIFE);
    send(&process.client, get("/")).await.unwrap();
    world.idp().refuse(GrantKind::Refresh);
    world.clock.advance(LIFE);
    for _ in 0..3 {
        let _ = send(&process.client, get("/")).await.unwrap_err();
        world.clock.advance(Duration::from_secs(30));
    }
    assert_eq!(calls(world.counts()), (0, 2, 0), "one that is granted, one that is refused");
}

#[tokio::test(start_paused = true)]
async fn a_refused_token_is_not_sent_again_although_what_another_has_brought_cannot_be_read_at_once() {
    let (world, store) = (World::new().lifetime(LIFE), MemoryStore::new());
    let process = signed_in(&world, &store, TestProvider::without_login(), without_store()).await;
    process.store.wakes_nobody();
    process.store.always(Call::Lease, Trouble::Fails);
    world.clock.advance(LIFE);
    world.hold_idp();
    // Another was faster.
    world.idp().refuse(GrantKind::Refresh);
    let request = ByHand::started(send(&process.client, get("/")));
    until(|| world.counts().refreshes == 1).await;
    world.grant(8);
    write(&store, set(&world, 8, LIFE)).await;
    process.store.calls();
    process.store.hold_answers_of_loads();
    world.release_idp();
    until(|| process.store.calls().contains(&Call::Load)).await;
    process.store.is_unreachable();
    process.store.release_answers_of_loads();
    let _ = request.rest().await.unwrap_err();
    world.clock.advance(Duration::from_secs(30));
    let _ = send(&process.client, get("/")).await;
    assert_eq!(world.counts().refreshes, 1);
    process.store.recover();
    pass(Duration::from_secs(60)).await;
    assert_eq!(send(&process.client, get("/")).await.unwrap().status(), StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn a_refused_login_that_is_not_noted_yet_is_noted_with_the_set_that_the_application_sets() {
    let (world, store) = (World::new().lifetime(LIFE), MemoryStore::new());
    world.idp().refuse(GrantKind::Login);
    let process = Process::new(&world, &store);
    process.store.always(Call::Save, Trouble::Fails);
    assert_eq!(send(&process.client, get("/")).await.unwrap_err().kind(), ErrorKind::Refused);
    world.grant(7);
    process.session.set(TestProvider::token(7, LIFE, world.clock.wall())).unwrap();
    process.store.recover();
    process.session.settled().await;
    assert!(stored(&store).await.unwrap().login_refused.is_some());
    world.idp().refuse(GrantKind::Refresh);
    world.clock.advance(LIFE);
    let _ = send(&Process::new(&world, &store).client, get("/")).await.unwrap_err();
    assert_eq!(calls(world.counts()), (1, 1, 0), "no wrong password is sent a second time");
}

#[tokio::test(start_paused = true)]
async fn a_refused_login_of_a_flight_without_the_store_is_noted_with_what_is_not_stored_yet() {
    let (world, store) = (World::new().lifetime(LIFE), MemoryStore::new());
    let process = signed_in(&world, &store, TestProvider::new(), without_store()).await;
    process.store.is_unreachable();
    world.clock.advance(LIFE);
    send(&process.client, get("/")).await.unwrap();
    world.idp().refuse(GrantKind::Refresh);
    world.idp().refuse(GrantKind::Login);
    world.clock.advance(LIFE);
    let _ = send(&process.client, get("/")).await.unwrap_err();
    process.store.recover();
    process.session.settled().await;
    let found = stored(&store).await.unwrap();
    assert!(found.refresh_refused_since.is_some() && found.login_refused.is_some());
    let _ = send(&Process::new(&world, &store).client, get("/")).await.unwrap_err();
    assert_eq!(calls(world.counts()), (1, 2, 0), "no wrong password is sent a second time");
}

#[tokio::test(start_paused = true)]
async fn a_late_note_is_written_beside_the_mark_that_another_has_set_and_cleared_since() {
    let (world, store) = (World::new().lifetime(LIFE), MemoryStore::new());
    let process = signed_in(&world, &store, TestProvider::new(), RefreshPolicy::new()).await;
    world.idp().refuse(GrantKind::Login);
    world.hold_idp();
    let request = ByHand::started(process.session.sign_in());
    until(|| world.counts().logins == 1).await;
    process.store.always(Call::Save, Trouble::Fails);
    world.release_idp();
    assert_eq!(request.rest().await.unwrap_err().kind(), ErrorKind::Refused);
    let other = Process::new(&world, &store);
    send(&other.client, get("/")).await.unwrap();
    world.clock.advance(LIFE);
    crate::scene::idp_answers(&world, StatusCode::SERVICE_UNAVAILABLE);
    let _ = send(&other.client, get("/")).await.unwrap_err();
    other.session.settled().await;
    world.unscript();
    pass(Duration::from_secs(5)).await;
    process.store.recover();
    process.session.settled().await;
    eventually(|| !process.session.status().unsaved).await;
    assert!(stored(&store).await.unwrap().login_refused.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_doubt_that_came_without_the_store_is_told_when_that_is_back() {
    let (world, store) = (World::new().lifetime(LIFE), MemoryStore::new());
    let process = signed_in(&world, &store, TestProvider::new(), without_store()).await;
    process.store.is_unreachable();
    world.clock.advance(LIFE);
    // The server has rotated the token, and its answer is lost.
    world.idp().fail([Fault::DropAfter]);
    let _ = send(&process.client, get("/")).await.unwrap_err();
    process.store.recover();
    process.session.settled().await;
    let other = Process::new(&world, &store);
    send(&other.client, get("/")).await.unwrap();
    assert_eq!(calls(world.counts()), (1, 1, 0), "the other logs in");
}

#[tokio::test(start_paused = true)]
async fn a_doubt_that_came_without_the_store_is_not_forgotten_where_another_has_stored_the_same_set() {
    let (world, store) = (World::new().lifetime(LIFE), MemoryStore::new());
    world.grant(7);
    let token = TestProvider::token(7, LIFE, world.clock.wall());
    let [one, other] = [(); 2].map(|()| {
        let builder = builder(&world, TestProvider::new()).policy(without_store()).token(token.clone());
        Process::with(&world, &store, builder)
    });
    send(&other.client, get("/")).await.unwrap();
    other.session.settled().await;
    one.store.is_unreachable();
    world.clock.advance(LIFE);
    world.idp().fail([Fault::DropAfter]);
    let _ = send(&one.client, get("/")).await.unwrap_err();
    one.store.recover();
    one.session.settled().await;
    world.clock.advance(Duration::from_secs(30));
    send(&one.client, get("/")).await.unwrap();
    assert_eq!(calls(world.counts()), (1, 1, 0), "it logs in");
}

#[tokio::test(start_paused = true)]
async fn a_set_brings_no_refusal_back_of_a_login_that_has_succeeded_since() {
    let (world, store) = (World::new().lifetime(LIFE), MemoryStore::new());
    world.idp().refuse(GrantKind::Login);
    let [one, other] = [(); 2].map(|()| Process::new(&world, &store));
    for process in [&one, &other] {
        assert_eq!(send(&process.client, get("/")).await.unwrap_err().kind(), ErrorKind::Refused);
        process.session.settled().await;
        process.store.wakes_nobody();
    }
    world.idp().unrefuse(GrantKind::Login);
    one.store.hold_answers_of_loads();
    other.session.sign_in().await.unwrap();
    assert!(stored(&store).await.unwrap().login_refused.is_none());
    one.session.set(TestProvider::token(7, LIFE, world.clock.wall())).unwrap();
    one.store.release_answers_of_loads();
    one.session.settled().await;
    let last = stored(&store).await.unwrap();
    assert!(last.changed_under.is_some() && last.login_refused.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_late_note_leaves_what_a_person_has_written_meanwhile() {
    let (world, store) = (World::new().lifetime(LIFE), MemoryStore::new());
    let by_hand = |number| Stored::new(TestProvider::token(number, LIFE, world.clock.wall()), Generation::default());
    let put = async |number| {
        let over = stored(&store).await.map(|stored| stored.version());
        let lease = store.try_lease(None).await.unwrap().unwrap();
        assert_eq!(lease.save(over, &by_hand(number)).await.unwrap(), Swap::Done);
    };
    world.grant(7);
    put(7).await;
    let process = Process::new(&world, &store);
    process.store.wakes_nobody();
    send(&process.client, get("/")).await.unwrap();
    world.idp().refuse(GrantKind::Login);
    process.store.always(Call::Save, Trouble::Fails);
    assert_eq!(process.session.sign_in().await.unwrap_err().kind(), ErrorKind::Refused);
    assert!(process.session.status().unsaved);
    // Nobody looks before the note is tried again.
    process.store.always(Call::Load, Trouble::Fails);
    pass(Duration::from_millis(100)).await;
    world.grant(9);
    put(9).await;
    process.store.recover();
    process.session.settled().await;
    let last = stored(&store).await.unwrap();
    assert!(last.fence.is_none() && last.login_refused.is_none(), "it is as the person has written it");
    assert_eq!(send(&process.client, get("/")).await.unwrap().status(), StatusCode::OK);
}
