//! Attributes of devices: what selectors compare (rule T3).

mod json;
mod number;

pub use number::Number;

use crate::Timestamp;

/// A value of a device's attribute.
///
/// In JSON a boolean, a number and a text are themselves, a time is
/// `{"datetime":"2026-01-02T03:04:05.000Z"}` and bytes are `{"binaryblob":"Zm9vYmFy"}`, so that
/// each is read back as what it was.
///
/// ```
/// # use sortie_core::{AttributeValue, Timestamp};
/// let serviced = AttributeValue::from("2026-01-02T03:04:05Z".parse::<Timestamp>()?);
/// let json = serde_json::to_string(&serviced)?;
/// assert_eq!(serde_json::from_str::<AttributeValue>(&json)?, serviced);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum AttributeValue {
    /// True or false.
    Boolean(bool),
    /// A number, whole or not.
    Number(Number),
    /// A text.
    Text(String),
    /// A point in time.
    Datetime(Timestamp),
    /// Bytes.
    BinaryBlob(Vec<u8>),
}

impl From<bool> for AttributeValue {
    fn from(value: bool) -> Self {
        Self::Boolean(value)
    }
}
impl From<Number> for AttributeValue {
    fn from(value: Number) -> Self {
        Self::Number(value)
    }
}
impl From<i64> for AttributeValue {
    fn from(value: i64) -> Self {
        Self::Number(value.into())
    }
}
impl From<i32> for AttributeValue {
    fn from(value: i32) -> Self {
        Self::Number(value.into())
    }
}
impl From<u32> for AttributeValue {
    fn from(value: u32) -> Self {
        Self::Number(value.into())
    }
}
impl From<f64> for AttributeValue {
    fn from(value: f64) -> Self {
        Self::Number(value.into())
    }
}
impl From<&str> for AttributeValue {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}
impl From<String> for AttributeValue {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}
impl From<&String> for AttributeValue {
    fn from(text: &String) -> Self {
        Self::Text(text.clone())
    }
}
impl From<Timestamp> for AttributeValue {
    fn from(at: Timestamp) -> Self {
        Self::Datetime(at)
    }
}
impl From<Vec<u8>> for AttributeValue {
    fn from(bytes: Vec<u8>) -> Self {
        Self::BinaryBlob(bytes)
    }
}
impl From<&[u8]> for AttributeValue {
    fn from(bytes: &[u8]) -> Self {
        Self::BinaryBlob(bytes.into())
    }
}
