//! A file with a token set in its stored form, read and never written here.

use std::{fs, io, path::Path};

use tower_auth_refresh::{
    Provider,
    clock::{Clock, SystemClock},
    provider::{Context, Grant},
    token::{Stored, TokenSet},
};

use super::config::BadConfig;

/// The token set in the file at `path`, which the configuration names by `key`; `None` where there is no file.
///
/// # Errors
/// When the file cannot be read, is damaged or of another version, or holds what no request can carry.
pub(crate) fn read(key: &str, path: &Path, provider: &dyn Provider) -> Result<Option<TokenSet>, BadConfig> {
    let json = match fs::read(path) {
        Ok(json) => json,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(BadConfig::new(key, format!("cannot be read: {}", error.kind()))),
    };
    let token = Stored::from_json(&json).map_err(|error| BadConfig::new(key, error.to_string()))?.token;
    if provider.credential(&token).is_err() {
        return Err(BadConfig::new(key, "holds an access token that no request can carry"));
    }
    let cx = Context::new(SystemClock::new().now().wall, 0);
    if token.refresh_token().is_some() && provider.request(Grant::Refresh(&token), &cx).is_err() {
        return Err(BadConfig::new(key, "holds a refresh token that no request can carry"));
    }
    Ok(Some(token))
}
