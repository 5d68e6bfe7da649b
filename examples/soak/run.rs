//! One scene in motion: its server, its session, and the batches that go through them.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use fastrand::Rng;
use http::Uri;
use tokio::task::JoinSet;
use tower::{BoxError, ServiceBuilder, limit::ConcurrencyLimit};
use tower_auth_refresh::{
    AuthRefreshLayer, Provider, Session,
    error::ErrorKind,
    session::{Condition, Status},
};

use crate::{
    account::{Account, Closing},
    line::Line,
    loopback::{self, DemoClock, Loopback, Server},
    plan::{Batch, Event, Jump, patience},
    request::{Authorized, Patience, Seen, drive},
    scenes::Scene,
    sentry::Sentry,
    trip::{Trip, Watch},
    witness::Witness,
};

/// How many requests of a batch are there at once. More than the client lets through, so that some wait for their turn.
const AT_ONCE: usize = 200;

/// So many tries bring a session back when nothing goes wrong any more.
const TRIES: usize = 6;

/// One scene in motion.
pub(crate) struct Run {
    pub(crate) scene: Scene,
    pub(crate) account: Account,
    pub(crate) api: Loopback,
    pub(crate) witness: Arc<Witness>,
    pub(crate) watch: Arc<Watch>,
    pub(crate) clock: DemoClock,
    pub(crate) started: SystemTime,
    session: Session<Box<dyn Provider>>,
    /// Stands for the user who signs in where the session cannot.
    user: Session<Box<dyn Provider>>,
    service: Authorized,
    uri: Uri,
    _server: Server,
}

impl Run {
    /// Starts the server, and signs in where the session cannot.
    pub(crate) async fn start(scene: Scene, seed: u64) -> Result<Self, BoxError> {
        let clock = DemoClock::new();
        let witness = Arc::new(Witness::new(seed));
        let api = Loopback::boxed((scene.api)(scene.lifetime), clock.clone()).behind(Line(Arc::clone(&witness)));
        let server = loopback::serve(api.clone()).await?;
        let client = ConcurrencyLimit::new(scene.protocol.client(), scene.protocol.at_once());
        let session = |logs_in| {
            Session::builder((scene.provider)(server.uri(), logs_in))
                .transport(client.clone())
                .clock(clock.clone())
                .allow_http(true)
                .build()
        };
        let (session, user) = (session(scene.logs_in)?, session(true)?);
        let service = ServiceBuilder::new()
            .layer(AuthRefreshLayer::new(session.clone()))
            .service(Sentry::new(client.clone(), &witness));
        let watch = Arc::new(Watch::new(session.clone()));
        let uri = format!("{}{}", server.uri(), scene.path).parse()?;
        let (account, started) = (Account::default(), clock.wall());
        let run =
            Self { scene, account, api, witness, watch, clock, started, session, user, service, uri, _server: server };
        if !run.scene.logs_in {
            run.sign_in().await?;
        }
        Ok(run)
    }

    /// Sends one batch, then waits until nothing is under way and the session is well again. `next` is the number of
    /// the next request.
    pub(crate) async fn batch(&mut self, batch: &Batch, rng: &mut Rng, next: &mut u64) -> Result<(), BoxError> {
        self.witness.begin(batch);
        self.watch.forget();
        self.advance(batch.start);
        let mut asking = JoinSet::new();
        for place in 0..batch.size {
            for (_, event) in batch.events.iter().filter(|(at, _)| *at == place) {
                self.happens(*event);
            }
            if asking.len() >= AT_ONCE {
                self.book(asking.join_next().await);
            }
            let together = rng.u8(..100) < batch.leave_together;
            let granted = together.then(|| self.witness.granted());
            self.ask(&mut asking, *next, Patience { polls: patience(rng), granted });
            *next += 1;
        }
        while !asking.is_empty() {
            self.book(asking.join_next().await);
        }
        self.session.settled().await;
        self.witness.heal();
        self.heal(next).await
    }

    /// One request at the end, which must succeed.
    pub(crate) async fn last(&mut self, next: &mut u64) -> Result<(), BoxError> {
        self.witness.begin(&Batch::quiet());
        self.witness.heal();
        self.advance(Jump::Onward);
        if !self.probe(next).await {
            self.account.wrong.push("the last request did not succeed".into());
        }
        self.session.settled().await;
        let closing = Closing {
            counts: self.api.counts(),
            witness: &self.witness,
            watch: &self.watch,
            generation: self.session.status().generation.get(),
            logs_in: self.scene.logs_in,
        };
        self.account.close(&closing);
        Ok(())
    }

    fn ask(&self, asking: &mut JoinSet<(Arc<Trip>, Seen)>, number: u64, patience: Patience) {
        let trip = Arc::new(Trip::new(number, &self.watch));
        let asked = drive(self.service.clone(), Arc::clone(&trip), self.uri.clone(), self.scene.echo, patience);
        asking.spawn(async move { (trip, asked.await) });
    }

    fn book(&mut self, asked: Option<Result<(Arc<Trip>, Seen), tokio::task::JoinError>>) -> bool {
        match asked {
            Some(Ok((trip, seen))) => {
                self.account.book(&trip, &seen, &self.witness, self.scene.logs_in);
                matches!(seen, Seen::Accepted)
            }
            Some(Err(error)) => {
                self.account.wrong.push(error.to_string());
                false
            }
            None => false,
        }
    }

    /// One request by itself; whether it succeeded.
    async fn probe(&mut self, next: &mut u64) -> bool {
        let mut asking = JoinSet::new();
        self.ask(&mut asking, *next, Patience { polls: None, granted: None });
        *next += 1;
        let accepted = self.book(asking.join_next().await);
        self.session.settled().await;
        accepted
    }

    /// Lets the session come back from what has failed. Nothing goes wrong any more.
    async fn heal(&mut self, next: &mut u64) -> Result<(), BoxError> {
        for _ in 0..TRIES {
            let status = self.session.status();
            if status.condition != Condition::Failing {
                return Ok(());
            }
            if needs_sign_in(&status) {
                self.account.ended += 1;
                self.sign_in().await?;
                continue;
            }
            let due = status.retry_at.and_then(|at| at.duration_since(self.clock.wall()).ok()).unwrap_or_default();
            self.clock.advance(due + Duration::from_secs(31));
            self.probe(next).await;
        }
        self.account.wrong.push(format!("not well again: {:?}", self.session.status()));
        Ok(())
    }

    /// A user signs in, and the application takes over what that brought.
    async fn sign_in(&self) -> Result<(), BoxError> {
        self.user.sign_in().await?;
        Ok(self.session.set(self.user.token().await?)?)
    }

    fn happens(&self, event: Event) {
        match event {
            Event::Revoke => self.api.revoke(),
            Event::Seconds(seconds) => self.clock.advance(Duration::from_secs(seconds)),
            Event::MostOfALife => self.clock.advance(self.scene.lifetime / 10 * 9),
        }
    }

    fn advance(&self, jump: Jump) {
        let lifetime = self.scene.lifetime;
        let before = match jump {
            Jump::Onward => None,
            Jump::Soft => Some(Duration::from_secs(3_600).min(lifetime / 5) / 2),
            Jump::Hard => Some(Duration::from_secs(30).min(lifetime / 20) / 2),
            Jump::End => Some(Duration::ZERO),
        };
        let point = self.session.status().expires_at.zip(before).and_then(|(end, before)| end.checked_sub(before));
        let ahead = point.and_then(|point| point.duration_since(self.clock.wall()).ok()).unwrap_or_default();
        self.clock.advance(ahead.max(Duration::from_secs(31)));
    }
}

fn needs_sign_in(status: &Status) -> bool {
    status.retry_at.is_none() && matches!(status.last_error, Some(ErrorKind::Refused | ErrorKind::SignInRequired))
}
