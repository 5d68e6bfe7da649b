//! The store in memory, beyond what every store must do.

use std::{
    future::Future,
    sync::Arc,
    task::{Context, Waker},
};

use tower_auth_refresh::{
    store::{Lease, MemoryStore, StoreErrorKind, Swap, TokenStore},
    token::{FencingToken, Generation, Stored, TokenSet},
};

fn token_set(generation: u64, fence: FencingToken) -> Stored {
    let token = TokenSet::new(format!("S3CR3T-access-{generation}")).with_refresh_token("S3CR3T-refresh");
    let mut stored = Stored::new(token, Generation::from(generation));
    stored.fence = Some(fence);
    stored
}

async fn lease(store: &MemoryStore) -> Box<dyn Lease> {
    store.try_lease(None).await.unwrap().unwrap()
}

async fn is_leased(store: &MemoryStore) -> bool {
    store.try_lease(None).await.unwrap().is_none()
}

async fn generation(store: &dyn TokenStore) -> Option<u64> {
    store.load().await.unwrap().map(|stored| stored.generation.get())
}

fn is_pending(future: impl Future) -> bool {
    std::pin::pin!(future).poll(&mut Context::from_waker(Waker::noop())).is_pending()
}

#[tokio::test]
async fn a_clone_is_the_same_store_and_a_new_one_is_another() {
    let store = MemoryStore::new();
    let holder = lease(&store).await;
    assert_eq!(holder.save(None, &token_set(7, holder.fence())).await.unwrap(), Swap::Done);

    assert_eq!(generation(&store.clone()).await, Some(7));
    assert!(is_leased(&store.clone()).await);
    assert_eq!(generation(&MemoryStore::new()).await, None);
    assert!(!is_leased(&MemoryStore::new()).await);
}

#[tokio::test]
async fn a_lease_that_is_dropped_is_free_at_once_and_wakes_who_waits() {
    let store = MemoryStore::new();
    let holder = lease(&store).await;
    let changed = store.changed();
    drop(holder);

    assert!(!is_pending(changed));
    assert!(!is_leased(&store).await);
}

#[tokio::test]
async fn a_lease_holds_without_end_and_outlives_its_handle() {
    let store = MemoryStore::new();
    let handle = store.clone();
    let holder = lease(&handle).await;
    drop(handle);

    assert_eq!(holder.lasts(), None);
    assert!(is_leased(&store).await);
}

#[tokio::test]
async fn every_waiter_is_woken_by_one_save() {
    let store = MemoryStore::new();
    let holder = lease(&store).await;
    let waiting: Vec<_> = (0..10).map(|_| store.changed()).collect();
    assert_eq!(holder.save(None, &token_set(1, holder.fence())).await.unwrap(), Swap::Done);

    assert!(!waiting.into_iter().any(is_pending));
}

#[tokio::test]
async fn what_changes_nothing_and_what_came_before_wakes_nobody() {
    let store = MemoryStore::new();
    let holder = lease(&store).await;
    let stored = token_set(1, holder.fence());
    assert_eq!(holder.save(None, &stored).await.unwrap(), Swap::Done);

    let changed = store.changed();
    assert_eq!(holder.save(None, &stored).await.unwrap(), Swap::Conflict);
    assert!(is_leased(&store).await);
    holder.renew().await.unwrap();
    store.load().await.unwrap();
    assert!(is_pending(changed));

    holder.release().await.unwrap();
    let changed = store.changed();
    holder.release().await.unwrap();
    drop(holder);
    assert!(is_pending(changed));
}

#[tokio::test]
async fn fencing_tokens_are_above_a_restored_set_and_never_start_anew() {
    let store = MemoryStore::new();
    let holder = lease(&store).await;
    assert_eq!(holder.fence(), FencingToken::from(1));
    // As it stood in the store that this one takes the place of.
    assert_eq!(holder.save(None, &token_set(1, FencingToken::from(41))).await.unwrap(), Swap::Done);
    holder.release().await.unwrap();

    assert_eq!(lease(&store).await.fence(), FencingToken::from(42));
    assert_eq!(lease(&store).await.fence(), FencingToken::from(43));
    let above = store.try_lease(Some(FencingToken::from(100))).await.unwrap().unwrap();
    assert_eq!(above.fence(), FencingToken::from(101));
}

#[tokio::test]
async fn behind_the_last_fencing_token_there_is_an_error_and_no_lease() {
    let store = MemoryStore::new();
    let error = store.try_lease(Some(FencingToken::from(u64::MAX))).await.map(drop).unwrap_err();

    assert_eq!(error.kind(), StoreErrorKind::Damaged);
    assert_eq!(error.to_string(), "the memory store has no larger fencing token");
    assert_eq!(lease(&store).await.fence(), FencingToken::from(1));
}

#[tokio::test]
async fn debug_shows_the_version_and_the_lease_and_no_secret() {
    let store = MemoryStore::new();
    let holder = lease(&store).await;
    assert_eq!(holder.save(None, &token_set(7, holder.fence())).await.unwrap(), Swap::Done);

    assert_eq!(
        format!("{store:?}"),
        "MemoryStore { version: Some(Version { generation: Generation(7), fence: Some(FencingToken(1)), revision: 0 }), held: Some(FencingToken(1)) }"
    );
}

#[tokio::test]
async fn pointers_to_a_store_are_that_store() {
    let store = MemoryStore::new();
    let holder = lease(&store).await;
    let boxed: Box<dyn TokenStore> = Box::new(store.clone());
    let shared: Arc<dyn TokenStore> = Arc::new(store.clone());
    let changed = [boxed.changed(), shared.changed()];
    assert_eq!(holder.save(None, &token_set(7, holder.fence())).await.unwrap(), Swap::Done);

    assert!(!changed.into_iter().any(is_pending));
    for pointer in [&boxed as &dyn TokenStore, &shared] {
        assert_eq!(generation(pointer).await, Some(7));
        assert!(pointer.try_lease(None).await.unwrap().is_none());
    }
    holder.release().await.unwrap();
    for pointer in [&boxed as &dyn TokenStore, &shared] {
        let above = pointer.try_lease(Some(FencingToken::from(100))).await.unwrap().unwrap();
        assert!(above.fence() > FencingToken::from(100));
    }
}
