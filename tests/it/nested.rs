//! Layers within layers: of two providers, each with a type of its own, and of one.

use std::time::Duration;

use http::{Request, StatusCode, Uri, request};
use tower::{BoxError, Layer, Service, service_fn};
use tower_auth_refresh::{AuthRefresh, AuthRefreshLayer, Provider, Session, error::ErrorKind, extensions::Credentials};

use crate::support::{
    Body, Place, ServerBody, TestProvider, World, get,
    judges::ByDefault,
    send, session,
    users::{Tally, Users, outcome},
};

const OK: Result<StatusCode, ErrorKind> = Ok(StatusCode::OK);

fn signed_in<P: Provider>(world: &World, provider: P) -> Session<P> {
    let session = Session::builder(provider).transport(world.idp()).clock(world.clock.clone()).build().unwrap();
    world.grant(7);
    session.set(TestProvider::token(7, Duration::from_secs(1000), world.clock.wall())).unwrap();
    session
}

fn in_query() -> ByDefault {
    ByDefault(TestProvider::placed(Place::Query))
}

/// One API behind two gates: it wants the bearer token of one server, and the token in the query of the other.
fn both(
    one: &World,
    two: &World,
) -> impl Service<Request<Body>, Response = http::Response<ServerBody>, Error = BoxError, Future: Send + 'static>
+ Clone
+ Send
+ 'static {
    let (one, two) = (one.api(), two.api());
    service_fn(move |request: Request<Body>| {
        let (mut one, mut two) = (one.clone(), two.clone());
        async move {
            let answer = one.call(without_query(&request)).await?;
            if answer.status() == StatusCode::OK { two.call(without_headers(&request)).await } else { Ok(answer) }
        }
    })
}

fn without_query(request: &Request<Body>) -> Request<Body> {
    let mut request = request.clone();
    *request.uri_mut() = Uri::from_static("https://api.test/");
    request
}

fn without_headers(request: &Request<Body>) -> Request<Body> {
    let mut request = request.clone();
    request.headers_mut().clear();
    request
}

#[tokio::test]
async fn layers_of_two_providers_put_on_both_credentials() {
    let (one, two) = (World::new(), World::new());
    let (outer, inner) = (signed_in(&one, TestProvider::new()), signed_in(&two, in_query()));
    let client = AuthRefreshLayer::new(inner.clone()).layer(both(&one, &two));
    let client = AuthRefreshLayer::new(outer.clone()).layer(client);

    assert_eq!(outcome(send(&client, get("/")).await), OK);

    assert_eq!((one.counts().api, two.counts().api), (1, 1));
    assert_eq!((outer.status().flights, inner.status().flights), (0, 0));
}

#[tokio::test]
async fn of_two_layers_the_inner_one_answers_for_its_token_and_the_outer_one_sees_nothing() {
    let (one, two) = (World::new(), World::new());
    let (outer, inner) = (signed_in(&one, TestProvider::new()), signed_in(&two, in_query()));
    let client = AuthRefreshLayer::new(inner.clone()).layer(both(&one, &two));
    let client = AuthRefreshLayer::new(outer.clone()).layer(client);
    two.revoke_access();

    assert_eq!(outcome(send(&client, get("/")).await), OK);

    assert_eq!((one.counts().api, two.counts().api), (2, 2));
    assert_eq!((outer.status().flights, outer.status().replays), (0, 0));
    assert_eq!((inner.status().flights, inner.status().replays), (1, 1));
}

#[tokio::test]
async fn of_two_layers_the_outer_one_renews_its_token_when_the_inner_one_could_not_help() {
    let (one, two) = (World::new(), World::new());
    let (outer, inner) = (signed_in(&one, TestProvider::new()), signed_in(&two, in_query()));
    let client = AuthRefreshLayer::new(inner.clone()).layer(both(&one, &two));
    let client = AuthRefreshLayer::new(outer.clone()).layer(client);
    one.revoke_access();

    assert_eq!(outcome(send(&client, get("/")).await), OK);

    assert_eq!((one.counts().api, two.counts().api), (3, 1));
    assert_eq!((outer.status().flights, outer.status().replays), (1, 1));
    assert_eq!((inner.status().flights, inner.status().replays), (1, 1));
}

#[tokio::test]
async fn layers_of_two_apis_keep_each_to_its_own_origin() {
    let (one, two) = (World::new(), World::new());
    let elsewhere = ByDefault(TestProvider::new().with_origin(Uri::from_static("https://two.test")));
    let (outer, inner) = (signed_in(&one, TestProvider::new()), signed_in(&two, elsewhere));
    let (at_one, at_two) = (one.api(), two.api());
    let apis = service_fn(move |request: Request<Body>| {
        let mut api = if request.uri().host() == Some("two.test") { at_two.clone() } else { at_one.clone() };
        api.call(request)
    });
    let client = AuthRefreshLayer::new(outer.clone()).layer(AuthRefreshLayer::new(inner.clone()).layer(apis));
    two.revoke_access();

    assert_eq!(outcome(send(&client, get("/")).await), OK);
    let request = Request::get("https://two.test/").body(Body::default()).unwrap();
    assert_eq!(outcome(send(&client, request).await), OK);

    assert_eq!(one.tokens(), ["Bearer access-7"]);
    assert_eq!(two.tokens(), ["Bearer access-7", "Bearer access-8"]);
    assert_eq!((outer.status().flights, inner.status().flights), (0, 1));
}

#[tokio::test]
async fn two_sessions_of_two_types_in_one_request_go_each_to_its_own_layer() {
    let (one, two) = (World::new(), World::new());
    let (outer, inner) = (signed_in(&one, TestProvider::new()), signed_in(&two, in_query()));
    let client = AuthRefreshLayer::<ByDefault>::per_request().layer(both(&one, &two));
    let client = AuthRefreshLayer::<TestProvider>::per_request().layer(client);
    let mut request = get("/");
    request.extensions_mut().insert(outer.clone());
    request.extensions_mut().insert(inner.clone());
    two.revoke_access();

    assert_eq!(outcome(send(&client, request).await), OK);

    assert_eq!((one.counts().api, two.counts().api), (2, 2));
    assert_eq!((outer.status().flights, inner.status().flights), (0, 1));
}

#[tokio::test]
async fn a_request_that_opts_out_opts_out_of_every_layer() {
    let (one, two) = (World::new(), World::new());
    let (outer, inner) = (signed_in(&one, TestProvider::new()), signed_in(&two, in_query()));
    let client = AuthRefreshLayer::new(inner.clone()).layer(two.api());
    let client = AuthRefreshLayer::new(outer.clone()).layer(client);
    let mut request = get("/");
    request.extensions_mut().insert(Credentials::Omit);

    assert_eq!(outcome(send(&client, request).await), Ok(StatusCode::UNAUTHORIZED));

    let request::Parts { uri, headers, .. } = &two.seen()[0];
    assert_eq!((uri.query(), headers.is_empty()), (None, true));
    assert_eq!((outer.status().flights, inner.status().flights), (0, 0));
}

// ===== of one provider =====

/// Ann's layer around Bob's.
fn ann_around_bob(
    users: &Users,
) -> AuthRefresh<AuthRefresh<crate::support::users::OneApi, TestProvider>, TestProvider> {
    let inner = AuthRefreshLayer::new(users.bob.session.clone()).layer(users.api());
    AuthRefreshLayer::new(users.ann.session.clone()).layer(inner)
}

#[tokio::test]
async fn of_two_layers_of_one_provider_the_outer_one_puts_its_credential_on() {
    let users = Users::signed_in();
    users.ann.world.revoke_access();

    assert_eq!(outcome(send(&ann_around_bob(&users), users.ann.anonymous(1)).await), OK);

    assert_eq!(users.ann.world.tokens(), [users.ann.bearer(0), users.ann.bearer(1)]);
    assert_eq!(users.ann.tally(), Tally { api: 2, refreshes: 1, flights: 1, replays: 1, ..Tally::NOTHING });
    assert_eq!(users.bob.tally(), Tally::NOTHING);
}

#[tokio::test]
async fn two_layers_of_one_provider_refresh_the_session_of_a_request_once() {
    let users = Users::signed_in();
    users.ann.world.revoke_access();
    let inner = AuthRefreshLayer::<TestProvider>::per_request().layer(users.api());
    let client = AuthRefreshLayer::<TestProvider>::per_request().layer(inner);

    assert_eq!(outcome(send(&client, users.ann.request(1)).await), OK);

    assert_eq!(users.ann.tally(), Tally { api: 2, refreshes: 1, flights: 1, replays: 1, ..Tally::NOTHING });
}

#[tokio::test]
async fn two_layers_with_one_session_whose_credential_is_in_the_query_refresh_it_once() {
    let world = World::new();
    let session = session(&world, TestProvider::placed(Place::Query));
    let inner = AuthRefreshLayer::new(session.clone()).layer(world.api());
    let client = AuthRefreshLayer::new(session.clone()).layer(inner);
    assert_eq!(outcome(send(&client, get("/1")).await), OK);
    world.revoke_access();

    assert_eq!(outcome(send(&client, get("/2?page=1")).await), OK);

    assert_eq!((world.counts().api, world.counts().logins, world.counts().refreshes), (3, 1, 1));
    assert_eq!(world.seen()[2].uri.query(), Some("page=1&token=access-2"));
}
