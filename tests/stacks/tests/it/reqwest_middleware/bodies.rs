//! Which bodies are sent again, and at what cost.

use bytes::Bytes;
use futures::stream;
use http::StatusCode;
use reqwest::Body;
use reqwest_middleware::ClientWithMiddleware;
use tower_auth_refresh::{
    AuthRefreshLayer,
    integrations::reqwest_middleware::AuthRefreshMiddleware,
    replay::{Buffered, Never},
    test_util::{Place, TestProvider},
};

use super::support::{Witness, builder};
use crate::support::reqwest_scene::{Counts, Http, Scene, over_both};

over_both!(
    a_body_in_memory_is_sent_again_whatever_its_size_and_never_copied,
    a_request_without_a_body_stays_without_one,
    a_stream_is_sent_once_and_the_token_renewed,
    a_stream_is_sent_again_where_that_is_asked_for,
    a_stream_of_more_than_64_kib_is_sent_once_all_the_same,
    a_body_in_memory_is_sent_again_where_streams_are,
    a_body_in_memory_is_sent_once_where_that_is_asked_for,
);

const SENT_AGAIN: Counts = Counts { logins: 0, refreshes: 1, requests: 2, rejected: 1 };
const SENT_ONCE: Counts = Counts { requests: 1, ..SENT_AGAIN };

/// Sends `body` with a token that is rejected.
async fn send(scene: &Scene, layer: impl FnOnce(AuthRefreshLayer<TestProvider>) -> ClientWithMiddleware, body: Body) {
    let session = scene.signed_in(Place::Bearer);
    let client = layer(AuthRefreshLayer::new(session.clone()));
    scene.auth.end_access();
    let answer = client.put(scene.url("/")).body(body).send().await.unwrap();
    session.settled().await;
    let is_sent_again = scene.counts() == SENT_AGAIN;
    assert_eq!(answer.status(), if is_sent_again { StatusCode::OK } else { StatusCode::UNAUTHORIZED });
}

fn with<R>(scene: &Scene, layer: AuthRefreshLayer<TestProvider, R>) -> ClientWithMiddleware
where
    AuthRefreshMiddleware<TestProvider, R>: reqwest_middleware::Middleware,
{
    builder(scene).with(AuthRefreshMiddleware::from(layer)).build()
}

fn streamed(pieces: [Bytes; 2]) -> Body {
    Body::wrap_stream(stream::iter(pieces.into_iter().map(Ok::<_, std::io::Error>)))
}

async fn a_body_in_memory_is_sent_again_whatever_its_size_and_never_copied(http: Http) {
    let scene = Scene::new(http).await;
    let (body, witness) = (Bytes::from(vec![b'x'; 1024 * 1024]), Witness::default());
    let chain = |layer| builder(&scene).with(AuthRefreshMiddleware::from(layer)).with(witness.middleware()).build();
    send(&scene, chain, body.clone().into()).await;
    assert_eq!(scene.counts(), SENT_AGAIN);
    assert!(scene.api.seen().iter().all(|sent| *sent.body() == body));
    let at = Some((body.as_ptr() as usize, body.len()));
    assert_eq!(witness.seen().iter().map(|seen| seen.body).collect::<Vec<_>>(), [at, at]);
}

async fn a_request_without_a_body_stays_without_one(http: Http) {
    let scene = Scene::new(http).await;
    let witness = Witness::default();
    let session = scene.signed_in(Place::Bearer);
    let client = builder(&scene).with(AuthRefreshMiddleware::new(session)).with(witness.middleware()).build();
    scene.auth.end_access();
    client.get(scene.url("/")).send().await.unwrap();
    assert_eq!(witness.seen().iter().map(|seen| seen.body).collect::<Vec<_>>(), [None, None]);
    assert_eq!(scene.counts(), SENT_AGAIN);
}

async fn a_stream_is_sent_once_and_the_token_renewed(http: Http) {
    let scene = Scene::new(http).await;
    send(&scene, |layer| with(&scene, layer), streamed(["one, ".into(), "two".into()])).await;
    assert_eq!(scene.counts(), SENT_ONCE);
    assert_eq!(scene.api.seen()[0].body(), "one, two");
}

async fn a_stream_is_sent_again_where_that_is_asked_for(http: Http) {
    let scene = Scene::new(http).await;
    let body = streamed(["one, ".into(), "two".into()]);
    send(&scene, |layer| with(&scene, layer.replay::<Buffered>()), body).await;
    assert_eq!(scene.counts(), SENT_AGAIN);
    assert!(scene.api.seen().iter().all(|sent| sent.body() == "one, two"));
}

async fn a_stream_of_more_than_64_kib_is_sent_once_all_the_same(http: Http) {
    let scene = Scene::new(http).await;
    let body = streamed([vec![b'x'; 64 * 1024].into(), "x".into()]);
    send(&scene, |layer| with(&scene, layer.replay::<Buffered>()), body).await;
    assert_eq!((scene.counts(), scene.api.seen()[0].body().len()), (SENT_ONCE, 64 * 1024 + 1));
}

async fn a_body_in_memory_is_sent_again_where_streams_are(http: Http) {
    let scene = Scene::new(http).await;
    send(&scene, |layer| with(&scene, layer.replay::<Buffered>()), "in memory".into()).await;
    assert_eq!(scene.counts(), SENT_AGAIN);
    assert!(scene.api.seen().iter().all(|sent| sent.body() == "in memory"));
}

async fn a_body_in_memory_is_sent_once_where_that_is_asked_for(http: Http) {
    let scene = Scene::new(http).await;
    send(&scene, |layer| with(&scene, layer.replay::<Never>()), "in memory".into()).await;
    assert_eq!(scene.counts(), SENT_ONCE);
}
