//! One API and one authorization server, on one clock.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, header, request};
use tower::BoxError;
use tower_auth_refresh::test_util::{Api, AuthServer, TestClock};

use super::Body;

/// What reached the two servers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub api: usize,
    pub rejected: usize,
    pub logins: usize,
    pub refreshes: usize,
    pub double_spent: usize,
}

impl Counts {
    pub fn token_calls(&self) -> usize {
        self.logins + self.refreshes
    }
}

type Reply = Result<Response<Body>, BoxError>;

/// Clones share everything.
#[derive(Clone)]
pub struct World {
    pub clock: TestClock,
    idp: AuthServer,
    api: Api,
}

impl World {
    pub fn new() -> Self {
        let clock = TestClock::new();
        let idp = AuthServer::new(&clock);
        Self { clock, api: idp.api(), idp }
    }

    /// Lifetime of the tokens granted from now on; `None`: not said.
    pub fn lifetime(self, lifetime: impl Into<Option<Duration>>) -> Self {
        self.idp.lifetime(lifetime);
        self
    }

    /// Answers API requests instead of the server; `None` leaves the request to it.
    pub fn script_api(&self, script: impl Fn(&Request<Bytes>) -> Option<Reply> + Send + Sync + 'static) {
        self.api.script(script);
    }

    /// Answers token requests instead of the server; `None` leaves the request to it.
    pub fn script_idp(&self, script: impl Fn(&Request<Bytes>) -> Option<Reply> + Send + Sync + 'static) {
        self.idp.script(script);
    }

    /// Ends scripts.
    pub fn unscript(&self) {
        self.api.unscript();
        self.idp.unscript();
    }

    /// Holds the answers to token requests (the server has acted already) until [`release_idp`](Self::release_idp).
    pub fn hold_idp(&self) {
        self.idp.gate().hold();
    }

    pub fn release_idp(&self) {
        self.idp.gate().release();
    }

    /// Holds the answers of the API (the server has acted already) until [`release_api`](Self::release_api).
    pub fn hold_api(&self) {
        self.api.gate().hold();
    }

    pub fn release_api(&self) {
        self.api.gate().release();
    }

    /// The server takes token set `number` for its current one.
    pub fn grant(&self, number: u64) {
        self.idp.grant(number);
    }

    /// The server ends the current access token; the refresh token stays good.
    pub fn revoke_access(&self) {
        self.idp.end_access();
    }

    pub fn counts(&self) -> Counts {
        let (idp, api) = (self.idp.counts(), self.api.counts());
        Counts {
            api: api.requests,
            rejected: api.rejected,
            logins: idp.logins,
            refreshes: idp.refreshes,
            double_spent: idp.double_spent,
        }
    }

    /// The heads of all requests that reached the API, in order.
    pub fn seen(&self) -> Vec<request::Parts> {
        self.api.seen().into_iter().map(|request| request.into_parts().0).collect()
    }

    /// The bodies of all requests that reached the API, in order.
    pub fn bodies(&self) -> Vec<Bytes> {
        self.api.seen().into_iter().map(Request::into_body).collect()
    }

    /// The values of `Authorization` that reached the API, in order.
    pub fn tokens(&self) -> Vec<String> {
        let token = |head: &request::Parts| {
            let value = head.headers.get(header::AUTHORIZATION).map(|value| value.to_str().unwrap().to_owned());
            value.unwrap_or_default()
        };
        self.seen().iter().map(token).collect()
    }

    pub fn api(&self) -> Api {
        self.api.clone()
    }

    pub fn idp(&self) -> AuthServer {
        self.idp.clone()
    }
}
