//! What an Accuat answer says, read as leniently as its servers write.

use std::time::SystemTime;

use http::StatusCode;
use serde_json::{Map, Value};

use super::NAME;
use crate::{
    provider::{Grant, ProviderError},
    providers::wire,
    token::{Expiry, TokenSet},
};

pub(super) fn granted(
    grant: Grant<'_>,
    fields: &Map<String, Value>,
    now: SystemTime,
) -> Result<TokenSet, ProviderError> {
    let optional = |name| wire::optional_string(NAME, name, member(fields, name)?);
    // The document names the same thing differently on its two calls, and servers follow either name on both.
    let [documented, other] = match grant {
        Grant::Login => ["AccessToken", "Token"],
        Grant::Refresh(_) => ["Token", "AccessToken"],
    };
    let token = match optional(documented)? {
        Some(token) => Some(token),
        None => optional(other)?,
    };
    let token = token.ok_or_else(|| ProviderError::malformed(NAME, documented, "is missing"))?;

    let mut set = TokenSet::new(token).with_issued_at(now);
    // The document promises all three fields. A grant without the other two is still worth more than none, because
    // the pair before it may be spent.
    if let Some(end) = wire::seconds_from(now, NAME, "ExpiredIn", member(fields, "ExpiredIn")?)? {
        set = set.with_expiry(Expiry::At(end));
    }
    // Where there is no new one the set has none: the old one is spent, and a second use is what servers punish.
    Ok(match optional("RefreshToken")? {
        Some(fresh) => set.with_refresh_token(fresh),
        None => set,
    })
}

/// The object that holds the token fields: `Data`, or the answer itself where it comes without an envelope.
pub(super) fn fields(envelope: &Map<String, Value>) -> Result<&Map<String, Value>, ProviderError> {
    match member(envelope, "Data")? {
        Some(Value::Object(data)) => Ok(data),
        None | Some(Value::Null) => Ok(envelope),
        Some(_) => Err(ProviderError::malformed(NAME, "Data", "is not an object")),
    }
}

/// `Result`, or `Code` as some servers call it. Where both are there they must agree.
pub(super) fn result(envelope: &Map<String, Value>) -> Result<Option<i64>, ProviderError> {
    let read = |name| match member(envelope, name)? {
        None | Some(Value::Null) => Ok(None),
        value => {
            let malformed = || ProviderError::malformed(NAME, name, "is not an integer");
            wire::code(value).ok_or_else(malformed).map(Some)
        }
    };
    match (read("Result")?, read("Code")?) {
        (Some(one), Some(other)) if one != other => Err(ProviderError::malformed(NAME, "Result", "differs from Code")),
        (one, other) => Ok(one.or(other)),
    }
}

/// Any other `Result` is a refusal: the document's table of codes is not public.
pub(super) fn refused(code: i64) -> ProviderError {
    ProviderError::refused(NAME, "the grant was refused").with_code(code)
}

pub(super) fn unsuccessful(
    status: StatusCode,
    envelope: Option<&Map<String, Value>>,
    login_page: bool,
) -> ProviderError {
    let result = envelope.and_then(|envelope| result(envelope).ok().flatten());
    match (status, result) {
        _ if wire::is_failing(status) => wire::unsuccessful(NAME, status),
        (_, Some(code)) if !matches!(code, 0 | 200) => refused(code),
        (StatusCode::UNAUTHORIZED | StatusCode::BAD_REQUEST, _) => refused(status.as_u16().into()),
        _ if login_page => refused(status.as_u16().into()),
        _ => wire::unsuccessful(NAME, status),
    }
}

/// The member of that name, in whatever case the server writes it.
pub(super) fn member<'a>(
    object: &'a Map<String, Value>,
    name: &'static str,
) -> Result<Option<&'a Value>, ProviderError> {
    let mut named = object.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name));
    match (named.next(), named.next()) {
        (found, None) => Ok(found.map(|(_, value)| value)),
        _ => Err(ProviderError::malformed(NAME, name, "stands twice, in different case")),
    }
}
