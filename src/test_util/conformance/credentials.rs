//! How tokens travel.

use bytes::Bytes;
use http::{Request, Uri};
use percent_encoding::percent_decode;

use super::{
    grants::NOTHING_GRANTED,
    report::{Finding, Outcome, Report},
    subject::Subject,
    template::Template,
};
use crate::{provider::Provider, token::TokenSet};

pub(super) fn check<P: Provider>(subject: &Subject<'_, P>, report: &mut Report) {
    report.record("a request can carry what was granted", "C21", fits(subject));
    report.record("a request carries the access token, and no other secret of its set", "C1", carries(subject));
    report.record("a token that fits no request does no harm", "C21", misfits(subject));
}

fn fits<P: Provider>(subject: &Subject<'_, P>) -> Finding {
    let token = subject.granted().ok_or(NOTHING_GRANTED)?;
    match subject.credential(token) {
        Some(_) => Ok(()),
        None => Err(Outcome::failed("a credential", "none")),
    }
}

/// What is signed needs not show the access token: it is recognised by itself.
fn carries<P: Provider>(subject: &Subject<'_, P>) -> Finding {
    subject.granted().ok_or(NOTHING_GRANTED)?;
    subject.sets().try_for_each(|token| {
        let tokens = Template::tokens_of(token);
        let Some(request) = request(subject, token) else {
            return Err(Outcome::failed("a request with a credential", "none"));
        };
        let mut others = [&tokens.refresh, &tokens.signing].into_iter().flatten();
        if others.any(|other| *other != tokens.access && shows(&request, other)) {
            return Err(Outcome::failed("the access token alone", "a refresh token or a signing key"));
        }
        let may_hide = subject.samples.hides_access_token || is_signed(subject, token);
        if may_hide || shows(&request, &tokens.access) {
            return Ok(());
        }
        Err(Outcome::failed("the access token (or samples that say that it is hidden)", "another one, or none"))
    })
}

/// Whether the API can tell by which access token a request comes.
pub(super) fn is_told<P: Provider>(subject: &Subject<'_, P>, token: &TokenSet) -> bool {
    let shown = || Some(shows(&request(subject, token)?, &Template::access_of(token)));
    is_signed(subject, token) || shown().unwrap_or_default()
}

fn is_signed<P: Provider>(subject: &Subject<'_, P>, token: &TokenSet) -> bool {
    subject.credential(token).is_some_and(|credential| credential.is_signed())
}

/// A request for nothing that carries the credential.
fn request<P: Provider>(subject: &Subject<'_, P>, token: &TokenSet) -> Option<Request<Bytes>> {
    let credential = subject.credential(token)?;
    if credential.is_signed() {
        return subject.sign(token);
    }
    let mut request = Request::new(Bytes::new());
    *request.uri_mut() = Uri::from_static("https://api.test/");
    credential.apply(&mut request).ok()?;
    Some(request)
}

/// Whether a header or the query has this token in it.
pub(super) fn shows(request: &Request<Bytes>, token: &str) -> bool {
    let query = request.uri().query().unwrap_or_default().as_bytes();
    let places = request.headers().values().map(|value| value.as_bytes()).chain([query]);
    places.into_iter().any(|place| {
        let is_in = |text: &[u8]| text.windows(token.len().max(1)).any(|part| part == token.as_bytes());
        is_in(place) || is_in(&percent_decode(place).collect::<Vec<u8>>())
    })
}

/// A credential cannot hold a line break, so that a refusal is as good as a token that was made harmless. Signing must
/// not stumble over it either.
fn misfits<P: Provider>(subject: &Subject<'_, P>) -> Finding {
    let before = subject.panics();
    for odd in ["one\r\nx-two: 2", "nul\0nul", "na\u{ef}ve", "", " ", "\u{1f511}"] {
        let token = TokenSet::new(odd).with_refresh_token(odd).with_signing_key(odd);
        if subject.credential(&token).is_some_and(|credential| credential.is_signed()) {
            subject.sign(&token);
        }
    }
    if subject.panics() > before { Err(Outcome::failed("a credential or an error", "a panic")) } else { Ok(()) }
}
