//! What is recorded of a campaign: permanent, small, readable.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sortie_protocol::{DeviceId, Reason, Report, Status as DeviceStatus, StatusCode};
use uuid::Uuid;

use super::{CampaignSpec, ImageCopy, ManualUpdate, TargetIndex, TargetReason};
use crate::OperationId;

/// An event of the stream of a campaign, or of a manual update, which is folded as a campaign with one
/// target (rule M). Targets are named by their index in the snapshot.
///
/// Past tense: it has happened and can't be refused; [`State::apply`](super::State::apply) folds it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all_fields = "camelCase")]
#[non_exhaustive]
pub enum CampaignEvent {
    /// A node took the stream over, at its start or after an append whose outcome is not known: fences
    /// what an earlier owner may still append.
    OwnerChanged {
        /// Grows by one with each owner.
        epoch: u64,
        /// Drawn at random; the UUIDs of operations started from now on depend on it (W1).
        nonce: Uuid,
    },
    /// The campaign was created (S3).
    CampaignCreated {
        /// What it is made of.
        spec: Box<CampaignSpec>,
    },
    /// The campaign was edited before its start (L1).
    CampaignEdited {
        /// What it is made of now.
        spec: Box<CampaignSpec>,
    },
    /// The campaign was deleted before its start (L1).
    CampaignDeleted,
    /// The campaign waits for its start time; its Channel was not empty at creation (S1, S4).
    CampaignScheduled,
    /// A person started it by hand (S1); it starts once the inventory has answered (S2).
    StartRequested,
    /// A part of the snapshot, at most 1,000 devices, in the order of their indices (S2).
    TargetsAdded {
        /// The devices; the first has the index after the last one added before.
        devices: Vec<DeviceId>,
    },
    /// The snapshot is complete; the campaign runs (S2).
    CampaignStarted {
        /// The image, copied, so that nothing that happens to it later matters (T4).
        image: Box<ImageCopy>,
    },
    /// A person asked for a Manual OTA Update (M): the first event of its stream. Its device is target 0.
    ManualUpdateRequested {
        /// What was asked for.
        update: Box<ManualUpdate>,
    },
    /// The file that was uploaded for a manual update has been deleted, its operation having ended (M2).
    UploadDeleted,
    /// A command was accepted that changes nothing: recorded with its commit, so that its repeat gets
    /// the same answer (K1).
    CommandAccepted,
    /// An operation was started on a target (P3): from here on the target is in progress.
    OperationStarted {
        /// The target.
        target: TargetIndex,
        /// The claim number, of which the operation's UUID is made (W1).
        claim: u64,
        /// The device's version that this was decided on (E).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        decided_on: Option<Arc<str>>,
        /// The abandoned operation whose claim is taken over (O3).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        replaces: Option<OperationId>,
    },
    /// The request was not acknowledged in time and is written again (P4).
    RequestRetried {
        /// The target.
        target: TargetIndex,
    },
    /// The device said where it is; percentages are not recorded (R2).
    OperationReported {
        /// The target.
        target: TargetIndex,
        /// Its word, not terminal.
        #[serde(flatten)]
        word: DeviceWord,
    },
    /// A person cancelled one operation (X2).
    OperationCancelRequested {
        /// The target.
        target: TargetIndex,
    },
    /// A target ended well: R3, E2.
    TargetSucceeded {
        /// The target.
        target: TargetIndex,
        /// Why.
        reason: TargetReason,
        /// The device's version that this was decided on, if nothing was sent (E2).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        decided_on: Option<Arc<str>>,
    },
    /// A target failed: E, R3, X1, X4, P5, D1, M3.
    TargetFailed {
        /// The target.
        target: TargetIndex,
        /// Why.
        reason: TargetReason,
        /// What became of its operation.
        end: End,
        /// The device's word, if it was that which ended it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        word: Option<DeviceWord>,
        /// The device's version that this was decided on, if nothing was sent (E).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        decided_on: Option<Arc<str>>,
        /// The System Model that the device named, if it was another (E0).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        system_model: Option<Arc<str>>,
        /// Why the transport refuses the request, if it says (P5); at most 256 bytes.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        refusal: Option<Arc<str>>,
    },
    /// The operation ended, and the target is idle again, to be tried later (R4).
    TargetDeferred {
        /// The target.
        target: TargetIndex,
        /// Why: `device_busy` or `version_changed`.
        reason: TargetReason,
        /// The device's word.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        word: Option<DeviceWord>,
    },
    /// The device was removed from the inventory while its operation was under way, which is being
    /// cancelled, or after it had been abandoned, whose claim is free now (D1).
    DeviceRemoved {
        /// The target.
        target: TargetIndex,
    },
    /// The first terminal word on an abandoned operation; the outcome stays (R5).
    LateReport {
        /// The target.
        target: TargetIndex,
        /// The word.
        #[serde(flatten)]
        word: DeviceWord,
    },
    /// A second, different terminal word; recorded once, changes nothing (R5).
    ContradictoryReport {
        /// The target.
        target: TargetIndex,
        /// The word.
        #[serde(flatten)]
        word: DeviceWord,
    },
    /// A device had seen a higher generation than its register has; the number was raised (W5).
    ClaimRaised {
        /// The target.
        target: TargetIndex,
        /// The claim's number from now on. The operation keeps its UUID.
        claim: u64,
    },
    /// Paused by a person: nothing new starts, what is under way goes on (L2).
    CampaignPausing,
    /// Nothing is under way any more (L2).
    CampaignPaused,
    /// Resumed by a person (L2).
    CampaignResumed,
    /// Cancelled by a person; all that is under way is being cancelled (L3). After the campaign has
    /// finished: what drains is being cancelled, and the outcome stays.
    CampaignCancelled,
    /// Too much failed (F1): finished, outcome failure.
    CampaignFailed,
    /// Every target is terminal (L4): finished, outcome success.
    CampaignSucceeded,
}

/// What became of a target's operation when the target failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(
    clippy::exhaustive_enums,
    reason = "an operation was never begun, ended, abandoned, or its device is gone"
)]
pub enum End {
    /// There was none: refused before the push (E).
    NotSent,
    /// The device ended it by its word; the claim is free (W7).
    Answered,
    /// Ended without the device's word; the claim is open (X1, W7).
    Abandoned,
    /// Ended without the device's word, which was removed: the claim is free (D1).
    Removed,
}

/// A device's word as it is recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeviceWord {
    /// OTAEvent's status.
    pub status: DeviceStatus,
    /// OTAEvent's status code.
    #[serde(default, rename = "code", skip_serializing_if = "Option::is_none")]
    pub code: Option<StatusCode>,
    /// A machine-readable refinement of the code.
    #[serde(default, rename = "detail", skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// OTAEvent's message.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
}

impl DeviceWord {
    /// Whether it says more than its status.
    pub fn has_more(&self) -> bool {
        self.code.is_some() || self.reason.is_some() || !self.message.is_empty()
    }
}

impl From<&Report> for DeviceWord {
    fn from(report: &Report) -> Self {
        Self {
            status: report.status,
            code: report.code.clone(),
            reason: report.reason.clone(),
            message: report.message.clone(),
        }
    }
}

impl CampaignEvent {
    /// A failure without a word of the device and without a judgement of it.
    pub(super) fn failed(target: TargetIndex, reason: TargetReason, end: End) -> Self {
        Self::TargetFailed {
            target,
            reason,
            end,
            word: None,
            decided_on: None,
            system_model: None,
            refusal: None,
        }
    }

    /// The target that the event is about, if it is about one.
    pub fn target(&self) -> Option<TargetIndex> {
        match self {
            Self::OperationStarted { target, .. }
            | Self::RequestRetried { target }
            | Self::OperationReported { target, .. }
            | Self::OperationCancelRequested { target }
            | Self::TargetSucceeded { target, .. }
            | Self::TargetFailed { target, .. }
            | Self::TargetDeferred { target, .. }
            | Self::DeviceRemoved { target }
            | Self::LateReport { target, .. }
            | Self::ContradictoryReport { target, .. }
            | Self::ClaimRaised { target, .. } => Some(*target),
            Self::OwnerChanged { .. }
            | Self::CampaignCreated { .. }
            | Self::CampaignEdited { .. }
            | Self::CampaignDeleted
            | Self::CampaignScheduled
            | Self::StartRequested
            | Self::TargetsAdded { .. }
            | Self::CampaignStarted { .. }
            | Self::ManualUpdateRequested { .. }
            | Self::UploadDeleted
            | Self::CommandAccepted
            | Self::CampaignPausing
            | Self::CampaignPaused
            | Self::CampaignResumed
            | Self::CampaignCancelled
            | Self::CampaignFailed
            | Self::CampaignSucceeded => None,
        }
    }
}
