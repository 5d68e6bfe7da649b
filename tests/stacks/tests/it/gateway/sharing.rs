//! Several gateways on one store: processes of their own that are signed in once.

use http::StatusCode;

use super::{
    program::{Folder, Gateway, json},
    token_endpoint::{Served, quectel},
};
use crate::{redis_store::server::Redis, support::loopback::Counts};

/// Each of them sends a request at the same time, and each is accepted.
async fn all_accepted(gateways: &[Gateway]) {
    for answer in futures::future::join_all(gateways.iter().map(|gateway| gateway.get("/v2/devices"))).await {
        assert_eq!((answer.status(), &json(&answer)["code"]), (StatusCode::OK, &200.into()));
    }
}

/// Two gateways with that store: what they ask the token endpoint for, together.
async fn token_calls(store: &str) -> Counts {
    let server = Served::new(quectel()).await;
    // Each has its own configuration.
    let folders = [Folder::new(), Folder::new()];
    let config = server.quectel(&format!("[store]\n{store}"));
    let starting = folders.iter().map(|folder| Gateway::start_with(folder, &config, &[]));
    let gateways = futures::future::join_all(starting).await;
    all_accepted(&gateways).await;
    server.api.revoke();
    all_accepted(&gateways).await;
    for gateway in gateways {
        assert_eq!(gateway.status().await["generation"], 2);
        assert_eq!(gateway.terminate().await.status.code(), Some(0));
    }
    let counts = server.api.counts();
    Counts { api_requests: 0, accepted: 0, rejected: 0, ..counts }
}

const ONCE: Counts = Counts {
    api_requests: 0,
    accepted: 0,
    rejected: 0,
    logins: 1,
    refreshes: 1,
    refused_token_calls: 0,
    double_spent: 0,
};

#[tokio::test]
async fn two_gateways_on_one_file_log_in_once_and_refresh_once() {
    let folder = Folder::new();
    assert_eq!(token_calls(&format!("kind = \"file\"\npath = {:?}", folder.path("token.json"))).await, ONCE);
}

#[tokio::test]
async fn two_gateways_on_one_redis_log_in_once_and_refresh_once() {
    let redis = Redis::start().await;
    assert_eq!(token_calls(&format!("kind = \"redis\"\nurl = {:?}\nkey = \"shared\"", redis.url())).await, ONCE);
}
