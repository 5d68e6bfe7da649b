//! Tokens, rejections and replays over real connections, with exact counts.

use bytes::Bytes;
use futures::future::join_all;
use http::{Request, StatusCode, Version, header};
use http_body_util::{BodyExt, Empty, Full};
use tower::{Layer, ServiceExt};
use tower_auth_refresh::{
    AuthRefreshLayer, Session,
    integrations::reqwest::ReqwestService,
    providers::{Accuat, Quectel, UserDomain},
    test_util::{Place, TestProvider},
};

use crate::support::{
    loopback::{
        AccuatApi, Counts as LoopbackCounts, DemoClock, Loopback, QuectelApi, Refusal, serve as serve_loopback,
    },
    reqwest_scene::{Counts, Http, Scene, answer, over_both, text},
};

over_both!(
    a_hundred_requests_at_once_share_one_login,
    a_rejected_request_is_renewed_and_sent_again_once,
    a_rejected_query_token_is_renewed_and_sent_again_once,
    a_second_rejection_is_handed_back,
    a_body_in_memory_goes_out_with_its_length,
    a_body_of_reqwest_goes_out_as_it_is,
    an_answer_knows_its_url,
    the_url_of_an_answer_does_not_show_a_token_of_the_query,
    an_answer_that_was_looked_into_can_be_read_by_reqwest,
    a_host_that_reqwest_writes_in_its_own_way_is_the_same_origin,
    a_redirect_to_the_login_page_is_a_rejection,
    an_envelope_that_refuses_is_a_rejection,
    the_request_keeps_the_version_of_its_connection,
);

async fn a_hundred_requests_at_once_share_one_login(http: Http) {
    let scene = Scene::new(http).await;
    let client = scene.client(&scene.session());
    let answers = join_all((0..100).map(|_| client.clone().oneshot(scene.get("/")))).await;
    assert!(answers.into_iter().all(|answer| answer.unwrap().status() == StatusCode::OK));
    assert_eq!(scene.counts(), Counts { logins: 1, requests: 100, ..Counts::default() });
}

async fn a_rejected_request_is_renewed_and_sent_again_once(http: Http) {
    let scene = Scene::new(http).await;
    let client = scene.client(&scene.signed_in(Place::Bearer));
    scene.auth.end_access();
    let request =
        Request::post(scene.url("/order?id=1")).header("x-own", "mine").body(Full::<Bytes>::from("two apples"));
    let answer = client.oneshot(request.unwrap()).await.unwrap();
    assert_eq!((answer.status(), &*text(answer).await), (StatusCode::OK, "welcome"));
    assert_eq!(scene.counts(), Counts { refreshes: 1, requests: 2, rejected: 1, ..Counts::default() });

    let sends: Vec<_> = scene
        .api
        .seen()
        .into_iter()
        .map(|mut sent| {
            let token = sent.headers_mut().remove(header::AUTHORIZATION).unwrap();
            (token, sent.method().clone(), sent.uri().clone(), sent.version(), sent.headers().clone(), sent.into_body())
        })
        .collect();
    let [(first, ..), (second, ..)] = &sends[..] else { panic!("two sends") };
    assert_eq!((first, second), (&"Bearer access-7".parse().unwrap(), &"Bearer access-8".parse().unwrap()));
    let [first, second] = [0, 1].map(|at| {
        let (_, method, uri, version, headers, body) = &sends[at];
        (method, uri, version, headers, body)
    });
    assert_eq!(first, second);
    assert_eq!((first.3["x-own"].as_bytes(), &**first.4), (&b"mine"[..], &b"two apples"[..]));
}

async fn a_rejected_query_token_is_renewed_and_sent_again_once(http: Http) {
    let scene = Scene::new(http).await;
    let client = scene.client(&scene.signed_in(Place::Query));
    scene.auth.end_access();
    assert_eq!(client.oneshot(scene.get("/a?b=%20c")).await.unwrap().status(), StatusCode::OK);
    assert_eq!(scene.counts(), Counts { refreshes: 1, requests: 2, rejected: 1, ..Counts::default() });
    let queries: Vec<_> = scene.api.seen().iter().map(|sent| sent.uri().query().unwrap().to_owned()).collect();
    assert_eq!(queries, ["b=%20c&token=access-7", "b=%20c&token=access-8"]);
}

async fn a_second_rejection_is_handed_back(http: Http) {
    let scene = Scene::new(http).await;
    let client = scene.client(&scene.signed_in(Place::Bearer));
    scene.api_answers(|_| answer(StatusCode::UNAUTHORIZED, "never"));
    let answer = client.oneshot(scene.get("/")).await.unwrap();
    assert_eq!((answer.status(), &*text(answer).await), (StatusCode::UNAUTHORIZED, "never"));
    assert_eq!(scene.counts(), Counts { refreshes: 1, requests: 2, rejected: 2, ..Counts::default() });
}

async fn a_body_in_memory_goes_out_with_its_length(http: Http) {
    let scene = Scene::new(http).await;
    let client = scene.client(&scene.signed_in(Place::Bearer));
    client.clone().oneshot(Request::post(scene.url("/")).body(Full::<Bytes>::from("five!")).unwrap()).await.unwrap();
    client.oneshot(scene.get("/")).await.unwrap();
    let empty = AuthRefreshLayer::new(scene.signed_in(Place::Bearer)).layer(http.service());
    empty.oneshot(Request::get(scene.url("/")).body(Empty::<Bytes>::new()).unwrap()).await.unwrap();

    let framing: Vec<_> = scene
        .api
        .seen()
        .iter()
        .map(|sent| {
            let header =
                |name| sent.headers().get(name).map(|value: &http::HeaderValue| value.to_str().unwrap().to_owned());
            (header(header::CONTENT_LENGTH), header(header::TRANSFER_ENCODING), sent.body().len())
        })
        .collect();
    assert_eq!(framing, [(Some("5".to_owned()), None, 5), (None, None, 0), (None, None, 0)]);
}

async fn a_body_of_reqwest_goes_out_as_it_is(http: Http) {
    let scene = Scene::new(http).await;
    scene.auth.grant(1);
    let client = scene.http.service();
    let request = Request::post(scene.url("/")).body(reqwest::Body::from("as it is")).unwrap();
    client.oneshot(request).await.unwrap();
    assert_eq!(
        (&scene.api.seen()[0].headers()[header::CONTENT_LENGTH], &**scene.api.seen()[0].body()),
        (&"8".parse().unwrap(), &b"as it is"[..])
    );
}

async fn an_answer_knows_its_url(http: Http) {
    let scene = Scene::new(http).await;
    let client = scene.client(&scene.signed_in(Place::Bearer));
    let called = scene.url("/a/b?c=d");
    let answer = client.oneshot(scene.get("/a/b?c=d")).await.unwrap();
    assert_eq!(reqwest::Response::from(answer).url().as_str(), called);
}

async fn the_url_of_an_answer_does_not_show_a_token_of_the_query(http: Http) {
    let scene = Scene::new(http).await;
    let client = scene.client(&scene.signed_in(Place::Query));
    scene.api_answers(|_| answer(StatusCode::NOT_FOUND, "no"));
    for path in ["/a", "/a?c=d&e=", "/a?token=own&c=d"] {
        let answer = client.clone().oneshot(scene.get(path)).await.unwrap();
        let called = scene.url(&path.replace("token=own&", ""));
        let answer = reqwest::Response::from(answer);
        assert_eq!(answer.url().as_str(), called);
        assert!(!format!("{answer:?} {:?}", answer.error_for_status_ref()).contains("access-7"));
    }
    assert!(scene.api.seen().iter().all(|sent| sent.uri().query().unwrap().contains("token=access-7")));
}

async fn an_answer_that_was_looked_into_can_be_read_by_reqwest(http: Http) {
    let scene = Scene::new(http).await;
    let provider = scene.reach(TestProvider::new().with_judged_body(true));
    let client = scene.client(&scene.sign_in(provider));
    scene.api_answers(|_| {
        let mut answer = answer(StatusCode::OK, r#"{"rejected":false,"data":1}"#);
        answer.headers_mut().insert(header::CONTENT_TYPE, "application/json".parse().unwrap());
        answer
    });
    let answer = client.oneshot(scene.get("/")).await.unwrap();
    assert_eq!(text(answer).await, r#"{"rejected":false,"data":1}"#);
}

async fn a_host_that_reqwest_writes_in_its_own_way_is_the_same_origin(http: Http) {
    let scene = Scene::new(http).await;
    let api = format!("http://127.1:{}/", scene.api_server.addr().port());
    let client = scene.client(&scene.sign_in(scene.reach(TestProvider::new()).with_origin(api.parse().unwrap())));
    scene.auth.end_access();
    let answer = client.oneshot(Request::get(api).body(Full::<Bytes>::default()).unwrap()).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(scene.counts(), Counts { refreshes: 1, requests: 2, rejected: 1, ..Counts::default() });
}

async fn a_redirect_to_the_login_page_is_a_rejection(http: Http) {
    let clock = DemoClock::new();
    let api = Loopback::new(AccuatApi::new().refusing_by(Refusal::Redirect), clock.clone());
    let server = serve_loopback(api.clone()).await.unwrap();
    let provider = Accuat::new(server.uri()).login(AccuatApi::APP_ID, AccuatApi::SECRET_KEY);
    let reqwest = ReqwestService::new(http.client()).unwrap();
    let session = Session::builder(provider).transport(reqwest.clone()).clock(clock).allow_http(true).build().unwrap();
    let client = AuthRefreshLayer::new(session).layer(reqwest);
    for revoke in [false, true] {
        if revoke {
            api.revoke();
        }
        let request = Request::get(format!("{}stores", server.uri())).body(Full::<Bytes>::default()).unwrap();
        assert_eq!(client.clone().oneshot(request).await.unwrap().status(), StatusCode::OK);
    }
    let expected =
        LoopbackCounts { api_requests: 3, accepted: 2, rejected: 1, logins: 1, refreshes: 1, ..Default::default() };
    assert_eq!(api.counts(), expected);
}

async fn an_envelope_that_refuses_is_a_rejection(http: Http) {
    let clock = DemoClock::new();
    let api = Loopback::new(QuectelApi::new(), clock.clone());
    let server = serve_loopback(api.clone()).await.unwrap();
    let domain = UserDomain::new(QuectelApi::USER_DOMAIN, QuectelApi::USER_DOMAIN_SECRET);
    let provider =
        Quectel::europe().base_url(server.uri()).email_login(QuectelApi::EMAIL, QuectelApi::PASSWORD, domain);
    let reqwest = ReqwestService::new(http.client()).unwrap();
    let session = Session::builder(provider).transport(reqwest.clone()).clock(clock).allow_http(true).build().unwrap();
    let client = AuthRefreshLayer::new(session).layer(reqwest);
    for revoke in [false, true] {
        if revoke {
            api.revoke();
        }
        let request = Request::get(format!("{}v2/devices", server.uri())).body(Full::<Bytes>::default()).unwrap();
        let answer = client.clone().oneshot(request).await.unwrap();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(serde_json::from_slice::<serde_json::Value>(&body).unwrap()["code"], 200);
    }
    let expected =
        LoopbackCounts { api_requests: 3, accepted: 2, rejected: 1, logins: 1, refreshes: 1, ..Default::default() };
    assert_eq!(api.counts(), expected);
}

async fn the_request_keeps_the_version_of_its_connection(http: Http) {
    let scene = Scene::new(http).await;
    let client = scene.client(&scene.signed_in(Place::Bearer));
    let answer = client.oneshot(scene.get("/")).await.unwrap();
    let version = match http {
        Http::One => Version::HTTP_11,
        Http::Two => Version::HTTP_2,
    };
    assert_eq!((answer.version(), scene.api.seen()[0].version(), scene.auth.counts().calls()), (version, version, 0));
}
