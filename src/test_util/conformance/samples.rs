//! What the checks need to know of an API.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http::Response;

/// Answers of the real API, as its documents show them or as they were recorded, with tokens that are good for nothing
/// any more: of at least eight characters, and like no word of the provider's own texts, in which they are looked for.
///
/// What a provider cannot do is left out: without a sample login its login is not asked for, and without a sample
/// refresh its refresh is not.
#[derive(Clone)]
pub struct Samples {
    pub(super) at: SystemTime,
    pub(super) login: Option<Response<Bytes>>,
    pub(super) refresh: Option<Response<Bytes>>,
    pub(super) refused: Option<Response<Bytes>>,
    pub(super) rejected: Option<Response<Bytes>>,
    pub(super) secrets: Vec<String>,
    pub(super) printed: Option<String>,
    pub(super) allow_http: bool,
    pub(super) lifetime: Option<Duration>,
    pub(super) keeps_refresh_token: bool,
    pub(super) derives_tokens: bool,
    pub(super) hides_access_token: bool,
}

impl Samples {
    /// No samples yet, of answers that were given at this time: before the end of what they grant.
    #[must_use]
    pub fn at(time: SystemTime) -> Self {
        Self {
            at: time,
            login: None,
            refresh: None,
            refused: None,
            rejected: None,
            secrets: Vec::new(),
            printed: None,
            allow_http: false,
            lifetime: None,
            keeps_refresh_token: false,
            derives_tokens: false,
            hides_access_token: false,
        }
    }

    /// The answer to a login that grants a token set.
    #[must_use]
    pub fn login(self, granted: Response<Bytes>) -> Self {
        Self { login: Some(granted), ..self }
    }

    /// The answer to a refresh that grants a token set.
    #[must_use]
    pub fn refresh(self, granted: Response<Bytes>) -> Self {
        Self { refresh: Some(granted), ..self }
    }

    /// The answer that refuses a refresh; or a login, where there is no refresh.
    #[must_use]
    pub fn refused(self, refused: Response<Bytes>) -> Self {
        Self { refused: Some(refused), ..self }
    }

    /// The API's own answer to a request whose token it does not take. Needed only where it is not status 401 with a
    /// `Bearer` challenge; a status that it has may reject by itself.
    #[must_use]
    pub fn rejected(self, rejected: Response<Bytes>) -> Self {
        Self { rejected: Some(rejected), ..self }
    }

    /// A password or key that the provider was made with. It is looked for in all that is printed, as the samples'
    /// tokens are.
    #[must_use]
    pub fn secret(mut self, secret: impl Into<String>) -> Self {
        self.secrets.push(secret.into());
        self
    }

    /// The provider's `Debug` output, to be searched for secrets.
    #[must_use]
    pub fn printed(self, provider: &impl fmt::Debug) -> Self {
        Self { printed: Some(format!("{provider:?} {provider:#?}")), ..self }
    }

    /// The provider speaks to plain http, and is meant to.
    #[must_use]
    pub fn allow_http(self) -> Self {
        Self { allow_http: true, ..self }
    }

    /// How long the samples' access tokens live, from the samples' time on. It is then checked exactly; without it a
    /// provider may take minutes for seconds, or read no lifetime at all.
    #[must_use]
    pub fn lifetime(self, lifetime: Duration) -> Self {
        Self { lifetime: Some(lifetime), ..self }
    }

    /// A refresh grants no refresh token: that of the set before stays in use. Without this a provider that keeps it
    /// fails, unless its refresh tokens may be [used again](crate::Provider::single_use).
    #[must_use]
    pub fn keeps_refresh_token(self) -> Self {
        Self { keeps_refresh_token: true, ..self }
    }

    /// The tokens do not stand in the answers, but are made from them: decrypted, or put together.
    #[must_use]
    pub fn derives_tokens(self) -> Self {
        Self { derives_tokens: true, ..self }
    }

    /// A request does not show the access token that it carries, because it is encoded or hashed. No check in a session
    /// applies then, as no server could tell the tokens. Signed requests need no such word.
    #[must_use]
    pub fn hides_access_token(self) -> Self {
        Self { hides_access_token: true, ..self }
    }
}

impl fmt::Debug for Samples {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Samples")
            .field("at", &self.at)
            .field("login", &self.login.is_some())
            .field("refresh", &self.refresh.is_some())
            .field("refused", &self.refused.is_some())
            .field("rejected", &self.rejected.is_some())
            .field("secrets", &self.secrets.len())
            .field("allow_http", &self.allow_http)
            .field("lifetime", &self.lifetime)
            .field("keeps_refresh_token", &self.keeps_refresh_token)
            .field("derives_tokens", &self.derives_tokens)
            .field("hides_access_token", &self.hides_access_token)
            .finish_non_exhaustive()
    }
}
