//! A link is followed, and what it leads to is replaced.

use std::os::unix::fs::symlink;

use super::*;

/// A link `token.json` to a file in a folder beside it.
fn linked() -> (Folder, FileStore) {
    let (folder, store) = scene();
    fs::create_dir(folder.path("data")).unwrap();
    symlink("data/real.json", folder.path(FILE)).unwrap();
    (folder, store)
}

#[tokio::test]
async fn a_link_stays_and_its_target_is_replaced() {
    let (folder, store) = linked();
    folder.write("data/real.json", r#"{"version":1,"generation":6,"access_token":"a"}"#);
    assert_eq!(generation(&store).await, Some(6));
    save(&store, 7).await;
    assert!(fs::symlink_metadata(folder.path(FILE)).unwrap().is_symlink());
    assert_eq!(generation(&FileStore::new(folder.path("data/real.json"))).await, Some(7));
    assert_eq!(folder.names(), ["data", FILE]);
}

#[tokio::test]
async fn a_link_to_a_file_that_is_not_there_makes_it() {
    let (folder, store) = linked();
    assert_eq!(generation(&store).await, None);
    save(&store, 7).await;
    assert!(fs::symlink_metadata(folder.path(FILE)).unwrap().is_symlink());
    assert!(fs::symlink_metadata(folder.path("data/real.json")).unwrap().is_file());
}

#[tokio::test]
async fn links_lead_through_links_up_and_down_and_to_whole_paths() {
    let (folder, store) = linked();
    fs::create_dir(folder.path("more")).unwrap();
    symlink("../more/middle.json", folder.path("data/real.json")).unwrap();
    symlink(folder.path("data/last.json"), folder.path("more/middle.json")).unwrap();
    save(&store, 7).await;
    assert!(fs::symlink_metadata(folder.path("data/last.json")).unwrap().is_file());
    assert!(fs::symlink_metadata(folder.path("data/real.json")).unwrap().is_symlink());
}

#[tokio::test]
async fn stores_exclude_each_other_however_they_come_to_the_file() {
    let (folder, store) = linked();
    let _lease = leased(&store).await;
    assert!(is_held(&FileStore::new(folder.path("data/real.json"))).await);
}

#[tokio::test]
async fn links_that_lead_in_a_circle_are_an_error() {
    let (folder, store) = scene();
    symlink("other.json", folder.path(FILE)).unwrap();
    symlink(FILE, folder.path("other.json")).unwrap();
    assert_fails(store.load().await, StoreErrorKind::Unavailable, &folder.path(FILE));
    assert_fails(store.try_lease(None).await, StoreErrorKind::Unavailable, &folder.path(FILE));
}

#[tokio::test]
async fn a_lease_is_lost_when_the_link_leads_elsewhere() {
    let (folder, store) = linked();
    let lease = leased(&store).await;
    fs::remove_file(folder.path(FILE)).unwrap();
    symlink("data/other.json", folder.path(FILE)).unwrap();
    assert_fails(lease.renew().await, StoreErrorKind::Lost, &folder.path(FILE));
    assert_fails(lease.save(None, &stored(1, &*lease)).await, StoreErrorKind::Lost, &folder.path(FILE));
    assert!(!folder.path("data/real.json").exists() && !folder.path("data/other.json").exists());
}

#[tokio::test]
async fn a_lock_file_that_is_a_link_is_not_followed() {
    let (folder, store) = scene();
    folder.write("mine", "");
    symlink("mine", folder.path(LOCK)).unwrap();
    assert_fails(store.try_lease(None).await, StoreErrorKind::Damaged, &folder.path(LOCK));
    assert!(folder.read("mine").is_empty());
}
