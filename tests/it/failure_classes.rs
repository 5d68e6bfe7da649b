//! What each outcome of a flight means for the next one: C17, C18, C21, C51.

use std::time::Duration;

use http::StatusCode;
use tower_auth_refresh::{
    Session,
    error::{ErrorKind, FailureClass, RefreshFailure},
    session::{Event, RefreshPolicy},
};

use crate::{
    scene::{reply, seconds},
    support::{
        TestProvider, World,
        faulty::{Fault, FaultyIdp, FaultyProvider, Step},
    },
};

const LIFE: Duration = Duration::from_secs(10_000);

struct Scene {
    world: World,
    idp: FaultyIdp,
    provider: FaultyProvider,
    session: Session<FaultyProvider>,
}

impl Scene {
    /// Token set 7 is at its soft point.
    fn soft(provider: TestProvider) -> Self {
        let scene = Self::empty(provider);
        scene.session.set(TestProvider::token(7, LIFE, scene.world.clock.wall())).unwrap();
        scene.world.grant(7);
        scene.world.clock.advance(seconds(7500));
        scene
    }

    fn empty(provider: TestProvider) -> Self {
        let world = World::new();
        let (idp, provider) = (FaultyIdp::new(&world), FaultyProvider::new(provider));
        let session = Session::builder(provider.clone())
            .transport(idp.clone())
            .clock(world.clock.clone())
            .policy(RefreshPolicy::new().jitter(|| 1.0).flight_deadline(seconds(5)).unwrap())
            .build()
            .unwrap();
        Self { world, idp, provider, session }
    }

    /// The failure of the flight that is due.
    async fn failure(&self) -> RefreshFailure {
        let mut events = self.session.subscribe();
        let _ = self.session.token().await;
        match events.recv().await {
            Some(Event::RefreshFailed { failure, .. }) => failure,
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_failed_refresh_is_transient_of_unknown_fate_permanent_or_a_fault_of_ours() {
    use FailureClass::{Fault as Ours, Permanent, Transient, UnknownFate};
    for (fault, class, kind) in [
        (Fault::NotReady, Transient, ErrorKind::Transport),
        (Fault::ConnectionRefused, Transient, ErrorKind::Transport),
        (Fault::AnswerLost, UnknownFate, ErrorKind::Transport),
        (Fault::BrokenOff, UnknownFate, ErrorKind::Transport),
        (Fault::TooLarge, UnknownFate, ErrorKind::Malformed),
        (Fault::Instead(StatusCode::SERVICE_UNAVAILABLE, ""), Transient, ErrorKind::Unavailable),
        (Fault::Instead(StatusCode::TOO_MANY_REQUESTS, ""), Transient, ErrorKind::Unavailable),
        (Fault::Instead(StatusCode::REQUEST_TIMEOUT, ""), Transient, ErrorKind::Unavailable),
        (Fault::Instead(StatusCode::TOO_EARLY, ""), Transient, ErrorKind::Unavailable),
        (Fault::Instead(StatusCode::NOT_FOUND, ""), Transient, ErrorKind::Malformed),
        (Fault::Instead(StatusCode::INTERNAL_SERVER_ERROR, ""), UnknownFate, ErrorKind::Unavailable),
        (Fault::Instead(StatusCode::BAD_GATEWAY, ""), UnknownFate, ErrorKind::Unavailable),
        (Fault::Instead(StatusCode::OK, ""), UnknownFate, ErrorKind::Malformed),
        (Fault::Instead(StatusCode::BAD_REQUEST, ""), Permanent, ErrorKind::Refused),
    ] {
        let scene = Scene::soft(TestProvider::without_login());
        scene.idp.fail([fault]);
        let failure = scene.failure().await;
        assert_eq!((failure.class(), failure.kind()), (class, kind), "{fault:?}");
        assert_eq!(failure.retry_at().is_none(), class == Permanent, "{fault:?}");
    }
    for step in [Step::Request, Step::NextGrant] {
        let scene = Scene::soft(TestProvider::without_login());
        scene.provider.panic_in(step);
        let failure = scene.failure().await;
        assert_eq!((failure.class(), failure.kind()), (Ours, ErrorKind::Aborted), "{step:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_after_the_refresh_token_was_sent_leaves_its_fate_unknown() {
    let scene = Scene::soft(TestProvider::without_login());
    scene.provider.panic_in(Step::Parse);
    let failure = scene.failure().await;
    assert_eq!((failure.class(), failure.kind()), (FailureClass::UnknownFate, ErrorKind::Aborted));
}

#[tokio::test(start_paused = true)]
async fn a_failed_login_and_a_reusable_refresh_token_have_no_unknown_fate() {
    let scene = Scene::empty(TestProvider::new());
    scene.idp.fail([Fault::Instead(StatusCode::BAD_GATEWAY, "")]);
    assert_eq!(scene.failure().await.class(), FailureClass::Transient);

    let scene = Scene::soft(TestProvider::new().with_single_use(false));
    scene.idp.fail([Fault::Instead(StatusCode::BAD_GATEWAY, "")]);
    assert_eq!(scene.failure().await.class(), FailureClass::Transient);
}

#[tokio::test(start_paused = true)]
async fn a_deadline_that_cuts_a_refresh_off_leaves_its_fate_unknown() {
    let scene = Scene::soft(TestProvider::without_login());
    scene.world.hold_idp();
    let failure = scene.failure().await;
    assert_eq!((failure.class(), failure.kind()), (FailureClass::UnknownFate, ErrorKind::TimedOut));
}

#[tokio::test(start_paused = true)]
async fn errors_tell_the_class_of_the_failure_behind_them() {
    let scene = Scene::empty(TestProvider::new());
    scene.world.script_idp(|_| Some(reply(StatusCode::BAD_REQUEST, "")));
    let error = scene.session.token().await.expect_err("the login is refused");
    assert_eq!(error.class(), Some(FailureClass::Permanent));
    let error = Session::builder(TestProvider::new()).build().expect_err("there is no transport");
    assert_eq!(error.class(), None);
}
