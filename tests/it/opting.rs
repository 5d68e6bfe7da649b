//! Requests that opt out of the credential, and in: by an extension, and by what the layer does without one.

use http::{HeaderValue, Request, StatusCode, header};
use tower::Layer;
use tower_auth_refresh::{AuthRefreshLayer, error::ErrorKind, extensions::Credentials};

use crate::support::{
    Body, TestProvider, World,
    by_hand::{ByHand, until},
    client, get, send, session, text,
    users::{SharedClient, Tally, User, Users, outcome},
};

const OK: Result<StatusCode, ErrorKind> = Ok(StatusCode::OK);
const UNAUTHORIZED: Result<StatusCode, ErrorKind> = Ok(StatusCode::UNAUTHORIZED);

fn with(credentials: Credentials, mut request: Request<Body>) -> Request<Body> {
    request.extensions_mut().insert(credentials);
    request
}

fn omitting(request: Request<Body>) -> Request<Body> {
    with(Credentials::Omit, request)
}

fn including(request: Request<Body>) -> Request<Body> {
    with(Credentials::Include, request)
}

/// A client for Ann whose layer leaves requests alone that say nothing.
fn omits_by_default(users: &Users) -> SharedClient {
    AuthRefreshLayer::new(users.ann.session.clone()).credentials(Credentials::Omit).layer(users.api())
}

fn passed_without_credential(user: &User) {
    assert_eq!(user.world.tokens(), [""]);
    assert_eq!(user.tally(), Tally { api: 1, ..Tally::NOTHING });
}

// ===== out =====

#[tokio::test]
async fn a_request_that_opts_out_passes_untouched_and_its_401_causes_nothing() {
    let users = Users::signed_in();
    let client = AuthRefreshLayer::new(users.ann.session.clone()).layer(users.api());
    let mut request = omitting(users.ann.anonymous(1));
    request.headers_mut().insert("x-mine", HeaderValue::from_static("kept"));
    let headers = request.headers().clone();

    let answer = send(&client, request).await.unwrap();

    assert_eq!((answer.status(), text(answer).await), (StatusCode::UNAUTHORIZED, "rejected".to_owned()));
    passed_without_credential(&users.ann);
    let sent = &users.ann.world.seen()[0];
    assert_eq!(sent.headers, headers);
    assert_eq!(sent.extensions.get(), Some(&Credentials::Omit));
}

#[tokio::test]
async fn a_request_that_opts_out_needs_no_token() {
    let world = World::new();
    let session = session(&world, TestProvider::new());
    session.sign_out();

    assert_eq!(outcome(send(&client(&world, &session), omitting(get("/"))).await), UNAUTHORIZED);

    assert_eq!((world.counts().api, world.counts().token_calls()), (1, 0));
}

#[tokio::test]
async fn a_request_that_opts_out_waits_for_no_flight() {
    let world = World::new();
    let client = client(&world, &session(&world, TestProvider::new()));
    world.hold_idp();
    let _waiting = ByHand::started(send(&client, get("/waiting")));
    until(|| world.counts().logins == 1).await;

    assert_eq!(outcome(ByHand::new(send(&client, omitting(get("/")))).result()), UNAUTHORIZED);

    assert_eq!(world.counts().api, 1);
}

#[tokio::test]
async fn opting_out_wins_over_a_session_in_the_extensions() {
    let users = Users::signed_in();

    for client in [users.client(), AuthRefreshLayer::new(users.bob.session.clone()).layer(users.api())] {
        let before = users.ann.tally().api;
        assert_eq!(outcome(send(&client, omitting(users.ann.request(1))).await), UNAUTHORIZED);
        assert_eq!(users.ann.tally(), Tally { api: before + 1, ..Tally::NOTHING });
    }

    assert_eq!(users.ann.world.tokens(), ["", ""]);
    assert_eq!(users.bob.tally(), Tally::NOTHING);
}

// ===== in =====

#[tokio::test]
async fn where_the_layer_omits_the_credential_a_request_that_says_nothing_passes_without_it() {
    let users = Users::signed_in();

    assert_eq!(outcome(send(&omits_by_default(&users), users.ann.anonymous(1)).await), UNAUTHORIZED);

    passed_without_credential(&users.ann);
}

#[tokio::test]
async fn where_the_layer_omits_the_credential_a_request_that_opts_in_carries_it_and_is_replayed() {
    let users = Users::signed_in();
    users.ann.world.revoke_access();

    assert_eq!(outcome(send(&omits_by_default(&users), including(users.ann.anonymous(1))).await), OK);

    assert_eq!(users.ann.world.tokens(), [users.ann.bearer(0), users.ann.bearer(1)]);
    assert_eq!(users.ann.tally(), Tally { api: 2, refreshes: 1, flights: 1, replays: 1, ..Tally::NOTHING });
    let opted_in = |sent: &http::request::Parts| sent.extensions.get() == Some(&Credentials::Include);
    assert!(users.ann.world.seen().iter().all(opted_in));
}

#[tokio::test]
async fn where_the_layer_omits_the_credential_a_request_with_a_session_opts_in_by_it() {
    let users = Users::signed_in();

    assert_eq!(outcome(send(&omits_by_default(&users), users.bob.request(1)).await), OK);

    assert_eq!(users.bob.world.tokens(), [users.bob.bearer(0)]);
    assert_eq!(users.ann.tally(), Tally::NOTHING);
}

#[tokio::test]
async fn opting_in_changes_nothing_where_the_layer_includes_the_credential() {
    let world = World::new();
    let client = client(&world, &session(&world, TestProvider::new()));

    assert_eq!(outcome(send(&client, including(get("/1"))).await), OK);
    assert_eq!(outcome(send(&client, get("/2")).await), OK);

    assert_eq!(world.tokens(), ["Bearer access-1", "Bearer access-1"]);
}

#[tokio::test]
async fn opting_in_does_not_take_the_credential_to_another_origin() {
    let users = Users::signed_in();
    let mut request = including(users.ann.anonymous(1));
    *request.uri_mut() = "https://other.test/ann/1".parse().unwrap();

    assert_eq!(outcome(send(&omits_by_default(&users), request).await), UNAUTHORIZED);

    passed_without_credential(&users.ann);
}

#[tokio::test]
async fn opting_in_does_not_replace_a_callers_own_authorization() {
    let users = Users::signed_in();
    let mut request = including(users.ann.anonymous(1));
    request.headers_mut().insert(header::AUTHORIZATION, HeaderValue::from_static("Basic own"));

    assert_eq!(outcome(send(&omits_by_default(&users), request).await), UNAUTHORIZED);

    assert_eq!(users.ann.world.tokens(), ["Basic own"]);
    assert_eq!(users.ann.tally(), Tally { api: 1, ..Tally::NOTHING });
}

#[tokio::test]
async fn opting_in_without_any_session_lets_the_request_pass() {
    let users = Users::signed_in();

    assert_eq!(outcome(send(&users.client(), including(users.ann.anonymous(1))).await), UNAUTHORIZED);

    passed_without_credential(&users.ann);
}
