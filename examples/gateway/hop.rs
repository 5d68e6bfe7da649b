//! What belongs to one connection and goes no further
//! ([RFC 9110, section 7.6.1](https://www.rfc-editor.org/rfc/rfc9110#section-7.6.1)), and the trace that a proxy leaves.

use http::{
    HeaderMap, HeaderName, HeaderValue, Version,
    header::{
        CONNECTION, CONTENT_LENGTH, COOKIE, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRANSFER_ENCODING, UPGRADE,
        VIA,
    },
};

/// `Trailer` is not among them: trailers pass, and HTTP/1.1 sends no more of them than it has announced.
const HOP_BY_HOP: [HeaderName; 8] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    HeaderName::from_static("http2-settings"),
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// How the gateway calls itself: a pseudonym, since its address is nobody's business.
const VIA_HTTP_10: HeaderValue = HeaderValue::from_static("1.0 tower-auth-refresh");
const VIA_HTTP_11: HeaderValue = HeaderValue::from_static("1.1 tower-auth-refresh");
const VIA_HTTP_2: HeaderValue = HeaderValue::from_static("2 tower-auth-refresh");

/// Whether a body came in another transfer coding than `chunked`, once: that one alone is taken off on the way, and without
/// the header nobody could take off the rest.
pub(crate) fn is_coded(headers: &HeaderMap) -> bool {
    let values =
        headers.get_all(TRANSFER_ENCODING).iter().flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    let mut codings = values.map(<[u8]>::trim_ascii).filter(|coding| !coding.is_empty());
    codings.next().is_some_and(|coding| !coding.eq_ignore_ascii_case(b"chunked")) || codings.next().is_some()
}

/// Removes what is meant for this connection, and names what the message came in.
pub(crate) fn pass_on(headers: &mut HeaderMap, received: Version) {
    if headers.contains_key(CONNECTION) {
        for name in named_by_connection(headers) {
            headers.remove(name);
        }
    }
    // A length beside a transfer encoding is wrong, and whoever believes it sees another message than we do.
    if headers.contains_key(TRANSFER_ENCODING) {
        headers.remove(CONTENT_LENGTH);
    }
    for name in HOP_BY_HOP {
        headers.remove(name);
    }
    keep_te_trailers(headers);
    headers.append(VIA, via(received));
}

/// HTTP/2 may send cookies in pieces; a server behind HTTP/1.1 looks for them in one header
/// ([RFC 9113, section 8.2.3](https://www.rfc-editor.org/rfc/rfc9113#section-8.2.3)).
pub(crate) fn join_cookies(headers: &mut HeaderMap) {
    let pieces: Vec<_> = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes).collect();
    if pieces.len() < 2 {
        return;
    }
    // What is joined of values is one.
    if let Ok(mut joined) = HeaderValue::from_bytes(&pieces.join(&b"; "[..])) {
        joined.set_sensitive(headers.get_all(COOKIE).iter().any(HeaderValue::is_sensitive));
        headers.insert(COOKIE, joined);
    }
}

/// `TE` itself stays out of it: who names it there may still ask for trailers.
fn named_by_connection(headers: &HeaderMap) -> Vec<HeaderName> {
    let values = headers.get_all(CONNECTION).iter().flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    let names = values.filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok());
    names.filter(|name| *name != TE).collect()
}

/// Of what a client accepts in transfer nothing passes but trailers, without which there is no gRPC.
fn keep_te_trailers(headers: &mut HeaderMap) {
    if !headers.contains_key(TE) {
        return;
    }
    let trailers = headers.get_all(TE).iter().any(|value| {
        value.as_bytes().split(|byte| *byte == b',').any(|coding| coding.trim_ascii().eq_ignore_ascii_case(b"trailers"))
    });
    if trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
    } else {
        headers.remove(TE);
    }
}

fn via(received: Version) -> HeaderValue {
    match received {
        Version::HTTP_10 => VIA_HTTP_10,
        Version::HTTP_2 => VIA_HTTP_2,
        _ => VIA_HTTP_11,
    }
}
