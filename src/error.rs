//! One error for everything that the layer and the session can say.

mod failure;

pub(crate) use failure::FailureSource;
pub use failure::{FailureClass, RefreshFailure};

use std::{error::Error as StdError, fmt, time::SystemTime};

use crate::provider::ProviderError;

/// Any error, as tower passes them on.
pub type BoxError = Box<dyn StdError + Send + Sync>;

/// Why a request has no answer, or a session no token.
///
/// Its message is one fixed phrase; the cause is its [`source`](StdError::source). An error of the wrapped service is
/// the source unchanged and can be had back with [`downcast`](Self::downcast), with one exception: where the credential
/// travels in the query and the error, or a cause of it, prints that query, another one without any text takes its place.
/// (With the feature `reqwest` an error of reqwest loses its URL instead, and keeps all else.)
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    cause: Option<Cause>,
}

enum Cause {
    Service(BoxError),
    Refresh(RefreshFailure),
    Provider(ProviderError),
    Text(&'static str),
}

/// What went wrong, and with it what the session does about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The wrapped service failed. The error is passed on and causes neither refresh nor replay.
    Service,
    /// The token endpoint refused to refresh or to log in. Remembered: it is not asked again with the same token set
    /// or login until [`set`](crate::Session::set) or [`sign_in`](crate::Session::sign_in).
    Refused,
    /// There is nothing left to ask the token endpoint for: somebody must sign in.
    SignInRequired,
    /// The application signed out, here or in another process that shares the store. Nothing is sent until `set` or `sign_in`.
    SignedOut,
    /// The token endpoint could not be reached, or the connection broke. Tried again after a backoff.
    Transport,
    /// The flight reached its deadline. Tried again after a backoff.
    TimedOut,
    /// The token endpoint answered 5xx, 408, 425 or 429, or failed in its own words. Tried again after a backoff, or when
    /// `Retry-After` says.
    Unavailable,
    /// The token endpoint's answer cannot be read or used. Tried again after a backoff.
    Malformed,
    /// The store of the token set cannot be used, and without it nothing is fetched. Tried again after a backoff.
    Store,
    /// No request can carry the token that the application brought. Nothing has changed.
    InvalidToken,
    /// The refresh guard is up: too many flights in too short a time.
    TooManyRefreshes,
    /// The flight ended without an outcome: a panic, an aborted task, or a runtime that shut down. The next request
    /// starts another one.
    Aborted,
    /// A login or refresh was due, and the future was polled outside a tokio runtime, or on one without a timer.
    NoRuntime,
    /// Something on this side is wrong: a setting, a clock, or a request that cannot be signed.
    Fault,
    /// Plain http, which nobody opted in to. Nothing was sent.
    PlainHttp,
}

// ===== impl Error =====

impl Error {
    fn new(kind: ErrorKind, cause: Option<Cause>) -> Self {
        Self(Box::new(Inner { kind, cause }))
    }

    pub(crate) fn service(error: impl Into<BoxError>) -> Self {
        Self::new(ErrorKind::Service, Some(Cause::Service(error.into())))
    }

    pub(crate) fn provider(error: ProviderError) -> Self {
        Self::new(ErrorKind::Fault, Some(Cause::Provider(error)))
    }

    pub(crate) fn invalid_token(error: ProviderError) -> Self {
        Self::new(ErrorKind::InvalidToken, Some(Cause::Provider(error)))
    }

    pub(crate) fn fault(reason: &'static str) -> Self {
        Self::new(ErrorKind::Fault, Some(Cause::Text(reason)))
    }

    pub(crate) fn plain_http(reason: &'static str) -> Self {
        Self::new(ErrorKind::PlainHttp, Some(Cause::Text(reason)))
    }

    /// What went wrong.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Whether the wrapped service failed, and not this layer.
    #[must_use]
    pub fn is_service(&self) -> bool {
        self.kind() == ErrorKind::Service
    }

    /// Whether the session has no usable token: a login or refresh failed, none may start now, or the application
    /// signed out.
    #[must_use]
    pub fn is_session(&self) -> bool {
        matches!(self.0.cause, Some(Cause::Refresh(_)))
    }

    /// Whether only a new sign-in can help.
    #[must_use]
    pub fn needs_sign_in(&self) -> bool {
        matches!(self.kind(), ErrorKind::Refused | ErrorKind::SignInRequired | ErrorKind::SignedOut)
    }

    /// What the failure means for the next login or refresh; `None` where no flight failed: for
    /// [`Service`](ErrorKind::Service), [`InvalidToken`](ErrorKind::InvalidToken), and what is wrong with a setting or a
    /// request.
    #[must_use]
    pub fn class(&self) -> Option<FailureClass> {
        match &self.0.cause {
            Some(Cause::Refresh(failure)) => Some(failure.class()),
            _ => None,
        }
    }

    /// When the next login or refresh is due, where one is.
    #[must_use]
    pub fn retry_at(&self) -> Option<SystemTime> {
        match &self.0.cause {
            Some(Cause::Refresh(failure)) => failure.retry_at(),
            _ => None,
        }
    }

    /// Puts another error in the place of the wrapped service's own.
    pub(crate) fn map_service(mut self, map: impl FnOnce(BoxError) -> BoxError) -> Self {
        self.0.cause = match self.0.cause.take() {
            Some(Cause::Service(error)) => Some(Cause::Service(map(error))),
            cause => cause,
        };
        self
    }

    /// The wrapped service's own error, whatever its type; `self` when it is not the wrapped service's.
    #[cfg(feature = "tonic")]
    pub(crate) fn into_service(mut self) -> Result<BoxError, Self> {
        match self.0.cause.take() {
            Some(Cause::Service(error)) => Ok(error),
            cause => {
                self.0.cause = cause;
                Err(self)
            }
        }
    }

    /// The wrapped service's own error.
    ///
    /// # Errors
    /// `self`, when it is not the wrapped service's error or not of type `E`.
    pub fn downcast<E: StdError + 'static>(mut self) -> Result<Box<E>, Self> {
        match self.0.cause.take() {
            Some(Cause::Service(error)) => error.downcast().map_err(|error| {
                self.0.cause = Some(Cause::Service(error));
                self
            }),
            cause => {
                self.0.cause = cause;
                Err(self)
            }
        }
    }
}

impl From<RefreshFailure> for Error {
    fn from(failure: RefreshFailure) -> Self {
        Self::new(failure.kind(), Some(Cause::Refresh(failure)))
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self.0.cause.as_ref()? {
            Cause::Service(error) => Some(&**error),
            Cause::Refresh(failure) => failure.source(),
            Cause::Provider(error) => Some(error),
            Cause::Text(_) => None,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.cause {
            Some(Cause::Refresh(failure)) => failure.fmt(f),
            Some(Cause::Text(reason)) => write!(f, "{}: {reason}", self.kind()),
            _ => self.kind().fmt(f),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Error");
        debug.field("kind", &self.0.kind);
        match &self.0.cause {
            Some(Cause::Service(error)) => debug.field("source", error),
            Some(Cause::Refresh(failure)) => debug.field("source", failure),
            Some(Cause::Provider(error)) => debug.field("source", error),
            Some(Cause::Text(reason)) => debug.field("reason", reason),
            None => &mut debug,
        };
        debug.finish()
    }
}

// ===== impl ErrorKind =====

impl ErrorKind {
    /// Whether the token endpoint or the store is out of order: it may be back in a moment, and has refused nothing.
    pub(crate) fn is_outage(self) -> bool {
        matches!(self, Self::Transport | Self::TimedOut | Self::Unavailable | Self::Malformed | Self::Store)
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Service => "the wrapped service failed",
            Self::Refused => "the token endpoint refused",
            Self::SignInRequired => "somebody must sign in",
            Self::SignedOut => "the session is signed out",
            Self::Transport => "the token endpoint cannot be reached",
            Self::TimedOut => "the token endpoint did not answer in time",
            Self::Unavailable => "the token endpoint is unavailable",
            Self::Malformed => "the token endpoint's answer cannot be used",
            Self::Store => "the token store cannot be used",
            Self::InvalidToken => "no request can carry this token",
            Self::TooManyRefreshes => "too many refreshes in too short a time",
            Self::Aborted => "the refresh was aborted",
            Self::NoRuntime => "a refresh needs a tokio runtime with its timer enabled",
            Self::Fault => "the session is misconfigured",
            Self::PlainHttp => "plain http is refused",
        })
    }
}
