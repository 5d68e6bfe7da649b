//! What a session knows at one moment, and what follows from it: pure, and told the time.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{
    clock::Now,
    credential::Credential,
    error::{ErrorKind, RefreshFailure},
    provider::Reason,
    session::{
        failure::Failed,
        flight::{Flight, Ticket},
        lifetime::{Freshness, Lifetime},
        policy::RefreshPolicy,
    },
    token::{Generation, TokenSet},
};

/// Everything a session knows, replaced as a whole, so that every reader sees one generation.
#[derive(Clone, Default)]
pub(crate) struct Snapshot {
    pub(crate) generation: Generation,
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
    /// The last failure for this generation.
    pub(crate) failure: Option<Remembered>,
    /// Transient failures in a row.
    strikes: u32,
    /// When the flights started that the guard counts.
    starts: Vec<Instant>,
}

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
    /// When the first of the failures in a row happened.
    pub(crate) since: Now,
    /// `None`: not until somebody signs in.
    until: Option<Instant>,
}

/// What to do with a request.
pub(crate) enum Plan<'a> {
    Send(&'a Arc<Issued>),
    /// Send it, and have the next token fetched.
    SendAndRefresh(&'a Arc<Issued>),
    /// Wait for the flight, or start one.
    Wait,
    Refuse(RefreshFailure),
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
    /// What to do with a request now.
    pub(crate) fn plan(&self, now: Now, policy: &RefreshPolicy) -> Plan<'_> {
        if self.signed_out {
            return Plan::Refuse(signed_out());
        }
        let Some(token) = &self.token else {
            return self.wait_or(now, policy, Plan::Refuse);
        };
        if self.is_held() {
            return Plan::Wait;
        }
        match token.lifetime.at(now) {
            Freshness::Fresh => Plan::Send(token),
            Freshness::Soft if self.flight.is_none() && self.may_start(now, policy).is_ok() => {
                Plan::SendAndRefresh(token)
            }
            Freshness::Soft => Plan::Send(token),
            Freshness::Hard => self.wait_or(now, policy, |_| Plan::Send(token)),
            Freshness::Expired => self.wait_or(now, policy, Plan::Refuse),
        }
    }

    fn wait_or<'a>(
        &'a self,
        now: Now,
        policy: &RefreshPolicy,
        otherwise: impl FnOnce(RefreshFailure) -> Plan<'a>,
    ) -> Plan<'a> {
        match self.flight.as_ref().map_or_else(|| self.may_start(now, policy), |_| Ok(())) {
            Ok(()) => Plan::Wait,
            Err(failure) => otherwise(failure),
        }
    }

    /// Whether requests wait although they have a token: it was rejected, and its successor is on the way.
    pub(crate) fn is_held(&self) -> bool {
        self.rejected && self.flight.is_some()
    }

    /// The token, unless its end has come or the application signed out.
    pub(crate) fn unexpired(&self, now: Now) -> Option<&Arc<Issued>> {
        self.token.as_ref().filter(|token| token.lifetime.at(now) != Freshness::Expired)
    }

    /// Whether a flight may start now, if none is running.
    pub(crate) fn may_start(&self, now: Now, policy: &RefreshPolicy) -> Result<(), RefreshFailure> {
        if self.signed_out {
            return Err(signed_out());
        }
        if let Some(remembered) = &self.failure {
            if remembered.until.is_none_or(|until| now.monotonic < until) {
                return Err(remembered.failure.clone());
            }
        }
        let never = policy.guard_flights == 0;
        if never && self.token.is_some() {
            return Err(RefreshFailure::new(ErrorKind::TooManyRefreshes, None, None));
        }
        // Without a token it is a first login, which no limit of 0 forbids.
        if never || !self.is_counted(now) {
            return Ok(());
        }
        let mut within = self.starts.iter().filter(|start| in_window(**start, now, policy));
        match within.clone().count() {
            count if count < policy.guard_flights => Ok(()),
            _ => {
                let free = within.next().map(|oldest| policy.guard_window.saturating_sub(now.monotonic - *oldest));
                let retry_at = free.and_then(|free| now.wall.checked_add(free));
                Err(RefreshFailure::new(ErrorKind::TooManyRefreshes, retry_at, None))
            }
        }
    }

    /// Whether the guard counts a flight that starts now: not when the token has served for half of its life.
    fn is_counted(&self, now: Now) -> bool {
        self.token.as_ref().is_none_or(|token| !token.lifetime.is_half_over(now))
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

    // ===== transitions =====

    /// Asks for the successor of generation `seen`. A flight that has to start is returned beside its ticket; where
    /// none `can_fly`, that is an error of this caller alone, and nothing to remember.
    pub(crate) fn join(
        &mut self,
        seen: Generation,
        rejected: bool,
        can_fly: bool,
        now: Now,
        policy: &RefreshPolicy,
    ) -> (Joined, Option<Flight>) {
        if self.generation != seen {
            return (Joined::Changed, None);
        }
        self.rejected |= rejected;
        if let Some(flight) = &self.flight {
            return (Joined::Flying(flight.ticket()), None);
        }
        match self.may_start(now, policy) {
            Err(failure) => (Joined::Refused(failure), None),
            Ok(()) if !can_fly => (Joined::Refused(no_runtime()), None),
            Ok(()) => {
                let flight = self.start(now, policy);
                (Joined::Flying(flight.ticket()), Some(flight))
            }
        }
    }

    /// Starts a login at the application's wish, whatever is remembered.
    pub(crate) fn start_sign_in(&mut self, now: Now, policy: &RefreshPolicy) -> Flight {
        self.signed_out = false;
        self.login_refused = false;
        self.start(now, policy)
    }

    fn start(&mut self, now: Now, policy: &RefreshPolicy) -> Flight {
        if self.is_counted(now) {
            self.starts.retain(|start| in_window(*start, now, policy));
            self.starts.push(now.monotonic);
        }
        self.flight.insert(Flight::new()).clone()
    }

    /// Puts a new token set in place, whatever was known of the old one.
    pub(crate) fn install(&mut self, token: Arc<Issued>) {
        self.generation = self.generation.next();
        self.token = Some(token);
        self.signed_out = false;
        self.forget();
    }

    /// Takes the token set away.
    pub(crate) fn sign_out(&mut self) {
        self.generation = self.generation.next();
        self.token = None;
        self.signed_out = true;
        self.forget();
    }

    fn forget(&mut self) {
        self.rejected = false;
        self.refresh_refused = false;
        self.spending = false;
        self.flight = None;
        self.failure = None;
        self.strikes = 0;
    }

    /// Takes note of a failed flight: how it ended, and when the next may start. A failed sign-in says nothing about
    /// the token set that is in place.
    pub(crate) fn fail(&mut self, failed: &Failed, sign_in: bool, now: Now, policy: &RefreshPolicy) -> RefreshFailure {
        let since = self.failure.as_ref().map_or(now, |earlier| earlier.since);
        self.flight = None;
        self.login_refused |= failed.login_refused;
        self.refresh_refused |= failed.refresh_refused;
        if sign_in && self.token.is_some() {
            return failed.share(None);
        }
        if failed.permanent {
            let failure = failed.share(None);
            self.failure = Some(Remembered { failure: failure.clone(), since, until: None });
            return failure;
        }
        let backoff = match failed.retry_after {
            Some(retry_after) => retry_after.min(policy.retry_after_max),
            None if failed.kind == ErrorKind::Aborted => Duration::ZERO,
            None => {
                let longest = match self.unexpired(now) {
                    Some(_) => policy.backoff_max,
                    None => policy.backoff_max_without_token,
                };
                let doubled = policy.backoff_min.saturating_mul(1 << self.strikes.min(16));
                doubled.min(longest).mul_f64(policy.roll())
            }
        };
        self.strikes = self.strikes.saturating_add(1);
        let failure = failed.share(now.wall.checked_add(backoff));
        let until = now.monotonic.checked_add(backoff);
        self.failure = Some(Remembered { failure: failure.clone(), since, until });
        failure
    }
}

pub(crate) fn no_runtime() -> RefreshFailure {
    RefreshFailure::new(ErrorKind::NoRuntime, None, None)
}

pub(crate) fn signed_out() -> RefreshFailure {
    RefreshFailure::new(ErrorKind::SignedOut, None, None)
}

fn in_window(start: Instant, now: Now, policy: &RefreshPolicy) -> bool {
    now.monotonic.saturating_duration_since(start) < policy.guard_window
}
