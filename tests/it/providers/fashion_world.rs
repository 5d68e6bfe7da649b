//! FashionWorld on the wire.

use std::{
    borrow::Cow,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{
    Method, Request, Response,
    header::{AUTHORIZATION, CONTENT_TYPE},
    request, response,
};
use secrecy::ExposeSecret;
use tower_auth_refresh::{
    credential::Credential,
    provider::{Context, Grant, GrantKind, Provider, ProviderError, ProviderErrorKind, Reason, Verdict},
    providers::{Action, FashionWorld},
    token::{Expiry, SecretString, TokenSet},
};

const NOW_MS: u64 = 1_700_000_000_000;
const SEED_HEADER: &str = "Caa N1QrTys5S01TbW0vL1Qrbi9yYlJrbkYxNzlFU3VaTGVTUXc0Ky96OHQ2ND06UytxZHBrbmZBS0l3WGY0YWFxdWNxd1Nsb1NzPSAxNTEwMjEzODcyMDcw";
const SEED_ANSWER: &str = r#"{
    "apiKey": "/Im2a4gP7L22WUF27es7qPH0iy677Kh5aSb0CpjX4mw=",
    "secretKey": "G/ZPL3qmC9cdIqmtzj+QtoQsLnON/mQjEsZgbnlIF34=",
    "userId": "59573c395c2960da1aa83a08",
    "expireIn": 1510473072121,
    "user": {
        "_id": "59573c395c2960da1aa83a08",
        "registerAt": 1498889273883,
        "createAt": 1498889273883,
        "thirdParty": {
            "weixin": {
                "unionid": "okGoa1vFQSIYULTYodGww1iVt1aw",
                "openid": "osRutw7PUvFEstItTsd2Z7nchjPM"
            }
        },
        "avatar": "http://beta.images.fashionworldcn.com/user/59573c395c2960da1aa83a08/ca80b79960c48f1712b513f163541ff8036c71df.png",
        "gender": "secret",
        "name": "PeckZeg892"
    }
}"#;

// ===== requests =====

#[test]
fn a_login_is_a_json_post_without_a_signature() {
    let request = with_login().request(Grant::Login, &cx()).unwrap();
    assert_eq!(
        wire(&request),
        "POST https://api.example.com/api/my/login\n\
         content-type: application/json\n\
         \n\
         {\"mobile\":\"13800000000\",\"password\":\"hunter2 \\\"quoted\\\" 密\"}"
    );
}

#[test]
fn a_refresh_is_an_empty_signed_form_post() {
    let request = plain().request(Grant::Refresh(&pair("key", "secret")), &cx()).unwrap();
    assert_eq!(
        wire(&request),
        "POST https://api.example.com/api/my/refresh-token\n\
         authorization: Caa a2V5OkNaNFlodHRLdnpnT09HN3BYdUFLMjBWSjZ0dz0gMTcwMDAwMDAwMDAwMA==\n\
         content-type: application/x-www-form-urlencoded\n\
         \n"
    );
    assert!(request.headers()[AUTHORIZATION].is_sensitive());
}

#[test]
fn a_path_in_the_base_url_is_kept() {
    let provider = FashionWorld::new("http://localhost:3003/gateway/".parse().unwrap());
    let request = provider.request(Grant::Refresh(&pair("key", "secret")), &cx()).unwrap();
    assert_eq!(request.uri(), "http://localhost:3003/gateway/api/my/refresh-token");
}

#[test]
fn a_base_url_without_a_host_is_a_fault() {
    let provider = FashionWorld::new("/api".parse().unwrap());
    let error = provider.request(Grant::Refresh(&pair("key", "secret")), &cx()).unwrap_err();
    assert_error(&error, ProviderErrorKind::Fault, "fashion-world: the base URL needs a scheme and a host");
}

#[test]
fn a_login_that_is_not_configured_is_a_fault() {
    let error = plain().request(Grant::Login, &cx()).unwrap_err();
    assert_error(&error, ProviderErrorKind::Fault, "fashion-world: no login is configured");
}

// ===== signatures =====

#[test]
fn the_first_published_vector_gives_its_signature() {
    let token = pair("SzggU8dj2xcegXfZVx1ucm/hKgre8DIckHPoxkkn+n0=", "fz/THFXY6gbW7eWh+qKtefvgY49IR2W4v6lpTNimsd0=");
    let header = signed(&token, "user:personal-profile", 1_494_908_261_599);
    assert_eq!(
        decoded(&header),
        "SzggU8dj2xcegXfZVx1ucm/hKgre8DIckHPoxkkn+n0=:VHTnYjscONrGXMumaGChvV+Q+Xo= 1494908261599"
    );
}

#[test]
fn the_second_published_vector_gives_its_header() {
    let token = pair("bCW3XwK5E4qJR8rz57eLtY5ogqa2ewkEGlkVtEMzg/A=", "RkWB1kD2ZaZvyfe2EBwFIF93bHyBTeFx2lPz6/Tm3dM=");
    assert_eq!(
        signed(&token, "client:my:fetch-my-profile", 1_510_044_561_173),
        "Caa YkNXM1h3SzVFNHFKUjhyejU3ZUx0WTVvZ3FhMmV3a0VHbGtWdEVNemcvQT06aHJrSkg1ZFdjQmYrVytHTkM1SE1sdkVRL1pnPSAxNTEwMDQ0NTYxMTcz"
    );
}

#[test]
fn the_documented_example_header_differs_from_ours_in_nothing_but_the_hash() {
    let example = decoded(SEED_HEADER);
    assert_eq!(example, "7T+O+9KMSmm//T+n/rbRknF179ESuZLeSQw4+/z8t64=:S+qdpknfAKIwXf4aaqucqwSloSs= 1510213872070");
    let (key, rest) = example.split_once(':').unwrap();
    let (signature, timestamp) = rest.split_once(' ').unwrap();

    let ours = decoded(&signed(&pair(key, "secret"), "client:my:refresh-token", timestamp.parse().unwrap()));
    let (head, tail) = ours.split_at(key.len() + 1);
    assert_eq!(head, format!("{key}:"));
    assert_eq!(&tail[signature.len()..], format!(" {timestamp}"));
    assert_eq!(STANDARD.decode(&tail[..signature.len()]).unwrap().len(), STANDARD.decode(signature).unwrap().len());
}

#[test]
fn each_attempt_is_signed_with_its_own_time_and_carries_one_signature() {
    let mut request = Request::get("https://api.example.com/api/my").extension(Action::new("a")).body(()).unwrap();
    *request.headers_mut() = [(AUTHORIZATION, "Caa stale".parse().unwrap())].into_iter().collect();
    let (mut head, ()) = request.into_parts();

    let mut seen = Vec::new();
    for at in [NOW_MS, NOW_MS + 1] {
        plain().sign(&pair("key", "secret"), &mut head, &Context::new(ms(at), 0)).unwrap();
        let values: Vec<_> = head.headers.get_all(AUTHORIZATION).iter().collect();
        assert_eq!(values.len(), 1);
        assert!(values[0].is_sensitive());
        seen.push(decoded(values[0].to_str().unwrap()));
    }
    assert!(seen[0].ends_with(" 1700000000000"));
    assert!(seen[1].ends_with(" 1700000000001"));
    assert_ne!(seen[0][..32], seen[1][..32]);
}

#[test]
fn a_time_without_thirteen_digits_is_a_fault_of_the_clock() {
    for (at, fits) in [
        (0, false),
        (999_999_999_999, false),
        (1_000_000_000_000, true),
        (9_999_999_999_999, true),
        (10_000_000_000_000, false),
    ] {
        let result = sign_at(ms(at));
        assert_eq!(result.is_ok(), fits, "{at}");
        if let Err(error) = result {
            assert_error(
                &error,
                ProviderErrorKind::Fault,
                "fashion-world: the clock is wrong: its time in milliseconds does not have 13 digits",
            );
        }
    }
    assert!(sign_at(UNIX_EPOCH - Duration::from_secs(2_000_000_000)).is_err());
}

#[test]
fn an_action_in_the_extensions_wins_over_the_function() {
    let provider = plain().actions(|_, _| panic!("not asked"));
    let mut head = head(Method::GET, "https://api.example.com/api/my");
    head.extensions.insert(Action::new("from-the-extension"));
    provider.sign(&pair("key", "secret"), &mut head, &cx()).unwrap();
    assert_eq!(head.headers[AUTHORIZATION], signed(&pair("key", "secret"), "from-the-extension", NOW_MS));
}

#[test]
fn the_function_is_told_method_and_path_and_its_action_is_signed() {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let provider = plain().actions({
        let asked = asked.clone();
        move |method, path| {
            asked.lock().unwrap().push(format!("{method} {path}"));
            Some(Cow::Owned(format!("action-of-{path}")))
        }
    });
    let mut head = head(Method::PUT, "https://api.example.com/api/my?secret=in-the-query");
    provider.sign(&pair("key", "secret"), &mut head, &cx()).unwrap();
    assert_eq!(*asked.lock().unwrap(), ["PUT /api/my"]);
    assert_eq!(head.headers[AUTHORIZATION], signed(&pair("key", "secret"), "action-of-/api/my", NOW_MS));
}

#[test]
fn a_route_without_an_action_is_a_fault_that_names_it_without_its_query() {
    for provider in [plain(), plain().actions(|_, _| None)] {
        let mut head = head(Method::DELETE, "https://api.example.com/api/carts/7?token=hush");
        let error = provider.sign(&pair("key", "secret"), &mut head, &cx()).unwrap_err();
        assert_error(&error, ProviderErrorKind::Fault, "fashion-world: the route has no action: DELETE /api/carts/7");
        assert!(head.headers.is_empty());
    }
}

#[test]
fn the_credential_is_a_signature_for_each_attempt() {
    let credential: Credential = plain().credential(&pair("key", "secret")).unwrap();
    assert!(credential.is_signed());
}

#[test]
fn a_pair_that_cannot_sign_is_no_credential() {
    for (token, display) in [
        (TokenSet::new("key"), "fashion-world: secretKey: is missing"),
        (pair("key", ""), "fashion-world: secretKey: is missing"),
        (pair("", "secret"), "fashion-world: apiKey: is missing"),
        (pair("ke:y", "secret"), "fashion-world: apiKey: has a colon or a space"),
        (pair("ke y", "secret"), "fashion-world: apiKey: has a colon or a space"),
    ] {
        let error = plain().credential(&token).unwrap_err();
        assert_error(&error, ProviderErrorKind::Malformed, display);
        let mut head = head(Method::GET, "https://api.example.com/");
        head.extensions.insert(Action::new("a"));
        assert_eq!(plain().sign(&token, &mut head, &cx()).unwrap_err(), error);
    }
}

// ===== answers =====

#[test]
fn the_documented_example_is_granted_to_a_refresh_and_to_a_login() {
    let old = pair("old", "old");
    for grant in [Grant::Refresh(&old), Grant::Login] {
        let token = plain().parse(grant, answer(200, SEED_ANSWER), &cx()).unwrap();
        assert_eq!(exposed(token.access_token()), "/Im2a4gP7L22WUF27es7qPH0iy677Kh5aSb0CpjX4mw=");
        assert_eq!(token.signing_key().map(exposed).as_deref(), Some("G/ZPL3qmC9cdIqmtzj+QtoQsLnON/mQjEsZgbnlIF34="));
        assert!(token.refresh_token().is_none());
        assert_eq!(token.expiry(), Expiry::At(ms(1_510_473_072_121)));
        assert_eq!(token.issued_at(), Some(ms(NOW_MS)));
        assert_eq!(token.extra()["userId"], "59573c395c2960da1aa83a08");
        assert_eq!(token.extra()["user"]["thirdParty"]["weixin"]["openid"], "osRutw7PUvFEstItTsd2Z7nchjPM");
        assert_eq!(token.extra().len(), 2);
    }
}

#[test]
fn the_expiry_is_absolute_milliseconds_under_either_spelling() {
    for (members, expiry) in [
        (r#""expireIn":1700000000123"#, Expiry::At(ms(1_700_000_000_123))),
        (r#""expiresIn":1700000000123"#, Expiry::At(ms(1_700_000_000_123))),
        (r#""expireIn":1700000000123,"expiresIn":1700000000123"#, Expiry::At(ms(1_700_000_000_123))),
        (r#""expireIn":null,"expiresIn":1700000000123"#, Expiry::At(ms(1_700_000_000_123))),
        (r#""expireIn":0"#, Expiry::At(UNIX_EPOCH)),
        (r#""expireIn":null"#, Expiry::Unknown),
        (r#""other":1"#, Expiry::Unknown),
    ] {
        let body = format!(r#"{{"apiKey":"k","secretKey":"s",{members}}}"#);
        assert_eq!(refreshed(200, &body).unwrap().expiry(), expiry, "{members}");
    }
}

#[test]
fn vendor_fields_of_any_type_are_handed_on_and_never_cost_the_pair() {
    let token = refreshed(200, r#"{"apiKey":"k","secretKey":"s","userId":7,"user":null}"#).unwrap();
    assert_eq!(token.extra()["userId"], 7);
    assert!(!token.extra().contains_key("user"));
}

#[test]
fn a_field_that_cannot_be_read_is_named_with_its_reason() {
    for (members, display) in [
        (r#""secretKey":"s""#, "apiKey: is missing"),
        (r#""apiKey":null,"secretKey":"s""#, "apiKey: is missing"),
        (r#""apiKey":"","secretKey":"s""#, "apiKey: is empty"),
        (r#""apiKey":7,"secretKey":"s""#, "apiKey: is not a string"),
        (r#""apiKey":["hush"],"secretKey":"s""#, "apiKey: is not a string"),
        (r#""apiKey":"hush\r\nX-Evil: 1","secretKey":"s""#, "apiKey: has a control character"),
        (r#""apiKey":"k""#, "secretKey: is missing"),
        (r#""apiKey":"k","secretKey":"""#, "secretKey: is empty"),
        (r#""apiKey":"k","secretKey":{"hush":1}"#, "secretKey: is not a string"),
        (r#""apiKey":"k","secretKey":"hush\n""#, "secretKey: has a control character"),
        (r#""apiKey":"k","secretKey":"s","expireIn":"1700000000000""#, "expireIn: is not a number"),
        (r#""apiKey":"k","secretKey":"s","expireIn":true"#, "expireIn: is not a number"),
        (r#""apiKey":"k","secretKey":"s","expireIn":-1"#, "expireIn: is negative"),
        (r#""apiKey":"k","secretKey":"s","expireIn":1.5"#, "expireIn: is not a whole number"),
        (r#""apiKey":"k","secretKey":"s","expireIn":18446744073709551615"#, "expireIn: overflows"),
        (r#""apiKey":"k","secretKey":"s","expireIn":1e300"#, "expireIn: overflows"),
        (r#""apiKey":"k","secretKey":"s","expiresIn":-5"#, "expiresIn: is negative"),
        (r#""apiKey":"k","secretKey":"s","expireIn":1,"expiresIn":2"#, "expireIn: differs from expiresIn"),
        (r#""apiKey":"k","apiKey":"hush","secretKey":"s""#, "body: repeats a member of a JSON object"),
        (r#""apiKey":"k","secretKey":"s","user":{"a":1,"a":2}"#, "body: repeats a member of a JSON object"),
    ] {
        let error = refreshed(200, &format!("{{{members}}}")).unwrap_err();
        assert_error(&error, ProviderErrorKind::Malformed, &format!("fashion-world: {display}"));
    }
}

#[test]
fn a_body_that_is_no_object_is_malformed() {
    for (body, display) in [
        (String::new(), "body: is empty"),
        (" \n".to_owned(), "body: is empty"),
        ("null".to_owned(), "body: is not a JSON object"),
        (r#"["hush"]"#.to_owned(), "body: is not a JSON object"),
        (SEED_ANSWER[..400].to_owned(), "body: is truncated JSON"),
        (format!("{SEED_ANSWER}hush"), "body: is not JSON"),
        ("hush".repeat(512 * 1024), "body: is larger than 1 MiB"),
        ("[".repeat(2 * 1024 * 1024), "body: is larger than 1 MiB"),
        (" ".repeat(2 * 1024 * 1024), "body: is empty"),
    ] {
        let error = refreshed(200, &body).unwrap_err();
        assert_error(&error, ProviderErrorKind::Malformed, &format!("fashion-world: {display}"));
    }
}

#[test]
fn a_page_in_the_place_of_an_answer_is_named_by_its_type() {
    for grant in [Grant::Login, Grant::Refresh(&pair("key", "secret"))] {
        for (status, suffix) in [(200, ""), (400, " (code 400)"), (404, " (code 404)")] {
            let mut answer = answer(status, "<html>hush</html>");
            answer.headers_mut().insert(CONTENT_TYPE, "text/html; charset=utf-8".parse().unwrap());
            let error = plain().parse(grant, answer, &cx()).unwrap_err();
            assert_eq!(error.kind(), ProviderErrorKind::Malformed);
            let text = error.to_string();
            assert!(text.starts_with("fashion-world: content-type: is not JSON: text/html"), "{text}");
            assert!(text.ends_with(suffix), "{text}");
            assert!(!text.contains("hush"));
        }
    }
}

#[test]
fn every_documented_refusal_of_a_refresh_has_its_meaning() {
    use ProviderErrorKind::{Fault, Refused};
    for (status, message, kind, display) in [
        (400, "invalid authorization", Refused, "the server refuses the authorization (code 400)"),
        (404, "apiKey not found", Refused, "the server does not know the apiKey (code 404)"),
        (404, "user not found", Refused, "the server does not know the user (code 404)"),
        (
            400,
            "invalid signature",
            Refused,
            "the server refuses the signature: the secretKey is not the apiKey's (code 400)",
        ),
        (400, "invalid timestamp", Fault, "the server refuses the timestamp: one of the clocks is wrong (code 400)"),
    ] {
        let error = refreshed(status, &format!(r#"{{"message":"{message}"}}"#)).unwrap_err();
        assert_error(&error, kind, &format!("fashion-world: {display}"));
        assert_eq!(error.code(), Some(status.into()));
    }
}

#[test]
fn an_undocumented_refusal_of_a_refresh_may_pass() {
    for (status, body, display) in [
        (400, r#"{"message":"hush"}"#, "message: is not a documented one (code 400)"),
        (404, r#"{"message":"invalid authorization"}"#, "message: is not a documented one (code 404)"),
        (400, r#"{"message":"apiKey not found"}"#, "message: is not a documented one (code 400)"),
        (401, r#"{"message":"apiKey not found"}"#, "message: is not a documented one (code 401)"),
        (404, r#"{"message":7}"#, "message: is missing or not a string (code 404)"),
        (404, r#"{"error":{"message":"apiKey not found"}}"#, "message: is missing or not a string (code 404)"),
        (404, "", "body: is empty (code 404)"),
    ] {
        let error = refreshed(status, body).unwrap_err();
        assert_error(&error, ProviderErrorKind::Malformed, &format!("fashion-world: {display}"));
    }
}

#[test]
fn a_refused_login_is_refused_whatever_its_message() {
    for (status, body) in [
        (400, r#"{"message":"hush"}"#),
        (400, r#"{"message":"invalid authorization"}"#),
        (404, r#"{"message":"user not found"}"#),
        (404, r#"{"message":"apiKey not found"}"#),
        (422, r#"{}"#),
        (401, ""),
        (403, "<html>hush</html>"),
    ] {
        let error = with_login().parse(Grant::Login, answer(status, body), &cx()).unwrap_err();
        let display = format!("fashion-world: the server refuses the login (code {status})");
        assert_error(&error, ProviderErrorKind::Refused, &display);
    }
}

#[test]
fn a_status_other_than_success_grants_nothing() {
    use ProviderErrorKind::{Malformed, Refused, ServerError, Unavailable};
    let old = pair("key", "secret");
    for (status, kind) in [
        (302, Malformed),
        (304, Malformed),
        (400, Malformed),
        (404, Malformed),
        (408, Unavailable),
        (425, Unavailable),
        (429, Unavailable),
        (500, ServerError),
        (502, ServerError),
        (503, Unavailable),
        (504, ServerError),
    ] {
        let error = plain().parse(Grant::Refresh(&old), answer(status, SEED_ANSWER), &cx()).unwrap_err();
        assert_eq!((error.kind(), error.code()), (kind, Some(status.into())), "{status}");
        let kind = if (400..=404).contains(&status) { Refused } else { kind };
        let error = plain().parse(Grant::Login, answer(status, SEED_ANSWER), &cx()).unwrap_err();
        assert_eq!((error.kind(), error.code()), (kind, Some(status.into())), "{status}");
    }
}

// ===== rejections =====

#[test]
fn only_a_404_is_looked_into() {
    for status in [200, 204, 302, 400, 401, 403, 410, 500] {
        assert_eq!(plain().judge(&answer_head(status)), Verdict::Accepted, "{status}");
    }
    assert_eq!(plain().judge(&answer_head(404)), Verdict::ReadBody);
}

#[test]
fn only_the_top_level_message_about_the_key_is_a_rejection() {
    for (body, rejected) in [
        (r#"{"message":"apiKey not found"}"#, true),
        (r#"{ "code": 404, "message": "apiKey not found" }"#, true),
        (r#"{"message":"user not found"}"#, false),
        (r#"{"message":"product not found"}"#, false),
        (r#"{"message":"APIKEY NOT FOUND"}"#, false),
        (r#"{"message":"apiKey not found "}"#, false),
        (r#"{"message":["apiKey not found"]}"#, false),
        (r#"{"data":{"message":"apiKey not found"}}"#, false),
        (r#"{"message":"other","message":"apiKey not found"}"#, false),
        (r#"[{"message":"apiKey not found"}]"#, false),
        (r#""apiKey not found""#, false),
        ("apiKey not found", false),
        ("", false),
        (r#"{"message":"apiKey not found""#, false),
    ] {
        assert_eq!(plain().judge_body(&answer_head(404), body.as_bytes()), rejected, "{body}");
    }
}

// ===== grants =====

#[test]
fn what_is_asked_for_follows_from_the_pair_and_the_login() {
    use GrantKind::{Login, Refresh};
    let alive = pair("key", "secret").with_expiry(Expiry::At(ms(NOW_MS + 1)));
    let ended = pair("key", "secret").with_expiry(Expiry::At(ms(NOW_MS)));
    let open = pair("key", "secret");
    let keyless = TokenSet::new("key");
    for (token, why, with, without) in [
        (None, Reason::NoToken, Some(Login), None),
        (None, Reason::SignIn, Some(Login), None),
        (Some(&alive), Reason::Due, Some(Refresh), Some(Refresh)),
        (Some(&open), Reason::Due, Some(Refresh), Some(Refresh)),
        (Some(&ended), Reason::Due, Some(Login), None),
        (Some(&keyless), Reason::Due, Some(Login), None),
        (Some(&alive), Reason::Rejected, Some(Login), Some(Refresh)),
        (Some(&ended), Reason::Rejected, Some(Login), None),
        (Some(&alive), Reason::RefreshRefused, Some(Login), None),
        (Some(&alive), Reason::MaybeSpent, Some(Login), Some(Refresh)),
        (Some(&ended), Reason::MaybeSpent, Some(Login), None),
        (Some(&alive), Reason::SignIn, Some(Login), None),
    ] {
        assert_eq!(with_login().next_grant(token, why, ms(NOW_MS)), with, "{why:?} with a login");
        assert_eq!(plain().next_grant(token, why, ms(NOW_MS)), without, "{why:?} without a login");
    }
}

#[test]
fn the_provider_names_itself_its_origin_and_that_a_pair_is_spent_once() {
    let provider: Box<dyn Provider> = Box::new(plain());
    assert_eq!(provider.name(), "fashion-world");
    assert_eq!(provider.origin().unwrap(), "https://api.example.com/");
    assert!(provider.single_use());
}

#[test]
fn debug_shows_neither_secrets_nor_personal_data() {
    let provider = FashionWorld::new("https://me:hush@api.example.com".parse().unwrap())
        .login("13800000000", "hunter2")
        .actions(|_, _| None);
    assert_eq!(
        format!("{provider:?}"),
        r#"FashionWorld { host: Some("api.example.com"), login: true, actions: true }"#
    );
    assert_eq!(format!("{:?}", Action::new("client:my")), r#"Action("client:my")"#);
}

// ===== helpers =====

fn plain() -> FashionWorld {
    FashionWorld::new("https://api.example.com".parse().unwrap())
}

fn with_login() -> FashionWorld {
    plain().login("13800000000", "hunter2 \"quoted\" 密")
}

fn pair(key: &str, secret: &str) -> TokenSet {
    TokenSet::new(key).with_signing_key(secret)
}

fn ms(ms: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(ms)
}

fn cx() -> Context {
    Context::new(ms(NOW_MS), 0)
}

fn head(method: Method, uri: &str) -> request::Parts {
    Request::builder().method(method).uri(uri).body(()).unwrap().into_parts().0
}

fn sign_at(now: SystemTime) -> Result<(), ProviderError> {
    let mut head = head(Method::GET, "https://api.example.com/");
    head.extensions.insert(Action::new("a"));
    plain().sign(&pair("key", "secret"), &mut head, &Context::new(now, 0))
}

fn signed(token: &TokenSet, action: &str, at: u64) -> String {
    let mut head = head(Method::GET, "https://api.example.com/");
    head.extensions.insert(Action::new(action.to_owned()));
    plain().sign(token, &mut head, &Context::new(ms(at), 0)).unwrap();
    head.headers[AUTHORIZATION].to_str().unwrap().to_owned()
}

fn decoded(header: &str) -> String {
    String::from_utf8(STANDARD.decode(header.strip_prefix("Caa ").unwrap()).unwrap()).unwrap()
}

fn answer(status: u16, body: &str) -> Response<Bytes> {
    Response::builder()
        .status(status)
        .header(CONTENT_TYPE, "application/json; charset=utf-8")
        .body(Bytes::copy_from_slice(body.as_bytes()))
        .unwrap()
}

fn answer_head(status: u16) -> response::Parts {
    answer(status, "").into_parts().0
}

fn refreshed(status: u16, body: &str) -> Result<TokenSet, ProviderError> {
    plain().parse(Grant::Refresh(&pair("old", "old")), answer(status, body), &cx())
}

/// Compares the whole text, so that nothing of the server's can hide in it.
fn assert_error(error: &ProviderError, kind: ProviderErrorKind, display: &str) {
    assert_eq!((error.kind(), error.to_string().as_str()), (kind, display));
    assert_eq!(format!("{error:?}"), format!("ProviderError({kind:?}, \"{display}\")"));
    assert_eq!(error.provider(), "fashion-world");
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
