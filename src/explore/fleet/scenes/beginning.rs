//! Each process was given the same token to begin with, and the store is empty.

use super::{
    super::{Fleet, draw, walk},
    one_refresh_serves_all,
};
use crate::explore::scene::{Does::*, Scene, Start};

#[test]
fn two_processes_that_begin_with_the_same_token_share_one_refresh() {
    walk(&Fleet {
        cold: 2,
        is_initial: true,
        turns: 2,
        ..Fleet::of(Scene {
            ends: one_refresh_serves_all,
            ..Scene::new("two processes given the same rejected token", Start::Rejected, [Request; 2])
        })
    });
}

#[test]
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
