//! What is remembered of a refused login: a keyed hash of what was sent, never the secret.

use std::fmt;

use bytes::Bytes;
use http::Request;

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

    pub(super) fn parse(text: &str) -> Option<Self> {
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

    const KEY: [u8; 32] = *b"whats the Elvish word for friend";

    fn login(uri: &str, header: &'static str, body: &'static str) -> Request<Bytes> {
        Request::post(uri).header("x-app", header).body(Bytes::from_static(body.as_bytes())).unwrap()
    }

    fn mine() -> Request<Bytes> {
        login("https://api.test/login", "app", "user=me&password=s3cr3t")
    }

    #[test]
    fn the_hash_of_a_login_is_the_same_in_every_version() {
        let key: String = KEY.iter().map(|byte| format!("{byte:02x}")).collect();
        let hash = "926c80a665ce0f09704d55adba19fb8c335bf6e3e721ef3364c34ff9fdb391e8";
        assert_eq!(LoginMark::new("test", &mine(), KEY).to_string(), format!("{key}:{hash}"));
    }

    #[test]
    fn a_login_is_recognized_by_its_mark_and_no_other_login_is() {
        let mark = LoginMark::new("test", &mine(), KEY);
        assert!(mark.is_of("test", &mine()) && !mark.is_of("tes", &mine()));
        for other in [
            login("https://api.test/login", "app", "user=me&password=s3cr3u"),
            login("https://api.test/login", "appu", "ser=me&password=s3cr3t"),
            login("https://api.test/logins", "app", "user=me&password=s3cr3t"),
        ] {
            assert!(!mark.is_of("test", &other));
        }
    }

    #[test]
    fn the_order_of_headers_of_different_names_makes_no_other_login() {
        let build = |names: [&'static str; 2]| {
            let request = Request::post("/").header(names[0], names[0]).header(names[1], names[1]);
            request.body(Bytes::new()).unwrap()
        };
        assert!(LoginMark::new("test", &build(["a", "b"]), KEY).is_of("test", &build(["b", "a"])));
    }

    #[test]
    fn with_another_key_the_same_login_has_another_hash_and_is_recognized_all_the_same() {
        let (one, two) = (LoginMark::new("test", &mine(), KEY), LoginMark::new("test", &mine(), [0; 32]));
        assert_ne!(one.hash, two.hash);
        assert!(one.is_of("test", &mine()) && two.is_of("test", &mine()));
    }

    #[test]
    fn a_mark_reads_from_its_text_in_digits_of_either_case() {
        let mark = LoginMark::new("test", &mine(), KEY);
        for text in [mark.to_string(), mark.to_string().to_uppercase()] {
            assert!(LoginMark::parse(&text) == Some(mark), "{text}");
        }
    }

    #[test]
    fn debug_shows_nothing_of_a_mark() {
        assert_eq!(format!("{0:?} {0:#?}", LoginMark::new("test", &mine(), KEY)), "LoginMark LoginMark");
    }
}
