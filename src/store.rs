//! Where a token set outlives the process, and is shared by many.
//!
//! A store does four things: it loads what is stored, it hands out an exclusive [`Lease`] with a fencing token, and under a
//! lease it replaces or clears what is stored, if nobody else has meanwhile. **In which order** that happens around a login
//! or refresh is the session's business, the same for every store:
//!
//! ```text
//! lease ─► load again ─► compare ─► mark as being spent ─► does the lease still hold? ─► ask the token endpoint
//!                                                                                             │
//!            release ◄─ wake ◄─ publish ◄─ compare and swap ◄─ the next token set ◄───────────┘
//! ```

mod error;
mod file;
mod memory;
#[cfg(feature = "redis")]
mod redis;

pub use error::{StoreError, StoreErrorKind};
pub use file::FileStore;
pub use memory::MemoryStore;
#[cfg(feature = "redis")]
#[cfg_attr(docsrs, doc(cfg(feature = "redis")))]
pub use redis::RedisStore;

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use crate::token::{FencingToken, Stored, Version};

/// What a store's calls return: boxed, because a round trip follows, and so that stores are object safe.
pub type StoreFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// Keeps what one session knows, for later processes and for others at the same time.
///
/// One store keeps one session: two sessions share a token if, and only if, they share the store's key or file. A call
/// may be dropped at any await point, and must leave the store whole then. The session gives each call
/// [`store_timeout`](crate::session::RefreshPolicy::store_timeout) and treats a panic as a failure.
///
/// `test_util::store_conformance`, behind the feature `test-util`, checks a store of your own.
pub trait TokenStore: Send + Sync + 'static {
    /// What is stored now; `None` where nothing is. No lease is needed.
    ///
    /// # Errors
    /// When the store cannot be reached, or what it holds is not a token set of ours. It is left as it is then.
    fn load(&self) -> StoreFuture<'_, Option<Stored>>;

    /// Takes the exclusive right to change what is stored, without waiting: `None` while another holds it.
    ///
    /// The lease and its fencing token come together, in one step. The token is larger than any that the store has drawn,
    /// than that of what is stored, and than `above`, the largest that the session has seen: a store that has lost its
    /// memory must not start anew.
    ///
    /// # Errors
    /// When the store cannot be reached or written to.
    fn try_lease(&self, above: Option<FencingToken>) -> StoreFuture<'_, Option<Box<dyn Lease>>>;

    /// Waits until what is stored may have changed since the call, or a lease may have ended that this handle was refused. To
    /// be woken for nothing is fine. Who is never woken learns of a change with the next flight only, as after a rejection.
    fn changed(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;
}

/// The exclusive right to change what a store holds. Where it is dropped without [`release`](Self::release), it ends by
/// itself: at once where the store can see that, or when its time is over.
pub trait Lease: Send + Sync + 'static {
    /// Its number: larger than that of any lease before it.
    fn fence(&self) -> FencingToken;

    /// For how long it holds from when it was asked for, or last [renewed](Self::renew). `None`: until it is released, or
    /// its holder dies.
    fn lasts(&self) -> Option<Duration>;

    /// Makes it hold for [`lasts`](Self::lasts) from now on. The session calls this every third of that time.
    ///
    /// # Errors
    /// When the store cannot be reached; [`Lost`](StoreErrorKind::Lost) when it is not ours any more.
    fn renew(&self) -> StoreFuture<'_, ()>;

    /// Replaces what is stored, all of it or nothing, if it is still `expected` and no lease with a larger number has
    /// written. (That the lease's own time is over is no hindrance: a token set that nobody has replaced is worth keeping.)
    ///
    /// `stored` carries this lease's [`fence`](Self::fence).
    ///
    /// # Errors
    /// When it could not be written. It may have been, where the answer was lost.
    fn save<'a>(&'a self, expected: Option<Version>, stored: &'a Stored) -> StoreFuture<'a, Swap>;

    /// Clears the token set, if what is stored is still `expected`, and leaves a tombstone with its number. A store overrides
    /// this where it keeps tombstones elsewhere.
    ///
    /// # Errors
    /// As [`save`](Self::save).
    fn clear<'a>(&'a self, expected: Option<Version>, tombstone: &'a Stored) -> StoreFuture<'a, Swap> {
        self.save(expected, tombstone)
    }

    /// Gives it back, so that the next one need not wait. That it is not ours any more is no error.
    ///
    /// # Errors
    /// When the store cannot be reached: the lease ends when its time is over.
    fn release(&self) -> StoreFuture<'_, ()>;
}

/// What came of a compare-and-swap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "after a conflict nothing is stored"]
#[allow(clippy::exhaustive_enums, reason = "complete by definition: it was swapped or it was not")]
pub enum Swap {
    /// It is stored now.
    Done,
    /// Something else is stored than was expected. Nothing has changed.
    Conflict,
}

macro_rules! forward_store {
    ($pointer:ident) => {
        impl<S: TokenStore + ?Sized> TokenStore for $pointer<S> {
            fn load(&self) -> StoreFuture<'_, Option<Stored>> {
                (**self).load()
            }
            fn try_lease(&self, above: Option<FencingToken>) -> StoreFuture<'_, Option<Box<dyn Lease>>> {
                (**self).try_lease(above)
            }
            fn changed(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
                (**self).changed()
            }
        }
    };
}

forward_store!(Arc);
forward_store!(Box);

const _: fn(&dyn TokenStore, &dyn Lease) = |_, _| {};
