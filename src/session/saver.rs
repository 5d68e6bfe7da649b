//! What could not be stored at once is stored later.

use std::{sync::Arc, time::Duration};

use crate::{
    provider::{GrantKind, Provider},
    rt,
    session::{
        Event, Session,
        driver::{Held, call, caught},
        flight::Flight,
        state::Snapshot,
        sync::{Standing, Unsaved},
    },
    store::{StoreError, StoreErrorKind, Swap, TokenStore},
    token::Stored,
};

/// How long it rests after one failure, and at most.
const REST: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// A task that saves. However it ends, whoever waits for it is told.
struct Saver<P: Provider> {
    session: Session<P>,
    /// One try, as whoever waits for it sees it. A task that has not come to the next one in time is lost with its runtime.
    flight: Flight,
}

impl<P: Provider> Session<P> {
    /// Has a task store what is not stored yet, if there is something, and a runtime.
    pub(super) fn save_soon(&self) {
        let Some(store) = self.0.store.as_ref().filter(|_| rt::is_there()) else { return };
        let departing = self.transition(|state| {
            let is_due = state.sync.unsaved.is_some() && state.sync.saving.is_none();
            let flight = is_due.then(|| state.sync.saving.insert(self.save_once()).clone());
            (flight, None)
        });
        if let Some(flight) = departing {
            let (saver, store) = (Saver { session: self.clone(), flight }, Arc::clone(store));
            // Where it cannot be spawned it is dropped, and that is its end.
            let _ = rt::spawn(async move { saver.save(&store).await });
            self.watch();
        }
    }

    /// A try to save, which is over when the rest behind it is.
    fn save_once(&self) -> Flight {
        let (_, longest) = REST;
        Flight::new(self.policy().flight_deadline.saturating_add(longest), false)
    }

    /// Gives up a task that somebody has waited for in vain.
    pub(super) fn give_up_lost_saver(&self) {
        self.transition(|state| {
            let lost = state.sync.saving.take_if(|saving| saving.is_lost());
            (drop(lost), None)
        });
    }

    /// Tells subscribers that the store could not be written.
    pub(super) fn store_failed(&self, error: StoreError) {
        tracing::warn!(%error, "the token set could not be stored");
        self.transition(|state| ((), Some(Event::StoreFailed { generation: state.generation, error })));
    }

    /// Stores what is not stored yet, under a lease, or lets it go for what is stored. `stored` is what the store holds, and
    /// then what it holds afterwards; after a conflict it is neither.
    pub(super) async fn save_unsaved(&self, held: &Held, stored: &mut Option<Stored>) -> Result<Swap, StoreError> {
        let state = self.0.current.load_full();
        let Some(mut unsaved) = state.sync.unsaved else { return Ok(Swap::Done) };
        let standing = state.standing(unsaved, stored.as_ref());
        if standing == Standing::Missing {
            let before = (state.generation, unsaved);
            unsaved = unsaved.under(held.fence());
            let is_unchanged = self.transition(|state| {
                // Should the answer be lost, it is found again.
                let is_unchanged = state.sync.unsaved.is_some_and(|unsaved| (state.generation, unsaved) == before);
                if is_unchanged {
                    state.sync.unsaved = Some(unsaved);
                    state.sync.writes(held.fence());
                }
                (is_unchanged, None)
            });
            let next = self.unsaved_form(&state, held, stored.as_ref());
            let version = stored.as_ref().map(Stored::version);
            if !is_unchanged || (!next.is_empty() && held.save(version, &next).await? == Swap::Conflict) {
                return Ok(Swap::Conflict);
            }
            *stored = Some(next).filter(|next| !next.is_empty()).or(stored.take());
        }
        let seen = (state.generation, unsaved);
        self.transition(|state| {
            // The application may have changed its mind meanwhile.
            if state.sync.unsaved.is_none_or(|unsaved| (state.generation, unsaved) != seen) {
                return ((), None);
            }
            state.sync.unsaved = None;
            let Some(stored) = stored else { return ((), None) };
            if standing == Standing::Outdated {
                if state.knows_more_of(stored) {
                    state.sync.unsaved = Some(Unsaved::Noted { over: Some(stored.version()), fence: None });
                }
                return ((), None);
            }
            state.renumber(stored.generation);
            state.agree(stored.version());
            state.sync.login_told |= state.login_refused && stored.login_refused.is_some();
            ((), Some(Event::Saved { generation: state.generation }))
        });
        Ok(Swap::Done)
    }

    /// What is to be stored, over what is `found`.
    fn unsaved_form(&self, state: &Snapshot, held: &Held, found: Option<&Stored>) -> Stored {
        let mut stored = state.to_store(found, held.fence(), self.now_in(state).wall);
        stored.login_refused = self.mark_login(state, found).or(stored.login_refused);
        if let Some(Unsaved::Noted { fence, .. }) = state.sync.unsaved {
            // Only the next token set ends the mark of another.
            let marked = found.filter(|found| found.fence != fence).and_then(|found| found.spending_since);
            stored.spending_since = stored.spending_since.or(marked);
            let refused = found.and_then(|found| found.refresh_refused_since);
            stored.refresh_refused_since = stored.refresh_refused_since.or(refused);
            return stored;
        }
        if let Some(found) = found.filter(|found| found.generation.get() >= stored.generation.get()) {
            stored.generation = found.generation.after(stored.generation);
        }
        if let Some(Unsaved::Changed { .. }) = state.sync.unsaved {
            stored.changed_under = held.fence();
        }
        // What our login has brought speaks for it, unless it was refused since.
        let by_login =
            !state.login_refused && matches!(state.sync.unsaved, Some(Unsaved::Granted { kind: GrantKind::Login, .. }));
        if by_login && self.login().is_some_and(|login| self.is_refused(Some(&stored), &login)) {
            stored.login_refused = None;
        }
        stored
    }
}

impl<P: Provider> Saver<P> {
    async fn save(mut self, store: &Arc<dyn TokenStore>) {
        let (mut rest, longest) = REST;
        while self.tries_again() {
            let deadline = self.session.policy().flight_deadline;
            let saved = match rt::timeout(deadline, caught(self.try_to_save(store))).await {
                Ok(saved) => saved,
                Err(_) => Err(StoreError::new(StoreErrorKind::Busy, "another process holds the lease")),
            };
            let Err(error) = saved else { continue };
            self.session.store_failed(error);
            let Some(pause) = rt::sleep(rest) else { break };
            pause.await;
            rest = (rest * 2).min(longest);
        }
    }

    /// In one step, so that what comes to be saved finds a saver, or starts one.
    fn tries_again(&mut self) -> bool {
        let next = self.session.save_once();
        let is_needed = self.session.transition(|state| {
            // Whoever was given up for lost has a successor.
            let is_ours = state.sync.saving.as_ref().is_some_and(|saving| saving.is(&self.flight));
            let is_needed = is_ours && state.sync.unsaved.is_some();
            if is_ours {
                state.sync.saving = is_needed.then(|| next.clone());
            }
            (is_needed, None)
        });
        std::mem::replace(&mut self.flight, next).land(Ok(None));
        is_needed
    }

    async fn try_to_save(&self, store: &Arc<dyn TokenStore>) -> Result<(), StoreError> {
        // A flight may save it first.
        let is_saved = |_: &Snapshot, _: Option<&Stored>| Ok(self.session.current().sync.unsaved.is_none());
        let Some(held) = self.session.lease(store, is_saved).await? else { return Ok(()) };
        let saved = held.during(async {
            let before = self.session.current().sync.version;
            let mut stored = call(store.load(), self.session.policy().store_call()).await?;
            if self.session.save_unsaved(&held, &mut stored).await? == Swap::Conflict {
                return Err(StoreError::new(StoreErrorKind::Busy, "what is stored keeps changing"));
            }
            // What it has given way to is not lost on this session.
            let seen = self.session.0.current.load_full();
            if seen.sync.version == before {
                let _ = self.session.take_over(&seen, stored.as_ref(), None);
            }
            Ok(())
        });
        let saved = saved.await;
        held.release().await;
        saved
    }
}

impl<P: Provider> Drop for Saver<P> {
    fn drop(&mut self) {
        self.session.transition(|state| {
            let ours = state.sync.saving.take_if(|saving| saving.is(&self.flight));
            (drop(ours), None)
        });
        self.flight.land(Ok(None));
    }
}
