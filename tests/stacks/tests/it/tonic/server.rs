//! An API on tonic's server: the health service, and one that echoes bytes in all four kinds of calls.

use std::{
    collections::VecDeque,
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
};

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream::BoxStream};
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, Full};
use tokio::sync::Semaphore;
use tonic::{Status, Streaming, body::Body, server::Grpc, service::interceptor::InterceptedService};
use tonic_health::server::{HealthReporter, HealthService};
use tower::{Service, ServiceExt, service_fn};

use super::codec::Raw;

type Messages = BoxStream<'static, Result<Bytes, Status>>;

/// An API that takes one access token of all that an `AuthServer` grants. Clones share everything.
#[derive(Clone)]
pub struct Api {
    state: Arc<Mutex<State>>,
    /// What a message of an answer has to pass.
    gate: Arc<Semaphore>,
}

struct State {
    accepted: u64,
    when: Refusal,
    calls: Vec<Call>,
    refused: usize,
    answers: VecDeque<Response<Body>>,
}

/// When a token that is not accepted is refused.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// By an interceptor, before anything of the request is read.
    AtOnce,
    /// When the request has been read to its end.
    Afterwards,
}

/// A call that reached the server.
#[derive(Clone, Debug)]
pub struct Call {
    pub path: String,
    pub headers: HeaderMap,
    /// What of the request was read.
    pub body: Bytes,
}

impl Call {
    pub fn token(&self) -> Option<&str> {
        Some(self.headers.get("authorization")?.to_str().unwrap().strip_prefix("Bearer ").unwrap())
    }
}

impl Api {
    pub fn new() -> Self {
        let state = State { accepted: 1, when: Refusal::AtOnce, calls: vec![], refused: 0, answers: VecDeque::new() };
        Self { state: Arc::new(Mutex::new(state)), gate: Arc::new(Semaphore::new(Semaphore::MAX_PERMITS)) }
    }

    /// From now on the tokens of this grant are accepted, and no others.
    pub fn accept(&self, number: u64) {
        self.state.lock().unwrap().accepted = number;
    }

    pub fn refuse(&self, when: Refusal) {
        self.state.lock().unwrap().when = when;
    }

    /// Answers the next call, whoever makes it.
    pub fn answer(&self, answer: Response<Body>) {
        self.state.lock().unwrap().answers.push_back(answer);
    }

    /// From now on no message leaves.
    pub fn hold(&self) {
        self.gate.forget_permits(Semaphore::MAX_PERMITS);
    }

    pub fn release(&self) {
        self.gate.add_permits(Semaphore::MAX_PERMITS);
    }

    pub fn calls(&self) -> Vec<Call> {
        self.state.lock().unwrap().calls.clone()
    }

    /// The tokens that came, in order.
    pub fn tokens(&self) -> Vec<Option<String>> {
        self.calls().iter().map(|call| call.token().map(str::to_owned)).collect()
    }

    /// How many calls were refused by their token.
    pub fn refused(&self) -> usize {
        self.state.lock().unwrap().refused
    }

    /// What a server says to a token that it does not take.
    pub fn refusal() -> Status {
        let mut status = Status::unauthenticated("the token has expired");
        status.metadata_mut().insert("x-reason", "expired".parse().unwrap());
        status
    }

    /// What of the token?
    fn check(&self, headers: &HeaderMap) -> Result<(), Status> {
        let mut state = self.state.lock().unwrap();
        let accepted = format!("Bearer access-{}", state.accepted);
        if headers.get("authorization").is_some_and(|token| *token == accepted) {
            return Ok(());
        }
        state.refused += 1;
        Err(Self::refusal())
    }

    fn gated(&self, messages: Messages) -> Messages {
        let gate = Arc::clone(&self.gate);
        let pass = move |message| {
            let gate = Arc::clone(&gate);
            async move {
                drop(gate.acquire().await.unwrap());
                message
            }
        };
        messages.then(pass).boxed()
    }

    async fn serve(self, request: Request<Body>) -> Response<Body> {
        let (head, body) = request.into_parts();
        let (at, when, answer) = {
            let mut state = self.state.lock().unwrap();
            let (path, headers) = (head.uri.path().to_owned(), head.headers.clone());
            state.calls.push(Call { path, headers, body: Bytes::new() });
            (state.calls.len() - 1, state.when, state.answers.pop_front())
        };
        if let Some(answer) = answer {
            return answer;
        }
        if when == Refusal::AtOnce {
            let api = self.clone();
            let guard = move |request: tonic::Request<()>| api.check(request.metadata().as_ref()).map(|()| request);
            let guarded = InterceptedService::new(service_fn(|request| dispatch(self.clone(), request)), guard);
            let answer = guarded.oneshot(Request::from_parts(head, body)).await.unwrap();
            return answer.map(Body::new);
        }
        let Ok(body) = body.collect().await.map(|body| body.to_bytes()) else {
            return Status::cancelled("the request broke off").into_http();
        };
        self.state.lock().unwrap().calls[at].body = body.clone();
        match self.check(&head.headers) {
            Ok(()) => dispatch(self, Request::from_parts(head, Body::new(Full::new(body)))).await.unwrap(),
            Err(status) => status.into_http(),
        }
    }
}

async fn dispatch(api: Api, request: Request<Body>) -> Result<Response<Body>, Infallible> {
    let mut grpc = Grpc::new(Raw);
    Ok(match request.uri().path() {
        "/scene.Echo/Unary" => {
            let echo = move |request: tonic::Request<Bytes>| {
                let gate = Arc::clone(&api.gate);
                async move {
                    drop(gate.acquire().await.unwrap());
                    Ok(tonic::Response::new(request.into_inner()))
                }
            };
            grpc.unary(service_fn(echo), request).await
        }
        "/scene.Echo/Collect" => {
            let echo = |request: tonic::Request<Streaming<Bytes>>| async move {
                let parts: Vec<Bytes> = request.into_inner().try_collect().await?;
                Ok(tonic::Response::new(Bytes::from(parts.concat())))
            };
            grpc.client_streaming(service_fn(echo), request).await
        }
        "/scene.Echo/Repeat" => {
            let echo = move |request: tonic::Request<Bytes>| {
                let message = request.into_inner();
                let messages = futures::stream::iter([Ok(message.clone()), Ok(message)]).boxed();
                std::future::ready(Ok(tonic::Response::new(api.gated(messages))))
            };
            grpc.server_streaming(service_fn(echo), request).await
        }
        "/scene.Echo/Talk" => {
            let echo = move |request: tonic::Request<Streaming<Bytes>>| {
                std::future::ready(Ok(tonic::Response::new(api.gated(request.into_inner().boxed()))))
            };
            grpc.streaming(service_fn(echo), request).await
        }
        _ => {
            let health = HealthService::from_health_reporter(HealthReporter::new());
            let mut health = tonic_health::pb::health_server::HealthServer::new(health);
            return health.call(request).await;
        }
    })
}

impl Service<Request<Body>> for Api {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let api = self.clone();
        Box::pin(async move { Ok(api.serve(request).await) })
    }
}
