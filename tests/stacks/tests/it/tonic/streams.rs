//! Streams in both directions: not replayed, never held back.

#![allow(clippy::disallowed_methods, reason = "paused time")]

use bytes::Bytes;
use futures::{Stream, StreamExt, channel::mpsc, stream};
use tonic::{Code, Status, Streaming, client::Grpc};

use super::{
    codec::Raw,
    scene::{Guarded, Scene, method, repeat, unary},
    server::Refusal,
};

const HELLO: Bytes = Bytes::from_static(b"hello");

async fn collect(
    service: Guarded,
    messages: impl Stream<Item = Bytes> + Send + 'static,
) -> Result<tonic::Response<Bytes>, Status> {
    let mut client = Grpc::new(service);
    client.ready().await?;
    client.client_streaming(tonic::Request::new(messages), method("/scene.Echo/Collect"), Raw).await
}

async fn talk(
    service: Guarded,
    messages: impl Stream<Item = Bytes> + Send + 'static,
) -> Result<tonic::Response<Streaming<Bytes>>, Status> {
    let mut client = Grpc::new(service);
    client.ready().await?;
    client.streaming(tonic::Request::new(messages), method("/scene.Echo/Talk"), Raw).await
}

/// The refusal came through, and the token was renewed for the next call.
async fn was_refused_once(scene: &Scene, status: &Status) {
    assert_eq!((status.code(), status.message()), (Code::Unauthenticated, "the token has expired"));
    assert_eq!(status.metadata().get("x-reason").unwrap(), "expired");
    scene.session.settled().await;
    assert_eq!(scene.counts(), (1, 1, 2, 0));
    unary(scene.client(), HELLO).await.unwrap();
    assert_eq!(scene.counts(), (2, 1, 2, 0));
}

#[tokio::test]
async fn a_client_stream_that_is_rejected_while_it_is_sent_is_not_replayed() {
    let scene = Scene::start().await;
    let client = scene.with_revoked_token().await;
    let status = collect(client, stream::iter([HELLO]).chain(stream::pending())).await.unwrap_err();
    was_refused_once(&scene, &status).await;
}

#[tokio::test]
async fn a_client_stream_of_two_messages_is_not_replayed_although_it_was_sent_to_its_end() {
    let scene = Scene::start().await;
    scene.api.refuse(Refusal::Afterwards);
    let client = scene.with_revoked_token().await;
    let status = collect(client, stream::iter([HELLO, HELLO])).await.unwrap_err();
    assert_eq!(scene.api.calls()[0].body.len(), 20);
    was_refused_once(&scene, &status).await;
}

#[tokio::test]
async fn a_client_stream_without_a_message_is_not_replayed() {
    let scene = Scene::start().await;
    scene.api.refuse(Refusal::Afterwards);
    let client = scene.with_revoked_token().await;
    let status = collect(client, stream::empty()).await.unwrap_err();
    was_refused_once(&scene, &status).await;
}

#[tokio::test]
async fn a_client_stream_whose_one_message_comes_later_is_not_replayed() {
    let scene = Scene::start().await;
    scene.api.refuse(Refusal::Afterwards);
    let client = scene.with_revoked_token().await;
    let (mut messages, stream) = mpsc::channel(1);
    let send = async {
        while scene.api.calls().is_empty() {
            tokio::task::yield_now().await;
        }
        messages.try_send(HELLO).unwrap();
        drop(messages);
    };
    let (answer, ()) = futures::future::join(collect(client, stream), send).await;
    assert_eq!(scene.api.calls()[0].body.len(), 10);
    was_refused_once(&scene, &answer.unwrap_err()).await;
}

#[tokio::test]
async fn a_client_stream_of_one_message_that_is_there_at_once_is_replayed_like_a_unary_request() {
    let scene = Scene::start().await;
    let client = scene.with_revoked_token().await;
    assert_eq!(collect(client, stream::iter([HELLO])).await.unwrap().into_inner(), HELLO);
    assert_eq!(scene.counts(), (2, 1, 2, 1));
}

#[tokio::test]
async fn a_bidirectional_stream_that_is_rejected_is_not_replayed() {
    let scene = Scene::start().await;
    let client = scene.with_revoked_token().await;
    let status = talk(client, stream::iter([HELLO, HELLO]).chain(stream::pending())).await.unwrap_err();
    was_refused_once(&scene, &status).await;
}

#[tokio::test]
async fn both_directions_of_a_stream_go_on_message_by_message() {
    let scene = Scene::start().await;
    let (mut messages, stream) = mpsc::channel(1);
    let mut answers = talk(scene.client(), stream).await.unwrap().into_inner();
    for text in ["one", "two", "three"] {
        messages.try_send(Bytes::from(text)).unwrap();
        assert_eq!(answers.message().await.unwrap().unwrap(), text);
    }
    drop(messages);
    assert_eq!(answers.message().await.unwrap(), None);
    assert_eq!(scene.counts(), (1, 0, 1, 0));
}

#[tokio::test]
async fn messages_that_were_there_before_the_token_reach_the_server_in_order() {
    let scene = Scene::start().await;
    let messages = (0..2000_u32).map(|number| Bytes::from(format!("{number:0100};")));
    let expected: Vec<Bytes> = messages.clone().collect();
    let answer = collect(scene.client(), stream::iter(messages)).await.unwrap().into_inner();
    assert!(answer == expected.concat());
}

#[tokio::test]
async fn the_head_of_a_server_stream_is_seen_before_its_first_message() {
    let scene = Scene::start().await;
    scene.api.hold();
    let mut answers = repeat(scene.client(), b"hello").await.unwrap().into_inner();
    scene.api.release();
    assert_eq!(answers.message().await.unwrap().unwrap(), HELLO);
    assert_eq!(answers.message().await.unwrap().unwrap(), HELLO);
    assert_eq!(answers.message().await.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn naming_other_methods_holds_no_stream_back() {
    let scene = Scene::in_memory();
    scene.api.hold();
    let layer = scene.layer().unary(["/scene.Echo/Unary", "/scene.Echo", "/scene.Echo/Repeated"]);
    let client = tower::Layer::layer(&layer, scene.channel.clone());
    scene.session.token().await.unwrap();
    let begun = tokio::time::Instant::now();
    let mut answers = repeat(client, b"hello").await.unwrap().into_inner();
    assert!(begun.elapsed().is_zero());
    scene.api.release();
    assert_eq!(answers.message().await.unwrap().unwrap(), HELLO);
}

#[tokio::test]
async fn a_server_stream_that_is_rejected_after_its_request_was_read_is_sent_again() {
    let scene = Scene::start().await;
    scene.api.refuse(Refusal::Afterwards);
    let mut answers = repeat(scene.with_revoked_token().await, b"hello").await.unwrap().into_inner();
    assert_eq!(answers.message().await.unwrap().unwrap(), HELLO);
    assert_eq!(scene.counts(), (2, 1, 2, 1));
}
