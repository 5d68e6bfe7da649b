//! The service: decides for each request whether it goes out at once, waits, or passes untouched.

pub use crate::http_service::HttpService;

use std::{
    fmt,
    marker::PhantomData,
    task::{Context, Poll},
};

use http::{Request, Response};
use tower_service::Service;

#[cfg(feature = "tonic")]
use crate::grpc::Judging;
use crate::{
    attempt::{Attempt, Options, authorize, belongs},
    error::{BoxError, Error},
    extensions::Credentials,
    future::ResponseFuture,
    inspect::InspectBody,
    provider::Provider,
    replay::{CloneBody, Replay, Strategy},
    session::{Plan, Session},
    transport::TokenRequest,
};

/// An HTTP client service whose requests carry a session's token. Made by [`AuthRefreshLayer`](crate::AuthRefreshLayer).
///
/// # Clone
/// A clone shares the session. As with any tower service, a clone of the inner service is not ready, and none is called
/// before it is.
pub struct AuthRefresh<S, P, R = CloneBody> {
    inner: S,
    session: Option<Session<P>>,
    options: Options,
    replay: PhantomData<fn() -> R>,
}

impl<S, P, R> AuthRefresh<S, P, R> {
    pub(crate) fn new(inner: S, session: Option<Session<P>>, options: Options) -> Self {
        Self { inner, session, options, replay: PhantomData }
    }

    /// The wrapped service.
    #[must_use]
    pub fn get_ref(&self) -> &S {
        &self.inner
    }

    /// The wrapped service.
    #[must_use]
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    /// The wrapped service.
    #[must_use]
    pub fn into_inner(self) -> S {
        self.inner
    }
}

impl<S, P, R> AuthRefresh<S, P, R>
where
    P: Provider,
{
    /// The session whose credential the request is to carry. Without one it passes untouched, and its answer causes
    /// nothing.
    fn session_for<'a, B>(&'a self, request: &'a Request<B>) -> Option<&'a Session<P>> {
        let extensions = request.extensions();
        let own = extensions.get::<Session<P>>();
        let default = if own.is_some() { Credentials::Include } else { self.options.credentials };
        if extensions.get().copied().unwrap_or(default) == Credentials::Omit {
            return None;
        }
        let session = own.or(self.session.as_ref())?;
        let is_governed = belongs(session, self.options.fixed_peer, request.uri())
            && extensions.get::<TokenRequest>().is_none()
            && !session.is_overridden(request.headers());
        is_governed.then_some(session)
    }
}

#[cfg(feature = "tonic")]
impl<S, P, R> AuthRefresh<S, P, R>
where
    P: Provider,
{
    /// How the answers to a request that may be sent again are judged; `None` for one that never is.
    pub(crate) fn replayable<B>(&self, request: &Request<B>) -> Option<Judging> {
        let session = self.session_for(request)?;
        (self.options.replays(session) > 0).then(|| self.options.judging(request))
    }
}

impl<S, P, R, B> Service<Request<B>> for AuthRefresh<S, P, R>
where
    S: HttpService<B>,
    S::Error: Into<BoxError>,
    P: Provider,
    R: Replay<B>,
{
    type Response = Response<InspectBody<S::ResponseBody>>;
    type Error = Error;
    type Future = ResponseFuture<S, P, B>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(cx).map_err(Error::service)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let Some(session) = self.session_for(&request).cloned() else {
            return ResponseFuture::pass(self.inner.call(request));
        };
        let strategy = Strategy::of::<R>();
        let current = session.current();
        let now = session.now_in(&current);
        let (issued, refresh) = match current.plan(now, session.policy()) {
            Plan::Send(issued) => (issued, false),
            Plan::SendAndRefresh(issued) => (issued, true),
            plan => {
                let error = match plan {
                    Plan::Refuse(failure) => Some(Error::from(failure)),
                    _ => None,
                };
                // The reservation is given back: whoever waits for a token must not keep the token request from its
                // turn under a shared limit.
                self.inner = self.inner.clone();
                return match error {
                    Some(error) => ResponseFuture::fail(error),
                    None => {
                        let service = self.inner.clone();
                        ResponseFuture::wait(Attempt::new(session, &self.options, strategy, request, service))
                    }
                };
            }
        };
        let mut attempt = Attempt::sent(session, &self.options, strategy, &request, current.generation);
        // Copied before the credential is put on, so that a replay starts from what the caller sent.
        let copy = attempt.copy(&request);
        let request = match authorize(attempt.session(), issued, request, now) {
            Ok(request) => request,
            Err(error) => {
                self.inner = self.inner.clone();
                return ResponseFuture::fail(error);
            }
        };
        if let Some(copy) = copy {
            attempt.keep(copy, self.inner.clone());
        }
        attempt.carry(issued);
        ResponseFuture::send(self.inner.call(request), attempt, refresh)
    }
}

impl<S: Clone, P, R> Clone for AuthRefresh<S, P, R> {
    fn clone(&self) -> Self {
        Self::new(self.inner.clone(), self.session.clone(), self.options.clone())
    }
}

impl<S: fmt::Debug, P, R> fmt::Debug for AuthRefresh<S, P, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthRefresh")
            .field("inner", &self.inner)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}
