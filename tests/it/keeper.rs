//! The opt-in keeper: refreshes without traffic (C13).

use std::time::Duration;

use http::StatusCode;
use tower_auth_refresh::{
    Session,
    session::{Condition, RefreshPolicy},
    token::TokenSet,
};

use crate::{
    scene::{
        LIFE, MILLISECOND, Reply, full_jitter, idp_answers, let_the_flight_run, no_jitter, poll_once, reply, seconds,
        session_with, signed_in,
    },
    support::{TestProvider, World, client, get, send},
};

/// Both clocks and the runtime's move together, in steps that no sleep of the keeper is longer than.
async fn pass(world: &World, time: Duration) {
    let mut left = time;
    while !left.is_zero() {
        let step = left.min(seconds(1));
        world.clock.advance(step);
        tokio::time::advance(step).await;
        let_the_flight_run().await;
        left -= step;
    }
}

/// The keeper on a task of its own.
fn keep(session: &Session<TestProvider>) -> tokio::task::JoinHandle<()> {
    #[allow(clippy::disallowed_methods, reason = "as an application spawns it")]
    tokio::spawn(session.keep_fresh())
}

fn unavailable(retry_after: &'static str) -> Reply {
    reply(StatusCode::SERVICE_UNAVAILABLE, "").map(|mut answer| {
        answer.headers_mut().insert(http::header::RETRY_AFTER, http::HeaderValue::from_static(retry_after));
        answer
    })
}

#[tokio::test(start_paused = true)]
async fn the_successor_is_fetched_at_the_soft_point_without_any_request() {
    let world = World::new();
    let session = signed_in(&world, TestProvider::new(), no_jitter());
    let keeper = keep(&session);
    pass(&world, seconds(799)).await;
    assert_eq!(world.counts().token_calls(), 0);

    pass(&world, seconds(1)).await;
    assert_eq!((world.counts().refreshes, session.status().condition), (1, Condition::Fresh));

    pass(&world, seconds(800) * 9).await;
    assert_eq!(world.counts().refreshes, 10);
    assert_eq!((world.counts().double_spent, world.counts().logins), (0, 0));
    keeper.abort();
}

#[tokio::test(start_paused = true)]
async fn the_successor_is_fetched_no_later_than_thirty_seconds_after_the_machine_has_slept() {
    let world = World::new();
    let session = signed_in(&world, TestProvider::new(), no_jitter());
    let keeper = keep(&session);
    pass(&world, seconds(10)).await;

    world.clock.suspend(LIFE);
    pass(&world, seconds(30)).await;

    assert_eq!((world.counts().refreshes, session.status().condition), (1, Condition::Fresh));
    keeper.abort();
}

#[tokio::test(start_paused = true)]
async fn a_wall_clock_that_is_set_back_does_not_put_it_off() {
    let world = World::new();
    let session = signed_in(&world, TestProvider::new(), no_jitter());
    let keeper = keep(&session);
    world.clock.step_back(LIFE);
    pass(&world, seconds(800)).await;
    assert_eq!(world.counts().refreshes, 1);
    keeper.abort();
}

#[tokio::test(start_paused = true)]
async fn a_token_set_from_outside_is_kept_by_its_own_soft_point() {
    let world = World::new();
    let session = signed_in(&world, TestProvider::new(), no_jitter());
    let keeper = keep(&session);
    pass(&world, seconds(10)).await;

    session.set(TestProvider::token(8, seconds(10), world.clock.wall())).unwrap();
    world.grant(8);
    pass(&world, seconds(8)).await;
    assert_eq!(world.counts().refreshes, 1);
    keeper.abort();
}

#[tokio::test(start_paused = true)]
async fn after_a_failure_it_tries_again_when_the_backoff_ends_and_not_before() {
    let world = World::new();
    let session = signed_in(&world, TestProvider::new(), full_jitter());
    world.script_idp(|_| Some(unavailable("100")));
    let keeper = keep(&session);
    pass(&world, seconds(700)).await;
    assert_eq!(world.counts().token_calls(), 1);

    pass(&world, seconds(99)).await;
    assert_eq!(world.counts().token_calls(), 1);
    world.unscript();
    pass(&world, seconds(1)).await;
    assert_eq!((world.counts().token_calls(), session.status().condition), (2, Condition::Fresh));
    keeper.abort();
}

#[tokio::test(start_paused = true)]
async fn after_a_refusal_it_rests_until_there_is_another_token_set() {
    let world = World::new();
    let session = signed_in(&world, TestProvider::without_login(), no_jitter());
    idp_answers(&world, StatusCode::BAD_REQUEST);
    let keeper = keep(&session);
    pass(&world, LIFE * 2).await;
    assert_eq!(world.counts().token_calls(), 1);

    world.unscript();
    session.set(TestProvider::token(9, LIFE, world.clock.wall())).unwrap();
    world.grant(9);
    pass(&world, seconds(800)).await;
    assert_eq!(world.counts().token_calls(), 2);
    keeper.abort();
}

#[tokio::test(start_paused = true)]
async fn a_session_without_a_token_is_left_alone() {
    let world = World::new();
    let session = session_with(&world, TestProvider::new(), no_jitter());
    let keeper = keep(&session);
    pass(&world, LIFE).await;
    assert_eq!(world.counts().token_calls(), 0);

    session.sign_in().await.unwrap();
    pass(&world, seconds(800)).await;
    assert_eq!((world.counts().logins, world.counts().refreshes), (1, 1));

    session.sign_out();
    pass(&world, LIFE).await;
    assert_eq!(world.counts().token_calls(), 2);
    keeper.abort();
}

#[tokio::test(start_paused = true)]
async fn a_token_of_unknown_expiry_is_left_alone_until_it_is_rejected() {
    let world = World::new();
    let session = session_with(&world, TestProvider::new(), no_jitter());
    session.set(TokenSet::new("access-7").with_refresh_token("refresh-7")).unwrap();
    world.grant(7);
    let keeper = keep(&session);
    pass(&world, LIFE).await;
    assert_eq!(world.counts().token_calls(), 0);

    world.revoke_access();
    assert!(send(&client(&world, &session), get("/")).await.unwrap().status().is_success());
    assert_eq!(world.counts().refreshes, 1);
    keeper.abort();
}

#[tokio::test(start_paused = true)]
async fn a_rejected_token_whose_refresh_failed_is_renewed_when_the_backoff_ends() {
    let world = World::new();
    let session = signed_in(&world, TestProvider::new(), no_jitter());
    let keeper = keep(&session);
    world.script_idp(|_| Some(unavailable("100")));
    world.revoke_access();
    let answer = send(&client(&world, &session), get("/")).await.unwrap();
    assert_eq!((answer.status(), world.counts().refreshes), (StatusCode::UNAUTHORIZED, 1));

    world.unscript();
    pass(&world, seconds(99)).await;
    assert_eq!(world.counts().refreshes, 1);
    pass(&world, seconds(1)).await;
    assert_eq!((world.counts().refreshes, session.status().condition), (2, Condition::Fresh));
    keeper.abort();
}

#[tokio::test(start_paused = true)]
async fn it_obeys_the_refresh_guard() {
    let world = World::new().lifetime(Duration::from_secs(1));
    let policy: RefreshPolicy = no_jitter().guard(2, seconds(600)).unwrap();
    let policy = policy.guard_exempt_after(100, seconds(3600)).unwrap();
    let session = signed_in(&world, TestProvider::new(), policy);
    session.set(TestProvider::token(7, seconds(1), world.clock.wall())).unwrap();
    let keeper = keep(&session);
    pass(&world, seconds(500)).await;
    assert_eq!(world.counts().token_calls(), 2);
    keeper.abort();
}

#[tokio::test(start_paused = true)]
async fn it_joins_the_flight_of_a_request_instead_of_starting_its_own() {
    let world = World::new();
    let session = signed_in(&world, TestProvider::new(), no_jitter());
    world.hold_idp();
    world.clock.advance(seconds(800));
    assert!(send(&client(&world, &session), get("/")).await.is_ok());
    let keeper = keep(&session);
    let_the_flight_run().await;
    world.release_idp();
    session.settled().await;
    let_the_flight_run().await;
    assert_eq!(world.counts().token_calls(), 1);
    keeper.abort();
}

#[tokio::test(start_paused = true)]
async fn dropped_in_the_middle_of_a_refresh_it_loses_nothing() {
    let world = World::new();
    let session = signed_in(&world, TestProvider::new(), no_jitter());
    world.clock.advance(seconds(800));
    world.hold_idp();
    let mut keeper = Box::pin(session.keep_fresh());
    assert!(poll_once(&mut keeper).is_pending());
    let_the_flight_run().await;
    drop(keeper);
    world.release_idp();
    session.settled().await;
    assert_eq!((world.counts().refreshes, session.status().condition), (1, Condition::Fresh));
}

#[tokio::test(start_paused = true)]
async fn it_ends_with_the_last_handle_to_its_session() {
    let world = World::new();
    let session = signed_in(&world, TestProvider::new(), no_jitter());
    let keeper = keep(&session);
    let_the_flight_run().await;
    assert!(!keeper.is_finished());
    drop(session);
    let_the_flight_run().await;
    assert!(keeper.is_finished());
}

#[test]
fn outside_of_a_runtime_it_ends_at_once() {
    let world = World::new();
    let session = signed_in(&world, TestProvider::new(), no_jitter());
    let mut keeper = Box::pin(session.keep_fresh());
    assert!(poll_once(&mut keeper).is_ready());
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_stands_still_does_not_make_it_spin() {
    let world = World::new();
    let session = signed_in(&world, TestProvider::new(), no_jitter());
    world.clock.advance(seconds(800) - MILLISECOND);
    let keeper = keep(&session);
    // One hour of the runtime: were it to spin, paused time would never get there.
    tokio::time::advance(Duration::from_secs(3600)).await;
    let_the_flight_run().await;
    assert_eq!(world.counts().token_calls(), 0);
    keeper.abort();
}
