//! Streaming bodies pass piece by piece, in both directions.

use bytes::Bytes;
use futures::future::join;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
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
    reqwest_scene::{Counts, Http, Result, Scene, over_both, text},
    serve::serve,
};

over_both!(
    an_upload_arrives_piece_by_piece,
    a_download_arrives_piece_by_piece_with_its_trailers,
    a_rejected_stream_is_sent_once_and_the_token_renewed,
    a_stream_that_was_taken_down_is_sent_again,
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
    let body = std::sync::Arc::new(std::sync::Mutex::new(Some(body)));
    let api = serve(service_fn(move |_: Request<Incoming>| {
        let mut answer = Response::new(body.lock().unwrap().take().unwrap());
        answer.headers_mut().insert(header::TRAILER, HeaderValue::from_static("x-sum"));
        std::future::ready(Result::Ok(answer))
    }))
    .await;
    let client = scene.client(&scene.sign_in(scene.reach(TestProvider::new()).with_origin(api.uri())));
    // Over HTTP/1.1 trailers are for those who ask for them.
    let request = Request::get(api.url("/")).header(header::TE, "trailers");
    let mut body =
        client.oneshot(request.body(http_body_util::Full::<Bytes>::default()).unwrap()).await.unwrap().into_body();
    for data in ["first", "second"] {
        send.send(piece(data)).unwrap();
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), data);
    }
    let trailers: HeaderMap = [("x-sum".parse().unwrap(), HeaderValue::from_static("11"))].into_iter().collect();
    send.send(Ok(Frame::trailers(trailers.clone()))).unwrap();
    drop(send);
    assert_eq!(body.frame().await.unwrap().unwrap().into_trailers().unwrap(), trailers);
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

async fn a_stream_that_was_taken_down_is_sent_again(http: Http) {
    let scene = Scene::new(http).await;
    let client = AuthRefreshLayer::new(scene.signed_in(Place::Bearer)).replay::<Buffered>().layer(http.service());
    scene.auth.end_access();
    let (send, body) = channel();
    send.send(piece("one, ")).unwrap();
    send.send(piece("two")).unwrap();
    drop(send);
    let answer = client.oneshot(Request::put(scene.url("/")).body(ReplayBody::new(body)).unwrap()).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(scene.counts(), Counts { refreshes: 1, requests: 2, rejected: 1, ..Counts::default() });
    assert!(scene.api.seen().iter().all(|sent| sent.body() == "one, two"));
}
