//! What holds for every provider, whatever its server answers.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header, response};
use serde_json::Value;
use tower_auth_refresh::{
    provider::{Context, Grant, Provider, ProviderError, ProviderErrorKind, Reason, Verdict},
    token::{ExposeSecret, SecretString, Stored, TokenSet},
};

use crate::{byte, now, stored};

const STATUSES: [u16; 24] = [
    200, 200, 200, 200, 200, 201, 204, 206, 301, 302, 307, 400, 401, 403, 404, 408, 409, 425, 429, 500, 502, 503, 504,
    599,
];

const TYPES: [&str; 8] = [
    "application/json",
    "application/json;charset=UTF-8",
    "application/problem+json",
    "text/html; charset=utf-8",
    "text/plain",
    "*/*",
    "text/a-text-of-the-servers-own",
    "",
];

/// The only texts that an error may add to those of its own code.
const SUBJECTS: [&str; 8] = [
    "no content type",
    "another content type",
    "text/html",
    "application/xml",
    "text/xml",
    "application/xhtml+xml",
    "text/plain",
    "application/json",
];

/// The first byte picks the question, the second one the status, the third one the headers; the rest is the body.
pub fn check(provider: &dyn Provider, mut data: &[u8]) {
    let question = byte(&mut data);
    let mut answer = Response::new(Bytes::new());
    *answer.status_mut() = STATUSES
        .get(usize::from(byte(&mut data)) % STATUSES.len())
        .and_then(|status| StatusCode::from_u16(*status).ok())
        .unwrap_or_default();
    let headers = byte(&mut data);
    if let Some(media_type) = TYPES.get(usize::from(headers & 7)).filter(|media_type| !media_type.is_empty()) {
        answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    }
    if headers & 8 != 0 {
        // One line of the rest is the header that a login page would be found in.
        let end = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
        let (line, rest) = data.split_at(end);
        if let Ok(value) = HeaderValue::from_bytes(line) {
            answer.headers_mut().insert(header::LOCATION, value);
        }
        data = rest.get(1..).unwrap_or_default();
    }
    *answer.body_mut() = Bytes::copy_from_slice(data);

    let current = TokenSet::new("access-0").with_refresh_token("refresh-0").with_signing_key("key-0");
    match question % 3 {
        0 => check_parse(provider, Grant::Login, &answer),
        1 => check_parse(provider, Grant::Refresh(&current), &answer),
        _ => check_judge(provider, answer),
    }
}

fn check_parse(provider: &dyn Provider, grant: Grant<'_>, answer: &Response<Bytes>) {
    let cx = Context::new(now(), 7);
    let parse = || provider.parse(grant, answer.clone(), &cx);
    match (parse(), parse()) {
        (Ok(token), Ok(again)) => {
            assert_eq!(
                stored::parts(&Stored::new(token.clone(), 1.into())),
                stored::parts(&Stored::new(again, 1.into()))
            );
            check_granted(provider, grant, &token, answer);
        }
        (Err(error), Err(again)) => {
            assert_eq!(error, again);
            check_error(provider, &error);
        }
        _ => panic!("the same answer is read in two ways"),
    }
}

fn check_granted(provider: &dyn Provider, grant: Grant<'_>, token: &TokenSet, answer: &Response<Bytes>) {
    assert!(answer.status().is_success(), "granted by {}", answer.status());
    let answer: Value = serde_json::from_slice(without_mark(answer.body())).expect("what grants is JSON");
    let old = match grant {
        Grant::Login => None,
        Grant::Refresh(old) => old.refresh_token().map(ExposeSecret::expose_secret),
    };
    for secret in [Some(token.access_token()), token.refresh_token(), token.signing_key()].into_iter().flatten() {
        let secret = secret.expose_secret();
        assert!(!secret.is_empty() && secret.len() <= 16 * 1024 && !secret.chars().any(char::is_control));
        assert!(holds(&answer, secret) || old == Some(secret), "a secret that is not in the answer");
    }
    let times = [token.issued_at(), token.expiry().time(), token.refresh_at(), token.refresh_expires_at()];
    assert!(times.into_iter().flatten().all(|time| (UNIX_EPOCH..=year_9999()).contains(&time)));

    check_shown(token);
    match provider.credential(token) {
        Ok(credential) => {
            let stand_in = TokenSet::new("stand-in").with_signing_key("stand-in");
            let like = provider.credential(&stand_in).expect("a plain token has a credential");
            assert_eq!(format!("{credential:?}"), format!("{like:?}"), "what is shown depends on the token");
        }
        Err(error) => check_error(provider, &error),
    }
    for why in [Reason::Due, Reason::Rejected, Reason::MaybeSpent, Reason::NoToken] {
        let _ = provider.next_grant(Some(token), why, now());
    }
    match provider.request(Grant::Refresh(token), &Context::new(now(), 7)) {
        Ok(request) => {
            let origin = provider.origin().and_then(|origin| origin.authority());
            assert_eq!(request.uri().authority(), origin, "the refresh goes to another host");
        }
        Err(error) => check_error(provider, &error),
    }
    // What a provider grants a store can keep, but for a vendor's field that no reader would get to the end of.
    match Stored::new(token.clone(), 1.into()).to_json() {
        Ok(json) => stored::assert_writes_back(&Stored::from_json(json.expose_secret().as_bytes()).expect("reads")),
        Err(error) => assert_eq!(error.field(), Some("extra")),
    }
}

/// `Debug` is the same for any other secrets.
fn check_shown(token: &TokenSet) {
    let mut other = TokenSet::new("other").with_expiry(token.expiry());
    if token.refresh_token().is_some() {
        other = other.with_refresh_token("other");
    }
    if token.signing_key().is_some() {
        other = other.with_signing_key("other");
    }
    let with = |set: TokenSet, time: Option<SystemTime>, f: fn(TokenSet, SystemTime) -> TokenSet| match time {
        Some(time) => f(set, time),
        None => set,
    };
    other = with(other, token.issued_at(), TokenSet::with_issued_at);
    other = with(other, token.refresh_at(), TokenSet::with_refresh_at);
    other = with(other, token.refresh_expires_at(), TokenSet::with_refresh_expires_at);
    for name in token.extra().keys() {
        other = other.with_extra(name, Value::Null);
    }
    assert_eq!(format!("{token:?}"), format!("{other:?}"));
}

/// An error is made of fixed texts, a code, and a subject out of a list: nothing else of an answer fits in.
fn check_error(provider: &dyn Provider, error: &ProviderError) {
    assert_eq!(error.provider(), provider.name());
    assert!(error.subject().is_none_or(|subject| SUBJECTS.contains(&subject)), "a subject of the server's");
    assert_eq!(error.field().is_some(), error.kind() == ProviderErrorKind::Malformed);
    let field = error.field().map(|field| format!("{field}: ")).unwrap_or_default();
    let subject = error.subject().map(|subject| format!(": {subject}")).unwrap_or_default();
    let code = error.code().map(|code| format!(" (code {code})")).unwrap_or_default();
    assert_eq!(error.to_string(), format!("{}: {field}{}{subject}{code}", error.provider(), error.reason()));
    assert_eq!(format!("{error:?}"), format!("ProviderError({:?}, \"{error}\")", error.kind()));
}

fn check_judge(provider: &dyn Provider, answer: Response<Bytes>) {
    let (head, body) = answer.into_parts();
    let verdict = provider.judge(&head);
    assert_eq!(verdict, provider.judge(&head));
    if head.status == StatusCode::UNAUTHORIZED && matches!(verdict, Verdict::Accepted) {
        assert_eq!(provider.name(), "fashion-world", "a 401 without a challenge rejects");
    }
    let rejects = rejects(provider, &head, &body);
    if !rejects {
        return;
    }
    // Only a whole object rejects, in which no name stands twice.
    let Ok(Value::Object(members)) = serde_json::from_slice(without_mark(&body)) else { panic!("no object rejects") };
    let text = without_mark(&body).trim_ascii();
    assert!(!self::rejects(provider, &head, &text[..text.len() - 1]), "half an object rejects");
    assert!(self::rejects(provider, &head, &[b" \n", text, b"\r\t"].concat()), "white space decides");
    if !members.keys().any(|name| name.eq_ignore_ascii_case("zz")) {
        let more = [br#"{"zz":{"code":200,"state":200,"Result":200},"#, &text[1..]].concat();
        assert!(self::rejects(provider, &head, &more), "an unrelated member decides");
    }
    for name in members.keys() {
        let name = serde_json::to_vec(name).expect("a string can be written");
        let twice = [b"{", &name[..], b":0,", &text[1..]].concat();
        assert!(!self::rejects(provider, &head, &twice), "a member that stands twice is believed");
    }
}

fn rejects(provider: &dyn Provider, head: &response::Parts, body: &[u8]) -> bool {
    let rejects = provider.judge_body(head, body);
    assert_eq!(rejects, provider.judge_body(head, body));
    rejects
}

/// Whether a string in `value` is `text`.
fn holds(value: &Value, text: &str) -> bool {
    match value {
        Value::String(string) => string == text,
        Value::Array(items) => items.iter().any(|item| holds(item, text)),
        Value::Object(members) => members.values().any(|member| holds(member, text)),
        _ => false,
    }
}

fn without_mark(body: &[u8]) -> &[u8] {
    body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body)
}

fn year_9999() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(253_402_300_799)
}

/// A password, an app's secret and the like: no answer may show them, and no target sends them anywhere.
pub fn secret() -> SecretString {
    SecretString::from("not-a-real-secret")
}
