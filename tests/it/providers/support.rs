//! A fixed time, answers, and requests written out.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::{Request, Response};
use secrecy::ExposeSecret;
use tower_auth_refresh::{
    provider::{Context, ProviderError, ProviderErrorKind},
    token::{Expiry, SecretString, TokenSet},
};

/// In every token and every text of a server that may not leak.
pub(super) const SECRET: &str = "S3CR3T";

pub(super) fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_700_000_000)
}

pub(super) fn after(seconds: u64) -> SystemTime {
    now() + Duration::from_secs(seconds)
}

pub(super) fn cx() -> Context {
    Context::new(now(), 0x0011_2233_4455_6677_8899_aabb_ccdd_eeff)
}

pub(super) fn json(status: u16, body: impl Into<Bytes>) -> Response<Bytes> {
    typed(status, "application/json; charset=utf-8", body)
}

pub(super) fn typed(status: u16, content_type: &str, body: impl Into<Bytes>) -> Response<Bytes> {
    Response::builder().status(status).header("content-type", content_type).body(body.into()).unwrap()
}

/// The request in full: method, URI, version, headers in order, an empty line, the body.
pub(super) fn written(request: &Request<Bytes>) -> String {
    let mut text = format!("{} {} {:?}\n", request.method(), request.uri(), request.version());
    for (name, value) in request.headers() {
        text += &format!("{name}: {}\n", value.to_str().unwrap());
    }
    text + "\n" + std::str::from_utf8(request.body()).unwrap()
}

#[allow(clippy::disallowed_methods, reason = "the test compares it")]
pub(super) fn exposed(secret: &SecretString) -> &str {
    secret.expose_secret()
}

/// Everything that a grant holds: access token, its expiry, refresh token, its expiry, when it was issued.
pub(super) type Granted<'a> = (&'a str, Expiry, Option<&'a str>, Option<SystemTime>, Option<SystemTime>);

pub(super) fn granted(set: &TokenSet) -> Granted<'_> {
    (
        exposed(set.access_token()),
        set.expiry(),
        set.refresh_token().map(exposed),
        set.refresh_expires_at(),
        set.issued_at(),
    )
}

/// Kind, field, reason and code of an error, after a look for secrets in all that it prints.
pub(super) type Told = (ProviderErrorKind, Option<&'static str>, &'static str, Option<i64>);

#[track_caller]
pub(super) fn told(provider: &str, result: Result<TokenSet, ProviderError>) -> Told {
    let error = result.expect_err("nothing may be granted");
    let printed = format!("{error} {error:?}");
    assert!(!printed.contains(SECRET), "{printed}");
    assert_eq!(error.provider(), provider);
    for part in [provider, error.field().unwrap_or_default(), error.reason()] {
        assert!(error.to_string().contains(part), "{part} is not in: {error}");
    }
    (error.kind(), error.field(), error.reason(), error.code())
}

#[track_caller]
pub(super) fn assert_malformed(
    provider: &str,
    result: Result<TokenSet, ProviderError>,
    field: &'static str,
    reason: &'static str,
) {
    assert_eq!(told(provider, result), (ProviderErrorKind::Malformed, Some(field), reason, None));
}
