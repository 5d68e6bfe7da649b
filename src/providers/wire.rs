//! What the providers share: strict JSON with named fields, expiries, form bodies, endpoints.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri, header::CONTENT_TYPE, response,
    uri::PathAndQuery,
};
use percent_encoding::utf8_percent_encode;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};

use crate::{
    credential::ENCODED,
    json::{Strict, without_mark},
    provider::{GrantKind, ProviderError, Reason, Verdict},
    token::TokenSet,
};

/// No expiry lies beyond the year 9999: what does is an overflow or a wrong unit.
const LATEST: Duration = Duration::from_secs(253_402_300_799);

/// No token answer is larger. The transport stops reading there; this holds for answers from elsewhere too.
const LARGEST: usize = 1 << 20;

/// No token is longer, in bytes: none that is could be sent again.
const LONGEST: usize = 16 * 1024;

/// The choice of a grant, the same for all: refresh what can be refreshed, log in where that cannot help.
pub(crate) fn next_grant(why: Reason, can_log_in: bool, can_refresh: bool) -> Option<GrantKind> {
    let login = can_log_in.then_some(GrantKind::Login);
    let refresh = can_refresh.then_some(GrantKind::Refresh);
    match why {
        Reason::NoToken | Reason::RefreshRefused | Reason::SignIn => login,
        Reason::Due | Reason::Rejected => refresh.or(login),
        Reason::MaybeSpent => login.or(refresh),
    }
}

/// The judgement of an API with envelopes: 401 rejects, and behind a success the body decides, as `body` says.
pub(crate) fn judge(answer: &response::Parts, body: Verdict) -> Verdict {
    match Verdict::by_challenge(answer) {
        Verdict::Accepted if answer.status.is_success() => body,
        verdict => verdict,
    }
}

/// Whether `token` has a refresh token that has not ended by `now`, as far as is known.
pub(crate) fn is_refreshable(token: &TokenSet, now: SystemTime) -> bool {
    token.refresh_token().is_some() && token.refresh_expires_at().is_none_or(|end| end > now)
}

/// `base` with `path` behind its own path, and `query` (already encoded, without `?`).
pub(crate) fn endpoint(provider: &'static str, base: &Uri, path: &str, query: &str) -> Result<Uri, ProviderError> {
    let prefix = base.path().trim_end_matches('/');
    let mark = if query.is_empty() { "" } else { "?" };
    let mut parts = base.clone().into_parts();
    parts.path_and_query = PathAndQuery::try_from(format!("{prefix}{path}{mark}{query}")).ok();
    Uri::from_parts(parts).map_err(|_| ProviderError::fault(provider, "the base URL needs a scheme and a host"))
}

pub(crate) fn request(
    provider: &'static str,
    method: Method,
    uri: Uri,
    content_type: Option<&'static str>,
    body: impl Into<Bytes>,
) -> Result<Request<Bytes>, ProviderError> {
    let mut request = Request::new(body.into());
    if uri.host().is_none_or(str::is_empty) {
        return Err(ProviderError::fault(provider, "the base URL needs a scheme and a host"));
    }
    *request.method_mut() = method;
    *request.uri_mut() = uri;
    if let Some(content_type) = content_type {
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    }
    Ok(request)
}

pub(crate) const FORM: &str = "application/x-www-form-urlencoded";
pub(crate) const JSON: &str = "application/json";

/// `name=value&…`, percent-encoded so that queries and forms read it alike.
pub(crate) fn encode<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let mut encoded = String::new();
    for (name, value) in pairs {
        if !encoded.is_empty() {
            encoded.push('&');
        }
        encoded.extend(utf8_percent_encode(name, ENCODED));
        encoded.push('=');
        encoded.extend(utf8_percent_encode(value, ENCODED));
    }
    encoded
}

/// The one way by which a provider's request or signature gets at a secret.
#[allow(clippy::disallowed_methods, reason = "the secret is put on the wire")]
pub(crate) fn expose(secret: &SecretString) -> &str {
    secret.expose_secret()
}

/// What a status other than success says by itself.
pub(crate) fn unsuccessful(provider: &'static str, status: StatusCode) -> ProviderError {
    let error = match status {
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
            ProviderError::unavailable(provider, "the token endpoint asks for patience")
        }
        _ if status.is_server_error() => ProviderError::server_error(provider, "the token endpoint failed"),
        _ => ProviderError::malformed(provider, "status", "is not a success"),
    };
    error.with_code(i64::from(status.as_u16()))
}

/// Whether the status alone says that the server is overloaded or broken, whatever its body says.
pub(crate) fn is_failing(status: StatusCode) -> bool {
    status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS
}

/// The JSON object in a token answer.
pub(crate) fn object(provider: &'static str, answer: &Response<Bytes>) -> Result<Map<String, Value>, ProviderError> {
    let body = answer.body();
    let malformed = |reason| Err(ProviderError::malformed(provider, "body", reason));
    if body.trim_ascii().is_empty() {
        return malformed("is empty");
    }
    if body.len() > LARGEST {
        return malformed("is larger than 1 MiB");
    }
    let media_type = media_type(answer.headers());
    match serde_json::from_slice::<Strict>(without_mark(body)) {
        Ok(Strict(Value::Object(members))) => Ok(members),
        Ok(_) => malformed("is not a JSON object"),
        Err(_) if !media_type.ends_with("json") => {
            Err(ProviderError::malformed(provider, "content-type", "is not JSON").with_subject(media_type))
        }
        Err(_) if body.trim_ascii_start().starts_with(b"<") => malformed("is markup, not JSON"),
        Err(error) if error.is_eof() => malformed("is truncated JSON"),
        Err(error) if error.is_data() => malformed("repeats a member of a JSON object"),
        Err(_) => malformed("is not JSON"),
    }
}

/// The JSON object in an API's answer, where there is one and no member stands twice.
pub(crate) fn envelope(body: &[u8]) -> Option<Map<String, Value>> {
    match serde_json::from_slice(without_mark(body)) {
        Ok(Strict(Value::Object(members))) => Some(members),
        _ => None,
    }
}

/// The media types that servers answer with by mistake, by name; any other is the server's own text and not repeated.
fn media_type(headers: &HeaderMap) -> &'static str {
    const KNOWN: [&str; 6] =
        ["text/html", "application/xml", "text/xml", "application/xhtml+xml", "text/plain", "application/json"];
    let Some(value) = headers.get(CONTENT_TYPE) else { return "no content type" };
    let essence = value.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim();
    KNOWN.into_iter().find(|known| known.eq_ignore_ascii_case(essence)).unwrap_or("another content type")
}

/// An integer, also as a string of digits, as some envelopes write their code.
pub(crate) fn code(value: Option<&Value>) -> Option<i64> {
    match value? {
        Value::Number(number) => number.as_i64(),
        Value::String(digits) => digits.trim().parse().ok(),
        _ => None,
    }
}

/// A non-empty string that must be there.
pub(crate) fn string(
    provider: &'static str,
    field: &'static str,
    value: Option<&Value>,
) -> Result<String, ProviderError> {
    optional_string(provider, field, value)?.ok_or_else(|| ProviderError::malformed(provider, field, "is missing"))
}

/// A non-empty string, or nothing where the member is absent or `null`.
pub(crate) fn optional_string(
    provider: &'static str,
    field: &'static str,
    value: Option<&Value>,
) -> Result<Option<String>, ProviderError> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.is_empty() => Err(ProviderError::malformed(provider, field, "is empty")),
        Some(Value::String(text)) if text.len() > LONGEST => {
            Err(ProviderError::malformed(provider, field, "is longer than 16 KiB"))
        }
        Some(Value::String(text)) if text.chars().any(char::is_control) => {
            Err(ProviderError::malformed(provider, field, "has a control character"))
        }
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(ProviderError::malformed(provider, field, "is not a string")),
    }
}

/// A lifetime in whole seconds from `now`, or nothing where the member is absent or `null`.
pub(crate) fn seconds_from(
    now: SystemTime,
    provider: &'static str,
    field: &'static str,
    value: Option<&Value>,
) -> Result<Option<SystemTime>, ProviderError> {
    let Some(seconds) = amount(provider, field, value)? else { return Ok(None) };
    within_reason(provider, field, now.checked_add(Duration::from_secs(seconds)))
}

/// An absolute time in whole seconds or milliseconds since the epoch, or nothing where the member is absent or `null`.
pub(crate) fn since_epoch(
    unit: fn(u64) -> Duration,
    provider: &'static str,
    field: &'static str,
    value: Option<&Value>,
) -> Result<Option<SystemTime>, ProviderError> {
    let Some(count) = amount(provider, field, value)? else { return Ok(None) };
    within_reason(provider, field, UNIX_EPOCH.checked_add(unit(count)))
}

fn amount(provider: &'static str, field: &'static str, value: Option<&Value>) -> Result<Option<u64>, ProviderError> {
    let malformed = |reason| Err(ProviderError::malformed(provider, field, reason));
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Number(number)) if number.is_u64() => Ok(number.as_u64()),
        Some(Value::Number(number)) if number.is_i64() => malformed("is negative"),
        Some(Value::Number(number)) if number.as_f64().is_some_and(|number| number.abs() >= 1e18) => {
            malformed("overflows")
        }
        Some(Value::Number(_)) => malformed("is not a whole number"),
        Some(_) => malformed("is not a number"),
    }
}

fn within_reason(
    provider: &'static str,
    field: &'static str,
    time: Option<SystemTime>,
) -> Result<Option<SystemTime>, ProviderError> {
    match time {
        Some(time) if time <= UNIX_EPOCH + LATEST => Ok(Some(time)),
        _ => Err(ProviderError::malformed(provider, field, "overflows")),
    }
}
