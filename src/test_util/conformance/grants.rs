//! Which grant is asked for, and by which request.

use super::{
    report::{Finding, Outcome, Report, none, same},
    subject::Subject,
};
use crate::provider::{GrantKind, Provider, Reason};

use GrantKind::{Login, Refresh};

pub(super) fn check<P: Provider>(subject: &Subject<'_, P>, report: &mut Report) {
    report.record("the samples show a grant", "C1", sampled(subject));
    report.record("without a token set it asks for a login, if it has one", "C17", first(subject));
    report.record("after a refused refresh it never refreshes again", "C17", after_refusal(subject));
    report.record("a token set that is due is refreshed, if that is possible", "C8", due(subject));
    report.record("a rejected token set is renewed in the one way or the other", "C23", rejected(subject));
    report.record("a refresh token that may be spent gives way to a login", "C51", maybe_spent(subject));
    report.record("a token request goes to an absolute https URI", "C45", absolute(subject));
    report.record("a token request depends on nothing but grant and context", "C14", deterministic(subject));
}

/// Without one nothing else is checked.
fn sampled<P: Provider>(subject: &Subject<'_, P>) -> Finding {
    none("a login or a refresh", if kinds(subject).count() > 0 { Vec::new() } else { vec![String::from("neither")] })
}

fn login_if_any<P: Provider>(subject: &Subject<'_, P>) -> Option<GrantKind> {
    subject.can(Login).then_some(Login)
}

fn first<P: Provider>(subject: &Subject<'_, P>) -> Finding {
    same("NoToken:", login_if_any(subject), subject.next_grant(None, Reason::NoToken))?;
    same("SignIn without a token set:", login_if_any(subject), subject.next_grant(None, Reason::SignIn))?;
    same("SignIn:", login_if_any(subject), subject.next_grant(subject.granted(), Reason::SignIn))
}

fn after_refusal<P: Provider>(subject: &Subject<'_, P>) -> Finding {
    same("RefreshRefused:", login_if_any(subject), subject.next_grant(subject.granted(), Reason::RefreshRefused))
}

fn due<P: Provider>(subject: &Subject<'_, P>) -> Finding {
    let token = subject.granted().ok_or(NOTHING_GRANTED)?;
    let expected = if subject.can(Refresh) { Some(Refresh) } else { Some(Login) };
    same("Due:", expected, subject.next_grant(Some(token), Reason::Due))
}

/// An API that deletes what it rejects is right to log in first.
fn rejected<P: Provider>(subject: &Subject<'_, P>) -> Finding {
    let token = subject.granted().ok_or(NOTHING_GRANTED)?;
    match subject.next_grant(Some(token), Reason::Rejected) {
        Some(kind) if subject.can(kind) => Ok(()),
        other => Err(Outcome::failed("Rejected: a grant with a sample", format!("{other:?}"))),
    }
}

fn maybe_spent<P: Provider>(subject: &Subject<'_, P>) -> Finding {
    let token = subject.granted().ok_or(NOTHING_GRANTED)?;
    let expected = login_if_any(subject).or(Some(Refresh));
    same("MaybeSpent:", expected, subject.next_grant(Some(token), Reason::MaybeSpent))
}

fn absolute<P: Provider>(subject: &Subject<'_, P>) -> Finding {
    let found = kinds(subject).filter_map(|kind| {
        let Some(request) = subject.request(subject.provider(), kind) else {
            return Some(format!("no request for a {kind:?}"));
        };
        let uri = request.uri();
        let scheme = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => subject.samples.allow_http,
            _ => false,
        };
        (!scheme || uri.host().is_none_or(str::is_empty)).then(|| format!("another URI for a {kind:?}"))
    });
    none("https (or http where the samples allow it), and a host", found.collect())
}

fn deterministic<P: Provider>(subject: &Subject<'_, P>) -> Finding {
    let written = |provider: &P, kind| {
        let request = subject.request(provider, kind)?;
        Some((
            request.method().clone(),
            request.uri().clone(),
            request.version(),
            request.headers().clone(),
            request.body().clone(),
        ))
    };
    let found = kinds(subject).filter_map(|kind| {
        let first = written(subject.provider(), kind);
        let is_same = first == written(subject.provider(), kind) && first == written(&(subject.make)(), kind);
        (!is_same).then(|| format!("another request for the second {kind:?}"))
    });
    none("the same request for the same grant, time and nonce, from each instance", found.collect())
}

fn kinds<P: Provider>(subject: &Subject<'_, P>) -> impl Iterator<Item = GrantKind> {
    [Login, Refresh].into_iter().filter(|kind| subject.can(*kind))
}

pub(super) const NOTHING_GRANTED: Outcome = Outcome::NotApplicable("because no sample grants a token set");
