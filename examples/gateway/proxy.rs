//! The proxy: a request goes to the upstream as it came, and its answer comes back as it was.

use axum::{
    body::{Body, HttpBody},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use http::{
    HeaderMap, Method, Request, Uri, Version,
    header::{HOST, UPGRADE},
    uri::{Parts, PathAndQuery},
};
use http_body_util::BodyExt;
use tower::{BoxError, Service, ServiceExt};
use tower_auth_refresh::replay::ReplayBody;
use tracing::{debug, warn};

use super::{actions::Actions, answer::Answer, hop};

/// What the client service is sent.
pub(crate) type Outgoing = ReplayBody<Body>;

/// Sends requests on to the upstream by any client service: with the layer around it, or without.
#[derive(Debug)]
pub(crate) struct Proxy<S> {
    client: S,
    upstream: Uri,
    actions: Option<Actions>,
    replay_body: usize,
}

impl<S> Proxy<S> {
    /// A path of `upstream` goes before each request's own. Up to `replay_body` bytes of a body are kept for a replay.
    pub(crate) fn new(client: S, upstream: Uri, actions: Option<Actions>, replay_body: usize) -> Self {
        Self { client, upstream, actions, replay_body }
    }

    /// The request as the upstream gets it.
    fn outgoing(&self, request: Request<Body>) -> Result<Request<Outgoing>, Answer> {
        let (mut head, body) = request.into_parts();
        check(&head.method, &head.headers)?;
        let uri = self.target(&head.uri)?;
        hop::pass_on(&mut head.headers, head.version);
        if head.version == Version::HTTP_2 {
            hop::join_cookies(&mut head.headers);
        }
        // The client names the upstream's.
        head.headers.remove(HOST);
        let action = match &self.actions {
            Some(actions) => actions.take(&head.method, &head.uri, &mut head.headers)?,
            None => None,
        };

        // What the listener knows of its connection stays behind; the version is the client's to choose.
        let mut request = Request::new(ReplayBody::with_limit(body, self.replay_body));
        *request.method_mut() = head.method;
        *request.uri_mut() = uri;
        *request.headers_mut() = head.headers;
        if let Some(action) = action {
            request.extensions_mut().insert(action);
        }
        Ok(request)
    }

    /// The upstream's scheme and authority, its path, and then path and query as they came, byte for byte.
    fn target(&self, uri: &Uri) -> Result<Uri, Answer> {
        let path = uri.path_and_query().filter(|path| path.as_str().starts_with('/')).ok_or(BAD_TARGET)?;
        let prefix = self.upstream.path().trim_end_matches('/');
        let path = match prefix {
            "" => path.clone(),
            prefix => PathAndQuery::try_from(format!("{prefix}{path}")).map_err(|_| BAD_TARGET)?,
        };
        let mut parts = Parts::default();
        parts.scheme = self.upstream.scheme().cloned();
        parts.authority = self.upstream.authority().cloned();
        parts.path_and_query = Some(path);
        Uri::from_parts(parts).map_err(|_| BAD_TARGET)
    }
}

impl<S, B> Proxy<S>
where
    S: Service<Request<Outgoing>, Response = Response<B>> + Clone,
    S::Error: Into<BoxError>,
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    /// Sends one request, and gives its answer back: the upstream's, or one of the gateway's own. When the future is
    /// dropped, so is the upstream call.
    pub(crate) async fn forward(&self, request: Request<Body>) -> Response {
        let sent = match self.outgoing(request) {
            Ok(request) => self.client.clone().oneshot(request).await.map_err(|error| Answer::to_error(error.into())),
            Err(refused) => Err(refused),
        };
        match sent {
            Ok(answer) if answer.status().is_informational() => UNASKED_UPGRADE.into_response(),
            Ok(answer) if hop::is_coded(answer.headers()) => CODED_ANSWER.into_response(),
            Ok(answer) => {
                debug!(status = answer.status().as_u16(), "answered");
                returned(answer)
            }
            Err(answer) => {
                warn!(error = answer.error(), reason = answer.message(), "no answer of the upstream");
                answer.into_response()
            }
        }
    }
}

const CONNECT: Answer = Answer::not_implemented("connect-not-supported", "this gateway opens no tunnels");
const UPGRADE_TO_WEBSOCKET: Answer =
    Answer::not_implemented("upgrade-not-supported", "this gateway passes no WebSockets on");
const UNASKED_UPGRADE: Answer = Answer::bad_gateway("upstream-failed", "the upstream changed the protocol unasked");
const CODED: Answer = Answer::not_implemented(
    "transfer-coding-not-supported",
    "this gateway takes bodies in no transfer coding but chunked",
);
const CODED_ANSWER: Answer =
    Answer::bad_gateway("upstream-failed", "the upstream answered in a transfer coding that nobody asked for");
const BAD_TARGET: Answer = Answer::bad_request("bad-target", "the target of a request is a path, beginning with /");

/// A tunnel cannot be authenticated by request. Other upgrades than WebSockets are offers, which a server may pass over.
fn check(method: &Method, headers: &HeaderMap) -> Result<(), Answer> {
    if method == Method::CONNECT {
        return Err(CONNECT);
    }
    if headers.contains_key(UPGRADE) && headers.contains_key("sec-websocket-key") {
        return Err(UPGRADE_TO_WEBSOCKET);
    }
    if hop::is_coded(headers) {
        return Err(CODED);
    }
    Ok(())
}

/// The upstream's answer as it goes back to the client.
fn returned<B>(answer: Response<B>) -> Response
where
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let (mut head, body) = answer.into_parts();
    hop::pass_on(&mut head.headers, head.version);
    // What the listener speaks is its own affair: an answer in HTTP/1.0 does not end a connection in HTTP/1.1.
    head.version = Version::default();
    // A mapped body does not tell its length. Where the upstream has not said one either (HEAD, 304, the end of a stream)
    // the router would add it.
    Response::from_parts(head, Body::new(body.map_frame(|frame| frame)))
}
