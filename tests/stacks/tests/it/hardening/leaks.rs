//! Where a token of the query shows, and what is lost where it does not.

use http::StatusCode;
use reqwest_middleware::ClientBuilder;
use tower::{Layer, ServiceExt};
use tower_auth_refresh::{
    AuthRefreshLayer, Error,
    error::ErrorKind,
    integrations::{reqwest::ReqwestService, reqwest_middleware::AuthRefreshMiddleware},
    test_util::{Place, TestProvider},
};
use tower_http::follow_redirect::RequestUri;

use crate::{
    reqwest_middleware::support::client as middleware_client,
    support::reqwest_scene::{Http, Scene, answer, causes, over_both, redirect, shown},
    support::serve::Closed,
};

over_both!(
    an_answer_of_the_service_names_no_token_in_its_extensions,
    an_answer_of_the_middleware_names_no_token_in_its_extensions,
    an_error_of_reqwest_below_two_layers_is_still_one,
    a_token_that_a_redirect_takes_along_encoded_twice_does_not_show,
    a_token_that_a_redirect_takes_along_in_the_path_does_not_show,
);

fn named<T>(extensions: &http::Extensions, map: impl Fn(&RequestUri) -> T) -> Option<T> {
    extensions.get::<RequestUri>().map(map)
}

async fn an_answer_of_the_service_names_no_token_in_its_extensions(http: Http) {
    let scene = Scene::new(http).await;
    let client = scene.client(&scene.signed_in(Place::Query));
    let answer = client.oneshot(scene.get("/")).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    let uri = named(answer.extensions(), |uri| uri.0.to_string()).unwrap_or_default();
    assert!(!uri.contains("access-7"), "it names the token: {}", uri.replace("access-7", "<token>"));
}

async fn an_answer_of_the_middleware_names_no_token_in_its_extensions(http: Http) {
    let scene = Scene::new(http).await;
    let answer = middleware_client(&scene, &scene.signed_in(Place::Query)).get(scene.url("/")).send().await.unwrap();
    let uri = named(answer.extensions(), |uri| uri.0.to_string()).unwrap_or_default();
    assert!(!uri.contains("access-7"), "it names the token: {}", uri.replace("access-7", "<token>"));
}

/// A layer for the user within one for the application, whose key travels in the query.
async fn an_error_of_reqwest_below_two_layers_is_still_one(http: Http) {
    let scene = Scene::new(http).await;
    let closed = Closed::new();
    let to = |place| {
        let provider = TestProvider::placed(place).with_origin(closed.url("").parse().unwrap());
        scene.sign_in(provider.with_token_endpoint(scene.idp_server.base()))
    };
    let user = AuthRefreshLayer::new(to(Place::Bearer)).layer(scene.http.service());
    let both = AuthRefreshLayer::new(to(Place::Query)).layer(user);
    let request = http::Request::get(closed.url("/")).body(http_body_util::Full::<bytes::Bytes>::default()).unwrap();

    let error: Error = both.oneshot(request).await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Service);
    assert!(!shown(&error).contains("access-7"));
    let is_connect =
        causes(&error).filter_map(|cause| cause.downcast_ref::<reqwest::Error>()).any(|it| it.is_connect());
    assert!(is_connect, "nothing is left of the error of reqwest: {}", shown(&error));
}

fn following(scene: &Scene, token: &str) -> reqwest_middleware::ClientWithMiddleware {
    let session = scene.session_of(scene.reach(TestProvider::placed(Place::Query)));
    session.set(tower_auth_refresh::token::TokenSet::new(token.to_owned())).unwrap();
    ClientBuilder::new(scene.http.client().build().unwrap()).with(AuthRefreshMiddleware::new(session)).build()
}

/// A login page is told where to come back to, by the URL as it came, encoded once more.
async fn a_token_that_a_redirect_takes_along_encoded_twice_does_not_show(http: Http) {
    let scene = Scene::new(http).await;
    scene.api_answers(|request| match (request.uri().path(), request.uri().query()) {
        ("/from", Some(query)) => {
            let back = query.replace('%', "%25").replace('=', "%3D");
            redirect(&format!("/login?ReturnUrl=%2Ffrom%3F{back}"))
        }
        _ => answer(StatusCode::OK, ""),
    });
    let url = following(&scene, "abc+def/ghi==").get(scene.url("/from")).send().await.unwrap().url().to_string();
    assert!(!url.contains("abc"), "{url}");
}

async fn a_token_that_a_redirect_takes_along_in_the_path_does_not_show(http: Http) {
    let scene = Scene::new(http).await;
    scene.api_answers(|request| match (request.uri().path(), request.uri().query()) {
        ("/from", Some(query)) => redirect(&format!("/back/from/{query}")),
        _ => answer(StatusCode::OK, ""),
    });
    let url = following(&scene, "access-7").get(scene.url("/from")).send().await.unwrap().url().to_string();
    assert!(!url.contains("access-7"), "{}", url.replace("access-7", "<token>"));
}

#[test]
fn the_service_is_what_it_says() {
    let shown = format!("{:?}", ReqwestService::new(reqwest::Client::builder().no_proxy()).unwrap());
    assert!(shown.starts_with("ReqwestService"));
}
