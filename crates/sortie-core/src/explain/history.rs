//! What became of a device in one campaign, without the story.

use std::sync::Arc;

use serde::Serialize;

use super::{Explanation, Happened};
use crate::{
    BaseImageId, OperationId, StreamId, TargetIndex, TargetReason, TargetStatus, Timestamp,
};

/// Some of what became of a device.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct HistoryPage {
    /// Those that started last first.
    pub rows: Vec<HistoryRow>,
    /// Ask again with this as `after`. `None`: there are no more.
    pub next: Option<StreamId>,
}

impl HistoryPage {
    /// A page and where the next one begins.
    pub fn new(rows: Vec<HistoryRow>, next: Option<StreamId>) -> Self {
        Self { rows, next }
    }
}

/// One campaign that had a device as a target, or one manual update of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct HistoryRow {
    /// The stream of the campaign or manual update.
    pub stream: StreamId,
    /// Its name.
    pub name: String,
    /// The image that it ships.
    pub image: Option<BaseImageId>,
    /// The device's place in its snapshot.
    pub target: Option<TargetIndex>,
    /// Where the target is.
    pub status: Option<TargetStatus>,
    /// Why.
    pub reason: Option<TargetReason>,
    /// When the campaign started, or the manual update was asked for.
    pub started_at: Option<Timestamp>,
    /// When the target ended; `None`: it goes on, or was never attempted.
    pub ended_at: Option<Timestamp>,
    /// Its operations on the device, in order; more than one after R4.
    pub operations: Vec<HistoryOperation>,
}

/// One operation on a device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct HistoryOperation {
    /// Its UUID.
    pub operation: OperationId,
    /// When it started.
    pub started_at: Timestamp,
    /// The version that the device said it ran.
    pub decided_on: Option<Arc<str>>,
    /// When it ended; `None`: it is in force.
    pub ended_at: Option<Timestamp>,
    /// What it ended with.
    pub reason: Option<TargetReason>,
}

impl From<&Explanation> for HistoryRow {
    fn from(story: &Explanation) -> Self {
        let mut row = Self {
            stream: story.stream,
            name: story.name.clone(),
            image: story.image.clone(),
            target: story.target,
            status: story.status,
            reason: story.reason,
            started_at: None,
            ended_at: None,
            operations: vec![],
        };
        for step in &story.steps {
            match &step.what {
                Happened::Snapshotted { .. } | Happened::ManualRequested { .. } => {
                    row.started_at = Some(step.at);
                }
                Happened::OperationStarted {
                    operation,
                    decided_on,
                    ..
                } => row.operations.push(HistoryOperation {
                    operation: *operation,
                    started_at: step.at,
                    decided_on: decided_on.clone(),
                    ended_at: None,
                    reason: None,
                }),
                Happened::Deferred { reason, .. } => row.ends(step.at, *reason),
                Happened::Succeeded { reason } | Happened::Failed { reason, .. } => {
                    row.ends(step.at, *reason);
                    row.ended_at = Some(step.at);
                }
                _ => {}
            }
        }
        row
    }
}

impl HistoryRow {
    /// The operation in force ended, if there is one: a target may be judged without.
    fn ends(&mut self, at: Timestamp, reason: TargetReason) {
        if let Some(last) = self.operations.last_mut().filter(|o| o.ended_at.is_none()) {
            last.ended_at = Some(at);
            last.reason = Some(reason);
        }
    }
}
