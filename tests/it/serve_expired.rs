//! The opt-in that serves an expired token in an outage, and its limit (C16).

use std::time::Duration;

use http::StatusCode;
use tower::BoxError;
use tower_auth_refresh::{Session, error::ErrorKind, session::RefreshPolicy};

use crate::{
    scene::{LIFE, MILLISECOND, full_jitter, idp_answers, no_jitter, seconds, signed_in, welcome_all},
    support::{Client, TestProvider, World, client, get, send},
};

const LIMIT: Duration = Duration::from_secs(300);

struct Scene {
    world: World,
    session: Session<TestProvider>,
    client: Client,
}

impl Scene {
    /// Token set 7 has just ended; the API would still take it, and the token endpoint answers 503.
    fn outage(provider: TestProvider, policy: RefreshPolicy) -> Self {
        let world = World::new();
        let session = signed_in(&world, provider, policy);
        let client = client(&world, &session);
        welcome_all(&world);
        idp_answers(&world, StatusCode::SERVICE_UNAVAILABLE);
        world.clock.advance(LIFE);
        Self { world, session, client }
    }

    fn serving(provider: TestProvider) -> Self {
        Self::outage(provider, no_jitter().serve_expired(LIMIT).unwrap())
    }

    async fn get(&self) -> Result<StatusCode, ErrorKind> {
        send(&self.client, get("/")).await.map(|answer| answer.status()).map_err(|error| error.kind())
    }

    fn calls(&self) -> usize {
        self.world.counts().token_calls()
    }
}

const OK: Result<StatusCode, ErrorKind> = Ok(StatusCode::OK);
const UNAVAILABLE: Result<StatusCode, ErrorKind> = Err(ErrorKind::Unavailable);

#[tokio::test]
async fn without_the_opt_in_nobody_is_served_after_the_end() {
    let scene = Scene::outage(TestProvider::new(), no_jitter());
    assert_eq!(scene.get().await, UNAVAILABLE);
    assert_eq!((scene.calls(), scene.world.counts().api), (1, 0));
}

#[tokio::test]
async fn the_flight_is_waited_for_first_and_the_expired_token_is_sent_when_it_fails() {
    let scene = Scene::serving(TestProvider::new());
    assert_eq!(scene.get().await, OK);
    assert_eq!((scene.calls(), scene.world.tokens()), (1, vec!["Bearer access-7".to_owned()]));
    assert_eq!(scene.session.token().await.map(|_| ()).map_err(|error| error.kind()), Ok(()));
}

#[tokio::test]
async fn during_the_backoff_it_is_sent_at_once() {
    let scene = Scene::outage(TestProvider::new(), full_jitter().serve_expired(LIMIT).unwrap());
    assert_eq!(scene.get().await, OK);
    for _ in 0..5 {
        assert_eq!(scene.get().await, OK);
    }
    assert_eq!((scene.calls(), scene.world.counts().api), (1, 6));
}

#[tokio::test]
async fn the_limit_ends_it_at_its_millisecond_and_not_one_before() {
    let scene = Scene::serving(TestProvider::new());
    scene.world.clock.advance(LIMIT - MILLISECOND);
    assert_eq!(scene.get().await, OK);
    scene.world.clock.advance(MILLISECOND);
    assert_eq!(scene.get().await, UNAVAILABLE);
    assert_eq!(scene.world.counts().api, 1);
}

#[tokio::test]
async fn either_clock_alone_reaches_the_limit() {
    let scene = Scene::serving(TestProvider::new());
    assert_eq!(scene.get().await, OK);
    scene.world.clock.suspend(LIMIT);
    assert_eq!(scene.get().await, UNAVAILABLE);

    let scene = Scene::serving(TestProvider::new());
    scene.world.clock.step_back(LIFE);
    scene.world.clock.advance(LIMIT - MILLISECOND);
    assert_eq!(scene.get().await, OK);
    scene.world.clock.advance(MILLISECOND);
    assert_eq!(scene.get().await, UNAVAILABLE);
}

#[tokio::test]
async fn every_kind_of_outage_counts_and_a_refusal_does_not() {
    for (answer, expected) in [("broken", OK), ("html", OK), ("429", OK), ("refused", Err(ErrorKind::Refused))] {
        let scene = Scene::serving(TestProvider::without_login());
        scene.world.script_idp(move |_| {
            Some(match answer {
                "broken" => Err(BoxError::from("broken pipe")),
                "html" => crate::scene::reply(StatusCode::OK, "<html>"),
                "429" => crate::scene::reply(StatusCode::TOO_MANY_REQUESTS, ""),
                _ => crate::scene::reply(StatusCode::BAD_REQUEST, "{}"),
            })
        });
        if answer == "html" {
            // The plain protocol takes one word for a token; this is none that fits a header.
            scene.world.script_idp(|_| Some(crate::scene::reply(StatusCode::OK, "<html>\n")));
        }
        assert_eq!(scene.get().await, expected, "{answer}");
        assert_eq!(scene.get().await, expected, "{answer}, and again");
    }
}

#[tokio::test]
async fn a_token_that_the_api_has_rejected_is_not_served_any_more() {
    let scene = Scene::outage(TestProvider::new(), full_jitter().serve_expired(LIMIT).unwrap());
    scene.world.script_api(|_| Some(crate::scene::reply(StatusCode::UNAUTHORIZED, "rejected")));
    assert_eq!(scene.get().await, Ok(StatusCode::UNAUTHORIZED), "the first answer comes back");
    assert_eq!(scene.get().await, UNAVAILABLE);
    assert_eq!((scene.calls(), scene.world.counts().api), (1, 1));
}

#[tokio::test]
async fn the_first_good_answer_of_the_token_endpoint_ends_it() {
    let scene = Scene::serving(TestProvider::new());
    assert_eq!(scene.get().await, OK);
    scene.world.unscript();
    welcome_all(&scene.world);
    scene.world.clock.advance(seconds(31));
    assert_eq!(scene.get().await, OK);
    assert_eq!(scene.world.tokens(), ["Bearer access-7", "Bearer access-8"]);
}

#[tokio::test]
async fn a_sign_out_ends_it() {
    let scene = Scene::serving(TestProvider::new());
    assert_eq!(scene.get().await, OK);
    scene.session.sign_out();
    assert_eq!(scene.get().await, Err(ErrorKind::SignedOut));
    assert_eq!(scene.world.counts().api, 1);
}
