//! The lease that a Redis server grants.

use std::time::Duration;

use super::{RedisStore, lifetime::Lifetime, scripts, value};
use crate::{
    rt,
    store::{Lease, StoreError, StoreErrorKind, StoreFuture, Swap},
    token::{FencingToken, Stored, Version},
};

/// Held by whoever knows what the server keeps under the lease's key.
pub(super) struct RedisLease {
    pub(super) store: RedisStore,
    /// What is kept there: whose lease it is, and its number.
    pub(super) holder: String,
    pub(super) fence: FencingToken,
}

/// A lease on its way to whoever asked for it. If that one has gone it is given back: otherwise everybody else would wait
/// for its whole time.
pub(super) struct Unclaimed(Option<RedisLease>);

impl Unclaimed {
    pub(super) fn new(lease: RedisLease) -> Self {
        Self(Some(lease))
    }

    pub(super) fn claim(mut self) -> Option<RedisLease> {
        self.0.take()
    }
}

impl Drop for Unclaimed {
    fn drop(&mut self) {
        if let Some(lease) = self.0.take() {
            // What fails here ends by itself.
            rt::spawn(async move { drop(lease.release().await) });
        }
    }
}

impl Lease for RedisLease {
    fn fence(&self) -> FencingToken {
        self.fence
    }

    fn lasts(&self) -> Option<Duration> {
        Some(self.store.options.lease)
    }

    fn renew(&self) -> StoreFuture<'_, ()> {
        Box::pin(async move {
            let mut script = scripts::RENEW.prepare_invoke();
            script.key(&self.store.keys.lease).arg(&self.holder).arg(milliseconds(self.store.options.lease));
            let is_ours: bool = self.store.run(script, "renew the lease of").await?;
            if is_ours {
                return Ok(());
            }
            Err(StoreError::new(StoreErrorKind::Lost, format!("the lease of redis {} is lost", self.store.keys)))
        })
    }

    fn save<'a>(&'a self, expected: Option<Version>, stored: &'a Stored) -> StoreFuture<'a, Swap> {
        Box::pin(async move {
            let keys = &self.store.keys;
            let Lifetime { ends, at_least } = Lifetime::of(stored);
            let [generation, fence, revision] = value::version(stored.version());
            let expected = expected.map(|version| value::version(version).join("/"));
            let mut script = scripts::SAVE.prepare_invoke();
            script
                .key(&keys.token)
                .arg(expected.unwrap_or_default())
                .arg(self.fence.get())
                .arg(generation)
                .arg(fence)
                .arg(revision)
                .arg(value::write(stored, self.store.options.cipher.as_deref(), keys)?)
                .arg(ends.map(|at| at.to_string()).unwrap_or_default())
                .arg(milliseconds(at_least))
                .arg(&keys.channel);
            let is_swapped: bool = self.store.run(script, "write").await?;
            Ok(if is_swapped { Swap::Done } else { Swap::Conflict })
        })
    }

    fn release(&self) -> StoreFuture<'_, ()> {
        Box::pin(async move {
            let keys = &self.store.keys;
            let mut script = scripts::RELEASE.prepare_invoke();
            script.key(&keys.lease).key(&keys.token).arg(&self.holder).arg(&keys.channel);
            // Somebody else's by now, or nobody's: either way not ours.
            let _was_ours: bool = self.store.run(script, "release the lease of").await?;
            Ok(())
        })
    }
}

pub(super) fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
