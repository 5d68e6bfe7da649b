//! What these scenes ask for does not hold yet.

use super::super::{Fleet, draw, walk};
use crate::explore::{
    scene::{Does::*, Reply::*, Scene, Start},
    world::Deed,
};

#[test]
#[ignore = "a refusal that the store could not be told of is told to nobody"]
fn a_refused_login_is_repeated_by_nobody_although_the_store_fails_once() {
    walk(&Fleet {
        faults: 1,
        kinds: vec![Deed::Failed],
        ..Fleet::of(Scene {
            token_calls: 2,
            ..Scene::new("two cold processes, the login refused, a call fails", Start::Cold, [Request; 2]).faults(
                1,
                &[Refuse],
                &[],
            )
        })
    });
}

#[test]
#[ignore = "a refusal that the store could not be told of is told to nobody"]
fn a_refused_refresh_is_repeated_by_nobody_although_the_store_fails_once() {
    walk(&Fleet {
        faults: 1,
        kinds: vec![Deed::Failed],
        ..Fleet::of(Scene {
            token_calls: 3,
            ..Scene::new("two rejected processes without a login, two faults", Start::Rejected, [Request; 2])
                .without_login()
                .faults(1, &[], &[Lose])
        })
    });
}

#[test]
#[ignore = "the token that is in place is taken over as another one"]
fn a_token_that_was_rejected_is_not_taken_over_from_the_store() {
    draw(&Fleet {
        processes: 3,
        cold: 3,
        is_initial: true,
        faults: 2,
        ..Fleet::of(Scene {
            token_calls: 4,
            ..Scene::new("six requests of three processes, given a rejected token", Start::Rejected, [Request; 6])
        })
    });
}
