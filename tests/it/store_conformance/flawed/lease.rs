//! What a holder does.

use std::{sync::Arc, time::Duration};

use tokio::{task::yield_now, time::Instant};
use tower_auth_refresh::{
    store::{Lease, StoreError, StoreErrorKind, StoreFuture, Swap},
    token::{FencingToken, Stored, Version},
};

use super::{super::WITHIN, Flaw::*, Shared};

pub struct FlawedLease {
    pub shared: Arc<Shared>,
    pub fence: FencingToken,
}

impl FlawedLease {
    async fn swap(&self, expected: Option<Version>, stored: &Stored, is_clear: bool) -> Swap {
        yield_now().await;
        let shared = &self.shared;
        let ignores = shared.is(SavesWhateverIsExpected) || (is_clear && shared.is(ClearsWhateverIsExpected));
        let ignores_newer = match shared.flaw {
            LetsOldHoldersSave => !is_clear,
            LetsOldHoldersClear => is_clear,
            _ => false,
        };
        {
            let mut state = shared.state();
            let current = state.stored.as_ref().map(Stored::version);
            let by_newer = current.and_then(|version| version.fence) > Some(self.fence);
            let is_old = state.held.is_none_or(|(held, _)| held != self.fence);
            let is_refused = (by_newer && !ignores_newer)
                || (!ignores && !shared.is_expected(current, expected))
                || (is_old && shared.is(StopsOldHolders));
            if is_refused {
                if shared.is(SavesInAConflict) {
                    state.stored = Some(stored.clone());
                }
                return Swap::Conflict;
            }
            state.stored = if shared.is(TearsWhatIsStored) { None } else { shared.kept(stored) };
        }
        if shared.is(TearsWhatIsStored) {
            yield_now().await;
            shared.state().stored = Some(stored.clone());
        }
        if !shared.is(NeverWakes) && !shared.is(WakesOnReleasesOnly) {
            shared.changes.send_replace(());
        }
        Swap::Done
    }
}

impl Lease for FlawedLease {
    fn fence(&self) -> FencingToken {
        self.fence
    }

    fn lasts(&self) -> Option<Duration> {
        self.shared.lasts
    }

    fn renew(&self) -> StoreFuture<'_, ()> {
        Box::pin(async {
            yield_now().await;
            let end = self.shared.end();
            match &mut self.shared.state().held {
                Some((held, until)) if *held == self.fence => {
                    if !self.shared.is(RenewsNothing) {
                        *until = end;
                    }
                    Ok(())
                }
                _ if self.shared.is(RenewsForOthers) => Ok(()),
                _ => Err(StoreError::new(StoreErrorKind::Lost, "the lease is over")),
            }
        })
    }

    fn save<'a>(&'a self, expected: Option<Version>, stored: &'a Stored) -> StoreFuture<'a, Swap> {
        Box::pin(async move { Ok(self.swap(expected, stored, false).await) })
    }

    fn clear<'a>(&'a self, expected: Option<Version>, tombstone: &'a Stored) -> StoreFuture<'a, Swap> {
        Box::pin(async move { Ok(self.swap(expected, tombstone, true).await) })
    }

    fn release(&self) -> StoreFuture<'_, ()> {
        Box::pin(async {
            yield_now().await;
            if !self.shared.is(KeepsWhatIsReleased) {
                self.shared.give_back(self.fence, self.shared.is(ReleasesForOthers));
            }
            Ok(())
        })
    }
}

impl Drop for FlawedLease {
    #[allow(clippy::disallowed_methods, reason = "the clock of the runtime, which is paused")]
    fn drop(&mut self) {
        let shared = &self.shared;
        match &mut shared.state().held {
            // Where leases end by themselves, nobody sees that one is dropped.
            _ if shared.lasts.is_some() => return,
            Some((held, end)) if *held == self.fence && shared.is(KeepsWhatIsDroppedForTooLong) => {
                *end = Some(Instant::now() + WITHIN + Duration::from_secs(1));
                return;
            }
            _ => {}
        }
        shared.give_back(self.fence, shared.is(DropsForOthers));
    }
}
