//! The token set in a file: C47 to C50, as far as a store keeps them.

#[cfg(unix)]
mod access;
mod changes;
mod crashes;
mod foreign;
mod leases;
#[cfg(unix)]
mod links;
#[cfg(unix)]
mod processes;
mod unavailable;

use std::{fs, path::Path, time::Duration};

use tower_auth_refresh::{
    store::{FileStore, Lease, StoreError, StoreErrorKind, Swap, TokenStore},
    test_util::store_conformance,
    token::{ExposeSecret, FencingToken, Generation, Stored, TokenSet, Version},
};

use crate::support::{by_hand::ByHand, folder::Folder};

const FILE: &str = "token.json";
const LOCK: &str = "token.json.lock";

/// A folder with nothing in it, and a store there.
fn scene() -> (Folder, FileStore) {
    let folder = Folder::new();
    let store = FileStore::new(folder.path(FILE));
    (folder, store)
}

#[tokio::test]
async fn the_file_store_conforms() {
    let (folder, _) = scene();
    let open = || FileStore::new(folder.path(FILE)).poll(Duration::from_millis(10));
    store_conformance(open, Duration::from_secs(60)).await.unwrap();
}

async fn leased(store: &FileStore) -> Box<dyn Lease> {
    store.try_lease(None).await.unwrap().expect("nobody holds the lease")
}

async fn is_held(store: &FileStore) -> bool {
    store.try_lease(None).await.unwrap().is_none()
}

/// The lease, once nobody holds it any more.
#[allow(clippy::disallowed_methods, reason = "a deadline for what other threads and processes do")]
async fn becomes_free(store: &FileStore) -> Box<dyn Lease> {
    let lease = async {
        loop {
            if let Some(lease) = store.try_lease(None).await.unwrap() {
                return lease;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(30), lease).await.expect("the lease is held for too long")
}

/// A token set of that number, as the holder of the lease would write it.
fn stored(generation: u64, lease: &dyn Lease) -> Stored {
    let mut stored = Stored::new(TokenSet::new(format!("token-{generation}")), Generation::from(generation));
    stored.fence = Some(lease.fence());
    stored
}

/// Writes a token set of that number over whatever is there.
async fn save(store: &FileStore, generation: u64) -> Version {
    let lease = leased(store).await;
    let expected = version(store).await;
    let stored = stored(generation, &*lease);
    assert_eq!(lease.save(expected, &stored).await.unwrap(), Swap::Done);
    stored.version()
}

async fn version(store: &FileStore) -> Option<Version> {
    store.load().await.unwrap().as_ref().map(Stored::version)
}

async fn generation(store: &FileStore) -> Option<u64> {
    version(store).await.map(|version| version.generation.get())
}

/// The error is of that kind, and names the path.
#[track_caller]
fn assert_fails<T>(result: Result<T, StoreError>, kind: StoreErrorKind, path: &Path) {
    let error = result.err().expect("it succeeded");
    assert_eq!(error.kind(), kind, "{error}");
    let path = path.to_str().unwrap();
    assert!(error.to_string().contains(path), "{error}, and not {path}");
}

#[tokio::test]
async fn where_there_is_no_file_nothing_is_stored() {
    let (folder, store) = scene();
    assert!(store.load().await.unwrap().is_none());
    assert!(folder.names().is_empty());
}

#[tokio::test]
async fn what_was_saved_another_store_loads() {
    let (folder, store) = scene();
    let version = save(&store, 7).await;
    let loaded = FileStore::new(folder.path(FILE)).load().await.unwrap().unwrap();
    assert_eq!(loaded.version(), version);
    #[allow(clippy::disallowed_methods, reason = "a test compares tokens")]
    let token = loaded.token.unwrap().access_token().expose_secret().to_owned();
    assert_eq!(token, "token-7");
}

#[tokio::test]
#[allow(clippy::disallowed_methods, reason = "a test compares files")]
async fn the_file_is_the_stored_form_and_nothing_else() {
    let (folder, store) = scene();
    let lease = leased(&store).await;
    let long = {
        let mut stored = stored(1, &*lease);
        stored.token = Some(TokenSet::new("x".repeat(5000)));
        stored
    };
    assert_eq!(lease.save(None, &long).await.unwrap(), Swap::Done);
    let short = stored(2, &*lease);
    assert_eq!(lease.save(Some(long.version()), &short).await.unwrap(), Swap::Done);
    assert_eq!(folder.read(FILE), short.to_json().unwrap().expose_secret().as_bytes());
    assert_eq!(folder.names(), [FILE, LOCK]);
}

#[tokio::test]
async fn a_tombstone_takes_the_place_of_the_token_set() {
    let (folder, store) = scene();
    let before = save(&store, 7).await;
    let lease = leased(&store).await;
    let mut tombstone = Stored::signed_out(Generation::from(8), std::time::UNIX_EPOCH);
    tombstone.fence = Some(lease.fence());
    assert_eq!(lease.clear(Some(before), &tombstone).await.unwrap(), Swap::Done);
    let loaded = store.load().await.unwrap().unwrap();
    assert!(loaded.token.is_none());
    assert_eq!(loaded.version(), tombstone.version());
    assert!(!String::from_utf8(folder.read(FILE)).unwrap().contains("token-7"));
}

#[cfg(unix)]
#[tokio::test]
async fn nobody_else_can_read_what_the_store_makes() {
    use std::os::unix::fs::PermissionsExt;

    let (folder, store) = scene();
    save(&store, 7).await;
    for name in [FILE, LOCK] {
        let mode = fs::metadata(folder.path(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}

#[tokio::test]
async fn a_path_that_names_no_file_is_an_error() {
    for path in ["", "/", "/tmp/.."] {
        let error = FileStore::new(path).load().await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Unavailable);
        assert_eq!(error.to_string(), format!("{path} names no file"));
    }
}

#[test]
fn a_relative_path_counts_from_where_the_store_was_made() {
    let path = std::env::current_dir().unwrap().join("folder/token.json");
    assert!(format!("{:?}", FileStore::new("folder/token.json/")).contains(&format!("{path:?},")));
}

#[test]
fn the_file_is_looked_at_no_more_often_than_each_ten_milliseconds_and_at_least_each_hour() {
    let shown = |interval| format!("{:?}", FileStore::new(FILE).poll(interval));
    assert!(shown(Duration::ZERO).contains("poll: 10ms"));
    assert!(shown(Duration::from_millis(11)).contains("poll: 11ms"));
    assert!(shown(Duration::MAX).contains("poll: 3600s"));
    assert!(format!("{:?}", FileStore::new(FILE)).contains("poll: 1s"));
}

#[test]
fn outside_of_a_runtime_each_call_is_an_error() {
    let (folder, store) = scene();
    let path = folder.path(FILE);
    assert_fails(ByHand::new(store.load()).result(), StoreErrorKind::Unavailable, &path);
    assert_fails(ByHand::new(store.try_lease(None)).result(), StoreErrorKind::Unavailable, &path);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let lease = runtime.block_on(leased(&store));
    let stored = stored(1, &*lease);
    assert_fails(ByHand::new(lease.save(None, &stored)).result(), StoreErrorKind::Unavailable, &path);
    assert_fails(ByHand::new(lease.renew()).result(), StoreErrorKind::Unavailable, &path);
    assert_fails(ByHand::new(lease.release()).result(), StoreErrorKind::Unavailable, &path);
    assert_eq!(folder.names(), [LOCK]);
}
