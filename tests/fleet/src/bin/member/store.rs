//! Any store, with points around its lease and its writes.

use std::{future::Future, pin::Pin, time::Duration};

use fleet::{Event, Point};
use tower_auth_refresh::{
    store::{Lease, StoreFuture, Swap, TokenStore},
    token::{FencingToken, Stored, Version},
};

use crate::{points::Points, stdio::say};

pub(crate) struct Watched<S> {
    pub(crate) inner: S,
    pub(crate) points: Points,
}

struct WatchedLease {
    inner: Box<dyn Lease>,
    points: Points,
}

impl<S: TokenStore> TokenStore for Watched<S> {
    fn load(&self) -> StoreFuture<'_, Option<Stored>> {
        self.inner.load()
    }

    fn try_lease(&self, above: Option<FencingToken>) -> StoreFuture<'_, Option<Box<dyn Lease>>> {
        Box::pin(async move {
            let Some(inner) = self.inner.try_lease(above).await? else { return Ok(None) };
            say(&Event::Lease(inner.fence().get()));
            self.points.reach(Point::Leased).await;
            let lease: Box<dyn Lease> = Box::new(WatchedLease { inner, points: self.points.clone() });
            Ok(Some(lease))
        })
    }

    fn changed(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        self.inner.changed()
    }
}

impl Lease for WatchedLease {
    fn fence(&self) -> FencingToken {
        self.inner.fence()
    }

    fn lasts(&self) -> Option<Duration> {
        self.inner.lasts()
    }

    fn renew(&self) -> StoreFuture<'_, ()> {
        self.inner.renew()
    }

    fn save<'a>(&'a self, expected: Option<Version>, stored: &'a Stored) -> StoreFuture<'a, Swap> {
        Box::pin(async move {
            // A mark is written before the request for tokens, and its result after it.
            let is_mark = stored.spending_since.is_some();
            if !is_mark {
                self.points.reach(Point::Writing).await;
            }
            let swap = self.inner.save(expected, stored).await?;
            if swap == Swap::Done {
                self.points.reach(if is_mark { Point::Marked } else { Point::Written }).await;
            }
            Ok(swap)
        })
    }

    fn clear<'a>(&'a self, expected: Option<Version>, tombstone: &'a Stored) -> StoreFuture<'a, Swap> {
        self.inner.clear(expected, tombstone)
    }

    fn release(&self) -> StoreFuture<'_, ()> {
        self.inner.release()
    }
}
