//! What these scenes ask for does not hold yet: a refusal is noted in the store once, and where that fails nobody tells the
//! others later.

use super::super::{Fleet, walk};
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
