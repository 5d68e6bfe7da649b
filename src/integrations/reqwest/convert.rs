//! Between reqwest's types and those of `http`, without losing what its own conversions drop.

use std::{
    any::Any,
    pin::Pin,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use http::{Response, Uri};
use http_body_util::Full;
use reqwest::Body;

use crate::{
    error::BoxError,
    extensions::{TargetUri, name_url},
    inspect::InspectBody,
};

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
const NO_URL: &str = "no.url.provided.local";

/// An answer that knows where it came from: reqwest's own conversion drops the URL. `target` says it in the words of the
/// request, where they are at hand: reqwest writes some hosts differently.
pub(crate) fn into_http(answer: reqwest::Response, target: Option<Uri>) -> Response<Body> {
    let url = answer.url().clone();
    let mut answer = Response::from(answer);
    let is_named = url.host_str() != Some(NO_URL);
    if let Some(uri) = target.or_else(|| url.as_str().parse().ok().filter(|_| is_named)) {
        answer.extensions_mut().insert(TargetUri(uri));
    }
    name_url(answer.extensions_mut(), url);
    answer
}

/// So that `reqwest::Response::from` takes an answer that came through the layer.
impl From<InspectBody<Body>> for Body {
    fn from(body: InspectBody<Body>) -> Self {
        body.into_untouched().unwrap_or_else(Body::wrap)
    }
}
