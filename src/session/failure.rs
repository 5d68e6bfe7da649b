//! What a flight's end means: told apart by whether trying again can help, and whether a refresh token was spent.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use http::{HeaderMap, StatusCode, header::RETRY_AFTER};

use crate::{
    error::{ErrorKind, FailureClass, FailureSource, RefreshFailure},
    provider::{GrantKind, ProviderError, ProviderErrorKind},
    session::{policy::RefreshPolicy, skew::date},
    store::{StoreError, StoreErrorKind},
    transport::TransportError,
};

/// How a flight failed.
#[derive(Clone, Debug)]
pub(crate) struct Failed {
    pub(crate) kind: ErrorKind,
    /// Nothing but a new token set, or a sign-in, can help.
    pub(crate) permanent: bool,
    /// The server proved that it did not spend the refresh token.
    pub(crate) unspent: bool,
    /// The server refused the configured login.
    pub(crate) login_refused: bool,
    /// The server refused to refresh this token set.
    pub(crate) refresh_refused: bool,
    /// When the server wants to be asked again.
    pub(crate) retry_after: Option<Duration>,
    /// What the store holds is not what this flight went by: it looks again.
    pub(crate) look_again: bool,
    source: Option<FailureSource>,
}

/// What the head of a token answer tells, whoever the provider is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AnswerHead {
    status: StatusCode,
    retry_after: Option<Duration>,
}

impl Failed {
    pub(crate) fn of_kind(kind: ErrorKind) -> Self {
        Self {
            kind,
            permanent: false,
            unspent: false,
            login_refused: false,
            refresh_refused: false,
            retry_after: None,
            look_again: false,
            source: None,
        }
    }

    /// Nothing is left to ask for.
    pub(crate) fn sign_in_required() -> Self {
        Self { permanent: true, unspent: true, ..Self::of_kind(ErrorKind::SignInRequired) }
    }

    /// The login was refused before, and neither its parameters nor the application's mind has changed.
    pub(crate) fn login_refused_before() -> Self {
        Self { permanent: true, unspent: true, login_refused: true, ..Self::of_kind(ErrorKind::Refused) }
    }

    /// The same as a failure that may pass.
    pub(crate) fn but_not_for_good(self) -> Self {
        Self { permanent: false, ..self }
    }

    /// No request was sent: it could not be built.
    pub(crate) fn before_sending(kind: ErrorKind, source: Option<ProviderError>) -> Self {
        Self { unspent: true, source: source.map(FailureSource::Provider), ..Self::of_kind(kind) }
    }

    /// Somebody else has changed the store meanwhile, or the lease is over: nothing was sent, or what was sent does not
    /// count.
    pub(crate) fn look_again() -> Self {
        Self { unspent: true, look_again: true, ..Self::of_kind(ErrorKind::Store) }
    }

    pub(crate) fn transport(error: TransportError) -> Self {
        let kind = match error {
            TransportError::TooLarge => ErrorKind::Malformed,
            _ => ErrorKind::Transport,
        };
        let unspent = matches!(error, TransportError::NotSent(_));
        Self { unspent, source: Some(FailureSource::Transport(error)), ..Self::of_kind(kind) }
    }

    /// The server answered, and its answer grants nothing or cannot be used.
    ///
    /// A refusal is a refusal whatever the status, and so is a login that is answered 401 or 403: a wrong password must
    /// not be sent again. Otherwise the status speaks first: behind a 502 the body is the proxy's. 500, 502, 504 and an answer of success that cannot be read leave open whether the refresh token was
    /// spent; any other status says that it was not.
    pub(crate) fn answer(error: ProviderError, head: AnswerHead, grant: GrantKind) -> Self {
        let kind = match error.kind() {
            ProviderErrorKind::Refused => ErrorKind::Refused,
            _ if grant == GrantKind::Login && head.is_refusal() => ErrorKind::Refused,
            _ if head.is_unavailable() => ErrorKind::Unavailable,
            ProviderErrorKind::Unavailable | ProviderErrorKind::ServerError => ErrorKind::Unavailable,
            ProviderErrorKind::Malformed => ErrorKind::Malformed,
            ProviderErrorKind::Fault => ErrorKind::Fault,
        };
        let refused = kind == ErrorKind::Refused;
        let unspent = refused || !head.leaves_fate_open(error.kind());
        Self {
            permanent: refused,
            unspent,
            login_refused: refused && grant == GrantKind::Login,
            refresh_refused: refused && grant == GrantKind::Refresh,
            retry_after: head.retry_after.filter(|_| !refused),
            source: Some(FailureSource::Provider(error)),
            ..Self::of_kind(kind)
        }
    }

    /// How long to wait before the next try, after `strikes` failures in a row; `left` says for how long there is a token
    /// to go on with meanwhile, if there is one, and `roll` from 0 to 1 is the jitter.
    pub(crate) fn backoff(&self, strikes: u32, left: Option<Duration>, roll: f64, policy: &RefreshPolicy) -> Duration {
        match self.retry_after {
            // A server that says "at once" while it fails does not mean each request.
            Some(retry_after) => retry_after.min(policy.retry_after_max).max(policy.backoff_min),
            // A runtime that has shut down says nothing about the server; what panics once may panic always.
            None if matches!(self.kind, ErrorKind::Aborted | ErrorKind::NoRuntime) && strikes == 0 => Duration::ZERO,
            None => {
                let doubled = policy.backoff_min.as_secs_f64() * f64::from(strikes).exp2();
                let backoff = |usable| {
                    let longest = policy.longest_backoff(usable);
                    Duration::try_from_secs_f64(doubled).unwrap_or(longest).min(longest).mul_f64(roll)
                };
                // Once the token has ended, requests wait for as long as they would have without one.
                left.map_or(backoff(false), |left| backoff(true).min(left.max(backoff(false))))
            }
        }
    }

    /// Whether the store cannot be reached.
    pub(crate) fn is_store_away(&self) -> bool {
        let Some(FailureSource::Store(error)) = &self.source else { return false };
        matches!(error.kind(), StoreErrorKind::Unavailable | StoreErrorKind::TimedOut)
    }

    /// Whether the store is there, and somebody must mend it.
    fn is_store_at_fault(&self) -> bool {
        let Some(FailureSource::Store(error)) = &self.source else { return false };
        matches!(error.kind(), StoreErrorKind::Damaged | StoreErrorKind::Insecure | StoreErrorKind::Invalid)
    }

    /// The failure as its waiters see it; `in_doubt` says whether the refresh token may have been spent.
    pub(crate) fn share(&self, retry_at: Option<SystemTime>, in_doubt: bool) -> RefreshFailure {
        let class = match FailureClass::of(self.kind) {
            _ if self.permanent => FailureClass::Permanent,
            _ if in_doubt => FailureClass::UnknownFate,
            _ if self.is_store_at_fault() => FailureClass::Fault,
            class => class,
        };
        RefreshFailure::new(self.kind, class, retry_at, self.source.clone())
    }
}

/// The store could not be used, and nothing was sent.
impl From<StoreError> for Failed {
    fn from(error: StoreError) -> Self {
        Self { unspent: true, source: Some(FailureSource::Store(error)), ..Self::of_kind(ErrorKind::Store) }
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kind.fmt(f)?;
        match &self.source {
            Some(FailureSource::Provider(error)) => write!(f, ": {error}"),
            Some(FailureSource::Transport(error)) => write!(f, ": {error}"),
            Some(FailureSource::Store(error)) => write!(f, ": {error}"),
            None => Ok(()),
        }
    }
}

impl AnswerHead {
    pub(crate) fn new(status: StatusCode, headers: &HeaderMap, now: SystemTime) -> Self {
        // A date counts from the answer's own: whoever wrote one wrote both.
        let now = date(headers).unwrap_or(now);
        Self { status, retry_after: headers.get(RETRY_AFTER).and_then(|value| retry_after(value.to_str().ok()?, now)) }
    }

    fn is_unavailable(self) -> bool {
        self.status.is_server_error()
            || matches!(
                self.status,
                StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS
            )
    }

    fn is_refusal(self) -> bool {
        matches!(self.status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)
    }

    fn leaves_fate_open(self, kind: ProviderErrorKind) -> bool {
        match (self.status, kind) {
            (StatusCode::INTERNAL_SERVER_ERROR | StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT, _) => true,
            (_, ProviderErrorKind::ServerError) => true,
            (status, kind) => {
                status.is_success() && matches!(kind, ProviderErrorKind::Malformed | ProviderErrorKind::Fault)
            }
        }
    }
}

/// Seconds, or an HTTP date ([RFC 9110, section 10.2.3](https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3)).
fn retry_after(value: &str, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than fit mean "very long", which is capped anyway.
        return Some(Duration::from_secs(value.parse().unwrap_or(u64::MAX)));
    }
    Some(httpdate::parse_http_date(value).ok()?.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(status: u16, error: fn(&'static str, &'static str) -> ProviderError, grant: GrantKind) -> Failed {
        let head = AnswerHead { status: StatusCode::from_u16(status).unwrap(), retry_after: None };
        Failed::answer(error("test", "reason"), head, grant)
    }

    fn malformed(provider: &'static str, reason: &'static str) -> ProviderError {
        ProviderError::malformed(provider, "body", reason)
    }

    #[test]
    fn only_an_answer_that_proves_it_leaves_a_refresh_token_unspent() {
        let all = [malformed, ProviderError::fault, ProviderError::unavailable, ProviderError::server_error];
        for status in [500, 502, 504] {
            assert!(all.iter().all(|error| !answered(status, *error, GrantKind::Refresh).unspent), "{status}");
        }
        for status in [302, 400, 404, 429, 503] {
            for error in [malformed, ProviderError::fault, ProviderError::unavailable] {
                assert!(answered(status, error, GrantKind::Refresh).unspent, "{status}");
            }
        }
        for error in [malformed, ProviderError::fault, ProviderError::server_error] {
            assert!(!answered(200, error, GrantKind::Refresh).unspent);
        }
        for error in [ProviderError::refused, ProviderError::unavailable] {
            assert!(answered(200, error, GrantKind::Refresh).unspent);
        }
    }

    #[test]
    fn a_store_that_must_be_mended_is_a_fault_and_one_that_is_away_is_not() {
        let class = |kind| Failed::from(StoreError::new(kind, "the store")).share(None, false).class();
        for kind in [StoreErrorKind::Damaged, StoreErrorKind::Insecure, StoreErrorKind::Invalid] {
            assert_eq!(class(kind), FailureClass::Fault);
        }
        for kind in [StoreErrorKind::Unavailable, StoreErrorKind::TimedOut, StoreErrorKind::Busy, StoreErrorKind::Lost]
        {
            assert_eq!(class(kind), FailureClass::Transient);
        }
    }

    #[test]
    fn a_login_that_is_answered_401_or_403_is_refused_and_a_refresh_only_by_its_provider() {
        for status in [401, 403] {
            let login = answered(status, malformed, GrantKind::Login);
            assert!(login.permanent && login.login_refused && login.kind == ErrorKind::Refused);
            let refresh = answered(status, malformed, GrantKind::Refresh);
            assert!(!refresh.permanent && !refresh.refresh_refused && refresh.kind == ErrorKind::Malformed);
        }
        let refused = answered(400, ProviderError::refused, GrantKind::Refresh);
        assert!(refused.permanent && refused.refresh_refused && !refused.login_refused);
    }
}
