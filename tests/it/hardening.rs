//! What a hostile server, an unlucky moment or broken code of the application's must not bring about: C17 to C21, C27,
//! C35, C40, C42, C45, C51.

use std::{
    sync::{Arc, Barrier},
    time::{Duration, Instant, SystemTime},
};

use futures::FutureExt;
use http::{Request, Response, StatusCode, header};
use tower::{Layer, ServiceExt, limit::ConcurrencyLimit, service_fn};
use tower_auth_refresh::{
    AuthRefreshLayer, Provider, Session,
    clock::{Clock, Now, SystemClock},
    error::ErrorKind,
    provider::Verdict,
    providers::Accuat,
    replay::Never,
    session::{Condition, NotSent, RefreshPolicy},
};

use crate::support::{Body, Place, TestProvider, World, client, get, post, send, session};

const LIFETIME: Duration = Duration::from_secs(1000);

/// A session with token set 7, and a clock at `age` of its life.
fn aged(world: &World, provider: TestProvider, age: Duration) -> Session<TestProvider> {
    let session = session(world, provider);
    world.grant(7);
    session.set(TestProvider::token(7, LIFETIME, world.clock.wall())).unwrap();
    world.clock.advance(age);
    session
}

fn status(code: u16) -> Result<Response<Body>, tower::BoxError> {
    Ok(Response::builder().status(code).body(Body::default())?)
}

fn with_header(code: u16, name: &str, value: &str) -> Result<Response<Body>, tower::BoxError> {
    Ok(Response::builder().status(code).header(name, value).body(Body::default())?)
}

// ===== the token endpoint is not hammered =====

#[tokio::test]
async fn a_server_that_fails_and_says_retry_at_once_is_not_asked_for_each_request() {
    for age in [LIFETIME - Duration::from_secs(100), LIFETIME] {
        let world = World::new();
        let session = aged(&world, TestProvider::new(), age);
        world.script_idp(|_| Some(with_header(503, "retry-after", "0")));
        let client = client(&world, &session);
        for _ in 0..100 {
            let _ = send(&client, get("/")).await;
            session.settled().await;
        }
        assert_eq!(world.counts().token_calls(), 1, "at {age:?}");
    }
}

#[tokio::test]
async fn failures_count_for_the_guard_however_old_the_token() {
    let world = World::new();
    let session = aged(&world, TestProvider::without_login(), LIFETIME);
    world.script_idp(|_| Some(with_header(503, "retry-after", "0")));
    let client = client(&world, &session);
    let mut last = None;
    for _ in 0..20 {
        last = send(&client, get("/")).await.err();
        world.clock.advance(Duration::from_secs(1));
    }
    assert_eq!(world.counts().token_calls(), 6, "the first is not counted, five more are");
    assert_eq!(last.unwrap().kind(), ErrorKind::TooManyRefreshes);
}

#[tokio::test]
async fn a_transport_that_panics_each_time_does_not_send_the_password_each_time() {
    let world = World::new();
    let session = aged(&world, TestProvider::new(), LIFETIME);
    world.script_idp(|_| panic!("a bug in the client"));
    let client = client(&world, &session);
    for _ in 0..100 {
        let _ = send(&client, get("/")).await;
    }
    assert_eq!((world.counts().refreshes, world.counts().logins), (1, 1));
}

#[tokio::test]
async fn sign_ins_at_the_same_time_share_one_login() {
    let world = World::new();
    let session = session(&world, TestProvider::new());
    world.script_idp(|_| Some(status(401)));
    let all = futures::future::join_all((0..10).map(|_| session.sign_in())).await;
    assert!(all.iter().all(|outcome| outcome.as_ref().is_err_and(|error| error.kind() == ErrorKind::Refused)));
    assert_eq!(world.counts().logins, 1);
}

// ===== a refused login =====

#[tokio::test]
async fn a_login_that_is_answered_401_or_403_is_refused_whatever_the_provider_makes_of_it() {
    for code in [401, 403] {
        let world = World::new();
        // The provider reads 400 and 401 as refusals and knows nothing of 403.
        let session = session(&world, TestProvider::new());
        world.script_idp(move |_| Some(status(code)));
        let client = client(&world, &session);
        for _ in 0..5 {
            assert_eq!(send(&client, get("/")).await.unwrap_err().kind(), ErrorKind::Refused);
            world.clock.advance(Duration::from_secs(600));
        }
        assert_eq!(world.counts().logins, 1, "{code}");
    }
}

#[tokio::test]
async fn a_doubtful_refresh_token_is_tried_once_more_when_the_login_is_refused() {
    let world = World::new();
    let session = aged(&world, TestProvider::new(), LIFETIME - Duration::from_secs(100));
    let refreshes = std::sync::atomic::AtomicUsize::new(0);
    world.script_idp(move |request| match request.uri().path() {
        "/login" => Some(status(401)),
        _ if refreshes.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == 0 => Some(status(502)),
        _ => None,
    });
    let client = client(&world, &session);
    for _ in 0..3 {
        let _ = send(&client, get("/")).await;
        session.settled().await;
        world.clock.advance(Duration::from_secs(31));
    }
    assert_eq!((world.counts().refreshes, world.counts().logins), (2, 1));
    assert_eq!(send(&client, get("/")).await.unwrap().status(), StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn a_refused_refresh_token_is_not_sent_again_when_the_login_behind_it_times_out() {
    let world = World::new();
    let session = aged(&world, TestProvider::new(), LIFETIME);
    let gate = world.clone();
    world.script_idp(move |request| match request.uri().path() {
        "/refresh" => Some(status(400)),
        _ => {
            gate.hold_idp();
            None
        }
    });
    let client = client(&world, &session);
    assert_eq!(send(&client, get("/")).await.unwrap_err().kind(), ErrorKind::TimedOut);
    world.unscript();
    world.release_idp();
    world.clock.advance(Duration::from_secs(31));
    assert_eq!(send(&client, get("/")).await.unwrap().status(), StatusCode::OK);
    assert_eq!((world.counts().refreshes, world.counts().logins), (1, 2));
}

// ===== moments =====

#[test]
fn a_flight_that_set_or_sign_out_has_superseded_spends_no_token_and_sends_no_password() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    for round in 0..600_u32 {
        let world = World::new();
        let session = aged(&world, TestProvider::new(), LIFETIME - Duration::from_secs(100));
        let (barrier, other) = (Arc::new(Barrier::new(2)), session.clone());
        let started = Arc::clone(&barrier);
        let refreshing = runtime.spawn(async move {
            started.wait();
            drop(other.token().await);
        });
        let strange = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let seen = Arc::clone(&strange);
        world.script_idp(move |request| {
            if request.body() == "refresh-99" || request.uri().path() == "/login" {
                seen.store(true, std::sync::atomic::Ordering::SeqCst);
            }
            None
        });
        barrier.wait();
        for _ in 0..(round % 64) * 10 {
            std::hint::spin_loop();
        }
        match round % 2 {
            0 => session.set(TestProvider::token(99, LIFETIME, world.clock.wall())).unwrap(),
            _ => session.sign_out(),
        }
        runtime.block_on(async {
            refreshing.await.unwrap();
            session.settled().await;
        });
        assert!(!strange.load(std::sync::atomic::Ordering::SeqCst), "round {round}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_flight_that_is_not_driven_any_more_is_given_up_by_those_who_wait() {
    let world = World::new();
    let session = session(&world, TestProvider::new());
    let client = client(&world, &session);
    // A runtime of its own, which is driven until the flight is under way and then never again.
    let (to_parked, parked) = std::sync::mpsc::channel::<()>();
    let thread = std::thread::spawn({
        let (client, world) = (client.clone(), world.clone());
        let (ready, is_ready) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            world.hold_idp();
            runtime.block_on(async {
                let mut request = Box::pin(send(&client, get("/parked")));
                while world.counts().token_calls() == 0 {
                    assert!((&mut request).now_or_never().is_none());
                    tokio::task::yield_now().await;
                }
            });
            ready.send(()).unwrap();
            let _ = parked.recv();
        });
        is_ready.recv().unwrap();
        move || thread.join().unwrap()
    });
    world.release_idp();

    let started = SystemClock::new().now().monotonic;
    assert_eq!(send(&client, get("/")).await.unwrap_err().kind(), ErrorKind::TimedOut);
    assert_eq!(SystemClock::new().now().monotonic - started, Duration::from_secs(31));
    // Known as a failure now, and after the backoff everything is as it should be.
    world.clock.advance(Duration::from_secs(31));
    let _ = send(&client, get("/")).await;
    world.clock.advance(Duration::from_secs(31));
    assert_eq!(send(&client, get("/")).await.unwrap().status(), StatusCode::OK);
    drop(to_parked);
    thread.join().unwrap();
}

#[tokio::test]
async fn a_token_that_ends_while_the_service_gets_ready_is_renewed_first() {
    let world = World::new();
    let session = aged(&world, TestProvider::new(), Duration::ZERO);
    let limited = ConcurrencyLimit::new(world.api(), 1);
    let client = AuthRefreshLayer::new(session.clone()).replay::<Never>().layer(limited.clone());
    world.clock.advance(LIFETIME);
    // Waits for the flight first, then for the one place.
    let mut request = Box::pin(send(&client, get("/")));
    assert!((&mut request).now_or_never().is_none());
    let taken = ServiceExt::<Request<Body>>::ready_oneshot(limited.clone()).await.unwrap();
    session.settled().await;
    assert!((&mut request).now_or_never().is_none());
    session.set(TestProvider::token(8, LIFETIME, world.clock.wall())).unwrap();
    world.clock.advance(LIFETIME);
    drop(taken);

    assert_eq!(request.await.unwrap().status(), StatusCode::OK);
    assert_eq!(world.tokens(), ["Bearer access-9"]);
}

// ===== odd answers and odd providers =====

#[tokio::test]
async fn a_token_that_fits_into_no_uri_does_not_replace_a_good_one() {
    let world = World::new();
    let session = aged(&world, TestProvider::placed(Place::Query), LIFETIME - Duration::from_secs(100));
    world.script_idp(|_| Some(Ok(Response::new(format!("{} refresh-8 1000", "x".repeat(70_000)).into()))));
    let client = client(&world, &session);
    send(&client, get("/")).await.unwrap();
    session.settled().await;
    assert_eq!(send(&client, get("/")).await.unwrap().status(), StatusCode::OK);
    assert_eq!(session.status().last_error, Some(ErrorKind::Malformed));
}

#[test]
fn a_resource_whose_name_has_login_in_it_is_no_login_page() {
    let accuat = Accuat::new("https://spark.example".parse().unwrap());
    let judged = |status: u16, location: &str| {
        let answer = Response::builder().status(status).header(header::LOCATION, location).body(()).unwrap();
        accuat.judge(&answer.into_parts().0)
    };
    for (status, location) in
        [(303, "/audit/loginlogs/42"), (303, "/catalogink-7"), (304, "/login"), (302, "/login-logs/1")]
    {
        assert_ne!(judged(status, location), Verdict::Rejected, "{status} {location}");
    }
    for location in ["/Account/Login?ReturnUrl=%2F", "/login.aspx", "https://sso.example/SignIn/", "/user-login"] {
        assert_eq!(judged(302, location), Verdict::Rejected, "{location}");
    }
}

#[tokio::test]
async fn a_post_that_is_answered_with_another_place_is_not_sent_twice() {
    let world = World::new();
    let accuat = Accuat::new("https://api.test".parse().unwrap());
    let session = Session::builder(accuat).transport(world.idp()).clock(world.clock.clone());
    let session = session.token(TestProvider::token(7, LIFETIME, world.clock.wall())).build().unwrap();
    world.script_api(|_| Some(with_header(303, "location", "/loginlogs/42")));
    let client = AuthRefreshLayer::new(session).layer(world.api());
    send(&client, post("/loginlogs", "entry")).await.unwrap();
    assert_eq!((world.counts().api, world.counts().token_calls()), (1, 0));
}

#[tokio::test]
async fn an_error_that_says_it_was_not_sent_leaves_the_refresh_token_unspent() {
    let world = World::new();
    let down = Arc::new(std::sync::atomic::AtomicBool::new(true));
    let (idp, is_down) = (world.idp(), Arc::clone(&down));
    let transport = service_fn(move |request: Request<Body>| {
        let (idp, is_down) = (idp.clone(), is_down.load(std::sync::atomic::Ordering::SeqCst));
        async move { if is_down { Err(NotSent::new("no such host").into()) } else { idp.oneshot(request).await } }
    });
    let session =
        Session::builder(TestProvider::new()).transport(transport).clock(world.clock.clone()).build().unwrap();
    world.grant(7);
    session.set(TestProvider::token(7, LIFETIME, world.clock.wall())).unwrap();
    world.clock.advance(LIFETIME);
    assert_eq!(session.token().await.unwrap_err().kind(), ErrorKind::Transport);
    down.store(false, std::sync::atomic::Ordering::SeqCst);
    world.clock.advance(Duration::from_secs(31));
    session.token().await.unwrap();
    assert_eq!((world.counts().refreshes, world.counts().logins, world.counts().double_spent), (1, 0, 0));
}

#[tokio::test]
async fn a_token_request_to_a_relative_uri_is_a_fault_and_nothing_is_sent() {
    let world = World::new();
    let session = session(&world, TestProvider::new().with_token_endpoint(""));
    let error = session.token().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Fault);
    assert_eq!(world.counts().token_calls(), 0);
}

#[tokio::test]
async fn a_jitter_that_panics_hangs_nobody() {
    let world = World::new();
    world.script_idp(|_| Some(status(503)));
    let policy = RefreshPolicy::new().jitter(|| panic!("a bug in the jitter"));
    let session =
        Session::builder(TestProvider::new()).transport(world.idp()).clock(world.clock.clone()).policy(policy);
    let session = session.build().unwrap();
    assert_eq!(session.token().await.unwrap_err().kind(), ErrorKind::Aborted);
    assert_eq!(session.status().condition, Condition::Failing);
}

#[test]
fn a_failure_is_printed_whatever_year_it_is() {
    #[derive(Clone)]
    struct In(SystemTime);
    impl Clock for In {
        #[allow(clippy::disallowed_methods, reason = "any instant serves")]
        fn now(&self) -> Now {
            Now { wall: self.0, monotonic: Instant::now() }
        }
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let epoch = SystemTime::UNIX_EPOCH;
    for wall in [epoch - Duration::from_secs(86_400), epoch + Duration::from_secs(300_000_000_000)] {
        let world = World::new();
        world.script_idp(|_| Some(status(503)));
        let session = Session::builder(TestProvider::new()).transport(world.idp()).clock(In(wall)).build().unwrap();
        let error = runtime.block_on(session.token()).unwrap_err();
        assert_eq!(error.to_string(), "the token endpoint is unavailable");
    }
}
