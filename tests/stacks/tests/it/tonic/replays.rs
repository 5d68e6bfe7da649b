//! What is sent again, and that it is the same.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody};
use tonic::{Code, GrpcMethod, Status, body::Body, metadata::MetadataValue, transport::Server};
use tower::{Layer, ServiceExt, service_fn};
use tower_auth_refresh::integrations::tonic::GrpcAuthLayer;

use super::{
    codec::framed,
    scene::{Scene, request, send, unary},
    server::Refusal,
};

fn without_token(headers: &HeaderMap) -> HeaderMap {
    let mut headers = headers.clone();
    headers.remove("authorization").unwrap();
    headers
}

#[tokio::test]
async fn both_sends_are_the_same_but_for_the_token() {
    let scene = Scene::start().await;
    scene.api.refuse(Refusal::Afterwards);
    let mut request = tonic::Request::new(Bytes::from("hello"));
    request.set_timeout(Duration::from_secs(30));
    request.metadata_mut().append("x-many", "one".parse().unwrap());
    request.metadata_mut().append("x-many", "two".parse().unwrap());
    request.metadata_mut().insert_bin("x-trace-bin", MetadataValue::from_bytes(&[0, 255, 7]));
    send(scene.with_revoked_token().await, request).await.unwrap();

    let calls = scene.api.calls();
    let [first, second] = &calls[..] else { panic!("{} calls", calls.len()) };
    assert_eq!((first.token(), second.token()), (Some("access-1"), Some("access-2")));
    assert_eq!(without_token(&first.headers), without_token(&second.headers));
    assert_eq!((&first.path, &first.body), (&second.path, &second.body));

    let headers = &first.headers;
    assert_eq!((&first.path[..], &first.body), ("/scene.Echo/Unary", &framed(b"hello")));
    assert_eq!(headers["grpc-timeout"], "30000000u");
    assert_eq!(headers["te"], "trailers");
    assert_eq!(headers["content-type"], "application/grpc");
    assert_eq!(headers["x-trace-bin"], "AP8H");
    assert!(headers.get_all("x-many").iter().eq(["one", "two"]));
    assert!(!headers.contains_key("content-length"), "as tonic sends it");
}

#[tokio::test]
async fn the_flag_of_a_compressed_message_is_part_of_both_sends() {
    let scene = Scene::start().await;
    scene.api.refuse(Refusal::Afterwards);
    let compressed = Bytes::from_static(&[1, 0, 0, 0, 3, 9, 8, 7]);
    let mut request = request("/scene.Echo/Unary", Body::new(Full::new(compressed.clone())));
    request.headers_mut().insert("grpc-encoding", "gzip".parse().unwrap());
    scene.with_revoked_token().await.oneshot(request).await.unwrap();
    for call in scene.api.calls() {
        assert_eq!(call.headers["grpc-encoding"], "gzip");
        assert_eq!(call.body, compressed);
    }
    assert_eq!(scene.counts(), (2, 1, 2, 1));
}

#[tokio::test]
async fn a_request_over_64_kib_is_sent_once_and_whole() {
    let scene = Scene::start().await;
    scene.api.refuse(Refusal::Afterwards);
    let message = vec![7; 64 * 1024 - 4];
    let status = unary(scene.with_revoked_token().await, message.clone()).await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::Unauthenticated, "the token has expired"));
    assert!(scene.api.calls()[0].body == framed(&message));
    scene.session.settled().await;
    assert_eq!(scene.counts(), (1, 1, 2, 0));
}

#[tokio::test]
async fn a_request_of_64_kib_is_sent_again() {
    let scene = Scene::start().await;
    scene.api.refuse(Refusal::Afterwards);
    let message = vec![7; 64 * 1024 - 5];
    unary(scene.with_revoked_token().await, message.clone()).await.unwrap();
    assert!(scene.api.calls().iter().all(|call| call.body == framed(&message)));
    assert_eq!(scene.counts(), (2, 1, 2, 1));
}

#[tokio::test]
async fn the_limit_of_what_is_kept_can_be_set() {
    let scene = Scene::start().await;
    scene.with_revoked_token().await;
    let client = scene.layer().replay_limit(9).layer(scene.channel.clone());
    unary(client, "12345").await.unwrap_err();
    scene.session.settled().await;
    assert_eq!(scene.counts(), (1, 1, 2, 0));

    scene.api.accept(3);
    let client = scene.layer().replay_limit(1 << 20).layer(scene.channel.clone());
    assert_eq!(unary(client, vec![7; 1_000_000]).await.unwrap().into_inner().len(), 1_000_000);
    assert_eq!(scene.counts(), (3, 2, 3, 1));
}

#[tokio::test]
async fn how_often_a_call_is_sent_again_can_be_set() {
    let scene = Scene::start().await;
    scene.with_revoked_token().await;
    unary(scene.layer().replays(0).layer(scene.channel.clone()), "hello").await.unwrap_err();
    scene.session.settled().await;
    assert_eq!(scene.counts(), (1, 1, 2, 0));

    scene.api.accept(4);
    unary(scene.layer().replays(2).layer(scene.channel.clone()), "hello").await.unwrap();
    assert_eq!(scene.counts(), (4, 3, 4, 2));
}

#[tokio::test]
async fn a_message_that_was_refused_when_half_of_it_had_been_sent_is_sent_again_whole() {
    let scene = Scene::served_by(Server::builder().initial_stream_window_size(16 * 1024)).await;
    // The window counts from the first answer on.
    unary(scene.client(), "hello").await.unwrap();
    scene.api.accept(2);
    let message = vec![7; 60_000];
    assert!(unary(scene.client(), message.clone()).await.unwrap().into_inner() == message);
    assert_eq!(scene.counts(), (3, 1, 2, 1));
}

#[tokio::test]
async fn a_message_that_nobody_has_read_before_the_refusal_is_sent_again_whole() {
    let scene = Scene::start().await;
    let seen = Arc::new(Mutex::new(vec![]));
    let log = Arc::clone(&seen);
    // The first answer comes without a look at the body; the body of the second send is read.
    let api = service_fn(move |request: Request<Body>| {
        let log = Arc::clone(&log);
        async move {
            let (head, body) = request.into_parts();
            let method = head.extensions.get::<GrpcMethod<'static>>().map(|method| method.method().to_owned());
            let is_first = log.lock().unwrap().is_empty();
            let data = if is_first { Bytes::new() } else { body.collect().await.unwrap().to_bytes() };
            log.lock().unwrap().push((head.headers["authorization"].clone(), method, data));
            Ok::<_, Infallible>(if is_first {
                Status::unauthenticated("").into_http::<Body>()
            } else {
                Response::default()
            })
        }
    });
    let client = GrpcAuthLayer::new(scene.session.clone()).fixed_peer().layer(api);
    let mut request = request("/scene.Echo/Unary", Body::new(Full::new(framed(b"hello"))));
    request.extensions_mut().insert(GrpcMethod::new("scene.Echo", "Unary"));
    client.oneshot(request).await.unwrap();
    let method = Some("Unary".to_owned());
    assert_eq!(
        *seen.lock().unwrap(),
        [
            ("Bearer access-1".parse().unwrap(), method.clone(), Bytes::new()),
            ("Bearer access-2".parse().unwrap(), method, framed(b"hello")),
        ]
    );
}

#[tokio::test]
async fn a_message_with_trailers_behind_it_is_not_sent_again() {
    let scene = Scene::start().await;
    let client = scene.with_revoked_token().await;
    let frames = [Frame::data(framed(b"hello")), Frame::trailers(HeaderMap::new())].map(Ok::<_, Infallible>);
    let body = Body::new(StreamBody::new(futures::stream::iter(frames)));
    client.oneshot(request("/scene.Echo/Unary", body)).await.unwrap();
    scene.session.settled().await;
    assert_eq!(scene.counts(), (1, 1, 2, 0));
}

#[tokio::test]
async fn two_messages_in_one_piece_and_half_a_message_are_not_sent_again() {
    for body in [[framed(b"one"), framed(b"two")].concat(), framed(b"half")[..7].to_vec()] {
        let scene = Scene::start().await;
        let client = scene.with_revoked_token().await;
        let body = Body::new(Full::new(Bytes::from(body)));
        let answer = client.oneshot(request("/scene.Echo/Unary", body)).await.unwrap();
        assert_eq!(answer.headers()["grpc-status"], "16");
        scene.session.settled().await;
        assert_eq!(scene.counts(), (1, 1, 2, 0));
    }
}
