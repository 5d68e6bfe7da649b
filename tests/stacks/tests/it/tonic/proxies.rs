//! What stands in front of a server and answers in its place.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, server::conn::http2, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;
use tonic::{Code, body::Body, transport::Endpoint};
use tower::ServiceExt;

use super::{
    scene::{Scene, unary},
    server::Api,
};

type Refused = fn() -> Response<Full<Bytes>>;

/// The tokens that a proxy has seen, in order.
type Log = Arc<Mutex<Vec<String>>>;

/// A bare HTTP/2 server that answers the first token itself, and hands everything else to the API.
async fn behind_a_proxy(refused: Refused) -> (Scene, Log) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let channel = Endpoint::from_shared(format!("http://{}", listener.local_addr().unwrap())).unwrap().connect_lazy();
    let (api, log) = (Api::new(), Log::default());
    let (behind, seen) = (api.clone(), Arc::clone(&log));
    let proxy = async move {
        let (stream, _) = listener.accept().await.unwrap();
        let answer = service_fn(move |request: Request<Incoming>| {
            let (behind, seen) = (behind.clone(), Arc::clone(&seen));
            async move {
                let token = request.headers()["authorization"].to_str().unwrap().to_owned();
                let is_refused = token == "Bearer access-1";
                seen.lock().unwrap().push(token);
                Ok::<_, Infallible>(if is_refused {
                    refused().map(Body::new)
                } else {
                    behind.oneshot(request.map(Body::new)).await.unwrap()
                })
            }
        });
        http2::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), answer).await.unwrap();
    };
    let scene = Scene::of(api, channel, proxy);
    scene.api.accept(2);
    (scene, log)
}

fn page(status: StatusCode) -> Response<Full<Bytes>> {
    let mut page = Response::new(Full::from("<html><body>who are you?</body></html>"));
    *page.status_mut() = status;
    page.headers_mut().insert("content-type", "text/html".parse().unwrap());
    page
}

fn empty(status: StatusCode) -> Response<Full<Bytes>> {
    page(status).map(|_| Full::default())
}

#[tokio::test]
async fn a_401_is_a_rejection() {
    let (scene, log) = behind_a_proxy(|| page(StatusCode::UNAUTHORIZED)).await;
    assert_eq!(unary(scene.client(), "hello").await.unwrap().into_inner(), "hello");
    assert_eq!(*log.lock().unwrap(), ["Bearer access-1", "Bearer access-2"]);
    assert_eq!(scene.counts(), (1, 0, 2, 1));
}

#[tokio::test]
async fn no_other_answer_in_place_of_the_server_is() {
    let pages: [(Refused, Code); 4] = [
        // tonic takes the page for a message.
        (|| page(StatusCode::OK), Code::Internal),
        (|| empty(StatusCode::FORBIDDEN), Code::PermissionDenied),
        (|| empty(StatusCode::BAD_GATEWAY), Code::Unavailable),
        (|| empty(StatusCode::SERVICE_UNAVAILABLE), Code::Unavailable),
    ];
    for (refused, code) in pages {
        let (scene, log) = behind_a_proxy(refused).await;
        assert_eq!(unary(scene.client(), "hello").await.unwrap_err().code(), code);
        scene.session.settled().await;
        assert_eq!((log.lock().unwrap().len(), scene.counts()), (1, (0, 0, 1, 0)));
    }
}

#[tokio::test]
async fn the_page_of_a_401_that_stays_is_handed_on_whole() {
    let (scene, log) = behind_a_proxy(|| page(StatusCode::UNAUTHORIZED)).await;
    let client = tower::Layer::layer(&scene.layer().replays(0), scene.channel.clone());
    let answer = client.oneshot(super::scene::request("/scene.Echo/Unary", Body::empty())).await.unwrap();
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "<html><body>who are you?</body></html>");
    assert_eq!(log.lock().unwrap().len(), 1);
}
