//! The stand-in for the runtime.

use std::time::Duration;

use super::{Run, task::Task};
use crate::{
    explore::steps::What,
    rt::stand_in::{Abort, Runtime, Spawned, Timer},
};

impl Runtime for Run {
    fn spawn(&self, future: Spawned) -> Abort {
        let mut tasks = self.tasks.borrow_mut();
        let flights = tasks.iter().filter(|task| task.is_flight()).count();
        let task = Task::new(tasks.len(), What::Flight(flights), future);
        let signal = task.signal();
        tasks.push(task);
        Box::new(move || signal.abort())
    }

    fn sleep(&self, duration: Duration) -> Timer {
        self.world.sleep(duration)
    }

    fn interleave(&self) {
        if self.left.preemptions.get() == 0 || std::thread::panicking() {
            return;
        }
        let steps = self.steps();
        let chosen = self.choices.borrow_mut().choose(steps.len() + 1);
        if let Some(step) = chosen.checked_sub(1).and_then(|chosen| steps.get(chosen)) {
            self.left.preemptions.set(self.left.preemptions.get() - 1);
            self.take(*step);
        }
    }
}
