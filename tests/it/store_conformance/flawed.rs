//! A store in memory whose every call waits once, with one flaw or none.

mod flaw;
mod lease;

use std::{
    future::{Future, pending, ready},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use tokio::{sync::watch, task::yield_now, time::Instant};
use tower_auth_refresh::{
    store::{Lease, StoreError, StoreErrorKind, StoreFuture, TokenStore},
    token::{FencingToken, Generation, Stored, TokenSet, Version},
};

pub use flaw::Flaw;
use lease::FlawedLease;

use Flaw::*;

/// One handle.
pub struct Flawed {
    shared: Arc<Shared>,
    /// What only this handle knows.
    own: Mutex<State>,
}

pub struct Shared {
    flaw: Flaw,
    lasts: Option<Duration>,
    state: Mutex<State>,
    changes: watch::Sender<()>,
}

#[derive(Default)]
struct State {
    stored: Option<Stored>,
    held: Option<(FencingToken, Option<Instant>)>,
    drawn: u64,
}

impl Shared {
    /// A store whose leases last for so long, or until they are released or dropped.
    pub fn new(flaw: Flaw, lasts: Option<Duration>) -> Arc<Self> {
        let stored = (flaw == HoldsSomethingAtFirst).then(|| Stored::new(TokenSet::new("S3CR3T"), Generation::from(1)));
        let state = Mutex::new(State { stored, ..State::default() });
        Arc::new(Self { flaw, lasts, state, changes: watch::Sender::default() })
    }

    pub fn open(self: &Arc<Self>) -> Flawed {
        Flawed { shared: Arc::clone(self), own: Mutex::default() }
    }

    /// The access token of what is stored.
    pub fn access_token(&self) -> Option<String> {
        let state = self.state();
        let token = state.stored.as_ref()?.token.as_ref()?;
        Some(super::exposed(token.access_token()))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn is(&self, flaw: Flaw) -> bool {
        self.flaw == flaw
    }

    /// When a lease that is taken or renewed now is over.
    #[allow(clippy::disallowed_methods, reason = "the clock of the runtime, which is paused")]
    fn end(&self) -> Option<Instant> {
        self.lasts.map(|lasts| Instant::now() + lasts)
    }

    fn give_back(&self, fence: FencingToken, for_others: bool) {
        let mut state = self.state();
        if for_others || state.held.is_some_and(|(held, _)| held == fence) {
            state.held = None;
        }
        drop(state);
        if !self.is(NeverWakes) && !self.is(WakesOnSavesOnly) {
            self.changes.send_replace(());
        }
    }

    fn is_expected(&self, current: Option<Version>, expected: Option<Version>) -> bool {
        let (Some(current), Some(expected)) = (current, expected) else {
            let is_passed = (current.is_none() && self.is(SavesWhereNothingIs))
                || (expected.is_none() && self.is(SavesWhereNothingWasExpected));
            return is_passed || current == expected;
        };
        let float = |version: Version| version.generation.get() as f64;
        match self.flaw {
            ComparesNoGenerations => current.fence == expected.fence,
            ComparesGenerationsAsFloats => current.fence == expected.fence && float(current) == float(expected),
            ComparesNoFences => current.generation == expected.generation,
            _ => current == expected,
        }
    }

    /// What this store makes of what it is given.
    fn kept(&self, stored: &Stored) -> Option<Stored> {
        let mut kept = stored.clone();
        match (self.flaw, &stored.token) {
            (DropsExtra, Some(token)) if !token.extra().is_empty() => {
                kept.token = Some(TokenSet::new(token.access_token().clone()));
            }
            (CutsLongTokens, Some(token)) => {
                let cut: String = super::exposed(token.access_token()).chars().take(4096).collect();
                if cut.len() == 4096 {
                    kept.token = Some(TokenSet::new(cut).with_expiry(token.expiry()));
                }
            }
            (DropsTheRefusedLogin, Some(_)) => kept.login_refused = None,
            (ForgetsSignOuts, None) => return None,
            (NumbersSignOutsAnew, None) => kept.generation = Generation::default(),
            _ => {}
        }
        Some(kept)
    }
}

impl Flawed {
    fn take(&self, above: Option<FencingToken>) -> Option<FencingToken> {
        (self.is_free() || self.shared.is(LeasesToAll)).then(|| self.draw(above))
    }

    #[allow(clippy::disallowed_methods, reason = "the clock of the runtime, which is paused")]
    fn is_free(&self) -> bool {
        let held = match self.shared.flaw {
            LeasesOncePerHandle => self.own.lock().unwrap().held,
            _ => self.shared.state().held,
        };
        held.is_none_or(|(_, end)| end.is_some_and(|end| end <= Instant::now()))
    }

    fn draw(&self, above: Option<FencingToken>) -> FencingToken {
        let shared = &self.shared;
        let (mut own, mut state) = (self.own.lock().unwrap(), shared.state());
        let stored = state.stored.as_ref().and_then(|stored| stored.fence).map_or(0, FencingToken::get);
        let (drawn, above) = (state.drawn, above.map_or(0, FencingToken::get));
        let next = match shared.flaw {
            RepeatsFences => drawn.max(stored).max(above).max(1),
            CountsFencesPerHandle => own.drawn.max(above) + 1,
            DrawsFromWhatIsStored => stored.max(above) + 1,
            IgnoresWhatASessionHasSeen => drawn.max(stored) + 1,
            _ => drawn.max(stored).max(above) + 1,
        };
        own.drawn = next;
        state.drawn = if shared.is(ForgetsWhatASessionHasSeen) && above > 0 { drawn } else { next };
        let held = Some((FencingToken::from(next), shared.end()));
        (own.held, state.held) = (held, held);
        FencingToken::from(next)
    }
}

impl TokenStore for Flawed {
    fn load(&self) -> StoreFuture<'_, Option<Stored>> {
        Box::pin(async {
            yield_now().await;
            match self.shared.flaw {
                FailsToLoad => Err(StoreError::new(StoreErrorKind::Unavailable, "cannot reach the flawed store")),
                NeverAnswersALoad => pending().await,
                ReadsItsOwnCopy => {
                    let mut own = self.own.lock().unwrap();
                    let stored = self.shared.state().stored.clone();
                    // Once there is something, it never looks again.
                    own.stored = own.stored.take().or(stored);
                    Ok(own.stored.clone())
                }
                _ => Ok(self.shared.state().stored.clone()),
            }
        })
    }

    fn try_lease(&self, above: Option<FencingToken>) -> StoreFuture<'_, Option<Box<dyn Lease>>> {
        let shared = &self.shared;
        let taken_at_once = shared.is(LosesLeasesBeforeTheFirstPoll).then(|| self.take(above));
        Box::pin(async move {
            yield_now().await;
            let taken = match taken_at_once {
                Some(taken) => taken,
                None if shared.is(ChecksThenTakes) => {
                    let is_free = self.is_free();
                    yield_now().await;
                    is_free.then(|| self.draw(above))
                }
                None => self.take(above),
            };
            if shared.is(LosesLeases) {
                yield_now().await;
            }
            let lease = taken.map(|fence| FlawedLease { shared: Arc::clone(shared), fence });
            Ok(lease.map(|lease| Box::new(lease) as Box<dyn Lease>))
        })
    }

    fn changed(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        if self.shared.is(WakesAllTheTime) {
            return Box::pin(ready(()));
        }
        let shared = &self.shared;
        let subscribed = (!shared.is(WaitsFromTheFirstPoll)).then(|| shared.changes.subscribe());
        Box::pin(async move {
            let mut changes = subscribed.unwrap_or_else(|| shared.changes.subscribe());
            changes.changed().await.unwrap();
        })
    }
}
