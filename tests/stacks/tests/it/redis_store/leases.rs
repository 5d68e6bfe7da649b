//! One holder at a time, each with a larger number than the one before.

use std::time::Duration;

use tower_auth_refresh::{
    store::{StoreErrorKind, Swap, TokenStore},
    token::FencingToken,
};

use super::{
    scene::{AN_HOUR, SHORT, json, lease, loaded, stored, until_async, write},
    server::Redis,
};

const LEASE: &str = "tower-auth-refresh:{a}:lease";
const FENCE: &str = "tower-auth-refresh:{a}:fence";

#[tokio::test]
async fn of_many_who_ask_at_once_one_gets_the_lease() {
    let redis = Redis::start().await;
    let stores: Vec<_> = (0..20).map(|_| redis.store("a")).collect();
    let answers = futures::future::join_all(stores.iter().map(|store| store.try_lease(None))).await;
    let granted = answers.into_iter().filter(|answer| answer.as_ref().unwrap().is_some()).count();
    assert_eq!(granted, 1);
}

#[tokio::test]
async fn a_lease_that_is_given_back_is_free_at_once() {
    let redis = Redis::start().await;
    let (first, second) = (redis.store("a"), redis.store("a"));
    let held = lease(&first).await;
    assert!(second.try_lease(None).await.unwrap().is_none());
    held.release().await.unwrap();
    assert!(second.try_lease(None).await.unwrap().is_some());
}

#[tokio::test]
async fn a_holder_that_is_gone_is_replaced_when_its_time_is_over() {
    let redis = Redis::start().await;
    let (first, second) = (redis.store("a").lease(SHORT).unwrap(), redis.store("a").lease(SHORT).unwrap());
    drop(lease(&first).await);
    until_async(async || second.try_lease(None).await.unwrap().is_some()).await;
}

#[tokio::test]
async fn a_lease_lasts_as_long_as_it_says_and_a_renewal_begins_anew() {
    let redis = Redis::start().await;
    let default = lease(&redis.store("a")).await;
    assert_eq!(default.lasts(), Some(Duration::from_secs(10)));
    let left = redis.ask::<i64>(&format!("PTTL {LEASE}")).await;
    assert!((5_000..=10_000).contains(&left), "{left}");
    default.release().await.unwrap();

    let held = lease(&redis.store("a").lease(AN_HOUR).unwrap()).await;
    assert_eq!(held.lasts(), Some(AN_HOUR));
    let () = redis.ask(&format!("PEXPIRE {LEASE} 60000")).await;
    held.renew().await.unwrap();
    let left = redis.ask::<i64>(&format!("PTTL {LEASE}")).await;
    assert!((3_500_000..=3_600_000).contains(&left), "{left}");
}

#[tokio::test]
async fn a_lease_that_is_over_or_somebody_elses_cannot_be_renewed() {
    let redis = Redis::start().await;
    let (first, second) = (redis.store("a"), redis.store("a"));
    let lost = lease(&first).await;
    let () = redis.ask(&format!("DEL {LEASE}")).await;
    assert_eq!(lost.renew().await.unwrap_err().kind(), StoreErrorKind::Lost);
    let held = lease(&second).await;
    let error = lost.renew().await.unwrap_err();
    assert_eq!(
        (error.kind(), &*error.to_string()),
        (StoreErrorKind::Lost, "the lease of redis tower-auth-refresh:{a} is lost")
    );
    held.renew().await.unwrap();
}

#[tokio::test]
async fn giving_back_a_lost_lease_is_no_error_and_takes_nobody_elses() {
    let redis = Redis::start().await;
    let lost = lease(&redis.store("a")).await;
    let () = redis.ask(&format!("DEL {LEASE}")).await;
    lost.release().await.unwrap();
    let held = lease(&redis.store("a")).await;
    lost.release().await.unwrap();
    held.renew().await.unwrap();
}

#[tokio::test]
async fn each_lease_has_a_larger_number_than_the_one_before_and_than_the_servers_time() {
    let redis = Redis::start().await;
    let store = redis.store("a");
    let mut last = now(&redis).await;
    for _ in 0..50 {
        let held = lease(&store).await;
        assert!(held.fence().get() > last, "{} is not larger than {last}", held.fence());
        last = held.fence().get();
        held.release().await.unwrap();
    }
}

#[tokio::test]
async fn a_number_is_larger_than_what_the_session_has_seen_and_exact_beyond_two_to_the_53() {
    let redis = Redis::start().await;
    let store = redis.store("a");
    for above in [(1_u64 << 53) + 1, (1 << 60) + 1, i64::MAX as u64 - 1] {
        let held = store.try_lease(Some(FencingToken::from(above))).await.unwrap().unwrap();
        assert_eq!(held.fence().get(), above + 1);
        held.release().await.unwrap();
    }
}

#[tokio::test]
async fn where_there_is_no_larger_number_there_is_no_lease_and_nothing_is_written() {
    let redis = Redis::start().await;
    let store = redis.store("a");
    for above in [i64::MAX as u64, u64::MAX] {
        let error = store.try_lease(Some(FencingToken::from(above))).await.err().unwrap();
        assert_eq!(error.to_string(), "cannot lease redis tower-auth-refresh:{a}: EXHAUSTED");
        assert_eq!(redis.ask::<u64>("DBSIZE").await, 0);
    }
    lease(&store).await;
}

#[tokio::test]
async fn a_number_is_larger_than_that_of_what_is_stored() {
    let redis = Redis::start().await;
    let store = redis.store("a");
    let far_ahead = now(&redis).await + 1_000_000_000;
    let held = store.try_lease(Some(FencingToken::from(far_ahead))).await.unwrap().unwrap();
    assert_eq!(held.save(None, &stored(1, &*held)).await.unwrap(), Swap::Done);
    held.release().await.unwrap();
    let () = redis.ask(&format!("DEL {FENCE}")).await;
    assert_eq!(lease(&store).await.fence().get(), far_ahead + 2);
}

#[tokio::test]
async fn a_number_is_larger_than_the_last_one_whatever_the_clock_says() {
    let redis = Redis::start().await;
    let far_ahead = now(&redis).await + 1_000_000_000;
    let () = redis.ask(&format!("SET {FENCE} {far_ahead}")).await;
    assert_eq!(lease(&redis.store("a")).await.fence().get(), far_ahead + 1);
}

#[tokio::test]
async fn a_holder_that_stalled_cannot_overwrite_what_a_later_one_has_written() {
    let redis = Redis::start().await;
    let (first, second) = (redis.store("a"), redis.store("a"));
    let before = write(&first, 1).await;
    let stalled = lease(&first).await;
    let () = redis.ask(&format!("DEL {LEASE}")).await;
    let after = write(&second, 2).await;
    for expected in [Some(before.version()), Some(after.version()), None] {
        assert_eq!(stalled.save(expected, &stored(3, &*stalled)).await.unwrap(), Swap::Conflict);
        assert_eq!(stalled.clear(expected, &stored(3, &*stalled)).await.unwrap(), Swap::Conflict);
    }
    assert_eq!(loaded(&first).await, Some(json(&after)));
}

#[tokio::test]
async fn a_holder_whose_time_is_over_may_still_write_what_nobody_has_replaced() {
    let redis = Redis::start().await;
    let store = redis.store("a");
    let before = write(&store, 1).await;
    let late = lease(&store).await;
    let () = redis.ask(&format!("DEL {LEASE}")).await;
    lease(&redis.store("a")).await;
    let next = stored(2, &*late);
    assert_eq!(late.save(Some(before.version()), &next).await.unwrap(), Swap::Done);
    assert_eq!(loaded(&store).await, Some(json(&next)));
}

/// In milliseconds, by the server's clock.
async fn now(redis: &Redis) -> u64 {
    let (seconds, microseconds): (u64, u64) = redis.ask("TIME").await;
    seconds * 1000 + microseconds / 1000
}
