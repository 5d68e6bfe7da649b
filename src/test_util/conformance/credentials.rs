//! How tokens travel.

use super::{
    grants::NOTHING_GRANTED,
    report::{Finding, Outcome, Report},
    subject::Subject,
};
use crate::{provider::Provider, token::TokenSet};

pub(super) fn check<P: Provider>(subject: &Subject<'_, P>, report: &mut Report) {
    report.record("a request can carry what was granted", "C21", fits(subject));
    report.record("a token that fits no request does no harm", "C21", misfits(subject));
}

fn fits<P: Provider>(subject: &Subject<'_, P>) -> Finding {
    let token = subject.granted().ok_or(NOTHING_GRANTED)?;
    match subject.credential(token) {
        Some(_) => Ok(()),
        None => Err(Outcome::failed("a credential", "none")),
    }
}

/// A credential cannot hold a line break, so that a refusal is as good as a token that was made harmless. Signing must
/// not stumble over it either.
fn misfits<P: Provider>(subject: &Subject<'_, P>) -> Finding {
    let before = subject.panicked().len();
    for odd in ["one\r\nx-two: 2", "nul\0nul", "na\u{ef}ve", "", " ", "\u{1f511}"] {
        let token = TokenSet::new(odd).with_refresh_token(odd).with_signing_key(odd);
        if subject.credential(&token).is_some_and(|credential| credential.is_signed()) {
            subject.sign(&token);
        }
    }
    if subject.panicked().len() > before { Err(Outcome::failed("a credential or an error", "a panic")) } else { Ok(()) }
}
