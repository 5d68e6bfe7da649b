#![no_main]
//! The stored form of a token set: as other programs may have written it, and as this one writes it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use tower_auth_refresh::token::{Expiry, ExposeSecret, FencingToken, Stored, StoredError, TokenSet};
use tower_auth_refresh_fuzz::{byte, stored};

const MEMBERS: [&str; 17] = [
    "version",
    "generation",
    "access_token",
    "refresh_token",
    "signing_key",
    "issued_at_ms",
    "expires_at_ms",
    "refresh_at_ms",
    "refresh_expires_at_ms",
    "fence",
    "revision",
    "changed_under",
    "spending_ms",
    "refresh_refused_ms",
    "signed_out_ms",
    "login_refused",
    "extra",
];

const REASONS: [&str; 12] = [
    "is missing",
    "is not known",
    "stands twice",
    "is empty or not a string",
    "is not a whole number",
    "is not a time in whole milliseconds since 1970",
    "is neither \"never\" nor a time in whole milliseconds since 1970",
    "is not a key and a hash of 64 hexadecimal digits each",
    "stands beside a token",
    "stands without a token",
    "is not an object, repeats a member or is nested too deeply",
    "is nested too deeply",
];

// What begins like JSON is read; anything else says what to write.
fuzz_target!(|data: &[u8]| match data.trim_ascii_start().first() {
    Some(b'{' | b'[' | b'"' | 0xEF) => check_read(data),
    _ => check_written(data),
});

fn check_read(json: &[u8]) {
    match Stored::from_json(json) {
        Ok(stored) => {
            // Another reader sees the same, and nothing else is there.
            let json = json.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(json);
            let other: Value = serde_json::from_slice(json).expect("what reads is JSON");
            let members = other.as_object().expect("what reads is an object");
            assert!(members.keys().all(|name| MEMBERS.contains(&&**name)), "a member was passed over");
            assert_eq!(other["version"].as_u64(), Some(1));
            assert_eq!(other["fence"].as_u64().map(FencingToken::from), stored.fence);
            assert_eq!(other["signed_out_ms"].as_u64().map(milliseconds), stored.signed_out_since);
            let token = stored.token.as_ref();
            let access_token = token.map(|token| token.access_token().expose_secret());
            assert_eq!(other["access_token"].as_str(), access_token);
            assert_ne!(access_token, Some(""));
            assert_eq!(
                other["expires_at_ms"].as_u64().map(milliseconds),
                token.and_then(|token| token.expiry().time())
            );
            // There is a token, or a reason why there is none.
            let is_signed_out = stored.signed_out_since.is_some();
            assert!(if token.is_some() { !is_signed_out } else { is_signed_out || stored.login_refused.is_some() });
            stored::assert_writes_back(&stored);
        }
        Err(error) => check_error(&error),
    }
}

/// What an error shows is one of our own names, a short plain one, or a version; the rest of it is fixed.
fn check_error(error: &StoredError) {
    let shown = error.to_string();
    let told = shown.strip_prefix("stored token set: ").expect("it says what it is about");
    match (error.version(), error.field()) {
        (Some(version), None) => {
            assert_ne!(version, 1);
            assert_eq!(told, format!("version {version} is not known"));
        }
        (None, Some(name)) => {
            let is_plain = name.bytes().all(|byte| byte.is_ascii_lowercase() || b"_-".contains(&byte));
            assert!(name == "a member" || (is_plain && matches!(name.len(), 1..=32)), "{name}");
            let reason = told.strip_prefix(name).expect("it names the member");
            assert!(REASONS.contains(&reason.trim_start()), "{shown}");
        }
        (None, None) => assert!(["is cut short", "is not JSON", "is not a JSON object"].contains(&told), "{shown}"),
        (Some(_), Some(_)) => panic!("{shown}"),
    }
}

/// Any token set, or a tombstone: times with their nanoseconds, on both sides of the epoch, and texts of any characters.
fn check_written(mut data: &[u8]) {
    let which = u16::from_be_bytes([byte(&mut data), byte(&mut data)]);
    let has = |bit: u32| which & (1 << bit) != 0;
    let mut number = || u64::from_be_bytes(std::array::from_fn(|_| byte(&mut data)));
    let generation = number().into();
    let mut time = |bit: u32| -> Option<SystemTime> {
        let (offset, nanos) = (number() >> (number() % 64), number() % 1_000_000_000);
        let offset = Duration::new(offset, u32::try_from(nanos).unwrap_or_default());
        let time = if has(bit + 8) { UNIX_EPOCH.checked_sub(offset) } else { UNIX_EPOCH.checked_add(offset) };
        time.filter(|_| has(bit))
    };
    let times = [time(0), time(1), time(2), time(3), time(4), time(6), time(7)];
    let fence = has(13).then(|| number().into());
    let mut texts = data.split(|byte| *byte == 0).map(String::from_utf8_lossy).map(String::from);
    let mut token = TokenSet::new(texts.next().unwrap_or_default());
    let with = |set: TokenSet, time: Option<SystemTime>, f: fn(TokenSet, SystemTime) -> TokenSet| match time {
        Some(time) => f(set, time),
        None => set,
    };
    token = with(token, times[0], TokenSet::with_issued_at);
    token = with(token, times[1], |set, time| set.with_expiry(Expiry::At(time)));
    token = with(token, times[2], TokenSet::with_refresh_at);
    token = with(token, times[3], TokenSet::with_refresh_expires_at);
    if has(5) {
        token = token.with_expiry(Expiry::Never);
    }
    if let Some(text) = texts.next() {
        token = token.with_refresh_token(text);
    }
    if let Some(text) = texts.next() {
        token = token.with_signing_key(text);
    }
    for text in texts {
        let value = serde_json::from_str(&text).unwrap_or(Value::from(&*text));
        token = token.with_extra(text, value);
    }
    let mut set = match times[6] {
        Some(since) => Stored::signed_out(generation, since),
        None => Stored::new(token, generation),
    };
    (set.fence, set.revision, set.changed_under) = (fence, which.into(), fence.filter(|_| has(14)));
    if set.token.is_some() {
        (set.spending_since, set.refresh_refused_since) = (times[4], times[5]);
    }
    check_rounded(&set);
}

fn check_rounded(set: &Stored) {
    let json = match set.to_json() {
        Ok(json) => json,
        Err(error) => {
            let is_empty = secrets(set).into_iter().flatten().any(|secret| secret.is_empty());
            assert!(is_empty || error.field() == Some("extra"), "{error}");
            return;
        }
    };
    let read = Stored::from_json(json.expose_secret().as_bytes()).expect("what was written can be read");
    assert_eq!(read.to_json().expect("as the first time").expose_secret(), json.expose_secret());
    assert_eq!((read.version(), secrets(&read)), (set.version(), secrets(set)));
    assert_eq!(read.token.as_ref().map(TokenSet::extra), set.token.as_ref().map(TokenSet::extra));
    for (before, after) in times(set).into_iter().zip(times(&read)) {
        assert_eq!(before.is_some(), after.is_some());
        let (Some(before), Some(after)) = (before, after) else { continue };
        assert!(after <= before.max(UNIX_EPOCH), "a time grew");
        if (UNIX_EPOCH..milliseconds(253_402_300_800_000)).contains(&before) {
            assert!(before.duration_since(after).is_ok_and(|lost| lost < Duration::from_millis(1)));
        }
    }
}

fn secrets(set: &Stored) -> [Option<&str>; 3] {
    let token = set.token.as_ref();
    [
        token.map(|token| token.access_token()),
        token.and_then(|token| token.refresh_token()),
        token.and_then(|token| token.signing_key()),
    ]
    .map(|secret| secret.map(|secret| secret.expose_secret()))
}

fn times(set: &Stored) -> [Option<SystemTime>; 7] {
    let token = set.token.as_ref();
    [
        token.and_then(TokenSet::issued_at),
        token.and_then(|token| token.expiry().time()),
        token.and_then(TokenSet::refresh_at),
        token.and_then(TokenSet::refresh_expires_at),
        set.spending_since,
        set.refresh_refused_since,
        set.signed_out_since,
    ]
}

fn milliseconds(count: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(count)
}
