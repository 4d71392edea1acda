//! What an application declares, the same at every start.

use serde::{Deserialize, Serialize};

use super::{
    Artifact, CatalogEvent, CatalogState, NewBaseImage, NewChannel, NewCollection, NewGroup,
    NewSystemModel, plan,
};
use crate::Invalid;

/// A draft of System Models, Collections, Base Images, Groups and Channels.
///
/// Declaring writes only what differs from what was declared before, and deletes nothing (T4).
/// Names may refer to what this draft declares earlier, or to what was declared before it. What it
/// says twice it must say alike. All errors come at once, when it is declared.
///
/// The short methods say what is always needed; [`Catalog::with`] takes all that can be said.
///
/// ```
/// # use sortie_core::{Sha256, catalog::*};
/// # let artifact = Artifact::new("http://cdn.example.com/gw.bin", 1, Sha256([0; 32]));
/// let image = NewBaseImage::new("gateway-os@1.4.0", artifact)
///     .starting_version_requirement(">= 1.2.0")
///     .display_name("en", "Gateway 1.4")
///     .release_notes("en", "Faster to start.");
/// let catalog = Catalog::new()
///     .with(NewSystemModel::new("gateway-g2").name("Gateway, 2nd generation").part_number("GW-2"))
///     .collection("gateway-os", "gateway-g2")
///     .with(image)
///     .with(NewGroup::new("pilot").selector(r#""pilot" in tags"#).devices(["gw-0001"]))
///     .channel("pilot", &["pilot"]);
/// # catalog.plan(&CatalogState::default())?;
/// # Ok::<(), sortie_core::Invalid>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Catalog {
    items: Vec<Draft>,
}

/// One thing to be declared; made of any of the `New…` values.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Draft(pub(super) Item);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Item {
    SystemModel(NewSystemModel),
    Collection(NewCollection),
    BaseImage(NewBaseImage),
    Group(NewGroup),
    Channel(NewChannel),
}

impl Catalog {
    /// An empty draft.
    pub fn new() -> Self {
        Self::default()
    }

    /// Anything with all that can be said of it: a [`NewSystemModel`], [`NewCollection`],
    /// [`NewBaseImage`], [`NewGroup`] or [`NewChannel`].
    pub fn with(mut self, item: impl Into<Draft>) -> Self {
        self.items.push(item.into());
        self
    }

    /// A Base Image Collection and its System Model, which has at most this one (T1). A System Model
    /// that is not declared yet is declared by this.
    pub fn collection(self, collection: &str, system_model: &str) -> Self {
        self.with(NewCollection::new(collection, system_model))
    }

    /// A Base Image, named `COLLECTION@VERSION` (T1), that can be installed over any version.
    pub fn base_image(self, image: &str, artifact: impl Into<Artifact>) -> Self {
        self.with(NewBaseImage::new(image, artifact))
    }

    /// A Group by selector (T3), such as `"pilot" in tags`.
    pub fn group(self, group: &str, selector: &str) -> Self {
        self.with(NewGroup::new(group).selector(selector))
    }

    /// A Group by list.
    pub fn group_of(self, group: &str, devices: &[&str]) -> Self {
        self.with(NewGroup::new(group).devices(devices.iter().copied()))
    }

    /// A Channel: a set of Groups (T2).
    pub fn channel(self, channel: &str, groups: &[&str]) -> Self {
        self.with(NewChannel::new(channel, groups))
    }

    /// The events that make `state` say what this draft says; none if it does already.
    ///
    /// # Errors
    /// All that is malformed, too large, refers to nothing, or would change what must not change
    /// (T1, T4).
    pub fn plan(&self, state: &CatalogState) -> Result<Vec<CatalogEvent>, Invalid> {
        plan::plan(self.items.iter().map(|Draft(item)| item), state)
    }
}

macro_rules! draft_of {
    ($($kind:ident($new:ident)),*) => {$(
        impl From<$new> for Draft {
            fn from(new: $new) -> Self { Self(Item::$kind(new)) }
        }
    )*};
}

draft_of! {
    SystemModel(NewSystemModel), Collection(NewCollection), BaseImage(NewBaseImage),
    Group(NewGroup), Channel(NewChannel)
}
