//! A generated client, as people use it.

use futures::future::join_all;
use tonic::{Code, Status, service::interceptor::InterceptedService};
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};
use tower::{Layer, limit::ConcurrencyLimit};

use super::{scene::Scene, server::Refusal};

fn all() -> HealthCheckRequest {
    HealthCheckRequest::default()
}

#[tokio::test]
async fn the_first_call_fetches_the_first_token_and_later_ones_use_it() {
    let scene = Scene::start().await;
    let mut client = HealthClient::new(scene.client());
    for _ in 0..3 {
        let answer = client.check(all()).await.unwrap().into_inner();
        assert_eq!(answer.status(), ServingStatus::Serving);
    }
    assert_eq!(scene.counts(), (3, 0, 1, 0));
}

#[tokio::test]
async fn a_unary_call_that_is_rejected_is_sent_again_with_the_next_token() {
    let scene = Scene::start().await;
    let mut client = HealthClient::new(scene.with_revoked_token().await);
    assert_eq!(client.check(all()).await.unwrap().into_inner().status(), ServingStatus::Serving);
    assert_eq!(scene.api.tokens(), [Some("access-1".into()), Some("access-2".into())]);
    assert_eq!(scene.counts(), (2, 1, 2, 1));
}

#[tokio::test]
async fn a_server_stream_that_is_rejected_is_sent_again_with_the_next_token() {
    let scene = Scene::start().await;
    let mut client = HealthClient::new(scene.with_revoked_token().await);
    let mut watch = client.watch(all()).await.unwrap().into_inner();
    assert_eq!(watch.message().await.unwrap().unwrap().status(), ServingStatus::Serving);
    assert_eq!(scene.counts(), (2, 1, 2, 1));
}

#[tokio::test]
async fn a_replay_that_is_rejected_as_well_is_the_last_and_its_status_is_the_callers() {
    let scene = Scene::start().await;
    scene.api.accept(3);
    let mut client = HealthClient::new(scene.client());
    let status = client.check(all()).await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::Unauthenticated, "the token has expired"));
    assert_eq!(status.metadata().get("x-reason").unwrap(), "expired");
    assert_eq!(scene.counts(), (2, 2, 2, 1));
}

#[tokio::test]
async fn a_hundred_calls_that_are_rejected_at_once_cause_one_refresh() {
    let scene = Scene::start().await;
    scene.session.token().await.unwrap();
    scene.api.accept(2);
    // Nobody gets the next token before everybody has been refused.
    scene.idp.gate().hold();
    let client = HealthClient::new(scene.client());
    let calls = (0..100).map(|_| {
        let mut client = client.clone();
        async move { client.check(all()).await.map(|answer| answer.into_inner().status()) }
    });
    let release = async {
        while scene.api.refused() < 100 {
            tokio::task::yield_now().await;
        }
        scene.idp.gate().release();
    };
    let (answers, ()) = futures::future::join(join_all(calls), release).await;
    assert!(answers.into_iter().all(|answer| answer.unwrap() == ServingStatus::Serving));
    assert_eq!(scene.counts(), (200, 100, 2, 100));
}

#[tokio::test]
async fn a_hundred_calls_without_a_token_cause_one_login() {
    let scene = Scene::start().await;
    let client = HealthClient::new(scene.client());
    let calls = (0..100).map(|_| {
        let mut client = client.clone();
        async move { client.check(all()).await }
    });
    assert!(join_all(calls).await.into_iter().all(|answer| answer.is_ok()));
    assert_eq!(scene.counts(), (100, 0, 1, 0));
}

#[tokio::test]
async fn under_a_limit_of_one_call_at_a_time_rejected_calls_do_not_hinder_one_another() {
    let scene = Scene::start().await;
    scene.with_revoked_token().await;
    let limited = ConcurrencyLimit::new(scene.channel.clone(), 1);
    let client = HealthClient::new(scene.layer().layer(limited));
    let calls = (0..10).map(|_| {
        let mut client = client.clone();
        async move { client.check(all()).await }
    });
    assert!(join_all(calls).await.into_iter().all(|answer| answer.is_ok()));
    // One at a time: the first is refused, and the others have waited for the token that it brought.
    assert_eq!(scene.counts(), (11, 1, 2, 1));
}

#[tokio::test]
async fn an_interceptor_around_the_layer_adds_what_both_sends_carry() {
    let scene = Scene::start().await;
    let add = |mut request: tonic::Request<()>| {
        request.metadata_mut().insert("x-trace", "7".parse().unwrap());
        Ok(request)
    };
    let mut client = HealthClient::with_interceptor(scene.with_revoked_token().await, add);
    client.check(all()).await.unwrap();
    let calls = scene.api.calls();
    assert_eq!(calls.len(), 2);
    assert!(calls.iter().all(|call| call.headers["x-trace"] == "7"));
}

#[tokio::test]
async fn an_interceptor_inside_of_the_layer_sees_the_token_of_each_send() {
    let scene = Scene::start().await;
    scene.with_revoked_token().await;
    let seen = std::sync::Arc::new(std::sync::Mutex::new(vec![]));
    let log = seen.clone();
    let look = move |request: tonic::Request<()>| {
        let token = request.metadata().get("authorization").unwrap().to_str().unwrap().to_owned();
        log.lock().unwrap().push(token);
        Ok::<_, Status>(request)
    };
    let inside = InterceptedService::new(scene.channel.clone(), look);
    HealthClient::new(scene.layer().layer(inside)).check(all()).await.unwrap();
    assert_eq!(*seen.lock().unwrap(), ["Bearer access-1", "Bearer access-2"]);
}

#[tokio::test]
async fn a_refusal_behind_a_request_that_was_read_is_the_same() {
    let scene = Scene::start().await;
    scene.api.refuse(Refusal::Afterwards);
    let mut client = HealthClient::new(scene.with_revoked_token().await);
    client.check(all()).await.unwrap();
    assert_eq!(scene.counts(), (2, 1, 2, 1));
}
