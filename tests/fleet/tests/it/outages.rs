//! Redis does not answer for longer than a call may take.

use std::time::{Duration, Instant};

use fleet::Point;
use tower_auth_refresh::token::ExposeSecret;

use crate::support::{Counts, Figures, Fleet, Limits, Login, Outage, Server, Store, figures};

#[tokio::test]
async fn without_a_redis_that_was_killed_a_good_token_serves_and_none_is_spent() {
    a_good_token_serves_and_none_is_spent(Outage::Killed).await;
}

#[tokio::test]
async fn without_a_redis_that_is_stopped_a_good_token_serves_and_none_is_spent() {
    a_good_token_serves_and_none_is_spent(Outage::Stopped).await;
}

#[tokio::test]
async fn without_a_redis_that_is_paused_a_good_token_serves_and_none_is_spent() {
    a_good_token_serves_and_none_is_spent(Outage::Paused).await;
}

async fn a_good_token_serves_and_none_is_spent(outage: Outage) {
    let (server, mut store) = (Server::start().await, Store::redis().await);
    let mut fleet = Fleet::start_within(LIMITS, 4, &server, &store, Login::Can).await;
    fleet.report().await;
    store.server().begin(outage).await;
    let began = Instant::now();
    while began.elapsed() < LIMITS.store {
        fleet.serve().await;
    }
    let noticed = fleet.report().await;
    assert_eq!(noticed.failed, 0);
    assert!(noticed.longest < LIMITS.store, "{:?} for a token that was there", noticed.longest);
    server.expire();
    fleet.all_fail("the token store cannot be used").await;
    assert_eq!(asked(&server.counts()), (1, 0));
    store.server().end(outage).await;
    let back = Instant::now();
    fleet.serve().await;
    let back = back.elapsed();
    let what = format!("a Redis server {outage:?} while tokens end, all served {:.3} s later", back.as_secs_f64());
    let Figures { counts, .. } = figures(&what, &server, &mut fleet).await;
    assert_eq!(asked(&counts), (1, 1));
    assert_eq!((counts.refused, counts.double_spent), (0, 0));
    assert_eq!(store.generation().await, 2);
    // What was asked for in vain may still have taken the lease.
    assert!(back <= store.longest_wait(), "{back:?} until all are served");
}

#[tokio::test]
async fn what_a_redis_that_was_killed_did_not_take_is_used_and_costs_no_more_than_a_login() {
    what_redis_did_not_take_is_used_and_costs_no_more_than_a_login(Outage::Killed).await;
}

#[tokio::test]
async fn what_a_redis_that_is_stopped_did_not_take_is_used_and_costs_no_more_than_a_login() {
    what_redis_did_not_take_is_used_and_costs_no_more_than_a_login(Outage::Stopped).await;
}

#[tokio::test]
async fn what_a_redis_that_is_paused_did_not_take_is_used_and_costs_no_more_than_a_login() {
    what_redis_did_not_take_is_used_and_costs_no_more_than_a_login(Outage::Paused).await;
}

async fn what_redis_did_not_take_is_used_and_costs_no_more_than_a_login(outage: Outage) {
    let (server, mut store) = (Server::start().await, Store::redis().await);
    let mut fleet = Fleet::start_within(LIMITS, 4, &server, &store, Login::Can).await;
    let caught = fleet.catch(&server, Point::Rotated).await;
    store.server().begin(outage).await;
    fleet.disarm(caught).await;
    fleet.serve_by(caught).await;
    assert_eq!(asked(&server.counts()), (1, 1));
    store.server().end(outage).await;
    fleet.serve().await;
    // Either what the refresh has brought was stored first, or another had found the mark by then. What is stored tells.
    let stored = store.stored().await.token.unwrap();
    let logins = match stored.access_token().expose_secret() {
        "access-0-1" => 1,
        "access-1-0" => 2,
        other => panic!("nobody has brought {other}"),
    };
    assert_eq!(asked(&server.counts()), (logins, 1));
    for _ in 0..3 {
        fleet.expire(&server).await;
    }
    let what = format!("a Redis server {outage:?} before a write");
    let Figures { counts, .. } = figures(&what, &server, &mut fleet).await;
    assert_eq!((counts.refused, counts.double_spent), (0, 0));
}

/// The logins and the refreshes.
fn asked(counts: &Counts) -> (usize, usize) {
    (counts.logins, counts.refreshes)
}

/// A call of the store is given up sooner than by default, so that an outage need not last for long.
const LIMITS: Limits = Limits { flight: Duration::from_secs(30), store: Duration::from_secs(1) };
