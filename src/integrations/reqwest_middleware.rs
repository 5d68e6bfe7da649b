//! The layer as a middleware of `reqwest-middleware`.
//!
//! [`AuthRefreshMiddleware`] sends each request through [`AuthRefresh`](crate::AuthRefresh), with the rest of the chain
//! as the service that it wraps: what is decided, and when, is the same as everywhere.
//!
//! # Bodies
//! A body in memory is sent again whatever its size, and never copied. A stream is sent once.
//!
//! # Answers
//! An answer keeps its URL, but for a credential in the query.
//!
//! # Errors
//! An error of reqwest is `Error::Reqwest`, and one of another middleware is what it was. Only where the credential travels
//! in the query do they lose the URL: an error of reqwest keeps all else, and one of a middleware that prints the
//! credential is replaced. What the session says is `Error::Middleware` with an [`Error`](crate::Error) inside:
//!
//! ```
//! fn needs_sign_in(error: &reqwest_middleware::Error) -> bool {
//!     let reqwest_middleware::Error::Middleware(cause) = error else { return false };
//!     cause.downcast_ref::<tower_auth_refresh::Error>().is_some_and(|error| error.needs_sign_in())
//! }
//! ```
//!
//! # With reqwest-retry
//! Outside of this middleware it repeats whole requests, each with the token of its time; inside it repeats single sends.
//! Either way it takes neither a rejection nor a failed refresh for transient. Inside, mind that it wraps errors in
//! its own.
//!
//! # Redirects
//! Make the client with [`ReqwestService`](super::reqwest::ReqwestService), which follows none, and is the way to the
//! token endpoint as well. A client that does follow them takes the credential along by its own rules, which are not
//! these: in custom headers as they are, and out of the query in `Referer`.

mod chain;
mod payload;

use std::{fmt, mem};

use http::Extensions;
use reqwest::{Request, Response};
use reqwest_middleware::{Middleware, Next};
use tower::{Layer, ServiceExt};

use self::{
    chain::{Chain, Lent},
    payload::{InMemory, Payload},
};
use crate::{AuthRefreshLayer, Error, Provider, Session};

/// Puts a session's token on the requests of a `reqwest_middleware::ClientWithMiddleware`.
///
/// The place of the middleware in the chain says what sees the token: those attached before it do not, those after it do.
///
/// Made from a session, or from an [`AuthRefreshLayer`] with options of its own:
/// `AuthRefreshLayer::new(session).replays(0).into()`.
pub struct AuthRefreshMiddleware<P> {
    layer: AuthRefreshLayer<P, InMemory>,
}

impl<P> AuthRefreshMiddleware<P> {
    /// A middleware for `session`, with the defaults of [`AuthRefreshLayer::new`].
    #[must_use]
    pub fn new(session: Session<P>) -> Self {
        AuthRefreshLayer::new(session).into()
    }

    /// The session whose token the middleware attaches.
    #[must_use]
    pub fn session(&self) -> &Session<P> {
        self.layer.session()
    }
}

#[async_trait::async_trait]
impl<P: Provider> Middleware for AuthRefreshMiddleware<P> {
    async fn handle(
        &self,
        request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> reqwest_middleware::Result<Response> {
        let request = Payload::split(request)?;
        let lent = Lent::new(extensions);
        let service = self.layer.layer(Chain::new(next, lent.shared()));
        service.oneshot(request).await.map(Response::from).map_err(unwrapped)
    }
}

/// What the chain failed with is what its caller gets.
fn unwrapped(error: Error) -> reqwest_middleware::Error {
    let error = match error.downcast::<reqwest::Error>() {
        Ok(error) => return (*error).into(),
        Err(error) => error,
    };
    match error.downcast::<reqwest_middleware::Error>() {
        Ok(error) => *error,
        Err(error) => reqwest_middleware::Error::middleware(error),
    }
}

/// With the layer's options. How it copies bodies says nothing here: reqwest has but one type of them.
impl<P, R> From<AuthRefreshLayer<P, R>> for AuthRefreshMiddleware<P> {
    fn from(layer: AuthRefreshLayer<P, R>) -> Self {
        Self { layer: layer.replay() }
    }
}

impl<P> Clone for AuthRefreshMiddleware<P> {
    fn clone(&self) -> Self {
        Self { layer: self.layer.clone() }
    }
}

impl<P> fmt::Debug for AuthRefreshMiddleware<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthRefreshMiddleware").field("layer", &self.layer).finish()
    }
}
