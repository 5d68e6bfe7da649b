//! Looks into the store that come to nothing, too late or never: C6, C17, C40 and C44.

use std::time::Duration;

use http::StatusCode;
use tower_auth_refresh::{
    provider::GrantKind,
    session::{Condition, RefreshPolicy},
    store::{MemoryStore, Swap, TokenStore},
    token::{Generation, Stored, TokenSet},
};

use super::{LIFE, odd::Odd, over, signed_in, told};
use crate::support::{
    TestProvider, World,
    by_hand::{ByHand, until},
    fleet::{Call, Process, Trouble, eventually, pass, set, stored, write},
    get, send,
};

#[tokio::test(start_paused = true)]
async fn a_session_that_could_not_look_when_another_signed_in_looks_again() {
    let (world, store) = (World::new().lifetime(LIFE), MemoryStore::new());
    let process = signed_in(&world, &store, TestProvider::new(), RefreshPolicy::new()).await;
    let since = world.clock.wall();
    write(&store, Stored::signed_out(Generation::from(8), since)).await;
    eventually(|| process.session.status().condition == Condition::SignedOut).await;
    process.store.always(Call::Load, Trouble::Fails);
    world.grant(9);
    write(&store, set(&world, 9, LIFE)).await;
    pass(Duration::from_millis(100)).await;
    process.store.recover();
    pass(Duration::from_secs(60)).await;
    assert_eq!(send(&process.client, get("/")).await.unwrap().status(), StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn what_another_stores_during_a_login_that_is_refused_then_is_taken_over() {
    let (world, store) = (World::new().lifetime(LIFE), MemoryStore::new());
    world.idp().refuse(GrantKind::Login);
    let process = Process::new(&world, &store);
    process.store.lasts(Duration::from_secs(9));
    process.store.takes_leases_away();
    world.hold_idp();
    let request = ByHand::started(send(&process.client, get("/")));
    until(|| world.counts().logins == 1).await;
    eventually(|| process.store.calls().contains(&Call::Renew)).await;
    world.grant(7);
    write(&store, set(&world, 7, LIFE)).await;
    pass(Duration::from_millis(100)).await;
    world.release_idp();
    // This one may have been told of the refusal.
    let _ = request.rest().await;
    pass(Duration::from_secs(60)).await;
    assert_eq!(send(&process.client, get("/")).await.unwrap().status(), StatusCode::OK);
    assert_eq!(world.counts().token_calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_look_that_began_before_a_grant_does_not_bring_the_old_set_back() {
    let (world, store) = (World::new().lifetime(LIFE), MemoryStore::new());
    world.grant(7);
    write(&store, set(&world, 7, LIFE)).await;
    let odd = Odd::new(&store);
    let (session, client) = over(&world, &odd, TestProvider::new(), RefreshPolicy::new());
    send(&client, get("/")).await.unwrap();
    pass(Duration::from_millis(100)).await;
    world.hold_idp();
    world.clock.advance(LIFE);
    let request = ByHand::started(send(&client, get("/")));
    until(|| world.counts().refreshes == 1).await;
    let mut events = session.subscribe();
    // The watcher is told of the mark, and what it reads is on its way.
    odd.answers_late(true);
    pass(Duration::from_millis(100)).await;
    world.release_idp();
    request.rest().await.unwrap();
    odd.answers_late(false);
    pass(Duration::from_millis(100)).await;
    assert_eq!(told(&mut events).await, (1, 0), "there was one change");
    assert_eq!(session.status().generation.get(), 8);
}

/// As a person writes: no number, and no lease.
async fn write_by_hand(store: &MemoryStore, token: TokenSet) {
    let over = stored(store).await.map(|stored| stored.version());
    let lease = store.try_lease(None).await.unwrap().unwrap();
    assert_eq!(lease.save(over, &Stored::new(token, Generation::default())).await.unwrap(), Swap::Done);
}

#[tokio::test(start_paused = true)]
async fn a_token_set_that_a_person_writes_over_another_is_taken_over_without_a_number() {
    let (world, store) = (World::new().lifetime(LIFE), MemoryStore::new());
    write_by_hand(&store, TokenSet::new("mistyped")).await;
    let process = Process::with(&world, &store, crate::support::fleet::builder(&world, TestProvider::without_login()));
    assert_eq!(send(&process.client, get("/")).await.unwrap().status(), StatusCode::UNAUTHORIZED);
    world.grant(7);
    write_by_hand(&store, TokenSet::new("access-7")).await;
    pass(Duration::from_secs(60)).await;
    assert_eq!(send(&process.client, get("/")).await.unwrap().status(), StatusCode::OK);
}
