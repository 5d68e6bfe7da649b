//! What can happen next in a schedule.

use std::time::Duration;

use super::{Run, task::Task};
use crate::explore::{
    scene::Fires,
    steps::{Step, What},
};

impl Run {
    /// All that can happen now. What is in the middle of a step cannot do another.
    ///
    /// Of tasks that do the same, none begins before those that stand before it in the scene. That hides no order: it
    /// gives each the name by which it begins, and nothing but the names tells them apart.
    pub(super) fn steps(&self) -> Vec<Step> {
        let tasks = self.tasks.borrow();
        let has_twin_before = |task: &Task| tasks[..task.who.at].iter().any(|before| before.is_twin_of(task));
        let idle = || tasks.iter().filter(|task| task.is_idle() && !has_twin_before(task));
        let mut steps: Vec<_> = idle().filter(|task| task.is_runnable()).map(|task| Step::Poll(task.who)).collect();
        let state = self.world.state();
        let speaks = state.server.speaks_in_bodies;
        for (at, _) in state.sent.iter().enumerate().filter(|(_, sent)| sent.is_open(speaks)) {
            let waits =
                idle().find(|task| matches!(task.who.what, What::Task(_, place) if place == state.sent[at].task));
            steps.extend(waits.map(|task| Step::AnswerRequest(task.who, at)));
        }
        for (at, _) in state.calls.iter().enumerate().filter(|(_, call)| call.is_awaited && call.reply.is_none()) {
            steps.extend(state.replies(at).into_iter().map(|reply| Step::AnswerCall(at, reply)));
        }
        if !state.waits.is_empty() {
            steps.push(Step::OpenIdp);
        }
        steps.extend(self.calls.borrow().iter().copied().map(Step::Do));
        if self.left.drops.get() > 0 {
            steps.extend(idle().filter(|task| !task.is_flight()).map(|task| Step::Drop(task.who)));
        }
        if self.left.aborts.get() > 0 {
            steps.extend(idle().filter(|task| task.is_flight()).map(|task| Step::Abort(task.who)));
        }
        let may_fire = |lasts: &Duration| match self.left.fires.get() {
            Fires::None => false,
            Fires::Deadline => *lasts == self.session.policy().flight_deadline,
            Fires::Any => true,
        };
        let timers = state.set_timers().filter(|(_, lasts)| may_fire(lasts));
        steps.extend(timers.map(|(at, lasts)| Step::Fire(at, lasts)));
        steps
    }
}
