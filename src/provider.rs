//! What an API's documents say about its tokens, as one object-safe trait without I/O and without a clock.
//!
//! A provider of your own needs the crates `bytes` 1 and `http` 1 beside this one.

mod error;

pub use error::{ProviderError, ProviderErrorKind};

use std::{sync::Arc, time::SystemTime};

use bytes::Bytes;
use http::{Request, Response, Uri, request, response};

use crate::{challenge, credential::Credential, token::TokenSet};

/// Encodes one API: how a first token is asked for, how it is renewed, how it travels, and what a
/// refusal looks like.
///
/// A provider does no I/O and reads no clock: it turns a grant into a request and an answer into a
/// [`TokenSet`], and is told the time. One instance serves many requests at once.
///
/// Secrets are exposed only into the request being built; a [`ProviderError`] has room for a field's
/// name, a fixed reason and a code, and for nothing that a server wrote.
///
/// # Example
/// An API that trades a refresh token for the next access token by `POST /token`:
///
/// ```
/// use std::time::{Duration, SystemTime};
///
/// use bytes::Bytes;
/// use http::{Request, Response, StatusCode, Uri};
/// use tower_auth_refresh::{
///     Provider,
///     credential::Credential,
///     provider::{Context, Grant, GrantKind, ProviderError, Reason},
///     token::{ExposeSecret, Expiry, TokenSet},
/// };
///
/// struct Acme {
///     api: Uri,
/// }
///
/// impl Provider for Acme {
///     fn name(&self) -> &'static str {
///         "acme"
///     }
///
///     // There is no login: without a refresh token somebody must sign in.
///     fn next_grant(&self, token: Option<&TokenSet>, why: Reason, _: SystemTime) -> Option<GrantKind> {
///         match why {
///             Reason::Due | Reason::Rejected | Reason::MaybeSpent => {
///                 token?.refresh_token().map(|_| GrantKind::Refresh)
///             }
///             _ => None,
///         }
///     }
///
///     fn request(&self, grant: Grant<'_>, _: &Context) -> Result<Request<Bytes>, ProviderError> {
///         let fault = |reason| ProviderError::fault("acme", reason);
///         let Grant::Refresh(current) = grant else { return Err(fault("there is no login")) };
///         let token = current.refresh_token().ok_or_else(|| fault("there is no refresh token"))?;
///         Request::post(format!("{}token", self.api))
///             .body(token.expose_secret().to_owned().into())
///             .map_err(|_| fault("the base URL is no URL"))
///     }
///
///     // The answer is a line, `<access token> <refresh token> <seconds>`. What does not end as a line is cut off.
///     fn parse(&self, _: Grant<'_>, answer: Response<Bytes>, cx: &Context) -> Result<TokenSet, ProviderError> {
///         if matches!(answer.status(), StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED) {
///             return Err(ProviderError::refused("acme", "the refresh token is refused"));
///         }
///         let malformed = || ProviderError::malformed("acme", "body", "is not three words");
///         if !answer.status().is_success() {
///             return Err(ProviderError::malformed("acme", "status", "is not a success"));
///         }
///         let text = std::str::from_utf8(answer.body()).map_err(|_| malformed())?;
///         let words: Vec<_> = text.strip_suffix('\n').ok_or_else(malformed)?.split(' ').collect();
///         let [access, refresh, seconds] = words[..] else { return Err(malformed()) };
///         let end = seconds.parse().ok().and_then(|seconds| cx.now.checked_add(Duration::from_secs(seconds)));
///         Ok(TokenSet::new(access)
///             .with_refresh_token(refresh)
///             .with_issued_at(cx.now)
///             .with_expiry(end.map_or(Expiry::Unknown, Expiry::At)))
///     }
///
///     fn credential(&self, token: &TokenSet) -> Result<Credential, ProviderError> {
///         Credential::bearer(token.access_token())
///             .map_err(|_| ProviderError::malformed("acme", "access token", "fits no header"))
///     }
///
///     fn origin(&self) -> Option<&Uri> {
///         Some(&self.api)
///     }
/// }
///
/// let acme = Acme { api: Uri::from_static("https://api.acme.example/") };
/// let cx = Context::new(SystemTime::now(), 0);
/// let token = acme.parse(Grant::Login, Response::new("first second 3600\n".into()), &cx)?;
/// let request = acme.request(Grant::Refresh(&token), &cx)?;
/// assert_eq!((request.uri().path(), &request.body()[..]), ("/token", &b"second"[..]));
/// # Ok::<(), ProviderError>(())
/// ```
pub trait Provider: Send + Sync + 'static {
    /// The provider's name in errors and logs, such as `quectel`.
    fn name(&self) -> &'static str;

    /// What to ask the token endpoint for next, or `None` when somebody must sign in.
    ///
    /// `token` is the current set, if any, and `now` the time as in [`Context::now`].
    ///
    /// | why | what most providers answer |
    /// |---|---|
    /// | [`NoToken`](Reason::NoToken), [`RefreshRefused`](Reason::RefreshRefused), [`SignIn`](Reason::SignIn) | login, if one is configured |
    /// | [`Due`](Reason::Due), [`Rejected`](Reason::Rejected) | refresh, if there is a refresh token; else login |
    /// | [`MaybeSpent`](Reason::MaybeSpent) | login, if one is configured; else refresh |
    fn next_grant(&self, token: Option<&TokenSet>, why: Reason, now: SystemTime) -> Option<GrantKind>;

    /// The request that asks for `grant`, to an absolute URI.
    ///
    /// # Errors
    /// When the provider lacks what the request needs; nothing is sent then.
    fn request(&self, grant: Grant<'_>, cx: &Context) -> Result<Request<Bytes>, ProviderError>;

    /// The token set in an answer to [`request`](Self::request), whatever its status.
    ///
    /// # Errors
    /// When the answer grants nothing, or cannot be read. The session adds what is the same everywhere: 408, 425, 429, 5xx
    /// and `Retry-After` mean "later", and 401 or 403 to a login means that it was refused. Every other refusal is the
    /// provider's to tell, above all that of a refresh: by [`ProviderError::refused`].
    fn parse(&self, grant: Grant<'_>, answer: Response<Bytes>, cx: &Context) -> Result<TokenSet, ProviderError>;

    /// How `token` travels on a request. Called once per token set, never per request, and once with a stand-in when
    /// a session is built, to learn where it travels.
    ///
    /// # Errors
    /// When no request can carry it, for example because of a line break. The set is not used then.
    fn credential(&self, token: &TokenSet) -> Result<Credential, ProviderError>;

    /// Signs one attempt, for schemes whose [`credential`](Self::credential) is [`Credential::signed`].
    ///
    /// # Errors
    /// When this request cannot be signed. It is not sent then.
    fn sign(&self, token: &TokenSet, request: &mut request::Parts, cx: &Context) -> Result<(), ProviderError> {
        let _ = (token, request, cx);
        Ok(())
    }

    /// Whether an answer's head says that the token was refused.
    ///
    /// By default [`Verdict::by_challenge`]: status 401 with nothing that says otherwise. An API that answers 200 and
    /// means 401 returns [`Verdict::ReadBody`] for what `by_challenge` accepts.
    fn judge(&self, answer: &response::Parts) -> Verdict {
        Verdict::by_challenge(answer)
    }

    /// Whether a small JSON body says that the token was refused: `true` means rejected. Called only after
    /// [`Verdict::ReadBody`] or [`Verdict::ReadUntypedBody`], with the whole body.
    fn judge_body(&self, answer: &response::Parts, body: &[u8]) -> bool {
        let _ = (answer, body);
        false
    }

    /// The API that the credential belongs to: its scheme, host and port. Requests to any other origin pass
    /// without the credential. With `None` the session must be told by
    /// [`SessionBuilder::origin`](crate::session::SessionBuilder::origin).
    fn origin(&self) -> Option<&Uri>;

    /// Whether a refresh token is spent by its use. `true` unless the API's documents say otherwise.
    fn single_use(&self) -> bool {
        true
    }
}

/// Why a flight asks for a grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// There is no token yet.
    NoToken,
    /// The token has reached its soft or hard point.
    Due,
    /// The API rejected the token.
    Rejected,
    /// The token endpoint refused to refresh this set.
    RefreshRefused,
    /// This set was sent for a refresh whose fate is unknown: it counts as spent.
    MaybeSpent,
    /// The application asked for a login.
    SignIn,
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "complete by definition: there are two ways to a token set")]
pub enum GrantKind {
    /// A first token set, for the credentials that the provider was configured with.
    Login,
    /// The next token set, for the current one.
    Refresh,
}

/// What is asked for, with what it is asked with.
#[derive(Clone, Copy, Debug)]
#[allow(clippy::exhaustive_enums, reason = "mirrors GrantKind")]
pub enum Grant<'a> {
    /// A first token set.
    Login,
    /// The next token set after this one.
    Refresh(&'a TokenSet),
}

/// What a pure provider cannot know by itself.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Context {
    /// The current time by the token endpoint's clock, as far as the `Date` of its answers has told it. In
    /// [`parse`](Provider::parse) it is when the grant was made, as far as that is known, and not later: a lifetime in
    /// seconds counts from there.
    pub now: SystemTime,
    /// Fresh randomness, another one for each request.
    pub nonce: u128,
}

/// What an answer's head says about the token that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// The token was not refused; the answer may still be any error.
    Accepted,
    /// The token was refused.
    Rejected,
    /// The body decides, if it is `application/json` or `+json`, not encoded, and at most 64 KiB.
    ReadBody,
    /// Like [`ReadBody`](Self::ReadBody), also without a content type, and with `text/plain` that begins with `{`.
    ReadUntypedBody,
}

// ===== impl Context =====

impl Context {
    /// A context for tests of a provider; sessions make their own.
    #[must_use]
    pub fn new(now: SystemTime, nonce: u128) -> Self {
        Self { now, nonce }
    }
}

// ===== impl Verdict =====

impl Verdict {
    /// What status and challenges say: rejected by 401, unless a `Bearer` challenge names an error other than
    /// `invalid_token` ([RFC 6750, section 3.1](https://www.rfc-editor.org/rfc/rfc6750#section-3.1)), which another
    /// token would not cure. A challenge that cannot be read says nothing.
    #[must_use]
    pub fn by_challenge(answer: &response::Parts) -> Self {
        if challenge::rejects(answer) { Self::Rejected } else { Self::Accepted }
    }
}

// ===== impl Grant =====

impl Grant<'_> {
    /// Which of the two it is.
    #[must_use]
    pub fn kind(&self) -> GrantKind {
        match self {
            Self::Login => GrantKind::Login,
            Self::Refresh(_) => GrantKind::Refresh,
        }
    }
}

macro_rules! forward_provider {
    ($pointer:ident) => {
        impl<P: Provider + ?Sized> Provider for $pointer<P> {
            fn name(&self) -> &'static str {
                (**self).name()
            }
            fn next_grant(&self, token: Option<&TokenSet>, why: Reason, now: SystemTime) -> Option<GrantKind> {
                (**self).next_grant(token, why, now)
            }
            fn request(&self, grant: Grant<'_>, cx: &Context) -> Result<Request<Bytes>, ProviderError> {
                (**self).request(grant, cx)
            }
            fn parse(
                &self,
                grant: Grant<'_>,
                answer: Response<Bytes>,
                cx: &Context,
            ) -> Result<TokenSet, ProviderError> {
                (**self).parse(grant, answer, cx)
            }
            fn credential(&self, token: &TokenSet) -> Result<Credential, ProviderError> {
                (**self).credential(token)
            }
            fn sign(&self, token: &TokenSet, request: &mut request::Parts, cx: &Context) -> Result<(), ProviderError> {
                (**self).sign(token, request, cx)
            }
            fn judge(&self, answer: &response::Parts) -> Verdict {
                (**self).judge(answer)
            }
            fn judge_body(&self, answer: &response::Parts, body: &[u8]) -> bool {
                (**self).judge_body(answer, body)
            }
            fn origin(&self) -> Option<&Uri> {
                (**self).origin()
            }
            fn single_use(&self) -> bool {
                (**self).single_use()
            }
        }
    };
}

forward_provider!(Arc);
forward_provider!(Box);

const _: fn(&dyn Provider) = |_| {};
