//! What is remembered of a refused login: a keyed hash of what was sent, never the secret.

use std::fmt;

/// A login that the server refused, as a keyed hash of the request that asked for it.
///
/// Whoever asks for the same login again recognizes it, and the password does not stand in it. The key is random, another
/// one each time, and stands beside the hash: it keeps two stores from being compared, and tables from being made in
/// advance. It keeps nobody from trying passwords, one by one and fast, who can read the store: a mark is to be guarded as
/// the tokens beside it are, and `Debug` prints nothing of it.
///
/// As text it is `<key>:<hash>`, 64 hexadecimal digits each
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
        // The hash's own type compares in constant time.
        blake3::keyed_hash(&self.key, login) == self.hash
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        let (key, hash) = text.split_once(':')?;
        Some(Self { key: digits(key)?, hash: digits(hash)? })
    }
}

fn digits(text: &str) -> Option<[u8; 32]> {
    blake3::Hash::from_hex(text).ok().map(Into::into)
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The key of the algorithm's own test vectors, and what they make of the bytes 0, 1 and 2.
    const KEY: [u8; 32] = *b"whats the Elvish word for friend";
    const HASH: &str = "39e67b76b5a007d4921969779fe666da67b5213b096084ab674742f0d5ec62b9";

    #[test]
    fn the_hash_is_that_of_the_algorithms_own_test_vectors() {
        let key: String = KEY.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(LoginMark::new(&[0, 1, 2], KEY).to_string(), format!("{key}:{HASH}"));
    }

    #[test]
    fn a_login_is_recognized_by_its_mark_and_no_other_login_is() {
        let mark = LoginMark::new(b"user=me&password=s3cr3t", KEY);
        assert!(mark.is_of(b"user=me&password=s3cr3t"));
        for other in [&b""[..], b"user=me&password=s3cr3u", b"user=me&password=s3cr3t&", b"user=me&password=s3cr3"] {
            assert!(!mark.is_of(other));
        }
    }

    #[test]
    fn with_another_key_the_same_login_has_another_hash_and_is_recognized_all_the_same() {
        let (one, two) = (LoginMark::new(b"login", KEY), LoginMark::new(b"login", [0; 32]));
        assert_ne!(one.hash, two.hash);
        assert!(one.is_of(b"login") && two.is_of(b"login"));
    }

    #[test]
    fn a_mark_reads_from_its_text_in_digits_of_either_case() {
        let mark = LoginMark::new(b"login", KEY);
        for text in [mark.to_string(), mark.to_string().to_uppercase()] {
            assert!(LoginMark::parse(&text) == Some(mark), "{text}");
        }
    }

    #[test]
    fn debug_shows_nothing_of_a_mark() {
        assert_eq!(format!("{0:?} {0:#?}", LoginMark::new(b"login", KEY)), "LoginMark LoginMark");
    }
}
