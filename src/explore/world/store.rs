//! A store that answers when the explorer says so, and keeps what happened to it.

mod asking;

use std::{
    mem,
    task::Waker,
    time::{Duration, Instant},
};

use tokio::sync::watch;

use super::{World, wake};
use crate::{
    explore::provider::number_of,
    store::{StoreError, StoreErrorKind, Swap},
    token::{FencingToken, Stored, Version},
};

/// What is on it, and who asks for it.
#[derive(Default)]
pub(in super::super) struct Shelf {
    /// How long a lease lasts. `None`: until it is given back, or its holder dies.
    pub(in super::super) lasts: Option<Duration>,
    /// How many calls may go wrong, and how.
    pub(in super::super) faults: usize,
    pub(in super::super) kinds: Vec<Deed>,
    pub(in super::super) stored: Option<Stored>,
    /// The numbers of all that was ever stored.
    pub(in super::super) ever: Vec<u32>,
    held: Option<(FencingToken, Option<Instant>)>,
    drawn: Option<FencingToken>,
    pub(in super::super) calls: Vec<Asked>,
    /// Some call was not answered as it should be.
    pub(in super::super) has_failed: bool,
    /// It has lost its memory once.
    pub(in super::super) is_flushed: bool,
    changes: watch::Sender<()>,
}

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Deed {
    /// It is done. Where nobody waits for it any more, it was under way for longer than that.
    Done,
    /// It fails, and nothing was done.
    Failed,
    /// It is done, and the answer is lost.
    Unheard,
    /// It is never answered.
    Hung,
    /// Nothing was done, and the store panics.
    Panicked,
}

/// A call of a process.
pub(in super::super) struct Asked {
    pub(in super::super) process: usize,
    /// The task that has called.
    pub(in super::super) task: Option<usize>,
    pub(in super::super) wish: Wish,
    got: Option<Result<Got, StoreError>>,
    pub(in super::super) is_awaited: bool,
    /// Nothing more comes of it.
    is_over: bool,
    panics: bool,
    waker: Option<Waker>,
}

pub(in super::super) enum Wish {
    Load,
    Lease(Option<FencingToken>),
    Renew(FencingToken),
    Save(FencingToken, Option<Version>, Box<Stored>),
    Release(FencingToken),
}

#[derive(Clone)]
enum Got {
    Stored(Option<Box<Stored>>),
    Lease(Option<FencingToken>),
    Swap(Swap),
    Done,
}

impl Shelf {
    /// The number of the token set that is stored.
    pub(in super::super) fn number(&self) -> Option<u32> {
        number_of(self.stored.as_ref()?.token.as_ref()?)
    }

    pub(in super::super) fn is_signed_out(&self) -> bool {
        self.stored.as_ref().is_some_and(|stored| stored.signed_out_since.is_some())
    }

    pub(in super::super) fn begin_with(&mut self, stored: Stored) {
        self.stored = Some(stored);
        self.ever.extend(self.number());
    }

    pub(in super::super) fn is_leased(&self, now: Instant) -> bool {
        self.held.is_some_and(|(_, until)| until.is_none_or(|until| now < until))
    }

    /// Whether a login may be sent, or this refresh token: only what is stored, marked, and not known to be refused.
    pub(super) fn may_send(&self, refreshes: Option<u32>) -> Result<(), String> {
        let is_refused = self.stored.as_ref().is_some_and(|stored| match refreshes {
            Some(_) => stored.refresh_refused_since.is_some(),
            // No mark comes before a login, so what was under way for long may arrive after the look.
            None => stored.login_refused.is_some() && !self.has_failed,
        });
        if is_refused {
            return Err("what the store says is refused was sent again".into());
        }
        let Some(number) = refreshes else { return Ok(()) };
        let is_marked = self.stored.as_ref().is_some_and(|stored| stored.spending_since.is_some());
        match self.number() {
            Some(stored) if stored == number && is_marked => Ok(()),
            Some(stored) if stored == number && !self.is_flushed => {
                Err(format!("refresh token {number} was sent, and is not marked in the store"))
            }
            // It may forget between the mark and the send.
            _ if self.is_flushed => Ok(()),
            stored => Err(format!("refresh token {number} was sent, and the store held {stored:?}")),
        }
    }

    /// The calls that may be answered, and those that may still be done although nobody waits for the answer.
    pub(in super::super) fn open(&self) -> impl Iterator<Item = (usize, &Asked)> {
        self.calls.iter().enumerate().filter(|(_, call)| call.is_awaited && !call.is_over)
    }

    /// The saves that may still be done although nobody waits for them any more: only where a lease does not end with
    /// its holder, for there a process that is gone has nothing under way.
    pub(in super::super) fn late(&self) -> impl Iterator<Item = (usize, &Asked)> {
        let may_be = self.lasts.is_some() && self.faults > 0;
        let calls = self.calls.iter().enumerate();
        calls.filter(move |(_, call)| {
            may_be && !call.is_awaited && call.got.is_none() && matches!(call.wish, Wish::Save(..))
        })
    }

    /// It loses what it holds. The numbers of leases go on, as those do that are drawn above the time of a clock.
    pub(in super::super) fn flush(&mut self) {
        (self.stored, self.held) = (None, None);
        (self.has_failed, self.is_flushed) = (true, true);
        self.changes.send_replace(());
    }

    fn is_ours(&self, fence: FencingToken, now: Instant) -> bool {
        self.is_leased(now) && self.held.is_some_and(|(held, _)| held == fence)
    }

    fn end(&mut self, fence: FencingToken) {
        if self.held.is_some_and(|(held, _)| held == fence) {
            self.held = None;
            self.changes.send_replace(());
        }
    }

    /// Nobody waits for the answer any more. A lock that was on its way falls to nobody.
    fn leave(&mut self, at: usize) {
        self.calls[at].is_awaited = false;
        self.has_failed |= self.calls[at].got.is_none();
        if let Some(Ok(Got::Lease(Some(fence)))) = self.calls[at].got {
            // A lease that nobody was given lasts until its time is over, and a lock does not.
            self.has_failed = true;
            if self.lasts.is_none() {
                self.end(fence);
            }
        }
    }

    /// Does what a call wishes.
    fn perform(&mut self, at: usize, now: Instant) -> Result<Got, StoreError> {
        let wish = mem::replace(&mut self.calls[at].wish, Wish::Load);
        let until = self.lasts.map(|lasts| now + lasts);
        let got = match &wish {
            Wish::Load => Got::Stored(self.stored.clone().map(Box::new)),
            Wish::Lease(_) if self.is_leased(now) => Got::Lease(None),
            Wish::Lease(above) => {
                let stored = self.stored.as_ref().and_then(|stored| stored.fence);
                let largest = [self.drawn, stored, *above].into_iter().flatten().max();
                let next = FencingToken::from(largest.map_or(1, |largest| largest.get() + 1));
                (self.drawn, self.held) = (Some(next), Some((next, until)));
                Got::Lease(Some(next))
            }
            Wish::Renew(fence) if self.is_ours(*fence, now) => {
                self.held = Some((*fence, until));
                Got::Done
            }
            Wish::Renew(_) => return Err(StoreError::new(StoreErrorKind::Lost, "the lease is another's")),
            Wish::Save(fence, expected, stored) => {
                let current = self.stored.as_ref().map(Stored::version);
                let by_newer = current.and_then(|version| version.fence).is_some_and(|newer| newer > *fence);
                if current != *expected || by_newer {
                    Got::Swap(Swap::Conflict)
                } else {
                    self.stored = Some(Stored::clone(stored));
                    self.ever.extend(self.number());
                    self.changes.send_replace(());
                    Got::Swap(Swap::Done)
                }
            }
            Wish::Release(fence) => {
                self.end(*fence);
                Got::Done
            }
        };
        self.calls[at].wish = wish;
        Ok(got)
    }
}

impl Wish {
    pub(in super::super) fn name(&self) -> &'static str {
        match self {
            Self::Load => "load",
            Self::Lease(_) => "lease",
            Self::Renew(_) => "renew",
            Self::Save(..) => "save",
            Self::Release(_) => "release",
        }
    }
}

impl World {
    /// Something becomes of a call.
    pub(in super::super) fn answer_store(&self, at: usize, deed: Deed) {
        let mut state = self.state();
        let now = state.now.monotonic;
        let shelf = &mut state.shelf;
        let is_awaited = shelf.calls[at].is_awaited;
        if deed != Deed::Done || !is_awaited {
            shelf.faults -= 1;
        }
        shelf.has_failed |= deed != Deed::Done || !is_awaited;
        let done = matches!(deed, Deed::Done | Deed::Unheard).then(|| shelf.perform(at, now));
        let is_lock = shelf.lasts.is_none();
        let got = match (deed, done) {
            (Deed::Done, Some(done)) => Some(done),
            (Deed::Hung, _) => None,
            (_, Some(Ok(Got::Lease(Some(fence))))) if is_lock => {
                // A lock that nobody has been given is none.
                shelf.end(fence);
                Some(Err(StoreError::new(StoreErrorKind::Unavailable, "the store is away")))
            }
            _ => Some(Err(StoreError::new(StoreErrorKind::Unavailable, "the store is away"))),
        };
        let call = &mut shelf.calls[at];
        call.is_over = true;
        call.got = got;
        call.panics = deed == Deed::Panicked;
        let waker = call.waker.take();
        drop(state);
        wake(waker);
    }
}
