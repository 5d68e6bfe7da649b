//! What is read.

use super::*;

#[test]
fn what_was_written_reads_the_same() {
    let stored = read(FULL);
    assert_eq!(stored.generation.get(), 7);
    assert_eq!(stored.fence, Some(FencingToken::from(41)));
    assert_eq!(stored.spending_since, Some(at(1_750_005_400_123)));
    assert_eq!(stored.refresh_refused_since, Some(at(1_750_005_400_456)));
    assert_eq!(stored.signed_out_since, None);
    assert_eq!(stored.login_refused, Some(mark()));
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
        r#""fence":null,"revision":null,"changed_under":null,"spending_ms":null,"refresh_refused_ms":null,"signed_out_ms":null,"login_refused":null,"extra":null}"#
    );
    for json in [r#"{"version":1,"access_token":"a"}"#, nulls] {
        assert_eq!(written(&read(json)), nothing);
    }
}

#[test]
fn a_version_is_the_number_and_who_wrote_it_how_often_and_nothing_else() {
    let version = |generation: u64, fence: Option<u64>, revision| Version {
        generation: generation.into(),
        fence: fence.map(FencingToken::from),
        revision,
    };
    assert_eq!(read(FULL).version(), version(7, Some(41), 2));
    assert_eq!(read(r#"{"version":1,"access_token":"a"}"#).version(), version(0, None, 0));
    assert_ne!(version(7, Some(41), 2), version(8, Some(41), 2));
    assert_ne!(version(7, Some(41), 2), version(7, Some(42), 2));
    assert_ne!(version(7, Some(41), 2), version(7, Some(41), 3));
}

#[test]
fn a_login_refused_before_there_was_a_token_is_all_that_is_stored() {
    let json = format!(r#"{{"version":1,"generation":0,"login_refused":"{MARK}"}}"#);
    let stored = read(&json);
    assert!(stored.token.is_none() && stored.signed_out_since.is_none());
    assert_eq!(stored.login_refused, Some(mark()));
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
