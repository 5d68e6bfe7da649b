//! Every default can be changed, and a value that makes no sense is refused where it is given.

use std::{sync::atomic::Ordering::SeqCst, time::Duration};

use http::{Response, StatusCode, header};
use tower::Layer;
use tower_auth_refresh::{
    AuthRefreshLayer,
    error::ErrorKind,
    session::{Condition, InvalidPolicy, RefreshPolicy},
};

use crate::{
    scene::{LIFE, Reply, full_jitter, idp_answers, no_jitter, poll_once, reply, seconds, session_with, signed_in},
    support::{
        TestProvider, World, client,
        frames::{Frames, Part, Stub, data},
        get, send, text,
    },
};

const YEAR: Duration = Duration::from_secs(366 * 24 * 60 * 60);
const MOMENT: Duration = Duration::from_nanos(1);

fn policy() -> RefreshPolicy {
    RefreshPolicy::new()
}

#[test]
fn a_value_that_makes_no_sense_is_refused_by_the_name_of_its_setting_and_with_the_reason() {
    let too_long = YEAR + MOMENT;
    let (zero, second) = (Duration::ZERO, seconds(1));
    let refused: [(Result<RefreshPolicy, InvalidPolicy>, &str); 28] = [
        (policy().soft_margin(too_long), "soft_margin must not be longer than a year"),
        (policy().soft_margin_share(too_long, 10), "soft_margin must not be longer than a year"),
        (policy().soft_margin_share(second, 101), "soft_margin must not be more than 100 percent"),
        (policy().soft_jitter(101), "soft_jitter must not be more than 100 percent"),
        (policy().hard_margin(too_long), "hard_margin must not be longer than a year"),
        (policy().hard_margin_share(second, 101), "hard_margin must not be more than 100 percent"),
        (
            policy().soft_margin(second).and_then(|policy| policy.hard_margin(second + MOMENT)),
            "hard_margin leaves no soft window: the soft margin is never longer than the hard one",
        ),
        (
            policy().hard_margin(second).and_then(|policy| policy.soft_margin(second - MOMENT)),
            "soft_margin leaves no soft window: the soft margin is never longer than the hard one",
        ),
        (policy().serve_expired(too_long), "serve_expired must not be longer than a year"),
        (policy().flight_deadline(zero), "flight_deadline must not be zero"),
        (policy().flight_deadline(too_long), "flight_deadline must not be longer than a year"),
        (policy().backoff(zero, second), "backoff must not be zero"),
        (policy().backoff(second, too_long), "backoff must not be longer than a year"),
        (policy().backoff(second, second - MOMENT), "backoff must not begin with more than its longest"),
        (policy().backoff_without_token(zero), "backoff_without_token must not be zero"),
        (policy().backoff_without_token(too_long), "backoff_without_token must not be longer than a year"),
        (policy().retry_after_max(zero), "retry_after_max must not be zero"),
        (policy().retry_after_max(too_long), "retry_after_max must not be longer than a year"),
        (
            policy().soft_margin_share(second, 5).and_then(|policy| policy.hard_margin_share(second, 50)),
            "hard_margin leaves no soft window: the soft margin is never longer than the hard one",
        ),
        (policy().guard(10_001, second), "guard must not be more than 10000 flights"),
        (policy().guard(1, zero), "guard must not be zero"),
        (policy().guard(1, too_long), "guard must not be longer than a year"),
        (policy().guard_exempt_after(101, second), "guard_exempt_after must not be more than 100 percent"),
        (policy().guard_exempt_after(50, zero), "guard_exempt_after must not be zero"),
        (policy().token_answer_limit(0), "token_answer_limit must not be zero"),
        (policy().judged_body(0, second), "judged_body must not be zero"),
        (policy().judged_body(1, zero), "judged_body must not be zero"),
        (policy().rejected_answer(0, second), "rejected_answer must not be zero"),
    ];
    for (refused, message) in refused {
        let error = refused.expect_err(message);
        assert_eq!(error.to_string(), message);
        assert!(message.starts_with(error.setting()));
    }
}

#[test]
fn the_ends_of_each_range_are_taken() {
    let ends = policy()
        .soft_margin_share(YEAR, 100)
        .and_then(|policy| policy.hard_margin_share(Duration::ZERO, 0))
        .and_then(|policy| policy.soft_jitter(100))
        .and_then(|policy| policy.soft_jitter(0))
        .and_then(|policy| policy.serve_expired(YEAR))
        .and_then(|policy| policy.flight_deadline(MOMENT))
        .and_then(|policy| policy.backoff(MOMENT, YEAR))
        .and_then(|policy| policy.backoff_without_token(YEAR))
        .and_then(|policy| policy.retry_after_max(YEAR))
        .and_then(|policy| policy.guard(10_000, YEAR))
        .and_then(|policy| policy.guard_exempt_after(0, MOMENT))
        .and_then(|policy| policy.token_answer_limit(usize::MAX))
        .and_then(|policy| policy.judged_body(u64::MAX, YEAR))
        .and_then(|policy| policy.rejected_answer(1, MOMENT));
    assert!(ends.is_ok());
}

/// The condition of a fresh token set of that lifetime after so many seconds.
fn condition_after(policy: RefreshPolicy, life: u64, age: u64) -> Condition {
    let world = World::new();
    let session = session_with(&world, TestProvider::new(), policy);
    session.set(TestProvider::token(7, seconds(life), world.clock.wall())).unwrap();
    world.clock.advance(seconds(age));
    session.status().condition
}

#[test]
fn margins_can_be_shares_of_the_lifetime_with_a_longest() {
    let policy = || {
        let soft = no_jitter().soft_margin_share(seconds(400), 50).unwrap();
        soft.hard_margin_share(seconds(100), 20).unwrap()
    };
    for (life, soft, hard) in [(100, 50, 80), (10_000, 9600, 9900)] {
        assert_eq!(condition_after(policy(), life, soft - 1), Condition::Fresh);
        assert_eq!(condition_after(policy(), life, soft), Condition::Soft);
        assert_eq!(condition_after(policy(), life, hard - 1), Condition::Soft);
        assert_eq!(condition_after(policy(), life, hard), Condition::Expired);
    }
}

#[test]
fn the_share_of_the_jitter_can_be_changed() {
    let policy = || full_jitter().soft_jitter(50).unwrap();
    assert_eq!(condition_after(policy(), 1000, 299), Condition::Fresh);
    assert_eq!(condition_after(policy(), 1000, 300), Condition::Soft);
    let none = || full_jitter().soft_jitter(0).unwrap();
    assert_eq!(condition_after(none(), 1000, 799), Condition::Fresh);
    assert_eq!(condition_after(none(), 1000, 800), Condition::Soft);
}

/// How long the session rests after each of so many failures in a row, with full jitter, in seconds.
async fn rests(policy: RefreshPolicy, token: bool, failures: usize) -> Vec<u64> {
    let world = World::new();
    let session = session_with(&world, TestProvider::new(), policy);
    if token {
        session.set(TestProvider::token(7, LIFE * 1000, world.clock.wall())).unwrap();
        world.clock.advance(LIFE * 1000 - seconds(3600));
        world.script_api(|_| Some(reply(StatusCode::OK, "welcome")));
    }
    idp_answers(&world, StatusCode::SERVICE_UNAVAILABLE);
    let client = client(&world, &session);
    let mut rests = Vec::new();
    for _ in 0..failures {
        let _ = send(&client, get("/")).await;
        session.settled().await;
        let rest = session.status().retry_at.unwrap().duration_since(world.clock.wall()).unwrap();
        rests.push(rest.as_secs());
        world.clock.advance(rest);
    }
    rests
}

#[tokio::test]
async fn the_backoff_and_its_longest_with_and_without_a_token_can_be_changed() {
    let policy = || full_jitter().backoff(seconds(2), seconds(20)).unwrap().guard(100, seconds(1)).unwrap();
    assert_eq!(rests(policy(), true, 5).await, [2, 4, 8, 16, 20]);
    assert_eq!(rests(policy(), false, 5).await, [2, 4, 8, 16, 20]);
    let impatient = || policy().backoff_without_token(seconds(5)).unwrap();
    assert_eq!(rests(impatient(), true, 5).await, [2, 4, 8, 16, 20]);
    assert_eq!(rests(impatient(), false, 5).await, [2, 4, 5, 5, 5]);
    // Never less than the first, whatever is said.
    let less = || policy().backoff_without_token(seconds(1)).unwrap();
    assert_eq!(rests(less(), false, 3).await, [2, 2, 2]);
}

#[tokio::test]
async fn the_longest_retry_after_that_is_obeyed_can_be_changed() {
    let world = World::new();
    let session = session_with(&world, TestProvider::new(), no_jitter().retry_after_max(seconds(10)).unwrap());
    world.script_idp(|_| {
        Some(reply(StatusCode::TOO_MANY_REQUESTS, "").map(|mut answer| {
            answer.headers_mut().insert(http::header::RETRY_AFTER, http::HeaderValue::from_static("60"));
            answer
        }))
    });
    let error = send(&client(&world, &session), get("/")).await.unwrap_err();
    assert_eq!(error.retry_at(), Some(world.clock.wall() + seconds(10)));
}

#[tokio::test]
async fn from_when_on_the_guard_does_not_count_can_be_changed() {
    for (percent, expected) in [(10, ErrorKind::Service), (100, ErrorKind::TooManyRefreshes)] {
        let world = World::new();
        let policy = no_jitter().guard(1, seconds(3600)).unwrap().guard_exempt_after(percent, seconds(1)).unwrap();
        let session = signed_in(&world, TestProvider::new(), policy);
        let layer = AuthRefreshLayer::new(session).error_after_failed_refresh(true);
        let client = layer.layer(world.api());
        let mut outcome = ErrorKind::Service;
        for _ in 0..2 {
            world.clock.advance(LIFE / 5);
            world.revoke_access();
            if let Err(error) = send(&client, get("/")).await {
                outcome = error.kind();
            }
        }
        assert_eq!(outcome, expected, "{percent}");
    }
}

#[tokio::test]
async fn the_number_of_replays_can_be_changed_and_a_layer_has_the_last_word() {
    for (layer, sends) in [(None, 4), (Some(0), 1)] {
        let world = World::new();
        let session = signed_in(&world, TestProvider::new(), no_jitter().replays(3));
        world.script_api(|_| Some(reply(StatusCode::UNAUTHORIZED, "rejected")));
        let mut auth = AuthRefreshLayer::new(session);
        if let Some(replays) = layer {
            auth = auth.replays(replays);
        }
        let answer = send(&auth.layer(world.api()), get("/")).await.unwrap();
        assert_eq!((answer.status(), world.counts().api), (StatusCode::UNAUTHORIZED, sends));
    }
}

#[tokio::test]
async fn the_length_of_a_token_answer_can_be_changed() {
    let answer = "access-1 refresh-1 1000";
    for (limit, expected) in [(answer.len(), Ok(())), (answer.len() - 1, Err(ErrorKind::Malformed))] {
        let world = World::new();
        let session = session_with(&world, TestProvider::new(), no_jitter().token_answer_limit(limit).unwrap());
        world.script_idp(move |_| Some(reply(StatusCode::OK, answer)));
        assert_eq!(session.token().await.map(|_| ()).map_err(|error| error.kind()), expected, "{limit}");
    }
}

fn rejected_in_the_body() -> Reply {
    reply(StatusCode::OK, r#"{"rejected":true}"#).map(|mut answer| {
        let json = http::HeaderValue::from_static("application/json");
        answer.headers_mut().insert(http::header::CONTENT_TYPE, json);
        answer
    })
}

#[tokio::test]
async fn how_far_a_body_is_judged_can_be_changed() {
    let length = r#"{"rejected":true}"#.len() as u64;
    for (bytes, refreshes) in [(length, 1), (length - 1, 0)] {
        let world = World::new();
        let policy = no_jitter().judged_body(bytes, seconds(1)).unwrap();
        let session = signed_in(&world, TestProvider::new().with_judged_body(true), policy);
        world.script_api(|_| Some(rejected_in_the_body()));
        let answer = send(&client(&world, &session), get("/")).await.unwrap();
        assert_eq!(text(answer).await, r#"{"rejected":true}"#);
        assert_eq!(world.counts().refreshes, refreshes, "{bytes}");
    }
}

#[tokio::test(start_paused = true)]
async fn for_how_long_a_body_is_judged_can_be_changed() {
    for (time, refreshes) in [(seconds(3), 1), (seconds(1), 0)] {
        let world = World::new();
        let policy = no_jitter().judged_body(1024, time).unwrap();
        let session = signed_in(&world, TestProvider::new().with_judged_body(true), policy);
        let api = Stub::new(|_| {
            let body = Frames::new([Part::Wait(seconds(2)), data(r#"{"rejected":true}"#)]);
            Response::builder().header(header::CONTENT_TYPE, "application/json").body(body).unwrap()
        });
        let answer = send(&AuthRefreshLayer::new(session).layer(api), get("/")).await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(world.counts().refreshes, refreshes, "{time:?}");
    }
}

/// How many frames of a rejected answer, its end among them, were read during five seconds of waiting for the refresh.
async fn read_of_a_rejected_answer(bytes: u64, time: Duration, parts: impl IntoIterator<Item = Part>) -> usize {
    let world = World::new();
    let session = signed_in(&world, TestProvider::new(), no_jitter().rejected_answer(bytes, time).unwrap());
    world.hold_idp();
    let body = Frames::new(parts);
    let taken = body.taken();
    let api = Stub::new(move |_| Response::builder().status(StatusCode::UNAUTHORIZED).body(body.clone()).unwrap());
    let client = AuthRefreshLayer::new(session).layer(api);
    let mut answer = Box::pin(send(&client, get("/")));
    for _ in 0..5 {
        assert!(poll_once(&mut answer).is_pending());
        tokio::time::advance(seconds(1)).await;
    }
    assert!(poll_once(&mut answer).is_pending());
    taken.load(SeqCst)
}

#[tokio::test(start_paused = true)]
async fn how_far_a_rejected_answer_is_read_can_be_changed() {
    for (bytes, read) in [(64 * 1024, 11), (2 * 1024, 3)] {
        let kib = (0..10).map(|_| data(vec![b' '; 1024]));
        assert_eq!(read_of_a_rejected_answer(bytes, seconds(1), kib).await, read, "{bytes}");
    }
    for (time, read) in [(seconds(3), 3), (seconds(1), 1)] {
        let slow = [data("a"), Part::Wait(seconds(2)), data("b")];
        assert_eq!(read_of_a_rejected_answer(1024, time, slow).await, read, "{time:?}");
    }
}
