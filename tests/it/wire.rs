//! Rejection and replay over real HTTP/1.1 and HTTP/2 connections: C23, C25, C27, C31 to C33, C35.

use std::time::Duration;

use http::{Request, Response, StatusCode, Version, header};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tower::{BoxError, Layer, Service, ServiceExt, limit::ConcurrencyLimit};
use tower_auth_refresh::{
    AuthRefresh, AuthRefreshLayer, Session,
    error::{ErrorKind, RefreshFailure},
    inspect::InspectBody,
    replay::Never,
};

use crate::support::{
    Bare, Body, Place, TestProvider, World,
    duplex::Servers,
    frames::{Frames, Part, data, json, trailers, unauthorized},
    get, post, send, text,
};

// ===== the plain case =====

#[tokio::test(start_paused = true)]
async fn over_http1_a_rejected_request_is_renewed_and_replayed_on_the_one_connection() {
    let world = World::new();
    let servers = Servers::new(&world);
    let client = layered(&rejected(&world, Place::Bearer), servers.http1().await);

    let answer = in_time(send(&client, post("/", "body"))).await.unwrap();

    assert_eq!((answer.status(), answer.version()), (StatusCode::OK, Version::HTTP_11));
    assert_eq!(text(answer).await, "welcome");
    assert_eq!(world.tokens(), ["Bearer access-7", "Bearer access-8"]);
    assert_eq!(world.bodies(), ["body", "body"]);
    assert_eq!(world.counts().token_calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn over_http2_a_rejected_request_is_renewed_and_replayed() {
    let world = World::new();
    let servers = Servers::new(&world);
    let client = layered(&rejected(&world, Place::Bearer), servers.http2().await);

    let answer = in_time(send(&client, post("/", "body"))).await.unwrap();

    assert_eq!((answer.status(), answer.version()), (StatusCode::OK, Version::HTTP_2));
    assert_eq!(text(answer).await, "welcome");
    assert_eq!(world.tokens(), ["Bearer access-7", "Bearer access-8"]);
    assert_eq!(world.bodies(), ["body", "body"]);
    assert_eq!(world.counts().token_calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn over_one_http2_connection_six_parallel_rejections_make_one_refresh_and_twelve_sends() {
    let world = World::new();
    let servers = Servers::new(&world);
    let client = layered(&rejected(&world, Place::Bearer), servers.http2().await);
    world.hold_api();
    let all = futures::future::join_all((0..6).map(|number| send(&client, get(&format!("/{number}")))));
    let release = async {
        pass(Duration::from_secs(1)).await;
        assert_eq!((world.counts().api, world.counts().token_calls()), (6, 0));
        world.release_api();
    };

    let (answers, ()) = in_time(async { tokio::join!(all, release) }).await;

    assert!(answers.iter().all(|answer| answer.as_ref().unwrap().status() == StatusCode::OK));
    let counts = world.counts();
    assert_eq!((counts.api, counts.rejected, counts.token_calls()), (12, 6, 1));
}

// ===== both sends =====

#[tokio::test(start_paused = true)]
async fn over_http1_both_sends_are_alike_to_the_last_trailer_wherever_the_credential_travels() {
    for place in [Place::Bearer, Place::Query, Place::Cookie, Place::Signed] {
        let world = World::new();
        let servers = Servers::new(&world);
        let client = layered(&rejected(&world, place), servers.http1().await);

        let answer = in_time(send(&client, whole_request())).await.unwrap();

        assert_eq!(answer.status(), StatusCode::OK);
        assert_alike(&servers, Version::HTTP_11);
    }
}

#[tokio::test(start_paused = true)]
async fn over_http2_both_sends_are_alike_to_the_last_trailer_wherever_the_credential_travels() {
    for place in [Place::Bearer, Place::Query, Place::Cookie, Place::Signed] {
        let world = World::new();
        let servers = Servers::new(&world);
        let client = layered(&rejected(&world, place), servers.http2().await);

        let answer = in_time(send(&client, whole_request())).await.unwrap();

        assert_eq!(answer.status(), StatusCode::OK);
        assert_alike(&servers, Version::HTTP_2);
    }
}

// ===== what cannot be sent again =====

#[tokio::test(start_paused = true)]
async fn over_http1_a_stream_that_was_answered_early_is_not_replayed_and_the_token_is_renewed() {
    let world = World::new();
    let servers = early_rejection(&world);
    let session = rejected(&world, Place::Bearer);
    let client = AuthRefreshLayer::new(session.clone()).replay::<Never>().layer(servers.http1().await);

    let answer = in_time(send(&client, half_sent())).await.unwrap();

    assert_early_rejection_came_back(answer, &session, &servers, &world).await;
}

#[tokio::test(start_paused = true)]
async fn over_http2_a_stream_that_was_answered_early_is_not_replayed_and_the_token_is_renewed() {
    let world = World::new();
    let servers = early_rejection(&world);
    let session = rejected(&world, Place::Bearer);
    let client = AuthRefreshLayer::new(session.clone()).replay::<Never>().layer(servers.http2().await);

    let answer = in_time(send(&client, half_sent())).await.unwrap();

    assert_early_rejection_came_back(answer, &session, &servers, &world).await;
}

#[tokio::test(start_paused = true)]
async fn a_copied_body_that_was_answered_early_is_replayed_from_its_beginning() {
    let world = World::new();
    let servers = Servers::new(&world).early(|request| {
        let is_first = request.headers()[header::AUTHORIZATION] == "Bearer access-7";
        is_first.then(|| unauthorized(Frames::new([data("rejected")])))
    });
    let client = layered(&rejected(&world, Place::Bearer), servers.http2().await);
    let long = "0123456789".repeat(20_000);
    let body = Frames::new([data(long.clone()), data("end"), trailers("x-sum", "3")]);

    let answer = in_time(send(&client, Request::put("https://api.test/").body(body).unwrap())).await.unwrap();

    assert_eq!(answer.status(), StatusCode::OK);
    let [first, second] = &servers.seen()[..] else { panic!("not two sends") };
    assert_eq!(first.body, None);
    assert_eq!(second.body.as_deref(), Some((long + "end").as_bytes()));
    assert_eq!(second.trailers.as_ref().unwrap()["x-sum"], "3");
}

// ===== answers =====

#[tokio::test(start_paused = true)]
async fn over_http1_the_first_answer_comes_back_whole_when_the_refresh_fails() {
    let world = World::new();
    world.script_idp(|_| Some(Ok(Response::builder().status(503).body(Body::default()).unwrap())));
    let servers = Servers::new(&world).early(|_| Some(with_trailers(unauthorized(Frames::new(long_parts())))));
    let client = layered(&rejected(&world, Place::Bearer), servers.http1().await);

    let answer = in_time(send(&client, asking_for_trailers())).await.unwrap();

    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(answer.extensions().get::<RefreshFailure>().unwrap().kind(), ErrorKind::Unavailable);
    assert_long(answer).await;
    assert_eq!((servers.seen().len(), world.counts().token_calls()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn over_http1_an_accepted_body_that_was_looked_into_keeps_its_bytes_and_trailers() {
    let world = World::new();
    let servers = Servers::new(&world).early(|_| Some(with_trailers(json(Frames::new(long_parts())))));
    let client = layered(&reading(&world), servers.http1().await);

    let answer = in_time(send(&client, asking_for_trailers())).await.unwrap();

    assert_long(answer).await;
    assert_eq!((servers.seen().len(), world.counts().token_calls()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn over_http2_an_accepted_body_that_was_looked_into_keeps_its_bytes_and_trailers() {
    let world = World::new();
    let servers = Servers::new(&world).early(|_| Some(with_trailers(json(Frames::new(long_parts())))));
    let client = layered(&reading(&world), servers.http2().await);

    let answer = in_time(send(&client, asking_for_trailers())).await.unwrap();

    assert_long(answer).await;
    assert_eq!((servers.seen().len(), world.counts().token_calls()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn over_http1_a_rejection_inside_the_body_is_replayed_on_the_one_connection() {
    let world = World::new();
    let servers = Servers::new(&world).early(|request| {
        let is_first = request.headers()[header::AUTHORIZATION] == "Bearer access-7";
        is_first.then(|| json(Frames::new([data("{\"rejected\":"), data("true}")])))
    });
    let client = layered(&reading(&world), servers.http1().await);

    let answer = in_time(send(&client, get("/"))).await.unwrap();

    assert_eq!(text(answer).await, "welcome");
    assert_eq!((servers.seen().len(), world.counts().token_calls()), (2, 1));
}

// ===== one connection for the API and the token endpoint =====

#[tokio::test(start_paused = true)]
async fn a_cold_start_does_not_hang_on_the_one_http1_connection() {
    let world = World::new();
    let connection = ConcurrencyLimit::new(Servers::new(&world).http1().await, 1);
    let client = layered(&sharing(&world, connection.clone()), connection);

    let requests = (0..10).map(|number| reading_all(&client, get(&format!("/{number}"))));
    let answers = in_time(futures::future::join_all(requests)).await;

    assert!(answers.into_iter().all(|answer| answer == (StatusCode::OK, "welcome".to_owned())));
    assert_eq!((world.counts().api, world.counts().logins), (10, 1));
}

#[tokio::test(start_paused = true)]
async fn a_rejection_does_not_hang_on_the_one_http1_connection() {
    let world = World::new();
    let connection = ConcurrencyLimit::new(long_rejection(&world).http1().await, 1);
    let session = sharing(&world, connection.clone());
    set_rejected(&world, &session);

    let answer = in_time(reading_all(&layered(&session, connection), get("/"))).await;

    assert_eq!(answer, (StatusCode::OK, "welcome".to_owned()));
    assert_eq!(world.counts().refreshes, 1);
}

#[tokio::test(start_paused = true)]
async fn a_cold_start_does_not_hang_on_an_http2_connection_with_one_stream() {
    let world = World::new();
    let connection = Servers::new(&world).streams(1).http2().await;
    let client = layered(&sharing(&world, connection.clone()), connection);

    let requests = (0..10).map(|number| reading_all(&client, get(&format!("/{number}"))));
    let answers = in_time(futures::future::join_all(requests)).await;

    assert!(answers.into_iter().all(|answer| answer == (StatusCode::OK, "welcome".to_owned())));
    assert_eq!((world.counts().api, world.counts().logins), (10, 1));
}

#[tokio::test(start_paused = true)]
async fn a_rejection_does_not_hang_on_an_http2_connection_with_one_stream() {
    let world = World::new();
    let connection = long_rejection(&world).streams(1).http2().await;
    let session = sharing(&world, connection.clone());
    set_rejected(&world, &session);

    let answer = in_time(reading_all(&layered(&session, connection), get("/"))).await;

    assert_eq!(answer, (StatusCode::OK, "welcome".to_owned()));
    assert_eq!(world.counts().refreshes, 1);
}

// ===== relative URIs =====

#[tokio::test(start_paused = true)]
async fn over_http1_a_relative_uri_is_renewed_and_replayed_as_it_is() {
    let world = World::new();
    let servers = Servers::new(&world);
    let layer = AuthRefreshLayer::new(rejected(&world, Place::Query)).fixed_peer();
    let client = layer.layer(servers.http1().await);
    let request = Request::get("/relative?x=1").header(header::HOST, "api.test").body(Body::default()).unwrap();

    let answer = in_time(send(&client, request)).await.unwrap();

    assert_eq!(answer.status(), StatusCode::OK);
    let uris: Vec<_> = servers.seen().iter().map(|seen| seen.head.uri.to_string()).collect();
    assert_eq!(uris, ["/relative?x=1&token=access-7", "/relative?x=1&token=access-8"]);
}

// ===== helpers =====

/// A session with token set 7, whose access token the server has ended.
fn rejected(world: &World, place: Place) -> Session<TestProvider> {
    let session = over(world, TestProvider::placed(place), world.idp());
    set_rejected(world, &session);
    session
}

/// A session with token set 7 that looks into bodies.
fn reading(world: &World) -> Session<TestProvider> {
    let session = over(world, TestProvider::new().with_judged_body(true), world.idp());
    set_rejected(world, &session);
    session
}

/// A session without a token that speaks to the token endpoint over `connection`.
fn sharing<S>(world: &World, connection: S) -> Session<TestProvider>
where
    S: Service<Request<Body>, Response = Response<Incoming>, Error = BoxError, Future: Send> + Clone + Send + 'static,
{
    over(world, TestProvider::new(), connection)
}

fn over<S, B>(world: &World, provider: TestProvider, transport: S) -> Session<TestProvider>
where
    S: Service<Request<Body>, Response = Response<B>, Error = BoxError, Future: Send> + Clone + Send + 'static,
    B: http_body::Body<Error: Into<BoxError>> + Send + 'static,
{
    Session::builder(provider).transport(transport).clock(world.clock.clone()).build().unwrap()
}

/// Sends a request through a clone that stays alive until the answer has been read, with whatever it has reserved.
async fn reading_all<S, B>(client: &S, request: Request<Body>) -> (StatusCode, String)
where
    S: Service<Request<Body>, Response = Response<B>, Error: std::fmt::Debug> + Clone,
    B: http_body::Body<Error: std::fmt::Debug>,
{
    let mut client = client.clone();
    let answer = client.ready().await.unwrap().call(request).await.unwrap();
    (answer.status(), text(answer).await)
}

fn set_rejected(world: &World, session: &Session<TestProvider>) {
    session.set(TestProvider::token(7, Duration::from_secs(1000), world.clock.wall())).unwrap();
    world.grant(7);
    world.revoke_access();
}

fn layered<S>(session: &Session<TestProvider>, connection: S) -> AuthRefresh<S, TestProvider> {
    AuthRefreshLayer::new(session.clone()).layer(connection)
}

/// A request with everything that must be the same in both sends.
fn whole_request() -> Request<Frames> {
    Request::put("https://api.test/a%20b?x=1&token=mine&y=%2F")
        .header("x-twice", "1")
        .header("x-twice", "2")
        .header("cookie", "a=1; token=mine; b=2")
        .header("trailer", "x-sum")
        .body(Frames::new([data("first "), data("second"), trailers("x-sum", "3")]))
        .unwrap()
}

fn assert_alike(servers: &Servers, version: Version) {
    let [first, second] = &servers.seen()[..] else { panic!("not two sends") };
    assert_eq!(Bare::of(&first.head, 7), Bare::of(&second.head, 8));
    for send in [first, second] {
        assert_eq!((send.head.method.as_str(), send.head.version, send.head.uri.path()), ("PUT", version, "/a%20b"));
        assert!(send.head.headers.get_all("x-twice").iter().eq(["1", "2"]));
        assert_eq!(send.body.as_deref(), Some(&b"first second"[..]));
        assert_eq!(send.trailers.as_ref().unwrap()["x-sum"], "3");
    }
}

/// Rejects every request before it has read anything of its body.
fn early_rejection(world: &World) -> Servers {
    Servers::new(world).early(|_| Some(unauthorized(Frames::new([data("rejected")]))))
}

/// A request whose body does not end, and cannot be sent again.
fn half_sent() -> Request<Frames> {
    let body = Frames::new([data("first "), Part::Hold, data("second")]);
    Request::post("https://api.test/").body(body).unwrap()
}

async fn assert_early_rejection_came_back(
    answer: Response<InspectBody<Incoming>>,
    session: &Session<TestProvider>,
    servers: &Servers,
    world: &World,
) {
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(text(answer).await, "rejected");
    in_time(session.settled()).await;
    let seen = servers.seen();
    assert_eq!((seen.len(), world.counts().refreshes), (1, 1));
    assert_eq!(seen[0].head.headers[header::AUTHORIZATION], "Bearer access-7");
}

/// Rejects token 7 with more than a window or a buffer holds.
fn long_rejection(world: &World) -> Servers {
    Servers::new(world).early(|request| {
        let is_first = request.headers()[header::AUTHORIZATION] == "Bearer access-7";
        is_first.then(|| unauthorized(Frames::declared([data(vec![b'x'; 32 * 1024])])))
    })
}

fn long_parts() -> [Part; 3] {
    [data(vec![b' '; 20_000]), data("{}"), trailers("x-sum", "1")]
}

/// The body is [`long_parts`], whole.
async fn assert_long(answer: Response<InspectBody<Incoming>>) {
    let body = in_time(answer.into_body().collect()).await.unwrap();
    assert_eq!(body.trailers().unwrap()["x-sum"], "1");
    assert_eq!(body.to_bytes(), [vec![b' '; 20_000], b"{}".to_vec()].concat());
}

/// HTTP/1.1 servers send trailers only to clients that ask for them, and announce them.
fn asking_for_trailers() -> Request<Body> {
    let mut request = get("/");
    request.headers_mut().insert(header::TE, header::HeaderValue::from_static("trailers"));
    request
}

fn with_trailers(mut answer: Response<Frames>) -> Response<Frames> {
    answer.headers_mut().insert(header::TRAILER, header::HeaderValue::from_static("x-sum"));
    answer
}

/// Paused time passes only when nothing else can happen, so that what hangs fails at once.
#[allow(clippy::disallowed_methods, reason = "paused time")]
async fn in_time<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(60), future).await.expect("no hang")
}

#[allow(clippy::disallowed_methods, reason = "paused time")]
async fn pass(time: Duration) {
    tokio::time::sleep(time).await;
}
