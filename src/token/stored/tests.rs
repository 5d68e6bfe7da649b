use std::time::Duration;

use serde_json::json;

use super::*;

/// Every member there is, in the order in which they are written.
const FULL: &str = concat!(
    r#"{"version":1,"generation":7,"access_token":"access-1","refresh_token":"refresh-1","signing_key":"key-1","#,
    r#""issued_at_ms":1750000000000,"expires_at_ms":1750007200000,"refresh_at_ms":1750005400000,"#,
    r#""refresh_expires_at_ms":1752592000000,"fence":1750005400100,"spending_ms":1750005400123,"#,
    r#""refresh_refused_ms":1750005400456,"login_refused":"#,
    r#""77686174732074686520456c7669736820776f726420666f7220667269656e64:"#,
    r#"39e67b76b5a007d4921969779fe666da67b5213b096084ab674742f0d5ec62b9","#,
    r#""extra":{"user":{"id":[1,2.5,null]}}}"#,
);

/// A refused login and a key, and what the algorithm's own test vectors make of them.
const LOGIN: &[u8] = &[0, 1, 2];
const KEY: &[u8; 32] = b"whats the Elvish word for friend";
const MARK: &str = concat!(
    "77686174732074686520456c7669736820776f726420666f7220667269656e64:",
    "39e67b76b5a007d4921969779fe666da67b5213b096084ab674742f0d5ec62b9",
);

fn at(milliseconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(milliseconds)
}

fn full() -> Stored {
    let token = TokenSet::new("access-1")
        .with_refresh_token("refresh-1")
        .with_signing_key("key-1")
        .with_issued_at(at(1_750_000_000_000))
        .with_expiry(Expiry::At(at(1_750_007_200_000)))
        .with_refresh_at(at(1_750_005_400_000))
        .with_refresh_expires_at(at(1_752_592_000_000))
        .with_extra("user", json!({ "id": [1, 2.5, null] }));
    Stored {
        fence: Some(Fence::from(1_750_005_400_100)),
        spending_since: Some(at(1_750_005_400_123)),
        refresh_refused_since: Some(at(1_750_005_400_456)),
        login_refused: Some(LoginMark::new(LOGIN, *KEY)),
        ..Stored::new(token, Generation::from(7))
    }
}

#[allow(clippy::disallowed_methods, reason = "the test compares what is stored")]
fn exposed(secret: &SecretString) -> &str {
    secret.expose_secret()
}

#[track_caller]
fn written(stored: &Stored) -> String {
    exposed(&stored.to_json().unwrap()).to_owned()
}

#[track_caller]
fn read(json: &str) -> Stored {
    Stored::from_json(json.as_bytes()).unwrap()
}

#[track_caller]
fn read_token(json: &str) -> TokenSet {
    read(json).token.unwrap()
}

#[track_caller]
fn refused(json: &str) -> StoredError {
    Stored::from_json(json.as_bytes()).unwrap_err()
}

/// A stored set with this member beside the required ones.
fn with(member: &str) -> String {
    format!(r#"{{"version":1,"access_token":"a",{member}}}"#)
}

// ===== what is written =====

#[test]
fn every_member_is_written_in_its_place() {
    assert_eq!(written(&full()), FULL);
}

#[test]
fn what_is_unknown_is_not_written() {
    let stored = Stored::new(TokenSet::new("a"), Generation::default());
    assert_eq!(written(&stored), r#"{"version":1,"generation":0,"access_token":"a"}"#);
}

#[test]
fn a_token_that_never_ends_says_so() {
    let stored = Stored::new(TokenSet::new("a").with_expiry(Expiry::Never), Generation::from(u64::MAX));
    let golden = r#"{"version":1,"generation":18446744073709551615,"access_token":"a","expires_at_ms":"never"}"#;
    assert_eq!(written(&stored), golden);
    assert_eq!(read_token(golden).expiry(), Expiry::Never);
}

#[test]
fn quotes_and_control_characters_are_escaped_and_read_again() {
    let stored = Stored::new(TokenSet::new("a\"\\\n\u{7f}\u{e9}\u{1f600}"), Generation::default());
    assert_eq!(exposed(read_token(&written(&stored)).access_token()), "a\"\\\n\u{7f}\u{e9}\u{1f600}");
}

#[test]
fn times_are_rounded_down_to_a_millisecond_so_that_no_token_lives_longer() {
    let late = |milliseconds| at(milliseconds) + Duration::from_nanos(999_999);
    let token = TokenSet::new("a")
        .with_issued_at(late(1))
        .with_expiry(Expiry::At(late(2)))
        .with_refresh_at(late(3))
        .with_refresh_expires_at(late(4));
    let stored = Stored { spending_since: Some(late(5)), ..Stored::new(token, Generation::default()) };
    let golden = concat!(
        r#"{"version":1,"generation":0,"access_token":"a","issued_at_ms":1,"expires_at_ms":2,"refresh_at_ms":3,"#,
        r#""refresh_expires_at_ms":4,"spending_ms":5}"#
    );
    assert_eq!(written(&stored), golden);
}

#[test]
fn times_beyond_the_form_are_written_as_its_first_and_last() {
    let before = UNIX_EPOCH - Duration::from_secs(1);
    let behind = at(LATEST) + Duration::from_secs(1 << 40);
    let stored =
        Stored::new(TokenSet::new("a").with_issued_at(before).with_expiry(Expiry::At(behind)), Generation::default());
    let read = read_token(&written(&stored));
    assert_eq!(read.issued_at(), Some(UNIX_EPOCH));
    assert_eq!(read.expiry(), Expiry::At(at(LATEST)));
}

#[test]
fn nothing_is_written_that_could_not_be_read() {
    let refused = |token: TokenSet| Stored::new(token, Generation::default()).to_json().unwrap_err().to_string();
    assert_eq!(refused(TokenSet::new("")), "stored token set: access_token is empty or not a string");
    let token = TokenSet::new("a");
    assert_eq!(
        refused(token.clone().with_refresh_token("")),
        "stored token set: refresh_token is empty or not a string"
    );
    assert_eq!(refused(token.clone().with_signing_key("")), "stored token set: signing_key is empty or not a string");
    let nested = |levels| {
        (0..levels).fold(json!(1), |value, level| if level % 2 == 0 { json!([value]) } else { json!({ "a": value }) })
    };
    assert_eq!(refused(token.clone().with_extra("x", nested(126))), "stored token set: extra is nested too deeply");
    let deepest = Stored::new(token.with_extra("x", nested(125)), Generation::default());
    assert_eq!(read_token(&written(&deepest)).extra(), deepest.token.unwrap().extra());
}

#[test]
fn the_json_is_a_secret_and_so_is_the_debug_output() {
    let shown = format!("{:?} {:?}", full().to_json(), full());
    for secret in ["access-1", "refresh-1", "key-1"] {
        assert!(!shown.contains(secret), "{secret}");
    }
}

#[test]
fn the_buffer_of_the_secrets_is_as_long_as_what_is_written() {
    let json = Form(&full()).to_json().unwrap();
    let mut length = Length(0);
    serde_json::to_writer(&mut length, &Form(&full())).unwrap();
    assert_eq!(length.0, exposed(&json).len());
}

// ===== what is read =====

#[test]
fn what_was_written_reads_the_same() {
    let stored = read(FULL);
    assert_eq!(stored.generation.get(), 7);
    assert_eq!(stored.fence, Some(Fence::from(1_750_005_400_100)));
    assert_eq!(stored.spending_since, Some(at(1_750_005_400_123)));
    assert_eq!(stored.refresh_refused_since, Some(at(1_750_005_400_456)));
    assert_eq!(stored.signed_out_since, None);
    assert_eq!(stored.login_refused, Some(LoginMark::new(LOGIN, *KEY)));
    let token = stored.token.as_ref().unwrap();
    assert_eq!(exposed(token.access_token()), "access-1");
    assert_eq!(token.refresh_token().map(exposed), Some("refresh-1"));
    assert_eq!(token.signing_key().map(exposed), Some("key-1"));
    assert_eq!(token.issued_at(), Some(at(1_750_000_000_000)));
    assert_eq!(token.expiry(), Expiry::At(at(1_750_007_200_000)));
    assert_eq!(token.refresh_at(), Some(at(1_750_005_400_000)));
    assert_eq!(token.refresh_expires_at(), Some(at(1_752_592_000_000)));
    assert_eq!(token.extra(), full().token.unwrap().extra());
    assert_eq!(written(&stored), FULL);
}

#[test]
fn absent_and_null_mean_unknown() {
    let nothing = r#"{"version":1,"generation":0,"access_token":"a"}"#;
    let nulls = concat!(
        r#"{"version":1,"generation":null,"access_token":"a","refresh_token":null,"signing_key":null,"#,
        r#""issued_at_ms":null,"expires_at_ms":null,"refresh_at_ms":null,"refresh_expires_at_ms":null,"#,
        r#""fence":null,"spending_ms":null,"refresh_refused_ms":null,"signed_out_ms":null,"login_refused":null,"extra":null}"#
    );
    for json in [r#"{"version":1,"access_token":"a"}"#, nulls] {
        assert_eq!(written(&read(json)), nothing);
    }
}

#[test]
fn a_login_refused_before_there_was_a_token_is_all_that_is_stored() {
    let json = format!(r#"{{"version":1,"generation":0,"login_refused":"{MARK}"}}"#);
    let stored = read(&json);
    assert!(stored.token.is_none() && stored.signed_out_since.is_none());
    assert_eq!(stored.login_refused, Some(LoginMark::new(LOGIN, *KEY)));
    assert_eq!(written(&stored), json);
}

#[test]
fn order_spaces_escapes_in_names_and_a_byte_order_mark_do_not_matter() {
    let json = "\u{feff} {\r\n \"extra\": {}, \"access\\u005ftoken\" : \"a\\u0062\",\t\"version\": 1 }\n";
    assert_eq!(written(&read(json)), r#"{"version":1,"generation":0,"access_token":"ab"}"#);
}

#[test]
fn a_number_of_a_vendors_field_stays_what_it_was() {
    for number in ["1.0000000000000002e-5", "0.1", "-0.0", "1e-320", "18446744073709551615", "-9223372036854775808"] {
        let json = with(&format!(r#""extra":{{"n":{number}}}"#));
        let first = written(&read(&json));
        assert_eq!(written(&read(&first)), first);
        let parsed: f64 = number.parse().unwrap();
        assert_eq!(read_token(&first).extra()["n"].as_f64().unwrap().to_bits(), parsed.to_bits(), "{number}");
    }
}

// ===== what is refused =====

#[test]
fn what_is_not_of_the_form_is_refused_by_the_name_of_its_member() {
    for (member, error) in [
        (r#""generation":-1"#, "generation is not a whole number"),
        (r#""generation":1.0"#, "generation is not a whole number"),
        (r#""generation":"1""#, "generation is not a whole number"),
        (r#""generation":18446744073709551616"#, "generation is not a whole number"),
        (r#""refresh_token":"""#, "refresh_token is empty or not a string"),
        (r#""refresh_token":["s3cr3t"]"#, "refresh_token is empty or not a string"),
        (r#""signing_key":7"#, "signing_key is empty or not a string"),
        (r#""signing_key":"\ud800""#, "signing_key is empty or not a string"),
        (r#""issued_at_ms":-1"#, "issued_at_ms is not a time in whole milliseconds since 1970"),
        (r#""issued_at_ms":"never""#, "issued_at_ms is not a time in whole milliseconds since 1970"),
        (r#""refresh_at_ms":1750000000000.5"#, "refresh_at_ms is not a time in whole milliseconds since 1970"),
        (r#""refresh_at_ms":1e12"#, "refresh_at_ms is not a time in whole milliseconds since 1970"),
        (
            r#""refresh_expires_at_ms":253402300800000"#,
            "refresh_expires_at_ms is not a time in whole milliseconds since 1970",
        ),
        (r#""spending_ms":true"#, "spending_ms is not a time in whole milliseconds since 1970"),
        (r#""spending_ms":1e999"#, "spending_ms is not a time in whole milliseconds since 1970"),
        (
            r#""expires_at_ms":18446744073709551616"#,
            "expires_at_ms is neither \"never\" nor a time in whole milliseconds since 1970",
        ),
        (r#""expires_at_ms":-5"#, "expires_at_ms is neither \"never\" nor a time in whole milliseconds since 1970"),
        (r#""expires_at_ms":0.5"#, "expires_at_ms is neither \"never\" nor a time in whole milliseconds since 1970"),
        (
            r#""expires_at_ms":"Never""#,
            "expires_at_ms is neither \"never\" nor a time in whole milliseconds since 1970",
        ),
        (
            r#""expires_at_ms":253402300800000"#,
            "expires_at_ms is neither \"never\" nor a time in whole milliseconds since 1970",
        ),
        (r#""extra":[]"#, "extra is not an object, repeats a member or is nested too deeply"),
        (
            r#""extra":{"a":{"s3cr3t":1,"s3cr3t":2}}"#,
            "extra is not an object, repeats a member or is nested too deeply",
        ),
        (r#""generation":1,"generation":1"#, "generation stands twice"),
        (r#""access_token":"s3cr3t""#, "access_token stands twice"),
        (r#""version":1"#, "version stands twice"),
        (r#""extra":null,"extra":{}"#, "extra stands twice"),
        (r#""scope":"s3cr3t""#, "scope is not known"),
        (r#""Access_Token":"s3cr3t""#, "a member is not known"),
        (r#""s3cr3t.with.the.form.of.a.token":1"#, "a member is not known"),
        (r#""abcdefghijklmnopqrstuvwxyz-abcde":1"#, "abcdefghijklmnopqrstuvwxyz-abcde is not known"),
        (r#""abcdefghijklmnopqrstuvwxyz-abcdef":1"#, "a member is not known"),
        (r#""":1"#, "a member is not known"),
    ] {
        let refused = refused(&with(member));
        assert_eq!(refused.to_string(), format!("stored token set: {error}"), "{member}");
        assert!(!format!("{refused:?}").contains("s3cr3t"), "{member}");
        assert!(refused.field().is_some() && refused.version().is_none(), "{member}");
    }
}

#[test]
fn an_extra_that_is_nested_too_deeply_is_refused_by_its_name() {
    let nested = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let refused = refused(&with(&format!(r#""extra":{{"a":{nested}}}"#)));
    assert_eq!(refused.field(), Some("extra"));
}

#[test]
fn version_and_access_token_are_required() {
    for (json, error) in [
        ("{}", "version is missing"),
        (r#"{"access_token":"a"}"#, "version is missing"),
        (r#"{"access_token":"a","version":null}"#, "version is missing"),
        (r#"{"version":1}"#, "access_token is missing"),
        (r#"{"version":1,"access_token":null}"#, "access_token is missing"),
        (r#"{"version":1,"access_token":""}"#, "access_token is empty or not a string"),
        (r#"{"version":1,"access_token":5}"#, "access_token is empty or not a string"),
        (r#"{"version":1,"version":2,"access_token":"a"}"#, "version stands twice"),
        (r#"{"version":"1","access_token":"a"}"#, "version is not a whole number"),
        (r#"{"version":1.0,"access_token":"a"}"#, "version is not a whole number"),
        (r#"{"version":-1,"access_token":"a"}"#, "version is not a whole number"),
    ] {
        assert_eq!(refused(json).to_string(), format!("stored token set: {error}"), "{json}");
    }
}

#[test]
fn a_version_that_is_not_known_is_named_whatever_else_it_brings() {
    for (json, version) in [
        (r#"{"version":0,"access_token":"a"}"#, 0),
        (r#"{"version":2}"#, 2),
        (r#"{"scope":{"a":1},"access_token":{"sealed":"s3cr3t"},"version":2}"#, 2),
        (r#"{"version":18446744073709551615}"#, u64::MAX),
    ] {
        let refused = refused(json);
        assert_eq!(refused.to_string(), format!("stored token set: version {version} is not known"));
        assert_eq!((refused.version(), refused.field()), (Some(version), None), "{json}");
    }
}

#[test]
fn what_is_no_json_object_is_refused_as_a_whole() {
    for (json, error) in [
        ("", "is cut short"),
        (r#"{"version":1,"access_token":"s3cr"#, "is cut short"),
        (r#"{"version":1,"access_token":"s3cr3t""#, "is cut short"),
        (r#"{"version":"#, "is cut short"),
        ("s3cr3t", "is not JSON"),
        (r#"{"version":1,"access_token":"s3cr3t"} s3cr3t"#, "is not JSON"),
        (r#"{"version":1,"access_token":s3cr3t}"#, "is not JSON"),
        (r#"[{"version":1}]"#, "is not a JSON object"),
        (r#""s3cr3t""#, "is not a JSON object"),
        ("null", "is not a JSON object"),
    ] {
        let refused = refused(json);
        assert_eq!(refused.to_string(), format!("stored token set: {error}"), "{json}");
        assert!(!format!("{refused:?}").contains("s3cr"), "{json}");
        assert!(refused.field().is_none() && refused.version().is_none(), "{json}");
    }
}

#[test]
fn a_form_cut_short_anywhere_is_never_read() {
    for end in 0..FULL.len() {
        assert_eq!(refused(&FULL[..end]).field(), None, "{end}");
    }
}

#[test]
fn bytes_that_are_no_text_are_refused() {
    let json = b"{\"version\":1,\"access_token\":\"\xff\xfe\"}";
    let refused = Stored::from_json(json).unwrap_err();
    assert_eq!(refused.to_string(), "stored token set: access_token is empty or not a string");
}
