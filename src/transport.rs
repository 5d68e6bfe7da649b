//! Any tower service as the way to the token endpoint: erased, bounded, never redirected.

mod not_sent;

use std::{
    error::Error as StdError,
    fmt, io,
    sync::{Mutex, PoisonError},
};

use bytes::{Buf, Bytes};
use http::{Request, Response};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited, combinators::UnsyncBoxBody};
use tower::{BoxError, Service, ServiceExt, util::BoxCloneService};

pub use not_sent::NotSent;

/// Marks a token request, so that any layer of this crate passes it on untouched. Without the mark a token request
/// through a client that the layer itself wraps would wait for its own outcome.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TokenRequest;

/// The way to the token endpoint.
pub(crate) struct Transport(Mutex<Erased>);

/// A transport that is ready for one token request.
pub(crate) struct Ready(Erased);

type Erased = BoxCloneService<Request<Full<Bytes>>, Response<UnsyncBoxBody<Bytes, Interrupted>>, BoxError>;

/// The body of an answer broke off.
#[derive(Debug)]
struct Interrupted(Option<io::ErrorKind>);

/// Why there is no token answer. Only fixed words: an HTTP client's own message may print the URL, and with it a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TransportError {
    /// Nothing was sent.
    NotSent(Option<io::ErrorKind>),
    /// Something may have been sent, and no answer came back.
    NoAnswer(Option<io::ErrorKind>),
    /// The answer broke off.
    Interrupted(Option<io::ErrorKind>),
    /// The answer is longer than it may be.
    TooLarge,
}

impl Transport {
    pub(crate) fn new<S, B>(service: S) -> Self
    where
        S: Service<Request<Full<Bytes>>, Response = Response<B>> + Clone + Send + 'static,
        S::Error: Into<BoxError>,
        S::Future: Send + 'static,
        B: http_body::Body + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let erased = service
            .map_response(|answer: Response<B>| {
                answer.map(|body| {
                    let body = body.map_frame(|frame| {
                        frame.map_data(|mut data| {
                            let remaining = data.remaining();
                            data.copy_to_bytes(remaining)
                        })
                    });
                    body.map_err(|error| Interrupted(io_kind(&*error.into()))).boxed_unsync()
                })
            })
            .map_err(Into::into);
        Self(Mutex::new(BoxCloneService::new(erased)))
    }

    /// Waits until a token request can be sent. Nothing has been sent, whatever becomes of the wait.
    pub(crate) async fn ready(&self) -> Result<Ready, TransportError> {
        let service = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        service.ready_oneshot().await.map(Ready).map_err(|error| TransportError::NotSent(io_kind(&*error)))
    }
}

impl Ready {
    /// Sends a token request and reads the whole answer, whatever its status; a redirect is an answer like any other.
    /// An answer of more than `limit` bytes is an error.
    pub(crate) async fn send(
        mut self,
        request: Request<Bytes>,
        limit: usize,
    ) -> Result<Response<Bytes>, TransportError> {
        let mut request = request.map(Full::new);
        request.extensions_mut().insert(TokenRequest);
        let answer = self.0.call(request).await.map_err(|error| match io_kind(&*error) {
            // Only connecting to a peer can be refused.
            kind @ Some(io::ErrorKind::ConnectionRefused) => TransportError::NotSent(kind),
            kind if cause::<NotSent>(&*error).is_some() => TransportError::NotSent(kind),
            kind => TransportError::NoAnswer(kind),
        })?;
        let (head, body) = answer.into_parts();
        match Limited::new(body, limit).collect().await {
            Ok(body) => Ok(Response::from_parts(head, body.to_bytes())),
            Err(error) if error.is::<LengthLimitError>() => Err(TransportError::TooLarge),
            Err(error) => Err(TransportError::Interrupted(error.downcast_ref().and_then(|Interrupted(kind)| *kind))),
        }
    }
}

/// The first I/O error in the chain, by kind: its message could be anything.
pub(crate) fn io_kind(error: &(dyn StdError + 'static)) -> Option<io::ErrorKind> {
    cause(error).map(io::Error::kind)
}

/// The first error of that type in the chain.
fn cause<'a, E: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a E> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        next = error.source();
    }
    None
}

impl StdError for Interrupted {}

impl fmt::Display for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the token answer broke off")
    }
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Transport")
    }
}

impl StdError for TransportError {}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (text, kind) = match self {
            Self::NotSent(kind) => ("the token request could not be sent", kind),
            Self::NoAnswer(kind) => ("no answer to the token request", kind),
            Self::Interrupted(kind) => ("the token answer broke off", kind),
            Self::TooLarge => ("the token answer is too large", &None),
        };
        match kind {
            Some(kind) => write!(f, "{text}: {kind}"),
            None => f.write_str(text),
        }
    }
}
