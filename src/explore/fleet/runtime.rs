//! The stand-in for the runtimes of all processes.

use std::time::Duration;

use super::crew::Crew;
use crate::{
    explore::steps::What,
    rt::stand_in::{Abort, Runtime, Spawned, Timer},
};

impl Runtime for Crew {
    /// The process that is running is the one that has done the last step.
    fn spawn(&self, future: Spawned) -> Abort {
        let (process, _) = self.last.get();
        if self.is_dead(process) {
            return Box::new(|| {});
        }
        let number = self.tasks.borrow().iter().filter(|(of, _)| *of == process).count();
        self.add(process, What::Work(process, number), future);
        let tasks = self.tasks.borrow();
        let signal = tasks.last().map(|(_, task)| task.signal());
        Box::new(move || signal.iter().for_each(|signal| signal.abort()))
    }

    fn sleep(&self, duration: Duration) -> Timer {
        self.world.sleep(duration)
    }

    /// Processes share no memory, and what threads may do to one another is explored elsewhere.
    fn interleave(&self) {}
}
