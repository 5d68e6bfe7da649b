//! Scenes of three tasks, each walked to its end.

mod failures;
mod first_token;
mod outside;
mod preempted;
mod rejections;

use super::outcome::{
    Ending,
    Outcome::{self, Done, Status},
};

const WELCOME: Option<Outcome> = Some(Status(200));

/// All that was answered was answered well.
fn all_are_served(end: &Ending) -> bool {
    end.outcomes.iter().flatten().all(|outcome| matches!(outcome, Status(200) | Done))
}

/// The same, and the session holds what the one refresh brought.
fn one_refresh_serves_all(end: &Ending) -> bool {
    all_are_served(end) && end.refreshes == 1 && end.token == Some(2)
}
