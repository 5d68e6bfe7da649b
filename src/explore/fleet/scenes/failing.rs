//! The store fails.

use super::super::{Fleet, walk};
use crate::explore::{
    scene::{Does::*, Reply::*, Start},
    world::Deed,
};

const ALL: [Deed; 3] = [Deed::Failed, Deed::Unheard, Deed::Hung];

#[test]
fn a_store_that_fails_once_costs_a_login_at_most() {
    let mut fleet = Fleet::new("two rejected processes, one call fails", Start::Rejected, [Request; 2]);
    (fleet.faults, fleet.kinds, fleet.turns) = (1, ALL.to_vec(), 1);
    fleet.scene.token_calls = 2;
    fleet.scene.ends = |end| end.refreshes <= 1;
    walk(&fleet);
}

#[test]
fn a_store_that_fails_twice_costs_a_login_at_most() {
    let mut fleet = Fleet::new("two rejected processes, two calls fail", Start::Rejected, [Request; 2]);
    (fleet.faults, fleet.kinds) = (2, ALL.to_vec());
    fleet.scene.token_calls = 2;
    fleet.scene.ends = |end| end.refreshes <= 1;
    walk(&fleet);
}

#[test]
fn without_a_login_a_store_that_fails_once_loses_nothing() {
    let mut fleet = Fleet::new("two rejected processes without a login, one call fails", Start::Rejected, [Request; 2]);
    (fleet.faults, fleet.kinds, fleet.turns) = (1, ALL.to_vec(), 1);
    fleet.scene = fleet.scene.without_login();
    fleet.scene.token_calls = 2;
    walk(&fleet);
}

#[test]
fn without_a_login_a_store_that_fails_twice_loses_nothing() {
    let mut fleet = Fleet::new("two rejected processes without a login, two calls fail", Start::Rejected, [Request; 2]);
    (fleet.faults, fleet.kinds) = (2, ALL.to_vec());
    fleet.scene = fleet.scene.without_login();
    fleet.scene.token_calls = 3;
    walk(&fleet);
}

#[test]
fn one_process_over_a_failing_store_spends_nothing_twice() {
    let mut fleet =
        Fleet::new("one process without a login, a failing store and endpoint", Start::Rejected, [Request; 2]);
    (fleet.processes, fleet.faults, fleet.kinds) = (1, 2, ALL.to_vec());
    fleet.scene = fleet.scene.without_login().faults(1, &[], &[Lose, NotSent, Unavailable]);
    fleet.scene.token_calls = 3;
    walk(&fleet);
}
