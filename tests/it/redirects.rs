//! Where a credential goes when an API redirects: on either side of a redirect follower. C45.

use http::{HeaderValue, Request, Response, StatusCode, header};
use tower::{BoxError, Layer, ServiceExt};
use tower_auth_refresh::{
    AuthRefreshLayer, Session,
    extensions::{Credentials, TargetUri},
};
use tower_http::follow_redirect::{
    FollowRedirect, RequestUri,
    policy::{Limited, Policy, PolicyExt, SameOrigin},
};

use crate::{
    scene::{no_jitter, reply, signed_in as holding_seven},
    support::{
        Body, Client, Place, TestProvider, World, client, get, send,
        users::{Tally, Users, outcome},
    },
};

/// A world in which token set 7 is in place, behind an API that redirects.
fn scene(provider: TestProvider) -> (World, Session<TestProvider>) {
    let world = World::new();
    let session = holding_seven(&world, provider, no_jitter());
    redirecting(&world);
    (world, session)
}

fn signed_in(provider: TestProvider) -> (World, Client) {
    let (world, session) = scene(provider);
    let client = client(&world, &session);
    (world, client)
}

/// The API sends `/away` to another host, `/round` there and home again, `/twice` to two pages of that host, `/near` to
/// itself and `/refused` to where it is 401. Whatever else it is asked for it gives to whom it knows, and the other host
/// to everybody.
fn redirecting(world: &World) {
    world.script_api(|request| {
        let location = match request.uri().path().trim_start_matches("/ann") {
            "/away" => "https://other.test/landing",
            "/round" => "https://other.test/ann/back",
            "/back" => "https://api.test/ann/landing",
            "/twice" => "https://other.test/first",
            "/first" => "https://other.test/second",
            "/near" => "/ann/landing",
            "/refused" => "https://other.test/401",
            "/plain" => "http://api.test/landing",
            "/401" => return Some(reply(StatusCode::UNAUTHORIZED, "no")),
            _ if request.uri().host() == Some("api.test") && request.uri().scheme_str() == Some("https") => {
                return None;
            }
            _ => return Some(reply(StatusCode::OK, "landed")),
        };
        let mut answer = Response::new(Body::default());
        *answer.status_mut() = StatusCode::FOUND;
        answer.headers_mut().insert(header::LOCATION, HeaderValue::from_static(location));
        Some(Ok(answer))
    });
}

fn uris(world: &World) -> Vec<String> {
    world.seen().into_iter().map(|head| head.uri.to_string()).collect()
}

// ===== outside of the layer =====

#[tokio::test]
async fn outside_of_the_layer_a_redirect_takes_the_credential_only_where_it_belongs() {
    for (path, tokens) in [
        ("/away", vec!["Bearer access-7", ""]),
        ("/plain", vec!["Bearer access-7", ""]),
        ("/twice", vec!["Bearer access-7", "", ""]),
        ("/near", vec!["Bearer access-7"; 2]),
        ("/round", vec!["Bearer access-7", "", "Bearer access-7"]),
    ] {
        let (world, client) = signed_in(TestProvider::new());

        assert_eq!(send(&FollowRedirect::new(client), get(path)).await.unwrap().status(), StatusCode::OK, "{path}");

        assert_eq!(world.tokens(), tokens, "{path}");
        assert_eq!(world.counts().token_calls(), 0, "{path}");
    }
}

#[tokio::test]
async fn outside_of_the_layer_each_hop_is_renewed_and_replayed_for_itself() {
    let (world, client) = signed_in(TestProvider::new());
    world.revoke_access();

    assert_eq!(send(&FollowRedirect::new(client), get("/round")).await.unwrap().status(), StatusCode::OK);

    assert_eq!(world.tokens(), ["Bearer access-7", "", "Bearer access-7", "Bearer access-8"]);
    assert_eq!((world.counts().api, world.counts().rejected, world.counts().refreshes), (4, 1, 1));
}

#[tokio::test]
async fn outside_of_the_layer_the_401_of_another_origin_causes_nothing() {
    let (world, client) = signed_in(TestProvider::new());

    let answer = send(&FollowRedirect::new(client), get("/refused")).await.unwrap();

    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(world.tokens(), ["Bearer access-7", ""]);
    assert_eq!(world.counts().token_calls(), 0);
}

#[tokio::test]
async fn outside_of_the_layer_a_query_credential_does_not_follow_a_redirect() {
    let (world, client) = signed_in(TestProvider::placed(Place::Query));

    send(&FollowRedirect::new(client), get("/round")).await.unwrap();

    let landing = "https://api.test/ann/landing?token=access-7";
    assert_eq!(uris(&world), ["https://api.test/round?token=access-7", "https://other.test/ann/back", landing]);
}

#[tokio::test]
async fn outside_of_the_layer_a_cookie_credential_does_not_follow_a_redirect() {
    let (world, client) = signed_in(TestProvider::placed(Place::Cookie));

    send(&FollowRedirect::new(client), get("/round")).await.unwrap();

    let cookies: Vec<_> = world.seen().iter().map(|head| head.headers.contains_key(header::COOKIE)).collect();
    assert_eq!(cookies, [true, false, true]);
}

// ===== outside of the layer, with what a request says of itself =====

fn ann_asks(users: &Users, path: &str) -> Request<Body> {
    let mut request = users.ann.request(0);
    *request.uri_mut() = format!("https://api.test/ann{path}").parse().unwrap();
    request
}

#[tokio::test]
async fn a_follower_that_drops_the_session_of_a_request_goes_on_without_a_credential() {
    let users = Users::signed_in();
    redirecting(&users.ann.world);

    let answer = send(&FollowRedirect::new(users.client()), ann_asks(&users, "/near")).await;

    assert_eq!(outcome(answer), Ok(StatusCode::UNAUTHORIZED));
    assert_eq!(users.ann.world.tokens(), [users.ann.bearer(0), String::new()]);
    assert_eq!(users.ann.tally(), Tally { api: 2, ..Tally::NOTHING });
}

#[tokio::test]
async fn a_session_that_is_put_on_behind_the_follower_is_there_at_each_hop() {
    let users = Users::signed_in();
    redirecting(&users.ann.world);
    users.ann.world.revoke_access();
    let ann = users.ann.session.clone();
    let client = users.client().map_request(move |mut request: Request<Body>| {
        request.extensions_mut().insert(ann.clone());
        request
    });

    let mut request = ann_asks(&users, "/round");
    request.extensions_mut().clear();
    assert_eq!(outcome(send(&FollowRedirect::new(client), request).await), Ok(StatusCode::OK));

    let (first, second) = (users.ann.bearer(0), users.ann.bearer(1));
    assert_eq!(users.ann.world.tokens(), [&*first, "", &*first, &*second]);
    assert_eq!(users.ann.tally(), Tally { api: 4, refreshes: 1, flights: 1, replays: 1, ..Tally::NOTHING });
}

#[tokio::test]
async fn an_opt_out_behind_the_follower_holds_at_each_hop() {
    let (world, client) = signed_in(TestProvider::new());
    let client = client.map_request(|mut request: Request<Body>| {
        request.extensions_mut().insert(Credentials::Omit);
        request
    });

    send(&FollowRedirect::new(client), get("/near")).await.unwrap();

    assert_eq!(world.tokens(), ["", ""]);
}

// ===== inside of the layer =====

/// A follower that says where an answer came from, as the layer understands it.
fn telling<P>(
    world: &World,
    policy: P,
) -> impl tower_auth_refresh::service::HttpService<
    Body,
    ResponseBody = crate::support::ServerBody,
    Error = BoxError,
    Future: Send,
>
where
    P: Policy<Body, BoxError> + Clone + Send,
{
    FollowRedirect::with_policy(world.api(), policy).map_response(|mut answer: Response<_>| {
        if let Some(RequestUri(uri)) = answer.extensions_mut().remove() {
            answer.extensions_mut().insert(TargetUri(uri));
        }
        answer
    })
}

#[tokio::test]
async fn inside_of_the_layer_a_redirect_takes_the_credential_only_where_it_belongs() {
    for (path, tokens) in [
        ("/away", vec!["Bearer access-7", ""]),
        ("/plain", vec!["Bearer access-7", ""]),
        ("/near", vec!["Bearer access-7"; 2]),
    ] {
        let (world, session) = scene(TestProvider::new());
        let client = AuthRefreshLayer::new(session).layer(FollowRedirect::new(world.api()));

        assert_eq!(send(&client, get(path)).await.unwrap().status(), StatusCode::OK, "{path}");

        assert_eq!(world.tokens(), tokens, "{path}");
        assert_eq!(world.counts().token_calls(), 0, "{path}");
    }
}

#[tokio::test]
async fn inside_of_the_layer_the_401_of_another_origin_causes_nothing_where_the_follower_tells() {
    let (world, session) = scene(TestProvider::new());
    let client = AuthRefreshLayer::new(session.clone()).layer(telling(&world, Limited::default()));

    assert_eq!(outcome(send(&client, get("/refused")).await), Ok(StatusCode::UNAUTHORIZED));

    assert_eq!((world.counts().api, world.counts().token_calls()), (2, 0));
    assert_eq!((session.status().flights, session.status().replays), (0, 0));
}

#[tokio::test]
async fn inside_of_the_layer_the_apis_own_401_is_renewed_where_the_follower_tells() {
    let (world, session) = scene(TestProvider::new());
    let client = AuthRefreshLayer::new(session.clone()).layer(telling(&world, Limited::default()));
    world.revoke_access();

    assert_eq!(outcome(send(&client, get("/near")).await), Ok(StatusCode::OK));

    assert_eq!(world.tokens(), [["Bearer access-7"; 2], ["Bearer access-8"; 2]].concat());
    assert_eq!((session.status().flights, session.status().replays), (1, 1));
}

#[tokio::test]
async fn inside_of_the_layer_the_401_of_another_origin_costs_a_refresh_and_a_replay_where_nobody_tells() {
    let (world, session) = scene(TestProvider::new());
    let client = AuthRefreshLayer::new(session.clone()).layer(FollowRedirect::new(world.api()));

    assert_eq!(outcome(send(&client, get("/refused")).await), Ok(StatusCode::UNAUTHORIZED));

    assert_eq!(world.tokens(), ["Bearer access-7", "", "Bearer access-8", ""]);
    assert_eq!((session.status().flights, session.status().replays), (1, 1));
}

/// Why a follower inside of the layer should stop there: tower-http 0.6 takes a header off for the first page of another
/// origin, and puts it on again for the second.
#[tokio::test]
async fn inside_of_the_layer_the_credential_goes_by_the_rules_of_the_follower() {
    let (world, session) = scene(TestProvider::new());
    let client = AuthRefreshLayer::new(session).layer(FollowRedirect::new(world.api()));

    send(&client, get("/twice")).await.unwrap();

    assert_eq!(uris(&world)[2], "https://other.test/second");
    assert_eq!(world.tokens(), ["Bearer access-7", "", "Bearer access-7"]);
}

#[tokio::test]
async fn inside_of_the_layer_a_follower_that_stays_with_the_origin_takes_the_credential_nowhere_else() {
    for place in [Place::Bearer, Place::Query, Place::Cookie, Place::Signed] {
        for (path, sends, status) in [("/twice", 1, 302), ("/away", 1, 302), ("/plain", 1, 302)] {
            let (world, session) = scene(TestProvider::placed(place));
            let policy = PolicyExt::and::<_, Body, BoxError>(Limited::default(), SameOrigin::new());
            let client = AuthRefreshLayer::new(session).layer(telling(&world, policy));

            assert_eq!(send(&client, get(path)).await.unwrap().status(), status, "{place:?} {path}");

            assert_eq!(world.counts().api, sends, "{place:?} {path}");
            assert!(uris(&world).iter().all(|uri| uri.starts_with("https://api.test/")));
        }
    }
}
