//! The world outside of the crate: the time, the API, and the token endpoint. Nothing happens in it by itself.

mod api;
mod idp;
mod store;
mod timer;

pub(super) use api::Api;
pub(super) use store::{Deed, Shelf};
pub(super) use timer::Timer;

use std::{
    panic::resume_unwind,
    sync::{Arc, Mutex, MutexGuard, OnceLock},
    task::{Context, Poll, Waker},
    time::{Duration, Instant, UNIX_EPOCH},
};

use tokio::sync::Semaphore;

use super::{
    ledger::Ledger,
    outcome::Outcome,
    provider::{Numbers, number_of},
    scene::{Reply, Server},
};
use crate::{
    Session,
    clock::{Clock, Now},
};

/// The world, as one process reaches it.
#[derive(Clone)]
pub(super) struct World {
    state: Arc<Mutex<State>>,
    pub(super) process: usize,
}

pub(super) struct State {
    pub(super) server: Server,
    pub(super) pace: Pace,
    pub(super) now: Now,
    /// How often somebody has asked for the time.
    reads: usize,
    pub(super) sent: Vec<Sent>,
    pub(super) calls: Vec<Call>,
    pub(super) timers: Vec<Timer>,
    pub(super) shelf: Shelf,
    /// Whoever waits for the token endpoint to be ready, where it has to be waited for.
    pub(super) waits: Vec<Waker>,
    pub(super) ledger: Ledger,
    /// How many requests the API takes at a time.
    pub(super) room: Arc<Semaphore>,
    /// Of each task of the scene.
    pub(super) outcomes: Vec<Option<Outcome>>,
    /// The flight whose driver is being polled, by its number, and whether it has been superseded.
    pub(super) polled: Option<(usize, bool)>,
    /// A flight may have been given up by those who wait for it, without being stopped.
    pub(super) may_be_lost: bool,
    violation: Option<String>,
    /// Of each process, while it lives.
    sessions: Vec<Option<Session<Numbers>>>,
}

/// When the servers answer.
#[derive(Clone, Copy)]
pub(super) enum Pace {
    /// When the explorer says so.
    Stepped,
    AtOnce,
    /// As the dice say: they are thrown for one of so many.
    Rolled(fn(usize) -> usize),
}

/// A request at the API.
pub(super) struct Sent {
    pub(super) task: usize,
    pub(super) token: Option<u32>,
    /// Whether the token was refused, once that is answered.
    pub(super) rejected: Option<bool>,
    /// The body has come, too.
    pub(super) is_whole: bool,
    pub(super) is_awaited: bool,
    waker: Option<Waker>,
}

/// A call at the token endpoint.
pub(super) struct Call {
    pub(super) process: usize,
    pub(super) refreshes: Option<u32>,
    pub(super) reply: Option<Reply>,
    /// The token set that was made for it.
    pub(super) grants: Option<u32>,
    pub(super) is_awaited: bool,
    pub(super) is_superseded: bool,
    pub(super) flight: Option<usize>,
    waker: Option<Waker>,
}

impl World {
    pub(super) fn new(server: Server, room: usize, tasks: usize) -> Self {
        // Any instant serves as the origin of the monotonic clock.
        static ORIGIN: OnceLock<Instant> = OnceLock::new();
        #[allow(clippy::disallowed_methods, reason = "a clock of the explorer's own needs an origin")]
        let monotonic = *ORIGIN.get_or_init(Instant::now);
        let wall = UNIX_EPOCH + Duration::from_secs(1_750_000_000);
        let ledger = Ledger::new(server.has_login, server.revokes);
        let state = State {
            server,
            pace: Pace::Stepped,
            now: Now { wall, monotonic },
            reads: 0,
            sent: Vec::new(),
            calls: Vec::new(),
            timers: Vec::new(),
            shelf: Shelf::default(),
            waits: Vec::new(),
            ledger,
            room: Arc::new(Semaphore::new(room)),
            outcomes: vec![None; tasks],
            polled: None,
            may_be_lost: false,
            violation: None,
            sessions: Vec::new(),
        };
        Self { state: Arc::new(Mutex::new(state)), process: 0 }
    }

    /// The same world, as process `process` reaches it.
    pub(super) fn of(&self, process: usize) -> Self {
        Self { process, ..self.clone() }
    }

    /// What happens at the servers is compared with what this process's session holds, until it is
    /// [left](Self::leave).
    pub(super) fn watch(&self, session: &Session<Numbers>) {
        let mut state = self.state();
        let sessions = state.sessions.len().max(self.process + 1);
        state.sessions.resize_with(sessions, || None);
        state.sessions[self.process] = Some(session.clone());
    }

    pub(super) fn leave(&self) {
        let session = self.state().sessions[self.process].take();
        drop(session);
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub(super) fn advance(&self, passed: Duration) {
        let mut state = self.state();
        state.now.wall += passed;
        state.now.monotonic += passed;
    }

    /// Takes note that a change from outside has superseded what is under way.
    pub(super) fn supersede(&self, change: impl FnOnce(&mut Ledger)) {
        let mut state = self.state();
        let ours = state.calls.iter_mut().filter(|call| call.is_awaited && call.process == self.process);
        ours.for_each(|call| call.is_superseded = true);
        change(&mut state.ledger);
    }

    /// A task of the scene has come to its end.
    pub(super) fn finished(&self, place: usize, outcome: Outcome) {
        self.state().outcomes[place] = Some(outcome);
    }

    /// The first violation counts: others may follow from it.
    pub(super) fn violated(&self, what: impl Into<String>) {
        self.state().violation.get_or_insert_with(|| what.into());
    }

    pub(super) fn violation(&self) -> Option<String> {
        self.state().violation.clone()
    }
}

impl State {
    fn judge(&mut self, judged: Result<(), String>) {
        if let Err(violation) = judged {
            self.violation.get_or_insert(violation);
        }
    }

    /// The number of the token set that a process has in place, and whether a flight is under way there.
    fn standing(&self, process: usize) -> (Option<u32>, bool) {
        let Some(session) = self.sessions.get(process).and_then(Option::as_ref) else { return (None, false) };
        let current = session.current();
        (current.token.as_ref().and_then(|issued| number_of(&issued.token)), current.flight.is_some())
    }

    /// Whether an answer comes now; where the dice say that it does not, the asker is to ask again.
    fn comes_now(&self, cx: &Context<'_>) -> Poll<()> {
        match self.pace {
            Pace::AtOnce => return Poll::Ready(()),
            Pace::Rolled(dice) if dice(3) == 0 => return Poll::Ready(()),
            Pace::Rolled(_) => cx.waker().wake_by_ref(),
            Pace::Stepped => {}
        }
        Poll::Pending
    }
}

/// Whoever asks so often for the time in one schedule goes round in circles.
const SPINNING: usize = 10_000;

impl Clock for World {
    fn now(&self) -> Now {
        let mut state = self.state();
        state.reads += 1;
        let (now, reads) = (state.now, state.reads);
        drop(state);
        if reads > SPINNING {
            self.violated("a task goes round in circles");
            resume_unwind(Box::new("stopped"));
        }
        now
    }
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}
