//! Accuat.

use super::*;

/// Of `AppId=app-001&GrantType=client_credential&Random=r&SecretKey=s3cr3t`, made with another tool.
const SIGNED: &str = "AppId=app-001&Random=r&GrantType=client_credential&Signature=";
const SIGNATURE: &str = "df81f6974903673381fa462b264bacf7";

impl Scene {
    fn accuat_post(&self, uri: &str, body: &str) -> Value {
        self.call(Method::POST, uri, &[("content-type", FORM)], body).1
    }

    fn accuat_login(&self) -> (String, String) {
        let answer = self.accuat_post("/connect/authorize", &format!("{SIGNED}{SIGNATURE}"));
        assert_eq!((&answer["Result"], &answer["Data"]["ExpiredIn"]), (&json!(200), &json!(3_600)));
        (text(&answer["Data"]["AccessToken"]), text(&answer["Data"]["RefreshToken"]))
    }

    fn accuat_refresh(&self, access: &str, refresh: &str) -> Value {
        let uri = format!("/connect/refreshtoken?token={}", encoded(access));
        self.accuat_post(&uri, &format!("RefreshToken={}", encoded(refresh)))
    }

    fn accuat_call(&self, access: &str) -> (StatusCode, Value) {
        let (status, answer) = self.call(Method::GET, &format!("/stores?token={}", encoded(access)), &[], "");
        (status, answer["Result"].clone())
    }
}

#[test]
fn signs_as_the_protocol_notes_example() {
    let form = request(Method::POST, "/connect/authorize", &[("content-type", FORM)], "AppId=app-001");
    assert_eq!(AccuatApi::signature(&Call::read(form).form()), "ee945275990d9c2a9f1615ad0c2b7a16");
}

#[test]
fn logs_in_with_a_signature_in_either_case_and_with_no_other() {
    let scene = Scene::new(AccuatApi::new());
    scene.accuat_login();
    let upper = scene.accuat_post("/connect/authorize", &format!("{SIGNED}{}", SIGNATURE.to_uppercase()));
    let reused = scene.accuat_post("/connect/authorize", &format!("{SIGNED}{SIGNATURE}&Language=en-US"));
    assert_eq!((&upper["Result"], &reused["Result"]), (&json!(200), &json!(1001)));
}

#[test]
fn renews_with_both_tokens_and_only_once() {
    let scene = Scene::new(AccuatApi::new());
    let (access, refresh) = scene.accuat_login();
    scene.clock.advance(AccuatApi::LIFETIME);
    assert_eq!(scene.accuat_call(&access).0, StatusCode::UNAUTHORIZED);
    assert_eq!(scene.accuat_refresh("another", &refresh)["Result"], 1002);
    let renewed = text(&scene.accuat_refresh(&access, &refresh)["Data"]["Token"]);
    assert_eq!(scene.accuat_call(&renewed), (StatusCode::OK, json!(200)));
    assert_eq!(scene.accuat_refresh(&access, &refresh)["Result"], 1002);
    assert_eq!(scene.accuat_call(&renewed).0, StatusCode::UNAUTHORIZED);
    assert_eq!(scene.counts().double_spent, 1);
}

#[test]
fn refuses_in_each_of_its_three_ways() {
    let refused = |by| Scene::new(AccuatApi::new().refusing_by(by)).accuat_call("unknown");
    assert_eq!(refused(Refusal::Envelope), (StatusCode::OK, json!(401)));
    assert_eq!(refused(Refusal::Status), (StatusCode::UNAUTHORIZED, json!(401)));
    assert_eq!(refused(Refusal::Redirect), (StatusCode::FOUND, Value::Null));
}

#[test]
fn refuses_a_good_token_next_to_a_leftover_one() {
    let scene = Scene::new(AccuatApi::new());
    let (access, _) = scene.accuat_login();
    let uri = format!("/stores?token=old&token={}", encoded(&access));
    assert_eq!(scene.call(Method::GET, &uri, &[], "").0, StatusCode::UNAUTHORIZED);
}
