//! An API with two users on a port of this machine, their two authorization servers beside it, and what is put in front
//! of it. Each user's tokens have numbers of their own, so that whatever is mixed up shows.

use std::net::SocketAddr;

use axum::{
    Router,
    body::Body,
    error_handling::HandleError,
    extract::Request,
    http::{StatusCode, Version},
    routing::post,
};
use bytes::Bytes;
use http_body_util::Full;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use tokio::{net::TcpListener, task::JoinSet};
use tower::BoxError;
use tower_auth_refresh::{
    Session,
    test_util::{Api, AuthServer, TestClock, TestProvider},
};

/// Clients of hyper, by the body of their requests.
pub type HttpClient<B = Full<Bytes>> = Client<HttpConnector, B>;

/// A router on a port of this machine, for HTTP/1.1 and, for clients that know beforehand, HTTP/2. Dropping it closes
/// the port.
pub struct Listening {
    addr: SocketAddr,
    _serving: JoinSet<()>,
}

/// The API: below `/api/ann` and `/api/bob` it welcomes whoever has this user's token, and `/echo` sends back what comes
/// to whoever has any.
pub struct Upstream {
    pub ann: User,
    pub bob: User,
    server: Listening,
}

pub struct User {
    /// Grants tokens from `first` on.
    pub idp: AuthServer,
    pub api: Api,
    pub session: Session<TestProvider>,
    first: u64,
}

/// What has reached a user's servers: requests and rejections at the API, logins, refreshes; and the session's flights
/// and replays.
#[derive(Debug, PartialEq, Eq)]
pub struct Tally {
    pub api: usize,
    pub rejected: usize,
    pub logins: usize,
    pub refreshes: usize,
    pub flights: u64,
    pub replays: u64,
}

pub const BOTH: [Version; 2] = [Version::HTTP_11, Version::HTTP_2];

/// A client that speaks this version, and no other.
pub fn http_client<B>(version: Version) -> HttpClient<B>
where
    B: http_body::Body + Send,
    B::Data: Send,
{
    Client::builder(TokioExecutor::new()).http2_only(version == Version::HTTP_2).build_http()
}

pub async fn listen(router: Router) -> Listening {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let addr = listener.local_addr().unwrap();
    let mut serving = JoinSet::new();
    serving.spawn(async move { axum::serve(listener, router).await.unwrap() });
    Listening { addr, _serving: serving }
}

/// Lets everything else run until `reached`.
pub async fn until(reached: impl Fn() -> bool) {
    for _ in 0..1_000_000 {
        if reached() {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("never reached");
}

impl Listening {
    /// `path` at this server.
    pub fn at(&self, path: &str) -> String {
        format!("http://{}{path}", self.addr)
    }
}

impl Upstream {
    /// Neither user has a token. Their sessions ask for tokens by this version of HTTP.
    pub async fn start(version: Version) -> Self {
        let clock = TestClock::new();
        let servers = [100, 500].map(|first| {
            let idp = AuthServer::new(&clock);
            idp.grant(first - 1);
            idp
        });
        let [ann, bob] = servers.clone().map(|idp| (idp.api(), idp));
        let failed = |error: BoxError| async move { (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()) };
        let router = Router::new()
            .nest_service("/api/ann", HandleError::new(ann.0.clone(), failed))
            .nest_service("/api/bob", HandleError::new(bob.0.clone(), failed))
            .nest_service("/idp/ann", HandleError::new(ann.1.clone(), failed))
            .nest_service("/idp/bob", HandleError::new(bob.1.clone(), failed))
            .route("/echo", post(echo));
        let server = listen(router).await;
        let user = |(api, idp), name, first| {
            let provider = TestProvider::new()
                .with_origin(server.at("").parse().unwrap())
                .with_token_endpoint(server.at(&format!("/idp/{name}")));
            let session = Session::builder(provider).transport(http_client(version)).allow_http(true).build().unwrap();
            User { idp, api, session, first }
        };
        Self { ann: user(ann, "ann", 100), bob: user(bob, "bob", 500), server }
    }

    pub fn at(&self, path: &str) -> String {
        self.server.at(path)
    }
}

impl User {
    pub fn tally(&self) -> Tally {
        let (idp, api, status) = (self.idp.counts(), self.api.counts(), self.session.status());
        assert_eq!(idp.double_spent, 0);
        Tally {
            api: api.requests,
            rejected: api.rejected,
            logins: idp.logins,
            refreshes: idp.refreshes,
            flights: status.flights,
            replays: status.replays,
        }
    }

    /// How many requests to the API carried the `nth` token of this user, from 0 on.
    pub fn carried(&self, nth: u64) -> usize {
        let token = format!("Bearer access-{}", self.first + nth);
        let carries =
            |request: &http::Request<Bytes>| request.headers().get("authorization").is_some_and(|is| is == &*token);
        self.api.seen().iter().filter(|request| carries(request)).count()
    }
}

impl Tally {
    pub const NOTHING: Self = Self { api: 0, rejected: 0, logins: 0, refreshes: 0, flights: 0, replays: 0 };
}

/// Sends the body back as it comes.
async fn echo(request: Request) -> Result<Body, StatusCode> {
    let has_token = request.headers().contains_key("authorization");
    if has_token { Ok(request.into_body()) } else { Err(StatusCode::UNAUTHORIZED) }
}
