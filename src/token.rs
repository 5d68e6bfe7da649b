//! What a provider grants: a set of tokens, when it ends, and the number that tells one set from the next.

mod stored;

use std::{fmt, sync::Arc, time::SystemTime};

use serde_json::{Map, Value};

/// A string that is wiped on drop, prints as `[REDACTED]`, and is exposed only by name: by [`ExposeSecret`].
pub use secrecy::{ExposeSecret, SecretString};
pub use stored::{LoginMark, Stored, StoredError};

/// One granted set of tokens, the same type for every provider.
///
/// Times are true (server) times. What the provider did not say stays absent: an unknown expiry is
/// neither "never" nor "already".
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use tower_auth_refresh::token::{Expiry, TokenSet};
///
/// let token = TokenSet::new("access")
///     .with_refresh_token("refresh")
///     .with_expiry(Expiry::At(SystemTime::now() + Duration::from_secs(7200)));
/// assert!(!format!("{token:?}").contains("refresh\""));
/// ```
#[derive(Clone)]
pub struct TokenSet {
    access_token: SecretString,
    refresh_token: Option<SecretString>,
    signing_key: Option<SecretString>,
    issued_at: Option<SystemTime>,
    expiry: Expiry,
    refresh_at: Option<SystemTime>,
    refresh_expires_at: Option<SystemTime>,
    extra: Arc<Map<String, Value>>,
}

/// When an access token ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "complete by definition: unknown, never, or a time")]
pub enum Expiry {
    /// The provider did not say: the token is used until it is rejected.
    #[default]
    Unknown,
    /// The provider said that it does not end: likewise used until it is rejected.
    Never,
    /// It ends at this time. A time that has passed means "already expired".
    At(SystemTime),
}

/// The number of a token set within its session, another one with each change.
///
/// Compared for equality only: a larger number does not mean a newer set once a store is shared. It is any `u64`, so a database
/// whose integers have a sign keeps it as `NUMERIC`, as text, or as its bits.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Generation {
    number: u64,
    /// Two processes may give the same number to two token sets when one of them could not reach the store. The one that
    /// loses tells the two apart by this, which no store keeps.
    edition: u32,
}

/// A number that a store draws for each lease, always a larger one: by it a store knows an old holder from a new one
/// ([fencing token](https://martin.kleppmann.com/2016/02/08/how-to-do-distributed-locking.html)). It is any `u64`, and compared by
/// size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FencingToken(u64);

/// Which state of a store something is: the number of its token set, who wrote it, and how often before.
///
/// Compared for equality: another version is another state, whether its number is larger or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_structs, reason = "complete by definition: what was written, and by whom")]
pub struct Version {
    /// The number of the token set.
    pub generation: Generation,
    /// The fencing token of its writer; `None` where no lease was held.
    pub fence: Option<FencingToken>,
    /// How often its writer had written under that lease before: what it knows of a token set changes while it holds one.
    pub revision: u64,
}

// ===== impl TokenSet =====

impl TokenSet {
    /// Whether both are the same grant: times and vendor fields may have been written differently.
    pub(crate) fn has_tokens_of(&self, other: &Self) -> bool {
        self.tokens() == other.tokens()
    }

    #[allow(clippy::disallowed_methods, reason = "compared with what a store holds")]
    fn tokens(&self) -> (&str, Option<&str>) {
        (self.access_token.expose_secret(), self.refresh_token.as_ref().map(|token| token.expose_secret()))
    }

    /// A set of nothing but an access token whose expiry is unknown.
    pub fn new(access_token: impl Into<SecretString>) -> Self {
        Self {
            access_token: access_token.into(),
            refresh_token: None,
            signing_key: None,
            issued_at: None,
            expiry: Expiry::Unknown,
            refresh_at: None,
            refresh_expires_at: None,
            extra: Arc::default(),
        }
    }

    /// Adds the token that buys the next set. An empty one is none: it could neither be sent nor stored.
    #[must_use]
    pub fn with_refresh_token(mut self, token: impl Into<SecretString>) -> Self {
        self.refresh_token = not_empty(token.into());
        self
    }

    /// Adds the key that signs requests, for schemes that sign each of them. An empty one is none.
    #[must_use]
    pub fn with_signing_key(mut self, key: impl Into<SecretString>) -> Self {
        self.signing_key = not_empty(key.into());
        self
    }

    /// Sets when the access token ends.
    #[must_use]
    pub fn with_expiry(mut self, expiry: Expiry) -> Self {
        self.expiry = expiry;
        self
    }

    /// Sets when the set was granted. Without it the time at which a session takes the set counts,
    /// and a set taken over late has a shorter lifetime to compute margins from.
    #[must_use]
    pub fn with_issued_at(mut self, at: SystemTime) -> Self {
        self.issued_at = Some(at);
        self
    }

    /// Sets when the provider wants to be asked for the next set. It replaces the computed soft point.
    #[must_use]
    pub fn with_refresh_at(mut self, at: SystemTime) -> Self {
        self.refresh_at = Some(at);
        self
    }

    /// Sets when the refresh token ends.
    #[must_use]
    pub fn with_refresh_expires_at(mut self, at: SystemTime) -> Self {
        self.refresh_expires_at = Some(at);
        self
    }

    /// Keeps a vendor's field, for callers that want to read it.
    #[must_use]
    pub fn with_extra(mut self, name: impl Into<String>, value: Value) -> Self {
        Arc::make_mut(&mut self.extra).insert(name.into(), value);
        self
    }

    /// The token that requests carry.
    #[must_use]
    pub fn access_token(&self) -> &SecretString {
        &self.access_token
    }

    /// The token that buys the next set.
    #[must_use]
    pub fn refresh_token(&self) -> Option<&SecretString> {
        self.refresh_token.as_ref()
    }

    /// The key that signs requests.
    #[must_use]
    pub fn signing_key(&self) -> Option<&SecretString> {
        self.signing_key.as_ref()
    }

    /// When the access token ends.
    #[must_use]
    pub fn expiry(&self) -> Expiry {
        self.expiry
    }

    /// When the set was granted.
    #[must_use]
    pub fn issued_at(&self) -> Option<SystemTime> {
        self.issued_at
    }

    /// When the provider wants to be asked for the next set.
    #[must_use]
    pub fn refresh_at(&self) -> Option<SystemTime> {
        self.refresh_at
    }

    /// When the refresh token ends.
    #[must_use]
    pub fn refresh_expires_at(&self) -> Option<SystemTime> {
        self.refresh_expires_at
    }

    /// The vendor's own fields. Their values may be personal; `Debug` prints their names only.
    #[must_use]
    pub fn extra(&self) -> &Map<String, Value> {
        &self.extra
    }
}

#[allow(clippy::disallowed_methods, reason = "no more than its length is looked at")]
fn not_empty(secret: SecretString) -> Option<SecretString> {
    (!secret.expose_secret().is_empty()).then_some(secret)
}

impl fmt::Debug for TokenSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenSet")
            .field("access_token", &self.access_token)
            .field("refresh_token", &self.refresh_token)
            .field("signing_key", &self.signing_key)
            .field("issued_at", &self.issued_at)
            .field("expiry", &self.expiry)
            .field("refresh_at", &self.refresh_at)
            .field("refresh_expires_at", &self.refresh_expires_at)
            .field("extra", &self.extra.keys().collect::<Vec<_>>())
            .finish()
    }
}

// ===== impl Expiry =====

impl Expiry {
    /// The time at which the token ends, where one is known.
    #[must_use]
    pub fn time(self) -> Option<SystemTime> {
        match self {
            Self::At(time) => Some(time),
            Self::Unknown | Self::Never => None,
        }
    }

    /// Whether the token has ended by `now`: at that very instant it has.
    #[must_use]
    pub fn is_expired(self, now: SystemTime) -> bool {
        self.time().is_some_and(|end| end <= now)
    }
}

// ===== impl Generation =====

impl Generation {
    pub(crate) fn next(self) -> Self {
        Self { number: self.number.wrapping_add(1), edition: 0 }
    }

    /// The next one after both.
    pub(crate) fn after(self, other: Self) -> Self {
        Self::from(self.number.max(other.number)).next()
    }

    /// The same number, for another token set than any that has had it.
    pub(crate) fn in_edition(self, edition: u32) -> Self {
        Self { edition, ..self }
    }

    /// The number itself, for logs and status pages.
    #[must_use]
    pub fn get(self) -> u64 {
        self.number
    }
}

/// A number as a store keeps it.
impl From<u64> for Generation {
    fn from(number: u64) -> Self {
        Self { number, edition: 0 }
    }
}

/// As it is stored.
impl fmt::Debug for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Generation").field(&self.number).finish()
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.number.fmt(f)
    }
}

// ===== impl FencingToken =====

impl FencingToken {
    /// The number itself, for stores and logs.
    #[must_use]
    pub fn get(self) -> u64 {
        self.0
    }
}

/// A number that a store has drawn.
impl From<u64> for FencingToken {
    fn from(number: u64) -> Self {
        Self(number)
    }
}

impl fmt::Display for FencingToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
