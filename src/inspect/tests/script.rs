//! Bodies that follow a script, and what a caller sees of them.

use super::*;

pin_project! {
    /// A body that follows a script, must not be moved once polled, and may not be asked again after its end.
    pub(super) struct Script {
        steps: VecDeque<Step>,
        hint: Bounds,
        ended: bool,
        pub(super) polls: Arc<AtomicUsize>,
        #[pin]
        pinned: PhantomPinned,
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Data(&'static str),
    Trailers(&'static str),
    Fail(&'static str),
    /// Pending once, and woken at once.
    Later,
    /// Pending for good.
    Never,
}

/// Of a size hint.
pub(super) type Bounds = (u64, Option<u64>);

/// A step, with what [`Body::is_end_stream`] and [`Body::size_hint`] said before it.
pub(super) type Shown = (Step, bool, Bounds);

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Broken(&'static str);

impl Step {
    pub(super) fn len(&self) -> u64 {
        match self {
            Data(text) => u64::try_from(text.len()).unwrap(),
            _ => 0,
        }
    }
}

impl Script {
    pub(super) fn hint(self, hint: Bounds) -> Self {
        Self { hint, ..self }
    }
}

impl Body for Script {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let this = self.project();
        assert!(!*this.ended, "polled after its end");
        this.polls.fetch_add(1, Ordering::Relaxed);
        let Some(step) = this.steps.pop_front() else {
            *this.ended = true;
            return Poll::Ready(None);
        };
        let (lower, upper) = *this.hint;
        *this.hint = (lower.saturating_sub(step.len()), upper.map(|upper| upper - step.len()));
        match step {
            Data(text) => Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(text.as_bytes()))))),
            Trailers(text) => {
                let mut trailers = HeaderMap::new();
                trailers.insert("x-trailer", HeaderValue::from_static(text));
                Poll::Ready(Some(Ok(Frame::trailers(trailers))))
            }
            Fail(text) => Poll::Ready(Some(Err(Broken(text)))),
            Later => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Never => {
                this.steps.push_front(Never);
                Poll::Pending
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.steps.iter().all(|step| *step == Later)
    }

    fn size_hint(&self) -> SizeHint {
        let (lower, upper) = self.hint;
        let mut hint = SizeHint::new();
        hint.set_lower(lower);
        if let Some(upper) = upper {
            hint.set_upper(upper);
        }
        hint
    }
}

/// A body that stays on its thread.
pub(super) struct Local(Full<Bytes>, PhantomData<Rc<()>>);

impl Body for Local {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        Pin::new(&mut self.0).poll_frame(cx)
    }
}

pub(super) fn script<const N: usize>(steps: [Step; N]) -> Script {
    with_steps(&steps)
}

pub(super) fn with_steps(steps: &[Step]) -> Script {
    Script {
        steps: steps.iter().cloned().collect(),
        hint: (0, None),
        ended: false,
        polls: Arc::default(),
        pinned: PhantomPinned,
    }
}

/// No more than so many bytes.
pub(super) fn up_to(bytes: u64) -> ReadLimit {
    ReadLimit { bytes, ..ReadLimit::default() }
}

pub(super) fn any<B: Body>(body: B) -> ReadAhead<B> {
    ReadAhead::to_judge(body, Reading::Any, ReadLimit::default())
}

pub(super) fn poll<B: Body>(ahead: &mut ReadAhead<B>) -> Poll<Outcome> {
    ahead.poll(&mut Context::from_waker(Waker::noop()))
}

pub(super) fn poll_frame<B: Body>(body: Pin<&mut B>) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
    body.poll_frame(&mut Context::from_waker(Waker::noop()))
}

pub(super) fn first_data<B: Body<Error: fmt::Debug> + Unpin>(mut body: B) -> B::Data {
    let frame = body.frame().now_or_never().flatten().unwrap().unwrap();
    frame.into_data().ok().unwrap()
}

pub(super) fn bounds(hint: &SizeHint) -> Bounds {
    (hint.lower(), hint.upper())
}

/// What a reader sees, in the words of a script.
pub(super) fn everything<B: Body<Data = Bytes, Error = Broken>>(body: B) -> Vec<Step> {
    shown(body).into_iter().map(|(step, ..)| step).collect()
}

/// Like [`everything`], each step with the hints that stood before it.
pub(super) fn shown<B: Body<Data = Bytes, Error = Broken>>(body: B) -> Vec<Shown> {
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(Arc::clone(&woken));
    let mut cx = Context::from_waker(&waker);
    let mut body = pin!(body);
    let mut shown = Vec::new();
    loop {
        let (is_end_stream, hint) = (body.is_end_stream(), bounds(&body.size_hint()));
        let step = match body.as_mut().poll_frame(&mut cx) {
            Poll::Ready(None) => return shown,
            Poll::Ready(Some(Err(Broken(text)))) => Fail(text),
            Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                Ok(data) => Data(String::from_utf8(data.into()).unwrap().leak()),
                Err(frame) => {
                    let value = frame.into_trailers().unwrap()["x-trailer"].to_str().unwrap().to_owned();
                    Trailers(value.leak())
                }
            },
            Poll::Pending if woken.0.swap(false, Ordering::Relaxed) => Later,
            Poll::Pending => Never,
        };
        let is_last = step == Never;
        shown.push((step, is_end_stream, hint));
        if is_last {
            return shown;
        }
    }
}

/// Remembers that it was woken.
#[derive(Default)]
pub(super) struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}
