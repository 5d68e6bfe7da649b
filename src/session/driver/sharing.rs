//! A flight over a store: the order in which processes that share one take their turns.
//!
//! ```text
//! look: did another bring it? ─► lease ─► look again ─► compare ─► mark ─► does it still hold? ─► ask ─► save ─► release
//! ```

use std::sync::{Arc, atomic::Ordering};

use super::{Brought, Driver, Granted, Held, Saved, asking::Answered, call, lease::rest, turn::Turn};
use crate::{
    error::ErrorKind,
    provider::{Grant, GrantKind, Provider, Reason},
    rt,
    session::{
        adoption::Looked,
        failure::Failed,
        plan::Plan,
        sync::{Standing, Unsaved},
    },
    store::{StoreError, StoreErrorKind, Swap, TokenStore},
    token::{FencingToken, LoginMark, Stored, TokenSet, Version},
};

/// What comes of a turn.
enum Step {
    Answered(Answered),
    TakenOver,
    /// Another has spent the refresh token, or was about to, and nothing can take its place.
    InDoubt,
}

/// How often a save is tried while the store keeps changing.
const SAVES: usize = 3;

impl<P: Provider> Driver<P> {
    pub(super) async fn bring(&self) -> Result<Brought, Failed> {
        let Some(store) = &self.session.0.store else {
            return self.next_token(None).await.map(|(issued, kind)| Brought::Granted(issued, kind, None));
        };
        match self.by_turns(store).await {
            // What was sent and refused is not sent again.
            Err(failed) if failed.kind == ErrorKind::Store && !self.has_asked.load(Ordering::Relaxed) => {
                self.without_store(failed).await
            }
            outcome => outcome,
        }
    }

    /// What is done where the store cannot be used: nothing, but for what the application has brought or allowed.
    async fn without_store(&self, failed: Failed) -> Result<Brought, Failed> {
        if self.session.begin(&self.flight) && self.is_done() {
            return Ok(Brought::TakenOver);
        }
        let single_use = self.session.provider().single_use();
        if !self.session.policy().may_go_on_without_store(single_use) {
            return Err(failed);
        }
        tracing::warn!(failure = %failed, "going on without the store");
        let answered = self.next_token(None).await;
        if answered.as_ref().is_err_and(|failed| failed.login_refused || failed.refresh_refused) {
            self.note_later(self.session.current().sync.version, None);
        }
        answered.map(|(issued, kind)| Brought::Granted(issued, kind, None))
    }

    async fn by_turns(&self, store: &Arc<dyn TokenStore>) -> Result<Brought, Failed> {
        loop {
            let Some(held) = self.lease(store).await? else { return Ok(Brought::TakenOver) };
            let turn = Turn::new(store, held);
            let outcome = turn.held.during(self.take(&turn)).await;
            match outcome {
                Ok(Step::Answered((issued, kind))) => return Ok(Brought::Granted(issued, kind, Some(Box::new(turn)))),
                Ok(Step::TakenOver) => {
                    turn.release().await;
                    return Ok(Brought::TakenOver);
                }
                Ok(Step::InDoubt) => {
                    turn.release().await;
                    // An answer may still be on its way to whoever has sent it.
                    if let Some(backoff) = rt::sleep(self.session.policy().backoff_min) {
                        backoff.await;
                    }
                }
                Err(failed) => {
                    turn.release().await;
                    if !failed.look_again {
                        return Err(failed);
                    }
                    rest().await;
                }
            }
        }
    }

    /// Waits for the lease; `None` when another has brought what this flight is for.
    async fn lease(&self, store: &Arc<dyn TokenStore>) -> Result<Option<Held>, Failed> {
        let mut looks = 0_u32;
        let held = self.session.lease(store, |stored| {
            looks = looks.saturating_add(1);
            self.is_waiting.store(looks > 1, Ordering::Relaxed);
            self.is_brought(stored)
        });
        let held = held.await;
        self.is_waiting.store(false, Ordering::Relaxed);
        held
    }

    /// Why the flight's time is over.
    pub(super) fn out_of_time(&self) -> Failed {
        if self.is_waiting.load(Ordering::Relaxed) {
            Failed::from(StoreError::new(StoreErrorKind::Busy, "another process holds the lease"))
        } else {
            Failed::of_kind(ErrorKind::TimedOut)
        }
    }

    /// Takes over what is stored, and says whether the flight has nothing more to do.
    fn is_brought(&self, stored: Option<&Stored>) -> Result<bool, Failed> {
        Ok(self.take_over(stored)? == Looked::Another && self.is_done())
    }

    fn take_over(&self, stored: Option<&Stored>) -> Result<Looked, Failed> {
        let seen = self.session.0.current.load_full();
        self.session.take_over(&seen, stored, Some(&self.flight))
    }

    /// Whether what is in place by now is what the flight is for.
    fn is_done(&self) -> bool {
        let state = self.session.0.current.load_full();
        let plan = state.plan(self.session.now_in(&state), self.session.policy());
        !self.sign_in && (state.signed_out || matches!(plan, Plan::Send(_) | Plan::SendAndRefresh(_)))
    }

    /// What is done while the lease is held.
    async fn take(&self, turn: &Turn) -> Result<Step, Failed> {
        let mut stored = self.load(turn).await?;
        turn.has_found(stored.clone());
        let is_empty = stored.as_ref().is_none_or(Stored::says_nothing);
        let has_begun = is_empty && self.session.begin(&self.flight);
        self.session.save_unsaved(&turn.held, &mut stored).await?;
        let is_brought = self.is_brought(stored.as_ref())?;
        turn.has_found(stored);
        if is_brought || (has_begun && self.is_done()) {
            return Ok(Step::TakenOver);
        }
        if self.is_in_doubt(turn) {
            return Ok(Step::InDoubt);
        }
        // Only here, where what is known agrees with what is stored, has a failure anything to tell the others.
        let answered = self.next_token(Some(turn)).await;
        if let Err(failed) = &answered {
            self.note(turn, failed).await;
        }
        answered.map(Step::Answered)
    }

    /// Whether the refresh token may have been spent by another, or by one that the store has forgotten, and no login can
    /// take its place. It is tried after a pause, because nothing else can save the session.
    fn is_in_doubt(&self, turn: &Turn) -> bool {
        let state = self.session.0.current.load_full();
        let found = turn.found();
        let is_marked = found.as_ref().is_some_and(|found| {
            found.spending_since.is_some() && (found.fence.is_none() || found.fence != state.sync.unsent)
        });
        let may_be_spent = is_marked || state.knows_better_than(found.as_ref());
        if !may_be_spent || state.spending || self.sign_in || !self.session.provider().single_use() {
            return false;
        }
        tracing::warn!("the refresh token may have been spent by another");
        self.change(|state| state.spending = true);
        matches!(self.grant(&state, Reason::MaybeSpent), Ok(Grant::Refresh(_)))
    }

    /// The last thing before a token request is sent: the mark, where it spends a token, and a look at the lease.
    pub(super) async fn take_leave(&self, turn: &Turn, spends: bool) -> Result<(), Failed> {
        if spends {
            let now = self.session.now().wall;
            self.change(|state| state.sync.unsent = turn.held.fence());
            self.write(turn, |stored| stored.spending_since = Some(now)).await?;
        }
        if turn.held.holds() { Ok(()) } else { Err(Failed::look_again()) }
    }

    /// A refusal counts unless the store holds something newer than what was refused: then another process was faster.
    pub(super) async fn check_unchanged(&self, turn: &Turn, refused: Option<&TokenSet>) -> Result<(), Failed> {
        let Ok(Some(found)) = self.load(turn).await else { return Ok(()) };
        let is_another = match (&found.token, refused) {
            (Some(found), Some(refused)) => !found.has_tokens_of(refused),
            _ => !found.says_nothing(),
        };
        if is_another && !self.session.current().sync.is_newer_than(&found) {
            return Err(Failed::look_again());
        }
        Ok(())
    }

    /// Puts a grant into the store, unless a later lease has brought a newer one.
    pub(super) async fn save(&self, turn: &Turn, granted: &Granted) -> Result<Saved, StoreError> {
        for _ in 0..SAVES {
            let found = turn.found();
            let generation = self.session.current().generation;
            let stored = Stored {
                fence: turn.held.fence(),
                login_refused: self.still_refused(found.as_ref(), granted.kind),
                ..Stored::new(
                    granted.issued.token.clone(),
                    found.as_ref().map_or(generation, |found| found.generation).after(generation),
                )
            };
            if turn.held.save(turn.version(), &stored).await? == Swap::Done {
                return Ok(Saved::Done(stored.version()));
            }
            let found = self.load(turn).await?;
            let standing = granted.unsaved.map(|unsaved| unsaved.beside(found.as_ref()));
            if standing == Some(Standing::Outdated) && matches!(self.take_over(found.as_ref()), Ok(Looked::Another)) {
                tracing::warn!("another process has stored a newer token set; the granted one is dropped");
                return Ok(Saved::Superseded);
            }
            turn.has_found(found);
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
        Some(match turn {
            Some(turn) => Unsaved::Granted { over: turn.version(), fence: turn.held.fence(), kind },
            None => Unsaved::Granted { over: self.session.current().sync.version, fence: None, kind },
        })
    }

    /// Tells the others what a failed flight has found out: a refused login or refresh, or that nothing was spent.
    async fn note(&self, turn: &Turn, failed: &Failed) {
        let (state, found) = (self.session.0.current.load_full(), turn.found());
        let is_noted = |noted: fn(&Stored) -> bool| found.as_ref().is_some_and(noted);
        let login = failed.login_refused.then(|| self.session.mark_login(found.as_ref())).flatten();
        let is_refused = failed.refresh_refused && !is_noted(|found| found.refresh_refused_since.is_some());
        let is_marked = is_noted(|found| found.spending_since.is_some());
        let is_renumbered = found.as_ref().is_some_and(|found| found.generation.get() != state.generation.get());
        let is_spending = state.spending || turn.mark_of_another().is_some();
        if login.is_none() && !is_refused && is_marked == is_spending && !is_renumbered {
            return;
        }
        let now = self.session.now().wall;
        let noted = self.write(turn, |stored| {
            stored.login_refused = login.or(stored.login_refused);
            if is_refused {
                stored.refresh_refused_since = Some(now);
            }
        });
        match noted.await {
            // Another has written meanwhile, and knows better.
            Err(error) if !error.look_again => {
                tracing::warn!(%error, "the store could not be told of the failure");
                self.note_later(turn.version(), turn.held.fence());
            }
            _ => {}
        }
    }

    /// Leaves it to the saver to tell the others.
    fn note_later(&self, over: Option<Version>, fence: Option<FencingToken>) {
        self.change(|state| {
            state.sync.unsaved.get_or_insert(Unsaved::Noted { over, fence });
        });
    }

    /// Has the store hold what this session knows.
    async fn write(&self, turn: &Turn, note: impl FnOnce(&mut Stored)) -> Result<(), Failed> {
        let state = self.session.0.current.load_full();
        if !self.is_current(&state) {
            return Err(Failed::before_sending(ErrorKind::Aborted, None));
        }
        let mut stored = state.to_store(turn.found().as_ref(), self.session.now_in(&state).wall);
        stored.fence = turn.held.fence();
        if turn.found().is_some_and(|found| found.generation == stored.generation) {
            // Only the next token set ends it: nobody else knows what became of that request.
            stored.spending_since = stored.spending_since.or(turn.mark_of_another());
        }
        note(&mut stored);
        match turn.held.save(turn.version(), &stored).await? {
            Swap::Conflict => Err(Failed::look_again()),
            Swap::Done => {
                self.change(|state| {
                    state.agree(stored.version());
                    state.sync.unsaved = None;
                });
                turn.has_found(Some(stored));
                Ok(())
            }
        }
    }

    async fn load(&self, turn: &Turn) -> Result<Option<Stored>, StoreError> {
        call(turn.store.load(), self.session.policy().store_timeout).await
    }
}
