//! Where a campaign is, and how it ended.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The status of a campaign (L).
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::exhaustive_enums, reason = "rule L closes the set")]
pub enum Status {
    /// Created; it starts by hand, or as soon as the inventory has answered.
    #[default]
    Idle,
    /// It waits for its start time.
    Scheduled,
    /// It runs.
    InProgress,
    /// Nothing new starts; some operations are under way.
    Pausing,
    /// Nothing is under way.
    Paused,
    /// It has an outcome.
    Finished,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Idle => "idle",
            Self::Scheduled => "scheduled",
            Self::InProgress => "in_progress",
            Self::Pausing => "pausing",
            Self::Paused => "paused",
            Self::Finished => "finished",
        })
    }
}

/// How a campaign ended (L).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::exhaustive_enums, reason = "rule L closes the set")]
pub enum Outcome {
    /// Every target is terminal, failures within the threshold included (L4).
    Success,
    /// Too much failed (F1).
    Failure,
    /// A person cancelled it (L3).
    Cancelled,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Cancelled => "cancelled",
        })
    }
}
