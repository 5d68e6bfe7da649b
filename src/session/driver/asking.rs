//! The token endpoint is asked: by which grant, once or, where a refresh is refused and a login possible, twice.

use std::sync::{Arc, atomic::Ordering};

use http::{Uri, uri::Scheme};

use super::{Driver, turn::Turn};
use crate::{
    error::ErrorKind,
    provider::{Grant, GrantKind, Provider, ProviderError, Reason},
    session::{
        Issued, Snapshot,
        failure::{AnswerHead, Failed},
        reading::{Read, Reading},
    },
};

/// A token set, and by which grant it came.
pub(super) type Answered = (Arc<Issued>, GrantKind);

impl<P: Provider> Driver<P> {
    /// Asks for the next token set. `turn` is the flight's turn at the store, where there is one.
    pub(super) async fn next_token(&self, turn: Option<&Turn>) -> Result<Answered, Failed> {
        let start = self.session.0.current.load_full();
        let why = self.why(&start);
        match self.ask(&start, why, turn).await {
            // The refresh token may have been spent, or may not: it is tried once more after all, since no login can
            // take its place.
            Err(failed) if why == Reason::MaybeSpent && failed.login_refused => match self.grant(&start, Reason::Due) {
                Ok(Grant::Refresh(_)) => Err(failed.but_not_for_good()),
                _ => Err(failed),
            },
            // The refresh token is dead; where the provider can log in, one login is tried at once.
            Err(refused) if refused.refresh_refused => {
                // Before the look, which may take longer than the flight has. Another set that it finds ends it.
                self.change(|state| state.refresh_refused = true);
                self.check_unchanged(start.renewed_from()).await?;
                match self.grant(&start, Reason::RefreshRefused) {
                    Ok(Grant::Login) => self.ask(&start, Reason::RefreshRefused, turn).await,
                    _ => Err(refused),
                }
            }
            outcome => outcome,
        }
    }

    pub(super) fn why(&self, state: &Snapshot) -> Reason {
        if self.sign_in { Reason::SignIn } else { state.reason() }
    }

    pub(super) fn grant<'a>(&self, start: &'a Snapshot, why: Reason) -> Result<Grant<'a>, Failed> {
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
    async fn ask(&self, start: &Snapshot, why: Reason, turn: Option<&Turn>) -> Result<Answered, Failed> {
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
        let spends = grant.kind() == GrantKind::Refresh && provider.single_use();
        let outcome = async {
            if let Some(turn) = turn {
                self.before_sending(turn, spends).await?;
            }
            // From here until the server proves otherwise the refresh token counts as spent.
            if spends {
                self.change(|state| {
                    state.spending = true;
                    state.sync.sends();
                });
                if turn.is_none() {
                    // No mark says so in the store.
                    self.note_later(self.session.current().sync.version, None);
                }
            }
            self.check_current(&self.session.current())?;
            tracing::debug!(provider = provider.name(), "asking the token endpoint");
            self.has_asked.store(true, Ordering::Relaxed);
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
                Ok(Read::Granted(issued)) => return Ok((Arc::new(issued), grant.kind())),
                Ok(Read::Ended(token)) => {
                    let now = skew.correct(answered).wall;
                    let renewable = provider.next_grant(Some(&token), Reason::Due, now) == Some(GrantKind::Refresh);
                    if grant.kind() == GrantKind::Refresh && renewable {
                        let unsaved = self.unsaved(turn, grant.kind());
                        self.change(|state| state.keep_ended(token, unsaved));
                    }
                    ProviderError::malformed(provider.name(), "expiry", "has already passed")
                }
                Err(error) => error,
            };
            Err(Failed::answer(error, head, grant.kind()))
        }
        .await;
        // Before the store is told, which may take longer than the flight has.
        if outcome.as_ref().is_err_and(|failed| failed.login_refused) {
            self.change(|state| {
                state.login_refused = true;
                state.sync.login_told = false;
            });
        }
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
}
