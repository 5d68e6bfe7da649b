//! What can happen next.

use std::{fmt, time::Duration};

use super::{
    scene::{Does, Reply},
    world::Deed,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// A task that was woken, or never polled, is polled; one that was aborted is dropped.
    Poll(Who),
    /// The API answers, and the request that waits for the answer is polled: nobody else can see the answer before, and
    /// what the API takes as valid only ever becomes less.
    AnswerRequest(Who, usize),
    /// The token endpoint answers; its flight is polled at any later time.
    AnswerCall(usize, Reply),
    OpenIdp,
    /// A call from outside that is no task.
    Do(Does),
    Drop(Who),
    Abort(Who),
    Fire(usize, Duration),
    /// Something becomes of a call of the store: its number, its name, and whose it is.
    AnswerStore(usize, &'static str, usize, Deed),
    /// A process ends, as by a signal that it cannot see.
    Kill(usize),
    /// As much time passes as a lease lasts.
    Stall,
    /// The store loses all that it holds.
    Flush,
}

/// A task, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Who {
    pub(super) at: usize,
    pub(super) what: What,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// By its place in the scene.
    Task(Does, usize),
    /// By the order in which they started.
    Flight(usize),
    /// What a process of a fleet has spawned, by the order in which it was.
    Work(usize, usize),
}

impl Step {
    /// Whether it happens sooner or later; the others need not happen at all.
    pub(super) fn is_due(self) -> bool {
        !matches!(self, Self::Drop(_) | Self::Abort(_) | Self::Fire(..) | Self::Kill(_) | Self::Stall | Self::Flush)
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Poll(who) => write!(f, "poll {who}"),
            Self::AnswerRequest(who, sent) => write!(f, "answer send {sent}, poll {who}"),
            Self::AnswerCall(call, reply) => write!(f, "answer token call {call}: {reply:?}"),
            Self::OpenIdp => f.write_str("the token endpoint becomes ready"),
            Self::Do(does) => write!(f, "{does:?}"),
            Self::Drop(who) => write!(f, "drop {who}"),
            Self::Abort(who) => write!(f, "abort {who}"),
            Self::Fire(timer, lasts) => write!(f, "timer {timer} of {lasts:?} fires"),
            Self::AnswerStore(call, name, process, deed) => {
                write!(f, "store call {call}, {name} of process {process}: {deed:?}")
            }
            Self::Kill(process) => write!(f, "kill process {process}"),
            Self::Flush => f.write_str("the store loses its memory"),
            Self::Stall => f.write_str("a lease's time passes"),
        }
    }
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.what {
            What::Task(does, at) => write!(f, "{does:?} {at}"),
            What::Flight(number) => write!(f, "flight {number}"),
            What::Work(process, number) => write!(f, "work {number} of process {process}"),
        }
    }
}
