//! The stored form of a token set: what stores keep, and what other programs may read and write.

mod error;
mod login_mark;
mod read;
mod value;

use std::{
    io,
    time::{SystemTime, UNIX_EPOCH},
};

use serde::{Serialize, Serializer, ser::SerializeMap};
use serde_json::Value;

use self::error::Reason;
pub use self::{error::StoredError, login_mark::LoginMark};
use super::{Expiry, ExposeSecret, FencingToken, Generation, SecretString, TokenSet, Version};

/// What a store keeps of a session: its token set, or why there is none, with what is known of it. And its JSON form.
///
/// ```json
/// {"version": 1, "generation": 7, "fence": 41, "access_token": "…", "refresh_token": "…", "signing_key": "…",
///  "issued_at_ms": 1750000000000, "expires_at_ms": 1750007200000, "refresh_at_ms": 1750005400000,
///  "refresh_expires_at_ms": 1752592000000, "spending_ms": 1750005400123, "extra": {}}
/// ```
/// ```json
/// {"version": 1, "generation": 8, "fence": 42, "signed_out_ms": 1750005500201}
/// ```
///
/// | member | | meaning |
/// |---|---|---|
/// | `version` | required | 1. From the first release on, whoever adds a member or changes a meaning raises it |
/// | `generation` | 0 where absent | see [`Generation`] |
/// | `fence` | | see [`fence`](Self::fence) |
/// | `revision` | 0 where absent | see [`revision`](Self::revision) |
/// | `changed_under` | | see [`changed_under`](Self::changed_under) |
/// | `access_token` | required, unless one of the next two says why there is none | not empty |
/// | `signed_out_ms` | only without a token | see [`signed_out_since`](Self::signed_out_since) |
/// | `login_refused` | | see [`login_refused`](Self::login_refused) and [`LoginMark`] |
/// | `refresh_token`, `signing_key` | only with a token | not empty |
/// | `issued_at_ms`, `refresh_at_ms`, `refresh_expires_at_ms` | only with a token | times |
/// | `expires_at_ms` | only with a token | a time, or `"never"` |
/// | `spending_ms` | only with a token | see [`spending_since`](Self::spending_since) |
/// | `refresh_refused_ms` | only with a token | see [`refresh_refused_since`](Self::refresh_refused_since) |
/// | `extra` | only with a token; empty where absent | an object of the vendor's fields |
///
/// An absent member and `null` both mean "unknown". Times are whole milliseconds since 1970, up to the year 9999.
/// Nothing is passed over: another version, a member that is not listed here, and one that stands twice are errors.
///
/// Times are rounded **down** to a millisecond, so that no token lives longer than it was granted for. One before 1970
/// is written as 0, which is just as long past, and one behind the year 9999 as its last millisecond.
///
/// ```
/// use tower_auth_refresh::token::{Generation, Stored, TokenSet};
///
/// let stored = Stored::from_json(br#"{"version": 1, "generation": 7, "access_token": "first"}"#)?;
/// assert_eq!(stored.generation, Generation::from(7));
/// assert!(stored.token.is_some());
///
/// let next = Stored::new(TokenSet::new("second"), Generation::from(8));
/// let json = next.to_json()?;
/// # Ok::<(), tower_auth_refresh::token::StoredError>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Stored {
    /// The token set; `None` where the session is signed out or has not signed in yet.
    pub token: Option<TokenSet>,
    /// Its number. It is another one after each change.
    pub generation: Generation,
    /// The fencing token of the lease under which this was written. `None` where no lease was held, as when people or
    /// other programs write.
    pub fence: Option<FencingToken>,
    /// How often its writer had written under that lease before. 0, the default, where no lease was held.
    pub revision: u64,
    /// The fencing token of the lease under which the application's last change (`set`, `sign_out`) was stored. Whoever
    /// writes something else passes it on: so a process whose write of such a change was not confirmed finds out whether
    /// it was done, whatever has become of it since. `None`, the default, where there was none.
    pub changed_under: Option<FencingToken>,
    /// Since when its refresh token is being spent: it was sent, and nobody knows yet whether the server has taken it.
    /// `None`, the default, where it was not sent.
    pub spending_since: Option<SystemTime>,
    /// Since when it is known that the server refuses the refresh token: it is not sent again. `None`, the default, where
    /// the server has not said so.
    pub refresh_refused_since: Option<SystemTime>,
    /// Since when the session is signed out. What is stored is a tombstone then: it has no token set and keeps the number,
    /// so that nothing old looks new.
    pub signed_out_since: Option<SystemTime>,
    /// The login that the server refused last, so that no process sends the same wrong password again. It may stand beside
    /// a token set, beside a sign-out, and alone, where nobody has signed in yet.
    pub login_refused: Option<LoginMark>,
}

/// The only version there is.
const VERSION: u64 = 1;

/// The last millisecond of the year 9999. No token lives longer: what does is an overflow or a wrong unit.
const LATEST: u64 = 253_402_300_799_999;

/// How deep a value in `extra` may be nested. A reader gives up at 128 levels, of which the form itself has two.
const DEEPEST: usize = 125;

/// How `expires_at_ms` says that a token does not end.
const NEVER: &str = "never";

/// The members' names.
mod member {
    pub(super) const VERSION: &str = "version";
    pub(super) const GENERATION: &str = "generation";
    pub(super) const FENCE: &str = "fence";
    pub(super) const REVISION: &str = "revision";
    pub(super) const CHANGED_UNDER: &str = "changed_under";
    pub(super) const ACCESS_TOKEN: &str = "access_token";
    pub(super) const REFRESH_TOKEN: &str = "refresh_token";
    pub(super) const SIGNING_KEY: &str = "signing_key";
    pub(super) const ISSUED_AT: &str = "issued_at_ms";
    pub(super) const EXPIRES_AT: &str = "expires_at_ms";
    pub(super) const REFRESH_AT: &str = "refresh_at_ms";
    pub(super) const REFRESH_EXPIRES_AT: &str = "refresh_expires_at_ms";
    pub(super) const SPENDING: &str = "spending_ms";
    pub(super) const REFRESH_REFUSED: &str = "refresh_refused_ms";
    pub(super) const SIGNED_OUT: &str = "signed_out_ms";
    pub(super) const LOGIN_REFUSED: &str = "login_refused";
    pub(super) const EXTRA: &str = "extra";
}

// ===== impl Stored =====

impl Stored {
    /// A token set whose refresh token is neither being spent nor refused.
    #[must_use]
    pub fn new(token: TokenSet, generation: Generation) -> Self {
        Self { token: Some(token), ..Self::nothing(generation) }
    }

    /// A tombstone: the session is signed out.
    #[must_use]
    pub fn signed_out(generation: Generation, since: SystemTime) -> Self {
        Self { signed_out_since: Some(since), ..Self::nothing(generation) }
    }

    /// No token set, and nothing known: the beginning of whatever else there is to say.
    pub(crate) fn nothing(generation: Generation) -> Self {
        Self {
            token: None,
            generation,
            fence: None,
            revision: 0,
            changed_under: None,
            spending_since: None,
            refresh_refused_since: None,
            signed_out_since: None,
            login_refused: None,
        }
    }

    /// Whether it holds neither a token set nor a sign-out: only that a login was refused, if anything.
    pub(crate) fn says_nothing(&self) -> bool {
        self.token.is_none() && self.signed_out_since.is_none()
    }

    /// Whether there is nothing to store: not even that a login was refused.
    pub(crate) fn is_empty(&self) -> bool {
        self.says_nothing() && self.login_refused.is_none()
    }

    /// Which state of the store this is: what the next writer must have seen.
    #[must_use]
    pub fn version(&self) -> Version {
        Version { generation: self.generation, fence: self.fence, revision: self.revision }
    }

    /// This as it is written over what was `found`, under the lease of that number: with all that any writer passes on.
    pub(crate) fn over(self, found: Option<&Self>, fence: Option<FencingToken>) -> Self {
        let earlier = found.filter(|found| fence.is_some() && found.fence == fence);
        Self {
            fence,
            revision: earlier.map_or(0, |earlier| earlier.revision.wrapping_add(1)),
            changed_under: found.and_then(|found| found.changed_under),
            login_refused: found.and_then(|found| found.login_refused),
            ..self
        }
    }

    /// The JSON form, which holds the secrets in the clear. What this writes, [`from_json`](Self::from_json) reads.
    ///
    /// # Errors
    /// When it could not be read again: a token or the signing key is empty, a value in `extra` is nested deeper than 125
    /// levels, or what stands beside a token, or in its place, may not.
    pub fn to_json(&self) -> Result<SecretString, StoredError> {
        self.check()?;
        let form = Form(self);
        for (name, secret) in form.secrets() {
            if secret.is_some_and(str::is_empty) {
                return Err(StoredError::member(name, Reason::NotText));
            }
        }
        let extra = self.token.as_ref().map(TokenSet::extra);
        if extra.is_some_and(|extra| extra.values().any(|value| is_deeper_than(DEEPEST, value))) {
            return Err(StoredError::member(member::EXTRA, Reason::TooDeep));
        }
        form.to_json().ok_or_else(|| StoredError::member(member::EXTRA, Reason::NotWritable))
    }

    /// Reads the JSON form. A byte order mark in front of it is passed over.
    ///
    /// # Errors
    /// When it is not JSON, of another version, or has a member that is missing, not known, there twice, or not of its
    /// form. The error names the member and shows no value.
    pub fn from_json(json: &[u8]) -> Result<Self, StoredError> {
        read::stored(crate::json::without_mark(json))
    }

    /// Whether its parts go together.
    fn check(&self) -> Result<(), StoredError> {
        let is_explained = self.signed_out_since.is_some() || self.login_refused.is_some();
        let wrong = match &self.token {
            Some(_) if self.signed_out_since.is_some() => (member::SIGNED_OUT, Reason::BesideAToken),
            None if self.spending_since.is_some() => (member::SPENDING, Reason::WithoutAToken),
            None if self.refresh_refused_since.is_some() => (member::REFRESH_REFUSED, Reason::WithoutAToken),
            None if !is_explained => (member::ACCESS_TOKEN, Reason::Missing),
            Some(_) | None => return Ok(()),
        };
        Err(StoredError::member(wrong.0, wrong.1))
    }
}

/// What is written of a [`Stored`].
struct Form<'a>(&'a Stored);

impl Form<'_> {
    /// It is written twice, first to be counted: a buffer that grows leaves copies of the secrets behind, and so does
    /// one that is cut to its size.
    fn to_json(&self) -> Option<SecretString> {
        let mut length = Length(0);
        serde_json::to_writer(&mut length, self).ok()?;
        let mut json = Vec::with_capacity(length.0);
        serde_json::to_writer(&mut json, self).ok()?;
        String::from_utf8(json).ok().map(SecretString::from)
    }

    #[allow(clippy::disallowed_methods, reason = "the secrets are put into a store")]
    fn secrets(&self) -> [(&'static str, Option<&str>); 3] {
        let token = self.0.token.as_ref();
        [
            (member::ACCESS_TOKEN, token.map(|token| token.access_token().expose_secret())),
            (member::REFRESH_TOKEN, token.and_then(|token| token.refresh_token().map(|token| token.expose_secret()))),
            (member::SIGNING_KEY, token.and_then(|token| token.signing_key().map(|key| key.expose_secret()))),
        ]
    }
}

impl Serialize for Form<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let stored = self.0;
        let token = stored.token.as_ref();
        let mut form = serializer.serialize_map(None)?;
        form.serialize_entry(member::VERSION, &VERSION)?;
        form.serialize_entry(member::GENERATION, &stored.generation.get())?;
        if let Some(fence) = stored.fence {
            form.serialize_entry(member::FENCE, &fence.get())?;
        }
        if stored.revision > 0 {
            form.serialize_entry(member::REVISION, &stored.revision)?;
        }
        if let Some(fence) = stored.changed_under {
            form.serialize_entry(member::CHANGED_UNDER, &fence.get())?;
        }
        for (name, secret) in self.secrets() {
            if let Some(secret) = secret {
                form.serialize_entry(name, secret)?;
            }
        }
        let time = |time: Option<SystemTime>| time.map(|time| Value::from(milliseconds(time)));
        let expiry = match token.map(TokenSet::expiry) {
            Some(Expiry::Never) => Some(Value::from(NEVER)),
            expiry => time(expiry.and_then(Expiry::time)),
        };
        for (name, value) in [
            (member::ISSUED_AT, time(token.and_then(TokenSet::issued_at))),
            (member::EXPIRES_AT, expiry),
            (member::REFRESH_AT, time(token.and_then(TokenSet::refresh_at))),
            (member::REFRESH_EXPIRES_AT, time(token.and_then(TokenSet::refresh_expires_at))),
            (member::SPENDING, time(stored.spending_since)),
            (member::REFRESH_REFUSED, time(stored.refresh_refused_since)),
            (member::SIGNED_OUT, time(stored.signed_out_since)),
            (member::LOGIN_REFUSED, stored.login_refused.as_ref().map(|mark| Value::from(mark.to_string()))),
        ] {
            if let Some(value) = value {
                form.serialize_entry(name, &value)?;
            }
        }
        if let Some(extra) = token.map(TokenSet::extra).filter(|extra| !extra.is_empty()) {
            form.serialize_entry(member::EXTRA, extra)?;
        }
        form.end()
    }
}

/// Counts what is written.
struct Length(usize);

impl io::Write for Length {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self.0.saturating_add(bytes.len());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn milliseconds(time: SystemTime) -> u64 {
    let since_epoch = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX).min(LATEST)
}

fn is_deeper_than(levels: usize, value: &Value) -> bool {
    let is_deeper = |value| levels.checked_sub(1).is_none_or(|levels| is_deeper_than(levels, value));
    match value {
        Value::Array(items) => levels == 0 || items.iter().any(is_deeper),
        Value::Object(members) => levels == 0 || members.values().any(is_deeper),
        _ => false,
    }
}

#[cfg(test)]
mod tests;
