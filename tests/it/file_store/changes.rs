//! What others write is noticed. Time is paused: it passes while the test waits, and takes none.

#![allow(clippy::disallowed_methods, reason = "paused time")]

use tokio::time::{Instant, timeout};

use super::*;

const LONG: Duration = Duration::from_secs(600);

/// Time stands still during a look, and goes on between two.
const FIRST_LOOK: Duration = Duration::from_millis(1);

/// Two stores on a file that both have loaded.
async fn two() -> (Folder, FileStore, FileStore) {
    let (folder, store) = scene();
    save(&store, 7).await;
    let other = FileStore::new(folder.path(FILE));
    assert_eq!(generation(&other).await, Some(7));
    (folder, store, other)
}

/// Two stores where there is no file.
#[cfg(unix)]
fn none() -> (Folder, FileStore, FileStore) {
    let (folder, store) = scene();
    let other = FileStore::new(folder.path(FILE));
    (folder, store, other)
}

/// Nothing wakes it for a long time.
async fn assert_unchanged(store: &FileStore) {
    assert!(timeout(LONG, store.changed()).await.is_err(), "it was woken");
}

#[track_caller]
fn assert_noticed(result: Result<(), tokio::time::error::Elapsed>) {
    assert!(result.is_ok(), "it was not woken");
}

#[tokio::test(start_paused = true)]
async fn nothing_wakes_where_nothing_changes() {
    let (_folder, _store, other) = two().await;
    assert_unchanged(&other).await;
}

#[tokio::test(start_paused = true)]
async fn a_write_is_noticed_and_once() {
    let (_folder, store, other) = two().await;
    let changed = ByHand::started(other.changed());
    save(&store, 8).await;
    assert_noticed(timeout(LONG, changed.rest()).await);
    assert_eq!(generation(&other).await, Some(8));
    assert_unchanged(&other).await;
}

#[tokio::test(start_paused = true)]
async fn a_write_between_the_load_and_the_call_is_noticed() {
    let (_folder, store, other) = two().await;
    save(&store, 8).await;
    assert_noticed(timeout(FIRST_LOOK, other.changed()).await);
}

#[tokio::test(start_paused = true)]
async fn a_write_after_the_call_and_before_its_first_poll_is_noticed() {
    let (_folder, store, other) = two().await;
    let changed = other.changed();
    save(&store, 8).await;
    assert_eq!(generation(&other).await, Some(8));
    assert_noticed(timeout(LONG, changed).await);
}

#[tokio::test(start_paused = true)]
async fn a_deletion_and_a_creation_are_noticed() {
    let (folder, store, other) = two().await;
    fs::remove_file(folder.path(FILE)).unwrap();
    assert_noticed(timeout(LONG, other.changed()).await);
    assert_eq!(generation(&other).await, None);
    assert_unchanged(&other).await;
    save(&store, 8).await;
    assert_noticed(timeout(LONG, other.changed()).await);
}

#[tokio::test(start_paused = true)]
async fn another_token_in_the_same_place_of_the_same_length_at_the_same_time_is_noticed() {
    let (folder, store) = scene();
    let path = folder.write(FILE, r#"{"version":1,"access_token":"a"}"#);
    let modified = fs::metadata(&path).unwrap().modified().unwrap();
    store.load().await.unwrap();
    fs::write(&path, r#"{"version":1,"access_token":"b"}"#).unwrap();
    fs::File::options().write(true).open(&path).unwrap().set_modified(modified).unwrap();
    assert_noticed(timeout(LONG, store.changed()).await);
}

#[tokio::test(start_paused = true)]
async fn damage_is_noticed_once_and_its_mending_too() {
    let (folder, _store, other) = two().await;
    let content = folder.read(FILE);
    folder.write(FILE, "hush");
    assert_noticed(timeout(LONG, other.changed()).await);
    other.load().await.unwrap_err();
    assert_unchanged(&other).await;
    folder.write(FILE, content);
    assert_noticed(timeout(LONG, other.changed()).await);
}

#[cfg(unix)]
#[tokio::test(start_paused = true)]
async fn access_that_is_mended_is_noticed() {
    use std::os::unix::fs::PermissionsExt;

    for (folder, _store, other) in [two().await, none()] {
        let allow = |mode| fs::set_permissions(folder.path(""), PermissionsExt::from_mode(mode)).unwrap();
        allow(0o777);
        other.load().await.unwrap_err();
        assert_unchanged(&other).await;
        allow(0o700);
        assert_noticed(timeout(LONG, other.changed()).await);
    }
}

#[tokio::test(start_paused = true)]
async fn the_file_is_looked_at_in_the_interval_that_was_set() {
    let (folder, store) = scene();
    let other = FileStore::new(folder.path(FILE)).poll(Duration::from_secs(60));
    other.load().await.unwrap();
    let begun = Instant::now();
    assert!(timeout(Duration::from_secs(1), other.changed()).await.is_err());
    let changed = other.changed();
    let write = async {
        tokio::time::sleep(Duration::from_secs(30)).await;
        save(&store, 7).await;
    };
    let ((), ()) = tokio::join!(changed, write);
    assert_eq!(begun.elapsed().as_secs(), 61);
}

#[tokio::test(start_paused = true)]
async fn without_a_load_it_returns_once_and_then_waits() {
    let (_folder, store) = scene();
    assert_noticed(timeout(FIRST_LOOK, store.changed()).await);
    assert_unchanged(&store).await;
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_lease_wakes_who_was_refused_it() {
    for release in [true, false] {
        let (_folder, store, other) = two().await;
        let lease = leased(&store).await;
        assert!(is_held(&other).await);
        assert_unchanged(&other).await;
        if release {
            lease.release().await.unwrap();
        }
        drop(lease);
        assert_noticed(timeout(LONG, other.changed()).await);
        leased(&other).await;
        assert_unchanged(&other).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_ends_before_the_call_wakes_who_was_refused_it() {
    let (_folder, store, other) = two().await;
    let lease = leased(&store).await;
    assert!(is_held(&other).await);
    drop(lease);
    assert_noticed(timeout(FIRST_LOOK, other.changed()).await);
}

#[tokio::test(start_paused = true)]
async fn who_was_refused_nothing_does_not_touch_the_lock() {
    let (folder, _store, other) = two().await;
    fs::remove_file(folder.path(LOCK)).unwrap();
    assert_unchanged(&other).await;
    assert_eq!(folder.names(), [FILE]);
}

#[test]
fn without_a_timer_it_never_returns() {
    let (_folder, store) = scene();
    // One thread for the disk: what is asked for later comes later.
    let runtime = tokio::runtime::Builder::new_current_thread().max_blocking_threads(1).build().unwrap();
    runtime.block_on(async {
        store.load().await.unwrap();
        let mut changed = ByHand::started(store.changed());
        store.load().await.unwrap();
        assert!(changed.is_pending());
        save(&store, 7).await;
        assert!(!changed.is_woken());
        assert!(changed.is_pending());
    });
    assert!(ByHand::new(store.changed()).is_pending());
}
