//! What the tests of the first token, the windows and the failures start from: a session that holds token set 7, granted
//! just now, and answers by hand.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::Full;
use tower::BoxError;
use tower_auth_refresh::{Session, session::RefreshPolicy};

use crate::support::{Body, TestProvider, World};

pub type Reply = Result<Response<Body>, BoxError>;

/// The lifetime of token set 7: its hard point is 30 s before its end, its soft point 200 s before it without jitter
/// and 300 s with all of it.
pub const LIFE: Duration = Duration::from_secs(1000);

pub const MILLISECOND: Duration = Duration::from_millis(1);

pub fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A policy that rolls 0: no backoff, and the latest soft point.
pub fn no_jitter() -> RefreshPolicy {
    RefreshPolicy::new().jitter(|| 0.0)
}

/// A policy that rolls 1: the longest backoff, and the earliest soft point.
pub fn full_jitter() -> RefreshPolicy {
    RefreshPolicy::new().jitter(|| 1.0)
}

/// A session without a token.
pub fn session_with(world: &World, provider: TestProvider, policy: RefreshPolicy) -> Session<TestProvider> {
    let builder = Session::builder(provider).transport(world.idp()).clock(world.clock.clone());
    builder.policy(policy).build().unwrap()
}

/// A session with token set 7, which both servers know.
pub fn signed_in(world: &World, provider: TestProvider, policy: RefreshPolicy) -> Session<TestProvider> {
    let session = session_with(world, provider, policy);
    session.set(TestProvider::token(7, LIFE, world.clock.wall())).unwrap();
    world.grant(7);
    session
}

pub fn reply(status: StatusCode, body: impl Into<Bytes>) -> Reply {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = status;
    Ok(answer)
}

/// From now on the API takes any token.
pub fn welcome_all(world: &World) {
    world.script_api(|_| Some(reply(StatusCode::OK, "welcome")));
}

/// From now on the token endpoint answers `status`.
pub fn idp_answers(world: &World, status: StatusCode) {
    world.script_idp(move |_| Some(reply(status, "scripted")));
}

/// Polls once, and tells nobody when it could go on.
pub fn poll_once<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

/// Lets the spawned flight run until it waits for something.
pub async fn let_the_flight_run() {
    for _ in 0..16 {
        tokio::task::yield_now().await;
    }
}
