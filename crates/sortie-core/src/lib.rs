//! The pure domain of update campaigns: versions, targeting, campaigns, operations, events.
//!
//! Nothing here does I/O, reads a clock, draws a random number, spawns or awaits. A [`Campaign`]
//! takes inputs and the time, and answers with events to append; the log of those events is the
//! truth, and [`State`] is the fold over it. Start reading at [`campaign`].
//!
//! - [`campaign`]: one Update Campaign, or one Manual OTA Update: its events, fold and decisions.
//! - [`catalog`]: System Models, Collections, Base Images, Groups and Channels, folded in the same way.
//! - [`explain`]: why a target is where it is, from the log, and what it waits for, from live state.
//! - `selector/`, `version/`, `attribute/`: the two small languages ([`Selector`],
//!   [`VersionRequirement`]) and what they look at.
//! - `fleet.rs`: what is heard of devices ([`Fleet`]). `claim.rs`: which operation a device's request
//!   register belongs to ([`ClaimRow`]).
//! - [`phrase`]: numbers as people read them.
//!
//! Rules are named as in `docs/rules.md` (`E4`, `P2`, …).
#![forbid(unsafe_code)]

mod attribute;
mod base64;
pub mod campaign;
pub mod catalog;
mod claim;
mod device;
pub mod explain;
mod fleet;
#[cfg(test)]
mod golden;
mod ids;
mod invalid;
pub mod phrase;
mod selector;
mod stream;
mod text;
mod time;
mod version;

pub use attribute::{AttributeValue, Number};
pub use campaign::{
    Campaign, CampaignEvent, CampaignSpec, Command, Counts, Input, ManualSource, ManualUpdate,
    NewCampaign, NewManualUpdate, Outcome, Output, Push, Rejection, Start, State, Status,
    TargetIndex, TargetReason, TargetStatus,
};
pub use catalog::{Catalog, CatalogEvent, CatalogItem, CatalogState, CatalogUser};
pub use claim::{ClaimChange, ClaimPhase, ClaimRow};
pub use device::{Device, DeviceError};
pub use explain::Explanation;
pub use fleet::{DeviceSlot, Fleet, FleetDevice, RunningVersion};
pub use ids::{
    BaseImageId, CampaignId, ChannelId, CollectionId, CommandId, GroupId, ManualUpdateId,
    OperationId, ParseError, SystemModelId,
};
pub use invalid::{FieldError, Invalid};
pub use selector::{Selector, SelectorError};
pub use sortie_protocol::{DeviceId, Sha256};
pub use stream::{Actor, Event, StreamId};
pub use time::{Listened, Now, Timestamp, TimestampError};
pub use version::{RequirementError, VersionRequirement};
