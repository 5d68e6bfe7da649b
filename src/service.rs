//! The service: decides for each request whether it goes out at once, waits, or passes untouched.

pub use crate::http_service::HttpService;

use std::{
    fmt,
    marker::PhantomData,
    task::{Context, Poll},
};

use http::{Request, Response};
use tower_service::Service;

use crate::{
    attempt::{Attempt, Options, authorize, copy},
    error::{BoxError, Error},
    future::ResponseFuture,
    inspect::{InspectBody, has_content},
    provider::Provider,
    replay::{CloneBody, Replay},
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
    session: Session<P>,
    options: Options,
    replay: PhantomData<fn() -> R>,
}

impl<S, P, R> AuthRefresh<S, P, R> {
    pub(crate) fn new(inner: S, session: Session<P>, options: Options) -> Self {
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
    /// Whether the request is to carry the session's credential. What is not passes untouched, and its answer causes
    /// nothing.
    fn governs<B>(&self, request: &Request<B>) -> bool {
        let uri = request.uri();
        let reaches_the_api = self.session.covers(uri) || (self.options.fixed_peer && uri.authority().is_none());
        reaches_the_api
            && request.extensions().get::<TokenRequest>().is_none()
            && !self.session.is_overridden(request.headers())
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
        if !self.governs(&request) {
            return ResponseFuture::pass(self.inner.call(request));
        }
        let current = self.session.current();
        let now = self.session.now_in(&current);
        let (issued, refresh) = match current.plan(now, self.session.policy()) {
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
                    None => ResponseFuture::wait(Attempt::new(
                        &self.session,
                        self.options,
                        R::backup,
                        request,
                        self.inner.clone(),
                    )),
                };
            }
        };
        let has_content = has_content(request.method());
        // Copied before the credential is put on, so that a replay starts from what the caller sent.
        let copy = if self.options.replays > 0 { copy(&request, R::backup) } else { None };
        let request = match authorize(&self.session, issued, request, now) {
            Ok(request) => request,
            Err(error) => {
                self.inner = self.inner.clone();
                return ResponseFuture::fail(error);
            }
        };
        let spare = copy.map(|request| (request, self.inner.clone()));
        let mut attempt = Attempt::sent(&self.session, self.options, R::backup, has_content, current.generation, spare);
        attempt.carry(issued);
        ResponseFuture::send(self.inner.call(request), attempt, refresh)
    }
}

impl<S: Clone, P, R> Clone for AuthRefresh<S, P, R> {
    fn clone(&self) -> Self {
        Self::new(self.inner.clone(), self.session.clone(), self.options)
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
