//! Flights beside other flights, sign-ins beside refreshes, and runtimes that stop: C17, C26, C35, C40, C42, C44, C51.

use std::{
    future::{Future, Ready},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    time::Duration,
};

use futures::FutureExt;
use http::{Request, Response, StatusCode};
use tower::{BoxError, ServiceExt, limit::ConcurrencyLimit, service_fn};
use tower_auth_refresh::{
    Session,
    error::ErrorKind,
    session::{Condition, RefreshPolicy},
    token::{Expiry, TokenSet},
};

use crate::{
    scene::{let_the_flight_run, reply},
    support::{Body, TestProvider, World, by_hand::ByHand, client, get, send, session},
};

const LIFETIME: Duration = Duration::from_secs(1000);

/// A session with token set 7, and a clock at `age` of its life.
fn aged(world: &World, provider: TestProvider, age: Duration) -> Session<TestProvider> {
    let session = session(world, provider);
    world.grant(7);
    session.set(TestProvider::token(7, LIFETIME, world.clock.wall())).unwrap();
    world.clock.advance(age);
    session
}

fn panics() -> Ready<Result<Response<Body>, BoxError>> {
    panic!("a bug in the client")
}

/// Starts `what` on a runtime that is parked for ever afterwards.
fn park<F: Future + 'static>(world: &World, what: impl FnOnce() -> F + Send + 'static) -> mpsc::Sender<()> {
    let (stop, stopped) = mpsc::channel::<()>();
    let (ready, is_ready) = mpsc::channel();
    let world = world.clone();
    std::thread::spawn(move || {
        let rt = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        world.hold_idp();
        rt.block_on(async {
            let mut f = Box::pin(what());
            while world.counts().token_calls() == 0 {
                let _ = (&mut f).now_or_never();
                tokio::task::yield_now().await;
            }
        });
        ready.send(()).unwrap();
        let _ = stopped.recv();
    });
    is_ready.recv().unwrap();
    stop
}

#[tokio::test(start_paused = true)]
async fn a_never_ready_transport_leaves_the_token_unspent() {
    let world = World::new();
    let limited = ConcurrencyLimit::new(world.idp(), 1);
    let session =
        Session::builder(TestProvider::new()).transport(limited.clone()).clock(world.clock.clone()).build().unwrap();
    world.grant(7);
    session.set(TestProvider::token(7, LIFETIME, world.clock.wall())).unwrap();
    world.clock.advance(LIFETIME);
    let mut taken = limited.clone();
    ServiceExt::<Request<Body>>::ready(&mut taken).await.unwrap();
    assert_eq!(session.token().await.unwrap_err().kind(), ErrorKind::TimedOut);
    assert_eq!(world.counts().token_calls(), 0);
    drop(taken);
    world.clock.advance(Duration::from_secs(31));
    session.token().await.unwrap();
    assert_eq!((world.counts().refreshes, world.counts().logins), (1, 0));
}

#[tokio::test(start_paused = true)]
#[allow(clippy::disallowed_methods, reason = "a broken session fails the test instead of hanging it; time is paused")]
async fn settled_returns_after_a_lost_flight_was_given_up() {
    let world = World::new();
    let session = session(&world, TestProvider::new());
    let other = session.clone();
    let _stop = park(&world, move || async move { drop(other.token().await) });
    world.release_idp();
    let _ = session.token().await; // 31 s
    let _ = session.token().await; // gives it up
    assert_ne!(session.status().condition, Condition::Refreshing);
    assert!(tokio::time::timeout(Duration::from_secs(3600), session.settled()).await.is_ok(), "settled hangs");
}

#[tokio::test(start_paused = true)]
async fn a_lost_sign_in_says_nothing_about_the_token() {
    let world = World::new();
    let session = aged(&world, TestProvider::new(), LIFETIME - Duration::from_secs(100));
    let other = session.clone();
    let _stop = park(&world, move || async move { drop(other.sign_in().await) });
    world.release_idp();
    world.script_idp(|_| Some(reply(StatusCode::SERVICE_UNAVAILABLE, "")));
    let _ = session.sign_in().await;
    let _ = session.sign_in().await;
    assert_eq!(session.status().last_error, None, "the sign-in's loss is held against the token");
}

#[tokio::test(start_paused = true)]
async fn a_lost_flight_raises_an_event() {
    let world = World::new();
    let session = session(&world, TestProvider::new());
    let mut events = session.subscribe();
    let other = session.clone();
    let _stop = park(&world, move || async move { drop(other.token().await) });
    let _ = session.token().await;
    let _ = session.token().await;
    assert_eq!(session.status().condition, Condition::Failing);
    assert!(events.recv().now_or_never().is_some(), "status fails, and nobody was told");
}

#[tokio::test]
async fn a_request_does_not_fail_with_somebody_elses_sign_in() {
    for rejected in [true, false] {
        let world = World::new();
        let session = aged(&world, TestProvider::new(), if rejected { Duration::ZERO } else { LIFETIME });
        world.revoke_access();
        world.hold_idp();
        world.script_idp(|r| (r.uri().path() == "/login").then(|| reply(StatusCode::UNAUTHORIZED, "")));
        let client = client(&world, &session);
        let mut sign_in = ByHand::started(session.sign_in());
        let_the_flight_run().await;
        let request = ByHand::started(send(&client, get("/")));
        world.release_idp();
        let_the_flight_run().await;
        assert!(!sign_in.is_pending());
        let answer = request.rest().await;
        assert_eq!(answer.unwrap().status(), StatusCode::OK);
        assert_eq!((world.counts().refreshes, world.counts().logins), (1, 1));
    }
}

#[tokio::test]
async fn a_refused_login_stays_refused_after_an_inconclusive_sign_in() {
    let world = World::new();
    let session = session(&world, TestProvider::new());
    world.script_idp(|_| Some(reply(StatusCode::UNAUTHORIZED, "")));
    let _ = session.token().await;
    world.script_idp(|_| Some(reply(StatusCode::SERVICE_UNAVAILABLE, "")));
    let _ = session.sign_in().await;
    world.script_idp(|_| Some(reply(StatusCode::UNAUTHORIZED, "")));
    world.clock.advance(Duration::from_secs(31));
    let _ = session.token().await;
    assert_eq!(world.counts().logins, 2, "a password known to be wrong was sent without being asked");
}

#[tokio::test]
async fn a_superseded_sign_in_does_not_forget_the_refused_login() {
    let world = World::new();
    let session = session(&world, TestProvider::new());
    world.script_idp(|_| Some(reply(StatusCode::UNAUTHORIZED, "")));
    let _ = session.token().await;
    drop(ByHand::started(session.sign_in())); // its task never ran
    session.set(TokenSet::new("a").with_expiry(Expiry::At(world.clock.wall() + LIFETIME))).unwrap();
    session.settled().await;
    world.clock.advance(LIFETIME);
    let _ = session.token().await;
    assert_eq!(world.counts().logins, 1);
}

#[tokio::test]
async fn a_waiter_goes_on_with_a_sign_in_that_follows_a_sign_out() {
    let world = World::new();
    let session = session(&world, TestProvider::new());
    let client = client(&world, &session);
    world.hold_idp();
    let request = ByHand::started(send(&client, get("/")));
    let token = ByHand::started(session.token());
    let_the_flight_run().await;
    session.sign_out();
    let sign_in = ByHand::started(session.sign_in());
    world.release_idp();
    let (request, token) = (request.rest(), token.rest());
    let (r, t) = futures::future::join(request, token).await;
    drop(sign_in);
    t.unwrap();
    assert_eq!(r.unwrap().status(), 200);
}

#[tokio::test]
async fn a_rejected_request_is_replayed_with_a_newer_generation_even_if_its_flight_failed() {
    let world = World::new();
    let session = aged(&world, TestProvider::without_login(), Duration::ZERO);
    world.revoke_access();
    world.script_idp(|_| Some(reply(StatusCode::SERVICE_UNAVAILABLE, "")));
    let client = client(&world, &session);
    let request = ByHand::started(send(&client, get("/")));
    let_the_flight_run().await;
    assert_eq!(session.status().condition, Condition::Failing);
    world.grant(8);
    session.set(TestProvider::token(8, LIFETIME, world.clock.wall())).unwrap();
    assert_eq!(request.result().unwrap().status(), 200);
}

#[tokio::test]
async fn a_rejected_token_that_may_not_be_refreshed_is_not_fresh() {
    let world = World::new();
    let session = Session::builder(TestProvider::new())
        .transport(world.idp())
        .clock(world.clock.clone())
        .policy(RefreshPolicy::new().guard(0, LIFETIME).unwrap())
        .token(TestProvider::token(7, LIFETIME, world.clock.wall()))
        .build()
        .unwrap();
    assert_eq!(send(&client(&world, &session), get("/")).await.unwrap().status(), 401);
    let status = session.status();
    assert!(status.condition != Condition::Fresh, "{status:?}");
}

#[test]
fn a_caller_without_a_timer_harms_only_himself() {
    let world = World::new();
    let session = session(&world, TestProvider::new());
    let bare = tokio::runtime::Builder::new_current_thread().build().unwrap();
    for _ in 0..3 {
        assert_eq!(bare.block_on(session.token()).unwrap_err().kind(), ErrorKind::NoRuntime);
    }
    let good = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    good.block_on(session.token()).unwrap();
}

#[tokio::test]
async fn the_backoff_after_a_late_panic_counts_from_the_panic() {
    let world = World::new();
    let clock = world.clock.clone();
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let transport = service_fn(move |_: Request<Body>| {
        counted.fetch_add(1, Ordering::SeqCst);
        clock.advance(Duration::from_secs(29));
        panics()
    });
    let session =
        Session::builder(TestProvider::new()).transport(transport).clock(world.clock.clone()).build().unwrap();
    for _ in 0..6 {
        let _ = session.token().await;
    }
    assert_eq!(calls.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn an_inconclusive_sign_in_leaves_the_refusal_before_it_in_place() {
    let world = World::new();
    let session = session(&world, TestProvider::new());
    world.script_idp(|_| Some(reply(StatusCode::UNAUTHORIZED, "")));
    let _ = session.token().await;
    world.script_idp(|_| Some(reply(StatusCode::SERVICE_UNAVAILABLE, "")));

    assert_eq!(session.sign_in().await.unwrap_err().kind(), ErrorKind::Unavailable);

    assert_eq!(session.status().last_error, Some(ErrorKind::Refused));
    assert_eq!(session.status().retry_at, None);
}

#[tokio::test]
async fn a_sign_in_that_succeeds_lets_the_session_log_in_by_itself_again() {
    let world = World::new();
    let session = session(&world, TestProvider::new());
    world.script_idp(|_| Some(reply(StatusCode::UNAUTHORIZED, "")));
    let _ = session.token().await;
    world.unscript();
    session.sign_in().await.unwrap();
    world.script_idp(|request| (request.uri().path() == "/refresh").then(|| reply(StatusCode::BAD_REQUEST, "")));
    world.clock.advance(LIFETIME);

    session.token().await.unwrap();

    assert_eq!((world.counts().refreshes, world.counts().logins), (1, 3));
}
