//! The future of a request through reqwest: nothing but reqwest's own, started at the first poll.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use http::Response;
use pin_project_lite::pin_project;
use reqwest::{Body, Client, Request};
use tower_service::Service;

use super::convert::into_http;
use crate::{
    error::BoxError,
    transport::{NotSent, TokenRequest},
};

pin_project! {
    /// The future of a request through [`ReqwestService`](super::ReqwestService).
    #[must_use = "futures do nothing unless polled"]
    pub struct ResponseFuture {
        #[pin]
        state: State,
        is_token_request: bool,
    }
}

pin_project! {
    #[project = Projected]
    enum State {
        // reqwest starts the timers of a request when it is given one, which takes a runtime: a future is polled inside
        // of one, a service may be called outside.
        Unsent { client: Client, request: Option<reqwest::Result<Request>> },
        Sent { #[pin] answer: <Client as Service<Request>>::Future },
    }
}

impl ResponseFuture {
    pub(super) fn new(client: Client, request: http::Request<Body>) -> Self {
        let is_token_request = request.extensions().get::<TokenRequest>().is_some();
        Self { state: State::Unsent { client, request: Some(request.try_into()) }, is_token_request }
    }
}

impl Future for ResponseFuture {
    type Output = Result<Response<Body>, BoxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            let answer = match this.state.as_mut().project() {
                Projected::Unsent { client, request } => match request.take() {
                    Some(Ok(request)) => {
                        let answer = client.call(request);
                        this.state.set(State::Sent { answer });
                        continue;
                    }
                    Some(Err(error)) => Err(error),
                    // Polled after completion.
                    None => return Poll::Pending,
                },
                Projected::Sent { answer } => ready!(answer.poll(cx)),
            };
            return Poll::Ready(match answer {
                Ok(answer) => Ok(into_http(answer)),
                Err(error) if *this.is_token_request && never_left(&error) => Err(NotSent::new(error).into()),
                Err(error) => Err(error.into()),
            });
        }
    }
}

/// There was no connection to send it on, or it is nothing that reqwest sends.
fn never_left(error: &reqwest::Error) -> bool {
    error.is_connect() || error.is_builder()
}

/// Says nothing of the request, whose URL may show a token.
impl fmt::Debug for ResponseFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
