//! What the login and the refresh answer: a pair of keys, or a status with a message.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::Response;
use serde_json::{Map, Value};

use super::{NAME, wire};
use crate::{
    provider::{GrantKind, ProviderError},
    token::{Expiry, TokenSet},
};

/// The server has deleted the pair.
pub(super) const KEY_NOT_FOUND: &str = "apiKey not found";

/// The pair in an answer to a login or a refresh, which have the same shape.
///
/// An answer without an expiry still grants, with an unknown one: the old pair is deleted by then, and a pair of
/// unknown life is better than none. So do `userId` and `user` of any type, which are only handed on.
pub(super) fn token_set(kind: GrantKind, answer: &Response<Bytes>, now: SystemTime) -> Result<TokenSet, ProviderError> {
    if !answer.status().is_success() {
        return Err(failure(kind, answer));
    }
    let mut members = wire::object(NAME, answer)?;
    let key = wire::string(NAME, "apiKey", members.get("apiKey"))?;
    let secret = wire::string(NAME, "secretKey", members.get("secretKey"))?;
    let expiry = expiry(&members)?.map_or(Expiry::Unknown, Expiry::At);
    let token = TokenSet::new(key).with_signing_key(secret).with_issued_at(now).with_expiry(expiry);
    Ok(["userId", "user"].into_iter().fold(token, |token, name| match members.remove(name) {
        None | Some(Value::Null) => token,
        Some(value) => token.with_extra(name, value),
    }))
}

/// The message of an error.
pub(super) fn message(members: &Map<String, Value>) -> Option<&str> {
    members.get("message").and_then(Value::as_str)
}

/// Absolute milliseconds in `expireIn`, or under the other spelling `expiresIn`.
fn expiry(members: &Map<String, Value>) -> Result<Option<SystemTime>, ProviderError> {
    let read = |field| wire::since_epoch(Duration::from_millis, NAME, field, members.get(field));
    match (read("expireIn")?, read("expiresIn")?) {
        (Some(one), Some(other)) if one != other => {
            Err(ProviderError::malformed(NAME, "expireIn", "differs from expiresIn"))
        }
        (one, other) => Ok(one.or(other)),
    }
}

fn failure(kind: GrantKind, answer: &Response<Bytes>) -> ProviderError {
    let status = answer.status().as_u16();
    let error = match status {
        408 | 425 | 429 | 503 => ProviderError::unavailable(NAME, "the server asks for patience"),
        500..=599 => ProviderError::server_error(NAME, "the server failed"),
        400..=499 => refusal(kind, status, answer),
        _ => ProviderError::malformed(NAME, "status", "is not a success"),
    };
    error.with_code(status.into())
}

/// What a 4xx means. The message decides, since a proxy or a wrong base URL answers 400 and 404 as well.
///
/// A login is taken as refused by any message, so that a wrong password is not tried again and again. A refresh is
/// refused by the documented messages alone: anything else may pass.
fn refusal(kind: GrantKind, status: u16, answer: &Response<Bytes>) -> ProviderError {
    let login_refused = ProviderError::refused(NAME, "the server refuses the login");
    let members = match wire::object(NAME, answer) {
        Ok(members) => members,
        Err(_) if kind == GrantKind::Login && matches!(status, 401 | 403) => return login_refused,
        Err(error) => return error,
    };
    match (kind, status, message(&members)) {
        (_, 400, Some("invalid timestamp")) => {
            ProviderError::fault(NAME, "the server refuses the timestamp: one of the clocks is wrong")
        }
        (GrantKind::Login, ..) => login_refused,
        (_, 400, Some("invalid signature")) => {
            ProviderError::refused(NAME, "the server refuses the signature: the secretKey is not the apiKey's")
        }
        (_, 400, Some("invalid authorization")) => ProviderError::refused(NAME, "the server refuses the authorization"),
        (_, 404, Some(KEY_NOT_FOUND)) => ProviderError::refused(NAME, "the server does not know the apiKey"),
        (_, 404, Some("user not found")) => ProviderError::refused(NAME, "the server does not know the user"),
        (.., Some(_)) => ProviderError::malformed(NAME, "message", "is not a documented one"),
        (.., None) => ProviderError::malformed(NAME, "message", "is missing or not a string"),
    }
}
