//! The file that outlives the process.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use http::{Request, StatusCode};
use http_body_util::Full;
use secrecy::ExposeSecret;
use tower_auth_refresh::token::{Generation, Stored};

use super::{
    failures::told,
    program::{Folder, Gateway, command, json, run},
    token_endpoint::{Gate, Served, quectel},
};
use crate::{
    redis_store::scene::{until_async, within},
    support::loopback::Counts,
};

/// A server, and a gateway's configuration with a file store in a folder of its own.
struct Scene {
    folder: Folder,
    server: Served,
}

impl Scene {
    async fn new() -> Self {
        Self::on(Served::new(quectel()).await)
    }

    fn on(server: Served) -> Self {
        let folder = Folder::new();
        folder.make("store");
        Self { folder, server }
    }

    fn path(&self) -> PathBuf {
        self.folder.path("store/token.json")
    }

    fn config(&self, rest: &str) -> String {
        self.server.quectel(&format!("[store]\nkind = \"file\"\npath = {:?}\n{rest}", self.path()))
    }

    async fn start(&self) -> Gateway {
        self.start_with("").await
    }

    async fn start_with(&self, rest: &str) -> Gateway {
        Gateway::start_with(&self.folder, &self.config(rest), &[]).await
    }

    /// What the program says to a store that it does not take.
    async fn refusal(&self) -> String {
        self.refusal_of("store/token.json").await
    }

    async fn refusal_of(&self, name: &str) -> String {
        let store = format!("[store]\nkind = \"file\"\npath = {:?}", self.folder.path(name));
        let ended = run(command(&self.folder, &self.server.quectel(&store), &[])).await;
        assert_eq!((ended.status.code(), ended.stderr.lines().count()), (Some(2), 1), "{}", ended.stderr);
        assert!(ended.stderr.starts_with("gateway: store.path: "), "{}", ended.stderr);
        assert!(!ended.stderr.contains("hunter2"), "{}", ended.stderr);
        ended.stderr
    }

    fn stored(&self) -> Stored {
        Stored::from_json(&fs::read(self.path()).unwrap()).unwrap()
    }

    fn files(&self) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(self.folder.path("store"))
            .unwrap()
            .map(|file| file.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort_unstable();
        names
    }

    fn lose_folder(&self) {
        fs::remove_dir_all(self.folder.path("store")).unwrap();
    }

    /// One request that the server accepts.
    async fn accepted(&self, gateway: &Gateway) {
        let answer = gateway.get("/v2/devices").await;
        assert_eq!((answer.status(), &json(&answer)["code"]), (StatusCode::OK, &200.into()));
    }
}

/// A gateway whose folder was lost while it logged in.
async fn unsaved() -> (Scene, Gateway) {
    let gate = Gate::new();
    let scene = Scene::on(Served::behind(quectel(), Some(gate.clone())).await);
    let gateway = scene.start().await;
    let request = Request::get(gateway.uri("/v2/devices")).body(Full::default()).unwrap();
    let request = super::spawn(gateway.client.request(request));
    gate.arrivals(1).await;
    scene.lose_folder();
    gate.let_through(1);
    assert_eq!(request.await.unwrap().unwrap().status(), StatusCode::OK);
    (scene, gateway)
}

#[allow(clippy::disallowed_methods, reason = "a test compares tokens")]
fn access_token(stored: &Stored) -> String {
    stored.token.as_ref().unwrap().access_token().expose_secret().to_owned()
}

async fn until_exists(path: &Path) {
    until_async(async || path.exists()).await;
}

#[tokio::test]
async fn a_granted_token_set_is_stored_for_its_owner_alone() {
    let scene = Scene::new().await;
    let gateway = scene.start().await;
    assert_eq!(scene.files(), ["token.json.lock"]);
    scene.accepted(&gateway).await;
    gateway.terminate().await;
    assert_eq!(scene.files(), ["token.json", "token.json.lock"]);
    assert_eq!(fs::metadata(scene.path()).unwrap().permissions().mode() & 0o777, 0o600);
    let stored = scene.stored();
    assert_eq!(stored.generation, Generation::from(1));
    assert!(stored.token.as_ref().unwrap().refresh_token().is_some() && access_token(&stored).starts_with("Bearer "));
}

#[tokio::test]
async fn each_token_set_takes_the_place_of_the_one_before() {
    let scene = Scene::new().await;
    let gateway = scene.start().await;
    scene.accepted(&gateway).await;
    // It is stored before it is used.
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
    scene.folder.make("volume");
    std::os::unix::fs::symlink("../volume/token.json", scene.path()).unwrap();
    for _ in ["made", "replaced"] {
        let gateway = scene.start().await;
        scene.accepted(&gateway).await;
        scene.server.api.revoke();
        scene.accepted(&gateway).await;
        gateway.terminate().await;
        assert!(fs::symlink_metadata(scene.path()).unwrap().is_symlink());
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
    // Before its first request.
    gateway.until(|status| status["state"] == "fresh").await;
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
    scene.folder.write("store/token.json", r#"{"version":1,"access_token":"stored","expires_at_ms":"never"}"#);
    let first = scene.folder.write("initial.json", r#"{"version":1,"access_token":"first","expires_at_ms":1}"#);
    let gateway = scene.start_with(&format!("[token]\nfile = {first:?}")).await;
    gateway.until(|status| status["state"] == "fresh").await;
    gateway.terminate().await;
    assert_eq!((access_token(&scene.stored()).as_str(), scene.server.api.counts().logins), ("stored", 0));
}

#[tokio::test]
async fn the_first_token_is_stored_where_nothing_is() {
    let scene = Scene::new().await;
    let first = scene.folder.write("initial.json", r#"{"version":1,"access_token":"first"}"#);
    let gateway = scene.start_with(&format!("[token]\nfile = {first:?}")).await;
    gateway.until(|status| status["state"] == "fresh").await;
    gateway.terminate().await;
    assert_eq!((access_token(&scene.stored()).as_str(), scene.server.api.counts().logins), ("first", 0));
}

#[tokio::test]
async fn a_store_that_cannot_be_used_is_refused_and_stays_untouched() {
    for content in
        ["", "not json", r#"{"version":9,"access_token":"hunter2"}"#, r#"{"version":1,"access_token":"hunter2\n"}"#]
    {
        let scene = Scene::new().await;
        let path = scene.folder.write("store/token.json", content);
        scene.refusal().await;
        assert_eq!(fs::read_to_string(path).unwrap(), content);
    }
}

#[tokio::test]
async fn a_store_that_others_can_write_to_is_refused() {
    let scene = Scene::new().await;
    fs::set_permissions(scene.folder.path("store"), fs::Permissions::from_mode(0o777)).unwrap();
    let line = scene.refusal().await;
    assert!(line.contains("can be written by others"), "{line}");
    assert_eq!(scene.files(), [""; 0]);
}

#[tokio::test]
async fn a_folder_that_is_not_there_or_cannot_be_written_is_refused() {
    let scene = Scene::new().await;
    scene.lose_folder();
    scene.refusal().await;
    scene.refusal_of("a folder\nof two lines/token.json").await;
    // Where not even root makes a file.
    std::os::unix::fs::symlink("/proc", scene.folder.path("store")).unwrap();
    scene.refusal().await;
}

#[tokio::test]
async fn what_cannot_be_stored_is_used_and_told_and_stored_later() {
    let (scene, gateway) = unsaved().await;
    gateway.until(|status| status["state"] == "fresh" && status["unsaved"] == true).await;
    scene.folder.make("store");
    gateway.until(|status| status["unsaved"] == false).await;
    let ended = within(gateway.terminate()).await;
    assert_eq!(ended.status.code(), Some(0));
    assert!(ended.stderr.contains("could not be stored"), "{}", ended.stderr);
    assert_eq!((scene.stored().generation, scene.server.api.counts().logins), (Generation::from(1), 1));
}

#[tokio::test]
async fn a_store_that_comes_back_in_time_has_the_last_token_set_at_the_end() {
    let (scene, gateway) = unsaved().await;
    gateway.until(|status| status["unsaved"] == true).await;
    gateway.signal("TERM").await;
    gateway.until_logged("the token set could not be stored").await;
    scene.folder.make("store");
    assert_eq!(within(gateway.end()).await.status.code(), Some(0));
    assert_eq!(scene.stored().generation, Generation::from(1));
}

#[tokio::test]
async fn a_last_write_that_goes_on_failing_is_told_by_the_exit_code() {
    let (_scene, gateway) = unsaved().await;
    let ended = within(gateway.terminate()).await;
    assert_eq!(ended.status.code(), Some(1));
    assert!(ended.stderr.contains("gateway: the last token set could not be stored"), "{}", ended.stderr);
}

#[tokio::test]
async fn without_its_store_nothing_is_fetched_until_it_is_back() {
    let scene = Scene::new().await;
    let gateway = scene.start().await;
    scene.lose_folder();
    let (status, error, retry_after) = told(&gateway.get("/v2/devices").await);
    assert_eq!((status, error.as_str(), retry_after), (503, "store", Some(1)));
    assert_eq!(scene.server.api.counts(), Counts::default());
    scene.folder.make("store");
    until_async(async || gateway.get("/v2/devices").await.status() == StatusCode::OK).await;
    until_exists(&scene.path()).await;
    assert_eq!(scene.server.api.counts().logins, 1);
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
