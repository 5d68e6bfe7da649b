use std::os::unix::fs::MetadataExt;

use super::{fs, is_trusted, private, this_user};

#[test]
fn this_user_and_root_are_trusted_and_nobody_else() {
    assert!(is_trusted(1000, 1000));
    assert!(is_trusted(0, 1000));
    assert!(is_trusted(0, 0));
    assert!(!is_trusted(1001, 1000));
    assert!(!is_trusted(1000, 0));
}

#[test]
fn a_new_file_belongs_to_this_user() {
    let path = std::env::temp_dir().join(format!("access-{}", std::process::id()));
    let _ = fs::remove_file(&path);
    let file = private().create_new(true).open(&path).unwrap();
    fs::remove_file(&path).unwrap();
    assert_eq!(this_user().unwrap(), file.metadata().unwrap().uid());
}
