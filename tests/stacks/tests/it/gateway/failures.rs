//! What the client is told when the layer has no answer.

use bytes::Bytes;
use http::{Response, StatusCode, header::RETRY_AFTER};
use serde_json::Value;
use tokio::net::TcpListener;

use super::{
    program::{Gateway, json},
    token_endpoint::{Always, Gate, QUECTEL_LOGIN, Served, quectel},
    upstream::{Upstream, with_token},
};

/// Status, `error`, and `Retry-After` in seconds.
pub fn told(answer: &Response<Bytes>) -> (u16, String, Option<u64>) {
    let body = json(answer);
    assert_eq!(answer.headers()["content-type"], "application/json");
    let members: Vec<_> = body.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(members, ["error", "message"]);
    assert!(!body["message"].as_str().unwrap().is_empty());
    let retry_after = answer.headers().get(RETRY_AFTER).map(|after| after.to_str().unwrap().parse().unwrap());
    (answer.status().as_u16(), body["error"].as_str().unwrap().to_owned(), retry_after)
}

fn reply(status: u16, retry_after: Option<&'static str>, body: &'static str) -> Response<Bytes> {
    let mut reply = Response::builder().status(status).header("content-type", "application/json");
    if let Some(after) = retry_after {
        reply = reply.header(RETRY_AFTER, after);
    }
    reply.body(Bytes::from(body)).unwrap()
}

async fn first_answer(faults: fn() -> Response<Bytes>) -> (u16, String, Option<u64>) {
    let server = Served::behind(quectel(), Some(Always(faults))).await;
    told(&Gateway::start(&server.quectel("")).await.get("/v2/devices").await)
}

#[tokio::test]
async fn a_token_endpoint_that_asks_for_patience_names_the_next_try() {
    for (faults, at_most) in [
        ((|| reply(503, Some("7"), "")) as fn() -> _, 7),
        (|| reply(429, Some("9"), ""), 9),
        (|| reply(500, None, ""), 1),
        (|| reply(502, None, "<html>"), 1),
    ] {
        let (status, error, retry_after) = first_answer(faults).await;
        assert_eq!((status, error.as_str()), (503, "unavailable"));
        let after = retry_after.unwrap();
        assert!(after <= at_most && after >= at_most - 1 && after >= 1, "{after} of {at_most}");
    }
}

#[tokio::test]
async fn an_answer_that_cannot_be_read_is_malformed() {
    let (status, error, retry_after) = first_answer(|| reply(200, None, "<html>")).await;
    assert_eq!((status, error.as_str(), retry_after), (503, "malformed", Some(1)));
}

#[tokio::test]
async fn a_token_endpoint_that_cannot_be_reached_is_a_transport_error() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = closed.local_addr().unwrap();
    drop(closed);
    let config = format!(
        "listen = \"127.0.0.1:0\"\nupstream = \"http://{addr}\"\nallow_http = true\n[provider]\nkind = \"quectel\"\n\
         base_url = \"http://{addr}\"\n{QUECTEL_LOGIN}"
    );
    let answer = told(&Gateway::start(&config).await.get("/v2/devices").await);
    assert_eq!(answer, (503, "transport".to_owned(), Some(1)));
}

#[tokio::test]
async fn a_token_endpoint_to_which_there_is_no_connection_was_sent_nothing() {
    let config = "listen = \"127.0.0.1:0\"\nupstream = \"http://gateway.invalid\"\nallow_http = true\n\
                  [provider]\nkind = \"quectel\"\nbase_url = \"http://gateway.invalid\"\n";
    let answer = Gateway::start(&format!("{config}{QUECTEL_LOGIN}")).await.get("/v2/devices").await;
    assert_eq!(told(&answer).1, "transport");
    let message = json(&answer)["message"].as_str().unwrap().to_owned();
    assert!(message.contains("the token request could not be sent"), "{message}");
}

#[tokio::test]
async fn a_token_endpoint_that_does_not_answer_in_time_is_timed_out() {
    let server = Served::behind(quectel(), Some(Gate::new())).await;
    let gateway = Gateway::start(&server.quectel("[policy]\nflight_deadline = \"100ms\"")).await;
    assert_eq!(told(&gateway.get("/v2/devices").await), (503, "timed-out".to_owned(), Some(1)));
    let status = gateway.status().await;
    assert_eq!(status["state"], "failing");
    assert!(status["next_try_at_ms"].as_u64().unwrap() > 1_700_000_000_000, "{status}");
}

#[tokio::test]
async fn a_refused_login_is_told_and_not_repeated() {
    let server = Served::new(quectel()).await;
    let gateway = Gateway::start(&server.config("quectel", &QUECTEL_LOGIN.replace("china1234", "wrong"), "")).await;
    for _ in 0..3 {
        assert_eq!(told(&gateway.get("/v2/devices").await), (502, "refused".to_owned(), None));
    }
    assert_eq!((server.api.counts().refused_token_calls, server.api.counts().api_requests), (1, 0));
    let status = gateway.status().await;
    assert_eq!((&status["state"], &status["next_try_at_ms"]), (&"failing".into(), &Value::Null));
}

#[tokio::test]
async fn without_a_token_and_a_login_somebody_must_sign_in() {
    let server = Served::new(quectel()).await;
    let gateway = Gateway::start(&server.config("quectel", "", "")).await;
    assert_eq!(gateway.status().await["state"], "signed-out");
    assert_eq!(told(&gateway.get("/v2/devices").await), (502, "sign-in-required".to_owned(), None));
    assert_eq!(server.api.counts().api_requests, 0);
    // People are told when they start it, and not by their first request.
    assert!(gateway.terminate().await.stderr.contains("neither a token nor a login"));
}

#[tokio::test]
async fn a_guard_that_is_up_names_when_it_is_down_again() {
    let server = Served::behind(quectel(), Some(Always(|| reply(503, None, "")))).await;
    let policy = "[policy]\nguard_flights = 1\nguard_window = \"1h\"\nbackoff_min = \"1ms\"\nbackoff_max = \"1ms\"";
    let gateway = Gateway::start(&server.quectel(policy)).await;
    loop {
        let (status, error, retry_after) = told(&gateway.get("/v2/devices").await);
        assert_eq!(status, 503);
        if error == "too-many-refreshes" {
            assert!((3_500..=3_600).contains(&retry_after.unwrap()), "{retry_after:?}");
            return;
        }
        assert_eq!(error, "unavailable");
    }
}

#[tokio::test]
async fn an_answer_handed_back_after_a_failed_refresh_stays_as_it_is() {
    // The token does not end, and the server does not know it; nobody can log in.
    let upstream = Upstream::start(|_| async {
        let mut answer = super::upstream::whole("{\"code\":5032,\"msg\":\"expired\",\"data\":null}");
        *answer.status_mut() = StatusCode::UNAUTHORIZED;
        answer.headers_mut().insert("www-authenticate", "Custom".parse().unwrap());
        answer.headers_mut().insert("content-type", "application/json".parse().unwrap());
        answer
    })
    .await;
    let folder = super::program::Folder::new();
    let gateway =
        Gateway::start_with(&folder, &with_token(&folder, &format!("http://{}", upstream.addr), ""), &[]).await;
    let answer = gateway.get("/").await;
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(answer.body(), "{\"code\":5032,\"msg\":\"expired\",\"data\":null}");
    let mut names: Vec<_> = answer.headers().keys().map(|name| name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["content-length", "content-type", "via", "www-authenticate"]);
}

#[tokio::test]
async fn a_good_token_serves_while_the_token_endpoint_is_down() {
    let server = Served::behind(quectel(), Some(Always(|| reply(503, None, "")))).await;
    let folder = super::program::Folder::new();
    let token = folder.write("initial.json", r#"{"version":1,"access_token":"Bearer unknown","refresh_token":"r"}"#);
    let config = server.quectel(&format!("[token]\nfile = \"{token}\""));
    let gateway = Gateway::start_with(&folder, &config, &[]).await;
    // The server does not know it: its own answer comes back, and no error of the gateway's.
    for _ in 0..2 {
        let answer = gateway.get("/v2/devices").await;
        assert_eq!((answer.status(), &json(&answer)["code"]), (StatusCode::OK, &5032.into()));
    }
    assert_eq!(gateway.status().await["state"], "failing");
}
