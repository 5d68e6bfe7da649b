//! The task that flies: grant, request, transport, answer, publish, wake. It belongs to no request.

use std::sync::Arc;

use http::uri::Scheme;

use crate::{
    clock::Now,
    error::ErrorKind,
    provider::{Grant, GrantKind, Provider, ProviderError, Reason},
    rt,
    session::{
        Event, Issued, Session, Snapshot,
        failure::{AnswerHead, Failed},
        flight::Flight,
    },
};

/// One flight. Dropped before it has landed (a panic, an abort, a runtime that shuts down) it lands as a failure.
pub(crate) struct Driver<P: Provider> {
    session: Session<P>,
    flight: Flight,
    sign_in: bool,
    landed: bool,
}

impl<P: Provider> Driver<P> {
    /// Flies `flight` on a task of its own. There must be a runtime.
    pub(crate) fn launch(session: &Session<P>, flight: Flight, sign_in: bool) {
        session.0.flying.send_modify(|flying| *flying += 1);
        let driver = Self { session: session.clone(), flight: flight.clone(), sign_in, landed: false };
        if let Some(task) = rt::spawn(driver.fly()) {
            flight.flown_by(task);
        }
    }

    async fn fly(mut self) {
        let provider = self.session.provider().name();
        tracing::debug!(provider, "asking the token endpoint");
        let outcome = match rt::timeout(self.session.policy().flight_deadline, self.next_token()).await {
            Ok(outcome) => outcome,
            Err(rt::Elapsed) => Err(Failed::of_kind(ErrorKind::TimedOut)),
        };
        self.land(outcome);
    }

    async fn next_token(&self) -> Result<Issued, Failed> {
        let start = self.session.0.current.load_full();
        let why = if self.sign_in { Reason::SignIn } else { start.reason() };
        match self.ask(&start, why).await {
            // The refresh token is dead; where the provider can log in, one login is tried at once.
            Err(refused) if refused.refresh_refused => match self.grant(&start, Reason::RefreshRefused) {
                Ok(Grant::Login) => {
                    self.ask(&start, Reason::RefreshRefused).await.map_err(Failed::after_refused_refresh)
                }
                _ => Err(refused),
            },
            outcome => outcome,
        }
    }

    fn grant<'a>(&self, start: &'a Snapshot, why: Reason) -> Result<Grant<'a>, Failed> {
        let token = start.token.as_ref().map(|issued| &issued.token);
        let kind = self.session.provider().next_grant(token, why, self.session.now().wall);
        match (kind, token) {
            (Some(GrantKind::Login), _) if start.login_refused && !self.sign_in => Err(Failed::login_refused_before()),
            (Some(GrantKind::Login), _) => Ok(Grant::Login),
            (Some(GrantKind::Refresh), Some(token)) => Ok(Grant::Refresh(token)),
            (Some(GrantKind::Refresh), None) | (None, _) => Err(Failed::sign_in_required()),
        }
    }

    /// Asks the token endpoint once.
    async fn ask(&self, start: &Snapshot, why: Reason) -> Result<Issued, Failed> {
        let grant = self.grant(start, why)?;
        let now = self.session.now();
        let provider = self.session.provider();
        let cx = self.session.context(now);
        let request =
            provider.request(grant, &cx).map_err(|error| Failed::before_sending(ErrorKind::Fault, Some(error)))?;
        if request.uri().scheme() != Some(&Scheme::HTTPS) && !self.session.0.allow_http {
            return Err(Failed::before_sending(ErrorKind::PlainHttp, None));
        }
        // From here until the server proves otherwise the refresh token counts as spent.
        let spends = grant.kind() == GrantKind::Refresh && provider.single_use();
        if spends {
            self.mark_spending(true);
        }
        let outcome = async {
            let answer = self.session.0.transport.send(request).await.map_err(Failed::transport)?;
            let now = self.session.now();
            let head = AnswerHead::new(answer.status(), answer.headers(), now.wall);
            let read = provider.parse(grant, answer, &cx).and_then(|token| self.accept(token, now));
            read.map_err(|error| Failed::answer(error, head, grant.kind()))
        }
        .await;
        // What was in doubt before this attempt stays in doubt after it.
        if spends && !start.spending && outcome.as_ref().is_err_and(|failed| failed.unspent) {
            self.mark_spending(false);
        }
        outcome
    }

    fn accept(&self, token: crate::token::TokenSet, now: Now) -> Result<Issued, ProviderError> {
        if token.expiry().is_expired(now.wall) {
            return Err(ProviderError::malformed(self.session.provider().name(), "expiry", "has already passed"));
        }
        self.session.issue(token, now)
    }

    fn mark_spending(&self, spending: bool) {
        self.session.transition(|state| {
            if self.is_current(state) {
                state.spending = spending;
            }
            ((), None)
        });
    }

    fn is_current(&self, state: &Snapshot) -> bool {
        state.flight.as_ref().is_some_and(|flight| flight.is(&self.flight))
    }

    /// Publishes, then wakes: whoever is woken finds the new state in place. A flight that has been superseded
    /// changes nothing.
    fn land(&mut self, outcome: Result<Issued, Failed>) {
        self.landed = true;
        let session = &self.session;
        let provider = session.provider().name();
        match &outcome {
            Ok(_) => tracing::info!(provider, "a new token is in place"),
            Err(failed) => tracing::warn!(provider, failure = %failed, "the token endpoint granted nothing"),
        }
        let now = session.now();
        let landed = session.transition(|state| {
            if !self.is_current(state) {
                return (Ok(()), None);
            }
            match outcome {
                Ok(issued) => {
                    state.install(Arc::new(issued));
                    (Ok(()), Some(Event::TokenChanged { generation: state.generation }))
                }
                Err(failed) => {
                    let failure = state.fail(&failed, self.sign_in, now, session.policy());
                    (Err(failure.clone()), Some(Event::RefreshFailed { generation: state.generation, failure }))
                }
            }
        });
        self.flight.land(landed);
    }
}

impl<P: Provider> Drop for Driver<P> {
    fn drop(&mut self) {
        if !self.landed {
            self.land(Err(Failed::of_kind(ErrorKind::Aborted)));
        }
        self.session.0.flying.send_modify(|flying| *flying -= 1);
    }
}
