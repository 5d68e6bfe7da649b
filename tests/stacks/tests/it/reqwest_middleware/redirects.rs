//! A client that follows redirects by itself, against advice, and one that does not.

use http::{StatusCode, header};
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};
use tower_auth_refresh::{
    Session,
    integrations::reqwest_middleware::AuthRefreshMiddleware,
    test_util::{AuthServer, Place, TestProvider},
};

use super::support::client;
use crate::support::{
    reqwest_scene::{Counts, Http, Scene, answer, over_both, redirect},
    serve::serve,
};

over_both!(
    the_client_of_the_service_follows_none,
    a_rejection_from_another_origin_causes_nothing,
    a_rejection_after_a_redirect_within_the_origin_is_renewed_and_replayed,
    the_url_after_a_redirect_does_not_show_a_token_that_came_along,
);

fn following(scene: &Scene, session: Session<TestProvider>) -> ClientWithMiddleware {
    ClientBuilder::new(scene.http.client().build().unwrap()).with(AuthRefreshMiddleware::new(session)).build()
}

async fn the_client_of_the_service_follows_none(http: Http) {
    let scene = Scene::new(http).await;
    scene.api_answers(|_| redirect("/landing"));
    let answer = client(&scene, &scene.signed_in(Place::Bearer)).get(scene.url("/")).send().await.unwrap();
    assert_eq!((answer.status(), scene.counts().requests), (StatusCode::FOUND, 1));
}

async fn a_rejection_from_another_origin_causes_nothing(http: Http) {
    let scene = Scene::new(http).await;
    let elsewhere = AuthServer::new(&scene.clock).api();
    let server = serve(elsewhere.clone()).await;
    let to = server.url("/landing");
    scene.api_answers(move |_| redirect(&to));
    let answer = following(&scene, scene.signed_in(Place::Bearer)).get(scene.url("/")).send().await.unwrap();
    assert_eq!((answer.status(), answer.url().as_str()), (StatusCode::UNAUTHORIZED, &*server.url("/landing")));
    assert_eq!(scene.counts(), Counts { requests: 1, ..Counts::default() });
    assert_eq!(elsewhere.counts().requests, 1);
    assert!(!elsewhere.seen()[0].headers().contains_key(header::AUTHORIZATION));
}

async fn a_rejection_after_a_redirect_within_the_origin_is_renewed_and_replayed(http: Http) {
    let scene = Scene::new(http).await;
    scene.api.script(|request| (request.uri().path() == "/from").then(|| Ok(redirect("/landing"))));
    let client = following(&scene, scene.signed_in(Place::Bearer));
    scene.auth.end_access();
    let answer = client.get(scene.url("/from")).send().await.unwrap();
    assert_eq!((answer.status(), answer.url().as_str()), (StatusCode::OK, &*scene.url("/landing")));
    assert_eq!(scene.counts(), Counts { refreshes: 1, requests: 4, rejected: 1, ..Counts::default() });
}

async fn the_url_after_a_redirect_does_not_show_a_token_that_came_along(http: Http) {
    let scene = Scene::new(http).await;
    scene.api_answers(|request| match request.uri().path() {
        "/from" => redirect("/login?token=access-6&ReturnUrl=%2Ffrom%3Ftoken%3Daccess-7&lang=en"),
        _ => answer(StatusCode::OK, ""),
    });
    let answer = following(&scene, scene.signed_in(Place::Query)).get(scene.url("/from")).send().await.unwrap();
    assert_eq!(answer.url().as_str(), scene.url("/login?lang=en"));
}
