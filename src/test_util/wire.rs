//! What the authorization server and the API read and write.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use percent_encoding::percent_decode_str;

use crate::provider::GrantKind;

/// The form of the requests and answers of one pair of servers.
pub(crate) trait Wire: Send + Sync + 'static {
    /// What a token request asks for, and the token that it spends.
    fn read(&self, request: &Request<Bytes>) -> Asked;

    /// The answer that grants token set `number`, and what is in it.
    fn grant(&self, asked: &Asked, number: u64, lifetime: Option<Duration>) -> (Response<Bytes>, Tokens);

    /// The answer to a grant that is refused.
    fn refuse(&self) -> Response<Bytes>;

    /// Whether a request to the API carries this access token.
    fn carries(&self, request: &Request<Bytes>, access: &str) -> bool;

    /// The API's answer to a request whose token it does not take.
    fn reject(&self) -> Response<Bytes>;
}

pub(crate) struct Asked {
    pub(crate) kind: GrantKind,
    /// Empty for a login.
    pub(crate) presented: String,
}

/// What the servers know of one token set.
#[derive(Clone)]
pub(crate) struct Tokens {
    pub(crate) access: String,
    /// What the next refresh must present.
    pub(crate) refresh: String,
}

/// The protocol of [`TestProvider`](super::TestProvider).
pub(super) struct Plain;

impl Wire for Plain {
    fn read(&self, request: &Request<Bytes>) -> Asked {
        match request.uri().path() {
            "/login" => Asked { kind: GrantKind::Login, presented: String::new() },
            _ => Asked { kind: GrantKind::Refresh, presented: String::from_utf8_lossy(request.body()).into_owned() },
        }
    }

    fn grant(&self, _: &Asked, number: u64, lifetime: Option<Duration>) -> (Response<Bytes>, Tokens) {
        let tokens = Tokens { access: format!("access-{number}"), refresh: format!("refresh-{number}") };
        let lifetime = lifetime.map_or("-".to_owned(), |lifetime| lifetime.as_secs().to_string());
        (Response::new(format!("{} {} {lifetime}", tokens.access, tokens.refresh).into()), tokens)
    }

    fn refuse(&self) -> Response<Bytes> {
        answer(StatusCode::BAD_REQUEST, "spent")
    }

    fn carries(&self, request: &Request<Bytes>, access: &str) -> bool {
        let is_in =
            |text: &str| text.split([' ', '=', '&', ';']).any(|word| percent_decode_str(word).eq(access.bytes()));
        let header = |name| request.headers().get(name).and_then(|value| value.to_str().ok()).is_some_and(is_in);
        header(header::AUTHORIZATION) || header(header::COOKIE) || request.uri().query().is_some_and(is_in)
    }

    fn reject(&self) -> Response<Bytes> {
        answer(StatusCode::UNAUTHORIZED, "rejected")
    }
}

pub(crate) fn answer(status: StatusCode, body: impl Into<Bytes>) -> Response<Bytes> {
    let mut answer = Response::new(body.into());
    *answer.status_mut() = status;
    answer
}
