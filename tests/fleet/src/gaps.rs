//! For how long a process has no token, as its requests tell.

use std::time::{Duration, Instant};

/// There is no token from the beginning of a request that waits for one, is rejected or fails, until another is sent that is
/// answered well, in whichever lane. What several lanes wait for at once is counted once.
#[derive(Clone, Debug)]
pub struct Gaps {
    /// For each lane, when its request began, or the first of those that have failed since the last good answer.
    began: Vec<Option<Instant>>,
    /// When the last one was sent that was answered well.
    had: Option<Instant>,
}

impl Gaps {
    /// Of so many lanes.
    #[must_use]
    pub fn new(lanes: usize) -> Self {
        Self { began: vec![None; lanes], had: None }
    }

    /// A request begins.
    pub fn begin(&mut self, lane: usize, at: Instant) {
        self.began[lane].get_or_insert(at);
    }

    /// What was `sent` then has been answered well. Says for how long there had been no token.
    pub fn end(&mut self, lane: usize, sent: Instant) -> Duration {
        let gap = self.so_far(sent);
        self.began[lane] = None;
        self.had = self.had.max(Some(sent));
        gap
    }

    /// For how long there has been none by now.
    #[must_use]
    pub fn so_far(&self, now: Instant) -> Duration {
        let began = self.began.iter().flatten().min();
        began.map_or(Duration::ZERO, |began| {
            now.saturating_duration_since(self.had.map_or(*began, |had| had.max(*began)))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn what_is_sent_at_once_leaves_no_gap() {
        let (mut gaps, now) = (Gaps::new(2), Instant::now());
        gaps.begin(0, now);
        gaps.begin(1, now);
        assert_eq!(gaps.end(0, now), Duration::ZERO);
        assert_eq!(gaps.so_far(now + SECOND), SECOND);
        // It was answered late, and had a token all the time.
        assert_eq!(gaps.end(1, now), Duration::ZERO);
        assert_eq!(gaps.so_far(now + SECOND), Duration::ZERO);
    }

    #[test]
    fn what_two_lanes_wait_for_is_counted_once_and_from_the_first() {
        let (mut gaps, now) = (Gaps::new(2), Instant::now());
        gaps.begin(0, now);
        gaps.begin(1, now + SECOND);
        assert_eq!(gaps.end(1, now + 3 * SECOND), 3 * SECOND);
        assert_eq!(gaps.end(0, now + 4 * SECOND), SECOND);
    }

    #[test]
    fn a_failure_ends_no_gap() {
        let (mut gaps, now) = (Gaps::new(1), Instant::now());
        gaps.begin(0, now);
        // It fails, and the next one begins.
        gaps.begin(0, now + 2 * SECOND);
        assert_eq!(gaps.so_far(now + 2 * SECOND), 2 * SECOND);
        assert_eq!(gaps.end(0, now + 3 * SECOND), 3 * SECOND);
    }
}
