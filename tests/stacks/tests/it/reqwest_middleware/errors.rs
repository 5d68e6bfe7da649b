//! Errors come back as they were, and show no token.

use std::fmt;

use futures::future::join;
use reqwest_middleware::{ClientWithMiddleware, Error};
use tower_auth_refresh::{
    error::ErrorKind,
    integrations::reqwest_middleware::AuthRefreshMiddleware,
    provider::GrantKind,
    test_util::{Place, TestProvider},
};

use super::support::{builder, client, middleware, middleware_error, reqwest_error};
use crate::support::{
    reqwest_scene::{Counts, Http, Scene, TIMEOUT, over_both, shown, timeout_passes_after},
    serve::Closed,
};

over_both!(
    a_timeout_of_the_request_stays_a_timeout,
    a_refused_connection_stays_a_connect_error,
    a_request_that_cannot_be_made_is_a_builder_error,
    an_error_of_a_request_with_a_query_token_loses_its_url_and_nothing_else,
    an_error_of_a_middleware_stays_what_it_was,
    an_error_of_a_middleware_that_prints_the_query_token_is_replaced,
    an_error_of_reading_the_answer_does_not_show_the_query_token,
    what_the_session_says_is_an_error_of_a_middleware,
);

/// A client of an API at which nobody listens.
fn unreachable(scene: &Scene, place: Place, closed: &Closed) -> ClientWithMiddleware {
    let provider = scene.reach(TestProvider::placed(place)).with_origin(closed.url("").parse().unwrap());
    client(scene, &scene.sign_in(provider))
}

/// The error of a request that the API never answers.
async fn timed_out(scene: &Scene, place: Place) -> Error {
    let client = client(scene, &scene.signed_in(place));
    scene.api.gate().hold();
    let request = client.get(scene.url("/a")).timeout(TIMEOUT);
    join(request.send(), timeout_passes_after(|| scene.api.counts().requests == 1)).await.0.unwrap_err()
}

async fn a_timeout_of_the_request_stays_a_timeout(http: Http) {
    let scene = Scene::new(http).await;
    let error = reqwest_error(timed_out(&scene, Place::Bearer).await);
    assert!(error.is_timeout() && error.is_request());
    assert_eq!(error.url().unwrap().as_str(), scene.url("/a"));
    assert_eq!(scene.counts(), Counts { requests: 1, ..Counts::default() });
}

async fn a_refused_connection_stays_a_connect_error(http: Http) {
    let (scene, closed) = (Scene::new(http).await, Closed::new());
    let client = unreachable(&scene, Place::Bearer, &closed);
    let error = reqwest_error(client.get(closed.url("/a")).send().await.unwrap_err());
    assert!(error.is_connect() && !error.is_timeout());
    assert_eq!(error.url().unwrap().as_str(), closed.url("/a"));
}

async fn a_request_that_cannot_be_made_is_a_builder_error(http: Http) {
    let scene = Scene::new(http).await;
    let client = client(&scene, &scene.signed_in(Place::Bearer));
    for url in ["data:text/plain,hi", "ftp://api.test/", "https://{{host}}/"] {
        let request = reqwest::Request::new(reqwest::Method::GET, url.parse().unwrap());
        assert!(reqwest_error(client.execute(request).await.unwrap_err()).is_builder(), "{url}");
    }
}

async fn an_error_of_a_request_with_a_query_token_loses_its_url_and_nothing_else(http: Http) {
    let (scene, closed) = (Scene::new(http).await, Closed::new());
    let error = unreachable(&scene, Place::Query, &closed).get(closed.url("/a")).send().await.unwrap_err();
    assert!(!shown(&error).contains("access-7"), "{error:?}");
    let error = reqwest_error(error);
    assert!(error.is_connect() && error.url().is_none());

    let error = timed_out(&scene, Place::Query).await;
    assert!(!shown(&error).contains("access-7"), "{error:?}");
    let error = reqwest_error(error);
    assert!(error.is_timeout() && error.is_request() && error.url().is_none());
}

/// What a middleware says.
#[derive(Debug)]
struct Mine(String);

impl std::error::Error for Mine {}

impl fmt::Display for Mine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A chain that ends in an error, which tells `what` or the URL.
async fn failing(scene: &Scene, place: Place, what: Option<&'static str>) -> Error {
    let failing = middleware(move |request, _, _| {
        let text = what.map_or_else(|| request.url().to_string(), str::to_owned);
        Box::pin(async { Err(Error::middleware(Mine(text))) })
    });
    let chain = builder(scene).with(AuthRefreshMiddleware::new(scene.signed_in(place))).with(failing);
    chain.build().get(scene.url("/")).send().await.unwrap_err()
}

async fn an_error_of_a_middleware_stays_what_it_was(http: Http) {
    let scene = Scene::new(http).await;
    assert_eq!(middleware_error::<Mine>(failing(&scene, Place::Bearer, None).await).0, scene.url("/"));
    assert_eq!(middleware_error::<Mine>(failing(&scene, Place::Query, Some("no")).await).0, "no");
}

async fn an_error_of_a_middleware_that_prints_the_query_token_is_replaced(http: Http) {
    let scene = Scene::new(http).await;
    let error = failing(&scene, Place::Query, None).await;
    assert!(!shown(&error).contains("access-7"), "{error:?}");
    assert!(middleware_error::<tower_auth_refresh::Error>(error).is_service());
}

async fn an_error_of_reading_the_answer_does_not_show_the_query_token(http: Http) {
    let scene = Scene::new(http).await;
    let client = client(&scene, &scene.signed_in(Place::Query));
    let answer = client.get(scene.url("/a")).send().await.unwrap();
    let error = answer.json::<u32>().await.unwrap_err();
    assert!(error.is_decode() && !shown(&error).contains("access-7"), "{error:?}");
    assert_eq!(error.url().unwrap().as_str(), scene.url("/a"));
}

async fn what_the_session_says_is_an_error_of_a_middleware(http: Http) {
    let scene = Scene::new(http).await;
    scene.auth.refuse(GrantKind::Login);
    let error = client(&scene, &scene.session()).get(scene.url("/")).send().await.unwrap_err();
    let error = middleware_error::<tower_auth_refresh::Error>(error);
    assert_eq!((error.kind(), error.is_session()), (ErrorKind::Refused, true));
    assert_eq!(scene.counts(), Counts { logins: 1, ..Counts::default() });
}
