//! The future of a request: sends, judges, waits, sends again.

mod answer;
mod steps;

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use http::Response;
use http_body::Body;
use pin_project_lite::pin_project;

use self::{answer::Answer, steps::Step};
use crate::{
    attempt::Attempt,
    error::{BoxError, Error},
    http_service::HttpService,
    inspect::{InspectBody, Outcome},
    provider::Provider,
    session::flight::Ticket,
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

    /// Whether the answer that counts has not begun to come, by a request that carries the credential.
    #[cfg(feature = "tonic")]
    pub(crate) fn is_unanswered(&self) -> bool {
        matches!(
            self.state,
            State::Joining { .. } | State::Waiting { .. } | State::Readying { .. } | State::Sending { .. }
        )
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
                    let rejected = read == Outcome::Whole && attempt.judge_whole(&answer.head, &answer.body);
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
                    let is_sign_in = ticket.is_sign_in();
                    let landed = ready!(ticket.poll(cx));
                    match this.state.as_mut().project_replace(State::Done) {
                        // Somebody's wrong password says nothing about this request's token.
                        Replaced::Waiting { answer, .. } if is_sign_in && landed.is_err() => attempt.again(answer),
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

impl<S, P, B> fmt::Debug for ResponseFuture<S, P, B>
where
    S: HttpService<B>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}

fn untouched<T: Body>(answer: Response<T>) -> Response<InspectBody<T>> {
    answer.map(InspectBody::untouched)
}
