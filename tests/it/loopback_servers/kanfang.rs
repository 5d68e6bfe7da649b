//! Kanfang.

use super::*;

impl Scene {
    fn kanfang_login(&self) -> (String, String) {
        let query = format!("authKey={}&authValue={}", KanfangApi::AUTH_KEY, encoded(KanfangApi::AUTH_VALUE));
        let (status, answer) = self.call(Method::GET, &format!("/v2/Authorization/GetAccessToken?{query}"), &[], "");
        assert_eq!((status, &answer["state"]), (StatusCode::OK, &json!(200)));
        assert_eq!(answer["payload"]["tokenExpireIn"], 172_800);
        (text(&answer["payload"]["token"]), text(&answer["payload"]["refreshToken"]))
    }

    fn kanfang_refresh(&self, token: &str) -> Value {
        self.call(Method::GET, "/v2/Authorization/RefreshToken", &[("authorization", token)], "").1
    }

    fn kanfang_state(&self, token: &str) -> Value {
        let (status, answer) = self.call(Method::GET, "/v2/Patient/List", &[("authorization", token)], "");
        assert_eq!(status, StatusCode::OK);
        answer["state"].clone()
    }
}

#[test]
fn takes_the_bare_token_in_a_header_the_query_or_a_cookie() {
    let scene = Scene::new(KanfangApi::new());
    let (token, _) = scene.kanfang_login();
    let in_query = format!("/v2/Patient/List?page=1&Authorization={}", encoded(&token));
    let in_cookie = format!("theme=dark; Authorization={}", encoded(&token));

    let header = scene.call(Method::GET, "/v2/Patient/List?page=1", &[("authorization", &token)], "");
    let query = scene.call(Method::GET, &in_query, &[], "");
    let cookie = scene.call(Method::GET, "/v2/Patient/List?page=1", &[("cookie", &in_cookie)], "");
    let bearer = scene.kanfang_state(&format!("Bearer {token}"));

    assert_eq!(header.1["payload"]["query"], json!([["page", "1"]]));
    assert_eq!((&query, &cookie), (&header, &header));
    assert_eq!(bearer, 401);
    assert_eq!(scene.counts(), Counts { api_requests: 4, accepted: 3, rejected: 1, logins: 1, ..Counts::default() });
}

#[test]
fn refuses_a_token_from_the_second_of_its_expiry_on_and_a_wrong_login() {
    let scene = Scene::new(KanfangApi::new());
    let (token, _) = scene.kanfang_login();
    scene.clock.advance(KanfangApi::LIFETIME - SECOND);
    assert_eq!(scene.kanfang_state(&token), 200);
    scene.clock.advance(SECOND);
    assert_eq!(scene.kanfang_state(&token), 401);

    let login = "/v2/Authorization/GetAccessToken?authKey=demo-clinic&authValue=guess";
    assert_eq!(scene.call(Method::GET, login, &[], "").1["state"], 401);
    assert_eq!(scene.counts().refused_token_calls, 1);
}

#[test]
fn a_refresh_token_used_twice_ends_the_whole_session_and_no_other() {
    let scene = Scene::new(KanfangApi::new());
    let (other, _) = scene.kanfang_login();
    let (old_token, old_refresh) = scene.kanfang_login();
    let renewed = scene.kanfang_refresh(&old_refresh)["payload"].clone();
    let (token, refresh) = (text(&renewed["token"]), text(&renewed["refreshToken"]));
    assert_eq!([scene.kanfang_state(&old_token), scene.kanfang_state(&token)], [200, 200]);

    assert_eq!(scene.kanfang_refresh(&old_refresh)["state"], 4011);

    assert_eq!([scene.kanfang_state(&old_token), scene.kanfang_state(&token)], [401, 401]);
    assert_eq!(scene.kanfang_refresh(&refresh)["state"], 4011);
    assert_eq!(scene.kanfang_state(&other), 200);
    let Counts { logins, refreshes, refused_token_calls, double_spent, .. } = scene.counts();
    assert_eq!((logins, refreshes, refused_token_calls, double_spent), (2, 1, 2, 1));
}

#[test]
fn a_revoked_access_token_leaves_its_refresh_token_valid() {
    let scene = Scene::new(KanfangApi::new().refusing_by_status());
    let (token, refresh) = scene.kanfang_login();
    scene.server.revoke();
    let (status, answer) = scene.call(Method::GET, "/v2/Patient/List", &[("authorization", &token)], "");
    assert_eq!((status, &answer["state"]), (StatusCode::UNAUTHORIZED, &json!(401)));
    assert_eq!(scene.kanfang_refresh(&refresh)["state"], 200);
}

#[test]
fn renews_by_the_access_token_where_told_so() {
    let scene = Scene::new(KanfangApi::new().renewing_by_access());
    let (token, refresh) = scene.kanfang_login();
    assert_eq!(scene.kanfang_refresh(&refresh)["state"], 4011);
    assert_eq!(scene.kanfang_refresh(&token)["state"], 200);
    assert_eq!(scene.kanfang_refresh(&token)["state"], 4011);
    assert_eq!(scene.counts().double_spent, 1);
}

#[test]
fn a_route_that_is_forbidden_does_not_blame_the_token() {
    let scene = Scene::new(KanfangApi::new());
    let (token, _) = scene.kanfang_login();
    let (status, answer) = scene.call(Method::GET, "/v2/forbidden", &[("authorization", &token)], "");
    assert_eq!((status, &answer["state"], scene.counts().rejected), (StatusCode::OK, &json!(403), 0));
}
