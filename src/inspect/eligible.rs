//! Which answers' bodies are looked at, by their heads alone.

use http::{
    HeaderMap, HeaderValue, Method, StatusCode,
    header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE},
    response,
};
use http_body::SizeHint;

use super::Reading;
use crate::provider::Verdict;

/// Whether answers to this method bring content in their bodies. What follows a `CONNECT` is a tunnel.
pub(crate) fn has_content(method: &Method) -> bool {
    method != Method::HEAD && method != Method::CONNECT
}

/// How to read the body of this answer, or `None` where it passes untouched.
///
/// A body is looked at where the provider asks for it, it is JSON by its type, in plain bytes, and not declared to be
/// too large. What is said twice must be fine each time: a head that contradicts itself passes untouched.
pub(crate) fn eligible(
    has_content: bool,
    head: &response::Parts,
    body: &SizeHint,
    verdict: Verdict,
    max_bytes: u64,
) -> Option<Reading> {
    let untyped = match verdict {
        Verdict::Accepted | Verdict::Rejected => return None,
        Verdict::ReadBody => false,
        Verdict::ReadUntypedBody => true,
    };
    if !has_content
        || !is_whole(head.status)
        || is_encoded(&head.headers)
        || body.lower() > max_bytes
        || !declares_no_more_than(max_bytes, &head.headers)
    {
        return None;
    }
    reading(&head.headers, untyped)
}

/// Whether such an answer can bring a whole representation
/// ([RFC 9110, section 6.4.1](https://www.rfc-editor.org/rfc/rfc9110#section-6.4.1)).
fn is_whole(status: StatusCode) -> bool {
    !matches!(status, StatusCode::NO_CONTENT | StatusCode::PARTIAL_CONTENT | StatusCode::NOT_MODIFIED)
        && !status.is_informational()
}

fn is_encoded(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(CONTENT_ENCODING).iter().flat_map(|line| line.as_bytes().split(|&b| b == b','));
    codings.any(|coding| !matches!(coding.trim_ascii(), b"") && !coding.trim_ascii().eq_ignore_ascii_case(b"identity"))
}

/// A length that is no number may be one that is too large for us.
fn declares_no_more_than(max: u64, headers: &HeaderMap) -> bool {
    let length = |line: &HeaderValue| line.to_str().ok()?.trim().parse::<u64>().ok();
    headers.get_all(CONTENT_LENGTH).iter().all(|line| length(line).is_some_and(|length| length <= max))
}

fn reading(headers: &HeaderMap, untyped: bool) -> Option<Reading> {
    let mut types = headers.get_all(CONTENT_TYPE).iter().peekable();
    let mut reading = Reading::Any;
    if types.peek().is_none() {
        return untyped.then_some(Reading::Object);
    }
    for line in types {
        let media_type = media_type(line)?;
        if untyped && media_type.eq_ignore_ascii_case(b"text/plain") {
            reading = Reading::Object;
        } else if !is_json(media_type) {
            return None;
        }
    }
    Some(reading)
}

/// `type/subtype` without parameters, if it is exactly one
/// ([RFC 6838, section 4.2](https://www.rfc-editor.org/rfc/rfc6838#section-4.2)).
fn media_type(line: &HeaderValue) -> Option<&[u8]> {
    let media_type = line.as_bytes().split(|&byte| byte == b';').next()?.trim_ascii();
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$&-^_.+/".contains(byte);
    media_type.iter().all(allowed).then_some(media_type)
}

/// Lines of JSON, as in `application/x-ndjson` and `application/json-seq`, are not JSON, and come as a stream. So does
/// `application/stream+json`, which is the same under a suffix that promises otherwise.
fn is_json(media_type: &[u8]) -> bool {
    let suffix = media_type.last_chunk::<5>();
    media_type.eq_ignore_ascii_case(b"application/json")
        || suffix.is_some_and(|suffix| suffix.eq_ignore_ascii_case(b"+json"))
            && !media_type.eq_ignore_ascii_case(b"application/stream+json")
}

#[cfg(test)]
mod tests {
    use http::Response;

    use super::*;

    const MAX_BYTES: u64 = 64 * 1024;

    /// An answer that would be looked at, if it were not for what a test changes.
    struct Case {
        method: Method,
        status: u16,
        headers: Vec<(&'static str, &'static str)>,
        hint: SizeHint,
        verdict: Verdict,
    }

    fn case() -> Case {
        Case { method: Method::GET, status: 200, headers: vec![], hint: SizeHint::new(), verdict: Verdict::ReadBody }
    }

    impl Case {
        fn method(self, method: Method) -> Self {
            Self { method, ..self }
        }

        fn status(self, status: u16) -> Self {
            Self { status, ..self }
        }

        fn header(mut self, name: &'static str, value: &'static str) -> Self {
            self.headers.push((name, value));
            self
        }

        fn typed(self, value: &'static str) -> Self {
            self.header("content-type", value)
        }

        fn json(self) -> Self {
            self.typed("application/json")
        }

        fn hint(self, hint: SizeHint) -> Self {
            Self { hint, ..self }
        }

        fn verdict(self, verdict: Verdict) -> Self {
            Self { verdict, ..self }
        }

        fn untyped(self) -> Self {
            self.verdict(Verdict::ReadUntypedBody)
        }

        fn reading(self) -> Option<Reading> {
            let mut answer = Response::builder().status(self.status);
            for (name, value) in self.headers {
                answer = answer.header(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
            }
            let (head, ()) = answer.body(()).unwrap().into_parts();
            eligible(has_content(&self.method), &head, &self.hint, self.verdict, MAX_BYTES)
        }
    }

    #[test]
    fn a_body_is_read_only_where_the_provider_asks() {
        assert_eq!(case().json().reading(), Some(Reading::Any));
        assert_eq!(case().json().untyped().reading(), Some(Reading::Any));
        assert_eq!(case().json().verdict(Verdict::Accepted).reading(), None);
        assert_eq!(case().json().verdict(Verdict::Rejected).reading(), None);
    }

    #[test]
    fn json_is_known_by_its_type_or_suffix_in_any_case_whatever_the_parameters() {
        for media_type in [
            "application/json",
            "APPLICATION/Json",
            " application/json ; charset=\"utf-8, or so\"",
            "application/json;\u{e9}",
            "application/problem+json",
            "application/vnd.api.v2+JSON; profile=x",
        ] {
            assert_eq!(case().typed(media_type).reading(), Some(Reading::Any), "{media_type}");
        }
    }

    #[test]
    fn what_is_not_json_passes_untouched() {
        for media_type in [
            "",
            "json",
            "text/json",
            "text/html",
            "text/plain; type=application/json",
            "text/event-stream",
            "application/json-seq",
            "application/geo+json-seq",
            "application/x-ndjson",
            "application/jsonl",
            "application/stream+json",
            "application/octet-stream",
            "text/html, application/problem+json",
            "application/json, application/json",
            "application/js\u{f6}n+json",
        ] {
            assert_eq!(case().typed(media_type).reading(), None, "{media_type}");
        }
    }

    #[test]
    fn an_untyped_body_and_plain_text_are_read_only_where_the_provider_adds_them_and_only_as_objects() {
        assert_eq!(case().reading(), None);
        assert_eq!(case().untyped().reading(), Some(Reading::Object));
        assert_eq!(case().typed("text/plain").reading(), None);
        assert_eq!(case().typed("Text/Plain; charset=utf-8").untyped().reading(), Some(Reading::Object));
        assert_eq!(case().typed("").untyped().reading(), None);
        assert_eq!(case().typed("text/event-stream").untyped().reading(), None);
        assert_eq!(case().typed("text/html").untyped().reading(), None);
    }

    #[test]
    fn of_several_types_each_must_allow_the_reading() {
        assert_eq!(case().json().typed("application/problem+json").reading(), Some(Reading::Any));
        assert_eq!(case().json().typed("text/event-stream").reading(), None);
        assert_eq!(case().typed("text/html").json().reading(), None);
        assert_eq!(case().json().typed("text/plain").reading(), None);
        assert_eq!(case().json().typed("text/plain").untyped().reading(), Some(Reading::Object));
        assert_eq!(case().typed("text/plain").json().untyped().reading(), Some(Reading::Object));
    }

    #[test]
    fn an_encoded_body_passes_untouched() {
        for coding in ["gzip", "br", "identity, gzip", "x", "\u{e9}"] {
            assert_eq!(case().json().header("content-encoding", coding).reading(), None, "{coding}");
        }
        let twice = case().json().header("content-encoding", "identity").header("content-encoding", "gzip");
        assert_eq!(twice.reading(), None);
        for coding in ["", "identity", "Identity , ,identity"] {
            let plain = case().json().header("content-encoding", coding);
            assert_eq!(plain.reading(), Some(Reading::Any), "{coding}");
        }
    }

    #[test]
    fn answers_without_whole_content_pass_untouched() {
        for status in [100, 101, 103, 204, 206, 304] {
            assert_eq!(case().json().status(status).reading(), None, "{status}");
        }
        for method in [Method::HEAD, Method::CONNECT] {
            assert_eq!(case().json().method(method.clone()).reading(), None, "{method}");
        }
    }

    #[test]
    fn every_other_status_and_method_is_looked_at() {
        for status in [200, 201, 203, 302, 400, 401, 403, 404, 500] {
            assert_eq!(case().json().status(status).reading(), Some(Reading::Any), "{status}");
        }
        for method in [Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS] {
            assert_eq!(case().json().method(method.clone()).reading(), Some(Reading::Any), "{method}");
        }
    }

    #[test]
    fn a_declared_length_over_the_bound_passes_untouched() {
        for length in ["65537", "18446744073709551615", "99999999999999999999999", "x", "", "5, 5", "-1"] {
            assert_eq!(case().json().header("content-length", length).reading(), None, "{length}");
        }
        let twice = case().json().header("content-length", "5").header("content-length", "65537");
        assert_eq!(twice.reading(), None);
        for length in ["0", "65536"] {
            let within = case().json().header("content-length", length);
            assert_eq!(within.reading(), Some(Reading::Any), "{length}");
        }
    }

    #[test]
    fn a_size_hint_over_the_bound_passes_untouched() {
        assert_eq!(case().json().hint(SizeHint::with_exact(65_537)).reading(), None);
        assert_eq!(case().json().hint(SizeHint::with_exact(65_536)).reading(), Some(Reading::Any));
        let mut at_least = SizeHint::new();
        at_least.set_lower(65_537);
        assert_eq!(case().json().hint(at_least).reading(), None);
    }
}
