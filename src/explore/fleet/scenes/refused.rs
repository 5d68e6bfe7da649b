//! The token endpoint refuses.

use super::super::{Fleet, walk};
use crate::explore::{
    scene::{Does::*, Reply::*, Scene, Start},
    world::Deed,
};

#[test]
fn a_login_that_is_refused_is_repeated_by_nobody() {
    walk(&Fleet {
        turns: 2,
        ..Fleet::of(Scene::new("two cold processes, the login refused", Start::Cold, [Request; 2]).faults(
            1,
            &[Refuse],
            &[],
        ))
    });
}

#[test]
fn a_refused_refresh_is_followed_by_one_login() {
    walk(&Fleet {
        turns: 1,
        ..Fleet::of(Scene {
            token_calls: 3,
            ..Scene::new("two rejected processes, refresh and login refused", Start::Rejected, [Request; 2]).faults(
                2,
                &[Refuse],
                &[Refuse, Lose, Unavailable],
            )
        })
    });
}

#[test]
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
