//! What these scenes ask for does not hold yet.

use super::super::{Fleet, draw, walk};
use crate::explore::{
    scene::{Does::*, Reply::*, Start},
    world::Deed,
};

#[test]
#[ignore = "a refusal that the store could not be told of is told to nobody"]
fn a_refused_login_is_repeated_by_nobody_although_the_store_fails_once() {
    let mut fleet = Fleet::new("two cold processes, the login refused, a call fails", Start::Cold, [Request; 2]);
    (fleet.faults, fleet.kinds) = (1, vec![Deed::Failed]);
    fleet.scene = fleet.scene.faults(1, &[Refuse], &[]);
    fleet.scene.token_calls = 2;
    walk(&fleet);
}

#[test]
#[ignore = "a refusal that the store could not be told of is told to nobody"]
fn a_refused_refresh_is_repeated_by_nobody_although_the_store_fails_once() {
    let mut fleet = Fleet::new(
        "two rejected processes without a login, an answer lost, a call fails",
        Start::Rejected,
        [Request; 2],
    );
    (fleet.faults, fleet.kinds) = (1, vec![Deed::Failed]);
    fleet.scene = fleet.scene.without_login().faults(1, &[], &[Lose]);
    fleet.scene.token_calls = 3;
    walk(&fleet);
}

#[test]
#[ignore = "the token that is in place is taken over as another one"]
fn a_token_that_was_rejected_is_not_taken_over_from_the_store() {
    let mut fleet =
        Fleet::new("six requests of three processes, given a rejected token", Start::Rejected, [Request; 6]);
    (fleet.processes, fleet.cold, fleet.is_initial) = (3, 3, true);
    (fleet.faults, fleet.turns) = (2, usize::MAX);
    fleet.kinds = vec![Deed::Failed, Deed::Unheard];
    fleet.scene.token_calls = 4;
    draw(&fleet);
}
