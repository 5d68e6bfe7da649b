//! The values of the stored form's members.

use std::{
    fmt,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde::{
    Deserialize, Deserializer,
    de::{Error, Visitor},
};
use serde_json::{Map, Value};

use super::{Expiry, LATEST, LoginMark, NEVER, SecretString};
use crate::json::Strict;

/// A secret, which is never held as an ordinary string. (One with escapes passes through the buffer in which
/// `serde_json` undoes them; what this crate writes has none, unless the token itself needs them.)
pub(super) struct Text(pub(super) SecretString);

/// Epoch milliseconds.
pub(super) struct Time(pub(super) SystemTime);

/// Epoch milliseconds, or that it does not end.
pub(super) struct End(pub(super) Expiry);

/// A refused login.
pub(super) struct Mark(pub(super) LoginMark);

/// An object in which no object names a member twice.
pub(super) struct Object(pub(super) Map<String, Value>);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;

        impl Visitor<'_> for TextVisitor {
            type Value = Text;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string that is not empty")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Text, E> {
                if text.is_empty() { Err(E::custom("empty")) } else { Ok(Text(text.into())) }
            }
        }

        deserializer.deserialize_str(TextVisitor)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        time(u64::deserialize(deserializer)?).map(Self)
    }
}

impl<'de> Deserialize<'de> for End {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Strict::deserialize(deserializer)?.0 {
            Value::String(text) if text == NEVER => Ok(Self(Expiry::Never)),
            Value::Number(number) => {
                time(u64::deserialize(number).map_err(D::Error::custom)?).map(|end| Self(Expiry::At(end)))
            }
            _ => Err(D::Error::custom("not an end")),
        }
    }
}

impl<'de> Deserialize<'de> for Mark {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        LoginMark::parse(&text).map(Self).ok_or_else(|| D::Error::custom("not a mark"))
    }
}

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Strict::deserialize(deserializer)?.0 {
            Value::Object(members) => Ok(Self(members)),
            _ => Err(D::Error::custom("not an object")),
        }
    }
}

fn time<E: Error>(milliseconds: u64) -> Result<SystemTime, E> {
    let time = UNIX_EPOCH.checked_add(Duration::from_millis(milliseconds));
    time.filter(|_| milliseconds <= LATEST).ok_or_else(|| E::custom("overflow"))
}
