//! Nobody has signed in yet.

use super::{
    super::{
        scene::{Does::*, Scene, Start},
        walk,
    },
    WELCOME, all_are_served,
};

#[test]
fn three_requests_without_a_token_share_one_login() {
    walk(&Scene {
        ends: |end| end.outcomes == [WELCOME; 3] && end.sends == [1; 3] && end.logins == 1,
        ..Scene::new("three cold requests", Start::Cold, [Request; 3])
    });
}

#[test]
fn a_login_survives_a_request_that_is_dropped_anywhere() {
    walk(&Scene {
        drops: 1,
        calls_first: true,
        ends: all_are_served,
        ..Scene::new("two cold requests, one dropped", Start::Cold, [Request; 2])
    });
}

#[test]
fn requests_survive_a_drop_and_an_aborted_flight() {
    walk(&Scene {
        drops: 1,
        aborts: 1,
        token_calls: 2,
        ..Scene::new("three cold requests, one dropped, a flight aborted", Start::Cold, [Request; 3])
    });
}

#[test]
fn callers_of_token_share_the_login_of_a_request() {
    walk(&Scene {
        drops: 1,
        ends: all_are_served,
        ..Scene::new("a request and two callers of token", Start::Cold, [Request, Token, Token])
    });
}
