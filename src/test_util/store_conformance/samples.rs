//! What is stored for the checks, and how it differs from what comes back.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::Request;
use serde_json::{Map, Value, json};

use super::report::{Finding, Outcome};
use crate::token::{Expiry, ExposeSecret, FencingToken, Generation, LoginMark, Stored, TokenSet};

pub(super) fn token_set(generation: Generation, fence: FencingToken) -> Stored {
    let token = TokenSet::new(format!("access-{generation}")).with_refresh_token(format!("refresh-{generation}"));
    Stored { fence: Some(fence), ..Stored::new(token, generation) }
}

pub(super) fn signed_out(generation: Generation, fence: FencingToken) -> Stored {
    Stored { fence: Some(fence), ..Stored::signed_out(generation, at(1_750_005_500_201)) }
}

/// Everything that there is to store: no member is missing from one of these.
pub(super) fn all(fence: FencingToken) -> [Stored; 4] {
    let token = TokenSet::new("quote\" backslash\\ line\n null\0 delete\u{7f} e\u{e9} face\u{1f600} brace}")
        .with_refresh_token("refresh-token")
        .with_signing_key("signing-key")
        .with_issued_at(at(1_750_000_000_001))
        .with_expiry(Expiry::At(at(1_750_007_200_002)))
        .with_refresh_at(at(1_750_005_400_003))
        .with_refresh_expires_at(at(1_752_592_000_004))
        .with_extra("user", json!({ "id": [1, -2.5, 18_446_744_073_709_551_615_u64, null, true, "\u{e9}\n"] }));
    let login_refused = Some(LoginMark::new("test", &Request::new(Bytes::from_static(b"a login")), [7; 32]));
    let full = Stored {
        fence: Some(fence),
        revision: u64::MAX,
        changed_under: Some(FencingToken::from(u64::MAX)),
        spending_since: Some(at(1_750_005_400_005)),
        refresh_refused_since: Some(at(1_750_005_400_006)),
        login_refused,
        ..Stored::new(token, Generation::from(u64::MAX))
    };
    let endless = TokenSet::new("a".repeat(16 * 1024)).with_expiry(Expiry::Never);
    let endless = Stored { fence: Some(fence), ..Stored::new(endless, Generation::from(u64::MAX - 1)) };
    let never_signed_in = Stored { fence: Some(fence), login_refused, ..Stored::nothing(Generation::default()) };
    [full, endless, Stored { login_refused, ..signed_out(Generation::from(1), fence) }, never_signed_in]
}

/// Passes where both are the same, and names what is not.
pub(super) fn same_stored(what: &str, expected: &Stored, came: &Stored) -> Finding {
    let (expected, came) = (members(expected), members(came));
    let mut names: Vec<_> =
        expected.keys().chain(came.keys()).filter(|name| expected.get(*name) != came.get(*name)).collect();
    names.sort_unstable();
    names.dedup();
    if names.is_empty() {
        return Ok(());
    }
    let names: Vec<_> = names.into_iter().map(String::as_str).collect();
    Err(Outcome::failed(what, format!("another {}", names.join(", "))))
}

/// The members of its JSON form; of what has none, nothing.
#[allow(clippy::disallowed_methods, reason = "the secrets were put into a store, and are made up")]
fn members(stored: &Stored) -> Map<String, Value> {
    let json = stored.to_json().ok();
    json.and_then(|json| serde_json::from_str(json.expose_secret()).ok()).unwrap_or_default()
}

fn at(milliseconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(milliseconds)
}
