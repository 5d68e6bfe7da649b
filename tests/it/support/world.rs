//! One API and one authorization server. Refresh tokens are single use: one that is presented again ends the family.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use tokio::sync::Semaphore;
use tower::{BoxError, Service};

use super::{Body, TestClock};

/// What reached the two servers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub api: usize,
    pub rejected: usize,
    pub logins: usize,
    pub refreshes: usize,
    pub double_spent: usize,
}

impl Counts {
    pub fn token_calls(&self) -> usize {
        self.logins + self.refreshes
    }
}

type Reply = Result<Response<Body>, BoxError>;
type Script<B> = Arc<dyn Fn(&Request<Bytes>) -> Option<Result<Response<B>, BoxError>> + Send + Sync>;

/// Clones share everything.
#[derive(Clone)]
pub struct World {
    pub clock: TestClock,
    state: Arc<Mutex<State>>,
    gate: Arc<Semaphore>,
    api_gate: Arc<Semaphore>,
}

struct State {
    counts: Counts,
    /// The number in the names of the current tokens: `access-3`, `refresh-3`.
    current: u64,
    lifetime: Option<Duration>,
    /// Ended by a double spend, until the next login.
    revoked: bool,
    /// The current access token has been ended on the server.
    access_ended: bool,
    seen: Vec<http::request::Parts>,
    bodies: Vec<Bytes>,
    api_script: Option<Script<Full<Bytes>>>,
    idp_script: Option<Script<Full<Bytes>>>,
}

impl World {
    pub fn new() -> Self {
        let state = State {
            counts: Counts::default(),
            current: 0,
            lifetime: Some(Duration::from_secs(1000)),
            revoked: false,
            access_ended: false,
            seen: Vec::new(),
            bodies: Vec::new(),
            api_script: None,
            idp_script: None,
        };
        Self {
            clock: TestClock::new(),
            state: Arc::new(Mutex::new(state)),
            gate: Arc::new(Semaphore::new(Semaphore::MAX_PERMITS)),
            api_gate: Arc::new(Semaphore::new(Semaphore::MAX_PERMITS)),
        }
    }

    /// Lifetime of the tokens granted from now on; `None`: not said.
    pub fn lifetime(self, lifetime: impl Into<Option<Duration>>) -> Self {
        self.with(|state| state.lifetime = lifetime.into());
        self
    }

    /// Answers API requests instead of the server; `None` leaves the request to it.
    pub fn script_api(&self, script: impl Fn(&Request<Bytes>) -> Option<Reply> + Send + Sync + 'static) {
        self.with(|state| state.api_script = Some(Arc::new(script)));
    }

    /// Answers token requests instead of the server; `None` leaves the request to it.
    pub fn script_idp(&self, script: impl Fn(&Request<Bytes>) -> Option<Reply> + Send + Sync + 'static) {
        self.with(|state| state.idp_script = Some(Arc::new(script)));
    }

    /// Ends scripts.
    pub fn unscript(&self) {
        self.with(|state| (state.api_script, state.idp_script) = (None, None));
    }

    /// Holds the answers to token requests (the server has acted already) until [`release_idp`](Self::release_idp).
    pub fn hold_idp(&self) {
        self.gate.forget_permits(Semaphore::MAX_PERMITS);
    }

    pub fn release_idp(&self) {
        self.gate.add_permits(Semaphore::MAX_PERMITS - self.gate.available_permits());
    }

    /// Holds the answers of the API (the server has acted already) until [`release_api`](Self::release_api).
    pub fn hold_api(&self) {
        self.api_gate.forget_permits(Semaphore::MAX_PERMITS);
    }

    pub fn release_api(&self) {
        self.api_gate.add_permits(Semaphore::MAX_PERMITS - self.api_gate.available_permits());
    }

    /// The server takes token set `number` for its current one.
    pub fn grant(&self, number: u64) {
        self.with(|state| (state.current, state.access_ended, state.revoked) = (number, false, false));
    }

    /// The server ends the current access token; the refresh token stays good.
    pub fn revoke_access(&self) {
        self.with(|state| state.access_ended = true);
    }

    pub fn counts(&self) -> Counts {
        self.with(|state| state.counts)
    }

    /// The heads of all requests that reached the API, in order.
    pub fn seen(&self) -> Vec<http::request::Parts> {
        self.with(|state| state.seen.clone())
    }

    /// The bodies of all requests that reached the API, in order.
    pub fn bodies(&self) -> Vec<Bytes> {
        self.with(|state| state.bodies.clone())
    }

    /// The values of `Authorization` that reached the API, in order.
    pub fn tokens(&self) -> Vec<String> {
        let token = |head: &http::request::Parts| {
            let value = head.headers.get(header::AUTHORIZATION).map(|value| value.to_str().unwrap().to_owned());
            value.unwrap_or_default()
        };
        self.seen().iter().map(token).collect()
    }

    pub fn api(&self) -> Api {
        Api(self.clone())
    }

    pub fn idp(&self) -> Idp {
        Idp(self.clone())
    }

    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.state.lock().unwrap())
    }

    fn answer_api(&self, request: &Request<Bytes>) -> Reply {
        let script = self.with(|state| {
            state.counts.api += 1;
            state.seen.push(head(request));
            state.bodies.push(request.body().clone());
            state.api_script.clone()
        });
        if let Some(reply) = script.and_then(|script| script(request)) {
            let rejected = reply.as_ref().is_ok_and(|answer| answer.status() == StatusCode::UNAUTHORIZED);
            self.with(|state| state.counts.rejected += usize::from(rejected));
            return reply;
        }
        self.with(|state| {
            let expected = format!("access-{}", state.current);
            let carries = |text: &str| text.split([' ', '=', '&', ';']).any(|word| word == expected);
            let header = |name| request.headers().get(name).and_then(|value| value.to_str().ok()).is_some_and(carries);
            let query = request.uri().query().is_some_and(carries);
            if !state.access_ended && (header(header::AUTHORIZATION) || header(header::COOKIE) || query) {
                return reply(StatusCode::OK, "welcome");
            }
            state.counts.rejected += 1;
            reply(StatusCode::UNAUTHORIZED, "rejected")
        })
    }

    fn answer_idp(&self, request: &Request<Bytes>) -> Reply {
        let script = self.with(|state| {
            match request.uri().path() {
                "/login" => state.counts.logins += 1,
                _ => state.counts.refreshes += 1,
            }
            state.idp_script.clone()
        });
        if let Some(reply) = script.and_then(|script| script(request)) {
            return reply;
        }
        self.with(|state| {
            if request.uri().path() == "/refresh" {
                let good = format!("refresh-{}", state.current);
                if request.body() != good.as_bytes() {
                    state.counts.double_spent += 1;
                    state.revoked = true;
                    state.access_ended = true;
                }
                if state.revoked {
                    return reply(StatusCode::BAD_REQUEST, "spent");
                }
            }
            state.current += 1;
            state.revoked = false;
            state.access_ended = false;
            let lifetime = state.lifetime.map_or("-".to_owned(), |lifetime| lifetime.as_secs().to_string());
            reply(StatusCode::OK, format!("access-{0} refresh-{0} {lifetime}", state.current))
        })
    }
}

pub fn reply(status: StatusCode, body: impl Into<Bytes>) -> Reply {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = status;
    Ok(answer)
}

fn head(request: &Request<Bytes>) -> http::request::Parts {
    let mut copy = Request::new(());
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.version_mut() = request.version();
    *copy.headers_mut() = request.headers().clone();
    *copy.extensions_mut() = request.extensions().clone();
    copy.into_parts().0
}

/// The API as a tower service.
#[derive(Clone)]
pub struct Api(World);

/// The authorization server as a tower service.
#[derive(Clone)]
pub struct Idp(World);

type BoxFuture = Pin<Box<dyn Future<Output = Reply> + Send>>;

impl<B> Service<Request<B>> for Api
where
    B: http_body::Body<Data = Bytes, Error = Infallible> + Send + 'static,
{
    type Response = Response<Body>;
    type Error = BoxError;
    type Future = BoxFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> BoxFuture {
        let world = self.0.clone();
        Box::pin(async move {
            let (head, body) = request.into_parts();
            let body = body.collect().await.unwrap_or_else(|never| match never {}).to_bytes();
            let answer = world.answer_api(&Request::from_parts(head, body));
            let _open = world.api_gate.acquire().await?;
            answer
        })
    }
}

impl Service<Request<Full<Bytes>>> for Idp {
    type Response = Response<Body>;
    type Error = BoxError;
    type Future = BoxFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Full<Bytes>>) -> BoxFuture {
        let world = self.0.clone();
        Box::pin(async move {
            let (head, body) = request.into_parts();
            let body = body.collect().await.unwrap_or_else(|never| match never {}).to_bytes();
            let answer = world.answer_idp(&Request::from_parts(head, body));
            let _open = world.gate.acquire().await?;
            answer
        })
    }
}
