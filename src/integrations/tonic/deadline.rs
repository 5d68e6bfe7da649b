//! The time that a call may take, as far as the layer makes it wait.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use http::HeaderMap;

use crate::rt;

/// The deadline of a call: it runs from the first poll of its future.
pub(super) enum Deadline {
    None,
    After(Duration),
    Running(rt::Sleep),
}

impl Deadline {
    /// What `grpc-timeout` says. One that cannot be read is none, as tonic takes it.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let timeout = headers.get("grpc-timeout").and_then(|timeout| parse(timeout.as_bytes()));
        timeout.map_or(Self::None, Self::After)
    }

    pub(super) fn start(&mut self) {
        if let Self::After(timeout) = *self {
            *self = rt::sleep(timeout).map_or(Self::None, Self::Running);
        }
    }

    /// Ready when it is over.
    pub(super) fn poll_over(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match self {
            Self::Running(sleep) => Pin::new(sleep).poll(cx),
            Self::None | Self::After(_) => Poll::Pending,
        }
    }
}

/// At most eight digits and a unit
/// ([gRPC over HTTP/2](https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md), `Timeout`).
fn parse(timeout: &[u8]) -> Option<Duration> {
    let (unit, digits) = timeout.split_last()?;
    if digits.len() > 8 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let value: u64 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    match unit {
        b'H' => Some(Duration::from_secs(value * 60 * 60)),
        b'M' => Some(Duration::from_secs(value * 60)),
        b'S' => Some(Duration::from_secs(value)),
        b'm' => Some(Duration::from_millis(value)),
        b'u' => Some(Duration::from_micros(value)),
        b'n' => Some(Duration::from_nanos(value)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_is_digits_and_a_unit() {
        for (text, timeout) in [
            ("3H", Duration::from_secs(10_800)),
            ("1M", Duration::from_secs(60)),
            ("42S", Duration::from_secs(42)),
            ("13m", Duration::from_millis(13)),
            ("99999999u", Duration::from_micros(99_999_999)),
            ("0n", Duration::ZERO),
        ] {
            assert_eq!(parse(text.as_bytes()), Some(timeout), "{text}");
        }
        assert_eq!(parse(b"99999999H"), Some(Duration::from_secs(99_999_999 * 3600)));
    }

    #[test]
    fn what_is_not_is_no_timeout() {
        for text in ["", "S", "1", "1s", "123456789S", "+1S", "1.5S", " 1S", "1S "] {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
        }
    }
}
