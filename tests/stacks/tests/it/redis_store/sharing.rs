//! Who shares a token set, and who shares no more than a connection.

use std::{
    fmt,
    task::{Context, Waker},
};

use tokio::runtime::Runtime;
use tower_auth_refresh::store::{RedisStore, StoreErrorKind, TokenStore};

use super::{
    scene::{json, lease, loaded, within, write},
    server::Redis,
};

#[test]
fn a_store_can_be_cloned_and_shared_between_threads() {
    fn is_shared<T: TokenStore + Send + Sync + Unpin + Clone + fmt::Debug + 'static>() {}
    is_shared::<RedisStore>();
}

#[tokio::test]
async fn two_names_share_neither_a_set_nor_a_lease() {
    let redis = Redis::start().await;
    let names = ["a", "b", "a}", "{a}", "a%7D", "a:token", "a}:lease", "ä", " ", "a\r\nb"];
    let base = redis.store("base");
    let mut sets = Vec::new();
    for (generation, name) in (1..).zip(names) {
        let store = base.another(name).unwrap();
        assert!(store.load().await.unwrap().is_none(), "{name:?}");
        sets.push(json(&write(&store, generation).await));
        let _held = lease(&store).await;
    }
    for (name, set) in names.iter().zip(sets) {
        assert_eq!(loaded(&base.another(name).unwrap()).await, Some(set), "{name:?}");
    }
}

#[tokio::test]
async fn neither_do_two_prefixes_or_two_databases() {
    let redis = Redis::start().await;
    write(&redis.store("a"), 1).await;
    let elsewhere = redis.store("a").prefix("elsewhere").unwrap();
    assert!(elsewhere.load().await.unwrap().is_none());
    write(&elsewhere, 2).await;
    assert_eq!(redis.ask::<u64>("EXISTS elsewhere:{a}:token elsewhere:{a}:fence").await, 2);
    let another = RedisStore::new(&format!("{}/1", redis.url()), "a").unwrap();
    assert!(another.load().await.unwrap().is_none());
}

#[tokio::test]
async fn stores_of_one_origin_share_its_connection_and_options() {
    let redis = Redis::start().await;
    let first = redis.store("0").prefix("app").unwrap().encryption_key([1; 32]);
    let stores: Vec<_> = (1..100).map(|name| first.another(&name.to_string()).unwrap()).collect();
    let loading = futures::future::join_all(stores.iter().map(TokenStore::load)).await;
    assert!(loading.into_iter().all(|answer| answer.unwrap().is_none()));
    assert_eq!(redis.connections().await, 1);
    write(&stores[0], 1).await;
    let value: Vec<u8> = redis.ask("HGET app:{1}:token value").await;
    assert!(value.starts_with(b"sealed:1:"));
}

#[tokio::test]
async fn nothing_is_connected_before_the_first_call_or_after_the_last_store() {
    let redis = Redis::start().await;
    let store = redis.store("a");
    assert_eq!(redis.connections().await, 0);
    let clone = store.clone();
    store.load().await.unwrap();
    drop(store);
    clone.load().await.unwrap();
    assert_eq!(redis.connections().await, 1);
    drop(clone);
    redis.until_alone().await;
}

/// A cluster refuses a script whose keys lie in several slots, and one that touches a key it does not name.
#[tokio::test]
async fn the_keys_of_a_session_lie_in_one_slot_of_a_cluster() {
    let redis = Redis::start_with(&["--cluster-enabled", "yes"]).await;
    let () = redis.ask("CLUSTER ADDSLOTSRANGE 0 16383").await;
    within(async { while !redis.ask::<String>("CLUSTER INFO").await.contains("cluster_state:ok") {} }).await;
    for name in ["a", "a}", "{", "}{", "{}"] {
        let store = redis.store(name);
        let held = lease(&store).await;
        held.renew().await.unwrap();
        held.release().await.unwrap();
        let set = write(&store, 1).await;
        assert_eq!(loaded(&store).await, Some(json(&set)));
    }
}

/// A runtime of its own, on a thread of its own, for one call.
#[allow(clippy::disallowed_methods, reason = "a thread for a runtime of its own")]
async fn elsewhere<T: Send + 'static>(call: impl Future<Output = T> + Send + 'static) -> (Runtime, T) {
    let run = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let result = runtime.block_on(call);
        (runtime, result)
    };
    tokio::task::spawn_blocking(run).await.unwrap()
}

#[tokio::test]
async fn a_store_goes_on_in_another_runtime_after_the_first_one_has_ended() {
    let redis = Redis::start().await;
    let store = redis.store("a");
    for _ in 0..5 {
        let clone = store.clone();
        let (runtime, is_loaded) = elsewhere(async move { clone.load().await.is_ok() }).await;
        assert!(is_loaded);
        runtime.shutdown_background();
    }
}

#[tokio::test]
async fn a_runtime_that_stands_still_while_it_connects_costs_one_call() {
    let redis = Redis::start().await;
    let store = redis.store("a");
    let clone = store.clone();
    let (stands_still, ()) = elsewhere(async move {
        assert!(clone.load().as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    })
    .await;
    assert_eq!(store.load().await.unwrap_err().kind(), StoreErrorKind::TimedOut);
    assert_eq!(loaded(&store).await, None);
    stands_still.shutdown_background();
}
