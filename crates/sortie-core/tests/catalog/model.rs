//! Any sequence of declarations and deletions, against a model that is as plain as it can be.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use sortie_core::{
    CampaignId, CatalogEvent, CatalogItem, CatalogState, CatalogUser, Rejection, State, Timestamp,
    catalog::{Catalog, NewBaseImage, NewSystemModel},
};

use crate::{Stage, artifact, campaign, uses};

/// Names are one digit; an image is its collection's digit and its version's.
#[derive(Debug, Clone)]
enum Step {
    Model {
        model: u8,
        part: Option<u8>,
    },
    Collection {
        collection: u8,
        model: u8,
    },
    Image {
        image: (u8, u8),
        digest: u8,
        notes: u8,
    },
    Group {
        group: u8,
        tag: u8,
    },
    Channel {
        channel: u8,
        groups: BTreeSet<u8>,
    },
    Delete(Item),
    /// A campaign is there, at this stage, instead of what was there under its number.
    Campaign {
        number: u8,
        image: (u8, u8),
        channel: u8,
        stage: Stage,
    },
}

#[derive(Debug, Clone)]
enum Item {
    Model(u8),
    Collection(u8),
    Image((u8, u8)),
    Group(u8),
    Channel(u8),
}

/// The rules once more, over digits.
#[derive(Debug, Default, PartialEq)]
struct Model {
    models: BTreeMap<u8, Option<u8>>,
    collections: BTreeMap<u8, u8>,
    images: BTreeMap<(u8, u8), (u8, u8)>,
    groups: BTreeMap<u8, u8>,
    channels: BTreeMap<u8, BTreeSet<u8>>,
}

type Campaigns = BTreeMap<u8, ((u8, u8), u8, Stage)>;

impl Model {
    /// Whether it is accepted.
    fn step(&mut self, step: &Step, campaigns: &Campaigns) -> bool {
        match step {
            Step::Model { model, part } => {
                let others = self.models.iter().filter(|(other, _)| *other != model);
                if part.is_some() && others.into_iter().any(|(_, theirs)| theirs == part) {
                    return false;
                }
                self.models.insert(*model, *part);
            }
            Step::Collection { collection, model } => {
                let clashes = |(c, m): (&u8, &u8)| (c == collection) != (m == model);
                if self.collections.iter().any(clashes) {
                    return false;
                }
                self.models.entry(*model).or_insert(None);
                self.collections.insert(*collection, *model);
            }
            Step::Image {
                image,
                digest,
                notes,
            } => {
                let other = self
                    .images
                    .get(image)
                    .is_some_and(|(present, _)| present != digest);
                if other || !self.collections.contains_key(&image.0) {
                    return false;
                }
                self.images.insert(*image, (*digest, *notes));
            }
            Step::Group { group, tag } => {
                self.groups.insert(*group, *tag);
            }
            Step::Channel { channel, groups } => {
                if groups.iter().any(|group| !self.groups.contains_key(group)) {
                    return false;
                }
                self.channels.insert(*channel, groups.clone());
            }
            Step::Delete(item) => return self.delete(item, campaigns),
            Step::Campaign { .. } => {}
        }
        true
    }

    fn delete(&mut self, item: &Item, campaigns: &Campaigns) -> bool {
        if !self.users(item, campaigns).is_empty() {
            return false;
        }
        match item {
            Item::Model(id) => self.models.remove(id).is_some(),
            Item::Collection(id) => self.collections.remove(id).is_some(),
            Item::Image(id) => self.images.remove(id).is_some(),
            Item::Group(id) => self.groups.remove(id).is_some(),
            Item::Channel(id) => self.channels.remove(id).is_some(),
        }
    }

    fn users(&self, item: &Item, campaigns: &Campaigns) -> BTreeSet<CatalogUser> {
        let campaigns = campaigns.iter();
        let campaign = |number: &u8| CatalogUser::Campaign(campaign_id(*number));
        match item {
            Item::Model(id) => {
                let all = self.collections.iter().filter(|(_, model)| *model == id);
                all.map(|(c, _)| CatalogUser::Collection(name('c', *c).parse().unwrap()))
                    .collect()
            }
            Item::Collection(id) => {
                let all = self
                    .images
                    .keys()
                    .filter(|(collection, _)| collection == id);
                all.map(|image| CatalogUser::BaseImage(image_name(*image).parse().unwrap()))
                    .collect()
            }
            Item::Group(id) => {
                let all = self
                    .channels
                    .iter()
                    .filter(|(_, groups)| groups.contains(id));
                all.map(|(c, _)| CatalogUser::Channel(name('h', *c).parse().unwrap()))
                    .collect()
            }
            Item::Image(id) => campaigns
                .filter(|(_, (image, _, stage))| {
                    image == id && !matches!(stage, Stage::Over | Stage::Deleted)
                })
                .map(|(number, _)| campaign(number))
                .collect(),
            Item::Channel(id) => campaigns
                .filter(|(_, (_, channel, stage))| channel == id && *stage == Stage::Created)
                .map(|(number, _)| campaign(number))
                .collect(),
        }
    }

    /// What a state says, in digits.
    fn of(state: &CatalogState) -> Self {
        let digit = |text: &str| text.bytes().last().unwrap() - b'0';
        Self {
            models: state
                .system_models()
                .iter()
                .map(|(id, model)| {
                    (
                        digit(id.as_str()),
                        model.part_numbers.first().map(|part| digit(part)),
                    )
                })
                .collect(),
            collections: state
                .collections()
                .iter()
                .map(|(id, c)| (digit(id.as_str()), digit(c.system_model.as_str())))
                .collect(),
            images: state
                .base_images()
                .iter()
                .map(|(id, image)| {
                    let version = u8::try_from(id.version.major).unwrap();
                    let notes = digit(image.release_notes.values().next().unwrap());
                    (
                        (digit(id.collection.as_str()), version),
                        (image.artifact.sha256.0[0], notes),
                    )
                })
                .collect(),
            groups: state
                .groups()
                .iter()
                .map(|(id, group)| {
                    let selector = group.selector.as_ref().unwrap();
                    (digit(id.as_str()), selector.as_str().as_bytes()[1] - b'0')
                })
                .collect(),
            channels: state
                .channels()
                .iter()
                .map(|(id, c)| {
                    let groups = c.groups.iter().map(|group| digit(group.as_str()));
                    (digit(id.as_str()), groups.collect())
                })
                .collect(),
        }
    }
}

fn name(kind: char, digit: u8) -> String {
    format!("{kind}-{digit}")
}

fn image_name((collection, version): (u8, u8)) -> String {
    format!("c-{collection}@{version}.0.0")
}

fn campaign_id(number: u8) -> CampaignId {
    CampaignId::from_name(&number.to_string())
}

fn draft(step: &Step) -> Option<Catalog> {
    let new = Catalog::new();
    Some(match step {
        Step::Model { model, part } => {
            let new_model = NewSystemModel::new(&name('m', *model));
            new.with(part.iter().fold(new_model, |model, part| {
                model.part_number(&name('p', *part))
            }))
        }
        Step::Collection { collection, model } => {
            new.collection(&name('c', *collection), &name('m', *model))
        }
        Step::Image {
            image,
            digest,
            notes,
        } => {
            let image = NewBaseImage::new(&image_name(*image), artifact(*digest));
            new.with(image.release_notes("en", &notes.to_string()))
        }
        Step::Group { group, tag } => new.group(&name('g', *group), &format!("\"{tag}\" in tags")),
        Step::Channel { channel, groups } => {
            let groups: Vec<_> = groups.iter().map(|group| name('g', *group)).collect();
            let groups: Vec<_> = groups.iter().map(String::as_str).collect();
            new.channel(&name('h', *channel), &groups)
        }
        Step::Delete(_) | Step::Campaign { .. } => return None,
    })
}

fn item(item: &Item) -> CatalogItem {
    match item {
        Item::Model(id) => CatalogItem::SystemModel(name('m', *id).parse().unwrap()),
        Item::Collection(id) => CatalogItem::Collection(name('c', *id).parse().unwrap()),
        Item::Image(id) => CatalogItem::BaseImage(image_name(*id).parse().unwrap()),
        Item::Group(id) => CatalogItem::Group(name('g', *id).parse().unwrap()),
        Item::Channel(id) => CatalogItem::Channel(name('h', *id).parse().unwrap()),
    }
}

fn step() -> impl Strategy<Value = Step> {
    let image = || (0_u8..2, 1_u8..3);
    let kind = prop_oneof![
        (0_u8..3).prop_map(Item::Model),
        (0_u8..2).prop_map(Item::Collection),
        image().prop_map(Item::Image),
        (0_u8..3).prop_map(Item::Group),
        (0_u8..2).prop_map(Item::Channel),
    ];
    let stage = prop_oneof![
        Just(Stage::Created),
        Just(Stage::Started),
        Just(Stage::Draining),
        Just(Stage::Over),
        Just(Stage::Deleted),
    ];
    let groups = prop::collection::btree_set(0_u8..3, 0..3);
    prop_oneof![
        1 => (0_u8..3, prop::option::of(0_u8..2)).prop_map(|(model, part)| Step::Model { model, part }),
        1 => (0_u8..2, 0_u8..3).prop_map(|(collection, model)| Step::Collection { collection, model }),
        1 => (image(), 0_u8..2, 0_u8..2)
            .prop_map(|(image, digest, notes)| Step::Image { image, digest, notes }),
        1 => (0_u8..3, 0_u8..2).prop_map(|(group, tag)| Step::Group { group, tag }),
        1 => (0_u8..2, groups).prop_map(|(channel, groups)| Step::Channel { channel, groups }),
        3 => kind.prop_map(Step::Delete),
        1 => (0_u8..2, image(), 0_u8..2, stage).prop_map(|(number, image, channel, stage)| {
            Step::Campaign { number, image, channel, stage }
        }),
    ]
}

fn run(steps: &[Step]) {
    let mut state = CatalogState::default();
    let mut model = Model::default();
    let mut campaigns = Campaigns::new();
    let mut log: Vec<CatalogEvent> = vec![];
    for step in steps {
        if let Step::Campaign {
            number,
            image,
            channel,
            stage,
        } = step
        {
            campaigns.insert(*number, (*image, *channel, *stage));
            continue;
        }
        let users = match step {
            Step::Delete(item) => model.users(item, &campaigns),
            _ => BTreeSet::new(),
        };
        let accepted = model.step(step, &campaigns);
        let events = if let Step::Delete(digit) = step {
            let of = |(number, (image, channel, stage)): (&u8, &((u8, u8), u8, Stage))| -> State {
                campaign(
                    campaign_id(*number),
                    &image_name(*image),
                    &name('h', *channel),
                    *stage,
                )
            };
            let all: Vec<_> = campaigns.iter().map(of).collect();
            let answer = state.delete(&item(digit), &uses(&all));
            if let Err(Rejection::InUse { users: named, .. }) = &answer {
                assert_eq!(
                    named.iter().cloned().collect::<BTreeSet<_>>(),
                    users,
                    "{step:?}"
                );
            }
            answer
                .map(|event| vec![event])
                .map_err(|error| error.to_string())
        } else {
            let draft = draft(step).unwrap();
            let planned = draft.plan(&state).map_err(|error| error.to_string());
            if let Ok(events) = &planned {
                let mut after = state.clone();
                for event in events {
                    after.apply(Timestamp(0), event);
                }
                assert_eq!(draft.plan(&after).unwrap(), [], "T4: {step:?} writes again");
            }
            planned
        };
        assert_eq!(events.is_ok(), accepted, "{step:?}: {events:?}");
        for event in events.unwrap_or_default() {
            state.apply(Timestamp(0), &event);
            log.push(event);
        }
        assert_eq!(Model::of(&state), model, "after {step:?}");
    }
    let json = serde_json::to_string(&log).unwrap();
    let mut folded = CatalogState::default();
    for event in serde_json::from_str::<Vec<CatalogEvent>>(&json).unwrap() {
        folded.apply(Timestamp(0), &event);
    }
    assert_eq!(folded, state, "invariant 6: the fold of the log");
}

proptest! {
    /// T1, T2, T4 and invariant 6.
    #[test]
    fn any_declarations_and_deletions_agree_with_a_plain_model(
        steps in prop::collection::vec(step(), 0..80),
    ) {
        run(&steps);
    }
}
