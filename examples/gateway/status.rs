//! `GET /-/status`: how the session stands, without a secret. Its members are an interface.

use std::time::{SystemTime, UNIX_EPOCH};

use axum::response::{IntoResponse, Response};
use http::{
    HeaderValue,
    header::{CACHE_CONTROL, CONTENT_TYPE},
};
use serde_json::{Value, json};
use tower_auth_refresh::session::Status;

/// The status as JSON: times in milliseconds since 1970, `null` where one is not known.
pub(crate) fn page(status: &Status) -> Response {
    let body = json!({
        "state": status.condition.to_string(),
        "generation": status.generation.get(),
        "expires_at_ms": milliseconds(status.expires_at),
        "flights": status.flights,
        "replays": status.replays,
        "next_try_at_ms": milliseconds(status.retry_at),
        "unsaved": status.unsaved,
    });
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    (headers, body.to_string()).into_response()
}

fn milliseconds(time: Option<SystemTime>) -> Value {
    let since_epoch = time.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    since_epoch.and_then(|since| u64::try_from(since.as_millis()).ok()).into()
}
