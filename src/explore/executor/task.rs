//! The tasks of one schedule: what the scene does, and the flights that it starts.

use std::{
    future::{Future, poll_fn},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Empty};
use tower::{Layer, Service, ServiceExt, limit::GlobalConcurrencyLimitLayer};

use crate::{
    AuthRefreshLayer, Session,
    explore::{
        outcome::Outcome,
        provider::Numbers,
        scene::{Does, Scene},
        steps::{What, Who},
        world::{Api, World},
    },
    rt::stand_in::Spawned,
};

pub(in super::super) struct Task {
    pub(in super::super) who: Who,
    stage: Stage,
    signal: Arc<Signal>,
    has_begun: bool,
    is_superseded: bool,
}

enum Stage {
    Idle(Spawned),
    /// In the middle of a step.
    Busy,
    Done,
}

/// A future that is taken out of its task for a step.
pub(in super::super) struct Taken {
    future: Spawned,
    signal: Arc<Signal>,
}

/// What wakes a task, and what aborts it.
pub(in super::super) struct Signal {
    is_woken: AtomicBool,
    is_aborted: AtomicBool,
}

impl Task {
    /// The tasks of a scene; what is no future is none.
    pub(in super::super) fn all(scene: &Scene, world: &World, session: &Session<Numbers>) -> Vec<Self> {
        let mut tasks = Vec::new();
        for (place, does) in scene.does.iter().enumerate() {
            if let Some(future) = future_of(scene, world, session, place) {
                tasks.push(Self::new(tasks.len(), What::Task(*does, place), future));
            }
        }
        tasks
    }

    pub(in super::super) fn new(at: usize, what: What, future: Spawned) -> Self {
        let signal = Signal { is_woken: AtomicBool::new(true), is_aborted: AtomicBool::new(false) };
        let (who, stage) = (Who { at, what }, Stage::Idle(future));
        Self { who, stage, signal: Arc::new(signal), has_begun: false, is_superseded: false }
    }

    pub(in super::super) fn is_flight(&self) -> bool {
        matches!(self.who.what, What::Flight(_))
    }

    pub(in super::super) fn flight(&self) -> Option<(usize, bool)> {
        match self.who.what {
            What::Flight(number) => Some((number, self.is_superseded)),
            What::Task(..) | What::Work(..) => None,
        }
    }

    pub(in super::super) fn is_done(&self) -> bool {
        matches!(self.stage, Stage::Done)
    }

    pub(in super::super) fn is_idle(&self) -> bool {
        matches!(self.stage, Stage::Idle(_))
    }

    /// Whether `other` is the same as this one, and as good as this one to begin with.
    pub(in super::super) fn is_twin_of(&self, other: &Self) -> bool {
        let does = |task: &Self| match task.who.what {
            What::Task(does, _) if !task.has_begun => Some(does),
            _ => None,
        };
        does(self).is_some_and(|this| does(other) == Some(this))
    }

    pub(in super::super) fn is_runnable(&self) -> bool {
        self.signal.is_woken.load(Ordering::Relaxed)
    }

    pub(in super::super) fn is_aborted(&self) -> bool {
        self.signal.is_aborted.load(Ordering::Relaxed)
    }

    pub(in super::super) fn is_superseded(&self) -> bool {
        self.is_superseded
    }

    pub(in super::super) fn supersede(&mut self) {
        self.is_superseded = !matches!(self.who.what, What::Task(..));
    }

    pub(in super::super) fn signal(&self) -> Arc<Signal> {
        Arc::clone(&self.signal)
    }

    /// Takes the future out for a step.
    pub(in super::super) fn take(&mut self) -> Option<Taken> {
        self.has_begun = true;
        match std::mem::replace(&mut self.stage, Stage::Busy) {
            Stage::Idle(future) => Some(Taken { future, signal: Arc::clone(&self.signal) }),
            stage => {
                self.stage = stage;
                None
            }
        }
    }

    pub(in super::super) fn put_back(&mut self, taken: Taken) {
        self.stage = Stage::Idle(taken.future);
    }

    pub(in super::super) fn finish(&mut self) {
        self.stage = Stage::Done;
    }
}

impl Taken {
    /// `Err` on a panic.
    pub(in super::super) fn poll(&mut self) -> Result<Poll<()>, ()> {
        self.signal.is_woken.store(false, Ordering::Relaxed);
        let waker = Waker::from(Arc::clone(&self.signal));
        let mut cx = Context::from_waker(&waker);
        catch_unwind(AssertUnwindSafe(|| self.future.as_mut().poll(&mut cx))).map_err(drop)
    }

    pub(in super::super) fn is_aborted(&self) -> bool {
        self.signal.is_aborted.load(Ordering::Relaxed)
    }
}

impl Signal {
    pub(in super::super) fn abort(&self) {
        self.is_aborted.store(true, Ordering::Relaxed);
        self.is_woken.store(true, Ordering::Relaxed);
    }
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        self.is_woken.store(true, Ordering::Relaxed);
    }
}

/// A task of a scene, for any executor; `None` for what is no future.
pub(in super::super) fn future_of(
    scene: &Scene,
    world: &World,
    session: &Session<Numbers>,
    place: usize,
) -> Option<Spawned> {
    let (world, session) = (world.clone(), session.clone());
    Some(match scene.does[place] {
        Does::Request => request(scene, &world, &session, place),
        Does::Token => Box::pin(async move {
            let outcome = session.token().await.into();
            world.finished(place, outcome);
        }),
        Does::SignIn => Box::pin(async move {
            let outcome = session.sign_in().await.into();
            world.finished(place, outcome);
        }),
        Does::Set(_) | Does::SignOut => return None,
    })
}

/// A request through the layer, until its answer is read.
pub(in super::super) fn request(scene: &Scene, world: &World, session: &Session<Numbers>, place: usize) -> Spawned {
    let room = Arc::clone(&world.state().room);
    let api = GlobalConcurrencyLimitLayer::with_semaphore(room).layer(Api { world: world.clone(), task: place });
    let mut service = AuthRefreshLayer::new(session.clone()).layer(api);
    let (world, calls_first) = (world.clone(), scene.calls_first);
    Box::pin(async move {
        let answer = async {
            let request = Request::get("https://api.test/").body(Empty::<Bytes>::new()).unwrap();
            let response = service.ready().await?.call(request);
            if calls_first {
                yield_once().await;
            }
            let mut response = pin!(response);
            poll_fn(|cx| {
                let polled = response.as_mut().poll(cx);
                world.has_polled(place);
                polled
            })
            .await
        };
        let outcome = match answer.await {
            Ok(answer) => {
                let status = answer.status().as_u16();
                let is_rejected = answer.into_body().collect().await.unwrap().to_bytes().ends_with(b"true}");
                Outcome::Status(if is_rejected { 401 } else { status })
            }
            Err(error) => Outcome::Error(error.kind()),
        };
        world.finished(place, outcome);
    })
}

async fn yield_once() {
    let mut is_done = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut is_done, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
