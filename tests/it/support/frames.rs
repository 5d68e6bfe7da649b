//! A body that follows a script, and an API that answers with such bodies.

use std::{
    collections::VecDeque,
    future::{Future, Ready, ready},
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, header};
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt;
use tokio::sync::Semaphore;
use tower::{BoxError, Service};

/// What comes next in a body.
#[derive(Clone, Debug, PartialEq)]
pub enum Part {
    Data(Bytes),
    Trailers(HeaderMap),
    Fail(&'static str),
    /// Time passes.
    Wait(Duration),
    /// Nothing comes before the body's [gate](Frames::gate) has a permit.
    Hold,
}

/// A body that follows a script. Clones start where the original stands, and go on independently of it.
#[derive(Clone)]
pub struct Frames {
    parts: VecDeque<Part>,
    declared: Option<u64>,
    taken: Arc<AtomicUsize>,
    gate: Arc<Semaphore>,
    waiting: Waiting,
}

/// A body broke off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Broken(pub &'static str);

#[derive(Default)]
struct Waiting(Option<Pin<Box<dyn Future<Output = ()> + Send + Sync>>>);

pub fn data(text: impl Into<Bytes>) -> Part {
    Part::Data(text.into())
}

pub fn trailers(name: &'static str, value: &'static str) -> Part {
    Part::Trailers([(HeaderName::from_static(name), HeaderValue::from_static(value))].into_iter().collect())
}

impl Frames {
    /// A body of unknown length.
    pub fn new(parts: impl IntoIterator<Item = Part>) -> Self {
        Self {
            parts: parts.into_iter().collect(),
            declared: None,
            taken: Arc::default(),
            gate: Arc::new(Semaphore::new(0)),
            waiting: Waiting::default(),
        }
    }

    /// A body that says its exact length beforehand.
    pub fn declared(parts: impl IntoIterator<Item = Part>) -> Self {
        let mut body = Self::new(parts);
        body.declared = Some(body.parts.iter().map(Part::len).sum());
        body
    }

    /// Counts what was taken out of this body and its clones: frames, errors, and one for the end.
    pub fn taken(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.taken)
    }

    /// Where a permit lets one `Hold` pass.
    pub fn gate(&self) -> Arc<Semaphore> {
        Arc::clone(&self.gate)
    }

    fn wait_for(&self, part: &Part) -> Option<Pin<Box<dyn Future<Output = ()> + Send + Sync>>> {
        match part {
            #[allow(clippy::disallowed_methods, reason = "paused time")]
            Part::Wait(duration) => Some(Box::pin(tokio::time::sleep(*duration))),
            Part::Hold => {
                let gate = self.gate();
                Some(Box::pin(async move { gate.acquire().await.expect("an open gate").forget() }))
            }
            _ => None,
        }
    }
}

impl Part {
    fn len(&self) -> u64 {
        match self {
            Self::Data(data) => data.len().try_into().unwrap(),
            _ => 0,
        }
    }
}

impl Clone for Waiting {
    fn clone(&self) -> Self {
        Self(None)
    }
}

impl http_body::Body for Frames {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        loop {
            let Some(part) = self.parts.front().cloned() else {
                self.taken.fetch_add(1, Ordering::SeqCst);
                return Poll::Ready(None);
            };
            if self.waiting.0.is_none() {
                self.waiting.0 = self.wait_for(&part);
            }
            if let Some(waiting) = &mut self.waiting.0 {
                std::task::ready!(waiting.as_mut().poll(cx));
                self.waiting.0 = None;
                self.parts.pop_front();
                continue;
            }
            self.taken.fetch_add(1, Ordering::SeqCst);
            self.parts.pop_front();
            if let Some(left) = &mut self.declared {
                *left -= part.len();
            }
            return Poll::Ready(Some(match part {
                Part::Data(data) => Ok(Frame::data(data)),
                Part::Trailers(trailers) => Ok(Frame::trailers(trailers)),
                Part::Fail(reason) => Err(Broken(reason)),
                Part::Wait(_) | Part::Hold => unreachable!("it was waited for"),
            }));
        }
    }

    fn is_end_stream(&self) -> bool {
        self.parts.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        self.declared.map_or_else(SizeHint::new, SizeHint::with_exact)
    }
}

impl std::error::Error for Broken {}

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}

/// What a reader sees: frames and errors, each with what `is_end_stream` and the exact length said before it.
pub async fn shown<B>(mut body: B) -> Vec<(Part, bool, Option<u64>)>
where
    B: http_body::Body<Data = Bytes, Error = Broken> + Unpin,
{
    let mut shown = Vec::new();
    loop {
        let (is_end_stream, length) = (body.is_end_stream(), body.size_hint().exact());
        let part = match body.frame().await {
            None => return shown,
            Some(Err(Broken(reason))) => Part::Fail(reason),
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) => Part::Data(data),
                Err(frame) => Part::Trailers(frame.into_trailers().expect("data or trailers")),
            },
        };
        shown.push((part, is_end_stream, length));
    }
}

/// What a reader sees: frames and errors.
pub async fn parts<B>(body: B) -> Vec<Part>
where
    B: http_body::Body<Data = Bytes, Error = Broken> + Unpin,
{
    shown(body).await.into_iter().map(|(part, ..)| part).collect()
}

type Answer = dyn Fn(&Request<()>) -> Result<Response<Frames>, BoxError> + Send + Sync;

/// An API that answers by the head of a request, and reads no body. Clones share what it has seen.
#[derive(Clone)]
pub struct Stub {
    answer: Arc<Answer>,
    tokens: Arc<Mutex<Vec<String>>>,
}

impl Stub {
    pub fn new(answer: impl Fn(&Request<()>) -> Response<Frames> + Send + Sync + 'static) -> Self {
        Self::fallible(move |request| Ok(answer(request)))
    }

    pub fn fallible(
        answer: impl Fn(&Request<()>) -> Result<Response<Frames>, BoxError> + Send + Sync + 'static,
    ) -> Self {
        Self { answer: Arc::new(answer), tokens: Arc::default() }
    }

    /// Gives `first` to whoever comes with token 7, and welcomes everybody else.
    pub fn first(first: impl Fn() -> Response<Frames> + Send + Sync + 'static) -> Self {
        Self::new(move |request| match token(request) {
            "Bearer access-7" => first(),
            _ => Response::new(Frames::declared([data("welcome")])),
        })
    }

    /// The values of `Authorization` that it has seen, in order.
    pub fn tokens(&self) -> Vec<String> {
        self.tokens.lock().unwrap().clone()
    }
}

fn token<B>(request: &Request<B>) -> &str {
    request.headers().get(header::AUTHORIZATION).map_or("", |value| value.to_str().unwrap())
}

impl<B> Service<Request<B>> for Stub {
    type Response = Response<Frames>;
    type Error = BoxError;
    type Future = Ready<Result<Response<Frames>, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        self.tokens.lock().unwrap().push(token(&request).to_owned());
        ready((self.answer)(&request.map(drop)))
    }
}

/// A 401 with this body.
pub fn unauthorized(body: Frames) -> Response<Frames> {
    let mut answer = Response::new(body);
    *answer.status_mut() = StatusCode::UNAUTHORIZED;
    answer
}

/// A 200 whose body claims to be JSON.
pub fn json(body: Frames) -> Response<Frames> {
    let mut answer = Response::new(body);
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}
