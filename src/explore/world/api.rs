//! The API: it takes a request with a valid token, and refuses it with any other.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body::{Body, Frame};
use http_body_util::Empty;
use tower::Service;

use super::{Pace, Sent, World, wake};

/// The API as the requests of one task reach it.
#[derive(Clone)]
pub(in super::super) struct Api {
    pub(in super::super) world: World,
    pub(in super::super) task: usize,
}

pub(in super::super) struct Answering {
    world: World,
    at: usize,
}

/// The body of an answer. It comes with the head, or later where the server speaks in bodies.
pub(in super::super) struct Speech {
    world: World,
    at: usize,
    text: Option<&'static str>,
}

impl Service<Request<Empty<Bytes>>> for Api {
    type Response = Response<Speech>;
    type Error = Infallible;
    type Future = Answering;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Empty<Bytes>>) -> Answering {
        let value = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token = value.and_then(|value| value.strip_prefix("Bearer access-")?.parse().ok());
        let mut state = self.world.state();
        let (current, flying) = state.standing(self.world.process);
        let judged = state.ledger.sent(self.world.process, token, current, flying);
        state.judge(judged);
        let mut earlier = state.sent.iter().filter(|sent| sent.task == self.task);
        if earlier.any(|sent| sent.rejected == Some(true) && sent.token == token) {
            state.judge(Err("a request was sent again with the token that had been rejected".into()));
        }
        let sent = Sent { task: self.task, token, rejected: None, is_whole: false, is_awaited: true, waker: None };
        state.sent.push(sent);
        Answering { world: self.world.clone(), at: state.sent.len() - 1 }
    }
}

impl World {
    /// The API answers a request, or sends the body after its answer.
    pub(in super::super) fn answer_request(&self, at: usize) {
        let mut state = self.state();
        let rejected = !state.ledger.is_valid(state.sent[at].token);
        let sent = &mut state.sent[at];
        sent.is_whole = sent.rejected.is_some();
        sent.rejected.get_or_insert(rejected);
        let waker = sent.waker.take();
        drop(state);
        wake(waker);
    }

    /// A request has been polled: if its first send has been rejected, it has said so by now.
    pub(in super::super) fn has_polled(&self, task: usize) {
        let mut state = self.state();
        let says_it_later = state.server.speaks_in_bodies;
        let Some(sent) = state.sent.iter().find(|sent| sent.task == task) else { return };
        if sent.rejected == Some(true) && (sent.is_whole || !says_it_later) {
            let token = sent.token;
            state.ledger.rejected(self.process, token);
        }
    }
}

impl Sent {
    /// Whether there is something left to answer.
    pub(in super::super) fn is_open(&self, speaks_in_bodies: bool) -> bool {
        self.is_awaited && (self.rejected.is_none() || (speaks_in_bodies && !self.is_whole && self.waker.is_some()))
    }
}

impl Future for Answering {
    type Output = Result<Response<Speech>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.world.state();
        let speaks = state.server.speaks_in_bodies;
        let stepped = matches!(state.pace, Pace::Stepped);
        let Some(rejected) = state.sent[self.at].rejected else {
            if stepped || state.comes_now(cx).is_pending() {
                state.sent[self.at].waker = Some(cx.waker().clone());
                return Poll::Pending;
            }
            drop(state);
            self.world.answer_request(self.at);
            return self.poll(cx);
        };
        drop(state);
        let text = if rejected { "{\"rejected\":true}" } else { "{\"rejected\":false}" };
        let mut answer = Response::new(Speech { world: self.world.clone(), at: self.at, text: Some(text) });
        match speaks {
            true => {
                let json = HeaderValue::from_static("application/json");
                answer.headers_mut().insert(header::CONTENT_TYPE, json);
            }
            false if rejected => *answer.status_mut() = StatusCode::UNAUTHORIZED,
            false => {}
        }
        Poll::Ready(Ok(answer))
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        let mut state = self.world.state();
        // Where there is a body to come, it is the body that waits.
        let sent = &mut state.sent[self.at];
        sent.is_awaited = sent.rejected.is_some();
    }
}

impl Body for Speech {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let mut state = self.world.state();
        if state.server.speaks_in_bodies && !state.sent[self.at].is_whole {
            if state.comes_now(cx).is_pending() {
                state.sent[self.at].waker = Some(cx.waker().clone());
                return Poll::Pending;
            }
            drop(state);
            self.world.answer_request(self.at);
        } else {
            drop(state);
        }
        Poll::Ready(self.text.take().map(|text| Ok(Frame::data(Bytes::from_static(text.as_bytes())))))
    }
}

impl Drop for Speech {
    fn drop(&mut self) {
        self.world.state().sent[self.at].is_awaited = false;
    }
}
