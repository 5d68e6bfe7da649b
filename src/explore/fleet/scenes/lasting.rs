//! Nothing goes wrong.

use super::super::{Fleet, walk};
use crate::explore::{
    outcome::Outcome::Status,
    scene::{Does::*, Start},
};

#[test]
fn two_rejected_processes_share_one_refresh() {
    let mut fleet = Fleet::new("two rejected processes", Start::Rejected, [Request; 2]);
    fleet.turns = 2;
    fleet.scene.ends = |end| end.outcomes == [Some(Status(200)); 2] && end.refreshes == 1 && end.token == Some(2);
    walk(&fleet);
}
