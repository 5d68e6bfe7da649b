//! A session for the provider under test between the two servers, on a clock of its own.

use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::Arc,
    task::Poll,
    time::Duration,
};

use bytes::Bytes;
use http::{Request, StatusCode, Uri};
use http_body_util::{BodyExt, Collected, Full};
use tower::ServiceExt;
use tower_layer::Layer;

use super::{
    credentials, grants::NOTHING_GRANTED, observed::Observed, replica::Replica, report::Outcome, subject::Subject,
    template::Template, verdicts,
};
use crate::{
    error::ErrorKind,
    layer::AuthRefreshLayer,
    provider::{Grant, GrantKind, Provider, Reason},
    service::AuthRefresh,
    session::{RefreshPolicy, Session},
    test_util::{Api, AuthServer, TestClock, api::WELCOME, wire::Asked},
    token::TokenSet,
};

pub(super) struct Scene<'a, P> {
    subject: &'a Subject<'a, P>,
    pub(super) clock: TestClock,
    pub(super) server: AuthServer,
    pub(super) api: Api,
    pub(super) session: Session<Observed<P>>,
    client: AuthRefresh<Api, Observed<P>>,
    origin: Uri,
}

/// Longer than any check, and the longest that a policy takes.
pub(super) const A_YEAR: Duration = Duration::from_secs(31_536_000);

/// What came of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answered {
    /// The API's own answer to a good token.
    Well,
    Otherwise(StatusCode),
    Failed(ErrorKind),
}

pub(super) type Asking<'s> = Pin<Box<dyn Future<Output = Answered> + Send + 's>>;

impl<'a, P: Provider> Scene<'a, P> {
    /// A session without a token set.
    pub(super) fn new(subject: &'a Subject<'a, P>) -> Result<Self, Outcome> {
        if !credentials::is_told(subject, subject.granted().ok_or(NOTHING_GRANTED)?) {
            return Err(Outcome::NotApplicable("because the credential does not show the access token"));
        }
        let rejected = verdicts::rejection(subject).ok();
        let provider = Observed { provider: (subject.make)(), at: subject.samples.at };
        let clock = TestClock::at(subject.samples.at);
        let server = AuthServer::speaking(Arc::new(Replica::new(subject, rejected)), &clock);
        let api = server.api();
        let origin = provider.origin().cloned().unwrap_or_else(|| Uri::from_static("https://api.test"));
        // Due from early on, however long the samples' lives. Without jitter there is no backoff, and no point in time
        // that differs from run to run.
        let policy = RefreshPolicy::new().soft_margin(A_YEAR).unwrap_or_default().jitter(|| 0.0);
        let session = Session::builder(provider)
            .transport(server.clone())
            .clock(clock.clone())
            .policy(policy)
            .origin(origin.clone())
            .allow_http(subject.samples.allow_http)
            .build()
            .map_err(|error| {
                subject.hear(&error);
                Outcome::failed("a session", format!("{:?}", error.kind()))
            })?;
        let client = AuthRefreshLayer::new(session.clone()).layer(api.clone());
        Ok(Self { subject, clock, server, api, session, client, origin })
    }

    /// A session with token set 1, which both servers know.
    pub(super) fn signed_in(subject: &'a Subject<'a, P>) -> Result<Self, Outcome> {
        let scene = Self::new(subject)?;
        let sample = subject.granted().ok_or(NOTHING_GRANTED)?;
        let grant = if subject.login.is_some() { Grant::Login } else { Grant::Refresh(sample) };
        let presented = Template::tokens_of(sample).refresh.unwrap_or_default();
        let answer = scene.server.install(&Asked { kind: grant.kind(), presented }, 1);
        let granted = scene.session.provider().read(grant, answer, scene.clock.wall(), 0);
        let set = granted.map_err(crate::Error::provider).and_then(|token| scene.session.set(token));
        set.map_err(|error| {
            subject.hear(&error);
            Outcome::failed("the sample with another token to be granted", format!("{:?}", error.kind()))
        })?;
        Ok(scene)
    }

    fn uri(&self, path: &str) -> Uri {
        let mut parts = self.origin.clone().into_parts();
        parts.path_and_query = path.parse().ok();
        Uri::from_parts(parts).unwrap_or_else(|_| self.origin.clone())
    }

    /// Sends one request to the API.
    pub(super) fn ask(&self, path: &str) -> Asking<'_> {
        let mut request = Request::new(Full::<Bytes>::default());
        *request.uri_mut() = self.uri(path);
        let client = self.client.clone();
        Box::pin(async move {
            let (head, body) = match client.oneshot(request).await {
                Ok(answer) => answer.into_parts(),
                Err(error) => {
                    self.subject.hear(&error);
                    return Answered::Failed(error.kind());
                }
            };
            // A rejection may have status 200 as well.
            let body = body.collect().await.map(Collected::to_bytes).unwrap_or_default();
            let well = head.status == StatusCode::OK && body == WELCOME;
            if well { Answered::Well } else { Answered::Otherwise(head.status) }
        })
    }

    /// Sends many requests at once, each to a path of its own, and says how many were answered well.
    pub(super) async fn ask_all(&self, count: usize) -> usize {
        let mut asking: Vec<_> = (0..count).map(|number| self.ask(&format!("/{number}"))).collect();
        let mut well = 0;
        poll_fn(|cx| {
            asking.retain_mut(|asking| match asking.as_mut().poll(cx) {
                Poll::Ready(answer) => {
                    well += usize::from(answer == Answered::Well);
                    false
                }
                Poll::Pending => true,
            });
            if asking.is_empty() { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        well
    }

    /// Time passes until the token set is due, and not yet over. Says by which grant it is renewed.
    pub(super) async fn fall_due(&self) -> Result<GrantKind, Outcome> {
        let token = self.token().await?;
        let life = self.life(&token)?;
        let soft = life / 2;
        let named = token.refresh_at().and_then(|at| at.duration_since(self.clock.wall()).ok()).unwrap_or_default();
        if named >= life {
            return Err(Outcome::NotApplicable("because the samples' token is not due before its end"));
        }
        self.clock.advance(soft.max(named));
        self.next_grant(&token)
    }

    /// Time passes until the end of the token. Says by which grant it is renewed.
    pub(super) async fn expire(&self) -> Result<GrantKind, Outcome> {
        let token = self.token().await?;
        self.clock.advance(self.life(&token)?);
        self.next_grant(&token)
    }

    fn life(&self, token: &TokenSet) -> Result<Duration, Outcome> {
        let end = token.expiry().time().and_then(|end| end.duration_since(self.clock.wall()).ok());
        end.ok_or(Outcome::NotApplicable("because the provider reads no end of a token"))
    }

    fn next_grant(&self, token: &TokenSet) -> Result<GrantKind, Outcome> {
        let next = self.session.provider().next_grant(Some(token), Reason::Due, self.clock.wall());
        next.ok_or(Outcome::NotApplicable("because nothing renews the token by then"))
    }

    /// The token set that the session hands out.
    pub(super) async fn token(&self) -> Result<TokenSet, Outcome> {
        self.session.token().await.map_err(|error| {
            self.subject.hear(&error);
            Outcome::failed("a token", format!("{:?}", error.kind()))
        })
    }

    /// Until a token request has reached the server; or none will, as no flight is under way.
    pub(super) async fn reached(&self) {
        let mut settled = pin!(self.session.settled());
        poll_fn(|cx| {
            if self.server.counts().calls() > 0 || settled.as_mut().poll(cx).is_ready() {
                return Poll::Ready(());
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    }

    /// `(logins, refreshes)` so far.
    pub(super) fn grants(&self) -> (usize, usize) {
        let counts = self.server.counts();
        (counts.logins, counts.refreshes)
    }
}

/// `(logins, refreshes)` of one grant.
pub(super) fn one(kind: GrantKind) -> (usize, usize) {
    match kind {
        GrantKind::Login => (1, 0),
        GrantKind::Refresh => (0, 1),
    }
}

/// Polls once.
pub(super) async fn begin(asking: &mut Asking<'_>) {
    poll_fn(|cx| {
        let _ = asking.as_mut().poll(cx);
        Poll::Ready(())
    })
    .await;
}
