//! `WWW-Authenticate`: does a 401 speak of the token, or of something that another token cannot cure?
//!
//! The header is read by a small tokenizer of our own, which never fails: a parser that gives up at the first oddity
//! gives up the one parameter that matters. (The crate `http-auth` knows no `token68`: at `Negotiate abc==` it stops,
//! and drops every challenge behind it.)

use http::{HeaderMap, StatusCode, header::WWW_AUTHENTICATE, response};

/// Whether an answer's head rejects the token: by status 401, unless a challenge [`acquits`] it.
pub(crate) fn rejects(answer: &response::Parts) -> bool {
    answer.status == StatusCode::UNAUTHORIZED && !acquits(&answer.headers)
}

/// Whether a `Bearer` challenge names an `error` other than `invalid_token`
/// ([RFC 6750, section 3.1](https://www.rfc-editor.org/rfc/rfc6750#section-3.1)).
///
/// Of several `Bearer` challenges the most telling one counts: with `invalid_token` in any of them the token is
/// rejected, whatever the others say; otherwise any other error acquits it; and a challenge without an error says
/// nothing, as it merely lists a way to sign in. What cannot be read names no error, so that garbage costs one refresh
/// at most, and never leaves a dead token in use.
pub(crate) fn acquits(headers: &HeaderMap) -> bool {
    let mut bearer = false;
    let mut other_error = false;
    // One list may be spread over several field lines (RFC 9110, section 5.3), so `bearer` outlives a line.
    for line in headers.get_all(WWW_AUTHENTICATE) {
        for item in Items::new(line.as_bytes()) {
            match item {
                Item::Scheme(name) => bearer = name.eq_ignore_ascii_case(b"bearer"),
                Item::Param(name, value) if bearer && name.eq_ignore_ascii_case(b"error") => {
                    if reads(value, b"invalid_token") {
                        return false;
                    }
                    other_error |= !value.is_empty();
                }
                Item::Param(..) => {}
            }
        }
    }
    other_error
}

/// Whether `value`, its escapes undone, is `text` in any case.
fn reads(value: &[u8], text: &[u8]) -> bool {
    let mut escaped = false;
    let unescaped = value.iter().filter(|&&byte| {
        escaped = byte == b'\\' && !escaped;
        !escaped
    });
    unescaped.map(u8::to_ascii_lowercase).eq(text.iter().copied())
}

/// A part of a challenge; a parameter belongs to the scheme before it.
enum Item<'a> {
    Scheme(&'a [u8]),
    /// The name, and the value without quotes but with its escapes.
    Param(&'a [u8], &'a [u8]),
}

/// What can be read of one field line ([RFC 9110, section 11.6.1](https://www.rfc-editor.org/rfc/rfc9110#section-11.6.1)).
///
/// Lenient where servers are: parameters may be separated by spaces alone, and around `=` there may be any. Everything
/// else that is not of the grammar, and `token68`, is skipped up to the next comma outside of quotes. A quotation
/// without an end takes the rest of the line with it, because a challenge inside of quotes is none.
struct Items<'a> {
    rest: &'a [u8],
    /// Only at the start of a list element can a word be a scheme.
    at_start: bool,
}

impl<'a> Items<'a> {
    fn new(line: &'a [u8]) -> Self {
        Self { rest: line, at_start: true }
    }

    fn skip_separators(&mut self) {
        while let [first, rest @ ..] = self.rest {
            match first {
                b',' => self.at_start = true,
                b' ' | b'\t' => {}
                _ => return,
            }
            self.rest = rest;
        }
    }

    fn skip_spaces(&mut self) {
        self.take(|byte| matches!(byte, b' ' | b'\t'));
    }

    fn skip_to_comma(&mut self) {
        loop {
            self.take(|byte| !matches!(byte, b',' | b'"'));
            if self.quoted().is_none() {
                return;
            }
        }
    }

    fn token(&mut self) -> &'a [u8] {
        self.take(is_tchar)
    }

    /// The value behind a `=`, which is empty where there is none to be read.
    fn value(&mut self) -> &'a [u8] {
        self.skip_spaces();
        if self.rest.starts_with(b"\"") { self.quoted().unwrap_or_default() } else { self.token() }
    }

    /// The text between quotes, when a quotation begins here and ends. One without an end is consumed.
    fn quoted(&mut self) -> Option<&'a [u8]> {
        let [b'"', text @ ..] = self.rest else { return None };
        let mut escaped = false;
        let end = text.iter().position(|&byte| {
            let ends = byte == b'"' && !escaped;
            escaped = byte == b'\\' && !escaped;
            ends
        });
        self.rest = &[];
        let (text, rest) = text.split_at_checked(end?)?;
        self.rest = rest.split_first().map_or(&[], |(_quote, rest)| rest);
        Some(text)
    }

    fn take(&mut self, wanted: impl Fn(u8) -> bool) -> &'a [u8] {
        let end = self.rest.iter().position(|&byte| !wanted(byte)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at_checked(end).unwrap_or((self.rest, &[]));
        self.rest = rest;
        taken
    }
}

impl<'a> Iterator for Items<'a> {
    type Item = Item<'a>;

    fn next(&mut self) -> Option<Item<'a>> {
        loop {
            self.skip_separators();
            if self.rest.is_empty() {
                return None;
            }
            let at_start = std::mem::take(&mut self.at_start);
            let name = self.token();
            self.skip_spaces();
            match self.rest {
                _ if name.is_empty() => self.skip_to_comma(),
                [b'=', rest @ ..] => {
                    self.rest = rest;
                    return Some(Item::Param(name, self.value()));
                }
                _ if at_start => return Some(Item::Scheme(name)),
                _ => self.skip_to_comma(),
            }
        }
    }
}

/// A character of a token ([RFC 9110, section 5.6.2](https://www.rfc-editor.org/rfc/rfc9110#section-5.6.2)).
fn is_tchar(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests;
