//! How a session stands, and what happens to it, for people and for monitors.

use std::{fmt, time::SystemTime};

use tokio::sync::broadcast;

use crate::{
    clock::Now,
    error::{ErrorKind, RefreshFailure},
    session::{lifetime::Freshness, state::Snapshot},
    store::StoreError,
    token::Generation,
};

/// How a session stands at one moment. It holds no secret.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Status {
    /// The state, in one word.
    pub condition: Condition,
    /// The number of the current token set.
    pub generation: Generation,
    /// When the current token ends, where that is known: by the token endpoint's clock, as it was granted.
    pub expires_at: Option<SystemTime>,
    /// The last failure for the current token set.
    pub last_error: Option<ErrorKind>,
    /// Since when the session has been failing, by this machine's clock.
    pub failing_since: Option<SystemTime>,
    /// When the backoff after the last failure ends, by this machine's clock; the refresh guard may hold for longer.
    /// `None` with an error: not until somebody signs in.
    pub retry_at: Option<SystemTime>,
    /// How many flights have been started since the session was built: logins and refreshes, whatever came of them, also
    /// those that found in a store what another process had brought.
    pub flights: u64,
    /// How often rejected requests have been sent again since then.
    pub replays: u64,
    /// Whether there is something that the store does not hold yet: the token set, that the session is signed out, or what
    /// was refused. A program that ends now may lose it. It is `true` for a moment after each `set` and `sign_out`; when it
    /// stays so, the store cannot be written. Always `false` without a store.
    pub unsaved: bool,
}

/// The state of a session, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Condition {
    /// There is no token, and none is being fetched: before the first request, too, and not only after
    /// [`sign_out`](crate::Session::sign_out).
    SignedOut,
    /// The token is good.
    Fresh,
    /// The token is good, and its successor is due.
    Soft,
    /// The token is at its hard point, and may still be good, or past its end: requests wait for the next one.
    Expired,
    /// A login or refresh is in progress. It wins over the other states.
    Refreshing,
    /// The last login or refresh failed, or the API has rejected the token and none may start. The token, if there is
    /// one, is used until its end.
    Failing,
}

/// What happened to a session.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// Another token set is in place.
    TokenChanged {
        /// Its number.
        generation: Generation,
    },
    /// The application signed out, here or in another process that shares the store.
    SignedOut {
        /// The number of the state without a token set.
        generation: Generation,
    },
    /// A login or refresh failed. Its kind is [`Store`](ErrorKind::Store) where that was because a store could not be read, gave
    /// no lease, or did not take the mark that comes before a single-use refresh token is sent.
    RefreshFailed {
        /// The number of the token set that is still in place.
        generation: Generation,
        /// Why, and when the next try is due.
        failure: RefreshFailure,
    },
    /// The store could not be written: once for each try. What was to be stored counts here all the same, and the write is tried
    /// again, until there is a [`Saved`](Self::Saved). (Where it was to be used for a login or refresh, and could not, there is a
    /// [`RefreshFailed`](Self::RefreshFailed) instead.)
    StoreFailed {
        /// The number of what the store does not hold yet.
        generation: Generation,
        /// Why.
        error: StoreError,
    },
    /// What `set` or `sign_out` has changed, or a grant or a refusal that could not be stored at once, is stored by now.
    /// (Where it has given way to something newer, there is a `TokenChanged` or a `SignedOut` instead.)
    Saved {
        /// The number of what it holds.
        generation: Generation,
    },
}

/// A subscription to the events of a session.
#[derive(Debug)]
pub struct Events(broadcast::Receiver<Event>);

impl Status {
    pub(crate) fn of(state: &Snapshot, replays: u64, now: Now) -> Self {
        let freshness = state.token.as_ref().map(|issued| issued.lifetime.at(now));
        let condition = match freshness {
            _ if state.flight.is_some() => Condition::Refreshing,
            _ if state.signed_out => Condition::SignedOut,
            _ if state.failure.is_some() || state.rejected => Condition::Failing,
            None => Condition::SignedOut,
            Some(Freshness::Fresh) => Condition::Fresh,
            Some(Freshness::Soft) => Condition::Soft,
            Some(Freshness::Hard | Freshness::Expired) => Condition::Expired,
        };
        let failure = state.failure.as_ref();
        Self {
            condition,
            generation: state.generation,
            expires_at: state.token.as_ref().and_then(|issued| issued.token.expiry().time()),
            last_error: failure.map(|remembered| remembered.failure.kind()),
            failing_since: failure.map(|remembered| remembered.since),
            retry_at: failure.and_then(|remembered| remembered.failure.retry_at()),
            flights: state.flights,
            replays,
            unsaved: state.sync.unsaved.is_some(),
        }
    }
}

impl Events {
    pub(crate) fn new(receiver: broadcast::Receiver<Event>) -> Self {
        Self(receiver)
    }

    /// The next event, or `None` once the session is gone. A subscriber that falls behind by more than 64 events
    /// misses the oldest.
    pub async fn recv(&mut self) -> Option<Event> {
        loop {
            match self.0.recv().await {
                Ok(event) => return Some(event),
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SignedOut => "signed-out",
            Self::Fresh => "fresh",
            Self::Soft => "soft",
            Self::Expired => "expired",
            Self::Refreshing => "refreshing",
            Self::Failing => "failing",
        })
    }
}
