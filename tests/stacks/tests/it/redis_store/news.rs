//! Who waits is told, and looks by itself where nobody tells.

use std::task::{Context, Waker};

use tokio_stream::StreamExt;
use tower_auth_refresh::store::{RedisStore, Swap, TokenStore};

use super::{
    scene::{AN_HOUR, SHORT, assert_waits, lease, listening, stored, until_async, within, write},
    server::Redis,
    switch::Switch,
};

const CHANNEL: &str = "tower-auth-refresh:{a}:changed";

/// What is new is told before any answer to a later question.
async fn hear(store: &RedisStore) {
    store.another("nobody").unwrap().load().await.unwrap();
}

async fn listeners(redis: &Redis) -> usize {
    redis.ask::<(String, usize)>(&format!("PUBSUB NUMSUB {CHANNEL}")).await.1
}

#[tokio::test]
async fn a_change_wakes_whoever_waits() {
    let redis = Redis::start().await;
    let store = listening(redis.store("a")).await;
    let mut changed = store.changed();
    assert_waits(&mut changed);
    hear(&store).await;
    assert_waits(&mut changed);
    write(&redis.store("a"), 1).await;
    within(changed).await;
}

#[tokio::test]
async fn a_change_between_loading_and_waiting_is_not_missed() {
    let redis = Redis::start().await;
    let store = listening(redis.store("a")).await;
    write(&redis.store("a"), 1).await;
    hear(&store).await;
    within(store.changed()).await;
    store.load().await.unwrap();
    assert_waits(&mut store.changed());
}

#[tokio::test]
async fn a_change_while_loading_is_not_missed() {
    let redis = Redis::start().await;
    let store = listening(redis.store("a")).await;
    // Its answer is under way, and nobody has looked at it yet.
    let mut loading = store.load();
    assert!(loading.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    write(&redis.store("a"), 1).await;
    hear(&store).await;
    assert!(loading.await.unwrap().is_none());
    within(store.changed()).await;
}

#[tokio::test]
async fn a_change_before_the_first_subscription_is_not_missed() {
    let redis = Redis::start().await;
    let store = redis.store("a").poll(AN_HOUR).unwrap();
    store.load().await.unwrap();
    write(&redis.store("a"), 1).await;
    within(store.changed()).await;
}

#[tokio::test]
async fn what_one_clone_has_seen_the_other_has_not() {
    let redis = Redis::start().await;
    let store = listening(redis.store("a")).await;
    let clone = store.clone();
    write(&redis.store("a"), 1).await;
    hear(&store).await;
    store.load().await.unwrap();
    assert_waits(&mut store.changed());
    within(clone.changed()).await;
}

#[tokio::test]
async fn a_lease_that_is_given_back_wakes_whoever_waits_for_it() {
    let redis = Redis::start().await;
    let other = lease(&redis.store("a").lease(AN_HOUR).unwrap()).await;
    let store = listening(redis.store("a")).await;
    assert!(store.try_lease(None).await.unwrap().is_none());
    let mut changed = store.changed();
    assert_waits(&mut changed);
    other.release().await.unwrap();
    within(changed).await;
    lease(&store).await;
}

#[tokio::test]
async fn a_lease_whose_holder_is_gone_wakes_whoever_waits_for_it_when_it_ends() {
    let redis = Redis::start().await;
    drop(lease(&redis.store("a").lease(SHORT).unwrap()).await);
    let store = listening(redis.store("a")).await;
    until_async(async || {
        let lease = store.try_lease(None).await.unwrap();
        if lease.is_none() {
            within(store.changed()).await;
        }
        lease.is_some()
    })
    .await;
}

#[tokio::test]
async fn a_lease_that_was_in_the_way_shortens_one_wait_only() {
    let redis = Redis::start().await;
    let other = redis.store("a").lease(SHORT).unwrap();
    let store = listening(redis.store("a")).await;
    until_async(async || {
        let _held = other.try_lease(None).await.unwrap();
        let Some(ours) = store.try_lease(None).await.unwrap() else { return true };
        // The other's was over before we asked.
        ours.release().await.unwrap();
        hear(&store).await;
        store.load().await.unwrap();
        false
    })
    .await;
    within(store.changed()).await;
    let mut changed = store.changed();
    assert_waits(&mut changed);
    // As long again, by the server's clock.
    let () = redis.ask(&format!("SET clock runs PX {}", SHORT.as_millis())).await;
    until_async(async || redis.ask::<u64>("EXISTS clock").await == 0).await;
    hear(&store).await;
    assert_waits(&mut changed);
}

#[tokio::test]
async fn without_news_a_store_looks_by_itself() {
    let redis = Redis::start().await;
    let store = listening(redis.store("a")).await.poll(SHORT).unwrap();
    let mut changed = store.changed();
    assert_waits(&mut changed);
    within(changed).await;
}

#[tokio::test]
async fn where_nobody_can_be_heard_a_store_looks_by_itself() {
    let gone = Redis::stopped().await;
    within(gone.store("a").poll(SHORT).unwrap().changed()).await;

    let redis = Redis::start().await;
    let () = redis.ask("ACL SETUSER app on >pass ~* +hello +auth +hgetall").await;
    let url = format!("redis://app:pass@127.0.0.1:{}", redis.port);
    let store = RedisStore::new(&url, "a").unwrap().poll(SHORT).unwrap();
    store.load().await.unwrap();
    within(store.changed()).await;
}

#[tokio::test]
async fn a_lost_connection_wakes_whoever_waits_and_the_next_one_is_heard_again() {
    let redis = Redis::start().await;
    let switch = Switch::to(redis.port).await;
    let store = listening(switch.store("a")).await;
    let mut changed = store.changed();
    assert_waits(&mut changed);
    switch.hang_up();
    within(changed).await;
    let store = listening(store).await;
    let mut changed = store.changed();
    assert_waits(&mut changed);
    write(&redis.store("a"), 1).await;
    within(changed).await;
}

#[tokio::test]
async fn messages_hold_the_generation_and_nothing_else() {
    let redis = Redis::start().await;
    let mut eyes = redis.client().get_async_pubsub().await.unwrap();
    eyes.psubscribe("*").await.unwrap();
    let store = redis.store("a");
    let held = lease(&store).await;
    let first = stored(7, &*held);
    assert_eq!(held.save(None, &first).await.unwrap(), Swap::Done);
    held.renew().await.unwrap();
    assert_eq!(held.save(None, &first).await.unwrap(), Swap::Conflict);
    assert_eq!(held.clear(Some(first.version()), &stored(8, &*held)).await.unwrap(), Swap::Done);
    held.release().await.unwrap();
    held.release().await.unwrap();
    let () = redis.ask("PUBLISH end end").await;
    let told = eyes
        .on_message()
        .map(|message| (message.get_channel_name().to_owned(), message.get_payload::<String>().unwrap()));
    let told: Vec<_> = within(told.take_while(|(channel, _)| channel != "end").collect()).await;
    assert_eq!(told, ["7", "8", "8"].map(|generation| (CHANNEL.to_owned(), generation.to_owned())));
}

#[tokio::test]
async fn the_last_store_of_a_name_stops_listening() {
    let redis = Redis::start().await;
    let other = redis.store("b");
    let store = listening(other.another("a").unwrap()).await;
    let clone = store.another("a").unwrap();
    assert_eq!(listeners(&redis).await, 1);
    drop(store);
    hear(&clone).await;
    assert_eq!(listeners(&redis).await, 1);
    drop(clone);
    until_async(async || listeners(&redis).await == 0).await;
    other.load().await.unwrap();
    assert_eq!(redis.connections().await, 1);
}

#[tokio::test]
async fn whoever_comes_right_after_the_last_one_is_heard() {
    let redis = Redis::start().await;
    let keeps_connected = redis.store("b");
    for generation in 1..50 {
        let store = listening(keeps_connected.another("a").unwrap()).await;
        drop(store);
        let store = listening(keeps_connected.another("a").unwrap()).await;
        let changed = store.changed();
        write(&redis.store("a"), generation).await;
        within(changed).await;
    }
}
