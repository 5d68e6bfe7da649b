//! Why a provider could not build a request or read an answer.

use std::fmt;

/// Why a provider could not build a request, sign one, or read an answer.
///
/// It names the provider, the field and the reason, all of them fixed texts of the provider's own code, the server's
/// numeric code, and a subject in the provider's own words. Nothing that a server wrote belongs in it.
#[derive(Clone, PartialEq, Eq)]
pub struct ProviderError {
    kind: ProviderErrorKind,
    provider: &'static str,
    field: Option<&'static str>,
    reason: &'static str,
    code: Option<i64>,
    subject: Option<Box<str>>,
}

/// What a [`ProviderError`] means for the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProviderErrorKind {
    /// The server refused the grant. Asking again with the same token set or the same login is pointless, so it is
    /// remembered; after a refused refresh one login is tried where the provider can.
    Refused,
    /// The server asks for patience and has spent nothing. Tried again after a backoff.
    Unavailable,
    /// The server failed, and may or may not have spent the refresh token. Tried again after a backoff, as a login
    /// where the provider can.
    ServerError,
    /// The answer cannot be read. Tried again after a backoff; a readable status decides whether the refresh token
    /// counts as spent.
    Malformed,
    /// Something on this side is wrong: a missing setting, a wrong clock, a request that cannot be built. Tried
    /// again after a backoff.
    Fault,
}

impl ProviderError {
    /// The server refused the grant.
    #[must_use]
    pub fn refused(provider: &'static str, reason: &'static str) -> Self {
        Self::new(ProviderErrorKind::Refused, provider, reason)
    }

    /// The server asks for patience and has spent nothing.
    #[must_use]
    pub fn unavailable(provider: &'static str, reason: &'static str) -> Self {
        Self::new(ProviderErrorKind::Unavailable, provider, reason)
    }

    /// The server failed; what became of the refresh token is unknown.
    #[must_use]
    pub fn server_error(provider: &'static str, reason: &'static str) -> Self {
        Self::new(ProviderErrorKind::ServerError, provider, reason)
    }

    /// The answer cannot be read because of `field`.
    #[must_use]
    pub fn malformed(provider: &'static str, field: &'static str, reason: &'static str) -> Self {
        Self { field: Some(field), ..Self::new(ProviderErrorKind::Malformed, provider, reason) }
    }

    /// Something on this side is wrong.
    #[must_use]
    pub fn fault(provider: &'static str, reason: &'static str) -> Self {
        Self::new(ProviderErrorKind::Fault, provider, reason)
    }

    fn new(kind: ProviderErrorKind, provider: &'static str, reason: &'static str) -> Self {
        Self { kind, provider, field: None, reason, code: None, subject: None }
    }

    /// Adds the server's own code.
    #[must_use]
    pub fn with_code(mut self, code: i64) -> Self {
        self.code = Some(code);
        self
    }

    /// Adds what the error is about, in the caller's own words: a route, a media type. Never a secret, and never
    /// text that a server wrote.
    #[must_use]
    pub fn with_subject(mut self, subject: impl Into<Box<str>>) -> Self {
        self.subject = Some(subject.into());
        self
    }

    /// What it means for the session.
    #[must_use]
    pub fn kind(&self) -> ProviderErrorKind {
        self.kind
    }

    /// The provider's name.
    #[must_use]
    pub fn provider(&self) -> &'static str {
        self.provider
    }

    /// The field that could not be read.
    #[must_use]
    pub fn field(&self) -> Option<&'static str> {
        self.field
    }

    /// The reason, a fixed phrase.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        self.reason
    }

    /// What it is about.
    #[must_use]
    pub fn subject(&self) -> Option<&str> {
        self.subject.as_deref()
    }

    /// The server's own code.
    #[must_use]
    pub fn code(&self) -> Option<i64> {
        self.code
    }
}

impl std::error::Error for ProviderError {}

impl fmt::Display for ProviderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.provider)?;
        if let Some(field) = self.field {
            write!(f, "{field}: ")?;
        }
        f.write_str(self.reason)?;
        if let Some(subject) = &self.subject {
            write!(f, ": {subject}")?;
        }
        if let Some(code) = self.code {
            write!(f, " (code {code})")?;
        }
        Ok(())
    }
}

impl fmt::Debug for ProviderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ProviderError({:?}, \"{self}\")", self.kind)
    }
}
