//! Many stores on one connection to a server that is not next door.

use std::time::Duration;

use futures::future::join_all;
use tower_auth_refresh::store::{RedisStore, StoreErrorKind, TokenStore};

use super::{
    scene::{AN_HOUR, assert_waits, listening, loaded, until_async, within, write},
    server::Redis,
    slow::Slow,
};

const ROUND_TRIP: Duration = Duration::from_millis(10);

fn stores(first: &RedisStore, count: usize) -> Vec<RedisStore> {
    (0..count).map(|name| first.another(&name.to_string()).unwrap()).collect()
}

#[tokio::test]
async fn five_hundred_stores_wait_on_one_connection_each_for_its_own_change() {
    let redis = Redis::start().await;
    let slow = Slow::to(redis.port, ROUND_TRIP).await;
    let stores = join_all(stores(&slow.store("first"), 500).into_iter().map(listening)).await;
    let mut waits: Vec<_> = stores.iter().map(TokenStore::changed).collect();
    let near = redis.store("first");
    for (name, changed) in waits.iter_mut().enumerate() {
        assert_waits(changed);
        write(&near.another(&name.to_string()).unwrap(), 1).await;
        within(changed).await;
    }
    assert_eq!(slow.connections(), 1);
}

#[tokio::test]
async fn five_hundred_stores_are_heard_again_after_one_more_connection() {
    let mut redis = Redis::start().await;
    let slow = Slow::to(redis.port, ROUND_TRIP).await;
    let stores = join_all(stores(&slow.store("first"), 500).into_iter().map(listening)).await;
    let waits: Vec<_> = stores.iter().map(TokenStore::changed).collect();
    redis.kill();
    redis.start_again().await;
    // Each is told that it may have missed something, and asks for its channel again.
    within(join_all(waits)).await;
    join_all(stores.iter().map(loaded)).await;
    let mut waits: Vec<_> = stores.iter().map(TokenStore::changed).collect();
    waits.iter_mut().for_each(assert_waits);
    let near = redis.store("first");
    for (name, changed) in waits.into_iter().enumerate().step_by(50) {
        write(&near.another(&name.to_string()).unwrap(), 1).await;
        within(changed).await;
    }
    assert_eq!(slow.connections(), 2);
}

#[tokio::test]
async fn whoever_stops_waiting_is_no_longer_told_however_many_do() {
    let redis = Redis::start().await;
    let slow = Slow::to(redis.port, ROUND_TRIP).await;
    let first = slow.store("first");
    let stores = join_all(stores(&first, 500).into_iter().map(listening)).await;
    drop(stores);
    within(async { while !redis.ask::<Vec<String>>("PUBSUB CHANNELS").await.is_empty() {} }).await;
    first.poll(AN_HOUR).unwrap().load().await.unwrap();
    assert_eq!(slow.connections(), 1);
}

#[tokio::test]
async fn answers_that_come_in_slowly_cost_calls_and_not_the_connection() {
    let redis = Redis::start().await;
    // What the store would take for damaged takes its time all the same: 256 KiB an answer, 16 KiB in 10 ms.
    let () = redis.ask(&format!("HSET tower-auth-refresh:{{first}}:token value {}", "0".repeat(256 * 1024))).await;
    let slow = Slow::narrow(redis.port, Duration::from_millis(10)).await;
    let store = slow.store("first");
    let kinds = join_all((0..20).map(|_| store.load())).await.into_iter().map(|read| read.unwrap_err().kind());
    let kinds: Vec<_> = kinds.collect();
    assert!(kinds.contains(&StoreErrorKind::Damaged) && kinds.contains(&StoreErrorKind::TimedOut), "{kinds:?}");
    until_async(async || store.load().await.unwrap_err().kind() == StoreErrorKind::Damaged).await;
    assert_eq!(slow.connections(), 1);
}
