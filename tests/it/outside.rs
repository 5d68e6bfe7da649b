//! What changes from outside: no traffic (C13), the clocks (C14), and the application (C42 to C44).

use std::time::Duration;

use http::{Response, StatusCode, header};
use tower_auth_refresh::{
    Error, Session,
    error::{ErrorKind, RefreshFailure},
    session::{Condition, Event, Events, RefreshPolicy},
    token::TokenSet,
};

use crate::support::{
    Client, TestProvider, World,
    by_hand::{ByHand, until},
    client, get, send, session,
};

const LIFETIME: Duration = Duration::from_secs(1000);
const SOFT: Duration = Duration::from_secs(900);

struct Scene {
    world: World,
    session: Session<TestProvider>,
    client: Client,
}

impl Scene {
    fn signed_out(provider: TestProvider) -> Self {
        let world = World::new();
        let session = session(&world, provider);
        let client = client(&world, &session);
        Self { world, session, client }
    }

    /// Token set 7 is in place, `age` old.
    fn aged(provider: TestProvider, age: Duration) -> Self {
        let scene = Self::signed_out(provider);
        scene.world.grant(7);
        scene.set(7);
        scene.world.clock.advance(age);
        scene
    }

    fn fresh() -> Self {
        Self::aged(TestProvider::new(), Duration::ZERO)
    }

    fn set(&self, number: u64) {
        self.session.set(self.token(number)).unwrap();
    }

    fn token(&self, number: u64) -> TokenSet {
        TestProvider::token(number, LIFETIME, self.world.clock.wall())
    }

    async fn get(&self, path: &str) -> Result<StatusCode, ErrorKind> {
        status(send(&self.client, get(path)).await)
    }

    fn condition(&self) -> Condition {
        self.session.status().condition
    }

    /// From now on the token endpoint has no time.
    fn overload_idp(&self, retry_after: &'static str) {
        self.world.script_idp(move |_| Some(answer(StatusCode::SERVICE_UNAVAILABLE, retry_after)));
    }
}

fn answer(status: StatusCode, retry_after: &'static str) -> Result<Response<crate::support::Body>, tower::BoxError> {
    let mut answer = Response::new(crate::support::Body::default());
    *answer.status_mut() = status;
    answer.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from_static(retry_after));
    Ok(answer)
}

fn status<B>(answer: Result<Response<B>, Error>) -> Result<StatusCode, ErrorKind> {
    answer.map(|answer| answer.status()).map_err(|error| error.kind())
}

const OK: Result<StatusCode, ErrorKind> = Ok(StatusCode::OK);

// ===== no traffic =====

#[tokio::test(start_paused = true)]
async fn without_traffic_nothing_is_refreshed() {
    let scene = Scene::fresh();
    let _events = scene.session.subscribe();
    for _ in 0..200 {
        scene.world.clock.advance(Duration::from_secs(10));
        tokio::time::advance(Duration::from_secs(10)).await;
        let _ = scene.session.status();
        scene.session.settled().await;
    }
    assert_eq!(scene.condition(), Condition::Expired);
    assert_eq!(scene.world.counts().token_calls(), 0);

    assert_eq!(scene.get("/").await, OK);
    assert_eq!(scene.world.counts().token_calls(), 1);
}

// ===== the clocks =====

#[tokio::test]
async fn a_token_that_ended_while_the_machine_slept_is_renewed_before_it_is_used() {
    let scene = Scene::fresh();
    scene.world.clock.suspend(LIFETIME);

    assert_eq!(scene.get("/").await, OK);

    assert_eq!(scene.world.tokens(), ["Bearer access-8"]);
}

#[tokio::test]
async fn a_token_that_came_to_its_soft_point_while_the_machine_slept_is_renewed_while_it_is_used() {
    let scene = Scene::fresh();
    scene.world.clock.suspend(SOFT);

    assert_eq!(scene.get("/1").await, OK);
    scene.session.settled().await;
    assert_eq!(scene.get("/2").await, OK);

    assert_eq!(scene.world.counts().refreshes, 1);
    assert_eq!(scene.world.tokens()[1], "Bearer access-8");
}

#[tokio::test]
async fn a_wall_clock_that_was_set_back_keeps_no_token_alive() {
    let scene = Scene::fresh();
    scene.overload_idp("0");
    scene.world.clock.step_back(Duration::from_secs(86_400));
    scene.world.clock.advance(LIFETIME - Duration::from_millis(1));
    assert_eq!(scene.get("/1").await, OK);

    scene.world.clock.advance(Duration::from_millis(1));
    assert_eq!(scene.get("/2").await, Err(ErrorKind::Unavailable));
    scene.world.unscript();
    scene.world.clock.advance(Duration::from_secs(2));
    assert_eq!(scene.get("/3").await, OK);

    assert_eq!(scene.world.tokens(), ["Bearer access-7", "Bearer access-8"]);
}

#[tokio::test]
async fn a_token_granted_after_the_wall_clock_was_set_back_lives_for_its_whole_life() {
    let scene = Scene::fresh();
    scene.world.clock.step_back(Duration::from_secs(86_400));
    scene.world.clock.advance(LIFETIME);
    assert_eq!(scene.get("/1").await, OK);

    scene.world.clock.advance(Duration::from_secs(600));
    assert_eq!((scene.get("/2").await, scene.condition()), (OK, Condition::Fresh));
    assert_eq!(scene.world.counts().token_calls(), 1);

    scene.world.clock.advance(Duration::from_secs(400));
    assert_eq!(scene.condition(), Condition::Expired);
}

#[tokio::test]
async fn a_lifetime_does_not_grow_when_the_wall_clock_is_set_back_while_it_is_granted() {
    let scene = Scene::aged(TestProvider::new(), LIFETIME);
    scene.world.hold_idp();
    let request = ByHand::started(send(&scene.client, get("/")));
    until(|| scene.world.counts().refreshes == 1).await;
    scene.world.clock.step_back(Duration::from_secs(86_400));
    scene.world.release_idp();
    assert_eq!(status(request.rest().await), OK);

    scene.world.clock.advance(LIFETIME);

    assert_eq!(scene.condition(), Condition::Expired);
}

#[tokio::test]
async fn a_cool_down_does_not_freeze_when_the_wall_clock_is_set_back() {
    let scene = Scene::signed_out(TestProvider::new());
    scene.overload_idp("60");
    assert_eq!(scene.get("/1").await, Err(ErrorKind::Unavailable));
    scene.world.unscript();
    scene.world.clock.step_back(Duration::from_secs(86_400));

    scene.world.clock.advance(Duration::from_millis(59_999));
    assert_eq!(scene.get("/2").await, Err(ErrorKind::Unavailable));
    assert_eq!(scene.world.counts().token_calls(), 1);

    scene.world.clock.advance(Duration::from_millis(1));
    assert_eq!(scene.get("/3").await, OK);
    assert_eq!(scene.world.counts().token_calls(), 2);
}

#[tokio::test]
async fn the_refresh_guard_does_not_freeze_when_the_wall_clock_is_set_back() {
    let world = World::new();
    let policy = RefreshPolicy::new().guard(1, Duration::from_secs(30)).unwrap();
    let session = Session::builder(TestProvider::new())
        .transport(world.idp())
        .clock(world.clock.clone())
        .policy(policy)
        .build()
        .unwrap();
    let client = client(&world, &session);
    assert_eq!(status(send(&client, get("/")).await), OK);
    world.revoke_access();
    assert_eq!(status(send(&client, get("/")).await), Ok(StatusCode::UNAUTHORIZED));

    world.clock.step_back(Duration::from_secs(86_400));
    world.clock.advance(Duration::from_secs(30));

    assert_eq!(status(send(&client, get("/")).await), OK);
    assert_eq!(world.counts().token_calls(), 2);
}

// ===== set =====

#[tokio::test]
async fn waiters_go_on_with_a_token_that_is_set_before_the_flight_has_an_answer() {
    let scene = Scene::aged(TestProvider::new(), LIFETIME);
    scene.world.hold_idp();
    let request = ByHand::started(send(&scene.client, get("/")));
    let caller = ByHand::started(scene.session.token());
    until(|| scene.world.counts().refreshes == 1).await;
    scene.world.grant(20);

    scene.set(20);

    assert!(request.is_woken() && caller.is_woken());
    assert_eq!(status(request.result()), OK);
    assert!(caller.result().is_ok());
    assert_eq!(scene.world.tokens(), ["Bearer access-20"]);
}

#[tokio::test]
async fn waiters_do_not_go_on_with_an_expired_token_that_is_set() {
    let scene = Scene::aged(TestProvider::new(), LIFETIME);
    scene.world.hold_idp();
    let request = ByHand::started(send(&scene.client, get("/")));
    let caller = ByHand::started(scene.session.token());
    until(|| scene.world.counts().refreshes == 1).await;
    scene.world.grant(20);
    let expired = TestProvider::token(20, Duration::ZERO, scene.world.clock.wall());

    scene.session.set(expired).unwrap();
    scene.world.release_idp();

    assert_eq!(status(request.rest().await), OK);
    assert!(caller.rest().await.unwrap().expiry().time() > Some(scene.world.clock.wall()));
    assert_eq!(scene.world.tokens(), ["Bearer access-21"]);
    assert_eq!(scene.world.counts().refreshes, 2);
}

#[tokio::test]
async fn a_late_refresh_does_not_overwrite_a_token_that_was_set_meanwhile() {
    let scene = Scene::aged(TestProvider::new(), LIFETIME);
    scene.world.hold_idp();
    let request = ByHand::started(send(&scene.client, get("/1")));
    until(|| scene.world.counts().refreshes == 1).await;
    scene.world.grant(20);
    scene.set(20);
    let generation = scene.session.status().generation;

    scene.world.release_idp();
    scene.session.settled().await;

    assert_eq!(scene.session.status().generation, generation);
    assert_eq!(status(request.rest().await), OK);
    assert_eq!(scene.get("/2").await, OK);
    assert_eq!(scene.world.tokens(), ["Bearer access-20"; 2]);
    assert_eq!(scene.world.counts().token_calls(), 1);
}

#[tokio::test]
async fn a_late_failure_says_nothing_about_a_token_that_was_set_meanwhile() {
    let scene = Scene::aged(TestProvider::without_login(), LIFETIME);
    scene.world.hold_idp();
    scene.overload_idp("60");
    let request = ByHand::started(send(&scene.client, get("/")));
    until(|| scene.world.counts().refreshes == 1).await;
    scene.world.grant(20);
    scene.set(20);

    scene.world.release_idp();
    scene.session.settled().await;

    assert_eq!(status(request.rest().await), OK);
    let status = scene.session.status();
    assert_eq!((status.condition, status.last_error), (Condition::Fresh, None));
}

#[tokio::test]
async fn a_token_that_no_request_can_carry_is_refused_and_changes_nothing() {
    let scene = Scene::aged(TestProvider::new(), LIFETIME);
    scene.world.hold_idp();
    let request = ByHand::started(send(&scene.client, get("/")));
    until(|| scene.world.counts().refreshes == 1).await;

    let refused = scene.session.set(TokenSet::new("two\r\nlines"));

    assert_eq!(refused.unwrap_err().kind(), ErrorKind::InvalidToken);
    assert_eq!(scene.condition(), Condition::Refreshing);
    scene.world.release_idp();
    assert_eq!(status(request.rest().await), OK);
    assert_eq!(scene.world.tokens(), ["Bearer access-8"]);
}

#[tokio::test]
async fn a_rejection_of_the_old_token_is_answered_with_the_one_that_was_set_meanwhile() {
    let scene = Scene::fresh();
    scene.world.hold_api();
    scene.world.revoke_access();
    let request = ByHand::started(send(&scene.client, get("/")));
    scene.world.grant(20);
    scene.set(20);
    scene.world.release_api();

    assert_eq!(status(request.rest().await), OK);

    assert_eq!(scene.world.tokens(), ["Bearer access-7", "Bearer access-20"]);
    assert_eq!(scene.world.counts().token_calls(), 0);
}

#[tokio::test]
async fn a_token_that_is_set_ends_what_was_remembered_of_the_old_one() {
    let scene = Scene::aged(TestProvider::without_login(), LIFETIME);
    scene.world.grant(8);
    assert_eq!(scene.get("/1").await, Err(ErrorKind::Refused));
    scene.world.grant(20);
    scene.set(20);
    scene.world.clock.advance(LIFETIME);

    assert_eq!(scene.get("/2").await, OK);

    assert_eq!(scene.world.tokens(), ["Bearer access-21"]);
    assert_eq!(scene.world.counts().refreshes, 2);
}

// ===== sign_out =====

#[tokio::test]
async fn waiters_learn_of_a_sign_out_before_the_flight_has_an_answer() {
    let scene = Scene::aged(TestProvider::new(), LIFETIME);
    scene.world.hold_idp();
    let request = ByHand::started(send(&scene.client, get("/")));
    let caller = ByHand::started(scene.session.token());
    let signing_in = ByHand::started(scene.session.sign_in());
    until(|| scene.world.counts().refreshes == 1).await;

    scene.session.sign_out();

    assert_eq!(status(request.result()), Err(ErrorKind::SignedOut));
    assert_eq!(caller.result().unwrap_err().kind(), ErrorKind::SignedOut);
    assert_eq!(signing_in.result().unwrap_err().kind(), ErrorKind::SignedOut);
    scene.session.settled().await;
    assert_eq!((scene.world.counts().api, scene.world.counts().logins), (0, 0));
}

#[tokio::test]
async fn a_late_refresh_does_not_undo_a_sign_out() {
    let scene = Scene::aged(TestProvider::new(), LIFETIME);
    scene.world.hold_idp();
    let request = ByHand::started(send(&scene.client, get("/1")));
    until(|| scene.world.counts().refreshes == 1).await;
    scene.session.sign_out();

    scene.world.release_idp();
    scene.session.settled().await;

    assert_eq!(status(request.rest().await), Err(ErrorKind::SignedOut));
    assert_eq!(scene.get("/2").await, Err(ErrorKind::SignedOut));
    assert_eq!(scene.condition(), Condition::SignedOut);
    assert_eq!(scene.world.counts().api, 0);
}

#[tokio::test]
async fn a_session_that_was_signed_out_sends_nothing_however_long_it_takes() {
    let scene = Scene::fresh();
    scene.session.sign_out();
    for _ in 0..3 {
        assert_eq!(scene.get("/").await, Err(ErrorKind::SignedOut));
        assert_eq!(scene.session.token().await.unwrap_err().kind(), ErrorKind::SignedOut);
        scene.world.clock.advance(Duration::from_secs(86_400));
    }
    assert_eq!(scene.world.counts(), Default::default());
}

#[tokio::test]
async fn a_session_that_was_signed_out_goes_on_with_a_token_that_is_set() {
    let scene = Scene::fresh();
    scene.session.sign_out();
    scene.set(7);
    assert_eq!(scene.get("/").await, OK);
    assert_eq!(scene.world.counts().token_calls(), 0);
}

#[tokio::test]
async fn a_session_that_was_signed_out_goes_on_after_a_sign_in() {
    let scene = Scene::fresh();
    scene.session.sign_out();
    scene.session.sign_in().await.unwrap();
    assert_eq!(scene.get("/").await, OK);
    assert_eq!(scene.world.tokens(), ["Bearer access-8"]);
    assert_eq!((scene.world.counts().logins, scene.world.counts().refreshes), (1, 0));
}

#[tokio::test]
async fn a_rejection_that_comes_after_a_sign_out_is_handed_back() {
    let scene = Scene::fresh();
    scene.world.hold_api();
    scene.world.revoke_access();
    let request = ByHand::started(send(&scene.client, get("/")));
    scene.session.sign_out();
    scene.world.release_api();

    let answer = request.rest().await.unwrap();

    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(answer.extensions().get::<RefreshFailure>().unwrap().kind(), ErrorKind::SignedOut);
    assert_eq!((scene.world.counts().api, scene.world.counts().token_calls()), (1, 0));
}

// ===== sign_in =====

#[tokio::test]
async fn a_sign_in_lets_a_refresh_end_first_and_then_logs_in() {
    let scene = Scene::aged(TestProvider::new(), LIFETIME);
    scene.world.hold_idp();
    let request = ByHand::started(send(&scene.client, get("/1")));
    until(|| scene.world.counts().refreshes == 1).await;
    let signing_in = ByHand::started(scene.session.sign_in());
    tokio::task::yield_now().await;
    assert_eq!(scene.world.counts().logins, 0);

    scene.world.release_idp();

    signing_in.rest().await.unwrap();
    drop(request);
    assert_eq!(scene.get("/2").await, OK);
    assert_eq!(scene.world.tokens(), ["Bearer access-9"]);
    assert_eq!((scene.world.counts().refreshes, scene.world.counts().logins), (1, 1));
}

#[tokio::test]
async fn the_old_token_serves_while_somebody_signs_in() {
    let scene = Scene::fresh();
    scene.world.hold_idp();
    scene.world.script_idp(|_| Some(answer(StatusCode::SERVICE_UNAVAILABLE, "60")));
    let signing_in = ByHand::started(scene.session.sign_in());
    until(|| scene.world.counts().logins == 1).await;

    assert_eq!(scene.get("/").await, OK);

    assert_eq!(scene.world.tokens(), ["Bearer access-7"]);
    drop(signing_in);
}

#[tokio::test]
async fn a_sign_in_without_a_configured_login_says_so_and_harms_nothing() {
    let scene = Scene::aged(TestProvider::without_login(), Duration::ZERO);
    let before = format!("{:?}", scene.session.status());

    assert_eq!(scene.session.sign_in().await.unwrap_err().kind(), ErrorKind::SignInRequired);

    assert_eq!(format!("{:?}", scene.session.status()), before);
    assert_eq!((scene.get("/").await, scene.world.counts().token_calls()), (OK, 0));
}

#[tokio::test]
async fn a_failed_sign_in_leaves_the_good_token_in_use() {
    for (code, kind) in
        [(StatusCode::SERVICE_UNAVAILABLE, ErrorKind::Unavailable), (StatusCode::UNAUTHORIZED, ErrorKind::Refused)]
    {
        let scene = Scene::fresh();
        scene.world.script_idp(move |_| Some(answer(code, "60")));

        assert_eq!(scene.session.sign_in().await.unwrap_err().kind(), kind);

        assert_eq!((scene.condition(), scene.get("/").await), (Condition::Fresh, OK));
        assert_eq!(scene.world.counts().token_calls(), 1);
    }
}

#[tokio::test]
async fn a_failed_sign_in_does_not_keep_a_good_token_from_being_refreshed() {
    let scene = Scene::aged(TestProvider::new(), SOFT);
    scene.overload_idp("3600");
    scene.session.sign_in().await.unwrap_err();
    scene.world.unscript();

    assert_eq!(scene.get("/").await, OK);
    scene.session.settled().await;

    assert_eq!((scene.world.counts().logins, scene.world.counts().refreshes), (1, 1));
    assert_eq!(scene.condition(), Condition::Fresh);
}

#[tokio::test]
async fn a_sign_in_that_a_sign_out_overtakes_says_so() {
    let scene = Scene::signed_out(TestProvider::new());
    scene.world.hold_idp();
    let signing_in = ByHand::started(scene.session.sign_in());
    until(|| scene.world.counts().logins == 1).await;

    scene.session.sign_out();

    assert_eq!(signing_in.result().unwrap_err().kind(), ErrorKind::SignedOut);
    assert_eq!(scene.get("/").await, Err(ErrorKind::SignedOut));
}

#[tokio::test]
async fn a_sign_in_asks_again_after_a_refused_login_and_in_a_backoff() {
    for code in [StatusCode::UNAUTHORIZED, StatusCode::SERVICE_UNAVAILABLE] {
        let scene = Scene::signed_out(TestProvider::new());
        scene.world.script_idp(move |_| Some(answer(code, "60")));
        scene.get("/1").await.unwrap_err();
        scene.world.unscript();

        scene.session.sign_in().await.unwrap();

        assert_eq!((scene.get("/2").await, scene.world.counts().logins), (OK, 2));
    }
}

// ===== two sessions =====

/// Two sessions alike in one world, neither signed in.
fn two_sessions(policy: RefreshPolicy) -> (World, [(Session<TestProvider>, Client); 2]) {
    let world = World::new();
    let sessions = [(); 2].map(|()| {
        let session = Session::builder(TestProvider::new())
            .transport(world.idp())
            .clock(world.clock.clone())
            .policy(policy.clone())
            .build()
            .unwrap();
        let client = client(&world, &session);
        (session, client)
    });
    (world, sessions)
}

#[tokio::test]
async fn two_sessions_share_no_token() {
    let (world, [(one, _), (two, client)]) = two_sessions(RefreshPolicy::new());
    one.set(TestProvider::token(7, LIFETIME, world.clock.wall())).unwrap();
    assert_eq!(two.status().condition, Condition::SignedOut);

    assert_eq!(status(send(&client, get("/")).await), OK);

    assert_eq!(world.tokens(), ["Bearer access-1"]);
    one.sign_out();
    assert_eq!(two.status().condition, Condition::Fresh);
}

#[tokio::test]
async fn two_sessions_share_no_flight() {
    let (world, [(_, first), (_, second)]) = two_sessions(RefreshPolicy::new());
    world.hold_idp();
    let _requests = [ByHand::started(send(&first, get("/"))), ByHand::started(send(&second, get("/")))];
    until(|| world.counts().logins == 2).await;
}

#[tokio::test]
async fn two_sessions_share_no_backoff() {
    let (world, [(_, first), (_, second)]) = two_sessions(RefreshPolicy::new());
    world.script_idp(|_| Some(answer(StatusCode::SERVICE_UNAVAILABLE, "60")));
    assert_eq!(status(send(&first, get("/")).await), Err(ErrorKind::Unavailable));
    world.unscript();

    assert_eq!(status(send(&second, get("/")).await), OK);
    assert_eq!(status(send(&first, get("/")).await), Err(ErrorKind::Unavailable));
}

#[tokio::test]
async fn two_sessions_share_no_guard() {
    let policy = RefreshPolicy::new().guard(1, Duration::from_secs(30)).unwrap();
    let (world, [(one, first), (_, second)]) = two_sessions(policy);
    assert_eq!(status(send(&first, get("/")).await), OK);
    world.revoke_access();
    assert_eq!(status(send(&first, get("/")).await), Ok(StatusCode::UNAUTHORIZED));
    assert_eq!(one.status().condition, Condition::Failing);

    assert_eq!(status(send(&second, get("/")).await), OK);
    assert_eq!(world.counts().token_calls(), 2);
}

// ===== events, status, settled =====

/// Kind, generation and failure of the events that have come so far.
fn seen(events: &mut Events) -> Vec<(&'static str, u64, Option<ErrorKind>)> {
    let mut seen = Vec::new();
    while let std::task::Poll::Ready(Some(event)) = ByHand::new(events.recv()).poll() {
        seen.push(match event {
            Event::TokenChanged { generation } => ("changed", generation.get(), None),
            Event::SignedOut { generation } => ("signed out", generation.get(), None),
            Event::RefreshFailed { generation, failure } => ("failed", generation.get(), Some(failure.kind())),
            _ => panic!("an event that no test knows"),
        });
    }
    seen
}

#[tokio::test]
async fn a_subscriber_sees_every_change_in_order() {
    let scene = Scene::signed_out(TestProvider::new());
    let mut events = scene.session.subscribe();
    scene.get("/login").await.unwrap();
    scene.world.clock.advance(SOFT);
    scene.get("/refresh").await.unwrap();
    scene.session.settled().await;
    scene.world.clock.advance(SOFT);
    scene.overload_idp("60");
    scene.get("/failure").await.unwrap();
    scene.session.settled().await;
    scene.world.unscript();
    scene.session.sign_out();
    scene.session.sign_in().await.unwrap();
    scene.set(20);

    let unavailable = Some(ErrorKind::Unavailable);
    assert_eq!(
        seen(&mut events),
        [
            ("changed", 1, None),
            ("changed", 2, None),
            ("failed", 2, unavailable),
            ("signed out", 3, None),
            ("changed", 4, None),
            ("changed", 5, None),
        ]
    );
}

#[tokio::test]
async fn a_subscriber_is_woken_by_a_change_and_finds_it_in_place() {
    let scene = Scene::signed_out(TestProvider::new());
    let mut events = scene.session.subscribe();
    let next = ByHand::started(events.recv());

    scene.set(7);

    assert!(next.is_woken());
    assert_eq!(scene.condition(), Condition::Fresh);
    assert!(matches!(next.result(), Some(Event::TokenChanged { .. })));
}

#[tokio::test]
async fn the_failure_in_an_event_says_when_the_next_try_is_due() {
    let scene = Scene::signed_out(TestProvider::new());
    let mut events = scene.session.subscribe();
    scene.overload_idp("60");
    scene.get("/").await.unwrap_err();

    let event = ByHand::new(events.recv()).result();
    let Some(Event::RefreshFailed { failure, .. }) = event else { panic!("another event") };
    assert_eq!(failure.retry_at(), Some(scene.world.clock.wall() + Duration::from_secs(60)));
}

#[tokio::test]
async fn a_subscription_begins_with_what_comes_after_it_and_ends_with_the_session() {
    let scene = Scene::fresh();
    let mut events = scene.session.subscribe();
    assert_eq!(seen(&mut events), []);
    drop((scene.session, scene.client));
    assert!(events.recv().await.is_none());
}

#[tokio::test]
async fn a_subscriber_that_falls_behind_misses_the_oldest_and_only_those() {
    let scene = Scene::signed_out(TestProvider::new());
    let mut events = scene.session.subscribe();
    for number in 0..100 {
        scene.set(number);
    }
    let seen: Vec<u64> = seen(&mut events).into_iter().map(|(_, generation, _)| generation).collect();
    assert_eq!(seen, (37..=100).collect::<Vec<_>>());
}

#[tokio::test]
async fn the_status_goes_through_all_conditions() {
    let scene = Scene::signed_out(TestProvider::new());
    assert_eq!(scene.condition(), Condition::SignedOut);
    scene.world.hold_idp();
    let request = ByHand::started(send(&scene.client, get("/")));
    assert_eq!(scene.condition(), Condition::Refreshing);
    scene.world.release_idp();
    assert_eq!(status(request.rest().await), OK);
    assert_eq!(scene.condition(), Condition::Fresh);
    assert_eq!(scene.session.status().expires_at, Some(scene.world.clock.wall() + LIFETIME));
    scene.world.clock.advance(SOFT);
    assert_eq!(scene.condition(), Condition::Soft);
    scene.world.clock.advance(Duration::from_secs(70));
    assert_eq!(scene.condition(), Condition::Expired);
    scene.overload_idp("60");
    assert_eq!(scene.get("/").await, OK);
    assert_eq!(scene.condition(), Condition::Failing);
    scene.session.sign_out();
    assert_eq!(scene.condition(), Condition::SignedOut);
    assert_eq!(scene.session.status().expires_at, None);
}

#[tokio::test]
async fn the_status_names_the_last_error_since_when_and_until_when() {
    let scene = Scene::aged(TestProvider::new(), SOFT);
    let first = scene.world.clock.wall();
    scene.overload_idp("60");
    scene.get("/1").await.unwrap();
    scene.session.settled().await;
    let status = scene.session.status();
    assert_eq!(
        (status.last_error, status.failing_since, status.retry_at),
        (Some(ErrorKind::Unavailable), Some(first), Some(first + Duration::from_secs(60)))
    );

    scene.world.clock.advance(Duration::from_secs(60));
    scene.world.script_idp(|_| Some(Err("no answer".into())));
    scene.get("/2").await.unwrap();
    scene.session.settled().await;
    let status = scene.session.status();
    assert_eq!((status.last_error, status.failing_since), (Some(ErrorKind::Transport), Some(first)));
    assert!(status.retry_at > Some(first + Duration::from_secs(60)));
}

#[tokio::test]
async fn the_status_forgets_a_failure_with_the_next_token() {
    let scene = Scene::signed_out(TestProvider::new());
    scene.overload_idp("60");
    scene.get("/1").await.unwrap_err();
    scene.world.unscript();
    scene.world.clock.advance(Duration::from_secs(60));
    assert_eq!(scene.get("/2").await, OK);

    let status = scene.session.status();
    assert_eq!((status.last_error, status.failing_since, status.retry_at), (None, None, None));
}

#[tokio::test]
async fn a_permanent_failure_names_no_next_try() {
    let scene = Scene::aged(TestProvider::without_login(), SOFT);
    scene.world.grant(8);
    scene.world.script_api(|_| Some(answer(StatusCode::OK, "0")));
    scene.get("/").await.unwrap();
    scene.session.settled().await;

    let status = scene.session.status();
    assert_eq!((status.condition, status.last_error), (Condition::Failing, Some(ErrorKind::Refused)));
    assert_eq!(status.retry_at, None);
}

#[tokio::test]
async fn settled_waits_for_the_flight_in_progress() {
    let scene = Scene::aged(TestProvider::new(), SOFT);
    scene.world.hold_idp();
    scene.get("/").await.unwrap();
    let mut settled = ByHand::started(scene.session.settled());
    until(|| scene.world.counts().refreshes == 1).await;
    assert!(settled.is_pending());

    scene.world.release_idp();
    settled.rest().await;

    assert_eq!((scene.condition(), scene.session.status().generation.get()), (Condition::Fresh, 2));
}

#[tokio::test]
async fn settled_returns_at_once_when_nothing_flies() {
    let scene = Scene::fresh();
    ByHand::new(scene.session.settled()).result();
    scene.world.clock.advance(LIFETIME);
    ByHand::new(scene.session.settled()).result();
    scene.get("/").await.unwrap();
    ByHand::new(scene.session.settled()).result();
}

#[tokio::test]
async fn settled_does_not_wait_for_a_flight_that_a_sign_out_has_called_off() {
    let scene = Scene::aged(TestProvider::new(), LIFETIME);
    scene.world.hold_idp();
    let _request = ByHand::started(send(&scene.client, get("/")));
    until(|| scene.world.counts().refreshes == 1).await;

    scene.session.sign_out();

    ByHand::new(scene.session.settled()).result();
}
