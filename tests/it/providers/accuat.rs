//! Accuat.

use bytes::Bytes;
use http::{Response, Uri};
use tower_auth_refresh::{
    Provider,
    provider::{Grant, GrantKind, ProviderError, ProviderErrorKind, Reason, Verdict},
    providers::{Accuat, BodyFormat, Language},
    token::{Expiry, TokenSet},
};

use super::support::{after, assert_malformed, cx, exposed, granted, json, now, told, typed, written};

const ENVELOPE: &str = r#"{"Result":200,"Message":"ok","Time":"2024-01-01","Data":{"AccessToken":"a","RefreshToken":"r","ExpiredIn":3600}}"#;
const REFRESHED: &str =
    r#"{"Result":200,"Message":"ok","Time":"2024-01-01","Data":{"Token":"a","RefreshToken":"r","ExpiredIn":3600}}"#;

fn accuat() -> Accuat {
    Accuat::new(Uri::from_static("http://sparkapi.accuat.com"))
}

fn pair() -> TokenSet {
    TokenSet::new("acc+ess").with_refresh_token("re/fre\"sh").with_refresh_expires_at(after(500))
}

fn request(provider: &Accuat, grant: Grant<'_>) -> String {
    written(&provider.request(grant, &cx()).unwrap())
}

fn refresh(answer: Response<Bytes>) -> Result<TokenSet, ProviderError> {
    accuat().parse(Grant::Refresh(&pair()), answer, &cx())
}

fn login(answer: Response<Bytes>) -> Result<TokenSet, ProviderError> {
    accuat().login("app", "key").parse(Grant::Login, answer, &cx())
}

/// A granting answer whose `Data` is `members`.
fn data(members: &str) -> Response<Bytes> {
    json(200, format!(r#"{{"Result":200,"Message":"","Data":{{{members}}}}}"#))
}

fn judge_with(provider: &Accuat, answer: Response<Bytes>) -> bool {
    let (head, body) = answer.into_parts();
    match provider.judge(&head) {
        Verdict::Rejected => true,
        Verdict::ReadBody => provider.judge_body(&head, &body),
        _ => false,
    }
}

fn judge(answer: Response<Bytes>) -> bool {
    judge_with(&accuat(), answer)
}

fn redirect(status: u16, location: &[u8]) -> Response<Bytes> {
    Response::builder().status(status).header("location", location).body(Bytes::new()).unwrap()
}

// ===== requests =====

/// The signatures were computed by md5sum(1) over the sorted, unencoded parameters.
#[test]
fn a_login_is_a_signed_form() {
    assert_eq!(
        request(&accuat().login("app-001", "s3cr3t"), Grant::Login),
        "POST http://sparkapi.accuat.com/connect/authorize HTTP/1.1\n\
         content-type: application/x-www-form-urlencoded\n\n\
         GrantType=client_credential&AppId=app-001&Random=00112233-4455-6677-8899-aabbccddeeff&Signature=bb77c7001888780bf936a36a924f8041",
    );
}

#[test]
fn a_login_signs_every_option_that_it_sends() {
    assert_eq!(
        request(&accuat().login("app-001", "s3cr3t").language(Language::Chinese), Grant::Login),
        "POST http://sparkapi.accuat.com/connect/authorize HTTP/1.1\n\
         content-type: application/x-www-form-urlencoded\n\n\
         GrantType=client_credential&AppId=app-001&Language=zh-CN&Random=00112233-4455-6677-8899-aabbccddeeff\
         &Signature=af3286baf3f745a66ab49731bc4b1a20",
    );
    assert_eq!(
        request(&accuat().login("app-001", "s3cr3t").language(Language::English), Grant::Login),
        "POST http://sparkapi.accuat.com/connect/authorize HTTP/1.1\n\
         content-type: application/x-www-form-urlencoded\n\n\
         GrantType=client_credential&AppId=app-001&Language=en-US&Random=00112233-4455-6677-8899-aabbccddeeff\
         &Signature=a32586687e1c2f85cc15902f1ba91ba5",
    );
}

#[test]
fn a_login_signs_values_before_they_are_encoded() {
    assert_eq!(
        request(&accuat().login("app&=ü 1", "s3&cr3t").grant_type("pass word"), Grant::Login),
        "POST http://sparkapi.accuat.com/connect/authorize HTTP/1.1\n\
         content-type: application/x-www-form-urlencoded\n\n\
         GrantType=pass%20word&AppId=app%26%3D%C3%BC%201&Random=00112233-4455-6677-8899-aabbccddeeff&Signature=ae13f6f89c4b8e2bbd44d962644ef206",
    );
}

#[test]
fn a_signature_is_uppercase_on_request() {
    let upper = request(&accuat().login("app-001", "s3cr3t").uppercase_signature(), Grant::Login);
    let lower = request(&accuat().login("app-001", "s3cr3t"), Grant::Login);
    let (form, signature) = lower.split_once("&Signature=").unwrap();
    assert_eq!(upper, format!("{form}&Signature={}", signature.to_uppercase()));
    assert_ne!(upper, lower);
}

#[test]
fn the_random_and_with_it_the_signature_are_fresh_each_time() {
    let provider = accuat().login("app-001", "s3cr3t");
    let sent = |nonce| {
        let cx = tower_auth_refresh::provider::Context::new(now(), nonce);
        let written = written(&provider.request(Grant::Login, &cx).unwrap());
        let (_, random) = written.split_once("Random=").unwrap();
        let (random, signature) = random.split_once("&Signature=").unwrap();
        (random.to_owned(), signature.to_owned())
    };
    let (one, max) = (sent(1), sent(u128::MAX));
    assert_eq!(one.0, "00000000-0000-0000-0000-000000000001");
    assert_eq!(max.0, "ffffffff-ffff-ffff-ffff-ffffffffffff");
    assert_ne!(one.1, max.1);
}

#[test]
fn a_refresh_sends_the_refresh_token_in_a_form_and_the_access_token_in_the_query() {
    assert_eq!(
        request(&accuat(), Grant::Refresh(&pair())),
        "POST http://sparkapi.accuat.com/connect/refreshtoken?token=acc%2Bess HTTP/1.1\n\
         content-type: application/x-www-form-urlencoded\n\n\
         RefreshToken=re%2Ffre%22sh",
    );
}

#[test]
fn a_refresh_sends_json_on_request() {
    assert_eq!(
        request(&accuat().refresh_in(BodyFormat::Json), Grant::Refresh(&pair())),
        "POST http://sparkapi.accuat.com/connect/refreshtoken?token=acc%2Bess HTTP/1.1\n\
         content-type: application/json\n\n\
         {\"RefreshToken\":\"re/fre\\\"sh\"}",
    );
}

#[test]
fn the_base_url_keeps_its_port_and_its_path() {
    let provider = Accuat::new(Uri::from_static("https://spark.example:8443/api/")).login("a", "k");
    let uri = |grant| provider.request(grant, &cx()).unwrap().uri().to_string();
    assert_eq!(uri(Grant::Login), "https://spark.example:8443/api/connect/authorize");
    assert_eq!(uri(Grant::Refresh(&pair())), "https://spark.example:8443/api/connect/refreshtoken?token=acc%2Bess",);
    assert_eq!(provider.origin().unwrap(), "https://spark.example:8443/api/");
}

#[test]
fn what_a_request_lacks_is_a_fault_on_this_side() {
    let fault = |provider: Accuat, grant: Grant<'_>| {
        let error = provider.request(grant, &cx()).unwrap_err();
        assert!(!error.to_string().contains("S3CR3T"));
        (error.kind(), error.reason())
    };
    let fault_of = |reason| (ProviderErrorKind::Fault, reason);
    assert_eq!(fault(accuat(), Grant::Login), fault_of("no login is configured"));
    assert_eq!(fault(accuat(), Grant::Refresh(&TokenSet::new("S3CR3T"))), fault_of("there is no refresh token"));
    assert_eq!(
        fault(accuat(), Grant::Refresh(&TokenSet::new("S3CR3T\r\n").with_refresh_token("S3CR3T"))),
        fault_of("no request can carry the access token"),
    );
    assert_eq!(
        fault(Accuat::new(Uri::from_static("/S3CR3T")).login("a", "S3CR3T"), Grant::Login),
        fault_of("the base URL needs a scheme and a host"),
    );
}

// ===== grants =====

#[test]
fn the_documented_grant_is_read_whole_on_both_calls() {
    let expected = ("a", Expiry::At(after(3600)), Some("r"), None, Some(now()));
    assert_eq!(granted(&login(json(200, ENVELOPE)).unwrap()), expected);
    assert_eq!(granted(&refresh(json(200, REFRESHED)).unwrap()), expected);
}

#[test]
fn the_token_goes_by_either_name_on_either_call() {
    let expected = ("a", Expiry::At(after(3600)), Some("r"), None, Some(now()));
    assert_eq!(granted(&login(json(200, REFRESHED)).unwrap()), expected);
    assert_eq!(granted(&refresh(json(200, ENVELOPE)).unwrap()), expected);
}

#[test]
fn the_name_that_is_documented_for_the_call_wins_over_the_other() {
    let both = || data(r#""AccessToken":"of login","Token":"of refresh""#);
    assert_eq!(exposed(login(both()).unwrap().access_token()), "of login");
    assert_eq!(exposed(refresh(both()).unwrap().access_token()), "of refresh");
}

#[test]
fn a_grant_is_read_at_the_top_level_where_there_is_no_data() {
    let expected = ("a", Expiry::At(after(60)), Some("r"), None, Some(now()));
    for body in [
        r#"{"AccessToken":"a","RefreshToken":"r","ExpiredIn":60}"#,
        r#"{"Result":0,"Message":"","Data":null,"AccessToken":"a","RefreshToken":"r","ExpiredIn":60}"#,
    ] {
        assert_eq!(granted(&login(json(200, body)).unwrap()), expected);
    }
}

#[test]
fn names_are_read_in_any_case() {
    let expected = ("a", Expiry::At(after(60)), Some("r"), None, Some(now()));
    for body in [
        r#"{"result":200,"message":"","data":{"accessToken":"a","refreshToken":"r","expiredIn":60}}"#,
        r#"{"RESULT":"0","DATA":{"TOKEN":"a","REFRESHTOKEN":"r","EXPIREDIN":60}}"#,
        r#"{"code":200,"Data":{"token":"a","refreshtoken":"r","expiredin":60}}"#,
    ] {
        assert_eq!(granted(&login(json(200, body)).unwrap()), expected);
        assert_eq!(granted(&refresh(json(200, body)).unwrap()), expected);
    }
}

#[test]
fn a_result_and_a_code_that_disagree_grant_nothing_and_reject_nothing() {
    let body = r#"{"Result":200,"Code":401,"Message":"","Data":{"Token":"a"}}"#;
    assert_malformed("accuat", refresh(json(200, body)), "Result", "differs from Code");
    let (head, ()) = json(200, body).map(|_| ()).into_parts();
    assert!(!accuat().judge_body(&head, body.as_bytes()));
}

#[test]
fn a_byte_order_mark_costs_no_grant() {
    let body = "\u{feff}{\"Result\":200,\"Data\":{\"Token\":\"a\"}}";
    assert_eq!(exposed(refresh(json(200, body)).unwrap().access_token()), "a");
}

#[test]
fn every_success_code_grants_and_so_does_none() {
    for head in [r#""Result":200"#, r#""Result":"200""#, r#""Result":0"#, r#""Code":0"#, r#""Result":null"#, r#""x":1"#]
    {
        let body = format!(r#"{{{head},"Data":{{"AccessToken":"a"}}}}"#);
        assert_eq!(exposed(login(json(200, body)).unwrap().access_token()), "a", "{head}");
    }
}

#[test]
fn a_refresh_that_brings_no_refresh_token_does_not_keep_the_spent_one() {
    let expected = ("a", Expiry::Unknown, None, None, Some(now()));
    assert_eq!(granted(&refresh(data(r#""Token":"a""#)).unwrap()), expected);
    assert_eq!(granted(&refresh(data(r#""Token":"a","RefreshToken":null"#)).unwrap()), expected);
}

#[test]
fn a_new_refresh_token_does_not_inherit_the_old_ones_end() {
    let set = refresh(data(r#""Token":"a","RefreshToken":"r""#)).unwrap();
    assert_eq!(granted(&set), ("a", Expiry::Unknown, Some("r"), None, Some(now())));
}

#[test]
fn a_login_without_a_refresh_token_and_without_a_lifetime_leaves_them_unknown() {
    let set = login(data(r#""AccessToken":"a""#)).unwrap();
    assert_eq!(granted(&set), ("a", Expiry::Unknown, None, None, Some(now())));
}

// ===== failures =====

#[test]
fn any_other_result_is_a_refusal() {
    for code in [401, 400, 500, 1, -1, 10001] {
        for body in [
            format!(r#"{{"Result":{code},"Message":"S3CR3T","Data":null}}"#),
            format!(r#"{{"Code":"{code}","Message":"S3CR3T"}}"#),
            format!(r#"{{"result":{code},"Data":{{"AccessToken":"S3CR3T","Token":"S3CR3T"}}}}"#),
        ] {
            let expected = (ProviderErrorKind::Refused, None, "the grant was refused", Some(code));
            assert_eq!(told("accuat", refresh(json(200, body.clone()))), expected);
            assert_eq!(told("accuat", login(json(200, body))), expected);
        }
    }
}

#[test]
fn no_status_but_success_grants() {
    use ProviderErrorKind::{Malformed, Refused, ServerError, Unavailable};
    let cases = [
        (302, Malformed, Some("status"), "is not a success", 302),
        (400, Refused, None, "the grant was refused", 400),
        (401, Refused, None, "the grant was refused", 401),
        (403, Malformed, Some("status"), "is not a success", 403),
        (404, Malformed, Some("status"), "is not a success", 404),
        (429, Unavailable, None, "the token endpoint asks for patience", 429),
        (500, ServerError, None, "the token endpoint failed", 500),
        (502, ServerError, None, "the token endpoint failed", 502),
        (503, Unavailable, None, "the token endpoint asks for patience", 503),
        (504, ServerError, None, "the token endpoint failed", 504),
    ];
    for (status, kind, field, reason, code) in cases {
        for body in [REFRESHED, ENVELOPE, "", "<html>S3CR3T</html>"] {
            assert_eq!(told("accuat", refresh(json(status, body))), (kind, field, reason, Some(code)));
            assert_eq!(told("accuat", login(json(status, body))), (kind, field, reason, Some(code)));
        }
    }
}

#[test]
fn a_result_says_more_than_the_status_of_a_client_error() {
    let refused = (ProviderErrorKind::Refused, None, "the grant was refused", Some(7));
    let body = r#"{"Result":7,"Message":"S3CR3T"}"#;
    assert_eq!(told("accuat", refresh(json(400, body))), refused);
    assert_eq!(told("accuat", refresh(json(404, body))), refused);
}

#[test]
fn an_overloaded_or_broken_server_refuses_nothing() {
    let body = r#"{"Result":401,"Message":"S3CR3T"}"#;
    let unavailable = (ProviderErrorKind::Unavailable, None, "the token endpoint asks for patience", Some(429));
    assert_eq!(told("accuat", refresh(json(429, body))), unavailable);
    let failed = (ProviderErrorKind::ServerError, None, "the token endpoint failed", Some(500));
    assert_eq!(told("accuat", refresh(json(500, body))), failed);
}

#[test]
fn a_refresh_that_is_sent_to_the_login_page_is_refused() {
    let refused = (ProviderErrorKind::Refused, None, "the grant was refused", Some(302));
    assert_eq!(told("accuat", refresh(redirect(302, b"/Account/Login?S3CR3T"))), refused);
    let elsewhere = (ProviderErrorKind::Malformed, Some("status"), "is not a success", Some(302));
    assert_eq!(told("accuat", refresh(redirect(302, b"/S3CR3T"))), elsewhere);
}

#[test]
fn an_answer_that_is_no_json_object_is_malformed() {
    let html = "<html>S3CR3T</html>";
    assert_malformed("accuat", refresh(typed(200, "text/html", html)), "content-type", "is not JSON");
    assert_malformed("accuat", refresh(json(200, html)), "body", "is markup, not JSON");
    assert_malformed("accuat", refresh(json(200, "")), "body", "is empty");
    assert_malformed("accuat", refresh(json(200, &REFRESHED[..60])), "body", "is truncated JSON");
    assert_malformed("accuat", refresh(json(200, r#"["S3CR3T"]"#)), "body", "is not a JSON object");
    assert_malformed("accuat", refresh(json(200, r#"{"S3CR3T""}"#)), "body", "is not JSON");
}

#[test]
fn an_xml_or_html_answer_is_named_by_its_content_type() {
    let said = |content_type| refresh(typed(200, content_type, "<S3CR3T/>")).unwrap_err().to_string();
    assert_eq!(said("application/xml; charset=utf-8"), "accuat: content-type: is not JSON: application/xml");
    assert_eq!(said("text/html"), "accuat: content-type: is not JSON: text/html");
    assert_eq!(said("text/S3CR3T"), "accuat: content-type: is not JSON: another content type");
}

#[test]
fn an_answer_of_two_mebibytes_is_malformed() {
    let padding = "S3CR3T".repeat((2 << 20) / 6);
    let large = data(&format!(r#""Token":"a","Padding":"{padding}""#));
    assert_malformed("accuat", refresh(large), "body", "is larger than 1 MiB");
}

#[test]
fn a_member_that_stands_twice_is_malformed() {
    let twice = "repeats a member of a JSON object";
    assert_malformed("accuat", refresh(data(r#""Token":"S3CR3T","Token":"t""#)), "body", twice);
    let but_for_case = "stands twice, in different case";
    let cases = [
        (r#"{"Result":200,"result":401,"Data":{"Token":"S3CR3T"}}"#, "Result"),
        (r#"{"Code":200,"code":200,"Data":{"Token":"S3CR3T"}}"#, "Code"),
        (r#"{"Result":200,"Data":{"Token":"S3CR3T"},"data":{"Token":"t"}}"#, "Data"),
        (r#"{"Result":200,"Data":{"Token":"S3CR3T","token":"t"}}"#, "Token"),
        (r#"{"Result":200,"Data":{"AccessToken":"S3CR3T","accessToken":"t"}}"#, "AccessToken"),
        (r#"{"Result":200,"Data":{"Token":"S3CR3T","RefreshToken":"S3CR3T","refreshToken":"t"}}"#, "RefreshToken"),
        (r#"{"Result":200,"Data":{"Token":"S3CR3T","ExpiredIn":1,"expiredIn":2}}"#, "ExpiredIn"),
    ];
    for (body, field) in cases {
        assert_malformed("accuat", refresh(json(200, body)), field, but_for_case);
    }
}

#[test]
fn a_field_of_a_wrong_type_is_malformed() {
    let cases = [
        (r#"{"Result":true,"Data":{"Token":"S3CR3T"}}"#, "Result", "is not an integer"),
        (r#"{"Result":200.5,"Data":{"Token":"S3CR3T"}}"#, "Result", "is not an integer"),
        (r#"{"Result":"S3CR3T","Data":{"Token":"t"}}"#, "Result", "is not an integer"),
        (r#"{"Code":{},"Data":{"Token":"S3CR3T"}}"#, "Code", "is not an integer"),
        (r#"{"Result":200,"Data":"S3CR3T"}"#, "Data", "is not an object"),
        (r#"{"Result":200,"Data":[{"Token":"S3CR3T"}]}"#, "Data", "is not an object"),
        (r#"{"Result":200,"Data":{}}"#, "Token", "is missing"),
        (r#"{"Result":200,"Data":{},"Token":"S3CR3T"}"#, "Token", "is missing"),
        (r#"{"Result":200}"#, "Token", "is missing"),
        (r#"{"Data":{"Token":null}}"#, "Token", "is missing"),
        (r#"{"Data":{"Token":""}}"#, "Token", "is empty"),
        (r#"{"Data":{"Token":7}}"#, "Token", "is not a string"),
        (r#"{"Data":{"AccessToken":["S3CR3T"]}}"#, "AccessToken", "is not a string"),
        (r#"{"Data":{"Token":"S3CR3T\r\nX: y"}}"#, "Token", "has a control character"),
        (r#"{"Data":{"Token":"S3CR3T","RefreshToken":7}}"#, "RefreshToken", "is not a string"),
        (r#"{"Data":{"Token":"S3CR3T","RefreshToken":""}}"#, "RefreshToken", "is empty"),
        (r#"{"Data":{"Token":"t","RefreshToken":"S3CR3T\n"}}"#, "RefreshToken", "has a control character"),
    ];
    for (body, field, reason) in cases {
        assert_malformed("accuat", refresh(json(200, body)), field, reason);
    }
    assert_malformed("accuat", login(json(200, r#"{"Result":200,"Data":{}}"#)), "AccessToken", "is missing");
}

#[test]
fn a_lifetime_that_is_no_sensible_number_of_seconds_is_malformed() {
    let cases = [
        (r#""3600""#, "is not a number"),
        (r#""S3CR3T""#, "is not a number"),
        ("false", "is not a number"),
        ("-1", "is negative"),
        ("0.5", "is not a whole number"),
        ("9000000000000", "overflows"),
        ("18446744073709551615", "overflows"),
        ("18446744073709551616", "overflows"),
        ("-1e300", "overflows"),
    ];
    for (value, reason) in cases {
        let answer = data(&format!(r#""Token":"S3CR3T","RefreshToken":"S3CR3T","ExpiredIn":{value}"#));
        assert_malformed("accuat", refresh(answer), "ExpiredIn", reason);
    }
}

// ===== grants to ask for =====

#[test]
fn without_a_login_nothing_ever_asks_for_one() {
    let provider = accuat();
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
    let provider = accuat().login("a", "k");
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
fn a_set_without_a_live_refresh_token_cannot_be_refreshed() {
    let next = |provider: Accuat, token: &TokenSet, at| provider.next_grant(Some(token), Reason::Due, after(at));
    assert_eq!(next(accuat(), &pair(), 499), Some(GrantKind::Refresh));
    assert_eq!(next(accuat(), &pair(), 500), None);
    assert_eq!(next(accuat(), &TokenSet::new("a"), 0), None);
    assert_eq!(next(accuat().login("a", "k"), &pair(), 500), Some(GrantKind::Login));
}

// ===== business calls =====

#[test]
fn business_calls_carry_the_token_in_the_query() {
    assert_eq!(format!("{:?}", accuat().credential(&pair()).unwrap()), "Credential(query token)");
}

#[test]
fn a_token_that_no_request_can_carry_is_named_and_not_shown() {
    for token in ["S3CR3T\r\nX: y", ""] {
        let error = accuat().credential(&TokenSet::new(token)).unwrap_err();
        assert_eq!(error.to_string(), "accuat: token: does not fit into a request");
    }
}

#[test]
fn a_refused_token_is_seen_by_status_or_by_result() {
    assert!(judge(json(401, "")));
    for body in [
        r#"{"Result":401,"Message":"expired","Time":"","Data":null}"#,
        r#"{"Result":"401","Message":null}"#,
        r#"{"Code":401,"Message":""}"#,
        r#"{"code":401,"message":"x"}"#,
        r#"{"RESULT":401,"MESSAGE":"x"}"#,
    ] {
        assert!(judge(json(200, body)), "{body}");
    }
}

#[test]
fn no_other_result_and_no_other_status_is_a_rejection() {
    for result in [200, 0, 400, 403, 500, -401] {
        assert!(!judge(json(200, format!(r#"{{"Result":{result},"Message":"x"}}"#))), "{result}");
    }
    for status in [304, 400, 403, 404, 429, 500, 503] {
        assert!(!judge(json(status, r#"{"Result":401,"Message":"x"}"#)), "{status}");
    }
}

#[test]
fn what_only_looks_like_the_envelope_is_no_rejection() {
    let bodies = [
        r#"{"Result":401}"#,
        r#"{"Result":401,"Message":{"Result":401}}"#,
        r#"{"Result":200,"Message":"","Data":{"Result":401,"Message":"x"}}"#,
        r#"{"Result":200,"Code":401,"Message":"x"}"#,
        r#"{"Data":{"Result":401,"Message":"x"}}"#,
        r#"[{"Result":401,"Message":"x"}]"#,
        r#"{"Result":401,"result":401,"Message":"x"}"#,
        r#"{"Result":401,"Message":"x","message":"y"}"#,
        r#"{"Result":401.5,"Message":"x"}"#,
        r#"{"Result":401,"Message":"x""#,
        "401",
        "",
    ];
    for body in bodies {
        assert!(!judge(json(200, body)), "{body}");
    }
}

#[test]
fn a_redirect_to_a_login_page_is_a_rejection() {
    let locations: [&[u8]; 6] = [
        b"/Account/Login",
        b"/account/LOGIN?ReturnUrl=%2Fapi",
        b"http://sparkapi.accuat.com/login",
        b"//sparkapi.accuat.com/user-login#top",
        b"Login.aspx",
        "/登录/login".as_bytes(),
    ];
    for location in locations {
        for status in [301, 302, 303, 307, 308] {
            assert!(judge(redirect(status, location)), "{location:?}");
        }
    }
}

#[test]
fn any_other_redirect_is_no_rejection() {
    let locations: [&[u8]; 7] = [
        b"/home",
        b"",
        b"/home?next=/login",
        b"/home#login",
        b"https://login.example.com/start?x=/login",
        b"https://login.example.com",
        b"/\xff/login",
    ];
    for location in locations {
        assert!(!judge(redirect(302, location)), "{location:?}");
    }
    assert!(!judge(redirect(201, b"/login")));
    assert!(!judge(json(302, "")));
}

#[test]
fn a_login_page_that_was_named_is_the_only_one() {
    let provider = accuat().login_page("/Account/SignIn");
    for location in [&b"/account/signin"[..], b"https://sparkapi.accuat.com/Account/SignIn/?ReturnUrl=/login"] {
        assert!(judge_with(&provider, redirect(302, location)), "{location:?}");
    }
    for location in [&b"/Account/Login"[..], b"/Account/SignIn/Help", b"/Account"] {
        assert!(!judge_with(&provider, redirect(302, location)), "{location:?}");
    }
}

#[test]
fn the_configuration_prints_without_its_secrets() {
    let provider = Accuat::new(Uri::from_static("https://user:S3CR3T@host.example/")).login("S3CR3T-app", "S3CR3T");
    let printed = format!("{provider:?}");
    assert!(!printed.contains("S3CR3T"), "{printed}");
    assert!(printed.contains("host.example") && printed.contains("client_credential"), "{printed}");
}

#[test]
fn the_provider_names_itself() {
    assert_eq!(accuat().name(), "accuat");
    assert!(accuat().single_use());
}
