//! An API whose token sets are numbers.

use std::{
    panic::resume_unwind,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http::{Request, Response, StatusCode, Uri, response};

use crate::{
    credential::Credential,
    provider::{Context, Grant, GrantKind, Provider, ProviderError, Reason, Verdict},
    token::{Expiry, ExposeSecret, SecretString, TokenSet},
};

pub(super) const LIFE: Duration = Duration::from_secs(10_000);

pub(super) struct Numbers {
    pub(super) api: Uri,
    pub(super) has_login: bool,
    pub(super) reads_body: bool,
}

/// Token set `number`, granted at `now`.
pub(super) fn token(number: u32, now: SystemTime) -> TokenSet {
    TokenSet::new(format!("access-{number}"))
        .with_refresh_token(format!("refresh-{number}"))
        .with_issued_at(now)
        .with_expiry(Expiry::At(now + LIFE))
}

/// The number of a token set, if all its fields have the same.
pub(super) fn number_of(token: &TokenSet) -> Option<u32> {
    let access = number(token.access_token(), "access-");
    access.filter(|_| access == token.refresh_token().and_then(|token| number(token, "refresh-")))
}

#[allow(clippy::disallowed_methods, reason = "the number is read from a test's token")]
fn number(secret: &SecretString, prefix: &str) -> Option<u32> {
    secret.expose_secret().strip_prefix(prefix)?.parse().ok()
}

impl Provider for Numbers {
    fn name(&self) -> &'static str {
        "numbers"
    }

    fn next_grant(&self, token: Option<&TokenSet>, why: Reason, _: SystemTime) -> Option<GrantKind> {
        let login = self.has_login.then_some(GrantKind::Login);
        let refresh = token.map(|_| GrantKind::Refresh);
        match why {
            Reason::NoToken | Reason::RefreshRefused | Reason::SignIn => login,
            Reason::MaybeSpent => login.or(refresh),
            _ => refresh.or(login),
        }
    }

    fn request(&self, grant: Grant<'_>, _: &Context) -> Result<Request<Bytes>, ProviderError> {
        let uri = match grant {
            Grant::Login => "https://idp.test/login".to_owned(),
            Grant::Refresh(token) => format!("https://idp.test/{}", number_of(token).unwrap()),
        };
        Ok(Request::post(uri).body(Bytes::new()).unwrap())
    }

    fn parse(&self, _: Grant<'_>, answer: Response<Bytes>, cx: &Context) -> Result<TokenSet, ProviderError> {
        match answer.status() {
            // Unwinds without a word on stderr.
            StatusCode::IM_A_TEAPOT => resume_unwind(Box::new("poisoned")),
            StatusCode::BAD_REQUEST => Err(ProviderError::refused("numbers", "is refused")),
            StatusCode::OK => Ok(token(std::str::from_utf8(answer.body()).unwrap().parse().unwrap(), cx.now)),
            _ => Err(ProviderError::malformed("numbers", "body", "is not a number")),
        }
    }

    fn credential(&self, token: &TokenSet) -> Result<Credential, ProviderError> {
        Credential::bearer(token.access_token()).map_err(|_| ProviderError::malformed("numbers", "token", "fits not"))
    }

    fn judge(&self, answer: &response::Parts) -> Verdict {
        match answer.status {
            StatusCode::UNAUTHORIZED => Verdict::Rejected,
            _ if self.reads_body => Verdict::ReadBody,
            _ => Verdict::Accepted,
        }
    }

    fn judge_body(&self, _: &response::Parts, body: &[u8]) -> bool {
        body == b"{\"rejected\":true}"
    }

    fn origin(&self) -> Option<&Uri> {
        Some(&self.api)
    }
}
