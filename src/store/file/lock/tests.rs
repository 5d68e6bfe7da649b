use std::path::PathBuf;

use super::{Attempt, File, LockFile, access, fs};

/// A lock file that is there and open, and its path.
#[allow(clippy::unwrap_used, reason = "a test fails by panicking, and clippy knows only the test functions themselves")]
fn opened(name: &str) -> (PathBuf, File) {
    let path = std::env::temp_dir().join(format!("lock-{}-{name}", std::process::id()));
    let _ = fs::remove_file(&path);
    let file = access::private().create_new(true).open(&path).unwrap();
    (path, file)
}

#[test]
fn a_file_that_is_still_there_is_locked() {
    let (path, file) = opened("there");
    let attempt = LockFile::attempt(&path, file);
    fs::remove_file(&path).unwrap();
    assert!(matches!(attempt, Ok(Attempt::Locked(_))), "{attempt:?}");
}

#[test]
fn a_file_that_was_deleted_before_it_was_locked_is_not_taken_for_the_lock() {
    let (path, file) = opened("deleted");
    fs::remove_file(&path).unwrap();
    let attempt = LockFile::attempt(&path, file);
    assert!(matches!(attempt, Ok(Attempt::Deleted)), "{attempt:?}");
}

#[test]
fn a_file_that_was_replaced_before_it_was_locked_is_not_taken_for_the_lock() {
    let (path, file) = opened("replaced");
    let (_, _other) = opened("replaced");
    let attempt = LockFile::attempt(&path, file);
    fs::remove_file(&path).unwrap();
    assert!(matches!(attempt, Ok(Attempt::Deleted)), "{attempt:?}");
}

#[test]
fn what_is_let_go_is_free_although_a_process_that_is_being_started_has_it_open() {
    let (path, file) = opened("copied");
    let Ok(Attempt::Locked(lock)) = LockFile::attempt(&path, file) else { unreachable!("nobody else knows the file") };
    // Shares the lock, as the file does that a fork inherits.
    let _copy = lock.file.try_clone().unwrap();
    assert!(!LockFile::is_free(&path));
    drop(lock);
    assert!(LockFile::is_free(&path));
    let taken = LockFile::try_take(&path);
    fs::remove_file(&path).unwrap();
    assert!(matches!(taken, Ok(Some(_))), "{taken:?}");
}
