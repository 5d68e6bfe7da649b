//! Readiness, reservations and the place of a call: C53.

#![allow(clippy::disallowed_methods, reason = "a test drives the runtime and its paused clock itself")]

use std::{
    future::Future,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Bytes;
use futures::FutureExt;
use http::{Request, Response, StatusCode, header};
use http_body::Frame;
use tokio::runtime;
use tower::{
    BoxError, Layer, Service, ServiceExt,
    buffer::Buffer,
    limit::ConcurrencyLimit,
    retry::{Policy, Retry},
    service_fn,
};
use tower_auth_refresh::{
    AuthRefresh, AuthRefreshLayer, Error, Session, error::ErrorKind, session::Condition, token::TokenSet,
};
use tower_test::mock;

use crate::support::{Body, Counts, Place, ServerBody, TestProvider, World, get, post, send, session};

// ===== readiness =====

#[tokio::test]
async fn the_layer_is_ready_when_the_inner_service_is_and_not_before() {
    let world = World::new();
    let (mut service, mut handle) = mocked(&signed_in(&world));
    handle.allow(0);
    assert!(service.poll_ready().is_pending());
    assert!(!service.is_woken());

    handle.allow(1);

    assert!(service.is_woken());
    assert!(service.poll_ready().is_ready());
}

#[tokio::test]
async fn a_readiness_error_of_the_inner_service_is_passed_on_unchanged() {
    let world = World::new();
    let (mut service, mut handle) = mocked(&signed_in(&world));
    handle.send_error(Broken(7));

    let Poll::Ready(Err(error)) = service.poll_ready() else { panic!("no error") };

    assert!(error.is_service());
    assert_eq!(*error.downcast::<Broken>().unwrap(), Broken(7));
}

#[tokio::test]
async fn a_readiness_error_after_the_wait_for_a_token_is_passed_on_unchanged() {
    let world = World::new();
    let (mut service, mut handle) = mocked(&session(&world, TestProvider::new()));
    assert!(service.poll_ready().is_ready());
    let answer = service.call(get("/"));
    handle.send_error(Broken(7));

    let error = answer.await.unwrap_err();

    assert_eq!(world.counts().logins, 1);
    assert_eq!(*error.downcast::<Broken>().unwrap(), Broken(7));
}

#[tokio::test(start_paused = true)]
async fn a_readiness_error_before_a_replay_is_passed_on_unchanged() {
    let world = World::new();
    let (mut service, mut handle) = mocked(&signed_in(&world));
    assert!(service.poll_ready().is_ready());
    let answer = tokio::spawn(service.call(get("/")));
    let (_, reply) = in_time(handle.next_request()).await.unwrap();
    handle.send_error(Broken(7));
    reply.send_response(status(StatusCode::UNAUTHORIZED));

    let error = answer.await.unwrap().unwrap_err();

    assert_eq!(world.counts().refreshes, 1);
    assert_eq!(*error.downcast::<Broken>().unwrap(), Broken(7));
}

#[tokio::test(start_paused = true)]
async fn after_the_wait_for_a_token_a_request_waits_until_the_service_is_ready() {
    let world = World::new();
    let session = session(&world, TestProvider::new());
    let (mut service, mut handle) = mocked(&session);
    assert!(service.poll_ready().is_ready());
    let answer = tokio::spawn(service.call(get("/")));
    handle.allow(0);
    until(|| session.status().condition == Condition::Fresh).await;
    tokio::task::yield_now().await;
    assert!(handle.poll_request().is_pending());

    handle.allow(1);

    let (sent, reply) = in_time(handle.next_request()).await.unwrap();
    assert_eq!(sent.headers()[header::AUTHORIZATION], "Bearer access-1");
    reply.send_response(Response::new(Body::default()));
    assert_eq!(answer.await.unwrap().unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn with_a_fresh_token_the_service_that_was_polled_ready_is_called_in_place() {
    let world = World::new();
    let policed = Policed::new(Scene(world.clone()));
    let polls = Arc::clone(&policed.polls);
    let mut client = AuthRefreshLayer::new(signed_in(&world)).layer(policed);
    for number in 1..=3 {
        client.ready().await.unwrap();
        assert_eq!(client.call(get("/")).await.unwrap().status(), StatusCode::OK);
        assert_eq!(polls.load(Ordering::Relaxed), number);
    }
}

// ===== no clone is called before it is ready =====

#[tokio::test]
async fn a_direct_send_calls_nothing_unready() {
    let world = World::new();
    let (session, client) = policed(&world);
    session.set(TestProvider::token(1, LONG, world.clock.wall())).unwrap();
    world.grant(1);
    assert_eq!(send(&client, get("/")).await.unwrap().status(), StatusCode::OK);
    assert_eq!(world.counts(), Counts { api: 1, ..Counts::default() });
}

#[tokio::test]
async fn a_send_after_the_wait_for_a_token_calls_nothing_unready() {
    let world = World::new();
    assert_eq!(send(&policed(&world).1, get("/")).await.unwrap().status(), StatusCode::OK);
    assert_eq!(world.counts(), Counts { api: 1, logins: 1, ..Counts::default() });
}

#[tokio::test]
async fn a_replay_after_a_direct_send_calls_nothing_unready() {
    let world = World::new();
    let (session, client) = policed(&world);
    session.set(TestProvider::token(1, LONG, world.clock.wall())).unwrap();
    world.grant(1);
    world.revoke_access();
    assert_eq!(send(&client, get("/")).await.unwrap().status(), StatusCode::OK);
    assert_eq!(world.counts(), Counts { api: 2, rejected: 1, refreshes: 1, ..Counts::default() });
}

#[tokio::test]
async fn a_replay_after_a_wait_calls_nothing_unready() {
    let world = World::new();
    world.script_api(rejects_first(1));
    assert_eq!(send(&policed(&world).1, get("/")).await.unwrap().status(), StatusCode::OK);
    assert_eq!(world.counts(), Counts { api: 2, rejected: 1, logins: 1, refreshes: 1, ..Counts::default() });
}

#[tokio::test]
async fn every_one_of_several_replays_calls_nothing_unready() {
    let world = World::new();
    world.script_api(rejects_first(3));
    let (session, client) = policed(&world);
    let client = AuthRefreshLayer::new(session).replays(3).layer(client.into_inner());
    assert_eq!(send(&client, get("/")).await.unwrap().status(), StatusCode::OK);
    assert_eq!(world.counts(), Counts { api: 4, rejected: 3, logins: 1, refreshes: 3, ..Counts::default() });
}

#[tokio::test]
async fn a_request_that_passes_without_the_credential_calls_nothing_unready() {
    let world = World::new();
    let request = Request::get("https://other.test/").body(Body::default()).unwrap();
    let answer = send(&policed(&world).1, request).await.unwrap();
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(world.counts(), Counts { api: 1, rejected: 1, ..Counts::default() });
}

#[tokio::test]
async fn a_token_request_through_the_layer_itself_calls_nothing_unready() {
    let world = World::new();
    let api = Policed::new(Scene(world.clone()));
    let session = session(&world, TestProvider::new());
    let token_client = AuthRefreshLayer::new(session).layer(api.clone());
    let session =
        Session::builder(TestProvider::new()).transport(token_client).clock(world.clock.clone()).build().unwrap();
    let client = AuthRefreshLayer::new(session).layer(api);
    assert_eq!(send(&client, get("/")).await.unwrap().status(), StatusCode::OK);
    assert_eq!(world.counts(), Counts { api: 1, logins: 1, ..Counts::default() });
}

// ===== API and token endpoint behind one limit of 1 =====

#[tokio::test(start_paused = true)]
async fn fifty_requests_without_a_token_get_through_one_slot() {
    let world = World::new();
    fifty_without_a_token(&world, ConcurrencyLimit::new(Scene(world.clone()), 1)).await;
}

#[tokio::test(start_paused = true)]
async fn fifty_requests_with_a_rejected_token_get_through_one_slot() {
    let world = World::new();
    fifty_with_a_rejected_token(&world, ConcurrencyLimit::new(Scene(world.clone()), 1)).await;
    // While the token is being renewed, whoever gets the slot gives it back instead of sending the old one.
    assert_eq!(world.counts(), Counts { api: 51, rejected: 1, refreshes: 1, ..Counts::default() });
}

#[tokio::test(start_paused = true)]
async fn fifty_requests_at_the_hard_point_get_through_one_slot() {
    let world = World::new();
    fifty_at_the_hard_point(&world, ConcurrencyLimit::new(Scene(world.clone()), 1)).await;
}

#[tokio::test(start_paused = true)]
async fn fifty_requests_whose_login_fails_leave_the_slot_free() {
    let world = World::new();
    let limit = ConcurrencyLimit::new(Scene(world.clone()), 1);
    world.script_idp(|_| Some(Ok(status(StatusCode::SERVICE_UNAVAILABLE))));

    let answers = in_time(fifty(&layered(&through(&world, limit.clone()), limit.clone()))).await;

    assert!(answers.iter().all(|answer| answer.as_ref().is_err_and(Error::is_session)));
    assert_eq!(world.counts(), Counts { logins: 1, ..Counts::default() });
    assert!(is_ready(limit));
}

#[tokio::test(start_paused = true)]
async fn fifty_requests_that_fill_every_slot_and_are_all_rejected_leave_one_for_the_refresh() {
    let world = World::new();
    let limit = ConcurrencyLimit::new(Scene(world.clone()), 50);
    let session = through(&world, limit.clone());
    session.set(TestProvider::token(1, LONG, world.clock.wall())).unwrap();
    world.grant(1);
    world.revoke_access();
    world.hold_api();
    let client = layered(&session, limit);
    let answers = tokio::spawn(async move { fifty(&client).await });
    until(|| world.counts().rejected == 50).await;

    world.release_api();

    assert_all_welcome(&in_time(answers).await.unwrap());
    assert_eq!(world.counts(), Counts { api: 100, rejected: 50, refreshes: 1, ..Counts::default() });
}

#[tokio::test(start_paused = true)]
async fn a_request_whose_turn_comes_while_the_token_is_renewed_gives_the_slot_to_the_renewal() {
    let world = World::new();
    let limit = ConcurrencyLimit::new(Scene(world.clone()), 1);
    let client = layered(&through(&world, limit.clone()), limit);
    // Both wait for the login. The first is rejected while the second waits for the slot, ahead of the refresh.
    world.script_api(rejects_first(1));

    let (first, second) = in_time(futures::future::join(send(&client, get("/")), send(&client, get("/")))).await;

    assert_all_welcome(&[first, second]);
    assert_eq!(world.tokens(), ["Bearer access-1", "Bearer access-2", "Bearer access-2"]);
    assert_eq!(world.counts(), Counts { api: 3, rejected: 1, logins: 1, refreshes: 1, ..Counts::default() });
}

#[tokio::test(start_paused = true)]
async fn the_layers_own_client_can_ask_for_its_token_through_one_slot() {
    let world = World::new();
    let limit = ConcurrencyLimit::new(Scene(world.clone()), 1);
    let outer = through(&world, limit.clone());
    let session = through(&world, layered(&outer, limit.clone()));

    assert_all_welcome(&in_time(fifty(&layered(&session, limit))).await);

    assert_eq!(world.counts(), Counts { api: 50, logins: 1, ..Counts::default() });
    assert_eq!(outer.status().condition, Condition::SignedOut);
}

// ===== API and token endpoint behind one buffer with room for 1 =====

#[tokio::test(start_paused = true)]
async fn fifty_requests_without_a_token_get_through_a_buffer_of_one() {
    let world = World::new();
    fifty_without_a_token(&world, Buffer::new(Scene(world.clone()), 1)).await;
}

#[tokio::test(start_paused = true)]
async fn fifty_requests_with_a_rejected_token_get_through_a_buffer_of_one() {
    let world = World::new();
    fifty_with_a_rejected_token(&world, Buffer::new(Scene(world.clone()), 1)).await;
    let counts = world.counts();
    assert_eq!((counts.api, counts.refreshes, counts.double_spent), (50 + counts.rejected, 1, 0));
}

#[tokio::test(start_paused = true)]
async fn fifty_requests_at_the_hard_point_get_through_a_buffer_of_one() {
    let world = World::new();
    fifty_at_the_hard_point(&world, Buffer::new(Scene(world.clone()), 1)).await;
}

#[tokio::test(start_paused = true)]
async fn fifty_requests_get_through_a_buffer_of_one_before_one_slot() {
    let world = World::new();
    let narrow = || Buffer::new(ConcurrencyLimit::new(Scene(world.clone()), 1), 1);
    fifty_without_a_token(&world, narrow()).await;
}

#[tokio::test(start_paused = true)]
async fn fifty_requests_get_through_a_buffer_of_one_around_the_layer() {
    let world = World::new();
    let limit = ConcurrencyLimit::new(Scene(world.clone()), 1);
    let session = through(&world, limit.clone());
    let client = Buffer::new(layered(&session, limit), 1);

    let sent = futures::future::join_all((0..50).map(|_| send(&client, get("/"))));
    let answers = in_time(sent).await;

    assert!(answers.iter().all(|answer| answer.as_ref().is_ok_and(|answer| answer.status() == StatusCode::OK)));
    assert_eq!(world.counts(), Counts { api: 50, logins: 1, ..Counts::default() });
}

// ===== reservations are given back =====

#[tokio::test]
async fn a_request_that_waits_for_a_token_leaves_its_slot_to_others() {
    let world = World::new();
    let limit = ConcurrencyLimit::new(Scene(world.clone()), 1);
    let mut client = layered(&session(&world, TestProvider::new()), limit.clone());
    world.hold_idp();
    client.ready().await.unwrap();
    assert!(!is_ready(limit.clone()));

    let mut waiting = pin!(client.call(get("/")));

    assert!(is_ready(limit.clone()));
    assert!(waiting.as_mut().now_or_never().is_none());
    assert!(is_ready(limit));
    world.release_idp();
    assert_eq!(waiting.await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn a_rejected_request_that_waits_for_the_refresh_leaves_its_slot_to_others() {
    let world = World::new();
    let limit = ConcurrencyLimit::new(Scene(world.clone()), 1);
    let session = signed_in(&world);
    world.revoke_access();
    world.hold_idp();
    let client = layered(&session, limit.clone());
    let mut rejected = pin!(send(&client, get("/")));
    assert!(rejected.as_mut().now_or_never().is_none());
    assert_eq!(session.status().condition, Condition::Refreshing);

    assert!(is_ready(limit));

    world.release_idp();
    assert_eq!(rejected.await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn an_answer_whose_body_is_being_judged_leaves_its_slot_to_others() {
    let world = World::new();
    let session = session(&world, TestProvider::new().with_judged_body(true));
    session.set(TestProvider::token(1, LONG, world.clock.wall())).unwrap();
    let answering = service_fn(|_: Request<Body>| async {
        let mut answer = Response::new(Endless);
        answer.headers_mut().insert(header::CONTENT_TYPE, "application/json".parse().unwrap());
        Ok::<_, BoxError>(answer)
    });
    let limit = ConcurrencyLimit::new(answering, 1);
    let client = AuthRefreshLayer::new(session).layer(limit.clone());
    let mut judged = pin!(send(&client, get("/")));
    assert!(judged.as_mut().now_or_never().is_none());

    assert!(is_ready(limit));
}

#[tokio::test]
async fn a_request_that_is_refused_gives_its_slot_back() {
    let world = World::new();
    let limit = ConcurrencyLimit::new(Scene(world.clone()), 1);
    let session = signed_in(&world);
    session.sign_out();
    let mut client = layered(&session, limit.clone());
    client.ready().await.unwrap();

    let refused = client.call(get("/"));

    assert!(is_ready(limit));
    assert_eq!(refused.await.unwrap_err().kind(), ErrorKind::SignedOut);
    assert_eq!(world.counts(), Counts::default());
}

#[tokio::test]
async fn a_request_that_cannot_be_signed_gives_its_slot_back() {
    let world = World::new();
    let limit = ConcurrencyLimit::new(Scene(world.clone()), 1);
    let session = session(&world, TestProvider::placed(Place::Signed));
    session
        .set(TokenSet::new(
            "a token that fits into
no header",
        ))
        .unwrap();
    let mut client = AuthRefreshLayer::new(session).layer(limit.clone());
    client.ready().await.unwrap();

    let refused = client.call(get("/"));

    assert!(is_ready(limit));
    assert_eq!(refused.await.unwrap_err().kind(), ErrorKind::Fault);
    assert_eq!(world.counts(), Counts::default());
}

#[tokio::test]
async fn a_request_dropped_while_it_waits_for_a_slot_leaves_the_queue() {
    let world = World::new();
    let session = session(&world, TestProvider::new());
    let mut limit = ConcurrencyLimit::new(Scene(world.clone()), 1);
    let client = layered(&session, limit.clone());
    let mut queued = Box::pin(send(&client, get("/")));
    assert!(queued.as_mut().now_or_never().is_none());
    session.settled().await;
    // The token is there, the slot is not.
    limit.ready().await.unwrap();
    assert!(queued.as_mut().now_or_never().is_none());

    drop(queued);

    drop(limit);
    assert_eq!(send(&client, get("/")).await.unwrap().status(), StatusCode::OK);
    assert_eq!(world.counts(), Counts { api: 1, logins: 1, ..Counts::default() });
}

// ===== other middleware =====

#[tokio::test(start_paused = true)]
async fn a_retry_around_the_layer_sends_again_with_the_same_token() {
    let world = World::new();
    world.script_api(first(2, || Ok(status(StatusCode::SERVICE_UNAVAILABLE))));
    let (_, client) = retrying(&world);

    let answer = in_time(send(&client, post("/", "whole"))).await.unwrap();

    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(world.counts(), Counts { api: 3, logins: 1, ..Counts::default() });
    assert_eq!(world.tokens(), ["Bearer access-1"; 3]);
    assert!(world.bodies().iter().all(|body| body == "whole"));
}

#[tokio::test(start_paused = true)]
async fn a_retry_around_the_layer_sees_one_answer_for_a_rejected_and_a_replayed_request() {
    let world = World::new();
    world.script_api(first(1, || Ok(status(StatusCode::UNAUTHORIZED))));
    let (_, client) = retrying(&world);

    let answer = in_time(send(&client, get("/"))).await.unwrap();

    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(world.counts(), Counts { api: 2, rejected: 1, logins: 1, refreshes: 1, ..Counts::default() });
}

#[tokio::test(start_paused = true)]
async fn a_retry_around_the_layer_can_tell_whose_error_it_is() {
    let world = World::new();
    world.script_api(first(1, || Err(Broken(7).into())));
    let (session, client) = retrying(&world);

    assert_eq!(in_time(send(&client, get("/"))).await.unwrap().status(), StatusCode::OK);
    assert_eq!(world.counts(), Counts { api: 2, logins: 1, ..Counts::default() });
    session.sign_out();
    assert_eq!(in_time(send(&client, get("/"))).await.unwrap_err().kind(), ErrorKind::SignedOut);
    assert_eq!(world.counts(), Counts { api: 2, logins: 1, ..Counts::default() });
}

// ===== called off the runtime =====

#[test]
fn a_request_called_off_the_runtime_can_be_polled_on_it() {
    let world = World::new();
    let session = session(&world, TestProvider::new());
    let mut client = layered(&session, Scene(world.clone()));

    for (passed, counts) in [
        // Without a token.
        (Duration::ZERO, Counts { api: 1, logins: 1, ..Counts::default() }),
        // With a fresh one.
        (Duration::ZERO, Counts { api: 2, logins: 1, ..Counts::default() }),
        // In the soft window, then at the hard point.
        (Duration::from_secs(940), Counts { api: 3, logins: 1, refreshes: 1, ..Counts::default() }),
        (Duration::from_secs(980), Counts { api: 4, logins: 1, refreshes: 2, ..Counts::default() }),
    ] {
        world.clock.advance(passed);
        assert!(is_ready(&mut client));
        let answer = client.call(get("/"));
        on_a_runtime(async {
            assert_eq!(answer.await.unwrap().status(), StatusCode::OK);
            session.settled().await;
        });
        assert_eq!(world.counts(), counts);
    }
}

#[test]
fn a_call_alone_starts_nothing() {
    let world = World::new();
    let session = session(&world, TestProvider::new());
    let mut client = layered(&session, Scene(world.clone()));
    let mut call_and_drop = || {
        on_a_runtime(async {
            client.ready().await.unwrap();
            drop(client.call(get("/")));
            session.settled().await;
        });
    };

    // Without a token, in the soft window, at the hard point.
    call_and_drop();
    session.set(TestProvider::token(1, LONG, world.clock.wall())).unwrap();
    for passed in [940, 40] {
        world.clock.advance(Duration::from_secs(passed));
        call_and_drop();
    }

    assert_eq!(world.counts().token_calls(), 0);
}

// ===== scenes =====

const LONG: Duration = Duration::from_secs(1000);

async fn fifty_without_a_token<S: HttpClient>(world: &World, shared: S) {
    let client = layered(&through(world, shared.clone()), shared);
    assert_all_welcome(&in_time(fifty(&client)).await);
    assert_eq!(world.counts(), Counts { api: 50, logins: 1, ..Counts::default() });
}

async fn fifty_with_a_rejected_token<S: HttpClient>(world: &World, shared: S) {
    let session = through(world, shared.clone());
    session.set(TestProvider::token(1, LONG, world.clock.wall())).unwrap();
    world.grant(1);
    world.revoke_access();
    assert_all_welcome(&in_time(fifty(&layered(&session, shared))).await);
}

async fn fifty_at_the_hard_point<S: HttpClient>(world: &World, shared: S) {
    let session = through(world, shared.clone());
    session.set(TestProvider::token(1, LONG, world.clock.wall())).unwrap();
    world.grant(1);
    world.clock.advance(Duration::from_secs(980));
    assert_all_welcome(&in_time(fifty(&layered(&session, shared))).await);
    assert_eq!(world.counts(), Counts { api: 50, refreshes: 1, ..Counts::default() });
    assert!(world.tokens().iter().all(|token| token == "Bearer access-2"));
}

type Answer<S> = Result<<AuthRefresh<S, TestProvider> as Service<Request<Body>>>::Response, Error>;

async fn fifty<S: HttpClient>(client: &AuthRefresh<S, TestProvider>) -> Vec<Answer<S>> {
    futures::future::join_all((0..50).map(|number| send(client, get(&format!("/{number}"))))).await
}

async fn in_time<T>(future: impl Future<Output = T>) -> T {
    // Shorter than the deadline of a flight, so that no deadline can break what would have been a deadlock. The paused
    // clock jumps there as soon as nothing else can happen.
    tokio::time::timeout(Duration::from_secs(10), future).await.expect("it hangs")
}

/// Lets the other tasks run until it is so.
async fn until(is_so: impl Fn() -> bool) {
    for _ in 0..10_000 {
        if is_so() {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("it never is so");
}

fn assert_all_welcome<T>(answers: &[Result<Response<T>, Error>]) {
    for answer in answers {
        assert_eq!(answer.as_ref().unwrap().status(), StatusCode::OK);
    }
}

/// A session whose token requests go through `transport`.
fn through<S, T>(world: &World, transport: S) -> Session<TestProvider>
where
    S: Service<Request<Body>, Response = Response<T>, Error: Into<BoxError>, Future: Send> + Clone + Send + 'static,
    T: http_body::Body<Error: Into<BoxError>> + Send + 'static,
{
    Session::builder(TestProvider::new()).transport(transport).clock(world.clock.clone()).build().unwrap()
}

fn signed_in(world: &World) -> Session<TestProvider> {
    let session = session(world, TestProvider::new());
    session.set(TestProvider::token(1, LONG, world.clock.wall())).unwrap();
    world.grant(1);
    session
}

fn layered<S>(session: &Session<TestProvider>, inner: S) -> AuthRefresh<S, TestProvider> {
    AuthRefreshLayer::new(session.clone()).layer(inner)
}

type Mock = mock::Mock<Request<Body>, Response<Body>>;
type MockHandle = mock::Handle<Request<Body>, Response<Body>>;

fn mocked(session: &Session<TestProvider>) -> (mock::Spawn<AuthRefresh<Mock, TestProvider>>, MockHandle) {
    mock::spawn_layer(AuthRefreshLayer::new(session.clone()))
}

/// API and token endpoint are both behind services that insist on readiness.
fn policed(world: &World) -> (Session<TestProvider>, AuthRefresh<Policed<Scene>, TestProvider>) {
    let inner = Policed::new(Scene(world.clone()));
    let session = through(world, inner.clone());
    let client = layered(&session, inner);
    (session, client)
}

type Retrying = Retry<Attempts, AuthRefresh<ConcurrencyLimit<Scene>, TestProvider>>;

/// A retry around the layer, API and token endpoint behind one slot.
fn retrying(world: &World) -> (Session<TestProvider>, Retrying) {
    let limit = ConcurrencyLimit::new(Scene(world.clone()), 1);
    let session = through(world, limit.clone());
    let client = Retry::new(Attempts(5), layered(&session, limit));
    (session, client)
}

/// Answers the first `count` requests, whatever token they carry.
fn first(
    count: usize,
    answer: impl Fn() -> Result<Response<Body>, BoxError>,
) -> impl Fn(&Request<Bytes>) -> Option<Result<Response<Body>, BoxError>> {
    let left = AtomicUsize::new(count);
    move |_| {
        let one_less = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        one_less.is_ok().then(&answer)
    }
}

fn rejects_first(count: usize) -> impl Fn(&Request<Bytes>) -> Option<Result<Response<Body>, BoxError>> {
    first(count, || Ok(status(StatusCode::UNAUTHORIZED)))
}

fn status(status: StatusCode) -> Response<Body> {
    let mut answer = Response::new(Body::default());
    *answer.status_mut() = status;
    answer
}

/// Whether the service has room for a request now.
fn is_ready<S: Service<Request<Body>>>(mut service: S) -> bool {
    matches!(service.poll_ready(&mut Context::from_waker(Waker::noop())), Poll::Ready(Ok(())))
}

fn on_a_runtime<T>(future: impl Future<Output = T>) -> T {
    runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
}

/// What the layer and the transport both ask of a client that they share.
trait HttpClient:
    Service<Request<Body>, Response = Response<ServerBody>, Error: Into<BoxError>, Future: Send> + Clone + Send + 'static
{
}

impl<S> HttpClient for S where
    S: Service<Request<Body>, Response = Response<ServerBody>, Error: Into<BoxError>, Future: Send>
        + Clone
        + Send
        + 'static
{
}

/// API and token endpoint as one client reaches them.
#[derive(Clone)]
struct Scene(World);

impl Service<Request<Body>> for Scene {
    type Response = Response<ServerBody>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        match request.uri().host() {
            Some("id.test") => self.0.idp().call(request),
            _ => self.0.api().call(request),
        }
    }
}

/// Insists on being polled ready before each call. A clone is not ready.
struct Policed<S> {
    inner: S,
    is_ready: bool,
    polls: Arc<AtomicUsize>,
}

impl<S> Policed<S> {
    fn new(inner: S) -> Self {
        Self { inner, is_ready: false, polls: Arc::default() }
    }
}

impl<S: Clone> Clone for Policed<S> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), is_ready: false, polls: Arc::clone(&self.polls) }
    }
}

impl<S: Service<R>, R> Service<R> for Policed<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.polls.fetch_add(1, Ordering::Relaxed);
        let ready = self.inner.poll_ready(cx);
        self.is_ready = matches!(ready, Poll::Ready(Ok(())));
        ready
    }

    fn call(&mut self, request: R) -> S::Future {
        assert!(std::mem::take(&mut self.is_ready), "called before it was ready");
        self.inner.call(request)
    }
}

/// Tries again what was unavailable and what the client could not send, but not what the layer refused.
#[derive(Clone)]
struct Attempts(usize);

impl<T> Policy<Request<Body>, Response<T>, Error> for Attempts {
    type Future = std::future::Ready<()>;

    fn retry(&mut self, _: &mut Request<Body>, result: &mut Result<Response<T>, Error>) -> Option<Self::Future> {
        let again = match result {
            Ok(answer) => answer.status() == StatusCode::SERVICE_UNAVAILABLE,
            Err(error) => error.is_service(),
        };
        self.0 = self.0.checked_sub(1)?;
        again.then(|| std::future::ready(()))
    }

    fn clone_request(&mut self, request: &Request<Body>) -> Option<Request<Body>> {
        Some(request.clone())
    }
}

/// An answer whose end does not come.
struct Endless;

impl http_body::Body for Endless {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        Poll::Pending
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Broken(u8);

impl std::error::Error for Broken {}

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("broken")
    }
}
