//! A Redis server that outlives the process.

use std::collections::BTreeSet;

use http::{Request, StatusCode};
use http_body_util::Full;
use secrecy::ExposeSecret;
use tower_auth_refresh::store::{RedisStore, TokenStore};

use super::{
    failures::told,
    program::{Ended, Folder, Gateway, command, json, run},
    token_endpoint::{Gate, Served, quectel},
};
use crate::{
    redis_store::{
        scene::{until_async, within},
        server::Redis,
    },
    support::loopback::Counts,
};

const PASSWORD: &str = "hunter2-of-redis";

/// 32 bytes, all of them 7.
const KEY: &str = "0707070707070707070707070707070707070707070707070707070707070707";

/// A token endpoint, and gateways with a store on a Redis server.
struct Scene {
    folder: Folder,
    server: Served,
}

impl Scene {
    async fn new() -> Self {
        Self::on(Served::new(quectel()).await)
    }

    fn on(server: Served) -> Self {
        Self { folder: Folder::new(), server }
    }

    fn config(&self, redis: &Redis, more: &str) -> String {
        let url = redis.url();
        self.server.quectel(&format!("[store]\nkind = \"redis\"\nurl = \"{url}\"\nkey = \"devices\"\n{more}"))
    }

    async fn start(&self, redis: &Redis) -> Gateway {
        Gateway::start_with(&self.folder, &self.config(redis, ""), &[]).await
    }

    async fn refusal(&self, redis: &Redis, more: &str) -> String {
        let ended = run(command(&self.folder, &self.config(redis, more), &[])).await;
        assert_eq!((ended.status.code(), ended.stderr.lines().count()), (Some(2), 1), "{}", ended.stderr);
        assert!(!ended.stderr.contains("hunter2"), "{}", ended.stderr);
        ended.stderr
    }
}

async fn accepted(gateway: &Gateway) {
    let answer = gateway.get("/v2/devices").await;
    assert_eq!((answer.status(), &json(&answer)["code"]), (StatusCode::OK, &200.into()));
}

#[tokio::test]
async fn a_gateway_goes_on_with_what_the_one_before_has_stored() {
    let (scene, redis) = (Scene::new().await, Redis::start().await);
    let gateway = scene.start(&redis).await;
    accepted(&gateway).await;
    gateway.terminate().await;
    let gateway = scene.start(&redis).await;
    gateway.until(|status| status["state"] == "fresh").await;
    accepted(&gateway).await;
    let expected = Counts { api_requests: 2, accepted: 2, logins: 1, ..Counts::default() };
    assert_eq!(scene.server.api.counts(), expected);
}

#[tokio::test]
async fn prefix_key_and_encryption_are_as_they_are_configured() {
    let (scene, redis) = (Scene::new().await, Redis::start().await);
    let more = format!("prefix = \"shop\"\nlease = \"2s\"\nencryption_key = \"{KEY}\"");
    let gateway = Gateway::start_with(&scene.folder, &scene.config(&redis, &more), &[]).await;
    accepted(&gateway).await;
    let value: Vec<u8> = redis.ask("HGET shop:{devices}:token value").await;
    assert!(value.starts_with(b"sealed:1:"));
    // In base64 it is the same key.
    let store = redis.store("devices").prefix("shop").unwrap().encryption_key([7; 32]);
    assert!(store.load().await.unwrap().unwrap().token.is_some());
    gateway.terminate().await;
    let more = "prefix = \"shop\"\nencryption_key = \"BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=\"";
    let gateway = Gateway::start_with(&scene.folder, &scene.config(&redis, more), &[]).await;
    gateway.until(|status| status["state"] == "fresh").await;
    assert_eq!(scene.server.api.counts().logins, 1);
}

#[tokio::test]
async fn a_lease_lasts_as_long_as_it_is_configured() {
    let gate = Gate::new();
    let scene = Scene::on(Served::behind(quectel(), Some(gate.clone())).await);
    let redis = Redis::start().await;
    let gateway = Gateway::start_with(&scene.folder, &scene.config(&redis, "lease = \"1h\""), &[]).await;
    let request = Request::get(gateway.uri("/v2/devices")).body(Full::default()).unwrap();
    let _request = super::spawn(gateway.client.request(request));
    gate.arrivals(1).await;
    let left: u64 = redis.ask("PTTL tower-auth-refresh:{devices}:lease").await;
    assert!((3_500_000..=3_600_000).contains(&left), "{left}");
}

#[tokio::test]
async fn a_server_that_cannot_be_reached_is_waited_for() {
    let (scene, mut redis) = (Scene::new().await, Redis::stopped().await);
    let gateway = scene.start(&redis).await;
    let (status, error, retry_after) = told(&gateway.get("/v2/devices").await);
    assert_eq!((status, error.as_str(), retry_after), (503, "store", Some(1)));
    assert_eq!(scene.server.api.counts(), Counts::default());
    redis.start_again().await;
    until_async(async || gateway.get("/v2/devices").await.status() == StatusCode::OK).await;
    assert_eq!(scene.server.api.counts().logins, 1);
    assert_eq!(redis.ask::<u64>("EXISTS tower-auth-refresh:{devices}:token").await, 1);
    let ended = gateway.terminate().await;
    assert_eq!(ended.status.code(), Some(0));
    assert!(ended.stderr.contains("the store cannot be used yet"), "{}", ended.stderr);
    assert!(ended.stderr.contains("connection refused"), "{}", ended.stderr);
}

#[tokio::test]
async fn what_a_server_that_is_gone_could_not_store_is_stored_when_it_is_back() {
    let gate = Gate::new();
    let scene = Scene::on(Served::behind(quectel(), Some(gate.clone())).await);
    let mut redis = Redis::start().await;
    let gateway = scene.start(&redis).await;
    let request = Request::get(gateway.uri("/v2/devices")).body(Full::default()).unwrap();
    let request = super::spawn(gateway.client.request(request));
    gate.arrivals(1).await;
    redis.kill();
    gate.let_through(1);
    assert_eq!(request.await.unwrap().unwrap().status(), StatusCode::OK);
    gateway.until(|status| status["unsaved"] == true).await;
    redis.start_again().await;
    gateway.until(|status| status["unsaved"] == false).await;
    assert_eq!(redis.ask::<u64>("EXISTS tower-auth-refresh:{devices}:token").await, 1);
    assert_eq!(within(gateway.terminate()).await.status.code(), Some(0));
}

#[tokio::test]
async fn what_is_no_token_set_of_ours_is_refused_and_stays_untouched() {
    let (scene, redis) = (Scene::new().await, Redis::start().await);
    let () = redis.ask("SET tower-auth-refresh:{devices}:token hunter2").await;
    let line = scene.refusal(&redis, "").await;
    assert!(line.starts_with("gateway: store.key: cannot read redis tower-auth-refresh:{devices}: "), "{line}");
    assert_eq!(redis.ask::<String>("GET tower-auth-refresh:{devices}:token").await, "hunter2");
}

#[tokio::test]
async fn what_is_encrypted_otherwise_is_refused() {
    let (scene, redis) = (Scene::new().await, Redis::start().await);
    let gateway = scene.start(&redis).await;
    accepted(&gateway).await;
    gateway.terminate().await;
    let line = scene.refusal(&redis, &format!("encryption_key = \"{KEY}\"")).await;
    assert!(line.starts_with("gateway: store.key: ") && line.contains("not encrypted"), "{line}");
}

/// A gateway that logs as loudly as it can, with the URL and the key from the environment.
async fn loud(scene: &Scene, redis: &Redis, password: &str) -> Gateway {
    let url = format!("redis://:{password}@127.0.0.1:{}", redis.port);
    let store =
        "[store]\nkind = \"redis\"\nurl = { env = \"URL\" }\nkey = \"devices\"\nencryption_key = { env = \"KEY\" }";
    let env = [("RUST_LOG", "trace"), ("URL", url.as_str()), ("KEY", KEY)];
    Gateway::start_with(&scene.folder, &scene.server.quectel(store), &env).await
}

fn search(ended: &Ended, answers: &str, secrets: &BTreeSet<String>) {
    let printed = format!("{}{}{answers}", ended.stdout, ended.stderr);
    for secret in secrets {
        let line = printed.lines().find(|line| line.contains(secret.as_str())).unwrap_or_default();
        assert_eq!(line, "", "a secret is printed");
    }
}

#[tokio::test]
#[allow(clippy::disallowed_methods, reason = "a test looks for what it must not find")]
async fn neither_the_password_nor_the_key_nor_a_token_is_printed() {
    let (scene, redis) = (Scene::new().await, Redis::start_with(&["--requirepass", PASSWORD]).await);
    let mut secrets = BTreeSet::from([PASSWORD.to_owned(), KEY.to_owned()]);
    let store = RedisStore::new(&format!("redis://:{PASSWORD}@127.0.0.1:{}", redis.port), "devices").unwrap();
    let store = store.encryption_key([7; 32]);
    let gateway = loud(&scene, &redis, PASSWORD).await;
    for _ in ["login", "refresh"] {
        accepted(&gateway).await;
        let token = store.load().await.unwrap().unwrap().token.unwrap();
        for secret in [Some(token.access_token()), token.refresh_token()].into_iter().flatten() {
            secrets.insert(secret.expose_secret().trim_start_matches("Bearer ").to_owned());
        }
        scene.server.api.revoke();
    }
    assert_eq!(secrets.len(), 6);
    let ended = gateway.terminate().await;
    assert!(ended.stderr.contains("TRACE"), "nothing was logged");
    search(&ended, "", &secrets);
}

#[tokio::test]
async fn a_password_that_is_refused_is_not_printed_either() {
    let (scene, mut redis) = (Scene::new().await, Redis::start_with(&["--requirepass", "another"]).await);
    for _ in ["refused", "unreachable"] {
        let gateway = loud(&scene, &redis, PASSWORD).await;
        let answer = gateway.get("/v2/devices").await;
        assert_eq!(told(&answer).1, "store");
        let answers = format!("{:?}{}", answer, gateway.status().await);
        let ended = gateway.terminate().await;
        assert!(ended.stderr.contains("the store cannot be used yet"), "{}", ended.stderr);
        search(&ended, &answers, &BTreeSet::from([PASSWORD.to_owned(), KEY.to_owned()]));
        redis.kill();
    }
}
