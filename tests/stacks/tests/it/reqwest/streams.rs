//! Streaming bodies pass piece by piece, in both directions.

use std::{
    future::ready,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use futures::future::join;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, header};
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Incoming;
use tokio::sync::mpsc;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tower::{Layer, ServiceExt, service_fn};
use tower_auth_refresh::{
    AuthRefreshLayer,
    replay::{Buffered, Never, ReplayBody},
    test_util::{Place, TestProvider},
};

use crate::support::{
    reqwest_scene::{Counts, Http, Result, Scene, answer, over_both, text},
    serve::serve,
};

over_both!(
    an_upload_arrives_piece_by_piece,
    a_download_arrives_piece_by_piece_with_its_trailers,
    a_rejected_stream_is_sent_once_and_the_token_renewed,
    a_stream_that_was_taken_down_is_sent_again_to_its_last_trailer,
    a_stream_that_was_answered_early_is_sent_once_and_the_token_renewed,
);

type Piece = Result<Frame<Bytes>>;

fn channel() -> (mpsc::UnboundedSender<Piece>, StreamBody<UnboundedReceiverStream<Piece>>) {
    let (sender, receiver) = mpsc::unbounded_channel();
    (sender, StreamBody::new(UnboundedReceiverStream::new(receiver)))
}

fn piece(data: &'static str) -> Piece {
    Ok(Frame::data(Bytes::from(data)))
}

async fn an_upload_arrives_piece_by_piece(http: Http) {
    let scene = Scene::new(http).await;
    let (arrived, mut arriving) = mpsc::unbounded_channel();
    let api = serve(service_fn(move |request: Request<Incoming>| {
        let arrived = arrived.clone();
        async move {
            let mut body = request.into_body();
            while let Some(frame) = body.frame().await {
                arrived.send(frame?.into_data().unwrap())?;
            }
            Result::Ok(Response::new(String::new()))
        }
    }))
    .await;
    let session = scene.sign_in(scene.reach(TestProvider::new()).with_origin(api.uri()));
    let client = AuthRefreshLayer::new(session).replay::<Never>().layer(http.service());
    let (send, body) = channel();
    let answer = client.oneshot(Request::put(api.url("/")).body(body).unwrap());
    let sending = async {
        // Dropped when all is sent, which ends the body.
        let send = send;
        for data in ["first", "second"] {
            send.send(piece(data)).unwrap();
            // The next one is not made before this one is there.
            assert_eq!(arriving.recv().await.unwrap(), data);
        }
    };
    assert_eq!(join(answer, sending).await.0.unwrap().status(), StatusCode::OK);
}

async fn a_download_arrives_piece_by_piece_with_its_trailers(http: Http) {
    let scene = Scene::new(http).await;
    let (send, body) = channel();
    let body = Arc::new(Mutex::new(Some(body)));
    let api = serve(service_fn(move |_: Request<Incoming>| {
        let mut answer = Response::new(body.lock().unwrap().take().unwrap());
        answer.headers_mut().insert(header::TRAILER, HeaderValue::from_static("x-sum"));
        ready(Result::Ok(answer))
    }))
    .await;
    let client = scene.client(&scene.sign_in(scene.reach(TestProvider::new()).with_origin(api.uri())));
    // Over HTTP/1.1 trailers are for those who ask for them.
    let request = Request::get(api.url("/")).header(header::TE, "trailers");
    let mut body = client.oneshot(request.body(Full::<Bytes>::default()).unwrap()).await.unwrap().into_body();
    for data in ["first", "second"] {
        send.send(piece(data)).unwrap();
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), data);
    }
    send.send(Ok(Frame::trailers(sum()))).unwrap();
    drop(send);
    assert_eq!(body.frame().await.unwrap().unwrap().into_trailers().unwrap(), sum());
    assert!(body.frame().await.is_none());
}

async fn a_rejected_stream_is_sent_once_and_the_token_renewed(http: Http) {
    let scene = Scene::new(http).await;
    let session = scene.signed_in(Place::Bearer);
    let client = AuthRefreshLayer::new(session.clone()).replay::<Never>().layer(http.service());
    scene.auth.end_access();
    let (send, body) = channel();
    send.send(piece("once")).unwrap();
    drop(send);
    let answer = client.oneshot(Request::put(scene.url("/")).body(body).unwrap()).await.unwrap();
    assert_eq!((answer.status(), &*text(answer).await), (StatusCode::UNAUTHORIZED, "rejected"));
    session.settled().await;
    assert_eq!(scene.counts(), Counts { refreshes: 1, requests: 1, rejected: 1, ..Counts::default() });
    assert_eq!(scene.api.seen()[0].body(), "once");
}

/// Head, body and trailers of a request.
type Sent = (http::request::Parts, Bytes, Option<HeaderMap>);

async fn a_stream_that_was_taken_down_is_sent_again_to_its_last_trailer(http: Http) {
    let scene = Scene::new(http).await;
    let sends: Arc<Mutex<Vec<Sent>>> = Arc::default();
    let seen = Arc::clone(&sends);
    let api = serve(service_fn(move |request: Request<Incoming>| {
        let seen = Arc::clone(&seen);
        async move {
            let (head, body) = request.into_parts();
            let body = body.collect().await?;
            let trailers = body.trailers().cloned();
            let mut seen = seen.lock().unwrap();
            seen.push((head, body.to_bytes(), trailers));
            Result::Ok(answer(if seen.len() == 1 { StatusCode::UNAUTHORIZED } else { StatusCode::OK }, ""))
        }
    }))
    .await;
    let session = scene.sign_in(scene.reach(TestProvider::new()).with_origin(api.uri()));
    let client = AuthRefreshLayer::new(session).replay::<Buffered>().layer(http.service());
    let (send, body) = channel();
    for frame in [piece("one, "), piece("two"), Ok(Frame::trailers(sum()))] {
        send.send(frame).unwrap();
    }
    drop(send);
    let request = Request::put(api.url("/a?b")).header(header::TRAILER, "x-sum").body(ReplayBody::new(body));
    assert_eq!(client.oneshot(request.unwrap()).await.unwrap().status(), StatusCode::OK);

    let mut sends = sends.lock().unwrap();
    for ((head, body, trailers), token) in sends.iter_mut().zip(["Bearer access-7", "Bearer access-8"]) {
        assert_eq!(head.headers.remove(header::AUTHORIZATION).unwrap(), token);
        assert_eq!((&**body, &*trailers), (&b"one, two"[..], &Some(sum())));
    }
    let [(first, ..), (second, ..)] = &sends[..] else { panic!("two sends") };
    assert_eq!(format!("{first:?}"), format!("{second:?}"));
    assert_eq!(scene.auth.counts().refreshes, 1);
}

async fn a_stream_that_was_answered_early_is_sent_once_and_the_token_renewed(http: Http) {
    let scene = Scene::new(http).await;
    let requests = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&requests);
    // Does not read on: the head is enough for it.
    let api = serve(service_fn(move |request: Request<Incoming>| {
        count.fetch_add(1, Ordering::SeqCst);
        async move {
            let mut body = request.into_body();
            body.frame().await.unwrap()?;
            Result::Ok(answer(StatusCode::UNAUTHORIZED, "early"))
        }
    }))
    .await;
    let session = scene.sign_in(scene.reach(TestProvider::new()).with_origin(api.uri()));
    let client = AuthRefreshLayer::new(session.clone()).replay::<Buffered>().layer(http.service());
    let (send, body) = channel();
    send.send(piece("begun")).unwrap();
    let request = Request::put(api.url("/")).body(ReplayBody::new(body)).unwrap();
    let answer = client.oneshot(request).await.unwrap();
    assert_eq!((answer.status(), &*text(answer).await), (StatusCode::UNAUTHORIZED, "early"));
    session.settled().await;
    assert_eq!((requests.load(Ordering::SeqCst), scene.auth.counts().refreshes), (1, 1));
    drop(send);
}

fn sum() -> HeaderMap {
    [(HeaderName::from_static("x-sum"), HeaderValue::from_static("11"))].into_iter().collect()
}
