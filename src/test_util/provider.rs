//! A provider for a protocol as plain as can be.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{Request, Response, StatusCode, Uri, header, request, response};
use secrecy::{ExposeSecret, SecretString};

use crate::{
    credential::Credential,
    provider::{Context, Grant, GrantKind, Provider, ProviderError, Reason, Verdict},
    token::{Expiry, TokenSet},
};

/// A provider for a protocol as plain as can be, which [`AuthServer`](super::AuthServer) speaks.
///
/// `POST /login`, and `POST /refresh` with the refresh token as body, are answered
/// `<access token> <refresh token> <lifetime in seconds>`, the last two optional or `-`. 400 and 401 refuse.
#[derive(Clone, Debug)]
pub struct TestProvider {
    can_log_in: bool,
    place: Place,
    reads_body: bool,
    single_use: bool,
    origin: Uri,
    idp: String,
}

/// How a [`TestProvider`]'s access token travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "complete by definition: mirrors what a credential can be")]
pub enum Place {
    /// `Authorization: Bearer <token>`.
    Bearer,
    /// The query parameter `token`.
    Query,
    /// The cookie `token`.
    Cookie,
    /// `Authorization: Signed <token> <milliseconds since 1970>`, anew on each attempt.
    Signed,
}

const NAME: &str = "test";

/// No token is longer, in bytes.
const LONGEST: usize = 16 * 1024;

impl TestProvider {
    /// A provider that can log in and refresh.
    #[must_use]
    pub fn new() -> Self {
        Self {
            can_log_in: true,
            place: Place::Bearer,
            reads_body: false,
            single_use: true,
            origin: Uri::from_static("https://api.test"),
            idp: String::from("https://id.test"),
        }
    }

    /// A provider that needs somebody to sign in.
    #[must_use]
    pub fn without_login() -> Self {
        Self::new().with_login(false)
    }

    /// A provider whose access token travels there; that of [`new`](Self::new) travels as a bearer token.
    #[must_use]
    pub fn placed(place: Place) -> Self {
        Self { place, ..Self::new() }
    }

    /// Whether a login is configured. Default: it is.
    #[must_use]
    pub fn with_login(self, can_log_in: bool) -> Self {
        Self { can_log_in, ..self }
    }

    /// Whether a rejection is also looked for in the body: `{"rejected":true}`. Default: it is not.
    #[must_use]
    pub fn with_judged_body(self, reads_body: bool) -> Self {
        Self { reads_body, ..self }
    }

    /// Whether a refresh token is spent by its use. Default: it is.
    #[must_use]
    pub fn with_single_use(self, single_use: bool) -> Self {
        Self { single_use, ..self }
    }

    /// The API. Default: `https://api.test`.
    #[must_use]
    pub fn with_origin(self, origin: Uri) -> Self {
        Self { origin, ..self }
    }

    /// The token endpoint, without a slash at its end. Default: `https://id.test`.
    #[must_use]
    pub fn with_token_endpoint(self, uri: impl Into<String>) -> Self {
        Self { idp: uri.into(), ..self }
    }

    /// A token set as the authorization server would grant it, `number` naming its tokens: `access-7`, `refresh-7`.
    #[must_use]
    pub fn token(number: u64, lifetime: Duration, now: SystemTime) -> TokenSet {
        TokenSet::new(format!("access-{number}"))
            .with_refresh_token(format!("refresh-{number}"))
            .with_issued_at(now)
            .with_expiry(Expiry::At(now + lifetime))
    }
}

impl Default for TestProvider {
    fn default() -> Self {
        Self::new()
    }
}

#[allow(clippy::disallowed_methods, reason = "a provider puts secrets on the wire")]
fn expose(secret: &SecretString) -> &str {
    secret.expose_secret()
}

impl Provider for TestProvider {
    fn name(&self) -> &'static str {
        NAME
    }

    fn next_grant(&self, token: Option<&TokenSet>, why: Reason, _: SystemTime) -> Option<GrantKind> {
        let login = self.can_log_in.then_some(GrantKind::Login);
        let refresh = token.and_then(TokenSet::refresh_token).map(|_| GrantKind::Refresh);
        match why {
            Reason::NoToken | Reason::RefreshRefused | Reason::SignIn => login,
            Reason::MaybeSpent => login.or(refresh),
            _ => refresh.or(login),
        }
    }

    fn request(&self, grant: Grant<'_>, _: &Context) -> Result<Request<Bytes>, ProviderError> {
        let (path, body) = match grant {
            Grant::Login => ("login", String::from("credentials")),
            Grant::Refresh(token) => ("refresh", token.refresh_token().map(expose).unwrap_or_default().to_owned()),
        };
        Request::post(format!("{}/{path}", self.idp))
            .body(body.into())
            .map_err(|_| ProviderError::fault(NAME, "is not a request"))
    }

    fn parse(&self, _: Grant<'_>, answer: Response<Bytes>, cx: &Context) -> Result<TokenSet, ProviderError> {
        if matches!(answer.status(), StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED) {
            return Err(ProviderError::refused(NAME, "is refused").with_code(answer.status().as_u16().into()));
        }
        let malformed = |reason| ProviderError::malformed(NAME, "body", reason);
        if !answer.status().is_success() {
            return Err(malformed("is not a success"));
        }
        let length = answer.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        if length.is_some_and(|length: usize| length != answer.body().len()) {
            return Err(malformed("is cut off"));
        }
        let text = std::str::from_utf8(answer.body()).map_err(|_| malformed("is not text"))?;
        let mut fields = text.split(' ').map(|field| if field == "-" { "" } else { field });
        let access = fields.next().filter(|access| !access.is_empty()).ok_or(malformed("is empty"))?;
        if access.starts_with('<') || access.len() > LONGEST {
            return Err(malformed("is no token"));
        }
        let mut token = TokenSet::new(access).with_issued_at(cx.now);
        if let Some(refresh) = fields.next().filter(|refresh| !refresh.is_empty()) {
            token = token.with_refresh_token(refresh);
        }
        if let Some(lifetime) = fields.next().filter(|lifetime| !lifetime.is_empty()) {
            let end = lifetime.parse().ok().and_then(|lifetime| cx.now.checked_add(Duration::from_secs(lifetime)));
            token = token.with_expiry(Expiry::At(end.ok_or(malformed("has no lifetime"))?));
        }
        Ok(token)
    }

    fn credential(&self, token: &TokenSet) -> Result<Credential, ProviderError> {
        let token = token.access_token();
        match self.place {
            Place::Bearer => Credential::bearer(token),
            Place::Query => Credential::query("token", token),
            Place::Cookie => Credential::cookie("token", token),
            Place::Signed => return Ok(Credential::signed()),
        }
        .map_err(|_| ProviderError::malformed(NAME, "access_token", "fits into no request"))
    }

    /// Signs by the token and the time, so that each attempt can be seen to have a signature of its own.
    fn sign(&self, token: &TokenSet, request: &mut request::Parts, cx: &Context) -> Result<(), ProviderError> {
        let time = cx.now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_millis();
        let value = format!("Signed {} {time}", expose(token.access_token()));
        let value = value.parse().map_err(|_| ProviderError::fault(NAME, "is no header"))?;
        request.headers.insert(header::AUTHORIZATION, value);
        Ok(())
    }

    fn judge(&self, answer: &response::Parts) -> Verdict {
        match answer.status {
            StatusCode::UNAUTHORIZED => Verdict::Rejected,
            _ if self.reads_body => Verdict::ReadBody,
            _ => Verdict::Accepted,
        }
    }

    fn judge_body(&self, _: &response::Parts, body: &[u8]) -> bool {
        body == br#"{"rejected":true}"#
    }

    fn origin(&self) -> Option<&Uri> {
        Some(&self.origin)
    }

    fn single_use(&self) -> bool {
        self.single_use
    }
}
