//! The form of an attribute's value in JSON.

use std::fmt;

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error, MapAccess, Unexpected, Visitor},
    ser,
};

use super::{AttributeValue, Number};
use crate::base64;

const DATETIME: &str = "datetime";
const BINARY_BLOB: &str = "binaryblob";

impl Serialize for AttributeValue {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Boolean(value) => s.serialize_bool(*value),
            Self::Number(Number::Integer(value)) => s.serialize_i64(*value),
            // JSON would have it be null.
            Self::Number(Number::Float(value)) if !value.is_finite() => {
                Err(ser::Error::custom(format!("{value} is no number in JSON")))
            }
            Self::Number(Number::Float(value)) => s.serialize_f64(*value),
            Self::Text(text) => s.serialize_str(text),
            Self::Datetime(at) => s.collect_map([(DATETIME, at.to_string())]),
            Self::BinaryBlob(bytes) => s.collect_map([(BINARY_BLOB, base64::encode(bytes))]),
        }
    }
}

impl<'de> Deserialize<'de> for AttributeValue {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_any(Value)
    }
}

struct Value;

impl<'de> Visitor<'de> for Value {
    type Value = AttributeValue;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a boolean, a number, a text, {\"datetime\": …} or {\"binaryblob\": …}")
    }

    fn visit_bool<E>(self, value: bool) -> Result<AttributeValue, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<AttributeValue, E> {
        Ok(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<AttributeValue, E> {
        let beyond = |_| E::invalid_value(Unexpected::Unsigned(value), &"an integer below 2^63");
        Ok(i64::try_from(value).map_err(beyond)?.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<AttributeValue, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, text: &str) -> Result<AttributeValue, E> {
        Ok(text.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<AttributeValue, A::Error> {
        let Some((kind, text)) = map.next_entry::<String, String>()? else {
            return Err(A::Error::invalid_value(Unexpected::Map, &self));
        };
        let value = match kind.as_str() {
            DATETIME => AttributeValue::Datetime(text.parse().map_err(A::Error::custom)?),
            BINARY_BLOB => AttributeValue::BinaryBlob(base64::decode(&text).ok_or_else(|| {
                A::Error::invalid_value(Unexpected::Str(&text), &"base64 with padding")
            })?),
            _ => return Err(A::Error::unknown_field(&kind, &[DATETIME, BINARY_BLOB])),
        };
        match map.next_key::<String>()? {
            None => Ok(value),
            Some(_) => Err(A::Error::invalid_length(2, &"one field")),
        }
    }
}
