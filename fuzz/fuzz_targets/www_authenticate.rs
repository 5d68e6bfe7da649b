#![no_main]
//! `WWW-Authenticate`: whatever it holds, a 401 either rejects the token or has an error that says otherwise.

use http::{HeaderMap, HeaderValue, Response, StatusCode, header::WWW_AUTHENTICATE};
use libfuzzer_sys::fuzz_target;
use tower_auth_refresh::provider::Verdict;

fuzz_target!(|data: &[u8]| {
    let lines: Option<Vec<_>> = data.split(|byte| *byte == b'\n').map(line).collect();
    let Some(lines) = lines else { return };
    let rejects = rejects(&lines);
    for status in [StatusCode::OK, StatusCode::FORBIDDEN, StatusCode::BAD_GATEWAY] {
        assert_eq!(verdict(status, &lines), Verdict::Accepted, "{status} rejects");
    }

    let mut whatever_comes = lines.clone();
    whatever_comes.push(HeaderValue::from_static("Bearer error=\"invalid_token\""));
    assert!(self::rejects(&whatever_comes), "a line hides the one behind it");

    if !rejects {
        let text = data.to_ascii_lowercase();
        let has = |word: &[u8]| text.windows(word.len()).any(|window| window == word);
        assert!(has(b"bearer") && has(b"error"), "acquitted by nothing");
    }

    // A challenge of another scheme says nothing, wherever it stands.
    let other = || HeaderValue::from_static("Basic realm=x, charset=\"UTF-8\"");
    let [mut before, mut behind] = [lines.clone(), lines.clone()];
    before.insert(0, other());
    behind.push(other());
    assert_eq!(self::rejects(&before), rejects, "another challenge before it decides");
    assert_eq!(self::rejects(&behind), rejects, "another challenge behind it decides");
    // Also in the same line: without quotes, which might end a quotation.
    let [mut before, mut behind] = [lines.clone(), lines.clone()];
    before[0] = joined(b"Negotiate abc==, ", before[0].as_bytes());
    let last = behind.len() - 1;
    behind[last] = joined(behind[last].as_bytes(), b", Basic realm=x");
    assert_eq!(self::rejects(&before), rejects, "another challenge before it in its line decides");
    assert_eq!(self::rejects(&behind), rejects, "another challenge behind it in its line decides");

    let swapped: Vec<_> = lines.iter().map(|line| swap_case(line.as_bytes())).collect();
    assert_eq!(self::rejects(&swapped), rejects, "the case decides");
});

fn line(bytes: &[u8]) -> Option<HeaderValue> {
    HeaderValue::from_bytes(bytes).ok()
}

fn joined(one: &[u8], other: &[u8]) -> HeaderValue {
    line(&[one, other].concat()).expect("two values are a value")
}

fn swap_case(bytes: &[u8]) -> HeaderValue {
    let swap =
        |byte: &u8| if byte.is_ascii_lowercase() { byte.to_ascii_uppercase() } else { byte.to_ascii_lowercase() };
    line(&bytes.iter().map(swap).collect::<Vec<_>>()).expect("the case of a value does not matter")
}

fn rejects(lines: &[HeaderValue]) -> bool {
    match verdict(StatusCode::UNAUTHORIZED, lines) {
        Verdict::Rejected => true,
        Verdict::Accepted => false,
        verdict => panic!("{verdict:?} by a challenge"),
    }
}

fn verdict(status: StatusCode, lines: &[HeaderValue]) -> Verdict {
    let (mut head, ()) = Response::new(()).into_parts();
    head.status = status;
    head.headers = lines.iter().map(|line| (WWW_AUTHENTICATE, line.clone())).collect::<HeaderMap>();
    Verdict::by_challenge(&head)
}
