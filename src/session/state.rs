//! What a session knows at one moment, and how it changes: pure, and told the time.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use crate::{
    clock::Now,
    credential::Credential,
    error::{ErrorKind, FailureClass, RefreshFailure},
    provider::Reason,
    session::{
        failure::Failed,
        flight::{Flight, Ticket},
        guard::Guard,
        lifetime::{Lifetime, Moment},
        policy::RefreshPolicy,
        skew::Skew,
        sync::{Sync, Unsaved},
    },
    token::{Generation, TokenSet, Version},
};

/// Everything a session knows, replaced as a whole, so that every reader sees one generation.
#[derive(Clone, Default)]
pub(crate) struct Snapshot {
    pub(crate) generation: Generation,
    /// The number that the same token set had before the store gave it another.
    former: Option<Generation>,
    /// The largest number that any token set has had here, and how often one came that was no larger.
    numbers: (u64, u32),
    pub(crate) token: Option<Arc<Issued>>,
    /// The application signed out.
    pub(crate) signed_out: bool,
    /// The API rejected this generation.
    pub(crate) rejected: bool,
    /// The token endpoint refused to refresh this generation.
    pub(crate) refresh_refused: bool,
    /// This generation's single-use refresh token was sent, and nothing proves that it was not spent.
    pub(crate) spending: bool,
    /// The configured login was refused. Outlives the generation: wrong passwords freeze accounts.
    pub(crate) login_refused: bool,
    pub(crate) flight: Option<Flight>,
    /// How many flights have started, sign-ins too.
    pub(crate) flights: u64,
    /// The last failure for this generation.
    pub(crate) failure: Option<Remembered>,
    /// How far a store agrees with this.
    pub(crate) sync: Sync,
    /// What a refresh of this generation brought when it had ended already. It is never sent, but it has taken the place
    /// of the refresh token that it was granted for.
    ended: Option<Arc<TokenSet>>,
    /// Transient failures in a row.
    pub(super) strikes: u32,
    pub(super) guard: Guard,
    /// How far this machine's clock is from the token endpoint's. Outlives the generation.
    pub(crate) skew: Skew,
}

/// How long the provider's word that somebody must sign in holds before it is asked again.
const RECHECK: Duration = Duration::from_secs(30);

/// A token set that is in use.
pub(crate) struct Issued {
    pub(crate) token: TokenSet,
    pub(crate) credential: Credential,
    pub(crate) lifetime: Lifetime,
}

/// A failure that keeps the session from trying again at once.
#[derive(Clone)]
pub(crate) struct Remembered {
    pub(crate) failure: RefreshFailure,
    /// When the first of the failures in a row happened, by this machine's clock.
    pub(crate) since: SystemTime,
    /// `None`: not until somebody signs in.
    pub(super) until: Option<Moment>,
}

/// What came of asking for the next token.
pub(crate) enum Joined {
    /// A flight is in progress.
    Flying(Ticket),
    /// The generation that was asked about has been replaced.
    Changed,
    /// No flight may start now.
    Refused(RefreshFailure),
}

impl Snapshot {
    /// Whether requests wait although they have a token: it was rejected, and its successor is on the way.
    pub(crate) fn is_held(&self) -> bool {
        self.rejected && self.flight.is_some()
    }

    /// The token set that the next one is asked for with.
    pub(crate) fn renewed_from(&self) -> Option<&TokenSet> {
        self.ended.as_deref().or(self.token.as_ref().map(|issued| &issued.token))
    }

    /// Why the next flight asks for a grant.
    pub(crate) fn reason(&self) -> Reason {
        match self {
            Self { token: None, .. } => Reason::NoToken,
            Self { refresh_refused: true, .. } => Reason::RefreshRefused,
            Self { spending: true, .. } => Reason::MaybeSpent,
            Self { rejected: true, .. } => Reason::Rejected,
            _ => Reason::Due,
        }
    }

    /// The token sets that there are.
    pub(crate) fn tokens(&self) -> impl Iterator<Item = &TokenSet> {
        self.ended.as_deref().into_iter().chain(self.token.as_ref().map(|issued| &issued.token))
    }

    // ===== transitions =====

    /// Asks for the successor of generation `seen`. A flight that has to start is returned beside its ticket; where
    /// none `can_fly`, that is an error of this caller alone, and nothing to remember.
    pub(crate) fn join(
        &mut self,
        seen: Generation,
        rejected: bool,
        can_fly: impl FnOnce() -> bool,
        now: Now,
        policy: &RefreshPolicy,
    ) -> (Joined, Option<Flight>) {
        if self.generation != seen && self.former != Some(seen) {
            return (Joined::Changed, None);
        }
        self.rejected |= rejected;
        if let Some(flight) = &self.flight {
            return (Joined::Flying(flight.ticket()), None);
        }
        match self.hindrance(now, policy) {
            Some(hindrance) => (Joined::Refused(self.refusal(hindrance, now)), None),
            None if !can_fly() => (Joined::Refused(no_runtime()), None),
            None => {
                let flight = self.start(now, policy);
                (Joined::Flying(flight.ticket()), Some(flight))
            }
        }
    }

    /// Joins the flight in progress, and says whether it is a sign-in; or starts a login at the application's wish,
    /// whatever is remembered. The guard does not count it.
    pub(crate) fn join_sign_in(
        &mut self,
        can_fly: impl FnOnce() -> bool,
        policy: &RefreshPolicy,
    ) -> (Result<(Ticket, bool), RefreshFailure>, Option<Flight>) {
        if let Some(flight) = &self.flight {
            return (Ok((flight.ticket(), flight.is_sign_in())), None);
        }
        if !can_fly() {
            return (Err(no_runtime()), None);
        }
        let flight = self.depart(true, policy);
        (Ok((flight.ticket(), true)), Some(flight))
    }

    fn start(&mut self, now: Now, policy: &RefreshPolicy) -> Flight {
        if self.is_counted(now) {
            self.guard.count(now.monotonic, policy);
        }
        self.depart(false, policy)
    }

    fn depart(&mut self, sign_in: bool, policy: &RefreshPolicy) -> Flight {
        self.flights = self.flights.saturating_add(1);
        // What it brings is stored before it lands.
        let saving = if self.sync.has_store { policy.store_call() } else { Duration::ZERO };
        self.flight.insert(Flight::new(policy.flight_deadline.saturating_add(saving), sign_in)).clone()
    }

    /// Gives up a flight that somebody has waited for in vain: the runtime that it flies on is not driven any more, and
    /// with it the timer that should have ended it. Should it come back, it finds that it is not the current one.
    pub(crate) fn give_up_lost(&mut self, now: Now, policy: &RefreshPolicy) -> Option<RefreshFailure> {
        let lost = self.flight.take_if(|flight| flight.is_lost())?;
        Some(self.fail(&Failed::of_kind(ErrorKind::TimedOut), lost.is_sign_in(), now, 1.0, policy))
    }

    /// Puts a new token set in place, whatever was known of the old one.
    pub(crate) fn install(&mut self, token: Arc<Issued>) {
        self.install_as(self.generation.next(), token);
    }

    fn install_as(&mut self, number: Generation, token: Arc<Issued>) {
        self.generation = self.numbered(number);
        self.token = Some(token);
        self.signed_out = false;
        self.forget();
    }

    /// The number for another token set than any that has had it: a store that was flushed gives numbers a second time, and
    /// two processes may give the same one to two sets.
    pub(super) fn numbered(&mut self, generation: Generation) -> Generation {
        let (largest, editions) = &mut self.numbers;
        if generation.get() > *largest {
            *largest = generation.get();
            return generation.in_edition(0);
        }
        *editions = editions.wrapping_add(1);
        generation.in_edition(*editions)
    }

    /// Puts a grant in place, which the store holds as `version`, or does not hold yet.
    pub(crate) fn install_granted(&mut self, token: Arc<Issued>, unsaved: Option<Unsaved>, version: Option<Version>) {
        self.install_as(version.map_or(self.generation.next(), |version| version.generation), token);
        self.sync.initial = None;
        self.sync.unsaved = if version.is_some() { None } else { unsaved };
        self.sync.outgrows_if(unsaved);
        if let Some(version) = version {
            self.agree(version);
        }
    }

    /// Takes the token set away.
    pub(crate) fn sign_out(&mut self) {
        self.generation = self.numbered(self.generation.next());
        self.token = None;
        self.signed_out = true;
        self.forget();
    }

    /// Keeps a token set that had ended when a refresh brought it: the refresh has spent what it was made with. (A login
    /// can simply be repeated.)
    pub(crate) fn keep_ended(&mut self, token: TokenSet, unsaved: Option<Unsaved>) {
        self.ended = Some(Arc::new(token));
        self.spending = false;
        self.sync.unsaved = unsaved;
        self.sync.outgrows_if(unsaved);
        if self.sync.version.is_some() {
            // The others must not take it for the set that it follows.
            self.renumber(self.generation.next());
        }
    }

    /// Gives the token set that is in place another number: who was rejected with it under the old one still means it.
    pub(crate) fn renumber(&mut self, generation: Generation) {
        if self.generation.get() != generation.get() {
            let generation = self.numbered(generation);
            self.former = Some(std::mem::replace(&mut self.generation, generation));
        }
    }

    pub(super) fn forget(&mut self) {
        self.former = None;
        self.ended = None;
        self.rejected = false;
        self.refresh_refused = false;
        self.spending = false;
        self.flight = None;
        self.failure = None;
        self.strikes = 0;
    }

    /// Takes note of a failed flight: how it ended, and when the next may start. A failed sign-in says nothing about
    /// the token set that is in place.
    pub(crate) fn fail(
        &mut self,
        failed: &Failed,
        sign_in: bool,
        now: Now,
        roll: f64,
        policy: &RefreshPolicy,
    ) -> RefreshFailure {
        let local = self.skew.undo(now).wall;
        let since = self.failure.as_ref().map_or(local, |earlier| earlier.since);
        self.flight = None;
        self.login_refused |= failed.login_refused;
        self.refresh_refused |= failed.refresh_refused;
        if sign_in && (self.token.is_some() || self.failure.as_ref().is_some_and(Remembered::is_permanent)) {
            return failed.share(None, self.spending);
        }
        if failed.permanent {
            let failure = failed.share(None, self.spending);
            // That nothing is left to ask for is the provider's word and not the server's: it may have gone by a clock
            // that is right again. To ask it once more costs no call.
            let recheck = (failed.kind == ErrorKind::SignInRequired).then_some(RECHECK);
            let until = recheck.map(|recheck| Moment::after(now, recheck));
            self.failure = Some(Remembered { failure: failure.clone(), since, until });
            return failure;
        }
        let left = self.unexpired(now).map(|token| token.lifetime.until_end(now));
        let backoff = failed.backoff(self.strikes, left, roll, policy);
        self.strikes = self.strikes.saturating_add(1);
        let failure = failed.share(local.checked_add(backoff), self.spending);
        let until = Some(Moment::after(now, backoff));
        self.failure = Some(Remembered { failure: failure.clone(), since, until });
        failure
    }
}

impl Remembered {
    /// Whether the next flight does no more than ask the provider once more whether there is anything to ask for.
    pub(super) fn is_rechecked(&self) -> bool {
        self.failure.kind() == ErrorKind::SignInRequired
    }

    fn is_permanent(&self) -> bool {
        self.failure.class() == FailureClass::Permanent
    }
}

pub(crate) fn no_runtime() -> RefreshFailure {
    RefreshFailure::of_kind(ErrorKind::NoRuntime, None)
}

pub(crate) fn signed_out() -> RefreshFailure {
    RefreshFailure::of_kind(ErrorKind::SignedOut, None)
}
