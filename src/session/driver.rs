//! The task that flies: grant, request, transport, answer, store, publish, wake. It belongs to no request.

mod asking;
mod lease;
mod sharing;
mod turn;
mod writing;

pub(crate) use lease::{Held, call, caught};

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use crate::{
    clock::Now,
    error::ErrorKind,
    provider::{GrantKind, Provider},
    rt,
    session::{Event, Issued, Session, Snapshot, failure::Failed, flight::Flight, sync::Unsaved},
    store::StoreError,
    token::Version,
};
use turn::Turn;

/// One flight. Dropped before it has landed (a panic, an abort, a runtime that shuts down) it lands as a failure, unless
/// it has a grant.
pub(crate) struct Driver<P: Provider> {
    session: Session<P>,
    flight: Flight,
    sign_in: bool,
    started: Now,
    /// What is being stored: should the task end now, it is used all the same.
    granted: Option<Granted>,
    /// For another's lease to end.
    is_waiting: AtomicBool,
    /// The token endpoint, at least once.
    has_asked: AtomicBool,
    landed: bool,
}

/// A token set, by which grant it came, and what the store held before.
#[derive(Clone)]
struct Granted {
    issued: Arc<Issued>,
    kind: GrantKind,
    unsaved: Option<Unsaved>,
}

/// What a flight brings.
enum Brought {
    /// The token endpoint has granted it, to a flight that has its turn at the store, if there is one.
    Granted(Arc<Issued>, GrantKind, Option<Box<Turn>>),
    /// Another process has brought it, and it is in place.
    TakenOver,
}

/// What became of a grant in the store.
enum Saved {
    /// It is stored as this version.
    Done(Version),
    /// Somebody has stored a newer one, which is in place.
    Superseded,
}

/// How a flight ends.
enum Landing {
    /// With a grant, which is stored, or will be, or need not be.
    Granted(Granted, Option<Version>),
    TakenOver,
}

impl<P: Provider> Driver<P> {
    /// Flies `flight` on a task of its own. There must be a runtime.
    pub(crate) fn launch(session: &Session<P>, flight: Flight, sign_in: bool, started: Now) {
        let driver = Self {
            session: session.clone(),
            flight: flight.clone(),
            sign_in,
            started,
            granted: None,
            is_waiting: AtomicBool::new(false),
            has_asked: AtomicBool::new(false),
            landed: false,
        };
        if let Some(task) = rt::spawn(driver.fly()) {
            flight.flown_by(task);
        }
        session.watch();
    }

    async fn fly(mut self) {
        let outcome = match rt::timeout(self.session.policy().flight_deadline, self.bring()).await {
            Ok(outcome) => outcome,
            Err(rt::NotInTime::Elapsed) => Err(self.out_of_time()),
            Err(rt::NotInTime::NoTimer) => Err(Failed::before_sending(ErrorKind::NoRuntime, None)),
        };
        match outcome {
            Ok(Brought::Granted(issued, kind, turn)) => self.store_and_land(issued, kind, turn).await,
            Ok(Brought::TakenOver) => self.land(Ok(Landing::TakenOver), self.started, 0.0),
            Err(failed) => {
                let (now, roll) = (self.session.now(), self.session.policy().roll());
                self.land(Err(failed), now, roll);
                self.session.save_soon();
            }
        }
    }

    /// Stores, then publishes, then wakes. Whatever panics on the way, the grant is put in place.
    async fn store_and_land(&mut self, issued: Arc<Issued>, kind: GrantKind, turn: Option<Box<Turn>>) {
        let unsaved = self.unsaved(turn.as_deref(), kind);
        let granted = Granted { issued, kind, unsaved };
        self.granted = Some(granted.clone());
        let saved = match &turn {
            // In the time of one call, all in all: no longer do its waiters wait.
            Some(turn) => {
                let save = Box::pin(caught(self.save(turn, &granted)));
                Some(call(save, self.session.policy().store_call()).await)
            }
            None => None,
        };
        let (landing, failed) = match saved {
            Some(Ok(Saved::Superseded)) => (Landing::TakenOver, None),
            Some(Ok(Saved::Done(version))) => (Landing::Granted(granted, Some(version)), None),
            Some(Err(error)) => (Landing::Granted(granted, None), Some(error)),
            None => (Landing::Granted(granted, None), None),
        };
        self.land(Ok(landing), self.started, 0.0);
        self.report(failed);
        if let Some(turn) = turn {
            turn.release().await;
        }
    }

    /// Says what could not be stored, and has it tried again.
    fn report(&self, failed: Option<StoreError>) {
        if let Some(error) = failed {
            self.session.store_failed(error);
        }
        self.session.save_soon();
    }

    /// Takes a note for whatever comes after this flight, unless it has been superseded.
    fn change(&self, note: impl FnOnce(&mut Snapshot)) {
        self.session.transition(|state| {
            if self.is_current(state) {
                note(state);
            }
            ((), None)
        });
    }

    fn is_current(&self, state: &Snapshot) -> bool {
        state.flight.as_ref().is_some_and(|flight| flight.is(&self.flight))
    }

    /// Publishes, then wakes: whoever is woken finds the new state in place. A flight that has been superseded
    /// changes nothing. No code of the application's runs in here.
    fn land(&mut self, outcome: Result<Landing, Failed>, now: Now, roll: f64) {
        let landing = self.session.transition(|state| {
            if !self.is_current(state) {
                return (None, None);
            }
            match outcome {
                Ok(Landing::Granted(granted, version)) => {
                    state.install_granted(granted.issued, granted.unsaved, version);
                    state.login_refused &= granted.kind != GrantKind::Login;
                    (Some(Ok(state.generation)), Some(Event::TokenChanged { generation: state.generation }))
                }
                Ok(Landing::TakenOver) => {
                    state.flight = None;
                    if !self.has_asked.load(Ordering::Relaxed) {
                        state.guard.take_back(self.started.monotonic);
                    }
                    (Some(Ok(state.generation)), None)
                }
                Err(failed) => {
                    // The guard is there for the token endpoint, which was not asked.
                    if failed.kind == ErrorKind::Store && !self.has_asked.load(Ordering::Relaxed) {
                        state.guard.take_back(self.started.monotonic);
                    }
                    let failure = state.fail(&failed, self.sign_in, now, roll, self.session.policy());
                    let event = Event::RefreshFailed { generation: state.generation, failure: failure.clone() };
                    (Some(Err((failed, failure))), Some(event))
                }
            }
        });
        self.flight.land(match &landing {
            Some(Err((_, failure))) => Err(failure.clone()),
            Some(Ok(brought)) => Ok(Some(*brought)),
            None => Ok(None),
        });
        self.landed = true;
        let generation = self.session.current().generation.get();
        match landing {
            Some(Ok(_)) => tracing::info!(generation, "a new token is in place"),
            Some(Err((failed, _))) => tracing::warn!(generation, failure = %failed, "no new token"),
            None => tracing::debug!(generation, "the token set was replaced meanwhile; the answer is discarded"),
        }
    }
}

impl<P: Provider> Drop for Driver<P> {
    fn drop(&mut self) {
        if self.landed {
            return;
        }
        if let Some(granted) = self.granted.take() {
            self.land(Ok(Landing::Granted(granted, None)), self.started, 0.0);
            self.report(None);
            return;
        }
        // The clock and the jitter are the application's code, which may be what has just panicked.
        let now = catch_unwind(AssertUnwindSafe(|| self.session.now())).unwrap_or(self.started);
        self.land(Err(Failed::of_kind(ErrorKind::Aborted)), now, 1.0);
    }
}
