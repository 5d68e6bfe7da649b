//! Rejection and replay: C23 to C33, and what new requests do meanwhile: C35.

use std::{io, sync::atomic::Ordering::SeqCst, time::Duration};

use futures::FutureExt;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Version,
    header::{self, WWW_AUTHENTICATE},
    response,
};
use http_body_util::{BodyExt, combinators::UnsyncBoxBody};
use tower::{BoxError, Layer};
use tower_auth_refresh::{
    AuthRefresh, AuthRefreshLayer, Provider, Session,
    error::{ErrorKind, RefreshFailure},
    inspect::InspectBody,
    provider::Verdict,
    replay::Never,
    session::RefreshPolicy,
};

use crate::support::{
    Bare, Body, Place, ServerBody, TestProvider, World, client,
    frames::{Frames, Part, Stub, data, json, parts, shown, trailers, unauthorized},
    get,
    judges::{ByDefault, Told},
    post, send, send_all, text,
};

const KIB_64: usize = 64 * 1024;

// ===== one refresh, one replay =====

#[tokio::test]
async fn the_caller_of_a_rejected_request_sees_only_the_second_answer() {
    let world = World::new();
    let session = rejected(&world);

    let answer = send(&client(&world, &session), get("/")).await.unwrap();

    assert_eq!(answer.status(), StatusCode::OK);
    assert!(answer.extensions().get::<RefreshFailure>().is_none());
    assert_eq!(text(answer).await, "welcome");
    let counts = world.counts();
    assert_eq!((counts.api, counts.rejected, counts.refreshes, counts.logins), (2, 1, 1, 0));
}

#[tokio::test]
async fn a_request_after_the_replay_carries_the_new_token_at_once() {
    let world = World::new();
    let client = client(&world, &rejected(&world));

    send(&client, get("/first")).await.unwrap();
    send(&client, get("/second")).await.unwrap();

    assert_eq!(world.tokens(), ["Bearer access-7", "Bearer access-8", "Bearer access-8"]);
}

#[tokio::test]
async fn a_rejected_replay_is_handed_back_unchanged_and_causes_nothing() {
    let world = World::new();
    let session = signed_in(&world);
    let again = || [data("rejected "), data("again"), trailers("x-sum", "2")];
    let api = Stub::new(move |request| match request.headers().get(header::AUTHORIZATION).unwrap().as_bytes() {
        b"Bearer access-7" => unauthorized(Frames::new([data("rejected")])),
        _ => {
            let mut answer = unauthorized(Frames::new(again()));
            answer.headers_mut().insert("x-answer", HeaderValue::from_static("2"));
            answer
        }
    });

    let answer = send(&layered(&session, &api), get("/")).await.unwrap();

    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(answer.headers(), &headers([("x-answer", "2")]));
    assert!(answer.extensions().get::<RefreshFailure>().is_none());
    assert_eq!(parts(answer.into_body()).await, again());
    session.settled().await;
    assert_eq!(api.tokens(), ["Bearer access-7", "Bearer access-8"]);
    assert_eq!(world.counts().token_calls(), 1);
}

#[tokio::test]
async fn six_parallel_rejections_make_one_refresh_and_twelve_sends() {
    let world = World::new();
    let client = client(&world, &rejected(&world));
    world.hold_api();
    let mut all = Box::pin(send_all(&client, 6));
    assert!((&mut all).now_or_never().is_none());
    assert_eq!(world.counts().api, 6);
    world.release_api();

    let answers = all.await;

    assert!(answers.iter().all(|answer| answer.as_ref().unwrap().status() == StatusCode::OK));
    let counts = world.counts();
    assert_eq!((counts.api, counts.rejected, counts.token_calls(), counts.double_spent), (12, 6, 1, 0));
    let sends = |token| world.tokens().iter().filter(|sent| *sent == token).count();
    assert_eq!((sends("Bearer access-7"), sends("Bearer access-8")), (6, 6));
}

#[tokio::test]
async fn a_late_rejection_of_an_older_token_is_replayed_with_the_current_one_and_refreshes_nothing() {
    let world = World::new();
    let session = rejected(&world);
    let client = client(&world, &session);
    world.hold_api();
    let mut late = Box::pin(send(&client, get("/")));
    assert!((&mut late).now_or_never().is_none());
    world.grant(8);
    session.set(TestProvider::token(8, Duration::from_secs(1000), world.clock.wall())).unwrap();
    world.release_api();

    let answer = late.await.unwrap();

    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(world.tokens(), ["Bearer access-7", "Bearer access-8"]);
    assert_eq!(world.counts().token_calls(), 0);
}

#[tokio::test]
async fn a_late_rejection_waits_for_a_new_token_when_the_current_one_has_ended_meanwhile() {
    let world = World::new();
    let session = rejected(&world);
    let client = client(&world, &session);
    world.hold_api();
    let mut late = Box::pin(send(&client, get("/")));
    assert!((&mut late).now_or_never().is_none());
    world.grant(8);
    session.set(TestProvider::token(8, Duration::from_secs(1000), world.clock.wall())).unwrap();
    world.clock.advance(Duration::from_secs(1001));
    world.release_api();

    let answer = late.await.unwrap();

    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(world.tokens(), ["Bearer access-7", "Bearer access-9"]);
    assert_eq!(world.counts().token_calls(), 1);
}

#[tokio::test]
async fn a_late_rejection_is_handed_back_when_the_current_token_has_ended_and_cannot_be_renewed() {
    let world = World::new();
    let session = rejected(&world);
    let client = client(&world, &session);
    world.hold_api();
    let mut late = Box::pin(send(&client, get("/")));
    assert!((&mut late).now_or_never().is_none());
    world.script_idp(|_| Some(crate::scene::reply(StatusCode::BAD_REQUEST, "")));
    session.set(TestProvider::token(8, Duration::ZERO, world.clock.wall())).unwrap();
    assert_eq!(session.token().await.unwrap_err().kind(), ErrorKind::Refused);
    world.release_api();

    let answer = late.await.unwrap();

    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(answer.extensions().get::<RefreshFailure>().unwrap().kind(), ErrorKind::Refused);
    assert_eq!(world.tokens(), ["Bearer access-7"]);
}

// ===== the number of replays =====

#[tokio::test]
async fn without_replays_the_rejection_is_handed_back_and_the_token_renewed_for_the_next_request() {
    let world = World::new();
    let session = rejected(&world);
    let client = AuthRefreshLayer::new(session.clone()).replays(0).layer(world.api());

    let answer = send(&client, get("/")).await.unwrap();

    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(text(answer).await, "rejected");
    session.settled().await;
    assert_eq!((world.counts().api, world.counts().token_calls()), (1, 1));
    assert_eq!(send(&client, get("/")).await.unwrap().status(), StatusCode::OK);
    assert_eq!(world.tokens(), ["Bearer access-7", "Bearer access-8"]);
}

#[tokio::test]
async fn with_two_replays_a_second_rejection_is_renewed_and_replayed_too() {
    let world = World::new();
    let session = signed_in(&world);
    world.script_api(|request| match request.headers()[header::AUTHORIZATION].as_bytes() {
        b"Bearer access-7" | b"Bearer access-8" => Some(status(401, "rejected")),
        _ => None,
    });

    let answer = send(&AuthRefreshLayer::new(session).replays(2).layer(world.api()), post("/", "body")).await.unwrap();

    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(world.tokens(), ["Bearer access-7", "Bearer access-8", "Bearer access-9"]);
    assert_eq!(world.bodies(), ["body", "body", "body"]);
    assert_eq!(world.counts().refreshes, 2);
}

#[tokio::test]
async fn with_two_replays_the_third_rejection_is_handed_back_and_causes_nothing() {
    let world = World::new();
    let session = signed_in(&world);
    world.script_api(|request| {
        let token = request.headers()[header::AUTHORIZATION].to_str().unwrap();
        Some(Ok(Response::builder().status(401).body(Body::from(format!("not {token}"))).unwrap()))
    });

    let answer = send(&AuthRefreshLayer::new(session.clone()).replays(2).layer(world.api()), get("/")).await.unwrap();

    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(text(answer).await, "not Bearer access-9");
    session.settled().await;
    assert_eq!((world.counts().api, world.counts().token_calls()), (3, 2));
}

// ===== the refresh fails =====

#[tokio::test]
async fn after_a_failed_refresh_the_first_answer_comes_back_whole() {
    let world = World::new();
    let session = signed_in(&world);
    world.script_idp(|_| Some(status(503, "")));
    let first = || [data("rej"), data(""), data("ected"), trailers("x-sum", "1")];
    let api = Stub::first(move || {
        let mut answer = unauthorized(Frames::new(first()));
        answer.headers_mut().insert("x-answer", HeaderValue::from_static("1"));
        answer
    });

    let answer = send(&layered(&session, &api), get("/")).await.unwrap();

    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(answer.headers(), &headers([("x-answer", "1")]));
    assert_eq!(shown(answer.into_body()).await, shown(Frames::new(first())).await);
    assert_eq!((api.tokens().len(), world.counts().token_calls()), (1, 1));
}

#[tokio::test]
async fn a_first_answer_that_is_still_coming_when_the_refresh_has_failed_goes_on_as_it_comes() {
    let world = World::new();
    let session = signed_in(&world);
    world.script_idp(|_| Some(status(503, "")));
    let body = Frames::new([data("first "), Part::Hold, data("second"), trailers("x-sum", "1")]);
    let gate = body.gate();
    let api = Stub::first(move || unauthorized(body.clone()));

    let answer = send(&layered(&session, &api), get("/")).await.unwrap();

    gate.add_permits(1);
    assert_eq!(parts(answer.into_body()).await, [data("first "), data("second"), trailers("x-sum", "1")]);
}

#[tokio::test]
async fn the_failure_is_in_the_extensions_of_the_first_answer_and_names_the_next_try() {
    let world = World::new();
    let session = rejected(&world);
    world.script_idp(|_| Some(status(503, "")));

    let answer = send(&client(&world, &session), get("/")).await.unwrap();

    let failure = answer.extensions().get::<RefreshFailure>().unwrap();
    assert_eq!(failure.kind(), ErrorKind::Unavailable);
    assert_eq!(failure.retry_at(), Some(world.clock.wall() + Duration::from_secs(1)));
}

#[tokio::test]
async fn an_option_turns_a_failed_refresh_into_an_error() {
    let world = World::new();
    let session = rejected(&world);
    world.script_idp(|_| Some(status(503, "")));
    let client = AuthRefreshLayer::new(session).error_after_failed_refresh(true).layer(world.api());

    let error = send(&client, get("/")).await.unwrap_err();

    assert!(error.is_session());
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(error.retry_at(), Some(world.clock.wall() + Duration::from_secs(1)));
    assert_eq!((world.counts().api, world.counts().token_calls()), (1, 1));
}

#[tokio::test]
async fn that_option_leaves_a_rejected_replay_alone() {
    let world = World::new();
    let session = signed_in(&world);
    world.script_api(|_| Some(status(401, "rejected")));
    let client = AuthRefreshLayer::new(session).error_after_failed_refresh(true).layer(world.api());

    assert_eq!(send(&client, get("/")).await.unwrap().status(), StatusCode::UNAUTHORIZED);
    assert_eq!((world.counts().api, world.counts().token_calls()), (2, 1));
}

#[tokio::test]
async fn a_late_rejection_during_the_backoff_starts_no_second_refresh() {
    let world = World::new();
    let session = rejected(&world);
    world.script_idp(|_| Some(status(503, "")));

    let (early, late) = early_and_late(&world, &session).await;

    for answer in [early, late] {
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
        assert_eq!(answer.extensions().get::<RefreshFailure>().unwrap().kind(), ErrorKind::Unavailable);
    }
    assert_eq!((world.counts().api, world.counts().token_calls()), (2, 1));
}

#[tokio::test]
async fn a_late_rejection_after_a_refused_refresh_starts_no_second_one() {
    let world = World::new();
    let session = signed_in_as(&world, TestProvider::without_login());
    world.revoke_access();
    world.script_idp(|_| Some(status(400, "")));

    let (early, late) = early_and_late(&world, &session).await;
    world.clock.advance(Duration::from_secs(600));
    let later = send(&client(&world, &session), get("/later")).await.unwrap();

    for answer in [early, late, later] {
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
        assert_eq!(answer.extensions().get::<RefreshFailure>().unwrap().kind(), ErrorKind::Refused);
    }
    assert_eq!((world.counts().api, world.counts().token_calls()), (3, 1));
}

// ===== what is a rejection =====

#[tokio::test]
async fn an_answer_that_is_no_rejection_causes_neither_refresh_nor_replay() {
    for (code, challenge) in [
        (500, None),
        (503, None),
        (403, None),
        (404, None),
        (400, Some("Bearer error=\"invalid_token\"")),
        (403, Some("Bearer error=\"insufficient_scope\"")),
        (401, Some("Bearer error=\"insufficient_scope\"")),
        (401, Some("Bearer realm=\"api\", error=\"invalid_request\"")),
        (407, None),
    ] {
        let world = World::new();
        let session = signed_in_as(&world, ByDefault(TestProvider::new()));
        let api = Stub::new(move |_| {
            let mut answer = Response::new(Frames::new([data("no"), trailers("x-sum", "1")]));
            *answer.status_mut() = StatusCode::from_u16(code).unwrap();
            if let Some(challenge) = challenge {
                answer.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
            }
            answer
        });

        let answer = send(&layered(&session, &api), get("/")).await.unwrap();

        assert_eq!(answer.status().as_u16(), code);
        assert_eq!(parts(answer.into_body()).await, [data("no"), trailers("x-sum", "1")]);
        session.settled().await;
        assert_eq!((api.tokens().len(), world.counts().token_calls()), (1, 0), "{code} {challenge:?}");
    }
}

#[tokio::test]
async fn a_network_error_is_passed_on_and_causes_neither_refresh_nor_replay() {
    let world = World::new();
    let session = signed_in(&world);
    let api = Stub::fallible(|_| Err(io::Error::from(io::ErrorKind::ConnectionReset).into()));

    let error = send(&layered(&session, &api), get("/")).await.unwrap_err();

    assert!(error.is_service());
    assert_eq!(error.downcast::<io::Error>().unwrap().kind(), io::ErrorKind::ConnectionReset);
    session.settled().await;
    assert_eq!((api.tokens().len(), world.counts().token_calls()), (1, 0));
}

#[tokio::test]
async fn what_the_provider_names_a_rejection_is_one_whatever_its_status() {
    for code in [403, 404, 302, 200] {
        let world = World::new();
        let judge = |answer: &response::Parts| match answer.headers.contains_key("x-expired") {
            true => Verdict::Rejected,
            false => Verdict::Accepted,
        };
        let session = signed_in_as(&world, Told::new(judge));
        let api = Stub::first(move || {
            Response::builder().status(code).header("x-expired", "").body(Frames::new([])).unwrap()
        });

        let answer = send(&layered(&session, &api), get("/")).await.unwrap();

        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!((api.tokens().len(), world.counts().token_calls()), (2, 1), "{code}");
    }
}

#[tokio::test]
async fn a_challenge_in_any_shape_is_read_for_what_it_says_and_fails_no_request() {
    let rejections: &[&[&[u8]]] = &[
        &[],
        &[b""],
        &[b"Bearer"],
        &[b"Bearer realm=\"insufficient_scope\""],
        &[b"Bearer error=\"invalid_token\""],
        &[b"bearer\terror \t= invalid_token"],
        &[b"Basic realm=\"a, Bearer error=\\\"insufficient_scope\\\"\", Bearer error=\"invalid_token\""],
        &[b"Basic realm=\"api\"", b"Bearer error=\"invalid_token\""],
        &[b"Negotiate dG9rZW4=="],
        &[b"Digest error=\"insufficient_scope\""],
        &[b",,, ,;=\"\\"],
        &[b"Bearer error=\"insufficient_scope"],
        &[b"\xff\xfe\x80 \xc3\x28=\"\xf0"],
    ];
    let others: &[&[&[u8]]] = &[
        &[b"Bearer error=\"insufficient_scope\""],
        &[b"BEARER   ERROR=insufficient_scope"],
        &[b"Negotiate dG9rZW4==, Bearer error=\"insufficient_scope\""],
        &[b"\xff\xfe", b"Basic realm=\"api\"", b"Bearer realm=\"\xe9\",error=\"insufficient_scope\""],
    ];
    let cases = rejections.iter().map(|lines| (lines, 2)).chain(others.iter().map(|lines| (lines, 1)));
    for (lines, sends) in cases {
        assert_eq!(challenged(lines).await, sends, "{lines:?}");
    }
}

#[tokio::test]
async fn challenges_of_random_bytes_fail_no_request() {
    let mut random = fastrand::Rng::with_seed(0x5eed);
    let words: [&[u8]; 8] = [b"Bearer", b" error", b"=", b"\"", b",", b"\\", b"insufficient_scope", b"\t "];
    for _ in 0..500 {
        let line = |random: &mut fastrand::Rng| -> Vec<u8> {
            let part = |random: &mut fastrand::Rng| match random.usize(0..12) {
                word if word < words.len() => words[word].to_vec(),
                _ => vec![random.u8(0x80..), random.u8(0x20..0x7f)],
            };
            (0..random.usize(0..12)).flat_map(|_| part(random)).collect()
        };
        let lines: Vec<Vec<u8>> = (0..random.usize(1..3)).map(|_| line(&mut random)).collect();
        let lines: Vec<&[u8]> = lines.iter().map(Vec::as_slice).collect();
        assert!(matches!(challenged(&lines).await, 1 | 2), "{lines:?}");
    }
}

// ===== both sends =====

#[tokio::test]
async fn both_sends_are_alike_in_everything_but_the_credential_wherever_it_travels() {
    #[derive(Clone, Debug, PartialEq)]
    struct Mark(u8);

    for place in [Place::Bearer, Place::Query, Place::Cookie, Place::Signed] {
        let world = World::new();
        let session = signed_in_as(&world, TestProvider::placed(place));
        world.revoke_access();
        let request = Request::patch("https://api.test/a%20b?x=1&token=mine&y=%2F")
            .version(Version::HTTP_10)
            .header("x-twice", "1")
            .header("x-twice", "2")
            .header("cookie", "a=1; token=mine; b=2")
            .extension(Mark(3))
            .body(Body::from("body"))
            .unwrap();

        let answer = send(&client(&world, &session), request).await.unwrap();

        assert_eq!(answer.status(), StatusCode::OK);
        let [first, second] = &world.seen()[..] else { panic!("not two sends") };
        assert_eq!(Bare::of(first, 7), Bare::of(second, 8));
        for send in [first, second] {
            assert_eq!((&send.method, send.version, send.uri.path()), (&Method::PATCH, Version::HTTP_10, "/a%20b"));
            assert!(send.headers.get_all("x-twice").iter().eq(["1", "2"]));
            assert_eq!(send.extensions.get(), Some(&Mark(3)));
        }
        assert_eq!(world.bodies(), ["body", "body"]);
    }
}

#[tokio::test]
async fn a_signed_replay_has_a_signature_of_its_own_time() {
    let world = World::new();
    let session = signed_in_as(&world, TestProvider::placed(Place::Signed));
    let clock = world.clock.clone();
    world.script_api(move |request| {
        let is_first = request.headers()[header::AUTHORIZATION].to_str().unwrap().contains("access-7");
        clock.advance(Duration::from_secs(2));
        is_first.then(|| status(401, "rejected"))
    });

    send(&client(&world, &session), get("/")).await.unwrap();

    assert_eq!(world.tokens(), ["Signed access-7 1750000000000", "Signed access-8 1750000002000"]);
}

// ===== bodies that cannot be sent again =====

#[tokio::test]
async fn a_body_that_cannot_be_copied_is_sent_once_and_the_rejection_comes_back_as_it_came() {
    let world = World::new();
    let session = signed_in(&world);
    let first = || [data("rej"), data("ected"), trailers("x-sum", "1")];
    let api = Stub::first(move || unauthorized(Frames::new(first())));
    let client = AuthRefreshLayer::new(session.clone()).replay::<Never>().layer(api.clone());

    let answer = send(&client, once("body")).await.unwrap();

    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    assert!(answer.extensions().get::<RefreshFailure>().is_none());
    assert_eq!(parts(answer.into_body()).await, first());
    session.settled().await;
    assert_eq!(api.tokens(), ["Bearer access-7"]);
    assert_eq!(world.counts().refreshes, 1);
}

#[tokio::test]
async fn a_rejection_without_a_copy_is_handed_back_without_waiting_for_the_refresh() {
    let world = World::new();
    let session = rejected(&world);
    world.hold_idp();
    let client = AuthRefreshLayer::new(session.clone()).replay::<Never>().layer(world.api());

    let answer = send(&client, once("body")).now_or_never().unwrap().unwrap();

    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    world.release_idp();
    session.settled().await;
    assert_eq!((world.counts().api, world.counts().refreshes), (1, 1));
}

#[tokio::test]
async fn the_request_after_a_rejection_without_a_copy_carries_the_new_token() {
    let world = World::new();
    let session = rejected(&world);
    let client = AuthRefreshLayer::new(session.clone()).replay::<Never>().layer(world.api());

    send(&client, once("one")).await.unwrap();
    let answer = send(&client, once("two")).await.unwrap();

    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(world.tokens(), ["Bearer access-7", "Bearer access-8"]);
    assert_eq!(world.bodies(), ["one", "two"]);
}

// ===== a rejection inside the body =====

#[tokio::test]
async fn a_rejection_inside_the_body_is_renewed_and_replayed() {
    let world = World::new();
    let session = signed_in_as(&world, TestProvider::new().with_judged_body(true));
    let envelope = || json(Frames::new([data("{\"rejected\""), data(":true}"), trailers("x-sum", "1")]));
    let api = Stub::first(envelope);

    let answer = send(&layered(&session, &api), get("/")).await.unwrap();

    assert_eq!(parts(answer.into_body()).await, [data("welcome")]);
    assert_eq!(api.tokens(), ["Bearer access-7", "Bearer access-8"]);
    assert_eq!(world.counts().token_calls(), 1);
}

#[tokio::test]
async fn a_replay_that_is_rejected_inside_its_body_comes_back_unchanged() {
    let world = World::new();
    let session = signed_in_as(&world, Told::reading());
    let envelope = || [data("{\"rejected\""), data(":true}"), trailers("x-sum", "1")];
    let api = Stub::new(move |_| json(Frames::new(envelope())));

    let answer = send(&layered(&session, &api), get("/")).await.unwrap();

    assert_eq!(parts(answer.into_body()).await, envelope());
    assert_eq!((api.tokens().len(), world.counts().token_calls()), (2, 1));
}

#[tokio::test]
async fn a_rejection_inside_the_body_comes_back_whole_when_the_refresh_fails() {
    let world = World::new();
    let session = signed_in_as(&world, Told::reading());
    world.script_idp(|_| Some(status(503, "")));
    let envelope = || [data("{\"rejected\""), data(":true}"), trailers("x-sum", "1")];
    let api = Stub::new(move |_| json(Frames::new(envelope())));

    let answer = send(&layered(&session, &api), get("/")).await.unwrap();

    assert_eq!(answer.extensions().get::<RefreshFailure>().unwrap().kind(), ErrorKind::Unavailable);
    assert_eq!(parts(answer.into_body()).await, envelope());
}

#[tokio::test(start_paused = true)]
async fn an_accepted_body_that_was_looked_into_is_the_same_in_every_frame_hint_trailer_and_error() {
    let half = Duration::from_millis(500);
    let bodies = [
        Frames::new([]),
        Frames::declared([]),
        Frames::declared([data("{\"rejected\":false}")]),
        Frames::declared([data("{"), data(""), data("\"rejected\":"), data("0}")]),
        Frames::new([data("{}"), data(""), trailers("x-sum", "1")]),
        Frames::new([trailers("x-sum", "1")]),
        Frames::new([data("{"), Part::Fail("broken"), data("}"), trailers("x-sum", "1")]),
        Frames::new([data("{"), Part::Wait(half), data("}"), Part::Wait(half * 9), data(" "), trailers("x-sum", "1")]),
        Frames::new([data(vec![b' '; KIB_64]), data("{}"), data("more"), trailers("x-sum", "1")]),
        Frames::declared([data(vec![b' '; KIB_64 + 1]), data("{}")]),
    ];
    for body in bodies {
        let world = World::new();
        let session = signed_in_as(&world, TestProvider::new().with_judged_body(true));
        let same = body.clone();
        let api = Stub::new(move |_| json(same.clone()));

        let answer = send(&layered(&session, &api), get("/")).await.unwrap();

        assert_eq!(answer.headers(), &headers([("content-type", "application/json")]));
        assert_eq!(shown(answer.into_body()).await, shown(body).await);
        assert_eq!((api.tokens().len(), world.counts().token_calls()), (1, 0));
    }
}

#[tokio::test]
async fn a_body_that_declares_more_than_64_kib_is_not_touched() {
    let long = || [data(vec![b' '; KIB_64]), data("x")];
    let by_hint = json(Frames::declared(long()));
    let mut by_header = json(Frames::new(long()));
    by_header.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(KIB_64 + 1));
    for answer in [by_hint, by_header] {
        assert_eq!(passed(get("/"), answer).await, 0);
    }
}

#[tokio::test]
async fn of_a_body_of_unknown_length_64_kib_are_judged_and_a_byte_more_passes() {
    for (length, sends) in [(KIB_64, 2), (KIB_64 + 1, 1)] {
        let world = World::new();
        let session = signed_in_as(&world, Told::reading());
        let body = move || Frames::new([data(vec![b' '; KIB_64 - 1]), data(vec![b' '; length - KIB_64 + 1])]);
        let api = Stub::first(move || json(body()));

        let answer = send(&layered(&session, &api), get("/")).await.unwrap();

        assert_eq!((api.tokens().len(), world.counts().token_calls()), (sends, sends - 1));
        if sends == 1 {
            assert_eq!(parts(answer.into_body()).await, parts(body()).await);
        }
    }
}

#[tokio::test]
async fn nothing_is_read_of_a_long_body_behind_the_frame_that_crosses_64_kib() {
    let frames = (0..200).map(|_| data(vec![b' '; 1024]));
    assert_eq!(passed(get("/"), json(Frames::new(frames))).await, 65);
}

#[tokio::test(start_paused = true)]
async fn a_slow_body_is_handed_on_after_one_second_and_not_before() {
    let world = World::new();
    let session = signed_in_as(&world, Told::reading());
    let hour = Duration::from_secs(3600);
    let body = Frames::new([data("{"), Part::Wait(hour), data("}"), trailers("x-sum", "1")]);
    let taken = body.taken();
    let api = Stub::new(move |_| json(body.clone()));
    let start = now();

    let answer = send(&layered(&session, &api), get("/")).await.unwrap();

    assert_eq!((start.elapsed(), taken.load(SeqCst)), (Duration::from_secs(1), 1));
    assert_eq!(parts(answer.into_body()).await, [data("{"), data("}"), trailers("x-sum", "1")]);
    assert_eq!(start.elapsed(), hour);
    assert_eq!((api.tokens().len(), world.counts().token_calls()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_body_that_drips_is_handed_on_after_one_second_too() {
    let world = World::new();
    let session = signed_in_as(&world, Told::reading());
    let drip = || [Part::Wait(Duration::from_millis(400)), data(" ")];
    let body = Frames::new((0..10).flat_map(move |_| drip()));
    let api = Stub::new(move |_| json(body.clone()));
    let start = now();

    let answer = send(&layered(&session, &api), get("/")).await.unwrap();

    assert_eq!(start.elapsed(), Duration::from_secs(1));
    assert_eq!(parts(answer.into_body()).await, vec![data(" "); 10]);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_ends_within_the_second_is_judged() {
    let world = World::new();
    let session = signed_in_as(&world, Told::reading());
    let body = Frames::new([data("{"), Part::Wait(Duration::from_millis(999)), data("}")]);
    let api = Stub::first(move || json(body.clone()));

    let answer = send(&layered(&session, &api), get("/")).await.unwrap();

    assert_eq!(parts(answer.into_body()).await, [data("welcome")]);
    assert_eq!(world.counts().token_calls(), 1);
}

#[tokio::test]
async fn an_answer_that_is_not_whole_plain_json_passes_untouched() {
    let head = Request::head("https://api.test/").body(Body::default()).unwrap();
    let with = |code: u16, name: HeaderName, value: &'static str| {
        let mut answer = json(Frames::new([data("{}")]));
        *answer.status_mut() = StatusCode::from_u16(code).unwrap();
        answer.headers_mut().insert(name, HeaderValue::from_static(value));
        answer
    };
    let plain = || (header::CONTENT_TYPE, "application/json");
    for (request, answer) in [
        (head, with(200, plain().0, plain().1)),
        (get("/"), with(204, plain().0, plain().1)),
        (get("/"), with(206, plain().0, plain().1)),
        (get("/"), with(304, plain().0, plain().1)),
        (get("/"), with(200, header::CONTENT_TYPE, "text/event-stream")),
        (get("/"), with(200, header::CONTENT_TYPE, "text/html")),
        (get("/"), with(200, header::CONTENT_TYPE, "text/plain")),
        (get("/"), with(200, header::CONTENT_TYPE, "application/x-ndjson")),
        (get("/"), with(200, header::CONTENT_ENCODING, "gzip")),
        (get("/"), Response::new(Frames::new([data("{}")]))),
    ] {
        let what = format!("{} {answer:?}", request.method(), answer = (answer.status(), answer.headers()));
        assert_eq!(passed(request, answer).await, 0, "{what}");
    }
}

#[tokio::test]
async fn a_body_is_not_touched_where_the_provider_does_not_ask() {
    let world = World::new();
    let session = signed_in(&world);
    let body = Frames::new([data("{\"rejected\":true}")]);
    let taken = body.taken();
    let api = Stub::new(move |_| json(body.clone()));

    send(&layered(&session, &api), get("/")).await.unwrap();

    assert_eq!((taken.load(SeqCst), api.tokens().len(), world.counts().token_calls()), (0, 1, 0));
}

// ===== what happens meanwhile =====

#[tokio::test]
async fn a_request_that_comes_while_a_rejected_token_is_renewed_waits_for_the_new_one() {
    let world = World::new();
    let client = client(&world, &rejected(&world));
    world.hold_idp();
    let mut first = Box::pin(send(&client, get("/first")));
    let mut others = Box::pin(send_all(&client, 10));
    assert!((&mut first).now_or_never().is_none());
    assert!((&mut others).now_or_never().is_none());
    assert_eq!(world.tokens(), ["Bearer access-7"]);
    world.release_idp();

    let (first, others) = tokio::join!(first, others);

    assert_eq!(first.unwrap().status(), StatusCode::OK);
    assert!(others.iter().all(|answer| answer.as_ref().unwrap().status() == StatusCode::OK));
    let counts = world.counts();
    assert_eq!((counts.api, counts.rejected, counts.token_calls()), (12, 1, 1));
}

#[tokio::test(start_paused = true)]
async fn it_waits_no_longer_than_the_flight_may_take() {
    let world = World::new();
    let client = client(&world, &rejected(&world));
    world.hold_idp();
    let start = now();
    let mut first = Box::pin(send(&client, get("/first")));
    assert!((&mut first).now_or_never().is_none());

    let (first, second) = tokio::join!(first, send(&client, get("/second")));

    assert_eq!(start.elapsed(), Duration::from_secs(30));
    for answer in [first.unwrap(), second.unwrap()] {
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
        assert_eq!(answer.extensions().get::<RefreshFailure>().unwrap().kind(), ErrorKind::TimedOut);
    }
    assert_eq!(world.tokens(), ["Bearer access-7", "Bearer access-7"]);
    assert_eq!(world.counts().token_calls(), 1);
}

#[tokio::test]
async fn a_route_that_always_rejects_does_not_stop_the_others_during_the_backoff() {
    let world = World::new();
    let client = client(&world, &signed_in(&world));
    world.script_idp(|_| Some(status(503, "")));
    world.script_api(|request| (request.uri().path() == "/bad").then(|| status(401, "rejected")));

    let bad = send(&client, get("/bad")).await.unwrap();
    let good = send(&client, get("/good")).await.unwrap();
    let bad_again = send(&client, get("/bad")).await.unwrap();

    assert_eq!(bad.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(good.status(), StatusCode::OK);
    assert_eq!(text(bad_again).await, "rejected");
    assert_eq!(world.tokens(), ["Bearer access-7"; 3]);
    assert_eq!(world.counts().token_calls(), 1);
}

#[tokio::test]
async fn a_route_that_always_rejects_does_not_stop_the_others_when_the_guard_is_up() {
    let world = World::new();
    let client = client(&world, &signed_in(&world));
    world.script_api(|request| (request.uri().path() == "/bad").then(|| status(401, "rejected")));
    for _ in 0..5 {
        send(&client, get("/bad")).await.unwrap();
    }
    assert_eq!((world.counts().api, world.counts().token_calls()), (10, 5));

    let bad = send(&client, get("/bad")).await.unwrap();
    let good = send(&client, get("/good")).await.unwrap();

    assert_eq!(bad.extensions().get::<RefreshFailure>().unwrap().kind(), ErrorKind::TooManyRefreshes);
    assert_eq!(text(bad).await, "rejected");
    assert_eq!(good.status(), StatusCode::OK);
    assert_eq!((world.counts().api, world.counts().token_calls()), (12, 5));
}

#[tokio::test]
async fn a_route_that_always_rejects_does_not_stop_the_others_after_a_refused_refresh() {
    let world = World::new();
    let client = client(&world, &signed_in_as(&world, TestProvider::without_login()));
    world.script_idp(|_| Some(status(400, "")));
    world.script_api(|request| (request.uri().path() == "/bad").then(|| status(401, "rejected")));

    let bad = send(&client, get("/bad")).await.unwrap();
    let good = send(&client, get("/good")).await.unwrap();

    assert_eq!(bad.extensions().get::<RefreshFailure>().unwrap().kind(), ErrorKind::Refused);
    assert_eq!(good.status(), StatusCode::OK);
    assert_eq!(world.counts().token_calls(), 1);
}

#[tokio::test]
async fn a_rejected_answer_is_read_to_its_end_while_the_flight_runs() {
    let world = World::new();
    let session = signed_in(&world);
    world.hold_idp();
    let body = Frames::new([data("rej"), data("ected"), trailers("x-sum", "1")]);
    let taken = body.taken();
    let client = layered(&session, &Stub::first(move || unauthorized(body.clone())));
    let mut request = Box::pin(send(&client, get("/")));

    assert!((&mut request).now_or_never().is_none());

    // Two frames of data, one of trailers, and the end.
    assert_eq!(taken.load(SeqCst), 4);
    world.release_idp();
    assert_eq!(parts(request.await.unwrap().into_body()).await, [data("welcome")]);
}

#[tokio::test]
async fn of_a_long_rejected_answer_64_kib_are_read_while_the_flight_runs() {
    let world = World::new();
    let session = signed_in(&world);
    let body = Frames::new((0..200).map(|_| data(vec![b' '; 1024])));
    let taken = body.taken();
    let api = Stub::first(move || unauthorized(body.clone()));

    let answer = send(&layered(&session, &api), get("/")).await.unwrap();

    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(taken.load(SeqCst), 65);
}

#[tokio::test(start_paused = true)]
async fn a_rejected_answer_that_drips_is_read_for_one_second() {
    let world = World::new();
    let session = signed_in(&world);
    world.hold_idp();
    let drip = || [Part::Wait(Duration::from_millis(400)), data(" ")];
    let body = Frames::new((0..10).flat_map(move |_| drip()));
    let taken = body.taken();
    let client = layered(&session, &Stub::first(move || unauthorized(body.clone())));

    let later = async {
        pass(Duration::from_secs(10)).await;
        world.release_idp();
    };
    let (answer, ()) = tokio::join!(send(&client, get("/")), later);

    assert_eq!(answer.unwrap().status(), StatusCode::OK);
    assert_eq!(taken.load(SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn a_rejected_answer_that_never_ends_does_not_put_off_the_replay() {
    let world = World::new();
    let session = signed_in(&world);
    let body = Frames::new([data("rejected"), Part::Hold]);
    let client = layered(&session, &Stub::first(move || unauthorized(body.clone())));
    let start = now();

    let answer = send(&client, get("/")).await.unwrap();

    assert_eq!((answer.status(), start.elapsed()), (StatusCode::OK, Duration::ZERO));
}

// ===== relative URIs =====

#[tokio::test]
async fn a_relative_uri_belongs_to_the_api_where_there_is_no_other_peer() {
    let world = World::new();
    let client = AuthRefreshLayer::new(rejected(&world)).fixed_peer().layer(world.api());

    let answer = send(&client, Request::get("/relative").body(Body::default()).unwrap()).await.unwrap();

    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(world.tokens(), ["Bearer access-7", "Bearer access-8"]);
    assert!(world.seen().iter().all(|head| head.uri == "/relative"));
}

#[tokio::test]
async fn a_relative_uri_passes_untouched_where_the_peer_is_not_known() {
    let world = World::new();

    let request = Request::get("/relative").body(Body::default()).unwrap();
    let answer = send(&client(&world, &signed_in(&world)), request).await.unwrap();

    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(world.tokens(), [""]);
    assert_eq!(world.counts().token_calls(), 0);
}

// ===== helpers =====

/// A session with token set 7, which is the server's current one.
fn signed_in_as<P: Provider>(world: &World, provider: P) -> Session<P> {
    world.grant(7);
    let token = TestProvider::token(7, Duration::from_secs(1000), world.clock.wall());
    Session::builder(provider)
        .transport(world.idp())
        .clock(world.clock.clone())
        .policy(RefreshPolicy::new().jitter(|| 1.0))
        .token(token)
        .build()
        .unwrap()
}

fn signed_in(world: &World) -> Session<TestProvider> {
    signed_in_as(world, TestProvider::new())
}

/// A session whose access token the server has ended, unknown to the session.
fn rejected(world: &World) -> Session<TestProvider> {
    let session = signed_in(world);
    world.revoke_access();
    session
}

fn layered<P>(session: &Session<P>, api: &Stub) -> AuthRefresh<Stub, P> {
    AuthRefreshLayer::new(session.clone()).layer(api.clone())
}

fn status(code: u16, body: &'static str) -> Result<Response<Body>, BoxError> {
    Ok(Response::builder().status(code).body(Body::from(body)).unwrap())
}

fn headers<const N: usize>(headers: [(&'static str, &'static str); N]) -> HeaderMap {
    headers.map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).into_iter().collect()
}

/// A request whose body cannot be copied.
fn once(body: &'static str) -> Request<UnsyncBoxBody<bytes::Bytes, std::convert::Infallible>> {
    post("/", body).map(BodyExt::boxed_unsync)
}

/// The answers to two requests that were sent with one token: the second is rejected when the first has its answer.
async fn early_and_late(
    world: &World,
    session: &Session<TestProvider>,
) -> (Response<InspectBody<ServerBody>>, Response<InspectBody<ServerBody>>) {
    let client = client(world, session);
    world.hold_api();
    let mut late = Box::pin(send(&client, get("/late")));
    assert!((&mut late).now_or_never().is_none());
    world.release_api();
    let early = send(&client, get("/early")).await.unwrap();
    (early, late.await.unwrap())
}

/// How many sends a 401 with these `WWW-Authenticate` lines makes, at a provider that judges by default.
async fn challenged(lines: &[&[u8]]) -> usize {
    let world = World::new();
    let session = signed_in_as(&world, ByDefault(TestProvider::new()));
    let lines: Vec<HeaderValue> = lines.iter().map(|line| HeaderValue::from_bytes(line).unwrap()).collect();
    let api = Stub::first(move || {
        let mut answer = unauthorized(Frames::new([]));
        answer.headers_mut().extend(lines.iter().map(|line| (WWW_AUTHENTICATE, line.clone())));
        answer
    });
    let answer = send(&layered(&session, &api), get("/")).await.unwrap();
    let sends = api.tokens().len();
    assert_eq!(answer.status(), if sends == 2 { StatusCode::OK } else { StatusCode::UNAUTHORIZED });
    assert_eq!(world.counts().token_calls(), sends - 1);
    sends
}

/// How much was read of the body of an answer that is accepted, although every body that is judged is a rejection.
async fn passed(request: Request<Body>, answer: Response<Frames>) -> usize {
    let world = World::new();
    let session = signed_in_as(&world, Told::reading());
    let (taken, expected) = (answer.body().taken(), answer.body().clone());
    let (head, body) = answer.into_parts();
    let api = Stub::new(move |_| Response::from_parts(head.clone(), body.clone()));
    let answer = send(&layered(&session, &api), request).await.unwrap();
    let read = taken.load(SeqCst);
    assert_eq!(shown(answer.into_body()).await, shown(expected).await);
    assert_eq!((api.tokens().len(), world.counts().token_calls()), (1, 0));
    read
}

#[allow(clippy::disallowed_methods, reason = "paused time")]
fn now() -> tokio::time::Instant {
    tokio::time::Instant::now()
}

#[allow(clippy::disallowed_methods, reason = "paused time")]
async fn pass(time: Duration) {
    tokio::time::sleep(time).await;
}
