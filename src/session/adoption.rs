//! What a store holds becomes what the session knows.

use std::{sync::Arc, time::SystemTime};

use bytes::Bytes;
use http::Request;

use crate::{
    provider::{Context, Grant, Provider},
    session::{Event, Session, Snapshot, failure::Failed, flight::Flight, sync::Unsaved},
    store::{StoreError, StoreErrorKind},
    token::{LoginMark, Stored, TokenSet},
};

/// What came of a look into the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Looked {
    /// Another token set, or a sign-out, which is in place now.
    Another,
    /// Nothing that changes what requests carry.
    Nothing,
}

impl<P: Provider> Session<P> {
    /// Takes over what is stored, if it is not what this session knows already. `flight` is the one that looks; without
    /// one it is the watcher, which leaves a session alone in which one is under way. `seen` is what was known before the
    /// look: if that has changed since, so may have what is stored.
    pub(super) fn take_over(
        &self,
        seen: &Snapshot,
        stored: Option<&Stored>,
        flight: Option<&Flight>,
    ) -> Result<Looked, Failed> {
        let Some(stored) = stored.filter(|stored| !seen.sync.is_newer_than(stored)) else { return Ok(Looked::Nothing) };
        let login_refused =
            stored.login_refused.is_some() && self.login().is_some_and(|login| self.is_refused(Some(stored), &login));
        if seen.sync.comes_first() || seen.has_seen(stored, login_refused) {
            return Ok(Looked::Nothing);
        }
        let issued = match &stored.token {
            Some(token) => Some(
                self.issue(token.clone(), self.policy().roll(), self.now_in(seen)).map(Arc::new).map_err(|_| {
                    let what = "the store holds a token that no request can carry";
                    Failed::from(StoreError::new(StoreErrorKind::Damaged, what))
                })?,
            ),
            None => None,
        };
        let is_another = self.transition(|state| {
            let is_ours = match (&state.flight, flight) {
                (Some(flying), Some(flight)) => flying.is(flight),
                (None, None) => true,
                _ => false,
            };
            if !is_ours || state.sync.comes_first() || state.sync.version != seen.sync.version {
                return (false, None);
            }
            let event = state.adopt(stored, issued, login_refused);
            (event.is_some(), event)
        });
        if is_another {
            tracing::info!(generation = stored.generation.get(), "another process has changed the token set");
        }
        Ok(if is_another { Looked::Another } else { Looked::Nothing })
    }

    /// Puts the token set in place that the session was given to begin with, if nobody has brought another. The store
    /// does not hold it yet.
    pub(super) fn begin(&self, flight: &Flight) -> bool {
        let Some(initial) = self.current().sync.initial.clone() else { return false };
        // It was tried when the session was built.
        let Ok(issued) = self.issue(TokenSet::clone(&initial), self.policy().roll(), self.now()) else { return false };
        self.transition(|state| {
            let is_first = state.token.is_none() && state.flight.as_ref().is_some_and(|flying| flying.is(flight));
            if state.sync.initial.take().is_none() || !is_first {
                return (false, None);
            }
            let flight = state.flight.take();
            state.install(Arc::new(issued));
            state.flight = flight;
            state.sync.unsaved = Some(Unsaved::Initial);
            (true, Some(Event::TokenChanged { generation: state.generation }))
        })
    }

    /// The provider's request for a login, as it always is: for one time, and without chance.
    pub(super) fn login(&self) -> Option<Request<Bytes>> {
        self.0.provider.request(Grant::Login, &Context::new(SystemTime::UNIX_EPOCH, 0)).ok()
    }

    /// Whether the store says that this login was refused.
    pub(super) fn is_refused(&self, stored: Option<&Stored>, login: &Request<Bytes>) -> bool {
        let mark = stored.and_then(|stored| stored.login_refused.as_ref());
        mark.is_some_and(|mark| mark.is_of(self.0.provider.name(), login))
    }

    /// What is noted of our login once it is refused; `None` where there is none, or the store says so already, or was told.
    pub(super) fn mark_login(&self, state: &Snapshot, stored: Option<&Stored>) -> Option<LoginMark> {
        if !state.login_refused || (state.sync.login_told && stored.is_some()) {
            return None;
        }
        let login = self.login().filter(|login| !self.is_refused(stored, login))?;
        Some(LoginMark::new(self.0.provider.name(), &login, std::array::from_fn(|_| fastrand::u8(..))))
    }
}
