//! Calls that nobody waits for any more: they cost no connection, and take nobody else's answer.

use std::{
    future::poll_fn,
    pin::pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

use tower_auth_refresh::{
    session::RefreshPolicy,
    store::{RedisStore, Swap, TokenStore},
    test_util::TestProvider,
};

use super::{
    scene::{AN_HOUR, assert_waits, json, lease, listening, loaded, stored, until_async, within, write},
    server::Redis,
    slow::Slow,
    switch::Switch,
};

const ROUND_TRIP: Duration = Duration::from_millis(20);

/// Drops `future` when it has been looked at that often. Whether it had ended before.
async fn dropped_after(polls: usize, future: impl Future) -> bool {
    let (mut future, mut left) = (pin!(future), polls);
    poll_fn(|cx| {
        let polled = future.as_mut().poll(cx);
        left -= 1;
        if polled.is_pending() && left > 0 { Poll::Pending } else { Poll::Ready(polled.is_ready()) }
    })
    .await
}

/// Starts it, and drops it at once.
fn dropped(future: impl Future) {
    let polled = pin!(future).poll(&mut Context::from_waker(Waker::noop()));
    assert!(polled.is_pending(), "it cannot have ended yet");
}

#[tokio::test]
async fn a_renewal_that_is_dropped_in_flight_costs_the_save_no_connection() {
    let redis = Redis::start().await;
    let slow = Slow::to(redis.port, ROUND_TRIP).await;
    let store = slow.store("a");
    let held = lease(&store).await;
    dropped_after(2, held.renew()).await;
    dropped(held.renew());
    assert_eq!(held.save(None, &stored(1, &*held)).await.unwrap(), Swap::Done);
    held.release().await.unwrap();
    assert_eq!(slow.connections(), 1);
}

#[tokio::test]
async fn a_session_that_waits_for_a_lease_makes_one_connection() {
    let redis = Redis::start().await;
    let slow = Slow::to(redis.port, ROUND_TRIP).await;
    let held = lease(&redis.store("a")).await;
    let idp = tower::service_fn(async |_: http::Request<_>| {
        Err::<http::Response<http_body_util::Full<bytes::Bytes>>, _>(std::io::Error::other("nobody is there"))
    });
    let policy = RefreshPolicy::new().flight_deadline(Duration::from_secs(1)).unwrap();
    let session =
        tower_auth_refresh::Session::builder(TestProvider::new().with_origin("https://api.test/".parse().unwrap()))
            .transport(idp)
            .store(slow.store("a"))
            .policy(policy)
            .build()
            .unwrap();
    session.token().await.unwrap_err();
    assert_eq!(slow.connections(), 1);
    held.release().await.unwrap();
}

#[tokio::test]
async fn a_first_call_that_is_dropped_while_it_connects_leaves_its_connection_to_the_next() {
    let redis = Redis::start().await;
    let slow = Slow::to(redis.port, ROUND_TRIP).await;
    let store = slow.store("a");
    for _ in 0..10 {
        dropped(store.load());
        dropped(store.changed());
    }
    assert_eq!(loaded(&store).await, None);
    assert_eq!(slow.connections(), 1);
}

#[tokio::test]
async fn a_call_that_is_dropped_at_any_point_leaves_the_connection_and_everybody_elses_answers() {
    let redis = Redis::start().await;
    let slow = Slow::to(redis.port, ROUND_TRIP).await;
    let store = slow.store("a");
    let other = store.another("b").unwrap();
    let (set, others) = (write(&redis.store("a"), 1).await, write(&redis.store("b"), 2).await);
    for polls in 1.. {
        let new = store.another(&format!("new-{polls}")).unwrap();
        let held = lease(&store.another(&format!("held-{polls}")).unwrap()).await;
        let next = stored(3, &*held);
        let ended = tokio::join!(
            dropped_after(polls, other.load()),
            dropped_after(polls, store.try_lease(None)),
            dropped_after(polls, held.renew()),
            dropped_after(polls, held.save(None, &next)),
            dropped_after(polls, held.release()),
            dropped_after(polls, new.changed()),
        );
        let (one, two) = tokio::join!(loaded(&store), loaded(&other));
        assert_eq!((one, two), (Some(json(&set)), Some(json(&others))), "after {polls}");
        if ended == (true, true, true, true, true, true) {
            break;
        }
    }
    assert_eq!(slow.connections(), 1);
}

#[tokio::test]
async fn a_subscription_that_is_dropped_in_flight_is_heard_or_made_again() {
    let redis = Redis::start().await;
    let slow = Slow::to(redis.port, ROUND_TRIP).await;
    let first = slow.store("first");
    first.load().await.unwrap();
    for polls in 1.. {
        let store = first.another(&polls.to_string()).unwrap();
        let has_ended = dropped_after(polls, store.changed()).await;
        let store = listening(store).await;
        let mut changed = store.changed();
        assert_waits(&mut changed);
        write(&redis.store(&polls.to_string()), 1).await;
        within(changed).await;
        if has_ended {
            break;
        }
    }
    assert_eq!(slow.connections(), 1);
}

#[tokio::test]
async fn a_store_that_is_dropped_while_it_subscribes_leaves_no_subscription_behind() {
    let redis = Redis::start().await;
    let slow = Slow::to(redis.port, ROUND_TRIP).await;
    let first = slow.store("first");
    first.load().await.unwrap();
    for polls in 1..4 {
        let store: RedisStore = first.another("a").unwrap();
        dropped_after(polls, store.changed()).await;
        drop(store);
        first.load().await.unwrap();
        until_async(async || redis.ask::<Vec<String>>("PUBSUB CHANNELS").await.is_empty()).await;
    }
    assert_eq!(slow.connections(), 1);
}

#[tokio::test]
#[allow(clippy::disallowed_methods, reason = "the patience of a session is what is tested")]
async fn where_nobody_waits_long_enough_a_dead_connection_is_found_out_all_the_same() {
    let redis = Redis::start().await;
    let switch = Switch::to(redis.port).await;
    let store = switch.store("a");
    let set = write(&store, 1).await;
    switch.cut();
    let impatient = || tokio::time::timeout(Duration::from_millis(500), store.load());
    assert!(impatient().await.is_err());
    until_async(async || impatient().await.is_ok_and(|loaded| loaded.unwrap().as_ref().map(json) == Some(json(&set))))
        .await;
}

#[tokio::test]
async fn a_lease_that_nobody_waits_for_any_more_is_given_back() {
    let redis = Redis::start().await;
    let slow = Slow::to(redis.port, ROUND_TRIP).await;
    let store = slow.store("a").lease(AN_HOUR).unwrap();
    // From then on the server knows the script.
    lease(&store).await.release().await.unwrap();
    for polls in 1..3 {
        let has_ended = dropped_after(polls, async { drop(store.try_lease(None).await) }).await;
        assert_eq!(has_ended, polls > 1);
        // By now it has been granted, whoever has heard of it.
        store.load().await.unwrap();
        if has_ended {
            assert_eq!(
                redis.ask::<u64>("DEL tower-auth-refresh:{a}:lease").await,
                1,
                "a lease that was heard of is kept"
            );
        }
        within(async { while redis.ask::<u64>("EXISTS tower-auth-refresh:{a}:lease").await == 1 {} }).await;
    }
}
