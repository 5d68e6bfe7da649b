//! Providers that differ from `TestProvider` in nothing but how they judge.

use std::time::SystemTime;

use bytes::Bytes;
use http::{Request, Response, Uri, response};
use tower_auth_refresh::{
    Provider,
    credential::Credential,
    provider::{Context, Grant, GrantKind, ProviderError, Reason, Verdict},
    token::TokenSet,
};

use super::TestProvider;

/// Judges as the trait does by default.
pub struct ByDefault(pub TestProvider);

/// Judges heads as it is told, and takes every body that it gets to see for a rejection.
pub struct Told(pub TestProvider, pub fn(&response::Parts) -> Verdict);

impl Told {
    pub fn new(judge: fn(&response::Parts) -> Verdict) -> Self {
        Self(TestProvider::new(), judge)
    }

    /// Asks for every body.
    pub fn reading() -> Self {
        Self::new(|_| Verdict::ReadBody)
    }
}

macro_rules! delegate {
    () => {
        fn name(&self) -> &'static str {
            self.0.name()
        }
        fn next_grant(&self, token: Option<&TokenSet>, why: Reason, now: SystemTime) -> Option<GrantKind> {
            self.0.next_grant(token, why, now)
        }
        fn request(&self, grant: Grant<'_>, cx: &Context) -> Result<Request<Bytes>, ProviderError> {
            self.0.request(grant, cx)
        }
        fn parse(&self, grant: Grant<'_>, answer: Response<Bytes>, cx: &Context) -> Result<TokenSet, ProviderError> {
            self.0.parse(grant, answer, cx)
        }
        fn credential(&self, token: &TokenSet) -> Result<Credential, ProviderError> {
            self.0.credential(token)
        }
        fn origin(&self) -> Option<&Uri> {
            self.0.origin()
        }
    };
}

impl Provider for ByDefault {
    delegate!();
}

impl Provider for Told {
    delegate!();

    fn judge(&self, answer: &response::Parts) -> Verdict {
        (self.1)(answer)
    }

    fn judge_body(&self, _: &response::Parts, _: &[u8]) -> bool {
        true
    }
}
