//! Why something from outside was refused.

use alloc::string::String;

/// A text is no legal id: the value and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid {what} {value:?}: {why}")]
pub struct IdError {
    /// What the text should have been, e.g. "device id".
    pub what: &'static str,
    /// The text, cut to a printable length.
    pub value: String,
    /// What is wrong with it.
    pub why: &'static str,
}

impl IdError {
    pub(crate) fn new(what: &'static str, value: &str, why: &'static str) -> Self {
        Self {
            what,
            value: value.chars().take(80).collect(),
            why,
        }
    }
}

/// Bytes are no message of this protocol. Count it and drop it (rule B3).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The payload has this many bytes, and [`crate::limits::PAYLOAD_BYTES_MAX`] is the limit.
    #[error("payload of {0} bytes is too large")]
    TooLarge(usize),
    /// The payload is no JSON object of the expected form.
    #[error("not a valid message: {0}")]
    Json(serde_json::Error),
    /// A field that this operation or state needs is absent.
    #[error("field {0:?} is missing")]
    Missing(&'static str),
    /// A field has a value outside its range.
    #[error("field {field:?} is out of range")]
    OutOfRange {
        /// The field's name on the wire.
        field: &'static str,
    },
}

pub(crate) fn from_json<'a, T: serde::Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, DecodeError> {
    if bytes.len() > crate::limits::PAYLOAD_BYTES_MAX {
        return Err(DecodeError::TooLarge(bytes.len()));
    }
    serde_json::from_slice(bytes).map_err(DecodeError::Json)
}

/// Encodes a message of ours.
pub(crate) fn to_json<T: serde::Serialize>(value: &T) -> alloc::vec::Vec<u8> {
    // Serializing our own structs of strings, numbers and options to memory has no failing case:
    // `serde_json` fails only on maps with non-string keys and on a `Serialize` that errs.
    serde_json::to_vec(value).unwrap_or_default()
}
