//! The envelope `{code, msg, data, extMsg}`: a code decides, never the message, whose language changes.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::Response;
use serde_json::{Map, Value};

use super::{NAME, expiry, wire};
use crate::{
    provider::{GrantKind, ProviderError},
    token::{Expiry, TokenSet},
};

pub(super) const ACCESS_TOKEN: &str = "data.accessToken.token";

/// The life of an access token that says nothing about it: the documents promise two hours.
const LIFETIME: Duration = Duration::from_secs(7200);

/// Whether a business call's answer refuses the token: the envelope's `code`, next to a `msg`, says that it is not
/// valid or that there is none.
pub(super) fn rejects(body: &[u8]) -> bool {
    wire::envelope(body).is_some_and(|members| {
        members.contains_key("msg") && matches!(wire::code(members.get("code")), Some(5032 | 5106))
    })
}

/// The tokens in an answer to a login or a refresh, which have the same shape.
///
/// An answer without a refresh token still grants, and the set has none then: the old one is spent, and using it
/// twice would end in a forced login.
pub(super) fn token_set(kind: GrantKind, answer: &Response<Bytes>, now: SystemTime) -> Result<TokenSet, ProviderError> {
    if !answer.status().is_success() {
        return Err(failure(kind, answer));
    }
    let members = wire::object(NAME, answer)?;
    let data = granted(kind, &members)?;
    let access = required("data.accessToken", data.get("accessToken"))?;
    let access_token = wire::string(NAME, ACCESS_TOKEN, access.get("token"))?;
    let end = expiry::of(&access_token, "data.accessToken.expirationTime", access.get("expirationTime"))?;
    let end = end.or_else(|| now.checked_add(LIFETIME));
    let token = TokenSet::new(access_token).with_issued_at(now).with_expiry(end.map_or(Expiry::Unknown, Expiry::At));

    let Some(refresh) = optional("data.refreshToken", data.get("refreshToken"))? else { return Ok(token) };
    // The documents' example writes an empty string where there is no token.
    let refresh_token = refresh.get("token").filter(|token| token.as_str() != Some(""));
    let refresh_token = wire::optional_string(NAME, "data.refreshToken.token", refresh_token)?;
    let Some(refresh_token) = refresh_token else { return Ok(token) };
    let end = expiry::of(&refresh_token, "data.refreshToken.expirationTime", refresh.get("expirationTime"))?;
    let token = token.with_refresh_token(refresh_token);
    Ok(end.into_iter().fold(token, TokenSet::with_refresh_expires_at))
}

/// The `data` of an envelope that grants something.
fn granted(kind: GrantKind, members: &Map<String, Value>) -> Result<&Map<String, Value>, ProviderError> {
    let code = members.get("code").filter(|code| !code.is_null());
    let malformed = |reason| ProviderError::malformed(NAME, "code", reason);
    match (code, wire::code(code)) {
        (None, _) => Err(malformed("is missing")),
        (_, None) => Err(malformed("is not an integer")),
        (_, Some(200)) => required("data", members.get("data")),
        // The documents' example says 0. It is a placeholder like all of that example's values, and is believed only
        // next to a token.
        (_, Some(0)) => members
            .get("data")
            .and_then(Value::as_object)
            .filter(|data| data.get("accessToken").and_then(|token| token.get("token")?.as_str()).is_some_and(is_text))
            .ok_or_else(|| malformed("is 0, and there is no access token").with_code(0)),
        (_, Some(code)) => Err(refusal(kind, code)),
    }
}

fn is_text(token: &str) -> bool {
    !token.is_empty()
}

/// What an answer without success says. A documented code in it counts as it would with success.
fn failure(kind: GrantKind, answer: &Response<Bytes>) -> ProviderError {
    let status = answer.status().as_u16();
    let code = wire::envelope(answer.body()).and_then(|members| wire::code(members.get("code")));
    let error = match (status, code) {
        (408 | 425 | 429 | 503, _) => ProviderError::unavailable(NAME, "the server asks for patience"),
        (500..=599, _) => ProviderError::server_error(NAME, "the server failed"),
        (400..=499, Some(code)) if kind == GrantKind::Login || is_documented(code) => return refusal(kind, code),
        (401, _) => ProviderError::refused(NAME, "the server answers with HTTP 401"),
        (403, _) if kind == GrantKind::Login => ProviderError::refused(NAME, "the server answers with HTTP 403"),
        _ => ProviderError::malformed(NAME, "status", "is not a success"),
    };
    error.with_code(status.into())
}

/// What a code other than success means.
///
/// A code that is not known refuses a login, since another try with a wrong password can freeze the account. It does
/// not refuse a refresh: it may pass, and nobody may be there to sign in.
fn refusal(kind: GrantKind, code: i64) -> ProviderError {
    let error = match (kind, code) {
        (_, code) if is_server_failure(code) => ProviderError::server_error(NAME, "the server failed"),
        (GrantKind::Login, 5147 | 5148 | 5325 | 5579..=5586) => {
            ProviderError::refused(NAME, "the password is wrong or the account is frozen")
        }
        (GrantKind::Login, _) => ProviderError::refused(NAME, "the server refuses the login"),
        (GrantKind::Refresh, code) if is_dead(code) => {
            ProviderError::refused(NAME, "the server refuses the refresh token")
        }
        (GrantKind::Refresh, _) => ProviderError::malformed(NAME, "code", "neither grants nor refuses the refresh"),
    };
    error.with_code(code)
}

fn is_documented(code: i64) -> bool {
    is_dead(code) || is_server_failure(code)
}

/// The codes by which a refresh is refused for good.
fn is_dead(code: i64) -> bool {
    matches!(code, 5032 | 5033 | 5115 | 5383 | 5486 | 5489)
}

/// The server's own failure, also where an HTTP status stands in the place of the code.
fn is_server_failure(code: i64) -> bool {
    matches!(code, 5000 | 500..=599)
}

fn required<'a>(field: &'static str, value: Option<&'a Value>) -> Result<&'a Map<String, Value>, ProviderError> {
    optional(field, value)?.ok_or_else(|| ProviderError::malformed(NAME, field, "is missing"))
}

fn optional<'a>(
    field: &'static str,
    value: Option<&'a Value>,
) -> Result<Option<&'a Map<String, Value>>, ProviderError> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(members)) => Ok(Some(members)),
        Some(_) => Err(ProviderError::malformed(NAME, field, "is not an object")),
    }
}
