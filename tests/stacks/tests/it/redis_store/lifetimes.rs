//! For how long the server keeps what is stored, by its own account.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tower_auth_refresh::{
    store::Swap,
    token::{Expiry, Generation, Stored, TokenSet},
};

use super::{
    scene::{lease, loaded},
    server::Redis,
};

const TOKEN: &str = "tower-auth-refresh:{a}:token";
const HOUR: u64 = 60 * 60 * 1000;
const DAY: u64 = 24 * HOUR;
/// What `PTTL` says of a key that stays.
const STAYS: i64 = -1;

/// What the server says after this was written.
async fn left(redis: &Redis, stored: &Stored) -> i64 {
    let store = redis.store("a");
    let held = lease(&store).await;
    let () = redis.ask(&format!("DEL {TOKEN}")).await;
    assert_eq!(held.save(None, stored).await.unwrap(), Swap::Done);
    held.release().await.unwrap();
    assert!(loaded(&store).await.is_some());
    redis.ask(&format!("PTTL {TOKEN}")).await
}

async fn left_of(redis: &Redis, token: TokenSet) -> i64 {
    left(redis, &Stored::new(token, Generation::from(1))).await
}

/// A minute is left for a machine that stumbles.
#[track_caller]
fn assert_about(left: i64, expected: u64) {
    let expected = i64::try_from(expected).unwrap();
    assert!((expected - 60_000..=expected).contains(&left), "{left} instead of {expected}");
}

#[allow(clippy::disallowed_methods, reason = "the server reads the same clock")]
fn in_future(milliseconds: u64) -> SystemTime {
    SystemTime::now() + Duration::from_millis(milliseconds)
}

#[tokio::test]
async fn a_set_is_kept_for_a_day_longer_than_its_refresh_token_lives() {
    let redis = Redis::start().await;
    let token = TokenSet::new("access").with_refresh_token("refresh").with_expiry(Expiry::At(in_future(HOUR)));
    assert_about(left_of(&redis, token.clone().with_refresh_expires_at(in_future(9 * DAY))).await, 10 * DAY);
    assert_eq!(left_of(&redis, token).await, STAYS);
}

#[tokio::test]
async fn a_set_without_a_refresh_token_is_kept_for_a_day_longer_than_its_access_token_lives() {
    let redis = Redis::start().await;
    assert_about(left_of(&redis, TokenSet::new("a").with_expiry(Expiry::At(in_future(HOUR)))).await, DAY + HOUR);
    assert_eq!(left_of(&redis, TokenSet::new("a").with_expiry(Expiry::Never)).await, STAYS);
    assert_eq!(left_of(&redis, TokenSet::new("a")).await, STAYS);
}

#[tokio::test]
async fn a_set_that_ended_long_ago_is_stored_all_the_same() {
    let redis = Redis::start().await;
    for end in [UNIX_EPOCH, UNIX_EPOCH + Duration::from_secs(1)] {
        assert_about(left_of(&redis, TokenSet::new("a").with_expiry(Expiry::At(end))).await, DAY);
    }
}

#[tokio::test]
async fn an_end_that_no_server_can_count_to_is_none() {
    let redis = Redis::start().await;
    let end = UNIX_EPOCH + Duration::from_secs(1 << 60);
    assert_eq!(left_of(&redis, TokenSet::new("a").with_expiry(Expiry::At(end))).await, STAYS);
}

#[tokio::test]
async fn a_tombstone_is_kept_for_thirty_days_whatever_was_there_before() {
    let redis = Redis::start().await;
    let store = redis.store("a");
    let held = lease(&store).await;
    let before = Stored::new(TokenSet::new("a"), Generation::from(1));
    assert_eq!(held.save(None, &before).await.unwrap(), Swap::Done);
    let tombstone = Stored::signed_out(Generation::from(2), UNIX_EPOCH);
    assert_eq!(held.clear(Some(before.version()), &tombstone).await.unwrap(), Swap::Done);
    assert_about(redis.ask(&format!("PTTL {TOKEN}")).await, 30 * DAY);
    let after = Stored::new(TokenSet::new("b"), Generation::from(3));
    assert_eq!(held.save(Some(tombstone.version()), &after).await.unwrap(), Swap::Done);
    assert_eq!(redis.ask::<i64>(&format!("PTTL {TOKEN}")).await, STAYS);
}

#[tokio::test]
async fn a_refused_login_is_never_forgotten() {
    let redis = Redis::start().await;
    let mark = format!("{}:{}", "0".repeat(64), "1".repeat(64));
    let json = format!(r#"{{"version":1,"generation":1,"login_refused":"{mark}"}}"#);
    assert_eq!(left(&redis, &Stored::from_json(json.as_bytes()).unwrap()).await, STAYS);
}

#[tokio::test]
async fn the_last_number_is_kept_for_thirty_days() {
    let redis = Redis::start().await;
    lease(&redis.store("a")).await;
    assert_about(redis.ask("PTTL tower-auth-refresh:{a}:fence").await, 30 * DAY);
}
