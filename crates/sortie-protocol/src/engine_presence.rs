//! What an engine says of itself at the broker.

use alloc::{string::String, vec::Vec};

use serde::{Deserialize, Serialize};

use crate::{
    error::{DecodeError, from_json, to_json},
    text,
};

/// Whether an engine is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(
    clippy::exhaustive_enums,
    reason = "the protocol has these three states"
)]
pub enum EngineState {
    /// Connected.
    Online,
    /// Stopped on purpose.
    Offline,
    /// Its connection was lost (its will).
    Lost,
}

/// The presence of an engine, retained under its own topic: two logs on one prefix are refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnginePresence {
    /// Whether it is there.
    pub state: EngineState,
    /// The id of the log that it writes.
    #[serde(default, deserialize_with = "text::short")]
    pub log: String,
}

impl EnginePresence {
    /// Decodes a payload.
    ///
    /// # Errors
    /// [`DecodeError`]: count and drop it (rule B3).
    pub fn from_json(bytes: &[u8]) -> Result<Self, DecodeError> {
        from_json(bytes)
    }

    /// Encodes the payload.
    pub fn to_json(&self) -> Vec<u8> {
        to_json(self)
    }
}
