//! A router that hands requests on to an API, with the layer on the way.

use axum::{
    Extension, Router,
    body::Body,
    error_handling::HandleErrorLayer,
    http::{Request, Response, StatusCode, Uri, Version, header},
};
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::sync::mpsc;
use tokio_stream::{StreamExt, wrappers::ReceiverStream};
use tower::ServiceBuilder;
use tower_auth_refresh::{
    AuthRefreshLayer, Error, Session,
    extensions::Credentials,
    replay::{Buffered, ReplayBody},
    test_util::TestProvider,
};

use crate::support::upstream::{BOTH, HttpClient, Listening, Tally, Upstream, http_client, listen, until};

struct Proxy {
    upstream: Upstream,
    server: Listening,
    client: HttpClient<Body>,
}

/// Everything below `/ann` goes on with Ann's credential, below `/bob` with Bob's, and below `/nobody` without any.
fn router(upstream: &Upstream, version: Version) -> Router {
    let to: Uri = upstream.at("").parse().unwrap();
    let through = ServiceBuilder::new()
        .layer(HandleErrorLayer::new(|error: Error| async move { (StatusCode::BAD_GATEWAY, error.to_string()) }))
        .map_request(move |request: Request<Body>| on_to(&to, version, request))
        .layer(AuthRefreshLayer::<TestProvider>::per_request().replay::<Buffered>())
        .service(http_client::<ReplayBody<Body>>(version));
    let of = |session: &Session<TestProvider>| {
        Router::new().fallback_service(through.clone()).layer(Extension(session.clone()))
    };
    Router::new()
        .nest("/ann", of(&upstream.ann.session))
        .nest("/bob", of(&upstream.bob.session))
        .nest("/nobody", of(&upstream.ann.session).layer(Extension(Credentials::Omit)))
}

/// The same request to the API, without what is meant for the proxy alone.
fn on_to(api: &Uri, version: Version, mut request: Request<Body>) -> Request<ReplayBody<Body>> {
    let mut parts = api.clone().into_parts();
    parts.path_and_query = request.uri().path_and_query().cloned();
    *request.uri_mut() = Uri::from_parts(parts).unwrap();
    *request.version_mut() = version;
    for name in [header::HOST, header::AUTHORIZATION] {
        request.headers_mut().remove(name);
    }
    request.map(ReplayBody::new)
}

impl Proxy {
    async fn start(version: Version) -> Self {
        let upstream = Upstream::start(version).await;
        let server = listen(router(&upstream, version)).await;
        Self { server, client: http_client(version), upstream }
    }

    async fn send(&self, path: &str, body: impl Into<Body>) -> Response<Incoming> {
        let request = Request::post(self.server.at(path)).header("authorization", "Bearer of-the-proxy");
        self.client.request(request.body(body.into()).unwrap()).await.unwrap()
    }
}

async fn text(answer: Response<Incoming>) -> Bytes {
    answer.into_body().collect().await.unwrap().to_bytes()
}

/// A body whose parts are sent one by one; without a sender it ends.
fn stream() -> (mpsc::Sender<Bytes>, Body) {
    let (sender, parts) = mpsc::channel(1);
    (sender, Body::from_stream(ReceiverStream::new(parts).map(Ok::<_, std::convert::Infallible>)))
}

#[tokio::test]
async fn each_route_goes_on_with_the_credential_of_its_user() {
    for version in BOTH {
        let proxy = Proxy::start(version).await;
        for (path, status) in [("/ann/api/ann/1", 200), ("/bob/api/bob/1", 200), ("/ann/api/bob/2", 401)] {
            assert_eq!(proxy.send(path, "body").await.status(), status, "{version:?} {path}");
        }

        let Upstream { ann, bob, .. } = &proxy.upstream;
        // Bob's API has refused Ann's token, which was then renewed and refused once more.
        let tally = Tally { api: 1, logins: 1, refreshes: 1, flights: 2, replays: 1, ..Tally::NOTHING };
        assert_eq!(ann.tally(), tally, "{version:?}");
        assert_eq!(bob.tally(), Tally { api: 3, rejected: 2, logins: 1, flights: 1, ..Tally::NOTHING }, "{version:?}");
    }
}

#[tokio::test]
async fn a_route_that_opts_out_goes_on_without_a_credential_although_it_has_a_session() {
    for version in BOTH {
        let proxy = Proxy::start(version).await;

        let answer = proxy.send("/nobody/api/ann/1", "body").await;

        assert_eq!((answer.status(), text(answer).await), (StatusCode::UNAUTHORIZED, "rejected".into()));
        assert_eq!(proxy.upstream.ann.tally(), Tally { api: 1, rejected: 1, ..Tally::NOTHING }, "{version:?}");
        assert!(!proxy.upstream.ann.api.seen()[0].headers().contains_key(header::AUTHORIZATION));
    }
}

#[tokio::test]
async fn a_body_passes_piece_by_piece_both_ways() {
    for version in BOTH {
        let proxy = Proxy::start(version).await;
        let (parts, body) = stream();
        parts.send("one".into()).await.unwrap();

        // Each part comes back before the next is sent.
        let mut echo = proxy.send("/ann/echo", body).await;
        assert_eq!(echo.status(), StatusCode::OK, "{version:?}");
        for (part, next) in [("one", Some("two")), ("two", Some("three")), ("three", None)] {
            assert_eq!(echo.frame().await.unwrap().unwrap().into_data().unwrap(), part, "{version:?}");
            if let Some(next) = next {
                parts.send(next.into()).await.unwrap();
            }
        }
        drop(parts);

        // HTTP/2 may end it by an empty part.
        assert_eq!(text(echo).await, "", "{version:?}");
        assert_eq!(proxy.upstream.ann.tally(), Tally { logins: 1, flights: 1, ..Tally::NOTHING });
    }
}

#[tokio::test]
async fn a_streamed_body_that_was_sent_whole_is_replayed_to_the_byte() {
    for version in BOTH {
        let proxy = Proxy::start(version).await;
        let ann = &proxy.upstream.ann;
        assert_eq!(proxy.send("/ann/api/ann/1", "first").await.status(), StatusCode::OK);
        ann.idp.end_access();
        let (parts, body) = stream();
        let feed = async {
            for part in ["sec", "ond"] {
                parts.send(part.into()).await.unwrap();
            }
            drop(parts);
        };

        let (answer, ()) = futures::future::join(proxy.send("/ann/api/ann/2?x=1", body), feed).await;

        assert_eq!((answer.status(), text(answer).await), (StatusCode::OK, "welcome".into()), "{version:?}");
        let bodies: Vec<_> = ann.api.seen().into_iter().map(|request| request.into_body()).collect();
        assert_eq!(bodies, ["first", "second", "second"]);
        let tally = Tally { api: 3, rejected: 1, logins: 1, refreshes: 1, flights: 2, replays: 1 };
        assert_eq!(ann.tally(), tally, "{version:?}");
    }
}

#[tokio::test]
async fn a_streamed_body_that_is_longer_than_what_is_kept_is_sent_once() {
    for version in BOTH {
        let proxy = Proxy::start(version).await;
        let ann = &proxy.upstream.ann;
        assert_eq!(proxy.send("/ann/api/ann/1", "first").await.status(), StatusCode::OK);
        ann.idp.end_access();
        let long = Bytes::from(vec![b'x'; 64 * 1024 + 1]);

        let answer = proxy.send("/ann/api/ann/2", long.clone()).await;

        assert_eq!((answer.status(), text(answer).await), (StatusCode::UNAUTHORIZED, "rejected".into()));
        until(|| ann.idp.counts().refreshes == 1).await;
        ann.session.settled().await;
        let tally = Tally { api: 2, rejected: 1, logins: 1, refreshes: 1, flights: 2, replays: 0 };
        assert_eq!(ann.tally(), tally, "{version:?}");
        assert_eq!(ann.api.seen()[1].body(), &long);
        assert_eq!(proxy.send("/ann/api/ann/3", "third").await.status(), StatusCode::OK);
    }
}

#[tokio::test]
async fn what_the_layer_refuses_is_an_answer_of_the_proxys_own() {
    let upstream = Upstream::start(Version::HTTP_11).await;
    let server = listen(router(&upstream, Version::HTTP_11)).await;
    let proxy = Proxy { server, client: http_client(Version::HTTP_11), upstream };
    proxy.upstream.ann.session.sign_out();

    let answer = proxy.send("/ann/api/ann/1", "body").await;

    assert_eq!(answer.status(), StatusCode::BAD_GATEWAY);
    assert_eq!(proxy.upstream.ann.tally(), Tally::NOTHING);
}
