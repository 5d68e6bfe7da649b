//! The exclusive right to change the token file: the lock, and what may be done while it is held.

use std::{
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use super::{
    lock::LockFile,
    place::Place,
    replace::{discard, replace},
    run,
    token_file::TokenFile,
};
use crate::{
    store::{Lease, StoreError, StoreErrorKind, StoreFuture, Swap},
    token::{FencingToken, Stored, Version},
};

/// A lease that lasts until it is released, or its process ends.
///
/// A write whose future is dropped goes on, and so do two writes at once if the next is begun meanwhile: they share what is
/// held, follow one another, and the lock outlives them.
pub(super) struct FileLease(Arc<Held>);

struct Held {
    file: Arc<TokenFile>,
    place: Place,
    fence: FencingToken,
    /// `None` once it is released.
    lock: Mutex<Option<LockFile>>,
}

impl FileLease {
    /// `None` while another holds it.
    pub(super) fn try_take(
        file: Arc<TokenFile>,
        above: Option<FencingToken>,
        now: SystemTime,
    ) -> Result<Option<Self>, StoreError> {
        let place = file.place()?;
        let Some(mut lock) = LockFile::try_take(&place.lock())? else { return Ok(None) };
        let drawn = lock.number()?;
        let stored = file.load(&place)?.and_then(|stored| stored.fence);
        if let Some(drawn) = drawn {
            discard(&place, drawn);
        }
        let fence = next([drawn, stored, above], now).ok_or_else(|| {
            let what = format!("{}: there is no number above those of its leases", file.path().display());
            StoreError::new(StoreErrorKind::Damaged, what)
        })?;
        lock.keep(fence)?;
        Ok(Some(Self(Arc::new(Held { file, place, fence, lock: Mutex::new(Some(lock)) }))))
    }

    fn path(&self) -> &Path {
        self.0.file.path()
    }
}

impl Lease for FileLease {
    fn fence(&self) -> FencingToken {
        self.0.fence
    }

    fn lasts(&self) -> Option<Duration> {
        None
    }

    fn renew(&self) -> StoreFuture<'_, ()> {
        let held = Arc::clone(&self.0);
        run(self.path(), move || held.check(held.lock().as_ref()))
    }

    fn save<'a>(&'a self, expected: Option<Version>, stored: &'a Stored) -> StoreFuture<'a, Swap> {
        let (held, stored) = (Arc::clone(&self.0), stored.clone());
        run(self.path(), move || held.save(expected, &stored))
    }

    fn release(&self) -> StoreFuture<'_, ()> {
        let held = Arc::clone(&self.0);
        run(self.path(), move || {
            drop(held.lock().take());
            Ok(())
        })
    }
}

impl Held {
    fn save(&self, expected: Option<Version>, stored: &Stored) -> Result<Swap, StoreError> {
        let lock = self.lock();
        let current = self.file.load(&self.place)?;
        let is_newer = current.as_ref().and_then(|current| current.fence) > Some(self.fence);
        if is_newer || current.as_ref().map(Stored::version) != expected {
            return Ok(Swap::Conflict);
        }
        let json = stored
            .to_json()
            .map_err(|error| StoreError::damaged(format!("cannot write {}", self.file.path().display()), error))?;
        replace(&self.place, self.fence, &json, || self.check(lock.as_ref()))?;
        Ok(Swap::Done)
    }

    /// Whether what is locked is still what others would lock.
    fn check(&self, lock: Option<&LockFile>) -> Result<(), StoreError> {
        match lock {
            Some(lock) if self.file.place()? == self.place && lock.is_in_place()? => Ok(()),
            _ => {
                let what = format!("{} is not locked by this lease any more", self.file.path().display());
                Err(StoreError::new(StoreErrorKind::Lost, what))
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<LockFile>> {
        // Nothing in it can be half done.
        self.lock.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A number above all of these and above the time in epoch milliseconds: so one that is drawn after all else was lost, in a
/// restored folder or beside a deleted file, is above the lost ones too.
fn next(known: [Option<FencingToken>; 3], now: SystemTime) -> Option<FencingToken> {
    let now = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    let now = FencingToken::from(u64::try_from(now).ok()?);
    let largest = known.into_iter().flatten().fold(now, FencingToken::max);
    largest.get().checked_add(1).map(FencingToken::from)
}

#[cfg(test)]
mod tests;
