//! The application of one process changes the token set.

use super::{
    super::{Fleet, walk},
    all_are_served,
};
use crate::{
    error::ErrorKind,
    explore::{
        outcome::Outcome::{self, Status},
        scene::{Does::*, Scene, Start},
    },
};

#[test]
fn a_token_that_is_set_in_one_process_reaches_the_other() {
    walk(&Fleet {
        turns: 1,
        ..Fleet::of(Scene {
            token_calls: 2,
            ends: |end| all_are_served(end) && end.token == Some(50),
            ..Scene::new("two rejected processes, set", Start::Rejected, [Request, Request, Set(50)])
        })
    });
}

#[test]
fn a_sign_out_in_one_process_reaches_the_other() {
    walk(&Fleet {
        turns: 1,
        ..Fleet::of(Scene {
            token_calls: 2,
            ends: |end| {
                let fits = |outcome| matches!(outcome, Status(200 | 401) | Outcome::Error(ErrorKind::SignedOut));
                end.outcomes.iter().flatten().all(|outcome| fits(*outcome)) && end.token.is_none()
            },
            ..Scene::new("two rejected processes, sign-out", Start::Rejected, [Request, Request, SignOut])
        })
    });
}
