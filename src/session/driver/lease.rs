//! A lease that a session holds: for how long by its own clocks, renewed while it works, given back at the end.

use std::{
    future::{Future, poll_fn},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    task::Poll,
    time::Duration,
};

use tokio::sync::watch;

use crate::{
    clock::{Clock, Now},
    provider::Provider,
    rt::{self, NotInTime},
    session::{Session, Snapshot, lifetime::Moment},
    store::{Lease, StoreError, StoreErrorKind, StoreFuture, Swap, TokenStore},
    token::{FencingToken, Stored, Version},
};

/// Given back when it is dropped, as far as there is a runtime left to do so.
pub(crate) struct Held {
    lease: Option<Arc<dyn Lease>>,
    clock: Arc<dyn Clock>,
    timeout: Duration,
    /// When it ends, unless it is renewed. Reached as soon as either clock says so.
    end: Mutex<Option<Moment>>,
    counted: Option<Counted>,
}

/// One of the leases that a session has not given back yet.
struct Counted(watch::Sender<usize>);

/// The part of a lease's time that must be left when a request is sent: between the look at the clocks and the first byte there
/// is no telling how long a machine is stopped. A lease that is renewed every third has more.
const RESERVE: u32 = 2;

/// How soon, and how late, one that waits for a lease asks for it again when nobody wakes it.
const POLL: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(250));

impl<P: Provider> Session<P> {
    /// Waits for the lease. Before each try it looks at what is stored; `None` when that `is_enough`, beside what was known
    /// before the look.
    pub(in crate::session) async fn lease<E: From<StoreError>>(
        &self,
        store: &Arc<dyn TokenStore>,
        mut is_enough: impl FnMut(&Snapshot, Option<&Stored>) -> Result<bool, E>,
    ) -> Result<Option<Held>, E> {
        let (clock, timeout) = (&self.0.clock, self.policy().store_call());
        let (mut pause, longest) = POLL;
        loop {
            // Before the look, so that no change behind it is missed.
            let changed = store.changed();
            let seen = self.0.current.load_full();
            let stored = call(store.load(), timeout).await?;
            if is_enough(&seen, stored.as_ref())? {
                return Ok(None);
            }
            let (asked, above) = (clock.now(), self.current().sync.fence);
            if let Some(lease) = call(store.try_lease(above), timeout).await? {
                let (end, counted) = (end(&*lease, asked), Counted::new(&self.0.leases));
                return Ok(Some(Held {
                    lease: Some(lease.into()),
                    clock: Arc::clone(clock),
                    timeout,
                    end: Mutex::new(end),
                    counted: Some(counted),
                }));
            }
            rest().await;
            // Woken or not, it looks.
            let _ = rt::timeout(pause, changed).await;
            pause = (pause * 2).min(longest);
        }
    }
}

/// Between two tries, however often the store says that it has changed: none may make a task spin.
pub(super) async fn rest() {
    if let Some(rest) = rt::sleep(POLL.0) {
        rest.await;
    }
}

impl Held {
    pub(crate) fn fence(&self) -> Option<FencingToken> {
        self.lease.as_ref().map(|lease| lease.fence())
    }

    /// Whether it holds by both of our clocks.
    pub(crate) fn holds(&self) -> bool {
        let end = *self.end.lock().unwrap_or_else(PoisonError::into_inner);
        self.lease.is_some() && end.is_none_or(|end| !end.is_reached(self.clock.now()))
    }

    /// Does `work`, and renews the lease meanwhile. A store that panics over that must not take along what the work has been
    /// granted: the lease is left to end.
    pub(crate) async fn during<T>(&self, work: impl Future<Output = T>) -> T {
        let (mut work, mut renewals) = (pin!(work), pin!(self.renew()));
        let mut is_renewed = true;
        poll_fn(|cx| {
            let done = work.as_mut().poll(cx);
            if done.is_pending() && is_renewed {
                // It never ends.
                is_renewed = catch_unwind(AssertUnwindSafe(|| renewals.as_mut().poll(cx).is_pending())).is_ok();
            }
            done
        })
        .await
    }

    /// Renews it every third of its time, and no more often than one is asked for. One that cannot be renewed is left to
    /// end.
    async fn renew(&self) {
        while let Some((lease, lasts)) = self.lease.as_ref().and_then(|lease| Some((lease, lease.lasts()?))) {
            let Some(third) = rt::sleep((lasts / 3).max(POLL.0)) else { break };
            third.await;
            let asked = self.clock.now();
            match call(lease.renew(), self.timeout).await {
                Ok(()) => *self.end.lock().unwrap_or_else(PoisonError::into_inner) = end(&**lease, asked),
                Err(error) => {
                    tracing::warn!(%error, "the lease could not be renewed");
                    if error.kind() == StoreErrorKind::Lost {
                        *self.end.lock().unwrap_or_else(PoisonError::into_inner) =
                            Some(Moment::after(asked, Duration::ZERO));
                    }
                }
            }
        }
        poll_fn(|_| Poll::Pending).await
    }

    /// Replaces what is stored, as [`Lease::save`].
    pub(crate) async fn save(&self, over: Option<Version>, stored: &Stored) -> Result<Swap, StoreError> {
        let Some(lease) = &self.lease else { return Err(StoreError::new(StoreErrorKind::Lost, "the lease is over")) };
        match stored.signed_out_since {
            Some(_) => call(lease.clear(over, stored), self.timeout).await,
            None => call(lease.save(over, stored), self.timeout).await,
        }
    }

    /// Gives it back.
    pub(crate) async fn release(mut self) {
        if let Some(lease) = self.lease.take() {
            give_back(lease, self.timeout, self.counted.take()).await;
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(lease) = self.lease.take() {
            // Where there is no runtime any more, the lease ends by itself.
            let _ = rt::spawn(give_back(lease, self.timeout, self.counted.take()));
        }
    }
}

impl Counted {
    fn new(leases: &watch::Sender<usize>) -> Self {
        leases.send_modify(|leases| *leases = leases.saturating_add(1));
        Self(leases.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.send_modify(|leases| *leases = leases.saturating_sub(1));
    }
}

/// Until that is done the lease is counted.
async fn give_back(lease: Arc<dyn Lease>, timeout: Duration, _counted: Option<Counted>) {
    if let Err(error) = call(lease.release(), timeout).await {
        tracing::debug!(%error, "the lease ends by itself");
    }
}

/// It began no sooner than it was asked for.
fn end(lease: &dyn Lease, asked: Now) -> Option<Moment> {
    let lasts = lease.lasts()?;
    Some(Moment::after(asked, lasts.saturating_sub(lasts / RESERVE)))
}

/// A panic of a store, as its failure: what the work has been granted must not go with it.
pub(crate) async fn caught<T>(work: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    let mut work = pin!(work);
    poll_fn(|cx| {
        catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(cx))).unwrap_or_else(|_| {
            Poll::Ready(Err(StoreError::new(StoreErrorKind::Unavailable, "the store has panicked")))
        })
    })
    .await
}

/// One call of a store, which may take so long.
pub(crate) async fn call<T>(call: StoreFuture<'_, T>, timeout: Duration) -> Result<T, StoreError> {
    match rt::timeout(timeout, call).await {
        Ok(answer) => answer,
        Err(NotInTime::Elapsed) => Err(StoreError::new(StoreErrorKind::TimedOut, "the store did not answer in time")),
        Err(NotInTime::NoTimer) => Err(StoreError::new(StoreErrorKind::Unavailable, "the runtime has no timer")),
    }
}
