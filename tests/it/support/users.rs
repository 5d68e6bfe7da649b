//! Two users of one API behind one client. Each has an authorization server of its own, a clock of its own, and tokens
//! with numbers of their own, so that whatever is mixed up shows: in a rejection, and in a count.

use std::{
    task::{Context, Poll},
    time::Duration,
};

use http::{Request, Response, StatusCode};
use tower::{BoxError, Layer, Service};
use tower_auth_refresh::{
    AuthRefresh, AuthRefreshLayer, Error, Session,
    error::ErrorKind,
    session::{RefreshPolicy, Status},
};

use super::{Api, Body, ServerBody, TestProvider, World};

/// The one client of both users: its layer has no session of its own.
pub type SharedClient = AuthRefresh<OneApi, TestProvider>;

/// What the sessions' token sets live for.
pub const LIFE: Duration = Duration::from_secs(1000);

pub struct Users {
    pub ann: User,
    pub bob: User,
}

pub struct User {
    name: &'static str,
    /// The number of the first token set, if the user has one from the beginning.
    first: u64,
    pub world: World,
    pub session: Session<TestProvider>,
}

/// What reached the servers of one user, and what the session says of it.
#[derive(Debug, PartialEq, Eq)]
pub struct Tally {
    pub api: usize,
    pub logins: usize,
    pub refreshes: usize,
    pub flights: u64,
    pub replays: u64,
}

impl Users {
    /// Neither has a token.
    pub fn new() -> Self {
        Self::with(RefreshPolicy::new())
    }

    pub fn with(policy: RefreshPolicy) -> Self {
        let user = |name, first| User::new(name, first, policy.clone());
        Self { ann: user("ann", 100), bob: user("bob", 500) }
    }

    /// Ann holds token set 100, and Bob 500.
    pub fn signed_in() -> Self {
        Self::signed_in_with(RefreshPolicy::new())
    }

    pub fn signed_in_with(policy: RefreshPolicy) -> Self {
        let users = Self::with(policy);
        for user in [&users.ann, &users.bob] {
            let token = TestProvider::token(user.first, LIFE, user.world.clock.wall());
            user.session.set(token).unwrap();
        }
        users
    }

    /// The API of both.
    pub fn api(&self) -> OneApi {
        OneApi { ann: self.ann.world.api(), bob: self.bob.world.api() }
    }

    pub fn client(&self) -> SharedClient {
        AuthRefreshLayer::per_request().layer(self.api())
    }
}

impl User {
    fn new(name: &'static str, first: u64, policy: RefreshPolicy) -> Self {
        let world = World::new();
        world.grant(first);
        let builder = Session::builder(TestProvider::new()).transport(world.idp()).clock(world.clock.clone());
        Self { name, first, session: builder.policy(policy).build().unwrap(), world }
    }

    /// A request for this user's data that says nothing of whose session it is.
    pub fn anonymous(&self, number: usize) -> Request<Body> {
        Request::get(format!("https://api.test/{}/{number}", self.name)).body(Body::default()).unwrap()
    }

    /// The same with the session in its extensions.
    pub fn request(&self, number: usize) -> Request<Body> {
        let mut request = self.anonymous(number);
        request.extensions_mut().insert(self.session.clone());
        request
    }

    /// `Authorization` with the token of the `after`th set after the first.
    pub fn bearer(&self, after: u64) -> String {
        format!("Bearer access-{}", self.first + after)
    }

    pub fn status(&self) -> Status {
        self.session.status()
    }

    pub fn tally(&self) -> Tally {
        let (counts, status) = (self.world.counts(), self.status());
        assert_eq!(counts.double_spent, 0);
        Tally {
            api: counts.api,
            logins: counts.logins,
            refreshes: counts.refreshes,
            flights: status.flights,
            replays: status.replays,
        }
    }

    /// How many requests carried that token.
    pub fn carried(&self, after: u64) -> usize {
        let token = self.bearer(after);
        self.world.tokens().iter().filter(|carried| **carried == token).count()
    }
}

impl Tally {
    pub const NOTHING: Self = Self { api: 0, logins: 0, refreshes: 0, flights: 0, replays: 0 };
}

/// One service: it hands each request to the user whom its path names.
#[derive(Clone)]
pub struct OneApi {
    ann: Api,
    bob: Api,
}

impl Service<Request<Body>> for OneApi {
    type Response = Response<ServerBody>;
    type Error = BoxError;
    type Future = <Api as Service<Request<Body>>>::Future;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let path = request.uri().path();
        let api = if path.starts_with("/ann/") { &mut self.ann } else { &mut self.bob };
        api.call(request)
    }
}

/// What an answer was, without its body.
pub fn outcome<B>(answer: Result<Response<B>, Error>) -> Result<StatusCode, ErrorKind> {
    answer.map(|answer| answer.status()).map_err(|error| error.kind())
}
