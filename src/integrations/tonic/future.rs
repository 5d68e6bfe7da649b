//! The future of a call.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use http::Response;
use pin_project_lite::pin_project;
use tonic::{Status, TimeoutExpired, body::Body};

use super::{body::CallBody, deadline::Deadline, service::Unboxed, status};
use crate::{Provider, error::BoxError, future::ResponseFuture as Engine, inspect::InspectBody, service::HttpService};

pin_project! {
    /// The future of a call through [`GrpcAuth`](super::GrpcAuth).
    ///
    /// Dropping it cancels the call and never the flight it waits for or has started.
    #[must_use = "futures do nothing unless polled"]
    pub struct ResponseFuture<S, P>
    where
        S: HttpService<Body>,
    {
        #[pin]
        engine: Engine<Unboxed<S>, P, CallBody>,
        deadline: Deadline,
    }
}

impl<S, P> ResponseFuture<S, P>
where
    S: HttpService<Body>,
{
    pub(super) fn new(engine: Engine<Unboxed<S>, P, CallBody>, deadline: Deadline) -> Self {
        Self { engine, deadline }
    }
}

impl<S, P> Future for ResponseFuture<S, P>
where
    S: HttpService<Body>,
    S::Error: Into<BoxError>,
    P: Provider,
{
    type Output = Result<Response<InspectBody<S::ResponseBody>>, Status>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        this.deadline.start();
        match this.engine.as_mut().poll(cx) {
            Poll::Ready(answer) => Poll::Ready(answer.map_err(status::of)),
            // The channel's timer begins anew with each send; once the head is here, there is none.
            Poll::Pending if this.engine.is_unanswered() => {
                this.deadline.poll_over(cx).map(|()| Err(Status::from_error(Box::new(TimeoutExpired(())))))
            }
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<S, P> fmt::Debug for ResponseFuture<S, P>
where
    S: HttpService<Body>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
