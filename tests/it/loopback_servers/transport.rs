//! The ways to a server.

use std::pin::pin;

use futures::FutureExt;

use super::*;

fn unauthorized(uri: &str) -> Request<Full<Bytes>> {
    Request::builder().uri(format!("{uri}stores")).body(Full::default()).unwrap()
}

async fn result<B: hyper::body::Body>(response: Response<B>) -> Value
where
    B::Error: std::fmt::Debug,
{
    let body = response.into_body().collect().await.unwrap().to_bytes();
    serde_json::from_slice::<Value>(&body).unwrap()["Result"].clone()
}

fn dated_by(clock: &DemoClock) -> String {
    httpdate::fmt_http_date(clock.now().wall)
}

#[tokio::test]
async fn a_port_speaks_both_versions_and_dates_by_the_servers_own_clock() {
    let scene = Scene::new(AccuatApi::new());
    let server = serve(scene.server.clone()).await.unwrap();
    let uri = server.uri().to_string();
    for (client, version) in [(http1_client(1), http::Version::HTTP_11), (http2_client(), http::Version::HTTP_2)] {
        let response = client.request(unauthorized(&uri)).await.unwrap();
        assert_eq!((response.version(), response.status()), (version, StatusCode::UNAUTHORIZED));
        assert_eq!(response.headers()[DATE], dated_by(&scene.clock));
        assert_eq!(result(response).await, 401);
    }
    assert_eq!(scene.counts(), Counts { api_requests: 2, rejected: 2, ..Counts::default() });
}

#[tokio::test]
async fn a_dropped_server_takes_its_port_and_its_connections_along() {
    let scene = Scene::new(AccuatApi::new());
    let server = serve(scene.server.clone()).await.unwrap();
    let uri = server.uri().to_string();
    let client = http2_client();
    client.request(unauthorized(&uri)).await.unwrap();
    drop(server);
    client.request(unauthorized(&uri)).await.unwrap_err();
    assert_eq!(scene.counts().api_requests, 1);
}

#[tokio::test]
async fn a_pipe_is_as_good_as_a_port() {
    let scene = Scene::new(AccuatApi::new());
    let (near, far) = tokio::io::duplex(4_096);
    let client = async {
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(near)).await.unwrap();
        let exchange = async move { result(sender.send_request(unauthorized("/")).await.unwrap()).await };
        tokio::join!(exchange, connection).0
    };
    let (answer, ()) = tokio::join!(client, serve_connection(scene.server.clone(), far));
    assert_eq!(answer, 401);
}

#[tokio::test]
async fn a_service_in_process_needs_no_pipe() {
    let scene = Scene::new(AccuatApi::new());
    let response = in_process(scene.server.clone()).oneshot(unauthorized("/")).await.unwrap();
    assert_eq!(result(response).await, 401);
    assert_eq!(scene.counts().rejected, 1);
}

#[test]
fn a_crowd_is_answered_when_the_last_of_it_has_arrived() {
    let scene = Scene::new(AccuatApi::new());
    scene.server.gather(2);
    let mut first = pin!(scene.server.admit("/stores"));
    assert_eq!(first.as_mut().now_or_never(), None);
    assert_eq!(scene.server.admit("/connect/authorize").now_or_never(), Some(()));
    assert_eq!(first.as_mut().now_or_never(), None);
    assert_eq!(scene.server.admit("/stores").now_or_never(), Some(()));
    assert_eq!(first.now_or_never(), Some(()));
    assert_eq!(scene.server.admit("/stores").now_or_never(), Some(()));
}
