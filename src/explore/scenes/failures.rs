//! Flights that fail, are aborted, or come too late.

use super::{
    super::{
        scene::{Does::*, Fires, Reply::*, Scene, Start},
        walk,
    },
    WELCOME, one_refresh_serves_all,
};

#[test]
fn requests_in_the_soft_window_do_not_notice_a_failing_flight() {
    let mut scene = Scene {
        ends: |end| end.outcomes == [WELCOME; 3] && end.sends == [1; 3] && end.refreshes == 1,
        ..Scene::new("three requests in the soft window, the refresh fails", Start::Soft, [Request; 3]).faults(
            1,
            &[],
            &[Unavailable],
        )
    };
    scene.server.revokes = false;
    walk(&scene);
}

#[test]
fn a_rotation_in_the_soft_window_may_be_lost_and_reject_what_is_on_its_way() {
    walk(&Scene {
        aborts: 1,
        drops: 1,
        token_calls: 2,
        ..Scene::new(
            "two requests in the soft window, the answer is lost or the flight aborted",
            Start::Soft,
            [Request; 2],
        )
        .faults(1, &[], &[Lose])
    });
}

#[test]
fn a_lost_answer_leads_to_a_login_and_never_to_a_second_refresh() {
    walk(&Scene {
        drops: 1,
        token_calls: 2,
        ends: |end| end.refreshes == 1,
        ..Scene::new("three requests, expired, the answer is lost, one dropped", Start::Expired, [Request; 3]).faults(
            1,
            &[],
            &[Lose],
        )
    });
}

#[test]
fn a_lost_answer_without_a_login_is_asked_for_once_more() {
    walk(&Scene {
        drops: 1,
        token_calls: 2,
        ..Scene::new("three requests, hard, no login, the answer is lost, one dropped", Start::Hard, [Request; 3])
            .without_login()
            .faults(1, &[], &[Lose, NotSent])
    });
}

#[test]
fn what_the_server_rotated_is_kept_although_every_waiter_leaves() {
    walk(&Scene {
        drops: 2,
        ends: |end| end.refreshes == 0 || one_refresh_serves_all(end),
        ..Scene::new("three requests, expired, two dropped", Start::Expired, [Request; 3])
    });
}

#[test]
fn a_refused_refresh_falls_back_on_the_login_whoever_leaves() {
    walk(&Scene {
        drops: 1,
        token_calls: 2,
        ..Scene::new(
            "two rejected requests, the refresh or also the login refused, one dropped",
            Start::Rejected,
            [Request; 2],
        )
        .faults(2, &[Refuse], &[Refuse])
    });
}

#[test]
fn a_panic_over_the_token_answer_wakes_every_waiter() {
    walk(&Scene {
        token_calls: 2,
        ..Scene::new("three cold requests, a poisoned answer", Start::Cold, [Request; 3]).faults(1, &[Poison], &[])
    });
}

#[test]
fn a_deadline_at_any_moment_wakes_every_waiter() {
    walk(&Scene {
        fires: Fires::Deadline,
        token_calls: 2,
        ..Scene::new("three requests, expired, the deadline passes", Start::Expired, [Request; 3])
    });
}

#[test]
fn a_waiter_without_patience_gives_the_flight_up_for_all() {
    walk(&Scene {
        fires: Fires::Any,
        token_calls: 2,
        ..Scene::new("three requests, expired, any timer fires", Start::Expired, [Request; 3])
    });
}
