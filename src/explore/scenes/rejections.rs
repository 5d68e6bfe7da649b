//! The API refuses the token.

use super::{
    super::{
        scene::{Does::*, Reply::*, Scene, Start},
        walk,
    },
    all_are_served, one_refresh_serves_all,
};

#[test]
fn rejected_requests_share_one_refresh_however_late_each_rejection_comes() {
    walk(&Scene {
        ends: |end| one_refresh_serves_all(end) && end.sends.iter().all(|sends| *sends <= 2),
        ..Scene::new("three rejected requests", Start::Rejected, [Request; 3])
    });
}

#[test]
fn a_late_rejection_starts_no_second_refresh_after_a_failed_one() {
    walk(&Scene {
        ends: |end| end.refreshes == 1,
        ..Scene::new("three rejected requests, the refresh fails", Start::Rejected, [Request; 3]).faults(
            1,
            &[],
            &[Unavailable, NotSent, Lose],
        )
    });
}

#[test]
fn a_rejected_request_that_is_dropped_anywhere_harms_nobody() {
    walk(&Scene {
        drops: 1,
        ends: |end| all_are_served(end) && end.refreshes <= 1,
        ..Scene::new("two rejected requests, one dropped", Start::Rejected, [Request; 2])
    });
}

#[test]
fn a_rejection_in_a_body_that_comes_late_is_no_different() {
    let mut scene = Scene {
        drops: 1,
        ends: |end| all_are_served(end) && end.refreshes <= 1,
        ..Scene::new("two rejected requests, told by slow bodies, one dropped", Start::Rejected, [Request; 2])
    };
    scene.server.speaks_in_bodies = true;
    walk(&scene);
}

#[test]
fn a_request_that_is_dropped_while_it_waits_for_room_gives_its_turn_back() {
    walk(&Scene {
        drops: 1,
        room: 1,
        ends: all_are_served,
        ..Scene::new("three requests, expired, room for one, one dropped", Start::Expired, [Request; 3])
    });
}
