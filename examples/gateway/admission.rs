//! Who may call. The listener acts with somebody's rights, and every web page in a browser on this machine can reach it:
//! what a browser sends across sites is refused, and so is a name that does not belong to the listener, by which a page
//! would rebind its own name to this address.

use std::net::SocketAddr;

use http::{
    HeaderMap, HeaderName, StatusCode,
    header::{HOST, HeaderValue},
    request::Parts,
};

use super::answer::Answer;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

const CROSS_SITE: Answer =
    Answer::new(StatusCode::FORBIDDEN, "cross-site", "a page of another site may not call this gateway");
const NOT_ALLOWED: Answer = Answer::new(
    StatusCode::FORBIDDEN,
    "host-not-allowed",
    "this gateway is called by its address, by localhost, or by a name in hosts",
);
const BAD_HOST: Answer = Answer::bad_request("bad-host", "a request names its host, once and in one way");

/// The names under which the gateway may be called.
#[derive(Debug)]
pub(crate) struct Admission {
    /// In lower case, with a port where one is needed.
    names: Vec<String>,
}

impl Admission {
    /// `hosts` are in lower case; one without a port stands for itself with the listener's port, too.
    pub(crate) fn new(listener: SocketAddr, hosts: &[String]) -> Self {
        let port = listener.port();
        let mut names = vec![listener.to_string()];
        if port == 80 {
            names.extend(listener.to_string().strip_suffix(":80").map(str::to_owned));
        }
        for host in hosts.iter().map(String::as_str).chain(["localhost"]) {
            names.push(host.to_owned());
            names.push(format!("{host}:{port}"));
        }
        Self { names }
    }

    /// Refuses what comes from another site, and what calls the gateway by a name that is not its own: in `Host`, or in
    /// the request's target, where HTTP/2 has it.
    pub(crate) fn check(&self, request: &Parts) -> Result<(), Answer> {
        if is_cross_site(&request.headers) {
            return Err(CROSS_SITE);
        }
        let target = request.uri.authority().map(|authority| authority.as_str().as_bytes());
        let hosts: Vec<_> = request.headers.get_all(HOST).iter().map(HeaderValue::as_bytes).collect();
        let named = || target.iter().chain(&hosts);
        if !named().all(|name| self.has(name)) {
            return Err(NOT_ALLOWED);
        }
        match named().next() {
            Some(first) if hosts.len() < 2 && named().all(|name| name.eq_ignore_ascii_case(first)) => Ok(()),
            _ => Err(BAD_HOST),
        }
    }

    fn has(&self, name: &[u8]) -> bool {
        self.names.iter().any(|known| name.eq_ignore_ascii_case(known.as_bytes()))
    }
}

/// Whether any of the values says so: who sends several is not to be trusted with any of them.
fn is_cross_site(headers: &HeaderMap) -> bool {
    headers.get_all(SEC_FETCH_SITE).iter().any(|value| {
        let values = value.as_bytes().split(|byte| b",; \t".contains(byte));
        values.into_iter().any(|value| value.eq_ignore_ascii_case(b"cross-site"))
    })
}
