//! Many connections at once, while tokens end.

use http::Request;
use http_body_util::{BodyExt, Full};

use super::{program::Gateway, token_endpoint::Served};
use crate::support::loopback::{HttpClient, QuectelApi, http1_client};

const CONNECTIONS: usize = 200;
const EXPIRIES: u64 = 3;

/// Sends one request after the other on a connection of its own until the server has granted `EXPIRIES` more tokens than
/// the first; how many were sent, and how many of them failed.
async fn keep_asking(gateway: &Gateway, client: HttpClient, server: &Served) -> (u64, u64) {
    let (mut sent, mut failed) = (0, 0);
    while server.api.counts().refreshes < EXPIRIES {
        sent += 1;
        let request = Request::post(gateway.uri("/v2/devices")).body(Full::from("payload")).unwrap();
        let answer = client.request(request).await.unwrap();
        let success = answer.status().is_success();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        failed += u64::from(!success || body["code"] != 200 || body["data"]["body"] != "payload");
    }
    (sent, failed)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_connections_live_through_three_expiries_without_a_failure() {
    let lifetime = std::time::Duration::from_secs(2);
    let server = Served::new(QuectelApi::with_lifetimes(lifetime, lifetime * 1_000)).await;
    let gateway = Gateway::start(&server.quectel("")).await;
    let connections = (0..CONNECTIONS).map(|_| keep_asking(&gateway, http1_client(1), &server));
    let totals = futures::future::join_all(connections).await;
    let (sent, failed) = totals.iter().fold((0, 0), |(sent, failed), total| (sent + total.0, failed + total.1));
    let counts = server.api.counts();
    assert_eq!(failed, 0, "of {sent}: {counts:?}");
    assert_eq!((counts.logins, counts.double_spent, counts.refused_token_calls), (1, 0, 0));
    assert!(counts.accepted == sent && sent >= CONNECTIONS as u64, "{sent}: {counts:?}");
}
