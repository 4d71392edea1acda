//! One device in one campaign, as the log has it.

use std::fmt;

use serde::{Deserialize, Serialize};
use sortie_protocol::Status as DeviceStatus;

use super::{End, TargetReason};
use crate::{ClaimPhase, Timestamp};

/// A target's place in its campaign's snapshot, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TargetIndex(pub u32);

impl TargetIndex {
    /// As an index into the snapshot.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// Where a target is (L). Failed and successful are final.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
#[expect(
    clippy::exhaustive_enums,
    reason = "Edgehog's four; rule L closes the set"
)]
pub enum TargetStatus {
    /// Not pushed yet, or to be tried again.
    #[default]
    Idle,
    /// An operation is in force.
    InProgress,
    /// Final.
    Failed,
    /// Final.
    Successful,
}

impl TargetStatus {
    /// Whether it is final.
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::Failed | Self::Successful)
    }
}

impl fmt::Display for TargetStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Idle => "idle",
            Self::InProgress => "in_progress",
            Self::Failed => "failed",
            Self::Successful => "successful",
        })
    }
}

/// The fold of a target's events. Small, since there may be a million, and one line of a processor's
/// cache, since they come in any order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[repr(align(64))]
#[non_exhaustive]
pub struct Target {
    /// Where it is.
    pub status: TargetStatus,
    /// Why; an idle target keeps that of its last try (R4, L5).
    pub reason: Option<TargetReason>,
    /// How its failure ended; none otherwise.
    pub end: Option<End>,
    /// The last word of the device on its last operation.
    pub heard: Option<DeviceStatus>,
    /// Its operation under way is being cancelled by a person's wish (X2).
    pub cancel_requested: bool,
    /// Its device was removed from the inventory (D1).
    pub removed: bool,
    /// A terminal word came after the operation had been abandoned (R5).
    pub late: bool,
    /// A second, different terminal word was recorded (R5).
    pub contradicted: bool,
    /// Non-terminal words recorded of its last operation (R2).
    pub words_recorded: u8,
    /// The furthest of the stages recorded of its last operation (C3); 0: none.
    pub(super) furthest: u8,
    /// How often its operation's request was written again for want of an answer (P4).
    pub request_retries: u32,
    /// How often it was made idle again (R4).
    pub deferrals: u32,
    /// The order of its last start among all starts of the campaign, from 1; 0: never started.
    pub started: u32,
    /// The claim number of its last operation, as raised since; 0: none.
    pub claim: u64,
    /// The number at the operation's start: its UUID is made of it (W1).
    pub claim_at_start: u64,
    /// Which owner's nonce the operation's UUID is made with.
    pub(super) owner: u16,
    /// The device's version that its last operation was decided on, in the state's table.
    pub(super) decided_on: u32,
    /// When its last operation started and ended.
    pub(super) times: Times,
}

impl Target {
    /// What the claim of its last operation says (W7), as far as this campaign's log knows: another
    /// operation may have taken it since. `None`: it never had one.
    pub fn claim_phase(&self) -> Option<ClaimPhase> {
        if self.claim == 0 {
            return None;
        }
        Some(match (self.status, self.end) {
            (TargetStatus::InProgress, _) => ClaimPhase::Held,
            (TargetStatus::Failed, Some(End::Abandoned)) if !self.late && !self.removed => {
                ClaimPhase::Open
            }
            _ => ClaimPhase::Free,
        })
    }
}

/// When an operation started and ended, or [`NEVER`]: half of what options would take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Times {
    started: i64,
    ended: i64,
}

const NEVER: i64 = i64::MIN;

impl Default for Times {
    fn default() -> Self {
        Self {
            started: NEVER,
            ended: NEVER,
        }
    }
}

impl Times {
    pub(super) fn started(at: Timestamp) -> Self {
        Self {
            started: at.0,
            ended: NEVER,
        }
    }

    pub(super) fn end(&mut self, at: Timestamp) {
        self.ended = at.0;
    }

    pub(super) fn started_at(self) -> Option<Timestamp> {
        (self.started != NEVER).then_some(Timestamp(self.started))
    }

    pub(super) fn ended_at(self) -> Option<Timestamp> {
        (self.ended != NEVER).then_some(Timestamp(self.ended))
    }
}

const _: () = assert!(size_of::<Target>() == 64, "it is one line of the cache");
