//! The provider that the documentation of `Provider` has as its example.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{Request, Response, StatusCode, Uri};
use tower_auth_refresh::{
    Provider,
    credential::Credential,
    provider::{Context, Grant, GrantKind, ProviderError, Reason},
    test_util::{NonConformance, Report, Samples, conformance},
    token::{Expiry, ExposeSecret, TokenSet},
};

use super::{at, text};

pub(super) async fn check<P: Provider>(make: impl Fn() -> P + Send + Sync) -> Result<Report, NonConformance> {
    let samples =
        Samples::at(at()).refresh(text(200, "first-access second-refresh 3600\n")).refused(text(400, "refused"));
    conformance(make, samples.lifetime(Duration::from_secs(3600))).await
}

pub(super) struct Acme {
    api: Uri,
}

impl Acme {
    pub(super) fn new() -> Self {
        Self { api: Uri::from_static("https://api.acme.example/") }
    }
}

#[test]
fn it_is_what_the_documentation_shows() {
    let squeezed = |text: &str| text.split_whitespace().collect::<String>();
    let (_, here) = include_str!("acme.rs").rsplit_once("impl Provider for Acme {").unwrap();
    let documented: String =
        include_str!("../../../src/provider.rs").lines().filter_map(|line| line.strip_prefix("///")).collect();
    assert!(squeezed(&documented).contains(&squeezed(here)));
}

#[allow(clippy::disallowed_methods, reason = "the example exposes its secret where it is put on the wire")]
#[rustfmt::skip]
impl Provider for Acme {
    fn name(&self) -> &'static str {
        "acme"
    }

    // There is no login: without a refresh token somebody must sign in.
    fn next_grant(&self, token: Option<&TokenSet>, why: Reason, _: SystemTime) -> Option<GrantKind> {
        match why {
            Reason::Due | Reason::Rejected | Reason::MaybeSpent => {
                token?.refresh_token().map(|_| GrantKind::Refresh)
            }
            _ => None,
        }
    }

    fn request(&self, grant: Grant<'_>, _: &Context) -> Result<Request<Bytes>, ProviderError> {
        let fault = |reason| ProviderError::fault("acme", reason);
        let Grant::Refresh(current) = grant else { return Err(fault("there is no login")) };
        let token = current.refresh_token().ok_or_else(|| fault("there is no refresh token"))?;
        Request::post(format!("{}token", self.api))
            .body(token.expose_secret().to_owned().into())
            .map_err(|_| fault("the base URL is no URL"))
    }

    // The answer is a line, `<access token> <refresh token> <seconds>`. What does not end as a line is cut off.
    fn parse(&self, _: Grant<'_>, answer: Response<Bytes>, cx: &Context) -> Result<TokenSet, ProviderError> {
        if matches!(answer.status(), StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED) {
            return Err(ProviderError::refused("acme", "the refresh token is refused"));
        }
        let malformed = || ProviderError::malformed("acme", "body", "is not three words");
        if !answer.status().is_success() {
            return Err(ProviderError::malformed("acme", "status", "is not a success"));
        }
        let text = std::str::from_utf8(answer.body()).map_err(|_| malformed())?;
        let words: Vec<_> = text.strip_suffix('\n').ok_or_else(malformed)?.split(' ').collect();
        let [access, refresh, seconds] = words[..] else { return Err(malformed()) };
        let end = seconds.parse().ok().and_then(|seconds| cx.now.checked_add(Duration::from_secs(seconds)));
        Ok(TokenSet::new(access)
            .with_refresh_token(refresh)
            .with_issued_at(cx.now)
            .with_expiry(end.map_or(Expiry::Unknown, Expiry::At)))
    }

    fn credential(&self, token: &TokenSet) -> Result<Credential, ProviderError> {
        Credential::bearer(token.access_token())
            .map_err(|_| ProviderError::malformed("acme", "access token", "fits no header"))
    }

    fn origin(&self) -> Option<&Uri> {
        Some(&self.api)
    }
}
