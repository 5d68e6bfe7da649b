//! Cancellation: C37 to C40.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body::Frame;
use http_body_util::StreamBody;
use tokio::runtime::{Builder, Runtime};
use tower::{Layer, Service, limit::ConcurrencyLimitLayer};
use tower_auth_refresh::{
    AuthRefreshLayer, Error, Session,
    error::{ErrorKind, RefreshFailure},
    session::Condition,
};

use crate::support::{
    Client, TestProvider, World,
    by_hand::{ByHand, until},
    client,
    faulty::{Fault, FaultyIdp, FaultyProvider, Step, client_of},
    get, send, session, text,
};

const LIFETIME: Duration = Duration::from_secs(1000);

/// Nobody has signed in yet; the first request does.
fn signed_out() -> (World, Session<TestProvider>, Client) {
    let world = World::new();
    let session = session(&world, TestProvider::new());
    let client = client(&world, &session);
    (world, session, client)
}

/// Token set 7 is in place, `age` old.
fn aged(age: Duration) -> (World, Session<TestProvider>, Client) {
    let (world, session, client) = signed_out();
    world.grant(7);
    session.set(TestProvider::token(7, LIFETIME, world.clock.wall())).unwrap();
    world.clock.advance(age);
    (world, session, client)
}

fn expired() -> (World, Session<TestProvider>, Client) {
    aged(LIFETIME)
}

fn kind<T>(result: Result<T, Error>) -> ErrorKind {
    result.err().expect("an error").kind()
}

fn status<B>(result: Result<Response<B>, Error>) -> StatusCode {
    result.expect("an answer").status()
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

// ===== waiters that leave =====

#[tokio::test]
async fn a_flight_outlives_the_request_that_started_it() {
    let (world, _, client) = expired();
    world.hold_idp();
    let starter = ByHand::started(send(&client, get("/starter")));
    let waiters = ["/1", "/2"].map(|path| ByHand::started(send(&client, get(path))));
    until(|| world.counts().refreshes == 1).await;

    drop(starter);
    world.release_idp();

    for waiter in waiters {
        assert_eq!(status(waiter.rest().await), StatusCode::OK);
    }
    assert_eq!(world.tokens(), ["Bearer access-8"; 2]);
    assert_eq!((world.counts().token_calls(), world.counts().double_spent), (1, 0));
}

#[tokio::test]
async fn a_flight_takes_off_although_the_request_that_started_it_left_at_once() {
    let (world, _, client) = signed_out();
    drop(ByHand::started(send(&client, get("/starter"))));
    assert_eq!(world.counts().token_calls(), 0);

    assert_eq!(status(send(&client, get("/")).await), StatusCode::OK);

    assert_eq!((world.counts().logins, world.counts().api), (1, 1));
}

#[tokio::test]
async fn a_rotated_token_is_kept_although_nobody_waits_for_it_any_more() {
    let (world, session, client) = expired();
    world.hold_idp();
    let waiters = ["/1", "/2"].map(|path| ByHand::started(send(&client, get(path))));
    let caller = ByHand::started(session.token());
    until(|| world.counts().refreshes == 1).await;

    drop((waiters, caller));
    world.release_idp();
    session.settled().await;

    assert_eq!(status(send(&client, get("/next")).await), StatusCode::OK);
    assert_eq!(world.tokens(), ["Bearer access-8"]);
    assert_eq!((world.counts().token_calls(), world.counts().double_spent), (1, 0));
}

#[tokio::test]
async fn a_sign_in_outlives_its_caller() {
    let (world, session, client) = signed_out();
    world.hold_idp();
    let caller = ByHand::started(session.sign_in());
    until(|| world.counts().logins == 1).await;

    drop(caller);
    world.release_idp();
    session.settled().await;

    assert_eq!(status(send(&client, get("/")).await), StatusCode::OK);
    assert_eq!(world.counts().logins, 1);
}

#[tokio::test]
async fn a_waiter_that_leaves_wakes_and_harms_nobody() {
    let (world, session, client) = signed_out();
    world.hold_idp();
    let [first, leaver, last] = ["/1", "/2", "/3"].map(|path| ByHand::started(send(&client, get(path))));
    until(|| world.counts().logins == 1).await;

    drop(leaver);

    assert!(!first.is_woken() && !last.is_woken());
    assert_eq!(session.status().condition, Condition::Refreshing);
    world.release_idp();
    assert_eq!(status(first.rest().await), StatusCode::OK);
    assert_eq!(status(last.rest().await), StatusCode::OK);
    assert_eq!((world.counts().logins, world.counts().api), (1, 2));
}

// ===== a request that is dropped in each of its states =====

/// Whatever happened before, the session stands still, and serves the next request with `token`.
async fn assert_serves_with(token: &str, world: &World, session: &Session<TestProvider>) {
    session.settled().await;
    assert_eq!(session.status().condition, Condition::Fresh);
    assert_eq!(status(send(&client(world, session), get("/next")).await), StatusCode::OK);
    assert_eq!(world.tokens().last().unwrap(), &format!("Bearer {token}"));
}

#[tokio::test]
async fn a_request_dropped_before_its_first_poll_starts_nothing() {
    let (world, session, mut client) = signed_out();
    drop(client.call(get("/")));
    session.settled().await;
    tokio::task::yield_now().await;

    assert_eq!(world.counts().token_calls(), 0);
    assert_eq!(session.status().condition, Condition::SignedOut);
    assert_serves_with_login(&world, &session).await;
}

async fn assert_serves_with_login(world: &World, session: &Session<TestProvider>) {
    assert_eq!(status(send(&client(world, session), get("/next")).await), StatusCode::OK);
    assert_eq!(world.counts().logins, 1);
}

#[tokio::test]
async fn a_request_dropped_while_it_is_sent_causes_nothing() {
    let (world, session, client) = aged(Duration::ZERO);
    world.hold_api();
    let request = ByHand::started(send(&client, get("/")));
    assert_eq!(world.counts().api, 1);

    drop(request);
    world.release_api();

    assert_serves_with("access-7", &world, &session).await;
    assert_eq!((world.counts().api, world.counts().token_calls()), (2, 0));
}

#[tokio::test]
async fn a_request_dropped_while_it_is_sent_at_the_soft_point_leaves_the_refresh_flying() {
    let (world, session, client) = aged(Duration::from_secs(900));
    world.hold_api();
    drop(ByHand::started(send(&client, get("/"))));
    world.release_api();

    assert_serves_with("access-8", &world, &session).await;
    assert_eq!((world.counts().api, world.counts().token_calls()), (2, 1));
}

#[tokio::test]
async fn a_request_dropped_while_its_answer_is_read_causes_nothing() {
    let (world, session, _) = signed_out();
    world.grant(7);
    let reader = crate::support::session(&world, TestProvider::new().with_judged_body(true));
    for session in [&session, &reader] {
        session.set(TestProvider::token(7, LIFETIME, world.clock.wall())).unwrap();
    }
    let endless = AuthRefreshLayer::new(reader.clone()).layer(Endless);

    drop(ByHand::started(send(&endless, get("/"))));

    assert_serves_with("access-7", &world, &session).await;
    reader.settled().await;
    assert_eq!((reader.status().condition, world.counts().token_calls()), (Condition::Fresh, 0));
}

#[tokio::test]
async fn a_request_dropped_while_it_waits_for_a_token_leaves_the_flight_to_the_next() {
    let (world, session, client) = expired();
    drop(ByHand::started(send(&client, get("/"))));

    assert_serves_with("access-8", &world, &session).await;
    assert_eq!((world.counts().api, world.counts().token_calls()), (1, 1));
}

#[tokio::test]
async fn a_rejected_request_dropped_while_it_waits_is_not_sent_again() {
    let (world, session, client) = aged(Duration::ZERO);
    world.revoke_access();
    world.hold_idp();
    let request = ByHand::started(send(&client, get("/")));
    until(|| world.counts().refreshes == 1).await;

    drop(request);
    world.release_idp();

    assert_serves_with("access-8", &world, &session).await;
    assert_eq!(world.tokens(), ["Bearer access-7", "Bearer access-8"]);
    assert_eq!(world.counts().token_calls(), 1);
}

#[tokio::test]
async fn a_request_dropped_while_it_waits_for_its_service_gives_its_turn_back() {
    let (world, session, _) = signed_out();
    let limited = ConcurrencyLimitLayer::new(1).layer(world.api());
    let client = AuthRefreshLayer::new(session.clone()).layer(limited);
    world.hold_idp();
    let mut request = ByHand::started(send(&client, get("/dropped")));
    world.hold_api();
    let mut own = get("/own");
    own.headers_mut().insert(header::AUTHORIZATION, header::HeaderValue::from_static("Basic own"));
    let holder = ByHand::started(send(&client, own));
    world.release_idp();
    session.settled().await;
    assert!(request.is_pending(), "the one turn is taken");

    drop(request);
    world.release_api();

    holder.rest().await.unwrap();
    assert_eq!(status(send(&client, get("/next")).await), StatusCode::OK);
    assert_eq!(world.tokens(), ["Basic own", "Bearer access-1"]);
    assert_eq!(world.counts().logins, 1);
}

/// Answers everything with JSON whose end never comes.
#[derive(Clone)]
struct Endless;

type Pending = futures::stream::Pending<Result<Frame<Bytes>, Infallible>>;

impl<B> Service<Request<B>> for Endless {
    type Response = Response<StreamBody<Pending>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<B>) -> Self::Future {
        let mut answer = Response::new(StreamBody::new(futures::stream::pending()));
        answer.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
        ready(Ok(answer))
    }
}

// ===== panics =====

/// Two requests wait for a login that panics: both get an error, and the next logs in at once.
async fn a_panic_wakes_everybody_and_passes(
    world: &World,
    session: &Session<FaultyProvider>,
    repair: impl FnOnce(),
    token_calls: usize,
) {
    let client = client_of(world, session);
    let waiters = ["/1", "/2"].map(|path| ByHand::started(send(&client, get(path))));
    let caller = ByHand::started(session.token());
    session.settled().await;

    for waiter in waiters {
        assert_eq!(kind(waiter.result()), ErrorKind::Aborted);
    }
    assert_eq!(kind(caller.result()), ErrorKind::Aborted);
    assert_eq!(world.counts().api, 0);

    repair();
    assert_eq!(status(send(&client, get("/next")).await), StatusCode::OK);
    assert_eq!((world.counts().token_calls(), world.counts().api), (token_calls, 1));
    assert_eq!(session.status().condition, Condition::Fresh);
}

macro_rules! panics_in_the_provider {
    ($($name:ident => $step:expr, $token_calls:expr;)*) => {$(
        #[tokio::test]
        async fn $name() {
            let world = World::new();
            let provider = FaultyProvider::new(TestProvider::new());
            let session = Session::builder(provider.clone())
                .transport(world.idp())
                .clock(world.clock.clone())
                .build()
                .unwrap();
            provider.panic_in($step);
            a_panic_wakes_everybody_and_passes(&world, &session, || provider.panic_in(None), $token_calls).await;
        }
    )*};
}

panics_in_the_provider! {
    a_panic_where_the_grant_is_chosen_wakes_everybody_and_passes => Step::NextGrant, 1;
    a_panic_where_the_token_request_is_built_wakes_everybody_and_passes => Step::Request, 1;
    a_panic_where_the_token_answer_is_read_wakes_everybody_and_passes => Step::Parse, 2;
    a_panic_where_the_credential_is_made_wakes_everybody_and_passes => Step::Credential, 2;
}

macro_rules! panics_in_the_transport {
    ($($name:ident => $fault:expr;)*) => {$(
        #[tokio::test]
        async fn $name() {
            let world = World::new();
            let idp = FaultyIdp::new(&world);
            let provider = FaultyProvider::new(TestProvider::new());
            let session =
                Session::builder(provider).transport(idp.clone()).clock(world.clock.clone()).build().unwrap();
            idp.fail([$fault]);
            a_panic_wakes_everybody_and_passes(&world, &session, || (), 1).await;
        }
    )*};
}

panics_in_the_transport! {
    a_transport_that_panics_when_it_is_readied_wakes_everybody_and_passes => Fault::PanicsWhenReadied;
    a_transport_that_panics_when_it_is_called_wakes_everybody_and_passes => Fault::PanicsWhenCalled;
    a_transport_that_panics_when_it_is_polled_wakes_everybody_and_passes => Fault::PanicsWhenPolled;
}

#[tokio::test]
async fn a_panic_leaves_the_token_that_is_in_place_in_use() {
    let world = World::new();
    world.grant(7);
    let idp = FaultyIdp::new(&world);
    let session = Session::builder(TestProvider::new())
        .transport(idp.clone())
        .clock(world.clock.clone())
        .token(TestProvider::token(7, LIFETIME, world.clock.wall()))
        .build()
        .unwrap();
    let client = client(&world, &session);
    world.clock.advance(Duration::from_secs(980));
    idp.fail([Fault::PanicsWhenCalled]);

    assert_eq!(status(send(&client, get("/")).await), StatusCode::OK);
    assert_eq!(world.tokens(), ["Bearer access-7"]);
}

#[tokio::test]
async fn a_transport_that_never_becomes_ready_is_asked_again_after_the_backoff() {
    let world = World::new();
    let idp = FaultyIdp::new(&world);
    let session =
        Session::builder(TestProvider::new()).transport(idp.clone()).clock(world.clock.clone()).build().unwrap();
    let client = client(&world, &session);
    idp.fail([Fault::NotReady]);

    assert_eq!(kind(send(&client, get("/")).await), ErrorKind::Transport);
    world.clock.advance(Duration::from_secs(1));

    assert_eq!(status(send(&client, get("/")).await), StatusCode::OK);
    assert_eq!((world.counts().token_calls(), world.counts().api), (1, 1));
}

// ===== runtimes that end =====

#[test]
fn a_runtime_that_shuts_down_wakes_a_waiter_elsewhere_and_the_session_goes_on_on_the_next() {
    let (world, session, client) = signed_out();
    world.hold_idp();
    let mut waiter = ByHand::new(send(&client, get("/")));
    let first = runtime();
    first.block_on(async {
        assert!(waiter.is_pending());
        until(|| world.counts().logins == 1).await;
    });

    drop(first);
    assert!(waiter.is_woken());
    assert_eq!(kind(waiter.result()), ErrorKind::Aborted);
    world.release_idp();

    let second = runtime();
    assert_eq!(status(second.block_on(send(&client, get("/")))), StatusCode::OK);
    second.block_on(session.settled());
    assert_eq!((world.counts().logins, world.counts().api), (2, 1));
}

#[test]
fn a_refresh_that_a_shutdown_aborted_is_not_sent_again_where_a_login_is_possible() {
    let (world, session, client) = aged(Duration::from_secs(900));
    world.hold_idp();
    runtime().block_on(async {
        assert_eq!(status(send(&client, get("/")).await), StatusCode::OK);
        until(|| world.counts().refreshes == 1).await;
    });
    world.release_idp();

    let second = runtime();
    second.block_on(async {
        assert_eq!(status(send(&client, get("/")).await), StatusCode::OK);
        session.settled().await;
    });

    let counts = world.counts();
    assert_eq!((counts.refreshes, counts.logins, counts.double_spent), (1, 1, 0));
}

#[test]
fn a_runtime_without_timers_gives_an_error_and_does_no_harm() {
    let (world, _, client) = signed_out();
    let without_timers = Builder::new_current_thread().build().unwrap();

    assert_eq!(kind(without_timers.block_on(send(&client, get("/")))), ErrorKind::NoRuntime);

    assert_eq!(status(runtime().block_on(send(&client, get("/")))), StatusCode::OK);
    assert_eq!(world.counts().api, 1);
}

// ===== no runtime =====

#[test]
fn a_fresh_token_needs_no_runtime() {
    let (world, _, client) = aged(Duration::ZERO);
    assert_eq!(status(ByHand::new(send(&client, get("/"))).result()), StatusCode::OK);
    assert_eq!((world.tokens(), world.counts().token_calls()), (vec!["Bearer access-7".to_owned()], 0));
}

#[test]
fn a_request_without_a_token_gets_an_error_outside_of_a_runtime_and_the_session_stays_usable() {
    let (world, session, client) = signed_out();
    let before = format!("{:?}", session.status());

    for _ in 0..10 {
        assert_eq!(kind(ByHand::new(send(&client, get("/"))).result()), ErrorKind::NoRuntime);
        assert_eq!(kind(ByHand::new(session.token()).result()), ErrorKind::NoRuntime);
    }

    assert_eq!(format!("{:?}", session.status()), before);
    assert_eq!(world.counts(), Default::default());
    assert_eq!(status(runtime().block_on(send(&client, get("/")))), StatusCode::OK);
    assert_eq!((world.counts().logins, world.counts().api), (1, 1));
}

#[test]
fn a_sign_in_outside_of_a_runtime_gets_an_error_and_leaves_the_token_in_use() {
    let (world, session, client) = aged(Duration::ZERO);

    assert_eq!(kind(ByHand::new(session.sign_in()).result()), ErrorKind::NoRuntime);

    assert_eq!(status(ByHand::new(send(&client, get("/"))).result()), StatusCode::OK);
    runtime().block_on(session.sign_in()).unwrap();
    assert_eq!((world.counts().logins, world.counts().refreshes), (1, 0));
}

#[test]
fn a_sign_in_outside_of_a_runtime_leaves_a_signed_out_session_signed_out() {
    let (world, session, client) = aged(Duration::ZERO);
    session.sign_out();

    assert_eq!(kind(ByHand::new(session.sign_in()).result()), ErrorKind::NoRuntime);

    assert_eq!(kind(runtime().block_on(send(&client, get("/")))), ErrorKind::SignedOut);
    assert_eq!(world.counts(), Default::default());
}

#[test]
fn a_token_at_its_soft_point_is_used_outside_of_a_runtime_and_renewed_on_the_next() {
    let (world, session, client) = aged(Duration::from_secs(900));

    assert_eq!(status(ByHand::new(send(&client, get("/"))).result()), StatusCode::OK);
    assert_eq!((world.counts().token_calls(), session.status().condition), (0, Condition::Soft));

    runtime().block_on(async {
        assert_eq!(status(send(&client, get("/")).await), StatusCode::OK);
        session.settled().await;
    });
    assert_eq!((world.counts().refreshes, session.status().condition), (1, Condition::Fresh));
}

#[test]
fn a_token_at_its_hard_point_is_used_outside_of_a_runtime() {
    let (world, _, client) = aged(Duration::from_secs(980));
    assert_eq!(status(ByHand::new(send(&client, get("/"))).result()), StatusCode::OK);
    assert_eq!((world.tokens(), world.counts().token_calls()), (vec!["Bearer access-7".to_owned()], 0));
}

#[test]
fn a_rejected_answer_is_handed_back_outside_of_a_runtime() {
    let (world, _, client) = aged(Duration::ZERO);
    world.revoke_access();

    let answer = ByHand::new(send(&client, get("/"))).result().unwrap();

    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(answer.extensions().get::<RefreshFailure>().unwrap().kind(), ErrorKind::NoRuntime);
    assert_eq!(ByHand::new(text(answer)).result(), "rejected");
    assert_eq!(status(runtime().block_on(send(&client, get("/")))), StatusCode::OK);
    assert_eq!((world.counts().refreshes, world.counts().api), (1, 3));
}

#[test]
fn a_waiter_outside_of_a_runtime_joins_a_flight_that_has_one() {
    let (world, session, client) = signed_out();
    world.hold_idp();
    let runtime = runtime();
    let starter = runtime.block_on(async { ByHand::started(send(&client, get("/starter"))) });
    let waiter = ByHand::started(send(&client, get("/waiter")));

    world.release_idp();
    runtime.block_on(session.settled());

    assert!(waiter.is_woken());
    assert_eq!(status(waiter.result()), StatusCode::OK);
    drop(starter);
    assert_eq!((world.counts().logins, world.counts().api), (1, 1));
}
