//! The four kinds, each from its login over a refresh and a replay, with the servers' own counts.

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::Full;
use serde_json::Value;

use super::{
    program::{Folder, Gateway, json},
    token_endpoint::{Served, quectel},
    upstream::Upstream,
};
use crate::support::loopback::{AccuatApi, Counts, FashionWorldApi, KanfangApi, QuectelApi, http2_client};

const KANFANG: &str = "auth_key = \"demo-clinic\"\nauth_value = \"demo value & more\"";
const FASHION_WORLD: &str = "mobile = \"13800000000\"\npassword = 'demo \"password\"'\n\
    [provider.actions]\n\"POST /api/orders\" = \"client:order:create\"";
const ACCUAT: &str = "app_id = \"app-001\"\nsecret_key = \"s3cr3t\"\nlanguage = \"en-US\"";

/// Sends a body to `path` three times, with all access tokens ended before the third: the body arrives each time. What the
/// server has counted by then.
async fn three_posts(server: &Served, config: &str, path: &str, echo: fn(&Value) -> &Value) -> Counts {
    let gateway = Gateway::start(config).await;
    for round in 0..3 {
        if round == 2 {
            server.api.revoke();
        }
        let body = format!("body number {round}");
        let request = Request::post(gateway.uri(path)).body(Full::from(body.clone())).unwrap();
        let answer = gateway.send(request).await;
        assert_eq!(answer.status(), StatusCode::OK, "{:?}", answer.body());
        assert_eq!(echo(&json(&answer))["body"], body, "{:?}", answer.body());
    }
    let status = gateway.status().await;
    assert_eq!((&status["flights"], &status["replays"], &status["state"]), (&2.into(), &1.into(), &"fresh".into()));
    server.api.counts()
}

fn refreshed() -> Counts {
    Counts { api_requests: 4, accepted: 3, rejected: 1, logins: 1, refreshes: 1, ..Counts::default() }
}

#[tokio::test]
async fn kanfang_carries_its_token_in_any_of_three_places() {
    for more in
        ["", "\nplace = \"header\"", "\nplace = \"query\"", "\nplace = \"cookie\"\nclient_edtion = \"ps_1.0.0\""]
    {
        let server = Served::new(KanfangApi::new()).await;
        let config = server.config("kanfang", &format!("{KANFANG}{more}"), "");
        assert_eq!(three_posts(&server, &config, "/v2/patients", |answer| &answer["payload"]).await, refreshed());
    }
}

#[tokio::test]
async fn kanfang_refreshes_with_the_access_token_where_told_so() {
    let server = Served::new(KanfangApi::new().renewing_by_access()).await;
    let config = server.config("kanfang", &format!("{KANFANG}\nrefresh_with = \"access-token\""), "");
    assert_eq!(three_posts(&server, &config, "/v2/patients", |answer| &answer["payload"]).await, refreshed());
}

#[tokio::test]
async fn fashion_world_signs_each_attempt_with_the_action_of_its_route() {
    let server = Served::new(FashionWorldApi::new()).await;
    let config = server.config("fashion-world", FASHION_WORLD, "");
    // A pair that is rejected is gone: only a login helps.
    let counts = three_posts(&server, &config, "/api/orders", |answer| &answer["echo"]).await;
    assert_eq!(counts, Counts { api_requests: 4, accepted: 3, rejected: 1, logins: 2, ..Counts::default() });
}

#[tokio::test]
async fn quectel_refreshes_in_the_query_or_in_a_form() {
    let server = Served::new(quectel()).await;
    let counts = three_posts(&server, &server.quectel(""), "/v2/devices", |answer| &answer["data"]).await;
    assert_eq!(counts, refreshed());

    let server = Served::new(quectel().refreshing_by_form().refusing_by_status()).await;
    let config = server.quectel("refresh_in = \"form\"");
    assert_eq!(three_posts(&server, &config, "/v2/devices", |answer| &answer["data"]).await, refreshed());
}

#[tokio::test]
async fn quectel_logs_in_by_phone() {
    let server = Served::new(quectel()).await;
    let (phone, code) = (QuectelApi::PHONE, QuectelApi::COUNTRY);
    let login = format!(
        "phone = \"{phone}\"\ninternational_code = \"{code}\"\npassword = \"china1234\"\nuser_domain = \"C.DM.5903.1\"\n\
         user_domain_secret = \"demo-user-domain-secret\""
    );
    let config = server.config("quectel", &login, "");
    assert_eq!(three_posts(&server, &config, "/v2/devices", |answer| &answer["data"]).await, refreshed());
}

#[tokio::test]
async fn accuat_carries_its_token_in_the_query() {
    let server = Served::new(AccuatApi::new()).await;
    let config = server.config("accuat", ACCUAT, "");
    assert_eq!(three_posts(&server, &config, "/stores?token=own", |answer| &answer["Data"]).await, refreshed());
}

#[tokio::test]
async fn secrets_come_from_the_environment_as_well() {
    let server = Served::new(quectel()).await;
    let login = "email = { env = \"EMAIL\" }\npassword = { env = \"PASSWORD\" }\nuser_domain = \"C.DM.5903.1\"\n\
                 user_domain_secret = { env = \"SECRET\" }";
    let env = [("EMAIL", QuectelApi::EMAIL), ("PASSWORD", "china1234"), ("SECRET", QuectelApi::USER_DOMAIN_SECRET)];
    let gateway = Gateway::start_with(&Folder::new(), &server.config("quectel", login, ""), &env).await;
    assert_eq!(json(&gateway.get("/v2/devices").await)["code"], 200);
}

#[tokio::test]
async fn an_action_is_taken_from_the_request_and_goes_no_further() {
    let server = Served::new(FashionWorldApi::new()).await;
    let gateway = Gateway::start(&server.config("fashion-world", FASHION_WORLD, "")).await;
    let get = |action: &'static [&'static str]| {
        let mut request = Request::get(gateway.uri("/api/my/profile")).body(Full::<Bytes>::default()).unwrap();
        for action in action {
            request.headers_mut().append("X-Caa-Action", action.parse().unwrap());
        }
        gateway.send(request)
    };
    assert_eq!(get(&["client:my:fetch-my-profile"]).await.status(), StatusCode::OK);
    for bad in [&["a", "a"][..], &[""], &["é"]] {
        let answer = get(bad).await;
        assert_eq!((answer.status(), &json(&answer)["error"]), (StatusCode::BAD_REQUEST, &"bad-action".into()));
    }
    // It wins over the route's.
    let request =
        Request::post(gateway.uri("/api/orders")).header("x-caa-action", "wrong").body(Full::default()).unwrap();
    assert_eq!(json(&gateway.send(request).await)["message"], "invalid signature");

    let mirror = Upstream::mirror().await;
    let folder = Folder::new();
    let token = folder.write("initial.json", r#"{"version":1,"access_token":"a","signing_key":"k"}"#);
    for (kind, removed) in [("fashion-world", true), ("quectel", false)] {
        let uri = format!("http://{}", mirror.addr);
        let config = format!(
            "listen = \"127.0.0.1:0\"\nupstream = \"{uri}\"\nallow_http = true\n[provider]\nkind = \"{kind}\"\n\
             base_url = \"{uri}\"\n[token]\nfile = \"{token}\""
        );
        let gateway = Gateway::start_with(&folder, &config, &[]).await;
        let request = Request::get(gateway.uri("/")).header("x-caa-action", "some").body(Full::default()).unwrap();
        let answer = gateway.send(request).await;
        assert_eq!(String::from_utf8_lossy(answer.body()).contains("x-caa-action"), !removed, "{kind}");
    }
}

#[tokio::test]
async fn a_route_without_an_action_is_told_without_its_query() {
    let server = Served::new(FashionWorldApi::new()).await;
    let gateway = Gateway::start(&server.config("fashion-world", FASHION_WORLD, "")).await;
    let answer = gateway.get("/api/unknown?token=hush").await;
    assert_eq!((answer.status(), &json(&answer)["error"]), (StatusCode::BAD_GATEWAY, &"fault".into()));
    let message = json(&answer)["message"].as_str().unwrap().to_owned();
    assert!(message.contains("GET /api/unknown") && !message.contains("hush"), "{message}");
    assert_eq!(server.api.counts().api_requests, 0);
}

#[tokio::test]
async fn an_action_is_found_by_the_path_that_the_client_has_sent() {
    let mirror = Upstream::mirror().await;
    let folder = Folder::new();
    let token = folder.write("initial.json", r#"{"version":1,"access_token":"a","signing_key":"k"}"#);
    let uri = format!("http://{}/prefix", mirror.addr);
    let config = format!(
        "listen = \"127.0.0.1:0\"\nupstream = \"{uri}\"\nallow_http = true\n[provider]\nkind = \"fashion-world\"\n\
         base_url = \"{uri}\"\n[provider.actions]\n\"GET /api/my\" = \"client:my\"\n[token]\nfile = \"{token}\""
    );
    let gateway = Gateway::start_with(&folder, &config, &[]).await;
    let answer = gateway.get("/api/my?x=1").await;
    assert!(answer.body().starts_with(b"GET /prefix/api/my?x=1\n"), "{:?}", answer.body());
    assert_eq!(gateway.get("/prefix/api/my").await.status(), StatusCode::BAD_GATEWAY);
    let post = Request::builder().method(Method::POST).uri(gateway.uri("/api/my")).body(Full::default()).unwrap();
    assert_eq!(gateway.send(post).await.status(), StatusCode::BAD_GATEWAY);
}

#[tokio::test]
async fn a_body_is_sent_again_up_to_the_bound_and_no_longer_one() {
    for (bound, length, replayed) in [
        ("64KiB", 64 << 10, true),
        ("64KiB", (64 << 10) + 1, false),
        ("0", 1, false),
        ("0", 0, true),
        ("10B", 10, true),
    ] {
        let server = Served::new(quectel()).await;
        let gateway = Gateway::start(&format!("replay_body = \"{bound}\"\n{}", server.quectel(""))).await;
        gateway.get("/v2/devices").await;
        server.api.revoke();
        let body = Full::from("x".repeat(length));
        let answer = gateway.send(Request::post(gateway.uri("/v2/devices")).body(body).unwrap()).await;
        assert_eq!(json(&answer)["code"], if replayed { 200 } else { 5032 }, "{bound} {length}");
        // The refresh happens either way, though nobody waits for it where it cannot help.
        let status = gateway.until(|status| status["generation"] == 2).await;
        assert_eq!((&status["flights"], &status["replays"]), (&2.into(), &u64::from(replayed).into()));
        assert_eq!(server.api.counts().refreshes, 1);
    }
}

#[tokio::test]
async fn a_hundred_rejected_requests_over_one_http2_connection_cost_one_refresh() {
    let server = Served::new(quectel()).await;
    let gateway = Gateway::start(&server.quectel("")).await;
    gateway.get("/v2/devices").await;
    server.api.revoke();
    let client = http2_client();
    let requests = (0..100).map(|_| {
        let request = Request::post(gateway.uri("/v2/devices")).body(Full::from("x")).unwrap();
        let answer = client.request(request);
        async { answer.await.unwrap().status() }
    });
    assert!(futures::future::join_all(requests).await.iter().all(StatusCode::is_success));
    let counts = server.api.counts();
    assert_eq!((counts.accepted, counts.logins, counts.refreshes, counts.double_spent), (101, 1, 1, 0));
}
