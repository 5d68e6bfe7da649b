//! What a store holds becomes what the session knows.

use std::{sync::Arc, time::SystemTime};

use bytes::Bytes;
use http::Request;

use crate::{
    provider::{Context, Grant, Provider},
    session::{Event, Session, failure::Failed, flight::Flight, sync::Unsaved},
    store::{StoreError, StoreErrorKind},
    token::{Stored, TokenSet, Version},
};

/// What came of a look into the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Looked {
    /// Another token set, or a sign-out, which is in place now.
    Another,
    /// Nothing that changes what requests carry.
    Nothing,
    /// What may be older than what this session has learned meanwhile.
    Outdated,
}

impl<P: Provider> Session<P> {
    /// Takes over what is stored, if it is not what this session knows already. `flight` is the one that looks; without
    /// one it is the watcher, which leaves a session alone in which one is under way.
    pub(super) fn take_over(&self, stored: Option<&Stored>, flight: Option<&Flight>) -> Result<Looked, Failed> {
        let known = self.current().sync.version;
        self.take_over_unless_outdated(stored, flight, known)
    }

    /// The same for a look that others may have overtaken: `known` is what the store held, as far as this session knew,
    /// before the look. What is written under one lease has one fencing token, so that it alone cannot tell.
    pub(super) fn take_over_unless_outdated(
        &self,
        stored: Option<&Stored>,
        flight: Option<&Flight>,
        known: Option<Version>,
    ) -> Result<Looked, Failed> {
        let seen = self.0.current.load_full();
        let Some(stored) = stored.filter(|stored| !seen.sync.is_newer_than(stored)) else { return Ok(Looked::Nothing) };
        let login_refused =
            stored.login_refused.is_some() && self.login().is_some_and(|login| self.is_refused(Some(stored), &login));
        if seen.sync.unsaved.is_some() || seen.has_seen(stored, login_refused) {
            return Ok(Looked::Nothing);
        }
        let issued = match &stored.token {
            Some(token) => Some(
                self.issue(token.clone(), self.policy().roll(), self.now_in(&seen)).map(Arc::new).map_err(|_| {
                    let what = "the store holds a token that no request can carry";
                    Failed::from(StoreError::new(StoreErrorKind::Damaged, what))
                })?,
            ),
            None => None,
        };
        let looked = self.transition(|state| {
            let is_ours = match (&state.flight, flight) {
                (Some(flying), Some(flight)) => flying.is(flight),
                (None, None) => true,
                _ => false,
            };
            if state.sync.version != known {
                return (Looked::Outdated, None);
            }
            if !is_ours || state.sync.unsaved.is_some() {
                return (Looked::Nothing, None);
            }
            let event = state.adopt(stored, issued, login_refused);
            (if event.is_some() { Looked::Another } else { Looked::Nothing }, event)
        });
        if looked == Looked::Another {
            tracing::info!(generation = stored.generation.get(), "another process has changed the token set");
        }
        Ok(looked)
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
}
