//! How a flight failed, as everybody who waited for it sees it.

use std::{
    error::Error as StdError,
    fmt,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use crate::{error::ErrorKind, provider::ProviderError, store::StoreError, transport::TransportError};

/// The outcome of a failed flight, shared by everybody who waited for it.
///
/// When a request was rejected and the refresh failed, the rejected answer is handed back with this in its
/// [extensions](http::Response::extensions).
#[derive(Clone)]
pub struct RefreshFailure(Arc<FailureInner>);

struct FailureInner {
    kind: ErrorKind,
    class: FailureClass,
    retry_at: Option<SystemTime>,
    source: Option<FailureSource>,
}

/// What a failure means for the next login or refresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FailureClass {
    /// It may pass. The next try is due after a backoff, or when the server's `Retry-After` says.
    Transient,
    /// The same, and the single-use refresh token may have been spent: no whole answer came, or one that leaves it open.
    /// The next try logs in where the provider can; where it cannot, it sends the refresh token once more.
    UnknownFate,
    /// It holds for this token set, and for this login: nothing is tried again until
    /// [`set`](crate::Session::set) or [`sign_in`](crate::Session::sign_in).
    Permanent,
    /// The fault is on this side: a setting, a clock, the runtime, or a panic. Tried again after a backoff, which cures
    /// it only if something here changes.
    Fault,
}

#[derive(Clone, Debug)]
pub(crate) enum FailureSource {
    Provider(ProviderError),
    Transport(TransportError),
    Store(StoreError),
}

const YEAR_10000: Duration = Duration::from_secs(253_402_300_800);

impl RefreshFailure {
    /// A failure that is what its kind says, and has no cause.
    pub(crate) fn of_kind(kind: ErrorKind, retry_at: Option<SystemTime>) -> Self {
        Self::new(kind, FailureClass::of(kind), retry_at, None)
    }

    pub(crate) fn new(
        kind: ErrorKind,
        class: FailureClass,
        retry_at: Option<SystemTime>,
        source: Option<FailureSource>,
    ) -> Self {
        Self(Arc::new(FailureInner { kind, class, retry_at, source }))
    }

    /// What went wrong.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// What it means for the next login or refresh.
    #[must_use]
    pub fn class(&self) -> FailureClass {
        self.0.class
    }

    /// When the next login or refresh is due, by this machine's clock. `None`: not before somebody signs in, or at once.
    #[must_use]
    pub fn retry_at(&self) -> Option<SystemTime> {
        self.0.retry_at
    }
}

impl FailureClass {
    /// What a kind means by itself.
    pub(crate) fn of(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::Refused | ErrorKind::SignInRequired | ErrorKind::SignedOut => Self::Permanent,
            ErrorKind::Fault | ErrorKind::PlainHttp | ErrorKind::NoRuntime | ErrorKind::Aborted => Self::Fault,
            _ => Self::Transient,
        }
    }
}

impl StdError for RefreshFailure {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self.0.source.as_ref()? {
            FailureSource::Provider(error) => Some(error),
            FailureSource::Transport(error) => Some(error),
            FailureSource::Store(error) => Some(error),
        }
    }
}

impl fmt::Display for RefreshFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kind().fmt(f)?;
        // HTTP dates end with the year 9999 and begin with 1970; a clock that is that wrong still has to be reported.
        let is_date = |at: &SystemTime| at.duration_since(UNIX_EPOCH).is_ok_and(|since| since < YEAR_10000);
        match self.retry_at().filter(is_date) {
            Some(at) => write!(f, ", next try after {}", httpdate::fmt_http_date(at)),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for RefreshFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RefreshFailure")
            .field("kind", &self.0.kind)
            .field("class", &self.0.class)
            .field("retry_at", &self.0.retry_at)
            .field("source", &self.0.source)
            .finish()
    }
}
