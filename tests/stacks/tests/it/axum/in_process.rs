//! The layer around axum's own services, without a socket: a router is a client service like any other.

use axum::{
    Router,
    body::Body,
    error_handling::HandleErrorLayer,
    http::{HeaderMap, Request, StatusCode, header},
    routing::get,
};
use http_body_util::BodyExt;
use tower::{Layer, ServiceBuilder, ServiceExt};
use tower_auth_refresh::{
    AuthRefreshLayer, Error, Session,
    replay::Never,
    test_util::{AuthServer, TestClock, TestProvider},
};

/// Tells everybody what he came with.
fn router() -> Router {
    let authorization = |headers: HeaderMap| async move {
        headers.get(header::AUTHORIZATION).map_or_else(String::new, |value| value.to_str().unwrap().to_owned())
    };
    Router::new().route("/who", get(authorization))
}

fn session(server: &AuthServer) -> Session<TestProvider> {
    Session::builder(TestProvider::new()).transport(server.clone()).build().unwrap()
}

fn to(uri: &str) -> Request<Body> {
    Request::get(uri).body(Body::empty()).unwrap()
}

async fn text<B: http_body::Body<Error: std::fmt::Debug>>(answer: http::Response<B>) -> String {
    assert_eq!(answer.status(), StatusCode::OK);
    String::from_utf8(answer.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

#[tokio::test]
async fn a_router_can_be_the_service_that_the_layer_wraps() {
    let server = AuthServer::new(&TestClock::new());
    let client = AuthRefreshLayer::new(session(&server)).replay::<Never>().layer(router());

    assert_eq!(text(client.clone().oneshot(to("https://api.test/who")).await.unwrap()).await, "Bearer access-1");
    assert_eq!(text(client.clone().oneshot(to("https://other.test/who")).await.unwrap()).await, "");
    assert_eq!(text(client.oneshot(to("/who")).await.unwrap()).await, "");

    assert_eq!(server.counts().calls(), 1);
}

#[tokio::test]
async fn the_layer_can_be_one_of_a_routers_layers() {
    let server = AuthServer::new(&TestClock::new());
    let session = session(&server);
    let layers = ServiceBuilder::new()
        .layer(HandleErrorLayer::new(|error: Error| async move { (StatusCode::BAD_GATEWAY, error.to_string()) }))
        .layer(AuthRefreshLayer::new(session.clone()).replay::<Never>().fixed_peer());
    let router = router().layer(layers);

    assert_eq!(text(router.clone().oneshot(to("/who")).await.unwrap()).await, "Bearer access-1");
    session.sign_out();
    let refused = router.oneshot(to("/who")).await.unwrap();

    assert_eq!((refused.status(), server.counts().calls()), (StatusCode::BAD_GATEWAY, 1));
}
