//! The clock and the two servers that tests are given.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use tower::{BoxError, ServiceExt};
use tower_auth_refresh::{
    Provider,
    clock::Clock,
    provider::{Context, Grant, GrantKind, ProviderErrorKind},
    test_util::{Api, AuthServer, Fault, ServerBody, TestClock, TestProvider},
};

use crate::support::by_hand::ByHand;

const MINUTE: Duration = Duration::from_secs(60);

type Answer = Result<Response<ServerBody>, BoxError>;

fn servers() -> (TestClock, AuthServer, Api) {
    let clock = TestClock::new();
    let server = AuthServer::new(&clock);
    (clock, server.clone(), server.api())
}

async fn login(server: &AuthServer) -> Answer {
    let request = Request::post("https://id.test/login").body(Full::<Bytes>::default()).unwrap();
    server.clone().oneshot(request).await
}

async fn refresh(server: &AuthServer, token: &'static str) -> Answer {
    let request = Request::post("https://id.test/refresh").body(Full::<Bytes>::from(token)).unwrap();
    server.clone().oneshot(request).await
}

async fn get(api: &Api, path: &str, token: &str) -> StatusCode {
    let request =
        Request::get(format!("https://api.test{path}")).header(header::AUTHORIZATION, format!("Bearer {token}"));
    api.clone().oneshot(request.body(Full::<Bytes>::default()).unwrap()).await.unwrap().status()
}

async fn read(answer: Answer) -> Result<String, BoxError> {
    let body = answer?.into_body().collect().await?.to_bytes();
    Ok(String::from_utf8(body.to_vec())?)
}

// ===== the clock =====

#[test]
fn each_hand_of_the_clock_moves_as_it_is_told_and_no_other() {
    let clock = TestClock::new();
    let start = clock.now();
    let moved = || {
        let now = clock.now();
        let wall = match now.wall.duration_since(start.wall) {
            Ok(ahead) => i64::try_from(ahead.as_secs()).unwrap(),
            Err(behind) => -i64::try_from(behind.duration().as_secs()).unwrap(),
        };
        (wall, now.monotonic.duration_since(start.monotonic).as_secs())
    };
    clock.advance(MINUTE);
    assert_eq!(moved(), (60, 60));
    clock.suspend(MINUTE);
    assert_eq!(moved(), (120, 60));
    clock.step_back(3 * MINUTE);
    assert_eq!(moved(), (-60, 60));
    clock.step_monotonic(MINUTE);
    assert_eq!(moved(), (-60, 120));
}

// ===== the authorization server =====

#[tokio::test]
async fn a_refresh_token_that_is_presented_again_ends_its_family() {
    let (_, server, api) = servers();
    login(&server).await.unwrap();
    assert_eq!(refresh(&server, "refresh-1").await.unwrap().status(), StatusCode::OK);
    assert_eq!(get(&api, "/before", "access-2").await, StatusCode::OK);

    assert_eq!(refresh(&server, "refresh-1").await.unwrap().status(), StatusCode::BAD_REQUEST);
    assert_eq!(refresh(&server, "refresh-2").await.unwrap().status(), StatusCode::BAD_REQUEST);
    assert_eq!(get(&api, "/after", "access-2").await, StatusCode::UNAUTHORIZED);
    let counts = server.counts();
    assert_eq!((counts.granted, counts.refused, counts.double_spent), (2, 2, 1));

    login(&server).await.unwrap();
    assert_eq!(get(&api, "/again", "access-3").await, StatusCode::OK);
}

#[tokio::test]
async fn a_refresh_token_that_was_never_granted_is_refused_and_harms_nobody() {
    let (_, server, api) = servers();
    login(&server).await.unwrap();
    assert_eq!(refresh(&server, "refresh-9").await.unwrap().status(), StatusCode::BAD_REQUEST);
    assert_eq!((server.counts().refused, server.counts().double_spent), (1, 0));
    assert_eq!(get(&api, "/", "access-1").await, StatusCode::OK);
}

#[tokio::test]
async fn a_connection_is_dropped_before_or_after_the_rotation() {
    let (_, server, _) = servers();
    server.fail([Fault::DropBefore, Fault::DropAfter]);
    assert!(login(&server).await.is_err());
    assert_eq!((server.counts().granted, server.counts().dropped), (0, 1));
    assert!(login(&server).await.is_err());
    assert_eq!((server.counts().granted, server.counts().dropped), (1, 2));
    assert_eq!(read(login(&server).await).await.unwrap(), "access-2 refresh-2 1000");
}

#[tokio::test]
async fn an_answer_is_spoilt_after_the_rotation() {
    let (_, server, _) = servers();
    server.fail([Fault::Html, Fault::Truncate, Fault::BreakOff, Fault::ServerError]);
    assert!(read(login(&server).await).await.unwrap().starts_with("<!DOCTYPE html>"));
    let cut_off = login(&server).await.unwrap();
    assert_eq!(cut_off.headers()[header::CONTENT_LENGTH], "23");
    assert_eq!(read(Ok(cut_off)).await.unwrap(), "access-2 re");
    assert!(read(login(&server).await).await.is_err());
    assert_eq!(login(&server).await.unwrap().status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!((server.counts().granted, server.counts().dropped), (4, 1));
}

#[tokio::test]
async fn a_server_that_asks_for_patience_has_not_acted() {
    let (_, server, _) = servers();
    server.fail([Fault::TooManyRequests(MINUTE), Fault::Unavailable(MINUTE)]);
    for status in [StatusCode::TOO_MANY_REQUESTS, StatusCode::SERVICE_UNAVAILABLE] {
        let answer = login(&server).await.unwrap();
        assert_eq!((answer.status(), &answer.headers()[header::RETRY_AFTER]), (status, &"60".parse().unwrap()));
    }
    assert_eq!((server.counts().logins, server.counts().granted), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn an_answer_takes_its_latency_and_drips_byte_by_byte() {
    let (_, server, _) = servers();
    server.latency(MINUTE);
    server.fail([Fault::Drip(Duration::from_secs(1))]);
    let start = tokio_now();
    let answer = login(&server).await;
    assert_eq!(start.elapsed().as_secs(), 60);
    assert_eq!(read(answer).await.unwrap(), "access-1 refresh-1 1000");
    assert_eq!(start.elapsed().as_secs(), 60 + 23);
}

#[allow(clippy::disallowed_methods, reason = "the paused clock of the runtime, which the latency goes by")]
fn tokio_now() -> tokio::time::Instant {
    tokio::time::Instant::now()
}

#[tokio::test]
async fn one_seed_makes_one_sequence_of_faults() {
    let run = |seed| async move {
        let (_, server, _) = servers();
        server.fail_at_random(seed, 0.5, [Fault::DropBefore]);
        let mut dropped = Vec::new();
        for _ in 0..64 {
            dropped.push(login(&server).await.is_err());
        }
        dropped
    };
    let (first, second) = (run(1).await, run(1).await);
    assert_eq!(first, second);
    assert_ne!(first, run(2).await);
    assert!(first.contains(&true) && first.contains(&false));
}

#[tokio::test]
async fn each_kind_of_grant_is_refused_until_it_is_taken_again() {
    let (_, server, _) = servers();
    login(&server).await.unwrap();
    let answers = || async {
        let refreshed = refresh(&server, "refresh-1").await.unwrap().status();
        (login(&server).await.unwrap().status(), refreshed)
    };
    server.refuse(GrantKind::Login);
    server.refuse(GrantKind::Refresh);
    assert_eq!(answers().await, (StatusCode::BAD_REQUEST, StatusCode::BAD_REQUEST));
    server.unrefuse(GrantKind::Refresh);
    assert_eq!(answers().await, (StatusCode::BAD_REQUEST, StatusCode::OK));
    server.unrefuse(GrantKind::Login);
    server.refuse(GrantKind::Refresh);
    assert_eq!(answers().await, (StatusCode::OK, StatusCode::BAD_REQUEST));
}

#[tokio::test]
async fn a_scripted_answer_takes_no_fault() {
    let (_, server, _) = servers();
    server.fail([Fault::DropBefore]);
    server.script(|_| Some(Ok(Response::new(Full::from("scripted")))));
    assert_eq!(read(login(&server).await).await.unwrap(), "scripted");
    server.unscript();
    assert!(login(&server).await.is_err());
    assert_eq!(read(login(&server).await).await.unwrap(), "access-1 refresh-1 1000");
}

#[tokio::test]
async fn what_was_presented_to_the_authorization_server_can_be_seen() {
    let (_, server, _) = servers();
    login(&server).await.unwrap();
    refresh(&server, "refresh-1").await.unwrap();
    let seen: Vec<_> = server.seen().iter().map(|seen| (seen.uri().path().to_owned(), seen.body().clone())).collect();
    assert_eq!(seen, [("/login".to_owned(), Bytes::new()), ("/refresh".to_owned(), Bytes::from("refresh-1"))]);
}

#[test]
fn a_lifetime_that_no_clock_can_hold_is_malformed() {
    let answer = Response::new(Bytes::from(format!("access-1 refresh-1 {}", u64::MAX)));
    let error = TestProvider::new().parse(Grant::Login, answer, &Context::new(TestClock::new().wall(), 0)).unwrap_err();
    assert_eq!(error.kind(), ProviderErrorKind::Malformed);
}

#[tokio::test]
async fn a_gate_holds_answers_of_a_server_that_has_acted() {
    let (_, server, _) = servers();
    server.gate().hold();
    let first = ByHand::started(login(&server));
    let second = ByHand::started(login(&server));
    assert_eq!((server.counts().granted, server.counts().most_in_flight), (2, 2));
    assert!(!first.is_woken());
    server.gate().release();
    assert!(first.is_woken());
    assert_eq!(read(first.result()).await.unwrap(), "access-1 refresh-1 1000");
    drop(second);
    login(&server).await.unwrap();
    assert_eq!(server.counts().most_in_flight, 2);
}

// ===== the API =====

#[tokio::test]
async fn the_api_takes_the_current_token_and_for_a_while_the_previous() {
    let (clock, server, api) = servers();
    login(&server).await.unwrap();
    refresh(&server, "refresh-1").await.unwrap();
    assert_eq!(get(&api, "/1", "access-1").await, StatusCode::UNAUTHORIZED);

    api.take_previous_for(MINUTE);
    refresh(&server, "refresh-2").await.unwrap();
    assert_eq!(get(&api, "/2", "access-2").await, StatusCode::OK);
    assert_eq!(get(&api, "/3", "access-3").await, StatusCode::OK);
    assert_eq!(get(&api, "/4", "access-1").await, StatusCode::UNAUTHORIZED);
    clock.advance(MINUTE);
    assert_eq!(get(&api, "/5", "access-2").await, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_replay_is_the_second_request_of_a_rejected_one() {
    let (_, server, api) = servers();
    login(&server).await.unwrap();
    get(&api, "/one", "access-0").await;
    get(&api, "/other", "access-1").await;
    get(&api, "/one", "access-1").await;
    get(&api, "/one", "access-1").await;
    let counts = api.counts();
    assert_eq!((counts.requests, counts.rejected, counts.replays), (4, 1, 1));
}
