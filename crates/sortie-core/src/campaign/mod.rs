//! One Update Campaign: one Base Image, rolled out to one Channel under one Rollout Mechanism.
//!
//! ```text
//!  Input ──▶ Campaign::handle / pump ──▶ events ──▶ State::apply (the fold; replay calls it alone)
//!                                    └─▶ targets whose request register is to be written
//! ```
//!
//! - `event.rs`: what is recorded. `state.rs`: the fold. `spec.rs`: what a campaign is made of.
//! - `decide.rs`: what an input leads to. `eligibility.rs`: rules E. `timers.rs`, `ready.rs`: what a
//!   running campaign keeps beside its state, built anew by [`Campaign::arm`]; below them
//!   `due_queues.rs` and `index_set.rs`, which find what comes first in constant steps.

mod command;
mod decide;
mod due_queues;
mod eligibility;
mod event;
mod index_set;
mod ready;
mod reason;
mod report;
mod spec;
mod state;
mod target;
mod timers;

pub use command::{Command, CommandKind, Rejection};
pub use decide::{Campaign, Input, Output};
pub use eligibility::{Verdict, verdict};
pub use event::{CampaignEvent, DeviceWord, End};
pub use reason::TargetReason;
pub use spec::{CampaignSpec, ImageCopy, NewCampaign, Push, PushSpec, Start};
pub use state::{Counts, Outcome, State, Status};
pub use target::{Target, TargetIndex, TargetStatus};
