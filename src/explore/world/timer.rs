//! A timer that fires when the explorer says so.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use super::{State, World, wake};
use crate::rt::stand_in;

pub(in super::super) struct Timer {
    lasts: Duration,
    due: Instant,
    has_fired: bool,
    waker: Option<Waker>,
}

struct Sleep {
    world: World,
    at: usize,
}

impl World {
    pub(in super::super) fn sleep(&self, lasts: Duration) -> stand_in::Timer {
        let mut state = self.state();
        let due = state.now.monotonic + lasts;
        state.timers.push(Timer { lasts, due, has_fired: false, waker: None });
        let at = state.timers.len() - 1;
        drop(state);
        Box::pin(Sleep { world: self.clone(), at })
    }

    /// Fires a timer; no less time has passed then than it lasts.
    pub(in super::super) fn fire(&self, at: usize) {
        let mut state = self.state();
        let timer = &mut state.timers[at];
        timer.has_fired = true;
        let (due, waker) = (timer.due, timer.waker.take());
        let passed = due.saturating_duration_since(state.now.monotonic);
        state.now.monotonic += passed;
        state.now.wall += passed;
        drop(state);
        wake(waker);
    }
}

impl State {
    /// The timer that is due first, of those that somebody waits for, but for the ones that last so long.
    pub(in super::super) fn next_timer_but(&self, lasts: Duration) -> Option<(usize, Duration)> {
        self.set_timers().filter(|(_, other)| *other != lasts).min_by_key(|(at, _)| (self.timers[*at].due, *at))
    }

    /// The timers that somebody waits for, and how long they last.
    pub(in super::super) fn set_timers(&self) -> impl Iterator<Item = (usize, Duration)> {
        let timers = self.timers.iter().enumerate();
        timers.filter(|(_, timer)| !timer.has_fired && timer.waker.is_some()).map(|(at, timer)| (at, timer.lasts))
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let timer = &mut self.world.state().timers[self.at];
        if timer.has_fired {
            return Poll::Ready(());
        }
        timer.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        self.world.state().timers[self.at].waker = None;
    }
}
