//! Compare and swap, in every combination.

use std::time::{Duration, UNIX_EPOCH};

use tower_auth_refresh::{
    store::{Lease, Swap, TokenStore},
    test_util::store_conformance,
    token::{FencingToken, Generation, Stored, TokenSet, Version},
};

use super::{
    scene::{SHORT, json, lease, loaded, stored, write},
    server::Redis,
};

#[tokio::test]
async fn the_redis_store_conforms() {
    for key in [None, Some([7; 32])] {
        let redis = Redis::start().await;
        let open = || {
            let store = redis.store("a").lease(SHORT).unwrap();
            if let Some(key) = key { store.encryption_key(key) } else { store }
        };
        store_conformance(open, Duration::from_secs(60)).await.unwrap();
    }
}

#[tokio::test]
async fn nothing_is_stored_at_first() {
    let redis = Redis::start().await;
    assert!(redis.store("a").load().await.unwrap().is_none());
}

#[tokio::test]
async fn what_was_saved_is_loaded_by_everybody() {
    let redis = Redis::start().await;
    let saved = write(&redis.store("a"), 7).await;
    assert_eq!(loaded(&redis.store("a")).await, Some(json(&saved)));
}

#[tokio::test]
async fn a_set_is_swapped_only_for_the_very_version_that_is_stored() {
    let redis = Redis::start().await;
    let store = redis.store("a");
    let held = lease(&store).await;
    let fence = held.fence();
    let without_a_fence = Stored::new(TokenSet::new("by hand"), Generation::from(7));
    let tombstone = tombstone(7, &*held);
    for is in [None, Some(stored(7, &*held)), Some(without_a_fence), Some(tombstone)] {
        let version = is.as_ref().map(Stored::version);
        let numbers = [7, 6, 8, 77].map(Generation::from);
        let writers = [None, Some(fence), Some(FencingToken::from(1)), Some(FencingToken::from(fence.get() + 1))];
        let versions = numbers
            .iter()
            .flat_map(|&generation| writers.iter().map(move |&fence| Some(Version { generation, fence, revision: 0 })))
            .chain([None]);
        for expected in versions {
            let () = redis.ask("DEL tower-auth-refresh:{a}:token").await;
            if let Some(is) = &is {
                assert_eq!(held.save(None, is).await.unwrap(), Swap::Done);
            }
            let next = stored(9, &*held);
            let swap = held.save(expected, &next).await.unwrap();
            let is_expected = expected == version;
            assert_eq!(swap == Swap::Done, is_expected, "{version:?} is stored, {expected:?} was expected");
            let there = if is_expected { Some(&next) } else { is.as_ref() };
            assert_eq!(loaded(&store).await, there.map(json));
        }
    }
}

#[tokio::test]
async fn clearing_leaves_a_tombstone_that_keeps_the_number() {
    let redis = Redis::start().await;
    let store = redis.store("a");
    let before = write(&store, 1).await;
    let held = lease(&store).await;
    let tombstone = tombstone(2, &*held);
    assert_eq!(held.clear(None, &tombstone).await.unwrap(), Swap::Conflict);
    assert_eq!(held.clear(Some(before.version()), &tombstone).await.unwrap(), Swap::Done);
    let is = store.load().await.unwrap().unwrap();
    assert!(is.token.is_none() && is.signed_out_since.is_some());
    assert_eq!(is.version(), tombstone.version());
    assert_eq!(held.save(Some(before.version()), &stored(3, &*held)).await.unwrap(), Swap::Conflict);
}

#[tokio::test]
async fn numbers_are_compared_to_the_last_digit() {
    let redis = Redis::start().await;
    let store = redis.store("a");
    let held = lease(&store).await;
    let most = u64::MAX - 1;
    assert_eq!(held.save(None, &stored(most, &*held)).await.unwrap(), Swap::Done);
    let version =
        |generation| Some(Version { generation: Generation::from(generation), fence: Some(held.fence()), revision: 0 });
    assert_eq!(held.save(version(most + 1), &stored(1, &*held)).await.unwrap(), Swap::Conflict);
    assert_eq!(held.save(version(most - 1), &stored(1, &*held)).await.unwrap(), Swap::Conflict);
    assert_eq!(held.save(version(most), &stored(1, &*held)).await.unwrap(), Swap::Done);
}

#[tokio::test]
async fn of_many_swaps_for_one_version_one_is_done() {
    let redis = Redis::start().await;
    let store = redis.store("a");
    let before = write(&store, 1).await;
    let held = lease(&store).await;
    let sets: Vec<_> = (2..22).map(|generation| stored(generation, &*held)).collect();
    let swaps = sets.iter().map(|set| held.save(Some(before.version()), set));
    let done = futures::future::join_all(swaps).await.into_iter().filter(|swap| *swap.as_ref().unwrap() == Swap::Done);
    assert_eq!(done.count(), 1);
}

#[tokio::test]
async fn what_cannot_be_written_is_an_error_and_changes_nothing() {
    let redis = Redis::start().await;
    let store = redis.store("a");
    let before = write(&store, 1).await;
    let held = lease(&store).await;
    let unreadable = Stored::new(TokenSet::new(""), Generation::from(2));
    let error = held.save(Some(before.version()), &unreadable).await.unwrap_err();
    assert_eq!(error.to_string(), "cannot write redis tower-auth-refresh:{a}");
    assert_eq!(loaded(&store).await, Some(json(&before)));
}

fn tombstone(generation: u64, lease: &dyn Lease) -> Stored {
    let since = UNIX_EPOCH + Duration::from_secs(1_750_000_000);
    let mut tombstone = Stored::signed_out(Generation::from(generation), since);
    tombstone.fence = Some(lease.fence());
    tombstone
}
