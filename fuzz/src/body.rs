//! A body that does what a fuzzer's bytes say, and what a caller sees of it.

use std::{
    collections::VecDeque,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

use bytes::{Buf, Bytes, buf::Chain};
use http::{HeaderMap, HeaderValue};
use http_body::{Body, Frame, SizeHint};

use crate::byte;

/// Some more than is ever read ahead, in bytes: from here on more data only costs time.
const ENOUGH: u64 = 80 * 1024;

static BRACES: [u8; 66_000] = [b'{'; 66_000];

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    Data(Bytes),
    Trailers(u8),
    Fail(u8),
    /// Pending once, and woken at once.
    Later,
    /// Pending for good.
    Never,
}

/// What the body says about its length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hint {
    Exact,
    AtLeast,
    Nothing,
    /// Far more than there is.
    Wrong,
}

#[derive(Debug, PartialEq, Eq)]
pub struct Broken(u8);

pub struct Script {
    steps: VecDeque<Step>,
    hint: Hint,
    /// The data in `steps`.
    left: u64,
    ended: bool,
    /// How many steps have been taken.
    pub taken: Arc<AtomicUsize>,
}

/// The steps in `data`: at most 64 of them up to [`ENOUGH`] data, and one row of many empty frames.
pub fn steps(mut data: &[u8]) -> Vec<Step> {
    let mut steps = Vec::new();
    while !data.is_empty() && steps.len() < 64 && left(&steps) < ENOUGH {
        let (kind, detail) = (byte(&mut data), byte(&mut data));
        match kind % 8 {
            // Small, of one character.
            0 => steps.push(Step::Data(Bytes::from(vec![detail; usize::from(kind / 8)]))),
            // Verbatim.
            1 | 2 => {
                let (text, rest) = data.split_at(usize::from(detail).min(data.len()));
                steps.push(Step::Data(Bytes::copy_from_slice(text)));
                data = rest;
            }
            // Up to 64 KiB and 255 bytes, so that the bound is met exactly, just missed and crossed.
            3 => steps.push(Step::Data(
                Bytes::from_static(&BRACES).slice(..usize::from(kind / 8) * 2114 + usize::from(detail)),
            )),
            4 => steps.push(Step::Trailers(detail)),
            5 => steps.push(Step::Fail(detail)),
            6 => steps.push(Step::Later),
            _ if kind == 255 => steps.push(Step::Never),
            // More than may be read ahead. It takes its time, so it is for the end of the data.
            _ if kind == 247 && data.is_empty() => steps.extend(vec![Step::Data(Bytes::new()); 66_000]),
            _ => steps.push(Step::Data(Bytes::new())),
        }
    }
    steps
}

impl Script {
    pub fn new(steps: &[Step], hint: Hint) -> Self {
        Self { steps: steps.iter().cloned().collect(), hint, left: left(steps), ended: false, taken: Arc::default() }
    }
}

impl Body for Script {
    type Data = Chain<Bytes, Bytes>;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        assert!(!self.ended, "polled after its end");
        self.taken.fetch_add(1, Ordering::Relaxed);
        match self.steps.pop_front() {
            None => {
                self.ended = true;
                Poll::Ready(None)
            }
            Some(Step::Data(mut data)) => {
                self.left -= data.len() as u64;
                let first = data.split_to(data.len() / 2);
                Poll::Ready(Some(Ok(Frame::data(first.chain(data)))))
            }
            Some(Step::Trailers(value)) => {
                let mut trailers = HeaderMap::new();
                trailers.insert("x-trailer", HeaderValue::from(u16::from(value)));
                Poll::Ready(Some(Ok(Frame::trailers(trailers))))
            }
            Some(Step::Fail(value)) => Poll::Ready(Some(Err(Broken(value)))),
            Some(Step::Later) => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Some(Step::Never) => {
                self.steps.push_front(Step::Never);
                Poll::Pending
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.steps.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        let left = self.left;
        let mut hint = SizeHint::new();
        match self.hint {
            Hint::Exact => hint.set_exact(left),
            Hint::AtLeast => hint.set_lower(left.saturating_sub(3)),
            Hint::Nothing => {}
            Hint::Wrong => hint.set_exact(u64::MAX - left),
        }
        hint
    }
}

/// How many bytes of data are in these steps.
pub fn left(steps: &[Step]) -> u64 {
    steps.iter().map(Step::len).sum()
}

impl Step {
    /// How many bytes of data are in this step.
    #[allow(clippy::len_without_is_empty, reason = "a step is no collection")]
    pub fn len(&self) -> u64 {
        if let Self::Data(data) = self { data.len() as u64 } else { 0 }
    }
}

/// A step, with what was said before it about the end and the length.
pub struct Shown {
    pub step: Step,
    pub is_end_stream: bool,
    pub hint: SizeHint,
}

/// Everything that a caller sees up to the end, or up to where the body makes it wait for good. Whether it had to wait
/// in between does not show.
pub fn read<B: Body<Data = Bytes, Error = Broken>>(body: B) -> Vec<Shown> {
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(Arc::clone(&woken));
    let mut cx = Context::from_waker(&waker);
    let mut body = pin!(body);
    let mut shown = Vec::new();
    loop {
        let (is_end_stream, hint) = (body.is_end_stream(), body.size_hint());
        let step = match body.as_mut().poll_frame(&mut cx) {
            Poll::Pending if woken.0.swap(false, Ordering::Relaxed) => continue,
            Poll::Pending => Step::Never,
            Poll::Ready(None) => return shown,
            Poll::Ready(Some(Err(Broken(value)))) => Step::Fail(value),
            Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                Ok(data) => Step::Data(data),
                Err(frame) => Step::Trailers(trailer(frame)),
            },
        };
        let is_last = step == Step::Never;
        shown.push(Shown { step, is_end_stream, hint });
        if is_last {
            return shown;
        }
    }
}

/// Remembers that it was woken.
#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn trailer(frame: Frame<Bytes>) -> u8 {
    let trailers = frame.into_trailers().expect("neither data nor trailers");
    assert_eq!(trailers.len(), 1);
    trailers["x-trailer"].to_str().expect("digits").parse().expect("a byte")
}
