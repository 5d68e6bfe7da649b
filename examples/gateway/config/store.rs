//! `[store]`: where the token set outlives the process, and who shares it.

use secrecy::{ExposeSecret, SecretString};
use tower_auth_refresh::store::{RedisStore, StoreError};

use super::{BadConfig, section::Section, value};
use crate::gateway::store::Store;

const FILE: [&str; 1] = ["path"];
const REDIS: [&str; 5] = ["url", "key", "lease", "prefix", "encryption_key"];

/// Whether any kind has the key `name`.
pub(super) fn is_key(name: &str) -> bool {
    FILE.iter().chain(&REDIS).any(|key| *key == name)
}

/// `None` where nothing outlives the process.
pub(super) fn read(mut section: Section) -> Result<Option<Store>, BadConfig> {
    match section.take("kind", value::text)?.as_deref() {
        None | Some("memory") => section.only(Some("kind memory"), &[]).map(|()| None),
        Some("file") => {
            section.only(Some("kind file"), &FILE)?;
            section.need("path", value::text).map(|path| Some(Store::file(path)))
        }
        Some("redis") => {
            section.only(Some("kind redis"), &REDIS)?;
            redis(section).map(|store| Some(Store::redis(store)))
        }
        Some(_) => Err(section.bad("kind", "must be memory, file or redis")),
    }
}

fn redis(mut section: Section) -> Result<RedisStore, BadConfig> {
    let (url, name) = (section.need("url", value::secret)?, section.need("key", value::text)?);
    // Its errors say what a value must be, and not what it is.
    let bad = |section: &Section, key: &str, error: StoreError| section.bad(key, error.to_string());
    let mut store = RedisStore::new(plain(&url), &name).map_err(|error| bad(&section, "url", error))?;
    if let Some(prefix) = section.take("prefix", value::text)? {
        store = store.prefix(&prefix).map_err(|error| bad(&section, "prefix", error))?;
    }
    if let Some(lasts) = section.take("lease", value::duration)? {
        store = store.lease(lasts).map_err(|error| bad(&section, "lease", error))?;
    }
    if let Some(key) = section.take("encryption_key", value::encryption_key)? {
        store = store.encryption_key(key);
    }
    Ok(store)
}

#[allow(clippy::disallowed_methods, reason = "the connection is made with it, and it may hold a password")]
fn plain(url: &SecretString) -> &str {
    url.expose_secret()
}
