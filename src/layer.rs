//! The layer: which session, and how a service uses it.

use std::{fmt, marker::PhantomData, sync::Arc};

use tower_layer::Layer;

use crate::{attempt::Options, extensions::Credentials, replay::CloneBody, service::AuthRefresh, session::Session};

/// Wraps HTTP client services so that their requests carry a session's token.
///
/// `R` says how a request's body is copied for a replay: [`CloneBody`] unless told otherwise. Any number of layers, on
/// any number of clients, can share one session; and one layer can serve any number of sessions, each in the
/// [extensions](crate::extensions) of its requests.
pub struct AuthRefreshLayer<P, R = CloneBody> {
    session: Option<Session<P>>,
    options: Options,
    replay: PhantomData<fn() -> R>,
}

impl<P> AuthRefreshLayer<P> {
    /// A layer for `session` that replays a rejected request by a clone of its body: once, unless the session's
    /// [policy](crate::session::RefreshPolicy::replays) says otherwise.
    #[must_use]
    pub fn new(session: Session<P>) -> Self {
        Self { session: Some(session), options: Options::default(), replay: PhantomData }
    }

    /// A layer without a session of its own, for clients that act for many: a request carries the credential of the
    /// [`Session<P>`] in its extensions, and passes untouched without one.
    #[must_use]
    pub fn per_request() -> Self {
        Self { session: None, options: Options::default(), replay: PhantomData }
    }
}

impl<P, R> AuthRefreshLayer<P, R> {
    /// How request bodies are copied. By default by `Clone`, and a body without that does not compile. Else
    /// [`Never`](crate::replay::Never) for any body, [`Buffered`](crate::replay::Buffered) for streams in a
    /// [`ReplayBody`](crate::replay::ReplayBody::new), or a strategy of your own.
    /// A strategy is a type without a value, so that it costs nothing to carry.
    #[must_use]
    pub fn replay<R2>(self) -> AuthRefreshLayer<P, R2> {
        AuthRefreshLayer { session: self.session, options: self.options, replay: PhantomData }
    }

    /// How often a rejected request is sent again. Default: what its session's
    /// [policy](crate::session::RefreshPolicy::replays) says, which is once. With 0 a rejection causes a refresh and no replay.
    #[must_use]
    pub fn replays(mut self, replays: u8) -> Self {
        self.options.replays = Some(replays);
        self
    }

    /// Whether a rejected request whose refresh fails ends in an error. By default its caller gets the rejected
    /// answer, with the [`RefreshFailure`](crate::error::RefreshFailure) in its extensions. Mind that an API with
    /// envelopes rejects by status 200: look into the extensions, or ask for the error.
    #[must_use]
    pub fn error_after_failed_refresh(mut self, error: bool) -> Self {
        self.options.error_after_failed_refresh = error;
        self
    }

    /// Says that the wrapped service speaks to one peer only, the API, so that requests with a relative URI belong to
    /// it. By default they pass without the credential, because where they go cannot be known. A request that names
    /// another origin passes without it in either case.
    #[must_use]
    pub fn fixed_peer(mut self) -> Self {
        self.options.fixed_peer = true;
        self
    }

    /// What becomes of a request that says nothing of [`Credentials`] in its extensions. Default:
    /// [`Include`](Credentials::Include). With [`Omit`](Credentials::Omit) only a request that opts in carries the
    /// credential; one that brings its own session does.
    #[must_use]
    pub fn credentials(mut self, default: Credentials) -> Self {
        self.options.credentials = default;
        self
    }

    /// Says that the wrapped service speaks gRPC: a call whose status is 16 (`UNAUTHENTICATED`) in the head of its
    /// answer is rejected, like one that is answered 401. That is where a server puts the status of a call that it refused
    /// before it said anything else. A status that is there twice counts only if it is 16 both times; and a `Bearer`
    /// challenge beside it acquits the token as it does with a 401.
    ///
    /// `unary` names methods, such as `/helloworld.Greeter/SayHello`, that are answered by one message: with them the
    /// status may come behind that message, and the answer is held back until it is there, within the limits of
    /// [`judged_body`](crate::session::RefreshPolicy::judged_body). No other answer is ever held back.
    #[must_use]
    pub fn grpc<M: Into<Box<str>>>(mut self, unary: impl IntoIterator<Item = M>) -> Self {
        self.options.grpc = Some(unary.into_iter().map(Into::into).collect::<Arc<[_]>>());
        self
    }

    /// The layer's own session, whose token it attaches; `None` if every request [brings its own](Self::per_request).
    #[must_use]
    pub fn session(&self) -> Option<&Session<P>> {
        self.session.as_ref()
    }
}

impl<S, P, R> Layer<S> for AuthRefreshLayer<P, R> {
    type Service = AuthRefresh<S, P, R>;

    fn layer(&self, inner: S) -> Self::Service {
        AuthRefresh::new(inner, self.session.clone(), self.options.clone())
    }
}

impl<P, R> Clone for AuthRefreshLayer<P, R> {
    fn clone(&self) -> Self {
        Self { session: self.session.clone(), options: self.options.clone(), replay: PhantomData }
    }
}

impl<P, R> fmt::Debug for AuthRefreshLayer<P, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthRefreshLayer").field("options", &self.options).finish_non_exhaustive()
    }
}
