//! How credentials are put on requests.

use http::Request;

use super::*;

fn sent(credential: Result<Credential, InvalidCredential>, uri: &str, cookies: &[&str]) -> Request<()> {
    let mut request = Request::builder().uri(uri);
    for cookie in cookies {
        request = request.header(COOKIE, *cookie);
    }
    let mut request = request.body(()).unwrap();
    credential.unwrap().apply(&mut request).unwrap();
    request
}

fn query(name: &str, uri: &str) -> String {
    sent(Credential::query(name, &"a+b/c=".into()), uri, &[]).uri().to_string()
}

#[test]
fn a_query_credential_replaces_its_parameter_in_place_and_keeps_all_others_byte_for_byte() {
    let uri = "https://h.example:8443/p%2Fq?x=%7e&token=old&y=a+b%20c&&z";
    assert_eq!(query("token", uri), "https://h.example:8443/p%2Fq?x=%7e&token=a%2Bb%2Fc%3D&y=a+b%20c&&z");
}

#[test]
fn a_query_credential_stands_behind_all_others_where_there_was_none_of_its_name() {
    assert_eq!(query("token", "https://h.example/p"), "https://h.example/p?token=a%2Bb%2Fc%3D");
    assert_eq!(query("token", "https://h.example"), "https://h.example/?token=a%2Bb%2Fc%3D");
    assert_eq!(query("token", "https://h.example/?"), "https://h.example/?token=a%2Bb%2Fc%3D");
    assert_eq!(query("token", "/p?tokens=1&Token=2"), "/p?tokens=1&Token=2&token=a%2Bb%2Fc%3D");
}

#[test]
fn a_query_credential_leaves_one_parameter_of_its_name_however_that_is_written() {
    assert_eq!(query("token", "/p?token&a=1&%74oken=x&token=y=z"), "/p?token=a%2Bb%2Fc%3D&a=1");
}

#[test]
fn applying_a_query_credential_twice_changes_nothing() {
    let once = query("token", "/p?a=1");
    assert_eq!(query("token", &once), once);
}

#[test]
fn a_header_credential_replaces_the_header_and_is_sensitive() {
    let credential = Credential::header(header::AUTHORIZATION, &"bare token".into()).unwrap();
    let mut request = Request::builder().header("authorization", "old").body(()).unwrap();
    credential.apply(&mut request).unwrap();
    assert_eq!(request.headers().get_all("authorization").iter().collect::<Vec<_>>(), ["bare token"]);
    assert!(request.headers()["authorization"].is_sensitive());
}

#[test]
fn a_cookie_credential_replaces_its_cookie_and_keeps_all_others() {
    let request = sent(Credential::cookie("Auth", &"a;b".into()), "/", &["x=1;Auth=old;  y=\"2\"", "auth=3; Auth"]);
    let cookies: Vec<_> = request.headers().get_all(COOKIE).iter().collect();
    assert_eq!(cookies, ["x=1; y=\"2\"; auth=3; Auth=a%3Bb"]);
    assert!(cookies[0].is_sensitive());
}

#[test]
fn a_signed_credential_leaves_the_request_alone() {
    let request = sent(Ok(Credential::signed()), "/p?a", &["x=1"]);
    assert_eq!((request.uri().to_string().as_str(), request.headers().len()), ("/p?a", 1));
}

#[test]
fn a_credential_that_makes_the_uri_too_long_does_not_fit() {
    let long = format!("/{}", "p".repeat(60_000));
    let mut request = Request::builder().uri(&long).body(()).unwrap();
    let credential = Credential::query("token", &"t".repeat(10_000).into()).unwrap();
    assert_eq!(credential.apply(&mut request), Err(DoesNotFit));
    assert_eq!(request.uri(), &*long);
}

#[test]
fn a_token_of_more_than_16_kib_is_invalid_everywhere() {
    let (most, more) = ("t".repeat(16 * 1024 - "Bearer ".len()).into(), "t".repeat(16 * 1024 + 1).into());
    assert!(Credential::bearer(&most).is_ok());
    assert_eq!(Credential::bearer(&more).unwrap_err(), InvalidCredential);
    assert_eq!(Credential::query("t", &more).unwrap_err(), InvalidCredential);
    assert_eq!(Credential::cookie("t", &more).unwrap_err(), InvalidCredential);
}

#[test]
fn a_token_with_white_space_at_its_ends_fits_no_header() {
    for token in [" ", " t", "t ", "\tt", "t\t"] {
        let token = token.into();
        assert_eq!(Credential::header(header::AUTHORIZATION, &token).unwrap_err(), InvalidCredential);
        assert_eq!(Credential::bearer(&token).unwrap_err(), InvalidCredential);
    }
    assert!(Credential::query("t", &" t ".into()).is_ok(), "encoded, it loses nothing");
    assert!(Credential::header(header::AUTHORIZATION, &"Bearer t".into()).is_ok());
}

#[test]
fn an_empty_token_or_one_with_a_line_break_is_invalid_everywhere() {
    for token in ["", "S3CR3T\r\nx: y"] {
        let token = token.into();
        assert_eq!(Credential::header(header::AUTHORIZATION, &token).unwrap_err(), InvalidCredential);
        assert_eq!(Credential::bearer(&token).unwrap_err(), InvalidCredential);
        assert_eq!(Credential::query("token", &token).unwrap_err(), InvalidCredential);
        assert_eq!(Credential::cookie("token", &token).unwrap_err(), InvalidCredential);
    }
    assert_eq!(Credential::query("", &"t".into()).unwrap_err(), InvalidCredential);
}

#[test]
fn only_header_and_signature_name_a_header() {
    let token = "t".into();
    let name = |credential: Credential| credential.header_name().cloned();
    assert_eq!(name(Credential::bearer(&token).unwrap()), Some(header::AUTHORIZATION));
    assert_eq!(name(Credential::signed()), Some(header::AUTHORIZATION));
    assert_eq!(name(Credential::query("token", &token).unwrap()), None);
    assert_eq!(name(Credential::cookie("token", &token).unwrap()), None);
}

#[test]
fn no_credential_prints_its_token() {
    let token = "S3CR3T".into();
    let all = [
        Credential::header(header::AUTHORIZATION, &token),
        Credential::query("token", &token),
        Credential::cookie("token", &token),
    ];
    for credential in all {
        let printed = format!("{:?}", credential.unwrap());
        assert!(printed.starts_with("Credential(") && !printed.contains("S3CR3T"), "{printed}");
    }
}
