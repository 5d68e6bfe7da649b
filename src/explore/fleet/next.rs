//! What can happen next in a fleet.

use super::{
    LEASE,
    crew::{CALL, Crew, FLIGHT, LOOK},
};
use crate::explore::{
    executor::Task,
    scene::Reply,
    steps::{Step, What},
    world::Deed,
};

#[derive(Default)]
pub(super) struct Options {
    /// What happens by itself: first what is next in the usual order.
    pub(super) ordinary: Vec<Step>,
    /// What may happen beside it.
    pub(super) others: Vec<Step>,
    /// Something of the others must happen sooner or later.
    pub(super) is_awaited: bool,
}

impl Crew {
    pub(super) fn options(&self) -> Options {
        let mut ordinary = self.ordinary();
        let is_quiet = ordinary.is_empty();
        let turns = self.left.turns.get();
        if is_quiet || turns > 0 {
            // What takes too long is a fault, and not an order.
            let is_short = |lasts| lasts < LEASE && lasts != CALL;
            let timer = self.world.state().next_timer_but(LOOK).filter(|(_, lasts)| is_quiet || is_short(*lasts));
            ordinary.extend(timer.map(|(at, lasts)| Step::Fire(at, lasts)));
        }
        if turns == 0 {
            ordinary.truncate(1);
        }
        let mut others = self.faults(&ordinary);
        let (process, _) = self.last.get();
        // What a process does to itself goes with whatever others do before, so it is done after its own steps only.
        let calls = self.calls.borrow();
        others.extend(calls.iter().filter(|(of, _)| is_quiet || *of == process).map(|(_, does)| Step::Do(*does)));
        if self.left.kills.get() > 0 && !self.is_dead(process) {
            others.push(Step::Kill(process));
        }
        if self.left.aborts.get() > 0 {
            let tasks = self.tasks.borrow();
            let works = tasks.iter().filter(|(of, task)| *of == process && task.is_idle());
            let works = works.filter(|(_, task)| matches!(task.who.what, What::Work(..)));
            others.extend(works.map(|(_, task)| Step::Abort(task.who)));
        }
        if self.left.flushes.get() > 0 {
            others.push(Step::Flush);
        }
        let state = self.world.state();
        if self.left.deadlines.get() > 0 {
            let deadlines = state.set_timers().filter(|(_, lasts)| *lasts == FLIGHT);
            others.extend(deadlines.map(|(at, lasts)| Step::Fire(at, lasts)));
        }
        if self.left.stalls.get() > 0 && self.lasts.is_some() && state.shelf.is_leased(state.now.monotonic) {
            others.push(Step::Stall);
        }
        Options { ordinary, others, is_awaited: !calls.is_empty() }
    }

    /// What happens by itself, but for timers. The task that did the last step goes on, then its process, then the others.
    fn ordinary(&self) -> Vec<Step> {
        let tasks = self.tasks.borrow();
        let is_twin = |before: &(usize, Task), task: &(usize, Task)| before.0 == task.0 && before.1.is_twin_of(&task.1);
        let idle: Vec<_> = tasks.iter().enumerate().filter(|(_, (_, task))| task.is_idle()).collect();
        let runnable = idle
            .iter()
            .filter(|(at, task)| task.1.is_runnable() && !tasks[..*at].iter().any(|before| is_twin(before, task)));
        let mut steps: Vec<_> = runnable.map(|(at, (of, task))| (*of, Some(*at), Step::Poll(task.who))).collect();
        let state = self.world.state();
        for (at, sent) in state.sent.iter().enumerate().filter(|(_, sent)| sent.is_open(false)) {
            let waits =
                idle.iter().find(|(_, (_, task))| matches!(task.who.what, What::Task(_, place) if place == sent.task));
            steps.extend(waits.map(|(task, (of, waits))| (*of, Some(*task), Step::AnswerRequest(waits.who, at))));
        }
        for (at, call) in state.calls.iter().enumerate().filter(|(_, call)| call.is_awaited && call.reply.is_none()) {
            let reply = state.replies(at).first().copied().unwrap_or(Reply::Grant);
            steps.push((call.process, call.flight, Step::AnswerCall(at, reply)));
        }
        for (at, call) in state.shelf.open() {
            let step = Step::AnswerStore(at, call.wish.name(), call.process, Deed::Done);
            steps.push((call.process, call.task, step));
        }
        let (process, task) = self.last.get();
        steps.sort_by_key(|(of, by, _)| (task.is_none() || *by != task, *of != process, *of, *by));
        steps.into_iter().map(|(_, _, step)| step).collect()
    }

    /// What may go wrong with what is next.
    fn faults(&self, ordinary: &[Step]) -> Vec<Step> {
        let state = self.world.state();
        let shelf = &state.shelf;
        let mut faults = Vec::new();
        for step in ordinary {
            match *step {
                Step::AnswerStore(at, name, process, _) if shelf.faults > 0 => {
                    faults.extend(shelf.kinds.iter().map(|kind| Step::AnswerStore(at, name, process, *kind)));
                }
                Step::AnswerCall(at, usual) => {
                    let replies = state.replies(at).into_iter().filter(|reply| *reply != usual);
                    faults.extend(replies.map(|reply| Step::AnswerCall(at, reply)));
                }
                _ => {}
            }
        }
        let late = shelf.late();
        faults.extend(late.map(|(at, call)| Step::AnswerStore(at, call.wish.name(), call.process, Deed::Done)));
        faults
    }

    pub(super) fn is_dead(&self, process: usize) -> bool {
        self.session(process).is_none()
    }
}
