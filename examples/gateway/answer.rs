//! The answers that are the gateway's own: what it refuses, and what it says when the layer has no answer.
//!
//! `error` in the body is one of these; programs may decide by it, and `message` is for people:
//!
//! | `error` | status | |
//! |---|---|---|
//! | `transport`, `timed-out`, `unavailable`, `malformed` | 503 | the token endpoint is out of order; `Retry-After` where the next try is due |
//! | `store` | 503 | the token store cannot be used, and without it nothing is fetched; `Retry-After` as above |
//! | `too-many-refreshes` | 503 | the refresh guard is up |
//! | `aborted`, `no-runtime` | 503 | the refresh ended without an outcome; the next request starts another |
//! | `refused`, `sign-in-required`, `signed-out` | 502 | somebody must sign in |
//! | `fault` | 502 | a setting, a clock, a route without an action; 503 where a later try may help |
//! | `invalid-token`, `plain-http` | 502 | a setting |
//! | `upstream-unreachable`, `upstream-failed` | 502 | no connection to the API, or it broke before an answer |
//! | `cross-site`, `host-not-allowed` | 403 | see [`admission`](super::admission) |
//! | `bad-host`, `bad-target`, `bad-action`, `bad-body` | 400 | what the request says of itself is missing, or contradicts itself |
//! | `connect-not-supported`, `upgrade-not-supported` | 501 | tunnels and WebSockets |
//! | `transfer-coding-not-supported` | 501 | a body that is compressed for the way, and not as content |
//! | `not-found`, `method-not-allowed` | 404, 405 | behind `/-/` |

use std::{
    borrow::Cow,
    error::Error as StdError,
    io,
    time::{Duration, SystemTime},
};

use axum::response::{IntoResponse, Response};
use http::{
    HeaderValue, StatusCode,
    header::{CONTENT_TYPE, RETRY_AFTER},
};
use serde_json::json;
use tower::BoxError;
use tower_auth_refresh::{
    Error,
    clock::{Clock, SystemClock},
    error::ErrorKind,
};

/// An answer of the gateway's own.
#[derive(Debug)]
pub(crate) struct Answer {
    status: StatusCode,
    error: &'static str,
    message: Cow<'static, str>,
    /// In seconds.
    retry_after: Option<u64>,
}

impl Answer {
    pub(crate) const fn new(status: StatusCode, error: &'static str, message: &'static str) -> Self {
        Self { status, error, message: Cow::Borrowed(message), retry_after: None }
    }

    pub(crate) const fn bad_request(error: &'static str, message: &'static str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, error, message)
    }

    pub(crate) const fn not_implemented(error: &'static str, message: &'static str) -> Self {
        Self::new(StatusCode::NOT_IMPLEMENTED, error, message)
    }

    pub(crate) const fn bad_gateway(error: &'static str, message: &'static str) -> Self {
        Self::new(StatusCode::BAD_GATEWAY, error, message)
    }

    /// What it says to people. It holds no secret, and nothing that a server wrote.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// What the body calls it.
    pub(crate) fn error(&self) -> &'static str {
        self.error
    }

    /// For an upstream call that has no answer, with the layer around the client or without it.
    pub(crate) fn to_error(error: BoxError) -> Self {
        match error.downcast::<Error>() {
            Ok(error) if error.is_service() => Self::to_upstream_error(error.source().unwrap_or(&*error)),
            Ok(error) => Self::to_layer_error(&error, SystemClock::new().now().wall),
            Err(error) => Self::to_upstream_error(&*error),
        }
    }

    fn to_layer_error(error: &Error, now: SystemTime) -> Self {
        let kind = error.kind();
        // A fault that is tried again is a clock's, perhaps: the next answer may put it right.
        let may_pass = match kind {
            _ if error.needs_sign_in() => false,
            ErrorKind::InvalidToken | ErrorKind::PlainHttp => false,
            ErrorKind::Fault => error.retry_at().is_some(),
            _ => true,
        };
        let status = if may_pass { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::BAD_GATEWAY };
        let retry_after = error.retry_at().filter(|_| may_pass).map(|at| seconds_until(at, now));
        // Neither the layer's messages nor those of its providers hold anything that a server wrote, or a secret.
        let message = match error.source() {
            Some(cause) => format!("{error}: {cause}"),
            None => error.to_string(),
        };
        Self { status, error: name(kind), message: message.into(), retry_after }
    }

    /// A client's own message may print the URL, and with it a token: of its error no more is told than what kind of
    /// I/O failed.
    fn to_upstream_error(error: &(dyn StdError + 'static)) -> Self {
        let chain = || std::iter::successors(Some(error), |error: &&'_ (dyn StdError + 'static)| (*error).source());
        // What the listener could not read, the upstream is not to blame for.
        if chain().any(|error| error.is::<axum::Error>()) {
            return Self::bad_request("bad-body", "the body of the request broke off, or is framed in a wrong way");
        }
        let is_connect = chain()
            .find_map(|error| error.downcast_ref::<hyper_util::client::legacy::Error>())
            .is_some_and(hyper_util::client::legacy::Error::is_connect);
        let (error, message) = if is_connect {
            ("upstream-unreachable", "the upstream cannot be reached")
        } else {
            ("upstream-failed", "the upstream broke off before it answered")
        };
        let message = match chain().find_map(|error| error.downcast_ref::<io::Error>()).map(io::Error::kind) {
            Some(kind) => format!("{message}: {kind}").into(),
            None => message.into(),
        };
        Self { message, ..Self::bad_gateway(error, "") }
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let body = json!({ "error": self.error, "message": self.message }).to_string();
        let mut response = (self.status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(seconds) = self.retry_after {
            headers.insert(RETRY_AFTER, seconds.into());
        }
        response
    }
}

/// Whole seconds, rounded up, and at least one: who came at once would come too early.
fn seconds_until(at: SystemTime, now: SystemTime) -> u64 {
    let left = at.duration_since(now).unwrap_or_default();
    let rounded_up = left + Duration::from_nanos(999_999_999);
    rounded_up.as_secs().max(1)
}

fn name(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Service => "upstream-failed",
        ErrorKind::Refused => "refused",
        ErrorKind::SignInRequired => "sign-in-required",
        ErrorKind::SignedOut => "signed-out",
        ErrorKind::Transport => "transport",
        ErrorKind::TimedOut => "timed-out",
        ErrorKind::Unavailable => "unavailable",
        ErrorKind::Malformed => "malformed",
        ErrorKind::Store => "store",
        ErrorKind::InvalidToken => "invalid-token",
        ErrorKind::TooManyRefreshes => "too-many-refreshes",
        ErrorKind::Aborted => "aborted",
        ErrorKind::NoRuntime => "no-runtime",
        ErrorKind::PlainHttp => "plain-http",
        // The kinds are not exhaustive: what is new is a fault until it has a name of its own.
        _ => "fault",
    }
}
