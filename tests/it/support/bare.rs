//! Requests without their credential, to be compared.

use http::{Method, Version, request};

/// The head of a request that carried `access-<number>`: its token replaced by a word, wherever it travelled, so that
/// two sends of one request are equal. Panics where the token is not on the request exactly once.
#[derive(Debug, PartialEq, Eq)]
pub struct Bare {
    method: Method,
    uri: String,
    version: Version,
    headers: Vec<(String, Vec<u8>)>,
}

impl Bare {
    pub fn of(head: &request::Parts, number: u64) -> Self {
        let token = format!("access-{number}");
        let mut found = 0;
        let mut replace = |text: &[u8]| {
            let text = String::from_utf8(text.to_vec()).unwrap();
            found += text.matches(&token).count();
            text.replace(&token, "TOKEN")
        };
        let uri = replace(head.uri.to_string().as_bytes());
        let headers = head
            .headers
            .iter()
            .map(|(name, value)| (name.to_string(), replace(value.as_bytes()).into_bytes()))
            .collect();
        assert_eq!(found, 1, "{token} on {head:?}");
        Self { method: head.method.clone(), uri, version: head.version, headers }
    }
}
