//! The explorer explored: it finds every order, and tells what it finds.

use super::{
    replay,
    scene::{Does::*, Scene, Start},
    walk,
};

fn fresh(requests: usize) -> Scene {
    Scene::new("fresh requests", Start::Fresh, vec![Request; requests])
}

/// Each request is polled, then answered: 6! / (2! · 2! · 2!) orders, of which each stands for the 3! that differ by
/// names alone.
#[test]
fn three_requests_of_two_steps_have_fifteen_orders() {
    assert_eq!(walk(&fresh(3)), 15);
}

/// Alone it is served, or dropped at one of two points.
#[test]
fn a_request_of_two_steps_has_three_fates() {
    assert_eq!(walk(&Scene { drops: 1, ..fresh(1) }), 3);
}

#[test]
#[should_panic(expected = "poll Request 0\n  poll Request 1\n  answer send 0, poll Request 0\n")]
fn a_violation_is_told_step_by_step() {
    walk(&Scene { ends: |_| false, ..fresh(2) });
}

#[test]
#[should_panic(
    expected = "  answer send 0, poll Request 0\n  poll Request 1\n  answer send 1, poll Request 1\nreplay(&scene, &[1])"
)]
fn a_schedule_can_be_played_again_by_its_choices() {
    replay(&Scene { ends: |_| false, ..fresh(2) }, &[1]);
}

#[test]
fn a_schedule_without_a_violation_is_silent() {
    replay(&fresh(2), &[1]);
}
