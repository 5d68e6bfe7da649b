//! What is stored, and waiting for other processes.

use std::{
    future::Future,
    task::{Context, Waker},
    time::Duration,
};

use secrecy::ExposeSecret;
use tower_auth_refresh::{
    store::{Lease, RedisStore, Swap, TokenStore},
    token::{Generation, Stored, TokenSet},
};

/// How long another process may take for whatever it does.
const DEADLINE: Duration = Duration::from_secs(20);

/// Longer than any test, and no longer than a store takes.
pub const AN_HOUR: Duration = Duration::from_secs(60 * 60);

pub const SHORT: Duration = Duration::from_millis(100);

/// The `generation`th token set, as the holder of `lease` writes it.
pub fn stored(generation: u64, lease: &dyn Lease) -> Stored {
    let token = TokenSet::new(format!("access-{generation}")).with_refresh_token(format!("refresh-{generation}"));
    let mut stored = Stored::new(token, Generation::from(generation));
    stored.fence = Some(lease.fence());
    stored
}

pub async fn lease(store: &RedisStore) -> Box<dyn Lease> {
    store.try_lease(None).await.unwrap().expect("nobody else holds it")
}

/// Puts the `generation`th set in the place of what is there.
pub async fn write(store: &RedisStore, generation: u64) -> Stored {
    let lease = lease(store).await;
    let expected = store.load().await.unwrap().map(|stored| stored.version());
    let stored = stored(generation, &*lease);
    assert_eq!(lease.save(expected, &stored).await.unwrap(), Swap::Done);
    lease.release().await.unwrap();
    stored
}

/// All that is stored, in its JSON form.
#[allow(clippy::disallowed_methods, reason = "a test compares what is stored")]
pub fn json(stored: &Stored) -> String {
    stored.to_json().unwrap().expose_secret().to_owned()
}

pub async fn loaded(store: &RedisStore) -> Option<String> {
    store.load().await.unwrap().as_ref().map(json)
}

#[allow(clippy::disallowed_methods, reason = "other processes need real time; it is a deadline and not a pause")]
pub async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, future).await.expect("it takes too long")
}

/// Asks again and again until it is so.
pub async fn until_async(is_so: impl AsyncFn() -> bool) {
    within(async {
        while !is_so().await {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// A store that hears what is new, has loaded what there is, and does not look by itself.
pub async fn listening(store: RedisStore) -> RedisStore {
    let store = store.poll(AN_HOUR).unwrap();
    within(store.changed()).await;
    store.load().await.unwrap();
    store
}

#[track_caller]
pub fn assert_waits(future: &mut (impl Future<Output = ()> + Unpin)) {
    let polled = std::pin::Pin::new(future).poll(&mut Context::from_waker(Waker::noop()));
    assert!(polled.is_pending(), "nothing is new");
}
