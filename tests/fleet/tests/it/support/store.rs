//! The store that a fleet shares.

use std::{fs, time::Duration};

use tower_auth_refresh::token::{ExposeSecret, Stored};

use super::{disk::Disk, folder::Folder, process::patiently, redis::Redis, trace::Trace};

pub enum Store {
    /// A file in a folder of its own.
    File(Folder),
    /// The same on a disk of its own.
    OnDisk(Box<Disk>),
    /// A file, and what is done with it is written down.
    Traced(Folder, Trace),
    /// A Redis server of one test's own.
    /// The lease is as long as here, or as by default.
    Redis(Redis, Option<Duration>),
}

/// How long a lease holds, where that is a matter of time.
const LEASE: Duration = Duration::from_secs(1);

/// The same by default.
const DEFAULT_LEASE: Duration = Duration::from_secs(10);

/// Between two looks at what is stored.
const PAUSE: Duration = Duration::from_millis(5);

const FILE: &str = "token.json";
const NAME: &str = "fleet";
/// Where a session of that name is kept.
const KEY: &str = "tower-auth-refresh:{fleet}:token";

impl Store {
    pub fn file() -> Self {
        Self::File(Folder::new())
    }

    pub async fn redis() -> Self {
        Self::Redis(Redis::start().await, Some(LEASE))
    }

    pub async fn redis_by_default() -> Self {
        Self::Redis(Redis::start().await, None)
    }

    pub async fn on_disk() -> Self {
        Self::OnDisk(Box::new(Disk::new().await))
    }

    pub fn traced() -> Self {
        Self::Traced(Folder::new(), Trace::new())
    }

    /// Puts this there, as other programs may: the form is documented.
    pub async fn put(&self, stored: &Stored) {
        let json = stored.to_json().unwrap();
        let json = json.expose_secret();
        match self {
            Self::File(folder) | Self::Traced(folder, _) => fs::write(folder.text(FILE), json).unwrap(),
            Self::OnDisk(disk) => fs::write(disk.seen_from_outside(FILE), json).unwrap(),
            Self::Redis(redis, _) => {
                let generation = stored.generation.get();
                let put = format!("HSET {KEY} generation {generation} fence '' value '{json}'");
                assert_eq!(redis.ask(&put).await, ":3");
            }
        }
    }

    /// What is stored.
    ///
    /// A Redis server first takes what has been sent to it before, be the sender alive or not: it came before this question.
    pub async fn stored(&self) -> Stored {
        let json = match self {
            Self::File(folder) | Self::Traced(folder, _) => fs::read(folder.text(FILE)).unwrap(),
            Self::OnDisk(disk) => fs::read(disk.seen_from_outside(FILE)).unwrap(),
            Self::Redis(redis, _) => redis.ask(&format!("HGET {KEY} value")).await.into_bytes(),
        };
        Stored::from_json(&json).unwrap()
    }

    /// The number of what is stored.
    pub async fn generation(&self) -> u64 {
        self.stored().await.generation.get()
    }

    /// Waits until what is stored is of this number, or of what it has become by then.
    pub async fn reaches(&self, generation: impl Fn() -> u64) {
        let reached = async {
            while self.generation().await != generation() {
                tokio::time::sleep(PAUSE).await;
            }
        };
        patiently("the store holds what was granted", reached).await;
    }

    /// What a process is told about it.
    pub fn args(&self) -> Vec<String> {
        let folder = match self {
            Self::File(folder) | Self::Traced(folder, _) => folder,
            Self::OnDisk(disk) => disk.folder(),
            Self::Redis(redis, lease) => {
                let lease = lease.map(|lease| lease.as_millis().to_string());
                return ["redis".to_owned(), redis.url(), NAME.to_owned()].into_iter().chain(lease).collect();
            }
        };
        vec!["file".to_owned(), folder.text(FILE)]
    }

    /// How a process is started so that it sees it.
    pub fn way_in(&self) -> Vec<String> {
        match self {
            Self::File(_) | Self::Redis(..) => Vec::new(),
            Self::OnDisk(disk) => disk.way_in(),
            Self::Traced(_, trace) => trace.way_in(),
        }
    }

    pub fn name(&self) -> &'static str {
        match self {
            Self::File(_) | Self::Traced(..) => "file",
            Self::OnDisk(_) => "small disk",
            Self::Redis(..) => "Redis server",
        }
    }

    /// For how long a lease outlives its holder.
    pub fn lease(&self) -> Duration {
        match self {
            Self::File(_) | Self::OnDisk(_) | Self::Traced(..) => Duration::ZERO,
            Self::Redis(_, lease) => lease.unwrap_or(DEFAULT_LEASE),
        }
    }

    /// How long anybody may be without a token when a holder dies: for the lease, and a second for everything else.
    pub fn longest_wait(&self) -> Duration {
        self.lease() + Duration::from_secs(1)
    }

    /// The disk of a store that has one.
    pub fn disk(&mut self) -> &mut Disk {
        match self {
            Self::OnDisk(disk) => disk,
            _ => panic!("no disk of its own"),
        }
    }

    /// The path of the token file, of a store that is one.
    pub fn path(&self) -> String {
        match self {
            Self::File(folder) | Self::Traced(folder, _) => folder.text(FILE),
            _ => panic!("no file that is seen from here"),
        }
    }

    /// What was done with a file.
    pub fn trace(&self) -> &Trace {
        match self {
            Self::Traced(_, trace) => trace,
            _ => panic!("nothing is written down"),
        }
    }

    /// The server of a store that has one.
    pub fn server(&mut self) -> &mut Redis {
        match self {
            Self::Redis(redis, _) => redis,
            _ => panic!("no server"),
        }
    }
}
