//! The stored form: whatever can be written reads the same, and whatever reads can be written.

use tower_auth_refresh::token::{ExposeSecret, SecretString, Stored};

/// Everything that is stored, to be compared.
pub fn parts(stored: &Stored) -> impl PartialEq + std::fmt::Debug + use<> {
    let exposed = |secret: Option<&SecretString>| secret.map(|secret| secret.expose_secret().to_owned());
    let token = stored.token.as_ref().map(|token| {
        (
            [exposed(Some(token.access_token())), exposed(token.refresh_token()), exposed(token.signing_key())],
            (token.issued_at(), token.expiry(), token.refresh_at(), token.refresh_expires_at()),
            token.extra().clone(),
        )
    });
    let since = [stored.spending_since, stored.refresh_refused_since, stored.signed_out_since];
    (stored.version(), stored.changed_under, since, stored.login_refused.map(|mark| mark.to_string()), token)
}

/// Writes what was read, and reads it again.
pub fn assert_writes_back(stored: &Stored) {
    let json = stored.to_json().expect("what was read can be written");
    let again = Stored::from_json(json.expose_secret().as_bytes()).expect("what was written can be read");
    assert_eq!(parts(stored), parts(&again));
    assert_eq!(json.expose_secret(), again.to_json().expect("as the first time").expose_secret());
}
