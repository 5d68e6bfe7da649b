//! What a request with a valid token costs: C54. Allocations, clock readings and locks, each counted or excluded
//! exactly.
//!
//! A binary of its own, because it brings a counting allocator. It counts per thread, so that the tests may run at once.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking, and clippy knows only the test functions themselves, not their helpers"
)]

use std::{
    convert::Infallible,
    fmt::Debug,
    future::{Future, Ready, pending, ready},
    pin::pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use allocation_counter::measure;
use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::Full;
use tower::{Layer, Service, service_fn};
use tower_auth_refresh::{
    AuthRefreshLayer, Provider, Session,
    clock::{Clock, Now, SystemClock},
    extensions::Credentials,
    provider,
    replay::{Buffered, Never, Replay, ReplayBody},
    session::{Condition, RefreshPolicy, SessionBuilder},
    store::MemoryStore,
    test_util::{Place, TestProvider},
    token::{Expiry, TokenSet},
};
use tower_http::auth::AddAuthorization;

type Body = Full<Bytes>;

// ===== a header credential, judged by the head =====

#[test]
fn without_a_replay_the_layer_allocates_what_a_constant_header_does() {
    let session = session(TestProvider::new());
    for shape in SHAPES {
        let layered = AuthRefreshLayer::new(session.clone()).replay::<Never>().layer(Inner::head());
        assert_eq!(cost(layered, shape), cost(constant(Inner::head()), shape), "{shape:?}");
    }
}

#[test]
fn with_no_replay_allowed_the_layer_allocates_what_a_constant_header_does() {
    let session = session(TestProvider::new());
    for shape in SHAPES {
        let layered = AuthRefreshLayer::new(session.clone()).replays(0).layer(Inner::head());
        assert_eq!(cost(layered, shape), cost(constant(Inner::head()), shape), "{shape:?}");
    }
}

#[test]
fn a_replay_costs_the_copy_of_the_request_and_nothing_else() {
    let session = session(TestProvider::new());
    for shape in SHAPES {
        let layered = AuthRefreshLayer::new(session.clone()).layer(Inner::head());
        let copy = shape.copy_cost();
        assert_eq!(cost(layered, shape), cost(constant(Inner::head()), shape) + copy, "{shape:?}");
    }
}

#[test]
fn the_shapes_of_requests_cost_what_they_are_chosen_for() {
    // The first header makes the map, the seventh makes it grow: its index and its entries.
    assert_eq!(SHAPES.map(|shape| cost(constant(Inner::head()), shape)), [2, 0, 2, 0]);
    // The map: its index and its entries, and one for each name and value that nobody has cloned yet; the extensions.
    assert_eq!(SHAPES.map(Shape::copy_cost), [0, 3, 13, 19]);
}

#[test]
fn a_store_behind_the_session_costs_a_request_nothing() {
    let session = builder(TestProvider::new()).token(token()).store(MemoryStore::new()).build().unwrap();
    // What is set first is stored first, by a task of its own.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        session.token().await.unwrap();
        session.settled().await;
    });
    assert!(!session.status().unsaved);
    for shape in SHAPES {
        let layered = AuthRefreshLayer::new(session.clone()).replay::<Never>().layer(Inner::head());
        assert_eq!(cost(layered, shape), cost(constant(Inner::head()), shape), "{shape:?}");
    }
}

#[test]
fn requests_that_pass_without_the_credential_cost_nothing() {
    let session = session(TestProvider::new());
    let layered = || AuthRefreshLayer::new(session.clone()).layer(Inner::head());
    for base in ["https://other.test/", "/relative", "http://api.test/"] {
        let shape = Shape { base, ..SHAPES[3] };
        assert_eq!(cost(layered(), shape), cost(Inner::head(), shape), "{base}");
    }
    let own = Shape { headers: &["authorization"], ..PLAIN };
    assert_eq!(cost(layered(), own), cost(Inner::head(), own));
}

#[test]
fn a_requests_own_session_costs_no_more_than_the_layers() {
    let (layers, own) = (session(TestProvider::new()), session(TestProvider::new()));
    for shape in SHAPES {
        let request = || with(own.clone(), shape.request());
        let copy = measure(|| drop(request().clone())).count_total - measure(|| drop(request())).count_total;
        for layer in [AuthRefreshLayer::per_request(), AuthRefreshLayer::new(layers.clone())] {
            let once = layer.clone().replay::<Never>().layer(Inner::head());
            assert_eq!(cost_of(once, request), cost_of(constant(Inner::head()), request), "{shape:?}");
            let again = layer.layer(Inner::head());
            assert_eq!(cost_of(again, request), cost_of(constant(Inner::head()), request) + copy, "{shape:?}");
        }
    }
}

#[test]
fn a_request_that_opts_out_or_has_no_session_costs_nothing() {
    let out = || with(Credentials::Omit, PLAIN.request());
    let layered = AuthRefreshLayer::new(session(TestProvider::new())).layer(Inner::head());
    assert_eq!(cost_of(layered, out), cost_of(Inner::head(), out));
    let layered = AuthRefreshLayer::<TestProvider>::per_request().layer(Inner::head());
    assert_eq!(cost(layered, PLAIN), cost(Inner::head(), PLAIN));
}

#[test]
fn a_method_of_any_length_costs_the_same() {
    let shape = Shape { method: "A-METHOD-THAT-DOES-NOT-FIT-INLINE", ..SHAPES[1] };
    let layered = AuthRefreshLayer::new(session(TestProvider::new())).replay::<Never>().layer(Inner::head());
    assert_eq!(cost(layered, shape), cost(constant(Inner::head()), shape));
}

#[test]
fn in_the_soft_window_a_request_costs_the_same_while_the_successor_is_fetched() {
    let now = SystemClock::new().now().wall;
    let session = builder(TestProvider::new())
        .token(token().with_expiry(Expiry::At(now + Duration::from_secs(1000))).with_refresh_at(now))
        .transport(service_fn(|_: Request<Body>| pending::<Result<Response<Body>, Infallible>>()))
        .build()
        .unwrap();
    let layered = AuthRefreshLayer::new(session.clone()).replay::<Never>().layer(Inner::head());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let _entered = runtime.enter();
    let _ = answer(&mut layered.clone(), SHAPES[1].request());
    assert_eq!(session.status().condition, Condition::Refreshing);

    assert_eq!(cost(layered, SHAPES[1]), cost(constant(Inner::head()), SHAPES[1]));
}

// ===== what may allocate, to the number =====

#[test]
fn a_query_credential_costs_exactly_the_new_uri() {
    let session = session(TestProvider::placed(Place::Query));
    let added = ["", "?page=2", "?page=2&token=old", "?token=old&page=2&size=50"].map(|query| {
        let shape = Shape { query, ..SHAPES[1] };
        let layered = AuthRefreshLayer::new(session.clone()).replay::<Never>().layer(Inner::head());
        cost(layered, shape) - cost(Inner::head(), shape)
    });
    // The path and query; once more where room is left in it.
    assert_eq!(added, [2, 1, 2, 2]);
}

#[test]
fn a_cookie_credential_costs_exactly_the_new_header() {
    let session = session(TestProvider::placed(Place::Cookie));
    let added = [None, Some("lang=en"), Some("lang=en; theme=dark; token=old")].map(|cookie| {
        let shape = Shape { cookie, ..SHAPES[1] };
        let layered = AuthRefreshLayer::new(session.clone()).replay::<Never>().layer(Inner::head());
        cost(layered, shape) - cost(Inner::head(), shape)
    });
    // The header; once more where an old cookie leaves room in it.
    assert_eq!(added, [1, 1, 2]);
}

#[test]
fn a_signed_credential_costs_what_the_provider_allocates_to_sign() {
    let provider = TestProvider::placed(Place::Signed);
    let session = session(provider.clone());
    for shape in SHAPES {
        let (mut head, _) = shape.request().into_parts();
        let (token, context) = (token(), provider::Context::new(SystemClock::new().now().wall, 0));
        let sign = measure(|| provider.sign(&token, &mut head, &context).unwrap()).count_total;
        let layered = AuthRefreshLayer::new(session.clone()).replay::<Never>().layer(Inner::head());
        assert_eq!(cost(layered, shape), cost(Inner::head(), shape) + sign, "{shape:?}");
    }
}

#[test]
fn an_inspected_body_costs_exactly_its_box_and_its_frames() {
    let session = session(TestProvider::new().with_judged_body(true));
    let added = ["", r#"{"code":0}"#].map(|json| {
        let layered = AuthRefreshLayer::new(session.clone()).replay::<Never>().layer(Inner::json(json));
        cost(layered, SHAPES[1]) - cost(constant(Inner::json(json)), SHAPES[1])
    });
    // The box; the queue of frames.
    assert_eq!(added, [1, 2]);
}

#[test]
fn a_body_that_passes_untouched_costs_nothing_although_the_provider_asks_for_bodies() {
    let session = session(TestProvider::new().with_judged_body(true));
    let layered = AuthRefreshLayer::new(session).replay::<Never>().layer(Inner::head());
    assert_eq!(cost(layered, SHAPES[1]), cost(constant(Inner::head()), SHAPES[1]));
}

// ===== handles =====

#[test]
fn a_stream_that_nobody_copies_costs_nothing() {
    let allocations = measure(|| read(Response::new(ReplayBody::new(Body::from("0123456789"))))).count_total;

    assert_eq!(allocations, 0);
}

#[test]
fn a_stream_that_is_copied_costs_its_tape_its_buffer_and_what_shares_it() {
    let allocations = measure(|| {
        let body = ReplayBody::new(Body::from("0123456789"));
        let copy = Buffered::backup(&body);
        read(Response::new(body));
        read(Response::new(copy.unwrap()));
    });

    assert_eq!(allocations.count_total, 3);
}

#[test]
fn sessions_layers_and_services_are_cloned_without_an_allocation() {
    let session = session(TestProvider::new());
    let layer = AuthRefreshLayer::new(session.clone());
    let service = layer.layer(Inner::head());
    let counted = measure(|| {
        drop(session.clone());
        drop(layer.clone());
        drop(service.clone());
        drop(layer.layer(Inner::head()));
    });
    assert_eq!(counted.count_total, 0);
}

// ===== clocks =====

#[test]
fn each_clock_is_read_once_for_a_request_with_a_valid_token() {
    let clock = CountingClock::default();
    for place in [Place::Bearer, Place::Query, Place::Cookie, Place::Signed] {
        let provider = TestProvider::placed(place).with_judged_body(true);
        let session = builder(provider).clock(clock.clone()).token(token()).build().unwrap();
        let mut layered = AuthRefreshLayer::new(session).layer(Inner::json("{}"));
        clock.0.store(0, Ordering::Relaxed);
        let answer = answer(&mut layered, SHAPES[1].request());
        drop(answer);
        assert_eq!(clock.0.load(Ordering::Relaxed), 1);
    }
}

#[test]
fn no_clock_is_read_for_a_request_that_passes_without_the_credential() {
    let clock = CountingClock::default();
    let session = builder(TestProvider::new()).clock(clock.clone()).token(token()).build().unwrap();
    let mut layered = AuthRefreshLayer::new(session).layer(Inner::head());
    clock.0.store(0, Ordering::Relaxed);
    let _ = answer(&mut layered, Shape { base: "https://other.test/", ..PLAIN }.request());
    assert_eq!(clock.0.load(Ordering::Relaxed), 0);
}

// ===== locks =====

/// Who is to be told that a refresh is in the middle of its transition, and who lets it go on.
static TRANSITION: Mutex<Option<(mpsc::Sender<()>, mpsc::Receiver<()>)>> = Mutex::new(None);

#[test]
fn a_request_with_a_valid_token_waits_for_no_lock() {
    // The jitter of a backoff is rolled in the middle of the transition that ends a failed refresh.
    let roll = || {
        let waiting = TRANSITION.lock().unwrap().take();
        if let Some((inside, go_on)) = waiting {
            inside.send(()).unwrap();
            go_on.recv().unwrap();
        }
        0.0
    };
    let now = SystemClock::new().now().wall;
    let session = builder(TestProvider::new())
        .policy(RefreshPolicy::new().jitter(roll))
        .token(token().with_expiry(Expiry::At(now + Duration::from_secs(1000))).with_refresh_at(now))
        .build()
        .unwrap();
    let mut layered = AuthRefreshLayer::new(session.clone()).layer(Inner::head());
    let (inside, is_inside) = mpsc::channel();
    let (go_on, may_go_on) = mpsc::channel();
    let (answered, is_answered) = mpsc::channel();
    *TRANSITION.lock().unwrap() = Some((inside, may_go_on));

    std::thread::scope(|scope| {
        scope.spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
            runtime.block_on(async {
                session.token().await.unwrap();
                session.settled().await;
            });
        });
        is_inside.recv().unwrap();
        scope.spawn(move || answered.send(answer(&mut layered, PLAIN.request()).status()).unwrap());
        let answered = is_answered.recv_timeout(Duration::from_secs(10));
        go_on.send(()).unwrap();
        assert_eq!(answered, Ok(StatusCode::OK));
    });
    assert_eq!(session.status().condition, Condition::Failing);
}

// ===== scenes =====

/// What a request looks like.
#[derive(Clone, Copy, Debug)]
struct Shape {
    method: &'static str,
    base: &'static str,
    query: &'static str,
    headers: &'static [&'static str],
    cookie: Option<&'static str>,
    has_extension: bool,
}

const PLAIN: Shape = Shape {
    method: "POST",
    base: "https://api.test/v2/devices",
    query: "",
    headers: &[],
    cookie: None,
    has_extension: false,
};

const SHAPES: [Shape; 4] = [
    PLAIN,
    Shape { headers: &["accept"], ..PLAIN },
    // With one header more the map has to grow.
    Shape { headers: &["accept", "x-1", "x-2", "x-3", "x-4", "x-5"], ..PLAIN },
    Shape { headers: &["accept", "x-1", "x-2", "x-3", "x-4", "x-5", "x-6", "x-7"], has_extension: true, ..PLAIN },
];

#[derive(Clone)]
struct Extension;

impl Shape {
    fn request(self) -> Request<Body> {
        let mut request = Request::builder().method(self.method).uri(format!("{}{}", self.base, self.query));
        for name in self.headers {
            request = request.header(*name, "value");
        }
        if let Some(cookie) = self.cookie {
            request = request.header(header::COOKIE, cookie);
        }
        if self.has_extension {
            request = request.extension(Extension);
        }
        request.body(Body::from("body")).unwrap()
    }

    /// What a copy of the request allocates.
    fn copy_cost(self) -> u64 {
        let request = self.request();
        measure(|| drop(request.clone())).count_total
    }
}

fn with<T: Clone + Send + Sync + 'static>(extension: T, mut request: Request<Body>) -> Request<Body> {
    request.extensions_mut().insert(extension);
    request
}

/// What a request allocates from `poll_ready` to the end of its answer.
fn cost<S, B>(service: S, shape: Shape) -> u64
where
    S: Service<Request<Body>, Response = Response<B>, Error: Debug>,
    B: http_body::Body,
{
    cost_of(service, || shape.request())
}

/// The same for requests of any making.
fn cost_of<S, B>(mut service: S, request: impl Fn() -> Request<Body>) -> u64
where
    S: Service<Request<Body>, Response = Response<B>, Error: Debug>,
    B: http_body::Body,
{
    let (first, request) = (request(), request());
    // What a thread sets up once is set up by the first request.
    read(answer(&mut service, first));
    measure(|| read(answer(&mut service, request))).count_total
}

fn answer<S>(service: &mut S, request: Request<Body>) -> S::Response
where
    S: Service<Request<Body>, Error: Debug>,
{
    let mut cx = Context::from_waker(Waker::noop());
    assert!(service.poll_ready(&mut cx).is_ready());
    match pin!(service.call(request)).poll(&mut cx) {
        Poll::Ready(answer) => answer.unwrap(),
        Poll::Pending => panic!("a valid token makes nobody wait"),
    }
}

fn read<B: http_body::Body>(answer: Response<B>) {
    let mut body = pin!(answer.into_body());
    while let Poll::Ready(Some(_)) = body.as_mut().poll_frame(&mut Context::from_waker(Waker::noop())) {}
}

fn builder(provider: TestProvider) -> SessionBuilder<TestProvider> {
    let unavailable = |_: Request<Body>| {
        let mut answer = Response::new(Body::default());
        *answer.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        ready(Ok::<_, Infallible>(answer))
    };
    Session::builder(provider).transport(service_fn(unavailable))
}

fn session(provider: TestProvider) -> Session<TestProvider> {
    builder(provider).token(token()).build().unwrap()
}

fn token() -> TokenSet {
    TokenSet::new("access")
}

/// The measure of things: the same header by a layer that has nothing to decide.
fn constant(inner: Inner) -> AddAuthorization<Inner> {
    // A header value that nobody has cloned yet allocates at its first clone: `cost` sends a request in advance.
    AddAuthorization::bearer(inner, "access")
}

/// Answers at once, and allocates only for an answer with a header.
#[derive(Clone, Copy)]
struct Inner(Option<&'static str>);

impl Inner {
    fn head() -> Self {
        Self(None)
    }

    fn json(json: &'static str) -> Self {
        Self(Some(json))
    }
}

impl Service<Request<Body>> for Inner {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<Body>) -> Self::Future {
        let mut answer = Response::new(Body::default());
        if let Some(json) = self.0 {
            answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
            *answer.body_mut() = Body::from(json);
        }
        ready(Ok(answer))
    }
}

/// Counts how often it is read.
#[derive(Clone, Default)]
struct CountingClock(Arc<AtomicUsize>);

impl Clock for CountingClock {
    fn now(&self) -> Now {
        self.0.fetch_add(1, Ordering::Relaxed);
        SystemClock::new().now()
    }
}
