//! Runs one schedule of a fleet.

mod begin;
mod end;
mod take;

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    time::Duration,
};

use super::{Fleet, verdict};
use crate::{
    Session,
    explore::{
        Played,
        choices::Choices,
        executor::{Task, builder},
        invariants::Generations,
        provider::{Numbers, token},
        scene::Does,
        steps::What,
        world::World,
    },
    rt::stand_in::{self, Runtime},
    session::RefreshPolicy,
};

/// One call of the store may take so long. No other timer lasts as long.
pub(super) const CALL: Duration = Duration::from_millis(90);

/// So often each session looks at the store whatever that tells. When nothing else is left to happen, all rest.
pub(super) const LOOK: Duration = Duration::from_secs(60);

/// How long a flight may take. No other timer lasts as long.
pub(super) const FLIGHT: Duration = Duration::from_secs(29);

/// Whatever takes more steps goes round in circles.
const STEPS: usize = 3_000;

/// One schedule under way.
pub(super) struct Crew {
    pub(super) world: World,
    pub(super) lasts: Option<Duration>,
    pub(super) tasks: RefCell<Vec<(usize, Task)>>,
    processes: RefCell<Vec<Process>>,
    /// What is still to be called from outside, and in which process.
    pub(super) calls: RefCell<Vec<(usize, Does)>>,
    choices: RefCell<Choices>,
    /// The process that has done the last step, and the task, if it was one.
    pub(super) last: Cell<(usize, Option<usize>)>,
    pub(super) left: Left,
}

pub(super) struct Process {
    pub(super) number: usize,
    /// `None` once it has been killed.
    pub(super) session: Option<Session<Numbers>>,
    pub(super) generations: Generations,
    /// The token sets that it has used.
    pub(super) used: Vec<u32>,
    /// The application has changed the token set.
    pub(super) is_changed: bool,
}

/// What may still happen beside what must.
#[derive(Default)]
pub(super) struct Left {
    pub(super) kills: Cell<usize>,
    pub(super) stalls: Cell<usize>,
    pub(super) deadlines: Cell<usize>,
    pub(super) aborts: Cell<usize>,
    pub(super) flushes: Cell<usize>,
    pub(super) turns: Cell<usize>,
}

impl Crew {
    /// Plays the schedule that these choices make.
    pub(super) fn play(fleet: &Fleet, choices: Choices) -> Played {
        let scene = &fleet.scene;
        let world = World::new(scene.server.clone(), scene.room, scene.does.len());
        let policy =
            || RefreshPolicy::new().jitter(|| 1.0).store_timeout(CALL).unwrap().flight_deadline(FLIGHT).unwrap();
        let process = |number| {
            let world = world.of(number);
            let mut builder = builder(scene, &world).store(world.clone()).policy(policy());
            if fleet.is_initial {
                builder = builder.token(token(1, world.state().now.wall));
            }
            let session = builder.build().unwrap();
            world.watch(&session);
            Process {
                number,
                session: Some(session),
                generations: Generations::new(),
                used: Vec::new(),
                is_changed: fleet.is_initial,
            }
        };
        let crew = Rc::new(Self {
            processes: RefCell::new((0..fleet.processes).map(process).collect()),
            world,
            lasts: fleet.lasts,
            tasks: RefCell::default(),
            calls: RefCell::default(),
            choices: RefCell::new(choices),
            last: Cell::default(),
            left: Left::default(),
        });
        let installed = stand_in::install(Rc::clone(&crew) as Rc<dyn Runtime>);
        crew.begin(fleet);
        let ended = crew.to_its_end(fleet);
        for process in 0..fleet.processes {
            crew.kill(process);
        }
        drop(installed);
        (ended, crew.choices.take())
    }

    /// Does whatever can happen.
    fn go_on(&self) -> Result<(), String> {
        for _ in 0..STEPS {
            let options = self.options();
            if options.ordinary.is_empty() && !options.is_awaited {
                return Ok(());
            }
            let ordinary = options.ordinary.len();
            let all = [options.ordinary, options.others].concat();
            let chosen = self.choices.borrow_mut().choose_among(ordinary, all.len());
            if chosen > 0 && chosen < ordinary {
                self.left.turns.set(self.left.turns.get() - 1);
            }
            self.choices.borrow_mut().note(0, all[chosen]);
            self.take(all[chosen]);
            for process in self.processes.borrow_mut().iter_mut() {
                verdict::holds(&self.world, process)?;
            }
            self.world.violation().map_or(Ok(()), Err)?;
        }
        Err("it does not come to rest".into())
    }

    pub(super) fn session(&self, process: usize) -> Option<Session<Numbers>> {
        self.processes.borrow()[process].session.clone()
    }

    pub(super) fn add(&self, process: usize, what: What, future: stand_in::Spawned) {
        let mut tasks = self.tasks.borrow_mut();
        let task = Task::new(tasks.len(), what, future);
        tasks.push((process, task));
    }
}
