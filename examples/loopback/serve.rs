//! The ways to a [`Loopback`]: a port of this machine, any pair of reader and writer, and a tower service.

use std::{convert::Infallible, io, net::SocketAddr};

use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use hyper_util::{
    client::legacy::{Builder, Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
    task::JoinSet,
};
use tower::{BoxError, Service};

use super::{Loopback, Reply};

/// The client of the examples and the tests.
pub(crate) type HttpClient = Client<HttpConnector, Full<Bytes>>;

/// How many requests a connection carries at once.
const STREAMS: u32 = 1_000;

/// A server on a port of this machine. Dropping it closes the port and all connections.
pub(crate) struct Server {
    pub(crate) addr: SocketAddr,
    _accepting: JoinSet<()>,
}

impl Server {
    /// The base URL.
    pub(crate) fn uri(&self) -> Uri {
        format!("http://{}", self.addr).parse().expect("an address is an authority")
    }
}

/// Serves `api` on a free port, with HTTP/1.1 and, for clients that know beforehand, HTTP/2.
///
/// # Errors
/// When no port can be had.
pub(crate) async fn serve(api: Loopback) -> io::Result<Server> {
    serve_at("127.0.0.1:0", api).await
}

/// The same at an address of one's own.
///
/// # Errors
/// When the address cannot be had.
pub(crate) async fn serve_at(address: &str, api: Loopback) -> io::Result<Server> {
    let listener = TcpListener::bind(address).await?;
    let addr = listener.local_addr()?;
    let mut accepting = JoinSet::new();
    accepting.spawn(async move {
        // Dropped together with this task, and all connections with it.
        let mut connections = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            let _ = stream.set_nodelay(true);
            connections.spawn(serve_connection(api.clone(), stream));
            while connections.try_join_next().is_some() {}
        }
    });
    Ok(Server { addr, _accepting: accepting })
}

/// Serves one connection, such as one end of a [`tokio::io::duplex`], until it is closed.
pub(crate) async fn serve_connection<I>(api: Loopback, io: I)
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = hyper::service::service_fn(move |request: Request<Incoming>| send(api.clone(), request));
    let mut server = auto::Builder::new(TokioExecutor::new());
    // All requests of a round are under way at once, on one connection; and all may be cancelled at once.
    server.http2().max_concurrent_streams(STREAMS).max_pending_accept_reset_streams(STREAMS as usize);
    // A connection that breaks is the client's to notice.
    let _ = server.serve_connection(TokioIo::new(io), service).await;
}

/// `api` as a tower service, without any I/O.
pub(crate) fn in_process(
    api: Loopback,
) -> impl Service<Request<Full<Bytes>>, Response = Response<Full<Bytes>>, Error = Infallible, Future: Send>
+ Clone
+ Send
+ 'static {
    tower::service_fn(move |request: Request<Full<Bytes>>| respond(api.clone(), request))
}

async fn respond<B: Body>(api: Loopback, request: Request<B>) -> Result<Response<Full<Bytes>>, B::Error> {
    Ok(api.answer(received(&api, request).await?).map(Full::new))
}

/// The same over a connection, where things can go wrong.
async fn send(api: Loopback, request: Request<Incoming>) -> Result<Response<Reply>, BoxError> {
    let request = received(&api, request).await?;
    match api.faults.clone() {
        Some(faults) => faults.send(api, request).await,
        None => Ok(api.answer(request).map(Reply::whole)),
    }
}

/// The whole request, once it is its turn.
async fn received<B: Body>(api: &Loopback, request: Request<B>) -> Result<Request<Bytes>, B::Error> {
    let (head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    api.admit(head.uri.path()).await;
    Ok(Request::from_parts(head, body))
}

/// A client that speaks HTTP/2 from the first byte, over one connection.
pub(crate) fn http2_client() -> HttpClient {
    client(|builder| builder.http2_only(true))
}

/// A client that speaks HTTP/1.1 and keeps at most `idle` connections for later. It opens as many as there are
/// requests at once: a concurrency limit around it is what bounds them.
pub(crate) fn http1_client(idle: usize) -> HttpClient {
    client(|builder| builder.pool_max_idle_per_host(idle))
}

fn client(configure: impl FnOnce(&mut Builder) -> &mut Builder) -> HttpClient {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    configure(&mut Client::builder(TokioExecutor::new())).build(connector)
}
