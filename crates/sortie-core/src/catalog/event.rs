//! What is recorded in the catalog stream.

use semver::Version;
use serde::{Deserialize, Serialize};
use sortie_protocol::DeviceId;
use uuid::Uuid;

use super::Artifact;
use crate::{ChannelId, CollectionId, GroupId, Selector, SystemModelId, VersionRequirement};

/// An event of the catalog stream. A second one of the same name replaces what the first said, where
/// that may change at all (T4).
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
    /// A Base Image Collection of a System Model (T1).
    CollectionDeclared {
        /// Its handle.
        collection: CollectionId,
        /// The System Model whose images it holds; 1:1.
        system_model: SystemModelId,
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
    },
    /// A Group (T2): a selector, a list of devices, or both.
    GroupDeclared {
        /// Its handle.
        group: GroupId,
        /// Which devices it holds, by tags.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        selector: Option<Selector>,
        /// Which devices it holds, by name.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        devices: Vec<DeviceId>,
    },
    /// A Channel (T2).
    ChannelDeclared {
        /// Its handle.
        channel: ChannelId,
        /// Its Groups.
        groups: Vec<GroupId>,
    },
    /// A device without a claim had seen a generation above nothing at all; a free claim with this
    /// number was made, so that it can be answered (W5).
    DeviceClaimRaised {
        /// The device.
        device: DeviceId,
        /// The claim's number from now on.
        claim: u64,
    },
}
