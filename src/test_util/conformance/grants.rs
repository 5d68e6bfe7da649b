//! Which grant is asked for, and by which request.

use bytes::Bytes;
use http::Request;

use super::{
    report::{Finding, Outcome, Report, none, same},
    subject::Subject,
    template::{Template, Tokens},
};
use crate::{
    provider::{Grant, GrantKind, Provider, Reason},
    token::TokenSet,
};

use GrantKind::{Login, Refresh};
use Reason::{Due, MaybeSpent, NoToken, RefreshRefused, Rejected, SignIn};

pub(super) fn check<P: Provider>(subject: &Subject<'_, P>, report: &mut Report) {
    report.record("the samples show a grant", "C1", sampled(subject));
    report.record("without a token set it asks for a login, if it has one", "C17", first(subject));
    report.record("after a refused refresh it never refreshes again", "C17", after_refusal(subject));
    report.record("a token set that is due is refreshed, if that is possible", "C8", due(subject));
    report.record("a rejected token set is renewed in the one way or the other", "C23", rejected(subject));
    report.record("a refresh token that may be spent gives way to a login", "C51", maybe_spent(subject));
    report.record("what it asks for next, it has a request for", "C17", requestable(subject));
    report.record("a refresh presents what it renews by", "C51", presents(subject));
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
    same("NoToken:", login_if_any(subject), subject.next_grant(None, NoToken))?;
    same("SignIn without a token set:", login_if_any(subject), subject.next_grant(None, SignIn))?;
    same("SignIn:", login_if_any(subject), subject.next_grant(subject.granted(), SignIn))
}

fn after_refusal<P: Provider>(subject: &Subject<'_, P>) -> Finding {
    same("RefreshRefused:", login_if_any(subject), subject.next_grant(subject.granted(), RefreshRefused))
}

fn due<P: Provider>(subject: &Subject<'_, P>) -> Finding {
    subject.granted().ok_or(NOTHING_GRANTED)?;
    let expected = if subject.can(Refresh) { Some(Refresh) } else { Some(Login) };
    subject.sets().try_for_each(|token| same("Due:", expected, subject.next_grant(Some(token), Due)))
}

/// An API that deletes what it rejects is right to log in first.
fn rejected<P: Provider>(subject: &Subject<'_, P>) -> Finding {
    let token = subject.granted().ok_or(NOTHING_GRANTED)?;
    match subject.next_grant(Some(token), Rejected) {
        Some(kind) if subject.can(kind) => Ok(()),
        other => Err(Outcome::failed("Rejected: a grant with a sample", format!("{other:?}"))),
    }
}

fn maybe_spent<P: Provider>(subject: &Subject<'_, P>) -> Finding {
    let token = subject.granted().ok_or(NOTHING_GRANTED)?;
    let expected = login_if_any(subject).or(Some(Refresh));
    same("MaybeSpent:", expected, subject.next_grant(Some(token), MaybeSpent))
}

/// Also for a set that has no refresh token, though others of its kind do.
fn requestable<P: Provider>(subject: &Subject<'_, P>) -> Finding {
    let mut sets = vec![None];
    for set in subject.sets() {
        let bare = Tokens { refresh: None, ..Template::tokens_of(set) };
        sets.extend([Some(set.clone()), Some(bare.put_into(set))]);
    }
    let mut found = Vec::new();
    for why in [NoToken, Due, Rejected, RefreshRefused, MaybeSpent, SignIn] {
        for set in &sets {
            let Some(kind) = subject.next_grant(set.as_ref(), why) else { continue };
            let grant = match (kind, set) {
                (Login, _) => Some(Grant::Login),
                (Refresh, set) => set.as_ref().map(Grant::Refresh),
            };
            if grant.and_then(|grant| subject.request_for(subject.provider(), grant)).is_none() {
                let refresh = set.as_ref().and_then(TokenSet::refresh_token);
                let with = if refresh.is_some() { "with" } else { "without" };
                found.push(format!("none for a {kind:?} {with} a refresh token, for {why:?}"));
            }
        }
    }
    none("a request", found)
}

/// Two token sets that differ in their refresh token alone; or in everything, where there is none.
fn presents<P: Provider>(subject: &Subject<'_, P>) -> Finding {
    if !subject.can(Refresh) {
        return Err(Outcome::NotApplicable("because there is no sample of a refresh"));
    }
    let set = subject.granted().ok_or(NOTHING_GRANTED)?;
    let tokens = Template::tokens_of(set);
    let numbered = tokens.numbered(1);
    let other = if tokens.refresh.is_some() { Tokens { refresh: numbered.refresh, ..tokens } } else { numbered };
    let request = |set: &TokenSet| written(subject.request_for(subject.provider(), Grant::Refresh(set))?);
    match (request(set), request(&other.put_into(set))) {
        (Some(one), Some(other)) if one != other => Ok(()),
        (Some(_), Some(_)) => Err(Outcome::failed("another request for another refresh token", "the same")),
        _ => Err(Outcome::failed("a request", "none")),
    }
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
    let written = |provider: &P, kind| written(subject.request(provider, kind)?);
    let found = kinds(subject).filter_map(|kind| {
        let first = written(subject.provider(), kind);
        let is_same = first == written(subject.provider(), kind) && first == written(&(subject.make)(), kind);
        (!is_same).then(|| format!("another request for the second {kind:?}"))
    });
    none("the same request for the same grant, time and nonce, from each instance", found.collect())
}

/// All of a request that goes over the wire.
fn written(request: Request<Bytes>) -> Option<impl PartialEq> {
    let (head, body) = request.into_parts();
    Some((head.method, head.uri, head.version, head.headers, body))
}

fn kinds<P: Provider>(subject: &Subject<'_, P>) -> impl Iterator<Item = GrantKind> {
    [Login, Refresh].into_iter().filter(|kind| subject.can(*kind))
}

pub(super) const NOTHING_GRANTED: Outcome = Outcome::NotApplicable("because no sample grants a token set");
