//! FashionWorld: a key pair that signs every attempt, scheme `Caa`.

use std::{
    collections::HashSet,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{Method, Response, StatusCode};
use serde_json::{Value, json};
use sha1::{Digest, Sha1};

use super::{Api, Call, Outcome, call::answer, ledger::opaque};

const LOG_IN: (&Method, &str) = (&Method::POST, "/api/my/login");
const REFRESH: (&Method, &str) = (&Method::POST, "/api/my/refresh-token");
const REFRESH_ACTION: &str = "client:my:refresh-token";

/// The server of FashionWorld: one user, at most one pair at a time.
pub(crate) struct FashionWorldApi {
    lifetime: Duration,
    serial: u64,
    current: Option<Pair>,
    /// The keys that a refresh replaced. The real server forgets them; this one wants to count.
    spent: HashSet<String>,
}

struct Pair {
    api_key: String,
    secret_key: String,
    expires: SystemTime,
}

/// Why a signature is not accepted: the status and the message of the documents.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Refused(StatusCode, &'static str);

const INVALID_AUTHORIZATION: Refused = Refused(StatusCode::BAD_REQUEST, "invalid authorization");
const INVALID_TIMESTAMP: Refused = Refused(StatusCode::BAD_REQUEST, "invalid timestamp");
const INVALID_SIGNATURE: Refused = Refused(StatusCode::BAD_REQUEST, "invalid signature");
const KEY_NOT_FOUND: Refused = Refused(StatusCode::NOT_FOUND, "apiKey not found");

impl FashionWorldApi {
    pub(crate) const MOBILE: &str = "13800000000";
    pub(crate) const PASSWORD: &str = "demo \"password\"";
    pub(crate) const LIFETIME: Duration = Duration::from_secs(3 * 24 * 3600);
    /// How far a timestamp may be from the server's clock.
    const TOLERANCE: Duration = Duration::from_secs(300);

    pub(crate) fn new() -> Self {
        Self::with_lifetime(Self::LIFETIME)
    }

    pub(crate) fn with_lifetime(lifetime: Duration) -> Self {
        Self { lifetime, serial: 0, current: None, spent: HashSet::new() }
    }

    /// The action of a business route: it is signed and never sent, so both sides must know it.
    pub(crate) fn action(method: &Method, path: &str) -> Option<&'static str> {
        match (method, path) {
            (&Method::GET, "/api/my/profile") => Some("client:my:fetch-my-profile"),
            (&Method::POST, "/api/orders") => Some("client:order:create"),
            (&Method::GET, "/api/orders/missing") => Some("client:order:fetch"),
            _ => None,
        }
    }

    fn log_in(&mut self, call: &Call, now: SystemTime) -> (Outcome, Response<Bytes>) {
        let body = call.json();
        if body["mobile"] != Self::MOBILE {
            return (Outcome::RefusedTokenCall, message(StatusCode::NOT_FOUND, "user not found"));
        }
        if body["password"] != Self::PASSWORD {
            return (Outcome::RefusedTokenCall, message(StatusCode::BAD_REQUEST, "invalid password"));
        }
        // Whoever logs in while a pair lives gets that pair, and no more time than it has left.
        let pair = self.current.take().filter(|pair| now < pair.expires).unwrap_or_else(|| self.make_pair(now));
        let response = granted(&pair);
        self.current = Some(pair);
        (Outcome::Login, response)
    }

    fn refresh(&mut self, call: &Call, now: SystemTime) -> (Outcome, Response<Bytes>) {
        if let Err(refused) = self.verify(call, REFRESH_ACTION, now) {
            let spent = api_key(call).is_some_and(|key| self.spent.contains(&key));
            let outcome = if spent { Outcome::DoubleSpent } else { Outcome::RefusedTokenCall };
            return (outcome, refused.response());
        }
        if !call.body.is_empty() {
            return (Outcome::RefusedTokenCall, message(StatusCode::BAD_REQUEST, "invalid body"));
        }
        // The old pair goes first: what is under way with it is refused from here on.
        self.spent.extend(self.current.take().map(|pair| pair.api_key));
        let pair = self.make_pair(now);
        let response = granted(&pair);
        self.current = Some(pair);
        (Outcome::Refresh, response)
    }

    fn business(&self, call: &Call, now: SystemTime) -> (Outcome, Response<Bytes>) {
        let (method, path) = call.route();
        let Some(action) = Self::action(method, path) else {
            return (Outcome::Failed, message(StatusCode::NOT_FOUND, "route not found"));
        };
        match self.verify(call, action, now) {
            Err(refused) if refused == KEY_NOT_FOUND => (Outcome::Rejected, refused.response()),
            Err(refused) => (Outcome::Failed, refused.response()),
            Ok(()) if path.ends_with("/missing") => {
                (Outcome::Failed, message(StatusCode::NOT_FOUND, "order not found"))
            }
            Ok(()) => (Outcome::Accepted, answer(StatusCode::OK, &json!({ "echo": call.echo("") }))),
        }
    }

    fn verify(&self, call: &Call, action: &str, now: SystemTime) -> Result<(), Refused> {
        let proof = call.authorization().and_then(proof).ok_or(INVALID_AUTHORIZATION)?;
        let (key, rest) = proof.split_once(':').ok_or(INVALID_AUTHORIZATION)?;
        let (given, timestamp) = rest.split_once(' ').ok_or(INVALID_AUTHORIZATION)?;
        if timestamp.len() != 13 || !timestamp.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(INVALID_TIMESTAMP);
        }
        let signed_at = Duration::from_millis(timestamp.parse().map_err(|_| INVALID_TIMESTAMP)?);
        if signed_at.abs_diff(since_epoch(now)) > Self::TOLERANCE {
            return Err(INVALID_TIMESTAMP);
        }
        let pair = self.current.as_ref().filter(|pair| pair.api_key == key && now < pair.expires);
        let pair = pair.ok_or(KEY_NOT_FOUND)?;
        if given != Self::signature(action, &pair.api_key, &pair.secret_key, timestamp) {
            return Err(INVALID_SIGNATURE);
        }
        Ok(())
    }

    /// The plain SHA-1 of the four values, none of them url-encoded.
    pub(crate) fn signature(action: &str, api_key: &str, secret_key: &str, timestamp: &str) -> String {
        let canonical = format!("?action={action}&apiKey={api_key}&secretKey={secret_key}&timestamp={timestamp}");
        STANDARD.encode(Sha1::digest(canonical))
    }

    fn make_pair(&mut self, now: SystemTime) -> Pair {
        let expires = now + self.lifetime;
        let (api_key, secret_key) = (opaque(self.serial, expires), opaque(self.serial + 1, expires));
        self.serial += 2;
        Pair { api_key, secret_key, expires }
    }
}

impl Api for FashionWorldApi {
    fn handle(&mut self, call: &Call, now: SystemTime) -> (Outcome, Response<Bytes>) {
        match call.route() {
            LOG_IN => self.log_in(call, now),
            REFRESH => self.refresh(call, now),
            _ => self.business(call, now),
        }
    }

    fn is_business(&self, path: &str) -> bool {
        path != LOG_IN.1 && path != REFRESH.1
    }

    /// There is no refresh token: a pair that is gone is gone, and only a login helps.
    fn revoke(&mut self) {
        self.current = None;
    }
}

impl Refused {
    fn response(self) -> Response<Bytes> {
        message(self.0, self.1)
    }
}

/// What stands behind `Caa `: `KEY:SIGNATURE TIMESTAMP`.
fn proof(authorization: &str) -> Option<String> {
    let encoded = authorization.strip_prefix("Caa ")?;
    String::from_utf8(STANDARD.decode(encoded).ok()?).ok()
}

fn api_key(call: &Call) -> Option<String> {
    let proof = call.authorization().and_then(proof)?;
    Some(proof.split_once(':')?.0.to_owned())
}

fn granted(pair: &Pair) -> Response<Bytes> {
    let expires = u64::try_from(since_epoch(pair.expires).as_millis()).expect("a demonstration ends before that");
    let user: Value = json!({ "_id": "59573c395c2960da1aa83a08", "name": "Demo", "gender": "secret" });
    let grant = json!({
        "apiKey": pair.api_key,
        "secretKey": pair.secret_key,
        "userId": user["_id"],
        "expireIn": expires,
        "user": user,
    });
    answer(StatusCode::OK, &grant)
}

fn message(status: StatusCode, message: &str) -> Response<Bytes> {
    answer(status, &json!({ "message": message }))
}

fn since_epoch(time: SystemTime) -> Duration {
    time.duration_since(UNIX_EPOCH).unwrap_or_default()
}
