//! A crash leaves the old token set or the new one, and the next lease tidies up.

use super::*;

const OLD: &str = r#"{"version":1,"generation":7,"access_token":"old","fence":41}"#;
const NEW: &str = r#"{"version":1,"generation":8,"access_token":"new","fence":42}"#;
const DRAFT: &str = "token.json.42.new";

/// What the holder of the lease 42 leaves that dies in the course of a write.
fn crashed(file: &str, draft: Option<&str>) -> (Folder, FileStore) {
    let (folder, store) = scene();
    folder.write(LOCK, "00000000000000000042\n");
    folder.write(FILE, file);
    if let Some(draft) = draft {
        folder.write(DRAFT, draft);
    }
    (folder, store)
}

#[tokio::test]
async fn before_the_rename_the_old_set_is_there() {
    for draft in [None, Some(""), NEW.get(..20), Some(NEW)] {
        let (_folder, store) = crashed(OLD, draft);
        assert_eq!(generation(&store).await, Some(7));
    }
}

#[tokio::test]
async fn after_the_rename_the_new_set_is_there() {
    let (folder, store) = crashed(NEW, None);
    assert_eq!(generation(&store).await, Some(8));
    save(&store, 9).await;
    assert_eq!(folder.names(), [FILE, LOCK]);
}

#[tokio::test]
async fn the_next_lease_deletes_what_a_dead_writer_left() {
    for draft in ["", "{", NEW] {
        let (folder, store) = crashed(OLD, Some(draft));
        let lease = leased(&store).await;
        assert_eq!(folder.names(), [FILE, LOCK]);
        assert_eq!(folder.read(FILE), OLD.as_bytes());
        let expected = version(&store).await;
        assert_eq!(lease.save(expected, &stored(9, &*lease)).await.unwrap(), Swap::Done);
        assert_eq!(generation(&store).await, Some(9));
    }
}

#[tokio::test]
async fn what_a_living_writer_writes_is_left_to_it() {
    let (folder, store) = scene();
    let lease = leased(&store).await;
    let draft = format!("token.json.{}.new", lease.fence());
    folder.write(&draft, NEW);
    assert!(is_held(&FileStore::new(folder.path(FILE))).await);
    store.load().await.unwrap();
    assert_eq!(folder.names(), [draft.as_str(), LOCK]);
}

#[tokio::test]
async fn a_file_that_is_there_already_is_not_written_to() {
    let (folder, store) = scene();
    let lease = leased(&store).await;
    let draft = folder.write(&format!("token.json.{}.new", lease.fence()), "somebody else's");
    assert_fails(lease.save(None, &stored(1, &*lease)).await, StoreErrorKind::Unavailable, &draft);
    assert_eq!(fs::read(&draft).unwrap(), b"somebody else's");
    assert_eq!(store.load().await.unwrap().map(|stored| stored.generation), None);
}

#[tokio::test]
async fn other_files_beside_the_token_are_left_alone() {
    let (folder, store) = crashed(OLD, Some(NEW));
    let names = ["token.json.41.new", "token.json.bak", "token.json.new", "token.jsonx.42.new"];
    for name in names {
        folder.write(name, "x");
    }
    save(&store, 9).await;
    let mut expected: Vec<_> = names.into_iter().chain([FILE, LOCK]).collect();
    expected.sort_unstable();
    assert_eq!(folder.names(), expected);
}
