//! What the layer costs a request whose token is fresh, beside the bare service and a constant header.
//!
//! The inner service answers at once, so that nothing but the layers is measured.

#![allow(clippy::expect_used, clippy::panic, reason = "a bench fails by panicking")]

use std::{
    convert::Infallible,
    future::{Future, Ready, ready},
    hint::black_box,
    pin::pin,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use criterion::{BatchSize, BenchmarkGroup, Criterion, measurement::WallTime};
use http::{HeaderValue, Request, Response, header};
use http_body_util::Full;
use tower::{Layer, Service};
use tower_auth_refresh::{
    AuthRefreshLayer, Session,
    replay::Never,
    session::SessionBuilder,
    store::MemoryStore,
    test_util::{Place, TestProvider},
    token::TokenSet,
};
use tower_http::auth::AddAuthorizationLayer;

type Body = Full<Bytes>;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();

    let mut group = criterion.benchmark_group("judged by the head");
    let inner = Inner { json: false };
    let never = AuthRefreshLayer::new(session(TestProvider::new())).replay::<Never>();
    let clone_body = AuthRefreshLayer::new(session(TestProvider::new()));
    let stored = AuthRefreshLayer::new(stored_session()).replay::<Never>();
    let query = AuthRefreshLayer::new(session(TestProvider::placed(Place::Query))).replay::<Never>();
    measure(&mut group, "bare service", inner);
    measure(&mut group, "constant header", AddAuthorizationLayer::bearer("access").layer(inner));
    measure(&mut group, "header, no replay", never.layer(inner));
    // The same, as no request with a good token asks the store for anything.
    measure(&mut group, "header, no replay, over a store", stored.layer(inner));
    measure(&mut group, "header, body copied for a replay", clone_body.layer(inner));
    measure(&mut group, "query parameter, no replay", query.layer(inner));
    group.finish();

    let mut group = criterion.benchmark_group("judged by a JSON body of 200 bytes");
    let inner = Inner { json: true };
    let inspecting = TestProvider::new().with_judged_body(true);
    let inspecting = AuthRefreshLayer::new(session(inspecting)).replay::<Never>();
    measure(&mut group, "bare service", inner);
    measure(&mut group, "constant header", AddAuthorizationLayer::bearer("access").layer(inner));
    measure(&mut group, "header, no replay", inspecting.layer(inner));
    group.finish();

    criterion.final_summary();
}

/// One request from `poll_ready` to the dropped answer.
fn measure<S: Service<Request<Body>>>(group: &mut BenchmarkGroup<'_, WallTime>, name: &str, mut service: S) {
    let mut cx = Context::from_waker(Waker::noop());
    group.bench_function(name, |bencher| {
        bencher.iter_batched(
            request,
            |request| {
                assert!(service.poll_ready(&mut cx).is_ready());
                let Poll::Ready(answer) = pin!(service.call(request)).poll(&mut cx) else {
                    panic!("a fresh token makes nobody wait")
                };
                drop(black_box(answer));
            },
            BatchSize::SmallInput,
        );
    });
}

fn request() -> Request<Body> {
    Request::post("https://api.test/v2/devices?page=2")
        .header(header::ACCEPT, "application/json")
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::USER_AGENT, "bench")
        .body(Body::from(r#"{"serial":"4711"}"#))
        .expect("a valid request")
}

fn session(provider: TestProvider) -> Session<TestProvider> {
    builder(provider).build().expect("valid")
}

/// A session whose token set is in its store.
fn stored_session() -> Session<TestProvider> {
    let session = builder(TestProvider::new()).store(MemoryStore::new()).build().expect("valid");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    runtime.block_on(async {
        session.token().await.expect("there is one");
        session.settled().await;
    });
    assert!(!session.status().unsaved, "a request would try to store it");
    session
}

fn builder(provider: TestProvider) -> SessionBuilder<TestProvider> {
    let no_token_endpoint =
        tower::service_fn(|_: Request<Body>| ready(Ok::<_, Infallible>(Response::new(Body::default()))));
    Session::builder(provider).transport(no_token_endpoint).token(TokenSet::new("access"))
}

/// Answers at once.
#[derive(Clone, Copy)]
struct Inner {
    json: bool,
}

impl Service<Request<Body>> for Inner {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        drop(black_box(request));
        let mut answer = Response::new(Body::default());
        if self.json {
            answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
            *answer.body_mut() = Body::from(JSON);
        }
        ready(Ok(answer))
    }
}

const JSON: &str = r#"{"code":0,"message":"success","data":{"id":"5f1c2a7e-9d3b-4a60-8f52-1b7c9e0d4a33","name":"meter in the hall",
    "online":true,"signal":-71,"volts":3.61,"alarms":[],"updated":"2025-06-15T15:06:40Z"}}"#;

const _: () = assert!(JSON.len() == 200);
