//! A process is killed, or stands still for longer than its lease.

use super::super::{Fleet, walk};
use crate::explore::scene::{Does::*, Start};

#[test]
fn a_holder_that_is_killed_at_any_step_is_replaced() {
    let mut fleet = Fleet::new("two rejected processes, one killed", Start::Rejected, [Request; 2]);
    (fleet.kills, fleet.turns) = (1, 1);
    (fleet.scene.drops, fleet.scene.token_calls) = (1, 2);
    fleet.scene.ends = |end| super::all_are_served(end) && end.refreshes <= 1;
    walk(&fleet);
}

#[test]
fn a_holder_that_is_killed_at_any_step_gives_its_lock_back() {
    let mut fleet = Fleet::new("two cold processes, a lock, one killed", Start::Cold, [Request; 2]);
    (fleet.kills, fleet.turns, fleet.lasts) = (1, 1, None);
    (fleet.scene.drops, fleet.scene.token_calls) = (1, 2);
    fleet.scene.ends = super::all_are_served;
    walk(&fleet);
}

#[test]
fn a_token_that_a_dead_process_has_sent_is_sent_once_more_where_there_is_no_login() {
    let mut fleet = Fleet::new("two rejected processes without a login, one killed", Start::Rejected, [Request; 2]);
    (fleet.kills, fleet.turns) = (1, 1);
    fleet.scene = fleet.scene.without_login();
    (fleet.scene.drops, fleet.scene.token_calls) = (1, 2);
    walk(&fleet);
}

#[test]
fn a_holder_that_stalls_at_any_step_overwrites_nothing() {
    let mut fleet = Fleet::new("two rejected processes, one stalls", Start::Rejected, [Request; 2]);
    (fleet.stalls, fleet.turns) = (1, 1);
    fleet.scene.token_calls = 2;
    fleet.scene.ends = |end| super::all_are_served(end) && end.refreshes <= 1;
    walk(&fleet);
}

#[test]
fn a_holder_that_stalls_without_a_login_keeps_what_it_was_granted() {
    let mut fleet = Fleet::new("two rejected processes without a login, one stalls", Start::Rejected, [Request; 2]);
    (fleet.stalls, fleet.turns) = (1, 1);
    fleet.scene = fleet.scene.without_login();
    fleet.scene.token_calls = 2;
    walk(&fleet);
}
