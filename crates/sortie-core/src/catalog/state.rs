//! The fold over the catalog stream.

use std::collections::{BTreeMap, VecDeque};

use sortie_protocol::DeviceId;

use super::{Artifact, CatalogEvent};
use crate::{
    BaseImageId, ChannelId, CollectionId, CommandId, Device, GroupId, Selector, SystemModelId,
    Timestamp, VersionRequirement, campaign::ImageCopy,
};

/// What has been declared.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CatalogState {
    /// The System Model of each Collection.
    pub collections: BTreeMap<CollectionId, SystemModelId>,
    /// The Base Images.
    pub images: BTreeMap<BaseImageId, Image>,
    /// The Groups.
    pub groups: BTreeMap<GroupId, Group>,
    /// The Channels.
    pub channels: BTreeMap<ChannelId, Channel>,
    /// The latest recorded time; wall time is never taken below it (C5).
    pub last_at: Timestamp,
    /// The last 256 declarations that changed something, and how many events each led to (K1).
    commands: VecDeque<(CommandId, usize)>,
}

/// A Base Image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// Where it is and what must be found there.
    pub artifact: Artifact,
    /// What a device must run for it to be installed.
    pub starting_version_requirement: Option<VersionRequirement>,
}

/// A Group: a selector, an explicit list, or both (T2).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Group {
    /// Devices by tags and attributes.
    pub selector: Option<Selector>,
    /// Devices by name.
    pub devices: Vec<DeviceId>,
}

impl Group {
    /// Whether `device` is in it, at `now`.
    pub fn contains(&self, device: &Device, now: Timestamp) -> bool {
        self.selector
            .as_ref()
            .is_some_and(|selector| selector.matches(device, now))
            || self.devices.binary_search(device.id()).is_ok()
    }
}

/// A Channel: a set of Groups.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Channel {
    /// Its Groups.
    pub groups: Vec<GroupId>,
}

/// How many commands of a stream are kept (K1).
const COMMANDS_KEPT: usize = 256;

impl CatalogState {
    /// Folds one event.
    pub fn apply(&mut self, at: Timestamp, event: &CatalogEvent) {
        self.last_at = self.last_at.max(at);
        match event {
            CatalogEvent::CollectionDeclared {
                collection,
                system_model,
            } => {
                self.collections
                    .insert(collection.clone(), system_model.clone());
            }
            CatalogEvent::BaseImageDeclared {
                collection,
                version,
                artifact,
                starting_version_requirement,
            } => {
                let id = BaseImageId {
                    collection: collection.clone(),
                    version: version.clone(),
                };
                let image = Image {
                    artifact: artifact.clone(),
                    starting_version_requirement: starting_version_requirement.clone(),
                };
                self.images.insert(id, image);
            }
            CatalogEvent::GroupDeclared {
                group,
                selector,
                devices,
            } => {
                let mut devices = devices.clone();
                devices.sort_unstable();
                devices.dedup();
                self.groups.insert(
                    group.clone(),
                    Group {
                        selector: selector.clone(),
                        devices,
                    },
                );
            }
            CatalogEvent::ChannelDeclared { channel, groups } => {
                self.channels.insert(
                    channel.clone(),
                    Channel {
                        groups: groups.clone(),
                    },
                );
            }
            // Epochs and claims are kept beside the fold.
            CatalogEvent::CatalogOwnerChanged { .. } | CatalogEvent::DeviceClaimRaised { .. } => {}
        }
    }

    /// Notes that a declaration was carried out, in a commit with these events (K1).
    pub fn note_command(&mut self, command: CommandId, events: usize) {
        if self.commands.len() == COMMANDS_KEPT {
            self.commands.pop_front();
        }
        self.commands.push_back((command, events));
    }

    /// How many events this declaration led to, if it is among the last 256 (K1).
    pub fn declared(&self, command: CommandId) -> Option<usize> {
        self.commands
            .iter()
            .find(|(id, _)| *id == command)
            .map(|(_, events)| *events)
    }

    /// The image as a campaign copies it (T4), if it is declared.
    pub fn image_copy(&self, id: &BaseImageId) -> Option<ImageCopy> {
        let image = self.images.get(id)?;
        let system_model = self.collections.get(&id.collection)?;
        Some(ImageCopy::new(
            id.version.clone(),
            system_model.clone(),
            image.artifact.clone(),
            image.starting_version_requirement.clone(),
        ))
    }

    /// The Groups of `channel`, if it is declared. A device in two of them is one target (T2).
    pub fn groups_of(&self, channel: &ChannelId) -> Option<Vec<Group>> {
        let channel = self.channels.get(channel)?;
        Some(
            channel
                .groups
                .iter()
                .filter_map(|group| self.groups.get(group).cloned())
                .collect(),
        )
    }
}
