//! A folder for what the processes share.

use std::{fs::DirBuilder, io, path::PathBuf};

/// Nobody else may write to it, or the store would refuse to work there. It goes when it is dropped.
pub(crate) struct Folder(PathBuf);

impl Folder {
    /// # Errors
    /// When it cannot be made.
    pub(crate) fn new() -> io::Result<Self> {
        let path = std::env::temp_dir().join(format!("tower-auth-refresh-fleet-{}", std::process::id()));
        #[cfg_attr(not(unix), allow(unused_mut, reason = "elsewhere it belongs to its maker anyway"))]
        let mut folder = DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut folder, 0o700);
        folder.create(&path)?;
        Ok(Self(path))
    }

    pub(crate) fn path_of(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // In a folder for what is temporary the rest is no harm.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
