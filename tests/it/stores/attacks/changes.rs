//! What the application changes while others do: C23, C42.

use http::StatusCode;
use tower_auth_refresh::{
    session::RefreshPolicy,
    store::MemoryStore,
    token::{Generation, Stored},
};

use super::{LIFE, calls, signed_in};
use crate::support::{
    TestProvider, World,
    by_hand::{ByHand, until},
    fleet::{Process, set, write},
    get, send,
};

#[tokio::test(start_paused = true)]
async fn a_rejected_set_that_was_stored_under_another_number_meanwhile_is_refreshed() {
    let (world, store) = (World::new().lifetime(LIFE), MemoryStore::new());
    write(&store, set(&world, 5, LIFE)).await;
    let process = Process::new(&world, &store);
    world.grant(7);
    world.revoke_access();
    process.session.set(TestProvider::token(7, LIFE, world.clock.wall())).unwrap();
    world.hold_api();
    let request = ByHand::started(send(&process.client, get("/")));
    until(|| world.counts().api == 1).await;
    process.session.settled().await;
    world.release_api();
    assert_eq!(request.rest().await.unwrap().status(), StatusCode::OK);
    assert_eq!((world.counts().api, calls(world.counts())), (2, (0, 1, 0)));
}

#[tokio::test(start_paused = true)]
async fn a_sign_in_that_waits_for_a_refresh_is_made_where_that_learns_of_a_sign_out() {
    let (world, store) = (World::new().lifetime(LIFE), MemoryStore::new());
    let process = signed_in(&world, &store, TestProvider::new(), RefreshPolicy::new()).await;
    process.store.wakes_nobody();
    tokio::task::yield_now().await;
    // Another process has signed out before.
    write(&store, Stored::signed_out(Generation::from(8), world.clock.wall())).await;
    world.clock.advance(LIFE);
    let _request = ByHand::started(send(&process.client, get("/")));
    let sign_in = ByHand::started(process.session.sign_in());
    sign_in.rest().await.unwrap();
    assert_eq!(send(&process.client, get("/")).await.unwrap().status(), StatusCode::OK);
    assert_eq!(calls(world.counts()), (1, 0, 0));
}
