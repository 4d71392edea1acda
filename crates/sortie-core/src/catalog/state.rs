//! The fold over the catalog stream.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::Serialize;
use sortie_protocol::DeviceId;

use super::{Artifact, CatalogEvent, Language};
use crate::{
    BaseImageId, ChannelId, CollectionId, CommandId, Device, GroupId, Selector, SystemModelId,
    Timestamp, VersionRequirement, campaign::ImageCopy,
};

/// What has been declared and not deleted since. Only [`CatalogState::apply`] changes it.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CatalogState {
    pub(super) system_models: BTreeMap<SystemModelId, SystemModel>,
    pub(super) collections: BTreeMap<CollectionId, Collection>,
    pub(super) base_images: BTreeMap<BaseImageId, BaseImage>,
    pub(super) groups: BTreeMap<GroupId, Group>,
    pub(super) channels: BTreeMap<ChannelId, Channel>,
    #[serde(skip)]
    pub(super) last_at: Timestamp,
    /// The last 256 commands that changed something, and how many events each led to (K1).
    #[serde(skip)]
    commands: VecDeque<(CommandId, usize)>,
}

/// A System Model.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SystemModel {
    /// For people.
    pub name: Option<String>,
    /// The boards that are of it; no other System Model has them.
    pub part_numbers: BTreeSet<String>,
}

/// A Base Image Collection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Collection {
    /// For people.
    pub name: Option<String>,
    /// The System Model whose images it holds; 1:1 (T1).
    pub system_model: SystemModelId,
}

/// A Base Image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BaseImage {
    /// Where it is and what must be found there.
    pub artifact: Artifact,
    /// What a device must run for it to be installed.
    pub starting_version_requirement: Option<VersionRequirement>,
    /// What the release is called, by language.
    pub display_names: BTreeMap<Language, String>,
    /// What it is, by language.
    pub descriptions: BTreeMap<Language, String>,
    /// What is new in it, by language.
    pub release_notes: BTreeMap<Language, String>,
}

/// A Group: a selector, an explicit list, or both (T2).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Group {
    /// For people.
    pub name: Option<String>,
    /// Devices by what they are.
    pub selector: Option<Selector>,
    /// Devices by id, in order, each once.
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
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Channel {
    /// For people.
    pub name: Option<String>,
    /// Its Groups, each once.
    pub groups: Vec<GroupId>,
}

/// How many commands of a stream are kept (K1).
const COMMANDS_KEPT: usize = 256;

impl CatalogState {
    /// Folds one event. Infallible: what was recorded has happened.
    pub fn apply(&mut self, at: Timestamp, event: &CatalogEvent) {
        self.last_at = self.last_at.max(at);
        match event.clone() {
            CatalogEvent::SystemModelDeclared {
                system_model,
                name,
                part_numbers,
            } => {
                let model = SystemModel { name, part_numbers };
                self.system_models.insert(system_model, model);
            }
            CatalogEvent::CollectionDeclared {
                collection,
                system_model,
                name,
            } => {
                self.system_models.entry(system_model.clone()).or_default();
                self.collections
                    .insert(collection, Collection { name, system_model });
            }
            CatalogEvent::BaseImageDeclared {
                collection,
                version,
                artifact,
                starting_version_requirement,
                display_names,
                descriptions,
                release_notes,
            } => {
                let id = BaseImageId {
                    collection,
                    version,
                };
                let image = BaseImage {
                    artifact,
                    starting_version_requirement,
                    display_names,
                    descriptions,
                    release_notes,
                };
                self.base_images.insert(id, image);
            }
            CatalogEvent::GroupDeclared {
                group,
                name,
                selector,
                mut devices,
            } => {
                devices.sort_unstable();
                devices.dedup();
                let declared = Group {
                    name,
                    selector,
                    devices,
                };
                self.groups.insert(group, declared);
            }
            CatalogEvent::ChannelDeclared {
                channel,
                name,
                groups,
            } => {
                self.channels.insert(channel, Channel { name, groups });
            }
            CatalogEvent::SystemModelDeleted { system_model } => {
                self.system_models.remove(&system_model);
            }
            CatalogEvent::CollectionDeleted { collection } => {
                self.collections.remove(&collection);
            }
            CatalogEvent::BaseImageDeleted {
                collection,
                version,
            } => {
                self.base_images.remove(&BaseImageId {
                    collection,
                    version,
                });
            }
            CatalogEvent::GroupDeleted { group } => {
                self.groups.remove(&group);
            }
            CatalogEvent::ChannelDeleted { channel } => {
                self.channels.remove(&channel);
            }
            // Epochs, claims and commands are kept beside the fold.
            CatalogEvent::CatalogOwnerChanged { .. }
            | CatalogEvent::DeviceClaimRaised { .. }
            | CatalogEvent::DeviceRemovalRecorded { .. } => {}
        }
    }

    /// The System Models.
    pub fn system_models(&self) -> &BTreeMap<SystemModelId, SystemModel> {
        &self.system_models
    }

    /// The Base Image Collections.
    pub fn collections(&self) -> &BTreeMap<CollectionId, Collection> {
        &self.collections
    }

    /// The Base Images.
    pub fn base_images(&self) -> &BTreeMap<BaseImageId, BaseImage> {
        &self.base_images
    }

    /// The Groups.
    pub fn groups(&self) -> &BTreeMap<GroupId, Group> {
        &self.groups
    }

    /// The Channels.
    pub fn channels(&self) -> &BTreeMap<ChannelId, Channel> {
        &self.channels
    }

    /// The latest recorded time; wall time is never taken below it (C5).
    pub fn last_at(&self) -> Timestamp {
        self.last_at
    }

    /// Notes that a command was carried out, in a commit with these events (K1).
    pub fn note_command(&mut self, command: CommandId, events: usize) {
        if self.commands.len() == COMMANDS_KEPT {
            self.commands.pop_front();
        }
        self.commands.push_back((command, events));
    }

    /// How many events this command led to, if it is among the last 256 (K1).
    pub fn carried_out(&self, command: CommandId) -> Option<usize> {
        self.commands
            .iter()
            .find(|(id, _)| *id == command)
            .map(|(_, events)| *events)
    }

    /// The image as a campaign copies it (T4), if it is declared.
    pub fn image_copy(&self, id: &BaseImageId) -> Option<ImageCopy> {
        let image = self.base_images.get(id)?;
        let collection = self.collections.get(&id.collection)?;
        Some(ImageCopy::new(
            id.version.clone(),
            collection.system_model.clone(),
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
