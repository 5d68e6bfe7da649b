//! A sample as the mould for any number of answers, each with tokens of its own.

use bytes::Bytes;
use http::{HeaderValue, Response};
use secrecy::{ExposeSecret, SecretString};

use super::{json, vary::vary};
use crate::token::TokenSet;

/// A sample that grants, and the tokens in it.
pub(super) struct Template {
    answer: Response<Bytes>,
    pub(super) tokens: Tokens,
    /// Whether the refresh token of the set before stays in use.
    pub(super) keeps_refresh: bool,
}

/// What a token set holds, in the open.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Tokens {
    pub(super) access: String,
    pub(super) refresh: Option<String>,
    pub(super) signing: Option<String>,
}

/// On an answer whose tokens could not be replaced in its text: the parsed set gets those of this number.
#[derive(Clone, Copy)]
pub(super) struct Renamed(pub(super) u64);

#[allow(clippy::disallowed_methods, reason = "the servers of a test know their tokens")]
fn expose(secret: &SecretString) -> String {
    secret.expose_secret().to_owned()
}

impl Tokens {
    /// Those of number `number`: as long, of the same alphabet, and different.
    pub(super) fn numbered(&self, number: u64) -> Self {
        let vary = |token: &String| vary(token, number);
        Self {
            access: vary(&self.access),
            refresh: self.refresh.as_ref().map(vary),
            signing: self.signing.as_ref().map(vary),
        }
    }

    /// `set` with these tokens, and all else as it is.
    pub(super) fn put_into(self, set: &TokenSet) -> TokenSet {
        let mut result = TokenSet::new(self.access).with_expiry(set.expiry());
        if let Some(refresh) = self.refresh {
            result = result.with_refresh_token(refresh);
        }
        if let Some(signing) = self.signing {
            result = result.with_signing_key(signing);
        }
        if let Some(at) = set.issued_at() {
            result = result.with_issued_at(at);
        }
        if let Some(at) = set.refresh_at() {
            result = result.with_refresh_at(at);
        }
        if let Some(at) = set.refresh_expires_at() {
            result = result.with_refresh_expires_at(at);
        }
        set.extra().iter().fold(result, |set, (name, value)| set.with_extra(name, value.clone()))
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &String> {
        [&self.access].into_iter().chain(&self.refresh).chain(&self.signing)
    }
}

impl Template {
    pub(super) fn new(answer: &Response<Bytes>, token: &TokenSet) -> Self {
        let mut tokens = Self::tokens_of(token);
        let keeps_refresh = tokens.refresh.as_deref() == Some(super::subject::STAND_IN);
        if keeps_refresh {
            tokens.refresh = None;
        }
        Self { answer: answer.clone(), tokens, keeps_refresh }
    }

    pub(super) fn tokens_of(token: &TokenSet) -> Tokens {
        Tokens {
            access: Self::access_of(token),
            refresh: token.refresh_token().map(expose),
            signing: token.signing_key().map(expose),
        }
    }

    pub(super) fn access_of(token: &TokenSet) -> String {
        expose(token.access_token())
    }

    /// The tokens without which nothing is granted.
    pub(super) fn required(&self) -> impl Iterator<Item = String> {
        [self.tokens.access.clone()].into_iter().chain(self.tokens.signing.clone())
    }

    /// The answer with the tokens of this number.
    pub(super) fn number(&self, number: u64) -> (Response<Bytes>, Tokens) {
        let tokens = self.tokens.numbered(number);
        let answer = match self.in_text(number) {
            Some((answer, _)) => answer,
            None => {
                let mut answer = self.answer.clone();
                answer.extensions_mut().insert(Renamed(number));
                answer
            }
        };
        (answer, tokens)
    }

    /// The same by its text alone; `None` where a token does not stand in it.
    pub(super) fn in_text(&self, number: u64) -> Option<(Response<Bytes>, Tokens)> {
        let numbered = self.tokens.numbered(number);
        let mut answer = self.answer.clone();
        for (old, new) in self.tokens.all().zip(numbered.all()) {
            let in_body = replaced(answer.body(), old, new);
            let in_headers = answer.headers_mut().values_mut().filter_map(|value| {
                *value = HeaderValue::from_bytes(&replaced(value.as_bytes(), old, new)?).ok()?;
                Some(())
            });
            let in_headers = in_headers.count();
            match in_body {
                Some(body) => *answer.body_mut() = body.into(),
                None if in_headers == 0 => return None,
                None => {}
            }
        }
        Some((answer, numbered))
    }
}

/// `text` with `new` wherever `old` stands as a word of its own, in JSON also escaped; `None` where it does not.
fn replaced(text: &[u8], old: &str, new: &str) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(text).ok()?;
    let in_strings = json::with_strings(text, |string| with_word(string, old, new));
    in_strings.or_else(|| with_word(text, old, new)).map(String::into_bytes)
}

fn with_word(text: &str, old: &str, new: &str) -> Option<String> {
    let is_edge = |neighbour: Option<char>| !neighbour.is_some_and(char::is_alphanumeric);
    let mut result = String::with_capacity(text.len());
    let (mut rest, mut found) = (text, false);
    while let Some((before, after)) = rest.split_once(old).filter(|_| !old.is_empty()) {
        result.push_str(before);
        let stands_alone = is_edge(result.chars().next_back()) && is_edge(after.chars().next());
        result.push_str(if stands_alone { new } else { old });
        found |= stands_alone;
        rest = after;
    }
    result.push_str(rest);
    found.then_some(result)
}
