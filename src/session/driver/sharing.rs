//! A flight over a store: the order in which processes that share one take their turns.
//!
//! ```text
//! look: did another bring it? ─► lease ─► look again ─► compare ─► mark ─► does it still hold? ─► ask ─► save ─► release
//! ```

use std::sync::{Arc, atomic::Ordering};

use super::{Brought, Driver, Held, asking::Answered, call, lease::rest, turn::Turn};
use crate::{
    error::ErrorKind,
    provider::{Grant, Provider, Reason},
    rt,
    session::{Snapshot, adoption::Looked, failure::Failed, plan::Plan},
    store::{StoreError, StoreErrorKind, Swap, TokenStore},
    token::{Stored, TokenSet},
};

/// What comes of a turn.
enum Step {
    Answered(Answered),
    TakenOver,
    /// Another has spent the refresh token, or was about to, and nothing can take its place.
    InDoubt,
}

impl<P: Provider> Driver<P> {
    pub(super) async fn bring(&self) -> Result<Brought, Failed> {
        let Some(store) = &self.session.0.store else {
            return self.next_token(None).await.map(|(issued, kind)| Brought::Granted(issued, kind, None));
        };
        match self.by_turns(store).await {
            // What was sent and refused is not sent again.
            Err(failed) if failed.is_store_away() && !self.has_asked.load(Ordering::Relaxed) => {
                self.without_store(store, failed).await
            }
            outcome => outcome,
        }
    }

    /// What is done where the store cannot be reached: nothing, but for what the application has brought or allowed.
    async fn without_store(&self, store: &Arc<dyn TokenStore>, failed: Failed) -> Result<Brought, Failed> {
        if self.session.begin(&self.flight) && self.is_done() {
            return Ok(Brought::TakenOver);
        }
        let single_use = self.session.provider().single_use();
        if !self.session.policy().may_go_on_without_store(single_use) {
            return Err(failed);
        }
        tracing::warn!(failure = %failed, "going on without the store");
        match self.next_token(None).await {
            Ok((issued, kind)) => Ok(Brought::Granted(issued, kind, None)),
            Err(refused) if refused.look_again => {
                let seen = self.session.0.current.load_full();
                let stored = self.load(store).await?;
                if self.is_brought(&seen, stored.as_ref())? { Ok(Brought::TakenOver) } else { Err(failed) }
            }
            Err(failed) => {
                if failed.login_refused || failed.refresh_refused {
                    self.note_later(self.session.current().sync.version, None);
                }
                Err(failed)
            }
        }
    }

    async fn by_turns(&self, store: &Arc<dyn TokenStore>) -> Result<Brought, Failed> {
        loop {
            let Some(held) = self.lease(store).await? else { return Ok(Brought::TakenOver) };
            let turn = Turn::new(store, held);
            let outcome = turn.held.during(self.take(&turn)).await;
            match outcome {
                Ok(Step::Answered((issued, kind))) => return Ok(Brought::Granted(issued, kind, Some(Box::new(turn)))),
                // Whoever waits is told first. Dropped, the lease is given back by a task of its own.
                Ok(Step::TakenOver) => return Ok(Brought::TakenOver),
                Err(failed) if !failed.look_again => return Err(failed),
                Ok(Step::InDoubt) => {
                    turn.release().await;
                    // An answer may still be on its way to whoever has sent it.
                    if let Some(backoff) = rt::sleep(self.session.policy().backoff_min) {
                        backoff.await;
                    }
                }
                Err(_) => {
                    turn.release().await;
                    rest().await;
                }
            }
        }
    }

    /// Waits for the lease; `None` when another has brought what this flight is for.
    async fn lease(&self, store: &Arc<dyn TokenStore>) -> Result<Option<Held>, Failed> {
        let mut looks = 0_u32;
        let held = self.session.lease(store, |seen, stored| {
            looks = looks.saturating_add(1);
            self.is_waiting.store(looks > 1, Ordering::Relaxed);
            self.is_brought(seen, stored)
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

    /// Takes over what is stored, and says whether the flight has nothing more to do. `seen` is what was known before the
    /// look.
    fn is_brought(&self, seen: &Snapshot, stored: Option<&Stored>) -> Result<bool, Failed> {
        Ok(self.take_over(seen, stored)? == Looked::Another && self.is_done())
    }

    pub(super) fn take_over(&self, seen: &Snapshot, stored: Option<&Stored>) -> Result<Looked, Failed> {
        self.session.take_over(seen, stored, Some(&self.flight))
    }

    /// Whether what is in place by now is what the flight is for.
    fn is_done(&self) -> bool {
        let state = self.session.0.current.load_full();
        let plan = state.plan(self.session.now_in(&state), self.session.policy());
        !self.sign_in && (state.signed_out || matches!(plan, Plan::Send(_) | Plan::SendAndRefresh(_)))
    }

    /// What is done while the lease is held.
    async fn take(&self, turn: &Turn) -> Result<Step, Failed> {
        let mut stored = self.load(&turn.store).await?;
        turn.set_found(stored.clone());
        let is_empty = stored.as_ref().is_none_or(Stored::says_nothing);
        let has_begun = is_empty && self.session.begin(&self.flight);
        if self.session.save_unsaved(&turn.held, &mut stored).await? == Swap::Conflict {
            return Err(Failed::look_again());
        }
        // Since the look this flight alone has changed what is known of the store: it holds the lease.
        let seen = self.session.0.current.load_full();
        let is_brought = self.is_brought(&seen, stored.as_ref())?;
        turn.set_found(stored);
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
        let is_marked =
            found.as_ref().is_some_and(|found| found.spending_since.is_some()) && !state.sync.is_unsent(found.as_ref());
        let may_be_spent = is_marked || state.knows_better_than(found.as_ref());
        if !may_be_spent || state.spending || self.sign_in || !self.session.provider().single_use() {
            return false;
        }
        tracing::warn!("the refresh token may have been spent by another");
        self.change(|state| state.spending = true);
        matches!(self.grant(&state, Reason::MaybeSpent), Ok(Grant::Refresh(_)))
    }

    /// The last thing before a token request is sent: the mark, where it spends a token, and a look at the lease.
    pub(super) async fn before_sending(&self, turn: &Turn, spends: bool) -> Result<(), Failed> {
        if spends {
            self.mark(turn).await?;
        }
        if turn.held.holds() { Ok(()) } else { Err(Failed::look_again()) }
    }

    /// A refusal counts unless the store holds something newer than what was refused: then another process was faster.
    pub(super) async fn check_unchanged(&self, refused: Option<&TokenSet>) -> Result<(), Failed> {
        let Some(store) = &self.session.0.store else { return Ok(()) };
        // What others have stored gives way to what was refused, or is older.
        if self.session.current().sync.comes_first() {
            return Ok(());
        }
        let Ok(Some(found)) = self.load(store).await else { return Ok(()) };
        let is_another = match (&found.token, refused) {
            (Some(found), Some(refused)) => !found.has_tokens_of(refused),
            _ => !found.says_nothing(),
        };
        if is_another && !self.session.current().sync.is_newer_than(&found) {
            return Err(Failed::look_again());
        }
        Ok(())
    }

    pub(super) async fn load(&self, store: &Arc<dyn TokenStore>) -> Result<Option<Stored>, StoreError> {
        call(store.load(), self.session.policy().store_call()).await
    }
}
