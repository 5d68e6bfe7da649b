//! Refresh tokens that may be spent, and logins that were refused: C17, C48, C50 and C51.

use std::time::Duration;

use http::StatusCode;
use tower_auth_refresh::{
    error::ErrorKind,
    provider::GrantKind,
    session::RefreshPolicy,
    store::{MemoryStore, TokenStore},
    token::FencingToken,
};

use super::{
    LIFE, calls,
    odd::{Odd, Saves},
    over, signed_in,
};
use crate::support::{
    TestProvider, World,
    by_hand::ByHand,
    fleet::{Call, Process, Trouble, builder, eventually, set, stored, write},
    get, send,
};

/// A store in which nothing is, and whose fencing tokens go on all the same, as those of real ones do.
async fn flushed() -> MemoryStore {
    let flushed = MemoryStore::new();
    drop(flushed.try_lease(Some(FencingToken::from(100))).await.unwrap());
    flushed
}

#[tokio::test(start_paused = true)]
async fn a_set_in_a_flushed_store_that_has_the_number_of_the_forgotten_one_is_told_from_it() {
    let (world, store) = (World::new().lifetime(LIFE), MemoryStore::new());
    let odd = Odd::new(&store);
    let (_session, client) = over(&world, &odd, TestProvider::new(), RefreshPolicy::new());
    send(&client, get("/")).await.unwrap();
    let flushed = flushed().await;
    odd.is_now(&flushed);
    // A process that starts now finds nothing, logs in, and calls its set 1 as well.
    let other = Process::new(&world, &flushed);
    send(&other.client, get("/")).await.unwrap();
    assert_eq!(calls(world.counts()), (2, 0, 0));
    assert_eq!(send(&client, get("/")).await.unwrap().status(), StatusCode::OK);
    assert_eq!(calls(world.counts()), (2, 0, 0), "the set that the other has stored is taken over");
    assert_eq!(world.tokens().last().unwrap(), "Bearer access-2");
}

#[tokio::test(start_paused = true)]
async fn a_sign_in_that_fails_leaves_the_mark_of_another() {
    let (world, store) = (World::new().lifetime(LIFE), MemoryStore::new());
    world.grant(7);
    let mut marked = set(&world, 7, LIFE);
    marked.spending_since = Some(world.clock.wall());
    write(&store, marked).await;
    // The server has rotated the token, and who asked for that is dead.
    world.grant(8);
    world.clock.advance(LIFE);
    let process = Process::new(&world, &store);
    crate::scene::idp_answers(&world, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(process.session.sign_in().await.unwrap_err().kind(), ErrorKind::Unavailable);
    assert!(stored(&store).await.unwrap().spending_since.is_some(), "nobody knows any better");
    world.unscript();
    world.clock.advance(Duration::from_secs(30));
    send(&process.client, get("/")).await.unwrap();
    assert_eq!(calls(world.counts()), (2, 0, 0), "the failed login and another one");
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_is_known_to_be_lost_is_taken_anew_before_anything_is_sent() {
    let (world, store) = (World::new().lifetime(LIFE), MemoryStore::new());
    let process = signed_in(&world, &store, TestProvider::new(), RefreshPolicy::new()).await;
    process.store.lasts(Duration::from_secs(6));
    process.store.takes_leases_away();
    process.store.hold_saves();
    world.clock.advance(LIFE);
    let request = ByHand::started(send(&process.client, get("/")));
    eventually(|| process.store.calls().contains(&Call::Renew)).await;
    process.store.release_saves();
    request.rest().await.unwrap();
    let leases = process.store.calls().into_iter().filter(|call| *call == Call::Lease).count();
    assert_eq!((leases, calls(world.counts())), (1, (0, 1, 0)), "a second lease, and one refresh");
}

#[tokio::test(start_paused = true)]
async fn a_flight_that_ends_before_it_has_sent_anything_leaves_the_refresh_token_unspent() {
    let (world, store) = (World::new().lifetime(LIFE), MemoryStore::new());
    let policy = RefreshPolicy::new().flight_deadline(Duration::from_secs(2)).unwrap();
    let process = signed_in(&world, &store, TestProvider::new(), policy).await;
    process.store.always(Call::Save, Trouble::Hangs);
    world.clock.advance(LIFE);
    send(&process.client, get("/")).await.unwrap_err();
    assert_eq!(calls(world.counts()), (0, 0, 0));
    process.store.recover();
    world.clock.advance(Duration::from_secs(30));
    send(&process.client, get("/")).await.unwrap();
    assert_eq!(calls(world.counts()), (0, 1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_mark_of_ones_own_whose_write_was_not_confirmed_leaves_nothing_in_doubt() {
    let (world, store) = (World::new().lifetime(LIFE), MemoryStore::new());
    let process = signed_in(&world, &store, TestProvider::new(), RefreshPolicy::new()).await;
    process.store.next(Call::Save, Trouble::AnswerLost);
    world.clock.advance(LIFE);
    send(&process.client, get("/")).await.unwrap_err();
    world.clock.advance(Duration::from_secs(30));
    send(&process.client, get("/")).await.unwrap();
    assert_eq!(calls(world.counts()), (0, 1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_refused_refresh_reads_the_store_once_more_and_not_for_ever() {
    let (world, store) = (World::new().lifetime(LIFE), MemoryStore::new());
    world.grant(7);
    write(&store, set(&world, 7, LIFE)).await;
    let odd = Odd::new(&store);
    let (_session, client) = over(&world, &odd, TestProvider::without_login(), RefreshPolicy::new());
    send(&client, get("/")).await.unwrap();
    world.clock.advance(LIFE);
    world.idp().refuse(GrantKind::Refresh);
    // What is read lags behind what was written.
    odd.saves(Saves::Nowhere);
    send(&client, get("/")).await.unwrap_err();
    assert!(world.counts().refreshes <= 2, "refused {} times", world.counts().refreshes);
}

#[tokio::test(start_paused = true)]
async fn a_token_set_that_the_application_sets_does_not_take_back_that_a_login_was_refused() {
    let (world, store) = (World::new().lifetime(LIFE), MemoryStore::new());
    world.idp().refuse(GrantKind::Login);
    assert_eq!(send(&Process::new(&world, &store).client, get("/")).await.unwrap_err().kind(), ErrorKind::Refused);
    let process = Process::new(&world, &store);
    world.grant(7);
    process.session.set(TestProvider::token(7, LIFE, world.clock.wall())).unwrap();
    process.session.settled().await;
    assert!(stored(&store).await.unwrap().login_refused.is_some());
    world.idp().refuse(GrantKind::Refresh);
    world.clock.advance(LIFE);
    send(&process.client, get("/")).await.unwrap_err();
    assert_eq!(calls(world.counts()), (1, 1, 0), "no wrong password is sent a second time");
}

#[tokio::test(start_paused = true)]
async fn the_builders_token_set_is_used_where_the_store_holds_no_more_than_a_refused_login() {
    let (world, store) = (World::new().lifetime(LIFE), MemoryStore::new());
    world.idp().refuse(GrantKind::Login);
    assert_eq!(send(&Process::new(&world, &store).client, get("/")).await.unwrap_err().kind(), ErrorKind::Refused);
    world.grant(7);
    let token = TestProvider::token(7, LIFE, world.clock.wall());
    let process = Process::with(&world, &store, builder(&world, TestProvider::new()).token(token));
    send(&process.client, get("/")).await.unwrap();
    assert_eq!((world.tokens(), calls(world.counts())), (vec![String::from("Bearer access-7")], (1, 0, 0)));
    let stored = stored(&store).await.unwrap();
    assert!(stored.token.is_some() && stored.login_refused.is_some());
}
