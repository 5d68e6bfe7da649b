//! The service: the engine between tonic's bodies and tonic's errors.

use std::{
    fmt,
    task::{Context, Poll},
};

use http::{Request, Response};
use tonic::{Status, body::Body};
use tower_service::Service;

use super::{
    body::{CallBody, OneMessage, passing, take_down},
    deadline::Deadline,
    future::ResponseFuture,
    status,
};
use crate::{AuthRefresh, Provider, error::BoxError, grpc::Judging, inspect::InspectBody, service::HttpService};

/// A channel whose calls carry a session's token. Made by [`GrpcAuthLayer`](super::GrpcAuthLayer), for generated clients.
///
/// # Clone
/// A clone shares the session, and the channel as far as clones of that share it.
pub struct GrpcAuth<S, P> {
    engine: AuthRefresh<Unboxed<S>, P, OneMessage>,
    limit: usize,
}

/// The wrapped service, as one that takes the bodies of the engine.
#[derive(Clone)]
pub(super) struct Unboxed<S>(pub(super) S);

impl<S, P> GrpcAuth<S, P> {
    pub(super) fn new(engine: AuthRefresh<Unboxed<S>, P, OneMessage>, limit: usize) -> Self {
        Self { engine, limit }
    }

    /// The wrapped service.
    #[must_use]
    pub fn get_ref(&self) -> &S {
        &self.engine.get_ref().0
    }

    /// The wrapped service.
    #[must_use]
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.engine.get_mut().0
    }

    /// The wrapped service.
    #[must_use]
    pub fn into_inner(self) -> S {
        self.engine.into_inner().0
    }
}

impl<S, P> Service<Request<Body>> for GrpcAuth<S, P>
where
    S: HttpService<Body>,
    S::Error: Into<BoxError>,
    P: Provider,
{
    type Response = Response<InspectBody<S::ResponseBody>>;
    type Error = Status;
    type Future = ResponseFuture<S, P>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Status>> {
        self.engine.poll_ready(cx).map_err(status::of)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let deadline = Deadline::of(request.headers());
        let request = match self.engine.replayable(&request) {
            Some(judging) => request.map(|body| take_down(body, judging == Judging::Unary, self.limit)),
            None => request.map(passing),
        };
        ResponseFuture::new(self.engine.call(request), deadline)
    }
}

impl<S: Clone, P> Clone for GrpcAuth<S, P> {
    fn clone(&self) -> Self {
        Self { engine: self.engine.clone(), limit: self.limit }
    }
}

impl<S: fmt::Debug, P> fmt::Debug for GrpcAuth<S, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GrpcAuth").field("engine", &self.engine).field("limit", &self.limit).finish()
    }
}

// ===== impl Unboxed =====

impl<S> Service<Request<CallBody>> for Unboxed<S>
where
    S: Service<Request<Body>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: Request<CallBody>) -> S::Future {
        self.0.call(request.map(Body::new))
    }
}

impl<S: fmt::Debug> fmt::Debug for Unboxed<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
