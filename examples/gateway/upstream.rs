//! The clients: one for the upstream, one for the token endpoint.

use std::{io, time::Duration};

use hyper::body::Body;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{
        Client,
        connect::{Connect, HttpConnector},
    },
    rt::{TokioExecutor, TokioTimer},
};
use tower::{BoxError, Service, ServiceExt};
use tower_auth_refresh::session::NotSent;

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(10);

/// For plain http, without a thought of certificates: there may be none on the machine.
pub(crate) fn plain() -> HttpConnector {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    connector.set_connect_timeout(Some(CONNECT));
    connector
}

/// For https as well, with the certificates that this machine trusts. The peer chooses between HTTP/1.1 and HTTP/2, unless
/// it has to be HTTP/2.
///
/// # Errors
/// When this machine trusts no certificate at all.
pub(crate) fn with_tls(http2_only: bool) -> io::Result<HttpsConnector<HttpConnector>> {
    let builder = HttpsConnectorBuilder::new().with_native_roots()?.https_or_http();
    let builder = if http2_only { builder.enable_http2() } else { builder.enable_http1().enable_http2() };
    let mut connector = plain();
    connector.enforce_http(false);
    Ok(builder.wrap_connector(connector))
}

/// A client that follows no redirect and decodes nothing.
pub(crate) fn client<C, B>(connector: C, http2_only: bool) -> Client<C, B>
where
    C: Connect + Clone,
    B: Body<Data: Send> + Send,
{
    let mut builder = Client::builder(TokioExecutor::new());
    builder.pool_timer(TokioTimer::new()).timer(TokioTimer::new()).http2_only(http2_only).build(connector)
}

/// The way to the token endpoint: a request for which no connection could be made has spent nothing.
pub(crate) fn transport<S, R>(
    client: S,
) -> impl Service<R, Response = S::Response, Error = BoxError, Future: Send> + Clone + Send + 'static
where
    S: Service<R, Error = hyper_util::client::legacy::Error, Future: Send> + Clone + Send + 'static,
    R: 'static,
{
    client.map_err(|error| if error.is_connect() { NotSent::new(error).into() } else { error.into() })
}
