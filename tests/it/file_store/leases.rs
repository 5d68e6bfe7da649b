//! Who holds the lease, what its number is, and what may be written under it.

use std::{fs, time::UNIX_EPOCH};

use tower_auth_refresh::clock::{Clock, SystemClock};

use super::*;

/// Far behind the time of day.
const LATE: u64 = 9_000_000_000_000;

fn now_ms() -> u64 {
    u64::try_from(SystemClock::new().now().wall.duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

fn lock_holds(folder: &Folder) -> u64 {
    String::from_utf8(folder.read(LOCK)).unwrap().trim().parse().unwrap()
}

#[tokio::test]
async fn two_stores_on_one_path_exclude_each_other() {
    let (folder, store) = scene();
    let other = FileStore::new(folder.path(FILE));
    let lease = leased(&store).await;
    assert!(is_held(&other).await);
    assert!(is_held(&store).await);
    assert_eq!(lease.lasts(), None);
    lease.renew().await.unwrap();
    drop(lease);
    let lease = leased(&other).await;
    assert!(is_held(&store).await);
    lease.release().await.unwrap();
    leased(&store).await;
}

#[tokio::test]
async fn a_lease_that_was_released_can_do_nothing() {
    let (folder, store) = scene();
    let lease = leased(&store).await;
    lease.release().await.unwrap();
    lease.release().await.unwrap();
    let path = folder.path(FILE);
    assert_fails(lease.renew().await, StoreErrorKind::Lost, &path);
    assert_fails(lease.save(None, &stored(1, &*lease)).await, StoreErrorKind::Lost, &path);
    assert_eq!(folder.names(), [LOCK]);
}

#[tokio::test]
async fn a_number_is_above_the_time_in_milliseconds() {
    let (_folder, store) = scene();
    let before = now_ms();
    let fence = leased(&store).await.fence();
    assert!(fence > FencingToken::from(before) && fence <= FencingToken::from(now_ms() + 1), "{fence}");
}

#[tokio::test]
async fn a_number_is_above_the_one_that_the_session_has_seen() {
    let (_folder, store) = scene();
    let lease = store.try_lease(Some(FencingToken::from(LATE))).await.unwrap().unwrap();
    assert_eq!(lease.fence(), FencingToken::from(LATE + 1));
}

#[tokio::test]
async fn a_number_is_above_the_one_that_is_stored() {
    let (folder, store) = scene();
    folder.write(FILE, format!(r#"{{"version":1,"access_token":"a","fence":{LATE}}}"#));
    assert_eq!(leased(&store).await.fence(), FencingToken::from(LATE + 1));
}

#[tokio::test]
async fn a_number_is_above_one_that_was_drawn_and_never_written() {
    let (folder, store) = scene();
    drop(store.try_lease(Some(FencingToken::from(LATE))).await.unwrap().unwrap());
    assert_eq!(folder.names(), [LOCK]);
    assert_eq!(lock_holds(&folder), LATE + 1);
    assert_eq!(leased(&FileStore::new(folder.path(FILE))).await.fence(), FencingToken::from(LATE + 2));
}

#[tokio::test]
async fn a_hundred_numbers_rise() {
    let (folder, store) = scene();
    let other = FileStore::new(folder.path(FILE));
    let mut fences = Vec::new();
    for _ in 0..50 {
        fences.push(leased(&store).await.fence());
        fences.push(leased(&other).await.fence());
    }
    assert!(fences.is_sorted_by(|one, next| one < next), "{fences:?}");
}

#[tokio::test]
async fn above_the_largest_number_there_is_none() {
    let (folder, store) = scene();
    let largest = Some(FencingToken::from(u64::MAX));
    assert_fails(store.try_lease(largest).await, StoreErrorKind::Damaged, &folder.path(FILE));
    leased(&store).await;
}

#[tokio::test]
async fn a_lock_file_that_a_crash_left_empty_or_zeroed_is_a_new_one() {
    for content in [&b""[..], b"\n", &[0; 21]] {
        let (folder, store) = scene();
        folder.write(LOCK, content);
        let fence = leased(&store).await.fence();
        assert_eq!(lock_holds(&folder), fence.get());
    }
}

#[tokio::test]
async fn a_lock_file_that_holds_something_else_is_left_as_it_is() {
    for content in
        [&b"owned by another program\n"[..], b"12 13\n", b"-1", b"99999999999999999999", b"\xff", &[b'1'; 100]]
    {
        let (folder, store) = scene();
        folder.write(LOCK, content);
        assert_fails(store.try_lease(None).await, StoreErrorKind::Damaged, &folder.path(LOCK));
        assert_eq!(folder.read(LOCK), content);
    }
}

#[tokio::test]
async fn a_failure_to_lease_keeps_nobody_out() {
    let (folder, store) = scene();
    folder.write(FILE, "{}");
    assert_fails(store.try_lease(None).await, StoreErrorKind::Damaged, &folder.path(FILE));
    fs::remove_file(folder.path(FILE)).unwrap();
    leased(&FileStore::new(folder.path(FILE))).await;
}

#[tokio::test]
async fn what_is_stored_must_be_what_was_expected() {
    let (folder, store) = scene();
    let current = save(&store, 7).await;
    let content = folder.read(FILE);
    let lease = leased(&store).await;
    let other_number = Version { generation: Generation::from(6), ..current };
    let other_writer = Version { fence: Some(FencingToken::from(1)), ..current };
    for expected in [None, Some(other_number), Some(other_writer), Some(Version { fence: None, ..current })] {
        assert_eq!(lease.save(expected, &stored(8, &*lease)).await.unwrap(), Swap::Conflict, "{expected:?}");
        assert_eq!(folder.read(FILE), content);
    }
    assert_eq!(lease.save(Some(current), &stored(8, &*lease)).await.unwrap(), Swap::Done);
    assert_eq!(generation(&store).await, Some(8));
}

#[tokio::test]
async fn what_was_deleted_is_not_what_was_expected() {
    let (folder, store) = scene();
    let current = save(&store, 7).await;
    let lease = leased(&store).await;
    fs::remove_file(folder.path(FILE)).unwrap();
    assert_eq!(lease.save(Some(current), &stored(8, &*lease)).await.unwrap(), Swap::Conflict);
    assert_eq!(folder.names(), [LOCK]);
}

#[tokio::test]
async fn what_was_written_under_a_larger_number_is_not_replaced() {
    let (folder, store) = scene();
    let lease = leased(&store).await;
    let larger = FencingToken::from(lease.fence().get() + 1);
    folder.write(FILE, format!(r#"{{"version":1,"generation":7,"access_token":"a","fence":{larger}}}"#));
    let expected = version(&store).await;
    assert_eq!(lease.save(expected, &stored(8, &*lease)).await.unwrap(), Swap::Conflict);
    assert_eq!(generation(&store).await, Some(7));
}

#[tokio::test]
async fn one_lease_writes_again_and_again() {
    let (_folder, store) = scene();
    let lease = leased(&store).await;
    let mut expected = None;
    for number in 1..=3 {
        let stored = stored(number, &*lease);
        assert_eq!(lease.save(expected, &stored).await.unwrap(), Swap::Done);
        expected = Some(stored.version());
    }
    assert_eq!(version(&store).await, expected);
}

#[cfg(unix)]
#[tokio::test]
async fn a_lease_whose_lock_file_was_deleted_is_lost() {
    let (folder, store) = scene();
    let lease = leased(&store).await;
    fs::remove_file(folder.path(LOCK)).unwrap();
    assert_fails(lease.renew().await, StoreErrorKind::Lost, &folder.path(FILE));
    assert_fails(lease.save(None, &stored(1, &*lease)).await, StoreErrorKind::Lost, &folder.path(FILE));
    assert!(folder.names().is_empty(), "{:?}", folder.names());
}

#[cfg(unix)]
#[tokio::test]
async fn a_lease_whose_lock_file_was_replaced_is_lost_to_the_next() {
    let (folder, store) = scene();
    let lost = leased(&store).await;
    fs::remove_file(folder.path(LOCK)).unwrap();
    let lease = leased(&FileStore::new(folder.path(FILE))).await;
    assert_fails(lost.renew().await, StoreErrorKind::Lost, &folder.path(FILE));
    assert_fails(lost.save(None, &stored(1, &*lost)).await, StoreErrorKind::Lost, &folder.path(FILE));
    let next = stored(2, &*lease);
    assert_eq!(lease.save(None, &next).await.unwrap(), Swap::Done);
    assert_eq!(lost.save(None, &stored(1, &*lost)).await.unwrap(), Swap::Conflict);
    assert_eq!(version(&store).await, Some(next.version()));
}

#[tokio::test]
async fn a_write_that_is_not_waited_for_is_made_under_the_lock() {
    let (folder, store) = scene();
    let other = FileStore::new(folder.path(FILE));
    let lease = leased(&store).await;
    let next = stored(1, &*lease);
    // Handed over, and then its future and its lease are gone.
    let _ = ByHand::new(lease.save(None, &next)).poll();
    drop(lease);
    drop(becomes_free(&other).await);
    assert_eq!(version(&other).await, Some(next.version()));
    assert_eq!(folder.names(), [FILE, LOCK]);
}
