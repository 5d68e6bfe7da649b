//! The token file: what it holds, as far as it may be believed.

use std::{
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering::Relaxed},
};

use secrecy::zeroize::Zeroizing;

use super::{access, cannot, place::Place};
use crate::{
    store::{StoreError, StoreErrorKind},
    token::Stored,
};

/// A stored token set has some kilobytes.
pub(super) const LARGEST: u64 = 1024 * 1024;

/// The file as the application names it.
#[derive(Debug)]
pub(super) struct TokenFile {
    path: PathBuf,
    /// Whether somebody was told that others can read it.
    is_known_to_be_readable: AtomicBool,
}

/// What the file holds, whatever that is.
pub(super) struct Content {
    path: PathBuf,
    bytes: Zeroizing<Vec<u8>>,
}

/// What a look at the file has found, to be compared with the next. The content itself is compared, and not the file's
/// times: those stand still for some milliseconds, while a write may follow another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    Nothing,
    Content(blake3::Hash),
    Failure(StoreErrorKind),
}

impl TokenFile {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, is_known_to_be_readable: AtomicBool::new(false) }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn place(&self) -> Result<Place, StoreError> {
        Place::find(&self.path)
    }

    /// What lies at `place`, which is left as it is.
    ///
    /// # Errors
    /// When it cannot be read, is no file, or too large for one of ours; when others can write to it.
    pub(super) fn read(&self, place: &Place) -> Result<Option<Content>, StoreError> {
        let path = place.file();
        match fs::symlink_metadata(path) {
            Ok(metadata) => access::check_file(path, &metadata)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(cannot("look at", path, &error)),
        }
        let mut file = match File::open(path) {
            Ok(file) => file,
            // It was deleted since.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(cannot("open", path, &error)),
        };
        let metadata = file.metadata().map_err(|error| cannot("look at", path, &error))?;
        access::check_file(path, &metadata)?;
        if access::is_readable_by_others(&metadata) && !self.is_known_to_be_readable.swap(true, Relaxed) {
            tracing::warn!(path = %path.display(), "others can read the token set; the next write will end that");
        }
        let bytes = read(&mut file, metadata.len()).map_err(|error| cannot("read", path, &error))?;
        if bytes.len() as u64 > LARGEST {
            return Err(StoreError::new(StoreErrorKind::Damaged, format!("{} is larger than 1 MiB", path.display())));
        }
        Ok(Some(Content { path: path.to_owned(), bytes }))
    }

    /// The token set at `place`.
    ///
    /// # Errors
    /// As [`read`](Self::read), and when what is there is not one of ours.
    pub(super) fn load(&self, place: &Place) -> Result<Option<Stored>, StoreError> {
        self.read(place)?.map(|content| content.stored()).transpose()
    }
}

impl Content {
    pub(super) fn stored(&self) -> Result<Stored, StoreError> {
        Stored::from_json(&self.bytes)
            .map_err(|error| StoreError::damaged(format!("cannot understand {}", self.path.display()), error))
    }
}

impl Found {
    pub(super) fn in_content(content: &Result<Option<Content>, StoreError>) -> Self {
        match content {
            Ok(Some(content)) => Self::Content(blake3::hash(&content.bytes)),
            Ok(None) => Self::Nothing,
            Err(error) => Self::Failure(error.kind()),
        }
    }
}

/// Reads no more than a byte beyond what is allowed, into a buffer that need not grow: one that grows leaves copies of the
/// secrets behind.
fn read(file: &mut File, length: u64) -> io::Result<Zeroizing<Vec<u8>>> {
    let room = usize::try_from(length.min(LARGEST)).unwrap_or_default().saturating_add(1);
    let mut bytes = Zeroizing::new(Vec::with_capacity(room));
    file.take(LARGEST + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}
