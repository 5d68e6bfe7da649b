//! The seam as the crate's own tests see it: an explorer may stand in for the runtime of this thread. Where none does,
//! it is tokio.

use std::{
    cell::RefCell,
    future::Future,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
    time::Duration,
};

use super::{NoResult, on_tokio};

/// What an explorer provides in the place of the runtime.
pub(crate) trait Runtime {
    fn spawn(&self, future: Spawned) -> Abort;
    fn sleep(&self, duration: Duration) -> Timer;
    /// Other threads may run here. No lock is held.
    fn interleave(&self);
}

pub(crate) type Spawned = Pin<Box<dyn Future<Output = ()> + Send>>;
pub(crate) type Abort = Box<dyn Fn() + Send + Sync>;
pub(crate) type Timer = Pin<Box<dyn Future<Output = ()> + Send + Sync>>;

pub(crate) enum Task {
    Real(on_tokio::Task),
    StandIn(Abort),
}

pub(crate) enum Sleep {
    Real(on_tokio::Sleep),
    StandIn(Timer),
}

thread_local! {
    static STAND_IN: RefCell<Option<Rc<dyn Runtime>>> = const { RefCell::new(None) };
}

/// The thread has its own runtime back when this is dropped.
pub(crate) struct Installed(());

pub(crate) fn install(runtime: Rc<dyn Runtime>) -> Installed {
    STAND_IN.set(Some(runtime));
    Installed(())
}

impl Drop for Installed {
    fn drop(&mut self) {
        STAND_IN.set(None);
    }
}

pub(crate) fn spawn(future: impl Future<Output = ()> + Send + 'static) -> Option<Task> {
    match current() {
        Some(runtime) => Some(Task::StandIn(runtime.spawn(Box::pin(future)))),
        None => on_tokio::spawn(future).map(Task::Real),
    }
}

pub(crate) fn sleep(duration: Duration) -> Option<Sleep> {
    match current() {
        Some(runtime) => Some(Sleep::StandIn(runtime.sleep(duration))),
        None => on_tokio::sleep(duration).map(Sleep::Real),
    }
}

/// An explorer's thread is the only one there is, so the work is done on it.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, NoResult> {
    let stands_in = current().is_some();
    if stands_in { Ok(work()) } else { on_tokio::blocking(work).await }
}

pub(crate) fn interleave() {
    if let Some(runtime) = current() {
        runtime.interleave();
    }
}

/// Not kept borrowed: what the stand-in runs may come back here.
fn current() -> Option<Rc<dyn Runtime>> {
    STAND_IN.with_borrow(Clone::clone)
}

impl Task {
    pub(crate) fn abort(&self) {
        match self {
            Self::Real(task) => task.abort(),
            Self::StandIn(abort) => abort(),
        }
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        match self.get_mut() {
            Self::Real(sleep) => Pin::new(sleep).poll(cx),
            Self::StandIn(timer) => timer.as_mut().poll(cx),
        }
    }
}
