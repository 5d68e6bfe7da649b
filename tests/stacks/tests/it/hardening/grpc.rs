//! Calls that take longer, are read sooner, or panic where they did not.

#![allow(clippy::disallowed_methods, reason = "paused time")]

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures::stream;
use http_body::Frame;
use http_body_util::StreamBody;
use tokio::time::Instant;
use tonic::{Code, body::Body, client::Grpc};
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_auth_refresh::{extensions::Credentials, integrations::tonic::GrpcAuthLayer};

use crate::tonic::{
    codec::{Raw, framed},
    scene::{Scene, answer, method, request, send},
    server::Refusal,
};

fn within(timeout: Duration) -> tonic::Request<Bytes> {
    let mut request = tonic::Request::new(Bytes::from("hello"));
    request.set_timeout(timeout);
    request
}

/// A server that takes 800 ms for each answer, behind a channel that keeps the deadline for each send as tonic's does.
fn slow()
-> impl Service<http::Request<Body>, Response = http::Response<Body>, Error = tower::BoxError, Future: Send> + Clone {
    service_fn(|request: http::Request<Body>| async move {
        let is_good = request.headers()["authorization"] != "Bearer access-1";
        let work = tokio::time::sleep(Duration::from_millis(800));
        tokio::time::timeout(Duration::from_secs(1), work).await.map_err(|_| tonic::TimeoutExpired(()))?;
        let mut answer = answer(Body::empty());
        let status = if is_good { "0" } else { "16" };
        answer.headers_mut().insert("grpc-status", status.parse().unwrap());
        Ok(answer)
    })
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_sent_again_ends_at_its_deadline() {
    let scene = Scene::in_memory();
    scene.session.token().await.unwrap();
    let begun = Instant::now();
    let status = send(scene.layer().layer(slow()), within(Duration::from_secs(1))).await.unwrap_err();
    assert_eq!(begun.elapsed().as_millis(), 1000);
    assert_eq!((status.code(), status.message()), (Code::Cancelled, "Timeout expired"));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_has_waited_for_its_token_ends_at_its_deadline() {
    let scene = Scene::in_memory();
    scene.idp.gate().hold();
    let gate = scene.idp.gate().clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(800)).await;
        gate.release();
    });
    scene.api.hold();
    let begun = Instant::now();
    let status = send(scene.client(), within(Duration::from_secs(1))).await.unwrap_err();
    assert_eq!((status.code(), begun.elapsed().as_millis()), (Code::Cancelled, 1000));
}

/// A message that counts how often it is asked for.
fn counted(polls: &Arc<AtomicUsize>) -> Body {
    let polls = Arc::clone(polls);
    Body::new(StreamBody::new(stream::once(async move {
        polls.fetch_add(1, Ordering::SeqCst);
        Ok::<_, Infallible>(Frame::data(framed(b"hello")))
    })))
}

#[tokio::test]
async fn a_call_that_opted_out_is_not_read_before_its_connection_asks_for_it() {
    let scene = Scene::start().await;
    let polls = Arc::default();
    let mut request = request("/scene.Echo/Unary", counted(&polls));
    request.extensions_mut().insert(Credentials::Omit);
    let mut client =
        scene.layer().layer(service_fn(|_: http::Request<Body>| async { Ok::<_, Infallible>(answer(Body::empty())) }));
    drop(client.ready().await.unwrap().call(request));
    assert_eq!(polls.load(Ordering::SeqCst), 0, "it passes untouched");
}

#[tokio::test]
async fn a_call_that_is_never_sent_again_is_not_read_before_its_connection_asks_for_it() {
    let scene = Scene::start().await;
    scene.session.token().await.unwrap();
    let polls = Arc::default();
    let mut client = scene
        .layer()
        .replays(0)
        .layer(service_fn(|_: http::Request<Body>| async { Ok::<_, Infallible>(answer(Body::empty())) }));
    drop(client.ready().await.unwrap().call(request("/scene.Echo/Unary", counted(&polls))));
    assert_eq!(polls.load(Ordering::SeqCst), 0, "nothing is kept of what is not sent again");
}

/// A name without a service is no method's.
#[tokio::test(start_paused = true)]
async fn a_name_without_a_service_holds_no_stream_back() {
    let scene = Scene::in_memory();
    scene.api.hold();
    scene.session.token().await.unwrap();
    let layer: GrpcAuthLayer<_> = scene.layer().unary(["/Repeat"]);
    let begun = Instant::now();
    let mut client = Grpc::new(layer.layer(scene.channel.clone()));
    client.ready().await.unwrap();
    let request = tonic::Request::new(Bytes::from("hello"));
    let _answers = client.server_streaming(request, method("/scene.Echo/Repeat"), Raw).await.unwrap();
    assert!(begun.elapsed().is_zero(), "held back for {:?}", begun.elapsed());
}

/// As a proxy has it, whose message is on its way here when the call is made.
#[tokio::test]
async fn a_named_unary_call_whose_message_comes_later_is_sent_again() {
    let scene = Scene::start().await;
    scene.api.refuse(Refusal::Afterwards);
    scene.session.token().await.unwrap();
    scene.api.accept(2);
    let message = stream::once(async {
        tokio::task::yield_now().await;
        Ok::<_, Infallible>(Frame::data(framed(b"hello")))
    });
    let client = scene.layer().unary(["/scene.Echo/Unary"]).layer(scene.channel.clone());
    let call = request("/scene.Echo/Unary", Body::new(StreamBody::new(message)));
    let _ = client.oneshot(call).await.unwrap();
    assert_eq!(scene.counts(), (2, 1, 2, 1));
}
