//! What is written.

use super::*;

#[test]
fn every_member_is_written_in_its_place() {
    assert_eq!(written(&full()), FULL);
}

#[test]
fn a_tombstone_keeps_its_number_its_fence_and_the_refused_login() {
    let since = at(1_750_005_500_201);
    let stored = Stored { fence: Some(FencingToken::from(42)), ..Stored::signed_out(Generation::from(8), since) };
    let golden = r#"{"version":1,"generation":8,"fence":42,"signed_out_ms":1750005500201}"#;
    assert_eq!(written(&stored), golden);
    assert_eq!(read(golden).version(), stored.version());
    assert_eq!(read(golden).signed_out_since, Some(since));

    let stored = Stored { login_refused: Some(mark()), ..stored };
    let golden = format!(r#"{},"login_refused":"{MARK}"}}"#, golden.trim_end_matches('}'));
    assert_eq!(written(&stored), golden);
    assert_eq!(read(&golden).login_refused, Some(mark()));
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
    let (spending_since, refresh_refused_since) = (Some(late(5)), Some(late(6)));
    let stored = Stored { spending_since, refresh_refused_since, ..Stored::new(token, Generation::default()) };
    let golden = concat!(
        r#"{"version":1,"generation":0,"access_token":"a","issued_at_ms":1,"expires_at_ms":2,"refresh_at_ms":3,"#,
        r#""refresh_expires_at_ms":4,"spending_ms":5,"refresh_refused_ms":6}"#
    );
    assert_eq!(written(&stored), golden);
    let stored = Stored::signed_out(Generation::default(), late(7));
    assert_eq!(written(&stored), r#"{"version":1,"generation":0,"signed_out_ms":7}"#);
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
    let nested = |levels| {
        (0..levels).fold(json!(1), |value, level| if level % 2 == 0 { json!([value]) } else { json!({ "a": value }) })
    };
    assert_eq!(refused(token.clone().with_extra("x", nested(126))), "stored token set: extra is nested too deeply");
    let deepest = Stored::new(token.with_extra("x", nested(125)), Generation::default());
    assert_eq!(read_token(&written(&deepest)).extra(), deepest.token.unwrap().extra());
}

#[test]
fn an_empty_refresh_token_and_an_empty_key_are_none() {
    let token = TokenSet::new("a").with_refresh_token("r").with_refresh_token("").with_signing_key("");
    let stored = Stored::new(token, Generation::default());
    assert_eq!(written(&stored), r#"{"version":1,"generation":0,"access_token":"a"}"#);
}

#[test]
fn what_does_not_go_with_its_token_is_not_written() {
    let refused = |stored: Stored| stored.to_json().unwrap_err().to_string();
    let number = Generation::from(7);
    let signed_out = || Stored::signed_out(number, at(1));
    assert_eq!(refused(Stored::nothing(number)), "stored token set: access_token is missing");
    assert_eq!(
        refused(Stored { token: Some(TokenSet::new("a")), ..signed_out() }),
        "stored token set: signed_out_ms stands beside a token"
    );
    assert_eq!(
        refused(Stored { spending_since: Some(at(1)), ..signed_out() }),
        "stored token set: spending_ms stands without a token"
    );
    assert_eq!(
        refused(Stored { refresh_refused_since: Some(at(1)), ..signed_out() }),
        "stored token set: refresh_refused_ms stands without a token"
    );
}

#[test]
fn the_json_is_a_secret_and_so_is_the_debug_output() {
    let shown = format!("{:?} {:?}", full().to_json(), full());
    for secret in ["access-1", "refresh-1", "key-1", "abab", "cdcd"] {
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
