//! A wrong wall clock where the token endpoint grants absolute ends: the correction by `Date` (C14).

use std::{
    sync::{Arc, Mutex},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use http::{Request, Response, StatusCode, Uri, header, request, response};
use tower::Layer;
use tower_auth_refresh::{
    AuthRefresh, AuthRefreshLayer, Provider, Session,
    credential::Credential,
    error::ErrorKind,
    provider::{Context, Grant, GrantKind, ProviderError, Reason, Verdict},
    session::{Condition, Event},
    token::{Expiry, TokenSet},
};

use crate::{
    scene::{Reply, reply, seconds},
    support::{Place, TestClock, TestProvider, World, get, send},
};

const HOUR: Duration = Duration::from_secs(3600);
const LIFE: u64 = 1000;

/// Reads the third word of an answer as the end of the token, in seconds of the epoch, and keeps the times it is told.
#[derive(Clone)]
struct Absolute {
    plain: TestProvider,
    told: Arc<Mutex<Vec<SystemTime>>>,
}

impl Absolute {
    fn tell(&self, now: SystemTime) {
        self.told.lock().unwrap().push(now);
    }
}

impl Provider for Absolute {
    fn name(&self) -> &'static str {
        "absolute"
    }

    fn next_grant(&self, token: Option<&TokenSet>, why: Reason, now: SystemTime) -> Option<GrantKind> {
        self.plain.next_grant(token, why, now)
    }

    fn request(&self, grant: Grant<'_>, cx: &Context) -> Result<Request<Bytes>, ProviderError> {
        self.tell(cx.now);
        self.plain.request(grant, cx)
    }

    fn parse(&self, grant: Grant<'_>, answer: Response<Bytes>, cx: &Context) -> Result<TokenSet, ProviderError> {
        self.tell(cx.now);
        if answer.status() == StatusCode::CONFLICT {
            return Err(ProviderError::fault("absolute", "the clock is wrong"));
        }
        let end = answer.body().split(|&byte| byte == b' ').nth(2).map(<[u8]>::to_vec);
        let token = self.plain.parse(grant, answer, cx)?;
        let end = end.and_then(|end| String::from_utf8(end).ok()?.parse().ok());
        let end = end.ok_or_else(|| ProviderError::malformed("absolute", "end", "is missing"))?;
        Ok(token.with_expiry(Expiry::At(UNIX_EPOCH + Duration::from_secs(end))))
    }

    fn credential(&self, token: &TokenSet) -> Result<Credential, ProviderError> {
        self.plain.credential(token)
    }

    fn sign(&self, token: &TokenSet, request: &mut request::Parts, cx: &Context) -> Result<(), ProviderError> {
        self.tell(cx.now);
        self.plain.sign(token, request, cx)
    }

    fn judge(&self, answer: &response::Parts) -> Verdict {
        self.plain.judge(answer)
    }

    fn origin(&self) -> Option<&Uri> {
        self.plain.origin()
    }
}

/// The servers' clock is right, and this machine's may not be.
struct Scene {
    world: World,
    servers: TestClock,
    session: Session<Absolute>,
    client: AuthRefresh<crate::support::Api, Absolute>,
    told: Arc<Mutex<Vec<SystemTime>>>,
}

impl Scene {
    fn new(place: Place) -> Self {
        let (world, servers) = (World::new(), TestClock::new());
        let told = Arc::<Mutex<Vec<_>>>::default();
        let provider = Absolute { plain: TestProvider::placed(place), told: Arc::clone(&told) };
        let session =
            Session::builder(provider).transport(world.idp()).clock(world.clock.clone()).build().expect("a session");
        let client = AuthRefreshLayer::new(session.clone()).layer(world.api());
        let scene = Self { world, servers, session, client, told };
        scene.grants(|answer, _| answer);
        scene.world.script_api(|_| Some(reply(StatusCode::OK, "welcome")));
        scene
    }

    /// From now on the token endpoint grants token sets that live for [`LIFE`], in answers with a `Date`.
    fn grants(
        &self,
        dress: impl Fn(Response<crate::support::Body>, SystemTime) -> Response<crate::support::Body> + Send + Sync + 'static,
    ) {
        let servers = self.servers.clone();
        self.world.script_idp(move |_| {
            let now = servers.wall();
            let end = now.duration_since(UNIX_EPOCH).unwrap().as_secs() + LIFE;
            Some(reply(StatusCode::OK, format!("access refresh {end}")).map(|answer| dress(dated(answer, now), now)))
        });
    }

    /// From now on the token endpoint answers this, with its `Date`.
    fn answers(&self, answer: impl Fn() -> Reply + Send + Sync + 'static) {
        let servers = self.servers.clone();
        self.world.script_idp(move |_| Some(answer().map(|answer| dated(answer, servers.wall()))));
    }

    fn advance(&self, passed: Duration) {
        self.world.clock.advance(passed);
        self.servers.advance(passed);
    }

    async fn get(&self) -> Result<StatusCode, ErrorKind> {
        send(&self.client, get("/")).await.map(|answer| answer.status()).map_err(|error| error.kind())
    }

    fn condition(&self) -> Condition {
        self.session.status().condition
    }

    fn calls(&self) -> usize {
        self.world.counts().token_calls()
    }
}

fn dated(mut answer: Response<crate::support::Body>, now: SystemTime) -> Response<crate::support::Body> {
    answer.headers_mut().insert(header::DATE, httpdate(now));
    answer
}

fn httpdate(at: SystemTime) -> header::HeaderValue {
    httpdate::fmt_http_date(at).parse().expect("a header")
}

const OK: Result<StatusCode, ErrorKind> = Ok(StatusCode::OK);

#[tokio::test]
async fn a_clock_that_is_an_hour_ahead_does_not_make_a_granted_token_look_expired() {
    let scene = Scene::new(Place::Bearer);
    scene.world.clock.suspend(HOUR);
    assert_eq!((scene.get().await, scene.condition()), (OK, Condition::Fresh));
    assert_eq!(scene.calls(), 1);

    scene.advance(seconds(LIFE));
    assert_eq!(scene.condition(), Condition::Expired);
    assert_eq!((scene.get().await, scene.calls()), (OK, 2));
}

#[tokio::test]
async fn a_clock_that_is_an_hour_behind_does_not_make_a_token_outlive_its_end() {
    let scene = Scene::new(Place::Bearer);
    scene.world.clock.step_back(HOUR);
    assert_eq!((scene.get().await, scene.condition()), (OK, Condition::Fresh));

    // The machine sleeps, so that only the wall clock tells.
    scene.world.clock.suspend(seconds(LIFE));
    assert_eq!(scene.condition(), Condition::Expired);
}

#[tokio::test]
async fn a_cached_answer_tells_no_time() {
    let scene = Scene::new(Place::Bearer);
    scene.grants(|mut answer, _| {
        answer.headers_mut().insert(header::AGE, header::HeaderValue::from_static("0"));
        answer
    });
    scene.world.clock.suspend(HOUR);
    assert_eq!(scene.get().await, Err(ErrorKind::Malformed));
}

#[tokio::test]
async fn an_answer_that_is_on_its_way_for_long_does_not_move_the_clock() {
    let scene = Scene::new(Place::Bearer);
    scene.world.hold_idp();
    let mut request = Box::pin(scene.get());
    assert!(crate::scene::poll_once(&mut request).is_pending());
    crate::scene::let_the_flight_run().await;
    // It was granted, then the machine slept for an hour.
    scene.advance(seconds(10));
    scene.world.clock.suspend(HOUR);
    scene.servers.advance(HOUR);
    scene.world.release_idp();
    // The token has ended meanwhile, and that is what it is: no skew explains it away.
    assert_eq!(request.await, Err(ErrorKind::Malformed));
}

/// Sends a request, and does something while the token answer is on its way.
async fn get_while(scene: &Scene, something: impl FnOnce(&Scene)) -> Result<StatusCode, ErrorKind> {
    scene.world.hold_idp();
    let mut request = Box::pin(scene.get());
    assert!(crate::scene::poll_once(&mut request).is_pending());
    crate::scene::let_the_flight_run().await;
    something(scene);
    scene.world.release_idp();
    request.await
}

#[tokio::test]
async fn a_clock_that_is_put_right_while_the_answer_is_on_its_way_is_right_afterwards() {
    let scene = Scene::new(Place::Bearer);
    scene.world.clock.suspend(HOUR);
    let put_right = |scene: &Scene| {
        scene.advance(seconds(5));
        scene.world.clock.step_back(HOUR);
    };
    assert_eq!(get_while(&scene, put_right).await, OK);
    assert_eq!(
        scene.told.lock().unwrap()[1],
        scene.servers.wall() - seconds(5),
        "when it was asked, by the right clock"
    );

    scene.advance(seconds(LIFE - 5 - 40));
    assert_ne!(scene.condition(), Condition::Expired);
    scene.world.clock.suspend(seconds(10));
    assert_eq!(scene.condition(), Condition::Expired);
}

#[tokio::test]
async fn a_lifetime_does_not_grow_when_the_clock_is_set_back_while_the_answer_is_on_its_way() {
    let world = World::new();
    let session = crate::scene::session_with(&world, TestProvider::new(), crate::scene::no_jitter());
    let start = world.clock.wall();
    world.hold_idp();
    let mut token = Box::pin(session.token());
    assert!(crate::scene::poll_once(&mut token).is_pending());
    crate::scene::let_the_flight_run().await;
    world.clock.advance(seconds(10));
    world.clock.step_back(HOUR);
    world.release_idp();
    assert!(token.await.is_ok());

    assert_eq!(session.status().expires_at, Some(start - HOUR + seconds(LIFE)));
    world.clock.advance(seconds(LIFE - 10));
    assert_eq!(session.status().condition, Condition::Expired);
}

#[tokio::test]
async fn providers_are_told_the_corrected_time_when_they_read_ask_and_sign() {
    let scene = Scene::new(Place::Signed);
    scene.world.clock.suspend(HOUR);
    assert_eq!(scene.get().await, OK);
    let told: Vec<_> = scene.told.lock().unwrap().drain(..).collect();
    let right = scene.servers.wall();
    // The first request cannot know better; a second of the date's granularity remains.
    assert_eq!(told.len(), 3, "request, parse, sign");
    assert_eq!(told[0], right + HOUR);
    assert_eq!(told[1..], [right + seconds(1), right + seconds(1)]);

    scene.advance(seconds(LIFE));
    assert_eq!(scene.get().await, OK);
    assert_eq!(scene.told.lock().unwrap()[0], scene.servers.wall() + seconds(1));
}

#[tokio::test]
async fn a_refusal_for_a_wrong_clock_corrects_the_clock_for_the_next_try() {
    let scene = Scene::new(Place::Bearer);
    scene.world.clock.step_back(HOUR);
    scene.answers(|| reply(StatusCode::CONFLICT, "{}"));
    assert_eq!(scene.get().await, Err(ErrorKind::Fault));
    scene.told.lock().unwrap().clear();

    scene.advance(seconds(30));
    scene.grants(|answer, _| answer);
    assert_eq!(scene.get().await, OK);
    assert_eq!(scene.told.lock().unwrap()[0], scene.servers.wall());
}

#[tokio::test]
async fn pages_that_are_not_the_providers_do_not_move_the_clock() {
    for page in [|| reply(StatusCode::OK, ""), || reply(StatusCode::BAD_GATEWAY, "<html>")] {
        let scene = Scene::new(Place::Bearer);
        assert_eq!(scene.get().await, OK);
        scene.advance(seconds(LIFE - 100));
        // A portal in between has a clock of its own, ten years ahead.
        scene.servers.advance(HOUR * 24 * 3650);
        scene.answers(page);
        assert_eq!(scene.get().await, OK, "in the soft window the old token serves");
        scene.session.settled().await;
        assert_eq!(scene.calls(), 2);
        assert_eq!(scene.get().await, OK, "and goes on to serve");
    }
}

#[tokio::test]
async fn a_clock_that_is_put_right_after_it_was_corrected_costs_one_refresh_and_no_more() {
    let scene = Scene::new(Place::Bearer);
    scene.world.clock.step_back(HOUR);
    assert_eq!(scene.get().await, OK);

    scene.world.clock.suspend(HOUR);
    for _ in 0..5 {
        assert_eq!(scene.get().await, OK);
    }
    assert_eq!((scene.calls(), scene.condition()), (2, Condition::Fresh));
}

#[tokio::test]
async fn the_next_try_is_named_by_this_machines_clock() {
    let scene = Scene::new(Place::Bearer);
    scene.world.clock.step_back(HOUR);
    assert_eq!(scene.get().await, OK);
    scene.advance(seconds(LIFE));
    scene.answers(|| {
        reply(StatusCode::TOO_MANY_REQUESTS, "").map(|mut answer| {
            answer.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from_static("60"));
            answer
        })
    });
    let mut events = scene.session.subscribe();
    let error = send(&scene.client, get("/")).await.expect_err("no token");

    let due = scene.world.clock.wall() + seconds(60);
    assert_eq!(error.retry_at(), Some(due));
    let status = scene.session.status();
    assert_eq!((status.retry_at, status.failing_since), (Some(due), Some(scene.world.clock.wall())));
    let Some(Event::RefreshFailed { failure, .. }) = events.recv().await else { panic!("a failure") };
    assert_eq!(failure.retry_at(), Some(due));
}

#[tokio::test]
async fn a_retry_after_as_a_date_counts_by_the_servers_clock() {
    let scene = Scene::new(Place::Bearer);
    scene.world.clock.suspend(HOUR);
    let servers = scene.servers.clone();
    scene.answers(move || {
        reply(StatusCode::TOO_MANY_REQUESTS, "").map(|mut answer| {
            answer.headers_mut().insert(header::RETRY_AFTER, httpdate(servers.wall() + seconds(61)));
            answer
        })
    });
    assert_eq!(scene.get().await, Err(ErrorKind::Unavailable));
    assert_eq!(scene.session.status().retry_at, Some(scene.world.clock.wall() + seconds(61)));
}

#[tokio::test]
async fn each_session_keeps_its_own_correction() {
    let (wrong, right) = (Scene::new(Place::Bearer), Scene::new(Place::Bearer));
    wrong.world.clock.suspend(HOUR);
    assert_eq!((wrong.get().await, right.get().await), (OK, OK));
    for scene in [&wrong, &right] {
        let end = scene.session.status().expires_at;
        assert_eq!(end, Some(scene.servers.wall() + seconds(LIFE)), "what is kept is the server's time");
        assert_eq!(scene.condition(), Condition::Fresh);
    }
}
