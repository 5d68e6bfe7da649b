//! A channel with the layer around it, the API that it connects to, and the server that grants its tokens.

use std::future::ready;

use bytes::Bytes;
use http::{Request, Response, uri::PathAndQuery};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpListener, task::JoinHandle};
use tonic::{
    Status, Streaming,
    body::Body,
    client::{Grpc, GrpcService},
    transport::{Channel, Endpoint, Server, server::TcpIncoming},
};
use tower::{Layer, service_fn};
use tower_auth_refresh::{
    Session,
    integrations::tonic::{GrpcAuth, GrpcAuthLayer},
    test_util::{AuthServer, TestClock, TestProvider},
};

use super::{codec::Raw, server::Api};

/// A channel with the layer around it.
pub type Guarded = GrpcAuth<Channel, TestProvider>;

pub struct Scene {
    pub api: Api,
    pub idp: AuthServer,
    pub session: Session<TestProvider>,
    pub channel: Channel,
    server: JoinHandle<()>,
}

impl Scene {
    /// On a socket of this machine.
    pub async fn start() -> Self {
        Self::served_by(Server::builder()).await
    }

    /// The same by a server with settings of its own.
    pub async fn served_by(server: Server) -> Self {
        let api = Api::new();
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let serve = server.serve_with_incoming(api.clone(), TcpIncoming::from(listener));
        let channel = Endpoint::from_shared(format!("http://{address}")).unwrap().connect_lazy();
        Self::of(api, channel, async { serve.await.unwrap() })
    }

    /// In memory, for tests in which time stands still until nobody has anything else to do.
    pub fn in_memory() -> Self {
        let api = Api::new();
        let (near, far) = tokio::io::duplex(1 << 20);
        let incoming = futures::stream::once(ready(Ok::<_, std::io::Error>(far)));
        let serve = Server::builder().serve_with_incoming(api.clone(), incoming);
        let mut near = Some(TokioIo::new(near));
        let connect = move |_| ready(near.take().ok_or_else(|| std::io::Error::other("there is one connection")));
        let channel = Endpoint::from_static("http://api.test").connect_with_connector_lazy(service_fn(connect));
        Self::of(api, channel, async { serve.await.unwrap() })
    }

    /// `channel` connects to `server`, which runs until the scene is over.
    #[allow(clippy::disallowed_methods, reason = "a server of a test")]
    pub fn of(api: Api, channel: Channel, server: impl Future<Output = ()> + Send + 'static) -> Self {
        let clock = TestClock::new();
        let idp = AuthServer::new(&clock);
        let session = Session::builder(TestProvider::new()).transport(idp.clone()).clock(clock).build().unwrap();
        Self { api, idp, session, channel, server: tokio::spawn(server) }
    }

    pub fn layer(&self) -> GrpcAuthLayer<TestProvider> {
        GrpcAuthLayer::new(self.session.clone()).fixed_peer()
    }

    pub fn client(&self) -> Guarded {
        self.layer().layer(self.channel.clone())
    }

    /// A client that has token set 1, which the API has ceased to accept in favour of number 2.
    pub async fn with_revoked_token(&self) -> Guarded {
        self.session.token().await.unwrap();
        self.api.accept(2);
        self.client()
    }

    /// Calls that reached the API, those it refused by their token, token requests, and replays.
    pub fn counts(&self) -> (usize, usize, usize, u64) {
        (self.api.calls().len(), self.api.refused(), self.idp.counts().calls(), self.session.status().replays)
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        self.server.abort();
    }
}

pub fn method(path: &'static str) -> PathAndQuery {
    PathAndQuery::from_static(path)
}

/// A unary call of the echo.
pub async fn unary<S>(service: S, message: impl Into<Bytes>) -> Result<tonic::Response<Bytes>, Status>
where
    S: GrpcService<Body>,
    S::ResponseBody: Send + 'static,
    <S::ResponseBody as http_body::Body>::Error: Into<tower::BoxError>,
{
    send(service, tonic::Request::new(message.into())).await
}

/// The same with a request of one's own.
pub async fn send<S>(service: S, request: tonic::Request<Bytes>) -> Result<tonic::Response<Bytes>, Status>
where
    S: GrpcService<Body>,
    S::ResponseBody: Send + 'static,
    <S::ResponseBody as http_body::Body>::Error: Into<tower::BoxError>,
{
    let mut client = Grpc::new(service);
    client.ready().await.map_err(|error| Status::from_error(error.into()))?;
    client.unary(request, method("/scene.Echo/Unary"), Raw).await
}

/// A server stream of the echo.
pub async fn repeat(service: Guarded, message: &'static [u8]) -> Result<tonic::Response<Streaming<Bytes>>, Status> {
    let mut client = Grpc::new(service);
    client.ready().await?;
    client.server_streaming(tonic::Request::new(Bytes::from(message)), method("/scene.Echo/Repeat"), Raw).await
}

/// A request by hand.
pub fn request(path: &'static str, body: Body) -> Request<Body> {
    Request::post(path).header("content-type", "application/grpc").header("te", "trailers").body(body).unwrap()
}

/// An answer by hand.
pub fn answer(body: Body) -> Response<Body> {
    Response::builder().header("content-type", "application/grpc").body(body).unwrap()
}
