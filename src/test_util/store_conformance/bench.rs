//! The store under test: each call has its time, and an error is a finding.

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    sync::atomic::{AtomicU64, Ordering},
    task::Poll,
    time::Duration,
};

use super::{
    report::{Finding, Outcome},
    samples,
};
use crate::{
    rt::{self, NotInTime},
    store::{Lease, StoreError, Swap, TokenStore},
    token::{FencingToken, Stored, Version},
};

pub(super) struct Bench<'a, S> {
    open: &'a (dyn Fn() -> S + Send + Sync),
    within: Duration,
    generation: AtomicU64,
}

/// One process, as far as the store can see.
pub(super) struct Handle<S> {
    pub(super) store: S,
    limit: Limit,
}

/// A lease that is held, or was.
pub(super) struct Holder {
    pub(super) lease: Box<dyn Lease>,
    limit: Limit,
}

pub(super) type Waiting<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

#[derive(Clone, Copy)]
struct Limit(Duration);

/// Between two tries for a lease.
const PAUSE: Duration = Duration::from_millis(10);

// ===== impl Bench =====

impl<'a, S: TokenStore> Bench<'a, S> {
    pub(super) fn new(open: &'a (dyn Fn() -> S + Send + Sync), within: Duration) -> Self {
        Self { open, within, generation: AtomicU64::new(0) }
    }

    pub(super) fn open(&self) -> Handle<S> {
        Handle { store: (self.open)(), limit: Limit(self.within) }
    }

    pub(super) fn within(&self) -> Duration {
        self.within
    }

    pub(super) async fn in_time<T>(&self, what: &str, future: impl Future<Output = T>) -> Result<T, Outcome> {
        Limit(self.within).keep(what, future).await
    }

    /// A token set that has never been stored.
    pub(super) fn token_set(&self, holder: &Holder) -> Stored {
        samples::token_set(self.next().into(), holder.fence())
    }

    pub(super) fn signed_out(&self, holder: &Holder) -> Stored {
        samples::signed_out(self.next().into(), holder.fence())
    }

    fn next(&self) -> u64 {
        self.generation.fetch_add(1, Ordering::Relaxed)
    }

    /// A token set that somebody has stored, and nobody holds the lease.
    pub(super) async fn stored_at(&self, handle: &Handle<S>) -> Result<Stored, Outcome> {
        let holder = handle.lease().await?;
        let stored = self.token_set(&holder);
        holder.put(handle, &stored).await?;
        holder.release().await?;
        Ok(stored)
    }
}

// ===== impl Handle =====

impl<S: TokenStore> Handle<S> {
    pub(super) async fn load(&self) -> Result<Option<Stored>, Outcome> {
        self.limit.call("load", self.store.load()).await
    }

    pub(super) async fn try_lease(&self, above: Option<FencingToken>) -> Result<Option<Holder>, Outcome> {
        let lease = self.limit.call("try_lease", self.store.try_lease(above)).await?;
        Ok(lease.map(|lease| Holder { lease, limit: self.limit }))
    }

    /// The lease, which whoever holds it gives back or lets end in time.
    pub(super) async fn lease(&self) -> Result<Holder, Outcome> {
        let tries = async {
            loop {
                if let Some(holder) = self.try_lease(None).await? {
                    return Ok(holder);
                }
                pause(PAUSE).await;
            }
        };
        self.limit.keep("a lease", tries).await?
    }

    /// Passes where this is stored.
    pub(super) async fn holds(&self, what: &str, expected: &Stored) -> Finding {
        match self.load().await? {
            Some(came) => samples::same_stored(what, expected, &came),
            None => Err(Outcome::failed(what, "nothing is stored")),
        }
    }

    /// Begins to wait for a change. `None` where it is woken again and again.
    pub(super) async fn waiting(&self) -> Option<Waiting<'_>> {
        for _ in 0..8 {
            let mut changed = self.store.changed();
            if !ends_before(1, &mut changed).await {
                return Some(changed);
            }
        }
        None
    }
}

// ===== impl Holder =====

impl Holder {
    pub(super) fn fence(&self) -> FencingToken {
        self.lease.fence()
    }

    pub(super) async fn save(&self, expected: Option<Version>, stored: &Stored) -> Result<Swap, Outcome> {
        self.limit.call("save", self.lease.save(expected, stored)).await
    }

    pub(super) async fn clear(&self, expected: Option<Version>, tombstone: &Stored) -> Result<Swap, Outcome> {
        self.limit.call("clear", self.lease.clear(expected, tombstone)).await
    }

    pub(super) async fn renew(&self) -> Finding {
        self.limit.call("renew", self.lease.renew()).await
    }

    pub(super) async fn release(&self) -> Finding {
        self.limit.call("release", self.lease.release()).await
    }

    /// Saves `stored` in the place of whatever is stored.
    pub(super) async fn put<S: TokenStore>(&self, handle: &Handle<S>, stored: &Stored) -> Finding {
        // A save that was dropped may still come in between.
        for _ in 0..8 {
            let current = handle.load().await?;
            if self.save(current.map(|current| current.version()), stored).await? == Swap::Done {
                return Ok(());
            }
            pause(PAUSE).await;
        }
        Err(Outcome::failed("a save that expects what is stored", "eight conflicts"))
    }
}

// ===== impl Limit =====

impl Limit {
    async fn call<T>(self, name: &str, call: impl Future<Output = Result<T, StoreError>>) -> Result<T, Outcome> {
        let answer = self.keep(&format!("an answer of {name}"), call).await?;
        answer.map_err(|error| Outcome::failed(format!("no error of {name}"), format!("{:?}: {error}", error.kind())))
    }

    async fn keep<T>(self, what: &str, future: impl Future<Output = T>) -> Result<T, Outcome> {
        rt::timeout(self.0, future).await.map_err(|why| match why {
            NotInTime::Elapsed => Outcome::failed(format!("{what} within {:?}", self.0), "none"),
            NotInTime::NoTimer => Outcome::failed("a runtime with a timer", "none"),
        })
    }
}

// ===== futures =====

/// Polls until it ends, or is pending for the `point`th time, so that it can be dropped there; not at all for 0.
pub(super) async fn ends_before<T>(point: usize, future: &mut (impl Future<Output = T> + Unpin)) -> bool {
    if point == 0 {
        return false;
    }
    let mut pending: usize = 0;
    poll_fn(|cx| match Pin::new(&mut *future).poll(cx) {
        Poll::Ready(_) => Poll::Ready(true),
        Poll::Pending => {
            pending += 1;
            if pending == point { Poll::Ready(false) } else { Poll::Pending }
        }
    })
    .await
}

/// All at once.
pub(super) async fn all<T>(futures: impl IntoIterator<Item = impl Future<Output = T>>) -> Vec<T> {
    let mut running: Vec<_> = futures.into_iter().map(|future| (Box::pin(future), None)).collect();
    poll_fn(|cx| {
        let mut is_ready = true;
        for (future, output) in &mut running {
            if output.is_none() {
                match future.as_mut().poll(cx) {
                    Poll::Ready(ready) => *output = Some(ready),
                    Poll::Pending => is_ready = false,
                }
            }
        }
        if is_ready { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    running.into_iter().filter_map(|(_, output)| output).collect()
}

pub(super) async fn pause(duration: Duration) {
    // Without a timer nothing has come this far.
    if let Some(sleep) = rt::sleep(duration) {
        sleep.await;
    }
}
