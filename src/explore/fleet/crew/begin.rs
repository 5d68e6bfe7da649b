//! How a schedule of a fleet begins.

use super::{Crew, Fleet};
use crate::{
    explore::{executor::future_of, provider::token, scene::Start, steps::What, world::Pace},
    token::Stored,
};

impl Crew {
    /// The store holds what the scene begins with, and so do the processes.
    pub(super) fn begin(&self, fleet: &Fleet) {
        let scene = &fleet.scene;
        let mut state = self.world.state();
        state.ledger.is_shared = true;
        state.ledger.refusals = fleet.refusals;
        state.shelf.lasts = fleet.lasts;
        if scene.start != Start::Cold {
            let stored = Stored::new(token(1, state.now.wall), 1.into());
            if !fleet.is_initial {
                state.shelf.begin_with(stored);
            }
            state.ledger.starts_with(1, scene.start != Start::Rejected);
            state.pace = Pace::AtOnce;
            drop(state);
            for process in 0..fleet.processes - fleet.cold {
                let Some(session) = self.session(process) else { continue };
                self.add(process, What::Work(process, 0), Box::pin(async move { drop(session.token().await) }));
            }
            while let Some(step) = self.options().ordinary.first() {
                self.take(*step);
            }
            self.world.advance(scene.start.age());
            state = self.world.state();
        }
        state.pace = Pace::Stepped;
        state.shelf.calls.clear();
        drop(state);
        for (place, does) in scene.does.iter().enumerate() {
            let process = fleet.process_of(place);
            let Some(session) = self.session(process) else { continue };
            match future_of(scene, &self.world.of(process), &session, place) {
                Some(future) => self.add(process, What::Task(*does, place), future),
                None => self.calls.borrow_mut().push((process, *does)),
            }
        }
        let mut state = self.world.state();
        (state.shelf.faults, state.shelf.kinds) = (fleet.faults, fleet.kinds.clone());
        self.last.set((0, None));
        self.left.kills.set(fleet.kills);
        self.left.stalls.set(fleet.stalls);
        self.left.deadlines.set(fleet.deadlines);
        self.left.aborts.set(fleet.aborts);
        self.left.flushes.set(fleet.flushes);
        self.left.turns.set(fleet.turns);
    }
}
