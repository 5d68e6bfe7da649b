//! Several processes over one store: each has a session and tasks of its own, and may end at any moment.
//!
//! A schedule of two processes has some fifty steps, and all orders of them are too many. So each scene says how often its
//! schedules leave the usual order, in which a task goes on for as long as it can, and time passes when nothing else can
//! happen. Within that bound, and that of what may go wrong, all of them are [walked](walk); without it they are
//! [drawn](draw) at random.

mod crew;
mod next;
mod runtime;
mod scenes;
mod tests;
mod verdict;

use std::{env, time::Duration};

use super::{choices::Choices, fail, ledger::Refusals, scene::Scene, walk_by, world::Deed};
use crew::Crew;

/// How long a lease lasts where it ends by itself: for three calls of the store, as it should.
const LEASE: Duration = Duration::from_millis(300);

struct Fleet {
    /// What is done is done by the processes in turn.
    scene: Scene,
    processes: usize,
    /// How many of them, the last ones, have not looked into the store before.
    cold: usize,
    /// The store is empty, and each process was given what the scene begins with.
    is_initial: bool,
    /// `None`: a lease is a lock, which ends with its holder.
    lasts: Option<Duration>,
    /// How many of the store's calls may go wrong, and how.
    faults: usize,
    kinds: Vec<Deed>,
    /// How many processes may be killed, wherever they are.
    kills: usize,
    /// How often a lease's time may pass while its holder does nothing.
    stalls: usize,
    /// How many flights may run out of time, wherever they are.
    deadlines: usize,
    /// How many of the tasks that the processes have spawned may be aborted, wherever they are.
    aborts: usize,
    /// How often the store may lose its memory.
    flushes: usize,
    refusals: Refusals,
    /// How often something else happens than what is next in the usual order.
    turns: usize,
}

impl Fleet {
    fn of(scene: Scene) -> Self {
        Self {
            scene,
            processes: 2,
            cold: 0,
            is_initial: false,
            lasts: Some(LEASE),
            faults: 0,
            kinds: vec![Deed::Failed, Deed::Unheard, Deed::Hung],
            kills: 0,
            stalls: 0,
            deadlines: 0,
            aborts: 0,
            flushes: 0,
            refusals: Refusals::Stored,
            turns: 0,
        }
    }

    /// Whether nothing can end what watches the store. Whoever does not learn of a change does so with the next flight.
    fn is_watched(&self) -> bool {
        self.aborts == 0 && self.flushes == 0
    }

    fn process_of(&self, place: usize) -> usize {
        place % self.processes
    }
}

#[track_caller]
fn walk(fleet: &Fleet) -> usize {
    walk_by(fleet.scene.name, |choices| Crew::play(fleet, choices))
}

const DRAWN: u64 = 1_000;

/// Draws schedules in any order; only what goes wrong is rare in them. `EXPLORE_DRAWN` says how many.
#[track_caller]
fn draw(fleet: &Fleet) {
    let fleet = &Fleet { turns: usize::MAX, scene: fleet.scene.clone(), kinds: fleet.kinds.clone(), ..*fleet };
    let schedules = env::var("EXPLORE_DRAWN").map_or(DRAWN, |drawn| drawn.parse().unwrap());
    for seed in 0..schedules {
        if let (Err(violation), choices) = Crew::play(fleet, Choices::drawn(seed)) {
            fail(fleet.scene.name, &violation, &choices);
        }
    }
    println!("{schedules:>8} schedules drawn: {}", fleet.scene.name);
}

/// Plays the one schedule that these choices make.
#[track_caller]
fn replay(fleet: &Fleet, choices: &[usize]) {
    if let (Err(violation), played) = Crew::play(fleet, Choices::new(choices.to_vec())) {
        fail(fleet.scene.name, &violation, &played);
    }
}
