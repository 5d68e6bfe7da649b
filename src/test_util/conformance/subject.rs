//! The provider under test: called so that a panic is a finding, and all that its errors print is kept.

use std::{
    error::Error as StdError,
    fmt::Write as _,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Mutex,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http::{Request, Response};

use super::samples::Samples;
use crate::{
    credential::Credential,
    provider::{Context, Grant, GrantKind, Provider, ProviderErrorKind, Reason, Verdict},
    test_util::lock,
    token::{Expiry, TokenSet},
};

pub(super) struct Subject<'a, P> {
    pub(super) make: &'a (dyn Fn() -> P + Send + Sync),
    pub(super) samples: &'a Samples,
    pub(super) login: Option<TokenSet>,
    pub(super) refresh: Option<TokenSet>,
    provider: P,
    heard: Mutex<String>,
    panicked: Mutex<Vec<&'static str>>,
}

/// What came of an answer.
pub(super) enum Read {
    /// A token set that a request can carry.
    Granted(TokenSet),
    Failed(ProviderErrorKind),
    /// A token set that no request can carry, or a panic, which is a finding of its own.
    Nothing,
}

const NONCE: u128 = 0x0123_4567_89ab_cdef;

/// The refresh token of a set that was never granted.
pub(super) const STAND_IN: &str = "stand-in-refresh-token";

impl<'a, P: Provider> Subject<'a, P> {
    pub(super) fn new(make: &'a (dyn Fn() -> P + Send + Sync), samples: &'a Samples) -> Self {
        let mut subject = Self {
            make,
            samples,
            login: None,
            refresh: None,
            provider: make(),
            heard: Mutex::default(),
            panicked: Mutex::default(),
        };
        let read = |kind, sample: &Option<Response<Bytes>>| match subject.parse(kind, sample.clone()?) {
            Read::Granted(token) => Some(token),
            _ => None,
        };
        let (login, refresh) = (read(GrantKind::Login, &samples.login), read(GrantKind::Refresh, &samples.refresh));
        (subject.login, subject.refresh) = (login, refresh);
        subject
    }

    pub(super) fn can(&self, kind: GrantKind) -> bool {
        self.sample(kind).is_some()
    }

    pub(super) fn sample(&self, kind: GrantKind) -> Option<&Response<Bytes>> {
        match kind {
            GrantKind::Login => self.samples.login.as_ref(),
            GrantKind::Refresh => self.samples.refresh.as_ref(),
        }
    }

    /// A granted set, of the login where there is one.
    pub(super) fn granted(&self) -> Option<&TokenSet> {
        self.login.as_ref().or(self.refresh.as_ref())
    }

    /// All granted sets.
    pub(super) fn sets(&self) -> impl Iterator<Item = &TokenSet> {
        [&self.login, &self.refresh].into_iter().flatten()
    }

    fn context(&self) -> Context {
        Context::new(self.samples.at, NONCE)
    }

    pub(super) fn single_use(&self) -> bool {
        self.provider.single_use()
    }

    pub(super) fn next_grant(&self, token: Option<&TokenSet>, why: Reason) -> Option<GrantKind> {
        self.guarded("next_grant", |provider| provider.next_grant(token, why, self.samples.at)).flatten()
    }

    /// The request for a grant by one instance of the provider or another.
    pub(super) fn request(&self, provider: &P, kind: GrantKind) -> Option<Request<Bytes>> {
        let stand_in = stand_in(self.samples.at);
        let grant = match kind {
            GrantKind::Login => Grant::Login,
            GrantKind::Refresh => Grant::Refresh(self.granted().unwrap_or(&stand_in)),
        };
        self.request_for(provider, grant)
    }

    pub(super) fn request_for(&self, provider: &P, grant: Grant<'_>) -> Option<Request<Bytes>> {
        let built = self.guarded("request", |_| provider.request(grant, &self.context()))?;
        built.map_err(|error| self.hear(&error)).ok()
    }

    pub(super) fn provider(&self) -> &P {
        &self.provider
    }

    pub(super) fn parse(&self, kind: GrantKind, answer: Response<Bytes>) -> Read {
        self.parse_at(self.samples.at, kind, answer)
    }

    pub(super) fn parse_at(&self, now: SystemTime, kind: GrantKind, answer: Response<Bytes>) -> Read {
        let stand_in = stand_in(self.samples.at);
        let grant = match kind {
            GrantKind::Login => Grant::Login,
            GrantKind::Refresh => Grant::Refresh(&stand_in),
        };
        match self.guarded("parse", |provider| provider.parse(grant, answer, &Context::new(now, NONCE))) {
            None => Read::Nothing,
            Some(Ok(token)) => match self.credential(&token) {
                Some(_) => Read::Granted(token),
                None => Read::Nothing,
            },
            Some(Err(error)) => {
                self.hear(&error);
                Read::Failed(error.kind())
            }
        }
    }

    pub(super) fn credential(&self, token: &TokenSet) -> Option<Credential> {
        let made = self.guarded("credential", |provider| provider.credential(token))?;
        made.map_err(|error| self.hear(&error)).ok()
    }

    /// A signed request for nothing.
    pub(super) fn sign(&self, token: &TokenSet) -> Option<Request<Bytes>> {
        let (mut head, body) = Request::new(Bytes::new()).into_parts();
        let signed = self.guarded("sign", |provider| provider.sign(token, &mut head, &self.context()))?;
        signed.map_err(|error| self.hear(&error)).ok()?;
        Some(Request::from_parts(head, body))
    }

    /// Whether an answer of the API rejects the token, its body looked at where the provider asks for it.
    pub(super) fn rejects(&self, answer: &Response<Bytes>) -> bool {
        let (head, body) = answer.clone().into_parts();
        match self.guarded("judge", |provider| provider.judge(&head)) {
            Some(Verdict::Rejected) => true,
            Some(Verdict::ReadBody | Verdict::ReadUntypedBody) => {
                self.guarded("judge_body", |provider| provider.judge_body(&head, &body)).unwrap_or_default()
            }
            Some(Verdict::Accepted) | None => false,
        }
    }

    /// Keeps what an error prints, and all its causes.
    pub(super) fn hear(&self, error: &(dyn StdError + 'static)) {
        let mut heard = lock(&self.heard);
        let mut next = Some(error);
        while let Some(error) = next {
            // Nothing fails that is written to a string.
            let _ = writeln!(heard, "{error} {error:?} {error:#?}");
            next = error.source();
        }
    }

    pub(super) fn heard(&self) -> String {
        lock(&self.heard).clone()
    }

    /// The methods that have panicked.
    pub(super) fn panicked(&self) -> Vec<String> {
        let mut panicked: Vec<_> = lock(&self.panicked).iter().map(|method| format!("a panic in {method}")).collect();
        panicked.sort_unstable();
        panicked.dedup();
        panicked
    }

    /// How often any method has panicked.
    pub(super) fn panics(&self) -> usize {
        lock(&self.panicked).len()
    }

    fn guarded<T>(&self, method: &'static str, call: impl FnOnce(&P) -> T) -> Option<T> {
        let result = catch_unwind(AssertUnwindSafe(|| call(&self.provider)));
        result.map_err(|_| lock(&self.panicked).push(method)).ok()
    }
}

/// A set to refresh with, where none has been granted.
fn stand_in(at: SystemTime) -> TokenSet {
    let end = at.checked_add(Duration::from_secs(3600));
    TokenSet::new("stand-in-access-token")
        .with_refresh_token(STAND_IN)
        .with_signing_key("stand-in-signing-key")
        .with_issued_at(at)
        .with_expiry(end.map_or(Expiry::Unknown, Expiry::At))
}
