//! The application of one process changes the token set.

use super::super::{Fleet, walk};
use crate::error::ErrorKind;
use crate::explore::{
    outcome::Outcome::{self, Status},
    scene::{Does::*, Start},
};

#[test]
fn a_token_that_is_set_in_one_process_reaches_the_other() {
    let mut fleet = Fleet::new("two rejected processes, set", Start::Rejected, [Request, Request, Set(50)]);
    fleet.turns = 1;
    fleet.scene.token_calls = 2;
    fleet.scene.ends = |end| super::all_are_served(end) && end.token == Some(50);
    walk(&fleet);
}

#[test]
fn a_sign_out_in_one_process_reaches_the_other() {
    let mut fleet = Fleet::new("two rejected processes, sign-out", Start::Rejected, [Request, Request, SignOut]);
    fleet.turns = 1;
    fleet.scene.token_calls = 2;
    fleet.scene.ends = |end| {
        let fits = |outcome| matches!(outcome, Status(200 | 401) | Outcome::Error(ErrorKind::SignedOut));
        end.outcomes.iter().flatten().all(|outcome| fits(*outcome)) && end.token.is_none()
    };
    walk(&fleet);
}
