//! What the API's answers say about the token.

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};

use super::{
    answers, json,
    report::{Finding, Outcome, Report, none},
    subject::Subject,
};
use crate::{provider::Provider, test_util::wire};

pub(super) fn check<P: Provider>(subject: &Subject<'_, P>, report: &mut Report) {
    report.record("a rejection is told from other answers", "C23", rejection(subject).map(drop));
    report.record("an answer that says nothing about the token is no rejection", "C29", silent(subject));
    report.record("no part of a body makes it panic", "C33", parts(subject));
}

/// An answer by which the API rejects.
pub(super) fn rejection<P: Provider>(subject: &Subject<'_, P>) -> Result<Response<Bytes>, Outcome> {
    if let Some(sample) = &subject.samples.rejected {
        let is_told = subject.rejects(sample).then(|| sample.clone());
        return is_told.ok_or_else(|| Outcome::failed("the sample of a rejection to be one", "Accepted"));
    }
    let mut challenge = wire::answer(StatusCode::UNAUTHORIZED, "");
    let bearer = HeaderValue::from_static("Bearer error=\"invalid_token\"");
    challenge.headers_mut().insert(header::WWW_AUTHENTICATE, bearer);
    let is_told = subject.rejects(&challenge).then_some(challenge);
    is_told.ok_or(Outcome::NotApplicable("because 401 is no rejection here, and there is no sample of one"))
}

fn silent<P: Provider>(subject: &Subject<'_, P>) -> Finding {
    let named = subject.samples.rejected.as_ref().map(Response::status);
    let empty = [200, 204, 400, 403, 404, 429, 500, 502, 503].into_iter().filter_map(|status| {
        let status = StatusCode::from_u16(status).ok()?;
        Some((format!("an empty {status}"), wire::answer(status, "")))
    });
    let pages = [200, 403, 404, 500].into_iter().filter_map(|status| {
        let status = StatusCode::from_u16(status).ok()?;
        Some((format!("a page of HTML with {status}"), answers::page(status)))
    });
    let granted = [&subject.samples.login, &subject.samples.refresh].into_iter().flatten();
    let granted = granted.map(|sample| (String::from("a granted body"), sample.clone()));
    // Where the head says it all, the body does not count.
    let judged =
        subject.samples.rejected.iter().filter(|sample| !subject.rejects(&(*sample).clone().map(|_| Bytes::new())));
    let inside = judged.filter(|sample| json::is_json(sample.body())).map(|sample| {
        let wrapped = [b"{\"zz\":", &sample.body()[..], b"}"].concat();
        (String::from("a rejection inside of another body"), sample.clone().map(|_| wrapped.into()))
    });
    let found = empty.chain(pages).chain(granted).filter(|(_, answer)| {
        // A status that the API's own rejection has may say it all.
        let is_named = named == Some(answer.status()) && !answer.status().is_success();
        !is_named && subject.rejects(answer)
    });
    let found = found.chain(inside.filter(|(_, answer)| subject.rejects(answer)));
    none("no rejection", found.map(|(what, _)| format!("Rejected by {what}")).collect())
}

fn parts<P: Provider>(subject: &Subject<'_, P>) -> Finding {
    let samples = &subject.samples;
    let before = subject.panics();
    for sample in [&samples.login, &samples.refresh, &samples.refused, &samples.rejected].into_iter().flatten() {
        let length = sample.body().len();
        for end in (0..length).step_by(1 + length / 4096) {
            let part = sample.clone().map(|mut body| {
                body.truncate(end);
                body
            });
            subject.rejects(&part);
        }
    }
    if subject.panics() > before { Err(Outcome::failed("a verdict", "a panic")) } else { Ok(()) }
}
