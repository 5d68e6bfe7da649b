//! Bodies of which a copy is taken for whole.

use std::{
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use tower::{BoxError, Layer, service_fn};
use tower_auth_refresh::{
    AuthRefreshLayer,
    replay::{Buffered, Replay, ReplayBody},
};

use crate::{
    scene::{no_jitter, signed_in},
    support::{
        TestProvider, World,
        frames::{Broken, Frames, Part, data, json, trailers, unauthorized},
        send,
    },
};

/// What arrived with each send: the frames that the service read.
type Arrived = Arc<Mutex<Vec<Vec<Part>>>>;

fn put(frames: Frames) -> Request<ReplayBody<Frames>> {
    Request::put("https://api.test/").body(ReplayBody::new(frames)).unwrap()
}

/// Whether the future is pending after one poll.
fn poll_once<F: Future>(future: Pin<&mut F>) -> bool {
    future.poll(&mut Context::from_waker(Waker::noop())).is_pending()
}

async fn frame(body: &mut ReplayBody<Frames>) -> Option<Part> {
    let frame = body.frame().await?.unwrap();
    Some(match frame.into_data() {
        Ok(data) => Part::Data(data),
        Err(frame) => Part::Trailers(frame.into_trailers().unwrap()),
    })
}

// ===== a declared body that is dropped before its trailers =====

/// As a peer over HTTP/2 does it that resets the stream behind its answer: the data has gone out, the trailers have not.
#[tokio::test]
async fn a_declared_body_whose_trailers_were_not_sent_is_not_replayed_without_them() {
    let world = World::new();
    let session = signed_in(&world, TestProvider::new(), no_jitter());
    world.revoke_access();
    let arrived = Arrived::default();
    let service = service_fn({
        let arrived = Arc::clone(&arrived);
        move |request: Request<ReplayBody<Frames>>| {
            let arrived = Arc::clone(&arrived);
            async move {
                let is_first = arrived.lock().unwrap().is_empty();
                let mut body = request.into_body();
                let mut parts = vec![frame(&mut body).await.unwrap()];
                if is_first {
                    // As hyper does it over HTTP/2: it asks for what comes next at once.
                    assert!(poll_once(std::pin::pin!(body.frame())));
                    drop(body);
                } else {
                    while let Some(part) = frame(&mut body).await {
                        parts.push(part);
                    }
                }
                arrived.lock().unwrap().push(parts);
                let no = Frames::new([data("no")]);
                Ok::<_, BoxError>(if is_first { unauthorized(no) } else { Response::new(no) })
            }
        }
    });
    let client = AuthRefreshLayer::new(session.clone()).replay::<Buffered>().layer(service);

    let frames = Frames::declared([data("all of it"), Part::Hold, trailers("x-sum", "1")]);
    send(&client, put(frames)).await.unwrap();

    assert_eq!(*arrived.lock().unwrap(), [[data("all of it")]], "it was replayed without its trailers");
    session.settled().await;
    assert_eq!(world.counts().refreshes, 1);
}

#[tokio::test]
async fn a_declared_body_that_is_dropped_while_its_trailers_are_awaited_leaves_no_copy() {
    let mut body = ReplayBody::new(Frames::declared([data("all"), Part::Hold, trailers("x-sum", "1")]));
    let copy = Buffered::backup(&body).unwrap();
    body.frame().await.unwrap().unwrap();
    assert!(poll_once(std::pin::pin!(body.frame())));

    drop(body);

    assert!(!Buffered::is_replayable(&copy), "the client was still asking for what comes behind the data");
}

/// A client that lets go of it behind the last byte, as over HTTP/1.1, where there is no room for trailers; over HTTP/2 it
/// does when the stream is reset while the connection's window is full. The copy has the trailers, or is none.
#[tokio::test]
async fn a_declared_body_that_is_dropped_behind_its_data_leaves_no_copy_without_its_trailers() {
    let mut body = ReplayBody::new(Frames::declared([data("all"), trailers("x-sum", "1")]));
    let mut copy = Buffered::backup(&body).unwrap();
    body.frame().await.unwrap().unwrap();

    drop(body);

    if Buffered::is_replayable(&copy) {
        assert_eq!(frame(&mut copy).await, Some(data("all")));
        assert_eq!(frame(&mut copy).await, Some(trailers("x-sum", "1")));
    }
}

// ===== an answer that came before the body was sent =====

/// The head of the answer is there before the body is; what it says is in an envelope that ends after the body.
#[tokio::test(start_paused = true)]
async fn a_stream_that_was_answered_early_by_an_envelope_is_not_replayed() {
    let world = World::new();
    let session = signed_in(&world, TestProvider::new().with_judged_body(true), no_jitter());
    world.revoke_access();
    let sends = Arc::new(Mutex::new(0));
    let service = service_fn({
        let sends = Arc::clone(&sends);
        move |request: Request<ReplayBody<Frames>>| {
            *sends.lock().unwrap() += 1;
            let envelope = Frames::new([Part::Hold, data(r#"{"rejected":true}"#)]);
            let gate = envelope.gate();
            #[allow(clippy::disallowed_methods, reason = "a peer that reads on behind its answer")]
            tokio::spawn(async move {
                request.into_body().collect().await.unwrap();
                gate.add_permits(1);
            });
            std::future::ready(Ok::<_, BoxError>(json(envelope)))
        }
    });
    let client = AuthRefreshLayer::new(session.clone()).replay::<Buffered>().layer(service);
    let frames = Frames::new([data("first"), Part::Hold, data("second")]);
    let gate = frames.gate();

    let mut answer = std::pin::pin!(send(&client, put(frames)));
    assert!(poll_once(answer.as_mut()), "the head is here, and the body is not sent");
    gate.add_permits(1);
    let _ = answer.await.unwrap();

    assert_eq!(*sends.lock().unwrap(), 1, "it was answered before it was sent");
}

// ===== what a wrapped body says =====

/// A body that says the most that it may of itself.
struct Bounded(Option<Bytes>);

impl Body for Bounded {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        Poll::Ready(self.0.take().map(|data| Ok(Frame::data(data))))
    }

    fn size_hint(&self) -> SizeHint {
        let mut hint = SizeHint::new();
        hint.set_upper(1 << 20);
        hint
    }
}

#[tokio::test]
async fn a_body_of_bounded_length_is_replayed_without_a_declared_one() {
    let mut body = ReplayBody::new(Bounded(Some(Bytes::from_static(b"some"))));
    let copy = Buffered::backup(&body).unwrap();
    while body.frame().await.is_some() {}
    assert!(Buffered::is_replayable(&copy));
    assert_eq!(copy.size_hint().exact(), None);
    assert_eq!(copy.size_hint().lower(), 4);
}
