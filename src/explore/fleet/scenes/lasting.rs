//! Nothing goes wrong.

use super::{
    super::{Fleet, walk},
    one_refresh_serves_all,
};
use crate::explore::scene::{Does::*, Start};

#[test]
fn two_rejected_processes_share_one_refresh() {
    let mut fleet = Fleet::new("two rejected processes", Start::Rejected, [Request; 2]);
    fleet.turns = 2;
    fleet.scene.ends = one_refresh_serves_all;
    walk(&fleet);
}

#[test]
fn two_cold_processes_share_one_login() {
    let mut fleet = Fleet::new("two cold processes", Start::Cold, [Request; 2]);
    fleet.turns = 2;
    fleet.scene.ends = |end| super::all_are_served(end) && end.logins == 1;
    walk(&fleet);
}

#[test]
fn two_processes_with_a_lock_share_one_refresh_in_the_soft_window() {
    let mut fleet = Fleet::new("two processes in the soft window, a lock", Start::Soft, [Request; 4]);
    fleet.turns = 1;
    fleet.lasts = None;
    fleet.scene.ends = one_refresh_serves_all;
    walk(&fleet);
}

#[test]
fn two_processes_without_a_login_share_one_refresh() {
    let mut fleet = Fleet::new("two expired processes without a login", Start::Expired, [Request; 2]);
    fleet.turns = 2;
    fleet.scene = fleet.scene.without_login();
    fleet.scene.ends = one_refresh_serves_all;
    walk(&fleet);
}
