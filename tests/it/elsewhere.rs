//! Answers that say where they came from: one from where the credential does not belong causes nothing.

use http::{HeaderValue, Response, StatusCode, Uri, header};
use tower::Layer;
use tower_auth_refresh::{AuthRefreshLayer, Session, error::ErrorKind, extensions::TargetUri};

use crate::{
    scene::{no_jitter, reply, signed_in},
    support::{
        Body, TestProvider, World, client,
        frames::{Stub, data, parts},
        get, send, session, text,
        users::outcome,
    },
};

const OK: Result<StatusCode, ErrorKind> = Ok(StatusCode::OK);
const UNAUTHORIZED: Result<StatusCode, ErrorKind> = Ok(StatusCode::UNAUTHORIZED);

/// Where the credential does not belong.
const ELSEWHERE: [&str; 6] = [
    "https://other.test/401",
    "http://api.test/401",
    "https://api.test:8443/401",
    "https://user@api.test/401",
    "/relative",
    "api.test:443",
];

/// Where it does.
const AT_HOME: [&str; 3] =
    ["https://api.test/landing?page=2", "https://API.test:443/landing", "https://named.test/landing"];

/// How an API refuses a token.
#[derive(Clone, Copy, Debug)]
enum Refusal {
    ByHead,
    ByBody,
}

const REFUSALS: [Refusal; 2] = [Refusal::ByHead, Refusal::ByBody];

impl Refusal {
    fn from(self, uri: &'static str) -> Response<Body> {
        let (status, body) = match self {
            Self::ByHead => (StatusCode::UNAUTHORIZED, "no"),
            Self::ByBody => (StatusCode::OK, r#"{"rejected":true}"#),
        };
        let mut answer = reply(status, body).unwrap();
        answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        answer.extensions_mut().insert(TargetUri(Uri::from_static(uri)));
        answer
    }
}

/// An API that refuses token 7 in answers which say that they come from `uri`, and takes every other.
fn refusing(refusal: Refusal, uri: &'static str) -> (World, Session<TestProvider>) {
    let world = World::new();
    let provider = TestProvider::new().with_judged_body(true);
    let named = Uri::from_static("https://named.test");
    let session = Session::builder(provider).transport(world.idp()).clock(world.clock.clone()).origin(named);
    let session = session.build().unwrap();
    world.grant(7);
    session.set(TestProvider::token(7, std::time::Duration::from_secs(1000), world.clock.wall())).unwrap();
    world.script_api(move |request| {
        let is_first = request.headers()[header::AUTHORIZATION] == "Bearer access-7";
        is_first.then(|| Ok(refusal.from(uri)))
    });
    (world, session)
}

#[tokio::test]
async fn a_rejection_from_elsewhere_is_handed_on_and_causes_nothing() {
    for refusal in REFUSALS {
        for uri in ELSEWHERE {
            let (world, session) = refusing(refusal, uri);
            let expected = refusal.from(uri);

            let answer = send(&client(&world, &session), get("/")).await.unwrap();

            assert_eq!((answer.status(), answer.headers()), (expected.status(), expected.headers()), "{uri}");
            assert_eq!(answer.extensions().get(), Some(&TargetUri(Uri::from_static(uri))));
            assert_eq!(text(answer).await, text(expected).await, "{uri}");
            assert_eq!((world.counts().api, world.counts().token_calls()), (1, 0), "{refusal:?} from {uri}");
            assert_eq!((session.status().flights, session.status().replays), (0, 0), "{refusal:?} from {uri}");
        }
    }
}

#[tokio::test]
async fn a_rejection_from_an_origin_of_the_session_is_judged() {
    for refusal in REFUSALS {
        for uri in AT_HOME {
            let (world, session) = refusing(refusal, uri);

            assert_eq!(outcome(send(&client(&world, &session), get("/")).await), OK, "{uri}");

            assert_eq!((world.counts().api, world.counts().refreshes), (2, 1), "{refusal:?} from {uri}");
            assert_eq!((session.status().flights, session.status().replays), (1, 1), "{refusal:?} from {uri}");
        }
    }
}

#[tokio::test]
async fn a_rejection_from_a_relative_uri_is_judged_where_the_service_has_one_peer() {
    let (world, session) = refusing(Refusal::ByHead, "/landing");
    let client = AuthRefreshLayer::new(session).fixed_peer().layer(world.api());

    assert_eq!(outcome(send(&client, get("/")).await), OK);

    assert_eq!((world.counts().api, world.counts().refreshes), (2, 1));
}

#[tokio::test]
async fn the_origins_of_the_requests_own_session_decide_what_is_elsewhere() {
    let (world, own) = refusing(Refusal::ByHead, "https://named.test/");
    let layers = session(&world, TestProvider::new());
    let client = AuthRefreshLayer::new(layers.clone()).layer(world.api());
    let mut request = get("/1");
    request.extensions_mut().insert(own.clone());
    layers.set(TestProvider::token(7, std::time::Duration::from_secs(1000), world.clock.wall())).unwrap();

    assert_eq!(outcome(send(&client, request).await), OK);
    assert_eq!(outcome(send(&client, get("/2")).await), UNAUTHORIZED);

    assert_eq!((own.status().flights, layers.status().flights), (1, 0));
    assert_eq!(world.counts().api, 3);
}

#[tokio::test]
async fn a_replay_that_is_answered_from_elsewhere_is_handed_on() {
    let (world, session) = refusing(Refusal::ByHead, "https://api.test/");
    world.script_api(|request| {
        let is_first = request.headers()[header::AUTHORIZATION] == "Bearer access-7";
        let uri = if is_first { "https://api.test/" } else { "https://other.test/" };
        Some(Ok(Refusal::ByHead.from(uri)))
    });
    let client = AuthRefreshLayer::new(session.clone()).replays(5).layer(world.api());

    assert_eq!(outcome(send(&client, get("/")).await), UNAUTHORIZED);

    assert_eq!((world.counts().api, world.counts().refreshes), (2, 1));
    assert_eq!((session.status().flights, session.status().replays), (1, 1));
}

#[tokio::test]
async fn a_grpc_status_from_elsewhere_causes_nothing_and_holds_nothing_back() {
    let world = World::new();
    let session = signed_in(&world, TestProvider::new(), no_jitter());
    let trailers = || crate::support::frames::trailers("grpc-status", "16");
    let stub = Stub::new(move |_| {
        let mut answer = Response::new(crate::support::frames::Frames::new([data("message"), trailers()]));
        answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        answer.extensions_mut().insert(TargetUri(Uri::from_static("https://other.test/pkg.Service/Method")));
        answer
    });
    let client = AuthRefreshLayer::new(session.clone()).grpc(["/pkg.Service/Method"]).layer(stub.clone());

    let answer = send(&client, get("/pkg.Service/Method")).await.unwrap();

    assert_eq!(parts(answer.into_body()).await, [data("message"), trailers()]);
    assert_eq!((stub.tokens().len(), session.status().flights), (1, 0));
}

#[test]
fn where_an_answer_came_from_is_printed_without_what_may_be_secret() {
    for (uri, printed) in [
        ("https://api.test/path?token=access-7", "TargetUri(https://api.test)"),
        ("https://user:password@api.test:8443/path", "TargetUri(https://api.test:8443)"),
        ("http://[::1]:80/", "TargetUri(http://[::1]:80)"),
        ("/path?token=access-7", "TargetUri(relative)"),
        ("api.test:443", "TargetUri(api.test:443)"),
    ] {
        assert_eq!(format!("{:?}", TargetUri(Uri::from_static(uri))), printed);
    }
}
