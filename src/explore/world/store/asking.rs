//! The calls of the store.

use std::{
    future::Future,
    panic::resume_unwind,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use super::{
    super::{Pace, World},
    Asked, Deed, Got, Wish,
};
use crate::{
    store::{Lease, StoreError, StoreFuture, Swap, TokenStore},
    token::{FencingToken, Stored, Version},
};

/// A call, until it is answered.
struct Asking {
    world: World,
    wish: Option<Wish>,
    /// Once it has been made, at the first poll.
    at: Option<usize>,
}

/// A lease.
struct Right {
    world: World,
    fence: FencingToken,
    lasts: Option<Duration>,
}

impl World {
    fn ask(&self, wish: Wish) -> Asking {
        Asking { world: self.clone(), wish: Some(wish), at: None }
    }
}

impl TokenStore for World {
    fn load(&self) -> StoreFuture<'_, Option<Stored>> {
        let asking = self.ask(Wish::Load);
        Box::pin(async move {
            let Got::Stored(stored) = asking.await? else { unreachable!("what was asked is answered") };
            Ok(stored.map(|stored| *stored))
        })
    }

    fn try_lease(&self, above: Option<FencingToken>) -> StoreFuture<'_, Option<Box<dyn Lease>>> {
        let asking = self.ask(Wish::Lease(above));
        Box::pin(async move {
            let Got::Lease(fence) = asking.await? else { unreachable!("what was asked is answered") };
            let lasts = self.state().shelf.lasts;
            Ok(fence.map(|fence| Box::new(Right { world: self.clone(), fence, lasts }) as Box<dyn Lease>))
        })
    }

    fn changed(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        let mut changes = self.state().shelf.changes.subscribe();
        Box::pin(async move {
            let _ = changes.changed().await;
        })
    }
}

impl Lease for Right {
    fn fence(&self) -> FencingToken {
        self.fence
    }

    fn lasts(&self) -> Option<Duration> {
        self.lasts
    }

    fn renew(&self) -> StoreFuture<'_, ()> {
        let asking = self.world.ask(Wish::Renew(self.fence));
        Box::pin(async move { asking.await.map(drop) })
    }

    fn save<'a>(&'a self, expected: Option<Version>, stored: &'a Stored) -> StoreFuture<'a, Swap> {
        let asking = self.world.ask(Wish::Save(self.fence, expected, Box::new(stored.clone())));
        Box::pin(async move {
            let Got::Swap(swap) = asking.await? else { unreachable!("what was asked is answered") };
            Ok(swap)
        })
    }

    fn release(&self) -> StoreFuture<'_, ()> {
        let asking = self.world.ask(Wish::Release(self.fence));
        Box::pin(async move { asking.await.map(drop) })
    }
}

impl Drop for Right {
    fn drop(&mut self) {
        if self.lasts.is_none() {
            self.world.state().shelf.end(self.fence);
        }
    }
}

impl Future for Asking {
    type Output = Result<Got, StoreError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let world = self.world.clone();
        let mut state = world.state();
        if let Some(wish) = self.wish.take() {
            let task = state.polled.map(|(task, _)| task);
            let call = Asked {
                process: world.process,
                task,
                wish,
                got: None,
                is_awaited: true,
                is_over: false,
                panics: false,
                waker: None,
            };
            state.shelf.calls.push(call);
            self.at = Some(state.shelf.calls.len() - 1);
        }
        let Some(at) = self.at else { return Poll::Pending };
        if state.shelf.calls[at].panics {
            drop(state);
            resume_unwind(Box::new("poisoned"));
        }
        if let Some(got) = state.shelf.calls[at].got.clone() {
            state.shelf.calls[at].is_awaited = false;
            self.at = None;
            return Poll::Ready(got);
        }
        state.shelf.calls[at].waker = Some(cx.waker().clone());
        if matches!(state.pace, Pace::AtOnce) && !state.shelf.calls[at].is_over {
            drop(state);
            world.answer_store(at, Deed::Done);
            return self.poll(cx);
        }
        Poll::Pending
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        if let Some(at) = self.at {
            self.world.state().shelf.leave(at);
        }
    }
}
