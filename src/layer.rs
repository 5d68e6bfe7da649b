//! The layer: which session, and how a service uses it.

use std::{fmt, marker::PhantomData};

use tower_layer::Layer;

use crate::{attempt::Options, replay::CloneBody, service::AuthRefresh, session::Session};

/// Wraps HTTP client services so that their requests carry a session's token.
///
/// `R` says how a request's body is copied for a replay: [`CloneBody`] unless told otherwise. Any number of layers, on
/// any number of clients, can share one session.
pub struct AuthRefreshLayer<P, R = CloneBody> {
    session: Session<P>,
    options: Options,
    replay: PhantomData<fn() -> R>,
}

impl<P> AuthRefreshLayer<P> {
    /// A layer for `session` that replays a rejected request if its body can be cloned: once, unless the session's
    /// [policy](crate::session::RefreshPolicy::replays) says otherwise.
    #[must_use]
    pub fn new(session: Session<P>) -> Self {
        let options =
            Options { replays: session.policy().replays, error_after_failed_refresh: false, fixed_peer: false };
        Self { session, options, replay: PhantomData }
    }
}

impl<P, R> AuthRefreshLayer<P, R> {
    /// How request bodies are copied: [`Never`](crate::replay::Never) where they cannot be, or a strategy of your own.
    /// A strategy is a type without a value, so that it costs nothing to carry.
    #[must_use]
    pub fn replay<R2>(self) -> AuthRefreshLayer<P, R2> {
        AuthRefreshLayer { session: self.session, options: self.options, replay: PhantomData }
    }

    /// How often a rejected request is sent again. Default: what the session's
    /// [policy](crate::session::RefreshPolicy::replays) says, which is once. With 0 a rejection causes a refresh and no replay.
    #[must_use]
    pub fn replays(mut self, replays: u8) -> Self {
        self.options.replays = replays;
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
    /// it. By default they pass without the credential, because where they go cannot be known.
    #[must_use]
    pub fn fixed_peer(mut self) -> Self {
        self.options.fixed_peer = true;
        self
    }

    /// The session whose token the layer attaches.
    #[must_use]
    pub fn session(&self) -> &Session<P> {
        &self.session
    }
}

impl<S, P, R> Layer<S> for AuthRefreshLayer<P, R> {
    type Service = AuthRefresh<S, P, R>;

    fn layer(&self, inner: S) -> Self::Service {
        AuthRefresh::new(inner, self.session.clone(), self.options)
    }
}

impl<P, R> Clone for AuthRefreshLayer<P, R> {
    fn clone(&self) -> Self {
        Self { session: self.session.clone(), options: self.options, replay: PhantomData }
    }
}

impl<P, R> fmt::Debug for AuthRefreshLayer<P, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthRefreshLayer").field("options", &self.options).finish_non_exhaustive()
    }
}
