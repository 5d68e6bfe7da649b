//! Errors of reqwest arrive as they are, and show no token.

use std::{
    future::{pending, ready},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use futures::{StreamExt, future::join, stream};
use http::{Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Incoming;
use tokio::sync::Notify;
use tower::{BoxError, Layer, ServiceExt, service_fn};
use tower_auth_refresh::{
    AuthRefreshLayer, Error,
    integrations::reqwest::ReqwestService,
    replay::Never,
    test_util::{Place, TestProvider},
};

use crate::support::{
    reqwest_scene::{
        Client, Counts, Http, Result, Scene, TIMEOUT, answer, causes, over_both, reqwest_error, shown,
        timeout_passes_after,
    },
    serve::{Closed, serve},
};

over_both!(
    a_timeout_of_the_client_is_a_timeout,
    a_timeout_of_the_request_holds_for_the_replay_as_well,
    a_refused_connection_is_a_connect_error,
    a_request_that_reqwest_does_not_send_is_a_builder_error,
    an_error_keeps_its_url_where_the_token_is_no_part_of_it,
    a_timeout_of_a_request_with_a_query_token_does_not_show_it,
    a_refused_connection_of_a_request_with_a_query_token_does_not_show_it,
    an_error_whose_cause_shows_the_query_token_is_replaced,
    a_stalled_answer_is_a_timeout,
    an_answer_that_breaks_off_is_an_error_of_reqwest,
);

/// The error of a request that the API never answers.
async fn timed_out(scene: &Scene, place: Place) -> Error {
    scene.api.gate().hold();
    let service = ReqwestService::new(scene.http.client().timeout(TIMEOUT)).unwrap();
    let client = AuthRefreshLayer::new(scene.signed_in(place)).layer(service);
    let has_arrived = || scene.api.counts().requests == 1;
    join(client.oneshot(scene.get("/")), timeout_passes_after(has_arrived)).await.0.unwrap_err()
}

/// A client of an API at which nobody listens.
fn unreachable(scene: &Scene, place: Place, closed: &Closed) -> Client {
    let provider = TestProvider::placed(place).with_origin(closed.url("").parse().unwrap());
    scene.client(&scene.sign_in(provider.with_token_endpoint(scene.idp_server.base())))
}

async fn a_timeout_of_the_client_is_a_timeout(http: Http) {
    let scene = Scene::new(http).await;
    let error = timed_out(&scene, Place::Bearer).await;
    assert!(error.is_service());
    let error = reqwest_error(error);
    assert!(error.is_timeout() && error.is_request() && !error.is_connect());
    assert_eq!(scene.counts(), Counts { requests: 1, ..Counts::default() });
}

async fn a_timeout_of_the_request_holds_for_the_replay_as_well(http: Http) {
    let scene = Scene::new(http).await;
    let sends = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&sends);
    // The first send is rejected, and the second never answered.
    let api = serve(service_fn(move |_: Request<Incoming>| {
        let is_first = count.fetch_add(1, Ordering::SeqCst) == 0;
        async move { if is_first { Ok(answer(StatusCode::UNAUTHORIZED, "")) } else { pending::<Result<_>>().await } }
    }))
    .await;
    let client = scene.client(&scene.sign_in(scene.reach(TestProvider::new()).with_origin(api.uri())));
    let request = http.client().build().unwrap().get(api.url("/")).timeout(TIMEOUT).build().unwrap();
    let request = Request::<reqwest::Body>::try_from(request).unwrap().map(|_| Full::<Bytes>::default());
    let is_replayed = || sends.load(Ordering::SeqCst) == 2;
    let (answer, ()) = join(client.oneshot(request), timeout_passes_after(is_replayed)).await;
    assert!(reqwest_error(answer.unwrap_err()).is_timeout());
    assert_eq!((sends.load(Ordering::SeqCst), scene.auth.counts().refreshes), (2, 1));
}

async fn a_refused_connection_is_a_connect_error(http: Http) {
    let (scene, closed) = (Scene::new(http).await, Closed::new());
    let client = unreachable(&scene, Place::Bearer, &closed);
    let error = reqwest_error(client.oneshot(get(&closed.url("/"))).await.unwrap_err());
    assert!(error.is_connect() && error.is_request() && !error.is_timeout());
    assert_eq!(scene.counts(), Counts::default());
}

async fn a_request_that_reqwest_does_not_send_is_a_builder_error(http: Http) {
    let scene = Scene::new(http).await;
    let client = scene.client(&scene.signed_in(Place::Bearer));
    for uri in ["/relative", "ftp://api.test/"] {
        let error = reqwest_error(client.clone().oneshot(get(uri)).await.unwrap_err());
        assert!(error.is_builder(), "{uri}");
    }
    assert_eq!(scene.counts(), Counts::default());
}

async fn an_error_keeps_its_url_where_the_token_is_no_part_of_it(http: Http) {
    let (scene, closed) = (Scene::new(http).await, Closed::new());
    for place in [Place::Bearer, Place::Cookie, Place::Signed] {
        let client = unreachable(&scene, place, &closed);
        let error = reqwest_error(client.oneshot(get(&closed.url("/path?query"))).await.unwrap_err());
        assert_eq!(error.url().unwrap().as_str(), closed.url("/path?query"));
        assert!(!shown(&error).contains("access-7"));
    }
}

async fn a_timeout_of_a_request_with_a_query_token_does_not_show_it(http: Http) {
    let scene = Scene::new(http).await;
    let error = timed_out(&scene, Place::Query).await;
    assert!(!shown(&error).contains("access-7"), "{error:?}");
    let error = reqwest_error(error);
    assert!(error.is_timeout() && error.is_request());
    assert_eq!((error.url(), scene.api.seen()[0].uri().query()), (None, Some("token=access-7")));
}

async fn a_refused_connection_of_a_request_with_a_query_token_does_not_show_it(http: Http) {
    let (scene, closed) = (Scene::new(http).await, Closed::new());
    let client = unreachable(&scene, Place::Query, &closed);
    let error = client.oneshot(get(&closed.url("/"))).await.unwrap_err();
    assert!(!shown(&error).contains("access-7"), "{error:?}");
    assert!(reqwest_error(error).is_connect());
}

async fn an_error_whose_cause_shows_the_query_token_is_replaced(http: Http) {
    let scene = Scene::new(http).await;
    let client = AuthRefreshLayer::new(scene.signed_in(Place::Query)).replay::<Never>().layer(http.service());
    let broken: Result<Frame<Bytes>> = Err("cannot read access-7".into());
    let body = StreamBody::new(stream::iter([piece("begun"), broken]));
    let error = client.oneshot(Request::put(scene.url("/")).body(body).unwrap()).await.unwrap_err();
    assert!(error.is_service());
    assert!(!shown(&error).contains("access-7"), "{error:?}");
}

async fn a_stalled_answer_is_a_timeout(http: Http) {
    let scene = Scene::new(http).await;
    let body = || stream::iter([piece("begun")]).chain(stream::pending());
    let api =
        serve(service_fn(
            move |_: Request<Incoming>| async move { Result::Ok(Response::new(StreamBody::new(body()))) },
        ));
    let api = api.await;
    let session = scene.sign_in(scene.reach(TestProvider::placed(Place::Query)).with_origin(api.uri()));
    let service = ReqwestService::new(http.client().timeout(TIMEOUT)).unwrap();
    let client = AuthRefreshLayer::new(session).layer(service);
    let answer = client.oneshot(get(&api.url("/"))).await.unwrap();
    let mut body = answer.into_body();
    assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "begun");
    timeout_passes_after(|| true).await;
    let error = body.frame().await.unwrap().unwrap_err();
    assert!(error.is_timeout() && error.is_body());
    assert!(!shown(&error).contains("access-7"), "{error:?}");
}

async fn an_answer_that_breaks_off_is_an_error_of_reqwest(http: Http) {
    let scene = Scene::new(http).await;
    let breaks = Arc::new(Notify::new());
    let breaking = Arc::clone(&breaks);
    let api = serve(service_fn(move |_: Request<Incoming>| {
        let breaking = Arc::clone(&breaking);
        let broken = stream::once(async move {
            breaking.notified().await;
            Err(BoxError::from("broken"))
        });
        ready(Result::Ok(Response::new(StreamBody::new(stream::iter([piece("begun")]).chain(broken)))))
    }))
    .await;
    let session = scene.sign_in(scene.reach(TestProvider::placed(Place::Query)).with_origin(api.uri()));
    let client = scene.client(&session);
    let answer = client.clone().oneshot(get(&api.url("/"))).await.unwrap();
    breaks.notify_one();
    let error = answer.into_body().collect().await.unwrap_err();
    assert!(error.is_body() && !error.is_timeout());
    assert!(!shown(&error).contains("access-7"), "{error:?}");

    // reqwest names the URL of the answer in what it makes of that.
    let answer = reqwest::Response::from(client.oneshot(get(&api.url("/"))).await.unwrap());
    breaks.notify_one();
    let error = answer.text().await.unwrap_err();
    assert!(error.is_decode());
    // No more of them than the two that reqwest makes of it.
    assert_eq!(causes(&error).filter(|cause| cause.is::<reqwest::Error>()).count(), 2);
    assert_eq!(error.url().unwrap().as_str(), api.url("/"));
    assert!(!shown(&error).contains("access-7"), "{error:?}");
}

fn get(uri: &str) -> Request<Full<Bytes>> {
    Request::get(uri).body(Full::default()).unwrap()
}

fn piece(data: &'static str) -> Result<Frame<Bytes>> {
    Ok(Frame::data(Bytes::from(data)))
}
