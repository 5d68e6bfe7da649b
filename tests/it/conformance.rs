//! The conformance checks: every provider of this crate passes them, and each broken one fails the check that is about
//! its fault.

mod acme;
mod broken;

use std::{
    borrow::Cow,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use http::{Response, Uri};
use tower_auth_refresh::{
    providers::{Accuat, FashionWorld, Kanfang, Quectel, UserDomain},
    test_util::{Check, NonConformance, Outcome, Place, Report, Samples, TestProvider, conformance},
};

use acme::Acme;

/// `{"uid":"C1","exp":1700003600}`
const ACCESS_JWT: &str = "eyJhbGciOiJIUzI1NiJ9.eyJ1aWQiOiJDMSIsImV4cCI6MTcwMDAwMzYwMH0.c2lnbmF0dXJlLW9uZQ";
/// `{"exp":1702592000}`
const REFRESH_JWT: &str = "eyJhbGciOiJIUzI1NiJ9.eyJleHAiOjE3MDI1OTIwMDB9.c2lnbmF0dXJlLXR3bw";

const SECOND: Duration = Duration::from_secs(1);

const HOUR: Duration = Duration::from_secs(3600);

const DAY: Duration = Duration::from_secs(86_400);

fn at() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_700_000_000)
}

fn json(status: u16, body: impl Into<Bytes>) -> Response<Bytes> {
    Response::builder().status(status).header("content-type", "application/json").body(body.into()).unwrap()
}

fn text(status: u16, body: &'static str) -> Response<Bytes> {
    Response::builder().status(status).body(body.into()).unwrap()
}

/// The names of the checks that do not apply, each with its reason.
fn left_out(report: &Report) -> Vec<(&'static str, &'static str)> {
    let reason = |outcome: &Outcome| match outcome {
        Outcome::NotApplicable(reason) => Some(*reason),
        _ => None,
    };
    report.checks().filter_map(|check| Some((check.name(), reason(check.outcome())?))).collect()
}

// ===== the four providers =====

#[tokio::test(start_paused = true)]
async fn kanfang_conforms() {
    let granted = |access: &str, refresh: &str| {
        json(
            200,
            format!(
                r#"{{"state": 200, "payload": {{"token": "{access}", "tokenExpireIn": 172800,
                   "refreshToken": "{refresh}", "refreshTokenExpireIn": 2592000}}}}"#
            ),
        )
    };
    let make = || Kanfang::new().login("auth-key", "S3CR3T-auth-value");
    let samples = Samples::at(at())
        .login(granted("kf-access-Aa01Bb", "kf-refresh-Cc02Dd"))
        .refresh(granted("kf-access-Ee03Ff", "kf-refresh-Gg04Hh"))
        .refused(json(200, r#"{"state": 4011, "payload": "error detail"}"#))
        .rejected(json(200, r#"{"state": 401, "payload": "error detail"}"#))
        .lifetime(2 * DAY)
        .secret("S3CR3T-auth-value")
        .printed(&make());
    let report = conformance(make, samples).await.unwrap();
    assert_eq!(left_out(&report), []);
}

/// With what is called for each signature.
fn fashion_world(signing: fn()) -> (impl Fn() -> FashionWorld + Send + Sync, Samples) {
    let granted = |key: &str, secret: &str| {
        json(
            200,
            format!(
                r#"{{"apiKey": "{key}", "secretKey": "{secret}", "userId": "59573c395c2960da1aa83a08",
                   "expireIn": 1700259200000, "user": {{"gender": "secret"}}}}"#
            ),
        )
    };
    let make = move || {
        FashionWorld::new(Uri::from_static("https://api.example.com")).login("13800000000", "S3CR3T-password").actions(
            move |_, _| {
                signing();
                Some(Cow::Borrowed("client:my:fetch-my-profile"))
            },
        )
    };
    let samples = Samples::at(at())
        .login(granted("/Im2a4gP7L22WUF27es7qPH0iy677Kh5aSb0CpjX4mw=", "G/ZPL3qmC9cdIqmtzj+QtoQsLnON/mQjEsZgbnlIF34="))
        .refresh(granted(
            "7T+O+9KMSmm//T+n/rbRknF179ESuZLeSQw4+/z8t64=",
            "fz/THFXY6gbW7eWh+qKtefvgY49IR2W4v6lpTNimsd0=",
        ))
        .refused(json(404, r#"{"message": "apiKey not found"}"#))
        .rejected(json(404, r#"{"message": "apiKey not found"}"#))
        .lifetime(3 * DAY)
        .secret("S3CR3T-password")
        .printed(&make());
    (make, samples)
}

#[tokio::test(start_paused = true)]
async fn fashion_world_conforms() {
    let (make, samples) = fashion_world(|| ());
    let report = conformance(make, samples).await.unwrap();
    assert_eq!(left_out(&report), []);
}

#[tokio::test(start_paused = true)]
async fn quectel_conforms() {
    let granted = |access: &str, refresh: &str| {
        json(
            200,
            format!(
                r#"{{"code": 200, "msg": "", "extMsg": "", "data": {{
                   "accessToken": {{"token": "Bearer {access}", "expirationTime": 1700007200}},
                   "refreshToken": {{"token": "Bearer {refresh}", "expirationTime": 1702592000}}}}}}"#
            ),
        )
    };
    let domain = || UserDomain::new("E.DM.1.1", "S3CR3T-of-the-domain");
    let make = || Quectel::europe().email_login("me@example.com", "S3CR3T-password", domain());
    let samples = Samples::at(at())
        .login(granted(ACCESS_JWT, REFRESH_JWT))
        .refresh(granted(&format!("{ACCESS_JWT}x"), &format!("{REFRESH_JWT}x")))
        .refused(json(200, r#"{"code": 5032, "msg": "token invalid", "extMsg": "", "data": null}"#))
        .rejected(json(200, r#"{"code": 5032, "msg": "token invalid", "extMsg": "", "data": null}"#))
        .lifetime(2 * HOUR)
        .secret("S3CR3T-password")
        .secret("S3CR3T-of-the-domain")
        .printed(&make());
    let report = conformance(make, samples).await.unwrap();
    assert_eq!(left_out(&report), []);
}

#[tokio::test(start_paused = true)]
async fn accuat_conforms() {
    let granted = |name: &str, access: &str, refresh: &str| {
        json(
            200,
            format!(
                r#"{{"Result": 200, "Message": "", "Time": "2024-01-01 00:00:00", "Data":
                   {{"{name}": "{access}", "RefreshToken": "{refresh}", "ExpiredIn": 3600}}}}"#
            ),
        )
    };
    let make = || Accuat::new(Uri::from_static("http://sparkapi.accuat.com")).login("app-001", "S3CR3T-key");
    let samples = Samples::at(at())
        .login(granted("AccessToken", "ac-access-Aa01Bb", "ac-refresh-Cc02Dd"))
        .refresh(granted("Token", "ac-access-Ee03Ff", "ac-refresh-Gg04Hh"))
        .refused(json(200, r#"{"Result": 401, "Message": "refused", "Time": "", "Data": null}"#))
        .rejected(json(200, r#"{"Result": 401, "Message": "expired", "Time": "", "Data": null}"#))
        .lifetime(HOUR)
        .secret("S3CR3T-key")
        .printed(&make())
        .allow_http();
    let report = conformance(make, samples).await.unwrap();
    assert_eq!(left_out(&report), []);
}

// ===== others =====

/// What the [`TestProvider`] of these samples makes of all checks.
async fn scripted(make: impl Fn() -> TestProvider + Send + Sync) -> Result<Report, NonConformance> {
    let samples = Samples::at(at())
        .login(text(200, "access-token-1 refresh-token-1 1000"))
        .refresh(text(200, "access-token-2 refresh-token-2 1000"))
        .refused(text(400, "refused"))
        .lifetime(Duration::from_secs(1000))
        .printed(&make());
    conformance(make, samples).await
}

#[tokio::test(start_paused = true)]
async fn the_scripted_provider_conforms_wherever_its_token_travels() {
    for place in [Place::Bearer, Place::Query, Place::Cookie, Place::Signed] {
        let report = scripted(|| TestProvider::placed(place)).await.unwrap();
        let left_out: Vec<_> = left_out(&report).into_iter().map(|(name, _)| name).collect();
        assert_eq!(left_out, ["a token that is missing, of another type or there twice is not granted"], "{place:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_example_of_the_documentation_conforms_without_a_login() {
    let report = acme::check(Acme::new).await.unwrap();
    let left_out: Vec<_> = left_out(&report).into_iter().map(|(name, _)| name).collect();
    assert_eq!(
        left_out,
        [
            "the sample of a login grants a token set that has not ended",
            "a token that is missing, of another type or there twice is not granted",
            "a hundred requests without a token share one login",
            "a refresh token whose answer was lost gives way to a login",
            "the provider itself prints no secret",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_provider_without_a_refresh_conforms() {
    let samples = Samples::at(at()).login(text(200, "access-token-1 - 1000")).refused(text(400, "refused"));
    let report = conformance(TestProvider::new, samples).await.unwrap();
    let left_out: Vec<_> = left_out(&report).into_iter().map(|(name, _)| name).collect();
    assert_eq!(
        left_out,
        [
            "a refresh presents what it renews by",
            "the sample of a refresh grants a token set that has not ended",
            "a refresh grants a refresh token of its own",
            "a token set ends when the samples say",
            "a token that is missing, of another type or there twice is not granted",
            "a refresh token whose answer was lost gives way to a login",
            "the provider itself prints no secret",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn tokens_that_are_escaped_in_the_answer_are_replaced_in_it_all_the_same() {
    let granted = |access: &str| {
        let payload = format!(r#"{{"token":"one\/{access}","tokenExpireIn":600,"refreshToken":"two\/{access}"}}"#);
        json(200, format!(r#"{{"state":200,"payload":{payload}}}"#))
    };
    let make = || Kanfang::new().login("key", "value");
    let samples = Samples::at(at()).login(granted("access-Aa01Bb")).refresh(granted("access-Cc02Dd"));
    let samples = samples.refused(json(200, r#"{"state":4011,"payload":""}"#)).lifetime(600 * SECOND);
    let report = conformance(make, samples.printed(&make())).await.unwrap();
    assert_eq!(left_out(&report), []);
}

#[tokio::test(start_paused = true)]
async fn a_refresh_that_keeps_its_refresh_token_conforms() {
    let granted = |members: &str| json(200, format!(r#"{{"state":200,"payload":{{{members}"tokenExpireIn":600}}}}"#));
    let samples = Samples::at(at())
        .login(granted(r#""token":"kf-access-Aa01Bb","refreshToken":"kf-refresh-Cc02Dd","#))
        .refresh(granted(r#""token":"kf-access-Ee03Ff","#))
        .refused(json(200, r#"{"state":4011,"payload":""}"#));
    let make = || Kanfang::new().login("key", "value");
    let unsaid = conformance(make, samples.clone()).await.unwrap_err();
    assert_eq!(unsaid.report().failed().collect::<Vec<_>>(), ["a refresh grants a refresh token of its own"]);
    conformance(make, samples.keeps_refresh_token()).await.unwrap();

    let refresh = granted(r#""token":"kf-access-Ee03Ff","#);
    let samples = Samples::at(at()).refresh(refresh).refused(json(200, r#"{"state":4011,"payload":""}"#));
    conformance(Kanfang::new, samples.keeps_refresh_token()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn tokens_that_cannot_be_told_apart_stop_the_checks_at_the_first() {
    for (access, refresh) in [("access", "refresh-token-1"), ("token-number-1", "refresh-token-number-1")] {
        let granted = Response::new(format!("{access} {refresh} 1000").into());
        let failure = conformance(TestProvider::new, Samples::at(at()).login(granted)).await.unwrap_err();
        let names: Vec<_> = failure.report().checks().map(Check::name).collect();
        assert_eq!(names, ["the samples' tokens are long enough to be told apart"], "{access}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_that_repeats_itself_is_told_once() {
    let samples = Samples::at(at()).login(text(200, "short - 1000")).refresh(text(200, "short - 1000"));
    let failure = conformance(TestProvider::new, samples).await.unwrap_err().to_string();
    assert!(failure.ends_with("came a shorter one"), "{failure}");
}

/// One runs beside the workers, which four others keep busy: its flights are late.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[allow(clippy::disallowed_methods, reason = "the checks run at once, each on a thread of its own")]
async fn the_result_is_the_same_each_time_on_many_threads() {
    let hesitate = || (0..50).for_each(|_| std::thread::yield_now());
    let (make, samples) = fashion_world(|| ());
    for _ in 0..5 {
        let running: Vec<_> = (0..4)
            .map(|_| fashion_world(hesitate))
            .map(|(make, samples)| tokio::task::spawn(conformance(make, samples)))
            .collect();
        while !running.iter().all(tokio::task::JoinHandle::is_finished) {
            assert_eq!(left_out(&conformance(&make, samples.clone()).await.unwrap()), []);
        }
        for report in running {
            assert_eq!(left_out(&report.await.unwrap().unwrap()), []);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_without_an_end_leaves_out_what_is_about_the_end() {
    let samples = Samples::at(at()).login(text(200, "access-token-1 -"));
    let report = conformance(TestProvider::new, samples).await.unwrap();
    let (name, reason) =
        ("no request waits for a token that is only due", "because the provider reads no end of a token");
    assert!(left_out(&report).contains(&(name, reason)));
}

#[tokio::test(start_paused = true)]
async fn each_check_stands_in_the_documentation_with_its_law() {
    let documentation = include_str!("../../src/test_util/conformance.rs");
    let report = scripted(TestProvider::new).await.unwrap();
    let missing: Vec<_> = report
        .checks()
        .map(|check| format!("| {} | {} |", check.law(), check.name()))
        .filter(|row| !documentation.contains(row))
        .collect();
    assert_eq!(missing, Vec::<String>::new());
    assert_eq!(report.checks().count(), documentation.matches("/// | C").count());
}
