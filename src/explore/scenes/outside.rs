//! The application changes the token set, signs in or signs out.

use super::{
    super::{
        outcome::Outcome::{self, Status},
        scene::{Does::*, Reply::*, Scene, Start},
        walk,
    },
    all_are_served,
};
use crate::error::ErrorKind;

#[test]
fn a_token_that_is_set_at_any_moment_stays() {
    walk(&Scene {
        drops: 1,
        ends: |end| all_are_served(end) && end.token == Some(50),
        ..Scene::new("two rejected requests, set, one dropped", Start::Rejected, [Request, Request, Set(50)])
    });
}

#[test]
fn nothing_is_sent_after_a_sign_out_at_any_moment() {
    walk(&Scene {
        drops: 1,
        ends: |end| {
            let fits = |outcome| matches!(outcome, Status(200 | 401) | Outcome::Error(ErrorKind::SignedOut));
            end.outcomes.iter().flatten().all(|outcome| fits(*outcome)) && end.token.is_none()
        },
        ..Scene::new("two rejected requests, sign-out, one dropped", Start::Rejected, [Request, Request, SignOut])
    });
}

#[test]
fn a_sign_in_at_any_moment_goes_with_a_rejection() {
    walk(&Scene {
        drops: 1,
        token_calls: 2,
        ends: all_are_served,
        ..Scene::new("rejected request, sign-in, one dropped", Start::Rejected, [Request, SignIn])
    });
}

#[test]
fn a_sign_in_that_is_refused_says_nothing_about_a_rejected_token() {
    walk(&Scene {
        token_calls: 3,
        ends: |end| end.outcomes[0] == Some(Status(200)) && end.token.is_some(),
        ..Scene::new("rejected request, sign-in, the login refused", Start::Rejected, [Request, SignIn]).faults(
            1,
            &[Refuse, Lose],
            &[],
        )
    });
}

#[test]
fn sign_in_and_sign_out_end_as_the_last_of_them_says() {
    walk(&Scene {
        token_calls: 2,
        drops: 1,
        ..Scene::new("request, sign-in, sign-out, one dropped", Start::Fresh, [Request, SignIn, SignOut])
    });
}

#[test]
fn a_flight_that_is_superseded_before_it_could_send_sends_nothing() {
    let mut scene = Scene {
        token_calls: 2,
        ..Scene::new("request, expired, set, sign-out, busy endpoint", Start::Expired, [Request, Set(50), SignOut])
    };
    scene.server.is_busy = true;
    walk(&scene);
}
