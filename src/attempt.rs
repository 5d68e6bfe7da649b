//! One request on its way: what outlives a single send.

use std::{
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, response};

use crate::{
    clock::Now,
    decide::{Judged, Next},
    error::{BoxError, Error, RefreshFailure},
    http_service::HttpService,
    inspect::has_content,
    provider::{Provider, Verdict},
    redact,
    session::{Issued, Joined, Session, Snapshot},
    token::Generation,
};

/// How a service uses its session.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Options {
    pub(crate) replays: u8,
    pub(crate) error_after_failed_refresh: bool,
    pub(crate) fixed_peer: bool,
}

/// A request, its copy for a replay, and the service that sends it.
pub(crate) struct Attempt<S, P, B> {
    session: Session<P>,
    backup: fn(&B) -> Option<B>,
    /// Whether answers bring content: the method itself need not be kept.
    has_content: bool,
    /// The generation whose token the last send carried.
    generation: Generation,
    /// The token of the last send where it is part of the URL.
    in_url: Option<Arc<Issued>>,
    /// What is sent next, without any credential, and a service that is not ready yet. Nothing is left after the last
    /// send, nor where the body could not be copied.
    next: Option<(Request<B>, S)>,
    /// The generation that has just been waited for. It is used however short its life.
    awaited: Option<Generation>,
    replays_left: u8,
    is_sent: bool,
    is_replayed: bool,
    error_after_failed_refresh: bool,
}

impl<S, P, B> Attempt<S, P, B> {
    /// A request that waits for its first send.
    pub(crate) fn new(
        session: &Session<P>,
        options: Options,
        backup: fn(&B) -> Option<B>,
        request: Request<B>,
        service: S,
    ) -> Self {
        let has_content = has_content(request.method());
        let next = Some((request, service));
        let attempt = Self::sent(session, options, backup, has_content, Generation::default(), next);
        Self { is_sent: false, ..attempt }
    }

    /// A request that was sent at once; `spare` is its copy, if there is to be one, and a clone of the service.
    pub(crate) fn sent(
        session: &Session<P>,
        options: Options,
        backup: fn(&B) -> Option<B>,
        has_content: bool,
        generation: Generation,
        spare: Option<(Request<B>, S)>,
    ) -> Self {
        Self {
            session: session.clone(),
            backup,
            has_content,
            generation,
            in_url: None,
            next: spare,
            awaited: None,
            replays_left: options.replays,
            is_sent: true,
            is_replayed: false,
            error_after_failed_refresh: options.error_after_failed_refresh,
        }
    }

    /// Remembers what the request carries, if an error could print it.
    pub(crate) fn carry(&mut self, issued: &Arc<Issued>) {
        self.in_url = issued.credential.is_in_url().then(|| Arc::clone(issued));
    }

    pub(crate) fn session(&self) -> &Session<P> {
        &self.session
    }

    pub(crate) fn generation(&self) -> Generation {
        self.generation
    }

    pub(crate) fn has_content(&self) -> bool {
        self.has_content
    }

    pub(crate) fn has_waited_for(&mut self, generation: Generation) {
        self.awaited = Some(generation);
    }

    /// Whether the current token is not to be sent after all: it is being replaced, or it has ended while the service
    /// was getting ready.
    pub(crate) fn is_too_late(&self, current: &Snapshot, now: Now) -> bool {
        let is_awaited = self.awaited == Some(current.generation);
        current.is_held() || (!is_awaited && current.servable(now, self.session.policy()).is_none())
    }

    /// What follows from a judged answer.
    pub(crate) fn decide(&self, rejected: bool) -> Next {
        let out_of_replays = self.replays_left == 0;
        let last_replay = self.is_replayed && out_of_replays;
        Judged { rejected, last_replay, replayable: self.next.is_some() && !out_of_replays }.next()
    }

    /// What the wrapped service failed with: unchanged, unless it would print the credential.
    pub(crate) fn failed(&self, error: impl Into<BoxError>) -> Error {
        let error = error.into();
        Error::service(match &self.in_url {
            Some(issued) => redact::without(&issued.credential, error),
            None => error,
        })
    }

    /// The failure to raise instead of handing back a rejected answer, if the caller wants it so.
    pub(crate) fn raise(&self, failure: &RefreshFailure) -> Option<Error> {
        self.error_after_failed_refresh.then(|| failure.clone().into())
    }
}

impl<S, P: Provider, B> Attempt<S, P, B> {
    pub(crate) fn judge(&self, head: &response::Parts) -> Verdict {
        self.session.provider().judge(head)
    }

    pub(crate) fn judge_body(&self, head: &response::Parts, body: &[u8]) -> bool {
        self.session.provider().judge_body(head, body)
    }

    /// Has the next token fetched while the request is under way with the present one.
    pub(crate) fn refresh_meanwhile(&self) {
        // Whatever comes of it, this request does not wait for it.
        let _ = self.session.join(self.generation);
    }

    /// Reports that the token of the last send was rejected.
    pub(crate) fn reject(&self) -> Joined {
        self.session.reject(self.generation)
    }
}

impl<S, P, B> Attempt<S, P, B>
where
    S: HttpService<B>,
    S::Error: Into<BoxError>,
    P: Provider,
{
    pub(crate) fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        match &mut self.next {
            Some((_, service)) => service.poll_ready(cx).map_err(Error::service),
            None => Poll::Ready(Ok(())),
        }
    }

    /// Gives the reservation back: nobody may hold one while waiting for a token.
    pub(crate) fn release(&mut self) {
        if let Some((_, service)) = &mut self.next {
            *service = service.clone();
        }
    }

    /// Sends the request with the current token. The service must have been polled ready.
    pub(crate) fn send(&mut self, current: &Snapshot, issued: &Arc<Issued>, now: Now) -> Result<S::Future, Error> {
        let (request, mut service) = self.next.take().ok_or_else(|| Error::fault("there is nothing left to send"))?;
        if self.is_sent {
            self.replays_left = self.replays_left.saturating_sub(1);
            self.is_replayed = true;
        }
        self.is_sent = true;
        self.generation = current.generation;
        self.carry(issued);
        let copy = if self.replays_left > 0 { copy(&request, self.backup) } else { None };
        let request = authorize(&self.session, issued, request, now)?;
        let future = service.call(request);
        self.next = copy.map(|copy| (copy, service));
        Ok(future)
    }
}

/// A request like `request`, if its body can be copied.
pub(crate) fn copy<B>(request: &Request<B>, backup: fn(&B) -> Option<B>) -> Option<Request<B>> {
    let mut copy = Request::new(backup(request.body())?);
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.version_mut() = request.version();
    *copy.headers_mut() = request.headers().clone();
    *copy.extensions_mut() = request.extensions().clone();
    Some(copy)
}

/// Puts the token on a request.
pub(crate) fn authorize<P: Provider, B>(
    session: &Session<P>,
    issued: &Issued,
    mut request: Request<B>,
    now: Now,
) -> Result<Request<B>, Error> {
    if issued.credential.is_signed() {
        let (mut head, body) = request.into_parts();
        session.provider().sign(&issued.token, &mut head, &session.context(now)).map_err(Error::provider)?;
        return Ok(Request::from_parts(head, body));
    }
    match issued.credential.apply(&mut request) {
        Ok(()) => Ok(request),
        Err(_) => Err(Error::fault("the credential does not fit into this request")),
    }
}
