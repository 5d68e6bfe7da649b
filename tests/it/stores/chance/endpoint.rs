//! The token endpoint on the other side of such lines, and what was presented there.

use std::{
    collections::HashMap,
    future::Future,
    io,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use tower::{BoxError, Service};
use tower_auth_refresh::{
    test_util::{AuthServer, ServerBody},
    token::{ExposeSecret, Stored},
};

use super::{line::Line, shelf::Shelf};

/// What was presented, by how often: not what the answer proves to be unspent.
#[derive(Clone, Default)]
pub struct Presented(Arc<Mutex<Tally>>);

#[derive(Default)]
struct Tally {
    times: HashMap<String, usize>,
    unmarked: Option<String>,
}

impl Presented {
    fn count(&self, request: &Request<Bytes>) {
        if request.uri().path() == "/refresh" {
            let token = String::from_utf8_lossy(request.body()).into_owned();
            *self.0.lock().unwrap().times.entry(token).or_default() += 1;
        }
    }

    /// What is about to be presented is what is stored, marked, and not known to be refused.
    #[allow(clippy::disallowed_methods, reason = "the test compares what is sent with what is stored")]
    fn check(&self, request: &Request<Bytes>, found: Option<Stored>) {
        if request.uri().path() != "/refresh" {
            return;
        }
        let found = found.filter(|found| found.spending_since.is_some() && found.refresh_refused_since.is_none());
        let token = found.and_then(|found| Some(found.token?.refresh_token()?.expose_secret().as_bytes().to_vec()));
        if token.as_deref() != Some(request.body()) {
            let token = String::from_utf8_lossy(request.body()).into_owned();
            self.0.lock().unwrap().unmarked.get_or_insert(token);
        }
    }

    /// A token that was presented without a mark.
    pub fn unmarked(&self) -> Option<String> {
        self.0.lock().unwrap().unmarked.clone()
    }

    /// The token that was presented most often.
    pub fn most(&self) -> (String, usize) {
        let times = &self.0.lock().unwrap().times;
        times.iter().max_by_key(|(_, times)| **times).map(|(token, times)| (token.clone(), *times)).unwrap_or_default()
    }
}

#[derive(Clone)]
pub struct Endpoint {
    pub server: AuthServer,
    pub line: Line,
    pub presented: Presented,
    pub shelf: Shelf,
}

impl Service<Request<Full<Bytes>>> for Endpoint {
    type Response = Response<ServerBody>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Response<ServerBody>, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Full<Bytes>>) -> Self::Future {
        let endpoint = self.clone();
        let found = endpoint.shelf.stored();
        Box::pin(async move {
            let (head, body) = request.into_parts();
            let request = Request::from_parts(head, body.collect().await?.to_bytes());
            endpoint.presented.check(&request, found);
            endpoint.answer(request).await
        })
    }
}

impl Endpoint {
    async fn answer(mut self, request: Request<Bytes>) -> Result<Response<ServerBody>, BoxError> {
        let (line, dice) = (self.line.clone(), self.line.dice().clone());
        line.travel(500).await;
        let what = if line.is_spoilt() { dice.below(4) } else { 4 };
        match what {
            _ if line.is_cut() => return Err(io::Error::from(io::ErrorKind::ConnectionRefused).into()),
            0 => {
                let mut unavailable = Response::new(ServerBody::new(""));
                *unavailable.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
                return Ok(unavailable);
            }
            _ => self.presented.count(&request),
        }
        if what == 1 {
            return Err(io::Error::from(io::ErrorKind::ConnectionReset).into());
        }
        // The server has acted before anybody can stop it.
        let answer = self.server.call(request.map(Full::new)).await;
        line.travel(if what == 2 { 40_000 } else { 500 }).await;
        if what == 3 {
            return Err(io::Error::from(io::ErrorKind::ConnectionReset).into());
        }
        answer
    }
}
