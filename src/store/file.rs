//! A token set in a file, shared by the processes of one machine.

mod access;
mod lease;
mod lock;
mod place;
mod replace;
mod token_file;

use std::{
    fmt,
    future::{Future, pending},
    io,
    path::{self, Path, PathBuf},
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use self::{
    lease::FileLease,
    lock::LockFile,
    token_file::{Found, TokenFile},
};
use super::{Lease, StoreError, StoreErrorKind, StoreFuture, TokenStore};
use crate::{
    clock::{Clock, SystemClock},
    rt,
    token::{FencingToken, Stored},
};

/// Keeps a session's token set in a file, in the form of [`Stored`]. The processes of one machine can share it, with other
/// programs too.
///
/// ```
/// use std::time::Duration;
/// use tower_auth_refresh::store::FileStore;
///
/// let store = FileStore::new("/var/lib/app/token.json").poll(Duration::from_secs(5));
/// ```
///
/// # Files
///
/// | file | what it is |
/// |---|---|
/// | `token.json` | the token set. It is replaced as a whole, never changed in place |
/// | `token.json.lock` | locked by whoever holds the lease; in it the last [fencing token](FencingToken). Leave it where it is: it is made once and never deleted |
/// | `token.json.1750005400100.new` | the next token set, while the lease of that number writes it |
///
/// All are made with mode 0600. The folder must be there, and writable. Into a container mount the folder and not the file: a
/// mounted file cannot be replaced. Where `token.json` is a link, its target is replaced and the others lie beside the target. A relative
/// path counts from the folder that the process is in when the store is made.
///
/// # Who else can get at it
///
/// On Unix these are refused with [`Insecure`](StoreErrorKind::Insecure), and nothing is read or written: a folder that the
/// group or others can write to, unless it is sticky as `/tmp` is; a token or lock file that they can write to, or that
/// belongs neither to this process's user nor to root; and in a sticky folder such a link. A token file that others can read
/// is warned of once, and the next write ends that. The folders above, their owners, and access control lists are not looked
/// at.
///
/// What is not a token set, or one of a later version, is [`Damaged`](StoreErrorKind::Damaged), and so is a folder, a FIFO
/// and a file of more than 1 MiB. It is left as it is, byte for byte.
///
/// # When the process or the machine stops
///
/// | during | what is there then |
/// |---|---|
/// | the writing of the `.new` file | the old set. The next lease deletes the `.new` file; after a crash of the machine one may stay |
/// | its `fsync` | the same |
/// | the rename | the old set or the new one, whole |
/// | the `fsync` of the folder | the new set; after a crash of the machine the old or the new one, whole |
/// | later | the new set |
///
/// What an `fsync` is worth is up to the disk and the file system. On Windows the folder is not synced, so a crash of the
/// machine may bring the old set back.
///
/// # The lock
///
/// It is the operating system's (`flock` on Unix), and belongs to an open file. Two stores in one process exclude each other
/// as two processes do. It ends with the process that holds it, however that ends. A process that is **stopped** keeps it,
/// and the others wait until their own deadline. So does one that was forked from a holder that then died, until it ends or
/// runs another program.
///
/// Who deletes the lock file, or replaces it, takes the lease away from its holder. The holder finds out before it renames,
/// with [`Lost`](StoreErrorKind::Lost); only between that look and the rename two could write, and the later one stays. An
/// editor takes no lock: what it writes while a lease is held may be replaced, if that was compared just before.
///
/// On a **network file system** the lock holds as far as the system's own `flock` does: between the processes of one
/// machine mostly, between machines only where the server takes part, and not after the server has forgotten it. For
/// several machines use a store that is made for it.
pub struct FileStore {
    file: Arc<TokenFile>,
    poll: Duration,
    /// What the last load has found. [`changed`](TokenStore::changed) waits for something else.
    loaded: Mutex<Option<Found>>,
    /// A lease was asked for while another held it, so that its end is waited for.
    was_busy: AtomicBool,
}

const POLL: Duration = Duration::from_secs(1);
const SHORTEST_POLL: Duration = Duration::from_millis(10);
const LONGEST_POLL: Duration = Duration::from_secs(60 * 60);

impl FileStore {
    /// A store in the file `path`, which need not be there yet. Nothing is opened before the first call.
    pub fn new(path: impl AsRef<Path>) -> Self {
        let path = path.as_ref();
        // Without a current folder the path is kept, and the first call says what is wrong with it.
        let path = path::absolute(path).unwrap_or_else(|_| path.to_owned());
        // By its components, and so without a slash at its end: that would ask for a folder.
        let path: PathBuf = path.components().collect();
        Self {
            file: Arc::new(TokenFile::new(path)),
            poll: POLL,
            loaded: Mutex::new(None),
            was_busy: AtomicBool::new(false),
        }
    }

    /// How often [`changed`](TokenStore::changed) reads the file: every second unless told otherwise. From 10 ms to one
    /// hour; what lies outside is taken as the nearest of the two.
    ///
    /// It is for this long at most that a process does not notice what another has written.
    #[must_use]
    pub fn poll(mut self, interval: Duration) -> Self {
        self.poll = interval.clamp(SHORTEST_POLL, LONGEST_POLL);
        self
    }

    fn set_loaded(&self, found: Found) {
        *self.loaded.lock().unwrap_or_else(PoisonError::into_inner) = Some(found);
    }

    /// What is there now, and whether a lease that was waited for has ended.
    async fn look(&self) -> Result<(Found, bool), StoreError> {
        let (file, was_busy) = (Arc::clone(&self.file), self.was_busy.load(Relaxed));
        let look = move || {
            let place = file.place();
            let is_free = was_busy && place.as_ref().is_ok_and(|place| LockFile::is_free(&place.lock()));
            Ok((Found::in_content(&place.and_then(|place| file.read(&place))), is_free))
        };
        run(self.file.path(), look).await
    }
}

impl TokenStore for FileStore {
    fn load(&self) -> StoreFuture<'_, Option<Stored>> {
        Box::pin(async {
            let file = Arc::clone(&self.file);
            let load = move || {
                let content = file.place().and_then(|place| file.read(&place));
                let found = Found::in_content(&content);
                Ok((found, content.and_then(|content| content.map(|content| content.stored()).transpose())))
            };
            let (found, stored) = run(self.file.path(), load).await?;
            self.set_loaded(found);
            stored
        })
    }

    fn try_lease(&self, above: Option<FencingToken>) -> StoreFuture<'_, Option<Box<dyn Lease>>> {
        Box::pin(async move {
            let (file, now) = (Arc::clone(&self.file), SystemClock::new().now().wall);
            let lease = run(self.file.path(), move || FileLease::try_take(file, above, now)).await?;
            self.was_busy.store(lease.is_none(), Relaxed);
            Ok(lease.map(|lease| Box::new(lease) as Box<dyn Lease>))
        })
    }

    /// Reads the file now and then; see [`poll`](FileStore::poll). A change counts from the last [`load`](Self::load) on, so
    /// that none is missed in between; without a load the first call returns at once. Where a lease was refused, its end is
    /// waited for too. It never returns outside of a tokio runtime that has its timer.
    fn changed(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        let before = *self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        Box::pin(async move {
            while let Ok((found, is_free)) = self.look().await {
                if before != Some(found) {
                    // Whoever does not load after this is woken once, and not again and again.
                    self.set_loaded(found);
                    return;
                }
                if is_free {
                    self.was_busy.store(false, Relaxed);
                    return;
                }
                match rt::sleep(self.poll) {
                    Some(pause) => pause.await,
                    None => break,
                }
            }
            pending().await
        })
    }
}

impl fmt::Debug for FileStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileStore").field("path", &self.file.path()).field("poll", &self.poll).finish_non_exhaustive()
    }
}

/// Does what may wait for the disk, where it holds nobody up.
fn run<'a, T: Send + 'static>(
    path: &'a Path,
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> StoreFuture<'a, T> {
    Box::pin(async move {
        rt::blocking(work).await.unwrap_or_else(|why| {
            Err(StoreError::new(StoreErrorKind::Unavailable, format!("cannot use {}: {why}", path.display())))
        })
    })
}

fn cannot(what: &str, path: &Path, error: &io::Error) -> StoreError {
    StoreError::io(format!("cannot {what} {}", path.display()), error)
}
