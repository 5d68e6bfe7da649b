//! Bad nights: what a machine that sleeps, a clock that is wrong for a moment, a gateway's answer or a server that repeats
//! itself must not do to a session.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use http::{Request, Response, StatusCode, Uri, header, response};
use tower_auth_refresh::{
    Provider, Session,
    credential::Credential,
    provider::{Context, Grant, GrantKind, ProviderError, Reason, Verdict},
    providers::{Kanfang, Quectel},
    session::{Condition, RefreshPolicy},
    token::{Expiry, TokenSet},
};

use crate::{
    scene::{
        LIFE, Reply, full_jitter, idp_answers, let_the_flight_run, no_jitter, reply, seconds, session_with, signed_in,
    },
    support::{Body, TestProvider, World, client, get, send},
};

const HOUR: Duration = Duration::from_secs(3600);
const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

fn date(at: SystemTime) -> header::HeaderValue {
    httpdate::fmt_http_date(at).parse().expect("a header")
}

fn dated(answer: Reply, at: SystemTime) -> Reply {
    answer.map(|mut answer: Response<Body>| {
        answer.headers_mut().insert(header::DATE, date(at));
        answer
    })
}

fn epoch(at: SystemTime) -> u64 {
    at.duration_since(UNIX_EPOCH).unwrap().as_secs()
}

// ===== the granted set is thrown away =====

/// A laptop sleeps while the refresh is in the air. The answer holds a rotated refresh token; because the *access* token
/// beside it has ended meanwhile, the whole set is discarded (driver.rs `accept`), the old refresh token is presented
/// again, the server sees reuse, and the session is over.
#[tokio::test]
async fn a_rotated_refresh_token_survives_a_machine_that_sleeps_during_the_flight() {
    let world = World::new();
    let session = signed_in(&world, TestProvider::without_login(), no_jitter());
    let client = client(&world, &session);
    world.clock.advance(seconds(800));
    world.hold_idp();
    assert!(send(&client, get("/")).await.is_ok());
    let_the_flight_run().await;
    world.clock.suspend(HOUR * 2);
    world.release_idp();
    session.settled().await;

    let answer = send(&client, get("/")).await.map(|answer| answer.status()).map_err(|error| error.kind());
    assert_eq!((answer, world.counts().double_spent), (Ok(StatusCode::OK), 0));
}

/// The same loss without any sleep: NTP puts a clock right that was an hour behind, while the first refresh is in the air.
/// Two seconds have passed, the answer's own `Date` says so as well, and the lifetime is relative: the token is good for
/// 998 s. It is taken for expired, because its life is counted from the wrong time of asking.
#[tokio::test]
async fn a_good_token_is_not_discarded_when_ntp_puts_the_clock_forward_during_the_flight() {
    let world = World::new();
    let right = world.clock.wall();
    world.clock.step_back(HOUR);
    let session = session_with(&world, TestProvider::without_login(), no_jitter());
    session.set(TestProvider::token(7, seconds(1), world.clock.wall())).unwrap();
    world.script_idp(move |_| Some(dated(reply(StatusCode::OK, "access-8 refresh-8 1000"), right + seconds(1))));
    world.clock.advance(seconds(1));
    world.hold_idp();
    let token = crate::support::by_hand::ByHand::started(session.token());
    let_the_flight_run().await;
    world.clock.advance(seconds(2));
    world.clock.suspend(HOUR);
    world.release_idp();
    assert_eq!(token.rest().await.map(drop).map_err(|error| error.kind()), Ok(()));
}

static JITTER_PANICS: AtomicBool = AtomicBool::new(false);

/// `RefreshPolicy::jitter` is the application's code and is called after the grant (session.rs `issue`): if it panics
/// then, the rotated token set is lost. So does a `Clock` that panics in `fly`, which reads it also after a success,
/// where nobody needs the time.
#[tokio::test]
async fn a_panic_in_the_jitter_does_not_lose_a_granted_token_set() {
    let world = World::new();
    let policy = RefreshPolicy::new().jitter(|| {
        assert!(!JITTER_PANICS.load(Ordering::SeqCst), "panics on demand");
        0.0
    });
    let session = signed_in(&world, TestProvider::without_login(), policy);
    world.clock.advance(LIFE);
    JITTER_PANICS.store(true, Ordering::SeqCst);
    let _ = session.token().await;
    JITTER_PANICS.store(false, Ordering::SeqCst);
    let _ = session.token().await;
    assert_eq!(world.counts().double_spent, 0);
}

// ===== a clock that is wrong for a moment, for ever =====

type Script = Box<dyn Fn() -> Reply + Send>;

/// A token endpoint by hand.
#[derive(Clone, Default)]
struct Endpoint {
    calls: Arc<AtomicUsize>,
    script: Arc<Mutex<Option<Script>>>,
}

impl Endpoint {
    fn answers(&self, answer: impl Fn() -> Reply + Send + 'static) {
        *self.script.lock().unwrap() = Some(Box::new(answer));
    }

    fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    fn session<P: Provider>(&self, world: &World, provider: P, policy: RefreshPolicy) -> Session<P> {
        let endpoint = self.clone();
        let transport = tower::service_fn(move |_: Request<Body>| {
            endpoint.calls.fetch_add(1, Ordering::SeqCst);
            let answer = endpoint.script.lock().unwrap().as_ref().expect("a script")();
            async move { answer }
        });
        Session::builder(provider).transport(transport).clock(world.clock.clone()).policy(policy).build().unwrap()
    }
}

fn quectel_grant(end: SystemTime) -> Reply {
    let body = format!(
        r#"{{"code":200,"msg":"","data":{{"accessToken":{{"token":"fresh","expirationTime":{}}},"refreshToken":{{"token":"next","expirationTime":{}}}}}}}"#,
        epoch(end),
        epoch(end + HOUR * 24 * 30),
    );
    reply(StatusCode::OK, body).map(|mut answer| {
        answer.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
        answer
    })
}

fn quectel_token(now: SystemTime) -> TokenSet {
    TestProvider::token(7, LIFE, now).with_refresh_expires_at(now + HOUR * 24 * 30)
}

/// The wall clock is a year ahead for one moment and is put right again. In that moment the provider says that its refresh
/// token has ended; `Failed::sign_in_required` is remembered as permanent, although no server has refused anything. The
/// clock is right again, the refresh token is good, and nothing is ever asked: the session ends with its access token.
#[tokio::test]
async fn a_wall_clock_that_was_wrong_for_a_moment_does_not_end_the_session() {
    let (world, endpoint) = (World::new(), Endpoint::default());
    let session = endpoint.session(&world, Quectel::europe(), no_jitter());
    session.set(quectel_token(world.clock.wall())).unwrap();
    let end = world.clock.wall() + LIFE * 2;
    endpoint.answers(move || quectel_grant(end));

    world.clock.suspend(YEAR);
    assert!(session.token().await.is_err());
    world.clock.step_back(YEAR);
    world.clock.advance(LIFE);
    let token = session.token().await.map(drop).map_err(|error| error.kind());
    assert_eq!((token, endpoint.calls()), (Ok(()), 1));
}

/// One 429 from a gateway (HTML, and a clock of its own) moves the session's clock, because `Unavailable` counts as
/// readable. The token that is good for another 150 s is dead at once, against C15.
#[tokio::test]
async fn a_gateways_429_does_not_make_a_good_token_look_dead() {
    let (world, endpoint) = (World::new(), Endpoint::default());
    let session = endpoint.session(&world, Quectel::europe(), full_jitter());
    session.set(quectel_token(world.clock.wall())).unwrap();
    world.clock.advance(seconds(850));
    let wrong = world.clock.wall() + YEAR;
    endpoint.answers(move || dated(reply(StatusCode::TOO_MANY_REQUESTS, "<html>"), wrong));
    assert!(session.token().await.is_ok(), "in the soft window");
    session.settled().await;
    assert_eq!(session.token().await.map(drop).map_err(|error| error.kind()), Ok(()));
}

/// The same, and worse: by that date the refresh token has ended too, so the next flight ends without a call, for good.
/// No call, no `Date`: the correction is never corrected, and a session that could be refreshed is over.
#[tokio::test]
async fn a_gateways_429_does_not_end_the_session() {
    let (world, endpoint) = (World::new(), Endpoint::default());
    let session = endpoint.session(&world, Quectel::europe(), no_jitter());
    session.set(quectel_token(world.clock.wall())).unwrap();
    world.clock.advance(seconds(850));
    let wrong = world.clock.wall() + YEAR;
    endpoint.answers(move || dated(reply(StatusCode::TOO_MANY_REQUESTS, "<html>"), wrong));
    assert!(session.token().await.is_ok(), "in the soft window");
    session.settled().await;

    // The gateway is gone.
    let end = world.clock.wall() + LIFE * 2;
    let right = world.clock.wall();
    endpoint.answers(move || dated(quectel_grant(end), right));
    let _ = session.token().await;
    session.settled().await;
    world.clock.advance(seconds(60));
    let token = session.token().await.map(drop).map_err(|error| error.kind());
    assert_eq!((token, endpoint.calls()), (Ok(()), 2));
}

/// This machine's clock is right, the end in the answer is right, and only the `Date` that a balancer wrote is two hours
/// ahead: each grant is discarded as "already expired", and with it its rotated refresh token. Where the clock as it
/// was and the corrected one disagree about that, the `Date` is what cannot be trusted.
#[tokio::test]
async fn a_wrong_date_on_a_grant_does_not_discard_it() {
    let (world, endpoint) = (World::new(), Endpoint::default());
    let session = endpoint.session(&world, Quectel::europe(), no_jitter());
    session.set(quectel_token(world.clock.wall())).unwrap();
    world.clock.advance(LIFE);
    let (end, wrong) = (world.clock.wall() + LIFE, world.clock.wall() + HOUR * 2);
    endpoint.answers(move || dated(quectel_grant(end), wrong));
    assert_eq!(session.token().await.map(drop).map_err(|error| error.kind()), Ok(()));
}

/// `Date: Fri, 31 Dec 9999 23:59:59 GMT` on an answer with a relative lifetime: the corrected time plus an hour
/// overflows in the provider, and the rotated token set is discarded, each time.
#[tokio::test]
async fn a_date_at_the_end_of_time_does_not_discard_a_grant() {
    let (world, endpoint) = (World::new(), Endpoint::default());
    let session = endpoint.session(&world, Kanfang::new(), no_jitter());
    session.set(TestProvider::token(7, LIFE, world.clock.wall())).unwrap();
    world.clock.advance(LIFE);
    endpoint.answers(|| {
        let body = r#"{"state":200,"payload":{"token":"a","tokenExpireIn":3600,"refreshToken":"b"}}"#;
        let answer = reply(StatusCode::OK, body).map(|mut answer| {
            answer.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
            answer
        });
        dated(answer, UNIX_EPOCH + Duration::from_secs(253_402_300_799))
    });
    assert_eq!(session.token().await.map(drop).map_err(|error| error.kind()), Ok(()));
}

// ===== hammering =====

/// A server that hands out the same access token until it ends, as many do, and a provider that takes `issued_at` from
/// it (`iat`).
struct SameAgain {
    plain: TestProvider,
    issued: SystemTime,
}

impl Provider for SameAgain {
    fn name(&self) -> &'static str {
        "same again"
    }

    fn next_grant(&self, token: Option<&TokenSet>, why: Reason, now: SystemTime) -> Option<GrantKind> {
        self.plain.next_grant(token, why, now)
    }

    fn request(&self, grant: Grant<'_>, cx: &Context) -> Result<Request<Bytes>, ProviderError> {
        self.plain.request(grant, cx)
    }

    fn parse(&self, grant: Grant<'_>, answer: Response<Bytes>, cx: &Context) -> Result<TokenSet, ProviderError> {
        let token = self.plain.parse(grant, answer, cx)?;
        Ok(token.with_issued_at(self.issued).with_expiry(Expiry::At(self.issued + LIFE)))
    }

    fn credential(&self, token: &TokenSet) -> Result<Credential, ProviderError> {
        self.plain.credential(token)
    }

    fn judge(&self, answer: &response::Parts) -> Verdict {
        self.plain.judge(answer)
    }

    fn origin(&self) -> Option<&Uri> {
        self.plain.origin()
    }
}

fn same_again(world: &World) -> Session<SameAgain> {
    let provider = SameAgain { plain: TestProvider::new(), issued: world.clock.wall() };
    let builder = Session::builder(provider).transport(world.idp()).clock(world.clock.clone()).policy(no_jitter());
    let session = builder.build().unwrap();
    session.set(TestProvider::token(7, LIFE, world.clock.wall())).unwrap();
    world.grant(7);
    session
}

/// Each such token is born in its soft window and "has lived" for half of its life, so the guard counts no flight
/// (lifetime.rs `settled` counts from `issued_at` instead of from when the session got it): the keeper asks the token
/// endpoint as fast as it answers, without a pause, for minutes.
#[tokio::test(start_paused = true)]
async fn the_guard_bounds_a_keeper_whose_server_hands_out_the_same_token_again() {
    let world = World::new();
    let session = same_again(&world);
    world.clock.advance(seconds(850));
    #[allow(clippy::disallowed_methods, reason = "as an application spawns it")]
    let keeper = tokio::spawn(session.keep_fresh());
    for _ in 0..100 {
        let_the_flight_run().await;
    }
    keeper.abort();
    let calls = world.counts().token_calls();
    // The first replaces a token that has served for long, and is not counted.
    assert_eq!(calls, 6, "at one moment");
}

/// The same by requests: each starts a flight.
#[tokio::test]
async fn the_guard_bounds_requests_whose_server_hands_out_the_same_token_again() {
    let world = World::new();
    let session = same_again(&world);
    world.clock.advance(seconds(850));
    for _ in 0..50 {
        session.token().await.unwrap();
        session.settled().await;
    }
    let calls = world.counts().token_calls();
    // The first replaces a token that has served for long, and is not counted.
    assert_eq!(calls, 6, "at one moment");
}

// ===== cool-downs =====

/// `Retry-After: 3600`, and the laptop sleeps for eight hours. The cool-down runs on the monotonic clock alone
/// (state.rs `Remembered::until`): after waking every request fails for another hour, with a `retry_at` seven hours ago.
#[tokio::test]
async fn a_cool_down_ends_while_the_machine_sleeps() {
    let world = World::new();
    let session = signed_in(&world, TestProvider::new(), no_jitter());
    world.script_idp(|_| {
        Some(reply(StatusCode::SERVICE_UNAVAILABLE, "").map(|mut answer| {
            answer.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from_static("3600"));
            answer
        }))
    });
    world.clock.advance(LIFE);
    assert!(session.token().await.is_err());
    world.unscript();
    world.clock.suspend(HOUR * 8);
    let due = session.status().retry_at.is_none_or(|due| due <= world.clock.wall());
    let token = session.token().await.map(drop).map_err(|error| error.kind());
    assert_eq!((due, token), (true, Ok(())));
}

/// A 503 that says `Retry-After` as a date says by its own `Date` how long that is: whoever wrote it wrote both. The
/// `Date` of a 5xx is passed over, so with a local clock an hour behind ten minutes become the cap of an hour (and with
/// one that is ahead, one second).
#[tokio::test]
async fn a_retry_after_date_of_a_503_counts_from_its_own_date() {
    for (behind, ahead) in [(HOUR, Duration::ZERO), (Duration::ZERO, HOUR)] {
        let world = World::new();
        let right = world.clock.wall();
        world.clock.step_back(behind);
        world.clock.suspend(ahead);
        let session = session_with(&world, TestProvider::new(), no_jitter());
        world.script_idp(move |_| {
            Some(dated(reply(StatusCode::SERVICE_UNAVAILABLE, ""), right).map(|mut answer| {
                answer.headers_mut().insert(header::RETRY_AFTER, date(right + seconds(600)));
                answer
            }))
        });
        assert!(session.token().await.is_err());
        let wait = session.status().retry_at.unwrap().duration_since(world.clock.wall()).unwrap();
        assert!((seconds(599)..=seconds(601)).contains(&wait), "{wait:?}");
    }
}

// ===== the policy at its ends =====

/// "Doubling between them": with a small first backoff the longest is never reached, because the doubling ends after 16
/// strikes (failure.rs `1 << strikes.min(16)`): 65 ms instead of an hour here, and 65 µs from a nanosecond.
#[tokio::test]
async fn the_backoff_doubles_up_to_its_longest_however_small_it_begins() {
    let world = World::new();
    let policy =
        full_jitter().backoff(Duration::from_micros(1), HOUR).and_then(|policy| policy.backoff_without_token(HOUR));
    let policy = policy.unwrap().guard(10_000, seconds(1)).unwrap();
    let session = session_with(&world, TestProvider::new(), policy);
    idp_answers(&world, StatusCode::BAD_GATEWAY);
    for _ in 0..60 {
        assert!(session.token().await.is_err());
        world.clock.advance(HOUR);
    }
    let last = session.status().retry_at.unwrap().duration_since(world.clock.wall() - HOUR).unwrap();
    assert_eq!(last, HOUR);
}

// ===== a rejected token =====

/// `token()` gives out a token that is known to be rejected while its replacement is being fetched: it waited for a
/// flight that failed, and does not look whether another one runs for the same rejected token by now (session.rs, the
/// `Err` arm; requests do look, by `is_too_late`).
#[tokio::test]
async fn token_does_not_hand_out_a_rejected_token_while_its_replacement_is_fetched() {
    let world = World::new();
    let session = signed_in(&world, TestProvider::new(), no_jitter());
    let client = client(&world, &session);
    world.revoke_access();
    idp_answers(&world, StatusCode::SERVICE_UNAVAILABLE);
    world.hold_idp();
    let mut first = crate::support::by_hand::ByHand::started(send(&client, get("/")));
    let_the_flight_run().await;
    assert!(first.is_pending(), "rejected, and the flight runs");
    let mut token = crate::support::by_hand::ByHand::started(session.token());
    world.release_idp();
    session.settled().await;
    world.hold_idp();
    let mut second = crate::support::by_hand::ByHand::started(send(&client, get("/")));
    let_the_flight_run().await;
    assert!(second.is_pending(), "rejected again, and another flight runs");
    assert_eq!(session.status().condition, Condition::Refreshing);
    assert!(token.is_pending(), "handed out");
}
