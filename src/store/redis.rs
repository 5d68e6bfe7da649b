//! What many hosts share: a Redis or Valkey server.

mod channel;
mod connection;
mod encryption;
mod failure;
mod keys;
mod lease;
mod lifetime;
mod options;
mod scripts;
mod server;
mod value;

use std::{
    fmt,
    future::{Future, pending},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use redis::{FromRedisValue, ScriptInvocation};

use self::{
    channel::Channel,
    connection::{Connection, Live},
    keys::Keys,
    lease::{RedisLease, Unclaimed, milliseconds},
    options::Options,
    server::Server,
};
use super::{Lease, StoreError, StoreErrorKind, StoreFuture, TokenStore};
use crate::{
    rt::{self, NotInTime},
    token::{FencingToken, Stored},
};

/// One session's token set on a Redis server, for any number of processes on any number of hosts.
///
/// ```
/// use std::time::Duration;
/// use tower_auth_refresh::store::RedisStore;
///
/// # fn main() -> Result<(), tower_auth_refresh::store::StoreError> {
/// let key = [7; 32]; // from a secret manager
/// let store = RedisStore::new("rediss://app:password@redis.example.com:6380", "service-account")?
///     .lease(Duration::from_secs(10))?
///     .encryption_key(key);
/// // One session per user: all of them share the connection.
/// let ann = store.another("user-1")?;
/// # let _ = ann;
/// # Ok(())
/// # }
/// ```
///
/// Nothing is connected until the first call. From then on there is one connection for a store, its clones, and all that are
/// made by [`another`](Self::another), and commands do not wait for one another on it. A call that is dropped costs nothing; a
/// connection that breaks, that brings no answer for 2 s, or whose server turns out to be a replica is made anew by the
/// next call.
///
/// No call takes longer than 2 s: a [`store_timeout`](crate::session::RefreshPolicy::store_timeout) above that gives it no more,
/// and one below it only ends the wait.
///
/// # The server
///
/// | what | needed | otherwise |
/// |---|---|---|
/// | version | Redis 7 or later. Valkey, a fork of Redis 7.2, is not tested | before 7 a script's errors have no code, by which a replica is known |
/// | place | one server, or a primary with replicas behind one address: a proxy, a virtual address, a name | redirections of a cluster are not followed, and Sentinel is not asked. A session's keys share a hash tag |
/// | `maxmemory-policy` | `noeviction`. A full server grants no lease, and still takes what was granted under one | an evicted token set is a lost one |
/// | persistence | `appendonly yes`; `appendfsync always`, or the last second may be lost | a restart forgets everything, as `FLUSHALL` does: see below |
/// | clock | does not jump. It need not agree with that of any host | a leap forward ends leases early: two processes may hold one |
/// | user | see below | `NOPERM` |
///
/// | key, all behind `<prefix>:{<name>}` | holds | until |
/// |---|---|---|
/// | `:token` | a hash: `generation`, `fence` (empty: none), `revision` (absent: 0), and as `value` the [stored form](Stored) | see below |
/// | `:lease` | who holds the lease, and its fencing token | the lease's time is over |
/// | `:fence` | the last fencing token | 30 days after it was drawn |
///
/// On the channel `:changed` the generation is told after each change, and nothing else.
///
/// A token set is kept for a day after the end of its refresh token, or of its access token if it has no other; where that
/// end is not known, and where a refused login is remembered with it, for ever. A tombstone is kept for 30 days: a process
/// that starts after that finds nothing, and signs in if it can.
///
/// What a user needs to be allowed, to be pasted into `redis-cli` with a password of yours, where `tower-auth-refresh` is the
/// [prefix](Self::prefix) (`select` is for a URL with a database):
///
/// ```text
/// ACL SETUSER app on >password ~tower-auth-refresh:* &tower-auth-refresh:* +evalsha +script|load +select +hgetall +hmget +hget +hset +exists +del +get +set +incr +pttl +pexpire +pexpireat +time +publish +subscribe +unsubscribe
/// ```
///
/// # What cannot be fenced
///
/// A session looks at its lease on its own clocks right before it hands a request to its transport, and keeps half of the lease
/// in reserve. If the process is stopped after that look, or **the transport takes its time** (it connects, or queues) **while
/// renewals fail**, for longer than half of the lease, it sends a refresh token that another process, by then the
/// holder of the lease, may send as well. That one has found the mark of the first: it logs in where it can, which
/// harms nothing; where it cannot, the token is presented twice. That no server can prevent; a longer [lease](Self::lease)
/// makes it rarer, and a process that is killed is replaced later.
///
/// A `try_lease` whose answer is lost (its process or runtime ends, the connection breaks, 2 s go by) may have been granted. Nobody
/// knows of that lease, and the others wait until its time is over. One that is dropped gives back what it is granted.
///
/// # What a failover can lose
///
/// Replicas follow a little behind, and a disk does too: the writes of the last moment may be gone, although they were
/// confirmed. `WAIT` would make that rarer and not impossible, and is not used. What that means depends on what is lost:
///
/// - **a lease**: a second process may take it while the first one still holds it. The first one's next renewal says
///   [`Lost`](StoreErrorKind::Lost), if it comes to the new primary; whichever writes second finds another version, and does not
///   overwrite it. Both may have asked the token endpoint.
/// - **the mark that a refresh token is being spent**: whoever reads the set takes the token for unspent, and may send it a
///   second time. Some servers revoke everything then, and only a login helps.
/// - **a new token set**: the one before it is there again, with its mark. It counts as being in doubt: the session logs in
///   where the provider can, and otherwise sends the refresh token once more. Processes that had read the new set use it
///   until then.
/// - **a tombstone**: the set before it is there again, for processes that did not see the sign-out.
///
/// **A split brain is worse.** A primary that is cut off from its replicas, and not from all of its clients, goes on answering
/// these: they renew, write and refresh there, the others on the promoted replica, and neither side finds out before the
/// partition ends and one side's writes are thrown away. `min-replicas-to-write 1` with `min-replicas-max-lag` bounds that: the
/// primary that is cut off takes no more writes after that time, nor grants or renews a lease.
///
/// A fencing token is larger than the time of the server that draws it, than what is stored there, and than any that the
/// asking session has seen. So a failover cannot make an old writer look new, unless the last token drawn is lost **and** the new
/// server's clock is behind that of the old one by more than has passed since it was drawn: then two tokens may come in the
/// wrong order. It cannot leave half of a token set.
///
/// # What a server that has forgotten everything does
///
/// After `FLUSHALL`, or a restart without persistence, whoever has a token goes on with it. At the next refresh it is found
/// that the server knows less than the session does: the refresh token counts as being in doubt, as after a lost set. A process
/// that starts then finds nothing, and signs in if it can: sign-outs and refused logins that stood there alone are forgotten.
///
/// # Encryption
///
/// With an [`encryption_key`](Self::encryption_key) the value is encrypted by XChaCha20-Poly1305 and bound to its key on the
/// server, its generation and its fencing token, so that nobody who can write to the server can forge one or pass another
/// session's off. Putting back an older value of the same session cannot be told from a restored backup. Without a key the
/// server, its backups, and whoever watches a `redis://` connection see the tokens (`rediss://` is TLS), and the client's
/// buffers, which are not wiped, hold them.
pub struct RedisStore {
    connection: Arc<Connection>,
    keys: Arc<Keys>,
    channel: Arc<Channel>,
    options: Options,
    /// How many notifications there were before what was loaded last.
    seen: AtomicU64,
    /// For how many milliseconds another holds the lease, as was said last.
    held: AtomicU64,
}

/// Nobody holds the lease, as far as is known.
const FREE: u64 = u64::MAX;

impl RedisStore {
    /// A store for the session of this name on the server at `url`: `redis://` or, with TLS, `rediss://`, then
    /// `[user][:password@]host[:port][/database]`; or `redis+unix:///path/of/socket`. Reserved characters in user and password
    /// are percent-encoded. TLS trusts the machine's certificate authorities, or
    /// [those that are given](Self::root_certificates); a minimal image has none.
    ///
    /// **TLS is rustls, with *ring*.** The feature `redis` builds it in, whether the URL is `rediss://` or not, and the first connection
    /// with TLS installs it as the process's default, unless one is installed. An application whose own rustls has another
    /// provider (such as aws-lc-rs) then has two in its build, of which rustls takes neither by itself: it must call that one's
    /// `install_default()` as it starts, before it makes any TLS configuration, or rustls panics there; or it finds
    /// *ring* installed.
    ///
    /// Two sessions share a token set if they have the same server, database, [prefix](Self::prefix) and name. A name may
    /// hold any characters; it is seen in errors and on the server.
    ///
    /// # Errors
    /// When that is no such URL, or the name is empty. The error does not show the URL.
    pub fn new(url: &str, name: &str) -> Result<Self, StoreError> {
        let server = Server::new(url).ok_or_else(|| {
            invalid("the URL of a redis store must be redis[s]://[user][:password@]host[:port][/database]")
        })?;
        Self::on(Connection::to(server), Options::default(), name)
    }

    /// A store for another session, on the same connection and with the same options.
    ///
    /// # Errors
    /// When the name is empty.
    pub fn another(&self, name: &str) -> Result<Self, StoreError> {
        Self::on(Arc::clone(&self.connection), self.options.clone(), name)
    }

    fn on(connection: Arc<Connection>, options: Options, name: &str) -> Result<Self, StoreError> {
        if name.is_empty() {
            return Err(invalid("the name of a redis store must not be empty"));
        }
        let keys = Arc::new(Keys::new(&options.prefix, name));
        let channel = connection.channels().get(&keys.channel, &connection);
        Ok(Self { connection, keys, channel, options, seen: AtomicU64::new(0), held: AtomicU64::new(FREE) })
    }

    async fn run<T>(&self, script: ScriptInvocation<'static>, asked_for: &str) -> Result<T, StoreError>
    where
        T: FromRedisValue + Send + 'static,
    {
        let answer = self.connection.call(async move |mut live: Live| script.invoke_async(&mut live.connection).await);
        answer.await.map_err(|failure| failure.into_error(asked_for, &self.keys))
    }

    /// How long `changed` waits for a notification: until its own poll, or until the lease that is in the way has ended.
    fn longest_wait(&self) -> Duration {
        let held = self.held.swap(FREE, Ordering::Relaxed);
        self.options.poll.min(Duration::from_millis(held))
    }
}

impl TokenStore for RedisStore {
    fn load(&self) -> StoreFuture<'_, Option<Stored>> {
        Box::pin(async move {
            let seen = self.channel.count();
            let command = redis::cmd("HGETALL").arg(&self.keys.token).take();
            let fields =
                self.connection.call(async move |mut live: Live| command.query_async(&mut live.connection).await);
            let fields = fields.await.map_err(|failure| failure.into_error("read", &self.keys))?;
            let stored = value::read(fields, self.options.cipher.as_deref(), &self.keys)?;
            self.seen.store(seen, Ordering::Relaxed);
            Ok(stored)
        })
    }

    fn try_lease(&self, above: Option<FencingToken>) -> StoreFuture<'_, Option<Box<dyn Lease>>> {
        Box::pin(async move {
            let owner = format!("{:032x}", fastrand::u128(..));
            let mut script = scripts::LEASE.prepare_invoke();
            script
                .key(&self.keys.token)
                .key(&self.keys.lease)
                .key(&self.keys.fence)
                .arg(&owner)
                .arg(milliseconds(self.options.lease))
                .arg(above.map_or(0, FencingToken::get))
                .arg(milliseconds(lifetime::TOMBSTONE));
            let store = self.clone();
            let answer = self.connection.call(async move |mut live: Live| {
                let (fence, left): (String, i64) = script.invoke_async(&mut live.connection).await?;
                let lease = fence.parse::<u64>().map(|number| {
                    Unclaimed::new(RedisLease { store, holder: format!("{owner}:{fence}"), fence: number.into() })
                });
                Ok(lease.map_err(|_| left))
            });
            match answer.await.map_err(|failure| failure.into_error("lease", &self.keys))? {
                Ok(lease) => Ok(lease.claim().map(|lease| Box::new(lease) as Box<dyn Lease>)),
                Err(left) => {
                    // One without an end was not written by a store.
                    self.held.store(u64::try_from(left).unwrap_or(FREE), Ordering::Relaxed);
                    Ok(None)
                }
            }
        })
    }

    fn changed(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        let seen = self.seen.load(Ordering::Relaxed);
        Box::pin(async move {
            let notified = rt::timeout(self.longest_wait(), async {
                match self.connection.subscribe(&self.channel).await {
                    // A new subscription counts: what came before it was not heard.
                    Ok(()) => self.channel.other_than(seen).await,
                    Err(_) => pending().await,
                }
            });
            if let Err(NotInTime::NoTimer) = notified.await {
                pending().await
            }
        })
    }
}

impl Clone for RedisStore {
    fn clone(&self) -> Self {
        Self {
            connection: Arc::clone(&self.connection),
            keys: Arc::clone(&self.keys),
            channel: Arc::clone(&self.channel),
            options: self.options.clone(),
            seen: AtomicU64::new(self.seen.load(Ordering::Relaxed)),
            held: AtomicU64::new(FREE),
        }
    }
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore")
            .field("server", &self.connection.server().address())
            .field("keys", &self.keys.to_string())
            .field("options", &self.options)
            .finish()
    }
}

fn invalid(what: &'static str) -> StoreError {
    StoreError::new(StoreErrorKind::Invalid, what)
}
