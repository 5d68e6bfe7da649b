//! FashionWorld: key pairs instead of tokens, and a `Caa` signature on every attempt.

mod action;
mod answer;
mod signature;

pub use action::Action;

use std::{borrow::Cow, fmt, sync::Arc, time::SystemTime};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, Uri, header::AUTHORIZATION, request, response};
use secrecy::SecretString;
use serde_json::json;

use super::wire;
use crate::{
    credential::Credential,
    provider::{Context, Grant, GrantKind, Provider, ProviderError, Reason, Verdict},
    token::TokenSet,
};

const NAME: &str = "fashion-world";

/// The FashionWorld API ("个人中心 - 刷新令牌", the refresh of a login in the personal centre).
///
/// There is no refresh token. A login gives a pair of keys: [`access_token`](TokenSet::access_token) is the `apiKey`,
/// [`signing_key`](TokenSet::signing_key) is the `secretKey`, and the pair lives for about three days. While it lives
/// it can be exchanged for the next pair; once it has ended only a login helps. The answer's `userId` and `user` are
/// kept as they came in [`extra`](TokenSet::extra); `user` is personal data.
///
/// # On the wire
/// - login: `POST /api/my/login` with `{"mobile": "…", "password": "…"}`
/// - refresh: `POST /api/my/refresh-token`, empty and signed with the action `client:my:refresh-token`
/// - both answer, the expiry in milliseconds since 1970:
///
/// ```json
/// {"apiKey": "…", "secretKey": "…", "userId": "…", "expireIn": 1750259200000, "user": {}}
/// ```
///
/// # Actions
/// Every request is signed with the *action* of its route, a name such as `client:my:fetch-my-profile` that is never
/// sent. A request names it by an [`Action`] in its extensions; where it does not, the function given to
/// [`actions`](Self::actions) is asked. A request without an action is not sent, and the error names its route.
///
/// # When a pair is rejected
/// A request is rejected by HTTP 404 with the message `apiKey not found`, and by nothing else: other messages with 404,
/// HTTP 400 and 401 are no statement about the pair. The server deletes a pair before it makes the next one, so a
/// rejected pair is gone and cannot be exchanged: with a [`login`](Self::login) that comes first. A login while a
/// pair lives returns that pair with its original expiry, and so also recovers a refresh whose answer was lost.
///
/// ```
/// use std::borrow::Cow;
///
/// use http::Method;
/// use tower_auth_refresh::providers::FashionWorld;
///
/// let provider = FashionWorld::new("https://api.example.com".parse()?)
///     .login("13800000000", "correct horse")
///     .actions(|method, path| match (method, path) {
///         (&Method::GET, "/api/my") => Some(Cow::Borrowed("client:my:fetch-my-profile")),
///         _ => None,
///     });
/// # Ok::<(), http::uri::InvalidUri>(())
/// ```
#[derive(Clone)]
pub struct FashionWorld {
    base_url: Uri,
    login: Option<Login>,
    actions: Option<Arc<Actions>>,
}

type Actions = dyn Fn(&Method, &str) -> Option<Cow<'static, str>> + Send + Sync;

#[derive(Clone)]
struct Login {
    mobile: String,
    password: SecretString,
}

// ===== impl FashionWorld =====

impl FashionWorld {
    /// The API at `base_url`; the documents name no public host, so there is no default. A path in it is kept in
    /// front of the API's own paths.
    #[must_use]
    pub fn new(base_url: Uri) -> Self {
        Self { base_url, login: None, actions: None }
    }

    /// Logs in by itself with a mobile number and its password, when there is no pair or the pair is gone.
    ///
    /// By default it does not: a pair that has ended then needs a new one from the application.
    #[must_use]
    pub fn login(mut self, mobile: impl Into<String>, password: impl Into<SecretString>) -> Self {
        self.login = Some(Login { mobile: mobile.into(), password: password.into() });
        self
    }

    /// Tells the action of a route from a request's method and its path, without the query. Asked once per attempt,
    /// and only for requests without an [`Action`] of their own. By default there is no such function.
    #[must_use]
    pub fn actions(
        mut self,
        actions: impl Fn(&Method, &str) -> Option<Cow<'static, str>> + Send + Sync + 'static,
    ) -> Self {
        self.actions = Some(Arc::new(actions));
        self
    }

    fn login_request(&self) -> Result<Request<Bytes>, ProviderError> {
        let login = self.login.as_ref().ok_or_else(|| ProviderError::fault(NAME, "no login is configured"))?;
        let body = json!({ "mobile": login.mobile, "password": wire::expose(&login.password) }).to_string();
        let uri = wire::endpoint(NAME, &self.base_url, "/api/my/login", "")?;
        wire::request(NAME, Method::POST, uri, Some(wire::JSON), body)
    }

    fn refresh_request(&self, token: &TokenSet, cx: &Context) -> Result<Request<Bytes>, ProviderError> {
        let uri = wire::endpoint(NAME, &self.base_url, "/api/my/refresh-token", "")?;
        // The body is empty; the documents' example names this type all the same.
        let mut request = wire::request(NAME, Method::POST, uri, Some(wire::FORM), Bytes::new())?;
        let value = signature::authorization(token, "client:my:refresh-token", cx.now)?;
        request.headers_mut().insert(AUTHORIZATION, value);
        Ok(request)
    }

    fn action<'a>(&self, request: &'a request::Parts) -> Result<Cow<'a, str>, ProviderError> {
        if let Some(action) = request.extensions.get::<Action>() {
            return Ok(Cow::Borrowed(action.as_str()));
        }
        let (method, path) = (&request.method, request.uri.path());
        self.actions.as_ref().and_then(|actions| actions(method, path)).ok_or_else(|| {
            ProviderError::fault(NAME, "the route has no action").with_subject(format!("{method} {path}"))
        })
    }
}

impl Provider for FashionWorld {
    fn name(&self) -> &'static str {
        NAME
    }

    /// A pair past its expiry is never exchanged. A rejected one is gone, so a login comes first where there is one.
    fn next_grant(&self, token: Option<&TokenSet>, why: Reason, now: SystemTime) -> Option<GrantKind> {
        let can_refresh = token.is_some_and(|token| token.signing_key().is_some() && !token.expiry().is_expired(now));
        let why = if why == Reason::Rejected { Reason::MaybeSpent } else { why };
        wire::next_grant(why, self.login.is_some(), can_refresh)
    }

    fn request(&self, grant: Grant<'_>, cx: &Context) -> Result<Request<Bytes>, ProviderError> {
        match grant {
            Grant::Login => self.login_request(),
            Grant::Refresh(token) => self.refresh_request(token, cx),
        }
    }

    fn parse(&self, grant: Grant<'_>, answer: Response<Bytes>, cx: &Context) -> Result<TokenSet, ProviderError> {
        answer::token_set(grant.kind(), &answer, cx.now)
    }

    fn credential(&self, token: &TokenSet) -> Result<Credential, ProviderError> {
        signature::pair(token).map(|_| Credential::signed())
    }

    fn sign(&self, token: &TokenSet, request: &mut request::Parts, cx: &Context) -> Result<(), ProviderError> {
        let value = signature::authorization(token, &self.action(request)?, cx.now)?;
        request.headers.insert(AUTHORIZATION, value);
        Ok(())
    }

    fn judge(&self, answer: &response::Parts) -> Verdict {
        if answer.status == StatusCode::NOT_FOUND { Verdict::ReadBody } else { Verdict::Accepted }
    }

    fn judge_body(&self, _answer: &response::Parts, body: &[u8]) -> bool {
        wire::envelope(body).is_some_and(|members| answer::message(&members) == Some(answer::KEY_NOT_FOUND))
    }

    fn origin(&self) -> Option<&Uri> {
        Some(&self.base_url)
    }
}

impl fmt::Debug for FashionWorld {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the whole base URL, which may carry user info, and not the mobile number, which is personal.
        f.debug_struct("FashionWorld")
            .field("host", &self.base_url.host())
            .field("login", &self.login.is_some())
            .field("actions", &self.actions.is_some())
            .finish()
    }
}
