//! A server that is not there, says nothing, or has lost its memory.

use std::{
    task::{Context, Poll, Waker},
    time::Duration,
};

use tower_auth_refresh::store::{StoreError, StoreErrorKind, Swap, TokenStore};

use super::{
    scene::{json, lease, loaded, stored, until_async, write},
    server::Redis,
    switch::Switch,
};

fn says(error: &StoreError) -> (StoreErrorKind, String) {
    (error.kind(), error.to_string())
}

#[tokio::test]
async fn a_server_that_is_not_there_is_an_error_until_it_is() {
    let mut redis = Redis::stopped().await;
    let store = redis.store("a");
    let read = says(&store.load().await.unwrap_err());
    assert_eq!(
        read,
        (StoreErrorKind::Unavailable, "cannot read redis tower-auth-refresh:{a}: connection refused".to_owned())
    );
    assert!(store.try_lease(None).await.is_err());
    redis.start_again().await;
    assert_eq!(loaded(&store).await, None);
}

#[tokio::test]
async fn a_server_that_restarts_is_found_again() {
    let mut redis = Redis::start().await;
    let store = redis.store("a");
    let held = lease(&store).await;
    redis.kill();
    until_async(async || store.load().await.is_err()).await;
    assert_eq!(held.renew().await.unwrap_err().kind(), StoreErrorKind::Unavailable);
    redis.start_again().await;
    assert_eq!(loaded(&store).await, None);
    assert_eq!(held.renew().await.unwrap_err().kind(), StoreErrorKind::Lost);
}

#[tokio::test]
async fn a_server_that_has_lost_its_memory_does_not_start_anew() {
    let redis = Redis::start().await;
    let store = redis.store("a");
    let before = write(&store, 1).await;
    let lost = lease(&store).await;
    let () = redis.ask("FLUSHALL").await;
    assert_eq!(lost.renew().await.unwrap_err().kind(), StoreErrorKind::Lost);
    assert_eq!(lost.save(Some(before.version()), &stored(2, &*lost)).await.unwrap(), Swap::Conflict);
    let held = store.try_lease(Some(lost.fence())).await.unwrap().unwrap();
    assert!(held.fence() > lost.fence());
    let after = stored(2, &*held);
    assert_eq!(held.save(None, &after).await.unwrap(), Swap::Done);
    assert_eq!(lost.save(None, &stored(3, &*lost)).await.unwrap(), Swap::Conflict);
    assert_eq!(loaded(&store).await, Some(json(&after)));
}

#[tokio::test]
async fn a_server_that_has_forgotten_the_scripts_learns_them_again() {
    let redis = Redis::start().await;
    let store = redis.store("a");
    for generation in 1..4 {
        let () = redis.ask("SCRIPT FLUSH").await;
        let held = lease(&store).await;
        let () = redis.ask("SCRIPT FLUSH").await;
        held.renew().await.unwrap();
        let () = redis.ask("SCRIPT FLUSH").await;
        let expected = store.load().await.unwrap().map(|stored| stored.version());
        assert_eq!(held.save(expected, &stored(generation, &*held)).await.unwrap(), Swap::Done);
        let () = redis.ask("SCRIPT FLUSH").await;
        held.release().await.unwrap();
    }
}

#[tokio::test]
async fn a_server_that_hangs_is_an_error_before_the_session_gives_up() {
    let redis = Redis::start().await;
    let store = redis.store("a");
    write(&store, 1).await;
    let held = lease(&store).await;
    redis.signal("STOP");
    let set = stored(2, &*held);
    let (loading, leasing, renewing, saving, releasing) = in_three_seconds(async {
        tokio::join!(store.load(), store.try_lease(None), held.renew(), held.save(None, &set), held.release())
    })
    .await;
    let expected = |asked: &str| {
        (StoreErrorKind::TimedOut, format!("cannot {asked} redis tower-auth-refresh:{{a}}: no answer in time"))
    };
    assert_eq!(says(&loading.unwrap_err()), expected("read"));
    assert_eq!(says(&leasing.err().unwrap()), expected("lease"));
    assert_eq!(says(&renewing.unwrap_err()), expected("renew the lease of"));
    assert_eq!(says(&saving.unwrap_err()), expected("write"));
    assert_eq!(says(&releasing.unwrap_err()), expected("release the lease of"));

    // Nobody has closed anything: it must be connected anew, which the kernel does in the place of the process.
    in_three_seconds(store.load()).await.unwrap_err();
    redis.signal("CONT");
    until_async(async || store.load().await.is_ok()).await;
}

#[tokio::test]
async fn a_server_that_takes_no_writes_can_still_be_read() {
    let redis = Redis::start().await;
    let store = redis.store("a");
    let set = write(&store, 1).await;
    let () = redis.ask("CLIENT PAUSE 600000 WRITE").await;
    let error = in_three_seconds(store.try_lease(None)).await.err().unwrap();
    assert_eq!(error.kind(), StoreErrorKind::TimedOut);
    assert_eq!(loaded(&store).await, Some(json(&set)));
    let () = redis.ask("CLIENT UNPAUSE").await;
    // What was asked in vain may have been heard after all.
    let () = redis.ask("DEL tower-auth-refresh:{a}:lease").await;
    lease(&store).await;
}

#[tokio::test]
async fn a_connection_that_nobody_answers_or_closes_costs_one_call() {
    let redis = Redis::start().await;
    let switch = Switch::to(redis.port).await;
    let store = switch.store("a");
    let set = write(&store, 1).await;
    switch.cut();
    assert_eq!(in_three_seconds(store.load()).await.unwrap_err().kind(), StoreErrorKind::TimedOut);
    assert_eq!(loaded(&store).await, Some(json(&set)));
}

#[tokio::test]
async fn a_full_server_grants_no_lease_and_still_takes_what_was_granted_under_one() {
    let redis = Redis::start().await;
    let store = redis.store("a");
    let held = lease(&store).await;
    let () = redis.ask("CONFIG SET maxmemory 1").await;
    let next = stored(1, &*held);
    assert_eq!(held.save(None, &next).await.unwrap(), Swap::Done);
    assert_eq!(loaded(&store).await, Some(json(&next)));
    held.release().await.unwrap();
    let expected = (StoreErrorKind::Unavailable, "cannot lease redis tower-auth-refresh:{a}: OOM".to_owned());
    assert_eq!(says(&store.try_lease(None).await.err().unwrap()), expected);
}

#[test]
fn outside_of_a_runtime_there_is_an_error_and_no_panic() {
    let store = tower_auth_refresh::store::RedisStore::new("redis://127.0.0.1:1", "a").unwrap();
    let mut cx = Context::from_waker(Waker::noop());
    let Poll::Ready(Err(error)) = store.load().as_mut().poll(&mut cx) else { panic!("no error") };
    let expected = "cannot read redis tower-auth-refresh:{a}: there is no tokio runtime with a timer";
    assert_eq!(says(&error), (StoreErrorKind::Unavailable, expected.to_owned()));
    assert!(store.changed().as_mut().poll(&mut cx).is_pending());
}

/// For so long a session waits for its store.
#[allow(clippy::disallowed_methods, reason = "what takes no longer than this is what is tested")]
async fn in_three_seconds<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(3), future).await.expect("a session would have given up")
}
