//! Fresh, soft, hard, expired, and the jitter: C7 to C12.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use http::StatusCode;
use tower_auth_refresh::{
    Session,
    session::{Condition, RefreshPolicy},
    token::TokenSet,
};

use crate::{
    scene::{
        LIFE, MILLISECOND, full_jitter, idp_answers, let_the_flight_run, no_jitter, poll_once, seconds, session_with,
        signed_in, welcome_all,
    },
    support::{TestProvider, World, client, get, send, send_all},
};

/// How a request fares while the token endpoint keeps it waiting and then fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fares {
    /// It goes out at once, and no flight starts.
    Fresh,
    /// It goes out at once, and a flight starts.
    Soft,
    /// It waits for the flight, and goes out with the old token after it.
    Hard,
    /// It waits for the flight, and gets its error.
    Expired,
}

async fn fares_at(age: Duration) -> (Fares, Condition) {
    let world = World::new();
    let session = signed_in(&world, TestProvider::new(), no_jitter());
    let client = client(&world, &session);
    idp_answers(&world, StatusCode::SERVICE_UNAVAILABLE);
    world.hold_idp();
    world.clock.advance(age);
    let condition = session.status().condition;

    let mut request = Box::pin(send(&client, get("/")));
    let at_once = poll_once(&mut request);
    let_the_flight_run().await;
    let calls = world.counts().token_calls();
    world.release_idp();
    session.settled().await;
    let fares = match (at_once.is_ready(), calls) {
        (true, 0) => Fares::Fresh,
        (true, 1) => Fares::Soft,
        (false, 1) if request.await.is_ok() => Fares::Hard,
        (false, 1) => Fares::Expired,
        other => panic!("{other:?}"),
    };
    assert_eq!(world.counts().api, usize::from(fares != Fares::Expired));
    assert!(world.tokens().iter().all(|token| token == "Bearer access-7"));
    assert_eq!(world.counts().token_calls(), calls);
    (fares, condition)
}

#[tokio::test]
async fn the_soft_point_is_reached_at_its_millisecond_and_not_one_before() {
    assert_eq!(fares_at(seconds(800) - MILLISECOND).await, (Fares::Fresh, Condition::Fresh));
    assert_eq!(fares_at(seconds(800)).await, (Fares::Soft, Condition::Soft));
    assert_eq!(fares_at(seconds(800) + MILLISECOND).await, (Fares::Soft, Condition::Soft));
}

#[tokio::test]
async fn the_hard_point_is_reached_at_its_millisecond_and_not_one_before() {
    assert_eq!(fares_at(seconds(970) - MILLISECOND).await, (Fares::Soft, Condition::Soft));
    assert_eq!(fares_at(seconds(970)).await, (Fares::Hard, Condition::Expired));
    assert_eq!(fares_at(seconds(970) + MILLISECOND).await, (Fares::Hard, Condition::Expired));
}

#[tokio::test]
async fn the_end_is_reached_at_its_millisecond_and_not_one_before() {
    assert_eq!(fares_at(LIFE - MILLISECOND).await, (Fares::Hard, Condition::Expired));
    assert_eq!(fares_at(LIFE).await, (Fares::Expired, Condition::Expired));
    assert_eq!(fares_at(LIFE + MILLISECOND).await, (Fares::Expired, Condition::Expired));
}

/// The documented defaults, and margins that a caller chose, for lifetimes from seconds to days.
#[test]
fn the_points_of_every_lifetime_are_where_the_defaults_and_the_margins_put_them() {
    let with = |soft, hard| no_jitter().soft_margin(seconds(soft)).unwrap().hard_margin(seconds(hard)).unwrap();
    for (policy, lifetime, soft, hard) in [
        // 20 % and 5 %.
        (no_jitter(), 100, 80_000, 95_000),
        // 20 % and 30 s.
        (no_jitter(), 7200, 5_760_000, 7_170_000),
        // 60 min and 30 s.
        (no_jitter(), 86_400, 82_800_000, 86_370_000),
        (with(10, 5), 100, 90_000, 95_000),
        // Never more than 95 % and half of the lifetime.
        (with(3600, 3600), 100, 5_000, 50_000),
        // The jitter makes it earlier by 10 % of the lifetime, within the same bound.
        (full_jitter(), 100, 70_000, 95_000),
        (full_jitter().soft_margin(seconds(90)).unwrap(), 100, 5_000, 95_000),
        (no_jitter(), 1, 800, 950),
    ] {
        for (millis, expected) in [
            (soft - 1, Condition::Fresh),
            (soft, Condition::Soft),
            (hard - 1, Condition::Soft),
            (hard, Condition::Expired),
        ] {
            let world = World::new();
            let session = session_with(&world, TestProvider::new(), policy.clone());
            session.set(TestProvider::token(7, seconds(lifetime), world.clock.wall())).unwrap();
            world.clock.advance(Duration::from_millis(millis));
            assert_eq!(session.status().condition, expected, "{millis} ms into {lifetime} s");
        }
    }
}

#[tokio::test]
async fn no_request_in_the_soft_window_waits_for_the_one_flight() {
    let world = World::new();
    let session = signed_in(&world, TestProvider::new(), no_jitter());
    let client = client(&world, &session);
    welcome_all(&world);
    world.hold_idp();
    world.clock.advance(seconds(800));

    // All of them are answered although the token endpoint is not.
    let answers = send_all(&client, 50).await;
    let_the_flight_run().await;
    let later = send_all(&client, 50).await;

    assert!(answers.iter().chain(&later).all(Result::is_ok));
    assert_eq!(session.status().condition, Condition::Refreshing);
    assert_eq!((world.counts().api, world.counts().token_calls()), (100, 1));
    assert!(world.tokens().iter().all(|token| token == "Bearer access-7"));

    world.release_idp();
    session.settled().await;
    send(&client, get("/")).await.unwrap();
    assert_eq!(world.counts().refreshes, 1);
    assert_eq!(world.tokens()[100], "Bearer access-8");
}

#[tokio::test]
async fn token_in_the_soft_window_is_the_old_one_at_once() {
    let world = World::new();
    let session = signed_in(&world, TestProvider::new(), no_jitter());
    world.hold_idp();
    world.clock.advance(seconds(800));

    for _ in 0..10 {
        assert!(poll_once(&mut Box::pin(session.token())).is_ready());
    }
    let_the_flight_run().await;

    assert_eq!(world.counts().refreshes, 1);
}

#[tokio::test]
async fn requests_past_the_hard_point_join_the_flight_that_the_soft_window_started() {
    for age in [seconds(970), LIFE] {
        let world = World::new();
        let session = signed_in(&world, TestProvider::new(), no_jitter());
        let client = client(&world, &session);
        world.hold_idp();
        world.clock.advance(seconds(800));
        send(&client, get("/")).await.unwrap();
        let_the_flight_run().await;

        world.clock.advance(age - seconds(800));
        let mut waiting: Vec<_> = (0..10).map(|_| Box::pin(send(&client, get("/")))).collect();
        assert!(waiting.iter_mut().all(|request| poll_once(request).is_pending()));
        let_the_flight_run().await;
        assert_eq!(world.counts().api, 1);
        world.release_idp();
        let answers = futures::future::join_all(waiting).await;

        assert!(answers.iter().all(|answer| answer.as_ref().unwrap().status() == StatusCode::OK));
        assert_eq!((world.counts().token_calls(), world.counts().double_spent), (1, 0));
        assert_eq!(world.tokens()[0], "Bearer access-7");
        assert!(world.tokens()[1..].iter().all(|token| token == "Bearer access-8"));
    }
}

async fn refreshes_at(token: fn(TokenSet, std::time::SystemTime) -> TokenSet, age: Duration) -> usize {
    let world = World::new();
    let session = signed_in(&world, TestProvider::new(), no_jitter());
    let now = world.clock.wall();
    session.set(token(TestProvider::token(7, LIFE, now), now)).unwrap();
    world.clock.advance(age);
    send(&client(&world, &session), get("/")).await.unwrap();
    session.settled().await;
    world.counts().refreshes
}

#[tokio::test]
async fn a_refresh_time_of_the_provider_that_is_earlier_wins_over_the_computed_one() {
    let early = |token: TokenSet, now| token.with_refresh_at(now + seconds(100));
    assert_eq!(refreshes_at(early, seconds(100) - MILLISECOND).await, 0);
    assert_eq!(refreshes_at(early, seconds(100)).await, 1);
}

#[tokio::test]
async fn a_refresh_time_of_the_provider_that_is_later_wins_over_the_computed_one() {
    let late = |token: TokenSet, now| token.with_refresh_at(now + seconds(900));
    assert_eq!(refreshes_at(late, seconds(900) - MILLISECOND).await, 0);
    assert_eq!(refreshes_at(late, seconds(900)).await, 1);
}

#[tokio::test]
async fn a_refresh_time_of_the_provider_holds_for_a_token_of_unknown_expiry() {
    let unknown = |_: TokenSet, now| {
        TokenSet::new("access-7").with_refresh_token("refresh-7").with_refresh_at(now + seconds(5000))
    };
    assert_eq!(refreshes_at(unknown, seconds(5000) - MILLISECOND).await, 0);
    assert_eq!(refreshes_at(unknown, seconds(5000)).await, 1);
}

/// Tokens of 10 s under margins of an hour are soft from 0.5 s on and hard from 5 s on. Five flights pass the guard,
/// at 0, 0.5, 1, 1.5 and 2 s. After that only those go on that start at half of a token's life, which the guard does
/// not count: at 7, 12, 17, 22 and 27 s.
#[tokio::test]
async fn a_lifetime_shorter_than_the_margins_does_not_loop() {
    let world = World::new().lifetime(seconds(10));
    let hour = seconds(3600);
    let policy = no_jitter().soft_margin(hour).unwrap().hard_margin(hour).unwrap();
    let session = session_with(&world, TestProvider::new(), policy);
    let client = client(&world, &session);
    let mut flights = Vec::new();

    for half_second in 0..60 {
        let answer = send(&client, get("/")).await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        session.settled().await;
        if world.counts().token_calls() > flights.len() {
            flights.push(half_second);
        }
        assert_eq!(world.counts().token_calls(), flights.len());
        world.clock.advance(Duration::from_millis(500));
    }

    assert_eq!(flights, [0, 1, 2, 3, 4, 14, 24, 34, 44, 54]);
    assert_eq!((world.counts().api, world.counts().rejected, world.counts().double_spent), (60, 0, 0));
}

#[tokio::test]
async fn many_requests_at_one_moment_of_a_short_life_make_one_flight() {
    let world = World::new().lifetime(seconds(1));
    let session = session_with(&world, TestProvider::new(), no_jitter());

    let answers = send_all(&client(&world, &session), 100).await;
    session.settled().await;

    assert!(answers.iter().all(Result::is_ok));
    assert_eq!(world.counts().token_calls(), 1);
}

#[tokio::test]
async fn the_jitter_is_rolled_once_per_token_set() {
    static ROLLS: AtomicUsize = AtomicUsize::new(0);
    let world = World::new();
    let policy = RefreshPolicy::new().jitter(|| {
        ROLLS.fetch_add(1, Ordering::Relaxed);
        0.5
    });
    let session = session_with(&world, TestProvider::new(), policy);
    let client = client(&world, &session);

    send_all(&client, 50).await;
    assert_eq!(ROLLS.load(Ordering::Relaxed), 1);
    for token_sets in 2..=5 {
        // Half of the jitter puts the soft point at 750 s.
        for age in [seconds(750) - MILLISECOND, MILLISECOND] {
            assert_eq!(world.counts().token_calls(), token_sets - 1);
            world.clock.advance(age);
            send_all(&client, 50).await;
            session.settled().await;
        }
        assert_eq!(world.counts().token_calls(), token_sets);
        assert_eq!(ROLLS.load(Ordering::Relaxed), token_sets);
    }
    session.set(TestProvider::token(9, LIFE, world.clock.wall())).unwrap();
    assert_eq!(ROLLS.load(Ordering::Relaxed), 6);
}

#[test]
fn a_roll_out_of_range_is_taken_for_the_nearest_in_range() {
    for (roll, soft) in [
        ((|| -3.0) as fn() -> f64, 800),
        (|| f64::NAN, 800),
        (|| f64::NEG_INFINITY, 800),
        (|| 0.25, 775),
        (|| 7.0, 700),
        (|| f64::INFINITY, 700),
    ] {
        let world = World::new();
        let session = signed_in(&world, TestProvider::new(), RefreshPolicy::new().jitter(roll));
        world.clock.advance(seconds(soft) - MILLISECOND);
        assert_eq!(session.status().condition, Condition::Fresh, "{}", roll());
        world.clock.advance(MILLISECOND);
        assert_eq!(session.status().condition, Condition::Soft, "{}", roll());
    }
}

#[test]
fn the_default_jitter_spreads_sessions_over_a_tenth_of_the_lifetime() {
    let world = World::new();
    let sessions: Vec<Session<_>> =
        (0..400).map(|_| signed_in(&world, TestProvider::new(), RefreshPolicy::new())).collect();
    let soft = || sessions.iter().filter(|session| session.status().condition == Condition::Soft).count();

    world.clock.advance(seconds(700) - MILLISECOND);
    assert_eq!(soft(), 0);
    world.clock.advance(seconds(50));
    // Each side is empty with a chance of one in 2^400.
    assert!((1..400).contains(&soft()));
    world.clock.advance(seconds(50) + MILLISECOND);
    assert_eq!(soft(), 400);
}
