//! Where others could put or write a token, nothing is read or written.

use std::{
    io,
    os::unix::fs::{PermissionsExt, chown, lchown, symlink},
    sync::{Arc, Mutex},
};

use tracing_subscriber::fmt::MakeWriter;

use super::*;

const OURS: &str = r#"{"version":1,"generation":7,"access_token":"hush"}"#;
const SOMEBODY: u32 = 12_345;

fn allow(path: &Path, mode: u32) {
    fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
}

#[tokio::test]
async fn a_folder_that_others_can_write_to_is_refused() {
    for mode in [0o770, 0o720, 0o702, 0o777] {
        let (folder, store) = scene();
        folder.write(FILE, OURS);
        allow(&folder.path(""), mode);
        let path = folder.path("");
        let path = Path::new(path.to_str().unwrap().trim_end_matches('/'));
        assert_fails(store.load().await, StoreErrorKind::Insecure, path);
        assert_fails(store.try_lease(None).await, StoreErrorKind::Insecure, path);
        assert_eq!(folder.names(), [FILE]);
    }
}

#[tokio::test]
async fn a_folder_that_others_can_read_or_that_is_sticky_is_taken() {
    for mode in [0o755, 0o1777] {
        let (folder, store) = scene();
        allow(&folder.path(""), mode);
        save(&store, 7).await;
        assert_eq!(generation(&store).await, Some(7));
    }
}

#[tokio::test]
async fn the_folder_of_each_link_is_looked_at() {
    let (folder, store) = scene();
    for name in ["first", "last"] {
        fs::create_dir(folder.path(name)).unwrap();
    }
    symlink("first/link", folder.path(FILE)).unwrap();
    symlink(folder.path("last/real.json"), folder.path("first/link")).unwrap();
    for name in ["first", "last"] {
        save(&store, 7).await;
        allow(&folder.path(name), 0o777);
        assert_fails(store.load().await, StoreErrorKind::Insecure, &folder.path(name));
        allow(&folder.path(name), 0o700);
    }
}

#[tokio::test]
async fn a_file_that_others_can_write_to_is_refused() {
    for mode in [0o660, 0o602] {
        for name in [FILE, LOCK] {
            let (folder, store) = scene();
            save(&store, 7).await;
            let content = folder.read(name);
            allow(&folder.path(name), mode);
            assert_fails(store.try_lease(None).await, StoreErrorKind::Insecure, &folder.path(name));
            assert_eq!(folder.read(name), content);
        }
    }
}

#[tokio::test]
async fn a_file_that_becomes_writable_during_the_lease_is_not_replaced() {
    let (folder, store) = scene();
    let current = save(&store, 7).await;
    let lease = leased(&store).await;
    allow(&folder.path(FILE), 0o622);
    let saved = lease.save(Some(current), &stored(8, &*lease)).await;
    assert_fails(saved, StoreErrorKind::Insecure, &folder.path(FILE));
    assert_fails(store.load().await, StoreErrorKind::Insecure, &folder.path(FILE));
}

/// Only root can give a file away; `is_trusted` has a test of its own that needs nobody.
#[tokio::test]
async fn what_belongs_to_another_user_is_refused() {
    for name in [FILE, LOCK] {
        let (folder, store) = scene();
        save(&store, 7).await;
        let path = folder.path(name);
        if let Err(error) = chown(&path, Some(SOMEBODY), None) {
            assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
            return;
        }
        assert_fails(store.try_lease(None).await, StoreErrorKind::Insecure, &path);
    }
}

/// In a folder of its own a link is its owner's; in one that everybody can write to it is anybody's.
#[tokio::test]
async fn somebodys_link_in_a_sticky_folder_is_refused() {
    let (folder, store) = scene();
    symlink("real.json", folder.path(FILE)).unwrap();
    if let Err(error) = lchown(folder.path(FILE), Some(SOMEBODY), None) {
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
        return;
    }
    save(&store, 7).await;
    allow(&folder.path(""), 0o1777);
    assert_fails(store.load().await, StoreErrorKind::Insecure, &folder.path(FILE));
    lchown(folder.path(FILE), Some(0), None).unwrap();
    assert_eq!(generation(&store).await, Some(7));
}

#[tokio::test]
async fn a_file_that_others_can_read_is_read_and_warned_of_once() {
    let (folder, store) = scene();
    folder.write(FILE, OURS);
    let logs = Logs::default();
    let subscriber = tracing_subscriber::fmt().with_writer(logs.clone()).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    assert_eq!(generation(&store).await, Some(7));
    assert_eq!(logs.text(), "");
    for mode in [0o640, 0o604, 0o644] {
        allow(&folder.path(FILE), mode);
        assert_eq!(generation(&store).await, Some(7));
        leased(&store).await;
    }
    let text = logs.text();
    assert_eq!(text.matches("others can read the token set").count(), 1, "{text}");
    assert_eq!(text.matches("WARN").count(), 1, "{text}");
    assert!(text.contains(folder.path(FILE).to_str().unwrap()) && !text.contains("hush"), "{text}");
}

#[tokio::test]
async fn the_next_write_ends_that_others_can_read_the_file() {
    let (folder, store) = scene();
    let path = folder.write(FILE, OURS);
    allow(&path, 0o644);
    save(&store, 8).await;
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}

#[derive(Clone, Default)]
struct Logs(Arc<Mutex<Vec<u8>>>);

impl Logs {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl io::Write for Logs {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Logs {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}
