//! Quectel on the wire.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::{
    Request, Response,
    header::{AUTHORIZATION, CONTENT_TYPE},
    response,
};
use secrecy::ExposeSecret;
use tower_auth_refresh::{
    provider::{Context, Grant, GrantKind, Provider, ProviderError, ProviderErrorKind, Reason, Verdict},
    providers::{Quectel, RefreshIn, UserDomain},
    token::{Expiry, SecretString, TokenSet},
};

const NOW: u64 = 1_700_000_000;
const ALPHABET: &str = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const RANDOM: &str = "j1acpdj2bmtqZXVb";
/// `{"uid":"C1","exp":1700003600}`
const ACCESS_JWT: &str = "Bearer eyJhbGciOiJIUzI1NiJ9.eyJ1aWQiOiJDMSIsImV4cCI6MTcwMDAwMzYwMH0.c2ln";
/// `{"exp":1702592000}`
const REFRESH_JWT: &str = "Bearer eyJhbGciOiJIUzI1NiJ9.eyJleHAiOjE3MDI1OTIwMDB9.c2ln";
const SEED_ANSWER: &str = r#"{
	"code": 0,
	"data": {
		"accessToken": {
			"expirationTime": 0,
			"token": ""
		},
		"refreshToken": {
			"expirationTime": 0,
			"token": ""
		}
	},
	"extMsg": "",
	"msg": ""
}"#;
const DEAD: [i64; 6] = [5032, 5033, 5115, 5383, 5486, 5489];

// ===== requests =====

#[test]
fn a_refresh_puts_the_refresh_token_into_the_query_and_the_access_token_into_the_header() {
    let request = Quectel::europe().request(Grant::Refresh(&tokens()), &cx()).unwrap();
    assert_eq!(
        wire(&request),
        "PUT https://iot-api.acceleronix.io/v2/enduser/enduserapi/refreshToken?refreshToken=Bearer%20ref%2Bresh%2F1%3D\n\
         authorization: Bearer access-1\n\
         content-type: application/json\n\
         \n"
    );
    assert!(request.headers()[AUTHORIZATION].is_sensitive());
}

#[test]
fn a_refresh_can_put_the_refresh_token_into_a_form() {
    let provider = Quectel::europe().refresh_in(RefreshIn::Form);
    let request = provider.request(Grant::Refresh(&tokens()), &cx()).unwrap();
    assert_eq!(
        wire(&request),
        "PUT https://iot-api.acceleronix.io/v2/enduser/enduserapi/refreshToken\n\
         authorization: Bearer access-1\n\
         content-type: application/x-www-form-urlencoded\n\
         \n\
         refreshToken=Bearer%20ref%2Bresh%2F1%3D"
    );
}

#[test]
fn the_query_is_the_default_place() {
    assert_eq!(RefreshIn::default(), RefreshIn::Query);
    let request = |provider: Quectel| wire(&provider.request(Grant::Refresh(&tokens()), &cx()).unwrap());
    assert_eq!(request(Quectel::china()), request(Quectel::china().refresh_in(RefreshIn::Query)));
}

#[test]
fn a_refresh_sends_an_expired_access_token_and_no_header_where_there_is_none() {
    let expired = tokens().with_expiry(Expiry::At(UNIX_EPOCH));
    let request = Quectel::china().request(Grant::Refresh(&expired), &cx()).unwrap();
    assert_eq!(request.headers()[AUTHORIZATION], "Bearer access-1");

    let none = TokenSet::new("").with_refresh_token("Bearer r");
    let request = Quectel::china().request(Grant::Refresh(&none), &cx()).unwrap();
    assert!(!request.headers().contains_key(AUTHORIZATION));
}

#[test]
fn a_refresh_that_cannot_be_built_is_a_fault() {
    for (provider, token, display) in [
        (Quectel::china(), TokenSet::new("a"), "quectel: the token set has no refresh token"),
        (
            Quectel::china(),
            TokenSet::new("hush\r\nX: 1").with_refresh_token("r"),
            "quectel: the access token fits no header",
        ),
        (
            Quectel::china().base_url("/only/a/path".parse().unwrap()),
            tokens(),
            "quectel: the base URL needs a scheme and a host",
        ),
    ] {
        let error = provider.request(Grant::Refresh(&token), &cx()).unwrap_err();
        assert_error(&error, ProviderErrorKind::Fault, display);
    }
}

#[test]
fn an_email_login_is_a_signed_form_with_the_published_password_vector() {
    let request = by_email().request(Grant::Login, &with_random(RANDOM)).unwrap();
    assert_eq!(
        wire(&request),
        "POST https://iot-api.acceleronix.io/v2/enduser/enduserapi/emailPwdLogin\n\
         content-type: application/x-www-form-urlencoded\n\
         \n\
         email=me%2Biot%40example.com\
         &pwd=lkZMvj0KDSJXlp66jBieHA%3D%3D\
         &random=j1acpdj2bmtqZXVb\
         &userDomain=E.DM.1.1\
         &signature=95cd63f2f4ab3118aec6f8b9ec2580855495b750664cb9fa2a448d4f4420f6f7"
    );
}

#[test]
fn a_phone_login_is_a_signed_form_with_the_international_code() {
    let request = by_phone().request(Grant::Login, &with_random(RANDOM)).unwrap();
    assert_eq!(
        wire(&request),
        "POST https://iot-api.quectelcn.com/v2/enduser/enduserapi/phonePwdLogin\n\
         content-type: application/x-www-form-urlencoded\n\
         \n\
         internationalCode=86\
         &phone=13800000000\
         &pwd=lkZMvj0KDSJXlp66jBieHA%3D%3D\
         &random=j1acpdj2bmtqZXVb\
         &userDomain=E.DM.1.1\
         &signature=736f9f8db217e9ca01b7d512144366132f9907cc88136b0ffb41b804ecf93d83"
    );
}

#[test]
fn the_random_has_sixteen_letters_and_digits_for_every_nonce() {
    let random = |nonce| {
        let request = by_email().request(Grant::Login, &Context::new(at(NOW), nonce)).unwrap();
        let body = String::from_utf8(request.body().to_vec()).unwrap();
        let random = body.split('&').find_map(|pair| pair.strip_prefix("random=")).unwrap();
        assert_eq!(random.len(), 16);
        assert!(random.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{random}");
        random.to_owned()
    };
    assert_eq!(random(0), "0000000000000000");
    assert_eq!(random(61), "z000000000000000");
    assert_ne!(random(u128::MAX), random(u128::MAX - 1));
}

#[test]
fn a_login_that_is_not_configured_is_a_fault() {
    let error = Quectel::china().request(Grant::Login, &cx()).unwrap_err();
    assert_error(&error, ProviderErrorKind::Fault, "quectel: no login is configured");
}

#[test]
fn each_region_has_its_host_and_another_can_be_set() {
    for (provider, origin) in [
        (Quectel::china(), "https://iot-api.quectelcn.com/"),
        (Quectel::europe(), "https://iot-api.acceleronix.io/"),
        (Quectel::north_america(), "https://iot-api.landecia.com/"),
        (Quectel::china().base_url("http://127.0.0.1:9/x".parse().unwrap()), "http://127.0.0.1:9/x"),
    ] {
        assert_eq!(provider.origin().unwrap(), origin);
    }
    let moved = Quectel::china().base_url("http://127.0.0.1:9/x".parse().unwrap()).refresh_in(RefreshIn::Form);
    let request = moved.request(Grant::Refresh(&tokens()), &cx()).unwrap();
    assert_eq!(request.uri(), "http://127.0.0.1:9/x/v2/enduser/enduserapi/refreshToken");
}

// ===== answers =====

#[test]
fn a_granted_answer_gives_both_tokens_verbatim_with_their_absolute_expiries() {
    let old = tokens();
    for grant in [Grant::Refresh(&old), Grant::Login] {
        let body = format!(
            r#"{{"code":200,"msg":"","extMsg":null,"data":{{
                "accessToken":{{"token":"{ACCESS_JWT}","expirationTime":1700007200}},
                "refreshToken":{{"token":"{REFRESH_JWT}","expirationTime":1702592001}}}}}}"#
        );
        let token = Quectel::china().parse(grant, answer(200, &body), &cx()).unwrap();
        assert_eq!(exposed(token.access_token()), ACCESS_JWT);
        assert_eq!(token.refresh_token().map(exposed).as_deref(), Some(REFRESH_JWT));
        assert_eq!(token.expiry(), Expiry::At(at(1_700_007_200)));
        assert_eq!(token.refresh_expires_at(), Some(at(1_702_592_001)));
        assert_eq!(token.issued_at(), Some(at(NOW)));
        assert!(token.signing_key().is_none());
        assert!(token.extra().is_empty());
    }
}

#[test]
fn the_documented_placeholder_example_grants_nothing_and_says_why() {
    let old = tokens();
    for grant in [Grant::Refresh(&old), Grant::Login] {
        let error = Quectel::china().parse(grant, answer(200, SEED_ANSWER), &cx()).unwrap_err();
        assert_error(
            &error,
            ProviderErrorKind::Malformed,
            "quectel: code: is 0, and there is no access token (code 0)",
        );
    }
}

#[test]
fn code_zero_is_believed_only_next_to_an_access_token() {
    let token = refreshed(200, &body("0", r#"{"token":"Bearer new"}"#, "null")).unwrap();
    assert_eq!(exposed(token.access_token()), "Bearer new");
    for data in ["null", "{}", r#"{"accessToken":null}"#, r#"{"accessToken":{"token":7}}"#, r#""Bearer new""#] {
        let error = refreshed(200, &format!(r#"{{"code":0,"msg":"","data":{data}}}"#)).unwrap_err();
        assert_eq!((error.kind(), error.field()), (ProviderErrorKind::Malformed, Some("code")), "{data}");
    }
}

#[test]
fn the_code_may_be_a_string_of_digits() {
    assert!(refreshed(200, &body(r#""200""#, r#"{"token":"Bearer new"}"#, "null")).is_ok());
    let error = refreshed(200, r#"{"code":"5032","msg":"hush"}"#).unwrap_err();
    assert_eq!((error.kind(), error.code()), (ProviderErrorKind::Refused, Some(5032)));
}

#[test]
fn a_missing_expiry_is_read_from_the_token_and_else_assumed_to_be_two_hours() {
    for (token, field, expiry) in [
        (ACCESS_JWT, r#""expirationTime":1700009999"#, 1_700_009_999),
        (ACCESS_JWT, r#""expirationTime":0"#, 1_700_003_600),
        (ACCESS_JWT, r#""expirationTime":null"#, 1_700_003_600),
        (ACCESS_JWT, r#""other":1"#, 1_700_003_600),
        (ACCESS_JWT.strip_prefix("Bearer ").unwrap(), r#""other":1"#, 1_700_003_600),
        // base64url letters, and padding that does not belong there.
        ("Bearer e30.eyJ1aWQiOiJ-fn4_Pz8iLCJleHAiOjE3MDAwMDM2MDB9.s", r#""other":1"#, 1_700_003_600),
        ("Bearer e30.eyJleHAiOjE3MDI1OTIwMDB9==.s", r#""other":1"#, 1_702_592_000),
        // No claim, or none that can be one: -1, too large, a string, 0, no JSON, no base64, no JWT.
        ("Bearer e30.eyJ1aWQiOiJDMSJ9.s", r#""other":1"#, NOW + 7200),
        ("Bearer e30.eyJleHAiOi0xfQ.s", r#""other":1"#, NOW + 7200),
        ("Bearer e30.eyJleHAiOjk5OTk5OTk5OTk5OTk5fQ.s", r#""other":1"#, NOW + 7200),
        ("Bearer e30.eyJleHAiOiIxNzAwMDAzNjAwIn0.s", r#""other":1"#, NOW + 7200),
        ("Bearer e30.eyJleHAiOjB9.s", r#""other":1"#, NOW + 7200),
        ("Bearer e30.bm90IGpzb24.s", r#""expirationTime":0"#, NOW + 7200),
        ("Bearer e30.*.s", r#""other":1"#, NOW + 7200),
        ("Bearer opaque", r#""other":1"#, NOW + 7200),
    ] {
        let access = format!(r#"{{"token":"{token}",{field}}}"#);
        let granted = refreshed(200, &body("200", &access, "null")).unwrap();
        assert_eq!(granted.expiry(), Expiry::At(at(expiry)), "{token} {field}");
    }
}

#[test]
fn a_refresh_token_without_an_expiry_has_that_of_its_claim_or_none() {
    for (token, field, expiry) in [
        (REFRESH_JWT, r#""expirationTime":1700000001"#, Some(1_700_000_001)),
        (REFRESH_JWT, r#""expirationTime":0"#, Some(1_702_592_000)),
        (REFRESH_JWT, r#""other":1"#, Some(1_702_592_000)),
        ("Bearer opaque", r#""expirationTime":0"#, None),
    ] {
        let refresh = format!(r#"{{"token":"{token}",{field}}}"#);
        let granted = refreshed(200, &body("200", r#"{"token":"Bearer a"}"#, &refresh)).unwrap();
        assert_eq!(granted.refresh_expires_at(), expiry.map(at), "{token} {field}");
    }
}

#[test]
fn an_answer_without_a_refresh_token_grants_and_drops_the_spent_one() {
    for refresh in ["null", "{}", r#"{"token":null}"#, r#"{"token":"","expirationTime":0}"#] {
        let token = refreshed(200, &body("200", r#"{"token":"Bearer a"}"#, refresh)).unwrap();
        assert!(token.refresh_token().is_none(), "{refresh}");
        assert_eq!(token.refresh_expires_at(), None);
        assert_eq!(Quectel::china().next_grant(Some(&token), Reason::Due, at(NOW)), None);
    }
}

#[test]
fn a_field_that_cannot_be_read_is_named_with_its_reason() {
    let ok = r#"{"token":"Bearer a"}"#;
    let access = |members: &str| body("200", &format!("{{{members}}}"), "null");
    let refresh = |members: &str| body("200", ok, &format!("{{{members}}}"));
    for (body, display) in [
        ("{}".to_owned(), "code: is missing"),
        (body("null", ok, "null"), "code: is missing"),
        (body("true", ok, "null"), "code: is not an integer"),
        (body("200.5", ok, "null"), "code: is not an integer"),
        (body(r#""hush""#, ok, "null"), "code: is not an integer"),
        (body("18446744073709551615", ok, "null"), "code: is not an integer"),
        (r#"{"code":200,"msg":"hush"}"#.to_owned(), "data: is missing"),
        (r#"{"code":200,"data":null}"#.to_owned(), "data: is missing"),
        (r#"{"code":200,"data":"hush"}"#.to_owned(), "data: is not an object"),
        (r#"{"code":200,"data":{}}"#.to_owned(), "data.accessToken: is missing"),
        (body("200", r#""hush""#, "null"), "data.accessToken: is not an object"),
        (access(""), "data.accessToken.token: is missing"),
        (access(r#""token":"""#), "data.accessToken.token: is empty"),
        (access(r#""token":["hush"]"#), "data.accessToken.token: is not a string"),
        (access(r#""token":"hush\r\nX: 1""#), "data.accessToken.token: has a control character"),
        (access(r#""token":"a","expirationTime":"hush""#), "data.accessToken.expirationTime: is not a number"),
        (access(r#""token":"a","expirationTime":-1"#), "data.accessToken.expirationTime: is negative"),
        (access(r#""token":"a","expirationTime":0.5"#), "data.accessToken.expirationTime: is not a whole number"),
        (access(r#""token":"a","expirationTime":18446744073709551615"#), "data.accessToken.expirationTime: overflows"),
        (access(r#""token":"a","expirationTime":1700007200000"#), "data.accessToken.expirationTime: overflows"),
        (access(r#""token":"a","expirationTime":1e300"#), "data.accessToken.expirationTime: overflows"),
        (access(r#""token":"a","token":"hush""#), "body: repeats a member of a JSON object"),
        (body("200", ok, r#"["hush"]"#), "data.refreshToken: is not an object"),
        (refresh(r#""token":7"#), "data.refreshToken.token: is not a string"),
        (refresh(r#""token":"hush\n""#), "data.refreshToken.token: has a control character"),
        (refresh(r#""token":"r","expirationTime":-1"#), "data.refreshToken.expirationTime: is negative"),
        (refresh(r#""token":"r","expirationTime":1e300"#), "data.refreshToken.expirationTime: overflows"),
        (refresh(r#""token":"r","expirationTime":[]"#), "data.refreshToken.expirationTime: is not a number"),
        (r#"{"code":200,"code":5032}"#.to_owned(), "body: repeats a member of a JSON object"),
        (String::new(), "body: is empty"),
        (r#"["hush"]"#.to_owned(), "body: is not a JSON object"),
        (SEED_ANSWER[..60].to_owned(), "body: is truncated JSON"),
        ("hush".repeat(512 * 1024), "body: is larger than 1 MiB"),
        ("[".repeat(2 * 1024 * 1024), "body: is larger than 1 MiB"),
    ] {
        let error = refreshed(200, &body).unwrap_err();
        assert_error(&error, ProviderErrorKind::Malformed, &format!("quectel: {display}"));
    }
}

#[test]
fn a_page_in_the_place_of_an_answer_is_named_by_its_type() {
    let mut answer = answer(200, "<html>hush</html>");
    answer.headers_mut().insert(CONTENT_TYPE, "text/html".parse().unwrap());
    let error = Quectel::china().parse(Grant::Refresh(&tokens()), answer, &cx()).unwrap_err();
    assert_error(&error, ProviderErrorKind::Malformed, "quectel: content-type: is not JSON: text/html");
}

#[test]
fn every_documented_code_refuses_a_refresh() {
    for code in DEAD {
        for status in [200, 400, 401, 403] {
            let error = refreshed(status, &format!(r#"{{"code":{code},"msg":"hush","data":null}}"#)).unwrap_err();
            let display = format!("quectel: the server refuses the refresh token (code {code})");
            assert_error(&error, ProviderErrorKind::Refused, &display);
        }
    }
}

#[test]
fn a_refusal_next_to_tokens_grants_nothing() {
    for code in DEAD {
        let body = body(&code.to_string(), r#"{"token":"Bearer hush"}"#, r#"{"token":"Bearer hush"}"#);
        assert_eq!(refreshed(200, &body).unwrap_err().kind(), ProviderErrorKind::Refused);
    }
}

#[test]
fn codes_of_a_failing_server_are_transient_for_both_grants() {
    let old = tokens();
    for code in [5000, 500, 503, 599] {
        for grant in [Grant::Refresh(&old), Grant::Login] {
            let body = format!(r#"{{"code":{code},"msg":"hush"}}"#);
            let error = by_email().parse(grant, answer(200, &body), &cx()).unwrap_err();
            assert_error(&error, ProviderErrorKind::ServerError, &format!("quectel: the server failed (code {code})"));
        }
    }
}

#[test]
fn an_unknown_code_does_not_refuse_a_refresh() {
    for code in [-1, 1, 5041, 5106, 5477, 9999] {
        let error = refreshed(200, &format!(r#"{{"code":{code},"msg":"hush"}}"#)).unwrap_err();
        let display = format!("quectel: code: neither grants nor refuses the refresh (code {code})");
        assert_error(&error, ProviderErrorKind::Malformed, &display);
    }
}

#[test]
fn the_codes_of_a_wrong_password_and_of_a_frozen_account_refuse_a_login() {
    for code in [5147, 5148, 5325].into_iter().chain(5579..=5586) {
        let error = logged_in(200, &format!(r#"{{"code":{code},"msg":"hush"}}"#)).unwrap_err();
        let display = format!("quectel: the password is wrong or the account is frozen (code {code})");
        assert_error(&error, ProviderErrorKind::Refused, &display);
    }
}

#[test]
fn every_other_code_refuses_a_login_too() {
    for code in DEAD.into_iter().chain([-1, 1, 5106, 5578, 5587, 9999]) {
        for status in [200, 400, 404] {
            let error = logged_in(status, &format!(r#"{{"code":{code},"msg":"hush"}}"#)).unwrap_err();
            let display = format!("quectel: the server refuses the login (code {code})");
            assert_error(&error, ProviderErrorKind::Refused, &display);
        }
    }
}

#[test]
fn a_status_other_than_success_grants_nothing() {
    use ProviderErrorKind::{Malformed, Refused, ServerError, Unavailable};
    let granted = body("200", r#"{"token":"Bearer hush"}"#, r#"{"token":"Bearer hush"}"#);
    for (status, kind, display) in [
        (302, Malformed, "status: is not a success (code 302)"),
        (400, Malformed, "status: is not a success (code 400)"),
        (401, Refused, "the server answers with HTTP 401 (code 401)"),
        (403, Malformed, "status: is not a success (code 403)"),
        (404, Malformed, "status: is not a success (code 404)"),
        (408, Unavailable, "the server asks for patience (code 408)"),
        (425, Unavailable, "the server asks for patience (code 425)"),
        (429, Unavailable, "the server asks for patience (code 429)"),
        (500, ServerError, "the server failed (code 500)"),
        (502, ServerError, "the server failed (code 502)"),
        (503, Unavailable, "the server asks for patience (code 503)"),
    ] {
        for body in [granted.as_str(), "", "<html>hush</html>"] {
            let error = refreshed(status, body).unwrap_err();
            assert_error(&error, kind, &format!("quectel: {display}"));
        }
        assert!(logged_in(status, &granted).is_err(), "{status}");
    }
}

#[test]
fn a_login_is_refused_by_401_and_403_whatever_the_body() {
    for status in [401, 403] {
        let error = logged_in(status, "<html>hush</html>").unwrap_err();
        let display = format!("quectel: the server answers with HTTP {status} (code {status})");
        assert_error(&error, ProviderErrorKind::Refused, &display);
    }
}

#[test]
fn a_failing_server_refuses_nothing_whatever_its_body_says() {
    for status in [500, 502, 504] {
        let error = refreshed(status, r#"{"code":5032,"msg":"hush"}"#).unwrap_err();
        assert_eq!((error.kind(), error.code()), (ProviderErrorKind::ServerError, Some(status.into())));
    }
}

// ===== credentials and rejections =====

#[test]
fn the_access_token_travels_verbatim_and_one_that_fits_no_header_is_named() {
    let provider = Quectel::china();
    let credential = provider.credential(&TokenSet::new(ACCESS_JWT)).unwrap();
    assert_eq!(format!("{credential:?}"), "Credential(header authorization)");
    for token in ["", "hush\r\nX: 1", "hush\0"] {
        let error = provider.credential(&TokenSet::new(token)).unwrap_err();
        assert_error(&error, ProviderErrorKind::Malformed, "quectel: data.accessToken.token: fits no header");
    }
}

#[test]
fn a_401_rejects_and_a_success_of_any_type_is_looked_into() {
    for (status, verdict) in [
        (200, Verdict::ReadUntypedBody),
        (201, Verdict::ReadUntypedBody),
        (302, Verdict::Accepted),
        (400, Verdict::Accepted),
        (401, Verdict::Rejected),
        (403, Verdict::Accepted),
        (404, Verdict::Accepted),
        (500, Verdict::Accepted),
    ] {
        assert_eq!(Quectel::china().judge(&answer_head(status)), verdict, "{status}");
    }
}

#[test]
fn only_an_envelope_that_says_the_token_is_invalid_or_missing_is_a_rejection() {
    for (body, rejected) in [
        (r#"{"code":5032,"msg":"token"}"#, true),
        (r#"{"code":5106,"msg":"token"}"#, true),
        (r#"{"code":"5032","msg":"token","data":null,"extMsg":""}"#, true),
        (r#"{"code":5032,"msg":null}"#, true),
        (r#"{"code":5032}"#, false),
        (r#"{"code":200,"msg":"5032"}"#, false),
        (r#"{"code":0,"msg":""}"#, false),
        (r#"{"code":5041,"msg":""}"#, false),
        (r#"{"code":5477,"msg":""}"#, false),
        (r#"{"code":5115,"msg":""}"#, false),
        (r#"{"code":5033,"msg":""}"#, false),
        (r#"{"code":5000,"msg":""}"#, false),
        (r#"{"code":5032.5,"msg":""}"#, false),
        (r#"{"code":200,"msg":"","data":{"code":5032,"msg":""}}"#, false),
        (r#"{"code":200,"code":5032,"msg":""}"#, false),
        (r#"[{"code":5032,"msg":""}]"#, false),
        (r#"{"code":5032,"msg":""#, false),
        ("5032", false),
        ("", false),
    ] {
        assert_eq!(Quectel::china().judge_body(&answer_head(200), body.as_bytes()), rejected, "{body}");
    }
}

// ===== grants =====

#[test]
fn what_is_asked_for_follows_from_the_refresh_token_and_the_login() {
    use GrantKind::{Login, Refresh};
    let alive = tokens().with_refresh_expires_at(at(NOW + 1));
    let ended = tokens().with_refresh_expires_at(at(NOW));
    let expired_access = tokens().with_expiry(Expiry::At(UNIX_EPOCH));
    let none = TokenSet::new("Bearer a");
    for (token, why, with, without) in [
        (None, Reason::NoToken, Some(Login), None),
        (Some(&alive), Reason::Due, Some(Refresh), Some(Refresh)),
        (Some(&expired_access), Reason::Due, Some(Refresh), Some(Refresh)),
        (Some(&ended), Reason::Due, Some(Login), None),
        (Some(&none), Reason::Due, Some(Login), None),
        (Some(&alive), Reason::Rejected, Some(Refresh), Some(Refresh)),
        (Some(&ended), Reason::Rejected, Some(Login), None),
        (Some(&alive), Reason::RefreshRefused, Some(Login), None),
        (Some(&alive), Reason::MaybeSpent, Some(Login), Some(Refresh)),
        (Some(&ended), Reason::MaybeSpent, Some(Login), None),
        (Some(&alive), Reason::SignIn, Some(Login), None),
    ] {
        for provider in [by_email(), by_phone()] {
            assert_eq!(provider.next_grant(token, why, at(NOW)), with, "{why:?} with a login");
        }
        assert_eq!(Quectel::china().next_grant(token, why, at(NOW)), without, "{why:?} without a login");
    }
}

#[test]
fn the_provider_names_itself_and_says_that_a_refresh_token_is_spent_once() {
    let provider: Box<dyn Provider> = Box::new(Quectel::china());
    assert_eq!(provider.name(), "quectel");
    assert!(provider.single_use());
}

#[test]
fn debug_shows_neither_secrets_nor_personal_data() {
    let provider = by_email().base_url("https://me:hush@api.example.com".parse().unwrap());
    assert_eq!(
        format!("{provider:?}"),
        r#"Quectel { host: Some("api.example.com"), login: Some(email), refresh_in: Query }"#
    );
    assert_eq!(
        format!("{:?}", by_phone().refresh_in(RefreshIn::Form)),
        r#"Quectel { host: Some("iot-api.quectelcn.com"), login: Some(phone), refresh_in: Form }"#
    );
    assert_eq!(format!("{:?}", domain()), r#"UserDomain { name: "E.DM.1.1", .. }"#);
}

// ===== helpers =====

fn domain() -> UserDomain {
    UserDomain::new("E.DM.1.1", "domain-secret")
}

fn by_email() -> Quectel {
    Quectel::europe().email_login("me+iot@example.com", "china1234", domain())
}

fn by_phone() -> Quectel {
    Quectel::china().phone_login("86", "13800000000", "china1234", domain())
}

fn tokens() -> TokenSet {
    TokenSet::new("Bearer access-1").with_refresh_token("Bearer ref+resh/1=")
}

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

fn cx() -> Context {
    Context::new(at(NOW), 0)
}

/// The context whose nonce stands for `random`: base 62, the lowest digit first.
fn with_random(random: &str) -> Context {
    let digit = |letter| ALPHABET.find(letter).unwrap() as u128;
    Context::new(at(NOW), random.chars().rev().fold(0, |nonce, letter| nonce * 62 + digit(letter)))
}

fn body(code: &str, access: &str, refresh: &str) -> String {
    format!(r#"{{"code":{code},"data":{{"accessToken":{access},"refreshToken":{refresh}}},"extMsg":"","msg":"hush"}}"#)
}

fn answer(status: u16, body: &str) -> Response<Bytes> {
    Response::builder()
        .status(status)
        .header(CONTENT_TYPE, "application/json;charset=UTF-8")
        .body(Bytes::copy_from_slice(body.as_bytes()))
        .unwrap()
}

fn answer_head(status: u16) -> response::Parts {
    answer(status, "").into_parts().0
}

fn refreshed(status: u16, body: &str) -> Result<TokenSet, ProviderError> {
    Quectel::china().parse(Grant::Refresh(&tokens()), answer(status, body), &cx())
}

fn logged_in(status: u16, body: &str) -> Result<TokenSet, ProviderError> {
    by_email().parse(Grant::Login, answer(status, body), &cx())
}

/// Compares the whole text, so that nothing of the server's can hide in it.
fn assert_error(error: &ProviderError, kind: ProviderErrorKind, display: &str) {
    assert_eq!((error.kind(), error.to_string().as_str()), (kind, display));
    assert_eq!(format!("{error:?}"), format!("ProviderError({kind:?}, \"{display}\")"));
    assert_eq!(error.provider(), "quectel");
}

fn wire(request: &Request<Bytes>) -> String {
    let mut headers: Vec<_> = request.headers().iter().collect();
    headers.sort_by_key(|(name, _)| name.as_str());
    let mut text = format!("{} {}\n", request.method(), request.uri());
    for (name, value) in headers {
        text += &format!("{name}: {}\n", value.to_str().unwrap());
    }
    text + "\n" + std::str::from_utf8(request.body()).unwrap()
}

#[allow(clippy::disallowed_methods, reason = "the test looks at what was granted")]
fn exposed(secret: &SecretString) -> String {
    secret.expose_secret().to_owned()
}
