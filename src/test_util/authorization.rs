//! An authorization server in process.

use std::{
    fmt,
    future::Future,
    io,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use tower_service::Service;

use super::{
    Api, Fault, Gate, ServerBody, TestClock, TokenCounts,
    fault::Faults,
    ledger::{Ledger, Refusal},
    lock,
    wire::{self, Asked, Plain, Wire},
};
use crate::{clock::Clock, error::BoxError, provider::GrantKind, rt};

/// What a script answers, in the place of a server.
pub type Scripted = Option<Result<Response<Full<Bytes>>, BoxError>>;

pub(super) type Script = Arc<dyn Fn(&Request<Bytes>) -> Scripted + Send + Sync>;

/// An authorization server in process, as a session's transport: it speaks the protocol of
/// [`TestProvider`](super::TestProvider). Clones share everything.
///
/// Refresh tokens are single use. One that is presented again ends its family: the current access token is rejected and
/// the current refresh token refused, until the next login.
///
/// ```
/// use tower_auth_refresh::{Session, test_util::{AuthServer, Fault, TestClock, TestProvider}};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let clock = TestClock::new();
/// let server = AuthServer::new(&clock);
/// let session = Session::builder(TestProvider::new()).transport(server.clone()).clock(clock.clone()).build().unwrap();
///
/// server.fail([Fault::Html]);
/// assert!(session.token().await.is_err());
/// assert_eq!((server.counts().logins, server.counts().granted), (1, 1));
/// # }
/// ```
#[derive(Clone)]
pub struct AuthServer {
    pub(super) ledger: Arc<Mutex<Ledger>>,
    pub(super) wire: Arc<dyn Wire>,
    pub(super) clock: TestClock,
    gate: Gate,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    counts: TokenCounts,
    seen: Vec<Request<Bytes>>,
    in_flight: usize,
    lifetime: Option<Duration>,
    latency: Duration,
    faults: Faults,
    script: Option<Script>,
    refuses_logins: bool,
    refuses_refreshes: bool,
}

impl AuthServer {
    /// A server that has granted nothing yet. Its token sets live for 1000 s.
    #[must_use]
    pub fn new(clock: &TestClock) -> Self {
        Self::speaking(Arc::new(Plain), clock)
    }

    pub(crate) fn speaking(wire: Arc<dyn Wire>, clock: &TestClock) -> Self {
        let state = State { lifetime: Some(Duration::from_secs(1000)), ..State::default() };
        Self {
            ledger: Arc::default(),
            wire,
            clock: clock.clone(),
            gate: Gate::new(),
            state: Arc::new(Mutex::new(state)),
        }
    }

    /// The API that takes this server's access tokens.
    #[must_use]
    pub fn api(&self) -> Api {
        Api::new(self)
    }

    /// The lifetime of what is granted from now on, in whole seconds; `None`: the answer says none.
    pub fn lifetime(&self, lifetime: impl Into<Option<Duration>>) {
        lock(&self.state).lifetime = lifetime.into();
    }

    /// How long each answer takes, by tokio's timer. Default: no time at all.
    pub fn latency(&self, latency: Duration) {
        lock(&self.state).latency = latency;
    }

    /// What becomes of the next requests, one each; those after them are served well. A request that a
    /// [script](Self::script) answers takes none of these.
    pub fn fail(&self, faults: impl IntoIterator<Item = Fault>) {
        lock(&self.state).faults.script(faults);
    }

    /// From now on this `share` of the requests, from 0 to 1, meets one of `faults`. One seed, one sequence.
    pub fn fail_at_random(&self, seed: u64, share: f64, faults: impl IntoIterator<Item = Fault>) {
        lock(&self.state).faults.at_random(seed, share, faults.into_iter().collect());
    }

    /// Answers in the place of the server; `None` leaves the request to it. No fault spoils a scripted answer.
    pub fn script(&self, script: impl Fn(&Request<Bytes>) -> Scripted + Send + Sync + 'static) {
        lock(&self.state).script = Some(Arc::new(script));
    }

    /// Ends the script.
    pub fn unscript(&self) {
        lock(&self.state).script = None;
    }

    /// The gate before the answers.
    #[must_use]
    pub fn gate(&self) -> &Gate {
        &self.gate
    }

    /// Takes token set `number` for the current one, as if it had been granted just now.
    pub fn grant(&self, number: u64) {
        let asked = Asked { kind: GrantKind::Login, presented: String::new() };
        self.install(&asked, number);
    }

    /// The same by this grant, with its answer.
    pub(super) fn install(&self, asked: &Asked, number: u64) -> Response<Bytes> {
        let (answer, tokens) = self.wire.grant(asked, number, lock(&self.state).lifetime);
        lock(&self.ledger).install(number, tokens, self.clock.now().monotonic);
        answer
    }

    /// Ends the current access token; its refresh token stays good.
    pub fn end_access(&self) {
        lock(&self.ledger).end_access();
    }

    /// Refuses every grant of this kind from now on, and leaves the other kind as it is.
    pub fn refuse(&self, kind: GrantKind) {
        *lock(&self.state).refuses(kind) = true;
    }

    /// Takes grants of this kind again.
    pub fn unrefuse(&self, kind: GrantKind) {
        *lock(&self.state).refuses(kind) = false;
    }

    /// What has happened so far.
    #[must_use]
    pub fn counts(&self) -> TokenCounts {
        lock(&self.state).counts
    }

    /// All token requests, in order, with the credentials and tokens that they carried.
    #[must_use]
    pub fn seen(&self) -> Vec<Request<Bytes>> {
        lock(&self.state).seen.clone()
    }

    async fn serve(self, request: Request<Bytes>) -> Result<Response<ServerBody>, BoxError> {
        let _under_way = UnderWay::new(&self.state);
        let asked = self.wire.read(&request);
        let (script, latency) = {
            let mut state = lock(&self.state);
            match asked.kind {
                GrantKind::Login => state.counts.logins += 1,
                GrantKind::Refresh => state.counts.refreshes += 1,
            }
            state.seen.push(request.clone());
            (state.script.clone(), state.latency)
        };
        let scripted = script.and_then(|script| script(&request));
        let fault = if scripted.is_none() { lock(&self.state).faults.next() } else { None };
        let answer = match (scripted, fault) {
            (Some(Ok(scripted)), _) => Ok(collected(scripted).await),
            (Some(Err(error)), _) => Err(error),
            (None, Some(Fault::DropBefore)) => Err(self.dropped()),
            (None, Some(Fault::TooManyRequests(after))) => Ok(later(StatusCode::TOO_MANY_REQUESTS, after)),
            (None, Some(Fault::Unavailable(after))) => Ok(later(StatusCode::SERVICE_UNAVAILABLE, after)),
            (None, _) => Ok(self.act(&asked)),
        };
        if let Some(sleep) = (!latency.is_zero()).then(|| rt::sleep(latency)).flatten() {
            sleep.await;
        }
        self.gate.pass().await;
        self.spoil(answer?.map(ServerBody::new), fault)
    }

    /// What comes through of an answer.
    fn spoil(&self, whole: Response<ServerBody>, fault: Option<Fault>) -> Result<Response<ServerBody>, BoxError> {
        Ok(match fault {
            Some(Fault::DropAfter) => return Err(self.dropped()),
            Some(Fault::BreakOff) => {
                lock(&self.state).counts.dropped += 1;
                whole.map(ServerBody::broken_off)
            }
            Some(Fault::Truncate) => {
                let mut half = whole;
                let length = HeaderValue::from(half.body().len());
                half.headers_mut().insert(header::CONTENT_LENGTH, length);
                half.map(ServerBody::half)
            }
            Some(Fault::Drip(pause)) => whole.map(|body| body.dripping(pause)),
            Some(Fault::Html) => html().map(ServerBody::new),
            Some(Fault::ServerError) => wire::answer(StatusCode::INTERNAL_SERVER_ERROR, "failed").map(ServerBody::new),
            _ => whole,
        })
    }

    /// Grants or refuses, in one step.
    fn act(&self, asked: &Asked) -> Response<Bytes> {
        let mut state = lock(&self.state);
        let mut ledger = lock(&self.ledger);
        let checked = match asked.kind {
            kind if *state.refuses(kind) => Err(Refusal::Dead),
            GrantKind::Login => Ok(()),
            GrantKind::Refresh => ledger.check(&asked.presented),
        };
        if let Err(refusal) = checked {
            state.counts.refused += 1;
            state.counts.double_spent += usize::from(refusal == Refusal::DoubleSpent);
            return self.wire.refuse();
        }
        let number = ledger.next_number();
        let (answer, tokens) = self.wire.grant(asked, number, state.lifetime);
        ledger.install(number, tokens, self.clock.now().monotonic);
        state.counts.granted += 1;
        answer
    }

    fn dropped(&self) -> BoxError {
        lock(&self.state).counts.dropped += 1;
        io::Error::from(io::ErrorKind::ConnectionReset).into()
    }
}

impl State {
    fn refuses(&mut self, kind: GrantKind) -> &mut bool {
        match kind {
            GrantKind::Login => &mut self.refuses_logins,
            GrantKind::Refresh => &mut self.refuses_refreshes,
        }
    }
}

/// Counts a request for as long as somebody waits for its answer.
struct UnderWay(Arc<Mutex<State>>);

impl UnderWay {
    fn new(state: &Arc<Mutex<State>>) -> Self {
        let mut counted = lock(state);
        counted.in_flight += 1;
        counted.counts.most_in_flight = counted.counts.most_in_flight.max(counted.in_flight);
        drop(counted);
        Self(Arc::clone(state))
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        lock(&self.0).in_flight -= 1;
    }
}

pub(super) async fn collected(answer: Response<Full<Bytes>>) -> Response<Bytes> {
    let (head, body) = answer.into_parts();
    let body = body.collect().await.unwrap_or_else(|never| match never {}).to_bytes();
    Response::from_parts(head, body)
}

fn later(status: StatusCode, after: Duration) -> Response<Bytes> {
    let mut answer = wire::answer(status, "later");
    answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(after.as_secs()));
    answer
}

/// What a captive portal or a proxy answers.
pub(super) fn html() -> Response<Bytes> {
    let mut answer = wire::answer(StatusCode::OK, "<!DOCTYPE html><html><body>Please sign in</body></html>");
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    answer
}

impl<B> Service<Request<B>> for AuthServer
where
    B: http_body::Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    type Response = Response<ServerBody>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let server = self.clone();
        Box::pin(async move {
            let (head, body) = request.into_parts();
            let body = body.collect().await.map_err(Into::into)?.to_bytes();
            server.serve(Request::from_parts(head, body)).await
        })
    }
}

impl fmt::Debug for AuthServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthServer").field("counts", &self.counts()).finish_non_exhaustive()
    }
}
