//! A streaming body that is taken down while it is sent, so that it can be sent once more.

mod recorder;

use std::{
    error::Error as StdError,
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use self::recorder::{Recorder, Recording, Tape};
use crate::error::BoxError;

/// How much of a body is kept unless somebody says otherwise.
pub(crate) const LIMIT: usize = 64 * 1024;

pin_project! {
    /// A streaming request body of which a bounded copy is kept while it is sent, for
    /// [`Buffered`](crate::replay::Buffered).
    ///
    /// The data is copied as it goes by, and its trailers are; nothing waits for it. The copy is complete when the body has
    /// been sent to its end. Where the API answers before that, where the body is longer than the limit, or where it fails,
    /// there is no copy: the request is not replayed, and its body goes on as if nobody had looked. Nothing at all is kept
    /// of a request that the layer would not replay anyway.
    ///
    /// A replay is framed as the first send was: with a declared length if that had one, else without.
    ///
    /// ```
    /// use bytes::Bytes;
    /// use http::Request;
    /// use http_body_util::Full;
    /// use tower::{Layer, ServiceBuilder, ServiceExt};
    /// use tower_auth_refresh::{
    ///     AuthRefreshLayer, Session,
    ///     replay::{Buffered, ReplayBody},
    ///     test_util::{AuthServer, TestClock, TestProvider},
    /// };
    ///
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() {
    /// # let server = AuthServer::new(&TestClock::new());
    /// # let api = server.api();
    /// # let session = Session::builder(TestProvider::new()).transport(server.clone()).build().unwrap();
    /// let client = ServiceBuilder::new()
    ///     .map_request(|request: Request<_>| request.map(ReplayBody::new))
    ///     .layer(AuthRefreshLayer::new(session).replay::<Buffered>())
    ///     .service(api);
    ///
    /// let stream = Full::new(Bytes::from("any body will do"));
    /// let answer = client.oneshot(Request::put("https://api.test/file").body(stream).unwrap()).await.unwrap();
    /// assert!(answer.status().is_success());
    /// # }
    /// ```
    pub struct ReplayBody<B> {
        #[pin]
        kind: Kind<B>,
    }
}

pin_project! {
    #[project = KindProj]
    enum Kind<B> {
        // What has been read ahead, behind the last byte that the body declared.
        Original { #[pin] body: B, recorder: Recorder, ahead: Option<Read> },
        Copy { tape: Arc<Tape>, next: Part },
    }
}

/// What one read of a body brings.
type Read = Option<Result<Frame<Bytes>, BoxError>>;

/// What a copy hands out next.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Data,
    Trailers,
    End,
}

/// A copy was read before its original had been sent to its end.
#[derive(Debug)]
struct Incomplete;

// ===== impl ReplayBody =====

impl<B> ReplayBody<B> {
    /// Keeps up to 64 KiB of `body`.
    pub fn new(body: B) -> Self {
        Self::with_limit(body, LIMIT)
    }

    /// Keeps up to `limit` bytes of `body`, data and trailers together. With 0 only an empty body can be sent again.
    pub fn with_limit(body: B, limit: usize) -> Self {
        Self { kind: Kind::Original { body, recorder: Recorder::new(limit), ahead: None } }
    }

    /// A body of which there is a copy from the beginning.
    #[cfg(feature = "tonic")]
    pub(crate) fn taken_down(data: Bytes) -> Self {
        let tape = Arc::new(Tape::from(Recording::of(data)));
        Self { kind: Kind::Copy { tape, next: Part::Data } }
    }

    /// What was taken down, once it is all there.
    pub(crate) fn whole(&self) -> Option<&Bytes> {
        match &self.kind {
            Kind::Original { .. } => None,
            Kind::Copy { tape, .. } => tape.get().map(|recording| &recording.data),
        }
    }
}

impl<B: Body> ReplayBody<B> {
    /// A body that hands out what this one will have handed out, from its beginning.
    pub(crate) fn copy(&self) -> Option<Self> {
        let tape = match &self.kind {
            Kind::Original { body, recorder, .. } => recorder.tape(body)?,
            Kind::Copy { tape, next: Part::Data } => Arc::clone(tape),
            Kind::Copy { .. } => return None,
        };
        Some(Self { kind: Kind::Copy { tape, next: Part::Data } })
    }
}

impl<B> Body for ReplayBody<B>
where
    B: Body,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match self.project().kind.project() {
            KindProj::Original { mut body, recorder, ahead } => {
                if let Some(read) = ahead.take() {
                    return Poll::Ready(read);
                }
                recorder.start(&*body);
                let read = ready!(poll_recorded(body.as_mut(), recorder, cx));
                // A client that has sent as much as was declared may ask for nothing more. What comes behind it, trailers
                // or the end, is looked at before that.
                if recorder.has_all_that_was_declared()
                    && let Poll::Ready(behind) = poll_recorded(body, recorder, cx)
                {
                    *ahead = Some(behind);
                }
                Poll::Ready(read)
            }
            KindProj::Copy { tape, next } => Poll::Ready(match tape.get() {
                Some(recording) => next.take(recording).map(Ok),
                None => Some(Err(Incomplete.into())),
            }),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Original { body, ahead: None, .. } => body.is_end_stream(),
            Kind::Original { ahead: Some(behind), .. } => behind.is_none(),
            Kind::Copy { tape, next } => tape.get().is_some_and(|recording| next.peek(recording) == Part::End),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Original { body, ahead, .. } => behind(ahead, body.size_hint()),
            Kind::Copy { tape, next } => match tape.get() {
                Some(recording) => recording.size_hint(next.peek(recording) == Part::Data),
                None => SizeHint::new(),
            },
        }
    }
}

impl<B> From<B> for ReplayBody<B> {
    fn from(body: B) -> Self {
        Self::new(body)
    }
}

impl<B: Default> Default for ReplayBody<B> {
    fn default() -> Self {
        Self::new(B::default())
    }
}

/// Says how far it came and nothing of what it holds: a body may hold anything.
impl<B> fmt::Debug for ReplayBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, kept) = match &self.kind {
            Kind::Original { recorder, .. } => ("Original", recorder.kept()),
            Kind::Copy { tape, .. } => ("Copy", tape.get().map_or(0, |recording| recording.data.len())),
        };
        f.debug_struct("ReplayBody").field("kind", &format_args!("{kind}")).field("kept", &kept).finish()
    }
}

// ===== impl Part =====

impl Part {
    /// The next part that there is.
    fn peek(self, recording: &Recording) -> Self {
        match self {
            Self::Data if !recording.data.is_empty() => Self::Data,
            Self::Data | Self::Trailers if recording.trailers.is_some() => Self::Trailers,
            _ => Self::End,
        }
    }

    fn take(&mut self, recording: &Recording) -> Option<Frame<Bytes>> {
        let part = self.peek(recording);
        *self = if part == Self::Data { Self::Trailers } else { Self::End };
        match part {
            Self::Data => Some(Frame::data(recording.data.clone())),
            Self::Trailers => recording.trailers.clone().map(Frame::trailers),
            Self::End => None,
        }
    }
}

impl StdError for Incomplete {}

impl fmt::Display for Incomplete {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the body has not been sent to its end, so there is no copy of it")
    }
}

fn poll_recorded<B>(mut body: Pin<&mut B>, recorder: &mut Recorder, cx: &mut Context<'_>) -> Poll<Read>
where
    B: Body,
    B::Error: Into<BoxError>,
{
    let read = ready!(body.as_mut().poll_frame(cx)).map(|read| read.map(into_bytes).map_err(Into::into));
    recorder.record(&read, body.is_end_stream());
    Poll::Ready(read)
}

/// The length of what is left, with the data that was read ahead.
fn behind(ahead: &Option<Read>, rest: SizeHint) -> SizeHint {
    let Some(Some(Ok(frame))) = ahead else { return rest };
    let length = frame.data_ref().map_or(0, Bytes::len);
    let length = u64::try_from(length).unwrap_or(u64::MAX);
    let mut hint = SizeHint::new();
    hint.set_lower(rest.lower().saturating_add(length));
    if let Some(upper) = rest.upper().and_then(|upper| upper.checked_add(length)) {
        hint.set_upper(upper);
    }
    hint
}

fn into_bytes<D: Buf>(frame: Frame<D>) -> Frame<Bytes> {
    frame.map_data(|mut data| data.copy_to_bytes(data.remaining()))
}
