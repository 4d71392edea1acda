//! Names of things. No bare strings past the edge.

use std::{fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Serialize};
use sha1::{Digest, Sha1};
use sortie_protocol::DeviceId;
use uuid::{Builder, Uuid};

use crate::text::serde_as_text;

/// A text is not what it should be: what was expected, the value, and where it went wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid {what} {value:?}: {why}")]
pub struct ParseError {
    /// What the text should have been.
    pub what: &'static str,
    /// The text, cut to a printable length.
    pub value: String,
    /// What is wrong with it, and where.
    pub why: String,
}

impl ParseError {
    pub(crate) fn new(what: &'static str, value: &str, why: impl Into<String>) -> Self {
        Self {
            what,
            value: value.chars().take(80).collect(),
            why: why.into(),
        }
    }
}

impl From<sortie_protocol::IdError> for ParseError {
    fn from(e: sortie_protocol::IdError) -> Self {
        Self {
            what: e.what,
            value: e.value,
            why: e.why.into(),
        }
    }
}

/// Makes ids from names: RFC 9562 version 5 under this namespace.
const NAMESPACE: Uuid = Uuid::from_u128(0x3b0e_5a1c_52f4_5d0b_9f3a_7a40_c1c7_51e5);

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(
            Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl $name {
            /// An id derived from a name (UUID version 5): the same name, the same id.
            pub fn from_name(name: &str) -> Self {
                Self(Uuid::new_v5(&NAMESPACE, [$what, ":", name].concat().as_bytes()))
            }
        }

        impl From<Uuid> for $name {
            fn from(id: Uuid) -> Self { Self(id) }
        }

        impl FromStr for $name {
            type Err = ParseError;
            fn from_str(text: &str) -> Result<Self, ParseError> {
                Uuid::parse_str(text)
                    .map(Self)
                    .map_err(|e| ParseError::new($what, text, e.to_string()))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
    };
}

uuid_id! {
    /// One Update Campaign, from creation on; given by the caller, never used again.
    CampaignId, "campaign id"
}
uuid_id! {
    /// One Manual OTA Update, given by the caller (rule M).
    ManualUpdateId, "manual update id"
}
uuid_id! {
    /// One OTA Operation: one update on one device. Derived, see [`OperationId::derive`].
    OperationId, "operation id"
}
uuid_id! {
    /// One command of a caller. The same id again gets the first answer (rule K1).
    CommandId, "command id"
}

impl OperationId {
    /// The UUID of the operation that a stream starts on a device (rule W1): the same after a
    /// replay, another after a restored backup, since `nonce` is then drawn anew.
    pub fn derive(stream: Uuid, device: &DeviceId, claim_number: u64, nonce: Uuid) -> Self {
        // `Uuid::new_v5` by hand, with a SHA-1 that uses the processor's own instructions: it is most of
        // what starting an operation takes.
        let mut hash = Sha1::new();
        hash.update(NAMESPACE.as_bytes());
        hash.update(stream.as_bytes());
        hash.update(nonce.as_bytes());
        hash.update(claim_number.to_be_bytes());
        hash.update(device.as_str());
        let mut first = [0; 16];
        first.copy_from_slice(&hash.finalize()[..16]);
        Self(Builder::from_sha1_bytes(first).into_uuid())
    }
}

macro_rules! handle {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        ///
        /// 1 to 64 of `A-Z a-z 0-9 . _ ~ -`. Cheap to clone.
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks `handle`.
            ///
            /// # Errors
            /// [`ParseError`] when it is empty, too long or has an illegal character.
            pub fn new(handle: &str) -> Result<Self, ParseError> {
                check_handle($what, handle)?;
                Ok(Self(handle.into()))
            }

            /// The handle as text.
            pub fn as_str(&self) -> &str { &self.0 }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str { &self.0 }
        }

        impl FromStr for $name {
            type Err = ParseError;
            fn from_str(text: &str) -> Result<Self, ParseError> { Self::new(text) }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.write_str(&self.0) }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }

        serde_as_text!($name);
    };
}

handle! {
    /// A System Model's handle: a kind of device, the hardware and firmware family that shares images.
    SystemModelId, "system model"
}
handle! {
    /// A Base Image Collection's handle: the Base Images of one System Model.
    CollectionId, "collection"
}
handle! {
    /// A Group's handle: a set of devices.
    GroupId, "group"
}
handle! {
    /// A Channel's handle: a named set of Groups.
    ChannelId, "channel"
}

fn check_handle(what: &'static str, handle: &str) -> Result<(), ParseError> {
    if handle.is_empty() {
        return Err(ParseError::new(what, handle, "it is empty"));
    }
    if handle.len() > 64 {
        return Err(ParseError::new(what, handle, "it is longer than 64 bytes"));
    }
    match handle.find(|c: char| !c.is_ascii_alphanumeric() && !"._~-".contains(c)) {
        None => Ok(()),
        Some(at) => {
            let column = handle[..at].chars().count() + 1;
            let why = format!("only A-Z a-z 0-9 . _ ~ - are legal, see column {column}");
            Err(ParseError::new(what, handle, why))
        }
    }
}

/// A Base Image's name: its Collection and its version, `gateway-os@1.4.0` (rule T1).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BaseImageId {
    /// The Collection that it belongs to.
    pub collection: CollectionId,
    /// Its version; unique within the Collection.
    pub version: semver::Version,
}

impl FromStr for BaseImageId {
    type Err = ParseError;
    fn from_str(text: &str) -> Result<Self, ParseError> {
        let wrong = |why: String| ParseError::new("base image", text, why);
        let (collection, version) = text.split_once('@').ok_or_else(|| {
            wrong("COLLECTION@VERSION is expected, such as gateway-os@1.4.0".into())
        })?;
        Ok(Self {
            collection: CollectionId::new(collection).map_err(|e| wrong(e.why))?,
            version: version
                .parse()
                .map_err(|e| wrong(format!("the version after @ is not SemVer: {e}")))?,
        })
    }
}

impl fmt::Display for BaseImageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.collection, self.version)
    }
}

serde_as_text!(BaseImageId);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_image_id_reads_as_collection_at_version() {
        let id: BaseImageId = "gateway-os@1.4.0-rc.1+7".parse().unwrap();
        assert_eq!(id.to_string(), "gateway-os@1.4.0-rc.1+7");
        for (bad, part) in [
            ("gateway-os", "COLLECTION@VERSION"),
            ("a b@1.0.0", "column 2"),
            ("a@1", "SemVer"),
        ] {
            let error = bad.parse::<BaseImageId>().unwrap_err().to_string();
            assert!(error.contains(bad) && error.contains(part), "{error}");
        }
    }

    #[test]
    fn names_make_the_same_id_each_time_and_kinds_do_not_collide() {
        assert_eq!(CampaignId::from_name("a"), CampaignId::from_name("a"));
        assert_ne!(CampaignId::from_name("a").0, CommandId::from_name("a").0);
    }

    #[test]
    fn an_operations_uuid_depends_on_each_of_its_parts() {
        let [s, n] = [Uuid::from_u128(1), Uuid::from_u128(2)];
        let [d, e] = ["d", "e"].map(|id| DeviceId::new(id).unwrap());
        let base = OperationId::derive(s, &d, 3, n);
        assert_eq!(base, OperationId::derive(s, &d, 3, n));
        for other in [
            OperationId::derive(n, &d, 3, n),
            OperationId::derive(s, &e, 3, n),
            OperationId::derive(s, &d, 4, n),
            OperationId::derive(s, &d, 3, s),
        ] {
            assert_ne!(base, other);
        }
        // It is a version 5 of RFC 9562, as `uuid` makes it.
        let name = [s.as_bytes(), n.as_bytes(), &3_u64.to_be_bytes()[..], b"d"].concat();
        assert_eq!(base.0, Uuid::new_v5(&NAMESPACE, &name));
    }
}
