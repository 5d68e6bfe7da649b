//! Who else can get at a file, and what is refused for it.
//!
//! Whoever can write to the folder can put another token file there, or another lock file, and whoever owns a file can
//! write to it. The folder's own owner is trusted, and so is root; access control lists are not looked at. Where files have
//! no Unix mode, nothing is refused.

use std::{
    fs::{self, Metadata, OpenOptions},
    io,
    path::Path,
};

use super::cannot;
use crate::store::{StoreError, StoreErrorKind};

const WRITABLE_BY_OTHERS: u32 = 0o022;
const READABLE_BY_OTHERS: u32 = 0o044;

/// Nobody but its owner, root and the folder's owner can rename or delete what lies in the folder.
const STICKY: u32 = 0o1000;

const ROOT: u32 = 0;

/// A folder whose files stay what they are.
pub(super) struct Folder {
    /// Others may add files of their own.
    pub(super) is_open_to_others: bool,
}

/// What opens files for reading and writing. One that is made is nobody else's from the beginning.
pub(super) fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// # Errors
/// When there is no such folder, or others can replace what lies in it.
pub(super) fn check_folder(path: &Path) -> Result<Folder, StoreError> {
    let metadata = fs::metadata(path).map_err(|error| cannot("look at the folder", path, &error))?;
    if !metadata.is_dir() {
        return Err(StoreError::new(StoreErrorKind::Unavailable, format!("{} is not a folder", path.display())));
    }
    let mode = owner_and_mode(&metadata).map_or(0, |(_, mode)| mode);
    let is_open_to_others = mode & WRITABLE_BY_OTHERS != 0;
    if is_open_to_others && mode & STICKY == 0 {
        return Err(insecure(path, "can be written by others"));
    }
    Ok(Folder { is_open_to_others })
}

/// # Errors
/// When it is no file, or others can write to it.
pub(super) fn check_file(path: &Path, metadata: &Metadata) -> Result<(), StoreError> {
    // A folder cannot be read, and a FIFO would be waited for.
    if !metadata.is_file() {
        return Err(StoreError::new(StoreErrorKind::Damaged, format!("{} is not a file", path.display())));
    }
    check_owner(path, metadata)?;
    match owner_and_mode(metadata) {
        Some((_, mode)) if mode & WRITABLE_BY_OTHERS != 0 => Err(insecure(path, "can be written by others")),
        _ => Ok(()),
    }
}

/// # Errors
/// When it belongs to another user.
pub(super) fn check_owner(path: &Path, metadata: &Metadata) -> Result<(), StoreError> {
    let Some((owner, _)) = owner_and_mode(metadata) else { return Ok(()) };
    let this_user = this_user().map_err(|error| cannot("learn who owns", path, &error))?;
    if is_trusted(owner, this_user) { Ok(()) } else { Err(insecure(path, "belongs to another user")) }
}

/// Whether others can read it.
pub(super) fn is_readable_by_others(metadata: &Metadata) -> bool {
    owner_and_mode(metadata).is_some_and(|(_, mode)| mode & READABLE_BY_OTHERS != 0)
}

fn is_trusted(owner: u32, this_user: u32) -> bool {
    owner == this_user || owner == ROOT
}

fn insecure(path: &Path, why: &str) -> StoreError {
    StoreError::new(StoreErrorKind::Insecure, format!("{} {why}", path.display()))
}

#[cfg(unix)]
fn owner_and_mode(metadata: &Metadata) -> Option<(u32, u32)> {
    use std::os::unix::fs::MetadataExt;

    Some((metadata.uid(), metadata.mode()))
}

#[cfg(not(unix))]
fn owner_and_mode(_: &Metadata) -> Option<(u32, u32)> {
    None
}

/// The user that files of ours belong to. A pipe belongs to whoever makes it, as a file does, and needs no folder that can
/// be written. It is asked for each time: a process can become another user's.
#[cfg(unix)]
fn this_user() -> io::Result<u32> {
    use std::{
        fs::File,
        os::{fd::OwnedFd, unix::fs::MetadataExt},
    };

    let (reader, _writer) = io::pipe()?;
    Ok(File::from(OwnedFd::from(reader)).metadata()?.uid())
}

#[cfg(not(unix))]
fn this_user() -> io::Result<u32> {
    Ok(ROOT)
}

#[cfg(all(test, unix))]
mod tests;
