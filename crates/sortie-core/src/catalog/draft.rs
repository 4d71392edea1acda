//! What an application declares, the same at every start.

use serde::{Deserialize, Serialize};
use sortie_protocol::DeviceId;

use super::{Artifact, CatalogEvent, CatalogState};
use crate::{
    BaseImageId, ChannelId, CollectionId, GroupId, Invalid, Selector, SystemModelId,
    VersionRequirement,
};

/// A draft of System Models, Collections, Base Images, Groups and Channels.
///
/// Declaring writes only what differs from what was declared before, and deletes nothing (T4).
/// Names may refer to what this draft declares earlier, or to what was declared before it. All
/// errors come at once, when it is declared.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Catalog {
    items: Vec<Item>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Item {
    Collection {
        collection: String,
        system_model: String,
    },
    BaseImage {
        image: String,
        artifact: Artifact,
        requirement: Option<String>,
    },
    Group {
        group: String,
        selector: Option<String>,
        devices: Vec<String>,
    },
    Channel {
        channel: String,
        groups: Vec<String>,
    },
}

impl Catalog {
    /// An empty draft.
    pub fn new() -> Self {
        Self::default()
    }

    /// A Base Image Collection and its System Model, which has at most this one (T1).
    pub fn collection(mut self, collection: &str, system_model: &str) -> Self {
        let [collection, system_model] = [collection, system_model].map(Into::into);
        self.items.push(Item::Collection {
            collection,
            system_model,
        });
        self
    }

    /// A Base Image, named `COLLECTION@VERSION` (T1), that can be installed over any version.
    pub fn base_image(mut self, image: &str, artifact: impl Into<Artifact>) -> Self {
        let artifact = artifact.into();
        self.items.push(Item::BaseImage {
            image: image.into(),
            artifact,
            requirement: None,
        });
        self
    }

    /// A Base Image that is installed only over versions which meet `starting` (E5), such as
    /// `>= 1.2.0 and < 2.0.0`.
    pub fn base_image_over(
        mut self,
        image: &str,
        artifact: impl Into<Artifact>,
        starting: &str,
    ) -> Self {
        let requirement = Some(starting.into());
        let artifact = artifact.into();
        self.items.push(Item::BaseImage {
            image: image.into(),
            artifact,
            requirement,
        });
        self
    }

    /// A Group by selector (T3), such as `"pilot" in tags`.
    pub fn group(mut self, group: &str, selector: &str) -> Self {
        let selector = Some(selector.into());
        self.items.push(Item::Group {
            group: group.into(),
            selector,
            devices: vec![],
        });
        self
    }

    /// A Group by list.
    pub fn group_of(mut self, group: &str, devices: &[&str]) -> Self {
        let devices = devices.iter().map(|&device| device.into()).collect();
        self.items.push(Item::Group {
            group: group.into(),
            selector: None,
            devices,
        });
        self
    }

    /// A Channel: a set of Groups (T2).
    pub fn channel(mut self, channel: &str, groups: &[&str]) -> Self {
        let groups = groups.iter().map(|&group| group.into()).collect();
        self.items.push(Item::Channel {
            channel: channel.into(),
            groups,
        });
        self
    }

    /// The events that make `state` say what this draft says; none if it does already.
    ///
    /// # Errors
    /// All that is malformed, refers to nothing, or would change what must not change (T1, T4).
    pub fn plan(&self, state: &CatalogState) -> Result<Vec<CatalogEvent>, Invalid> {
        let mut plan = Plan {
            state: state.clone(),
            events: vec![],
            invalid: Invalid::default(),
        };
        for item in &self.items {
            plan.item(item);
        }
        plan.invalid.or(plan.events)
    }
}

struct Plan {
    /// As it will be after `events`.
    state: CatalogState,
    events: Vec<CatalogEvent>,
    invalid: Invalid,
}

impl Plan {
    fn item(&mut self, item: &Item) {
        match item {
            Item::Collection {
                collection,
                system_model,
            } => {
                self.collection(collection, system_model);
            }
            Item::BaseImage {
                image,
                artifact,
                requirement,
            } => {
                self.base_image(image, artifact, requirement.as_deref());
            }
            Item::Group {
                group,
                selector,
                devices,
            } => {
                self.group(group, selector.as_deref(), devices);
            }
            Item::Channel { channel, groups } => self.channel(channel, groups),
        }
    }

    fn collection(&mut self, collection: &str, system_model: &str) {
        let field = format!("collections.{collection}");
        let handle = self.parse::<CollectionId>(&field, collection);
        let model = self.parse::<SystemModelId>(&format!("{field}.system_model"), system_model);
        let (Some(collection), Some(system_model)) = (handle, model) else {
            return;
        };
        let mut others = self.state.collections.iter();
        if let Some(present) = self.state.collections.get(&collection) {
            if *present != system_model {
                let why =
                    format!("it holds the images of {present} and can't hold {system_model}'s");
                self.invalid.add(field, why);
            }
        } else if let Some((other, _)) = others.find(|(_, model)| **model == system_model) {
            let why = format!("{system_model} has the collection {other} already (T1)");
            self.invalid.add(format!("{field}.system_model"), why);
        } else {
            self.push(CatalogEvent::CollectionDeclared {
                collection,
                system_model,
            });
        }
    }

    fn base_image(&mut self, image: &str, artifact: &Artifact, requirement: Option<&str>) {
        let field = format!("base_images.{image}");
        artifact.validate(&field, &mut self.invalid);
        let requirement_field = format!("{field}.starting_version_requirement");
        let requirement =
            requirement.map(|text| self.parse::<VersionRequirement>(&requirement_field, text));
        let Some(id) = self.parse::<BaseImageId>(&field, image) else {
            return;
        };
        if !self.state.collections.contains_key(&id.collection) {
            let why = format!("there is no collection {}", id.collection);
            self.invalid.add(field, why);
            return;
        }
        // A requirement that is malformed has been noted.
        let Some(starting_version_requirement) = requirement.map_or(Some(None), |r| r.map(Some))
        else {
            return;
        };
        if let Some(present) = self.state.images.get(&id) {
            let Artifact { size, sha256, .. } = &present.artifact;
            if (*size, *sha256) != (artifact.size, artifact.sha256) {
                let why = format!(
                    "it is declared with {size} bytes of SHA-256 {sha256} and never changes (T4); \
                     {} bytes of {} need a version of their own",
                    artifact.size, artifact.sha256
                );
                self.invalid.add(field, why);
                return;
            }
            let same = present.artifact.url == artifact.url
                && present.starting_version_requirement == starting_version_requirement;
            if same {
                return;
            }
        }
        let BaseImageId {
            collection,
            version,
        } = id;
        let artifact = artifact.clone();
        self.push(CatalogEvent::BaseImageDeclared {
            collection,
            version,
            artifact,
            starting_version_requirement,
        });
    }

    fn group(&mut self, group: &str, selector: Option<&str>, devices: &[String]) {
        let field = format!("groups.{group}");
        let handle = self.parse::<GroupId>(&field, group);
        let selector = selector.map(|s| self.parse::<Selector>(&format!("{field}.selector"), s));
        let mut list: Vec<DeviceId> = devices
            .iter()
            .filter_map(|device| self.parse(&format!("{field}.devices"), device))
            .collect();
        list.sort_unstable();
        list.dedup();
        let (Some(group), Some(selector)) = (handle, selector.map_or(Some(None), |s| s.map(Some)))
        else {
            return;
        };
        let same = |present: &super::Group| present.selector == selector && present.devices == list;
        if !self.state.groups.get(&group).is_some_and(same) {
            self.push(CatalogEvent::GroupDeclared {
                group,
                selector,
                devices: list,
            });
        }
    }

    fn channel(&mut self, channel: &str, groups: &[String]) {
        let field = format!("channels.{channel}");
        let handle = self.parse::<ChannelId>(&field, channel);
        let mut list: Vec<GroupId> = vec![];
        for group in groups {
            let Some(group) = self.parse::<GroupId>(&format!("{field}.groups"), group) else {
                continue;
            };
            if !self.state.groups.contains_key(&group) {
                self.invalid.add(
                    format!("{field}.groups"),
                    format!("there is no group {group}"),
                );
            } else if !list.contains(&group) {
                list.push(group);
            }
        }
        let Some(channel) = handle else { return };
        if self
            .state
            .channels
            .get(&channel)
            .is_none_or(|present| present.groups != list)
        {
            self.push(CatalogEvent::ChannelDeclared {
                channel,
                groups: list,
            });
        }
    }

    fn parse<T: std::str::FromStr<Err: std::fmt::Display>>(
        &mut self,
        field: &str,
        text: &str,
    ) -> Option<T> {
        text.parse()
            .map_err(|error| self.invalid.add(field, error))
            .ok()
    }

    fn push(&mut self, event: CatalogEvent) {
        self.state.apply(self.state.last_at, &event);
        self.events.push(event);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Sha256;

    fn artifact(byte: u8) -> Artifact {
        Artifact::new("http://127.0.0.1/a.bin", 10, Sha256([byte; 32]))
    }

    fn draft() -> Catalog {
        Catalog::new()
            .collection("gateway-os", "gateway-g2")
            .base_image_over("gateway-os@1.4.0", artifact(1), ">= 1.0.0")
            .group("pilot", r#""pilot" in tags"#)
            .group_of("lab", &["gw-2", "gw-1", "gw-2"])
            .channel("pilot", &["pilot", "lab", "pilot"])
    }

    fn declared(draft: &Catalog) -> CatalogState {
        let mut state = CatalogState::default();
        for event in draft.plan(&state).unwrap() {
            state.apply(crate::Timestamp(0), &event);
        }
        state
    }

    #[test]
    fn t4_declaring_the_same_again_writes_nothing_and_a_difference_only() {
        let state = declared(&draft());
        assert_eq!(draft().plan(&state).unwrap(), []);
        let more = draft().channel("all", &["pilot"]);
        assert_eq!(more.plan(&state).unwrap().len(), 1);
    }

    #[test]
    fn t4_an_image_declared_with_another_digest_is_refused_and_both_are_named() {
        let state = declared(&draft());
        let again = Catalog::new().base_image("gateway-os@1.4.0", artifact(2));
        let error = again.plan(&state).unwrap_err().to_string();
        assert!(error.contains("0101") && error.contains("0202"), "{error}");
    }

    #[test]
    fn t1_a_system_model_has_at_most_one_collection() {
        let error = draft()
            .collection("other", "gateway-g2")
            .plan(&CatalogState::default());
        assert!(
            error
                .unwrap_err()
                .to_string()
                .contains("gateway-os already")
        );
    }

    #[test]
    fn s3_all_errors_of_a_draft_are_reported_at_once() {
        let draft = Catalog::new()
            .collection("bad handle", "m")
            .base_image(
                "nothing@1.0.0",
                Artifact::new("ftp://x", 0, Sha256([0; 32])),
            )
            .group("g", "\"x\" in tag")
            .channel("c", &["none"]);
        let Invalid(errors) = draft.plan(&CatalogState::default()).unwrap_err();
        let fields: Vec<_> = errors.iter().map(|e| e.field.as_str()).collect();
        assert_eq!(
            fields,
            [
                "collections.bad handle",
                "base_images.nothing@1.0.0.url",
                "base_images.nothing@1.0.0.size",
                "base_images.nothing@1.0.0",
                "groups.g.selector",
                "channels.c.groups",
            ]
        );
    }

    #[test]
    fn t2_a_group_holds_its_list_and_its_selectors_devices() {
        let state = declared(&draft());
        let groups = state.groups_of(&"pilot".parse().unwrap()).unwrap();
        let device = |id: &str| crate::Device::new(id, "gateway-g2").unwrap();
        let held = |d: &crate::Device| groups.iter().any(|g| g.contains(d, crate::Timestamp(0)));
        assert!(
            held(&device("gw-1")) && held(&device("gw-9").tag("pilot")) && !held(&device("gw-9"))
        );
    }
}
