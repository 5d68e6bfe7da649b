//! What is not one of ours is a clear error, and stays as it is.

use super::*;

const OURS: &str = r#"{"version":1,"generation":7,"access_token":"hush"}"#;
const MEBIBYTE: usize = 1024 * 1024;

fn foreign() -> Vec<Vec<u8>> {
    let mut contents: Vec<Vec<u8>> = [
        "",
        " \n",
        "\u{feff}",
        "hush",
        "[hush]",
        "{}",
        "[]",
        "null",
        r#"{"version":2,"generation":7,"access_token":"hush"}"#,
        r#"{"version":1,"generation":7,"access_token":"hush""#,
        r#"{"version":1,"generation":7,"access_token":"hush"}}"#,
        r#"{"version":1,"access_token":"hush","access_token":"hush"}"#,
        r#"{"version":1,"access_token":"hush","hush":1}"#,
        r#"{"token":"hush"}"#,
    ]
    .map(|text| text.as_bytes().to_vec())
    .into();
    contents.push(b"\xff\xfehush".to_vec());
    contents.push(vec![0; 4096]);
    contents.push(padded(MEBIBYTE + 1));
    contents.push(padded(16 * MEBIBYTE));
    contents
}

/// Good, but for its size.
fn padded(length: usize) -> Vec<u8> {
    let mut content = OURS.as_bytes().to_vec();
    content.resize(length, b' ');
    content
}

#[tokio::test]
async fn foreign_damaged_and_later_content_is_an_error_and_stays_as_it_is() {
    for content in foreign() {
        let (folder, store) = scene();
        let path = folder.write(FILE, &content);
        let error = store.load().await.unwrap_err();
        let texts = format!("{error} {:?}", std::error::Error::source(&error).map(ToString::to_string));
        assert!(!texts.replace("hush is not known", "").contains("hush"), "{texts}");
        assert_fails::<()>(Err(error), StoreErrorKind::Damaged, &path);
        assert_fails(store.try_lease(None).await, StoreErrorKind::Damaged, &path);
        assert!(folder.read(FILE) == content, "{texts}");
        assert_eq!(folder.names(), [FILE, LOCK]);
    }
}

#[tokio::test]
async fn content_that_was_damaged_during_the_lease_stays_as_it_is() {
    for content in foreign() {
        let (folder, store) = scene();
        let current = save(&store, 6).await;
        let lease = leased(&store).await;
        let path = folder.write(FILE, &content);
        let saved = lease.save(Some(current), &stored(7, &*lease)).await;
        assert_fails(saved, StoreErrorKind::Damaged, &path);
        assert!(folder.read(FILE) == content);
        assert_eq!(folder.names(), [FILE, LOCK]);
    }
}

#[tokio::test]
async fn a_later_version_is_named() {
    let (folder, store) = scene();
    folder.write(FILE, r#"{"version":2}"#);
    let error = store.load().await.unwrap_err();
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(source, "stored token set: version 2 is not known");
}

#[tokio::test]
async fn a_byte_order_mark_is_passed_over() {
    let (folder, store) = scene();
    folder.write(FILE, format!("\u{feff}{OURS}\r\n"));
    assert_eq!(generation(&store).await, Some(7));
}

#[tokio::test]
async fn a_file_of_one_mebibyte_is_read() {
    let (folder, store) = scene();
    folder.write(FILE, padded(MEBIBYTE));
    assert_eq!(generation(&store).await, Some(7));
}

#[tokio::test]
async fn what_could_not_be_read_again_is_not_written() {
    let (folder, store) = scene();
    let current = save(&store, 6).await;
    let content = folder.read(FILE);
    let lease = leased(&store).await;
    for token in ["".to_owned(), "x".repeat(MEBIBYTE)] {
        let mut stored = stored(7, &*lease);
        stored.token = Some(TokenSet::new(token));
        let saved = lease.save(Some(current), &stored).await;
        let error = saved.as_ref().unwrap_err().to_string();
        assert!(error.starts_with("cannot write "), "{error}");
        assert_fails(saved, StoreErrorKind::Damaged, &folder.path(FILE));
        assert_eq!(folder.read(FILE), content);
        assert_eq!(folder.names(), [FILE, LOCK]);
    }
}

#[tokio::test]
async fn a_folder_in_the_place_of_a_file_is_an_error() {
    for name in [FILE, LOCK] {
        let (folder, store) = scene();
        let path = folder.path(name);
        fs::create_dir(&path).unwrap();
        assert_fails(store.try_lease(None).await, StoreErrorKind::Damaged, &path);
        assert!(path.is_dir());
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_fifo_in_the_place_of_a_file_is_an_error_and_not_waited_for() {
    use std::os::unix::fs::FileTypeExt;

    for name in [FILE, LOCK] {
        let (folder, store) = scene();
        let path = folder.path(name);
        assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
        assert_fails(store.try_lease(None).await, StoreErrorKind::Damaged, &path);
        assert!(fs::metadata(&path).unwrap().file_type().is_fifo());
    }
}
