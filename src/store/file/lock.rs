//! The lock file: who has the lease, and the last number that was drawn.
//!
//! It is never renamed and never deleted, not even when the lease ends: a process that has opened it already would lock a
//! file that no other finds. The number in it needs no `fsync`. It keeps apart holders that live at the same time, and
//! no holder outlives a crash of the machine; a killed process leaves what it has written to the operating system.

use std::{
    fs::{self, File, TryLockError},
    io::{self, ErrorKind, Read, Seek, Write},
    path::{Path, PathBuf},
};

use super::{access, cannot};
use crate::{
    store::{StoreError, StoreErrorKind},
    token::FencingToken,
};

/// How often it may be deleted, or made by another, between two looks at it.
const TRIES: usize = 8;

/// More than a number and what an editor adds to it.
const LONGEST: u64 = 64;

/// A lock file that is locked. Dropped, it is not.
#[derive(Debug)]
pub(super) struct LockFile {
    path: PathBuf,
    file: File,
}

/// What came of one try to lock an open file.
#[derive(Debug)]
enum Attempt {
    Locked(LockFile),
    Busy,
    /// It was deleted between the opening and the locking, so that no other would find it.
    Deleted,
}

impl LockFile {
    /// Makes the file where it is not there, and locks it; `None` where another has.
    ///
    /// # Errors
    /// When it cannot be made, opened or locked, is no file, or others can write to it.
    pub(super) fn try_take(path: &Path) -> Result<Option<Self>, StoreError> {
        for _ in 0..TRIES {
            let Some(file) = open(path)? else { continue };
            match Self::attempt(path, file)? {
                Attempt::Locked(lock) => return Ok(Some(lock)),
                Attempt::Busy => return Ok(None),
                Attempt::Deleted => {}
            }
        }
        let what = format!("{} is made and deleted again and again", path.display());
        Err(StoreError::new(StoreErrorKind::Unavailable, what))
    }

    fn attempt(path: &Path, file: File) -> Result<Attempt, StoreError> {
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(Attempt::Busy),
            Err(TryLockError::Error(error)) => return Err(cannot("lock", path, &error)),
        }
        let lock = Self { path: path.to_owned(), file };
        Ok(if lock.is_in_place()? { Attempt::Locked(lock) } else { Attempt::Deleted })
    }

    /// Whether nobody holds the lock. To find out it is held for a moment.
    pub(super) fn is_free(path: &Path) -> bool {
        match fs::symlink_metadata(path) {
            // The probe unlocks as the holder does.
            Ok(metadata) if metadata.is_file() => {
                File::open(path).is_ok_and(|file| file.try_lock_shared().is_ok() && file.unlock().is_ok())
            }
            Ok(_) => false,
            Err(error) => error.kind() == ErrorKind::NotFound,
        }
    }

    /// Whether others who look for the lock file find this one.
    ///
    /// # Errors
    /// When it cannot be looked at.
    pub(super) fn is_in_place(&self) -> Result<bool, StoreError> {
        let cannot_look = |error| cannot("look at", &self.path, &error);
        let ours = self.file.metadata().map_err(cannot_look)?;
        match fs::symlink_metadata(&self.path) {
            Ok(theirs) => Ok(is_same(&ours, &theirs)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(cannot_look(error)),
        }
    }

    /// The last number that was drawn. None in a new file, and in one that a crash of the machine has left empty or full of
    /// zeros.
    ///
    /// # Errors
    /// When it cannot be read, or holds something else than a number.
    pub(super) fn number(&mut self) -> Result<Option<FencingToken>, StoreError> {
        let mut bytes = Vec::new();
        let read = (&mut self.file).take(LONGEST).read_to_end(&mut bytes);
        read.map_err(|error| cannot("read", &self.path, &error))?;
        let padding = |byte: char| byte == '\0' || byte.is_ascii_whitespace();
        let number = match str::from_utf8(&bytes).map(|text| text.trim_matches(padding)) {
            Ok("") => return Ok(None),
            Ok(number) => number.parse::<u64>().ok(),
            Err(_) => None,
        };
        number.map(|number| Some(FencingToken::from(number))).ok_or_else(|| {
            let what = format!("{} does not hold a number", self.path.display());
            StoreError::new(StoreErrorKind::Damaged, what)
        })
    }

    /// Keeps the number. It is written over the last one, in as many bytes, so that it needs no room on a full disk.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn keep(&mut self, fence: FencingToken) -> Result<(), StoreError> {
        let write = |file: &mut File| -> io::Result<()> {
            file.rewind()?;
            file.write_all(format!("{:020}\n", fence.get()).as_bytes())
        };
        write(&mut self.file).map_err(|error| cannot("write", &self.path, &error))
    }
}

impl Drop for LockFile {
    /// To close the file would not do while another thread starts a process: until that has its own program, it has the
    /// file too.
    fn drop(&mut self) {
        let _ = self.file.unlock();
    }
}

/// `None` where it was made or deleted between the look and the opening. The look is for what must not be opened: a FIFO is
/// waited for, and a link leads to somebody else's file.
fn open(path: &Path) -> Result<Option<File>, StoreError> {
    let mut options = access::private();
    keep_in_place(&mut options);
    let expected = match fs::symlink_metadata(path) {
        Ok(metadata) => {
            access::check_file(path, &metadata)?;
            ErrorKind::NotFound
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            options.create_new(true);
            ErrorKind::AlreadyExists
        }
        Err(error) => return Err(cannot("look at", path, &error)),
    };
    match options.open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == expected => Ok(None),
        Err(error) => Err(cannot("open", path, &error)),
    }
}

/// Where a file can be kept from being deleted while it is open, it is.
#[cfg(windows)]
fn keep_in_place(options: &mut fs::OpenOptions) {
    const READ_AND_WRITE: u32 = 3;
    std::os::windows::fs::OpenOptionsExt::share_mode(options, READ_AND_WRITE);
}

#[cfg(not(windows))]
fn keep_in_place(_: &mut fs::OpenOptions) {}

#[cfg(unix)]
fn is_same(one: &fs::Metadata, other: &fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;

    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

#[cfg(not(unix))]
fn is_same(_: &fs::Metadata, _: &fs::Metadata) -> bool {
    true
}

#[cfg(all(test, unix))]
mod tests;
