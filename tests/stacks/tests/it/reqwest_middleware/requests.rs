//! Tokens, rejections and replays over real connections, with exact counts.

use futures::future::join_all;
use http::{StatusCode, header};
use tower_auth_refresh::{
    AuthRefreshLayer,
    error::{ErrorKind, RefreshFailure},
    extensions::Credentials,
    integrations::reqwest_middleware::AuthRefreshMiddleware,
    provider::GrantKind,
    test_util::{Place, TestProvider},
};

use super::support::{builder, client, middleware_error, read};
use crate::support::reqwest_scene::{Counts, Http, LIFE, Scene, answer, over_both};

over_both!(
    a_hundred_requests_at_once_share_one_login,
    a_rejected_request_is_renewed_and_sent_again_once,
    a_rejected_query_token_is_renewed_and_sent_again_once,
    a_second_rejection_is_handed_back,
    the_options_of_a_layer_hold,
    after_a_failed_refresh_the_rejected_answer_is_handed_back_with_the_failure,
    after_a_failed_refresh_the_error_is_raised_where_it_is_asked_for,
    an_answer_keeps_its_url,
    the_url_of_an_answer_does_not_show_a_token_of_the_query,
    an_answer_that_was_looked_into_is_the_same,
    a_request_brings_its_own_session,
    a_request_that_opts_out_carries_no_credential,
);

async fn a_hundred_requests_at_once_share_one_login(http: Http) {
    let scene = Scene::new(http).await;
    let client = client(&scene, &scene.session());
    let answers = join_all((0..100).map(|_| client.get(scene.url("/")).send())).await;
    assert!(answers.into_iter().all(|answer| answer.unwrap().status() == StatusCode::OK));
    assert_eq!(scene.counts(), Counts { logins: 1, requests: 100, ..Counts::default() });
}

async fn a_rejected_request_is_renewed_and_sent_again_once(http: Http) {
    let scene = Scene::new(http).await;
    let client = client(&scene, &scene.signed_in(Place::Bearer));
    scene.auth.end_access();
    let request = client.post(scene.url("/order?id=1")).header("x-own", "mine").body("two apples");
    assert_eq!(read(request.send().await).await, (StatusCode::OK, "welcome".to_owned()));
    assert_eq!(scene.counts(), Counts { refreshes: 1, requests: 2, rejected: 1, ..Counts::default() });

    let mut sends = scene.api.seen();
    let tokens: Vec<_> =
        sends.iter_mut().map(|sent| sent.headers_mut().remove(header::AUTHORIZATION).unwrap()).collect();
    assert_eq!(tokens, ["Bearer access-7", "Bearer access-8"]);
    let [first, second] = &sends[..] else { panic!("two sends") };
    assert_eq!(format!("{first:?}"), format!("{second:?}"));
    assert_eq!((first.headers()["x-own"].as_bytes(), &**first.body()), (&b"mine"[..], &b"two apples"[..]));
    assert_eq!(first.headers()[header::CONTENT_LENGTH], "10");
}

async fn a_rejected_query_token_is_renewed_and_sent_again_once(http: Http) {
    let scene = Scene::new(http).await;
    let client = client(&scene, &scene.signed_in(Place::Query));
    scene.auth.end_access();
    assert_eq!(client.get(scene.url("/a?b=%20c")).send().await.unwrap().status(), StatusCode::OK);
    assert_eq!(scene.counts(), Counts { refreshes: 1, requests: 2, rejected: 1, ..Counts::default() });
    let queries: Vec<_> = scene.api.seen().iter().map(|sent| sent.uri().query().unwrap().to_owned()).collect();
    assert_eq!(queries, ["b=%20c&token=access-7", "b=%20c&token=access-8"]);
}

async fn a_second_rejection_is_handed_back(http: Http) {
    let scene = Scene::new(http).await;
    let client = client(&scene, &scene.signed_in(Place::Bearer));
    scene.api_answers(|_| answer(StatusCode::UNAUTHORIZED, "never"));
    let answer = client.get(scene.url("/")).send().await;
    assert_eq!(read(answer).await, (StatusCode::UNAUTHORIZED, "never".to_owned()));
    assert_eq!(scene.counts(), Counts { refreshes: 1, requests: 2, rejected: 2, ..Counts::default() });
}

async fn the_options_of_a_layer_hold(http: Http) {
    let scene = Scene::new(http).await;
    let session = scene.signed_in(Place::Bearer);
    let middleware = AuthRefreshMiddleware::from(AuthRefreshLayer::new(session.clone()).replays(0));
    let client = builder(&scene).with(middleware).build();
    scene.auth.end_access();
    assert_eq!(client.get(scene.url("/")).send().await.unwrap().status(), StatusCode::UNAUTHORIZED);
    session.settled().await;
    assert_eq!(scene.counts(), Counts { refreshes: 1, requests: 1, rejected: 1, ..Counts::default() });
}

async fn after_a_failed_refresh_the_rejected_answer_is_handed_back_with_the_failure(http: Http) {
    let scene = Scene::new(http).await;
    let client = client(&scene, &scene.sign_in(scene.reach(TestProvider::without_login())));
    scene.auth.end_access();
    scene.auth.refuse(GrantKind::Refresh);
    let answer = client.get(scene.url("/")).send().await.unwrap();
    assert_eq!(answer.extensions().get::<RefreshFailure>().unwrap().kind(), ErrorKind::Refused);
    assert_eq!(read(Ok(answer)).await, (StatusCode::UNAUTHORIZED, "rejected".to_owned()));
    assert_eq!(scene.counts(), Counts { refreshes: 1, requests: 1, rejected: 1, ..Counts::default() });
}

async fn after_a_failed_refresh_the_error_is_raised_where_it_is_asked_for(http: Http) {
    let scene = Scene::new(http).await;
    let layer = AuthRefreshLayer::new(scene.sign_in(scene.reach(TestProvider::without_login())));
    let middleware = AuthRefreshMiddleware::from(layer.error_after_failed_refresh(true));
    scene.auth.end_access();
    scene.auth.refuse(GrantKind::Refresh);
    let error = builder(&scene).with(middleware).build().get(scene.url("/")).send().await.unwrap_err();
    assert!(middleware_error::<tower_auth_refresh::Error>(error).needs_sign_in());
    assert_eq!(scene.counts(), Counts { refreshes: 1, requests: 1, rejected: 1, ..Counts::default() });
}

async fn an_answer_keeps_its_url(http: Http) {
    let scene = Scene::new(http).await;
    let client = client(&scene, &scene.signed_in(Place::Bearer));
    for path in ["/", "/a/b?c=d%20e", "/a#fragment"] {
        let plain = http.service().into_inner().get(scene.url(path)).send().await.unwrap();
        let answer = client.get(scene.url(path)).send().await.unwrap();
        assert_eq!(answer.url(), plain.url());
        assert_eq!(answer.remote_addr(), plain.remote_addr());
        assert_eq!(answer.content_length(), Some("welcome".len() as u64));
    }
}

async fn the_url_of_an_answer_does_not_show_a_token_of_the_query(http: Http) {
    let scene = Scene::new(http).await;
    let client = client(&scene, &scene.signed_in(Place::Query));
    scene.api_answers(|_| answer(StatusCode::NOT_FOUND, "no"));
    let answer = client.get(scene.url("/a?c=d")).send().await.unwrap();
    assert_eq!(answer.url().as_str(), scene.url("/a?c=d"));
    assert!(!format!("{answer:?} {:?}", answer.error_for_status_ref()).contains("access-7"));
    assert_eq!(scene.api.seen()[0].uri().query(), Some("c=d&token=access-7"));
}

async fn an_answer_that_was_looked_into_is_the_same(http: Http) {
    let scene = Scene::new(http).await;
    let session = scene.sign_in(scene.reach(TestProvider::new().with_judged_body(true)));
    scene.api_answers(|_| {
        let mut answer = answer(StatusCode::OK, r#"{"rejected":false}"#);
        answer.headers_mut().insert(header::CONTENT_TYPE, "application/json".parse().unwrap());
        answer
    });
    let answer = client(&scene, &session).get(scene.url("/a")).send().await.unwrap();
    assert_eq!((answer.content_length(), answer.url().as_str()), (Some(18), &*scene.url("/a")));
    assert_eq!(answer.text().await.unwrap(), r#"{"rejected":false}"#);
}

async fn a_request_brings_its_own_session(http: Http) {
    let scene = Scene::new(http).await;
    let own = scene.session();
    own.set(TestProvider::token(9, LIFE, scene.clock.wall())).unwrap();
    let of_all = client(&scene, &scene.signed_in(Place::Bearer));
    let of_none = AuthRefreshMiddleware::from(AuthRefreshLayer::<TestProvider>::per_request());
    let of_none = builder(&scene).with(of_none).build();
    scene.api_answers(|_| answer(StatusCode::OK, ""));
    for client in [of_all, of_none] {
        client.get(scene.url("/")).with_extension(own.clone()).send().await.unwrap();
        client.get(scene.url("/")).send().await.unwrap();
    }
    let token = |sent: &http::Request<_>| Some(sent.headers().get(header::AUTHORIZATION)?.to_str().unwrap().to_owned());
    let tokens: Vec<_> = scene.api.seen().iter().map(token).collect();
    let [seven, nine] = ["Bearer access-7", "Bearer access-9"].map(|token| Some(token.to_owned()));
    assert_eq!(tokens, [nine.clone(), seven, nine, None]);
}

async fn a_request_that_opts_out_carries_no_credential(http: Http) {
    let scene = Scene::new(http).await;
    let client = client(&scene, &scene.signed_in(Place::Bearer));
    let answer = client.get(scene.url("/")).with_extension(Credentials::Omit).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(scene.counts(), Counts { requests: 1, rejected: 1, ..Counts::default() });
    assert!(!scene.api.seen()[0].headers().contains_key(header::AUTHORIZATION));
}
