//! One request's way through the layer, and whether it was sent with a token that was known to be bad.
//!
//! The law (C35): once the layer has been handed the rejection of a token, no request leaves with it while a flight
//! fetches its successor. Between two threads "once" and "while" are hard to tell. What is counted here is certain:
//!
//! 1. A token goes on the list when a poll of the layer's future has returned in which the layer got the rejection: the
//!    401, or the end of the body that refuses. The layer reports a rejection in that very poll. A rejected *replay* is
//!    not listed, since the layer makes nothing of it.
//! 2. Each poll of the layer's future begins by noting how long the list is and how the session stands. The layer looks
//!    at its session after that, so it must know of all rejections that are on the list by then.
//! 3. When the layer sends within that poll, the token must not be among those, if the session stands as before: the
//!    same generation, refreshing, after the same failure. Then one flight has been under way from the note to the
//!    sending, and so it was when the layer decided. A flight that had ended between would have changed the generation,
//!    or the time of the next try, which no two failures share.
//!
//! What falls between these is not counted, so every count is a broken promise.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::SystemTime,
};

use tower_auth_refresh::{Provider, Session, session::Condition, token::Generation};

/// What all trips of one session share.
pub(crate) struct Watch {
    session: Session<Box<dyn Provider>>,
    /// The tokens known to be bad, each with its number on the list.
    bad: Mutex<HashMap<String, usize>>,
    /// Sent with a token that was known to be bad while its successor was fetched.
    pub(crate) sent_bad: AtomicU64,
    /// Came while such a token was being replaced: this often the law had something to say.
    pub(crate) held: AtomicU64,
}

/// One request's way. It travels along in the request's extensions.
pub(crate) struct Trip {
    pub(crate) number: u64,
    watch: Arc<Watch>,
    way: Mutex<Way>,
}

struct Way {
    stage: Stage,
    sends: u8,
    /// The token of the last send.
    token: String,
    /// The token of the first send, once the layer has been handed its rejection. The poll in which that happens may
    /// also send again, with another token.
    handed: Option<String>,
    held: bool,
    noted: Option<Noted>,
}

/// How things stood when a poll began.
#[derive(PartialEq, Eq)]
struct Noted {
    listed: usize,
    standing: Standing,
}

type Standing = (Generation, Option<SystemTime>);

/// How far a request has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Stage {
    Unpolled,
    /// For its turn under the client's limit.
    Queueing,
    /// For a token, the first or the next.
    Waiting,
    Sending,
    Reading,
}

impl Watch {
    pub(crate) fn new(session: Session<Box<dyn Provider>>) -> Self {
        Self { session, bad: Mutex::default(), sent_bad: AtomicU64::new(0), held: AtomicU64::new(0) }
    }

    /// Nothing is under way: what was bad is history.
    pub(crate) fn forget(&self) {
        self.bad().clear();
    }

    /// The generation that a flight replaces, and after which failure.
    fn refreshing(&self) -> Option<Standing> {
        let status = self.session.status();
        (status.condition == Condition::Refreshing).then_some((status.generation, status.retry_at))
    }

    fn bad(&self) -> MutexGuard<'_, HashMap<String, usize>> {
        self.bad.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Trip {
    pub(crate) fn new(number: u64, watch: &Arc<Watch>) -> Self {
        let stage = Stage::Unpolled;
        let way = Way { stage, sends: 0, token: String::new(), handed: None, held: false, noted: None };
        Self { number, watch: Arc::clone(watch), way: Mutex::new(way) }
    }

    pub(crate) fn stage(&self) -> Stage {
        self.way().stage
    }

    pub(crate) fn reaches(&self, stage: Stage) {
        self.way().stage = stage;
    }

    pub(crate) fn sends(&self) -> u8 {
        self.way().sends
    }

    /// A poll of the layer's future begins.
    pub(crate) fn poll_begins(&self) {
        let listed = self.watch.bad().len();
        let standing = if listed > 0 { self.watch.refreshing() } else { None };
        let mut way = self.way();
        if way.stage == Stage::Unpolled {
            way.stage = Stage::Queueing;
        }
        way.noted = standing.map(|standing| Noted { listed, standing });
        if way.noted.is_some() && way.sends == 0 && !way.held {
            way.held = true;
            self.watch.held.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// It has returned.
    pub(crate) fn poll_ends(&self) {
        let mut way = self.way();
        if let Some(token) = way.handed.take() {
            if way.sends == 1 {
                way.stage = Stage::Waiting;
            }
            let mut bad = self.watch.bad();
            let next = bad.len();
            bad.entry(token).or_insert(next);
        }
    }

    /// The layer sends, with this token.
    pub(crate) fn leaves(&self, token: String) {
        let mut way = self.way();
        way.sends += 1;
        way.stage = Stage::Sending;
        if let Some(noted) = &way.noted {
            let is_bad = self.watch.bad().get(&token).is_some_and(|place| *place < noted.listed);
            if is_bad && self.watch.refreshing().as_ref() == Some(&noted.standing) {
                self.watch.sent_bad.fetch_add(1, Ordering::Relaxed);
            }
        }
        way.token = token;
    }

    /// The layer is handed the whole rejection of the last send.
    pub(crate) fn is_rejected(&self) {
        let mut way = self.way();
        way.handed = (way.sends == 1).then(|| way.token.clone());
    }

    fn way(&self) -> MutexGuard<'_, Way> {
        self.way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
