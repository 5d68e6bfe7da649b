//! A run with everything in it, logged as loudly as can be, and searched for secrets.

use std::{collections::BTreeSet, fs};

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use super::{
    program::{Folder, Gateway},
    token_endpoint::{QUECTEL_LOGIN, Served, quectel},
};
use crate::support::loopback::{AccuatApi, Api, FashionWorldApi, KanfangApi, http2_client};

/// What one scene knows that nobody may read.
struct Secrets(BTreeSet<String>);

impl Secrets {
    fn add(&mut self, secret: &str) {
        // As it travels, in any of the ways that a secret may be written.
        let encoded = utf8_percent_encode(secret, NON_ALPHANUMERIC).to_string();
        let form = encoded.replace("%20", "+").replace("%2E", ".").replace("%2D", "-").replace("%5F", "_");
        let escaped = secret.escape_debug().to_string();
        self.0.extend([secret.to_owned(), encoded, form, escaped, STANDARD.encode(secret)]);
    }

    /// The tokens in the store, as often as there are others.
    fn add_stored(&mut self, folder: &Folder) {
        let Ok(json) = fs::read(folder.path("token.json")) else { return };
        let stored: Value = serde_json::from_slice(&json).unwrap();
        for member in ["access_token", "refresh_token", "signing_key"] {
            if let Some(secret) = stored[member].as_str() {
                self.add(secret);
                self.add(secret.trim_start_matches("Bearer "));
            }
        }
    }
}

async fn search(kind: &str, login: &str, secrets: &[&str], api: impl Api, paths: [&str; 2], upstream_http2: bool) {
    let server = Served::new(api).await;
    let folder = Folder::new();
    let store = format!("[store]\nkind = \"file\"\npath = {:?}", folder.path("token.json"));
    let config = format!("upstream_http2 = {upstream_http2}\n{}", server.config(kind, login, &store));
    let gateway = Gateway::start_with(&folder, &config, &[("RUST_LOG", "trace")]).await;
    let mut known = Secrets(BTreeSet::new());
    secrets.iter().for_each(|secret| known.add(secret));

    let http2 = http2_client();
    for (round, client) in [&gateway.client, &http2, &gateway.client, &http2].into_iter().enumerate() {
        if round > 0 {
            server.api.revoke();
        }
        for path in paths {
            let request = Request::post(gateway.uri(path)).header("cookie", "own=1").body(Full::<Bytes>::from("body"));
            client.request(request.unwrap()).await.unwrap();
        }
        // What has just been granted is on disk before the next is.
        let generation = gateway.status().await["generation"].as_u64().unwrap();
        while fs::read(folder.path("token.json")).ok().is_none_or(|json| {
            serde_json::from_slice::<Value>(&json).unwrap()["generation"].as_u64().unwrap() < generation
        }) {
            tokio::task::yield_now().await;
        }
        known.add_stored(&folder);
    }
    let counts = server.api.counts();
    assert_eq!(counts.logins + counts.refreshes, 4, "{kind}: {counts:?}");
    let ended = gateway.terminate().await;
    let printed = format!("{}{}", ended.stdout, ended.stderr);
    assert!(printed.contains("TRACE hyper") && printed.contains("TRACE h2"), "nothing was logged");
    for secret in &known.0 {
        assert!(!printed.contains(secret), "{kind} prints a secret: {}", line_with(&printed, secret));
    }
}

fn line_with<'a>(printed: &'a str, secret: &str) -> &'a str {
    printed.lines().find(|line| line.contains(secret)).unwrap_or_default()
}

#[tokio::test]
async fn kanfang_prints_no_secret() {
    for place in ["header", "query", "cookie"] {
        for upstream_http2 in [false, true] {
            let login = format!("auth_key = \"demo-clinic\"\nauth_value = \"demo value & more\"\nplace = \"{place}\"");
            let secrets = ["demo-clinic", "demo value & more"];
            search("kanfang", &login, &secrets, KanfangApi::new(), ["/v2/x", "/v2/forbidden"], upstream_http2).await;
        }
    }
}

#[tokio::test]
async fn fashion_world_prints_no_secret() {
    let login = "mobile = \"13800000000\"\npassword = 'demo \"password\"'\n\
                 [provider.actions]\n\"POST /api/orders\" = \"client:order:create\"";
    for upstream_http2 in [false, true] {
        let secrets = ["13800000000", "demo \"password\""];
        let api = FashionWorldApi::new();
        search("fashion-world", login, &secrets, api, ["/api/orders", "/api/unknown"], upstream_http2).await;
    }
}

#[tokio::test]
async fn quectel_prints_no_secret() {
    for (refresh_in, api) in [("query", quectel()), ("form", quectel().refreshing_by_form())] {
        let login = format!("{QUECTEL_LOGIN}refresh_in = \"{refresh_in}\"");
        let secrets = ["demo+device@example.com", "china1234", "demo-user-domain-secret"];
        search("quectel", &login, &secrets, api, ["/v2/x", "/v2/forbidden"], refresh_in == "form").await;
    }
}

#[tokio::test]
async fn accuat_prints_no_secret() {
    for upstream_http2 in [false, true] {
        let login = "app_id = \"app-001\"\nsecret_key = \"s3cr3t\"";
        search("accuat", login, &["s3cr3t", "app-001"], AccuatApi::new(), ["/stores", "/forbidden"], upstream_http2)
            .await;
    }
}

#[tokio::test]
async fn a_failing_token_endpoint_has_no_secret_printed() {
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("http://{}", closed.local_addr().unwrap());
    drop(closed);
    let folder = Folder::new();
    let token = folder.write(
        "initial.json",
        r#"{"version":1,"access_token":"secret-access","refresh_token":"secret-refresh","expires_at_ms":1}"#,
    );
    let config = format!(
        "listen = \"127.0.0.1:0\"\nupstream = \"{uri}\"\nallow_http = true\n[provider]\nkind = \"accuat\"\n\
         base_url = \"{uri}\"\napp_id = \"secret-app\"\nsecret_key = \"secret-key\"\n[token]\nfile = \"{token}\""
    );
    let gateway = Gateway::start_with(&folder, &config, &[("RUST_LOG", "trace")]).await;
    let answer = gateway.get("/stores?own=secret-query").await;
    assert_eq!(answer.status(), 503);
    let ended = gateway.terminate().await;
    let printed = format!("{}{}{answer:?}", ended.stdout, ended.stderr);
    assert_eq!(line_with(&printed, "secret-"), "");
}
