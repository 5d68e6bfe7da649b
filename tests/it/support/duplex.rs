//! The world's two servers behind real HTTP/1.1 and HTTP/2 connections, in memory.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, request};
use http_body_util::{BodyExt, Collected, Full, combinators::UnsyncBoxBody};
use hyper::{
    body::Incoming,
    client::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{DuplexStream, duplex};
use tower::{BoxError, Service, ServiceExt};

use super::{World, frames::Frames};

/// What a server saw of a request.
#[derive(Clone, Debug)]
pub struct Seen {
    pub head: request::Parts,
    /// The whole body, unless it was answered before.
    pub body: Option<Bytes>,
    pub trailers: Option<HeaderMap>,
}

type Early = dyn Fn(&Request<()>) -> Option<Response<Frames>> + Send + Sync;

/// The servers of a [`World`]: the authorization server at `/login` and `/refresh`, the API everywhere else. Clones
/// share everything.
#[derive(Clone)]
pub struct Servers {
    world: World,
    seen: Arc<Mutex<Vec<Seen>>>,
    early: Arc<Early>,
    streams: Option<u32>,
}

type Sent = UnsyncBoxBody<Bytes, BoxError>;
type BoxFuture<T> = Pin<Box<dyn Future<Output = Result<T, BoxError>> + Send>>;

/// An HTTP/1.1 client with one connection and no more: a request waits until the answer before it has been read.
#[derive(Clone)]
pub struct Http1(Arc<tokio::sync::Mutex<http1::SendRequest<Sent>>>);

/// An HTTP/2 client with one connection.
#[derive(Clone)]
pub struct Http2(http2::SendRequest<Sent>);

impl Servers {
    pub fn new(world: &World) -> Self {
        Self { world: world.clone(), seen: Arc::default(), early: Arc::new(|_| None), streams: None }
    }

    /// Answers requests to the API by their heads alone, before anything of their bodies was read; `None` leaves the
    /// request to the world.
    pub fn early(self, answer: impl Fn(&Request<()>) -> Option<Response<Frames>> + Send + Sync + 'static) -> Self {
        Self { early: Arc::new(answer), ..self }
    }

    /// How many HTTP/2 requests may be under way at once.
    pub fn streams(self, most: u32) -> Self {
        Self { streams: Some(most), ..self }
    }

    /// The requests to the API, in order.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub async fn http1(&self) -> Http1 {
        let (near, far) = duplex(8 * 1024);
        let servers = self.clone();
        run(hyper::server::conn::http1::Builder::new()
            .serve_connection(io(far), service_fn(move |request| servers.clone().answer(request))));
        let (sender, connection) = http1::handshake(io(near)).await.expect("a handshake");
        run(connection);
        Http1(Arc::new(tokio::sync::Mutex::new(sender)))
    }

    pub async fn http2(&self) -> Http2 {
        let (near, far) = duplex(8 * 1024);
        let servers = self.clone();
        run(hyper::server::conn::http2::Builder::new(TokioExecutor::new())
            .max_concurrent_streams(self.streams)
            .serve_connection(io(far), service_fn(move |request| servers.clone().answer(request))));
        // A window so small that an answer must be read for its stream to end.
        let (sender, connection) = http2::Builder::new(TokioExecutor::new())
            .initial_stream_window_size(1024)
            .handshake(io(near))
            .await
            .expect("a handshake");
        run(connection);
        Http2(sender)
    }

    async fn answer(self, request: Request<Incoming>) -> Result<Response<Sent>, BoxError> {
        let (head, body) = request.into_parts();
        if matches!(head.uri.path(), "/login" | "/refresh") {
            let body = body.collect().await?.to_bytes();
            return Ok(erased(self.world.idp().oneshot(Request::from_parts(head, Full::new(body))).await?));
        }
        let mut seen = Seen { head: head.clone(), body: None, trailers: None };
        if let Some(answer) = (self.early)(&Request::from_parts(head.clone(), ())) {
            self.seen.lock().unwrap().push(seen);
            return Ok(erased(answer));
        }
        let body: Collected<Bytes> = body.collect().await?;
        seen.trailers = body.trailers().cloned();
        let body = body.to_bytes();
        seen.body = Some(body.clone());
        self.seen.lock().unwrap().push(seen);
        Ok(erased(self.world.api().oneshot(Request::from_parts(head, Full::new(body))).await?))
    }
}

fn io(stream: DuplexStream) -> TokioIo<DuplexStream> {
    TokioIo::new(stream)
}

/// A connection runs until its other end is gone. How it ends is seen by the requests on it.
#[allow(clippy::disallowed_methods, reason = "a connection is a task of its own")]
fn run(connection: impl Future<Output = Result<(), hyper::Error>> + Send + 'static) {
    tokio::spawn(async move { drop(connection.await) });
}

fn erased<B>(answer: Response<B>) -> Response<Sent>
where
    B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    answer.map(|body| body.map_err(Into::into).boxed_unsync())
}

impl<B> Service<Request<B>> for Http1
where
    B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    type Response = Response<Incoming>;
    type Error = BoxError;
    type Future = BoxFuture<Self::Response>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let connection = Arc::clone(&self.0);
        let request = request.map(|body| body.map_err(Into::into).boxed_unsync());
        Box::pin(async move {
            let mut connection = connection.lock_owned().await;
            connection.ready().await?;
            Ok(connection.send_request(request).await?)
        })
    }
}

impl<B> Service<Request<B>> for Http2
where
    B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    type Response = Response<Incoming>;
    type Error = BoxError;
    type Future = BoxFuture<Self::Response>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.0.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let answer = self.0.send_request(request.map(|body| body.map_err(Into::into).boxed_unsync()));
        Box::pin(async move { Ok(answer.await?) })
    }
}
