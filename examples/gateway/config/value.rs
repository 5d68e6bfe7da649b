//! The values of the configuration: each reader takes one kind, and says in its own words what it wants.

use std::{env, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use http::{Uri, uri::Scheme};
use secrecy::{ExposeSecret, SecretString, zeroize::Zeroizing};
use toml::Value;

use super::bad::Reason;

pub(super) fn text(value: Value) -> Result<String, Reason> {
    match value {
        Value::String(text) if !text.is_empty() => Ok(text),
        Value::String(_) => Err("must not be empty".into()),
        _ => Err("must be a string".into()),
    }
}

/// A string, or the name of the environment variable that holds it.
pub(super) fn secret(value: Value) -> Result<SecretString, Reason> {
    let Value::Table(mut table) = value else {
        return text(value).map(SecretString::from).map_err(|reason| match &*reason {
            "must be a string" => "must be a string, or { env = \"NAME\" }".into(),
            _ => reason,
        });
    };
    let Some(Value::String(name)) = table.remove("env") else {
        return Err("must be a string, or { env = \"NAME\" }".into());
    };
    if let Some(key) = table.keys().next() {
        return Err(format!("has beside env the key {key:?}, which is not known").into());
    }
    // Shown only where it is a name: it may be the secret itself.
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    if name.is_empty() || !name.bytes().all(is_name) {
        return Err("env must be the name of an environment variable".into());
    }
    match env::var(&name) {
        Ok(secret) if !secret.is_empty() => Ok(secret.into()),
        Ok(_) => Err(format!("the environment variable {name} is empty").into()),
        Err(env::VarError::NotPresent) => Err(format!("the environment variable {name} is not set").into()),
        Err(env::VarError::NotUnicode(_)) => Err(format!("the environment variable {name} is not UTF-8").into()),
    }
}

/// 32 secret bytes.
#[allow(clippy::disallowed_methods, reason = "the key is decoded, and given to the store")]
pub(super) fn encryption_key(value: Value) -> Result<[u8; 32], Reason> {
    let text = secret(value)?;
    let text = text.expose_secret();
    let bytes = from_hex(text).or_else(|| STANDARD.decode(text).ok()).map(Zeroizing::new);
    let key = bytes.and_then(|bytes| bytes.as_slice().try_into().ok());
    key.ok_or_else(|| "must be 32 bytes in hex or base64, such as \"openssl rand -hex 32\" prints".into())
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    // The parser takes a sign for a digit.
    let is_hex = text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let byte = |at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok();
    is_hex.then(|| (0..text.len()).step_by(2).map(byte).collect())?
}

pub(super) fn flag(value: Value) -> Result<bool, Reason> {
    value.as_bool().ok_or_else(|| "must be true or false".into())
}

/// A whole number from 0 to `largest`.
pub(super) fn count<T: TryFrom<i64>>(largest: u32) -> impl Fn(Value) -> Result<T, Reason> {
    move |value| {
        let count = value.as_integer().filter(|count| (0..=i64::from(largest)).contains(count));
        let count = count.and_then(|count| T::try_from(count).ok());
        count.ok_or_else(|| format!("must be a whole number from 0 to {largest}").into())
    }
}

/// One of some words, and what it stands for.
pub(super) fn one_of<T: Copy>(words: &[(&'static str, T)]) -> impl Fn(Value) -> Result<T, Reason> {
    move |value| {
        let found = words.iter().find(|(word, _)| value.as_str() == Some(word)).map(|(_, meaning)| *meaning);
        found.ok_or_else(|| {
            let words: Vec<_> = words.iter().map(|(word, _)| format!("{word:?}")).collect();
            format!("must be one of {}", words.join(", ")).into()
        })
    }
}

pub(super) fn duration(value: Value) -> Result<Duration, Reason> {
    let parsed = value.as_str().and_then(|text| {
        let (number, unit) = number_and_unit(text)?;
        let millis = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            _ => return None,
        };
        Some(Duration::from_millis(number.checked_mul(millis)?))
    });
    parsed.ok_or_else(|| "must be a time such as \"250ms\", \"30s\", \"5m\" or \"1h\"".into())
}

/// A number of bytes.
pub(super) fn size(value: Value) -> Result<usize, Reason> {
    let parsed = match &value {
        Value::Integer(bytes) => usize::try_from(*bytes).ok(),
        Value::String(text) => number_and_unit(text).and_then(|(number, unit)| {
            let unit: u64 = match unit {
                "" | "B" => 1,
                "KiB" => 1 << 10,
                "MiB" => 1 << 20,
                "GiB" => 1 << 30,
                _ => return None,
            };
            usize::try_from(number.checked_mul(unit)?).ok()
        }),
        _ => None,
    };
    parsed.ok_or_else(|| "must be a size such as \"64KiB\", \"1MiB\", \"512B\" or \"0\"".into())
}

fn number_and_unit(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|char: char| !char.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    Some((number.parse().ok()?, unit))
}

/// Where an API is: scheme, host, and a path where there is one.
pub(super) fn uri(value: Value) -> Result<Uri, Reason> {
    let text = text(value)?;
    // The parser drops a fragment without a word.
    if text.contains(['?', '#']) {
        return Err("must have neither a query nor a fragment".into());
    }
    let not_one = || Reason::from("must be a URI such as \"https://api.example.com\"");
    let uri: Uri = text.parse().map_err(|_| not_one())?;
    let authority = uri.authority().filter(|authority| !authority.host().is_empty()).ok_or_else(not_one)?;
    if authority.as_str().contains('@') {
        return Err("must not hold user info".into());
    }
    if authority.port_u16().is_none() && authority.as_str().len() != authority.host().len() {
        return Err("must have a port from 0 to 65535, or none".into());
    }
    match uri.scheme() {
        Some(scheme) if *scheme == Scheme::HTTP || *scheme == Scheme::HTTPS => Ok(uri),
        _ => Err("must begin with https:// or http://".into()),
    }
}

/// Names under which people may call the gateway, in lower case, each with its port or without one.
pub(super) fn hosts(value: Value) -> Result<Vec<String>, Reason> {
    let Value::Array(hosts) = value else { return Err("must be a list of names".into()) };
    hosts.into_iter().map(host).collect()
}

fn host(value: Value) -> Result<String, Reason> {
    let name = text(value)?.to_ascii_lowercase();
    let is_plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte));
    let authority = name.parse::<http::uri::Authority>().ok().filter(|authority| {
        is_plain && !authority.host().is_empty() && (authority.port_u16().is_some() || authority.host() == name)
    });
    authority
        .map(|_| name)
        .ok_or_else(|| "must hold names such as \"gateway.internal\" or \"gateway.internal:8080\"".into())
}
