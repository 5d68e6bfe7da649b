//! A store in a file, as plain as it can be.

use std::{
    fs, io,
    path::PathBuf,
    sync::Mutex,
    time::{Duration, SystemTime},
};

use tower_auth_refresh::{
    store::{Lease, StoreError, StoreErrorKind, StoreFuture, Swap, TokenStore},
    token::{ExposeSecret, Fence, Stored, Version},
};

pub(crate) struct File {
    path: PathBuf,
    /// How long a lease holds; without it until its holder ends.
    lasts: Option<Duration>,
}

struct FileLease {
    path: PathBuf,
    fence: Fence,
    lasts: Option<Duration>,
    lock: Mutex<Option<fs::File>>,
}

impl File {
    pub(crate) fn new(path: PathBuf, lasts: Option<Duration>) -> Self {
        Self { path, lasts }
    }
}

fn now() -> u128 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("later").as_millis()
}

fn read(path: &PathBuf) -> Result<Option<Stored>, StoreError> {
    match fs::read(path) {
        Ok(json) => Ok(Some(Stored::from_json(&json).map_err(|error| StoreError::damaged("a file", error))?)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(StoreError::io("cannot read", &error)),
    }
}

impl TokenStore for File {
    fn load(&self) -> StoreFuture<'_, Option<Stored>> {
        Box::pin(async { read(&self.path) })
    }

    fn try_lease(&self, _: Option<Fence>) -> StoreFuture<'_, Option<Box<dyn Lease>>> {
        Box::pin(async {
            let lock = fs::File::create(self.path.with_extension("lock"));
            let lock = lock.map_err(|error| StoreError::io("cannot lock", &error))?;
            if lock.try_lock().is_err() {
                return Ok(None);
            }
            let now = now();
            let until = self.path.with_extension("until");
            if let Some(lasts) = self.lasts {
                if fs::read_to_string(&until).is_ok_and(|until| now < until.parse().expect("a time")) {
                    return Ok(None);
                }
                fs::write(until, (now + lasts.as_millis()).to_string())
                    .map_err(|error| StoreError::io("until", &error))?;
            }
            let last = read(&self.path)?.and_then(|stored| stored.fence).map_or(0, Fence::get);
            let fence = Fence::from((last + 1).max(u64::try_from(now).expect("sooner")));
            let lease: Box<dyn Lease> = Box::new(FileLease {
                path: self.path.clone(),
                fence,
                lasts: self.lasts,
                lock: Mutex::new(Some(lock).filter(|_| self.lasts.is_none())),
            });
            Ok(Some(lease))
        })
    }

    fn changed(&self) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(tokio::time::sleep(Duration::from_millis(20)))
    }
}

impl Lease for FileLease {
    fn fence(&self) -> Fence {
        self.fence
    }

    fn lasts(&self) -> Option<Duration> {
        self.lasts
    }

    fn renew(&self) -> StoreFuture<'_, ()> {
        Box::pin(async { Ok(()) })
    }

    fn save<'a>(&'a self, expected: Option<Version>, stored: &'a Stored) -> StoreFuture<'a, Swap> {
        Box::pin(async move {
            if read(&self.path)?.map(|stored| stored.version()) != expected {
                return Ok(Swap::Conflict);
            }
            let json = stored.to_json().map_err(|_| StoreError::new(StoreErrorKind::Unavailable, "cannot write"))?;
            let new = self.path.with_extension("new");
            fs::write(&new, json.expose_secret())
                .and_then(|()| fs::rename(&new, &self.path))
                .map_err(|error| StoreError::io("cannot write", &error))?;
            Ok(Swap::Done)
        })
    }

    fn release(&self) -> StoreFuture<'_, ()> {
        self.lock.lock().expect("whole").take();
        if self.lasts.is_some() {
            let _ = fs::remove_file(self.path.with_extension("until"));
        }
        Box::pin(async { Ok(()) })
    }
}
