//! Between reqwest's types and those of `http`, without losing what its own conversions drop.

use std::{
    any::Any,
    pin::Pin,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use http::Response;
use http_body_util::Full;
use reqwest::Body;
use tower_http::follow_redirect::RequestUri;

#[cfg(feature = "reqwest-middleware")]
use crate::extensions::TargetUri;
use crate::{error::BoxError, extensions::name_url, inspect::InspectBody};

/// A body as reqwest takes it. What is whole in memory stays so: where a server says that it has not looked at a
/// request, reqwest sends it once more, and it cannot do that with a stream.
pub(super) fn into_body<B>(body: B) -> Body
where
    B: http_body::Body + Send + Sync + 'static,
    B::Data: Into<Bytes>,
    B::Error: Into<BoxError>,
{
    if body.is_end_stream() {
        return Body::default();
    }
    let mut body = Some(body);
    let known: &mut dyn Any = &mut body;
    if let Some(body) = known.downcast_mut::<Option<Body>>() {
        return body.take().unwrap_or_default();
    }
    if let Some(Some(body)) = known.downcast_mut::<Option<Full<Bytes>>>() {
        return at_once(body).map(Body::from).unwrap_or_default();
    }
    body.map(Body::wrap).unwrap_or_default()
}

/// What a body yields at once: all of it, where it is whole in memory, and without a copy.
pub(crate) fn at_once<B>(body: &mut B) -> Option<Bytes>
where
    B: http_body::Body<Data = Bytes> + Unpin,
{
    match Pin::new(body).poll_frame(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Some(Ok(frame))) => frame.into_data().ok(),
        _ => None,
    }
}

/// The host that reqwest names for an answer that somebody made by hand without saying where it came from.
#[cfg(feature = "reqwest-middleware")]
const NO_URL: &str = "no.url.provided.local";

/// An answer that knows its URL, which reqwest's own conversion drops. What reqwest leaves of it elsewhere goes: it may hold
/// a credential.
pub(crate) fn into_http(answer: reqwest::Response) -> Response<Body> {
    let url = answer.url().clone();
    let mut answer = Response::from(answer);
    answer.extensions_mut().remove::<RequestUri>();
    name_url(answer.extensions_mut(), url);
    answer
}

/// The same of a client that may have followed redirects: the layer is told where they led.
#[cfg(feature = "reqwest-middleware")]
pub(crate) fn into_http_from_anywhere(answer: reqwest::Response) -> Response<Body> {
    let target =
        Some(answer.url()).filter(|url| url.host_str() != Some(NO_URL)).and_then(|url| url.as_str().parse().ok());
    let mut answer = into_http(answer);
    if let Some(uri) = target {
        answer.extensions_mut().insert(TargetUri(uri));
    }
    answer
}

/// So that `reqwest::Response::from` takes an answer that came through the layer.
impl From<InspectBody<Body>> for Body {
    fn from(body: InspectBody<Body>) -> Self {
        body.into_untouched().unwrap_or_else(Body::wrap)
    }
}
