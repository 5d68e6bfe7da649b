//! Quectel's end-user API: JWTs in an envelope, renewed with a single-use refresh token.

mod answer;
mod expiry;
mod login;
mod password;

pub use login::UserDomain;

use std::{fmt, time::SystemTime};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, Uri, header::AUTHORIZATION, response};
use secrecy::SecretString;

use self::login::{Account, Login};
use super::wire;
use crate::{
    credential::Credential,
    provider::{Context, Grant, GrantKind, Provider, ProviderError, Reason, Verdict},
    token::TokenSet,
};

const NAME: &str = "quectel";

/// The end-user API of Quectel's Developer Center ("刷新token", `PUT /v2/enduser/enduserapi/refreshToken`).
///
/// Both tokens come as `Bearer <JWT>` and are sent as they came. An access token lives for two hours, a refresh token
/// for about thirty days, and **each refresh spends the refresh token**: a second use ends in a forced login.
///
/// # On the wire
/// - login: `POST /v2/enduser/enduserapi/emailPwdLogin` with the form fields `email`, `pwd`, `random`, `userDomain` and
///   `signature`; or `phonePwdLogin` with `internationalCode` and `phone` in the place of `email`
/// - refresh: `PUT /v2/enduser/enduserapi/refreshToken?refreshToken=…`, with the access token in `Authorization`
/// - both answer, times in seconds since 1970:
///
/// ```json
/// {"code": 200, "msg": "", "extMsg": "", "data": {
///   "accessToken":  {"token": "Bearer …", "expirationTime": 1750007200},
///   "refreshToken": {"token": "Bearer …", "expirationTime": 1752592000}}}
/// ```
///
/// # When a token is rejected
/// By HTTP 401, and by a successful answer whose envelope has the `code` 5032 (the token is not valid) or 5106 (there
/// is none) beside a `msg`. 5041 and 5477 (no permission) are not cured by another token. Neither are the codes by which a refresh is
/// refused, such as 5115: on another call they say nothing about the access token, and a refresh would spend the
/// refresh token for nothing.
///
/// # When a grant is refused
/// A refresh is refused by 5032, 5033, 5115, 5383, 5486, 5489 and HTTP 401. Code 5000 and HTTP 5xx are transient, and
/// so is every code that is not known, because nobody may be there to sign in. A login is refused by every code but
/// 5000: wrong passwords freeze the account, so one that may have been wrong is not sent again.
///
/// ```
/// use tower_auth_refresh::providers::{Quectel, UserDomain};
///
/// let domain = UserDomain::new("E.DM.1.1", "the domain's secret");
/// let provider = Quectel::europe().email_login("me@example.com", "correct horse", domain);
/// ```
#[derive(Clone)]
pub struct Quectel {
    base_url: Uri,
    login: Option<Login>,
    refresh_in: RefreshIn,
}

/// Where a refresh carries the refresh token, percent-encoded in both places.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum RefreshIn {
    /// In the query, as the documents say. The body is empty, and the type is the documented `application/json`.
    #[default]
    Query,
    /// In a form body (`application/x-www-form-urlencoded`), which live servers accept and which keeps a secret of
    /// thirty days out of access logs.
    Form,
}

// ===== impl Quectel =====

impl Quectel {
    /// The data centre in China, `https://iot-api.quectelcn.com`.
    #[must_use]
    pub fn china() -> Self {
        Self::at("https://iot-api.quectelcn.com")
    }

    /// The data centre in Europe, `https://iot-api.acceleronix.io`.
    #[must_use]
    pub fn europe() -> Self {
        Self::at("https://iot-api.acceleronix.io")
    }

    /// The data centre in North America, `https://iot-api.landecia.com`.
    #[must_use]
    pub fn north_america() -> Self {
        Self::at("https://iot-api.landecia.com")
    }

    fn at(base_url: &'static str) -> Self {
        Self { base_url: Uri::from_static(base_url), login: None, refresh_in: RefreshIn::default() }
    }

    /// Another host than those three. A path in it is kept in front of the API's own paths.
    #[must_use]
    pub fn base_url(mut self, base_url: Uri) -> Self {
        self.base_url = base_url;
        self
    }

    /// Logs in by itself with an email address (`emailPwdLogin`), when there is no token or a refresh is refused.
    ///
    /// By default it does not; of several logins the last one counts.
    #[must_use]
    pub fn email_login(
        mut self,
        email: impl Into<String>,
        password: impl Into<SecretString>,
        domain: UserDomain,
    ) -> Self {
        self.login = Some(Login { account: Account::Email(email.into()), password: password.into(), domain });
        self
    }

    /// Logs in by itself with a phone number (`phonePwdLogin`), like [`email_login`](Self::email_login).
    /// `international_code` is sent as it stands, for example `86`.
    #[must_use]
    pub fn phone_login(
        mut self,
        international_code: impl Into<String>,
        phone: impl Into<String>,
        password: impl Into<SecretString>,
        domain: UserDomain,
    ) -> Self {
        let account = Account::Phone { international_code: international_code.into(), phone: phone.into() };
        self.login = Some(Login { account, password: password.into(), domain });
        self
    }

    /// Where a refresh carries the refresh token. By default [`RefreshIn::Query`].
    #[must_use]
    pub fn refresh_in(mut self, place: RefreshIn) -> Self {
        self.refresh_in = place;
        self
    }

    fn login_request(&self, cx: &Context) -> Result<Request<Bytes>, ProviderError> {
        let login = self.login.as_ref().ok_or_else(|| ProviderError::fault(NAME, "no login is configured"))?;
        let uri = wire::endpoint(NAME, &self.base_url, login.path(), "")?;
        wire::request(NAME, Method::POST, uri, Some(wire::FORM), login.form(cx.nonce))
    }

    fn refresh_request(&self, token: &TokenSet) -> Result<Request<Bytes>, ProviderError> {
        let refresh_token =
            token.refresh_token().ok_or_else(|| ProviderError::fault(NAME, "the token set has no refresh token"))?;
        let pair = wire::encode([("refreshToken", wire::expose(refresh_token))]);
        let (query, content_type, body) = match self.refresh_in {
            RefreshIn::Query => (pair.as_str(), wire::JSON, String::new()),
            RefreshIn::Form => ("", wire::FORM, pair.clone()),
        };
        let uri = wire::endpoint(NAME, &self.base_url, "/v2/enduser/enduserapi/refreshToken", query)?;
        let mut request = wire::request(NAME, Method::PUT, uri, Some(content_type), body)?;
        // Live servers ask for the access token too, and take an expired one.
        let access_token = wire::expose(token.access_token());
        if !access_token.is_empty() {
            let mut value = HeaderValue::from_str(access_token)
                .map_err(|_| ProviderError::fault(NAME, "the access token fits no header"))?;
            value.set_sensitive(true);
            request.headers_mut().insert(AUTHORIZATION, value);
        }
        Ok(request)
    }
}

impl Provider for Quectel {
    fn name(&self) -> &'static str {
        NAME
    }

    fn next_grant(&self, token: Option<&TokenSet>, why: Reason, now: SystemTime) -> Option<GrantKind> {
        let can_refresh = token.is_some_and(|token| wire::is_refreshable(token, now));
        wire::next_grant(why, self.login.is_some(), can_refresh)
    }

    fn request(&self, grant: Grant<'_>, cx: &Context) -> Result<Request<Bytes>, ProviderError> {
        match grant {
            Grant::Login => self.login_request(cx),
            Grant::Refresh(token) => self.refresh_request(token),
        }
    }

    fn parse(&self, grant: Grant<'_>, answer: Response<Bytes>, cx: &Context) -> Result<TokenSet, ProviderError> {
        answer::token_set(grant.kind(), &answer, cx.now)
    }

    fn credential(&self, token: &TokenSet) -> Result<Credential, ProviderError> {
        Credential::header(AUTHORIZATION, token.access_token())
            .map_err(|_| ProviderError::malformed(NAME, answer::ACCESS_TOKEN, "fits no header"))
    }

    fn judge(&self, answer: &response::Parts) -> Verdict {
        // The documents give `*/*` as the type of every answer.
        wire::judge(answer, Verdict::ReadUntypedBody)
    }

    fn judge_body(&self, _answer: &response::Parts, body: &[u8]) -> bool {
        answer::rejects(body)
    }

    fn origin(&self) -> Option<&Uri> {
        Some(&self.base_url)
    }
}

impl fmt::Debug for Quectel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the whole base URL, which may carry user info.
        f.debug_struct("Quectel")
            .field("host", &self.base_url.host())
            .field("login", &self.login)
            .field("refresh_in", &self.refresh_in)
            .finish()
    }
}
