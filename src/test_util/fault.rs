//! What goes wrong on the way to the authorization server.

use std::{collections::VecDeque, time::Duration};

/// What becomes of one token request. "Acted" means: where the request was a good refresh, its token is spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// The connection breaks before the server has acted. The client cannot know.
    DropBefore,
    /// The server acts, and the connection breaks before its answer.
    DropAfter,
    /// The server acts, and the connection breaks in the middle of its answer.
    BreakOff,
    /// The server acts, and the second half of its answer is missing; only its `Content-Length` tells.
    Truncate,
    /// The server acts, and its answer comes byte by byte, one in each such time.
    Drip(Duration),
    /// The server acts, and somebody in front of it answers 200 and a page of HTML.
    Html,
    /// The server acts, and answers 500.
    ServerError,
    /// 429 with this `Retry-After`, in whole seconds; the server has not acted.
    TooManyRequests(Duration),
    /// 503 with this `Retry-After`, in whole seconds; the server has not acted.
    Unavailable(Duration),
}

/// The faults to come: the scripted ones first, one a call; then by chance.
#[derive(Default)]
pub(super) struct Faults {
    scripted: VecDeque<Fault>,
    random: Option<Random>,
}

struct Random {
    rng: fastrand::Rng,
    share: f64,
    faults: Vec<Fault>,
}

impl Faults {
    pub(super) fn script(&mut self, faults: impl IntoIterator<Item = Fault>) {
        self.scripted.extend(faults);
    }

    pub(super) fn at_random(&mut self, seed: u64, share: f64, faults: Vec<Fault>) {
        self.random = Some(Random { rng: fastrand::Rng::with_seed(seed), share, faults });
    }

    pub(super) fn next(&mut self) -> Option<Fault> {
        self.scripted.pop_front().or_else(|| self.random.as_mut()?.next())
    }
}

impl Random {
    fn next(&mut self) -> Option<Fault> {
        if self.rng.f64() < self.share { self.rng.choice(&self.faults).copied() } else { None }
    }
}
