//! An authorization server and an API on ports of this machine, and clients of reqwest for them.

use std::{error::Error as StdError, time::Duration};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use tower::{BoxError, Layer};
use tower_auth_refresh::{
    AuthRefresh, AuthRefreshLayer, Provider, Session,
    integrations::reqwest::ReqwestService,
    test_util::{Api, ApiCounts, AuthServer, Place, TestClock, TestProvider, TokenCounts},
};

use super::serve::{Server, serve};

/// Which protocol a client speaks.
#[derive(Clone, Copy, Debug)]
pub enum Http {
    One,
    Two,
}

impl Http {
    /// A client that knows no proxies: the machine that runs the tests may have some.
    pub fn client(self) -> reqwest::ClientBuilder {
        let client = reqwest::Client::builder().no_proxy();
        match self {
            Self::One => client.http1_only(),
            Self::Two => client.http2_prior_knowledge(),
        }
    }

    pub fn service(self) -> ReqwestService {
        ReqwestService::new(self.client()).unwrap()
    }
}

/// Makes two tests of each function: over HTTP/1.1 and over HTTP/2.
macro_rules! over_both {
    ($($test:ident),+ $(,)?) => {
        mod over_http1 {
            $(#[tokio::test] async fn $test() { super::$test(crate::support::reqwest_scene::Http::One).await; })+
        }
        mod over_http2 {
            $(#[tokio::test] async fn $test() { super::$test(crate::support::reqwest_scene::Http::Two).await; })+
        }
    };
}
pub(crate) use over_both;

/// How long the token sets of the authorization server live.
pub const LIFE: Duration = Duration::from_secs(1000);

/// Both servers, and how to reach them.
pub struct Scene {
    pub http: Http,
    pub clock: TestClock,
    pub auth: AuthServer,
    pub api: Api,
    pub idp_server: Server,
    pub api_server: Server,
}

pub type Client = AuthRefresh<ReqwestService, TestProvider>;

impl Scene {
    pub async fn new(http: Http) -> Self {
        let clock = TestClock::new();
        let auth = AuthServer::new(&clock);
        let api = auth.api();
        let (idp_server, api_server) = (serve(auth.clone()).await, serve(api.clone()).await);
        Self { http, clock, auth, api, idp_server, api_server }
    }

    /// `provider` for these two servers.
    pub fn reach(&self, provider: TestProvider) -> TestProvider {
        provider.with_origin(self.api_server.uri()).with_token_endpoint(self.idp_server.base())
    }

    /// A session without a token.
    pub fn session_of<P: Provider>(&self, provider: P) -> Session<P> {
        let builder = Session::builder(provider).transport(self.http.service()).clock(self.clock.clone());
        builder.allow_http(true).build().unwrap()
    }

    /// A session without a token.
    pub fn session(&self) -> Session<TestProvider> {
        self.session_of(self.reach(TestProvider::new()))
    }

    /// A session with token set 7, which both servers know and which travels there.
    pub fn signed_in(&self, place: Place) -> Session<TestProvider> {
        self.sign_in(self.reach(TestProvider::placed(place)))
    }

    /// The same with a provider that may reach other servers.
    pub fn sign_in<P: Provider>(&self, provider: P) -> Session<P> {
        let session = self.session_of(provider);
        session.set(TestProvider::token(7, LIFE, self.clock.wall())).unwrap();
        self.auth.grant(7);
        session
    }

    pub fn client(&self, session: &Session<TestProvider>) -> Client {
        AuthRefreshLayer::new(session.clone()).layer(self.http.service())
    }

    pub fn url(&self, path: &str) -> String {
        self.api_server.url(path)
    }

    pub fn get(&self, path: &str) -> Request<Full<Bytes>> {
        Request::get(self.url(path)).body(Full::default()).unwrap()
    }

    /// What reached the servers: logins, refreshes, requests, and how many of those were rejected.
    pub fn counts(&self) -> Counts {
        let (TokenCounts { logins, refreshes, .. }, ApiCounts { requests, rejected, .. }) =
            (self.auth.counts(), self.api.counts());
        Counts { logins, refreshes, requests, rejected }
    }

    /// Has the API answer all requests like this.
    pub fn api_answers(&self, answer: impl Fn(&Request<Bytes>) -> Response<Full<Bytes>> + Send + Sync + 'static) {
        self.api.script(move |request| Some(Ok(answer(request))));
    }
}

/// A timeout of a client, which passes without anybody waiting for it.
pub const TIMEOUT: Duration = Duration::from_secs(10);

/// Lets [`TIMEOUT`] pass in no time, as soon as `happened`.
pub async fn timeout_passes_after(happened: impl Fn() -> bool) {
    while !happened() {
        tokio::task::yield_now().await;
    }
    tokio::time::pause();
    tokio::time::advance(TIMEOUT).await;
    tokio::time::resume();
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub logins: usize,
    pub refreshes: usize,
    pub requests: usize,
    pub rejected: usize,
}

pub fn answer(status: StatusCode, body: &'static str) -> Response<Full<Bytes>> {
    let mut answer = Response::new(Full::from(body));
    *answer.status_mut() = status;
    answer
}

pub fn redirect(to: &str) -> Response<Full<Bytes>> {
    let mut answer = answer(StatusCode::FOUND, "");
    answer.headers_mut().insert(http::header::LOCATION, to.parse().unwrap());
    answer
}

/// An error and all that caused it.
pub fn causes<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

/// Whatever an error and its causes show to anybody.
pub fn shown(error: &(dyn StdError + 'static)) -> String {
    causes(error).map(|cause| format!("{cause} {cause:?} {cause:#?}")).collect()
}

/// The reqwest error in a layer's error.
pub fn reqwest_error(error: tower_auth_refresh::Error) -> reqwest::Error {
    *error.downcast::<reqwest::Error>().expect("an error of reqwest")
}

/// The whole body of an answer, by way of reqwest.
pub async fn text<B: Into<reqwest::Body>>(answer: Response<B>) -> String {
    reqwest::Response::from(answer).text().await.unwrap()
}

pub type Result<T> = std::result::Result<T, BoxError>;
