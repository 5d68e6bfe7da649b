//! FashionWorld.

use super::*;

struct Keys {
    api_key: String,
    secret_key: String,
    expires: Value,
}

impl Scene {
    fn fashion_login(&self) -> Keys {
        let body = json!({ "mobile": FashionWorldApi::MOBILE, "password": FashionWorldApi::PASSWORD }).to_string();
        let headers = [("content-type", "application/json")];
        keys(&self.call(Method::POST, "/api/my/login", &headers, &body))
    }

    fn millis(&self) -> u128 {
        self.clock.wall().duration_since(UNIX_EPOCH).unwrap().as_millis()
    }

    fn signed(&self, keys: &Keys, method: Method, path: &str, action: &str, at: u128) -> (StatusCode, Value) {
        let signature = FashionWorldApi::signature(action, &keys.api_key, &keys.secret_key, &at.to_string());
        let proof = STANDARD.encode(format!("{}:{signature} {at}", keys.api_key));
        self.call(method, path, &[("authorization", &format!("Caa {proof}"))], "")
    }

    fn profile(&self, keys: &Keys) -> (StatusCode, Value) {
        self.signed(keys, Method::GET, "/api/my/profile", "client:my:fetch-my-profile", self.millis())
    }

    fn fashion_refresh(&self, keys: &Keys) -> (StatusCode, Value) {
        let action = "client:my:refresh-token";
        self.signed(keys, Method::POST, "/api/my/refresh-token", action, self.millis())
    }
}

fn keys((status, grant): &(StatusCode, Value)) -> Keys {
    assert_eq!(*status, StatusCode::OK);
    Keys { api_key: text(&grant["apiKey"]), secret_key: text(&grant["secretKey"]), expires: grant["expireIn"].clone() }
}

fn gone() -> (StatusCode, Value) {
    (StatusCode::NOT_FOUND, json!({ "message": "apiKey not found" }))
}

#[test]
fn signs_as_the_documents_own_examples() {
    let profile = FashionWorldApi::signature(
        "user:personal-profile",
        "SzggU8dj2xcegXfZVx1ucm/hKgre8DIckHPoxkkn+n0=",
        "fz/THFXY6gbW7eWh+qKtefvgY49IR2W4v6lpTNimsd0=",
        "1494908261599",
    );
    let my_profile = FashionWorldApi::signature(
        "client:my:fetch-my-profile",
        "bCW3XwK5E4qJR8rz57eLtY5ogqa2ewkEGlkVtEMzg/A=",
        "RkWB1kD2ZaZvyfe2EBwFIF93bHyBTeFx2lPz6/Tm3dM=",
        "1510044561173",
    );
    assert_eq!(profile, "VHTnYjscONrGXMumaGChvV+Q+Xo=");
    assert_eq!(my_profile, "hrkJH5dWcBf+W+GNC5HMlvEQ/Zg=");
}

#[test]
fn takes_a_fresh_signature_and_names_what_is_wrong_with_another() {
    let scene = Scene::new(FashionWorldApi::new());
    let keys = scene.fashion_login();
    let call = |action, at| scene.signed(&keys, Method::GET, "/api/my/profile", action, at);
    let bad = |message: &str| (StatusCode::BAD_REQUEST, json!({ "message": message }));
    let right = "client:my:fetch-my-profile";
    let now = scene.millis();

    assert_eq!(scene.profile(&keys).0, StatusCode::OK);
    assert_eq!(call("client:order:create", now), bad("invalid signature"));
    assert_eq!(call(right, now - 300_001), bad("invalid timestamp"));
    assert_eq!(call(right, now + 300_001), bad("invalid timestamp"));
    assert_eq!(call(right, now / 1_000), bad("invalid timestamp"));
    assert_eq!(scene.call(Method::GET, "/api/my/profile", &[], ""), bad("invalid authorization"));
    assert_eq!(scene.counts(), Counts { api_requests: 6, accepted: 1, logins: 1, ..Counts::default() });
}

#[test]
fn a_login_while_a_pair_lives_returns_it_with_its_first_expiry() {
    let scene = Scene::new(FashionWorldApi::new());
    let first = scene.fashion_login();
    scene.clock.advance(FashionWorldApi::LIFETIME - SECOND);
    let second = scene.fashion_login();
    scene.clock.advance(SECOND);
    let third = scene.fashion_login();
    assert_eq!((&first.api_key, &first.expires), (&second.api_key, &second.expires));
    assert_ne!(first.api_key, third.api_key);
}

#[test]
fn a_refresh_deletes_the_old_pair_and_its_second_use_is_counted() {
    let scene = Scene::new(FashionWorldApi::new());
    let old = scene.fashion_login();
    let new = keys(&scene.fashion_refresh(&old));
    assert_eq!(scene.profile(&old), gone());
    assert_eq!(scene.profile(&new).0, StatusCode::OK);
    assert_eq!(scene.fashion_refresh(&old), gone());
    let Counts { refreshes, rejected, double_spent, .. } = scene.counts();
    assert_eq!((refreshes, rejected, double_spent), (1, 1, 1));
}

#[test]
fn neither_an_expired_nor_a_revoked_pair_can_be_refreshed() {
    let scene = Scene::new(FashionWorldApi::new());
    let expired = scene.fashion_login();
    scene.clock.advance(FashionWorldApi::LIFETIME);
    assert_eq!(scene.fashion_refresh(&expired), gone());
    let revoked = scene.fashion_login();
    scene.server.revoke();
    assert_eq!(scene.fashion_refresh(&revoked), gone());
    let Counts { refused_token_calls, double_spent, .. } = scene.counts();
    assert_eq!((refused_token_calls, double_spent), (2, 0));
}

#[test]
fn a_missing_order_is_no_rejection() {
    let scene = Scene::new(FashionWorldApi::new());
    let keys = scene.fashion_login();
    let answer = scene.signed(&keys, Method::GET, "/api/orders/missing", "client:order:fetch", scene.millis());
    assert_eq!(answer, (StatusCode::NOT_FOUND, json!({ "message": "order not found" })));
    assert_eq!(scene.counts().rejected, 0);
}
