//! What the server sees, and what it can make others believe.

use tokio_stream::StreamExt;
use tower_auth_refresh::store::{RedisStore, StoreErrorKind, Swap, TokenStore};

use super::{
    scene::{json, lease, loaded, stored, within, write},
    server::Redis,
};

const TOKEN: &str = "tower-auth-refresh:{a}:token";
const KEY: [u8; 32] = [1; 32];
const OTHER_KEY: [u8; 32] = [2; 32];

/// All that the server is told during the life of a token set.
async fn told(redis: &Redis, store: &RedisStore) -> String {
    let monitor = redis.client().get_async_monitor().await.unwrap();
    write(store, 1).await;
    write(store, 2).await;
    assert!(loaded(store).await.is_some());
    let () = redis.ask("ECHO the-end").await;
    let told = monitor.into_on_message::<String>().take_while(|line| !line.contains("the-end"));
    within(told.collect::<Vec<_>>()).await.join("\n")
}

async fn refused(store: &RedisStore, kind: StoreErrorKind, why: &str) {
    let error = store.load().await.unwrap_err();
    assert_eq!((error.kind(), error.to_string()), (kind, format!("cannot read redis tower-auth-refresh:{{a}}: {why}")));
}

#[tokio::test]
async fn with_a_key_the_server_is_told_no_secret() {
    let redis = Redis::start().await;
    let in_the_clear = told(&redis, &redis.store("clear")).await;
    let sealed = told(&redis, &redis.store("sealed").encryption_key(KEY)).await;
    for word in ["access-1", "refresh-1", "access-2", "refresh-2", "access_token"] {
        assert!(in_the_clear.contains(word), "{word}");
        assert!(!sealed.contains(word), "{word}");
    }
    assert!(sealed.contains("sealed:1:"));
}

#[tokio::test]
async fn whoever_has_the_key_reads_what_was_written() {
    let redis = Redis::start().await;
    let set = write(&redis.store("a").encryption_key(KEY), 1).await;
    assert_eq!(loaded(&redis.store("a").encryption_key(KEY)).await, Some(json(&set)));
}

#[tokio::test]
async fn another_key_or_none_is_an_error_and_the_value_stays_as_it_is() {
    let redis = Redis::start().await;
    let set = write(&redis.store("a").encryption_key(KEY), 1).await;
    let before: Vec<u8> = redis.ask(&format!("DUMP {TOKEN}")).await;
    let wrong = "it was encrypted with another key, or for another place, or changed since";
    refused(&redis.store("a").encryption_key(OTHER_KEY), StoreErrorKind::Damaged, wrong).await;
    refused(&redis.store("a"), StoreErrorKind::Damaged, "it is encrypted, and no key was given").await;
    assert_eq!(redis.ask::<Vec<u8>>(&format!("DUMP {TOKEN}")).await, before);
    assert_eq!(loaded(&redis.store("a").encryption_key(KEY)).await, Some(json(&set)));
}

#[tokio::test]
async fn what_stands_there_in_the_clear_is_not_believed_with_a_key() {
    let redis = Redis::start().await;
    let set = write(&redis.store("a"), 1).await;
    let store = redis.store("a").encryption_key(KEY);
    refused(&store, StoreErrorKind::Insecure, "it is not encrypted, and a key was given").await;
    assert_eq!(loaded(&redis.store("a")).await, Some(json(&set)));
}

#[tokio::test]
async fn a_key_is_changed_without_losing_what_was_written_under_the_older_one() {
    let redis = Redis::start().await;
    let old = write(&redis.store("a").encryption_key(KEY), 1).await;
    let both = redis.store("a").encryption_keys(OTHER_KEY, KEY);
    assert_eq!(loaded(&both).await, Some(json(&old)));
    let new = write(&both, 2).await;
    assert_eq!(loaded(&redis.store("a").encryption_key(OTHER_KEY)).await, Some(json(&new)));
    assert!(redis.store("a").encryption_key(KEY).load().await.is_err());
}

#[tokio::test]
async fn a_value_cannot_be_passed_off_as_another_sessions_or_as_another_version() {
    let redis = Redis::start().await;
    let store = redis.store("a").encryption_key(KEY);
    let set = write(&store, 1).await;
    let () = redis.ask(&format!("COPY {TOKEN} tower-auth-refresh:{{b}}:token")).await;
    let error = store.another("b").unwrap().load().await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Damaged);
    let wrong = "it was encrypted with another key, or for another place, or changed since";
    for (field, is) in [("generation", set.generation.to_string()), ("fence", set.fence.unwrap().to_string())] {
        for changed in ["2", "1750000000000", ""] {
            let () = redis.ask(&format!("HSET {TOKEN} {field} {changed}")).await;
            refused(&store, StoreErrorKind::Damaged, wrong).await;
        }
        let () = redis.ask(&format!("HSET {TOKEN} {field} {is}")).await;
        assert_eq!(loaded(&store).await, Some(json(&set)));
    }
}

#[tokio::test]
async fn versions_are_compared_as_without_a_key() {
    let redis = Redis::start().await;
    let store = redis.store("a").encryption_key(KEY);
    let set = write(&store, 1).await;
    let held = lease(&store).await;
    assert_eq!(held.save(None, &stored(2, &*held)).await.unwrap(), Swap::Conflict);
    assert_eq!(held.save(Some(set.version()), &stored(2, &*held)).await.unwrap(), Swap::Done);
}

#[tokio::test]
async fn neither_the_store_nor_its_lease_prints_a_key() {
    let store = RedisStore::new("redis://app:hunter2@127.0.0.1:1", "a").unwrap().encryption_keys([77; 32], [78; 32]);
    let printed = format!("{store:?} {store:#?}");
    assert!(printed.contains("127.0.0.1:1") && printed.contains("tower-auth-refresh:{a}"), "{printed}");
    for secret in ["hunter2", "77", "78", "4d4d"] {
        assert!(!printed.contains(secret), "{printed}");
    }
}
