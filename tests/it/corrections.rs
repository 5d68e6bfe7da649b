//! Corrections of the clock that are wrong or out of date, and token sets that have ended when they come: C14, C17,
//! C20, C51.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use tower_auth_refresh::{
    Provider, Session,
    error::ErrorKind,
    providers::{Kanfang, Quectel, RefreshWith},
    session::{Condition, Event, RefreshPolicy},
    token::{Expiry, TokenSet},
};

use crate::{
    scene::{LIFE, Reply, let_the_flight_run, no_jitter, poll_once, reply, seconds, session_with, signed_in},
    support::{Body, TestProvider, World},
};

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);
const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

fn dated(answer: Reply, at: SystemTime) -> Reply {
    answer.map(|mut answer: Response<Body>| {
        answer.headers_mut().insert(header::DATE, httpdate::fmt_http_date(at).parse().unwrap());
        answer
    })
}

fn json(body: impl Into<Bytes>) -> Reply {
    reply(StatusCode::OK, body).map(|mut answer| {
        answer.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
        answer
    })
}

fn epoch(at: SystemTime) -> u64 {
    at.duration_since(UNIX_EPOCH).unwrap().as_secs()
}

type Script = Box<dyn Fn() -> Reply + Send>;

#[derive(Clone, Default)]
struct Endpoint {
    seen: Arc<Mutex<Vec<String>>>,
    script: Arc<Mutex<Option<Script>>>,
    gate: Arc<tokio::sync::RwLock<()>>,
}

impl Endpoint {
    fn answers(&self, answer: impl Fn() -> Reply + Send + 'static) {
        *self.script.lock().unwrap() = Some(Box::new(answer));
    }
    fn calls(&self) -> usize {
        self.seen.lock().unwrap().len()
    }
    fn session<P: Provider>(&self, world: &World, provider: P, policy: RefreshPolicy) -> Session<P> {
        let endpoint = self.clone();
        let transport = tower::service_fn(move |request: Request<Body>| {
            let value = request.headers().get(header::AUTHORIZATION).map(|value| value.to_str().unwrap().to_owned());
            endpoint.seen.lock().unwrap().push(value.unwrap_or_default());
            let answer = endpoint.script.lock().unwrap().as_ref().expect("a script")();
            let gate = endpoint.gate.clone();
            async move {
                let _open = gate.read().await;
                answer
            }
        });
        Session::builder(provider).transport(transport).clock(world.clock.clone()).policy(policy).build().unwrap()
    }
}

/// A device boots with an unset clock, a `Date` corrects it, and then it is set. The refresh token is good for 30 days.
#[tokio::test]
async fn a_clock_that_is_put_right_after_a_correction_of_years_does_not_end_the_session() {
    let (world, endpoint) = (World::new(), Endpoint::default());
    let right = world.clock.wall();
    world.clock.step_back(YEAR);
    let session = endpoint.session(&world, Quectel::europe(), no_jitter());
    session.set(TestProvider::token(7, seconds(1), world.clock.wall())).unwrap();
    world.clock.advance(seconds(1));
    let grant = move |at: SystemTime| {
        let body = format!(
            r#"{{"code":200,"msg":"","data":{{"accessToken":{{"token":"fresh","expirationTime":{}}},"refreshToken":{{"token":"next","expirationTime":{}}}}}}}"#,
            epoch(at + LIFE),
            epoch(at + DAY * 30),
        );
        dated(json(body), at)
    };
    endpoint.answers(move || grant(right + seconds(1)));
    assert!(session.token().await.is_ok());
    assert_eq!(session.status().condition, Condition::Fresh);
    // NTP
    world.clock.suspend(YEAR);
    let clock = world.clock.clone();
    endpoint.answers(move || grant(clock.wall()));
    let _ = session.token().await;
    for _ in 0..10 {
        world.clock.advance(seconds(60));
        let _ = session.token().await;
    }
    let token = session.token().await.map(drop).map_err(|error| error.kind());
    assert_eq!((token, endpoint.calls()), (Ok(()), 2));
}

/// One wrong `Date` (a balancer a year ahead) on a grant without an access end: relative access life, absolute refresh end.
#[tokio::test]
async fn a_wrong_date_on_a_grant_that_is_read_by_it_does_not_end_the_session() {
    let (world, endpoint) = (World::new(), Endpoint::default());
    let session = endpoint.session(&world, Quectel::europe(), no_jitter());
    session.set(TestProvider::token(7, LIFE, world.clock.wall())).unwrap();
    world.clock.advance(LIFE);
    let clock = world.clock.clone();
    let grant = move |ahead: Duration| {
        let at = clock.wall();
        let body = format!(
            r#"{{"code":200,"msg":"","data":{{"accessToken":{{"token":"fresh"}},"refreshToken":{{"token":"next","expirationTime":{}}}}}}}"#,
            epoch(at + DAY * 30),
        );
        dated(json(body), at + ahead)
    };
    let wrong = grant.clone();
    endpoint.answers(move || wrong(YEAR));
    assert!(session.token().await.is_ok());
    endpoint.answers(move || grant(Duration::ZERO));
    for _ in 0..10 {
        world.clock.advance(HOUR);
        let _ = session.token().await;
        session.settled().await;
    }
    let token = session.token().await.map(drop).map_err(|error| error.kind());
    assert_eq!(token, Ok(()), "{}", endpoint.calls());
}

/// A `refresh_expires_at` that was computed by a wrong `Date` is not carried over to the next set.
#[tokio::test]
async fn an_end_of_the_refresh_token_that_has_passed_is_not_carried_over() {
    let (world, endpoint) = (World::new(), Endpoint::default());
    let session = endpoint.session(&world, Kanfang::new(), no_jitter());
    session.set(TestProvider::token(7, LIFE, world.clock.wall())).unwrap();
    world.clock.advance(LIFE);
    let wrong = world.clock.wall() - YEAR;
    endpoint.answers(move || {
        dated(
            json(r#"{"state":200,"payload":{"token":"a","tokenExpireIn":3600,"refreshToken":"b","refreshTokenExpireIn":2592000}}"#),
            wrong,
        )
    });
    assert!(session.token().await.is_ok());
    world.clock.advance(HOUR);
    let clock = world.clock.clone();
    endpoint
        .answers(move || dated(json(r#"{"state":200,"payload":{"token":"c","tokenExpireIn":3600}}"#), clock.wall()));
    assert!(session.token().await.is_ok());
    world.clock.advance(HOUR);
    assert_eq!(session.token().await.map(drop).map_err(|error| error.kind()), Ok(()));
}

/// By the `Date` the answer cannot be read, and by the clock as it was the set has ended.
#[tokio::test]
async fn a_set_that_has_ended_is_kept_where_its_date_makes_it_unreadable() {
    let (world, endpoint) = (World::new(), Endpoint::default());
    let session = endpoint.session(&world, Kanfang::new(), no_jitter());
    session.set(TestProvider::token(7, LIFE, world.clock.wall())).unwrap();
    world.clock.advance(LIFE);
    endpoint.answers(|| {
        dated(
            json(r#"{"state":200,"payload":{"token":"a","tokenExpireIn":3600,"refreshToken":"b"}}"#),
            UNIX_EPOCH + Duration::from_secs(253_402_300_799),
        )
    });
    let shut = endpoint.gate.clone().write_owned().await;
    let mut token = Box::pin(session.token());
    assert!(poll_once(&mut token).is_pending());
    let_the_flight_run().await;
    // Asked before, answered after a sleep: without the date it ended long ago.
    world.clock.suspend(HOUR * 3);
    drop(shut);
    let first = token.await.map(drop).map_err(|error| error.kind());
    endpoint.answers(|| json(r#"{"state":200,"payload":{"token":"c","tokenExpireIn":3600,"refreshToken":"d"}}"#));
    world.clock.advance(seconds(60));
    let _ = session.token().await;
    assert_eq!(first, Err(ErrorKind::Malformed));
    let seen = endpoint.seen.lock().unwrap().clone();
    assert_ne!(seen[0], seen[1], "the spent refresh token again");
}

/// An API that renews by the access token.
#[tokio::test]
async fn a_set_that_has_ended_is_kept_where_its_access_token_renews_it() {
    let (world, endpoint) = (World::new(), Endpoint::default());
    let session = endpoint.session(&world, Kanfang::new().refresh_with(RefreshWith::AccessToken), no_jitter());
    let now = world.clock.wall();
    session.set(TokenSet::new("old").with_issued_at(now).with_expiry(Expiry::At(now + LIFE))).unwrap();
    world.clock.advance(seconds(900));
    endpoint.answers(|| json(r#"{"state":200,"payload":{"token":"new","tokenExpireIn":3600}}"#));
    let shut = endpoint.gate.clone().write_owned().await;
    let _ = session.token().await;
    let_the_flight_run().await;
    world.clock.suspend(HOUR * 3);
    drop(shut);
    session.settled().await;
    world.clock.advance(seconds(60));
    let _ = session.token().await;
    let seen = endpoint.seen.lock().unwrap().clone();
    assert_eq!((seen.len(), seen.first() == seen.get(1)), (2, false), "{seen:?}");
}

/// The network, or a machine that sleeps, never moves the clock.
#[tokio::test]
async fn a_machine_that_sleeps_during_a_flight_does_not_move_a_corrected_clock() {
    let world = World::new();
    let right = world.clock.clone();
    let behind = HOUR * 3;
    world.clock.step_back(behind);
    let session = session_with(&world, TestProvider::without_login(), no_jitter());
    session.set(TestProvider::token(7, seconds(1), world.clock.wall())).unwrap();
    world.clock.advance(seconds(1));
    let clock = right.clone();
    world.script_idp(move |_| Some(dated(reply(StatusCode::OK, "access-8 refresh-8 1000"), clock.wall() + behind)));
    assert!(session.token().await.is_ok());
    assert_eq!(session.status().expires_at, Some(right.wall() + behind + LIFE));
    world.clock.advance(seconds(900));
    world.hold_idp();
    let _ = session.token().await;
    let_the_flight_run().await;
    // Asked and granted at once; the answer is 20 minutes (or: the machine's sleep) on its way.
    world.clock.suspend(HOUR * 2);
    world.release_idp();
    session.settled().await;
    assert_eq!(session.status().condition, Condition::Failing, "it ended long ago");
}

/// The same without a sleep: 25 s.
#[tokio::test]
async fn a_slow_answer_gives_a_token_no_longer_life_by_a_corrected_clock() {
    let world = World::new();
    world.clock.step_back(HOUR);
    let session = session_with(&world, TestProvider::without_login(), no_jitter());
    session.set(TestProvider::token(7, seconds(1), world.clock.wall())).unwrap();
    world.clock.advance(seconds(1));
    let clock = world.clock.clone();
    world.script_idp(move |_| Some(dated(reply(StatusCode::OK, "access-8 refresh-8 60"), clock.wall() + HOUR)));
    assert!(session.token().await.is_ok());
    world.clock.advance(seconds(50));
    let sent = world.clock.wall() + HOUR;
    world.hold_idp();
    let _ = session.token().await;
    let_the_flight_run().await;
    world.clock.advance(seconds(25));
    world.release_idp();
    session.settled().await;
    world.clock.advance(seconds(36));
    // By the true time: sent + 61 s.
    assert_eq!(world.clock.wall() + HOUR, sent + seconds(61));
    assert_eq!(session.status().condition, Condition::Expired, "{:?}", session.status());
}

/// However short the backoff is.
#[tokio::test]
async fn that_somebody_must_sign_in_is_rechecked_each_half_minute_and_no_sooner() {
    let world = World::new();
    let policy = no_jitter().backoff(Duration::from_millis(1), Duration::from_millis(10)).unwrap();
    let session = session_with(&world, TestProvider::without_login(), policy);
    let now = world.clock.wall();
    session.set(TokenSet::new("access").with_issued_at(now).with_expiry(Expiry::At(now + LIFE))).unwrap();
    world.clock.advance(seconds(900));
    let mut events = session.subscribe();
    for _ in 0..50 {
        let _ = session.token().await;
        session.settled().await;
        world.clock.advance(Duration::from_millis(20));
    }
    let mut failures = 0;
    while let std::task::Poll::Ready(Some(Event::RefreshFailed { .. })) = poll_once(&mut Box::pin(events.recv())) {
        failures += 1;
    }
    assert!(failures <= 1, "{failures} permanent failures told in one second");
}

/// A flight that makes no call is not counted.
#[tokio::test]
async fn the_guard_does_not_hide_that_somebody_must_sign_in() {
    let world = World::new();
    let policy = no_jitter().backoff_without_token(seconds(2)).unwrap();
    let session = session_with(&world, TestProvider::without_login(), policy);
    let mut kinds = Vec::new();
    for _ in 0..10 {
        kinds.push(session.token().await.map(drop).map_err(|error| error.kind()).unwrap_err());
        world.clock.advance(seconds(2));
    }
    assert!(kinds.iter().all(|kind| *kind == ErrorKind::SignInRequired), "{kinds:?}");
}
/// The same with a stricter guard.
#[tokio::test]
async fn a_strict_guard_does_not_hide_that_somebody_must_sign_in() {
    let world = World::new();
    let policy = no_jitter().guard(1, HOUR).unwrap();
    let session = session_with(&world, TestProvider::without_login(), policy);
    let mut kinds = Vec::new();
    for _ in 0..4 {
        kinds.push(session.token().await.map(drop).map_err(|error| error.kind()).unwrap_err());
        world.clock.advance(seconds(30));
    }
    assert!(kinds.iter().all(|kind| *kind == ErrorKind::SignInRequired), "{kinds:?}");
}

#[test]
fn margins_with_a_soft_window_for_some_tokens_are_taken() {
    // A token of one hour: hard = half of it, 30 min; soft = 36 min.
    assert!(RefreshPolicy::new().hard_margin(HOUR).and_then(|policy| policy.soft_margin_share(HOUR, 60)).is_ok());
}

static PARSED: AtomicUsize = AtomicUsize::new(0);

/// An answer that says no is not read again by another clock.
#[tokio::test]
async fn a_refusal_is_read_once() {
    struct Counting(TestProvider);
    impl Provider for Counting {
        fn name(&self) -> &'static str {
            "counting"
        }
        fn next_grant(
            &self,
            token: Option<&TokenSet>,
            why: tower_auth_refresh::provider::Reason,
            now: SystemTime,
        ) -> Option<tower_auth_refresh::provider::GrantKind> {
            self.0.next_grant(token, why, now)
        }
        fn request(
            &self,
            grant: tower_auth_refresh::provider::Grant<'_>,
            cx: &tower_auth_refresh::provider::Context,
        ) -> Result<Request<Bytes>, tower_auth_refresh::provider::ProviderError> {
            self.0.request(grant, cx)
        }
        fn parse(
            &self,
            grant: tower_auth_refresh::provider::Grant<'_>,
            answer: Response<Bytes>,
            cx: &tower_auth_refresh::provider::Context,
        ) -> Result<TokenSet, tower_auth_refresh::provider::ProviderError> {
            PARSED.fetch_add(1, Ordering::SeqCst);
            self.0.parse(grant, answer, cx)
        }
        fn credential(
            &self,
            token: &TokenSet,
        ) -> Result<tower_auth_refresh::credential::Credential, tower_auth_refresh::provider::ProviderError> {
            self.0.credential(token)
        }
        fn origin(&self) -> Option<&http::Uri> {
            self.0.origin()
        }
    }
    let world = World::new();
    let session = Session::builder(Counting(TestProvider::new()))
        .transport(world.idp())
        .clock(world.clock.clone())
        .build()
        .unwrap();
    let clock = world.clock.clone();
    world.script_idp(move |_| Some(dated(reply(StatusCode::UNAUTHORIZED, ""), clock.wall())));
    assert!(session.token().await.is_err());
    assert_eq!(PARSED.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_refresh_token_in_doubt_that_an_ended_set_brought_is_sent_once_more() {
    // Ended, then lost, then sent once more, refused: permanent, three refreshes, no fourth.
    let world = World::new();
    let session = signed_in(&world, TestProvider::without_login(), no_jitter());
    world.clock.advance(LIFE);
    world.hold_idp();
    let mut token = Box::pin(session.token());
    assert!(poll_once(&mut token).is_pending());
    let_the_flight_run().await;
    world.clock.suspend(HOUR * 2);
    world.release_idp();
    assert!(token.await.is_err());
    world.script_idp(|_| Some(reply(StatusCode::BAD_GATEWAY, "")));
    world.clock.advance(seconds(60));
    assert!(session.token().await.is_err());
    world.unscript();
    world.clock.advance(seconds(60));
    assert!(session.token().await.is_ok());
    assert_eq!(world.counts().double_spent, 0);
}

/// A pair that cannot be exchanged past its end, and two hours.
#[tokio::test]
async fn a_pair_that_seems_to_have_ended_by_an_old_correction_is_exchanged() {
    use tower_auth_refresh::providers::FashionWorld;
    let (world, endpoint) = (World::new(), Endpoint::default());
    let right = world.clock.wall();
    world.clock.step_back(HOUR * 2);
    let session = endpoint.session(&world, FashionWorld::new(http::Uri::from_static("https://api.test")), no_jitter());
    let now = world.clock.wall();
    session
        .set(TokenSet::new("k").with_signing_key("s").with_issued_at(now).with_expiry(Expiry::At(now + LIFE)))
        .unwrap();
    world.clock.advance(seconds(900));
    let grant = move |at: SystemTime| {
        dated(json(format!(r#"{{"apiKey":"a","secretKey":"b","expireIn":{}}}"#, epoch(at + HOUR) * 1000)), at)
    };
    endpoint.answers(move || grant(right + seconds(900)));
    let _ = session.token().await;
    session.settled().await;
    assert_eq!((session.status().condition, endpoint.calls()), (Condition::Fresh, 1));
    world.clock.advance(seconds(60));
    world.clock.suspend(HOUR * 2);
    let clock = world.clock.clone();
    endpoint.answers(move || grant(clock.wall()));
    let token = session.token().await.map(drop).map_err(|error| error.kind());
    assert_eq!((token, endpoint.calls()), (Ok(()), 2));
}

/// The first login of a machine that is behind: the answer takes 25 s, its `Date` is from its beginning.
#[tokio::test]
async fn a_slow_first_answer_gives_a_token_no_longer_life_where_the_clock_is_behind() {
    let world = World::new();
    world.clock.step_back(HOUR);
    let session = session_with(&world, TestProvider::new(), no_jitter());
    let clock = world.clock.clone();
    world.script_idp(move |_| Some(dated(reply(StatusCode::OK, "access-8 refresh-8 60"), clock.wall() + HOUR)));
    world.hold_idp();
    let mut token = Box::pin(session.token());
    assert!(poll_once(&mut token).is_pending());
    let_the_flight_run().await;
    world.clock.advance(seconds(25));
    world.release_idp();
    assert!(token.await.is_ok());
    world.clock.advance(seconds(36));
    assert_eq!(session.status().condition, Condition::Expired, "61 s after it was granted for 60 s");
}

/// A cool-down, and a `sign_in` whose answer complains of the clock: the cool-down's wall end is reached by the new skew.
#[tokio::test]
async fn an_ended_set_is_gone_on_from_when_the_login_is_refused() {
    let world = World::new();
    let session = signed_in(&world, TestProvider::new(), no_jitter());
    world.clock.advance(LIFE);
    world.hold_idp();
    let mut token = Box::pin(session.token());
    assert!(poll_once(&mut token).is_pending());
    let_the_flight_run().await;
    world.clock.suspend(HOUR * 2);
    world.release_idp();
    assert!(token.await.is_err());
    // In doubt, then the login is refused, then the ended one's refresh token once more.
    world.script_idp(|_| Some(reply(StatusCode::BAD_GATEWAY, "")));
    world.clock.advance(seconds(60));
    assert!(session.token().await.is_err());
    world.script_idp(|_| Some(reply(StatusCode::UNAUTHORIZED, "")));
    world.clock.advance(seconds(60));
    assert!(session.token().await.is_err());
    world.unscript();
    world.clock.advance(seconds(60));
    assert!(session.token().await.is_ok());
    assert_eq!((world.counts().double_spent, world.counts().logins, world.counts().refreshes), (0, 1, 3));
}
