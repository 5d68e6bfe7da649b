//! The refresh guard: so many flights in so long a time, and then no more.

use std::time::{Duration, Instant};

use crate::session::policy::RefreshPolicy;

/// When the flights started that count, the oldest first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Guard(Vec<Instant>);

impl Guard {
    /// How long it takes until another flight may start; `None`: it may now.
    pub(crate) fn wait(&self, now: Instant, policy: &RefreshPolicy) -> Option<Duration> {
        let mut within = self.0.iter().map(|start| age(*start, now)).filter(|age| *age < policy.guard_window);
        let is_full = within.clone().count() >= policy.guard_flights;
        is_full.then(|| within.next().map(|oldest| policy.guard_window.saturating_sub(oldest)).unwrap_or_default())
    }

    /// Counts a flight that starts now.
    pub(crate) fn count(&mut self, now: Instant, policy: &RefreshPolicy) {
        self.0.retain(|start| age(*start, now) < policy.guard_window);
        self.0.push(now);
    }

    /// Does not count a flight after all: it has called nobody.
    pub(crate) fn take_back(&mut self, start: Instant) {
        if let Some(counted) = self.0.iter().rposition(|counted| *counted == start) {
            self.0.remove(counted);
        }
    }
}

fn age(start: Instant, now: Instant) -> Duration {
    now.saturating_duration_since(start)
}
