//! What is explored: where a session starts, who does what with it, and what else may happen.

use std::time::Duration;

use super::{outcome::Ending, provider::LIFE};

#[derive(Clone)]
pub(super) struct Scene {
    pub(super) name: &'static str,
    pub(super) start: Start,
    /// What happens once each, at any moment.
    pub(super) does: Vec<Does>,
    pub(super) server: Server,
    /// How many tasks may be dropped, wherever they are.
    pub(super) drops: usize,
    /// How many flights may be aborted, wherever they are.
    pub(super) aborts: usize,
    /// How many timers may fire.
    pub(super) fires: Fires,
    /// How often another thread may do a whole step in the middle of one.
    pub(super) preemptions: usize,
    /// A request is called in one step and polled in another.
    pub(super) calls_first: bool,
    /// How many requests the API takes at a time.
    pub(super) room: usize,
    /// More token calls than this are a violation.
    pub(super) token_calls: usize,
    /// What must be true in the end, beside what must always be.
    pub(super) ends: fn(&Ending) -> bool,
}

/// The token set that is in place at first, if any; its number is 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Start {
    Cold,
    Fresh,
    /// Fresh, and the API rejects it.
    Rejected,
    Soft,
    Hard,
    Expired,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Does {
    Request,
    Token,
    SignIn,
    /// The application sets the token set of this number.
    Set(u32),
    SignOut,
}

/// Which timers may fire at any moment, each schedule one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fires {
    None,
    /// The deadline of a flight.
    Deadline,
    /// Any: a waiter may run out of patience before the flight's own timer fires, as where nobody drives its runtime.
    Any,
}

/// What the servers do.
#[derive(Clone, Debug)]
pub(super) struct Server {
    pub(super) has_login: bool,
    /// What a login may be answered beside a grant.
    pub(super) login_faults: Vec<Reply>,
    /// What a refresh may be answered beside a grant.
    pub(super) refresh_faults: Vec<Reply>,
    /// How many faults there may be in all.
    pub(super) faults: usize,
    /// A refresh makes the API reject what it replaces.
    pub(super) revokes: bool,
    /// The API's answers say in their body whether the token was refused, and the body comes later than the head.
    pub(super) speaks_in_bodies: bool,
    /// The token endpoint has to be waited for before anything can be sent.
    pub(super) is_busy: bool,
}

/// What the token endpoint answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    Grant,
    Refuse,
    /// Granted, and the answer is lost.
    Lose,
    /// Nothing was done, and whoever asked cannot know that.
    Vanish,
    /// The call never left.
    NotSent,
    Unavailable,
    /// An answer over which the provider panics.
    Poison,
}

impl Start {
    /// How old the token set is.
    pub(super) fn age(self) -> Duration {
        match self {
            Self::Cold | Self::Fresh | Self::Rejected => Duration::ZERO,
            Self::Soft => LIFE * 85 / 100,
            Self::Hard => LIFE * 998 / 1000,
            Self::Expired => LIFE,
        }
    }
}

impl Scene {
    pub(super) fn new(name: &'static str, start: Start, does: impl IntoIterator<Item = Does>) -> Self {
        let server = Server {
            has_login: true,
            login_faults: Vec::new(),
            refresh_faults: Vec::new(),
            faults: 0,
            revokes: true,
            speaks_in_bodies: false,
            is_busy: false,
        };
        Self {
            name,
            start,
            does: does.into_iter().collect(),
            server,
            drops: 0,
            aborts: 0,
            fires: Fires::None,
            preemptions: 0,
            calls_first: false,
            room: 100,
            token_calls: 1,
            ends: |_| true,
        }
    }

    /// `faults` of the kinds `login` and `refresh` may happen.
    pub(super) fn faults(mut self, faults: usize, login: &[Reply], refresh: &[Reply]) -> Self {
        self.server.faults = faults;
        self.server.login_faults = login.to_vec();
        self.server.refresh_faults = refresh.to_vec();
        self
    }

    pub(super) fn without_login(mut self) -> Self {
        self.server.has_login = false;
        self
    }
}
