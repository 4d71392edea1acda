//! One Update Campaign: one Base Image, rolled out to one Channel under one Rollout Mechanism.
//!
//! ```text
//!  Input ──▶ Campaign::handle / pump ──▶ events ──▶ State::apply (the fold; replay calls it alone)
//!                                    └─▶ targets whose request register is to be written
//! ```
//!
//! - `spec.rs`: what a campaign is made of; `check.rs`: a draft of it against the catalog. `command.rs`:
//!   what a person may ask of it, and the refusals.
//! - `event.rs`: what is recorded. `state.rs`: the fold, with `status.rs`, `reason.rs`, `target.rs` and
//!   the counters of `counts.rs` and `kinds.rs`; `register.rs`: what a device is to be told by it.
//! - `decide.rs`: what an input leads to; of a command in `obey.rs`, of a device's word in
//!   `report.rs`, of a timer in `expire.rs`, of a turn to be pushed in `push.rs` and
//!   `eligibility.rs` (rules E), of the snapshot in `start.rs`, of a removed device in `removed.rs`.
//! - `manual/`: a Manual OTA Update is folded and decided as a campaign with one target.
//! - `timers.rs`, `ready.rs`: what a running campaign keeps beside its state, built anew by
//!   [`Campaign::arm`]; `committed.rs`: what of it runs from a commit; below them `due_queues.rs` and
//!   `index_set.rs`, which find what comes first in constant steps.
//! - `waits.rs`: what a target waits for now, which decides nothing.

mod check;
mod command;
mod committed;
mod counts;
mod decide;
mod due_queues;
mod eligibility;
mod event;
mod expire;
mod index_set;
mod kinds;
mod manual;
mod obey;
mod push;
mod ready;
mod reason;
mod register;
mod removed;
mod report;
mod spec;
mod start;
mod state;
mod status;
mod target;
mod timers;
mod waits;

pub use command::{Command, CommandKind, Rejection};
pub use counts::Counts;
pub use decide::{Campaign, Input, Output};
pub use eligibility::{Verdict, verdict};
pub use event::{CampaignEvent, DeviceWord, End};
pub use manual::{ManualSource, ManualUpdate, NewManualUpdate};
pub use reason::TargetReason;
pub use spec::{CampaignSpec, ImageCopy, NewCampaign, Push, PushSpec, Start};
pub use state::State;
pub use status::{Outcome, Status};
pub use target::{Target, TargetIndex, TargetStatus};
pub(crate) use timers::backoff_ms;
