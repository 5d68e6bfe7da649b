//! The first token: C1 to C6.

use std::time::Duration;

use http::StatusCode;

use crate::support::{TestProvider, World, client, get, send, send_all, session};

#[tokio::test]
async fn a_hundred_requests_without_a_token_make_one_login_and_all_carry_its_token() {
    let world = World::new();
    let client = client(&world, &session(&world, TestProvider::new()));

    let answers = send_all(&client, 100).await;

    assert!(answers.iter().all(|answer| answer.as_ref().unwrap().status() == StatusCode::OK));
    let counts = world.counts();
    assert_eq!((counts.logins, counts.refreshes, counts.api), (1, 0, 100));
    assert!(world.tokens().iter().all(|token| token == "Bearer access-1"));
}

#[tokio::test]
async fn a_rejected_request_is_renewed_once_and_sent_again() {
    let world = World::new();
    let session = session(&world, TestProvider::new());
    session.set(TestProvider::token(7, Duration::from_secs(1000), world.clock.wall())).unwrap();
    world.grant(7);
    world.revoke_access();

    let answer = send(&client(&world, &session), get("/")).await.unwrap();

    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(world.tokens(), ["Bearer access-7", "Bearer access-8"]);
    assert_eq!(world.counts().token_calls(), 1);
}
