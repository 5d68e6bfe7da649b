//! The one login or refresh in progress, and what its end means: C16 to C21 and C51.

use tower_auth_refresh::error::ErrorKind;

use super::{
    life::{Clocks, Life, Token},
    observed::{Ask, Failure, Heard, Millis},
    reference::{Reference, Trouble},
    sequence::{Endpoint, RetryAfter, Set},
};

/// How long a flight may take.
const DEADLINE: Millis = 30_000;
const SECOND: Millis = 1000;

pub struct Flight {
    pub(super) number: usize,
    pub(super) sign_in: bool,
    /// On the monotonic clock, once it is under way.
    pub(super) deadline: Option<Millis>,
    /// The refresh token was in doubt before this flight.
    doubted: bool,
    /// What the token endpoint was asked for, and when.
    pub(super) asked: Option<(Ask, Clocks)>,
    answer: Option<Written>,
}

/// An answer of the token endpoint on its way.
#[derive(Clone, Copy)]
struct Written {
    answer: Endpoint,
    /// Of the token that it grants, if it does.
    number: u64,
    /// On the wall clock.
    at: Millis,
}

/// How a flight ended, for those who waited for it.
#[derive(Clone, Copy)]
pub(super) enum Landing {
    /// It brought this generation.
    Brought(usize),
    Superseded,
    Failed {
        failure: Failure,
        sign_in: bool,
    },
}

/// Why an answer, or the lack of one, is no token.
struct Failed {
    kind: ErrorKind,
    /// Trying again is pointless.
    refused: bool,
    /// It is proven that no refresh token was spent.
    unspent: bool,
    retry_after: Option<Millis>,
}

impl Flight {
    pub(super) fn new(number: usize, sign_in: bool) -> Self {
        Self { number, sign_in, deadline: None, doubted: false, asked: None, answer: None }
    }
}

impl Reference {
    pub fn is_owed_an_answer(&self) -> bool {
        self.flight.as_ref().is_some_and(|flight| flight.asked.is_some() && flight.answer.is_none())
    }

    pub fn endpoint_answers(&mut self, answer: Endpoint, number: u64) {
        if let Some(flight) = &mut self.flight {
            flight.answer = Some(Written { answer, number, at: self.now.wall });
        }
    }

    /// Does what the flight has to do, if anything.
    pub(super) fn fly(&mut self) -> bool {
        let Some(flight) = &mut self.flight else { return false };
        let now = self.now;
        if flight.deadline.is_none() {
            flight.deadline = Some(now.monotonic + DEADLINE);
            flight.doubted = self.in_doubt;
            match self.what_to_ask_for() {
                Ok(ask) => self.ask(ask),
                Err(kind) => self.fail(Failed { kind, refused: true, unspent: true, retry_after: None }),
            }
        } else if let Some(written) = flight.answer.take() {
            self.read(written);
        } else if flight.deadline.is_some_and(|deadline| deadline <= now.monotonic) {
            self.fail(Failed { kind: ErrorKind::TimedOut, refused: false, unspent: false, retry_after: None });
        } else {
            return false;
        }
        true
    }

    fn what_to_ask_for(&self) -> Result<Ask, ErrorKind> {
        let sign_in = self.flight.as_ref().is_some_and(|flight| flight.sign_in);
        let login = match self.scene.can_log_in {
            true if self.login_refused && !sign_in => Err(ErrorKind::Refused),
            true => Ok(Ask::Login),
            false => Err(ErrorKind::SignInRequired),
        };
        let newest = self.token.filter(|token| token.has_refresh_token).map(|token| token.number);
        let refresh = self.ended.or(newest).map(Ask::Refresh);
        match refresh {
            Some(_) if sign_in || self.refresh_refused => login,
            Some(refresh) if self.in_doubt => Ok(login.unwrap_or(refresh)),
            Some(refresh) => Ok(refresh),
            None => login,
        }
    }

    fn ask(&mut self, ask: Ask) {
        // From now on the token counts as spent.
        self.in_doubt |= self.scene.single_use && matches!(ask, Ask::Refresh(_));
        self.log.asked.push(ask);
        let now = self.now;
        if let Some(flight) = &mut self.flight {
            flight.asked = Some((ask, now));
        }
    }

    fn read(&mut self, written: Written) {
        let Some((ask, asked_at)) = self.flight.as_mut().and_then(|flight| flight.asked.take()) else { return };
        match written.answer {
            Endpoint::Grants(set)
                if set.lifetime.is_none_or(|lifetime| self.now.since(asked_at) < millis(lifetime)) =>
            {
                self.land(ask, asked_at, written.number, set);
            }
            answer => {
                if let (Endpoint::Grants(Set { refresh_token: true, .. }), Ask::Refresh(_)) = (answer, ask) {
                    (self.ended, self.in_doubt) = (Some(written.number), false);
                }
                let failed = self.failed(written, ask);
                self.fall(failed, ask);
            }
        }
    }

    fn land(&mut self, ask: Ask, asked_at: Clocks, number: u64, set: Set) {
        // The contract leaves open when a lifetime begins. This provider counts from when it asks, which errs on the safe
        // side: the server began later.
        let life = set.lifetime.map(|lifetime| Life::new(millis(lifetime), asked_at, self.now, self.scene.jitter));
        let Some(flight) = self.flight.take() else { return };
        self.login_refused &= ask != Ask::Login;
        self.install(Token { number, has_refresh_token: set.refresh_token, life });
        self.landings[flight.number] = Some(Landing::Brought(self.generation));
    }

    /// What kind of failure an answer is.
    fn failed(&self, written: Written, ask: Ask) -> Failed {
        let failed = |kind, unspent| Failed { kind, refused: false, unspent, retry_after: None };
        match written.answer {
            Endpoint::IsNotReached => failed(ErrorKind::Transport, true),
            Endpoint::AnswersInVain => failed(ErrorKind::Transport, false),
            Endpoint::Refuses => Failed { refused: true, ..failed(ErrorKind::Refused, true) },
            Endpoint::Forbids if ask == Ask::Login => Failed { refused: true, ..failed(ErrorKind::Refused, true) },
            Endpoint::Says(429 | 503, after) => {
                let retry_after = after.map(|after| match after {
                    RetryAfter::Seconds(seconds) => millis(seconds),
                    RetryAfter::Date(ahead) => date(written.at + ahead) - self.now.wall,
                });
                Failed { retry_after, ..failed(ErrorKind::Unavailable, true) }
            }
            Endpoint::Says(500 | 502 | 504, _) => failed(ErrorKind::Unavailable, false),
            // Another 4xx cannot be read, and has spent nothing.
            Endpoint::Forbids | Endpoint::Says(..) => failed(ErrorKind::Malformed, true),
            // A token that has already expired is as good as unreadable.
            Endpoint::Grants(_) | Endpoint::Babbles => failed(ErrorKind::Malformed, false),
        }
    }

    /// What follows from a failed request to the token endpoint: another one in the same flight, or its end.
    fn fall(&mut self, failed: Failed, ask: Ask) {
        let Some(flight) = &self.flight else { return };
        let (sign_in, doubted) = (flight.sign_in, flight.doubted);
        match ask {
            Ask::Refresh(_) => {
                if failed.unspent && !doubted {
                    self.in_doubt = false;
                }
                self.refresh_refused |= failed.refused;
                if failed.refused && self.scene.can_log_in && !self.login_refused {
                    return self.ask(Ask::Login);
                }
                self.fail(failed);
            }
            Ask::Login => {
                self.login_refused |= failed.refused;
                // The refresh token in doubt is the last straw: it is sent once more, after the backoff.
                let straw = doubted && !sign_in && !self.refresh_refused;
                self.fail(Failed { refused: failed.refused && !straw, ..failed });
            }
        }
    }

    /// The flight ends without a token.
    fn fail(&mut self, failed: Failed) {
        let Some(flight) = self.flight.take() else { return };
        let failure =
            if flight.sign_in && (self.token.is_some() || self.trouble.is_some_and(|trouble| trouble.for_good)) {
                // A sign-in that fails says nothing about the token set in place, and changes no refusal before it.
                Failure { kind: failed.kind, retry_at: None }
            } else {
                let backoff = (!failed.refused).then(|| self.backoff(failed.retry_after));
                let failure = Failure { kind: failed.kind, retry_at: backoff.map(|backoff| self.now.wall + backoff) };
                let since = self.trouble.map_or(self.now.wall, |trouble| trouble.since);
                // That nothing is left to ask for is asked anew: it costs no call.
                let recheck = (failed.kind == ErrorKind::SignInRequired).then_some(30 * SECOND);
                let until = backoff.or(recheck).map(|wait| self.now.after(wait));
                self.trouble = Some(Trouble { failure, since, until, for_good: failed.refused });
                self.strikes += u32::from(!failed.refused);
                failure
            };
        self.log.heard.push(Heard::RefreshFailed(self.generation, failure));
        self.landings[flight.number] = Some(Landing::Failed { failure, sign_in: flight.sign_in });
    }

    fn backoff(&self, retry_after: Option<Millis>) -> Millis {
        match retry_after {
            Some(retry_after) => retry_after.clamp(SECOND, 60 * 60 * SECOND),
            None => {
                let backoff = |longest: Millis| (SECOND << self.strikes.min(16)).min(longest) * self.scene.jitter / 100;
                let (usable, without) = (backoff(5 * 60 * SECOND), backoff(30 * SECOND));
                match &self.token {
                    Some(token) if self.has_unexpired_token() => usable.min(token.left(self.now).max(without)),
                    _ => without,
                }
            }
        }
    }
}

/// HTTP dates know whole seconds, and the test begins at one.
fn date(wall: Millis) -> Millis {
    wall.div_euclid(SECOND) * SECOND
}

fn millis(seconds: u64) -> Millis {
    seconds as Millis * SECOND
}
