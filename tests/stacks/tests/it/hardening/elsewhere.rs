//! Answers of the API that are taken for somebody else's.

use bytes::Bytes;
use http::{Request, StatusCode, Uri};
use http_body_util::Full;
use reqwest_middleware::ClientBuilder;
use tower::{Layer, ServiceBuilder, ServiceExt};
use tower_auth_refresh::{
    AuthRefreshLayer,
    integrations::reqwest_middleware::AuthRefreshMiddleware,
    test_util::{Place, TestProvider},
};

use crate::{
    reqwest_middleware::support::middleware,
    support::reqwest_scene::{Counts, Http, Scene, over_both},
};

over_both!(
    a_rejection_of_the_fixed_peer_is_seen_although_its_address_is_not_the_origin_of_the_provider,
    a_rejection_is_seen_although_the_request_went_by_another_address,
    a_rejection_that_a_middleware_made_by_hand_is_seen,
);

const RENEWED: Counts = Counts { logins: 0, refreshes: 1, requests: 2, rejected: 1 };

/// The credential goes out for a relative URI, by a client that has to be told the address of its peer.
async fn a_rejection_of_the_fixed_peer_is_seen_although_its_address_is_not_the_origin_of_the_provider(http: Http) {
    let scene = Scene::new(http).await;
    // The provider is of https://api.test; the fixed peer is a sidecar on this machine.
    let session = scene.sign_in(TestProvider::new().with_token_endpoint(scene.idp_server.base()));
    scene.auth.end_access();
    let base = scene.api_server.base();
    let client = ServiceBuilder::new()
        .layer(AuthRefreshLayer::new(session).fixed_peer())
        .map_request(move |mut request: Request<Full<Bytes>>| {
            *request.uri_mut() = format!("{base}{}", request.uri().path()).parse().unwrap();
            request
        })
        .service(scene.http.service());
    let request = Request::get(Uri::from_static("/path")).body(Full::default()).unwrap();
    let answer = client.oneshot(request).await.unwrap();
    assert_eq!((answer.status(), scene.counts()), (StatusCode::OK, RENEWED));
}

/// The same with an absolute URI, which a service behind the layer turns into the address of a mirror or a tunnel.
async fn a_rejection_is_seen_although_the_request_went_by_another_address(http: Http) {
    let scene = Scene::new(http).await;
    let session = scene.sign_in(TestProvider::new().with_token_endpoint(scene.idp_server.base()));
    scene.auth.end_access();
    let base = scene.api_server.base();
    let client = AuthRefreshLayer::new(session).layer(scene.http.service().map_request(
        move |mut request: Request<Full<Bytes>>| {
            *request.uri_mut() = format!("{base}{}", request.uri().path()).parse().unwrap();
            request
        },
    ));
    let request = Request::get("https://api.test/path").body(Full::default()).unwrap();
    let answer = client.oneshot(request).await.unwrap();
    assert_eq!((answer.status(), scene.counts()), (StatusCode::OK, RENEWED));
}

/// A middleware that answers itself, from a cache or as a stand-in: reqwest gives such an answer a URL of its own.
async fn a_rejection_that_a_middleware_made_by_hand_is_seen(http: Http) {
    let scene = Scene::new(http).await;
    let session = scene.signed_in(Place::Bearer);
    let by_hand = middleware(move |request, extensions, next| {
        Box::pin(async move {
            if request.headers()["authorization"] == "Bearer access-7" {
                let answer = http::Response::builder().status(StatusCode::UNAUTHORIZED).body("").unwrap();
                return Ok(answer.into());
            }
            next.run(request, extensions).await
        })
    });
    let client = ClientBuilder::new(scene.http.service().into_inner());
    let client = client.with(AuthRefreshMiddleware::new(session)).with(by_hand).build();
    let answer = client.get(scene.url("/")).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(scene.counts(), Counts { refreshes: 1, requests: 1, ..Counts::default() });
}
