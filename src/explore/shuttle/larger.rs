//! The larger scenes.

use super::{
    super::{
        outcome::Outcome::Status,
        scene::{Does::*, Fires, Reply::*, Scene, Start},
    },
    draw,
};

#[test]
fn ten_cold_requests_some_of_which_are_dropped() {
    draw(|| Scene {
        drops: 3,
        ends: |end| end.outcomes.iter().flatten().all(|outcome| *outcome == Status(200)) && end.logins == 1,
        ..Scene::new("ten cold requests, three dropped", Start::Cold, [Request; 10])
    });
}

#[test]
fn twelve_rejected_requests() {
    draw(|| Scene {
        ends: |end| end.outcomes.iter().all(|outcome| *outcome == Some(Status(200))) && end.refreshes == 1,
        ..Scene::new("twelve rejected requests", Start::Rejected, [Request; 12])
    });
}

#[test]
fn rejections_and_changes_from_outside() {
    draw(|| Scene {
        drops: 2,
        token_calls: 4,
        ..Scene::new(
            "rejected requests, set, sign-in, sign-out",
            Start::Rejected,
            [Request, Request, Request, Set(50), SignIn, Request, SignOut, Token, Set(51), Request],
        )
    });
}

#[test]
fn requests_past_their_tokens_end_while_flights_fail() {
    draw(|| Scene {
        drops: 2,
        aborts: 1,
        fires: Fires::Deadline,
        token_calls: 4,
        ..Scene::new(
            "expired, flights fail",
            Start::Expired,
            [Request, Request, Token, Request, Request, Token, SignIn, Request],
        )
        .faults(2, &[Unavailable, Poison], &[Lose, Refuse, NotSent])
    });
}
