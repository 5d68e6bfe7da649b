//! Another thread does whole steps in the middle of one.

use super::{
    super::{
        scene::{Does::*, Scene, Start},
        walk,
    },
    all_are_served, one_refresh_serves_all,
};

#[test]
fn whole_steps_may_happen_between_what_a_cold_request_sees_and_what_it_does() {
    walk(&Scene {
        preemptions: 1,
        ends: all_are_served,
        ..Scene::new("three cold requests, preempted", Start::Cold, [Request; 3])
    });
}

#[test]
fn whole_steps_may_happen_in_the_middle_of_a_rejection() {
    walk(&Scene {
        preemptions: 1,
        ends: one_refresh_serves_all,
        ..Scene::new("two rejected requests, preempted", Start::Rejected, [Request; 2])
    });
}

#[test]
fn whole_steps_may_happen_in_the_middle_of_a_set() {
    walk(&Scene {
        preemptions: 2,
        ends: |end| all_are_served(end) && end.token == Some(50),
        ..Scene::new("two rejected requests, set, preempted twice", Start::Rejected, [Request, Request, Set(50)])
    });
}

#[test]
fn whole_steps_may_happen_in_the_middle_of_a_sign_out() {
    walk(&Scene {
        preemptions: 2,
        token_calls: 2,
        drops: 1,
        ..Scene::new(
            "request, sign-in, sign-out, one dropped, preempted twice",
            Start::Fresh,
            [Request, SignIn, SignOut],
        )
    });
}

#[test]
fn whole_steps_may_happen_in_the_middle_of_an_abort() {
    walk(&Scene {
        preemptions: 1,
        drops: 1,
        aborts: 1,
        token_calls: 2,
        ..Scene::new("two requests, expired, one dropped, aborted, preempted", Start::Expired, [Request; 2])
    });
}
