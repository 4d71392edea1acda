//! What a [`Catalog`](super::Catalog) is made of, as an application writes it.
//!
//! Plain values: they are checked, all at once, when they are declared.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::Artifact;

/// A System Model with more than a handle.
///
/// A Collection declares its System Model by naming it; this one adds a name for people and the part
/// numbers of the boards that are of this model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NewSystemModel {
    pub(super) handle: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(super) part_numbers: BTreeSet<String>,
}

impl NewSystemModel {
    /// A System Model by its handle, such as `gateway-g2`, as devices name it.
    pub fn new(handle: &str) -> Self {
        Self {
            handle: handle.into(),
            name: None,
            part_numbers: BTreeSet::new(),
        }
    }

    /// Names it for people, in at most 256 bytes.
    pub fn name(mut self, name: &str) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Adds a part number. No other System Model may have it; 128 bytes and 1,000 of them at most.
    pub fn part_number(mut self, part_number: &str) -> Self {
        self.part_numbers.insert(part_number.into());
        self
    }
}

/// A Base Image Collection with more than its two handles.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NewCollection {
    pub(super) handle: String,
    pub(super) system_model: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<String>,
}

impl NewCollection {
    /// A Collection and its System Model, which has at most this one (T1).
    pub fn new(handle: &str, system_model: &str) -> Self {
        Self {
            handle: handle.into(),
            system_model: system_model.into(),
            name: None,
        }
    }

    /// Names it for people, in at most 256 bytes.
    pub fn name(mut self, name: &str) -> Self {
        self.name = Some(name.into());
        self
    }
}

/// A Base Image: its file, what it may be installed over, and its texts for people, by language.
///
/// Texts, URL and requirement may be declared anew; version, size and digest never change (T4). A
/// language is a BCP 47 tag such as `en` or `pt-BR`; 100 languages at most. A second text of one
/// kind in the same language replaces the first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NewBaseImage {
    pub(super) id: String,
    pub(super) artifact: Artifact,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) starting_version_requirement: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) display_names: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) descriptions: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) release_notes: BTreeMap<String, String>,
}

impl NewBaseImage {
    /// A Base Image, named `COLLECTION@VERSION` (T1), that can be installed over any version.
    pub fn new(id: &str, artifact: impl Into<Artifact>) -> Self {
        Self {
            id: id.into(),
            artifact: artifact.into(),
            starting_version_requirement: None,
            display_names: BTreeMap::new(),
            descriptions: BTreeMap::new(),
            release_notes: BTreeMap::new(),
        }
    }

    /// Installs it only over versions that meet this Version Requirement (E5), such as
    /// `>= 1.2.0 and < 2.0.0`.
    pub fn starting_version_requirement(mut self, requirement: &str) -> Self {
        self.starting_version_requirement = Some(requirement.into());
        self
    }

    /// What the release is called, in one language: one line of at most 256 bytes.
    pub fn display_name(mut self, language: &str, name: &str) -> Self {
        self.display_names.insert(language.into(), name.into());
        self
    }

    /// What the release is, in one language: at most 16 KiB.
    pub fn description(mut self, language: &str, text: &str) -> Self {
        self.descriptions.insert(language.into(), text.into());
        self
    }

    /// What is new in it, in one language: at most 64 KiB.
    pub fn release_notes(mut self, language: &str, text: &str) -> Self {
        self.release_notes.insert(language.into(), text.into());
        self
    }
}

/// A Group: the devices that a selector holds for, those of an explicit list, or both (T2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NewGroup {
    pub(super) handle: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) selector: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(super) devices: BTreeSet<String>,
}

impl NewGroup {
    /// A Group that holds no device yet.
    pub fn new(handle: &str) -> Self {
        Self {
            handle: handle.into(),
            name: None,
            selector: None,
            devices: BTreeSet::new(),
        }
    }

    /// Names it for people, in at most 256 bytes.
    pub fn name(mut self, name: &str) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Holds the devices that this selector holds for (T3), such as `"pilot" in tags`.
    pub fn selector(mut self, selector: &str) -> Self {
        self.selector = Some(selector.into());
        self
    }

    /// Holds these devices as well, by id; 100,000 at most.
    pub fn devices<D: Into<String>>(mut self, devices: impl IntoIterator<Item = D>) -> Self {
        self.devices.extend(devices.into_iter().map(Into::into));
        self
    }
}

/// A Channel: a set of Groups (T2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NewChannel {
    pub(super) handle: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<String>,
    pub(super) groups: Vec<String>,
}

impl NewChannel {
    /// A Channel of these Groups; 1,000 at most.
    pub fn new(handle: &str, groups: &[&str]) -> Self {
        Self {
            handle: handle.into(),
            name: None,
            groups: groups.iter().map(|&group| group.into()).collect(),
        }
    }

    /// Names it for people, in at most 256 bytes.
    pub fn name(mut self, name: &str) -> Self {
        self.name = Some(name.into());
        self
    }
}
