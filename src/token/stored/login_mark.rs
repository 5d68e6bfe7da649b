//! What is remembered of a refused login: a keyed hash of what was sent, never the secret.

use std::fmt;

use serde::{Deserialize, Deserializer, de::Error};

/// A login that the server refused, as a keyed hash of the request that asked for it.
///
/// Whoever can ask for the same login again recognizes it; nobody can read the password off it. The key is random, another
/// one each time, and stands beside the hash: it keeps two stores from being compared, and tables from being made in
/// advance. As text it is `<key>:<hash>`, 64 hexadecimal digits each
/// ([BLAKE3](https://github.com/BLAKE3-team/BLAKE3-specs/blob/master/blake3.pdf), keyed mode).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct LoginMark {
    key: [u8; 32],
    hash: [u8; 32],
}

impl LoginMark {
    /// Marks `login`, which is everything that one request for it says.
    pub(crate) fn new(login: &[u8], key: [u8; 32]) -> Self {
        Self { key, hash: *blake3::keyed_hash(&key, login).as_bytes() }
    }

    /// Whether this is that login.
    pub(crate) fn is_of(&self, login: &[u8]) -> bool {
        // Compared in constant time by the hash's own type.
        blake3::keyed_hash(&self.key, login) == self.hash
    }

    fn parse(text: &str) -> Option<Self> {
        let (key, hash) = text.split_once(':')?;
        Some(Self { key: digits(key)?, hash: digits(hash)? })
    }
}

fn digits(text: &str) -> Option<[u8; 32]> {
    blake3::Hash::from_hex(text).ok().map(Into::into)
}

impl<'de> Deserialize<'de> for LoginMark {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).ok_or_else(|| D::Error::custom("not a mark"))
    }
}

/// The text that is stored.
impl fmt::Display for LoginMark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hex = |bytes| blake3::Hash::from_bytes(bytes).to_hex();
        write!(f, "{}:{}", hex(self.key), hex(self.hash))
    }
}

impl fmt::Debug for LoginMark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LoginMark")
    }
}
