//! Each process was given the same token to begin with, and the store is empty.

use super::{
    super::{Fleet, walk},
    one_refresh_serves_all,
};
use crate::explore::scene::{Does::*, Start};

#[test]
fn two_processes_that_begin_with_the_same_token_share_one_refresh() {
    let mut fleet = Fleet::new("two processes given the same rejected token", Start::Rejected, [Request; 2]);
    (fleet.cold, fleet.is_initial, fleet.turns) = (2, true, 2);
    fleet.scene.ends = one_refresh_serves_all;
    walk(&fleet);
}
