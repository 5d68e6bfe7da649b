//! A process is killed, or stands still for longer than its lease.

use super::{
    super::{Fleet, walk},
    all_are_served,
};
use crate::explore::scene::{Does::*, Scene, Start};

#[test]
fn a_holder_that_is_killed_at_any_step_is_replaced() {
    walk(&Fleet {
        kills: 1,
        turns: 1,
        ..Fleet::of(Scene {
            drops: 1,
            token_calls: 2,
            ends: |end| all_are_served(end) && end.refreshes <= 1,
            ..Scene::new("two rejected processes, one killed", Start::Rejected, [Request; 2])
        })
    });
}

#[test]
fn a_holder_that_is_killed_at_any_step_gives_its_lock_back() {
    walk(&Fleet {
        kills: 1,
        lasts: None,
        turns: 1,
        ..Fleet::of(Scene {
            drops: 1,
            token_calls: 2,
            ends: all_are_served,
            ..Scene::new("two cold processes, a lock, one killed", Start::Cold, [Request; 2])
        })
    });
}

#[test]
fn a_token_that_a_dead_process_has_sent_is_sent_once_more_where_there_is_no_login() {
    walk(&Fleet {
        kills: 1,
        turns: 1,
        ..Fleet::of(Scene {
            drops: 1,
            token_calls: 2,
            ..Scene::new("two rejected processes without a login, one killed", Start::Rejected, [Request; 2])
                .without_login()
        })
    });
}

#[test]
fn a_holder_that_stalls_at_any_step_overwrites_nothing() {
    walk(&Fleet {
        stalls: 1,
        turns: 1,
        ..Fleet::of(Scene {
            token_calls: 2,
            ends: |end| all_are_served(end) && end.refreshes <= 1,
            ..Scene::new("two rejected processes, one stalls", Start::Rejected, [Request; 2])
        })
    });
}

#[test]
fn a_holder_that_stalls_without_a_login_keeps_what_it_was_granted() {
    walk(&Fleet {
        stalls: 1,
        turns: 1,
        ..Fleet::of(Scene {
            token_calls: 2,
            ..Scene::new("two rejected processes without a login, one stalls", Start::Rejected, [Request; 2])
                .without_login()
        })
    });
}
