//! Where the disk does not let it, the error says what was tried and where, and nothing changes.

use super::*;

#[tokio::test]
async fn a_folder_that_is_not_there_is_not_made() {
    let (folder, _) = scene();
    let store = FileStore::new(folder.path("none/token.json"));
    assert_fails(store.load().await, StoreErrorKind::Unavailable, &folder.path("none"));
    assert_fails(store.try_lease(None).await, StoreErrorKind::Unavailable, &folder.path("none"));
    assert!(folder.names().is_empty());
}

#[tokio::test]
async fn a_file_where_the_folder_should_be_is_an_error() {
    let (folder, _) = scene();
    let file = folder.write("file", "");
    let store = FileStore::new(file.join("token.json"));
    let error = store.load().await.unwrap_err();
    assert_eq!(error.to_string(), format!("{} is not a folder", file.display()));
    assert_fails(store.try_lease(None).await, StoreErrorKind::Unavailable, &file);
}

/// Neither of them takes files, not even from root.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_folder_that_cannot_be_written_is_an_error() {
    for folder in ["/proc/self", "/sys"] {
        let store = FileStore::new(format!("{folder}/token.json"));
        assert!(store.load().await.unwrap().is_none());
        let lock = Path::new(folder).join(LOCK);
        let error = store.try_lease(None).await.err().unwrap();
        assert!(error.to_string().starts_with(&format!("cannot open {}: ", lock.display())), "{error}");
        assert_fails::<()>(Err(error), StoreErrorKind::Unavailable, &lock);
    }
}

#[tokio::test]
async fn a_name_that_is_too_long_is_an_error() {
    let (folder, _) = scene();
    let path = folder.path(&"x".repeat(251));
    let store = FileStore::new(&path);
    assert!(store.load().await.unwrap().is_none());
    assert_fails(store.try_lease(None).await, StoreErrorKind::Unavailable, &path);
    assert!(folder.names().is_empty());
}

/// A folder that takes the place of the one in which a lease is held: nothing that is held is in it.
#[cfg(unix)]
#[tokio::test]
async fn a_folder_that_is_gone_takes_the_lease_with_it() {
    let (folder, _) = scene();
    let inner = folder.path("inner");
    fs::create_dir(&inner).unwrap();
    let store = FileStore::new(inner.join(FILE));
    let lease = leased(&store).await;
    fs::remove_dir_all(&inner).unwrap();
    assert_fails(lease.renew().await, StoreErrorKind::Unavailable, &inner);
    assert_fails(lease.save(None, &stored(1, &*lease)).await, StoreErrorKind::Unavailable, &inner);
    fs::create_dir(&inner).unwrap();
    assert_fails(lease.renew().await, StoreErrorKind::Lost, &inner);
}

/// The limit of a shell takes the part of the disk: no file may have more than one block of 512 or 1024 bytes.
#[cfg(unix)]
#[test]
fn a_full_disk_leaves_the_old_set_and_no_other_file() {
    use super::processes::{Other, block_on, here};

    if let Some(store) = here() {
        return eprintln!("{}", block_on(write_too_much(&store)));
    }
    let (folder, store) = scene();
    block_on(save(&store, 7));
    let content = folder.read(FILE);
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", r#"trap "" XFSZ; ulimit -f 1; exec "$0" "$@""#]).arg(std::env::current_exe().unwrap());
    let test = "unavailable::a_full_disk_leaves_the_old_set_and_no_other_file";
    let said = Other::run(test, &folder, shell).says().unwrap();
    let draft = said.strip_prefix("cannot write ").and_then(|said| said.strip_suffix(": file too large")).expect(&said);
    assert!(draft.starts_with(folder.path(FILE).to_str().unwrap()) && draft.ends_with(".new"), "{said}");
    assert_eq!(folder.read(FILE), content);
    assert_eq!(folder.names(), [FILE, LOCK]);
    block_on(save(&store, 8));
}

#[cfg(unix)]
async fn write_too_much(store: &FileStore) -> StoreError {
    let lease = leased(store).await;
    let mut stored = stored(8, &*lease);
    stored.token = Some(TokenSet::new("x".repeat(5000)));
    lease.save(version(store).await, &stored).await.unwrap_err()
}
