//! What can go wrong on the way to a server and back: a hook, and answers that break off or come in drops.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures::future::BoxFuture;
use http::{Request, Response};
use hyper::body::{Body, Frame, SizeHint};
use tokio::time::{Sleep, sleep};
use tower::BoxError;

use super::Loopback;

/// An answer as it leaves; with an error the connection breaks instead (over HTTP/2 the stream).
pub(crate) type Sent = BoxFuture<'static, Result<Response<Reply>, BoxError>>;

/// Stands between the connections and a server, as a bad line or a proxy does. It sees each request, and passes it on
/// by [`Loopback::handle`], or does not.
pub(crate) trait Faults: Send + Sync + 'static {
    /// Sends what becomes of one request.
    fn send(&self, server: Loopback, request: Request<Bytes>) -> Sent;
}

/// The body of an answer, and how it comes.
pub(crate) struct Reply {
    rest: Bytes,
    /// The body breaks off when this many bytes are left.
    breaks_at: usize,
    /// How many bytes come at once, and how long it takes until the next do.
    drops: Option<(usize, Duration)>,
    next: Option<Pin<Box<Sleep>>>,
}

impl Reply {
    /// All at once.
    pub(crate) fn whole(body: Bytes) -> Self {
        Self { rest: body, breaks_at: 0, drops: None, next: None }
    }

    /// The first half, then the connection breaks.
    pub(crate) fn truncated(body: Bytes) -> Self {
        let breaks_at = body.len().div_ceil(2);
        Self { breaks_at, ..Self::whole(body) }
    }

    /// A few bytes every now and then.
    pub(crate) fn dripping(body: Bytes, drop: usize, every: Duration) -> Self {
        Self { drops: Some((drop, every)), ..Self::whole(body) }
    }
}

impl Body for Reply {
    type Data = Bytes;
    type Error = BoxError;

    #[allow(clippy::disallowed_methods, reason = "a line that is slow takes real time")]
    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Some(next) = &mut self.next {
            if next.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            self.next = None;
        }
        let left = self.rest.len().saturating_sub(self.breaks_at);
        if left == 0 {
            return Poll::Ready((self.breaks_at > 0).then(|| Err("the line is broken".into())));
        }
        let size = self.drops.map_or(left, |(drop, _)| left.min(drop.max(1)));
        self.next = self.drops.map(|(_, every)| Box::pin(sleep(every)));
        let data = self.rest.split_to(size);
        Poll::Ready(Some(Ok(Frame::data(data))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.rest.len() as u64)
    }
}
