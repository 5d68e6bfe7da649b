//! Where credentials go, and where they do not: C36 and C45.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, OnceLock},
    task::{Context, Poll},
};

use http::{HeaderValue, Request, Response, StatusCode, Uri, header};
use tower::{BoxError, Layer, Service, ServiceExt, limit::ConcurrencyLimitLayer};
use tower_auth_refresh::{AuthRefreshLayer, Session, error::ErrorKind};

use crate::support::{Body, Client, Place, ServerBody, TestProvider, World, client, get, send, session};

type Reply = Result<Response<Body>, BoxError>;

fn reply(status: StatusCode) -> Reply {
    let mut answer = Response::new(Body::default());
    *answer.status_mut() = status;
    Ok(answer)
}

/// A request whose URI may be anything.
fn to(uri: &str) -> Request<Body> {
    Request::get(uri).body(Body::default()).unwrap()
}

/// A world in which token set 7 is in place.
fn signed_in(provider: TestProvider) -> (World, Client) {
    let (world, session) = signed_in_session(provider);
    let client = client(&world, &session);
    (world, client)
}

fn signed_in_session(provider: TestProvider) -> (World, Session<TestProvider>) {
    let world = World::new();
    let session = crate::scene::signed_in(&world, provider, crate::scene::no_jitter());
    (world, session)
}

// ===== one client for the API and the token endpoint =====

/// The API and the authorization server behind one host: what a single HTTP client reaches.
#[derive(Clone)]
struct OneHost(World);

impl Service<Request<Body>> for OneHost {
    type Response = Response<ServerBody>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        match request.uri().path() {
            "/login" | "/refresh" => self.0.idp().call(request),
            _ => self.0.api().call(request),
        }
    }
}

/// A client that is made after the session which uses it.
struct Later<S>(Arc<OnceLock<S>>);

impl<S> Clone for Later<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<S> Service<Request<Body>> for Later<S>
where
    S: Service<Request<Body>> + Clone + Send + Sync + 'static,
    S::Future: Send,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        Box::pin(self.0.get().expect("the client is there").clone().oneshot(request))
    }
}

/// The heads of all token requests, as the server sees them.
fn record_token_requests(world: &World) -> Arc<Mutex<Vec<String>>> {
    let heads: Arc<Mutex<Vec<String>>> = Arc::default();
    let record = Arc::clone(&heads);
    world.script_idp(move |request| {
        record.lock().unwrap().push(format!("{} {} {:?}", request.method(), request.uri(), request.headers()));
        None
    });
    heads
}

/// `layered` becomes the client of the API and, through the layer as well, the way to the token endpoint.
macro_rules! own_client {
    ($world:expr, $place:expr, $service:expr) => {{
        let later = Later(Arc::new(OnceLock::new()));
        let provider = TestProvider::placed($place).with_token_endpoint("https://api.test");
        let session = Session::builder(provider).transport(later.clone()).clock($world.clock.clone()).build().unwrap();
        let client = AuthRefreshLayer::new(session.clone()).layer($service);
        assert!(later.0.set(client.clone()).is_ok());
        (session, client)
    }};
}

#[tokio::test(start_paused = true)]
async fn a_token_request_passes_through_its_own_layer_without_a_credential() {
    for place in [Place::Bearer, Place::Query, Place::Cookie, Place::Signed] {
        let world = World::new();
        world.script_api(|_| reply(StatusCode::OK).into());
        let heads = record_token_requests(&world);
        let (session, client) = own_client!(world, place, OneHost(world.clone()));

        for _ in 0..2 {
            assert_eq!(send(&client, get("/")).await.unwrap().status(), StatusCode::OK);
            world.clock.advance(std::time::Duration::from_secs(1000));
        }

        session.settled().await;
        assert_eq!(*heads.lock().unwrap(), ["POST https://api.test/login {}", "POST https://api.test/refresh {}"]);
        assert_eq!(world.counts().api, 2);
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_token_request_through_the_own_layer_is_no_rejection() {
    let world = World::new();
    world.script_idp(|_| Some(reply(StatusCode::UNAUTHORIZED)));
    let (_, client) = own_client!(world, Place::Bearer, OneHost(world.clone()));

    assert_eq!(send(&client, get("/")).await.unwrap_err().kind(), ErrorKind::Refused);

    assert_eq!((world.counts().logins, world.counts().refreshes, world.counts().api), (1, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_token_request_passes_through_the_layer_of_another_session_untouched() {
    let world = World::new();
    let heads = record_token_requests(&world);
    let at_the_token_endpoint = TestProvider::new().with_origin(Uri::from_static("https://id.test"));
    let other = session(&world, at_the_token_endpoint);
    let through_other = AuthRefreshLayer::new(other.clone()).layer(OneHost(world.clone()));
    let session =
        Session::builder(TestProvider::new()).transport(through_other).clock(world.clock.clone()).build().unwrap();
    let client = client(&world, &session);

    assert_eq!(send(&client, get("/")).await.unwrap().status(), StatusCode::OK);
    world.revoke_access();
    other.set(TestProvider::token(50, std::time::Duration::from_secs(1000), world.clock.wall())).unwrap();
    assert_eq!(send(&client, get("/")).await.unwrap().status(), StatusCode::OK);

    assert_eq!(*heads.lock().unwrap(), ["POST https://id.test/login {}", "POST https://id.test/refresh {}"]);
    assert_eq!(other.status().generation.get(), 1);
}

#[tokio::test(start_paused = true)]
async fn api_and_token_endpoint_share_one_client_with_room_for_one_request() {
    let world = World::new();
    let (_, client) = own_client!(world, Place::Bearer, ConcurrencyLimitLayer::new(1).layer(OneHost(world.clone())));
    // As somebody does who keeps a client for the next request: what it has reserved goes away only if it is given back.
    let keeping = || async {
        let mut client = client.clone();
        let answer = client.ready().await.unwrap().call(get("/")).await;
        drop(client);
        answer.unwrap().status()
    };

    assert_eq!(futures::future::join_all((0..6).map(|_| keeping())).await, [StatusCode::OK; 6]);
    world.revoke_access();
    assert_eq!(futures::future::join_all((0..6).map(|_| keeping())).await, [StatusCode::OK; 6]);

    let counts = world.counts();
    assert_eq!((counts.logins, counts.refreshes, counts.double_spent), (1, 1, 0));
}

// ===== plain http =====

#[test]
fn an_api_on_plain_http_is_refused_when_the_session_is_built() {
    let world = World::new();
    let plain = Uri::from_static("http://api.test");
    let provider = TestProvider::new().with_origin(plain.clone());
    let by_provider = Session::builder(provider).transport(world.idp()).build();
    let by_setting = Session::builder(TestProvider::new()).transport(world.idp()).origin(plain).build();
    for built in [by_provider, by_setting] {
        assert_eq!(built.unwrap_err().kind(), ErrorKind::PlainHttp);
    }
}

#[tokio::test]
async fn a_token_endpoint_on_plain_http_is_refused_and_nothing_is_sent() {
    let world = World::new();
    let session = session(&world, TestProvider::new().with_token_endpoint("http://id.test"));
    let client = client(&world, &session);

    assert_eq!(send(&client, get("/")).await.unwrap_err().kind(), ErrorKind::PlainHttp);
    assert_eq!(session.sign_in().await.unwrap_err().kind(), ErrorKind::PlainHttp);

    assert_eq!(world.counts(), Default::default());
}

#[tokio::test]
async fn a_refresh_token_is_not_sent_over_plain_http() {
    let (world, client) = signed_in(TestProvider::without_login().with_token_endpoint("http://id.test"));
    world.clock.advance(std::time::Duration::from_secs(1000));

    assert_eq!(send(&client, get("/")).await.unwrap_err().kind(), ErrorKind::PlainHttp);

    assert_eq!(world.counts(), Default::default());
}

#[tokio::test]
async fn plain_http_works_for_whoever_opts_in() {
    let world = World::new();
    let provider =
        TestProvider::new().with_origin(Uri::from_static("http://api.test")).with_token_endpoint("http://id.test");
    let session =
        Session::builder(provider).transport(world.idp()).clock(world.clock.clone()).allow_http(true).build().unwrap();
    let client = client(&world, &session);

    assert_eq!(send(&client, to("http://api.test/")).await.unwrap().status(), StatusCode::OK);
    assert_eq!(send(&client, to("https://api.test/")).await.unwrap().status(), StatusCode::UNAUTHORIZED);

    assert_eq!(world.tokens(), ["Bearer access-1", ""]);
    assert_eq!(world.counts().token_calls(), 1);
}

// ===== other origins =====

const OTHERS: [&str; 14] = [
    "http://api.test/",
    "http://api.test:443/",
    "https://api.test:8443/",
    "https://api.test:80/",
    "https://user@api.test/",
    "https://user:password@api.test/",
    "https://user@api.test:443/",
    "https://@api.test/",
    "https://sub.api.test/",
    "https://test/",
    "https://api.test./",
    "https://api.test.evil.test/",
    "https://xapi.test/",
    "/relative",
];

#[tokio::test]
async fn requests_to_other_origins_carry_no_credential_and_their_401_causes_nothing() {
    for other in OTHERS {
        let (world, client) = signed_in(TestProvider::new());

        let answer = send(&client, to(other)).await.unwrap();

        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "{other}");
        assert_eq!(world.tokens(), [""], "{other}");
        assert_eq!((world.counts().api, world.counts().token_calls()), (1, 0), "{other}");
    }
}

#[tokio::test]
async fn requests_to_other_origins_need_no_token() {
    for other in OTHERS {
        let world = World::new();
        let session = session(&world, TestProvider::new());
        session.sign_out();
        send(&client(&world, &session), to(other)).await.unwrap();
        assert_eq!((world.counts().api, world.counts().token_calls()), (1, 0), "{other}");
    }
}

#[tokio::test]
async fn requests_to_other_origins_pass_untouched() {
    for place in [Place::Bearer, Place::Query, Place::Cookie, Place::Signed] {
        let (world, client) = signed_in(TestProvider::placed(place));
        let mut request = to("https://other.test/a%20b?token=mine&&x=+");
        request.headers_mut().insert(header::COOKIE, HeaderValue::from_static("token=mine;  b=2"));
        let headers = request.headers().clone();

        send(&client, request).await.unwrap();

        let seen = world.seen().remove(0);
        assert_eq!(seen.uri, "https://other.test/a%20b?token=mine&&x=+");
        assert_eq!(seen.headers, headers);
    }
}

#[tokio::test]
async fn another_spelling_of_the_origin_is_the_same_origin() {
    for same in ["https://API.Test/", "https://api.test:443/", "HTTPS://api.test", "https://api.test:443?query"] {
        let (world, client) = signed_in(TestProvider::new());
        assert_eq!(send(&client, to(same)).await.unwrap().status(), StatusCode::OK, "{same}");
        assert_eq!(world.tokens(), ["Bearer access-7"], "{same}");
    }
}

#[tokio::test]
async fn origins_that_were_named_are_as_good_as_the_providers() {
    let world = World::new();
    let named = ["https://Second.test:8443/any/path", "https://third.test:443", "https://[2001:DB8::1]"];
    let builder = Session::builder(TestProvider::new()).transport(world.idp()).clock(world.clock.clone());
    let builder = named.into_iter().fold(builder, |builder, uri| builder.origin(Uri::from_static(uri)));
    let client = client(&world, &builder.build().unwrap());
    let covered =
        ["https://api.test/", "https://second.test:8443/", "https://THIRD.test/x", "https://[2001:db8::1]:443/"];
    let others =
        ["https://second.test/", "https://third.test:8443/", "http://third.test:443/", "https://[2001:db8::2]/"];
    for uri in covered.into_iter().chain(others) {
        send(&client, to(uri)).await.unwrap();
    }
    assert_eq!(world.tokens(), [["Bearer access-1"; 4], [""; 4]].concat());
    assert_eq!(world.counts().token_calls(), 1);
}

#[tokio::test]
async fn a_rejection_by_an_origin_that_was_named_is_renewed_and_replayed_there() {
    let world = World::new();
    let named = Uri::from_static("https://named.test");
    let session = Session::builder(TestProvider::new()).transport(world.idp()).clock(world.clock.clone()).origin(named);
    let client = client(&world, &session.build().unwrap());
    send(&client, get("/")).await.unwrap();
    world.revoke_access();

    assert_eq!(send(&client, to("https://named.test/")).await.unwrap().status(), StatusCode::OK);

    let hosts: Vec<_> = world.seen().iter().map(|head| head.uri.host().unwrap().to_owned()).collect();
    assert_eq!(hosts, ["api.test", "named.test", "named.test"]);
    assert_eq!((world.counts().logins, world.counts().refreshes), (1, 1));
}

#[test]
fn an_origin_that_is_none_is_refused_when_the_session_is_built() {
    let world = World::new();
    for uri in [
        "/relative",
        "named.test",
        "named.test:443",
        "ftp://named.test",
        "https://user@named.test",
        "https://named.test:x",
    ] {
        let uri = Uri::from_static(uri);
        let session = Session::builder(TestProvider::new()).transport(world.idp()).origin(uri);
        assert_eq!(session.build().unwrap_err().kind(), ErrorKind::Fault);
    }
}

// ===== relative URIs =====

const RELATIVE: [&str; 4] = ["/relative", "/?q=https://api.test/", "//other.test/path", "*"];

/// Neither relative nor of the API, however alike it looks.
const ODD: [&str; 8] = [
    "api.test",
    "api.test:443",
    "https://api.test:/",
    "https://api.test:443@other.test/",
    "https://api.test@other.test/",
    "https://other.test/https://api.test/",
    "https://api.test:8443:443@other.test/",
    "ws://api.test/",
];

#[tokio::test]
async fn a_relative_uri_carries_no_credential_until_somebody_says_that_there_is_one_peer() {
    for uri in RELATIVE {
        let (world, client) = signed_in(TestProvider::new());

        assert_eq!(send(&client, to(uri)).await.unwrap().status(), StatusCode::UNAUTHORIZED, "{uri}");

        assert_eq!(world.tokens(), [""], "{uri}");
        assert_eq!((world.counts().api, world.counts().token_calls()), (1, 0), "{uri}");
    }
}

#[tokio::test]
async fn a_relative_uri_belongs_to_the_api_where_the_service_has_one_peer_only() {
    for uri in RELATIVE {
        let (world, session) = signed_in_session(TestProvider::new());
        let client = AuthRefreshLayer::new(session).fixed_peer().layer(world.api());
        world.revoke_access();

        assert_eq!(send(&client, to(uri)).await.unwrap().status(), StatusCode::OK, "{uri}");

        assert_eq!(world.tokens(), ["Bearer access-7", "Bearer access-8"], "{uri}");
        let uris: Vec<_> = world.seen().iter().map(|head| head.uri.to_string()).collect();
        assert_eq!(uris, [uri; 2]);
        assert_eq!((world.counts().api, world.counts().token_calls()), (2, 1), "{uri}");
    }
}

#[tokio::test]
async fn with_one_peer_a_request_that_names_another_origin_still_carries_no_credential() {
    for uri in OTHERS.into_iter().filter(|uri| !uri.starts_with('/')).chain(ODD) {
        let uri = Uri::from_static(uri);
        let (world, session) = signed_in_session(TestProvider::new());
        let client = AuthRefreshLayer::new(session).fixed_peer().layer(world.api());
        let mut request = get("/");
        *request.uri_mut() = uri.clone();

        assert_eq!(send(&client, request).await.unwrap().status(), StatusCode::UNAUTHORIZED, "{uri}");

        assert_eq!(world.tokens(), [""], "{uri}");
        assert_eq!((world.counts().api, world.counts().token_calls()), (1, 0), "{uri}");
    }
}

#[tokio::test]
async fn a_query_credential_goes_with_a_relative_uri() {
    let (world, session) = signed_in_session(TestProvider::placed(Place::Query));
    let client = AuthRefreshLayer::new(session).fixed_peer().layer(world.api());

    assert_eq!(send(&client, to("/path?a=1")).await.unwrap().status(), StatusCode::OK);

    assert_eq!(world.seen()[0].uri, "/path?a=1&token=access-7");
}

// ===== the caller's own credential =====

fn with_own_authorization() -> Request<Body> {
    let mut request = get("/own");
    request.headers_mut().insert(header::AUTHORIZATION, HeaderValue::from_static("Basic own"));
    request
}

#[tokio::test]
async fn a_callers_own_authorization_is_left_alone_and_its_401_causes_nothing() {
    for place in [Place::Bearer, Place::Signed] {
        let (world, client) = signed_in(TestProvider::placed(place));

        let answer = send(&client, with_own_authorization()).await.unwrap();

        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
        assert_eq!(world.tokens(), ["Basic own"]);
        assert_eq!((world.counts().api, world.counts().token_calls()), (1, 0));
    }
}

#[tokio::test]
async fn a_callers_own_authorization_needs_no_token() {
    for place in [Place::Bearer, Place::Signed] {
        let world = World::new();
        let session = session(&world, TestProvider::placed(place));
        let client = client(&world, &session);

        let answer = send(&client, with_own_authorization()).await.unwrap();

        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
        assert_eq!((world.counts().api, world.counts().token_calls()), (1, 0));
    }
}

#[tokio::test]
async fn a_query_credential_replaces_its_parameter_and_keeps_the_rest_byte_for_byte() {
    for (sent, arrived) in [
        ("/p", "/p?token=access-7"),
        ("/p?", "/p?token=access-7"),
        ("/p?a=1", "/p?a=1&token=access-7"),
        ("/p%20q?a=%20b&token=old&c=1+2&&d;e=%C3%A4", "/p%20q?a=%20b&token=access-7&c=1+2&&d;e=%C3%A4"),
        ("/p?t%6Fken=old&tokens=kept", "/p?token=access-7&tokens=kept"),
        ("/p?token=one&x&token=two", "/p?token=access-7&x"),
        ("/p?token", "/p?token=access-7"),
    ] {
        let (world, client) = signed_in(TestProvider::placed(Place::Query));
        assert_eq!(send(&client, get(sent)).await.unwrap().status(), StatusCode::OK, "{sent}");
        assert_eq!(world.seen()[0].uri.to_string(), format!("https://api.test{arrived}"));
    }
}

#[tokio::test]
async fn a_cookie_credential_replaces_its_cookie_and_keeps_the_others() {
    for (sent, arrived) in [
        (None, "token=access-7"),
        (Some("a=1"), "a=1; token=access-7"),
        (Some("a=\"x y\"; token=old; b=%20="), "a=\"x y\"; b=%20=; token=access-7"),
        (Some("tokens=kept; token=one; token=two"), "tokens=kept; token=access-7"),
    ] {
        let (world, client) = signed_in(TestProvider::placed(Place::Cookie));
        let mut request = get("/");
        if let Some(sent) = sent {
            request.headers_mut().insert(header::COOKIE, HeaderValue::from_static(sent));
        }
        assert_eq!(send(&client, request).await.unwrap().status(), StatusCode::OK);
        let cookies: Vec<_> = world.seen()[0].headers.get_all(header::COOKIE).iter().cloned().collect();
        assert_eq!(cookies, [arrived]);
    }
}

#[tokio::test]
async fn a_callers_own_authorization_goes_along_with_a_query_or_cookie_credential() {
    for place in [Place::Query, Place::Cookie] {
        let (world, client) = signed_in(TestProvider::placed(place));
        assert_eq!(send(&client, with_own_authorization()).await.unwrap().status(), StatusCode::OK);
        assert_eq!(world.tokens(), ["Basic own"]);
    }
}
