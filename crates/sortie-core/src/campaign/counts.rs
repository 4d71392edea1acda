//! A campaign's counters.

use serde::{Deserialize, Serialize};

use super::TargetStatus;

/// A campaign's counters, kept by the fold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Counts {
    /// Targets in the snapshot.
    pub targets: u32,
    /// Not pushed yet, or to be tried again.
    pub idle: u32,
    /// With an operation in force.
    pub in_progress: u32,
    /// Ended well.
    pub successful: u32,
    /// Ended badly, for whatever reason.
    pub failed: u32,
    /// Of those failed: how many count against the threshold (F1).
    pub failed_counted: u32,
    /// Of those failed: abandoned, and the device has not given its word yet. Each may still be
    /// installing (invariant 1).
    pub abandoned: u32,
}

impl Counts {
    pub(super) fn of(&mut self, status: TargetStatus) -> &mut u32 {
        match status {
            TargetStatus::Idle => &mut self.idle,
            TargetStatus::InProgress => &mut self.in_progress,
            TargetStatus::Failed => &mut self.failed,
            TargetStatus::Successful => &mut self.successful,
        }
    }
}
