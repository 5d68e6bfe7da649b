//! Kanfang (`webapi.123kanfang.com`): a bare token named `Authorization`, in a header, the query or a cookie.

use std::{fmt, time::SystemTime};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, Uri, header::AUTHORIZATION, response};
use serde_json::{Map, Value};

use crate::{
    credential::{Credential, InvalidCredential},
    provider::{Context, Grant, GrantKind, Provider, ProviderError, Reason, Verdict},
    providers::wire,
    token::{Expiry, SecretString, TokenSet},
};

/// The Kanfang API, as its document "刷新身份授权的Token" describes it.
///
/// A token lives for two days and its refresh token for thirty, and each refresh brings a new pair. An expired access
/// token is refused by HTTP 401 or by `state` 401 in an answer that is otherwise fine. `state` 403 (access refused),
/// 500 (server error) and, on a business call, 4011 (sign in again) cause no refresh.
///
/// # On the wire
/// - login: `GET /v2/Authorization/GetAccessToken?authKey=…&authValue=…`
/// - refresh: `GET /v2/Authorization/RefreshToken` with the refresh token in `Authorization`
/// - both answer, lifetimes in seconds:
///
/// ```json
/// {"state": 200, "payload": {"token": "…", "tokenExpireIn": 172800,
///   "refreshToken": "…", "refreshTokenExpireIn": 2592000}}
/// ```
///
/// Without [`login`](Self::login) the first token set must come from the application.
///
/// ```
/// use tower_auth_refresh::providers::{Kanfang, Place};
///
/// let provider = Kanfang::new()
///     .login("my-key", "my-secret")
///     .client_edition(Kanfang::PARTNER_SERVER)
///     .place(Place::Query);
/// assert!(!format!("{provider:?}").contains("my-secret"));
/// ```
#[derive(Clone)]
pub struct Kanfang {
    base_url: Uri,
    login: Option<Login>,
    client_edition: Option<String>,
    place: Place,
    refresh_place: Place,
    refresh_with: RefreshWith,
}

/// Where the token named `Authorization` travels. The document allows any one of the three.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Place {
    /// The bare token, without `Bearer`, as the `Authorization` header.
    #[default]
    Header,
    /// The percent-encoded token as the query parameter `Authorization`. Servers and proxies tend to log queries.
    Query,
    /// The percent-encoded token as the cookie `Authorization`.
    Cookie,
}

/// Which token the refresh call presents: the document does not say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum RefreshWith {
    /// The refresh token, as long as it has not ended.
    #[default]
    RefreshToken,
    /// The access token, also when it has expired.
    AccessToken,
}

#[derive(Clone)]
struct Login {
    auth_key: String,
    auth_value: SecretString,
}

const NAME: &str = "kanfang";

/// The parameter and the cookie are named like the header.
const PARAMETER: &str = "Authorization";

// ===== impl Kanfang =====

impl Kanfang {
    /// The [`client_edition`](Self::client_edition) that the document gives to servers of partners.
    pub const PARTNER_SERVER: &'static str = "ps_1.0.0";

    /// The documented production host, the token in the header everywhere, and no login.
    #[must_use]
    pub fn new() -> Self {
        Self {
            base_url: Uri::from_static("https://webapi.123kanfang.com"),
            login: None,
            client_edition: None,
            place: Place::default(),
            refresh_place: Place::default(),
            refresh_with: RefreshWith::default(),
        }
    }

    /// Another host, with a path in front of `/v2` where there is one. Default: `https://webapi.123kanfang.com`. The
    /// documented test host, `http://webapi.123kanfang.com:5000`, needs the session's consent to plain http.
    #[must_use]
    pub fn base_url(mut self, base_url: Uri) -> Self {
        self.base_url = base_url;
        self
    }

    /// Lets the session get token sets by itself, with the pair that Kanfang hands out. Default: none, somebody must
    /// sign in. The API takes both in the query of a `GET`.
    #[must_use]
    pub fn login(mut self, auth_key: impl Into<String>, auth_value: impl Into<SecretString>) -> Self {
        self.login = Some(Login { auth_key: auth_key.into(), auth_value: auth_value.into() });
        self
    }

    /// What kind of client this is, sent as `clientEdtion` (spelled so) with a login and with a refresh. Default: not
    /// sent. Servers of partners send [`PARTNER_SERVER`](Self::PARTNER_SERVER).
    #[must_use]
    pub fn client_edition(mut self, edition: impl Into<String>) -> Self {
        self.client_edition = Some(edition.into());
        self
    }

    /// Where the token travels on business calls. Default: [`Place::Header`].
    #[must_use]
    pub fn place(mut self, place: Place) -> Self {
        self.place = place;
        self
    }

    /// Where the token travels on the refresh call. Default: [`Place::Header`].
    #[must_use]
    pub fn refresh_place(mut self, place: Place) -> Self {
        self.refresh_place = place;
        self
    }

    /// Which token the refresh call presents. Default: [`RefreshWith::RefreshToken`].
    #[must_use]
    pub fn refresh_with(mut self, token: RefreshWith) -> Self {
        self.refresh_with = token;
        self
    }

    fn login_request(&self) -> Result<Request<Bytes>, ProviderError> {
        let login = self.login.as_ref().ok_or_else(|| ProviderError::fault(NAME, "no login is configured"))?;
        let pair = [("authKey", login.auth_key.as_str()), ("authValue", wire::expose(&login.auth_value))];
        let query = wire::encode(pair.into_iter().chain(self.edition()));
        let uri = wire::endpoint(NAME, &self.base_url, "/v2/Authorization/GetAccessToken", &query)?;
        wire::request(NAME, Method::GET, uri, None, Bytes::new())
    }

    fn refresh_request(&self, current: &TokenSet) -> Result<Request<Bytes>, ProviderError> {
        let token = match self.refresh_with {
            RefreshWith::AccessToken => current.access_token(),
            RefreshWith::RefreshToken => {
                current.refresh_token().ok_or_else(|| ProviderError::fault(NAME, "there is no refresh token"))?
            }
        };
        let query = wire::encode(self.edition());
        let uri = wire::endpoint(NAME, &self.base_url, "/v2/Authorization/RefreshToken", &query)?;
        let mut request = wire::request(NAME, Method::GET, uri, None, Bytes::new())?;
        let sent = self.refresh_place.carry(token).ok().and_then(|credential| credential.apply(&mut request).ok());
        sent.ok_or_else(|| ProviderError::fault(NAME, "no request can carry the token to refresh with"))?;
        Ok(request)
    }

    fn edition(&self) -> Option<(&str, &str)> {
        self.client_edition.as_deref().map(|edition| ("clientEdtion", edition))
    }
}

impl Provider for Kanfang {
    fn name(&self) -> &'static str {
        NAME
    }

    fn next_grant(&self, token: Option<&TokenSet>, why: Reason, now: SystemTime) -> Option<GrantKind> {
        let can_refresh = token.is_some_and(|token| match self.refresh_with {
            RefreshWith::RefreshToken => wire::is_refreshable(token, now),
            RefreshWith::AccessToken => true,
        });
        wire::next_grant(why, self.login.is_some(), can_refresh)
    }

    fn request(&self, grant: Grant<'_>, _: &Context) -> Result<Request<Bytes>, ProviderError> {
        match grant {
            Grant::Login => self.login_request(),
            Grant::Refresh(current) => self.refresh_request(current),
        }
    }

    fn parse(&self, grant: Grant<'_>, answer: Response<Bytes>, cx: &Context) -> Result<TokenSet, ProviderError> {
        let envelope = wire::object(NAME, &answer);
        if !answer.status().is_success() {
            return Err(unsuccessful(answer.status(), envelope.ok().as_ref()));
        }
        let envelope = envelope?;
        match state(&envelope)? {
            200 => match envelope.get("payload") {
                Some(Value::Object(payload)) => granted(grant, payload, cx.now),
                None | Some(Value::Null) => Err(ProviderError::malformed(NAME, "payload", "is missing")),
                Some(_) => Err(ProviderError::malformed(NAME, "payload", "is not an object")),
            },
            state => Err(failure(state)),
        }
    }

    fn credential(&self, token: &TokenSet) -> Result<Credential, ProviderError> {
        self.place
            .carry(token.access_token())
            .map_err(|_| ProviderError::malformed(NAME, "token", "does not fit into a request"))
    }

    fn judge(&self, answer: &response::Parts) -> Verdict {
        wire::judge(answer, Verdict::ReadBody)
    }

    fn judge_body(&self, _: &response::Parts, body: &[u8]) -> bool {
        wire::envelope(body).is_some_and(|envelope| {
            wire::code(envelope.get("state")) == Some(401) && envelope.get("payload").is_some_and(Value::is_string)
        })
    }

    fn origin(&self) -> Option<&Uri> {
        Some(&self.base_url)
    }
}

impl Default for Kanfang {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Kanfang {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kanfang")
            .field("host", &self.base_url.host())
            .field("login", &self.login.as_ref().map(|_| "[REDACTED]"))
            .field("client_edition", &self.client_edition)
            .field("place", &self.place)
            .field("refresh_place", &self.refresh_place)
            .field("refresh_with", &self.refresh_with)
            .finish()
    }
}

// ===== impl Place =====

impl Place {
    fn carry(self, token: &SecretString) -> Result<Credential, InvalidCredential> {
        match self {
            Self::Header => Credential::header(AUTHORIZATION, token),
            Self::Query => Credential::query(PARAMETER, token),
            Self::Cookie => Credential::cookie(PARAMETER, token),
        }
    }
}

fn state(envelope: &Map<String, Value>) -> Result<i64, ProviderError> {
    match envelope.get("state") {
        None | Some(Value::Null) => Err(ProviderError::malformed(NAME, "state", "is missing")),
        state => wire::code(state).ok_or_else(|| ProviderError::malformed(NAME, "state", "is not an integer")),
    }
}

fn granted(grant: Grant<'_>, payload: &Map<String, Value>, now: SystemTime) -> Result<TokenSet, ProviderError> {
    let seconds = |field, name| wire::seconds_from(now, NAME, field, payload.get(name));

    let token = wire::string(NAME, "payload.token", payload.get("token"))?;
    let mut set = TokenSet::new(token).with_issued_at(now);
    // The document promises a lifetime. A grant without one is still worth more than none: the pair before it is
    // spent, and its token works until it is rejected.
    if let Some(end) = seconds("payload.tokenExpireIn", "tokenExpireIn")? {
        set = set.with_expiry(Expiry::At(end));
    }

    let fresh = wire::optional_string(NAME, "payload.refreshToken", payload.get("refreshToken"))?;
    let mut end = seconds("payload.refreshTokenExpireIn", "refreshTokenExpireIn")?;
    let refresh_token = match (fresh.map(SecretString::from), grant) {
        (None, Grant::Refresh(old)) => {
            // It has just been taken, so an end that has passed was never true.
            end = end.or(old.refresh_expires_at().filter(|end| *end > now));
            old.refresh_token().cloned()
        }
        (fresh, _) => fresh,
    };
    if let Some(refresh_token) = refresh_token {
        set = set.with_refresh_token(refresh_token);
    }
    Ok(if let Some(end) = end { set.with_refresh_expires_at(end) } else { set })
}

/// The documented states other than 200. The state decides even when `payload` is not the promised string: an answer
/// that says so must not be asked for again and again.
fn failure(state: i64) -> ProviderError {
    match state {
        401 => ProviderError::refused(NAME, "not authenticated"),
        403 => ProviderError::refused(NAME, "access refused"),
        4011 => ProviderError::refused(NAME, "the token cannot be refreshed"),
        500 => ProviderError::server_error(NAME, "the server failed"),
        _ => ProviderError::malformed(NAME, "state", "is not a documented state"),
    }
    .with_code(state)
}

fn unsuccessful(status: StatusCode, envelope: Option<&Map<String, Value>>) -> ProviderError {
    match envelope.and_then(|envelope| state(envelope).ok()) {
        _ if wire::is_failing(status) => wire::unsuccessful(NAME, status),
        Some(state @ (401 | 403 | 4011)) => failure(state),
        _ if status == StatusCode::UNAUTHORIZED => failure(401),
        Some(state @ 500) => failure(state),
        _ => wire::unsuccessful(NAME, status),
    }
}
