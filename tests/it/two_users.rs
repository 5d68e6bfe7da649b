//! Many users on one client: their tokens, flights and failures never mix. C43.

use std::time::Duration;

use futures::{
    FutureExt,
    future::{join, join_all},
};
use http::StatusCode;
use tower::{Layer, Service, ServiceExt, limit::ConcurrencyLimitLayer};
use tower_auth_refresh::{
    AuthRefreshLayer,
    error::{ErrorKind, RefreshFailure},
    provider::GrantKind,
    session::{Condition, Event, Events, RefreshPolicy},
    test_util::Fault,
};

use crate::support::{
    TestProvider,
    by_hand::{ByHand, until},
    send,
    users::{LIFE, Tally, User, Users, outcome},
};

const OK: Result<StatusCode, ErrorKind> = Ok(StatusCode::OK);

const MANY: usize = 100;

/// Sends many requests of both users at once, Ann's and Bob's by turns, and says what became of each user's.
async fn send_many(users: &Users) -> [Vec<Result<StatusCode, ErrorKind>>; 2] {
    let client = users.client();
    let pairs = (0..MANY).map(|number| {
        let (ann, bob) = (send(&client, users.ann.request(number)), send(&client, users.bob.request(number)));
        join(ann, bob)
    });
    // All of them are at the API, or wait for a token, before any is answered.
    for user in [&users.ann, &users.bob] {
        user.world.hold_api();
    }
    let mut all = Box::pin(join_all(pairs));
    assert!((&mut all).now_or_never().is_none());
    for user in [&users.ann, &users.bob] {
        user.world.release_api();
    }
    let (ann, bob) = all.await.into_iter().map(|(ann, bob)| (outcome(ann), outcome(bob))).unzip();
    [ann, bob]
}

/// What has happened to a session since it was subscribed to.
fn seen(events: &mut Events) -> Vec<&'static str> {
    let mut seen = Vec::new();
    while let Some(Some(event)) = events.recv().now_or_never() {
        seen.push(match event {
            Event::TokenChanged { .. } => "changed",
            Event::SignedOut { .. } => "signed out",
            Event::RefreshFailed { .. } => "failed",
            _ => "something else",
        });
    }
    seen
}

// ===== tokens =====

#[tokio::test]
async fn a_hundred_requests_of_each_user_make_one_login_of_each_and_carry_its_token() {
    let users = Users::new();

    assert_eq!(send_many(&users).await, [vec![OK; MANY], vec![OK; MANY]]);

    for user in [&users.ann, &users.bob] {
        assert_eq!(user.tally(), Tally { api: MANY, logins: 1, flights: 1, ..Tally::NOTHING });
        assert_eq!(user.carried(1), MANY);
    }
}

#[tokio::test]
async fn a_hundred_rejected_requests_of_each_user_make_one_refresh_of_each_and_a_hundred_replays() {
    let users = Users::signed_in();
    users.ann.world.revoke_access();
    users.bob.world.revoke_access();

    assert_eq!(send_many(&users).await, [vec![OK; MANY], vec![OK; MANY]]);

    for user in [&users.ann, &users.bob] {
        assert_eq!(user.tally(), Tally { api: 2 * MANY, refreshes: 1, flights: 1, replays: 100, ..Tally::NOTHING });
        assert_eq!((user.carried(0), user.carried(1)), (MANY, MANY));
    }
}

#[tokio::test]
async fn a_rejection_of_one_users_token_leaves_the_other_at_the_same_generation_alone() {
    let users = Users::signed_in();
    assert_eq!(users.ann.status().generation, users.bob.status().generation);
    users.ann.world.revoke_access();

    assert_eq!(send_many(&users).await, [vec![OK; MANY], vec![OK; MANY]]);

    let ann = Tally { api: 2 * MANY, refreshes: 1, flights: 1, replays: 100, ..Tally::NOTHING };
    assert_eq!((users.ann.tally(), users.bob.tally()), (ann, Tally { api: MANY, ..Tally::NOTHING }));
    assert_eq!(users.bob.carried(0), MANY);
}

#[tokio::test]
async fn a_token_that_one_user_sets_is_not_the_others() {
    let users = Users::new();
    users.ann.session.set(TestProvider::token(100, LIFE, users.ann.world.clock.wall())).unwrap();
    assert_eq!(users.bob.status().condition, Condition::SignedOut);

    assert_eq!(outcome(send(&users.client(), users.bob.request(1)).await), OK);

    assert_eq!(users.bob.tally(), Tally { api: 1, logins: 1, flights: 1, ..Tally::NOTHING });
    assert_eq!(users.ann.tally(), Tally::NOTHING);
}

#[tokio::test]
async fn one_users_time_passes_without_the_others() {
    let users = Users::signed_in();
    users.ann.world.clock.advance(LIFE);

    assert_eq!(send_many(&users).await, [vec![OK; MANY], vec![OK; MANY]]);

    assert_eq!(users.ann.tally(), Tally { api: MANY, refreshes: 1, flights: 1, ..Tally::NOTHING });
    assert_eq!(users.bob.tally(), Tally { api: MANY, ..Tally::NOTHING });
}

// ===== flights =====

#[tokio::test]
async fn a_request_waits_for_the_flight_of_its_own_user_only() {
    let users = Users::new();
    let client = users.client();
    users.ann.world.hold_idp();
    let ann = ByHand::started(send(&client, users.ann.request(1)));
    until(|| users.ann.world.counts().logins == 1).await;

    assert_eq!(outcome(send(&client, users.bob.request(1)).await), OK);

    assert_eq!(users.ann.world.counts().api, 0);
    users.ann.world.release_idp();
    assert_eq!(outcome(ann.rest().await), OK);
    for user in [&users.ann, &users.bob] {
        assert_eq!(user.tally(), Tally { api: 1, logins: 1, flights: 1, ..Tally::NOTHING });
    }
}

#[tokio::test]
async fn a_user_who_waits_holds_no_slot_that_the_other_needs() {
    let users = Users::signed_in();
    let client =
        AuthRefreshLayer::<TestProvider>::per_request().layer(ConcurrencyLimitLayer::new(1).layer(users.api()));
    users.ann.world.hold_idp();
    users.ann.world.revoke_access();
    let mut waiting = client.clone();
    let mut ann = ByHand::new(async { waiting.ready().await.unwrap().call(users.ann.request(1)).await });
    assert!(ann.is_pending());
    until(|| users.ann.world.counts().refreshes == 1).await;

    for number in 0..3 {
        assert_eq!(outcome(send(&client, users.bob.request(number)).await), OK);
    }

    users.ann.world.release_idp();
    assert_eq!(outcome(ann.rest().await), OK);
    assert_eq!(users.ann.tally(), Tally { api: 2, refreshes: 1, flights: 1, replays: 1, ..Tally::NOTHING });
    assert_eq!(users.bob.tally(), Tally { api: 3, ..Tally::NOTHING });
}

#[tokio::test]
async fn a_user_whose_requests_are_dropped_keeps_the_rotated_token_and_disturbs_nobody() {
    let users = Users::signed_in();
    let client = users.client();
    for user in [&users.ann, &users.bob] {
        user.world.revoke_access();
        user.world.hold_idp();
    }
    let ann = ByHand::started(send(&client, users.ann.request(1)));
    let bob = ByHand::started(send(&client, users.bob.request(1)));
    until(|| users.ann.world.counts().refreshes + users.bob.world.counts().refreshes == 2).await;

    drop(ann);
    for user in [&users.ann, &users.bob] {
        user.world.release_idp();
    }

    assert_eq!(outcome(bob.rest().await), OK);
    users.ann.session.settled().await;
    assert_eq!(outcome(send(&client, users.ann.request(2)).await), OK);
    assert_eq!(users.ann.tally(), Tally { api: 2, refreshes: 1, flights: 1, ..Tally::NOTHING });
    assert_eq!(users.bob.tally(), Tally { api: 2, refreshes: 1, flights: 1, replays: 1, ..Tally::NOTHING });
}

// ===== failures =====

#[tokio::test]
async fn a_login_that_is_refused_to_one_user_is_an_error_of_this_user_alone() {
    let users = Users::new();
    users.ann.world.idp().refuse(GrantKind::Login);

    assert_eq!(send_many(&users).await, [vec![Err(ErrorKind::Refused); MANY], vec![OK; MANY]]);

    assert_eq!(users.ann.tally(), Tally { logins: 1, flights: 1, ..Tally::NOTHING });
    assert_eq!(users.bob.tally(), Tally { api: MANY, logins: 1, flights: 1, ..Tally::NOTHING });
    assert_eq!((users.ann.status().last_error, users.bob.status().last_error), (Some(ErrorKind::Refused), None));
}

#[tokio::test]
async fn a_failed_refresh_of_one_user_is_told_in_the_answers_of_this_user_alone() {
    let users = Users::signed_in();
    let client = users.client();
    users.ann.world.revoke_access();
    users.bob.world.revoke_access();
    users.ann.world.idp().refuse(GrantKind::Refresh);
    users.ann.world.idp().refuse(GrantKind::Login);

    let ann = send(&client, users.ann.request(1)).await.unwrap();
    let bob = send(&client, users.bob.request(1)).await.unwrap();

    let failure = |answer: &http::Response<_>| answer.extensions().get().map(RefreshFailure::kind);
    assert_eq!((ann.status(), failure(&ann)), (StatusCode::UNAUTHORIZED, Some(ErrorKind::Refused)));
    assert_eq!((bob.status(), failure(&bob)), (StatusCode::OK, None));
    assert_eq!(users.ann.tally(), Tally { api: 1, refreshes: 1, logins: 1, flights: 1, replays: 0 });
    assert_eq!(users.bob.tally(), Tally { api: 2, refreshes: 1, flights: 1, replays: 1, ..Tally::NOTHING });
}

#[tokio::test]
async fn one_users_backoff_keeps_nobody_else_waiting() {
    let users = Users::new();
    let client = users.client();
    users.ann.world.idp().fail([Fault::Unavailable(Duration::from_secs(60))]);

    for number in 0..3 {
        assert_eq!(outcome(send(&client, users.ann.request(number)).await), Err(ErrorKind::Unavailable));
        assert_eq!(outcome(send(&client, users.bob.request(number)).await), OK);
    }

    assert_eq!(users.ann.tally(), Tally { logins: 1, flights: 1, ..Tally::NOTHING });
    assert_eq!(users.bob.tally(), Tally { api: 3, logins: 1, flights: 1, ..Tally::NOTHING });
}

#[tokio::test]
async fn one_users_refresh_guard_does_not_count_the_flights_of_the_other() {
    let users = Users::signed_in_with(RefreshPolicy::new().guard(1, Duration::from_secs(30)).unwrap());
    let client = users.client();
    let rejected = |user: &User| user.world.revoke_access();
    rejected(&users.ann);
    assert_eq!(outcome(send(&client, users.ann.request(1)).await), OK);
    rejected(&users.ann);
    let refused = send(&client, users.ann.request(2)).await.unwrap();
    assert_eq!(refused.extensions().get().map(RefreshFailure::kind), Some(ErrorKind::TooManyRefreshes));

    rejected(&users.bob);
    assert_eq!(outcome(send(&client, users.bob.request(1)).await), OK);

    assert_eq!(users.ann.tally(), Tally { api: 3, refreshes: 1, flights: 1, replays: 1, ..Tally::NOTHING });
    assert_eq!(users.bob.tally(), Tally { api: 2, refreshes: 1, flights: 1, replays: 1, ..Tally::NOTHING });
}

#[tokio::test]
async fn a_user_who_signs_out_signs_nobody_else_out() {
    let users = Users::signed_in();
    users.ann.session.sign_out();

    assert_eq!(send_many(&users).await, [vec![Err(ErrorKind::SignedOut); MANY], vec![OK; MANY]]);

    assert_eq!(users.ann.tally(), Tally::NOTHING);
    assert_eq!(users.bob.tally(), Tally { api: MANY, ..Tally::NOTHING });
}

#[tokio::test]
async fn a_user_who_signs_out_during_a_flight_ends_that_flight_alone() {
    let users = Users::new();
    let client = users.client();
    for user in [&users.ann, &users.bob] {
        user.world.hold_idp();
    }
    let ann = ByHand::started(send(&client, users.ann.request(1)));
    let bob = ByHand::started(send(&client, users.bob.request(1)));
    until(|| users.ann.world.counts().logins + users.bob.world.counts().logins == 2).await;

    users.ann.session.sign_out();

    assert_eq!(outcome(ann.rest().await), Err(ErrorKind::SignedOut));
    users.bob.world.release_idp();
    assert_eq!(outcome(bob.rest().await), OK);
    assert_eq!(users.bob.tally(), Tally { api: 1, logins: 1, flights: 1, ..Tally::NOTHING });
}

// ===== what is told =====

#[tokio::test]
async fn events_and_status_are_of_one_user_only() {
    let users = Users::signed_in();
    let (mut ann, mut bob) = (users.ann.session.subscribe(), users.bob.session.subscribe());
    users.ann.world.revoke_access();
    users.bob.world.revoke_access();
    users.bob.world.idp().fail([Fault::DropBefore]);

    assert_eq!(send_many(&users).await, [vec![OK; MANY], vec![Ok(StatusCode::UNAUTHORIZED); MANY]]);

    assert_eq!((seen(&mut ann), seen(&mut bob)), (vec!["changed"], vec!["failed"]));
    let conditions = (users.ann.status().condition, users.bob.status().condition);
    assert_eq!(conditions, (Condition::Fresh, Condition::Failing));
    assert_eq!(users.ann.tally(), Tally { api: 2 * MANY, refreshes: 1, flights: 1, replays: 100, ..Tally::NOTHING });
    assert_eq!(users.bob.tally(), Tally { api: MANY, refreshes: 1, flights: 1, ..Tally::NOTHING });
    users.ann.session.sign_out();
    assert_eq!((seen(&mut ann), seen(&mut bob)), (vec!["signed out"], vec![]));
}
