//! Runs one schedule: each step is chosen among all that can happen.

mod next;
mod runtime;
mod task;

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    task::Poll,
    time::Duration,
};

use http::Uri;

pub(super) use self::task::{Task, future_of, request};

use self::task::Taken;
use super::{
    Played,
    choices::Choices,
    invariants::{self, Generations},
    outcome::Ending,
    provider::{Numbers, token},
    scene::{Does, Fires, Scene, Start},
    steps::{Step, What, Who},
    world::{Pace, World},
};
use crate::{
    Session,
    rt::stand_in::{self, Runtime},
    session::{RefreshPolicy, SessionBuilder},
};

/// One schedule under way.
pub(super) struct Run {
    pub(super) world: World,
    pub(super) session: Session<Numbers>,
    tasks: RefCell<Vec<Task>>,
    /// What is still to be called from outside.
    calls: RefCell<Vec<Does>>,
    choices: RefCell<Choices>,
    left: Left,
    /// How many steps are under way, one in the middle of the other.
    depth: Cell<usize>,
    pub(super) generations: RefCell<Generations>,
}

/// The flights since the last change from outside.
pub(super) struct Flights {
    pub(super) counting: usize,
    pub(super) under_way: usize,
    /// Whether those before it have been called off.
    pub(super) are_called_off: bool,
}

/// What may still happen beside what must.
struct Left {
    drops: Cell<usize>,
    aborts: Cell<usize>,
    fires: Cell<Fires>,
    preemptions: Cell<usize>,
}

/// A session of this world, but for what it begins with.
pub(super) fn builder(scene: &Scene, world: &World) -> SessionBuilder<Numbers> {
    let provider = Numbers {
        api: Uri::from_static("https://api.test"),
        has_login: scene.server.has_login,
        reads_body: scene.server.speaks_in_bodies,
    };
    let policy = RefreshPolicy::new().jitter(|| 1.0);
    Session::builder(provider).transport(world.clone()).clock(world.clone()).policy(policy)
}

/// A session at the beginning of a scene.
pub(super) fn begin(scene: &Scene) -> (World, Session<Numbers>) {
    let world = World::new(scene.server.clone(), scene.room, scene.does.len());
    let mut builder = builder(scene, &world);
    if scene.start != Start::Cold {
        let now = world.state().now.wall;
        builder = builder.token(token(1, now));
        world.state().ledger.starts_with(1, scene.start != Start::Rejected);
    }
    let session = builder.build().unwrap();
    world.advance(scene.start.age());
    world.watch(&session);
    (world, session)
}

impl Run {
    /// Plays the schedule that begins with these choices.
    pub(super) fn play(scene: &Scene, choices: Choices) -> Played {
        let (world, session) = begin(scene);
        world.state().may_be_lost = scene.fires == Fires::Any;
        let is_call = |does: &Does| matches!(does, Does::Set(_) | Does::SignOut);
        let run = Rc::new(Self {
            tasks: RefCell::new(Task::all(scene, &world, &session)),
            calls: RefCell::new(scene.does.iter().copied().filter(is_call).collect()),
            choices: RefCell::new(choices),
            left: Left {
                drops: Cell::new(scene.drops),
                aborts: Cell::new(scene.aborts),
                fires: Cell::new(scene.fires),
                preemptions: Cell::new(scene.preemptions),
            },
            depth: Cell::new(0),
            generations: RefCell::default(),
            world: world.clone(),
            session,
        });
        let installed = stand_in::install(Rc::clone(&run) as Rc<dyn Runtime>);
        let ended = run.to_its_end(scene);
        run.left.preemptions.set(0);
        let unfinished = run.tasks.take();
        drop((unfinished, installed));
        world.leave();
        (ended, run.choices.take())
    }

    fn to_its_end(&self, scene: &Scene) -> Result<(), String> {
        loop {
            let steps = self.steps();
            if !steps.iter().any(|step| step.is_due()) {
                break;
            }
            let chosen = self.choices.borrow_mut().choose(steps.len());
            self.take(steps[chosen]);
            invariants::hold(self);
            self.world.violation().map_or(Ok(()), Err)?;
        }
        self.left.preemptions.set(0);
        if let Some(stuck) = self.tasks.borrow().iter().find(|task| !task.is_done()) {
            return Err(format!("{} is stuck", stuck.who));
        }
        invariants::ended(scene, &self.session, &Ending::of(scene, &self.world, &self.session))?;
        self.serves_another(scene)
    }

    fn take(&self, step: Step) {
        self.choices.borrow_mut().note(self.depth.get(), step);
        self.depth.set(self.depth.get() + 1);
        let spend = |left: &Cell<usize>| left.set(left.get() - 1);
        match step {
            Step::Poll(who) => self.poll(who),
            Step::AnswerRequest(who, at) => {
                self.world.answer_request(at);
                self.poll(who);
            }
            Step::AnswerCall(at, reply) => self.world.answer_call(at, reply),
            Step::OpenIdp => self.world.open_idp(),
            Step::Do(does) => self.call(does),
            Step::Drop(who) => {
                spend(&self.left.drops);
                self.end(who);
            }
            Step::Abort(who) => {
                spend(&self.left.aborts);
                self.end(who);
            }
            Step::Fire(at, _) => {
                self.left.fires.set(Fires::None);
                self.world.fire(at);
            }
            // There is no store here.
            Step::AnswerStore(..) | Step::Kill(_) | Step::Stall | Step::Flush => {}
        }
        self.depth.set(self.depth.get() - 1);
    }

    fn poll(&self, who: Who) {
        let taken = self.tasks.borrow_mut()[who.at].take();
        let Some(mut taken) = taken else { return };
        if taken.is_aborted() {
            return self.finish(who, taken);
        }
        let flight = self.tasks.borrow()[who.at].flight();
        let earlier = std::mem::replace(&mut self.world.state().polled, flight);
        let polled = taken.poll();
        self.world.state().polled = earlier;
        match polled {
            Ok(Poll::Pending) => self.tasks.borrow_mut()[who.at].put_back(taken),
            Ok(Poll::Ready(())) => self.finish(who, taken),
            Err(()) => {
                self.finish(who, taken);
                // A runtime catches the panic of a spawned task.
                if flight.is_none() {
                    self.world.violated(format!("{who} panicked"));
                }
            }
        }
        if let Some((flight, _)) = flight {
            invariants::landed(self, flight, self.tasks.borrow()[who.at].is_superseded());
        }
    }

    fn end(&self, who: Who) {
        let taken = self.tasks.borrow_mut()[who.at].take();
        if let Some(taken) = taken {
            self.finish(who, taken);
        }
    }

    /// Drops the future of a task. Others may run meanwhile.
    fn finish(&self, who: Who, taken: Taken) {
        drop(taken);
        self.tasks.borrow_mut()[who.at].finish();
    }

    fn call(&self, does: Does) {
        self.calls.borrow_mut().retain(|call| *call != does);
        match does {
            Does::Set(number) => {
                let now = self.world.state().now.wall;
                self.session.set(token(number, now)).unwrap();
                self.world.supersede(|ledger| ledger.set(number));
            }
            _ => {
                self.session.sign_out();
                self.world.supersede(|ledger| ledger.sign_out());
            }
        }
        self.tasks.borrow_mut().iter_mut().for_each(Task::supersede);
    }

    pub(super) fn flights(&self) -> Flights {
        let tasks = self.tasks.borrow();
        let (superseded, counting): (Vec<_>, Vec<_>) =
            tasks.iter().filter(|task| task.is_flight()).partition(|task| task.is_superseded());
        Flights {
            counting: counting.len(),
            under_way: counting.iter().filter(|task| !task.is_done()).count(),
            are_called_off: superseded.iter().all(|task| task.is_done() || task.is_aborted()),
        }
    }

    /// After all that, and after any backoff, the session serves one more request.
    fn serves_another(&self, scene: &Scene) -> Result<(), String> {
        self.world.advance(Duration::from_secs(301));
        self.world.state().pace = Pace::AtOnce;
        let place = scene.does.len();
        self.world.state().outcomes.push(None);
        let at = self.tasks.borrow().len();
        let task = Task::new(at, What::Task(Does::Request, place), request(scene, &self.world, &self.session, place));
        self.tasks.borrow_mut().push(task);
        for _ in 0..100 {
            let steps = self.steps();
            let Some(step) = steps.into_iter().find(|step| step.is_due()) else { break };
            self.take(step);
            invariants::hold(self);
        }
        self.world.violation().map_or(Ok(()), Err)?;
        let outcome = self.world.state().outcomes[place];
        invariants::served(&self.world, &self.session, outcome.ok_or("a later request is stuck")?)
    }
}
