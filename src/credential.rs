//! How an access token travels on a request: computed and validated once per token set.

use std::{borrow::Cow, fmt};

use http::{
    HeaderName, HeaderValue, Uri,
    header::{self, COOKIE},
    uri::PathAndQuery,
};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use secrecy::{ExposeSecret, SecretString};

/// Everything but the unreserved characters of [RFC 3986](https://www.rfc-editor.org/rfc/rfc3986#section-2.3).
pub(crate) const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The longest credential, in bytes: no server takes a longer header or URL.
const LONGEST: usize = 16 * 1024;

/// How often a text is decoded in search of a credential.
const ENCODINGS: usize = 4;

/// How an access token travels, ready to be put on any number of requests.
#[derive(Clone)]
pub struct Credential(Place);

/// A token that no request can carry: it is empty, has a character that the place does not allow, or makes a header
/// or parameter of more than 16 KiB.
///
/// A provider maps it to [`ProviderError::malformed`](crate::provider::ProviderError::malformed), naming its field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct InvalidCredential;

/// The credential could not be put on this request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DoesNotFit;

#[derive(Clone)]
enum Place {
    Header { name: HeaderName, value: HeaderValue },
    Query { name: Box<str>, pair: SecretString },
    Cookie { name: Box<str>, pair: SecretString },
    Signed,
}

// ===== impl Credential =====

impl Credential {
    /// The token, verbatim, as the value of a header.
    ///
    /// # Errors
    /// When the token is empty or no header value can hold it.
    #[allow(clippy::disallowed_methods, reason = "the secret is put on the wire")]
    pub fn header(name: HeaderName, token: &SecretString) -> Result<Self, InvalidCredential> {
        Self::header_value(name, token.expose_secret())
    }

    /// `Authorization: Bearer <token>` ([RFC 6750](https://www.rfc-editor.org/rfc/rfc6750#section-2.1)).
    ///
    /// # Errors
    /// When the token is empty or no header value can hold it.
    #[allow(clippy::disallowed_methods, reason = "the secret is put on the wire")]
    pub fn bearer(token: &SecretString) -> Result<Self, InvalidCredential> {
        let token = token.expose_secret();
        if token.is_empty() || token.starts_with([' ', '\t']) {
            return Err(InvalidCredential);
        }
        Self::header_value(header::AUTHORIZATION, &format!("Bearer {token}"))
    }

    /// The token, percent-encoded, as the query parameter `name`. A parameter of that name is replaced; all others
    /// stay byte for byte.
    ///
    /// # Errors
    /// When the token or the name is empty.
    pub fn query(name: &str, token: &SecretString) -> Result<Self, InvalidCredential> {
        Ok(Self(Place::Query { name: name.into(), pair: encoded_pair(name, token)? }))
    }

    /// The token, percent-encoded, as the cookie `name`. A cookie of that name is replaced; all others stay.
    ///
    /// # Errors
    /// When the token or the name is empty.
    pub fn cookie(name: &str, token: &SecretString) -> Result<Self, InvalidCredential> {
        Ok(Self(Place::Cookie { name: name.into(), pair: encoded_pair(name, token)? }))
    }

    /// Nothing fixed: [`Provider::sign`](crate::Provider::sign) puts an `Authorization` header on each attempt.
    #[must_use]
    pub fn signed() -> Self {
        Self(Place::Signed)
    }

    fn header_value(name: HeaderName, value: &str) -> Result<Self, InvalidCredential> {
        // White space at the ends is no part of a field value (RFC 9110, section 5.5): it would be lost on the way.
        if value.is_empty() || value.len() > LONGEST || value.trim_matches([' ', '\t']) != value {
            return Err(InvalidCredential);
        }
        let mut value = HeaderValue::from_str(value).map_err(|_| InvalidCredential)?;
        value.set_sensitive(true);
        // The first clone of a fresh value allocates its reference count: do it here, not on somebody's request.
        drop(value.clone());
        Ok(Self(Place::Header { name, value }))
    }

    /// Whether each attempt is signed.
    #[must_use]
    pub fn is_signed(&self) -> bool {
        matches!(self.0, Place::Signed)
    }

    /// The header that it travels in, if it does.
    pub(crate) fn header_name(&self) -> Option<&HeaderName> {
        match &self.0 {
            Place::Header { name, .. } => Some(name),
            Place::Signed => Some(&header::AUTHORIZATION),
            Place::Query { .. } | Place::Cookie { .. } => None,
        }
    }

    /// Puts the credential on a request. Signing is the provider's part.
    #[allow(clippy::disallowed_methods, reason = "the secret is put on the wire")]
    pub(crate) fn apply<B>(&self, request: &mut http::Request<B>) -> Result<(), DoesNotFit> {
        match &self.0 {
            Place::Header { name, value } => {
                request.headers_mut().insert(name.clone(), value.clone());
            }
            Place::Query { name, pair } => {
                let uri = with_query(request.uri(), name, pair.expose_secret()).ok_or(DoesNotFit)?;
                *request.uri_mut() = uri;
            }
            Place::Cookie { name, pair } => {
                let value = with_cookie(request.headers(), name, pair.expose_secret()).ok_or(DoesNotFit)?;
                request.headers_mut().insert(COOKIE, value);
            }
            Place::Signed => {}
        }
        Ok(())
    }

    /// Whether it becomes part of the URL, which clients print in their errors.
    pub(crate) fn is_in_url(&self) -> bool {
        matches!(self.0, Place::Query { .. })
    }

    /// `uri` without what shows a credential of the URL, if anything does: its parameters, or where the path shows it all
    /// behind the authority.
    pub(crate) fn taken_out_of(&self, uri: &Uri) -> Option<Uri> {
        let Place::Query { name, .. } = &self.0 else { return None };
        if self.is_shown_by(uri.path()) {
            return with_path_and_query(uri, "/".to_owned());
        }
        let shows = |parameter: &&str| is_named(parameter, name) || self.is_shown_by(parameter);
        let query = uri.query()?;
        query.split('&').any(|parameter| shows(&parameter)).then_some(())?;
        let mut path_and_query = String::from(uri.path());
        for (at, parameter) in query.split('&').filter(|parameter| !shows(parameter)).enumerate() {
            path_and_query.push(if at == 0 { '?' } else { '&' });
            path_and_query.push_str(parameter);
        }
        with_path_and_query(uri, path_and_query)
    }

    /// Whether `text` shows a credential of the URL: as it was sent or decoded, or encoded again on the way, as by a login
    /// page that is told where to come back to.
    #[allow(clippy::disallowed_methods, reason = "the secret is looked for, so that it is not printed")]
    pub(crate) fn is_shown_by(&self, text: &str) -> bool {
        let Place::Query { pair, .. } = &self.0 else { return false };
        let Some((_, token)) = pair.expose_secret().split_once('=') else { return false };
        let token = percent_decode_str(token).decode_utf8_lossy();
        let mut text = Cow::Borrowed(text);
        for _ in 0..ENCODINGS {
            if text.contains(&*token) {
                return true;
            }
            if !text.contains('%') {
                return false;
            }
            text = percent_decode_str(&text).decode_utf8_lossy().into_owned().into();
        }
        text.contains(&*token)
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Place::Header { name, .. } => write!(f, "Credential(header {name})"),
            Place::Query { name, .. } => write!(f, "Credential(query {name})"),
            Place::Cookie { name, .. } => write!(f, "Credential(cookie {name})"),
            Place::Signed => f.write_str("Credential(signed)"),
        }
    }
}

// ===== impl InvalidCredential =====

impl std::error::Error for InvalidCredential {}

impl fmt::Display for InvalidCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no request can carry this token")
    }
}

#[allow(clippy::disallowed_methods, reason = "the secret is put on the wire")]
fn encoded_pair(name: &str, token: &SecretString) -> Result<SecretString, InvalidCredential> {
    let token = token.expose_secret();
    if name.is_empty() || token.is_empty() || token.chars().any(char::is_control) {
        return Err(InvalidCredential);
    }
    let pair = format!("{}={}", utf8_percent_encode(name, ENCODED), utf8_percent_encode(token, ENCODED));
    if pair.len() > LONGEST { Err(InvalidCredential) } else { Ok(pair.into()) }
}

/// `uri` with `pair` in the place of the first parameter of that name, or behind all others.
fn with_query(uri: &Uri, name: &str, pair: &str) -> Option<Uri> {
    let query = uri.query().unwrap_or_default();
    let parameters = query.split('&').filter(|_| !query.is_empty());
    let mut path_and_query = String::with_capacity(uri.path().len() + query.len() + pair.len() + 2);
    path_and_query.push_str(uri.path());
    let mut separator = '?';
    let mut pair = Some(pair);
    let mut append = |parameter| {
        path_and_query.push(separator);
        path_and_query.push_str(parameter);
        separator = '&';
    };
    for parameter in parameters {
        if !is_named(parameter, name) {
            append(parameter);
        } else if let Some(pair) = pair.take() {
            append(pair);
        }
    }
    pair.map(append);
    with_path_and_query(uri, path_and_query)
}

fn with_path_and_query(uri: &Uri, path_and_query: String) -> Option<Uri> {
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(path_and_query).ok()?);
    Uri::from_parts(parts).ok()
}

fn is_named(parameter: &str, name: &str) -> bool {
    let key = parameter.split('=').next().unwrap_or_default();
    percent_decode_str(key).eq(name.bytes())
}

/// The one `Cookie` header that holds all cookies of the request but those of that name, and `pair`.
fn with_cookie(headers: &http::HeaderMap, name: &str, pair: &str) -> Option<HeaderValue> {
    let length = headers.get_all(COOKIE).iter().map(|cookies| cookies.len() + 2).sum::<usize>() + pair.len();
    let mut value = Vec::with_capacity(length);
    let sent = headers.get_all(COOKIE).iter().flat_map(|cookies| cookies.as_bytes().split(|byte| *byte == b';'));
    let others = sent.map(<[u8]>::trim_ascii).filter(|cookie| {
        let key = cookie.split(|byte| *byte == b'=').next().unwrap_or_default();
        !cookie.is_empty() && key.trim_ascii() != name.as_bytes()
    });
    for cookie in others.chain([pair.as_bytes()]) {
        if !value.is_empty() {
            value.extend_from_slice(b"; ");
        }
        value.extend_from_slice(cookie);
    }
    let mut value = HeaderValue::from_maybe_shared(bytes::Bytes::from(value)).ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[cfg(test)]
mod tests;
