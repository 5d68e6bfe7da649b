//! How a transport says that a request never left.

use std::{error::Error as StdError, fmt};

use tower::BoxError;

/// Marks an error of the [transport](crate::session::SessionBuilder::transport): the token request never left, so no
/// refresh token was spent, and the same one is sent again after the backoff.
///
/// Without the mark every error but a refused connection leaves that open. A single-use refresh token then counts as
/// spent, and the next flight logs in where the provider can. Most clients know better:
///
/// ```
/// use hyper_util::{client::legacy::Client, rt::TokioExecutor};
/// use tower::{BoxError, ServiceExt};
/// use tower_auth_refresh::session::NotSent;
///
/// # use {bytes::Bytes, http_body_util::Full};
/// let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
/// let transport = client.map_err(|error| match error.is_connect() {
///     true => BoxError::from(NotSent::new(error)),
///     false => error.into(),
/// });
/// # let _ = transport;
/// ```
#[derive(Debug)]
pub struct NotSent(BoxError);

impl NotSent {
    /// Marks `error`.
    pub fn new(error: impl Into<BoxError>) -> Self {
        Self(error.into())
    }
}

impl StdError for NotSent {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&*self.0)
    }
}

impl fmt::Display for NotSent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the request never left")
    }
}
