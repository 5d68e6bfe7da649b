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
/// One store keeps one session: two sessions share a token if, and only if, they share the store's key or file.
///
/// # A store of your own
///
/// Anything that can compare and swap will do: a database, a secret manager. The session decides what is stored and when; a
/// store never looks into a token set. Here a mutex stands for a row of a table, and what happens under it for a transaction:
///
/// ```
/// use std::{
///     future::Future,
///     pin::Pin,
///     sync::{Arc, Mutex},
///     time::{Duration, Instant},
/// };
///
/// use tower_auth_refresh::{
///     store::{Lease, StoreError, StoreErrorKind, StoreFuture, Swap, TokenStore},
///     token::{FencingToken, Stored, Version},
/// };
///
/// const LASTS: Duration = Duration::from_millis(100); // 10 s, once it has passed the checks
/// const POLL: Duration = Duration::from_millis(10); // 1 s
///
/// #[derive(Clone, Default)]
/// struct RowStore(Arc<Mutex<Row>>);
///
/// #[derive(Default)]
/// struct Row {
///     /// In a table: its JSON form, and beside it each part of its version, to compare.
///     stored: Option<Stored>,
///     /// The last fencing token that was drawn.
///     drawn: u64,
///     /// Whose lease it is, and until when by the database's clock.
///     holder: Option<(FencingToken, Instant)>,
/// }
///
/// struct RowLease {
///     row: Arc<Mutex<Row>>,
///     fence: FencingToken,
/// }
///
/// impl TokenStore for RowStore {
///     fn load(&self) -> StoreFuture<'_, Option<Stored>> {
///         Box::pin(async { Ok(self.0.lock().unwrap().stored.clone()) })
///     }
///
///     fn try_lease(&self, above: Option<FencingToken>) -> StoreFuture<'_, Option<Box<dyn Lease>>> {
///         Box::pin(async move {
///             let mut row = self.0.lock().unwrap();
///             let now = Instant::now();
///             if row.holder.is_some_and(|(_, end)| now < end) {
///                 return Ok(None);
///             }
///             let written = row.stored.as_ref().and_then(|stored| stored.fence);
///             let known = [written, above].into_iter().flatten().map(FencingToken::get);
///             row.drawn = known.fold(row.drawn, u64::max) + 1;
///             let fence = FencingToken::from(row.drawn);
///             row.holder = Some((fence, now + LASTS));
///             Ok(Some(Box::new(RowLease { row: Arc::clone(&self.0), fence }) as Box<dyn Lease>))
///         })
///     }
///
///     /// Whoever waits looks again after each poll. A database that can notify is faster.
///     fn changed(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
///         Box::pin(async { tokio::time::sleep(POLL).await })
///     }
/// }
///
/// impl Lease for RowLease {
///     fn fence(&self) -> FencingToken {
///         self.fence
///     }
///
///     fn lasts(&self) -> Option<Duration> {
///         Some(LASTS)
///     }
///
///     fn renew(&self) -> StoreFuture<'_, ()> {
///         Box::pin(async {
///             let mut row = self.row.lock().unwrap();
///             match &mut row.holder {
///                 Some((holder, end)) if *holder == self.fence => *end = Instant::now() + LASTS,
///                 _ => return Err(StoreError::new(StoreErrorKind::Lost, "the lease of the row is lost")),
///             }
///             Ok(())
///         })
///     }
///
///     /// `UPDATE … WHERE` the version is `expected` and the fencing token is no larger than ours. Where `expected` is `None`:
///     /// `INSERT … ON CONFLICT DO NOTHING`. A conflict is that no row was changed.
///     fn save<'a>(&'a self, expected: Option<Version>, stored: &'a Stored) -> StoreFuture<'a, Swap> {
///         Box::pin(async move {
///             let mut row = self.row.lock().unwrap();
///             let found = row.stored.as_ref().map(Stored::version);
///             if found != expected || found.and_then(|found| found.fence) > Some(self.fence) {
///                 return Ok(Swap::Conflict);
///             }
///             row.stored = Some(stored.clone());
///             Ok(Swap::Done)
///         })
///     }
///
///     fn release(&self) -> StoreFuture<'_, ()> {
///         Box::pin(async {
///             self.row.lock().unwrap().holder.take_if(|(holder, _)| *holder == self.fence);
///             Ok(())
///         })
///     }
/// }
///
/// // In a test, with the feature `test-util`: #[tokio::test]
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let store = RowStore::default();
/// tower_auth_refresh::test_util::store_conformance(|| store.clone(), Duration::from_secs(10)).await.unwrap();
/// # }
/// ```
///
/// - **Numbers** are any `u64`, also where an integer of the database has a sign: keep them as `NUMERIC`, as text, or as the bits
///   of an `i64`. Generations are compared for equality only. Fencing tokens are compared by size as well, so neither text nor
///   bits will do for them, unless they are compared outside of the database.
/// - **A call may be dropped** at any await point: its [time](crate::session::RefreshPolicy::store_timeout) is over, or nobody needs
///   it any more. What it was about to do is then done or not done, and never half: a transaction is rolled back. A panic counts
///   as a failure.
/// - **`expected: None`** means that nothing is stored, and not that anything may be.
/// - **[`lasts`](Lease::lasts) is `None`** for a lock that ends with its process and never before it, as a file's does. A lock that ends
///   with a connection (`pg_advisory_lock`) is none: its holder can outlive it without a word. Give it a time.
///
/// # What no store can prevent
///
/// A lease that has a time is looked at right before the token request is handed to the transport, and must have half of
/// its time left. If from then on the process is stopped, or the transport delays the request (it connects, or queues) while no
/// renewal succeeds, for longer than that half (5 s of the 10 that `RedisStore` takes by default), then another may have the
/// lease when the request leaves. That one has logged in, which does no harm; only where it cannot log in has it sent the same
/// single-use token. A lease without a time has no such gap: it stays with a process that is stopped.
pub trait TokenStore: Send + Sync + 'static {
    /// What is stored now; `None` where nothing is. No lease is needed.
    ///
    /// # Errors
    /// When the store cannot be reached, or what it holds is not a token set of ours. It is left as it is then.
    fn load(&self) -> StoreFuture<'_, Option<Stored>>;

    /// Takes the exclusive right to change what is stored, without waiting: `None` while another holds it.
    ///
    /// The lease and its fencing token come together, in one step. The fencing token is larger than any that the store has
    /// drawn, than that of what is stored, and than `above`, the largest that the session has seen: a store that has lost its
    /// memory must not start anew.
    ///
    /// # Errors
    /// When the store cannot be reached or written to.
    fn try_lease(&self, above: Option<FencingToken>) -> StoreFuture<'_, Option<Box<dyn Lease>>>;

    /// Waits until what is stored may have changed since the call, or a lease may have ended that this handle was refused. To
    /// be woken for nothing is fine. A session that is not woken learns of a change with its next flight.
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
