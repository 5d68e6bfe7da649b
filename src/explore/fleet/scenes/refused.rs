//! The token endpoint refuses.

use super::super::{Fleet, walk};
use crate::explore::scene::{Does::*, Reply::*, Start};

#[test]
fn a_login_that_is_refused_is_repeated_by_nobody() {
    let mut fleet = Fleet::new("two cold processes, the login refused", Start::Cold, [Request; 2]);
    fleet.turns = 2;
    fleet.scene = fleet.scene.faults(1, &[Refuse], &[]);
    walk(&fleet);
}

#[test]
fn a_refused_refresh_is_followed_by_one_login() {
    let mut fleet = Fleet::new("two rejected processes, refresh and login refused", Start::Rejected, [Request; 2]);
    fleet.turns = 1;
    fleet.scene = fleet.scene.faults(2, &[Refuse], &[Refuse, Lose, Unavailable]);
    fleet.scene.token_calls = 3;
    walk(&fleet);
}
