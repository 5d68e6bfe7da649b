//! Kanfang.

use bytes::Bytes;
use http::{Response, Uri};
use tower_auth_refresh::{
    Provider,
    provider::{Grant, GrantKind, ProviderError, ProviderErrorKind, Reason, Verdict},
    providers::{Kanfang, Place, RefreshWith},
    token::{Expiry, TokenSet},
};

use super::support::{after, assert_malformed, cx, exposed, granted, json, now, told, typed, written};

const SEED_GRANT: &str = r#" {
    "state": 200,
    "payload": {
        "token": "access token",
        "tokenExpireIn": 172800,
        "refreshToken": "refreshToken",
        "refreshTokenExpireIn": 2592000
    }
 }"#;

const SEED_FAILURE: &str = r#"{
   "state": 4011,
   "payload": "error detail"
}"#;

fn pair() -> TokenSet {
    TokenSet::new("acc+ess").with_refresh_token("re/fresh").with_refresh_expires_at(after(500))
}

fn request(provider: &Kanfang, grant: Grant<'_>) -> String {
    written(&provider.request(grant, &cx()).unwrap())
}

fn refresh(answer: Response<Bytes>) -> Result<TokenSet, ProviderError> {
    Kanfang::new().parse(Grant::Refresh(&pair()), answer, &cx())
}

fn login(answer: Response<Bytes>) -> Result<TokenSet, ProviderError> {
    Kanfang::new().login("key", "value").parse(Grant::Login, answer, &cx())
}

/// A granting answer whose payload is `members`.
fn payload(members: &str) -> Response<Bytes> {
    json(200, format!(r#"{{"state":200,"payload":{{{members}}}}}"#))
}

fn judge(answer: Response<Bytes>) -> bool {
    let provider = Kanfang::new();
    let (head, body) = answer.into_parts();
    match provider.judge(&head) {
        Verdict::Rejected => true,
        Verdict::ReadBody => provider.judge_body(&head, &body),
        _ => false,
    }
}

// ===== requests =====

#[test]
fn a_login_sends_the_pair_in_the_query_of_a_get() {
    assert_eq!(
        request(&Kanfang::new().login("my key", "va&l=ü"), Grant::Login),
        "GET https://webapi.123kanfang.com/v2/Authorization/GetAccessToken?authKey=my%20key&authValue=va%26l%3D%C3%BC \
         HTTP/1.1\n\n",
    );
}

#[test]
fn a_login_names_the_client_edition_when_there_is_one() {
    assert_eq!(
        request(&Kanfang::new().login("k", "v").client_edition(Kanfang::PARTNER_SERVER), Grant::Login),
        "GET https://webapi.123kanfang.com/v2/Authorization/GetAccessToken?authKey=k&authValue=v&clientEdtion=ps_1.0.0 \
         HTTP/1.1\n\n",
    );
}

#[test]
fn a_refresh_presents_the_bare_refresh_token_in_the_header_by_default() {
    let provider = Kanfang::new();
    assert_eq!(
        request(&provider, Grant::Refresh(&pair())),
        "GET https://webapi.123kanfang.com/v2/Authorization/RefreshToken HTTP/1.1\nauthorization: re/fresh\n\n",
    );
    let request = provider.request(Grant::Refresh(&pair()), &cx()).unwrap();
    assert!(request.headers()["authorization"].is_sensitive());
}

#[test]
fn a_refresh_presents_the_token_percent_encoded_in_the_query_on_request() {
    assert_eq!(
        request(&Kanfang::new().refresh_place(Place::Query), Grant::Refresh(&pair())),
        "GET https://webapi.123kanfang.com/v2/Authorization/RefreshToken?Authorization=re%2Ffresh HTTP/1.1\n\n",
    );
}

#[test]
fn a_refresh_presents_the_token_as_a_cookie_on_request() {
    let provider = Kanfang::new().refresh_place(Place::Cookie);
    assert_eq!(
        request(&provider, Grant::Refresh(&pair())),
        "GET https://webapi.123kanfang.com/v2/Authorization/RefreshToken HTTP/1.1\n\
         cookie: Authorization=re%2Ffresh\n\n",
    );
    let request = provider.request(Grant::Refresh(&pair()), &cx()).unwrap();
    assert!(request.headers()["cookie"].is_sensitive());
}

#[test]
fn a_refresh_presents_the_access_token_on_request() {
    assert_eq!(
        request(&Kanfang::new().refresh_with(RefreshWith::AccessToken), Grant::Refresh(&pair())),
        "GET https://webapi.123kanfang.com/v2/Authorization/RefreshToken HTTP/1.1\nauthorization: acc+ess\n\n",
    );
}

#[test]
fn a_refresh_names_the_client_edition_in_every_place() {
    let edition = |place| {
        let provider = Kanfang::new().client_edition("ps_1.0.0").refresh_place(place);
        request(&provider, Grant::Refresh(&pair()))
    };
    assert_eq!(
        edition(Place::Header),
        "GET https://webapi.123kanfang.com/v2/Authorization/RefreshToken?clientEdtion=ps_1.0.0 HTTP/1.1\n\
         authorization: re/fresh\n\n",
    );
    assert_eq!(
        edition(Place::Query),
        "GET https://webapi.123kanfang.com/v2/Authorization/RefreshToken?clientEdtion=ps_1.0.0&Authorization=re%2Ffresh \
         HTTP/1.1\n\n",
    );
    assert_eq!(
        edition(Place::Cookie),
        "GET https://webapi.123kanfang.com/v2/Authorization/RefreshToken?clientEdtion=ps_1.0.0 HTTP/1.1\n\
         cookie: Authorization=re%2Ffresh\n\n",
    );
}

#[test]
fn the_place_of_business_calls_leaves_the_refresh_call_alone() {
    assert_eq!(
        request(&Kanfang::new().place(Place::Query), Grant::Refresh(&pair())),
        request(&Kanfang::new(), Grant::Refresh(&pair())),
    );
}

#[test]
fn another_base_url_keeps_its_port_and_its_path() {
    let provider = Kanfang::new().base_url(Uri::from_static("http://webapi.123kanfang.com:5000/front/"));
    assert_eq!(
        request(&provider, Grant::Refresh(&pair())),
        "GET http://webapi.123kanfang.com:5000/front/v2/Authorization/RefreshToken HTTP/1.1\n\
         authorization: re/fresh\n\n",
    );
    assert_eq!(provider.origin().unwrap().to_string(), "http://webapi.123kanfang.com:5000/front/");
}

#[test]
fn what_a_request_lacks_is_a_fault_on_this_side() {
    let fault = |provider: Kanfang, grant: Grant<'_>| {
        let error = provider.request(grant, &cx()).unwrap_err();
        assert!(!error.to_string().contains("S3CR3T"));
        (error.kind(), error.reason())
    };
    let fault_of = |reason| (ProviderErrorKind::Fault, reason);
    assert_eq!(fault(Kanfang::new(), Grant::Login), fault_of("no login is configured"));
    assert_eq!(fault(Kanfang::new(), Grant::Refresh(&TokenSet::new("S3CR3T"))), fault_of("there is no refresh token"),);
    assert_eq!(
        fault(Kanfang::new(), Grant::Refresh(&TokenSet::new("a").with_refresh_token("S3CR3T\r\nx: y"))),
        fault_of("no request can carry the token to refresh with"),
    );
    assert_eq!(
        fault(Kanfang::new().base_url(Uri::from_static("/S3CR3T")), Grant::Refresh(&pair())),
        fault_of("the base URL needs a scheme and a host"),
    );
}

// ===== grants =====

#[test]
fn the_documented_grant_is_read_whole_on_both_calls() {
    let expected =
        ("access token", Expiry::At(after(172_800)), Some("refreshToken"), Some(after(2_592_000)), Some(now()));
    assert_eq!(granted(&refresh(json(200, SEED_GRANT)).unwrap()), expected);
    assert_eq!(granted(&login(json(200, SEED_GRANT)).unwrap()), expected);
}

#[test]
fn a_state_written_as_a_string_grants_too() {
    let set = refresh(json(200, r#"{"state":"200","payload":{"token":"t"}}"#)).unwrap();
    assert_eq!(exposed(set.access_token()), "t");
}

#[test]
fn a_refresh_that_brings_no_refresh_token_keeps_the_old_one_and_its_end() {
    let expected = ("t", Expiry::At(after(60)), Some("re/fresh"), Some(after(500)), Some(now()));
    assert_eq!(granted(&refresh(payload(r#""token":"t","tokenExpireIn":60"#)).unwrap()), expected);
    let null = r#""token":"t","tokenExpireIn":60,"refreshToken":null,"refreshTokenExpireIn":null"#;
    assert_eq!(granted(&refresh(payload(null)).unwrap()), expected);
}

#[test]
fn a_new_end_counts_for_a_refresh_token_that_is_kept() {
    let set = refresh(payload(r#""token":"t","refreshTokenExpireIn":9"#)).unwrap();
    assert_eq!(granted(&set), ("t", Expiry::Unknown, Some("re/fresh"), Some(after(9)), Some(now())));
}

#[test]
fn a_new_refresh_token_does_not_inherit_the_old_ones_end() {
    let set = refresh(payload(r#""token":"t","refreshToken":"r""#)).unwrap();
    assert_eq!(granted(&set), ("t", Expiry::Unknown, Some("r"), None, Some(now())));
}

#[test]
fn a_login_without_a_refresh_token_and_without_lifetimes_leaves_them_unknown() {
    assert_eq!(granted(&login(payload(r#""token":"t""#)).unwrap()), ("t", Expiry::Unknown, None, None, Some(now())));
}

// ===== failures =====

#[test]
fn every_documented_state_is_told_apart() {
    use ProviderErrorKind::{Refused, ServerError};
    let cases = [
        (401, Refused, "not authenticated"),
        (403, Refused, "access refused"),
        (4011, Refused, "the token cannot be refreshed"),
        (500, ServerError, "the server failed"),
    ];
    for (state, kind, reason) in cases {
        for body in [
            format!(r#"{{"state":{state},"payload":"S3CR3T"}}"#),
            format!(r#"{{"state":"{state}","payload":"S3CR3T"}}"#),
            format!(r#"{{"state":{state}}}"#),
        ] {
            assert_eq!(told("kanfang", refresh(json(200, body.clone()))), (kind, None, reason, Some(state)));
            assert_eq!(told("kanfang", login(json(200, body))), (kind, None, reason, Some(state)));
        }
    }
}

#[test]
fn the_documented_failure_is_a_refused_refresh() {
    let expected = (ProviderErrorKind::Refused, None, "the token cannot be refreshed", Some(4011));
    assert_eq!(told("kanfang", refresh(json(200, SEED_FAILURE))), expected);
}

#[test]
fn an_undocumented_state_is_malformed_and_named_by_its_number() {
    let expected = (ProviderErrorKind::Malformed, Some("state"), "is not a documented state", Some(418));
    assert_eq!(told("kanfang", refresh(json(200, r#"{"state":418,"payload":"S3CR3T"}"#))), expected);
}

#[test]
fn no_status_but_success_grants() {
    use ProviderErrorKind::{Malformed, Refused, ServerError, Unavailable};
    let cases = [
        (302, Malformed, Some("status"), "is not a success", 302),
        (400, Malformed, Some("status"), "is not a success", 400),
        (401, Refused, None, "not authenticated", 401),
        (403, Malformed, Some("status"), "is not a success", 403),
        (404, Malformed, Some("status"), "is not a success", 404),
        (429, Unavailable, None, "the token endpoint asks for patience", 429),
        (500, ServerError, None, "the token endpoint failed", 500),
        (502, ServerError, None, "the token endpoint failed", 502),
        (503, Unavailable, None, "the token endpoint asks for patience", 503),
        (504, ServerError, None, "the token endpoint failed", 504),
    ];
    for (status, kind, field, reason, code) in cases {
        for body in [SEED_GRANT, "", "<html>S3CR3T</html>"] {
            assert_eq!(told("kanfang", refresh(json(status, body))), (kind, field, reason, Some(code)));
            assert_eq!(told("kanfang", login(json(status, body))), (kind, field, reason, Some(code)));
        }
    }
}

#[test]
fn a_state_says_more_than_the_status_of_a_client_error() {
    let refused = (ProviderErrorKind::Refused, None, "the token cannot be refreshed", Some(4011));
    assert_eq!(told("kanfang", refresh(json(400, SEED_FAILURE))), refused);
    assert_eq!(told("kanfang", refresh(json(401, SEED_FAILURE))), refused);
    let failed = (ProviderErrorKind::ServerError, None, "the server failed", Some(500));
    assert_eq!(told("kanfang", refresh(json(400, r#"{"state":500,"payload":"S3CR3T"}"#))), failed);
}

#[test]
fn an_overloaded_or_broken_server_refuses_nothing() {
    let unavailable = (ProviderErrorKind::Unavailable, None, "the token endpoint asks for patience", Some(429));
    assert_eq!(told("kanfang", refresh(json(429, SEED_FAILURE))), unavailable);
    let failed = (ProviderErrorKind::ServerError, None, "the token endpoint failed", Some(500));
    assert_eq!(told("kanfang", refresh(json(500, SEED_FAILURE))), failed);
}

#[test]
fn an_answer_that_is_no_json_object_is_malformed() {
    let html = "<html>S3CR3T</html>";
    assert_malformed("kanfang", refresh(typed(200, "text/html", html)), "content-type", "is not JSON");
    assert_malformed("kanfang", refresh(json(200, html)), "body", "is markup, not JSON");
    assert_malformed("kanfang", refresh(json(200, "")), "body", "is empty");
    assert_malformed("kanfang", refresh(json(200, " \r\n")), "body", "is empty");
    assert_malformed("kanfang", refresh(json(200, &SEED_GRANT[..60])), "body", "is truncated JSON");
    assert_malformed("kanfang", refresh(json(200, r#"["S3CR3T"]"#)), "body", "is not a JSON object");
    assert_malformed("kanfang", refresh(json(200, r#"{"S3CR3T""}"#)), "body", "is not JSON");
    assert_malformed("kanfang", refresh(json(200, &b"{\"token\":\"S3CR3T\xff\"}"[..])), "body", "is not JSON");
}

#[test]
fn an_html_answer_is_named_by_its_content_type() {
    let error = refresh(typed(200, "text/html; charset=utf-8", "<p>S3CR3T")).unwrap_err();
    assert_eq!(error.to_string(), "kanfang: content-type: is not JSON: text/html");
}

#[test]
fn an_answer_of_two_mebibytes_is_malformed() {
    let padding = "S3CR3T".repeat((2 << 20) / 6);
    let large = format!(r#"{{"state":200,"payload":{{"token":"t","padding":"{padding}"}}}}"#);
    assert_malformed("kanfang", refresh(json(200, large)), "body", "is larger than 1 MiB");
}

#[test]
fn a_member_that_stands_twice_is_malformed() {
    let twice = "repeats a member of a JSON object";
    assert_malformed("kanfang", refresh(payload(r#""token":"S3CR3T","token":"t""#)), "body", twice);
    let body = r#"{"state":401,"state":200,"payload":{"token":"S3CR3T"}}"#;
    assert_malformed("kanfang", refresh(json(200, body)), "body", twice);
}

#[test]
fn a_field_of_the_envelope_of_a_wrong_type_is_malformed() {
    let cases = [
        (r#"{"payload":{"token":"S3CR3T"}}"#, "state", "is missing"),
        (r#"{"state":null,"payload":{"token":"S3CR3T"}}"#, "state", "is missing"),
        (r#"{"state":true,"payload":{"token":"S3CR3T"}}"#, "state", "is not an integer"),
        (r#"{"state":200.5,"payload":{"token":"S3CR3T"}}"#, "state", "is not an integer"),
        (r#"{"state":"S3CR3T","payload":{"token":"t"}}"#, "state", "is not an integer"),
        (r#"{"state":200}"#, "payload", "is missing"),
        (r#"{"state":200,"payload":null}"#, "payload", "is missing"),
        (r#"{"state":200,"payload":"S3CR3T"}"#, "payload", "is not an object"),
        (r#"{"state":200,"payload":[{"token":"S3CR3T"}]}"#, "payload", "is not an object"),
    ];
    for (body, field, reason) in cases {
        assert_malformed("kanfang", refresh(json(200, body)), field, reason);
    }
}

#[test]
fn a_field_of_the_payload_of_a_wrong_type_is_malformed() {
    let cases = [
        ("", "payload.token", "is missing"),
        (r#""token":null"#, "payload.token", "is missing"),
        (r#""token":"""#, "payload.token", "is empty"),
        (r#""token":7"#, "payload.token", "is not a string"),
        (r#""token":["S3CR3T"]"#, "payload.token", "is not a string"),
        (r#""token":"S3CR3T\r\nX: y""#, "payload.token", "has a control character"),
        (r#""token":"S3CR3T\u007f""#, "payload.token", "has a control character"),
        (r#""token":"S3CR3T","refreshToken":7"#, "payload.refreshToken", "is not a string"),
        (r#""token":"S3CR3T","refreshToken":"""#, "payload.refreshToken", "is empty"),
        (r#""token":"t","refreshToken":"S3CR3T\n""#, "payload.refreshToken", "has a control character"),
    ];
    for (members, field, reason) in cases {
        assert_malformed("kanfang", refresh(payload(members)), field, reason);
        assert_malformed("kanfang", login(payload(members)), field, reason);
    }
}

#[test]
fn a_lifetime_that_is_no_sensible_number_of_seconds_is_malformed() {
    let cases = [
        (r#""172800""#, "is not a number"),
        (r#""S3CR3T""#, "is not a number"),
        ("true", "is not a number"),
        ("-1", "is negative"),
        ("1.5", "is not a whole number"),
        ("9000000000000", "overflows"),
        ("18446744073709551615", "overflows"),
        ("18446744073709551616", "overflows"),
        ("1e300", "overflows"),
    ];
    for (value, reason) in cases {
        for name in ["tokenExpireIn", "refreshTokenExpireIn"] {
            let answer = payload(&format!(r#""token":"S3CR3T","refreshToken":"S3CR3T","{name}":{value}"#));
            let (kind, field, told_reason, code) = told("kanfang", refresh(answer));
            assert_eq!((kind, told_reason, code), (ProviderErrorKind::Malformed, reason, None), "{value}");
            assert_eq!(field.unwrap(), format!("payload.{name}"));
        }
    }
}

// ===== grants to ask for =====

#[test]
fn without_a_login_nothing_ever_asks_for_one() {
    let provider = Kanfang::new();
    let token = pair();
    let next = |token, why| provider.next_grant(token, why, now());
    for why in [Reason::NoToken, Reason::RefreshRefused, Reason::SignIn] {
        assert_eq!(next(None, why), None);
        assert_eq!(next(Some(&token), why), None);
    }
    for why in [Reason::Due, Reason::Rejected, Reason::MaybeSpent] {
        assert_eq!(next(None, why), None);
        assert_eq!(next(Some(&token), why), Some(GrantKind::Refresh));
    }
}

#[test]
fn with_a_login_a_token_that_can_be_refreshed_is_refreshed_first() {
    let provider = Kanfang::new().login("k", "v");
    let token = pair();
    let next = |why| provider.next_grant(Some(&token), why, now());
    for why in [Reason::Due, Reason::Rejected] {
        assert_eq!(next(why), Some(GrantKind::Refresh));
    }
    for why in [Reason::NoToken, Reason::RefreshRefused, Reason::MaybeSpent, Reason::SignIn] {
        assert_eq!(next(why), Some(GrantKind::Login));
    }
}

#[test]
fn a_refresh_token_is_spent_until_the_second_at_which_it_ends() {
    let next = |provider: Kanfang, at| provider.next_grant(Some(&pair()), Reason::Due, after(at));
    assert_eq!(next(Kanfang::new(), 499), Some(GrantKind::Refresh));
    assert_eq!(next(Kanfang::new(), 500), None);
    assert_eq!(next(Kanfang::new().login("k", "v"), 500), Some(GrantKind::Login));
    assert_eq!(next(Kanfang::new().refresh_with(RefreshWith::AccessToken), 500), Some(GrantKind::Refresh));
}

#[test]
fn an_access_token_alone_is_refreshed_only_where_it_is_what_is_presented() {
    let token = TokenSet::new("access");
    let next = |provider: Kanfang| provider.next_grant(Some(&token), Reason::Due, now());
    assert_eq!(next(Kanfang::new()), None);
    assert_eq!(next(Kanfang::new().refresh_with(RefreshWith::AccessToken)), Some(GrantKind::Refresh));
}

// ===== business calls =====

#[test]
fn each_place_carries_the_token_under_the_name_authorization() {
    let credential = |place| format!("{:?}", Kanfang::new().place(place).credential(&pair()).unwrap());
    assert_eq!(credential(Place::Header), "Credential(header authorization)");
    assert_eq!(credential(Place::Query), "Credential(query Authorization)");
    assert_eq!(credential(Place::Cookie), "Credential(cookie Authorization)");
    assert_eq!(format!("{:?}", Kanfang::new().credential(&pair()).unwrap()), credential(Place::Header));
}

#[test]
fn a_token_that_no_request_can_carry_is_named_and_not_shown() {
    for place in [Place::Header, Place::Query, Place::Cookie] {
        for token in ["S3CR3T\r\nX: y", ""] {
            let error = Kanfang::new().place(place).credential(&TokenSet::new(token)).unwrap_err();
            assert_eq!(error.to_string(), "kanfang: token: does not fit into a request");
        }
    }
}

#[test]
fn an_expired_token_is_seen_by_status_or_by_state() {
    assert!(judge(json(401, "")));
    for status in [200, 201, 206] {
        assert!(judge(json(status, r#"{"state":401,"payload":"expired"}"#)));
        assert!(judge(json(status, r#"{"payload":"","state":"401"}"#)));
    }
}

#[test]
fn no_other_state_and_no_other_status_is_a_rejection() {
    for state in [200, 403, 4011, 500, 0, -401] {
        assert!(!judge(json(200, format!(r#"{{"state":{state},"payload":"text"}}"#))), "{state}");
    }
    for status in [302, 400, 403, 404, 429, 500, 503] {
        assert!(!judge(json(status, r#"{"state":401,"payload":"expired"}"#)), "{status}");
    }
}

#[test]
fn what_only_looks_like_the_envelope_is_no_rejection() {
    let bodies = [
        r#"{"state":401}"#,
        r#"{"state":401,"payload":null}"#,
        r#"{"state":401,"payload":{"state":401,"payload":"x"}}"#,
        r#"{"state":200,"payload":{"state":401,"payload":"x"}}"#,
        r#"{"data":{"state":401,"payload":"x"}}"#,
        r#"[{"state":401,"payload":"x"}]"#,
        r#"{"state":401,"state":401,"payload":"x"}"#,
        r#"{"State":401,"Payload":"x"}"#,
        r#"{"state":401.5,"payload":"x"}"#,
        r#"{"state":401,"payload":"x""#,
        "401",
        "",
    ];
    for body in bodies {
        assert!(!judge(json(200, body)), "{body}");
    }
}

#[test]
fn the_configuration_prints_without_its_secrets() {
    let url = Uri::from_static("https://user:S3CR3T@host.example/");
    let provider = Kanfang::default().base_url(url).login("S3CR3T-key", "S3CR3T").client_edition("ps_1.0.0");
    let printed = format!("{provider:?}");
    assert!(!printed.contains("S3CR3T"), "{printed}");
    assert!(printed.contains("host.example") && printed.contains("ps_1.0.0"), "{printed}");
}

#[test]
fn the_provider_names_itself_and_its_documented_host() {
    let provider = Kanfang::new();
    assert_eq!(provider.name(), "kanfang");
    assert_eq!(provider.origin().unwrap(), "https://webapi.123kanfang.com/");
    assert!(provider.single_use());
}
