//! Servers that speak the four documented APIs, on this machine and in this process.
//!
//! They are written from the APIs' documents, from the server's side: they share no code with the crate's providers,
//! so that a mistake in one of the two shows. Each has its own login, its own clock, and single-use refresh tokens
//! that rotate: whoever presents a spent one loses the whole session, and [`Counts::double_spent`] tells.
//!
//! [`Loopback::answer`] needs neither a socket nor a runtime, and never waits. [`serve`] puts it on a port of this
//! machine, [`serve_connection`] on anything that reads and writes, and [`in_process`] behind a tower service.

#![allow(dead_code, unused_imports, reason = "shared by the examples and the tests: none uses everything")]
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a server of a demonstration ends with its message when what it says of itself is wrong"
)]

mod accuat;
mod call;
mod clock;
mod counts;
mod fashion_world;
mod faults;
mod kanfang;
mod ledger;
mod quectel;
mod serve;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, header::DATE};
use tokio::sync::watch;
use tower_auth_refresh::clock::Clock;

pub(crate) use self::{
    accuat::AccuatApi,
    call::Call,
    clock::DemoClock,
    counts::{Counts, Outcome},
    fashion_world::FashionWorldApi,
    faults::{Faults, Reply, Sent},
    kanfang::KanfangApi,
    quectel::QuectelApi,
    serve::{HttpClient, Server, http1_client, http2_client, in_process, serve, serve_at, serve_connection},
};

/// What one API's documents say, seen from its server: no socket, and the time is told.
pub(crate) trait Api: Send + 'static {
    /// Answers one call, and says what kind of answer it was.
    fn handle(&mut self, call: &Call, now: SystemTime) -> (Outcome, Response<Bytes>);

    /// Whether calls of this path are business, and not about tokens.
    fn is_business(&self, path: &str) -> bool;

    /// Ends every access token before its time. Refresh tokens stay valid, where there are any.
    fn revoke(&mut self);
}

/// How an API says that an access token is refused, where its documents leave room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// HTTP 200, and the envelope's own code.
    Envelope,
    /// HTTP 401.
    Status,
    /// HTTP 302 to a login page.
    Redirect,
}

/// One API with its clock and its counters. Clones are the same server.
#[derive(Clone)]
pub(crate) struct Loopback {
    clock: Arc<dyn Clock>,
    state: Arc<Mutex<State>>,
    /// How many business calls have yet to arrive before any is answered.
    missing: watch::Sender<usize>,
    /// What goes wrong on the ways to this server; nothing unless told.
    faults: Option<Arc<dyn Faults>>,
}

struct State {
    api: Box<dyn Api>,
    counts: Counts,
}

impl Loopback {
    pub(crate) fn new(api: impl Api, clock: impl Clock) -> Self {
        Self::boxed(Box::new(api), clock)
    }

    pub(crate) fn boxed(api: Box<dyn Api>, clock: impl Clock) -> Self {
        let state = State { api, counts: Counts::default() };
        Self {
            clock: Arc::new(clock),
            state: Arc::new(Mutex::new(state)),
            missing: watch::Sender::new(0),
            faults: None,
        }
    }

    /// The same server behind ways on which things go wrong.
    pub(crate) fn behind(mut self, faults: impl Faults) -> Self {
        self.faults = Some(Arc::new(faults));
        self
    }

    /// Answers one request. The answer is dated by the server's own clock, as a client may set its own by it.
    pub(crate) fn answer(&self, request: Request<Bytes>) -> Response<Bytes> {
        self.handle(request).1
    }

    /// The same, and says what kind of answer it was.
    pub(crate) fn handle(&self, request: Request<Bytes>) -> (Outcome, Response<Bytes>) {
        let now = self.clock.now().wall;
        let call = Call::read(request);
        let (outcome, mut response) = {
            let mut state = self.state();
            let (outcome, response) = state.api.handle(&call, now);
            state.counts.record(outcome);
            (outcome, response)
        };
        let date = HeaderValue::from_str(&httpdate::fmt_http_date(now)).expect("a date is ASCII");
        response.headers_mut().insert(DATE, date);
        (outcome, response)
    }

    /// Whether calls of this path are business, and not about tokens.
    pub(crate) fn is_business(&self, path: &str) -> bool {
        self.state().api.is_business(path)
    }

    /// Has the ways to this server answer no business call until `crowd` of them have arrived: then these really are
    /// under way at once, however fast or busy the machine is. Calls for tokens are answered meanwhile.
    pub(crate) fn gather(&self, crowd: usize) {
        self.missing.send_replace(crowd);
    }

    /// Waits until the crowd is complete, if the path is one of business.
    pub(crate) async fn admit(&self, path: &str) {
        if !self.is_business(path) {
            return;
        }
        let mut missing = self.missing.subscribe();
        self.missing.send_if_modified(|missing| {
            *missing = missing.saturating_sub(1);
            *missing == 0
        });
        // An error would mean that the sender is gone, but it lives as long as `self`.
        let _ = missing.wait_for(|missing| *missing == 0).await;
    }

    /// Ends every access token before its time; see [`Api::revoke`].
    pub(crate) fn revoke(&self) {
        self.state().api.revoke();
    }

    /// Everything counted so far, read at one instant.
    pub(crate) fn counts(&self) -> Counts {
        self.state().counts
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
