//! Accuat: an envelope with `Result`, a signed login, and the token in the query of every call.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{HeaderValue, Method, Response, StatusCode, header::LOCATION};
use md5::{Digest, Md5};
use serde_json::{Value, json};

use super::{
    Api, Call, Outcome, Refusal,
    call::{Pairs, answer},
    ledger::{Ledger, Lifetimes, NotRenewed, Pair, epoch_seconds, hex, opaque},
};

/// The query parameter that carries the access token.
const TOKEN: &str = "token";

/// The server of Accuat.
pub(crate) struct AccuatApi {
    ledger: Ledger,
    refusal: Refusal,
}

impl AccuatApi {
    pub(crate) const APP_ID: &str = "app-001";
    pub(crate) const SECRET_KEY: &str = "s3cr3t";
    pub(crate) const LIFETIME: Duration = Duration::from_secs(3_600);
    /// The documents name none; a month is what the other APIs give.
    const REFRESH_LIFETIME: Duration = Duration::from_secs(2_592_000);

    pub(crate) fn new() -> Self {
        Self::with_lifetimes(Self::LIFETIME, Self::REFRESH_LIFETIME)
    }

    pub(crate) fn with_lifetimes(access: Duration, refresh: Duration) -> Self {
        Self { ledger: Ledger::new(Lifetimes { access, refresh }, opaque), refusal: Refusal::Status }
    }

    /// How access tokens are refused; by default with HTTP 401.
    pub(crate) fn refusing_by(mut self, refusal: Refusal) -> Self {
        self.refusal = refusal;
        self
    }

    fn log_in(&mut self, call: &Call, now: SystemTime) -> (Outcome, Response<Bytes>) {
        let form = call.form();
        let grant_type = form.one("GrantType").unwrap_or("client_credential");
        let known = form.one("AppId") == Some(Self::APP_ID) && grant_type == "client_credential";
        let signature = Self::signature(&form);
        if known && form.one("Signature").is_some_and(|given| given.eq_ignore_ascii_case(&signature)) {
            (Outcome::Login, granted(&self.ledger.sign_in(now), "AccessToken", self.ledger.lifetimes, now))
        } else {
            (Outcome::RefusedTokenCall, envelope(StatusCode::OK, 1001, "signature", &Value::Null, now))
        }
    }

    fn refresh(&mut self, call: &Call, now: SystemTime) -> (Outcome, Response<Bytes>) {
        let form = call.form();
        let body = call.json();
        let refresh = form.one("RefreshToken").or_else(|| body["RefreshToken"].as_str()).unwrap_or_default();
        let session = |pair: &Pair| pair.session;
        let holder = call.query.one(TOKEN).and_then(|access| self.ledger.by_access(access)).map(session);
        let refused = |outcome| (outcome, envelope(StatusCode::OK, 1002, "refresh token", &Value::Null, now));
        if holder.is_none() || holder != self.ledger.by_refresh(refresh).map(session) {
            return refused(Outcome::RefusedTokenCall);
        }
        match self.ledger.renew(refresh, now) {
            Ok(pair) => (Outcome::Refresh, granted(&pair, "Token", self.ledger.lifetimes, now)),
            Err(NotRenewed::Dead) => refused(Outcome::RefusedTokenCall),
            Err(NotRenewed::DoubleSpent) => refused(Outcome::DoubleSpent),
        }
    }

    fn business(&self, call: &Call, now: SystemTime) -> (Outcome, Response<Bytes>) {
        if !call.query.one(TOKEN).is_some_and(|access| self.ledger.accepts(access, now)) {
            return (Outcome::Rejected, self.rejected(now));
        }
        if call.route().1.ends_with("/forbidden") {
            return (Outcome::Failed, envelope(StatusCode::OK, 403, "not for you", &Value::Null, now));
        }
        (Outcome::Accepted, envelope(StatusCode::OK, 200, "OK", &call.echo(TOKEN), now))
    }

    fn rejected(&self, now: SystemTime) -> Response<Bytes> {
        let status = match self.refusal {
            Refusal::Envelope => StatusCode::OK,
            Refusal::Status => StatusCode::UNAUTHORIZED,
            Refusal::Redirect => {
                let mut response = Response::new(Bytes::new());
                *response.status_mut() = StatusCode::FOUND;
                response.headers_mut().insert(LOCATION, HeaderValue::from_static("/Account/Login"));
                return response;
            }
        };
        envelope(status, 401, "token", &Value::Null, now)
    }

    /// The MD5 of all fields but the signature, and the secret key, in the order of their names.
    pub(crate) fn signature(form: &Pairs) -> String {
        let mut fields: Vec<_> = form.iter().filter(|(name, _)| *name != "Signature").collect();
        fields.push(("SecretKey", Self::SECRET_KEY));
        fields.sort_unstable();
        let lines: Vec<_> = fields.iter().map(|(name, value)| format!("{name}={value}")).collect();
        hex(&Md5::digest(lines.join("&")))
    }
}

impl Api for AccuatApi {
    fn handle(&mut self, call: &Call, now: SystemTime) -> (Outcome, Response<Bytes>) {
        match call.route() {
            (&Method::POST, "/connect/authorize") => self.log_in(call, now),
            (&Method::POST, "/connect/refreshtoken") => self.refresh(call, now),
            _ => self.business(call, now),
        }
    }

    fn is_business(&self, path: &str) -> bool {
        !path.starts_with("/connect/")
    }

    fn revoke(&mut self) {
        self.ledger.revoke();
    }
}

/// The documents call the access token differently on the two calls.
fn granted(pair: &Pair, name: &str, lifetimes: Lifetimes, now: SystemTime) -> Response<Bytes> {
    let data = json!({ name: pair.access, "RefreshToken": pair.refresh, "ExpiredIn": lifetimes.access.as_secs() });
    envelope(StatusCode::OK, 200, "OK", &data, now)
}

fn envelope(status: StatusCode, result: u16, message: &str, data: &Value, now: SystemTime) -> Response<Bytes> {
    let time = epoch_seconds(now);
    answer(status, &json!({ "Result": result, "Message": message, "Time": time, "Data": data }))
}
