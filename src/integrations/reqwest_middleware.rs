//! The layer as a middleware of `reqwest-middleware`.
//!
//! [`AuthRefreshMiddleware`] sends each request through [`AuthRefresh`](crate::AuthRefresh), with the rest of the chain
//! as the service that it wraps: what is decided, and when, is the same as everywhere.
//!
//! # The client
//! Make it with [`ReqwestService::new`](super::reqwest::ReqwestService::new), which switches redirects off, and is the
//! way to the token endpoint as well:
//!
//! ```
//! # use tower_auth_refresh::{Session, integrations::{reqwest::ReqwestService, reqwest_middleware::AuthRefreshMiddleware}};
//! # use tower_auth_refresh::test_util::TestProvider;
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let provider = TestProvider::new();
//! let http = ReqwestService::new(reqwest::Client::builder())?;
//! let session = Session::builder(provider).transport(http.clone()).build()?;
//! let client = reqwest_middleware::ClientBuilder::new(http.into_inner()).with(AuthRefreshMiddleware::new(session)).build();
//! # Ok(())
//! # }
//! ```
//!
//! A client that follows redirects takes the credential along by rules of its own: in custom headers as they are, and
//! out of the query in `Referer`. All that the middleware can do then is to see where the answer came from, and to take
//! a 401 of another origin for what it is: none of its business.
//!
//! # The request
//! A body in memory is sent again whatever its size, and is not copied for that. A stream is sent once, unless the
//! middleware is told [otherwise](AuthRefreshMiddleware#streams). A timeout of the request counts for each send.
//!
//! `with_extension(session)` and `with_extension(Credentials::Omit)` do what the [extensions](crate::extensions) of an
//! `http::Request` do: the middleware carries them over. What the middlewares behind it put into the extensions is there
//! for those before it, and for the replay.
//!
//! # The answer
//! It keeps its URL, but for a credential in the query, so that neither `error_for_status()` nor the error of a body that
//! breaks off shows it.
//!
//! # Errors
//! An error of reqwest stays `Error::Reqwest`, and one of another middleware stays what it was. Where the credential
//! travels in the query, the former loses its URL, and the latter is replaced if it prints the credential. What the
//! session says is `Error::Middleware` with an [`Error`] inside:
//!
//! ```
//! fn needs_sign_in(error: &reqwest_middleware::Error) -> bool {
//!     let reqwest_middleware::Error::Middleware(cause) = error else { return false };
//!     cause.downcast_ref::<tower_auth_refresh::Error>().is_some_and(|error| error.needs_sign_in())
//! }
//! ```
//!
//! # With reqwest-retry
//! Before this middleware it repeats whole requests, each with the token of its time; behind it, single sends. In either
//! place it takes neither a rejection nor a failed refresh for something to repeat. It wraps the errors of what it repeats
//! in its own, and cannot take a stream.

mod body;
mod chain;

pub use body::RequestBody;

use std::fmt;

use http::Extensions;
use reqwest::{Request, Response};
use reqwest_middleware::{Middleware, Next};
use tower::{Layer, ServiceExt};

use self::chain::{Borrowed, Chain};
use crate::{
    AuthRefreshLayer, Error, Provider, Session,
    extensions::Credentials,
    replay::{CloneBody, Replay},
};

/// Puts a session's token on the requests of a `reqwest_middleware::ClientWithMiddleware`. See the
/// [module](self) for what becomes of bodies, answers and errors.
///
/// Only the middlewares that are attached after it see the token.
///
/// # Streams
/// It is made from a session, or from an [`AuthRefreshLayer`] with whatever that is told. So a stream of up to 64 KiB can
/// be sent again by `AuthRefreshLayer::new(session).replay::<Buffered>().into()`.
pub struct AuthRefreshMiddleware<P, R = CloneBody> {
    layer: AuthRefreshLayer<P, R>,
}

impl<P> AuthRefreshMiddleware<P> {
    /// A middleware for `session`, with the defaults of [`AuthRefreshLayer::new`].
    #[must_use]
    pub fn new(session: Session<P>) -> Self {
        AuthRefreshLayer::new(session).into()
    }
}

#[async_trait::async_trait]
impl<P, R> Middleware for AuthRefreshMiddleware<P, R>
where
    P: Provider,
    R: Replay<RequestBody> + 'static,
{
    async fn handle(
        &self,
        request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> reqwest_middleware::Result<Response> {
        let mut request = RequestBody::from_reqwest(request)?;
        if let Some(session) = extensions.get::<Session<P>>() {
            request.extensions_mut().insert(session.clone());
        }
        if let Some(credentials) = extensions.get::<Credentials>() {
            request.extensions_mut().insert(*credentials);
        }
        let extensions = Borrowed::new(extensions);
        let service = self.layer.layer(Chain::new(next, &extensions));
        service.oneshot(request).await.map(Response::from).map_err(unwrap)
    }
}

/// What the chain failed with comes back as it was.
fn unwrap(error: Error) -> reqwest_middleware::Error {
    let error = match error.downcast::<reqwest::Error>() {
        Ok(error) => return (*error).into(),
        Err(error) => error,
    };
    match error.downcast::<reqwest_middleware::Error>() {
        Ok(error) => *error,
        Err(error) => reqwest_middleware::Error::middleware(error),
    }
}

impl<P, R> From<AuthRefreshLayer<P, R>> for AuthRefreshMiddleware<P, R> {
    fn from(layer: AuthRefreshLayer<P, R>) -> Self {
        Self { layer }
    }
}

impl<P, R> Clone for AuthRefreshMiddleware<P, R> {
    fn clone(&self) -> Self {
        Self { layer: self.layer.clone() }
    }
}

impl<P, R> fmt::Debug for AuthRefreshMiddleware<P, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthRefreshMiddleware").field("layer", &self.layer).finish()
    }
}
