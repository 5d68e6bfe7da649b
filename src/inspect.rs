//! Looks into a small JSON response body, and hands on exactly what came.
//!
//! Some APIs answer 200 and say in the body that the token was refused. Where a
//! [`Provider`](crate::provider::Provider) asks for it, the layer reads the beginning of such a body before it decides;
//! the caller still gets every byte, frame, trailer and error, unchanged and in order, as an [`InspectBody`]. A rejected
//! answer is read the same way while the token is renewed, so that its connection is free for the replay.
//!
//! What is looked at, and for how long, is bounded: see
//! [`Verdict::ReadBody`](crate::provider::Verdict::ReadBody).

mod eligible;
mod read_ahead;
mod resumed;

pub(crate) use eligible::{eligible, has_content};
pub(crate) use read_ahead::{Outcome, ReadAhead, Reading};

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::{Buf, Bytes};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use self::resumed::Resumed;

/// How far a body is read ahead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ReadLimit {
    /// An envelope that refuses a token is far smaller than the default, and an answer that is larger is somebody's
    /// data, which must not wait.
    pub(crate) bytes: u64,
    /// From the moment on which it makes the reader wait. A body that takes longer is a stream, whose reader expects
    /// its parts as they come.
    pub(crate) time: Duration,
}

pin_project! {
    /// The body of a response that came through the layer: what the inner service answered, unchanged.
    ///
    /// Mostly it is the inner body itself, in place and not boxed. Where the layer had to look into it, the frames that
    /// it read come first, then an error if there was one, then the rest. [`is_end_stream`](Body::is_end_stream) and
    /// [`size_hint`](Body::size_hint) say what the inner body would have said.
    ///
    /// The data comes as [`Bytes`]: at no cost where the inner body's data is `Bytes` already, otherwise it is copied.
    ///
    /// It is `Send` and `Sync` where `B` and its error are, and `Unpin` where `B` is.
    pub struct InspectBody<B>
    where
        B: Body,
    {
        #[pin]
        kind: Kind<B>,
    }
}

pin_project! {
    #[project = KindProj]
    enum Kind<B>
    where
        B: Body,
    {
        Untouched { #[pin] body: B },
        // One pointer, so that a body which nobody looked into does not pay for the room.
        Resumed { body: Pin<Box<Resumed<B>>> },
    }
}

// ===== impl ReadLimit =====

impl Default for ReadLimit {
    fn default() -> Self {
        Self { bytes: 64 * 1024, time: Duration::from_secs(1) }
    }
}

// ===== impl InspectBody =====

impl<B: Body> InspectBody<B> {
    /// A body that nobody looked into. (`const` also shows that this allocates nothing.)
    pub(crate) const fn untouched(body: B) -> Self {
        Self { kind: Kind::Untouched { body } }
    }

    fn resumed(body: Pin<Box<Resumed<B>>>) -> Self {
        Self { kind: Kind::Resumed { body } }
    }

    /// The inner body, where nobody looked into it.
    #[cfg(feature = "reqwest")]
    pub(crate) fn into_untouched(self) -> Result<B, Self> {
        match self.kind {
            Kind::Untouched { body } => Ok(body),
            kind @ Kind::Resumed { .. } => Err(Self { kind }),
        }
    }
}

impl<B: Body> Body for InspectBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        match self.project().kind.project() {
            KindProj::Untouched { body } => body.poll_frame(cx).map_ok(into_bytes),
            KindProj::Resumed { body } => body.as_mut().poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Untouched { body } => body.is_end_stream(),
            Kind::Resumed { body } => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Untouched { body } => body.size_hint(),
            Kind::Resumed { body } => body.size_hint(),
        }
    }
}

impl<B: Body + Default> Default for InspectBody<B> {
    fn default() -> Self {
        Self::untouched(B::default())
    }
}

/// Says how much was read ahead and nothing of what: a body may hold anything.
impl<B: Body> fmt::Debug for InspectBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let read_ahead = match &self.kind {
            Kind::Untouched { .. } => 0,
            Kind::Resumed { body } => body.bytes(),
        };
        f.debug_struct("InspectBody").field("read_ahead", &read_ahead).finish_non_exhaustive()
    }
}

fn into_bytes<D: Buf>(frame: Frame<D>) -> Frame<Bytes> {
    frame.map_data(|mut data| data.copy_to_bytes(data.remaining()))
}

#[cfg(test)]
mod tests;
