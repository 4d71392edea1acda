//! A device as the application's table has it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use sortie_protocol::DeviceId;

use crate::{SystemModelId, ids::ParseError};

/// A value of a device's attribute. Integers and floats are one numeric type (rule T3).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum AttributeValue {
    /// True or false.
    Boolean(bool),
    /// A number.
    Number(f64),
    /// A text.
    Text(String),
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
impl From<bool> for AttributeValue {
    fn from(value: bool) -> Self {
        Self::Boolean(value)
    }
}
impl From<f64> for AttributeValue {
    fn from(value: f64) -> Self {
        Self::Number(value)
    }
}
impl From<i32> for AttributeValue {
    fn from(value: i32) -> Self {
        Self::Number(value.into())
    }
}

/// A device that campaigns can target: its id, System Model, tags and attributes.
///
/// It carries no version on purpose: the device's own word decides (rule E).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Device {
    id: DeviceId,
    system_model: SystemModelId,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    tags: BTreeSet<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    attributes: BTreeMap<String, AttributeValue>,
}

/// A device's id or System Model is malformed.
pub type DeviceError = ParseError;

impl Device {
    /// A device without tags and attributes.
    ///
    /// # Errors
    /// [`ParseError`] naming the id or handle that is malformed.
    pub fn new(id: &str, system_model: &str) -> Result<Self, ParseError> {
        Ok(Self {
            id: DeviceId::new(id)?,
            system_model: SystemModelId::new(system_model)?,
            tags: BTreeSet::new(),
            attributes: BTreeMap::new(),
        })
    }

    /// Adds a tag.
    pub fn tag(mut self, tag: &str) -> Self {
        self.tags.insert(tag.into());
        self
    }

    /// Sets an attribute; a later value of one key replaces an earlier one.
    pub fn attribute(mut self, key: &str, value: impl Into<AttributeValue>) -> Self {
        self.attributes.insert(key.into(), value.into());
        self
    }

    /// Its id.
    pub fn id(&self) -> &DeviceId {
        &self.id
    }

    /// Its System Model.
    pub fn system_model(&self) -> &SystemModelId {
        &self.system_model
    }

    /// Its tags.
    pub fn tags(&self) -> &BTreeSet<String> {
        &self.tags
    }

    /// Its attributes by key.
    pub fn attributes(&self) -> &BTreeMap<String, AttributeValue> {
        &self.attributes
    }
}
