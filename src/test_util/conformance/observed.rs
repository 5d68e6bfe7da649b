//! The provider under test as a session sees it: its requests say what they ask for, and its answers, which are all of
//! the samples' time, are read at that time and moved to the present.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{Request, Response, Uri, request, response};

use super::template::{Renamed, Template};
use crate::{
    credential::Credential,
    provider::{Context, Grant, GrantKind, Provider, ProviderError, Reason, Verdict},
    token::{Expiry, TokenSet},
};

pub(super) struct Observed<P> {
    pub(super) provider: P,
    pub(super) at: SystemTime,
}

/// On a token request: what it asks for, and with which token.
#[derive(Clone)]
pub(super) struct Presented(pub(super) GrantKind, pub(super) String);

/// On a signed request to the API: the access token that signed it.
#[derive(Clone)]
pub(super) struct SignedBy(pub(super) String);

impl<P: Provider> Observed<P> {
    pub(super) fn read(
        &self,
        grant: Grant<'_>,
        answer: Response<Bytes>,
        now: SystemTime,
        nonce: u128,
    ) -> Result<TokenSet, ProviderError> {
        let renamed = answer.extensions().get::<Renamed>().copied();
        let mut token = self.provider.parse(grant, answer, &Context::new(self.at, nonce))?;
        let old = match grant {
            Grant::Login => None,
            Grant::Refresh(old) => Some(old),
        };
        if let Some(Renamed(number)) = renamed {
            token = rename(&token, old, number);
        }
        let passed = now.duration_since(self.at).unwrap_or_default();
        Ok(later(token, old, passed))
    }
}

/// `token` with the tokens of this number, but for a refresh token that was kept.
fn rename(token: &TokenSet, old: Option<&TokenSet>, number: u64) -> TokenSet {
    let tokens = Template::tokens_of(token);
    let kept = old.is_some_and(|old| Template::tokens_of(old).refresh == tokens.refresh);
    let mut numbered = tokens.numbered(number);
    if kept {
        numbered.refresh = tokens.refresh;
    }
    numbered.put_into(token)
}

/// `token` as if it had been granted later, but for an end that was kept.
fn later(mut token: TokenSet, old: Option<&TokenSet>, passed: Duration) -> TokenSet {
    let move_on = |at: Option<SystemTime>| at.and_then(|at| at.checked_add(passed));
    if let Some(end) = move_on(token.expiry().time()) {
        token = token.with_expiry(Expiry::At(end));
    }
    if let Some(at) = move_on(token.issued_at()) {
        token = token.with_issued_at(at);
    }
    if let Some(at) = move_on(token.refresh_at()) {
        token = token.with_refresh_at(at);
    }
    let kept = old.is_some_and(|old| old.refresh_expires_at() == token.refresh_expires_at());
    if let Some(end) = move_on(token.refresh_expires_at()).filter(|_| !kept) {
        token = token.with_refresh_expires_at(end);
    }
    token
}

impl<P: Provider> Provider for Observed<P> {
    fn name(&self) -> &'static str {
        self.provider.name()
    }

    fn next_grant(&self, token: Option<&TokenSet>, why: Reason, now: SystemTime) -> Option<GrantKind> {
        self.provider.next_grant(token, why, now)
    }

    fn request(&self, grant: Grant<'_>, cx: &Context) -> Result<Request<Bytes>, ProviderError> {
        let mut request = self.provider.request(grant, cx)?;
        let presented = match grant {
            Grant::Login => String::new(),
            // Where there is no refresh token, the access token buys the next.
            Grant::Refresh(token) => {
                let tokens = Template::tokens_of(token);
                tokens.refresh.unwrap_or(tokens.access)
            }
        };
        request.extensions_mut().insert(Presented(grant.kind(), presented));
        Ok(request)
    }

    fn parse(&self, grant: Grant<'_>, answer: Response<Bytes>, cx: &Context) -> Result<TokenSet, ProviderError> {
        self.read(grant, answer, cx.now, cx.nonce)
    }

    fn credential(&self, token: &TokenSet) -> Result<Credential, ProviderError> {
        self.provider.credential(token)
    }

    fn sign(&self, token: &TokenSet, request: &mut request::Parts, cx: &Context) -> Result<(), ProviderError> {
        self.provider.sign(token, request, cx)?;
        request.extensions.insert(SignedBy(Template::access_of(token)));
        Ok(())
    }

    fn judge(&self, answer: &response::Parts) -> Verdict {
        self.provider.judge(answer)
    }

    fn judge_body(&self, answer: &response::Parts, body: &[u8]) -> bool {
        self.provider.judge_body(answer, body)
    }

    fn origin(&self) -> Option<&Uri> {
        self.provider.origin()
    }

    fn single_use(&self) -> bool {
        self.provider.single_use()
    }
}
