//! The task that flies: grant, request, transport, answer, publish, wake. It belongs to no request.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use http::{Uri, uri::Scheme};

use crate::{
    clock::Now,
    error::ErrorKind,
    provider::{Grant, GrantKind, Provider, ProviderError, Reason},
    rt,
    session::{
        Event, Issued, Session, Snapshot,
        failure::{AnswerHead, Failed},
        flight::Flight,
        reading::{Read, Reading},
    },
};

/// One flight. Dropped before it has landed (a panic, an abort, a runtime that shuts down) it lands as a failure.
pub(crate) struct Driver<P: Provider> {
    session: Session<P>,
    flight: Flight,
    sign_in: bool,
    started: Now,
    landed: bool,
}

/// What a flight brings, and by which grant.
type Granted = (Issued, GrantKind);

impl<P: Provider> Driver<P> {
    /// Flies `flight` on a task of its own. There must be a runtime.
    pub(crate) fn launch(session: &Session<P>, flight: Flight, sign_in: bool, started: Now) {
        let driver = Self { session: session.clone(), flight: flight.clone(), sign_in, started, landed: false };
        if let Some(task) = rt::spawn(driver.fly()) {
            flight.flown_by(task);
        }
    }

    async fn fly(mut self) {
        let provider = self.session.provider().name();
        tracing::debug!(provider, "asking the token endpoint");
        let outcome = match rt::timeout(self.session.policy().flight_deadline, self.next_token()).await {
            Ok(outcome) => outcome,
            Err(rt::NotInTime::Elapsed) => Err(Failed::of_kind(ErrorKind::TimedOut)),
            Err(rt::NotInTime::NoTimer) => Err(Failed::before_sending(ErrorKind::NoRuntime, None)),
        };
        // A grant is put in place without any more of the application's code.
        let (now, roll) = match &outcome {
            Ok(_) => (self.started, 0.0),
            Err(_) => (self.session.now(), self.session.policy().roll()),
        };
        self.land(outcome, now, roll);
    }

    async fn next_token(&self) -> Result<Granted, Failed> {
        let start = self.session.0.current.load_full();
        let why = if self.sign_in { Reason::SignIn } else { start.reason() };
        match self.ask(&start, why).await {
            // The refresh token may have been spent, or may not: it is tried once more after all, since no login can
            // take its place.
            Err(failed) if why == Reason::MaybeSpent && failed.login_refused => match self.grant(&start, Reason::Due) {
                Ok(Grant::Refresh(_)) => Err(failed.but_not_for_good()),
                _ => Err(failed),
            },
            // The refresh token is dead; where the provider can log in, one login is tried at once.
            Err(refused) if refused.refresh_refused => {
                self.change(|state| state.refresh_refused = true);
                match self.grant(&start, Reason::RefreshRefused) {
                    Ok(Grant::Login) => self.ask(&start, Reason::RefreshRefused).await,
                    _ => Err(refused),
                }
            }
            outcome => outcome,
        }
    }

    fn grant<'a>(&self, start: &'a Snapshot, why: Reason) -> Result<Grant<'a>, Failed> {
        let token = start.renewed_from();
        let provider = self.session.provider();
        // By a correction that is out of date everything may seem to have ended, and without a call none would follow.
        let kind = provider
            .next_grant(token, why, self.session.now().wall)
            .or_else(|| provider.next_grant(token, why, self.session.0.clock.now().wall));
        match (kind, token) {
            (Some(GrantKind::Login), _) if start.login_refused && !self.sign_in => match why {
                Reason::MaybeSpent => self.grant(start, Reason::Due),
                _ => Err(Failed::login_refused_before()),
            },
            (Some(GrantKind::Login), _) => Ok(Grant::Login),
            (Some(GrantKind::Refresh), Some(token)) => Ok(Grant::Refresh(token)),
            (Some(GrantKind::Refresh), None) | (None, _) => Err(Failed::sign_in_required()),
        }
    }

    /// Asks the token endpoint once.
    async fn ask(&self, start: &Snapshot, why: Reason) -> Result<Granted, Failed> {
        let grant = self.grant(start, why)?;
        let provider = self.session.provider();
        let asked = self.session.0.clock.now();
        // Now and not when there is a token set to lose: it is the application's code.
        let roll = self.session.policy().roll();
        let cx = self.session.context(self.session.current().skew.correct(asked));
        let request =
            provider.request(grant, &cx).map_err(|error| Failed::before_sending(ErrorKind::Fault, Some(error)))?;
        self.check_uri(request.uri())?;
        let transport = self.session.0.transport.ready().await.map_err(Failed::transport)?;
        // From here until the server proves otherwise the refresh token counts as spent.
        let spends = grant.kind() == GrantKind::Refresh && provider.single_use();
        if spends {
            self.change(|state| state.spending = true);
        }
        self.check_current(&self.session.current())?;
        let outcome = async {
            let answer =
                transport.send(request, self.session.policy().token_answer_limit).await.map_err(Failed::transport)?;
            let answered = self.session.0.clock.now();
            let known = self.session.current().skew;
            let head = AnswerHead::new(answer.status(), answer.headers(), known.correct(answered).wall);
            let reading = Reading { provider, grant, cx, asked: asked.seen_from(answered), answered };
            let issue = |token, now| self.session.issue(token, roll, now);
            let (read, skew) = reading.read(answer, known, issue);
            if skew != known {
                self.change(|state| state.skew = skew);
            }
            let error = match read {
                Ok(Read::Granted(issued)) => return Ok((issued, grant.kind())),
                Ok(Read::Ended(token)) => {
                    let now = skew.correct(answered).wall;
                    let renewable = provider.next_grant(Some(&token), Reason::Due, now) == Some(GrantKind::Refresh);
                    if grant.kind() == GrantKind::Refresh && renewable {
                        self.change(|state| state.keep_ended(token));
                    }
                    ProviderError::malformed(provider.name(), "expiry", "has already passed")
                }
                Err(error) => error,
            };
            Err(Failed::answer(error, head, grant.kind()))
        }
        .await;
        // What was in doubt before this attempt stays in doubt after it.
        if spends && !start.spending && outcome.as_ref().is_err_and(|failed| failed.unspent) {
            self.change(|state| state.spending = false);
        }
        outcome
    }

    /// A token request goes to an absolute URI, and over plain http only with the opt-in.
    fn check_uri(&self, uri: &Uri) -> Result<(), Failed> {
        match uri.scheme() {
            Some(scheme) if *scheme == Scheme::HTTPS => Ok(()),
            Some(scheme) if *scheme == Scheme::HTTP && self.session.0.allow_http => Ok(()),
            Some(scheme) if *scheme == Scheme::HTTP => Err(Failed::before_sending(ErrorKind::PlainHttp, None)),
            _ => {
                let name = self.session.provider().name();
                let relative = ProviderError::fault(name, "the token request needs an absolute http or https URI");
                Err(Failed::before_sending(ErrorKind::Fault, Some(relative)))
            }
        }
    }

    /// Nothing may be sent for a flight that `set` or `sign_out` has superseded: it would spend the tokens of another.
    fn check_current(&self, state: &Snapshot) -> Result<(), Failed> {
        if self.is_current(state) { Ok(()) } else { Err(Failed::before_sending(ErrorKind::Aborted, None)) }
    }

    /// Takes a note for whatever comes after this flight, unless it has been superseded.
    fn change(&self, note: impl FnOnce(&mut Snapshot)) {
        self.session.transition(|state| {
            if self.is_current(state) {
                note(state);
            }
            ((), None)
        });
    }

    fn is_current(&self, state: &Snapshot) -> bool {
        state.flight.as_ref().is_some_and(|flight| flight.is(&self.flight))
    }

    /// Publishes, then wakes: whoever is woken finds the new state in place. A flight that has been superseded
    /// changes nothing. No code of the application's runs in here.
    fn land(&mut self, outcome: Result<Granted, Failed>, now: Now, roll: f64) {
        let landing = self.session.transition(|state| {
            if !self.is_current(state) {
                return (None, None);
            }
            match outcome {
                Ok((issued, kind)) => {
                    state.install(Arc::new(issued));
                    state.login_refused &= kind != GrantKind::Login;
                    (Some(Ok(state.generation)), Some(Event::TokenChanged { generation: state.generation }))
                }
                Err(failed) => {
                    let failure = state.fail(&failed, self.sign_in, now, roll, self.session.policy());
                    let event = Event::RefreshFailed { generation: state.generation, failure: failure.clone() };
                    (Some(Err((failed, failure))), Some(event))
                }
            }
        });
        self.flight.land(match &landing {
            Some(Err((_, failure))) => Err(failure.clone()),
            Some(Ok(brought)) => Ok(Some(*brought)),
            None => Ok(None),
        });
        self.landed = true;
        let generation = self.session.current().generation.get();
        match landing {
            Some(Ok(_)) => tracing::info!(generation, "a new token is in place"),
            Some(Err((failed, _))) => tracing::warn!(generation, failure = %failed, "no new token"),
            None => tracing::debug!(generation, "the token set was replaced meanwhile; the answer is discarded"),
        }
    }
}

impl<P: Provider> Drop for Driver<P> {
    fn drop(&mut self) {
        if !self.landed {
            // The clock and the jitter are the application's code, which may be what has just panicked.
            let now = catch_unwind(AssertUnwindSafe(|| self.session.now())).unwrap_or(self.started);
            self.land(Err(Failed::of_kind(ErrorKind::Aborted)), now, 1.0);
        }
    }
}
