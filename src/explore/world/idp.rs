//! The token endpoint.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use tower::{BoxError, Service};

use super::{Call, Pace, State, World, wake};
use crate::{explore::scene::Reply, session::NotSent};

pub(in super::super) struct Granting {
    world: World,
    at: usize,
    is_read: bool,
}

impl Service<Request<Full<Bytes>>> for World {
    type Response = Response<Full<Bytes>>;
    type Error = BoxError;
    type Future = Granting;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        let mut state = self.state();
        if state.server.is_busy && state.comes_now(cx).is_pending() {
            state.waits.push(cx.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Full<Bytes>>) -> Granting {
        let refreshes = request.uri().path().trim_start_matches('/').parse().ok();
        let mut state = self.state();
        let process = self.process;
        let judged = state.may_be_called(process, refreshes).and_then(|()| state.ledger.called(process, refreshes));
        state.judge(judged);
        let flight = state.polled.map(|(flight, _)| flight);
        let call = Call {
            process,
            refreshes,
            reply: None,
            grants: None,
            is_awaited: true,
            is_superseded: false,
            flight,
            waker: None,
        };
        state.calls.push(call);
        let at = state.calls.len() - 1;
        drop(state);
        Granting { world: self.clone(), at, is_read: false }
    }
}

impl World {
    pub(in super::super) fn answer_call(&self, at: usize, reply: Reply) {
        let mut state = self.state();
        if reply != Reply::Grant && !state.is_forced(at) {
            state.server.faults -= 1;
        }
        let call = &state.calls[at];
        let (process, refreshes, counts) = (call.process, call.refreshes, !call.is_superseded);
        let grants = state.ledger.answered(process, refreshes, reply, counts);
        let call = &mut state.calls[at];
        call.reply = Some(reply);
        call.grants = grants;
        let waker = call.waker.take();
        drop(state);
        wake(waker);
    }

    /// The token endpoint takes requests from now on.
    pub(in super::super) fn open_idp(&self) {
        let mut state = self.state();
        state.server.is_busy = false;
        let waits = std::mem::take(&mut state.waits);
        drop(state);
        waits.into_iter().for_each(std::task::Waker::wake);
    }
}

impl State {
    fn may_be_called(&self, process: usize, refreshes: Option<u32>) -> Result<(), String> {
        if matches!(self.polled, Some((_, true))) {
            return Err("a superseded flight has called the token endpoint".into());
        }
        if !self.may_be_lost
            && self.calls.iter().any(|call| call.process == process && call.is_awaited && !call.is_superseded)
        {
            return Err("the token endpoint was called a second time at once".into());
        }
        if !self.standing(process).1 {
            return Err("the token endpoint was called without a flight".into());
        }
        if self.ledger.is_shared { self.shelf.may_send(refreshes) } else { Ok(()) }
    }

    /// Whether there is but one answer.
    fn is_forced(&self, at: usize) -> bool {
        self.ledger.is_spent(self.calls[at].refreshes)
    }

    /// What a call may be answered.
    pub(in super::super) fn replies(&self, at: usize) -> Vec<Reply> {
        if self.is_forced(at) {
            return vec![Reply::Refuse];
        }
        let faults = match self.calls[at].refreshes {
            Some(_) => &self.server.refresh_faults,
            None => &self.server.login_faults,
        };
        let faults = if self.server.faults > 0 { faults.as_slice() } else { &[] };
        [&[Reply::Grant], faults].concat()
    }
}

impl Future for Granting {
    type Output = Result<Response<Full<Bytes>>, BoxError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let world = self.world.clone();
        let mut state = world.state();
        let Some(reply) = state.calls[self.at].reply else {
            if state.comes_now(cx).is_pending() {
                state.calls[self.at].waker = Some(cx.waker().clone());
                return Poll::Pending;
            }
            let replies = state.replies(self.at);
            let reply = match state.pace {
                Pace::Rolled(dice) => replies[dice(replies.len())],
                Pace::Stepped | Pace::AtOnce => replies[0],
            };
            drop(state);
            world.answer_call(self.at, reply);
            return self.poll(cx);
        };
        self.is_read = true;
        let (refreshes, grants) = (state.calls[self.at].refreshes, state.calls[self.at].grants);
        if reply == Reply::Grant {
            state.ledger.read(world.process, refreshes);
        }
        let answer = |status, text: String| {
            let mut answer = Response::new(Full::new(Bytes::from(text)));
            *answer.status_mut() = status;
            Ok(answer)
        };
        Poll::Ready(match reply {
            Reply::Grant => answer(StatusCode::OK, grants.map(|number| number.to_string()).unwrap_or_default()),
            Reply::Refuse => answer(StatusCode::BAD_REQUEST, String::new()),
            Reply::Lose | Reply::Vanish => Err("the connection broke".into()),
            Reply::NotSent => Err(NotSent::new("nobody listens").into()),
            Reply::Unavailable => answer(StatusCode::SERVICE_UNAVAILABLE, String::new()),
            Reply::Poison => answer(StatusCode::IM_A_TEAPOT, String::new()),
        })
    }
}

impl Drop for Granting {
    fn drop(&mut self) {
        let mut state = self.world.state();
        let call = &mut state.calls[self.at];
        call.is_awaited = false;
        let (refreshes, is_answered) = (call.refreshes, call.reply.is_some());
        if !is_answered {
            state.ledger.abandoned(refreshes);
        }
        state.ledger.may_end |= !self.is_read;
    }
}
