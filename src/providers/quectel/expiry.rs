//! When a token ends: what the answer says, else what the token itself says.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::Value;

use super::{NAME, wire};
use crate::provider::ProviderError;

/// The end of `token`: `expirationTime` in absolute seconds, or where that is missing or 0 the token's own `exp`.
pub(super) fn of(
    token: &str,
    field: &'static str,
    expiration_time: Option<&Value>,
) -> Result<Option<SystemTime>, ProviderError> {
    let end = seconds(field, expiration_time)?;
    Ok(end.or_else(|| claim(token)))
}

/// The `exp` of a JWT ([RFC 7519, section 4.1.4](https://www.rfc-editor.org/rfc/rfc7519#section-4.1.4)).
///
/// It is not verified, because nothing is trusted for it: it only says when to ask for the next token. So whatever
/// cannot be read is the same as no claim.
fn claim(token: &str) -> Option<SystemTime> {
    let jwt = token.strip_prefix("Bearer ").unwrap_or(token);
    let payload = jwt.split('.').nth(1)?.trim_end_matches('=');
    let claims = wire::envelope(&URL_SAFE_NO_PAD.decode(payload).ok()?)?;
    seconds("exp", claims.get("exp")).ok()?
}

/// Absolute seconds, where 0 is the documents' placeholder for nothing.
fn seconds(field: &'static str, value: Option<&Value>) -> Result<Option<SystemTime>, ProviderError> {
    Ok(wire::since_epoch(Duration::from_secs, NAME, field, value)?.filter(|end| *end != UNIX_EPOCH))
}
