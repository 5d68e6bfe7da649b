//! The engine itself, through its public API: a layer around an API, and a session before a token endpoint, both of
//! which answer when they are told to.

use std::{
    collections::BTreeMap,
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::Poll,
    time::{Duration, SystemTime},
};

use futures::FutureExt;
use tower::{Layer, ServiceExt};
use tower_auth_refresh::{
    AuthRefresh, AuthRefreshLayer, Session,
    clock::{Clock, Now},
    error::{Error, RefreshFailure},
    session::{Event, Events, RefreshPolicy},
    token::{Expiry, ExposeSecret, SecretString, TokenSet},
};

use super::{
    observed::{Ending, Failure, Heard, Millis, Observed, Standing, Who},
    replies,
    sequence::{Api, Endpoint, Scene, Set},
    server::{Arrival, Server, number},
};
use crate::support::{TestClock, TestProvider, by_hand::ByHand, get};

type Waiting = ByHand<Pin<Box<dyn Future<Output = Ending>>>>;

pub struct System {
    clock: WatchedClock,
    began: SystemTime,
    session: Session<TestProvider>,
    client: AuthRefresh<Server, TestProvider>,
    api: Server,
    endpoint: Server,
    events: Events,
    callers: BTreeMap<Who, Waiting>,
    came: Who,
    ended: Vec<(Who, Ending)>,
    /// The generations in the order in which they were first seen.
    generations: Vec<u64>,
}

/// Readings are counted, so that an endless loop fails the test instead of hanging it.
#[derive(Clone)]
struct WatchedClock(TestClock, Arc<AtomicUsize>);

/// More than any moment needs.
const READINGS: usize = 10_000;

impl System {
    pub fn new(scene: Scene) -> Self {
        let clock = WatchedClock(TestClock::new(), Arc::default());
        let (api, endpoint) = (Server::default(), Server::default());
        let provider = TestProvider::new().with_single_use(scene.single_use).with_login(scene.can_log_in);
        let roll = match scene.jitter {
            0 => || 0.0,
            50 => || 0.5,
            _ => || 1.0,
        };
        let policy = RefreshPolicy::new().jitter(roll).guard(scene.guard, Duration::from_secs(30)).unwrap();
        let began = clock.0.wall();
        let mut builder = Session::builder(provider).transport(endpoint.clone()).clock(clock.clone()).policy(policy);
        if let Some(first) = scene.first {
            builder = builder.token(token_set(0, first, began));
        }
        let session = builder.build().unwrap();
        let layer = AuthRefreshLayer::new(session.clone())
            .replays(scene.replays)
            .error_after_failed_refresh(scene.error_after_failed_refresh);
        Self {
            client: layer.layer(api.clone()),
            events: session.subscribe(),
            generations: vec![session.status().generation.get()],
            clock,
            began,
            session,
            api,
            endpoint,
            callers: BTreeMap::new(),
            came: 0,
            ended: Vec::new(),
        }
    }

    // ===== what can happen =====

    pub fn request(&mut self) {
        let (client, began) = (self.client.clone(), self.began);
        let request = get(&format!("/{}", self.came + 1));
        self.comes(async move {
            match client.oneshot(request).await {
                Ok(answer) => {
                    let status = answer.status().as_u16();
                    match answer.extensions().get::<RefreshFailure>() {
                        Some(failure) => Ending::AnswerAfter(status, failed(failure, began)),
                        None => Ending::Answer(status),
                    }
                }
                Err(error) => Ending::Error(erred(&error, began)),
            }
        });
    }

    pub fn ask_for_token(&mut self) {
        let (session, began) = (self.session.clone(), self.began);
        self.comes(async move {
            match session.token().await {
                Ok(token) => Ending::Token(number(&exposed(token.access_token()))),
                Err(error) => Ending::Error(erred(&error, began)),
            }
        });
    }

    pub fn sign_in(&mut self) {
        let (session, began) = (self.session.clone(), self.began);
        self.comes(async move {
            match session.sign_in().await {
                Ok(()) => Ending::SignedIn,
                Err(error) => Ending::Error(erred(&error, began)),
            }
        });
    }

    pub fn sign_out(&self) {
        self.session.sign_out();
    }

    pub fn set(&self, number: u64, set: Set) {
        self.session.set(token_set(number, set, self.clock.0.wall())).unwrap();
    }

    pub fn go_away(&mut self, caller: Who) {
        self.callers.remove(&caller);
    }

    pub fn api_answers(&self, caller: Who, answer: Api) {
        self.api.answer(|request| request.caller() == caller, replies::of_the_api(answer));
    }

    pub fn endpoint_answers(&self, answer: Endpoint, number: u64) {
        self.endpoint.answer(|_| true, replies::of_the_endpoint(answer, number, self.clock.0.wall()));
    }

    /// Moves the clocks; the timers of the runtime follow the monotonic one.
    pub async fn pass(&mut self, wall: Millis, monotonic: Millis) {
        self.clock.0.advance(millis(monotonic));
        match wall - monotonic {
            ahead @ 1.. => self.clock.0.suspend(millis(ahead)),
            behind => self.clock.0.step_back(millis(-behind)),
        }
        if monotonic > 0 {
            tokio::time::advance(millis(monotonic)).await;
        }
    }

    // ===== what can be seen =====

    /// Lets everybody do what there is to do, and says what can be seen of it.
    pub async fn settle(&mut self) -> Observed {
        loop {
            for _ in 0..4 {
                tokio::task::yield_now().await;
            }
            let woken: Vec<_> =
                self.callers.iter().filter(|(_, caller)| caller.is_woken()).map(|(number, _)| *number).collect();
            if woken.is_empty() {
                break;
            }
            for caller in woken {
                self.poll(caller);
            }
        }
        self.clock.1.store(0, Ordering::Relaxed);
        let mut seen = Observed { ended: std::mem::take(&mut self.ended), ..Observed::default() };
        seen.sent = self.api.arrivals().iter().map(|request| (request.caller(), request.token())).collect();
        seen.asked = self.endpoint.arrivals().iter().map(Arrival::ask).collect();
        while let Some(Some(event)) = self.events.recv().now_or_never() {
            let heard = self.heard(&event);
            seen.heard.push(heard);
        }
        seen.at_the_api = self.api.open().iter().map(Arrival::caller).collect();
        seen.at_the_api.sort_unstable();
        seen.waiting = self.callers.keys().filter(|caller| !seen.at_the_api.contains(caller)).copied().collect();
        seen.owed = !self.endpoint.open().is_empty();
        seen.settled = self.session.settled().now_or_never().is_some();
        seen.status = Some(self.standing());
        seen
    }

    fn comes(&mut self, wish: impl Future<Output = Ending> + 'static) {
        self.came += 1;
        self.callers.insert(self.came, ByHand::new(Box::pin(wish)));
        self.poll(self.came);
    }

    fn poll(&mut self, caller: Who) {
        let polled = self.callers.get_mut(&caller).map(ByHand::poll);
        if let Some(Poll::Ready(ending)) = polled {
            self.callers.remove(&caller);
            self.ended.push((caller, ending));
        }
    }

    fn standing(&mut self) -> Standing {
        let status = self.session.status();
        let at = |time: SystemTime| since(self.began, time);
        Standing {
            condition: status.condition,
            expires_at: status.expires_at.map(at),
            last_error: status.last_error,
            failing_since: status.failing_since.map(at),
            retry_at: status.retry_at.map(at),
            generation: self.generation(status.generation.get()),
        }
    }

    fn heard(&mut self, event: &Event) -> Heard {
        match event {
            Event::TokenChanged { generation } => Heard::TokenChanged(self.generation(generation.get())),
            Event::SignedOut { generation } => Heard::SignedOut(self.generation(generation.get())),
            Event::RefreshFailed { generation, failure } => {
                Heard::RefreshFailed(self.generation(generation.get()), failed(failure, self.began))
            }
            _ => panic!("{event:?}"),
        }
    }

    fn generation(&mut self, generation: u64) -> usize {
        let known = self.generations.iter().position(|known| *known == generation);
        known.unwrap_or_else(|| {
            self.generations.push(generation);
            self.generations.len() - 1
        })
    }
}

impl Clock for WatchedClock {
    fn now(&self) -> Now {
        assert!(self.1.fetch_add(1, Ordering::Relaxed) < READINGS, "an endless loop");
        self.0.now()
    }
}

fn token_set(number: u64, set: Set, now: SystemTime) -> TokenSet {
    let mut token = TokenSet::new(format!("access-{number}")).with_issued_at(now);
    if set.refresh_token {
        token = token.with_refresh_token(format!("refresh-{number}"));
    }
    let end = set.lifetime.map(|lifetime| Expiry::At(now + Duration::from_secs(lifetime)));
    token.with_expiry(end.unwrap_or_default())
}

#[allow(clippy::disallowed_methods, reason = "the tokens of this test are numbers")]
fn exposed(secret: &SecretString) -> String {
    secret.expose_secret().to_owned()
}

fn erred(error: &Error, began: SystemTime) -> Failure {
    Failure { kind: error.kind(), retry_at: error.retry_at().map(|at| since(began, at)) }
}

fn failed(failure: &RefreshFailure, began: SystemTime) -> Failure {
    Failure { kind: failure.kind(), retry_at: failure.retry_at().map(|at| since(began, at)) }
}

fn since(began: SystemTime, time: SystemTime) -> Millis {
    let millis = |passed: Duration| Millis::try_from(passed.as_millis()).unwrap();
    time.duration_since(began).map_or_else(|early| -millis(early.duration()), millis)
}

fn millis(millis: Millis) -> Duration {
    Duration::from_millis(u64::try_from(millis).unwrap())
}
