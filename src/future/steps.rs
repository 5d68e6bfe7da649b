//! The steps of a request: each looks at what has happened, and says what follows.

use http::Response;
use http_body::Body;

use super::{State, answer::Answer, untouched};
use crate::{
    attempt::Attempt,
    decide::Next,
    error::{BoxError, Error, RefreshFailure},
    http_service::HttpService,
    inspect::{InspectBody, ReadAhead},
    provider::{Provider, Verdict},
    session::{Joined, Plan, flight::Outcome},
};

/// What one step of the state machine leads to.
pub(super) enum Step<F, T: Body> {
    Go(State<F, T>),
    End(Result<Response<InspectBody<T>>, Error>),
}

impl<S, P, B> Attempt<S, P, B>
where
    S: HttpService<B>,
    S::Error: Into<BoxError>,
    P: Provider,
{
    pub(super) fn answered(&mut self, answer: Response<S::ResponseBody>) -> Step<S::Future, S::ResponseBody> {
        let (mut head, body) = answer.into_parts();
        self.take_credential_out_of(&mut head);
        self.drop_partial_copy();
        let policy = self.session().policy();
        match self.judge(&head) {
            Verdict::Rejected => {
                let body = ReadAhead::to_drain(body, policy.rejected_answer);
                self.rejected(Answer { head, body })
            }
            verdict => match self.reading(&head, &body.size_hint(), verdict) {
                Some(reading) => {
                    let body = ReadAhead::to_judge(body, reading, policy.judged_body);
                    Step::Go(State::Reading { answer: Answer { head, body } })
                }
                None => Step::End(Ok(untouched(Response::from_parts(head, body)))),
            },
        }
    }

    pub(super) fn rejected(&mut self, answer: Answer<S::ResponseBody>) -> Step<S::Future, S::ResponseBody> {
        match self.decide(true) {
            Next::Return => Step::End(Ok(answer.into_response())),
            Next::RefreshAndReturn => {
                let _ = self.reject();
                Step::End(Ok(answer.into_response()))
            }
            Next::RefreshAndReplay => match self.reject() {
                Joined::Flying(ticket) => Step::Go(State::Waiting { ticket, answer: Some(answer) }),
                Joined::Changed => self.join(Some(answer)),
                Joined::Refused(failure) => self.landed(Err(failure), Some(answer)),
            },
        }
    }

    /// Sends with the current token, or waits for the next one where the current one is not to be used.
    pub(super) fn join(&mut self, answer: Option<Answer<S::ResponseBody>>) -> Step<S::Future, S::ResponseBody> {
        loop {
            let current = self.session().current();
            let now = self.session().now_in(&current);
            return match current.plan(now, self.session().policy()) {
                Plan::Send(_) | Plan::SendAndRefresh(_) => {
                    Step::Go(State::Readying { answer: answer.filter(Answer::is_read) })
                }
                Plan::Refuse(failure) => {
                    drop(current);
                    self.give_up(failure, answer)
                }
                Plan::Wait => match self.session().join(current.generation) {
                    Joined::Flying(ticket) => Step::Go(State::Waiting { ticket, answer }),
                    Joined::Changed => continue,
                    Joined::Refused(failure) => {
                        let is_usable = current.servable(now, self.session().policy()).is_some();
                        // A rejected answer may speak of a token that has been replaced.
                        let is_untried = answer.is_none() || current.generation != self.generation();
                        drop(current);
                        if is_usable && is_untried {
                            Step::Go(State::Readying { answer: answer.filter(Answer::is_read) })
                        } else {
                            self.give_up(failure, answer)
                        }
                    }
                },
            };
        }
    }

    /// Asks anew: for the successor of the rejected token, or for a usable one.
    pub(super) fn again(&mut self, answer: Option<Answer<S::ResponseBody>>) -> Step<S::Future, S::ResponseBody> {
        match answer {
            Some(answer) => self.rejected(answer),
            None => self.join(None),
        }
    }

    pub(super) fn landed(
        &mut self,
        landed: Outcome,
        answer: Option<Answer<S::ResponseBody>>,
    ) -> Step<S::Future, S::ResponseBody> {
        let current = self.session().current();
        let failure = match (landed, &answer) {
            // What the flight brought is used, however short its life.
            (Ok(Some(brought)), _) if brought == current.generation => {
                drop(current);
                self.has_waited_for(brought);
                return Step::Go(State::Readying { answer: answer.filter(Answer::is_read) });
            }
            // Signed out, and perhaps in again; or a token set of the application's, which may be at its end.
            (Ok(_), _) => return Step::Go(State::Joining { answer }),
            // Whatever became of that flight, the application has brought another token.
            (Err(_), Some(_)) if current.token.is_some() && current.generation != self.generation() => {
                return Step::Go(State::Joining { answer });
            }
            (Err(_), None) if current.servable(self.session().now_in(&current), self.session().policy()).is_some() => {
                return Step::Go(State::Readying { answer: None });
            }
            (Err(failure), _) => failure,
        };
        drop(current);
        self.give_up(failure, answer)
    }

    /// There is no token to go on with.
    fn give_up(
        &mut self,
        failure: RefreshFailure,
        answer: Option<Answer<S::ResponseBody>>,
    ) -> Step<S::Future, S::ResponseBody> {
        match (answer, self.raise(&failure)) {
            (Some(answer), None) => Step::End(Ok(answer.into_response_after(failure))),
            (Some(_), Some(error)) => Step::End(Err(error)),
            (None, _) => Step::End(Err(failure.into())),
        }
    }

    /// The service is ready: sends, unless its turn came too late for the token.
    pub(super) fn ready(&mut self, answer: Option<Answer<S::ResponseBody>>) -> Step<S::Future, S::ResponseBody> {
        let current = self.session().current().clone();
        let now = self.session().now_in(&current);
        let Some(issued) = current.token.as_ref().filter(|_| !self.is_too_late(&current, now)) else {
            self.release();
            return Step::Go(State::Joining { answer });
        };
        match self.send(&current, issued, now) {
            Ok(future) => Step::Go(State::Sending { future, refresh: false }),
            Err(error) => Step::End(Err(error)),
        }
    }
}
