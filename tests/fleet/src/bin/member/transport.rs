//! The way to the API, and to the token endpoint with a point before and a point behind it.

use std::time::Instant;

use bytes::Bytes;
use fleet::Point;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::{
    client::legacy::{Client, Error, connect::HttpConnector},
    rt::TokioExecutor,
};
use tower::{BoxError, Service, service_fn, util::BoxCloneSyncService};

use crate::points::Points;

/// The client of the API, whose answers say when their requests were [`Sent`].
pub(crate) type ApiClient = BoxCloneSyncService<Request<Full<Bytes>>, Response<Incoming>, Error>;

/// When a request went out, its token with it: a field of its answer.
#[derive(Clone, Copy)]
pub(crate) struct Sent(pub(crate) Instant);

pub(crate) fn timed() -> ApiClient {
    let client = client();
    BoxCloneSyncService::new(service_fn(move |request| {
        let (client, sent) = (client.clone(), Sent(Instant::now()));
        async move {
            let mut answer = client.request(request).await?;
            answer.extensions_mut().insert(sent);
            Ok(answer)
        }
    }))
}

fn client() -> Client<HttpConnector, Full<Bytes>> {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    Client::builder(TokioExecutor::new()).build(connector)
}

/// A client that reads the whole answer, so that the point behind it is one at which the answer is here.
pub(crate) fn watched(
    points: &Points,
) -> impl Service<Request<Full<Bytes>>, Response = Response<Full<Bytes>>, Error = BoxError, Future: Send>
+ Clone
+ Send
+ 'static {
    let (client, points) = (client(), points.clone());
    service_fn(move |request| {
        let (client, points) = (client.clone(), points.clone());
        async move {
            points.reach(Point::Sending).await;
            let (head, body) = client.request(request).await?.into_parts();
            let body = body.collect().await?.to_bytes();
            points.reach(Point::Rotated).await;
            Ok(Response::from_parts(head, Full::new(body)))
        }
    })
}
