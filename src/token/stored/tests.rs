mod read;
mod refused;
mod written;

use std::time::Duration;

use serde_json::json;

use super::*;

/// Every member of a token set, in the order in which they are written.
const FULL: &str = concat!(
    r#"{"version":1,"generation":7,"fence":41,"revision":2,"changed_under":39,"#,
    r#""access_token":"access-1","refresh_token":"refresh-1","signing_key":"key-1","issued_at_ms":1750000000000,"#,
    r#""expires_at_ms":1750007200000,"refresh_at_ms":1750005400000,"refresh_expires_at_ms":1752592000000,"#,
    r#""spending_ms":1750005400123,"refresh_refused_ms":1750005400456,"login_refused":"#,
    r#""abababababababababababababababababababababababababababababababab:"#,
    r#"cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd","#,
    r#""extra":{"user":{"id":[1,2.5,null]}}}"#,
);

/// A refused login.
const MARK: &str = concat!(
    "abababababababababababababababababababababababababababababababab:",
    "cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd",
);

fn at(milliseconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(milliseconds)
}

fn mark() -> LoginMark {
    LoginMark::parse(MARK).unwrap()
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
        fence: Some(FencingToken::from(41)),
        revision: 2,
        changed_under: Some(FencingToken::from(39)),
        spending_since: Some(at(1_750_005_400_123)),
        refresh_refused_since: Some(at(1_750_005_400_456)),
        login_refused: Some(mark()),
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
