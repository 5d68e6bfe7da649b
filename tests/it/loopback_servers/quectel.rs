//! Quectel.

use super::*;

const REFRESH: &str = "/v2/enduser/enduserapi/refreshToken";
const RANDOM: &str = "j1acpdj2bmtqZXVb";
const PWD: &str = "lkZMvj0KDSJXlp66jBieHA==";

impl Scene {
    fn quectel_log_in(&self, path: &str, account: &str, fields: &str, secret: &str) -> Value {
        let signature: String = Sha256::digest(format!("{account}{PWD}{RANDOM}{secret}"))
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let (pwd, domain) = (encoded(PWD), QuectelApi::USER_DOMAIN);
        let body = format!("{fields}&pwd={pwd}&random={RANDOM}&userDomain={domain}&signature={signature}");
        self.call(Method::POST, &format!("/v2/enduser/enduserapi/{path}"), &[("content-type", FORM)], &body).1
    }

    fn quectel_email_login(&self) -> (String, String) {
        let email = QuectelApi::EMAIL;
        let fields = format!("email={}", encoded(email));
        tokens(&self.quectel_log_in("emailPwdLogin", email, &fields, QuectelApi::USER_DOMAIN_SECRET))
    }

    fn quectel_refresh_in_query(&self, access: &str, refresh: &str) -> Value {
        let uri = format!("{REFRESH}?refreshToken={}", encoded(refresh));
        self.call(Method::PUT, &uri, &[("authorization", access)], "").1
    }

    fn quectel_call(&self, access: &str) -> (StatusCode, Value) {
        let (status, answer) = self.call(Method::GET, "/v2/devices", &[("authorization", access)], "");
        (status, answer["code"].clone())
    }
}

fn tokens(answer: &Value) -> (String, String) {
    assert_eq!(answer["code"], 200);
    let data = &answer["data"];
    (text(&data["accessToken"]["token"]), text(&data["refreshToken"]["token"]))
}

#[test]
fn decrypts_the_password_of_the_documents_example() {
    assert_eq!(QuectelApi::decrypt(PWD, RANDOM).as_deref(), Some("china1234"));
    assert_eq!(QuectelApi::decrypt(PWD, "j1acpdj2bmtqZXVc"), None);
    assert_eq!(QuectelApi::decrypt(PWD, "short"), None);
}

#[test]
fn logs_in_by_mail_or_by_phone_and_refuses_a_wrong_signature() {
    let scene = Scene::new(QuectelApi::new());
    let (access, _) = scene.quectel_email_login();
    assert!(access.starts_with("Bearer "));
    assert_eq!(scene.quectel_call(&access), (StatusCode::OK, json!(200)));

    let fields = "internationalCode=86&phone=13800000000";
    let secret = QuectelApi::USER_DOMAIN_SECRET;
    tokens(&scene.quectel_log_in("phonePwdLogin", "8613800000000", fields, secret));

    assert_eq!(scene.quectel_log_in("phonePwdLogin", "8613800000000", fields, "guess")["code"], 5010);
    let Counts { logins, refused_token_calls, .. } = scene.counts();
    assert_eq!((logins, refused_token_calls), (2, 1));
}

#[test]
fn names_both_expiries_in_whole_seconds_since_the_epoch() {
    let scene = Scene::new(QuectelApi::new());
    let email = QuectelApi::EMAIL;
    let fields = format!("email={}", encoded(email));
    let answer = scene.quectel_log_in("emailPwdLogin", email, &fields, QuectelApi::USER_DOMAIN_SECRET);
    let now = scene.clock.wall().duration_since(UNIX_EPOCH).unwrap().as_secs();
    assert_eq!(answer["data"]["accessToken"]["expirationTime"], now + 7_200);
    assert_eq!(answer["data"]["refreshToken"]["expirationTime"], now + 2_592_000);
}

#[test]
fn renews_an_expired_token_in_the_query_and_only_once() {
    let scene = Scene::new(QuectelApi::new());
    let (access, refresh) = scene.quectel_email_login();
    scene.clock.advance(QuectelApi::LIFETIME);
    assert_eq!(scene.quectel_call(&access), (StatusCode::OK, json!(5032)));
    let (renewed, _) = tokens(&scene.quectel_refresh_in_query(&access, &refresh));
    assert_eq!(scene.quectel_call(&renewed), (StatusCode::OK, json!(200)));
    assert_eq!(scene.quectel_refresh_in_query(&access, &refresh)["code"], 5032);
    assert_eq!(scene.quectel_call(&renewed), (StatusCode::OK, json!(5032)));
    assert_eq!(scene.counts().double_spent, 1);
}

#[test]
fn renews_in_a_form_and_nowhere_else_where_told_so() {
    let scene = Scene::new(QuectelApi::new().refreshing_by_form());
    let (access, refresh) = scene.quectel_email_login();
    assert_eq!(scene.quectel_refresh_in_query(&access, &refresh)["code"], 5115);
    let headers = [("authorization", access.as_str()), ("content-type", FORM)];
    let body = format!("refreshToken={}", encoded(&refresh));
    tokens(&scene.call(Method::PUT, REFRESH, &headers, &body).1);
}

#[test]
fn a_refresh_token_needs_the_access_token_of_its_own_session() {
    let scene = Scene::new(QuectelApi::new());
    let (access, refresh) = scene.quectel_email_login();
    let (foreign, _) = scene.quectel_email_login();
    assert_eq!(scene.quectel_refresh_in_query(&foreign, &refresh)["code"], 5032);
    assert_eq!(scene.quectel_refresh_in_query(&access, &refresh)["code"], 200);
    assert_eq!(scene.counts().double_spent, 0);
}

#[test]
fn tells_a_missing_token_a_refused_one_and_a_missing_permission_apart() {
    let scene = Scene::new(QuectelApi::new().refusing_by_status());
    let (access, _) = scene.quectel_email_login();
    let missing = scene.call(Method::GET, "/v2/devices", &[], "");
    assert_eq!((missing.0, &missing.1["code"]), (StatusCode::UNAUTHORIZED, &json!(5106)));
    assert_eq!(scene.quectel_call("Bearer x"), (StatusCode::UNAUTHORIZED, json!(5032)));
    let forbidden = scene.call(Method::GET, "/v2/forbidden", &[("authorization", &access)], "");
    assert_eq!((forbidden.0, &forbidden.1["code"]), (StatusCode::OK, &json!(5041)));
    assert_eq!(scene.counts().rejected, 2);
}
