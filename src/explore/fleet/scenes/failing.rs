//! The store fails.

use super::super::{Fleet, walk};
use crate::explore::{
    scene::{Does::*, Reply::*, Scene, Start},
    world::Deed,
};

#[test]
fn a_store_that_fails_once_costs_a_login_at_most() {
    walk(&Fleet {
        faults: 1,
        turns: 1,
        ..Fleet::of(Scene {
            token_calls: 2,
            ends: |end| end.refreshes <= 1,
            ..Scene::new("two rejected processes, a call fails", Start::Rejected, [Request; 2])
        })
    });
}

#[test]
fn a_store_that_fails_twice_costs_a_login_at_most() {
    walk(&Fleet {
        faults: 2,
        ..Fleet::of(Scene {
            token_calls: 2,
            ends: |end| end.refreshes <= 1,
            ..Scene::new("two rejected processes, two calls fail", Start::Rejected, [Request; 2])
        })
    });
}

#[test]
fn without_a_login_a_store_that_fails_once_loses_nothing() {
    walk(&Fleet {
        faults: 1,
        turns: 1,
        ..Fleet::of(Scene {
            token_calls: 2,
            ..Scene::new("two rejected processes without a login, a call fails", Start::Rejected, [Request; 2])
                .without_login()
        })
    });
}

#[test]
fn without_a_login_a_store_that_fails_twice_loses_nothing() {
    walk(&Fleet {
        faults: 2,
        ..Fleet::of(Scene {
            token_calls: 2,
            ..Scene::new("two rejected processes without a login, two calls fail", Start::Rejected, [Request; 2])
                .without_login()
        })
    });
}

#[test]
fn one_process_over_a_failing_store_and_endpoint_sends_nothing_in_vain() {
    walk(&Fleet {
        processes: 1,
        faults: 2,
        ..Fleet::of(Scene {
            token_calls: 3,
            ..Scene::new("one process without a login, store and endpoint fail", Start::Rejected, [Request; 2])
                .without_login()
                .faults(1, &[], &[Lose, Vanish, NotSent, Unavailable])
        })
    });
}

#[test]
fn a_panic_of_the_store_leaves_the_others_in_peace() {
    walk(&Fleet {
        faults: 1,
        kinds: vec![Deed::Panicked],
        aborts: 1,
        ..Fleet::of(Scene {
            token_calls: 2,
            ..Scene::new("two rejected processes, a panic, an abort", Start::Rejected, [Request; 2])
        })
    });
}
