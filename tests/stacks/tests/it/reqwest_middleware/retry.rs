//! Together with reqwest-retry, before the middleware and behind it.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use http::StatusCode;
use reqwest_middleware::{ClientWithMiddleware, Error};
use reqwest_retry::{Jitter, RetryError, RetryTransientMiddleware, policies::ExponentialBackoff};
use tower_auth_refresh::{
    AuthRefreshLayer, Session,
    integrations::reqwest_middleware::AuthRefreshMiddleware,
    provider::GrantKind,
    test_util::{Place, TestProvider},
};

use super::support::{builder, middleware_error};
use crate::support::{
    reqwest_scene::{Counts, Http, Scene, answer, over_both},
    serve::Closed,
};

over_both!(
    a_failing_server_is_asked_again_with_the_same_token,
    a_rejection_is_renewed_and_replayed_and_not_retried,
    a_replay_that_meets_a_failing_server_is_retried,
    a_rejection_after_a_retry_is_renewed_and_replayed,
    a_rejection_that_stays_is_not_retried,
    a_refused_refresh_is_not_retried,
    a_refused_login_is_not_retried,
    an_error_of_a_refresh_that_is_raised_is_not_retried,
    a_connect_error_is_retried,
);

/// Where reqwest-retry stands.
#[derive(Clone, Copy, Debug)]
enum Retry {
    Before,
    Behind,
}

impl Retry {
    /// Repeats at once, three times.
    fn client(self, scene: &Scene, session: Session<TestProvider>) -> ClientWithMiddleware {
        self.with(scene, AuthRefreshMiddleware::new(session))
    }

    fn with(self, scene: &Scene, ours: AuthRefreshMiddleware<TestProvider>) -> ClientWithMiddleware {
        let at_once = ExponentialBackoff::builder().retry_bounds(Duration::ZERO, Duration::ZERO).jitter(Jitter::None);
        let retry = RetryTransientMiddleware::new_with_policy(at_once.build_with_max_retries(3));
        match self {
            Self::Before => builder(scene).with(retry).with(ours),
            Self::Behind => builder(scene).with(ours).with(retry),
        }
        .build()
    }
}

const BOTH: [Retry; 2] = [Retry::Before, Retry::Behind];

/// Has the API answer one request after the other like this; those that come later find it as it is.
fn answers<const N: usize>(scene: &Scene, answers: [Option<StatusCode>; N]) {
    let at = AtomicUsize::new(0);
    scene.api.script(move |_| {
        let status = *answers.get(at.fetch_add(1, Ordering::SeqCst))?;
        status.map(|status| Ok(answer(status, "")))
    });
}

/// The scene of a session whose token is good.
async fn signed_in(http: Http, retry: Retry) -> (Scene, ClientWithMiddleware) {
    let scene = Scene::new(http).await;
    let client = retry.client(&scene, scene.signed_in(Place::Bearer));
    (scene, client)
}

async fn a_failing_server_is_asked_again_with_the_same_token(http: Http) {
    for retry in BOTH {
        let (scene, client) = signed_in(http, retry).await;
        answers(&scene, [Some(StatusCode::SERVICE_UNAVAILABLE)]);
        assert_eq!(client.post(scene.url("/")).body("body").send().await.unwrap().status(), StatusCode::OK);
        assert_eq!(scene.counts(), Counts { requests: 2, ..Counts::default() }, "{retry:?}");
        assert!(scene.api.seen().iter().all(|sent| sent.body() == "body"));
    }
}

async fn a_rejection_is_renewed_and_replayed_and_not_retried(http: Http) {
    for retry in BOTH {
        let (scene, client) = signed_in(http, retry).await;
        scene.auth.end_access();
        assert_eq!(client.post(scene.url("/")).body("body").send().await.unwrap().status(), StatusCode::OK);
        assert_eq!(scene.counts(), Counts { refreshes: 1, requests: 2, rejected: 1, ..Counts::default() }, "{retry:?}");
        assert!(scene.api.seen().iter().all(|sent| sent.body() == "body"));
    }
}

async fn a_replay_that_meets_a_failing_server_is_retried(http: Http) {
    for retry in BOTH {
        let (scene, client) = signed_in(http, retry).await;
        scene.auth.end_access();
        answers(&scene, [None, Some(StatusCode::SERVICE_UNAVAILABLE)]);
        assert_eq!(client.get(scene.url("/")).send().await.unwrap().status(), StatusCode::OK);
        assert_eq!(scene.counts(), Counts { refreshes: 1, requests: 3, rejected: 1, ..Counts::default() }, "{retry:?}");
    }
}

async fn a_rejection_after_a_retry_is_renewed_and_replayed(http: Http) {
    for retry in BOTH {
        let (scene, client) = signed_in(http, retry).await;
        scene.auth.end_access();
        answers(&scene, [Some(StatusCode::SERVICE_UNAVAILABLE)]);
        assert_eq!(client.get(scene.url("/")).send().await.unwrap().status(), StatusCode::OK);
        assert_eq!(scene.counts(), Counts { refreshes: 1, requests: 3, rejected: 1, ..Counts::default() }, "{retry:?}");
    }
}

async fn a_rejection_that_stays_is_not_retried(http: Http) {
    for retry in BOTH {
        let (scene, client) = signed_in(http, retry).await;
        scene.api_answers(|_| answer(StatusCode::UNAUTHORIZED, ""));
        assert_eq!(client.get(scene.url("/")).send().await.unwrap().status(), StatusCode::UNAUTHORIZED);
        assert_eq!(scene.counts(), Counts { refreshes: 1, requests: 2, rejected: 2, ..Counts::default() }, "{retry:?}");
    }
}

async fn a_refused_refresh_is_not_retried(http: Http) {
    for retry in BOTH {
        let scene = Scene::new(http).await;
        let client = retry.client(&scene, scene.sign_in(scene.reach(TestProvider::without_login())));
        scene.auth.end_access();
        scene.auth.refuse(GrantKind::Refresh);
        assert_eq!(client.get(scene.url("/")).send().await.unwrap().status(), StatusCode::UNAUTHORIZED);
        assert_eq!(scene.counts(), Counts { refreshes: 1, requests: 1, rejected: 1, ..Counts::default() }, "{retry:?}");
    }
}

async fn a_refused_login_is_not_retried(http: Http) {
    for retry in BOTH {
        let scene = Scene::new(http).await;
        scene.auth.refuse(GrantKind::Login);
        let error = retry.client(&scene, scene.session()).get(scene.url("/")).send().await.unwrap_err();
        let error = match retry {
            Retry::Behind => error,
            Retry::Before => once(error),
        };
        assert!(middleware_error::<tower_auth_refresh::Error>(error).needs_sign_in());
        assert_eq!(scene.counts(), Counts { logins: 1, ..Counts::default() }, "{retry:?}");
    }
}

async fn an_error_of_a_refresh_that_is_raised_is_not_retried(http: Http) {
    for retry in BOTH {
        let scene = Scene::new(http).await;
        let layer = AuthRefreshLayer::new(scene.sign_in(scene.reach(TestProvider::without_login())));
        let client = retry.with(&scene, layer.error_after_failed_refresh(true).into());
        scene.auth.end_access();
        scene.auth.refuse(GrantKind::Refresh);
        let error = client.get(scene.url("/")).send().await.unwrap_err();
        let error = match retry {
            Retry::Behind => error,
            Retry::Before => once(error),
        };
        assert!(middleware_error::<tower_auth_refresh::Error>(error).needs_sign_in());
        assert_eq!(scene.counts(), Counts { refreshes: 1, requests: 1, rejected: 1, ..Counts::default() }, "{retry:?}");
    }
}

async fn a_connect_error_is_retried(http: Http) {
    for retry in BOTH {
        let (scene, closed) = (Scene::new(http).await, Closed::new());
        let provider = scene.reach(TestProvider::new()).with_origin(closed.url("").parse().unwrap());
        let client = retry.client(&scene, scene.sign_in(provider));
        let error = client.get(closed.url("/")).send().await.unwrap_err();
        let RetryError::WithRetries { retries, err } = middleware_error(error) else { panic!("not retried") };
        assert!(err.is_connect());
        assert_eq!(retries, 3, "{retry:?}");
    }
}

/// What reqwest-retry wraps the error of a request in that it did not repeat.
fn once(error: Error) -> Error {
    match middleware_error(error) {
        RetryError::Error(error) => error,
        RetryError::WithRetries { retries, .. } => panic!("{retries} retries"),
    }
}
