//! The API and the token endpoint: servers that owe an answer to every request until they are told to give it.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
};

use bytes::Bytes;
use futures::FutureExt;
use http::{Request, Response, header};
use http_body_util::BodyExt;
use tokio::sync::oneshot;
use tower::{BoxError, Service};

use super::observed::{Ask, Who};
use crate::support::Body;

pub type Reply = Result<Response<Body>, BoxError>;

/// A server that owes an answer to every request until it is told to give one.
#[derive(Clone, Default)]
pub struct Server(Arc<Mutex<Owed>>);

#[derive(Default)]
struct Owed {
    arrived: Vec<Arrival>,
    open: Vec<(Arrival, oneshot::Sender<Reply>)>,
}

/// What tells one request from the next: path, token and body.
#[derive(Clone)]
pub struct Arrival {
    path: String,
    bearer: String,
    body: Bytes,
}

impl Server {
    /// Answers the oldest request of that kind, if it is still waited for.
    pub fn answer(&self, is_meant: impl Fn(&Arrival) -> bool, reply: Reply) {
        let mut owed = self.0.lock().unwrap();
        owed.open.retain(|(_, answer)| !answer.is_closed());
        let meant =
            owed.open.iter().position(|(arrival, _)| is_meant(arrival)).expect("somebody waits for this answer");
        let (_, answer) = owed.open.remove(meant);
        drop(answer.send(reply));
    }

    pub fn arrivals(&self) -> Vec<Arrival> {
        std::mem::take(&mut self.0.lock().unwrap().arrived)
    }

    pub fn open(&self) -> Vec<Arrival> {
        let owed = self.0.lock().unwrap();
        let open = owed.open.iter().filter(|(_, answer)| !answer.is_closed());
        open.map(|(arrival, _)| arrival.clone()).collect()
    }
}

impl Service<Request<Body>> for Server {
    type Response = Response<Body>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Reply> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let bearer = request.headers().get(header::AUTHORIZATION).map(|value| value.to_str().unwrap().to_owned());
        let arrival = Arrival {
            path: request.uri().path().to_owned(),
            bearer: bearer.unwrap_or_default(),
            // Whole at once.
            body: collected(request.into_body()),
        };
        let (answer, answered) = oneshot::channel();
        let mut owed = self.0.lock().unwrap();
        owed.arrived.push(arrival.clone());
        owed.open.push((arrival, answer));
        Box::pin(async { answered.await? })
    }
}

impl Arrival {
    /// The number of the token that the request carried.
    pub fn token(&self) -> u64 {
        number(&self.bearer)
    }

    pub fn caller(&self) -> Who {
        self.path.trim_start_matches('/').parse().unwrap()
    }

    pub fn ask(&self) -> Ask {
        match self.path.as_str() {
            "/login" => Ask::Login,
            _ => Ask::Refresh(number(std::str::from_utf8(&self.body).unwrap())),
        }
    }
}

fn collected(body: Body) -> Bytes {
    body.collect().now_or_never().unwrap().unwrap_or_else(|never| match never {}).to_bytes()
}

/// The number at the end of a token's name.
pub fn number(token: &str) -> u64 {
    token.rsplit('-').next().and_then(|number| number.parse().ok()).unwrap()
}
