//! What a story is made of.

use std::sync::Arc;

use serde::Serialize;

use crate::{
    Actor, CommandId, OperationId, Start, TargetReason, Timestamp,
    campaign::{DeviceWord, End},
};

/// Who gave the command that an event was recorded for (K1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct By {
    /// Who; empty: it was not said.
    pub actor: Actor,
    /// The caller's id for the command.
    pub command: CommandId,
}

impl By {
    /// A recorded command.
    pub fn new(actor: Actor, command: CommandId) -> Self {
        Self { actor, command }
    }
}

/// Something that happened to a target, or to its campaign when that mattered to the target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Step {
    /// When it was recorded.
    pub at: Timestamp,
    /// The last time, if it happened more than once in a row.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// How often in a row.
    pub times: u32,
    /// The rule that it comes from.
    pub rule: &'static str,
    /// Who asked for it. More than one: they were recorded together, and it is one of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub by: Vec<By>,
    /// What.
    #[serde(flatten)]
    pub what: Happened,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(
    tag = "happened",
    rename_all = "snake_case",
    rename_all_fields = "camelCase"
)]
#[non_exhaustive]
pub enum Happened {
    /// The campaign was created, or edited before its start.
    Made {
        /// It was an edit (L1).
        edited: bool,
        /// When it is to start.
        start: Start,
        /// At most so many operations in progress at once (P2).
        max_in_progress_operations: u32,
        /// It fails when more than this share of its targets has failed, in hundredths of a percent (F1).
        max_failure_hundredths: u32,
        /// Devices that run a newer version are updated all the same (E3–E5).
        force_downgrade: bool,
    },
    /// A person asked for a manual update (M).
    ManualRequested {
        /// What is sent.
        source: String,
        /// How long it waits for the device to be online and free.
        #[serde(skip_serializing_if = "Option::is_none")]
        wait_until: Option<Timestamp>,
        /// The risk of an image of another or unknown System Model was taken (M1).
        risk_acknowledged: bool,
    },
    /// The uploaded file was deleted (M2).
    UploadDeleted,
    /// It waits for its start time.
    Scheduled,
    /// A person started it by hand.
    StartRequested,
    /// The device is one of the snapshot's; the campaign runs.
    Snapshotted {
        /// How many targets there are.
        targets: u32,
    },
    /// An operation was started; its request is written from here on (P3).
    OperationStarted {
        /// Its UUID.
        operation: OperationId,
        /// The version that the device said it runs.
        #[serde(skip_serializing_if = "Option::is_none")]
        decided_on: Option<Arc<str>>,
        /// The version that it is to run; `None`: a manual update's image says none.
        #[serde(skip_serializing_if = "Option::is_none")]
        version: Option<String>,
        /// The abandoned operation whose claim was taken over (O3).
        #[serde(skip_serializing_if = "Option::is_none")]
        replaces: Option<OperationId>,
    },
    /// The request was written again for want of an answer.
    RequestRetried {
        /// How often so far.
        nth: u32,
        /// How often it may be (P4).
        most: u32,
    },
    /// The device said where it is.
    Reported {
        /// Its word.
        #[serde(flatten)]
        word: DeviceWord,
    },
    /// A person asked for the operation to be cancelled.
    CancelRequested,
    /// The target ended well.
    Succeeded {
        /// Why.
        reason: TargetReason,
    },
    /// The target failed.
    Failed {
        /// Why.
        reason: TargetReason,
        /// What became of its operation.
        end: End,
        /// The device's word, if it was that which ended it.
        #[serde(skip_serializing_if = "Option::is_none")]
        word: Option<DeviceWord>,
        /// Why the transport refuses the request, if it says (P5).
        #[serde(skip_serializing_if = "Option::is_none")]
        refusal: Option<Arc<str>>,
        /// The abandoned operation that the device may be busy with (O4).
        #[serde(skip_serializing_if = "Option::is_none")]
        held_up_by: Option<OperationId>,
    },
    /// The operation ended, and the target is to be tried again.
    Deferred {
        /// Why.
        reason: TargetReason,
        /// The device's word.
        #[serde(skip_serializing_if = "Option::is_none")]
        word: Option<DeviceWord>,
        /// How often so far.
        nth: u32,
        /// How often it may be (R4).
        most: u32,
        /// Not tried again before so long, in milliseconds (R4).
        backoff_ms: u64,
        /// The abandoned operation that the device may still be busy with (O4).
        #[serde(skip_serializing_if = "Option::is_none")]
        held_up_by: Option<OperationId>,
    },
    /// The first terminal word after the operation had been abandoned; the outcome stays.
    LateReport {
        /// The word.
        #[serde(flatten)]
        word: DeviceWord,
    },
    /// A second, different terminal word; the outcome stays.
    Contradiction {
        /// The word.
        #[serde(flatten)]
        word: DeviceWord,
    },
    /// The device was removed from the inventory (D1).
    DeviceRemoved,
    /// The device had seen a higher generation than its register had; that was raised.
    ClaimRaised,
    /// An engine took the campaign over, after a restart or a failed append: timers start again.
    OwnerChanged,
    /// Nothing new starts.
    Pausing,
    /// Nothing is under way any more.
    Paused,
    /// It goes on.
    Resumed,
    /// Nothing starts any more, and all that is under way is cancelled.
    Cancelled,
    /// Too much failed.
    ThresholdCrossed {
        /// How many had failed that count.
        failed: u32,
        /// Of so many targets.
        targets: u32,
        /// The limit, in hundredths of a percent.
        max_failure_hundredths: u32,
    },
}
