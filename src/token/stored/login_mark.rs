//! What is remembered of a refused login: a keyed hash of what was sent, never the secret.

use std::fmt;

use bytes::Bytes;
use http::Request;
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
    /// Marks the login that `request` asks for; `provider` is whose login it is.
    pub(crate) fn new(provider: &str, request: &Request<Bytes>, key: [u8; 32]) -> Self {
        Self { key, hash: hash(provider, request, &key) }
    }

    /// Whether this is the login that `request` asks for. The request must have been made for the same
    /// [context](crate::provider::Context).
    pub(crate) fn is_of(&self, provider: &str, request: &Request<Bytes>) -> bool {
        // Compared in constant time by the hash's own type.
        blake3::Hash::from_bytes(self.hash) == blake3::Hash::from_bytes(hash(provider, request, &self.key))
    }

    fn parse(text: &str) -> Option<Self> {
        let (key, hash) = text.split_once(':')?;
        Some(Self { key: digits(key)?, hash: digits(hash)? })
    }
}

/// Each part with its length before it, so that no two requests read the same.
fn hash(provider: &str, request: &Request<Bytes>, key: &[u8; 32]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_keyed(key);
    let mut part = |part: &[u8]| {
        hasher.update(&(part.len() as u64).to_le_bytes()).update(part);
    };
    part(provider.as_bytes());
    part(request.method().as_str().as_bytes());
    part(request.uri().to_string().as_bytes());
    let mut headers: Vec<_> = request.headers().iter().collect();
    headers.sort_by_key(|(name, _)| name.as_str());
    for (name, value) in headers {
        part(name.as_str().as_bytes());
        part(value.as_bytes());
    }
    part(request.body());
    hasher.finalize().into()
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
