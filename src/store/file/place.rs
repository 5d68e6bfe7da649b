//! Where the token file lies, and what lies beside it.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::{access, cannot};
use crate::{
    store::{StoreError, StoreErrorKind},
    token::FencingToken,
};

/// How many links are followed; the usual limit of operating systems.
const LINKS: usize = 40;

/// A file that is no link, be it there or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place(PathBuf);

impl Place {
    /// Where links lead. A link that were replaced itself would leave the file behind it, which may be the one that lasts,
    /// with a token that is spent.
    ///
    /// # Errors
    /// When a folder on the way is not there, or others can replace what lies in it.
    pub(super) fn find(path: &Path) -> Result<Self, StoreError> {
        let unavailable = |what| StoreError::new(StoreErrorKind::Unavailable, format!("{} {what}", path.display()));
        let mut place = path.to_owned();
        for _ in 0..=LINKS {
            if place.file_name().is_none() {
                return Err(unavailable("names no file"));
            }
            let folder = access::check_folder(folder_of(&place))?;
            let metadata = match fs::symlink_metadata(&place) {
                Ok(metadata) if metadata.is_symlink() => metadata,
                Ok(_) => return Ok(Self(place)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self(place)),
                Err(error) => return Err(cannot("look at", &place, &error)),
            };
            if folder.is_open_to_others {
                access::check_owner(&place, &metadata)?;
            }
            let target = fs::read_link(&place).map_err(|error| cannot("follow the link", &place, &error))?;
            place.set_file_name(target);
        }
        Err(unavailable("leads through too many links"))
    }

    pub(super) fn file(&self) -> &Path {
        &self.0
    }

    pub(super) fn folder(&self) -> &Path {
        folder_of(&self.0)
    }

    /// The file that is locked. It is not the token file: that one is another after each write, and a lock does not move
    /// to the next.
    pub(super) fn lock(&self) -> PathBuf {
        self.beside("lock")
    }

    /// What the holder of the lease with that number writes before it is renamed. Whoever knows the number finds it.
    pub(super) fn draft(&self, fence: FencingToken) -> PathBuf {
        self.beside(&format!("{fence}.new"))
    }

    fn beside(&self, extension: &str) -> PathBuf {
        let mut name = self.0.file_name().unwrap_or_default().to_owned();
        name.push(".");
        name.push(extension);
        self.0.with_file_name(name)
    }
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}
