//! Each process was given the same token to begin with, and the store is empty.

use super::{
    super::{Fleet, walk},
    one_refresh_serves_all,
};
use crate::explore::{
    scene::{Does::*, Start},
    world::Deed,
};

fn given(name: &'static str) -> Fleet {
    let mut fleet = Fleet::new(name, Start::Rejected, [Request; 2]);
    (fleet.cold, fleet.is_initial) = (2, true);
    fleet.scene.ends = one_refresh_serves_all;
    fleet
}

#[test]
fn two_processes_that_begin_with_the_same_token_share_one_refresh() {
    let mut fleet = given("two processes given the same rejected token");
    fleet.turns = 2;
    walk(&fleet);
}

#[test]
fn a_process_that_could_not_look_at_first_shares_the_refresh() {
    let mut fleet = given("two processes given the same rejected token, a call fails");
    (fleet.faults, fleet.kinds, fleet.turns) = (1, vec![Deed::Failed], 1);
    fleet.scene.ends = |end| super::all_are_served(end);
    fleet.scene.token_calls = 2;
    walk(&fleet);
}
