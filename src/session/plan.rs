//! What follows from what a session knows: pure, and told the time.

use std::{sync::Arc, time::Duration};

use crate::{
    clock::Now,
    error::{ErrorKind, RefreshFailure},
    session::{
        flight::Flight,
        lifetime::Freshness,
        policy::RefreshPolicy,
        state::{Issued, Remembered, Snapshot, signed_out},
    },
};

/// What to do with a request.
pub(crate) enum Plan<'a> {
    Send(&'a Arc<Issued>),
    /// Send it, and have the next token fetched.
    SendAndRefresh(&'a Arc<Issued>),
    /// Wait for the flight, or start one.
    Wait,
    Refuse(RefreshFailure),
}

/// What keeps a flight from starting.
pub(super) enum Hindrance<'a> {
    SignedOut,
    Failure(&'a Remembered),
    /// `None`: whatever the time, because the limit is 0.
    Guard {
        wait: Option<Duration>,
    },
}

impl Snapshot {
    /// What to do with a request now.
    pub(crate) fn plan(&self, now: Now, policy: &RefreshPolicy) -> Plan<'_> {
        if self.signed_out && !self.flight.as_ref().is_some_and(Flight::is_sign_in) {
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
            Freshness::Soft if self.flight.is_none() && self.hindrance(now, policy).is_none() => {
                Plan::SendAndRefresh(token)
            }
            Freshness::Soft => Plan::Send(token),
            Freshness::Hard => self.wait_or(now, policy, |_| Plan::Send(token)),
            Freshness::Expired => self.wait_or(now, policy, |failure| match self.overdue(now, policy) {
                Some(token) => Plan::Send(token),
                None => Plan::Refuse(failure),
            }),
        }
    }

    fn wait_or<'a>(
        &'a self,
        now: Now,
        policy: &RefreshPolicy,
        otherwise: impl FnOnce(RefreshFailure) -> Plan<'a>,
    ) -> Plan<'a> {
        match self.hindrance(now, policy) {
            Some(hindrance) if self.flight.is_none() => otherwise(self.refusal(hindrance, now)),
            _ => Plan::Wait,
        }
    }

    /// What is said to whoever asks for a flight that may not start.
    pub(super) fn refusal(&self, hindrance: Hindrance<'_>, now: Now) -> RefreshFailure {
        match hindrance {
            Hindrance::SignedOut => signed_out(),
            Hindrance::Failure(remembered) => remembered.failure.clone(),
            Hindrance::Guard { wait } => {
                let retry_at = wait.and_then(|wait| self.skew.undo(now).wall.checked_add(wait));
                RefreshFailure::of_kind(ErrorKind::TooManyRefreshes, retry_at)
            }
        }
    }

    /// The token, unless its end has come or the application signed out.
    pub(crate) fn unexpired(&self, now: Now) -> Option<&Arc<Issued>> {
        self.token.as_ref().filter(|token| token.lifetime.at(now) != Freshness::Expired)
    }

    /// The token that is sent where no flight has brought its successor.
    pub(crate) fn servable(&self, now: Now, policy: &RefreshPolicy) -> Option<&Arc<Issued>> {
        self.unexpired(now).or_else(|| self.overdue(now, policy))
    }

    /// The expired token, while the policy lets it serve in an outage.
    fn overdue(&self, now: Now, policy: &RefreshPolicy) -> Option<&Arc<Issued>> {
        let is_outage = self.failure.as_ref().is_some_and(|remembered| remembered.failure.kind().is_outage());
        let token = self.token.as_ref().filter(|_| is_outage && !self.rejected && !self.signed_out)?;
        (!token.lifetime.is_over_by(policy.serve_expired, now)).then_some(token)
    }

    /// How long until the token's successor is due, whether anybody asks or not, and may be fetched. `None`: not before
    /// something changes.
    pub(crate) fn due_in(&self, now: Now, policy: &RefreshPolicy) -> Option<Duration> {
        let token = self.token.as_ref()?;
        let due = if self.rejected { Duration::ZERO } else { token.lifetime.until_soft(now)? };
        match self.hindrance(now, policy) {
            Some(hindrance) => Some(due.max(hindrance.ends_in(now)?)),
            None => Some(due),
        }
    }

    /// What keeps a flight from starting now, if none is running. Nothing is allocated for the answer: in the soft
    /// window each request asks.
    pub(super) fn hindrance(&self, now: Now, policy: &RefreshPolicy) -> Option<Hindrance<'_>> {
        if self.signed_out {
            return Some(Hindrance::SignedOut);
        }
        if let Some(remembered) = &self.failure
            && remembered.until.is_none_or(|until| !until.is_reached(now))
        {
            return Some(Hindrance::Failure(remembered));
        }
        let never = policy.guard_flights == 0;
        if never && self.token.is_some() {
            return Some(Hindrance::Guard { wait: None });
        }
        // Without a token it is a first login, which no limit of 0 forbids.
        if never || !self.is_counted(now) {
            return None;
        }
        let wait = self.guard.wait(now.monotonic, policy)?;
        Some(Hindrance::Guard { wait: Some(wait) })
    }

    /// Whether the guard counts a flight that starts now: not when the token has served for half of its life (or what
    /// the policy says), unless the last flight has failed; and not when it was one without a call.
    pub(super) fn is_counted(&self, now: Now) -> bool {
        if self.failure.as_ref().is_some_and(Remembered::is_rechecked) {
            return false;
        }
        self.strikes > 0 || self.token.as_ref().is_none_or(|token| !token.lifetime.is_settled(now))
    }
}

impl Hindrance<'_> {
    fn ends_in(&self, now: Now) -> Option<Duration> {
        match self {
            Self::SignedOut => None,
            Self::Failure(remembered) => Some(remembered.until?.until(now)),
            Self::Guard { wait } => *wait,
        }
    }
}
