//! The future of a request: sends, judges, waits, sends again.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use http::{Response, response};
use http_body::Body;
use pin_project_lite::pin_project;

use crate::{
    attempt::Attempt,
    decide::Next,
    error::{BoxError, Error, ErrorKind, RefreshFailure},
    http_service::HttpService,
    inspect::{InspectBody, Outcome, ReadAhead, eligible},
    provider::{Provider, Verdict},
    session::{Joined, Plan, flight::Ticket},
};

pin_project! {
    /// The future of a request through [`AuthRefresh`](crate::AuthRefresh).
    ///
    /// Dropping it cancels the request and never the flight it waits for or has started. It must not be polled after
    /// completion; it stays pending then.
    #[must_use = "futures do nothing unless polled"]
    pub struct ResponseFuture<S, P, B>
    where
        S: HttpService<B>,
    {
        #[pin]
        state: State<S::Future, S::ResponseBody>,
        // Absent where nothing but the inner future's own result is to come.
        attempt: Option<Attempt<S, P, B>>,
    }
}

pin_project! {
    #[project = Projected]
    #[project_replace = Replaced]
    enum State<F, T>
    where
        T: Body,
    {
        // On its way without the credential; whatever comes is handed on.
        Passing { #[pin] future: F },
        // On its way with the credential.
        Sending { #[pin] future: F, refresh: bool },
        // Answered; the body decides.
        Reading { answer: Answer<T> },
        // Without a usable token, or with a rejected answer to a token that has been replaced meanwhile.
        Joining { answer: Option<Answer<T>> },
        // Until the flight has landed. A rejected answer is read meanwhile, so that its connection is free.
        Waiting { #[pin] ticket: Ticket, answer: Option<Answer<T>> },
        // Until the service is ready. A rejected answer that was read to its end holds no connection, and is kept for
        // the case that the new token is rejected before it could be sent.
        Readying { answer: Option<Answer<T>> },
        // Refused before anything was sent.
        Failed { error: Error },
        Done,
    }
}

/// An answer that is being read, and can be handed on as it came at any time.
struct Answer<T: Body> {
    head: response::Parts,
    body: ReadAhead<T>,
}

/// What one step of the state machine leads to.
enum Step<F, T: Body> {
    Go(State<F, T>),
    End(Result<Response<InspectBody<T>>, Error>),
}

impl<S, P, B> ResponseFuture<S, P, B>
where
    S: HttpService<B>,
{
    /// Hands on whatever comes.
    pub(crate) fn pass(future: S::Future) -> Self {
        Self { state: State::Passing { future }, attempt: None }
    }

    /// Goes on from a request that has been sent. The token's successor is fetched from the first poll on, if
    /// `refresh` says so: `call` may run outside of any runtime.
    pub(crate) fn send(future: S::Future, attempt: Attempt<S, P, B>, refresh: bool) -> Self {
        Self { state: State::Sending { future, refresh }, attempt: Some(attempt) }
    }

    /// Waits for a token first.
    pub(crate) fn wait(attempt: Attempt<S, P, B>) -> Self {
        Self { state: State::Joining { answer: None }, attempt: Some(attempt) }
    }

    pub(crate) fn fail(error: Error) -> Self {
        Self { state: State::Failed { error }, attempt: None }
    }
}

impl<S, P, B> Future for ResponseFuture<S, P, B>
where
    S: HttpService<B>,
    S::Error: Into<BoxError>,
    P: Provider,
{
    type Output = Result<Response<InspectBody<S::ResponseBody>>, Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            let step = match (this.state.as_mut().project(), this.attempt.as_mut()) {
                (Projected::Passing { future }, _) => {
                    Step::End(ready!(future.poll(cx)).map(untouched).map_err(Error::service))
                }
                (Projected::Sending { future, refresh }, Some(attempt)) => {
                    if std::mem::take(refresh) {
                        attempt.refresh_meanwhile();
                    }
                    match ready!(future.poll(cx)) {
                        Ok(answer) => attempt.answered(answer),
                        Err(error) => Step::End(Err(attempt.failed(error))),
                    }
                }
                (Projected::Reading { answer }, Some(attempt)) => {
                    let read = ready!(answer.body.poll(cx));
                    let rejected = read == Outcome::Whole && attempt.judge_body(&answer.head, &answer.body.bytes());
                    match this.state.as_mut().project_replace(State::Done) {
                        Replaced::Reading { answer } if rejected => attempt.rejected(answer),
                        Replaced::Reading { answer } => Step::End(Ok(answer.into_response())),
                        _ => return Poll::Pending,
                    }
                }
                (Projected::Joining { .. }, Some(attempt)) => match this.state.as_mut().project_replace(State::Done) {
                    Replaced::Joining { answer } => attempt.join(answer),
                    _ => return Poll::Pending,
                },
                (Projected::Waiting { ticket, answer }, Some(attempt)) => {
                    if let Some(answer) = answer {
                        // However far it comes: what was not read is read by the caller, or dropped.
                        let _ = answer.body.poll(cx);
                    }
                    let landed = ready!(ticket.poll(cx));
                    match this.state.as_mut().project_replace(State::Done) {
                        Replaced::Waiting { answer, .. } => attempt.landed(landed, answer),
                        _ => return Poll::Pending,
                    }
                }
                (Projected::Readying { .. }, Some(attempt)) => {
                    let ready = ready!(attempt.poll_ready(cx));
                    match (ready, this.state.as_mut().project_replace(State::Done)) {
                        (Ok(()), Replaced::Readying { answer }) => attempt.ready(answer),
                        (Err(error), _) => Step::End(Err(error)),
                        (Ok(()), _) => return Poll::Pending,
                    }
                }
                (Projected::Failed { .. }, _) => match this.state.as_mut().project_replace(State::Done) {
                    Replaced::Failed { error } => Step::End(Err(error)),
                    _ => return Poll::Pending,
                },
                // Polled after completion.
                (_, _) => return Poll::Pending,
            };
            match step {
                // Setting the state drops what the old one held, the inner future first of all: it may hold a
                // reservation that the next step needs.
                Step::Go(state) => this.state.set(state),
                Step::End(result) => {
                    this.state.set(State::Done);
                    *this.attempt = None;
                    return Poll::Ready(result);
                }
            }
        }
    }
}

/// The steps: each looks at what has happened and says what follows.
impl<S, P, B> Attempt<S, P, B>
where
    S: HttpService<B>,
    S::Error: Into<BoxError>,
    P: Provider,
{
    fn answered(&mut self, answer: Response<S::ResponseBody>) -> Step<S::Future, S::ResponseBody> {
        let (head, body) = answer.into_parts();
        match self.judge(&head) {
            Verdict::Rejected => self.rejected(Answer { head, body: ReadAhead::to_drain(body) }),
            verdict => match eligible(self.has_content(), &head, &body.size_hint(), verdict) {
                Some(reading) => {
                    Step::Go(State::Reading { answer: Answer { head, body: ReadAhead::to_judge(body, reading) } })
                }
                None => Step::End(Ok(untouched(Response::from_parts(head, body)))),
            },
        }
    }

    fn rejected(&mut self, answer: Answer<S::ResponseBody>) -> Step<S::Future, S::ResponseBody> {
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
    fn join(&mut self, answer: Option<Answer<S::ResponseBody>>) -> Step<S::Future, S::ResponseBody> {
        loop {
            let now = self.session().now();
            let current = self.session().current();
            return match current.plan(now, self.session().policy()) {
                Plan::Send(_) | Plan::SendAndRefresh(_) => {
                    Step::Go(State::Readying { answer: answer.filter(Answer::is_read) })
                }
                Plan::Refuse(failure) => {
                    drop(current);
                    self.landed(Err(failure), answer)
                }
                Plan::Wait => match self.session().join(current.generation) {
                    Joined::Flying(ticket) => Step::Go(State::Waiting { ticket, answer }),
                    Joined::Changed => continue,
                    Joined::Refused(failure) => {
                        drop(current);
                        self.landed(Err(failure), answer)
                    }
                },
            };
        }
    }

    fn landed(
        &mut self,
        landed: Result<(), RefreshFailure>,
        answer: Option<Answer<S::ResponseBody>>,
    ) -> Step<S::Future, S::ResponseBody> {
        let current = self.session().current();
        let failure = match (landed, &answer) {
            // What the flight brought is used, however short its life.
            (Ok(()), _) if current.token.is_some() => {
                let generation = current.generation;
                drop(current);
                self.has_waited_for(generation);
                return Step::Go(State::Readying { answer: answer.filter(Answer::is_read) });
            }
            (Ok(()), _) => signed_out(),
            (Err(_), None) if current.unexpired(self.session().now()).is_some() => {
                return Step::Go(State::Readying { answer: None });
            }
            (Err(failure), _) => failure,
        };
        match (answer, self.raise(&failure)) {
            (Some(answer), None) => Step::End(Ok(answer.into_response_after(failure))),
            (Some(_), Some(error)) => Step::End(Err(error)),
            (None, _) => Step::End(Err(failure.into())),
        }
    }

    /// The service is ready: sends, unless its turn came too late for the token.
    fn ready(&mut self, answer: Option<Answer<S::ResponseBody>>) -> Step<S::Future, S::ResponseBody> {
        let now = self.session().now();
        let current = self.session().current().clone();
        match &current.token {
            None => self.landed(Ok(()), answer),
            Some(_) if self.is_too_late(&current, now) => {
                self.release();
                Step::Go(State::Joining { answer })
            }
            Some(issued) => match self.send(&current, issued, now) {
                Ok(future) => Step::Go(State::Sending { future, refresh: false }),
                Err(error) => Step::End(Err(error)),
            },
        }
    }
}

impl<T: Body> Answer<T> {
    fn is_read(&self) -> bool {
        self.body.is_whole()
    }

    fn into_response(self) -> Response<InspectBody<T>> {
        Response::from_parts(self.head, self.body.into_body())
    }

    fn into_response_after(mut self, failure: RefreshFailure) -> Response<InspectBody<T>> {
        self.head.extensions.insert(failure);
        self.into_response()
    }
}

fn untouched<T: Body>(answer: Response<T>) -> Response<InspectBody<T>> {
    answer.map(InspectBody::untouched)
}

fn signed_out() -> RefreshFailure {
    RefreshFailure::new(ErrorKind::SignedOut, None, None)
}

impl<S, P, B> fmt::Debug for ResponseFuture<S, P, B>
where
    S: HttpService<B>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
