//! How a session's state and what its store holds agree: pure.

use std::{sync::Arc, time::SystemTime};

use crate::{
    provider::GrantKind,
    session::{
        Event,
        flight::Flight,
        state::{Issued, Snapshot},
    },
    token::{FencingToken, Stored, TokenSet, Version},
};

/// What a session knows of its store.
#[derive(Clone, Default)]
pub(crate) struct Sync {
    /// What the store held when it last agreed with this session. `None`: nothing was ever seen in it.
    pub(crate) version: Option<Version>,
    /// The largest fencing token that was seen in it.
    pub(crate) fence: Option<FencingToken>,
    /// Whether there is one at all.
    pub(crate) has_store: bool,
    /// The first and the last of the leases in a row under which a refresh token was marked and not sent. A mark of one
    /// of them may be stored all the same, and means nothing.
    unsent: Option<(FencingToken, FencingToken)>,
    /// The last lease under which this session may have written.
    wrote: Option<FencingToken>,
    /// What was written under this lease, or an earlier one, is older than what is in place: that was granted without one.
    outgrown: Option<FencingToken>,
    /// The store has been told that our login was refused. Where it says so no more, a login has succeeded since.
    pub(crate) login_told: bool,
    /// What the store does not hold yet.
    pub(crate) unsaved: Option<Unsaved>,
    /// The task that is about to write it, as whoever waits for it sees it.
    pub(crate) saving: Option<Flight>,
    /// The token set to begin with, should the store turn out to hold nothing.
    pub(crate) initial: Option<Arc<TokenSet>>,
}

/// Why the store does not hold what this session has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unsaved {
    /// It was granted and could not be stored. It goes over what was stored then, and over what older leases wrote.
    Granted { over: Option<Version>, fence: Option<FencingToken>, kind: GrantKind },
    /// What a failed flight has found out of the token set that is stored, and could not note there: it goes over that set
    /// alone. The lease of that flight tells its own mark from that of another.
    Noted { over: Option<Version>, fence: Option<FencingToken> },
    /// The application set it, or signed out: it goes over everything but what others have made of it, in case it was written
    /// and only the answer was lost. `since`: the first lease under which it may have been.
    Changed { since: Option<FencingToken> },
    /// The application began with it, and the store could not be read: it goes over nothing.
    Initial,
}

impl Sync {
    /// Whether a mark that was `found` is one of ours for a token that was not sent.
    pub(crate) fn is_unsent(&self, found: Option<&Stored>) -> bool {
        let marked = found.filter(|found| found.spending_since.is_some()).and_then(|found| found.fence);
        let unsent = self.unsent.zip(marked);
        unsent.is_some_and(|((first, last), marked)| first <= marked && marked <= last)
    }

    /// A refresh token is about to be marked under this lease, over what was `found`.
    ///
    /// The leases of others may lie between two of ours. But whoever has marked under one of them has done so over our mark,
    /// so that it is theirs that is found, and a new row begins.
    pub(crate) fn marks(&mut self, found: Option<&Stored>, fence: Option<FencingToken>) {
        let first = if self.is_unsent(found) { self.unsent.map(|(first, _)| first) } else { fence };
        self.unsent = first.zip(fence);
        self.writes(fence);
    }

    /// Something is about to be written under this lease.
    pub(crate) fn writes(&mut self, fence: Option<FencingToken>) {
        self.wrote = fence.or(self.wrote);
    }

    /// What is stored may be what a grant without a lease was made for, written without a word. It is older then.
    pub(crate) fn outgrows_if(&mut self, granted: Option<Unsaved>) {
        if matches!(granted, Some(Unsaved::Granted { fence: None, .. } | Unsaved::Changed { .. })) {
            self.outgrown = self.wrote;
        }
    }

    /// The marked refresh token leaves.
    pub(crate) fn sends(&mut self) {
        self.unsent = None;
    }

    /// Whether what this session has counts more than what others have stored.
    pub(crate) fn comes_first(&self) -> bool {
        self.unsaved.is_some_and(|unsaved| !matches!(unsaved, Unsaved::Noted { .. }))
    }

    /// Whether a later lease than that of `stored` was seen. What people or other programs wrote has no age.
    pub(crate) fn is_newer_than(&self, stored: &Stored) -> bool {
        stored.fence.zip(self.fence).is_some_and(|(stored, seen)| stored < seen)
    }
}

/// How what is not stored stands to what is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It is to be written.
    Missing,
    /// It was written after all: only the answer was lost.
    Stored,
    /// Something newer is stored.
    Outdated,
}

impl Unsaved {
    /// The same, once it may have been written under the lease of that number.
    pub(crate) fn under(self, lease: Option<FencingToken>) -> Self {
        match self {
            Self::Granted { over, fence, kind } => Self::Granted { over, fence: lease.or(fence), kind },
            Self::Changed { since } => Self::Changed { since: since.or(lease) },
            // A note that was written after all is not ours to write again.
            Self::Noted { .. } | Self::Initial => self,
        }
    }

    fn beside(self, found: Option<&Stored>) -> Standing {
        match (self, found.filter(|found| !found.says_nothing())) {
            (Self::Noted { over, .. }, _) if over == found.map(Stored::version) => Standing::Missing,
            (Self::Noted { .. }, _) => Standing::Outdated,
            (_, None) => Standing::Missing,
            // Whoever has gone on from it, or has changed it later: the last word is stored.
            (Self::Changed { since: Some(since) }, Some(found)) if found.changed_under >= Some(since) => {
                Standing::Outdated
            }
            (Self::Changed { .. }, _) => Standing::Missing,
            (Self::Initial, Some(_)) => Standing::Outdated,
            (Self::Granted { over, fence, .. }, Some(found)) => {
                // The same token set, whatever others have noted of it.
                let is_before = over.is_some_and(|over| {
                    over == found.version() || (over.generation == found.generation && found.fence.is_some())
                });
                match (found.fence, fence) {
                    _ if is_before => Standing::Missing,
                    (Some(found), Some(ours)) if found == ours => Standing::Stored,
                    (Some(found), Some(ours)) if found < ours => Standing::Missing,
                    _ => Standing::Outdated,
                }
            }
        }
    }
}

impl Snapshot {
    /// How what is not stored stands to what is.
    pub(crate) fn standing(&self, unsaved: Unsaved, found: Option<&Stored>) -> Standing {
        let is_outgrown = found.and_then(|found| found.fence).is_some_and(|fence| Some(fence) <= self.sync.outgrown);
        match (unsaved, unsaved.beside(found), found) {
            (Unsaved::Granted { .. } | Unsaved::Changed { .. }, ..) if is_outgrown => Standing::Missing,
            // What people write has no number by which it could be told from what they wrote before.
            (Unsaved::Noted { .. }, Standing::Missing, Some(found)) if !found.says_nothing() && !self.holds(found) => {
                Standing::Outdated
            }
            // What was restored is older than whatever was granted since, with a lease or without.
            (Unsaved::Granted { .. }, Standing::Outdated, Some(found)) if self.sync.is_newer_than(found) => {
                Standing::Missing
            }
            (Unsaved::Changed { .. }, Standing::Outdated, Some(found)) if self.holds(found) => Standing::Stored,
            // Others have had a turn with the set that the note is about, and nothing came of it.
            (Unsaved::Noted { .. }, Standing::Outdated, Some(found))
                if (self.is_same_set(found) || found.says_nothing()) && !self.sync.is_newer_than(found) =>
            {
                Standing::Missing
            }
            (_, standing, _) => standing,
        }
    }

    /// Whether the store has forgotten what this session has seen in it: it was flushed, or restored from an old copy.
    pub(crate) fn knows_better_than(&self, stored: Option<&Stored>) -> bool {
        match stored {
            None => self.sync.version.is_some(),
            Some(stored) if stored.says_nothing() => self.token.is_some(),
            Some(stored) => self.sync.is_newer_than(stored),
        }
    }

    /// From now on the store holds this under `version`.
    pub(crate) fn agree(&mut self, version: Version) {
        self.sync.version = Some(version);
        self.sync.fence = self.sync.fence.max(version.fence);
    }

    /// Whether `stored` is the token set that is in place, whatever else is noted of it. A store that was flushed gives
    /// numbers a second time, so the number alone does not tell.
    fn is_same_set(&self, stored: &Stored) -> bool {
        let is_same_number = match self.sync.version {
            Some(known) => known.generation == stored.generation,
            // What all begin with has no number before one of them has stored it.
            None => stored.token.is_some(),
        };
        stored.fence.is_some() && is_same_number && self.holds(stored)
    }

    /// Whether `stored` is the token set that is in place, and lacks what is known of it.
    pub(crate) fn knows_more_of(&self, stored: &Stored) -> bool {
        let lacks_mark = self.spending && stored.spending_since.is_none();
        let lacks_refusal = self.refresh_refused && stored.refresh_refused_since.is_none();
        (lacks_mark || lacks_refusal) && stored.token.is_some() && self.is_same_set(stored)
    }

    fn holds(&self, stored: &Stored) -> bool {
        match &stored.token {
            Some(stored) => self.tokens().any(|token| token.has_tokens_of(stored)),
            None => self.token.is_none(),
        }
    }

    /// Whether `stored` is known, with all that is noted of it: notes may be added under the same lease, and people write
    /// without a number.
    pub(crate) fn has_seen(&self, stored: &Stored, login_refused: bool) -> bool {
        self.sync.version == Some(stored.version())
            && (stored.says_nothing() || self.holds(stored))
            && (self.refresh_refused || stored.refresh_refused_since.is_none())
            && (self.login_refused || !login_refused)
    }

    /// Takes over what a store holds. `issued` is its token set, and `login_refused` whether it says that of our login. A
    /// flight in progress goes on.
    pub(crate) fn adopt(&mut self, stored: &Stored, issued: Option<Arc<Issued>>, login_refused: bool) -> Option<Event> {
        let is_same_set = self.is_same_set(stored);
        let says_nothing = stored.says_nothing();
        self.agree(stored.version());
        self.sync.login_told |= login_refused;
        if is_same_set || says_nothing {
            if is_same_set {
                self.renumber(stored.generation);
            }
            self.login_refused |= login_refused;
            self.refresh_refused |= stored.refresh_refused_since.is_some();
            // What was sent without the store is marked nowhere yet.
            self.spending &= stored.spending_since.is_some() || says_nothing || self.sync.unsaved.is_some();
            return None;
        }
        self.sync.initial = None;
        self.sync.unsaved = None;
        let flight = self.flight.take();
        self.generation = self.numbered(stored.generation);
        self.token = issued;
        self.signed_out = self.token.is_none();
        self.forget();
        self.login_refused = login_refused;
        self.refresh_refused = stored.refresh_refused_since.is_some();
        self.flight = flight;
        Some(match self.signed_out {
            true => Event::SignedOut { generation: self.generation },
            false => Event::TokenChanged { generation: self.generation },
        })
    }

    /// What the store is to hold of this state, written under the lease of that number. `found` is what it holds.
    pub(crate) fn to_store(&self, found: Option<&Stored>, fence: Option<FencingToken>, now: SystemTime) -> Stored {
        let generation = self.generation.get().into();
        let mut stored = match self.renewed_from() {
            Some(token) => Stored::new(token.clone(), generation),
            None if self.signed_out => Stored::signed_out(generation, now),
            None => Stored::nothing(generation),
        };
        if stored.token.is_some() {
            stored.spending_since = self.spending.then_some(now);
            stored.refresh_refused_since = self.refresh_refused.then_some(now);
        }
        stored.over(found, fence)
    }
}
