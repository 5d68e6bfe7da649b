//! Refused refreshes and refused logins, as the others learn of them: C17 and C50.

use std::time::Duration;

use http::StatusCode;
use tower_auth_refresh::{error::ErrorKind, provider::GrantKind, session::RefreshPolicy, store::MemoryStore};

use crate::support::{
    Counts, TestProvider, World,
    by_hand::{ByHand, until},
    fleet::{Call, Process, Trouble, builder, eventually, pass, set, stored, write},
    get, send,
};

const LIFE: Duration = Duration::from_secs(1000);

fn calls(counts: Counts) -> (usize, usize) {
    (counts.logins, counts.refreshes)
}

async fn refused(process: &Process) -> ErrorKind {
    send(&process.client, get("/")).await.unwrap_err().kind()
}

#[tokio::test(start_paused = true)]
async fn a_refused_login_is_made_by_no_other_process() {
    let (world, store) = (World::new().lifetime(LIFE), MemoryStore::new());
    world.idp().refuse(GrantKind::Login);
    for _ in 0..3 {
        assert_eq!(refused(&Process::new(&world, &store)).await, ErrorKind::Refused);
    }
    assert_eq!(calls(world.counts()), (1, 0));
    let stored = stored(&store).await.unwrap();
    assert!(stored.token.is_none() && stored.login_refused.is_some());
    let json = stored.to_json().unwrap();
    #[allow(clippy::disallowed_methods, reason = "the test looks at what is stored")]
    let json = tower_auth_refresh::token::ExposeSecret::expose_secret(&json);
    assert!(!json.contains("credentials"), "only a hash of what was sent is stored");
}

#[tokio::test(start_paused = true)]
async fn a_login_with_other_parameters_is_made() {
    let (world, store) = (World::new().lifetime(LIFE), MemoryStore::new());
    world.idp().refuse(GrantKind::Login);
    assert_eq!(refused(&Process::new(&world, &store)).await, ErrorKind::Refused);
    world.idp().unrefuse(GrantKind::Login);
    // Everything that the request says is a parameter.
    let moved = TestProvider::new().with_token_endpoint("https://idp.test:8443");
    let process = Process::with(&world, &store, builder(&world, moved));
    assert_eq!(send(&process.client, get("/")).await.unwrap().status(), StatusCode::OK);
    assert_eq!(calls(world.counts()), (2, 0));
    assert!(stored(&store).await.unwrap().login_refused.is_some(), "the other login is still refused");
}

#[tokio::test(start_paused = true)]
async fn a_sign_in_makes_a_refused_login_and_its_success_lets_all_log_in_again() {
    let (world, store) = (World::new().lifetime(LIFE), MemoryStore::new());
    world.idp().refuse(GrantKind::Login);
    let [one, other] = [(); 2].map(|()| Process::new(&world, &store));
    for process in [&one, &other] {
        assert_eq!(refused(process).await, ErrorKind::Refused);
    }
    world.idp().unrefuse(GrantKind::Login);
    one.session.sign_in().await.unwrap();
    assert!(stored(&store).await.unwrap().login_refused.is_none());
    eventually(|| other.generation() == one.generation()).await;
    assert_eq!(send(&other.client, get("/")).await.unwrap().status(), StatusCode::OK);
    world.idp().refuse(GrantKind::Refresh);
    world.clock.advance(LIFE);
    assert_eq!(send(&other.client, get("/")).await.unwrap().status(), StatusCode::OK);
    assert_eq!(calls(world.counts()), (3, 1), "refused, signed in, and logged in again behind a refused refresh");
}

#[tokio::test(start_paused = true)]
async fn a_refused_refresh_token_is_sent_by_no_other_process() {
    let (world, store) = (World::new().lifetime(LIFE), MemoryStore::new());
    world.grant(7);
    write(&store, set(&world, 7, LIFE)).await;
    world.clock.advance(LIFE);
    world.idp().refuse(GrantKind::Refresh);
    let process = || Process::with(&world, &store, builder(&world, TestProvider::without_login()));
    assert_eq!(refused(&process()).await, ErrorKind::Refused);
    for _ in 0..3 {
        assert_eq!(refused(&process()).await, ErrorKind::SignInRequired);
    }
    assert_eq!(calls(world.counts()), (0, 1));
    assert!(stored(&store).await.unwrap().token.is_some(), "its access token may still be good");
}

#[tokio::test(start_paused = true)]
async fn who_has_seen_the_mark_of_a_refresh_learns_of_its_refusal() {
    let (world, store) = (World::new().lifetime(LIFE), MemoryStore::new());
    world.grant(7);
    write(&store, set(&world, 7, LIFE)).await;
    let [one, other] = [(); 2].map(|()| Process::with(&world, &store, builder(&world, TestProvider::without_login())));
    for process in [&one, &other] {
        send(&process.client, get("/")).await.unwrap();
    }
    world.clock.advance(LIFE);
    world.idp().refuse(GrantKind::Refresh);
    world.hold_idp();
    let request = ByHand::started(send(&one.client, get("/")));
    until(|| world.counts().refreshes == 1).await;
    other.store.calls();
    pass(Duration::from_millis(100)).await;
    assert!(other.store.calls().contains(&Call::Load), "its watcher has seen the mark");
    world.release_idp();
    assert_eq!(request.rest().await.unwrap_err().kind(), ErrorKind::Refused);
    assert_eq!(refused(&other).await, ErrorKind::SignInRequired);
    assert_eq!(calls(world.counts()), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_refusal_does_not_count_where_another_has_rotated_the_token() {
    let (world, store) = (World::new().lifetime(LIFE), MemoryStore::new());
    world.grant(7);
    write(&store, set(&world, 7, LIFE)).await;
    let process = Process::with(&world, &store, builder(&world, TestProvider::without_login()));
    send(&process.client, get("/")).await.unwrap();
    world.clock.advance(LIFE);
    world.idp().refuse(GrantKind::Refresh);
    process.store.lasts(Duration::from_secs(9));
    process.store.takes_leases_away();
    world.hold_idp();
    let request = ByHand::started(send(&process.client, get("/")));
    until(|| world.counts().refreshes == 1).await;
    eventually(|| process.store.calls().contains(&Call::Renew)).await;
    world.grant(8);
    write(&store, set(&world, 8, LIFE)).await;
    world.release_idp();
    assert_eq!(request.rest().await.unwrap().status(), StatusCode::OK);
    assert_eq!(world.tokens().last().unwrap(), "Bearer access-8");
    assert_eq!((calls(world.counts()), process.generation()), ((0, 1), 8));
    assert!(stored(&store).await.unwrap().refresh_refused_since.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_refusal_counts_where_the_store_cannot_be_read_again() {
    let (world, store) = (World::new().lifetime(LIFE), MemoryStore::new());
    world.grant(7);
    write(&store, set(&world, 7, LIFE)).await;
    let process = Process::with(&world, &store, builder(&world, TestProvider::without_login()));
    send(&process.client, get("/")).await.unwrap();
    world.clock.advance(LIFE);
    world.idp().refuse(GrantKind::Refresh);
    world.hold_idp();
    let request = ByHand::started(send(&process.client, get("/")));
    until(|| world.counts().refreshes == 1).await;
    process.store.always(Call::Load, Trouble::Fails);
    world.release_idp();
    assert_eq!(request.rest().await.unwrap_err().kind(), ErrorKind::Refused);
}

#[tokio::test(start_paused = true)]
async fn a_refused_login_that_could_not_be_noted_at_once_is_noted_later() {
    let (world, store) = (World::new().lifetime(LIFE), MemoryStore::new());
    world.idp().refuse(GrantKind::Login);
    let process = Process::new(&world, &store);
    process.store.next(Call::Save, Trouble::Fails);
    process.store.next(Call::Save, Trouble::Fails);
    assert_eq!(refused(&process).await, ErrorKind::Refused);
    assert!(process.session.status().unsaved);
    process.session.settled().await;
    assert!(!process.session.status().unsaved);
    assert!(stored(&store).await.unwrap().login_refused.is_some());
    assert_eq!(refused(&Process::new(&world, &store)).await, ErrorKind::Refused);
    assert_eq!(calls(world.counts()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_refused_login_is_noted_later_where_the_flight_went_without_the_store() {
    let (world, store) = (World::new().lifetime(LIFE), MemoryStore::new());
    world.idp().refuse(GrantKind::Login);
    let policy = RefreshPolicy::new().jitter(|| 1.0).refresh_without_store(true);
    let process = Process::with(&world, &store, builder(&world, TestProvider::new()).policy(policy));
    process.store.is_unreachable();
    assert_eq!(refused(&process).await, ErrorKind::Refused);
    process.store.recover();
    process.session.settled().await;
    assert!(stored(&store).await.unwrap().login_refused.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_refused_refresh_token_that_could_not_be_noted_at_once_is_noted_later() {
    let (world, store) = (World::new().lifetime(LIFE), MemoryStore::new());
    world.grant(7);
    write(&store, set(&world, 7, LIFE)).await;
    world.clock.advance(LIFE);
    world.idp().refuse(GrantKind::Refresh);
    let process = || Process::with(&world, &store, builder(&world, TestProvider::without_login()));
    let first = process();
    world.hold_idp();
    let request = ByHand::started(send(&first.client, get("/")));
    until(|| world.counts().refreshes == 1).await;
    first.store.next(Call::Save, Trouble::Fails);
    world.release_idp();
    assert_eq!(request.rest().await.unwrap_err().kind(), ErrorKind::Refused);
    first.session.settled().await;
    let found = stored(&store).await.unwrap();
    assert!(found.refresh_refused_since.is_some() && found.spending_since.is_none());
    assert_eq!(found.generation.get(), 7, "the same token set");
    assert_eq!(refused(&process()).await, ErrorKind::SignInRequired);
    assert_eq!(calls(world.counts()), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_late_note_gives_way_to_what_another_has_stored_since() {
    let (world, store) = (World::new().lifetime(LIFE), MemoryStore::new());
    world.idp().refuse(GrantKind::Login);
    let [one, other] = [(); 2].map(|()| Process::new(&world, &store));
    one.store.always(Call::Save, Trouble::Fails);
    assert_eq!(refused(&one).await, ErrorKind::Refused);
    // The password was right after all.
    world.idp().unrefuse(GrantKind::Login);
    other.session.sign_in().await.unwrap();
    eventually(|| one.generation() == other.generation()).await;
    assert!(!one.session.status().unsaved, "it waits for no write of its own");
    one.store.recover();
    one.session.settled().await;
    let found = stored(&store).await.unwrap();
    assert!(found.token.is_some() && found.login_refused.is_none());
    assert_eq!(send(&one.client, get("/")).await.unwrap().status(), StatusCode::OK);
    assert_eq!(calls(world.counts()), (2, 0));
}
