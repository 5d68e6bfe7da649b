//! Status behind a message, and trailers that nobody touches.

#![allow(clippy::disallowed_methods, reason = "paused time")]

use std::{convert::Infallible, time::Duration};

use bytes::Bytes;
use futures::{StreamExt, stream};
use http::{HeaderMap, Response};
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody};
use tonic::{Code, Status, body::Body};
use tower::{Layer, Service, ServiceExt};
use tower_auth_refresh::{
    Session,
    integrations::tonic::GrpcAuthLayer,
    test_util::{TestClock, TestProvider},
};

use super::{
    codec::framed,
    scene::{Guarded, Scene, answer, repeat, request, unary},
};

const UNARY: &str = "/scene.Echo/Unary";

fn trailers(status: &'static str) -> HeaderMap {
    let trailers = [("grpc-status", status), ("x-cost", "3"), ("x-sum-bin", "AAEC")];
    trailers.map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).into_iter().collect()
}

/// A message, and trailers behind it.
fn closed(message: &[u8], status: &'static str) -> Response<Body> {
    let frames = [Frame::data(framed(message)), Frame::trailers(trailers(status))];
    answer(Body::new(StreamBody::new(stream::iter(frames.map(Ok::<_, Infallible>)))))
}

/// The same, with this much time before the trailers.
fn slow(message: &[u8], pause: Duration) -> Response<Body> {
    let pause = stream::once(async move {
        tokio::time::sleep(pause).await;
        Ok(Frame::trailers(trailers("16")))
    });
    let message = stream::iter([Ok::<_, Infallible>(Frame::data(framed(message)))]);
    answer(Body::new(StreamBody::new(message.chain(pause))))
}

impl Scene {
    fn knowing_unary(&self) -> Guarded {
        self.layer().unary([UNARY]).layer(self.channel.clone())
    }
}

#[tokio::test]
async fn status_16_behind_the_message_of_a_named_method_is_a_rejection() {
    let scene = Scene::start().await;
    scene.session.token().await.unwrap();
    scene.api.accept(2);
    scene.api.answer(closed(b"half an answer", "16"));
    assert_eq!(unary(scene.knowing_unary(), "hello").await.unwrap().into_inner(), "hello");
    assert_eq!(scene.api.tokens(), [Some("access-1".into()), Some("access-2".into())]);
    assert_eq!((scene.idp.counts().calls(), scene.session.status().replays), (2, 1));
}

#[tokio::test]
async fn status_16_behind_the_message_of_any_other_method_goes_on_as_it_came() {
    let scene = Scene::start().await;
    scene.api.answer(closed(b"half an answer", "16"));
    let status = unary(scene.client(), "hello").await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
    assert_eq!(scene.counts(), (1, 0, 1, 0));

    scene.api.answer(closed(b"one of many", "16"));
    let client = scene.knowing_unary();
    let mut answers = repeat(client, b"hello").await.unwrap().into_inner();
    assert_eq!(answers.message().await.unwrap().unwrap(), "one of many");
    assert_eq!(answers.message().await.unwrap_err().code(), Code::Unauthenticated);
    assert_eq!(scene.counts(), (2, 0, 1, 0));
}

#[tokio::test]
async fn a_named_method_is_judged_by_no_other_status_behind_its_message() {
    let scene = Scene::start().await;
    for (status, code) in [("7", Code::PermissionDenied), ("14", Code::Unavailable), ("2", Code::Unknown)] {
        scene.api.answer(closed(b"half an answer", status));
        assert_eq!(unary(scene.knowing_unary(), "hello").await.unwrap_err().code(), code);
    }
    assert_eq!(scene.counts(), (3, 0, 1, 0));
}

#[tokio::test]
async fn a_replay_that_is_rejected_behind_its_message_is_the_last() {
    let scene = Scene::start().await;
    scene.api.answer(closed(b"first", "16"));
    scene.api.answer(closed(b"second", "16"));
    let message = Body::new(Full::new(framed(b"hello")));
    let answer = scene.knowing_unary().oneshot(request(UNARY, message)).await.unwrap();
    assert_eq!(whole(answer).await, (framed(b"second"), Some(trailers("16"))));
    assert_eq!(scene.counts(), (2, 0, 2, 1));
}

/// Data and trailers of an answer.
async fn whole<B: http_body::Body>(answer: Response<B>) -> (Bytes, Option<HeaderMap>)
where
    B::Error: std::fmt::Debug,
{
    let body = answer.into_body().collect().await.unwrap();
    let trailers = body.trailers().cloned();
    (body.to_bytes(), trailers)
}

#[tokio::test]
async fn message_and_trailers_of_a_named_method_come_as_they_were_sent() {
    let scene = Scene::start().await;
    for client in [scene.knowing_unary(), scene.client()] {
        scene.api.answer(closed(b"an answer", "0"));
        let answer = client.oneshot(request(UNARY, Body::empty())).await.unwrap();
        assert_eq!(answer.headers()["content-type"], "application/grpc");
        assert_eq!(whole(answer).await, (framed(b"an answer"), Some(trailers("0"))));
    }
}

#[tokio::test]
async fn generated_clients_find_the_trailers_where_they_look_for_them() {
    let scene = Scene::start().await;
    for client in [scene.knowing_unary(), scene.client()] {
        scene.api.answer(closed(b"an answer", "0"));
        let answer = unary(client, "hello").await.unwrap();
        assert_eq!(answer.metadata().get("x-cost").unwrap(), "3");
        assert_eq!(answer.metadata().get_bin("x-sum-bin").unwrap().to_bytes().unwrap()[..], [0, 1, 2]);
    }
    scene.api.answer(closed(b"an answer", "0"));
    let mut answers = repeat(scene.client(), b"hello").await.unwrap().into_inner();
    assert_eq!(answers.message().await.unwrap().unwrap(), "an answer");
    assert_eq!(answers.trailers().await.unwrap().unwrap().get("x-cost").unwrap(), "3");
}

#[tokio::test]
async fn an_answer_over_the_limit_goes_on_whatever_status_is_behind_it() {
    let scene = Scene::start().await;
    let message = vec![7; 70_000];
    scene.api.answer(closed(&message, "16"));
    let answer = scene.knowing_unary().oneshot(request(UNARY, Body::empty())).await.unwrap();
    assert!(whole(answer).await == (framed(&message), Some(trailers("16"))));
    assert_eq!(scene.counts(), (1, 0, 1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_status_that_takes_longer_than_a_second_is_not_waited_for() {
    let scene = Scene::in_memory();
    scene.session.token().await.unwrap();
    scene.api.answer(slow(b"an answer", Duration::from_secs(60)));
    let begun = tokio::time::Instant::now();
    let answer = scene.knowing_unary().oneshot(request(UNARY, Body::empty())).await.unwrap();
    assert_eq!(begun.elapsed().as_secs(), 1);
    assert_eq!(whole(answer).await, (framed(b"an answer"), Some(trailers("16"))));
    assert_eq!(begun.elapsed().as_secs(), 60);
    assert_eq!(scene.counts(), (1, 0, 1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_status_that_takes_less_is_waited_for() {
    let scene = Scene::in_memory();
    scene.session.token().await.unwrap();
    scene.api.accept(2);
    scene.api.answer(slow(b"an answer", Duration::from_millis(900)));
    assert_eq!(unary(scene.knowing_unary(), "hello").await.unwrap().into_inner(), "hello");
    assert_eq!((scene.api.calls().len(), scene.idp.counts().calls()), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn the_answer_to_a_method_that_is_not_named_is_not_waited_for() {
    let scene = Scene::in_memory();
    scene.session.token().await.unwrap();
    scene.api.answer(slow(b"an answer", Duration::from_secs(60)));
    let begun = tokio::time::Instant::now();
    scene.client().oneshot(request(UNARY, Body::empty())).await.unwrap();
    assert!(begun.elapsed().is_zero());
}

#[tokio::test(start_paused = true)]
async fn of_a_named_method_no_head_is_held_back_that_has_a_status_or_is_not_of_grpc() {
    let scene = Scene::in_memory();
    scene.session.token().await.unwrap();
    let begun = tokio::time::Instant::now();
    for (name, value) in [("grpc-status", "0"), ("grpc-status", "7"), ("content-type", "text/html")] {
        let mut answer = slow(b"an answer", Duration::from_secs(60));
        answer.headers_mut().insert(name, value.parse().unwrap());
        scene.api.answer(answer);
        let answer = scene.knowing_unary().oneshot(request(UNARY, Body::empty())).await.unwrap();
        assert_eq!(answer.headers()[name], value);
    }
    assert!(begun.elapsed().is_zero());
}

#[tokio::test(start_paused = true)]
async fn no_head_is_held_back_because_the_provider_looks_into_bodies() {
    let scene = Scene::in_memory();
    let provider = TestProvider::new().with_judged_body(true);
    let session = Session::builder(provider).transport(scene.idp.clone()).clock(TestClock::new()).build().unwrap();
    session.token().await.unwrap();
    let layer = GrpcAuthLayer::new(session).fixed_peer();
    let begun = tokio::time::Instant::now();
    for layer in [layer.clone(), layer.unary([UNARY])] {
        let mut answer = slow(b"{}", Duration::from_secs(60));
        answer.headers_mut().insert("content-type", "application/json".parse().unwrap());
        scene.api.answer(answer);
        layer.layer(scene.channel.clone()).oneshot(request(UNARY, Body::empty())).await.unwrap();
    }
    assert!(begun.elapsed().is_zero());
}

#[tokio::test]
async fn a_stream_that_breaks_off_while_its_status_is_waited_for_ends_as_it_does_without_the_layer() {
    let scene = Scene::start().await;
    let broken = || {
        let frames = [Ok(Frame::data(framed(b"an answer"))), Err(Status::internal("broke off"))];
        answer(Body::new(StreamBody::new(stream::iter(frames))))
    };
    scene.api.answer(broken());
    let expected = unary(scene.channel.clone(), "hello").await.unwrap_err();
    scene.api.answer(broken());
    let status = unary(scene.knowing_unary(), "hello").await.unwrap_err();
    assert_eq!((status.code(), status.message()), (expected.code(), expected.message()));
}

#[tokio::test]
async fn naming_methods_again_takes_the_place_of_the_names_before() {
    let scene = Scene::start().await;
    let layer = GrpcAuthLayer::new(scene.session.clone()).fixed_peer().unary([UNARY]).unary(["/scene.Echo/Other"]);
    let mut client = layer.layer(scene.channel.clone());
    scene.api.answer(closed(b"an answer", "16"));
    let answer = client.ready().await.unwrap().call(request(UNARY, Body::empty())).await;
    assert_eq!(whole(answer.unwrap()).await, (framed(b"an answer"), Some(trailers("16"))));
    assert_eq!(scene.counts(), (1, 0, 1, 0));
}
