//! The `Caa` scheme: base64 of `apiKey:signature timestamp`.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::HeaderValue;
use sha1::{Digest as _, Sha1};

use super::{NAME, wire};
use crate::{provider::ProviderError, token::TokenSet};

/// The `Authorization` value for one attempt at `now`. It is never used again: the server compares the timestamp
/// with its clock.
pub(super) fn authorization(token: &TokenSet, action: &str, now: SystemTime) -> Result<HeaderValue, ProviderError> {
    let (key, secret) = pair(token)?;
    let timestamp = timestamp(now)?;
    // A plain hash over unencoded text, as the scheme asks for: fed in pieces, so that no string holds the secret.
    let mut hash = Sha1::new();
    for piece in ["?action=", action, "&apiKey=", key, "&secretKey=", secret, "&timestamp=", &timestamp] {
        hash.update(piece);
    }
    let signature = STANDARD.encode(hash.finalize());
    let payload = STANDARD.encode(format!("{key}:{signature} {timestamp}"));
    let mut value = HeaderValue::try_from(format!("Caa {payload}"))
        .map_err(|_| ProviderError::fault(NAME, "the signature fits no header"))?;
    value.set_sensitive(true);
    Ok(value)
}

/// The two keys that sign, if they can.
pub(super) fn pair(token: &TokenSet) -> Result<(&str, &str), ProviderError> {
    let key = wire::expose(token.access_token());
    let secret = token.signing_key().map(wire::expose).unwrap_or_default();
    if key.is_empty() {
        Err(ProviderError::malformed(NAME, "apiKey", "is missing"))
    } else if key.contains([':', ' ']) {
        // The server splits what it decodes at these two.
        Err(ProviderError::malformed(NAME, "apiKey", "has a colon or a space"))
    } else if secret.is_empty() {
        Err(ProviderError::malformed(NAME, "secretKey", "is missing"))
    } else {
        Ok((key, secret))
    }
}

/// Unix time in milliseconds, which has 13 digits from 2001 to 2286; at any other time it is the clock that is wrong.
fn timestamp(now: SystemTime) -> Result<String, ProviderError> {
    let since_epoch = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    let timestamp = since_epoch.as_millis().to_string();
    if timestamp.len() == 13 {
        Ok(timestamp)
    } else {
        Err(ProviderError::fault(NAME, "the clock is wrong: its time in milliseconds does not have 13 digits"))
    }
}
