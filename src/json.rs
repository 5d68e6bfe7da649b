//! JSON in which no object names a member twice: what providers answer, and what stores keep.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{Error as _, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Number, Value};

/// A value read strictly: `serde_json` alone would keep the last of two, and two readers of one
/// answer could see two tokens.
pub(crate) struct Strict(pub(crate) Value);

/// A byte order mark is to be passed over ([RFC 8259, section 8.1](https://www.rfc-editor.org/rfc/rfc8259#section-8.1)):
/// three bytes are no reason to lose a pair that has been rotated.
pub(crate) fn without_mark(body: &[u8]) -> &[u8] {
    body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body)
}

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StrictVisitor).map(Self)
    }
}

struct StrictVisitor;

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut array = Vec::new();
        while let Some(Strict(item)) = items.next_element()? {
            array.push(item);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some((name, Strict(value))) = members.next_entry::<String, Strict>()? {
            if object.insert(name, value).is_some() {
                return Err(A::Error::custom("repeated member"));
            }
        }
        if object.len() != 1 {
            return Ok(Value::Object(object));
        }
        // Where another crate of the build turns on `serde_json/arbitrary_precision`, a fraction comes as an object of
        // one member, whose form `Number` alone knows. Without that feature no object is a number.
        let object = Value::Object(object);
        Ok(Number::deserialize(&object).map_or(object, Value::Number))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(text: &str) -> Option<Value> {
        serde_json::from_str(text).ok().map(|Strict(value)| value)
    }

    #[test]
    fn an_object_that_names_a_member_twice_is_refused_at_any_depth() {
        for text in [r#"{"a":1,"a":1}"#, r#"{"a":1,"\u0061":2}"#, r#"[{"b":{"a":1,"a":2}}]"#] {
            assert_eq!(read(text), None, "{text}");
        }
        assert_eq!(read(r#"{"a":{"a":1},"A":2}"#), Some(json!({ "a": { "a": 1 }, "A": 2 })));
    }

    /// Also where `serde_json/arbitrary_precision` is on, with which the gate runs it once more.
    #[test]
    fn a_number_is_a_number_and_an_object_of_one_member_an_object() {
        for text in ["1", "-1", "2.5", "18446744073709551616", "[0.1]", r#"{"a":0.5}"#, r#"{"number":"1"}"#] {
            assert_eq!(read(text), serde_json::from_str(text).ok(), "{text}");
        }
        assert!(read("2.5").is_some_and(|value| value.is_number()));
    }
}
