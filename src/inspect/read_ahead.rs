//! Reads a body ahead, within bounds, and loses nothing of it.

use std::{
    borrow::Cow,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame};

use super::{InspectBody, ReadLimit, resumed::Read, resumed::Resumed};
use crate::rt;

/// A body that is being read ahead: to judge it, or to free the connection of an answer that was rejected.
///
/// It can be given back at any point, also in the middle, by [`into_body`](Self::into_body).
pub(crate) struct ReadAhead<B: Body> {
    body: Pin<Box<Resumed<B>>>,
    reading: Reading,
    bounds: ReadLimit,
    deadline: Option<rt::Sleep>,
    outcome: Option<Outcome>,
}

/// Which bodies are worth reading on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    /// Any.
    Any,
    /// One whose first character that is not JSON whitespace is `{`; at any other the reading stops.
    Object,
}

/// How far the reading came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The whole body was read, trailers included.
    Whole,
    /// The reading stopped: at a bound, at an error, at a body that is no object, or because the body makes its reader
    /// wait where no timer runs.
    Partial,
}

// ===== impl ReadAhead =====

impl<B: Body> ReadAhead<B> {
    /// Reads a body that decides whether the token was refused; what is worth reading says
    /// [`eligible`](super::eligible()).
    pub(crate) fn to_judge(body: B, reading: Reading, bounds: ReadLimit) -> Self {
        let body = Box::pin(Resumed::new(body));
        Self { body, reading, bounds, deadline: None, outcome: None }
    }

    /// Reads an answer that was rejected and may yet be handed to the caller, so that its HTTP/1 connection or HTTP/2
    /// slot becomes free.
    pub(crate) fn to_drain(body: B, bounds: ReadLimit) -> Self {
        Self::to_judge(body, Reading::Any, bounds)
    }

    /// Reads on. Once it is ready it stays so, with the same outcome, and reads no further.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Outcome> {
        if let Some(outcome) = self.outcome {
            return Poll::Ready(outcome);
        }
        let outcome = ready!(self.poll_outcome(cx));
        self.outcome = Some(outcome);
        self.deadline = None;
        Poll::Ready(outcome)
    }

    /// Reads what is there already, waits for nothing, and reads no further. Whether that was the whole body.
    #[cfg(feature = "tonic")]
    pub(crate) fn read_at_once(&mut self) -> bool {
        let mut cx = Context::from_waker(std::task::Waker::noop());
        let outcome = match self.poll_body(&mut cx) {
            Poll::Ready(outcome) => outcome,
            Poll::Pending => Outcome::Partial,
        };
        self.outcome = Some(outcome);
        self.is_whole()
    }

    /// Whether the whole body has been read.
    pub(crate) fn is_whole(&self) -> bool {
        self.outcome == Some(Outcome::Whole)
    }

    /// The data that was read so far; borrowed where it came in one frame.
    pub(crate) fn bytes(&self) -> Cow<'_, [u8]> {
        let mut frames = self.body.frames().iter().filter_map(Frame::data_ref);
        match (frames.next(), frames.next()) {
            (None, _) => Cow::Borrowed(&[]),
            (Some(only), None) => Cow::Borrowed(only),
            (Some(first), Some(second)) => {
                let mut whole = [&first[..], second].concat();
                frames.for_each(|frame| whole.extend_from_slice(frame));
                Cow::Owned(whole)
            }
        }
    }

    /// The trailers, if they have been read.
    pub(crate) fn trailers(&self) -> Option<&HeaderMap> {
        self.body.frames().back().and_then(Frame::trailers_ref)
    }

    /// The body as it came, wherever the reading stands.
    pub(crate) fn into_body(self) -> InspectBody<B> {
        InspectBody::resumed(self.body)
    }

    fn poll_outcome(&mut self, cx: &mut Context<'_>) -> Poll<Outcome> {
        match self.poll_body(cx) {
            Poll::Ready(outcome) => Poll::Ready(outcome),
            Poll::Pending => self.poll_deadline(cx).map(|()| Outcome::Partial),
        }
    }

    fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Outcome> {
        loop {
            match ready!(self.body.as_mut().poll_read(cx)) {
                Read::Frame if self.is_worth_reading_on() => {}
                Read::Frame | Read::Error => return Poll::Ready(Outcome::Partial),
                Read::End => return Poll::Ready(Outcome::Whole),
            }
        }
    }

    fn is_worth_reading_on(&mut self) -> bool {
        // Frames without data cost memory as well, and a body may have any number of them.
        let frames = u64::try_from(self.body.frames().len()).unwrap_or(u64::MAX);
        if self.body.bytes() > self.bounds.bytes || frames > self.bounds.bytes {
            return false;
        }
        if self.reading == Reading::Object {
            match self.body.frames().back().and_then(Frame::data_ref).and_then(first_character) {
                None => {}
                Some(b'{') => self.reading = Reading::Any,
                Some(_) => return false,
            }
        }
        true
    }

    /// The timer is set when the body first makes its reader wait: one that is there already needs none.
    fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.deadline.is_none() {
            self.deadline = rt::sleep(self.bounds.time);
        }
        match &mut self.deadline {
            Some(deadline) => Pin::new(deadline).poll(cx),
            None => Poll::Ready(()),
        }
    }
}

/// The first byte that is not whitespace ([RFC 8259, section 2](https://www.rfc-editor.org/rfc/rfc8259#section-2)).
fn first_character(data: &Bytes) -> Option<u8> {
    data.iter().copied().find(|byte| !matches!(byte, b' ' | b'\t' | b'\n' | b'\r'))
}
