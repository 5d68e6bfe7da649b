//! Runs one schedule of a fleet.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    task::Poll,
    time::Duration,
};

use super::{Fleet, verdict};
use crate::{
    Session,
    explore::{
        Played,
        choices::Choices,
        executor::{Task, builder, future_of, request},
        invariants::{Generations, number_in},
        outcome::{Ending, Outcome},
        provider::{Numbers, token},
        scene::{Does, Start},
        steps::{Step, What, Who},
        world::{Pace, World},
    },
    rt::stand_in::{self, Runtime},
    session::RefreshPolicy,
    token::Stored,
};

/// One call of the store may take so long. No other timer lasts as long.
pub(super) const CALL: Duration = Duration::from_millis(90);

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

    /// The store holds what the scene begins with, and so do the processes.
    fn begin(&self, fleet: &Fleet) {
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

    fn to_its_end(&self, fleet: &Fleet) -> Result<(), String> {
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

    fn take(&self, step: Step) {
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
    fn kill(&self, process: usize) {
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

    pub(super) fn session(&self, process: usize) -> Option<Session<Numbers>> {
        self.processes.borrow()[process].session.clone()
    }

    pub(super) fn add(&self, process: usize, what: What, future: stand_in::Spawned) {
        let mut tasks = self.tasks.borrow_mut();
        let task = Task::new(tasks.len(), what, future);
        tasks.push((process, task));
    }
}
