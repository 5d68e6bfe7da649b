//! A gate before an answer.

use std::sync::Arc;

use tokio::sync::Semaphore;

/// Holds answers that are ready to leave, until the test lets them go. It stands open at first; clones share it.
#[derive(Clone, Debug)]
pub struct Gate(Arc<Semaphore>);

impl Gate {
    pub(super) fn new() -> Self {
        Self(Arc::new(Semaphore::new(Semaphore::MAX_PERMITS)))
    }

    /// Closes it: the server acts on every request, and holds its answers.
    pub fn hold(&self) {
        self.0.forget_permits(Semaphore::MAX_PERMITS);
    }

    /// Opens it again.
    pub fn release(&self) {
        self.0.add_permits(Semaphore::MAX_PERMITS - self.0.available_permits());
    }

    /// Waits until it is open.
    pub(super) async fn pass(&self) {
        // Nobody closes the semaphore itself.
        drop(self.0.acquire().await);
    }
}
