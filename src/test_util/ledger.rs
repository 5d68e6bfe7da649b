//! Which tokens are good: one family at a time, single-use refresh tokens, and the end of the family at reuse.

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use super::wire::Tokens;

/// What the authorization server and the API both go by.
#[derive(Default)]
pub(super) struct Ledger {
    number: u64,
    current: Option<Tokens>,
    /// The access token before the current one, and until when it is taken.
    previous: Option<(String, Instant)>,
    spent: HashSet<String>,
    /// Ended by a double spend, until the next login.
    revoked: bool,
    access_ended: bool,
    pub(super) grace: Duration,
}

/// Why a refresh token is refused.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It was never granted, or its family has ended.
    Dead,
    /// It was spent before: its whole family ends.
    DoubleSpent,
}

impl Ledger {
    /// The number of the token set that is granted next.
    pub(super) fn next_number(&self) -> u64 {
        self.number + 1
    }

    /// Whether this refresh token buys the next token set.
    pub(super) fn check(&mut self, presented: &str) -> Result<(), Refusal> {
        if self.spent.contains(presented) {
            self.revoked = true;
            return Err(Refusal::DoubleSpent);
        }
        let good = self.current.as_ref().is_some_and(|current| current.refresh == presented);
        if good && !self.revoked { Ok(()) } else { Err(Refusal::Dead) }
    }

    /// Puts token set `number` in the place of the current one.
    pub(super) fn install(&mut self, number: u64, tokens: Tokens, now: Instant) {
        if let Some(old) = self.current.take() {
            if old.refresh != tokens.refresh {
                self.spent.insert(old.refresh);
            }
            self.previous = now.checked_add(self.grace).map(|until| (old.access, until));
        }
        self.spent.remove(&tokens.refresh);
        self.number = number;
        self.current = Some(tokens);
        self.revoked = false;
        self.access_ended = false;
    }

    /// The current access token ends; its refresh token stays good.
    pub(super) fn end_access(&mut self) {
        self.access_ended = true;
        self.previous = None;
    }

    /// Whether the API takes a request that `carries` what it says.
    pub(super) fn accepts(&self, now: Instant, carries: impl Fn(&str) -> bool) -> bool {
        if self.revoked {
            return false;
        }
        let current = self.current.as_ref().filter(|_| !self.access_ended);
        current.is_some_and(|current| carries(&current.access))
            || self.previous.as_ref().is_some_and(|(access, until)| now < *until && carries(access))
    }
}
