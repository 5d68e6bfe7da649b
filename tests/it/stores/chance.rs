//! Processes that share a store for some minutes, while anything may go wrong at any moment: C46 to C52.
//!
//! Time is virtual: a run of ten minutes takes milliseconds. `CHANCE_RUNS` says how many there are of each kind.

mod endpoint;
mod line;
mod shelf;

use std::{
    pin::pin,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures::future::{Either, select};
use tokio::sync::watch;
use tower_auth_refresh::{Session, error::ErrorKind, session::RefreshPolicy};

use self::{
    endpoint::{Endpoint, Presented},
    line::{Dice, Line},
    shelf::{Far, Shelf},
};
use crate::support::{Client, TestProvider, World, client, fleet::pass, get, send};

/// For how long things go wrong.
const TROUBLE: Duration = Duration::from_secs(300);

/// How long it takes until nothing of that is left: twice the longest backoff, and a little.
const REST: Duration = Duration::from_secs(800);

/// What the last request of a process came to.
type Last = Arc<Mutex<Option<Result<u16, ErrorKind>>>>;

struct Member {
    session: Session<TestProvider>,
    line: Line,
    last: Last,
    traffic: tokio::task::AbortHandle,
}

struct Run {
    world: World,
    shelf: Shelf,
    presented: Presented,
    dice: Dice,
    /// How many calls in a hundred are spoilt.
    faults: watch::Sender<u64>,
    has_login: bool,
    members: Vec<Member>,
}

impl Run {
    fn new(seed: u64, has_login: bool) -> Self {
        let dice = Dice::new(seed);
        let world = World::new().lifetime(Duration::from_secs(30) + dice.millis(90_000));
        world.grant(1);
        let faults = watch::Sender::new([2, 10, 25][dice.below(3)]);
        let (shelf, presented) = (Shelf::default(), Presented::default());
        Self { world, shelf, presented, dice, faults, has_login, members: Vec::new() }
    }

    fn starts_another(&mut self) {
        let line = Line::new(&self.dice, &self.faults);
        let (world, presented) = (&self.world, self.presented.clone());
        let endpoint = Endpoint { server: world.idp(), line: line.clone(), presented, shelf: self.shelf.clone() };
        let builder = Session::builder(TestProvider::new().with_login(self.has_login))
            .transport(endpoint)
            .clock(world.clock.clone())
            .policy(RefreshPolicy::new().jitter(fastrand::f64))
            .store(Far { shelf: self.shelf.clone(), line: line.clone() });
        let first = TestProvider::token(1, Duration::from_secs(60), world.clock.wall());
        let builder = if self.has_login { builder } else { builder.token(first) };
        let session = builder.build().unwrap();
        let (last, client) = (Last::default(), client(world, &session));
        let traffic = spawn(requests(client, self.dice.clone(), Arc::clone(&last)));
        self.members.push(Member { session, line, last, traffic });
    }

    /// Something happens to somebody.
    fn happens(&mut self, times: u64) {
        let at = self.dice.below(self.members.len());
        let member = &self.members[at];
        match self.dice.below(10) {
            0 | 1 => {
                member.line.kill();
                member.traffic.abort();
                self.members.swap_remove(at);
                self.starts_another();
            }
            2 | 3 => member.line.cut(self.dice.millis(40_000)),
            4..=6 => self.world.revoke_access(),
            7 if self.has_login => {
                let session = member.session.clone();
                spawn(async move { drop(session.sign_in().await) });
            }
            8 if self.has_login => {
                member.session.sign_out();
                let (session, time) = (member.session.clone(), self.dice.millis(20_000));
                spawn(async move {
                    pass(time).await;
                    while session.sign_in().await.is_err() {
                        pass(Duration::from_secs(1)).await;
                    }
                });
            }
            9 if self.has_login => {
                let number = 1000 * times;
                self.world.grant(number);
                let token = TestProvider::token(number, Duration::from_secs(60), self.world.clock.wall());
                member.session.set(token).unwrap();
            }
            _ => {}
        }
    }

    /// No refresh token was presented again that may have been spent: once more where nothing else could save the session.
    fn check_presented(&self, when: &str) {
        assert_eq!(self.presented.unmarked(), None, "presented without a mark {when}");
        let (token, times) = self.presented.most();
        let most = if self.has_login { 1 } else { usize::MAX };
        assert!(times <= most, "{token} was presented {times} times {when}");
    }

    fn agrees(&self) -> bool {
        let stored = self.shelf.stored().map(|stored| stored.generation.get());
        self.members.iter().all(|member| Some(member.session.status().generation.get()) == stored)
    }

    /// All live processes agree with the store, and are served.
    fn check_peace(&self) {
        let stored = self.shelf.stored().expect("something is stored");
        let is_dead = stored.refresh_refused_since.is_some() && !self.has_login;
        for (at, member) in self.members.iter().enumerate() {
            let status = member.session.status();
            assert!(!status.unsaved, "process {at} has stored everything");
            assert_eq!(status.generation.get(), stored.generation.get(), "process {at} holds what is stored");
            let last = member.last.lock().unwrap().expect("a request has been answered");
            match last {
                Ok(200) => {}
                Ok(401) | Err(ErrorKind::Refused | ErrorKind::SignInRequired) if is_dead => {}
                last => panic!("process {at} ends with {last:?} over {:?}", member.session.status()),
            }
        }
    }
}

/// One run, the same for the same seed.
fn plays(seed: u64, has_login: bool) {
    fastrand::seed(seed);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let mut run = Run::new(seed, has_login);
        let clock = run.world.clock.clone();
        let tick = Duration::from_millis(100);
        spawn(async move {
            loop {
                pass(tick).await;
                clock.advance(tick);
            }
        });
        for _ in 0..2 + run.dice.below(2) {
            run.starts_another();
        }
        let (mut passed, mut times) = (Duration::ZERO, 1);
        while passed < TROUBLE {
            let quiet = run.dice.millis(30_000);
            pass(quiet).await;
            passed += quiet;
            times += 1;
            run.happens(times);
            run.check_presented("in the midst of it");
        }
        run.faults.send_replace(0);
        pass(REST / 2).await;
        // Whoever was to sign in again may have been killed before.
        if run.shelf.stored().is_some_and(|stored| stored.signed_out_since.is_some()) {
            run.members[0].session.sign_in().await.unwrap();
        }
        pass(REST / 2).await;
        run.check_presented("afterwards");
        // Somebody may have refreshed just now, and not everybody have heard of it.
        for _ in 0..20 {
            if run.agrees() {
                break;
            }
            pass(tick).await;
        }
        run.check_peace();
        for member in &run.members {
            member.traffic.abort();
        }
        for member in &run.members {
            let settled = pin!(member.session.settled());
            let is_settled = matches!(select(settled, pin!(pass(Duration::from_secs(60)))).await, Either::Left(_));
            assert!(is_settled, "nothing is under way for ever");
        }
        assert!(run.shelf.is_free(), "no lease is left behind");
    });
}

async fn requests(client: Client, dice: Dice, last: Last) {
    loop {
        pass(dice.millis(5000)).await;
        let answer = send(&client, get("/")).await;
        let answer = answer.map(|answer| answer.status().as_u16()).map_err(|error| error.kind());
        *last.lock().unwrap() = Some(answer);
    }
}

#[allow(clippy::disallowed_methods, reason = "processes live beside one another")]
fn spawn(work: impl Future<Output = ()> + Send + 'static) -> tokio::task::AbortHandle {
    tokio::spawn(work).abort_handle()
}

fn play_all(has_login: bool) {
    let runs = std::env::var("CHANCE_RUNS").ok().and_then(|runs| runs.parse().ok()).unwrap_or(40);
    for seed in 0..runs {
        let ended = std::panic::catch_unwind(|| plays(seed, has_login));
        assert!(ended.is_ok(), "the run of seed {seed}");
    }
}

#[test]
fn where_a_login_is_possible_no_refresh_token_is_presented_twice_and_all_are_served_in_the_end() {
    play_all(true);
}

#[test]
fn where_no_login_is_possible_nothing_is_presented_unmarked_or_after_a_refusal_and_all_end_alike() {
    play_all(false);
}
