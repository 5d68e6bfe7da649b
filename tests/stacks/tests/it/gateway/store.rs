//! The file that outlives the process.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use http::StatusCode;
use secrecy::ExposeSecret;
use tower_auth_refresh::token::{Generation, Stored};

use super::{
    program::{Folder, Gateway, command, json, run},
    token_endpoint::{Served, quectel},
};
use crate::support::loopback::Counts;

/// A server, a gateway's configuration with a file store, and the store.
struct Scene {
    folder: Folder,
    server: Served,
}

impl Scene {
    async fn new() -> Self {
        Self { folder: Folder::new(), server: Served::new(quectel()).await }
    }

    fn config(&self, rest: &str) -> String {
        self.server.quectel(&format!("[store]\nkind = \"file\"\npath = {:?}\n{rest}", self.folder.path("token.json")))
    }

    async fn start(&self) -> Gateway {
        Gateway::start_with(&self.folder, &self.config(""), &[]).await
    }

    fn stored(&self) -> Stored {
        Stored::from_json(&fs::read(self.folder.path("token.json")).unwrap()).unwrap()
    }

    fn files(&self) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(self.folder.path(""))
            .unwrap()
            .map(|file| file.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort_unstable();
        names
    }

    /// One request that the server accepts.
    async fn accepted(&self, gateway: &Gateway) {
        let answer = gateway.get("/v2/devices").await;
        assert_eq!((answer.status(), &json(&answer)["code"]), (StatusCode::OK, &200.into()));
    }
}

#[allow(clippy::disallowed_methods, reason = "a test compares tokens")]
fn access_token(stored: &Stored) -> String {
    stored.token.as_ref().unwrap().access_token().expose_secret().to_owned()
}

async fn until_exists(path: &Path) {
    while !path.exists() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_granted_token_set_is_stored_for_its_owner_alone() {
    let scene = Scene::new().await;
    let gateway = scene.start().await;
    assert_eq!(scene.files(), ["gateway.toml"]);
    scene.accepted(&gateway).await;
    gateway.terminate().await;
    assert_eq!(scene.files(), ["gateway.toml", "token.json"]);
    assert_eq!(fs::metadata(scene.folder.path("token.json")).unwrap().permissions().mode() & 0o777, 0o600);
    let stored = scene.stored();
    assert_eq!(stored.generation, Generation::from(1));
    assert!(stored.token.as_ref().unwrap().refresh_token().is_some() && access_token(&stored).starts_with("Bearer "));
}

#[tokio::test]
async fn each_token_set_takes_the_place_of_the_one_before() {
    let scene = Scene::new().await;
    let gateway = scene.start().await;
    scene.accepted(&gateway).await;
    until_exists(&scene.folder.path("token.json")).await;
    let first = access_token(&scene.stored());
    scene.server.api.revoke();
    scene.accepted(&gateway).await;
    gateway.terminate().await;
    assert_ne!(access_token(&scene.stored()), first);
    assert_eq!(scene.stored().generation, Generation::from(2));
}

#[tokio::test]
async fn a_link_stays_one_and_the_file_behind_it_is_written() {
    let scene = Scene::new().await;
    fs::create_dir(scene.folder.path("volume")).unwrap();
    std::os::unix::fs::symlink("volume/token.json", scene.folder.path("token.json")).unwrap();
    for _ in ["made", "replaced"] {
        let gateway = scene.start().await;
        scene.accepted(&gateway).await;
        scene.server.api.revoke();
        scene.accepted(&gateway).await;
        gateway.terminate().await;
        assert!(fs::symlink_metadata(scene.folder.path("token.json")).unwrap().is_symlink());
        assert!(!fs::symlink_metadata(scene.folder.path("volume/token.json")).unwrap().is_symlink());
    }
    assert_eq!(scene.server.api.counts().logins, 1);
}

#[tokio::test]
async fn a_gateway_goes_on_with_what_the_one_before_has_stored() {
    let scene = Scene::new().await;
    let gateway = scene.start().await;
    scene.accepted(&gateway).await;
    gateway.terminate().await;

    let gateway = scene.start().await;
    assert_eq!(gateway.status().await["state"], "fresh");
    scene.accepted(&gateway).await;
    scene.server.api.revoke();
    scene.accepted(&gateway).await;
    gateway.terminate().await;
    let gateway = scene.start().await;
    scene.accepted(&gateway).await;
    let expected = Counts { api_requests: 5, accepted: 4, rejected: 1, logins: 1, refreshes: 1, ..Counts::default() };
    assert_eq!(scene.server.api.counts(), expected);
}

#[tokio::test]
async fn what_is_stored_wins_over_the_first_token() {
    let scene = Scene::new().await;
    scene.folder.write("token.json", r#"{"version":1,"access_token":"stored","expires_at_ms":"never"}"#);
    let first = scene.folder.write("initial.json", r#"{"version":1,"access_token":"first","expires_at_ms":1}"#);
    let config = scene.config(&format!("[token]\nfile = {first:?}"));
    let gateway = Gateway::start_with(&scene.folder, &config, &[]).await;
    assert_eq!(gateway.status().await["state"], "fresh");
    gateway.terminate().await;

    fs::remove_file(scene.folder.path("token.json")).unwrap();
    let gateway = Gateway::start_with(&scene.folder, &config, &[]).await;
    assert_eq!(gateway.status().await["state"], "expired");
}

#[tokio::test]
async fn a_store_that_cannot_be_used_is_refused_and_stays_untouched() {
    for content in
        ["", "not json", r#"{"version":9,"access_token":"hunter2"}"#, r#"{"version":1,"access_token":"hunter2\n"}"#]
    {
        let scene = Scene::new().await;
        let path = scene.folder.write("token.json", content);
        let ended = run(command(&scene.folder, &scene.config(""), &[])).await;
        assert_eq!(ended.status.code(), Some(2));
        assert!(
            ended.stderr.starts_with("gateway: store.path: ") && ended.stderr.lines().count() == 1,
            "{}",
            ended.stderr
        );
        assert!(!ended.stderr.contains("hunter2"), "{}", ended.stderr);
        assert_eq!(fs::read_to_string(path).unwrap(), content);
        assert_eq!(scene.files(), ["gateway.toml", "token.json"]);
    }
}

#[tokio::test]
async fn a_store_in_a_folder_that_is_not_there_is_refused() {
    let scene = Scene::new().await;
    let config =
        scene.server.quectel(&format!("[store]\nkind = \"file\"\npath = {:?}", scene.folder.path("none/t.json")));
    let ended = run(command(&scene.folder, &config, &[])).await;
    assert_eq!(ended.status.code(), Some(2));
    assert!(ended.stderr.starts_with("gateway: store.path: "), "{}", ended.stderr);
}

#[tokio::test]
async fn a_write_that_fails_is_tried_again() {
    let scene = Scene::new().await;
    let path = scene.folder.path("later/token.json");
    fs::create_dir(scene.folder.path("later")).unwrap();
    let config = scene.server.quectel(&format!("[store]\nkind = \"file\"\npath = {path:?}"));
    let gateway = Gateway::start_with(&scene.folder, &config, &[]).await;
    fs::remove_dir(scene.folder.path("later")).unwrap();
    scene.accepted(&gateway).await;
    fs::create_dir(scene.folder.path("later")).unwrap();
    until_exists(&path).await;
    assert_eq!(gateway.terminate().await.status.code(), Some(0));
}

#[tokio::test]
async fn a_last_write_that_fails_is_told_by_the_exit_code() {
    let scene = Scene::new().await;
    fs::create_dir(scene.folder.path("later")).unwrap();
    let config =
        scene.server.quectel(&format!("[store]\nkind = \"file\"\npath = {:?}", scene.folder.path("later/token.json")));
    let gateway = Gateway::start_with(&scene.folder, &config, &[]).await;
    fs::remove_dir(scene.folder.path("later")).unwrap();
    scene.accepted(&gateway).await;
    let ended = gateway.terminate().await;
    assert_eq!(ended.status.code(), Some(1));
    assert!(ended.stderr.contains("the last token set could not be stored"), "{}", ended.stderr);
}

#[tokio::test]
async fn without_a_store_nothing_is_written() {
    let folder = Folder::new();
    let server = Served::new(quectel()).await;
    let gateway = Gateway::start_with(&folder, &server.quectel("[store]\nkind = \"memory\""), &[]).await;
    assert_eq!(gateway.get("/v2/devices").await.status(), StatusCode::OK);
    gateway.terminate().await;
    assert_eq!(fs::read_dir(folder.path("")).unwrap().count(), 1);
}
