//! What has to be recorded so that the catalog says what a draft says.

use std::collections::{BTreeSet, HashMap};

use super::{
    Artifact, BaseImage, CatalogEvent, CatalogState, Channel, Collection, Group, NewBaseImage,
    NewChannel, NewCollection, NewGroup, NewSystemModel, SystemModel,
    check::{
        BASE_IMAGES_MAX, Check, DECLARATION_BYTES_MAX, DESCRIPTION_BYTES_MAX, DEVICES_MAX,
        GROUPS_MAX, NAME_BYTES_MAX, OF_A_KIND_MAX, PART_NUMBER_BYTES_MAX, PART_NUMBERS_MAX,
        RELEASE_NOTES_BYTES_MAX, VERSION_BYTES_MAX, shown,
    },
    draft::Item,
    weight::weight,
};
use crate::{
    BaseImageId, ChannelId, CollectionId, GroupId, Invalid, Selector, SystemModelId,
    VersionRequirement,
};

pub(super) fn plan<'a>(
    items: impl Iterator<Item = &'a Item>,
    state: &CatalogState,
) -> Result<Vec<CatalogEvent>, Invalid> {
    let mut plan = Plan {
        state: state.clone(),
        events: vec![],
        bytes: 0,
        seen: HashMap::new(),
        invalid: Invalid::default(),
    };
    for item in items {
        plan.item(item);
    }
    if plan.bytes > DECLARATION_BYTES_MAX {
        let why = format!(
            "it would write up to {} bytes at once, {DECLARATION_BYTES_MAX} is the limit; declare it in parts",
            plan.bytes
        );
        plan.invalid.add("catalog", why);
    }
    plan.invalid.or(plan.events)
}

struct Plan<'a> {
    /// As it will be after `events`.
    state: CatalogState,
    events: Vec<CatalogEvent>,
    /// What `events` may take as JSON.
    bytes: usize,
    /// What the draft has said so far, by kind and handle.
    seen: HashMap<(&'static str, &'a str), &'a Item>,
    invalid: Invalid,
}

impl<'a> Plan<'a> {
    fn item(&mut self, item: &'a Item) {
        let (kind, handle) = match item {
            Item::SystemModel(new) => ("system_models", &new.handle),
            Item::Collection(new) => ("collections", &new.handle),
            Item::BaseImage(new) => ("base_images", &new.id),
            Item::Group(new) => ("groups", &new.handle),
            Item::Channel(new) => ("channels", &new.handle),
        };
        let check = &mut Check::new(kind, handle);
        if let Some(before) = self.seen.insert((kind, handle), item)
            && before != item
        {
            // Each start would write both, one after the other.
            check.wrong("", "this draft declares it twice, and not the same");
        }
        let event = match item {
            Item::SystemModel(new) => self.system_model(new, check),
            Item::Collection(new) => self.collection(new, check),
            Item::BaseImage(new) => self.base_image(new, check),
            Item::Group(new) => self.group(new, check),
            Item::Channel(new) => self.channel(new, check),
        };
        if let Some(event) = event
            && check.invalid.0.is_empty()
        {
            self.bytes = self.bytes.saturating_add(weight(&event));
            self.state.apply(self.state.last_at, &event);
            self.events.push(event);
        }
        self.invalid.0.append(&mut check.invalid.0);
    }

    fn system_model(&self, new: &NewSystemModel, check: &mut Check) -> Option<CatalogEvent> {
        let NewSystemModel {
            handle,
            name,
            part_numbers,
        } = new;
        let system_model: Option<SystemModelId> = check.parse("", handle);
        check.name(name.as_deref());
        check.at_most("part_numbers", part_numbers.len(), PART_NUMBERS_MAX);
        for number in part_numbers {
            check.line("part_numbers", number, PART_NUMBER_BYTES_MAX);
        }
        let others = self.state.system_models.iter();
        for (other, model) in others.filter(|(other, _)| other.as_str() != handle) {
            for number in part_numbers.intersection(&model.part_numbers) {
                let why = format!("{:?} is {other}'s already", shown(number));
                check.wrong("part_numbers", why);
            }
        }
        let system_model = system_model?;
        let present = self.state.system_models.get(&system_model);
        is_room(
            present,
            self.state.system_models.len(),
            OF_A_KIND_MAX,
            check,
        );
        let declared = SystemModel {
            name: name.clone(),
            part_numbers: part_numbers.clone(),
        };
        (present != Some(&declared)).then_some(CatalogEvent::SystemModelDeclared {
            system_model,
            name: declared.name,
            part_numbers: declared.part_numbers,
        })
    }

    fn collection(&self, new: &NewCollection, check: &mut Check) -> Option<CatalogEvent> {
        let collection: Option<CollectionId> = check.parse("", &new.handle);
        let system_model: Option<SystemModelId> = check.parse("system_model", &new.system_model);
        check.name(new.name.as_deref());
        let (collection, system_model) = (collection?, system_model?);
        let present = self.state.collections.get(&collection);
        is_room(present, self.state.collections.len(), OF_A_KIND_MAX, check);
        let declared = Collection {
            name: new.name.clone(),
            system_model,
        };
        if present == Some(&declared) {
            return None;
        }
        let Collection { name, system_model } = declared;
        if let Some(present) = present {
            if present.system_model != system_model {
                let why = format!(
                    "it holds the images of {} and can't hold {system_model}'s (T1)",
                    present.system_model
                );
                check.wrong("", why);
            }
        } else {
            let mut others = self.state.collections.iter();
            let other = others.find(|(_, other)| other.system_model == system_model);
            if let Some((other, _)) = other {
                let why = format!("{system_model} has the collection {other} already (T1)");
                check.wrong("system_model", why);
            }
        }
        Some(CatalogEvent::CollectionDeclared {
            collection,
            system_model,
            name,
        })
    }

    fn base_image(&self, new: &NewBaseImage, check: &mut Check) -> Option<CatalogEvent> {
        new.artifact.validate(&check.field, &mut check.invalid);
        let starting_version_requirement = check.parse_any::<VersionRequirement>(
            "starting_version_requirement",
            new.starting_version_requirement.as_deref(),
        );
        let display_names =
            check.texts("display_names", &new.display_names, |check, part, text| {
                check.line(part, text, NAME_BYTES_MAX);
            });
        let descriptions = check.texts("descriptions", &new.descriptions, |check, part, text| {
            check.text(part, text, DESCRIPTION_BYTES_MAX);
        });
        let release_notes =
            check.texts("release_notes", &new.release_notes, |check, part, text| {
                check.text(part, text, RELEASE_NOTES_BYTES_MAX);
            });
        let id: BaseImageId = check.parse("", &new.id)?;
        let version_bytes = id.version.to_string().len();
        if version_bytes > VERSION_BYTES_MAX {
            let why = format!(
                "a version of {version_bytes} bytes is too long, {VERSION_BYTES_MAX} is the limit"
            );
            check.wrong("", why);
        }
        if !self.state.collections.contains_key(&id.collection) {
            check.wrong("", format!("there is no collection {}", id.collection));
        }
        let present = self.state.base_images.get(&id);
        is_room(
            present,
            self.state.base_images.len(),
            BASE_IMAGES_MAX,
            check,
        );
        if let Some(BaseImage { artifact, .. }) = present {
            never_changes(artifact, &new.artifact, check);
        }
        let declared = BaseImage {
            artifact: new.artifact.clone(),
            starting_version_requirement,
            display_names,
            descriptions,
            release_notes,
        };
        if present == Some(&declared) {
            return None;
        }
        let BaseImageId {
            collection,
            version,
        } = id;
        Some(CatalogEvent::BaseImageDeclared {
            collection,
            version,
            artifact: declared.artifact,
            starting_version_requirement: declared.starting_version_requirement,
            display_names: declared.display_names,
            descriptions: declared.descriptions,
            release_notes: declared.release_notes,
        })
    }

    fn group(&self, new: &NewGroup, check: &mut Check) -> Option<CatalogEvent> {
        let group: Option<GroupId> = check.parse("", &new.handle);
        check.name(new.name.as_deref());
        let selector = check.parse_any::<Selector>("selector", new.selector.as_deref());
        check.at_most("devices", new.devices.len(), DEVICES_MAX);
        let devices = new.devices.iter();
        // A set of texts is in order, and ids are ordered as their texts.
        let devices = devices.filter_map(|device| check.parse("devices", device));
        let devices = devices.collect();
        let group = group?;
        let present = self.state.groups.get(&group);
        is_room(present, self.state.groups.len(), OF_A_KIND_MAX, check);
        let declared = Group {
            name: new.name.clone(),
            selector,
            devices,
        };
        (present != Some(&declared)).then_some(CatalogEvent::GroupDeclared {
            group,
            name: declared.name,
            selector: declared.selector,
            devices: declared.devices,
        })
    }

    fn channel(&self, new: &NewChannel, check: &mut Check) -> Option<CatalogEvent> {
        let channel: Option<ChannelId> = check.parse("", &new.handle);
        check.name(new.name.as_deref());
        check.at_most("groups", new.groups.len(), GROUPS_MAX);
        let mut groups: Vec<GroupId> = vec![];
        let mut seen = BTreeSet::new();
        for group in &new.groups {
            let Some(group) = check.parse::<GroupId>("groups", group) else {
                continue;
            };
            if !self.state.groups.contains_key(&group) {
                check.wrong("groups", format!("there is no group {group}"));
            } else if seen.insert(group.clone()) {
                groups.push(group);
            }
        }
        let channel = channel?;
        let present = self.state.channels.get(&channel);
        is_room(present, self.state.channels.len(), OF_A_KIND_MAX, check);
        let declared = Channel {
            name: new.name.clone(),
            groups,
        };
        (present != Some(&declared)).then_some(CatalogEvent::ChannelDeclared {
            channel,
            name: declared.name,
            groups: declared.groups,
        })
    }
}

/// T4: an image's size and digest.
fn never_changes(present: &Artifact, new: &Artifact, check: &mut Check) {
    let Artifact { size, sha256, .. } = present;
    if (*size, *sha256) != (new.size, new.sha256) {
        let why = format!(
            "it is declared with {size} bytes of SHA-256 {sha256} and never changes (T4); \
             {} bytes of {} need a version of their own",
            new.size, new.sha256
        );
        check.wrong("", why);
    }
}

fn is_room<T>(present: Option<&T>, count: usize, max: usize, check: &mut Check) {
    if present.is_none() && count >= max {
        check.wrong("", format!("there are {count} already, which is the limit"));
    }
}
