//! The session in a request's extensions: it takes the place of the layer's own, with all that belongs to it.

use std::time::Duration;

use http::{HeaderValue, Request, StatusCode, Uri, header};
use tower::Layer;
use tower_auth_refresh::{
    AuthRefreshLayer, Provider, Session,
    error::ErrorKind,
    provider::Verdict,
    session::{RefreshPolicy, SessionBuilder},
};

use crate::{
    scene::reply,
    support::{
        Bare, Body, Client, Place, TestProvider, World, get,
        judges::{ByDefault, Told},
        send, session, text,
        users::{Tally, Users, outcome},
    },
};

/// A layer without a session, around the API of this world.
fn client(world: &World) -> Client {
    AuthRefreshLayer::per_request().layer(world.api())
}

fn builder(world: &World, provider: TestProvider) -> SessionBuilder<TestProvider> {
    Session::builder(provider).transport(world.idp()).clock(world.clock.clone())
}

/// The session holds token set 7, of which the API takes no notice any more.
fn rejected(world: &World, builder: SessionBuilder<TestProvider>) -> Session<TestProvider> {
    world.grant(7);
    world.revoke_access();
    let session = builder.build().unwrap();
    session.set(TestProvider::token(7, Duration::from_secs(1000), world.clock.wall())).unwrap();
    session
}

fn of<P: Provider>(session: &Session<P>, mut request: Request<Body>) -> Request<Body> {
    request.extensions_mut().insert(session.clone());
    request
}

fn to(uri: &'static str) -> Request<Body> {
    Request::get(uri).body(Body::default()).unwrap()
}

const OK: Result<StatusCode, ErrorKind> = Ok(StatusCode::OK);
const UNAUTHORIZED: Result<StatusCode, ErrorKind> = Ok(StatusCode::UNAUTHORIZED);

// ===== whose session =====

#[tokio::test]
async fn a_requests_own_session_takes_the_place_of_the_layers() {
    let users = Users::signed_in();
    let client = AuthRefreshLayer::new(users.bob.session.clone()).layer(users.api());
    users.ann.world.revoke_access();
    users.bob.world.revoke_access();

    assert_eq!(outcome(send(&client, users.ann.request(1)).await), OK);

    assert_eq!(users.ann.tally(), Tally { api: 2, refreshes: 1, flights: 1, replays: 1, ..Tally::NOTHING });
    assert_eq!(users.ann.world.tokens(), [users.ann.bearer(0), users.ann.bearer(1)]);
    assert_eq!(users.bob.tally(), Tally::NOTHING);
    assert_eq!(outcome(send(&client, users.bob.anonymous(1)).await), OK);
    assert_eq!(users.bob.tally(), Tally { api: 2, refreshes: 1, flights: 1, replays: 1, ..Tally::NOTHING });
}

#[tokio::test]
async fn a_signed_out_session_of_a_request_is_not_replaced_by_the_layers() {
    let users = Users::signed_in();
    let client = AuthRefreshLayer::new(users.bob.session.clone()).layer(users.api());
    users.ann.session.sign_out();

    assert_eq!(outcome(send(&client, users.ann.request(1)).await), Err(ErrorKind::SignedOut));

    assert_eq!((users.ann.tally(), users.bob.tally()), (Tally::NOTHING, Tally::NOTHING));
}

#[tokio::test]
async fn without_any_session_a_request_passes_untouched_and_its_401_causes_nothing() {
    let users = Users::signed_in();
    let request = users.ann.anonymous(1);
    let headers = request.headers().clone();

    let answer = send(&users.client(), request).await.unwrap();

    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(text(answer).await, "rejected");
    assert_eq!(users.ann.world.seen()[0].headers, headers);
    assert_eq!(users.ann.tally(), Tally { api: 1, ..Tally::NOTHING });
}

#[tokio::test]
async fn the_session_of_another_type_of_provider_is_not_looked_at() {
    let world = World::new();
    world.grant(7);
    let other = Session::builder(ByDefault(TestProvider::new())).transport(world.idp()).build().unwrap();
    let own = session(&world, TestProvider::new());
    let with_own = AuthRefreshLayer::new(own.clone()).layer(world.api());

    assert_eq!(outcome(send(&client(&world), of(&other, get("/1"))).await), UNAUTHORIZED);
    assert_eq!(outcome(send(&with_own, of(&other, get("/2"))).await), OK);

    assert_eq!(world.tokens(), ["", "Bearer access-8"]);
    assert_eq!((other.status().flights, own.status().flights), (0, 1));
}

#[tokio::test]
async fn with_erased_providers_one_client_serves_users_of_many_apis() {
    let (one, two) = (World::new(), World::new());
    one.grant(100);
    two.grant(500);
    let erased = |world: &World, provider: Box<dyn Provider>| {
        Session::builder(provider).transport(world.idp()).clock(world.clock.clone()).build().unwrap()
    };
    let first = erased(&one, Box::new(TestProvider::new()));
    let second = TestProvider::placed(Place::Query).with_origin(Uri::from_static("https://two.test"));
    let second = erased(&two, Box::new(second));
    let (at_one, at_two) = (one.api(), two.api());
    let api = tower::service_fn(move |request: Request<Body>| {
        let mut api = if request.uri().host() == Some("two.test") { at_two.clone() } else { at_one.clone() };
        tower::Service::call(&mut api, request)
    });
    let client = AuthRefreshLayer::<Box<dyn Provider>>::per_request().layer(api);

    assert_eq!(outcome(send(&client, of(&first, to("https://api.test/1"))).await), OK);
    assert_eq!(outcome(send(&client, of(&second, to("https://two.test/1"))).await), OK);
    assert_eq!(outcome(send(&client, of(&first, to("https://two.test/2"))).await), UNAUTHORIZED);

    assert_eq!(one.tokens(), ["Bearer access-101"]);
    let uris: Vec<_> = two.seen().iter().map(|head| head.uri.to_string()).collect();
    assert_eq!(uris, ["https://two.test/1?token=access-501", "https://two.test/2"]);
    assert_eq!((one.counts().token_calls(), two.counts().token_calls()), (1, 1));
}

// ===== replays =====

#[tokio::test]
async fn a_replay_is_sent_with_the_same_session_and_the_same_extensions() {
    #[derive(Clone, Debug, PartialEq)]
    struct Mark(u8);

    for place in [Place::Bearer, Place::Query, Place::Cookie, Place::Signed] {
        let world = World::new();
        let other = session(&world, TestProvider::new());
        let session = rejected(&world, builder(&world, TestProvider::placed(place)));
        let client = AuthRefreshLayer::new(other.clone()).layer(world.api());
        let mut request = of(&session, get("/a%20b?x=1"));
        request.extensions_mut().insert(Mark(3));

        assert_eq!(outcome(send(&client, request).await), OK, "{place:?}");

        let [first, second] = &world.seen()[..] else { panic!("not two sends") };
        assert_eq!(Bare::of(first, 7), Bare::of(second, 8), "{place:?}");
        for sent in [first, second] {
            let carried: &Session<TestProvider> = sent.extensions.get().unwrap();
            assert!(std::ptr::eq(carried.provider(), session.provider()));
            assert_eq!(sent.extensions.get(), Some(&Mark(3)));
            assert_eq!(sent.extensions.len(), 2);
        }
        assert_eq!((session.status().flights, session.status().replays), (1, 1));
        assert_eq!((other.status().flights, other.status().replays), (0, 0));
    }
}

#[tokio::test]
async fn a_clone_of_a_request_is_sent_with_the_same_session() {
    let users = Users::signed_in();
    let client = AuthRefreshLayer::new(users.bob.session.clone()).layer(users.api());
    let request = users.ann.request(1);

    assert_eq!(outcome(send(&client, request.clone()).await), OK);
    users.ann.world.revoke_access();
    assert_eq!(outcome(send(&client, request).await), OK);

    assert_eq!(users.ann.tally(), Tally { api: 3, refreshes: 1, flights: 1, replays: 1, ..Tally::NOTHING });
    assert_eq!(users.bob.tally(), Tally::NOTHING);
}

// ===== what belongs to a session =====

#[tokio::test]
async fn a_session_of_a_request_keeps_to_its_own_origins() {
    let world = World::new();
    let layers = builder(&world, TestProvider::new()).origin(Uri::from_static("https://layers.test")).build().unwrap();
    let provider = TestProvider::new().with_origin(Uri::from_static("https://mine.test"));
    let mine = builder(&world, provider).origin(Uri::from_static("https://named.test")).build().unwrap();
    let client = AuthRefreshLayer::new(layers.clone()).layer(world.api());

    for uri in ["https://mine.test/", "https://named.test/", "https://api.test/", "https://layers.test/", "/"] {
        outcome(send(&client, of(&mine, to(uri))).await).unwrap();
    }

    assert_eq!(world.tokens(), ["Bearer access-1", "Bearer access-1", "", "", ""]);
    assert_eq!((mine.status().flights, layers.status().flights), (1, 0));
    assert_eq!(world.counts().rejected, 3);
}

#[tokio::test]
async fn a_relative_uri_is_the_apis_where_the_layers_service_has_one_peer_whoever_sends_it() {
    let users = Users::signed_in();
    let layer = AuthRefreshLayer::<TestProvider>::per_request();
    let (anywhere, fixed) = (layer.clone().layer(users.api()), layer.fixed_peer().layer(users.api()));

    assert_eq!(outcome(send(&anywhere, of(&users.ann.session, to("/ann/1"))).await), UNAUTHORIZED);
    assert_eq!(outcome(send(&fixed, of(&users.ann.session, to("/ann/2"))).await), OK);

    assert_eq!(users.ann.world.tokens(), ["", &users.ann.bearer(0)]);
}

#[tokio::test]
async fn plain_http_is_opted_in_to_by_each_session_for_itself() {
    let world = World::new();
    let plain = Uri::from_static("http://plain.test");
    let layers = builder(&world, TestProvider::new()).build().unwrap();
    let opted_in = builder(&world, TestProvider::new()).origin(plain.clone()).allow_http(true).build().unwrap();
    let refused = builder(&world, TestProvider::new()).origin(plain).build();
    let client = AuthRefreshLayer::new(layers).layer(world.api());

    send(&client, of(&opted_in, to("http://plain.test/"))).await.unwrap();
    send(&client, to("http://plain.test/")).await.unwrap();

    assert_eq!(refused.unwrap_err().kind(), ErrorKind::PlainHttp);
    assert_eq!(world.tokens(), ["Bearer access-1", ""]);
}

#[tokio::test]
async fn a_callers_own_authorization_is_left_alone_although_the_request_has_a_session() {
    let users = Users::signed_in();
    let mut request = users.ann.request(1);
    request.headers_mut().insert(header::AUTHORIZATION, HeaderValue::from_static("Basic own"));

    assert_eq!(outcome(send(&users.client(), request).await), UNAUTHORIZED);

    assert_eq!(users.ann.world.tokens(), ["Basic own"]);
    assert_eq!(users.ann.tally(), Tally { api: 1, ..Tally::NOTHING });
}

#[tokio::test]
async fn each_session_has_as_many_replays_as_its_own_policy_says() {
    for (replays, sends) in [(0, 1), (1, 2), (3, 4)] {
        let world = World::new();
        world.script_api(|_| Some(reply(StatusCode::UNAUTHORIZED, "no")));
        let policy = RefreshPolicy::new().replays(replays);
        let session = rejected(&world, builder(&world, TestProvider::new()).policy(policy));

        assert_eq!(outcome(send(&client(&world), of(&session, get("/"))).await), UNAUTHORIZED);

        session.settled().await;
        assert_eq!((world.counts().api, session.status().replays), (sends, u64::from(replays)), "{replays}");
    }
}

#[tokio::test]
async fn the_layers_number_of_replays_wins_over_the_policy_of_a_session() {
    for (of_policy, of_layer, sends) in [(0, 2, 3), (2, 0, 1), (0, 1, 2)] {
        let world = World::new();
        world.script_api(|_| Some(reply(StatusCode::UNAUTHORIZED, "no")));
        let policy = RefreshPolicy::new().replays(of_policy);
        let session = rejected(&world, builder(&world, TestProvider::new()).policy(policy));
        let client: Client = AuthRefreshLayer::per_request().replays(of_layer).layer(world.api());

        assert_eq!(outcome(send(&client, of(&session, get("/"))).await), UNAUTHORIZED);

        session.settled().await;
        assert_eq!((world.counts().api, session.status().replays), (sends, u64::from(of_layer)));
    }
}

#[tokio::test]
async fn what_the_layer_says_of_failed_refreshes_holds_for_every_session() {
    let world = World::new();
    world.script_idp(|_| Some(reply(StatusCode::SERVICE_UNAVAILABLE, "later")));
    let session = rejected(&world, builder(&world, TestProvider::new()));
    let raising: Client = AuthRefreshLayer::per_request().error_after_failed_refresh(true).layer(world.api());

    assert_eq!(outcome(send(&raising, of(&session, get("/1"))).await), Err(ErrorKind::Unavailable));
    assert_eq!(outcome(send(&client(&world), of(&session, get("/2"))).await), UNAUTHORIZED);

    assert_eq!((world.counts().api, world.counts().token_calls()), (2, 1));
}

#[tokio::test]
async fn each_answer_is_judged_by_the_provider_of_its_requests_session() {
    let world = World::new();
    world.script_api(|_| Some(reply(StatusCode::FORBIDDEN, "no")));
    let told = |judge| {
        let session = Session::builder(Told::new(judge)).transport(world.idp()).clock(world.clock.clone());
        session.build().unwrap()
    };
    let (strict, lenient) = (told(|_| Verdict::Rejected), told(|_| Verdict::Accepted));
    let client = AuthRefreshLayer::new(strict.clone()).layer(world.api());

    send(&client, of(&lenient, get("/1"))).await.unwrap();
    assert_eq!((world.counts().api, lenient.status().flights, lenient.status().replays), (1, 1, 0));
    send(&client, get("/2")).await.unwrap();
    assert_eq!((world.counts().api, strict.status().flights, strict.status().replays), (3, 2, 1));
}

#[tokio::test]
async fn a_user_may_ask_for_tokens_through_the_client_that_all_share() {
    let users = Users::new();
    let idp = users.ann.world.idp();
    let through = AuthRefreshLayer::new(users.bob.session.clone()).layer(idp);
    let provider = TestProvider::new().with_token_endpoint("https://api.test");
    let ann = Session::builder(provider).transport(through).clock(users.ann.world.clock.clone()).build().unwrap();

    assert_eq!(outcome(send(&users.client(), of(&ann, users.ann.anonymous(1))).await), OK);

    assert!(users.ann.world.idp().seen().iter().all(|request| request.headers().is_empty()));
    assert_eq!(users.ann.world.counts().logins, 1);
    assert_eq!(users.bob.tally(), Tally::NOTHING);
}
