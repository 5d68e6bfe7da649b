//! Puts another token file in the place of the one that is there: whoever reads, and whenever the machine stops, finds the
//! old one or the new one.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use super::{access, cannot, place::Place, token_file::LARGEST};
use crate::{
    store::{StoreError, StoreErrorKind},
    token::{ExposeSecret, FencingToken, SecretString},
};

/// A file that is not renamed yet. It is deleted when it is dropped; once it has its name there is nothing to delete.
struct Draft(PathBuf);

/// Writes `json` beside the token file and renames it, if it `may` still be done by then.
///
/// # Errors
/// When one of the steps fails. The old file is untouched then, unless it was the last: then the new one is in its place,
/// and may not be there any more after a crash of the machine.
pub(super) fn replace(
    place: &Place,
    fence: FencingToken,
    json: &SecretString,
    may: impl FnOnce() -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    // First, so that a folder that cannot be synced is found before anything is renamed.
    let folder = open_folder(place.folder()).map_err(|error| cannot("open the folder", place.folder(), &error))?;
    let draft = Draft::write(place.draft(fence), json)?;
    may()?;
    fs::rename(&draft.0, place.file()).map_err(|error| cannot("replace", place.file(), &error))?;
    sync_folder(folder).map_err(|error| cannot("sync the folder", place.folder(), &error))
}

/// Deletes what the holder of the lease `fence` wrote and did not live to rename. Only who holds the lock may do that.
pub(super) fn discard(place: &Place, fence: FencingToken) {
    let draft = place.draft(fence);
    match fs::remove_file(&draft) {
        Ok(()) => tracing::debug!(path = %draft.display(), "deleted what a writer that died had left"),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => {
            tracing::warn!(path = %draft.display(), error = %error.kind(), "a token set that is not needed cannot be deleted");
        }
    }
}

impl Draft {
    /// The file is made by this call and by no other: one that is there already could be somebody else's.
    #[allow(clippy::disallowed_methods, reason = "the token set is put into a store")]
    fn write(path: PathBuf, json: &SecretString) -> Result<Self, StoreError> {
        let json = json.expose_secret().as_bytes();
        if json.len() as u64 > LARGEST {
            let what = format!("cannot write {}: it would be larger than 1 MiB", path.display());
            return Err(StoreError::new(StoreErrorKind::Damaged, what));
        }
        let file = access::private().create_new(true).open(&path);
        let mut file = file.map_err(|error| cannot("make", &path, &error))?;
        let draft = Self(path);
        file.write_all(json).map_err(|error| cannot("write", &draft.0, &error))?;
        // The name must not last longer than the content.
        file.sync_all().map_err(|error| cannot("sync", &draft.0, &error))?;
        Ok(draft)
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// A folder can be opened and synced on Unix alone; elsewhere a rename lasts by itself, or when the system sees fit.
fn open_folder(path: &Path) -> io::Result<Option<File>> {
    if cfg!(unix) { File::open(path).map(Some) } else { Ok(None) }
}

/// Some file systems know no sync of a folder and say that the call is not valid: they keep names in their own way.
fn sync_folder(folder: Option<File>) -> io::Result<()> {
    match folder.map_or(Ok(()), |folder| folder.sync_all()) {
        Err(error) if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => Ok(()),
        synced => synced,
    }
}
