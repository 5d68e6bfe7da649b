//! The store that a fleet shares.

use std::path::Path;

use super::folder::Folder;

pub enum Store {
    File(Folder),
}

impl Store {
    /// A file in a folder of its own.
    pub fn file() -> Self {
        Self::File(Folder::new())
    }

    /// What a process is told about it.
    pub fn args(&self) -> Vec<String> {
        match self {
            Self::File(folder) => vec!["file".to_owned(), text(&folder.path("token.json"))],
        }
    }

    pub fn name(&self) -> &'static str {
        match self {
            Self::File(_) => "file",
        }
    }
}

fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}
