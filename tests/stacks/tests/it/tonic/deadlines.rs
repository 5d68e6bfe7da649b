//! The time that a caller gives a call.

#![allow(clippy::disallowed_methods, reason = "paused time")]

use std::{convert::Infallible, time::Duration};

use bytes::Bytes;
use futures::{StreamExt, stream};
use http::HeaderMap;
use http_body::Frame;
use http_body_util::StreamBody;
use tokio::time::Instant;
use tonic::{Code, Request, Status, body::Body};
use tower::Layer;

use super::{
    codec::framed,
    scene::{Scene, answer, send, unary},
};

fn within(timeout: Duration) -> Request<Bytes> {
    let mut request = Request::new(Bytes::from("hello"));
    request.set_timeout(timeout);
    request
}

fn is_timeout(status: &Status) {
    assert_eq!((status.code(), status.message()), (Code::Cancelled, "Timeout expired"));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_takes_too_long_ends_the_call_as_it_does_without_the_layer() {
    let scene = Scene::in_memory();
    scene.session.token().await.unwrap();
    scene.api.hold();
    for is_layered in [false, true] {
        // Without the layer it is a token of the caller's own.
        let mut request = within(Duration::from_millis(500));
        let begun = Instant::now();
        let result = if is_layered {
            send(scene.client(), request).await
        } else {
            request.metadata_mut().insert("authorization", "Bearer access-1".parse().unwrap());
            send(scene.channel.clone(), request).await
        };
        is_timeout(&result.unwrap_err());
        assert_eq!(begun.elapsed().as_millis(), 500);
    }
    assert_eq!(scene.counts(), (2, 0, 1, 0));
}

#[tokio::test(start_paused = true)]
async fn the_wait_for_a_first_token_is_part_of_the_time_and_the_login_goes_on() {
    let scene = Scene::in_memory();
    scene.idp.gate().hold();
    let begun = Instant::now();
    is_timeout(&send(scene.client(), within(Duration::from_secs(2))).await.unwrap_err());
    assert_eq!(begun.elapsed().as_secs(), 2);
    assert_eq!(scene.counts(), (0, 0, 1, 0));

    scene.idp.gate().release();
    unary(scene.client(), "hello").await.unwrap();
    assert_eq!(scene.counts(), (1, 0, 1, 0));
}

#[tokio::test(start_paused = true)]
async fn the_wait_for_the_next_token_is_part_of_the_time() {
    let scene = Scene::in_memory();
    let client = scene.with_revoked_token().await;
    scene.idp.gate().hold();
    let begun = Instant::now();
    is_timeout(&send(client, within(Duration::from_secs(2))).await.unwrap_err());
    assert_eq!(begun.elapsed().as_secs(), 2);
    assert_eq!(scene.counts(), (1, 1, 2, 0));
}

#[tokio::test(start_paused = true)]
async fn a_call_without_a_deadline_waits_as_long_as_the_session_lets_it() {
    let scene = Scene::in_memory();
    scene.idp.gate().hold();
    let begun = Instant::now();
    let status = unary(scene.client(), "hello").await.unwrap_err();
    assert_eq!((status.code(), begun.elapsed().as_secs()), (Code::Unavailable, 30));
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_has_begun_in_time_may_take_longer_as_it_may_without_the_layer() {
    let scene = Scene::in_memory();
    scene.session.token().await.unwrap();
    let layer = scene.layer().unary(["/scene.Echo/Unary"]);
    let message = stream::once(async {
        tokio::time::sleep(Duration::from_millis(800)).await;
        Ok::<_, Infallible>(Frame::data(framed(b"late")))
    });
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", "0".parse().unwrap());
    let end = stream::iter([Ok(Frame::trailers(trailers))]);
    scene.api.answer(answer(Body::new(StreamBody::new(message.chain(end)))));
    let answer = send(layer.layer(scene.channel.clone()), within(Duration::from_millis(500))).await.unwrap();
    assert_eq!(answer.into_inner(), "late");
}
