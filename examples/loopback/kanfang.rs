//! Kanfang: an envelope with `state`, and a bare token in a header, the query or a cookie.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{Response, StatusCode};
use serde_json::{Value, json};

use super::{
    Api, Call, Outcome, Refusal,
    call::answer,
    ledger::{Ledger, Lifetimes, NotRenewed, Pair, opaque},
};

/// The name in all three places.
const TOKEN: &str = "Authorization";

/// The server of Kanfang.
pub(crate) struct KanfangApi {
    ledger: Ledger,
    refusal: Refusal,
    renews_by_access: bool,
}

impl KanfangApi {
    pub(crate) const AUTH_KEY: &str = "demo-clinic";
    pub(crate) const AUTH_VALUE: &str = "demo value & more";
    pub(crate) const LIFETIME: Duration = Duration::from_secs(172_800);
    const REFRESH_LIFETIME: Duration = Duration::from_secs(2_592_000);

    pub(crate) fn new() -> Self {
        Self::with_lifetimes(Self::LIFETIME, Self::REFRESH_LIFETIME)
    }

    pub(crate) fn with_lifetimes(access: Duration, refresh: Duration) -> Self {
        let ledger = Ledger::new(Lifetimes { access, refresh }, opaque);
        Self { ledger, refusal: Refusal::Envelope, renews_by_access: false }
    }

    /// Refuses access tokens with HTTP 401 instead of the envelope alone.
    pub(crate) fn refusing_by_status(mut self) -> Self {
        self.refusal = Refusal::Status;
        self
    }

    /// Takes the access token for a refresh, not the refresh token: the documents do not say which.
    pub(crate) fn renewing_by_access(mut self) -> Self {
        self.renews_by_access = true;
        self
    }

    fn log_in(&mut self, call: &Call, now: SystemTime) -> (Outcome, Response<Bytes>) {
        let (key, value) = (call.query.one("authKey"), call.query.one("authValue"));
        if key == Some(Self::AUTH_KEY) && value == Some(Self::AUTH_VALUE) {
            let pair = self.ledger.sign_in(now);
            (Outcome::Login, self.granted(&pair))
        } else {
            (Outcome::RefusedTokenCall, failed(401, "the key or its value is wrong"))
        }
    }

    fn refresh(&mut self, call: &Call, now: SystemTime) -> (Outcome, Response<Bytes>) {
        let mut token = token(call);
        if self.renews_by_access {
            token = token.and_then(|access| Some(self.ledger.by_access(&access)?.refresh.clone()));
        }
        match self.ledger.renew(&token.unwrap_or_default(), now) {
            Ok(pair) => (Outcome::Refresh, self.granted(&pair)),
            Err(NotRenewed::Dead) => (Outcome::RefusedTokenCall, failed(4011, "log in again")),
            Err(NotRenewed::DoubleSpent) => (Outcome::DoubleSpent, failed(4011, "used before: log in again")),
        }
    }

    fn business(&self, call: &Call, now: SystemTime) -> (Outcome, Response<Bytes>) {
        if !token(call).is_some_and(|token| self.ledger.accepts(&token, now)) {
            let mut response = failed(401, "not authenticated");
            if self.refusal == Refusal::Status {
                *response.status_mut() = StatusCode::UNAUTHORIZED;
            }
            return (Outcome::Rejected, response);
        }
        if call.route().1.ends_with("/forbidden") {
            return (Outcome::Failed, failed(403, "not for you"));
        }
        (Outcome::Accepted, succeeded(&call.echo(TOKEN)))
    }

    fn granted(&self, pair: &Pair) -> Response<Bytes> {
        succeeded(&json!({
            "token": pair.access,
            "tokenExpireIn": self.ledger.lifetimes.access.as_secs(),
            "refreshToken": pair.refresh,
            "refreshTokenExpireIn": self.ledger.lifetimes.refresh.as_secs(),
        }))
    }
}

impl Api for KanfangApi {
    fn handle(&mut self, call: &Call, now: SystemTime) -> (Outcome, Response<Bytes>) {
        match call.route() {
            (&http::Method::GET, "/v2/Authorization/GetAccessToken") => self.log_in(call, now),
            (&http::Method::GET, "/v2/Authorization/RefreshToken") => self.refresh(call, now),
            _ => self.business(call, now),
        }
    }

    fn is_business(&self, path: &str) -> bool {
        !path.starts_with("/v2/Authorization/")
    }

    fn revoke(&mut self) {
        self.ledger.revoke();
    }
}

/// The token, bare, from whichever place has one.
fn token(call: &Call) -> Option<String> {
    let cookies = call.cookies();
    let token = call.authorization().or_else(|| call.query.one(TOKEN)).or_else(|| cookies.one(TOKEN))?;
    Some(token.to_owned())
}

fn succeeded(payload: &Value) -> Response<Bytes> {
    answer(StatusCode::OK, &json!({ "state": 200, "payload": payload }))
}

fn failed(state: u16, payload: &str) -> Response<Bytes> {
    answer(StatusCode::OK, &json!({ "state": state, "payload": payload }))
}
