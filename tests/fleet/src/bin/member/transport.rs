//! The way to the token endpoint, with a point before and a point behind it.

use bytes::Bytes;
use fleet::Point;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use tower::{BoxError, Service, service_fn};

use crate::points::Points;

pub(crate) type HttpClient = Client<HttpConnector, Full<Bytes>>;

pub(crate) fn client() -> HttpClient {
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
