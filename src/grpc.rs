//! How a gRPC call says that its token was refused: pure.
//!
//! [gRPC over HTTP/2](https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md): a call ends with a status, in the
//! trailers, or in the head where there is nothing else to say ("Trailers-Only").

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header::CONTENT_TYPE, response};
use http_body::SizeHint;

use crate::challenge;

const STATUS: HeaderName = HeaderName::from_static("grpc-status");

/// `UNAUTHENTICATED` ([status codes](https://grpc.io/docs/guides/status-codes/)).
const UNAUTHENTICATED: &[u8] = b"16";

/// How the answers to a request are judged, beyond what the provider says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Judging {
    /// As HTTP.
    Http,
    /// As gRPC: by the head alone.
    Head,
    /// As gRPC, and of a unary call: by the trailers, too.
    Unary,
}

/// Whether `path` is that of a method with one of these names, which are taken with and without the first slash. An
/// origin may have put a path of its own before it; so a name without a service would be that of many methods, and is none.
pub(crate) fn is_named(path: &str, methods: &[Box<str>]) -> bool {
    let is =
        |method: &str| method.contains('/') && path.strip_suffix(method).is_some_and(|origin| origin.ends_with('/'));
    methods.iter().any(|method| is(method.trim_start_matches('/')))
}

/// Whether a head says that the token was refused: by 401, as a proxy in front of the server does, or as the server does.
pub(crate) fn rejects(head: &response::Parts) -> bool {
    challenge::rejects(head) || is_unauthenticated(&head.headers)
}

/// Whether the status says that the token was refused, in the head or in the trailers.
///
/// A status that is there twice must say so twice: a call that may have been carried out is not repeated. Like a 401 it
/// is acquitted by a challenge that names what another token would not cure.
pub(crate) fn is_unauthenticated(headers: &HeaderMap) -> bool {
    let mut statuses = headers.get_all(STATUS).iter().peekable();
    statuses.peek().is_some()
        && statuses.all(|status| number(status) == Some(UNAUTHENTICATED))
        && !challenge::acquits(headers)
}

/// The digits of a status without what they may be padded with.
fn number(status: &HeaderValue) -> Option<&[u8]> {
    let digits = status.as_bytes().trim_ascii();
    digits.get(digits.iter().take_while(|&&digit| digit == b'0').count()..)
}

/// Whether this is the head of a call whose status is yet to come, in trailers behind no more than `max_bytes`.
pub(crate) fn is_open(head: &response::Parts, body: &SizeHint, max_bytes: u64) -> bool {
    let mut types = head.headers.get_all(CONTENT_TYPE).iter().peekable();
    head.status == StatusCode::OK
        && !head.headers.contains_key(STATUS)
        && types.peek().is_some()
        && types.all(is_grpc)
        && body.lower() <= max_bytes
}

/// `application/grpc`, with or without a subtype and parameters. Not `application/grpc-web`, whose status is in the body.
fn is_grpc(media_type: &HeaderValue) -> bool {
    let media_type = media_type.as_bytes().trim_ascii();
    let Some((name, rest)) = media_type.split_at_checked(b"application/grpc".len()) else { return false };
    name.eq_ignore_ascii_case(b"application/grpc") && matches!(rest.first(), None | Some(b'+' | b';' | b' ' | b'\t'))
}

#[cfg(test)]
mod tests {
    use http::Response;

    use super::*;

    const MAX_BYTES: u64 = 64 * 1024;

    fn head(status: u16, headers: &[(&str, &'static str)]) -> response::Parts {
        let mut answer = Response::builder().status(status);
        for &(name, value) in headers {
            answer = answer.header(name, HeaderValue::from_static(value));
        }
        answer.body(()).unwrap().into_parts().0
    }

    fn open(status: u16, headers: &[(&str, &'static str)]) -> bool {
        is_open(&head(status, headers), &SizeHint::new(), MAX_BYTES)
    }

    fn named(path: &str, method: &str) -> bool {
        is_named(path, &["/a.B/Other".into(), method.into()])
    }

    #[test]
    fn status_16_rejects_whatever_the_head_says_beside_it() {
        assert!(rejects(&head(200, &[("content-type", "application/grpc"), ("grpc-status", "16")])));
        assert!(rejects(&head(200, &[("grpc-status", "16"), ("grpc-message", "expired")])));
        assert!(rejects(&head(503, &[("grpc-status", "16")])));
    }

    #[test]
    fn a_proxy_rejects_by_401_whatever_status_it_adds() {
        assert!(rejects(&head(401, &[("content-type", "text/html")])));
        assert!(rejects(&head(401, &[("content-type", "application/grpc"), ("grpc-status", "2")])));
        for status in [200, 302, 403, 407, 500, 502, 503] {
            assert!(!rejects(&head(status, &[("content-type", "text/html")])), "{status}");
        }
    }

    #[test]
    fn no_other_status_rejects() {
        for status in ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13", "14", "15", "17"] {
            assert!(!rejects(&head(200, &[("grpc-status", status)])), "{status}");
        }
        for status in ["", "160", "1 6", "116", "16x", "-16", "+16", "16, 16", "UNAUTHENTICATED", "0x16"] {
            assert!(!rejects(&head(200, &[("grpc-status", status)])), "{status}");
        }
    }

    #[test]
    fn a_padded_16_is_16() {
        for status in [" 16", "16 ", "\t16", "016", " 0016 "] {
            assert!(rejects(&head(200, &[("grpc-status", status)])), "{status:?}");
        }
    }

    #[test]
    fn of_several_statuses_each_must_say_so() {
        assert!(rejects(&head(200, &[("grpc-status", "16"), ("grpc-status", "16")])));
        assert!(!rejects(&head(200, &[("grpc-status", "16"), ("grpc-status", "0")])));
        assert!(!rejects(&head(200, &[("grpc-status", "0"), ("grpc-status", "16")])));
    }

    #[test]
    fn a_challenge_that_another_token_would_not_cure_acquits_the_token() {
        let scope = ("www-authenticate", "Bearer error=\"insufficient_scope\"");
        assert!(!rejects(&head(401, &[scope])));
        assert!(!rejects(&head(200, &[scope, ("grpc-status", "16")])));
        let token = ("www-authenticate", "Bearer error=\"invalid_token\"");
        assert!(rejects(&head(401, &[token])));
        assert!(rejects(&head(200, &[token, ("grpc-status", "16")])));
    }

    #[test]
    fn a_status_is_yet_to_come_behind_any_head_of_grpc() {
        for media_type in
            ["application/grpc", "application/grpc+proto", "application/grpc; charset=utf-8", " Application/GRPC "]
        {
            assert!(open(200, &[("content-type", media_type)]), "{media_type}");
        }
    }

    #[test]
    fn no_status_is_waited_for_behind_what_is_not_grpc() {
        for media_type in ["", "text/html", "application/json", "application/grp", "application/grpcs"] {
            assert!(!open(200, &[("content-type", media_type)]), "{media_type}");
        }
        for media_type in ["application/grpc-web", "application/grpc-web-text+proto"] {
            assert!(!open(200, &[("content-type", media_type)]), "{media_type}");
        }
        assert!(!open(200, &[]));
        assert!(!open(200, &[("content-type", "application/grpc"), ("content-type", "text/html")]));
        assert!(!open(200, &[("content-type", "text/html"), ("content-type", "application/grpc")]));
    }

    #[test]
    fn no_status_is_waited_for_behind_one_that_is_there() {
        for status in ["0", "7", "16", "odd"] {
            assert!(!open(200, &[("content-type", "application/grpc"), ("grpc-status", status)]), "{status}");
        }
    }

    #[test]
    fn no_status_is_waited_for_behind_a_head_that_is_not_200() {
        for status in [201, 204, 400, 404, 500, 503] {
            assert!(!open(status, &[("content-type", "application/grpc")]), "{status}");
        }
    }

    #[test]
    fn no_status_is_waited_for_behind_more_than_is_read() {
        let head = head(200, &[("content-type", "application/grpc")]);
        assert!(is_open(&head, &SizeHint::with_exact(MAX_BYTES), MAX_BYTES));
        assert!(!is_open(&head, &SizeHint::with_exact(MAX_BYTES + 1), MAX_BYTES));
    }

    #[test]
    fn a_method_is_named_with_or_without_its_slash_and_behind_the_path_of_an_origin() {
        assert!(named("/a.B/Get", "/a.B/Get"));
        assert!(named("/a.B/Get", "a.B/Get"));
        assert!(named("/behind/a/proxy/a.B/Get", "/a.B/Get"));
    }

    #[test]
    fn a_method_is_named_whole_and_as_it_is_written() {
        for method in ["", "/", "Get", "/Get", "/a.B", "/B/Get", "/a.B/get", "/a.B/GetAll", "/a.B/Get/", "/x/a.B/Get"] {
            assert!(!named("/a.B/Get", method), "{method}");
        }
    }
}
