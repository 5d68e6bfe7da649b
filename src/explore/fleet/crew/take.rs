//! The steps of a fleet are taken.

use std::{cell::Cell, task::Poll};

use super::{Crew, FLIGHT};
use crate::explore::{
    provider::token,
    scene::Does,
    steps::{Step, What, Who},
};

impl Crew {
    pub(super) fn take(&self, step: Step) {
        let spend = |left: &Cell<usize>| left.set(left.get() - 1);
        match step {
            Step::Poll(who) => self.poll(who),
            Step::AnswerRequest(who, at) => {
                self.world.answer_request(at);
                self.poll(who);
            }
            Step::AnswerCall(at, reply) => {
                let state = self.world.state();
                self.last.set((state.calls[at].process, state.calls[at].flight));
                drop(state);
                self.world.answer_call(at, reply);
            }
            Step::AnswerStore(at, _, process, deed) => {
                self.last.set((process, self.world.state().shelf.calls[at].task));
                self.world.answer_store(at, deed);
            }
            Step::Do(does) => self.call(does),
            Step::Kill(process) => {
                spend(&self.left.kills);
                self.kill(process);
            }
            Step::Stall => {
                spend(&self.left.stalls);
                self.world.advance(self.lasts.unwrap_or_default());
            }
            Step::Fire(at, lasts) => {
                if lasts == FLIGHT && self.left.deadlines.get() > 0 {
                    spend(&self.left.deadlines);
                }
                self.world.fire(at);
            }
            Step::Flush => {
                spend(&self.left.flushes);
                let mut state = self.world.state();
                state.ledger.forgotten();
                state.shelf.flush();
            }
            Step::Abort(who) => {
                spend(&self.left.aborts);
                let mut state = self.world.state();
                (state.shelf.has_failed, state.ledger.may_end) = (true, true);
                drop(state);
                let taken = self.tasks.borrow_mut()[who.at].1.take();
                self.finish(who.at, taken);
            }
            Step::OpenIdp | Step::Drop(_) => {}
        }
    }

    fn poll(&self, who: Who) {
        let mut tasks = self.tasks.borrow_mut();
        let (process, task) = &mut tasks[who.at];
        self.last.set((*process, Some(who.at)));
        let (taken, is_superseded) = (task.take(), task.is_superseded());
        drop(tasks);
        let Some(mut taken) = taken else { return };
        if taken.is_aborted() {
            return self.finish(who.at, taken);
        }
        self.world.state().polled = Some((who.at, is_superseded));
        let polled = taken.poll();
        self.world.state().polled = None;
        match polled {
            Ok(Poll::Pending) => self.tasks.borrow_mut()[who.at].1.put_back(taken),
            Ok(Poll::Ready(())) => self.finish(who.at, taken),
            Err(()) => {
                self.finish(who.at, taken);
                // A runtime catches the panic of a spawned task.
                if matches!(who.what, What::Task(..)) {
                    self.world.violated(format!("{who} panicked"));
                }
            }
        }
    }

    fn finish<T>(&self, at: usize, taken: T) {
        drop(taken);
        self.tasks.borrow_mut()[at].1.finish();
    }

    fn call(&self, does: Does) {
        let at = self.calls.borrow().iter().position(|(_, call)| *call == does);
        let Some((process, _)) = at.map(|at| self.calls.borrow_mut().remove(at)) else { return };
        let Some(session) = self.session(process) else { return };
        self.last.set((process, None));
        let world = self.world.of(process);
        if let Does::Set(number) = does {
            let now = world.state().now.wall;
            world.supersede(|ledger| ledger.set(number));
            session.set(token(number, now)).unwrap();
        } else {
            world.supersede(|ledger| ledger.sign_out());
            session.sign_out();
        }
        self.processes.borrow_mut()[process].is_changed = true;
        self.tasks.borrow_mut().iter_mut().filter(|(of, _)| *of == process).for_each(|(_, task)| task.supersede());
    }

    /// Nothing is left of a process, and nothing that it would have done is done any more.
    pub(super) fn kill(&self, process: usize) {
        let session = self.processes.borrow_mut()[process].session.take();
        self.last.set((process, None));
        self.calls.borrow_mut().retain(|(of, _)| *of != process);
        self.world.of(process).leave();
        self.world.state().ledger.may_end = true;
        let mut at = 0;
        while at < self.tasks.borrow().len() {
            let mut tasks = self.tasks.borrow_mut();
            let taken = (tasks[at].0 == process).then(|| tasks[at].1.take()).flatten();
            drop(tasks);
            if let Some(taken) = taken {
                self.finish(at, taken);
            }
            at += 1;
        }
        drop(session);
    }
}
