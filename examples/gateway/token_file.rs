//! A file with a token set in its stored form, read and never written here.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

use http::HeaderValue;
use secrecy::{ExposeSecret, SecretString};
use tower_auth_refresh::{
    Provider,
    clock::{Clock, SystemClock},
    provider::{Context, Grant},
    token::{Stored, TokenSet},
};

use super::config::BadConfig;

/// Token answers have at most 1 MiB, which JSON may write six times as long.
const LARGEST: u64 = 8 << 20;

/// Names the file in an error.
const KEY: &str = "token.file";

/// The token set in the file at `path`.
///
/// # Errors
/// When the file cannot be read, is damaged or of another version, or holds no token set, or one that no request can carry.
pub(crate) fn read(path: &Path, provider: &dyn Provider) -> Result<TokenSet, BadConfig> {
    let json = match read_at_most(LARGEST + 1, path) {
        Ok(json) if json.len() as u64 > LARGEST => return Err(BadConfig::new(KEY, "is too large")),
        Ok(json) => json,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(BadConfig::new(KEY, "is not there")),
        Err(error) => return Err(BadConfig::new(KEY, format!("cannot be read: {}", error.kind()))),
    };
    let stored = Stored::from_json(&json).map_err(|error| BadConfig::new(KEY, error.to_string()))?;
    let token = stored.token.ok_or_else(|| BadConfig::new(KEY, "holds no token set"))?;
    check(KEY, &token, provider)?;
    Ok(token)
}

/// Tries a token set from a file or a store, which the configuration names by `key`.
///
/// # Errors
/// When no request can carry it.
pub(crate) fn check(key: &str, token: &TokenSet, provider: &dyn Provider) -> Result<(), BadConfig> {
    if provider.credential(token).is_err() {
        return Err(BadConfig::new(key, "holds an access token that no request can carry"));
    }
    if token.refresh_token().is_some_and(|token| !fits_into_a_header(token)) {
        return Err(BadConfig::new(key, "holds a refresh token that no header can carry"));
    }
    let cx = Context::new(SystemClock::new().now().wall, 0);
    if token.refresh_token().is_some() && provider.request(Grant::Refresh(token), &cx).is_err() {
        return Err(BadConfig::new(key, "holds a refresh token that no request can carry"));
    }
    Ok(())
}

/// Whatever the path leads to, a device for instance, the memory holds it.
fn read_at_most(bytes: u64, path: &Path) -> io::Result<Vec<u8>> {
    let mut json = Vec::new();
    File::open(path)?.take(bytes).read_to_end(&mut json)?;
    Ok(json)
}

/// Wherever it travels: one with a line break was damaged on its way into the file, and would be spent on a refusal.
#[allow(clippy::disallowed_methods, reason = "the token is looked at, and not kept")]
fn fits_into_a_header(token: &SecretString) -> bool {
    HeaderValue::from_bytes(token.expose_secret().as_bytes()).is_ok()
}
