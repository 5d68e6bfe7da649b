//! The store that a fleet shares.

use std::{fs, time::Duration};

use tower_auth_refresh::token::{ExposeSecret, Stored};

use super::{disk::Disk, folder::Folder, redis::Redis};

pub enum Store {
    /// A file in a folder of its own.
    File(Folder),
    /// The same on a disk of its own.
    OnDisk(Box<Disk>),
    /// A Redis server of one test's own.
    Redis(Redis),
}

/// How long a lease holds, where that is a matter of time.
const LEASE: Duration = Duration::from_secs(1);

impl Store {
    pub fn file() -> Self {
        Self::File(Folder::new())
    }

    pub async fn redis() -> Self {
        Self::Redis(Redis::start().await)
    }

    pub async fn on_disk() -> Self {
        Self::OnDisk(Box::new(Disk::new().await))
    }

    /// Puts this there, as other programs may: the form is documented.
    pub fn put(&self, stored: &Stored) {
        let json = stored.to_json().unwrap();
        fs::write(self.path(), json.expose_secret()).unwrap();
    }

    fn path(&self) -> String {
        let Self::File(folder) = self else { panic!("no file that this process can see") };
        folder.text("token.json")
    }

    /// What a process is told about it.
    pub fn args(&self) -> Vec<String> {
        let folder = match self {
            Self::File(folder) => folder,
            Self::OnDisk(disk) => disk.folder(),
            Self::Redis(redis) => {
                return vec!["redis".to_owned(), redis.url(), "fleet".to_owned(), LEASE.as_millis().to_string()];
            }
        };
        vec!["file".to_owned(), folder.text("token.json")]
    }

    /// How a process is started so that it sees it.
    pub fn way_in(&self) -> Vec<String> {
        match self {
            Self::File(_) | Self::Redis(_) => Vec::new(),
            Self::OnDisk(disk) => disk.way_in(),
        }
    }

    pub fn name(&self) -> &'static str {
        match self {
            Self::File(_) => "file",
            Self::OnDisk(_) => "small disk",
            Self::Redis(_) => "Redis server",
        }
    }

    /// For how long a lease outlives its holder.
    pub fn lease(&self) -> Duration {
        match self {
            Self::File(_) | Self::OnDisk(_) => Duration::ZERO,
            Self::Redis(_) => LEASE,
        }
    }

    /// The disk of a store that has one.
    pub fn disk(&mut self) -> &mut Disk {
        match self {
            Self::OnDisk(disk) => disk,
            Self::File(_) | Self::Redis(_) => panic!("no disk of its own"),
        }
    }
}
