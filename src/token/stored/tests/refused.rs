//! What is refused.

use super::*;

#[test]
fn what_is_not_of_the_form_is_refused_by_the_name_of_its_member() {
    for (member, error) in [
        (r#""generation":-1"#, "generation is not a whole number"),
        (r#""generation":1.0"#, "generation is not a whole number"),
        (r#""generation":"1""#, "generation is not a whole number"),
        (r#""generation":18446744073709551616"#, "generation is not a whole number"),
        (r#""fence":-1"#, "fence is not a whole number"),
        (r#""fence":18446744073709551616"#, "fence is not a whole number"),
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
        (r#""refresh_refused_ms":-1"#, "refresh_refused_ms is not a time in whole milliseconds since 1970"),
        (r#""signed_out_ms":"never""#, "signed_out_ms is not a time in whole milliseconds since 1970"),
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
fn a_mark_that_is_none_is_refused() {
    let hash = "cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd";
    for text in ["", ":", hash, &MARK.replace(':', " "), &MARK[1..], &format!("{MARK}c"), &format!("{MARK}:{hash}")] {
        let refused = refused(&with(&format!(r#""login_refused":"{text}""#)));
        let told = "stored token set: login_refused is not a key and a hash of 64 hexadecimal digits each";
        assert_eq!(refused.to_string(), told, "{text}");
    }
    assert_eq!(refused(&with(r#""login_refused":7"#)).field(), Some("login_refused"));
    assert_eq!(
        refused(&with(&format!(r#""login_refused":"{}""#, MARK.replacen('a', "g", 1)))).field(),
        Some("login_refused")
    );
}

/// What only a token set has.
const OF_A_TOKEN: [(&str, &str); 9] = [
    ("refresh_token", r#""r""#),
    ("signing_key", r#""k""#),
    ("issued_at_ms", "1"),
    ("expires_at_ms", r#""never""#),
    ("refresh_at_ms", "1"),
    ("refresh_expires_at_ms", "1"),
    ("spending_ms", "1"),
    ("refresh_refused_ms", "1"),
    ("extra", r#"{"a":1}"#),
];

/// What may stand in a token's place.
fn in_its_place() -> [String; 3] {
    let login_refused = format!(r#""login_refused":"{MARK}""#);
    [r#""signed_out_ms":1"#.to_owned(), format!(r#""signed_out_ms":1,{login_refused}"#), login_refused]
}

#[test]
fn a_member_of_a_token_set_is_refused_where_there_is_no_token() {
    for (name, value) in OF_A_TOKEN {
        read(&with(&format!(r#""{name}":{value}"#)));
        for others in in_its_place().iter().chain([&r#""generation":7,"fence":41"#.to_owned()]) {
            let refused = refused(&format!(r#"{{"version":1,{others},"{name}":{value}}}"#));
            assert_eq!(refused.to_string(), format!("stored token set: {name} stands without a token"), "{others}");
        }
    }
}

#[test]
fn where_there_is_no_token_its_members_may_be_null_and_extra_empty() {
    let nulls: String = OF_A_TOKEN.iter().map(|(name, _)| format!(r#","{name}":null"#)).collect();
    for others in in_its_place() {
        assert!(read(&format!(r#"{{"version":1,{others}{nulls}}}"#)).token.is_none());
        assert!(read(&format!(r#"{{"version":1,{others},"extra":{{}}}}"#)).token.is_none());
    }
}

#[test]
fn who_is_signed_out_has_no_token() {
    let refused = refused(&with(r#""signed_out_ms":1"#));
    assert_eq!(refused.to_string(), "stored token set: signed_out_ms stands beside a token");
    assert!(read(&with(r#""signed_out_ms":null"#)).token.is_some());
}

#[test]
fn an_extra_that_is_nested_too_deeply_is_refused_by_its_name() {
    let nested = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let refused = refused(&with(&format!(r#""extra":{{"a":{nested}}}"#)));
    assert_eq!(refused.field(), Some("extra"));
}

#[test]
fn a_version_is_required_and_a_token_or_why_there_is_none() {
    for (json, error) in [
        ("{}", "version is missing"),
        (r#"{"access_token":"a"}"#, "version is missing"),
        (r#"{"access_token":"a","version":null}"#, "version is missing"),
        (r#"{"version":1}"#, "access_token is missing"),
        (r#"{"version":1,"signed_out_ms":null,"login_refused":null}"#, "access_token is missing"),
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
