//! A device as the application's table has it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Deserializer, Serialize};
use sortie_protocol::DeviceId;

use crate::{AttributeValue, SystemModelId, ids::ParseError};

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
    #[serde(
        default,
        deserialize_with = "attributes",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
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

    /// Sets an attribute; a later value of one name replaces an earlier one.
    ///
    /// A selector finds it if its name is `namespace:key`, such as `custom:site`. The namespace is
    /// kept in lower case, which is what selectors compare (rule T3).
    pub fn attribute(mut self, name: &str, value: impl Into<AttributeValue>) -> Self {
        self.attributes.insert(attribute_name(name), value.into());
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

    /// Its attributes by name.
    pub fn attributes(&self) -> &BTreeMap<String, AttributeValue> {
        &self.attributes
    }
}

/// `name` with its namespace, which ends at the first colon, in lower case.
pub(crate) fn attribute_name(name: &str) -> String {
    match name.split_once(':') {
        Some((namespace, key)) => format!("{}:{key}", namespace.to_ascii_lowercase()),
        None => name.into(),
    }
}

fn attributes<'de, D>(d: D) -> Result<BTreeMap<String, AttributeValue>, D::Error>
where
    D: Deserializer<'de>,
{
    let attributes = BTreeMap::<String, AttributeValue>::deserialize(d)?.into_iter();
    Ok(attributes
        .map(|(name, value)| (attribute_name(&name), value))
        .collect())
}
