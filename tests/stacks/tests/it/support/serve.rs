//! Any tower service behind a port of this machine.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{Request, Response, Uri};
use hyper::body::Incoming;
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpSocket},
    task::JoinSet,
};
use tower::{BoxError, Service};

/// A server on a port of this machine, for HTTP/1.1 and, for clients that know beforehand, HTTP/2. Dropping it closes the
/// port and all connections.
pub struct Server {
    addr: SocketAddr,
    _accepting: JoinSet<()>,
}

/// A port of this machine at which nobody listens, and which nobody else gets.
pub struct Closed(TcpSocket);

impl Server {
    /// Scheme, host and port, without a slash at the end.
    pub fn base(&self) -> String {
        format!("http://{}", self.addr)
    }

    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    pub fn uri(&self) -> Uri {
        self.base().parse().unwrap()
    }

    pub fn url(&self, path: &str) -> String {
        self.base() + path
    }
}

impl Closed {
    pub fn new() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        Self(socket)
    }

    pub fn addr(&self) -> SocketAddr {
        self.0.local_addr().unwrap()
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.addr())
    }

    /// From now on somebody does.
    pub fn listen(self) -> TcpListener {
        self.0.listen(16).unwrap()
    }
}

pub async fn serve<S, B>(service: S) -> Server
where
    S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Into<BoxError>,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    serve_on(TcpListener::bind(("127.0.0.1", 0)).await.unwrap(), service)
}

pub fn serve_on<S, B>(listener: TcpListener, service: S) -> Server
where
    S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Into<BoxError>,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let addr = listener.local_addr().unwrap();
    let mut accepting = JoinSet::new();
    accepting.spawn(async move {
        // Dropped together with this task, and all connections with it.
        let mut connections = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            stream.set_nodelay(true).unwrap();
            let service = TowerToHyperService::new(service.clone());
            connections.spawn(async move {
                let mut server = auto::Builder::new(TokioExecutor::new());
                // The servers of a test live by its clock, so they must not tell the time of this machine.
                server.http1().auto_date_header(false);
                server.http2().auto_date_header(false);
                // A connection that breaks is the client's to notice.
                let _ = server.serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    Server { addr, _accepting: accepting }
}
