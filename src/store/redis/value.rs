//! What the server keeps of a session: three fields that scripts compare, and the value.

use std::collections::HashMap;

use secrecy::zeroize::Zeroizing;

use super::{
    encryption::{self, Cipher, Unopened},
    keys::Keys,
};
use crate::{
    store::{StoreError, StoreErrorKind},
    token::{ExposeSecret, Stored, StoredError, Version},
};

/// What a hash on the server holds.
pub(super) type Fields = HashMap<Vec<u8>, Vec<u8>>;

/// A version as it is kept: generation, fencing token (none is an empty one) and revision.
pub(super) fn version(version: Version) -> [String; 3] {
    let fence = version.fence.map(|fence| fence.to_string()).unwrap_or_default();
    [version.generation.to_string(), fence, version.revision.to_string()]
}

/// The value of what is stored.
#[allow(clippy::disallowed_methods, reason = "the secrets are put into a store")]
pub(super) fn write(stored: &Stored, cipher: Option<&Cipher>, keys: &Keys) -> Result<Vec<u8>, StoreError> {
    let json = stored.to_json().map_err(|error| damaged("cannot write", keys, error))?;
    let json = json.expose_secret().as_bytes();
    let Some(cipher) = cipher else { return Ok(json.to_vec()) };
    let version = version(stored.version());
    cipher.seal(json, &place(keys, version.each_ref().map(String::as_bytes))).ok_or_else(|| {
        StoreError::new(StoreErrorKind::Unavailable, format!("cannot write redis {keys}: there is no randomness"))
    })
}

/// What is stored, of all fields that are there; `None` where there are none.
pub(super) fn read(mut fields: Fields, cipher: Option<&Cipher>, keys: &Keys) -> Result<Option<Stored>, StoreError> {
    if fields.is_empty() {
        return Ok(None);
    }
    let error = |kind, why| StoreError::new(kind, format!("cannot read redis {keys}: {why}"));
    let foreign = |why| error(StoreErrorKind::Damaged, why);
    let mut take = |name: &str| fields.remove(name.as_bytes()).map(Zeroizing::new);
    let (Some(generation), Some(fence), Some(value)) = (take("generation"), take("fence"), take("value")) else {
        return Err(foreign("a field is missing"));
    };
    // Other programs need not know of it.
    let revision = take("revision").unwrap_or_else(|| Zeroizing::new(b"0".to_vec()));
    if !fields.is_empty() {
        return Err(foreign("there are fields that are not known"));
    }
    let fields = [&**generation, &**fence, &**revision];
    let json = encryption::open(cipher, value, &place(keys, fields)).map_err(|why| match why {
        Unopened::InTheClear => error(StoreErrorKind::Insecure, "it is not encrypted, and a key was given"),
        Unopened::NoKey => foreign("it is encrypted, and no key was given"),
        Unopened::WrongKey => foreign("it was encrypted with another key, or for another place, or changed since"),
    })?;
    let stored = Stored::from_json(&json).map_err(|error| damaged("cannot read", keys, error))?;
    if version(stored.version()).each_ref().map(String::as_bytes) != fields {
        return Err(foreign("its fields contradict its value"));
    }
    Ok(Some(stored))
}

/// To what an encrypted value is bound.
fn place(keys: &Keys, [generation, fence, revision]: [&[u8]; 3]) -> Vec<u8> {
    [keys.token.as_bytes(), generation, fence, revision].join(&b'\n')
}

fn damaged(asked_for: &str, keys: &Keys, error: StoredError) -> StoreError {
    StoreError::damaged(format!("{asked_for} redis {keys}"), error)
}
