//! The body of an answer, on a good line and on a bad one.

use std::{
    fmt,
    future::Future,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use crate::{
    error::BoxError,
    rt::{self, Sleep},
};

/// The body of an answer of the servers in this module.
pub struct ServerBody {
    rest: Bytes,
    /// Before each byte; `None` sends all at once.
    pause: Option<Duration>,
    waiting: Option<Sleep>,
    breaks_off: bool,
}

impl ServerBody {
    /// A body that comes at once.
    #[must_use]
    pub fn new(data: impl Into<Bytes>) -> Self {
        Self { rest: data.into(), pause: None, waiting: None, breaks_off: false }
    }

    /// How many bytes are still to come.
    pub(super) fn len(&self) -> usize {
        self.rest.len()
    }

    /// The first half of it, as if that were all.
    pub(super) fn half(mut self) -> Self {
        self.rest.truncate(self.rest.len() / 2);
        self
    }

    /// The first half of it, then an error.
    pub(super) fn broken_off(self) -> Self {
        Self { breaks_off: true, ..self.half() }
    }

    pub(super) fn dripping(self, pause: Duration) -> Self {
        Self { pause: Some(pause), ..self }
    }
}

impl Body for ServerBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let body = &mut *self;
        if body.rest.is_empty() {
            let broken = std::mem::take(&mut body.breaks_off);
            return Poll::Ready(broken.then(|| Err(io::Error::from(io::ErrorKind::UnexpectedEof).into())));
        }
        let Some(pause) = body.pause else {
            return Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut body.rest)))));
        };
        if body.waiting.is_none() {
            body.waiting = rt::sleep(pause);
        }
        if let Some(waiting) = &mut body.waiting {
            ready!(Pin::new(waiting).poll(cx));
        }
        body.waiting = None;
        Poll::Ready(Some(Ok(Frame::data(body.rest.split_to(1)))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && !self.breaks_off
    }

    fn size_hint(&self) -> SizeHint {
        if self.breaks_off { SizeHint::new() } else { SizeHint::with_exact(self.rest.len() as u64) }
    }
}

impl fmt::Debug for ServerBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerBody").field("rest", &self.rest.len()).finish_non_exhaustive()
    }
}
