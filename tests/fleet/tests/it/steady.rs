//! Nothing goes wrong but that tokens end.

use std::time::{Duration, Instant};

use crate::support::{Figures, Fleet, Login, Server, Store, figures, scale};

#[tokio::test]
async fn on_a_file_each_expiry_costs_one_call() {
    each_expiry_costs_one_call(&Store::file()).await;
}

#[tokio::test]
async fn on_redis_each_expiry_costs_one_call() {
    each_expiry_costs_one_call(&Store::redis().await).await;
}

async fn each_expiry_costs_one_call(store: &Store) {
    let (scale, server) = (scale(), Server::start().await);
    let mut fleet = Fleet::start(scale.processes, &server, store, Login::Can).await;
    for _ in 0..scale.expiries {
        fleet.expire(&server).await;
    }
    let what = format!("{} processes on a {}, {} expiries", scale.processes, store.name(), scale.expiries);
    let Figures { counts, failed, .. } = figures(&what, &server, &mut fleet).await;
    assert_eq!((counts.logins, counts.refreshes, counts.granted), (1, scale.expiries, 1 + scale.expiries));
    assert_eq!((counts.refused, counts.double_spent, counts.most_at_once, failed), (0, 0, 1, 0));
    assert_eq!(store.generation().await, counts.granted as u64);
}

#[tokio::test]
async fn on_a_file_tokens_are_renewed_before_their_end_by_one_of_all() {
    tokens_are_renewed_before_their_end_by_one_of_all(&Store::file()).await;
}

#[tokio::test]
async fn on_redis_tokens_are_renewed_before_their_end_by_one_of_all() {
    tokens_are_renewed_before_their_end_by_one_of_all(&Store::redis().await).await;
}

async fn tokens_are_renewed_before_their_end_by_one_of_all(store: &Store) {
    let (scale, server) = (scale(), Server::granting(LIFETIME).await);
    let began = Instant::now();
    let mut fleet = Fleet::start(scale.processes, &server, store, Login::Can).await;
    for granted in 2..=1 + scale.expiries {
        server.has_done(|counts| counts.granted >= granted).await;
    }
    let took = began.elapsed();
    // It goes on and on: each call's token set is in the store, a moment later.
    store.reaches(|| server.counts().granted as u64).await;
    let what = format!("{} processes on a {}, {} renewals in time", scale.processes, store.name(), scale.expiries);
    let Figures { counts, failed, .. } = figures(&what, &server, &mut fleet).await;
    assert_eq!((counts.logins, 1 + counts.refreshes), (1, counts.granted));
    assert_eq!((counts.rejected, counts.refused, counts.double_spent, failed), (0, 0, 0, 0));
    assert_eq!(counts.most_at_once, 1);
    let shortest = SOONEST * u32::try_from(scale.expiries).unwrap();
    assert!(took >= shortest, "more than one of all has renewed a token: {took:?}");
}

/// They are due after 15 to 25 % of it.
const LIFETIME: Duration = Duration::from_secs(2);

/// How soon one is renewed after the one before it, less some milliseconds to which times are rounded.
const SOONEST: Duration = Duration::from_millis(290);
