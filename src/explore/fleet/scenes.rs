//! Scenes of two processes.

mod beginning;
mod drawn;
mod failing;
mod killed;
mod lasting;
mod outside;
mod refused;

use crate::explore::outcome::{Ending, Outcome::Status};

/// Whoever has asked is served, and one refresh did it.
fn one_refresh_serves_all(end: &Ending) -> bool {
    all_are_served(end) && end.logins == 0 && end.refreshes == 1 && end.token == Some(2)
}

fn all_are_served(end: &Ending) -> bool {
    end.outcomes.iter().flatten().all(|outcome| *outcome == Status(200))
}
