//! What is recorded in the catalog stream.

use std::collections::{BTreeMap, BTreeSet};

use semver::Version;
use serde::{Deserialize, Serialize};
use sortie_protocol::DeviceId;
use uuid::Uuid;

use super::{Artifact, Language};
use crate::{ChannelId, CollectionId, GroupId, Selector, SystemModelId, VersionRequirement};

/// An event of the catalog stream. A second declaration of the same name replaces what the first
/// said, where that may change at all (T4).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all_fields = "camelCase")]
#[non_exhaustive]
pub enum CatalogEvent {
    /// A node took the stream over.
    CatalogOwnerChanged {
        /// Grows by one with each owner.
        epoch: u64,
        /// Drawn at random.
        nonce: Uuid,
    },
    /// A System Model.
    SystemModelDeclared {
        /// Its handle.
        system_model: SystemModelId,
        /// For people.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
        /// The boards that are of it; no other System Model has them.
        #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
        part_numbers: BTreeSet<String>,
    },
    /// A Base Image Collection of a System Model (T1), which is declared by it if it was not.
    CollectionDeclared {
        /// Its handle.
        collection: CollectionId,
        /// The System Model whose images it holds; 1:1.
        system_model: SystemModelId,
        /// For people.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
    },
    /// A Base Image (T1). Version and artifact never change (T4).
    BaseImageDeclared {
        /// The Collection that it belongs to.
        collection: CollectionId,
        /// Its version.
        version: Version,
        /// Where it is and what must be found there.
        artifact: Artifact,
        /// What a device must run for it to be installed (E5).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        starting_version_requirement: Option<VersionRequirement>,
        /// What the release is called, by language.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        display_names: BTreeMap<Language, String>,
        /// What it is, by language.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        descriptions: BTreeMap<Language, String>,
        /// What is new in it, by language.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        release_notes: BTreeMap<Language, String>,
    },
    /// A Group (T2): a selector, a list of devices, or both.
    GroupDeclared {
        /// Its handle.
        group: GroupId,
        /// For people.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
        /// Which devices it holds, by what they are.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        selector: Option<Selector>,
        /// Which devices it holds, by id.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        devices: Vec<DeviceId>,
    },
    /// A Channel (T2).
    ChannelDeclared {
        /// Its handle.
        channel: ChannelId,
        /// For people.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
        /// Its Groups.
        groups: Vec<GroupId>,
    },
    /// A System Model was deleted; it had no Collection.
    SystemModelDeleted {
        /// Its handle.
        system_model: SystemModelId,
    },
    /// A Collection was deleted; it had no Base Image.
    CollectionDeleted {
        /// Its handle.
        collection: CollectionId,
    },
    /// A Base Image was deleted; nothing used it (T4).
    BaseImageDeleted {
        /// The Collection that it belonged to.
        collection: CollectionId,
        /// Its version.
        version: Version,
    },
    /// A Group was deleted; it was in no Channel.
    GroupDeleted {
        /// Its handle.
        group: GroupId,
    },
    /// A Channel was deleted; nothing used it (T4).
    ChannelDeleted {
        /// Its handle.
        channel: ChannelId,
    },
    /// A device without a claim had seen a generation above nothing at all; a free claim with this
    /// number was made, so that it can be answered (W5).
    DeviceClaimRaised {
        /// The device.
        device: DeviceId,
        /// The claim's number from now on.
        claim: u64,
    },
    /// Every stream that it concerned has it in its log that a device was removed from the inventory, as
    /// somebody told (D1): the command is carried out, and its repetition changes nothing (K1).
    DeviceRemovalRecorded {
        /// The device.
        device: DeviceId,
    },
}
