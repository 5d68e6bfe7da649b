//! What a flight writes into the store during its turn: the grant, the mark, and what a failure has shown.

use super::{Driver, Granted, Saved, turn::Turn};
use crate::{
    error::ErrorKind,
    provider::{GrantKind, Provider},
    session::{
        adoption::Looked,
        failure::Failed,
        sync::{Standing, Unsaved},
    },
    store::{StoreError, StoreErrorKind, Swap},
    token::{FencingToken, LoginMark, Stored, Version},
};

/// How often a save is tried while the store keeps changing.
const SAVES: usize = 3;

impl<P: Provider> Driver<P> {
    /// Puts a grant into the store, unless a later lease has brought a newer one.
    pub(super) async fn save(&self, turn: &Turn, granted: &Granted) -> Result<Saved, StoreError> {
        for _ in 0..SAVES {
            let found = turn.found();
            let generation = self.session.current().generation;
            let next = found.as_ref().map_or(generation, |found| found.generation).after(generation);
            let stored = Stored::new(granted.issued.token.clone(), next).over(found.as_ref(), turn.held.fence());
            let stored = Stored { login_refused: self.still_refused(found.as_ref(), granted.kind), ..stored };
            if turn.held.save(turn.version(), &stored).await? == Swap::Done {
                return Ok(Saved::Done(stored.version()));
            }
            let seen = self.session.0.current.load_full();
            let found = self.load(&turn.store).await?;
            let standing = granted.unsaved.map(|unsaved| seen.standing(unsaved, found.as_ref()));
            if standing == Some(Standing::Outdated)
                && matches!(self.take_over(&seen, found.as_ref()), Ok(Looked::Another))
            {
                tracing::warn!("another process has stored a newer token set; the granted one is dropped");
                return Ok(Saved::Superseded);
            }
            turn.set_found(found);
        }
        Err(StoreError::new(StoreErrorKind::Busy, "what is stored keeps changing"))
    }

    /// The login that stays refused: not the one that has just succeeded.
    fn still_refused(&self, found: Option<&Stored>, granted: GrantKind) -> Option<LoginMark> {
        let has_succeeded = granted == GrantKind::Login
            && self.session.login().is_some_and(|login| self.session.is_refused(found, &login));
        found.and_then(|found| found.login_refused).filter(|_| !has_succeeded)
    }

    /// What is remembered of a grant that the store does not hold.
    pub(super) fn unsaved(&self, turn: Option<&Turn>, kind: GrantKind) -> Option<Unsaved> {
        self.session.0.store.as_ref()?;
        let Some(turn) = turn else {
            let sync = &self.session.current().sync;
            return Some(match sync.unsaved {
                // The application still has the last word.
                Some(changed @ Unsaved::Changed { .. }) if kind == GrantKind::Refresh => changed,
                _ => Unsaved::Granted { over: sync.version, fence: None, kind },
            });
        };
        self.change(|state| state.sync.writes(turn.held.fence()));
        Some(Unsaved::Granted { over: turn.version(), fence: turn.held.fence(), kind })
    }

    /// The mark: from here on the refresh token may have been spent.
    pub(super) async fn mark(&self, turn: &Turn) -> Result<(), Failed> {
        let (now, found) = (self.session.now().wall, turn.found());
        self.change(|state| state.sync.marks(found.as_ref(), turn.held.fence()));
        self.write(turn, |stored| stored.spending_since = Some(now)).await
    }

    /// Tells the others what a failed flight has found out: a refused login or refresh, or that nothing was spent.
    pub(super) async fn note(&self, turn: &Turn, failed: &Failed) {
        let (state, found) = (self.session.0.current.load_full(), turn.found());
        let is_noted = |noted: fn(&Stored) -> bool| found.as_ref().is_some_and(noted);
        let is_login_known = self.session.mark_login(&state, found.as_ref()).is_none();
        let is_refused = failed.refresh_refused && !is_noted(|found| found.refresh_refused_since.is_some());
        let is_marked = is_noted(|found| found.spending_since.is_some());
        let is_renumbered = found.as_ref().is_some_and(|found| found.generation.get() != state.generation.get());
        let is_spending = state.spending || turn.mark_of_another().is_some();
        if is_login_known && !is_refused && is_marked == is_spending && !is_renumbered {
            return;
        }
        // In memory first: should the flight's time be over before the store has answered, it is told later.
        self.note_later(turn.version(), turn.held.fence());
        let now = self.session.now().wall;
        let noted = self.write(turn, |stored| {
            if is_refused {
                stored.refresh_refused_since = Some(now);
            }
        });
        if let Err(error) = noted.await {
            tracing::warn!(%error, "the store could not be told of the failure");
        }
    }

    /// Leaves it to the saver to tell the others, where there are any.
    pub(super) fn note_later(&self, over: Option<Version>, fence: Option<FencingToken>) {
        self.change(|state| {
            if state.sync.has_store {
                state.sync.unsaved.get_or_insert(Unsaved::Noted { over, fence });
            }
        });
    }

    /// Has the store hold what this session knows.
    async fn write(&self, turn: &Turn, note: impl FnOnce(&mut Stored)) -> Result<(), Failed> {
        let state = self.session.0.current.load_full();
        if !self.is_current(&state) {
            return Err(Failed::before_sending(ErrorKind::Aborted, None));
        }
        let now = self.session.now_in(&state).wall;
        let mut stored = state.to_store(turn.found().as_ref(), turn.held.fence(), now);
        if turn.found().is_some_and(|found| found.generation == stored.generation) {
            // Only the next token set ends it: nobody else knows what became of that request.
            stored.spending_since = stored.spending_since.or(turn.mark_of_another());
        }
        stored.login_refused = self.session.mark_login(&state, turn.found().as_ref()).or(stored.login_refused);
        note(&mut stored);
        match turn.held.save(turn.version(), &stored).await? {
            Swap::Conflict => Err(Failed::look_again()),
            Swap::Done => {
                self.change(|state| {
                    state.agree(stored.version());
                    state.sync.login_told |= state.login_refused && stored.login_refused.is_some();
                    state.sync.unsaved = None;
                });
                turn.set_found(Some(stored));
                Ok(())
            }
        }
    }
}
