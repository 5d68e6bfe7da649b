//! A body of which a part was read ahead, and which goes on as if it had not been.

use std::{
    collections::VecDeque,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::into_bytes;

pin_project! {
    /// What was read ahead, in the order in which it is handed out: frames, an error, the rest.
    pub(super) struct Resumed<B>
    where
        B: Body,
    {
        frames: VecDeque<Frame<Bytes>>,
        // The data in `frames`, counted along because a size hint may be asked for at every frame.
        bytes: u64,
        error: Option<B::Error>,
        #[pin]
        rest: Rest<B>,
    }
}

pin_project! {
    #[project = RestProj]
    enum Rest<B> {
        More { #[pin] body: B },
        // The body is dropped as soon as it has ended, with whatever connection or permit it holds. The bounds of its
        // last hint stay: a hint that is sharper than the original's would make a proxy declare a length where it has
        // sent chunks, and HTTP/1 trailers need chunks.
        Ended { lower: u64, upper: Option<u64> },
    }
}

/// What reading ahead came upon.
pub(super) enum Read {
    Frame,
    Error,
    End,
}

// ===== impl Resumed =====

impl<B: Body> Resumed<B> {
    pub(super) fn new(body: B) -> Self {
        Self { frames: VecDeque::new(), bytes: 0, error: None, rest: Rest::More { body } }
    }

    /// The frames that were read and not yet handed out.
    pub(super) fn frames(&self) -> &VecDeque<Frame<Bytes>> {
        &self.frames
    }

    /// How many bytes of data are in [`frames`](Self::frames).
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Reads on and keeps what comes. Not to be called again after an error or the end.
    pub(super) fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Read> {
        let mut this = self.project();
        let read = match ready!(this.rest.as_mut().poll_frame(cx)) {
            Some(Ok(frame)) => {
                *this.bytes = this.bytes.saturating_add(data_len(&frame));
                this.frames.push_back(frame);
                Read::Frame
            }
            Some(Err(error)) => {
                *this.error = Some(error);
                Read::Error
            }
            None => {
                let hint = this.rest.size_hint();
                this.rest.set(Rest::Ended { lower: hint.lower(), upper: hint.upper() });
                Read::End
            }
        };
        Poll::Ready(read)
    }
}

impl<B: Body> Body for Resumed<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let this = self.project();
        if let Some(frame) = this.frames.pop_front() {
            *this.bytes = this.bytes.saturating_sub(data_len(&frame));
            return Poll::Ready(Some(Ok(frame)));
        }
        match this.error.take() {
            Some(error) => Poll::Ready(Some(Err(error))),
            None => this.rest.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.frames.is_empty() && self.error.is_none() && self.rest.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let rest = self.rest.size_hint();
        let upper = rest.upper().and_then(|upper| upper.checked_add(self.bytes));
        size_hint(rest.lower().saturating_add(self.bytes), upper)
    }
}

// ===== impl Rest =====

impl<B: Body> Body for Rest<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        match self.project() {
            RestProj::More { body } => body.poll_frame(cx).map_ok(into_bytes),
            RestProj::Ended { .. } => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::More { body } => body.is_end_stream(),
            Self::Ended { .. } => true,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::More { body } => body.size_hint(),
            Self::Ended { lower, upper } => size_hint(*lower, *upper),
        }
    }
}

fn size_hint(lower: u64, upper: Option<u64>) -> SizeHint {
    let mut hint = SizeHint::new();
    hint.set_lower(lower);
    if let Some(upper) = upper {
        hint.set_upper(upper);
    }
    hint
}

fn data_len(frame: &Frame<Bytes>) -> u64 {
    frame.data_ref().map_or(0, |data| u64::try_from(data.len()).unwrap_or(u64::MAX))
}
