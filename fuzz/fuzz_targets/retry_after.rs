#![no_main]
//! `Retry-After`: seconds, an HTTP date, or nothing; and a wait within its bounds, whatever it says.

use std::time::{Duration, UNIX_EPOCH};

use http::{HeaderMap, HeaderValue, header::RETRY_AFTER};
use libfuzzer_sys::fuzz_target;
use tower_auth_refresh::fuzzing::patience;
use tower_auth_refresh_fuzz::{byte, now};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

fuzz_target!(|data: &[u8]| {
    let mut data = data;
    let usable = byte(&mut data) % 2 == 1;
    let Some(headers) = headers(data) else { return };
    let (asked, wait) = patience(&headers, now(), usable);
    assert_eq!(asked, expected(&headers));
    match asked {
        Some(asked) => assert_eq!(wait, asked.clamp(SECOND, HOUR)),
        // The first backoff, at its longest.
        None => assert_eq!(wait, SECOND),
    }

    let spaced = self::headers(&[b"\t ", data, b" "].concat()).expect("spaces belong to no value");
    assert_eq!(patience(&spaced, now(), usable), (asked, wait), "spaces decide");
    // Who asks later waits no longer.
    let (later, _) = patience(&headers, now() + SECOND, usable);
    assert_eq!(later.is_some(), asked.is_some());
    assert!(later <= asked);
    // A date far from the epoch and a clock that stands at it.
    let (_, wait) = patience(&headers, UNIX_EPOCH, usable);
    assert!((SECOND..=HOUR).contains(&wait));
});

fn headers(value: &[u8]) -> Option<HeaderMap> {
    Some([(RETRY_AFTER, HeaderValue::from_bytes(value).ok()?)].into_iter().collect())
}

/// Told by counting, digit by digit, and by a date that is written again.
fn expected(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let digits: Option<Vec<u64>> = value.chars().map(|digit| digit.to_digit(10).map(u64::from)).collect();
    match digits {
        Some(digits) if !digits.is_empty() => {
            let seconds = digits.into_iter().fold(0_u64, |sum, digit| sum.saturating_mul(10).saturating_add(digit));
            Some(Duration::from_secs(seconds))
        }
        _ => {
            let date = httpdate::parse_http_date(value).ok()?;
            assert_eq!(httpdate::parse_http_date(&httpdate::fmt_http_date(date)).ok(), Some(date));
            Some(date.duration_since(now()).unwrap_or(Duration::ZERO))
        }
    }
}
