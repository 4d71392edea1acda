//! Why a target is where it is: its causal story from the log, and apart from it what it waits for now.
//!
//! ```text
//!  commits of the stream ──▶ Story::commit ──▶ Story::end ──▶ Explanation { steps, end }
//!  Campaign::waits, live ────────────────────────────────────▶ Explanation { waiting }
//! ```
//!
//! - `story.rs`: folds the commits of one stream for one device. `step.rs`: what it finds.
//! - `why.rs`: what ended the target, in a sentence, by its rule. `waiting.rs`: what it waits for.
//! - `history.rs`: what became of a device, without the story. `text.rs`: a story as people read it.

mod history;
mod step;
mod story;
mod text;
mod waiting;
mod why;

use serde::Serialize;
use sortie_protocol::DeviceId;

pub use history::{HistoryOperation, HistoryPage, HistoryRow};
pub use step::{By, Happened, Step};
pub use story::Story;
pub use waiting::{Live, Wait, Waiting};

use crate::{
    BaseImageId, Status, StreamId, TargetIndex, TargetReason, TargetStatus, campaign::Outcome,
};

/// The story of one target: who did what when, by which rule, how it ended, and what it waits for.
///
/// `Display` is for people at night; programs read it by `Serialize`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Explanation {
    /// The stream that tells it.
    pub stream: StreamId,
    /// The campaign's name.
    pub name: String,
    /// The device.
    pub device: DeviceId,
    /// Its place in the snapshot; `None`: there is no snapshot yet (S2).
    pub target: Option<TargetIndex>,
    /// The image that the campaign ships.
    pub image: Option<BaseImageId>,
    /// Where the campaign is.
    pub campaign_status: Status,
    /// How it ended.
    pub outcome: Option<Outcome>,
    /// Where the target is; `None`: there is no snapshot yet.
    pub status: Option<TargetStatus>,
    /// Why, if it was tried or judged.
    pub reason: Option<TargetReason>,
    /// What happened, in the order of the log.
    pub steps: Vec<Step>,
    /// What ended it so; `None`: it goes on.
    pub end: Option<Ending>,
    /// Live, not recorded: what it waits for. `None`: nothing any more, or it was not asked for. A target
    /// that was abandoned waits for its device's late word, also when the campaign is over (O4).
    pub waiting: Option<Waiting>,
    /// The story is told up to this version of the stream.
    pub version: u64,
}

/// What ended a target, by which rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Ending {
    /// The rule's name.
    pub rule: &'static str,
    /// A sentence for people.
    pub why: String,
}
