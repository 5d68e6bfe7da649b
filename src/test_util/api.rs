//! A protected API in process.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use tower_service::Service;

use super::{
    ApiCounts, AuthServer, Gate, ServerBody,
    authorization::{Script, Scripted, collected},
    lock, wire,
};
use crate::{clock::Clock, error::BoxError};

/// The body of an answer to a request whose token is good.
pub(super) const WELCOME: &str = "welcome";

/// An API that takes the current access token of an [`AuthServer`] and no other, in the `Authorization` header, a cookie
/// or the query. It answers `welcome`, or 401. Clones share everything.
#[derive(Clone)]
pub struct Api {
    server: AuthServer,
    gate: Gate,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    counts: ApiCounts,
    seen: Vec<Request<Bytes>>,
    /// Rejected, and not sent again yet.
    rejected: Vec<(Method, String)>,
    script: Option<Script>,
}

impl Api {
    pub(super) fn new(server: &AuthServer) -> Self {
        Self { server: server.clone(), gate: Gate::new(), state: Arc::default() }
    }

    /// Takes the access token before the current one as well, for this long after each grant, by the monotonic hand of
    /// the server's clock. Default: not at all.
    pub fn take_previous_for(&self, grace: Duration) {
        lock(&self.server.ledger).grace = grace;
    }

    /// Answers in the place of the API; `None` leaves the request to it. A scripted 401 counts as a rejection.
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

    /// What has happened so far.
    #[must_use]
    pub fn counts(&self) -> ApiCounts {
        lock(&self.state).counts
    }

    /// All requests, in order, with the tokens that they carried.
    #[must_use]
    pub fn seen(&self) -> Vec<Request<Bytes>> {
        lock(&self.state).seen.clone()
    }

    async fn serve(self, request: Request<Bytes>) -> Result<Response<ServerBody>, BoxError> {
        let route = (request.method().clone(), request.uri().path().to_owned());
        let script = {
            let mut state = lock(&self.state);
            state.counts.requests += 1;
            if let Some(at) = state.rejected.iter().position(|rejected| *rejected == route) {
                state.rejected.swap_remove(at);
                state.counts.replays += 1;
            }
            state.seen.push(request.clone());
            state.script.clone()
        };
        let (answer, rejected) = match script.and_then(|script| script(&request)) {
            Some(Ok(answer)) => {
                let answer = collected(answer).await;
                let rejected = answer.status() == StatusCode::UNAUTHORIZED;
                (Ok(answer), rejected)
            }
            Some(Err(error)) => (Err(error), false),
            None => {
                let welcome = self.welcomes(&request);
                let answer = if welcome { wire::answer(StatusCode::OK, WELCOME) } else { self.server.wire.reject() };
                (Ok(answer), !welcome)
            }
        };
        if rejected {
            let mut state = lock(&self.state);
            state.counts.rejected += 1;
            state.rejected.push(route);
        }
        self.gate.pass().await;
        answer.map(|answer| answer.map(ServerBody::new))
    }

    fn welcomes(&self, request: &Request<Bytes>) -> bool {
        let now = self.server.clock.now().monotonic;
        lock(&self.server.ledger).accepts(now, |access| self.server.wire.carries(request, access))
    }
}

impl<B> Service<Request<B>> for Api
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
        let api = self.clone();
        Box::pin(async move {
            let (head, body) = request.into_parts();
            let body = body.collect().await.map_err(Into::into)?.to_bytes();
            api.serve(Request::from_parts(head, body)).await
        })
    }
}

impl fmt::Debug for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Api").field("counts", &self.counts()).finish_non_exhaustive()
    }
}
