//! Accuat (`sparkapi.accuat.com`): a signed form buys the first token, which travels in the query.

mod answer;

use std::{fmt, time::SystemTime};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri, header::LOCATION, response};
use md5::{Digest, Md5};
use serde_json::{Value, json};

use crate::{
    credential::Credential,
    provider::{Context, Grant, GrantKind, Provider, ProviderError, Reason, Verdict},
    providers::wire,
    token::{SecretString, TokenSet},
};

/// The Accuat API, as its document "授权接口" and "刷新Token接口" describes it.
///
/// A token lives for an hour, or less where the server ends it early, and each refresh brings a new pair. Every
/// business call carries `?token=…`. A refused token shows as HTTP 401, as `Result` (or `Code`) 401 in an answer that
/// is otherwise fine, or as a redirect to a login page: keep redirect followers outside of this crate's layer.
///
/// # On the wire
/// - login: `POST /connect/authorize` with the form fields `GrantType`, `AppId`, `Random`, `Signature` and, if set,
///   `Language`
/// - refresh: `POST /connect/refreshtoken?token=…` with the form field `RefreshToken`
/// - both answer, the lifetime in seconds (`AccessToken` on a login, `Token` on a refresh):
///
/// ```json
/// {"Result": 200, "Message": "", "Time": "…", "Data":
///   {"Token": "…", "RefreshToken": "…", "ExpiredIn": 3600}}
/// ```
///
/// Without [`login`](Self::login) the first token set must come from the application.
///
/// ```
/// use tower_auth_refresh::providers::{Accuat, Language};
///
/// let provider = Accuat::new("https://spark.example".parse()?).login("my-app", "my-secret").language(Language::English);
/// assert!(!format!("{provider:?}").contains("my-secret"));
/// # Ok::<(), http::uri::InvalidUri>(())
/// ```
#[derive(Clone)]
pub struct Accuat {
    base_url: Uri,
    login: Option<Login>,
    grant_type: String,
    language: Option<Language>,
    uppercase_signature: bool,
    refresh_in: BodyFormat,
    login_page: Option<String>,
}

/// The language of the server's messages, which this crate never shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Language {
    /// `zh-CN`, also the server's choice when nothing is sent.
    Chinese,
    /// `en-US`.
    English,
}

/// How the refresh call encodes its body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum BodyFormat {
    /// `application/x-www-form-urlencoded`.
    #[default]
    Form,
    /// `application/json`.
    Json,
}

#[derive(Clone)]
struct Login {
    app_id: String,
    secret_key: SecretString,
}

const NAME: &str = "accuat";

// ===== impl Accuat =====

impl Accuat {
    /// The API at `base_url`, with a path in front of `/connect` where there is one, and no login. The documented host,
    /// `http://sparkapi.accuat.com`, needs the session's consent to plain http.
    #[must_use]
    pub fn new(base_url: Uri) -> Self {
        Self {
            base_url,
            login: None,
            grant_type: "client_credential".to_owned(),
            language: None,
            uppercase_signature: false,
            refresh_in: BodyFormat::default(),
            login_page: None,
        }
    }

    /// Lets the session get token sets by itself. The secret key signs and is never sent. Default: none, somebody must
    /// sign in.
    #[must_use]
    pub fn login(mut self, app_id: impl Into<String>, secret_key: impl Into<SecretString>) -> Self {
        self.login = Some(Login { app_id: app_id.into(), secret_key: secret_key.into() });
        self
    }

    /// The `GrantType` of a login. Default: `client_credential`, which is also the server's. It is always sent: a
    /// server that signs what it received and one that signs what it filled in then agree.
    #[must_use]
    pub fn grant_type(mut self, grant_type: impl Into<String>) -> Self {
        self.grant_type = grant_type.into();
        self
    }

    /// The `Language` of a login. Default: not sent, which means Chinese.
    #[must_use]
    pub fn language(mut self, language: Language) -> Self {
        self.language = Some(language);
        self
    }

    /// Writes `Signature` in uppercase hex. Default: lowercase.
    #[must_use]
    pub fn uppercase_signature(mut self) -> Self {
        self.uppercase_signature = true;
        self
    }

    /// How the refresh call encodes its body. Default: [`BodyFormat::Form`].
    #[must_use]
    pub fn refresh_in(mut self, format: BodyFormat) -> Self {
        self.refresh_in = format;
        self
    }

    /// The path of the login page to which the server redirects a refused token, such as `/Account/Login`, compared
    /// without regard to case. Default: any path with a segment that is `login`, `logon` or `signin`, also with
    /// an extension (`login.aspx`) or as the last of several words (`user-login`).
    #[must_use]
    pub fn login_page(mut self, path: impl Into<String>) -> Self {
        self.login_page = Some(path.into());
        self
    }

    fn login_request(&self, cx: &Context) -> Result<Request<Bytes>, ProviderError> {
        let login = self.login.as_ref().ok_or_else(|| ProviderError::fault(NAME, "no login is configured"))?;
        let random = guid(cx.nonce);
        let mut form = vec![("GrantType", self.grant_type.as_str()), ("AppId", login.app_id.as_str())];
        form.extend(self.language.map(|language| ("Language", language.tag())));
        form.push(("Random", &random));
        let signature = signature(&form, &login.secret_key, self.uppercase_signature);
        form.push(("Signature", &signature));

        let uri = wire::endpoint(NAME, &self.base_url, "/connect/authorize", "")?;
        wire::request(NAME, Method::POST, uri, Some(wire::FORM), wire::encode(form))
    }

    fn refresh_request(&self, current: &TokenSet) -> Result<Request<Bytes>, ProviderError> {
        let refresh_token = current.refresh_token().map(wire::expose);
        let refresh_token = refresh_token.ok_or_else(|| ProviderError::fault(NAME, "there is no refresh token"))?;
        let (content_type, body) = match self.refresh_in {
            BodyFormat::Form => (wire::FORM, wire::encode([("RefreshToken", refresh_token)])),
            BodyFormat::Json => (wire::JSON, json!({ "RefreshToken": refresh_token }).to_string()),
        };
        let uri = wire::endpoint(NAME, &self.base_url, "/connect/refreshtoken", "")?;
        let mut request = wire::request(NAME, Method::POST, uri, Some(content_type), body)?;
        let credential = Credential::query("token", current.access_token()).ok();
        let sent = credential.and_then(|credential| credential.apply(&mut request).ok());
        sent.ok_or_else(|| ProviderError::fault(NAME, "no request can carry the access token"))?;
        Ok(request)
    }

    fn redirects_to_login(&self, status: StatusCode, headers: &HeaderMap) -> bool {
        let location = headers.get(LOCATION).filter(|_| matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308));
        let Some(location) = location.and_then(|value| std::str::from_utf8(value.as_bytes()).ok()) else {
            return false;
        };
        let path = path(location);
        match &self.login_page {
            Some(page) => path.trim_end_matches('/').eq_ignore_ascii_case(page.trim_end_matches('/')),
            None => path.split('/').any(is_login),
        }
    }
}

impl Provider for Accuat {
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
            Grant::Refresh(current) => self.refresh_request(current),
        }
    }

    fn parse(&self, grant: Grant<'_>, answer: Response<Bytes>, cx: &Context) -> Result<TokenSet, ProviderError> {
        let envelope = wire::object(NAME, &answer);
        if !answer.status().is_success() {
            let login_page = self.redirects_to_login(answer.status(), answer.headers());
            return Err(answer::unsuccessful(answer.status(), envelope.ok().as_ref(), login_page));
        }
        let envelope = envelope?;
        match answer::result(&envelope)? {
            None | Some(0 | 200) => answer::granted(grant, answer::fields(&envelope)?, cx.now),
            Some(code) => Err(answer::refused(code)),
        }
    }

    fn credential(&self, token: &TokenSet) -> Result<Credential, ProviderError> {
        Credential::query("token", token.access_token())
            .map_err(|_| ProviderError::malformed(NAME, "token", "does not fit into a request"))
    }

    fn judge(&self, answer: &response::Parts) -> Verdict {
        if self.redirects_to_login(answer.status, &answer.headers) {
            Verdict::Rejected
        } else {
            wire::judge(answer, Verdict::ReadBody)
        }
    }

    fn judge_body(&self, _: &response::Parts, body: &[u8]) -> bool {
        wire::envelope(body).is_some_and(|envelope| {
            let message = answer::member(&envelope, "Message");
            matches!(answer::result(&envelope), Ok(Some(401)))
                && matches!(message, Ok(Some(Value::String(_) | Value::Null)))
        })
    }

    fn origin(&self) -> Option<&Uri> {
        Some(&self.base_url)
    }
}

impl fmt::Debug for Accuat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Accuat")
            .field("host", &self.base_url.host())
            .field("login", &self.login.as_ref().map(|_| "[REDACTED]"))
            .field("grant_type", &self.grant_type)
            .field("language", &self.language)
            .field("uppercase_signature", &self.uppercase_signature)
            .field("refresh_in", &self.refresh_in)
            .field("login_page", &self.login_page)
            .finish()
    }
}

// ===== impl Language =====

impl Language {
    fn tag(self) -> &'static str {
        match self {
            Self::Chinese => "zh-CN",
            Self::English => "en-US",
        }
    }
}

/// 128 random bits as the document likes its `Random`: a GUID.
fn guid(nonce: u128) -> String {
    let [first, second, third, fourth] = [96, 80, 64, 48].map(|shift| nonce >> shift);
    let (first, last) = (first & 0xffff_ffff, nonce & 0xffff_ffff_ffff);
    let [second, third, fourth] = [second, third, fourth].map(|group| group & 0xffff);
    format!("{first:08x}-{second:04x}-{third:04x}-{fourth:04x}-{last:012x}")
}

/// MD5 of what is sent and the secret key, sorted by name, values as they are.
fn signature(sent: &[(&str, &str)], secret_key: &SecretString, uppercase: bool) -> String {
    let mut signed = sent.to_vec();
    signed.push(("SecretKey", wire::expose(secret_key)));
    signed.sort_unstable();
    // Hashed piece by piece, so that no copy of the secret is left behind.
    let mut hash = Md5::new();
    let mut separator = "";
    for (name, value) in signed {
        for piece in [separator, name, "=", value] {
            hash.update(piece);
        }
        separator = "&";
    }
    let digest = u128::from_be_bytes(hash.finalize().into());
    if uppercase { format!("{digest:032X}") } else { format!("{digest:032x}") }
}

/// `login`, `login.aspx` or `user-login`, but neither `loginlogs` nor `login-attempts`: resources may be named so.
fn is_login(segment: &str) -> bool {
    let name = segment.split('.').next().unwrap_or_default();
    let word = name.rsplit(['-', '_']).next().unwrap_or_default();
    ["login", "logon", "signin"].iter().any(|login| word.eq_ignore_ascii_case(login))
}

/// The path of a `Location`, which may be absolute or relative.
fn path(location: &str) -> &str {
    let end = location.find(['?', '#']).unwrap_or(location.len());
    let (location, _) = location.split_at(end);
    let authority = location.split_once("://").map(|(_, rest)| rest).or_else(|| location.strip_prefix("//"));
    match authority {
        Some(authority) => authority.split_at(authority.find('/').unwrap_or(authority.len())).1,
        None => location,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_the_md5_of_the_sorted_parameters_and_the_secret_key() {
        let sent = [("AppId", "app-001")];
        assert_eq!(signature(&sent, &"s3cr3t".into(), false), "ee945275990d9c2a9f1615ad0c2b7a16");
        assert_eq!(signature(&sent, &"s3cr3t".into(), true), "EE945275990D9C2A9F1615AD0C2B7A16");
    }

    #[test]
    fn the_signature_does_not_depend_on_the_order_of_the_parameters() {
        let (one, other) = ([("B", "2"), ("A", "1")], [("A", "1"), ("B", "2")]);
        assert_eq!(signature(&one, &"key".into(), false), signature(&other, &"key".into(), false));
    }
}
