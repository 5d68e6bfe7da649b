//! The engine against a model of what it promises: random sequences of everything that can happen to a session, with
//! what can be seen of it compared after each moment.
//!
//! A failure tells the story of the shortest sequence, and the call that plays it: as a test of its own, below, it
//! stays.

mod callers;
mod flight;
mod life;
mod observed;
mod play;
mod reference;
mod replies;
mod sequence;
mod server;
mod system;

use proptest::{
    prelude::*,
    test_runner::{Config, FileFailurePersistence, TestError, TestRunner},
};
use tower_auth_refresh::error::ErrorKind;

use observed::{Ask, Ending, Failure, Observed};
use play::{play, shorten};
use sequence::{
    Action::{Api, Endpoint, GoAway, Pass, Request, SetBack, SetToken, SignIn, SignOut, Sleep},
    Amount::{Millis, Until},
    Api::Rejects,
    Endpoint::{AnswersInVain, Grants, Refuses, Says},
    Mark::{BackoffEnd, Deadline, Expiry, SoftPoint},
    Moment, Scene, Set, moments, scenes,
};

const SEEDS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/proptest-regressions/model.txt");

/// `PROPTEST_CASES` asks for another number of sequences.
const CASES: u32 = 1200;

#[test]
fn whatever_happens_the_session_does_what_the_contract_says() {
    let cases = if std::env::var_os("PROPTEST_CASES").is_some() { Config::default().cases } else { CASES };
    let config = Config {
        cases,
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(SEEDS))),
        source_file: Some(file!()),
        test_name: Some("model"),
        max_shrink_iters: 4000,
        ..Config::default()
    };
    let outcome = TestRunner::new(config)
        .run(&(scenes(), moments()), |(scene, moments)| play(scene, &moments).map(drop).map_err(TestCaseError::fail));
    match outcome {
        Ok(()) => {}
        Err(TestError::Abort(reason)) => panic!("{reason}"),
        Err(TestError::Fail(reason, (scene, moments))) => {
            let moments = shorten(scene, moments);
            let story = play(scene, &moments).err().unwrap_or_else(|| reason.to_string());
            panic!("{story}\nplay({scene:?}, &{moments:?})");
        }
    }
}

// ===== the shortest sequences that were not as foretold, or are worth telling =====

const SCENE: Scene = Scene {
    can_log_in: true,
    single_use: true,
    jitter: 100,
    guard: 5,
    replays: 1,
    error_after_failed_refresh: false,
    first: Some(HOUR),
};

const HOUR: Set = Set { lifetime: Some(3600), refresh_token: true };
const EXPIRED: Set = Set { lifetime: Some(0), refresh_token: true };

/// What happens, which must be as the model foretells.
fn played(scene: Scene, moments: &[Moment]) -> Observed {
    play(scene, moments).unwrap_or_else(|difference| panic!("{difference}"))
}

fn failure(kind: ErrorKind, retry_at: Option<i64>) -> Failure {
    Failure { kind, retry_at }
}

#[test]
fn a_request_that_waits_is_not_sent_with_a_token_that_has_expired_when_it_is_set() {
    let scene = Scene { first: None, ..SCENE };

    let seen = played(scene, &[vec![Request], vec![SetToken(EXPIRED)], vec![Endpoint(Grants(HOUR))]]);

    assert_eq!(seen.asked, [Ask::Login, Ask::Refresh(1)]);
    assert_eq!(seen.sent, [(1, 2)]);
}

#[test]
fn a_late_rejection_ends_when_its_token_was_replaced_by_one_of_no_use() {
    let scene = Scene { guard: 0, ..SCENE };

    let seen = played(scene, &[vec![Request], vec![Api(0, Rejects), SetToken(EXPIRED)]]);

    assert_eq!(seen.ended, [(1, Ending::AnswerAfter(401, failure(ErrorKind::TooManyRefreshes, None)))]);
}

#[test]
fn a_token_that_has_expired_when_it_comes_is_not_saved_by_a_wall_clock_that_was_set_back() {
    let scene = Scene { first: Some(EXPIRED), ..SCENE };

    let seen = played(scene, &[vec![Request], vec![SetBack(60_000)], vec![Endpoint(Grants(EXPIRED))]]);

    assert_eq!(seen.sent, []);
    assert_eq!(seen.ended, [(1, Ending::Error(failure(ErrorKind::Malformed, Some(-59_000))))]);
}

#[test]
fn a_rejection_in_the_moment_of_a_sign_out_is_handed_back() {
    let seen = played(SCENE, &[vec![Request], vec![Api(0, Rejects), SignOut]]);

    assert_eq!(seen.ended, [(1, Ending::AnswerAfter(401, failure(ErrorKind::SignedOut, None)))]);
    assert_eq!(seen.asked, []);
}

#[test]
fn a_lost_rotation_is_not_asked_for_again_where_a_login_is_possible() {
    let due = vec![Pass(Until(SoftPoint, 0)), Request, GoAway(0)];

    let seen = played(SCENE, &[due, vec![Endpoint(AnswersInVain)], vec![Pass(Until(BackoffEnd, 0)), Request]]);

    assert_eq!(seen.asked, [Ask::Refresh(0), Ask::Login]);
}

#[test]
fn a_sign_in_that_waits_for_a_refresh_begins_when_that_has_taken_too_long() {
    let due = vec![Pass(Until(Expiry, 0)), Request, SignIn];

    let seen = played(SCENE, &[due, vec![Pass(Until(Deadline, 0))], vec![Endpoint(Grants(HOUR))]]);

    assert_eq!(seen.asked, [Ask::Refresh(0), Ask::Login]);
    let too_late = failure(ErrorKind::TimedOut, Some(3_631_000));
    assert_eq!(seen.ended, [(1, Ending::Error(too_late)), (2, Ending::SignedIn)]);
}

#[test]
fn a_backoff_ends_in_a_machine_that_sleeps_for_as_long() {
    let scene = Scene { first: None, ..SCENE };
    let busy = vec![Endpoint(Says(503, None))];
    let [before, after] = [-1, 0].map(|off| vec![Sleep(Until(BackoffEnd, off)), Request]);
    let sequence = [vec![Request], busy, before, after];

    assert_eq!(played(scene, &sequence[..3]).asked, [Ask::Login]);
    assert_eq!(played(scene, &sequence).asked, [Ask::Login; 2]);
}

#[test]
fn the_longest_backoff_is_five_minutes_with_a_usable_token_and_half_a_minute_without() {
    let day = Set { lifetime: Some(86_400), refresh_token: true };
    for (first, longest) in [(Some(day), 300_000), (None, 30_000)] {
        let scene = Scene { first, ..SCENE };
        let due = vec![Pass(Until(SoftPoint, 0)), Request];
        let outage = vec![Endpoint(Says(503, None)), Pass(Until(BackoffEnd, 0)), Request];
        let too_early = vec![Endpoint(Says(503, None)), Pass(Millis(longest - 1)), Request];
        let sequence = [vec![due], vec![outage; 10], vec![too_early, vec![Pass(Millis(1)), Request]]].concat();

        assert_eq!(played(scene, &sequence[..12]).asked.len(), 11);
        assert_eq!(played(scene, &sequence).asked.len(), 12);
    }
}

#[test]
fn a_refused_login_is_not_repeated_for_another_token_set_until_somebody_signs_in() {
    let refused = || vec![Endpoint(Refuses)];
    let due = vec![Pass(Until(Expiry, 0)), Request];
    let another = vec![SetToken(EXPIRED), Request];

    let seen = played(SCENE, &[due, refused(), refused(), another, refused(), vec![Request], vec![SignIn]]);

    assert_eq!(seen.asked, [Ask::Refresh(0), Ask::Login, Ask::Refresh(3), Ask::Login]);
}
