//! Deleting what was declared, unless something uses it (T4).

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{CatalogEvent, CatalogState};
use crate::{
    BaseImageId, CampaignId, ChannelId, CollectionId, GroupId, ManualUpdateId, NewCampaign,
    Rejection, State, StreamId, SystemModelId,
    campaign::{ManualSource, ManualUpdate},
};

/// One thing that the catalog has, by its name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum CatalogItem {
    /// A System Model.
    SystemModel(SystemModelId),
    /// A Base Image Collection.
    Collection(CollectionId),
    /// A Base Image.
    BaseImage(BaseImageId),
    /// A Group.
    Group(GroupId),
    /// A Channel.
    Channel(ChannelId),
}

/// What uses something that the catalog has (T4).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum CatalogUser {
    /// A campaign: its Base Image until it is finished and drained, its Channel until it has started.
    Campaign(CampaignId),
    /// A manual update: its Base Image until it has ended.
    ManualUpdate(ManualUpdateId),
    /// A stream that can't be read, so that it may use anything.
    Unread(StreamId),
    /// A Channel: its Groups.
    Channel(ChannelId),
    /// A Base Image: its Collection.
    BaseImage(BaseImageId),
    /// A Collection: its System Model.
    Collection(CollectionId),
}

/// That something outside the catalog uses what it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Use {
    user: CatalogUser,
    /// `None`: whatever there is.
    items: Option<Vec<CatalogItem>>,
}

impl Use {
    /// What a campaign or manual update uses: its image until it is finished and drained, a campaign
    /// its Channel until it has started. `None`: nothing.
    pub fn of(state: &State) -> Option<Self> {
        if state.is_over() {
            return None;
        }
        if let Some(spec) = state.spec() {
            let mut items = vec![spec.base_image.clone().into()];
            if state.started_at().is_none() {
                items.push(spec.channel.clone().into());
            }
            return Some(Self::new(CatalogUser::Campaign(state.id()), items));
        }
        Self::of_manual(ManualUpdateId(state.stream().uuid()), state.manual()?)
    }

    /// What a manual update uses until it has ended. `None`: nothing.
    pub fn of_manual(id: ManualUpdateId, update: &ManualUpdate) -> Option<Self> {
        match &update.source {
            ManualSource::BaseImage { base_image, .. } => {
                let items = vec![base_image.clone().into()];
                Some(Self::new(CatalogUser::ManualUpdate(id), items))
            }
            _ => None,
        }
    }

    /// What a campaign is about to use, whose creation or edit the catalog has passed.
    pub fn of_draft(campaign: CampaignId, draft: &NewCampaign) -> Self {
        let items = vec![
            draft.base_image().clone().into(),
            draft.channel().clone().into(),
        ];
        Self::new(CatalogUser::Campaign(campaign), items)
    }

    /// What a campaign or manual update may use whose log can't be read: any image and Channel.
    pub fn unread(stream: StreamId) -> Self {
        Self {
            user: CatalogUser::Unread(stream),
            items: None,
        }
    }

    fn new(user: CatalogUser, items: Vec<CatalogItem>) -> Self {
        Self {
            user,
            items: Some(items),
        }
    }

    fn is_of(&self, item: &CatalogItem) -> bool {
        self.items.as_ref().map_or_else(
            || matches!(item, CatalogItem::BaseImage(_) | CatalogItem::Channel(_)),
            |items| items.contains(item),
        )
    }
}

impl CatalogState {
    /// The event that deletes `item`. `uses` is what campaigns and manual updates use.
    ///
    /// # Errors
    /// [`Rejection::NotDeclared`], or [`Rejection::InUse`] by what: a Base Image by campaigns until
    /// they are finished and drained and by manual updates until they have ended, a Channel by campaigns until they have started, a Group by
    /// Channels, a Collection by its images, a System Model by its Collection.
    pub fn delete(&self, item: &CatalogItem, uses: &[Use]) -> Result<CatalogEvent, Rejection> {
        if !self.has(item) {
            return Err(Rejection::NotDeclared { item: item.clone() });
        }
        let outside = uses.iter().filter(|one| one.is_of(item));
        let mut found: Vec<_> = outside.map(|one| one.user.clone()).collect();
        found.extend(self.users_within(item));
        found.sort_unstable();
        found.dedup();
        if !found.is_empty() {
            return Err(Rejection::InUse {
                item: item.clone(),
                users: found,
            });
        }
        Ok(match item.clone() {
            CatalogItem::SystemModel(system_model) => {
                CatalogEvent::SystemModelDeleted { system_model }
            }
            CatalogItem::Collection(collection) => CatalogEvent::CollectionDeleted { collection },
            CatalogItem::BaseImage(BaseImageId {
                collection,
                version,
            }) => CatalogEvent::BaseImageDeleted {
                collection,
                version,
            },
            CatalogItem::Group(group) => CatalogEvent::GroupDeleted { group },
            CatalogItem::Channel(channel) => CatalogEvent::ChannelDeleted { channel },
        })
    }

    fn has(&self, item: &CatalogItem) -> bool {
        match item {
            CatalogItem::SystemModel(id) => self.system_models.contains_key(id),
            CatalogItem::Collection(id) => self.collections.contains_key(id),
            CatalogItem::BaseImage(id) => self.base_images.contains_key(id),
            CatalogItem::Group(id) => self.groups.contains_key(id),
            CatalogItem::Channel(id) => self.channels.contains_key(id),
        }
    }

    /// What the catalog itself says of it.
    fn users_within(&self, item: &CatalogItem) -> Vec<CatalogUser> {
        match item {
            CatalogItem::SystemModel(id) => {
                let all = self.collections.iter();
                let own = all.filter(|(_, collection)| collection.system_model == *id);
                own.map(|(user, _)| CatalogUser::Collection(user.clone()))
                    .collect()
            }
            CatalogItem::Collection(id) => {
                let all = self.base_images.keys();
                let own = all.filter(|image| image.collection == *id);
                own.cloned().map(CatalogUser::BaseImage).collect()
            }
            CatalogItem::Group(id) => {
                let all = self.channels.iter();
                let with = all.filter(|(_, channel)| channel.groups.contains(id));
                with.map(|(user, _)| CatalogUser::Channel(user.clone()))
                    .collect()
            }
            CatalogItem::BaseImage(_) | CatalogItem::Channel(_) => vec![],
        }
    }
}

impl fmt::Display for CatalogItem {
    /// `base image gateway-os@1.4.0`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SystemModel(id) => write!(f, "system model {id}"),
            Self::Collection(id) => write!(f, "collection {id}"),
            Self::BaseImage(id) => write!(f, "base image {id}"),
            Self::Group(id) => write!(f, "group {id}"),
            Self::Channel(id) => write!(f, "channel {id}"),
        }
    }
}

impl fmt::Display for CatalogUser {
    /// `channel pilot`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Campaign(id) => write!(f, "campaign {id}"),
            Self::ManualUpdate(id) => write!(f, "manual update {id}"),
            Self::Unread(stream) => write!(f, "{stream}, which can't be read,"),
            Self::Channel(id) => write!(f, "channel {id}"),
            Self::BaseImage(id) => write!(f, "base image {id}"),
            Self::Collection(id) => write!(f, "collection {id}"),
        }
    }
}

macro_rules! item_of {
    ($($kind:ident($id:ident)),*) => {$(
        impl From<$id> for CatalogItem {
            fn from(id: $id) -> Self { Self::$kind(id) }
        }
    )*};
}

item_of! {
    SystemModel(SystemModelId), Collection(CollectionId), BaseImage(BaseImageId),
    Group(GroupId), Channel(ChannelId)
}
