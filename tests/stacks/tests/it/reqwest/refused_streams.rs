//! What a server has refused before it looked at it reqwest sends once more, where the body is whole in memory.

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{Empty, Full, StreamBody};
use tower::ServiceExt;
use tower_auth_refresh::integrations::reqwest_middleware::AuthRefreshMiddleware;

use crate::support::{
    refusing::Refusing,
    reqwest_scene::{Http, Result, Scene},
};

async fn send<B>(server: &Refusing, body: B) -> Result<StatusCode>
where
    B: http_body::Body<Data = Bytes> + Send + Sync + 'static,
    B::Error: Into<tower::BoxError>,
{
    let request = Request::post(server.url()).body(body).unwrap();
    Ok(Http::Two.service().oneshot(request).await?.status())
}

#[tokio::test]
async fn a_body_in_memory_is_sent_once_more() {
    let server = Refusing::new().await;
    assert_eq!(send(&server, Full::from("whole")).await.unwrap(), StatusCode::OK);
    assert_eq!(server.streams(), 2);
}

#[tokio::test]
async fn a_body_of_reqwest_in_memory_is_sent_once_more() {
    let server = Refusing::new().await;
    assert_eq!(send(&server, reqwest::Body::from("whole")).await.unwrap(), StatusCode::OK);
    assert_eq!(server.streams(), 2);
}

#[tokio::test]
async fn no_body_at_all_is_sent_once_more() {
    let server = Refusing::new().await;
    assert_eq!(send(&server, Empty::<Bytes>::new()).await.unwrap(), StatusCode::OK);
    assert_eq!(server.streams(), 2);
}

#[tokio::test]
async fn a_stream_is_not_and_no_empty_body_stands_in() {
    let server = Refusing::new().await;
    let stream = StreamBody::new(futures::stream::pending::<Result<_>>());
    assert!(send(&server, stream).await.is_err());
    assert_eq!(server.streams(), 1);
}

#[tokio::test]
async fn behind_the_middleware_a_body_in_memory_is_sent_once_more() {
    let (scene, server) = (Scene::new(Http::Two).await, Refusing::new().await);
    let session = scene.session();
    let client = reqwest_middleware::ClientBuilder::new(scene.http.service().into_inner());
    let client = client.with(AuthRefreshMiddleware::new(session)).build();
    assert_eq!(client.post(server.url()).body("whole").send().await.unwrap().status(), StatusCode::OK);
    assert_eq!(server.streams(), 2);
}
