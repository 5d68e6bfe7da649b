//! For tests.

mod api;
mod authorization;
mod body;
mod clock;
mod fault;
mod gate;
mod ledger;
mod provider;
mod wire;

pub use api::{Api, ApiCounts};
pub use authorization::{AuthServer, Scripted, TokenCounts};
pub use body::ServerBody;
pub use clock::TestClock;
pub use fault::Fault;
pub use gate::Gate;
pub use provider::{Place, TestProvider};

use std::sync::{Mutex, MutexGuard, PoisonError};

/// What a panicking test leaves behind is whole: nothing panics while it holds one of these locks.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
