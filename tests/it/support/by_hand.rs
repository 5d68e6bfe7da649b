//! Futures polled by hand, step by step.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

/// A future that moves only when it is polled, and tells whether anything has woken it since.
pub struct ByHand<F> {
    future: Pin<Box<F>>,
    woken: Arc<Flag>,
}

#[derive(Default)]
struct Flag(AtomicBool);

impl<F: Future> ByHand<F> {
    pub fn new(future: F) -> Self {
        Self { future: Box::pin(future), woken: Arc::default() }
    }

    /// The same after a first poll, which must find it pending.
    pub fn started(future: F) -> Self {
        let mut started = Self::new(future);
        assert!(started.is_pending(), "finished at its first poll");
        started
    }

    pub fn poll(&mut self) -> Poll<F::Output> {
        self.woken.0.store(false, Ordering::SeqCst);
        self.future.as_mut().poll(&mut Context::from_waker(&Waker::from(Arc::clone(&self.woken))))
    }

    pub fn is_pending(&mut self) -> bool {
        self.poll().is_pending()
    }

    pub fn is_woken(&self) -> bool {
        self.woken.0.load(Ordering::SeqCst)
    }

    /// The result, which must be there at the next poll.
    pub fn result(mut self) -> F::Output {
        match self.poll() {
            Poll::Ready(result) => result,
            Poll::Pending => panic!("still pending"),
        }
    }

    /// The rest of it, to be awaited.
    pub fn rest(self) -> Pin<Box<F>> {
        self.future
    }
}

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Lets the other tasks of the runtime run until `reached`.
pub async fn until(reached: impl Fn() -> bool) {
    for _ in 0..1000 {
        if reached() {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("never reached");
}
