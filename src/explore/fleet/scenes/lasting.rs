//! Nothing goes wrong.

use super::{
    super::{Fleet, walk},
    all_are_served, one_refresh_serves_all,
};
use crate::explore::scene::{Does::*, Scene, Start};

#[test]
fn two_rejected_processes_share_one_refresh() {
    walk(&Fleet {
        turns: 2,
        ..Fleet::of(Scene {
            ends: one_refresh_serves_all,
            ..Scene::new("two rejected processes", Start::Rejected, [Request; 2])
        })
    });
}

#[test]
fn two_cold_processes_share_one_login() {
    walk(&Fleet {
        turns: 2,
        ..Fleet::of(Scene {
            ends: |end| all_are_served(end) && end.logins == 1,
            ..Scene::new("two cold processes", Start::Cold, [Request; 2])
        })
    });
}

#[test]
fn two_processes_with_a_lock_share_one_refresh_in_the_soft_window() {
    walk(&Fleet {
        lasts: None,
        turns: 2,
        ..Fleet::of(Scene {
            ends: one_refresh_serves_all,
            ..Scene::new("two processes in the soft window, a lock", Start::Soft, [Request; 4])
        })
    });
}

#[test]
fn two_processes_without_a_login_share_one_refresh() {
    walk(&Fleet {
        turns: 2,
        ..Fleet::of(Scene {
            ends: one_refresh_serves_all,
            ..Scene::new("two expired processes without a login", Start::Expired, [Request; 2]).without_login()
        })
    });
}

#[test]
fn a_process_that_begins_takes_over_what_another_has_fetched() {
    walk(&Fleet {
        cold: 1,
        turns: 2,
        ..Fleet::of(Scene {
            ends: one_refresh_serves_all,
            ..Scene::new("two rejected processes, one begins", Start::Rejected, [Request; 2])
        })
    });
}
