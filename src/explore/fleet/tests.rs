//! The explorer of fleets explored.

use super::{Fleet, replay, walk};
use crate::explore::{
    scene::{Does::*, Scene, Start},
    world::Deed,
};

fn fresh(requests: usize) -> Fleet {
    Fleet::of(Scene::new("fresh requests", Start::Fresh, vec![Request; requests]))
}

#[test]
fn in_the_usual_order_there_is_one_schedule() {
    assert_eq!(walk(&fresh(4)), 1);
}

/// Of two requests of two steps each, one or the other begins, and goes on or not.
#[test]
fn each_turn_leaves_the_usual_order_once() {
    assert_eq!(walk(&Fleet { turns: 1, ..fresh(2) }), 3);
    assert_eq!(walk(&Fleet { turns: 3, ..fresh(2) }), 6);
}

/// A flight looks, takes the lease, looks again, and goes on; each of its calls may fail in one way.
#[test]
fn each_call_of_the_store_may_go_wrong() {
    let scene = Scene::new("a cold request", Start::Cold, [Request]);
    let fleet = Fleet { processes: 1, faults: 1, kinds: vec![Deed::Unheard], ..Fleet::of(scene) };
    // Three before the login, the save, the release, and a look of the watcher; or none.
    assert_eq!(walk(&fleet), 7);
}

#[test]
#[should_panic(expected = "poll Request 0\n  poll Request 1\n  answer send")]
fn a_violation_of_a_fleet_is_told_step_by_step() {
    let fleet = fresh(2);
    replay(&Fleet { turns: 1, scene: Scene { ends: |_| false, ..fleet.scene.clone() }, ..fleet }, &[0, 1]);
}
