//! What goes wrong on demand: a provider that panics, and a way to the token endpoint on which requests and answers are
//! lost.

use std::{
    collections::VecDeque,
    future::Future,
    io,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::SystemTime,
};

use bytes::Bytes;
use http::{Request, Response, StatusCode, Uri, response};
use http_body_util::{BodyExt, Full};
use tower::{BoxError, Layer, Service};
use tower_auth_refresh::{
    AuthRefresh, AuthRefreshLayer, Provider, Session,
    credential::Credential,
    provider::{self, Grant, GrantKind, ProviderError, Reason, Verdict},
    test_util::{self, ServerBody},
    token::TokenSet,
};

use super::{Api, Idp, TestProvider, World};

/// The world's API behind a layer for any provider.
pub fn client_of<P: Provider>(world: &World, session: &Session<P>) -> AuthRefresh<Api, P> {
    AuthRefreshLayer::new(session.clone()).layer(world.api())
}

// ===== the provider =====

/// A [`TestProvider`] that panics where it is told to, and remembers why it was asked for grants. Clones share both.
#[derive(Clone)]
pub struct FaultyProvider {
    inner: TestProvider,
    panics_in: Arc<Mutex<Option<Step>>>,
    reasons: Arc<Mutex<Vec<Reason>>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    NextGrant,
    Request,
    Parse,
    Credential,
}

impl FaultyProvider {
    pub fn new(inner: TestProvider) -> Self {
        Self { inner, panics_in: Arc::default(), reasons: Arc::default() }
    }

    pub fn panic_in(&self, step: impl Into<Option<Step>>) {
        *self.panics_in.lock().unwrap() = step.into();
    }

    /// Why grants were asked for, in order.
    pub fn reasons(&self) -> Vec<Reason> {
        self.reasons.lock().unwrap().clone()
    }

    fn pass(&self, step: Step) {
        let panics_in = *self.panics_in.lock().unwrap();
        assert_ne!(panics_in, Some(step), "panics on demand");
    }
}

impl Provider for FaultyProvider {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn next_grant(&self, token: Option<&TokenSet>, why: Reason, now: SystemTime) -> Option<GrantKind> {
        self.pass(Step::NextGrant);
        self.reasons.lock().unwrap().push(why);
        self.inner.next_grant(token, why, now)
    }

    fn request(&self, grant: Grant<'_>, cx: &provider::Context) -> Result<Request<Bytes>, ProviderError> {
        self.pass(Step::Request);
        self.inner.request(grant, cx)
    }

    fn parse(
        &self,
        grant: Grant<'_>,
        answer: Response<Bytes>,
        cx: &provider::Context,
    ) -> Result<TokenSet, ProviderError> {
        self.pass(Step::Parse);
        self.inner.parse(grant, answer, cx)
    }

    fn credential(&self, token: &TokenSet) -> Result<Credential, ProviderError> {
        self.pass(Step::Credential);
        self.inner.credential(token)
    }

    fn judge(&self, answer: &response::Parts) -> Verdict {
        self.inner.judge(answer)
    }

    fn origin(&self) -> Option<&Uri> {
        self.inner.origin()
    }

    fn single_use(&self) -> bool {
        self.inner.single_use()
    }
}

// ===== the way to the token endpoint =====

/// What becomes of one token request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// `poll_ready` fails.
    NotReady,
    /// `poll_ready` panics.
    PanicsWhenReadied,
    /// `call` panics.
    PanicsWhenCalled,
    /// The future of the answer panics.
    PanicsWhenPolled,
    /// Nobody listens: nothing reaches the server.
    ConnectionRefused,
    /// Somebody in front of the server answers this, and the server never sees the request.
    Instead(StatusCode, &'static str),
    /// The server acts, and its answer is lost on the way.
    AnswerLost,
    /// The server acts, and the connection breaks in the middle of its answer.
    BrokenOff,
    /// The server acts, and somebody in front of it answers this in the place of its answer.
    Spoiled(StatusCode, &'static str),
    /// The server acts, and more than any token answer comes back.
    TooLarge,
}

/// The authorization server behind a bad line: each fault hits one request, then the line is good. Clones share all.
#[derive(Clone)]
pub struct FaultyIdp {
    idp: Idp,
    line: Arc<Mutex<Line>>,
}

#[derive(Default)]
struct Line {
    faults: VecDeque<Fault>,
    sent: Vec<String>,
}

impl FaultyIdp {
    pub fn new(world: &World) -> Self {
        Self { idp: world.idp(), line: Arc::default() }
    }

    /// What becomes of the next requests.
    pub fn fail(&self, faults: impl IntoIterator<Item = Fault>) {
        self.line.lock().unwrap().faults.extend(faults);
    }

    /// `path body` of each request that the line was called with, in order.
    pub fn sent(&self) -> Vec<String> {
        self.line.lock().unwrap().sent.clone()
    }

    fn take_if(&self, hits: impl FnOnce(Fault) -> bool) -> Option<Fault> {
        let faults = &mut self.line.lock().unwrap().faults;
        faults.front().copied().is_some_and(hits).then(|| faults.pop_front())?
    }
}

impl Service<Request<Full<Bytes>>> for FaultyIdp {
    type Response = Response<ServerBody>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Response<ServerBody>, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        match self.take_if(|fault| matches!(fault, Fault::NotReady | Fault::PanicsWhenReadied)) {
            None => Poll::Ready(Ok(())),
            Some(Fault::PanicsWhenReadied) => panic!("panics on demand"),
            Some(_) => Poll::Ready(Err("closed".into())),
        }
    }

    fn call(&mut self, request: Request<Full<Bytes>>) -> Self::Future {
        let fault = self.take_if(|_| true);
        assert_ne!(fault, Some(Fault::PanicsWhenCalled), "panics on demand");
        let mut faulty = self.clone();
        Box::pin(async move {
            let (head, body) = request.into_parts();
            let body = body.collect().await?.to_bytes();
            let sent = format!("{} {}", head.uri.path(), String::from_utf8_lossy(&body));
            faulty.line.lock().unwrap().sent.push(sent);
            assert_ne!(fault, Some(Fault::PanicsWhenPolled), "panics on demand");
            match fault {
                Some(Fault::ConnectionRefused) => {
                    return Err(io::Error::from(io::ErrorKind::ConnectionRefused).into());
                }
                Some(Fault::Instead(status, text)) => return Ok(answer(status, text)),
                Some(Fault::AnswerLost) => faulty.idp.fail([test_util::Fault::DropAfter]),
                Some(Fault::BrokenOff) => faulty.idp.fail([test_util::Fault::BreakOff]),
                _ => {}
            }
            let acted = faulty.idp.call(Request::from_parts(head, Full::new(body))).await?;
            match fault {
                Some(Fault::Spoiled(status, text)) => Ok(answer(status, text)),
                Some(Fault::TooLarge) => Ok(answer(StatusCode::OK, vec![b' '; 1024 * 1024 + 1])),
                _ => Ok(acted),
            }
        })
    }
}

fn answer(status: StatusCode, body: impl Into<Bytes>) -> Response<ServerBody> {
    let mut answer = Response::new(ServerBody::new(body));
    *answer.status_mut() = status;
    answer
}
