//! gRPC by tonic: a channel, or any service that takes its requests, with the layer around it.
//!
//! [`GrpcAuthLayer`] makes a [`GrpcAuth`], which generated clients take in the place of a `Channel`, with interceptors
//! around it or inside:
//!
//! ```
//! # use tower_auth_refresh::{Session, test_util::{AuthServer, TestClock, TestProvider}};
//! use tower::Layer;
//! use tower_auth_refresh::integrations::tonic::GrpcAuthLayer;
//! # fn wrap<S>(channel: S) {
//! # let server = AuthServer::new(&TestClock::new());
//! # let session = Session::builder(TestProvider::new()).transport(server).build().unwrap();
//!
//! let layer = GrpcAuthLayer::new(session).fixed_peer().unary(["/grpc.health.v1.Health/Check"]);
//! let channel = layer.layer(channel); // for `HealthClient::new(channel)`
//! # }
//! ```
//!
//! # Where the credential goes
//! Requests of generated clients have no host in their URI unless `with_origin` gave them one, and pass without the
//! credential until the layer is told that its channel has a [`fixed_peer`](GrpcAuthLayer::fixed_peer). With an origin
//! they are held to it like any HTTP request. Mind that a channel connects to its own endpoint, whatever the origin says.
//!
//! # What is a rejection
//! HTTP 401, as a proxy answers it, and status 16 (`UNAUTHENTICATED`) in the head, where tonic's servers put the status of
//! a call that they refuse, unary or streaming. Behind a message it counts only with methods that are named as
//! [`unary`](GrpcAuthLayer::unary), because the answer has to be held back for it.
//!
//! # What is sent again
//! A request that is one message, no longer than the [limit](GrpcAuthLayer::replay_limit), and all there when the call is
//! made. So are all requests of unary and server-streaming calls. With methods that are named as
//! [`unary`](GrpcAuthLayer::unary) the message may also come later, as through a proxy, if it has been sent before the
//! answer comes. A client stream is sent once, and its rejected answer handed back after the refresh has been started. But
//! a stream of one message that is there at once and ends with it, such as `tokio_stream::once`, looks like a unary
//! request, and is sent again like one.
//!
//! What may be sent again is read as far as it is there when the call is made, in the caller's task, instead of when the
//! connection asks for it. Metadata, compression and the bytes of messages are the same in both sends.
//!
//! # Deadlines
//! `grpc-timeout` goes to the server as it came. For the caller it runs from the call on, whatever that takes: the wait for
//! a token and the replay count, and when it is over, the call ends as the channel would have ended it.
//! `Endpoint::timeout` is known to the channel alone, which keeps it for each send.
//!
//! # Errors
//! A call ends with a [`Status`](::tonic::Status). What the channel says is what it would have said without the layer, in
//! code and message. Where there is no token it is `UNAUTHENTICATED` if somebody must sign in, `UNAVAILABLE` if a later try
//! helps, and `INTERNAL` if a setting is wrong, with an [`Error`](crate::Error) as its source:
//!
//! ```
//! use std::error::Error as _;
//!
//! fn needs_sign_in(status: &tonic::Status) -> bool {
//!     let error = status.source().and_then(|cause| cause.downcast_ref::<tower_auth_refresh::Error>());
//!     error.is_some_and(|error| error.needs_sign_in())
//! }
//! ```
//!
//! After a rejection whose refresh fails the call ends with the server's own status, unless the layer is told
//! [otherwise](GrpcAuthLayer::error_after_failed_refresh).

mod body;
mod deadline;
mod future;
mod service;
mod status;

pub use future::ResponseFuture;
pub use service::GrpcAuth;

use std::fmt;

use tower_layer::Layer;

use self::{body::OneMessage, service::Unboxed};
use crate::{AuthRefreshLayer, Session, extensions::Credentials, replay::body::LIMIT};

/// Wraps channels so that their calls carry a session's token. See the [module](self).
///
/// It is an [`AuthRefreshLayer`] that knows gRPC; its options are the same and have the same defaults.
pub struct GrpcAuthLayer<P> {
    layer: AuthRefreshLayer<P, OneMessage>,
    limit: usize,
}

impl<P> GrpcAuthLayer<P> {
    /// A layer for `session`.
    #[must_use]
    pub fn new(session: Session<P>) -> Self {
        Self::of(AuthRefreshLayer::new(session))
    }

    /// A layer without a session of its own: a call carries the credential of the [`Session<P>`] in the extensions of its
    /// request, and passes untouched without one.
    #[must_use]
    pub fn per_request() -> Self {
        Self::of(AuthRefreshLayer::per_request())
    }

    /// Names the methods, such as `/helloworld.Greeter/SayHello`, that are answered by one message, in place of those
    /// named before. Default: none. With them a rejection behind that message is found as well: their answers are held
    /// back until the status is there, within the limits of
    /// [`judged_body`](crate::session::RefreshPolicy::judged_body). No other answer is ever held back.
    #[must_use]
    pub fn unary<M: Into<Box<str>>>(self, methods: impl IntoIterator<Item = M>) -> Self {
        self.map(|layer| layer.grpc(methods))
    }

    /// Says that the channel connects to the API alone, so that requests without a host belong to it.
    /// See [`AuthRefreshLayer::fixed_peer`]. Default: they pass without the credential.
    #[must_use]
    pub fn fixed_peer(self) -> Self {
        self.map(AuthRefreshLayer::fixed_peer)
    }

    /// How often a rejected call is sent again. See [`AuthRefreshLayer::replays`]. Default: once.
    #[must_use]
    pub fn replays(self, replays: u8) -> Self {
        self.map(|layer| layer.replays(replays))
    }

    /// The longest request that is kept for a replay, in bytes: its message with the five bytes before it. Default: 64 KiB.
    #[must_use]
    pub fn replay_limit(self, bytes: usize) -> Self {
        Self { limit: bytes, ..self }
    }

    /// Whether a rejected call whose refresh fails ends with the failure of the refresh. Default: with the status that
    /// the server gave it.
    #[must_use]
    pub fn error_after_failed_refresh(self, error: bool) -> Self {
        self.map(|layer| layer.error_after_failed_refresh(error))
    }

    /// What becomes of a call that says nothing of [`Credentials`] in the extensions of its request. See
    /// [`AuthRefreshLayer::credentials`]. Default: [`Include`](Credentials::Include).
    #[must_use]
    pub fn credentials(self, default: Credentials) -> Self {
        self.map(|layer| layer.credentials(default))
    }

    /// The layer's own session; `None` if every call [brings its own](Self::per_request).
    #[must_use]
    pub fn session(&self) -> Option<&Session<P>> {
        self.layer.session()
    }

    fn of(layer: AuthRefreshLayer<P>) -> Self {
        Self { layer: layer.replay().grpc::<&str>([]), limit: LIMIT }
    }

    fn map(self, set: impl FnOnce(AuthRefreshLayer<P, OneMessage>) -> AuthRefreshLayer<P, OneMessage>) -> Self {
        Self { layer: set(self.layer), limit: self.limit }
    }
}

impl<S, P> Layer<S> for GrpcAuthLayer<P> {
    type Service = GrpcAuth<S, P>;

    fn layer(&self, inner: S) -> Self::Service {
        GrpcAuth::new(self.layer.layer(Unboxed(inner)), self.limit)
    }
}

impl<P> Clone for GrpcAuthLayer<P> {
    fn clone(&self) -> Self {
        Self { layer: self.layer.clone(), limit: self.limit }
    }
}

impl<P> fmt::Debug for GrpcAuthLayer<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GrpcAuthLayer").field("layer", &self.layer).field("limit", &self.limit).finish()
    }
}
