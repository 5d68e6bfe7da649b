//! What can be set, each with its default and its range.

use std::{ops::RangeInclusive, sync::Arc, time::Duration};

use secrecy::zeroize::Zeroize;

use super::{RedisStore, StoreError, connection::Connection, encryption::Cipher, invalid, keys};

#[derive(Clone, Debug)]
pub(super) struct Options {
    pub(super) prefix: Arc<str>,
    pub(super) lease: Duration,
    pub(super) poll: Duration,
    pub(super) cipher: Option<Arc<Cipher>>,
}

/// Below it a slow network is taken for a dead one, and beyond it a mistake of units is more likely.
const TIMES: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(60 * 60);

impl Default for Options {
    fn default() -> Self {
        Self {
            prefix: "tower-auth-refresh".into(),
            lease: Duration::from_secs(10),
            poll: Duration::from_secs(5),
            cipher: None,
        }
    }
}

/// Options. A store that is made by [`another`](Self::another) has those of its origin.
impl RedisStore {
    /// What the keys begin with. Default: `tower-auth-refresh`.
    ///
    /// # Errors
    /// When it is empty, or has braces or control characters in it.
    pub fn prefix(self, prefix: &str) -> Result<Self, StoreError> {
        if !keys::is_prefix(prefix) {
            return Err(invalid("prefix must not be empty, and have no braces and no control characters"));
        }
        let options = Options { prefix: prefix.into(), ..self.options };
        Self::on(self.connection, options, &self.keys.name)
    }

    /// How long a lease holds without being renewed: after that time at the latest, somebody else takes the place of a
    /// process that was killed. A session renews it every third of that time. Three times
    /// [`store_timeout`](crate::session::RefreshPolicy::store_timeout) or more, so that one slow call does not cost it; the same on
    /// every host. Default: 10 s.
    ///
    /// # Errors
    /// When it is shorter than 100 ms or longer than an hour.
    pub fn lease(mut self, lasts: Duration) -> Result<Self, StoreError> {
        self.options.lease = in_range(lasts, "lease must be from 100 ms to an hour")?;
        Ok(self)
    }

    /// How often a session that waits for a change looks by itself, in case it was not told of it. Default: 5 s.
    ///
    /// # Errors
    /// When it is shorter than 100 ms or longer than an hour.
    pub fn poll(mut self, interval: Duration) -> Result<Self, StoreError> {
        self.options.poll = in_range(interval, "poll must be from 100 ms to an hour")?;
        Ok(self)
    }

    /// Certificate authorities in PEM, one or more, that take the place of the machine's: for a server whose certificate is
    /// your own. Default: the machine's.
    ///
    /// # Errors
    /// When the URL is not `rediss://`, or there is no certificate in it.
    pub fn root_certificates(self, pem: &[u8]) -> Result<Self, StoreError> {
        let server = self.connection.server().with_roots(pem);
        let server = server.ok_or_else(|| invalid("root_certificates must be PEM, and the URL rediss://"))?;
        Self::on(Connection::to(server), self.options, &self.keys.name)
    }

    /// Encrypts what is stored. What stands there in the clear, or was encrypted with another key, is an error, and is left
    /// as it is: to begin with encryption use another [`prefix`](Self::prefix), and give what was stored to
    /// [`SessionBuilder::token`](crate::session::SessionBuilder::token). The key must be random, and the same on every host; what
    /// is kept of it here is wiped. Default: not encrypted.
    #[must_use]
    pub fn encryption_key(mut self, mut key: [u8; 32]) -> Self {
        self.options.cipher = Some(Arc::new(Cipher::new(&[&key])));
        key.zeroize();
        self
    }

    /// The same while keys are changed: `key` encrypts, and what `older` has encrypted can still be read. First give every
    /// host `(old, new)`, then `(new, old)`, and when all is written anew `new` alone.
    #[must_use]
    pub fn encryption_keys(mut self, mut key: [u8; 32], mut older: [u8; 32]) -> Self {
        self.options.cipher = Some(Arc::new(Cipher::new(&[&key, &older])));
        key.zeroize();
        older.zeroize();
        self
    }
}

fn in_range(time: Duration, otherwise: &'static str) -> Result<Duration, StoreError> {
    if TIMES.contains(&time) { Ok(time) } else { Err(invalid(otherwise)) }
}
