//! `/-/status` and the room around it.

use http::{Method, Request, StatusCode};
use http_body_util::Full;
use serde_json::json;

use super::{
    program::Gateway,
    token_endpoint::{Gate, Served, quectel},
    upstream::Upstream,
    wire,
};

#[tokio::test]
async fn it_is_signed_out_before_the_first_token_and_fresh_after_it() {
    let server = Served::new(quectel()).await;
    let gateway = Gateway::start(&server.quectel("")).await;
    let before = json!({"state":"signed-out","generation":0,"expires_at_ms":null,"flights":0,"replays":0,"next_try_at_ms":null,"unsaved":false});
    assert_eq!(gateway.status().await, before);

    assert_eq!(gateway.get("/v2/devices").await.status(), StatusCode::OK);
    let after = gateway.status().await;
    assert!(after["expires_at_ms"].as_u64().unwrap() > 1_700_000_000_000);
    let expires = after["expires_at_ms"].clone();
    let fresh = json!({"state":"fresh","generation":1,"expires_at_ms":expires,"flights":1,"replays":0,"next_try_at_ms":null,"unsaved":false});
    assert_eq!(after, fresh);
}

#[tokio::test]
async fn refreshing_wins_while_a_flight_is_under_way() {
    let gate = Gate::new();
    let server = Served::behind(quectel(), Some(gate.clone())).await;
    let gateway = Gateway::start(&server.quectel("")).await;
    let (answer, ()) = tokio::join!(gateway.get("/v2/devices"), async {
        gate.arrivals(1).await;
        assert_eq!(gateway.status().await["state"], "refreshing");
        gate.let_through(1);
    });
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(gateway.status().await["state"], "fresh");
}

#[tokio::test]
async fn a_replay_is_counted() {
    let server = Served::new(quectel()).await;
    let gateway = Gateway::start(&server.quectel("")).await;
    gateway.get("/v2/devices").await;
    server.api.revoke();
    assert_eq!(gateway.get("/v2/devices").await.status(), StatusCode::OK);
    let status = gateway.status().await;
    assert_eq!((&status["flights"], &status["replays"], &status["generation"]), (&json!(2), &json!(1), &json!(2)));
}

#[tokio::test]
async fn only_get_and_head_are_answered() {
    let upstream = Upstream::mirror().await;
    let gateway = upstream.gateway().await;
    let head = wire::exchange(gateway.addr, &wire::head("HEAD", gateway.addr, "/-/status", &[])).await;
    assert!(wire::status(&head) == 200 && head.ends_with("\r\n\r\n"), "{head}");
    for method in [Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS] {
        let request = Request::builder().method(method).uri(gateway.uri("/-/status"));
        let answer = gateway.send(request.body(Full::default()).unwrap()).await;
        assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(answer.headers()["allow"], "GET,HEAD");
        assert_eq!(super::program::json(&answer)["error"], "method-not-allowed");
    }
}

#[tokio::test]
async fn the_room_behind_it_is_empty_and_what_looks_like_it_is_the_upstreams() {
    let upstream = Upstream::mirror().await;
    let gateway = upstream.gateway().await;
    for path in ["/-/", "/-/status/", "/-/other", "/-//status", "/-/status/x"] {
        let answer = gateway.get(path).await;
        assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{path}");
        assert_eq!(super::program::json(&answer)["error"], "not-found", "{path}");
    }
    for path in ["/-", "/-x", "//-/status", "/%2D/status", "/x/-/status"] {
        let answer = gateway.get(path).await;
        assert!(answer.body().starts_with(format!("GET {path}\n").as_bytes()), "{path}");
    }
    assert_eq!(gateway.get("/-/status?pretty").await.status(), StatusCode::OK);
}
