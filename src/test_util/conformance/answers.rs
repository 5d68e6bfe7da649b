//! What becomes of the token endpoint's answers, the good and the odd.

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};

use super::{
    json,
    report::{Finding, Outcome, Report, none},
    subject::{Read, Subject},
    template::Template,
    times,
};
use crate::{
    provider::{GrantKind, Provider, ProviderErrorKind},
    test_util::{authorization, wire},
    token::TokenSet,
};

use GrantKind::{Login, Refresh};

/// What a token needs at least, in characters.
const SHORTEST: usize = 8;

/// Free text of the server, which nothing may print.
pub(super) const FREE_TEXT: &str = "FREE-TEXT-OF-THE-SERVER";

/// Without tokens that can be told apart nothing else can be checked.
pub(super) fn check_tokens<P: Provider>(subject: &Subject<'_, P>, report: &mut Report) {
    report.record("the samples' tokens are long enough to be told apart", "C6", told_apart(subject));
}

pub(super) fn check<P: Provider>(subject: &Subject<'_, P>, report: &mut Report) {
    report.record("the sample of a login grants a token set that has not ended", "C20", grants(subject, Login));
    report.record("the sample of a refresh grants a token set that has not ended", "C20", grants(subject, Refresh));
    report.record("another token in the answer is another token in the set", "C6", varies(subject));
    report.record("a refresh grants a refresh token of its own", "C51", rotates(subject));
    report.record("a token set ends when the samples say", "C7", times::ends(subject));
    report.record("the times of a token set depend on nothing but answer and context", "C14", times::moves(subject));
    report.record("the sample of a refusal is a refusal", "C17", refused(subject));
    let mut misread = Misread::default();
    report.record("an answer that is cut off grants nothing", "C21", cut_off(subject, &mut misread));
    report.record("an answer that is empty, a page or too large grants nothing", "C21", odd(subject, &mut misread));
    let ill_formed = ill_formed(subject, &mut misread);
    report.record("a token that is missing, of another type or there twice is not granted", "C21", ill_formed);
    let odd_times = times::odd(subject);
    report.record("a time that is negative, overflows or is no number is not granted", "C21", odd_times);
    report.record("an answer that is no success grants nothing", "C21", unsuccessful(subject, &mut misread));
    let expected = "no Refused while the token may still be good";
    report.record("only a refusal is taken for a refusal", "C51", none(expected, misread.0));
}

/// Answers that were taken for refusals, and are none.
#[derive(Default)]
struct Misread(Vec<String>);

impl Misread {
    /// The token set that an odd answer grants, if it does.
    fn read<P: Provider>(
        &mut self,
        subject: &Subject<'_, P>,
        kind: GrantKind,
        what: &str,
        answer: Response<Bytes>,
    ) -> Option<TokenSet> {
        match subject.parse(kind, answer) {
            Read::Granted(token) => Some(token),
            Read::Failed(ProviderErrorKind::Refused) => {
                self.0.push(format!("{kind:?} refused by {what}"));
                None
            }
            Read::Failed(_) | Read::Nothing => None,
        }
    }

    /// The same for many answers: those that grant.
    fn granting<'w, P: Provider>(
        &mut self,
        subject: &Subject<'_, P>,
        answers: impl Iterator<Item = (GrantKind, &'w str, Response<Bytes>)>,
    ) -> Vec<String> {
        let granting = answers.filter_map(|(kind, what, answer)| {
            self.read(subject, kind, what, answer).map(|_| format!("{kind:?} granted by {what}"))
        });
        granting.collect()
    }
}

fn grants<P: Provider>(subject: &Subject<'_, P>, kind: GrantKind) -> Finding {
    let Some(sample) = subject.sample(kind) else {
        return Err(Outcome::NotApplicable("because there is no such sample"));
    };
    match subject.parse(kind, sample.clone()) {
        Read::Granted(token) if !token.expiry().is_expired(subject.samples.at) => Ok(()),
        Read::Granted(_) => Err(Outcome::failed("an end after the samples' time", "a token set that has ended")),
        Read::Failed(kind) => Err(Outcome::failed("a token set", format!("{kind:?}"))),
        Read::Nothing => Err(Outcome::failed("a token set", "none that a request can carry")),
    }
}

fn refused<P: Provider>(subject: &Subject<'_, P>) -> Finding {
    let Some(sample) = &subject.samples.refused else {
        return Err(Outcome::NotApplicable("because there is no such sample"));
    };
    let kind = if subject.can(Refresh) { Refresh } else { Login };
    match subject.parse(kind, sample.clone()) {
        Read::Failed(ProviderErrorKind::Refused) => Ok(()),
        Read::Failed(kind) => Err(Outcome::failed("Refused", format!("{kind:?}"))),
        Read::Granted(_) | Read::Nothing => Err(Outcome::failed("Refused", "no error")),
    }
}

fn varies<P: Provider>(subject: &Subject<'_, P>) -> Finding {
    for (kind, sample, token) in granted(subject) {
        let template = Template::new(sample, token);
        let Some((answer, tokens)) = template.in_text(1) else {
            return Err(if is_constant(subject) {
                Outcome::failed("the tokens of the answer", "one token for different answers")
            } else if subject.samples.derives_tokens {
                Outcome::NotApplicable("because the samples say that tokens are derived from the answers")
            } else {
                Outcome::failed("the tokens of the answer (or samples that say that they are derived)", "others")
            });
        };
        match subject.parse(kind, answer) {
            Read::Granted(token) if Template::new(sample, &token).tokens == tokens => {}
            _ => return Err(Outcome::failed("the tokens of the answer", "others, or none")),
        }
    }
    Ok(())
}

fn is_constant<P: Provider>(subject: &Subject<'_, P>) -> bool {
    let bodies = [Login, Refresh].map(|kind| subject.sample(kind).map(Response::body));
    let tokens = [&subject.login, &subject.refresh].map(|token| token.as_ref().map(Template::access_of));
    let ([Some(one), Some(other)], [Some(first), Some(second)]) = (bodies, tokens) else { return false };
    one != other && first == second
}

/// Each of at least [`SHORTEST`] characters, and none a part of another.
fn told_apart<P: Provider>(subject: &Subject<'_, P>) -> Finding {
    let found = subject.sets().filter_map(|set| {
        let tokens = Template::tokens_of(set);
        let is_part = |token: &String| tokens.all().any(|other| other != token && other.contains(token.as_str()));
        if tokens.all().any(|token| token.chars().count() < SHORTEST) {
            return Some(String::from("a shorter one"));
        }
        tokens.all().any(is_part).then(|| String::from("one that is a part of another"))
    });
    none("tokens of at least 8 characters, none a part of another", found.collect())
}

fn rotates<P: Provider>(subject: &Subject<'_, P>) -> Finding {
    let (Some(sample), Some(token)) = (subject.sample(Refresh), &subject.refresh) else {
        return Err(Outcome::NotApplicable("because no sample of a refresh grants a token set"));
    };
    if subject.samples.keeps_refresh_token {
        return Err(Outcome::NotApplicable("because the samples say that the refresh token is kept"));
    }
    if !subject.single_use() {
        return Err(Outcome::NotApplicable("because a refresh token may be used again"));
    }
    if Template::new(sample, token).keeps_refresh {
        return Err(Outcome::failed("the refresh token of the answer", "that of the set before"));
    }
    Ok(())
}

/// A part that says as much as the whole is welcome: white space may be missing.
fn cut_off<P: Provider>(subject: &Subject<'_, P>, misread: &mut Misread) -> Finding {
    let mut found = Vec::new();
    for (kind, sample, whole) in granted(subject) {
        let length = sample.body().len();
        let granting = (0..length).step_by(1 + length / 4096).filter(|end| {
            let mut part = with_length(sample.clone());
            part.body_mut().truncate(*end);
            misread.read(subject, kind, "a cut-off answer", part).is_some_and(|token| !alike(&token, whole))
        });
        let granting = granting.count();
        if granting > 0 {
            found.push(format!("{kind:?} granted by {granting} parts of {length} bytes"));
        }
    }
    none("no token set from any part", found)
}

fn odd<P: Provider>(subject: &Subject<'_, P>, misread: &mut Misread) -> Finding {
    let answers = granted(subject).flat_map(|(kind, sample, _)| {
        let with_body = |body: Bytes| sample.clone().map(|_| body);
        [
            (kind, "an empty body", with_body(Bytes::new())),
            (kind, "204", wire::answer(StatusCode::NO_CONTENT, "")),
            (kind, "a page of HTML", page(StatusCode::OK)),
            (kind, "a page of HTML under the sample's own type", with_body(page(StatusCode::OK).into_body())),
            (kind, "1 MiB of one letter", with_body(vec![b'x'; 1 << 20].into())),
            (kind, "1 MiB of zeros", with_body(vec![0; 1 << 20].into())),
        ]
    });
    none("no token set", misread.granting(subject, answers))
}

fn ill_formed<P: Provider>(subject: &Subject<'_, P>, misread: &mut Misread) -> Finding {
    let mut answers = Vec::new();
    for (kind, sample, token) in granted(subject) {
        for token in Template::new(sample, token).required() {
            let odd = json::without(sample.body(), &token);
            answers.extend(odd.into_iter().map(|(what, body)| (kind, what, sample.clone().map(|_| body.into()))));
        }
    }
    if answers.is_empty() {
        return Err(Outcome::NotApplicable("because no sample is JSON with the token as a member"));
    }
    none("no token set", misread.granting(subject, answers.into_iter()))
}

fn unsuccessful<P: Provider>(subject: &Subject<'_, P>, misread: &mut Misread) -> Finding {
    let statuses = [302, 429, 500, 502, 503].into_iter().filter_map(|status| StatusCode::from_u16(status).ok());
    let answers = statuses.flat_map(|status| {
        granted(subject).flat_map(move |(kind, sample, _)| {
            let mut good = sample.clone();
            *good.status_mut() = status;
            let empty = wire::answer(status, "");
            [(kind, good), (kind, empty), (kind, page(status))].map(|(kind, answer)| (kind, name(status), answer))
        })
    });
    none("no token set", misread.granting(subject, answers))
}

fn name(status: StatusCode) -> &'static str {
    match status.as_u16() {
        302 => "302",
        429 => "429",
        500 => "500",
        502 => "502",
        _ => "503",
    }
}

/// The samples that grant, with what they grant.
pub(super) fn granted<'s, P: Provider>(
    subject: &'s Subject<'_, P>,
) -> impl Iterator<Item = (GrantKind, &'s Response<Bytes>, &'s TokenSet)> {
    let both = [(Login, &subject.login), (Refresh, &subject.refresh)];
    both.into_iter().filter_map(|(kind, token)| Some((kind, subject.sample(kind)?, token.as_ref()?)))
}

pub(super) fn page(status: StatusCode) -> Response<Bytes> {
    let mut page = authorization::html();
    *page.status_mut() = status;
    *page.body_mut() = format!("<!DOCTYPE html><html><body>{FREE_TEXT}</body></html>").into();
    page
}

/// Says how long the whole body is: what is cut off then is shorter.
fn with_length(mut answer: Response<Bytes>) -> Response<Bytes> {
    let length = HeaderValue::from(answer.body().len());
    answer.headers_mut().insert(header::CONTENT_LENGTH, length);
    answer
}

fn alike(one: &TokenSet, other: &TokenSet) -> bool {
    let told = |set: &TokenSet| (set.expiry(), times::of(set));
    Template::tokens_of(one) == Template::tokens_of(other) && told(one) == told(other)
}
