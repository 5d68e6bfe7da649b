//! What a server may refuse in the middle of a call.

use tower_auth_refresh::store::{RedisStore, Swap, TokenStore};

use super::{
    scene::{json, lease, loaded, stored, write},
    server::Redis,
};

const COMMANDS: [&str; 18] = [
    "evalsha",
    "script|load",
    "hgetall",
    "hmget",
    "hget",
    "hset",
    "exists",
    "del",
    "get",
    "set",
    "incr",
    "pttl",
    "pexpire",
    "pexpireat",
    "time",
    "publish",
    "subscribe",
    "unsubscribe",
];

/// A user who may do everything that a store needs, but for one thing.
async fn without(redis: &Redis, command: &str) -> RedisStore {
    let allowed: Vec<_> = COMMANDS.iter().filter(|other| **other != command).map(|other| format!("+{other}")).collect();
    let rule = format!("ACL SETUSER app reset on >hunter2 ~tower-auth-refresh:* &* {}", allowed.join(" "));
    let () = redis.ask(&rule).await;
    RedisStore::new(&format!("redis://app:hunter2@127.0.0.1:{}", redis.port), "a").unwrap()
}

#[tokio::test]
async fn whatever_one_command_a_user_lacks_the_old_set_or_the_new_one_is_there() {
    let redis = Redis::start().await;
    let (mut lost, mut saves) = (Vec::new(), 0);
    for command in COMMANDS {
        let () = redis.ask("FLUSHALL").await;
        let all = redis.store("a");
        let old = write(&all, 1).await;
        let store = without(&redis, command).await;
        let held = lease(&all).await;
        let version = held.fence();
        held.release().await.unwrap();
        // As the user itself, where that may have a lease.
        let Ok(Some(held)) = store.try_lease(Some(version)).await else { continue };
        let mut next = stored(2, &*held);
        next.token = next.token.map(|token| token.with_refresh_expires_at(std::time::UNIX_EPOCH));
        saves += 1;
        let saved = held.save(Some(old.version()), &next).await;
        let is = loaded(&all).await;
        let expected = match saved {
            Ok(Swap::Done) => is == Some(json(&next)),
            _ => is == Some(json(&old)) || is == Some(json(&next)),
        };
        if !expected {
            lost.push((command, saved.is_ok(), is.is_some()));
        }
    }
    assert!(lost.is_empty(), "{lost:?}");
    assert!(saves >= 4, "only {saves} commands are not needed for a lease");
}
