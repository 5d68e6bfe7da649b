//! Stands between the layer and the client, and watches what leaves and what the layer is handed.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use futures::future::BoxFuture;
use http::{Request, Response, StatusCode, header::AUTHORIZATION};
use http_body_util::Full;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tower::{BoxError, Service, limit::ConcurrencyLimit};

use crate::{
    loopback::{HttpClient, Outcome},
    trip::{Stage, Trip},
    witness::{Fate, Witness},
};

pub(crate) type Client = ConcurrencyLimit<HttpClient>;

/// The client of one scene, watched.
#[derive(Clone)]
pub(crate) struct Sentry {
    client: Client,
    witness: Arc<Witness>,
}

/// The body of an answer, watched to its end.
pub(crate) struct Watched {
    body: Incoming,
    /// Whose rejection this is, if it is one.
    rejected: Option<Arc<Trip>>,
}

impl Sentry {
    pub(crate) fn new(client: Client, witness: &Arc<Witness>) -> Self {
        Self { client, witness: Arc::clone(witness) }
    }
}

impl Service<Request<Full<Bytes>>> for Sentry {
    type Response = Response<Watched>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Self::Response, BoxError>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.client.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, request: Request<Full<Bytes>>) -> Self::Future {
        let trip = request.extensions().get::<Arc<Trip>>().cloned();
        if let Some(trip) = &trip {
            trip.leaves(token(&request));
        }
        let witness = Arc::clone(&self.witness);
        let answer = self.client.call(request);
        Box::pin(async move {
            let answer = answer.await?;
            let Some(trip) = trip else {
                return Err("a request without its trip".into());
            };
            trip.reaches(Stage::Reading);
            let last = witness.sends(trip.number).last;
            let mut rejected = (last == Some(Fate::Answered(Outcome::Rejected))).then_some(trip);
            if answer.status() == StatusCode::UNAUTHORIZED {
                // The head says it all.
                if let Some(trip) = rejected.take() {
                    trip.is_rejected();
                }
            }
            Ok(answer.map(|body| Watched { body, rejected }))
        })
    }
}

impl Body for Watched {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        if matches!(polled, Poll::Ready(None))
            && let Some(trip) = self.rejected.take()
        {
            trip.is_rejected();
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// What tells one access token from another, wherever it travels. FashionWorld sends a signature with its key.
fn token<B>(request: &Request<B>) -> String {
    let header = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let proof = header.and_then(|value| STANDARD.decode(value.strip_prefix("Caa ")?).ok());
    let key = proof.and_then(|proof| Some(String::from_utf8(proof).ok()?.split_once(':')?.0.to_owned()));
    key.or_else(|| header.map(ToOwned::to_owned))
        .or_else(|| request.uri().query().map(ToOwned::to_owned))
        .unwrap_or_default()
}
