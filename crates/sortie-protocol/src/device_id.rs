//! The device's name on the wire.

use alloc::{string::String, sync::Arc};
use core::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{error::IdError, limits::ID_BYTES_MAX};

/// A device's id: 1 to 64 of `A-Z a-z 0-9 . _ ~ : -`, so that it can be a topic level, an MQTT
/// user name, a certificate's common name and a MAC address. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeviceId(Arc<str>);

impl DeviceId {
    /// Checks `id`.
    ///
    /// # Errors
    /// [`IdError`] when it is empty, too long or has an illegal character.
    pub fn new(id: &str) -> Result<Self, IdError> {
        check("device id", id, b":")?;
        Ok(Self(id.into()))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Checks a text of letters, digits, `.`, `_`, `~`, `-` and `extra`, 1 to 64 bytes long.
pub(crate) fn check(what: &'static str, id: &str, extra: &[u8]) -> Result<(), IdError> {
    if id.is_empty() {
        return Err(IdError::new(what, id, "it is empty"));
    }
    if id.len() > ID_BYTES_MAX {
        return Err(IdError::new(what, id, "it is longer than 64 bytes"));
    }
    let legal = |b: &u8| b.is_ascii_alphanumeric() || b"._~-".contains(b) || extra.contains(b);
    if !id.as_bytes().iter().all(legal) {
        return Err(IdError::new(
            what,
            id,
            "only A-Z a-z 0-9 . _ ~ - and, in a device id, : are legal",
        ));
    }
    Ok(())
}

impl FromStr for DeviceId {
    type Err = IdError;
    fn from_str(id: &str) -> Result<Self, IdError> {
        Self::new(id)
    }
}

impl AsRef<str> for DeviceId {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl Serialize for DeviceId {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for DeviceId {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let id = String::deserialize(d)?;
        Self::new(&id).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mac_address_is_a_legal_device_id_and_a_topic_wildcard_is_not() {
        assert_eq!(
            DeviceId::new("00:1a:2B:3c:4d:5e").unwrap().as_str(),
            "00:1a:2B:3c:4d:5e"
        );
        for bad in ["", "a/b", "+", "#", "a b", "ä", &"x".repeat(65)] {
            let error = DeviceId::new(bad).unwrap_err();
            assert!(error.value == bad, "{error} names the value");
        }
    }
}
