//! Failures, backoff and the refresh guard: C15 to C21 and C34.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body::Frame;
use http_body_util::{Full, StreamBody};
use tower::{BoxError, service_fn};
use tower_auth_refresh::{
    Session,
    error::{ErrorKind, RefreshFailure},
    providers::Quectel,
    session::{Condition, Event},
    token::{Expiry, TokenSet},
};

use crate::{
    scene::{
        LIFE, MILLISECOND, Reply, full_jitter, idp_answers, let_the_flight_run, no_jitter, poll_once, reply, seconds,
        session_with, signed_in, welcome_all,
    },
    support::{TestProvider, World, client, get, send, send_all, session},
};

const DOWN: StatusCode = StatusCode::SERVICE_UNAVAILABLE;

// ===== with a token at hand =====

#[tokio::test]
async fn a_refresh_that_fails_in_the_soft_window_shows_only_in_status_and_events() {
    let world = World::new();
    let session = signed_in(&world, TestProvider::new(), full_jitter());
    let client = client(&world, &session);
    let mut events = session.subscribe();
    let generation = session.status().generation;
    idp_answers(&world, DOWN);
    world.clock.advance(seconds(700));

    for _ in 0..10 {
        let answer = send(&client, get("/")).await.unwrap();
        assert_eq!((answer.status(), answer.extensions().get::<RefreshFailure>().is_some()), (StatusCode::OK, false));
        session.settled().await;
    }

    let status = session.status();
    assert_eq!((status.condition, status.last_error), (Condition::Failing, Some(ErrorKind::Unavailable)));
    assert_eq!(status.failing_since, Some(world.clock.wall()));
    assert_eq!((status.generation, status.retry_at), (generation, Some(world.clock.wall() + seconds(1))));
    let Some(Event::RefreshFailed { generation: failed, failure, .. }) = events.recv().await else { panic!() };
    assert_eq!((failed, failure.kind(), failure.retry_at()), (generation, ErrorKind::Unavailable, status.retry_at));
    assert_eq!((world.counts().api, world.counts().rejected, world.counts().token_calls()), (10, 0, 1));
}

#[tokio::test]
async fn requests_past_the_hard_point_wait_for_one_flight_and_carry_its_token() {
    let world = World::new();
    let session = signed_in(&world, TestProvider::new(), no_jitter());
    world.clock.advance(seconds(970));

    let answers = send_all(&client(&world, &session), 100).await;

    assert!(answers.iter().all(Result::is_ok));
    assert_eq!((world.counts().api, world.counts().token_calls()), (100, 1));
    assert!(world.tokens().iter().all(|token| token == "Bearer access-8"));
}

#[tokio::test]
async fn when_the_flight_fails_past_the_hard_point_the_old_token_serves_until_its_very_end() {
    let world = World::new();
    let session = signed_in(&world, TestProvider::new(), full_jitter());
    let client = client(&world, &session);
    idp_answers(&world, DOWN);
    world.clock.advance(seconds(970));

    assert!(send_all(&client, 10).await.iter().all(Result::is_ok));
    assert_eq!((world.counts().api, world.counts().token_calls()), (10, 1));
    session.token().await.unwrap();
    world.clock.advance(seconds(30) - MILLISECOND);
    assert!(send_all(&client, 10).await.iter().all(Result::is_ok));
    assert_eq!((world.counts().api, world.counts().token_calls()), (20, 2));
    assert!(world.tokens().iter().all(|token| token == "Bearer access-7"));

    world.clock.advance(MILLISECOND);
    let answers = send_all(&client, 10).await;
    assert!(answers.iter().all(|answer| answer.as_ref().unwrap_err().kind() == ErrorKind::Unavailable));
    assert_eq!(session.token().await.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!((world.counts().api, world.counts().token_calls()), (20, 2));
}

/// The token ends while requests wait for the flight that fails.
#[tokio::test]
async fn the_end_counts_at_the_moment_at_which_the_flight_has_failed() {
    for (passed, sent) in [(seconds(30) - MILLISECOND, 1), (seconds(30), 0)] {
        let world = World::new();
        let session = signed_in(&world, TestProvider::new(), full_jitter());
        let client = client(&world, &session);
        idp_answers(&world, DOWN);
        world.hold_idp();
        world.clock.advance(seconds(970));
        let mut request = Box::pin(send(&client, get("/")));
        assert!(poll_once(&mut request).is_pending());

        world.clock.advance(passed);
        world.release_idp();

        assert_eq!(request.await.is_ok(), sent == 1, "{passed:?}");
        assert_eq!(world.counts().api, sent, "{passed:?}");
    }
}

// ===== permanent failures =====

#[tokio::test]
async fn a_refused_refresh_shows_at_once_and_is_not_repeated_with_that_token_set() {
    let world = World::new();
    let session = signed_in(&world, TestProvider::without_login(), full_jitter());
    let client = client(&world, &session);
    let mut events = session.subscribe();
    idp_answers(&world, StatusCode::BAD_REQUEST);
    world.clock.advance(seconds(700));

    send(&client, get("/")).await.unwrap();
    session.settled().await;
    let status = session.status();
    assert_eq!((status.condition, status.last_error), (Condition::Failing, Some(ErrorKind::Refused)));
    assert_eq!(status.retry_at, None);
    let Some(Event::RefreshFailed { failure, .. }) = events.recv().await else { panic!() };
    assert_eq!((failure.kind(), failure.retry_at()), (ErrorKind::Refused, None));

    // With an unexpired token requests go on, also past the hard point.
    world.clock.advance(seconds(299));
    assert!(send_all(&client, 10).await.iter().all(Result::is_ok));
    // Without one they get the error at once.
    for _ in 0..10 {
        world.clock.advance(seconds(100_000));
        let error = send(&client, get("/")).await.unwrap_err();
        assert_eq!((error.kind(), error.needs_sign_in(), error.retry_at()), (ErrorKind::Refused, true, None));
    }
    assert_eq!((world.counts().api, world.counts().token_calls()), (11, 1));
}

#[tokio::test]
async fn another_token_set_ends_a_permanent_failure() {
    let world = World::new();
    let session = signed_in(&world, TestProvider::without_login(), full_jitter());
    let client = client(&world, &session);
    idp_answers(&world, StatusCode::BAD_REQUEST);
    world.clock.advance(LIFE);
    send(&client, get("/")).await.unwrap_err();
    world.unscript();

    session.set(TestProvider::token(8, LIFE, world.clock.wall())).unwrap();
    world.grant(8);

    assert_eq!(session.status().last_error, None);
    send(&client, get("/")).await.unwrap();
    world.clock.advance(seconds(700));
    send(&client, get("/")).await.unwrap();
    session.settled().await;
    assert_eq!((world.counts().refreshes, world.counts().logins), (2, 0));
    assert_eq!(session.status().condition, Condition::Fresh);
}

#[tokio::test]
async fn after_a_refused_refresh_one_login_is_made_in_the_same_flight() {
    let world = World::new();
    let session = signed_in(&world, TestProvider::new(), no_jitter());
    world.script_idp(|request| (request.uri().path() == "/refresh").then(|| reply(StatusCode::BAD_REQUEST, "no")));
    world.clock.advance(LIFE);

    let answers = send_all(&client(&world, &session), 50).await;

    assert!(answers.iter().all(|answer| answer.as_ref().unwrap().status() == StatusCode::OK));
    let counts = world.counts();
    assert_eq!((counts.refreshes, counts.logins, counts.api), (1, 1, 50));
}

#[tokio::test]
async fn a_refused_refresh_token_is_not_sent_again_when_the_login_after_it_fails_for_now() {
    let world = World::new();
    let session = signed_in(&world, TestProvider::new(), full_jitter());
    let client = client(&world, &session);
    world.script_idp(|request| match request.uri().path() {
        "/refresh" => Some(reply(StatusCode::BAD_REQUEST, "no")),
        _ => Some(reply(DOWN, "later")),
    });
    world.clock.advance(LIFE);

    assert_eq!(send(&client, get("/")).await.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!((world.counts().refreshes, world.counts().logins), (1, 1));
    for logins in 2..5 {
        world.clock.advance(seconds(60));
        send(&client, get("/")).await.unwrap_err();
        assert_eq!((world.counts().refreshes, world.counts().logins), (1, logins));
    }
}

#[tokio::test]
async fn a_refused_login_is_not_repeated_until_the_application_signs_in() {
    let world = World::new();
    let session = session_with(&world, TestProvider::new(), full_jitter());
    let client = client(&world, &session);
    idp_answers(&world, StatusCode::UNAUTHORIZED);

    for _ in 0..10 {
        let answers = send_all(&client, 10).await;
        assert!(answers.iter().all(|answer| answer.as_ref().unwrap_err().kind() == ErrorKind::Refused));
        world.clock.advance(seconds(100_000));
    }
    assert_eq!((world.counts().logins, world.counts().api), (1, 0));

    assert_eq!(session.sign_in().await.unwrap_err().kind(), ErrorKind::Refused);
    send(&client, get("/")).await.unwrap_err();
    assert_eq!((world.counts().logins, world.counts().api), (2, 0));

    world.unscript();
    session.sign_in().await.unwrap();
    send(&client, get("/")).await.unwrap();
    assert_eq!((world.counts().logins, world.counts().api), (3, 1));
}

#[tokio::test]
async fn a_refused_login_is_remembered_beyond_the_token_sets_that_the_application_sets() {
    let world = World::new();
    let session = session_with(&world, TestProvider::new(), full_jitter());
    let client = client(&world, &session);
    idp_answers(&world, StatusCode::UNAUTHORIZED);
    send(&client, get("/")).await.unwrap_err();

    for _ in 0..3 {
        // Without a refresh token only the login could give the next set.
        let ends = world.clock.wall() + LIFE;
        session.set(TokenSet::new("access-7").with_expiry(Expiry::At(ends))).unwrap();
        world.grant(7);
        send(&client, get("/")).await.unwrap();
        world.clock.advance(LIFE);
        assert_eq!(send(&client, get("/")).await.unwrap_err().kind(), ErrorKind::Refused);
    }

    assert_eq!((world.counts().logins, world.counts().api), (1, 3));
}

#[tokio::test]
async fn without_anything_to_ask_for_somebody_must_sign_in_and_no_call_is_made() {
    let world = World::new();
    let session = session(&world, TestProvider::without_login());
    let client = client(&world, &session);

    let answers = send_all(&client, 10).await;

    assert!(answers.iter().all(|answer| answer.as_ref().unwrap_err().kind() == ErrorKind::SignInRequired));
    assert!(session.token().await.unwrap_err().needs_sign_in());
    assert_eq!(session.sign_in().await.unwrap_err().kind(), ErrorKind::SignInRequired);
    assert_eq!((world.counts().token_calls(), world.counts().api), (0, 0));
}

// ===== backoff =====

#[tokio::test]
async fn without_a_token_the_backoff_doubles_from_one_second_to_thirty() {
    let world = World::new();
    let session = session_with(&world, TestProvider::new(), full_jitter());
    let client = client(&world, &session);
    idp_answers(&world, DOWN);

    for (failures, backoff) in [1, 2, 4, 8, 16, 30, 30, 30].into_iter().enumerate() {
        let error = send(&client, get("/")).await.unwrap_err();
        assert_eq!(error.retry_at(), Some(world.clock.wall() + seconds(backoff)));
        assert_eq!(world.counts().logins, failures + 1);

        world.clock.advance(seconds(backoff) - MILLISECOND);
        let early = send(&client, get("/")).await.unwrap_err();
        assert_eq!((early.kind(), early.retry_at()), (ErrorKind::Unavailable, error.retry_at()));
        assert_eq!(session.token().await.unwrap_err().retry_at(), error.retry_at());
        assert_eq!(world.counts().logins, failures + 1, "a call was made within {backoff} s");
        world.clock.advance(MILLISECOND);
    }
    assert_eq!(world.counts().api, 0);
}

#[tokio::test]
async fn with_a_token_the_backoff_doubles_from_one_second_to_five_minutes() {
    let world = World::new();
    let session = session_with(&world, TestProvider::new(), full_jitter());
    session.set(TestProvider::token(7, seconds(10_000), world.clock.wall())).unwrap();
    let client = client(&world, &session);
    welcome_all(&world);
    idp_answers(&world, DOWN);
    world.clock.advance(seconds(7000));

    for (failures, backoff) in [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300].into_iter().enumerate() {
        send(&client, get("/")).await.unwrap();
        session.settled().await;
        assert_eq!(session.status().retry_at, Some(world.clock.wall() + seconds(backoff)));
        assert_eq!(world.counts().token_calls(), failures + 1);

        world.clock.advance(seconds(backoff) - MILLISECOND);
        send_all(&client, 3).await;
        session.settled().await;
        assert_eq!(world.counts().token_calls(), failures + 1, "a call was made within {backoff} s");
        world.clock.advance(MILLISECOND);
    }
}

#[tokio::test]
async fn a_backoff_that_was_rolled_for_a_token_does_not_outlast_it_by_more_than_one_without() {
    for (begins, left, backoff) in [(9000, 189, 189), (9179, 10, 30)] {
        let world = World::new();
        let session = session_with(&world, TestProvider::new(), full_jitter());
        session.set(TestProvider::token(7, seconds(10_000), world.clock.wall())).unwrap();
        let client = client(&world, &session);
        welcome_all(&world);
        idp_answers(&world, DOWN);
        world.clock.advance(seconds(begins));
        for wait in [1, 2, 4, 8, 16, 32, 64, 128, 256, 300] {
            send(&client, get("/")).await.unwrap();
            session.settled().await;
            world.clock.advance(seconds(wait));
        }
        send(&client, get("/")).await.unwrap();
        session.settled().await;
        assert_eq!(session.status().expires_at, Some(world.clock.wall() + seconds(left)));
        assert_eq!(session.status().retry_at, Some(world.clock.wall() + seconds(backoff)));
    }
}

#[tokio::test]
async fn the_jitter_scales_the_whole_backoff() {
    let world = World::new();
    let session =
        session_with(&world, TestProvider::new(), no_jitter().jitter(|| 0.25).guard(100, seconds(30)).unwrap());
    idp_answers(&world, DOWN);

    for millis in [250, 500, 1000, 2000, 4000, 7500, 7500] {
        let error = session.token().await.unwrap_err();
        assert_eq!(error.retry_at(), Some(world.clock.wall() + Duration::from_millis(millis)));
        world.clock.advance(Duration::from_millis(millis));
    }
    assert_eq!(world.counts().logins, 7);
}

#[tokio::test]
async fn an_error_says_when_the_next_try_is_due() {
    let world = World::new();
    let session = session_with(&world, TestProvider::new(), full_jitter());
    world.script_idp(|_| Some(with_retry_after(DOWN, "90")));

    let error = session.token().await.unwrap_err();

    // The clock starts at 1 750 000 000 s.
    assert_eq!(error.to_string(), "the token endpoint is unavailable, next try after Sun, 15 Jun 2025 15:08:10 GMT");
    assert_eq!(error.retry_at(), Some(world.clock.wall() + seconds(90)));
}

#[tokio::test]
async fn the_first_try_after_an_outage_is_a_single_probe() {
    let world = World::new();
    let session = session_with(&world, TestProvider::new(), full_jitter());
    let client = client(&world, &session);
    idp_answers(&world, DOWN);
    send_all(&client, 100).await;

    world.clock.advance(seconds(1));
    assert!(send_all(&client, 100).await.iter().all(Result::is_err));
    assert_eq!(world.counts().logins, 2);

    world.clock.advance(seconds(2));
    world.unscript();
    assert!(send_all(&client, 100).await.iter().all(Result::is_ok));
    assert_eq!((world.counts().logins, world.counts().api), (3, 100));
}

#[tokio::test]
async fn a_granted_token_ends_the_backoff_and_its_doubling() {
    let world = World::new();
    let session = session_with(&world, TestProvider::new(), full_jitter());
    idp_answers(&world, DOWN);
    for backoff in [1, 2, 4] {
        session.token().await.unwrap_err();
        world.clock.advance(seconds(backoff));
    }
    world.unscript();
    session.token().await.unwrap();
    let status = session.status();
    assert_eq!((status.last_error, status.failing_since, status.retry_at), (None, None, None));

    world.clock.advance(LIFE);
    idp_answers(&world, DOWN);
    let error = session.token().await.unwrap_err();

    assert_eq!(error.retry_at(), Some(world.clock.wall() + seconds(1)));
}

// ===== Retry-After =====

fn with_retry_after(status: StatusCode, value: &str) -> Reply {
    let mut answer = reply(status, "scripted")?;
    answer.headers_mut().insert(header::RETRY_AFTER, value.parse()?);
    Ok(answer)
}

/// Fails once with `Retry-After: <value>` and asserts that the next call is made exactly `wait` later.
async fn waits_for(status: StatusCode, value: impl Fn(&World) -> String, wait: Duration) {
    let world = World::new();
    let session = session_with(&world, TestProvider::new(), full_jitter());
    let client = client(&world, &session);
    let value = value(&world);
    let answered = value.clone();
    world.script_idp(move |_| Some(with_retry_after(status, &answered)));

    let error = send(&client, get("/")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(error.retry_at(), Some(world.clock.wall() + wait), "{status} {value}");
    world.unscript();
    world.clock.advance(wait - MILLISECOND);
    send(&client, get("/")).await.unwrap_err();
    assert_eq!(world.counts().logins, 1, "{status} {value}");
    world.clock.advance(MILLISECOND);
    send(&client, get("/")).await.unwrap();
    assert_eq!(world.counts().logins, 2, "{status} {value}");
}

const PATIENCE: [StatusCode; 2] = [StatusCode::TOO_MANY_REQUESTS, DOWN];

#[tokio::test]
async fn retry_after_in_seconds_sets_the_next_try() {
    for status in PATIENCE {
        for (value, wait) in [("0", 1), ("1", 1), ("120", 120), (" 120 ", 120), ("3599", 3599), ("3600", 3600)] {
            waits_for(status, |_| value.to_owned(), seconds(wait)).await;
        }
    }
}

#[tokio::test]
async fn retry_after_as_an_http_date_sets_the_next_try() {
    for status in PATIENCE {
        let in_90_s = |world: &World| httpdate::fmt_http_date(world.clock.wall() + seconds(90));
        waits_for(status, in_90_s, seconds(90)).await;
        let long_ago = |_: &World| "Sun, 06 Nov 1994 08:49:37 GMT".to_owned();
        waits_for(status, long_ago, seconds(1)).await;
    }
}

#[tokio::test]
async fn retry_after_is_capped_at_an_hour() {
    for status in PATIENCE {
        for value in ["3601", "86400", "18446744073709551615", "99999999999999999999999999"] {
            waits_for(status, |_| value.to_owned(), seconds(3600)).await;
        }
        let next_year = |world: &World| httpdate::fmt_http_date(world.clock.wall() + seconds(31_536_000));
        waits_for(status, next_year, seconds(3600)).await;
    }
}

#[tokio::test]
async fn a_retry_after_that_cannot_be_read_leaves_the_backoff_as_it_is() {
    for status in PATIENCE {
        for value in ["", "soon", "-1", "1.5", "0x10", "Sun, 06 Nov 1994"] {
            waits_for(status, |_| value.to_owned(), seconds(1)).await;
        }
    }
}

#[tokio::test]
async fn retry_after_wins_over_a_longer_backoff_too() {
    let world = World::new();
    let session = session_with(&world, TestProvider::new(), full_jitter());
    idp_answers(&world, DOWN);
    for backoff in [1, 2, 4, 8] {
        session.token().await.unwrap_err();
        world.clock.advance(seconds(backoff));
    }
    world.script_idp(|_| Some(with_retry_after(DOWN, "3")));

    let error = session.token().await.unwrap_err();

    assert_eq!(error.retry_at(), Some(world.clock.wall() + seconds(3)));
}

// ===== classes of answers =====

/// Lets the token endpoint answer by `script`, with and without a token at hand: one call is made, it fails as `kind`,
/// a good token stays, and after the backoff there is another call unless the failure is permanent.
async fn fails_as(name: &str, kind: ErrorKind, script: impl Fn(&Request<Bytes>) -> Reply + Send + Sync + 'static) {
    let script = Arc::new(script);
    let install = |world: &World| {
        let script = Arc::clone(&script);
        world.script_idp(move |request| Some(script(request)));
    };

    let world = World::new();
    install(&world);
    let session = signed_in(&world, TestProvider::without_login(), full_jitter());
    let client_with_token = client(&world, &session);
    world.clock.advance(seconds(700));
    for _ in 0..3 {
        assert_eq!(send(&client_with_token, get("/")).await.unwrap().status(), StatusCode::OK, "{name}");
        session.settled().await;
    }
    let status = session.status();
    assert_eq!((status.last_error, status.condition), (Some(kind), Condition::Failing), "{name}");
    assert_eq!(world.tokens(), ["Bearer access-7"; 3], "{name}");
    assert_eq!(world.counts().token_calls(), 1, "{name}");

    let world = World::new();
    install(&world);
    let session = session_with(&world, TestProvider::new(), full_jitter());
    let client_without_token = client(&world, &session);
    for answer in send_all(&client_without_token, 3).await {
        let error = answer.unwrap_err();
        assert_eq!((error.kind(), error.is_session(), error.is_service()), (kind, true, false), "{name}");
        assert_eq!(error.retry_at().is_none(), kind == ErrorKind::Refused, "{name}");
    }
    assert_eq!((world.counts().token_calls(), world.counts().api), (1, 0), "{name}");
    world.clock.advance(seconds(1));
    send(&client_without_token, get("/")).await.unwrap_err();
    let calls = if kind == ErrorKind::Refused { 1 } else { 2 };
    assert_eq!((world.counts().token_calls(), world.counts().api), (calls, 0), "{name}");
}

#[tokio::test]
async fn a_transport_error_is_told_apart() {
    let broken = |text: &'static str| move |_: &Request<Bytes>| -> Reply { Err(BoxError::from(text)) };
    fails_as("no answer", ErrorKind::Transport, broken("connection closed")).await;
    for kind in [io::ErrorKind::ConnectionRefused, io::ErrorKind::ConnectionReset, io::ErrorKind::TimedOut] {
        fails_as(&format!("{kind}"), ErrorKind::Transport, move |_| Err(io::Error::from(kind).into())).await;
    }
}

#[tokio::test]
async fn a_server_that_fails_or_asks_for_patience_is_unavailable() {
    for status in [429, 500, 501, 502, 503, 504, 599] {
        let status = StatusCode::from_u16(status).unwrap();
        fails_as(status.as_str(), ErrorKind::Unavailable, move |_| reply(status, "<html>no</html>")).await;
    }
}

#[tokio::test]
async fn a_refused_grant_is_told_apart() {
    for status in [StatusCode::BAD_REQUEST, StatusCode::UNAUTHORIZED] {
        fails_as(status.as_str(), ErrorKind::Refused, move |_| reply(status, "no")).await;
    }
}

#[tokio::test]
async fn an_answer_that_cannot_be_used_is_malformed() {
    for (name, body) in [
        ("HTML", &b"<html><head><title>Please sign in</title></head></html>"[..]),
        ("empty", b""),
        ("not text", b"\xff\xfe access"),
        ("no access token", b"- refresh-8 1000"),
        ("a lifetime that is no number", b"access-8 refresh-8 soon"),
        ("a negative lifetime", b"access-8 refresh-8 -1"),
        ("a lifetime that overflows", b"access-8 refresh-8 99999999999999999999"),
        ("an injected header", b"access-8\r\nx-injected: refresh-8 1000"),
        ("a carriage return", b"access-8\r refresh-8 1000"),
        ("a line feed", b"access-8\n refresh-8 1000"),
        ("a NUL", b"access-8\0 refresh-8 1000"),
    ] {
        fails_as(name, ErrorKind::Malformed, move |_| reply(StatusCode::OK, Bytes::from_static(body))).await;
    }
}

#[tokio::test]
async fn a_granted_token_that_is_already_expired_is_a_failed_refresh() {
    fails_as("expired", ErrorKind::Malformed, |_| reply(StatusCode::OK, "access-8 refresh-8 0")).await;
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_is_not_followed() {
    for status in [301, 302, 303, 307, 308] {
        let status = StatusCode::from_u16(status).unwrap();
        fails_as(status.as_str(), ErrorKind::Malformed, move |_| {
            let mut answer = reply(status, "access-8 refresh-8 1000")?;
            answer.headers_mut().insert(header::LOCATION, "https://id.test/login".parse()?);
            Ok(answer)
        })
        .await;
    }
}

const MEBIBYTE: usize = 1024 * 1024;

/// A grant, padded to `length`.
fn padded(length: usize) -> Bytes {
    let mut body = b"access-1 refresh-1 1000".to_vec();
    body.resize(length, b' ');
    body.into()
}

#[tokio::test]
async fn an_answer_of_more_than_a_mebibyte_is_malformed() {
    for length in [MEBIBYTE + 1, 2 * MEBIBYTE] {
        fails_as("too large", ErrorKind::Malformed, move |_| reply(StatusCode::OK, padded(length))).await;
    }
}

#[tokio::test]
async fn an_answer_of_a_mebibyte_is_read() {
    let world = World::new();
    world.script_idp(|_| Some(reply(StatusCode::OK, padded(MEBIBYTE))));
    session(&world, TestProvider::new()).token().await.unwrap();
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_a_transport_error() {
    let world = World::new();
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let transport = service_fn(move |_: Request<Full<Bytes>>| {
        counted.fetch_add(1, Ordering::Relaxed);
        let frames = [
            Ok(Frame::data(Bytes::from_static(b"access-8 refresh-8 1000"))),
            Err(io::Error::from(io::ErrorKind::UnexpectedEof)),
        ];
        async move { Ok::<_, BoxError>(Response::new(StreamBody::new(futures::stream::iter(frames)))) }
    });
    let session = Session::builder(TestProvider::new())
        .transport(transport)
        .clock(world.clock.clone())
        .policy(full_jitter())
        .token(TestProvider::token(7, LIFE, world.clock.wall()))
        .build()
        .unwrap();
    world.grant(7);
    world.clock.advance(seconds(700));

    send(&client(&world, &session), get("/")).await.unwrap();
    session.settled().await;
    send(&client(&world, &session), get("/")).await.unwrap();

    assert_eq!(session.status().last_error, Some(ErrorKind::Transport));
    assert_eq!((calls.load(Ordering::Relaxed), world.tokens()), (1, vec!["Bearer access-7".to_owned(); 2]));
}

#[tokio::test(start_paused = true)]
async fn a_token_endpoint_that_does_not_answer_is_a_timeout_at_the_flights_own_deadline() {
    for (policy, deadline) in
        [(full_jitter(), seconds(30)), (full_jitter().flight_deadline(seconds(7)).unwrap(), seconds(7))]
    {
        let world = World::new();
        world.hold_idp();
        let session = session_with(&world, TestProvider::new(), policy);
        let client = client(&world, &session);

        let mut request = Box::pin(send(&client, get("/")));
        assert!(poll_once(&mut request).is_pending());
        let_the_flight_run().await;
        tokio::time::advance(deadline - MILLISECOND).await;
        let_the_flight_run().await;
        assert!(poll_once(&mut request).is_pending());
        assert_eq!(session.status().condition, Condition::Refreshing);
        tokio::time::advance(2 * MILLISECOND).await;
        let error = request.await.unwrap_err();

        assert_eq!((error.kind(), error.is_session()), (ErrorKind::TimedOut, true));
        assert_eq!(error.retry_at(), Some(world.clock.wall() + seconds(1)));
        assert_eq!((world.counts().token_calls(), world.counts().api), (1, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn a_timeout_never_replaces_a_good_token() {
    let world = World::new();
    welcome_all(&world);
    world.hold_idp();
    let session = signed_in(&world, TestProvider::new(), full_jitter());
    world.clock.advance(seconds(970));

    // Past the hard point it waits for the whole deadline, and then goes out with the old token.
    send(&client(&world, &session), get("/")).await.unwrap();

    assert_eq!(session.status().last_error, Some(ErrorKind::TimedOut));
    assert_eq!((world.tokens(), world.counts().token_calls()), (vec!["Bearer access-7".to_owned()], 1));
}

/// The same with JSON, where more can go wrong.
#[tokio::test]
async fn a_malformed_json_grant_never_replaces_a_good_token() {
    let good = r#"{"token":"Bearer new","expirationTime":1760000000}"#;
    let granted = |access: &str| format!(r#"{{"code":200,"data":{{"accessToken":{access}}},"msg":""}}"#);
    for (name, body) in [
        ("HTML", "<html>sign in</html>".to_owned()),
        ("empty", String::new()),
        ("truncated", granted(good).split_at(40).0.to_owned()),
        ("an array", "[]".to_owned()),
        ("no data", r#"{"code":200}"#.to_owned()),
        ("a token of the wrong type", granted(r#"{"token":7}"#)),
        ("an expiry of the wrong type", granted(r#"{"token":"Bearer new","expirationTime":"soon"}"#)),
        ("a negative expiry", granted(r#"{"token":"Bearer new","expirationTime":-1}"#)),
        ("an expiry that overflows", granted(r#"{"token":"Bearer new","expirationTime":1e30}"#)),
        ("an expiry beyond all years", granted(r#"{"token":"Bearer new","expirationTime":18446744073709551615}"#)),
        ("an expiry that has passed", granted(r#"{"token":"Bearer new","expirationTime":1700000000}"#)),
        ("a repeated key", granted(r#"{"token":"Bearer new","token":"Bearer other"}"#)),
        ("CR/LF", granted(r#"{"token":"Bearer new\r\nx: y"}"#)),
        ("a token that no header can carry", granted(r#"{"token":"Bearer \u007f"}"#)),
    ] {
        let (session, calls) = quectel_answered(body);
        for _ in 0..3 {
            session.token().await.unwrap();
            session.settled().await;
        }
        assert_eq!(session.status().last_error, Some(ErrorKind::Malformed), "{name}");
        assert_eq!((session.status().generation.get(), calls.load(Ordering::Relaxed)), (1, 1), "{name}");
    }
    let (session, _) = quectel_answered(granted(good));
    session.token().await.unwrap();
    session.settled().await;
    assert_eq!((session.status().last_error, session.status().generation.get()), (None, 2), "the table's own control");
}

/// A session in its soft window whose token endpoint answers `body`.
fn quectel_answered(body: String) -> (Session<Quectel>, Arc<AtomicUsize>) {
    let world = World::new();
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let transport = service_fn(move |_: Request<Full<Bytes>>| {
        counted.fetch_add(1, Ordering::Relaxed);
        let body = body.clone();
        async move { Ok::<_, BoxError>(Response::new(Full::<Bytes>::from(body))) }
    });
    let old = TestProvider::token(7, LIFE, world.clock.wall());
    let builder = Session::builder(Quectel::europe()).transport(transport).clock(world.clock.clone());
    let session = builder.policy(full_jitter()).token(old).build().unwrap();
    world.clock.advance(seconds(700));
    (session, calls)
}

// ===== the refresh guard =====

/// From now on the API rejects everything.
fn reject_all(world: &World) {
    world.script_api(|_| Some(reply(StatusCode::UNAUTHORIZED, "rejected")));
}

#[tokio::test]
async fn after_five_flights_in_thirty_seconds_no_other_starts_until_the_first_is_thirty_seconds_old() {
    let world = World::new();
    let session = signed_in(&world, TestProvider::new(), no_jitter());
    let client = client(&world, &session);
    let start = world.clock.wall();
    reject_all(&world);

    for flights in 1..=5 {
        send(&client, get("/")).await.unwrap();
        assert_eq!((world.counts().refreshes, world.counts().api), (flights, 2 * flights));
        world.clock.advance(seconds(1));
    }
    world.clock.advance(seconds(25) - MILLISECOND);
    for sends in 11..=15 {
        let answer = send(&client, get("/")).await.unwrap();
        let failure = answer.extensions().get::<RefreshFailure>().unwrap();
        assert_eq!((answer.status(), failure.kind()), (StatusCode::UNAUTHORIZED, ErrorKind::TooManyRefreshes));
        assert_eq!(failure.retry_at(), Some(start + seconds(30)));
        assert_eq!((world.counts().refreshes, world.counts().api), (5, sends));
    }
    for flights in 6..=7 {
        world.clock.advance(if flights == 6 { MILLISECOND } else { seconds(1) });
        send_all(&client, 3).await;
        assert_eq!(world.counts().refreshes, flights);
    }
}

#[tokio::test]
async fn without_a_token_the_guard_is_the_error_and_names_the_next_try() {
    let world = World::new();
    let session = session_with(&world, TestProvider::new(), no_jitter());
    let client = client(&world, &session);
    idp_answers(&world, DOWN);
    for _ in 0..5 {
        assert_eq!(send(&client, get("/")).await.unwrap_err().kind(), ErrorKind::Unavailable);
    }

    for error in [send(&client, get("/")).await.unwrap_err(), session.token().await.unwrap_err()] {
        assert_eq!((error.kind(), error.is_session()), (ErrorKind::TooManyRefreshes, true));
        assert_eq!(error.retry_at(), Some(world.clock.wall() + seconds(30)));
        assert_eq!(
            error.to_string(),
            "too many refreshes in too short a time, next try after Sun, 15 Jun 2025 15:07:10 GMT"
        );
    }
    assert_eq!((world.counts().logins, world.counts().api), (5, 0));
}

/// Tokens of 100 s that are soft from 5 s on.
fn early_soft_point(world: &World) -> Session<TestProvider> {
    let session =
        session_with(world, TestProvider::new(), no_jitter().soft_margin(seconds(3600)).expect("a valid margin"));
    session.set(TestProvider::token(7, seconds(100), world.clock.wall())).unwrap();
    world.grant(7);
    session
}

#[tokio::test]
async fn flights_of_the_soft_path_are_counted() {
    let world = World::new().lifetime(seconds(100));
    let session = early_soft_point(&world);
    let client = client(&world, &session);

    // At 5, 10, 15, 20 and 25 s; not at 30 s; at 35 s the first one no longer counts.
    for refreshes in [1, 2, 3, 4, 5, 5, 6] {
        world.clock.advance(seconds(5));
        assert_eq!(send(&client, get("/")).await.unwrap().status(), StatusCode::OK);
        session.settled().await;
        assert_eq!(world.counts().refreshes, refreshes);
    }
    assert_eq!((world.counts().rejected, world.counts().double_spent), (0, 0));
}

#[tokio::test]
async fn soft_refreshes_and_rejections_count_together() {
    let world = World::new().lifetime(seconds(100));
    let session = early_soft_point(&world);
    let client = client(&world, &session);
    for _ in 0..3 {
        world.clock.advance(seconds(5));
        send(&client, get("/")).await.unwrap();
        session.settled().await;
    }
    for refreshes in 4..=5 {
        world.revoke_access();
        assert_eq!(send(&client, get("/")).await.unwrap().status(), StatusCode::OK);
        assert_eq!(world.counts().refreshes, refreshes);
    }

    world.clock.advance(seconds(5));
    assert_eq!(session.status().condition, Condition::Soft);
    assert!(send_all(&client, 10).await.iter().all(Result::is_ok));
    session.settled().await;
    world.revoke_access();
    assert_eq!(send(&client, get("/")).await.unwrap().status(), StatusCode::UNAUTHORIZED);

    assert_eq!(world.counts().refreshes, 5);
}

#[tokio::test]
async fn token_sets_from_outside_do_not_reset_the_guard() {
    let world = World::new();
    let session = signed_in(&world, TestProvider::new(), no_jitter());
    let client = client(&world, &session);
    for refreshes in [1, 2, 3, 4, 5, 5, 5] {
        let number = 10 * refreshes;
        session.set(TestProvider::token(number, LIFE, world.clock.wall())).unwrap();
        world.grant(number);
        world.revoke_access();
        send(&client, get("/")).await.unwrap();
        assert_eq!(world.counts().token_calls() as u64, refreshes);
    }
}

#[tokio::test]
async fn a_sign_in_by_the_application_is_neither_counted_nor_held_back_by_the_guard() {
    let world = World::new();
    let session = signed_in(&world, TestProvider::new(), no_jitter());
    let client = client(&world, &session);
    for _ in 0..6 {
        session.sign_in().await.unwrap();
    }
    for _ in 0..5 {
        world.revoke_access();
        assert_eq!(send(&client, get("/")).await.unwrap().status(), StatusCode::OK);
    }

    world.revoke_access();
    assert_eq!(send(&client, get("/")).await.unwrap().status(), StatusCode::UNAUTHORIZED);
    session.sign_in().await.unwrap();

    assert_eq!((world.counts().refreshes, world.counts().logins), (5, 7));
}

#[tokio::test]
async fn a_flight_in_the_second_half_of_a_tokens_life_is_not_counted() {
    let world = World::new().lifetime(seconds(4));
    let session = session_with(&world, TestProvider::new(), no_jitter());
    let client = client(&world, &session);
    send(&client, get("/")).await.unwrap();

    // Nine of them fall into any 30 s.
    for refreshes in 1..=20 {
        world.clock.advance(Duration::from_millis(3200));
        assert_eq!(send(&client, get("/")).await.unwrap().status(), StatusCode::OK);
        session.settled().await;
        assert_eq!(world.counts().refreshes, refreshes);
    }
}

/// Rejections at `age` of tokens that live for `lifetime`: how many flights start for six in a row.
async fn flights_for_rejections_at(age: Duration, lifetime: u64) -> usize {
    let world = World::new().lifetime(seconds(lifetime));
    let session = session_with(&world, TestProvider::new(), no_jitter());
    session.set(TestProvider::token(7, seconds(lifetime), world.clock.wall())).unwrap();
    world.grant(7);
    let client = client(&world, &session);
    for _ in 0..6 {
        world.clock.advance(age);
        world.revoke_access();
        send(&client, get("/")).await.unwrap();
        session.settled().await;
    }
    world.counts().refreshes
}

#[tokio::test]
async fn half_of_a_life_is_reached_at_its_millisecond_and_not_one_before() {
    assert_eq!(flights_for_rejections_at(seconds(2) - MILLISECOND, 4).await, 5);
    assert_eq!(flights_for_rejections_at(seconds(2), 4).await, 6);
}

#[tokio::test]
async fn the_exempt_half_of_a_life_begins_after_a_second_at_least() {
    // Both are past half of the token's second, and before its soft point.
    assert_eq!(flights_for_rejections_at(Duration::from_millis(600), 1).await, 5);
    assert_eq!(flights_for_rejections_at(Duration::from_millis(799), 1).await, 5);
}

#[tokio::test]
async fn a_limit_of_zero_never_refreshes_in_the_soft_window_or_past_the_hard_point() {
    let world = World::new();
    let session = session_with(&world, TestProvider::new(), no_jitter().guard(0, seconds(30)).unwrap());
    let client = client(&world, &session);
    send(&client, get("/")).await.unwrap();
    assert_eq!(world.counts().logins, 1, "a first login is no refresh");

    for age in [800, 100, 70, 29] {
        world.clock.advance(seconds(age));
        assert_eq!(send(&client, get("/")).await.unwrap().status(), StatusCode::OK);
        session.settled().await;
        assert_eq!(world.counts().token_calls(), 1, "{age}");
    }
    assert_eq!(world.counts().api, 5);
}

#[tokio::test]
async fn a_limit_of_zero_never_refreshes_an_expired_token() {
    let world = World::new();
    let session = signed_in(&world, TestProvider::new(), no_jitter().guard(0, seconds(30)).unwrap());
    world.clock.advance(LIFE);

    let error = send(&client(&world, &session), get("/")).await.unwrap_err();

    assert_eq!((error.kind(), error.retry_at()), (ErrorKind::TooManyRefreshes, None));
    assert_eq!(session.token().await.unwrap_err().kind(), ErrorKind::TooManyRefreshes);
    assert_eq!((world.counts().token_calls(), world.counts().api), (0, 0));
}

#[tokio::test]
async fn a_limit_of_zero_never_refreshes_a_rejected_token() {
    for age in [0, 499, 500, 999] {
        let world = World::new();
        let session = signed_in(&world, TestProvider::new(), no_jitter().guard(0, seconds(30)).unwrap());
        world.clock.advance(seconds(age));
        world.revoke_access();

        let answer = send(&client(&world, &session), get("/")).await.unwrap();

        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
        let failure = answer.extensions().get::<RefreshFailure>().unwrap();
        assert_eq!(failure.kind(), ErrorKind::TooManyRefreshes);
        assert_eq!((world.counts().token_calls(), world.counts().api), (0, 1), "at {age} s");
    }
}

#[tokio::test]
async fn the_guard_takes_another_limit_and_window() {
    let world = World::new();
    let session = signed_in(&world, TestProvider::new(), no_jitter().guard(2, seconds(10)).unwrap());
    let client = client(&world, &session);
    reject_all(&world);

    for refreshes in [1, 2, 2, 2] {
        send(&client, get("/")).await.unwrap();
        assert_eq!(world.counts().refreshes, refreshes);
    }
    world.clock.advance(seconds(10));
    send(&client, get("/")).await.unwrap();
    assert_eq!(world.counts().refreshes, 3);
}
