//! How a schedule of a fleet ends.

use std::time::Duration;

use super::{super::verdict, Crew, Fleet};
use crate::explore::{
    executor::request,
    invariants::number_in,
    outcome::{Ending, Outcome},
    scene::Does,
    steps::What,
    world::Pace,
};

impl Crew {
    pub(super) fn to_its_end(&self, fleet: &Fleet) -> Result<(), String> {
        self.go_on()?;
        let left = &self.left;
        for left in [&left.kills, &left.stalls, &left.deadlines, &left.aborts, &left.flushes, &left.turns] {
            left.set(0);
        }
        let mut state = self.world.state();
        (state.shelf.faults, state.server.faults) = (0, 0);
        drop(state);
        if !fleet.is_watched() {
            self.settle(fleet)?;
        }
        self.rests(fleet.is_watched())?;
        let ending = self.ending(fleet);
        if !fleet.scene.fits(&ending) {
            return Err(format!("the scene must not end like this: {ending:?}"));
        }
        self.serves_others(fleet)?;
        if !fleet.is_watched() {
            self.settle(fleet)?;
        }
        let is_flushed = self.world.state().shelf.is_flushed;
        self.rests(!is_flushed)
    }

    /// Nothing is under way, and `all_agree`.
    fn rests(&self, all_agree: bool) -> Result<(), String> {
        let tasks = self.tasks.borrow();
        if let Some((_, stuck)) =
            tasks.iter().find(|(_, task)| matches!(task.who.what, What::Task(..)) && !task.is_done())
        {
            return Err(format!("{} is stuck", stuck.who));
        }
        drop(tasks);
        self.processes.borrow().iter().try_for_each(|process| verdict::rests(&self.world, process, all_agree))
    }

    /// What nobody works on any more is begun again.
    fn settle(&self, fleet: &Fleet) -> Result<(), String> {
        for process in 0..fleet.processes {
            let Some(session) = self.session(process) else { continue };
            self.add(process, What::Work(process, 0), Box::pin(async move { session.settled().await }));
        }
        self.go_on()
    }

    fn ending(&self, fleet: &Fleet) -> Ending {
        let living = (0..fleet.processes).find_map(|process| self.session(process));
        living.map(|session| Ending::of(&fleet.scene, &self.world, &session)).unwrap()
    }

    /// After all that, and after any backoff, each process serves one more request.
    fn serves_others(&self, fleet: &Fleet) -> Result<(), String> {
        self.world.advance(Duration::from_secs(301));
        self.world.state().pace = Pace::AtOnce;
        for process in 0..fleet.processes {
            let Some(session) = self.session(process) else { continue };
            let place = self.world.state().outcomes.len();
            self.world.state().outcomes.push(None);
            let request = request(&fleet.scene, &self.world.of(process), &session, place);
            self.add(process, What::Task(Does::Request, place), request);
            self.go_on()?;
            let outcome: Option<Outcome> = self.world.state().outcomes[place];
            let own = if fleet.is_watched() { None } else { number_in(&session.current())? };
            verdict::served(&self.world, own, outcome.ok_or("a later request is stuck")?)?;
        }
        Ok(())
    }
}
