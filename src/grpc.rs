//! How a gRPC call says that its token was refused: pure.
//!
//! [gRPC over HTTP/2](https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md): a call ends with a status, in the
//! trailers, or in the head where there is nothing else to say ("Trailers-Only").

use http::{HeaderMap, HeaderName, header::CONTENT_TYPE, response};

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

/// Whether the status says that the token was refused: in the head or in the trailers.
pub(crate) fn rejects(headers: &HeaderMap) -> bool {
    headers.get(STATUS).is_some_and(|status| status.as_bytes() == UNAUTHENTICATED)
}

/// Whether this is the head of a call whose status is yet to come, in the trailers.
pub(crate) fn is_open(head: &response::Parts) -> bool {
    let is_grpc =
        head.headers.get(CONTENT_TYPE).is_some_and(|media_type| media_type.as_bytes().starts_with(b"application/grpc"));
    is_grpc && head.status.is_success() && !head.headers.contains_key(STATUS)
}
