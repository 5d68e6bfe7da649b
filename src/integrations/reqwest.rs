//! A `reqwest::Client` as the service that the layer wraps, and as the way to the token endpoint.
//!
//! [`ReqwestService`] takes `http` requests with any body and answers with reqwest's own [`Body`], so that streams pass
//! piece by piece in both directions. Its errors are reqwest's: [`Error::downcast`](crate::Error::downcast) gives back a
//! `reqwest::Error` whose `is_timeout()` and `is_connect()` are as they were.
//!
//! A request's own timeout is counted by reqwest for each send, and a replay starts it anew. The wait for a token is
//! not part of it: that is bounded by the [policy](crate::session::RefreshPolicy) of the session.

mod convert;
mod future;

pub use future::ResponseFuture;

#[cfg(feature = "reqwest-middleware")]
pub(crate) use convert::{at_once, into_http_from_anywhere};

use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use reqwest::{Body, redirect::Policy};
use tower_service::Service;

use self::convert::into_body;
use crate::error::BoxError;

/// A `reqwest::Client` that follows no redirects, as a tower service.
///
/// reqwest's own redirects take custom headers along as they are, send a credential of the query to the next origin in
/// `Referer`, and hide that an API has sent the caller to its login page. So they are off, and so is `Referer`. Where
/// redirects are to be followed, put `FollowRedirect` of tower-http outside of the layer: each hop is then a request of
/// its own, with the credential only where it belongs.
///
/// As a [transport](crate::session::SessionBuilder::transport) it says by [`NotSent`](crate::session::NotSent) when a
/// token request never left, so that an endpoint that cannot be reached costs no refresh token.
///
/// # Clone
/// Clones share one client, with its connections.
///
/// # Answers
/// [`reqwest::Response::from`] takes what the service or a layer around it answers, and knows the URL again.
#[derive(Clone, Debug)]
pub struct ReqwestService(reqwest::Client);

impl ReqwestService {
    /// Builds the client, with its redirects switched off, and with them its `Referer`. All other settings stay as they are.
    ///
    /// # Errors
    /// What [`reqwest::ClientBuilder::build`] says.
    pub fn new(client: reqwest::ClientBuilder) -> Result<Self, reqwest::Error> {
        client.redirect(Policy::none()).build().map(Self)
    }

    /// The client.
    #[must_use]
    pub fn get_ref(&self) -> &reqwest::Client {
        &self.0
    }

    /// The client, for whatever else needs one that follows no redirects.
    #[must_use]
    pub fn into_inner(self) -> reqwest::Client {
        self.0
    }
}

impl<B> Service<Request<B>> for ReqwestService
where
    B: http_body::Body + Send + Sync + 'static,
    B::Data: Into<Bytes>,
    B::Error: Into<BoxError>,
{
    type Response = Response<Body>;
    type Error = BoxError;
    type Future = ResponseFuture;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.0.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, request: Request<B>) -> ResponseFuture {
        ResponseFuture::new(self.0.clone(), request.map(into_body))
    }
}
