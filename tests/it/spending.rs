//! Refresh tokens that may have been spent: C51, in memory.

use std::time::Duration;

use http::StatusCode;
use tower_auth_refresh::{
    Session,
    error::ErrorKind,
    provider::Reason,
    session::{Condition, RefreshPolicy},
};

use crate::support::{
    TestProvider, World,
    faulty::{Fault, FaultyIdp, FaultyProvider, Step, client_of},
    get, send,
};

const LIFETIME: Duration = Duration::from_secs(10_000);
const LONGER_THAN_ANY_BACKOFF: Duration = Duration::from_secs(400);

/// Token set 7 is in place at its soft point: each call of [`fly`](Self::fly) starts a flight, unless one must not.
struct Scene {
    world: World,
    idp: FaultyIdp,
    provider: FaultyProvider,
    session: Session<FaultyProvider>,
}

impl Scene {
    fn new(provider: TestProvider) -> Self {
        let world = World::new();
        world.grant(7);
        let (idp, provider) = (FaultyIdp::new(&world), FaultyProvider::new(provider));
        let session = Session::builder(provider.clone())
            .transport(idp.clone())
            .clock(world.clock.clone())
            .policy(RefreshPolicy::new().jitter(|| 1.0))
            .token(TestProvider::token(7, LIFETIME, world.clock.wall()))
            .build()
            .unwrap();
        world.clock.advance(Duration::from_secs(7500));
        Self { world, idp, provider, session }
    }

    /// Asks for the token, and waits for the flight if that has started one.
    async fn fly(&self) {
        self.session.token().await.expect("the token has not expired");
        self.session.settled().await;
    }

    async fn fly_after_the_backoff(&self) {
        self.world.clock.advance(LONGER_THAN_ANY_BACKOFF);
        self.fly().await;
    }

    fn condition(&self) -> Condition {
        self.session.status().condition
    }
}

const REFRESH: &str = "/refresh refresh-7";
const LOGIN: &str = "/login credentials";

/// After a failure that leaves open whether the token was spent, it is not sent again where a login is possible.
async fn the_next_flight_logs_in(fault: Fault) {
    let scene = Scene::new(TestProvider::new());
    scene.idp.fail([fault]);
    scene.fly().await;
    assert_eq!((scene.idp.sent(), scene.condition()), (vec![REFRESH.to_owned()], Condition::Failing));

    scene.fly_after_the_backoff().await;

    assert_eq!(scene.idp.sent(), [REFRESH, LOGIN]);
    assert_eq!(scene.world.counts().double_spent, 0);
    assert_eq!(scene.condition(), Condition::Fresh);
}

/// Without a login the token is sent once more, not before the backoff has ended, and what the server says then counts.
async fn the_token_is_sent_once_more_and_a_refusal_is_permanent(fault: Fault) {
    let scene = Scene::new(TestProvider::without_login());
    scene.idp.fail([fault]);
    scene.fly().await;
    scene.fly().await;
    assert_eq!(scene.idp.sent(), [REFRESH]);

    scene.fly_after_the_backoff().await;
    assert_eq!((scene.idp.sent(), scene.world.counts().double_spent), (vec![REFRESH.to_owned(); 2], 1));

    scene.fly_after_the_backoff().await;
    assert_eq!(scene.idp.sent().len(), 2);
    let status = scene.session.status();
    assert_eq!((status.last_error, status.retry_at), (Some(ErrorKind::Refused), None));
}

/// After a failure that proves that nothing was spent, the next flight refreshes with the same token.
async fn the_next_flight_refreshes_again(fault: Fault) {
    let scene = Scene::new(TestProvider::new());
    scene.idp.fail([fault]);
    scene.fly().await;
    assert_eq!((scene.world.counts().token_calls(), scene.condition()), (0, Condition::Failing));

    scene.fly_after_the_backoff().await;

    let counts = scene.world.counts();
    assert_eq!((counts.refreshes, counts.logins, counts.double_spent), (1, 0, 0));
    assert_eq!(scene.idp.sent().last().unwrap(), REFRESH);
    assert_eq!(scene.condition(), Condition::Fresh);
}

macro_rules! after {
    ($law:ident: $($name:ident => $fault:expr;)*) => {
        mod $law {
            use super::*;
            $(
                #[tokio::test]
                async fn $name() {
                    super::$law($fault).await;
                }
            )*
        }
    };
}

after! { the_next_flight_logs_in:
    after_no_answer => Fault::AnswerLost;
    after_a_body_that_broke_off => Fault::BrokenOff;
    after_500 => Fault::Spoiled(StatusCode::INTERNAL_SERVER_ERROR, "");
    after_502 => Fault::Spoiled(StatusCode::BAD_GATEWAY, "<html>");
    after_504 => Fault::Spoiled(StatusCode::GATEWAY_TIMEOUT, "<html>");
    after_an_empty_success => Fault::Spoiled(StatusCode::OK, "");
    after_a_success_that_cannot_be_read => Fault::Spoiled(StatusCode::CREATED, "access-8 refresh-8 soon");
    after_a_success_that_is_too_large => Fault::TooLarge;
}

after! { the_token_is_sent_once_more_and_a_refusal_is_permanent:
    after_no_answer => Fault::AnswerLost;
    after_a_body_that_broke_off => Fault::BrokenOff;
    after_500 => Fault::Spoiled(StatusCode::INTERNAL_SERVER_ERROR, "");
    after_502 => Fault::Spoiled(StatusCode::BAD_GATEWAY, "<html>");
    after_504 => Fault::Spoiled(StatusCode::GATEWAY_TIMEOUT, "<html>");
    after_a_success_that_cannot_be_read => Fault::Spoiled(StatusCode::OK, "");
}

after! { the_next_flight_refreshes_again:
    after_404 => Fault::Instead(StatusCode::NOT_FOUND, "");
    after_408 => Fault::Instead(StatusCode::REQUEST_TIMEOUT, "");
    after_429 => Fault::Instead(StatusCode::TOO_MANY_REQUESTS, "");
    after_503 => Fault::Instead(StatusCode::SERVICE_UNAVAILABLE, "<html>");
    after_a_refused_connection => Fault::ConnectionRefused;
    after_a_transport_that_never_became_ready => Fault::NotReady;
}

#[tokio::test]
async fn a_refresh_that_brings_an_expired_token_goes_on_from_its_refresh_token_and_sends_nothing_with_it() {
    let scene = Scene::new(TestProvider::without_login());
    scene.idp.fail([Fault::Spoiled(StatusCode::OK, "access-8 refresh-8 0")]);
    scene.fly().await;
    assert_eq!((scene.idp.sent(), scene.condition()), (vec![REFRESH.to_owned()], Condition::Failing));
    let client = client_of(&scene.world, &scene.session);
    scene.world.script_api(|_| Some(crate::scene::reply(StatusCode::OK, "welcome")));
    assert!(send(&client, get("/")).await.is_ok());
    assert_eq!(scene.world.tokens(), ["Bearer access-7"], "the old one serves");

    scene.fly_after_the_backoff().await;

    assert_eq!(scene.idp.sent(), [REFRESH, "/refresh refresh-8"]);
    assert_eq!((scene.world.counts().double_spent, scene.condition()), (0, Condition::Fresh));
}

#[tokio::test(start_paused = true)]
async fn a_refresh_that_ran_into_its_deadline_counts_as_spent() {
    let scene = Scene::new(TestProvider::new());
    scene.world.hold_idp();
    scene.fly().await;
    assert_eq!(scene.session.status().last_error, Some(ErrorKind::TimedOut));
    scene.world.release_idp();

    scene.fly_after_the_backoff().await;

    assert_eq!(scene.idp.sent(), [REFRESH, LOGIN]);
    assert_eq!(scene.world.counts().double_spent, 0);
}

#[tokio::test]
async fn a_refresh_whose_answer_made_the_provider_panic_counts_as_spent() {
    let scene = Scene::new(TestProvider::new());
    scene.provider.panic_in(Step::Parse);
    scene.fly().await;
    scene.provider.panic_in(None);

    scene.fly().await;

    assert_eq!(scene.idp.sent(), [REFRESH, LOGIN]);
    assert_eq!(scene.world.counts().double_spent, 0);
}

#[tokio::test]
async fn a_refresh_that_was_never_built_spends_nothing() {
    let scene = Scene::new(TestProvider::new());
    scene.provider.panic_in(Step::Request);
    scene.fly().await;
    scene.provider.panic_in(None);

    scene.fly().await;

    assert_eq!(scene.idp.sent(), [REFRESH]);
    assert_eq!(scene.condition(), Condition::Fresh);
}

#[tokio::test]
async fn a_token_that_was_not_spent_after_all_saves_a_session_without_login() {
    let scene = Scene::new(TestProvider::without_login());
    scene.idp.fail([Fault::Instead(StatusCode::BAD_GATEWAY, "")]);
    scene.fly().await;

    scene.fly_after_the_backoff().await;

    assert_eq!((scene.idp.sent(), scene.world.counts().double_spent), (vec![REFRESH.to_owned(); 2], 0));
    assert_eq!(scene.condition(), Condition::Fresh);
}

#[tokio::test]
async fn a_caller_gets_an_answer_and_nothing_is_spent_twice_after_a_lost_refresh() {
    let scene = Scene::new(TestProvider::new());
    scene.idp.fail([Fault::AnswerLost]);
    scene.fly().await;
    scene.world.clock.advance(LONGER_THAN_ANY_BACKOFF);

    let answer = send(&client_of(&scene.world, &scene.session), get("/")).await.unwrap();

    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(scene.idp.sent(), [REFRESH, LOGIN]);
    assert_eq!(scene.world.counts().double_spent, 0);
}

#[tokio::test]
async fn doubt_outlives_a_later_503() {
    let scene = Scene::new(TestProvider::without_login());
    scene.idp.fail([Fault::AnswerLost, Fault::Instead(StatusCode::SERVICE_UNAVAILABLE, "")]);
    scene.fly().await;
    scene.fly_after_the_backoff().await;
    scene.fly_after_the_backoff().await;

    assert_eq!(scene.provider.reasons()[..3], [Reason::Due, Reason::MaybeSpent, Reason::MaybeSpent]);
    assert_eq!(scene.idp.sent(), [REFRESH; 3]);
}

#[tokio::test]
async fn doubt_outlives_a_failed_login() {
    let scene = Scene::new(TestProvider::new());
    scene.idp.fail([Fault::AnswerLost, Fault::Instead(StatusCode::SERVICE_UNAVAILABLE, "")]);
    scene.fly().await;
    scene.fly_after_the_backoff().await;
    scene.fly_after_the_backoff().await;

    assert_eq!(scene.idp.sent(), [REFRESH, LOGIN, LOGIN]);
    assert_eq!(scene.world.counts().double_spent, 0);
}

#[tokio::test]
async fn a_503_alone_raises_no_doubt() {
    let scene = Scene::new(TestProvider::new());
    scene.idp.fail([Fault::Instead(StatusCode::SERVICE_UNAVAILABLE, ""); 2]);
    scene.fly().await;
    scene.fly_after_the_backoff().await;
    scene.fly_after_the_backoff().await;

    assert_eq!(scene.provider.reasons(), [Reason::Due; 3]);
}

#[tokio::test]
async fn doubt_ends_with_the_token_set_it_was_about() {
    let scene = Scene::new(TestProvider::new());
    scene.idp.fail([Fault::AnswerLost]);
    scene.fly().await;
    scene.world.grant(9);
    scene.session.set(TestProvider::token(9, LIFETIME, scene.world.clock.wall())).unwrap();
    scene.world.clock.advance(Duration::from_secs(7500));

    scene.fly().await;

    assert_eq!(scene.idp.sent(), [REFRESH, "/refresh refresh-9"]);
    assert_eq!(scene.condition(), Condition::Fresh);
}

#[tokio::test]
async fn a_refresh_token_that_is_not_single_use_is_never_in_doubt() {
    let scene = Scene::new(TestProvider::new().with_single_use(false));
    scene.idp.fail([Fault::Instead(StatusCode::BAD_GATEWAY, "")]);
    scene.fly().await;

    scene.fly_after_the_backoff().await;

    assert_eq!(scene.idp.sent(), [REFRESH; 2]);
    assert_eq!(scene.world.counts().logins, 0);
}
