//! JSON with one value made odd, all else left byte for byte.

use std::ops::Range;

/// The bodies in which the member that holds `token` is missing, of another type, or there twice; none where `body` is
/// not JSON or has no such member.
pub(super) fn without(body: &[u8], token: &str) -> Vec<(&'static str, String)> {
    let found = std::str::from_utf8(body).ok().and_then(|text| Member::find(text, token));
    let Some(Member { before, name, between, value, after }) = found else { return Vec::new() };
    let with = |value: &str| format!("{before}\"{name}\"{between}{value}{after}");
    vec![
        ("a token that is missing", format!("{before}\"{name}-other\"{between}{value}{after}")),
        ("a token that is null", with("null")),
        ("a token that is a number", with("7")),
        ("a token that is true", with("true")),
        ("a token that is a list", with(&format!("[{value}]"))),
        ("a token that is an object", with(&format!("{{\"{name}\":{value}}}"))),
        ("a token that is empty", with("\"\"")),
        ("a token that is there twice", with(&format!("{value},\"{name}\":\"another-token\""))),
    ]
}

pub(super) fn is_json(text: &[u8]) -> bool {
    serde_json::from_slice::<serde::de::IgnoredAny>(text).is_ok()
}

/// `text` with other strings where `other` has one for what they say; `None` where it has none, or `text` is not JSON.
pub(super) fn with_strings(text: &str, other: impl Fn(&str) -> Option<String>) -> Option<String> {
    let (mut result, mut done) = (String::with_capacity(text.len()), 0);
    for place in pieces(text).into_iter().flatten() {
        let said = text.get(place.clone()).and_then(said);
        let written = said.and_then(|said| serde_json::to_string(&other(&said)?).ok());
        if let Some(written) = written {
            result.push_str(text.get(done..place.start)?);
            result.push_str(&written);
            done = place.end;
        }
    }
    result.push_str(text.get(done..)?);
    (done > 0).then_some(result)
}

/// A number, and the text around it.
pub(super) struct Number<'a> {
    before: &'a str,
    number: &'a str,
    after: &'a str,
}

impl<'a> Number<'a> {
    /// The numbers of a JSON text, or the words of another that are numbers.
    pub(super) fn all(text: &'a str) -> Vec<Self> {
        let places = pieces(text).unwrap_or_else(|| words(text));
        let numbers = places.into_iter().filter_map(|Range { start, end }| {
            let (before, number, after) = (text.get(..start)?, text.get(start..end)?, text.get(end..)?);
            number.parse::<f64>().is_ok().then_some(Self { before, number, after })
        });
        numbers.collect()
    }

    /// Whole numbers that differ from it by one.
    pub(super) fn neighbours(&self) -> impl Iterator<Item = String> {
        let number = self.number.parse::<i64>().ok();
        [1, -1].into_iter().filter_map(move |step| Some(number?.checked_add(step)?.to_string()))
    }

    /// The text with `other` in the place of the number.
    pub(super) fn replaced(&self, other: &str) -> String {
        [self.before, other, self.after].concat()
    }
}

struct Member<'a> {
    before: &'a str,
    name: &'a str,
    /// The colon and the white space around it.
    between: &'a str,
    /// With its quotation marks, as it is written.
    value: &'a str,
    after: &'a str,
}

impl<'a> Member<'a> {
    fn find(text: &'a str, token: &str) -> Option<Self> {
        let places = pieces(text)?;
        let mut pairs = places.iter().zip(places.iter().skip(1));
        pairs.find_map(|(name, value)| {
            let between = text.get(name.end..value.start)?;
            let written = text.get(value.clone())?;
            let is_it = between.trim() == ":" && said(written).as_deref() == Some(token);
            is_it.then_some(Self {
                before: text.get(..name.start)?,
                name: text.get(name.clone())?.trim_matches('"'),
                between,
                value: written,
                after: text.get(value.end..)?,
            })
        })
    }
}

/// What a string says, its escapes read.
fn said(written: &str) -> Option<String> {
    serde_json::from_str(written).ok()
}

/// The places of all strings, with their quotation marks, and of all numbers; `None` where `text` is not JSON.
fn pieces(text: &str) -> Option<Vec<Range<usize>>> {
    is_json(text.as_bytes()).then(|| {
        let mut pieces = Vec::new();
        let mut bytes = text.bytes().enumerate().peekable();
        while let Some((start, byte)) = bytes.next() {
            let mut end = start + 1;
            if byte == b'"' {
                let mut escaped = false;
                for (at, byte) in bytes.by_ref() {
                    end = at + 1;
                    match byte {
                        b'"' if !escaped => break,
                        _ => escaped = byte == b'\\' && !escaped,
                    }
                }
            } else if matches!(byte, b'-' | b'0'..=b'9') {
                while bytes
                    .next_if(|(_, byte)| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E'))
                    .is_some()
                {
                    end += 1;
                }
            } else {
                continue;
            }
            pieces.push(start..end);
        }
        pieces
    })
}

/// The places of all words.
fn words(text: &str) -> Vec<Range<usize>> {
    let mut end = 0;
    let words = text.split_inclusive(char::is_whitespace).map(|word| {
        let start = end;
        end += word.len();
        start..start + word.trim_end().len()
    });
    words.collect()
}
