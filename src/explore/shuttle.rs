//! Random orders of larger scenes, on `shuttle`: there each task has a stack of its own, so that it can stop in the
//! middle of a poll, wherever the seam says that another thread may run.
//!
//! Shuttle knows nothing of the locks of std, tokio and arc-swap. It need not: a task stops only where the seam says so,
//! and there it holds none.

mod larger;

use std::{
    cell::RefCell,
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
    thread::panicking,
    time::Duration,
};

use futures::future::{AbortHandle, abortable};
use shuttle::{
    Config, FailurePersistence, Runner,
    future::{JoinHandle, block_on, spawn},
    rand::{Rng, thread_rng},
    scheduler::RandomScheduler,
    thread::yield_now,
};

use super::{
    executor::{begin, future_of, request},
    invariants::{self, Generations},
    outcome::Ending,
    provider::{Numbers, token},
    scene::{Does, Fires, Scene},
    world::{Pace, World},
};
use crate::{
    Session,
    rt::stand_in::{self, Abort, Runtime, Spawned, Timer},
};

const SCHEDULES: usize = 10_000;

/// Seeds of schedules that once failed, each behind the name of its scene.
const REGRESSIONS: &str = include_str!("shuttle/regressions.txt");

/// Draws schedules of a scene, those that failed before first. A seed that fails is printed, and goes into the file of
/// regressions. With `SHUTTLE_RANDOM_SEED` others are drawn.
fn draw(scene: fn() -> Scene) {
    let name = scene().name;
    let regressions = REGRESSIONS.lines().filter_map(|line| line.strip_prefix(name)?.trim().parse().ok());
    let regressions: Vec<u64> = regressions.collect();
    for seed in &regressions {
        run(scene, *seed, 1);
    }
    let drawn = run(scene, 0, SCHEDULES);
    println!("{drawn:>8} schedules drawn, {} kept: {name}", regressions.len());
}

fn run(scene: fn() -> Scene, seed: u64, schedules: usize) -> usize {
    let mut config = Config::new();
    config.stack_size = 0x4_0000;
    config.failure_persistence = FailurePersistence::None;
    Runner::new(RandomScheduler::new_from_seed(seed, schedules), config).run(move || play(&scene()))
}

/// One schedule.
fn play(scene: &Scene) {
    let (world, session) = begin(scene);
    world.state().may_be_lost = scene.fires == Fires::Any;
    world.state().pace = Pace::Rolled(roll);
    let drawn = Rc::new(Drawn {
        world: world.clone(),
        session: session.clone(),
        flights: RefCell::default(),
        generations: RefCell::default(),
    });
    let installed = stand_in::install(Rc::clone(&drawn) as Rc<dyn Runtime>);
    let mut tasks: Vec<_> = (0..scene.does.len()).map(|place| start(scene, &world, &session, place)).collect();
    for _ in 0..scene.drops {
        stop_for_a_while();
        tasks[roll(scene.does.len())].1.abort();
    }
    for _ in 0..scene.aborts {
        stop_for_a_while();
        let flight = drawn.flights.borrow().last().map(|(_, abort)| abort.clone());
        flight.iter().for_each(AbortHandle::abort);
    }
    if scene.fires != Fires::None {
        stop_for_a_while();
        let deadline = session.policy().flight_deadline;
        let any = scene.fires == Fires::Any;
        let due: Vec<_> = world.state().set_timers().filter(|(_, lasts)| any || *lasts == deadline).collect();
        due.into_iter().for_each(|(at, _)| world.fire(at));
    }
    // Whoever is stuck is found by shuttle: nothing can run any more.
    tasks.drain(..).for_each(|(task, _)| block_on(task).unwrap());
    block_on(session.settled());
    drawn.join_flights();
    let ended = drawn.check().and_then(|()| invariants::ended(scene, &session, &Ending::of(scene, &world, &session)));
    let served = ended.and_then(|()| drawn.serves_another(scene));
    drop(installed);
    world.leave();
    assert_eq!(served, Ok(()), "{}", scene.name);
}

/// The stand-in for the runtime.
struct Drawn {
    world: World,
    session: Session<Numbers>,
    flights: RefCell<Vec<(JoinHandle<()>, AbortHandle)>>,
    generations: RefCell<Generations>,
}

impl Drawn {
    fn check(&self) -> Result<(), String> {
        invariants::stands(&self.world, &self.session, &mut self.generations.borrow_mut())?;
        self.world.violation().map_or(Ok(()), Err)
    }

    fn join_flights(&self) {
        let flights = self.flights.take();
        flights.into_iter().for_each(|(flight, _)| block_on(flight).unwrap());
    }

    fn serves_another(&self, scene: &Scene) -> Result<(), String> {
        self.world.advance(Duration::from_secs(301));
        self.world.state().pace = Pace::AtOnce;
        let place = scene.does.len();
        self.world.state().outcomes.push(None);
        block_on(request(scene, &self.world, &self.session, place));
        block_on(self.session.settled());
        self.join_flights();
        self.check()?;
        let outcome = self.world.state().outcomes[place];
        invariants::served(&self.world, &self.session, outcome.ok_or("a later request was not answered")?)
    }
}

impl Runtime for Drawn {
    fn spawn(&self, future: Spawned) -> Abort {
        let (task, abort) = start_task(future);
        self.flights.borrow_mut().push((task, abort.clone()));
        Box::new(move || abort.abort())
    }

    fn sleep(&self, duration: Duration) -> Timer {
        self.world.sleep(duration)
    }

    fn interleave(&self) {
        if panicking() {
            return;
        }
        if let Err(violation) = self.check() {
            self.world.violated(violation);
        }
        yield_now();
    }
}

/// Starts what one part of the scene does.
fn start(scene: &Scene, world: &World, session: &Session<Numbers>, place: usize) -> (JoinHandle<()>, AbortHandle) {
    if let Some(future) = future_of(scene, world, session, place) {
        return start_task(future);
    }
    let (world, session, does) = (world.clone(), session.clone(), scene.does[place]);
    start_task(Box::pin(async move {
        // What shuttle cannot see to be atomic with the call is done before anybody else runs.
        match does {
            Does::Set(number) => {
                let now = world.state().now.wall;
                session.set(token(number, now)).unwrap();
                world.supersede(|ledger| ledger.set(number));
            }
            _ => {
                session.sign_out();
                world.supersede(|ledger| ledger.sign_out());
            }
        }
    }))
}

fn start_task(future: Spawned) -> (JoinHandle<()>, AbortHandle) {
    let (task, abort) = abortable(Caught(future));
    let task = spawn(async move {
        let _ = task.await;
    });
    (task, abort)
}

/// As a runtime does it, a panic ends the task alone.
struct Caught(Spawned);

impl Future for Caught {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        catch_unwind(AssertUnwindSafe(|| self.0.as_mut().poll(cx))).unwrap_or(Poll::Ready(()))
    }
}

fn stop_for_a_while() {
    (0..roll(20)).for_each(|_| yield_now());
}

fn roll(sides: usize) -> usize {
    thread_rng().gen_range(0..sides)
}
